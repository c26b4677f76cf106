"""Samples of a file of one's own, or of a folder with a file for each split."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep.config import DataConfig
from deep.data.arrays import SUFFIXES, read_samples
from deep.data.dataset import DataSet
from deep.data.files import refuse
from deep.data.splits import Split, every_tenth

__all__ = ["load_file"]


def load_file(config: DataConfig, split: Split) -> DataSet:
    """Load a split of the file or folder ``config.path``."""
    path = Path(os.path.expanduser(config.path or ""))
    if os.path.isdir(path):
        return _from_folder(path, config.key, split)
    samples, notes = read_samples(path, config.key)
    chosen = every_tenth(len(samples), split, str(path))
    notes += ("every tenth sample is the test split",)
    binary = _is_binary(samples)  # of the whole file, so that both splits are on one scale
    return _understood(str(path), split, samples[chosen], notes, binary=binary)


def _from_folder(folder: Path, key: str | None, split: Split) -> DataSet:
    found = _split_file(folder, split)
    if found is None:
        refuse(f"{str(folder)!r}, a folder without {split}.npy or the like",
               f"a file named {split} that ends in {', '.join(SUFFIXES)}",
               "write one, or name a single file", "data.path")  # fmt: skip
    samples, notes = read_samples(found, key)
    binary = _is_binary(samples)
    trained = None if split == "train" else _split_file(folder, "train")
    if trained is not None:
        binary = _is_binary_as(read_samples(trained, key)[0], samples, str(found))
    return _understood(str(found), split, samples, notes, binary=binary)


def _split_file(folder: Path, split: Split) -> Path | None:
    candidates = (folder / f"{split}{suffix}" for suffix in SUFFIXES)
    return next((place for place in candidates if os.path.exists(place)), None)


def _is_binary_as(train: NDArray[Any], samples: NDArray[Any], name: str) -> bool:
    """Whether a split is binary beside its train split; one that does not fit it is refused."""
    features, wanted = (int(np.prod(part.shape[1:])) for part in (samples, train))
    if features != wanted:
        refuse(f"{name!r} with {features} features", f"{wanted}, as in the train split",
               "check that the files belong together", "data.path")  # fmt: skip
    in_bytes, binary = samples.dtype == np.uint8, _is_binary(samples)
    in_pixels = train.dtype == np.uint8 and not _is_binary(train)
    if in_bytes != in_pixels and not binary:
        scales = ("values used as they are", "pixels 0 to 255")
        refuse(f"{name!r} with {scales[in_bytes]}", f"{scales[in_pixels]}, as in the train split",
               "store all splits with one dtype and on one scale", "data.path")  # fmt: skip
    return binary and not (in_bytes and in_pixels)


def _is_binary(samples: NDArray[Any]) -> bool:
    """True for booleans, and for bytes that are all 0 or 1."""
    return samples.dtype == np.bool_ or bool(samples.dtype == np.uint8 and samples.max() <= 1)


def _understood(
    name: str, split: str, samples: NDArray[Any], notes: tuple[str, ...], *, binary: bool
) -> DataSet:
    """The data set of an array from a file, in memory, its scale decided and said."""
    if binary:
        return DataSet(name, split, samples.astype(np.bool_), (0.0, 1.0),
                       (*notes, "values 0 and 1"))  # fmt: skip
    if samples.dtype == np.uint8:
        return DataSet(name, split, np.array(samples), (0.0, 1.0),
                       (*notes, "pixels 0 to 255, used as x/255"))  # fmt: skip
    if samples.dtype.kind not in "iuf":
        refuse(f"{name!r} of dtype {samples.dtype}", "numbers", "convert it", "data")
    small = samples.dtype.kind == "f" and samples.dtype.itemsize <= 4
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused by name
        values = samples.astype(np.float32 if small else np.float64)
    return DataSet(name, split, values, None, (*notes, "values used as they are"))
