"""One page per proof: the claim, its argument in words, and the source that SymPy decides."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from proofs import MODULES

__all__ = ["pages"]

_ROW = re.compile(r"^\| ([^|]+) \| (.+?) \| (\w+) \| \[\w+\]\((\w+)\.py\)", re.M)


def pages(folder: Path) -> dict[str, str]:
    """Return every page of the section, by file name."""
    table = (folder / "README.md").read_text(encoding="utf-8")
    rows = {module: (claim, statement) for claim, statement, _, module in _ROW.findall(table)}
    made = {}
    for name in MODULES:
        claim, statement = rows[name]
        words, code = _parts(folder / f"{name}.py")
        made[f"{name}.md"] = (
            f"# {claim}\n\n*{statement}*\n\n{_linked(_markdown(words), rows)}\n\n"
            f"<details><summary>The steps, as SymPy decides them</summary>\n\n"
            f"`python -m proofs {name} --steps` runs them.\n\n"
            f"````python\n{code}\n````\n\n</details>\n"
        )
    made["index.md"] = _index(table)
    made["notation.md"] = (folder / "notation.md").read_text(encoding="utf-8")
    return made


def _index(text: str) -> str:
    """The README with its links turned to pages; tests are not pages and keep their names only."""
    text = re.sub(r"\]\((\w+)\.py\)", r"](\1.md)", text)
    text = re.sub(r"\[(\w+)\]\(\.\./tests/[\w/]+\.py\)", r"`\1`", text)
    listed = "\n".join(MODULES)
    return f"{text}\n```{{toctree}}\n:hidden:\n\nnotation\n{listed}\n```\n"


def _parts(path: Path) -> tuple[str, str]:
    """Docstring and code of a module."""
    source = path.read_text(encoding="utf-8")
    words = ast.get_docstring(ast.parse(source)) or ""
    return words, source.split('"""', 2)[2].strip()


def _linked(text: str, rows: dict[str, tuple[str, str]]) -> str:
    """The names of other claims and proofs, as links to them."""
    pages = {claim: module for module, (claim, _) in rows.items()} | {m: m for m in rows}

    def link(found: re.Match[str]) -> str:
        page = pages.get(found[1])
        return f"[{found[1]}]({page}.md)" if page else found[0]

    return re.sub(r"`([^`\n]+)`", link, text)


def _markdown(words: str) -> str:
    """A docstring is nearly Markdown: what is indented are formulas; < and $ are themselves."""
    lines = []
    for line in words.splitlines():
        formula = line.startswith("    ")
        lines.append(line if formula else _escaped(line))
    return "\n".join(lines)


def _escaped(line: str) -> str:
    line = line.replace("``", "`")
    parts = line.split("`")
    parts[::2] = [re.sub(r"([<$\\])|(?<=\w)(\*)(?=[\w('])", r"\\\1\2", part) for part in parts[::2]]
    return "`".join(parts)
