"""With a calibrated decoder and m active modes the slope is −n/m, up to the share T_m/(mτ + T_m).

Symbols. As in proofs/calibrated.py: on the calibrated curve σ² = ε/n at every point, and at water
level τ with m active modes
    ε = mτ + T_m,      ℛ = ½ Σ_{i<=m} log(λᵢ/τ),      𝒟 = (n/2) log(2πe ε/n).

1. Both depend on the point through τ alone. d𝒟/dτ = nm/(2ε) and dℛ/dτ = −m/(2τ), so the slope
   d𝒟/dℛ = −nτ/ε is minus the β of that point, β = nτ/(mτ + T_m).
2. β = (n/m)(1 − s) with the share s = T_m/(mτ + T_m) in [0, 1): never steeper than n/m, and short
   of it by the relative amount s exactly.
3. Along the segment from τ = λ_m down to λ_{m+1} (to 0 for the last), β falls from
   nλ_m/(mλ_m + T_m) to nλ_{m+1}/(mλ_{m+1} + T_m); β is monotone in τ and ℛ is too, so the curve is
   convex and the slope of every chord lies between the β's of its ends: within the share s at the
   lower water level of −n/m.
4. T_m = 0: s = 0, 𝒟 + (n/m)ℛ does not depend on τ, the segment is exactly straight, and all of it
   has the one β = n/m. A sweep over β sees its ends only.
5. T_m → 0 at fixed τ: β → n/m, uniformly on τ >= t, as s <= T_m/(mt + T_m).
6. With a fixed σ² instead, ε − T_m = mτ falls like e^(−2ℛ/m) and the slope −τ/σ² with it: nothing
   there is straight. The straightness comes from the logarithm that calibration puts around ε.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import calibrated as forms
from linvae.symbolic.symbols import lam, m, s2, tau

from .argument import Argument, Proof, run

__all__ = ["prove"]

STATEMENT = (
    "With a calibrated decoder and m active modes the slope is −n/m, up to the "
    "share T_m/(mτ + T_m) of variance outside them."
)

# A segment has at least one active mode.
_ACTIVE = sp.Symbol("m", integer=True, positive=True)
_OUTSIDE = sp.Symbol("T", positive=True)


def _curve() -> tuple[sp.Expr, sp.Expr]:
    """𝒟 and ℛ as functions of the water level."""
    error = forms.SQUARED_ERROR.subs(m, _ACTIVE)
    distortion = forms.CALIBRATED_DISTORTION.subs(forms.squared_error, error)
    return distortion, forms.RATE.subs(m, _ACTIVE)


def prove() -> Proof:
    """Derive the slope, its distance from −n/m, the interval, and the limit without outside."""
    argument = Argument("straight", STATEMENT)
    _show_slope(argument)
    _show_interval(argument)
    _show_limit(argument)
    _show_fixed(argument)
    return argument.done(
        functions=("linvae.calibrated.CalibratedFrontier",),
        properties=(
            "tests/linvae/test_calibrated.py::test_slope_is_minus_beta",
            "tests/linvae/test_calibrated.py::test_segments_tile_the_curve",
            "tests/linvae/test_symbolic_calibrated.py::test_curve_at_a_water_level",
        ),
        optimisations=(
            "tests/proofs/test_calibrated.py::test_no_chord_leaves_the_interval_of_its_segment",
            "tests/proofs/test_calibrated.py::test_the_curve_is_the_minimum_over_the_variance",
        ),
        uses=("calibrated",),
    )


def _slope() -> sp.Expr:
    distortion, rate = _curve()
    return sp.cancel(sp.together(distortion.diff(tau) / rate.diff(tau)))


def _show_slope(argument: Argument) -> None:
    _, rate = _curve()
    slope = _slope()
    argument.positive("the rate falls with τ: −dℛ/dτ > 0", -rate.diff(tau))
    argument.equal(
        "d𝒟/dℛ = −nτ/(mτ + T_m): minus the β of that point",
        slope,
        -forms.BETA_AT_LEVEL.subs(m, _ACTIVE),
    )
    straight, short = (f.subs(m, _ACTIVE) for f in (forms.STRAIGHT_BETA, forms.SHORTFALL))
    argument.equal("β = (n/m)(1 − T_m/(mτ + T_m))", -slope, straight * (1 - short))
    argument.nonnegative("the share is >= 0: the slope never exceeds n/m in size", short)
    argument.positive("and < 1", sp.together(1 - short))


def _show_interval(argument: Argument) -> None:
    weight = forms.BETA_AT_LEVEL.subs(m, _ACTIVE)
    argument.nonnegative("β rises with τ, so falls with ℛ: convex", sp.factor(weight.diff(tau)))
    argument.positive(
        "strictly while T_m > 0", sp.factor(weight.subs(forms.tail, _OUTSIDE).diff(tau))
    )
    argument.cites(
        "Mean value theorem: the slope of a chord is the slope at a point between its ends"
    )
    argument.equal(
        "the upper end τ = λ_m has β = nλ_m/(mλ_m + T_m)",
        weight.subs(tau, lam),
        forms.JOIN_BETA.subs(m, _ACTIVE),
    )
    argument.equal(
        "the lower end τ = λ_{m+1} has the β at which mode m + 1 dies",
        weight.subs({tau: lam, forms.tail: forms.tail + lam}, simultaneous=True),
        forms.JOIN_BETA.subs(m, _ACTIVE + 1),
    )
    argument.nonnegative(
        "the share falls with τ: over a chord it is largest at its lower water level",
        -sp.factor(forms.SHORTFALL.subs(m, _ACTIVE).diff(tau)),
    )


def _show_limit(argument: Argument) -> None:
    distortion, rate = _curve()
    straight = forms.STRAIGHT_BETA.subs(m, _ACTIVE)
    without = (distortion + straight * rate).subs(forms.tail, 0)
    argument.zero("T_m = 0: 𝒟 + (n/m)ℛ does not depend on τ", sp.expand_log(without).diff(tau))
    argument.equal(
        "so one β, n/m, holds on all of the segment",
        forms.BETA_AT_LEVEL.subs({m: _ACTIVE, forms.tail: 0}),
        straight,
    )
    outside = -_slope().subs(forms.tail, _OUTSIDE)
    argument.equal("T_m → 0: β → n/m", sp.limit(outside, _OUTSIDE, 0, "+"), straight)
    argument.zero("T_m > 0: β → 0 as τ → 0 instead", sp.limit(outside, tau, 0, "+"))


def _show_fixed(argument: Argument) -> None:
    _, rate = _curve()
    level = sp.exp((forms.log_sum - 2 * sp.Symbol("R", real=True)) / _ACTIVE)
    solved = sp.expand_log(rate.subs(tau, level), force=True)
    argument.equal(
        "at rate R the water level is exp((Σ log λᵢ − 2R)/m)", solved, sp.Symbol("R", real=True)
    )
    error = _ACTIVE * level
    argument.equal(
        "with σ² fixed ε − T_m falls by the relative rate 2/m per nat",
        sp.diff(error, sp.Symbol("R", real=True)) / error,
        -sp.S(2) / _ACTIVE,
    )
    argument.equal(
        "and d𝒟/dℛ = −τ/σ² with it",
        sp.cancel((forms.SQUARED_ERROR.subs(m, _ACTIVE) / (2 * s2)).diff(tau) / rate.diff(tau)),
        -tau / s2,
    )


if __name__ == "__main__":
    run(prove)
