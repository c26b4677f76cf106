"""Gates of a hypernetwork and gains of a model, latent by latent, against log β."""

from __future__ import annotations

from typing import Any

import numpy as np

from linvae._types import LinearVAE
from linvae._validation import FloatArray, fail
from linvae.errors import InputTypeError
from linvae.frontier import Frontier
from linvae.hypernetwork import GatedLayer, Hypernetwork

from . import _style
from ._points import as_betas, check_hypernetwork, family, features_of, latents_of, mode_indices

__all__ = ["plot_gains", "plot_gates"]

_GATES = {
    "sigmoid": "gate 1/(1 + e⁻ˣ)",
    "sqrt_relu": "gate √ReLU(1 − eˣ)",
    "min_exp": "gate min(1, eˣ)",
}
_KINDS = {
    "sigmoid": "hypernetwork, sigmoid gates",
    "sqrt_relu": "hypernetwork, √ReLU gates",
    "min_exp": "hypernetwork, min(1, eˣ) gates",
}
_PARTS = {
    "decoder": ("Decoder gains", "‖dⱼ‖  [data units]"),
    "encoder": ("Encoder gains", "‖eⱼ‖  [1 / data units]"),
    "posterior": ("Posterior standard deviations", "√cⱼ  [prior standard deviations]"),
    "product": ("Share of each mode that comes through", "eⱼ · dⱼ  [no unit]"),
}
_FINE, _SHOWN = 300, 4
_ENTRIES = 2**20  # of the largest array while gains are computed


def plot_gates(
    hypernetwork: Hypernetwork,
    ax: Any = None,
    *,
    part: str = "decoder",
    betas: Any = None,
    modes: Any = None,
    label: str | None = None,
) -> Any:
    r"""Gates of a hypernetwork against log β, one curve per latent.

    .. math:: \sigma_j(\beta) = \sigma(w_j \log\beta + b_j)

    These are the gates alone, without the weights they scale: :func:`plot_gains` draws the product.
    A second call with the same axes takes the next line style, so that exact and published gates
    can be compared.

    Parameters
    ----------
    hypernetwork : Hypernetwork
    ax : matplotlib Axes, optional
        Drawn into; a new figure when omitted.
    part : str
        ``"encoder"``, ``"posterior"`` or ``"decoder"``: whose gates.
    betas : array, optional
        β > 0 at which to draw; by default a range around where the gates turn.
    modes : array of int, optional
        Latents, counted from 0; the first four when omitted.
    label : str, optional
        What the legend calls this hypernetwork; its gate function when omitted.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        Another part, a latent that does not exist, β ≤ 0.

    Examples
    --------
    .. plot::
        :include-source:

        import linvae as lv
        import matplotlib.pyplot as plt
        from linvae.plotting import plot_gates

        spectrum = lv.Spectrum.from_eigenvalues([9.0, 2.0, 0.5])
        exact = lv.Hypernetwork.exact(spectrum, latent_dim=2, noise_variance=0.5)
        decoder = lv.response(spectrum, 1.0, latent_dim=2, noise_variance=0.5).decoder
        printed = lv.Hypernetwork.published(decoder=decoder, noise_variance=0.5)
        figure, ax = plt.subplots(layout="constrained")
        plot_gates(exact, ax, part="encoder")
        plot_gates(printed, ax, part="encoder")
    """
    check_hypernetwork(hypernetwork)
    if not isinstance(part, str) or part not in ("encoder", "posterior", "decoder"):
        fail("part", repr(part)[:40], "encoder, posterior or decoder", "choose one of them")
    layer = _gated(hypernetwork, part)
    chosen = mode_indices(modes, latents_of(hypernetwork), _SHOWN)
    ax = _style.axes_or_new(ax)
    fine = _betas(ax, betas, _turns(hypernetwork))
    inputs = (np.log(fine) - hypernetwork.input_mean) / hypernetwork.input_std
    constant = " (constant)" if not layer.w_hyper.any() else ""
    name = _GATES[layer.gate] + constant if label is None else label
    _draw_latents(ax, fine, layer.gate_values(inputs)[:, chosen], chosen, name)
    _style.frame(ax, "β", f"gate of the {part}  [no unit]")
    ax.set_yscale("linear")
    ax.set_ylim(-0.04, 1.04)
    _legend(ax, f"Gates of the {part} against β")
    return ax


