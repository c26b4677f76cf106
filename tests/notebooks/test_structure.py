"""Each notebook has the parts that a reader expects, and takes only public names."""

from __future__ import annotations

import ast
import builtins
import re

import pytest

from notebooks import sync

from . import reading
from .reading import HEADINGS, LONGEST_CELL, NAMES, Cell

MODULES = sorted(sync.FOLDER.rglob("*.py"))
HEAVY = ("sympy", "sklearn", "torch", "matplotlib", "jupytext", "nbformat")
QUESTION = Cell("markdown", "### Exercise 01.1: Half", ())
SCAFFOLD = Cell("code", "answer_1 = ...", ("exercise",))
CHECK = Cell("code", 'check("01.1", answer_1)', ("check",))
SOLUTION = Cell(
    "markdown",
    "<details><summary>Solution</summary>\n\n½\n\n```python\nanswer_1 = 0.5\n```\n\n</details>",
    ("solution",),
)


def _code(name: str) -> list[str]:
    found = reading.cells(name)
    solutions = [task.solution for task in reading.tasks(found, name[:2])]
    return [cell.source for cell in found if cell.kind == "code"] + solutions


def _text(name: str) -> str:
    return "\n".join(cell.source for cell in reading.cells(name) if cell.kind == "markdown")


def _section(name: str, heading: str) -> str:
    after = _text(name).partition(f"\n{heading}\n")[2]
    return re.split(r"^#{1,2} ", after, flags=re.MULTILINE)[0]


@pytest.mark.parametrize("name", NAMES)
def test_sections_are_there_in_order(name):
    found = reading.cells(name)
    assert found[0].source.startswith(f"# {name[:2]}. "), found[0].source[:60]
    lines = _text(name).splitlines()
    places = [lines.index(heading) for heading in HEADINGS]
    assert places == sorted(places)
    assert sum(line.startswith("## ") for line in lines) > len(HEADINGS), "no derivation"
    aims = [line for line in _section(name, "## Aims").splitlines() if line.startswith("- ")]
    assert 3 <= len(aims) <= 5


@pytest.mark.parametrize("name", NAMES)
def test_exercises_are_complete(name):
    found = reading.tasks(reading.cells(name), name[:2])
    assert 3 <= len(found) <= 5


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere_and_the_last_to_another_notebook(name):
    targets = reading.links(_text(name))
    for target in targets:
        assert (sync.FOLDER / target).resolve().exists(), target
    last = reading.links(reading.cells(name)[-1].source)
    number = int(name[:2])
    following = [other for other in NAMES if int(other[:2]) == number + 1]
    assert (f"{following[0]}.md" if following else f"{NAMES[0]}.md") in last


@pytest.mark.parametrize("name", NAMES)
def test_code_is_short_and_explained(name):
    found = reading.cells(name)
    for before, cell, after in zip([None, *found], found, [*found[1:], None], strict=False):
        if cell.kind != "code":
            continue
        assert len(cell.source.splitlines()) <= LONGEST_CELL, cell.source
        assert any(c is not None and c.kind == "markdown" for c in (before, after)), cell.source


@pytest.mark.parametrize("name", NAMES)
def test_only_public_names(name):
    for code in _code(name):
        assert not reading.private_names(code), code


@pytest.mark.parametrize("name", NAMES)
def test_the_package_is_used_for_mathematics_and_pictures(name):
    code = "\n".join(_code(name))
    assert "linvae.symbolic" in code, "the derivation is not beside the text"
    assert "linvae.plotting" in code
    assert "from course import check" in code
    assert not re.search(r"\b(scipy|torch\.optim|np\.linalg\.(eigh?|svd))\b", code)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_depends_on_an_answer(name):
    """So that the notebook runs from top to bottom before anything is answered."""
    found = reading.cells(name)
    listed = reading.tasks(found, name[:2])
    plain = [c.source for c in found if c.kind == "code" and not set(c.tags) & {"exercise"}]
    answers = set().union(*(reading.bound(t.solution + "\n" + t.scaffold) for t in listed))
    answers -= set().union(*(reading.bound(code) for code in plain))
    checks = {task.check for task in listed}
    for code in plain:
        assert code in checks or not reading.used(code) & answers, code
    for task in listed:
        others = {n for t in listed if t is not task for n in reading.bound(t.solution)}
        own = reading.bound(task.solution) | set().union(*(reading.bound(c) for c in plain))
        assert not reading.used(task.solution) & (others - own), "depends on another solution"


@pytest.mark.parametrize("path", MODULES, ids=[path.stem for path in MODULES])
def test_modules_of_the_course_are_short_light_and_take_only_public_names(path):
    code = path.read_text(encoding="utf-8")
    tree = ast.parse(code)
    assert len(code.splitlines()) <= 400
    assert ast.get_docstring(tree)
    answers = path.name.startswith("answers_")
    assert not answers or not reading.private_names(code)
    for node in tree.body:
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        # Answers are loaded when the first is checked; `from course import check` is quick.
        unwanted = {"tests"} if answers else {*HEAVY, "tests"}
        assert not {name.partition(".")[0] for name in names} & unwanted


def test_a_complete_exercise_is_read():
    (task,) = reading.tasks([QUESTION, SCAFFOLD, CHECK, SOLUTION], "01")
    assert task.solution == "answer_1 = 0.5\n"
    assert task.name == "01.1"


@pytest.mark.parametrize(
    "broken",
    [
        [QUESTION, SCAFFOLD, CHECK, QUESTION],
        [QUESTION, CHECK, SCAFFOLD, SOLUTION],
        [SOLUTION, SCAFFOLD, CHECK, SOLUTION],
        [Cell("markdown", "### Exercise 01.2: Half", ()), SCAFFOLD, CHECK, SOLUTION],
        [QUESTION, Cell("code", "pass", ("exercise",)), CHECK, SOLUTION],
        [QUESTION, SCAFFOLD, Cell("code", 'check("01.2", answer_1)', ("check",)), SOLUTION],
        [QUESTION, SCAFFOLD, CHECK, Cell("markdown", "½", ("solution",))],
        [QUESTION, SCAFFOLD, CHECK, Cell("markdown", SOLUTION.source, ())],
        [QUESTION, SCAFFOLD, CHECK, SOLUTION, SOLUTION],
    ],
)
def test_a_broken_exercise_is_noticed(broken):
    with pytest.raises(AssertionError):
        reading.tasks(broken, "01")


@pytest.mark.parametrize(
    "code",
    [
        "import linvae._moments",
        "from linvae._types import Terms",
        "from linvae import _types",
        "curve._segments",
        "from linvae.frontier import FloatArray",
        "from linvae import nothing",
        "from course.kinds import random",
    ],
)
def test_a_private_name_is_noticed(code):
    assert reading.private_names(code)


def test_public_names_pass():
    code = "import linvae as lv\nfrom linvae.symbolic import modes\nfrom course import check\n"
    assert not reading.private_names(code + "from linvae import response\nlv.Frontier.at_beta")


@pytest.mark.parametrize("name", NAMES)
def test_exercises_use_only_names_that_the_notebook_binds(name):
    found = reading.cells(name)
    plain = [c.source for c in found if c.kind == "code" and "exercise" not in c.tags]
    known = set().union(*(reading.bound(code) for code in plain)) | set(dir(builtins))
    for task in reading.tasks(found, name[:2]):
        for code in (task.scaffold, task.solution):
            assert not reading.used(code) - known - reading.bound(code), task.name
