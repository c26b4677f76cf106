"""Bands against simulation, against exact small perturbations, and against the slow route."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from linvae import Frontier, Spectrum, response
from linvae.errors import InputError, InputTypeError, PartialSpectrumError
from linvae.uncertainty import Uncertainty, asymptotic_bands, bootstrap_bands
from tests.strategies import Problem, beta_arrays, orthogonal_matrix, problems, scales
from tests.tolerances import assert_close

# Away from critical betas, which are 32, 16, 8, 4, 2: at 10 one of the first three modes is
# inactive, at 40 all are.
LAM = np.array([16.0, 8.0, 4.0, 2.0, 1.0])
BETAS = np.array([0.1, 0.7, 3.0, 6.5, 10.0, 40.0])
OPTIONS: dict[str, Any] = {"latent_dim": 3, "noise_variance": 0.5}
POPULATION = Spectrum.from_eigenvalues(LAM)
SAMPLES = 400
FIELDS = ("rate", "squared_error", "distortion", "objective")

# First-order bands at finite N: what their coverage may lack or exceed beside its standard error.
ASYMPTOTIC_ALLOWANCE = 0.02
BOOTSTRAP_ALLOWANCE = {"_gaussian": 0.04, "_laplace": 0.06}

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def _gaussian(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.standard_normal(shape)


def _laplace(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Unit variance, kurtosis 6."""
    return rng.laplace(size=shape) / np.sqrt(2)


def _known(values: np.ndarray, count: int) -> Spectrum:
    """A population's eigenvalues, posing as those of `count` samples."""
    return Spectrum.from_eigenvalues(values, n_samples=count)


def _truth(spectrum: Spectrum, betas: np.ndarray, **options: Any) -> dict[str, np.ndarray]:
    points = Frontier(spectrum, **options).at_beta(betas)
    found = {name: getattr(points, name) for name in FIELDS}
    found["eigenvalues"] = spectrum.eigenvalues
    found["critical_betas"] = spectrum.eigenvalues[: options["latent_dim"]] / 0.5
    return found


def _excess(fitted: Spectrum, target: Spectrum, betas: np.ndarray, **options: Any) -> np.ndarray:
    """Held-out excess by the slow route: fit, evaluate, subtract the optimum."""
    held_out = response(fitted, betas, **options).evaluate(target, betas).objective
    return held_out - Frontier(target, **options).at_beta(betas).objective


