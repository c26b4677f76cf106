"""Runs of an experiment one after the other, or side by side in processes of one thread each.

Every process trains whole runs, so that a run comes out as it would alone. The processes end with
the one that started them, however that ends. A request to stop (Ctrl-C, SIGTERM) is passed on to
each of them once: it saves its run after the step it is at.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import torch

from deep._checks import fail
from deep.config import ExperimentConfig
from deep.errors import ConfigError, DivergenceError, InputError, RunInterruptedError
from deep.runs import Material, Run, train_run
from deep.training.signals import StopRequest

__all__ = ["Materials", "Progress", "Task", "check_jobs", "run_tasks", "trained_run"]

Progress = Callable[[float, int], None]  # runs done, the begun ones in part; of how many
_Steps = Callable[[int, int], None]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_POLL = 0.2  # seconds between looks at a request to stop
_FAREWELL = 30.0  # seconds that a process without work may take to end


@dataclass(frozen=True)
class Materials:
    """Data of several settings, each loaded once in a process."""

    _kept: dict[str, Material] = field(default_factory=dict, repr=False, compare=False)

    def of(self, config: ExperimentConfig) -> Material:
        """The data that these settings train and judge on."""
        data = json.dumps(config.data.model_dump())
        if data not in self._kept:
            self._kept[data] = Material(config)
        shape = json.dumps([data, config.model.kind, config.training.precision])
        if shape not in self._kept:
            self._kept[shape] = self._kept[data].suited(config)
        return self._kept[shape]


class Task(Protocol):
    """What a process is given: it can be pickled, and so can its result."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    def __call__(self, materials: Materials, progress: _Steps) -> Any:
        """Do it; ``progress(done, total)`` may be called at any time."""
        ...


def trained_run(
    config: ExperimentConfig, materials: Materials, *, seed: int, folder: Path, progress: _Steps
) -> Run:
    """Train a run, or load it if it is finished.

    Raises
    ------
    RunInterruptedError
        After a request to stop; what was done is saved.
    """
    run = train_run(config, materials.of(config), seed=seed, folder=folder, resume=True,
                    progress=progress)  # fmt: skip
    if run.result is not None and run.result.status == "interrupted":
        raise RunInterruptedError(str(folder))
    return run


def check_jobs(jobs: int, settings: Sequence[ExperimentConfig]) -> None:
    """Refuse processes side by side for runs that want several threads or devices each."""
    if jobs < 1:
        fail("--jobs", jobs, "an integer >= 1", "1 trains one run after the other", ConfigError)
    if jobs == 1:
        return
    for config in settings:
        plan = config.training
        if plan.threads not in (None, 1) or plan.devices > 1:
            fail("--jobs", f"{jobs} with training.threads = {plan.threads} and training.devices = "
                 f"{plan.devices}", "one thread and one device for each process",
                 "set training.threads=1, or leave --jobs out", ConfigError)  # fmt: skip


def run_tasks(
    tasks: Sequence[Task],
    *,
    jobs: int = 1,
    materials: Materials | None = None,
    progress: Progress | None = None,
) -> list[Any]:
    """Do all tasks and return their results in the order of the tasks.

    Parameters
    ----------
    tasks : sequence of Task
    jobs : int
        Processes; 1: in this one.
    materials : Materials, optional
        Data already loaded here; other processes load their own.
    progress : callable(done, total), optional
        Numbers of tasks; those under way count in part.

    Raises
    ------
    RunInterruptedError
        After Ctrl-C or SIGTERM; the runs under way are saved.
    InputError, DivergenceError
        Of a task. The others stop after their step and are saved. A process that is killed by
        something else counts as an InputError.
    """
    report = progress or (lambda *_: None)
    if jobs > 1 and len(tasks) > 1:
        return _Pool(tasks, min(jobs, len(tasks)), report).results()
    kept = materials or Materials()
    found = []
    for number, task in enumerate(tasks):
        found.append(task(kept, _part_of(report, number, len(tasks))))
        report(number + 1, len(tasks))
    return found


def _part_of(report: Progress, number: int, total: int) -> _Steps:
    return lambda done, steps: report(number + done / steps, total)


# --- the process that gives out the work ---------------------------------------------------------


