"""Folders that refuse or run full for real, clocks set back, and several runs at one moment."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from deep.errors import CheckpointError
from deep.training import loop
from deep.training.checkpoints import load
from tests.deep import tiny

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    """An undisturbed run."""
    folder = tmp_path_factory.mktemp("reference")
    assert tiny.run(folder).status == "finished"
    return folder


def _interrupted(folder: Path, step: int = 9) -> None:
    """A run with its newest checkpoint after this many steps of 12."""
    stopping = tiny.At(step, tiny.raise_signal(signal.SIGTERM))
    assert tiny.run(folder, objective=stopping).status == "interrupted"


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != ".lock"
    }


# -- folders that refuse ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("begun", [False, True])
def test_a_folder_that_takes_no_files(tmp_path, reference, monkeypatch, number, begun):
    """As a disk mounted to be read, or somebody else's folder: one error, and nothing is lost."""
    folder = tmp_path / "run"
    if begun:
        _interrupted(folder)
    before = _files(tmp_path)

    def refusing(name: str) -> Callable:
        real = getattr(os, name)

        def call(*arguments, **named):
            if name == "open" and not arguments[1] & (os.O_WRONLY | os.O_RDWR):
                return real(*arguments, **named)
            raise OSError(number, os.strerror(number), str(arguments[0]))

        return call

    with monkeypatch.context() as patch:
        for name in ("open", "mkdir", "rename", "replace", "unlink", "rmdir"):
            patch.setattr(os, name, refusing(name))
        with pytest.raises(CheckpointError, match=os.strerror(number)) as caught:
            tiny.run(folder)
    assert str(folder) in str(caught.value)
    assert "allow writing there or choose another folder, then resume" in str(caught.value)
    assert _files(tmp_path) == before
    assert tiny.run(folder).status == "finished"
    assert tiny.weights(folder) == tiny.weights(reference)


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(CheckpointError, match=r"File exists on writing to .*run; expected"):
        tiny.run(tmp_path / "run")
    assert (tmp_path / "run").read_text() == "mine"


class _Refusing:
    """From a chosen call on, everything that changes a folder fails."""

    NAMES = ("write", "fsync", "mkdir", "rename", "replace", "unlink", "rmdir")

    def __init__(self, monkeypatch, first: int | None) -> None:
        self.count, self.failed = 0, 0
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self._of(getattr(os, name), first))

    def _of(self, real: Callable, first: int | None) -> Callable:
        def call(*arguments, **named):
            self.count += 1
            if first is not None and self.count > first:
                self.failed += 1
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **named)

        return call


@pytest.mark.slow
def test_resuming_on_a_disk_that_fills_up_at_any_moment(tmp_path, reference, monkeypatch):
    """Also while leftovers are swept, damage is set aside and the history is cut back."""
    start = tmp_path / "start"
    _interrupted(start, 11)
    with (start / "history.jsonl").open("ab") as file:
        file.write(b'{"step": 12, "torn')
    (start / ".writing-result.json").write_bytes(b"half")
    leftover = start / "checkpoints" / ".writing-step-00000012"
    leftover.mkdir()
    (leftover / "model.safetensors").write_bytes(b"half")

    def resumed(name: str, first: int | None) -> _Refusing:
        shutil.copytree(start, tmp_path / name)
        with monkeypatch.context() as patch:
            disk = _Refusing(patch, first)
            if first is None:
                tiny.run(tmp_path / name)
                return disk
            with pytest.raises(CheckpointError, match=r"No space left.*make room there"):
                tiny.run(tmp_path / name)
        assert disk.failed
        return disk

    total = resumed("counted", None).count
    assert total > 30
    for first in range(total - 1):  # the last makes the name of the result last; it is there
        folder = tmp_path / str(first)
        resumed(folder.name, first)
        assert any(load(p) for p in (folder / "checkpoints").glob("step-*")), "nothing is lost"
        assert tiny.run(folder).status == "finished"
        assert tiny.weights(folder) == tiny.weights(reference)
        assert {p.name for p in folder.rglob(".*")} == {".lock"}
        shutil.rmtree(folder)


