r"""The excess of a measured point, and what a model that ignores the data loses.

The gap of a point (ℛ, 𝒟) at β is 𝒟 + βℛ − L*(β), where L* is the least objective.

1. At the optimum 𝒟 + βℛ = L* (claim ``optimum``): the gap is 0. It is never negative for a linear
   model on this spectrum (claim ``global``).
2. A model that ignores the data has E = 0, C = I, D = 0: one mode costs λ/2σ² and rate 0, active or
   not. Its gap is, per mode, λ/2σ² minus the least value. With r = λ/τ that is

       (β/2)(r − 1 − log r) = (β/2) φ(r)  for λ > τ,   0 for λ <= τ.

   φ > 0 for r > 1, so the loss is positive as soon as one mode lives, and 0 otherwise.
3. The library computes the loss from the ends of the curve, (tr S − ε)/2σ² − βℛ. Per mode that is
   (λ − τ)/2σ² − (β/2) log(λ/τ), the same expression.
4. Hence gap / loss is 0 at the optimum and 1 for the model that ignores the data, wherever the loss
   is positive.
5. Near its critical β a mode has almost nothing to lose: with λ = τ(1 + t) the loss is
   (β/2)(t²/2 + O(t³)). That is why the share is only reported where the loss exceeds one nat.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import curve, modes
from linvae.symbolic.symbols import beta, c, d, e, lam, s2
from proofs import optimum
from proofs._branches import above, at_active, at_collapsed, excess, show_logarithm
from proofs.argument import Argument, Proof, run

__all__ = ["ignored", "least", "loss", "prove"]

STATEMENT = "The normalised excess of the optimum is 0, that of a model that ignores the data is 1."


def least() -> sp.Expr:
    """Least objective of one mode."""
    return modes.OPTIMAL_SQUARED_ERROR / (2 * s2) + beta * modes.OPTIMAL_RATE


def ignored() -> sp.Expr:
    """Objective of one mode at e = 0, c = 1, d = 0."""
    return modes.OBJECTIVE.subs({e: 0, c: 1, d: 0})


def loss() -> sp.Expr:
    """What one mode loses when the model ignores it."""
    return ignored() - least()


def _values(argument: Argument) -> None:
    argument.equal("ignoring a mode costs λ/2σ²", ignored(), lam / (2 * s2))
    for name, at in (("active", at_active), ("collapsed", at_collapsed)):
        achieved = optimum.put_in(modes.OBJECTIVE)
        argument.zero(
            f"{name}: the response functions have excess 0",
            sp.expand_log(at(achieved) - at(least()), force=True),
        )
        argument.zero(
            f"{name}: the loss is that of the library",
            sp.expand_log(at(loss()) - at(curve.COLLAPSED_LOSS), force=True),
        )
    argument.zero(
        "active: the loss is (β/2) φ(λ/τ)",
        sp.expand_log(
            at_active(curve.COLLAPSED_LOSS) - at_active(beta * excess(lam / (beta * s2)) / 2),
            force=True,
        ),
    )
    argument.positive("active: λ/τ > 1, where φ > 0", at_active(lam / (beta * s2) - 1))
    argument.zero("collapsed: nothing is lost", at_collapsed(curve.COLLAPSED_LOSS))


def _from_the_curve(argument: Argument) -> None:
    saved = (lam - modes.OPTIMAL_SQUARED_ERROR) / (2 * s2) - beta * modes.OPTIMAL_RATE
    for name, at in (("active", at_active), ("collapsed", at_collapsed)):
        argument.zero(
            f"{name}: (λ − ε)/2σ² − βℛ is the same loss",
            sp.expand_log(at(saved) - at(curve.COLLAPSED_LOSS), force=True),
        )
    argument.equal(
        "1/2σ² is the slope of the distortion in the squared error",
        sp.diff(curve.DISTORTION, curve.squared_error),
        1 / (2 * s2),
    )


def _shares(argument: Argument) -> None:
    positive = at_active(curve.COLLAPSED_LOSS)
    achieved = at_active(optimum.put_in(modes.OBJECTIVE))
    best = at_active(least())
    argument.zero(
        "normalised excess of the optimum: 0",
        sp.expand_log((achieved - best) / positive, force=True),
    )
    argument.zero(
        "normalised excess of a model that ignores the data: 1",
        sp.expand_log(at_active(ignored()) - best - positive, force=True) / positive,
    )
    t = sp.Symbol("t", positive=True)
    near = positive.subs(above, beta * s2 * t)
    argument.equal(
        "λ = τ(1 + t): the loss is βt²/4 to leading order",
        sp.series(sp.simplify(near), t, 0, 3).removeO(),
        beta * t**2 / 4,
    )


def prove() -> Proof:
    """Subtract the least objective from that of both models."""
    argument = Argument("gap", STATEMENT)
    show_logarithm(argument)
    _values(argument)
    _from_the_curve(argument)
    _shares(argument)
    return argument.done(
        functions=(
            "linvae.Frontier.gap",
            "linvae.Frontier.collapsed_loss",
            "linvae.Frontier.normalised_gap",
        ),
        properties=(
            "tests/linvae/test_frontier.py::test_gap_of_optimum_and_of_a_collapsed_model",
            "tests/linvae/test_symbolic_modes.py::test_the_collapsed_loss_is_the_symbolic_one",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_curve.py::test_descent_on_the_gap_ends_at_zero",
        ),
        uses=("optimum", "global_optimum"),
    )


if __name__ == "__main__":
    run(prove)
