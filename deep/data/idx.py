"""The IDX format of MNIST: a magic number, dimensions, entries in big-endian order."""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from deep.data.files import read_exactly, reading, refuse

__all__ = ["read_idx"]

# Third byte of the magic number; the fourth is the number of dimensions.
_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMENSIONS = 8


def read_idx(
    path: str | Path, *, ndim: int | None = None, dtype: type[np.generic] | None = None
) -> NDArray[Any]:
    """Read an array from an IDX file, plain or gzipped.

    Parameters
    ----------
    path : str or Path
    ndim : int, optional
        Demanded number of dimensions: 3 for images, 1 for labels.
    dtype : type, optional
        Demanded dtype, ``np.uint8`` for pixels.

    Returns
    -------
    ndarray
        In native byte order, at least one entry.

    Raises
    ------
    DataError
        Not IDX, another dtype or number of dimensions, truncated, bytes after the data, no
        entries, or a declared size that the file cannot hold; the last is refused before any
        memory is taken.

    Notes
    -----
    Header: two zero bytes, a byte for the dtype, a byte for the number d of dimensions, then d
    sizes as big-endian unsigned 32-bit integers.
    """
    with reading(path) as (stream, bound):
        kind, dims = _magic(stream, path)
        _check_kind(kind, dims, ndim, dtype, path)
        shape = tuple(int(n) for n in np.frombuffer(_header(stream, 4 * dims, path), ">u4"))
        size = math.prod(shape) * kind.itemsize
        if not size:
            refuse(f"{str(path)!r} with shape {shape}", "at least one entry", "write it again")
        if size > bound - 4 - 4 * dims:
            refuse(f"{str(path)!r}, which declares {size} bytes (shape {shape}) but can hold at "
                   f"most {bound - 4 - 4 * dims}", "as many bytes as declared",
                   "copy or download it again")  # fmt: skip
        data = read_exactly(stream, size, path)
    return np.frombuffer(data, kind).reshape(shape).astype(kind.newbyteorder("="), copy=False)


def _header(stream: IO[bytes], count: int, path: str | Path) -> bytes:
    got = stream.read(count)
    if len(got) < count:
        refuse(f"{str(path)!r}, which ends inside its header", "an IDX file",
               "copy or download it again")  # fmt: skip
    return got


def _magic(stream: IO[bytes], path: str | Path) -> tuple[np.dtype[Any], int]:
    magic = _header(stream, 4, path)
    code, dims = magic[2], magic[3]
    if magic[:2] != b"\0\0" or code not in _DTYPES or not 1 <= dims <= _MOST_DIMENSIONS:
        refuse(f"{str(path)!r} with magic number {magic.hex()}",
               f"0000, a dtype of {', '.join(f'{c:02x}' for c in _DTYPES)}, and 01 to "
               f"{_MOST_DIMENSIONS:02x} dimensions", "check that it is an IDX file")  # fmt: skip
    return np.dtype(_DTYPES[code]), dims


def _check_kind(
    kind: np.dtype[Any],
    dims: int,
    ndim: int | None,
    dtype: type[np.generic] | None,
    path: str | Path,
) -> None:
    wrong_dtype = dtype is not None and kind.newbyteorder("=") != np.dtype(dtype)
    if wrong_dtype or ndim not in (None, dims):
        wanted_dtype = kind if dtype is None else np.dtype(dtype)
        refuse(f"{str(path)!r} of dtype {kind} with {dims} dimensions",
               f"dtype {wanted_dtype} with {dims if ndim is None else ndim} dimensions",
               "check that images and labels were not exchanged")  # fmt: skip
