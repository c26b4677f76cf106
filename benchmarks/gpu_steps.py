"""Training steps on a device: right, how fast, in how much memory, with how many waits."""

from __future__ import annotations

import gc
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deep.config import ExperimentConfig
from deep.objectives.likelihoods import likelihood_from
from deep.objectives.rate import rate
from deep.randomness import generator
from deep.training.devices import launch, part_of
from deep.training.steps import Steps

from .gpu_job import MODES, SEED, Job, Mode, arithmetic

__all__ = ["TOLERANCES", "correctness", "throughput"]

ROOT = Path(__file__).resolve().parents[1]
# Largest relative differences from float64 on the CPU: of the loss, and of gradients as vectors.
TOLERANCES = {
    "float32": {"loss": 1e-5, "gradient": 1e-3},
    "tf32": {"loss": 2e-3, "gradient": 5e-2},
    "bf16": {"loss": 2e-2, "gradient": 2e-1},
}


# --- is it right? ---------------------------------------------------------------------------------


def correctness(job: Job) -> dict[str, Any]:
    """Loss and gradients of one batch in each arithmetic, against float64 on the CPU."""
    network = job.network(job.config)
    _open_gates(network)
    samples = job.material.batches.batch(0, job.config.training.batch_size, SEED).double()
    draws = generator(SEED, "correctness")
    count, span = len(samples), np.log((job.config.beta.low, job.config.beta.high))
    beta = torch.exp(torch.linspace(*span, count, dtype=torch.float64))
    noise = torch.randn(count, int(network.latent_dim), generator=draws, dtype=torch.float64)
    inputs = (samples, beta, noise)
    likelihood = likelihood_from(job.config.likelihood)
    exact = deepcopy(network).double(), deepcopy(likelihood).double()
    reference = _gradients(*exact, inputs, Tensor.backward)
    rows = []
    for mode in MODES:
        if mode.name not in TOLERANCES:
            continue
        found = _on_device(job, mode, network, deepcopy(likelihood), inputs)
        rows.append({"mode": mode.name, **_errors(found, reference, TOLERANCES[mode.name])})
    return {
        "reference": "CPU, float64",
        "loss": reference["loss"].item(),
        "rows": rows,
        "passed": all(row["passed"] for row in rows),
    }


def _open_gates(network: nn.Module) -> None:
    """Slopes other than 0, or every β would be the same one."""
    draws = generator(SEED, "slopes")
    for name, parameter in network.named_parameters():
        if name.endswith("slope"):
            noise = torch.randn(parameter.shape, generator=draws, dtype=parameter.dtype)
            parameter.data.add_(0.3 * noise)


def _on_device(
    job: Job, mode: Mode, network: nn.Module, likelihood: nn.Module, inputs: tuple[Tensor, ...]
) -> dict[str, Tensor]:
    plan = job.config.training.model_copy(update={"precision": mode.precision})
    fabric = launch(plan)
    there = tuple(part.to(fabric.device, torch.float32) for part in inputs)
    with arithmetic(mode):
        module = fabric.setup_module(deepcopy(network))
        return _gradients(module, fabric.to_device(likelihood), there, fabric.backward)


def _gradients(
    network: nn.Module,
    likelihood: nn.Module,
    inputs: tuple[Tensor, ...],
    backward: Callable[[Tensor], Any],
) -> dict[str, Tensor]:
    """Loss, and the gradients of gates and of everything else as one vector each; float64, CPU."""
    samples, beta, noise = inputs
    mean, log_variance, output = network(samples, beta, noise=noise)
    distortion = likelihood.distortion(output, samples)  # type: ignore[operator]
    loss = (distortion + beta * rate(mean, log_variance)).mean()
    backward(loss)
    parts: dict[str, list[Tensor]] = {"gates": [], "weights": []}
    for name, parameter in network.named_parameters():
        if parameter.grad is not None:
            kind = "gates" if ".gates." in name else "weights"
            parts[kind].append(parameter.grad.detach().double().cpu().flatten())
    vectors = {name: torch.cat(found) for name, found in parts.items() if found}
    return {"loss": loss.detach().double().cpu(), **vectors}


def _errors(
    found: dict[str, Tensor], reference: dict[str, Tensor], tolerance: dict[str, float]
) -> dict[str, Any]:
    errors = {
        name: float((found[name] - exact).norm() / exact.norm())
        for name, exact in reference.items()
    }
    allowed = {name: tolerance["loss" if name == "loss" else "gradient"] for name in errors}
    passed = all(errors[name] <= allowed[name] for name in errors)  # NaN fails
    return {"relative_errors": errors, "tolerances": allowed, "passed": passed}


# --- how fast? ------------------------------------------------------------------------------------


def throughput(job: Job, mode: Mode) -> dict[str, Any]:
    """Steps of the plain and of the multi-rate network in turns, and what they take."""
    configs = {"plain": job.plain(), "multi-rate": job.config}
    _forget_compiled(mode)
    with arithmetic(mode):
        networks, rows = {}, {}
        for name, config in configs.items():
            networks[name] = _Stepper(job, config, mode)
            rows[name] = networks[name].prepare()
        times = _interleaved(job, networks)
        if job.on_cuda:
            for name, stepper in networks.items():
                rows[name]["waits_per_step"] = _waits(stepper)
    base, batch = times["plain"], job.config.training.batch_size
    for name, seconds in times.items():
        rows[name] |= _summary(seconds, base, batch)
    del networks
    _release(job)
    return {
        "batch_size": batch,
        "rounds": len(base),
        "steps_per_turn": job.sizes.turn,
        "clock": "CUDA events" if job.on_cuda else "wall",
        "data_seconds_per_step": _data_seconds(job),
        "networks": rows,
    }


