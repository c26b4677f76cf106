r"""Escape: how fast a mode leaves collapse, how fast it settles, and why training stalls between.

Statement. Along the gradient flow of one mode's objective

    ℓ(e, c, d) = [λ(1 − de)² + d²c]/(2σ²) + (β/2)(c + λe² − 1 − log c),

in the coordinates (e, log c, d), the collapsed point e = d = 0, c = 1 is left at the rate

    γ = 2λ(λ − τ) / (σ² [1 + τλ + √((1 − τλ)² + 4λ²)]),      τ = βσ²,

which is positive iff λ > τ; for λ < τ the point attracts at rate −γ. At the optimum of an active
mode all rates are positive, and the slowest is 2γ to first order as β tends to the critical value,
where both vanish.

1. Saddle. With c = e^u, the gradient vanishes at (e, u, d) = 0 and the Hessian there is 1/σ² times

       [[τλ, 0, −λ], [0, τ/2, 0], [−λ, 0, 1]]

   in the order (e, u, d). Near a stationary point the flow θ' = −∇ℓ is linear, θ' ≈ −Hθ, so that
   rates are eigenvalues of H with the opposite sign.
2. Its block in (e, d) has trace 1 + τλ and determinant λ(τ − λ), in units of 1/σ² and 1/σ⁴. The
   smaller eigenvalue is ½(T − √(T² − 4Δ)), T² − 4Δ = (1 − τλ)² + 4λ²; multiplied and divided by
   T + √(T² − 4Δ) it is −γ as written above, a formula in which nothing cancels. Its sign is that
   of Δ, thus γ > 0 iff λ > τ. The eigenvector is (1 + σ²γ, λ), both entries positive when γ > 0.
3. For λ ≠ τ no eigenvalue is zero, the point is hyperbolic, and the linear flow is conjugate to the
   true one nearby (Hartman and Grobman): a start of size δ leaves a fixed neighbourhood after
   log(1/δ)/γ + O(1).
4. Optimum of an active mode: e = √s/λ, c = τ/λ, d = √s with s = λ − τ > 0. The Hessian's leading
   minors, in the order (u, d, e), are τ/2, τ(s² + τ²)/(2λ²) and τ²s in units of σ: all positive,
   so that it is positive definite by Sylvester's criterion. Its inverse is written without
   differences of large numbers. The determinant vanishes with s, so one rate does: critical
   slowing down.
5. At s = 0 one eigenvalue is 0, so the product of the other two is the sum of the principal 2 × 2
   minors. The smallest eigenvalue is the determinant over this product to first order in s. It is
   twice γ to that order: the two branches of a pitchfork.
6. Decoder alone. Put the best e = d/(d² + τ) and c = τ/(d² + τ) into ℓ. What is left,
   φ(d) = (β/2)[log(1 + d²/τ) + λ/(d² + τ)], has curvature −(λ − τ)/(σ²τ) at 0 and 2β(λ − τ)/λ² at
   √s. Its flow d' = −φ'(d) can be integrated: the squared gain S = d² obeys
   S' = 2βS(s − S)/(S + τ)², and partial fractions give the time from one gain to another. At the
   critical β, S' = −2βS²/(S + τ)²: the decay of the gain is algebraic, like 1/√t.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import dynamics as forms
from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, c, d, e, lam, s2, tau

from .argument import Argument, Proof, run, vanishes

__all__ = ["coordinates", "decoder_objective", "hessian", "objective", "prove"]

_u = sp.Symbol("u", real=True)  # log c
above = sp.Symbol("s", positive=True)  # λ − τ of an active mode
coordinates = (e, _u, d)


def objective() -> sp.Expr:
    """One mode's objective in (e, log c, d)."""
    return sp.expand_log(modes.OBJECTIVE.subs(c, sp.exp(_u)), force=True)


def hessian(point: dict[sp.Symbol, sp.Expr]) -> sp.Matrix:
    """Second derivatives in (e, log c, d) at a point."""
    return sp.hessian(objective(), coordinates).subs(point).applyfunc(sp.simplify)


