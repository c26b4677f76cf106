"""The bootstrap behind :func:`linvae.uncertainty.bootstrap_bands`."""

from __future__ import annotations

import numpy as np

from ._bands import Band, Problem, gamma_interval, make_band, normal_quantile, per_mode
from ._validation import FloatArray
from .spectrum import Spectrum

__all__ = ["resample", "resampled_bands"]


def resample(
    data: FloatArray, spectrum: Spectrum, n_resamples: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues of resamples, and the sample's second moments along their eigenvectors.

    Both have shape (R, r). Worked in the r directions in which the sample varies.
    """
    count = len(data)
    rank = max(1, spectrum.rank)
    values = spectrum.eigenvalues[:rank]
    coords = (data - spectrum.mean) @ spectrum.eigenvectors[:, :rank]
    found = np.empty((n_resamples, rank))
    moments = np.empty((n_resamples, rank))
    even = np.full(count, 1 / count)
    for b in range(n_resamples):
        weight = rng.multinomial(count, even) / count
        shift = weight @ coords
        covariance = (coords.T * weight) @ coords - np.outer(shift, shift)
        rising, vectors = np.linalg.eigh(covariance)
        found[b] = np.maximum(rising[::-1], 0.0)
        moments[b] = (values @ vectors**2 + (shift @ vectors) ** 2)[::-1]
    return found, moments


def resampled_bands(problem: Problem, values: FloatArray, moments: FloatArray) -> dict[str, Band]:
    n, k = problem.spectrum.n_features, problem.latent_dim
    variance, level = problem.noise_variance, problem.level
    base = problem.spectrum.eigenvalues[: values.shape[1]]
    # Row 0 is the sample itself, the resamples follow.
    stacked = np.concatenate([base[None], values]) / variance
    curves = [_curve(stacked, k, beta) for beta in problem.betas]
    rate, half = (np.stack(c, axis=-1) for c in zip(*curves, strict=True))  # shape: (R + 1, B)
    excess = np.stack(
        [_excess(stacked, moments / variance, k, beta) for beta in problem.betas], axis=-1
    )
    # Sorting each end keeps lower <= estimate <= upper.
    eigen = np.zeros((3, n))
    eigen[:, : base.size] = np.sort(_log_normal(base, values, level), axis=1)[:, ::-1]
    error = _log_normal(half[0], half[1:], level)
    parts = {
        "rate": np.maximum(_normal(rate, level), 0.0),
        "squared_error": 2 * variance * error,
        "distortion": problem.constant + error,
        "objective": problem.constant + _normal(half + problem.betas * rate, level),
        "heldout_excess": _gamma(excess, level),
    }
    shape = (3, *problem.shape)
    parts = {name: part.reshape(shape) for name, part in parts.items()}
    parts |= {"eigenvalues": eigen, "critical_betas": eigen[:, :k] / variance}
    return {name: make_band(part, level) for name, part in parts.items()}


def _curve(critical: FloatArray, k: int, beta: float) -> tuple[FloatArray, FloatArray]:
    """Rate and squared error / (2σ²) of spectra (R, r)."""
    rate, half = per_mode(critical[:, :k], beta)
    return rate.sum(axis=1), half.sum(axis=1) + 0.5 * critical[:, k:].sum(axis=1)


def _excess(stacked: FloatArray, moments: FloatArray, k: int, beta: float) -> FloatArray:
    """Excess on the sample of the models fitted to the resamples, shape (R,).

    The objective of a fixed model is affine in the data's second moments, and touches the optimum
    where it was fitted: its value elsewhere needs only the slopes there.
    """
    rate, half = per_mode(stacked[:, :k], beta)
    optimum = half + beta * rate  # shape: (R + 1, k)
    fitted = stacked[1:, :k]
    slope = 0.5 * beta / np.maximum(fitted, beta)
    inside = optimum[1:] - optimum[0] + slope * (moments[:, :k] - fitted)
    outside = 0.5 * (moments[:, k:] - stacked[0, k:])
    return np.asarray(np.maximum(inside.sum(axis=1) + outside.sum(axis=1), 0.0))


def _normal(draws: FloatArray, level: float) -> FloatArray:
    """Bias-corrected normal interval (3, B) from the estimate, row 0, and its resamples."""
    middle = 2 * draws[0] - draws[1:].mean(axis=0)
    unit = _or_one(np.abs(draws).max(axis=0))  # squares of very large numbers would overflow
    width = normal_quantile(level) * unit * (draws[1:] / unit).std(axis=0, ddof=1)
    return np.stack([middle - width, middle, middle + width])


def _log_normal(found: FloatArray, draws: FloatArray, level: float) -> FloatArray:
    """The same for the logarithm, its moments matched by those of the draws: these may be zero."""
    mean = draws.mean(axis=0)
    spread = np.log1p((draws / _or_one(mean)).var(axis=0, ddof=1))
    middle = found * np.where(mean > 0, found / _or_one(mean), 1.0) * np.exp(spread / 2)
    width = np.exp(normal_quantile(level) * np.sqrt(spread))
    return np.stack([middle / width, middle, middle * width])


def _gamma(draws: FloatArray, level: float) -> FloatArray:
    mean = draws.mean(axis=0)
    return gamma_interval(mean, (draws / _or_one(mean)).var(axis=0, ddof=1), level)


def _or_one(values: FloatArray) -> FloatArray:
    """The values, with 1 in place of 0, to divide by."""
    return np.asarray(np.where(values > 0, values, 1.0))
