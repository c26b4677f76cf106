"""What happened during training: as an object, and as one JSON line per record beside the run."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from deep._checks import fail
from deep.errors import CheckpointError, CheckpointWarning
from deep.training.files import append, disk_errors, is_number, replace_file

__all__ = ["History", "HistoryFile", "Record"]


@dataclass(frozen=True)
class Record:
    """One step in numbers; rate, distortion and loss in nats, averaged over its batch.

    Attributes
    ----------
    step : int
        Steps done, this one included.
    epoch : float
        Passes over the data done.
    loss, rate, distortion : float
    beta_low, beta_mean, beta_high : float
        Smallest, geometric mean and largest weight of the rate in this step.
    learning_rate : float
        Of the weights; gates may have their own.
    gradient_norm : float
        Before clipping.
    seconds : float
        Spent in training so far, interruptions left out.
    """

    step: int
    epoch: float
    loss: float
    rate: float
    distortion: float
    beta_low: float
    beta_mean: float
    beta_high: float
    learning_rate: float
    gradient_norm: float
    seconds: float


@dataclass(frozen=True)
class History(Sequence[Record]):
    """Records in the order of the steps."""

    records: tuple[Record, ...] = ()

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Record, ...]: ...

    def __getitem__(self, index: int | slice) -> Record | tuple[Record, ...]:
        return self.records[index]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def column(self, name: str) -> NDArray[np.float64]:
        """One attribute of all records, shape (records,)."""
        known = [f.name for f in fields(Record)]
        if name not in known:
            fail("column", repr(name), f"one of {', '.join(known)}", "choose one")
        return np.array([getattr(r, name) for r in self.records], dtype=np.float64)

    @classmethod
    def read(cls, path: Path) -> History:
        """Read a file of JSON lines; a last line cut short by a kill is left out.

        Raises
        ------
        CheckpointError
            Any other line that is not a record.
        """
        good, bad = _parse(path)
        if bad:
            fail(str(path), f"{bad} lines that are no records", "one record a line",
                 "restore the file", CheckpointError)  # fmt: skip
        return cls(tuple(good))


class HistoryFile:
    """Records of a run in memory and, with a path, on disk.

    Parameters
    ----------
    path : Path, optional
    step, count : int
        The checkpoint the run goes on from and the records it had then; later ones are dropped.
        A damaged or shortened file is a :class:`CheckpointWarning`: the run goes on with the rest.
    """

    def __init__(self, path: Path | None, *, step: int = 0, count: int = 0) -> None:
        self._records: list[Record] = []
        self._descriptor: int | None = None
        if path is None:
            return
        self._folder = path.parent
        with disk_errors(self._folder):
            self._records = _restore(path, step, count)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def __len__(self) -> int:
        return len(self._records)

    def append(self, record: Record) -> None:
        """Add a record; the line is handed to the system at once."""
        self._records.append(record)
        if self._descriptor is not None:
            with disk_errors(self._folder):
                append(self._descriptor, _line(record))

    def flush(self) -> None:
        """Wait until the lines are on the disk."""
        if self._descriptor is not None:
            with disk_errors(self._folder):
                os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; the records stay readable."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def history(self) -> History:
        """All records so far."""
        return History(tuple(self._records))


def _line(record: Record) -> bytes:
    return json.dumps(asdict(record), allow_nan=False).encode() + b"\n"


def _parse(path: Path) -> tuple[list[Record], int]:
    """Records of a file, and how many lines besides a torn last one are none."""
    lines = path.read_bytes().split(b"\n")
    good: list[Record] = []
    bad = 0
    for line in lines[:-1]:  # what follows the last line end is nothing, or torn
        try:
            record = Record(**json.loads(line))
        except (ValueError, TypeError, RecursionError):
            bad += 1
            continue
        if _is_sound(record):
            good.append(record)
        else:
            bad += 1
    return good, bad


def _is_sound(record: Record) -> bool:
    """Whether it holds what a run writes: a whole number of steps, and finite numbers."""
    return type(record.step) is int and all(map(is_number, vars(record).values()))


def _restore(path: Path, step: int, count: int) -> list[Record]:
    records, bad = _parse(path) if path.exists() else ([], 0)
    kept = [r for r in records if r.step <= step]
    if bad or len(kept) != count:
        warnings.warn(
            f"{path}: got {len(kept)} records up to step {step} and {bad} unreadable lines; "
            f"expected {count} records; the run goes on, its history has a hole",
            CheckpointWarning,
            stacklevel=2,
        )
    data = b"".join(_line(r) for r in kept)
    if path.exists() and data != path.read_bytes():
        replace_file(path, data)
    return kept
