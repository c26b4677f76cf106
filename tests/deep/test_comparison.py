"""Learned curves against references and one another; intervals over seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")

import linvae as lv
from deep.comparison.curves import (
    compare_curve,
    compare_rates,
    distortion_at_rate,
    normalise,
)
from deep.comparison.reference import linear_reference, shannon_reference
from deep.comparison.statistics import over_seeds
from deep.errors import InputError
from deep.evaluation.curve import LearnedCurve
from tests.tolerances import assert_close, tolerance

VALUES = np.array([5.0, 2.0, 1.2, 0.3, 0.1])
VARIANCE = 0.2
BETAS = np.geomspace(0.05, 20.0, 10)
SPECTRUM = lv.Spectrum.from_eigenvalues(VALUES)


def measured(rate, distortion, betas=BETAS, error=0.01, count=500):
    """A curve with the given averages; standard errors are all `error`."""
    errors = np.full(len(betas), error)
    n = SPECTRUM.n_features
    constant = 0.5 * n * math.log(2 * math.pi * VARIANCE)
    return LearnedCurve(
        betas=betas,
        rate=rate,
        distortion=distortion,
        squared_error=2 * VARIANCE * (distortion - constant),
        objective=distortion + betas * rate,
        rate_se=errors,
        distortion_se=errors,
        squared_error_se=errors,
        objective_se=errors,
        noise_variance=None,
        n_samples=count,
        n_features=n,
    )


def optimal(latent_dim=5, betas=BETAS):
    points = lv.Frontier(SPECTRUM, latent_dim=latent_dim, noise_variance=VARIANCE).at_beta(betas)
    return measured(np.array(points.rate), np.array(points.distortion), betas)


LINEAR = linear_reference(SPECTRUM, latent_dim=3, noise_variance=VARIANCE)
SHANNON = shannon_reference(SPECTRUM, noise_variance=VARIANCE)


def test_the_optimum_has_no_excess():
    for curve, reference in ((optimal(3), LINEAR), (optimal(5), SHANNON)):
        found = compare_curve(curve, reference)
        assert_close(found.excess_nats, np.zeros(10), scale=np.abs(found.objective))
        assert_close(found.normalised_excess, np.zeros(10), scale=np.abs(found.objective))


def test_the_normalisation_is_that_of_the_frontier():
    """Any rates and distortions; the frontier's own method is the other route."""
    rng = np.random.default_rng(0)
    best = optimal(3)
    curve = measured(best.rate + rng.random(10), best.distortion + rng.random(10))
    found = compare_curve(curve, LINEAR)
    gap = LINEAR.frontier.normalised_gap(curve.rate, curve.distortion, BETAS)
    assert_close(found.normalised_excess, gap.value)
    assert (found.in_nats == gap.in_nats).all()
    assert 0 < found.in_nats.sum() < 10, "both kinds are tested"
    assert_close(found.collapsed_loss, gap.collapsed_loss)
    assert_close(found.excess_nats, LINEAR.frontier.gap(curve.rate, curve.distortion, BETAS))


def test_a_collapsed_model_loses_everything():
    constant = 0.5 * 5 * math.log(2 * math.pi * VARIANCE) + VALUES.sum() / (2 * VARIANCE)
    found = compare_curve(measured(np.zeros(10), np.full(10, constant)), LINEAR)
    counted = ~found.in_nats
    assert_close(found.normalised_excess[counted], np.ones(counted.sum()))
    assert_close(found.excess_nats, found.collapsed_loss, scale=constant)


def test_standard_errors_scale_with_the_excess():
    found = compare_curve(optimal(3), LINEAR)
    assert_close(found.excess_nats_se, np.full(10, 0.01))
    want = np.where(found.in_nats, 0.01, 0.01 / found.collapsed_loss)
    assert_close(found.normalised_excess_se, want)
    assert found.n_samples == 500


