"""What the proofs about gates share: products of gated layers, and which branch a gate is on."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.concrete.delta import deltasummation

from linvae.symbolic import theorem
from linvae.symbolic.symbols import k, lam, x
from proofs.argument import is_nonnegative

__all__ = [
    "as_mode",
    "constant",
    "first",
    "layer_product",
    "mode_of",
    "row",
    "same",
    "settled",
    "vectors",
]

# Indices: an entry (row, first) of a product, and the one that is summed.
row, first, _inner = sp.symbols("a i j", integer=True, positive=True)
vectors = sp.IndexedBase("U", real=True)  # U[a, i]: entry a of eigenvector i
_values = sp.IndexedBase("L", positive=True)  # eigenvalues


def settled(expression: Any) -> sp.Expr:
    """Take, of every Piecewise, the branch whose condition p < q the symbols' signs decide."""

    def branch(piecewise: sp.Piecewise) -> sp.Expr:
        for value, condition in piecewise.args:
            if condition == sp.true:
                return value
            if not isinstance(condition, sp.core.relational.StrictLessThan | sp.StrictGreaterThan):
                return piecewise
            gap = sp.together(condition.gts - condition.lts)
            if is_nonnegative(gap, strict=True):
                return value
            if not is_nonnegative(-gap):
                return piecewise
        return piecewise

    return sp.sympify(expression).replace(lambda part: isinstance(part, sp.Piecewise), branch)


def constant(gate: sp.Expr, name: str) -> sp.Expr:
    """Value of a gate of slope 0 at its bias, times the factor that its base carries."""
    at = settled(gate.subs(x, theorem.CONSTANT_BIAS[name]))
    return at * theorem.CONSTANT_FACTOR[name]


def same(left: Any, right: Any) -> Any:
    """Kronecker's delta: the entry of an identity or a diagonal matrix."""
    return sp.KroneckerDelta(left, right)


def layer_product(second: Any, first_layer: Any, size: Any = k) -> sp.Expr:
    """Entry Σⱼ W²(β)[·, j] W¹(β)[j, ·] of two gated layers, for a symbolic size.

    Each layer is a function of the summed index j that gives the gated entry. Indices of the entry
    lie in the range of the sum, so that every Kronecker delta meets its partner.
    """
    summand = sp.expand(second(_inner) * first_layer(_inner))
    return sp.sympify(deltasummation(summand, (_inner, 1, size), no_piecewise=True))


def mode_of(expression: Any, index: Any) -> Any:
    """Put the eigenvalue of one mode for the symbol λ."""
    return sp.sympify(expression).subs(lam, _values[index])


def as_mode(expression: Any) -> sp.Expr:
    """Read the eigenvalue of the entry's own mode as λ again."""
    return sp.sympify(expression).subs(_values[first], lam)
