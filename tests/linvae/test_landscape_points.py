"""Stationary points: gradients vanish, the excess is what is measured, β ranges are right."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import linvae as lv
from linvae.errors import InputError
from linvae.landscape import (
    StationaryPoint,
    block_stationary_point,
    collapse_beta,
    reduced_gradient,
    reduced_objective,
    stable_range,
    stationary_point,
    stationary_points,
)
from linvae.testing.strategies import KINDS, Parameters, Problem, generators, problems
from tests import oracles
from tests.tolerances import assert_close

SPECTRUM = lv.Spectrum.from_eigenvalues([9.0, 7.1, 5.0, 3.3, 2.2, 0.9])


def slopes(point: StationaryPoint, spectrum: lv.Spectrum, beta: float) -> float:
    """Largest entry of the gradient in E, log c, D and all offsets, by the oracle."""
    parameters = Parameters.of(point.vae())
    S, mu = spectrum.covariance, np.asarray(spectrum.mean)
    parts = oracles.gradient(S, mu, parameters, beta)
    return max(float(np.abs(part).max()) for part in parts.values())


@given(problems(kinds=KINDS), st.floats(0.0, 1.0), generators())
def test_gradients_vanish_and_excess_is_measured(
    problem: Problem, share: float, rng: np.random.Generator
) -> None:
    top = problem.spectrum.eigenvalues[0] / problem.s2
    assume(top > 0)
    beta = float(top * 10.0 ** (-2.5 * share) * 0.999)
    alive = np.flatnonzero(problem.spectrum.eigenvalues / problem.s2 > beta)
    size = int(rng.integers(0, min(problem.k, alive.size) + 1))
    subset = [int(i) for i in rng.permutation(alive)[:size]]
    point = stationary_point(problem.spectrum, beta, subset, **problem.options)
    assert point.modes == tuple(sorted(subset))
    assert point.unused == problem.k - size
    curve = lv.Frontier(problem.spectrum, **problem.options)
    got = point.vae().evaluate(problem.spectrum, beta).objective
    unit = 0.5 * problem.spectrum.total_variance / problem.s2 + beta
    unit += abs(0.5 * problem.population.n * np.log(2 * np.pi * problem.s2))
    assert_close(got - curve.at_beta(beta).objective, point.excess, scale=unit)
    assert_close(got, point.objective, scale=unit)
    assert point.excess >= 0
    slope = reduced_gradient(
        problem.spectrum, point.decoder, beta, noise_variance=problem.s2
    ) * np.sqrt(problem.s2 / beta)
    assert_close(slope, 0 * slope, "gradient", scale=1 + top / beta)


@given(st.lists(st.floats(0.05, 10.0), min_size=3, max_size=5), generators())
def test_drawn_blocks_are_stationary(values: list[float], rng: np.random.Generator) -> None:
    spectrum = lv.Spectrum.from_eigenvalues(values)
    n = spectrum.n_features
    modes = [int(i) for i in rng.permutation(n)[: rng.integers(1, 4)]]
    q = int(rng.integers(max(2, len(modes)), n + 1))
    s2 = float(np.exp(rng.normal(0, 0.5)))
    beta = collapse_beta(spectrum, modes, noise_variance=s2, latents=q) * float(
        rng.uniform(0.05, 0.95)
    )
    chosen = spectrum.eigenvalues[modes]
    assume(len(modes) == 1 or float(np.ptp(chosen)) > 1e-3)
    point = block_stationary_point(
        spectrum, beta, [(modes, q)], latent_dim=n, noise_variance=s2, rng=rng
    )
    gram = point.decoder.T @ point.decoder
    level = beta * s2 * (point.blocks[0].root ** 2 - 1)
    assert_close(np.diagonal(gram)[:q], np.full(q, level))
    assert slopes(point, spectrum, beta) <= 1e-9 * (1 + 1 / s2) * (1 + values[0] / s2 + 10)
    assert not point.is_diagonal
    assert not point.is_minimum
    best = lv.Frontier(spectrum, latent_dim=n, noise_variance=s2).at_beta(beta).objective
    got = point.vae().evaluate(spectrum, beta).objective
    assert_close(got - best, point.excess, scale=abs(got) + 1)
    assert point.excess > 0


def test_larger_blocks_leave_the_mixing_free(rng: np.random.Generator) -> None:
    options: dict[str, Any] = {"latent_dim": 4, "noise_variance": 1.0}
    blocks = [((0, 1, 2), 4)]
    fixed = block_stationary_point(SPECTRUM, 1.0, blocks, **options)
    again = block_stationary_point(SPECTRUM, 1.0, blocks, **options)
    drawn = block_stationary_point(SPECTRUM, 1.0, blocks, rng=rng, **options)
    assert (fixed.decoder == again.decoder).all()
    products = [p.decoder.T @ p.decoder for p in (fixed, drawn)]
    assert np.abs(np.abs(products[0]) - np.abs(products[1])).max() > 1e-2
    assert fixed.excess == drawn.excess
    assert slopes(drawn, SPECTRUM, 1.0) < 1e-12


def test_several_blocks_at_once() -> None:
    blocks = [((0, 3), 2), ((1,), 2), ((2,), 1)]
    point = block_stationary_point(SPECTRUM, 0.8, blocks, latent_dim=6, noise_variance=1.1)
    assert point.modes == (0, 1, 2, 3)
    assert point.unused == 1
    assert slopes(point, SPECTRUM, 0.8) < 1e-12
    got = point.vae().evaluate(SPECTRUM, 0.8).objective
    assert_close(point.objective, got)
    assert_close(reduced_objective(SPECTRUM, point.decoder, 0.8, noise_variance=1.1), got)


def test_a_rotated_pair_may_use_a_mode_that_is_dead_alone() -> None:
    # √λ₂(√λ₁ + √λ₂)/2 > λ₂: above its own critical β the mode lives on in a rotated pair.
    spectrum = lv.Spectrum.from_eigenvalues([4.0, 1.0, 0.5])
    assert_close(collapse_beta(spectrum, (0, 1), noise_variance=1.0), 1.5)
    options: dict[str, Any] = {"latent_dim": 2, "noise_variance": 1.0}
    point = block_stationary_point(spectrum, 1.2, [((0, 1), 2)], **options)
    assert slopes(point, spectrum, 1.2) < 1e-12
    with pytest.raises(InputError, match=r"modes: .*below which this stationary point exists"):
        stationary_point(spectrum, 1.2, (0, 1), **options)


@given(st.lists(st.floats(0.05, 10.0), min_size=1, max_size=3), st.integers(0, 2))
def test_blocks_collapse_at_their_beta(values: list[float], extra: int) -> None:
    spectrum = lv.Spectrum.from_eigenvalues([*values, 0.0, 0.0])
    modes, q = range(len(values)), len(values) + extra
    assume(len(values) == 1 or np.diff(spectrum.eigenvalues[: len(values)]).max() < -1e-2)
    edge = collapse_beta(spectrum, modes, noise_variance=0.7, latents=q)
    options: dict[str, Any] = {"latent_dim": q, "noise_variance": 0.7}
    below = block_stationary_point(spectrum, edge * (1 - 1e-6), [(modes, q)], **options)
    assert below.blocks[0].gains.min() < 1e-2 * np.sqrt(spectrum.eigenvalues[0])
    with pytest.raises(InputError, match="below which this stationary point exists"):
        block_stationary_point(spectrum, edge * (1 + 1e-12), [(modes, q)], **options)


@given(problems(kinds=KINDS), generators())
def test_ranges_of_beta(problem: Problem, rng: np.random.Generator) -> None:
    alive = np.flatnonzero(problem.spectrum.eigenvalues > 0)
    size = int(rng.integers(0, min(problem.k, alive.size) + 1))
    subset = [int(i) for i in rng.permutation(alive)[:size]]
    found = stable_range(problem.spectrum, subset, **problem.options)
    critical = problem.spectrum.eigenvalues / problem.s2
    places = {0.5 * critical[-1] if critical.size else 1.0, 2 * float(critical[0]) + 1e-300}
    for edge in critical:
        places |= {float(edge), float(np.nextafter(edge, 0)), float(np.nextafter(edge, np.inf))}
    for beta in sorted(p for p in places if p > 1e-290):
        if beta < found.exists_below:
            point = stationary_point(problem.spectrum, beta, subset, **problem.options)
            assert point.is_minimum == (beta >= found.stable_from)
        else:
            with pytest.raises(InputError):
                stationary_point(problem.spectrum, beta, subset, **problem.options)


def test_the_optimum_is_a_stationary_point() -> None:
    for beta in (0.3, 2.0, 4.0, 8.0, 20.0):
        points = stationary_points(SPECTRUM, beta, latent_dim=3, noise_variance=0.9)
        model = lv.response(SPECTRUM, beta, latent_dim=3, noise_variance=0.9)
        assert points[0].is_minimum
        assert points[0].excess == 0
        assert_close(points[0].decoder, model.decoder)
        assert_close(points[0].vae().encoder, model.encoder)
        assert_close(points[0].vae().posterior_variance, model.posterior_variance)
        assert sum(point.is_minimum for point in points) == 1


def test_all_subsets_are_listed() -> None:
    points = stationary_points(SPECTRUM, 1.0, latent_dim=3, noise_variance=1.0)
    assert len(points) == sum(comb(5, j) for j in range(4))
    wanted = {s for j in range(4) for s in combinations(range(5), j)}
    assert {point.modes for point in points} == wanted
    assert [p.excess for p in points] == sorted(p.excess for p in points)
    collapsed = next(point for point in points if not point.modes)
    curve = lv.Frontier(SPECTRUM, latent_dim=3, noise_variance=1.0)
    assert_close(collapsed.excess, curve.collapsed_loss(1.0))


def test_shared_blocks_are_listed_once() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([5.0, 3.0])
    points = stationary_points(spectrum, 1.0, latent_dim=2, noise_variance=1.0, shared=True)
    found = sorted(tuple(sorted((b.modes, b.latents) for b in p.blocks)) for p in points)
    assert found == sorted(
        [
            (),
            (((0,), 1),),
            (((1,), 1),),
            (((0,), 2),),
            (((1,), 2),),
            (((0, 1), 2),),
            (((0,), 1), ((1,), 1)),
        ]
    )


def test_tied_eigenvalues_make_no_block() -> None:
    tied = lv.Spectrum.from_eigenvalues([5.0, 5.0, 1.0])
    options: dict[str, Any] = {"latent_dim": 2, "noise_variance": 1.0}
    with pytest.raises(InputError, match="come apart"):
        block_stationary_point(tied, 0.5, [((0, 1), 2)], **options)
    points = stationary_points(tied, 0.5, shared=True, **options)
    assert not any(b.modes == (0, 1) for p in points for b in p.blocks)
    # Four latents can share two tied eigenvectors, though: then all are correlated.
    wide = lv.Spectrum.from_eigenvalues([5.0, 5.0, 1.0, 0.5])
    point = block_stationary_point(wide, 0.5, [((0, 1), 4)], latent_dim=4, noise_variance=1.0)
    assert slopes(point, wide, 0.5) < 1e-12


def test_offsets_are_the_mean() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([4.0, 2.0], mean=[3.0, -1.0])
    point = stationary_point(spectrum, 1.0, [1], latent_dim=2, noise_variance=1.0)
    assert (point.vae().encoder_offset == spectrum.mean).all()
    assert slopes(point, spectrum, 1.0) < 1e-13
