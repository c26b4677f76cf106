"""The proofs on twins hold, and fail when what they end in is changed."""

from __future__ import annotations

from importlib import import_module

import pytest
import sympy as sp

from linvae.symbolic import modes, twins
from linvae.symbolic.symbols import beta, lam, s2

MODULES = ("fixed_decoder", "frechet", "active_units", "label_information")


@pytest.mark.parametrize("name", MODULES)
def test_proved(name: str) -> None:
    assert import_module(f"proofs.{name}").prove().verdict == "proved"


# The right formulas on the wrong side of the critical β, and from half of it on.
CONDITIONS = (lam < beta * s2, lam > 2 * beta * s2)

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
    *(
        ("active_units", "ACTIVITY", sp.Piecewise((1 - beta * s2 / lam, condition), (0, True)))
        for condition in CONDITIONS
    ),
    *(
        ("frechet", "MODEL_VARIANCE", sp.Piecewise((lam - beta * s2 + s2, condition), (s2, True)))
        for condition in CONDITIONS
    ),
    *(
        ("frechet", "FRECHET", (sp.sqrt(lam) - sp.sqrt(
            sp.Piecewise((lam - beta * s2 + s2, condition), (s2, True)))) ** 2)
        for condition in CONDITIONS
    ),
    ("active_units", "OPTIMAL_RATE", 2 * modes.OPTIMAL_RATE),
    ("active_units", "POSTERIOR_VARIANCE", 1 - modes.POSTERIOR_VARIANCE),
    ("fixed_decoder", "OPTIMAL_RATE",
     sp.Piecewise((sp.log(lam / (beta * s2)) / 2, lam < beta * s2), (0, True))),
    ("fixed_decoder", "DECODER_GAIN", 2 * modes.DECODER_GAIN),
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


def test_shares_of_classes_are_summed_only_if_proportional_to_their_weights() -> None:
    proof = import_module("proofs.label_information")
    weight = proof._weights[proof._i]
    assert proof.over_others(3 * weight) == 3 * proof.missed
    with pytest.raises(ValueError, match="not a constant times"):
        proof.over_others(weight**2)
