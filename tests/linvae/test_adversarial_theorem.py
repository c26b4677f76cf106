"""Attempts to beat Theorem 1: optimisers against its parameters, searches against its bounds."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize, minimize_scalar

from linvae import Hypernetwork, Spectrum, response
from linvae.hypernetwork import GATES, GatedLayer
from linvae.response import decoder_given_encoder
from linvae.symbolic import theorem
from linvae.testing import strategies
from linvae.testing.strategies import Parameters, Population, Problem, orthogonal_matrix
from tests import oracles
from tests.tolerances import EPS, assert_close, tolerance

Array = NDArray[np.float64]
SIGMOID, SQRT_RELU = GATES["sigmoid"], GATES["sqrt_relu"]


def _problem(seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 4))
    values = np.sort(np.exp(rng.normal(0, 1, n)))[::-1]
    if seed % 2:
        values[-1] = 0.0
    population = Population(values, orthogonal_matrix(n, rng), np.zeros(n))
    return Problem(population, int(rng.integers(1, n + 1)), float(np.exp(rng.normal())))


def _constant(problem: Problem) -> float:
    """The part of the objective that `direct_optimum` leaves out."""
    return 0.5 * problem.population.n * float(np.log(2 * np.pi * problem.s2))


def _descend(
    value: Callable[[Array], tuple[float, Array]], start: Array, steps: int = 3000
) -> float:
    options = {"maxiter": steps, "maxfun": 2 * steps, "ftol": 1e-16, "gtol": 1e-12}
    return float(minimize(value, start, jac=True, method="L-BFGS-B", options=options).fun)


@pytest.mark.parametrize("seed", range(4))
def test_no_optimiser_beats_the_gated_network(seed: int) -> None:
    """All of E, C and D free, from random starts: none goes below, and the best one gets there."""
    problem = _problem(seed)
    S, mu = problem.population.covariance, problem.population.mean
    hyper = Hypernetwork.exact(problem.spectrum, **problem.options)
    low, high = problem.critical[problem.critical > 0][[-1, 0]]
    for beta in (0.3 * low, np.sqrt(low * high) * 1.1, 1.5 * high):
        found = oracles.direct_optimum(
            S, problem.k, problem.s2, beta, 2, np.random.default_rng(seed)
        )
        for network in (hyper, hyper.standardised((0.01, 10.0))):
            reached = oracles.objective(S, mu, Parameters.of(network(beta)), beta)
            unit = tolerance("optimisation") * (1 + S.trace() / problem.s2 + abs(reached))
            assert (found.values + _constant(problem) >= reached - unit).all()
            assert found.value + _constant(problem) <= reached + 1e3 * unit


@pytest.mark.parametrize("seed", range(4))
def test_no_optimiser_beats_the_sigmoids_beside_a_fixed_decoder(seed: int) -> None:
    """E and log c free; the decoder is drawn, DᵀD is not diagonal, one column may be zero."""
    problem, rng = _problem(seed), np.random.default_rng(seed)
    n, k, s2 = problem.population.n, problem.k, problem.s2
    S = problem.population.covariance
    D = rng.standard_normal((n, k))
    D[:, 0] *= seed % 2
    hyper = Hypernetwork.published(decoder=D, noise_variance=s2)
    for beta in (0.05, 1.0, 20.0):
        vae = hyper(beta)
        point = Parameters.of(vae)

        def value(theta: Array, beta: float = beta, base: Parameters = point):
            E, log_c = theta[: n * k].reshape(k, n), theta[n * k :]
            moved = Parameters(E, np.exp(log_c), D, s2, base.me, base.md, base.h)
            slope = oracles.gradient(S, np.zeros(n), moved, beta)
            cost = oracles.trace_squared_error(S, np.zeros(n), moved) / (2 * s2)
            cost += beta * oracles.trace_rate(S, np.zeros(n), moved)
            return cost, np.concatenate([slope["E"].ravel(), slope["log_c"]])

        best = value(np.concatenate([vae.encoder.ravel(), np.log(vae.posterior_variance)]))[0]
        unit = tolerance("optimisation") * (1 + S.trace() / s2 + abs(best))
        starts = rng.standard_normal((3, n * k + k))
        ends = np.array([_descend(value, start) for start in starts])
        assert (ends >= best - unit).all()
        assert ends.min() <= best + 1e3 * unit


@pytest.mark.parametrize("seed", range(4))
def test_no_optimiser_beats_the_best_decoder_of_a_fixed_encoder(seed: int) -> None:
    """D free; the minimiser found is the same at every beta."""
    problem, rng = _problem(seed), np.random.default_rng(seed)
    n, k, s2 = problem.population.n, problem.k, problem.s2
    S, zero = problem.population.covariance, np.zeros(problem.population.n)
    E, c = rng.standard_normal((k, n)), np.exp(rng.normal(0, 0.5, k))
    answer = decoder_given_encoder(problem.spectrum, E, c, noise_variance=s2)

    def value(theta: Array, beta: float) -> tuple[float, Array]:
        moved = Parameters(E, c, theta.reshape(n, k), s2, zero, zero, np.zeros(k))
        cost = oracles.trace_squared_error(S, zero, moved) / (2 * s2)
        cost += beta * oracles.trace_rate(S, zero, moved)
        return cost, oracles.gradient(S, zero, moved, beta)["D"].ravel()

    for beta in (0.05, 1.0, 20.0):
        best = value(answer.decoder.ravel(), beta)[0]
        unit = tolerance("optimisation") * (1 + S.trace() / s2 + abs(best))
        ends = [
            _descend(lambda t, beta=beta: value(t, beta), s) for s in rng.normal(size=(2, n * k))
        ]
        assert min(ends) >= best - unit
        assert max(ends) <= best + 1e3 * unit  # convex: every start ends there


@given(strategies.populations(max_n=5), st.data())
def test_best_decoders_are_the_same_at_every_beta(population, data):
    """The gradient in D vanishes at one D for every beta, and no gradient holds beta."""
    k = data.draw(st.integers(1, population.n))
    scale = float(population.values[0])
    drawn = data.draw(strategies.parameters(population.n, k, scale=scale, offsets=False))
    answer = decoder_given_encoder(population.spectrum, drawn.E, drawn.c, noise_variance=drawn.s2)
    S, zero = population.covariance, np.zeros(population.n)
    for beta in (1e-3, 1.0, 1e3):
        here = Parameters(drawn.E, drawn.c, answer.decoder, drawn.s2, zero, zero, np.zeros(k))
        slope = oracles.gradient(S, zero, here, beta)["D"]
        missed = np.eye(population.n) - answer.decoder @ drawn.E
        size = np.linalg.norm(missed @ S) * np.linalg.norm(drawn.E) / drawn.s2
        size += np.linalg.norm(answer.decoder) * drawn.c.max() / drawn.s2
        size += (
            scale
            * np.linalg.norm(drawn.E)
            * (1 + np.linalg.norm(answer.decoder @ drawn.E))
            / drawn.s2
        )
        assert np.abs(slope).max() <= 1e3 * tolerance("gradient") * size


# Sigmoid networks


def _network(rng: np.random.Generator, n: int, k: int, *, diagonal: bool) -> list[GatedLayer]:
    depth = int(rng.integers(1, 4))
    widths = [n, *rng.integers(1, 5, depth - 1), k]
    layers = []
    for before, after in itertools.pairwise(widths):
        w, b = rng.normal(0, 2, (2, k if diagonal else after))
        base = np.exp(rng.normal(size=k)) if diagonal else rng.standard_normal((after, before))
        layers.append(GatedLayer(w, b, base, "sigmoid"))
    return layers


def _product(layers: list[GatedLayer], log_beta: Array, *, gated: bool = True) -> Array:
    """Product of the layers, or that of the absolute values of their bases."""
    total: Array | None = None
    for layer in layers:
        factor = layer.weights(log_beta) if gated else np.abs(layer.base)
        if total is not None:
            factor = factor * total if layer.is_diagonal else factor @ total
        total = factor
    assert total is not None
    return total


@given(strategies.problems(max_n=4, kinds=("random", "tied", "zeros")), strategies.generators())
def test_sigmoid_networks_are_bounded_where_the_optimum_is_not(problem, rng):
    """The two contradictions of T1.c, for drawn networks of any depth and width."""
    values, k = problem.population.values, problem.k
    n = values.size
    alive = values[:k][values[:k] > 0]
    m, Q = alive.size, float((1 / alive).sum())
    encoder = _network(rng, n, k, diagonal=False)
    posterior = _network(rng, n, k, diagonal=True)
    bound_c = float(_product(posterior, np.array(0.0), gated=False).sum())
    bound_e = _product(encoder, np.array(0.0), gated=False)
    # Beyond these β's the formulas of the active interval leave what a network can give.
    beyond = np.array([(m + 1) / (problem.s2 * Q), (bound_c + 1) / (problem.s2 * Q)])
    log_beta = np.concatenate([np.log(beyond), rng.normal(0, 10, 20)])
    E, c = _product(encoder, log_beta), _product(posterior, log_beta)
    S = problem.population.covariance
    read = np.einsum("bkn,nm,bkm->b", E, S, E)
    size = float(np.abs(S).max()) * float((bound_e.sum(axis=1) ** 2).sum())
    assert (read >= -tolerance("rounding") * size).all()
    assert (np.abs(E) <= bound_e * (1 + 64 * EPS)).all()
    assert (c.sum(axis=-1) <= bound_c * (1 + 64 * EPS)).all()
    assert m - beyond[0] * problem.s2 * Q < -0.5 < 0 <= read[0] + tolerance("rounding") * size
    assert k - m + beyond[1] * problem.s2 * Q > c[1].sum()


def _readout(theta: Array, width: int, x: Array) -> tuple[Array, Array]:
    """Σ a s(wx + b) of the gates of one width, and its gradient."""
    a, w, b = theta.reshape(3, width, 1)
    s = SIGMOID(w * x + b)
    slope = a * s * (1 - s)
    return (a * s).sum(axis=0), np.concatenate([s, slope * x, slope])


@pytest.mark.parametrize("width", [1, 3])
def test_fitted_sigmoid_networks_never_reach_the_optimal_encoder(width: int) -> None:
    """The best of many fits, on a short interval around the critical β and on a long one."""
    rng = np.random.default_rng(width)
    for span in ((-0.7, 0.7), (np.log(0.01), np.log(10.0))):
        x = np.linspace(*span, 81)
        target = SQRT_RELU(x)

        def value(theta: Array, x: Array = x, target: Array = target) -> tuple[float, Array]:
            got, slope = _readout(theta, width, x)
            return float(((got - target) ** 2).mean()), 2 * (slope * (got - target)).mean(axis=1)

        ends = [_descend(value, rng.normal(0, 3, 3 * width), 150) for _ in range(2)]
        assert min(ends) > 1e-6


@given(st.floats(-20, 2), st.floats(-20, 2), st.floats(0, 0.1))
def test_the_gate_is_hoelder_continuous(x: float, y: float, u: float) -> None:
    g = SQRT_RELU(np.array([x, y, x - u]))
    assert abs(g[0] - g[1]) <= np.sqrt(abs(x - y)) * (1 + 8 * EPS) + 8 * EPS
    posterior = GATES["min_exp"](np.array([x, y]))
    assert abs(posterior[0] - posterior[1]) <= abs(x - y) * (1 + 8 * EPS) + 4 * EPS
    assume(x < -1e-6)
    # x - u is itself rounded.
    assert (
        g[2] / g[0] - 1 <= (u + 8 * EPS * (1 + abs(x))) * np.exp(x) / (2 * -np.expm1(x)) + 8 * EPS
    )


@pytest.mark.parametrize("seed", range(6))
def test_no_threshold_found_breaks_the_rounding_bound(seed: int) -> None:
    """Thousands of critical β's and their neighbours: the worst stays below ¾ of the bound."""
    rng = np.random.default_rng(seed)
    exponent = 10.0 ** rng.uniform(-1, 2.4)
    worst = 0.0
    for _ in range(20):
        values = np.sort(np.exp(rng.uniform(-exponent, exponent, 40)))[::-1]
        s2 = float(np.exp(rng.uniform(-exponent, exponent)))
        options = {"latent_dim": 40, "noise_variance": s2}
        spectrum = Spectrum.from_eigenvalues(values)
        critical = values / s2
        for betas in (critical, np.nextafter(critical, 0), np.nextafter(critical, np.inf)):
            got, want = (
                Hypernetwork.exact(spectrum, **options)(betas),
                response(spectrum, betas, **options),
            )
            off = np.abs(
                np.linalg.norm(got.decoder, axis=-2) - np.linalg.norm(want.decoder, axis=-2)
            )
            unit = 1 + abs(np.log(s2)) + np.abs(np.log(betas))[:, None] + np.abs(np.log(values))
            ratio = np.diagonal(off / np.sqrt(values) / np.sqrt(4 * EPS * unit))
            worst = max(worst, float(ratio.max()))
    assert 0 < worst <= 0.75


