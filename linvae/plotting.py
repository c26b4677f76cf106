"""Pictures of the frontier and of what is behind it. Matplotlib is loaded when one is drawn.

Colours are those of Okabe and Ito, told apart by every kind of colour vision; lines and markers
also differ in shape, so that a print in grey stays readable.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._validation import FloatArray, as_positive, fail
from .datafiles import atomic_write, check_target

if TYPE_CHECKING:
    from .frontier import Frontier
    from .verification import Check

__all__ = [
    "PICTURE_SUFFIXES",
    "new_figure",
    "plot_checks",
    "plot_frontier",
    "plot_water_filling",
    "save_figure",
]

PICTURE_SUFFIXES = (".png", ".svg")

_BLACK, _GREY = "#000000", "#767676"
_BLUE, _SKY, _ORANGE, _VERMILLION, _GREEN = "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#009E73"
_CURVE_POINTS = 400


def new_figure(panels: int = 1, *, width: float = 6.4, height: float = 4.6) -> tuple[Any, Any]:
    """Return a figure and its axes (one, or an array of several side by side); no global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * panels, height), layout="constrained")
    return figure, figure.subplots(1, panels)


def plot_frontier(
    frontier: Frontier,
    ax: Any = None,
    *,
    betas: Any = None,
    points: Sequence[Any] | None = None,
    points_label: str = "measured points",
    tangent_at: float | None = None,
) -> Any:
    r"""Distortion against rate, with the points where modes switch off.

    .. math:: \beta \mapsto (\mathcal R(\beta), \mathcal D(\beta)), \qquad
              \mathcal D' (\mathcal R) = -\beta

    Parameters
    ----------
    frontier : Frontier
    ax : matplotlib Axes, optional
        Drawn into; a new figure when omitted.
    betas : array, optional
        β's to mark on the curve. They also set its extent, which always includes rate 0.
    points : (rate, distortion), optional
        Measured points to overlay, two arrays in nats.
    points_label : str
        What the legend calls them.
    tangent_at : float, optional
        β at which to draw the tangent of slope −β.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        β's that are not positive, rates and distortions of different shapes.
    """
    ax = new_figure()[1] if ax is None else ax
    alive = frontier.critical_betas[frontier.critical_betas > 0]
    marked = np.zeros(0) if betas is None else np.ravel(as_positive("betas", betas, "pass β > 0"))
    measured = None if points is None else _pairs(points)
    if measured is not None and alive.size and measured[0].size:
        reached = frontier.at_rate(max(0.0, float(measured[0].max()))).beta
        curve = frontier.at_beta(_extent(alive, np.append(marked, reached)))
    else:
        curve = frontier.at_beta(_extent(alive, marked))
    ax.plot(
        curve.rate, curve.distortion, color=_BLUE, lw=2.2, zorder=3, label=_curve_name(frontier)
    )
    if alive.size:
        _mark_critical(ax, frontier, alive)
    if marked.size:
        at = frontier.at_beta(marked)
        ax.plot(at.rate, at.distortion, "D", color=_BLUE, ms=6, mfc="white", mew=1.5, zorder=4,
                label=f"β from {marked.min():.4g} to {marked.max():.4g}")  # fmt: skip
    if measured is not None:
        ax.plot(*measured, "s", color=_VERMILLION, ms=9, mfc="none", mew=1.8, zorder=6,
                label=points_label)  # fmt: skip
    if tangent_at is not None:
        _draw_tangent(ax, frontier, curve, float(tangent_at))
    ax.set_xlabel("rate  [nats per sample]")
    ax.set_ylabel("distortion  [nats per sample]")
    ax.set_title("Rate–distortion frontier", loc="left", fontsize=11)
    ax.grid(alpha=0.25, lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8.5, loc="upper right")
    return ax


