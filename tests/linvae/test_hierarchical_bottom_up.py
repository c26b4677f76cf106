"""The optimum of two layers with bottom-up inference, its thresholds and its edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import linvae as lv
from linvae.errors import InputError, InputTypeError, UnboundedObjectiveError
from linvae.hierarchical.bottom_up import BottomUpFrontier, BottomUpVAE
from linvae.testing.strategies import KINDS, Problem, problems
from tests.tolerances import assert_close, tolerance

SPECTRUM = lv.Spectrum.from_eigenvalues([5.0, 3.0, 2.0, 1.0, 0.4, 0.1], mean=np.arange(6.0))


def exponents(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high).map(lambda power: float(10.0**power))


@st.composite
def cases(draw: st.DrawFn, **options: Any) -> tuple[Problem, BottomUpFrontier, float, float]:
    """A problem, a frontier with given or learned Σ₁, and weights (β₂ >= β₁ when learned)."""
    problem = draw(problems(**options))
    k2 = draw(st.integers(1, problem.population.n))
    curve = BottomUpFrontier(
        problem.spectrum,
        latent_dims=(problem.k, k2),
        noise_variance=problem.s2,
        prior_variance=draw(exponents(-1, 1)),
        encoder_variance=draw(st.none() | exponents(-3, 1.5)),
    )
    beta1, beta2 = draw(exponents(-2, 2)), draw(exponents(-2, 2))
    if draw(st.sampled_from([False, False, True])):
        beta2 = beta1
    if not curve.at(beta1, beta2).bounded:
        beta1, beta2 = beta2, beta1
    return problem, curve, beta1, beta2


def magnitude(problem: Problem, beta1: float, beta2: float, points: Any) -> float:
    n, s2 = problem.population.n, problem.s2
    constant = abs(0.5 * n * np.log(2 * np.pi * s2)) + problem.spectrum.total_variance / (2 * s2)
    return float(constant + beta1 * (5 * n + abs(points.rate1)) + beta2 * (n + points.rate2))


@settings(max_examples=60)
@given(cases(kinds=KINDS))
def test_the_optimum_is_reached(case: tuple[Problem, BottomUpFrontier, float, float]) -> None:
    problem, curve, beta1, beta2 = case
    points = curve.at(beta1, beta2)
    terms = curve.model(beta1, beta2).evaluate(problem.spectrum, beta1, beta2)
    scale = magnitude(problem, beta1, beta2, points)
    assert_close(terms.objective, points.objective, scale=scale)
    assert_close(terms.squared_error, points.squared_error, scale=problem.spectrum.total_variance)
    size = 10 * problem.population.n + abs(points.rate1) + points.rate2
    assert_close(terms.rate1, points.rate1, scale=size)
    assert_close(terms.rate2, points.rate2, scale=size)
    model = curve.model(beta1, beta2)
    room = min(curve.latent_dims)
    # The model reads where the points say so (away from thresholds lost in rounding).
    reads = np.diagonal(model.encoder2)[:room] > 1e-6
    assert (points.active2[:room] | ~reads).all()
    assert not points.active2[room:].any()


@settings(max_examples=60)
@given(cases(kinds=KINDS, max_n=6), st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 0.05, 0.5]))
def test_no_parameters_beat_the_optimum(
    case: tuple[Problem, BottomUpFrontier, float, float], seed: int, size: float
) -> None:
    problem, curve, beta1, beta2 = case
    rng, points = np.random.default_rng(seed), curve.at(beta1, beta2)
    optimum = curve.model(beta1, beta2)
    learned = points.rate2_high == np.inf or np.ptp(optimum.variance1) > 0
    moved = {}
    for name, value in vars(optimum).items():
        noise = size * rng.standard_normal(np.shape(value))
        if name in ("encoder1", "decoder", "encoder2", "prior_gain"):
            moved[name] = value + noise * (np.abs(value).max() + 1e-3)
        elif name == "variance2" or (name == "variance1" and learned):
            moved[name] = value * np.exp(noise)
        elif name.startswith("latent") or name == "prior_offset":
            moved[name] = value + noise
        else:
            moved[name] = value
    terms = BottomUpVAE(**moved).evaluate(problem.spectrum, beta1, beta2)
    scale = magnitude(problem, beta1, beta2, points) + abs(terms.objective)
    assert terms.objective - points.objective >= -tolerance("exact") * scale


@settings(max_examples=40)
@given(cases(), st.sampled_from([1.0, 3.0, 1e4]))
def test_the_scale_of_a_learned_layer(
    case: tuple[Problem, BottomUpFrontier, float, float], factor: float
) -> None:
    """What widening z₁ changes: nothing at β₁ = β₂, without bound for β₂ < β₁."""
    problem, given_curve, beta1, beta2 = case
    curve = BottomUpFrontier(
        problem.spectrum,
        latent_dims=given_curve.latent_dims,
        noise_variance=problem.s2,
        prior_variance=0.6,
    )
    alone = curve.at(beta1, max(beta1, beta2))
    signal = 0.6 * factor * max(1.0, beta2 / beta1)
    terms = curve.model(beta1, beta2, signal=signal).evaluate(problem.spectrum, beta1, beta2)
    room = min(curve.latent_dims)
    change = (beta2 - beta1) * np.log(signal / 0.6) + beta2 - beta1
    change -= beta2 * np.log(beta2 / beta1)
    scale = magnitude(problem, beta1, beta2, alone) * (1 + np.log(factor))
    assert_close(terms.objective - alone.objective, 0.5 * room * change, scale=scale)


def test_thresholds_by_hand() -> None:
    options: dict[str, Any] = {"noise_variance": 0.5, "prior_variance": 0.8}
    curve = BottomUpFrontier(SPECTRUM, latent_dims=(3, 2), encoder_variance=0.2, **options)
    lower, upper = curve.thresholds(1.0, 1.3)
    assert lower == pytest.approx([0.125, 0.125, 0.125])
    assert upper == pytest.approx([0.5 * 0.8 * 1.69 / 0.2] * 2 + [np.inf])
    wide = BottomUpFrontier(SPECTRUM, latent_dims=(3, 2), encoder_variance=1.5, **options)
    lower, upper = wide.thresholds(1.0, 1.3)
    assert lower == pytest.approx([0.65, 0.65, 0.9375])
    assert upper.tolist() == [-np.inf, -np.inf, np.inf]
    learned = BottomUpFrontier(SPECTRUM, latent_dims=(3, 2), **options)
    lower, upper = learned.thresholds([1.0, 1.3], [1.3, 1.0])
    assert lower[0] == pytest.approx([0.5] * 3)
    assert np.isinf(upper[0]).all()
    assert np.isnan([lower[1], upper[1]]).all()


def test_noise_alone_can_fill_the_second_layer() -> None:
    """A first layer noisier than κ is coded by z₂ although it says nothing about the data."""
    curve = BottomUpFrontier(
        lv.Spectrum.from_eigenvalues([0.1]),
        latent_dims=(1, 1),
        noise_variance=1.0,
        prior_variance=0.5,
        encoder_variance=2.0,
    )
    points = curve.at(1.0, 1.0)
    assert not points.active1.any()
    assert points.active2.all()
    assert points.rate2 == pytest.approx(0.5 * np.log(4.0))
    assert points.squared_error == pytest.approx(0.1)


def test_arrays_and_unbounded_weights() -> None:
    curve = BottomUpFrontier(SPECTRUM, latent_dims=(3, 2), noise_variance=0.5)
    points = curve.at([0.5, 1.0, 2.0], 1.0)
    assert points.bounded.tolist() == [True, True, False]
    assert points.objective[2] == -np.inf
    assert np.isnan([points.rate1[2], points.squared_error[2]]).all()
    assert points.rate2_high.tolist()[:2] == [0.0, np.inf]
    assert points.active1.shape == (3, 3)
    one = lv.Frontier(SPECTRUM, latent_dim=3, noise_variance=0.5).at_beta([0.5, 1.0])
    assert_close(points.objective[:2], one.objective)
    assert_close(points.rate1[:2], one.rate)
    with pytest.raises(ValueError, match="read-only"):
        points.rate1[0] = 0.0
    with pytest.raises(UnboundedObjectiveError, match="unbounded below"):
        curve.model(2.0, 1.0)
    falling = [
        curve.model(2.0, 1.0, signal=a).evaluate(SPECTRUM, 2.0, 1.0).objective
        for a in (1e2, 1e4, 1e6)
    ]
    assert np.diff(falling) == pytest.approx([-np.log(100.0)] * 2, rel=1e-6)


def test_bad_input() -> None:
    options: dict[str, Any] = {"latent_dims": (2, 1), "noise_variance": 1.0}
    for name in ("noise_variance", "prior_variance", "encoder_variance"):
        with pytest.raises(InputError, match=name):
            BottomUpFrontier(SPECTRUM, **{**options, name: 0.0})
    with pytest.raises(InputTypeError, match="expected a pair"):
        BottomUpFrontier(SPECTRUM, **{**options, "latent_dims": 2})
    with pytest.raises(InputTypeError, match="expected a Spectrum"):
        BottomUpFrontier(np.eye(2), **options)  # type: ignore[arg-type]
    curve = BottomUpFrontier(SPECTRUM, encoder_variance=0.1, **options)
    assert curve.latent_dims == (2, 1)
    with pytest.raises(InputError, match="beta1"):
        curve.at(-1.0, 1.0)
    with pytest.raises(InputError, match="broadcast"):
        curve.thresholds([1.0, 2.0], [1.0, 2.0, 3.0])
    for weights in ((1e-200, 1e200), (1e200, 1e-200)):
        with pytest.raises(InputError, match="beta2/beta1"):
            curve.at(*weights)
    with pytest.raises(InputError, match="signal: got 2"):
        curve.model(1.0, 1.0, signal=2.0)
    with pytest.raises(InputError, match="signal"):
        BottomUpFrontier(SPECTRUM, **options).model(1.0, 1.0, signal=-1.0)


@settings(max_examples=25)
@given(cases(extreme=True))
def test_extreme_scales(case: tuple[Problem, BottomUpFrontier, float, float]) -> None:
    problem, curve, beta1, beta2 = case
    points = curve.at(beta1, beta2)
    terms = curve.model(beta1, beta2).evaluate(problem.spectrum, beta1, beta2)
    assert_close(terms.objective, points.objective, scale=magnitude(problem, beta1, beta2, points))


def test_far_ends_of_the_range() -> None:
    options: dict[str, Any] = {"latent_dims": (2, 1)}
    wide = BottomUpFrontier(SPECTRUM, noise_variance=1e308, **options).at(1.0, 1.0)
    want = SPECTRUM.n_features / 2 * (np.log(2 * np.pi) + 308 * np.log(10))
    assert float(wide.objective) == pytest.approx(want)
    learned = BottomUpFrontier(SPECTRUM, noise_variance=10.0, **options)
    fixed = BottomUpFrontier(SPECTRUM, noise_variance=1e308, encoder_variance=1e308, **options)
    narrow = BottomUpFrontier(SPECTRUM, noise_variance=1e-308, **options)
    stretched = BottomUpFrontier(SPECTRUM, noise_variance=1.0, prior_variance=1e308, **options)
    for call in (
        lambda: learned.at(1e308, 1e308),
        lambda: fixed.at(10.0, 10.0),
        lambda: narrow.at(1e-20, 1.0),
        lambda: learned.model(1e-308, 1e308),
        lambda: stretched.model(1.0, 100.0),
    ):
        with pytest.raises(InputError, match="beyond the float64 range"):
            call()
