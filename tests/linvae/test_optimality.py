"""The joint optimum against direct optimisation of the exact objective, and its gradient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linvae import Frontier, response
from linvae.testing import strategies
from linvae.testing.strategies import Parameters
from tests import oracles
from tests.tolerances import EPS, assert_close, tolerance

RESTARTS = 20


def _drawn_problem(seed):
    """n <= 6, k <= n; every fourth has ties, every fourth zeros; beta below the first critical."""
    rng = np.random.default_rng([7, seed])
    n = int(rng.integers(1, 7))
    k = int(rng.integers(1, n + 1))
    values = np.exp(rng.normal(0, 1.2, n))
    if seed % 4 == 1:
        values = np.sort(rng.choice(values, n))
    if seed % 4 == 2:
        values[rng.permutation(n)[: n // 2]] = 0.0
    population = strategies.Population(
        np.sort(values)[::-1],
        strategies.orthogonal_matrix(n, rng),
        rng.standard_normal(n),
    )
    s2 = float(np.exp(rng.normal(0, 0.7)))
    top = population.values[0] / s2
    return population, k, s2, float(top * np.exp(-rng.uniform(0.05, 4.0))), rng


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_twenty_restarts_never_beat_the_joint_optimum(seed):
    population, k, s2, beta, rng = _drawn_problem(seed)
    S, mu, spectrum = population.covariance, population.mean, population.spectrum
    best = Parameters.of(response(spectrum, beta, latent_dim=k, noise_variance=s2))
    constant = 0.5 * population.n * np.log(2 * np.pi * s2)
    claimed = oracles.trace_squared_error(S, mu, best) / (2 * s2)
    claimed += beta * oracles.trace_rate(S, mu, best)
    loss = population.values.sum() / (2 * s2) - claimed
    assert loss > 1e-4 * claimed, "the problem would test nothing"
    assert_close(
        Frontier(spectrum, latent_dim=k, noise_variance=s2).collapsed_loss(beta),
        loss,
        scale=claimed,
    )
    assert_close(
        Frontier(spectrum, latent_dim=k, noise_variance=s2).at_beta(beta).objective - constant,
        claimed,
    )
    # Dimensionless gradient, in nats: E in units of 1/root, D in units of root.
    slopes = oracles.gradient(S, mu, best, beta)
    root = np.sqrt(population.values[0])
    for name, unit in {
        "E": 1 / root,
        "D": root,
        "log_c": 1,
        "me": root,
        "md": root,
        "h": 1,
    }.items():
        assert np.abs(slopes[name]).max() * unit <= tolerance("optimisation") * loss, name
    found = oracles.direct_optimum(S, k, s2, beta, RESTARTS, rng)
    assert len(found.values) == RESTARTS
    assert found.value >= claimed - tolerance("optimisation") * loss
    # Otherwise a broken optimiser would pass too.
    assert found.value <= claimed + 1e-6 * loss


@given(strategies.problems(max_n=6), st.data())
def test_gradient_vanishes_at_the_joint_optimum(problem, data):
    beta = data.draw(strategies.betas(problem.critical))
    p = Parameters.of(response(problem.spectrum, beta, **problem.options))
    population = problem.population
    slopes = oracles.gradient(population.covariance, population.mean, p, beta)
    # Each slope is a difference of terms of these sizes; what is left of them is rounding.
    S, E, D = population.values[0], np.abs(p.E).max(), np.abs(p.D).max()
    shift = np.abs(population.mean).max()
    sizes = {
        "E": D * S / problem.s2 + beta * E * S,
        "D": (S * E * (1 + D * E) + D) / problem.s2,
        "log_c": D**2 / problem.s2 + beta,
        "me": E * beta * E * shift,
        "md": shift / problem.s2,
        "h": beta * E * shift,
    }
    for name, size in sizes.items():
        worst = np.abs(slopes[name]).max()
        assert worst <= tolerance("gradient", size=population.n) * size, name


@given(strategies.populations(max_n=5, kinds=["random", "zeros", "tied"]), st.data())
def test_the_oracle_gradient_is_the_derivative_of_the_oracle_objective(population, data):
    k = data.draw(st.integers(1, population.n))
    scale = float(population.values[0])
    p = data.draw(strategies.parameters(population.n, k, scale=scale))
    beta = data.draw(st.floats(0.1, 10.0))
    rng = data.draw(strategies.generators())
    S, mu = population.covariance, population.mean
    slopes = oracles.gradient(S, mu, p, beta)
    fields = {"E": "E", "log_c": "c", "D": "D", "me": "me", "md": "md", "h": "h"}
    for name, slope in slopes.items():
        here = getattr(p, fields[name])
        size = 1.0 if name == "log_c" else max(np.abs(here).max(), 1e-3 * np.sqrt(scale))
        direction = rng.standard_normal(here.shape) * size
        step = 1e-5

        def moved(t, name=name, here=here, direction=direction):
            value = here * np.exp(t * direction) if name == "log_c" else here + t * direction
            return oracles.objective(S, mu, replace(p, **{fields[name]: value}), beta)

        numeric = (moved(step) - moved(-step)) / (2 * step)
        magnitude = abs(oracles.objective(S, mu, p, beta)) + abs(numeric)
        magnitude += np.abs(slope).max() * np.abs(direction).max()
        assert_close(numeric, np.vdot(slope, direction), "difference", scale=magnitude)


@given(strategies.populations(max_n=6), st.data())
def test_sigma_points_and_trace_formulas_agree(population, data):
    k = data.draw(st.integers(1, population.n))
    p = data.draw(strategies.parameters(population.n, k, scale=float(population.values[0])))
    S, mu = population.covariance, population.mean
    reading = np.abs(p.E).sum() ** 2 * (population.values[0] + (mu**2).sum() + (p.me**2).sum())
    size = 1 + reading + (p.h**2).sum() + np.abs(p.c).sum()
    assert_close(oracles.rate(S, mu, p), oracles.trace_rate(S, mu, p), scale=size)
    spread = np.abs(p.D).sum() ** 2 * size + np.trace(S) + (mu**2).sum() + (p.md**2).sum()
    assert_close(
        oracles.squared_error(S, mu, p), oracles.trace_squared_error(S, mu, p), scale=spread
    )


@given(strategies.problems(max_n=5), st.data())
def test_frontier_equals_brute_force_water_filling(problem, data):
    beta = data.draw(strategies.betas(problem.critical))
    point = Frontier(problem.spectrum, **problem.options).at_beta(beta)
    constant = 0.5 * problem.population.n * np.log(2 * np.pi * problem.s2)
    want = oracles.water_fill_lagrangian(problem.population.values, problem.k, problem.s2, beta)
    size = problem.population.values.sum() / problem.s2 + abs(constant) + beta
    assert_close(float(point.objective) - constant, want, scale=size)


@given(strategies.problems(max_n=6), st.floats(0.01, 20.0))
def test_error_at_a_rate_equals_a_bisection_for_the_water_level(problem, nats):
    point = Frontier(problem.spectrum, **problem.options).at_rate(nats)
    want = oracles.water_fill_rate(problem.population.values, problem.k, nats)
    assert_close(float(point.squared_error), want)


@given(strategies.problems(max_n=6), st.data())
def test_no_parameters_lie_below_the_frontier(problem, data):
    """Also near the optimum, where a wrong frontier would show."""
    n, k = problem.population.n, problem.k
    beta = data.draw(strategies.betas(problem.critical))
    scale = max(float(problem.population.values[0]), 1e-300)
    random = data.draw(strategies.parameters(n, k, scale=scale, noise_variance=problem.s2))
    best = Parameters.of(response(problem.spectrum, beta, **problem.options))
    share = 10.0 ** data.draw(st.floats(-8.0, 0.0))
    near = Parameters(
        best.E + share * random.E,
        best.c ** (1 - share) * random.c**share,
        best.D + share * random.D,
        problem.s2,
        best.me + share * random.me,
        best.md + share * random.md,
        share * random.h,
    )
    curve = Frontier(problem.spectrum, **problem.options)
    for p in (random, near):
        terms = p.vae.evaluate(problem.spectrum, beta)
        floor = float(curve.at_beta(beta).objective)
        rounding = 64 * n * EPS * (abs(floor) + abs(terms.objective) + abs(terms.distortion))
        constant = 0.5 * n * abs(np.log(2 * np.pi * problem.s2))
        assert terms.objective >= floor - rounding - 64 * EPS * constant
        assert curve.gap(terms.rate, terms.distortion, beta) >= -rounding - 64 * EPS * constant