def test_a_sampled_excess_lies_within_its_standard_errors():
    """A linear optimum evaluated on 4000 draws of the source, seed 1, against the population."""
    rng = np.random.default_rng(1)
    beta, count = 0.4, 4000
    vae = lv.response(SPECTRUM, beta, latent_dim=5, noise_variance=VARIANCE)
    x = rng.standard_normal((count, 5)) * np.sqrt(VALUES)
    mean = x @ vae.encoder.T
    z = mean + np.sqrt(vae.posterior_variance) * rng.standard_normal((count, 5))
    error = ((x - z @ vae.decoder.T) ** 2).sum(1)
    c = vae.posterior_variance
    rate = 0.5 * (mean**2 + c - 1 - np.log(c)).sum(1)
    constant = 0.5 * 5 * math.log(2 * math.pi * VARIANCE)
    distortion = constant + error / (2 * VARIANCE)
    objective = distortion + beta * rate
    curve = measured(
        np.array([rate.mean()]),
        np.array([distortion.mean()]),
        betas=np.array([beta]),
        error=objective.std() / math.sqrt(count),
    )
    found = compare_curve(curve, SHANNON)
    reach = tolerance("monte_carlo") * found.excess_nats_se
    assert (np.abs(found.excess_nats) <= reach).all()
    assert reach < 0.5


def test_references_say_what_they_bound():
    assert (LINEAR.bounds, SHANNON.bounds) == ("linear VAEs", "every VAE")
    assert "nonlinear model may legally lie below" in LINEAR.statement
    assert "every VAE" in SHANNON.statement
    points = LINEAR.at_beta(BETAS)
    assert (points.slack == 0).all()
    assert_close(points.objective, points.distortion + BETAS * points.rate)
    assert (SHANNON.at_beta(BETAS).objective <= points.objective + 1e-12).all()


def test_beyond_the_last_critical_beta_the_objective_is_the_collapsed_one():
    """The frontier's own points there carry the critical β; a reference keeps the one asked for."""
    betas = np.array([30.0, 300.0])
    points = LINEAR.at_beta(betas)
    assert (points.betas == betas).all()
    assert (points.rate == 0).all()
    assert_close(points.objective, points.distortion)
    assert (LINEAR.collapsed_loss(betas) == 0).all()


def test_normalise_at_the_border():
    value, in_nats = normalise(np.array([0.5, 0.5]), np.array([1.0, 2.0]))
    assert value.tolist() == [0.5, 0.25]
    assert in_nats.tolist() == [True, False]


@pytest.mark.parametrize("name", ["rate", "objective_se"])
def test_a_curve_that_is_not_finite_is_refused(name):
    curve = optimal(3)
    values = np.array(getattr(curve, name))
    values[3] = np.nan
    object.__setattr__(curve, name, values)
    with pytest.raises(InputError, match=name):
        compare_curve(curve, LINEAR)


# --- at equal rate -------------------------------------------------------------------------------


def test_distortion_at_equal_rate_against_the_exact_curve():
    """Ten points over 2.6 decades: the cubic stays within 2 % of the fall of the distortion."""
    curve = optimal(5)
    inside = np.linspace(curve.rate.min(), curve.rate.max(), 50)
    exact = SHANNON.frontier.at_rate(inside).distortion
    got = distortion_at_rate(curve, inside)
    assert np.abs(got - exact).max() <= 0.02 * np.ptp(curve.distortion)
    dense = optimal(5, np.geomspace(0.05, 20, 300))
    assert np.abs(distortion_at_rate(dense, inside) - exact).max() <= 1e-3
    assert_close(distortion_at_rate(curve, curve.rate), curve.distortion)


def test_nothing_is_extrapolated():
    curve = optimal(5, np.geomspace(0.05, 2, 8))
    low, high = curve.rate.min(), curve.rate.max()
    assert np.isnan(distortion_at_rate(curve, [low - 1e-3, high + 1e-3, -1.0])).all()
    assert np.isfinite(distortion_at_rate(curve, [low, high])).all()


def test_collapsed_points_share_one_rate():
    """Several points at rate 0 are one: the best of them counts, in any order."""
    rate, distortion = np.array([0.0, 2.0, 0.0, 1.0, 0.0]), np.array([9.0, 2.0, 7.0, 4.0, 8.0])
    curve = measured(rate, distortion, betas=np.geomspace(1, 9, 5))
    assert distortion_at_rate(curve, [0.0, 1.0, 2.0]).tolist() == [7.0, 4.0, 2.0]


def test_a_curve_raised_by_one_nat_loses_one_nat():
    best = optimal(5)
    worse = measured(best.rate, best.distortion + 1.0)
    found = compare_rates(worse, best)
    assert_close(found.difference, np.ones(found.rates.size), scale=np.abs(found.first))
    assert_close(found.mean_difference, 1.0, scale=100)
    assert_close(found.area, np.ptp(best.rate), scale=100 * np.ptp(best.rate))
    assert found.interval == (best.rate.min(), best.rate.max())
    back = compare_rates(best, worse)
    assert_close(back.area, -found.area)


