"""Each text has its notebook, without outputs; writing it again changes nothing."""

from __future__ import annotations

import json

import pytest

from notebooks import sync

from .reading import NAMES, TEXTS

SMALL = """---
jupytext:
  formats: ipynb,md:myst
---

# 01. Title

```{code-cell} ipython3
1 + 1
```

```{code-cell} ipython3
:tags: [exercise]

1 + 1
```
"""


def test_there_is_a_course():
    assert [name[:2] for name in NAMES] == [f"{i:02d}" for i in range(1, len(NAMES) + 1)]
    assert NAMES


def test_every_notebook_has_a_text():
    assert sorted(path.stem for path in sync.FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("text", TEXTS, ids=NAMES)
def test_notebook_is_that_of_the_text(text):
    written = sync.paired(text).read_text(encoding="utf-8")
    assert written == sync.rendered(text), f"run: python -m notebooks.sync {text.stem}"


@pytest.mark.parametrize("text", TEXTS, ids=NAMES)
def test_no_outputs_are_stored(text):
    notebook = json.loads(sync.paired(text).read_text(encoding="utf-8"))
    assert notebook["metadata"]["jupytext"]["formats"] == "ipynb,md:myst"
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)


def test_writing_checking_and_going_stale(tmp_path, capsys):
    text = tmp_path / "01-small.md"
    text.write_text(SMALL, encoding="utf-8")
    assert sync.main(["--check"], tmp_path) == 1
    assert not sync.paired(text).exists()
    assert sync.main(["01"], tmp_path) == 0
    first = sync.paired(text).read_bytes()
    assert sync.main(["--check"], tmp_path) == 0
    sync.paired(text).unlink()
    assert sync.main([], tmp_path) == 0
    assert sync.paired(text).read_bytes() == first, "not deterministic"
    assert [c["metadata"].get("tags") for c in json.loads(first)["cells"]][2] == ["exercise"]
    text.write_text(SMALL.replace("1 + 1", "1 + 2", 1), encoding="utf-8")
    assert sync.main(["--check", "01"], tmp_path) == 1
    assert sync.main(["02"], tmp_path) == 2
    assert "no text begins with '02'" in capsys.readouterr().err
