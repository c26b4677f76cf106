"""Downloads into the user's cache: checked before they get their name, once and for all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from deep.data.files import refuse
from deep.data.registry import RemoteFile, RemoteSet

__all__ = ["cache_folder", "fetch", "find_local"]


def cache_folder() -> Path:
    """Folder for downloads: that of the variable LINVAE_CACHE, or the system's cache folder."""
    named = os.environ.get("LINVAE_CACHE")
    if named:
        return Path(os.path.expanduser(named))
    import pooch

    return Path(pooch.os_cache("linvae"))


def fetch(known: RemoteSet, file: RemoteFile, cache: Path | None = None) -> Path:
    """Return a file of a data set, downloading it unless the cache holds it.

    The download goes to a temporary name and gets its own only when its SHA-256 is right, so
    neither a lost connection nor a killed process leaves a partial file that is later believed.
    A file in the cache is hashed again each time it is used.

    Parameters
    ----------
    known : RemoteSet
    file : RemoteFile
        One of its files.
    cache : Path, optional
        :func:`cache_folder` when omitted.

    Raises
    ------
    DataError
        When no mirror gives the right file; says what each of them did and what to do offline.
    """
    folder = (cache_folder() if cache is None else cache) / known.name
    problems = []
    for mirror in known.mirrors:
        try:
            return _retrieve(mirror + file.name, file, folder)
        except (OSError, ValueError) as error:  # those of requests are OSErrors
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            problems.append(f"{mirror + file.name} ({type(error).__name__}: {reason})")
    refuse(f"no download of {file.name!r} into {str(folder)!r}: " + "; ".join(problems),
           f"a file of {file.size} bytes with SHA-256 {file.sha256}",
           "check the connection, or get the files elsewhere and give their folder as path",
           known.name)  # fmt: skip


def _retrieve(url: str, file: RemoteFile, folder: Path) -> Path:
    import pooch

    path = pooch.retrieve(
        url, f"sha256:{file.sha256}", file.name, folder, downloader=_Bounded(file.size)
    )
    return Path(path)


@dataclass
class _Bounded:
    """A downloader that stops a server which sends more than the file has."""

    most: int

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        from pooch import HTTPDownloader

        with open(output_file, "wb") as file:
            HTTPDownloader(timeout=30)(url, _BoundedFile(file, self.most), pooch)


@dataclass
class _BoundedFile:
    file: IO[bytes]
    left: int

    def write(self, block: bytes) -> int:
        self.left -= len(block)
        if self.left < 0:
            raise ValueError("more bytes than the file has")
        return self.file.write(block)

    def flush(self) -> None:
        self.file.flush()


def find_local(known: RemoteSet, file: RemoteFile, path: str) -> Path | None:
    """Look for a file of a data set, packed or unpacked, where the user says it is.

    Parameters
    ----------
    path : str
        The folder of the files, a folder that holds it under the name of the data set, or any of
        the set's files.

    Returns
    -------
    Path or None
        None when the folder exists but lacks the file.

    Raises
    ------
    DataError
        A path that is neither a folder nor one of the set's files.
    """
    given = Path(os.path.expanduser(path))
    if os.path.isfile(given):
        given = _folder_of(known, given)
    if not os.path.isdir(given):
        refuse(f"{path!r}, which does not exist or may not be read", f"a folder with {file.name}",
               "check the path and its permissions", known.name)  # fmt: skip
    places = [folder / name for folder in (given, given / known.name) for name in _names(file)]
    return next((place for place in places if os.path.exists(place)), None)


def _names(file: RemoteFile) -> tuple[str, str]:
    plain = file.name.removesuffix(".gz")
    return plain + ".gz", plain


def _folder_of(known: RemoteSet, given: Path) -> Path:
    ours = [*known.images.values(), *known.labels.values()]
    names = {name for file in ours for name in _names(file)}
    if given.name not in names:
        refuse(f"{str(given)!r}", f"a folder, or a file named {ours[0].name} or the like",
               "give the folder, or use the data set name file for any other file",
               known.name)  # fmt: skip
    return given.parent
