"""Slopes of gates, and the gradient that reaches a closed one, against the averaged objective."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from linvae import dynamics
from linvae.dynamics import smoothed_gate, smoothed_gate_slope
from linvae.errors import InputError
from tests.tolerances import EPS, assert_close

SHARPNESS = st.floats(-0.5, 2.0).map(lambda x: float(10.0**x))
RANGE = (0.01, 10.0)
OPTIONS: dict[str, Any] = {"beta_range": RANGE, "noise_variance": 1.0}


@given(st.floats(-30, 30), SHARPNESS)
def test_smoothed_gates_keep_to_their_bounds(x: float, s: float) -> None:
    gate, slope = float(smoothed_gate(x, s)), float(smoothed_gate_slope(x, s))
    exact, error = float(smoothed_gate(x)), math.sqrt(-math.expm1(-math.log(2) / s))
    assert exact <= gate * (1 + 8 * EPS) <= (exact + error) * (1 + 16 * EPS)
    assert 0 <= gate <= 1
    assert gate > 0 or s * x > 1000, "only underflow closes it"
    assert slope >= -math.sqrt(s) / 2
    if s * abs(x) < 300:
        assert slope < 0
    if x >= 0 and s * x < 300:
        assert -slope / gate >= s * 2 ** (-2 - 1 / s) * (1 - 16 * EPS)


@given(st.floats(-5, 5), st.floats(0.3, 30))
def test_slopes_are_derivatives(x: float, s: float) -> None:
    h = 1e-3 / s
    points = smoothed_gate(x + h * np.array([-2, -1, 1, 2]), s)
    difference = (8 * (points[2] - points[1]) - points[3] + points[0]) / (12 * h)
    assert_close(smoothed_gate_slope(x, s), difference, "difference", scale=math.sqrt(s))
    if abs(x) > 0.01:
        points = smoothed_gate(x + 1e-5 * np.array([-2, -1, 1, 2]))
        difference = (8 * (points[2] - points[1]) - points[3] + points[0]) / 12e-5
        assert_close(smoothed_gate_slope(x), difference, "difference", scale=10.0)


def test_the_exact_gate() -> None:
    x = np.array([-1e-12, 0.0, 1e-300, 3.0])
    slope = smoothed_gate_slope(x)
    assert slope[0] < -1e5
    assert (slope[1:] == 0).all()
    assert (smoothed_gate(x)[1:] == 0).all()
    # Its slope is integrable: the integral is the gate.
    integral = quad(lambda t: float(smoothed_gate_slope(t)), -1.0, 0.0, epsabs=1e-10)[0]
    assert_close(-integral, smoothed_gate(-1.0), "difference")
    assert smoothed_gate(1000.0, 50.0) == 0, "underflow, not an error"
    assert smoothed_gate_slope(-800.0, 50.0) <= 0


@settings(max_examples=15)
@given(SHARPNESS)
def test_no_argument_found_is_steeper_than_the_bound(s: float) -> None:
    found = [
        minimize_scalar(lambda x: float(smoothed_gate_slope(x, s)), bracket=(m, m + 1 / s)).fun
        for m in (-3 / s, 0.0, 3 / s)
    ]
    steepest = -min(found)
    assert steepest <= math.sqrt(s) / 2
    assert s < 1 or steepest >= math.sqrt(s) / 6, "and it is no empty bound"


def averaged(value: float, bias: float, base: float, s: float) -> float:
    """Average over log β of the objective at the best encoder, by plain quadrature."""

    def at(log_beta: float) -> float:
        beta = math.exp(log_beta)
        power = (base * float(smoothed_gate(log_beta + bias, s))) ** 2
        return beta / 2 * (math.log1p(power / beta) + value / (power + beta))

    low, high = np.log(RANGE)
    kink = min(max(-bias, low), high)
    parts = [quad(at, a, b, epsabs=1e-13, epsrel=1e-13, limit=200)[0]
             for a, b in ((low, kink), (kink, high))]  # fmt: skip
    return sum(parts) / (high - low)


@settings(max_examples=12)
@given(
    st.floats(0.1, 5),
    st.floats(-3, 4.2),
    st.floats(0.5, 2),
    st.sampled_from([1.0, 4.0, 30.0, math.inf]),
)
def test_the_gradient_is_that_of_the_averaged_objective(
    value: float, bias: float, base: float, s: float
) -> None:
    h = 2e-3
    around = [averaged(value, bias + m * h, base, s) for m in (-2, -1, 1, 2)]
    difference = (8 * (around[2] - around[1]) - around[3] + around[0]) / (12 * h)
    got = dynamics.revival_gradient(value, bias, base=base, sharpness=s, **OPTIONS)
    assert_close(got, difference, "difference", scale=1.0)


def test_the_optimal_gate_is_stationary() -> None:
    for value in (0.05, 1.0, 7.0):
        assert abs(dynamics.revival_gradient(value, -math.log(value), **OPTIONS)) < 1e-14


def test_a_gate_closed_on_the_whole_range_has_no_gradient() -> None:
    closing = -math.log(RANGE[0])
    biases = np.array([closing, closing + 1e-9, closing + 5.0])
    assert (dynamics.revival_gradient(2.0, biases, **OPTIONS) == 0).all()
    smoothed = dynamics.revival_gradient(2.0, biases, sharpness=4.0, **OPTIONS)
    assert (smoothed > 0).all(), "descent lowers the bias: the gate opens"


def test_just_before_closing_the_gradient_is_proportional_to_what_is_open() -> None:
    for value, sign in ((2.0, 1), (0.005, -1)):  # alive somewhere in the range, or nowhere
        rate = dynamics.reopening_rate(value, base=1.3, **OPTIONS)
        assert np.sign(rate) == sign
        for part in (1e-6, 1e-8):
            bias = -math.log(RANGE[0]) - part
            got = dynamics.revival_gradient(value, bias, base=1.3, **OPTIONS)
            assert got / (rate * part) == pytest.approx(1, rel=2e3 * part + 1e-6)


def descend(start: float, sharpness: list[float], steps: int) -> float:
    """Plain gradient descent on the bias of a gate, at rising sharpness."""
    bias = start
    for s in sharpness:
        for _ in range(steps):
            bias -= 2.0 * float(dynamics.revival_gradient(2.0, bias, sharpness=s, **OPTIONS))
    return bias


def test_a_closed_gate_reopens_only_if_smoothed() -> None:
    closed = -math.log(RANGE[0]) + 0.5
    assert descend(closed, [math.inf], 50) == closed
    best = -math.log(2.0)
    opened = descend(closed, [1.0, 4.0, 16.0, math.inf], 120)
    assert abs(opened - best) < 0.02
    # With a part of the range open from the start, no smoothing is needed.
    assert abs(descend(-math.log(RANGE[0]) - 0.5, [math.inf], 400) - best) < 0.02


def test_the_gates_of_trained_networks_are_these() -> None:
    torch = pytest.importorskip("torch")
    from deep.gates import sqrt_relu

    x = torch.linspace(-6, 6, 121, dtype=torch.float64, requires_grad=True)
    for s in (1.0, 5.0, 40.0, math.inf):
        value = sqrt_relu(x, s)
        (slope,) = torch.autograd.grad(value.sum(), x)
        points = x.detach().numpy()
        assert_close(value.detach().numpy(), smoothed_gate(points, s))
        assert_close(slope.numpy(), smoothed_gate_slope(points, s))


def test_bad_input() -> None:
    for match, call in (
        ("sharpness", lambda: smoothed_gate(0.0, 0.0)),
        ("sharpness", lambda: smoothed_gate_slope(0.0, -1.0)),
        ("x: got nan", lambda: smoothed_gate(np.nan)),
        ("beta_range", lambda: dynamics.revival_gradient(
            1.0, 0.0, beta_range=(2.0, 1.0), noise_variance=1.0)),
        ("bias", lambda: dynamics.revival_gradient(1.0, np.inf, **OPTIONS)),
        ("eigenvalue", lambda: dynamics.reopening_rate(0.0, **OPTIONS)),
        ("base", lambda: dynamics.reopening_rate(1.0, base=np.nan, **OPTIONS)),
    ):  # fmt: skip
        with pytest.raises(InputError, match=match):
            call()


def test_far_ends_of_the_range() -> None:
    assert smoothed_gate([-1e308, 1e308], 64.0).tolist() == [1.0, 0.0]
    assert smoothed_gate_slope([-1e308, 1e308], 64.0).tolist() == [0.0, 0.0]
    # At a sharpness whose product with x overflows, the gate is the exact one.
    x = np.array([-10.0, -0.1, 10.0])
    assert_close(smoothed_gate(x, 1e308), smoothed_gate(x))
    assert_close(smoothed_gate_slope(x, 1e308), smoothed_gate_slope(x))
    # In units u of the data, λ and σ² grow by u² and the objective in nats stays.
    one = dynamics.revival_gradient(2.0, 0.0, beta_range=RANGE, noise_variance=0.5)
    for unit in (1e-290, 1e290):
        got = dynamics.revival_gradient(
            2.0 * unit, 0.0, beta_range=RANGE, noise_variance=0.5 * unit
        )
        assert got == pytest.approx(float(one), rel=1e-9)
    for call in (
        lambda: dynamics.revival_gradient(1.0, 0.0, base=1e200, sharpness=4.0, **OPTIONS),
        lambda: dynamics.reopening_rate(1.0, base=1e200, **OPTIONS),
    ):
        with pytest.raises(InputError, match="beyond the float64 range"):
            call()
