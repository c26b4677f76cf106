"""Files inside a folder, a zip or a tar archive, read into memory and never extracted.

Names inside an archive are only ever keys: nothing is written to the disk, so no name can lead out
of a folder. Archives with names that try to, with links or devices, or with sizes that they cannot
hold are refused all the same: they are not what they claim to be.
"""

from __future__ import annotations

import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn, Protocol, cast

from deep.data.files import LARGEST_RATIO, check_file, read_exactly, reading, refuse
from deep.errors import DataError

__all__ = [
    "MOST_ENTRIES",
    "MOST_MEMBER",
    "Members",
    "members_of",
    "open_members",
    "read_tar",
    "safe_name",
]

MOST_ENTRIES = 2**21  # files in one archive or folder
MOST_MEMBER = 2**26  # bytes of one member; a photograph has a tenth of it
_MOST_IN_TAR = 1000  # members; the archives read here have ten
_SMALL = 2**16  # headers beside each member, and members that are not wanted
_DRIVE = re.compile(r"[A-Za-z]:")
_AGAIN = "copy or download it again"


class Members(Protocol):
    """Files by name, relative to where they are, with "/" between folders."""

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        ...

    def read(self, name: str) -> bytes:
        """All bytes of a file; may be called from several threads."""
        ...

    def close(self) -> None:
        """Close the archive."""
        ...


@contextmanager
def members_of(path: Path) -> Iterator[Members]:
    """Open a folder or a zip file for the time of a ``with`` block."""
    members = open_members(path)
    try:
        yield members
    finally:
        members.close()


def open_members(path: Path) -> Members:
    """Open a folder or a zip file; to be closed."""
    return _Folder(path) if os.path.isdir(path) else _Zip(path)


def safe_name(name: str, archive: str | Path) -> str:
    """Return the name of a member, or refuse one that points out of the archive."""
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or _DRIVE.match(name) or "\\" in name or "\0" in name:
        refuse(f"{str(archive)!r} with a member named {name!r}", "names inside the archive",
               "do not use this file")  # fmt: skip
    return name


