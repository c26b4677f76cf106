"""``linvae check`` with adapters: asked first, believed in what they know, free to decline."""

from __future__ import annotations

import textwrap
from types import SimpleNamespace

import numpy as np
import pytest

import linvae as lv
import linvae.errors
from tests.linvae.cli_tools import assert_refused, strict

from .check_tools import examinations, with_adapter


def adapted(**changes):
    parts = {"library": "theirs", "kind": "loss", "loss": None, "fit": None, "metric": None,
             "evaluation": None, "convert": None, "state": None, "notes": ("guessed this",),
             "betas": None, "noise_variance": None}  # fmt: skip
    return SimpleNamespace(**{**parts, **changes})


def test_an_adapter_is_asked_first_and_its_notes_are_shown(run, mine, monkeypatch):
    def loss(x, x_hat, mean, log_var):
        kl = -0.5 * (1 + log_var - mean**2 - np.exp(log_var)).sum()
        return 0.5 * ((x - x_hat) ** 2).sum() + 3 * kl

    asked = []

    def adapt(thing, *, kind, beta):
        asked.append((thing, kind, beta))
        return adapted(loss=loss)

    with_adapter(monkeypatch, adapt)
    result = run("check", "mine.py:number", "--beta", 3)
    assert result.code == 0
    assert "Note: guessed this." in result.text
    assert asked == [(3, None, 3.0)]
    document = strict(run("check", "mine.py:number", "--beta", 3, "--json").out)
    assert document["adapter"] == {"library": "theirs", "notes": ["guessed this"]}


def test_what_an_adapter_knows_of_a_trainer_is_used(run, mine, monkeypatch):
    calls = examinations(monkeypatch)
    given = adapted(kind="trainer", fit=lambda: None, betas=(1.0,), noise_variance=1.0)
    with_adapter(monkeypatch, lambda thing, **_: given)
    run("check", "mine.py:train")
    run("check", "mine.py:train", "--beta", 2, "--noise-variance", 0.5)
    assert [c[2]["betas"] for c in calls] == [(1.0,), (2.0,)]
    assert [c[2]["noise_variance"] for c in calls] == [1.0, 0.5]


def test_an_adapter_that_cannot_is_bad_input(run, mine, monkeypatch):
    def adapt(thing, **_):
        raise ValueError("loss f: got parameters a; expected x; wrap it")

    with_adapter(monkeypatch, adapt)
    assert_refused(run("check", "mine.py:right"), "wrap it")


def test_an_adapter_that_declines_leaves_plain_code(run, mine, monkeypatch):
    with_adapter(monkeypatch, lambda thing, **_: None)
    assert run("check", "mine.py:right").code == 0


def test_the_adapters_of_torch_end_to_end(run, mine, monkeypatch, tmp_path):
    pytest.importorskip("torch")
    from deep.adapters import adapt

    with_adapter(monkeypatch, adapt)
    (tmp_path / "theirs.py").write_text(
        textwrap.dedent("""
        import torch
        import torch.nn.functional as F

        def loss_function(recon_x, x, mu, logvar):
            kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1).mean()
            return F.mse_loss(recon_x, x) + kl
    """)
    )
    document = strict(run("check", "theirs.py:loss_function", "--json").out)
    assert document["adapter"]["library"] == "torch"
    codes = [f["code"] for f in document["examination"]["findings"]]
    assert codes == ["reconstruction-averaged-over-features"]
    assert run("check", "mine.py:right").code == 0


def test_an_input_error_of_an_adapter_is_kept(run, mine, monkeypatch):
    def adapt(thing, **_):
        raise lv.errors.InputTypeError("thing: got this; expected that; do so")

    with_adapter(monkeypatch, adapt)
    assert_refused(run("check", "mine.py:right"), "do so")
