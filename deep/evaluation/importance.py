"""Negative log-likelihood, estimated with importance samples from the encoder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from deep._checks import fail
from deep.evaluation.passes import (
    Block,
    FloatArray,
    Moments,
    as_array,
    as_betas,
    betas_for,
    blocks,
    check_counts,
    evaluating,
    finite,
    normal_noise,
    pairs,
    sealed,
    standard_error,
)
from deep.networks.base import VAENetwork
from deep.objectives.likelihoods import CalibratedGaussian, Likelihood

__all__ = ["ImportanceNLL", "importance_weighted_nll"]


@dataclass(frozen=True, eq=False)
class ImportanceNLL:
    """Estimates of −log p(x), nats per sample, at each of B β's.

    Attributes
    ----------
    betas, nll, nll_se : ndarray (B,)
        The expectation of ``nll`` is an upper bound on the average of −log p(x), and tightens as
        the number of importance samples grows; ``nll_se`` is its standard error over samples and
        knows nothing of that bias.
    n_importance, n_samples : int
        K and N.
    """

    betas: FloatArray
    nll: FloatArray
    nll_se: FloatArray
    n_importance: int
    n_samples: int


def importance_weighted_nll(
    model: nn.Module,
    samples: Tensor | NDArray[np.generic],
    betas: ArrayLike,
    likelihood: Likelihood,
    *,
    n_importance: int = 100,
    seed: int = 0,
    batch_size: int = 1000,
) -> ImportanceNLL:
    r"""Importance-weighted bound on the negative log-likelihood.

    .. math:: -\frac1N \sum_i \log \frac1K \sum_{j=1}^K
              \frac{p(x_i|z_{ij})\, p(z_{ij})}{q(z_{ij}|x_i)}, \qquad z_{ij} \sim q(z|x_i)

    With K = 1 its expectation is distortion + rate. β only says which of its models the network is;
    it does not weigh the rate here.

    Parameters
    ----------
    model, samples, betas, likelihood
        As for :func:`deep.evaluation.curve.evaluate_curve`.
    n_importance : int
        K.
    seed : int
        Of the latents, the same ones for every β.
    batch_size : int
        Largest number of latents that are decoded at a time.

    Returns
    -------
    ImportanceNLL

    Raises
    ------
    InputError
        As for ``evaluate_curve``; a calibrated Gaussian, whose σ² has to be fixed first.
    DivergenceError
        A model whose values are not finite.

    Notes
    -----
    Source: Burda et al. 2016, Eq. 8.
    """
    weights = as_betas(betas)
    check_counts(n_importance=n_importance, batch_size=batch_size)
    if isinstance(likelihood, CalibratedGaussian):
        fail("likelihood", "a calibrated Gaussian", "one whose parameters are fixed",
             "pass Gaussian(σ²) with the noise_variance of the training curve")  # fmt: skip
    moments = Moments()
    with evaluating(model):
        for block in blocks(model, samples):
            values = _block_nll(
                cast(VAENetwork, model), block, weights, likelihood, n_importance, seed, batch_size
            )
            moments.add(finite("importance_weighted_nll", values, weights))
    return ImportanceNLL(
        betas=sealed(weights),
        nll=sealed(moments.mean[:, 0]),
        nll_se=sealed(standard_error(moments.error_covariance(), 1.0)),
        n_importance=n_importance,
        n_samples=moments.count,
    )


def _block_nll(
    model: VAENetwork,
    block: Block,
    betas: FloatArray,
    likelihood: Likelihood,
    count: int,
    seed: int,
    batch_size: int,
) -> FloatArray:  # shape: (B, samples, 1)
    """Minus the logarithm of the average weight of each pair of β and sample."""
    known = betas_for(block.samples, betas)
    latents = int(model.latent_dim)
    found = []
    for which, place in pairs(len(betas), len(block.samples), batch_size, block.samples.device):
        inputs, beta = block.samples[place], known[which]
        mean, log_variance = model.encode(inputs, beta)
        total = torch.full((len(place),), -math.inf, dtype=torch.float64, device=inputs.device)
        together = max(1, batch_size // len(place))
        for first in range(0, count, together):
            draws = range(first, min(first + together, count))
            noise = torch.stack([
                normal_noise(block, latents, seed=seed, use="importance", draw=draw)[place]
                for draw in draws
            ])  # fmt: skip
            logs = _log_weights(model, inputs, beta, (mean, log_variance), noise, likelihood)
            total = torch.logaddexp(total, torch.logsumexp(logs, dim=0))
        found.append((math.log(count) - total).cpu())
    return as_array(torch.cat(found).reshape(len(betas), len(block.samples), 1))


def _log_weights(
    model: VAENetwork,
    samples: Tensor,
    beta: Tensor,
    posterior: tuple[Tensor, Tensor],
    noise: Tensor,
    likelihood: Likelihood,
) -> Tensor:  # shape: (draws, rows), float64
    """Sums log p(x|z) + log p(z) − log q(z|x); the constants of the two normals cancel."""
    mean, log_variance = posterior
    draws, rows, _ = noise.shape
    z = mean + torch.exp(log_variance / 2) * noise
    output = model.decode(z.flatten(0, 1), beta.repeat(draws))
    repeated = samples.repeat(draws, *([1] * (samples.ndim - 1)))
    distortion = likelihood.distortion(output, repeated).reshape(draws, rows).to(torch.float64)
    ratio = noise.double().square() + log_variance.double() - z.double().square()
    return ratio.sum(2) / 2 - distortion
