"""Areas under the curve, and what a measured point or a collapsed model loses against it."""

from __future__ import annotations

from decimal import Decimal, localcontext
from itertools import pairwise

import numpy as np
import pytest

from linvae import Frontier
from linvae.errors import InputError, RangeError
from tests import oracles
from tests.mutation.cases import FRONTIERS, VALUES, assert_digits, curve_of
from tests.tolerances import assert_close

S2 = 0.37


def test_gap_and_collapsed_loss() -> None:
    curve = curve_of(VALUES.tolist(), 3, S2)
    for beta in (0.05, 1.3, 7.7, 14.0, 15.0):
        with localcontext() as context:
            context.prec = 40
            want = oracles.exact_curve(VALUES, 3, S2, beta)
            least = want.distortion + Decimal(beta) * want.rate
            total = sum(map(Decimal, VALUES.tolist()), Decimal(0))
            collapsed = want.constant + total / (2 * Decimal(S2)) - least
            gap = Decimal("4.1") + Decimal(beta) * Decimal("2.3") - least
        size = float(total) / S2 + abs(float(least))
        got = curve.gap(2.3, 4.1, beta)
        assert isinstance(got, float)
        assert_digits(got, gap, 8, size)
        loss = curve.collapsed_loss(beta)
        assert isinstance(loss, float)
        assert loss >= 0
        assert_digits(loss, collapsed, 8, size)
        assert_digits(curve.collapsed_loss([beta])[0], collapsed, 8, size)
        normal = curve.normalised_gap(2.3, 4.1, beta)
        assert normal.in_nats == (collapsed <= 1)
        assert_digits(normal.value, gap / max(collapsed, Decimal(1)), 64, size)
    assert curve.collapsed_loss(curve.critical_betas[0] * 1.5) == 0
    assert curve.collapsed_loss([0.3, 99.0]).shape == (2,)
    # Just below the threshold the loss is a difference of nearly equal numbers.
    beside = curve.critical_betas[0] * (1 - np.geomspace(1e-16, 1e-3, 400))
    assert (curve.collapsed_loss(beside) >= 0).all()
    batch = curve.normalised_gap([2.3, 1.0], 4.1, [1.3, 14.0])
    assert (batch.in_nats == [False, True]).all()
    losses = np.array(curve.collapsed_loss([1.3, 14.0]))
    assert_close(batch.collapsed_loss, losses, "rounding")
    want = curve.gap([2.3, 1.0], 4.1, [1.3, 14.0]) / np.maximum(losses, 1.0)
    assert_close(batch.value, want, "rounding")
    with pytest.raises(InputError, match="gap: got values that lead beyond"):
        curve.gap(1e308, 1e308, 1e3)
    with pytest.raises(InputError, match="shapes that broadcast"):
        curve.gap([1.0, 2.0], [1.0, 2.0, 3.0], 1.0)


def test_a_loss_of_one_nat_is_given_in_nats() -> None:
    """λ/σ² = x and β = 1: the loss is (x - 1 - log x) / 2, one nat near x = 4.5052415."""
    for factor in (1 - 1e-9, 1 + 1e-9):
        low, high = 4.0, 5.0
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if middle - 1 - np.log(middle) < 2 else (low, middle)
        curve = curve_of([high * factor], 1, 1.0)
        assert curve.normalised_gap(1.0, 5.0, 1.0).in_nats == (factor < 1)


def test_exactly_one_nat_does_not_exceed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Frontier, "collapsed_loss", lambda self, beta: 1.0)
    assert curve_of([3.0], 1, S2).normalised_gap(1.0, 5.0, 1.0).in_nats


def _exact_area(values: list[float], k: int, s2: float, low: float, high: float) -> float:
    """Gauss's rule on every segment, with the error that bisection for the level finds."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    curve = np.array(sorted(values, reverse=True))
    tail = curve[k:].sum()
    top = curve[:k]
    breaks = [0.5 * np.log(top[:m] / top[m]).sum() for m in range(1, k) if top[m] > 0]
    edges = [low, *[b for b in breaks if low < b < high], high]
    constant = 0.5 * len(values) * np.log(2 * np.pi * s2)
    area = 0.0
    for a, b in pairwise(edges):
        for node, weight in zip(nodes, weights, strict=True):
            rate = (a + b) / 2 + node * (b - a) / 2
            error = oracles.water_fill_rate(curve, k, rate)
            area += weight * (b - a) / 2 * (constant + error / (2 * s2))
    assert tail <= error
    return area


@pytest.mark.parametrize(("values", "k", "s2"), FRONTIERS)
def test_areas(values: list[float], k: int, s2: float) -> None:
    curve = curve_of(values, k, s2)
    for low, high in ((0.21, 3.7), (1.1, 1.1)):
        want = _exact_area(values, k, s2, low, high) if high > low else 0.0
        assert_close(curve.area(rates=(low, high)), want, "exact", scale=1 + abs(want))
    ends = curve.at_beta([0.9, 0.11]).rate
    want = curve.area(rates=tuple(ends))
    assert_close(curve.area(betas=(0.11, 0.9)), want, "rounding")


def test_areas_end_at_breakpoints() -> None:
    curve = curve_of(VALUES.tolist(), 3, S2)
    breaks = curve.at_beta(curve.critical_betas).rate
    parts = [curve.area(rates=(a, b)) for a, b in pairwise(breaks)]
    assert_close(sum(parts), curve.area(rates=(0.0, float(breaks[-1]))), "rounding")
    for a, b, part in zip(breaks[:-1], breaks[1:], parts, strict=True):
        assert_close(part, _exact_area(VALUES.tolist(), 3, S2, float(a), float(b)), "exact")


def test_areas_that_are_none() -> None:
    curve = curve_of(VALUES.tolist(), 3, S2)
    for limits in ({}, {"rates": (0.0, 1.0), "betas": (0.1, 1.0)}):
        with pytest.raises(InputError, match="area: got both or neither"):
            curve.area(**limits)
    for limits in ({"rates": (1.0, 0.5)}, {"betas": (1.0, 0.1)}):
        with pytest.raises(InputError, match=r"area: got limits .*the lower limit first"):
            curve.area(**limits)
    with pytest.raises(InputError, match="rates: got 3 entries"):
        curve.area(rates=(0.0, 1.0, 2.0))
    with pytest.raises(RangeError, match=r"rate: got -0\.5"):
        curve.area(rates=(-0.5, 1.0))