class _Stepper:
    """Training steps of one network, one after the other, round the plan again and again."""

    def __init__(self, job: Job, config: ExperimentConfig, mode: Mode) -> None:
        self._job, self._mode = job, mode
        self._before = torch.cuda.memory_allocated(job.device) if job.on_cuda else 0
        self._steps: Steps
        self._steps, self._parameters = job.steps(config, mode)
        self._step = 0

    def __call__(self, count: int) -> None:
        for _ in range(count):
            self._steps.take(self._step % self._steps.total)
            self._steps.look(stop=False, now=False)
            self._step += 1

    def prepare(self) -> dict[str, Any]:
        """Warm up; what that took, how much memory a step takes, how the network was compiled."""
        job = self._job
        _count_afresh(self._mode)
        start = time.perf_counter()
        self(job.sizes.warm_up)
        job.wait()
        found: dict[str, Any] = {"warm_up_seconds": time.perf_counter() - start}
        if self._mode.compiled:
            found["compilation"] = _compilation()
        if job.on_cuda:
            torch.cuda.reset_peak_memory_stats(job.device)
            self(2)
            job.wait()
            found["peak_bytes"] = torch.cuda.max_memory_allocated(job.device) - self._before
        found["parameters"] = self._parameters
        return found


def _interleaved(
    job: Job, networks: dict[str, Callable[[int], None]]
) -> dict[str, NDArray[np.float64]]:
    """Seconds per step, (rounds, 2) each: on the device and on the wall."""
    names = list(networks)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for turn in range(job.sizes.rounds):
        if turn >= 2 and job.deadline.passed:
            break
        for offset in range(len(names)):
            name = names[(turn + offset) % len(names)]
            seconds[name].append(_timed(job, networks[name]))
    return {name: np.array(found) / job.sizes.turn for name, found in seconds.items()}


def _timed(job: Job, steps: Callable[[int], None]) -> tuple[float, float]:
    """Seconds of one turn; without a GPU both are those on the wall."""
    job.wait()
    start = time.perf_counter()
    if not job.on_cuda:
        steps(job.sizes.turn)
        spent = time.perf_counter() - start
        return spent, spent
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    steps(job.sizes.turn)
    last.record()
    torch.cuda.synchronize(job.device)
    return first.elapsed_time(last) / 1e3, time.perf_counter() - start


def _summary(
    seconds: NDArray[np.float64], plain: NDArray[np.float64], batch: int
) -> dict[str, Any]:
    device, wall = seconds.T
    ratio = device / plain[:, 0]
    return {
        "seconds_per_step": _quartiles(device),
        "wall_seconds_per_step": _quartiles(wall),
        "images_per_second": batch / float(np.median(device)),
        "ratio_to_plain": _quartiles(ratio),
    }


def _quartiles(values: NDArray[np.float64]) -> dict[str, float]:
    lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(median), "lower": float(lower), "upper": float(upper)}


def _data_seconds(job: Job) -> dict[str, float]:
    """Seconds to choose a batch and bring it to the device: a part of every step."""
    plan = job.config.training
    fabric, batches = launch(plan), job.material.batches
    found = []
    for step in range(job.sizes.warm_up + job.sizes.turn):
        job.wait()
        start = time.perf_counter()
        place = step % batches.steps_per_epoch(plan.batch_size)
        part_of(batches.batch(place, plan.batch_size, SEED), fabric, plan.precision)
        job.wait()
        found.append(time.perf_counter() - start)
    return _quartiles(np.array(found[job.sizes.warm_up :]))


def _waits(steps: Callable[[int], None]) -> dict[str, int]:
    """Where one step makes the processor wait for the GPU, with how often."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            steps(1)
        finally:
            torch.cuda.set_sync_debug_mode(before)
    places = Counter(_place(w) for w in caught if "synchroniz" in str(w.message))
    return dict(places)


def _place(warning: warnings.WarningMessage) -> str:
    path = Path(warning.filename)
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(path.name)
    return f"{name}:{warning.lineno}"


def _forget_compiled(mode: Mode) -> None:
    """Drop what was compiled before: never between two networks that take turns."""
    if mode.compiled:
        import torch._dynamo as dynamo

        dynamo.reset()


def _count_afresh(mode: Mode) -> None:
    if mode.compiled:
        from torch._dynamo.utils import counters

        counters.clear()


def _compilation() -> dict[str, Any]:
    """Graphs the network was cut into, and why; one and no reason is the aim."""
    from torch._dynamo.utils import counters

    reasons = Counter({_first_line(text): n for text, n in counters["graph_break"].items()})
    return {"graphs": int(counters["stats"]["unique_graphs"]), "breaks": dict(reasons)}


def _first_line(text: str) -> str:
    return next(_lines(text), "")


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())


def _release(job: Job) -> None:
    gc.collect()
    if job.on_cuda:
        torch.cuda.empty_cache()
