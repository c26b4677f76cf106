"""The proofs about the noise variance: they hold, notice wrong formulas, and survive attacks."""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import differential_evolution, minimize, minimize_scalar

import linvae as lv
from linvae.calibrated import CalibratedFrontier, calibrated_noise_variance
from linvae.symbolic import calibrated as forms
from linvae.symbolic import evaluate, information
from linvae.symbolic.symbols import k, lam, m, n, s2, tau
from linvae.testing import strategies
from linvae.testing.strategies import Parameters, Population, orthogonal_matrix
from linvae.verification import CLAIMS
from proofs import calibrated, effective_beta, straight
from tests import oracles
from tests.tolerances import assert_close, tolerance

Array = NDArray[np.float64]

STATEMENTS = {claim.id: claim.statement for claim in CLAIMS}
PROOFS = {"calibrated": calibrated, "straight": straight, "effective-beta": effective_beta}


@pytest.mark.parametrize("claim", PROOFS)
def test_every_step_holds(claim: str) -> None:
    proof = PROOFS[claim].prove()
    assert [step.text for step in proof.steps if not step.holds] == []
    assert proof.verdict == "proved"
    assert proof.claim == claim
    assert proof.statement == STATEMENTS.get(claim, proof.statement)


FAULTS: tuple[tuple[str, ModuleType, str, sp.Expr], ...] = (
    ("calibrated", forms, "CALIBRATED_VARIANCE", forms.tail / n),
    ("calibrated", forms, "LIKELIHOOD_VARIANCE", forms.tail / (n - m + 1)),
    ("calibrated", forms, "BETA_AT_LEVEL", n * tau / (m * tau + 2 * forms.tail)),
    ("calibrated", forms, "JOIN_BETA", n * lam / ((m + 1) * lam + forms.tail)),
    ("calibrated", forms, "COLLAPSE_BETA", lam / forms.total),
    ("calibrated", forms, "BOUNDED_BETA", n / (forms.rank + 1)),
    ("calibrated", forms, "CALIBRATED_DISTORTION", forms.CALIBRATED_DISTORTION - n / 2),
    ("calibrated", forms, "SQUARED_ERROR", m * tau),
    ("calibrated", forms, "RATE", 2 * forms.RATE),
    ("calibrated", information, "DISTORTION", 2 * information.DISTORTION),
    ("calibrated", information, "LOG_LIKELIHOOD", information.LOG_LIKELIHOOD + n),
    ("straight", forms, "BETA_AT_LEVEL", tau / (m * tau + forms.tail)),
    ("straight", forms, "STRAIGHT_BETA", n / (m + 1)),
    ("straight", forms, "SHORTFALL", forms.tail / (m * tau + 2 * forms.tail)),
    ("straight", forms, "JOIN_BETA", n * lam / (m * lam - forms.tail)),
    ("straight", forms, "CALIBRATED_DISTORTION", 2 * forms.CALIBRATED_DISTORTION),
    ("straight", forms, "RATE", forms.RATE / 2),
    ("effective-beta", forms, "BETA_OF_SUMS", 2 * forms.BETA_OF_SUMS),
    ("effective-beta", forms, "LEVEL_OF_SUMS", forms.kl_weight / forms.reconstruction_weight),
    ("effective-beta", forms, "SCALE_OF_SUMS", forms.reconstruction_weight * s2),
    ("effective-beta", forms, "BETA_OF_MEANS", forms.BETA_OF_MEANS * k),
    ("effective-beta", information, "DISTORTION", 2 * information.DISTORTION),
)


@pytest.mark.parametrize(
    ("claim", "where", "name", "wrong"), FAULTS, ids=[f"{f[0]}-{f[2]}" for f in FAULTS]
)
def test_a_wrong_formula_is_noticed(
    monkeypatch: pytest.MonkeyPatch, claim: str, where: ModuleType, name: str, wrong: sp.Expr
) -> None:
    monkeypatch.setattr(where, name, wrong)
    try:
        verdict = PROOFS[claim].prove().verdict
    except (IndexError, KeyError):  # an equation without solution: no proof either
        verdict = "fails"
    assert verdict == "fails"


# Descent on the exact objective with σ² among its variables


def drawn(seed: int, rank: int | None = None) -> tuple[Population, np.random.Generator]:
    rng = np.random.default_rng([41, seed])
    values = np.sort(np.exp(rng.normal(0, 0.8, 4)))[::-1]
    if rank is not None:
        values[rank:] = 0.0
    return Population(values, orthogonal_matrix(4, rng), np.zeros(4)), rng


