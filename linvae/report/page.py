"""The text of a page. Everything that comes from a user is escaped here, and only here."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from linvae.claims.types import Check
from linvae.frontier import Frontier

from . import figures, sections
from .images import Images
from .learned import Learned

if TYPE_CHECKING:
    from linvae.doctor import Examination

__all__ = ["Content", "page_html"]

_TYPES = {"csv": "CSV", "json": "JSON"}


@dataclass(frozen=True, eq=False)
class Content:
    """Everything a page shows.

    Attributes
    ----------
    curve : Frontier
    title : str
    description, notes : tuple of str
    beta_range : tuple of float
    start : float
        β at which the page opens.
    data_range : float or None
    downloads : dict
        File name -> (media type, text).
    images : Images or None
    checks : tuple of Check
    learned : Learned or None
    examination : Examination or None
    data : str
        JSON for the script, safe inside a script element.
    bokeh : str
        The text of BokehJS.
    versions : dict
    """

    curve: Frontier
    title: str
    description: tuple[str, ...]
    notes: tuple[str, ...]
    beta_range: tuple[float, float]
    start: float
    data_range: float | None
    downloads: dict[str, tuple[str, str]]
    images: Images | None
    checks: tuple[Check, ...]
    learned: Learned | None
    examination: Examination | None
    data: str
    bokeh: str
    versions: dict[str, str]


def page_html(content: Content) -> str:
    """The page: one file that loads nothing."""
    ours = _part("page.js")
    scripts = [_inside_script(content.bokeh), _inside_script(ours)]
    body = "\n".join([
        _header(content), sections.controls(content), "<main>", figures.figures(content),
        sections.modes(content.curve), _numbers(content),
        sections.learned(content.learned, content.curve), sections.claims(content.checks),
        _examination(content.examination), sections.conventions(content.curve), "</main>",
        _footer(content),
    ])  # fmt: skip
    title = sections.text(content.title)
    return (
        '<!DOCTYPE html>\n<html lang="en" class="static">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{title}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>\n{_part('page.css')}</style>\n</head>\n<body>\n{body}\n"
        f'<script type="application/json" id="linvae-data">{content.data}</script>\n'
        + "\n".join(f"<script>{script}</script>" for script in scripts)
        + "\n</body>\n</html>\n"
    )


def _part(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _inside_script(script: str) -> str:
    """A script that cannot end its element; carriage returns would change on the way in."""
    return script.replace("\r\n", "\n").replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(scripts: Sequence[str]) -> str:
    """What the page may do: run these scripts and no others, and load nothing at all."""
    hashes = (
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _header(content: Content) -> str:
    lines = [sections.element("p", line, 'class="soft"') for line in content.description]
    lines += [sections.element("p", f"Note: {note}", 'class="note"') for note in content.notes]
    return (
        f"<header>\n{sections.element('h1', content.title)}\n" + "\n".join(lines) + "\n"
        "<noscript><p><strong>This page moves with the help of scripts, which are switched off "
        'here.</strong> The <a href="#numbers">table of the curve</a>, the claims and the '
        "downloads work without them.</p></noscript>\n</header>"
    )


def _numbers(content: Content) -> str:
    links = " ".join(
        f'<a class="button" download="{name}" href="{_data_link(*file)}">'
        f"Download the curve as {_TYPES[name.rpartition('.')[2]]}</a>"
        for name, file in content.downloads.items()
    )
    return (
        '<section id="numbers">\n<h2>The curve in numbers</h2>\n'
        + sections.curve_table(content.curve, content.beta_range, content.data_range)
        + f'\n<p class="no-print">{links}</p>\n<p class="note no-print">The files hold the whole '
        "curve in full precision, with every critical β in range, and units in their headers.</p>\n"
        "</section>"
    )


def _data_link(kind: str, text: str) -> str:
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(_bytes(text)).decode()}"


def _bytes(text: str) -> bytes:
    return text.encode(errors="backslashreplace")  # a title can hold half a character


def _examination(examination: Examination | None) -> str:
    if examination is None:
        return ""
    from linvae.doctor.render import as_html_section

    return f'<div class="wide">\n{as_html_section(examination)}\n</div>'


def _footer(content: Content) -> str:
    made = ", ".join(f"{name} {version}" for name, version in content.versions.items())
    return (
        f"<footer>\n<p>Made with {html.escape(made)}. This page loads nothing and sends nothing; "
        "all its numbers are computed in it, in double precision.</p>\n</footer>"
    )
