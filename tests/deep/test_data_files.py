"""Readers of data files: what they read, and that damaged files only ever raise DataError."""

from __future__ import annotations

import gzip
import io
import itertools
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from deep.data import amat, files
from deep.data.amat import read_amat
from deep.data.arrays import read_samples
from deep.data.idx import read_idx
from deep.errors import DataError

CODES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}
# One block of reading, and what Python needs around it.
OVERHEAD = 6 * 2**20


def idx_bytes(array, code=None, dims=None):
    kind = array.dtype.newbyteorder(">").str.lstrip("|")
    head = struct.pack(">HBB", 0, CODES[kind] if code is None else code, array.ndim)
    return head + struct.pack(f">{array.ndim}I", *(dims or array.shape)) + array.astype(
        array.dtype.newbyteorder(">")
    ).tobytes()  # fmt: skip


def amat_bytes(array, end="\n"):
    return "".join(" ".join(str(int(v)) for v in row) + end for row in array).encode()


def packed(content, level=9):
    return gzip.compress(content, level, mtime=0)  # the same bytes at any time


def write(folder, content, name="file"):
    path = folder / name
    path.write_bytes(content)
    return path


IMAGES = np.random.default_rng(1).integers(0, 256, (5, 4, 3), dtype=np.uint8)
BITS = np.random.default_rng(2).integers(0, 2, (6, 5)).astype(bool)


# --- IDX ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("form", [bytes, packed])
def test_idx_of_every_dtype_is_read(tmp_path, kind, form):
    numbers = np.random.default_rng(3).integers(-100, 100, (7, 2)).astype(kind)
    got = read_idx(write(tmp_path, form(idx_bytes(numbers))))
    assert got.dtype == np.dtype(kind).newbyteorder("=")
    assert got.dtype.isnative
    assert np.array_equal(got, numbers)
    got[0] = 0  # memory of its own, that torch can take


def test_idx_is_told_from_gzip_by_content_not_by_name(tmp_path):
    assert np.array_equal(read_idx(write(tmp_path, idx_bytes(IMAGES), "a.gz")), IMAGES)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\0\1\x08\x03" + bytes(12), "magic number 00010803"),
        (b"\0\0\x0a\x01" + bytes(8), "magic number"),
        (b"\0\0\x08\x00\x05", "magic number"),
        (b"\0\0\x08\xff" + bytes(2000), "magic number"),
        (b"PK\3\4" + bytes(50), "magic number"),
        (b"\0\0\x08", "inside its header"),
        (b"\0\0\x08\x03\0\0\0\1", "inside its header"),
        (idx_bytes(IMAGES)[:-1], "declares 60 bytes"),
        (idx_bytes(IMAGES) + b"\0", "bytes after its data"),
        (idx_bytes(IMAGES, dims=(0, 4, 3))[:16], "at least one entry"),
        (idx_bytes(IMAGES, dims=(2**32 - 1,) * 3), "declares"),
        (packed(idx_bytes(IMAGES))[:-9], "truncated"),
        (packed(idx_bytes(IMAGES)[:-1]), "truncated: 59 bytes"),
        (packed(idx_bytes(IMAGES) + b"\0"), "bytes after its data"),
        (packed(idx_bytes(IMAGES)) + b"rest", "damaged"),
        (packed(idx_bytes(IMAGES, dims=(2**31, 2**31, 1))), "declares"),
        (packed(b""), "inside its header"),
        (b"", "an empty file"),
    ],
    ids=itertools.count(),
)
def test_damaged_idx_is_refused(tmp_path, content, said):
    with pytest.raises(DataError, match=said):
        read_idx(write(tmp_path, content))


def test_images_and_labels_are_not_exchanged(tmp_path):
    path = write(tmp_path, idx_bytes(IMAGES))
    assert read_idx(path, ndim=3, dtype=np.uint8).shape == (5, 4, 3)
    with pytest.raises(DataError, match="with 3 dimensions; expected dtype uint8 with 1"):
        read_idx(path, ndim=1, dtype=np.uint8)
    path = write(tmp_path, idx_bytes(IMAGES.astype(np.float32)))
    with pytest.raises(DataError, match="expected dtype uint8"):
        read_idx(path, ndim=3, dtype=np.uint8)


def peak_of(read, path):
    """Most memory held while a file is refused or read."""
    tracemalloc.start()
    try:
        result = read(path)
    except DataError:
        result = None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak, result


def test_memory_follows_the_file_and_not_what_it_declares(tmp_path):
    """Declared 3 GiB, within what gzip of that size could hold, yet not there."""
    noise = np.random.default_rng(4).integers(0, 256, 2**22, dtype=np.uint8)
    lie = idx_bytes(noise, dims=(3 * 2**30,))
    path = write(tmp_path, packed(lie, 1))
    with files.reading(path) as (_, bound):
        assert bound > 3 * 2**30, "or the test tests another line"
    peak, _ = peak_of(read_idx, path)
    assert peak < 2 * noise.size + OVERHEAD
    peak, _ = peak_of(read_idx, write(tmp_path, lie))
    assert peak < OVERHEAD, "a plain file is refused by its header"


