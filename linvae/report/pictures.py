"""The pictures of a page, drawn by Bokeh: their fixed parts; the page's script moves the rest.

No text of a user enters them: Bokeh would look for mathematics in it, and load what sets it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from linvae._types import CurvePoints
from linvae._validation import FloatArray, missing_package
from linvae.frontier import Frontier

from .learned import LearnedPoints

__all__ = ["COLOURS", "bokeh_script", "most_bars", "pictures"]

# Okabe and Ito: told apart by every kind of colour vision.
COLOURS = {
    "black": "#000000",
    "grey": "#6b6b6b",
    "blue": "#0072B2",
    "sky": "#56B4E9",
    "orange": "#E69F00",
    "vermillion": "#D55E00",
    "green": "#009E73",
}
_HEIGHT = 340
_MOST_GATES = 24
_MOST_RINGS = 40  # more of them would hide the curve
_GATE_POINTS = 100
_LEARNED = {"multi-rate": ("square", "vermillion"), "dedicated": ("triangle", "green")}
# A bar reaches down to here, relative to the largest eigenvalue, at most.
_LOWEST = 1e-9


def most_bars(latent_dim: int) -> int:
    """How many eigenvalues the picture of the water shows."""
    return max(2 * latent_dim, 24)


def bokeh_script() -> str:
    """The text of BokehJS, without widgets, tables or mathematics.

    Raises
    ------
    MissingPackageError
        Bokeh is not installed.
    """
    try:
        from bokeh.resources import Resources
    except ImportError:
        raise missing_package("bokeh", "it, to draw the page's pictures", "report") from None
    return str(Resources(mode="inline", components=["bokeh"], minified=True).js_raw[0])


def pictures(
    curve: Frontier,
    points: CurvePoints,
    learned: Sequence[LearnedPoints],
    beta: float,
) -> dict[str, Mapping[str, Any]]:
    """Documents of the four pictures, by the id of the element that takes each.

    Parameters
    ----------
    curve : Frontier
    points : CurvePoints
        The drawn part of the curve, β rising.
    learned : sequence of LearnedPoints
    beta : float
        Where the moving parts stand until the script has run.
    """
    from bokeh.embed import json_item

    low, high = float(points.beta[0]), float(points.beta[-1])
    drawn = {
        "picture-curve": _curve(curve, points, learned, beta),
        "picture-water": _water(curve, low, high),
        "picture-gains": _gains(curve),
        "picture-gates": _gates(curve, low, high),
    }
    embed: Any = json_item  # its own types want an ID where it takes a string
    return {name: dict(embed(figure, name)) for name, figure in drawn.items()}


def _figure(x_label: str, y_label: str, **more: Any) -> Any:
    from bokeh.plotting import figure

    drawn: Any = figure(
        tools="", toolbar_location=None, sizing_mode="stretch_width", height=_HEIGHT,
        min_width=240, x_axis_label=x_label, y_axis_label=y_label, outline_line_color=None, **more,
    )  # fmt: skip
    for axis in (*drawn.xaxis, *drawn.yaxis):
        axis.axis_label_text_font = axis.major_label_text_font = "system-ui, sans-serif"
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = axis.major_label_text_font_size = "13px"
        axis.axis_label_text_color = axis.major_label_text_color = "#1b1f24"
        axis.minor_tick_line_color = None
    drawn.grid.grid_line_color = "#e6e6e6"
    drawn.min_border_right = 18
    return drawn


def _range(start: float, end: float) -> Any:
    from bokeh.models import Range1d

    return Range1d(start=start, end=end)


def _source(name: str, **columns: Any) -> Any:
    from bokeh.models import ColumnDataSource

    return ColumnDataSource(data=columns, name=name)


def _hover(figure: Any, renderer: Any, *lines: tuple[str, str]) -> None:
    from bokeh.models import HoverTool

    names = {text.strip("@").partition("{")[0] for _, text in lines}
    figure.add_tools(HoverTool(
        renderers=[renderer], tooltips=list(lines),
        formatters={f"@{name}": "printf" for name in names},
    ))  # fmt: skip


# --- distortion against rate ---------------------------------------------------------------------


def _curve(
    curve: Frontier, points: CurvePoints, learned: Sequence[LearnedPoints], beta: float
) -> Any:
    rates = np.concatenate([points.rate, *(p.rate for p in learned)])
    heights = np.concatenate([points.distortion, *(p.distortion for p in learned)])
    drawn = _figure(
        "rate R  [nats per sample]", "distortion D  [nats per sample]",
        x_range=_range(*_padded(rates, 0.03)), y_range=_range(*_padded(heights, 0.05)),
        name="figure-curve",
    )  # fmt: skip
    drawn.line("x", "y", source=_source("tangent", x=[], y=[]), color=COLOURS["orange"],
               line_width=2, line_dash="dashed")  # fmt: skip
    drawn.line(points.rate, points.distortion, color=COLOURS["blue"], line_width=3)
    inside = curve.critical_betas[
        (curve.critical_betas >= points.beta[0]) & (curve.critical_betas <= points.beta[-1])
    ]
    if inside.size:
        _draw_critical(drawn, curve, inside)
    for part in learned:
        _draw_learned(drawn, part)
    at = curve.at_beta(beta)
    drawn.scatter(
        "x", "y", marker="diamond", size=19, color=COLOURS["black"], line_color="white",
        line_width=1.5, source=_source("point", x=[float(at.rate)], y=[float(at.distortion)]),
    )  # fmt: skip
    return drawn


def _padded(values: FloatArray, share: float) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    pad = share * (high - low) or max(abs(high), 1.0) * share
    return low - pad, high + pad


def _draw_critical(drawn: Any, curve: Frontier, inside: FloatArray) -> None:
    at = curve.at_beta(inside)
    source = _source("critical", x=at.rate, y=at.distortion, beta=inside,
                     mode=np.arange(1, inside.size + 1) + _dead_above(curve, inside))  # fmt: skip
    marks = drawn.scatter("x", "y", source=source, marker="circle", fill_color="white",
                          size=8 if inside.size <= _MOST_RINGS else 4, line_width=1.5,
                          line_color=COLOURS["blue"])  # fmt: skip
    _hover(drawn, marks, ("mode", "@mode{%d}"), ("critical β", "@beta{%.4g}"),
           ("rate", "@x{%.4g} nats"), ("distortion", "@y{%.4g} nats"))  # fmt: skip


def _dead_above(curve: Frontier, inside: FloatArray) -> int:
    """How many critical β's lie above the first one that is drawn."""
    return int(np.count_nonzero(curve.critical_betas > inside[0]))


