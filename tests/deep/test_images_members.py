"""Zip files and folders: what they give, and archives that are refused without extracting any."""

from __future__ import annotations

import os
import stat
import struct
import tracemalloc
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from deep.data import members
from deep.data.members import members_of, safe_name
from deep.errors import DataError
from tests.deep.image_files import write_folder, write_zip

CONTENTS = {"b.txt": b"second", "a/c.bin": bytes(range(256)) * 9, "a/b/d": b"x", "empty": b""}
FULL = {name: content for name, content in CONTENTS.items() if content}


def contents_of(path):
    with members_of(path) as held:
        return {name: held.read(name) for name in held.names}


def test_zips_and_folders_give_their_files_in_order(tmp_path):
    write_zip(tmp_path / "a.zip", {"a/": b"", **CONTENTS})
    write_zip(tmp_path / "b.zip", CONTENTS, zipfile.ZIP_STORED)
    for name in ("a.zip", "b.zip"):
        found = contents_of(tmp_path / name)
        assert found == CONTENTS
        assert list(found) == sorted(CONTENTS)
    folder = write_folder(tmp_path / "f", FULL)
    assert contents_of(folder) == FULL
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "b.zip", "f"]


def test_a_zip_may_be_read_by_several_threads(tmp_path):
    contents = {str(i): np.random.default_rng(i).bytes(5000) for i in range(60)}
    write_zip(tmp_path / "a.zip", contents)
    with members_of(tmp_path / "a.zip") as held, ThreadPoolExecutor(4) as crew:
        assert dict(zip(held.names, crew.map(held.read, held.names), strict=True)) == contents


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/passwd", "..", "a/..", "C:/x", "c:x", "..\\x", "a\\b", "x\0.png"],
)
def test_names_that_lead_out_are_refused(tmp_path, name):
    with pytest.raises(DataError, match="expected names inside the archive"):
        safe_name(name, "a.zip")
    held = zipfile.ZipInfo("placeholder".ljust(len(name), "_")[: max(len(name), 11)])
    write_zip(tmp_path / "a.zip", {held: b"x", "good": b"y"})
    content = (tmp_path / "a.zip").read_bytes()
    padded = name.ljust(len(held.filename), "_") if name != ".." else "../________"
    if name == "a/..":
        padded = "a/../______"
    content = content.replace(held.filename.encode(), padded.encode())
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="expected names inside the archive"):
        contents_of(tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["a", "a/b.png", "a..b", "...", "a/.b", "ä/ß", "a/"])
def test_other_names_are_left_alone(name):
    assert safe_name(name, "a.zip") == name


def entry(name, mode):
    made = zipfile.ZipInfo(name)
    made.external_attr = mode << 16
    return made


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO])
def test_links_and_devices_are_refused(tmp_path, kind):
    write_zip(tmp_path / "a.zip", {entry("a", kind | 0o644): b"/etc/passwd", "b": b"x"})
    with pytest.raises(DataError, match="a link or device"):
        contents_of(tmp_path / "a.zip")


def patched(path, offset_local, offset_central, value, form):
    """Change a field of the first entry in both of its headers."""
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", offset_local), (b"PK\x01\x02", offset_central)):
        struct.pack_into(form, content, content.index(mark) + offset, value)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("local", "central", "value", "form", "said"),
    [
        (6, 8, 1, "<H", "encrypted"),
        (8, 10, 12, "<H", "packed by method 12"),
        (8, 10, 14, "<H", "packed by method 14"),
        (22, 24, 2**26 + 1, "<I", "of 67108865 bytes; expected at most"),
        (22, 24, 2**25, "<I", "declares 33554432 bytes but can hold at most"),
        (22, 24, 7, "<I", "damaged or not a zip file"),
        (14, 16, 123, "<I", "damaged or not a zip file"),
    ],
)
def test_lying_headers_are_refused(tmp_path, local, central, value, form, said):
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"some text, some text, some text"})
    with pytest.raises(DataError, match=said):
        contents_of(patched(path, local, central, value, form))


