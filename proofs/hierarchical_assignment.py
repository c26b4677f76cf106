r"""Which layer carries what: the least objective of linear top-down models with two layers.

Claim. Let λ₁ >= λ₂ >= … be the eigenvalues of S, τⱼ = βⱼσ², κ = min(k₁, k₂), and let

    ℓ(λ; β) = min over 0 < δ <= λ of b(δ; β) + ½β log λ,    b(δ; β) = δ/(2σ²) − ½β log δ,

which is β/2 + ½β log(λ/τ) for λ > τ = βσ² and λ/(2σ²) else. Up to the constant ½n log 2πσ²,

    inf L = Σ_{i≤κ} ℓ(λᵢ; min(β₁, β₂)) + Σ_{κ<i≤k₁} ℓ(λᵢ; β₁) + Σ_{i>k₁} λᵢ/(2σ²).

The objective depends on the data through mean and covariance only (claim
``hierarchical.objective``): let x be N(μ, S).

*1. Weights.* ℛ₂ >= I(x; z₂) and ℛ₁ >= I(x; z₁|z₂), by the same claim, for matrices of any size. If
β₂ >= β₁, then β₁ℛ₁ + β₂ℛ₂ = β₁(ℛ₁ + ℛ₂) + (β₂ − β₁)ℛ₂ >= β₁(ℛ₁ + ℛ₂), the objective with both
weights β₁. So it suffices to bound β₁I(x; z₁|z₂) + β₂I(x; z₂) for β₂ <= β₁.

*2. The space of the decoder.* Let P be the orthogonal projection on a space V of k₁ dimensions that
contains the range of D, y = P(x − m) and x̂ = Dz₁. With v = (I − P)(μ − m), as (I − P)D = 0,
ε = tr (I−P)S + ‖v‖² + E‖y − x̂‖². As y is a function of x and x̂ one of z₁, data processing gives
I(x; z₂) >= I(y; z₂) and I(x; z₁|z₂) >= I(y; x̂|z₂).

*3. Three matrices.* Write N = Cov y, Σ = Cov(y|z₂), Δ = Cov(y|z₂, x̂), with eigenvalues νⱼ, sⱼ, dⱼ,
each descending. All is jointly Gaussian. An entropy is ½ log det 2πe of a covariance, and I(y; z₂),
I(y; x̂|z₂) are differences of entropies. The error is at least that of the conditional mean, tr Δ:
without its constant, the objective is at least

    [tr S − tr N + tr Δ]/(2σ²) − ½β₁ log det Δ + ½(β₁ − β₂) log det Σ + ½β₂ log det N,

where Δ <= Σ <= N, and N − Σ has rank at most k₂, as z₂ has k₂ entries. (Directions in which y does
not vary are left out of all three; Δ singular costs infinitely much.) Weyl's inequalities give
sⱼ >= dⱼ, νⱼ >= dⱼ and sⱼ >= ν_{j+k₂} (0 beyond k₁). As β₁ >= β₂ and log rises, the j-th terms are
at least

    gⱼ(dⱼ) + ½β₂ log νⱼ,  gⱼ(d) = d/(2σ²) − ½β₁ log d + ½(β₁ − β₂) log max(d, ν_{j+k₂}).

*4. One eigenvalue.* gⱼ is b(d; β₂) for d >= ν_{j+k₂} and b(d; β₁) plus a constant below. b(d; β)
falls before d = τ and rises after. Hence on 0 < d <= νⱼ the function gⱼ is least

    at d = τ₁ if ν_{j+k₂} > τ₁;   at d = ν_{j+k₂} if it lies in [τ₂, τ₁];   at d = min(τ₂, νⱼ) else.

*5. The sum.* Let p be the number of j <= k₁ with ν_{j+k₂} >= τ₂, and r <= p of those with
ν_{j+k₂} > τ₁. If p > 0, the first p + k₂ <= k₁ eigenvalues are at least τ₂, and the least terms are

    j <= r:             b(τ₁; β₁) + ½(β₁ − β₂) log ν_{j+k₂} + ½β₂ log νⱼ
    r < j <= p:         b(ν_{j+k₂}; β₂) + ½β₂ log νⱼ
    p < j <= p + k₂:    b(τ₂; β₂) + ½β₂ log νⱼ
    p + k₂ < j <= k₁:   b(νⱼ; β₂) + ½β₂ log νⱼ = νⱼ/(2σ²).

With the partial sums of νⱼ and log νⱼ every sum of νⱼ, ν_{j+k₂} or their logarithms over a range
telescopes, and for all k₁, k₂, p, r the total is

    Σ_{i≤κ} ℓ(νᵢ; β₂) + Σ_{i>κ} ℓ(νᵢ; β₁),

of which the modes up to k₂ are above τ₂ and those up to k₂ + r above τ₁: the first p terms have the
errors of the modes k₂+1 … k₂+p riding in z₁. If p = 0, let q be the number of νⱼ > τ₂. As
ν_{k₂+1} < τ₂, q <= κ, the terms are b(τ₂; β₂) + ½β₂ log νⱼ for j <= q and νⱼ/(2σ²) beyond, and the
total is the same, its modes up to q alive.

*6. Interlacing.* d/dν [ℓ(ν; β) − ν/(2σ²)] = −(ν − τ)₊/(2σ²ν) <= 0, and νᵢ <= λᵢ (Cauchy): the bound
is least for νᵢ = λᵢ. This is the claim's right-hand side.

*7. It is approached.* A mode rides in z₁ alone as in a model with one layer, and its cost is
ℓ(λ; β₁). For β₂ < β₁, let z₂ be the one-layer code at β₂ and let z₁ copy it,
q(z₁|z₂, x) = p(z₁|z₂) = N(Az₂, s²): ℛ₁ = 0, and the noise of the copy adds η²(λ − τ₂)/(2σ²),
η = s/A, which goes to 0 with s, and also for fixed s with A → ∞.

*8. When it is reached.* For β₂ >= β₁ step 7 reaches it, z₂ collapsed; and so it does if λ₁ <= τ₂,
all collapsed. Otherwise nothing reaches it. Suppose equality, and let p now count ν_{j+k₂} > τ₂.

(a) By step 4 dⱼ = min(τ₂, νⱼ) >= ν_{j+k₂} for j > p, as gⱼ has no other minimum; and the term with
β₁ − β₂ > 0 forces sⱼ = max(dⱼ, ν_{j+k₂}) = dⱼ for these j.
(b) The error is tr Δ only if x̂ is E[y|z₂, x̂] up to its mean: y = Dz₁ + e up to means, with e
uncorrelated with Dz₁ and z₂ and Cov e = Δ. By ``hierarchical.objective`` the covariance of z₁ given
z₂ is B = FVFᵀ + C₁, V = Cov(x|z₂); so Σ = DBDᵀ + Δ, and N = D Cov(z₁) Dᵀ + Δ.
(c) Let Q have orthonormal eigenvectors of Σ for sⱼ, j > p. By Ky Fan tr QᵀΔQ >= Σ_{j>p} dⱼ, which
is Σ_{j>p} sⱼ = tr QᵀΣQ. But with V = RRᵀ the difference tr QᵀΣQ − tr QᵀΔQ is
‖RᵀFᵀDᵀQ‖² + ‖C₁^½DᵀQ‖². So both squares are 0 and, as C₁ is invertible, DᵀQ = 0.
(d) Hence NQ = ΔQ = ΣQ: N has the k₁ − p eigenvalues dⱼ <= τ₂, j > p, and at most p exceed τ₂.
(e) If p > 0, at least p + k₂ eigenvalues exceed τ₂, by definition of p: a contradiction. If p = 0,
ν₁ <= τ₂ < λ₁, and step 6 is strict for i = 1: a contradiction.

*Why the larger eigenvalues.* What a mode saves by riding, s(λ; β) = λ/(2σ²) − ℓ(λ; β), has
∂s/∂λ = ½(1/σ² − β/λ)₊, which does not rise with β: s(λ; β₂) − s(λ; β₁) grows with λ. Of two modes
and one place in the cheaper layer the larger eigenvalue gains more by it.
"""

