"""Ball arithmetic: the one place that loads python-flint, and the few operations used of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from linvae._validation import missing_package

__all__ = ["Ball", "above", "ball", "below", "flint", "span", "working"]

# An interval of reals that contains the exact value; flint.arb, which has no type stubs.
Ball: TypeAlias = Any

# Far more than the 53 bits of the parameters, so that a ball is as wide as its box makes it.
_BITS = 160


def flint() -> Any:
    """Return the module flint.

    Raises
    ------
    MissingPackageError
        python-flint is not installed.
    """
    try:
        import flint as module
    except ImportError as error:
        raise missing_package("python-flint", "ball arithmetic", "certify") from error
    return module


@contextmanager
def working(bits: int = _BITS) -> Iterator[None]:
    """Compute with so many bits inside the block; flint's own setting is restored after it."""
    with flint().ctx.workprec(bits):
        yield


def ball(value: Any) -> Ball:
    """Return a number as a ball; a float64 stands for exactly the binary number it is."""
    return flint().arb(float(value) if isinstance(value, np.floating) else value)


def span(low: float, high: float) -> Ball:
    """Return a ball that contains the interval [low, high]."""
    arb = flint().arb
    return arb(low).union(arb(high))


def above(value: Ball) -> float:
    """Return a float64 that no number of the ball exceeds; inf where there is none."""
    top = value.upper()
    if not top.is_finite():
        return np.inf
    guess = float(top)
    # The conversion rounds, and to an infinity of either sign outside the range.
    while not flint().arb(guess) >= top:
        guess = float(np.nextafter(guess, np.inf))
    return guess


def below(value: Ball) -> float:
    """Return a float64 that no number of the ball falls below; -inf where there is none."""
    return -above(-value)
