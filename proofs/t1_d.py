r"""T1.d: with √ReLU gates for the encoder and min(1, eˣ) for the variances everything is exact.

Symbols as in T1.a: xᵢ = log β + log σ² − log λᵢ, so that exp xᵢ = τ/λᵢ, and g(x) = √ReLU(1 − eˣ).

1. Encoder: the first layer is a constant identity (gate ½, base 2), the second has row gates g(xᵢ)
   and base uᵢᵀ/√λᵢ. Entry (i, a) is Σⱼ g(xᵢ) λᵢ^{-1/2} U[j, i] δⱼₐ = g(xᵢ) λᵢ^{-1/2} U[a, i].
2. Variances: both layers are diagonal, gates min(1, exp xᵢ) with base 1 and a constant one, so
   that entry (i, i) is min(1, exp xᵢ).
3. Active, λ = τ + h: g(x)/√λ = √(λ − τ)/λ and min(1, eˣ) = τ/λ. Collapsed: 0 and 1. These and the
   decoder of T1.a are the joint optimum.
4. The two gates are bound to each other, min(1, eˣ) = 1 − g(x)², which says that every latent has
   variance λe² + c = 1 over the data.
5. The gradient of the objective of a mode vanishes at the gated parameters in both branches, and
   rate and squared error are those of the curve. (That this point is the minimum: T1.a, step 4.)
6. λ = 0: base 0 gives e = d = 0; slope 0 and bias 0 in min(1, eˣ) give c = 1.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import modes, theorem
from linvae.symbolic.symbols import c, d, e, lam, n, x
from proofs._branches import at_active, at_collapsed
from proofs._gates import (
    as_mode,
    constant,
    first,
    layer_product,
    mode_of,
    row,
    same,
    settled,
    vectors,
)
from proofs.argument import Argument, Proof, run

__all__ = ["encoder_entry", "gated", "posterior_entry", "prove"]

STATEMENT = (
    "With √ReLU gates for the encoder too, and min(1, eˣ) for the variances, the joint optimum is "
    "exact at every β."
)
BRANCHES = (("active", at_active), ("collapsed", at_collapsed))


def encoder_entry() -> sp.Expr:
    """Entry (i, a) of E(β) = E²(β) E¹(β); the sum is over the n features."""
    still = constant(theorem.SQRT_RELU, "sqrt_relu")
    gain = mode_of(theorem.GATED_ENCODER_GAIN, first)
    return as_mode(
        layer_product(lambda j: gain * vectors[j, first], lambda j: still * same(j, row), n)
    )


def posterior_entry() -> sp.Expr:
    """Diagonal entry i of C(β) = C²(β) C¹(β)."""
    still = constant(theorem.MIN_EXP, "min_exp")
    gate = theorem.GATED_POSTERIOR_VARIANCE
    return as_mode(
        layer_product(lambda j: still * same(j, first), lambda j: mode_of(gate, j) * same(j, first))
    )


def gated() -> dict[sp.Symbol, sp.Expr]:
    """Gated parameters of one mode."""
    return {
        e: theorem.GATED_ENCODER_GAIN,
        c: theorem.GATED_POSTERIOR_VARIANCE,
        d: theorem.GATED_DECODER_GAIN,
    }


def _compare(argument: Argument) -> None:
    """Step 3."""
    pairs = (
        ("encoder", theorem.GATED_ENCODER_GAIN, modes.ENCODER_GAIN),
        ("variance", theorem.GATED_POSTERIOR_VARIANCE, modes.POSTERIOR_VARIANCE),
        ("decoder", theorem.GATED_DECODER_GAIN, modes.DECODER_GAIN),
    )
    for branch, put in BRANCHES:
        for name, gate, optimum in pairs:
            argument.equal(
                f"{branch}: the gated {name} is the optimal one",
                settled(put(gate)),
                settled(put(optimum)),
            )


def _optimal(argument: Argument) -> None:
    """Steps 4 and 5."""
    squared = sp.Piecewise(
        *((1 - value**2, condition) for value, condition in theorem.SQRT_RELU.args)
    )
    argument.equal("min(1, eˣ) = 1 − g(x)²", theorem.MIN_EXP, squared)
    compared = (
        ("rate", modes.RATE, modes.OPTIMAL_RATE),
        ("squared error", modes.SQUARED_ERROR, modes.OPTIMAL_SQUARED_ERROR),
    )
    for branch, put in BRANCHES:
        point = {symbol: settled(put(value)) for symbol, value in gated().items()}
        argument.equal(
            f"{branch}: the latent has variance λe² + c = 1",
            put(lam) * point[e] ** 2 + point[c],
            1,
        )
        for symbol in (e, c, d):
            slope = put(sp.diff(modes.OBJECTIVE, symbol)).subs(point, simultaneous=True)
            argument.zero(f"{branch}: dL/d{symbol} = 0 at the gated parameters", slope)
        for name, expression, optimum in compared:
            argument.equal(
                f"{branch}: the {name} is that of the curve",
                put(expression).subs(point, simultaneous=True),
                settled(put(optimum)),
            )


def prove() -> Proof:
    """Derive the corrected network and compare it with the joint optimum."""
    argument = Argument("T1.d", STATEMENT)
    argument.equal(
        "entry (i, a) of the encoder is λᵢ^{-1/2} g(xᵢ) U[a, i], any n and k",
        encoder_entry(),
        theorem.GATED_ENCODER_GAIN * vectors[row, first],
    )
    argument.equal(
        "entry (i, i) of the variances is min(1, exp xᵢ)",
        posterior_entry(),
        theorem.GATED_POSTERIOR_VARIANCE,
    )
    _compare(argument)
    _optimal(argument)
    argument.equal("λ = 0: slope 0 and bias 0 give c = 1", settled(theorem.MIN_EXP.subs(x, 0)), 1)
    return argument.done(
        functions=("linvae.hypernetwork.Hypernetwork.exact", "linvae.response.response"),
        properties=(
            "tests/linvae/test_hypernetwork.py::"
            "test_exact_form_to_twelve_digits_away_from_the_critical_betas",
            "tests/linvae/test_hypernetwork.py::"
            "test_exact_form_within_the_conditioning_of_the_gate",
            "tests/linvae/test_symbolic_theorem.py::test_gated_parameters_are_the_expressions",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_theorem.py::test_no_optimiser_beats_the_gated_network",
        ),
        uses=("t1_a",),
    )


if __name__ == "__main__":
    run(prove)