def test_a_file_that_unpacks_without_end_is_refused_in_little_memory(tmp_path, monkeypatch):
    """100 MB of text that is not a sample in 100 kB: refused at its first block."""
    path = write(tmp_path, packed(b"0" * 10**8), "bomb.amat")
    peak, _ = peak_of(read_amat, path)
    assert peak < 3 * amat._BLOCK + OVERHEAD
    # Well-formed without end: the limit on text stops it.
    monkeypatch.setattr(amat, "MOST_BYTES", 2**23)
    path = write(tmp_path, packed(b"0 1 0 1\n" * 2**22), "bomb.amat")
    peak, _ = peak_of(read_amat, path)
    assert peak < 2**23 + 3 * amat._BLOCK + OVERHEAD
    with pytest.raises(DataError, match=r"more than 8388608 bytes.*save it as \.npy"):
        read_amat(path)


# --- .amat --------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", " \n", "\r\n", " \r\n"])
@pytest.mark.parametrize("form", [bytes, packed])
def test_amat_is_read(tmp_path, end, form):
    path = write(tmp_path, form(amat_bytes(BITS, end)))
    got = read_amat(path)
    assert got.dtype == np.bool_
    assert np.array_equal(got, BITS)


def test_amat_without_a_last_line_end_or_with_one_line(tmp_path):
    assert np.array_equal(read_amat(write(tmp_path, amat_bytes(BITS)[:-1])), BITS)
    assert np.array_equal(read_amat(write(tmp_path, b"0 1 1")), [[False, True, True]])
    assert np.array_equal(read_amat(write(tmp_path, b"1\n0\n")), [[True], [False]])


@pytest.mark.parametrize("block", [9, 10, 11, 23, 64])
def test_amat_lines_may_straddle_blocks(tmp_path, monkeypatch, block):
    content = amat_bytes(BITS)
    monkeypatch.setattr(amat, "_BLOCK", block + 1)  # lines are 10 bytes long
    assert np.array_equal(read_amat(write(tmp_path, content)), BITS)
    assert np.array_equal(read_amat(write(tmp_path, content[:-1])), BITS)
    damaged = bytearray(content)
    damaged[10 * 4 + 2] = ord("2")
    with pytest.raises(DataError, match="b'2' as character 3 of line 5"):
        read_amat(write(tmp_path, bytes(damaged)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"0 1\n0 2\n", "b'2' as character 3 of line 2"),
        (b"0 1\n0 /\n", "b'/' as character 3 of line 2"),
        (b"0 1\n0\t1\n", r"b'\\t' as character 2 of line 2"),
        (b"0 1\n0 1 1\n", "line 2"),
        (b"0 1 1\n0 1\n0 1 1\n", "line 2"),
        (b"0 1 1\n0 1", "truncated: 3 characters in line 2"),
        (b"0 1 1\n0 1\n", "truncated: 4 characters in line 2"),
        (b"0 1\n\n", "line 2"),
        (b"0  1\n0  1\n", "first line"),
        (b"0.0 1.0\n", "line 1"),
        (b"\n0 1\n", "first line"),
        (b" 0 1\n", "first line"),
        (b"0 1   \n", "first line"),
        (b"0,1\n", "b',' as character 2 of line 1"),
        ("0 １\n".encode(), "line"),
        (packed(b""), "first line"),
        (packed(amat_bytes(BITS))[:-12], "truncated"),
    ],
    ids=itertools.count(),
)
def test_damaged_amat_is_refused(tmp_path, content, said):
    with pytest.raises(DataError, match=said):
        read_amat(write(tmp_path, content))


# --- arbitrary damage ---------------------------------------------------------------------------