from __future__ import annotations

import sympy as sp
from sympy.core.function import AppliedUndef

from linvae.symbolic import hierarchical as two
from linvae.symbolic.symbols import beta, d, lam, s2
from proofs._branches import above as level_excess
from proofs._branches import at_active
from proofs._gaussian import log_density
from proofs._two_layers import (
    settled_active,
    settled_collapsed,
    show_never_reached,
    show_subspace,
)
from proofs.argument import Argument, Proof, run

__all__ = [
    "bound_ranges",
    "branch",
    "carried_ranges",
    "collapsed",
    "copied",
    "prove",
    "riding_in_lower",
    "telescoped",
]

STATEMENT = (
    "With two layers of latents the leading modes ride in the cheaper layer, each layer at its own "
    "water level; with the second layer cheaper and not empty this is an infimum, never reached."
)

delta = sp.Symbol("delta", positive=True)
above = sp.Symbol("r", positive=True)
tau1, tau2 = two.beta1 * s2, two.beta2 * s2
rooms, kept, places = sp.symbols("k2 r p", integer=True, nonnegative=True)
latents, alive = sp.symbols("k1 q", integer=True, nonnegative=True)
index = sp.Symbol("j", integer=True)
values, logarithms = sp.Function("nu", real=True), sp.Function("log_nu", real=True)
SUMMED = {values: sp.Function("sum_nu"), logarithms: sp.Function("sum_log_nu")}  # up to a place

