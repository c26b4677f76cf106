"""Images in files, decoded when they are asked for: the base of folders, zips and CelebA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep.data.dataset import DataSet
from deep.data.decode import Box, Mode, pixels_of
from deep.data.files import MOST_BYTES, refuse
from deep.data.members import Members
from deep.data.splits import spread_note, spread_over

__all__ = ["Layout", "Pictures"]


@dataclass(frozen=True)
class Layout:
    """What every image of a set is made into.

    Attributes
    ----------
    mode : str
        ``L`` for grey, ``RGB`` for colours.
    height, width : int
    resized : bool
        False: images have this size already.
    box : (left, top, right, bottom) or None
        What is cut out before; the middle when None.
    stored : (height, width) or None
        Size that every file must have.
    """

    mode: Mode
    height: int
    width: int
    resized: bool
    box: Box | None = None
    stored: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a sample: (height, width), or (3, height, width)."""
        plain = (self.height, self.width)
        return plain if self.mode == "L" else (3, *plain)


@dataclass(frozen=True, eq=False)
class Pictures:
    """The images of one split, still in their files.

    Attributes
    ----------
    name, split : str
    members : Members
        Where the files are.
    files : tuple of str
        Names of the images, in order.
    layout : Layout
    labels : ndarray of integers (N,) or None
    notes : tuple of str
    """

    name: str
    split: str
    members: Members
    files: tuple[str, ...]
    layout: Layout
    labels: NDArray[Any] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    def spread(self, count: int | None) -> Pictures:
        """`count` images evenly spread over all; all when there are no more, or for None."""
        if count is None or count >= len(self):
            return self
        chosen = spread_over(len(self), count)
        labels = None if self.labels is None else self.labels[chosen]
        files = tuple(self.files[place] for place in chosen)
        notes = (*self.notes, spread_note(len(self), count))
        return replace(self, files=files, labels=labels, notes=notes)

    def read(self, chosen: Sequence[int]) -> NDArray[np.uint8]:
        """Decode images, (number chosen, ...); from several threads at once if need be.

        Raises
        ------
        DataError
            A missing or damaged file, or one of another size than the others.
        """
        held = np.empty((len(chosen), *self.layout.shape), np.uint8)
        for place, index in enumerate(chosen):
            held[place] = self._one(self.files[index])
        return held

    def _one(self, file: str) -> NDArray[np.uint8]:
        layout, what = self.layout, f"{file!r} of {self.name}"
        pixels = pixels_of(
            self.members.read(file),
            what,
            mode=layout.mode,
            size=layout.height if layout.resized else None,
            box=layout.box,
            stored=layout.stored,
        )
        if pixels.shape[:2] != (layout.height, layout.width):
            refuse(f"{what} of {pixels.shape[0]}x{pixels.shape[1]} pixels",
                   f"{layout.height}x{layout.width}, as the others",
                   "say with size to which all are to be resized", "data.path")  # fmt: skip
        return pixels if layout.mode == "L" else pixels.transpose(2, 0, 1)

    def dataset(self) -> DataSet:
        """All of them in memory.

        Raises
        ------
        DataError
            What :meth:`read` refuses; more than 4 GiB.
        """
        size = len(self) * int(np.prod(self.layout.shape))
        if size > MOST_BYTES:
            refuse(f"{len(self)} images of {size} bytes together", f"at most {MOST_BYTES} in "
                   "memory", "set streaming, a limit or a smaller size", self.name)  # fmt: skip
        samples = self.read(range(len(self)))
        return DataSet(self.name, self.split, samples, (0.0, 1.0), self.notes, self.labels)
