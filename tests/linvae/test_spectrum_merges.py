"""Moments against extended precision: large means, unequal chunks, merges in any order."""

from __future__ import annotations

import tracemalloc

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linvae import Spectrum, _moments
from linvae._moments import Accumulator
from linvae.testing import strategies
from tests.tolerances import assert_close


def _two_pass(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the numbers as stored, with 50 digits, then rounded once."""
    with mpmath.workdps(50):
        rows = [[mpmath.mpf(float(x)) for x in row] for row in X]
        N, n = X.shape
        mean = [mpmath.fsum(row[j] for row in rows) / N for j in range(n)]
        S = [
            [mpmath.fsum((r[i] - mean[i]) * (r[j] - mean[j]) for r in rows) / N for j in range(n)]
            for i in range(n)
        ]
        return np.array(mean, dtype=float), np.array(S, dtype=float)


def _accumulated(chunks) -> Accumulator:
    moments = Accumulator(chunks[0].shape[1])
    for chunk in chunks:
        moments.add(chunk)
    return moments


def _merged_in_a_tree(chunks, rng) -> Accumulator:
    """Merged two by two, in random order, until one is left."""
    parts = [_accumulated([chunk]) for chunk in chunks]
    while len(parts) > 1:
        i, j = rng.choice(len(parts), 2, replace=False)
        parts[i].merge(parts[j].moments)
        parts.pop(j)
    return parts[0]


def _check(moments: Accumulator, X: np.ndarray) -> None:
    mean, S = _two_pass(X)
    spread = np.sqrt(np.diag(S))
    n = X.shape[1]
    # Relative to the spread of each pair of columns, not to the size of the mean.
    assert_close(moments.scatter / len(X), S, "rounding", scale=np.outer(spread, spread), size=n)
    exact = moments.moments
    assert_close(exact.mean, mean, "ulps", scale=np.abs(X).max())
    assert moments.count == len(X)


@given(
    strategies.generators(),
    st.lists(st.sampled_from([0, 1, 2, 3, 17, 40]), min_size=1, max_size=5),
    st.sampled_from([(0.0, "float64"), (1e8, "float64"), (-1e8, "float64"), (1e4, "float32")]),
    st.integers(1, 4),
)
def test_large_means_and_unequal_chunks(rng, sizes, offset, n):
    """Unit variance on a mean of 1e8 (float64) or 1e4 (float32), as stored."""
    shift, dtype = offset
    chunks = [(shift + rng.standard_normal((size, n))).astype(dtype) for size in [*sizes, 5]]
    X = np.concatenate(chunks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_moments, "_BLOCK_ENTRIES", 16 * n)
        _check(_accumulated(chunks), X)
        _check(_merged_in_a_tree(chunks, rng), X)
        _check(_accumulated([X]), X)


@given(strategies.generators())
def test_chunks_whose_means_are_far_apart(rng):
    """Between chunks 1e6, within them 1: the covariance is that of the spread of the means."""
    chunks = [rng.normal(loc, 1.0, (size, 3)) for loc, size in ((1e6, 1), (0.0, 40), (-1e6, 7))]
    X = np.concatenate(chunks)
    _check(_accumulated(chunks), X)
    _check(_merged_in_a_tree(chunks, rng), X)


def test_many_chunks_drift_no_further_than_one():
    """20 000 merges of three rows on a mean of 1e8: rounding must not add up."""
    rng = np.random.default_rng(3)
    base = rng.standard_normal((20_000, 3, 2))
    X = 1e8 + base
    centred = (X - 1e8).reshape(-1, 2)  # exact
    merged, part = Accumulator(2), Accumulator(2)
    for chunk in X[:2000]:
        part = Accumulator(2)
        part.add(chunk)
        merged.merge(part.moments)
    some = centred[:6000]
    S = np.cov(some.T, bias=True)
    assert_close(merged.scatter / 6000, S, "rounding", scale=np.trace(S))
    streamed = Spectrum.from_samples(iter(X))
    S = np.cov(centred.T, bias=True)
    assert_close(streamed.covariance, S, "rounding", scale=np.trace(S))
    assert_close(streamed.mean, 1e8 + centred.mean(axis=0), "ulps")


def test_merges_with_nothing_and_of_constants():
    empty, full = Accumulator(2), Accumulator(2)
    full.add(np.full((4, 2), 0.1))
    empty.merge(full.moments)
    assert (empty.mean == 0.1).all()
    empty.merge(Accumulator(2).moments)
    empty.merge(full.moments)
    assert empty.count == 8
    assert not empty.scatter.any()
    before = full.moments
    full.add(np.ones((1, 2)))
    assert before.count == 4
    for step, word in ((1e-170, "vanish"), (1e200, "exceed")):
        other, some = Accumulator(2), Accumulator(2)
        other.add(np.full((3, 2), step))
        some.add(np.zeros((3, 2)))
        with pytest.raises(ValueError, match=word):
            some.merge(other.moments)


@pytest.mark.parametrize("leading", [None, 2])
def test_memory_maps_are_read_in_bounded_memory(tmp_path, monkeypatch, leading):
    """A file of 15 MB through blocks of 0.5 MB; both passes of the iterative solver, too."""
    rows, n = 30_000, 64
    path = tmp_path / "x.npy"
    written = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(rows, n))
    rng = np.random.default_rng(1)
    for start in range(0, rows, 10_000):
        written[start : start + 10_000] = 5 + rng.standard_normal((10_000, n)) * np.geomspace(
            3, 0.1, n
        )
    written.flush()
    monkeypatch.setattr(_moments, "_BLOCK_ENTRIES", 2**16)
    if leading:
        monkeypatch.setattr("linvae._sources.prefers_implicit", lambda *_: True)
    seen: list[tuple[int, int | None]] = []
    tracemalloc.start()
    spectrum = Spectrum.from_samples(
        np.load(path, mmap_mode="r"),
        leading=leading,
        solver="iterative" if leading else "auto",
        progress=lambda *now: seen.append(now),
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3.5e6 < path.stat().st_size / 4
    assert seen[-1] == (rows, rows)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    whole = Spectrum.from_samples(np.array(written))
    assert_close(spectrum.eigenvalues, whole.eigenvalues[:leading], "exact")
    assert_close(spectrum.total_variance, whole.total_variance, "rounding", size=n)