Range = tuple[sp.Expr, sp.Expr, sp.Expr]


def branch(error: sp.Expr, weight: sp.Expr) -> sp.Expr:
    """b(δ; β) = δ/(2σ²) − ½β log δ."""
    return error / (2 * s2) - weight * sp.log(error) / 2


def _least(behind: str, error: sp.Expr, logs: sp.Expr) -> sp.Expr:
    """Least gⱼ + ½β₂ log νⱼ of step 4 at its error, whose logarithm is given."""
    term = error / (2 * s2) - two.beta1 * logs / 2 + two.beta2 * logarithms(index) / 2
    left = logarithms(index + rooms) if behind == "above" else logs
    return term + (two.beta1 - two.beta2) * left / 2


def bound_ranges(carried: bool) -> list[Range]:
    """Ranges (after, last, term) of the bound of step 5, for p > 0 or p = 0."""
    level = _least("below", tau2, sp.log(tau2))
    dead = _least("below", values(index), logarithms(index))
    if not carried:
        return [(sp.S.Zero, alive, level), (alive, latents, dead)]
    shifted = index + rooms
    return [
        (sp.S.Zero, kept, _least("above", tau1, sp.log(tau1))),
        (kept, places, _least("between", values(shifted), logarithms(shifted))),
        (places, places + rooms, level),
        (places + rooms, latents, dead),
    ]


def carried_ranges(carried: bool) -> list[Range]:
    """Ranges of the claim's sum: ℓ(νᵢ; β₂) up to κ, ℓ(νᵢ; β₁) beyond."""

    def living(weight: sp.Symbol) -> sp.Expr:  # the library's ℓ above the level
        constant = sp.expand(sp.expand_log(_active_optimum().subs(beta, weight)))
        return constant.subs(sp.log(lam), logarithms(index))

    dead = _collapsed_optimum().subs(lam, values(index))
    if not carried:
        return [(sp.S.Zero, alive, living(two.beta2)), (alive, latents, dead)]
    return [
        (sp.S.Zero, rooms, living(two.beta2)),
        (rooms, rooms + kept, living(two.beta1)),
        (rooms + kept, latents, dead),
    ]


def telescoped(ranges: list[Range]) -> sp.Expr:
    """Total over the ranges: constants are counted, Σ ν_{j+c} is a difference of partial sums."""
    total = sp.S.Zero
    for after, last, term in ranges:
        for part in sp.Add.make_args(sp.expand(sp.expand_log(term))):
            held = part.atoms(AppliedUndef)
            if not held:
                total += part * (last - after)
                continue
            (entry,) = held
            summed, shift = SUMMED[entry.func], entry.args[0] - index
            total += part / entry * (summed(last + shift) - summed(after + shift))
    partial = {entry: sp.Symbol(str(entry), real=True) for entry in total.atoms(AppliedUndef)}
    return sp.expand(total.subs(partial))


def copied() -> dict[sp.Symbol, sp.Expr]:
    """Parameters of a mode that z₂ carries and z₁ copies with noise η, as functions of λ > τ₂."""
    level = two.beta2 * s2
    root = sp.sqrt(lam - level)
    return {
        two.e2: root / lam,
        two.c2: level / lam,
        two.f: sp.S.Zero,
        two.gain: two.scale / two.eta,
        two.g: two.scale / two.eta,
        two.c1: two.scale**2,
        d: two.eta * root / two.scale,
    }


def collapsed() -> dict[sp.Symbol, sp.Expr]:
    """Parameters of a mode that no layer carries."""
    still = dict.fromkeys((two.e2, two.f, two.gain, two.g, d), sp.S.Zero)
    return {**still, two.c2: sp.S.One, two.c1: two.scale**2}


