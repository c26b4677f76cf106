"""The claims on fixed decoders and generated data notice what would break them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import linvae as lv
import linvae.claims.twins as claims
import linvae.fixed_decoder as fixed_decoder
from linvae.claims.types import Check, Setting
from linvae.fixed_decoder import FixedDecoderFrontier
from linvae.frontier import Frontier
from linvae.testing.strategies import KINDS, Problem, problems
from linvae.twins import frechet_distance

SPECTRUM = lv.Spectrum.from_eigenvalues([5.0, 3.0, 2.0, 1.0, 0.4, 0.1])


def check(name: str, spectrum: lv.Spectrum = SPECTRUM, k: int = 4, s2: float = 0.5) -> Check:
    curve = Frontier(spectrum, latent_dim=k, noise_variance=s2)
    top = max(float(curve.critical_betas[0]), 1e-300) if spectrum.rank else 1.0
    setting = Setting(spectrum, k, s2, np.geomspace(top / 100, top * 10, 25))
    claim = next(c for c in claims.TWIN_CLAIMS if c.id == name)
    return claim.check(setting, claim)


@settings(max_examples=25)
@given(problems(kinds=KINDS))
def test_on_drawn_problems(problem: Problem) -> None:
    for claim in claims.TWIN_CLAIMS:
        assert check(claim.id, problem.spectrum, problem.k, problem.s2).passed


@settings(max_examples=15)
@given(problems(extreme=True))
def test_at_extreme_scales(problem: Problem) -> None:
    for claim in claims.TWIN_CLAIMS:
        assert check(claim.id, problem.spectrum, problem.k, problem.s2).passed


class Scaled(FixedDecoderFrontier):
    """Rates half as large: the loss without its ½ on the other side."""

    def at_beta(self, beta: Any) -> lv.Terms:
        terms = super().at_beta(np.asarray(beta) * 0.5)
        return lv.Terms(**{**vars(terms), "beta": np.asarray(beta),
                           "objective": terms.distortion + beta * terms.rate})  # fmt: skip


class Lower(FixedDecoderFrontier):
    """Objectives a little too low."""

    def at_beta(self, beta: Any) -> lv.Terms:
        terms = super().at_beta(beta)
        return lv.Terms(**{**vars(terms), "objective": terms.objective - 1e-6})


@pytest.mark.parametrize("fault", [Scaled, Lower])
def test_a_wrong_curve_is_noticed(fault: type, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check("fixed-decoder").passed
    monkeypatch.setattr(claims, "FixedDecoderFrontier", fault)
    assert not check("fixed-decoder").passed


def test_full_above_diagonal_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped(*args: Any, covariance: str) -> FixedDecoderFrontier:
        other = {"full": "diagonal", "diagonal": "full"}[covariance]
        return fixed_decoder.FixedDecoderFrontier(*args, covariance=other)

    monkeypatch.setattr(claims, "FixedDecoderFrontier", swapped)
    assert not check("fixed-decoder").passed


@pytest.mark.parametrize(
    "fault",
    [
        lambda v, s: frechet_distance(v, s, noise=False),
        lambda v, s: frechet_distance(v, s) * (1 + 1e-6),
        lambda v, s: np.sqrt(frechet_distance(v, s)),
    ],
)
def test_a_wrong_distance_is_noticed(fault: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check("frechet").passed
    monkeypatch.setattr(claims, "frechet_distance", fault)
    assert not check("frechet").passed


def test_a_leading_spectrum_has_no_distance() -> None:
    leading = lv.Spectrum(np.zeros(3), np.array([4.0, 2.0]), np.eye(3)[:, :2], 7.0, complete=False)
    assert check("frechet", leading, 2).status == "not applicable"
    assert check("fixed-decoder", leading, 2).passed
