"""The claims about two layers hold on everything drawn, and notice what would break them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import linvae as lv
import linvae.hierarchical as hierarchical
import linvae.hierarchical.bottom_up as bottom_up
from linvae.claims.hierarchical import HIERARCHICAL_CLAIMS
from linvae.claims.types import Check, Setting
from linvae.testing.strategies import KINDS, Problem, problems

SPECTRUM = lv.Spectrum.from_eigenvalues([5.0, 3.0, 2.0, 1.0, 0.4, 0.1])


def setting_of(problem: Problem) -> Setting:
    alive = problem.critical[problem.critical > 0]
    top = float(alive[0]) if alive.size else 1.0
    low = float(alive[-1]) if alive.size else 1.0
    betas = np.geomspace(0.3 * low, 2 * top, 7)
    return Setting(problem.spectrum, problem.k, problem.s2, betas)


def checks(setting: Setting) -> dict[str, Check]:
    return {claim.id: claim.check(setting, claim) for claim in HIERARCHICAL_CLAIMS}


PLAIN = Setting(SPECTRUM, 4, 0.5, np.geomspace(0.1, 20.0, 7))


@settings(max_examples=25)
@given(problems(kinds=KINDS))
def test_on_drawn_problems(problem: Problem) -> None:
    for check in checks(setting_of(problem)).values():
        assert check.passed, check


@settings(max_examples=15)
@given(problems(extreme=True))
def test_at_extreme_scales(problem: Problem) -> None:
    for check in checks(setting_of(problem)).values():
        assert check.passed, check


@settings(max_examples=10)
@given(problems(kinds=KINDS))
def test_on_leading_eigenpairs(problem: Problem) -> None:
    partial = problem.population.leading(problem.k)
    setting = dataclasses.replace(setting_of(problem), spectrum=partial)
    for check in checks(setting).values():
        assert check.passed, check


def replace_result(cls: Any, name: str, **changes: Callable[[Any], Any]) -> Callable[..., Any]:
    """The method of a class, with some fields of its result changed."""
    true = getattr(cls, name)

    def wrong(self: Any, *args: Any, **options: Any) -> Any:
        got = true(self, *args, **options)
        new = {key: change(getattr(got, key)) for key, change in changes.items()}
        return dataclasses.replace(got, **new)

    return wrong


TOP, LOW = hierarchical.HierarchicalFrontier, bottom_up.BottomUpFrontier
FAULTS: list[tuple[str, Any, str, Callable[..., Any]]] = [
    ("hierarchical", TOP, "at", replace_result(TOP, "at", distortion=lambda v: v + 1e-6)),
    ("hierarchical", TOP, "at", replace_result(TOP, "at", distortion=lambda v: v - 1e-6)),
    ("hierarchical", TOP, "at", replace_result(TOP, "at", rate2=lambda v: v * (1 + 1e-6))),
    ("hierarchical", TOP, "at", replace_result(TOP, "at", attained=lambda v: np.True_)),
    (
        "hierarchical",
        TOP,
        "model",
        replace_result(TOP, "model", decoder=lambda v: v * (1 + 1e-3)),
    ),
    (
        "hierarchical",
        TOP,
        "model",
        replace_result(TOP, "model", prior_variance=lambda v: 1.1 * v),
    ),
    ("hierarchical.bottom-up", LOW, "at", replace_result(LOW, "at", objective=lambda v: v - 1e-6)),
    ("hierarchical.bottom-up", LOW, "at", replace_result(LOW, "at", objective=lambda v: v + 1e-6)),
    (
        "hierarchical.bottom-up",
        LOW,
        "at",
        replace_result(LOW, "at", bounded=lambda v: np.asarray(False)),
    ),
    (
        "hierarchical.bottom-up",
        LOW,
        "model",
        replace_result(LOW, "model", encoder2=lambda v: v * 1.01),
    ),
    (
        "hierarchical.bottom-up",
        LOW,
        "model",
        replace_result(LOW, "model", variance1=lambda v: v * 1.01),
    ),
]


@pytest.mark.parametrize(("claim", "owner", "name", "wrong"), FAULTS)
def test_faults_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
    claim: str,
    owner: Any,
    name: str,
    wrong: Callable[..., Any],
) -> None:
    assert checks(PLAIN)[claim].status == "holds"
    monkeypatch.setattr(owner, name, wrong)
    assert checks(PLAIN)[claim].status == "fails"


def test_a_rate_that_is_too_small_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An objective that forgets part of ℛ₁ is beaten by models that use it."""
    true = hierarchical.HierarchicalVAE.evaluate

    def wrong(self: Any, spectrum: Any, beta1: Any, beta2: Any) -> Any:
        terms = true(self, spectrum, beta1, beta2)
        return dataclasses.replace(terms, objective=terms.objective - 0.1 * beta1 * terms.rate1)

    monkeypatch.setattr(hierarchical.HierarchicalVAE, "evaluate", wrong)
    assert checks(PLAIN)["hierarchical"].status == "fails"
