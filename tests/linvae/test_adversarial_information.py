"""Optimisers that try to break the inequalities between rate, information and likelihood."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from linvae import LinearVAE, Spectrum
from linvae.testing.strategies import Parameters, Population, orthogonal_matrix
from tests import oracles
from tests.tolerances import EPS, assert_close

Array = NDArray[np.float64]


def population(rng: np.random.Generator, n: int) -> Population:
    values = np.sort(np.exp(rng.normal(0, 0.8, n)))[::-1]
    return Population(values, orthogonal_matrix(n, rng), rng.standard_normal(n))


def attack(
    objective: Callable[[Array], float], size: int, rng: np.random.Generator, starts: int = 3
) -> tuple[float, Array]:
    """Least value found from random starts by BFGS, polished by Nelder–Mead."""
    best, where = np.inf, np.zeros(size)
    for _ in range(starts):
        found = minimize(objective, 0.6 * rng.standard_normal(size), method="BFGS")
        found = minimize(
            objective, found.x, method="Nelder-Mead",
            options={"maxfev": 40 * size, "xatol": 1e-9, "fatol": 1e-13},
        )  # fmt: skip
        if found.fun < best:
            best, where = float(found.fun), found.x
    return best, where


def model(theta: Array, n: int, k: int, spectrum: Spectrum) -> LinearVAE:
    """An encoder with free offset; the decoder is the one that is best for it."""
    E, log_c, h = np.split(theta, [n * k, n * k + k])
    E, c = E.reshape(k, n), np.exp(np.clip(log_c, -20, 20))
    S = (spectrum.eigenvectors * spectrum.eigenvalues) @ spectrum.eigenvectors.T
    D = S @ E.T @ np.linalg.inv(E @ S @ E.T + np.diag(c))
    return LinearVAE(E, c, D, np.asarray(0.5), spectrum.mean, spectrum.mean, h)


@pytest.mark.parametrize("seed", range(3))
def test_no_part_of_the_rate_is_negative(seed: int) -> None:
    """Each part is driven down; it reaches its bound 0 and stops, and the parts still add up."""
    rng = np.random.default_rng([31, seed])
    n, k = 3, 2
    drawn = population(rng, n)
    spectrum = drawn.spectrum
    parts: dict[str, Callable[[LinearVAE], float]] = {
        "total_correlation": lambda v: v.information(spectrum).total_correlation,
        "dimension_wise": lambda v: v.information(spectrum).dimension_wise_kl.min(),
        "marginal_kl": lambda v: v.information(spectrum).marginal_kl,
        "mutual_information": lambda v: v.information(spectrum).mutual_information,
    }
    for name, part in parts.items():
        least, where = attack(
            lambda t, part=part: part(model(t, n, k, spectrum)), n * k + 2 * k, rng, starts=1
        )
        assert least >= -64 * EPS * 10, name
        assert least <= 1e-6, f"the attack on {name} had no force"
        vae = model(where, n, k, spectrum)
        got, p = vae.information(spectrum), Parameters.of(vae)
        total = oracles.conditional_entropy_information(drawn.covariance, p)
        total += oracles.total_correlation(drawn.covariance, p)
        total += oracles.dimension_wise_kl(drawn.covariance, drawn.mean, p).sum()
        size = 1 + total + float(np.linalg.cond(got.aggregated_covariance))
        assert_close(got.rate, total, scale=size)


def test_the_identity_survives_a_search_for_its_worst_case() -> None:
    """The violation of rate = I + TC + Σ KL, relative to rounding, is itself maximised."""
    rng = np.random.default_rng(32)
    n, k = 3, 2
    spectrum = population(rng, n).spectrum

    def violation(theta: Array) -> float:
        parts = model(theta, n, k, spectrum).information(spectrum)
        total = parts.mutual_information + parts.total_correlation + parts.dimension_wise_kl.sum()
        size = 1 + parts.rate + parts.rate_per_latent.sum() + abs(parts.total_correlation)
        return float(abs(parts.rate - total) / (EPS * size))

    worst = 0.0
    for _ in range(4):
        found = minimize(
            lambda t: -violation(t), 2 * rng.standard_normal(n * k + 2 * k),
            method="Nelder-Mead", options={"maxfev": 500},
        )  # fmt: skip
        worst = max(worst, -float(found.fun))
    assert worst <= 64


@pytest.mark.parametrize("seed", range(3))
def test_no_encoder_informs_beyond_its_rate(seed: int) -> None:
    rng = np.random.default_rng([33, seed])
    n, k = 3, 2
    spectrum = population(rng, n).spectrum

    def lead(theta: Array) -> float:
        parts = model(theta, n, k, spectrum).information(spectrum)
        return float(parts.rate - parts.mutual_information)

    least, where = attack(lead, n * k + 2 * k, rng)
    assert -64 * EPS * 10 <= least <= 1e-6
    # Where rate and information meet, the aggregated posterior is the prior.
    parts = model(where, n, k, spectrum).information(spectrum)
    assert_close(parts.aggregated_covariance, np.eye(k), "difference", scale=1e4)
    assert np.abs(parts.aggregated_covariance - np.eye(k)).max() <= 1e-2
    assert np.abs(parts.aggregated_mean).max() <= 1e-2


@pytest.mark.parametrize("seed", range(3))
def test_no_decoder_explains_more_than_the_information(seed: int) -> None:
    """𝒟 + I − h(x) is driven down over decoder, offset and σ² for one fixed encoder."""
    rng = np.random.default_rng([34, seed])
    n, k = 3, 2
    drawn = population(rng, n)
    spectrum, S = drawn.spectrum, drawn.covariance
    E, c = rng.standard_normal((k, n)), np.exp(rng.standard_normal(k))

    def lead(theta: Array) -> float:
        D, m, log = theta[: n * k].reshape(n, k), theta[n * k : -1], np.clip(theta[-1], -20, 20)
        vae = LinearVAE(E, c, D, np.exp(log), spectrum.mean, m)
        terms = vae.evaluate(spectrum, 1.0)
        information = vae.information(spectrum).mutual_information
        return float(terms.distortion + information - spectrum.gaussian_entropy)

    least, _ = attack(lead, n * k + n + 1, rng, starts=2)
    given = S - S @ E.T @ np.linalg.inv(E @ S @ E.T + np.diag(c)) @ E @ S
    # The best decoder leaves the divergence of N(0, V) from an isotropic Gaussian.
    bound = 0.5 * (n * np.log(np.trace(given) / n) - np.linalg.slogdet(given)[1])
    assert bound > 0
    assert least >= bound - 1e-10 * (1 + bound)
    assert least <= bound + 1e-4, "the attack had no force"


@pytest.mark.parametrize("diagonal", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_no_encoder_lifts_the_bound_above(seed: int, diagonal: bool) -> None:
    """The ELBO of a fixed decoder is driven up: to the likelihood iff DᵀD is diagonal."""
    rng = np.random.default_rng([35, seed])
    n, k = 3, 2
    spectrum = population(rng, n).spectrum
    D, s2 = rng.standard_normal((n, k)), 0.4
    if diagonal:
        D = np.linalg.qr(D)[0] * np.array([1.3, 0.6])
    offset = spectrum.mean + rng.standard_normal(n)

    def lead(theta: Array) -> float:
        E, log_c, h = np.split(theta, [n * k, n * k + k])
        c = np.exp(np.clip(log_c, -20, 20))
        vae = LinearVAE(E.reshape(k, n), c, D, np.asarray(s2), spectrum.mean, offset, h)
        return float(vae.log_likelihood(spectrum) - vae.evaluate(spectrum, 1.0).elbo)

    least, _ = attack(lead, n * k + 2 * k, rng, starts=2)
    precision = np.eye(k) + D.T @ D / s2
    bound = 0.5 * (np.log(np.diagonal(precision)).sum() - np.linalg.slogdet(precision)[1])
    assert least >= max(bound, 0.0) - 1e-11
    assert least <= bound + 1e-5, "the attack had no force"
    assert (bound < 1e-12) == diagonal


@pytest.mark.parametrize("seed", range(4))
def test_found_optima_have_the_prior_as_aggregated_posterior(seed: int) -> None:
    """Descent on the exact objective, knowing nothing of the closed form, ends at A = I, R = I."""
    rng = np.random.default_rng([36, seed])
    n, k, s2 = 4, 2, 0.6
    drawn = population(rng, n)
    S, mu = drawn.covariance, drawn.mean
    beta = float(drawn.values[0] / s2 * rng.uniform(0.1, 0.9))

    def unpack(theta: Array) -> Parameters:
        E, D, log_c = np.split(theta, [n * k, 2 * n * k])
        return Parameters(E.reshape(k, n), np.exp(log_c), D.reshape(n, k), s2, mu, mu, np.zeros(k))

    def value(theta: Array) -> tuple[float, Array]:
        p = unpack(theta)
        slopes = oracles.gradient(S, mu, p, beta)
        error = oracles.trace_squared_error(S, mu, p)
        total = error / (2 * s2) + beta * oracles.trace_rate(S, mu, p)
        return total, np.concatenate([slopes[name].ravel() for name in ("E", "D", "log_c")])

    # The best of a few descents: others may end at a saddle where DᵀD is not diagonal.
    found = min(
        (
            minimize(
                value, rng.standard_normal(2 * n * k + k), jac=True, method="L-BFGS-B",
                options={"maxiter": 4000, "maxfun": 8000, "ftol": 1e-16, "gtol": 1e-11},
            )
            for _ in range(3)
        ),
        key=lambda result: result.fun,
    )  # fmt: skip
    parts = unpack(found.x).vae.information(drawn.spectrum)
    assert np.abs(parts.aggregated_covariance - np.eye(k)).max() <= 1e-5
    assert_close(parts.rate, parts.mutual_information, "optimisation", scale=1 + parts.rate)
    assert abs(parts.total_correlation) <= 1e-9
    assert np.abs(parts.dimension_wise_kl).max() <= 1e-9
