"""Covariances known by their products alone, from rows that can be read several times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._eigen import Eigen, eigen_of_leading
from ._leading import Operator
from ._moments import Progress, refuse_non_finite, refuse_under_and_overflow, rough_mean
from ._validation import FloatArray, fail

__all__ = ["Blocks", "eigen_implicit"]

# Called for each pass: yields the same blocks of rows every time.
Blocks: TypeAlias = Callable[[], Iterator[NDArray[Any]]]


def eigen_implicit(
    blocks: Blocks, leading: int, progress: Progress | None, total: int | None
) -> tuple[FloatArray, Eigen, int]:
    """Mean, leading eigenpairs and count; no n x n matrix is made, each product reads all rows."""
    count, mean, rest = _mean_of(blocks, progress, total)
    trace = _trace_of(blocks, count, mean, rest)

    def apply(vectors: FloatArray) -> FloatArray:
        product = np.zeros_like(vectors)
        rows = 0
        for block in blocks():
            centred = np.subtract(block, mean, dtype=np.float64)
            product += centred.T @ (centred @ vectors)
            rows += len(block)
        _check_same(rows, count)
        # The mean as held is off by `rest`, which adds rest restᵀ to the covariance.
        return np.asarray(product / count - rest[:, None] * (rest @ vectors))

    return mean, eigen_of_leading(Operator(mean.size, apply, trace), leading), count


def _mean_of(
    blocks: Blocks, progress: Progress | None, total: int | None
) -> tuple[int, FloatArray, FloatArray]:
    """Count of rows, their mean in float64, and what rounding left out of it."""
    count = 0
    reference = sums = np.zeros(0)
    for block in blocks():
        if not len(block):
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            if not count:
                reference = rough_mean(block)
                sums = np.zeros_like(reference)
            part = np.subtract(block, reference, dtype=np.float64).sum(axis=0)
            sums += part
        if not np.isfinite(sums).all():
            refuse_non_finite(block, count)
        count += len(block)
        if progress:
            progress(count, total)
    if not count:
        fail("samples", "no rows", "at least one row", "let each call start a fresh iterator")
    off = sums / count
    mean = reference + off
    return count, mean, np.asarray((reference - mean) + off)


def _trace_of(blocks: Blocks, count: int, mean: FloatArray, rest: FloatArray) -> float:
    squares, rows, varies = 0.0, 0, False
    for block in blocks():
        with np.errstate(over="ignore"):
            centred = np.subtract(block, mean, dtype=np.float64)
            squares += float(np.vdot(centred, centred))
        rows += len(block)
        if squares < 1e-200:  # identical rows, or deviations whose squares underflow
            varies = varies or bool(centred.any())
    _check_same(rows, count)
    trace = squares / count - float(rest @ rest)
    refuse_under_and_overflow(trace, varies)
    return max(0.0, trace)


def _check_same(rows: int, count: int) -> None:
    if rows != count:
        fail(
            "samples",
            f"{count} rows at first and {rows} when read again",
            "the same rows every time",
            "let the source return a fresh iterator over the same chunks at each call",
        )