@st.composite
def damaged(draw, valid):
    """A valid file, cut, with bits flipped, bytes put in, or something else altogether."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(0, 3))):
        what = draw(st.sampled_from(["flip", "cut", "insert", "zero"]))
        place = draw(st.integers(0, max(0, len(content) - 1)))
        if what == "flip" and content:
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif what == "cut":
            del content[place:]
        elif what == "insert":
            content[place:place] = draw(st.binary(max_size=5))
        elif what == "zero" and content:
            content[place] = 0
    return bytes(content)


def survives(tmp_path_factory, content, read, name="fuzz"):
    """Array of a file, or None where it was refused; anything else fails the test."""
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    peak, result = peak_of(read, path)
    assert peak < 4 * len(content) + OVERHEAD
    return result


@given(st.one_of(damaged(idx_bytes(IMAGES)), st.binary(max_size=40)))
@example(idx_bytes(IMAGES))
def test_whatever_idx_is_accepted_is_all_there(tmp_path_factory, content):
    got = survives(tmp_path_factory, content, read_idx)
    if got is not None:
        assert content == idx_bytes(got, code=content[2]), "reading is the inverse of writing"


@given(damaged(packed(idx_bytes(IMAGES))))
def test_damage_to_packed_idx_is_noticed(tmp_path_factory, content):
    got = survives(tmp_path_factory, content, read_idx)
    assert got is None or np.array_equal(got, IMAGES)


@given(st.one_of(damaged(amat_bytes(BITS)), st.text("01 \n", max_size=30).map(str.encode)))
@example(amat_bytes(BITS))
def test_whatever_amat_is_accepted_is_all_there(tmp_path_factory, content):
    got = survives(tmp_path_factory, content, read_amat)
    if got is not None:
        written = [(amat_bytes(got, end), end) for end in ("\n", " \n", "\r\n", " \r\n")]
        assert any(content in (w, w.removesuffix(end.encode())) for w, end in written)


def npz_bytes(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def npy_bytes(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@given(damaged(npz_bytes(a=np.arange(24.0).reshape(6, 4))))
def test_damaged_npz_is_refused(tmp_path_factory, content):
    read = survives(tmp_path_factory, content, read_samples, "fuzz.npz")
    assert read is None or isinstance(read[0], np.ndarray)


@given(damaged(npy_bytes(np.arange(6.0).reshape(3, 2))))
@example(npy_bytes(np.arange(6.0).reshape(3, 2)).replace(b"}", b"{"))  # unbalanced header
def test_damaged_npy_is_refused(tmp_path_factory, content):
    read = survives(tmp_path_factory, content, read_samples, "fuzz.npy")
    assert read is None or read[0].nbytes < len(content)


# --- any file -----------------------------------------------------------------------------------


def test_samples_keep_the_shape_of_the_file(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    np.savez(tmp_path / "a.npz", one=IMAGES, two=BITS)
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    write(tmp_path, amat_bytes(BITS), "a.amat")
    write(tmp_path, packed(idx_bytes(IMAGES)), "some-images-idx3-ubyte.gz")
    assert np.array_equal(read_samples(tmp_path / "a.npy")[0], IMAGES)
    assert np.array_equal(read_samples(tmp_path / "a.npz", "one")[0], IMAGES)
    assert np.array_equal(read_samples(tmp_path / "a.csv")[0], [[1, 2], [3, 4]])
    assert np.array_equal(read_samples(tmp_path / "a.amat")[0], BITS)
    assert np.array_equal(read_samples(tmp_path / "some-images-idx3-ubyte.gz")[0], IMAGES)
    for got in (read_samples(tmp_path / "a.npy"), read_samples(tmp_path / "a.npz", "one")):
        assert not any("flattened" in note for note in got[1])


def test_an_archive_that_declares_too_much_is_refused_before_it_is_unpacked(tmp_path):
    """The header says 8 TB; the same file with an honest header is read."""
    content = io.BytesIO()
    np.save(content, np.zeros((10, 4)))
    honest = content.getvalue()
    lie = honest.replace(b"(10, 4), }            ", b"(1000000000000, 4), } ")
    assert len(lie) == len(honest)
    assert lie != honest
    for body in (honest, lie):
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("a.npy", body)
        if body is honest:
            assert read_samples(tmp_path / "a.npz")[0].shape == (10, 4)
        else:
            with pytest.raises(DataError, match="declares 32000000000000 bytes"):
                read_samples(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("name", "key", "said"),
    [
        ("missing.npy", None, "does not exist"),
        ("folder", None, "a directory"),
        ("folder.npy", None, "a directory"),
        ("empty.npy", None, "an empty file"),
        ("words.txt", None, "of unknown type"),
        ("digits", None, "of unknown type"),
        ("pickle.npy", None, "pickle"),
        ("cut.npy", None, "truncated"),
        ("two.npz", None, "choose it with key NAME"),
        ("two.npz", "c", "one of: a, b"),
        ("good.npy", "a", r"a \.npz file"),
        ("zero\0byte.npy", None, "null"),
        ("x" * 300 + ".npy", None, "too long"),
    ],
)
def test_files_that_cannot_be_read_are_refused(tmp_path, name, key, said):
    for folder in ("folder", "folder.npy"):
        (tmp_path / folder).mkdir()
    for file in ("words.txt", "digits"):
        (tmp_path / file).write_text("hello")
    np.save(tmp_path / "good.npy", IMAGES)
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "two.npz", a=IMAGES, b=IMAGES)
    write(tmp_path, (tmp_path / "good.npy").read_bytes()[:-1], "cut.npy")
    write(tmp_path, b"", "empty.npy")
    with pytest.raises(DataError, match=said) as caught:
        read_samples(f"{tmp_path}/{name}", key)
    assert "--key" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_idx, read_amat, read_samples])
def test_files_that_may_not_be_read_are_refused(tmp_path, monkeypatch, read):
    path = write(tmp_path, npz_bytes(a=BITS), "a.npz")
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read anything

        def deny(*_args, **_kwargs):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.open", deny)
        monkeypatch.setattr("zipfile.ZipFile.__init__", deny)
    with pytest.raises(DataError, match="may not be read"):
        read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    for read in (read_idx, read_amat, read_samples):
        with pytest.raises(DataError, match="not a regular file"):
            read(tmp_path / "pipe.npy")