def decoder_objective() -> sp.Expr:
    """The objective with encoder and posterior variance at their best response."""
    best = {e: modes.ENCODER_GIVEN_DECODER, c: modes.POSTERIOR_GIVEN_DECODER}
    return modes.OBJECTIVE.subs(best)


def _in_terms_of_level(expression: sp.Expr) -> sp.Expr:
    """σ²-scaled expression of an active mode by τ and s: λ = τ + s, β = τ/σ²."""
    return sp.simplify(sp.sympify(expression).subs({beta: tau / s2}).subs(lam, tau + above))


def _saddle(argument: Argument) -> None:
    origin = {e: 0, _u: 0, d: 0}
    slope = sp.Matrix([objective()]).jacobian(coordinates).subs(origin)
    argument.zero("the collapsed point is stationary", slope)
    at_saddle = hessian(origin)
    argument.zero("its Hessian is the one stated", at_saddle - forms.SADDLE_HESSIAN)
    block = s2 * at_saddle.extract([0, 2], [0, 2])
    root = sp.sqrt((1 - beta * s2 * lam) ** 2 + 4 * lam**2)
    argument.zero(
        "trace² − 4 determinant of its (e, d) block is (1 − τλ)² + 4λ² > 0",
        sp.expand(block.trace() ** 2 - 4 * block.det() - root**2),
    )
    smaller = (block.trace() - root) / (2 * s2)
    argument.zero(
        "−γ is the smaller eigenvalue of the block: ½(T − √(T² − 4Δ)) (T + √) = 2Δ",
        sp.expand(smaller * s2 * (block.trace() + root) - 2 * block.det())
        + sp.cancel(-forms.ESCAPE_RATE * s2 * (block.trace() + root) - 2 * block.det()),
    )
    top, bottom = sp.fraction(forms.ESCAPE_RATE)
    argument.positive("the denominator of γ is positive", bottom)
    share = sp.cancel(top / (lam - modes.WATER_LEVEL))
    argument.positive("and its numerator over λ − τ, so γ > 0 iff λ > τ", share)
    rate = sp.Symbol("gamma", real=True)
    vector = sp.Matrix([1 + s2 * rate, lam])
    residual = block * vector + s2 * rate * vector
    characteristic = (block + s2 * rate * sp.eye(2)).det()
    argument.zero(
        "(1 + σ²γ, λ) is its eigenvector: the first row is the characteristic equation, the second "
        "vanishes",
        sp.Matrix([sp.expand(residual[0] - characteristic), sp.expand(residual[1])]),
    )
    argument.cites(
        "Hartman–Grobman: near a hyperbolic stationary point (no eigenvalue 0, by the determinant "
        "λ(τ − λ) ≠ 0) the flow is conjugate to its linear part"
    )


def _optimum(argument: Argument) -> None:
    gain = sp.sqrt(lam - modes.WATER_LEVEL)
    point = {e: gain / lam, _u: sp.log(modes.WATER_LEVEL / lam), d: gain}
    slope = sp.Matrix([objective()]).jacobian(coordinates).subs(point)
    argument.zero("the optimum of an active mode is stationary", slope.applyfunc(sp.simplify))
    at_optimum = hessian(point)
    argument.zero("its Hessian is the one stated", at_optimum - forms.OPTIMUM_HESSIAN)
    unit = (at_optimum * forms.OPTIMUM_INVERSE - sp.eye(3)).applyfunc(_in_terms_of_level)
    argument.zero("and its inverse", unit)
    order = (s2 * at_optimum).extract([1, 2, 0], [1, 2, 0]).applyfunc(_in_terms_of_level)
    minors = [sp.factor(order[:size, :size].det()) for size in (1, 2, 3)]
    for size, minor in enumerate(minors, 1):
        argument.positive(f"leading minor {size} in the order (u, d, e) is positive", minor)
    argument.cites("Sylvester: positive leading minors make a symmetric matrix positive definite")
    argument.equal("the determinant is τ²(λ − τ)/σ⁶", minors[2], tau**2 * above)
    pairs = sum(order.extract(p, p).det() for p in ([0, 1], [0, 2], [1, 2]))
    slowest = (minors[2] / above).subs(above, 0) / pairs.subs(above, 0)
    top, bottom = sp.fraction(forms.ESCAPE_RATE)
    growth = s2 * sp.cancel(top / (lam - modes.WATER_LEVEL)) / bottom
    growth = growth.subs(beta, tau / s2).subs(lam, tau)
    # √((1 − τ²)² + 4τ²) is 1 + τ², which SymPy sees once it has factored the radicand.
    growth = growth.replace(
        lambda x: x.is_Pow and x.exp == sp.S.Half, lambda x: sp.sqrt(sp.factor(x.base))
    )
    argument.equal("near the critical β the slowest rate is 2γ", slowest, 2 * growth)