# Limits


def _width_error(x: Array, slopes: int, copies: int) -> Array:
    product = np.ones_like(x)
    for m in range(1, slopes + 1):
        product = product * SIGMOID(np.log(2.0 * m * copies) - m * x) ** copies
    return product - SQRT_RELU(x)


def _depth_error(x: Array, layers: int) -> Array:
    product = np.ones_like(x)
    for j in range(layers):
        product = product * SIGMOID(-(2.0**j) * x)
    return product - SQRT_RELU(x) ** 2


def _rate(slopes: int, copies: int) -> float:
    return float(theorem.WIDTH_ERROR.subs({theorem.K: slopes, theorem.M: copies}).evalf())


@given(st.floats(-15, 5), st.integers(1, 12), st.integers(1, 30), st.integers(1, 60))
def test_limits_are_within_their_rates(x, layers, slopes, copies):
    at = np.array([x, 0.0, -(2.0**-layers)])
    deep, wide = _depth_error(at, layers), _width_error(at, slopes, copies)
    assert (deep >= -64 * EPS).all()
    assert (deep <= 2.0**-layers + 64 * EPS).all()
    assert_close(deep[1], 2.0**-layers, "rounding", scale=1.0)
    slack = 64 * EPS * slopes * copies
    assert (wide >= -slack).all()
    assert (wide <= _rate(slopes, copies) + slack).all()


