"""Trained networks against the exact frontier: nothing sampled, nothing estimated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

import linvae as lv
from deep.networks.linear import MultiRateLinearVAE

__all__ = ["Comparison", "compare", "read_off"]

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
    encoder, variance, decoder = (p.double().numpy() for p in parameters)
    mean = model.mean.double().numpy()
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
