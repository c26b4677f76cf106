"""The excess of every stationary point to relative accuracy, next to modes of any size."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import linvae as lv
from linvae.landscape import StationaryPoint, block_stationary_point, stationary_points
from linvae.testing.strategies import KINDS, Problem, eigenvalues, problems
from tests.tolerances import assert_close

HUGE = st.sampled_from([1e3, 1e8, 1e12, 1e16, 1e40, 1e150, 1e300])
BLOCKS = (
    [((0,), 2)],
    [((0, 1), 2)],
    [((1, 2), 2)],
    [((0, 2), 3)],
    [((0, 1, 2), 3)],
    [((0, 1, 2), 4)],
    [((0, 1), 2), ((2,), 2)],
    [((1, 3), 2), ((2,), 1)],
    [((3,), 2)],
)


def by_definition(point: StationaryPoint, values: list[float], beta: float, k: int) -> Any:
    """Excess at σ² = 1 from its definition, in as many digits as the largest value asks for."""
    with mpmath.workdps(700):
        ratios = [mpmath.mpf(value) / mpmath.mpf(beta) for value in values]
        best = sum(s - 1 - mpmath.log(s) for s in ratios[:k] if s > 1)
        gained = mpmath.mpf(0)
        for block in point.blocks:
            own = [ratios[i] for i in block.modes]
            q, r = block.latents, len(own)
            half = sum(mpmath.sqrt(s) for s in own) / (2 * q)
            x = half + mpmath.sqrt(half**2 + 1 - mpmath.mpf(r) / q)
            gained += sum(s - mpmath.sqrt(s) / x for s in own) - 2 * q * mpmath.log(x)
        return mpmath.mpf(beta) / 2 * (best - gained)


@pytest.mark.parametrize("top", [1e4, 1e12, 1e16, 1e100, 1e300])
def test_a_saddle_is_never_below_the_optimum(top: float) -> None:
    values, beta, k = [top, 4.0, 2.0, 1.0], 0.5, 3
    spectrum = lv.Spectrum.from_eigenvalues(values)
    points = stationary_points(spectrum, beta, latent_dim=k, noise_variance=1.0, shared=True)
    assert points[0].is_minimum
    assert points[0].excess == 0
    assert points[1].excess > 0
    for point in points[1:]:
        assert point.excess > 0
        assert point.descent is not None
        assert point.descent.drop <= point.excess * (1 + 1e-12)
        want = by_definition(point, values, beta, k)
        assert_close(float(point.excess / want), 1.0)


@given(
    st.lists(st.floats(0.05, 20.0), min_size=4, max_size=4),
    st.sampled_from(BLOCKS),
    st.floats(0.05, 3.0),
    HUGE,
)
def test_a_huge_mode_that_both_carry_changes_nothing(
    values: list[float], blocks: list[tuple[tuple[int, ...], int]], beta: float, top: float
) -> None:
    values = sorted(values, reverse=True)
    assume(np.diff(values).max() < -1e-2)
    try:
        alone = block_stationary_point(
            lv.Spectrum.from_eigenvalues(values), beta, blocks, latent_dim=4, noise_variance=1.0
        )
    except lv.errors.InputError:
        assume(False)
    shifted = [(tuple(mode + 1 for mode in modes), latents) for modes, latents in blocks]
    beside = block_stationary_point(
        lv.Spectrum.from_eigenvalues([top, *values]), beta, [((0,), 1), *shifted],
        latent_dim=5, noise_variance=1.0,
    )  # fmt: skip
    assert alone.excess > 0
    assert_close(beside.excess, alone.excess, "rounding")
    want = by_definition(alone, values, beta, 4)
    assert_close(float(alone.excess / want), 1.0)


def check_catalogue(spectrum: lv.Spectrum, beta: float, options: dict[str, Any]) -> None:
    points = stationary_points(spectrum, beta, shared=True, **options)
    assert points[0].is_minimum
    assert points[0].excess == 0
    assert all(point.excess >= 0 for point in points)
    values = [point.excess for point in points]
    assert values == sorted(values)


@given(eigenvalues(min_n=1, max_n=4, kinds=KINDS), st.floats(0.0, 1.0), st.integers(1, 3))
def test_no_excess_is_negative(values: Any, share: float, k: int) -> None:
    assume(values[0] > 0)
    beta = float(values[0] * 10.0 ** (-16 * share) * 0.999)
    options = {"latent_dim": min(k, len(values)), "noise_variance": 1.0}
    check_catalogue(lv.Spectrum.from_eigenvalues(values), beta, options)


@given(problems(max_n=4, extreme=True), st.floats(0.0, 1.0))
def test_no_excess_is_negative_at_extreme_scales(problem: Problem, share: float) -> None:
    top = problem.spectrum.eigenvalues[0] / problem.s2
    options = {"latent_dim": min(3, problem.k), "noise_variance": problem.s2}
    check_catalogue(problem.spectrum, float(top * 10.0 ** (-10 * share) * 0.999), options)