@pytest.mark.parametrize(
    ("layers", "slopes", "copies"), [(1, 1, 1), (3, 2, 40), (6, 9, 5), (9, 20, 400)]
)
def test_no_beta_found_exceeds_the_rates(layers: int, slopes: int, copies: int) -> None:
    """Local maxima of both errors, refined from a grid; both are attained at the threshold."""
    for error, bound in (
        (lambda x: float(_depth_error(np.array(x), layers)), 2.0**-layers),
        (lambda x: float(_width_error(np.array(x), slopes, copies)), _rate(slopes, copies)),
    ):
        worst = max(
            -minimize_scalar(
                lambda x, error=error: -error(x),
                bounds=(x - 0.1, x + 0.1),
                method="bounded",
                options={"xatol": 1e-10},
            ).fun
            for x in np.linspace(-8, 3, 111)
        )
        assert error(0.0) - 1e-6 <= worst <= bound + 1e-12
        assert error(0.0) >= worst - 1e-12


# Reparametrisation and constant gates


@pytest.mark.parametrize("seed", range(3))
def test_no_beta_found_tells_a_standardised_network_apart(seed: int) -> None:
    problem, rng = _problem(seed), np.random.default_rng(seed)
    plain = Hypernetwork.exact(problem.spectrum, **problem.options)
    a = float(np.exp(rng.uniform(-8, 2)))
    moved = plain.standardised((a, a * float(np.exp(rng.uniform(0.01, 9)))))

    def apart(log_beta: float) -> float:
        one, two = plain(np.exp(log_beta)), moved(np.exp(log_beta))
        gap = np.abs(one.posterior_variance - two.posterior_variance).max()
        return -float(max(gap, np.abs(one.decoder @ one.encoder - two.decoder @ two.encoder).max()))

    logs = np.linspace(-10, 10, 21)
    worst = -min(
        minimize_scalar(apart, bounds=(x - 0.5, x + 0.5), method="bounded").fun for x in logs
    )
    # A few ulps of log β, of the mean and of the bias.
    assert worst <= tolerance("rounding") * 40


