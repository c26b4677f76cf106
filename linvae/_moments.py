"""Count, mean and scatter of rows that come in blocks, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._validation import FloatArray, fail

__all__ = [
    "Accumulator",
    "Moments",
    "Progress",
    "block_rows",
    "refuse_non_finite",
    "refuse_under_and_overflow",
    "rough_mean",
]

Progress: TypeAlias = Callable[[int, int | None], None]

# Entries of one working block: large enough for BLAS, small enough to stay near the cache.
_BLOCK_ENTRIES = 2**22
# Below this trace the squares of the deviations may have underflowed.
_TINY_TRACE = 1e-280


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of some rows, ready to be sent to another process and merged there."""

    count: int
    mean: FloatArray  # shape: (n,)
    rest: FloatArray  # true mean minus `mean`, shape: (n,)
    scatter: FloatArray  # sum of (x - mean)(x - mean)ᵀ, shape: (n, n)


def block_rows(n_features: int) -> int:
    """Rows of one working block."""
    return max(1, _BLOCK_ENTRIES // n_features)


class Accumulator:
    """Count, mean and scatter matrix of blocks of rows, merged as they come.

    Each block is centred on the mean so far, which is held as a float64 number plus what rounding
    left out: with a common offset of 1e8 no digit of the deviations is lost, and columns that never
    change have a variance of exactly zero.
    """

    def __init__(self, n_features: int) -> None:
        self.count = 0
        self.mean = np.zeros(n_features)
        self._rest = np.zeros(n_features)  # true mean minus `mean`
        self._trace = 0.0
        self._products = np.zeros((n_features, n_features))
        # Rank-one terms of the scatter, weight · v vᵀ, added up many at a time.
        self._vectors: list[FloatArray] = []
        self._weights: list[float] = []
        self._buffer = np.empty((0, n_features + 1))
        # Scratch space, so that no block waits for fresh memory.
        self._product = np.empty((n_features + 1, n_features + 1))

    @property
    def scatter(self) -> FloatArray:
        """Sum of (x - mean)(x - mean)ᵀ over all rows so far."""
        self._settle()
        return self._products

    def _settle(self) -> None:
        if self._vectors:
            vectors = np.stack(self._vectors)
            self._products += (vectors.T * np.array(self._weights)) @ vectors
            self._vectors, self._weights = [], []

    @property
    def moments(self) -> Moments:
        """A copy of what has been added so far."""
        return Moments(self.count, self.mean, self._rest.copy(), self.scatter.copy())

    def merge(self, other: Moments) -> None:
        """Add rows of which only the moments are known, however many on either side."""
        if not other.count:
            return
        if not self.count:
            self.mean = other.mean
            self._rest = other.rest.copy()
        total = self.count + other.count
        with np.errstate(over="ignore", invalid="ignore"):
            step = (other.mean - self.mean) + (other.rest - self._rest)
            weight = self.count * (other.count / total)
            self._products += other.scatter
            self._products += (weight * step)[:, None] * step
            self._trace += float(np.trace(other.scatter)) + float(weight * (step @ step))
            self._check_range(bool(other.scatter.any() or (self.count and step.any())))
            self._advance(step * (other.count / total), total)

    def _check_range(self, varies: bool) -> None:
        if not _TINY_TRACE <= self._trace < np.inf:
            refuse_under_and_overflow(self._trace, varies)

    def _advance(self, shift: FloatArray, total: int) -> None:
        self._rest += shift
        rounded = self.mean + self._rest
        self._rest += self.mean - rounded
        self.mean = rounded
        self.count = total

    def add(self, chunk: NDArray[Any]) -> None:
        """Add the rows of a chunk, a block at a time."""
        rows = block_rows(self.mean.size)
        if len(self._buffer) < min(rows, len(chunk)):
            self._buffer = np.empty((min(rows, len(chunk)), self.mean.size + 1))
            # A last column of ones makes the product with itself carry the column sums.
            self._buffer[:, -1] = 1.0
        for start in range(0, len(chunk), rows):
            # Values that overflow here are refused by name, not warned about.
            with np.errstate(over="ignore", invalid="ignore"):
                self._add_block(chunk[start : start + rows])

    def _add_block(self, block: NDArray[Any]) -> None:
        size = len(block)
        if not self.count:
            self.mean = rough_mean(block)
        buffer = self._buffer[:size]
        centred = np.subtract(block, self.mean, out=buffer[:, :-1], dtype=np.float64)
        product = np.matmul(buffer.T, buffer, out=self._product)
        off = product[-1, :-1] / size  # mean of the block, relative to `mean`
        if not np.isfinite(off).all():
            refuse_non_finite(block, self.count)
        total = self.count + size
        step = off - self._rest
        # Scatter of a union = both scatters, each about its own mean, + the spread of the means.
        self._products += product[:-1, :-1]
        self._vectors += [off, step]
        weights = [-size, self.count * (size / total)]
        self._weights += weights
        if len(self._vectors) >= 64:
            self._settle()
        self._trace += float(np.trace(product[:-1, :-1]))
        self._trace += float(weights[0] * (off @ off) + weights[1] * (step @ step))
        if not _TINY_TRACE <= self._trace < np.inf:
            self._check_range(bool(centred.any() or (self.count and step.any())))
        self._advance(step * (size / total), total)


def rough_mean(block: NDArray[Any]) -> FloatArray:
    """Mean of the first rows, near enough to centre on; exact in columns that never change."""
    rows = block[:256]
    first = rows[0].astype(np.float64)
    return np.asarray(first + np.subtract(rows, first, dtype=np.float64).mean(axis=0))


def refuse_non_finite(block: NDArray[Any], offset: int) -> None:
    """Name the first entry that is not finite."""
    bad = np.argwhere(~np.isfinite(block))
    if bad.size:
        row, column = (int(i) for i in bad[0])
        fail(
            "samples",
            f"{block[row, column]} at row {row + offset}, column {column}",
            "finite numbers only",
            "remove or impute such rows (np.isfinite finds them)",
        )
    refuse_under_and_overflow(np.inf, True)


def refuse_under_and_overflow(trace: float, varies: bool) -> None:
    """Refuse a total variance that float64 cannot hold."""
    if not np.isfinite(trace):
        fail(
            "samples",
            "values whose squares exceed float64",
            "magnitudes below 1e150",
            "divide the data by a constant (and the noise variance by its square)",
        )
    if trace < _TINY_TRACE and varies:
        fail(
            "samples",
            "values whose squares vanish in float64",
            "deviations above 1e-140",
            "multiply the data by a constant (and the noise variance by its square)",
        )
