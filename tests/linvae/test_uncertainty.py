"""Bands against exact small perturbations, closed forms and the slow route; bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from linvae import Frontier, Spectrum, response
from linvae.errors import InputError, InputTypeError, PartialSpectrumError
from linvae.testing.strategies import Problem, beta_arrays, orthogonal_matrix, problems, scales
from linvae.uncertainty import Uncertainty, asymptotic_bands, bootstrap_bands
from tests.tolerances import assert_close

# Away from critical betas, which are 32, 16, 8, 4, 2: at 10 one of the first three modes is
# inactive, at 40 all are.
LAM = np.array([16.0, 8.0, 4.0, 2.0, 1.0])
BETAS = np.array([0.1, 0.7, 3.0, 6.5, 10.0, 40.0])
OPTIONS: dict[str, Any] = {"latent_dim": 3, "noise_variance": 0.5}
POPULATION = Spectrum.from_eigenvalues(LAM)
FIELDS = ("rate", "squared_error", "distortion", "objective")


def known_spectrum(values: np.ndarray, count: int) -> Spectrum:
    """A population's eigenvalues, posing as those of `count` samples."""
    return Spectrum.from_eigenvalues(values, n_samples=count)


def population_values(
    spectrum: Spectrum, betas: np.ndarray, **options: Any
) -> dict[str, np.ndarray]:
    points = Frontier(spectrum, **options).at_beta(betas)
    found = {name: getattr(points, name) for name in FIELDS}
    found["eigenvalues"] = spectrum.eigenvalues
    found["critical_betas"] = spectrum.eigenvalues[: options["latent_dim"]] / 0.5
    return found


def exact_excess(
    fitted: Spectrum, target: Spectrum, betas: np.ndarray, **options: Any
) -> np.ndarray:
    """Held-out excess by the slow route: fit, evaluate, subtract the optimum."""
    held_out = response(fitted, betas, **options).evaluate(target, betas).objective
    return held_out - Frontier(target, **options).at_beta(betas).objective


# The expansion


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
        return exact_excess(fitted, population, BETAS, **options)

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
    band = asymptotic_bands(known_spectrum(LAM, count), BETAS, **options).heldout_excess
    total, squares = np.sum(weights, axis=0), np.sum(np.square(weights), axis=0)
    # Rounding of an objective of order 10 against an excess of order 1e-6; next order in 1/N.
    assert_close(band.estimate / total, np.ones(BETAS.size), "difference", scale=20)
    law = stats.gamma(total**2 / (2 * squares), scale=2 * squares / total)
    for end, chance in ((band.lower, 0.025), (band.upper, 0.975)):
        assert_close(end / law.ppf(chance), np.ones(BETAS.size), "difference", scale=50)


# The closed forms


def test_bands_are_the_delta_method_for_small_errors() -> None:
    count, z = 10**8, stats.norm.ppf(0.975)
    found = asymptotic_bands(known_spectrum(LAM, count), BETAS, **OPTIONS)
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
    few, many = (
        asymptotic_bands(known_spectrum(LAM, n), BETAS, **OPTIONS) for n in (10**8, 4 * 10**8)
    )
    ratio = few.heldout_excess.estimate / many.heldout_excess.estimate
    assert_close(ratio, np.full(BETAS.size, 4.0), "difference")
    assert_close(few.optimism, 2 * few.heldout_excess.estimate, "rounding")
    for name in ("objective", "eigenvalues", "critical_betas"):
        a, b = getattr(few, name), getattr(many, name)
        np.testing.assert_allclose((a.upper - a.lower) / (b.upper - b.lower), 2.0, rtol=1e-3)


def test_bias_correction_is_lawleys() -> None:
    count = 10**6
    found = asymptotic_bands(known_spectrum(LAM, count), 1.0, **OPTIONS).eigenvalues.estimate
    for i, value in enumerate(LAM):
        others = np.delete(LAM, i)
        shift = 2 - (others / (value - others)).sum()
        assert np.log(found[i] / value) * count == pytest.approx(shift, rel=1e-4)


def test_estimates_are_the_frontier_of_the_corrected_spectrum(rng: np.random.Generator) -> None:
    data = rng.standard_normal((60, 5)) * np.sqrt(LAM)
    found = asymptotic_bands(Spectrum.from_samples(data), BETAS, **OPTIONS)
    corrected = Spectrum.from_eigenvalues(found.eigenvalues.estimate)
    for name, want in population_values(corrected, BETAS, **OPTIONS).items():
        assert_close(getattr(found, name).estimate, want)


@given(st.data())
def test_bands_are_finite_ordered_and_never_below_zero(data: st.DataObject) -> None:
    problem: Problem = data.draw(problems(extreme=True))
    betas = data.draw(beta_arrays(problem.critical))
    level = data.draw(st.sampled_from([0.01, 0.5, 0.95, 0.999]))
    count = data.draw(st.integers(problem.spectrum.rank + 2, 10_000))
    spectrum = known_spectrum(problem.population.values, count)
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
    one = asymptotic_bands(known_spectrum(LAM, 50), BETAS, latent_dim=k, noise_variance=0.5)
    other = asymptotic_bands(
        known_spectrum(LAM * scale, 50), BETAS, latent_dim=k, noise_variance=0.5 * scale
    )
    for name, unit in (("rate", 1), ("heldout_excess", 1), ("squared_error", scale)):
        for end in ("lower", "estimate", "upper"):
            want = getattr(getattr(one, name), end)
            assert_close(getattr(getattr(other, name), end) / unit, want)


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
        excess.append(exact_excess(fitted, sample, BETAS, **OPTIONS))
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


def test_bootstrap_rate_band_stops_at_zero(rng: np.random.Generator) -> None:
    """Just below the largest critical β the symmetric interval would reach below zero."""
    data = rng.standard_normal((40, 3)) * np.sqrt([4.0, 1.0, 0.5])
    beta = 0.97 * Spectrum.from_samples(data).eigenvalues[0]
    band = bootstrap_bands(data, beta, latent_dim=2, noise_variance=1.0, seed=0).rate
    assert band.lower == 0.0
    assert band.upper > 0.0


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
