"""What kills, full disks and damage cost a training: ``python -m benchmarks.faults``.

A small multi-rate network is trained undisturbed once. Then, 200 times, the same training is ended
by SIGKILL at a moment drawn uniformly from its duration, and resumed: its final weights must be
those of the undisturbed run, byte for byte. The same on a small disk in memory that runs full with
ever more room left, where one may be mounted; and every byte of a checkpoint is changed in two
ways, and the files cut to every length: each must be refused, or read as it was written.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deep.config import ExperimentConfig
from deep.errors import CheckpointError
from deep.material import Material
from deep.runs import train_run
from deep.training.checkpoints import Checkpoint, latest, load
from deep.training.history import History

from .record import RESULTS, conditions, write_json

__all__ = ["Training", "damage", "full_disks", "kills", "main"]

SETTINGS: dict[str, Any] = {
    "name": "faults",
    "data": {"name": "digits", "limit": 200},
    "model": {"kind": "mlp", "latent_dim": 2, "hidden": [4]},
    "likelihood": {"kind": "gaussian", "noise_variance": 0.1},
    "beta": {"low": 0.1, "high": 2.0},
    "training": {
        "epochs": 15,
        "batch_size": 50,
        "accelerator": "cpu",
        "threads": 1,
        "checkpoint_every": 4,
        "log_every": 1,
    },
}
PATTERNS = (0x01, 0x55)
_DISK, _REPORTED = 4096, 20  # kB; kills between two lines on the screen


class Training:
    """The training that is disturbed, and what it comes to when it is not.

    Parameters
    ----------
    place : Path
        For the folder of the undisturbed run.
    epochs : int

    Attributes
    ----------
    seconds : float
        Of the undisturbed run in a process of its own, which is how long the others take too.
    """

    def __init__(self, place: Path, epochs: int = SETTINGS["training"]["epochs"]) -> None:
        training = {**SETTINGS["training"], "epochs": epochs}
        self.config = ExperimentConfig(**{**SETTINGS, "training": training})
        self._material = Material(self.config)
        self.folder = place / "undisturbed"
        self.run(place / "first")  # loads the data, and what is imported late
        start = time.perf_counter()
        if _end(_fork(lambda: self.run(self.folder))) != 0:
            raise RuntimeError("the undisturbed run failed")
        self.seconds = time.perf_counter() - start
        self.weights = (self.folder / "model.safetensors").read_bytes()
        self.trace = _trace(self.folder)

    def run(self, folder: Path) -> None:
        """Start, or go on with, the training in a folder."""
        train_run(self.config, self._material, seed=0, folder=folder, resume=True)

    def is_same(self, folder: Path) -> bool:
        """Whether final weights and history but for its times are those of the undisturbed run."""
        same = (folder / "model.safetensors").read_bytes() == self.weights
        return same and _trace(folder) == self.trace

    @property
    def steps(self) -> int:
        """Of the whole training."""
        return self.trace[-1][0]


def _trace(folder: Path) -> list[tuple[Any, ...]]:
    records = History.read(folder / "history.jsonl")
    return [tuple(v for k, v in vars(r).items() if k != "seconds") for r in records]


def _fork(action: Callable[[], None]) -> int:
    """Run an action in a child, which has all modules and data at once."""
    gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
        child = os.fork()
    if child:
        return child
    status = 1
    try:
        action()
        status = 0
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    os._exit(status)


def _end(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _standing(folder: Path) -> tuple[int, int]:
    """Steps in the newest checkpoint, and in the history beyond it."""
    newest, path = latest(folder), folder / "history.jsonl"
    step = 0 if newest is None else load(newest).step
    done = len(path.read_bytes().splitlines()) if path.exists() else 0  # a record a step
    return step, max(0, done - step)


def kills(training: Training, place: Path, count: int, rng: np.random.Generator) -> dict[str, Any]:
    """Kill at random moments and resume; moments at which a run had already ended do not count."""
    rows, late = [], 0
    start = time.perf_counter()
    while len(rows) < count:
        folder = place / f"killed-{len(rows)}-{late}"
        moment = rng.uniform(0, training.seconds)
        child = _fork(lambda folder=folder: training.run(folder))
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
        status = _end(child)
        if status == 0:
            late += 1
            continue
        if status != -signal.SIGKILL:
            raise RuntimeError(f"a run ended by itself with status {status}")
        step, lost = _standing(folder)
        hidden = [p.name for p in folder.rglob(".*") if p.name != ".lock"]
        again = time.perf_counter()
        resumed = _end(_fork(lambda folder=folder: training.run(folder)))
        rows.append({
            "moment_seconds": moment,
            "checkpoint_step": step,
            "lost_steps": lost,
            "left_half_written": hidden,
            "resume_seconds": time.perf_counter() - again,
            "same": resumed == 0 and training.is_same(folder),
        })  # fmt: skip
        if len(rows) % _REPORTED == 0:
            print(f"{len(rows)} kills, {sum(r['same'] for r in rows)} resumed to the same weights")
    return {**_summary(rows, late), "seconds": time.perf_counter() - start, "runs": rows}


def _summary(rows: list[dict[str, Any]], late: int) -> dict[str, Any]:
    return {
        "kills": len(rows),
        "same_weights": sum(r["same"] for r in rows),
        "moments_after_the_end": late,
        "before_the_first_checkpoint": sum(r["checkpoint_step"] == 0 for r in rows),
        "in_the_middle_of_a_write": sum(bool(r["left_half_written"]) for r in rows),
        "lost_steps_largest": max(r["lost_steps"] for r in rows),
        "resume_seconds_median": statistics.median(r["resume_seconds"] for r in rows),
    }


@contextmanager
def _disk(place: Path) -> Iterator[str | None]:
    """Mount a small file system in memory; yields why not where that is not allowed."""
    place.mkdir()
    call = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}k", "tmpfs", str(place)]
    try:
        done = subprocess.run(call, capture_output=True, text=True, check=False)
    except OSError as error:
        yield str(error)
        return
    if done.returncode:
        yield done.stderr.strip() or f"mount ended with {done.returncode}"
        return
    try:
        yield None
    finally:
        subprocess.run(["umount", str(place)], check=True, capture_output=True)


def full_disks(training: Training, place: Path, count: int) -> dict[str, Any]:
    """Let the disk run full with from nothing to the room of a whole run left; then make room."""
    needed = sum(p.stat().st_size for p in training.folder.rglob("*") if p.is_file())
    rows = []
    for left in np.linspace(0, needed, count, dtype=int):
        disk = place / f"disk-{len(rows)}"
        with _disk(disk) as refused:
            if refused is not None:
                return {"disks": 0, "not_measured": refused}
            rows.append(_full(training, disk, int(left)))
    return {
        "disks": count,
        "ran_full": sum(r["message"] is not None for r in rows),
        "same_weights": sum(r["same"] for r in rows),
        "messages": sorted({r["message"] for r in rows if r["message"]}),
        "runs": rows,
    }


def _full(training: Training, disk: Path, left: int) -> dict[str, Any]:
    folder, ballast = disk / "run", disk / "ballast"
    ballast.write_bytes(bytes(_DISK * 1024 - left))
    message = None
    try:
        training.run(folder)
    except CheckpointError as error:  # anything else ends the benchmark
        message = str(error).replace(str(folder), "FOLDER")
    step = _standing(folder)[0] if folder.exists() else 0
    ballast.unlink()
    training.run(folder)
    same = training.is_same(folder)
    return {"left_bytes": left, "message": message, "checkpoint_step": step, "same": same}


def damage(training: Training, place: Path, stride: int = 1) -> dict[str, Any]:
    """Change bytes of a checkpoint's files in two ways, and cut the files at each of them."""
    path = latest(training.folder)
    if path is None:
        raise RuntimeError("the undisturbed run has no checkpoint")
    whole, copy = load(path), place / "damaged"
    copy.mkdir()
    contents = {p.name: p.read_bytes() for p in path.iterdir()}
    for name, data in contents.items():
        (copy / name).write_bytes(data)
    found: Counter[str] = Counter()
    for name, data in contents.items():
        for changed in _damaged(data, stride):
            (copy / name).write_bytes(changed)
            found[_outcome(copy, whole)] += 1
        (copy / name).write_bytes(data)
    sizes = {name: len(data) for name, data in contents.items()}
    return {
        "bytes": sizes,
        "patterns": PATTERNS,
        "stride": stride,
        "damaged": found.total(),
        **found,
    }


