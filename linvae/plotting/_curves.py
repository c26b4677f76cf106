"""The frontier, measured points over it, and what they lose at every β."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from linvae._validation import FloatArray, as_positive_number
from linvae.frontier import Frontier

from . import _style
from ._points import as_betas, bar_lengths, check_frontier, columns

__all__ = ["plot_frontier", "plot_gap", "plot_learned_points"]

_CURVE_POINTS = 400
_RATE, _DISTORTION = "rate  [nats per sample]", "distortion  [nats per sample]"


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
        Measured points to overlay, two arrays in nats; :func:`plot_learned_points` adds error bars.
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
        β's that are not positive, rates and distortions of different shapes or not finite.

    Examples
    --------
    .. plot::
        :include-source:

        import linvae as lv
        import matplotlib.pyplot as plt
        from linvae.plotting import plot_frontier
        from sklearn.datasets import load_digits

        spectrum = lv.Spectrum.from_samples(load_digits().data)
        frontier = lv.Frontier(spectrum, latent_dim=8, noise_variance=5.0)
        figure, ax = plt.subplots(layout="constrained")
        plot_frontier(frontier, ax, tangent_at=12.0)
    """
    check_frontier(frontier)
    marked = np.zeros(0) if betas is None else as_betas(betas)
    measured = None if points is None else columns("(rate, distortion)", points)
    touch = None if tangent_at is None else _one_beta("tangent_at", tangent_at)
    ax = _style.axes_or_new(ax)
    curve = _draw_curve(ax, frontier, marked, np.zeros(0) if measured is None else measured[0])
    if marked.size:
        at = frontier.at_beta(marked)
        ax.plot(at.rate, at.distortion, "D", color=_style.BLUE, ms=_style.marker_size(6),
                mfc="white", mew=_style.line_width(1.5), zorder=4,
                label=f"β from {marked.min():.4g} to {marked.max():.4g}")  # fmt: skip
    if measured is not None:
        ax.plot(*measured, "s", color=_style.VERMILLION, ms=_style.marker_size(9), mfc="none",
                mew=_style.line_width(1.8), zorder=6, label=points_label)  # fmt: skip
    if touch is not None:
        _draw_tangent(ax, frontier, curve, touch)
    _style.frame(ax, _RATE, _DISTORTION, "Rate–distortion frontier")
    _style.legend_inside(ax)
    _label_critical(ax, frontier)
    return ax


def plot_learned_points(
    frontier: Frontier,
    beta: Any,
    rate: Any,
    distortion: Any,
    ax: Any = None,
    *,
    rate_error: Any = None,
    distortion_error: Any = None,
    label: str = "learned",
    label_betas: bool = True,
) -> Any:
    r"""Measured models over the frontier, with error bars.

    .. math:: \bigl(\hat{\mathcal R}_j \pm \delta^{\mathcal R}_j,\;
              \hat{\mathcal D}_j \pm \delta^{\mathcal D}_j\bigr) \quad\text{trained at } \beta_j

    The frontier is drawn beneath unless the axes show one. A second call with the same axes adds
    another set in the next colour and marker. Points above the curve lose; a model that is not
    linear, or data that are not Gaussian, may lie below it.

    Parameters
    ----------
    frontier : Frontier
        Of the data that the points were measured on.
    beta, rate, distortion : array (N,)
        β > 0, and nats.
    ax : matplotlib Axes, optional
        Drawn into; a new figure when omitted.
    rate_error, distortion_error : array (N,) or (2, N), optional
        Half-lengths of the bars in nats; two rows are the lower and the upper one.
    label : str
        What the legend calls the set; say there what the bars are.
    label_betas : bool
        Write β beside points that lie well apart.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        Arrays of different shapes, values that are not finite, β ≤ 0, negative lengths.

    Examples
    --------
    .. plot::
        :include-source:

        import linvae as lv
        import matplotlib.pyplot as plt
        import numpy as np
        from linvae.plotting import plot_learned_points

        spectrum = lv.Spectrum.from_eigenvalues([9.0, 4.0, 2.0, 1.0, 0.5])
        frontier = lv.Frontier(spectrum, latent_dim=4, noise_variance=0.5)
        betas = np.array([1.0, 2.5, 6.0, 12.0])
        # A model that works with one latent too few, measured on a sample.
        fewer = lv.Frontier(spectrum, latent_dim=2, noise_variance=0.5).at_beta(betas)
        figure, ax = plt.subplots(layout="constrained")
        plot_learned_points(frontier, betas, fewer.rate, fewer.distortion, ax,
                            distortion_error=np.full(4, 0.3), label="two latents (± 0.3 nats)")
    """
    check_frontier(frontier)
    weight, spent, missed = columns("(beta, rate, distortion)", (beta, rate, distortion))
    as_betas(weight, "beta")
    bars = [bar_lengths("rate_error", rate_error, weight.size),
            bar_lengths("distortion_error", distortion_error, weight.size)]  # fmt: skip
    ax = _style.axes_or_new(ax)
    if not _style.drawn_before(ax, "frontier"):
        _draw_curve(ax, frontier, np.zeros(0), spent)
    _draw_set(ax, "learned", (spent, missed), bars, label, line=False)
    _style.frame(ax, _RATE, _DISTORTION, "Learned models and the frontier")
    _style.legend_inside(ax)
    order = np.argsort(spent)[: spent.size if label_betas else 0]
    texts = [f"β = {value:.3g}" for value in weight[order]]
    _style.label_points(ax, spent[order], missed[order], texts)
    return ax


