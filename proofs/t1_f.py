r"""T1.f: each side optimal while the other is held fixed: so read, the printed theorem is true.

τ = βσ², S = BBᵀ the data covariance, C = diag(c) > 0, everything centred at the data mean.

1. D fixed. Encoder and variances of T1.b are optimal for every D, and sigmoid gates give them.
2. E and C fixed. The rate does not hold D. What is left is the squared error ε(D) = tr
   (I−DE)S(I−DE)ᵀ + tr DCDᵀ = tr S − 2 tr DES + tr D G Dᵀ with G = ESEᵀ + C, which is positive
   definite because C is. D* = SEᵀG⁻¹ and ε(D* + H) − ε(D*) = tr H G Hᵀ = ‖HEB‖² + ‖HC^{1/2}‖², zero
   only for H = 0: D* is the one optimum, and neither β nor σ² is in it.
3. A decoder that does not depend on β is what gates of slope 0 give, of either kind.
4. For one mode D* is λe/(λe² + c): derived, free of β.
5. Both at once is something else. If e, c are best for d and d is best for e, c, then
   d(d² + τ − λ) = 0: besides d = 0 only d² = λ − τ, which moves with β. A fixed d ≠ 0 is part of a
   joint optimum at one β alone, (λ − d²)/σ²; elsewhere the curve lies strictly below.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import modes, theorem
from linvae.symbolic.symbols import beta, c, d, e, lam, s2
from proofs._gates import constant
from proofs._words import Alphabet
from proofs.argument import Argument, Proof, run
from proofs.t1_b import show_best_encoder, show_best_variance

__all__ = ["best_decoder_gain", "prove", "show_best_decoder"]

STATEMENT = (
    "Read literally (each side optimal with the other held fixed) the printed theorem is true, and "
    "the decoder does not depend on β."
)


def show_best_decoder(argument: Argument) -> None:
    """Step 2, for matrices of any size."""
    letters = Alphabet()
    D, Dt = letters.matrix("D", "n", "k")
    E, Et = letters.matrix("E", "k", "n")
    H, Ht = letters.matrix("H", "n", "k")
    S, C = letters.symmetric("S", "n"), letters.symmetric("C", "k")
    G, inverse = letters.symmetric("G", "k"), letters.symmetric("G⁻¹", "k")
    unit = {G * inverse: sp.S.One, inverse * G: sp.S.One}
    argument.zero(
        "any n, k: ε = tr S − 2 tr DES + tr D(ESEᵀ + C)Dᵀ",
        letters.trace((1 - D * E) * S * (1 - Et * Dt) + D * C * Dt)
        - letters.trace(S - 2 * D * E * S + D * (E * S * Et + C) * Dt),
    )

    def value(write: sp.Expr, write_t: sp.Expr) -> sp.Expr:
        words = S - 2 * write * E * S + write * G * write_t
        return letters.trace(letters.reduce(words, unit))

    best, best_t = S * Et * inverse, inverse * E * S
    argument.true("D* = SEᵀG⁻¹ solves D*G = SEᵀ", letters.same(best * G, S * Et, unit))
    gain = value(best + H, best_t + Ht) - value(best, best_t)
    argument.zero("any n, k: ε(D* + H) − ε(D*) = tr H G Hᵀ", gain - letters.trace(H * G * Ht))
    B, Bt = letters.matrix("B", "n", "r")
    R, Rt = letters.matrix("R", "k", "k")  # C = RRᵀ, R the diagonal of square roots
    argument.zero(
        "with S = BBᵀ and C = RRᵀ that is ‖HEB‖² + ‖HR‖²: positive unless H = 0",
        letters.trace(H * (E * B * Bt * Et + R * Rt) * Ht)
        - letters.trace((H * E * B) * (Bt * Et * Ht))
        - letters.trace((H * R) * (Rt * Ht)),
    )
    argument.zero("the rate of a mode does not hold d", sp.diff(modes.RATE, d))


def best_decoder_gain() -> sp.Expr:
    """Zero of the derivative in d of one mode's objective."""
    (best,) = sp.solve(sp.diff(modes.OBJECTIVE, d), d)
    return best


def _one_mode(argument: Argument) -> None:
    """Steps 4 and 5."""
    best = best_decoder_gain()
    argument.equal("one mode: D* is λe/(λe² + c)", best, modes.DECODER_GIVEN_ENCODER)
    argument.positive("ε is strictly convex in d", sp.diff(modes.OBJECTIVE, d, 2) * s2)
    argument.true("neither β nor σ² is in it", best.free_symbols == {lam, e, c})
    both = best.subs(
        {e: modes.ENCODER_GIVEN_DECODER, c: modes.POSTERIOR_GIVEN_DECODER}, simultaneous=True
    )
    level = beta * s2
    argument.equal(
        "the best d for the best e and c of d differs from d by a multiple of d(d² + τ − λ)",
        both - d,
        -level * d * (d**2 + level - lam) / (level * (d**2 + level) + lam * d**2),
    )
    meeting = sp.solve(d**2 + beta * s2 - lam, beta)
    argument.equal("a fixed d ≠ 0 is jointly optimal at one β only", meeting[0], (lam - d**2) / s2)


def prove() -> Proof:
    """Derive both best responses."""
    argument = Argument("T1.f", STATEMENT)
    show_best_encoder(argument)
    show_best_variance(argument)
    argument.equal(
        "a sigmoid of slope −1 gives that encoder",
        theorem.PUBLISHED_ENCODER_GAIN,
        modes.ENCODER_GIVEN_DECODER,
    )
    argument.equal(
        "a sigmoid of slope +1 gives these variances",
        theorem.PUBLISHED_POSTERIOR_VARIANCE,
        modes.POSTERIOR_GIVEN_DECODER,
    )
    show_best_decoder(argument)
    argument.equal(
        "a decoder that is constant in β: gates √ReLU(1 − eˣ) of slope 0, base 2D",
        constant(theorem.SQRT_RELU, "sqrt_relu"),
        1,
    )
    _one_mode(argument)
    return argument.done(
        functions=(
            "linvae.hypernetwork.Hypernetwork.published",
            "linvae.response.encoder_given_decoder",
            "linvae.response.decoder_given_encoder",
        ),
        properties=(
            "tests/linvae/test_hypernetwork.py::"
            "test_published_form_equals_the_encoder_of_a_fixed_decoder",
            "tests/linvae/test_adversarial_theorem.py::test_best_decoders_are_the_same_at_every_beta",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_theorem.py::"
            "test_no_optimiser_beats_the_sigmoids_beside_a_fixed_decoder",
            "tests/linvae/test_adversarial_theorem.py::"
            "test_no_optimiser_beats_the_best_decoder_of_a_fixed_encoder",
        ),
        uses=("t1_b",),
    )


if __name__ == "__main__":
    run(prove)
