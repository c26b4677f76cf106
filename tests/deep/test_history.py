"""The record of a training: exact through the file, tolerant of a torn end."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

pytest.importorskip("torch")

from deep.errors import CheckpointError, CheckpointWarning, InputError
from deep.training.history import History, HistoryFile, Record


def _record(step: int) -> Record:
    return Record(step, step / 3, math.pi * step, 1 / 3, -2.5, 0.1, 0.2, 1e-30, 1e-3, 7.0, 0.01)


def _write(path, steps) -> History:
    file = HistoryFile(path)
    for step in steps:
        file.append(_record(step))
    file.flush()
    file.close()
    return file.history()


def test_the_file_gives_back_the_same_numbers(tmp_path):
    history = _write(tmp_path / "h.jsonl", range(1, 6))
    assert len(history) == 5
    assert history == History.read(tmp_path / "h.jsonl")
    assert history[1] == _record(2)
    assert [r.step for r in history] == [1, 2, 3, 4, 5]
    assert (tmp_path / "h.jsonl").read_bytes().count(b"\n") == 5


def test_columns(tmp_path):
    history = History((_record(1), _record(4)))
    np.testing.assert_array_equal(history.column("step"), [1.0, 4.0])
    np.testing.assert_array_equal(history.column("loss"), [math.pi, 4 * math.pi])
    assert history.column("rate").dtype == np.float64
    with pytest.raises(InputError, match="'accuracy'; expected one of step, epoch"):
        history.column("accuracy")
    with pytest.raises(FrozenInstanceError):
        history.records = ()


def test_in_memory_without_a_path():
    file = HistoryFile(None)
    file.append(_record(1))
    file.flush()
    file.close()
    assert file.history().records == (_record(1),)


def test_later_records_are_dropped_on_resuming(tmp_path):
    path = tmp_path / "h.jsonl"
    _write(path, range(1, 8))
    file = HistoryFile(path, step=4, count=4)
    assert len(file) == 4
    file.append(_record(5))
    file.close()
    assert History.read(path).records == tuple(map(_record, range(1, 6)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["h.jsonl"]


@pytest.mark.parametrize("torn", [b"{", b'{"step": 5, "epoch"', b'{"step": 5}'])
def test_a_torn_last_line_is_removed_without_a_word(tmp_path, torn):
    path = tmp_path / "h.jsonl"
    _write(path, range(1, 5))
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert len(History.read(path)) == 4
    file = HistoryFile(path, step=4, count=4)
    file.close()
    assert path.read_bytes() == whole


def test_a_hole_is_said(tmp_path):
    path = tmp_path / "h.jsonl"
    _write(path, range(1, 5))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"garbage\n" + b"".join(lines[2:]))
    with pytest.raises(CheckpointError, match="1 lines that are no records"):
        History.read(path)
    with pytest.warns(CheckpointWarning, match=r"3 records up to step 4 and 1 unreadable"):
        file = HistoryFile(path, step=4, count=4)
    file.close()
    assert [r.step for r in History.read(path)] == [1, 3, 4]


def test_a_missing_file_is_said_when_there_should_be_one(tmp_path):
    with pytest.warns(CheckpointWarning, match="got 0 records"):
        HistoryFile(tmp_path / "h.jsonl", step=4, count=4).close()
    HistoryFile(tmp_path / "new.jsonl").close()  # a new run says nothing
