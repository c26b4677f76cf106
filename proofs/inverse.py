r"""β for a rate, a squared error or a distortion: closed form on every segment.

Between two critical β's m modes are active, ε = T_m + mτ and ℛ = ℛ_m + (m/2) log(β_m/β), where
mode m joins at β_m with the rate ℛ_m there (claim ``optimum``).

1. Solved for β: β = β_m exp(−2(ℛ − ℛ_m)/m). Solved for τ: τ = (ε − T_m)/m. A distortion is an
   increasing affine function of the squared error, ε = 2σ²(𝒟 − (n/2) log 2πσ²). Each query and the
   curve undo each other, in both orders.
2. The right segment is the one whose ends enclose the query. Along the curve rate and squared error
   are strictly monotone in β (claim ``slope``), so the ends are in order and exactly one segment
   does; at a shared end the formulas of the two neighbours agree: β_{m+1} solves both, since
   ℛ_{m+1} = ℛ_m + (m/2) log(β_m/β_{m+1}) and T_m − λ_{m+1} = T_{m+1}. No root finder is needed.
3. Ranges. ℛ runs through all of (0, ∞) as β runs down from β₁ to 0; ε through (T_K, tr S], K the
   number of modes that can live. At rate 0 every β >= β₁ fits, and the query answers the least, β₁.
4. Conditioning. A relative change of ε by η changes τ by ε/(mτ) times η: the water level is what is
   left after subtracting T_m. An absolute change of the rate by η changes log β by 2/m times η.
   The first is >= 1 and unbounded as τ → 0, so that near the floor only the backward error of a
   query is small.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from linvae.symbolic import curve, modes
from linvae.symbolic.curve import active, join_beta, join_rate, rate, squared_error, tail
from linvae.symbolic.symbols import beta, lam, n, s2, tau
from proofs.argument import Argument, Proof, run

__all__ = ["beta_at_rate", "level_at_error", "prove"]

STATEMENT = "Queries by rate and by squared error invert the curve."
_next_beta = sp.Symbol("next_beta", positive=True)


def _one(solutions: list[Any]) -> Any:
    (solution,) = solutions
    return solution


def beta_at_rate() -> sp.Expr:
    """The segment's rate solved for β."""
    return _one(sp.solve(sp.Eq(curve.SEGMENT_RATE, rate), beta))


def level_at_error() -> sp.Expr:
    """The segment's squared error solved for the water level."""
    return _one(
        sp.solve(sp.Eq(curve.SEGMENT_SQUARED_ERROR.subs(beta, tau / s2), squared_error), tau)
    )


def _solved(argument: Argument) -> None:
    by_rate, by_error = curve.BETA_AT_RATE, curve.WATER_LEVEL_AT_SQUARED_ERROR
    argument.equal("rate solved for β", beta_at_rate(), by_rate)
    argument.equal("squared error solved for τ", level_at_error(), by_error)
    argument.equal(
        "rate of the β found = the rate asked",
        sp.expand_log(curve.SEGMENT_RATE.subs(beta, by_rate), force=True),
        rate,
    )
    argument.equal(
        "β found for the rate of β = β", sp.simplify(by_rate.subs(rate, curve.SEGMENT_RATE)), beta
    )
    argument.equal(
        "squared error of the τ found = the error asked",
        curve.SEGMENT_SQUARED_ERROR.subs(beta, by_error / s2),
        squared_error,
    )
    argument.equal(
        "τ found for the squared error of β = βσ²",
        by_error.subs(squared_error, curve.SEGMENT_SQUARED_ERROR),
        modes.WATER_LEVEL,
    )
    distortion = sp.Symbol("distortion", real=True)
    error = _one(sp.solve(sp.Eq(curve.DISTORTION, distortion), squared_error))
    argument.equal(
        "distortion solved for the squared error",
        error,
        sp.expand(2 * s2 * (distortion - n * sp.log(2 * sp.pi * s2) / 2)),
    )
    argument.equal("distortion of the error found = the distortion asked",
                   curve.DISTORTION.subs(squared_error, error), distortion)  # fmt: skip