def test_the_area_is_that_of_the_exact_curves():
    """k = 3 against k = 5 where both are dense: the closed-form integrals differ by the area."""
    betas = np.geomspace(0.05, 30, 400)
    three, five = optimal(3, betas), optimal(5, betas)
    found = compare_rates(three, five)
    low, high = found.interval
    assert (low, high) == (0.0, min(three.rate.max(), five.rate.max()))
    exact = LINEAR.frontier.area(rates=(low, high)) - SHANNON.frontier.area(rates=(low, high))
    assert exact > 0.1
    assert found.area == pytest.approx(exact, rel=1e-3)


def test_curves_without_a_common_rate():
    low, high = optimal(5, np.array([3.0, 8.0])), optimal(5, np.array([0.05, 0.1]))
    found = compare_rates(low, high)
    assert found.rates.size == 0
    assert math.isnan(found.area)
    assert all(map(math.isnan, found.interval))
    single = optimal(5, np.array([1.0]))
    assert math.isnan(compare_rates(single, optimal(5)).area)
    assert np.isnan(distortion_at_rate(single, single.rate)).all()


def test_only_common_rates_are_compared():
    found = compare_rates(optimal(5), optimal(5, np.geomspace(0.2, 2, 9)), [0.0, 1.0, 3.0, 50.0])
    low, high = found.interval
    assert ((found.rates >= low) & (found.rates <= high)).all()
    assert found.rates.tolist() == [3.0]


# --- over seeds ----------------------------------------------------------------------------------


def test_one_seed_has_no_interval():
    found = over_seeds([[1.0, 2.0]])
    assert found.mean.tolist() == [1, 2]
    assert (found.low, found.high, found.standard_error) == (None, None, None)


def test_the_interval_of_three_seeds_by_hand():
    """t(0.975; 2) = 4.302652730; s² of 1, 2, 6 is 7."""
    found = over_seeds([1.0, 2.0, 6.0])
    assert found.mean == 3
    assert_close(found.standard_error, math.sqrt(7 / 3))
    assert_close(found.high - found.mean, 4.302652730 * math.sqrt(7 / 3), "difference")
    assert_close(found.mean - found.low, found.high - found.mean)


def test_errors_of_common_samples_add_in_quadrature():
    """1, 2, 6 with errors 1, 2, 3: their mean stays 2, whatever the number of seeds; z = 1.96."""
    found = over_seeds([1.0, 2.0, 6.0], errors=[1.0, 2.0, 3.0])
    assert_close(found.standard_error, math.sqrt(7 / 3 + 4))
    reach = math.sqrt(4.302652730**2 * 7 / 3 + 1.959963985**2 * 4)
    assert_close(found.high - found.mean, reach, "difference")
    assert_close(found.mean - found.low, reach, "difference")
    one = over_seeds([[3.0]], errors=[[2.0]])
    assert one.standard_error == [2.0]
    assert_close(one.high - 3, np.array([1.959963985 * 2]), "difference")
    exact = over_seeds([[3.0]], errors=[[0.0]])
    assert (exact.standard_error, exact.low, exact.high) == ([0.0], None, None)
    with pytest.raises(InputError, match="errors"):
        over_seeds([1.0, 2.0], errors=[1.0])


def test_intervals_cover_as_often_as_they_say():
    """20 000 experiments of 4 normal seeds, seed 0; within five standard errors of 90 %."""
    draws = 3 + 2 * np.random.default_rng(0).standard_normal((4, 20_000))
    found = over_seeds(draws, confidence=0.9)
    covered = float(((found.low <= 3) & (found.high >= 3)).mean())
    assert abs(covered - 0.9) <= tolerance("monte_carlo") * math.sqrt(0.9 * 0.1 / 20_000)


@pytest.mark.parametrize(
    ("values", "confidence"), [([], 0.95), ([np.nan], 0.95), (3.0, 0.95), ([1.0], 1.0), ([1.0], 0)]
)
def test_values_that_say_nothing(values, confidence):
    with pytest.raises(InputError):
        over_seeds(values, confidence=confidence)
