r"""One mode: the objective along one eigenvector, its optimum, and its partial responses.

.. math:: \ell(e, c, d) = \frac{\lambda(1 - de)^2 + d^2 c}{2\sigma^2}
          + \frac\beta2\,(c + \lambda e^2 - 1 - \log c)
"""

from __future__ import annotations

import sympy as sp

from .symbols import beta, c, d, e, lam, s2

__all__ = [
    "ACTIVE",
    "CRITICAL_BETA",
    "DECODER_GAIN",
    "DECODER_GIVEN_ENCODER",
    "ENCODER_GAIN",
    "ENCODER_GIVEN_DECODER",
    "OBJECTIVE",
    "OPTIMAL_RATE",
    "OPTIMAL_SQUARED_ERROR",
    "POSTERIOR_GIVEN_DECODER",
    "POSTERIOR_VARIANCE",
    "RATE",
    "SQUARED_ERROR",
    "WATER_LEVEL",
]

WATER_LEVEL = beta * s2
CRITICAL_BETA = lam / s2
ACTIVE = lam > WATER_LEVEL  # the condition of the first branch below

# Of any encoder gain e, posterior variance c and decoder gain d.
SQUARED_ERROR = lam * (1 - d * e) ** 2 + d**2 * c
RATE = (c + lam * e**2 - 1 - sp.log(c)) / 2
OBJECTIVE = SQUARED_ERROR / (2 * s2) + beta * RATE


def _branches(active: sp.Expr, collapsed: sp.Expr) -> sp.Expr:
    return sp.Piecewise((active, ACTIVE), (collapsed, True))


# At the joint optimum.
DECODER_GAIN = _branches(sp.sqrt(lam - WATER_LEVEL), sp.S.Zero)
ENCODER_GAIN = _branches(sp.sqrt(lam - WATER_LEVEL) / lam, sp.S.Zero)
POSTERIOR_VARIANCE = _branches(WATER_LEVEL / lam, sp.S.One)
OPTIMAL_RATE = _branches(sp.log(lam / WATER_LEVEL) / 2, sp.S.Zero)
OPTIMAL_SQUARED_ERROR = _branches(WATER_LEVEL, lam)

# One side held fixed.
ENCODER_GIVEN_DECODER = d / (d**2 + WATER_LEVEL)
POSTERIOR_GIVEN_DECODER = WATER_LEVEL / (d**2 + WATER_LEVEL)
DECODER_GIVEN_ENCODER = lam * e / (lam * e**2 + c)