def riding_in_lower() -> dict[sp.Symbol, sp.Expr]:
    """Parameters of a mode that z₁ carries alone, as functions of λ > τ₁."""
    level = two.beta1 * s2
    root = sp.sqrt(lam - level)
    return {
        two.e2: sp.S.Zero,
        two.c2: sp.S.One,
        two.f: two.scale * root / lam,
        two.gain: sp.S.Zero,
        two.g: sp.S.Zero,
        two.c1: two.scale**2 * level / lam,
        d: root / two.scale,
    }


def _alive(expression: sp.Expr, weight: sp.Symbol) -> sp.Expr:
    """Put λ = βσ² + r with r > 0."""
    return expression.subs(lam, weight * s2 + above)


def _active_optimum() -> sp.Expr:
    """The library's ℓ above the level."""
    return settled_active(two.MODE_OPTIMUM).subs(level_excess, lam - beta * s2)


def _collapsed_optimum() -> sp.Expr:
    """The library's ℓ up to the level."""
    return settled_collapsed(two.MODE_OPTIMUM)


def _weights(argument: Argument) -> None:
    r1, r2, more = sp.symbols("R1 R2 more", nonnegative=True)
    weighted = two.beta1 * r1 + (two.beta1 + more) * r2
    argument.nonnegative(
        "step 1: with β₂ >= β₁, β₁ℛ₁ + β₂ℛ₂ >= β₁(ℛ₁ + ℛ₂)",
        sp.expand(weighted - two.beta1 * (r1 + r2)),
    )
    show_subspace(argument)
    argument.cites("step 2: data processing and the chain rule of information (Cover & Thomas 2.8)")
    size = sp.Symbol("m", integer=True, positive=True)
    logs = sp.symbols("logdet_N logdet_Sigma logdet_Delta", real=True)
    entropies = [-log_density(size, logdet, size) for logdet in logs]
    argument.equal(
        "step 3: β₁I(y; x̂|z₂) + β₂I(y; z₂), from the entropies of y, y|z₂ and y|z₂, x̂",
        two.beta1 * (entropies[1] - entropies[2]) + two.beta2 * (entropies[0] - entropies[1]),
        -two.beta1 * logs[2] / 2 + (two.beta1 - two.beta2) * logs[1] / 2 + two.beta2 * logs[0] / 2,
    )
    argument.cites(
        "step 3: the conditional mean has the least squared error; a conditional covariance of "
        "Gaussians is a Schur complement, N − Cov(y, z₂) Cov(z₂)⁻¹ Cov(z₂, y) for Σ"
    )
    argument.cites(
        "step 3: Weyl's inequalities (Horn & Johnson 4.3) for Δ <= Σ <= N and rank N − Σ <= k₂"
    )
    excess = sp.Symbol("excess", positive=True)  # β₁ − β₂
    larger = sp.log((1 + above) * delta) - sp.log(delta)
    argument.positive(
        "step 3: with β₁ > β₂ the term ½(β₁ − β₂) log sⱼ rises strictly with sⱼ",
        excess * sp.expand_log(larger) / 2,
    )


def _one_eigenvalue(argument: Argument) -> None:
    slope = branch(delta, beta).diff(delta)
    level = sp.solve(slope, delta)
    argument.true("step 4: b(δ; β) is stationary at δ = βσ² only", level == [beta * s2])
    argument.positive(
        "step 4: it rises beyond", sp.simplify(slope.subs(delta, beta * s2 * (1 + above)))
    )
    argument.positive(
        "step 4: it falls before", sp.simplify(-slope.subs(delta, beta * s2 / (1 + above)))
    )
    behind = sp.Symbol("nu", positive=True)
    left = branch(delta, two.beta1) + (two.beta1 - two.beta2) * sp.log(behind) / 2
    argument.zero(
        "step 4: the two branches of gⱼ meet at d = ν_{j+k₂}",
        sp.expand((left - branch(delta, two.beta2)).subs(delta, behind)),
    )
    _library(argument)


def _library(argument: Argument) -> None:
    """The library's ℓ: its condition, its two values, and how it falls."""
    argument.zero(
        "ℓ for λ = τ + g, g > 0, is b(τ; β) + ½β log λ in the library",
        sp.expand_log(settled_active(two.MODE_OPTIMUM))
        - sp.expand_log(at_active(branch(beta * s2, beta) + beta * sp.log(lam) / 2)),
    )
    argument.zero(
        "and for τ = λ + h, h >= 0, it is b(λ; β) + ½β log λ = λ/(2σ²)",
        sp.Matrix([_collapsed_optimum(), branch(lam, beta) + beta * sp.log(lam) / 2])
        - sp.Matrix([lam, lam]) / (2 * s2),
    )
    fall = (_active_optimum() - lam / (2 * s2)).diff(lam)
    argument.positive(
        "step 6: ℓ(ν; β) − ν/(2σ²) falls strictly with ν > τ", -sp.simplify(_alive(fall, beta))
    )
    argument.zero(
        "step 6: it is constant for ν <= τ, and continuous there",
        (_active_optimum() - lam / (2 * s2)).subs(lam, beta * s2),
    )
    argument.cites("step 6: Cauchy interlacing (Horn & Johnson 4.3)")


