"""Writes into docs/ what the site shows from elsewhere: notebooks, proofs, the list of modules.

A file is written only when its text changes, so that a second build reads only what is new; what
has lost its source is removed.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import proof_pages
import reference
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

MATHJAX = "tex-svg-full.js"


def write_pages(folder: Path, pages: dict[str, str]) -> None:
    """Make the folder hold exactly these pages."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in sorted(folder.rglob("*")):
        if path.is_file() and str(path.relative_to(folder)) not in pages:
            path.unlink()


def course_pages(notebooks: Path) -> dict[str, str]:
    """Notebooks as text, and the package with their checks, which they import."""
    sources = sorted(notebooks.glob("[0-9][0-9]-*.md"))
    sources += sorted((notebooks / "course").glob("*.py"))
    return {str(path.relative_to(notebooks)): path.read_text("utf-8") for path in sources}


def mathjax_file() -> Path:
    """Return MathJax as the package sphinx-mathjax-offline carries it (its name has hyphens)."""
    found = importlib.util.find_spec("sphinx-mathjax-offline")
    if found is None or found.origin is None:
        raise ExtensionError("sphinx-mathjax-offline is missing: pip install -e '.[docs]'")
    return Path(found.origin).parent / "static" / "mathjax" / MATHJAX


def prepare(app: Sphinx) -> None:
    """Write all that is generated, before Sphinx looks for pages."""
    docs = Path(app.srcdir)
    root = Path(app.confdir).parent
    write_pages(docs / "course", course_pages(root / "notebooks"))
    write_pages(docs / "proofs", proof_pages.pages(root / "proofs"))
    write_pages(docs / "api", reference.pages())


def copy_mathjax(app: Sphinx) -> None:
    """Put MathJax where ``html_static_path`` finds it."""
    target = Path(app.srcdir) / "_build" / "assets" / "mathjax" / MATHJAX
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(mathjax_file(), target)


def read_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """Fill in sections of the README, and drop the empty line that ends an example."""
    readme = (Path(app.confdir).parent / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"<!-- README: (\w+) -->", lambda found: section(readme, found[1]), source[0])
    source[0] = re.sub(r"(```python\n>>>(?:(?!```).)*?)\n\n```", r"\1\n```", text, flags=re.S)


def section(readme: str, title: str) -> str:
    """A section of the README; results that it links to become downloads, pages stay pages."""
    text = readme.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    text = text.split("\nSee [CONTRIBUTING.md]", 1)[0]
    text = re.sub(r"(?<!!)\[([^\]]+)\]\((results/[^)]+)\)", r"{download}`\1 <../\2>`", text)
    return text.replace("](results/", "](../results/").replace("](docs/", "](")


def spread(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Deal the notebooks out evenly: pages are read in batches, and a batch by one process."""
    slow = [name for name in docnames if name.startswith("course/")]
    rest = [name for name in docnames if name not in slow]
    docnames[:] = list(_dealt(slow, rest))


def _dealt(slow: list[str], rest: list[str]) -> Iterator[str]:
    share = -(-len(rest) // len(slow)) if slow else len(rest)
    for place, name in enumerate(slow):
        yield name
        yield from rest[place * share : (place + 1) * share]
    yield from rest[len(slow) * share :]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("config-inited", lambda app, config: copy_mathjax(app))
    app.connect("builder-inited", prepare)
    app.connect("env-before-read-docs", spread)
    app.connect("source-read", read_source)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
