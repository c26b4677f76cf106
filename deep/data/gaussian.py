"""A Gaussian source of fresh samples, whose rate-distortion curve is known exactly."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import linvae
from deep.data.files import refuse
from deep.randomness import generator, numpy_generator

__all__ = ["GaussianSource"]

_EPOCH = 50_000  # samples that count as an epoch of a source without end
_MOST_DIMENSIONS = 10_000


class GaussianSource:
    r"""Samples of N(μ, Q diag(λ) Qᵀ), new ones at every step.

    .. math:: x = \mu + Q \sqrt{\lambda}\, \varepsilon, \qquad \varepsilon \sim N(0, 1)

    Parameters
    ----------
    eigenvalues : sequence of n floats
        Finite, >= 0, in any order; squared data units.
    seed : int
        Of the rotation and of :meth:`sample`; >= 0. Batches have their own.
    rotation : bool
        False: Q = 1, so that coordinate i has variance λ_i. True: Q uniform over the orthogonal
        matrices.
    mean : sequence of n floats, optional
        Zero when omitted.
    dtype : torch.dtype
        Of the batches; they are computed in float64.

    Attributes
    ----------
    sample_shape : (n,)
    spectrum : linvae.Spectrum
        That of the source, not of a sample of it.

    Raises
    ------
    DataError
        No eigenvalues, more than 10 000, negative ones or not finite; a mean of another length.
    """

    def __init__(
        self,
        eigenvalues: Sequence[float],
        *,
        seed: int = 0,
        rotation: bool = True,
        mean: Sequence[float] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        values = _vector("spectrum", eigenvalues)
        centre = np.zeros(values.size) if mean is None else _vector("mean", mean)
        if (values < 0).any():
            refuse(f"{values.min()}", "variances >= 0", "drop or correct it", "spectrum")
        if centre.size != values.size:
            refuse(f"{centre.size} numbers", f"{values.size}, as many as eigenvalues",
                   "give one mean per dimension", "mean")  # fmt: skip
        basis = _rotation(values.size, seed) if rotation else np.eye(values.size)
        self.seed = seed
        self.sample_shape: tuple[int, ...] = (values.size,)
        self.spectrum = linvae.Spectrum.from_eigenvalues(values, eigenvectors=basis, mean=centre)
        self._root = basis * np.sqrt(values)  # shape: (n, n)
        self._mean = centre
        self._dtype = dtype
        self._tensors = torch.from_numpy(self._root.T.copy()), torch.from_numpy(centre.copy())

    def to(self, dtype: torch.dtype) -> GaussianSource:
        """The same source with batches of another dtype."""
        other = copy.copy(self)
        other._dtype = dtype
        return other

    def steps_per_epoch(self, batch_size: int) -> int:
        """Steps in which 50 000 samples are seen: a source without end has no epochs of its own."""
        return max(1, _EPOCH // batch_size)

    def batch(self, step: int, batch_size: int, seed: int) -> Tensor:
        """Samples (batch_size, n) of a step; a pure function of its arguments."""
        root, mean = self._tensors
        noise = torch.randn(
            (batch_size, len(root)), generator=generator(seed, "source", step), dtype=torch.float64
        )
        return (mean + noise @ root).to(self._dtype)

    def sample(self, count: int, *key: int | str) -> NDArray[np.float64]:
        """Draw samples (count, n), always the same for a key; independent of every batch."""
        if count < 1:
            refuse(f"{count}", "at least 1", "ask for more samples", "count")
        noise = numpy_generator(self.seed, "sample", *key).standard_normal((count, len(self._mean)))
        return np.asarray(self._mean + noise @ self._root.T)


def _vector(name: str, numbers: Sequence[float]) -> NDArray[np.float64]:
    vector = np.asarray(numbers, dtype=np.float64)
    if vector.ndim != 1 or not 1 <= vector.size <= _MOST_DIMENSIONS:
        refuse(f"shape {vector.shape}", f"1 to {_MOST_DIMENSIONS} numbers",
               "give one number per dimension", name)  # fmt: skip
    if not np.isfinite(vector).all():
        refuse(f"{vector[~np.isfinite(vector)][0]}", "finite numbers", "correct it", name)
    return vector


def _rotation(size: int, seed: int) -> NDArray[np.float64]:
    """Orthogonal matrix, uniformly distributed: QR with the signs that make it unique."""
    draws = numpy_generator(seed, "rotation").standard_normal((size, size))
    basis, triangle = np.linalg.qr(draws)
    return np.asarray(basis * np.sign(np.diag(triangle)))
