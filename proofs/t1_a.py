r"""T1.a: gates √ReLU(1 − eˣ) in the decoder are exact at the joint optimum.

Symbols: λᵢ, uᵢ eigenpairs of the data covariance, σ² noise variance, τ = βσ² water level,
g(x) = √ReLU(1 − eˣ) the decoder's gate, xᵢ = log β + log σ² − log λᵢ its argument in row i.

1. The second layer is constant in β: its gates have slope 0 and bias log(3/4), so that g = ½, and
   base 2U; hence it is U. The first is diagonal with gates g(xᵢ) and base √λᵢ. Entry (a, i) of the
   product is Σⱼ U[a, j] g(xⱼ) √λⱼ δⱼᵢ = √λᵢ g(xᵢ) U[a, i], for any number of features and latents.
2. exp xᵢ = τ/λᵢ, so that the ReLU is positive iff λᵢ > τ, that is iff β < λᵢ/σ².
3. Active mode, λ = τ + h with h > 0: √λ g(x) = √λ √(1 − τ/λ) = √(λ − τ). Collapsed, λ <= τ: 0.
4. These are the gains of the joint optimum. With the best encoder e = d/(d² + τ) and variance
   c = τ/(d² + τ) for a decoder gain d (unique zeros of derivatives of functions that are strictly
   convex), the objective of a mode depends on d² = w − τ alone, and
   dL/dw = β(w − λ)/(2w²). It falls for w < λ and rises for w > λ: on w >= τ the minimum is at
   w = max(λ, τ), that is d² = (λ − τ)₊, in both branches the square of √λ g(x).
5. A direction without variance has λ = 0: the base weight is 0 and the gate, which lies between 0
   and 1 for every argument, is multiplied by it: 0 = √(0 − τ)₊, whatever the bias.

That the joint optimum of the matrices is a sum over such modes is the claim ``reduction``.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import modes, theorem
from linvae.symbolic.symbols import beta, c, d, e, lam, s2, x
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

__all__ = ["decoder_entry", "level_slope", "prove"]

STATEMENT = "The √ReLU gate gives the jointly optimal decoder at every β."
_level = sp.Symbol("w", positive=True)


def decoder_entry() -> sp.Expr:
    """Entry (a, i) of D(β) = D²(β) D¹(β), with λ for the eigenvalue of mode i."""
    still = constant(theorem.SQRT_RELU, "sqrt_relu")
    gain = theorem.GATED_DECODER_GAIN
    return as_mode(
        layer_product(
            lambda j: still * vectors[row, j], lambda j: mode_of(gain, j) * same(j, first)
        )
    )


def level_slope() -> sp.Expr:
    """Derivative of the mode's objective in w = d² + τ, encoder and variance at their best."""
    best_e = sp.solve(sp.diff(modes.OBJECTIVE, e), e)[0]
    best_c = sp.solve(sp.diff(modes.OBJECTIVE, c), c)[0]
    value = modes.OBJECTIVE.subs({e: best_e, c: best_c})
    of_level = sp.diff(value, d) / (2 * d)  # dL/dw, as dw = 2d dd
    return sp.factor(sp.simplify(of_level).subs(d, sp.sqrt(_level - beta * s2)))


def _optimal(argument: Argument) -> None:
    """Step 4: the optimum of one mode, from its objective."""
    curvatures = [sp.diff(modes.OBJECTIVE, v, 2) for v in (e, c)]
    argument.positive("the objective is strictly convex in e", sp.factor(curvatures[0]))
    argument.positive("the objective is strictly convex in c", sp.factor(curvatures[1]))
    slope = level_slope()
    argument.equal("dL/dw = β(w − λ)/(2w²)", slope, beta * (_level - lam) / (2 * _level**2))
    step = sp.Symbol("h", positive=True)
    argument.positive("L rises with w beyond λ", slope.subs(_level, lam + step))
    argument.positive("L falls with w before λ", -slope.subs(lam, _level + step))
    square = theorem.GATED_DECODER_GAIN**2 + beta * s2
    argument.equal("active: w = λ at the gated gain", settled(at_active(square)), at_active(lam))
    argument.zero(
        "collapsed: w = τ, the least that there is, and τ >= λ",
        settled(at_collapsed(square - beta * s2)),
    )


def prove() -> Proof:
    """Derive the gated decoder and compare it with the joint optimum."""
    argument = Argument("T1.a", STATEMENT)
    argument.equal(
        "a gate of slope 0 and bias log(3/4), times 2, is 1",
        constant(theorem.SQRT_RELU, "sqrt_relu"),
        1,
    )
    argument.equal(
        "entry (a, i) of the product of the layers is √λᵢ g(xᵢ) U[a, i], any n and k",
        decoder_entry(),
        theorem.GATED_DECODER_GAIN * vectors[row, first],
    )
    argument.equal("exp xᵢ = τ/λᵢ", sp.exp(theorem.GATE_INPUT), beta * s2 / lam)
    argument.equal(
        "the gate closes where exp x = 1, at the critical β",
        sp.solve(sp.exp(theorem.GATE_INPUT) - 1, beta)[0],
        modes.CRITICAL_BETA,
    )
    gated = theorem.GATED_DECODER_GAIN
    argument.equal(
        "active: √λ g(x) is the optimal gain √(λ − τ)",
        settled(at_active(gated)),
        settled(at_active(modes.DECODER_GAIN)),
    )
    argument.equal(
        "collapsed: √λ g(x) is the optimal gain 0",
        settled(at_collapsed(gated)),
        settled(at_collapsed(modes.DECODER_GAIN)),
    )
    _optimal(argument)
    squared = theorem.SQRT_RELU.args[0][0] ** 2
    opened = squared.subs(sp.exp(x), 1 / (1 + sp.Symbol("t", positive=True)))
    argument.positive("an open gate, eˣ = 1/(1 + t): g² > 0", opened)
    argument.positive("and 1 − g² > 0, so that a base of 0 (λ = 0) gives 0", 1 - opened)
    return argument.done(
        functions=("linvae.hypernetwork.Hypernetwork.exact", "linvae.response.response"),
        properties=(
            "tests/linvae/test_hypernetwork.py::"
            "test_exact_form_within_the_conditioning_of_the_gate",
            "tests/linvae/test_symbolic_theorem.py::test_gated_parameters_are_the_expressions",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_theorem.py::test_no_optimiser_beats_the_gated_network",
        ),
        uses=("best_responses", "reduction"),
    )


if __name__ == "__main__":
    run(prove)
