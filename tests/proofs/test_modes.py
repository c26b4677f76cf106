"""The proofs of the joint optimum and the curve hold, and notice when a formula is wrong."""

from __future__ import annotations

from functools import cache
from importlib import import_module

import pytest
import sympy as sp

from linvae.symbolic import curve, modes
from linvae.symbolic.symbols import beta, c, d, e, lam, n, s2, tau
from proofs import (
    best_responses,
    critical,
    gap,
    global_optimum,
    inverse,
    mode_objective,
    optimum,
    reduction,
    shannon,
    slope,
    stationarity,
)

PROOFS = (
    mode_objective,
    stationarity,
    best_responses,
    reduction,
    optimum,
    global_optimum,
    critical,
    slope,
    inverse,
    gap,
    shannon,
)


@cache
def _unspoilt(module):
    return module.prove()


def _branches(active, collapsed):
    return sp.Piecewise((active, modes.ACTIVE), (collapsed, True))


LEVEL = beta * s2
HALF_RATE = _branches(sp.log(lam / LEVEL) / 4, 0)
NO_FLOOR = _branches(LEVEL, LEVEL)
NEVER_DEAD = beta * (lam / LEVEL - 1 - sp.log(lam / LEVEL)) / 2
MISSING_ONE = (c + lam * e**2 - sp.log(c)) / 2
PLAIN_ERROR = lam * (1 - d * e) ** 2 + d * c
UNHALVED = modes.SQUARED_ERROR / s2 + beta * modes.RATE
OTHER_WEIGHT = modes.SQUARED_ERROR / (2 * s2) + beta**2 * modes.RATE

FAULTS = [
    (mode_objective, modes, "SQUARED_ERROR", PLAIN_ERROR),
    (mode_objective, modes, "RATE", MISSING_ONE),
    (mode_objective, modes, "OBJECTIVE", UNHALVED),
    (
        mode_objective,
        mode_objective,
        "gaussian_kl_formula",
        lambda m, v: (v + m - 1 - sp.log(v)) / 2,
    ),
    (mode_objective, mode_objective, "traces", lambda S, E, D, C: (S.trace(), C.trace())),
    (stationarity, modes, "OBJECTIVE", UNHALVED),
    (stationarity, modes, "OBJECTIVE", OTHER_WEIGHT),
    (stationarity, modes, "DECODER_GAIN", _branches(sp.sqrt(lam), 0)),
    (stationarity, modes, "ENCODER_GAIN", _branches(sp.sqrt(lam - LEVEL) / sp.sqrt(lam), 0)),
    (stationarity, modes, "POSTERIOR_VARIANCE", LEVEL / (lam + LEVEL)),
    (stationarity, modes, "POSTERIOR_VARIANCE", _branches(LEVEL / lam, LEVEL / lam)),
    (best_responses, modes, "ENCODER_GIVEN_DECODER", d / (d**2 + 2 * LEVEL)),
    (best_responses, modes, "POSTERIOR_GIVEN_DECODER", LEVEL / (d**2 + lam)),
    (best_responses, modes, "DECODER_GIVEN_ENCODER", lam * e / (lam * e**2 + c + LEVEL)),
    (best_responses, best_responses, "posterior_terms", lambda g: g * c + tau * (c - sp.log(c))),
    (best_responses, best_responses, "sigmoid", lambda x: 1 / (1 + sp.exp(x))),
    (reduction, modes, "WATER_LEVEL", 2 * LEVEL),
    (reduction, modes, "OBJECTIVE", UNHALVED),
    (
        reduction,
        reduction,
        "doubly_stochastic",
        lambda n: sp.Matrix(n, n, sp.symbols(f"P:{n * n}")),
    ),
    (reduction, reduction, "posterior_terms", lambda g: g * c + tau * (c - sp.log(c))),
    (reduction, reduction, "reduced", lambda w: lam * tau / w + sp.log(w / tau)),
    (optimum, modes, "OPTIMAL_RATE", HALF_RATE),
    (optimum, modes, "OPTIMAL_SQUARED_ERROR", NO_FLOOR),
    (optimum, modes, "ENCODER_GAIN", _branches(sp.sqrt(lam - LEVEL) / lam, 1)),
    (optimum, curve, "SEGMENT_RATE", curve.join_rate + sp.log(curve.join_beta / beta) / 2),
    (optimum, curve, "SEGMENT_SQUARED_ERROR", curve.tail + LEVEL),
    (optimum, curve, "DISTORTION", n * sp.log(2 * sp.pi * s2) / 2 + curve.squared_error / s2),
    (global_optimum, modes, "OPTIMAL_RATE", HALF_RATE),
    (global_optimum, modes, "DECODER_GAIN", _branches(sp.sqrt(lam), 0)),
    (global_optimum, modes, "OPTIMAL_SQUARED_ERROR", NO_FLOOR),
    (critical, modes, "CRITICAL_BETA", lam / (2 * s2)),
    (critical, modes, "ACTIVE", lam >= LEVEL),
    (critical, modes, "DECODER_GAIN", _branches(sp.sqrt(lam - LEVEL), 1)),
    (slope, curve, "SLOPE", -2 * beta),
    (slope, curve, "CURVATURE", beta / curve.active),
    (slope, curve, "SEGMENT_RATE", curve.join_rate + curve.active * sp.log(curve.join_beta / beta)),
    (slope, modes, "OPTIMAL_RATE", HALF_RATE),
    (inverse, curve, "BETA_AT_RATE", curve.join_beta * sp.exp(-2 * curve.rate / curve.active)),
    (inverse, curve, "WATER_LEVEL_AT_SQUARED_ERROR", curve.squared_error / curve.active),
    (inverse, curve, "ERROR_CONDITION", curve.squared_error / LEVEL),
    (inverse, curve, "RATE_CONDITION", 1 / curve.active),
    (gap, curve, "COLLAPSED_LOSS", 2 * curve.COLLAPSED_LOSS),
    (gap, curve, "COLLAPSED_LOSS", NEVER_DEAD + sp.Piecewise((0, modes.ACTIVE), (0, True))),
    (gap, modes, "OPTIMAL_RATE", HALF_RATE),
    (shannon, curve, "COLLAPSED_LOSS", curve.COLLAPSED_LOSS / 2),
    (shannon, modes, "OPTIMAL_SQUARED_ERROR", NO_FLOOR),
    (shannon, modes, "OPTIMAL_RATE", HALF_RATE),
    (shannon, shannon, "gaussian_entropy", sp.log),
]


