r"""Annealing: where the flow of a mode ends depends on the last β only; what is lost is time.

Statement. Let β(t) > 0 be piecewise smooth and equal to β₁ from some time on. From every start with
e, d > 0 and c > 0 the gradient flow of one mode's objective ℓ converges to the optimum at β₁, the
one with e, d >= 0, whatever β was before. While β stands still the objective falls. While it moves
slowly the decoder gain differs from the optimal one by β'σ⁴[λ² + (τ − s)/λ + 4λs/τ]/(4τ s^{3/2}) to
first order, s = λ − τ: without bound near the critical β.

1. At constant β, dℓ/dt = ∇ℓ·θ' = −|∇ℓ|².
2. No blow-up. ℓ = ε/(2σ²) + βℛ >= βℛ, both terms being >= 0, so that while β moves
   dℓ/dt <= |β'| ℛ <= (|β'|/β) ℓ: ℓ stays bounded on bounded times, by Gronwall's lemma, and a jump
   of β multiplies it by a finite factor at most. Sublevel sets of ℓ are compact: ℓ is at least
   βλe²/2, at least (β/2)(c − 1 − log c), and at least its minimum over e and c given d,
   φ(d) = (β/2)[log(1 + d²/τ) + λ/(d² + τ)] + const; these tend to infinity with |e|, |log c|, |d|.
3. Sign. On the face e = 0 of the quadrant e, d > 0 the flow has e' = λd/σ² > 0, on d = 0 it has
   d' = λe/σ² > 0, for every β: the quadrant is never left, whatever the schedule.
4. From the last change of β on, ℓ is a Lyapunov function with compact sublevel sets. By LaSalle's
   principle the flow approaches the stationary points. There e and c are at their best response, so
   that φ'(d) = βd(d² + τ − λ)/(d² + τ)² = 0: only d = 0 and, if λ > τ, d = ±√(λ − τ). They are
   isolated, so that the flow converges to one of them; those in the closed quadrant are collapse
   and the optimum with d > 0.
5. For λ <= τ collapse is the optimum. For λ > τ it is not reached from the quadrant: with the
   growing direction v = (v_e, v_d), both entries positive, and h = v_e e + v_d d,

       h' = γh − v_e e · λd²/σ² − v_d d · (λe² + c − 1)/σ².

   As v_e e and v_d d are at most h, h' >= (γ − [λd² + λe² + |c − 1|]/σ²) h, which is positive near
   collapse. There h grows, and so cannot tend to 0.
6. Lag. At θ = θ*(β) + η the flow is η' ≈ −Hη − β' ∂θ*/∂β; once η has settled, η = −H⁻¹ ∂θ*/∂β β'.
   Its component along d is the formula above. In the flow of the decoder alone H is φ''.
7. The flow of the decoder alone shows it without any theorem: d' = βd(s − d²)/(d² + τ)² has the
   sign of s − d² for d > 0 at each time, and d cannot change sign.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import dynamics as forms
from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, c, d, e, lam, s2, x

from .argument import Argument, Proof, run
from .saddle_escape import coordinates, decoder_objective, objective

__all__ = ["prove", "velocity"]


def velocity() -> sp.Matrix:
    """Gradient flow (e, log c, d)' of one mode, written with c."""
    slope = sp.Matrix([sp.diff(objective(), v) for v in coordinates])
    return -slope.subs(coordinates[1], sp.log(c)).applyfunc(sp.expand)


def _lyapunov(argument: Argument) -> None:
    time = sp.Symbol("t", real=True)
    path = [sp.Function(name)(time) for name in ("e", "u", "d")]
    along = objective().subs(dict(zip(coordinates, path, strict=True)))
    slope = [sp.diff(objective(), v) for v in coordinates]
    moves = {
        sp.diff(p, time): -g.subs(dict(zip(coordinates, path, strict=True)))
        for p, g in zip(path, slope, strict=True)
    }
    fall = sp.diff(along, time).subs(moves)
    square = sum(g.subs(dict(zip(coordinates, path, strict=True))) ** 2 for g in slope)
    argument.zero("at constant β the objective falls at the rate |∇ℓ|²", sp.expand(fall + square))


def _compact(argument: Argument) -> None:
    argument.zero(
        "ℓ = ε/(2σ²) + βℛ",
        modes.OBJECTIVE - modes.SQUARED_ERROR / (2 * s2) - beta * modes.RATE,
    )
    argument.nonnegative("the squared error is >= 0", modes.SQUARED_ERROR)
    penalty = c - 1 - sp.log(c)
    argument.zero("ℛ = λe²/2 + (c − 1 − log c)/2", modes.RATE - lam * e**2 / 2 - penalty / 2)
    argument.true(
        "c − 1 − log c is convex with its minimum 0 at c = 1, and unbounded at both ends",
        penalty.subs(c, 1) == 0
        and sp.diff(penalty, c).subs(c, 1) == 0
        and bool(sp.diff(penalty, c, 2).is_positive)
        and all(sp.limit(penalty, c, end, "+") == sp.oo for end in (0,))
        and sp.limit(penalty, c, sp.oo) == sp.oo,
    )
    reached = decoder_objective()
    argument.true(
        "the best over e and c given d is unbounded in d", sp.limit(reached, d, sp.oo) == sp.oo
    )
    argument.cites("Gronwall's lemma, for ℓ' <= (|β'|/β) ℓ: the flow exists for all times")


