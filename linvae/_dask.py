"""Moments of dask arrays, block by block where the scheduler puts them, merged in a tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._eigen import Eigen, check_leading, eigen_of_covariance
from ._moments import Accumulator, Moments, Progress, refuse_non_finite
from ._validation import FloatArray, as_array, fail

__all__ = ["eigen_of_dask", "is_dask"]

_EPS = float(np.finfo(np.float64).eps)
_TOGETHER = 4  # moments merged by one task

Result: TypeAlias = tuple[FloatArray, Eigen, int]


def is_dask(value: Any) -> bool:
    """Whether this is a dask array; dask is not imported to find out."""
    kind = type(value)
    return kind.__module__.startswith("dask.array") and kind.__name__ == "Array"


def eigen_of_dask(
    samples: Any,
    leading: int | None,
    progress: Progress | None,
    solver: str,
    in_memory: Callable[[NDArray[Any], int | None, Progress | None, str], Result],
) -> Result:
    """Mean, eigenpairs and count; threads of this process, or the Client where there is one."""
    if any(size != size for sizes in samples.chunks for size in sizes):
        fail(
            "samples",
            "a dask array with chunks of unknown size",
            "known chunk sizes",
            "call X.compute_chunk_sizes() first",
        )
    count, n = (int(size) for size in samples.shape)
    check_leading(leading, n)
    if count < n:  # the data take less room than their covariance
        return in_memory(as_array("samples", samples.compute()), leading, progress, solver)
    moments = _tree(samples.rechunk({1: n})).compute()
    if progress:
        progress(count, count)
    covariance = moments.scatter / count
    return moments.mean, eigen_of_covariance(covariance, leading, _EPS, solver), count


def _tree(samples: Any) -> Any:
    """A delayed value: the moments of all blocks."""
    from dask import delayed

    measure, merge = delayed(_moments_of, pure=True), delayed(_merged, pure=True)
    blocks = samples.to_delayed().ravel()
    starts = np.concatenate([[0], np.cumsum(samples.chunks[0])])
    level = [measure(block, int(start)) for block, start in zip(blocks, starts, strict=False)]
    while len(level) > 1:
        level = [merge(level[i : i + _TOGETHER]) for i in range(0, len(level), _TOGETHER)]
    return level[0]


def _moments_of(block: Any, start: int) -> Moments:
    array = as_array("samples", block)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        refuse_non_finite(array, start)
    moments = Accumulator(array.shape[1])
    moments.add(array)
    return moments.moments


def _merged(parts: list[Moments]) -> Moments:
    merged = Accumulator(parts[0].mean.size)
    for part in parts:
        merged.merge(part)
    return merged.moments
