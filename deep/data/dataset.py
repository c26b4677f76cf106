"""Samples in memory with the story of where they came from, and the one rule of their scale."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import linvae
from deep.data.batches import to_scale
from deep.data.files import refuse
from deep.data.splits import spread_note, spread_over

__all__ = ["DataSet"]

_ROWS = 4096  # of one float64 block on the way to a covariance


@dataclass(frozen=True, eq=False)
class DataSet:
    r"""Samples of one split.

    Samples are stored as they came: uint8 are pixels and count as x/255, bool are binary and count
    as 0 and 1, floating-point numbers count as they are. :meth:`tensor` and the batches made of a
    data set apply that rule, and nothing else does.

    Attributes
    ----------
    name, split : str
    samples : ndarray, shape (N, ...)
        uint8, bool, float32 or float64.
    data_range : (float, float) or None
        Smallest and largest possible value on the scale of :meth:`tensor`; None when not known.
    notes : tuple of str
        What was done on the way in, one sentence each.
    labels : ndarray of integers (N,) or None
    grey_probabilities : bool
        True: samples are probabilities of pixels, to be drawn as 0 or 1 anew at every step.
    mirrored : bool
        True: half of the samples of every step are to be mirrored. Samples and spectrum are those
        of the images as they are.

    Raises
    ------
    DataError
        Samples that are empty, without features, of another dtype, not finite, or not as many as
        the labels.
    """

    name: str
    split: str
    samples: NDArray[Any]
    data_range: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    labels: NDArray[Any] | None = None
    grey_probabilities: bool = False
    mirrored: bool = False

    def __post_init__(self) -> None:
        shape = self.samples.shape
        if len(shape) < 2 or 0 in shape:
            refuse(f"samples of shape {shape}", "(N, ...) with N >= 1",
                   "pass one row per sample", self.name)  # fmt: skip
        if self.samples.dtype not in (np.uint8, np.bool_, np.float32, np.float64):
            refuse(f"dtype {self.samples.dtype}", "uint8, bool, float32 or float64",
                   "convert the samples", self.name)  # fmt: skip
        if self.labels is not None and len(self.labels) != len(self.samples):
            refuse(f"{len(self.samples)} samples and {len(self.labels)} labels",
                   "one label per sample", "check that the files belong together",
                   self.name)  # fmt: skip
        if self.samples.dtype.kind == "f":
            self._check_finite()

    def _check_finite(self) -> None:
        for start in range(0, len(self), _ROWS):
            good = np.isfinite(self.samples[start : start + _ROWS])
            if not good.all():
                place = tuple(int(i) for i in np.argwhere(~good)[0])
                refuse(f"{self.samples[start:][place]} in sample {start + place[0]}",
                       "finite numbers only", "remove or impute such samples",
                       self.name)  # fmt: skip

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.samples.shape[1:])

    def flattened(self) -> DataSet:
        """The same samples as rows (N, n), for networks that take vectors."""
        return replace(self, samples=self.samples.reshape(len(self), -1))

    def with_channels(self) -> DataSet:
        """Grey images (N, height, width) as (N, 1, height, width); colours as they are.

        Raises
        ------
        DataError
            Samples that are no images.
        """
        dims = len(self.sample_shape)
        if dims not in (2, 3):
            refuse(f"samples of shape {self.sample_shape}", "images (height, width) or (channels, "
                   "height, width)", "use a network for vectors", self.name)  # fmt: skip
        return self if dims == 3 else replace(self, samples=self.samples[:, None])

    def spread(self, count: int | None) -> DataSet:
        """`count` samples evenly spread over all; all when there are no more, or for None."""
        if count is None or count >= len(self):
            return self
        chosen = spread_over(len(self), count)
        labels = None if self.labels is None else self.labels[chosen]
        notes = (*self.notes, spread_note(len(self), count))
        return replace(self, samples=self.samples[chosen], labels=labels, notes=notes)

    def tensor(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """All samples (N, ...) on the scale that networks see; may share memory with them."""
        return to_scale(torch.from_numpy(self.samples), dtype)

    def spectrum(self) -> linvae.Spectrum:
        r"""Mean and covariance of the samples on the scale that networks see, as rows.

        .. math:: S = \tfrac1N \sum_x (x-\mu)(x-\mu)^\top

        Computed in float64, block by block. For samples that are probabilities p it is the
        covariance of the pixels drawn, larger by the diagonal matrix of the means of p(1 - p).
        """
        if not self.grey_probabilities:
            return linvae.Spectrum.from_samples(self._blocks())
        noise = np.zeros(math.prod(self.sample_shape))  # summed variances of the drawing

        def watched() -> Iterator[NDArray[np.float64]]:
            for block in self._blocks():
                np.add(noise, (block * (1 - block)).sum(axis=0), out=noise)
                yield block

        plain = linvae.Spectrum.from_samples(watched())
        covariance = plain.covariance + np.diag(noise / len(self))
        return linvae.Spectrum.from_covariance(covariance, mean=plain.mean, n_samples=len(self))

    def _blocks(self) -> Iterator[NDArray[np.float64]]:
        rows = self.samples.reshape(len(self), -1)
        for start in range(0, len(self), _ROWS):
            block = torch.from_numpy(rows[start : start + _ROWS])
            yield to_scale(block, torch.float64).numpy()
