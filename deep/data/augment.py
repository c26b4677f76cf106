"""Mirrored images: half of every batch, drawn anew at every step."""

from __future__ import annotations

import torch
from torch import Tensor

from deep.data.batches import Batches
from deep.data.files import refuse
from deep.randomness import generator

__all__ = ["FlippedBatches"]


class FlippedBatches:
    r"""Batches of which every image is mirrored, left to right, with probability one half.

    .. math:: x_{h,w} \to x_{h,\,W-1-w}

    Parameters
    ----------
    batches : Batches
        Of images (height, width) or (channels, height, width).

    Raises
    ------
    DataError
        Samples that are no images.
    """

    def __init__(self, batches: Batches) -> None:
        if len(batches.sample_shape) not in (2, 3):
            refuse(f"flip for samples of shape {tuple(batches.sample_shape)}",
                   "images (height, width) or (channels, height, width)",
                   "use a network for images, or do not flip", "data.augment")  # fmt: skip
        self._batches = batches
        self.sample_shape = batches.sample_shape

    def steps_per_epoch(self, batch_size: int) -> int:
        """Number of steps that make an epoch."""
        return self._batches.steps_per_epoch(batch_size)

    def batch(self, step: int, batch_size: int, seed: int) -> Tensor:
        """Samples of a step; a pure function of its arguments."""
        images = self._batches.batch(step, batch_size, seed)
        draws = torch.rand(len(images), generator=generator(seed, "flip", step))
        chosen = (draws < 0.5).view(-1, *[1] * (images.ndim - 1))
        return torch.where(chosen.to(images.device), images.flip(-1), images)
