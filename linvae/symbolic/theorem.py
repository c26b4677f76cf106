r"""Theorem 1: gates, the parameters they give, the limits of sigmoids and what these must cost.

.. math:: d_i = g(x_i)\sqrt{\lambda_i},\quad e_i = g(x_i)/\sqrt{\lambda_i},\quad
          c_i = \min(1, e^{x_i}),\quad x_i = \log\beta + \log\sigma^2 - \log\lambda_i,\quad
          g(x) = \sqrt{\mathrm{ReLU}(1 - e^x)}
"""

from __future__ import annotations

import sympy as sp

from .symbols import beta, d, e, lam, s2, x

__all__ = [
    "CONSTANT_BIAS",
    "CONSTANT_FACTOR",
    "DEPTH_ERROR",
    "DEPTH_PRODUCT",
    "GATED_DECODER_GAIN",
    "GATED_ENCODER_GAIN",
    "GATED_POSTERIOR_VARIANCE",
    "GATE_BUMP",
    "GATE_CONDITION",
    "GATE_DROP",
    "GATE_INPUT",
    "INSIDE",
    "LEAST_SHARE",
    "LEAST_SUP_EXCESS",
    "LIMIT_POSTERIOR",
    "LIMIT_POSTERIOR_ERROR",
    "MIN_EXP",
    "POSTERIOR_EXCESS",
    "PUBLISHED_ENCODER_GAIN",
    "PUBLISHED_POSTERIOR_VARIANCE",
    "READOUT_EXCESS",
    "ROUNDING_UNIT",
    "SHARE",
    "SIGMOID",
    "SQRT_RELU",
    "STANDARD_BIAS",
    "STANDARD_MEAN",
    "STANDARD_SLOPE",
    "STANDARD_STD",
    "WIDTH_ERROR",
    "WIDTH_LIMIT",
    "WIDTH_PRODUCT",
    "B",
    "J",
    "K",
    "M",
    "Y",
    "a",
    "b",
    "centre",
    "delta",
    "eta",
    "high",
    "kappa",
    "low",
    "w",
]

w = sp.Symbol("w", real=True)  # slope of a gate
b = sp.Symbol("b", real=True)  # bias of a gate
low, high = sp.symbols("low high", positive=True)  # range of β that is standardised
J, K, M = sp.symbols("J K M", integer=True, positive=True)  # numbers of factors
B = sp.Symbol("B", real=True)  # log of a base weight that grows without bound
eta = sp.Symbol("eta", positive=True)  # distance of neighbours in floating point at 1
delta = sp.Symbol("delta", real=True)  # log c minus its optimal value
centre = sp.Symbol("centre", real=True)  # where the argument of a gate is 0
a = sp.Symbol("a", positive=True)  # half-width of an interval around the critical β, in log β
Y = sp.Symbol("Y", positive=True)  # |w| a
kappa = sp.Symbol("kappa", positive=True)  # cosh(w × centre) >= 1

# Gates of the argument x.
SIGMOID = 1 / (1 + sp.exp(-x))
SQRT_RELU = sp.Piecewise((sp.sqrt(1 - sp.exp(x)), sp.exp(x) < 1), (sp.S.Zero, True))
MIN_EXP = sp.Piecewise((sp.exp(x), sp.exp(x) < 1), (sp.S.One, True))

# The corrected theorem: one mode at the joint optimum.
GATE_INPUT = sp.log(beta) + sp.log(s2) - sp.log(lam)
GATED_DECODER_GAIN = sp.sqrt(lam) * SQRT_RELU.subs(x, GATE_INPUT)
GATED_ENCODER_GAIN = SQRT_RELU.subs(x, GATE_INPUT) / sp.sqrt(lam)
GATED_POSTERIOR_VARIANCE = MIN_EXP.subs(x, GATE_INPUT)

# The printed theorem: best encoder and variance for a fixed decoder; d² stands for a diagonal
# entry of DᵀD in the variance, d for a singular value of D in the encoder.
PUBLISHED_ENCODER_GAIN = SIGMOID.subs(x, sp.log(d**2 / s2) - sp.log(beta)) / d
PUBLISHED_POSTERIOR_VARIANCE = SIGMOID.subs(x, sp.log(beta) - sp.log(d**2 / s2))

# A gate of slope 0 with this bias, times this factor, is 1.
CONSTANT_BIAS = {"sigmoid": sp.S.Zero, "sqrt_relu": sp.log(sp.Rational(3, 4)), "min_exp": sp.S.Zero}
CONSTANT_FACTOR = {"sigmoid": sp.S(2), "sqrt_relu": sp.S(2), "min_exp": sp.S.One}

# Gates that read (log β − mean) / std.
STANDARD_MEAN = (sp.log(low) + sp.log(high)) / 2
STANDARD_STD = (sp.log(high) - sp.log(low)) / sp.sqrt(12)
STANDARD_SLOPE = w * STANDARD_STD
STANDARD_BIAS = b + w * STANDARD_MEAN

# Relative error of g per error of x, and the unit of rounding of x that the gates allow.
GATE_CONDITION = sp.exp(x) / (2 * (1 - sp.exp(x)))
ROUNDING_UNIT = 4 * eta * (1 + sp.Abs(sp.log(beta)) + sp.Abs(sp.log(s2)) + sp.Abs(sp.log(lam)))

# Limits: J layers give g², K slopes with M copies each give g, a base e^B gives β.
_i = sp.Symbol("i", integer=True)
DEPTH_PRODUCT = sp.Product(SIGMOID.subs(x, -(2**_i) * x), (_i, 0, J - 1))
DEPTH_ERROR = 2 ** (-J)
WIDTH_PRODUCT = sp.Product(SIGMOID.subs(x, sp.log(2 * _i * M) - _i * x) ** M, (_i, 1, K))
WIDTH_LIMIT = sp.exp(-sp.Sum(sp.exp(_i * x) / _i, (_i, 1, K)) / 2)
WIDTH_ERROR = sp.exp(-sp.harmonic(K) / 2) + sp.exp(sp.pi**2 / (48 * M)) - 1
LIMIT_POSTERIOR = sp.exp(B) * SIGMOID.subs(x, sp.log(beta) - B)
LIMIT_POSTERIOR_ERROR = beta / (beta + sp.exp(B))  # relative

# What products of sigmoids cost, at λ = σ² = 1 and x = log β: excess of log c = min(0, x) + δ and
# of an encoder gain e, beside the optimal decoder.
POSTERIOR_EXCESS = sp.exp(x) / 2 * (sp.exp(delta) - 1 - delta)
READOUT_EXCESS = sp.Max(1, sp.exp(x)) / 2 * (e - SQRT_RELU) ** 2
# The slope of log sigmoid(w(x − centre)) falls at the rate of the bump, by the drop within ±a.
GATE_BUMP = w**2 / (4 * sp.cosh(w * (x - centre) / 2) ** 2)
GATE_DROP = w * sp.sinh(w * a) / (sp.cosh(w * a) + sp.cosh(w * centre))
# The drop within ±2a beside ±a over that within ±a, and its least value where Y tanh(Y/2) bounds
# a times the latter.
SHARE = 2 * sp.cosh(Y) * (sp.cosh(Y) + kappa) / (sp.cosh(2 * Y) + kappa) - 1
LEAST_SHARE = 1 / sp.cosh(Y)
# Half-width of that interval, and the least worst excess over β/β₁ in [0.01, 10], per unit of β₁.
INSIDE = sp.Rational(3, 5)
LEAST_SUP_EXCESS = sp.Rational(33, 100_000)
