"""Attempts to make sigmoid gates cheaper than the bound of ``sigmoid-cost`` allows."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize

from linvae.claims.sigmoid_fit import best_posterior_fit, posterior_excess
from linvae.symbolic import theorem
from tests.tolerances import EPS

COST = float(theorem.LEAST_SUP_EXCESS)
_FALL = sp.lambdify((theorem.w, theorem.centre, theorem.a), theorem.GATE_DROP, "numpy")
_LEAST = sp.lambdify(theorem.Y, theorem.LEAST_SHARE, "numpy")


def _fall_and_share(w: float, centre: float, a: float) -> tuple[float, float]:
    inside = float(_FALL(w, centre, a))
    return inside, float(_FALL(w, centre, 2 * a)) / inside - 1


def _least(a: float, most: float) -> float:
    y = brentq(lambda y: y * np.tanh(y / 2) - a * most, 0.0, 2 + 2 * a * most)
    return float(_LEAST(y))


@given(
    st.floats(0.01, 30.0), st.booleans(), st.floats(-4.0, 4.0), st.floats(0.1, 2.0), st.floats(0, 4)
)
def test_no_gate_has_less_than_the_least_share(w, negative, centre, a, room):
    """A gate that falls by at most `most` within ±a, wherever its centre is."""
    inside, share = _fall_and_share(-w if negative else w, centre, a)
    most = inside * (1 + room)
    # The share is a quotient less 1.
    assert share >= _least(a, most) * (1 - 1e-9) - 64 * EPS


@pytest.mark.parametrize(("a", "most"), [(0.6, 1.15), (0.6, 1.0), (0.3, 2.0), (1.5, 0.7)])
def test_the_least_share_is_attained_and_not_undercut(a: float, most: float) -> None:
    """Searches over slope and centre under the constraint end at the derived value, centre 0."""
    bound, rng = _least(a, most), np.random.default_rng(0)

    def value(theta: np.ndarray) -> float:
        inside, share = _fall_and_share(float(np.exp(np.clip(theta[0], -5, 5))), theta[1], a)
        return share + 1e3 * max(inside - most, 0.0)

    ends = [
        minimize(value, rng.normal(0, 0.7, 2), method="Nelder-Mead", options={"xatol": 1e-10}).fun
        for _ in range(6)
    ]
    assert min(ends) == pytest.approx(bound, rel=1e-5)
    assert min(ends) >= bound * (1 - 1e-9)


@pytest.mark.parametrize("gates", [1, 3])
def test_no_product_found_costs_less_than_the_bound(gates: int) -> None:
    assert best_posterior_fit(gates, minimax=True, starts=2).worst_excess > COST


def test_a_kink_without_the_shape_of_a_sigmoid_costs_nothing() -> None:
    """The bound is about sigmoids: min(0, x) is concave, and its own excess is 0."""
    x = np.linspace(np.log(0.01), np.log(10.0), 101)
    assert posterior_excess(np.minimum(x, 0.0), x).max() == 0.0


@given(st.integers(0, 2**32 - 1))
def test_no_drawn_product_costs_less_than_the_bound(seed: int) -> None:
    """Gates crowded about the critical β, slopes of a sum near 1: the base is then the best one."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 40))
    w = rng.dirichlet(np.ones(count)) * rng.uniform(0.8, 1.3) * rng.choice([1, -1], count)
    if w.sum() < 0:
        w = -w
    x = np.linspace(np.log(0.01), np.log(10.0), 801)
    log_c = -np.logaddexp(0.0, -(w[:, None] * (x - rng.normal(0, 1, (count, 1))))).sum(axis=0)
    step = log_c - np.minimum(x, 0.0)
    shifts = np.linspace(-step.max(), -step.min(), 400)[:, None]
    worst = posterior_excess(log_c + shifts, x).max(axis=1).min()
    assert worst > COST
