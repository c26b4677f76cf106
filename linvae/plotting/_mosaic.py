"""Rows and columns of images as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Any

import numpy as np

from linvae._validation import FloatArray, as_array, as_vector, check_count, check_finite, fail

from . import _style

__all__ = [
    "draw",
    "images",
    "name_rows",
    "shape_of_images",
]

_SHAPE = "pass image_shape=(height, width), or (height, width, 3)"


def shape_of_images(given: Any, own: tuple[int, ...]) -> tuple[int, ...]:
    """Height, width and perhaps 3 colours: as given, as the array's own, or square."""
    if given is None and len(own) == 1:
        side = isqrt(own[0])
        if side * side != own[0]:
            fail("image_shape", f"None for {own[0]} values per image", "a square number of them",
                 _SHAPE)  # fmt: skip
        return side, side
    shape = own if given is None else given
    if (
        not isinstance(shape, tuple | list)
        or len(shape) not in (2, 3)
        or shape[2:] not in ((), (3,), [3])
    ):
        fail("image_shape", f"{shape!r}"[:60], "(height, width) or (height, width, 3)", _SHAPE)
    return tuple(check_count("image_shape", size, 1, None, _SHAPE) for size in shape)


def images(name: str, value: Any, shape: tuple[int, ...], count: int) -> FloatArray:
    """Finite images (count, *shape), from rows that hold as many values in any arrangement."""
    array = as_array(name, value)
    size = int(np.prod(shape))
    if not array.ndim or len(array) != count or array.size != count * size:
        fail(name, f"images of shape {array.shape}", f"{count} images of shape {shape}, that is "
             f"({count}, {size})", _SHAPE)  # fmt: skip
    check_finite(name, array)
    return np.asarray(array, dtype=np.float64).reshape(count, *shape)


def draw(ax: Any, tiles: FloatArray, value_range: Any, names: Sequence[str]) -> Any:
    """Draw images (rows, columns, height, width[, 3]), gaps between them, and name the columns."""
    low, high = _span(tiles, value_range)
    rows, columns, height, width = tiles.shape[:4]
    gap = max(1, round(min(height, width) / 10))
    colour = tiles.ndim == 5
    if colour:
        # By halves, as a span can be beyond the float64 range.
        tiles = np.clip((tiles / 2 - low / 2) / (high / 2 - low / 2), 0.0, 1.0)
    empty = 1.0 if colour else np.nan
    size = (rows * (height + gap) - gap, columns * (width + gap) - gap)
    picture = np.full(size + tiles.shape[4:], empty)
    for row in range(rows):
        for column in range(columns):
            top, left = row * (height + gap), column * (width + gap)
            picture[top : top + height, left : left + width] = tiles[row, column]
    ax = _fitting_axes(size, names) if ax is None else _style.axes_or_new(ax)
    ax.imshow(picture, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    room = _style.usual_width(ax) / columns
    ax.set_xticks(np.arange(columns) * (width + gap) + (width - 1) / 2, names,
                  rotation=90 if _longest(names) > room else 0)  # fmt: skip
    ax.set_yticks(np.arange(rows) * (height + gap) + (height - 1) / 2, [""] * rows)
    return ax


def name_rows(ax: Any, texts: Sequence[str] | None, label: str) -> None:
    """Text beside each row, or only a name for all of them."""
    if texts is not None:
        ax.set_yticks(ax.get_yticks(), texts)
    ax.set_ylabel(label)


def _span(tiles: FloatArray, value_range: Any) -> tuple[float, float]:
    if value_range is None:
        low, high = float(tiles.min()), float(tiles.max())
        return (low, high) if low < high else (low - 0.5, low + 0.5)
    low, high = as_vector("value_range", value_range, 2)
    if low > high:
        fail("value_range", f"({low:g}, {high:g})", "low < high", "pass black first, then white")
    return (float(low), float(high)) if low < high else (float(low) - 0.5, float(low) + 0.5)


def _longest(names: Sequence[str]) -> float:
    """Length in ems, with a margin, of the longest name of a column."""
    return 0.6 * max(map(len, names)) + 0.5


def _fitting_axes(size: tuple[int, int], names: Sequence[str]) -> Any:
    """Axes of a figure that the picture and its texts fill, within the usual size."""
    import matplotlib

    width, height = (float(inches) for inches in matplotlib.rcParams["figure.figsize"])
    em = _style.text_size(1 / 72)  # inches
    upright = _longest(names) > 0.775 * width / em / len(names)
    beside, above = 3.5 * em, (5.5 + upright * _longest(names)) * em
    scale = min((width - beside) / size[1], max(height - above, em) / size[0])
    wide = max(size[1] * scale + beside, min(width, 32 * em))  # the x label needs its width, too
    return _style.new_figure(width=wide, height=size[0] * scale + above)[1]
