"""Spectra of dask arrays: threads by default, the workers of a Client where there is one."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest

from linvae import Spectrum, _dask
from linvae.errors import InputError
from tests.tolerances import assert_close

da = pytest.importorskip("dask.array")


def _check(found: Spectrum, X: np.ndarray) -> None:
    want = Spectrum.from_samples(X)
    scale = want.total_variance + 1e-300
    assert_close(found.covariance, want.covariance, "rounding", scale=scale, size=X.shape[1])
    assert_close(found.mean, want.mean, "ulps", scale=np.abs(X).max())
    assert (found.n_samples, found.rank) == (len(X), want.rank)


@pytest.mark.parametrize(
    "chunks", [(300, 4), (1, 2), ((100, 1, 149, 50), (3, 1)), (7, 4), ((0, 300), (4,))]
)
def test_any_chunks_of_rows_and_columns(chunks):
    X = 1e8 + np.random.default_rng(0).standard_normal((300, 4))
    seen: list[tuple[int, int | None]] = []
    array = da.from_array(X, chunks=chunks)
    _check(Spectrum.from_samples(array, progress=lambda *now: seen.append(now)), X)
    assert seen == [(300, 300)]


def test_float32_lazy_steps_wide_arrays_and_leading():
    X = np.random.default_rng(1).standard_normal((200, 60)).astype(np.float32)
    lazy = da.from_array(X, chunks=(64, 32)) * np.float32(2) + np.float32(3)
    _check(Spectrum.from_samples(lazy), X * np.float32(2) + np.float32(3))
    wide = da.from_array(X[:5], chunks=(2, 10))
    _check(Spectrum.from_samples(wide), X[:5])
    part = Spectrum.from_samples(lazy, leading=2, solver="iterative")
    whole = Spectrum.from_samples(lazy)
    assert_close(part.eigenvalues, whole.eigenvalues[:2])
    assert (np.abs(part.eigenvalues - whole.eigenvalues[:2]) <= part.eigenvalue_errors).all()


def test_no_task_holds_more_than_a_block(monkeypatch):
    sizes: list[int] = []
    measure = _dask._moments_of
    monkeypatch.setattr(
        _dask, "_moments_of", lambda block, start: sizes.append(len(block)) or measure(block, start)
    )
    X = da.ones((500, 3), chunks=(37, 3))
    assert Spectrum.from_samples(X).rank == 0
    assert sorted(sizes) == sorted(X.chunks[0])


def test_bad_dask_arrays():
    X = np.random.default_rng(2).standard_normal((40, 3))
    X[33, 1] = np.inf
    with pytest.raises(InputError, match="inf at row 33, column 1"):
        Spectrum.from_samples(da.from_array(X, chunks=(10, 3)))
    array = da.from_array(X, chunks=(10, 3))
    some = array[array[:, 0] > 0]
    with pytest.raises(InputError, match=r"unknown size.*compute_chunk_sizes"):
        Spectrum.from_samples(some)
    for array, message in (
        (da.zeros((3,)), r"got shape \(3,\)"),
        (da.zeros((0, 3)), r"got shape \(0, 3\)"),
        (da.zeros((4, 2), dtype=complex), "dtype complex128"),
    ):
        with pytest.raises(InputError, match=message):
            Spectrum.from_samples(array)


@pytest.mark.slow
def test_two_workers_of_a_cluster():
    """The blocks are measured in other processes, and the result is that of this one."""
    distributed = pytest.importorskip("distributed")
    X = np.random.default_rng(3).standard_normal((400, 5)) + 1e8
    array = da.from_array(X, chunks=(90, 5))
    own = array.map_blocks(_with_process, dtype=float, chunks=(array.chunks[0], (6,)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the cluster's own start and end
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
            ) as cluster,
            distributed.Client(cluster),
        ):
            found = Spectrum.from_samples(array)
            marked = Spectrum.from_samples(own)
            with pytest.raises(InputError, match=r"nan at row \d+, column 0"):
                Spectrum.from_samples(array * np.nan)
    _check(found, X)
    here = os.getpid()
    assert marked.mean[-1] != here, "nothing was computed by the workers"
    _check(Spectrum.from_samples(array), X)


def _with_process(block: np.ndarray) -> np.ndarray:
    return np.column_stack([block, np.full(len(block), float(os.getpid()))])
