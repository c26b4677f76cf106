"""Integration of a gradient flow: one run of the solver per smooth piece of β, and an end to it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from linvae._validation import FloatArray, as_positive_number, as_vector, fail
from linvae.errors import FlowError

from ._schedules import pieces

__all__ = ["Field", "check_times", "check_tolerance", "integrate"]

# state, β -> its derivative in time
Field = Callable[[FloatArray, float], FloatArray]

_FLOOR = 1e-100  # smallest start whose growth the solver's absolute error does not hide
_EVALUATIONS = 50_000, 1_000  # of the gradient in one run of the solver: at least, per number


def check_times(times: Any) -> FloatArray:
    """At least two rising times."""
    grid = as_vector("times", times)
    if np.isinf(float(grid.max()) - float(grid.min())):
        fail("times", "a span beyond the float64 range", "a finite one", "end earlier")
    if grid.size < 2 or not (np.diff(grid) > 0).all():
        fail("times", f"{grid.size} times", "at least two, rising", "pass np.linspace(0, end, T)")
    return grid


def integrate(
    field: Field, start: FloatArray, schedule: Any, times: FloatArray, tolerance: float
) -> FloatArray:
    """States at the given times, shape (T, size): one run of the solver per smooth piece of β."""
    from scipy.integrate import solve_ivp

    # Starts near a saddle are small, and their growth is what matters.
    small = np.abs(start[start != 0]).min(initial=1.0)
    if small < _FLOOR:
        fail(
            "start", f"{small:g}", f"0 or sizes of at least {_FLOOR:g}", "replace smaller ones by 0"
        )
    states, state = [start[None]], start
    for begin, end, beta in pieces(schedule, float(times[0]), float(times[-1])):
        inside = times[(times > begin) & (times <= end)]
        asked = np.unique(np.append(inside, end))
        with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the solver warns of is raised below
            found = solve_ivp(
                _guarded(field, beta, start.size),
                (begin, end),
                state,
                method="LSODA",
                t_eval=asked,
                rtol=tolerance,
                atol=tolerance * small,
            )
        if not found.success:
            # A run that fails at once leaves empty lists.
            _stuck(found.t[-1] if np.size(found.t) else begin, found.message)
        state = found.y[:, -1]
        states.append(found.y.T[: inside.size])
    return np.concatenate(states)


def _guarded(
    field: Field, beta: Callable[[float], float], size: int
) -> Callable[[float, FloatArray], FloatArray]:
    """The velocity, refused where the solver would go on for ever."""
    left = _EVALUATIONS[0] + _EVALUATIONS[1] * size

    def velocity(time: float, state: FloatArray) -> FloatArray:
        nonlocal left
        left -= 1
        if left < 0:
            _stuck(time, "no end in sight: too many evaluations of the gradient")
        found = field(state, beta(time))
        if not np.isfinite(found).all():
            _stuck(time, "the gradient is beyond the float64 range")
        return found

    return velocity


def _stuck(time: float, why: str) -> NoReturn:
    raise FlowError(
        f"gradient flow: got stuck at time {time:g} ({why}); expected to reach the last time; "
        "start nearer to the optimum, or rescale data and times"
    )


def check_tolerance(tolerance: Any) -> float:
    """A relative error that float64 can keep."""
    accuracy = as_positive_number("tolerance", tolerance, "pass 1e-10")
    if not 1e-13 <= accuracy < 1:
        fail("tolerance", accuracy, "1e-13 <= tolerance < 1", "pass 1e-10")
    return accuracy
