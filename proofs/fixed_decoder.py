r"""The rate-distortion curve of one decoder, and where it touches the joint frontier.

Let p(z) = N(0, I) and p(x|z) = N(Dz + m, σ²I) be fixed and let q(z|x) be anything.

1. *The best encoder.* For one x and one latent of gain d, with q = N(a, v),

       E_q[(x − dz)²]/(2σ²) + β KL(q ‖ p) = β KL(q ‖ q_β) + (what does not depend on q),
       q_β = N(dx/(d² + τ), τ/(d² + τ)),   τ = βσ².

   The KL is never negative, so q_β is best, and no other q is. (For any q at all the same identity
   holds with q_β ∝ p(z) p(x|z)^{1/β}; that density is Gaussian.)
2. *Many latents.* With the singular value decomposition D = U diag(g) Vᵀ and z' = Vᵀz, the prior
   stays N(0, I) and the decoder becomes U diag(g): the modes part, and the full covariance is
   V diag(τ/(gᵢ² + τ)) Vᵀ.
3. *On average over x* with second moment λ along a singular vector, rate and squared error become
   the expressions of ``linvae.symbolic.twins``.
4. *Diagonal covariances* instead of full ones, with the same encoder, cost
   (β/2)[Σⱼ log(1 + Gⱼⱼ/τ) − log det(I + G/τ)] with G = DᵀD: what the loss has of C is
   [tr C(G + τI) − τ log det C]/(2σ²), and the trace is kτ for the full C = τ(G + τI)⁻¹ as for its
   diagonal rival cⱼ = τ/(Gⱼⱼ + τ). The bracket is ≥ 0 by Hadamard's inequality, and 0 only for
   diagonal G (claim "reduction").
5. *Against the joint frontier.* With w = d² + τ the objective of step 3 is
   (β/2)[log(w/τ) + λ/w] plus a constant. Over w ≥ τ its excess above the least value is
   (β/2)[r − 1 − log r], r = λ/w, if λ > τ; it vanishes only at w = λ, which is d² = λ − τ. If λ ≤ τ
   it rises from w = τ. So a decoder with given d touches the frontier of its mode at the one β with
   d² = λ − βσ² (or, when d = 0, at every β ≥ λ/σ²).
6. A decoder whose columns are no eigenvectors is worse still, by the reduction to modes (claim
   "reduction"), applied to the rotated decoder DV, whose diagonal curve is D's full curve.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic.modes import (
    DECODER_GAIN,
    ENCODER_GIVEN_DECODER,
    OBJECTIVE,
    OPTIMAL_RATE,
    OPTIMAL_SQUARED_ERROR,
    POSTERIOR_GIVEN_DECODER,
    RATE,
    SQUARED_ERROR,
    WATER_LEVEL,
)
from linvae.symbolic.symbols import beta, c, d, e, lam, s2, tau
from linvae.symbolic.twins import FIXED_DECODER_RATE, FIXED_DECODER_SQUARED_ERROR

from ._branches import at_active, at_collapsed
from ._words import Alphabet
from .argument import Argument, Proof, run

x, a = sp.symbols("x a", real=True)
v, w, r = sp.symbols("v w r", positive=True)


def kl(mean: sp.Expr, variance: sp.Expr, mean2: sp.Expr, variance2: sp.Expr) -> sp.Expr:
    """KL(N(mean, variance) ‖ N(mean2, variance2))."""
    ratio = variance / variance2
    return (ratio - 1 - sp.log(ratio) + (mean - mean2) ** 2 / variance2) / 2


def loss_of_one_point() -> sp.Expr:
    """Expected squared error over 2σ² plus β KL, for one x and q = N(a, v)."""
    return ((x - d * a) ** 2 + d**2 * v) / (2 * s2) + beta * kl(a, v, sp.S.Zero, sp.S.One)


def excess_in_water() -> sp.Expr:
    """Excess over the least value of (β/2)[log(w/τ) + λ/w], at w = λ/r."""
    loss = beta / 2 * (sp.log(w / tau) + lam / w)
    return sp.expand_log(loss.subs(w, lam / r) - loss.subs(w, lam))


def show_covariances(argument: Argument) -> None:
    """Step 4: the trace is the same for both covariances, so that they differ by logarithms."""
    letters = Alphabet()
    G, inverse = letters.symmetric("G", "k"), letters.symmetric("(G + τ)⁻¹", "k")
    size = sp.Symbol("k", integer=True, positive=True)
    argument.equal(
        "any k: tr C(G + τI) = kτ for C = τ(G + τI)⁻¹",
        letters.trace(
            letters.reduce(tau * inverse * (G + tau), {inverse * G: 1 - tau * inverse}), size
        ),
        size * tau,
    )
    j = sp.Symbol("j", integer=True, positive=True)
    gram = sp.IndexedBase("G", nonnegative=True)[j, j]
    variance = POSTERIOR_GIVEN_DECODER.subs(d, sp.sqrt(gram)).subs(beta, tau / s2)
    argument.equal(
        "any k: Σⱼ cⱼ(Gⱼⱼ + τ) = kτ for cⱼ = τ/(Gⱼⱼ + τ)",
        sp.Sum(sp.cancel(variance * (gram + tau)), (j, 1, size)).doit(),
        size * tau,
    )


def prove() -> Proof:
    """Derive the curve of a fixed decoder."""
    proof = Argument(
        "fixed-decoder",
        "The curve of a fixed decoder lies on or above the joint frontier and touches it where "
        "that decoder is optimal.",
    )
    best = (d * x / (d**2 + WATER_LEVEL), WATER_LEVEL / (d**2 + WATER_LEVEL))
    rest = sp.expand_log(loss_of_one_point() - beta * kl(a, v, *best))
    proof.zero("E_q[loss] − β KL(q ‖ q_β) does not depend on the mean of q", sp.diff(rest, a))
    proof.zero("... nor on its variance: q_β is best", sp.diff(rest, v))
    bracket = r - 1 - sp.log(r)
    slope = sp.diff(bracket, r)
    proof.zero("r − 1 − log r has one stationary point, r = 1", slope.subs(r, 1))
    proof.positive("... its second derivative is positive", sp.diff(bracket, r, 2))
    proof.zero("... and its value there is 0: a KL is never negative", bracket.subs(r, 1))
    proof.equal("the posterior variance is that of a fixed decoder", best[1],
                POSTERIOR_GIVEN_DECODER)  # fmt: skip
    proof.equal("... and so is the encoder", best[0], ENCODER_GIVEN_DECODER * x)

    answer = {e: ENCODER_GIVEN_DECODER, c: POSTERIOR_GIVEN_DECODER}
    proof.equal("on average over x: the squared error", SQUARED_ERROR.subs(answer),
                FIXED_DECODER_SQUARED_ERROR)  # fmt: skip
    proof.equal("on average over x: the rate", sp.expand_log(RATE.subs(answer)),
                sp.expand_log(FIXED_DECODER_RATE))  # fmt: skip

    angle = sp.Symbol("theta", real=True)
    turn = sp.Matrix([[sp.cos(angle), -sp.sin(angle)], [sp.sin(angle), sp.cos(angle)]])
    proof.zero("a rotation of the latents leaves the prior alone", turn * turn.T - sp.eye(2))
    show_covariances(proof)

    objective = sp.expand_log(OBJECTIVE.subs(answer))
    water = sp.expand_log(
        (beta / 2 * (sp.log(w / WATER_LEVEL) + lam / w)).subs(w, d**2 + WATER_LEVEL)
    )
    proof.zero("with w = d² + τ the loss is (β/2)[log(w/τ) + λ/w]",
               objective - water)  # fmt: skip
    proof.equal("its excess above w = λ is (β/2)[r − 1 − log r], r = λ/w", excess_in_water(),
                beta / 2 * bracket)  # fmt: skip
    rise = sp.diff(sp.log(w / tau) + lam / w, w) * w**2
    above = sp.Symbol("y", nonnegative=True)
    below = sp.Symbol("g", nonnegative=True)
    proof.nonnegative("if λ ≤ τ it rises from w = τ on",
                      sp.expand(rise.subs(w, lam + below + above)))  # fmt: skip
    for name, at, gain in (("λ > τ", at_active, sp.sqrt(lam - WATER_LEVEL)),
                           ("λ ≤ τ", at_collapsed, sp.S.Zero)):  # fmt: skip
        proof.equal(f"{name}: the jointly optimal gain", at(gain), at(DECODER_GAIN))
        proof.equal(f"{name}: there the rate is that of the frontier",
                    sp.expand_log(at(FIXED_DECODER_RATE.subs(d, gain)), force=True),
                    sp.expand_log(at(OPTIMAL_RATE), force=True))  # fmt: skip
        proof.equal(f"{name}: and so is the squared error",
                    at(FIXED_DECODER_SQUARED_ERROR.subs(d, gain)),
                    at(OPTIMAL_SQUARED_ERROR))  # fmt: skip
    return proof.done(
        functions=("linvae.fixed_decoder.FixedDecoderFrontier",),
        properties=(
            "tests/linvae/test_fixed_decoder.py::test_never_below_the_frontier",
            "tests/linvae/test_symbolic_twins.py::test_fixed_decoder_is_the_expression",
        ),
        optimisations=("tests/linvae/test_fixed_decoder.py::test_no_encoder_beats_the_curve",),
        uses=("best_responses", "reduction", "global_optimum"),
    )


if __name__ == "__main__":
    run(prove)
