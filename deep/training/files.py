"""Files that are complete or absent, whenever the process or the machine stops.

A file or folder is written under a hidden name, flushed to the disk and renamed. What a killed
process leaves behind has a hidden name and is swept up at the next start.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from deep._checks import fail
from deep.errors import CheckpointError

try:
    import fcntl
except ImportError:  # no such locks on this system: folders are then not guarded
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "append",
    "canonical",
    "digest",
    "disk_errors",
    "is_number",
    "locked",
    "make_folder",
    "read_sealed",
    "remove_folder",
    "replace_file",
    "sealed",
    "sweep",
    "write_folder",
]

_WRITING, _REMOVING = ".writing-", ".removing-"
_LOCK = ".lock"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sealed(content: Mapping[str, Any]) -> bytes:
    """Readable JSON of a mapping together with the checksum of its content."""
    body = {**content, "checksum": digest(canonical(content))}
    return json.dumps(body, indent=1, allow_nan=False).encode() + b"\n"


def read_sealed(path: Path) -> dict[str, Any]:
    """Return the content of a file of :func:`sealed`.

    Raises
    ------
    CheckpointError
        Missing, truncated or altered.
    """
    try:
        content = json.loads(path.read_bytes())
        checksum = content.pop("checksum")
        same = digest(canonical(content)) == checksum  # 1e999 is read as infinite, never written
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(_damaged(path, f"{type(error).__name__} on reading")) from error
    if not same:
        raise CheckpointError(_damaged(path, "another checksum"))
    return dict(content)


def is_number(value: Any) -> bool:
    """Whether a value from JSON is a finite number that a float can hold."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and abs(value) <= sys.float_info.max  # false for NaN


def _damaged(path: Path, got: str) -> str:
    return f"{path}: got {got}; expected the file as it was written; use another checkpoint"


def _remedy(number: int | None) -> str:
    if number in _NO_ROOM:
        return "make room there"
    if number in _REFUSED:
        return "allow writing there or choose another folder"
    return "put that right or choose another folder"


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the system says about a full disk or a refusal into one clear error.

    Raises
    ------
    CheckpointError
    """
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"folder: got {error.strerror or error} on writing to {folder}; expected a folder that "
            f"takes files; {_remedy(error.errno)}, then resume: what was complete before still is"
        ) from error


def append(descriptor: int, data: bytes) -> None:
    """Write all of the data to an open file; one call of the system may take only a part."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def replace_file(path: Path, data: bytes) -> None:
    """Write a file, or replace it, so that readers see the old or the new one, never a part."""
    hidden = path.with_name(_WRITING + path.name)
    try:
        _write(hidden, data)
        os.replace(hidden, path)
    except BaseException:
        with suppress(OSError):
            hidden.unlink(missing_ok=True)  # a full disk needs the room
        raise
    _sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Create a folder and those above it, to last."""
    if not path.is_dir():
        path.mkdir(parents=True)
        _sync_folder(path.parent)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files so that it is complete or absent; an old one is replaced."""
    hidden = path.with_name(_WRITING + path.name)
    if hidden.exists():
        shutil.rmtree(hidden)
    os.mkdir(hidden)
    try:
        for name, data in files.items():
            _write(hidden / name, data)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)  # a full disk needs the room
        raise
    _sync_folder(hidden)
    if path.exists():
        remove_folder(path)
    os.rename(hidden, path)
    _sync_folder(path.parent)


def remove_folder(path: Path) -> None:
    """Delete a folder so that no part of it is ever seen under its name."""
    hidden = path.with_name(_REMOVING + path.name)
    if hidden.exists():
        shutil.rmtree(hidden)
    os.rename(path, hidden)
    shutil.rmtree(hidden)


def sweep(folder: Path) -> None:
    """Delete what killed runs left half written or half deleted in a folder."""
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.name.startswith((_WRITING, _REMOVING)):
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for one run; the system lets go of it when the process ends, however it ends.

    Raises
    ------
    CheckpointError
        Another run holds it, or it takes no files.
    """
    with disk_errors(folder):
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with disk_errors(folder):
            if fcntl is not None:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    fail("folder", f"{folder}, in which another run is training",
                         "one run a folder", "wait for it to end or choose another folder",
                         CheckpointError)  # fmt: skip
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        append(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make renames inside a folder last through a loss of power."""
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
