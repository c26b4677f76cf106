"""CIFAR-10 and CIFAR-100: the binary version, and sheets of images as PNG files.

A record of the binary version is a label byte (two in CIFAR-100, coarse and fine) and 3072 bytes of
red, green and blue pixels, row by row. The version for Python is a pickle, which can run any code
when it is read; it is not read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep.config import DataConfig
from deep.data.arrays import read_vector
from deep.data.dataset import DataSet
from deep.data.decode import decode_rgb
from deep.data.download import fetch
from deep.data.files import read_exactly, reading, refuse
from deep.data.local import find_any
from deep.data.members import members_of, read_tar
from deep.data.registry import IMAGE_SETS
from deep.data.splits import Split, every_tenth, no_split

__all__ = ["load_cifar"]

_PIXELS, _SIDE = 3072, 32
_NOTE = "pixels 0 to 255, used as x/255"
_LABELS = re.compile(r"labels(_\w+)?\.npy$")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class _Layout:
    """Files of the binary version.

    Attributes
    ----------
    folder : str
        In which they lie in the archive.
    files : mapping from split to names
    records : int
        In a file of the split.
    classes : tuple of int
        Numbers of classes, one for each label byte; the last byte is the label.
    python : str
        Folder of the version for Python.
    """

    folder: str
    files: dict[str, tuple[str, ...]]
    records: dict[str, int]
    classes: tuple[int, ...]
    python: str

    def size(self, split: str) -> int:
        return self.records[split] * (len(self.classes) + _PIXELS)

    def sizes(self) -> dict[str, int]:
        return {name: self.size(split) for split, names in self.files.items() for name in names}


_LAYOUTS = {
    "cifar10": _Layout(
        "cifar-10-batches-bin",
        {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)},
        {"train": 10_000, "test": 10_000},
        (10,),
        "cifar-10-batches-py",
    ),
    "cifar100": _Layout(
        "cifar-100-binary",
        {"train": ("train.bin",), "test": ("test.bin",)},
        {"train": 50_000, "test": 10_000},
        (20, 100),
        "cifar-100-python",
    ),
}


def load_cifar(config: DataConfig, split: Split) -> DataSet:
    """Load CIFAR-10 or CIFAR-100.

    Parameters
    ----------
    config : DataConfig
        ``name``: cifar10 or cifar100. ``path``: the archive, the folder of the .bin files or the
        one above it, or, for a part of CIFAR-10, a folder of PNG sheets: 1024 pixels wide, an
        image in every row, with labels in a file labels.npy or labels_something.npy or without.

    Returns
    -------
    DataSet
        Images as (N, 3, 32, 32), labels (fine ones of CIFAR-100). Sheets have no test split of
        their own: every tenth image is held out.

    Raises
    ------
    DataError
    """
    if config.size not in (None, _SIDE):
        refuse(f"{config.size} for {config.name}", f"{_SIDE}", "leave it out, or use the name "
               "images for a folder of images", "data.size")  # fmt: skip
    sheets = _sheets(config)
    if sheets:
        return _from_sheets(config, sheets, split)
    if split == "valid":
        no_split(config.name, split, "train or test")
    layout = _LAYOUTS[config.name]
    parts = [_records(data, layout, what) for data, what in _contents(config, layout, split)]
    images = np.concatenate([part[0] for part in parts])
    labels = np.concatenate([part[1] for part in parts])
    return DataSet(config.name, split, images, (0.0, 1.0), (_NOTE,), labels)


# --- the binary version -------------------------------------------------------------------------


def _contents(
    config: DataConfig, layout: _Layout, split: Split
) -> Iterator[tuple[bytes | bytearray, str]]:
    """Content and name of the files of a split."""
    known, names = IMAGE_SETS[config.name], layout.files[split]
    archive = known.images[split].name
    if config.path is None:
        place = fetch(known, known.images[split])
    else:
        place = _place(config.path, config.name, layout, archive, names)
    if os.path.isdir(place):
        for name in names:
            with reading(place / name) as (stream, _):
                yield read_exactly(stream, layout.size(split), place / name), str(place / name)
        return
    held = read_tar(place, layout.sizes(), names)
    for name in names:
        if name not in held:
            refuse(f"{str(place)!r} without {name}", f"the binary version of {config.name}",
                   f"get {archive}", "data.path")  # fmt: skip
        yield held[name], f"{name} of {place}"


def _place(path: str, name: str, layout: _Layout, archive: str, names: tuple[str, ...]) -> Path:
    """The archive, or the folder of the files."""
    _refuse_python(path, layout, archive)
    every = tuple(layout.sizes())
    inside = (names[0], f"{layout.folder}/{names[0]}", archive, archive.removesuffix(".gz"))
    found = find_any(name, path, inside, also=every)
    return found.parent if found.name == names[0] else found


def _refuse_python(path: str, layout: _Layout, archive: str) -> None:
    given = Path(os.path.expanduser(path))
    parts = (layout.python, archive.replace("binary", "python"))
    for part in parts:
        if given.name.startswith(part) or os.path.exists(given / part):
            refuse(f"{path!r} with {part}, the version for Python", "the binary version",
                   f"get {archive}: the other is a pickle, which can run any code when it is read",
                   "data.path")  # fmt: skip


def _records(
    data: bytes | bytearray, layout: _Layout, what: str
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images and labels of a file whose size is right."""
    heads = len(layout.classes)
    records = np.frombuffer(data, np.uint8).reshape(-1, heads + _PIXELS)
    for place, classes in enumerate(layout.classes):
        _check_labels(records[:, place], classes, what)
    images = records[:, heads:].reshape(-1, 3, _SIDE, _SIDE)
    return images, records[:, heads - 1]


