"""Certified costs of sigmoid gates: arguments that are refused, and those that ask too much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("flint")

from linvae.certificates import _excess, sigmoid_cost, sigmoid_gate_bound
from linvae.certificates import sigmoid_one_gate as one
from linvae.certificates._balls import working
from linvae.errors import InputError


def test_above_the_best_fits_nothing_is_certified() -> None:
    for found, beyond in (
        (sigmoid_cost(excess=3.2e-3), 3.2e-3),
        (one._one_gate(5.7e-3, 9), 5.7e-3),
    ):
        assert found.status == "not certified"
        assert found.bound == 0.0
        assert found.radius == beyond
        assert not found.passed
    wide = sigmoid_gate_bound(gates=1, excess=5.7e-3)
    assert not wide.passed


def test_too_few_boxes_certify_nothing() -> None:
    assert not sigmoid_cost(max_boxes=10).passed
    assert not sigmoid_gate_bound(max_boxes=10).passed
    assert not sigmoid_gate_bound(gates=2, max_boxes=1).passed
    assert sigmoid_gate_bound(gates=2, max_boxes=10) == sigmoid_cost(max_boxes=10)


@pytest.mark.parametrize(
    "call",
    [
        lambda: sigmoid_cost(excess=0.0),
        lambda: sigmoid_cost(max_boxes=0),
        lambda: sigmoid_gate_bound(gates=0),
        lambda: sigmoid_gate_bound(gates=1.5),
        lambda: sigmoid_gate_bound(excess=-1.0),
        lambda: sigmoid_gate_bound(max_boxes=0),
        lambda: sigmoid_gate_bound(gates=2, max_boxes=0),
        lambda: sigmoid_gate_bound(gates=2, max_boxes=2.5),
        lambda: sigmoid_cost(excess=[1e-3]),
        lambda: sigmoid_cost(excess=np.array([1e-3])),
        lambda: sigmoid_cost(max_boxes=[1]),
        lambda: sigmoid_cost(max_boxes=np.array(5)),
        lambda: sigmoid_gate_bound(gates=[1]),
        lambda: sigmoid_gate_bound(gates=np.array(1)),
        lambda: sigmoid_gate_bound(excess={}),
        lambda: sigmoid_gate_bound(excess="5e-3"),
        lambda: sigmoid_gate_bound(excess=np.nan),
        lambda: sigmoid_gate_bound(excess=1e300),
        lambda: sigmoid_cost(excess=1e300),
        lambda: sigmoid_cost(excess=10.1),
    ],
)
def test_bad_input(call: Any) -> None:
    with pytest.raises(InputError, match=r"(gates|excess|max_boxes): got .*; expected"):
        call()


def test_what_equals_a_good_argument_is_not_taken_for_it() -> None:
    """True == 1 and 1.0 == 1, also for a cache."""
    assert sigmoid_gate_bound(gates=1).passed
    assert sigmoid_gate_bound(gates=np.int64(1)).passed
    assert not sigmoid_cost(max_boxes=1).passed
    for call in (
        lambda: sigmoid_gate_bound(gates=True),
        lambda: sigmoid_gate_bound(gates=1.0),  # type: ignore[arg-type]
        lambda: sigmoid_cost(max_boxes=True),
    ):
        with pytest.raises(InputError):
            call()


def test_arrays_of_one_number_are_numbers() -> None:
    assert sigmoid_cost(excess=np.array(3e-3)) == sigmoid_cost()  # type: ignore[arg-type]
    assert sigmoid_gate_bound(excess=np.array(5.58e-3)) == sigmoid_gate_bound()  # type: ignore[arg-type]


@pytest.mark.parametrize("excess", [5e-324, 1e-300, 1e-30, 1.0, 10.0])
def test_any_excess_that_is_taken_has_a_reach(excess: float) -> None:
    with working():
        for t in (np.log(0.01), 0.0, np.log(10.0)):
            for sign, distance in zip((-1, 1), _excess.reach(excess, float(t)), strict=True):
                end = sign * distance
                assert end.expm1() - end >= _excess.level(excess, float(t))
    if excess >= 1:
        assert not sigmoid_gate_bound(excess=excess).passed
        assert not sigmoid_cost(excess=excess).passed
