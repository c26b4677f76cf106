"""Tasks for tests of processes side by side; other processes import this module."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from deep.comparison.jobs import run_tasks
from deep.errors import InputError, RunInterruptedError
from deep.training.signals import StopRequest


@dataclass(frozen=True)
class Square:
    """Says who it is."""

    number: int
    name: str = "square"

    def __call__(self, materials, progress):
        import torch

        progress(1, 2)
        threads = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
        return self.number**2, os.getpid(), threads


@dataclass(frozen=True)
class Wait:
    """Works until it is asked to stop, as a training does."""

    folder: Path
    name: str = "wait"

    def __call__(self, materials, progress):
        with StopRequest() as stop:
            progress(1, 2)
            while not stop.made:
                os.sched_yield()
        (self.folder / f"saved-{os.getpid()}").touch()
        raise RunInterruptedError(str(self.folder))


@dataclass(frozen=True)
class Fail:
    """Ends in a way of its own."""

    how: str
    name: str = "seed-0/beta-1"

    def __call__(self, materials, progress):
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "refused":
            raise InputError("data: got nothing; expected something; look")
        raise ZeroDivisionError("a bug")


if __name__ == "__main__":  # a parent that the test kills

    def heard(done: float, total: int) -> None:
        if done == 1.0:  # two halves: both are at work
            os.kill(os.getpid(), signal.SIGKILL)

    here = Path(sys.argv[1])
    run_tasks([Wait(here), Wait(here)], jobs=2, progress=heard)
