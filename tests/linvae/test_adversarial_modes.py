"""Attempts to beat the joint optimum by optimisation: every one must end in vain.

Each attack also has to arrive where it claims to be beaten, so that a feeble optimiser fails.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar, root

from linvae import Frontier, response
from linvae.response import decoder_given_encoder, encoder_given_decoder
from linvae.testing import strategies
from linvae.testing.strategies import Parameters, Population
from tests import oracles
from tests.linvae.attacks import drawn_problem, one_mode, polished
from tests.tolerances import EPS, assert_close, tolerance

SEEDS = range(4)


# The claim mode-objective: offsets


@pytest.mark.parametrize("seed", SEEDS)
def test_no_offsets_do_better_than_the_data_mean(seed):
    """For any E, C and D, not only the best: the three offsets are minimised over."""
    problem, beta, rng = drawn_problem(seed)
    S, mu, n, k = problem.population.covariance, problem.population.mean, 4, 2
    E, D = rng.standard_normal((k, n)), rng.standard_normal((n, k))
    c = np.exp(rng.normal(0, 1, k))

    def model(offsets):
        return Parameters(E, c, D, problem.s2, offsets[:n], offsets[n : 2 * n], offsets[2 * n :])

    def attack(offsets):
        return oracles.objective(S, mu, model(offsets), beta)

    def slopes(offsets):
        parts = oracles.gradient(S, mu, model(offsets), beta)
        return np.concatenate([parts["me"], parts["md"], parts["h"]])

    at_mean = model(np.concatenate([mu, mu, np.zeros(k)])).vae.evaluate(problem.spectrum, beta)
    found = polished(attack, slopes, 3 * rng.standard_normal(2 * n + k))
    assert_close(found.fun, at_mean.objective, scale=abs(at_mean.objective) + 1)
    away = model(np.concatenate([mu + 0.1, mu, np.zeros(k)])).vae.evaluate(problem.spectrum, beta)
    assert away.objective > at_mean.objective + 1e-6


# The claim stationarity: no other root


@pytest.mark.parametrize("ratio", [0.1, 0.6, 0.95, 1.1, 2.0, 30.0])
def test_root_finding_meets_no_other_point(ratio):
    rng = np.random.default_rng(5)
    value, s2 = 1.7, 0.5
    tau = ratio * value
    slopes, _ = one_mode(value, tau)
    population = Population(np.array([value]), np.eye(1), np.zeros(1))
    vae = response(population.spectrum, tau / s2, latent_dim=1, noise_variance=s2)
    best = np.array([vae.encoder[0, 0], np.log(vae.posterior_variance[0]), vae.decoder[0, 0]])
    known = [np.zeros(3), best, best * [-1, 1, -1]]
    met = set()
    for _ in range(200):
        found = root(slopes, rng.normal(0, 1.5, 3), tol=1e-13)
        if not found.success or np.abs(slopes(found.x)).max() > 1e-11:
            continue
        distances = [float(np.abs(found.x - point).max()) for point in known]
        assert min(distances) < 1e-6, found.x
        met.add(int(np.argmin(distances)))
    # All classes there are were met.
    assert met == ({0, 1, 2} if ratio < 1 else {0})


# The claim best-response


@pytest.mark.parametrize("seed", SEEDS)
def test_no_encoder_does_better_for_a_fixed_decoder(seed):
    problem, beta, rng = drawn_problem(seed)
    S, mu, n, k = problem.population.covariance, problem.population.mean, 4, 2
    D = rng.standard_normal((n, k)) * 1.3

    def model(theta):
        E, c = theta[: n * k].reshape(k, n), np.exp(theta[n * k :])
        return Parameters(E, c, D, problem.s2, mu, mu, np.zeros(k))

    def attack(theta):
        return oracles.objective(S, mu, model(theta), beta)

    def slopes(theta):
        parts = oracles.gradient(S, mu, model(theta), beta)
        return np.concatenate([parts["E"].ravel(), parts["log_c"]])

    best = encoder_given_decoder(D, beta, noise_variance=problem.s2, offset=mu)
    claimed = best.evaluate(problem.spectrum, beta).objective
    found = polished(attack, slopes, rng.standard_normal(n * k + k))
    assert_close(found.fun, claimed, scale=abs(claimed) + 1)
    got = model(found.x)
    assert_close(
        got.E, best.encoder, "difference", scale=1 + np.abs(best.encoder).max(), condition=10
    )
    assert_close(got.c, best.posterior_variance, "difference", condition=10)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_decoder_does_better_for_a_fixed_encoder(seed):
    """The minimiser is the same for every β."""
    problem, _, rng = drawn_problem(seed)
    S, mu, n, k = problem.population.covariance, problem.population.mean, 4, 2
    E, c = rng.standard_normal((k, n)), np.exp(rng.normal(0, 0.5, k))
    best = decoder_given_encoder(problem.spectrum, E, c, noise_variance=problem.s2)
    for beta in (0.05, 20.0):

        def model(theta):
            D = theta[: n * k].reshape(n, k)
            return Parameters(E, c, D, problem.s2, mu, theta[n * k :], np.zeros(k))

        def attack(theta, beta=beta):
            return oracles.objective(S, mu, model(theta), beta)

        def slopes(theta, beta=beta):
            parts = oracles.gradient(S, mu, model(theta), beta)
            return np.concatenate([parts["D"].ravel(), parts["md"]])

        claimed = best.evaluate(problem.spectrum, beta).objective
        found = polished(attack, slopes, rng.standard_normal(n * k + n))
        assert_close(found.fun, claimed, scale=abs(claimed) + 1)
        assert_close(model(found.x).D, best.decoder, "difference", condition=10, scale=1.0)
        assert_close(found.x[n * k :], best.decoder_offset, "difference", condition=10, scale=1.0)


# The claim reduction


def _reduced_objective(S, D, tau):
    """2σ²L minimised over E and C, by solving; and the two bounds of it, each a step lower."""
    n, k = D.shape
    gram = D.T @ D + tau * np.eye(k)
    outer = D @ D.T + tau * np.eye(n)
    trace = tau * np.trace(np.linalg.solve(outer, S))
    diagonal = tau * np.log(np.diagonal(gram) / tau).sum()
    logdet = tau * (np.linalg.slogdet(gram)[1] - k * np.log(tau))
    values = np.linalg.eigvalsh(S)[::-1]
    levels = np.linalg.eigvalsh(outer)[::-1]
    return trace, diagonal, logdet, tau * float((values / levels).sum())


@given(strategies.populations(max_n=6), st.data())
def test_both_inequalities_of_the_reduction(population, data):
    """Hadamard and von Neumann for any decoder; and the value itself, from the best encoder."""
    k = data.draw(st.integers(1, population.n))
    scale = float(population.values[0])
    drawn = data.draw(strategies.parameters(population.n, k, scale=scale, noise_variance=scale))
    beta = data.draw(st.sampled_from([0.05, 0.5, 3.0]))
    tau = beta * drawn.s2
    trace, diagonal, logdet, paired = _reduced_objective(population.covariance, drawn.D, tau)
    size = trace + abs(diagonal) + abs(logdet) + tau * k
    rounding = 64 * population.n * EPS * size * (1 + np.linalg.norm(drawn.D) ** 2 / tau)
    assert diagonal >= logdet - rounding
    assert trace >= paired - rounding
    vae = encoder_given_decoder(drawn.D, beta, noise_variance=drawn.s2, offset=population.mean)
    terms = vae.evaluate(population.spectrum, beta)
    value = terms.squared_error + 2 * tau * terms.rate
    assert abs(value - trace - diagonal) <= 8 * rounding
    # The frontier is the bound minimised over the levels.
    floor = Frontier(population.spectrum, latent_dim=k, noise_variance=drawn.s2).at_beta(beta)
    assert paired + logdet >= floor.squared_error + 2 * tau * floor.rate - 8 * rounding


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_free_decoder_has_orthogonal_columns(seed):
    """With a diagonal C; with a full covariance any rotation of the columns is as good."""
    problem, beta, rng = drawn_problem(seed)
    S, n, k, tau = problem.population.covariance, 4, 2, beta * problem.s2

    def attack(theta):
        trace, diagonal, _, _ = _reduced_objective(S, theta.reshape(n, k), tau)
        return trace + diagonal

    def slopes(theta):
        D = theta.reshape(n, k)
        inverse = np.linalg.inv(D @ D.T + tau * np.eye(n))
        shrink = -2 * tau * inverse @ S @ inverse @ D
        return (shrink + 2 * tau * D / ((D**2).sum(axis=0) + tau)).ravel()

    starts = (rng.standard_normal(n * k) for _ in range(5))
    found = min((polished(attack, slopes, start) for start in starts), key=lambda r: r.fun)
    point = Frontier(problem.spectrum, **problem.options).at_beta(beta)
    claimed = float(point.squared_error + 2 * tau * point.rate)
    assert_close(found.fun, claimed, "optimisation", scale=claimed)
    gram = found.x.reshape(n, k).T @ found.x.reshape(n, k)
    assert np.abs(gram - np.diag(np.diagonal(gram))).max() <= 1e-4 * gram.max()
    levels = np.sort(np.diagonal(gram))[::-1] + tau
    assert_close(levels, problem.population.values[:k], "difference", condition=100)
    # A turn of the columns costs, because C stays diagonal.
    turned = found.x.reshape(n, k) @ np.array([[0.8, -0.6], [0.6, 0.8]])
    assert attack(turned.ravel()) > found.fun * (1 + 1e-4)


# The claim global: infinity


@pytest.mark.parametrize("seed", SEEDS)
def test_no_step_to_infinity_beats_the_frontier(seed):
    """Along random rays from the optimum, out to e^±25 times its size."""
    problem, beta, rng = drawn_problem(seed)
    best = Parameters.of(response(problem.spectrum, beta, **problem.options))
    floor = float(Frontier(problem.spectrum, **problem.options).at_beta(beta).objective)
    n, k = 4, 2
    for _ in range(20):
        way_e, way_d = rng.standard_normal((k, n)), rng.standard_normal((n, k))
        way_c, powers = rng.standard_normal(k), rng.choice([-1, 0, 1], 3)

        def along(t, way_e=way_e, way_d=way_d, way_c=way_c, powers=powers):
            # Opposite powers hold DE bounded while E or D runs off.
            model = Parameters(
                best.E * np.exp(powers[0] * t) + t * way_e * (powers[0] == 0),
                best.c * np.exp(powers[2] * t + t * way_c * (powers[2] == 0)),
                best.D * np.exp(powers[1] * t) + t * way_d * (powers[1] == 0),
                problem.s2, best.me, best.md, best.h,
            )  # fmt: skip
            return float(model.vae.evaluate(problem.spectrum, beta).objective)

        values = [along(t) for t in (0.5, 1, 2, 5, 10, 25)]
        assert min(values) > floor - tolerance("exact") * (abs(floor) + 1)
        # It does not even come back: no infimum waits out there.
        assert values[-1] > floor + 1
        nearest = minimize_scalar(along, bounds=(-5, 5), method="bounded", options={"xatol": 1e-9})
        assert nearest.fun >= floor - tolerance("exact") * (abs(floor) + 1)
        assert nearest.fun <= floor + 1e-6 * (abs(floor) + 1)


# The claim critical


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 1.0, 1.01, 1.5])
def test_descent_finds_a_mode_below_its_critical_beta_only(share):
    rng = np.random.default_rng(8)
    value, s2 = 2.3, 0.5
    population = Population(np.array([value]), np.eye(1), np.zeros(1))
    options = {"latent_dim": 1, "noise_variance": s2}
    beta = share * float(Frontier(population.spectrum, **options).critical_betas[0])
    slopes, objective = one_mode(value, beta * s2)
    point = Frontier(population.spectrum, **options).at_beta(beta)
    claimed = float(point.squared_error + 2 * beta * s2 * point.rate)
    for _ in range(8):
        found = polished(objective, lambda p: 2 * slopes(p), rng.normal(0, 1, 3))
        assert_close(found.fun, claimed, "optimisation", scale=value)
        gain = float(response(population.spectrum, beta, **options).decoder[0, 0])
        # At the threshold itself the minimum is flat of fourth order.
        assert abs(abs(found.x[2]) - abs(gain)) <= (1e-2 if share == 1 else 1e-3)
        assert (abs(found.x[2]) > 0.1) == (share < 1)
