"""What a proof is made of: steps that SymPy decides, theorems that are cited, and their verdict.

No step is decided by numbers. :func:`vanishes` and :func:`is_nonnegative` answer yes only when
SymPy reaches literal zero or the assumptions on the symbols settle the sign; "no" means "not
shown".
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import sympy as sp

__all__ = ["MARKS", "Argument", "Kind", "Proof", "Step", "is_nonnegative", "run", "vanishes"]

Kind = Literal["exact", "certified", "cited", "sketch"]


@dataclass(frozen=True)
class Step:
    """One step: what it says, how it is justified, and whether that succeeded.

    ``exact`` steps are decided by SymPy, ``certified`` ones by ball arithmetic, ``cited`` ones use
    a theorem of the textbooks by name (the steps around them check what it assumes), and a
    ``sketch`` is argued in words only.
    """

    text: str
    kind: Kind
    holds: bool


@dataclass(frozen=True)
class Proof:
    """A claim with its derivation and the places where it is used and tested.

    Attributes
    ----------
    claim, statement : str
        Identifier and sentence; those of :data:`linvae.verification.CLAIMS` where it is one.
    steps : tuple of Step
    functions : tuple of str
        Dotted names of what the claim is about.
    properties, optimisations : tuple of str
        Tests, ``path::name``: property tests, and those that try to beat the claim numerically.
    uses : tuple of str
        Modules whose claims are used here; they stand before this one in ``MODULES``.
    """

    claim: str
    statement: str
    steps: tuple[Step, ...]
    functions: tuple[str, ...]
    properties: tuple[str, ...]
    optimisations: tuple[str, ...]
    uses: tuple[str, ...] = ()

    @property
    def verdict(self) -> Literal["proved", "sketch", "fails"]:
        """``fails`` when a step does, ``sketch`` when one is only argued in words.

        Nothing is proved by citation alone.
        """
        decided = any(step.kind in ("exact", "certified") for step in self.steps)
        if not decided or not all(step.holds for step in self.steps):
            return "fails"
        return "sketch" if any(step.kind == "sketch" for step in self.steps) else "proved"


def vanishes(expression: Any) -> bool:
    """Whether SymPy reduces the expression (or every entry of a matrix) to zero."""
    if isinstance(expression, sp.MatrixBase):
        return bool(expression) and all(vanishes(entry) for entry in expression)
    expression = sp.sympify(expression)
    if expression.has(sp.Float):
        return False  # a rounded number proves nothing
    if _is_refuted(expression):
        return False  # spares SymPy the search for what is not there
    ways: tuple[Callable[[Any], Any], ...] = (
        lambda e: e,
        lambda e: sp.cancel(sp.together(e)),
        sp.expand,
        lambda e: sp.expand(sp.expand_log(e, force=False)),
        sp.simplify,
        lambda e: sp.simplify(sp.expand_log(sp.piecewise_fold(e), force=False)),
        lambda e: sp.radsimp(sp.simplify(e)),
    )
    return any(way(expression) == 0 for way in ways)


def _is_refuted(expression: sp.Expr) -> bool:
    """Whether a point is seen where the expression is far from zero; only ever an early "no"."""
    point = {
        symbol: sp.Integer(3 + number) if symbol.is_integer else sp.Rational(7 + 2 * number, 5)
        for number, symbol in enumerate(sorted(expression.free_symbols, key=str))
        if getattr(symbol, "is_real", False)
    }
    if len(point) < len(expression.free_symbols):
        return False
    try:
        value = sp.N(expression.subs(point), 30)
        return bool(value.is_number and value.is_finite and abs(value) > sp.Float("1e-12"))
    except (TypeError, ValueError, ArithmeticError, AttributeError, RecursionError):
        return False


def is_nonnegative(expression: Any, *, strict: bool = False) -> bool:
    """Whether the assumptions on the symbols settle the sign, of the expression or its factors."""
    expression = sp.sympify(expression)
    if expression.has(sp.Float):
        return False
    for form in (expression, sp.factor(expression), sp.expand(expression), sp.simplify(expression)):
        if form.is_positive if strict else form.is_nonnegative:
            return True
    return False


class Argument:
    """Builder of a proof: one call per step, in the order of reading.

    Every method takes the step in words first. A step that cannot be shown is kept, as one that
    does not hold; the argument goes on, so that a reader sees all of them.
    """

    def __init__(self, claim: str, statement: str) -> None:
        self._claim, self._statement = claim, statement
        self._steps: list[Step] = []

    def _add(self, text: str, kind: Kind, holds: bool) -> bool:
        self._steps.append(Step(text, kind, bool(holds)))
        return bool(holds)

    def zero(self, text: str, expression: Any) -> bool:
        """Claim that an expression, or every entry of a matrix, is identically zero."""
        return self._add(text, "exact", vanishes(expression))

    def equal(self, text: str, left: Any, right: Any) -> bool:
        """Claim that two expressions or matrices are identical."""
        return self.zero(text, sp.sympify(left) - sp.sympify(right))

    def differs(self, text: str, expression: Any) -> bool:
        """Claim that an expression is not identically zero, by a rational point where it is not."""
        expression = sp.sympify(expression)
        free = sorted(expression.free_symbols, key=str)
        point = {symbol: sp.Rational(3 + 2 * i, 2 + i) for i, symbol in enumerate(free)}
        return self._add(text, "exact", expression.subs(point).is_zero is False)

    def nonnegative(self, text: str, expression: Any) -> bool:
        """Claim expression >= 0 for all values of the symbols that their assumptions allow."""
        return self._add(text, "exact", is_nonnegative(expression))

    def positive(self, text: str, expression: Any) -> bool:
        """Claim expression > 0 for all values of the symbols that their assumptions allow."""
        return self._add(text, "exact", is_nonnegative(expression, strict=True))

    def true(self, text: str, condition: Any) -> bool:
        """Claim what Python or SymPy decided exactly: only a literal True counts."""
        return self._add(text, "exact", condition is True or condition == sp.true)

    def certified(self, text: str, condition: bool) -> bool:
        """Claim what ball arithmetic established."""
        return self._add(text, "certified", condition is True)

    def cites(self, text: str) -> None:
        """Use a theorem of the textbooks; name it, and say where its assumptions are checked."""
        self._add(text, "cited", True)

    def sketches(self, text: str) -> None:
        """Argue in words what is not proved here; the proof is then a sketch."""
        self._add(text, "sketch", True)

    def done(
        self,
        *,
        functions: Iterable[str],
        properties: Iterable[str],
        optimisations: Iterable[str],
        uses: Iterable[str] = (),
    ) -> Proof:
        """Close the argument, naming what it is about, where that is tested, and what it uses."""
        return Proof(
            self._claim,
            self._statement,
            tuple(self._steps),
            tuple(functions),
            tuple(properties),
            tuple(optimisations),
            tuple(uses),
        )


MARKS = {"exact": "=", "certified": "±", "cited": "†", "sketch": "~"}


def run(prove: Callable[[], Proof]) -> None:
    """Print one proof step by step; exit with 1 if it fails."""
    proof = prove()
    print(f"{proof.claim}: {proof.statement}")
    for step in proof.steps:
        print(f"  {MARKS[step.kind] if step.holds else 'X'} {step.text}")
    print(f"  {proof.verdict}")
    sys.exit(1 if proof.verdict == "fails" else 0)
