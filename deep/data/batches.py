"""Batches as a function of the step, so that a resumed run sees what the uninterrupted one saw."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from deep._checks import fail
from deep.errors import DataError
from deep.randomness import generator

__all__ = ["Batches", "EpochOrder", "TensorBatches", "to_scale"]


class Batches(Protocol):
    """A source of training samples."""

    sample_shape: tuple[int, ...]

    def steps_per_epoch(self, batch_size: int) -> int:
        """Number of steps that make an epoch."""
        ...

    def batch(self, step: int, batch_size: int, seed: int) -> Tensor:
        """Samples (batch_size, ...) of a step counted from 0; a pure function of its arguments."""
        ...


def to_scale(samples: Tensor, dtype: torch.dtype) -> Tensor:
    """Samples on the scale that networks see: uint8 as x/255, bool as 0 and 1, others as is."""
    scaled = samples.to(dtype)
    return scaled.div_(255) if samples.dtype == torch.uint8 else scaled


class EpochOrder:
    """Which samples make a step: a new random order each epoch, without the last partial batch.

    Parameters
    ----------
    count : int
        Number of samples, >= 1.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._order: tuple[tuple[int, int], Tensor] | None = None  # a cache, not a state

    def steps_per_epoch(self, batch_size: int) -> int:
        """Number of full batches; 1 when the batch size exceeds the number of samples."""
        return max(1, self._count // batch_size)

    def chosen(self, step: int, batch_size: int, seed: int) -> Tensor:
        """Indices of the samples of a step; a pure function of its arguments."""
        epoch, place = divmod(step, self.steps_per_epoch(batch_size))
        start = place * batch_size
        return self._permutation(epoch, seed)[start : start + batch_size]

    def _permutation(self, epoch: int, seed: int) -> Tensor:
        if self._order is None or self._order[0] != (epoch, seed):
            draws = generator(seed, "order", epoch)
            self._order = ((epoch, seed), torch.randperm(self._count, generator=draws))
        return self._order[1]


class TensorBatches:
    """Samples in memory, in the order of :class:`EpochOrder`.

    Parameters
    ----------
    samples : Tensor (N, ...)
        As stored; put on the scale of :func:`to_scale` batch by batch.
    dtype : torch.dtype
        Of the batches.

    Raises
    ------
    DataError
        An empty tensor.
    """

    def __init__(self, samples: Tensor, *, dtype: torch.dtype = torch.float32) -> None:
        if samples.ndim < 2 or samples.shape[0] == 0:
            fail("samples", f"shape {tuple(samples.shape)}", "(N, ...) with N >= 1",
                 "pass one row per sample", DataError)  # fmt: skip
        self._samples = samples
        self._dtype = dtype
        self._order = EpochOrder(len(samples))
        self.sample_shape = tuple(samples.shape[1:])

    def __len__(self) -> int:
        return len(self._samples)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Number of full batches; 1 when the batch size exceeds the number of samples."""
        return self._order.steps_per_epoch(batch_size)

    def batch(self, step: int, batch_size: int, seed: int) -> Tensor:
        """Samples of a step; see :class:`Batches`."""
        return to_scale(self._samples[self._order.chosen(step, batch_size, seed)], self._dtype)
