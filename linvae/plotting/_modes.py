"""Which modes are transmitted: water-filling, and the number of active modes against β."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from linvae._validation import as_positive_number
from linvae.frontier import Frontier

from . import _style
from ._points import as_betas, check_frontier, columns

__all__ = ["plot_active_modes", "plot_water_filling"]


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

    Examples
    --------
    .. plot::
        :include-source:

        import linvae as lv
        import matplotlib.pyplot as plt
        from linvae.plotting import plot_water_filling
        from sklearn.datasets import load_digits

        spectrum = lv.Spectrum.from_samples(load_digits().data)
        frontier = lv.Frontier(spectrum, latent_dim=12, noise_variance=5.0)
        figure, ax = plt.subplots(layout="constrained")
        plot_water_filling(frontier, 10.0, ax)
    """
    check_frontier(frontier)
    weight = as_positive_number("beta", beta, "β weighs the rate")
    level = weight * frontier.noise_variance
    ax = _style.axes_or_new(ax)
    k = frontier.latent_dim
    values = frontier.spectrum.eigenvalues
    shown = values[values > 0][: max(2 * k, 24)]
    floor = 0.4 * min(level, float(shown.min(initial=level)))
    inside = (np.arange(1, shown.size + 1) <= k) & (shown > level)
    _draw_bars(ax, frontier, shown, inside, level, floor)
    ax.axhline(level, color=_style.ORANGE, lw=_style.line_width(2), ls="--", zorder=5,
               label=f"water level τ = βσ² = {level:.3g}")  # fmt: skip
    ax.set(xscale="linear", yscale="log")
    top = max(level, float(shown.max(initial=level)))
    ax.set_xlim(0.2, max(shown.size, 1) + 0.8)
    ax.set_ylim(floor, top * (top / floor) ** 0.45)  # room for the legend
    ax.xaxis.get_major_locator().set_params(integer=True)
    hidden = int(np.count_nonzero(values)) - shown.size
    left_out = f"  (the last {hidden} are not drawn)" if hidden > 0 else ""
    title = f"Water-filling at β = {weight:.4g}: {inside.sum()} of {k} modes active"
    _style.frame(ax, f"mode i{left_out}", "eigenvalue λᵢ  [squared data units]", title)
    ax.grid(False)
    _style.legend_inside(ax)
    return ax


def plot_active_modes(
    frontier: Frontier,
    ax: Any = None,
    *,
    points: Sequence[Any] | None = None,
    points_label: str = "learned",
) -> Any:
    r"""Number of modes that the optimal model at β transmits: a step down at each critical β.

    .. math:: m(\beta) = \#\{i \le k : \lambda_i > \beta\sigma^2\}

    Parameters
    ----------
    frontier : Frontier
    ax : matplotlib Axes, optional
        Drawn into; a new figure when omitted.
    points : (beta, count), optional
        Active units of measured models, two arrays.
    points_label : str
        What the legend calls them.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        β ≤ 0, counts that are negative or not finite, arrays of different shapes.

    Examples
    --------
    .. plot::
        :include-source:

        import linvae as lv
        import matplotlib.pyplot as plt
        from linvae.plotting import plot_active_modes
        from sklearn.datasets import load_digits

        spectrum = lv.Spectrum.from_samples(load_digits().data)
        frontier = lv.Frontier(spectrum, latent_dim=12, noise_variance=5.0)
        figure, ax = plt.subplots(layout="constrained")
        plot_active_modes(frontier, ax)
    """
    check_frontier(frontier)
    measured = None if points is None else columns("(beta, count)", points)
    if measured is not None:
        as_betas(measured[0], "beta")
        if (measured[1] < 0).any():
            _refuse_counts(measured[1])
    ax = _style.axes_or_new(ax)
    alive = np.unique(frontier.critical_betas[frontier.critical_betas > 0])
    reach = alive if measured is None else np.append(alive, measured[0])
    low, high = (reach.min() / 3, reach.max() * 3) if reach.size else (0.1, 10.0)
    # A mode is active below its critical β only: each count holds from its β up to the next.
    edges = np.union1d(alive, [low, high])
    if not _style.drawn_before(ax, "active"):
        ax.step(edges, frontier.at_beta(edges).active, where="post", color=_style.BLUE, zorder=3,
                lw=_style.line_width(2.2), label="exact optimum", gid="active")  # fmt: skip
    if measured is not None:
        turn = 1 + len(_style.drawn_before(ax, "counts"))
        ax.plot(*measured, ls="none", zorder=4, **_style.look(turn), ms=_style.marker_size(7),
                mew=_style.line_width(1.6), label=points_label, gid="counts")  # fmt: skip
    ax.set(xscale="log", yscale="linear")
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.set_ylim(bottom=-0.04 * max(frontier.latent_dim, 1))
    _style.frame(ax, "β", f"active modes  [of {frontier.latent_dim}]", "Active modes against β")
    _style.legend_inside(ax)
    return ax


def _refuse_counts(counts: Any) -> None:
    from linvae._validation import fail

    fail("count", f"{counts.min():.4g}", "numbers of active units >= 0", "pass counts")


def _draw_bars(ax: Any, frontier: Frontier, shown: Any, inside: Any, level: float,
               floor: float) -> None:  # fmt: skip
    """Part under water, part above it, and modes for which no latent is left."""
    k = frontier.latent_dim
    mode = np.arange(1, shown.size + 1)
    if shown.size:
        ax.bar(mode[:k], np.minimum(shown, level)[:k] - floor, bottom=floor, width=0.82,
               color=_style.SKY, label="under water: left as squared error")  # fmt: skip
    if inside.any():
        ax.bar(mode[inside], shown[inside] - level, bottom=level, color=_style.BLUE, width=0.82,
               label="above water: transmitted")  # fmt: skip
    if shown.size > k:
        ax.bar(mode[k:], shown[k:] - floor, bottom=floor, color="white", width=0.82,
               edgecolor=_style.GREY, hatch="////", lw=_style.line_width(0.8),
               label=f"no latent left (k = {k})")  # fmt: skip
