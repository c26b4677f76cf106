"""Runs side by side: results in order, and no process outlives the one that started it."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep.comparison.jobs import Materials, _done, check_jobs, run_tasks
from deep.comparison.plans import plan_runs
from deep.config import ExperimentConfig
from deep.errors import ConfigError, InputError, RunInterruptedError
from tests.deep.tiny_tasks import Fail, Square, Wait

ROOT = Path(__file__).resolve().parents[2]
DATA = {"name": "file", "path": "rows.npy"}
CONFIG = ExperimentConfig.model_validate({
    "name": "long",
    "data": DATA,
    "model": {"kind": "mlp", "latent_dim": 2, "hidden": [8]},
    "training": {"epochs": 5000, "batch_size": 16, "accelerator": "cpu", "checkpoint_every": 10**9},
    "dedicated": {"points": 1, "also_annealed": "linear"},
})  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_is_left():
    yield
    assert multiprocessing.active_children() == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def interrupt_once():
    """Ctrl-C at the first sign of progress; a second one would end everything at once."""
    pressed = []

    def progress(done, total):
        if done > 0 and not pressed:
            pressed.append(True)
            signal.raise_signal(signal.SIGINT)

    return progress


@pytest.mark.slow
def test_results_come_in_the_order_of_the_tasks():
    tasks, before, seen = [Square(n) for n in range(5)], dict(os.environ), []
    found = run_tasks(tasks, jobs=2, progress=lambda *now: seen.append(now))
    assert [value for value, _, _ in found] == [0, 1, 4, 9, 16]
    assert {threads for _, _, threads in found} == {(1, "1")}
    assert os.getpid() not in {process for _, process, _ in found}
    assert dict(os.environ) == before
    assert seen[-1] == (5, 5)
    here = run_tasks(tasks, progress=lambda *now: seen.append(now))
    assert [value for value, _, _ in here] == [0, 1, 4, 9, 16]
    assert {process for _, process, _ in here} == {os.getpid()}
    assert seen[-2:] == [(4.5, 5), (5, 5)]


@pytest.mark.slow
def test_a_refusal_stops_the_others_and_is_raised(tmp_path):
    with pytest.raises(InputError, match="data: got nothing"):
        run_tasks([Wait(tmp_path), Fail("refused"), Wait(tmp_path)], jobs=2)
    assert len(list(tmp_path.glob("saved-*"))) <= 1


@pytest.mark.slow
def test_a_process_that_is_killed_is_named():
    with pytest.raises(InputError, match=r"code -9 at seed-0/beta-1; .* fewer side by side"):
        run_tasks([Fail("killed"), Square(1)], jobs=2)


def test_what_a_process_sends_back_of_an_error():
    """Errors that are foreseen as they are, others with the place where they happened."""
    kind, error = _done(Fail("refused"), Materials(), None)
    assert (kind, type(error)) == ("failed", InputError)
    assert str(error) == "data: got nothing; expected something; look"
    kind, error = _done(Fail("broken"), Materials(), None)
    assert (kind, type(error)) == ("failed", RuntimeError)
    assert re.search("(?s)seed-0/beta-1: Traceback.*ZeroDivisionError: a bug", str(error))


@pytest.mark.slow
def test_trainings_are_saved_when_stopped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", np.random.default_rng(0).random((80, 4)))
    plans = plan_runs(CONFIG, tmp_path)[:2]
    with pytest.raises(RunInterruptedError):
        run_tasks([*plans, *plans], jobs=2, progress=interrupt_once())
    # Asked twice, a training stops at once and saves nothing.
    saved = list(tmp_path.glob("seed-0/*/checkpoints/step-*"))
    assert saved, "checkpoints are made at the end alone unless a run is stopped"
    assert not list(tmp_path.glob("seed-0/*/result.json"))


@pytest.mark.slow
def test_processes_end_when_their_parent_is_killed(tmp_path):
    """They hold its standard output: it ends when the last of them does."""
    command = [sys.executable, "-m", "tests.deep.tiny_tasks", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_threads_and_devices_are_one_each():
    check_jobs(1, [CONFIG.with_changes(training={"threads": 4})])
    check_jobs(2, [CONFIG, CONFIG.with_changes(training={"threads": 1})])
    for jobs, change, match in (
        (2, {"threads": 2}, "training.threads=1"),
        (2, {"devices": 2}, "one device"),
        (0, {}, ">= 1"),
    ):
        with pytest.raises(ConfigError, match=match):
            check_jobs(jobs, [CONFIG, CONFIG.with_changes(training=change)])


def test_data_are_loaded_once_for_networks_of_one_shape():
    materials = Materials()
    one = materials.of(CONFIG)
    assert materials.of(CONFIG.with_changes(beta={"draw": "constant"})) is one
    assert materials.of(CONFIG.with_changes(model={"latent_dim": 1})) is one
    assert materials.of(CONFIG.with_changes(training={"precision": "64-true"})) is not one
