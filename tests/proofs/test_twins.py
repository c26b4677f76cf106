"""The proofs on twins hold, and fail when what they end in is changed."""

from __future__ import annotations

from importlib import import_module

import pytest
import sympy as sp

from linvae.symbolic import twins
from linvae.symbolic.symbols import beta, lam, s2

MODULES = ("fixed_decoder", "frechet", "active_units", "label_information")


@pytest.mark.parametrize("name", MODULES)
def test_proved(name: str) -> None:
    assert import_module(f"proofs.{name}").prove().verdict == "proved"


FAULTS = [
    ("fixed_decoder", "FIXED_DECODER_RATE", twins.FIXED_DECODER_RATE * 2),
    ("fixed_decoder", "FIXED_DECODER_SQUARED_ERROR", twins.FIXED_DECODER_SQUARED_ERROR + lam),
    ("fixed_decoder", "POSTERIOR_GIVEN_DECODER", sp.sqrt(lam)),
    ("fixed_decoder", "ENCODER_GIVEN_DECODER", lam),
    ("fixed_decoder", "WATER_LEVEL", 2 * beta * s2),
    ("frechet", "FRECHET", sp.Piecewise((lam, lam > beta * s2), (s2, True))),
    ("frechet", "MODEL_VARIANCE", sp.Piecewise((lam, lam > beta * s2), (s2, True))),
    ("active_units", "ACTIVITY", sp.Piecewise((1 - beta / lam, lam > beta * s2), (0, True))),
    ("active_units", "CRITICAL_BETA", lam),
    ("label_information", "FANO", twins.FANO + twins.ACCURACY - 1),
    ("label_information", "FANO", twins.FANO.subs(twins.CLASSES, twins.CLASSES + 1)),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name", "wrong"), FAULTS)
def test_a_wrong_formula_is_noticed(
    module: str, name: str, wrong: sp.Expr, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = import_module(f"proofs.{module}")
    monkeypatch.setattr(proof, name, wrong)
    assert proof.prove().verdict == "fails"
