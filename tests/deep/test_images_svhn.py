"""SVHN and the MATLAB files it comes in: orientation, labels, and what is refused."""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

torch = pytest.importorskip("torch")

from deep.config import DataConfig
from deep.data.load import load_dataset
from deep.data.matlab import read_mat
from deep.data.sets import svhn
from deep.errors import DataError
from tests.deep.image_files import random_pixels

IMAGES = random_pixels(7, 6, 3, 32, 32)
DIGITS = np.array([0, 9, 1, 5, 0, 3])


def as_matlab(images, digits):
    """(32, 32, 3, N) entry by entry, and labels of which 10 is the digit 0."""
    held = np.empty((32, 32, 3, len(images)), np.uint8)
    for n in range(len(images)):
        for c in range(3):
            held[:, :, c, n] = images[n, c]
    return {"X": held, "y": np.where(digits == 0, 10, digits).astype(np.uint8)[:, None]}


def write(folder, part="train", *, compress=True, images=IMAGES, digits=DIGITS, **changes):
    path = folder / f"{part}_32x32.mat"
    variables = as_matlab(images, digits) | changes
    kept = {name: value for name, value in variables.items() if value is not None}
    savemat(path, kept, do_compression=compress)
    return path


def load(path, split="train", **settings):
    return load_dataset(DataConfig(name="svhn", path=str(path), **settings), split=split)


@pytest.mark.parametrize("compress", [True, False])
def test_images_are_upright_and_ten_is_zero(tmp_path, compress):
    path = write(tmp_path, compress=compress)
    for given_path in (tmp_path, path):
        data = load(given_path)
        assert np.array_equal(data.samples, IMAGES)
        assert np.array_equal(data.labels, DIGITS)
    assert data.samples.flags.c_contiguous
    assert (data.samples.dtype, data.data_range) == (np.uint8, (0, 1))


def test_extra_images_join_the_train_split(tmp_path):
    write(tmp_path)
    write(tmp_path, "test", images=IMAGES[:2], digits=DIGITS[:2])
    write(tmp_path, "extra", images=IMAGES[3:], digits=DIGITS[3:])
    assert len(load(tmp_path)) == 6
    both = load(tmp_path, key="extra")
    assert np.array_equal(both.samples, np.concatenate([IMAGES, IMAGES[3:]]))
    assert np.array_equal(both.labels, np.concatenate([DIGITS, DIGITS[3:]]))
    assert len(load(tmp_path, "test", key="extra")) == 2
    for settings, said in (({"key": "more"}, "data.key: got 'more'"), ({"size": 64}, "data.size")):
        with pytest.raises(DataError, match=said):
            load(tmp_path, **settings)
    with pytest.raises(DataError, match="split 'valid'"):
        load(tmp_path, "valid")


def test_one_image_is_a_set_too(tmp_path):
    """MATLAB and SciPy drop a last dimension of 1."""
    variables = as_matlab(IMAGES[:1], DIGITS[:1])
    write(tmp_path, X=variables["X"][..., 0], y=variables["y"])
    assert np.array_equal(load(tmp_path).samples, IMAGES[:1])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"y": None}, "without y"),
        ({"X": None}, "without X"),
        ({"y": np.ones((5, 1), np.uint8)}, "6 images and 5 labels"),
        ({"y": np.array([1, 2, 3, 0, 5, 6.0])[:, None]}, "label 0.0 of image 3; expected 1 to 10"),
        ({"y": np.array([1, 2, 3, 11, 5, 6])[:, None]}, "label 11 of image 3"),
        ({"y": np.array([1, 2, 3, 2.5, 5, 6])[:, None]}, "label 2.5 of image 3"),
        ({"y": np.array([1, 2, 3, np.nan, 5, 6])[:, None]}, "label nan of image 3"),
        ({"X": np.zeros((32, 32, 3, 6))}, "dtype float64; expected"),
        ({"X": np.zeros((6, 32, 32, 3), np.uint8)}, r"shape \(6, 32, 32, 3\)"),
        ({"X": np.zeros((32, 32), np.uint8)}, r"shape \(32, 32\)"),
        ({"X": np.full((2, 2), {}, dtype=object)}, "not real numbers"),
        ({"X": np.zeros((32, 32, 3, 6), complex)}, "not real numbers"),
        ({"X": "text"}, "not real numbers"),
        ({"X": {"a": 1}}, "not real numbers"),
    ],
)
def test_files_with_something_else_are_refused(tmp_path, changes, said):
    write(tmp_path, **changes)
    with pytest.raises(DataError, match=said):
        load(tmp_path)


