r"""T1.c: no product of finitely many sigmoid gates is exact at the joint optimum.

Let E(β) be a product of finitely many layers, layer l being a real matrix Wˡ whose row i is scaled
by the gate s(wβᵢˡ) = sigmoid(wᵢˡ log β + bᵢˡ); any widths, any number of layers, any real
parameters. C(β) likewise. Suppose that E(β), or C(β), is part of a joint optimum at every β of an
open interval I, and that some mode is active somewhere in I. Active sets shrink as β grows, so that
I contains an open interval, called I again, on which the same m >= 1 modes are active.

1. Representation. sigmoid(w log β + b) = β^w/(β^w + e^{−b}) lies strictly between 0 and 1.
2. Bounded. An entry of a product of layers is Σⱼ sᵢ Wᵢⱼ Mⱼ with M the product of the layers before
   it: if |Mⱼ| <= Rⱼ at every β then the entry is at most Σⱼ |Wᵢⱼ| Rⱼ. By induction over layers
   every entry is bounded on β > 0 by the same product of absolute values, without gates.
3. Analytic. |1 + e^{−z}|² = (1 − e^{−u})² + 2e^{−u}(1 + cos v) > 0 for z = u + iv, |v| < π. With z
   = w log β + b and β = re^{iφ}, v = wφ; so sigmoid(w log β + b) is holomorphic on the sector |φ| <
   π/|w|. Finitely many gates share a sector about β > 0, which is connected; sums and products of
   holomorphic functions are holomorphic.
4. A quantity that no gauge can change. The joint optimum is unique up to order and signs of latents
   (which may differ from one β to the next), bases inside ties, and E where S vanishes (claims
   ``global`` for the levels, ``reduction`` for equality, ``best-response`` for E and C). Under all
   of these t(β) = tr E S Eᵀ and v(β) = tr C are what they are. At the optimum λe² = (λ − τ)/λ for
   an active mode and 0 for the others, c = τ/λ and 1: with Q = Σ_{i≤m} 1/λᵢ > 0,

       t = m − βσ²Q,      v = k − m + βσ²Q      on I.

5. By the identity theorem both hold at every β > 0, since the two sides are analytic there.
6. Encoder: t = Σ λᵢ ‖Euᵢ‖² >= 0, but m − βσ²Q = −1 at β = (m + 1)/(σ²Q). Contradiction.
   (One row alone fails in the same way: e S eᵀ = (λ − τ)/λ changes sign at its critical β.)
7. Variances: v is bounded by step 2, but k − m + βσ²Q exceeds any bound R, at
   β = (R + 1)/(σ²Q) for one. Contradiction.
8. Where no mode is active E = 0 and C = I, which are products of gates: base 0, and gates of slope
   0 with sigmoid(0) = ½ and base 2. So representable on I if and only if no mode is active on I.

How much any product of diagonal layers must cost is the claim ``sigmoid-cost``.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import modes, theorem
from linvae.symbolic.symbols import beta, lam, s2, x
from proofs._branches import at_active
from proofs._gates import constant, settled
from proofs._words import Alphabet
from proofs.argument import Argument, Proof, run

__all__ = ["extended_reading", "extended_variance", "prove"]

STATEMENT = (
    "No product of finitely many sigmoid gates gives the jointly optimal encoder or variances on "
    "an interval of β with an active mode."
)
w, b = theorem.w, theorem.b
modes_active = sp.Symbol("m", integer=True, positive=True)
others = sp.Symbol("r", integer=True, nonnegative=True)  # k − m
_i = sp.Symbol("i", integer=True, positive=True)
_values = sp.IndexedBase("L", positive=True)
harmonic = sp.Symbol("Q", positive=True)  # Σ 1/λ over the active modes


def _active(expression: sp.Expr) -> sp.Expr:
    """First branch of an expression of the optimum: the formula below the critical β."""
    return expression.args[0][0]


def _over_modes(per_mode: sp.Expr) -> sp.Expr:
    """Sum over the m active modes, with Q for the sum of 1/λ."""
    summand = sp.expand(per_mode).subs(lam, _values[_i])
    constant_part = summand.subs(beta, 0)
    rate = sp.simplify((summand - constant_part) * _values[_i])  # what multiplies 1/λ
    if rate.has(_values) or constant_part.has(_values):
        raise ValueError("the summand is not a + b/λ")
    return sp.Sum(constant_part, (_i, 1, modes_active)).doit() + rate * harmonic


def extended_reading() -> sp.Expr:
    """Tr E S Eᵀ on I, as an expression in β that has a meaning for every β."""
    return _over_modes(lam * _active(modes.ENCODER_GAIN) ** 2)


def extended_variance() -> sp.Expr:
    """Tr C on I, likewise."""
    return others * settled_one() + _over_modes(_active(modes.POSTERIOR_VARIANCE))


def settled_one() -> sp.Expr:
    """Variance of a latent that is not active."""
    return modes.POSTERIOR_VARIANCE.args[1][0]


def _representation(argument: Argument) -> None:
    """Steps 1 to 3."""
    gate = theorem.SIGMOID.subs(x, w * sp.log(beta) + b)
    power = sp.Symbol("p", positive=True)  # β^w
    small = sp.Symbol("f", positive=True)  # e^{−b}
    argument.equal(
        "sigmoid(w log β + b) = β^w/(β^w + e^{−b})",
        sp.simplify(gate),
        beta**w / (beta**w + sp.exp(-b)),
    )
    share = power / (power + small)
    argument.positive("it is positive", share)
    argument.positive("and less than 1", sp.together(1 - share))
    weight, bound = sp.symbols("W R", nonnegative=True)
    argument.nonnegative(
        "induction: |sᵢWᵢⱼMⱼ| <= |Wᵢⱼ|Rⱼ, so entries stay bounded from layer to layer",
        sp.factor(weight * bound - share * weight * bound),
    )
    u, v = sp.symbols("u v", real=True)
    modulus = sp.expand((1 + sp.exp(-u) * sp.cos(v)) ** 2 + (sp.exp(-u) * sp.sin(v)) ** 2)
    argument.equal(
        "|1 + e^{−u−iv}|² = (1 − e^{−u})² + 2e^{−u}(1 + cos v)",
        sp.simplify(modulus),
        (1 - sp.exp(-u)) ** 2 + 2 * sp.exp(-u) * (1 + sp.cos(v)),
    )
    argument.equal("1 + cos v = 2cos²(v/2)", 1 + sp.cos(v), sp.expand_trig(2 * sp.cos(v / 2) ** 2))
    argument.true(
        "cos(v/2) vanishes at v = ±π and not between: the gate has no pole for |v| < π",
        sp.solveset(sp.cos(v / 2), v, sp.Interval(-sp.pi, sp.pi)) == sp.FiniteSet(-sp.pi, sp.pi),
    )
    radius = sp.Symbol("r", positive=True)
    turn = sp.Symbol("phi", real=True)
    argument.equal(
        "β = re^{iφ} gives v = wφ, so that sectors |φ| < π/|w| about β > 0 are free of poles",
        sp.im(sp.expand(w * (sp.log(radius) + sp.I * turn) + b)),
        w * turn,
    )


def _gauge_free(argument: Argument) -> None:
    """Step 4."""
    square = lam * modes.ENCODER_GAIN**2
    argument.equal(
        "an active mode adds (λ − τ)/λ to tr E S Eᵀ",
        settled(at_active(square)),
        at_active((lam - beta * s2) / lam),
    )
    argument.zero("a collapsed one adds 0", modes.ENCODER_GAIN.args[1][0])
    argument.equal("tr E S Eᵀ = m − βσ²Q", extended_reading(), modes_active - beta * s2 * harmonic)
    argument.equal("tr C = k − m + βσ²Q", extended_variance(), others + beta * s2 * harmonic)
    argument.equal(
        "together they are k = m + r",
        extended_reading() + extended_variance(),
        modes_active + others,
    )
    letters = Alphabet()
    E, Et = letters.matrix("E", "k", "n")
    T, Tt = letters.matrix("T", "k", "k")
    S, C = letters.symmetric("S", "n"), letters.symmetric("C", "k")
    moved = letters.reduce(Et * Tt * T * E * S + Tt * T * C, {Tt * T: sp.S.One})
    argument.zero(
        "tr E S Eᵀ and tr C do not change under E → TE, C → TCTᵀ, TᵀT = I (order, sign, tie)",
        letters.trace(moved) - letters.trace(E * S * Et + C),
    )


def _contradictions(argument: Argument) -> None:
    """Steps 6 and 7."""
    read, spread = extended_reading(), extended_variance()
    place = sp.solve(read + 1, beta)[0]
    argument.positive("there is a β > 0 where m − βσ²Q = −1", place)
    argument.equal("it is −1 there", read.subs(beta, place), -1)
    size = sp.Symbol("E", real=True)
    argument.nonnegative("but every term λᵢ(Euᵢ)² of tr E S Eᵀ is >= 0", lam * size**2)
    row = _active(modes.ENCODER_GAIN) ** 2 * lam
    argument.equal(
        "one row: (λ − τ)/λ is 0 at the critical β", row.subs(beta, modes.CRITICAL_BETA), 0
    )
    argument.positive("and falls there", -sp.diff(sp.expand(row), beta))
    bound = sp.Symbol("R", positive=True)
    place = sp.solve(spread - others - bound - 1, beta)[0]
    argument.positive("for any bound R there is a β > 0 with k − m + βσ²Q = k − m + R + 1", place)
    argument.positive("it exceeds R there", sp.expand(spread.subs(beta, place) - bound))


def prove() -> Proof:
    """Put the argument together."""
    argument = Argument("T1.c", STATEMENT)
    _representation(argument)
    argument.cites(
        "Sums, products and compositions of holomorphic functions are holomorphic; log is so off "
        "the negative axis."
    )
    _gauge_free(argument)
    argument.cites(
        "Identity theorem: holomorphic functions on a connected domain that agree on an interval "
        "agree everywhere (domain: the common sector of step 3)."
    )
    _contradictions(argument)
    still = constant(theorem.SIGMOID, "sigmoid")
    argument.equal(
        "no active mode: C = I by gates sigmoid(0) = ½ with base 2", still, settled_one()
    )
    argument.zero("no active mode: E = 0 by base 0", still * modes.ENCODER_GAIN.args[1][0])
    return argument.done(
        functions=(
            "linvae.hypernetwork.GatedLayer.weights",
            "linvae.claims.sigmoid_fit.best_posterior_fit",
        ),
        properties=(
            "tests/linvae/test_adversarial_theorem.py::"
            "test_sigmoid_networks_are_bounded_where_the_optimum_is_not",
        ),
        optimisations=(
            "tests/linvae/test_sigmoid_fit.py::test_no_single_gate_on_a_grid_beats_the_best_fit_found",
            "tests/linvae/test_adversarial_theorem.py::"
            "test_fitted_sigmoid_networks_never_reach_the_optimal_encoder",
        ),
        uses=("best_responses", "reduction", "global_optimum"),
    )


if __name__ == "__main__":
    run(prove)
