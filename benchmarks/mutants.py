"""Mutants: copies of a source text with one arithmetic operator, comparison or number changed.

The changes are those of cosmic-ray's operators. Replacements that floats do not know (shifts, bits,
``is``) are left out: every one of them would die of a TypeError and flatter the score. Two kinds
that cosmic-ray lacks are added: the matrix product, and augmented assignments. Strings, names,
annotations, decorators and keywords are never changed.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import parso
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.ast.ast_query import ASTQuery
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators import (
    binary_operator_replacement,
    comparison_operator_replacement,
    number_replacer,
    unary_operator_replacement,
)
from cosmic_ray.operators.operator import Example, Operator

__all__ = ["KINDS", "Mutant", "changed_lines", "mutants_of", "operators"]

KINDS = ("arithmetic", "comparison", "number")

_ARITHMETIC = {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"}
_COMPARISON = {"Eq", "NotEq", "Lt", "LtE", "Gt", "GtE"}


class _ReplaceToken(Operator):
    """Writes one operator token in place of another."""

    old = ""
    new = ""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if (
            isinstance(node, parso.python.tree.Operator)
            and node.value == self.old
            and node.parent.type != "decorator"
        ):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.value = self.new
        return node

    @classmethod
    def examples(cls) -> Iterable[Example]:
        return (Example(f"x {cls.old} y", f"x {cls.new} y"),)


def _replacing(old: str, new: str) -> type[Operator]:
    return type(f"ReplaceToken_{old}_{new}", (_ReplaceToken,), {"old": old, "new": new})


_MATRIX = [_replacing("@", new) for new in ("*", "+")]
_AUGMENTED = [
    _replacing(f"{old}=", f"{new}=") for old, new in itertools.permutations(("+", "-", "*", "/"), 2)
]


def _named(operator: type[Operator], names: set[str]) -> bool:
    old, new = operator.__name__.split("_")[-2:]
    return old in names and new in names


def operators() -> list[tuple[str, type[Operator]]]:
    """Every operator used, with its kind."""
    binary = [o for o in binary_operator_replacement.operators() if _named(o, _ARITHMETIC)]
    # Of the changes of a minus sign, "+x" equals "x".
    unary = [
        o for o in unary_operator_replacement.operators() if o.__name__.endswith("_Delete_USub")
    ]
    compared = [o for o in comparison_operator_replacement.operators() if _named(o, _COMPARISON)]
    return [
        *(("arithmetic", o) for o in (*binary, *unary, *_MATRIX, *_AUGMENTED)),
        *(("comparison", o) for o in compared),
        ("number", number_replacer.NumberReplacer),
    ]


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes
    ----------
    file : str
        Path relative to the root of the repository.
    kind : str
        One of :data:`KINDS`.
    operator : type
        Of cosmic-ray's kind; `occurrence` counts the places where it applies.
    line : int
        Where, from 1.
    definition : str
        Function or class around it, empty for a module's own statements.
    """

    file: str
    kind: str
    operator: type[Operator]
    occurrence: int
    line: int
    column: int
    definition: str

    @property
    def name(self) -> str:
        """Identifier within one state of the source."""
        return f"{self.file}:{self.line}:{self.column}:{self.operator.__name__}:{self.occurrence}"

    def apply(self, source: str) -> str:
        """Return the mutated text."""
        text = mutate_code(source, self.operator(), self.occurrence)
        if text is None:
            raise ValueError(f"{self.name}: does not apply to this source")
        return str(text)


def mutants_of(file: str, source: str) -> list[Mutant]:
    """All mutants of a source text, in the order of their lines."""
    tree = get_ast(source)
    nodes = list(ast_nodes(tree))
    found = []
    for kind, operator in operators():
        places = ((node, p) for node in nodes for p in operator().mutation_positions(node))
        for occurrence, (node, (start, _)) in enumerate(places):
            if not _bare_star(node):
                definition = ASTQuery(node).get_definition_name() or ""
                found.append(Mutant(file, kind, operator, occurrence, *start, definition))
    return sorted(found, key=lambda m: (m.line, m.column, KINDS.index(m.kind), m.operator.__name__))


def _bare_star(node: Any) -> bool:
    """Whether a ``*`` or ``/`` only separates the parameters of a function."""
    separator = isinstance(node, parso.python.tree.Operator) and node.value in ("*", "/")
    return separator and node.parent.type in ("parameters", "param")


def changed_lines(source: str, mutated: str) -> tuple[str, str]:
    """The lines that differ, before and after, without indentation."""
    lines = list(difflib.ndiff(source.splitlines(), mutated.splitlines()))
    before = " ".join(line[2:].strip() for line in lines if line.startswith("- "))
    after = " ".join(line[2:].strip() for line in lines if line.startswith("+ "))
    return before, after
