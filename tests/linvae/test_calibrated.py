"""The calibrated noise variance and its curve, against direct minimisation over σ²."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.decomposition import PCA

import linvae as lv
from linvae.calibrated import CalibratedFrontier, calibrated_noise_variance
from linvae.errors import InputError, NonUniqueOptimumWarning, UnboundedObjectiveError
from linvae.testing.strategies import Problem, problems
from tests.tolerances import assert_close, tolerance

# Kinds whose variance spreads over all directions, so that the calibrated optimum exists.
FULL = ("random", "geometric", "clustered", "flat", "tied", "near")


def objective(problem: Problem, log_variance: float, beta: float) -> float:
    curve = lv.Frontier(
        problem.spectrum, latent_dim=problem.k, noise_variance=float(np.exp(log_variance))
    )
    return float(curve.at_beta(beta).objective)


def calibrated(problem: Problem) -> CalibratedFrontier:
    return CalibratedFrontier(problem.spectrum, latent_dim=problem.k)


@given(problems(kinds=FULL), st.floats(-1.5, 1.5).map(lambda e: float(10.0**e)))
def test_no_other_noise_variance_is_better(problem: Problem, beta: float) -> None:
    assume(problem.k < problem.population.n)
    best = calibrated_noise_variance(problem.spectrum, beta, latent_dim=problem.k)
    log = np.log(best)
    least = objective(problem, log, beta)
    found = minimize_scalar(
        lambda v: objective(problem, v, beta), bounds=(log - 6, log + 6), method="bounded"
    )
    slack = tolerance("exact") * (1 + abs(least))
    assert found.fun >= least - slack
    # The objective in log σ² is quasi-convex: it rises away from the optimum on both sides.
    for side in (-1, 1):
        values = [objective(problem, log + side * step, beta) for step in (0.0, 0.1, 0.5, 2.0, 5.0)]
        assert (np.diff(values) >= -slack).all()


@given(problems(kinds=FULL), st.floats(0.05, 30.0))
def test_conditions_of_the_formula(problem: Problem, beta: float) -> None:
    assume(problem.k < problem.population.n)
    point = calibrated(problem).at_beta(beta)
    n, m = problem.population.n, int(point.active)
    values = np.append(problem.spectrum.eigenvalues[: problem.k], 0.0)
    level = beta * float(point.noise_variance)
    assert n > m * beta
    assert level <= (values[m - 1] if m else np.inf) * (1 + 1e-12)
    assert level >= values[m] * (1 - 1e-12)
    assert_close(point.noise_variance, np.asarray(point.squared_error / n), "exact")


@given(problems(kinds=FULL), st.floats(0.05, 30.0))
def test_points_agree_with_the_fixed_variance_frontier(problem: Problem, beta: float) -> None:
    assume(problem.k < problem.population.n)
    point = calibrated(problem).at_beta(beta)
    fixed = lv.Frontier(
        problem.spectrum, latent_dim=problem.k, noise_variance=float(point.noise_variance)
    ).at_beta(beta)
    scale = 1 + abs(float(fixed.distortion)) + float(fixed.rate)
    assert_close(point.distortion, fixed.distortion, scale=scale)
    assert_close(point.rate, fixed.rate, scale=scale)


@given(problems(kinds=FULL), st.floats(0.01, 8.0))
def test_rate_queries_and_beta_queries_meet(problem: Problem, rate: float) -> None:
    assume(problem.k < problem.population.n)
    curve = calibrated(problem)
    by_rate = curve.at_rate(rate)
    by_level = curve.at_water_level(by_rate.water_level)
    assert_close(by_level.rate, np.asarray(rate), scale=1 + rate)
    # β as a function of τ is n τ/ε; its condition number is that of n − mβ.
    condition = problem.population.n / (problem.population.n - float(by_rate.active * by_rate.beta))
    assume(condition < 1e6)
    again = curve.at_beta(float(by_rate.beta))
    assert_close(again.rate, np.asarray(rate), scale=1 + rate, condition=condition)


@given(problems(kinds=FULL))
def test_slope_is_minus_beta(problem: Problem) -> None:
    curve = calibrated(problem)
    points = curve.at_rate(np.linspace(0.0, 6.0, 40))
    width = np.diff(points.rate)
    chords = -np.diff(points.distortion) / width
    slack = tolerance("exact") * (1 + np.abs(points.distortion).max()) / width.min()
    assert (chords <= points.beta[:-1] + slack).all()
    assert (chords >= points.beta[1:] - slack).all()


@given(problems(kinds=FULL))
def test_segments_tile_the_curve(problem: Problem) -> None:
    curve = calibrated(problem)
    segments = curve.segments
    assert segments[0].rate_low == 0.0
    assert segments[-1].rate_high == np.inf
    for left, right in pairwise(segments):
        assert left.rate_high == right.rate_low
        assert left.beta_low >= right.beta_high * (1 - 1e-12)
    for segment in segments:
        assert segment.beta_low <= segment.beta_high
        # The slope never exceeds that of a straight segment: variance outside flattens it.
        assert segment.beta_high <= segment.straight_beta * (1 + 1e-12)
        middle = segment.rate_low + min(1.0, (segment.rate_high - segment.rate_low) / 2)
        point = curve.at_rate(middle)
        outside = problem.spectrum.tail_variance(segment.active)
        level = segment.active * float(point.water_level)
        share = outside / (level + outside)
        if int(point.active) == segment.active:
            assert_close(point.beta, np.asarray(segment.straight_beta * (1 - share)), scale=1.0
                         * problem.population.n)  # fmt: skip


def test_the_straight_segment_without_outside_variance() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([4.0, 2.0, 0.0, 0.0, 0.0])
    curve = CalibratedFrontier(spectrum, latent_dim=2)
    last = curve.segments[-1]
    assert (last.beta_low, last.beta_high) == (2.5, 2.5)
    points = curve.at_rate(np.linspace(last.rate_low, 30.0, 50))
    chords = -np.diff(points.distortion) / np.diff(points.rate)
    assert_close(chords, np.full(49, 2.5))
    assert_close(points.beta, np.full(50, 2.5))
    # A curve of fixed variance bends there by a factor of e^(2·width/m) instead.
    fixed = lv.Frontier(spectrum, latent_dim=2, noise_variance=0.5).at_rate(points.rate)
    assert fixed.beta[0] / fixed.beta[-1] > 1e6


def test_a_small_tail_makes_it_nearly_straight() -> None:
    for tail in (1e-2, 1e-4, 1e-6):
        spectrum = lv.Spectrum.from_eigenvalues([4.0, 2.0, tail, tail, tail])
        points = CalibratedFrontier(spectrum, latent_dim=2).at_water_level([2.0, 1.0, 0.5])
        assert (np.abs(points.beta / 2.5 - 1) <= 3 * tail / (2 * 0.5)).all()


@pytest.mark.parametrize("k", [1, 3, 5])
def test_beta_one_is_the_maximum_likelihood_of_probabilistic_pca(k: int) -> None:
    rng = np.random.default_rng(5)
    samples = rng.standard_normal((400, 6)) @ rng.standard_normal((6, 6))
    ours = calibrated_noise_variance(lv.Spectrum.from_samples(samples), 1.0, latent_dim=k)
    theirs = PCA(k).fit(samples).noise_variance_ * 399 / 400  # they divide by N − 1
    assert ours == pytest.approx(theirs, rel=1e-10)


def test_unbounded_below_exactly_under_the_threshold() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([4.0, 2.0, 1.0, 0.0])
    limit = 4 / 3
    with pytest.raises(UnboundedObjectiveError, match=r"got 1\.33333.* expected β >= n/r"):
        calibrated_noise_variance(spectrum, np.nextafter(limit, 0), latent_dim=3)
    with pytest.warns(NonUniqueOptimumWarning, match="every noise variance up to"):
        at = calibrated_noise_variance(spectrum, limit, latent_dim=3)
    assert at == pytest.approx(1.0 / limit)
    above = calibrated_noise_variance(spectrum, np.nextafter(limit, 2), latent_dim=3)
    assert above == pytest.approx(1.0 / limit)
    # Constant on (0, λ_r/β] at the limit, falling without end below it.
    for factor in (1.0, 0.1, 1e-3):
        curve = lv.Frontier(spectrum, latent_dim=3, noise_variance=at * factor)
        assert float(curve.at_beta(limit).objective) == pytest.approx(
            float(lv.Frontier(spectrum, latent_dim=3, noise_variance=at).at_beta(limit).objective)
        )
    falling = [
        float(lv.Frontier(spectrum, latent_dim=3, noise_variance=v).at_beta(1.2).objective)
        for v in (1e-2, 1e-4, 1e-6)
    ]
    assert falling[0] - 0.1 > falling[1] > falling[2] + 0.1


def test_collapse_at_n_times_the_leading_share() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([4.0, 2.0, 1.0, 1.0])
    curve = CalibratedFrontier(spectrum, latent_dim=2)
    assert curve.critical_betas[0] == 4 * 4.0 / 8.0
    assert int(curve.at_beta(2.0).active) == 0
    assert int(curve.at_beta(np.nextafter(2.0, 0)).active) == 1
    assert float(curve.at_beta(7.0).noise_variance) == 2.0


def test_arrays_keep_their_shape() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([4.0, 2.0, 1.0])
    betas = np.array([[0.5, 1.0, 2.0], [3.0, 0.1, 9.0]])
    values = calibrated_noise_variance(spectrum, betas, latent_dim=2)
    assert values.shape == (2, 3)
    assert values[0, 1] == calibrated_noise_variance(spectrum, 1.0, latent_dim=2)
    assert CalibratedFrontier(spectrum, latent_dim=2).at_beta(betas).rate.shape == (2, 3)
    assert CalibratedFrontier(spectrum, latent_dim=2).latent_dim == 2


def test_data_without_variance() -> None:
    with pytest.raises(UnboundedObjectiveError, match="data without variance"):
        CalibratedFrontier(lv.Spectrum.from_eigenvalues([0.0, 0.0]), latent_dim=1)


@pytest.mark.parametrize("beta", [0.0, -1.0, np.nan, np.inf])
def test_bad_beta(beta: float) -> None:
    spectrum = lv.Spectrum.from_eigenvalues([2.0, 1.0])
    with pytest.raises(InputError, match=r"beta: got .* expected finite numbers > 0"):
        calibrated_noise_variance(spectrum, beta, latent_dim=1)
    with pytest.raises(InputError, match="water_level: got"):
        CalibratedFrontier(spectrum, latent_dim=1).at_water_level(beta)
