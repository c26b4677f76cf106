"""Each notebook runs in a clean kernel, its exercises solved; wrong answers are rejected there."""

from __future__ import annotations

import re

import pytest
from nbclient.exceptions import CellExecutionError

from notebooks import sync

from . import reading, running
from .reading import NAMES

BROKEN = """---
jupytext:
  formats: ipynb,md:myst
kernelspec:
  display_name: Python 3 (ipykernel)
  language: python
  name: python3
---

# 01. Broken

```{code-cell} ipython3
CODE
```
"""


@pytest.fixture
def kernel_home(tmp_path, monkeypatch):
    for name, value in running.settings(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_runs_and_the_solutions_solve_the_exercises(name, kernel_home, record_property):
    if re.search(r"\b(import|from) (torch|deep)\b", (sync.FOLDER / f"{name}.md").read_text()):
        pytest.importorskip("torch")
    outcome = running.run(sync.FOLDER / f"{name}.ipynb", sync.FOLDER)
    record_property("seconds", round(outcome.seconds, 1))
    print(f"{name}: {outcome.seconds:.1f} s")
    asked = [task.name for task in reading.tasks(reading.cells(name), name[:2])]
    assert outcome.solved == [f"Exercise {task}: right." for task in asked]
    assert outcome.unanswered == [f"Exercise {task}: unanswered." for task in asked]
    assert [line[: line.index(".", 13)] for line in outcome.rejected] == [
        f"Exercise {task}: wrong" for task in asked
    ]
    assert outcome.noise == []
    assert any(outcome.pictures)
    for shown in outcome.pictures:
        assert all(shown), "a figure that is not drawn"
        assert len(set(shown)) == len(shown), "a figure that is shown twice"


@pytest.mark.slow
@pytest.mark.parametrize(
    "code", ["raise ValueError('no')", "import warnings\nwarnings.warn('loud', stacklevel=1)"]
)
def test_an_error_or_a_warning_fails(code, kernel_home):
    text = kernel_home / "01-broken.md"
    text.write_text(BROKEN.replace("CODE", code), encoding="utf-8")
    assert sync.main([], kernel_home) == 0
    with pytest.raises(CellExecutionError):
        running.run(sync.paired(text), kernel_home)


@pytest.mark.slow
def test_what_is_written_to_the_error_stream_is_seen(kernel_home):
    text = kernel_home / "01-loud.md"
    code = "import sys\nprint('loud', file=sys.stderr)"
    text.write_text(BROKEN.replace("CODE", code), encoding="utf-8")
    assert sync.main([], kernel_home) == 0
    assert running.run(sync.paired(text), kernel_home).noise == ["loud\n"]
