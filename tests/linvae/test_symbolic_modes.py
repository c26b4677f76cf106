"""The NumPy functions of one mode and of the curve equal the expressions that the proofs derive."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from linvae import Frontier, LinearVAE, response
from linvae.response import decoder_given_encoder, encoder_given_decoder
from linvae.symbolic import curve, evaluate, modes, symbols
from linvae.testing import strategies
from tests.tolerances import EPS, assert_close, tolerance

ULPS = tolerance("ulps")
problems = strategies.problems(max_n=5, kinds=strategies.KINDS)
extreme_problems = strategies.problems(max_n=5, kinds=strategies.KINDS, extreme=True)
# Some dozens of evaluations to fifty digits an example.
few = settings(max_examples=40, deadline=None)


def _value(expression, **values):
    """To fifty digits; values that the expression lacks are left out."""
    expression = sp.sympify(expression)
    if values.get("lambda_") == 0:
        # The symbol is positive; a mode without variance is the edge of its range.
        expression = expression.subs(symbols.lam, 0)
    names = {symbol.name for symbol in expression.free_symbols}
    chosen = {name: v for name, v in values.items() if name.removesuffix("_") in names}
    return evaluate(expression, **chosen)


def _off(got, want):
    with mpmath.workdps(50):
        return abs(float(mpmath.mpf(float(got)) - want))


def _at_mode(expression, value, s2, beta):
    """Value of a mode, and how far the rounding of λ/σ² alone can move it."""
    want = _value(expression, lambda_=value, sigma2=s2, beta=beta)
    moved = [
        _value(expression, lambda_=mpmath.mpf(value) * (1 + t * EPS), sigma2=s2, beta=beta)
        for t in (-1, 1)
    ]
    return want, max(abs(float(m - want)) for m in moved)


@few
@given(extreme_problems, st.data())
def test_response_is_the_symbolic_one(problem, data):
    beta = data.draw(strategies.betas(problem.critical))
    vae = response(problem.spectrum, beta, **problem.options)
    U = problem.population.vectors
    for j, value in enumerate(map(float, problem.population.values[: problem.k])):
        gain = float(np.linalg.norm(vae.decoder[:, j]))
        read = float(np.linalg.norm(vae.encoder[j]))
        for got, expression in (
            (gain, modes.DECODER_GAIN),
            (read, modes.ENCODER_GAIN),
            (vae.posterior_variance[j], modes.POSTERIOR_VARIANCE),
        ):
            want, allowed = _at_mode(expression, value, problem.s2, beta)
            assert _off(got, want) <= allowed + 4 * ULPS * abs(float(want)), expression
        # The direction, too: the gains are along the eigenvector, with one sign for both.
        assert_close(vae.decoder[:, j], gain * U[:, j], "rounding", scale=gain)
        assert_close(vae.encoder[j], read * U[:, j], "rounding", scale=read)


@few
@given(problems, st.data())
def test_active_modes_are_those_of_the_symbolic_condition(problem, data):
    """Off by one only where λ and τ agree to the rounding of λ/σ²."""
    curve_ = Frontier(problem.spectrum, **problem.options)
    beta = data.draw(strategies.betas(problem.critical))
    vae = response(problem.spectrum, beta, **problem.options)
    live = sp.Piecewise((1, modes.ACTIVE), (0, True))
    for j, value in enumerate(map(float, problem.population.values[: problem.k])):
        want = _value(live, lambda_=value, sigma2=problem.s2, beta=beta) == 1
        got = bool(vae.decoder[:, j].any())
        assert got == (beta < curve_.critical_betas[j])
        if value > 0:
            critical = _value(modes.CRITICAL_BETA, lambda_=value, sigma2=problem.s2)
            assert _off(curve_.critical_betas[j], critical) <= EPS * float(critical)
            if abs(float(critical / mpmath.mpf(beta)) - 1) <= EPS:
                continue
        assert got == want


@few
@given(problems, st.data())
def test_the_curve_is_the_sum_of_the_symbolic_modes(problem, data):
    beta = data.draw(strategies.betas(problem.critical))
    point = Frontier(problem.spectrum, **problem.options).at_beta(beta)
    n, s2 = problem.population.n, problem.s2
    values = list(map(float, problem.population.values))
    at = {"sigma2": s2, "beta": beta}
    with mpmath.workdps(50):
        top = values[: problem.k]
        rate = sum((_value(modes.OPTIMAL_RATE, lambda_=v, **at) for v in top), mpmath.mpf(0))
        error = sum(
            (_value(modes.OPTIMAL_SQUARED_ERROR, lambda_=v, **at) for v in top), mpmath.mpf(0)
        )
        error += sum(map(mpmath.mpf, values[problem.k :]), mpmath.mpf(0))
    assert _off(point.rate, rate) <= ULPS * (float(rate) + problem.k)
    assert _off(point.squared_error, error) <= ULPS * n * float(error)
    assert float(_value(modes.WATER_LEVEL, **at)) == pytest.approx(point.water_level, rel=4 * EPS)
    if error > 0:
        distortion = _value(curve.DISTORTION, squared_error=float(error), n=n, sigma2=s2)
        size = n * (1 + abs(np.log(2 * np.pi * s2))) + float(error) / s2
        assert _off(point.distortion, distortion) <= ULPS * n * size


@few
@given(problems, st.data())
def test_segments_and_their_inverses_are_the_symbolic_ones(problem, data):
    whole = Frontier(problem.spectrum, **problem.options)
    alive = whole.critical_betas[whole.critical_betas > 0]
    assume(alive.size)
    beta = data.draw(strategies.betas(problem.critical))
    point = whole.at_beta(beta)
    m, n = int(point.active), problem.population.n
    assume(m > 0)
    at = {
        "active": m,
        "tail": float(problem.population.values[m:].sum()),
        "join_beta": float(alive[m - 1]),
        "join_rate": float(whole.at_beta(alive[m - 1]).rate),
        "sigma2": problem.s2,
        "beta": beta,
        "rate": float(point.rate),
        "squared_error": float(point.squared_error),
    }
    rate, error = _value(curve.SEGMENT_RATE, **at), _value(curve.SEGMENT_SQUARED_ERROR, **at)
    assert _off(point.rate, rate) <= ULPS * n * (1 + float(rate))
    assert _off(point.squared_error, error) <= ULPS * n * float(error)
    # The queries; their condition numbers say what an ulp of the question does to the answer.
    by_rate, by_error = whole.at_rate(at["rate"]), None
    unit = float(_value(curve.RATE_CONDITION, **at)) * (1 + at["rate"])
    want = _value(curve.BETA_AT_RATE, **at)
    assert _off(by_rate.beta, want) <= 8 * ULPS * (1 + n * unit) * float(want)
    if at["squared_error"] > whole.floor:
        by_error = whole.at_squared_error(at["squared_error"])
        unit = float(_value(curve.ERROR_CONDITION, **at)) * at["active"]
        want = _value(curve.WATER_LEVEL_AT_SQUARED_ERROR, **at) / problem.s2
        assert _off(by_error.beta, want) <= 8 * ULPS * n * unit * beta
    assert float(_value(curve.SLOPE, **at)) == -beta


@given(st.integers(1, 5), strategies.generators(), st.floats(0.2, 0.8))
def test_the_curvature_is_that_of_the_curve(m, rng, share):
    """Second difference of distortions at three rates inside one segment."""
    values = np.sort(np.exp(rng.normal(0, 1, m)))[::-1]
    spectrum = strategies.Population(values, np.eye(m), np.zeros(m)).spectrum
    whole = Frontier(spectrum, latent_dim=m, noise_variance=0.7)
    beta = share * values[-1] / 0.7
    middle, step = float(whole.at_beta(beta).rate), 1e-3
    low, here, high = whole.at_rate([middle - step, middle, middle + step]).squared_error / 1.4
    want = float(_value(curve.CURVATURE, beta=beta, active=m))
    rounding = 64 * EPS * abs(here) / step**2
    assert abs((low - 2 * here + high) / step**2 - want) <= 1e-5 * want + rounding


@few
@given(problems, st.data())
def test_the_collapsed_loss_is_the_symbolic_one(problem, data):
    whole = Frontier(problem.spectrum, **problem.options)
    beta = data.draw(strategies.betas(problem.critical))
    at = {"sigma2": problem.s2, "beta": beta}
    values = list(map(float, problem.population.values[: problem.k]))
    with mpmath.workdps(50):
        want = sum((_value(curve.COLLAPSED_LOSS, lambda_=v, **at) for v in values), mpmath.mpf(0))
    size = sum(problem.population.values) / problem.s2 + beta * (
        1 + float(whole.at_beta(beta).rate)
    )
    assert _off(whole.collapsed_loss(beta), want) <= 4 * ULPS * problem.population.n * size


@st.composite
def _gains(draw, count):
    """e, c, d of several modes, zeros and both signs among them."""
    rng = draw(strategies.generators())
    read, gain = (np.exp(rng.normal(0, 1, count)) * rng.choice([-1, 0, 1], count) for _ in "ed")
    return read, np.exp(rng.normal(0, 1.5, count)), gain


@few
@given(problems, st.data())
def test_aligned_parameters_give_a_sum_over_modes(problem, data):
    population, k, s2 = problem.population, problem.k, problem.s2
    root = np.sqrt(max(float(population.values[0]), 1e-300))
    read, kept, gain = data.draw(_gains(k))
    read, gain = read / root, gain * root
    beta = data.draw(st.sampled_from([0.03, 1.0, 20.0]))
    U = population.vectors[:, :k]
    vae = LinearVAE(
        read[:, None] * U.T, kept, U * gain, np.asarray(s2), population.mean, population.mean
    )
    terms = vae.evaluate(problem.spectrum, beta)
    rate = error = size = mpmath.mpf(0)
    with mpmath.workdps(50):
        for j in range(k):
            at = {"lambda_": float(population.values[j]), "e": read[j], "c": kept[j], "d": gain[j]}
            rate += _value(modes.RATE, **at)
            error += _value(modes.SQUARED_ERROR, **at)
            size += 1 + kept[j] + read[j] ** 2 * root**2 + abs(np.log(kept[j]))
            whole = _value(modes.OBJECTIVE, sigma2=s2, beta=beta, **at)
            parts = _value(modes.SQUARED_ERROR, **at) / (2 * s2) + beta * _value(modes.RATE, **at)
            assert abs(whole - parts) <= mpmath.mpf(10) ** -40 * (1 + abs(parts))
        error += sum(map(mpmath.mpf, map(float, population.values[k:])), mpmath.mpf(0))
    n = population.n
    assert _off(terms.rate, rate) <= 8 * ULPS * n * float(size)
    spread = float(size) * float(np.max(gain**2, initial=0.0)) + n * float(population.values[0])
    assert _off(terms.squared_error, error) <= 8 * ULPS * n * spread * (
        1 + np.abs(read * gain).max()
    )


@few
@given(problems, st.data())
def test_partial_responses_are_the_symbolic_ones(problem, data):
    """Decoders along eigenvectors: every latent is then a mode of its own."""
    population, k, s2 = problem.population, problem.k, problem.s2
    root = np.sqrt(max(float(population.values[0]), 1e-300))
    read, kept, gain = data.draw(_gains(k))
    read, gain = read / root, gain * root
    beta = data.draw(strategies.betas(problem.critical))
    U = population.vectors[:, :k]
    encoder = encoder_given_decoder(U * gain, beta, noise_variance=s2)
    decoder = decoder_given_encoder(problem.spectrum, read[:, None] * U.T, kept, noise_variance=s2)
    reads, written = np.diagonal(encoder.encoder @ U), np.diagonal(U.T @ decoder.decoder)
    unit = max(float(np.abs(reads).max()), 1e-300)
    for j in range(k):
        at = {"d": gain[j], "e": read[j], "c": kept[j], "sigma2": s2, "beta": beta,
              "lambda_": float(population.values[j])}  # fmt: skip
        want = _value(modes.ENCODER_GIVEN_DECODER, **at)
        # The singular values of a graded decoder are right relative to its largest.
        spread = np.abs(gain).max() ** 2 / (beta * s2 + gain[j] ** 2)
        assert _off(reads[j], want) <= 16 * ULPS * k * (1 + spread) * unit
        want = _value(modes.POSTERIOR_GIVEN_DECODER, **at)
        assert _off(encoder.posterior_variance[j], want) <= 8 * ULPS * k * float(want)
        want = _value(modes.DECODER_GIVEN_ENCODER, **at)
        inner = population.values[:k] * read**2 + kept
        size = root * np.sqrt(inner.max() / inner.min() / kept.min())
        assert _off(written[j], want) <= 16 * ULPS * k * size


@few
@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-2, 2), st.floats(-2, 2), st.floats(-2, 2))
def test_the_excess_is_a_sum_of_squares_and_logarithms(log_value, log_level, e, log_c, d):
    """The exact difference of the claim ``global``, on numbers: both branches, any parameters."""
    value, s2, beta = 10.0**log_value, 0.7, 10.0**log_level / 0.7
    with mpmath.workdps(50):
        lam, tau, c = mpmath.mpf(value), mpmath.mpf(beta) * mpmath.mpf(s2), mpmath.exp(log_c)
        at = {"lambda_": lam, "sigma2": s2, "beta": beta}
        best = _value(modes.OPTIMAL_SQUARED_ERROR, **at) / (2 * mpmath.mpf(s2))
        best += mpmath.mpf(beta) * _value(modes.OPTIMAL_RATE, **at)
        excess = _value(modes.OBJECTIVE, e=e, c=c, d=d, **at) - best
        w = mpmath.mpf(d) ** 2 + tau

        def phi(t):
            return t - 1 - mpmath.log(t)

        level = lam if lam > tau else tau
        sum_of_terms = lam * w * (mpmath.mpf(e) - mpmath.mpf(d) / w) ** 2 + tau * phi(c * w / tau)
        sum_of_terms += tau * phi(level / w)
        if lam <= tau:
            sum_of_terms += (tau - lam) * (1 - tau / w)
        assert excess >= -(mpmath.mpf(10) ** -40) * (1 + abs(best))
        size = 1 + abs(best) + abs(excess)
        assert abs(excess - sum_of_terms / (2 * mpmath.mpf(s2))) <= mpmath.mpf(10) ** -40 * size