def test_the_file_of_another_split_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(svhn._COUNTS, "test", 6)
    write(tmp_path)
    with pytest.raises(DataError, match="6 samples, as many as the test split has"):
        load(tmp_path)


# --- MATLAB files -------------------------------------------------------------------------------

MANY = {
    f"{np.dtype(kind).name}{i}": np.arange(np.prod(shape)).reshape(shape).astype(kind)
    for kind in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")
    for i, shape in enumerate([(1, 1), (2, 3), (3, 1, 2), (2, 2, 2, 2)])
}


def saved(variables, **settings):
    held = io.BytesIO()
    savemat(held, variables, **settings)
    return held.getvalue()


@pytest.mark.parametrize("compress", [True, False])
def test_numbers_of_every_kind_are_read_as_they_were_saved(tmp_path, compress):
    other = {"s": {"a": 1, "b": "c"}, "c": np.array([[1, "x"]], object), "t": "text", "z": 1j}
    (tmp_path / "a.mat").write_bytes(saved(MANY | other, do_compression=compress))
    found = read_mat(tmp_path / "a.mat", required=tuple(MANY), optional=("missing",))
    assert set(found) == set(MANY)
    for name, wanted in MANY.items():
        assert found[name].dtype == wanted.dtype
        assert found[name].dtype.isnative
        assert np.array_equal(found[name], wanted)


def element(kind, data, order="<"):
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(shape, numbers, *, kind=9, stored=2, name=b"X", order="<", flags=0):
    """A matrix, written by hand: class uint8 of bytes unless told otherwise."""
    dims = struct.pack(f"{order}{len(shape)}i", *shape)
    inside = element(6, struct.pack(f"{order}II", kind | flags, 0), order)
    inside += element(5, dims, order) + element(1, name, order) + element(stored, numbers, order)
    return element(14, inside, order)


def header(order="<"):
    mark = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
    return b"MATLAB 5.0 MAT-file".ljust(124) + mark


def packed(content):
    data = zlib.compress(content)
    return struct.pack("<II", 15, len(data)) + data


def read(folder, content):
    path = folder / "a.mat"
    path.write_bytes(content)
    return read_mat(path, required=("X",))["X"]


def test_both_byte_orders_are_read_column_by_column(tmp_path):
    for order in "<>":
        numbers = np.arange(6, dtype=f"{order}u2").tobytes()
        content = header(order) + matrix((2, 3), numbers, kind=11, stored=4, order=order)
        assert read(tmp_path, content).tolist() == [[0, 2, 4], [1, 3, 5]]


def test_doubles_are_stored_in_narrow_types(tmp_path):
    found = read(tmp_path, header() + packed(matrix((2, 1), b"\1\2", kind=6)))
    assert (found.dtype, found.tolist()) == (np.float64, [[1], [2]])


