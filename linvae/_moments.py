"""Mean, covariance and eigenpairs from samples, streams and matrices, in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._validation import FloatArray, as_array, check_count, fail

__all__ = [
    "Eigen",
    "Progress",
    "descending_cumsum",
    "eigen_of_covariance",
    "eigen_of_samples",
    "eigen_of_stream",
]

Progress: TypeAlias = Callable[[int, int | None], None]
# eigenvalues (m,), eigenvectors (n, m), trace, "all other eigenvalues are zero"
Eigen: TypeAlias = tuple[FloatArray, FloatArray, float, bool]

_EPS = float(np.finfo(np.float64).eps)
# Entries of one working block: large enough for BLAS, small enough to stay near the cache.
_BLOCK_ENTRIES = 2**22
# Below this trace the squares of the deviations may have underflowed.
_TINY_TRACE = 1e-280


def descending_cumsum(values: FloatArray) -> FloatArray:
    """Sums of values[i:], shape (m + 1,), added smallest first; the last entry is 0."""
    sums = np.zeros(values.size + 1)
    with np.errstate(over="ignore"):  # a total variance of inf is refused where it is used
        sums[:-1] = values[::-1].cumsum()[::-1]
    return sums


class _Accumulator:
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
        rows = max(1, _BLOCK_ENTRIES // n_features)
        # A last column of ones makes the product with itself carry the column sums.
        self._buffer = np.empty((rows, n_features + 1))
        self._buffer[:, -1] = 1.0
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

    def add(self, chunk: NDArray[Any]) -> None:
        """Add the rows of a chunk, a block at a time."""
        rows = len(self._buffer)
        for start in range(0, len(chunk), rows):
            # Values that overflow here are refused by name, not warned about.
            with np.errstate(over="ignore", invalid="ignore"):
                self._add_block(chunk[start : start + rows])

    def _add_block(self, block: NDArray[Any]) -> None:
        size = len(block)
        if not self.count:
            self.mean = _rough_mean(block)
        buffer = self._buffer[:size]
        centred = np.subtract(block, self.mean, out=buffer[:, :-1], dtype=np.float64)
        product = np.matmul(buffer.T, buffer, out=self._product)
        off = product[-1, :-1] / size  # mean of the block, relative to `mean`
        if not np.isfinite(off).all():
            _refuse_non_finite(block, self.count)
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
            varies = bool(centred.any() or (self.count and step.any()))
            _refuse_under_and_overflow(self._trace, varies)
        self._rest += step * (size / total)
        rounded = self.mean + self._rest
        self._rest += self.mean - rounded
        self.mean = rounded
        self.count = total


def _rough_mean(block: NDArray[Any]) -> FloatArray:
    """Mean of the first rows, near enough to centre on; exact in columns that never change."""
    rows = block[:256]
    first = rows[0].astype(np.float64)
    return np.asarray(first + np.subtract(rows, first, dtype=np.float64).mean(axis=0))


def _refuse_non_finite(block: NDArray[Any], offset: int) -> None:
    bad = np.argwhere(~np.isfinite(block))
    if bad.size:
        row, column = (int(i) for i in bad[0])
        fail(
            "samples",
            f"{block[row, column]} at row {row + offset}, column {column}",
            "finite numbers only",
            "remove or impute such rows (np.isfinite finds them)",
        )
    _refuse_under_and_overflow(np.inf, True)


def _refuse_under_and_overflow(trace: float, varies: bool) -> None:
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


def eigen_of_samples(
    samples: NDArray[Any], leading: int | None, progress: Progress | None
) -> tuple[FloatArray, Eigen, int]:
    """Mean, eigenpairs and count of samples (N, n), on the smaller of the two sides."""
    count, n = samples.shape
    _check_leading(leading, n)
    if count < n:
        mean, eigen = _eigen_of_gram(samples, leading)
        if progress:
            progress(count, count)
        return mean, eigen, count
    moments = _Accumulator(n)
    step = max(1, _BLOCK_ENTRIES // n)
    for start in range(0, count, step):
        moments.add(samples[start : start + step])
        if progress:
            progress(min(start + step, count), count)
    return moments.mean, eigen_of_covariance(moments.scatter / count, leading, _EPS), count


def eigen_of_stream(
    chunks: Iterable[Any], leading: int | None, progress: Progress | None
) -> tuple[FloatArray, Eigen, int]:
    """Mean, eigenpairs and count of an iterator of chunks (N_j, n), in constant memory."""
    moments: _Accumulator | None = None
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
        if moments is None:
            _check_leading(leading, array.shape[1])
            moments = _Accumulator(array.shape[1])
        elif array.shape[1] != moments.mean.size:
            fail(
                name,
                f"{array.shape[1]} features",
                f"{moments.mean.size} as in chunk 0",
                "let every chunk have the same columns",
            )
        moments.add(array)
        if progress:
            progress(moments.count, None)
    if moments is None or moments.count == 0:
        fail("samples", "no rows", "at least one row", "check that the iterator is not used up")
    scatter = moments.scatter / moments.count
    return moments.mean, eigen_of_covariance(scatter, leading, _EPS), moments.count


def _check_leading(leading: int | None, n_features: int) -> None:
    """Refuse a `leading` outside 1..n."""
    if leading is not None:
        check_count("leading", leading, 1, n_features, "or omit it for the whole spectrum")


def eigen_of_covariance(covariance: FloatArray, leading: int | None, eps: float) -> Eigen:
    """Eigenpairs of a covariance known to relative accuracy `eps`, descending.

    What lies below n·eps of the largest eigenvalue is rounding and is returned as exactly zero,
    unless the matrix is diagonal, where every eigenvalue is known exactly.
    """
    rows, n = covariance.shape
    if rows != n:
        fail(
            "covariance",
            f"shape {covariance.shape}",
            "a square matrix",
            "for samples use Spectrum.from_samples",
        )
    _check_leading(leading, n)
    scale = float(np.abs(covariance).max())
    with np.errstate(over="ignore"):
        trace = float(np.trace(covariance))
    if not np.isfinite(trace) or scale > np.finfo(np.float64).max / 2:
        fail(
            "covariance",
            f"entries up to {scale:.3g}",
            "entries and a total variance within float64",
            "the total variance exceeds float64: divide the covariance by a constant",
        )
    slack = 100 * n * eps
    skew = float(np.abs(covariance - covariance.T).max())
    if skew > slack * scale:
        fail(
            "covariance",
            f"an asymmetric matrix (entries differ by {skew:.3g})",
            "a symmetric one",
            "average it with its transpose if that is what you mean",
        )
    diagonal = np.diagonal(covariance)
    if np.count_nonzero(covariance) == np.count_nonzero(diagonal):
        values, vectors = _eigen_of_diagonal(diagonal)
        noise = 0.0
    else:
        values, vectors = _eigen_of_dense((covariance + covariance.T) / 2, leading)
        noise = n * eps * float(values[0])
    if values[-1] < -slack * scale:
        fail(
            "covariance",
            f"an indefinite matrix (eigenvalue {values[-1]:.3g})",
            "eigenvalues >= 0",
            "a covariance has none below zero: check how it was made",
        )
    values = np.where(values > noise, values, 0.0)
    return _truncate(values, vectors, leading, trace)


def _eigen_of_diagonal(diagonal: FloatArray) -> tuple[FloatArray, FloatArray]:
    order = np.argsort(-diagonal, kind="stable")
    return diagonal[order], np.eye(diagonal.size)[:, order]


def _eigen_of_dense(matrix: FloatArray, leading: int | None) -> tuple[FloatArray, FloatArray]:
    n = len(matrix)
    if leading is not None and n > 256 and leading <= n // 4:
        from scipy.linalg import eigh  # a subset of eigenpairs costs far less for large n

        values, vectors = eigh(matrix, subset_by_index=(n - leading, n - 1))
    else:
        values, vectors = np.linalg.eigh(matrix)
    return values[::-1], vectors[:, ::-1]


def _truncate(values: FloatArray, vectors: FloatArray, leading: int | None, trace: float) -> Eigen:
    n = len(vectors)
    if leading is None or leading >= n:
        return values, vectors, float(descending_cumsum(values)[0]), True
    rest = float(values[leading:].sum()) if values.size == n else trace - float(values.sum())
    complete = rest <= n * _EPS * trace
    held = values[:leading]
    total = float(descending_cumsum(held)[0]) if complete else trace
    return held, vectors[:, :leading], total, complete


def _eigen_of_gram(samples: NDArray[Any], leading: int | None) -> tuple[FloatArray, Eigen]:
    """Eigenpairs through the N x N Gram matrix, for fewer samples than features."""
    count, n = samples.shape
    with np.errstate(over="ignore", invalid="ignore"):
        mean = _rough_mean(samples)
        centred = np.subtract(samples, mean, dtype=np.float64)
        rest = np.ones(count) @ centred / count
        if not np.isfinite(rest).all():
            _refuse_non_finite(samples, 0)
        centred -= rest
        gram = centred @ centred.T / count
    mean = mean + rest
    trace = float(np.trace(gram))
    _refuse_under_and_overflow(trace, bool(centred.any()))
    values, left = np.linalg.eigh(gram)
    values, left = values[::-1], left[:, ::-1]
    keep = max(1, int(np.count_nonzero(values > n * _EPS * values[0])))
    total = float(descending_cumsum(values[:keep])[0])
    wanted = keep if leading is None else min(leading, keep)
    # QR restores orthonormality that the division by small eigenvalues would lose.
    vectors, triangle = np.linalg.qr(centred.T @ left[:, :wanted])
    vectors *= np.where(np.diagonal(triangle) < 0, -1.0, 1.0)
    held = np.maximum(values[:wanted], 0.0)
    return mean, (held, vectors, total if wanted == keep else trace, wanted == keep)