@given(strategies.generators(), st.floats(-700, 700), st.sampled_from(sorted(GATES)))
def test_gates_of_slope_zero_are_constant(rng, log_beta, name):
    bias, factor = float(theorem.CONSTANT_BIAS[name]), float(theorem.CONSTANT_FACTOR[name])
    base = rng.standard_normal((3, 2)) * np.exp(rng.normal(0, 20))
    layer = GatedLayer(np.zeros(3), np.full(3, bias), factor * base, name)
    got = layer.weights(np.array([log_beta, 0.0]))
    assert np.array_equal(got[0], got[1])
    assert_close(got[0], base, "ulps", scale=np.abs(base))
    if name != "sqrt_relu":  # whose bias log(3/4) is not a floating-point number
        assert np.array_equal(got[0], base)


def test_searched_biases_are_the_derived_ones() -> None:
    for name, bracket in (("sqrt_relu", (-5.0, 0.0)), ("sigmoid", (-5.0, 7.0))):
        gate, wanted = GATES[name], 1 / float(theorem.CONSTANT_FACTOR[name])

        def gap(x: float, gate: Callable = gate, wanted: float = wanted) -> float:
            return float(gate(np.array(x))) - wanted

        found = brentq(gap, *bracket, xtol=1e-15)
        assert_close(found, float(theorem.CONSTANT_BIAS[name]), "exact", scale=1.0)
