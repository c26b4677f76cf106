"""``linvae verify --certify``: what is printed is what is proved, and over which β."""

from __future__ import annotations

import json
import re
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import linvae as lv
from linvae.certificates import sigmoid_cost, sigmoid_gate_bound
from linvae.cli import main
from linvae.cli.certify import outward

DATA = np.random.default_rng(0).standard_normal((40, 4)) * [3.0, 2.0, 1.0, 0.5]


@pytest.fixture
def data(tmp_path: Path) -> str:
    path = tmp_path / "data.npy"
    np.save(path, DATA)
    return str(path)


@given(st.floats(1e-300, 1e300), st.sampled_from(["<=", ">="]))
def test_a_printed_bound_never_claims_more(value: float, relation: str) -> None:
    printed, exact = Decimal(outward(value, relation)), Decimal(value)
    assert printed >= exact if relation == "<=" else printed <= exact
    assert abs(printed - exact) <= exact * Decimal("0.1")


def test_ends() -> None:
    assert outward(0.0, "<=") == "0"
    assert outward(float("inf"), "<=") == "inf"
    assert outward(0.00558, ">=") == "5.5e-3"
    assert outward(9.99e-16, "<=") == "1.0e-15"


def test_the_range_is_said(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["verify", data, "--latent-dim", "2", "--noise-variance", "1", "--certify"]
    assert main([*call, "--beta", "0.5", "2"]) == 0
    out = capsys.readouterr().out
    assert "at every β from 0.5 to 2" in out
    assert "bounds certified" in out
    assert main([*call, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    low, high = document["certified_beta_range"]
    critical = np.linalg.eigvalsh(np.cov(DATA.T, ddof=0))[-2:]
    assert low < critical[0] < critical[1] < high
    names = {c["claim"] for c in document["certificates"]}
    assert {"gates.decoder", "frontier.rate", "sigmoid.any_gates"} <= names
    assert all(c["status"] == "certified" for c in document["certificates"])


def test_the_claim_quotes_what_is_certified() -> None:
    """Without ball arithmetic `verify` still names the bounds; they must be the certified ones."""
    spectrum = lv.Spectrum.from_eigenvalues([2.0, 1.0])
    checks = lv.verify(spectrum, latent_dim=1, noise_variance=1.0)
    note = next(check.note for check in checks if check.claim == "T1.c")
    quoted = re.search(r"--certify proves at least (\S+) and (\S+)\)", note)
    assert quoted
    for text, bound in zip(
        quoted.groups(), (sigmoid_gate_bound(gates=1), sigmoid_cost()), strict=True
    ):
        assert bound.passed
        assert 0.9 * bound.bound <= float(text) <= bound.bound


def test_without_ball_arithmetic_it_stops_before_the_claims(
    data: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "flint", None)
    assert main(["verify", data, "--latent-dim", "2", "--certify"]) == 2
    printed = capsys.readouterr()
    assert "claim" not in printed.out
    assert printed.err.count("\n") == 1
    assert "pip install linvae[certify]" in printed.err