def _neighbours(argument: Argument) -> None:
    next_rate = curve.SEGMENT_RATE.subs(beta, _next_beta)
    argument.equal(
        "both segments answer β_{m+1} to the rate ℛ_{m+1}: from below",
        sp.simplify(curve.BETA_AT_RATE.subs(rate, next_rate)),
        _next_beta,
    )
    later = {active: active + 1, join_beta: _next_beta, join_rate: next_rate}
    argument.equal(
        "both segments answer β_{m+1} to the rate ℛ_{m+1}: from above",
        curve.BETA_AT_RATE.subs(later, simultaneous=True).subs(rate, next_rate),
        _next_beta,
    )
    # λ_{m+1} = β_{m+1}σ² is the level there; the next tail lacks it.
    error = curve.SEGMENT_SQUARED_ERROR.subs(beta, lam / s2)
    after = curve.WATER_LEVEL_AT_SQUARED_ERROR.subs({active: active + 1, tail: tail - lam})
    argument.equal(
        "both segments answer λ_{m+1} to the squared error there: from below",
        curve.WATER_LEVEL_AT_SQUARED_ERROR.subs(squared_error, error),
        lam,
    )
    argument.equal(
        "both segments answer λ_{m+1} to the squared error there: from above",
        after.subs(squared_error, error),
        lam,
    )


def _ranges(argument: Argument) -> None:
    argument.positive("β falls strictly with the rate", -sp.diff(curve.BETA_AT_RATE, rate))
    argument.positive(
        "τ rises strictly with the squared error",
        sp.diff(curve.WATER_LEVEL_AT_SQUARED_ERROR, squared_error),
    )
    argument.true(
        "the rate grows without bound as β → 0",
        sp.limit(sp.expand_log(curve.SEGMENT_RATE), beta, 0, "+") is sp.oo,
    )
    argument.equal(
        "the squared error tends to the variance outside as β → 0",
        sp.limit(curve.SEGMENT_SQUARED_ERROR, beta, 0, "+"),
        tail,
    )
    argument.equal(
        "at the rate where its first mode joins the segment answers that β",
        curve.BETA_AT_RATE.subs(rate, join_rate),
        join_beta,
    )


def _conditioning(argument: Argument) -> None:
    level = curve.WATER_LEVEL_AT_SQUARED_ERROR
    condition = squared_error * sp.diff(level, squared_error) / level
    on_curve = {squared_error: curve.SEGMENT_SQUARED_ERROR}
    argument.equal(
        "relative change of τ by that of ε: ε/(mτ)",
        condition.subs(on_curve),
        curve.ERROR_CONDITION.subs(on_curve),
    )
    argument.nonnegative(
        "it is at least 1, more by T_m/(mτ)",
        sp.expand(curve.ERROR_CONDITION.subs(on_curve) - 1),
    )
    argument.equal(
        "relative change of β by an absolute one of the rate: −2/m",
        sp.simplify(sp.diff(curve.BETA_AT_RATE, rate) / curve.BETA_AT_RATE),
        -curve.RATE_CONDITION,
    )


def prove() -> Proof:
    """Solve each segment, and check that neighbours agree."""
    argument = Argument("inverse", STATEMENT)
    _solved(argument)
    _neighbours(argument)
    _ranges(argument)
    _conditioning(argument)
    return argument.done(
        functions=(
            "linvae.Frontier.at_rate",
            "linvae.Frontier.at_squared_error",
            "linvae.Frontier.at_distortion",
        ),
        properties=(
            "tests/linvae/test_frontier.py::test_inverse_queries_have_a_backward_error_of_a_few_ulps",
            "tests/linvae/test_frontier.py::test_inverse_queries_on_and_beside_thresholds",
            "tests/linvae/test_symbolic_modes.py::test_segments_and_their_inverses_are_the_symbolic_ones",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_curve.py::test_no_allocation_of_errors_needs_less_rate",
        ),
        uses=("optimum", "slope"),
    )


if __name__ == "__main__":
    run(prove)
