"""Twins of what papers on deep VAEs plot, one mode at a time."""

from __future__ import annotations

import sympy as sp

from .modes import ACTIVE, ENCODER_GAIN, WATER_LEVEL
from .symbols import d, lam, s2

__all__ = [
    "ACCURACY",
    "ACTIVITY",
    "CLASSES",
    "FANO",
    "FIXED_DECODER_RATE",
    "FIXED_DECODER_SQUARED_ERROR",
    "FRECHET",
    "LABEL_ENTROPY",
    "MODEL_VARIANCE",
]

# Variance of the posterior mean over the data, at the joint optimum.
ACTIVITY = sp.piecewise_fold(ENCODER_GAIN**2 * lam)

# Variance of generated data along an eigenvector, at the joint optimum; the mode's share of the
# squared Fréchet distance.
MODEL_VARIANCE = sp.Piecewise((lam - WATER_LEVEL + s2, ACTIVE), (s2, True))
FRECHET = (sp.sqrt(lam) - sp.sqrt(MODEL_VARIANCE)) ** 2

# Best encoder of a decoder with gain d, DᵀD diagonal; λ is the second moment along it.
FIXED_DECODER_SQUARED_ERROR = lam * (
    WATER_LEVEL / (d**2 + WATER_LEVEL)
) ** 2 + d**2 * WATER_LEVEL / (d**2 + WATER_LEVEL)
FIXED_DECODER_RATE = (
    sp.log((d**2 + WATER_LEVEL) / WATER_LEVEL)
    - d**2 / (d**2 + WATER_LEVEL)
    + lam * d**2 / (d**2 + WATER_LEVEL) ** 2
) / 2

# Least information about a label of M classes and entropy H that allows an accuracy α.
ACCURACY = sp.Symbol("alpha", positive=True)
CLASSES = sp.Symbol("M", integer=True, positive=True)
LABEL_ENTROPY = sp.Symbol("H", nonnegative=True)
FANO = (
    LABEL_ENTROPY
    + ACCURACY * sp.log(ACCURACY)
    + (1 - ACCURACY) * sp.log((1 - ACCURACY) / (CLASSES - 1))
)
