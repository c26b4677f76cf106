"""Reports, results and figures: the old file or the new one, and nothing beside them."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import linvae as lv
from benchmarks.record import write_json
from linvae import _atomic
from linvae.datafiles import atomic_write, save_arrays, save_json
from linvae.errors import DataFileError
from linvae.plotting import new_figure, save_figure
from linvae.report import Report, build_report

resource = pytest.importorskip("resource")

OLD = b"what was written before"


def _figure() -> object:
    figure, axes = new_figure(width=1.0, height=1.0)
    axes.set_axis_off()
    return figure


@cache
def _built() -> Report:
    spectrum = lv.Spectrum.from_eigenvalues([3.0, 1.0])
    return build_report(spectrum, latent_dim=1, noise_variance=1.0, checks=())


WRITERS: dict[str, Callable[[Path], object]] = {
    "result.json": lambda path: save_json(path, {"x": np.arange(3000)}),
    "record.json": lambda path: write_json(path, {"x": np.arange(3000)}),
    "arrays.npz": lambda path: save_arrays(path, {"x": np.arange(9), "y": np.ones(9)}),
    "figure.png": lambda path: save_figure(_figure(), path),
    "figure.svg": lambda path: save_figure(_figure(), path),
    "report.html": lambda path: _built().write(path),
}


@contextlib.contextmanager
def _files_up_to(size: int) -> Iterator[None]:
    """Let the system refuse files beyond a size, in the middle of a write if need be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _assert_old(target: Path) -> None:
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == [target.name]


@pytest.fixture
def target(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / request.param
    WRITERS[request.param](path)  # imports what it needs, caches included
    path.write_bytes(OLD)
    return path


@pytest.mark.parametrize("target", WRITERS, indirect=True)
def test_no_room_at_any_size(target: Path) -> None:
    write = WRITERS[target.name]
    write(target)
    size = target.stat().st_size
    target.write_bytes(OLD)
    for limit in sorted({0, 1, 40, size // 3, size // 2, size - 100, size - 1}):
        with _files_up_to(limit), pytest.raises(DataFileError, match="File too large") as caught:
            write(target)
        assert str(target) in str(caught.value)
        assert "free space" in str(caught.value)
        _assert_old(target)
    with _files_up_to(size):
        write(target)
    assert target.stat().st_size == size
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("target", WRITERS, indirect=True)
def test_a_disk_that_refuses_at_the_end(
    target: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(DataFileError, match="No space left"):
            WRITERS[target.name](target)
    _assert_old(target)
    WRITERS[target.name](target)
    assert target.read_bytes() != OLD


def test_the_content_is_on_the_disk_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a loss of power the name must not lead to an empty file."""
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def tell_fsync(descriptor: int) -> None:
        order.append(f"fsync {os.fstat(descriptor).st_size if not order else 'directory'}")
        fsync(descriptor)

    def tell_replace(*paths: Path) -> None:
        order.append("replace")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", tell_fsync)
    monkeypatch.setattr(os, "replace", tell_replace)
    with atomic_write(tmp_path / "x") as file:
        file.write(b"new")
    assert order == ["fsync 3", "replace", "fsync directory"]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_takes_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(self: Path, *_: object) -> None:
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataFileError, match=rf"x\.json.*{os.strerror(number)}.*check the dir"):
        save_json(tmp_path / "x.json", {})
    assert not list(tmp_path.iterdir())


_KILLED = """
import sys
from linvae.datafiles import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("now", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(_atomic.fcntl is None, reason="needs locks of files")
def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    target, other = tmp_path / "x.json", tmp_path / ".x.json.notes.part"
    target.write_bytes(OLD)
    other.write_text("mine")
    call = [sys.executable, "-c", _KILLED, str(target)]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"now\n"
            save_json(target, {"a": 1})
            assert len(list(tmp_path.iterdir())) == 3, "that of a living process stays"
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert len(list(tmp_path.iterdir())) == 3
    assert target.read_bytes() != OLD
    (tmp_path / ".x.json.00000000.part").touch()  # killed before its first byte
    save_json(target, {"a": 2})
    assert set(tmp_path.iterdir()) == {target, other}
    assert b'"a": 2' in target.read_bytes()


def test_many_writers_of_one_file(tmp_path: Path) -> None:
    """Each leaves one whole file; none takes another's temporary file for a stale one."""
    target, errors = tmp_path / "x.json", []

    def write(value: int) -> None:
        try:
            for _ in range(15):
                save_json(target, [value] * 500)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert os.listdir(tmp_path) == ["x.json"]
    assert len(set(target.read_text().split(",\n")[1:-1])) == 1
