"""The .amat text of binarized MNIST: one sample per line, 0s and 1s with spaces between them."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from deep.data.files import MOST_BYTES, reading, refuse

__all__ = ["read_amat"]

_BLOCK = 2**22  # the first line must end within it
_TAILS = (b"\n", b"\r\n", b" \n", b" \r\n")
_REMEDY = "copy or download it again"


def read_amat(path: str | Path) -> NDArray[np.bool_]:
    """Read binary samples from .amat text, plain or gzipped.

    Returns
    -------
    ndarray of bool, shape (N, n)

    Raises
    ------
    DataError
        Any other character than 0, 1 and single spaces between them (the place is named), lines
        of unequal length, truncated, empty or damaged files, more than 4 GiB of text.

    Notes
    -----
    Lines are all laid out like the first one, so that whole blocks are checked at once: every
    byte is looked at, none is parsed as a number.
    """
    rows: list[NDArray[np.bool_]] = []
    done = 0
    with reading(path) as (stream, _):
        text = stream.read(_BLOCK)
        total = len(text)
        count, tail = _layout(text, path)
        length = 2 * count - 1 + len(tail)
        while True:
            whole = len(text) // length * length
            rows.append(_parse(text[:whole], count, tail, done, path))
            done += whole // length
            more = stream.read(_BLOCK)
            if not more:
                break
            total += len(more)
            if total > MOST_BYTES:
                refuse(f"{str(path)!r} with more than {MOST_BYTES} bytes of text", "less text",
                       "save it as .npy")  # fmt: skip
            text = text[whole:] + more
        rest = text[whole:]
        if rest:  # the last line may lack its end
            if len(rest) != 2 * count - 1:
                _refuse_length(len(rest), count, done, path)
            rows.append(_parse(rest + tail, count, tail, done, path))
    return np.concatenate(rows)


def _layout(text: bytes, path: str | Path) -> tuple[int, bytes]:
    """Numbers per line, and what ends a line, from the first line."""
    end = text.find(b"\n")
    if end < 0 and len(text) >= _BLOCK:
        refuse(f"{str(path)!r} without a line end in its first {_BLOCK} bytes",
               "one sample per line", "check that it is an .amat file")  # fmt: skip
    line = text if end < 0 else text[:end]
    content = line.rstrip(b" \r")
    tail = line[len(content) :] + b"\n"
    if len(content) % 2 == 0 or tail not in _TAILS:
        refuse(f"{str(path)!r} with first line {line[:24]!r}...",
               "0s and 1s with single spaces between them",
               "check that it is an .amat file")  # fmt: skip
    return (len(content) + 1) // 2, tail


def _parse(text: bytes, count: int, tail: bytes, done: int, path: str | Path) -> NDArray[np.bool_]:
    width = 2 * count - 1
    lines = np.frombuffer(text, np.uint8).reshape(-1, width + len(tail))
    digits = lines[:, :width:2] - np.uint8(ord("0"))  # anything below "0" wraps to above 1
    good = (
        digits.max(initial=0) <= 1
        and (lines[:, 1:width:2] == ord(" ")).all()
        and (lines[:, width:] == np.frombuffer(tail, np.uint8)).all()
    )
    if not good:
        _refuse_character(lines, width, tail, done, path)
    return digits.view(np.bool_)  # bytes 0 and 1 only, as checked


def _refuse_character(
    lines: NDArray[np.uint8], width: int, tail: bytes, done: int, path: str | Path
) -> NoReturn:
    wrong = np.empty(lines.shape, np.bool_)
    wrong[:, :width:2] = (lines[:, :width:2] - np.uint8(ord("0"))) > 1
    wrong[:, 1:width:2] = lines[:, 1:width:2] != ord(" ")
    wrong[:, width:] = lines[:, width:] != np.frombuffer(tail, np.uint8)
    row, column = (int(i) for i in np.argwhere(wrong)[0])
    refuse(f"{str(path)!r} with {bytes(lines[row, column : column + 1])!r} as character "
           f"{column + 1} of line {done + row + 1}",
           f"{(width + 1) // 2} numbers 0 or 1 in every line, single spaces between them",
           _REMEDY)  # fmt: skip


def _refuse_length(length: int, count: int, done: int, path: str | Path) -> NoReturn:
    refuse(f"{str(path)!r}, truncated: {length} characters in line {done + 1}",
           f"{2 * count - 1} characters ({count} numbers) in every line", _REMEDY)  # fmt: skip
