"""Trained networks against the exact frontier: nothing sampled, nothing estimated."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

import linvae as lv
from deep._checks import fail
from deep.comparison.curves import ComparedCurve, compare_curve
from deep.comparison.reference import frontier_reference
from deep.evaluation.curve import LearnedCurve
from deep.networks.linear import MultiRateLinearVAE
from deep.networks.linear_parts import GatedLinear, NoGates

__all__ = ["as_hypernetwork", "compare", "exact_curve", "read_off", "write_out"]

FloatArray = NDArray[np.float64]


def read_off(
    model: MultiRateLinearVAE, betas: FloatArray, *, noise_variance: float
) -> lv.LinearVAE:
    """Take E, c, D and the mean off the network at each β (B,), as a batch of linear VAEs."""
    with torch.no_grad():
        parameters = model.at(torch.as_tensor(betas))
    encoder, variance, decoder = (p.double().cpu().numpy() for p in parameters)
    mean = model.mean.double().cpu().numpy()
    return lv.LinearVAE(
        encoder=encoder,
        posterior_variance=variance,
        decoder=decoder,
        noise_variance=np.asarray(noise_variance),
        encoder_offset=mean,
        decoder_offset=mean,
    )


def exact_curve(
    model: MultiRateLinearVAE, betas: FloatArray, *, spectrum: lv.Spectrum, noise_variance: float
) -> LearnedCurve:
    """The curve of a linear network, exact for data of that mean and covariance.

    Parameters
    ----------
    model : MultiRateLinearVAE
    betas : ndarray (B,)
        KL weights > 0.
    spectrum : Spectrum
        Of the data to evaluate on.
    noise_variance : float
        σ² of the decoder.

    Returns
    -------
    LearnedCurve
        Its standard errors are 0.
    """
    terms = read_off(model, betas, noise_variance=noise_variance).evaluate(spectrum, betas)
    names = ("rate", "distortion", "squared_error", "objective")
    return LearnedCurve(
        betas=betas,
        **{name: getattr(terms, name) for name in names},
        **{f"{name}_se": np.zeros_like(betas) for name in names},
        noise_variance=np.full_like(betas, noise_variance),
        n_samples=spectrum.n_samples or 0,
        n_features=spectrum.n_features,
    )


def compare(
    model: MultiRateLinearVAE, betas: FloatArray, *, spectrum: lv.Spectrum, frontier: lv.Frontier
) -> ComparedCurve:
    """Hold the network against the frontier at each β, exactly.

    Parameters
    ----------
    model, betas, spectrum
        As for :func:`exact_curve`.
    frontier : Frontier
        Of the same data, with the network's latent size and noise variance.
    """
    curve = exact_curve(model, betas, spectrum=spectrum, noise_variance=frontier.noise_variance)
    return compare_curve(curve, frontier_reference(frontier))


def as_hypernetwork(
    model: MultiRateLinearVAE, *, noise_variance: float, order: ArrayLike | None = None
) -> lv.Hypernetwork:
    r"""Read gates and weights off the network, in data units; the inverse of :func:`write_out`.

    The network's gates read standardised log β, those returned read log β itself, so that w and b
    stand beside those of :meth:`linvae.Hypernetwork.exact`:

    .. math:: \sigma\Bigl(w' \tfrac{\log\beta - m}s + b'\Bigr) = \sigma(w \log\beta + b), \qquad
              w = \frac{w'}s,\; b = b' - \frac{w' m}s

    At every β the result is the model that :func:`read_off` gives, up to rounding.

    Parameters
    ----------
    model : MultiRateLinearVAE
        Its gates are the exact ones. Where it has none, the result has constant ones.
    noise_variance : float
        σ² of the decoder, squared data units.
    order : array of int (k,), optional
        Latents in the order wanted: a permutation of 0, ..., k − 1. No model depends on it.

    Returns
    -------
    Hypernetwork

    Raises
    ------
    InputError
        An order that is no permutation.
    linvae.errors.InputError
        Gates that linvae does not know (tanh, affine).
    """
    rows = _permutation(order, model.latent_dim)
    factors = {
        "encoder_1": model.encoder_1.weight @ _reading(model),
        "encoder_2": model.encoder_2.weight[rows],
        "posterior_1": torch.exp(model.posterior_1.log_base)[rows],
        "posterior_2": torch.exp(model.posterior_2.log_base)[rows],
        # The numbers between the two matrices start as the latents and move with them.
        "decoder_1": model.decoder_1.weight[rows][:, rows],
        "decoder_2": model.decoder_2.weight[:, rows] * model.scale,
    }
    moved = ("encoder_2", "posterior_1", "posterior_2", "decoder_1")  # the others' are features
    layers = {
        name: _layer(model, name, base, rows if name in moved else None)
        for name, base in factors.items()
    }
    encoder, posterior, decoder = (
        (layers[f"{side}_1"], layers[f"{side}_2"]) for side in ("encoder", "posterior", "decoder")
    )
    return lv.Hypernetwork(
        encoder, posterior, decoder, noise_variance, model.mean.double().cpu().numpy()
    )


def _permutation(order: ArrayLike | None, size: int) -> NDArray[np.intp]:
    rows = np.arange(size) if order is None else np.asarray(order)
    fits = rows.shape == (size,) and rows.dtype.kind in "iu"
    if not fits or not np.array_equal(np.sort(rows), np.arange(size)):
        fail("order", order, f"each of 0, ..., {size - 1} once", "pass a permutation")
    return np.asarray(rows, dtype=np.intp)


def _reading(model: MultiRateLinearVAE) -> torch.Tensor:
    """P, the matrix from centred samples to the network's coordinates."""
    if model.whitening is not None:
        return model.whitening
    return torch.eye(model.mean.numel(), dtype=model.mean.dtype) / model.scale


def _layer(
    model: MultiRateLinearVAE, name: str, base: torch.Tensor, rows: NDArray[np.intp] | None
) -> lv.hypernetwork.GatedLayer:
    gates, weights = getattr(model, name).gates, base.detach().double().cpu().numpy()
    if isinstance(gates, NoGates):
        nothing = np.zeros(len(weights))
        return lv.hypernetwork.GatedLayer(nothing, nothing, weights, "min_exp")  # exactly 1
    slope, bias = (p.detach().double().cpu().numpy() for p in (gates.slope, gates.bias))
    if rows is not None:
        slope, bias = slope[rows], bias[rows]
    slope = slope / model.beta_input.std
    return lv.hypernetwork.GatedLayer(
        slope, bias - slope * model.beta_input.mean, weights, gates.gate
    )


def write_out(model: MultiRateLinearVAE, hypernetwork: lv.Hypernetwork) -> None:
    r"""Write the parameters of a hypernetwork into a network, in place.

    The network then is that hypernetwork at every β: its gates are standardised over the network's
    range of β, its weights expressed in the network's coordinates. Rows and columns that the
    theory leaves out are zero.

    Parameters
    ----------
    model : MultiRateLinearVAE
        With the hypernetwork's sizes and gates; a constant gate of the hypernetwork becomes a part
        of the weights where the network has none. Its mean is overwritten.
    hypernetwork : Hypernetwork
        Of :meth:`linvae.Hypernetwork.exact`, ``published`` or one of one's own.

    Raises
    ------
    InputError
        A layer that is larger than the network's, other gates, or a gate that moves with β where
        the network has none.
    """
    hyper = hypernetwork.standardised(model.beta_range)
    with torch.no_grad():
        model.mean.copy_(torch.tensor(hyper.offset))
        for side in ("encoder", "posterior", "decoder"):
            for number, layer in enumerate(getattr(hyper, side), start=1):
                target = getattr(model, f"{side}_{number}")
                base = _write_gates(target.gates, layer, f"{side}_{number}")
                if isinstance(target, GatedLinear):
                    matrix = _in_coordinates(model, f"{side}_{number}", np.diag(base)
                                             if base.ndim == 1 else base)  # fmt: skip
                    _fill(target.weight, matrix, f"{side}_{number}")
                else:
                    _fill(target.log_base, np.log(base), f"{side}_{number}")


def _write_gates(
    gates: torch.nn.Module, layer: lv.hypernetwork.GatedLayer, name: str
) -> FloatArray:
    """Write a layer's gates; return its base weights, a gate that has no place multiplied in."""
    if isinstance(gates, NoGates):
        if layer.w_hyper.any():
            fail(f"gates of {name}", "slopes that are not 0", "constant gates, as the network has "
                 "none there", "build the network with gates in that layer")  # fmt: skip
        constant = layer.gate_values(np.zeros(()))
        return constant * layer.base if layer.is_diagonal else constant[:, None] * layer.base
    if gates.gate != layer.gate:
        fail(f"gates of {name}", gates.gate, layer.gate, "build the network with the gates of "
             "the hypernetwork")  # fmt: skip
    _fill(gates.slope, layer.w_hyper, name)
    _fill(gates.bias, layer.b_hyper, name)
    return np.asarray(layer.base)


def _in_coordinates(model: MultiRateLinearVAE, name: str, matrix: FloatArray) -> FloatArray:
    scale = float(model.scale)
    if name == "decoder_2":
        return matrix / scale
    if name != "encoder_1":
        return matrix
    if model.whitening is None:
        return matrix * scale
    # E P⁻¹: the network multiplies by P again.
    whitening = model.whitening.double().cpu().numpy()
    return np.asarray(np.linalg.solve(whitening.T, matrix.T).T)


def _fill(target: torch.Tensor, values: FloatArray, name: str) -> None:
    """Copy an array into a parameter; what is left over is zero."""
    wide = zip(values.shape, target.shape, strict=True)
    if any(size > room for size, room in wide):
        fail(f"layer {name}", f"shape {values.shape}", f"at most {tuple(target.shape)}",
             "build the network for the hypernetwork's sizes")  # fmt: skip
    target.zero_()
    target[tuple(slice(size) for size in values.shape)] = torch.tensor(values)