def plot_gains(
    model: Frontier | Hypernetwork,
    ax: Any = None,
    *,
    part: str = "decoder",
    betas: Any = None,
    modes: Any = None,
    label: str | None = None,
) -> Any:
    r"""How strongly each latent is written and read, against log β.

    .. math:: \lVert d_j \rVert = \sqrt{(\lambda_j - \tau)_+}, \quad
              \lVert e_j \rVert = \frac{\sqrt{(\lambda_j - \tau)_+}}{\lambda_j}, \quad
              \sqrt{c_j} = \min(1, \sqrt{\tau/\lambda_j}), \quad
              e_j d_j = \frac{(\lambda_j - \tau)_+}{\lambda_j}

    at the joint optimum; of a hypernetwork, the same functions of whatever it gives. A second call
    with the same axes takes the next line style.

    Parameters
    ----------
    model : Frontier or Hypernetwork
        A frontier stands for its joint optimum at every β.
    ax : matplotlib Axes, optional
        Drawn into; a new figure when omitted.
    part : str
        ``"decoder"`` (norm of each column of D), ``"encoder"`` (norm of each row of E),
        ``"posterior"`` (standard deviations) or ``"product"`` (diagonal of ED).
    betas : array, optional
        β > 0 at which to draw; by default a range around where modes switch off.
    modes : array of int, optional
        Latents, counted from 0; the first four when omitted.
    label : str, optional
        What the legend calls this model.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        Another part, a latent that does not exist, β ≤ 0, a model of another kind.

    Examples
    --------
    .. plot::
        :include-source:

        import linvae as lv
        import matplotlib.pyplot as plt
        from linvae.plotting import plot_gains

        spectrum = lv.Spectrum.from_eigenvalues([9.0, 2.0, 0.5])
        frontier = lv.Frontier(spectrum, latent_dim=2, noise_variance=0.5)
        decoder = lv.response(spectrum, 1.0, latent_dim=2, noise_variance=0.5).decoder
        printed = lv.Hypernetwork.published(decoder=decoder, noise_variance=0.5)
        figure, ax = plt.subplots(layout="constrained")
        plot_gains(frontier, ax, part="product")
        plot_gains(printed, ax, part="product")
    """
    if not isinstance(model, Frontier | Hypernetwork):
        fail("model", type(model).__name__, "a Frontier or a Hypernetwork",
             "a frontier stands for the optimum at every β", InputTypeError)  # fmt: skip
    if not isinstance(part, str) or part not in _PARTS:
        fail("part", repr(part)[:40], f"one of {', '.join(_PARTS)}", "choose one of them")
    chosen = mode_indices(modes, latents_of(model), _SHOWN)
    ax = _style.axes_or_new(ax)
    turns = model.critical_betas[chosen] if isinstance(model, Frontier) else _turns(model)
    fine = _betas(ax, betas, turns)
    values = _gains(model, fine, part, chosen)
    _draw_latents(ax, fine, values, chosen, _kind(model) if label is None else label)
    title, quantity = _PARTS[part]
    _style.frame(ax, "β", quantity)
    _legend(ax, title)
    return ax


