"""Execute notebooks in a clean kernel, with solutions in place of the exercise cells."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from . import reading

# Per cell, generous: a cell that hangs ends the test, a slow computer does not.
TIMEOUT = 300
# Warnings of what the notebook runs are errors; those that the kernel itself gives are its own.
STRICT = 'import warnings\nwarnings.simplefilter("error")'
# ... and what it gives when it ends is not of interest.
CALM = 'warnings.simplefilter("ignore")'
# Each typical mistake and every generic wrong answer, through the check of the notebook.
REJECT = """
from course import exercises
for answer in (*exercises({notebook!r})[{name!r}].kind.perturbed(), None, float("nan"), "?"):
    verdict = check({name!r}, answer)
    assert verdict.status in ("wrong", "cannot read"), (verdict, answer)
for mistake in exercises({notebook!r})[{name!r}].wrong:
    verdict = check({name!r}, mistake.make())
    assert verdict.status == "wrong", verdict
verdict
"""


@dataclass(frozen=True)
class Run:
    """What came out of a notebook.

    Attributes
    ----------
    solved, unanswered, rejected
        The lines that the checks gave with the solutions, as shipped, and for a typical mistake.
    noise
        What was written to the error stream.
    pictures
        Of each code cell, the figures that it shows.
    seconds
        Of the notebook's own cells, without the start of the kernel.
    """

    solved: list[str]
    unanswered: list[str]
    rejected: list[str]
    noise: list[str]
    pictures: list[list[str]]
    seconds: float


def settings(folder: Path) -> dict[str, str]:
    """Return an environment without a user's own settings and with one thread per process."""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    homes = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR")
    return {
        **dict.fromkeys(threads, "1"),
        **{name: str(folder / name.lower()) for name in homes},
        # The debugger is not used; without this it warns of frozen modules.
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _prepared(notebook: Any, number: str) -> tuple[Any, list[reading.Task]]:
    plain = [
        reading.Cell(c.cell_type, c.source, tuple(c.metadata.get("tags", ())))
        for c in notebook.cells
    ]
    tasks = reading.tasks(plain, number)
    waiting = iter(tasks)
    for cell in notebook.cells:
        if "exercise" in cell.metadata.get("tags", ()):
            cell.source = next(waiting).solution
    extra = []
    for task in tasks:
        extra += [task.scaffold, task.check, REJECT.format(notebook=number, name=task.name)]
    cells = [new_code_cell(STRICT), *notebook.cells, *map(new_code_cell, [*extra, CALM])]
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata), tasks


def run(path: Path, folder: Path) -> Run:
    """Execute a stored notebook, its exercises solved, then as shipped, then wrongly answered."""
    notebook, tasks = _prepared(nbformat.read(path, as_version=4), path.name[:2])
    clock: list[float] = []
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        on_cell_executed=lambda **_: clock.append(time.monotonic()),
    )
    client.execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    own = len(code) - 3 * len(tasks) - 1
    checks = [cell for cell in code if "check" in cell.metadata.get("tags", ())]
    last = code[own:-1]
    return Run(
        solved=[_shown(cell) for cell in checks],
        unanswered=[_shown(cell) for cell in last[1::3]],
        rejected=[_shown(cell) for cell in last[2::3]],
        noise=[text for cell in code for text in _noise(cell)],
        pictures=[list(_pictures(cell)) for cell in code[:own]],
        seconds=clock[own - 1] - clock[0],
    )


def _shown(cell: Any) -> str:
    """Return the one line that a cell shows."""
    (output,) = cell.outputs
    line: str = output["data"]["text/plain"]
    assert len(line.splitlines()) == 1, line
    return line


def _noise(cell: Any) -> list[str]:
    streams = [o for o in cell.outputs if o["output_type"] == "stream"]
    return [o["text"] for o in streams if o["name"] == "stderr"]


def _pictures(cell: Any) -> Iterator[str]:
    """Give the figures that a cell shows, as PNG; empty for one that is shown by its name only."""
    for output in cell.outputs:
        shown = output.get("data", {})
        if shown.get("text/plain", "").startswith("<Figure"):
            yield shown.get("image/png", "")
