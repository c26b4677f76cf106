"""Samples of any file: what its name says it is, with the errors of this package."""

from __future__ import annotations

import math
import re
import sys
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from deep.data.amat import read_amat
from deep.data.files import LARGEST_RATIO, MOST_BYTES, check_file, refuse
from deep.data.idx import read_idx
from deep.errors import DataError
from linvae import datafiles
from linvae.errors import InputError

__all__ = ["SUFFIXES", "read_samples", "read_vector"]

SUFFIXES = (".npy", ".npz", ".csv", ".amat", ".amat.gz", ".idx", ".idx.gz")
_IDX = re.compile(r"(\.idx|[.-]idx\d-\w+)(\.gz)?$")
_AMAT = re.compile(r"\.amat(\.gz)?$")


def read_samples(path: str | Path, key: str | None = None) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Read samples (N, ...) and notes from a .npy, .npz, .csv, .amat or IDX file.

    Parameters
    ----------
    path : str or Path
        A .npy file is mapped, not read.
    key : str, optional
        Which array of a .npz file.

    Raises
    ------
    DataError
        A missing, damaged or unknown file, an array that is not (N, ...).
    """
    found = check_file(path)
    name = found.name.lower()
    if key is not None and found.suffix.lower() != ".npz":
        refuse(f"{key!r} for {str(path)!r}", "a .npz file", "leave the key out", "key")
    if _AMAT.search(name):
        return read_amat(found), ()
    if _IDX.search(name):
        return read_idx(found), ()
    if not name.endswith(SUFFIXES):
        refuse(f"{str(path)!r}, of unknown type", f"a name ending in {', '.join(SUFFIXES)}",
               "convert it, for example with numpy.save")  # fmt: skip
    if found.suffix.lower() != ".csv":
        _check_headers(found)
    try:
        data = datafiles.load_data(str(found), key=key)
    except InputError as error:
        raise DataError(str(error).replace("--key", "key")) from error
    return np.asarray(data.samples).reshape(data.stored_shape), _kept(data.notes)


def read_vector(path: str | Path) -> NDArray[Any]:
    """Read integers (N,) from a .npy file; (N, 1) and (1, N) count as well.

    Raises
    ------
    DataError
        A missing or damaged file, objects, no integers, another shape.
    """
    found = check_file(path)
    _check_headers(found)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = np.load(found, allow_pickle=False)
    except (ValueError, OSError, EOFError, OverflowError, TypeError) as error:
        reason = " ".join(str(error).split())[:120]
        refuse(f"{str(path)!r}, damaged or not a .npy file of numbers ({reason})", "integers",
               "write it again with numpy.save")  # fmt: skip
    if values.dtype.kind not in "iu" or values.size != max(values.shape, default=0):
        refuse(f"{str(path)!r} of shape {values.shape} and dtype {values.dtype}",
               "a row of integers", "write it again with numpy.save")  # fmt: skip
    return np.asarray(values.reshape(-1))


def _kept(notes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(note for note in notes if "flattened" not in note)  # undone above


def _check_headers(path: Path) -> None:
    """Refuse arrays whose headers cannot be read, or declare more than the file holds."""
    kind = path.suffix.lower()[1:]
    try:
        if kind == "npy":
            with path.open("rb") as file:
                _check_header(file, path.stat().st_size, sys.maxsize, str(path))
            return
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                most = min(LARGEST_RATIO * member.compress_size, MOST_BYTES)
                with archive.open(member) as file:
                    _check_header(file, member.file_size, most, f"{member.filename} of {path}")
    except DataError:
        raise
    except PermissionError:
        refuse(f"{str(path)!r}, which may not be read", "a readable file", "check its permissions")
    except Exception as error:  # the readers of zip files and headers raise a dozen kinds
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        refuse(f"{str(path)!r}, not a .{kind} file or a damaged one ({reason})",
               f"a file written by numpy.save{'z' * (kind == 'npz')}",
               "copy or write it again")  # fmt: skip


def _check_header(file: IO[bytes], size: int, most: int, what: str) -> None:
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers as Python 2 wrote them
        shape, _, dtype = read(file)
    if min(shape, default=0) < 0:
        raise ValueError(f"shape {shape}")
    declared = math.prod(shape) * dtype.itemsize
    held = min(size - file.tell(), most)
    # Objects are refused by the reader, with the remedy that fits.
    if declared > held and not dtype.hasobject:
        refuse(f"{what!r}, truncated: it declares {declared} bytes (shape {shape}) but can hold at "
               f"most {held}", "as many bytes as declared", "copy or write it again")  # fmt: skip
