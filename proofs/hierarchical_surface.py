r"""The rate/rate/distortion surface of two layers: least distortion at given rates.

Claim. Let r₁, r₂ >= 0 be nats, κ = min(k₁, k₂), and let τ be the level at which reverse
water-filling over the modes 1 … k₁ spends r₁ + r₂. Let c(τ) = Σ_{i≤κ} ½ log⁺(λᵢ/τ).

- If r₂ <= c(τ), the least squared error is Σ_{i≤k₁} min(λᵢ, τ) + Σ_{i>k₁} λᵢ: only the total
  counts, and both slopes of the distortion are −τ/σ².
- If r₂ > c(τ), the layers fill apart: τ₂ spends r₂ over the modes 1 … κ and τ₁ spends r₁ over the
  modes κ+1 … k₁, with τ₂ < τ < τ₁, the error is Σ min(λᵢ, τ_layer), and the slopes are −τ₁/σ²,
  −τ₂/σ².

*A mode in both layers.* Let z₂ bring the variance of a mode from λ to Σ, and z₁ from Σ to Δ: z₂
is the one-layer code of error Σ; given z₂, dz₁ adds the part (1 − Δ/Σ)(x − E[x|z₂]) of what is
left, with noise of variance Δ(Σ − Δ)/Σ, and p(z₁|z₂) is the average of q(z₁|z₂, x) over x given
z₂. Then ℛ₂ = ½ log(λ/Σ), ℛ₁ = ½ log(Σ/Δ), ε = Δ: a Gaussian code can be refined at no loss. For
Σ → Δ it becomes the copy of the claim ``hierarchical``. So every point of the claim is reached or
approached: in the first case give z₂ the share r₂/c(τ) of each of its modes' rates.

*Nothing lies below.* Take the levels of the point as weights β₁ = τ₁/σ² >= β₂ = τ₂/σ². Its
objective 𝒟 + β₁r₁ + β₂r₂ is the infimum of the claim ``hierarchical``: in both cases each mode has
the error min(λ, τ) of the layer that pays for it. A model with rates ℛ₁ <= r₁, ℛ₂ <= r₂ has
𝒟' + β₁ℛ₁ + β₂ℛ₂ >= 𝒟 + β₁r₁ + β₂r₂, hence 𝒟' >= 𝒟. The weights are the slopes of a supporting
plane; where the surface is smooth they are −∂𝒟/∂r₁ and −∂𝒟/∂r₂.

*The level.* With m active modes ℛ = Σ_{i≤m} ½ log(λᵢ/τ), so τ = (Π_{i≤m} λᵢ)^{1/m} e^{−2ℛ/m} and
dε/dℛ = d(mτ)/dℛ = −2τ, d𝒟/dℛ = −τ/σ².

*The two cases meet.* At r₂ = c(τ) the modes 1 … κ spend r₂ at the level τ, the others r₁ at the
same: τ₁ = τ₂ = τ. Rates fall with the level; so a larger r₂ at the same total moves τ₂ down and τ₁
up: τ₂ < τ < τ₁.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import hierarchical as two
from linvae.symbolic.symbols import beta, d, lam, m, s2, tau
from proofs._two_layers import settled_active, settled_collapsed
from proofs.argument import Argument, Proof, run
from proofs.hierarchical_assignment import copied

__all__ = ["level_at_rate", "prove", "refined"]

STATEMENT = (
    "At given rates of two layers the least distortion is water-filling of the total rate while "
    "the second layer's modes can hold its share, and of each layer by itself beyond; the weights "
    "of both layers are minus the slopes of the surface."
)

rate, mean_log = sp.symbols("R g", real=True)  # g: mean of log λ over the m active modes
Sigma, Delta = sp.symbols("Sigma Delta", positive=True)


def level_at_rate() -> sp.Expr:
    """Water level that spends R over m modes, solved from ½ m (g − log τ) = R."""
    (level,) = sp.solve(m * (mean_log - sp.log(tau)) / 2 - rate, tau)
    return sp.simplify(level)


def refined() -> dict[sp.Symbol, sp.Expr]:
    """Parameters of a mode with λ → Σ in z₂ and Σ → Δ in z₁, as functions of λ > Σ > Δ > 0."""
    read = sp.sqrt(lam - Sigma)
    gain = sp.sqrt(Sigma - Delta) / two.scale
    return {
        two.e2: read / lam,
        two.c2: Sigma / lam,
        two.f: (1 - Delta / Sigma) / gain,
        two.gain: read / gain,
        two.g: (Delta / Sigma) * read / gain,
        two.c1: two.scale**2 * Delta / Sigma,
        d: gain,
    }


def _levels(argument: Argument) -> None:
    level = level_at_rate()
    argument.equal(
        "the level that spends R over m modes is (Π λᵢ)^{1/m} e^{−2R/m}",
        level,
        sp.exp(mean_log - 2 * rate / m),
    )
    argument.equal(
        "½ log(λ/τ) is the library's rate of a mode with λ = τ + g, g > 0",
        sp.expand_log(settled_active(two.MODE_RATE)),
        sp.expand_log(settled_active(sp.log(lam / (beta * s2)) / 2)),
    )
    argument.zero(
        "which is 0 for τ = λ + h, h >= 0, the level itself included",
        settled_collapsed(two.MODE_RATE),
    )
    argument.zero("dε/dR = −2τ", sp.simplify((m * level).diff(rate) + 2 * level))
    argument.zero(
        "so the slope of the distortion is −τ/σ² = −β",
        sp.simplify((m * level / (2 * s2)).diff(rate) + level / s2),
    )
    argument.positive("the level falls with the rate", -level.diff(rate).subs(m, m + 1))


def _refinement(argument: Argument) -> None:
    mode = refined()
    # λ = Δ + p + q, Σ = Δ + p with p, q > 0: every λ > Σ > Δ > 0.
    p, q = sp.symbols("p q", positive=True)
    spread = {lam: Delta + p + q, Sigma: Delta + p}

    def at(expression: sp.Expr) -> sp.Expr:
        value = expression.subs(mode, simultaneous=True).subs(spread, simultaneous=True)
        return sp.simplify(value)

    argument.zero("refined mode: ε = Δ", at(two.TOP_DOWN_SQUARED_ERROR) - Delta)
    argument.zero(
        "refined mode: ℛ₂ = ½ log(λ/Σ)",
        sp.expand_log(at(two.TOP_DOWN_RATE2) - sp.log((Delta + p + q) / (Delta + p)) / 2),
    )
    argument.zero(
        "refined mode: ℛ₁ = ½ log(Σ/Δ)",
        sp.expand_log(at(two.TOP_DOWN_RATE1) - sp.log((Delta + p) / Delta) / 2),
    )
    copy, level = copied(), two.beta2 * s2
    for symbol in (two.e2, two.c2):
        argument.zero(
            f"with Σ = τ₂ the code {symbol} of z₂ is that of a copied mode",
            (mode[symbol] - copy[symbol]).subs(Sigma, level),
        )


def _supporting_plane(argument: Argument) -> None:
    spent = beta * two.MODE_RATE
    argument.zero(
        "error τ and its rate are the optimum of a mode above its level: the point is on its plane",
        sp.expand_log(settled_active(two.MODE_OPTIMUM - spent)) - beta / 2,
    )
    argument.zero(
        "and error λ with rate 0 that of any other mode",
        settled_collapsed(two.MODE_OPTIMUM - spent) - lam / (2 * s2),
    )
    b1, b2, r1, r2, saved1, saved2 = sp.symbols("b1 b2 r1 r2 u1 u2", nonnegative=True)
    point, least = sp.symbols("D L", real=True)
    slack = sp.Symbol("slack", nonnegative=True)
    other = least + slack - b1 * (r1 - saved1) - b2 * (r2 - saved2)
    argument.nonnegative(
        "rates r₁ − u₁, r₂ − u₂ with u >= 0 and an objective >= L = D + β₁r₁ + β₂r₂ have D' >= D",
        sp.expand((other - point).subs(least, point + b1 * r1 + b2 * r2)),
    )


def prove() -> Proof:
    """Derive the levels at given rates, the codes that reach them, and that nothing is below."""
    argument = Argument("hierarchical.surface", STATEMENT)
    _levels(argument)
    _refinement(argument)
    _supporting_plane(argument)
    return argument.done(
        functions=(
            "linvae.hierarchical.HierarchicalFrontier.at_rates",
            "linvae.hierarchical.HierarchicalFrontier.model_at_rates",
        ),
        properties=(
            "tests/linvae/test_hierarchical.py::test_given_rates_are_spent",
            "tests/linvae/test_hierarchical.py::test_the_weights_are_the_slopes",
        ),
        optimisations=(
            "tests/linvae/test_hierarchical_optimality.py::test_no_rates_reach_below_the_surface",
        ),
        uses=("hierarchical_assignment",),
    )


if __name__ == "__main__":
    run(prove)
