"""The curve, its inverse queries and its gaps, against 60-digit decimals and the definitions."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from linvae import Frontier, Spectrum, response
from linvae.errors import InputError, PartialSpectrumError, RangeError
from linvae.testing import strategies
from linvae.testing.strategies import Population
from tests import oracles
from tests.tolerances import EPS, assert_close, tolerance

ULPS = tolerance("ulps")


def _curve(problem):
    return Frontier(problem.spectrum, **problem.options)


def _exact(problem, beta):
    return oracles.exact_curve(problem.population.values, problem.k, problem.s2, float(beta))


def _off(got, want):
    """|got - want| with want exact."""
    return abs(float(Decimal(float(got)) - want))


extreme_problems = strategies.problems(max_n=8, extreme=True)


@given(extreme_problems, st.data())
def test_points_at_beta_are_right_to_a_few_ulps(problem, data):
    betas = data.draw(strategies.beta_arrays(problem.critical))
    points = _curve(problem).at_beta(betas)
    n, k = problem.population.n, problem.k
    for i, beta in enumerate(betas):
        want = _exact(problem, beta)
        # lambda / s2 is rounded once, which moves every active mode's rate by an ulp.
        assert _off(points.rate[i], want.rate) <= ULPS * (float(want.rate) + k)
        assert _off(points.squared_error[i], want.error) <= ULPS * n * float(want.error)
        size = abs(float(want.constant)) + n + float(want.error) / problem.s2
        assert _off(points.distortion[i], want.distortion) <= ULPS * n * size
        assert points.active[i] == np.count_nonzero(problem.critical > beta)
    assert np.array_equal(points.beta, betas)
    assert_close(points.water_level, betas * problem.s2, "rounding", scale=betas * problem.s2)
    assert_close(
        points.objective,
        points.distortion + betas * points.rate,
        "rounding",
        scale=np.abs(points.distortion) + betas * points.rate,
    )


@given(strategies.problems(max_n=8), st.data())
def test_evaluating_the_response_gives_the_curve(problem, data):
    """Two routes that share no code: parameters evaluated, and the closed form."""
    betas = data.draw(strategies.beta_arrays(problem.critical))
    points = _curve(problem).at_beta(betas)
    terms = response(problem.spectrum, betas, **problem.options).evaluate(problem.spectrum, betas)
    n = problem.population.n
    assert_close(terms.rate, points.rate, "rounding", scale=n + points.rate)
    size = problem.population.values.sum()
    assert_close(terms.squared_error, points.squared_error, "rounding", scale=size)
    nats = np.abs(points.distortion) + size / problem.s2 + betas * (n + points.rate)
    assert_close(terms.objective, points.objective, "rounding", scale=nats)


@given(extreme_problems, st.data())
def test_inverse_queries_have_a_backward_error_of_a_few_ulps(problem, data):
    """The beta returned solves the query for a value a few ulps from the one asked."""
    curve, k, n = _curve(problem), problem.k, problem.population.n
    beta = data.draw(strategies.betas(problem.critical))
    point = curve.at_beta(beta)
    active = int(point.active)

    rate = float(point.rate)
    back = curve.at_rate(rate)
    assert back.rate == rate
    # An ulp of beta moves the rate by m/2 ulps of 1.
    assert _off(rate, _exact(problem, back.beta).rate) <= ULPS * (rate + k)

    error = float(point.squared_error)
    assume(error > curve.floor)
    back = curve.at_squared_error(error)
    want = _exact(problem, back.beta)
    # The exact floor and the held one differ by the rounding of a sum of n terms.
    assert _off(error, want.error) <= ULPS * n * error
    assert_close(back.squared_error, error, "ulps", size=n)
    if active:
        assert _off(back.rate, want.rate) <= ULPS * (float(want.rate) + k)

    distortion = float(point.distortion)
    constant = abs(float(want.constant))
    try:
        back = curve.at_distortion(distortion)
    except RangeError:
        # Near the floor the constant can hide the rest: the query is then not above the floor.
        lowest = curve.distortion_of(curve.floor)
        assert distortion - lowest <= 8 * np.spacing(max(abs(distortion), constant))
        return
    want = _exact(problem, back.beta)
    # The error is what is left of the distortion after the constant: an ulp of either is the unit.
    unit = abs(distortion) + constant + error / problem.s2
    assert _off(distortion, want.distortion) <= ULPS * n * unit
    assert back.distortion == distortion


@given(strategies.problems(max_n=8), st.data())
def test_inverse_queries_on_and_beside_thresholds(problem, data):
    """At the curve's own breakpoints the queries lead back to the same segment's end."""
    curve = _curve(problem)
    alive = curve.critical_betas[curve.critical_betas > 0]
    points = curve.at_beta(alive)
    for ask, value in (
        (curve.at_rate, points.rate),
        (curve.at_squared_error, points.squared_error),
    ):
        for side in (-np.inf, None, np.inf):
            query = value if side is None else np.nextafter(value, side)
            if ask == curve.at_rate:
                query = np.maximum(query, 0.0)
            else:
                query = np.minimum(query, curve.at_beta(alive[0]).squared_error)
                query = query[query > curve.floor]
            if not query.size:
                continue
            got = ask(query)
            assert np.isfinite(got.beta).all()
            assert (got.beta > 0).all()
            assert (got.beta <= alive[0]).all()
            assert (got.rate >= 0).all()
            for beta, q in zip(got.beta, query, strict=True):
                want = _exact(problem, beta)
                size = problem.population.n
                if ask == curve.at_rate:
                    assert _off(q, want.rate) <= ULPS * (q + problem.k)
                else:
                    assert _off(q, want.error) <= ULPS * size * q


@given(extreme_problems, st.floats(0.0, 1.0), st.floats(1e-6, 300.0))
def test_inverse_queries_at_any_value(problem, share, nats):
    """Not only at images of beta; the two queries invert each other."""
    curve, n = _curve(problem), problem.population.n
    top = float(problem.population.values[0])
    # Stay where the water level is a normal number.
    assume(np.log(top) - 2 * nats > -650 and np.log(curve.critical_betas[0]) - 2 * nats > -650)
    point = curve.at_rate(nats)
    assert point.rate == nats
    assert _off(nats, _exact(problem, point.beta).rate) <= ULPS * (nats + problem.k)
    low, high = curve.floor, problem.spectrum.total_variance
    error = low + (high - low) * share
    assume(low < error <= high)
    point = curve.at_squared_error(error)
    assert 0 <= point.rate < np.inf
    # A subnormal beta has few digits of its own.
    if point.beta > 1e-300:
        assert _off(error, _exact(problem, point.beta).error) <= ULPS * n * error


@given(extreme_problems)
def test_rate_zero_and_full_variance_are_the_collapsed_end(problem):
    curve = _curve(problem)
    first = float(curve.critical_betas[0])
    for point in (
        curve.at_rate(0.0),
        curve.at_squared_error(problem.spectrum.total_variance),
        curve.at_rate(0),
    ):
        assert float(point.beta) == first
        assert float(point.rate) == 0.0
        assert int(point.active) == 0
        assert_close(float(point.squared_error), problem.spectrum.total_variance, "ulps")


@given(strategies.problems(max_n=8), strategies.generators())
def test_monotone_convex_and_of_slope_minus_beta(problem, rng):
    """Difference quotients lie between the betas of their ends: exact bounds, no finite steps."""
    curve = _curve(problem)
    top, last = curve.critical_betas[0], curve.critical_betas[curve.critical_betas > 0][-1]
    betas = np.exp(rng.uniform(np.log(last) - 3, np.log(top) + 0.2, 40))
    alive = curve.critical_betas[curve.critical_betas > 0]
    betas = np.concatenate(
        [betas, alive, np.nextafter(alive, 0), np.nextafter(alive, np.inf), alive * (1 + 1e-9)]
    )
    betas = np.unique(np.minimum(betas, top))
    points = curve.at_beta(betas)
    rate_slack = ULPS * (points.rate[:-1] + problem.k)
    assert (np.diff(points.rate) <= rate_slack).all()
    assert (np.diff(points.squared_error) >= -8 * EPS * points.squared_error[1:]).all()
    gained = -np.diff(points.rate)
    paid = np.diff(points.squared_error) / (2 * problem.s2)
    error_slack = ULPS * problem.population.n * points.squared_error[1:] / (2 * problem.s2)
    assert (paid >= betas[:-1] * (gained - rate_slack) - error_slack).all()
    assert (paid <= betas[1:] * (gained + rate_slack) + error_slack).all()


def test_the_slope_test_would_notice_a_wrong_beta():
    """Far apart points: the quotient lies strictly inside, and half of it strictly outside."""
    curve = Frontier(Spectrum.from_eigenvalues([4.0, 1.0]), latent_dim=2, noise_variance=0.5)
    a, b = 0.5, 0.6
    points = curve.at_beta([a, b])
    quotient = -np.diff(points.distortion)[0] / np.diff(points.rate)[0]
    assert a < quotient < b
    # Without the half in front of the logarithm, or without 1/(2 s2), it would be outside.
    assert not a < 2 * quotient < b
    assert not a < 0.5 * quotient < b


@given(extreme_problems)
def test_continuous_at_every_critical_beta(problem):
    curve = _curve(problem)
    alive = curve.critical_betas[curve.critical_betas > 0]
    here = curve.at_beta(alive)
    for side in (0.0, np.inf):
        there = curve.at_beta(np.nextafter(alive, side))
        size = 4 * ULPS * problem.k
        assert (np.abs(there.rate - here.rate) <= size * (1 + here.rate)).all()
        assert (np.abs(there.squared_error - here.squared_error) <= size * here.squared_error).all()
    below = curve.at_beta(np.nextafter(alive, 0.0))
    assert (here.active == [np.count_nonzero(curve.critical_betas > b) for b in alive]).all()
    assert (below.active == [np.count_nonzero(curve.critical_betas >= b) for b in alive]).all()


@given(strategies.problems(max_n=8), st.sampled_from([4.0**-200, 0.25, 4.0**220]), st.data())
def test_joint_scaling_of_covariance_and_noise_changes_no_bit(problem, factor, data):
    population = problem.population
    betas = data.draw(strategies.beta_arrays(problem.critical))
    scaled = Population(population.values * factor, population.vectors, population.mean)
    here = _curve(problem).at_beta(betas)
    there = Frontier(
        scaled.spectrum, latent_dim=problem.k, noise_variance=problem.s2 * factor
    ).at_beta(betas)
    assert np.array_equal(there.rate, here.rate)
    assert np.array_equal(there.squared_error, here.squared_error * factor)
    shift = 0.5 * population.n * np.log(factor)
    nats = np.abs(here.distortion) + abs(shift) + abs(_curve(problem).distortion_of(0.0))
    assert_close(there.distortion, here.distortion + shift, "rounding", scale=nats)


@given(strategies.problems(max_n=8), st.data())
def test_shannon_lies_below_and_touches_exactly_where_it_should(problem, data):
    """Equality iff the water level is at least lambda_{k+1}; the exact excess elsewhere."""
    population, k = problem.population, problem.k
    shannon = Frontier.shannon(problem.spectrum, noise_variance=problem.s2)
    curve = _curve(problem)
    betas = data.draw(strategies.beta_arrays(problem.critical))
    below, above = shannon.at_beta(betas), curve.at_beta(betas)
    lost = np.zeros(betas.size)
    for value in population.values[k:]:
        ratio = value / problem.s2 / betas
        alive = value / problem.s2 > betas
        safe = np.where(alive, ratio, 1.0)
        lost += np.where(alive, 0.5 * betas * (safe - 1 - np.log(safe)), 0.0)
    nats = np.abs(above.distortion) + population.values.sum() / problem.s2
    nats += betas * (population.n + below.rate) + abs(shannon.distortion_of(0.0))
    assert_close(above.objective - below.objective, lost, "rounding", scale=nats)
    touching = above.active == below.active
    assert_close(
        above.squared_error[touching],
        below.squared_error[touching],
        "rounding",
        scale=population.values.sum(),
    )
    # At equal rate, too.
    rates = above.rate
    deeper = shannon.at_rate(rates).squared_error
    slack = 64 * EPS * population.values.sum()
    assert (deeper <= above.squared_error + slack).all()


def test_kind_says_which_curve_it_is():
    spectrum = Spectrum.from_eigenvalues([3.0, 1.0, 0.0])
    kinds = [Frontier(spectrum, latent_dim=k, noise_variance=1.0).kind for k in (1, 2, 3)]
    assert kinds == ["rank-k", "shannon", "shannon"]
    assert Frontier.shannon(spectrum, noise_variance=1.0).kind == "shannon"
    leading = Population(np.array([3.0, 1.0, 0.5]), np.eye(3), np.zeros(3)).leading(2)
    assert Frontier(leading, latent_dim=2, noise_variance=1.0).kind == "rank-k"
    with pytest.raises(PartialSpectrumError, match="Shannon curve"):
        Frontier.shannon(leading, noise_variance=1.0)
    with pytest.raises(PartialSpectrumError, match=r"got 2 of 3 eigenpairs; expected .*3 eigenv"):
        Frontier(leading, latent_dim=3, noise_variance=1.0)


@given(strategies.problems(min_n=2, max_n=8), st.data())
def test_a_leading_spectrum_gives_the_same_curve(problem, data):
    betas = data.draw(strategies.beta_arrays(problem.critical))
    leading = problem.population.leading(problem.k)
    here, there = (
        Frontier(s, **problem.options).at_beta(betas) for s in (problem.spectrum, leading)
    )
    assert_close(there.rate, here.rate, "ulps", scale=problem.k + here.rate)
    size = problem.population.values.sum()
    assert_close(there.squared_error, here.squared_error, "ulps", scale=size, size=8)


@given(strategies.problems(max_n=6), st.data())
def test_area_equals_adaptive_quadrature(problem, data):
    from scipy.integrate import quad

    curve = _curve(problem)
    low, high = sorted(data.draw(st.lists(st.floats(0.0, 30.0), min_size=2, max_size=2)))
    breaks = curve.at_beta(curve.critical_betas[curve.critical_betas > 0]).rate
    edges = np.concatenate([[low], np.sort(breaks[(breaks > low) & (breaks < high)]), [high]])
    want = 0.0
    for a, b in pairwise(edges):
        want += quad(lambda r: float(curve.at_rate(r).distortion), a, b, epsabs=0, epsrel=1e-11)[0]
    ends = curve.at_rate([low, high]).distortion
    size = (np.abs(ends).max() + abs(curve.distortion_of(0.0))) * (high - low)
    assert_close(curve.area(rates=(low, high)), want, "quadrature", scale=size + 1e-300)


@given(strategies.problems(max_n=8), st.data())
def test_area_adds_up_and_its_two_ways_of_giving_limits_agree(problem, data):
    curve = _curve(problem)
    betas = np.sort(data.draw(strategies.beta_arrays(problem.critical, size=3)))
    rates = curve.at_beta(betas).rate
    whole = curve.area(betas=(betas[0], betas[2]))
    size = (np.abs(curve.at_beta(betas).distortion).max() + abs(curve.distortion_of(0.0))) * (
        1 + rates[0]
    )
    parts = curve.area(betas=(betas[0], betas[1])) + curve.area(betas=(betas[1], betas[2]))
    assert_close(parts, whole, "rounding", scale=size)
    assert_close(curve.area(rates=(rates[2], rates[0])), whole, "rounding", scale=size)


def test_area_refuses_unclear_limits():
    curve = Frontier(Spectrum.from_eigenvalues([2.0, 1.0]), latent_dim=1, noise_variance=1.0)
    with pytest.raises(InputError, match="area: got both or neither"):
        curve.area()
    with pytest.raises(InputError, match="area: got both or neither"):
        curve.area(rates=(0, 1), betas=(1, 2))
    with pytest.raises(InputError, match="expected the lower limit first"):
        curve.area(rates=(2.0, 1.0))
    with pytest.raises(RangeError, match=r"rate: got -1.0; expected >= 0"):
        curve.area(rates=(-1.0, 1.0))


# Gaps


@given(strategies.problems(max_n=8), st.data())
def test_gap_of_optimum_and_of_a_collapsed_model(problem, data):
    curve = _curve(problem)
    betas = data.draw(strategies.beta_arrays(problem.critical))
    points = curve.at_beta(betas)
    nats = np.abs(points.distortion) + problem.population.values.sum() / problem.s2
    nats += abs(curve.distortion_of(0.0)) + betas * (points.rate + problem.k)
    assert np.array_equal(curve.gap(points.rate, points.distortion, betas), np.zeros(betas.size))
    collapsed = curve.distortion_of(problem.spectrum.total_variance)
    loss = curve.collapsed_loss(betas)
    assert (loss >= 0).all()
    assert_close(curve.gap(np.zeros(6), np.full(6, collapsed), betas), loss, "rounding", scale=nats)
    # By hand: sum over active modes of (beta/2) (r - 1 - log r), r = lambda / tau.
    ratio = problem.critical[:, None] / betas
    safe = np.maximum(ratio, 1.0)
    want = (0.5 * betas * (safe - 1 - np.log(safe))).sum(axis=0)
    assert_close(loss, want, "rounding", scale=nats)
    got = curve.normalised_gap(np.zeros(6), np.full(6, collapsed), betas)
    assert np.array_equal(got.in_nats, loss <= 1.0)
    assert np.array_equal(got.collapsed_loss, loss)
    expected = np.where(loss <= 1.0, loss, 1.0)
    assert_close(
        got.value, expected, "rounding", scale=nats / np.where(loss <= 1, 1.0, loss) + 1e-300
    )


def test_gap_semantics_by_hand():
    """One mode, lambda = 8, s2 = 1: a collapsed model loses (8 - b - b log(8/b)) / 2 nats."""
    curve = Frontier(Spectrum.from_eigenvalues([8.0]), latent_dim=1, noise_variance=1.0)
    collapsed = 0.5 * np.log(2 * np.pi) + 4.0
    for beta, in_nats in ((1.0, False), (7.0, True), (9.0, True)):
        b = min(beta, 8.0)
        loss = 0.5 * (8 - b - b * np.log(8 / b))
        got = curve.normalised_gap(0.0, collapsed, beta)
        assert isinstance(got.value, float)
        assert got.in_nats is in_nats
        assert_close(got.collapsed_loss, loss, scale=1)
        assert_close(got.value, loss if in_nats else 1.0, scale=1)
        half = curve.normalised_gap(0.5, collapsed, beta).value
        assert_close(half - got.value, 0.5 * beta / (1.0 if in_nats else loss), scale=1)
    best = curve.at_beta(1.0)
    assert curve.normalised_gap(best.rate, best.distortion, 1.0).value == 0.0
    assert curve.gap(best.rate, best.distortion - 0.25, 1.0) == -0.25  # legal, not clipped
