r"""How far log c may lie from its optimum when the excess objective is at most ε.

One mode, λ = σ² = 1, x = log β; the optimal decoder d² = (1 − β)₊. The terms of the objective in
the posterior variance c are ½ (d² + β) c − ½ β log c, that is ½ (c − β log c) for β < 1 and
½ β (c − log c) beyond. The minimum is at log c = t(x) = min(0, x), and the excess of
log c = t + s is, on both sides,

.. math:: \tfrac12 e^x (e^s - 1 - s).

For another mode multiply β and every excess by its critical β.
"""

from __future__ import annotations

import math
from typing import Any

from linvae._validation import as_positive_number, fail

from ._balls import Ball, ball

__all__ = ["as_excess", "in_range", "level", "reach", "target"]

_LOW, _HIGH = 0.01, 10.0
_LARGEST = 10.0  # far above what any gate has to cost; e^reach still has a float64


def as_excess(value: Any) -> float:
    """Return an ε to certify, a number in (0, 10]."""
    remedy = "pass the ε to certify, such as 2e-3; one gate can do with 6e-3"
    excess = as_positive_number("excess", value, remedy)
    if excess > _LARGEST:
        fail("excess", excess, f"an ε of at most {_LARGEST:g} nats", remedy)
    return excess


def in_range(x: float) -> bool:
    """Whether e^x lies in [0.01, 10], the β/β₁ over which the worst excess is taken."""
    beta = ball(x).exp()
    return bool(beta >= _LOW and beta <= _HIGH)


def target(x: float) -> float:
    """Return log of the optimal posterior variance, t(x)."""
    return min(0.0, x)


def level(excess: float, x: float) -> Ball:
    """Value of eˢ − 1 − s at which the excess is the given one."""
    return 2 * ball(excess) * (-ball(x)).exp()


def _guess(height: float, sign: float) -> float:
    """Root of e^(sign d) − 1 − sign d = height, d > 0, in floating point."""
    low, high = 0.0, 50.0 + height
    for _ in range(100):
        middle = (low + high) / 2
        if math.expm1(min(sign * middle, 700.0)) - sign * middle > height:
            high = middle
        else:
            low = middle
    return high


def reach(excess: float, x: float) -> tuple[Ball, Ball]:
    """How far log c may lie below and above t(x): numbers proved not to be too small."""
    height = level(excess, x)
    found = []
    for sign in (-1.0, 1.0):
        distance = ball(_guess(float(height), sign) * (1 + 1e-9))
        # eˢ − 1 − s grows with |s|: beyond this distance the excess is larger.
        while not (sign * distance).expm1() - sign * distance >= height:
            distance = distance * 2
        found.append(distance)
    return found[0], found[1]
