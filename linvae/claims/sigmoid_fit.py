"""Best fits of products of sigmoid gates to the joint optimum of one mode (claims T1.c and T1.e).

Everything is scale-free: with λ = σ² = 1 a mode dies at β = 1; for another mode multiply β and
every excess by its critical β.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from linvae._validation import FloatArray

__all__ = ["SigmoidFit", "best_posterior_fit", "posterior_excess", "readout_excess"]

# The β range of the source experiments, 0.01 to 10. Of 601 points one is the critical β, 1, where
# the excess has a peak.
_LOG_BETA = np.linspace(np.log(0.01), np.log(10.0), 601)


@dataclass(frozen=True)
class SigmoidFit:
    """The best product of sigmoid gates found for the posterior variance of one mode.

    Attributes
    ----------
    gates : int
        Number of factors.
    mean_excess, worst_excess : float
        Excess objective over log β uniform in [0.01, 10], and its maximum; nats per unit of
        critical β.
    """

    gates: int
    mean_excess: float
    worst_excess: float


def posterior_excess(log_variance: FloatArray, log_beta: FloatArray) -> FloatArray:
    r"""Excess objective of posterior variance c at β, decoder and encoder optimal; λ = σ² = 1.

    .. math:: \tfrac{w}{2}\,[\,r - 1 - \log r\,],\quad r = c/\min(1,\beta),\ w = \beta
    """
    step = log_variance - np.minimum(log_beta, 0.0)
    return np.asarray(0.5 * np.exp(log_beta) * (np.expm1(step) - step))


def readout_excess(readout: FloatArray, log_beta: FloatArray) -> FloatArray:
    r"""Excess objective of encoder entry e at β, all else optimal; λ = σ² = 1.

    .. math:: \tfrac12 \max(1, \beta)\,(e - \sqrt{(1-\beta)_+})^2
    """
    best = np.sqrt(-np.expm1(np.minimum(log_beta, 0.0)))
    return np.asarray(0.5 * np.exp(np.maximum(log_beta, 0.0)) * (readout - best) ** 2)


def _fit_value(parameters: FloatArray, gates: int, power: float) -> tuple[float, FloatArray]:
    """Power mean of the excess over the grid, and its gradient; parameters: log base, w, b."""
    w, b = parameters[1 : 1 + gates, None], parameters[1 + gates :, None]
    argument = w * _LOG_BETA + b
    log_gates = -np.logaddexp(0.0, -argument)
    log_c = parameters[0] + log_gates.sum(axis=0)
    if log_c.max() > 300:  # a step of the line search that went too far
        return 1e300, np.zeros_like(parameters)
    excess = posterior_excess(log_c, _LOG_BETA)
    most = float(excess.max())  # high powers of small numbers would vanish
    if most == 0.0:
        return 0.0, np.zeros_like(parameters)
    mean = float(np.mean((excess / most) ** power))
    # d excess / d log c = β/2 (r - 1);  d log sigmoid / dx = sigmoid(-x)
    slope = 0.5 * np.exp(_LOG_BETA) * np.expm1(log_c - np.minimum(_LOG_BETA, 0.0))
    weight = slope * (excess / most) ** (power - 1) / _LOG_BETA.size  # excess >= 0, power >= 1
    closing = np.exp(-np.logaddexp(0.0, argument)) * weight
    gradient = np.concatenate(
        [[weight.sum()], (closing * _LOG_BETA).sum(axis=1), closing.sum(axis=1)]
    )
    return most * mean ** (1 / power), mean ** (1 / power - 1) * gradient


def _descend(start: FloatArray, gates: int, powers: tuple[float, ...]) -> FloatArray:
    """Minimise through a rising sequence of powers: each is the start of the next, harder one."""
    from scipy.optimize import minimize

    for power in powers:
        start = minimize(
            _fit_value,
            start,
            args=(gates, power),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 400},
        ).x
    return start


@lru_cache(maxsize=8)
def best_posterior_fit(gates: int, *, minimax: bool = False, starts: int = 24) -> SigmoidFit:
    """Fit c(β) by `gates` sigmoid gates with a free base, by local searches from many starts.

    The mean excess is minimised, or, with `minimax`, the largest one (by way of high power means).
    """
    rng = np.random.default_rng(0)
    powers = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0) if minimax else (1.0,)
    fits = []
    for _ in range(starts):
        start = rng.normal(0.0, 2.0, 1 + 2 * gates)
        parameters = _descend(start, gates, powers)
        w, b = parameters[1 : 1 + gates, None], parameters[1 + gates :, None]
        log_c = parameters[0] - np.logaddexp(0.0, -(w * _LOG_BETA + b)).sum(axis=0)
        excess = posterior_excess(log_c, _LOG_BETA)
        fits.append(SigmoidFit(gates, float(excess.mean()), float(excess.max())))
    return min(fits, key=lambda fit: fit.worst_excess if minimax else fit.mean_excess)
