r"""All stationary points of one mode, found by solving the three equations.

Let 2σ²ℓ(e, c, d) = λ(1 − de)² + d²c + τ(c + λe² − 1 − log c), with c > 0, τ = βσ² > 0, λ > 0.

1. The derivative in e is 2λ[(d² + τ)e − d], affine in e with a positive factor: whatever d is,
   its one zero is e = d/(d² + τ).
2. The derivative in c is (d² + τ) − τ/c; its one zero is c = τ/(d² + τ), which is positive.
3. Put both into the derivative in d. With w = d² + τ > 0 it becomes

       2τ d (d² + τ − λ) / w²,

   a positive multiple of d(d² + τ − λ).
4. If λ > τ its real zeros are d = 0 and d = ±√(λ − τ): a collapsed point (e = 0, c = 1) and two
   active ones that differ by the sign of the latent, with e = d/λ and c = τ/λ. If λ <= τ the
   second factor is d² + (τ − λ) >= 0, which vanishes at most where d does: only the collapsed
   point is left. There is no other stationary point.
5. λ = 0: the first equation is 0 = 0 and e does not enter the objective. The others become
   (d² + τ) = τ/c and dc = 0: d = 0 and c = 1. The only class is the collapsed one.

Which of them is the minimum is the claim ``global``.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, c, d, e, lam, s2, tau
from proofs._branches import above, at_active, at_collapsed, below, scaled
from proofs.argument import Argument, Proof, run

__all__ = ["best_encoder", "best_posterior", "gradient", "prove", "remaining_slope"]

STATEMENT = (
    "One mode has a collapsed stationary point and, for λ > τ only, an active one that is unique "
    "up to sign; there is no other."
)


def gradient() -> dict[sp.Symbol, sp.Expr]:
    """Derivatives of 2σ² times the objective of one mode."""
    objective = scaled(modes.OBJECTIVE)
    return {symbol: sp.diff(objective, symbol) for symbol in (e, c, d)}


def best_encoder() -> sp.Expr:
    """Zero of the derivative in e."""
    (zero,) = sp.solve(gradient()[e], e)
    return zero


def best_posterior() -> sp.Expr:
    """Zero of the derivative in c."""
    (zero,) = sp.solve(gradient()[c], c)
    return zero


def remaining_slope() -> sp.Expr:
    """Derivative in d at the best e and c."""
    return sp.factor(gradient()[d].subs({e: best_encoder(), c: best_posterior()}))


def _solve_for_encoder(argument: Argument) -> None:
    slopes = gradient()
    in_e = sp.Poly(slopes[e], e)
    argument.true("the derivative in e is affine in e", in_e.degree() == 1)
    argument.positive("its factor of e is positive for every d: one zero", in_e.coeff_monomial(e))
    in_c = sp.Poly(sp.expand(slopes[c] * c), c)
    argument.true("c times the derivative in c is affine in c", in_c.degree() == 1)
    argument.positive("its factor of c is positive for every d: one zero", in_c.coeff_monomial(c))
    argument.positive("that zero is a variance: c > 0", best_posterior())


def _solve_for_decoder(argument: Argument) -> None:
    # The numerator as a polynomial in d: its factors are all there is.
    slope = remaining_slope()
    argument.positive(
        "the derivative in d is then 2τ/(d² + τ)² times d(d² + τ − λ)",
        sp.cancel(slope / (d * (d**2 + tau - lam))),
    )
    roots = sp.roots(sp.Poly(d * (d**2 + tau - lam), d).subs(lam, tau + above), d)
    argument.true(
        "λ = τ + g, g > 0: its zeros are 0 and ±√(λ − τ), all simple",
        roots == {sp.S.Zero: 1, sp.sqrt(above): 1, -sp.sqrt(above): 1},
    )
    remainder = sp.expand((d**2 + tau - lam).subs(tau, lam + below))
    argument.zero("τ = λ + h, h >= 0: the second factor is d² + h", remainder - d**2 - below)
    argument.positive(
        "d² + h > 0 unless d = 0",
        remainder.subs(d, sp.Symbol("d1", real=True, nonzero=True)),
    )


def _named(argument: Argument) -> None:
    level = {tau: beta * s2}
    for sign, name in ((1, "active point"), (-1, "its mirror image")):
        gain = sign * at_active(modes.DECODER_GAIN)
        point = {lam: beta * s2 + above, **level}
        read = best_encoder().subs(point).subs(d, gain)
        kept = best_posterior().subs(point).subs(d, gain)
        argument.equal(f"{name}: d = ±√g", gain, sign * sp.sqrt(above))
        argument.equal(
            f"{name}: e is that of the library", read, sign * at_active(modes.ENCODER_GAIN)
        )
        argument.equal(
            f"{name}: c is that of the library", kept, at_active(modes.POSTERIOR_VARIANCE)
        )
    argument.zero("collapsed point, λ <= τ: d = 0", at_collapsed(modes.DECODER_GAIN))
    argument.zero("collapsed point: e = 0", at_collapsed(modes.ENCODER_GAIN))
    argument.zero("collapsed point: c = 1", at_collapsed(modes.POSTERIOR_VARIANCE) - 1)
    argument.zero(
        "d = 0 makes e = 0 and c = 1 the best ones",
        sp.Matrix([best_encoder(), best_posterior() - 1]).subs(d, 0),
    )


def _no_variance(argument: Argument) -> None:
    slopes = {symbol: slope.subs(lam, 0) for symbol, slope in gradient().items()}
    argument.zero("λ = 0: the derivative in e is identically zero", slopes[e])
    solutions = sp.solve([slopes[c], slopes[d]], [c, d], dict=True)
    argument.true("λ = 0: d = 0 and c = 1 solve the rest alone", solutions == [{c: 1, d: 0}])
    argument.zero(
        "λ = 0: e does not enter the objective at all",
        sp.diff(scaled(modes.OBJECTIVE).subs(lam, 0), e),
    )


def prove() -> Proof:
    """Solve the stationarity conditions of one mode."""
    argument = Argument("stationarity", STATEMENT)
    _solve_for_encoder(argument)
    _solve_for_decoder(argument)
    _named(argument)
    _no_variance(argument)
    return argument.done(
        functions=("linvae.response", "linvae.response.response"),
        properties=(
            "tests/linvae/test_optimality.py::test_gradient_vanishes_at_the_joint_optimum",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_modes.py::test_root_finding_meets_no_other_point",
        ),
    )


if __name__ == "__main__":
    run(prove)
