"""Checks of outside input. A failure is one sentence: what came, what was expected, what to do."""

from __future__ import annotations

import math
from typing import NoReturn

from deep.errors import InputError

__all__ = ["check_beta_range", "check_positive", "fail"]


def fail(
    name: str, got: object, expected: str, remedy: str, kind: type[InputError] = InputError
) -> NoReturn:
    """Raise `kind` with the three parts every error message has."""
    raise kind(f"{name}: got {got}; expected {expected}; {remedy}")


def check_positive(name: str, value: float, remedy: str) -> float:
    """Return a finite number > 0, or fail."""
    if not 0 < value < math.inf:
        fail(name, value, "a finite number > 0", remedy)
    return float(value)


def check_beta_range(beta_range: tuple[float, float]) -> tuple[float, float]:
    """Return (a, b) with 0 < a < b, or fail."""
    low, high = beta_range
    if not 0 < low < high < math.inf:
        fail("beta_range", tuple(beta_range), "0 < a < b", "pass the smallest β first")
    return float(low), float(high)
