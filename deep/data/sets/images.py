"""Any images: a folder or a zip file of PNG, JPEG, BMP, WebP, GIF and PPM files, nested or not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deep.config import DataConfig
from deep.data.decode import IMAGE_SUFFIXES, Mode, header_of
from deep.data.files import refuse
from deep.data.members import Members, open_members
from deep.data.pictures import Layout, Pictures
from deep.data.splits import Split, every_tenth

__all__ = ["image_pictures"]

_SPLITS: tuple[Split, ...] = ("train", "valid", "test")


def image_pictures(config: DataConfig, split: Split) -> Pictures:
    """Find the images of a split below a folder or in a zip file.

    Parameters
    ----------
    config : DataConfig
        ``path``: the folder or zip file. ``size``: to which the square in the middle of each image
        is resized; without it all images must have one size.

    Returns
    -------
    Pictures
        In sorted order, grey if all files of all splits are, else RGB. Labels number the folders
        in which the images of a split lie, if there are two or more of them and no image lies
        beside them.

    Raises
    ------
    DataError
        No images, images of several sizes without ``size``, images without folders train or test
        beside such folders, damaged headers.

    Notes
    -----
    The headers of all images are read to decide the number of channels.
    """
    if not config.path:
        refuse("nothing", "a folder or zip file of images", "set it", "data.path")
    path = Path(os.path.expanduser(config.path))
    if not (os.path.isdir(path) or path.suffix.lower() == ".zip"):
        refuse(f"{config.path!r}", "a folder or a .zip file", "name the folder of the images",
               "data.path")  # fmt: skip
    members = open_members(path)
    try:
        return _pictures(members, config, split, path)
    except BaseException:
        members.close()
        raise


def _pictures(members: Members, config: DataConfig, split: Split, path: Path) -> Pictures:
    files = [name for name in members.names if _is_image(name)]
    if not files:
        refuse(f"{str(path)!r} without images", f"files ending in {', '.join(IMAGE_SUFFIXES)}",
               "name another folder", "data.path")  # fmt: skip
    top = _common_folder(files)
    layout = _layout(members, files, config.size)
    by_split = _by_split(files, top, path)
    if by_split is None:
        chosen = np.flatnonzero(every_tenth(len(files), split, str(path)))
        names = [files[i] for i in chosen]
        notes = ["every tenth image is the test split"]
        classes = _classes(files, top)
    else:
        names, notes = by_split.get(split, []), []
        if not names:
            refuse(f"{str(path)!r} without images in a folder {split}",
                   f"one of {', '.join(by_split)}", "choose one of them", "data.path")  # fmt: skip
        classes = {
            name: label
            for s, part in by_split.items()
            for name, label in _classes(part, f"{top}{s}/").items()
        }
    notes.append(f"{'grey' if layout.mode == 'L' else 'RGB'} images, x/255")
    if layout.resized:
        notes.append(f"the middle of each resized to {layout.height}x{layout.width}")
    labels = _labels(names, classes)
    return Pictures(str(path), split, members, tuple(names), layout, labels, tuple(notes))


def _is_image(name: str) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
    return name.lower().endswith(IMAGE_SUFFIXES) and not hidden


def _common_folder(files: Sequence[str]) -> str:
    """The folder, ending in "/", in which a zip file has all its images; else nothing.

    A folder named like a split is not passed over.
    """
    top = ""
    while True:
        heads = {name[len(top) :].split("/", 1)[0] for name in files}
        if len(heads) > 1 or heads <= set(_SPLITS) or f"{top}{next(iter(heads))}" in files:
            return top
        top += f"{heads.pop()}/"


def _by_split(files: Sequence[str], top: str, path: Path) -> dict[Split, list[str]] | None:
    """Images by the folders train, valid and test; None when there is no folder train."""
    heads = {name[len(top) :].split("/", 1)[0] for name in files if "/" in name[len(top) :]}
    if "train" not in heads:
        return None
    held: dict[Split, list[str]] = {s: [] for s in _SPLITS if s in heads}
    for name in files:
        place = name[len(top) :].split("/", 1)[0]
        if place not in held:
            refuse(f"{name!r} in {str(path)!r}, in none of the folders {', '.join(held)}",
                   "every image in one of them", "move or remove it", "data.path")  # fmt: skip
        held[next(s for s in held if s == place)].append(name)
    return held


def _classes(files: Sequence[str], top: str) -> dict[str, str]:
    """The folder below `top` in which each image lies; empty where one lies in none."""
    parts = {name: name[len(top) :].split("/") for name in files}
    return {name: part[0] if len(part) > 1 else "" for name, part in parts.items()}


def _labels(names: Sequence[str], classes: dict[str, str]) -> NDArray[np.int64] | None:
    known = sorted(set(classes.values()))
    if len(known) < 2 or "" in known:
        return None
    number = {folder: label for label, folder in enumerate(known)}
    return np.array([number[classes[name]] for name in names], np.int64)


def _layout(members: Members, files: Sequence[str], size: int | None) -> Layout:
    """Grey or RGB, and the size of all."""
    mode: Mode = "L"
    first: tuple[int, int] | None = None
    for name in files:
        found, shape = header_of(members.read(name), repr(name))
        mode = "RGB" if found == "RGB" else mode
        first = first or shape
        if size is None and shape != first:
            refuse(f"{name!r} of {shape[0]}x{shape[1]} pixels and {files[0]!r} of "
                   f"{first[0]}x{first[1]}", "images of one size, or a size for all",
                   "set the size to which they are to be resized", "data.size")  # fmt: skip
    height, width = first or (0, 0)
    return Layout(mode, size or height, size or width, resized=size is not None)
