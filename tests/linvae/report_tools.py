"""What the tests of the page share: a parser of it, and what its script computes, in NumPy."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser
from typing import Any

import numpy as np

__all__ = ["NASTY", "Page", "array_of", "reconstructed"]

# Everything that could end an element, an attribute or a script, and what it would then do.
NASTY = "</script><script>window.hacked=1</script>\"'><img src=x onerror=window.hacked=1>&amp;{{}}"


class Page(HTMLParser):
    """Elements of a page with their attributes, and the text inside scripts and all else."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words = ""
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self) -> Any:
        return json.loads(self.scripts[0])

    def download(self, name: str) -> str:
        [link] = [a["href"] for a in self.all("a") if a.get("download") == name]
        assert link is not None
        return base64.b64decode(link.partition("base64,")[2]).decode()


def array_of(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=kind).astype(np.float64)


def reconstructed(images: Any, critical: Any, beta: float) -> np.ndarray:
    """The page's reconstructions in data units, shape (S, n), from what it stores."""
    mean = array_of(images["mean"], "<f8")
    vectors = np.concatenate(
        [array_of(images["vectors16"], "<i2"), array_of(images["vectors8"], "<i1")]
    ).reshape(-1, mean.size)
    modes = len(vectors)
    places = array_of(images["places"], "<f8").reshape(len(images["rows"]), modes)
    gains = np.maximum(1 - beta / np.array(critical[:modes]), 0.0)
    return mean + (places * gains * np.array(images["steps"])) @ vectors
