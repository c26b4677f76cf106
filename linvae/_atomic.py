"""Files that are written whole or not at all, whatever stops the process or fills the disk."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ._csvfile import refuse

try:
    import fcntl
except ImportError:  # no such locks on this system: what a killed process left stays
    fcntl = None  # type: ignore[assignment]

__all__ = ["atomic_write"]


@contextlib.contextmanager
def atomic_write(target: str | Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the target's place on success and vanishes otherwise.

    Readers see the old file or the new one, never a part, also after a loss of power. A temporary
    file that a killed process left is removed by the next one that writes the same target.

    Raises
    ------
    DataFileError
        When the directory or the disk does not take the file.
    """
    path = Path(os.path.realpath(target))
    part = None
    try:
        _remove_stale(path)
        part, file = _open_held(path)
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:  # while it is held
                os.replace(part, path)
        if fcntl is None:  # where open files cannot be renamed
            os.replace(part, path)
        _sync_directory(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        refuse("output", f"{str(target)!r}, which could not be written ({reason})",
                "a writable file", "check the directory and the free space")  # fmt: skip
    finally:
        if part is not None:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def _open_held(path: Path) -> tuple[Path, IO[bytes]]:
    """Create a temporary file beside the target, locked for as long as it is open."""
    while True:
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        file = part.open("xb")
        # Another process may have taken it for a stale one before it was locked.
        if _hold(file.fileno()) is not False and part.exists():
            return part, file
        file.close()


def _hold(descriptor: int) -> bool | None:
    """Lock an open file until its process ends: True; False if another has; None without locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def _remove_stale(path: Path) -> None:
    """Remove the temporary files of the target that no process holds."""
    name = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f]{8}\.part")
    with contextlib.suppress(OSError):
        for found in os.listdir(path.parent):
            if name.fullmatch(found):
                _remove_if_free(path.with_name(found))


def _remove_if_free(part: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(part, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        try:
            if _hold(descriptor):
                part.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _sync_directory(directory: Path) -> None:
    """Make a rename last through a loss of power, where directories can be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
