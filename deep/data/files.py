"""Opening data files, plain or gzipped, without trusting a number they contain."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn, cast

from deep._checks import fail
from deep.errors import DataError

__all__ = ["LARGEST_RATIO", "MOST_BYTES", "check_file", "read_exactly", "reading", "refuse"]

# More than this is refused: such data belong into a .npy file, which is read where it is needed.
MOST_BYTES = 2**32
# Deflate spends at least 2 bits on 258 bytes, so no gzip file holds more than this many times its
# own size. A declared size beyond that is a lie, known before a byte is set aside for it.
LARGEST_RATIO = 1032
_GZIP_MAGIC = b"\x1f\x8b"
_BLOCK = 2**20


def refuse(got: str, expected: str, remedy: str, name: str = "data") -> NoReturn:
    """Raise a DataError in the usual three parts."""
    fail(name, got, expected, remedy, DataError)


def check_file(path: str | Path) -> Path:
    """Return the path of a regular file that is not empty, or refuse it.

    Raises
    ------
    DataError
        Missing, empty, a directory, a device or a pipe, or a name no file can have.
    """
    found = Path(path)
    shown = repr(str(path))
    try:
        info = found.stat()
    except FileNotFoundError:
        refuse(f"{shown}, which does not exist", "a file", "check the path")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        refuse(f"{shown} ({reason})", "a readable file", "check the path and its permissions")
    if not stat.S_ISREG(info.st_mode):
        what = "a directory" if stat.S_ISDIR(info.st_mode) else "not a regular file"
        refuse(f"{shown}, {what}", "a file", "name one file")
    if info.st_size == 0:
        refuse(f"{shown}, an empty file", "a file with data", "copy or download it again")
    return found


@contextmanager
def reading(path: str | Path) -> Iterator[tuple[IO[bytes], int]]:
    """Open a file for reading, unpacking gzip (told by its content) on the way.

    Yields
    ------
    stream : binary file
        Of the unpacked content.
    bound : int
        Bytes the content cannot exceed: the size of a plain file, the most that gzip of this size
        can hold, and never more than :data:`MOST_BYTES`.

    Raises
    ------
    DataError
        What :func:`check_file` refuses; a file that may not be read, truncated or damaged gzip,
        also when the reading inside the ``with`` block meets them.
    """
    found = check_file(path)
    try:
        with found.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            packed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            if not packed:
                yield file, min(size, MOST_BYTES)
                return
            with gzip.GzipFile(fileobj=file) as stream:
                yield cast(IO[bytes], stream), min(LARGEST_RATIO * size, MOST_BYTES)
    except PermissionError:
        refuse(f"{str(path)!r}, which may not be read", "a readable file", "check its permissions")
    except (OSError, EOFError, zlib.error) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        refuse(f"{str(path)!r}, truncated or damaged ({reason})", "an undamaged file",
               "copy or download it again")  # fmt: skip


def read_exactly(stream: IO[Any], count: int, path: str | Path) -> bytearray:
    """Read `count` bytes after which the content must end.

    Memory grows with what is really there, not with what was promised.

    Raises
    ------
    DataError
        Fewer or more bytes.
    """
    held = bytearray()
    while len(held) < count and (block := stream.read(min(_BLOCK, count - len(held)))):
        held += block
    if len(held) < count:
        refuse(f"{str(path)!r}, truncated: {len(held)} bytes of data", f"{count} bytes",
               "copy or download it again")  # fmt: skip
    # Reading on past the end also makes gzip compare its checksum.
    if stream.read(1):
        refuse(f"{str(path)!r} with bytes after its data", f"{count} bytes and no more",
               "copy or download it again")  # fmt: skip
    return held
