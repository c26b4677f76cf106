r"""The noise variance: optimal at each β with m active modes, and β in losses of other forms.

.. math:: \sigma^2 = \frac{T_m}{n - m\beta}, \qquad
          \beta(\tau) = \frac{n\tau}{m\tau + T_m}, \qquad
          T_m = \sum_{i>m} \lambda_i
"""

from __future__ import annotations

import sympy as sp

from .symbols import beta, k, lam, m, n, s2, tau

__all__ = [
    "BETA_AT_LEVEL",
    "BETA_OF_MEANS",
    "BETA_OF_SUMS",
    "BOUNDED_BETA",
    "CALIBRATED_DISTORTION",
    "CALIBRATED_VARIANCE",
    "COLLAPSE_BETA",
    "JOIN_BETA",
    "LEVEL_OF_SUMS",
    "LIKELIHOOD_VARIANCE",
    "RATE",
    "SCALE_OF_SUMS",
    "SHORTFALL",
    "SQUARED_ERROR",
    "STRAIGHT_BETA",
    "kl_weight",
    "log_sum",
    "rank",
    "reconstruction_weight",
    "squared_error",
    "tail",
    "total",
]

tail = sp.Symbol("tail", nonnegative=True)  # T_m, variance outside the m active modes
total = sp.Symbol("total", positive=True)  # tr S
log_sum = sp.Symbol("log_sum", real=True)  # Σ_{i≤m} log λᵢ
rank = sp.Symbol("rank", integer=True, positive=True)  # r = rank S
squared_error = sp.Symbol("squared_error", positive=True)  # ε
reconstruction_weight = sp.Symbol("reconstruction_weight", positive=True)  # a in aε + b KL
kl_weight = sp.Symbol("kl_weight", positive=True)  # b in aε + b KL

# With m active modes at water level τ.
SQUARED_ERROR = m * tau + tail
RATE = (log_sum - m * sp.log(tau)) / 2

# The optimal noise variance, and where the number of active modes changes.
CALIBRATED_VARIANCE = tail / (n - m * beta)
LIKELIHOOD_VARIANCE = tail / (n - m)  # at β = 1: probabilistic PCA
BETA_AT_LEVEL = n * tau / (m * tau + tail)
JOIN_BETA = n * lam / (m * lam + tail)  # mode m, of eigenvalue λ, is active below it
COLLAPSE_BETA = n * lam / total  # no mode is active from here on, λ = λ₁
BOUNDED_BETA = n / rank  # below it there is no minimum when all variance fits into the latents

# The calibrated curve.
CALIBRATED_DISTORTION = n * sp.log(2 * sp.pi * sp.E * squared_error / n) / 2
STRAIGHT_BETA = n / m
SHORTFALL = tail / (m * tau + tail)  # relative distance of −slope below n/m

# The loss a·(squared error) + b·KL in the convention 𝒟 + β·rate.
BETA_OF_SUMS = kl_weight / (2 * reconstruction_weight * s2)
LEVEL_OF_SUMS = kl_weight / (2 * reconstruction_weight)
SCALE_OF_SUMS = 2 * reconstruction_weight * s2
BETA_OF_MEANS = n * kl_weight / (2 * k * reconstruction_weight * s2)  # both averaged: n and k
