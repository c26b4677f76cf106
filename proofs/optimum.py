r"""The response functions evaluated: they give the frontier's closed form.

The response puts latent j along eigenvector uⱼ, with decoder gain dⱼ = √(λⱼ − τ)₊, encoder gain
eⱼ = dⱼ/λⱼ and variance cⱼ = min(1, τ/λⱼ). By the claim ``mode-objective`` squared error and rate
are sums over modes, so one mode decides.

1. Active, λ = τ + g with g > 0: de = g/λ, so that λ(1 − de)² = τ²/λ and d²c = gτ/λ. Together
   τ(τ + g)/λ = τ. For the rate, c + λe² = τ/λ + g/λ = 1, so ½(1 − 1 − log c) = ½ log(λ/τ).
2. Collapsed, 0 < λ <= τ: d = e = 0 and c = 1 give squared error λ and rate 0.
3. λ = 0: the same parameters give 0 and 0. Nothing divides by λ.
4. So mode j <= k contributes min(λⱼ, τ) and ½ log⁺(λⱼ/τ), a mode j > k contributes λⱼ and 0. With
   m active modes, λ_m > τ >= λ_{m+1}, and T_m = Σ_{j>m} λⱼ the sums are, for symbolic m,

       ε = mτ + T_m,    ℛ = Σ_{j≤m} ½ log(λⱼ/τ).

   The rate at τ' = λ_m = β_mσ², where mode m joins, is ℛ_m = Σ_{j≤m} ½ log(λⱼ/λ_m), and the
   difference from there is (m/2) log(β_m/β): the piecewise form that the library evaluates.
5. e and d are continuous in β where a mode dies (both tend to 0, c to 1), so is the curve.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import curve, modes
from linvae.symbolic.symbols import beta, c, d, e, lam, m, s2, tau
from proofs._branches import above, at_active, at_collapsed
from proofs.argument import Argument, Proof, run

__all__ = ["prove", "put_in", "segment_sums"]

STATEMENT = "The response functions achieve the closed-form frontier."


def put_in(expression: sp.Expr) -> sp.Expr:
    """An expression of e, c, d at the response functions of the library."""
    return expression.subs(
        {e: modes.ENCODER_GAIN, c: modes.POSTERIOR_VARIANCE, d: modes.DECODER_GAIN}
    )


def segment_sums() -> tuple[sp.Expr, sp.Expr]:
    """Squared error of m active modes, and what the rate gains since the last of them joined."""
    j = sp.Symbol("j", integer=True, positive=True)
    value = sp.IndexedBase("l", positive=True)
    error = sp.Sum(tau, (j, 1, m)).doit()
    here, there = (sp.log(value[j] / level) / 2 for level in (tau, curve.join_beta * s2))
    gained = sp.expand_log(here - there, force=True)
    return error, sp.Sum(sp.expand(gained), (j, 1, m)).doit()


def _branches(argument: Argument) -> None:
    for name, at, error, rate in (
        ("active", at_active, beta * s2, sp.log((beta * s2 + above) / (beta * s2)) / 2),
        ("collapsed", at_collapsed, lam, sp.S.Zero),
    ):
        got_error, got_rate = at(put_in(modes.SQUARED_ERROR)), at(put_in(modes.RATE))
        argument.equal(f"{name}: squared error of the response functions", got_error, error)
        argument.equal(f"{name}: rate of the response functions", got_rate, rate)
        argument.equal(
            f"{name}: the library's squared error", got_error, at(modes.OPTIMAL_SQUARED_ERROR)
        )
        argument.equal(f"{name}: the library's rate", got_rate, at(modes.OPTIMAL_RATE))
    still = {e: 0, c: 1, d: 0}
    argument.zero(
        "λ = 0 with e = d = 0, c = 1: squared error and rate are 0",
        sp.Matrix([modes.SQUARED_ERROR, modes.RATE]).subs(still).subs(lam, 0),
    )
    argument.zero(
        "the library's collapsed branch tends to that as λ → 0",
        sp.Matrix(
            [at_collapsed(modes.OPTIMAL_SQUARED_ERROR), at_collapsed(modes.OPTIMAL_RATE)]
        ).subs(lam, 0),
    )


def _segments(argument: Argument) -> None:
    error, gained = segment_sums()
    count = {m: curve.active, tau: modes.WATER_LEVEL}
    argument.equal(
        "any m: Σ_{j≤m} τ + T_m is the library's squared error on a segment",
        error.subs(count) + curve.tail,
        curve.SEGMENT_SQUARED_ERROR,
    )
    argument.equal(
        "any m: ℛ_m plus what is gained since β_m is the library's rate on a segment",
        sp.expand_log(gained.subs(count)) + curve.join_rate,
        sp.expand_log(curve.SEGMENT_RATE),
    )
    argument.equal(
        "distortion: (n/2) log 2πσ² + ε/2σ², as in the objective of a mode",
        sp.diff(curve.DISTORTION, curve.squared_error),
        sp.diff(
            modes.OBJECTIVE.subs(modes.SQUARED_ERROR, curve.squared_error), curve.squared_error
        ),
    )


def _continuity(argument: Argument) -> None:
    for name, expression, end in (
        ("d", modes.DECODER_GAIN, 0),
        ("e", modes.ENCODER_GAIN, 0),
        ("c", modes.POSTERIOR_VARIANCE, 1),
        ("rate", modes.OPTIMAL_RATE, 0),
    ):
        argument.zero(
            f"{name} is continuous where the mode dies (g → 0+)",
            sp.limit(at_active(expression), above, 0, "+") - end,
        )
    argument.zero(
        "squared error is continuous where the mode dies: τ = λ there",
        (at_active(modes.OPTIMAL_SQUARED_ERROR) - (beta * s2 + above)).subs(above, 0),
    )


def prove() -> Proof:
    """Put the response functions into squared error and rate."""
    argument = Argument("optimum", STATEMENT)
    _branches(argument)
    _segments(argument)
    _continuity(argument)
    return argument.done(
        functions=("linvae.response.response", "linvae.Frontier.at_beta"),
        properties=(
            "tests/linvae/test_frontier.py::test_evaluating_the_response_gives_the_curve",
            "tests/linvae/test_response.py::test_gains_are_those_of_exact_arithmetic",
            "tests/linvae/test_symbolic_modes.py::test_response_is_the_symbolic_one",
            "tests/linvae/test_symbolic_modes.py::test_the_curve_is_the_sum_of_the_symbolic_modes",
        ),
        optimisations=(
            "tests/linvae/test_optimality.py::test_twenty_restarts_never_beat_the_joint_optimum",
        ),
        uses=("mode_objective",),
    )


if __name__ == "__main__":
    run(prove)