def plot_gap(
    frontier: Frontier,
    beta: Any,
    rate: Any,
    distortion: Any,
    ax: Any = None,
    *,
    error: Any = None,
    label: str = "learned",
    collapsed: bool = False,
) -> Any:
    r"""What measured models lose at every β, in nats of the objective.

    .. math:: \mathcal D + \beta\mathcal R - \min_{\text{linear}} L_\beta

    The scale is linear near zero and logarithmic beyond where the values differ by orders of
    magnitude.

    Parameters
    ----------
    frontier : Frontier
        Of the data that the points were measured on.
    beta, rate, distortion : array (N,)
        β > 0, and nats.
    ax : matplotlib Axes, optional
        Drawn into; a new figure when omitted. A second call adds a set.
    error : array (N,) or (2, N), optional
        Half-lengths of the bars in nats of the objective. Rate and distortion of one model vary
        together, so that this does not follow from their own bars.
    label : str
        What the legend calls the set.
    collapsed : bool
        Draw what a model that ignores the data loses: the scale to judge by.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        Arrays of different shapes, values that are not finite, β ≤ 0, negative lengths.

    Examples
    --------
    .. plot::
        :include-source:

        import linvae as lv
        import matplotlib.pyplot as plt
        import numpy as np
        from linvae.plotting import plot_gap

        spectrum = lv.Spectrum.from_eigenvalues([9.0, 4.0, 2.0, 1.0, 0.5])
        frontier = lv.Frontier(spectrum, latent_dim=4, noise_variance=0.5)
        betas = np.geomspace(0.5, 15.0, 9)
        # The printed gates, with the decoder that is optimal at β = 4.
        decoder = lv.response(spectrum, 4.0, latent_dim=4, noise_variance=0.5).decoder
        gates = lv.Hypernetwork.published(decoder=decoder, noise_variance=0.5)
        terms = gates(betas).evaluate(spectrum, betas)
        figure, ax = plt.subplots(layout="constrained")
        plot_gap(frontier, betas, terms.rate, terms.distortion, ax, label="decoder of β = 4")
    """
    check_frontier(frontier)
    weight, spent, missed = columns("(beta, rate, distortion)", (beta, rate, distortion))
    as_betas(weight, "beta")
    bars = bar_lengths("error", error, weight.size)
    order = np.argsort(weight)
    weight, excess = weight[order], np.asarray(frontier.gap(spent, missed, weight))[order]
    ax = _style.axes_or_new(ax)
    ax.set_xscale("log")
    if not _style.drawn_before(ax, "optimum"):
        ax.axhline(0, color=_style.GREY, lw=_style.line_width(2.2), zorder=2, gid="optimum",
                   label="exact linear optimum")  # fmt: skip
    bars = bars if bars is None else bars[..., order]
    _draw_set(ax, "gap", (weight, excess), [None, bars], label, line=True)
    if collapsed and not _style.drawn_before(ax, "collapsed"):
        fine = np.geomspace(weight[0], weight[-1], 200)
        ax.plot(fine, frontier.collapsed_loss(fine), color=_style.BLACK, ls=":", gid="collapsed",
                lw=_style.line_width(1.5), label="a model that ignores the data")  # fmt: skip
    _scale_gap(ax)
    _style.frame(ax, "β", "excess objective  [nats per sample]")
    _style.legend_above(ax, "Loss against the optimum at every β")
    return ax


