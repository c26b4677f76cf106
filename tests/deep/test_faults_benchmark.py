"""The benchmark of faults runs small, writes what it found, and says when something is lost."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch")

from benchmarks import faults

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_it_runs_small_and_counts(tmp_path, capsys):
    output = tmp_path / "faults.json"
    options = ["--kills", "1", "--disks", "0", "--stride", "500", "--epochs", "2"]
    assert faults.main([*options, "--output", str(output)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing was lost"
    record = json.loads(output.read_text(encoding="utf-8"))
    assert record["undisturbed"]["steps"] == 8
    kills = record["kills"]
    assert (kills["kills"], kills["same_weights"], len(kills["runs"])) == (1, 1, 1)
    assert kills["lost_steps_largest"] <= 4
    assert all(0 <= r["moment_seconds"] <= record["undisturbed"]["seconds"] for r in kills["runs"])
    damaged = record["damage"]
    assert damaged["refused"] + damaged.get("read_as_written", 0) == damaged["damaged"] > 50
    assert "seed" in record["conditions"]

    for part, name, value in (
        ("kills", "same_weights", 0),
        ("kills", "lost_steps_largest", 5),
        ("full_disks", "disks", 3),
        ("damage", "refused", damaged["refused"] - 1),
    ):
        worse = copy.deepcopy(record)
        worse[part][name] = value
        assert len(faults._losses(worse)) == 1, (part, name)


def test_other_weights_are_noticed(tmp_path):
    """A run that came to other weights, or to another history, is not the undisturbed one."""
    training = faults.Training(tmp_path, epochs=1)
    assert training.is_same(training.folder)
    path = training.folder / "history.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"step": 1,', b'"step": 0,', 1))
    assert not training.is_same(training.folder)
    path.write_bytes(whole)
    path = training.folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert not training.is_same(training.folder)
