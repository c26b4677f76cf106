r"""The shape of the curve: decreasing, convex, of slope −β, with jumps of the second derivative.

Let m modes be active, λ_m > τ >= λ_{m+1}, τ = βσ² (claim ``optimum``).

1. ε = T_m + mτ and ℛ = Σ_{j≤m} ½ log(λⱼ/τ) give, for symbolic m, dε/dβ = mσ² and
   dℛ/dβ = −m/2β. With 𝒟 = (n/2) log 2πσ² + ε/2σ²,

       d𝒟/dℛ = (m/2) / (−m/2β) = −β.

   β > 0: the curve falls. The rate falls with β, so the slope rises with the rate: convex on every
   segment, with d²𝒟/dℛ² = (dβ/dℛ)(−1) = 2β/m > 0.
2. The same without segments, by the envelope theorem. The least objective of one mode,
   ℓ*(β) = 𝒟 + βℛ, has the derivative ℛ(β) on both branches. Hence d𝒟/dβ = ℓ*' − ℛ − βℛ' = −βℛ',
   and a sum over modes keeps this.
3. At a critical β rate, error and the slope −β are continuous: the curve is C¹. Only the second
   derivative jumps, from 2β/m to 2β/(m + 1) as the rate grows (from 2β/m to 2β/(m + r) where r
   modes join together).
4. A continuous slope that does not fall anywhere makes the whole curve convex, and the tangent at β
   lies below it. That is also seen directly: 𝒟 + βℛ >= ℓ*(β) for every point of the curve, since
   ℓ* is a minimum.
5. ℛ = 0 for all β >= β₁. The right slope there is −β₁, the limit of −β for β → β₁ from below.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import curve, modes
from linvae.symbolic.symbols import beta, m, s2, tau
from proofs._branches import above, at_active, at_collapsed, below
from proofs.argument import Argument, Proof, run
from proofs.optimum import segment_sums

__all__ = ["curvature", "prove", "slope", "slopes_in_beta"]

STATEMENT = "The frontier is convex and decreasing with slope −β."


def slopes_in_beta() -> tuple[sp.Expr, sp.Expr]:
    """Derivatives by β of distortion and rate of m active modes, from the sums over modes."""
    error, gained = (part.subs({tau: beta * s2, m: curve.active}) for part in segment_sums())
    return sp.diff(error, beta) / (2 * s2), sp.diff(gained, beta)


def slope() -> sp.Expr:
    """Derivative of the distortion by the rate."""
    distortion, rate = slopes_in_beta()
    return sp.simplify(distortion / rate)


def curvature() -> sp.Expr:
    """Second derivative of the distortion by the rate."""
    return sp.simplify(sp.diff(slope(), beta) / slopes_in_beta()[1])


def _segment(argument: Argument) -> None:
    distortion, rate = slopes_in_beta()
    argument.positive("any m: the distortion rises with β", distortion)
    argument.positive("any m: the rate falls with β", -rate)
    argument.equal("any m: d𝒟/dℛ = −β", slope(), -beta)
    argument.equal("... the library's slope", curve.SLOPE, slope())
    argument.equal("any m: d²𝒟/dℛ² = 2β/m, the library's curvature", curvature(), curve.CURVATURE)
    argument.positive("any m: it is positive, the segment is convex", curvature())
    written = sp.diff(curve.DISTORTION, curve.squared_error)
    written *= sp.diff(curve.SEGMENT_SQUARED_ERROR, beta)
    argument.equal(
        "the same slope from the library's segment",
        written / sp.diff(curve.SEGMENT_RATE, beta),
        slope(),
    )


def _envelope(argument: Argument) -> None:
    def by_beta_active(expression: sp.Expr) -> sp.Expr:
        # λ = βσ² + g stays fixed: as β rises by dβ, g falls by σ²dβ.
        return sp.diff(expression, beta) - s2 * sp.diff(expression, above)

    def by_beta_collapsed(expression: sp.Expr) -> sp.Expr:
        return s2 * sp.diff(expression, below)  # β = (λ + h)/σ²

    for name, at, by_beta in (
        ("active", at_active, by_beta_active),
        ("collapsed", at_collapsed, by_beta_collapsed),
    ):
        error, rate = at(modes.OPTIMAL_SQUARED_ERROR), at(modes.OPTIMAL_RATE)
        weight = at(beta)
        argument.equal(f"{name}: dℓ*/dβ = ℛ", by_beta(error / (2 * s2) + weight * rate), rate)
        argument.zero(
            f"{name}: d𝒟/dβ = −β dℛ/dβ", by_beta(error) / (2 * s2) + weight * by_beta(rate)
        )


def _joints(argument: Argument) -> None:
    for name, expression in (
        ("rate", modes.OPTIMAL_RATE),
        ("squared error", modes.OPTIMAL_SQUARED_ERROR - beta * s2),
    ):
        argument.zero(
            f"{name} of a mode is continuous at its critical β",
            sp.limit(at_active(expression), above, 0, "+")
            - at_collapsed(expression).subs(below, 0),
        )
    joined = sp.Symbol("r", integer=True, positive=True)
    after = curve.CURVATURE.subs(curve.active, curve.active + joined)
    argument.positive("r modes join: the second derivative drops", curve.CURVATURE - after)
    argument.zero(
        "the slope does not depend on m: it is continuous there", sp.diff(slope(), curve.active)
    )
    argument.equal(
        "the right slope at rate 0 is −β₁",
        sp.limit(slope(), beta, curve.join_beta, "-"),
        -curve.join_beta,
    )


def _tangent(argument: Argument) -> None:
    other = sp.Symbol("b", positive=True)
    distortion, rate = slopes_in_beta()
    # d(𝒟 + bℛ)/dβ changes sign at β = b only: b's tangent touches at b and lies below elsewhere.
    argument.zero(
        "d(𝒟 + bℛ)/dβ = (β − b) m/2β: 𝒟 + bℛ is least at β = b, the tangent lies below",
        distortion + other * rate - (beta - other) * curve.active / (2 * beta),
    )


def prove() -> Proof:
    """Differentiate the curve along β, segment by segment and across segments."""
    argument = Argument("slope", STATEMENT)
    _segment(argument)
    _envelope(argument)
    _joints(argument)
    _tangent(argument)
    return argument.done(
        functions=("linvae.Frontier.at_beta",),
        properties=(
            "tests/linvae/test_frontier.py::test_monotone_convex_and_of_slope_minus_beta",
            "tests/linvae/test_frontier.py::test_continuous_at_every_critical_beta",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_curve.py::test_every_tangent_touches_at_its_own_beta",
        ),
        uses=("optimum",),
    )


if __name__ == "__main__":
    run(prove)