# -- a disk that is full, for real -----------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 96 kB in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    call = ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(place)]
    try:
        done = subprocess.run(call, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no command to mount a disk")
    if done.returncode:
        pytest.skip(f"may not mount a disk: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True, capture_output=True)


@pytest.mark.parametrize("left", [8, 24, 40, 52])
def test_a_small_disk_runs_full(small_disk, reference, left):
    """With so many kB left; the ballast away, the run goes on to the same bytes."""
    ballast, folder = small_disk / "ballast", small_disk / "run"
    ballast.write_bytes(bytes((96 - left) * 1024))
    with pytest.raises(CheckpointError, match=r"No space left on device.*run;.*make room there"):
        tiny.run(folder)
    for path in folder.glob("checkpoints/step-*"):
        load(path)
    assert {p.name for p in folder.rglob(".*")} <= {".lock"}, "halves take up no room"
    ballast.unlink()
    result = tiny.run(folder)
    assert result.status == "finished"
    assert tiny.weights(folder) == tiny.weights(reference)
    assert len(result.history) == tiny.TOTAL


# -- clocks ----------------------------------------------------------------------------------------


def test_a_clock_that_goes_backwards(tmp_path, reference, monkeypatch):
    """Weights and choice of checkpoint do not depend on it; the time spent never shrinks."""
    readings = itertools.cycle([50.0, 60.0, 10.0, 61.0, -1e9, 62.0, 0.0])

    class Clock:
        @staticmethod
        def perf_counter() -> float:
            return next(readings)

        time = monotonic = perf_counter

    monkeypatch.setattr(loop, "time", Clock)
    _interrupted(tmp_path)
    for path in sorted((tmp_path / "checkpoints").iterdir()):  # the newest looks the oldest
        for place in (path, *path.iterdir()):
            os.utime(place, (0, 2_000_000_000 - int(path.name[5:])))
    resumed = tiny.At(1, lambda _: None)
    result = tiny.run(tmp_path, objective=resumed)
    assert resumed.calls == tiny.TOTAL - 9, "from the newest by its steps"
    assert tiny.weights(tmp_path) == tiny.weights(reference)
    seconds = result.history.column("seconds")
    assert seconds[0] >= 0
    assert (seconds[1:] >= seconds[:-1]).all()
    assert result.seconds >= seconds[-1] > 0


# -- several runs ----------------------------------------------------------------------------------


@needs_fork
def test_of_several_processes_at_one_moment_one_trains(tmp_path, reference):
    """The others are refused, at once and without a trace."""
    from tests.deep.test_faults import _end, _fork

    started, told = os.pipe()
    waiting, go = os.pipe()
    finished, refused = 11, 12

    def train() -> None:
        class Waiting(tiny.Scale):
            def forward(self, *a, **k):
                if os.read(waiting, 1):  # end of file once the parent has counted
                    raise AssertionError
                return super().forward(*a, **k)

        Waiting.__qualname__ = "Scale"
        os.close(go)
        try:
            tiny.run(tmp_path, objective=Waiting())
        except CheckpointError as error:
            os.write(told, b"r")
            os._exit(refused if "another run is training" in str(error) else 1)
        except BaseException:
            os.write(told, b"x")  # the parent does not wait for a byte that never comes
            raise
        os._exit(finished)

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        children = [_fork(train) for _ in range(4)]
    finally:
        torch.set_num_threads(before)
    os.close(told)
    count = 0
    while count < 3 and os.read(started, 1):
        count += 1
    os.close(go)
    ends = sorted(_end(child) for child in children)
    os.close(started)
    os.close(waiting)
    assert ends == [finished, refused, refused, refused]
    assert tiny.weights(tmp_path) == tiny.weights(reference)
