"""A .npz archive in memory: a JSON header and plain arrays, held against the bytes there are."""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["allowed_dtype", "pack", "sealed", "unpack"]

_END = 22  # bytes of the record that ends an archive without a comment
_HEADER = "header.npy"
_DTYPES = frozenset({"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8",
                     "<f2", "<f4", "<f8"})  # fmt: skip
# The first bytes of an array as numpy.save writes them, format 1.0.
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([|<]\w\d)', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18},(?: \d{1,18},?){0,31})?)\), \} *\n",
    re.DOTALL,
)


def allowed_dtype(name: str) -> np.dtype[Any]:
    """Return a little-endian real dtype of at most eight bytes."""
    if name not in _DTYPES:
        raise ValueError(f"with an array of dtype {name[:40]!r}")
    return np.dtype(name)


def sealed(array: NDArray[Any]) -> NDArray[Any]:
    """Make an array that nobody else holds read-only."""
    array.flags.writeable = False
    return array


def pack(header: str, arrays: Sequence[NDArray[Any]]) -> bytes:
    """Archive of a header, as the bytes of its UTF-8 text, and of numbered arrays."""
    named = {"header": np.frombuffer(header.encode(), dtype=np.uint8)}
    for number, array in enumerate(arrays):
        named[f"array_{number}"] = array.astype(array.dtype.newbyteorder("<"), copy=False)
    file = io.BytesIO()
    np.savez(file, **named)  # type: ignore[arg-type]
    return file.getvalue()


def unpack(body: bytes) -> tuple[bytes, list[NDArray[Any]]]:
    """Header and arrays; a ValueError says what is wrong with the archive."""
    if body[:4] != b"PK\x03\x04" or body[-_END:][:4] != b"PK\x05\x06":
        raise ValueError("which is not an archive, is truncated, or holds something else as well")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = archive.infolist()
            _check_members(members, len(body))
            found = {info.filename: archive.read(info) for info in members}
    except ValueError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, LookupError,
            OverflowError, struct.error) as error:  # fmt: skip
        raise ValueError(f"which is truncated or damaged ({error})") from error
    wanted = {_HEADER, *(f"array_{number}.npy" for number in range(len(members) - 1))}
    if set(found) != wanted or len(members) != len(wanted):
        raise ValueError("whose archive does not hold one header and numbered arrays")
    header = _array(found[_HEADER])
    if header.ndim != 1 or header.dtype != np.uint8:
        raise ValueError("whose header is not text")
    return header.tobytes(), [
        _array(found[f"array_{number}.npy"]) for number in range(len(members) - 1)
    ]


def _check_members(members: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Members lie in the file as they are, beside one another: nothing can unpack to more."""
    for info in members:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ValueError("whose archive is compressed")
        if info.flag_bits & 1:
            raise ValueError("whose archive is encrypted")
    if sum(info.file_size for info in members) > size:
        raise ValueError("whose archive declares more bytes than it has")


def _array(member: bytes) -> NDArray[Any]:
    """Read one .npy member, without ever allocating what only its header speaks of."""
    found = _NPY.match(member)
    if not found or len(found[0]) != 10 + int.from_bytes(found[1], "little"):
        raise ValueError("with a damaged array")
    dtype = allowed_dtype(found[2].decode())
    shape = tuple(int(size) for size in found[4].replace(b",", b" ").split())
    start = found.end()
    if math.prod(shape) * dtype.itemsize != len(member) - start:
        raise ValueError(f"whose array of {len(member) - start} bytes declares the shape {shape}")
    flat = np.frombuffer(member, dtype, offset=start).copy()
    return sealed(flat.reshape(shape, order="F" if found[3] == b"True" else "C"))
