"""Two layers of latents: distortion over both rates, and what each pair of weights gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from linvae._validation import FloatArray, as_positive_number, fail
from linvae.errors import RangeError
from linvae.hierarchical import HierarchicalFrontier

from . import _style
from ._points import as_betas, check_hierarchical, columns

__all__ = ["plot_beta_map", "plot_rate_surface"]

_GRID = 61
_MOST_PER_LATENT = 100.0  # nats; some hundreds more, and β leaves the float64 range
_MOST_COLOURS = 32  # of whole numbers; more cannot be told apart
# Rises evenly in lightness: in grey, and for every kind of colour vision, more is lighter.
_MAP = "cividis"
_RATES = ("rate of z₁  [nats per sample]", "rate of z₂  [nats per sample]")
_QUANTITIES = {
    "distortion": ("Distortion", "distortion  [nats per sample]"),
    "rate1": ("Rate of z₁", _RATES[0]),
    "rate2": ("Rate of z₂", _RATES[1]),
    "active": ("Active modes", "active modes  [count]"),
}


def plot_rate_surface(
    frontier: HierarchicalFrontier,
    ax: Any = None,
    *,
    max_rate: float | None = None,
    points: Sequence[Any] | None = None,
    points_label: str = "measured points",
) -> Any:
    r"""Least distortion over the rates of two layers: a map, or a surface in 3-d axes.

    .. math:: (\mathcal R_1, \mathcal R_2) \mapsto \min \mathcal D, \qquad
              \partial\mathcal D/\partial\mathcal R_j = -\beta_j

    Below the dashed line only the total ℛ₁ + ℛ₂ counts, and the contours are straight. Above it z₂
    has no room for its rate in the modes that deserve it, and the split costs.

    Parameters
    ----------
    frontier : HierarchicalFrontier
    ax : matplotlib Axes, optional
        Drawn into; a map in a new figure when omitted. In axes of ``projection="3d"`` the surface.
    max_rate : float, optional
        Both axes go from 0 to here, in nats; by default to where all modes are active, but to no
        more than 100 nats per latent of z₂.
    points : (rate1, rate2, distortion), optional
        Measured points, three arrays in nats.
    points_label : str
        What the legend calls them.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        A rate that is not positive, arrays of different shapes or not finite, another frontier.
    RangeError
        Data without variance.

    Examples
    --------
    .. plot::
        :include-source:

        import linvae as lv
        import matplotlib.pyplot as plt
        from linvae.hierarchical import HierarchicalFrontier
        from linvae.plotting import plot_rate_surface

        spectrum = lv.Spectrum.from_eigenvalues([9.0, 4.0, 2.0, 1.0, 0.5])
        frontier = HierarchicalFrontier(spectrum, latent_dims=(4, 1), noise_variance=0.5)
        figure = plt.figure(figsize=(11.5, 4.6), layout="constrained")
        plot_rate_surface(frontier, figure.add_subplot(1, 2, 1))
        plot_rate_surface(frontier, figure.add_subplot(1, 2, 2, projection="3d"))
    """
    check_hierarchical(frontier)
    alive = frontier.critical_betas[frontier.critical_betas > 0]
    if not alive.size:
        fail("frontier", "data without variance", "at least one eigenvalue > 0",
             "there is no rate to spend", RangeError)  # fmt: skip
    if max_rate is None:
        every = frontier.at(alive[-1] / 4, alive[-1] / 4)
        top = min(float(every.rate1 + every.rate2), _MOST_PER_LATENT * frontier.latent_dims[1])
    else:
        top = as_positive_number("max_rate", max_rate, "pass nats")
    names = "(rate1, rate2, distortion)"
    measured = None if points is None else columns(names, points)
    if ax is not None:
        _style.check_axes(ax, ("3d",))
    ax = _style.new_figure()[1] if ax is None else ax
    rates = np.linspace(0.0, top, _GRID)
    grid = frontier.at_rates(rates[None, :], rates[:, None])  # shape: (rate2, rate1)
    if getattr(ax, "name", "") == "3d":
        return _draw_surface(ax, grid, measured, points_label)
    _draw_map(ax, grid.rate1, grid.rate2, grid.distortion, _QUANTITIES["distortion"][1])
    _draw_boundary(ax, frontier, top)
    if measured is not None:
        ax.plot(*measured[:2], "o", mfc="white", mec=_style.BLACK, ms=_style.marker_size(6),
                label=points_label, ls="none")  # fmt: skip
    _style.frame(ax, *_RATES)
    ax.grid(False)
    ax.set(xlim=(0, top), ylim=(0, top))
    _above(ax, "Distortion over the rates of both layers")
    return ax


def plot_beta_map(
    frontier: HierarchicalFrontier,
    ax: Any = None,
    *,
    quantity: str = "distortion",
    beta1: Any = None,
    beta2: Any = None,
) -> Any:
    r"""What the optimum at each pair of weights (β₁, β₂) gives, as a map.

    .. math:: (\beta_1, \beta_2) \mapsto \mathcal D,\ \mathcal R_1,\ \mathcal R_2
              \ \text{or}\ \#\{\text{modes that live}\}

    Every mode rides in the cheaper layer: below the diagonal in z₂ as far as that has room, above
    it in z₁.

    Parameters
    ----------
    frontier : HierarchicalFrontier
    ax : matplotlib Axes, optional
        Drawn into; a new figure when omitted.
    quantity : str
        ``"distortion"``, ``"rate1"``, ``"rate2"`` or ``"active"``.
    beta1, beta2 : array, optional
        Weights > 0 of the two axes; a range around the critical β's when omitted.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        Another quantity, weights that are not positive or fewer than two, another frontier.

    Examples
    --------
    .. plot::
        :include-source:

        import linvae as lv
        import matplotlib.pyplot as plt
        from linvae.hierarchical import HierarchicalFrontier
        from linvae.plotting import plot_beta_map

        spectrum = lv.Spectrum.from_eigenvalues([9.0, 4.0, 2.0, 1.0, 0.5])
        frontier = HierarchicalFrontier(spectrum, latent_dims=(4, 2), noise_variance=0.5)
        figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.6), layout="constrained")
        plot_beta_map(frontier, left, quantity="rate1")
        plot_beta_map(frontier, right, quantity="rate2")
    """
    check_hierarchical(frontier)
    if not isinstance(quantity, str) or quantity not in _QUANTITIES:
        fail("quantity", repr(quantity)[:40], f"one of {', '.join(_QUANTITIES)}", "choose one")
    weights = [
        _weights(frontier, name, given) for name, given in (("beta1", beta1), ("beta2", beta2))
    ]
    ax = _style.axes_or_new(ax)
    grid = frontier.at(weights[0][None, :], weights[1][:, None])  # shape: (beta2, beta1)
    first, second = np.meshgrid(*weights)
    title, unit = _QUANTITIES[quantity]
    _draw_map(ax, first, second, getattr(grid, quantity), unit)
    ax.set(xscale="log", yscale="log")
    low = max(weight[0] for weight in weights)
    high = min(weight[-1] for weight in weights)
    if low < high:
        ax.plot([low, high], [low, high], color="white", ls="--", lw=_style.line_width(1.6),
                gid="diagonal")  # fmt: skip
    _style.frame(ax, "β₁", "β₂", f"{title} of the optimum (dashed: β₁ = β₂)")
    ax.grid(False)
    ax.set(xlim=weights[0][[0, -1]], ylim=weights[1][[0, -1]])
    return ax


def _weights(frontier: HierarchicalFrontier, name: str, given: Any) -> FloatArray:
    if given is not None:
        weights = np.unique(as_betas(given, name))
        if weights.size < 2:
            fail(name, f"{weights.size} weight", "at least two", "pass the range of the axis")
        return weights
    alive = frontier.critical_betas[frontier.critical_betas > 0]
    low, high = (alive[-1] / 3, alive[0] * 3) if alive.size else (0.1, 10.0)
    return np.geomspace(low, high, 2 * _GRID)


def _draw_map(ax: Any, x: FloatArray, y: FloatArray, z: FloatArray, unit: str) -> None:
    """Colours with a scale beside them, and contours where the values are not whole numbers."""
    whole = z.dtype.kind == "i"
    settings: dict[str, Any] = {"cmap": _MAP}
    if whole and z.max() < _MOST_COLOURS:
        from matplotlib import colormaps
        from matplotlib.colors import BoundaryNorm

        edges = np.arange(int(z.max()) + 2) - 0.5
        settings = {"cmap": colormaps[_MAP], "norm": BoundaryNorm(edges, colormaps[_MAP].N)}
    mesh = ax.pcolormesh(x, y, z, shading="nearest", rasterized=True, **settings)
    ticks = _whole_ticks(int(z.max())) if whole else None
    bar = ax.figure.colorbar(mesh, ax=ax, ticks=ticks)
    bar.set_label(unit)
    bar.outline.set_visible(False)
    if whole:
        bar.minorticks_off()
    if not whole and np.ptp(z) > 0:
        ax.contour(x, y, z, levels=9, colors="white", linewidths=_style.line_width(0.7), alpha=0.8)


def _whole_ticks(most: int) -> Any:
    """Ticks at whole numbers, not more than fit."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(10, integer=True).tick_values(0, most) if most > 10 else np.arange(most + 1)


