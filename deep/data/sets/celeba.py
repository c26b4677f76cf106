"""CelebA (Liu et al., 2015): aligned faces, cropped and resized to 64x64 as is usual for VAEs."""

from __future__ import annotations

import os
import re
from pathlib import Path

from deep.config import DataConfig
from deep.data.files import read_exactly, reading, refuse
from deep.data.local import find_any
from deep.data.members import Members, open_members
from deep.data.pictures import Layout, Pictures
from deep.data.splits import Split

__all__ = ["celeba_pictures"]

_ZIP, _FOLDER, _LIST = "img_align_celeba.zip", "img_align_celeba", "list_eval_partition.txt"
_STORED, _BOX, _SIZE = (218, 178), (15, 40, 163, 188), 64
_CODES: dict[Split, int] = {"train": 0, "valid": 1, "test": 2}
# Where the list of splits is missing: the last number of train and of valid, and of all.
_LAST = (162_770, 182_637, 202_599)
_IMAGE = re.compile(r"(?:.*/)?(\d{6})\.jpg$")
_LINE = re.compile(r"(\d{6}\.jpg)\s+([012])$")
_MOST_LIST = 2**24


def celeba_pictures(config: DataConfig, split: Split) -> Pictures:
    """Find the images of a split of CelebA.

    Parameters
    ----------
    config : DataConfig
        ``path``: the folder of img_align_celeba.zip or of the unpacked folder of that name, either
        of the two, or a folder of the .jpg files. ``size``: 64 when omitted.

    Returns
    -------
    Pictures
        (3, size, size), from the box (15, 40, 163, 188) of the 178x218 images.

    Raises
    ------
    DataError
        Missing files, an image in the list of splits that is not there, or the other way round.

    Notes
    -----
    CelebA is for research only and has no address from which it could be downloaded without a
    browser: get img_align_celeba.zip and list_eval_partition.txt from its page,
    https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html.
    """
    if config.path is None:
        refuse("no path to CelebA, which cannot be downloaded automatically",
               f"a folder with {_ZIP} and {_LIST}",
               "get them from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
               "data.path")  # fmt: skip
    place = _place(config.path)
    listed = _list(place)
    members = open_members(place)
    try:
        files = _chosen(members, listed, place, split)
    except BaseException:
        members.close()
        raise
    size = config.size or _SIZE
    layout = Layout("RGB", size, size, resized=True, box=_BOX, stored=_STORED)
    told = "splits by the published numbers" if listed is None else f"splits by {_LIST}"
    notes = (f"cropped to {_BOX} and resized to {size}x{size}", told)
    return Pictures("celeba", split, members, files, layout, None, notes)


def _chosen(
    members: Members, listed: dict[str, int] | None, place: Path, split: Split
) -> tuple[str, ...]:
    """Members of a split, in order of their numbers."""
    files = _images(members, place)
    codes = _by_number(files) if listed is None else _by_list(files, listed, place)
    chosen = tuple(files[name] for name in sorted(files) if codes[name] == _CODES[split])
    if not chosen:
        refuse(f"{str(place)!r} without images of the {split} split", "all of CelebA",
               "complete it, or use the name images", "data.path")  # fmt: skip
    return chosen


def _place(path: str) -> Path:
    """The zip file or the folder of the images."""
    folder = Path(os.path.expanduser(path))
    if os.path.isdir(folder) and any(map(_IMAGE.match, _names(folder))):
        return folder
    return find_any("celeba", path, (_ZIP, _FOLDER), also=(_LIST,))


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as error:
        refuse(f"{str(folder)!r} ({error.strerror})", "a readable folder", "check its permissions",
               "data.path")  # fmt: skip


def _images(members: Members, place: Path) -> dict[str, str]:
    """Members by file name."""
    found: dict[str, str] = {}
    for member in members.names:
        match = _IMAGE.match(member)
        if match is None or member.startswith("__MACOSX/"):
            continue
        name = f"{match[1]}.jpg"
        if found.setdefault(name, member) != member:
            refuse(f"{str(place)!r} with two files named {name}", "one", "remove one of them",
                   "data.path")  # fmt: skip
    return found


def _list(place: Path) -> dict[str, int] | None:
    """The list of splits beside the images, or one folder above."""
    places = [place.parent / _LIST, place / _LIST] if place.is_dir() else [place.parent / _LIST]
    path = next((path for path in places if os.path.exists(path)), None)
    if path is None:
        return None
    with reading(path) as (stream, bound):
        text = bytes(read_exactly(stream, min(bound, path.stat().st_size, _MOST_LIST), path))
    codes: dict[str, int] = {}
    for number, line in enumerate(text.decode("ascii", "replace").splitlines(), 1):
        match = _LINE.match(line.strip())
        if match is None or match[1] in codes:
            refuse(f"{str(path)!r} with {line[:40]!r} in line {number}",
                   "names like 000001.jpg, each once, with 0, 1 or 2", "download it again",
                   "data.path")  # fmt: skip
        codes[match[1]] = int(match[2])
    return codes


def _by_list(files: dict[str, str], codes: dict[str, int], place: Path) -> dict[str, int]:
    alone = sorted(set(files) ^ set(codes))
    if alone:
        where = ("the list of splits", "the images")[alone[0] in files]
        refuse(f"{str(place)!r} with {len(files)} images and a list of {len(codes)}: {alone[0]} "
               f"only in {where}", "one line for each image", "complete it",
               "data.path")  # fmt: skip
    return codes


def _by_number(files: dict[str, str]) -> dict[str, int]:
    numbers = {name: int(name[:6]) for name in files}
    strange = [name for name, number in numbers.items() if not 1 <= number <= _LAST[-1]]
    if strange:
        refuse(f"{strange[0]}", f"000001.jpg to {_LAST[-1]:06d}.jpg", "use the name images",
               "data.path")  # fmt: skip
    return {name: sum(number > last for last in _LAST[:2]) for name, number in numbers.items()}