def plot_water_filling(frontier: Frontier, beta: float, ax: Any = None) -> Any:
    r"""Eigenvalues under water: what the optimal model at β transmits, and what it leaves.

    .. math:: \tau = \beta\sigma^2, \qquad \mathcal R_i = \tfrac12\log^+(\lambda_i/\tau)

    Bars stand on a logarithmic scale, so the height of a bar above the water is twice its rate.

    Parameters
    ----------
    frontier : Frontier
    beta : float
        KL weight > 0.
    ax : matplotlib Axes, optional
        Drawn into; a new figure when omitted.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        β not positive.
    """
    level = float(as_positive("beta", beta, "β weighs the rate")) * frontier.noise_variance
    ax = new_figure()[1] if ax is None else ax
    k = frontier.latent_dim
    values = frontier.spectrum.eigenvalues
    shown = values[values > 0][: max(2 * k, 24)]
    floor = 0.4 * min(level, float(shown.min(initial=level)))
    mode = np.arange(1, shown.size + 1)
    inside = (mode <= k) & (shown > level)
    if shown.size:
        ax.bar(mode[:k], np.minimum(shown, level)[:k] - floor, bottom=floor, color=_SKY, width=0.82,
               label="under water: left as squared error")  # fmt: skip
    if inside.any():
        ax.bar(mode[inside], shown[inside] - level, bottom=level, color=_BLUE, width=0.82,
               label="above water: transmitted")  # fmt: skip
    if shown.size > k:
        ax.bar(mode[k:], shown[k:] - floor, bottom=floor, color="white", edgecolor=_GREY,
               hatch="////", lw=0.8, width=0.82, label=f"no latent left (k = {k})")  # fmt: skip
    ax.axhline(level, color=_ORANGE, lw=2, ls="--", zorder=5,
               label=f"water level τ = βσ² = {level:.3g}")  # fmt: skip
    ax.set_yscale("log")
    top = max(level, float(shown.max(initial=level)))
    ax.set_xlim(0.2, max(shown.size, 1) + 0.8)
    ax.set_ylim(floor, top * (top / floor) ** 0.45)  # room for the legend
    ax.xaxis.get_major_locator().set_params(integer=True)
    hidden = int(np.count_nonzero(values)) - shown.size
    ax.set_xlabel("mode i" + (f"  (the last {hidden} are not drawn)" if hidden > 0 else ""))
    ax.set_ylabel("eigenvalue λᵢ  [squared data units]")
    ax.set_title(f"Water-filling at β = {float(beta):.4g}: {inside.sum()} of {k} modes active",
                 loc="left", fontsize=11)  # fmt: skip
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8.5, loc="upper right")
    return ax


