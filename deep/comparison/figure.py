"""The picture of a record: curves on the left, what they lose at every β on the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep._checks import fail
from deep.comparison.record import check_record
from deep.comparison.statistics import OVER
from linvae.plotting import new_figure, save_figure

__all__ = ["draw_record", "save_picture"]

FloatArray = NDArray[np.float64]
Rows = Sequence[Mapping[str, Any]]

# Of Okabe and Ito; markers differ too, for a print in grey.
_BLUE, _VERMILLION, _GREY = "#0072B2", "#D55E00", "#767676"
_MULTI: dict[str, Any] = {"color": _BLUE, "marker": "o", "ms": 6, "mfc": "white", "mew": 1.6}
_ALONE: dict[str, Any] = {"color": _VERMILLION, "marker": "D", "ms": 4.5}
# Percent up to which a symmetric logarithm is linear.
_FROM = (1e-3, 1e-2, 1e-1, 1.0)


def draw_record(record: Mapping[str, Any]) -> Any:
    """Draw a record that :func:`deep.comparison.record.check_record` accepts.

    Left: distortion against rate, with the reference's curve. Right: excess over the reference at
    each β, in percent of what a model that ignores the data loses, or in nats where that is little;
    bars are the confidence intervals of the record, over what the axis says.

    Parameters
    ----------
    record : mapping

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    InputError
        An incomplete record.
    """
    missing = check_record(record)
    if missing:
        fail("record", "; ".join(missing[:5]), "a complete record",
             "read one that experiment_record made")  # fmt: skip
    figure, (left, right) = new_figure(2, width=6.4, height=4.8)
    _draw_curves(left, record)
    _draw_excess(right, record)
    for ax in (left, right):
        ax.grid(alpha=0.25, lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle(record["experiment"], x=0.01, ha="left", fontsize=11)
    return figure


def save_picture(path: str | Path, record: Mapping[str, Any]) -> Path:
    """Draw a record and write it as PNG or SVG, whole or not at all."""
    return save_figure(draw_record(record), path)


def _draw_curves(ax: Any, record: Mapping[str, Any]) -> None:
    reference = record["reference"]
    curve = reference["curve"]
    ax.plot(curve["rate"], curve["distortion"], color=_GREY, lw=2.2, label=reference["name"])
    for rows, style, label in _sets(record):
        ax.errorbar(
            _column(rows, "rate"),
            _column(rows, "distortion"),
            xerr=2 * _column(rows, "rate_se"),
            yerr=2 * _column(rows, "distortion_se"),
            ls="none",
            elinewidth=1,
            label=label,
            zorder=4,
            **style,
        )
    rates, distortions = (_all(record, name) for name in ("rate", "distortion"))
    # The reference may go on beyond the measured points; the frame shows those.
    for limits, values in ((ax.set_xlim, rates), (ax.set_ylim, distortions)):
        margin = 0.06 * (float(np.ptp(values)) or 1.0)
        limits(float(values.min()) - margin, float(values.max()) + margin)
    _label_betas(ax, record["multi_rate"], rates, distortions)
    ax.set_xlabel("rate  [nats per sample]")
    ax.set_ylabel("distortion  [nats per sample]")
    ax.legend(frameon=False, fontsize=8.5, loc="upper right")


def _label_betas(ax: Any, rows: Rows, rates: FloatArray, distortions: FloatArray) -> None:
    """Name β's at points that lie well apart, to the left of points at the right edge."""
    span = float(np.ptp(rates)) or 1.0, float(np.ptp(distortions)) or 1.0
    last: tuple[float, float] | None = None
    for row in rows:
        here = row["rate"] / span[0], row["distortion"] / span[1]
        if last is None or np.hypot(here[0] - last[0], here[1] - last[1]) > 0.16:
            last = here
            late = row["rate"] > float(rates.max()) - 0.1 * span[0]
            ax.annotate(f"β = {row['beta']:.2g}", (row["rate"], row["distortion"]),
                        xytext=(4 if late else 7, 9 if late else 6), textcoords="offset points",
                        ha="right" if late else "left", fontsize=8)  # fmt: skip