class _Folder:
    """Regular files below a folder; links to folders are not followed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        found: list[str] = []
        for folder, _, files in os.walk(root, onerror=_unreadable):
            inside = Path(folder).relative_to(root)
            found += ((inside / file).as_posix() for file in files)
            if len(found) > MOST_ENTRIES:
                refuse(f"{str(root)!r} with more than {MOST_ENTRIES} files", "fewer files",
                       "split the folder")  # fmt: skip
        self.names = tuple(sorted(found))

    def read(self, name: str) -> bytes:
        path = check_file(self._root / name)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                _check_member(size, f"{str(path)!r}")
                return bytes(read_exactly(file, size, path))
        except OSError as error:
            refuse(f"{str(path)!r} ({error.strerror})", "a readable file", "check its permissions")

    def close(self) -> None:
        pass


def _unreadable(error: OSError) -> None:
    refuse(f"{error.filename!r} ({error.strerror})", "a readable folder", "check its permissions")


def _check_member(size: int, what: str) -> None:
    if size > MOST_MEMBER:
        refuse(f"{what} of {size} bytes", f"at most {MOST_MEMBER}", "store smaller files")


class _Zip:
    """Members of a zip file."""

    def __init__(self, path: Path) -> None:
        self._path, self._owner = check_file(path), os.getpid()
        try:
            self._archive = zipfile.ZipFile(path)
        except PermissionError:
            refuse(f"{str(path)!r}, which may not be read", "a readable file",
                   "check its permissions")  # fmt: skip
        except Exception as error:  # a dozen kinds
            _damaged(path, error)
        try:
            entries = self._archive.infolist()
            self._check(entries, path.stat().st_size)
        except BaseException:
            self.close()
            raise
        self._entries = {entry.filename: entry for entry in entries if not entry.is_dir()}
        self.names = tuple(sorted(self._entries))

    def _check(self, entries: list[zipfile.ZipInfo], size: int) -> None:
        path = self._path
        if len(entries) > MOST_ENTRIES:
            refuse(f"{str(path)!r} with {len(entries)} members", f"at most {MOST_ENTRIES}",
                   "split the archive")  # fmt: skip
        if len({entry.filename for entry in entries}) < len(entries):
            refuse(f"{str(path)!r} with two members of one name", "names that differ", _AGAIN)
        for entry in entries:
            safe_name(entry.orig_filename, path)
            _check_entry(entry, f"{entry.filename!r} in {str(path)!r}")
        packed = sum(entry.compress_size for entry in entries)
        if packed > size:
            refuse(f"{str(path)!r} of {size} bytes with members of {packed} packed bytes",
                   "members that do not overlap", "do not use this file")  # fmt: skip

    def read(self, name: str) -> bytes:
        try:
            if self._owner != os.getpid():  # forked processes would share the place in the file
                self._archive, self._owner = zipfile.ZipFile(self._path), os.getpid()
            entry = self._entries[name]
            with self._archive.open(entry) as file:
                # Without a number of bytes all would be unpacked, whatever the entry declares.
                content = file.read(entry.file_size)
            if len(content) < entry.file_size:
                raise EOFError(f"{len(content)} of {entry.file_size} bytes")
            return content
        except Exception as error:  # a dozen kinds
            _damaged(f"{name} of {self._path}", error)

    def close(self) -> None:
        self._archive.close()


def _check_entry(entry: zipfile.ZipInfo, what: str) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        refuse(f"{what}, a link or device", "plain files", "do not use this file")
    if entry.flag_bits & 1:
        refuse(f"{what}, encrypted", "plain files", "unpack it and name the folder")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        refuse(f"{what}, packed by method {entry.compress_type}", "stored or deflated members",
               "unpack it and name the folder")  # fmt: skip
    _check_member(entry.file_size, what)
    if entry.file_size > LARGEST_RATIO * entry.compress_size:
        refuse(f"{what}, which declares {entry.file_size} bytes but can hold at most "
               f"{LARGEST_RATIO * entry.compress_size}", "sizes that are true",
               "do not use this file")  # fmt: skip


def _damaged(what: object, error: Exception) -> NoReturn:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    refuse(f"{str(what)!r}, damaged or not a zip file ({reason})", "an undamaged file", _AGAIN)


def read_tar(path: str | Path, sizes: Mapping[str, int], keep: Collection[str]) -> dict[str, bytes]:
    """Read some members of a tar file, plain or gzipped.

    Parameters
    ----------
    path : str or Path
    sizes : mapping from file name, without folders, to size in bytes
        Of all members that matter.
    keep : collection of str
        Those of them to return.

    Returns
    -------
    dict
        Those that were found, by file name.

    Raises
    ------
    DataError
        Truncated or damaged files; links, devices and names that lead out of the archive, also
        among what does not matter; members of another size; more data than they need.
    """
    # Nothing belongs into it but these members, headers and some text.
    most = sum(sizes.values()) + _SMALL * (len(sizes) + 10)
    found: dict[str, bytes] = {}
    with reading(path) as (stream, _):
        bounded = _Bounded(stream, most, path)
        try:
            with tarfile.open(fileobj=cast(IO[bytes], bounded), mode="r|") as archive:
                _collect(archive, sizes, found, path)
        except tarfile.TarError as error:
            reason = " ".join(str(error).split())[:120]
            refuse(f"{str(path)!r}, damaged or not a tar file ({reason})", "a tar file", _AGAIN)
        while bounded.read(2**20):  # gzip compares its checksum at the end
            pass
    return {name: found[name] for name in keep if name in found}


def _collect(
    archive: tarfile.TarFile, sizes: Mapping[str, int], found: dict[str, bytes], path: str | Path
) -> None:
    for count, member in enumerate(archive, 1):
        what = f"{member.name!r} in {str(path)!r}"
        if count > _MOST_IN_TAR:
            refuse(f"{str(path)!r} with more than {_MOST_IN_TAR} members", "fewer", _AGAIN)
        safe_name(member.name, path)
        if member.issparse() or not (member.isreg() or member.isdir()):
            refuse(f"{what}, a link, device or sparse file", "plain files", "do not use this file")
        name = member.name.rpartition("/")[2]
        if member.isdir() or name not in sizes:
            continue
        if name in found:
            refuse(f"{str(path)!r} with two members named {name!r}", "one", _AGAIN)
        if member.size != sizes[name]:
            refuse(f"{what} of {member.size} bytes", f"{sizes[name]} bytes", _AGAIN)
        file = archive.extractfile(member)
        if file is not None:  # it is a regular file, as checked
            found[name] = bytes(read_exactly(file, member.size, path))


class _Bounded:
    """A stream that refuses to give more than it should hold."""

    def __init__(self, stream: IO[bytes], most: int, path: str | Path) -> None:
        self._stream, self._left, self._path = stream, most, path

    def read(self, count: int) -> bytes:
        block = self._stream.read(min(count, self._left + 1))
        self._left -= len(block)
        if self._left < 0:
            raise DataError(f"data: got {str(self._path)!r} with more data than its members need; "
                            f"expected no more; {_AGAIN}")  # fmt: skip
        return block
