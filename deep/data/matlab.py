"""Numeric arrays of MATLAB 5 files, without trusting a size they declare.

Only real arrays of numbers are read, and only those asked for. Cells, structures and objects are
never built. The format: a header of 128 bytes, then elements with a type and a length, each a
matrix or a zlib stream that holds one; a matrix is made of elements again (flags, dimensions, name,
numbers).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deep.data.files import LARGEST_RATIO, MOST_BYTES, reading, refuse

__all__ = ["read_mat"]

_Order: TypeAlias = Literal["<", ">"]

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8",
          13: "u8"}  # fmt: skip
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8",
            15: "u8"}  # fmt: skip
_COMPLEX = 0x0800
_MOST_NAME, _MOST_DIMENSIONS = 63, 8
_BLOCK = 2**20


class _Tag(NamedTuple):
    kind: int
    length: int
    inline: bytes | None  # the data of a small element


def read_mat(
    path: str | Path, *, required: Collection[str], optional: Collection[str] = ()
) -> dict[str, NDArray[Any]]:
    """Read named variables of a MATLAB 5 file (versions 5 to 7.2).

    Parameters
    ----------
    path : str or Path
    required, optional : collection of str
        Names of variables; others are skipped.

    Returns
    -------
    dict
        Arrays in native byte order and column-major layout, as MATLAB stores them.

    Raises
    ------
    DataError
        Another format, truncated or damaged files, sizes that the file cannot hold, variables that
        are missing, twice there, or no real numbers.
    """
    found: dict[str, NDArray[Any]] = {}
    with reading(path) as (file, size):
        order = _byte_order(file.read(_HEADER), path)
        while file.tell() < size:
            reader = _Reader(file, order, size - file.tell(), path)
            tag = reader.tag()
            if tag.inline is not None or tag.length > reader.left:
                _broken(path, f"an element of {tag.length} bytes at byte {file.tell()}")
            end = file.tell() + tag.length
            inside = reader.matrix(tag)
            if inside is not None:
                _take(inside, {*required, *optional}, found, path)
            file.seek(end)
    missing = sorted(set(required) - set(found))
    if missing:
        refuse(f"{str(path)!r} without {', '.join(missing)}", "these variables",
               "check that it is the right file")  # fmt: skip
    return found


def _broken(path: str | Path, what: str) -> NoReturn:
    refuse(f"{str(path)!r}, truncated or damaged: {what}", "a MATLAB 5 file",
           "copy or download it again")  # fmt: skip


def _byte_order(header: bytes, path: str | Path) -> _Order:
    orders: dict[bytes, _Order] = {b"IM": "<", b"MI": ">"}
    order = orders.get(header[126:128])
    if order is None or header[124:126] not in (b"\x00\x01", b"\x01\x00"):
        newer = b"MATLAB 7.3" in header
        refuse(f"{str(path)!r}, not a MATLAB 5 file" + (" but of version 7.3" if newer else ""),
               "a .mat file of versions 5 to 7.2", "save it with -v7")  # fmt: skip
    return order


class _Reader:
    """Elements of a stream, of which at most `left` bytes may be read."""

    def __init__(
        self, stream: IO[bytes] | _Inflated, order: _Order, left: int, path: str | Path
    ) -> None:
        self._stream, self._order, self._path = stream, order, path
        self.left = left

    def take(self, count: int) -> bytearray:
        """Exactly so many bytes; memory grows with what is really there."""
        if count > self.left:
            _broken(self._path, f"{count} bytes where {self.left} are left")
        self.left -= count
        held = bytearray()
        while len(held) < count:
            block = self._stream.read(min(_BLOCK, count - len(held)))
            if not block:
                _broken(self._path, f"{len(held)} of {count} bytes")
            held += block
        return held

    def integers(self, data: bytes | bytearray, kind: Literal["i4", "u4"] = "u4") -> list[int]:
        """Integers in the byte order of the file."""
        if len(data) % 4:
            _broken(self._path, f"integers in {len(data)} bytes")
        return [int(n) for n in np.frombuffer(data, np.dtype(kind).newbyteorder(self._order))]

    def tag(self) -> _Tag:
        """Type and length of the next element; of a small one, also its data."""
        head = self.take(8)
        first, second = self.integers(head)
        if first >> 16 == 0:
            return _Tag(first, second, None)
        length = first >> 16
        if length > 4:
            _broken(self._path, f"a small element of {length} bytes")
        return _Tag(first & 0xFFFF, length, bytes(head[4 : 4 + length]))

    def element(self, most: int) -> tuple[int, bytes | bytearray]:
        """Type and data of the next element, which has at most so many bytes."""
        tag = self.tag()
        if tag.inline is not None:
            return tag.kind, tag.inline
        if tag.length > most:
            _broken(self._path, f"{tag.length} bytes where at most {most} are expected")
        data = self.take(tag.length)
        self.take(min(-tag.length % 8, self.left))  # elements start at multiples of 8
        return tag.kind, data

    def numbers(self, most: int) -> NDArray[Any]:
        """The numbers of the next element."""
        kind, data = self.element(most)
        if kind not in _TYPES or len(data) % np.dtype(_TYPES[kind]).itemsize:
            _broken(self._path, f"numbers of type {kind} in {len(data)} bytes")
        return np.frombuffer(data, np.dtype(_TYPES[kind]).newbyteorder(self._order))

    def finish(self) -> None:
        """Read a compressed stream to its end, where its checksum is."""
        if isinstance(self._stream, _Inflated):
            self._stream.finish()

    def matrix(self, tag: _Tag) -> _Reader | None:
        """What is in a matrix, compressed or not; None for other elements."""
        if tag.kind == _MATRIX:
            return _Reader(self._stream, self._order, tag.length, self._path)
        if tag.kind != _COMPRESSED:
            return None
        stream = _Inflated(self._stream, tag.length, self._path)
        most = min(LARGEST_RATIO * tag.length, MOST_BYTES)
        unpacked = _Reader(stream, self._order, most, self._path)
        inner = unpacked.tag()
        if inner.kind != _MATRIX or inner.inline is not None:
            _broken(self._path, f"a compressed element of type {inner.kind}")
        if inner.length > unpacked.left:
            _broken(self._path, f"{inner.length} bytes declared in {tag.length} packed ones")
        unpacked.left = inner.length
        return unpacked


def _take(
    inside: _Reader, wanted: Collection[str], found: dict[str, NDArray[Any]], path: str | Path
) -> None:
    """Read a matrix when it is wanted."""
    flags = inside.integers(inside.element(8)[1])
    if len(flags) != 2:
        _broken(path, "a matrix without flags")
    kind = flags[0] & 0xFF
    if kind == 17:  # an opaque object has neither dimensions nor a name here
        return
    shape = tuple(inside.integers(inside.element(4 * _MOST_DIMENSIONS)[1], "i4"))
    name = bytes(inside.element(_MOST_NAME)[1]).decode("ascii", "replace")
    if name not in wanted:
        return
    what = f"{str(path)!r} with {name!r}"
    if name in found:
        refuse(f"{what} twice", "one variable of a name", "save it again")
    if kind not in _CLASSES or flags[0] & _COMPLEX:
        refuse(f"{what} of class {kind}, not real numbers", "an array of real numbers",
               "save it as a full numeric array")  # fmt: skip
    count = math.prod(shape)
    target = np.dtype(_CLASSES[kind])
    most = min(inside.left, MOST_BYTES // target.itemsize)  # numbers, of at least a byte each
    if len(shape) < 2 or min(shape) < 1 or count > most:
        refuse(f"{what} of shape {shape} in at most {inside.left} bytes", "entries that are there",
               "copy or download it again")  # fmt: skip
    values = inside.numbers(count * 8)  # stored in as narrow a type as their values allow
    if values.size != count or not np.can_cast(values.dtype, target):
        refuse(f"{what} of shape {shape} but {values.size} numbers of {values.dtype}",
               f"{count} numbers that {target} can hold",
               "copy or download it again")  # fmt: skip
    inside.finish()
    found[name] = values.astype(target, copy=False).reshape(shape, order="F")


class _Inflated:
    """The content of a zlib stream of `length` bytes, as much of it as is asked for."""

    def __init__(self, stream: IO[bytes] | _Inflated, length: int, path: str | Path) -> None:
        self._stream, self._left, self._path = stream, length, path
        self._inflate = zlib.decompressobj()

    def read(self, count: int) -> bytes:
        """Up to `count` bytes; none at the end."""
        while True:
            packed = self._inflate.unconsumed_tail
            if not packed and not self._inflate.eof:
                packed = self._stream.read(min(_BLOCK, self._left))
                self._left -= len(packed)
            if not packed:
                return b""
            try:
                block = self._inflate.decompress(packed, count)
            except zlib.error as error:
                _broken(self._path, str(error))
            if block:
                return block
            if len(self._inflate.unconsumed_tail) >= len(packed):
                _broken(self._path, "a compressed element that leads nowhere")

    def finish(self) -> None:
        """Demand the end of the stream, with its checksum."""
        if self.read(1) or not self._inflate.eof:
            _broken(self._path, "a compressed element without its end")
