"""What the pictures of the benchmarks share: measured times with a fitted law, and bars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from linvae.plotting import new_figure, save_figure
from linvae.plotting._style import COLOURS, GREY, LINES, MARKERS, frame, legend_above, legend_inside

from .timing import FloatArray, Power

__all__ = [
    "COLOURS",
    "GREY",
    "MARKERS",
    "finished",
    "measured",
    "panels",
    "picture_path",
    "save_figure",
    "sized",
    "stems",
]


def picture_path(output: Path) -> Path:
    """The picture beside a record."""
    return output.with_suffix(".png")


def panels(rows: int, columns: int, *, width: float = 3.6, height: float = 3.0) -> tuple[Any, Any]:
    """A figure and its axes (rows · columns,)."""
    figure, _ = new_figure(width=width * columns, height=height * rows)
    figure.clear()
    return figure, figure.subplots(rows, columns, squeeze=False).ravel()


def sized(ax: Any, sizes: Sequence[int]) -> None:
    """Name powers of ten of a grid, or its first, middle and last size: all would collide."""
    tens = [size for size in sizes if size == 10 ** round(float(np.log10(size)))]
    named = tens if len(tens) > 2 else [sizes[0], sizes[len(sizes) // 2], sizes[-1]]
    ax.set_xticks(named, [_shortly(size) for size in named])
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_formatter("")


def _shortly(size: int) -> str:
    power = round(float(np.log10(size)))
    if size >= 10_000 and size == 10**power:
        return f"$10^{power}$"
    return f"{size:,}".replace(",", "\u202f")


def measured(
    ax: Any, sizes: Any, seconds: Any, *, turn: int = 0, label: str = "", law: Power | None = None
) -> None:
    """Draw times on logarithmic axes, and the fitted law as a line through its own sizes."""
    colour = COLOURS[turn]
    sizes = np.asarray(sizes, np.float64)
    words = [label] if label else []
    if law is not None:
        inside: FloatArray = sizes[sizes >= law.fitted_from]
        ax.loglog(inside, law(inside), LINES[turn % len(LINES)], color=colour, lw=1.4)
        words.append(f"exponent {law}")
    ax.loglog(sizes, seconds, ls="none", marker=MARKERS[turn], color=colour, mfc="white",
              ms=5.5, mew=1.4, label=", ".join(words) or None)  # fmt: skip


def stems(
    ax: Any,
    names: Sequence[str],
    values: Sequence[float],
    x_label: str,
    title: str,
    *,
    at: float | None = None,
) -> None:
    """Values on a logarithmic axis, first on top, as points at the end of lines from a value.

    The numbers stand at the right of the axes, where no line can cross them.
    """
    places = np.arange(len(names))[::-1]
    known = [*values] if at is None else [*values, at]
    low, high = min(known) / 2, max(known) * 2
    ax.hlines(places, low if at is None else at, values, color=COLOURS[0], lw=2.0)
    ax.plot(values, places, ls="none", marker="o", ms=6, color=COLOURS[0])
    ax.set_xscale("log")
    ax.xaxis.set_minor_formatter("")  # within one decade they would collide
    ax.set_xlim(low, high)
    ax.set_ylim(-0.6, len(names) - 0.4)
    if at is not None:
        ax.axvline(at, color=GREY, lw=1.0, ls="--")
    for place, value in zip(places, values, strict=True):
        ax.text(1.02, place, f"{value:.3g}", transform=ax.get_yaxis_transform(), va="center",
                fontsize=8.5)  # fmt: skip
    ax.set_yticks(places, names)
    frame(ax, x_label, "", title)
    ax.grid(visible=False, axis="y")


def finished(ax: Any, x_label: str, y_label: str, title: str, *, legend: str | None = None) -> None:
    """Names of the axes and title; a legend in a corner that is free, or "above" the axes."""
    if legend == "above":
        frame(ax, x_label, y_label)
        legend_above(ax, title, columns=1)
        return
    frame(ax, x_label, y_label, title)
    if legend is not None:
        legend_inside(ax, legend)
