"""Relative excess and its verdict: by hand, and properties that any right answer has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

pytest.importorskip("torch")

from deep.comparison.relative import relative_excess, verdict
from deep.errors import InputError
from tests.tolerances import assert_close

T_OF_3, T_ONE_SIDED = 4.302652729749, 2.919985580353726  # t(0.975; 2), t(0.95; 2)

shares = st.floats(-0.5, 0.5)
tables = st.lists(st.tuples(shares, shares, shares), min_size=1, max_size=4).map(
    lambda rows: np.array(rows).T
)


def excess_of(ratio, base=80.0, **options):
    return relative_excess(base * (1 + ratio), np.full(ratio.shape, base), **options)


def test_by_hand():
    base = np.array([[50.0], [100.0], [80.0]])
    own = np.array([[50.5], [100.5], [80.4]])
    found = relative_excess(own, base)
    ratio = np.array([0.01, 0.005, 0.005])
    error = ratio.std(ddof=1) / np.sqrt(3)
    assert_close(found.per_seed[:, 0], ratio)
    assert_close(found.mean, np.array([ratio.mean()]))
    assert_close(found.low, np.array([ratio.mean() - T_OF_3 * error]))
    assert_close(found.high, np.array([ratio.mean() + T_OF_3 * error]))
    assert_close(found.upper, np.array([ratio.mean() + T_ONE_SIDED * error]))
    assert found.verdicts == ("undecided",)


def test_pairs_are_seeds():
    """Seeds that differ much say little apart, and much together."""
    base = np.array([[50.0], [100.0], [150.0]])
    assert relative_excess(base * 1.002, base).verdicts == ("not worse",)
    assert relative_excess(base[::-1] * 1.002, base).verdicts == ("undecided",)


def test_an_excess_of_exactly_nothing():
    base = np.array([[50.0, 60.0], [70.0, 80.0]])
    found = relative_excess(base, base)
    assert found.verdicts == ("not worse", "not worse")
    assert not np.any([found.mean, found.low, found.high, found.upper])


def test_one_seed_has_no_interval():
    found = relative_excess([[50.0, 52.0]], [[50.0, 50.0]])
    assert (found.low, found.high, found.upper) == (None, None, None)
    assert found.verdicts == ("one seed", "one seed")
    assert_close(found.mean, np.array([0.0, 0.04]))


@pytest.mark.parametrize(
    ("low", "high", "want"),
    [
        (-0.02, -0.01, "not worse"),
        (-0.02, 0.0099, "not worse"),
        (-0.02, 0.01, "undecided"),
        (0.01, 0.02, "undecided"),
        (0.0101, 0.02, "worse"),
        (None, None, "one seed"),
    ],
)
def test_verdicts(low, high, want):
    assert verdict(low, high, margin=0.01) == want


@given(tables, st.floats(-0.2, 0.2))
def test_a_shift_of_every_seed_shifts_the_interval(ratio, shift):
    one, other = excess_of(ratio), excess_of(ratio + shift)
    for name in ("mean", "low", "high", "upper"):
        assert_close(getattr(other, name), getattr(one, name) + shift, scale=1.0, condition=10.0)
    moved = excess_of(ratio + shift, margin=0.3 + abs(shift))
    ends = np.concatenate([moved.low, moved.high])
    assume((np.abs(ends - 0.3 - abs(shift)) > 1e-6).all())
    if shift >= 0:
        assert moved.verdicts == excess_of(ratio, margin=0.3).verdicts


@given(tables, st.permutations(range(3)))
def test_the_order_of_seeds_does_not_matter(ratio, order):
    one, other = excess_of(ratio), excess_of(ratio[list(order)])
    for name in ("mean", "low", "high", "upper"):
        assert_close(getattr(other, name), getattr(one, name), scale=1.0)
    assert_close(other.per_seed, one.per_seed[list(order)])


@given(tables, st.floats(0.01, 100), st.floats(-1000, 1000))
def test_units_do_not_matter(ratio, scale, zero):
    """All objectives in other units, or by another density of the same data."""
    own, base = 80 * (1 + ratio), np.full(ratio.shape, 80.0)
    one = relative_excess(own, base)
    scaled = relative_excess(scale * own, scale * base, zero=0.0)
    moved = relative_excess(own + zero, base + zero, zero=zero)
    for other in (scaled, moved):
        assert_close(other.mean, one.mean, scale=1.0, condition=100.0)
        assert_close(other.high, one.high, scale=1.0, condition=100.0)


@given(tables)
def test_the_one_sided_limit_lies_within_and_a_wider_margin_never_harms(ratio):
    found, order = excess_of(ratio), ("worse", "undecided", "not worse")
    assert (found.low <= found.mean).all()
    assert (found.mean <= found.upper).all()
    assert (found.upper <= found.high).all()
    for narrow, wide in zip(
        found.verdicts, excess_of(ratio, margin=0.2).verdicts, strict=True
    ):  # fmt: skip
        assert order.index(narrow) <= order.index(wide)


@pytest.mark.parametrize(
    ("own", "base", "options", "match"),
    [
        ([[1.0]], [[1.0, 2.0]], {}, "two tables"),
        ([1.0], [1.0], {}, "two tables"),
        (np.zeros((0, 3)), np.zeros((0, 3)), {}, "two tables"),
        ([[np.nan]], [[1.0]], {}, "finite numbers"),
        ([[1.0]], [[-1.0]], {}, "above 0"),
        ([[1.0]], [[2.0]], {"zero": 2.0}, "above 2"),
        ([[1.0]], [[2.0]], {"margin": 0.0}, "margin"),
        ([[1.0]], [[2.0]], {"confidence": 1.0}, "confidence"),
    ],
)
def test_bad_input(own, base, options, match):
    with pytest.raises(InputError, match=match):
        relative_excess(own, base, **options)