def _draw_learned(drawn: Any, part: LearnedPoints) -> None:
    marker, colour = _LEARNED[part.label]
    across, up = 2 * part.rate_se, 2 * part.distortion_se
    source = _source(
        f"learned-{part.label}", x=part.rate, y=part.distortion, beta=part.beta,
        left=part.rate - across, right=part.rate + across,
        bottom=part.distortion - up, top=part.distortion + up,
    )  # fmt: skip
    line = {"source": source, "color": COLOURS[colour], "line_width": 2}
    drawn.segment("left", "y", "right", "y", **line)
    drawn.segment("x", "bottom", "x", "top", **line)
    marks = drawn.scatter("x", "y", marker=marker, size=11, fill_color=None,
                          line_color=COLOURS[colour], line_width=2, source=source)  # fmt: skip
    _hover(drawn, marks, ("β", "@beta{%.4g}"), ("rate", "@x{%.5g} nats"),
           ("distortion", "@y{%.5g} nats"))  # fmt: skip


# --- modes ---------------------------------------------------------------------------------------


def _water(curve: Frontier, low: float, high: float) -> Any:
    k, variance = curve.latent_dim, curve.noise_variance
    values = curve.spectrum.eigenvalues
    shown = values[values > 0][: most_bars(k)]
    top = max(float(shown[0]) if shown.size else 0.0, high * variance)
    with np.errstate(under="ignore"):
        floor = max(0.5 * min(low * variance, float(shown.min(initial=np.inf))), top * _LOWEST)
    drawn = _figure(
        "mode i", "eigenvalue λᵢ  [squared data units]", y_axis_type="log", name="figure-water",
        x_range=_range(0.2, max(shown.size, 1) + 0.8),
        y_range=_range(floor, min(top, 1e307) * 1.6),
    )  # fmt: skip
    rest = np.arange(k + 1, shown.size + 1)
    for name, colour in (("below", "sky"), ("above", "blue")):
        drawn.quad("left", "right", "top", "bottom", color=COLOURS[colour],
                   source=_source(name, left=[], right=[], top=[], bottom=[]))  # fmt: skip
    if rest.size:
        drawn.quad(
            left=rest - 0.41, right=rest + 0.41, top=shown[k:], bottom=floor, fill_color="white",
            line_color=COLOURS["grey"], hatch_pattern="right_diagonal_line",
            hatch_color=COLOURS["grey"], hatch_scale=6, hatch_weight=1,
        )  # fmt: skip
    drawn.line("x", "y", source=_source("level", x=[], y=[]), color=COLOURS["orange"],
               line_width=3, line_dash="dashed")  # fmt: skip
    drawn.xaxis.ticker.min_interval = 1
    return drawn


