r"""Gradient flow of the objective: rates at its stationary points, alignment, and gates.

.. math:: \gamma(\lambda, t) = \frac{2\lambda(\lambda - t)}
          {\sigma^2\left[1 + t\lambda + \sqrt{(1 - t\lambda)^2 + 4\lambda^2}\right]}, \qquad
          \gamma(\lambda, \beta\sigma^2) \text{ the growth of a mode at collapse}

"Joint" stands for the flow of encoder, log posterior variance and decoder, "decoder" for that of
the decoder alone, the other two at their best response to it all along.
"""

from __future__ import annotations

import sympy as sp

from .modes import WATER_LEVEL
from .symbols import beta, lam, s2, x

__all__ = [
    "ALIGNMENT_RATE",
    "DECODER_ALIGNMENT_RATE",
    "DECODER_CONVERGENCE_RATE",
    "DECODER_ESCAPE_RATE",
    "DECODER_LAG",
    "DECODER_SWAP_RATE",
    "DECODER_TIME",
    "ESCAPE_RATE",
    "GATE",
    "GATE_ERROR",
    "GATE_SLOPE",
    "LAG",
    "OPTIMUM_HESSIAN",
    "OPTIMUM_INVERSE",
    "REOPENING_RATE",
    "REVIVAL_ANTIDERIVATIVE",
    "REVIVAL_GRADIENT",
    "REVIVAL_INTEGRAND",
    "ROTATION_EXCESS",
    "SADDLE_HESSIAN",
    "SLOPE_BOUND",
    "SMOOTHED_GATE",
    "SMOOTHED_SLOPE",
    "SWAP_RATE",
    "angle",
    "base",
    "bias",
    "high",
    "lam_i",
    "lam_j",
    "low",
    "sharpness",
    "speed",
    "start",
    "stop",
    "top",
]

lam_i = sp.Symbol("lambda_i", positive=True)  # the larger eigenvalue of a pair
lam_j = sp.Symbol("lambda_j", positive=True)
angle = sp.Symbol("theta", real=True)  # by which two latents are rotated
start = sp.Symbol("start", positive=True)  # squared decoder gain at the beginning
stop = sp.Symbol("stop", positive=True)  # and at the end
speed = sp.Symbol("speed", real=True)  # dβ/dt of a schedule
sharpness = sp.Symbol("s", positive=True)  # of a smoothed gate
bias = sp.Symbol("b", real=True)  # of a gate whose argument is log β + b
base = sp.Symbol("w", positive=True)  # decoder gain behind a gate that is open
low = sp.Symbol("low", positive=True)  # range of β
high = sp.Symbol("high", positive=True)
top = sp.Symbol("top", positive=True)  # where in the range the gate closes, or its upper end


def _smaller_root(diagonal: sp.Expr, determinant: sp.Expr, coupling: sp.Expr) -> sp.Expr:
    """Smaller eigenvalue of [[1, b], [b, P]] / σ², written without a difference of large terms."""
    root = sp.sqrt((1 - diagonal) ** 2 + 4 * coupling**2)
    return 2 * determinant / (s2 * (1 + diagonal + root))


_above = lam - WATER_LEVEL  # squared decoder gain of an active mode at the optimum

# One mode, coordinates (e, log c, d). At collapse e = d = 0, c = 1:
SADDLE_HESSIAN = sp.Matrix([[beta * lam, 0, -lam / s2], [0, beta / 2, 0], [-lam / s2, 0, 1 / s2]])
ESCAPE_RATE = -_smaller_root(WATER_LEVEL * lam, lam * (WATER_LEVEL - lam), lam)
DECODER_ESCAPE_RATE = _above / (s2 * WATER_LEVEL)

