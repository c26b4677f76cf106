"""The bound on products of sigmoids: each step of its argument, on products drawn at random."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from linvae.claims.sigmoid_bound import (
    HIGH,
    INSIDE,
    LOW,
    chord_bounds,
    drops,
    least_excess_of_any_product,
    least_share_beside,
    tolerances,
)
from linvae.claims.sigmoid_fit import best_posterior_fit, posterior_excess
from linvae.testing.strategies import generators


def product(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """Logarithm of a product of a few sigmoids."""
    gates = rng.integers(1, 6)
    w, b = rng.normal(0, 2, (gates, 1)), rng.normal(0, 2, (gates, 1))
    argument = w * x + b
    return np.asarray(rng.normal() - np.logaddexp(0.0, -argument).sum(axis=0))


def test_the_bound_lies_below_every_fit_found() -> None:
    bound = least_excess_of_any_product()
    assert 3e-4 < bound < 1e-3
    for gates in (1, 2, 3, 5):
        assert best_posterior_fit(gates, minimax=True, starts=4).worst_excess > bound


def test_tolerances_invert_the_excess() -> None:
    x = np.linspace(LOW, HIGH, 31)
    for excess in (1e-6, 1e-3, 0.3):
        below, above = tolerances(excess, x)
        target = np.minimum(x, 0.0)
        assert (below >= above).all()  # the excess is steeper above
        for log_c in (target - below, target + above):
            np.testing.assert_allclose(posterior_excess(log_c, x), excess, rtol=1e-6)


@given(generators())
def test_slopes_of_any_product_obey_the_chord_bounds(rng: np.random.Generator) -> None:
    # Whatever the product's own worst excess is, the bounds for that excess hold.
    x = np.linspace(LOW, HIGH, 2001)
    log_c = product(rng, x)
    step = log_c - np.minimum(x, 0.0)
    excess = float(posterior_excess(np.clip(step, -600, 600) + np.minimum(x, 0.0), x).max())
    ends = np.array([-INSIDE, INSIDE, -2 * INSIDE, 2 * INSIDE])
    slopes = np.interp(ends, x, np.gradient(log_c, x))
    p, q, r, s = chord_bounds(excess * (1 + 1e-3))
    slack = 1e-3 * (1 + np.abs(slopes).max())
    assert slopes[0] >= 1 - p - slack
    assert slopes[1] <= q + slack
    assert slopes[2] <= 1 + r + slack
    assert slopes[3] >= -s - slack


@given(st.floats(0.01, 50.0), st.floats(-6.0, 6.0))
def test_drops_are_integrals_of_the_bump(slope: float, centre: float) -> None:
    def bump(x: float) -> float:
        return float((slope / 2 / np.cosh(np.clip(slope * (x - centre) / 2, -300, 300))) ** 2)

    inside, beside = drops(np.array(slope), np.array(centre))
    points = [centre] if -INSIDE < centre < INSIDE else None
    assert abs(quad(bump, -INSIDE, INSIDE, points=points)[0] - inside) < 1e-6 * max(1, slope)
    edge = 2 * INSIDE
    left = quad(bump, -edge, -INSIDE, points=[np.clip(centre, -edge, -INSIDE)])[0]
    right = quad(bump, INSIDE, edge, points=[np.clip(centre, INSIDE, edge)])[0]
    assert abs(left + right - beside) < 1e-6 * max(1, slope)


@given(st.floats(-4.0, 5.0).map(np.exp), st.floats(-8.0, 8.0), st.floats(1.0, 1.6))
def test_no_gate_has_a_smaller_share_beside(slope: float, centre: float, most: float) -> None:
    inside, beside = drops(np.array(slope), np.array(centre))
    if 1e-12 < inside <= most:
        assert beside >= least_share_beside(most) * inside * (1 - 1e-9)
