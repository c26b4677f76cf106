"""Batches of images that stay on the disk: decoded for a step, and the next one meanwhile.

Images are decoded again in every epoch instead of being kept as decoded copies in a file. Such a
file would be read faster, but it would be as large as the set, and it would have to be told from
the files it was made of, and made anew, whenever they or a setting change. Decoding runs in threads
beside the training step and holds two batches at a time, whatever the size of the set.
"""

from __future__ import annotations

import os
import weakref
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deep.data.batches import EpochOrder, to_scale
from deep.data.files import refuse
from deep.data.members import Members
from deep.data.pictures import Pictures

__all__ = ["StreamedBatches"]

_MOST_WORKERS = 8
_Parts = list["Future[NDArray[np.uint8]]"]


class StreamedBatches:
    """Images of files, in the same order and with the same values as if they were in memory.

    Parameters
    ----------
    pictures : Pictures
        Its archive is closed with the batches.
    dtype : torch.dtype
        Of the batches.
    sample_shape : tuple of int, optional
        Another shape of the samples, with as many entries.
    workers : int, optional
        Threads that decode; one for each core, 8 at most, when omitted. Values do not depend on it.

    Raises
    ------
    DataError
        When a file is read that is missing or damaged; a batch asked for after ``close()``.

    Notes
    -----
    Threads end when the batches are closed or no longer used.
    """

    def __init__(
        self,
        pictures: Pictures,
        *,
        dtype: torch.dtype = torch.float32,
        sample_shape: tuple[int, ...] | None = None,
        workers: int | None = None,
    ) -> None:
        self._pictures = pictures
        self._dtype = dtype
        self._order = EpochOrder(len(pictures))
        self._workers = workers or min(os.cpu_count() or 1, _MOST_WORKERS)
        self._next: tuple[tuple[int, int, int], _Parts] | None = None  # decoded ahead: a cache
        self._start()
        self.sample_shape = pictures.layout.shape if sample_shape is None else sample_shape

    def _start(self) -> None:
        self._owner = os.getpid()
        self._crew = ThreadPoolExecutor(self._workers, "decode")
        self.close = weakref.finalize(self, _stop, self._crew, self._pictures.members)

    def __len__(self) -> int:
        return len(self._pictures)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Number of full batches; 1 when the batch size exceeds the number of samples."""
        return self._order.steps_per_epoch(batch_size)

    def batch(self, step: int, batch_size: int, seed: int) -> Tensor:
        """Samples of a step; see :class:`deep.data.batches.Batches`."""
        if not self.close.alive:
            refuse("a batch of data that were closed", "open data", "load them again", "batches")
        if self._owner != os.getpid():  # a forked process has no threads
            self._next = None
            self.close.detach()
            self._start()
        wanted = (step, batch_size, seed)
        ahead, self._next = self._next, None
        parts = ahead[1] if ahead is not None and ahead[0] == wanted else self._submit(*wanted)
        pixels = np.concatenate([part.result() for part in parts])
        following = (step + 1, batch_size, seed)
        self._next = (following, self._submit(*following))
        samples = torch.from_numpy(pixels.reshape(-1, *self.sample_shape))
        return to_scale(samples, self._dtype)

    def _submit(self, step: int, batch_size: int, seed: int) -> _Parts:
        chosen = self._order.chosen(step, batch_size, seed).numpy()
        shares = np.array_split(chosen, min(self._workers, len(chosen)))
        return [self._crew.submit(self._pictures.read, share.tolist()) for share in shares]


def _stop(crew: ThreadPoolExecutor, members: Members) -> None:
    crew.shutdown(wait=True, cancel_futures=True)
    members.close()
