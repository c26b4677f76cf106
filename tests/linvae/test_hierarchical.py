"""The optimum of two layers with top-down inference: bound, assignment, surface, edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import linvae as lv
from linvae.errors import InputError, InputTypeError, PartialSpectrumError, RangeError
from linvae.hierarchical import HierarchicalFrontier, HierarchicalVAE
from linvae.testing.strategies import KINDS, Problem, betas, problems
from tests.tolerances import assert_close, tolerance

SPECTRUM = lv.Spectrum.from_eigenvalues([5.0, 3.0, 2.0, 1.0, 0.4, 0.1], mean=np.arange(6.0))


def frontier(problem: Problem, k2: int) -> HierarchicalFrontier:
    return HierarchicalFrontier(
        problem.spectrum, latent_dims=(problem.k, k2), noise_variance=problem.s2
    )


def magnitude(problem: Problem, beta1: float, beta2: float, points: Any) -> float:
    """Sum of the absolute terms of the objective."""
    n, s2 = problem.population.n, problem.s2
    constant = abs(0.5 * n * np.log(2 * np.pi * s2))
    size = constant + problem.spectrum.total_variance / (2 * s2)
    return float(size + beta1 * (1 + points.rate1) + beta2 * (1 + points.rate2))


@st.composite
def cases(draw: st.DrawFn, **options: Any) -> tuple[Problem, int, float, float]:
    """A problem, k₂, and two weights, each near, on or between critical ones."""
    problem = draw(problems(**options))
    k2 = draw(st.integers(1, problem.population.n))
    first, second = draw(betas(problem.critical)), draw(betas(problem.critical))
    return problem, k2, first, draw(st.sampled_from([second, second, second, first]))


def least(problem: Problem, k2: int, beta1: float, beta2: float) -> tuple[float, list[int]]:
    """Least objective without its constant over all assignments of modes, and who carries what.

    By brute force over every mode: nobody, z₁ or z₂, at most k₁ modes in all and k₂ in z₂.
    """
    from itertools import product

    values, s2 = problem.spectrum.eigenvalues, problem.s2

    def cost(value: float, weight: float) -> float:
        level = weight * s2
        if value <= level:
            return value / (2 * s2)
        return 0.5 * weight * (1 + np.log(value / level))

    best, who = np.inf, []
    for choice in product((0, 1, 2), repeat=values.size):
        if np.count_nonzero(choice) > problem.k or choice.count(2) > k2:
            continue
        prices = (
            v / (2 * s2) if c == 0 else cost(v, beta1 if c == 1 else beta2)
            for v, c in zip(values, choice, strict=True)
        )
        if (total := sum(prices)) < best:
            best, who = total, list(choice)
    return best, who


@settings(max_examples=60)
@given(cases(kinds=KINDS), st.sampled_from([1e-1, 1e-3]), st.sampled_from([1.0, 1e-3, 40.0]))
def test_the_bound_is_approached_as_stated(
    case: tuple[Problem, int, float, float], ratio: float, std: float
) -> None:
    problem, k2, beta1, beta2 = case
    curve = frontier(problem, k2)
    points = curve.at(beta1, beta2)
    model = curve.model(beta1, beta2, ratio=ratio, prior_std=std)
    terms = model.evaluate(problem.spectrum, beta1, beta2)
    copied = points.carrier == 2
    over = problem.critical - beta2
    excess = 0.5 * ratio**2 * float(over[copied].sum())
    scale = magnitude(problem, beta1, beta2, points)
    assert_close(terms.objective - points.objective, excess, scale=scale)
    assert_close(terms.rate1, points.rate1, scale=1 + points.rate1)
    assert_close(terms.rate2, points.rate2, scale=1 + points.rate2)
    assert bool(points.attained) == (not copied.any())
    # What sets the levels apart: z₂ only where it is cheaper, and only the leading modes.
    room = min(problem.k, k2)
    want = np.where((np.arange(problem.k) < room) & (beta2 < beta1), 2, 1)
    weight = np.where(want == 2, beta2, beta1)
    assert (points.carrier == np.where(problem.critical > weight, want, 0)).all()
    assert points.active == np.count_nonzero(points.carrier)


@settings(max_examples=30)
@given(cases(max_n=5, kinds=KINDS))
def test_the_assignment_is_the_best_of_all(case: tuple[Problem, int, float, float]) -> None:
    problem, k2, beta1, beta2 = case
    points = frontier(problem, k2).at(beta1, beta2)
    constant = 0.5 * problem.population.n * np.log(2 * np.pi * problem.s2)
    best, _ = least(problem, k2, beta1, beta2)
    assert_close(points.objective - constant, best, scale=magnitude(problem, beta1, beta2, points))


@settings(max_examples=60)
@given(cases(max_n=6, kinds=KINDS), st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 0.1, 1.0]))
def test_no_parameters_beat_the_bound(
    case: tuple[Problem, int, float, float], seed: int, size: float
) -> None:
    problem, k2, beta1, beta2 = case
    rng, curve = np.random.default_rng(seed), frontier(problem, k2)
    near = vars(curve.model(beta1, beta2, ratio=0.1))
    root = np.sqrt(max(problem.spectrum.eigenvalues[0], 1e-300))
    units = {"decoder": root, "encoder1": 1 / root, "encoder2": 1 / root}
    moved = {}
    for name, value in near.items():
        noise = size * rng.standard_normal(np.shape(value))
        if name in ("encoder_offset", "decoder_offset", "noise_variance"):
            moved[name] = value
        elif "variance" in name:
            moved[name] = value * np.exp(noise)
        else:
            moved[name] = value + units.get(name, 1.0) * noise
    terms = HierarchicalVAE(**moved).evaluate(problem.spectrum, beta1, beta2)
    gap = curve.gap(terms.rate1, terms.rate2, terms.distortion, beta1, beta2)
    scale = magnitude(problem, beta1, beta2, terms)
    assert gap >= -tolerance("exact") * scale


@settings(max_examples=40)
@given(cases(kinds=KINDS))
def test_equal_weights_are_one_layer(case: tuple[Problem, int, float, float]) -> None:
    problem, k2, beta, _ = case
    points = frontier(problem, k2).at(beta, beta)
    one = lv.Frontier(problem.spectrum, **problem.options).at_beta(beta)
    scale = magnitude(problem, beta, beta, points)
    assert_close(points.objective, one.objective, scale=scale)
    assert_close(points.squared_error, one.squared_error, scale=problem.spectrum.total_variance)
    assert_close(points.rate1, one.rate, scale=1 + one.rate)
    assert points.rate2 == 0 == points.rate2_low
    assert points.attained
    modes = problem.critical[: min(problem.k, k2)]
    most = 0.5 * np.log(np.maximum(modes / beta, 1.0)).sum()
    assert_close(points.rate2_high, most, scale=1 + most)


@st.composite
def rate_cases(draw: st.DrawFn) -> tuple[Problem, int, float, float]:
    problem = draw(problems(kinds=[kind for kind in KINDS if kind != "all_zero"]))
    k2 = draw(st.integers(1, problem.population.n))
    rates = st.sampled_from([0.0, 1e-9]) | st.floats(0.0, 6.0)
    return problem, k2, draw(rates), draw(rates)


@settings(max_examples=80)
@given(rate_cases())
def test_given_rates_are_spent(case: tuple[Problem, int, float, float]) -> None:
    problem, k2, rate1, rate2 = case
    curve = frontier(problem, k2)
    points = curve.at_rates(rate1, rate2)
    ratio = 1e-6
    model = curve.model_at_rates(rate1, rate2, ratio=ratio)
    beta1, beta2 = float(points.beta1), float(points.beta2)
    terms = model.evaluate(problem.spectrum, beta1, beta2)
    assert_close(terms.rate1, rate1, scale=1 + rate1 + rate2)
    assert_close(terms.rate2, rate2, scale=1 + rate1 + rate2)
    total = problem.spectrum.total_variance
    assert_close(terms.squared_error, points.squared_error, scale=total)
    assert points.beta2 <= points.beta1
    # The point lies on its supporting plane, so nothing with these rates lies below.
    plane = curve.at(beta1, beta2).objective
    assert_close(points.objective, plane, scale=magnitude(problem, beta1, beta2, points))
    assert points.rate2_low <= rate2 <= points.rate2_high
    if rate2 == 0 or (points.rate2_high > 1.001 * rate2 and rate1 > 0):
        assert points.attained


@settings(max_examples=40)
@given(st.tuples(st.integers(1, 6), st.integers(1, 6)), st.floats(0.05, 5.0), st.floats(0.05, 5.0))
def test_the_weights_are_the_slopes(dims: tuple[int, int], rate1: float, rate2: float) -> None:
    curve = HierarchicalFrontier(SPECTRUM, latent_dims=dims, noise_variance=0.5)
    step = 1e-5
    at = curve.at_rates(rate1, rate2)
    for move, weight in (((step, 0.0), at.beta1), ((0.0, step), at.beta2)):
        ahead = curve.at_rates(rate1 + move[0], rate2 + move[1]).distortion
        behind = curve.at_rates(rate1 - move[0], rate2 - move[1]).distortion
        slope = (behind - ahead) / (2 * step)
        # The slope itself changes by at most 2β a nat.
        assert abs(slope - weight) <= 4 * step * weight + 1e-7
        # Convexity: chords lie above the tangent.
        assert ahead >= at.distortion - weight * step - 1e-12 * abs(at.distortion)


def test_what_the_surface_looks_like() -> None:
    curve = HierarchicalFrontier(SPECTRUM, latent_dims=(4, 2), noise_variance=0.5)
    together = curve.at_rates([0.5, 1.5, 2.0], [1.5, 0.5, 0.0])
    assert np.ptp(together.squared_error) < 1e-12  # only the total counts
    assert (together.beta1 == together.beta2).all()
    apart = curve.at_rates(0.3, 2.0)
    assert apart.beta2 < apart.beta1
    assert apart.carrier.tolist() == [2, 2, 1, 0]
    assert not apart.attained
    both = curve.at_rates(1.0, 1.0)
    assert both.carrier.tolist() == [3, 3, 1, 1]
    assert both.attained
    idle = HierarchicalFrontier(SPECTRUM, latent_dims=(2, 5), noise_variance=0.5).at(1.0, 0.5)
    assert idle.carrier.tolist() == [2, 2]


def test_critical_weights_to_the_last_bit() -> None:
    curve = HierarchicalFrontier(SPECTRUM, latent_dims=(3, 1), noise_variance=0.3)
    for mode, critical in enumerate(curve.critical_betas):
        weights = np.array([critical, np.nextafter(critical, 0)])
        alone = curve.at(weights, 2 * weights)
        assert alone.carrier[:, mode].tolist() == [0, 1]
        assert alone.attained.all()
    at = curve.at(100.0, [curve.critical_betas[0], np.nextafter(curve.critical_betas[0], 0)])
    assert at.carrier[:, 0].tolist() == [0, 2]
    assert at.attained.tolist() == [True, False]


@settings(max_examples=25)
@given(cases(extreme=True))
def test_extreme_scales(case: tuple[Problem, int, float, float]) -> None:
    problem, k2, beta1, beta2 = case
    curve = frontier(problem, k2)
    points = curve.at(beta1, beta2)
    terms = curve.model(beta1, beta2).evaluate(problem.spectrum, beta1, beta2)
    copied = points.carrier == 2
    excess = 0.5e-6 * float((problem.critical - beta2)[copied].sum())
    assert_close(
        terms.objective, points.objective + excess,
        scale=magnitude(problem, beta1, beta2, points),
    )  # fmt: skip


def test_broadcasting_and_read_only_results() -> None:
    curve = HierarchicalFrontier(SPECTRUM, latent_dims=(3, 2), noise_variance=0.5)
    grid = curve.at(np.geomspace(0.1, 10, 5)[:, None], np.geomspace(0.1, 10, 4))
    assert grid.rate1.shape == (5, 4)
    assert grid.carrier.shape == (5, 4, 3)
    one = curve.at(grid.beta1[3, 1], grid.beta2[3, 1])
    assert one.objective == grid.objective[3, 1]
    with pytest.raises(ValueError, match="read-only"):
        grid.rate1[0, 0] = 1.0
    assert curve.latent_dims == (3, 2)
    assert curve.noise_variance == 0.5
    assert curve.gap(grid.rate1, grid.rate2, grid.distortion, grid.beta1, grid.beta2) == (
        pytest.approx(np.zeros((5, 4)), abs=1e-12)
    )


def test_no_variance() -> None:
    still = lv.Spectrum.from_eigenvalues([0.0, 0.0])
    curve = HierarchicalFrontier(still, latent_dims=(2, 1), noise_variance=1.0)
    points = curve.at(0.5, 0.1)
    assert points.attained
    assert points.rate1 == points.rate2 == points.squared_error == 0
    assert curve.at_rates([0.0, 0.0], 0.0).distortion.shape == (2,)
    assert curve.model_at_rates(0.0, 0.0).evaluate(still, 1.0, 1.0).rate1 == 0
    with pytest.raises(RangeError, match="no variance"):
        curve.at_rates(0.0, 1.0)


def test_partial_spectra() -> None:
    whole = lv.Spectrum.from_eigenvalues([4.0, 2.0, 1.0, 0.5])
    partial = lv.Spectrum(np.zeros(4), whole.eigenvalues[:2], np.eye(4)[:, :2], 7.5, False)
    options: dict[str, Any] = {"latent_dims": (2, 1), "noise_variance": 0.3}
    one, other = (HierarchicalFrontier(s, **options).at(1.0, 0.2) for s in (whole, partial))
    assert_close(other.objective, one.objective)
    with pytest.raises(PartialSpectrumError):
        HierarchicalFrontier(partial, latent_dims=(3, 1), noise_variance=0.3)


@pytest.mark.parametrize(
    ("dims", "error", "message"),
    [
        ((0, 1), InputError, "latent_dim: got 0"),
        ((7, 1), InputError, "latent_dim: got 7"),
        ((2, 0), InputError, r"latent_dims\[1\]: got 0"),
        ((2, 7), InputError, r"latent_dims\[1\]: got 7"),
        (3, InputTypeError, "latent_dims: got 3; expected a pair"),
        ((1, 2, 3), InputTypeError, "expected a pair"),
        ((1.5, 2), InputTypeError, "latent_dim: got 1.5"),
    ],
)
def test_bad_sizes(dims: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        HierarchicalFrontier(SPECTRUM, latent_dims=dims, noise_variance=1.0)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="noise_variance"):
        HierarchicalFrontier(SPECTRUM, latent_dims=(2, 1), noise_variance=-1.0)
    with pytest.raises(InputError, match="noise_variance: got values that lead beyond"):
        HierarchicalFrontier(SPECTRUM, latent_dims=(2, 1), noise_variance=5e-324)
    with pytest.raises(InputTypeError, match="expected a Spectrum"):
        HierarchicalFrontier(np.eye(3), latent_dims=(2, 1), noise_variance=1.0)  # type: ignore[arg-type]
    curve = HierarchicalFrontier(SPECTRUM, latent_dims=(2, 1), noise_variance=1.0)
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="beta1"):
            curve.at(bad, 1.0)
        with pytest.raises(InputError, match="beta2"):
            curve.model(1.0, bad)
    with pytest.raises(InputError, match="broadcast"):
        curve.at([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="beta1: got shape"):
        curve.model([1.0, 2.0], 1.0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="ratio"):
        curve.model(1.0, 0.5, ratio=0.0)
    with pytest.raises(InputError, match="prior_std"):
        curve.model(1.0, 0.5, prior_std=-1.0)
    with pytest.raises(RangeError, match="rate2"):
        curve.at_rates(0.0, -0.1)
    with pytest.raises(RangeError, match="rates"):
        curve.at_rates(1e5, 0.0)
    with pytest.raises(InputTypeError, match="single"):
        curve.model_at_rates([1.0, 2.0], 1.0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="distortion: got nan"):
        curve.gap(1.0, 1.0, np.nan, 1.0, 1.0)
    with pytest.raises(InputError, match="broadcast"):
        curve.gap([1.0, 2.0], 1.0, 1.0, [1.0, 1.0, 1.0], 1.0)


def test_far_ends_of_the_range() -> None:
    curve = HierarchicalFrontier(SPECTRUM, latent_dims=(2, 1), noise_variance=1e308)
    n = SPECTRUM.n_features
    want = n / 2 * (np.log(2 * np.pi) + 308 * np.log(10))
    assert float(curve.at(1.0, 0.5).objective) == pytest.approx(want)
    terms = curve.model(1.0, 0.5).evaluate(SPECTRUM, 1.0, 0.5)
    assert terms.objective == pytest.approx(want)
    curve = HierarchicalFrontier(SPECTRUM, latent_dims=(2, 1), noise_variance=1.0)
    for std in (1e200, 1e-200):
        with pytest.raises(InputError, match="prior_std: got"):
            curve.model(1.0, 0.5, prior_std=std)
    with pytest.raises(InputError, match="ratio, prior_std"):
        curve.model(1.0, 0.5, prior_std=1e150, ratio=1e-200)
    for rates in ((1e308, 1e308), (1e308, 0.0), (0.0, 1e308)):
        with pytest.raises(RangeError, match="ask for less"):
            curve.at_rates(*rates)
    with pytest.raises(InputError, match="gap: got values that lead beyond"):
        curve.gap(1e200, 1e200, 1.0, 1e200, 0.5)


def test_data_without_variance_have_rate_zero_at_every_weight() -> None:
    nothing = lv.Spectrum.from_eigenvalues([0.0, 0.0])
    curve = HierarchicalFrontier(nothing, latent_dims=(2, 1), noise_variance=1.0)
    point = curve.at_rates(0.0, 0.0)
    assert (point.beta1, point.beta2) == (0, 0), "the smallest weight with that rate"
    assert point.objective == curve.at(1e-300, 1e-300).objective
