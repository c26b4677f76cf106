"""Rates, lags and gates in NumPy equal the symbolic expressions at 50 digits."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import linvae as lv
from linvae import dynamics
from linvae.symbolic import dynamics as forms
from linvae.symbolic import evaluate
from tests.tolerances import assert_close, tolerance

WIDE = st.floats(-3.0, 3.0).map(lambda x: float(10.0**x))
RATIOS = st.floats(0.001, 10.0) | st.sampled_from(
    [1.0, float(np.nextafter(1, 0)), float(np.nextafter(1, 2)), 1 - 1e-9, 1 + 1e-9, 0.5]
)


def agree(got: Any, want: Any, value: float, above: float) -> None:
    """Equal relative to the result, times the condition of the difference λ − τ."""
    condition = value / max(abs(above), 1e-300)
    assert_close(float(got), float(want), "rounding", condition=condition)


@given(WIDE, WIDE, RATIOS)
def test_rates_of_one_mode(value: float, s2: float, ratio: float) -> None:
    beta = ratio * value / s2
    level = mpmath.mpf(beta) * mpmath.mpf(s2)
    above = float(mpmath.mpf(value) - level)
    # Near the critical β, σ²(λ/σ² − β) is λ − βσ² up to the rounding of λ/σ².
    size = {"lambda_": value, "beta": beta, "sigma2": s2}
    options: dict[str, Any] = {"noise_variance": s2}
    unit = tolerance("rounding") * value
    for flow, form in (("joint", forms.ESCAPE_RATE), ("decoder", forms.DECODER_ESCAPE_RATE)):
        got = dynamics.escape_rate(value, beta, flow=flow, **options)
        want = evaluate(form, **size)
        per_above = float(abs(want / above)) if above else 1 / (s2 * s2 * beta)
        assert abs(float(got) - float(want)) <= unit * per_above * (1 + ratio) + abs(want) * 1e-13
    if above <= 1e-6 * value:
        return
    agree(
        dynamics.convergence_rate(value, beta, flow="decoder", **options),
        evaluate(forms.DECODER_CONVERGENCE_RATE, **size), value, above,
    )  # fmt: skip
    first, last = 0.01 * above, 0.81 * above
    time = dynamics.escape_time(value, beta, math.sqrt(first), share=0.9, flow="decoder", **options)
    want = evaluate(forms.DECODER_TIME, start=first, stop=last, **size)
    assert_close(float(time), float(want), condition=value / above)
    with mpmath.workdps(50):
        entries = [[evaluate(forms.OPTIMUM_HESSIAN[i, j], **_needed(i, j, size)) for j in range(3)]
                   for i in range(3)]  # fmt: skip
        smallest = min(mpmath.eigsy(mpmath.matrix(entries), eigvals_only=True))
    got = dynamics.convergence_rate(value, beta, **options)
    assert_close(float(got), float(smallest), condition=value / above)


def _needed(i: int, j: int, size: dict[str, float]) -> dict[str, float]:
    names = {symbol.name for symbol in forms.OPTIMUM_HESSIAN[i, j].free_symbols}
    return {name: value for name, value in size.items() if name.removesuffix("_") in names}


@given(WIDE, st.floats(1.01, 50.0), st.floats(1.01, 50.0), WIDE)
def test_rates_of_pairs(low: float, second: float, first: float, s2: float) -> None:
    """Two active modes above a water level, and a third that no latent carries."""
    values = np.array([first * second, second, 0.5]) * low
    level = low
    beta = level / s2
    spectrum = lv.Spectrum.from_eigenvalues(values)
    sizes = {"lambda_i": values[0], "lambda_j": values[1], "beta": beta, "sigma2": s2}
    # The difference of two decoder gains, squared.
    condition = (values[0] / (values[0] - values[1]) * values[1] / (values[1] - level)) ** 2
    for flow, pair, swap in (
        ("joint", forms.ALIGNMENT_RATE, forms.SWAP_RATE),
        ("decoder", forms.DECODER_ALIGNMENT_RATE, forms.DECODER_SWAP_RATE),
    ):
        options: dict[str, Any] = {"latent_dim": 2, "noise_variance": s2, "flow": flow}
        rates = dynamics.alignment_rates(spectrum, beta, **options)
        assert_close(rates[0, 1], float(evaluate(pair, **sizes)), condition=condition)
        foreign = {"lambda_i": values[0], "lambda_j": values[2], "sigma2": s2}
        swaps = dynamics.swap_rates(spectrum, beta, **options)
        assert_close(swaps[0, 0], float(evaluate(swap, **foreign)))
    excess = dynamics.rotation_excess(values[0], values[1], beta, 0.7, noise_variance=s2)
    want = evaluate(forms.ROTATION_EXCESS, theta=0.7, lambda_i=values[0], lambda_j=values[1],
                    beta=beta)  # fmt: skip
    assert_close(float(excess), float(want), condition=condition)


@given(WIDE, WIDE, st.floats(0.001, 0.999), st.floats(-2, 2))
def test_lags(value: float, s2: float, ratio: float, speed: float) -> None:
    beta = ratio * value / s2
    sizes = {"lambda_": value, "beta": beta, "sigma2": s2, "speed": speed}
    scale = float(abs(evaluate(forms.DECODER_LAG, **sizes))) + 1e-300
    for flow, form in (("joint", forms.LAG), ("decoder", forms.DECODER_LAG)):
        got = dynamics.tracking_lag(value, beta, speed, noise_variance=s2, flow=flow)
        want = float(evaluate(form, **sizes))
        assert_close(float(got), want, scale=scale + abs(want) + scale / value**3)


@given(st.floats(-20, 20), st.floats(0.2, 60), WIDE, st.floats(-2, 4.5), st.floats(0.3, 3))
def test_gates(x: float, s: float, value: float, b: float, w: float) -> None:
    # 1 − eˣ loses as many digits as x is small, and the exact gate has no slope at 0.
    assume(abs(x) > 1e-300)
    pairs = (
        (dynamics.smoothed_gate(x), evaluate(forms.GATE, digits=800, x=x)),
        (dynamics.smoothed_gate_slope(x), evaluate(forms.GATE_SLOPE, digits=800, x=x)),
        (dynamics.smoothed_gate(x, s), evaluate(forms.SMOOTHED_GATE, digits=2000, x=x, s=s)),
        (
            dynamics.smoothed_gate_slope(x, s),
            evaluate(forms.SMOOTHED_SLOPE, digits=2000, x=x, s=s),
        ),
    )
    for got, want in pairs:
        assert abs(float(got) - float(want)) <= (1e-13 + 1e-15 * abs(s * x)) * abs(want)
    low, high = 0.01, 10.0
    top = min(high, math.exp(-b))
    sizes = {"lambda_": value, "b": b, "w": w, "low": low, "high": high, "sigma2": 1.0}
    got = dynamics.revival_gradient(value, b, base=w, beta_range=(low, high), noise_variance=1.0)
    with mpmath.workdps(80):
        end = mpmath.mpf(high) if top == high else mpmath.exp(-mpmath.mpf(b))
        want = evaluate(forms.REVIVAL_GRADIENT, digits=80, top=end, **sizes)
    assert_close(float(got), float(want), scale=abs(float(want)) + w * w * (1 + value))
    stated = evaluate(forms.REOPENING_RATE, **{k: v for k, v in sizes.items() if k != "b"})
    rate = dynamics.reopening_rate(value, base=w, beta_range=(low, high), noise_variance=1.0)
    assert_close(
        float(rate), float(stated), scale=abs(float(stated)) * (1 + low / abs(value - low))
    )


def test_bounds_of_the_gates() -> None:
    for s in (0.5, 3.0, 40.0):
        x = np.linspace(-8, 8, 4001) / s
        steepest = -dynamics.smoothed_gate_slope(x, s).min()
        assert steepest <= float(evaluate(forms.SLOPE_BOUND, s=s))
        apart = (dynamics.smoothed_gate(x, s) - dynamics.smoothed_gate(x)).max()
        assert apart == pytest.approx(float(evaluate(forms.GATE_ERROR, s=s)), rel=1e-9)