def test_two_members_of_one_name_are_refused(tmp_path):
    write_zip(tmp_path / "a.zip", {"a": b"1", "b": b"2"}, zipfile.ZIP_STORED)
    content = (tmp_path / "a.zip").read_bytes()
    # The name of the second entry, in its header and in the directory.
    changed = content.replace(b"b2", b"a2", 1)
    place = changed.rindex(b"b")
    (tmp_path / "a.zip").write_bytes(changed[:place] + b"a" + changed[place + 1 :])
    with pytest.raises(DataError, match="two members of one name"):
        contents_of(tmp_path / "a.zip")


def test_members_that_overlap_are_refused(tmp_path):
    """Many entries of the directory that share one block of data: a bomb without nesting."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**20)) + packer.flush()
    name, crc = b"a", zlib.crc32(bytes(2**20))
    fields = (20, 0, 8, 0, 0, crc, len(block), 2**20, 1)
    content = b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", *fields, 0) + name + block
    start, directory = len(content), b""
    for i in range(20):
        head = struct.pack("<HHHHHHIIIHHHHHII", 20, *fields, 0, 0, 0, 0, 0, 0)
        directory += b"PK\x01\x02" + head + bytes([65 + i])
    end = struct.pack("<HHHHIIH", 0, 0, 20, 20, len(directory), start, 0)
    (tmp_path / "a.zip").write_bytes(content + directory + b"PK\x05\x06" + end)
    with pytest.raises(DataError, match="members that do not overlap"):
        contents_of(tmp_path / "a.zip")


def test_bombs_are_refused_in_little_memory(tmp_path):
    """More than 64 MB in one member is refused by what is declared, before it is unpacked."""
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("zeros.png", "w") as member,
    ):
        for _ in range(80):
            member.write(bytes(2**20))
    tracemalloc.start()
    with pytest.raises(DataError, match="expected at most 67108864"):
        contents_of(tmp_path / "a.zip")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "MOST_ENTRIES", 3)
    write_zip(tmp_path / "a.zip", CONTENTS)
    folder = write_folder(tmp_path / "f", {str(i): b"x" for i in range(4)})
    for path in (tmp_path / "a.zip", folder):
        with pytest.raises(DataError, match=r"4 members|more than 3 files"):
            contents_of(path)


def test_large_files_of_a_folder_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "MOST_MEMBER", 10)
    folder = write_folder(tmp_path / "f", {"a": bytes(11)})
    with pytest.raises(DataError, match="of 11 bytes; expected at most 10"):
        contents_of(folder)


def test_pipes_and_links_in_a_folder(tmp_path):
    """A link to a folder is not followed, so that no loop and nothing outside is read."""
    folder = write_folder(tmp_path / "f", {"a/b": b"x"})
    (folder / "loop").symlink_to(folder)
    assert contents_of(folder) == {"a/b": b"x"}
    os.mkfifo(folder / "pipe")
    with pytest.raises(DataError, match="not a regular file"):
        contents_of(folder)


ARCHIVE = {}


def archive_bytes(folder):
    if not ARCHIVE:
        ARCHIVE["x"] = write_zip(folder / "whole.zip", CONTENTS).read_bytes()
    return ARCHIVE["x"]


@given(st.data())
def test_archives_cut_anywhere_are_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cut")
    content = archive_bytes(folder)
    (folder / "a.zip").write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DataError):
        contents_of(folder / "a.zip")


@given(st.data())
def test_changed_bytes_raise_nothing_but_data_errors(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("changed")
    content = bytearray(archive_bytes(folder))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / "a.zip").write_bytes(content)
    try:
        found = contents_of(folder / "a.zip")
    except DataError:
        return
    assert set(found.values()) <= set(CONTENTS.values()), "contents have checksums"