def _draw_boundary(ax: Any, frontier: HierarchicalFrontier, top: float) -> None:
    """Where z₂ is full: at each total rate, the most that fits into its modes."""
    total = np.linspace(0.0, 2 * top, 8 * _GRID)
    most = frontier.at_rates(total, 0.0).rate2_high
    inside = (most < total * (1 - 1e-9)) & (most <= top) & (total - most <= top)
    if inside.any():
        ax.plot((total - most)[inside], most[inside], color="white", ls="--", gid="boundary",
                lw=_style.line_width(2), label="above: z₂ is full, the split counts")  # fmt: skip


def _above(ax: Any, title: str) -> None:
    """The legend's white line on a dark patch, so that it shows beside the map."""
    handles, _ = ax.get_legend_handles_labels()
    if not handles:
        ax.set_title(title, loc="left", fontsize=_style.text_size(1.1))
        return
    _style.legend_above(ax, title, columns=1)
    for handle in ax.get_legend().legend_handles:
        if handle.get_linestyle() == "--":
            handle.set_color(_style.BLACK)


def _draw_surface(ax: Any, grid: Any, measured: Any, label: str) -> Any:
    ax.plot_surface(grid.rate1, grid.rate2, grid.distortion, cmap=_MAP, rstride=2, cstride=2,
                    linewidth=0.2, edgecolor="white", alpha=0.95)  # fmt: skip
    if measured is not None:
        ax.plot(*measured, "o", mfc="white", mec=_style.BLACK, ms=_style.marker_size(6),
                label=label, zorder=9)  # fmt: skip
        _style.legend_inside(ax)
    # Matplotlib measures this padding by the whole figure, and fills the smaller side of the axes.
    sizes = np.array([ax.get_window_extent().size, ax.figure.bbox.size])
    pad = _style.text_size(0.28) * sizes[1].sum() / sizes[0].min()
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.get_major_locator().set_params(nbins=5)
    ax.set_xlabel(_RATES[0].replace(" per sample", ""), labelpad=pad)
    ax.set_ylabel(_RATES[1].replace(" per sample", ""), labelpad=pad)
    ax.set_zlabel("distortion  [nats]", labelpad=pad)
    ax.view_init(elev=24, azim=42)
    ax.set_box_aspect(None, zoom=0.82)
    return ax
