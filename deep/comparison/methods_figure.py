"""The pictures of a comparison of methods: curves, what each loses at every β, and variants."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep._checks import fail
from deep.comparison.method_curves import same_betas
from deep.comparison.methods_check import check_methods
from deep.errors import InputError
from linvae.plotting import new_figure, save_figure

__all__ = ["draw_methods", "draw_variants", "save_pictures"]

FloatArray = NDArray[np.float64]
Record = Mapping[str, Any]

# Of Okabe and Ito; markers and dashes differ too, for a print in grey.
_GREY = "#767676"
_STYLES: dict[str, dict[str, Any]] = {
    "multi-rate": {"color": "#0072B2", "marker": "o", "ms": 6, "mfc": "white", "mew": 1.6},
    "dedicated": {"color": "#D55E00", "marker": "D", "ms": 4.5},
    "annealed": {"color": "#000000", "marker": "+", "ms": 9, "mew": 1.6},
}
_VARIANTS: tuple[dict[str, Any], ...] = (
    {"color": "#009E73", "marker": "s", "ms": 4.5, "ls": "--"},
    {"color": "#CC79A7", "marker": "^", "ms": 5.5, "ls": "-."},
    {"color": "#E69F00", "marker": "v", "ms": 5.5, "ls": ":"},
)
_PUBLISHED: dict[str, Any] = {"color": _GREY, "marker": "x", "ms": 6, "mew": 1.6}
_LABELS = {
    "multi-rate": "one multi-rate network",
    "dedicated": "{} dedicated networks",
    "annealed": "{} dedicated, β annealed",
}
# Few points over many: a diamond shows within a ring.
_ORDER = {"dedicated": 6, "annealed": 7, "variant": 4, "multi-rate": 5}
_ACROSS = 3  # panels of variants in a row
_SPREAD = 1.05  # factor between β's of methods drawn side by side
_WIDE = 25.0  # per cent from which on excesses are drawn on a symmetric logarithm


def draw_methods(record: Record) -> Any:
    """Draw the curves, and the excess of each method over the baseline at every β.

    Left: distortion against rate. Right: relative excess over the dedicated networks (over the
    multi-rate one where there are none), with its intervals and the margin of non-inferiority.
    Variants are drawn where there are three at most; :func:`draw_variants` has all of them.

    Parameters
    ----------
    record : mapping
        That :func:`deep.comparison.methods_check.check_methods` accepts.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    InputError
        An incomplete record.
    """
    _check(record)
    styles = _styles(record)
    base = _baseline(record)
    found = [c for c in (_comparison(record, m["name"], base) for m in _shown(record)) if c]
    figure, panels = new_figure(2 if found else 1, width=6.4, height=5.0)
    axes = np.atleast_1d(panels)
    _draw_curves(axes[0], record, styles)
    if found:
        _draw_excess(axes[1], record, styles, found)
    for ax in axes:
        _tidy(ax)
    figure.suptitle(textwrap.fill(record["experiment"], 65 * len(axes)), x=0.01, ha="left",
                    fontsize=11)  # fmt: skip
    return figure


def draw_variants(record: Record) -> Any:
    """Draw the excess of every variant in a panel of its own, the multi-rate network in each.

    Raises
    ------
    InputError
        An incomplete record, or one without variants.
    """
    _check(record)
    base = _baseline(record)
    shown = [c for c in record["comparisons"] if c["baseline"] == base
             and _kind(record, c["method"]) == "variant"]  # fmt: skip
    if not shown:
        fail("record", "no variants", "some", "draw_methods needs none", InputError)
    from matplotlib.figure import Figure

    across = min(_ACROSS, len(shown))
    down = math.ceil(len(shown) / across)
    size = (max(4.2 * across, 8.4), 3.2 * down + 1.0)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    main = _comparison(record, "multi-rate", base)
    for ax, comparison in zip(panels.flat, shown, strict=False):
        _variant_panel(ax, record, comparison, main)
    for ax in list(panels.flat)[len(shown) :]:
        ax.set_visible(False)
    _label_panels(panels, base, len(shown))
    figure.suptitle(textwrap.fill(record["experiment"], int(13 * size[0])), x=0.01, ha="left",
                    fontsize=11)  # fmt: skip
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=4, frameon=False, fontsize=8.5)
    return figure


def save_pictures(path: str | Path, record: Record) -> list[Path]:
    """Write the picture of a record, and beside it ``…-variants`` where there are some."""
    target = Path(path)
    written = [save_figure(draw_methods(record), target)]
    if any(method["kind"] == "variant" for method in record["methods"]):
        other = target.with_name(f"{target.stem}-variants{target.suffix}")
        written.append(save_figure(draw_variants(record), other))
    return written


def _check(record: Record) -> None:
    faults = check_methods(record)
    if faults:
        fail("record", "; ".join(faults[:5]), "a complete record", "read one that was written",
             InputError)  # fmt: skip


# --- curves --------------------------------------------------------------------------------------


def _draw_curves(ax: Any, record: Record, styles: Mapping[str, dict[str, Any]]) -> None:
    reference, published = record["reference"], record["published"]
    if reference is not None:
        curve = reference["curve"]
        ax.plot(curve["rate"], curve["distortion"], color=_GREY, lw=2.2, label=reference["name"])
    for method in _shown(record):
        style = {"lw": 1.2, "ls": "-", **styles[method["name"]]}
        if method["kind"] in ("dedicated", "annealed"):
            style["ls"] = "none"
        points = method["points"]
        ax.plot(_column(points, "rate"), _column(points, "distortion"),
                zorder=_ORDER[method["kind"]], label=_label(method), **style)  # fmt: skip
    if published is not None:
        ax.plot(_column(published["multi_rate"], "rate"),
                _column(published["multi_rate"], "distortion"), lw=1, zorder=3,
                label="published, multi-rate", **_PUBLISHED)  # fmt: skip
        ax.plot(_column(published["dedicated"], "rate"),
                _column(published["dedicated"], "distortion"), ls="none", zorder=3,
                label="published, dedicated", **{**_PUBLISHED, "marker": "*", "ms": 8})  # fmt: skip
    _frame(ax, record)
    _label_betas(ax, record["methods"][0]["points"])
    ax.set_xlabel("rate  [nats per sample]")
    ax.set_ylabel("distortion  [nats per sample]")
    ax.legend(frameon=False, fontsize=8.5, loc="upper right")


def _frame(ax: Any, record: Record) -> None:
    """The frame shows measured points, and a reference at their rates: it may go on beyond them."""
    rows = [p for method in _shown(record) for p in method["points"]]
    if record["reference"] is not None:
        low, high = np.quantile(_column(rows, "rate"), [0, 1])
        curve = record["reference"]["curve"]
        pairs = zip(curve["rate"], curve["distortion"], strict=True)
        rows += [{"rate": r, "distortion": d} for r, d in pairs if low <= r <= high]
    if record["published"] is not None:
        rows = [*rows, *record["published"]["multi_rate"], *record["published"]["dedicated"]]
    for limits, name in ((ax.set_xlim, "rate"), (ax.set_ylim, "distortion")):
        values = _column(rows, name)
        margin = 0.06 * (float(np.ptp(values)) or 1.0)
        # The name of the smallest β stands to the right of the largest rate.
        more = 0.08 if name == "rate" else 0.0
        limits(float(values.min()) - margin, float(values.max()) + margin + more * np.ptp(values))


def _label_betas(ax: Any, points: Sequence[Record]) -> None:
    """Name β's above and right of the curve, at points that lie well apart."""
    spans = [float(np.ptp(limits)) for limits in (ax.get_xlim(), ax.get_ylim())]
    last: FloatArray | None = None
    for point in points:
        here = np.array([point["rate"] / spans[0], point["distortion"] / spans[1]])
        if last is None or np.hypot(*(here - last)) > 0.14:
            last = here
            ax.annotate(f"β = {point['beta']:.2g}", (point["rate"], point["distortion"]),
                        xytext=(7, 7), textcoords="offset points", fontsize=8, zorder=8,
                        bbox={"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.8})  # fmt: skip


# --- excess --------------------------------------------------------------------------------------


def _draw_excess(
    ax: Any, record: Record, styles: Mapping[str, dict[str, Any]], found: Sequence[Record]
) -> None:
    base = _baseline(record)
    ax.set_xscale("log")
    ax.axhline(0, color=_GREY, lw=2.2, zorder=2, label=_base_label(base))
    _margin(ax, record)
    middle = (len(found) - 1) / 2
    for place, comparison in enumerate(found):
        style = styles[comparison["method"]]
        _bars(ax, comparison, style, _label(_method(record, comparison["method"])),
              shift=_SPREAD ** (place - middle))  # fmt: skip
    if record["published"] is not None:
        _published_excess(ax, record, base)
    _scale(ax)
    ax.set_xlabel(f"β      ({_bar_text(record)})")
    ax.set_ylabel(f"excess objective over {_base_name(base)}  [%]")
    ax.legend(frameon=False, fontsize=8.5, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)


def _bars(
    ax: Any, comparison: Record, style: Mapping[str, Any], label: str, *, shift: float = 1.0
) -> None:
    rows = comparison["rows"]
    betas, value = shift * _column(rows, "beta"), 100 * _column(rows, "excess")
    ends = [row["interval"] or [row["excess"], row["excess"]] for row in rows]
    low, high = 100 * np.array(ends, dtype=np.float64).T
    # Rounding of a mean may leave it outside an interval of no width.
    lengths = [np.maximum(value - low, 0), np.maximum(high - value, 0)]
    ax.errorbar(betas, value, yerr=lengths, elinewidth=1, capsize=2.5, label=label, zorder=3,
                **{"lw": 1, **style})  # fmt: skip


def _published_excess(ax: Any, record: Record, base: str) -> None:
    """What the published network loses against our baseline, at β's of both."""
    method = _method(record, base)
    ours = {point["beta"]: point["objective"] for point in method["points"]}
    theirs = record["published"]["multi_rate"]
    betas = np.array(list(ours))
    zero = record["statistics"]["zero"]
    points = []
    for row in theirs:
        same = same_betas(betas, np.array([row["beta"]]))
        if same.size:
            own = ours[float(same[0])]
            points.append((row["beta"], 100 * (row["objective"] - own) / (own - zero)))
    if points:
        ax.plot(*np.array(points).T, lw=1, ls="-", label="published, multi-rate", zorder=2,
                **_PUBLISHED)  # fmt: skip


def _margin(ax: Any, record: Record) -> None:
    margin = 100 * record["statistics"]["margin"]
    ax.axhline(margin, color="#000000", lw=1, ls=(0, (6, 3)), zorder=2, label=f"{margin:g} %")


def _scale(ax: Any) -> None:
    """A symmetric logarithm where a method is far off, so that the margin can still be seen."""
    low, high = ax.get_ylim()
    if max(abs(low), abs(high)) > _WIDE:
        ax.set_yscale("symlog", linthresh=2)
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _bar_text(record: Record) -> str:
    """What the bars are."""
    if all(row["interval"] is None for c in record["comparisons"] for row in c["rows"]):
        return "one seed: no intervals"
    return f"bars: {100 * record['statistics']['confidence']:g} % intervals over seeds"


# --- variants ------------------------------------------------------------------------------------


def _variant_panel(ax: Any, record: Record, comparison: Record, main: Record | None) -> None:
    ax.set_xscale("log")
    ax.axhline(0, color=_GREY, lw=2, zorder=2, label=_base_label(comparison["baseline"]))
    _margin(ax, record)
    if main is not None:
        rows = main["rows"]
        ax.plot(_column(rows, "beta"), 100 * _column(rows, "excess"), lw=1, zorder=2,
                label=_LABELS["multi-rate"], **_STYLES["multi-rate"])  # fmt: skip
    about = comparison["summary"]
    _bars(ax, comparison, {**_VARIANTS[0], "ls": "-"}, "the variant")
    _scale(ax)
    _tidy(ax)
    ax.set_title(f"{comparison['method']}\nworst {100 * about['worst']:+.2f} % at β = "
                 f"{about['worst_beta']:.2g}, mean {100 * about['mean']:+.2f} %",
                 fontsize=9, loc="left")  # fmt: skip


def _label_panels(panels: Any, base: str, count: int) -> None:
    across = panels.shape[1]
    for place, ax in enumerate(list(panels.flat)[:count]):
        if place % across == 0:
            ax.set_ylabel(f"excess over\n{_base_name(base)}  [%]")
        if place + across >= count:  # nothing below it
            ax.set_xlabel("β")
            ax.tick_params(labelbottom=True)


# --- reading a record ----------------------------------------------------------------------------


def _shown(record: Record) -> list[Record]:
    """Methods of the first picture, dedicated ones first so that lines lie above them."""
    variants = [m for m in record["methods"] if m["kind"] == "variant"]
    hidden = [] if len(variants) <= len(_VARIANTS) else [m["name"] for m in variants]
    order = ("dedicated", "annealed", "variant", "multi-rate")
    shown = [m for m in record["methods"] if m["name"] not in hidden]
    return sorted(shown, key=lambda m: order.index(m["kind"]))


def _styles(record: Record) -> dict[str, dict[str, Any]]:
    variants = iter(_VARIANTS)
    return {
        m["name"]: next(variants) if m["kind"] == "variant" else _STYLES[m["kind"]]
        for m in _shown(record)
    }


def _baseline(record: Record) -> str:
    """The dedicated networks, or the multi-rate one where there are none."""
    names = [method["name"] for method in record["methods"]]
    return "dedicated" if "dedicated" in names else "multi-rate"


def _base_name(base: str) -> str:
    return "the dedicated networks" if base == "dedicated" else "the multi-rate network"


def _base_label(base: str) -> str:
    return "dedicated networks" if base == "dedicated" else "one multi-rate network"


def _label(method: Record) -> str:
    name: str = method["name"]
    return _LABELS.get(method["kind"], name).format(len(method["points"]))


def _method(record: Record, name: str) -> Record:
    found: Record = next(m for m in record["methods"] if m["name"] == name)
    return found


def _kind(record: Record, name: str) -> str:
    return str(_method(record, name)["kind"])


def _comparison(record: Record, method: str, base: str) -> Record | None:
    pairs = ((c["method"], c["baseline"]) for c in record["comparisons"])
    found = zip(pairs, record["comparisons"], strict=True)
    return next((c for pair, c in found if pair == (method, base)), None)


def _column(rows: Sequence[Record], name: str) -> FloatArray:
    return np.array([row[name] for row in rows], dtype=np.float64)


def _tidy(ax: Any) -> None:
    ax.grid(alpha=0.25, lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