def _check_labels(labels: NDArray[Any], classes: int, what: str) -> None:
    if labels.min() < 0 or labels.max() >= classes:
        wrong = int(np.argmax((labels < 0) | (labels >= classes)))
        refuse(f"{what} with label {labels[wrong]} of image {wrong}", f"0 to {classes - 1}",
               "check that it is the right file", "data")  # fmt: skip


# --- sheets -------------------------------------------------------------------------------------


def _sheets(config: DataConfig) -> list[str]:
    """Names of the PNG files of a folder that holds no other form, batch 2 before batch 10."""
    known, layout = IMAGE_SETS["cifar10"].images["train"].name, _LAYOUTS["cifar10"]
    others = {known, known.removesuffix(".gz"), layout.folder, layout.python, "cifar10"}
    folder = os.path.expanduser(config.path or "")
    if config.name != "cifar10" or not os.path.isdir(folder):
        return []
    try:
        names = os.listdir(folder)
    except OSError as error:
        refuse(f"{config.path!r} ({error.strerror})", "a readable folder", "check its permissions",
               "data.path")  # fmt: skip
    if others & set(names) or any(name.endswith(".bin") for name in names):
        return []
    found = [name for name in names if name.lower().endswith(".png")]
    return sorted(found, key=lambda name: ([int(n) for n in _NUMBER.findall(name)], name))


def _from_sheets(config: DataConfig, names: list[str], split: Split) -> DataSet:
    folder = Path(os.path.expanduser(config.path or ""))
    images = np.concatenate([_sheet(folder, name) for name in names])
    labels, told = _sheet_labels(folder, len(images))
    chosen = every_tenth(len(images), split, str(folder))
    notes = (f"{len(images)} images of CIFAR-10 in {len(names)} sheets, {_NOTE}",
             "every tenth sample is the test split", *told)  # fmt: skip
    return DataSet(config.name, split, images[chosen], (0.0, 1.0), notes,
                   None if labels is None else labels[chosen])  # fmt: skip


def _sheet(folder: Path, name: str) -> NDArray[np.uint8]:
    with members_of(folder) as members:
        what = repr(str(folder / name))
        pixels = decode_rgb(members.read(name), what)
    if pixels.shape[1] != _SIDE**2:
        refuse(f"{what}, {pixels.shape[1]} pixels wide", f"{_SIDE**2}, an image in every row",
               "use the name images for a folder of images", "data.path")  # fmt: skip
    return np.ascontiguousarray(pixels.reshape(-1, _SIDE, _SIDE, 3).transpose(0, 3, 1, 2))


def _sheet_labels(folder: Path, count: int) -> tuple[NDArray[Any] | None, tuple[str, ...]]:
    names = sorted(name for name in os.listdir(folder) if _LABELS.match(name))
    if not names:
        return None, ()
    if len(names) > 1:
        refuse(f"{str(folder)!r} with {' and '.join(names)}", "one file of labels",
               "remove the others", "data.path")  # fmt: skip
    labels = read_vector(folder / names[0])
    if len(labels) != count:
        refuse(f"{names[0]!r} with {len(labels)} labels", f"{count}, one for each image",
               "check that the files belong together", "data.path")  # fmt: skip
    _check_labels(labels, 10, repr(str(folder / names[0])))
    return labels, (f"labels of {names[0]}",)
