"""Attempts to beat the curve by optimisation: every one must end in vain.

Each attack also has to arrive where it claims to be beaten, so that a feeble optimiser fails.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from linvae import Frontier
from linvae.testing import strategies
from linvae.testing.strategies import Parameters
from tests import oracles
from tests.linvae.attacks import constant, drawn_problem, polished
from tests.tolerances import EPS, assert_close, tolerance

SEEDS = range(4)


# The claims slope and inverse


@settings(deadline=None)
@given(strategies.problems(max_n=6, kinds=strategies.KINDS[:5]), st.data())
def test_every_tangent_touches_at_its_own_beta(problem, data):
    """Minimise 𝒟(ℛ) + bℛ along the curve by a search over rates: it ends at the point at b."""
    curve = Frontier(problem.spectrum, **problem.options)
    b = data.draw(strategies.betas(problem.critical))
    point = curve.at_beta(b)

    def attack(rate):
        return float(curve.at_rate(rate).distortion + b * rate)

    top = 2 * float(point.rate) + 3
    found = minimize_scalar(attack, bounds=(0, top), method="bounded", options={"xatol": 1e-10})
    size = abs(float(point.distortion)) + b * top + abs(constant(problem))
    assert found.fun >= float(point.objective) - 64 * EPS * size
    # Reached, from either side of a minimum that is flat to second order.
    reach = min(found.fun, attack(0.0))
    assert reach <= float(point.objective) + 1e-9 * size


@pytest.mark.parametrize("seed", SEEDS)
def test_no_allocation_of_errors_needs_less_rate(seed):
    """Errors per mode chosen freely, their sum given: none has a smaller rate than the query."""
    problem, _, rng = drawn_problem(seed, n=5, k=4)
    values, k = problem.population.values, problem.k
    curve = Frontier(problem.spectrum, **problem.options)
    for share in (0.1, 0.4, 0.9):
        error = curve.floor + share * (problem.spectrum.total_variance - curve.floor)
        budget = error - values[k:].sum()
        claimed = float(curve.at_squared_error(error).rate)

        def rate(errors):
            return 0.5 * float(np.log(values[:k] / errors).sum())

        def slopes(errors):
            return -0.5 / errors

        for _ in range(3):
            start = values[:k] * rng.uniform(0.2, 1, k)
            found = minimize(
                rate,
                start * min(1, budget / start.sum()),
                jac=slopes,
                method="SLSQP",
                bounds=[(1e-9, v) for v in values[:k]],
                constraints={
                    "type": "ineq",
                    "fun": lambda errors, budget=budget: budget - errors.sum(),
                    "jac": lambda errors: -np.ones_like(errors),
                },
                options={"ftol": 1e-15, "maxiter": 500},
            )
            spent = budget - found.x.sum()
            assert found.fun >= claimed - 1e-9 - abs(min(spent, 0)) / found.x.min()
            assert found.fun <= claimed + 1e-6
        # And the other way round: the query by that rate gives the error back.
        assert_close(float(curve.at_rate(claimed).squared_error), error)


# The claim gap


@pytest.mark.parametrize("seed", SEEDS)
def test_descent_on_the_gap_ends_at_zero(seed):
    """The gap of what a model achieves, minimised over the model: from the collapsed loss to 0."""
    problem, beta, rng = drawn_problem(seed, n=3, k=2)
    S, mu, n, k = problem.population.covariance, problem.population.mean, 3, 2
    curve = Frontier(problem.spectrum, **problem.options)

    def model(theta):
        E, D = theta[: n * k].reshape(k, n), theta[n * k : 2 * n * k].reshape(n, k)
        return Parameters(E, np.exp(theta[2 * n * k :]), D, problem.s2, mu, mu, np.zeros(k))

    def attack(theta):
        terms = model(theta).vae.evaluate(problem.spectrum, beta)
        return float(curve.normalised_gap(terms.rate, terms.distortion, beta).value)

    def slopes(theta):
        parts = oracles.gradient(S, mu, model(theta), beta)
        return np.concatenate([parts[name].ravel() for name in ("E", "D", "log_c")]) / unit

    still = np.zeros(2 * n * k + k)
    loss = curve.collapsed_loss(beta)
    unit = loss if loss > 1 else 1.0
    assert_close(attack(still), loss / unit, scale=1 + abs(constant(problem)))
    starts = (rng.standard_normal(still.size) for _ in range(2))
    found = min((polished(attack, slopes, start) for start in starts), key=lambda r: r.fun)
    assert abs(found.fun) <= tolerance("optimisation") * (1 + abs(constant(problem))) * 10


# The claim shannon


@pytest.mark.parametrize("seed", SEEDS)
def test_no_gaussian_channel_beats_the_shannon_curve(seed):
    """Any matrix A and any noise covariance in x̂ = Ax + w, information by log determinants."""
    problem, _, rng = drawn_problem(seed, n=3, k=2)
    values, s2, n = problem.population.values, problem.s2, 3
    beta = float(values[1] / s2 * rng.uniform(0.3, 2.0))
    S = problem.population.covariance

    def value_and_slopes(theta):
        A, lower = theta[: n * n].reshape(n, n), np.zeros((n, n))
        lower[np.tril_indices(n)] = theta[n * n :]
        noise = lower @ lower.T + 1e-6 * np.eye(n)
        missed, heard = np.eye(n) - A, A @ S @ A.T + noise
        nats = 0.5 * (np.linalg.slogdet(heard)[1] - np.linalg.slogdet(noise)[1])
        error = np.trace(missed @ S @ missed.T) + np.trace(noise)
        inverse = np.linalg.inv(heard)
        to_a = -missed @ S / s2 + beta * inverse @ A @ S
        to_noise = np.eye(n) / s2 + beta * (inverse - np.linalg.inv(noise))
        slopes = np.concatenate([to_a.ravel(), (to_noise @ lower)[np.tril_indices(n)]])
        return float(error / (2 * s2) + beta * nats), slopes

    curve = Frontier.shannon(problem.spectrum, noise_variance=s2)
    claimed = float(curve.at_beta(beta).objective) - constant(problem)
    starts = (rng.standard_normal(n * n + n * (n + 1) // 2) for _ in range(2))
    found = min(polished(value_and_slopes, True, start).fun for start in starts)
    assert found >= claimed - 1e-9 * (1 + abs(claimed))
    assert found <= claimed * (1 + 1e-3)
    with_fewer = Frontier(problem.spectrum, **problem.options).at_beta(beta).objective
    assert with_fewer >= claimed + constant(problem) - 1e-12 * (1 + abs(claimed))
