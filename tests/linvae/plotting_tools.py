"""What the tests of pictures share: finding artists, and seeing whether texts are in the way."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any
from unittest import mock

import numpy as np

from linvae import Frontier, Hypernetwork, Spectrum, response

__all__ = ["VALUES", "assert_clear", "curve", "drawn_texts", "labelled", "published"]

VALUES = [9.0, 4.0, 2.0, 1.0, 0.5, 0.0]


def curve(values: Any = VALUES, k: int = 3) -> Frontier:
    return Frontier(Spectrum.from_eigenvalues(values), latent_dim=k, noise_variance=0.5)


def published(frontier: Frontier, beta: float) -> Hypernetwork:
    """The printed gates for the decoder that is optimal at one β."""
    k, variance = frontier.latent_dim, frontier.noise_variance
    decoder = response(frontier.spectrum, beta, latent_dim=k, noise_variance=variance).decoder
    return Hypernetwork.published(decoder=decoder, noise_variance=variance)


def labelled(ax: Any, start: str) -> Any:
    """The one line, or container of bars, whose legend text starts so."""
    artists = [*ax.lines, *ax.containers]
    found = [a for a in artists if str(a.get_label()).startswith(start)]
    assert len(found) == 1, [str(a.get_label()) for a in artists]
    return found[0]


def drawn_texts(figure: Any) -> list[Any]:
    """Texts that are really drawn: tick labels beyond the limits exist, too, but are not."""
    from matplotlib.text import Text

    found: dict[int, Any] = {}
    plain = Text.draw

    def spy(text: Any, renderer: Any, *rest: Any, **more: Any) -> None:
        if text.get_visible() and text.get_text().strip():
            found[id(text)] = text
        plain(text, renderer, *rest, **more)

    with mock.patch.object(Text, "draw", spy):
        figure.draw_without_rendering()
    return list(found.values())


def _corners(text: Any) -> Any:
    """Corners of the box around a text, turned as the text is, shape (4, 2), in pixels."""
    box, turn = text.get_window_extent(), text.get_rotation()
    centre = np.array([box.x0 + box.x1, box.y0 + box.y1]) / 2
    if turn % 90:
        text.set_rotation(0)
        flat = text.get_window_extent()
        text.set_rotation(turn)
        half, angle = np.array([flat.width, flat.height]) / 2, np.deg2rad(turn)
    else:
        half, angle = np.array([box.width, box.height]) / 2, 0.0
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    spin = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return centre + (signs * half) @ spin


def _overlap(a: Any, b: Any) -> bool:
    """Whether two rectangles share an inner point: no side of either separates them."""
    for box in (a, b):
        for axis in (box[1] - box[0], box[3] - box[0]):
            first, second = a @ axis, b @ axis
            slack = 1e-9 * np.abs(first).max()
            if first.max() <= second.min() + slack or second.max() <= first.min() + slack:
                return False
    return True


def _line_pixels(ax: Any) -> Any:
    """Points along all lines of the axes, no two neighbours more than a few pixels apart."""
    found = [np.zeros((0, 2))]
    for line in ax.lines:
        if line.get_transform() != ax.transData:
            continue  # a level across the whole axes
        at = ax.transData.transform(np.column_stack(line.get_data()))
        found.append(at)
        if line.get_linestyle() not in ("None", "none"):
            found += [np.linspace(p, q, 200) for p, q in pairwise(at)]
    return np.concatenate(found)


def assert_clear(figure: Any) -> None:
    """No text overlaps another, leaves the figure or is too small; no legend covers data."""
    texts = drawn_texts(figure)
    boxes = [_corners(text) for text in texts]
    for text, box in zip(texts, boxes, strict=True):
        inside = (box >= -0.5).all() and (box <= figure.bbox.size + 0.5).all()
        assert inside, f"{text.get_text()!r} leaves the figure"
        assert text.get_fontsize() >= 5, text.get_text()
    for (one, a), (two, b) in combinations(zip(texts, boxes, strict=True), 2):
        assert not _overlap(a, b), f"{one.get_text()!r} and {two.get_text()!r} overlap"
    for ax in figure.axes:
        legend = ax.get_legend()
        if legend is None or ax.name == "3d":
            continue
        box = legend.get_window_extent()
        over = _line_pixels(ax)
        seen = (over > [box.x0, box.y0]).all(axis=1) & (over < [box.x1, box.y1]).all(axis=1)
        assert not seen.any(), "the legend covers a line"
        for patch in ax.patches:
            assert not patch.get_window_extent().overlaps(box), "the legend covers a bar"