def _damaged(data: bytes, stride: int) -> Iterator[bytes]:
    for place in range(0, len(data), stride):
        for pattern in PATTERNS:
            yield data[:place] + bytes([data[place] ^ pattern]) + data[place + 1 :]
        yield data[:place]


def _outcome(path: Path, whole: Checkpoint) -> str:
    try:
        found = load(path)
    except CheckpointError:
        return "refused"
    except Exception as error:
        return f"raised {type(error).__name__}"
    same = (found.step, found.value, found.state) == (whole.step, whole.value, whole.state)
    same = same and found.parts.keys() == whole.parts.keys()
    same = same and all(_equal(found.parts[part], whole.parts[part]) for part in whole.parts)
    return "read_as_written" if same else "read_as_something_else"


def _equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in other)


def main(argv: list[str] | None = None) -> int:
    """Measure, print and record; 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--disks", type=int, default=20)
    parser.add_argument("--stride", type=int, default=1, help="bytes from one changed to the next")
    parser.add_argument("--epochs", type=int, default=SETTINGS["training"]["epochs"])
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--output", type=Path, default=RESULTS / "faults.json")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)  # children of fork must not look for the threads of their parent
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        training = Training(place, options.epochs)
        print(f"undisturbed: {training.steps} steps, {training.seconds:.2f} s", flush=True)
        rng = np.random.default_rng(options.seed)
        record = {
            "experiment": "a small training, killed, on full disks and with damaged checkpoints",
            "command": "python -m benchmarks.faults",
            "conditions": conditions("torch", seed=options.seed),
            "settings": SETTINGS | {"training": training.config.training.model_dump(mode="json")},
            "undisturbed": {"steps": training.steps, "seconds": training.seconds},
            "kills": kills(training, place, options.kills, rng),
            "full_disks": full_disks(training, place, options.disks),
            "damage": damage(training, place, options.stride),
        }
    write_json(options.output, record)
    lost = _losses(record)
    for part in ("kills", "full_disks", "damage"):
        print(part, {k: v for k, v in record[part].items() if k != "runs"})
    print("nothing was lost" if not lost else f"LOST: {'; '.join(lost)}")
    return 1 if lost else 0


def _losses(record: dict[str, Any]) -> list[str]:
    found = []
    for part, total in (("kills", "kills"), ("full_disks", "disks")):
        missing = record[part][total] - record[part].get("same_weights", 0)
        found += [f"{missing} of {part} came to other weights"] * bool(missing)
    every = record["settings"]["training"]["checkpoint_every"]
    if record["kills"]["lost_steps_largest"] > every:
        found.append(f"{record['kills']['lost_steps_largest']} steps, with one saved every {every}")
    other = record["damage"]["damaged"] - sum(
        record["damage"].get(name, 0) for name in ("refused", "read_as_written")
    )
    return found + [f"{other} damaged checkpoints were neither refused nor the same"] * bool(other)


if __name__ == "__main__":
    sys.exit(main())
