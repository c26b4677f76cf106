"""The calibrated noise variance in NumPy equals the symbolic expressions at 50 digits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import linvae as lv
from linvae.calibrated import CalibratedFrontier, calibrated_noise_variance
from linvae.symbolic import calibrated as forms
from linvae.symbolic import evaluate
from linvae.testing.strategies import Problem, problems
from tests.tolerances import assert_close

FULL = ("random", "geometric", "clustered", "flat", "tied", "near")


def tail(values: np.ndarray, active: int) -> Fraction:
    """T_m of the binary numbers that the eigenvalues are, without rounding."""
    return sum((Fraction(float(v)) for v in values[active:]), Fraction(0))


def number(value: Fraction) -> str:
    """A fraction as text that keeps 60 digits, for mpmath."""
    scale = 10**400
    return f"{value.numerator * scale // value.denominator}e-400"


def curve_of(problem: Problem) -> CalibratedFrontier:
    return CalibratedFrontier(problem.spectrum, latent_dim=problem.k)


def active_at(problem: Problem, beta: float) -> int:
    """Number of modes with β < b(λ), decided in rational arithmetic."""
    values = problem.spectrum.eigenvalues
    n, weight = values.size, Fraction(beta)
    count = 0
    for m in range(1, problem.k + 1):
        value = Fraction(float(values[m - 1]))
        # β < nλ/(mλ + T_m), tied modes joining together.
        if weight * (m * value + tail(values, m)) < n * value:
            count = m
    return count


@given(problems(kinds=FULL), st.data())
def test_variance_at_its_beta(problem: Problem, data: st.DataObject) -> None:
    """At drawn β, at every β where a mode dies, and one ulp beside it."""
    assume(problem.k < problem.population.n)
    n, values = problem.population.n, problem.spectrum.eigenvalues
    joins = curve_of(problem).critical_betas
    join = float(joins[data.draw(st.integers(0, joins.size - 1))])
    beta = data.draw(
        st.floats(-2, 2).map(lambda e: float(10.0**e))
        | st.sampled_from([join, float(np.nextafter(join, 0)), float(np.nextafter(join, 9e9))])
    )
    got = calibrated_noise_variance(problem.spectrum, beta, latent_dim=problem.k)
    m = active_at(problem, beta)
    want = float(
        evaluate(forms.CALIBRATED_VARIANCE, 80, tail=number(tail(values, m)), n=n, m=m, beta=beta)
    )
    # n − mβ is formed from a rounded mβ; beside a threshold both counts give the same value.
    condition = n / abs(n - m * beta)
    assert_close(got, want, "rounding", condition=condition)


@given(problems(kinds=FULL))
def test_thresholds(problem: Problem) -> None:
    values, n = problem.spectrum.eigenvalues, problem.population.n
    joins = curve_of(problem).critical_betas
    for m, got in enumerate(joins, start=1):
        at = {"n": n, "m": m, "lambda_": float(values[m - 1])}
        want = evaluate(forms.JOIN_BETA, 80, tail=number(tail(values, m)), **at)
        assert_close(got, float(want), "rounding")
    collapse = evaluate(
        forms.COLLAPSE_BETA, 80, n=n, lambda_=float(values[0]), total=number(tail(values, 0))
    )
    assert_close(joins[0], float(collapse), "rounding")
    above = float(joins[0]) * (1 + 1e-12)
    assert int(curve_of(problem).at_beta(above).active) == 0


@given(problems(kinds=FULL), st.floats(-6, 0.3))
def test_curve_at_a_water_level(problem: Problem, power: float) -> None:
    values, n = problem.spectrum.eigenvalues, problem.population.n
    level = float(values[0] * 10.0**power)
    point = curve_of(problem).at_water_level(level)
    m = int(np.count_nonzero(values[: problem.k] > level))
    assert int(point.active) == m
    logs = sum(np.log(values[:m]))
    at = {"m": m, "tau": level, "tail": number(tail(values, m))}
    error = evaluate(forms.SQUARED_ERROR, 80, **at)
    assert_close(point.squared_error, float(error), "rounding")
    weight = evaluate(forms.BETA_AT_LEVEL, 80, n=n, **at)
    assert_close(point.beta, float(weight), "rounding")
    rate = float(evaluate(forms.RATE, m=m, tau=level, log_sum=float(logs))) if m else 0.0
    size = m + np.abs(np.log(values[:m])).sum() + m * abs(np.log(level))
    assert_close(point.rate, rate, "rounding", scale=size)
    distortion = evaluate(forms.CALIBRATED_DISTORTION, n=n, squared_error=error)
    assert_close(
        point.distortion, float(distortion), "rounding", scale=n * (3 + abs(np.log(float(error))))
    )
    if m:
        short = float(evaluate(forms.SHORTFALL, 80, **at))
        straight = float(evaluate(forms.STRAIGHT_BETA, n=n, m=m))
        assert_close(float(point.beta) / straight, 1 - short, "rounding", scale=1.0)


@given(problems(kinds=FULL))
def test_beta_one_is_the_likelihood_variance(problem: Problem) -> None:
    assume(problem.k < problem.population.n)
    values, k = problem.spectrum.eigenvalues, problem.k
    got = calibrated_noise_variance(problem.spectrum, 1.0, latent_dim=k)
    want = evaluate(forms.LIKELIHOOD_VARIANCE, 80, tail=number(tail(values, k)), n=values.size, m=k)
    assert_close(got, float(want), "rounding", condition=values.size)


@pytest.mark.parametrize(("eigenvalues", "k"), [([4.0, 2.0, 1.0, 0.0], 3), ([5.0, 0.0, 0.0], 2)])
def test_the_bound_below_which_nothing_is_optimal(eigenvalues: list[float], k: int) -> None:
    spectrum = lv.Spectrum.from_eigenvalues(eigenvalues)
    rank = int(np.count_nonzero(eigenvalues))
    limit = float(evaluate(forms.BOUNDED_BETA, n=len(eigenvalues), rank=rank))
    with pytest.raises(lv.errors.UnboundedObjectiveError):
        calibrated_noise_variance(spectrum, np.nextafter(limit, 0), latent_dim=k)
    with pytest.warns(lv.errors.NonUniqueOptimumWarning):
        calibrated_noise_variance(spectrum, limit, latent_dim=k)


counts = st.integers(1, 10**5)
weights = st.floats(-6, 6).map(lambda e: float(10.0**e))


@given(counts, counts, weights, weights)
def test_betas_of_other_losses(n: int, k: int, weight: float, variance: float) -> None:
    conventions = pytest.importorskip("deep.objectives.conventions")
    for name, rule in conventions.CONVENTIONS.items():
        if not rule.squared or rule.batch_sum or rule.kl_batch_sum or rule.minibatch_weight:
            continue
        got = conventions.effective_beta(name, n, k, kl_weight=weight, noise_variance=variance)
        a = rule.factor / (variance if rule.given_variance else 1.0)
        given_as = {"reconstruction_weight": a, "kl_weight": weight, "sigma2": variance}
        if rule.latent_mean:
            want = evaluate(forms.BETA_OF_MEANS, n=n, k=k, **given_as)
        else:
            given_as["reconstruction_weight"] = a / (n if rule.feature_mean else 1)
            want = evaluate(forms.BETA_OF_SUMS, **given_as)
            scale = evaluate(
                forms.SCALE_OF_SUMS,
                reconstruction_weight=given_as["reconstruction_weight"],
                sigma2=variance,
            )
            assert_close(got.scale, float(scale), "rounding")
            level = evaluate(
                forms.LEVEL_OF_SUMS,
                reconstruction_weight=given_as["reconstruction_weight"],
                kl_weight=weight,
            )
            assert_close(got.beta * variance, float(level), "rounding")
        assert_close(got.beta, float(want), "rounding")
