"""Certified costs of sigmoid gates: each step of the proofs, on gates drawn at random."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize

pytest.importorskip("flint")

from linvae.certificates import _excess, sigmoid_cost, sigmoid_gate_bound
from linvae.certificates import sigmoid_five_points as five
from linvae.certificates import sigmoid_one_gate as one
from linvae.certificates._balls import above, ball, below, working
from linvae.claims.sigmoid_bound import least_excess_of_any_product
from linvae.claims.sigmoid_fit import best_posterior_fit, posterior_excess
from linvae.testing.strategies import generators

# The nodes of the proofs are among these x: there the bounds hold to the last digit.
X = np.union1d(np.linspace(np.log(0.01), np.log(10.0), 601), [*five._NODES, *one._POINTS])
NODES, HEIGHTS = np.array(five._NODES), np.array(five._HEIGHTS)
NU = np.diff(np.concatenate([[0.0], np.diff(HEIGHTS) / np.diff(NODES), [0.0]]))
EXCESS = 3e-3
slopes = st.floats(-4.0, 4.0).map(np.exp)
centres = st.floats(-5.0, 5.0)


def worst_excess(parameters: np.ndarray) -> float:
    """Worst excess of log base, slopes, biases."""
    gates = parameters.size // 2
    w, b = parameters[1 : 1 + gates, None], parameters[1 + gates :, None]
    log_c = parameters[0] - np.logaddexp(0.0, -(w * X + b)).sum(axis=0)
    return float(posterior_excess(np.minimum(log_c, 300.0), X).max())


def tent(x: float) -> float:
    return float(np.interp(x, NODES, HEIGHTS, left=0.0, right=0.0))


def bump(w: float, m: float, x: float) -> float:
    return float((w / 2 / np.cosh(np.clip(w * (x - m) / 2, -300, 300))) ** 2)


def log_gate(w: float, m: float, x: np.ndarray) -> np.ndarray:
    return -np.logaddexp(0.0, -w * (x - m))


def admissible(w: float, m: float, excess: float = EXCESS) -> bool:
    with working():
        triples = five._triples(excess)
        return all(t.at(ball(w), ball(m)) <= t.most for t in triples)


def test_the_bounds_are_certified_and_lie_below_every_fit_found() -> None:
    single, any_number = sigmoid_gate_bound(gates=1), sigmoid_cost()
    for certificate in (single, any_number):
        assert certificate.status == "certified"
        assert certificate.relation == ">="
        assert certificate.bound == certificate.radius > 0
        assert certificate.boxes > 100
    assert single.bound >= 4e-3
    assert any_number.bound >= 1e-3
    assert any_number.bound < single.bound
    # What the registry of claims states follows from the sharper, certified bound.
    assert least_excess_of_any_product() <= any_number.bound
    for gates in (1, 2, 4):
        least = sigmoid_gate_bound(gates=gates).bound
        found = best_posterior_fit(gates, minimax=True, starts=4).worst_excess
        assert least <= found


@pytest.mark.slow
@pytest.mark.parametrize("gates", [1, 2, 3])
def test_no_search_beats_the_bounds(gates: int) -> None:
    rng = np.random.default_rng(gates)
    bound = sigmoid_gate_bound(gates=gates).bound
    best = np.inf
    for scale in (0.5, 1.0, 2.0, 4.0):
        for _ in range(2):
            start = scale * rng.standard_normal(1 + 2 * gates)
            for _ in range(3):  # restarts of the simplex
                end = minimize(worst_excess, start, method="Nelder-Mead", options={"maxiter": 1500})
                start = end.x
            best = min(best, end.fun)
    assert best >= bound
    # The bound is not idle either.
    assert gates == 3 or best <= 1.1 * bound


def test_more_gates_than_one_share_a_bound() -> None:
    assert sigmoid_gate_bound(gates=2) == sigmoid_gate_bound(gates=7) == sigmoid_cost()
    assert sigmoid_gate_bound(gates=2, excess=1e-3).bound == 1e-3


@given(generators(), st.integers(1, 6), st.floats(-2.0, 2.5))
def test_every_product_costs_at_least_the_bound(
    rng: np.random.Generator, gates: int, spread: float
) -> None:
    w, b = np.exp(spread) * rng.standard_normal((2, gates))
    log_c = -np.logaddexp(0.0, -(w[:, None] * X + b[:, None])).sum(axis=0)
    # The best base, to within a grid: it lies where log c meets the target somewhere.
    bases = np.quantile(np.minimum(X, 0.0) - log_c, np.linspace(0, 1, 21))
    with np.errstate(over="ignore"):
        worst = posterior_excess(bases[:, None] + log_c, X).max(axis=1)
    assert worst.min() >= sigmoid_gate_bound(gates=gates).bound


@pytest.mark.parametrize("x", [-4.6, -1.0, 0.0, 0.7, 2.3])
@pytest.mark.parametrize("excess", [1e-6, 3e-3, 0.2])
def test_reach_inverts_the_excess_of_the_objective(x: float, excess: float) -> None:
    with working():
        lower, upper = _excess.reach(excess, x)
        ends = np.array([below(-lower), above(upper)]) + _excess.target(x)
    got = posterior_excess(ends, np.array([x, x]))
    assert (got >= excess * (1 - 1e-12)).all()
    assert got == pytest.approx(excess, rel=1e-6)


def test_a_reach_that_was_guessed_too_small_is_enlarged(monkeypatch: pytest.MonkeyPatch) -> None:
    with working():
        right = _excess.reach(3e-3, -1.0)
        monkeypatch.setattr(_excess, "_guess", lambda height, sign: 1e-3)
        for distance, least in zip(_excess.reach(3e-3, -1.0), right, strict=True):
            assert least * 0.999 <= distance <= 4 * least


# --- the five-point proof -----------------------------------------------------------------------


def test_weights_annihilate_affine_functions() -> None:
    with working():
        weights = five._weights()
        assert abs(sum(weights, ball(0))) < 1e-20
        moments = (w * ball(x) for w, x in zip(weights, five._NODES, strict=True))
        assert abs(sum(moments, ball(0))) < 1e-20
        assert [float(w) for w in weights] == pytest.approx(NU)


@given(slopes, centres)
def test_the_functional_is_an_integral_against_the_bump(w: float, m: float) -> None:
    inner = sorted({*NODES.tolist(), float(np.clip(m, NODES[0], NODES[-1]))})
    pieces = pairwise(inner)
    want = sum(quad(lambda x: tent(x) * bump(w, m, x), a, b, limit=200)[0] for a, b in pieces)
    with working():
        got = float(five.Functional(five._NODES, five._weights(), ball(0)).at(ball(w), ball(m)))
    assert got == pytest.approx(want, abs=1e-7 * (1 + w))
    # ... and minus what the logarithm of the gate itself gives, of either sign of its slope.
    for sign in (1, -1):
        assert -NU @ log_gate(sign * w, m, NODES) == pytest.approx(got, abs=1e-9 * (1 + w))


@given(slopes, centres)
def test_an_admissible_gate_never_helps(w: float, m: float) -> None:
    assume(admissible(w, m))
    with working():
        value = five.Functional(five._NODES, five._weights(), ball(0)).at(ball(w), ball(m))
        assert not value < 0  # far from all nodes the ball holds 0


@given(st.floats(0.4, 3.0), st.floats(-1.2, 1.6))
def test_an_admissible_gate_never_helps_where_it_is_closest(w: float, m: float) -> None:
    if admissible(w, m):
        with working():
            value = five.Functional(five._NODES, five._weights(), ball(0)).at(ball(w), ball(m))
            assert value > 0


def test_some_gates_would_help_were_they_admissible() -> None:
    assert not admissible(4.0, 0.0)
    with working():
        whole = five.Functional(five._NODES, five._weights(), ball(0))
        assert whole.at(ball(4.0), ball(0.0)) < 0
    assert admissible(0.9, 0.0)


@given(generators())
def test_products_within_the_band_have_admissible_gates_only(rng: np.random.Generator) -> None:
    # Whatever a product's own worst excess is, its gates are admissible for that excess.
    gates = int(rng.integers(1, 4))
    w, m = rng.normal(0.8, 0.7, gates), rng.normal(0, 1.5, gates)
    log_c = sum(log_gate(a, b, X) for a, b in zip(w, m, strict=True))
    log_c = log_c - np.median(log_c - np.minimum(X, 0.0))
    excess = float(posterior_excess(log_c, X).max()) * (1 + 1e-2)
    assume(excess < 50)
    for a, b in zip(w, m, strict=True):
        assert admissible(abs(float(a)), float(b), excess)


@given(slopes, st.floats(0, 6))
def test_lemma_a(w: float, far: float) -> None:
    with working():
        low, high = five._Lobes.of_nodes().centres
        whole = five.Functional(five._NODES, five._weights(), ball(0))
        for m in (low - far, high + far):
            assert not whole.at(ball(w), ball(m)) < 0


@given(st.floats(1e-3, five._SLOW), st.floats(0, 1))
def test_lemma_b(w: float, share: float) -> None:
    with working():
        low, high = five._Lobes.of_nodes().centres
        whole = five.Functional(five._NODES, five._weights(), ball(0))
        assert whole.at(ball(w), ball(low + share * (high - low))) > 0


@given(st.floats(0.3, 40), st.floats(0, 3), st.sampled_from([-1, 1]))
def test_lemma_c(w: float, extra: float, side: int) -> None:
    with working():
        lobes = five._Lobes.of_nodes()
        zero = float(lobes.zeros[(side + 1) // 2])
        m = zero + side * (1.7500001 / w + extra)
        covered = five._clear_of_the_middle(lobes, ball(w), (m, m))
        nodes = five._NODES[1], five._NODES[3]
        assert covered or not nodes[0] <= zero + side * 1.7500001 / w <= nodes[1]
        if covered:
            whole = five.Functional(five._NODES, five._weights(), ball(0))
            assert not whole.at(ball(w), ball(m)) < 0


@given(st.floats(five._FAST, 500), st.floats(0, 1))
def test_lemma_d(w: float, share: float) -> None:
    with working():
        ends = [float(end) for end in five._left_by_c(five._Lobes.of_nodes())]
    assert not admissible(w, ends[0] + share * (ends[1] - ends[0]))


@given(st.floats(0.2, 16), st.floats(-3, 2), st.floats(0, 1), st.floats(0, 1), st.integers(0, 30))
def test_mean_value_forms_lie_below_the_values(
    w: float, m: float, a: float, b: float, halvings: int
) -> None:
    size = 2.0**-halvings
    box = ((w, w + size), (m, m + size))
    inner = ball(w + a * size), ball(m + b * size)
    with working():
        functionals = [five.Functional(five._NODES, five._weights(), ball(0))]
        functionals += five._triples(EXCESS)
        for functional in functionals:
            bound, value = functional.low_over(box), functional.at(*inner)
            assert bound.lower() <= value.upper()
            assert bound.upper() >= value.lower()


@pytest.mark.parametrize(
    "fault", ["level", "height", "node", "admissible", "wide", "slow", "fast", "long"]
)
def test_a_tampered_proof_does_not_certify(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    level, triples = _excess.level, five._triples

    def twice(excess: float, x: float) -> Any:
        return 2 * level(excess, x)

    def anything(excess: float) -> list[five.Functional]:
        return [five.Functional(t.nodes, t.weights, ball(1e9)) for t in triples(excess)]

    changes: dict[str, tuple[Any, str, Any]] = {
        "level": (_excess, "level", twice),
        "height": (five, "_HEIGHTS", (0.0, 0.5, -1.0, 0.3, 0.0)),
        "node": (five, "_NODES", (-3.75, -0.8125, 0.0, 1.25, 2.4)),
        "admissible": (five, "_triples", anything),
        "wide": (five, "_HEIGHTS", (0.0, 1.5, -1.0, 1.5, 0.0)),
        "slow": (five, "_SLOW", 0.8),
        "fast": (five, "_FAST", 4.0),
        "long": (five, "_LONG", 1.5),
    }
    monkeypatch.setattr(*changes[fault])
    done, _ = five.any_number_of_gates(EXCESS, 5000)
    assert not done


# --- one gate -------------------------------------------------------------------------------------


@given(st.floats(0, 1), st.floats(0, 6), st.floats(0, 1), st.floats(0, 1), st.integers(0, 12))
def test_impossible_boxes_hold_no_good_gate(
    share: float, slope: float, a: float, b: float, halvings: int
) -> None:
    size = 2.0**-halvings
    box = ((share * (1 - size), share * (1 - size) + size), (slope, slope + 6 * size))
    with working(80):
        if not one._box_is_impossible(one._bands(5e-3), box):
            return
    p, w = box[0][0] + a * size, box[1][0] + b * 6 * size
    assume(p < 1)
    f = -np.log(1 - p + p * np.exp(-w * X))
    # The worst excess is quasi-convex in log base: the best one found by ternary search.
    low, high = (np.minimum(X, 0) - f).min(), (np.minimum(X, 0) - f).max()
    for _ in range(80):
        thirds = low + (high - low) / 3, high - (high - low) / 3
        left, right = (posterior_excess(t + f, X).max() for t in thirds)
        low, high = (low, thirds[1]) if left < right else (thirds[0], high)
    assert posterior_excess(low + f, X).max() > 5e-3


@given(st.floats(-4.5, 2.3), st.floats(0, 1), st.floats(0, 1), st.floats(0, 6), st.floats(0, 2))
def test_shapes_are_monotone(x: float, p: float, q: float, w: float, more: float) -> None:
    assume(p < 1 and q < 1)
    with working():
        first = one._shape(x, min(p, q), w)
        second = one._shape(x, max(p, q), w + more)
        assert not (second < first if x > 0 else second > first)
    want = -np.log(1 - min(p, q) + min(p, q) * np.exp(-w * x))
    assert float(first) == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("fault", ["level", "steepest", "points"])
def test_a_tampered_single_gate_does_not_certify(
    monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    level = _excess.level
    changes: dict[str, tuple[Any, str, Any]] = {
        "level": (_excess, "level", lambda excess, x: 1.1 * level(excess, x)),
        "steepest": (one, "_STEEPEST", 3.0),
        "points": (one, "_POINTS", (2.4, *one._POINTS)),
    }
    monkeypatch.setattr(*changes[fault])
    assert not one._one_gate(5.58e-3, 5000).passed


@given(st.floats(6, 200), st.floats(-30, 10))
def test_steep_single_gates_leave_the_band(w: float, m: float) -> None:
    with working():
        assert one._steep_is_impossible(5.58e-3)
    f = log_gate(w, m, X)
    bases = np.linspace((np.minimum(X, 0) - f).min(), (np.minimum(X, 0) - f).max(), 60)
    with np.errstate(over="ignore"):
        assert posterior_excess(bases[:, None] + f, X).max(axis=1).min() > 5.58e-3
