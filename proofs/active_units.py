r"""When the activity statistic of Burda et al. counts a mode as active.

The statistic of a latent is the variance over the data of its posterior mean, e S eᵀ for a linear
encoder row e; a latent counts when that exceeds a threshold t, 0 ≤ t < 1 (0.01 by custom).

1. At the joint optimum e = (√(λ − τ)/λ) uᵀ for an active mode, so that e S eᵀ = (λ − τ)/λ, and 0
   for a dead one. It is also 1 − c, the share of the prior's variance that the data explain: the
   aggregated posterior is the prior (claim "aggregated").
2. (λ − τ)/λ > t is the same as τ < (1 − t)λ, hence β < (1 − t) λ/σ²: the statistic calls a mode
   dead from (1 − t) times its critical β on, a little too early, and for t = 0 exactly at the
   critical β.
3. Between these two a mode still carries rate: ½ log(λ/τ) ≤ −½ log(1 − t), which is 0.005 nats for
   t = 0.01. So at a given β the statistic misses at most that rate per latent.
4. The statistic falls in β with slope −σ²/λ while the mode lives: it crosses t once.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic.modes import (
    CRITICAL_BETA,
    ENCODER_GAIN,
    OPTIMAL_RATE,
    POSTERIOR_VARIANCE,
)
from linvae.symbolic.symbols import beta, lam, s2
from linvae.symbolic.twins import ACTIVITY

from .argument import Argument, Proof, run

threshold = sp.Symbol("t", nonnegative=True)
share = sp.Symbol("r", positive=True)  # 1 − t


def prove() -> Proof:
    """Derive where the statistic crosses its threshold."""
    proof = Argument(
        "active-units",
        "At the optimum the activity of mode i is (λᵢ − τ)₊/λᵢ: it exceeds t exactly for "
        "β < (1 − t)λᵢ/σ².",
    )
    activity, dead = (ACTIVITY.args[branch][0] for branch in (0, 1))
    proof.equal("the variance of the posterior mean is (λ − τ)/λ", activity,
                (lam - beta * s2) / lam)  # fmt: skip
    proof.equal("... the square of the encoder's gain times λ",
                sp.simplify(ENCODER_GAIN.args[0][0] ** 2 * lam), sp.expand(activity))  # fmt: skip
    proof.zero("a dead mode has none", dead)
    proof.equal("it is 1 − c", activity, 1 - POSTERIOR_VARIANCE.args[0][0])
    proof.equal("it falls with slope −σ²/λ", sp.diff(activity, beta), -s2 / lam)
    crossing = sp.solve(sp.Eq(activity, threshold), beta)
    proof.true("it crosses t once", len(crossing) == 1)
    proof.equal("... at (1 − t) times the critical β", crossing[0],
                (1 - threshold) * CRITICAL_BETA)  # fmt: skip
    left = OPTIMAL_RATE.args[0][0].subs(beta, share * CRITICAL_BETA)
    proof.equal("there the mode has the rate −½ log(1 − t)", sp.expand_log(sp.simplify(left)),
                -sp.log(share) / 2)  # fmt: skip
    proof.positive("... and the rate falls with β", -sp.diff(OPTIMAL_RATE.args[0][0], beta))
    return proof.done(
        functions=("linvae.twins.active_units",),
        properties=(
            "tests/linvae/test_twins.py::test_active_units_at_the_optimum",
            "tests/linvae/test_symbolic_twins.py::test_activity_is_the_expression",
        ),
        optimisations=("tests/linvae/test_twins.py::test_active_units_of_an_optimised_model",),
    )


if __name__ == "__main__":
    run(prove)
