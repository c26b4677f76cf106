"""Kills, full disks and second runs: whatever happens, the next resume ends where it should."""

from __future__ import annotations

import errno
import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep.errors import CheckpointError
from deep.training.checkpoints import load
from tests.deep import tiny

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

KILLED, FAILED = 77, 70


@pytest.fixture(autouse=True)
def _one_thread():
    """Children of fork must not look for the threads of their parent."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _fork(action) -> int:
    """Run an action in a child process and return the child's id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
        child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        action()
        os._exit(0)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(FAILED)
    return 0


def _end(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# -- a kill at every point -------------------------------------------------------------------------


class _Points:
    """Counts the moments at which files change, and ends the process at one of them.

    Names are watched by an audit hook, so no way of opening, renaming or deleting is missed;
    contents by os.write and os.fsync. A write counts twice: before it, and with a half of it done.
    """

    NAMES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link")

    def __init__(self, folder: Path, fatal: int | None) -> None:
        self.folder, self.fatal, self.count = str(folder), fatal, 0
        self._write, self._fsync = os.write, os.fsync
        os.write, os.fsync = self._on_write, self._on_fsync
        sys.addaudithook(self._audit)

    def _hit(self) -> bool:
        self.count += 1
        return self.count - 1 == self.fatal

    def _audit(self, event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            counts = str(path).startswith(self.folder) and flags & (os.O_WRONLY | os.O_RDWR)
        else:
            counts = event in self.NAMES and (
                any(str(a).startswith(self.folder) for a in arguments)
                or not str(arguments[0]).startswith("/")  # rmtree names files inside a folder
            )
        if counts and self._hit():
            os._exit(KILLED)

    def _on_write(self, descriptor: int, data) -> int:
        if self._hit():
            os._exit(KILLED)
        if self._hit():
            self._write(descriptor, data[: len(data) // 2])
            os._exit(KILLED)
        return self._write(descriptor, data)

    def _on_fsync(self, descriptor: int) -> None:
        if self._hit():
            os._exit(KILLED)
        self._fsync(descriptor)


SHORT = tiny.plan(2, keep_last=1)  # 6 steps, 3 checkpoints, 2 of them deleted again


def _short(folder: Path):
    return tiny.run(folder, settings=SHORT, validate=_falling)


def _falling(model) -> float:
    """The best checkpoint is in the middle: it is neither the newest nor the first."""
    return float((model.decoder.weight.detach().sum() - 0.01).abs())


def _whole(folder: Path) -> None:
    """Whatever is visible is complete."""
    root = folder / "checkpoints"
    for path in root.glob("step-*") if root.exists() else ():
        load(path)


def _no_leftovers(folder: Path) -> None:
    hidden = {p.name for p in folder.rglob(".*")}
    assert hidden <= {".lock"}, hidden


@pytest.mark.slow
def test_a_kill_at_every_write_and_rename(tmp_path):
    reference = _short(tmp_path / "reference")
    want = tiny.weights(tmp_path / "reference")

    read, write = os.pipe()

    def count() -> None:
        points = _Points(tmp_path / "counted", None)
        _short(tmp_path / "counted")
        total = points.count
        points._write(write, str(total).encode())

    assert _end(_fork(count)) == 0
    total = int(os.read(read, 100))
    os.close(read)
    os.close(write)
    assert total > 100, "each of 3 checkpoints has 4 files with 4 points each, renames and removals"

    for fatal in range(total):
        folder = tmp_path / str(fatal)

        def killed(folder=folder, fatal=fatal) -> None:
            _Points(folder, fatal)
            _short(folder)

        assert _end(_fork(killed)) == KILLED, f"point {fatal} of {total} was not reached"
        _whole(folder)
        result = _short(folder)
        assert result.status == "finished"
        assert tiny.weights(folder) == want, f"killed at point {fatal} of {total}"
        assert tiny.trace(result) == tiny.trace(reference)
        _no_leftovers(folder)


@pytest.mark.slow
def test_forty_kills_at_random_moments(tmp_path):
    """One run, killed 40 times; seeds 20240301. The moment: some steps and a bit of a step."""
    settings = tiny.plan(100, checkpoint_every=3, log_every=2)  # 300 steps
    reference = tiny.run(tmp_path / "reference", settings=settings)
    rng = np.random.default_rng(20240301)
    folder = tmp_path / "run"
    furthest = []
    for _ in range(40):
        read, write = os.pipe()

        def train(write=write) -> None:
            class Telling(tiny.Scale):
                def forward(self, *a, **k):
                    os.write(write, b".")
                    return super().forward(*a, **k)

            Telling.__qualname__ = "Scale"
            tiny.run(folder, objective=Telling(), settings=settings)

        child = _fork(train)
        os.close(write)
        for _ in range(rng.integers(0, 12)):
            if not os.read(read, 1):
                break
        for _ in range(rng.integers(0, 100_000)):  # up to a few milliseconds
            pass
        os.kill(child, signal.SIGKILL)
        assert _end(child) == -signal.SIGKILL, "the run ended or failed before it was killed"
        os.close(read)
        _whole(folder)
        furthest.append(len(list(folder.glob("checkpoints/step-*"))))
    # Two are kept; a kill may come when the third is written and the first not yet removed.
    assert max(furthest) in (2, 3), "some kills came after checkpoints"
    result = tiny.run(folder, settings=settings)
    assert result.status == "finished"
    assert tiny.weights(folder) == tiny.weights(tmp_path / "reference")
    assert tiny.trace(result) == tiny.trace(reference)
    _no_leftovers(folder)


# -- a full disk -----------------------------------------------------------------------------------


class _FullDisk:
    """From a chosen call on, everything that needs room fails, after half of a write is done."""

    NAMES = ("write", "fsync", "mkdir", "rename", "replace")

    def __init__(self, monkeypatch, first: int | None) -> None:
        self.first, self.count = first, 0
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self._failing(name, getattr(os, name)))

    def _failing(self, name, real):
        def call(*arguments, **named):
            self.count += 1
            if self.first is not None and self.count > self.first:
                if name == "write":
                    real(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **named)

        return call


@pytest.mark.slow
def test_a_disk_that_fills_up_at_any_moment(tmp_path, monkeypatch):
    reference = _short(tmp_path / "reference")
    with monkeypatch.context() as patch:
        disk = _FullDisk(patch, None)
        _short(tmp_path / "counted")
    assert disk.count > 60
    for first in range(2, disk.count):  # the first two make the folder itself
        folder = tmp_path / str(first)
        with monkeypatch.context() as patch:
            _FullDisk(patch, first)
            with pytest.raises(CheckpointError, match="No space left"):
                _short(folder)
        _whole(folder)
        result = _short(folder)
        assert tiny.weights(folder) == tiny.weights(tmp_path / "reference")
        assert tiny.trace(result) == tiny.trace(reference)
        _no_leftovers(folder)


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    real = os.write

    def full(descriptor, data):
        if (tmp_path / "checkpoints" / "step-00000002").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(CheckpointError, match=r"No space left.*make room"):
        tiny.run(tmp_path, settings=tiny.plan(log_every=100))
    assert load(tmp_path / "checkpoints" / "step-00000002").step == 2
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {"step-00000002"}


# -- two runs in one folder ------------------------------------------------------------------------


def test_a_second_run_is_refused_and_a_killed_one_does_not_block(tmp_path):
    here, there = os.pipe()
    never, keep = os.pipe()

    def hold() -> None:
        class Waiting(tiny.Scale):
            def forward(self, *a, **k):
                os.write(there, b".")
                os.read(never, 1)
                return super().forward(*a, **k)

        Waiting.__qualname__ = "Scale"
        tiny.run(tmp_path, objective=Waiting())

    child = _fork(hold)
    try:
        assert os.read(here, 1) == b"."
        with pytest.raises(CheckpointError, match="another run is training"):
            tiny.run(tmp_path)
    finally:
        os.kill(child, signal.SIGKILL)
        _end(child)
    assert tiny.run(tmp_path).status == "finished"
    for descriptor in (here, there, never, keep):
        os.close(descriptor)
