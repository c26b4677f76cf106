"""Reading data files and writing results. A file is written whole or not at all."""

from __future__ import annotations

import json
import math
import os
import stat
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ._atomic import atomic_write
from ._csvfile import read_csv, refuse, refuse_corrupt
from .errors import DataFileError

__all__ = [
    "Data",
    "atomic_write",
    "check_target",
    "json_text",
    "load_data",
    "refuse",
    "save_arrays",
    "save_json",
]

_FORMATS = "a .npy, .npz or .csv file, or the name digits"
_NPY_MAGIC = b"\x93NUMPY"
_MOST_DIMENSIONS = 64  # of an array of NumPy
_DEFLATE_RATIO = 1032  # Deflate spends at least 2 bits on 258 bytes


@dataclass(frozen=True, eq=False)
class Data:
    """Samples with the story of where they came from.

    Attributes
    ----------
    samples : ndarray or memory map, shape (N, n)
    source : str
        As given on the command line.
    format : str
        ``"npy"``, ``"npz"``, ``"csv"`` or ``"named"``.
    stored_shape : tuple of int
        Shape in the file, before images were flattened.
    notes : tuple of str
        What was done to the data on the way in, one sentence each.
    """

    samples: NDArray[Any]
    source: str
    format: str
    stored_shape: tuple[int, ...]
    notes: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Describe the data in plain values, for machines."""
        return {
            "source": self.source,
            "format": self.format,
            "stored_shape": list(self.stored_shape),
            "dtype": str(self.samples.dtype),
            "n_samples": int(self.samples.shape[0]),
            "n_features": int(self.samples.shape[1]),
        }


def load_data(source: str, *, key: str | None = None) -> Data:
    """Open a data set: one row per sample, one column per feature.

    Parameters
    ----------
    source : str
        Path of a .npy (memory-mapped, never unpickled), .npz or .csv file (a header
        line is detected), or ``"digits"``: scikit-learn's bundled handwritten digits, 1797 x 64.
    key : str, optional
        Which array of a .npz file; needed when it holds several.

    Returns
    -------
    Data
        Arrays (N, h, w, ...) are flattened to (N, h·w·...), with a note.

    Raises
    ------
    DataFileError
        A missing, empty, truncated, ragged, pickled or unknown file; the message names the place.
    """
    suffix = Path(source).suffix.lower()
    if key is not None and suffix != ".npz":
        refuse("--key", f"{key!r} for {source!r}", "a .npz file", "drop --key")
    if source == "digits":
        return _digits()
    reader = _READERS.get(suffix)
    path = _existing_file(source)
    if reader is None:
        refuse("data", f"{source!r}, of unknown type {suffix or 'without extension'}", _FORMATS,
                "convert it, for example with numpy.save")  # fmt: skip
    try:
        array, notes = reader(path, key)
    except PermissionError:
        refuse("data", f"{source!r}, which may not be read", "a readable file",
                "check its permissions")  # fmt: skip
    except MemoryError:
        refuse("data", f"{source!r}, too large for the memory", "an array that fits",
                "save it with numpy.save: a .npy file is read piece by piece")  # fmt: skip
    return _as_rows(array, source, suffix[1:], notes)


def _digits() -> Data:
    from sklearn.datasets import load_digits

    pixels = load_digits().data
    note = "handwritten digits bundled with scikit-learn: 8 x 8 pixels with values 0 to 16"
    return Data(pixels, "digits", "named", pixels.shape, (note,))


def _existing_file(source: str) -> Path:
    path = Path(source)
    try:
        info = path.stat()
    except FileNotFoundError:
        refuse("data", f"{source!r}, which does not exist", _FORMATS, "check the path")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        refuse("data", f"{source!r} ({reason})", _FORMATS, "check the path")
    if not stat.S_ISREG(info.st_mode):
        what = "a directory" if stat.S_ISDIR(info.st_mode) else "not a regular file"
        refuse("data", f"{source!r}, {what}", _FORMATS, "name one file")
    if info.st_size == 0:
        refuse("data", f"{source!r}, an empty file", _FORMATS, "write it again")
    return path


def _as_rows(array: NDArray[Any], source: str, kind: str, notes: tuple[str, ...]) -> Data:
    shape = array.shape
    if len(shape) < 2 or 0 in shape:
        what = f"{source!r} with shape {shape}"
        remedy = "save it with one row per sample" + (", X[:, None] for one feature" * bool(shape))
        refuse("data", what, "a non-empty array (N samples, n features)", remedy)
    if len(shape) > 2:
        array = array.reshape(shape[0], -1)
        each = " x ".join(map(str, shape[1:]))
        notes += (f"each sample of shape {each} was flattened to {array.shape[1]} features",)
    return Data(array, source, kind, shape, notes)


# --- .npy and .npz -------------------------------------------------------------------------------


def _read_npy(path: Path, key: str | None) -> tuple[NDArray[Any], tuple[str, ...]]:
    with path.open("rb") as file:
        if file.read(len(_NPY_MAGIC)) != _NPY_MAGIC:
            refuse("data", f"{str(path)!r}, whose content is not in .npy format",
                    "a file written by numpy.save", "check its extension")  # fmt: skip
        file.seek(0)
        dtype, start, body = _npy_header(file, str(path))
    if dtype.hasobject:
        _refuse_pickle(str(path))
    held = path.stat().st_size
    if held < start + body:
        refuse("data", f"{str(path)!r}, truncated at {held} bytes", f"{start + body} bytes",
                "copy or write it again")  # fmt: skip
    try:
        # An array without entries cannot be mapped; its shape is refused later, like any other.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.load(path, mmap_mode="r" if body > 0 else None, allow_pickle=False), ()
    except (ValueError, EOFError, OSError, OverflowError, TypeError) as error:
        refuse_corrupt(str(path), error)


def _npy_header(file: IO[bytes], name: str) -> tuple[np.dtype[Any], int, int]:
    """Return the dtype, and how many bytes the header and the entries take."""
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers as Python 2 wrote them
            shape, _, dtype = read(file)
        if min(shape, default=0) < 0 or len(shape) > _MOST_DIMENSIONS:
            raise ValueError("a shape that no array has")
        return dtype, file.tell(), math.prod(shape) * dtype.itemsize
    except Exception as error:  # the reader evaluates a literal, which fails in a dozen ways
        refuse_corrupt(name, error)


def _read_npz(path: Path, key: str | None) -> tuple[NDArray[Any], tuple[str, ...]]:
    if not zipfile.is_zipfile(path):
        refuse("data", f"{str(path)!r}, not a .npz archive or a truncated one",
                "a file written by numpy.savez", "copy or write it again")  # fmt: skip
    try:
        # NumPy leaves a file open that it opened itself and found damaged.
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with np.load(file, allow_pickle=False) as archive:
                name = _pick(archive.files, key, str(path))
                _check_member(archive.zip, name, str(path))
                array = archive[name]
    except (DataFileError, MemoryError, PermissionError):
        raise
    except Exception as error:  # readers of zip files raise a dozen kinds
        refuse_corrupt(str(path), error)
    return array, (f"array {name!r} of the archive",)


def _check_member(archive: zipfile.ZipFile, name: str, path: str) -> None:
    """Refuse what is no array, or declares more than it can hold, before memory is set aside."""
    known = archive.NameToInfo
    entry = known.get(f"{name}.npy") or known[name]
    what = f"{name!r} of {path!r}"
    ratio = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: _DEFLATE_RATIO}.get(entry.compress_type)
    if ratio is None:
        refuse("data", f"{what}, packed by method {entry.compress_type}",
                "a file written by numpy.savez", "write it again")  # fmt: skip
    with archive.open(entry) as file:
        if file.read(len(_NPY_MAGIC)) != _NPY_MAGIC:
            refuse("data", f"{what}, which is not an array", "a file written by numpy.savez",
                    "write it again")  # fmt: skip
    with archive.open(entry) as file:
        dtype, start, body = _npy_header(file, path)
    if dtype.hasobject:
        _refuse_pickle(path)
    held = min(entry.file_size, ratio * entry.compress_size)
    if held < start + body:
        refuse("data", f"{what}, truncated at {held} bytes", f"{start + body} bytes",
                "copy or write it again")  # fmt: skip


def _pick(names: list[str], key: str | None, path: str) -> str:
    listing = ", ".join(sorted(names)) or "nothing"
    if key is not None and key not in names:
        refuse("--key", f"{key!r}, not in {path!r}", f"one of: {listing}", "pass one of them")
    if key is None and len(names) != 1:
        refuse("data", f"{path!r}, which holds {len(names)} arrays ({listing})", "one array",
                "choose it with --key NAME")  # fmt: skip
    return key if key is not None else names[0]


def _refuse_pickle(name: str) -> NoReturn:
    refuse("data", f"{name!r}, an array of pickled Python objects", "an array of numbers",
            "save it with .astype(float); pickles can run code and are never loaded")  # fmt: skip


_READERS: dict[str, Callable[[Path, str | None], tuple[NDArray[Any], tuple[str, ...]]]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".csv": read_csv,
}

# --- writing -------------------------------------------------------------------------------------


def check_target(name: str, target: str | Path, suffixes: tuple[str, ...]) -> Path:
    """Return the path to write to, refusing before any work is done what cannot be written.

    Raises
    ------
    DataFileError
        Wrong extension, missing or read-only directory, or a target that is not a plain file.
    """
    path = Path(os.path.realpath(target))  # a symbolic link is followed, not replaced
    wanted = " or ".join(suffixes)
    if Path(target).suffix.lower() not in suffixes:
        refuse(name, f"{str(target)!r}", f"a name ending in {wanted}", "change its extension")
    got = f"{str(target)!r}, "
    try:
        if path.exists() and not path.is_file():
            refuse(name, got + "which is not a plain file", "a file name", "choose another name")
    except OSError as error:
        refuse(name, got + f"({error.strerror})", "a file name", "choose another name")
    if not path.parent.is_dir():
        refuse(name, got + "in a directory that does not exist", "an existing directory",
               f"create it with: mkdir -p {path.parent}")  # fmt: skip
    if not os.access(path.parent, os.W_OK | os.X_OK):
        refuse(name, got + "in a directory that may not be written to", "a writable directory",
               "choose another directory")  # fmt: skip
    return path


def json_text(value: Any) -> str:
    """Strict JSON: arrays as lists, numbers that are not finite as null."""
    return json.dumps(_plain(value), indent=2, allow_nan=False, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def save_json(target: str | Path, value: Any) -> None:
    """Write strict JSON atomically."""
    text = json_text(value) + "\n"
    with atomic_write(target) as file:
        file.write(text.encode())


def save_arrays(target: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a compressed .npz atomically."""
    with atomic_write(target) as file:
        np.savez_compressed(file, **dict(arrays))  # type: ignore[arg-type]