# At the optimum of an active mode:
OPTIMUM_HESSIAN = (
    sp.Matrix(
        [
            [lam**2, 0, lam - 2 * WATER_LEVEL],
            [0, WATER_LEVEL / 2, sp.sqrt(_above) * WATER_LEVEL / lam],
            [lam - 2 * WATER_LEVEL, sp.sqrt(_above) * WATER_LEVEL / lam, 1],
        ]
    )
    / s2
)
_to_log_c = (_above - WATER_LEVEL) / (lam * WATER_LEVEL * sp.sqrt(_above))
_e_to_d = (WATER_LEVEL - _above) / (2 * WATER_LEVEL * _above)
_log_c_to_d = -lam / (WATER_LEVEL * sp.sqrt(_above))
_e_to_e = (_above**2 + WATER_LEVEL**2) / (2 * lam**2 * WATER_LEVEL * _above)
OPTIMUM_INVERSE = s2 * sp.Matrix(
    [
        [_e_to_e, _to_log_c, _e_to_d],
        [_to_log_c, 4 / WATER_LEVEL, _log_c_to_d],
        [_e_to_d, _log_c_to_d, lam**2 / (2 * WATER_LEVEL * _above)],
    ]
)
DECODER_CONVERGENCE_RATE = 2 * beta * _above / lam**2
# Time in which the squared decoder gain goes from `start` to `stop`, decoder flow, active mode.
DECODER_TIME = (
    start
    - stop
    + WATER_LEVEL**2 / _above * sp.log(stop / start)
    - lam**2 / _above * sp.log((stop - _above) / (start - _above))
) / (2 * beta)

# Decoder gain minus its optimum while β moves slowly.
_drift = speed * s2**2 / (4 * WATER_LEVEL * _above ** sp.Rational(3, 2))
DECODER_LAG = _drift * lam**2
LAG = _drift * (lam**2 + (WATER_LEVEL - _above) / lam + 4 * lam * _above / WATER_LEVEL)

# Two latents with the variances λᵢ, λⱼ of two eigenvectors, at the optimum; both active unless
# level variables max(λ, τ) are put in the place of λ in the first.
ROTATION_EXCESS = (
    beta / 2 * sp.log(1 + (lam_i - lam_j) ** 2 / (4 * lam_i * lam_j) * sp.sin(2 * angle) ** 2)
)
_gain_i, _gain_j = sp.sqrt(lam_i - WATER_LEVEL), sp.sqrt(lam_j - WATER_LEVEL)
ALIGNMENT_RATE = _smaller_root(
    lam_i * lam_j, WATER_LEVEL * (_gain_i - _gain_j) ** 2, WATER_LEVEL + _gain_i * _gain_j
)
DECODER_ALIGNMENT_RATE = beta * (_gain_i - _gain_j) ** 2 / (lam_i * lam_j)
# An eigenvector with variance λⱼ that no latent carries, mixed into the active latent of λᵢ.
SWAP_RATE = _smaller_root(lam_i * lam_j, lam_j * (lam_i - lam_j), lam_j)
DECODER_SWAP_RATE = (lam_i - lam_j) / (s2 * lam_i)

# Gates of x = log β + b.
GATE = sp.Piecewise((sp.sqrt(1 - sp.exp(x)), x < 0), (0, True))
GATE_SLOPE = sp.Piecewise((-sp.exp(x) / (2 * sp.sqrt(1 - sp.exp(x))), x < 0), (0, True))
SMOOTHED_GATE = sp.sqrt(1 - (1 + sp.exp(-sharpness * x)) ** (-1 / sharpness))
SMOOTHED_SLOPE = (
    -((1 + sp.exp(-sharpness * x)) ** (-1 / sharpness))
    / (1 + sp.exp(sharpness * x))
    / (2 * SMOOTHED_GATE)
)
SLOPE_BOUND = sp.sqrt(sharpness) / 2  # of the smoothed gate, for all x
GATE_ERROR = sp.sqrt(1 - 2 ** (-1 / sharpness))  # its largest distance from the exact gate

# Derivative, by the bias of the exact decoder gate, of the best objective averaged over log β in
# [low, high]: the integral over β from low to where the gate closes.
_slant = s2 - base**2 * sp.exp(bias)  # d² + τ = w² + slant · β where the gate is open
_reach = base**2 + _slant * beta
REVIVAL_INTEGRAND = (
    base**2 * sp.exp(bias) * (lam - _reach) / (2 * _reach**2 * sp.log(high / low)) * beta
)
REVIVAL_ANTIDERIVATIVE = (
    base**2
    * sp.exp(bias)
    / (2 * sp.log(high / low))
    * (((lam + base**2) * sp.log(_reach) + lam * base**2 / _reach) / _slant**2 - beta / _slant)
)
REVIVAL_GRADIENT = REVIVAL_ANTIDERIVATIVE.subs(beta, top) - REVIVAL_ANTIDERIVATIVE.subs(beta, low)
# Growth of the part of log β on which an almost closed gate is open, gradient flow of the bias.
REOPENING_RATE = base**2 * (lam - low * s2) / (2 * low * s2**2 * sp.log(high / low))
