"""The certified cost of sigmoid gates: proved, and not when a piece of it is changed."""

from __future__ import annotations

import sys

import pytest
import sympy as sp

from linvae import certificates
from linvae.certificates import Certificate
from linvae.symbolic import theorem
from linvae.symbolic.symbols import x
from proofs import sigmoid_certified as source


def test_it_is_proved() -> None:
    assert source.prove().verdict == "proved"


def test_the_statement_names_the_bounds() -> None:
    assert "5.5e-3 " in source.STATEMENT
    assert source.LEAST == {1: 5.5e-3, 2: 3e-3}


@pytest.mark.parametrize(
    ("where", "name", "wrong"),
    [
        (theorem, "SIGMOID", theorem.SIGMOID.subs(x, 2 * x)),
        (source, "BUMP", source.BUMP / 2),
        (source, "BEND", source.BEND * 2),
        (source, "ENOUGH", sp.Rational(3, 2)),
        (source, "LEAST", {1: 6e-3, 2: 3e-3}),
        (source, "LEAST", {1: 5.5e-3, 2: 3.1e-3}),
    ],
)
def test_a_wrong_piece_is_noticed(
    where: object, name: str, wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, name, wrong)
    assert source.prove().verdict == "fails"


def test_what_is_not_certified_is_not_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Certificate("x", "y", 0.0, ">=", 3e-3, 1, 1, "not certified")
    monkeypatch.setattr(certificates, "sigmoid_cost", lambda: lost)
    assert source.prove().verdict == "fails"


def test_without_ball_arithmetic_it_is_a_sketch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "linvae.certificates", None)
    assert source.prove().verdict == "sketch"