def _one_beta(name: str, value: Any) -> float:
    return as_positive_number(name, value, "pass one β > 0")


def _draw_set(
    ax: Any, kind: str, at: tuple[Any, Any], bars: list[Any], label: str, *, line: bool
) -> None:
    """Points with error bars, in the first colour and marker that the axes do not show yet."""
    # The frontier and its optimum own blue: learned sets begin with the colour after it.
    turn = 1 + len(_style.drawn_before(ax, kind))
    drawn = ax.errorbar(*at, xerr=bars[0], yerr=bars[1], ls="-" if line else "none", zorder=6,
                        **_style.look(turn), ms=_style.marker_size(6), mew=_style.line_width(1.6),
                        lw=_style.line_width(1.2), elinewidth=_style.line_width(1.2),
                        capsize=_style.marker_size(2.5), label=label)  # fmt: skip
    drawn.lines[0].set_gid(kind)


def _scale_gap(ax: Any) -> None:
    """A symmetric logarithm where excesses differ by orders of magnitude, else linear.

    Usual is what was measured: a collapsed model may lose a thousand times as much.
    """
    drawn = [_style.drawn_before(ax, kind) for kind in ("gap", "collapsed")]
    measured, size = (
        np.abs(np.concatenate([line.get_ydata() for line in lines]))
        for lines in (drawn[0], [*drawn[0], *drawn[1]])
    )
    usual, largest = float(np.median(measured)), float(size.max())
    # Excesses that are zero but for rounding are no reason for a dozen decades.
    if largest > 30 * usual > 1e-9 * largest:
        ax.set_yscale("symlog", linthresh=10.0 ** np.floor(np.log10(usual)))


def _draw_curve(ax: Any, frontier: Frontier, marked: FloatArray, rates: FloatArray) -> Any:
    """Draw the curve, as far as the β's and rates reach, and its critical points."""
    alive = frontier.critical_betas[frontier.critical_betas > 0]
    if alive.size and rates.size:
        marked = np.append(marked, frontier.at_rate(max(0.0, float(rates.max()))).beta)
    curve = frontier.at_beta(_extent(alive, marked))
    ax.plot(curve.rate, curve.distortion, color=_style.BLUE, lw=_style.line_width(2.2), zorder=3,
            label=_curve_name(frontier), gid="frontier")  # fmt: skip
    ax.margins(y=0.08)  # room for the topmost label
    if alive.size:
        at = frontier.at_beta(alive)
        ax.plot(at.rate, at.distortion, "o", color=_style.BLACK, ms=_style.marker_size(4),
                zorder=5, label="critical β: a mode switches off")  # fmt: skip
    return curve


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


def _label_critical(ax: Any, frontier: Frontier) -> None:
    alive = frontier.critical_betas[frontier.critical_betas > 0]
    at = frontier.at_beta(alive) if alive.size else None
    if at is not None:
        _style.label_points(ax, at.rate, at.distortion, [f"β = {beta:.3g}" for beta in alive])


def _draw_tangent(ax: Any, frontier: Frontier, curve: Any, beta: float) -> None:
    at = frontier.at_beta(beta)
    rate, distortion = float(at.rate), float(at.distortion)
    high, low = float(curve.distortion.max()), float(curve.distortion.min())
    reach = 0.28 * (high - low) / max(beta, 1e-300)
    reach = min(reach, 0.35 * float(curve.rate.max()))
    span = np.array([max(rate - reach, 0.0), rate + reach])
    ax.plot(span, distortion - beta * (span - rate), color=_style.GREEN, ls="--", zorder=4,
            lw=_style.line_width(1.6), label=f"tangent at β = {beta:.3g}: slope −β")  # fmt: skip
