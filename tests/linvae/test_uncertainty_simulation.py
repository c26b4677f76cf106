"""Coverage, held-out excess and optimism of the bands, by simulation with stated seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from linvae import Frontier, Spectrum, response
from linvae.uncertainty import Uncertainty, asymptotic_bands, bootstrap_bands
from tests.linvae.test_uncertainty import (
    BETAS,
    FIELDS,
    LAM,
    OPTIONS,
    POPULATION,
    exact_excess,
    known_spectrum,
    population_values,
)

SAMPLES = 400

# First-order bands at finite N: what their coverage may lack or exceed beside its standard error.
ASYMPTOTIC_ALLOWANCE = 0.02
BOOTSTRAP_ALLOWANCE = {"_gaussian": 0.04, "_laplace": 0.06}

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def _gaussian(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.standard_normal(shape)


def _laplace(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Unit variance, kurtosis 6."""
    return rng.laplace(size=shape) / np.sqrt(2)


def _coverage(
    draw: Draw, replicates: int, seed: int, bands: Callable[..., Uncertainty]
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Coverage of every band, and mean excess found and expected."""
    rng = np.random.default_rng(seed)
    truth = population_values(POPULATION, BETAS, **OPTIONS)
    hits: dict[str, list[np.ndarray]] = {}
    excesses = []
    for _ in range(replicates):
        data = draw(rng, (SAMPLES, LAM.size)) * np.sqrt(LAM)
        spectrum = Spectrum.from_samples(data)
        found = bands(data, spectrum, rng)
        truth["heldout_excess"] = exact_excess(spectrum, POPULATION, BETAS, **OPTIONS)
        for name, value in truth.items():
            band = getattr(found, name)
            # All modes inactive: rate 0 exactly, up to the last bit of a sum.
            hits.setdefault(name, []).append(
                (band.lower <= value * (1 + 1e-12)) & (value * (1 - 1e-12) <= band.upper)
            )
        excesses.append([truth["heldout_excess"], found.heldout_excess.estimate])
    pairs = np.array(excesses)
    return {name: np.mean(h, axis=0) for name, h in hits.items()}, pairs[:, 0], pairs[:, 1]


def _assert_covers(
    coverage: dict[str, np.ndarray], replicates: int, allowance: float, level: float = 0.95
) -> None:
    """Neither too narrow nor, by the same margin, too wide."""
    margin = 3 * np.sqrt(level * (1 - level) / replicates) + allowance
    for name, share in coverage.items():
        # At beta = 40 the rate is 0 in every sample: certain, not covered with probability 95 %.
        share = share[:-1] if name == "rate" else share
        assert (np.abs(share - level) <= margin).all(), f"{name}: {share}, margin {margin:.3f}"


# Coverage by simulation


@pytest.mark.parametrize("level", [0.95, 0.7])
def test_asymptotic_coverage_on_gaussian_data(level: float) -> None:
    replicates = 800  # standard error 0.008 at 0.95, 0.016 at 0.7

    def bands(_: Any, spectrum: Spectrum, __: Any) -> Uncertainty:
        return asymptotic_bands(spectrum, BETAS, level=level, **OPTIONS)

    coverage, found, expected = _coverage(_gaussian, replicates, 11, bands)
    _assert_covers(coverage, replicates, ASYMPTOTIC_ALLOWANCE, level)
    assert set(coverage) == {*FIELDS, "eigenvalues", "critical_betas", "heldout_excess"}
    # The expectation, plugged in from each sample; 3 % for the next order in n/N.
    error = 3 * found.std(axis=0) / np.sqrt(replicates) + 0.03 * found.mean(axis=0)
    assert (np.abs(found.mean(axis=0) - expected.mean(axis=0)) <= error).all()


@pytest.mark.slow
@pytest.mark.parametrize("draw", [_gaussian, _laplace])
def test_bootstrap_coverage(draw: Draw) -> None:
    replicates = 300  # standard error 0.013

    def bands(data: Any, _: Any, rng: np.random.Generator) -> Uncertainty:
        return bootstrap_bands(data, BETAS, n_resamples=100, seed=rng, **OPTIONS)

    coverage, found, expected = _coverage(draw, replicates, 12, bands)
    _assert_covers(coverage, replicates, BOOTSTRAP_ALLOWANCE[draw.__name__])
    error = 3 * found.std(axis=0) / np.sqrt(replicates) + 0.03 * found.mean(axis=0)
    assert (np.abs(found.mean(axis=0) - expected.mean(axis=0)) <= error).all()


def test_asymptotic_bands_are_too_narrow_for_heavy_tails() -> None:
    """The same data on which the bootstrap covers: kurtosis is what the asymptotic law ignores."""

    def bands(_: Any, spectrum: Spectrum, __: Any) -> Uncertainty:
        return asymptotic_bands(spectrum, BETAS, **OPTIONS)

    coverage, found, expected = _coverage(_laplace, 300, 12, bands)
    # log variance estimates have variance 5/N, not 2/N: a band of z √2 holds z √(2/5) of theirs.
    predicted = 2 * stats.norm.cdf(stats.norm.ppf(0.975) * np.sqrt(2 / 5)) - 1
    margin = 3 * np.sqrt(predicted * (1 - predicted) / 300) + ASYMPTOTIC_ALLOWANCE
    assert (np.abs(coverage["eigenvalues"] - predicted) <= margin).all()
    assert (coverage["objective"] < 0.87).all()
    # Expected excess at 3 ≤ β ≤ 10: short by a fifth and more, many standard errors.
    short = 1 - expected.mean(axis=0)[2:5] / found.mean(axis=0)[2:5]
    assert (short > 0.15).all()


def test_the_bias_of_many_modes_is_removed() -> None:
    """40 features, 600 samples: without the correction most bands miss the population."""
    values = 1.1 ** -np.arange(40.0)
    options = {"latent_dim": 10, "noise_variance": 0.02}
    betas = np.array([0.05, 0.5, 2.0])
    truth = population_values(Spectrum.from_eigenvalues(values), betas, **options)
    rng = np.random.default_rng(13)
    replicates = 200
    hits, plain, logs = [], [], []
    for _ in range(replicates):
        spectrum = Spectrum.from_samples(rng.standard_normal((600, 40)) * np.sqrt(values))
        found = asymptotic_bands(spectrum, betas, **options)
        band, naive = found.objective, Frontier(spectrum, **options).at_beta(betas).objective
        hits.append((band.lower <= truth["objective"]) & (truth["objective"] <= band.upper))
        plain.append(
            (naive - (band.estimate - band.lower) <= truth["objective"])
            & (truth["objective"] <= naive + (band.upper - band.estimate))
        )
        logs.append(np.log([found.eigenvalues.estimate, spectrum.eigenvalues]) - np.log(values))
    margin = 3 * np.sqrt(0.05 * 0.95 / replicates) + ASYMPTOTIC_ALLOWANCE
    assert (np.abs(np.mean(hits, axis=0) - 0.95) <= margin).all()
    assert np.mean(plain, axis=0)[0] < 0.6
    # The smallest eigenvalue is off by about n/N of itself in the sample, and not here.
    corrected, sampled = np.mean(logs, axis=0)[:, -1]
    error = np.std(logs, axis=0)[0, -1] / np.sqrt(replicates)
    assert sampled < -10 * error
    assert abs(corrected) < 3 * error + 0.1 * abs(sampled)


# Held-out excess and optimism


@pytest.fixture(scope="module", params=[3, 5], ids=["k=3", "k=n"])
def simulated(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Excess and optimism of 1500 fits to 2000 Gaussian samples with a mean to be estimated."""
    options = {"latent_dim": request.param, "noise_variance": 0.5}
    count, rng = 2000, np.random.default_rng(14)
    best = Frontier(POPULATION, **options).at_beta(BETAS).objective
    critical = np.where(np.arange(5) < request.param, LAM / 0.5, 0.0)
    slope = np.where(critical > BETAS[:, None], BETAS[:, None] / (2 * LAM), 1.0)  # (B, n)
    excess, optimism = [], []
    for _ in range(1500):
        data = rng.standard_normal((count, 5)) * np.sqrt(LAM)
        spectrum = Spectrum.from_samples(data)
        vae = response(spectrum, BETAS, **options)
        held_out = vae.evaluate(POPULATION, BETAS).objective
        # The part linear in S has a known expectation, -slope . λ/N; left in, it is nearly all of
        # the noise.
        linear = slope @ (spectrum.covariance.diagonal() - LAM)
        training = vae.evaluate(spectrum, BETAS).objective - linear - slope @ LAM / count
        excess.append(held_out - best)
        optimism.append(held_out - training)
    bands = asymptotic_bands(known_spectrum(LAM, count), BETAS, **options)
    return {"excess": np.array(excess), "optimism": np.array(optimism), "bands": bands}


def _assert_mean(draws: np.ndarray, want: np.ndarray) -> None:
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    # 1 % for the next order in n/N = 1/400.
    assert (np.abs(draws.mean(axis=0) - want) <= 3 * error + 0.01 * want).all()
    # The simulation is sharp enough to tell: standard error below 3 %.
    assert (error < 0.03 * want).all()


def test_expected_excess_is_that_of_simulation(simulated: dict[str, Any]) -> None:
    _assert_mean(simulated["excess"], simulated["bands"].heldout_excess.estimate)


def test_optimism_is_twice_the_excess(simulated: dict[str, Any]) -> None:
    _assert_mean(simulated["optimism"], simulated["bands"].optimism)


def test_excess_interval_has_the_spread_of_simulation(simulated: dict[str, Any]) -> None:
    draws, band = simulated["excess"], simulated["bands"].heldout_excess
    below, above = (draws < band.lower).mean(axis=0), (draws > band.upper).mean(axis=0)
    # 1500 draws: standard error 0.004 on each side; 0.01 for the gamma in place of the exact law.
    for share in (below, above):
        assert (np.abs(share - 0.025) <= 3 * 0.004 + 0.01).all()


@pytest.mark.parametrize("second", [3.0, 2.9, 2.5, 2.0])
def test_ties_and_near_ties_stay_near_the_truth(second: float) -> None:
    """λ_k = 3 = λ_{k+1}, or nearly: the uncapped expansion is infinite or far too large there."""
    values, betas, count = np.array([8.0, 3.0, second, 1.0]), np.array([0.5, 1.0]), 300
    options: dict[str, Any] = {"latent_dim": 2, "noise_variance": 0.5}
    population, rng = Spectrum.from_eigenvalues(values), np.random.default_rng(16)
    found, expected = [], []
    for _ in range(400):
        fitted = Spectrum.from_samples(rng.standard_normal((count, 4)) * np.sqrt(values))
        found.append(exact_excess(fitted, population, betas, **options))
        expected.append(asymptotic_bands(fitted, betas, **options).heldout_excess.estimate)
    known = asymptotic_bands(
        known_spectrum(values, count), betas, **options
    ).heldout_excess.estimate
    # No sample can tell a tie from a near tie; with the eigenvalues known the tie is exact.
    best = known if second == 3.0 else np.mean(expected, axis=0)
    ratio = best / np.mean(found, axis=0)
    assert (np.abs(np.log(ratio)) < np.log(1.35)).all(), ratio  # standard error 0.04
    assert np.isfinite(known).all()