def _coverage(
    draw: Draw, replicates: int, seed: int, bands: Callable[..., Uncertainty]
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Coverage of every band, and mean excess found and expected."""
    rng = np.random.default_rng(seed)
    truth = _truth(POPULATION, BETAS, **OPTIONS)
    hits: dict[str, list[np.ndarray]] = {}
    excesses = []
    for _ in range(replicates):
        data = draw(rng, (SAMPLES, LAM.size)) * np.sqrt(LAM)
        spectrum = Spectrum.from_samples(data)
        found = bands(data, spectrum, rng)
        truth["heldout_excess"] = _excess(spectrum, POPULATION, BETAS, **OPTIONS)
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
    truth = _truth(Spectrum.from_eigenvalues(values), betas, **options)
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
    bands = asymptotic_bands(_known(LAM, count), BETAS, **options)
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


@pytest.mark.parametrize("k", [1, 3, 5])
def test_excess_is_the_second_order_term_of_the_exact_objective(k: int) -> None:
    """One standard deviation along every independent error of mean and covariance, one at a time.

    The excess of each is its χ² weight. They fix expectation and interval alike.
    """
    count, rng = 10**6, np.random.default_rng(15)
    options = {"latent_dim": k, "noise_variance": 0.5}
    axes = orthogonal_matrix(5, rng)
    population = Spectrum.from_eigenvalues(LAM, eigenvectors=axes)

    def excess(step: np.ndarray, mean: np.ndarray) -> np.ndarray:
        covariance = axes @ (np.diag(LAM) + step) @ axes.T
        fitted = Spectrum.from_covariance(covariance, mean=axes @ mean)
        return _excess(fitted, population, BETAS, **options)

    weights, zero = [], np.zeros((5, 5))
    for i in range(5):
        mean = np.zeros(5)
        mean[i] = np.sqrt(LAM[i] / count)
        weights.append(excess(zero, mean))
        for j in range(i, 5):
            step = zero.copy()
            step[i, j] = step[j, i] = np.sqrt((1 + (i == j)) * LAM[i] * LAM[j] / count)
            # Averaged over both signs the third order drops out.
            weights.append((excess(step, np.zeros(5)) + excess(-step, np.zeros(5))) / 2)
    band = asymptotic_bands(_known(LAM, count), BETAS, **options).heldout_excess
    total, squares = np.sum(weights, axis=0), np.sum(np.square(weights), axis=0)
    # Rounding of an objective of order 10 against an excess of order 1e-6; next order in 1/N.
    assert_close(band.estimate / total, np.ones(BETAS.size), "difference", scale=20)
    law = stats.gamma(total**2 / (2 * squares), scale=2 * squares / total)
    for end, chance in ((band.lower, 0.025), (band.upper, 0.975)):
        assert_close(end / law.ppf(chance), np.ones(BETAS.size), "difference", scale=50)


# The closed forms


def test_bands_are_the_delta_method_for_small_errors() -> None:
    count, z = 10**8, stats.norm.ppf(0.975)
    found = asymptotic_bands(_known(LAM, count), BETAS, **OPTIONS)
    tau = 0.5 * BETAS[:, None]
    active = (tau < LAM) & (np.arange(5) < 3)
    slopes = {
        "rate": np.where(active, 1 / (2 * LAM), 0.0),
        "squared_error": np.where(active, 0.0, 1.0),
        "distortion": np.where(active, 0.0, 1.0),
        "objective": np.where(active, BETAS[:, None] / (2 * LAM), 1.0),
    }
    for name, slope in slopes.items():
        width = z * np.sqrt((slope**2 * 2 * LAM**2 / count).sum(axis=1))
        band = getattr(found, name)
        for side in (band.upper - band.estimate, band.estimate - band.lower):
            # Next order √(2/N); the band is a difference of numbers of order 100.
            np.testing.assert_allclose(side, width, rtol=1e-3, atol=1e-12, err_msg=name)
    ratio = found.eigenvalues.upper / found.eigenvalues.estimate
    assert_close(np.log(ratio), np.full(5, z * np.sqrt(2 / count)), "difference")


def test_everything_shrinks_as_it_should() -> None:
    """Excess as 1/N, bands as 1/√N."""
    few, many = (asymptotic_bands(_known(LAM, n), BETAS, **OPTIONS) for n in (10**8, 4 * 10**8))
    ratio = few.heldout_excess.estimate / many.heldout_excess.estimate
    assert_close(ratio, np.full(BETAS.size, 4.0), "difference")
    assert_close(few.optimism, 2 * few.heldout_excess.estimate, "rounding")
    for name in ("objective", "eigenvalues", "critical_betas"):
        a, b = getattr(few, name), getattr(many, name)
        np.testing.assert_allclose((a.upper - a.lower) / (b.upper - b.lower), 2.0, rtol=1e-3)


def test_bias_correction_is_lawleys() -> None:
    count = 10**6
    found = asymptotic_bands(_known(LAM, count), 1.0, **OPTIONS).eigenvalues.estimate
    for i, value in enumerate(LAM):
        others = np.delete(LAM, i)
        shift = 2 - (others / (value - others)).sum()
        assert np.log(found[i] / value) * count == pytest.approx(shift, rel=1e-4)


def test_estimates_are_the_frontier_of_the_corrected_spectrum(rng: np.random.Generator) -> None:
    data = rng.standard_normal((60, 5)) * np.sqrt(LAM)
    found = asymptotic_bands(Spectrum.from_samples(data), BETAS, **OPTIONS)
    corrected = Spectrum.from_eigenvalues(found.eigenvalues.estimate)
    for name, want in _truth(corrected, BETAS, **OPTIONS).items():
        assert_close(getattr(found, name).estimate, want)


@given(st.data())
def test_bands_are_finite_ordered_and_never_below_zero(data: st.DataObject) -> None:
    problem: Problem = data.draw(problems(extreme=True))
    betas = data.draw(beta_arrays(problem.critical))
    level = data.draw(st.sampled_from([0.01, 0.5, 0.95, 0.999]))
    count = data.draw(st.integers(problem.spectrum.rank + 2, 10_000))
    spectrum = _known(problem.population.values, count)
    found = asymptotic_bands(spectrum, betas, level=level, **problem.options)
    _assert_sound(found)


def _assert_sound(found: Uncertainty) -> None:
    for name in (*FIELDS, "eigenvalues", "critical_betas", "heldout_excess"):
        band = getattr(found, name)
        assert np.isfinite([band.lower, band.estimate, band.upper]).all(), name
        assert (band.lower <= band.estimate).all(), name
        assert (band.estimate <= band.upper).all(), name
        if name not in ("distortion", "objective"):
            # A root of summed squares may exceed the sum by an ulp.
            assert (band.lower >= -1e-15 * band.estimate).all(), name
    assert (np.diff(found.eigenvalues.estimate) <= 0).all()


@given(scales(extreme=True), st.integers(1, 5))
def test_joint_scaling(scale: float, k: int) -> None:
    one = asymptotic_bands(_known(LAM, 50), BETAS, latent_dim=k, noise_variance=0.5)
    other = asymptotic_bands(
        _known(LAM * scale, 50), BETAS, latent_dim=k, noise_variance=0.5 * scale
    )
    for name, unit in (("rate", 1), ("heldout_excess", 1), ("squared_error", scale)):
        for end in ("lower", "estimate", "upper"):
            want = getattr(getattr(one, name), end)
            assert_close(getattr(getattr(other, name), end) / unit, want)


@pytest.mark.parametrize("second", [3.0, 2.9, 2.5, 2.0])
def test_ties_and_near_ties_stay_near_the_truth(second: float) -> None:
    """λ_k = 3 = λ_{k+1}, or nearly: the uncapped expansion is infinite or far too large there."""
    values, betas, count = np.array([8.0, 3.0, second, 1.0]), np.array([0.5, 1.0]), 300
    options: dict[str, Any] = {"latent_dim": 2, "noise_variance": 0.5}
    population, rng = Spectrum.from_eigenvalues(values), np.random.default_rng(16)
    found, expected = [], []
    for _ in range(400):
        fitted = Spectrum.from_samples(rng.standard_normal((count, 4)) * np.sqrt(values))
        found.append(_excess(fitted, population, betas, **options))
        expected.append(asymptotic_bands(fitted, betas, **options).heldout_excess.estimate)
    known = asymptotic_bands(_known(values, count), betas, **options).heldout_excess.estimate
    # No sample can tell a tie from a near tie; with the eigenvalues known the tie is exact.
    best = known if second == 3.0 else np.mean(expected, axis=0)
    ratio = best / np.mean(found, axis=0)
    assert (np.abs(np.log(ratio)) < np.log(1.35)).all(), ratio  # standard error 0.04
    assert np.isfinite(known).all()


# The bootstrap


def test_bootstrap_is_the_slow_route(rng: np.random.Generator) -> None:
    """Same draws, each fitted by `response` and evaluated on the sample by the exact objective."""
    data = (rng.standard_normal((50, 5)) * np.sqrt(LAM)) @ orthogonal_matrix(5, rng) + 3.0
    sample = Spectrum.from_samples(data)
    found = bootstrap_bands(data, BETAS, n_resamples=25, seed=7, **OPTIONS)
    draws, excess = np.random.default_rng(7), []
    curves, values = [], []
    for _ in range(25):
        rows = np.repeat(np.arange(50), draws.multinomial(50, np.full(50, 1 / 50)))
        fitted = Spectrum.from_samples(data[rows])
        excess.append(_excess(fitted, sample, BETAS, **OPTIONS))
        curves.append(Frontier(fitted, **OPTIONS).at_beta(BETAS).objective)
        values.append(fitted.eigenvalues)
    assert_close(found.heldout_excess.estimate, np.mean(excess, axis=0))
    law_shape = np.mean(excess, axis=0) ** 2 / np.var(excess, axis=0, ddof=1)
    law = stats.gamma(law_shape, scale=np.mean(excess, axis=0) / law_shape)
    assert_close(found.heldout_excess.upper, law.ppf(0.975), "difference")
    middle = 2 * Frontier(sample, **OPTIONS).at_beta(BETAS).objective - np.mean(curves, axis=0)
    assert_close(found.objective.estimate, middle)
    half = stats.norm.ppf(0.975) * np.std(curves, axis=0, ddof=1)
    assert_close(found.objective.upper - middle, half)
    # Log-normal with the draws' moments: ends at mean log -+ z sd log, mirrored at the estimate.
    relative = np.var(values, axis=0, ddof=1) / np.mean(values, axis=0) ** 2
    spread = np.log1p(relative)
    log_bias = np.log(np.mean(values, axis=0)) - spread / 2 - np.log(sample.eigenvalues)
    want = sample.eigenvalues * np.exp(-log_bias)
    assert_close(found.eigenvalues.estimate, np.sort(want)[::-1])
    width = np.exp(stats.norm.ppf(0.975) * np.sqrt(spread))
    assert_close(found.eigenvalues.upper, np.sort(want * width)[::-1])
    assert_close(found.eigenvalues.lower, np.sort(want / width)[::-1])


def test_bootstrap_does_not_see_rotation_and_shift(rng: np.random.Generator) -> None:
    data = rng.standard_normal((80, 5)) * np.sqrt(LAM)
    moved = data @ orthogonal_matrix(5, rng) + 100.0
    one, other = (
        bootstrap_bands(x, BETAS, seed=3, n_resamples=30, **OPTIONS) for x in (data, moved)
    )
    for name in (*FIELDS, "eigenvalues", "critical_betas", "heldout_excess"):
        for end in ("lower", "estimate", "upper"):
            want = getattr(getattr(one, name), end)
            assert_close(getattr(getattr(other, name), end), want, condition=100.0)


def test_bootstrap_is_determined_by_its_seed(rng: np.random.Generator) -> None:
    data = rng.standard_normal((40, 3))
    options = {"latent_dim": 2, "noise_variance": 1.0, "n_resamples": 20}
    one, two, other, generator = (
        bootstrap_bands(data, 0.5, seed=seed, **options)
        for seed in (1, 1, 2, np.random.default_rng(1))
    )
    for name in ("objective", "eigenvalues", "heldout_excess"):
        assert np.array_equal(getattr(one, name).upper, getattr(two, name).upper)
        assert np.array_equal(getattr(one, name).upper, getattr(generator, name).upper)
        assert not np.array_equal(getattr(one, name).upper, getattr(other, name).upper)


@pytest.mark.parametrize("unit", [1e-60, 1.0, 1e60])
def test_bootstrap_on_hard_samples(unit: float, rng: np.random.Generator) -> None:
    """Constant columns, a column that is nonzero in one row, all constant, k above the rank."""
    data = rng.standard_normal((12, 6))
    data[:, 3] = 1.0
    data[:, 4] = 0.0
    data[:, 5] = np.arange(12) == 4  # zero variance in e^-1 of the resamples
    for samples, k in ((data, 6), (data, 1), (np.ones((5, 3)), 3), (data[:, :1], 1)):
        found = bootstrap_bands(
            unit * samples, [1e-9, 0.5, 1e9], latent_dim=k, noise_variance=unit**2, seed=0
        )
        _assert_sound(found)
        assert found.eigenvalues.estimate.shape == (samples.shape[1],)
        assert found.critical_betas.estimate.shape == (k,)


@pytest.mark.parametrize("method", ["asymptotic", "bootstrap"])
def test_shapes_and_labels(method: str, rng: np.random.Generator) -> None:
    data = rng.standard_normal((40, 4))
    for betas in (0.5, [0.5], np.array([[0.5, 1.0, 2.0], [3.0, 4.0, 5.0]])):
        options: dict[str, Any] = {"latent_dim": 2, "noise_variance": 0.1, "level": 0.9}
        if method == "asymptotic":
            found = asymptotic_bands(Spectrum.from_samples(data), betas, **options)
        else:
            found = bootstrap_bands(data, betas, seed=0, **options)
        assert found.method == method
        assert found.n_samples == 40
        assert np.array_equal(found.betas, betas)
        for name in (*FIELDS, "heldout_excess"):
            band = getattr(found, name)
            assert band.level == 0.9
            assert band.lower.shape == band.estimate.shape == band.upper.shape == np.shape(betas)
            with pytest.raises(ValueError, match="read-only"):
                band.upper[...] = 0.0
        assert found.optimism.shape == np.shape(betas)
        assert found.critical_betas.upper.shape == (2,)
        assert_close(found.critical_betas.upper, found.eigenvalues.upper[:2] / 0.1, "rounding")


# Bad input

GOOD: dict[str, Any] = {"latent_dim": 2, "noise_variance": 1.0}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"betas": 0.0}, "betas: got 0.0"),
        ({"betas": [1.0, np.nan]}, "betas: got nan"),
        ({"betas": []}, "betas: got an empty array"),
        ({"noise_variance": 0.0}, "noise_variance: got 0.0"),
        ({"noise_variance": [1.0, 2.0]}, "one number"),
        ({"latent_dim": 4}, "latent_dim: got 4"),
        ({"latent_dim": 0}, "latent_dim: got 0"),
        ({"level": 0.0}, "between 0 and 1"),
        ({"level": 1.0}, "between 0 and 1"),
        ({"level": 95}, "between 0 and 1"),
        ({"level": [0.9, 0.95]}, "between 0 and 1"),
        ({"level": np.nan}, "level: got nan"),
        ({"level": "high"}, "level: got dtype"),
    ],
)
@pytest.mark.parametrize("method", ["asymptotic", "bootstrap"])
def test_bad_arguments(change: dict[str, Any], text: str, method: str) -> None:
    data = np.random.default_rng(17).standard_normal((20, 3))
    given_ = {"betas": 1.0, **GOOD, **change}
    if method == "asymptotic":
        with pytest.raises(InputError, match=text):
            asymptotic_bands(Spectrum.from_samples(data), **given_)
    else:
        with pytest.raises(InputError, match=text):
            bootstrap_bands(data, seed=0, **given_)


def test_a_population_has_no_bands() -> None:
    with pytest.raises(InputError, match="n_samples None"):
        asymptotic_bands(POPULATION, 1.0, **GOOD)


def test_a_leading_spectrum_is_refused(rng: np.random.Generator) -> None:
    partial = Spectrum.from_samples(rng.standard_normal((40, 5)), leading=2)
    with pytest.raises(PartialSpectrumError, match="confidence bands"):
        asymptotic_bands(partial, 1.0, **GOOD)


@pytest.mark.parametrize("shape", [(1, 3), (4, 3), (5, 40)])
def test_too_few_samples(shape: tuple[int, int], rng: np.random.Generator) -> None:
    data = rng.standard_normal(shape)
    with pytest.raises(InputError, match="more samples than directions"):
        asymptotic_bands(Spectrum.from_samples(data), 1.0, **GOOD)
    with pytest.raises(InputError, match="more samples than directions"):
        bootstrap_bands(data, 1.0, seed=0, **GOOD)


@pytest.mark.parametrize("samples", [np.ones(5), np.ones((0, 3)), np.full((9, 2), np.nan)])
def test_bad_samples(samples: np.ndarray) -> None:
    with pytest.raises(InputError, match="samples"):
        bootstrap_bands(samples, 1.0, seed=0, **GOOD)


def test_bad_resampling(rng: np.random.Generator) -> None:
    data = rng.standard_normal((20, 3))
    with pytest.raises(InputError, match="n_resamples: got 19"):
        bootstrap_bands(data, 1.0, n_resamples=19, seed=0, **GOOD)
    for seed in (None, 1.5, True):
        with pytest.raises(InputTypeError, match="seed"):
            bootstrap_bands(data, 1.0, seed=seed, **GOOD)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="seed: got -1"):
        bootstrap_bands(data, 1.0, seed=-1, **GOOD)
