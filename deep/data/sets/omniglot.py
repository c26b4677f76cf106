"""Omniglot: handwritten characters of 50 alphabets, as 28x28 or as 105x105 images.

The 28x28 form is ``chardata.mat`` of Burda, Grosse and Salakhutdinov (2016), the one that published
numbers refer to. The 105x105 form is that of Lake, Salakhutdinov and Tenenbaum (2015): 964
characters to train on and 659 others to test on, drawn by 20 people each.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep.config import DataConfig
from deep.data.arrays import read_samples
from deep.data.dataset import DataSet
from deep.data.decode import decode_grey
from deep.data.download import fetch
from deep.data.files import refuse
from deep.data.local import find_any
from deep.data.matlab import read_mat
from deep.data.members import Members, members_of
from deep.data.registry import IMAGE_SETS
from deep.data.splits import Split, check_split_size, no_split

__all__ = ["area_weights", "load_omniglot"]

_PART = {"train": "background", "test": "evaluation"}
_DRAWN_SIZE, _SIZE = 105, 28
_CHARACTERS = {"train": 964, "test": 659}  # as published
_CHARDATA = "chardata.mat"
_VARIABLES = {"train": ("data", "target"), "test": ("testdata", "testtarget")}
_PNG = re.compile(r"images_(\w+)/([^/]+)/(character\d+)/\d+_(\d+)\.png$")
_OTHER = ("reduced from 105x105 by area averaging: not the images of chardata.mat, so likelihoods "
          "do not compare with published ones")  # fmt: skip


def load_omniglot(config: DataConfig, split: Split) -> DataSet:
    """Load Omniglot: chardata.mat, or the 105x105 form as .npz, .zip or folder of PNG files.

    Parameters
    ----------
    config : DataConfig
        ``path``: a folder that holds one of the forms, itself or in a folder ``omniglot``, or one
        of the files. ``size``: that of reduced images; 28 when omitted.

    Returns
    -------
    DataSet
        Ink is 1, in grey. Images of the 105x105 form are ordered by who drew them, so that the
        first ones already show every character; labels number the characters. The labels of
        chardata.mat number the alphabets.

    Raises
    ------
    DataError
    """
    if split == "valid":
        no_split("omniglot", split, "train or test")
    path = _find(config.path, split)
    if path.name == _CHARDATA:
        return _from_chardata(path, config.size, split)
    drawn = _from_npz(path, split) if path.suffix == ".npz" else _from_pictures(path, split)
    size = config.size or _SIZE
    if size > _DRAWN_SIZE:
        refuse(f"{size}", f"at most {_DRAWN_SIZE}", "choose a smaller size", "data.size")
    characters, people = drawn.shape[:2]
    check_split_size(characters, _CHARACTERS, split, repr(str(path)))
    labels = np.tile(np.arange(characters, dtype=np.int64), people)
    notes = ("ink is 1, paper 0", _OTHER) if size < _DRAWN_SIZE else ("ink is 1, paper 0",)
    return DataSet("omniglot", split, _reduced(drawn, size), (0.0, 1.0), notes, labels)


def _find(path: str | None, split: Split) -> Path:
    part = f"images_{_PART[split]}"
    if path is None:
        known = IMAGE_SETS["omniglot"]
        return fetch(known, known.images[split])
    names = (_CHARDATA, f"{part}.npz", f"{part}.zip", part)
    others = tuple(f"images_{other}{end}" for other in _PART.values() for end in (".npz", ".zip"))
    return find_any("omniglot", path, names, also=others)


# --- 28x28 --------------------------------------------------------------------------------------


def _from_chardata(path: Path, size: int | None, split: Split) -> DataSet:
    if size not in (None, _SIZE):
        refuse(f"{size} for {_CHARDATA}", f"{_SIZE}", "leave it out, or use the 105x105 form",
               "data.size")  # fmt: skip
    name, target = _VARIABLES[split]
    required = [pixels for pixels, _ in _VARIABLES.values()]  # both, or the file is not whole
    found = read_mat(path, required=required, optional=(target,))
    pixels = found[name]
    if pixels.ndim != 2 or len(pixels) != _SIZE**2 or pixels.shape[1] == 0:
        refuse(f"{str(path)!r} with {name!r} of shape {pixels.shape}", f"({_SIZE**2}, N)",
               "check that it is chardata.mat", "omniglot")  # fmt: skip
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        refuse(f"{str(path)!r} with {name!r} from {pixels.min()} to {pixels.max()}",
               "grey values in [0, 1]", "check that it is chardata.mat", "omniglot")  # fmt: skip
    # MATLAB counts down the columns of an image first.
    images = pixels.T.reshape(-1, _SIZE, _SIZE).swapaxes(1, 2).astype(np.float32)
    labels = _alphabets(found.get(target), len(images), path)
    notes = ("chardata.mat, ink is 1, paper 0",)
    return DataSet("omniglot", split, np.ascontiguousarray(images), (0.0, 1.0), notes, labels)


def _alphabets(target: NDArray[Any] | None, count: int, path: Path) -> NDArray[Any] | None:
    """Which alphabet each column marks with its only 1."""
    if target is None:
        return None
    if target.ndim != 2 or target.shape[1] != count:
        refuse(f"{str(path)!r} with {count} images and labels of shape {target.shape}",
               f"(alphabets, {count})", "copy it again", "omniglot")  # fmt: skip
    if not (((target == 0) | (target == 1)).all() and (target.sum(axis=0) == 1).all()):
        refuse(f"{str(path)!r} with labels that mark no alphabet or several",
               "a single 1 for every image", "copy it again", "omniglot")  # fmt: skip
    return np.asarray(target.argmax(axis=0))


# --- 105x105 ------------------------------------------------------------------------------------


def area_weights(size: int, full: int) -> NDArray[np.int64]:
    r"""Shares (size, full) of pixels by which area averaging reduces a line, times `size`.

    .. math:: w_{ij} = \bigl|[i\,\text{full}, (i+1)\,\text{full}]
              \cap [j\,\text{size}, (j+1)\,\text{size}]\bigr|

    Rows sum to `full`. Integers, so that averages are exact before they are rounded.
    """
    starts, pixels = full * np.arange(size)[:, None], size * np.arange(full)
    shared = np.minimum(starts + full, pixels + size) - np.maximum(starts, pixels)
    return np.asarray(np.maximum(shared, 0), dtype=np.int64)


def _reduced(ink: NDArray[np.bool_], size: int) -> NDArray[np.uint8]:
    """Ink (characters, people, 105, 105) as grey pixels (N, size, size), person by person."""
    weights = area_weights(size, _DRAWN_SIZE).astype(np.float32)
    characters, people = ink.shape[:2]
    small = np.empty((people, characters, size, size), np.uint8)
    for person in range(people):
        # Sums of whole numbers up to 105², which float32 holds exactly.
        sums = weights @ ink[:, person].astype(np.float32) @ weights.T
        small[person] = np.rint(255 * sums.astype(np.float64) / _DRAWN_SIZE**2)
    return small.reshape(-1, size, size)


def _from_npz(path: Path, split: Split) -> NDArray[np.bool_]:
    """Ink (characters, people, 105, 105) of an array in which ink is False."""
    found, _ = read_samples(path, "images")
    right = found.ndim == 4 and found.shape[2:] == (_DRAWN_SIZE, _DRAWN_SIZE) and found.size
    if not right or found.dtype != np.bool_:
        refuse(f"{str(path)!r} with images of shape {found.shape} and dtype {found.dtype}",
               f"(characters, people, {_DRAWN_SIZE}, {_DRAWN_SIZE}) of bool, False where ink is",
               "write it again", "omniglot")  # fmt: skip
    if _PART[split] not in path.name:
        refuse(f"{str(path)!r}", f"images_{_PART[split]}.npz", "name its folder", "omniglot")
    np.logical_not(found, out=found)  # in place: these are 200 MB
    return found


def _from_pictures(path: Path, split: Split) -> NDArray[np.bool_]:
    """The same of PNG files images_background/Alphabet/character01/0001_01.png."""
    with members_of(path) as members:
        drawings = _drawings(members, path, split)
        people = {person for _, person in drawings}
        characters = sorted({character for character, _ in drawings})
        if len(drawings) != len(people) * len(characters):
            refuse(f"{str(path)!r} with {len(drawings)} images of {len(characters)} characters "
                   f"by {len(people)} people", "one of every character by every one of them",
                   "copy it again", "omniglot")  # fmt: skip
        shape = (len(characters), len(people), _DRAWN_SIZE, _DRAWN_SIZE)
        ink = np.empty(shape, np.bool_)
        for row, character in enumerate(characters):
            for column, person in enumerate(sorted(people)):
                name = drawings[character, person]
                ink[row, column] = _drawing(members.read(name), f"{name} of {path}")
    return ink


def _drawings(members: Members, path: Path, split: Split) -> dict[tuple[str, int], str]:
    """Names of the images by character, with its alphabet, and person."""
    top = f"{path.name}/" if os.path.isdir(path) else ""
    found: dict[tuple[str, int], str] = {}
    for name in members.names:
        match = _PNG.match(top + name)
        if match is None:
            continue
        part, alphabet, character, person = match.groups()
        if part != _PART[split]:
            refuse(f"{name!r} in {str(path)!r}", f"images_{_PART[split]}/...",
                   "check that the files were not exchanged", "omniglot")  # fmt: skip
        if found.setdefault((f"{alphabet}/{character}", int(person)), name) != name:
            refuse(f"{name!r} beside {found[f'{alphabet}/{character}', int(person)]!r}",
                   "one image of a character by a person", "copy it again", "omniglot")  # fmt: skip
    if not found:
        refuse(f"{str(path)!r} without images_{_PART[split]}/Alphabet/character01/0001_01.png or "
               "the like", "the images of Omniglot", "copy it again", "omniglot")  # fmt: skip
    return found


def _drawing(content: bytes, what: str) -> NDArray[np.bool_]:
    grey = decode_grey(content, what)
    if grey.shape != (_DRAWN_SIZE, _DRAWN_SIZE):
        refuse(f"{what} of {grey.shape[0]}x{grey.shape[1]} pixels", f"{_DRAWN_SIZE}x{_DRAWN_SIZE}",
               "copy it again", "omniglot")  # fmt: skip
    return np.asarray(grey < 128)
