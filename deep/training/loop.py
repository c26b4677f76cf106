"""The training loop: one function of model, objective, batches, plan and seed.

Samples, draws and learning rate are functions of the step, and nothing else is random. So a run
that was interrupted, killed or moved goes on from its last checkpoint to the weights, bit for bit
on a CPU, that it would have reached undisturbed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import nn

from deep._checks import fail
from deep.config import TrainingConfig
from deep.data.batches import Batches
from deep.objectives.base import Objective
from deep.training import checkpoints
from deep.training.devices import (
    agreed,
    check_precision,
    kept_random_state,
    launch,
    thread_count,
    versions,
)
from deep.training.files import disk_errors, locked, make_folder
from deep.training.history import History, HistoryFile
from deep.training.run_folder import RunFolder, identity
from deep.training.signals import StopRequest
from deep.training.steps import Steps
from deep.training.tensorboard import Curves

__all__ = ["FitResult", "fit"]

Status = Literal["finished", "interrupted"]
Validate = Callable[[nn.Module], float]
Progress = Callable[[int, int], None]

# How often a run calls back, saves and records unless told otherwise.
_CALLS, _CHECKPOINTS, _RECORDS = 100, 20, 200


@dataclass(frozen=True, eq=False)
class FitResult:
    """What a training came to; the trained weights are in the model itself.

    Attributes
    ----------
    history : History
        Of the whole run, the parts before interruptions included.
    steps : int
        Steps done.
    status : "finished" or "interrupted"
    seconds : float
        Spent in training, interruptions left out.
    checkpoint : Path or None
        The newest.
    """

    history: History
    steps: int
    status: Status
    seconds: float
    checkpoint: Path | None


def fit(
    model: nn.Module,
    objective: Objective,
    batches: Batches,
    plan: TrainingConfig,
    *,
    seed: int,
    folder: Path | None = None,
    resume: bool = False,
    config: dict[str, Any] | None = None,
    validate: Validate | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Train a model in place with Adam or AdamW.

    Parameters
    ----------
    model : nn.Module
        As :class:`deep.networks.base.VAENetwork`. Several devices call it through its forward, once
        a step.
    objective : Objective
        Its parameters, when it is a module with some, are trained and saved as well.
    batches : Batches
        With several devices each takes its share of the batch, so the batch is the same for any
        number of them; the draws are not.
    plan : TrainingConfig
    seed : int
        Of everything random, >= 0. torch's own random state is set from it before each step, for
        dropout, and given back in the end. Networks must not use other random numbers.
    folder : Path, optional
        For checkpoints, history and final weights; without one nothing is written.
    resume : bool
        Go on from the newest checkpoint in the folder; start when there is none; return at once
        when the run is finished.
    config : dict, optional
        Saved as ``config.json``. What determines the training: a change forbids resuming.
    validate : callable(model) -> float, optional
        Lower is better. Called in evaluation mode and without gradients at every planned
        checkpoint; the checkpoint with the lowest value is kept.
    progress : callable(done, total), optional
        Called about a hundred times.

    Returns
    -------
    FitResult
        "interrupted" after Ctrl-C or SIGTERM: the step is finished and a checkpoint saved. A second
        signal raises at once.

    Raises
    ------
    DivergenceError
        A loss or gradient that is not finite, or a loss that runs away. Weights that are not
        finite never reach a checkpoint.
    CheckpointError
        A folder that holds another run, is in use or cannot be written.
    ConfigError
        A plan this machine or model cannot follow.
    """
    if seed < 0:
        fail("seed", seed, "an integer >= 0", "choose one")
    check_precision(model, plan.precision)
    fabric = launch(plan)
    with ExitStack() as stack:
        stack.enter_context(thread_count(plan.threads))
        stack.enter_context(kept_random_state(fabric.device))
        stop = stack.enter_context(StopRequest())
        stack.enter_context(_training_mode(model))
        run = _Run(fabric, plan, Steps(fabric, model, objective, batches, plan, seed), stack)
        if folder is not None:
            what = identity(model, objective, batches, plan, seed, config)
            run.open(RunFolder(Path(folder), what, batches, plan, seed), resume)
        if run.is_finished:
            return run.outcome("finished")
        check = None if validate is None else _quietly(validate, model)
        return run.outcome(run.train(stop, check, progress))


