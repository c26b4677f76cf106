"""Which samples of a data set are for training and which are held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deep.data.files import refuse

__all__ = [
    "EVERY",
    "Split",
    "check_split_size",
    "every_tenth",
    "no_split",
    "spread_note",
    "spread_over",
]

Split: TypeAlias = Literal["train", "valid", "test"]

EVERY = 10  # where a format has no splits, every tenth sample is held out


def no_split(name: str, split: str, known: str) -> NoReturn:
    """Refuse a split that a data set does not have."""
    refuse(f"split {split!r}", known, "choose one of them", name)


def every_tenth(count: int, split: Split, name: str) -> NDArray[np.bool_]:
    """Which of `count` samples in order belong to a split, where every tenth is held out.

    Raises
    ------
    DataError
        The split valid, or test of fewer than ten samples.
    """
    held_out = np.zeros(count, np.bool_)
    held_out[EVERY - 1 :: EVERY] = True
    if split == "valid" or (split == "test" and not held_out.any()):
        no_split(name, split, "train, or test when there are ten samples or more")
    return held_out if split == "test" else ~held_out


def spread_over(total: int, count: int) -> NDArray[np.intp]:
    """Places of `count` <= `total` samples, evenly spread: files are often sorted by class."""
    return np.arange(count, dtype=np.intp) * total // count


def spread_note(total: int, count: int) -> str:
    """What was done, for the notes of a data set."""
    return f"{count} of {total} samples, evenly spread"


def check_split_size(count: int, published: Mapping[str, int], split: str, what: str) -> None:
    """Refuse a file that has as many samples as another split was published with."""
    for other, size in published.items():
        if other != split and count == size != published.get(split):
            refuse(f"{what} with {count} samples, as many as the {other} split has",
                   f"the {split} split", "check that the files were not exchanged or renamed",
                   "data.path")  # fmt: skip
