"""The objective of linear networks in closed form: averaged over the data, z and log β."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from deep._checks import check_beta_range, fail
from deep.networks.linear import MultiRateLinearVAE
from deep.networks.linear_parts import LinearParameters

__all__ = ["Quadrature", "expected_terms", "gauss_legendre", "model_terms", "stratified"]


class Quadrature(NamedTuple):
    """β's (B,) and weights (B,) that sum to 1, for averages over log β."""

    betas: Tensor
    weights: Tensor


def gauss_legendre(
    beta_range: tuple[float, float], nodes: int, *, pieces: int = 1, dtype: Any = torch.float64
) -> Quadrature:
    r"""Nodes and weights for averages over log β uniform on a range.

    .. math:: \frac1{\log b - \log a} \int_{\log a}^{\log b} f\, d\log\beta
              \approx \sum_j w_j f(\beta_j)

    Exact for polynomials in log β of degree 2·nodes − 1 on each of so many equal pieces; each
    critical β inside is a kink of the second derivative.

    Parameters
    ----------
    beta_range : (a, b)
    nodes : int
        On each piece, >= 1.
    pieces : int
        >= 1.

    Raises
    ------
    InputError
        Not 0 < a < b, no node, no piece.
    """
    low, high = (math.log(b) for b in check_beta_range(beta_range))
    if nodes < 1 or pieces < 1:
        fail("nodes and pieces", (nodes, pieces), "at least one of each", "raise them")
    places, weights = np.polynomial.legendre.leggauss(nodes)
    edges = np.linspace(low, high, pieces + 1)
    half = (high - low) / (2 * pieces)
    logs = (edges[:-1, None] + half) + half * places
    return Quadrature(
        torch.as_tensor(np.exp(logs.ravel()), dtype=dtype),
        torch.as_tensor(np.tile(weights / (2 * pieces), pieces), dtype=dtype),
    )


def expected_terms(
    parameters: LinearParameters, covariance: Tensor, noise_variance: float
) -> tuple[Tensor, Tensor]:
    r"""Distortion and rate of linear parameters, averaged over the data and over z in closed form.

    .. math::
        \mathcal D &= \tfrac n2\log(2\pi\sigma^2) + \tfrac1{2\sigma^2}\,[\operatorname{tr}S
            - 2\operatorname{tr}DES + \operatorname{tr}D^\top D(ESE^\top + C)] \\
        \mathcal R &= \tfrac12\,[\operatorname{tr}(C + ESE^\top) - k - \log\det C]

    Parameters
    ----------
    parameters : LinearParameters
        Batch dimensions (...); both offsets at the data mean.
    covariance : Tensor (n, n)
        S, divided by the number of samples.
    noise_variance : float
        σ² > 0.

    Returns
    -------
    distortion, rate : Tensor (...)
        Nats.
    """
    encoder, variance, decoder = parameters
    seen = encoder @ covariance  # shape: (..., k, n)
    spread = seen @ encoder.mT  # shape: (..., k, k)
    gram = decoder.mT @ decoder
    cross = (decoder.mT * seen).sum((-1, -2))
    return _terms(spread, variance, gram, cross, covariance, noise_variance)


def model_terms(
    model: MultiRateLinearVAE,
    beta: Tensor,
    covariance: Tensor,
    noise_variance: float,
    *,
    sharpness: float = math.inf,
) -> tuple[Tensor, Tensor]:
    """Equals :func:`expected_terms` of ``model.at(beta)``, each (B,), in a fraction of the time.

    While the gates of the feature rows do not depend on β, as they start, all that does is k × k:
    the products with n × n matrices are made once for all β.
    """
    if not model.features_constant:
        return expected_terms(model.at(beta, sharpness=sharpness), covariance, noise_variance)
    parts = model.factors(beta, sharpness=sharpness)
    seen = parts.reading @ covariance  # shape: (k, n)
    gate = parts.encoder_gate
    spread = gate[..., None] * (seen @ parts.reading.mT) * gate[..., None, :]
    gram = parts.mixing.mT @ (parts.writing.mT @ parts.writing) @ parts.mixing
    both = gate[..., None] * (seen @ parts.writing)  # shape: (B, k, k)
    cross = (parts.mixing.mT * both).sum((-1, -2))
    return _terms(spread, parts.posterior_variance, gram, cross, covariance, noise_variance)


def _terms(
    spread: Tensor, variance: Tensor, gram: Tensor, cross: Tensor, covariance: Tensor, noise: float
) -> tuple[Tensor, Tensor]:
    second_moment = spread + torch.diag_embed(variance)
    error = torch.trace(covariance) - 2 * cross + (gram * second_moment).sum((-1, -2))
    n = covariance.shape[-1]
    distortion = 0.5 * (n * math.log(2 * math.pi * noise) + error / noise)
    trace = torch.diagonal(second_moment, dim1=-2, dim2=-1)
    rate = 0.5 * (trace - 1 - torch.log(variance)).sum(-1)
    return distortion, rate


def stratified(
    beta_range: tuple[float, float], strata: int, generator: torch.Generator
) -> Quadrature:
    """One random β from each of `strata` equal parts of the range of log β, equally weighted."""
    low, high = (math.log(b) for b in check_beta_range(beta_range))
    draws = torch.rand(strata, generator=generator, dtype=torch.float64)
    place = (torch.arange(strata, dtype=torch.float64) + draws) / strata
    betas = torch.exp(low + (high - low) * place)
    return Quadrature(betas, torch.full_like(betas, 1 / strata))
