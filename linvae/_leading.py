"""The leading eigenpairs of a large covariance, iteratively, with bounds on their errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._validation import FloatArray, fail

__all__ = [
    "Leading",
    "Operator",
    "check_solver",
    "leading_eigenpairs",
    "prefers_implicit",
    "prefers_iteration",
]

_EPS = float(np.finfo(np.float64).eps)
# Below this size a direct decomposition takes seconds and needs no bound.
_LARGE = 4096
# Residual of the leading block, relative to the trace, at which the iteration stops.
_TOLERANCE = 1e-9
_MAX_STEPS = 300
# Random vectors behind the bound on what is not held: it fails with probability _ALPHA^-_PROBES.
_PROBES, _ALPHA = 5, 100.0
_DEGREE = 50


@dataclass(frozen=True)
class Operator:
    """A symmetric, positive semi-definite matrix known by its products with blocks (n, b)."""

    size: int
    apply: Callable[[FloatArray], FloatArray]
    trace: float


@dataclass(frozen=True)
class Leading:
    """Eigenvalues (k,) descending, eigenvectors (n, k), and bounds on what they lack (k,)."""

    values: FloatArray
    vectors: FloatArray
    errors: FloatArray


def check_solver(solver: str, leading: int | None) -> None:
    """Refuse a solver that does not exist, or that cannot do what is asked for."""
    if solver not in ("auto", "direct", "iterative"):
        fail("solver", repr(solver), "'auto', 'direct' or 'iterative'", "omit it for 'auto'")
    if solver == "iterative" and leading is None:
        fail("solver", "'iterative' without leading", "a number of eigenpairs", "pass leading")


def prefers_iteration(solver: str, leading: int | None, size: int) -> bool:
    """Whether `leading` of `size` eigenpairs are to be found iteratively."""
    # The iteration needs room for a few blocks of `leading` vectors.
    if leading is None or 4 * leading + 20 > size or solver == "direct":
        return False
    return solver == "iterative" or (size > _LARGE and 16 * leading <= size)


def prefers_implicit(solver: str, leading: int | None, count: int, n: int) -> bool:
    """Whether products with the samples cost less than the covariance or Gram matrix of them.

    A typical run applies it to 10 blocks of `leading` vectors and 250 others, at 4 N n operations
    a vector; the covariance costs 2 N n².
    """
    if leading is None or not prefers_iteration(solver, leading, min(count, n)):
        return False
    return count < n or 2 * (10 * leading + _PROBES * _DEGREE) <= n


def leading_eigenpairs(operator: Operator, count: int) -> Leading:
    r"""Leading eigenpairs by a block Krylov iteration with restarts.

    .. math:: \theta_i \le \lambda_i \le \theta_i + \max(0, c - \theta_i)
              + \frac{2 r^2}{\eta_i + \sqrt{\eta_i^2 + 4 r^2}},
              \qquad \eta_i = \max(0, \theta_i - c)

    with the Ritz values θ, their residual r = ‖SV - VΘ‖ and c >= ‖(I - VVᵀ)S(I - VVᵀ)‖. The first
    inequality is that of Courant and Fischer; the second is Weyl's for the eigenvalues of the two
    diagonal blocks and Li and Li's (2005) for the blocks beside them. c is the smaller of the trace
    that is left and a bound from random vectors, which fails with probability 1e-10.

    The start is drawn with a fixed seed: the same matrix gives the same bits.
    """
    n, scale = operator.size, operator.trace
    if not scale:
        return Leading(np.zeros(count), np.eye(n, count), np.zeros(count))

    def apply(block: FloatArray) -> FloatArray:
        return operator.apply(block) / scale  # of trace one: no square leaves the range

    rng = np.random.default_rng(0)
    values, vectors, residual = _iterate(apply, n, count, rng)
    values = np.maximum(values, 0.0)
    left = max(0.0, 1.0 - float(values.sum()))
    outside = min(left, _norm_outside(apply, vectors, float(values[-1]), rng))
    gap = np.maximum(values - outside, 0.0)
    errors = np.maximum(outside - values, 0.0) + 2 * residual**2 / np.maximum(
        gap + np.sqrt(gap**2 + 4 * residual**2), np.finfo(np.float64).tiny
    )
    # Products are sums of n terms: the rounding that the inequalities above do not know of.
    errors = errors + n * _EPS * values[0]
    return Leading(values * scale, vectors, errors * scale)


def _iterate(
    apply: Callable[[FloatArray], FloatArray], n: int, count: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, float]:
    """Ritz values (k,), Ritz vectors (n, k), and the norm of their residual."""
    width = count + min(count, 10)
    room = min(n, max(8 * width, 200))
    basis = np.linalg.qr(rng.standard_normal((n, width)))[0]
    images = apply(basis)
    small = basis.T @ images
    for step in range(_MAX_STEPS):
        ritz, turn = np.linalg.eigh((small + small.T) / 2)
        ritz, turn = ritz[::-1][:width], turn[:, ::-1][:, :width]
        vectors, image = basis @ turn, images @ turn
        residuals = image - vectors * ritz
        residual = float(np.linalg.norm(residuals[:, :count]))
        last = step + 1 == _MAX_STEPS
        if residual <= _TOLERANCE or last or basis.shape[1] == n:
            break
        if basis.shape[1] + width > room:
            # Restart from the Ritz vectors; with their residuals they span what Lanczos would.
            basis, images, small = vectors, image, np.diag(ritz)
        new = _new_directions(basis, residuals)
        if not new.size:
            break
        image = apply(new)
        cross = basis.T @ image
        basis = np.concatenate([basis, new], axis=1)
        images = np.concatenate([images, image], axis=1)
        small = np.block([[small, cross], [cross.T, new.T @ image]])
    return ritz[:count], vectors[:, :count], residual


def _new_directions(basis: FloatArray, residuals: FloatArray) -> FloatArray:
    """Orthonormal directions of the residuals outside the basis, shape (n, at most b)."""
    norms = np.linalg.norm(residuals, axis=0)
    new = residuals[:, norms > _TOLERANCE / 100]
    new = new / np.linalg.norm(new, axis=0)
    # Twice is enough: what one projection leaves behind, the second removes.
    for _ in range(2):
        new = new - basis @ (basis.T @ new)
        new, triangle = np.linalg.qr(new)
        new = new[:, np.abs(np.diagonal(triangle)) > 1e-10]
    return np.asarray(new[:, : len(basis) - basis.shape[1]])


def _norm_outside(
    apply: Callable[[FloatArray], FloatArray],
    vectors: FloatArray,
    guess: float,
    rng: np.random.Generator,
) -> float:
    r"""Upper bound of the norm of C = (I - VVᵀ)S(I - VVᵀ), from random vectors.

    .. math:: \lVert p(C)\rVert \le 100\sqrt{2/\pi}\,\max_{i \le 5} \lVert p(C)\,\omega_i\rVert

    except with probability 1e-10, for normal ω (Halko, Martinsson and Tropp 2011, Lemma 4.1), with
    p a Chebyshev polynomial on [0, a], which beyond a grows faster than any other of its degree.
    """
    ceiling = max(guess, _EPS)
    before = _outside(rng.standard_normal((len(vectors), _PROBES)), vectors)
    now = before * -1 + (2 / ceiling) * _outside(apply(before), vectors)
    degree = 1
    while degree < _DEGREE and np.abs(now).max() < 1e100:
        image = (2 / ceiling) * _outside(apply(now), vectors) - now
        before, now = now, 2 * image - before
        degree += 1
    top = _ALPHA * np.sqrt(2 / np.pi) * float(np.linalg.norm(now, axis=0).max())
    growth = np.cosh(np.arccosh(max(top, 1.0)) / degree)
    return float(ceiling * (1 + growth) / 2)


def _outside(block: FloatArray, vectors: FloatArray) -> FloatArray:
    return np.asarray(block - vectors @ (vectors.T @ block))
