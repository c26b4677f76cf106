"""Read the notebooks' texts into cells, and say what is wrong with one."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from notebooks import sync

TEXTS = sync.texts()
NAMES = [path.stem for path in TEXTS]
HEADINGS = ("## Aims", "## What is assumed", "## Exercises", "## Further reading")
SOLUTION = re.compile(
    r"\A<details><summary>Solution</summary>\n\n.*```python\n(.*?)```.*</details>\Z", re.DOTALL
)
OURS = ("linvae", "deep", "proofs", "course")
LONGEST_CELL = 20


@dataclass(frozen=True)
class Cell:
    kind: str
    source: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """One exercise as the notebook holds it."""

    name: str
    question: str
    scaffold: str
    check: str
    solution: str


def cells_of(path: Path) -> list[Cell]:
    notebook = sync.notebook_of(path)
    return [Cell(c.cell_type, c.source, tuple(c.metadata.get("tags", ()))) for c in notebook.cells]


@cache
def cells(name: str) -> list[Cell]:
    return cells_of(sync.FOLDER / f"{name}.md")


def solution_code(cell: Cell) -> str:
    """Return the one block of code of a solution."""
    found = SOLUTION.match(cell.source.strip())
    assert found, f"not of the form of a solution:\n{cell.source}"
    assert cell.source.count("```python") == 1, "a solution has one block of code"
    return found[1]


def tasks(found: list[Cell], number: str) -> list[Task]:
    """Return the exercises; each is a question, a scaffold, a check and a solution in a row."""
    starts = [i for i, cell in enumerate(found) if "exercise" in cell.tags]
    listed = []
    for order, start in enumerate(starts, 1):
        name = f"{number}.{order}"
        assert 0 < start < len(found) - 2, f"{name}: a cell is missing"
        question, scaffold, check, solution = found[start - 1 : start + 3]
        assert question.kind == "markdown"
        assert not question.tags, f"{name}: the question needs a cell of its own (+++)"
        heading = [line for line in question.source.splitlines() if line.startswith("### ")]
        assert len(heading) == 1, f"{name}: one heading in {heading}"
        assert re.fullmatch(rf"### Exercise {re.escape(name)}: \S.*", heading[0]), heading
        assert scaffold.tags == ("exercise",)
        assert check.tags == ("check",)
        assert check.source.strip() == f'check("{name}", answer_{order})'
        assert solution.kind == "markdown"
        assert solution.tags == ("solution",)
        code = solution_code(solution)
        assert f"answer_{order}" in bound(code), f"{name}: the solution does not answer"
        assert f"answer_{order}" in bound(scaffold.source), f"{name}: nothing to fill in"
        listed.append(Task(name, question.source, scaffold.source, check.source, code))
    tagged = [cell for cell in found if {"exercise", "check", "solution"} & set(cell.tags)]
    assert len(tagged) == 3 * len(listed), "a tagged cell outside an exercise"
    return listed


def bound(code: str) -> set[str]:
    """Return the names that a cell binds at its top level."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return names


def used(code: str) -> set[str]:
    return {
        node.id
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def private_names(code: str) -> list[str]:
    """Return the names that a cell takes from the packages though they are not public."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            found.append(f".{node.attr}")
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if "._" in f".{alias.name}"]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module == "__future__":
                continue
            if "._" in f".{module}":
                found.append(module)
            found += [f"{module}.{a.name}" for a in node.names if not _is_public(module, a.name)]
    return found


def _is_public(module: str, name: str) -> bool:
    if name.startswith("_"):
        return False
    if module.partition(".")[0] not in OURS:
        return True
    home = f"notebooks.{module}" if module.partition(".")[0] == "course" else module
    holder = import_module(home)
    listed = getattr(holder, "__all__", None)
    if listed is None or name in listed:
        return hasattr(holder, name) or _is_module(f"{home}.{name}")
    return _is_module(f"{home}.{name}")


def _is_module(name: str) -> bool:
    try:
        return isinstance(import_module(name), ModuleType)
    except ModuleNotFoundError:
        return False


def links(source: str) -> list[str]:
    """Return the relative links of a cell, without their anchors."""
    targets = re.findall(r"\]\(([^)\s]+)\)", source)
    return [t.partition("#")[0] for t in targets if "://" not in t and not t.startswith("#")]
