"""The proofs of the dynamics go through, and fail when a formula in them is wrong."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import sympy as sp

from linvae.symbolic import dynamics as forms
from linvae.symbolic import modes
from linvae.symbolic.symbols import lam, s2

MODULES = ("saddle_escape", "alignment", "annealing", "gate_gradient")


def verdict(module: str) -> str:
    try:
        return importlib.import_module(f"proofs.{module}").prove().verdict
    except (AttributeError, TypeError, ValueError, ZeroDivisionError):
        return "fails"


@pytest.mark.parametrize("module", MODULES)
def test_proved(module: str) -> None:
    proof = importlib.import_module(f"proofs.{module}").prove()
    assert [step.text for step in proof.steps if not step.holds] == []
    assert proof.verdict == "proved"


def flipped(matrix: sp.Matrix) -> sp.Matrix:
    changed = matrix.copy()
    changed[0, 2] = -changed[0, 2]
    return changed


FAULTS: tuple[tuple[str, str, Any], ...] = (
    ("saddle_escape", "ESCAPE_RATE", lambda f: 2 * f),
    ("saddle_escape", "ESCAPE_RATE", lambda f: -f),
    ("saddle_escape", "ESCAPE_RATE", lambda f: f.subs(s2, 2 * s2)),
    ("saddle_escape", "SADDLE_HESSIAN", flipped),
    ("saddle_escape", "OPTIMUM_HESSIAN", flipped),
    ("saddle_escape", "OPTIMUM_INVERSE", flipped),
    ("saddle_escape", "DECODER_ESCAPE_RATE", lambda f: f * modes.WATER_LEVEL / lam),
    ("saddle_escape", "DECODER_CONVERGENCE_RATE", lambda f: f / 2),
    ("saddle_escape", "DECODER_TIME", lambda f: f + 1),
    ("saddle_escape", "DECODER_TIME", lambda f: 2 * f),
    ("alignment", "ALIGNMENT_RATE", lambda f: 2 * f),
    ("alignment", "ALIGNMENT_RATE", lambda f: f.subs(modes.WATER_LEVEL, 2 * modes.WATER_LEVEL)),
    ("alignment", "DECODER_ALIGNMENT_RATE", lambda f: 2 * f),
    ("alignment", "SWAP_RATE", lambda f: -f),
    ("alignment", "DECODER_SWAP_RATE", lambda f: f * s2),
    ("alignment", "ROTATION_EXCESS", lambda f: f.subs(forms.angle, 2 * forms.angle)),
    ("alignment", "ROTATION_EXCESS", lambda f: f + 1),
    ("annealing", "LAG", lambda f: -f),
    ("annealing", "LAG", lambda f: forms.DECODER_LAG),
    ("annealing", "DECODER_LAG", lambda f: 2 * f),
    ("gate_gradient", "GATE", lambda f: f**2),
    ("gate_gradient", "GATE_SLOPE", lambda f: -f),
    ("gate_gradient", "SMOOTHED_GATE", lambda f: f**2),
    ("gate_gradient", "SMOOTHED_SLOPE", lambda f: f / 2),
    ("gate_gradient", "SLOPE_BOUND", lambda f: f / 2),
    ("gate_gradient", "GATE_ERROR", lambda f: f / 2),
    ("gate_gradient", "REVIVAL_INTEGRAND", lambda f: -f),
    ("gate_gradient", "REVIVAL_GRADIENT", lambda f: 2 * f),
    ("gate_gradient", "REOPENING_RATE", lambda f: 2 * f),
)


@pytest.mark.parametrize(("module", "name", "fault"), FAULTS)
def test_a_wrong_formula_is_noticed(
    module: str, name: str, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = getattr(forms, name)
    changed = fault(form)
    assert changed != form
    monkeypatch.setattr(forms, name, changed)
    assert verdict(module) == "fails"


@pytest.mark.parametrize("module", ["saddle_escape", "annealing"])
def test_another_objective_has_other_rates(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes, "OBJECTIVE", modes.OBJECTIVE + modes.RATE)
    assert verdict(module) == "fails"
