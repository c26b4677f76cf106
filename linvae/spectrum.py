"""The data, reduced to what a linear VAE can see of it: mean and covariance eigenpairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._eigen import Eigen, descending_cumsum, eigen_of_covariance
from ._leading import check_solver
from ._moments import Progress
from ._sources import eigen_of
from ._types import Sealed
from ._validation import (
    FloatArray,
    as_array,
    as_matrix,
    as_vector,
    check_count,
    check_generator,
    fail,
    frozen,
)
from .errors import PartialSpectrumError

__all__ = ["Spectrum"]


@dataclass(frozen=True, eq=False)
class Spectrum(Sealed):
    r"""Mean and covariance spectrum of a data set or a distribution.

    .. math:: S = \tfrac1N \sum_x (x-\mu)(x-\mu)^\top = \sum_i \lambda_i u_i u_i^\top

    Build one with :meth:`from_samples`, :meth:`from_covariance` or :meth:`from_eigenvalues`.
    The covariance is the population one (``ddof = 0``), as the objective of a VAE averages over
    samples. Eigenvectors are unique only up to sign, and up to rotation inside ties.

    Attributes
    ----------
    mean : ndarray, shape (n,)
    eigenvalues : ndarray, shape (m,)
        Descending, >= 0, in squared data units; m <= n.
    eigenvectors : ndarray, shape (n, m)
        Orthonormal columns.
    total_variance : float
        The exact trace of S, also when only m < n eigenpairs are held.
    complete : bool
        True when every eigenvalue that is not held is zero; False for a leading-k spectrum.
    n_samples : int or None
        Number of samples behind S; None for a population.
    eigenvalue_errors : ndarray, shape (m,), or None
        Bounds on the distance to the true eigenvalues when an iterative solver found them, in
        squared data units; None when a direct decomposition left only rounding.
    """

    mean: FloatArray  # shape: (n,)
    eigenvalues: FloatArray  # shape: (m,)
    eigenvectors: FloatArray  # shape: (n, m)
    total_variance: float
    complete: bool
    n_samples: int | None = None
    eigenvalue_errors: FloatArray | None = None  # shape: (m,)

    def __post_init__(self) -> None:
        mean = as_vector("mean", self.mean)
        values = as_vector("eigenvalues", self.eigenvalues)
        vectors = as_matrix("eigenvectors", self.eigenvectors, "(n, m)")
        if (values < 0).any() or (np.diff(values) > 0).any():
            fail(
                "eigenvalues",
                "unsorted or negative values",
                "descending and >= 0",
                "use Spectrum.from_eigenvalues, which sorts",
            )
        if vectors.shape != (mean.size, values.size) or values.size > mean.size:
            fail(
                "eigenvectors",
                f"shape {vectors.shape}",
                f"({mean.size}, {values.size})",
                "give one column per eigenvalue, one row per feature",
            )
        if not (np.isfinite(self.total_variance) and self.total_variance >= 0):
            fail(
                "total_variance",
                self.total_variance,
                "a finite number >= 0",
                "rescale the data if the total variance exceeds float64",
            )
        if self.n_samples is not None:
            check_count("n_samples", self.n_samples, 1, None, "pass None for a population")
        for name, array in (("mean", mean), ("eigenvalues", values), ("eigenvectors", vectors)):
            object.__setattr__(self, name, frozen(array))
        if self.eigenvalue_errors is not None:
            errors = as_vector("eigenvalue_errors", self.eigenvalue_errors, values.size)
            object.__setattr__(self, "eigenvalue_errors", frozen(errors))
        object.__setattr__(self, "total_variance", float(self.total_variance))

    @classmethod
    def from_samples(
        cls,
        samples: Any,
        *,
        leading: int | None = None,
        progress: Progress | None = None,
        solver: str = "auto",
    ) -> Spectrum:
        r"""Compute the spectrum of samples, one row each.

        .. math:: \mu = \tfrac1N \sum_x x, \qquad S = \tfrac1N \sum_x (x-\mu)(x-\mu)^\top

        Parameters
        ----------
        samples : array (N, n), dask array, iterator of arrays (N_j, n), or chunk source
            Any float, integer or bool dtype, C or Fortran order, in memory or memory-mapped;
            accumulated in float64, centred block by block, so a large common mean costs no
            accuracy. An iterator is streamed in constant memory (``iter(chunks)`` for a list); a
            callable that returns a fresh iterator may be read several times. Arrays of other
            libraries that follow the array API stay on their device, and so do torch and cupy
            arrays where array-api-compat is installed. dask arrays are measured block by block, by
            threads or by the ``distributed.Client`` where there is one.
        leading : int, optional
            Keep only this many eigenpairs (and the exact total variance). With N < n the n x n
            covariance is never formed.
        progress : callable(rows_done, rows_total or None), optional
            Called after every block of the first pass; for dask, once, at the end.
        solver : {"auto", "direct", "iterative"}
            How leading eigenpairs are found: "auto" iterates when both sides are large and few
            pairs are wanted, and then states ``eigenvalue_errors``; these bounds fail with
            probability at most 1e-10. Ignored where the iteration has no room (4 k + 20 > n).

        Returns
        -------
        Spectrum

        Raises
        ------
        InputError
            Empty, 1-d, ragged, complex, text, NaN or infinite input, chunks of unequal width, or
            variances too large or too small for float64.

        Notes
        -----
        Equals ``numpy.cov(samples.T, bias=True)`` followed by ``numpy.linalg.eigh``.
        """
        return cls._build(*eigen_of(samples, leading, progress, solver))

    @classmethod
    def from_covariance(
        cls,
        covariance: Any,
        *,
        mean: Any = None,
        n_samples: int | None = None,
        leading: int | None = None,
        solver: str = "auto",
    ) -> Spectrum:
        r"""Compute the spectrum of a given covariance matrix.

        .. math:: S = U \operatorname{diag}(\lambda) U^\top

        Parameters
        ----------
        covariance : array (n, n)
            Symmetric and positive semi-definite up to rounding in its own dtype.
        mean : array (n,), optional
            Zero when omitted.
        n_samples : int, optional
            Number of samples behind the covariance, if it was estimated.
        leading : int, optional
            Keep only this many eigenpairs and the exact trace.
        solver : {"auto", "direct", "iterative"}
            As of :meth:`from_samples`.

        Returns
        -------
        Spectrum

        Raises
        ------
        InputError
            Not square, asymmetric, indefinite, NaN or infinite.
        """
        raw = as_array("covariance", covariance)
        matrix = as_matrix("covariance", raw, "(n, n)")
        eps = float(np.finfo(raw.dtype).eps) if raw.dtype.kind == "f" else 2.0**-52
        check_solver(solver, leading)
        eigen = eigen_of_covariance(matrix, leading, eps, solver)
        center = np.zeros(len(matrix)) if mean is None else as_vector("mean", mean, len(matrix))
        return cls._build(center, eigen, n_samples)

    @classmethod
    def from_eigenvalues(
        cls,
        eigenvalues: Any,
        *,
        eigenvectors: Any = None,
        mean: Any = None,
        n_samples: int | None = None,
    ) -> Spectrum:
        r"""Build a complete spectrum from chosen eigenvalues, along the axes by default.

        .. math:: S = \sum_i \lambda_i u_i u_i^\top

        Parameters
        ----------
        eigenvalues : array (n,)
            In any order; sorted here, eigenvectors along with them.
        eigenvectors : array (n, n), optional
            Orthonormal columns; the identity when omitted.
        mean : array (n,), optional
        n_samples : int, optional

        Returns
        -------
        Spectrum

        Raises
        ------
        InputError
            Negative eigenvalues, or eigenvectors that are not orthonormal.
        """
        values = as_vector("eigenvalues", eigenvalues)
        n = values.size
        vectors = np.eye(n) if eigenvectors is None else as_matrix("eigenvectors", eigenvectors)
        if (values < 0).any():
            fail("eigenvalues", values.min(), "numbers >= 0", "variances cannot be negative")
        with np.errstate(over="ignore", invalid="ignore"):
            skew = np.abs(vectors.T @ vectors - np.eye(vectors.shape[1])).max()
        if vectors.shape != (n, n) or not skew <= 1e-8:  # written so that NaN fails
            fail(
                "eigenvectors",
                f"shape {vectors.shape}, not orthonormal columns",
                f"an orthogonal ({n}, {n}) matrix",
                "take them from numpy.linalg.qr",
            )
        order = np.argsort(-values, kind="stable")
        values = values[order]
        center = np.zeros(n) if mean is None else as_vector("mean", mean, n)
        total = float(descending_cumsum(values)[0])
        return cls(center, values, vectors[:, order], total, True, n_samples)

    @classmethod
    def _build(cls, mean: FloatArray, eigen: Eigen, count: int | None) -> Spectrum:
        values, vectors, trace, complete, errors = eigen
        return cls(mean, values, vectors, trace, complete, count, errors)

    @property
    def n_features(self) -> int:
        """Number of data dimensions n."""
        return int(self.mean.size)

    @property
    def rank(self) -> int:
        """Number of eigenvalues > 0 (of a leading-k spectrum: among those held).

        Measured eigenvalues at rounding level, below n·eps·λ₁, were set to zero on construction.
        """
        return int(np.count_nonzero(self.eigenvalues))

    def leading_eigenvalues(self, count: int) -> FloatArray:
        """Return the `count` largest eigenvalues, shape (count,), zeros included.

        Raises
        ------
        PartialSpectrumError
            When they are not held and not known to be zero.
        """
        count = check_count("count", count, 0, self.n_features, "at most one per feature")
        held = self.eigenvalues[:count]
        if held.size < count:
            self.require_complete(f"{count} eigenvalues")
            held = np.concatenate([held, np.zeros(count - held.size)])
        return held

    def leading_eigenvectors(self, count: int) -> FloatArray:
        """Return `count` eigenvectors, shape (n, count); zero columns stand where S vanishes.

        Raises
        ------
        PartialSpectrumError
            When they are not held and not known to belong to zero eigenvalues.
        """
        count = check_count("count", count, 0, self.n_features, "at most one per feature")
        held = self.eigenvectors[:, :count]
        if held.shape[1] < count:
            self.require_complete(f"{count} eigenvectors")
            padding = np.zeros((self.n_features, count - held.shape[1]))
            held = np.concatenate([held, padding], axis=1)
        return held

    def tail_variance(self, count: int) -> float:
        r"""Variance outside the first `count` modes, :math:`\sum_{i>k} \lambda_i`."""
        return float(self.tail_variances(count)[-1])

    def tail_variances(self, count: int) -> FloatArray:
        r"""Variance outside the first 0, 1, ..., `count` modes, shape (count + 1,).

        Each is a sum of non-negative terms, smallest first, so none loses accuracy to cancellation.

        Raises
        ------
        PartialSpectrumError
            When more modes are asked for than are held, and the rest is not known to be zero.
        """
        count = check_count("count", count, 0, self.n_features, "at most one per feature")
        if count > self.eigenvalues.size:
            self.require_complete(f"the variance outside {count} modes")
        held = descending_cumsum(self.eigenvalues)
        index = np.minimum(np.arange(count + 1), self.eigenvalues.size)
        return np.asarray(held[index] + self._unheld_variance)

    @property
    def _unheld_variance(self) -> float:
        if self.complete:
            return 0.0
        return max(0.0, self.total_variance - float(self.eigenvalues.sum()))

    @property
    def root(self) -> FloatArray:
        r"""Square root :math:`B = U\sqrt{\lambda}`, shape (n, m): S = B Bᵀ on what is held."""
        return self.eigenvectors * np.sqrt(self.eigenvalues)

    def read_by(self, encoder: FloatArray) -> FloatArray:
        r"""Return :math:`E B`, shape (..., k, m), the encoder seen through the square root of S.

        Raises
        ------
        PartialSpectrumError
            When rows of the encoder leave the span of a leading-k spectrum.
        """
        seen = encoder @ self.eigenvectors
        if not self.complete:
            outside = np.abs(encoder - seen @ self.eigenvectors.T).max()
            if outside > 1e-10 * np.abs(encoder).max():
                self.require_complete("data directions outside the ones held")
        return np.asarray(seen * np.sqrt(self.eigenvalues))

    def require_complete(self, what: str) -> None:
        """Raise PartialSpectrumError, saying that `what` needs the complete spectrum."""
        if not self.complete:
            raise PartialSpectrumError(
                f"spectrum: got {self.eigenvalues.size} of {self.n_features} eigenpairs; "
                f"expected enough for {what}; build it with a larger `leading`, or without it"
            )

    @property
    def covariance(self) -> FloatArray:
        """The covariance matrix S, shape (n, n); only of a complete spectrum."""
        self.require_complete("the covariance matrix")
        root = self.root
        return np.asarray(root @ root.T)

    @property
    def gaussian_entropy(self) -> float:
        r"""Differential entropy of N(μ, S) in nats; -inf when S is singular.

        .. math:: \mathcal H = \tfrac12 \sum_i \log(2\pi e \lambda_i)
        """
        self.require_complete("the entropy")
        if self.rank < self.n_features:
            return -np.inf
        return 0.5 * float(np.sum(np.log(2 * np.pi * np.e) + np.log(self.eigenvalues)))

    def sample(self, n_samples: int, rng: np.random.Generator) -> FloatArray:
        """Draw Gaussian data N(μ, S), shape (n_samples, n); only of a complete spectrum."""
        self.require_complete("sampling")
        count = check_count("n_samples", n_samples, 1, None, "ask for at least one")
        check_generator(rng)
        return np.asarray(
            self.mean + rng.standard_normal((count, self.eigenvalues.size)) @ self.root.T
        )