def _sum(argument: Argument) -> None:
    """Step 5 for all sizes: every sum over a range is a difference of partial sums."""
    first, last, shift = sp.symbols("first last shift", integer=True, nonnegative=True)
    for summed in SUMMED.values():
        steps = summed(index + shift) - summed(index + shift - 1)
        argument.equal(
            f"step 5: {summed} telescopes over any range, with any shift of its index",
            sp.Sum(steps, (index, first + 1, last)).doit(),
            summed(last + shift) - summed(first + shift),
        )
    for carried, name in ((True, "p > 0"), (False, "p = 0")):
        argument.equal(
            f"step 5: the sums agree for all k₁, k₂, p and r or q, {name}",
            telescoped(bound_ranges(carried)),
            telescoped(carried_ranges(carried)),
        )


def _approached(argument: Argument) -> None:
    lower, copy = riding_in_lower(), copied()
    argument.zero(
        "step 7: a mode alone in z₁ costs ℓ(λ; β₁)",
        sp.expand_log(
            sp.simplify(two.TOP_DOWN_OBJECTIVE.subs(lower, simultaneous=True))
            - _active_optimum().subs(beta, two.beta1),
        ),
    )
    argument.zero("step 7: and ℛ₂ = 0", two.TOP_DOWN_RATE2.subs(lower, simultaneous=True))
    argument.equal(
        "step 7: a mode in neither layer costs λ/(2σ²)",
        two.TOP_DOWN_OBJECTIVE.subs(collapsed(), simultaneous=True),
        lam / (2 * s2),
    )
    argument.zero("step 7: a copy has ℛ₁ = 0", two.TOP_DOWN_RATE1.subs(copy, simultaneous=True))
    costs = sp.simplify(two.TOP_DOWN_OBJECTIVE.subs(copy, simultaneous=True))
    excess = sp.simplify(sp.expand_log(costs - _active_optimum().subs(beta, two.beta2), force=True))
    argument.equal("step 7: its excess is η²(λ − τ₂)/(2σ²)", excess, two.APPROACH_EXCESS)
    argument.positive("step 7: which is positive", sp.simplify(_alive(excess, two.beta2)))
    argument.zero("step 7: and vanishes in the limit", sp.limit(excess, two.eta, 0, "+"))


def _supermodular(argument: Argument) -> None:
    saved = lam / (2 * s2) - _active_optimum()
    argument.positive(
        "larger eigenvalues gain more from a smaller weight: −∂²s/∂λ∂β > 0",
        -sp.simplify(saved.diff(lam, beta)),
    )
    slope = saved.diff(lam)
    argument.equal("and ∂s/∂λ = ½(1/σ² − β/λ)", slope, (1 / s2 - beta / lam) / 2)
    argument.zero("which is 0 at λ = τ, as it is below", slope.subs(lam, beta * s2))


def prove() -> Proof:
    """Derive the lower bound, the family that approaches it, and who carries what."""
    argument = Argument("hierarchical", STATEMENT)
    _weights(argument)
    _one_eigenvalue(argument)
    _sum(argument)
    _approached(argument)
    show_never_reached(argument)
    _supermodular(argument)
    return argument.done(
        functions=(
            "linvae.hierarchical.HierarchicalFrontier.at",
            "linvae.hierarchical.HierarchicalFrontier.model",
            "linvae.hierarchical.HierarchicalFrontier.gap",
        ),
        properties=(
            "tests/linvae/test_hierarchical.py::test_the_bound_is_approached_as_stated",
            "tests/linvae/test_hierarchical.py::test_no_parameters_beat_the_bound",
            "tests/linvae/test_symbolic_hierarchical.py::test_the_infimum_to_many_digits",
        ),
        optimisations=(
            "tests/linvae/test_hierarchical_optimality.py::test_minimisation_stops_at_the_infimum",
            "tests/linvae/test_hierarchical_optimality.py::test_every_other_assignment_costs_more",
        ),
        uses=("hierarchical_objective",),
    )


if __name__ == "__main__":
    run(prove)
