r"""Bottom-up inference with two layers: optimum and thresholds of collapse, derived anew.

Model: p(z₂) = N(0, I), p(z₁|z₂) = N(W₂z₂, η₂²I), p(x|z₁) = N(W₁z₁, η₁²I); inference
q(z₁|x) = N(V₁x, Σ₁), q(z₂|z₁) = N(V₂z₁, diag c₂); objective 𝒟 + β₁ℛ₁ + β₂ℛ₂ with the two terms of
the claim ``hierarchical.objective``. Write a = λv₁² + t for the variance of z₁ in one mode and
κ = η₂²β₂/β₁.

**Given Σ₁ = tI.**

*Decoder.* ε = λ(1 − w₁v₁)² + w₁²t is least at w₁ = λv₁/a, and is then λt/a.

*Upper layer.* Given a, the terms with w₂, v₂, c₂ are β₁/η₂² times half the squared error of a
one-layer VAE whose data are z₁, with variance a, plus β₂ times its rate: a one-layer VAE with
noise variance η₂² and weight β₂/β₁, whose level is κ. By the claim ``hierarchical`` (one layer:
β₁ = β₂) its optimum is ½β₂u(a/κ), u(r) = r for r <= 1 and 1 + log r for r > 1. z₂ reads the latent
iff a > κ.

*One mode.* There remains

    h(a) = λt/(2η₁²a) + ½β₂u(a/κ) + ½β₁(log(η₂²/t) − 1)   over a >= t.

In log a the first term is strictly convex and u(eʸ) is convex (slope eʸ up to y = 0, then 1): h has
one minimum. Unconstrained it is at a = √(η₂²λt/(β₁η₁²)) if that is <= κ, else at a = λt/(β₂η₁²):
the two expressions A, B satisfy A² = κB, so they lie on the same side of κ. If the minimum is below
t, a = t: v₁ = 0, z₁ ignores the mode.

*Thresholds.* z₁ reads the mode iff h'(t) < 0:

    λ > η₁² min(β₂, β₁t/η₂²).

z₂ reads the latent iff a > κ. For t > κ this always holds: below the first threshold it then codes
nothing but the noise of z₁. For t <= κ it holds iff B > κ: λ > η₁²η₂²β₂²/(β₁t), which lies above
the first threshold.

*Several modes.* Let M = V₁S^½, MMᵀ + tI has eigenvalues a₁ >= … >= a_{k₁} >= t. With the best W₁,
ε = tr S(I + MᵀM/t)⁻¹; I + MᵀM/t has the eigenvalues aᵢ/t and 1 beyond, and by von Neumann's trace
inequality (claim ``reduction``) ε >= Σ_{i≤k₁} λᵢt/aᵢ + Σ_{i>k₁} λᵢ. The upper layer, a one-layer
VAE with k₂ latents, costs at least Σ_{i≤κ'} ½β₂u(aᵢ/κ) + Σ_{i>κ'} ½β₁aᵢ/η₂², κ' = min(k₁, k₂).
So L is at least a sum of separate terms, each no less than its own minimum; modes beyond κ' have
u(r) = r throughout and so the threshold η₁²β₁t/η₂². The minima aᵢ descend with λᵢ, as A and B
rise with λ and u(r) <= r makes the first κ' no smaller; so V₁ and W₁ along the eigenvectors and the
one-layer optimum on top reach the bound.

**Learned Σ₁** (diagonal). ℛ₂ >= 0, and ℛ₁ + ℛ₂ is the KL divergence of q(z₁, z₂|x) from the joint
prior, at least I(x; z₁).

*β₂ >= β₁:* β₁ℛ₁ + β₂ℛ₂ >= β₁(ℛ₁ + ℛ₂) >= β₁I(x; z₁), so L is at least the one-layer optimum at β₁
(steps 2–6 of ``hierarchical``). It is reached with z₂ collapsed, every latent of z₁ with
a = η₂²: mode i lives iff λᵢ > β₁η₁². For β₂ > β₁ equality needs ℛ₂ = 0: z₂ carries nothing,
whatever the data. For β₁ = β₂ the scale a of z₁ is free: for every a > η₂², z₂ codes it and L is
the same.

*β₂ < β₁:* with t = ρa, ρ = min(1, β₁η₁²/λ), the objective of a latent with a >= κ changes with a by
½(β₂ − β₁) log a → −∞. It is unbounded below, for any data: widening z₁ earns β₁ per nat of its
entropy, and telling p(z₁|z₂) where z₁ is costs only β₂ per nat.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import hierarchical as two
from linvae.symbolic.symbols import lam, s2
from proofs._words import Alphabet
from proofs.argument import Argument, Proof, run

__all__ = ["best_decoder", "one_mode", "prove", "slope_at"]

STATEMENT = (
    "With bottom-up inference and given first-layer variance every mode has one optimum and closed "
    "thresholds in both layers; with learned variance the second layer is empty for β₂ > β₁, free "
    "at β₂ = β₁, and the objective unbounded below for β₂ < β₁."
)

a, t, eta2, beta1, beta2 = two.a, two.t, two.eta2, two.beta1, two.beta2
part = sp.Symbol("r", positive=True)
log_a = sp.Symbol("y", real=True)


def best_decoder() -> sp.Expr:
    """Least squared error of one mode over the decoder, in terms of a = λv₁² + t."""
    error = two.BOTTOM_UP_SQUARED_ERROR
    (gain,) = sp.solve(error.diff(two.w1), two.w1)
    return sp.simplify(error.subs(two.w1, gain))


def one_mode(shared: bool) -> sp.Expr:
    """h(a) with z₂ reading the latent or not, without its constant."""
    upper = 1 + sp.log(a / two.UPPER_LEVEL) if shared else a / two.UPPER_LEVEL
    return lam * t / (2 * s2 * a) + beta2 * upper / 2


def slope_at(shared: bool, value: sp.Expr) -> sp.Expr:
    """dh/da at a given a."""
    return sp.simplify(one_mode(shared).diff(a).subs(a, value))


def _upper_layer(argument: Argument) -> None:
    error = best_decoder().subs(two.v1, sp.sqrt((a - t) / lam))
    argument.zero("the best decoder leaves ε = λt/a", sp.simplify(error - lam * t / a))
    terms = (beta1 * two.BOTTOM_UP_RATE1 + beta2 * two.BOTTOM_UP_RATE2).subs(
        two.v1, sp.sqrt((a - t) / lam)
    )
    (gain,) = sp.solve(terms.diff(two.w2), two.w2)
    reduced = sp.simplify(terms.subs(two.w2, gain))
    root = sp.sqrt(a - two.UPPER_LEVEL) / a
    (variance,) = [
        v for v in sp.solve(terms.diff(two.c2), two.c2) if v.is_positive or v.free_symbols
    ]
    argument.equal(
        "the best c₂ is κ/(w₂² + κ)", variance, two.UPPER_LEVEL / (two.w2**2 + two.UPPER_LEVEL)
    )
    optimum = {two.v2: root, two.c2: two.UPPER_LEVEL / a}
    argument.zero(
        "above κ, v₂ = √(a−κ)/a and c₂ = κ/a are stationary",
        sp.Matrix([sp.simplify(reduced.diff(v).subs(optimum)) for v in (two.v2, two.c2)]),
    )
    own = beta1 * (sp.log(eta2 / t) - 1) / 2
    argument.zero(
        "and cost ½β₂(1 + log(a/κ)) beside the entropy of q(z₁|x)",
        sp.expand(sp.expand_log(sp.simplify(reduced.subs(optimum)), force=True))
        - sp.expand(sp.expand_log(own + beta2 * (1 + sp.log(a / two.UPPER_LEVEL)) / 2, force=True)),
    )
    argument.zero(
        "collapsed, v₂ = 0 and c₂ = 1, the cost is ½β₁a/η₂² = ½β₂a/κ",
        sp.simplify(reduced.subs({two.v2: 0, two.c2: 1}) - own - beta2 * a / two.UPPER_LEVEL / 2),
    )
    branches = two.UPPER_COST.args
    argument.true(
        "the library's u is 1 + log(a/κ) for a > κ and a/κ else",
        branches[0][1] == (a > two.UPPER_LEVEL)
        and sp.simplify(branches[0][0] - 1 - sp.log(a / two.UPPER_LEVEL)) == 0
        and branches[1][0] == a / two.UPPER_LEVEL,
    )
    argument.zero(
        "the library's optimum of a mode is ε/(2η₁²) + ½β₂u + the entropy term",
        sp.simplify(
            two.BOTTOM_UP_OPTIMUM - lam * t / (2 * s2 * a) - beta2 * two.UPPER_COST / 2 - own
        ),
    )


def _one_minimum(argument: Argument) -> None:
    for shared, name in ((False, "a <= κ"), (True, "a > κ")):
        along = one_mode(shared).subs(a, sp.exp(log_a)).diff(log_a, 2)
        argument.positive(f"h is strictly convex in log a, {name}", sp.simplify(along))
    argument.zero(
        "h and its slope are continuous at κ",
        sp.Matrix(
            [
                sp.simplify((one_mode(True) - one_mode(False)).subs(a, two.UPPER_LEVEL)),
                slope_at(True, two.UPPER_LEVEL) - slope_at(False, two.UPPER_LEVEL),
            ]
        ),
    )
    argument.zero("B = λt/(β₂η₁²) is stationary where a > κ", slope_at(True, two.SIGNAL_SHARED))
    argument.zero(
        "A = √(η₂²λt/(β₁η₁²)) is stationary where a <= κ", slope_at(False, two.SIGNAL_ALONE)
    )
    argument.zero(
        "A² = κB: A and B lie on the same side of κ",
        sp.simplify(two.SIGNAL_ALONE**2 - two.UPPER_LEVEL * two.SIGNAL_SHARED),
    )


def _thresholds(argument: Argument) -> None:
    first = [s2 * beta2, s2 * beta1 * t / eta2]
    for shared, level in zip((True, False), first, strict=True):
        fall = -slope_at(shared, t)
        (critical,) = sp.solve(fall, lam)
        name = "β₂η₁² for t > κ" if shared else "η₁²β₁t/η₂² for t <= κ"
        argument.equal(f"h'(t) = 0 at λ = {name}", critical, level)
        argument.positive(f"and h'(t) < 0 for larger λ, {name}", sp.simplify(fall.diff(lam)))
    argument.true(
        "t > κ iff η₁²β₁t/η₂² > β₂η₁²: the threshold is the smaller of the two",
        sp.simplify(first[1] / first[0] - t / two.UPPER_LEVEL) == 0
        and sp.simplify(two.THRESHOLD_LOWER / s2 - sp.Min(beta2, beta1 * t / eta2)) == 0,
    )
    argument.equal("alone, a latent has the second one", two.THRESHOLD_UNSERVED, first[1])
    (upper,) = sp.solve(two.SIGNAL_SHARED - two.UPPER_LEVEL, lam)
    argument.equal("B = κ at λ = η₁²η₂²β₂²/(β₁t)", upper, two.THRESHOLD_UPPER)
    inside = {eta2: (1 + part) * t * beta1 / beta2}  # κ = (1 + r)t
    argument.positive(
        "for t < κ it lies above the first threshold",
        sp.simplify((upper - first[1]).subs(inside, simultaneous=True)),
    )
    for value, name in ((two.SIGNAL_SHARED, "B"), (two.SIGNAL_ALONE, "A")):
        argument.positive(f"{name} rises with λ: the aᵢ descend", value.diff(lam))
    beyond = two.SIGNAL_SHARED.subs(lam, upper * (1 + part))
    alone = two.SIGNAL_ALONE.subs(lam, upper * (1 + part))
    argument.positive(
        "B > A where a > κ: a latent that z₂ reads is no smaller",
        sp.simplify(beyond**2 - alone**2),
    )


def _several(argument: Argument) -> None:
    """The best W₁ for matrices of any size, and what it leaves of the data."""
    words = Alphabet()
    M, Mt = words.matrix("M", "k₁", "n")
    H, Ht = words.matrix("H", "n", "k₁")
    root, inverse = words.symmetric("S^½", "n"), words.symmetric("(MMᵀ+tI)⁻¹", "k₁")
    rules = {M * Mt * inverse: 1 - t * inverse, inverse * M * Mt: 1 - t * inverse}

    def error(gain: sp.Expr) -> sp.Expr:
        missed = sp.expand(root - gain * M)
        squares = missed * words.transposed(missed) + t * gain * words.transposed(gain)
        return words.trace(words.reduce(sp.expand(squares), rules, cyclic=True))

    best = root * Mt * inverse
    argument.zero(
        "any sizes: at W₁ = S^½Mᵀ(MMᵀ + tI)⁻¹ + H the error is larger by ‖HM‖² + t‖H‖² >= 0",
        error(sp.expand(best + H)) - error(best) - words.trace(H * M * Mt * Ht + t * H * Ht),
    )
    kept = 1 - Mt * inverse * M
    argument.zero(
        "any sizes: the least error is tr S(I − Mᵀ(MMᵀ + tI)⁻¹M)",
        error(best) - words.trace(sp.expand(root * root * kept)),
    )
    argument.true(
        "any sizes: (I + MᵀM/t)(I − Mᵀ(MMᵀ + tI)⁻¹M) = I",
        words.same(sp.expand((1 + Mt * M / t) * kept), sp.S.One, rules),
    )


def _learned(argument: Argument) -> None:
    r1, r2 = sp.Symbol("R1", real=True), sp.Symbol("R2", nonnegative=True)
    more = sp.Symbol("more", nonnegative=True)
    argument.nonnegative(
        "β₂ = β₁ + δ: β₁ℛ₁ + β₂ℛ₂ − β₁(ℛ₁ + ℛ₂) = δℛ₂ >= 0",
        sp.expand(beta1 * r1 + (beta1 + more) * r2 - beta1 * (r1 + r2)),
    )
    share = sp.Symbol("rho", positive=True)
    noise = share * a
    cost = lam * noise / (2 * s2 * a) + beta1 * (sp.log(eta2 / noise) - 1) / 2
    (best,) = sp.solve(cost.diff(share), share)
    argument.equal("the best t is ρa with ρ = β₁η₁²/λ", best, beta1 * s2 / lam)
    argument.positive("(a minimum)", cost.diff(share, 2))
    (critical,) = sp.solve(best - 1, lam)
    argument.equal("ρ < 1 iff λ > β₁η₁²", critical, two.LEARNED_THRESHOLD)
    alone = cost + beta2 * (a / two.UPPER_LEVEL) / 2
    (scale,) = sp.solve(alone.diff(a), a)
    argument.equal("with z₂ collapsed the best a is η₂²", scale, eta2)
    least = sp.expand(sp.expand_log(alone.subs({share: best, a: eta2}, simultaneous=True)))
    one_layer = two.MODE_OPTIMUM.args[0][0].subs(sp.Symbol("beta", positive=True), beta1)
    argument.zero(
        "and the mode costs what it costs in one layer at β₁",
        sp.expand(least - sp.expand_log(one_layer)),
    )
    told = cost + beta2 * (1 + sp.log(a / two.UPPER_LEVEL)) / 2
    change = sp.expand(sp.expand_log(told - alone.subs(a, eta2), force=True))
    argument.zero(
        "beyond κ, for every ρ, ½[(β₂−β₁) log(a/η₂²) + β₂ − β₁ − β₂ log(β₂/β₁)] is added",
        sp.expand(change - sp.expand(sp.expand_log(two.DESCENT, force=True))),
    )
    argument.zero("which is 0 for β₁ = β₂", two.DESCENT.subs(beta2, beta1))
    argument.true(
        "and goes to −∞ with a for β₂ < β₁",
        sp.limit(two.DESCENT.subs(beta1, beta2 + part), a, sp.oo) == -sp.oo,
    )


def prove() -> Proof:
    """Derive the optimum of one mode, the thresholds, and what a learned Σ₁ changes."""
    argument = Argument("hierarchical.bottom-up", STATEMENT)
    _upper_layer(argument)
    _one_minimum(argument)
    _thresholds(argument)
    _several(argument)
    _learned(argument)
    return argument.done(
        functions=(
            "linvae.hierarchical.bottom_up.BottomUpFrontier.at",
            "linvae.hierarchical.bottom_up.BottomUpFrontier.thresholds",
            "linvae.hierarchical.bottom_up.BottomUpFrontier.model",
        ),
        properties=(
            "tests/linvae/test_hierarchical_bottom_up.py::test_the_optimum_is_reached",
            "tests/linvae/test_hierarchical_bottom_up.py::test_no_parameters_beat_the_optimum",
            "tests/linvae/test_symbolic_hierarchical.py::test_bottom_up_optimum_to_many_digits",
        ),
        optimisations=(
            "tests/linvae/test_hierarchical_optimality.py::test_bottom_up_minima",
            "tests/linvae/test_hierarchical_optimality.py::test_thresholds_of_both_layers",
        ),
        uses=("reduction", "hierarchical_objective", "hierarchical_assignment"),
    )


if __name__ == "__main__":
    run(prove)
