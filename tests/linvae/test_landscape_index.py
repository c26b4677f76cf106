"""The index in closed form against the Hessian, of the reduced and of the full objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from numpy.typing import NDArray

import linvae as lv
from linvae.errors import InputError
from linvae.landscape import (
    StationaryPoint,
    block_stationary_point,
    reduced_hessian,
    stationary_point,
    stationary_points,
)
from linvae.testing.strategies import Parameters, generators
from tests import oracles

Array = NDArray[np.float64]
VALUES = (9.0, 7.1, 5.0, 3.3, 2.2, 0.9)
SPECTRA = (VALUES, (*VALUES[:5], 0.0), (6.0, 6.0, 3.0, 3.0, 3.0, 0.0))


@dataclass(frozen=True)
class Inertia:
    """Numbers of negative and of zero eigenvalues."""

    negative: int
    null: int


def inertia(hessian: Array, unit: float) -> Inertia:
    values = np.linalg.eigvalsh(hessian) / unit
    # Nothing may lie where rounding decides.
    assert not ((np.abs(values) > 1e-9) & (np.abs(values) < 1e-6)).any()
    return Inertia(int((values < -1e-6).sum()), int((np.abs(values) <= 1e-9).sum()))


def measured(point: StationaryPoint, spectrum: lv.Spectrum, beta: float, s2: float) -> Inertia:
    return inertia(reduced_hessian(spectrum, point.decoder, beta, noise_variance=s2), 1 / s2)


def claimed(point: StationaryPoint) -> Inertia:
    return Inertia(point.index, point.nullity)


def by_the_formula(values: Array, subset: set[int], k: int, tau: float) -> int:
    """Swaps and revivals, counted one by one."""
    free = [j for j in range(values.size) if j not in subset]
    swaps = sum(values[j] > values[i] for i in subset for j in free)
    return int(swaps + (k - len(subset)) * sum(values[j] > tau for j in free))


@given(generators())
def test_index_of_subsets(rng: np.random.Generator) -> None:
    spectrum = lv.Spectrum.from_eigenvalues(SPECTRA[rng.integers(len(SPECTRA))])
    s2, beta = float(np.exp(rng.normal(0, 0.3))), float(rng.uniform(0.05, 4))
    k = int(rng.integers(1, 5))
    alive = np.flatnonzero(spectrum.eigenvalues / s2 > beta)
    subset = rng.permutation(alive)[: rng.integers(0, min(k, alive.size) + 1)]
    gaps = np.abs(spectrum.eigenvalues / (beta * s2) - 1)
    assume(gaps.min() > 1e-3)
    point = stationary_point(
        spectrum, beta, [int(i) for i in subset], latent_dim=k, noise_variance=s2
    )
    values = spectrum.leading_eigenvalues(6)
    assert point.index == by_the_formula(values, {int(i) for i in subset}, k, beta * s2)
    assert claimed(point) == measured(point, spectrum, beta, s2)
    if len(set(VALUES) & set(values)) >= 5:
        assert point.nullity == 0


def drawn_blocks(rng: np.random.Generator, n: int) -> list[tuple[list[int], int]]:
    modes = [int(i) for i in rng.permutation(n)]
    blocks, room = [], n
    while modes and room and rng.random() < 0.8:
        r = int(rng.integers(1, min(3, len(modes), room) + 1))
        q = int(rng.integers(r, min(room, r + 2) + 1))
        blocks.append(([modes.pop() for _ in range(r)], q))
        room -= q
    return blocks


@given(generators())
def test_index_of_drawn_blocks(rng: np.random.Generator) -> None:
    spectrum = lv.Spectrum.from_eigenvalues(SPECTRA[rng.integers(len(SPECTRA))])
    s2, beta = float(np.exp(rng.normal(0, 0.3))), float(rng.uniform(0.05, 3))
    blocks = drawn_blocks(rng, 6)
    used = sum(q for _, q in blocks)
    k = int(rng.integers(max(1, used), 7))
    try:
        point = block_stationary_point(
            spectrum, beta, blocks, latent_dim=k, noise_variance=s2,
            rng=rng if rng.random() < 0.5 else None,
        )  # fmt: skip
    except InputError:
        assume(False)
    assume(all(block.gains.min() ** 2 > 1e-3 * beta * s2 for block in point.blocks))
    try:
        found = measured(point, spectrum, beta, s2)
    except AssertionError:
        assume(False)
    assert claimed(point) == found
    assert (point.index == 0) == point.is_minimum


def test_enough_blocks_are_drawn() -> None:
    """The test above would pass on nothing: here is how much it sees, with fixed seeds."""
    seen = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        spectrum = lv.Spectrum.from_eigenvalues(SPECTRA[seed % 3])
        blocks = drawn_blocks(rng, 6)
        beta = float(rng.uniform(0.05, 2))
        try:
            point = block_stationary_point(
                spectrum, beta, blocks, latent_dim=6, noise_variance=1.0, rng=rng
            )
        except InputError:
            continue
        assert claimed(point) == measured(point, spectrum, beta, 1.0)
        seen += not point.is_diagonal
    assert seen >= 60


def test_the_whole_catalogue_of_a_small_problem() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([5.0, 3.0, 2.0, 0.9])
    points = stationary_points(spectrum, 1.0, latent_dim=3, noise_variance=1.0, shared=True)
    assert len(points) == 45
    for point in points:
        assert claimed(point) == measured(point, spectrum, 1.0, 1.0)
    assert sum(point.is_minimum for point in points) == 1


@pytest.mark.parametrize("values", [(4.0, 2.0, 0.7), (4.0, 2.0, 0.0)])
def test_index_of_the_full_objective(values: tuple[float, ...]) -> None:
    """Hessian in (E, log c, D) by differences of the oracle's gradient."""
    spectrum = lv.Spectrum.from_eigenvalues(values)
    n, k, beta, s2 = 3, 2, 0.8, 0.9
    points = stationary_points(spectrum, beta, latent_dim=k, noise_variance=s2, shared=True)
    assert len(points) >= 7
    for point in points:
        theta = flat(Parameters.of(point.vae()))
        hessian = np.array(
            [
                difference(theta, i, np.diag(values), n, k, beta, s2)
                for i in range(theta.size)
            ]
        )  # fmt: skip
        assert np.abs(hessian - hessian.T).max() < 1e-7
        values_of = np.linalg.eigvalsh(0.5 * (hessian + hessian.T))
        hidden = k * values.count(0.0)  # E on directions without variance
        got = Inertia(int((values_of < -1e-4).sum()), int((np.abs(values_of) < 1e-6).sum()))
        assert got == Inertia(point.index, point.nullity + hidden)


def flat(model: Parameters) -> Array:
    return np.concatenate([model.E.ravel(), np.log(model.c), model.D.ravel()])


def full_gradient(theta: Array, S: Array, n: int, k: int, beta: float, s2: float) -> Array:
    E, log_c, D = theta[: n * k], theta[n * k : n * k + k], theta[n * k + k :]
    model = Parameters(
        E.reshape(k, n), np.exp(log_c), D.reshape(n, k), s2, np.zeros(n), np.zeros(n), np.zeros(k)
    )
    parts = oracles.gradient(S, np.zeros(n), model, beta)
    return np.concatenate([parts["E"].ravel(), parts["log_c"], parts["D"].ravel()])


def difference(theta: Array, i: int, *problem: Any) -> Array:
    """Fourth-order central difference of the gradient in one coordinate."""
    step = np.zeros_like(theta)
    step[i] = 1e-3
    near = full_gradient(theta + step, *problem) - full_gradient(theta - step, *problem)
    far = full_gradient(theta + 2 * step, *problem) - full_gradient(theta - 2 * step, *problem)
    return np.asarray((8 * near - far) / 12e-3)