def _gains(curve: Frontier) -> Any:
    k = curve.latent_dim
    drawn = _figure(
        "mode i", "share of latent variance  [1]", name="figure-gains",
        x_range=_range(0.2, k + 0.8), y_range=_range(0, 1.02),
    )  # fmt: skip
    for name, colour in (("spread", "sky"), ("gain", "blue")):
        drawn.quad("left", "right", "top", "bottom", color=COLOURS[colour],
                   source=_source(name, left=[], right=[], top=[], bottom=[]))  # fmt: skip
    drawn.xaxis.ticker.min_interval = 1
    return drawn


def _gates(curve: Frontier, low: float, high: float) -> Any:
    from bokeh.palettes import Cividis256

    critical = curve.critical_betas[curve.critical_betas > 0]
    count = min(critical.size, _MOST_GATES)
    modes = np.unique(np.linspace(0, critical.size - 1, count).round().astype(int))
    drawn = _figure(
        "β  [dimensionless, log scale]", "gate √(1 − β/βᵢ)₊  [1]", x_axis_type="log",
        name="figure-gates", x_range=_range(low, high), y_range=_range(-0.02, 1.05),
    )  # fmt: skip
    lines = [_gate(float(critical[m]), low, high) for m in modes]
    # Yellow is too pale for white paper.
    shades = [Cividis256[round(205 * place / max(count - 1, 1))] for place in range(count)]
    # One glyph for all lines: a glyph each would take longer to build than all else.
    drawn.multi_line([list(x) for x, _ in lines], [list(y) for _, y in lines],
                     line_color=shades, line_width=1.8)  # fmt: skip
    drawn.line("x", "y", source=_source("now", x=[], y=[]), color=COLOURS["orange"], line_width=3,
               line_dash="dashed")  # fmt: skip
    drawn.scatter("x", "y", size=7,
                  source=_source("gates", x=0 * modes + low, y=0.0 * modes, mode=modes + 1),
                  color=COLOURS["black"])  # fmt: skip
    return drawn


def _gate(critical: float, low: float, high: float) -> tuple[FloatArray, FloatArray]:
    """β's and heights of one gate: points close where it is steep, and the last exactly there."""
    height = np.linspace(1.0, 0.0, _GATE_POINTS)
    beta = critical * (1 - height**2)
    inside = beta > low
    first = np.sqrt(max(1 - low / critical, 0.0))
    return np.array([low, *beta[inside], high]), np.array([first, *height[inside], 0.0])
