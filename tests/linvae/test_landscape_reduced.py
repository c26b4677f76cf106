"""The objective as a function of the decoder: against the whole one, and against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from linvae import Spectrum
from linvae.landscape import reduced_gradient, reduced_hessian, reduced_objective
from linvae.response import encoder_given_decoder
from linvae.testing.strategies import (
    KINDS,
    Parameters,
    Population,
    Problem,
    generators,
    orthogonal_matrix,
    problems,
)
from tests import oracles
from tests.tolerances import assert_close

Array = NDArray[np.float64]


def scaled_decoder(problem: Problem, beta: float, rng: np.random.Generator) -> Array:
    """Any decoder of the size of √τ, at times with a dead column or of low rank."""
    n, k = problem.population.n, problem.k
    D = rng.standard_normal((n, k)) * np.exp(rng.normal(0, 0.7, k))
    if rng.random() < 0.3:
        D[:, rng.integers(k)] = 0.0
    if rng.random() < 0.3:
        D[:, -1] = D[:, 0]
    return np.asarray(D * np.sqrt(beta) * np.sqrt(problem.s2))


def magnitude(problem: Problem, beta: float) -> float:
    constant = abs(0.5 * problem.population.n * np.log(2 * np.pi * problem.s2))
    return float(constant + 0.5 * problem.spectrum.total_variance / problem.s2 + beta)


@given(problems(kinds=KINDS), st.floats(0.01, 10.0), generators())
def test_value_is_that_of_the_eliminated_model(
    problem: Problem, beta: float, rng: np.random.Generator
) -> None:
    D = scaled_decoder(problem, beta, rng)
    got = reduced_objective(problem.spectrum, D, beta, noise_variance=problem.s2)
    mean = problem.population.mean
    model = encoder_given_decoder(D, beta, noise_variance=problem.s2, offset=mean)
    want = model.evaluate(problem.spectrum, beta).objective
    assert_close(got, want, "exact", scale=magnitude(problem, beta))


@given(problems(extreme=True), st.floats(0.01, 10.0), generators())
def test_value_at_extreme_scales(problem: Problem, beta: float, rng: np.random.Generator) -> None:
    D = scaled_decoder(problem, beta, rng)
    got = reduced_objective(problem.spectrum, D, beta, noise_variance=problem.s2)
    mean = problem.population.mean
    model = encoder_given_decoder(D, beta, noise_variance=problem.s2, offset=mean)
    want = model.evaluate(problem.spectrum, beta).objective
    assert_close(got, want, "exact", scale=magnitude(problem, beta))


def small(rng: np.random.Generator) -> tuple[Problem, float]:
    """A problem of everyday size for comparisons that a large condition would spoil."""
    n = int(rng.integers(1, 5))
    values = np.sort(np.exp(rng.normal(0, 1, n)))[::-1]
    population = Population(values, orthogonal_matrix(n, rng), rng.standard_normal(n))
    s2, beta = (float(np.exp(rng.normal())) for _ in range(2))
    return Problem(population, int(rng.integers(1, n + 1)), s2), beta


@given(generators())
def test_gradient_and_hessian_by_differences(rng: np.random.Generator) -> None:
    problem, beta = small(rng)
    options = {"beta": beta, "noise_variance": problem.s2}
    D = scaled_decoder(problem, beta, rng)
    step = 1e-4 * np.sqrt(beta * problem.s2)
    gradient = reduced_gradient(problem.spectrum, D, **options)
    hessian = reduced_hessian(problem.spectrum, D, **options)
    assert (hessian == hessian.T).all()
    for _ in range(3):
        along = rng.standard_normal(D.shape)

        rise = slope(
            lambda D: reduced_objective(problem.spectrum, D, **options), D, step * along, step
        )
        size = (1 + problem.population.values[0] / (beta * problem.s2)) * D.size
        unit = beta / np.sqrt(beta * problem.s2)
        assert_close(rise, (gradient * along).sum(), "difference", scale=unit * size)
        turn = slope(
            lambda D: reduced_gradient(problem.spectrum, D, **options), D, step * along, step
        )
        want = (hessian @ along.ravel()).reshape(D.shape)
        assert_close(turn, want, "difference", scale=size / problem.s2)


def slope(f: Callable[[Array], Any], at: Array, move: Array, step: float) -> Any:
    """Central difference of fourth order."""
    near, far = f(at + move) - f(at - move), f(at + 2 * move) - f(at - 2 * move)
    return (8 * near - far) / (12 * step)


def test_no_encoder_or_variance_does_better(rng: np.random.Generator) -> None:
    """Minimise over E and C by L-BFGS from random starts, the decoder held fixed."""
    from scipy.optimize import minimize

    S = np.diag([4.0, 2.0, 0.7])
    D = rng.standard_normal((3, 2))
    s2, beta = 0.6, 1.3

    def value(theta: Array) -> tuple[float, Array]:
        E, c = theta[:6].reshape(2, 3), np.exp(theta[6:])
        model = Parameters(E, c, D, s2, np.zeros(3), np.zeros(3), np.zeros(2))
        parts = oracles.gradient(S, np.zeros(3), model, beta)
        slope = np.concatenate([parts["E"].ravel(), parts["log_c"]])
        return oracles.objective(S, np.zeros(3), model, beta), slope

    floor = reduced_objective(Spectrum.from_covariance(S), D, beta, noise_variance=s2)
    for _ in range(5):
        result = minimize(
            value, rng.standard_normal(8), jac=True, method="L-BFGS-B",
            options={"ftol": 1e-16, "gtol": 1e-11, "maxiter": 2000},
        )  # fmt: skip
        assert result.fun >= floor - 1e-12
        assert_close(result.fun, floor, "optimisation")