def _decoder(argument: Argument) -> None:
    left = decoder_objective()
    plain = beta / 2 * (sp.log(1 + d**2 / modes.WATER_LEVEL) + lam / (d**2 + modes.WATER_LEVEL))
    argument.zero(
        "with e and c at their best response ℓ is (β/2)[log(1 + d²/τ) + λ/(d² + τ)]",
        sp.diff(left - plain, d),
    )
    argument.zero("the constant agrees at d = 0", sp.simplify((left - plain).subs(d, 0)))
    slope = sp.factor(sp.diff(plain, d))
    bend = sp.diff(slope, d)
    argument.equal(
        "curvature at collapse", sp.simplify(-bend.subs(d, 0)), forms.DECODER_ESCAPE_RATE
    )
    gain = sp.sqrt(lam - modes.WATER_LEVEL)
    argument.equal(
        "curvature at the optimum", sp.simplify(bend.subs(d, gain)), forms.DECODER_CONVERGENCE_RATE
    )
    speed = (-2 * d * slope).subs(d, sp.sqrt(forms.stop))  # of d²
    argument.zero(
        "the time's derivative by its end is 1/(d²)'",
        sp.diff(forms.DECODER_TIME, forms.stop) * speed - 1,
    )
    argument.zero(
        "and the time is 0 at the start", forms.DECODER_TIME.subs(forms.stop, forms.start)
    )
    critical = speed.subs(lam, modes.WATER_LEVEL)
    wanted = -2 * beta * forms.stop**2 / (forms.stop + modes.WATER_LEVEL) ** 2
    argument.true("at the critical β: (d²)' = −2βd⁴/(d² + τ)²", vanishes(critical - wanted))


def prove() -> Proof:
    """Derive the rates at collapse and at the optimum."""
    argument = Argument(
        "escape",
        "A mode leaves collapse at the rate γ, positive iff λ > βσ², and near its critical β "
        "settles at 2γ.",
    )
    _saddle(argument)
    _optimum(argument)
    _decoder(argument)
    return argument.done(
        functions=(
            "linvae.dynamics.escape_rate",
            "linvae.dynamics.escape_direction",
            "linvae.dynamics.escape_time",
            "linvae.dynamics.convergence_rate",
        ),
        properties=(
            "tests/linvae/test_dynamics.py::test_rates_of_one_mode_are_those_of_a_numerical_hessian",
            "tests/linvae/test_dynamics_flow.py::test_decoder_flow_takes_the_predicted_time",
            "tests/linvae/test_symbolic_dynamics.py::test_rates_of_one_mode",
        ),
        optimisations=(
            "tests/linvae/test_dynamics.py::test_nothing_leaves_collapse_faster",
            "tests/linvae/test_dynamics_flow.py::test_escape_is_delayed_by_the_predicted_time",
        ),
        uses=("best_responses", "global_optimum"),
    )


if __name__ == "__main__":
    run(prove)