@pytest.mark.parametrize("module", PROOFS, ids=lambda m: m.__name__.split(".")[-1])
def test_proved(module):
    proof = _unspoilt(module)
    assert [step.text for step in proof.steps if not step.holds] == []
    assert proof.verdict == "proved"
    # Cited theorems are few and named; most steps are decided.
    assert sum(step.kind == "exact" for step in proof.steps) >= 10
    assert sum(step.kind == "cited" for step in proof.steps) <= 2


@pytest.mark.parametrize(
    ("module", "owner", "name", "wrong"),
    FAULTS,
    ids=[f"{m.__name__.split('.')[-1]}-{name}-{i}" for i, (m, _, name, _) in enumerate(FAULTS)],
)
def test_a_wrong_formula_fails(module, owner, name, wrong, monkeypatch):
    assert hasattr(import_module(owner.__name__), name)
    # The slowest step, which none of these formulas enters.
    monkeypatch.setattr(best_responses, "_gradients", lambda *_: None)
    monkeypatch.setattr(owner, name, wrong)
    assert module.prove().verdict == "fails"


# The ingredients, on cases known by hand


def test_the_expectation_knows_two_moments_only():
    x, y = sp.symbols("x y")
    covariance = sp.Matrix([[2, 1], [1, 5]])
    assert mode_objective.expectation((x + 3 * y) ** 2 + x + 7, [x, y], covariance) == 60
    with pytest.raises(ValueError, match="two moments"):
        mode_objective.expectation(x**2 * y, [x, y], covariance)


def test_traces_are_told_apart():
    A, B = sp.MatrixSymbol("A", 2, 3), sp.MatrixSymbol("B", 3, 2)
    assert mode_objective.same_trace(A * B, B * A)
    assert mode_objective.same_trace(A * B, (A * B).T)
    assert not mode_objective.same_trace(A * B, A * A.T)
    assert best_responses.same_matrix(A * (B + B), 2 * A * B)
    assert not best_responses.same_matrix(A * B, -A * B)


def test_the_rearrangement_is_not_empty():
    """For the reversing permutation the difference is positive."""
    direct, by_parts, _ = reduction.abel_difference(sp.Matrix([[0, 1], [1, 0]]))
    values = dict(zip(sp.symbols("l1 l2 a1 a2"), (5, 2, 1, 3), strict=True))
    assert direct.subs(values) == by_parts.subs(values) == 6


def test_the_reduced_objective_sees_only_the_diagonal():
    """Turning the columns of an orthogonal decoder raises it: that is Hadamard's surplus."""
    S = sp.diag(3, 2)
    straight = sp.diag(2, 1)
    turned = straight * sp.Matrix(
        [[sp.Rational(3, 5), sp.Rational(-4, 5)], [sp.Rational(4, 5), sp.Rational(3, 5)]]
    )
    here, there = (reduction.eliminated(D, S).subs(tau, 1) for D in (straight, turned))
    assert sp.simplify(there - here).is_positive