class _Worker:
    """One process and the line to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other,), daemon=True)
        self.task: int | None = None
        self.share = 0.0  # of the task that is done
        with _for_children():
            self.process.start()
        other.close()

    def give(self, number: int, task: Task) -> None:
        self.task, self.share = number, 0.0
        with suppress(OSError):  # a process that is gone is found out when it is listened to
            self.line.send(task)

    def end(self) -> None:
        """Let a process without work end by itself; end any other."""
        self.line.close()
        if self.task is None:
            self.process.join(_FAREWELL)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.process.close()


class _Pool:
    """Processes that take the next task whenever they are done with one."""

    def __init__(self, tasks: Sequence[Task], jobs: int, report: Progress) -> None:
        self._tasks, self._jobs, self._report = tasks, jobs, report
        self._found: dict[int, Any] = {}
        self._waiting = list(range(len(tasks)))
        self._workers: list[_Worker] = []
        self._error: Exception | None = None

    def __enter__(self) -> _Pool:
        for _ in range(self._jobs):
            self._workers.append(_Worker())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.end()

    def results(self) -> list[Any]:
        with StopRequest() as stop, self:
            asked = False
            while self._advance(stop):
                if (stop.made or self._error) and not asked:
                    asked = True
                    self._ask_to_stop()
            if self._error is not None:
                raise self._error
            if len(self._found) < len(self._tasks):
                raise RunInterruptedError("what was done")
        return [self._found[number] for number in range(len(self._tasks))]

    def _advance(self, stop: StopRequest) -> bool:
        """Give out work, hear what is new; False when nothing is under way."""
        if not (stop.made or self._error):
            for worker in self._workers:
                if worker.task is None and self._waiting:
                    number = self._waiting.pop(0)
                    worker.give(number, self._tasks[number])
        busy = {worker.line: worker for worker in self._workers if worker.task is not None}
        for line in connection.wait(list(busy), timeout=_POLL):
            self._hear(busy[line], stopping=stop.made or self._error is not None)  # type: ignore[index]
        return bool(busy)

    def _ask_to_stop(self) -> None:
        for worker in self._workers:
            if worker.task is not None:
                worker.process.terminate()

    def _hear(self, worker: _Worker, *, stopping: bool) -> None:
        number = worker.task
        assert number is not None
        try:
            kind, content = worker.line.recv()
        except (EOFError, OSError):
            worker.task = None
            if not stopping:
                self._error = _killed(worker, self._tasks[number].name)
            return
        if kind == "progress":
            worker.share = content
        else:
            worker.task = None
            if kind == "done":
                self._found[number] = content
            elif not isinstance(content, RunInterruptedError) or not stopping:
                self._error = self._error or content
        begun = sum(w.share for w in self._workers if w.task is not None)
        self._report(len(self._found) + begun, len(self._tasks))


def _killed(worker: _Worker, name: str) -> InputError:
    worker.process.join(_FAREWELL)
    return InputError(
        f"--jobs: got a process that ended with code {worker.process.exitcode} at {name}; expected "
        "it to finish; if memory was short, run fewer side by side: the same command goes on"
    )


@contextmanager
def _for_children() -> Iterator[None]:
    """What a new process inherits: one thread, and Ctrl-C left to the process that starts it."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    here = threading.current_thread() is threading.main_thread()
    former = signal.signal(signal.SIGINT, signal.SIG_IGN) if here else None
    try:
        yield
    finally:
        if former is not None:
            signal.signal(signal.SIGINT, former)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# --- the processes that do it --------------------------------------------------------------------


def _serve(line: connection.Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to every process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    materials = Materials()
    while True:
        try:
            task = line.recv()
        except EOFError:
            return
        line.send(_done(task, materials, line))


def _done(task: Task, materials: Materials, line: connection.Connection) -> tuple[str, Any]:
    def progress(done: int, total: int) -> None:
        line.send(("progress", done / total))

    try:
        return "done", task(materials, progress)
    except (InputError, DivergenceError, RunInterruptedError) as error:
        return "failed", type(error)(*error.args)
    except Exception:
        return "failed", RuntimeError(f"{task.name}: {traceback.format_exc()}")


def _end_with_parent() -> None:
    """End at once when the parent is gone: checkpoints are whole at any moment."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
