r"""The frontier is the global minimum, over all matrices and offsets.

By the claim ``mode-objective`` offsets at the data mean are optimal, and by the claim ``reduction``
the least 2σ²L at a given decoder is at least a sum over modes of

    R(w) = λτ/w + τ log(w/τ),   w >= τ,

which is 2σ²ℓ at the best e and c. It remains to minimise one mode. Let φ(t) = t − 1 − log t >= 0.

1. Exact differences, which hold at every point of the parameter space, not only nearby:

       2σ²ℓ(e, c, d) − R(w) = λw (e − d/w)² + τ φ(cw/τ),       w = d² + τ,
       R(w) − R(λ)          = τ φ(λ/w),                        for λ > τ,
       R(w) − R(τ)          = τ φ(τ/w) + (τ − λ)(1 − τ/w),     for λ <= τ.

   Every term is >= 0. So R is least at w = max(λ, τ), and these levels fall with λ as the
   claim ``reduction`` requires. Active: all three squares vanish only for d² = λ − τ, e = d/λ,
   c = τ/λ. Collapsed: only for d = 0, c = 1 and, if λ > 0, e = 0. The minimum is unique up to sign.
2. Infinity is no escape. From 1., 2σ²ℓ >= τφ(c) + λτe² (drop λ(1−de)² + d²c) and 2σ²ℓ >= R(w), and
   these grow without bound for c → 0, c → ∞, |e| → ∞ (λ > 0) and |d| → ∞. So ℓ tends to +∞ along
   every path that leaves each compact set of (e, log c, d), and no infimum lies at infinity.
3. λ = 0: 2σ²ℓ = d²c + τφ(c) >= 0, which is attained at d = 0, c = 1; e is free and irrelevant.
4. Second order, as a check of its own. In (e, c, d) the Hessian at an active point has positive
   leading minors: a strict local minimum. At the collapsed point its determinant has the sign of
   τ − λ: a strict minimum for λ < τ, a saddle with one descending direction for λ > τ.
5. The minimum of one mode is that of the library on both branches.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, c, d, e, lam, s2, tau
from proofs._branches import (
    above,
    at_active,
    at_collapsed,
    below,
    excess,
    reduced,
    scaled,
    show_logarithm,
)
from proofs.argument import Argument, Proof, run

__all__ = ["hessian", "prove"]

STATEMENT = "No perturbed linear VAE beats the frontier."
_w = sp.Symbol("w", positive=True)
_rise = sp.Symbol("r", nonnegative=True)  # w − τ


def hessian() -> sp.Matrix:
    """Second derivatives of 2σ² times the objective of one mode in (e, c, d)."""
    return sp.hessian(scaled(modes.OBJECTIVE), (e, c, d))


def _differences(argument: Argument) -> None:
    w = d**2 + tau
    read = (e - d / w) ** 2
    argument.zero(
        "2σ²ℓ − R = λw(e − d/w)² + τφ(cw/τ), w = d² + τ",
        sp.expand_log(
            scaled(modes.OBJECTIVE) - reduced(w) - lam * w * read - tau * excess(c * w / tau)
        ),
    )
    argument.zero(
        "R(w) − R(λ) = τφ(λ/w)",
        sp.expand_log(reduced(_w) - reduced(lam) - tau * excess(lam / _w)),
    )
    surplus = (tau - lam) * (1 - tau / _w)
    argument.zero(
        "R(w) − R(τ) = τφ(τ/w) + (τ − λ)(1 − τ/w)",
        sp.expand_log(reduced(_w) - reduced(tau) - tau * excess(tau / _w) - surplus),
    )
    argument.positive("λw > 0: the first term is a positive multiple of a square", lam * w)
    argument.nonnegative(
        "τ = λ + h, w = τ + r with h, r >= 0: (τ − λ)(1 − τ/w) >= 0",
        sp.factor(surplus.subs(_w, tau + _rise)).subs(tau, lam + below),
    )
    argument.true(
        "λ = τ + g: w = d² + τ reaches λ at d = ±√g, and only there",
        set(sp.solve((w - lam).subs(lam, tau + above), d)) == {sp.sqrt(above), -sp.sqrt(above)},
    )
    argument.true("w = d² + τ reaches τ at d = 0 only", sp.solve(w - tau, d) == [0])
    argument.zero(
        "the best level max(λ, τ) is the library's d² + τ: active",
        at_active(modes.DECODER_GAIN**2 + beta * s2 - lam),
    )
    argument.zero(
        "the best level max(λ, τ) is the library's d² + τ: collapsed",
        at_collapsed(modes.DECODER_GAIN**2),
    )


def _at_infinity(argument: Argument) -> None:
    whole = scaled(modes.OBJECTIVE)
    kept = lam * (1 - d * e) ** 2 + d**2 * c
    argument.zero(
        "2σ²ℓ − λ(1 − de)² − d²c = τφ(c) + λτe²", whole - kept - tau * excess(c) - lam * tau * e**2
    )
    argument.nonnegative("what was dropped is >= 0", kept)
    for name, expression, symbol, end, side in (
        ("c → 0", excess(c), c, 0, "+"),
        ("c → ∞", excess(c), c, sp.oo, "-"),
        ("|e| → ∞", lam * tau * e**2, e, sp.oo, "-"),
        ("|d| → ∞, where w → ∞", reduced(_w), _w, sp.oo, "-"),
    ):
        argument.true(
            f"the bound tends to +∞ for {name}", sp.limit(expression, symbol, end, side) is sp.oo
        )
    argument.zero("both bounds are even in e and d", kept.subs({e: -e, d: -d}) - kept)


def _no_variance(argument: Argument) -> None:
    still = scaled(modes.OBJECTIVE).subs(lam, 0)
    argument.zero("λ = 0: 2σ²ℓ = d²c + τφ(c)", still - d**2 * c - tau * excess(c))
    argument.nonnegative("λ = 0: d²c >= 0", d**2 * c)
    argument.zero("λ = 0: the value 0 is attained at d = 0, c = 1", still.subs({d: 0, c: 1}))


def _second_order(argument: Argument) -> None:
    matrix = hessian()
    point = {e: d / lam, c: tau / lam, lam: d**2 + tau}
    gain = sp.Symbol("d", positive=True)
    active = matrix.subs({e: d / lam, c: tau / lam}).subs(point).subs(d, gain)
    for size in (1, 2, 3):
        argument.positive(
            f"active point: leading minor {size} of the Hessian is positive",
            sp.factor(active[:size, :size].det()),
        )
    still = matrix.subs({e: 0, c: 1, d: 0})
    argument.positive("collapsed point: leading minor 1 is positive", still[:1, :1].det())
    argument.positive("collapsed point: leading minor 2 is positive", still[:2, :2].det())
    argument.positive(
        "collapsed point: the determinant is a positive multiple of τ − λ",
        sp.cancel(still.det() / (tau - lam)),
    )


def _named(argument: Argument) -> None:
    value = modes.OPTIMAL_SQUARED_ERROR / (2 * s2) + beta * modes.OPTIMAL_RATE
    level = {tau: beta * s2}
    argument.equal(
        "active: the least value is the library's",
        sp.expand_log(at_active(value)),
        sp.expand_log(at_active((reduced(lam) / (2 * s2)).subs(level))),
    )
    argument.equal(
        "collapsed: the least value is the library's",
        at_collapsed(value),
        at_collapsed((reduced(tau) / (2 * s2)).subs(level)),
    )


def prove() -> Proof:
    """Show every excess as a sum of non-negative terms, for all matrices and at infinity."""
    argument = Argument("global", STATEMENT)
    show_logarithm(argument)
    _differences(argument)
    _at_infinity(argument)
    _no_variance(argument)
    _second_order(argument)
    _named(argument)
    return argument.done(
        functions=("linvae.response.response", "linvae.Frontier.gap"),
        properties=(
            "tests/linvae/test_optimality.py::test_no_parameters_lie_below_the_frontier",
            "tests/linvae/test_symbolic_modes.py::test_the_excess_is_a_sum_of_squares_and_logarithms",
        ),
        optimisations=(
            "tests/linvae/test_optimality.py::test_twenty_restarts_never_beat_the_joint_optimum",
            "tests/linvae/test_adversarial_modes.py::test_no_step_to_infinity_beats_the_frontier",
        ),
        uses=("mode_objective", "stationarity", "reduction"),
    )


if __name__ == "__main__":
    run(prove)
