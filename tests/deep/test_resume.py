"""Interrupted and resumed, a run is the run it would have been."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from deep.data.batches import TensorBatches
from deep.errors import CheckpointError, CheckpointWarning, ConfigError
from deep.training import checkpoints, devices, steps
from deep.training.loop import fit
from tests.deep import tiny
from tests.deep.tiny import TOTAL


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    return folder, tiny.run(folder)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 11])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_and_resumed_is_the_same_run(tmp_path, reference, step, number):
    folder, whole = reference
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    model = tiny.Tiny()
    result = tiny.run(tmp_path, model=model, objective=tiny.At(step, tiny.raise_signal(number)))
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    assert (result.status, result.steps) == ("interrupted", step)
    assert result.checkpoint == tmp_path / "checkpoints" / f"step-{step:08d}"
    assert tiny.trace(result) == tiny.trace(whole)[:step]
    assert not (tmp_path / "model.safetensors").exists()
    saved = tiny.Tiny()
    checkpoints.load_weights(result.checkpoint, saved)
    assert all(
        torch.equal(a, b) for a, b in zip(saved.parameters(), model.parameters(), strict=True)
    )

    torch.manual_seed(step)  # the state outside must not matter
    wrong_start = tiny.Tiny()
    nn.init.zeros_(wrong_start.first.weight)
    result = tiny.run(tmp_path, model=wrong_start)
    assert (result.status, result.steps) == ("finished", TOTAL)
    assert tiny.weights(tmp_path) == tiny.weights(folder)
    assert tiny.trace(result) == tiny.trace(whole)
    tiny.same_checkpoint(result.checkpoint, whole.checkpoint)
    assert result.seconds >= max(result.history.column("seconds")) > 0
    assert all(np.diff(result.history.column("seconds")) >= 0)


def test_interrupted_at_every_step_is_the_same_run(tmp_path, reference):
    folder, whole = reference
    for step in range(1, TOTAL):
        result = tiny.run(tmp_path, objective=tiny.At(step, tiny.raise_signal(signal.SIGINT)))
        assert (result.status, result.steps) == ("interrupted", step)
    result = tiny.run(tmp_path)
    assert tiny.weights(tmp_path) == tiny.weights(folder)
    assert tiny.trace(result) == tiny.trace(whole)


def test_a_stop_in_the_last_step_is_the_end(tmp_path):
    assert (
        tiny.run(tmp_path, objective=tiny.At(TOTAL, tiny.raise_signal(signal.SIGINT))).status
        == "finished"
    )


def test_interrupted_without_a_folder():
    result = tiny.run(None, objective=tiny.At(3, tiny.raise_signal(signal.SIGINT)))
    assert (result.status, result.steps, result.checkpoint) == ("interrupted", 3, None)


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_the_second_signal_raises_at_once(tmp_path, number, kind):
    def twice(_):
        signal.raise_signal(number)
        signal.raise_signal(number)

    before = signal.getsignal(number)
    with pytest.raises(kind):
        tiny.run(tmp_path, objective=tiny.At(4, twice))
    assert signal.getsignal(number) is before
    assert checkpoints.latest(tmp_path).name == "step-00000002"


def test_ignored_signals_stay_ignored_and_other_threads_need_none(tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        result = tiny.run(tmp_path / "a", objective=tiny.At(2, tiny.raise_signal(signal.SIGINT)))
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.status == "finished"
    found = []
    thread = threading.Thread(target=lambda: found.append(tiny.run(tmp_path / "b")))
    thread.start()
    thread.join()
    assert found[0].status == "finished"
    assert tiny.weights(tmp_path / "a") == tiny.weights(tmp_path / "b")


def test_a_finished_run_is_not_touched_again(tmp_path, reference):
    folder, whole = reference
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    objective, model, seen = tiny.At(1, None), tiny.Tiny(), []
    result = tiny.run(folder, objective=objective, model=model, progress=lambda *a: seen.append(a))
    assert (objective.calls, seen) == (0, [])
    assert (result.status, result.steps) == ("finished", TOTAL)
    assert (result.seconds, result.checkpoint) == (whole.seconds, whole.checkpoint)
    assert result.history == whole.history
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    again = tiny.Tiny()
    checkpoints.load_weights(folder, again)
    assert all(
        torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True)
    )


@pytest.mark.parametrize("name", ["model.safetensors", "result.json"])
def test_a_damaged_end_is_written_again(tmp_path, reference, name):
    folder, _ = reference
    tiny.run(tmp_path)
    (tmp_path / name).write_bytes(b"{}")
    with pytest.warns(CheckpointWarning, match="going on from the newest checkpoint"):
        tiny.run(tmp_path)
    assert tiny.weights(tmp_path) == tiny.weights(folder)
    assert tiny.run(tmp_path).status == "finished"


def test_a_damaged_checkpoint_costs_a_few_steps_and_nothing_else(tmp_path, reference):
    folder, whole = reference
    tiny.run(tmp_path, objective=tiny.At(7, tiny.raise_signal(signal.SIGINT)))
    (tmp_path / "checkpoints" / "step-00000007" / "optimiser.safetensors").write_bytes(b"")
    with pytest.warns(CheckpointWarning, match="going on from step-00000006"):
        result = tiny.run(tmp_path)
    assert tiny.weights(tmp_path) == tiny.weights(folder)
    assert tiny.trace(result) == tiny.trace(whole)


@pytest.mark.parametrize("stop", [5, TOTAL])
def test_another_run_in_the_folder_is_refused(tmp_path, stop):
    tiny.run(
        tmp_path, objective=tiny.At(stop, tiny.raise_signal(signal.SIGINT)), config={"a": {"b": 1}}
    )
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    other = TensorBatches(torch.ones(tiny.SAMPLES, 4) + torch.arange(4.0))
    same = {"config": {"a": {"b": 1}}}
    with pytest.raises(CheckpointError, match=r"holds a run .*resume=True"):
        tiny.run(tmp_path, resume=False, **same)
    for options, message in (
        ({"config": {"a": {"b": 2}}}, "config.a.b was 1, now 2"),
        ({**same, "seed": 12}, "seed was 11, now 12"),
        ({**same, "settings": tiny.plan(5)}, "training.epochs was 4, now 5"),
        ({**same, "model": tiny.Tiny(width=6)}, r"first.weight was 'float32 \[5, 4\]', now"),
        ({**same, "objective": tiny.terms}, "objective_class was 'Scale', now 'terms'"),
    ):
        with pytest.raises(CheckpointError, match=message):
            tiny.run(tmp_path, **options)
    with pytest.raises(CheckpointError, match="samples of the first batch"):
        fit(tiny.Tiny(), tiny.Scale(), other, tiny.plan(), seed=11, folder=tmp_path, resume=True,
            **same)  # fmt: skip
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert tiny.run(tmp_path, **same).status == "finished"


def test_other_versions_are_said(tmp_path, monkeypatch):
    tiny.run(tmp_path, objective=tiny.At(5, tiny.raise_signal(signal.SIGINT)))
    monkeypatch.setattr(devices.torch, "__version__", "9.9")
    with pytest.warns(CheckpointWarning, match="torch was .*, now '9.9'"):
        assert tiny.run(tmp_path).status == "finished"


def test_the_configuration_is_saved_and_must_be_json(tmp_path):
    tiny.run(tmp_path, config={"name": "x", "seeds": (1, 2)})
    assert json.loads((tmp_path / "config.json").read_text()) == {"name": "x", "seeds": [1, 2]}
    with pytest.raises(ConfigError, match="JSON cannot hold"):
        tiny.run(tmp_path / "b", config={"folder": Path()})


def test_looking_less_often_gives_the_same_run(tmp_path, monkeypatch, reference):
    folder, whole = reference
    monkeypatch.setattr(steps, "_LOOK_EVERY", {"cpu": 25})
    result = tiny.run(tmp_path, objective=tiny.At(5, tiny.raise_signal(signal.SIGINT)))
    assert (result.status, result.steps) == ("interrupted", 5)
    result = tiny.run(tmp_path)
    assert tiny.weights(tmp_path) == tiny.weights(folder)
    assert tiny.trace(result) == tiny.trace(whole)
