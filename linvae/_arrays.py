"""Moments of arrays of other libraries, computed where they are, through the array API."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._eigen import Eigen, check_leading, eigen_of_covariance, eigen_of_gram
from ._implicit import eigen_implicit
from ._leading import prefers_implicit
from ._moments import Progress, block_rows, refuse_non_finite, refuse_under_and_overflow
from ._validation import FloatArray, as_array

__all__ = ["eigen_of_foreign", "namespace_of"]

_EPS = float(np.finfo(np.float64).eps)


def namespace_of(value: Any) -> Any:
    """The array API namespace of another library's array that can hold float64; else None.

    Where it is None the array goes through NumPy, which names what it cannot read.
    """
    if isinstance(value, np.ndarray | np.generic):
        return None
    if hasattr(value, "__array_namespace__"):
        space = value.__array_namespace__()
    elif type(value).__module__.partition(".")[0] in ("torch", "cupy"):
        try:
            space = import_module("array_api_compat").array_namespace(value)
        except ImportError:
            return None
    else:
        return None
    return space if _is_real_and_dense(space, value) else None


def _is_real_and_dense(space: Any, value: Any) -> bool:
    if getattr(value, "ndim", 0) != 2 or getattr(value, "is_sparse", False):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a library that would quietly use float32
            real = space.isdtype(value.dtype, ("bool", "integral", "real floating"))
            return bool(real and _double(space, value[:1, :]).dtype == space.float64)
    except (AttributeError, TypeError, RuntimeError, ValueError):
        return False


def _double(space: Any, block: Any) -> Any:
    if hasattr(block, "detach"):  # torch: no graph is wanted
        block = block.detach()
    return space.astype(block, space.float64)


def _host(array: Any) -> NDArray[Any]:
    return as_array("samples", array.get() if hasattr(array, "get") else array)


class _Moments:
    """Count, mean and scatter on the device: the arithmetic of the NumPy accumulator."""

    def __init__(self, space: Any, first: Any) -> None:
        self.space = space
        self.count = 0
        rows = _double(space, first[:256, :])
        # About the first row, so that columns that never change stay exact.
        self.mean = rows[0, :] + space.mean(rows - rows[:1, :], axis=0)
        self.rest = space.zeros_like(self.mean)
        self.scatter: Any = 0.0

    def add(self, block: Any) -> None:
        space, size = self.space, block.shape[0]
        centred = _double(space, block) - self.mean
        off = space.mean(centred, axis=0)
        if not bool(space.all(space.isfinite(off))):
            with np.errstate(all="ignore"):
                refuse_non_finite(_host(block), self.count)
        total = self.count + size
        step = off - self.rest
        product = space.matmul(space.matrix_transpose(centred), centred)
        product = product - size * _outer(off) + (self.count * (size / total)) * _outer(step)
        self.scatter = self.scatter + product
        rest = self.rest + step * (size / total)
        mean = self.mean + rest
        self.rest = rest + (self.mean - mean)
        self.mean = mean
        self.count = total


def _outer(vector: Any) -> Any:
    return vector[:, None] * vector[None, :]


def eigen_of_foreign(
    space: Any, samples: Any, leading: int | None, progress: Progress | None, solver: str
) -> tuple[FloatArray, Eigen, int]:
    """Mean, eigenpairs and count; n x n, or N x N when that is smaller, comes to NumPy."""
    count, n = (int(size) for size in samples.shape)
    check_leading(leading, n)
    step = block_rows(n)
    if leading is not None and count < n and prefers_implicit(solver, leading, count, n):

        def blocks() -> Iterator[NDArray[Any]]:
            return (_host(samples[i : i + step, :]) for i in range(0, count, step))

        return eigen_implicit(blocks, leading, progress, count)
    if count < n:
        mean, eigen = _eigen_of_wide(space, samples, leading)
        if progress:
            progress(count, count)
        return mean, eigen, count
    moments = _Moments(space, samples)
    for start in range(0, count, step):
        moments.add(samples[start : start + step, :])
        if progress:
            progress(moments.count, count)
    covariance = np.array(_host(moments.scatter)) / count
    varies = bool(space.any(samples != samples[:1, :])) if not covariance.any() else True
    refuse_under_and_overflow(float(np.trace(covariance)) * count, varies)
    covariance = (covariance + covariance.T) / 2  # some devices round xᵀx unevenly
    mean = np.array(_host(moments.mean))
    return mean, eigen_of_covariance(covariance, leading, _EPS, solver), count


def _eigen_of_wide(space: Any, samples: Any, leading: int | None) -> tuple[FloatArray, Eigen]:
    moments = _Moments(space, samples)
    centred = _double(space, samples) - moments.mean
    rest = space.mean(centred, axis=0)
    if not bool(space.all(space.isfinite(rest))):
        refuse_non_finite(_host(samples), 0)
    centred = centred - rest
    turned = space.matrix_transpose(centred)
    gram = np.array(_host(space.matmul(centred, turned))) / int(samples.shape[0])
    refuse_under_and_overflow(float(np.trace(gram)), bool(space.any(centred != 0)))

    def project(left: FloatArray) -> FloatArray:
        there = space.asarray(np.ascontiguousarray(left), device=samples.device)
        return np.array(_host(space.matmul(turned, there)), dtype=np.float64)

    mean = np.array(_host(moments.mean + rest))
    return mean, eigen_of_gram((gram + gram.T) / 2, int(samples.shape[1]), leading, project)
