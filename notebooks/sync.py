"""Write the notebooks from their text: ``python -m notebooks.sync [--check] [NN ...]``.

The text ``NN-slug.md`` (MyST, as jupytext reads it) is the source. The paired ``NN-slug.ipynb``
holds no outputs, no execution counts, and identifiers that follow from the cells alone, so writing
it twice gives the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

__all__ = ["main", "notebook_of", "paired", "rendered", "texts"]

FOLDER = Path(__file__).resolve().parent
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def texts(names: Sequence[str] = (), folder: Path = FOLDER) -> list[Path]:
    """Return the notebooks' texts in order, or those whose names begin so.

    Raises
    ------
    LookupError
        If a name fits no text.
    """
    found = sorted(folder.glob("[0-9][0-9]-*.md"))
    for name in names:
        if not any(path.name.startswith(name) for path in found):
            raise LookupError(f"no text begins with {name!r} in {folder}")
    return [path for path in found if not names or path.name.startswith(tuple(names))]


def paired(text: Path) -> Path:
    """Return the notebook that belongs to a text."""
    return text.with_suffix(".ipynb")


def notebook_of(text: Path) -> Any:
    """Return a text as a notebook without outputs, with identifiers made from the cells."""
    import jupytext

    notebook = jupytext.reads(text.read_text(encoding="utf-8"), fmt="md:myst")
    kept = notebook.metadata.get("jupytext", {})
    notebook.metadata = {"jupytext": kept, "kernelspec": KERNEL}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        digest = sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        count = seen[digest] = seen.get(digest, 0) + 1
        cell["id"] = digest if count == 1 else f"{digest}-{count}"
        if cell.cell_type == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return notebook


def rendered(text: Path) -> str:
    """Return the bytes of the paired notebook, as text."""
    import nbformat

    notebook = notebook_of(text)
    nbformat.validate(notebook)
    written: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    return written.rstrip("\n") + "\n"


def _is_stale(text: Path) -> bool:
    target = paired(text)
    return not target.exists() or target.read_text(encoding="utf-8") != rendered(text)


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Write the stale notebooks, or with ``--check`` name them and return 1."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.sync", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NN", help="only notebooks that begin so")
    parser.add_argument("--check", action="store_true", help="write nothing, name what is stale")
    given = parser.parse_args(arguments)
    try:
        stale = [text for text in texts(given.names, folder) if _is_stale(text)]
    except LookupError as error:
        print(error, file=sys.stderr)
        return 2
    for text in stale:
        print(f"{'stale' if given.check else 'wrote'}: {paired(text).name}")
        if not given.check:
            paired(text).write_text(rendered(text), encoding="utf-8")
    return int(given.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
