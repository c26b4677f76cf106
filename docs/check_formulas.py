"""Typesets every formula of a built site in Chromium, as a reader's browser will.

    python docs/check_formulas.py docs/_build/html

A formula that MathJax cannot read, an error on a page's console and a request that leaves the site
are printed; exit code 1 if there is any. Without Chromium, or without playwright, it says that
nothing was checked, and exits with 0.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

_FORMULA = re.compile(r'class="math notranslate[^"]*"[^>]*>(.*?)</(?:span|div)>', re.S)
_DELIMITED = re.compile(r"\\\((.*?)\\\)|\\\[(.*?)\\\]", re.S)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SAMPLE = ("index.html", "theorem.html", "search.html", "api/linvae.response.html")
# Commands that MathJax does not know are errors here; on a page they would be shown in red.
_SETUP = """window.MathJax = {startup: {typeset: false},
  tex: {packages: {'[-]': ['noundefined', 'noerrors']},
        formatError: (jax, error) => { throw error; }}};"""
_TYPESET = """formulas => formulas.map(([text, display]) => {
  try { MathJax.tex2svg(text, {display}); return null; }
  catch (error) { return String(error.message); }
})"""


def formulas(site: Path) -> dict[tuple[str, bool], str]:
    """Every distinct formula, in line or displayed, with the first page that has it."""
    found: dict[tuple[str, bool], str] = {}
    for path in sorted(site.rglob("*.html")):
        for block in _FORMULA.findall(path.read_text(encoding="utf-8")):
            text = re.sub(r'<span class="eqno">.*?</span>', "", block, flags=re.S)
            for inline, display in _DELIMITED.findall(html.unescape(re.sub(r"<[^>]+>", "", text))):
                found.setdefault((inline or display, bool(display)), str(path.relative_to(site)))
    return found


def problems(site: Path, executable: str) -> list[str]:
    """One line for each formula that fails, console error, and request that leaves the site."""
    from playwright.sync_api import sync_playwright

    found: list[str] = []
    known = formulas(site)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: found.append(f"asks for {request.url}")
                if not request.url.startswith(("file:", "data:", "blob:")) else None)  # fmt: skip
        page.on("console", lambda message: found.append(f"{page.url}: {message.text}")
                if message.type == "error" else None)  # fmt: skip
        blank = site / "_static" / "formulas.html"
        source = '<script src="mathjax/tex-svg-full.js"></script>'
        blank.write_text(f"<script>{_SETUP}</script>{source}", encoding="utf-8")
        try:
            page.goto(blank.as_uri())
            page.wait_for_function("Boolean(window.MathJax && MathJax.tex2svg)")
            answers = page.evaluate(_TYPESET, [list(key) for key in known])
        finally:
            blank.unlink()
        for ((text, _), where), answer in zip(known.items(), answers, strict=True):
            found += [] if answer is None else [f"{where}: {answer}: {json.dumps(text)}"]
        for name in _SAMPLE:
            page.goto((site / name).as_uri(), wait_until="load")
        browser.close()
    print(f"{len(known)} formulas typeset.")
    return found


def main() -> int:
    """Print the problems of the site named on the command line."""
    site = Path(sys.argv[1]).resolve()
    executable = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if executable is None or find_spec("playwright") is None:
        print("No Chromium, or no playwright: the formulas were not checked.")
        return 0
    found = problems(site, executable)
    print(
        "\n".join(found) or "Every formula is understood, and no page asks for anything elsewhere."
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
