"""What the proofs about single modes share: the two branches, and one inequality."""

from __future__ import annotations

from typing import Any

import sympy as sp

from linvae.symbolic.symbols import beta, lam, s2, tau
from proofs.argument import Argument

__all__ = [
    "above",
    "at_active",
    "at_collapsed",
    "below",
    "excess",
    "reduced",
    "scaled",
    "show_logarithm",
]

above = sp.Symbol("g", positive=True)  # λ − τ of an active mode
below = sp.Symbol("h", nonnegative=True)  # τ − λ of a collapsed one
_t = sp.Symbol("t", positive=True)
_a = sp.Symbol("a", positive=True)


def at_active(expression: Any) -> sp.Expr:
    """Put λ = βσ² + g with g > 0: every λ above the water level, and nothing else."""
    return sp.sympify(expression).subs(lam, beta * s2 + above)


def at_collapsed(expression: Any) -> sp.Expr:
    """Put β = (λ + h)/σ² with h >= 0: every λ > 0 not above the water level, and nothing else."""
    return sp.sympify(expression).subs(beta, (lam + below) / s2)


def scaled(expression: Any) -> sp.Expr:
    """2σ² times an expression, written in the water level τ = βσ² alone."""
    return sp.expand((2 * s2 * expression).subs(beta, tau / s2))


def reduced(level: Any) -> sp.Expr:
    """2σ² times the objective of one mode at its best e and c, as a function of w = d² + τ."""
    return lam * tau / level + tau * sp.log(level / tau)


def excess(t: Any) -> sp.Expr:
    """φ(t) = t − 1 − log t, which is positive except at t = 1."""
    return t - 1 - sp.log(t)


def show_logarithm(argument: Argument) -> None:
    """Show φ >= 0 with equality only at t = 1: the one inequality behind all those of a mode."""
    slope = sp.diff(excess(_t), _t)
    argument.zero("φ(t) = t − 1 − log t is 0 at t = 1", excess(_t).subs(_t, 1))
    argument.positive("φ' > 0 for t = 1 + a, a > 0: φ rises beyond 1", slope.subs(_t, 1 + _a))
    argument.positive(
        "φ' < 0 for t = 1/(1 + a): φ falls before 1, hence φ > 0 except at t = 1",
        -slope.subs(_t, 1 / (1 + _a)),
    )
