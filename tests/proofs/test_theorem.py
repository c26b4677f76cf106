"""The proofs about Theorem 1 hold, and notice when a formula they speak of is changed."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import sympy as sp

from linvae.symbolic import modes, theorem
from linvae.symbolic.symbols import beta, d, lam, s2, x
from linvae.verification import CLAIMS
from proofs.argument import Proof

MODULES = {
    "t1_a": "T1.a",
    "t1_b": "T1.b",
    "t1_c": "T1.c",
    "t1_d": "T1.d",
    "t1_d_rounding": "T1.d+",
    "t1_e": "T1.e",
    "t1_f": "T1.f",
    "standardised": "standardised",
    "constant_gates": "constant-gates",
    "sigmoid_bound": "sigmoid-cost",
}
STATEMENTS = {claim.id: claim.statement for claim in CLAIMS}
OPEN = 1 - sp.exp(x)


def _prove(module: str) -> Proof:
    return importlib.import_module(f"proofs.{module}").prove()


def _gate(value: Any, closed: Any = sp.S.Zero) -> sp.Piecewise:
    return sp.Piecewise((value, sp.exp(x) < 1), (closed, True))


@pytest.mark.parametrize(("module", "claim"), MODULES.items())
def test_proved(module: str, claim: str) -> None:
    proof = _prove(module)
    assert [step.text for step in proof.steps if not step.holds] == []
    assert proof.verdict == "proved"
    assert proof.claim == claim
    if claim in STATEMENTS:
        assert proof.statement == STATEMENTS[claim]
    assert len(set(proof.steps)) == len(proof.steps), "a step is made twice"


# module, what is changed, its name, what it becomes
FAULTS = [
    ("t1_a", modes, "DECODER_GAIN", modes.DECODER_GAIN * 2),
    ("t1_a", modes, "CRITICAL_BETA", lam / s2**2),
    ("t1_a", modes, "OBJECTIVE", modes.OBJECTIVE + beta * modes.RATE),
    ("t1_a", theorem, "GATED_DECODER_GAIN", sp.sqrt(lam) * _gate(OPEN).subs(x, theorem.GATE_INPUT)),
    ("t1_a", theorem, "GATE_INPUT", sp.log(beta) - sp.log(s2) - sp.log(lam)),
    ("t1_a", theorem, "CONSTANT_BIAS", theorem.CONSTANT_BIAS | {"sqrt_relu": sp.log(sp.S(1) / 2)}),
    ("t1_b", modes, "ENCODER_GIVEN_DECODER", d / (d**2 + beta)),
    ("t1_b", modes, "POSTERIOR_GIVEN_DECODER", beta * s2 / (d**2 + beta * s2 + 1)),
    ("t1_b", theorem, "PUBLISHED_ENCODER_GAIN", theorem.PUBLISHED_ENCODER_GAIN.subs(s2, s2**2)),
    ("t1_b", theorem, "PUBLISHED_POSTERIOR_VARIANCE", 1 - theorem.PUBLISHED_POSTERIOR_VARIANCE),
    ("t1_b", theorem, "CONSTANT_FACTOR", theorem.CONSTANT_FACTOR | {"sigmoid": sp.S(1)}),
    ("t1_c", theorem, "SIGMOID", sp.exp(x)),
    ("t1_c", theorem, "SIGMOID", 1 / (1 + sp.exp(-2 * x))),
    ("t1_c", modes, "ENCODER_GAIN", modes.ENCODER_GAIN / 2),
    ("t1_c", modes, "ENCODER_GAIN", modes.ENCODER_GAIN.subs(beta, 1 / beta)),
    ("t1_c", modes, "POSTERIOR_VARIANCE", modes.POSTERIOR_VARIANCE**2),
    ("t1_c", modes, "POSTERIOR_VARIANCE", modes.POSTERIOR_VARIANCE.subs(beta, 1 / beta)),
    ("t1_d", modes, "ENCODER_GAIN", modes.ENCODER_GAIN * sp.sqrt(lam)),
    ("t1_d", modes, "POSTERIOR_VARIANCE", modes.POSTERIOR_VARIANCE**2),
    ("t1_d", modes, "OPTIMAL_RATE", modes.OPTIMAL_RATE * 2),
    ("t1_d", modes, "OPTIMAL_SQUARED_ERROR", modes.OPTIMAL_SQUARED_ERROR + 1),
    ("t1_d", theorem, "MIN_EXP", theorem.MIN_EXP**2),
    ("t1_d", theorem, "SQRT_RELU", _gate(OPEN)),
    ("t1_d", theorem, "GATED_ENCODER_GAIN", theorem.GATED_DECODER_GAIN),
    ("t1_d", theorem, "GATED_POSTERIOR_VARIANCE", 1 / (1 + lam / (beta * s2))),
    ("t1_d_rounding", theorem, "SQRT_RELU", _gate(sp.sqrt(1 - sp.exp(2 * x)))),
    ("t1_d_rounding", theorem, "GATE_CONDITION", theorem.GATE_CONDITION * 2),
    ("t1_d_rounding", theorem, "MIN_EXP", _gate(sp.exp(2 * x), sp.S.One)),
    ("t1_d_rounding", theorem, "ROUNDING_UNIT", theorem.ROUNDING_UNIT / 2),
    ("t1_e", theorem, "POSTERIOR_EXCESS", theorem.POSTERIOR_EXCESS + 1),
    ("t1_e", theorem, "DEPTH_PRODUCT", theorem.DEPTH_PRODUCT.subs(x, 2 * x)),
    ("t1_e", theorem, "DEPTH_ERROR", theorem.DEPTH_ERROR / 2),
    ("t1_e", theorem, "WIDTH_PRODUCT", theorem.WIDTH_PRODUCT.subs(x, -x)),
    ("t1_e", theorem, "WIDTH_LIMIT", theorem.WIDTH_LIMIT**2),
    ("t1_e", theorem, "WIDTH_ERROR", theorem.WIDTH_ERROR / 2),
    ("t1_e", theorem, "LIMIT_POSTERIOR", theorem.LIMIT_POSTERIOR * 2),
    ("t1_e", theorem, "LIMIT_POSTERIOR_ERROR", theorem.LIMIT_POSTERIOR_ERROR**2),
    ("t1_e", modes, "ENCODER_GAIN", modes.ENCODER_GAIN * 2),
    ("t1_e", theorem, "LEAST_SUP_EXCESS", sp.S.Zero),
    ("t1_f", modes, "DECODER_GIVEN_ENCODER", modes.DECODER_GIVEN_ENCODER * beta),
    ("t1_f", modes, "RATE", modes.RATE + d**2),
    ("t1_f", modes, "ENCODER_GIVEN_DECODER", d / (d**2 + beta)),
    ("t1_f", theorem, "PUBLISHED_ENCODER_GAIN", 2 * theorem.PUBLISHED_ENCODER_GAIN),
    ("standardised", theorem, "STANDARD_MEAN", sp.log((theorem.low + theorem.high) / 2)),
    ("standardised", theorem, "STANDARD_STD", theorem.STANDARD_STD * 2),
    ("standardised", theorem, "STANDARD_SLOPE", theorem.w / theorem.STANDARD_STD),
    ("standardised", theorem, "STANDARD_BIAS", theorem.b - theorem.w * theorem.STANDARD_MEAN),
    ("constant_gates", theorem, "CONSTANT_BIAS",
     theorem.CONSTANT_BIAS | {"sqrt_relu": sp.log(sp.Rational(1, 4))}),
    ("constant_gates", theorem, "CONSTANT_FACTOR", theorem.CONSTANT_FACTOR | {"sigmoid": sp.S(3)}),
    ("constant_gates", theorem, "SIGMOID", 1 / (2 + sp.exp(-x))),
    ("sigmoid_bound", theorem, "LEAST_SUP_EXCESS", sp.Rational(35, 100_000)),
    ("sigmoid_bound", theorem, "INSIDE", sp.Rational(9, 10)),
    ("sigmoid_bound", theorem, "POSTERIOR_EXCESS", theorem.POSTERIOR_EXCESS * 2),
    ("sigmoid_bound", theorem, "READOUT_EXCESS", theorem.READOUT_EXCESS * 2),
    ("sigmoid_bound", theorem, "READOUT_EXCESS",
     theorem.READOUT_EXCESS.subs(sp.Max(1, sp.exp(x)), sp.exp(x))),
    ("sigmoid_bound", theorem, "READOUT_EXCESS",
     theorem.READOUT_EXCESS.subs(sp.Max(1, sp.exp(x)), sp.S.One)),
    ("sigmoid_bound", theorem, "GATE_BUMP", theorem.GATE_BUMP / 2),
    ("sigmoid_bound", theorem, "GATE_DROP", theorem.GATE_DROP / 2),
    ("sigmoid_bound", theorem, "SHARE", theorem.SHARE + 1),
    ("sigmoid_bound", theorem, "LEAST_SHARE", 2 * theorem.LEAST_SHARE),
    ("sigmoid_bound", theorem, "SIGMOID", theorem.SIGMOID.subs(x, 2 * x)),
    ("sigmoid_bound", modes, "POSTERIOR_VARIANCE", modes.POSTERIOR_VARIANCE / 2),
]  # fmt: skip


@pytest.mark.parametrize(
    ("module", "holder", "name", "changed"),
    FAULTS,
    ids=[f"{fault[0]}-{fault[2]}-{i}" for i, fault in enumerate(FAULTS)],
)
def test_a_changed_formula_is_noticed(
    monkeypatch: pytest.MonkeyPatch, module: str, holder: Any, name: str, changed: Any
) -> None:
    source = importlib.import_module(f"proofs.{module}")
    monkeypatch.setattr(holder, name, changed)
    try:
        verdict = source.prove().verdict
    except (ValueError, TypeError, IndexError, AttributeError):
        return  # the derivation does not even reach its end
    assert verdict == "fails"


def test_the_arithmetic_of_the_bound_encloses_what_it_rounds() -> None:
    """The arithmetic is in rational numbers, and its brackets enclose the exponential."""
    source = importlib.import_module("proofs.sigmoid_bound")
    for at in (sp.Rational(-183, 50), sp.Rational(-3, 5), sp.S.Zero, sp.Rational(23, 10), sp.S(9)):
        low, high = source.exp_bounds(at)
        assert low.is_Rational
        assert high.is_Rational
        assert bool(low <= sp.exp(at).evalf(40))
        assert bool(high >= sp.exp(at).evalf(40))
    with pytest.raises(ValueError, match="do not bound"):
        source.exp_bounds(sp.S(31))
    with pytest.raises(ValueError, match="does not bound"):
        source._rounded_up(lambda size: False)
    assert source._rounded_up(lambda size: size >= sp.Rational(5, 2)) == sp.Rational(5, 2)
    for at, sign in ((sp.S.Zero, -1), (sp.Rational(-3, 5), 1)):
        size = source.reach(at, sign)
        excess = theorem.POSTERIOR_EXCESS.subs({x: at, theorem.delta: sign * size}).evalf(30)
        assert 0 < excess - theorem.LEAST_SUP_EXCESS < sp.Rational(1, 10**6)
