"""No spurious local minimum: explicit ways down, and optimisers that look for other ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

import linvae as lv
from linvae.landscape import (
    Descent,
    StationaryPoint,
    block_stationary_point,
    reduced_gradient,
    reduced_hessian,
    reduced_objective,
    stationary_point,
    stationary_points,
)
from linvae.testing.strategies import KINDS, Problem, generators, problems, scales
from tests.tolerances import assert_close

Array = NDArray[np.float64]
PLACES = np.linspace(0.0, 1.0, 9)
CASES = ((5.0, 3.0, 2.0, 0.9), (5.0, 5.0, 2.0, 0.9), (5.0, 3.0, 3.0, 0.0), (2.0, 2.0, 2.0, 2.0))


def check_way(
    way: Descent, point: StationaryPoint, spectrum: lv.Spectrum, beta: float, s2: float, unit: float
) -> None:
    """The path is what its closed form says, falls all the way, and leaves as it says."""
    values = [reduced_objective(spectrum, way.decoder(t), beta, noise_variance=s2) for t in PLACES]
    changes = [way.change(t) for t in PLACES]
    assert_close(way.decoder(0.0), point.decoder, "rounding")
    assert_close(np.array(values) - values[0], np.array(changes), scale=unit)
    assert changes[0] == 0
    assert (np.diff(changes) <= 0).all()
    assert_close(changes[-1], -way.drop, scale=max(way.drop, beta * 1e-3))
    assert way.curvature < 0
    assert_close(np.linalg.norm(way.direction), 1.0)
    first = way.decoder(1e-7) - point.decoder
    excess, rise = way._sizes  # a swap from near its threshold soon bends
    bend = 1 + rise / excess if way.kind == "swap" else 1.0
    assert_close(first / np.linalg.norm(first), way.direction, "difference", scale=10 * bend)


@given(problems(kinds=KINDS), st.floats(0.0, 1.0), generators())
def test_a_way_down_from_all_but_the_optimum(
    problem: Problem, share: float, rng: np.random.Generator
) -> None:
    critical = problem.spectrum.eigenvalues / problem.s2
    assume(critical[0] > 0)
    beta = float(critical[0] * 10.0 ** (-2.5 * share) * 0.999)
    alive = np.flatnonzero(critical > beta)
    subset = rng.permutation(alive)[: rng.integers(0, min(problem.k, alive.size) + 1)]
    point = stationary_point(problem.spectrum, beta, [int(i) for i in subset], **problem.options)
    best = alive[: min(problem.k, alive.size)]
    optimal = sorted(critical[subset]) == sorted(critical[best])
    assert (point.descent is None) == optimal == point.is_minimum
    if point.descent is None:
        assert point.excess == 0
        return
    unit = 0.5 * problem.spectrum.total_variance / problem.s2 + beta
    unit += abs(0.5 * problem.population.n * np.log(2 * np.pi * problem.s2))
    assert 0 <= point.descent.drop <= point.excess * (1 + 1e-12)
    check_way(point.descent, point, problem.spectrum, beta, problem.s2, unit)


@pytest.mark.parametrize("values", CASES)
def test_ways_down_from_the_whole_catalogue(values: tuple[float, ...]) -> None:
    spectrum, s2, beta = lv.Spectrum.from_eigenvalues(values), 0.9, 0.8
    points = stationary_points(spectrum, beta, latent_dim=3, noise_variance=s2, shared=True)
    kinds = set()
    for point in points:
        way = point.descent
        assert (way is None) == point.is_minimum
        if way is None:
            assert_close(point.excess, 0.0, scale=1.0)
            continue
        kinds.add(way.kind)
        check_way(way, point, spectrum, beta, s2, 20.0)
        hessian = reduced_hessian(spectrum, point.decoder, beta, noise_variance=s2)
        flat = way.direction.ravel()
        assert_close(flat @ hessian @ flat, way.curvature, scale=1 / s2)
    if len(set(values)) == 4:
        assert kinds == {"turn", "swap", "revival"}


@given(scales(extreme=True), st.sampled_from(CASES))
def test_ways_down_at_extreme_scales(scale: float, values: tuple[float, ...]) -> None:
    """Data times a scale change lengths alone, also where products of variances overflow."""
    beta, s2, unit = 0.8, 0.9, scale**2
    points, moved = (
        stationary_points(
            lv.Spectrum.from_eigenvalues(np.array(values) * u), beta,
            latent_dim=3, noise_variance=s2 * u, shared=True,
        )
        for u in (1.0, unit)
    )  # fmt: skip
    found = {key(point): point for point in moved}
    assert len(points) == len(moved) == len(found)
    for point in points:
        other, way = found[key(point)], point.descent
        assert_close(other.excess, point.excess, scale=1.0)
        assert_close(other.decoder / scale, point.decoder)
        assert (way is None) == (other.descent is None)
        if way is None or other.descent is None:
            continue
        assert_close(other.descent.drop, way.drop)
        assert_close(other.descent.curvature * unit, way.curvature)
        assert_close(np.linalg.norm(other.descent.direction), 1.0)
        for t in (0.3, 1.0):
            assert np.isfinite(other.descent.decoder(t)).all()
            assert_close(other.descent.change(t), way.change(t), scale=way.drop)


@pytest.mark.parametrize("top", [5.0, 1e4, 1e16, 1e40, 1e100, 1e300])
def test_the_turn_of_two_unequal_modes(top: float) -> None:
    """Next to a huge mode the latents are parallel but for rounding; the drop is not."""
    spectrum, beta = lv.Spectrum.from_eigenvalues([top, 4.0, 2.0]), 0.5
    point = block_stationary_point(spectrum, beta, [((0, 1), 2)], latent_dim=2, noise_variance=1.0)
    way, (large, small) = point.descent, (np.sqrt(top), 2.0)
    assert way is not None
    ratio = small / large  # |h|/(τ + g) = (√λ₁ − √λ₂)/(√λ₁ + √λ₂)
    want = 0.5 * beta * (2 * np.log1p(ratio) - np.log(4 * ratio))
    assert_close(way.drop, want)
    assert_close(way.change(1.0), -want)
    assert way.drop < point.excess  # the latents come apart, their gains are not yet the best
    assert (np.diff([way.change(t) for t in PLACES]) < 0).all()


def key(point: StationaryPoint) -> tuple[tuple[tuple[int, ...], int], ...]:
    return tuple((block.modes, block.latents) for block in point.blocks)


def start(rng: np.random.Generator, n: int, k: int) -> Array:
    return np.asarray(rng.standard_normal((n, k)) * rng.choice([0.1, 0.5, 2.0]))


@pytest.mark.parametrize("values", CASES)
def test_descent_always_ends_at_the_optimum(
    values: tuple[float, ...], rng: np.random.Generator
) -> None:
    """L-BFGS on the reduced objective, from random starts and from beside every saddle."""
    from scipy.optimize import minimize

    spectrum, n, k = lv.Spectrum.from_eigenvalues(values), 4, 2
    beta, s2 = 1.1, 0.9
    options: dict[str, Any] = {"beta": beta, "noise_variance": s2}
    best = lv.Frontier(spectrum, latent_dim=k, noise_variance=s2).at_beta(beta).objective

    def value(theta: Array) -> tuple[float, Array]:
        D = theta.reshape(n, k)
        slope = reduced_gradient(spectrum, D, **options)
        return reduced_objective(spectrum, D, **options), slope.ravel()

    saddles = stationary_points(spectrum, beta, latent_dim=k, noise_variance=s2, shared=True)
    starts = [start(rng, n, k) for _ in range(5)]
    starts += [p.decoder + 1e-2 * rng.standard_normal((n, k)) for p in saddles[1::2]]
    for D in starts:
        result = minimize(
            value, D.ravel(), jac=True, method="L-BFGS-B",
            options={"ftol": 1e-16, "gtol": 1e-9, "maxiter": 3000, "maxfun": 6000},
        )  # fmt: skip
        assert result.fun >= best - 1e-12
        assert_close(result.fun, float(best), "optimisation")


def test_newton_finds_only_the_catalogue() -> None:
    """Zeros of the gradient from random starts: every one has the value of a catalogued point."""
    from scipy.optimize import root

    spectrum, n, k, beta, s2 = lv.Spectrum.from_eigenvalues([5.0, 2.0, 0.9]), 3, 2, 1.0, 1.0
    options: dict[str, Any] = {"beta": beta, "noise_variance": s2}
    catalogue = stationary_points(spectrum, beta, latent_dim=k, noise_variance=s2, shared=True)
    known = np.array([point.objective for point in catalogue])
    rng, found = np.random.default_rng(7), set()
    for _ in range(150):
        result = root(
            lambda x: reduced_gradient(spectrum, x.reshape(n, k), **options).ravel(),
            start(rng, n, k).ravel(),
            jac=lambda x: reduced_hessian(spectrum, x.reshape(n, k), **options),
            method="hybr",
            options={"xtol": 1e-13},
        )
        D = result.x.reshape(n, k)
        # Far out the gradient fades like 1/|D| without ever vanishing.
        if np.abs(result.fun).max() > 1e-11 or np.abs(D).max() > 100:
            continue
        value = reduced_objective(spectrum, D, **options)
        nearest = int(np.argmin(np.abs(known - value)))
        assert abs(known[nearest] - value) < 1e-10
        found.add(nearest)
    assert len(found) >= 6  # saddles among them, and such that share eigenvectors
    assert any(not catalogue[i].is_diagonal for i in found)


def test_nothing_happens_on_a_collapsed_optimum() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([2.0, 1.0])
    point = stationary_point(spectrum, 2.0, [], latent_dim=1, noise_variance=1.0)
    assert point.descent is None
    assert point.is_minimum
    assert point.nullity == 1  # λ₁ = τ: flat to second order


def test_every_latent_on_every_mode() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([2.0, 1.0])
    point = stationary_point(spectrum, 0.5, [0, 1], latent_dim=2, noise_variance=1.0)
    assert point.descent is None
