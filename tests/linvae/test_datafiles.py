"""Data files come in as rows of numbers or as one clear error; results go out whole or not."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from linvae.datafiles import (
    atomic_write,
    check_target,
    json_text,
    load_data,
    save_arrays,
    save_json,
)
from linvae.errors import DataFileError

ROWS = np.array([[1.0, 2.5, -3.0], [4.0, 5.0, 6.25]])


def refused(path: object, *parts: str, key: str | None = None) -> str:
    """The message of the error for a file, which has all three parts on one line."""
    with pytest.raises(DataFileError) as caught:
        load_data(str(path), key=key)
    message = str(caught.value)
    assert "got" in message
    assert "expected" in message
    assert message.count(";") >= 2
    assert "\n" not in message
    for part in parts:
        assert part in message
    return message


# --- .npy ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float64", ">f4", "uint8", "bool", "float16"])
def test_npy_is_mapped_and_equal_in_every_order_and_dtype(
    tmp_path: Path, order: str, dtype: str
) -> None:
    array = np.asarray([[0, 1, 2], [3, 4, 5]], dtype=dtype, order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "x.npy", array)
    data = load_data(str(tmp_path / "x.npy"))
    assert isinstance(data.samples, np.memmap)
    np.testing.assert_array_equal(data.samples, array)
    assert data.notes == ()
    assert data.describe() == {
        "source": str(tmp_path / "x.npy"),
        "format": "npy",
        "stored_shape": [2, 3],
        "dtype": str(np.dtype(dtype)),
        "n_samples": 2,
        "n_features": 3,
    }


@pytest.mark.parametrize("order", ["C", "F"])
def test_images_are_flattened_row_by_row_with_a_note(tmp_path: Path, order: str) -> None:
    images = np.asarray(np.arange(24).reshape(2, 4, 3), order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "x.npy", images)
    data = load_data(str(tmp_path / "x.npy"))
    np.testing.assert_array_equal(data.samples, np.arange(24).reshape(2, 12))
    assert data.stored_shape == (2, 4, 3)
    assert data.notes == ("each sample of shape 4 x 3 was flattened to 12 features",)


def test_upper_case_extension_and_format_version_2(tmp_path: Path) -> None:
    with (tmp_path / "X.NPY").open("wb") as file:
        np.lib.format.write_array(file, ROWS, version=(2, 0))
    np.testing.assert_array_equal(load_data(str(tmp_path / "X.NPY")).samples, ROWS)


@pytest.mark.parametrize("shape", [(), (5,), (0, 3), (3, 0), (2, 0, 4)])
def test_npy_of_a_shape_without_rows_and_columns(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "x.npy", np.ones(shape))
    refused(tmp_path / "x.npy", f"shape {shape}", "(N samples, n features)")


def test_npy_truncated_anywhere_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "whole.npy", ROWS)
    whole = (tmp_path / "whole.npy").read_bytes()
    path = tmp_path / "part.npy"
    for size in range(1, len(whole)):
        path.write_bytes(whole[:size])
        refused(path)
    path.write_bytes(whole[:-1])
    refused(path, f"truncated at {len(whole) - 1} bytes", f"{len(whole)} bytes")


def test_npy_header_of_nonsense(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", ROWS)
    whole = (tmp_path / "x.npy").read_bytes()
    for old, new in (
        (b"'descr'", b"'dexcr'"),
        (b"<f8", b"<q8"),
        (b"(2, 3)", b"(2, a)"),
        (b"(2, 3)", b"(-2,3)"),
        (b"\x01\x00", b"\x03\x00"),
        (b"\x01\x00", b"\x09\x00"),
        (b"}", b"{"),
    ):
        (tmp_path / "x.npy").write_bytes(whole.replace(old, new, 1))
        refused(tmp_path / "x.npy")


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    objects = np.array([Bomb(), Bomb()], dtype=object)
    np.save(tmp_path / "x.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "x.npz", objects)
    refused(tmp_path / "x.npy", "pickled Python objects", ".astype(float)")
    refused(tmp_path / "x.npz", "pickled Python objects", ".astype(float)")
    assert not (tmp_path / "exploded").exists()


# --- what is not a data file ---------------------------------------------------------------------


def test_missing_directory_empty_unknown_and_special_files(tmp_path: Path) -> None:
    refused(tmp_path / "no.npy", "does not exist", ".csv", "digits")
    (tmp_path / "dir.npy").mkdir()
    refused(tmp_path / "dir.npy", "a directory")
    (tmp_path / "empty.csv").touch()
    refused(tmp_path / "empty.csv", "empty file")
    (tmp_path / "x.txt").write_text("1 2")
    refused(tmp_path / "x.txt", "unknown type .txt", ".npy, .npz or .csv")
    (tmp_path / "bare").write_text("1 2")
    refused(tmp_path / "bare", "without extension")
    os.mkfifo(tmp_path / "pipe.npy")
    refused(tmp_path / "pipe.npy", "not a regular file")
    refused(tmp_path / ("x" * 300 + ".npy"), "File name too long")
    refused("nul\0.npy", "check the path")
    (tmp_path / "words.npy").write_text("these are words, not numbers")
    refused(tmp_path / "words.npy", "not in .npy format")


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "x.npy", ROWS)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    refused(tmp_path / "x.npy", "may not be read", "permissions")


def test_digits_by_name() -> None:
    data = load_data("digits")
    assert data.samples.shape == (1797, 64)
    assert data.format == "named"
    assert data.samples.max() == 16
    assert "scikit-learn" in data.notes[0]


# --- .npz ----------------------------------------------------------------------------------------


def test_npz_with_one_array_or_a_key(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "one.npz", x=ROWS)
    data = load_data(str(tmp_path / "one.npz"))
    np.testing.assert_array_equal(data.samples, ROWS)
    assert data.notes == ("array 'x' of the archive",)
    np.savez(tmp_path / "two.npz", x=ROWS, y=2 * ROWS)
    refused(tmp_path / "two.npz", "2 arrays (x, y)", "--key")
    refused(tmp_path / "two.npz", "'z'", "one of: x, y", key="z")
    data = load_data(str(tmp_path / "two.npz"), key="y")
    np.testing.assert_array_equal(data.samples, 2 * ROWS)


def test_key_belongs_to_npz_only(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", ROWS)
    refused(tmp_path / "x.npy", "--key", "drop --key", key="x")
    refused("digits", "--key", "drop --key", key="x")


def test_damaged_archives(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.arange(4000.0).reshape(-1, 4))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "truncated")
    # Every byte of the stored array matters: the checksum, or the format, must notice.
    for place in (60, len(whole) // 3, len(whole) // 2):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        refused(path)
    with zipfile.ZipFile(path, "w"):
        pass
    refused(path, "0 arrays (nothing)")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")
    refused(path, "not an array")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00")
    refused(path)


# --- .csv ----------------------------------------------------------------------------------------


def read(tmp_path: Path, text: str | bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    path = tmp_path / "x.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    data = load_data(str(path))
    return data.samples, data.notes


@pytest.mark.parametrize(
    "text",
    [
        "1,2.5,-3\n4,5,6.25\n",
        "1,2.5,-3\r\n4,5,6.25",
        "\n1, 2.5, -3\n\n4,5,6.25\n\n\n",
        '"1","2.5","-3"\n4,5,625e-2\n',
        "\ufeff1,2.5,-3\n4,5,6.25\n",
        "   \n1,2.5,-3\n  \n4,5,6.25\n",
    ],
)
def test_csv_without_header(tmp_path: Path, text: str) -> None:
    samples, notes = read(tmp_path, text)
    np.testing.assert_array_equal(samples, ROWS)
    assert notes == ()


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("a,b,c", "a, b, c"),
        ('"first, one",b,c', "first, one, b, c"),
        ("# a,b,c", "a, b, c"),
        ("# made 2020,b,c", "made 2020, b, c"),
        (",x,y", ", x, y"),
        ("\ufeffä,ö,ü", "ä, ö, ü"),
    ],
)
def test_csv_header_is_seen_and_reported(tmp_path: Path, header: str, names: str) -> None:
    samples, notes = read(tmp_path, f"{header}\n1,2.5,-3\n4,5,6.25\n")
    np.testing.assert_array_equal(samples, ROWS)
    assert notes == (f"line 1 was read as a header ({names})",)


def test_csv_header_after_blank_lines(tmp_path: Path) -> None:
    samples, notes = read(tmp_path, "\n\na,b,c\n\n1,2.5,-3\n4,5,6.25\n")
    np.testing.assert_array_equal(samples, ROWS)
    assert notes == ("line 3 was read as a header (a, b, c)",)


def test_csv_long_header_is_shortened(tmp_path: Path) -> None:
    _, notes = read(tmp_path, "a,b,c,d,e\n1,2,3,4,5\n")
    assert notes == ("line 1 was read as a header (a, b, c, d, ...)",)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1,2,3\n4,5\n", ("line 2 with 2 cells", "3 as in line 1")),
        ("a,b,c\n\n1,2,3\n\n4,5,6,7\n", ("line 5 with 4 cells", "3 as in line 3")),
        ("1,2,3\n4,x,6\n", ("line 2, column 2: 'x'",)),
        ("1,two,3\n4,5,6\n", ("line 1, column 2: 'two'",)),  # a line with numbers is no header
        ("a,b\n1,2\n3,\n", ("line 3, column 2: ''", "impute or drop it")),
        ("1,2\n\n3,nan\n", ("line 3, column 2: 'nan'",)),
        ("1,2\n3,-inf\n", ("line 2, column 2: '-inf'",)),
        ("NA,NA\n1,2\n", ("line 1, column 1: 'NA'",)),
        ("1,2\n1_000,3\n", ("line 2, column 1: '1_000'",)),
        ("1;2\n3;4\n", ("'3;4'", "separate the cells with commas")),
        ("1,2\n3 4,5\n", ("line 2, column 1", "separate the cells with commas")),
        ("a,b,c\n", ("without a row of numbers",)),
        ("\n\n  \n", ("without a row of numbers",)),
        (f"1,2\n3,{'y' * 200}\n", ("yyy...'",)),
        (b"1,2\n\xff\xfe,3\n", ("not UTF-8 text (byte 0xff)", "save it as UTF-8")),
    ],
)
def test_csv_errors_name_the_line(
    tmp_path: Path, text: str | bytes, parts: tuple[str, ...]
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(path, *parts)


# --- writing -------------------------------------------------------------------------------------


def test_atomic_write_replaces_on_success_only(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    target.write_text("old")
    with atomic_write(target) as file:
        file.write(b"new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"

    def broken_off(interruption: BaseException) -> None:
        with atomic_write(target) as file:
            file.write(b"half")
            raise interruption

    for kind in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(kind):
            broken_off(kind())
    with pytest.raises(DataFileError, match="No space left"):
        broken_off(OSError(28, "No space left on device"))
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_atomic_write_honours_the_umask_and_follows_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real" / "x.json")
    old = os.umask(0o027)
    try:
        save_json(link, {})
    finally:
        os.umask(old)
    assert link.is_symlink()
    assert (tmp_path / "real" / "x.json").stat().st_mode & 0o777 == 0o640


def test_targets_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dir.png").mkdir()
    (tmp_path / "file").touch()
    for name, part in (
        ("x.pdf", ".png or .svg"),
        ("dir.png", "not a plain file"),
        ("no/x.png", "mkdir -p"),
        ("file/x.png", "directory that does not exist"),
        ("y" * 300 + ".png", "File name too long"),
    ):
        with pytest.raises(DataFileError, match=part):
            check_target("--plot", tmp_path / name, (".png", ".svg"))
    assert check_target("--plot", tmp_path / "X.PNG", (".png",)) == tmp_path / "X.PNG"
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DataFileError, match="may not be written to"):
        check_target("--plot", tmp_path / "x.png", (".png",))


def test_json_is_strict_and_plain(tmp_path: Path) -> None:
    value = {
        "array": np.array([[1.0, np.nan], [np.inf, 2.0]]),
        "scalar": np.float64(0.5),
        "flag": np.True_,
        "path": Path("a") / "b",
        "tuple": (1, None, -np.inf),
        3: "β",
    }
    save_json(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert text == json_text(value) + "\n"

    def token(name: str) -> None:
        raise AssertionError(name)

    assert json.loads(text, parse_constant=token) == {
        "array": [[1.0, None], [None, 2.0]],
        "scalar": 0.5,
        "flag": True,
        "path": str(Path("a") / "b"),
        "tuple": [1, None, None],
        "3": "β",
    }


def test_arrays_round_trip(tmp_path: Path) -> None:
    save_arrays(tmp_path / "x.npz", {"a": ROWS, "b": np.float64(2.0)})
    with np.load(tmp_path / "x.npz") as held:
        np.testing.assert_array_equal(held["a"], ROWS)
        assert held["b"] == 2.0
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]
