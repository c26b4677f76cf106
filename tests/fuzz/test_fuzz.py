"""Every parser on its recorded corpus and on changed files, and whether the watch sees anything.

``LINVAE_FUZZ_RUNS=100000`` makes the longest mode: so many changed contents for each parser.
``python -m benchmarks.fuzz --runs 1000000`` is guided by coverage and writes a record.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path
from random import Random

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks import fuzz
from deep.errors import CheckpointError, ConfigError, DataError
from deep.settings import read_settings, with_overrides
from linvae.datafiles import load_data
from linvae.errors import DataFileError
from tests.fuzz.mutation import changed
from tests.fuzz.targets import PARSERS
from tests.fuzz.watch import BASE, ForbiddenError, scratch, watched

RUNS = int(os.environ.get("LINVAE_FUZZ_RUNS", "25"))


def test_the_command_knows_every_parser():
    assert tuple(PARSERS) == fuzz.NAMES
    assert {path.name for path in fuzz.CORPUS.iterdir()} == set(PARSERS)


@pytest.mark.parametrize("name", PARSERS)
def test_the_recorded_corpus(name):
    """All that was ever found, with every byte of memory counted; of valid contents most count."""
    parser = PARSERS[name]
    with scratch() as folder:
        target = watched(parser.read, folder, parser.growth)
        assert any(target(content) for content in parser.seeds())
        contents = fuzz.recorded(fuzz.CORPUS / name)
        assert contents
        assert sum(map(len, contents)) < 20_000
        tracemalloc.start()
        try:
            outcomes = [target(content) for content in contents]
        finally:
            tracemalloc.stop()
    assert not all(outcomes), "a corpus of valid files tests nothing"


@pytest.mark.parametrize("name", PARSERS)
def test_changed_contents(name):
    parser = PARSERS[name]
    pool, rng = parser.seeds(), Random(name)
    with scratch() as folder:
        target = watched(parser.read, folder, parser.growth)
        for run in range(RUNS):
            content = changed(rng, rng.choice(pool), pool, parser.changes)
            try:
                target(content)
            except Exception as error:
                raise AssertionError(f"run {run}: {content!r}") from error


# --- the watch sees what it is there for ---------------------------------------------------------


class Starts:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return (os.system, ("true",))


def _allocates(content, folder):
    return np.empty(2**28, np.uint8).size  # never touched, so the process does not grow


@pytest.mark.parametrize(
    ("misdeed", "said"),
    [
        (lambda c, f: (f.parent / "fuzz-outside").write_bytes(c), "write"),
        (lambda c, f: Path("/etc/hostname").read_bytes(), "read"),
        (lambda c, f: (f / ".." / f.name / ".." / "x").write_bytes(c), "write"),
        (lambda c, f: os.rename(f / "a", f.parent / "fuzz-b"), "os.rename"),
        (lambda c, f: pickle.loads(pickle.dumps(Starts())), "pickle.find_class"),
        (lambda c, f: eval(c.decode()), "exec of <string>"),
        (lambda c, f: subprocess.run([sys.executable, "-c", ""], check=False), "subprocess.Popen"),
        (_allocates, "bytes asked for"),
    ],
)  # fmt: skip
def test_misdeeds_are_seen(misdeed, said):
    with scratch() as folder:
        (folder / "a").write_bytes(b"")
        target = watched(misdeed, folder, 1)
        tracemalloc.start()
        try:
            with pytest.raises(ForbiddenError, match=said):
                target(b"1 + 1")
        finally:
            tracemalloc.stop()
            for left in folder.parent.glob("fuzz-[bo]*"):
                if left.is_file():
                    left.unlink()
            (folder.parent / "x").unlink(missing_ok=True)


def test_other_errors_warnings_and_long_messages_are_failures():
    def warn(content, folder):
        warnings.warn("x", RuntimeWarning, stacklevel=1)

    def refuse(content, folder):
        raise DataError("x" * 3000)

    def fail(content, folder):
        raise ValueError("not of ours")

    with scratch() as folder:
        for misdeed, kind in ((warn, RuntimeWarning), (refuse, ForbiddenError), (fail, ValueError)):
            with pytest.raises(kind):
                watched(misdeed, folder, 1)(b"")
        assert watched(lambda c, f: None, folder, 1)(b"") is True


# --- what was found ------------------------------------------------------------------------------


def _npy(shape: str, body: bytes = bytes(48)) -> bytes:
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + body


def _peak(call, kind, said):
    tracemalloc.start()
    with pytest.raises(kind, match=said):
        call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_a_small_archive_that_declares_a_large_array(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", _npy("(8589934592, 8)"))
    assert _peak(lambda: load_data(str(path)), DataFileError, "truncated") < 1e6


def test_a_member_that_is_no_array_is_not_unpacked(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", bytes(2**25))
    assert _peak(lambda: load_data(str(path)), DataFileError, "not an array") < 1e6


@pytest.mark.parametrize("shape", ["(-1, 2)", "(-2, -3)", f"(0, {10**30})", "-" * 3000 + "1"])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_shapes_that_no_array_has(tmp_path, shape, suffix):
    path = tmp_path / f"x.{suffix}"
    if suffix == "npy":
        path.write_bytes(_npy(shape))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", _npy(shape))
    with pytest.raises(DataFileError):
        load_data(str(path))


def test_a_member_that_unpacks_to_more_than_it_declares(tmp_path):
    """Its declared 100 bytes are unpacked, not the 64 MB that are there."""
    from deep.data.members import members_of

    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**26)) + packer.flush()
    fields = (20, 0, 8, 0, 33, zlib.crc32(bytes(100)), len(block), 100, 1, 0)
    local = b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", *fields) + b"a"
    entry = b"PK\x01\x02" + struct.pack("<HHHHHHIIIHHHHHII", 20, *fields, 0, 0, 0, 0, 0) + b"a"
    end = struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local) + len(block), 0)
    (tmp_path / "a.zip").write_bytes(local + block + entry + b"PK\x05\x06" + end)
    with members_of(tmp_path / "a.zip") as members:
        tracemalloc.start()
        assert members.read("a") == bytes(100)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < BASE / 8


@pytest.mark.parametrize(
    "value",
    ["2001-99-99", "0b_", "!!bool x", "!!timestamp x", "!!int x", "0x" + "F" * 6000,
     "1" + ":1" * 5000, "[" * 5000, "&a [*a]", "!!python/object/apply:os.system [x]"],
)  # fmt: skip
def test_values_that_yaml_cannot_make(tmp_path, value):
    path = tmp_path / "x.yaml"
    path.write_text(f"title: {value}\n")
    with pytest.raises(ConfigError) as caught:
        read_settings(str(path))
    assert len(str(caught.value)) < 600
    with pytest.raises(ConfigError):
        with_overrides(read_settings("digits-mlp"), [f"title={value}"])


def test_aliases_that_make_much_of_little_are_refused(tmp_path):
    """Ten lines of ten aliases each are ten billion values; a few aliases are none of that."""
    path = tmp_path / "x.yaml"
    lines = ["a: &a [x, x, x]"]
    lines += [
        f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]"
        for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    ]
    path.write_text("\n".join(lines))
    assert _peak(lambda: read_settings(str(path)), ConfigError, "aliases that stand for") < 4e6
    path.write_text("beta: {low: &a 0.5, high: 2}\nevaluation: {low: *a}\n")
    assert read_settings(str(path)).evaluation.low == 0.5


def test_names_of_files_in_a_checkpoint_stay_in_its_folder(tmp_path):
    from deep.training import checkpoints
    from deep.training.files import digest, sealed

    outside = checkpoints.pack({})
    (tmp_path / "x.safetensors").write_bytes(outside)
    path = tmp_path / "step-00000001"
    path.mkdir()
    for name in ("../x.safetensors", str(tmp_path / "x.safetensors")):
        content = {
            "format": 1,
            "step": 1,
            "value": None,
            "files": {name: digest(outside)},
            "state": {},
        }
        (path / "state.json").write_bytes(sealed(content))
        with pytest.raises(CheckpointError, match="files = "):
            checkpoints.load(path)
