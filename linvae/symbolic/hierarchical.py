r"""Two layers of latents: the objectives of one mode, their optima and their thresholds.

Top-down inference, one latent in each layer:

.. math::
    z_2 = e_2 x + \sqrt{c_2}\,\zeta, \quad z_1 = f x + g z_2 + \sqrt{c_1}\,\xi, \quad
    p(z_1|z_2) = \mathcal N(A z_2, s^2), \quad \hat x = d z_1

Bottom-up inference:

.. math::
    z_1 = v_1 x + \sqrt t\,\xi, \quad z_2 = v_2 z_1 + \sqrt{c_2}\,\zeta, \quad
    p(z_1|z_2) = \mathcal N(w_2 z_2, \eta_2^2), \quad \hat x = w_1 z_1
"""

from __future__ import annotations

import sympy as sp

from .symbols import beta, d, lam, s2

__all__ = [
    "APPROACH_EXCESS",
    "BOTTOM_UP_OBJECTIVE",
    "BOTTOM_UP_OPTIMUM",
    "BOTTOM_UP_RATE1",
    "BOTTOM_UP_RATE2",
    "BOTTOM_UP_SQUARED_ERROR",
    "DESCENT",
    "LEARNED_THRESHOLD",
    "MODE_OPTIMUM",
    "MODE_RATE",
    "SIGNAL_ALONE",
    "SIGNAL_SHARED",
    "THRESHOLD_LOWER",
    "THRESHOLD_UNSERVED",
    "THRESHOLD_UPPER",
    "TOP_DOWN_OBJECTIVE",
    "TOP_DOWN_RATE1",
    "TOP_DOWN_RATE2",
    "TOP_DOWN_SQUARED_ERROR",
    "UPPER_COST",
    "UPPER_LEVEL",
    "a",
    "beta1",
    "beta2",
    "c1",
    "c2",
    "e2",
    "eta",
    "eta2",
    "f",
    "g",
    "gain",
    "scale",
    "t",
    "v1",
    "v2",
    "w1",
    "w2",
]

beta1 = sp.Symbol("beta1", positive=True)  # weight of the rate of z₁
beta2 = sp.Symbol("beta2", positive=True)  # weight of the rate of z₂
e2 = sp.Symbol("e2", real=True)  # top-down: z₂ reads x
c2 = sp.Symbol("c2", positive=True)  # variance of q(z₂|·)
f = sp.Symbol("f", real=True)  # top-down: z₁ reads x
g = sp.Symbol("g", real=True)  # top-down: z₁ reads z₂
c1 = sp.Symbol("c1", positive=True)  # variance of q(z₁|z₂, x)
gain = sp.Symbol("A", real=True)  # gain of p(z₁|z₂)
scale = sp.Symbol("s", positive=True)  # standard deviation of p(z₁|z₂), top-down
eta = sp.Symbol("eta", positive=True)  # s/A of a copied mode
v1 = sp.Symbol("v1", real=True)  # bottom-up: z₁ reads x
v2 = sp.Symbol("v2", real=True)  # bottom-up: z₂ reads z₁
w1 = sp.Symbol("w1", real=True)  # bottom-up: decoder
w2 = sp.Symbol("w2", real=True)  # bottom-up: gain of p(z₁|z₂)
t = sp.Symbol("t", positive=True)  # variance of q(z₁|x), bottom-up
eta2 = sp.Symbol("eta2", positive=True)  # variance η₂² of p(z₁|z₂), bottom-up
a = sp.Symbol("a", positive=True)  # variance of z₁ under q, bottom-up

# Top-down: any parameters.
TOP_DOWN_SQUARED_ERROR = lam * (1 - d * (f + g * e2)) ** 2 + d**2 * (g**2 * c2 + c1)
TOP_DOWN_RATE2 = (c2 + lam * e2**2 - 1 - sp.log(c2)) / 2
_APART = lam * (f + (g - gain) * e2) ** 2 + (g - gain) ** 2 * c2
TOP_DOWN_RATE1 = ((c1 + _APART) / scale**2 - 1 - sp.log(c1 / scale**2)) / 2
TOP_DOWN_OBJECTIVE = (
    TOP_DOWN_SQUARED_ERROR / (2 * s2) + beta1 * TOP_DOWN_RATE1 + beta2 * TOP_DOWN_RATE2
)

# Top-down: a mode that rides in a layer of weight beta, and what a copy of it in z₁ adds.
MODE_RATE = sp.Piecewise((sp.log(lam / (beta * s2)) / 2, lam > beta * s2), (0, True))
MODE_OPTIMUM = sp.Piecewise(
    (beta / 2 + beta * sp.log(lam / (beta * s2)) / 2, lam > beta * s2), (lam / (2 * s2), True)
)
APPROACH_EXCESS = eta**2 * (lam - beta2 * s2) / (2 * s2)

# Bottom-up: any parameters; s2 stands for η₁².
BOTTOM_UP_SQUARED_ERROR = lam * (1 - w1 * v1) ** 2 + w1**2 * t
_SIGNAL = lam * v1**2 + t
BOTTOM_UP_RATE2 = (c2 + v2**2 * _SIGNAL - 1 - sp.log(c2)) / 2
BOTTOM_UP_RATE1 = (sp.log(eta2 / t) - 1 + ((1 - w2 * v2) ** 2 * _SIGNAL + w2**2 * c2) / eta2) / 2
BOTTOM_UP_OBJECTIVE = (
    BOTTOM_UP_SQUARED_ERROR / (2 * s2) + beta1 * BOTTOM_UP_RATE1 + beta2 * BOTTOM_UP_RATE2
)

# Bottom-up: the optimum, given the variance a of z₁ and then over a >= t.
UPPER_LEVEL = eta2 * beta2 / beta1
UPPER_COST = sp.Piecewise((1 + sp.log(a / UPPER_LEVEL), a > UPPER_LEVEL), (a / UPPER_LEVEL, True))
BOTTOM_UP_OPTIMUM = (
    lam * t / (2 * s2 * a) + beta2 * UPPER_COST / 2 + beta1 * (sp.log(eta2 / t) - 1) / 2
)
SIGNAL_SHARED = lam * t / (beta2 * s2)  # z₂ reads the latent
SIGNAL_ALONE = sp.sqrt(eta2 * lam * t / (beta1 * s2))  # it does not
THRESHOLD_LOWER = s2 * sp.Min(beta2, beta1 * t / eta2)
THRESHOLD_UNSERVED = s2 * beta1 * t / eta2  # of latents beyond those of z₂
THRESHOLD_UPPER = s2 * eta2 * beta2**2 / (beta1 * t)  # where t <= UPPER_LEVEL
LEARNED_THRESHOLD = beta1 * s2
DESCENT = ((beta2 - beta1) * sp.log(a / eta2) + beta2 - beta1 - beta2 * sp.log(beta2 / beta1)) / 2
