"""Names in docstrings, resolved as a reader of the module means them.

``linvae.Frontier`` is documented where it is defined, as ``linvae.frontier.Frontier``: a reference
to one name finds the other. ``spectrum : Spectrum`` links to what that module calls Spectrum, while
the words of ``beta : float or array (...)`` are words and stay text. What is written as a reference
(a role such as ``:func:``) must resolve; Sphinx reports it if it does not.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import Any

import reference
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx


@cache
def homes() -> dict[int, str]:
    """Documented name of every public class and function, by identity."""
    modules = reference.public_modules()
    found = reference.homes({name: sys.modules[name] for name in modules})
    return {key: f"{module}.{name}" for key, (module, name) in found.items()}


@cache
def by_name() -> dict[str, list[str]]:
    """Documented names by their last part."""
    names: dict[str, list[str]] = {}
    for path in homes().values():
        names.setdefault(path.rsplit(".", 1)[-1], []).append(path)
    return names


def documented(target: str, module: str | None) -> str | None:
    """Full documented name of what ``target`` means in a module; None if it is none of ours."""
    parts = target.split(".")
    for cut in range(len(parts), 0, -1):
        if ".".join(parts[:cut]) in sys.modules and cut < len(parts):
            return _inside(sys.modules[".".join(parts[:cut])], parts[cut:])
    for name in (module, "linvae"):
        path = _inside(sys.modules.get(name or ""), parts)
        if path:
            return path
    known = by_name().get(parts[0], [])
    near = [path for path in known if path.split(".")[0] == (module or "").split(".")[0]]
    only = near if len(near) == 1 else known
    return ".".join([only[0], *parts[1:]]) if len(only) == 1 else None


def _inside(module: Any, parts: list[str]) -> str | None:
    found = getattr(module, parts[0], None)
    home = homes().get(id(found)) if found is not None else None
    return ".".join([home, *parts[1:]]) if home else None


def resolve(app: Sphinx, doctree: nodes.document) -> None:
    """Rewrite references to Python objects; make text of words that name none."""
    for node in list(doctree.findall(pending_xref)):
        if node.get("refdomain") != "py":
            continue
        field_words = node.get("reftype") in ("class", "exc") and "refspecific" in node
        prose = field_words and not node["reftarget"].rsplit(".", 1)[-1][:1].isupper()
        path = None if prose else documented(node["reftarget"], node.get("py:module"))
        private = node["reftarget"].rsplit(".", 1)[-1].startswith("_")  # has no page
        if path:
            node["reftarget"], node["reftype"] = path, "obj"
            node.attributes.pop("refspecific", None)
        elif field_words or private:
            node.replace_self(node.children)


def escape_bars(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """|x| is an absolute value here, not a substitution."""
    inside = False  # a formula, an example or a picture: as it stands
    for place, line in enumerate(lines):
        if line.lstrip().startswith((".. math::", ">>>", ".. plot::")):
            inside = True
            continue
        if inside and line.strip() and not line.startswith(" "):
            inside = False
        if not line.strip() and inside and lines[place - 1].strip():
            inside = lines[place - 1].lstrip().startswith(".. ")
        if not inside:
            lines[place] = re.sub(r"(`[^`]*`)|\|", lambda m: m[1] or r"\|", line)


def skip_fields(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Fields of named tuples are in their docstring's table."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("doctree-read", resolve)
    app.connect("autodoc-process-docstring", escape_bars)
    app.connect("autodoc-skip-member", skip_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
