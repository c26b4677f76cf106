r"""T1.b: sigmoid gates are exact for encoder and variances beside any fixed decoder.

D (n, k) is any fixed matrix, S = BBᵀ the data covariance, τ = βσ², C = diag(c). With offsets at the
mean, 2σ² times the objective is, without what does not depend on E and C,

    tr (I−DE)S(I−DE)ᵀ + τ tr ESEᵀ + Σⱼ [qⱼcⱼ + τ(cⱼ − log cⱼ)],   qⱼ = (DᵀD)ⱼⱼ.

tr DᵀDC sees only the diagonal of DᵀD, since C is diagonal: DᵀD itself need not be.

1. Let P = DᵀD + τI, which is positive definite, and E* = P⁻¹Dᵀ. Completing the square: the first
   two terms at E* + H exceed those at E* by tr HᵀPHS = ‖DHB‖² + τ‖HB‖², zero iff HB = 0. So E*
   is optimal, and the only optimum on directions in which the data vary.
2. The bracket is strictly convex in cⱼ with its minimum at cⱼ = τ/(qⱼ + τ).
3. With D = U diag(d) Vᵀ (singular value decomposition: UᵀU = I, VᵀV = VVᵀ = I) the matrix
   V diag(d/(d² + τ)) Uᵀ solves P E = Dᵀ, hence is E*.
4. sigmoid(log(d²/σ²) − log β) = d²/(d² + τ): a row-wise gate of slope −1 in front of base Uᵀ/d,
   followed by the constant layer V, is E*. A singular value 0 has base 0, and its gain d/(d² + τ)
   is 0. The constant gate is sigmoid(0) = ½ with base 2V.
5. sigmoid(log β − log(q/σ²)) = τ/(q + τ): slope +1 and base 1 give C. For q = 0 the variance is 1:
   slope 0, bias 0, base 2.

Both layers of C are diagonal, so that its entry is the product of the two entries.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import modes, theorem
from linvae.symbolic.symbols import beta, c, d, s2, tau
from proofs._gates import constant, layer_product, same
from proofs._words import Alphabet
from proofs.argument import Argument, Proof, run

__all__ = ["prove", "show_best_encoder", "show_best_variance"]

STATEMENT = "Sigmoid gates give the best encoder and variances for a fixed decoder."


def show_best_encoder(argument: Argument) -> None:
    """Step 1, for matrices of any size: the square is completed word by word."""
    letters = Alphabet()
    D, Dt = letters.matrix("D", "n", "k")
    E, Et = letters.matrix("E", "k", "n")
    H, Ht = letters.matrix("H", "k", "n")
    S, P = letters.symmetric("S", "n"), letters.symmetric("P", "k")
    inverse = letters.symmetric("P⁻¹", "k")
    unit = {P * inverse: sp.S.One, inverse * P: sp.S.One}
    argument.zero(
        "any n, k: tr (I−DE)S(I−DE)ᵀ + τ tr ESEᵀ = tr S − 2 tr DES + tr Eᵀ(DᵀD + τ)ES",
        letters.trace((1 - D * E) * S * (1 - Et * Dt))
        + tau * letters.trace(E * S * Et)
        - letters.trace(S - 2 * D * E * S + Et * (Dt * D + tau) * E * S),
    )

    def value(read: sp.Expr, read_t: sp.Expr) -> sp.Expr:
        words = S - 2 * D * read * S + read_t * P * read * S
        return letters.trace(letters.reduce(words, unit))

    best, best_t = inverse * Dt, D * inverse
    argument.true("E* = P⁻¹Dᵀ solves P E* = Dᵀ", letters.same(P * best, Dt, unit))
    gain = value(best + H, best_t + Ht) - value(best, best_t)
    argument.zero(
        "any n, k: the objective at E* + H exceeds that at E* by tr HᵀPHS",
        gain - letters.trace(Ht * P * H * S),
    )
    _positive_definite(argument, letters, H, Ht)


def _positive_definite(argument: Argument, letters: Alphabet, H: sp.Expr, Ht: sp.Expr) -> None:
    B, Bt = letters.matrix("B", "n", "r")
    D, Dt = letters.matrix("D", "n", "k")
    push = (D * H * B, Bt * Ht * Dt), (H * B, Bt * Ht)
    argument.zero(
        "with P = DᵀD + τI and S = BBᵀ that is ‖DHB‖² + τ‖HB‖²: positive unless HB = 0",
        letters.trace(Ht * (Dt * D + tau) * H * B * Bt)
        - letters.trace(push[0][0] * push[0][1])
        - tau * letters.trace(push[1][0] * push[1][1]),
    )


def show_best_variance(argument: Argument) -> None:
    """Step 2: the variance of latent j, with d² for (DᵀD)ⱼⱼ."""
    bracket = (d**2 * c + tau * (c - sp.log(c))).subs(tau, beta * s2)
    best = sp.solve(sp.diff(bracket, c), c)
    argument.true("the derivative in cⱼ has one zero", len(best) == 1)
    argument.positive("the bracket is strictly convex in cⱼ", sp.diff(bracket, c, 2))
    argument.equal("the minimum is τ/(q + τ)", best[0], modes.POSTERIOR_GIVEN_DECODER)
    argument.equal(
        "the bracket is that of the objective of a mode",
        sp.diff(bracket, c) / (2 * s2),
        sp.diff(modes.OBJECTIVE, c),
    )
    i, j = sp.symbols("i j", integer=True, positive=True)
    gram, spread = sp.IndexedBase("G"), sp.IndexedBase("c")
    traced = sp.concrete.delta.deltasummation(
        gram[j, i] * spread[i] * sp.KroneckerDelta(i, j), (i, 1, sp.oo), no_piecewise=True
    )
    argument.equal("tr DᵀDC sees the diagonal of DᵀD only", traced, gram[j, j] * spread[j])


def _by_decomposition(argument: Argument) -> None:
    """Step 3: what solves P E = Dᵀ when D = U Δ Vᵀ."""
    letters = Alphabet()
    U, Ut = letters.matrix("U", "n", "k")
    V, Vt = letters.matrix("V", "k", "k")
    delta, gain = letters.symmetric("Δ", "k"), letters.symmetric("Γ", "k")
    rules = {Ut * U: sp.S.One, Vt * V: sp.S.One, V * Vt: sp.S.One}
    D, Dt = U * delta * Vt, V * delta * Ut
    left = (Dt * D + tau) * (V * gain * Ut)
    argument.true(
        "any n, k: (DᵀD + τ) VΓUᵀ = V(Δ²Γ + τΓ)Uᵀ",
        letters.same(left, V * (delta * delta * gain + tau * gain) * Ut, rules),
    )
    level = beta * s2
    argument.equal(
        "entry by entry (d² + τ) γ = d, so that this is VΔUᵀ = Dᵀ",
        (d**2 + level) * modes.ENCODER_GIVEN_DECODER,
        d,
    )


def _gated(argument: Argument) -> None:
    """Steps 4 and 5."""
    still = constant(theorem.SIGMOID, "sigmoid")
    argument.equal("sigmoid(0) × 2 = 1", still, 1)
    argument.equal(
        "slope −1, base Uᵀ/d: the gain is d/(d² + τ)",
        theorem.PUBLISHED_ENCODER_GAIN,
        modes.ENCODER_GIVEN_DECODER,
    )
    V, U, gains = (sp.IndexedBase(name, real=True) for name in "VUd")
    inner, latent, feature = sp.symbols("m b a", integer=True, positive=True)

    def gain(of: sp.Expr, index: sp.Symbol) -> sp.Expr:
        return of.subs(d, gains[index])

    # VΓUᵀ is a double sum over the latents m and l, in which Γ[m, l] = γₘ δₘₗ.
    dense = layer_product(
        lambda j: V[latent, inner] * gain(modes.ENCODER_GIVEN_DECODER, inner) * same(inner, j),
        lambda j: U[feature, j],
    )
    argument.equal(
        "any n, k: term m of entry (b, a) of the gated layers' product is that of VΓUᵀ",
        still * V[latent, inner] * gain(theorem.PUBLISHED_ENCODER_GAIN, inner) * U[feature, inner],
        dense,
    )
    argument.zero("d = 0: the gain is 0", modes.ENCODER_GIVEN_DECODER.subs(d, 0))
    argument.equal(
        "slope +1, base 1: the variance is τ/(q + τ)",
        theorem.PUBLISHED_POSTERIOR_VARIANCE,
        modes.POSTERIOR_GIVEN_DECODER,
    )
    argument.equal("q = 0: the variance is 1", modes.POSTERIOR_GIVEN_DECODER.subs(d, 0), 1)
    free = theorem.PUBLISHED_ENCODER_GAIN.free_symbols | (
        theorem.PUBLISHED_POSTERIOR_VARIANCE.free_symbols
    )
    argument.true("neither holds an eigenvalue: the data do not matter", free == {beta, s2, d})


def prove() -> Proof:
    """Derive the best responses of encoder and variances, and the gates that give them."""
    argument = Argument("T1.b", STATEMENT)
    show_best_encoder(argument)
    show_best_variance(argument)
    argument.cites("Every real matrix has a singular value decomposition D = U diag(d) Vᵀ.")
    _by_decomposition(argument)
    _gated(argument)
    return argument.done(
        functions=(
            "linvae.hypernetwork.Hypernetwork.published",
            "linvae.response.encoder_given_decoder",
        ),
        properties=(
            "tests/linvae/test_hypernetwork.py::"
            "test_published_form_equals_the_encoder_of_a_fixed_decoder",
            "tests/linvae/test_symbolic_theorem.py::test_published_parameters_are_the_expressions",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_theorem.py::"
            "test_no_optimiser_beats_the_sigmoids_beside_a_fixed_decoder",
        ),
    )


if __name__ == "__main__":
    run(prove)
