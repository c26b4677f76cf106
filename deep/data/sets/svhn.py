"""SVHN, cropped digits: the MATLAB files train_32x32.mat, test_32x32.mat and extra_32x32.mat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep.config import DataConfig
from deep.data.dataset import DataSet
from deep.data.download import fetch
from deep.data.files import refuse
from deep.data.local import find_any
from deep.data.matlab import read_mat
from deep.data.registry import IMAGE_SETS
from deep.data.splits import Split, check_split_size, no_split

__all__ = ["load_svhn"]

_SHAPE = (32, 32, 3)
_COUNTS = {"train": 73_257, "test": 26_032, "extra": 531_131}  # as published


def load_svhn(config: DataConfig, split: Split) -> DataSet:
    """Load the cropped Street View House Numbers.

    Parameters
    ----------
    config : DataConfig
        ``path``: the folder of the files, or one of them. ``key`` = ``extra`` adds the images of
        extra_32x32.mat to the train split.

    Returns
    -------
    DataSet
        Images as (N, 3, 32, 32); labels 0 to 9 (the file has 10 for the digit 0).

    Raises
    ------
    DataError
    """
    if config.size not in (None, _SHAPE[0]):
        refuse(f"{config.size} for svhn", f"{_SHAPE[0]}", "leave it out", "data.size")
    if config.key not in (None, "extra"):
        refuse(f"{config.key!r} for svhn", "extra or nothing", "leave it out", "data.key")
    if split == "valid":
        no_split("svhn", split, "train or test")
    parts = ["train", "extra"] if config.key and split == "train" else [split]
    read = [_read(_locate(config.path, part), part) for part in parts]
    images = np.concatenate([pixels for pixels, _ in read]) if len(read) > 1 else read[0][0]
    labels = np.concatenate([digits for _, digits in read])
    notes = ("pixels 0 to 255, used as x/255", *["with the extra images"] * (len(parts) - 1))
    return DataSet("svhn", split, images, (0.0, 1.0), notes, labels)


def _locate(path: str | None, part: str) -> Path:
    known = IMAGE_SETS["svhn"]
    file = known.images[part]
    if path is None:
        return fetch(known, file)
    return find_any("svhn", path, (file.name,), also=[f.name for f in known.images.values()])


def _read(path: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    found = read_mat(path, required=("X", "y"))
    pixels, labels = found["X"], found["y"].reshape(-1)
    if pixels.ndim == 3:  # MATLAB drops a last dimension of 1
        pixels = pixels[..., None]
    if pixels.shape[:3] != _SHAPE or pixels.ndim != 4 or pixels.dtype != np.uint8:
        refuse(f"{str(path)!r} with X of shape {pixels.shape} and dtype {pixels.dtype}",
               "(32, 32, 3, N) of uint8", "check that it is the file of cropped digits",
               "svhn")  # fmt: skip
    count = pixels.shape[3]
    check_split_size(count, _COUNTS, part, repr(str(path)))
    _check_labels(labels, count, path)
    images = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))
    return images, (labels % 10).astype(np.uint8)


def _check_labels(labels: NDArray[Any], count: int, path: Path) -> None:
    if len(labels) != count:
        refuse(f"{str(path)!r} with {count} images and {len(labels)} labels",
               "one label per image", "copy or download it again", "svhn")  # fmt: skip
    wrong = ~np.isin(labels, np.arange(1, 11))
    if wrong.any():
        place = int(np.argmax(wrong))
        refuse(f"{str(path)!r} with label {labels[place]} of image {place}", "1 to 10",
               "copy or download it again", "svhn")  # fmt: skip