def _draw_excess(ax: Any, record: Mapping[str, Any]) -> None:
    ax.set_xscale("log")
    _scale(ax, [_excess(rows) for rows, _, _ in _sets(record)])
    ax.axhline(0, color=_GREY, lw=2.2, zorder=2, label=record["reference"]["name"])
    for rows, style, label in _sets(record):
        value, low, high = _excess(rows)
        ax.errorbar(_column(rows, "beta"), value, yerr=[value - low, high - value], lw=1,
                    elinewidth=1, capsize=2.5, label=label, zorder=3, **style)  # fmt: skip
    _shade(ax, record["multi_rate"])
    ax.set_xlabel(f"β      ({_bars(record)})")
    ax.set_ylabel("excess objective  [% of a collapsed model's]")
    ax.legend(frameon=False, fontsize=8.5, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _bars(record: Mapping[str, Any]) -> str:
    """What the bars are; the two kinds of network apart where they differ."""
    about = record["statistics"]
    over = {name: about[name]["over"] for name in ("multi_rate", "dedicated") if record[name]}
    if set(over.values()) == {OVER[0]}:
        return f"no bars: {OVER[0]}"
    texts = [f"none for {text}" if text == OVER[0] else f"over {text}" for text in over.values()]
    if len(set(texts)) == 1:
        return f"bars: {100 * float(about['confidence']):g} % intervals {texts[0]}"
    return (f"bars: {100 * float(about['confidence']):g} % intervals, multi-rate {texts[0]},\n"
            f"dedicated {texts[1]}")  # fmt: skip


def _shade(ax: Any, rows: Rows) -> None:
    """Mark the β's, the largest ones, where the excess is in nats."""
    little = [row["beta"] for row in rows if row["in_nats"]]
    if not little:
        return
    below = [row["beta"] for row in rows if row["beta"] < min(little)]
    left, right = ax.get_xlim()
    start = float(np.sqrt(max(below) * min(little))) if below else left
    ax.axvspan(start, right, color="#000000", alpha=0.08, lw=0, zorder=0,
               label="1 % is 0.01 nats here: little to lose")  # fmt: skip
    ax.set_xlim(left, right)


def _scale(ax: Any, bars: Sequence[tuple[FloatArray, FloatArray, FloatArray]]) -> None:
    """A symmetric logarithm where excesses differ by orders of magnitude, else linear."""
    size = np.abs(np.concatenate([value for value, _, _ in bars]))
    usual = float(np.median(size))
    if size.max() > 30 * usual > 0:
        unit = max((u for u in _FROM if u <= usual), default=_FROM[0])
        ax.set_yscale("symlog", linthresh=unit)


def _excess(rows: Rows) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Value and ends of its bar, percent."""
    value = _column(rows, "normalised_excess")
    low, high = value.copy(), value.copy()
    for place, row in enumerate(rows):
        ends = row.get("normalised_excess_interval")
        if ends is not None:
            low[place], high[place] = ends
    return 100 * value, 100 * low, 100 * high


def _sets(record: Mapping[str, Any]) -> list[tuple[Rows, dict[str, Any], str]]:
    count = len(record["dedicated"])
    found: list[tuple[Rows, dict[str, Any], str]] = []
    if count:
        found.append((record["dedicated"], _ALONE, f"{count} dedicated models"))
    return [*found, (record["multi_rate"], _MULTI, "one multi-rate model")]


def _column(rows: Rows, name: str) -> FloatArray:
    return np.array([row[name] for row in rows], dtype=np.float64)


def _all(record: Mapping[str, Any], name: str) -> FloatArray:
    return np.concatenate([_column(rows, name) for rows, _, _ in _sets(record)])
