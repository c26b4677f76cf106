"""The claims on the landscape hold on everything drawn, and notice what would break them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import linvae as lv
import linvae.claims.landscape as claims
import linvae.landscape._blocks as blocks
import linvae.landscape._descent as descent
import linvae.landscape._points as points
from linvae.claims.types import Check, Setting
from linvae.frontier import Frontier
from linvae.testing.strategies import KINDS, Problem, problems

SPECTRUM = lv.Spectrum.from_eigenvalues([5.0, 3.0, 2.0, 1.0, 0.4, 0.1])


def check(name: str, spectrum: lv.Spectrum = SPECTRUM, k: int = 3, s2: float = 0.5) -> Check:
    curve = Frontier(spectrum, latent_dim=k, noise_variance=s2)
    top = float(curve.critical_betas[0]) if spectrum.rank else 1.0
    setting = Setting(spectrum, k, s2, np.geomspace(top / 50, top * 10, 25))
    claim = next(c for c in claims.LANDSCAPE_CLAIMS if c.id == name)
    return claim.check(setting, claim)


@settings(max_examples=40)
@given(problems(kinds=KINDS))
def test_on_drawn_problems(problem: Problem) -> None:
    for claim in claims.LANDSCAPE_CLAIMS:
        found = check(claim.id, problem.spectrum, problem.k, problem.s2)
        assert found.passed, found
        assert (found.status == "holds") == (problem.spectrum.rank > 0)


@settings(max_examples=15)
@given(problems(extreme=True))
def test_at_extreme_scales(problem: Problem) -> None:
    for claim in claims.LANDSCAPE_CLAIMS:
        assert check(claim.id, problem.spectrum, problem.k, problem.s2).passed


def test_they_look_at_more_than_the_optimum() -> None:
    counts = [int(re.findall(r"\d+", check(c.id).note)[0]) for c in claims.LANDSCAPE_CLAIMS]
    assert min(counts) >= 12, counts


def test_leading_spectra_are_left_out() -> None:
    samples = np.random.default_rng(0).standard_normal((40, 9)) @ np.diag(np.arange(9, 0, -1.0))
    part = lv.Spectrum.from_samples(samples, leading=5)
    assert {check(c.id, part).status for c in claims.LANDSCAPE_CLAIMS} == {"not applicable"}


def wrong(function: Callable[..., Any], change: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: change(function(*args))


def longer(block: Any) -> Any:
    """A gain that is a thousandth too large."""
    return block and dataclasses.replace(block, gains=block.gains * 1.001)


FAULTS: list[tuple[str, Any, str, Any]] = [
    ("excess", points, "_block", wrong(points._block, longer)),
    ("excess", points, "_paid", wrong(points._paid, lambda paid: 1.001 * paid)),
    ("excess", points, "block_deficit", wrong(blocks.block_deficit, lambda lost: 1.001 * lost)),
    ("excess", blocks, "_phi", lambda ratio: 0.0 * ratio),
    ("excess", points, "swap_saving", wrong(descent.swap_saving, lambda saved: 1.001 * saved)),
    ("excess", points, "_excess", wrong(points._excess, lambda excess: 2 * excess)),
    ("excess", points, "block_root", wrong(blocks.block_root, lambda x: 1.001 * x)),
    ("excess", points, "block_mixing",
     lambda shares, q, rng: np.eye(q)[:, : shares.size]),
    ("index", points, "index_and_nullity",
     wrong(blocks.index_and_nullity, lambda pair: (max(0, pair[0] - 1), pair[1]))),
    ("index", points, "index_and_nullity",
     wrong(blocks.index_and_nullity, lambda pair: (pair[0] + 1, pair[1]))),
    ("index", blocks, "_between", lambda *args: (0, 0)),
    ("landscape", points, "swap",
     wrong(descent.swap, lambda way: dataclasses.replace(way, curvature=-way.curvature))),
    ("landscape", points, "swap", lambda *args: None),
    ("landscape", points, "revival",
     wrong(descent.revival, lambda way: dataclasses.replace(way, drop=1.001 * way.drop))),
    ("landscape", points, "revival",
     wrong(descent.revival, lambda way: dataclasses.replace(way, _target=-0.99 * way._target))),
    ("landscape", points, "turn",
     wrong(descent.turn, lambda way: dataclasses.replace(way, _sizes=(0.0, 0.0)))),
    ("landscape", points, "turn", lambda *args: None),
]  # fmt: skip


@pytest.mark.parametrize(("claim", "module", "name", "fault"), FAULTS)
def test_each_claim_notices_its_faults(
    claim: str, module: Any, name: str, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check(claim).status == "holds"
    monkeypatch.setattr(module, name, fault)
    assert check(claim).status == "fails"
