"""Eigenpairs of covariance and Gram matrices, directly or iteratively, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, NoReturn

import numpy as np

from ._leading import Operator, leading_eigenpairs, prefers_iteration
from ._validation import FloatArray, check_count, fail

__all__ = [
    "Eigen",
    "check_leading",
    "descending_cumsum",
    "eigen_of_covariance",
    "eigen_of_gram",
    "eigen_of_leading",
]

_EPS = float(np.finfo(np.float64).eps)
_ROWS = 1024  # of a large matrix, looked at together


class Eigen(NamedTuple):
    """Eigenpairs of a covariance, descending, and what is known of the rest."""

    values: FloatArray  # shape: (m,)
    vectors: FloatArray  # shape: (n, m)
    trace: float
    complete: bool  # all other eigenvalues are zero
    errors: FloatArray | None = None  # bounds (m,) on what iterative values lack


def descending_cumsum(values: FloatArray) -> FloatArray:
    """Sums of values[i:], shape (m + 1,), added smallest first; the last entry is 0."""
    sums = np.zeros(values.size + 1)
    with np.errstate(over="ignore"):  # a total variance of inf is refused where it is used
        sums[:-1] = values[::-1].cumsum()[::-1]
    return sums


def check_leading(leading: int | None, n_features: int) -> None:
    """Refuse a `leading` outside 1..n."""
    if leading is not None:
        check_count("leading", leading, 1, n_features, "or omit it for the whole spectrum")


def eigen_of_covariance(
    covariance: FloatArray, leading: int | None, eps: float, solver: str = "auto"
) -> Eigen:
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
    check_leading(leading, n)
    scale, skew = _size_and_skew(covariance)
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
    if skew > slack * scale:
        fail(
            "covariance",
            f"an asymmetric matrix (entries differ by {skew:.3g})",
            "a symmetric one",
            "average it with its transpose if that is what you mean",
        )
    diagonal = np.diagonal(covariance)
    noise, errors = 0.0, None
    if np.count_nonzero(covariance) == np.count_nonzero(diagonal):
        values, vectors = _eigen_of_diagonal(diagonal, leading)
    elif leading is not None and trace > 0 and prefers_iteration(solver, leading, n):
        operator = Operator(n, lambda block: np.asarray(covariance @ block), trace)
        found = leading_eigenpairs(operator, leading)
        values, vectors = found.values, found.vectors
        noise = n * eps * float(values[0])
        errors = found.errors + np.where(values > noise, 0.0, values)
        if values.sum() - trace > slack * scale:
            _refuse_indefinite(trace - float(values.sum()), "a sum of the others of")
    else:
        values, vectors = _eigen_of_dense(covariance, leading)
        noise = n * eps * float(values[0])
    if values[-1] < -slack * scale:
        _refuse_indefinite(float(values[-1]), "eigenvalue")
    values = np.where(values > noise, values, 0.0)
    return _truncate(values, vectors, leading, trace, errors)


def _refuse_indefinite(value: float, what: str) -> NoReturn:
    fail(
        "covariance",
        f"an indefinite matrix ({what} {value:.3g})",
        "eigenvalues >= 0",
        "a covariance has none below zero: check how it was made",
    )


def _size_and_skew(matrix: FloatArray) -> tuple[float, float]:
    """Largest entry and largest asymmetry, a few rows at a time: no second matrix is made."""
    scale = skew = 0.0
    for start in range(0, len(matrix), _ROWS):
        rows, columns = matrix[start : start + _ROWS], matrix[:, start : start + _ROWS]
        scale = max(scale, float(rows.max()), -float(rows.min()))
        with np.errstate(over="ignore"):
            skew = max(skew, float(np.abs(rows - columns.T).max()))
    return scale, skew


def _eigen_of_diagonal(diagonal: FloatArray, leading: int | None) -> tuple[FloatArray, FloatArray]:
    order = np.argsort(-diagonal, kind="stable")
    vectors = np.zeros((diagonal.size, leading or diagonal.size))
    vectors[order[: vectors.shape[1]], np.arange(vectors.shape[1])] = 1.0
    return diagonal[order], vectors


def _eigen_of_dense(matrix: FloatArray, leading: int | None) -> tuple[FloatArray, FloatArray]:
    n = len(matrix)
    matrix = (matrix + matrix.T) / 2
    if leading is not None and n > 256 and leading <= n // 4:
        from scipy.linalg import eigh  # a subset of eigenpairs costs far less for large n

        values, vectors = eigh(matrix, subset_by_index=(n - leading, n - 1), overwrite_a=True)
    else:
        values, vectors = np.linalg.eigh(matrix)
    return values[::-1], vectors[:, ::-1]


def _truncate(
    values: FloatArray,
    vectors: FloatArray,
    leading: int | None,
    trace: float,
    errors: FloatArray | None = None,
) -> Eigen:
    n = len(vectors)
    if leading is None or leading >= n:
        return Eigen(values, vectors, float(descending_cumsum(values)[0]), True)
    rest = float(values[leading:].sum()) if values.size == n else trace - float(values.sum())
    complete = rest <= n * _EPS * trace
    held = values[:leading]
    total = float(descending_cumsum(held)[0]) if complete else trace
    return Eigen(held, vectors[:, :leading], total, complete, errors)


def eigen_of_leading(operator: Operator, leading: int) -> Eigen:
    """Leading eigenpairs of a covariance known by its products."""
    found = leading_eigenpairs(operator, leading)
    noise = operator.size * _EPS * float(found.values[0])
    small = np.where(found.values > noise, 0.0, found.values)
    errors = found.errors + small  # what is returned as zero is off by itself
    return _truncate(found.values - small, found.vectors, leading, operator.trace, errors)


def eigen_of_gram(
    gram: FloatArray, n: int, leading: int | None, project: Callable[[FloatArray], FloatArray]
) -> Eigen:
    """Eigenpairs through the N x N Gram matrix XXᵀ/N of centred samples.

    `project` takes left singular vectors (N, m) to XᵀL, shape (n, m).
    """
    trace = float(np.trace(gram))
    values, left = np.linalg.eigh(gram)
    values, left = values[::-1], left[:, ::-1]
    keep = max(1, int(np.count_nonzero(values > n * _EPS * values[0])))
    total = float(descending_cumsum(values[:keep])[0])
    wanted = keep if leading is None else min(leading, keep)
    # QR restores orthonormality that the division by small eigenvalues would lose.
    vectors, triangle = np.linalg.qr(project(left[:, :wanted]))
    vectors *= np.where(np.diagonal(triangle) < 0, -1.0, 1.0)
    held = np.maximum(values[:wanted], 0.0)
    return Eigen(held, vectors, total if wanted == keep else trace, wanted == keep)
