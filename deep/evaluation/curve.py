"""The rate-distortion curve of one model, read at any β's on held-out data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from deep._checks import fail
from deep.evaluation.linear import linear_reader
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
from deep.objectives.likelihoods import CalibratedGaussian, Gaussian, Likelihood, squared_error
from deep.objectives.rate import rate

__all__ = ["LearnedCurve", "evaluate_curve"]

# Samples of a block from which on the CPU sees one β at a time: gates are then computed once and
# not for every sample. A GPU would rather have fewer and larger batches.
_ENOUGH = 64


@dataclass(frozen=True, eq=False)
class LearnedCurve:
    """What a model achieves at each of B β's, with standard errors over samples.

    Attributes
    ----------
    betas : ndarray (B,)
    rate, distortion, objective : ndarray (B,)
        Averages over the samples, nats; objective = distortion + betas · rate.
    squared_error : ndarray (B,)
        Of the mean of p(x|z), averaged over z and over the samples, summed over dimensions,
        squared data units.
    rate_se, distortion_se, squared_error_se, objective_se : ndarray (B,)
        Standard deviation over samples (N − 1) / √N. That of the objective counts how distortion
        and rate vary together. The same samples and latents serve every β, so errors at different
        β's are correlated.
    noise_variance : ndarray (B,) or None
        σ² at each β of a Gaussian likelihood; None for the others.
    n_samples, n_features : int
        N and n.
    """

    betas: FloatArray
    rate: FloatArray
    distortion: FloatArray
    squared_error: FloatArray
    objective: FloatArray
    rate_se: FloatArray
    distortion_se: FloatArray
    squared_error_se: FloatArray
    objective_se: FloatArray
    noise_variance: FloatArray | None
    n_samples: int
    n_features: int


def evaluate_curve(
    model: nn.Module,
    samples: Tensor | NDArray[np.generic],
    betas: ArrayLike,
    likelihood: Likelihood,
    *,
    seed: int = 0,
    noise_draws: int = 1,
    batch_size: int = 1000,
    noise_variance: ArrayLike | None = None,
) -> LearnedCurve:
    r"""Rate, distortion and squared error of a model at any β's, in one pass over the samples.

    .. math:: \mathcal R(\beta) = \frac1N\sum_i \mathrm{KL}(q_\beta(z|x_i)\|p(z)), \qquad
              \mathcal D(\beta) = -\frac1N\sum_i \mathbb E_{q_\beta(z|x_i)} \log p_\beta(x_i|z)

    Pairs of β and sample are put into batches: on a GPU, or for few samples, with a β per example,
    otherwise one β at a time. A linear network with a Gaussian likelihood is read at all β's at
    once (:mod:`deep.evaluation.linear`). The numbers are the same up to rounding. The rate is
    exact, the average over z is that of ``noise_draws`` draws, the same ones for every β. The model
    is in evaluation mode meanwhile and its gates are the exact ones.

    A calibrated Gaussian has one σ² per β. Unless given it is the best for all samples evaluated,
    :math:`\mathcal D = \tfrac n2\log(2\pi e\,\varepsilon(\beta)/n)`: right for the data that σ² was
    fitted to, and on held-out data a distortion that is low by what fitting one number to them
    gains. For a strictly held-out number evaluate the training data first and pass the
    ``noise_variance`` of that curve.

    Parameters
    ----------
    model : nn.Module
        A :class:`deep.networks.base.VAENetwork`.
    samples : Tensor or array (N, ...)
        N >= 2; uint8 is divided by 255.
    betas : array (B,) or number
    likelihood : Likelihood
        p(x|z) of the model, with the parameters it was trained to.
    seed : int
        Of the latents; the same seed gives the same numbers at any batch size, up to rounding.
    noise_draws : int
        Latents per sample and β. They are averaged within the sample, then over samples.
    batch_size : int
        Largest number of pairs that the model sees at a time; it bounds the memory.
    noise_variance : array (B,) or number, optional
        σ² of a calibrated Gaussian, squared data units.

    Returns
    -------
    LearnedCurve

    Raises
    ------
    InputError
        β's that are not positive, samples that do not fit, a σ² for a likelihood that has its own.
    DivergenceError
        A model whose values are not finite.
    """
    weights = as_betas(betas)
    check_counts(noise_draws=noise_draws, batch_size=batch_size)
    given = _given_variance(likelihood, noise_variance, weights)
    moments = Moments()
    with evaluating(model):
        reader = linear_reader(model, weights, likelihood, samples.shape[1:])
        for block in blocks(model, samples):
            latents = int(cast(VAENetwork, model).latent_dim)
            noises = [
                normal_noise(block, latents, seed=seed, use="curve", draw=draw)
                for draw in range(noise_draws)
            ]
            if reader is not None:
                values = reader.measure(block, noises, batch_size)
            else:
                values = _measure(
                    cast(VAENetwork, model), block, weights, likelihood, noises, batch_size
                )
            moments.add(finite("evaluate_curve", values, weights))
    n_features = int(np.prod(samples.shape[1:]))
    if isinstance(likelihood, CalibratedGaussian) and given is None:
        given = np.maximum(moments.mean[:, 2] / n_features, likelihood.floor)
    from_error = reader is not None or isinstance(likelihood, CalibratedGaussian)
    return _summary(moments, weights, n_features, given, from_error=from_error)


def _measure(
    model: VAENetwork,
    block: Block,
    betas: FloatArray,
    likelihood: Likelihood,
    noises: list[Tensor],
    batch_size: int,
) -> FloatArray:  # shape: (B, samples, 3)
    """Rate, distortion and squared error of every pair, averaged over the draws of the latents."""
    calibrated = isinstance(likelihood, CalibratedGaussian)
    found = []
    for beta, place in _batches(block.samples, betas, batch_size):
        inputs = block.samples[place]
        mean, log_variance = model.encode(inputs, beta)
        deviation = torch.exp(log_variance / 2)
        total = torch.zeros(len(inputs), 2, dtype=torch.float64, device=inputs.device)
        for noise in noises:
            output = model.decode(mean + deviation * noise[place], beta)
            error = squared_error(likelihood.mean(output), inputs)
            # The calibrated variance belongs to a β and not to a batch: it comes afterwards.
            distortion = error if calibrated else likelihood.distortion(output, inputs)
            total += torch.stack((distortion, error), dim=1)
        rates = rate(mean, log_variance).to(torch.float64)
        found.append(torch.cat((rates[:, None], total / len(noises)), dim=1).cpu())
    return as_array(torch.cat(found).reshape(len(betas), len(block.samples), 3))


def _batches(
    samples: Tensor, betas: FloatArray, batch_size: int
) -> Iterator[tuple[Tensor, Tensor | slice]]:
    """β (one, or one per sample) and places of samples, for all pairs, β by β."""
    known, count = betas_for(samples, betas), len(samples)
    if samples.device.type != "cpu" or count < _ENOUGH:
        for which, place in pairs(len(betas), count, batch_size, samples.device):
            yield known[which], place
        return
    for beta in known:
        for start in range(0, count, batch_size):
            yield beta, slice(start, start + batch_size)


def _given_variance(
    likelihood: Likelihood, noise_variance: ArrayLike | None, betas: FloatArray
) -> FloatArray | None:
    """σ² (B,) where it is known before the pass."""
    if noise_variance is None:
        if isinstance(likelihood, Gaussian):
            return np.full(betas.shape, likelihood.noise_variance)
        return None
    if not isinstance(likelihood, CalibratedGaussian):
        fail("noise_variance", noise_variance, f"none with {type(likelihood).__name__}",
             "only a calibrated Gaussian takes it")  # fmt: skip
    given = np.asarray(noise_variance, dtype=np.float64)
    fits = given.shape in ((), betas.shape)
    if not (fits and np.isfinite(given).all() and (given > 0).all()):
        fail("noise_variance", f"{given}", "one finite number > 0, or one per β",
             "pass the noise_variance of the training curve at the same β's")  # fmt: skip
    return np.broadcast_to(given, betas.shape)


def _summary(
    moments: Moments,
    betas: FloatArray,
    n_features: int,
    variance: FloatArray | None,
    *,
    from_error: bool,
) -> LearnedCurve:
    """Averages and standard errors; `from_error`: the distortion is that of σ² at the error."""
    rates, distortion, error = moments.mean.T
    weights: tuple[float | FloatArray, float | FloatArray] = (1.0, 0.0)
    if from_error and variance is not None:
        distortion = n_features / 2 * np.log(2 * np.pi * variance) + error / (2 * variance)
        weights = (0.0, 1 / (2 * variance))
    covariance = moments.error_covariance()
    return LearnedCurve(
        betas=sealed(betas),
        rate=sealed(rates),
        distortion=sealed(distortion),
        squared_error=sealed(error),
        objective=sealed(distortion + betas * rates),
        rate_se=sealed(standard_error(covariance, 1.0, 0.0, 0.0)),
        distortion_se=sealed(standard_error(covariance, 0.0, *weights)),
        squared_error_se=sealed(standard_error(covariance, 0.0, 0.0, 1.0)),
        objective_se=sealed(standard_error(covariance, betas, *weights)),
        noise_variance=None if variance is None else sealed(variance),
        n_samples=moments.count,
        n_features=n_features,
    )
