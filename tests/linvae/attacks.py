"""What the attacks on the optimum share: problems, an optimiser, one mode written by hand."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from linvae.testing import strategies
from linvae.testing.strategies import Population, Problem

__all__ = ["constant", "drawn_problem", "one_mode", "polished"]

TIGHT = {"maxiter": 2000, "maxfun": 5000, "ftol": 1e-15, "gtol": 1e-12}


def drawn_problem(seed, n=4, k=2):
    """A spectrum without ties, a noise variance, and a β at which all k modes live."""
    rng = np.random.default_rng([11, seed])
    values = np.cumsum(rng.uniform(0.2, 1.5, n))[::-1]
    population = Population(values, strategies.orthogonal_matrix(n, rng), rng.standard_normal(n))
    problem = Problem(population, k, float(np.exp(rng.normal(0, 0.5))))
    return problem, float(problem.critical[k - 1] * rng.uniform(0.2, 0.9)), rng


def polished(f, gradient, start):
    """Quasi-Newton descent as far as float64 goes."""
    return minimize(f, start, jac=gradient, method="L-BFGS-B", options=TIGHT)


def constant(problem):
    """The constant of the distortion."""
    return 0.5 * problem.population.n * np.log(2 * np.pi * problem.s2)


def one_mode(value, tau):
    """Half the gradient of 2σ²ℓ in (e, log c, d), and 2σ²ℓ itself, by hand."""

    def slopes(point):
        # Steps of a root finder can be wild; far out there is no root either way.
        e, c, d = point[0], np.exp(np.clip(point[1], -50, 50)), point[2]
        missed = value * (1 - d * e)
        return np.array(
            [-d * missed + tau * value * e, (d**2 * c + tau * (c - 1)) / 2, -e * missed + d * c]
        )

    def objective(point):
        e, log_c, d = point[0], np.clip(point[1], -50, 50), point[2]
        c = np.exp(log_c)
        rate = np.expm1(log_c) - log_c + value * e**2
        return value * (1 - d * e) ** 2 + d**2 * c + tau * rate

    return slopes, objective
