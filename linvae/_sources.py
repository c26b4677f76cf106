"""What samples can come as: arrays, streams, chunk sources, arrays of other libraries, dask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import eigen_of_foreign, namespace_of
from ._dask import eigen_of_dask, is_dask
from ._eigen import Eigen, check_leading, eigen_of_covariance, eigen_of_gram
from ._implicit import Blocks, eigen_implicit
from ._leading import check_solver, prefers_implicit
from ._moments import (
    Accumulator,
    Progress,
    block_rows,
    refuse_non_finite,
    refuse_under_and_overflow,
    rough_mean,
)
from ._validation import FloatArray, as_array, fail

__all__ = ["eigen_of"]

_EPS = float(np.finfo(np.float64).eps)


def eigen_of(
    samples: Any, leading: int | None, progress: Progress | None, solver: str
) -> tuple[FloatArray, Eigen, int]:
    """Mean, eigenpairs and count of samples in any form that is supported."""
    check_solver(solver, leading)
    if callable(samples):
        return _eigen_of_source(samples, leading, progress, solver)
    if isinstance(samples, Iterable) and hasattr(samples, "__next__"):
        return _eigen_of_stream(samples, leading, progress, solver)
    if is_dask(samples):
        _check_shape(samples.shape)
        return eigen_of_dask(samples, leading, progress, solver, _eigen_of_array)
    namespace = namespace_of(samples)
    if namespace is not None:
        _check_shape(tuple(samples.shape))
        return eigen_of_foreign(namespace, samples, leading, progress, solver)
    array = as_array("samples", samples)
    _check_shape(array.shape)
    return _eigen_of_array(array, leading, progress, solver)


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or 0 in shape:
        fail(
            "samples",
            f"shape {shape}",
            "a non-empty array (N samples, n features)",
            "use X.reshape(len(X), -1) for images, or X[:, None] for one feature",
        )


def _eigen_of_array(
    samples: NDArray[Any], leading: int | None, progress: Progress | None, solver: str
) -> tuple[FloatArray, Eigen, int]:
    """On the smaller of the two sides, or without either matrix."""
    count, n = samples.shape
    check_leading(leading, n)
    step = block_rows(n)
    starts = range(0, count, step)
    if leading is not None and prefers_implicit(solver, leading, count, n):

        def blocks() -> Iterator[NDArray[Any]]:
            return (samples[start : start + step] for start in starts)

        return eigen_implicit(blocks, leading, progress, count)
    if count < n:
        mean, eigen = _eigen_of_wide(samples, leading)
        if progress:
            progress(count, count)
        return mean, eigen, count
    moments = Accumulator(n)
    for start in starts:
        moments.add(samples[start : start + step])
        if progress:
            progress(min(start + step, count), count)
    return moments.mean, eigen_of_covariance(_covariance(moments), leading, _EPS, solver), count


def _eigen_of_wide(samples: NDArray[Any], leading: int | None) -> tuple[FloatArray, Eigen]:
    """Eigenpairs through the N x N Gram matrix, for fewer samples than features."""
    count, n = samples.shape
    with np.errstate(over="ignore", invalid="ignore"):
        mean = rough_mean(samples)
        centred = np.subtract(samples, mean, dtype=np.float64)
        rest = np.ones(count) @ centred / count
        if not np.isfinite(rest).all():
            refuse_non_finite(samples, 0)
        centred -= rest
        gram = centred @ centred.T / count
    refuse_under_and_overflow(float(np.trace(gram)), bool(centred.any()))
    return mean + rest, eigen_of_gram(gram, n, leading, lambda left: np.asarray(centred.T @ left))


def _covariance(moments: Accumulator) -> FloatArray:
    covariance = moments.scatter
    covariance /= moments.count  # in place: of large matrices one is enough
    return covariance


def _chunks(chunks: Iterable[Any]) -> Iterator[NDArray[Any]]:
    """Chunks as NumPy arrays of one width."""
    width = None
    for number, chunk in enumerate(chunks):
        name = f"samples, chunk {number}"
        array = as_array(name, chunk)
        if array.ndim != 2 or array.shape[1] == 0:
            fail(
                name,
                f"shape {array.shape}",
                "an array (rows, n features)",
                "let the iterator yield two-dimensional arrays",
            )
        if width is not None and array.shape[1] != width:
            fail(
                name,
                f"{array.shape[1]} features",
                f"{width} as in chunk 0",
                "let every chunk have the same columns",
            )
        width = array.shape[1]
        yield array


def _eigen_of_stream(
    chunks: Iterable[Any], leading: int | None, progress: Progress | None, solver: str
) -> tuple[FloatArray, Eigen, int]:
    """One pass in constant memory."""
    moments: Accumulator | None = None
    for array in _chunks(chunks):
        if moments is None:
            check_leading(leading, array.shape[1])
            moments = Accumulator(array.shape[1])
        moments.add(array)
        if progress:
            progress(moments.count, None)
    if moments is None or moments.count == 0:
        fail("samples", "no rows", "at least one row", "check that the iterator is not used up")
    mean, count = moments.mean, moments.count
    return mean, eigen_of_covariance(_covariance(moments), leading, _EPS, solver), count


def _eigen_of_source(
    source: Any, leading: int | None, progress: Progress | None, solver: str
) -> tuple[FloatArray, Eigen, int]:
    """A callable that starts the stream anew: as many passes as are worth it."""
    first = next((array for array in _chunks(source()) if len(array)), None)
    if first is None:
        fail("samples", "no rows", "at least one row", "check what the source yields")
    n = first.shape[1]
    check_leading(leading, n)
    # How many rows will come is not known: the n x n side is what can be avoided.
    if leading is None or not prefers_implicit(solver, leading, n, n):
        return _eigen_of_stream(source(), leading, progress, solver)
    return eigen_implicit(_pieces(source, block_rows(n)), leading, progress, None)


def _pieces(source: Any, step: int) -> Blocks:
    def blocks() -> Iterator[NDArray[Any]]:
        for chunk in _chunks(source()):
            for start in range(0, len(chunk), step):
                yield chunk[start : start + step]

    return blocks