GOOD = matrix((2, 3), bytes(6))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"nothing", "not a MATLAB 5 file"),
        (bytes(200), "not a MATLAB 5 file"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM", "of version 7.3.*save it with -v7"),
        (header() + GOOD + GOOD, "'X' twice"),
        (header() + matrix((2, 3), bytes(5)), "5 numbers of uint8; expected 6"),
        (header() + matrix((2, 3), bytes(7)), "7 numbers of uint8"),
        (header() + matrix((2, -3), bytes(6)), r"shape \(2, -3\)"),
        (header() + matrix((0, 3), b""), r"shape \(0, 3\)"),
        (header() + matrix((6,), bytes(6)), r"shape \(6,\)"),
        (header() + matrix((2**31 - 1,) * 8, bytes(6)), "expected entries that are there"),
        (header() + packed(matrix((2**31 - 1, 2), bytes(6))), "expected entries that are there"),
        (header() + matrix((2, 3), bytes(6), stored=99), "numbers of type 99"),
        (header() + matrix((2, 3), bytes(12), stored=4), "6 numbers of uint16; expected 6 numbers"),
        (header() + matrix((2, 3), bytes(6), kind=5), "class 5, not real numbers"),
        (header() + matrix((2, 3), bytes(6), kind=1), "class 1, not real numbers"),
        (header() + matrix((2, 3), bytes(6), flags=0x800), "not real numbers"),
        (header() + element(14, b""), "bytes where 0 are left"),
        (header() + struct.pack("<II", 14, 2**31), "an element of 2147483648 bytes"),
        (header() + struct.pack("<II", 15, 2**31), "an element of 2147483648 bytes"),
        (header() + packed(struct.pack("<II", 14, 2**31)), "2147483648 bytes declared in"),
        (header() + packed(element(2, bytes(8))), "a compressed element of type 2"),
        (header() + struct.pack("<II", 15, 8) + bytes(8), "truncated or damaged"),
        (header() + packed(GOOD)[:-1], "an element of"),
        (header() + packed(GOOD + bytes(8)), "without its end"),
        (header() + struct.pack("<HHI", 14, 4, 0), "an element of 4 bytes"),
    ],
)
def test_hostile_files_are_refused(tmp_path, content, said):
    with pytest.raises(DataError, match=said):
        read(tmp_path, content)


def test_the_checksum_of_a_compressed_variable_is_compared(tmp_path):
    content = bytearray(header() + packed(GOOD))
    content[-1] ^= 1
    with pytest.raises(DataError, match="incorrect data check"):
        read(tmp_path, bytes(content))


@pytest.mark.parametrize("name", [b"X", b"other"])
def test_bombs_are_refused_in_little_memory(tmp_path, name):
    """300 MB of zeros in 300 kB, behind a small shape and in a variable nobody asked for."""
    shape = struct.pack("<2i", 2, 3)
    inside = element(6, struct.pack("<II", 9, 0)) + element(5, shape) + element(1, name)
    count = 300 * 2**20
    squeeze = zlib.compressobj(1)
    body = squeeze.compress(struct.pack("<II", 14, len(inside) + 8 + count) + inside)
    body += squeeze.compress(struct.pack("<II", 2, count))
    for _ in range(300):
        body += squeeze.compress(bytes(2**20))
    body += squeeze.flush()
    content = header() + struct.pack("<II", 15, len(body)) + body
    tracemalloc.start()
    with pytest.raises(DataError, match="truncated or damaged" if name == b"X" else "without X"):
        read(tmp_path, content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


SMALL = as_matlab(IMAGES[:2], DIGITS[:2])
FILES = {compress: saved(SMALL, do_compression=compress) for compress in (True, False)}


@pytest.mark.parametrize("compress", [True, False])
@given(st.data())
def test_files_cut_anywhere_are_refused(tmp_path_factory, compress, data):
    content = FILES[compress]
    path = tmp_path_factory.mktemp("cut") / "train_32x32.mat"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DataError):
        load(path)


@pytest.mark.parametrize("compress", [True, False])
@given(st.data())
def test_changed_bytes_raise_nothing_but_data_errors(tmp_path_factory, compress, data):
    content = bytearray(FILES[compress])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(100, min(400, len(content) - 1)))] ^= data.draw(
            st.integers(1, 255)
        )
    path = tmp_path_factory.mktemp("changed") / "train_32x32.mat"
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        assert load(path).samples.shape[1:] == (3, 32, 32)
