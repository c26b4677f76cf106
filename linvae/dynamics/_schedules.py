"""β as a function of time: constant, warming up, in cycles, or any function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from linvae._types import Sealed
from linvae._validation import (
    FloatArray,
    as_array,
    as_number,
    as_positive_number,
    as_vector,
    check_count,
    check_representable,
    fail,
)

__all__ = ["BetaSchedule", "cyclical", "linear_warmup", "pieces"]


@dataclass(frozen=True, eq=False)
class BetaSchedule(Sealed):
    r"""β that is linear between given times, and constant before the first and after the last.

    .. math:: \beta(t) = \beta_i + \frac{t - t_i}{t_{i+1} - t_i}(\beta_{i+1} - \beta_i),
              \qquad t_i \le t < t_{i+1}

    Parameters
    ----------
    time : array (m,)
        Not falling; a time given twice is a jump.
    beta : array (m,)
        >= 0.

    Raises
    ------
    InputError
        Times that fall, negative β, or arrays that do not go together.
    """

    time: FloatArray
    beta: FloatArray

    def __post_init__(self) -> None:
        time = as_vector("schedule times", self.time)
        beta = as_vector("schedule betas", self.beta, time.size)
        if (np.diff(time) < 0).any():
            fail("schedule times", "times that fall", "times in order", "sort them")
        if (beta < 0).any():
            fail("schedule betas", beta.min(), "β >= 0", "β weighs the rate")
        object.__setattr__(self, "time", time)
        object.__setattr__(self, "beta", beta)
        super().__post_init__()

    def __call__(self, time: Any) -> FloatArray:
        """β at any times; at a jump, the value after it."""
        return self._at(as_array("time", time).astype(np.float64), "right")

    def before(self, time: Any) -> FloatArray:
        """β just before any times; differs from the value only at a jump."""
        return self._at(as_array("time", time).astype(np.float64), "left")

    def _at(self, time: FloatArray, side: Any) -> FloatArray:
        after = np.searchsorted(self.time, time, side=side)
        right = np.minimum(after, self.time.size - 1)
        left = np.maximum(after - 1, 0)
        width = self.time[right] - self.time[left]
        share = np.where(width > 0, (time - self.time[left]) / np.where(width > 0, width, 1), 0)
        slope = self.beta[right] - self.beta[left]
        return np.asarray(np.where(after == 0, self.beta[0], self.beta[left] + share * slope))


def linear_warmup(final: float, duration: float, *, initial: float = 0.0) -> BetaSchedule:
    r"""KL annealing: β rises linearly, then stays.

    .. math:: \beta(t) = \beta_0 + (\beta_1 - \beta_0)\min(1, t/T)

    Parameters
    ----------
    final : float
        β₁ >= 0.
    duration : float
        T > 0.
    initial : float
        β₀ >= 0.

    Returns
    -------
    BetaSchedule

    Raises
    ------
    InputError
        Negative β, or a duration that is not positive.

    Notes
    -----
    What it does to a mode: ``proofs/annealing.py``.
    """
    length = as_positive_number("duration", duration, "pass the time until β has its final value")
    ends = [as_number(name, value, "pass a β >= 0")
            for name, value in (("initial", initial), ("final", final))]  # fmt: skip
    return BetaSchedule(np.array([0.0, length]), np.array(ends))


def cyclical(
    final: float, period: float, cycles: int, *, initial: float = 0.0, ramp: float = 0.5
) -> BetaSchedule:
    r"""Cyclical annealing: in each cycle β rises linearly, rests, and falls back at its end.

    .. math:: \beta(t) = \beta_0 + (\beta_1 - \beta_0)
              \min\left(1, \frac{t \bmod T}{\rho T}\right), \qquad t < MT

    After the last cycle β rests at its final value.

    Parameters
    ----------
    final : float
        β₁ >= 0.
    period : float
        T > 0.
    cycles : int
        M, from 1 to a million.
    initial : float
        β₀ >= 0.
    ramp : float
        ρ, the share of a cycle in which β rises, 0 < ρ <= 1.

    Returns
    -------
    BetaSchedule

    Raises
    ------
    InputError
        A number out of its range.

    Notes
    -----
    Source: Fu et al. 2019, Eq. 6.
    """
    length = as_positive_number("period", period, "pass the length of one cycle")
    count = check_count("cycles", cycles, 1, 10**6, "pass between one cycle and a million")
    share = as_positive_number("ramp", ramp, "pass 0.5")
    if share > 1:
        fail("ramp", share, "0 < ramp <= 1", "β cannot rise for longer than a cycle")
    low, high = (as_number("beta", value, "pass a β >= 0") for value in (initial, final))
    check_representable("period, cycles", length * count, "pass a shorter schedule")
    begin = length * np.arange(count)
    time = np.stack([begin, begin + share * length, begin + length], axis=-1)
    # The end of a cycle is the beginning of the next: that exact number, or there is no jump.
    time[:-1, 2] = time[1:, 0]
    time[:, 1] = np.minimum(time[:, 1], time[:, 2])
    return BetaSchedule(time.ravel(), np.tile([low, high, high], count))


def _as_function(schedule: Any) -> Callable[[float], float]:
    def beta(time: float) -> float:
        weight = as_number("beta(t)", schedule(time), "return one number")
        if weight < 0:
            fail("beta(t)", f"{weight} at time {time}", "β >= 0", "β weighs the rate")
        return weight

    return beta


def _pair(given: Any) -> tuple[Any, Any]:
    """(times, betas): two lists, or the two rows of an array."""
    remedy = "pass one number, two arrays of one length, or a BetaSchedule"
    if len(given) != 2:
        fail("beta", f"{len(given)} parts", "(times, betas)", remedy)
    times, betas = (as_array("beta", part) for part in given)
    if times.ndim != 1 or betas.ndim != 1:
        fail(
            "beta", f"two parts of shapes {times.shape} and {betas.shape}", "(times, betas)", remedy
        )
    return times, betas


def _linear(schedule: BetaSchedule, begin: float, end: float) -> Callable[[float], float]:
    """The schedule between two neighbouring knots, in plain numbers: a solver asks often."""
    first, last = float(schedule(begin)), float(schedule.before(end))

    def beta(time: float) -> float:
        return first + (last - first) * (time - begin) / (end - begin)

    return beta


def pieces(
    schedule: Any, begin: float, end: float
) -> Iterator[tuple[float, float, Callable[[float], float]]]:
    """Intervals on which β is smooth, each with its function of time; they cover [begin, end]."""
    if not callable(schedule):
        if isinstance(schedule, tuple | list) or np.ndim(schedule):
            schedule = BetaSchedule(*_pair(schedule))
        else:
            weight = as_number("beta", schedule, "pass a number, a schedule or a function")
            schedule = BetaSchedule(np.array([begin]), np.array([weight]))
    if not isinstance(schedule, BetaSchedule):
        yield begin, end, _as_function(schedule)
        return
    knots = np.unique(schedule.time)
    edges = [begin, *knots[(knots > begin) & (knots < end)].tolist(), end]
    for left, right in pairwise(edges):
        yield left, right, _linear(schedule, left, right)
