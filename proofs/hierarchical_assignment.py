r"""Which layer carries what: the least objective of linear top-down models with two layers.

Claim. Let λ₁ >= λ₂ >= … be the eigenvalues of S, τⱼ = βⱼσ², κ = min(k₁, k₂), and let

    ℓ(λ; β) = min over 0 < δ <= λ of b(δ; β) + ½β log λ,    b(δ; β) = δ/(2σ²) − ½β log δ,

which is β/2 + ½β log(λ/τ) for λ > τ = βσ² and λ/(2σ²) else. Up to the constant ½n log 2πσ²,

    inf L = Σ_{i≤κ} ℓ(λᵢ; min(β₁, β₂)) + Σ_{κ<i≤k₁} ℓ(λᵢ; β₁) + Σ_{i>k₁} λᵢ/(2σ²).

The objective depends on the data through mean and covariance only (claim
``hierarchical.objective``), and offsets other than the mean add squares: let x be N(0, S).

*1. Weights.* ℛ₂ >= I(x; z₂) and ℛ₁ >= I(x; z₁|z₂), by the same claim. If β₂ >= β₁, then
β₁ℛ₁ + β₂ℛ₂ = β₁(ℛ₁ + ℛ₂) + (β₂ − β₁)ℛ₂ >= β₁(ℛ₁ + ℛ₂), the objective with both weights β₁. So it
suffices to bound β₁I(x; z₁|z₂) + β₂I(x; z₂) for β₂ <= β₁.

*2. The space of the decoder.* Let P be the orthogonal projection on a space V of k₁ dimensions that
contains the range of D, y = Px and x̂ = Dz₁. Then ε = tr (I−P)S + E‖y − x̂‖². As y is a function of x
and x̂ one of z₁, data processing gives I(x; z₂) >= I(y; z₂) and I(x; z₁|z₂) >= I(y; x̂|z₂).

*3. Three matrices.* Write N = Cov y, Σ = Cov(y|z₂), Δ = Cov(y|z₂, x̂), with eigenvalues νⱼ, sⱼ, dⱼ,
each descending. All is jointly Gaussian, the informations are log-determinants, and the error is at
least that of the conditional mean, tr Δ: the objective is at least

    [tr S − tr N + tr Δ]/(2σ²) − ½β₁ log det Δ + ½(β₁ − β₂) log det Σ + ½β₂ log det N,

where Δ <= Σ <= N, and N − Σ has rank at most k₂, as z₂ has k₂ entries. (Directions in which y does
not vary are left out of all three; Δ singular costs infinitely much.) Weyl's inequalities give
sⱼ >= dⱼ, νⱼ >= dⱼ and sⱼ >= ν_{j+k₂} (0 beyond k₁). As β₁ >= β₂, the j-th terms are at least

    gⱼ(dⱼ) + ½β₂ log νⱼ,  gⱼ(d) = d/(2σ²) − ½β₁ log d + ½(β₁ − β₂) log max(d, ν_{j+k₂}).

*4. One eigenvalue.* gⱼ is b(d; β₂) for d >= ν_{j+k₂} and b(d; β₁) plus a constant below. b(d; β)
falls before d = τ and rises after. Hence on 0 < d <= νⱼ the function gⱼ is least

    at d = τ₁ if ν_{j+k₂} > τ₁;   at d = ν_{j+k₂} if it lies in [τ₂, τ₁];   at d = min(τ₂, νⱼ) else.

*5. The sum.* Let p be the number of j with ν_{j+k₂} >= τ₂. The first p terms have the errors
min(ν_{j+k₂}, τ₁) that the modes k₂+1 … k₂+p have when they ride in z₁. If p > 0 the others have
d = τ₂ for p < j <= p+k₂, the errors of the modes 1 … k₂ in z₂, and d = νⱼ beyond. If p = 0, the
terms are those of modes 1 … k₁ at τ₂, and all modes beyond k₂ are below τ₂. Either way the sum is
Σ_{i≤κ} ℓ(νᵢ; β₂) + Σ_{i>κ} ℓ(νᵢ; β₁): checked below with symbols for every order type, k₁ <= 4.

*6. Interlacing.* d/dν [ℓ(ν; β) − ν/(2σ²)] = −(ν − τ)₊/(2σ²ν) <= 0, and νᵢ <= λᵢ (Cauchy): the bound
is least for νᵢ = λᵢ. This is the claim's right-hand side.

*7. It is approached.* A mode rides in z₁ alone as in a model with one layer, and its cost is
ℓ(λ; β₁). For β₂ < β₁, let z₂ be the one-layer code at β₂ and let z₁ copy it,
q(z₁|z₂, x) = p(z₁|z₂) = N(Az₂, s²): ℛ₁ = 0, and the noise of the copy adds η²(λ − τ₂)/(2σ²),
η = s/A, which goes to 0 with s, and also for fixed s with A → ∞.

*8. When it is reached.* For β₂ >= β₁ step 7 reaches it, z₂ collapsed; and so it does if λ₁ <= τ₂,
all collapsed. Otherwise nothing reaches it. Suppose equality. With p now counting
ν_{j+k₂} > τ₂, equality in step 3 says sⱼ = dⱼ for j > p. Let Q span the eigenvectors of Σ for these
j; Ky Fan: tr QᵀΔQ >= Σ_{j>p} dⱼ = tr QᵀΣQ, and Δ <= Σ, so (Σ − Δ)Q = 0: given z₂, x̂ says nothing
more about Qᵀy. The error being tr Δ, Qᵀx̂ = QᵀE[y|z₂]; but given (x, z₂) the noise of z₁ has the
covariance DC₁Dᵀ with C₁ > 0, so QᵀD = 0 and QᵀE[y|z₂] = 0, that is (N − Σ)Q = 0. Then k₁ − p
eigenvalues of N are dⱼ <= τ₂, so at most p exceed τ₂. But equality in step 6 keeps νᵢ = λᵢ where
λᵢ > τ₂ (i <= k₂), so ν₁ > τ₂ if p = 0, and p + k₂ eigenvalues exceed τ₂ by definition of p > 0: a
contradiction. In the scalar mode: a z₁ that reads x pays (β₁ − β₂)I(x; z₁|z₂) more than it must;
one that does not has ε = Var(x|z₂) + d²c₁ + a square.

*Why the larger eigenvalues.* What a mode saves by riding, s(λ; β) = λ/(2σ²) − ℓ(λ; β), has
∂s/∂λ = ½(1/σ² − β/λ)₊, which does not rise with β: s(λ; β₂) − s(λ; β₁) grows with λ. Of two modes
and one place in the cheaper layer the larger eigenvalue gains more by it.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import sympy as sp

from linvae.symbolic import hierarchical as two
from linvae.symbolic.symbols import beta, d, lam, s2
from proofs._branches import show_logarithm
from proofs.argument import Argument, Proof, run
from proofs.hierarchical_objective import information

__all__ = ["bound_terms", "branch", "carried_terms", "copied", "prove", "riding_in_lower"]

STATEMENT = (
    "With two layers of latents the leading modes ride in the cheaper layer, each layer at its own "
    "water level; with the second layer cheaper and not empty this is an infimum, never reached."
)

delta = sp.Symbol("delta", positive=True)
above = sp.Symbol("r", positive=True)
ABOVE_BOTH, BETWEEN, BELOW_BOTH = 2, 1, 0  # where an eigenvalue lies relative to τ₁ > τ₂


def branch(error: sp.Expr, weight: sp.Expr) -> sp.Expr:
    """b(δ; β) = δ/(2σ²) − ½β log δ."""
    return error / (2 * s2) - weight * sp.log(error) / 2


def bound_terms(values: list[sp.Expr], order: tuple[int, ...], k2: int) -> sp.Expr:
    """Sum of step 4: least gⱼ + ½β₂ log νⱼ over all j, for one order type of the eigenvalues."""
    t1, t2 = sp.symbols("tau1 tau2", positive=True)
    total = sp.S.Zero
    for j, value in enumerate(values):
        behind = order[j + k2] if j + k2 < len(values) else BELOW_BOTH
        if behind == ABOVE_BOTH:
            error, left = t1, values[j + k2]
        elif behind == BETWEEN:
            error = left = values[j + k2]
        else:
            error = left = value if order[j] == BELOW_BOTH else t2
        total += branch(error, two.beta1) + (two.beta1 - two.beta2) * sp.log(left) / 2
        total += two.beta2 * sp.log(value) / 2
    return total


def carried_terms(values: list[sp.Expr], order: tuple[int, ...], k2: int) -> sp.Expr:
    """Sum of the claim: the first k₂ modes at (β₂, τ₂), the others at (β₁, τ₁)."""
    t1, t2 = sp.symbols("tau1 tau2", positive=True)
    total = sp.S.Zero
    for i, value in enumerate(values):
        upper = i < k2
        weight, level = (two.beta2, t2) if upper else (two.beta1, t1)
        alive = order[i] > BELOW_BOTH if upper else order[i] == ABOVE_BOTH
        total += branch(level if alive else value, weight) + weight * sp.log(value) / 2
    return total


def _order_types_agree(largest: int) -> bool:
    """Step 5 for all k₁ <= largest, k₂ <= k₁ and all positions of the eigenvalues."""
    for k1 in range(1, largest + 1):
        values = list(sp.symbols(f"nu1:{k1 + 1}", positive=True))
        for order in combinations_with_replacement((ABOVE_BOTH, BETWEEN, BELOW_BOTH), k1):
            for k2 in range(1, k1 + 1):
                apart = bound_terms(values, order, k2) - carried_terms(values, order, k2)
                if sp.expand(apart) != 0:
                    return False
    return True


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
    return two.MODE_OPTIMUM.args[0][0]


def _weights(argument: Argument) -> None:
    show_logarithm(argument)
    mutual2, average2, mutual1, average1 = information()
    for name, rate, parts in (
        ("ℛ₂ = I(x; z₂) + a divergence", two.TOP_DOWN_RATE2, mutual2 + average2),
        ("ℛ₁ = I(x; z₁|z₂) + a divergence", two.TOP_DOWN_RATE1, mutual1 + average1),
    ):
        argument.equal(f"step 1: {name}", sp.expand_log(rate), sp.expand_log(parts))
    r1, r2, more = sp.symbols("R1 R2 more", nonnegative=True)
    weighted = two.beta1 * r1 + (two.beta1 + more) * r2
    argument.nonnegative(
        "step 1: with β₂ >= β₁, β₁ℛ₁ + β₂ℛ₂ >= β₁(ℛ₁ + ℛ₂)",
        sp.expand(weighted - two.beta1 * (r1 + r2)),
    )
    argument.cites("step 2: data processing and the chain rule of information (Cover & Thomas 2.8)")
    logs = sp.symbols("detN detS detD", real=True)
    argument.equal(
        "step 3: the weighted informations in log-determinants",
        two.beta1 * (logs[1] - logs[2]) / 2 + two.beta2 * (logs[0] - logs[1]) / 2,
        -two.beta1 * logs[2] / 2 + (two.beta1 - two.beta2) * logs[1] / 2 + two.beta2 * logs[0] / 2,
    )
    argument.cites(
        "step 3: Weyl's inequalities (Horn & Johnson 4.3) for Δ <= Σ <= N and rank N − Σ <= k₂"
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
    argument.true(
        "step 5: the sums agree for all k₂ <= k₁ <= 4 and all order types", _order_types_agree(4)
    )
    argument.equal(
        "the mode's optimum in the library is b(τ; β) + ½β log λ above the level",
        sp.expand_log(_active_optimum()),
        sp.expand(sp.expand_log(branch(beta * s2, beta) + beta * sp.log(lam) / 2)),
    )
    argument.true(
        "and its branches are λ > τ and λ/(2σ²)",
        two.MODE_OPTIMUM.args[0][1] == (lam > beta * s2)
        and two.MODE_OPTIMUM.args[1][0] == lam / (2 * s2),
    )
    fall = (_active_optimum() - lam / (2 * s2)).diff(lam)
    argument.positive(
        "step 6: ℓ(ν; β) − ν/(2σ²) falls with ν > τ", -sp.simplify(_alive(fall, beta))
    )
    argument.zero(
        "step 6: it is constant for ν <= τ, and continuous there",
        (_active_optimum() - lam / (2 * s2)).subs(lam, beta * s2),
    )
    argument.cites("step 6: Cauchy interlacing (Horn & Johnson 4.3)")


def _reached(argument: Argument) -> None:
    lower, copy = riding_in_lower(), copied()
    argument.zero(
        "step 7: a mode alone in z₁ costs ℓ(λ; β₁)",
        sp.expand_log(
            sp.simplify(two.TOP_DOWN_OBJECTIVE.subs(lower, simultaneous=True))
            - _active_optimum().subs(beta, two.beta1),
        ),
    )
    argument.zero("step 7: and ℛ₂ = 0", two.TOP_DOWN_RATE2.subs(lower, simultaneous=True))
    argument.zero("step 7: a copy has ℛ₁ = 0", two.TOP_DOWN_RATE1.subs(copy, simultaneous=True))
    costs = sp.simplify(two.TOP_DOWN_OBJECTIVE.subs(copy, simultaneous=True))
    excess = sp.simplify(sp.expand_log(costs - _active_optimum().subs(beta, two.beta2), force=True))
    argument.equal("step 7: its excess is η²(λ − τ₂)/(2σ²)", excess, two.APPROACH_EXCESS)
    argument.positive("step 8: which is positive", sp.simplify(_alive(excess, two.beta2)))
    argument.zero("step 7: and vanishes in the limit", sp.limit(excess, two.eta, 0, "+"))
    left = lam * two.c2 / (lam * two.e2**2 + two.c2)
    blind = two.TOP_DOWN_SQUARED_ERROR.subs(two.f, 0)
    argument.nonnegative(
        "step 8: one mode, z₁ blind to x: ε − Var(x|z₂) − d²c₁ is a square",
        sp.factor(blind - left - d**2 * two.c1),
    )
    mutual = information()[2]
    argument.zero(
        "step 8: one mode, z₁ not blind: it pays I(x; z₁|z₂) = ½ log(1 + f²Var(x|z₂)/c₁) > 0",
        sp.simplify(sp.exp(2 * mutual) - 1 - two.f**2 * left / two.c1),
    )
    argument.cites("step 8: Ky Fan's minimum principle for traces (Horn & Johnson 4.3.45)")


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
    _reached(argument)
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
    )


if __name__ == "__main__":
    run(prove)