def plot_checks(checks: Sequence[Check], ax: Any = None) -> Any:
    """Measured residual of every claim beside the tolerance it is held against.

    Claims that do not apply are left out.

    Parameters
    ----------
    checks : sequence of Check
    ax : matplotlib Axes, optional
        Drawn into; a new figure when omitted.

    Returns
    -------
    matplotlib Axes
    """
    checks = [check for check in checks if check.status in ("holds", "impossible", "fails")]
    if ax is None:
        ax = new_figure(width=7.5, height=1.6 + 0.27 * len(checks))[1]
    rows = np.arange(len(checks))
    floor = 1e-18  # a residual of exactly zero has no place on a logarithmic axis
    residual = np.array([max(abs(check.residual), floor) for check in checks])
    limit = np.array([max(check.tolerance, floor) for check in checks])
    ax.hlines(rows, np.minimum(residual, limit), np.maximum(residual, limit), color=_GREY, lw=0.8)
    ax.plot(limit, rows, "|", color=_BLACK, ms=11, mew=1.8, label="tolerance")
    for status, marker, color, text in (
        ("holds", "o", _BLUE, "holds: residual at most the tolerance"),
        ("impossible", "s", _ORANGE, "impossible (shown): gap at least the tolerance"),
        ("fails", "X", _VERMILLION, "FAILS"),
    ):
        chosen = np.array([check.status == status for check in checks], dtype=bool)
        if chosen.any():
            ax.plot(residual[chosen], rows[chosen], marker, color=color, ms=7, label=text)
    ax.set_xscale("log")
    ax.set_yticks(rows, [check.claim for check in checks], fontsize=8.5)
    ax.invert_yaxis()
    ax.set_xlabel(f"residual  (0 is drawn at {floor:.0e})")
    ax.grid(axis="x", alpha=0.25, lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8.5, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return ax


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write a figure as PNG or SVG, whole or not at all; the extension chooses.

    Raises
    ------
    DataFileError
        Another extension, a missing directory, a disk that does not take the file.
    """
    import matplotlib

    target = check_target("picture", path, PICTURE_SUFFIXES)
    kind = Path(path).suffix.lower()[1:]
    # Neither date nor random ids: the same curve gives the same file.
    settings = {"svg.hashsalt": "linvae", "svg.fonttype": "path"}
    metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {}
    with matplotlib.rc_context(settings), atomic_write(target) as file:
        figure.savefig(file, format=kind, dpi=160, metadata=metadata)
    return target


def _extent(alive: FloatArray, marked: FloatArray) -> FloatArray:
    """β's along the whole curve, from rate 0 to past the last mode or the smallest marked β."""
    if not alive.size:
        return marked if marked.size else np.ones(1)
    low = min(float(alive[-1]) / 4, float(marked.min(initial=np.inf)))
    return np.union1d(np.geomspace(low, alive[0], _CURVE_POINTS), alive)


def _curve_name(frontier: Frontier) -> str:
    latents = f"{frontier.latent_dim} latent" + "s" * (frontier.latent_dim != 1)
    if frontier.kind == "shannon":
        return f"exact frontier, {latents} (Shannon)"
    return f"exact frontier, {latents} (rank-k)"


def _mark_critical(ax: Any, frontier: Frontier, alive: FloatArray) -> None:
    at = frontier.at_beta(alive)
    ax.plot(at.rate, at.distortion, "o", color=_BLACK, ms=4, zorder=5,
            label="critical β: a mode switches off")  # fmt: skip
    # A few labels say more than all of them on top of one another: keep those well apart.
    span = float(np.ptp(at.rate)) or 1.0, float(np.ptp(at.distortion)) or 1.0
    last: tuple[float, float] | None = None
    for beta, rate, distortion in zip(alive, at.rate, at.distortion, strict=True):
        here = float(rate) / span[0], float(distortion) / span[1]
        if last is not None and np.hypot(here[0] - last[0], here[1] - last[1]) < 0.13:
            continue
        last = here
        ax.annotate(f"β = {beta:.3g}", (rate, distortion), xytext=(9, 3), fontsize=8,
                    textcoords="offset points", ha="left", va="bottom")  # fmt: skip


def _draw_tangent(ax: Any, frontier: Frontier, curve: Any, beta: float) -> None:
    at = frontier.at_beta(beta)
    rate, distortion = float(at.rate), float(at.distortion)
    high, low = float(curve.distortion.max()), float(curve.distortion.min())
    reach = 0.28 * (high - low) / max(beta, 1e-300)
    reach = min(reach, 0.35 * float(curve.rate.max()))
    span = np.array([max(rate - reach, 0.0), rate + reach])
    ax.plot(span, distortion - beta * (span - rate), color=_GREEN, lw=1.6, ls="--", zorder=4,
            label=f"tangent at β = {beta:.3g}: slope −β")  # fmt: skip


def _pairs(points: Sequence[Any]) -> tuple[FloatArray, FloatArray]:
    if len(points) != 2 or np.shape(points[0]) != np.shape(points[1]):
        fail("points", f"{len(points)} arrays of shapes {[np.shape(p) for p in points]}",
             "(rate, distortion), two arrays of one shape", "pass both")  # fmt: skip
    return np.asarray(points[0], dtype=np.float64), np.asarray(points[1], dtype=np.float64)
