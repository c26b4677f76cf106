r"""The curve between two critical β's, where the number of active modes is constant.

.. math:: \varepsilon = T_m + m\tau, \qquad
          \mathcal R = \mathcal R_m + \frac m2\log\frac{\beta_m}\beta, \qquad \tau = \beta\sigma^2
"""

from __future__ import annotations

import sympy as sp

from .modes import ACTIVE, WATER_LEVEL
from .symbols import beta, lam, n, s2

__all__ = [
    "BETA_AT_RATE",
    "COLLAPSED_LOSS",
    "CURVATURE",
    "DISTORTION",
    "ERROR_CONDITION",
    "RATE_CONDITION",
    "SEGMENT_RATE",
    "SEGMENT_SQUARED_ERROR",
    "SLOPE",
    "WATER_LEVEL_AT_SQUARED_ERROR",
    "active",
    "join_beta",
    "join_rate",
    "rate",
    "squared_error",
    "tail",
]

active = sp.Symbol("active", integer=True, positive=True)  # m, modes alive on the segment
tail = sp.Symbol("tail", nonnegative=True)  # T_m, variance outside these modes
join_beta = sp.Symbol("join_beta", positive=True)  # β_m, where the last of them joins
join_rate = sp.Symbol("join_rate", nonnegative=True)  # ℛ_m, the rate there
rate = sp.Symbol("rate", nonnegative=True)
squared_error = sp.Symbol("squared_error", positive=True)

SEGMENT_SQUARED_ERROR = tail + active * WATER_LEVEL
SEGMENT_RATE = join_rate + active * sp.log(join_beta / beta) / 2
DISTORTION = n * sp.log(2 * sp.pi * s2) / 2 + squared_error / (2 * s2)

# First and second derivative of the distortion by the rate.
SLOPE = -beta
CURVATURE = 2 * beta / active

# Inverse queries, and the relative change of β by a relative change of the squared error and by
# an absolute change of the rate.
BETA_AT_RATE = join_beta * sp.exp(-2 * (rate - join_rate) / active)
WATER_LEVEL_AT_SQUARED_ERROR = (squared_error - tail) / active
ERROR_CONDITION = squared_error / (active * WATER_LEVEL)
RATE_CONDITION = 2 / active

# What one mode loses, in nats, when it is left out at β.
COLLAPSED_LOSS = sp.Piecewise(
    (beta * (lam / WATER_LEVEL - 1 - sp.log(lam / WATER_LEVEL)) / 2, ACTIVE), (0, True)
)
