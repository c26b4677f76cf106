"""Trained networks against the exact frontier: nothing sampled, nothing estimated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

import linvae as lv
from deep._checks import fail
from deep.networks.linear import MultiRateLinearVAE
from deep.networks.linear_parts import GatedLinear, NoGates

__all__ = ["Comparison", "compare", "read_off", "write_out"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """A trained network beside the optimum; arrays have one entry per β, shape (B,).

    Attributes
    ----------
    betas : ndarray
    rate, distortion, objective : ndarray
        Of the network, nats.
    squared_error : ndarray
        Summed over dimensions, squared data units.
    optimum : ndarray
        Smallest objective of any linear VAE of that size, nats.
    excess_nats : ndarray
        objective − optimum.
    normalised_excess : ndarray
        0 = optimal, 1 = no better than ignoring the data; in nats where in_nats is True.
    in_nats : ndarray of bool
        Where a model that ignores the data would lose 1 nat or less.
    """

    betas: FloatArray
    rate: FloatArray
    distortion: FloatArray
    squared_error: FloatArray
    objective: FloatArray
    optimum: FloatArray
    excess_nats: FloatArray
    normalised_excess: FloatArray
    in_nats: NDArray[np.bool_]


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


def compare(
    model: MultiRateLinearVAE, betas: FloatArray, *, spectrum: lv.Spectrum, frontier: lv.Frontier
) -> Comparison:
    """Hold the network against the frontier at each β.

    Parameters
    ----------
    model : MultiRateLinearVAE
    betas : ndarray (B,)
        KL weights > 0.
    spectrum : Spectrum
        Of the data to evaluate on.
    frontier : Frontier
        Of the same data, with the network's latent size and noise variance.

    Returns
    -------
    Comparison
    """
    vae = read_off(model, betas, noise_variance=frontier.noise_variance)
    terms = vae.evaluate(spectrum, betas)
    gap = frontier.normalised_gap(terms.rate, terms.distortion, betas)
    return Comparison(
        betas=betas,
        rate=terms.rate,
        distortion=terms.distortion,
        squared_error=terms.squared_error,
        objective=terms.objective,
        optimum=frontier.at_beta(betas).objective,
        excess_nats=frontier.gap(terms.rate, terms.distortion, betas),
        normalised_excess=gap.value,
        in_nats=gap.in_nats,
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