def _quadrant(argument: Argument) -> None:
    speed = velocity()
    inside = {d: sp.Symbol("d", positive=True), e: sp.Symbol("e", positive=True)}
    argument.positive("on the face e = 0, e' > 0", speed[0].subs(e, 0).subs(inside))
    argument.positive("on the face d = 0, d' > 0", speed[2].subs(d, 0).subs(inside))


def _limit(argument: Argument) -> None:
    slope = sp.factor(sp.diff(decoder_objective(), d))
    excess = lam - modes.WATER_LEVEL
    argument.zero(
        "φ' = βd(d² + τ − λ)/(d² + τ)²",
        slope - beta * d * (d**2 - excess) / (d**2 + modes.WATER_LEVEL) ** 2,
    )
    by_e = sp.solve(sp.diff(modes.OBJECTIVE, e), e)
    by_c = sp.solve(sp.diff(modes.OBJECTIVE, c), c)
    argument.true(
        "e and c of a stationary point are the best response, and unique",
        len(by_e) == len(by_c) == 1
        and sp.cancel(by_e[0] - modes.ENCODER_GIVEN_DECODER) == 0
        and sp.cancel(by_c[0] - modes.POSTERIOR_GIVEN_DECODER) == 0,
    )
    argument.cites("LaSalle's invariance principle; the stationary points are isolated")
    rate = sp.Symbol("gamma", real=True)
    vector = (1 + s2 * rate, lam)
    speed = velocity()
    measure = vector[0] * speed[0] + vector[1] * speed[2]
    stated = rate * (vector[0] * e + vector[1] * d)
    stated -= vector[0] * e * lam * d**2 / s2 + vector[1] * d * (lam * e**2 + c - 1) / s2
    # The difference must be a multiple of the characteristic equation of γ.
    characteristic = (s2 * rate + beta * s2 * lam) * (s2 * rate + 1) - lam**2
    rest = sp.expand(measure - stated)
    argument.zero(
        "h' = γh − v_e e λd²/σ² − v_d d(λe² + c − 1)/σ²",
        sp.expand(rest + sp.cancel(characteristic / s2) * e),
    )


def _lag(argument: Argument) -> None:
    gain = sp.sqrt(lam - modes.WATER_LEVEL)
    best = sp.Matrix([gain / lam, sp.log(modes.WATER_LEVEL / lam), gain])
    settled = -forms.speed * (forms.OPTIMUM_INVERSE * sp.diff(best, beta))[2]
    inside = {lam: modes.WATER_LEVEL + forms.stop}  # λ = τ + s
    argument.zero(
        "joint flow: the lag is that of −H⁻¹ ∂θ*/∂β β'",
        sp.simplify((settled - forms.LAG).subs(inside)),
    )
    bend = sp.diff(decoder_objective(), d, 2).subs(d, gain)
    alone = -forms.speed * sp.diff(gain, beta) / bend
    argument.zero(
        "decoder flow: the same with φ''", sp.simplify((alone - forms.DECODER_LAG).subs(inside))
    )
    argument.true(
        "and grows without bound towards the critical β",
        sp.limit((forms.LAG / forms.speed).subs({s2: 1, lam: 1, beta: 1 - x}), x, 0, "+") == sp.oo,
    )


def prove() -> Proof:
    """Show that the end of the flow depends on the last β only, and derive the lag."""
    argument = Argument(
        "annealing",
        "Where the flow of a mode ends depends on the last β only; on the way it lags behind.",
    )
    _lyapunov(argument)
    _compact(argument)
    _quadrant(argument)
    _limit(argument)
    _lag(argument)
    return argument.done(
        functions=(
            "linvae.dynamics.mode_flow",
            "linvae.dynamics.tracking_lag",
            "linvae.dynamics.linear_warmup",
            "linvae.dynamics.cyclical",
        ),
        properties=(
            "tests/linvae/test_dynamics_flow.py::test_the_objective_falls_while_beta_stands_still",
            "tests/linvae/test_dynamics_flow.py::test_every_schedule_ends_at_the_optimum_of_its_last_beta",
            "tests/linvae/test_symbolic_dynamics.py::test_lags",
        ),
        optimisations=(
            "tests/linvae/test_dynamics_flow.py::test_no_schedule_found_ends_elsewhere",
            "tests/linvae/test_dynamics_flow.py::test_a_moving_beta_is_followed_at_the_predicted_lag",
        ),
        uses=("best_responses", "global_optimum", "saddle_escape"),
    )


if __name__ == "__main__":
    run(prove)
