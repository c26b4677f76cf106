r"""When a mode lives: exactly below its critical β, which is λ/σ².

By the claims ``global`` and ``stationarity`` the best decoder gain of a mode is ±√(λ − τ) if
λ > τ = βσ², and 0 if λ <= τ. The gain d² = λ − βσ² is affine and falling in β, so it is positive
for β below its one zero β* = λ/σ² and not beyond:

1. Solving λ − βσ² = 0 for β gives λ/σ².
2. With λ = τ + g, β* − β = g/σ²: g > 0 are the β below β*, and there d, e > 0 and c < 1.
3. With τ = λ + h, β − β* = h/σ²: h >= 0 are the β from β* on, and there d = e = 0, c = 1. At h = 0
   too, so that the inequality is strict. A mode with λ = 0 has β* = 0 and never lives.
4. The same value from the second derivative: at the collapsed point the Hessian is singular for
   β = λ/σ² and for no other β. Below, the collapsed point is a saddle.
5. β* rises with λ: modes die in the order of their eigenvalues, the smallest first, and the number
   of active modes at β is the number of critical β's above β.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, c, d, e, lam, s2, tau
from proofs import stationarity
from proofs._branches import at_active, at_collapsed
from proofs.argument import Argument, Proof, run
from proofs.global_optimum import hessian

__all__ = ["critical_beta", "prove"]

STATEMENT = "Mode i is active exactly for β < λᵢ/σ²."


def critical_beta() -> sp.Expr:
    """Zero in β of the active factor of the derivative in d, taken at d = 0."""
    numerator = sp.numer(sp.together(stationarity.remaining_slope()))
    factor = sp.cancel(numerator / (2 * tau * d)).subs(d, 0)
    (zero,) = sp.solve(factor.subs(tau, beta * s2), beta)
    return zero


def _threshold(argument: Argument) -> None:
    zero = critical_beta()
    argument.equal("the active gain vanishes at β = λ/σ² alone", zero, lam / s2)
    argument.equal("that is the critical β of the library", modes.CRITICAL_BETA, zero)
    argument.positive("λ = τ + g, g > 0, is β < λ/σ²", at_active(zero - beta))
    argument.nonnegative("τ = λ + h, h >= 0, is β >= λ/σ²", -at_collapsed(zero - beta))
    argument.true("β < λ/σ²: the library's condition says active", at_active(modes.ACTIVE))
    argument.true(
        "β >= λ/σ², the threshold included: it says not active",
        sp.Not(at_collapsed(modes.ACTIVE)),
    )
    argument.positive("β < λ/σ²: d > 0", at_active(modes.DECODER_GAIN))
    argument.positive("β < λ/σ²: e > 0", at_active(modes.ENCODER_GAIN))
    argument.positive("β < λ/σ²: c < 1", at_active(1 - modes.POSTERIOR_VARIANCE))
    still = sp.Matrix([modes.DECODER_GAIN, modes.ENCODER_GAIN, modes.POSTERIOR_VARIANCE - 1])
    argument.zero("β >= λ/σ²: d = 0, e = 0 and c = 1", still.applyfunc(at_collapsed))


def prove() -> Proof:
    """Solve for the β at which the gain vanishes, twice."""
    argument = Argument("critical", STATEMENT)
    _threshold(argument)
    still = hessian().subs({e: 0, c: 1, d: 0}).det().subs(tau, beta * s2)
    argument.true(
        "the Hessian at the collapsed point is singular for that β > 0 alone",
        sp.solve(still, beta) == [modes.CRITICAL_BETA],
    )
    argument.positive("the critical β rises with λ", sp.diff(modes.CRITICAL_BETA, lam))
    argument.zero("λ → 0: the critical β tends to 0", sp.limit(modes.CRITICAL_BETA, lam, 0, "+"))
    return argument.done(
        functions=("linvae.response.critical_betas", "linvae.Frontier.critical_betas"),
        properties=(
            "tests/linvae/test_response.py::test_a_mode_dies_at_its_critical_beta_to_the_last_bit",
            "tests/linvae/test_symbolic_modes.py::test_active_modes_are_those_of_the_symbolic_condition",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_modes.py::test_descent_finds_a_mode_below_its_critical_beta_only",
        ),
        uses=("stationarity", "global_optimum"),
    )


if __name__ == "__main__":
    run(prove)
