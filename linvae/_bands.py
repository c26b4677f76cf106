"""What both kinds of bands share: the result type, checked arguments, intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._types import Sealed
from ._validation import FloatArray, as_array, as_positive, check_finite, fail, frozen
from .response import critical_betas
from .spectrum import Spectrum

__all__ = [
    "Band",
    "Problem",
    "check_problem",
    "gamma_interval",
    "make_band",
    "normal_quantile",
    "per_mode",
]


@dataclass(frozen=True, eq=False)
class Band(Sealed):
    """An estimate of a population quantity with an interval around it.

    Attributes
    ----------
    estimate : ndarray
        Bias-corrected estimate; lower <= estimate <= upper.
    lower, upper : ndarray
        Ends of the two-sided interval, one interval per entry (not simultaneous).
    level : float
        Nominal coverage probability of each interval.
    """

    estimate: FloatArray
    lower: FloatArray
    upper: FloatArray
    level: float


@dataclass(frozen=True, eq=False)
class Problem:
    """Checked arguments; betas are flat, shape (B,)."""

    spectrum: Spectrum
    betas: FloatArray
    shape: tuple[int, ...]
    latent_dim: int
    noise_variance: float
    level: float
    n_samples: int

    @property
    def constant(self) -> float:
        return 0.5 * self.spectrum.n_features * float(np.log(2 * np.pi * self.noise_variance))


def check_problem(
    spectrum: Spectrum, betas: Any, latent_dim: int, noise_variance: Any, level: Any
) -> Problem:
    weight = as_positive("betas", betas, "β weighs the rate and must be positive")
    variance = as_positive("noise_variance", noise_variance, "pass the decoder's variance σ²")
    if variance.ndim:
        fail("noise_variance", f"shape {variance.shape}", "one number", "pass a float")
    chance = as_array("level", level)
    check_finite("level", chance)
    if chance.ndim or not 0 < chance < 1:
        fail("level", level, "one number between 0 and 1", "0.95 is the usual choice")
    spectrum.require_complete("confidence bands")
    critical_betas(spectrum, latent_dim=latent_dim, noise_variance=variance)
    if spectrum.n_samples is None:
        fail("spectrum", "n_samples None (a population)", "a spectrum of samples",
             "a population has no sampling error; else pass n_samples=")  # fmt: skip
    if spectrum.rank >= spectrum.n_samples - 1:
        fail("spectrum", f"{spectrum.n_samples} samples of rank {spectrum.rank}",
             "more samples than directions (N > rank + 1)", "collect more samples")  # fmt: skip
    return Problem(spectrum, weight.ravel(), weight.shape, latent_dim, float(variance),
                    float(chance), spectrum.n_samples)  # fmt: skip


def per_mode(critical: FloatArray, beta: Any) -> tuple[FloatArray, FloatArray]:
    """Rate and squared error / (2σ²) of each encodable mode, from βᵢ = λᵢ/σ² and β."""
    alive = critical > beta
    rate = 0.5 * (np.log(np.where(alive, critical, 1.0)) - np.log(np.where(alive, beta, 1.0)))
    return rate, 0.5 * np.minimum(critical, beta)


def gamma_interval(mean: FloatArray, relative_variance: FloatArray, level: float) -> FloatArray:
    """Interval of the gamma law with this mean and variance / mean², (lower, mean, upper)."""
    from scipy.special import gammaincinv

    some = relative_variance > 0
    shape = 1 / np.where(some, relative_variance, 1.0)
    low, high = (gammaincinv(shape, 0.5 + s * level / 2) / shape for s in (-1, 1))
    # The median lies below the mean: at a low level the central interval can miss the mean.
    high = np.maximum(high, 1.0)
    return np.stack([np.where(some, low, 1.0) * mean, mean, np.where(some, high, 1.0) * mean])


def normal_quantile(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


def make_band(three: FloatArray, level: float) -> Band:
    """From (lower, estimate, upper) along the first axis."""
    lower, middle, upper = (frozen(np.asarray(part)) for part in three)
    return Band(middle, lower, upper, level)
