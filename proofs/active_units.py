r"""When the activity statistic of Burda et al. counts a mode as active.

The statistic of a latent is the variance over the data of its posterior mean, e S eᵀ for a linear
encoder row e; a latent counts when that exceeds a threshold t, 0 ≤ t < 1 (0.01 by custom).

1. At the joint optimum e = (√(λ − τ)/λ) uᵀ for an active mode, so that e S eᵀ = (λ − τ)/λ, and 0
   for a dead one. It is also 1 − c, the share of the prior's variance that the data explain: the
   aggregated posterior is the prior (claim "aggregated").
2. With β* = λ/σ², λ[(λ − τ)/λ − t] = σ²[(1 − t)β* − β]: while the mode lives the statistic exceeds
   t exactly for β < (1 − t)β*. A dead mode has 0 <= t and β >= β* >= (1 − t)β*. So the statistic
   calls a mode dead from (1 − t) times its critical β on, a little too early, and for t = 0
   exactly at the critical β.
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

from ._branches import at_active, at_collapsed
from ._gates import settled
from .argument import Argument, Proof, run

threshold = sp.Symbol("t", nonnegative=True)
odds = sp.Symbol("y", positive=True)  # t/(1 − t)


def prove() -> Proof:
    """Derive where the statistic crosses its threshold."""
    proof = Argument(
        "active-units",
        "At the optimum the activity of mode i is (λᵢ − τ)₊/λᵢ: it exceeds t exactly for "
        "β < (1 − t)λᵢ/σ².",
    )
    activity, weight = at_active(ACTIVITY), at_active(lam)
    proof.equal("alive (λ > τ): the variance of the posterior mean is (λ − τ)/λ", activity,
                at_active((lam - beta * s2) / lam))  # fmt: skip
    proof.equal("dead (λ ≤ τ): it is 0", at_collapsed(ACTIVITY), 0)
    for name, at in (("alive", at_active), ("dead", at_collapsed)):
        proof.equal(f"{name}: it is the square of the encoder's gain times λ", at(ACTIVITY),
                    at(ENCODER_GAIN**2 * lam))  # fmt: skip
        proof.equal(f"{name}: it is 1 − c", at(ACTIVITY), at(1 - POSTERIOR_VARIANCE))
    falls = sp.diff(ACTIVITY, beta)
    proof.equal("alive: it falls with slope −σ²/λ", at_active(falls), -s2 / weight)
    crossing = (1 - threshold) * CRITICAL_BETA
    proof.equal(
        "alive: λ (activity − t) = σ² ((1 − t)β* − β), so the one is positive where the other is",
        weight * (activity - threshold),
        s2 * at_active(crossing - beta),
    )
    proof.nonnegative("dead: the activity does not exceed t", threshold - at_collapsed(ACTIVITY))
    proof.nonnegative("dead: nor is β below (1 − t)β*", at_collapsed(beta - crossing))
    # t = y/(1 + y), 0 < t < 1, so that 1 − t = 1/(1 + y).
    left = settled(OPTIMAL_RATE.subs(beta, CRITICAL_BETA / (1 + odds)))
    proof.equal("at (1 − t)β* the mode has the rate −½ log(1 − t)",
                sp.expand_log(sp.simplify(left)), sp.log(1 + odds) / 2)  # fmt: skip
    proof.positive("... and the rate falls with β", at_active(-sp.diff(OPTIMAL_RATE, beta)))
    return proof.done(
        functions=("linvae.twins.active_units",),
        properties=(
            "tests/linvae/test_twins.py::test_active_units_at_the_optimum",
            "tests/linvae/test_symbolic_twins.py::test_activity_is_the_expression",
        ),
        optimisations=("tests/linvae/test_twins.py::test_active_units_of_an_optimised_model",),
        uses=("aggregated", "critical"),
    )


if __name__ == "__main__":
    run(prove)
