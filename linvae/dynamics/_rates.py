"""Rates at the optimum: eigenvalues of the Hessian of the objective, in closed form."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from linvae._validation import (
    FloatArray,
    as_positive_number,
    check_latent_dim,
    check_representable,
    check_spectrum,
    fail,
)
from linvae.spectrum import Spectrum

__all__ = [
    "alignment_rates",
    "check_flow",
    "excess_over_level",
    "growth",
    "own_rates",
    "swap_rates",
]

Flow = Literal["joint", "decoder"]
_REPRESENT = "rescale data and noise variance together"


def check_flow(flow: Any) -> None:
    """Refuse an unknown flow."""
    if flow not in ("joint", "decoder"):
        fail("flow", repr(flow), "'joint' or 'decoder'", "say which parameters flow")


def excess_over_level(values: FloatArray, weight: Any, variance: Any) -> FloatArray:
    """λ − βσ², with the sign that the critical β has in floating point."""
    with np.errstate(over="ignore"):
        critical = values / variance
        excess = variance * (critical - weight)
    if not np.isfinite(critical).all():
        fail("noise_variance", np.min(variance), "λ/σ² within the float64 range", _REPRESENT)
    return np.asarray(excess)


def _smaller_root(product: Any, determinant: Any, coupling: Any, variance: Any) -> FloatArray:
    """Smaller eigenvalue of [[1, b], [b, P]] / σ², from the determinant: nothing cancels."""
    spread = np.hypot(1 - product, 2 * coupling)
    return np.asarray(2 * determinant / (1 + product + spread) / variance)


def growth(values: Any, level: Any, above: Any, variance: Any) -> FloatArray:
    """Growth of a collapsed mode of variance λ against a water level, above = λ − level."""
    return _smaller_root(level * values, values * above, values, variance)


def own_rates(
    values: FloatArray, weight: FloatArray, variance: FloatArray, above: FloatArray,
    flow: str, posterior: str = "log",
) -> FloatArray:  # fmt: skip
    """Slowest rate of one mode at its optimum, active or not."""
    alive, level = above > 0, weight * variance
    if flow == "decoder":
        safe = np.where(alive, values, 1.0)
        active = 2 * weight * (above / safe) / safe
        return np.where(alive, active, -above / variance / level)
    dead = np.minimum(weight / 2, -growth(values, level, above, variance))
    rates = np.where(alive, 0.0, dead)
    if alive.any():
        inverse = _inverse_hessian(values[alive], level[alive], above[alive], posterior)
        slow = 1 / _largest_eigenvalue(inverse)
        rates[alive] = 2 * level[alive] * slow * above[alive] / variance[alive]
    return rates


def _largest_eigenvalue(matrices: FloatArray) -> FloatArray:
    """Of each symmetric matrix; NaN for one that is beyond the float64 range."""
    known = np.isfinite(matrices).all(axis=(-2, -1))
    found = np.full(known.shape, np.nan)
    found[known] = np.linalg.eigvalsh(matrices[known])[..., -1]
    return found


def _inverse_hessian(
    values: FloatArray, level: FloatArray, above: FloatArray, posterior: str
) -> FloatArray:
    """2τ(λ − τ) times the inverse of σ² times the Hessian, at the optimum of an active mode.

    In (e, log c or c, d). The factor keeps the entries finite as τ → 0.
    """
    gain = np.sqrt(above)
    scale = 1.0 if posterior == "log" else level / values  # ∂c/∂log c
    inverse = np.empty((*values.shape, 3, 3))
    inverse[..., 0, 0] = (above / values) ** 2 + (level / values) ** 2
    inverse[..., 0, 1] = inverse[..., 1, 0] = 2 * scale * gain * (above - level) / values
    inverse[..., 0, 2] = inverse[..., 2, 0] = level - above
    inverse[..., 1, 1] = 8 * scale**2 * above
    inverse[..., 1, 2] = inverse[..., 2, 1] = -2 * scale * values * gain
    inverse[..., 2, 2] = values**2
    return inverse


def _leading(
    spectrum: Spectrum, beta: Any, latent_dim: Any, noise_variance: Any, flow: Any
) -> tuple[FloatArray, int, float, float]:
    check_spectrum(spectrum)
    check_flow(flow)
    weight = as_positive_number("beta", beta, "β weighs the rate; pass one number > 0")
    variance = as_positive_number("noise_variance", noise_variance, "pass the decoder's σ²")
    k = check_latent_dim(latent_dim, spectrum.n_features)
    spectrum.leading_eigenvalues(k)  # refuses a spectrum that holds fewer
    return spectrum.eigenvalues, k, weight, variance


def alignment_rates(
    spectrum: Spectrum,
    beta: Any,
    *,
    latent_dim: int,
    noise_variance: Any,
    flow: Flow = "joint",
) -> FloatArray:
    r"""Rates at which pairs of latents find their own eigenvectors, at the optimum.

    .. math:: \mu_{ij} = \frac{2\tau (d_i - d_j)^2}{\sigma^2 \left[1 + \lambda_i\lambda_j
              + \sqrt{(1 - \lambda_i\lambda_j)^2 + 4(\tau + d_i d_j)^2}\right]}, \qquad
              \mu_{ij}^{\text{decoder}} = \frac{\beta(d_i - d_j)^2}{\lambda_i\lambda_j}

    for two active modes, d = √(λ − τ): the slowest of the four directions that mix them. It is of
    second order in λᵢ − λⱼ, so neighbouring eigenvectors are told apart last of all. Where a mode
    is dead, the entry is the slowest of four as well: a latent that dies, or an eigenvector that
    leaves a foreign latent.

    Parameters
    ----------
    spectrum : Spectrum
    beta, noise_variance : float
        β, σ² > 0.
    latent_dim : int
        k, 1 <= k <= n.
    flow : {"joint", "decoder"}

    Returns
    -------
    ndarray, shape (k, k)
        Symmetric, in units of 1/time, >= 0. The diagonal holds :func:`convergence_rate` of the
        modes. Zero for tied eigenvalues, which no rotation tells apart, and at critical β's. In the
        joint flow an eigenvalue 0 also gives 0: nothing reads the encoder along it.

    Raises
    ------
    InputError
        β or σ² not one positive number, k outside 1..n, or a rate beyond the float64 range.

    Notes
    -----
    Source: derived in ``proofs/alignment.py``.
    """
    known, k, weight, variance = _leading(spectrum, beta, latent_dim, noise_variance, flow)
    values, level = known[:k], weight * variance
    above = excess_over_level(values, weight, variance)
    shape = np.ones(k)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        own = own_rates(values, weight * shape, variance * shape, above, flow)
        strong, weak = np.maximum.outer(values, values), np.minimum.outer(values, values)
        gain = np.sqrt(np.maximum(above, 0.0))
        both = np.minimum.outer(above, above) > 0
        active = _active_pairs(strong * weak, gain, weight, variance, flow)
        rates = np.where(both, active, _dead_pairs(strong, weak, level, variance, flow))
    np.fill_diagonal(rates, own)
    check_representable("spectrum, beta, noise_variance", rates, _REPRESENT)
    return np.asarray(rates)


def _active_pairs(
    product: FloatArray, gain: FloatArray, weight: float, variance: float, flow: str
) -> FloatArray:
    apart = np.subtract.outer(gain, gain) ** 2
    if flow == "decoder":
        return np.asarray(weight * apart / np.where(product > 0, product, 1.0))
    level = weight * variance
    return _smaller_root(product, level * apart, level + np.outer(gain, gain), variance)


def _dead_pairs(
    strong: FloatArray, weak: FloatArray, level: float, variance: float, flow: str
) -> FloatArray:
    """Pairs of which the weaker mode is dead: a dead latent, and a foreign eigenvector."""
    raised = np.maximum(strong, level)
    left = np.minimum(strong, level)  # variance along the stronger that is still unexplained
    foreign = _swap(raised, weak, variance, flow)
    if flow == "decoder":
        return np.minimum(foreign, (raised - left) / raised / variance)
    determinant = np.where(strong > level, level * (strong - level), strong * (level - strong))
    dead = _smaller_root(strong * level, determinant, left, variance)
    return np.minimum(foreign, dead)


def _swap(raised: Any, foreign: Any, variance: float, flow: str) -> FloatArray:
    """Rate at which a latent that stands at a raised level loses a foreign eigenvector."""
    if flow == "decoder":
        return np.asarray((raised - foreign) / raised / variance)
    return _smaller_root(raised * foreign, foreign * (raised - foreign), foreign, variance)


def swap_rates(
    spectrum: Spectrum,
    beta: Any,
    *,
    latent_dim: int,
    noise_variance: Any,
    flow: Flow = "joint",
) -> FloatArray:
    r"""Rates at which latents lose eigenvectors that no latent should carry, at the optimum.

    .. math:: \mu_{ij} = \frac{2\lambda_j (t_i - \lambda_j)}{\sigma^2 \left[1 + t_i\lambda_j
              + \sqrt{(1 - t_i\lambda_j)^2 + 4\lambda_j^2}\right]}, \qquad
              \mu_{ij}^{\text{decoder}} = \frac{t_i - \lambda_j}{\sigma^2 t_i}, \qquad
              t_i = \max(\lambda_i, \tau)

    This is minus the escape rate of λⱼ at the water level tᵢ, and not negative, as eigenvalues are
    sorted.

    Parameters
    ----------
    spectrum : Spectrum
    beta, noise_variance : float
        β, σ² > 0.
    latent_dim : int
        k, 1 <= k <= n.
    flow : {"joint", "decoder"}

    Returns
    -------
    ndarray, shape (k, m − k)
        For the m eigenpairs that the spectrum holds, in units of 1/time, >= 0; zero for ties
        across k.

    Raises
    ------
    InputError
        As :func:`alignment_rates`.

    Notes
    -----
    Source: derived in ``proofs/alignment.py``.
    """
    known, k, weight, variance = _leading(spectrum, beta, latent_dim, noise_variance, flow)
    raised = np.maximum(known[:k], weight * variance)[:, None]
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        rates = _swap(raised, known[k:], variance, flow)
    check_representable("spectrum, beta, noise_variance", rates, _REPRESENT)
    return np.asarray(rates)
