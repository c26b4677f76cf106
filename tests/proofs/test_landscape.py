"""The proofs on the landscape hold, and fail when what they end in is changed."""

from __future__ import annotations

from importlib import import_module

import pytest
import sympy as sp

from linvae.symbolic import landscape as shape
from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, lam

MODULES = ("landscape_reduced", "landscape_stationary", "landscape_index", "landscape_minima")


@pytest.mark.parametrize("name", MODULES)
def test_proved(name: str) -> None:
    proof = import_module(f"proofs.{name}").prove()
    assert proof.verdict == "proved", [step.text for step in proof.steps if not step.holds]


FAULTS = [
    ("landscape_reduced", shape, "REDUCED_MODE", 2 * shape.REDUCED_MODE),
    ("landscape_stationary", shape, "BLOCK_ROOT", shape.BLOCK_ROOT.subs(shape.r, 1)),
    ("landscape_stationary", shape, "BLOCK_GAIN_SQUARED", shape.BLOCK_GAIN_SQUARED + 1),
    ("landscape_stationary", shape, "BLOCK_DIAGONAL", 2 * shape.BLOCK_DIAGONAL),
    ("landscape_stationary", shape, "BLOCK_SAVING", shape.BLOCK_SAVING + beta * sp.log(shape.root)),
    ("landscape_stationary", shape, "DEFICIT_ALIVE", shape.DEFICIT_ALIVE / 2),
    ("landscape_stationary", shape, "DEFICIT_FAINT", shape.DEFICIT_ALIVE),
    ("landscape_stationary", shape, "DEFICIT_SPARE", shape.DEFICIT_SPARE + beta),
    ("landscape_stationary", shape, "BLOCK_THRESHOLD", shape.BLOCK_THRESHOLD.subs(shape.r, 1)),
    ("landscape_stationary", shape, "SAVING", shape.SAVING + beta / 2),
    ("landscape_stationary", modes, "CRITICAL_BETA", lam),
    ("landscape_index", shape, "SWAP_CURVATURE", -shape.SWAP_CURVATURE),
    ("landscape_index", shape, "REVIVAL_CURVATURE", 2 * shape.REVIVAL_CURVATURE),
    ("landscape_index", shape, "SPARE_CURVATURE", shape.SPARE_CURVATURE.subs(shape.root, 1)),
    ("landscape_index", shape, "BLOCK_SWAP_CURVATURE", shape.SWAP_CURVATURE),
    ("landscape_index", shape, "PAIR_DETERMINANT", -shape.PAIR_DETERMINANT),
    ("landscape_index", shape, "TURN_CURVATURE", shape.TURN_CURVATURE / 2),
    ("landscape_index", shape, "OWN_NEGATIVE", shape.q + 5),
    ("landscape_index", shape, "OWN_NULL", shape.OWN_NULL - 1),
    ("landscape_index", shape, "FREE_NEGATIVE", sp.Integer(1)),
    ("landscape_index", shape, "FREE_NULL", sp.Integer(0)),
    ("landscape_index", shape, "SPARE_NEGATIVE", shape.SPARE_NEGATIVE.subs(shape.root, 1)),
    ("landscape_index", shape, "SPARE_NULL", shape.SPARE_NEGATIVE),
    ("landscape_index", shape, "OTHER_NEGATIVE", shape.OTHER_NULL),
    ("landscape_index", shape, "OTHER_NULL", sp.Integer(0)),
    ("landscape_index", shape, "PAIR_NEGATIVE", sp.Integer(0)),
    ("landscape_index", shape, "PAIR_NULL", sp.Integer(1)),
    ("landscape_index", shape, "index_and_nullity", lambda *data: (sp.Integer(2), sp.Integer(0))),
    ("landscape_minima", shape, "TURN_CURVATURE", shape.TURN_CURVATURE / 2),
    ("landscape_minima", shape, "TURN_CHANGE", shape.TURN_CHANGE.subs(shape.t, 1)),
    ("landscape_minima", shape, "SWAP_CHANGE", -shape.SWAP_CHANGE),
    ("landscape_minima", shape, "SWAP_DROP", shape.REVIVAL_DROP),
    ("landscape_minima", shape, "REVIVAL_CHANGE", 2 * shape.REVIVAL_CHANGE),
    ("landscape_minima", shape, "REVIVAL_CURVATURE", -shape.REVIVAL_CURVATURE),
    ("landscape_minima", shape, "SWAP_CURVATURE", shape.SWAP_CURVATURE / 2),
    ("landscape_minima", modes, "OPTIMAL_RATE",
     sp.Piecewise((sp.log(lam), lam > 1), (0, True))),
]  # fmt: skip


@pytest.mark.parametrize(("module", "holder", "name", "wrong"), FAULTS)
def test_a_wrong_formula_is_noticed(
    module: str, holder: object, name: str, wrong: sp.Expr, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = import_module(f"proofs.{module}")
    monkeypatch.setattr(holder, name, wrong)
    assert proof.prove().verdict == "fails"


def test_a_weaker_theorem_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gain that is not stationary, a rotation that is none, a count that misses subsets."""
    stationary = import_module("proofs.landscape_stationary")
    monkeypatch.setattr(stationary, "mode_power", lambda: shape.root * sp.Symbol("s") - 1)
    assert stationary.prove().verdict == "fails"
    minima = import_module("proofs.landscape_minima")
    monkeypatch.setattr(minima, "saved", lambda ratio: ratio - sp.log(ratio))
    assert minima.prove().verdict == "fails"
    index = import_module("proofs.landscape_index")
    monkeypatch.setattr(index, "mu", index.x * index.a)
    assert index.prove().verdict == "fails"
