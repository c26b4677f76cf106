"""Matrices of any size in the two-layer model: what ``hierarchical_assignment`` takes from words.

The letters are those of its docstring; the trace of a word does not change under rotation.
"""

from __future__ import annotations

import sympy as sp

from proofs._branches import at_active, at_collapsed
from proofs._gaussian import average
from proofs._words import Alphabet
from proofs.argument import Argument

__all__ = ["settled_active", "settled_collapsed", "show_never_reached", "show_subspace"]


def _settled(expression: sp.Expr) -> sp.Expr:
    if expression.has(sp.Piecewise):
        raise ValueError(f"the conditions do not settle {expression}")
    return expression


def settled_active(pieces: sp.Expr) -> sp.Expr:
    """The value for λ = βσ² + g with every g > 0; refused if a condition is left open."""
    return _settled(at_active(pieces))


def settled_collapsed(pieces: sp.Expr) -> sp.Expr:
    """The value for βσ² = λ + h with every h >= 0."""
    return _settled(at_collapsed(pieces))


def show_subspace(argument: Argument) -> None:
    """Step 2, for any sizes: the error splits at the space that holds the range of D."""
    words = Alphabet()
    x = words.matrix("x−m", "n", "1")[0]
    z = words.matrix("z₁", "k₁", "1")[0]
    D, Dt = words.matrix("D", "n", "k₁")
    P = words.symmetric("P", "n")
    rules = {P * P: P, P * D: D, Dt * P: Dt}
    whole, inside, outside = x - D * z, P * x - D * z, (1 - P) * x
    apart = sp.S.One * whole * words.transposed(sp.expand(whole))
    for part in (inside, outside):
        apart -= sp.expand(part) * words.transposed(sp.expand(part))
    argument.zero(
        "step 2: ‖x − m − Dz₁‖² = ‖(I−P)(x − m)‖² + ‖y − x̂‖²",
        words.trace(words.reduce(sp.expand(apart), rules, cyclic=True)),
    )
    xi = words.matrix("ξ", "n", "1")[0]
    S = words.symmetric("S", "n")
    v, vt = words.matrix("v", "n", "1")
    away = sp.expand((1 - P) * xi + v)
    second = average(words, sp.expand(away * words.transposed(away)), {xi: S})
    argument.zero(
        "step 2: E‖(I−P)(x − m)‖² = tr (I−P)S + ‖v‖²",
        words.trace(words.reduce(second, rules, cyclic=True)) - words.trace((1 - P) * S + v * vt),
    )


def show_never_reached(argument: Argument) -> None:
    """Step 8, for matrices of any size."""
    words = Alphabet()
    D, Dt = words.matrix("D", "n", "k₁")
    F, Ft = words.matrix("F", "k₁", "n")
    R, Rt = words.matrix("R", "n", "n")  # V = RRᵀ
    Q, Qt = words.matrix("Q", "n", "m")
    root = words.symmetric("C₁^½", "k₁")
    Z, rest = words.symmetric("Cov(z₁)", "k₁"), words.symmetric("Δ", "n")
    z, e = words.matrix("z₁", "k₁", "1")[0], words.matrix("e", "n", "1")[0]
    given = F * R * Rt * Ft + root * root
    away = D * z + e
    outer = sp.expand(away * words.transposed(away))
    covariances = []
    for name, own in (("N", Z), ("given z₂, Σ", given)):
        covariances.append(average(words, outer, {z: own, e: rest}))
        argument.true(
            f"step 8b: {name} = D Cov Dᵀ + Δ, with the covariance of z₁",
            words.same(covariances[-1], D * own * Dt + rest),
        )
    pushed, noisy = Rt * Ft * Dt * Q, root * Dt * Q
    argument.zero(
        "step 8c: tr QᵀΣQ − tr QᵀΔQ = ‖RᵀFᵀDᵀQ‖² + ‖C₁^½DᵀQ‖²",
        words.trace(sp.expand(Qt * (covariances[1] - rest) * Q))
        - words.trace(words.transposed(pushed) * pushed)
        - words.trace(words.transposed(noisy) * noisy),
    )
    argument.cites("step 8c: Ky Fan's minimum principle for traces (Horn & Johnson 4.3.45)")
    argument.true(
        "step 8d: with DᵀQ = 0, NQ = ΣQ",
        words.same(covariances[0] * Q, covariances[1] * Q, {Dt * Q: sp.S.Zero}),
    )
