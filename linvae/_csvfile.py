"""Reading comma-separated numbers, with errors that name the line and the column."""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ._validation import fail
from .errors import DataFileError

__all__ = ["read_csv", "refuse", "refuse_corrupt"]

# What spreadsheets write for a cell without a value: such a line is data gone wrong, not a comment.
_SPREADSHEET_ERRORS = {
    "#n/a",
    "#div/0!",
    "#value!",
    "#ref!",
    "#name?",
    "#num!",
    "#null!",
    "#error!",
}
# Cells that stand for "no value": a line of them is bad data, not a header.
_MISSING = {"", "na", "n/a", "nan", "null", "none", "-", "?"}


def refuse(name: str, got: object, expected: str, remedy: str) -> NoReturn:
    """Raise a DataFileError in the usual three parts."""
    fail(name, got, expected, remedy, DataFileError)


def refuse_corrupt(name: str, error: Exception) -> NoReturn:
    """Raise the DataFileError of a file whose reader gave up."""
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    refuse("data", f"{name!r}, which cannot be read ({reason})", "an undamaged file",
           "copy or write it again")  # fmt: skip


def read_csv(path: Path, key: str | None) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return the numbers of a file, shape (N, n), and a note on its header line if it has one.

    Raises
    ------
    DataFileError
        Lines of unequal length, cells that are not finite numbers, no rows, text not in UTF-8.

    Notes
    -----
    Lines that start with ``#`` are comments; they and blank lines are skipped.
    """
    header = _csv_header(path)
    skip = header[0] if header else 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "no data": an error here, raised below
            array = np.loadtxt(path, delimiter=",", skiprows=skip, ndmin=2, comments=None,
                               quotechar='"', encoding="utf-8-sig")  # fmt: skip
        clean = array.size > 0 and bool(np.isfinite(array).all())
    except (ValueError, UnicodeDecodeError):
        clean = False
    if not clean:
        # The quick reader counts rows its own way; people count lines.
        array = _read_csv_line_by_line(path, skip)
    if header is None:
        return array, ()
    names = ", ".join(header[1][:4]) + (", ..." if len(header[1]) > 4 else "")
    return array, (f"line {header[0]} was read as a header ({names})",)


def _csv_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Non-blank lines with their number in the file, comments included."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file, skipinitialspace=True)
            for row in rows:
                if len(row) > 1 or any(cell.strip() for cell in row):
                    yield rows.line_num, row
    except UnicodeDecodeError as error:
        _refuse_encoding(path, f"byte 0x{error.object[error.start]:02x}")
    except csv.Error as error:
        if "field larger" in str(error):
            where = f"{str(path)!r} line {rows.line_num}"
            refuse("data", f"{where} with a cell of over {csv.field_size_limit()} characters",
                   "one number per cell", "separate the cells with commas")  # fmt: skip
        refuse_corrupt(str(path), error)


def _refuse_encoding(path: Path, found: str) -> NoReturn:
    refuse("data", f"{str(path)!r}, which is not UTF-8 text ({found})", "a .csv file in UTF-8",
            "save it as UTF-8")  # fmt: skip


def _is_comment(row: list[str]) -> bool:
    first = row[0].strip().lower()
    return first.startswith("#") and first not in _SPREADSHEET_ERRORS


def _csv_header(path: Path) -> tuple[int, list[str]] | None:
    """Line number and names of the first line if it holds words only; a line with numbers is data.

    Without such a line the last comment before the data is the header, as numpy.savetxt writes it.
    """
    comment = None
    for line, row in _csv_lines(path):
        cells = [cell.strip() for cell in row]
        if _is_comment(row):
            comment = line, [cells[0].lstrip("# "), *cells[1:]]
            continue
        words = [c for c in cells if _number(c) is None]
        named = any(c.lower() not in _MISSING | _SPREADSHEET_ERRORS for c in words)
        return (line, cells) if named and len(words) == len(cells) else comment
    return comment


def _read_csv_line_by_line(path: Path, skip: int) -> NDArray[np.float64]:
    table: list[list[float]] = []
    first = 0
    for line, row in _csv_lines(path):
        if line <= skip or _is_comment(row):
            continue
        first = first or line
        if table and len(row) != len(table[0]):
            refuse("data", f"{str(path)!r} line {line} with {len(row)} cells",
                    f"{len(table[0])} as in line {first}", "mend or drop that line")  # fmt: skip
        table.append([_csv_cell(path, line, column, cell) for column, cell in enumerate(row, 1)])
    if not table:
        refuse("data", f"{str(path)!r} without a row of numbers", "at least one row",
                "write one line of comma-separated numbers per sample")  # fmt: skip
    return np.array(table)


def _csv_cell(path: Path, line: int, column: int, cell: str) -> float:
    value = _number(cell)
    if "\0" in cell:
        _refuse_encoding(path, f"a zero byte in line {line}")
    if value is None or not math.isfinite(value):
        text = cell.strip() if len(cell) <= 40 else cell[:37].strip() + "..."
        hint = "impute or drop it"
        if any(mark in cell.strip() for mark in "; \t"):
            hint = "separate the cells with commas"
        refuse("data", f"{str(path)!r} line {line}, column {column}: {text!r}", "a finite number",
                hint)  # fmt: skip
    return value


def _number(cell: str) -> float | None:
    try:
        return None if "_" in cell else float(cell)  # Python reads 1_000, no other program does
    except ValueError:
        return None
