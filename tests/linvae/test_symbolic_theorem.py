"""What is proved about Theorem 1 is what runs: NumPy against the expressions at 50 digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linvae import Hypernetwork
from linvae.claims.sigmoid_bound import INSIDE, drops, least_excess_of_any_product
from linvae.claims.sigmoid_fit import posterior_excess, readout_excess
from linvae.claims.theorem import _LEAST_SUP_EXCESS, _encoder_limit_errors
from linvae.hypernetwork import GATES, GatedLayer
from linvae.symbolic import evaluate, theorem
from linvae.testing import strategies
from tests.tolerances import EPS, assert_close, tolerance

FORMS = {"sigmoid": theorem.SIGMOID, "sqrt_relu": theorem.SQRT_RELU, "min_exp": theorem.MIN_EXP}


def _beside(value: float) -> list[float]:
    """A number and its neighbours in floating point."""
    return [value, float(np.nextafter(value, 0)), float(np.nextafter(value, np.inf))]


@pytest.mark.parametrize("name", sorted(GATES))
@given(x=st.floats(-600, 600) | st.sampled_from([0.0, -5e-324, 5e-324, -1e-17, -EPS, EPS]))
def test_gates_are_the_expressions(name: str, x: float) -> None:
    want = float(evaluate(FORMS[name], digits=400, x=x))  # 1 − eˣ at the least x
    with np.errstate(under="ignore"):
        got = float(GATES[name](np.array(x)))
    assert abs(got - want) <= tolerance("ulps") * want + 5e-324


def _gate_bounds(x: mpmath.mpf, u: mpmath.mpf) -> tuple[float, float]:
    """How far g and min(1, eˣ) can move when x is off by at most u."""
    with mpmath.workdps(50):
        moved = []
        for form in (theorem.SQRT_RELU, theorem.MIN_EXP):
            here, below, above = (evaluate(form, x=x + shift) for shift in (0, -u, u))
            moved.append(float(max(abs(below - here), abs(above - here)) + 8 * EPS * here))
    return moved[0], moved[1]


@given(strategies.problems(max_n=4, extreme=True), st.data())
def test_gated_parameters_are_the_expressions(problem, data):
    """At, one ulp beside, and away from every critical beta; zero eigenvalues have no gate."""
    critical = problem.critical[problem.critical > 0]
    betas = np.array([b for value in critical[:2] for b in _beside(float(value))])
    betas = np.append(betas, data.draw(strategies.betas(problem.critical)))
    got = Hypernetwork.exact(problem.spectrum, **problem.options)(betas)
    decoder = np.linalg.norm(got.decoder, axis=-2)
    encoder = np.linalg.norm(got.encoder, axis=-1)
    for j, value in enumerate(problem.population.values[: problem.k]):
        if value == 0:
            assert not decoder[:, j].any()
            assert not encoder[:, j].any()
            assert (got.posterior_variance[:, j] == 1).all()
            continue
        root = float(np.sqrt(value))
        for i, beta in enumerate(betas):
            point = {"beta": beta, "sigma2": problem.s2, "lambda_": value}
            x = evaluate(theorem.GATE_INPUT, **point)
            u = evaluate(theorem.ROUNDING_UNIT, eta=EPS, **point) / 2
            gate, posterior = _gate_bounds(x, u)
            want = [
                float(evaluate(form, **point))
                for form in (
                    theorem.GATED_DECODER_GAIN,
                    theorem.GATED_ENCODER_GAIN,
                    theorem.GATED_POSTERIOR_VARIANCE,
                )
            ]
            assert abs(decoder[i, j] - want[0]) <= gate * root
            assert abs(encoder[i, j] - want[1]) <= gate / root
            assert abs(got.posterior_variance[i, j] - want[2]) <= posterior


@given(st.floats(-8, 8), st.floats(-8, 8), st.floats(-8, 8), st.sampled_from([-1.0, 1.0]))
def test_published_parameters_are_the_expressions(log_d, log_s2, log_beta, sign):
    d, s2, beta = sign * np.exp(log_d), float(np.exp(log_s2)), float(np.exp(log_beta))
    got = Hypernetwork.published(decoder=[[d]], noise_variance=s2)(beta)
    point = {"d": d, "sigma2": s2, "beta": beta}
    gain = float(evaluate(theorem.PUBLISHED_ENCODER_GAIN, **point))
    variance = float(evaluate(theorem.PUBLISHED_POSTERIOR_VARIANCE, **point))
    condition = 1 + abs(log_beta) + abs(log_s2) + 2 * abs(log_d)
    assert_close(got.encoder[0, 0], gain, "ulps", scale=abs(gain), condition=condition)
    assert_close(got.posterior_variance[0], variance, "ulps", scale=variance, condition=condition)
    assert got.decoder[0, 0] == pytest.approx(d, rel=tolerance("ulps"))


@given(
    st.floats(-5, 5),
    st.floats(-5, 5),
    st.floats(-9, 9),
    st.floats(1e-3, 9),
    strategies.generators(),
)
def test_standardised_parameters_are_the_expressions(w, b, log_low, width, rng):
    low, high = float(np.exp(log_low)), float(np.exp(log_low + width))
    layer = GatedLayer([w], [b], rng.standard_normal(1), "sigmoid")
    dense = GatedLayer([w], [b], rng.standard_normal((1, 1)), "sigmoid")
    before = Hypernetwork((layer, dense), (layer, layer), (layer, dense), 1.0, np.zeros(1))
    after = before.standardised((low, high))
    ends = {"low": low, "high": high}
    unit = 1 + abs(log_low) + width
    assert_close(
        after.input_mean, float(evaluate(theorem.STANDARD_MEAN, **ends)), "ulps", scale=unit
    )
    assert_close(after.input_std, float(evaluate(theorem.STANDARD_STD, **ends)), "ulps", scale=unit)
    for moved in (*after.encoder, *after.posterior, *after.decoder):
        slope = float(evaluate(theorem.STANDARD_SLOPE, w=w, **ends))
        bias = float(evaluate(theorem.STANDARD_BIAS, w=w, b=b, **ends))
        assert_close(moved.w_hyper[0], slope, "ulps", scale=(1 + abs(w)) * unit)
        assert_close(moved.b_hyper[0], bias, "ulps", scale=(1 + abs(w)) * unit + abs(b))


@given(st.floats(-4.6, 2.3), st.floats(-3, 3), st.floats(-2, 2))
def test_excess_of_sigmoids_is_the_expression(x, delta, e):
    log_c = np.array([min(x, 0.0) + delta])
    delta = float(log_c[0]) - min(x, 0.0)
    # δ may be tiny, and twice its digits go in the difference.
    want = float(evaluate(theorem.POSTERIOR_EXCESS, digits=700, x=x, delta=delta))
    got = posterior_excess(log_c, np.array([x]))
    # e^δ − 1 − δ is a difference of numbers of the size of δ.
    scale = np.exp(x) * (np.expm1(abs(delta)) + abs(delta))
    assert_close(got[0], want, "ulps", scale=scale)
    want = float(evaluate(theorem.READOUT_EXCESS, x=x, e=e))
    got = readout_excess(np.array([e]), np.array([x]))
    assert_close(got[0], want, "rounding", scale=max(1.0, np.exp(x)) * (1 + e * e))


@given(st.floats(-30.0, 30.0), st.floats(-4.0, 4.0))
def test_drops_through_a_gate_are_the_expression(w, centre):
    inside, _ = drops(np.array(w), np.array(centre))
    point = {"w": w, "centre": centre}
    want = float(evaluate(theorem.GATE_DROP, a=INSIDE, **point))
    assert_close(float(inside), want, "rounding", scale=1 + abs(w))
    # The bump is the derivative of the drop at its edges: half of it on each side.
    step = 1e-6
    with mpmath.workdps(50):
        rise = (
            evaluate(theorem.GATE_DROP, a=INSIDE + step, **point)
            - evaluate(theorem.GATE_DROP, a=INSIDE - step, **point)
        ) / (2 * step)
        bumps = sum(evaluate(theorem.GATE_BUMP, x=sign * INSIDE, **point) for sign in (-1, 1))
    assert abs(float(rise - bumps)) <= 1e-6 * (1 + abs(w) ** 3)


def test_the_reported_bound_is_a_proved_one() -> None:
    proved = float(theorem.LEAST_SUP_EXCESS)
    assert proved >= _LEAST_SUP_EXCESS
    # The proof rounds to rational numbers; the library solves the same inequality.
    assert proved <= least_excess_of_any_product() <= 1.01 * proved
    assert float(theorem.INSIDE) == INSIDE


@given(st.floats(-12.0, 3.0), st.integers(1, 6), st.integers(1, 8), st.integers(1, 20))
def test_limits_are_the_expressions(x, layers, slopes, copies):
    gate = GATES["sigmoid"]
    deep = np.prod([gate(np.array(-(2.0**j) * x)) for j in range(layers)])
    want = evaluate(theorem.DEPTH_PRODUCT.subs(theorem.J, layers).doit(), x=x)
    assert_close(deep, float(want), "rounding", scale=float(want), size=2**layers)
    wide = np.prod(
        [gate(np.array(np.log(2.0 * m * copies) - m * x)) ** copies for m in range(1, slopes + 1)]
    )
    sizes = {theorem.K: slopes, theorem.M: copies}
    want = evaluate(theorem.WIDTH_PRODUCT.subs(sizes).doit(), x=x)
    # A relative error of a few ulps of the argument in each of K M factors.
    assert_close(wide, float(want), "rounding", scale=float(want), size=slopes**2 * copies)
    assert evaluate(theorem.WIDTH_LIMIT.subs(theorem.K, slopes).doit(), x=x) <= want * (1 + EPS)


@given(st.floats(-8.0, 0.0), st.floats(5.0, 30.0))
def test_variances_in_the_limit_are_the_expression(log_beta, base):
    beta = float(np.exp(log_beta))
    got = np.exp(base) * GATES["sigmoid"](np.array(np.log(beta) - base))
    want = float(evaluate(theorem.LIMIT_POSTERIOR, beta=beta, B=base))
    assert_close(float(got), want, "rounding", scale=want, condition=1 + base)
    error = float(evaluate(theorem.LIMIT_POSTERIOR_ERROR, beta=beta, B=base))
    assert abs(1 - want / beta - error) <= 4 * EPS


@pytest.mark.parametrize("count", [4, 16])
def test_the_registry_measures_the_limit_within_its_rate(count: int) -> None:
    worst, _ = _encoder_limit_errors(count)
    sizes = {theorem.K: count, theorem.M: count**2}
    bound = float(theorem.WIDTH_ERROR.subs(sizes).evalf())
    # x within 1e-8 of the threshold is among its points: nearly all of exp(−H_K/2) is seen.
    least = float(evaluate(theorem.WIDTH_LIMIT.subs(theorem.K, count).doit(), x=0.0))
    assert 0.99 * least <= worst <= bound
