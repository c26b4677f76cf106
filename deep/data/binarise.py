"""Grey pixels as probabilities: black or white, drawn anew at every step."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deep.data.batches import Batches
from deep.randomness import generator, numpy_generator

__all__ = ["BinarisedBatches", "binarise_once"]


class BinarisedBatches:
    r"""Batches of 0s and 1s drawn from the probabilities p that other batches give.

    .. math:: x_i \sim \operatorname{Bernoulli}(p_i)

    Parameters
    ----------
    batches : Batches
        Of numbers in [0, 1].
    """

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self.sample_shape = batches.sample_shape

    def steps_per_epoch(self, batch_size: int) -> int:
        """Number of steps that make an epoch."""
        return self._batches.steps_per_epoch(batch_size)

    def batch(self, step: int, batch_size: int, seed: int) -> Tensor:
        """Samples of a step; a pure function of its arguments."""
        grey = self._batches.batch(step, batch_size, seed)
        return torch.bernoulli(grey, generator=generator(seed, "binarise", step))


def binarise_once(grey: NDArray[np.float32], *key: int | str) -> NDArray[np.bool_]:
    """Draw 0s and 1s of probabilities (N, ...) by a fixed seed, the same in every run."""
    draws = numpy_generator(0, "binarise", *key)
    return np.asarray(draws.random(grey.shape, dtype=np.float32) < grey)