class _Run:
    """One call of :func:`fit`: its steps, its files and where it stands."""

    def __init__(
        self, fabric: Fabric, plan: TrainingConfig, steps: Steps, stack: ExitStack
    ) -> None:
        self._fabric, self._plan, self._steps, self._stack = fabric, plan, steps, stack
        self._first = fabric.global_rank == 0
        self._folder: RunFolder | None = None
        self._history = HistoryFile(None)
        self._done, self._spent = 0, 0.0
        self.is_finished = False

    def open(self, folder: RunFolder, resume: bool) -> None:
        """Take the folder and, where there is something to go on from, its state."""
        self._folder = folder
        found = versions(self._fabric.device)

        def begin() -> tuple[Path | None, dict[str, Any] | None]:
            with disk_errors(folder.path):
                make_folder(folder.path)
            self._stack.enter_context(locked(folder.path))
            checkpoint, result = folder.begin(resume=resume, versions=found)
            return checkpoint.path if checkpoint else None, result

        path, result = agreed(self._fabric, begin)
        records = 0
        if result is not None:
            self._steps.put_weights(folder.weights(result), str(folder.path))
            self._done, self._spent, records = (result[k] for k in ("steps", "seconds", "records"))
            self._steps.checkpoint = checkpoints.latest(folder.path)
            self.is_finished = True
        elif path is not None:
            checkpoint = checkpoints.load(path)
            self._steps.restore(checkpoint)
            self._done, self._steps.checkpoint = checkpoint.step, path
            self._spent, records = (checkpoint.state[k] for k in ("seconds", "records"))
        if self._first:
            self._history = HistoryFile(folder.history_path, step=self._done, count=records)
            self._stack.callback(self._history.close)

    def train(
        self, stop: StopRequest, validate: Callable[[], float] | None, progress: Progress | None
    ) -> Status:
        """Go from where the run stands to the end, or to a request to stop."""
        plan, steps, total = self._plan, self._steps, self._steps.total
        save_every = plan.checkpoint_every or max(1, total // _CHECKPOINTS)
        record_every = plan.log_every or max(1, total // _RECORDS)
        call_every = max(1, total // _CALLS)
        curves = self._curves()
        clock = time.perf_counter() - self._spent
        for step in range(self._done, total):
            steps.take(step)
            done = step + 1
            last = done == total
            recorded = done % record_every == 0 or last
            planned = done % save_every == 0 or last
            stopping = steps.look(stop=stop.made, now=recorded or planned)
            # A clock set back costs the seconds it lost; the time spent never shrinks.
            self._done, self._spent = done, max(self._spent, time.perf_counter() - clock)
            if recorded:
                record = steps.record(step, self._spent)
                self._history.append(record)
                if curves is not None:
                    curves.add(record)
            if planned or stopping:
                self._save(validate if planned else None)
            if progress is not None and self._first and (done % call_every == 0 or last):
                progress(done, total)
            if stopping and not last:
                return "interrupted"
        self._finish()
        return "finished"

    def outcome(self, status: Status) -> FitResult:
        """Sum up."""
        return FitResult(
            self._history.history(), self._done, status, self._spent, self._steps.checkpoint
        )

    def _curves(self) -> Curves | None:
        if not (self._plan.tensorboard and self._first):
            return None
        curves = Curves(None if self._folder is None else self._folder.path, self._done)
        self._stack.callback(curves.close)
        return curves

    def _save(self, validate: Callable[[], float] | None) -> None:
        folder = self._folder
        if folder is None:
            return
        parts = self._steps.weights()
        parts["optimiser"] = self._steps.optimiser_state()

        def write() -> Path:
            value = math.nan if validate is None else float(validate())
            self._history.flush()
            state = {
                "seconds": self._spent,
                "records": len(self._history),
                "watch": self._steps.memory(),
                "versions": versions(self._fabric.device),
                **folder.kept(),
            }
            return checkpoints.save(
                folder.path,
                self._done,
                parts,
                state,
                value=value if math.isfinite(value) else None,
                keep_last=self._plan.keep_last,
            )

        self._steps.checkpoint = agreed(self._fabric, write)

    def _finish(self) -> None:
        folder = self._folder
        if folder is None:
            return
        parts = self._steps.weights()

        def write() -> None:
            folder.finish(parts, self._done, self._spent, len(self._history))

        agreed(self._fabric, write)


@contextmanager
def _training_mode(model: nn.Module) -> Iterator[None]:
    before = model.training
    model.train()
    try:
        yield
    finally:
        model.train(before)


def _quietly(validate: Validate, model: nn.Module) -> Callable[[], float]:
    def check() -> float:
        model.eval()
        try:
            with torch.no_grad():
                return validate(model)
        finally:
            model.train()

    return check
