"""The claims about dynamics hold on everything drawn, and fail when their subject is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import linvae as lv
from linvae.claims import dynamics as claims
from linvae.claims.types import Check, Setting
from linvae.testing.strategies import KINDS, Problem, problems

SPECTRUM = lv.Spectrum.from_eigenvalues([5.0, 3.0, 2.0, 1.0, 0.4, 0.1])


def checks_of(spectrum: lv.Spectrum, latent_dim: int, noise_variance: float) -> list[Check]:
    top = float(spectrum.eigenvalues[0]) / noise_variance or 1.0
    setting = Setting(spectrum, latent_dim, noise_variance, np.geomspace(1e-3, 2, 12) * top)
    return [claim.check(setting, claim) for claim in claims.DYNAMICS_CLAIMS]


@given(problems(kinds=KINDS))
def test_claims_on_drawn_problems(problem: Problem) -> None:
    for check in checks_of(problem.spectrum, problem.k, problem.s2):
        assert check.passed, check
        assert np.isfinite(check.residual)


@settings(max_examples=15)
@given(problems(extreme=True))
def test_claims_at_extreme_scales(problem: Problem) -> None:
    assert all(check.passed for check in checks_of(problem.spectrum, problem.k, problem.s2))


def test_one_latent_cannot_be_rotated() -> None:
    assert checks_of(SPECTRUM, 1, 0.5)[0].status == "not applicable"


def formula(change: Callable[..., Any]) -> Callable[[pytest.MonkeyPatch], None]:
    exact = claims.rotation_excess

    def broken(one: Any, two: Any, beta: Any, angle: Any, *, noise_variance: Any) -> Any:
        return change(exact, one, two, beta, angle, noise_variance)

    return lambda patch: patch.setattr(claims, "rotation_excess", broken)


FAULTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "twice": formula(lambda f, a, b, w, t, s: 2 * f(a, b, w, t, noise_variance=s)),
    "angle": formula(lambda f, a, b, w, t, s: f(a, b, w, 2 * t, noise_variance=s)),
    "level": formula(lambda f, a, b, w, t, s: f(a, b, w, t, noise_variance=2 * s)),
    "nothing": formula(lambda f, a, b, w, t, s: 0.0),
    "decoder not rotated": lambda patch: patch.setattr(claims, "_turned", lambda d, p, t: d),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(check.status == "holds" for check in checks_of(SPECTRUM, 4, 0.5))
    FAULTS[fault](monkeypatch)
    assert any(check.status == "fails" for check in checks_of(SPECTRUM, 4, 0.5))