def _gains(model: Frontier | Hypernetwork, betas: FloatArray, part: str, chosen: list[int]
           ) -> FloatArray:  # fmt: skip
    """Gains of the chosen latents, shape (betas, chosen), a block of models at a time."""
    if isinstance(model, Frontier):
        # Each latent of the optimum is what it would be with fewer after it.
        model = Frontier(model.spectrum, latent_dim=max(chosen) + 1,
                         noise_variance=model.noise_variance)  # fmt: skip
    at = family(model)
    assert at is not None
    step = max(1, _ENTRIES // (latents_of(model) * features_of(model)))
    parts = [_gain(at(betas[i : i + step]), part) for i in range(0, betas.size, step)]
    return np.asarray(np.concatenate(parts)[:, chosen])


def _gain(vae: LinearVAE, part: str) -> FloatArray:
    """One number per latent of every model of a batch, shape (models, k)."""
    if part == "decoder":
        return np.asarray(np.linalg.norm(vae.decoder, axis=-2))
    if part == "encoder":
        return np.asarray(np.linalg.norm(vae.encoder, axis=-1))
    if part == "posterior":
        return np.sqrt(vae.posterior_variance)
    return np.asarray((vae.encoder * np.swapaxes(vae.decoder, -1, -2)).sum(axis=-1))


def _kind(model: Frontier | Hypernetwork) -> str:
    if isinstance(model, Frontier):
        return "joint optimum"
    return _KINDS[_gated(model, "encoder").gate]


def _gated(hypernetwork: Hypernetwork, part: str) -> GatedLayer:
    """Of the two layers, the one with a row per latent whose gates move with β, if there is one."""
    layers: tuple[GatedLayer, GatedLayer] = getattr(hypernetwork, part)
    rows = latents_of(hypernetwork)
    mine = [layer for layer in layers if len(layer.b_hyper) == rows]
    moving = [layer for layer in mine if layer.w_hyper.any()]
    return (moving or mine or list(layers))[0]


def _turns(hypernetwork: Hypernetwork) -> FloatArray:
    """β at which the arguments of the gates are 0, over all parts."""
    found: list[FloatArray] = []
    for part in ("encoder", "posterior", "decoder"):
        layer = _gated(hypernetwork, part)
        moves = layer.w_hyper != 0
        inputs = -layer.b_hyper[moves] / layer.w_hyper[moves]
        found.append(np.exp(inputs * hypernetwork.input_std + hypernetwork.input_mean))
    return np.concatenate(found)


def _betas(ax: Any, betas: Any, turns: FloatArray) -> FloatArray:
    """β's given, or those drawn before, or a range around the turns, which it contains."""
    if betas is not None:
        return np.sort(as_betas(betas))
    before = _style.drawn_before(ax, "latent")
    if before:
        drawn = np.asarray(before[0].get_xdata(), dtype=np.float64)
        low, high = float(drawn[0]), float(drawn[-1])
    else:
        alive = turns[(turns > 0) & np.isfinite(turns)]
        low, high = (alive.min() / 8, alive.max() * 4) if alive.size else (0.1, 10.0)
    inside = turns[(turns > low) & (turns < high)]
    return np.union1d(np.geomspace(low, high, _FINE), inside)


def _draw_latents(ax: Any, betas: FloatArray, values: FloatArray, modes: list[int], name: str
                  ) -> None:  # fmt: skip
    """One curve per latent: colour and marker are the latent's, the line style the model's."""
    kinds = list(dict.fromkeys(line.linvae_kind for line in _style.drawn_before(ax, "latent")))
    if name not in kinds:
        kinds.append(name)
    turn = kinds.index(name)
    step = max(1, betas.size // 8)
    for place, mode in enumerate(modes):
        (line,) = ax.plot(betas, values[:, place], ls=_style.LINES[turn % len(_style.LINES)],
                          **_style.look(mode), gid="latent", label=f"latent {mode + 1}",
                          markevery=((step // 2 + place * step // 5) % step, step),
                          ms=_style.marker_size(5), mew=_style.line_width(1.2),
                          lw=_style.line_width(1.8))  # fmt: skip
        line.linvae_kind = name
    ax.set_xscale("log")


def _legend(ax: Any, title: str) -> None:
    """Latents by colour and marker, then models by line style."""
    from matplotlib.lines import Line2D

    lines = _style.drawn_before(ax, "latent")
    latents = {line.get_label(): line for line in lines}
    kinds = {line.linvae_kind: line.get_linestyle() for line in lines}
    width = _style.line_width(1.8)
    handles = [
        Line2D([], [], color=line.get_color(), marker=line.get_marker(), label=name, lw=width,
               mfc=line.get_markerfacecolor(), ms=_style.marker_size(5),
               mew=_style.line_width(1.2))
        for name, line in latents.items()
    ]  # fmt: skip
    handles += [Line2D([], [], color=_style.BLACK, ls=look, lw=width, label=name)
                for name, look in kinds.items()]  # fmt: skip
    # More columns than two leave room for the curves, where names are short enough.
    _style.legend_above(ax, title, handles, columns=2 if len(latents) <= 8 else 3)
