r"""Rate, likelihood and information of any linear VAE, in terms of traces and log-determinants.

With :math:`A = ESE^\top + C` (covariance of the aggregated posterior), a its mean,
:math:`M = DD^\top + \sigma^2 I` and :math:`P = I + D^\top D/\sigma^2`:

.. math:: \mathcal R = \tfrac12(\operatorname{tr} A + \lVert a\rVert^2 - k - \log\det C), \qquad
          I_q(x; z) = \tfrac12(\log\det A - \log\det C)
"""

from __future__ import annotations

import sympy as sp

from .modes import ACTIVE, WATER_LEVEL
from .symbols import beta, c, e, k, lam, n, s2

__all__ = [
    "AGGREGATED_VARIANCE",
    "DATA_ENTROPY",
    "DIMENSION_WISE_KL",
    "DIMENSION_WISE_SUM",
    "DISTORTION",
    "LOG_LIKELIHOOD",
    "MARGINAL_KL",
    "MODE_INFORMATION",
    "MODE_POSTERIOR_GAP",
    "MODE_PROCESSING_GAP",
    "MUTUAL_INFORMATION",
    "POSTERIOR_GAP",
    "PROCESSING_GAP",
    "RATE",
    "TOTAL_CORRELATION",
    "logdet_aggregated",
    "logdet_conditional",
    "logdet_data",
    "logdet_model",
    "logdet_posterior",
    "logdet_precision",
    "mean",
    "mean_square",
    "quadratic_conditional",
    "quadratic_model",
    "quadratic_posterior",
    "squared_error",
    "sum_log_variances",
    "trace_aggregated",
    "variance",
]

trace_aggregated = sp.Symbol("trace_aggregated", positive=True)  # tr A
mean_square = sp.Symbol("mean_square", nonnegative=True)  # ‖a‖²
logdet_posterior = sp.Symbol("logdet_posterior", real=True)  # log det C
logdet_aggregated = sp.Symbol("logdet_aggregated", real=True)  # log det A
sum_log_variances = sp.Symbol("sum_log_variances", real=True)  # Σ log A_jj
variance = sp.Symbol("variance", positive=True)  # A_jj of one latent
mean = sp.Symbol("mean", real=True)  # a_j of one latent
logdet_data = sp.Symbol("logdet_data", real=True)  # log det S
logdet_model = sp.Symbol("logdet_model", real=True)  # log det M
logdet_precision = sp.Symbol("logdet_precision", real=True)  # log det P
logdet_conditional = sp.Symbol("logdet_conditional", real=True)  # log det V, V = Cov(x|z)
squared_error = sp.Symbol("squared_error", positive=True)  # ε
# tr M⁻¹(S + δδᵀ), δ = μ − m_d
quadratic_model = sp.Symbol("quadratic_model", positive=True)
# tr P(C + (E − R)S(E − R)ᵀ + ggᵀ), R = P⁻¹Dᵀ/σ², g the difference of the two posteriors' means
quadratic_posterior = sp.Symbol("quadratic_posterior", positive=True)
# [tr V + tr (K − D)A(K − D)ᵀ + ‖μ − m_d − Da‖²]/σ², K = SEᵀA⁻¹
quadratic_conditional = sp.Symbol("quadratic_conditional", positive=True)

# Of any encoder.
RATE = (trace_aggregated + mean_square - k - logdet_posterior) / 2
MUTUAL_INFORMATION = (logdet_aggregated - logdet_posterior) / 2
MARGINAL_KL = (trace_aggregated + mean_square - k - logdet_aggregated) / 2
TOTAL_CORRELATION = (sum_log_variances - logdet_aggregated) / 2
DIMENSION_WISE_SUM = (trace_aggregated + mean_square - k - sum_log_variances) / 2
DIMENSION_WISE_KL = (variance + mean**2 - 1 - sp.log(variance)) / 2

# Of any decoder, or of both.
DISTORTION = n * sp.log(2 * sp.pi * s2) / 2 + squared_error / (2 * s2)
LOG_LIKELIHOOD = -(n * sp.log(2 * sp.pi) + logdet_model + quadratic_model) / 2
POSTERIOR_GAP = (quadratic_posterior - k - logdet_precision - logdet_posterior) / 2
DATA_ENTROPY = (n * sp.log(2 * sp.pi * sp.E) + logdet_data) / 2
PROCESSING_GAP = (quadratic_conditional - n + n * sp.log(s2) - logdet_conditional) / 2

# Along one eigenvector, of any gains.
AGGREGATED_VARIANCE = lam * e**2 + c
MODE_INFORMATION = sp.log(1 + lam * e**2 / c) / 2

# Along one eigenvector, at the joint optimum for β: log-likelihood − ELBO, and 𝒟 + I − h(x).
_PRECISION = 1 + (lam - WATER_LEVEL) / s2
_STRETCH = _PRECISION * WATER_LEVEL / lam  # posterior variance in units of the exact one
MODE_POSTERIOR_GAP = sp.Piecewise(
    (
        (_STRETCH - 1 - sp.log(_STRETCH)) / 2
        + (lam - WATER_LEVEL) * (1 - beta) ** 2 / (2 * lam * _PRECISION),
        ACTIVE,
    ),
    (sp.S.Zero, True),
)
MODE_PROCESSING_GAP = sp.Piecewise(
    ((beta - 1 - sp.log(beta)) / 2, ACTIVE),
    ((lam / s2 - 1 - sp.log(lam / s2)) / 2, True),
)
