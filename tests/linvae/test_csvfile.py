"""Comments, encodings and sizes of data files: skipped, or refused by what is wrong with them."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linvae.datafiles import load_data
from linvae.errors import DataFileError


def read(tmp_path: Path, content: str | bytes) -> tuple[Any, tuple[str, ...]]:
    path = tmp_path / "x.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    data = load_data(str(path))
    return data.samples, data.notes


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("# one\n# a,b\n1,2\n3,4\n", "line 2 was read as a header (a, b)"),
        ("# one\na,b\n1,2\n3,4\n", "line 2 was read as a header (a, b)"),
        ("a,b\n# one, two, three\n1,2\n\n#5,6\n3,4\n# end\n", "line 1 was read as a header (a, b)"),
        ("1,2\n  # indented\n3,4\n#", None),
        ('1,2\n"# quoted, as one cell"\n3,4\n', None),
    ],
)
def test_comments_are_skipped(tmp_path: Path, text: str, header: str | None) -> None:
    samples, notes = read(tmp_path, text)
    np.testing.assert_array_equal(samples, [[1.0, 2.0], [3.0, 4.0]])
    assert notes == (() if header is None else (header,))


def test_saved_by_numpy_with_a_header_of_two_lines(tmp_path: Path) -> None:
    wanted = np.random.default_rng(0).normal(size=(5, 3))
    text = io.StringIO()
    np.savetxt(text, wanted, delimiter=",", header="made by a test\nu,v,w", fmt="%.18e")
    samples, notes = read(tmp_path, text.getvalue())
    np.testing.assert_array_equal(samples, wanted)
    assert notes == ("line 2 was read as a header (u, v, w)",)


@pytest.mark.parametrize("mark", ["#N/A", "#DIV/0!", "#value!", " #REF!"])
def test_errors_of_spreadsheets_are_not_comments(tmp_path: Path, mark: str) -> None:
    for number, text in ((2, f"1,2\n{mark},4\n"), (1, f"{mark},4\n1,2\n"), (1, f"{mark},\n1,2\n")):
        place = rf"line {number}, column 1: '{re.escape(mark.strip())}'"
        with pytest.raises(DataFileError, match=place):
            read(tmp_path, text)


def test_errors_after_comments_name_the_line_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="line 4, column 2: 'x'"):
        read(tmp_path, "# a\n1,2\n# b\n3,x\n")
    with pytest.raises(DataFileError, match="without a row of numbers"):
        read(tmp_path, "# a\n# b\n")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("header", ["é,b\n", ""])
def test_other_encodings_are_named(tmp_path: Path, encoding: str, header: str) -> None:
    text = f"{header}1,2\n3,4\n"
    if encoding == "latin-1" and not header:
        np.testing.assert_array_equal(read(tmp_path, text.encode(encoding))[0], [[1, 2], [3, 4]])
        return
    with pytest.raises(DataFileError, match=r"not UTF-8 text \(.*; save it as UTF-8") as caught:
        read(tmp_path, text.encode(encoding))
    assert "undamaged" not in str(caught.value)


def test_a_cell_that_is_too_long(tmp_path: Path) -> None:
    long = "1 " * csv.field_size_limit()
    for number, text in ((1, long), (2, "1,2\n" + long)):
        with pytest.raises(DataFileError, match=f"line {number} with a cell of over .*commas"):
            read(tmp_path, text)


def _archive(path: Path, shape: tuple[int, ...]) -> Path:
    """Write an archive whose one array claims a shape that its bytes do not fill."""
    header = io.BytesIO()
    fields = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, fields)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header.getvalue() + bytes(64))
    return path


@pytest.mark.parametrize(
    "shape", [(2**46, 8), (2**58, 8), (2**62, 8), (2**70, 8), (2**31, 2**31, 2**31), (-1, 3)]
)
def test_absurd_sizes_name_the_file(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = _archive(tmp_path / "big.npz", shape)
    with pytest.raises(DataFileError, match=r"big\.npz'.*; expected .*; "):
        load_data(str(path))


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_out_of_memory_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise MemoryError

    path = tmp_path / f"x{suffix}"
    if suffix == ".npz":
        np.savez(path, x=np.ones((2, 2)))
        monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", full)
    else:
        path.write_text("1,2\n")
        monkeypatch.setattr(np, "loadtxt", full)
    with pytest.raises(DataFileError, match=f"x{suffix}', too large for the memory"):
        load_data(str(path))