def descent(
    population: Population, k: int, beta: float, rng: np.random.Generator, least: float
) -> tuple[float, Array]:
    """Best of some L-BFGS runs over E, D, log c and log σ² >= least; the value and its argument."""
    S, mu, size = population.covariance, population.mean, population.n * k

    def value(theta: Array) -> tuple[float, Array]:
        E, D, log_c, log_s2 = np.split(theta, [size, 2 * size, 2 * size + k])
        s2 = float(np.exp(log_s2[0]))
        p = Parameters(E.reshape(k, -1), np.exp(log_c), D.reshape(-1, k), s2, mu, mu, np.zeros(k))
        slopes = oracles.gradient(S, mu, p, beta)
        error = oracles.trace_squared_error(S, mu, p)
        total = 0.5 * (population.n * np.log(2 * np.pi * s2) + error / s2)
        total += beta * oracles.trace_rate(S, mu, p)
        by_variance = 0.5 * (population.n - error / s2)  # derivative in log σ²
        parts = [slopes[name].ravel() for name in ("E", "D", "log_c")]
        return total, np.concatenate([*parts, [by_variance]])

    bounds = [(None, None)] * (2 * size + k) + [(least, None)]
    runs = [
        minimize(
            value, np.append(0.5 * rng.standard_normal(2 * size + k), 0.0), jac=True,
            bounds=bounds, method="L-BFGS-B",
            options={"maxiter": 1500, "maxfun": 2500, "maxcor": 30, "ftol": 1e-14, "gtol": 1e-9},
        )
        for _ in range(2)
    ]  # fmt: skip
    best = min(runs, key=lambda run: run.fun)
    return float(best.fun), best.x


@pytest.mark.parametrize("seed", range(3))
def test_descent_with_a_free_variance_finds_the_formula(seed: int) -> None:
    population, rng = drawn(seed)
    k = 1 + seed % 3
    beta = float(rng.uniform(0.3, 1.4))
    claimed = calibrated_noise_variance(population.spectrum, beta, latent_dim=k)
    curve = CalibratedFrontier(population.spectrum, latent_dim=k)
    objective = float(curve.at_beta(beta).objective)
    found, where = descent(population, k, beta, rng, -30.0)
    assert found >= objective - tolerance("exact") * (1 + abs(objective))
    assert found <= objective + 1e-7 * (1 + abs(objective)), "the descent had no force"
    assert np.exp(where[-1]) == pytest.approx(claimed, rel=1e-3)


@pytest.mark.parametrize(("share", "bounded"), [(0.8, False), (1.25, True)])
def test_descent_has_no_end_below_the_threshold(share: float, bounded: bool) -> None:
    """Rank 2 in 4 dimensions with 2 latents: no minimum for β < n/r = 2, one above."""
    population, rng = drawn(0, rank=2)
    beta = share * float(evaluate(forms.BOUNDED_BETA, n=4, rank=2))
    floors = (-2.5, -4.0)
    values = [descent(population, 2, beta, rng, floor)[0] for floor in floors]
    falls = -np.diff(values)
    if bounded:
        claimed = calibrated_noise_variance(population.spectrum, beta, latent_dim=2)
        assert np.log(claimed) > floors[0]
        assert np.abs(falls).max() <= 1e-6
    else:
        # F − ((n − rβ)/2) log v is constant.
        assert falls == pytest.approx(np.full(1, 1.5 * (4 - 2 * beta) / 2), rel=1e-3)


