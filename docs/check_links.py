"""Checks a built site: every link has its target, and no page loads anything from elsewhere.

    python docs/check_links.py docs/_build/html

Prints what is wrong, one line each; exit code 1 if anything is.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

__all__ = ["problems"]

# What a browser fetches by itself when it shows a page; a link to click on is not among it.
_LOADS = {
    ("script", "src"), ("img", "src"), ("source", "src"), ("source", "srcset"), ("iframe", "src"),
    ("embed", "src"), ("object", "data"), ("video", "src"), ("audio", "src"), ("image", "href"),
    ("use", "href"), ("link", "href"), ("img", "srcset"), ("video", "poster"),
    ("image", "xlink:href"), ("input", "src"),
}  # fmt: skip
_CSS = re.compile(r"""url\(\s*['"]?([^'")]+)|@import\s+['"]([^'"]+)""")


class _Page(HTMLParser):
    """Names that can be jumped to, links, and what is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self._style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._style = tag == "style"
        for key, value in attrs:
            if value is None:
                continue
            if key == "id" or (tag == "a" and key == "name"):
                self.names.add(value)
            elif (tag, key) in _LOADS:
                self.loads.append(value)
            elif key == "href":
                self.links.append(value)
            elif key == "style":
                self.loads += _css(value)

    def handle_endtag(self, tag: str) -> None:
        self._style = self._style and tag != "style"

    def handle_data(self, data: str) -> None:
        if self._style:
            self.loads += _css(data)


def _css(text: str) -> list[str]:
    return [first or second for first, second in _CSS.findall(text)]


def _external(target: str) -> bool:
    return target.startswith("//") or urlsplit(target).scheme in (
        "http",
        "https",
        "ftp",
        "ws",
        "wss",
    )


def problems(site: Path) -> list[str]:
    """One line for every broken link, and for everything that is loaded from another host."""
    pages = {path: _read(path) for path in sorted(site.rglob("*.html"))}
    found = [] if pages else [f"{site}: no pages"]
    for path, page in pages.items():
        where = path.relative_to(site)
        found += [f"{where}: loads {load}" for load in page.loads if _external(load)]
        for target in page.links + page.loads:
            if not _external(target) and not urlsplit(target).scheme:
                found += [f"{where}: {word}" for word in _missing(site, path, target, pages)]
    for path in sorted(site.rglob("*.css")):
        loads = _css(path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(site)}: loads {load}" for load in loads if _external(load)]
    return found


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _missing(site: Path, path: Path, target: str, pages: dict[Path, _Page]) -> list[str]:
    """What is wrong with one relative link."""
    address, fragment = urldefrag(target)
    address = unquote(urlsplit(address).path)
    file = (path.parent / address).resolve() if address else path
    file = file / "index.html" if file.is_dir() else file
    if not file.is_relative_to(site.resolve()) or not file.is_file():
        return [f"no such file: {target}"]
    page = pages.get(file)
    if fragment and page is not None and unquote(fragment) not in page.names | {"top"}:
        return [f"no such place: {target}"]
    return []


def main() -> int:
    """Print the problems of the site named on the command line."""
    site = Path(sys.argv[1]).resolve()
    found = problems(site)
    print(
        "\n".join(found)
        or f"{len(list(site.rglob('*.html')))} pages: links and resources are fine."
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
