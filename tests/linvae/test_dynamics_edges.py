"""Rates, times and flows at the far ends of the float64 range, and what they refuse there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from linvae import dynamics
from linvae.dynamics import BetaSchedule, mode_flow
from linvae.errors import FlowError, InputError


def test_the_first_dead_mode_is_named() -> None:
    with pytest.raises(InputError, match=r"got 0\.1 for the eigenvalue 0\.001"):
        dynamics.tracking_lag([10.0, 1e-3], [5.0, 0.1], 1.0, noise_variance=1.0)
    with pytest.raises(InputError, match=r"start: got 2\.0"):
        dynamics.escape_time([4.0, 9e9], 1.0, [2.0, 100.0], noise_variance=1.0)


@pytest.mark.parametrize("flow", ["joint", "decoder"])
def test_far_ends_of_the_range(flow: Any) -> None:
    good: dict[str, Any] = {"noise_variance": 1.0, "flow": flow}
    # As β → 0 the slowest rate is proportional to β.
    tiny, small = (float(dynamics.convergence_rate(4.0, b, **good)) / b for b in (1e-300, 1e-12))
    assert tiny == pytest.approx(small, rel=1e-9)
    assert dynamics.convergence_rate(4.0, 1e-320, **good) > 0
    far, near = (float(dynamics.escape_time(4.0, 1.0, s, **good)) for s in (1e-320, 1e-150))
    steps = np.log(1e-150 / 1e-320) / dynamics.escape_rate(4.0, 1.0, **good)
    assert far - near == pytest.approx(steps, rel=1e-9)
    # The decoder flow in units u of the data: time scales with u².
    if flow == "decoder":
        big = dynamics.escape_time(4e200, 1.0, 1e97, noise_variance=1e200, flow=flow)
        one = dynamics.escape_time(4.0, 1.0, 1e-3, **good)
        assert big / 1e200 == pytest.approx(one, rel=1e-9)
    huge = {"noise_variance": 10.0, "flow": flow}
    for call in (
        lambda: dynamics.tracking_lag(4.0, 1.0, 1e308, **good),
        lambda: dynamics.tracking_lag(1e308, 1.0, 1.0, **good),
        lambda: dynamics.convergence_rate(1e308, 1e308, **huge),
        lambda: dynamics.escape_rate(1e308, 1e308, **huge),
    ):
        with pytest.raises(InputError, match="beyond the float64 range"):
            call()


def test_rotation_by_huge_angles_and_of_huge_ratios() -> None:
    top = dynamics.rotation_excess(4.0, 1.0, 1.0, np.pi / 4, noise_variance=1.0)
    assert 0 <= dynamics.rotation_excess(4.0, 1.0, 1.0, 1e308, noise_variance=1.0) <= top
    with pytest.raises(InputError, match="beyond the float64 range"):
        dynamics.rotation_excess(1e308, 1e-320, 1e-323, 0.7, noise_variance=1.0)


@pytest.mark.parametrize(
    ("beta", "c", "times"),
    [(1e300, 1.0, [0.0, 1.0]), (1.0, 1e300, [0.0, 1.0]), (1.0, 1.0, [0.0, 1e-300])],
)
def test_a_flow_that_makes_no_headway_ends(beta: float, c: float, times: list[float]) -> None:
    with pytest.raises(FlowError, match="no end in sight"):
        mode_flow(4.0, beta, (1e-3, c, 1e-3), times, noise_variance=1.0)


@pytest.mark.parametrize("beta", [1e8, 1e20, 1e100])
def test_stiff_collapse(beta: float) -> None:
    """Far above the critical β all but the decoder gain is at rest: d' = −d (σ² = 1)."""
    path = mode_flow(4.0, beta, (1e-3, 1.0, 1e-3), [0.0, 1.0, 5.0], noise_variance=1.0)
    assert path.decoder_gain == pytest.approx(1e-3 * np.exp([0, -1, -5]), rel=1e-6)


def test_the_smallest_start_keeps_its_sign_and_finds_the_optimum() -> None:
    for sign in (1.0, -1.0):
        start = (sign * 1e-100, 1.0, sign * 1e-100)
        path = mode_flow(4.0, 1.0, start, [0.0, 50.0, 800.0], noise_variance=1.0)
        assert (np.sign(path.decoder_gain) == sign).all()
        assert abs(path.decoder_gain[-1]) == pytest.approx(np.sqrt(3))


def test_a_schedule_may_be_the_rows_of_an_array() -> None:
    rows = np.array([[0.0, 1.0, 2.0], [1.0, 2.0, 0.5]])
    got, want = (
        mode_flow(4.0, given, (0.1, 1.0, 0.1), [0.0, 0.5, 1.5], noise_variance=1.0)
        for given in (rows, BetaSchedule(*rows))
    )
    assert got.decoder_gain.tolist() == want.decoder_gain.tolist()
    assert got.beta.tolist() == [1.0, 1.5, 1.25]


def test_the_gradient_of_an_exact_gate_is_refused_where_it_cannot_be_resolved() -> None:
    options: dict[str, Any] = {"beta_range": (1e-3, 10.0), "noise_variance": 1.0}
    # It grows in proportion to λ/σ², all from β's ever closer to where the gate closes.
    one, two = (float(dynamics.revival_gradient(value, 0.0, **options)) for value in (1e9, 1e12))
    assert two / one == pytest.approx(1e3, rel=1e-6)
    with pytest.raises(InputError, match="eigenvalue / noise_variance"):
        dynamics.revival_gradient(1e16, 0.0, **options)
    assert np.isfinite(dynamics.revival_gradient(1e16, 0.0, sharpness=64.0, **options))
    assert np.isfinite(dynamics.revival_gradient(1e16, -4.0, **options))
