"""The calibrated noise variance is optimal at its β.

Symbols. Eigenvalues λ₁ >= λ₂ >= … of S in n dimensions, k latents, r = rank S. For fixed v = σ² the
least objective over encoder, decoder and posterior is (proofs/global_optimum.py), with τ = βv,
    F(v) = (n/2) log 2πv + ε(τ)/(2v) + β ℛ(τ),      and with m = #{i <= k : λᵢ > τ} active modes
    ε(τ) = mτ + T_m,   ℛ(τ) = ½ Σ_{i<=m} log(λᵢ/τ),   T_m = Σ_{i>m} λᵢ.
Minimising F over v minimises the objective over everything.

1. On the v with m active modes F′(v) = [(n − mβ)v − T_m]/(2v²) = [nv − ε(βv)]/(2v²).
2. Where a mode dies, ε and ℛ agree from both sides, so F is C¹ for v > 0.
3. With b(τ) = nτ/ε(τ), F′(v) = ε (b(βv)/β − 1)/(2v²): F falls where b < β and rises where b > β.
4. b is continuous, b′ = nT_m/(mτ + T_m)² >= 0, and b′ > 0 wherever T_m > 0. As τ → ∞, m = 0 and
   b = nτ/tr S → ∞. As τ → 0, m is the number of positive λᵢ with i <= k.
   (i) T_k > 0 (some variance outside the k latents): b → 0. b takes every β > 0 exactly once, so F
       falls, then rises: one minimum, for every β.
   (ii) T_k = 0, that is r <= k: b = n/r on (0, λ_r], and beyond it b rises strictly to infinity (if
       r > 0), because T_m > 0 for m < r.
       β > n/r: one minimum, at a τ > λ_r.   β = n/r: F is constant on (0, λ_r/β] and rises beyond.
       β < n/r: F rises everywhere; F − ((n − rβ)/2) log v is constant on (0, λ_r/β], so F → −∞ as
       v → 0: there is no minimum.
5. The root. b(τ) = β means nv = ε: v = T_m/(n − mβ), with n − mβ = nT_m/ε > 0, and m is the count
   for which λ_m > βv >= λ_{m+1}. As b is increasing that is b(λ_{m+1}) <= β < b(λ_m), where b(λ_m)
   = nλ_m/(mλ_m + T_m); the two ways of counting mode m itself agree. For m = k there is no further
   mode to join, and the lower limit is absent.
6. m = 0 iff β >= b(λ₁) = nλ₁/tr S.
7. β = 1 and T_k > 0, so that k < n: v = T_m/(n − m) is the maximum likelihood of probabilistic
   PCA. All k modes are active, as T_k <= (n − k)λ_k; in case of equality the modes from there on
   have λ = v and their gain is 0 by either count. The bound is tight at β = 1
   (proofs/evidence.py), and for any decoder a rotation of the latents that leaves the likelihood
   alone makes the exact posterior's covariance diagonal, so the largest ELBO is the largest
   likelihood, −½ [n log 2π + Σ_{i<=k} log λᵢ + (n − k) log v + n].
8. At the minimum ε = nv and 𝒟 = (n/2) log(2πe ε/n).
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import calibrated as forms
from linvae.symbolic import information
from linvae.symbolic.symbols import beta, lam, m, n, s2, tau

from .argument import Argument, Proof, run

__all__ = ["prove", "reduced_objective"]

STATEMENT = "The calibrated noise variance is optimal at its β."

_OUTSIDE = sp.Symbol("T", positive=True)  # T_m where some variance lies outside


def reduced_objective() -> sp.Expr:
    """F(v) with m active modes, v = σ²: the objective minimised over all other parameters."""
    at = {tau: beta * s2}
    error, rate = forms.SQUARED_ERROR.subs(at), forms.RATE.subs(at)
    return information.DISTORTION.subs(information.squared_error, error) + beta * rate


def prove() -> Proof:
    """Derive the root of F′, its sign on either side, and what happens without a root."""
    argument = Argument("calibrated", STATEMENT)
    _show_slope(argument)
    _show_joints(argument)
    _show_monotone(argument)
    _show_limits(argument)
    _show_root(argument)
    _show_likelihood(argument)
    return argument.done(
        functions=(
            "linvae.calibrated.calibrated_noise_variance",
            "linvae.calibrated.CalibratedFrontier",
        ),
        properties=(
            "tests/linvae/test_calibrated.py::test_conditions_of_the_formula",
            "tests/linvae/test_symbolic_calibrated.py::test_variance_at_its_beta",
            "tests/linvae/test_symbolic_calibrated.py::test_thresholds",
        ),
        optimisations=(
            "tests/linvae/test_calibrated.py::test_no_other_noise_variance_is_better",
            "tests/proofs/test_calibrated.py::test_descent_with_a_free_variance_finds_the_formula",
            "tests/proofs/test_calibrated.py::test_descent_has_no_end_below_the_threshold",
        ),
        uses=("global_optimum", "evidence"),
    )


def _show_slope(argument: Argument) -> None:
    slope = reduced_objective().diff(s2)
    argument.equal(
        "with m active modes F′(v) = [(n − mβ)v − T_m]/(2v²)",
        slope,
        ((n - m * beta) * s2 - forms.tail) / (2 * s2**2),
    )
    error = forms.SQUARED_ERROR.subs(tau, beta * s2)
    argument.equal("which is [nv − ε(βv)]/(2v²)", slope, (n * s2 - error) / (2 * s2**2))
    weight = forms.BETA_AT_LEVEL.subs(tau, beta * s2)
    argument.equal(
        "and ε (b/β − 1)/(2v²) with b = nτ/ε: the sign of b − β",
        slope,
        error * (weight / beta - 1) / (2 * s2**2),
    )
    solved = sp.solve(slope, s2)
    argument.true("it has one zero", len(solved) == 1)
    argument.equal("v = T_m/(n − mβ)", solved[0], forms.CALIBRATED_VARIANCE)


def _joined(expression: sp.Expr) -> sp.Expr:
    """The expression with one mode of eigenvalue λ fewer: T gains λ, Σ log loses log λ."""
    fewer = {m: m - 1, forms.tail: forms.tail + lam, forms.log_sum: forms.log_sum - sp.log(lam)}
    return expression.subs(fewer, simultaneous=True)


def _show_joints(argument: Argument) -> None:
    for name, expression in (
        ("ε", forms.SQUARED_ERROR), ("ℛ", forms.RATE), ("b", forms.BETA_AT_LEVEL),
    ):  # fmt: skip
        difference = (expression - _joined(expression)).subs(tau, lam)
        argument.zero(
            f"at τ = λ_m the mode may be counted or not: {name} is continuous", difference
        )
    slope = reduced_objective().diff(s2)
    argument.zero("and so is F′", (slope - _joined(slope)).subs(s2, lam / beta))
    argument.equal(
        "the β at which mode m dies is b(λ_m)",
        forms.BETA_AT_LEVEL.subs(tau, lam),
        forms.JOIN_BETA,
    )


def _show_monotone(argument: Argument) -> None:
    rise = forms.BETA_AT_LEVEL.diff(tau)
    argument.equal("b′ = nT_m/(mτ + T_m)²", rise, n * forms.tail / forms.SQUARED_ERROR**2)
    some = sp.Symbol("m", integer=True, positive=True)
    argument.nonnegative("b never falls while m >= 1", sp.factor(rise.subs(m, some)))
    argument.positive(
        "and rises strictly where T_m > 0, m = 0 included",
        sp.factor(rise.subs(forms.tail, _OUTSIDE)),
    )


def _show_limits(argument: Argument) -> None:
    without = forms.BETA_AT_LEVEL.subs({m: 0, forms.tail: forms.total})
    argument.true("no mode active: b → ∞ as τ → ∞", sp.limit(without, tau, sp.oo) is sp.oo)
    outside = forms.BETA_AT_LEVEL.subs(forms.tail, _OUTSIDE)
    argument.zero("T_k > 0: b → 0 as τ → 0", sp.limit(outside, tau, 0, "+"))
    argument.cites(
        "Intermediate value theorem: b is continuous and strictly increasing from 0 to ∞, so "
        "b(τ) = β has exactly one solution; F falls before it and rises after it"
    )
    full = {m: forms.rank, forms.tail: 0}
    argument.equal(
        "T_k = 0: b is n/r on (0, λ_r]", forms.BETA_AT_LEVEL.subs(full), forms.BOUNDED_BETA
    )
    objective = reduced_objective().subs(full)
    drift = (n - forms.rank * beta) / 2
    argument.zero(
        "there F − ((n − rβ)/2) log v is constant in v", (objective - drift * sp.log(s2)).diff(s2)
    )
    argument.zero("so at β = n/r F is constant", objective.diff(s2).subs(beta, forms.BOUNDED_BETA))
    share = sp.Symbol("share", positive=True)
    below = forms.BOUNDED_BETA / (1 + share)
    coefficient = sp.factor(drift.subs(beta, below))
    argument.positive("for β < n/r the coefficient of log v is positive", coefficient)
    argument.true(
        "and F → −∞ as v → 0",
        sp.limit(coefficient * sp.log(s2), s2, 0, "+") is sp.S.NegativeInfinity,
    )
    argument.positive(
        "for β > n/r it is negative: F falls on (0, λ_r/β], and its minimum lies beyond",
        -sp.factor(drift.subs(beta, forms.BOUNDED_BETA * (1 + share))),
    )


def _show_root(argument: Argument) -> None:
    root = {beta: forms.BETA_AT_LEVEL.subs(forms.tail, _OUTSIDE)}
    argument.positive(
        "at the root n − mβ = nT_m/(mτ + T_m) > 0", sp.factor((n - m * beta).subs(root))
    )
    outside = {forms.tail: _OUTSIDE}
    argument.equal(
        "and β · T_m/(n − mβ) is the water level τ it came from",
        sp.cancel((beta * forms.CALIBRATED_VARIANCE.subs(outside)).subs(root)),
        tau,
    )
    first = forms.JOIN_BETA.subs({m: 1, forms.tail: forms.total - lam})
    argument.equal("no mode is active from β = nλ₁/tr S on", first, forms.COLLAPSE_BETA)
    value = sp.Symbol("v", positive=True)  # σ² at the root; T_m = (n − mβ) v
    at = reduced_objective().subs(forms.tail, (n - m * beta) * s2).subs(s2, value)
    rate = forms.RATE.subs(tau, beta * value)
    distortion = forms.CALIBRATED_DISTORTION.subs(forms.squared_error, n * value)
    argument.zero(
        "at the minimum ε = nσ² and 𝒟 = (n/2) log(2πe ε/n)",
        sp.expand(sp.expand_log(at - beta * rate - distortion)),
    )


def _show_likelihood(argument: Argument) -> None:
    argument.equal(
        "β = 1: v = T_m/(n − m)", forms.CALIBRATED_VARIANCE.subs(beta, 1), forms.LIKELIHOOD_VARIANCE
    )
    slack = sp.Symbol("slack", nonnegative=True)  # (n − k)λ_k − T_k, as λᵢ <= λ_k for i > k
    outside = sp.Symbol("outside", integer=True, positive=True)  # n − k
    active = sp.Symbol("active", integer=True, positive=True)  # k
    tail = sp.Symbol("T", nonnegative=True)
    join = (forms.JOIN_BETA - 1).subs({n: active + outside, m: active, forms.tail: tail})
    numerator, denominator = sp.fraction(sp.together(join))
    argument.equal(
        "b(λ_k) − 1 = [(n − k)λ_k − T_k]/(kλ_k + T_k)",
        join,
        (outside * lam - tail) / (active * lam + tail),
    )
    argument.nonnegative(
        "which is >= 0 because T_k = (n − k)λ_k − slack: all k modes are active at β = 1",
        sp.expand(numerator.subs(tail, outside * lam - slack)),
    )
    argument.positive("over a positive denominator", denominator)
    likelihood = information.LOG_LIKELIHOOD.subs(
        {
            information.logdet_model: forms.log_sum + (n - m) * sp.log(s2),
            information.quadratic_model: m + forms.tail / s2,
        }
    )
    argument.equal(
        "−F at β = 1 is the log-likelihood of the model whose covariance has the eigenvalues "
        "λ₁ … λ_m, v … v",
        sp.expand(sp.expand_log(-reduced_objective().subs(beta, 1))),
        sp.expand(sp.expand_log(likelihood)),
    )
    argument.equal(
        "and its maximum in v is the same v",
        sp.solve(likelihood.diff(s2), s2)[0],
        forms.LIKELIHOOD_VARIANCE,
    )


if __name__ == "__main__":
    run(prove)