def test_the_curve_is_the_minimum_over_the_variance() -> None:
    """At every rate the calibrated distortion is the least over σ², with ε(R) by bisection."""
    population, _ = drawn(7)
    curve = CalibratedFrontier(population.spectrum, latent_dim=2)
    for rate in (0.05, 0.4, 1.1, 2.5):
        error = oracles.water_fill_rate(population.values, 2, rate)
        found = minimize_scalar(
            lambda log, error=error: 0.5 * (4 * np.log(2 * np.pi) + 4 * log + error / np.exp(log)),
            bounds=(-15, 10), method="bounded", options={"xatol": 1e-10},
        )  # fmt: skip
        point = curve.at_rate(rate)
        assert_close(point.distortion, found.fun, scale=10.0)
        # The slope by a central difference of that minimum.
        step = 1e-4
        ends = [
            2 * np.log(oracles.water_fill_rate(population.values, 2, rate + side * step))
            for side in (1, -1)
        ]
        assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(float(point.beta), rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_no_chord_leaves_the_interval_of_its_segment(seed: int) -> None:
    """An optimiser places both ends of a chord so that it leaves [(n/m)(1 − share), n/m] most."""
    population, _ = drawn(10 + seed)
    spectrum = population.spectrum
    curve = CalibratedFrontier(spectrum, latent_dim=3)
    checked = 0
    for segment in curve.segments:
        high = min(segment.rate_high, segment.rate_low + 4.0)
        width, straight_beta = high - segment.rate_low, segment.straight_beta
        outside = spectrum.tail_variance(segment.active)

        def escape(
            ends: Array, low: float = segment.rate_low, width: float = width,
            active: int = segment.active, outside: float = outside, slope: float = straight_beta,
        ) -> float:  # fmt: skip
            a, b = sorted(low + np.asarray(ends) * width)
            if b - a < 1e-3 * width:
                return 1.0
            points = curve.at_rate(np.array([a, b]))
            chord = -np.diff(points.distortion)[0] / (b - a)
            share = outside / (active * float(points.water_level[1]) + outside)
            return float(min(slope - chord, chord - slope * (1 - share)))

        found = differential_evolution(
            escape, [(0.0, 1.0)] * 2, seed=seed, maxiter=30, popsize=10, polish=False
        )
        assert found.fun >= -1e-9 * straight_beta / width
        assert found.fun < 0.5 * straight_beta, "the attack had no force"
        checked += 1
    assert checked == 3


# Losses of other forms


@given(strategies.populations(max_n=5, kinds=("random", "tied", "zeros")), st.data())
def test_any_loss_of_this_form_orders_models_alike(
    population: Population, data: st.DataObject
) -> None:
    """Loss − scale · objective is the same number for any parameters, at any stated σ²."""
    k = data.draw(st.integers(1, population.n))
    logs = st.floats(-2, 2).map(lambda e: float(10.0**e))
    a, b, s2 = (data.draw(logs) for _ in range(3))
    weights = {"reconstruction_weight": a, "kl_weight": b, "sigma2": s2}
    beta = float(evaluate(forms.BETA_OF_SUMS, **weights))
    scale = float(evaluate(forms.SCALE_OF_SUMS, reconstruction_weight=a, sigma2=s2))
    rests, size = [], 0.0
    for _ in range(3):
        p = data.draw(
            strategies.parameters(
                population.n, k, scale=float(population.values[0]), noise_variance=s2
            )
        )
        S, mu = population.covariance, population.mean
        loss = a * oracles.squared_error(S, mu, p) + b * oracles.rate(S, mu, p)
        terms = p.vae.evaluate(population.spectrum, beta)
        rests.append(loss - scale * terms.objective)
        size = max(size, abs(loss) + scale * (abs(terms.distortion) + beta * terms.rate))
    for left, right in pairwise(rests):
        assert_close(left, right, scale=size)


@pytest.mark.parametrize("seed", range(3))
def test_descent_on_the_loss_finds_the_response(seed: int) -> None:
    """aε + bℛ is minimised as it stands; the library's optimum at β = b/(2aσ²), for two σ²."""
    population, rng = drawn(20 + seed)
    k, a = 2, float(rng.uniform(0.2, 3.0))
    b = 2 * a * float(population.values[0] * rng.uniform(0.1, 0.6))  # level b/(2a) below λ₁
    # The oracle minimises ε/(2s) + wℛ: the loss over 2as at any s, with w = b/(2as); take s = 1.
    found = oracles.direct_optimum(population.covariance, k, 1.0, b / (2 * a), 3, rng)
    least = 2 * a * found.value
    for variance in (0.5, 7.0):
        weights = {"reconstruction_weight": a, "kl_weight": b, "sigma2": variance}
        beta = float(evaluate(forms.BETA_OF_SUMS, **weights))
        vae = lv.response(population.spectrum, beta, latent_dim=k, noise_variance=variance)
        terms = vae.evaluate(population.spectrum, beta)
        claimed = a * terms.squared_error + b * terms.rate
        assert least >= claimed - tolerance("optimisation") * claimed
        assert least <= claimed * (1 + 1e-7), "the descent had no force"
