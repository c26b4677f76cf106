"""Whole runs on a device: what one and ten of them take, going on after a stop, reading curves."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from deep.config import ExperimentConfig
from deep.evaluation.curve import LearnedCurve, evaluate_curve
from deep.runs import Material, Run, load_run, train_run

from .gpu_job import MODES, SEED, Job, arithmetic

__all__ = ["AGREEMENT", "cost", "evaluation", "resume"]

# Of rates and distortions at one β read in two ways in float32, relative to their size; of the
# device in float32 and the CPU in float64.
AGREEMENT = {"loop": 1e-4, "float64": 1e-3}
_FLOAT32 = MODES[0]
Keep = Callable[[dict[str, Any]], None]


# --- one run and ten ------------------------------------------------------------------------------


def cost(job: Job, keep: Keep) -> dict[str, Any]:
    """Seconds of one multi-rate run and of the dedicated ones, half of them before it.

    ``keep`` is given what is known after each run.
    """
    config, sizes = job.config, job.sizes
    betas = np.geomspace(*config.reading_range, sizes.dedicated)
    runs: list[tuple[str, ExperimentConfig]] = [
        (f"β = {beta:.4g}", job.plain(float(beta))) for beta in betas
    ]
    runs.insert(len(runs) // 2, ("multi-rate", config))
    _warm_up(job)
    rows: list[dict[str, Any]] = []
    found: dict[str, Any] = {
        "epochs": config.training.epochs,
        "steps": job.material.batches.steps_per_epoch(config.training.batch_size)
        * config.training.epochs,
        "arithmetic": f"{config.training.precision}; PyTorch's defaults, by which convolutions may "
        "round float32 to TF32",
        "checkpoints": "none: the runs are too short for their usual number",
        "order": "half of the dedicated runs, the multi-rate one, the other half",
        "runs": rows,
    }
    for name, settings in runs:
        rows.append({"run": name, **_timed_run(job, settings)})
        keep(found | _ratio(rows, sizes.dedicated))
    return found | _ratio(rows, sizes.dedicated)


def _warm_up(job: Job) -> None:
    """What only the first run of a process pays for."""
    samples = 2 * job.config.training.batch_size
    for change in ({}, {"draw": "constant"}):
        config, material = job.smaller(samples, epochs=2)
        train_run(config.with_changes(beta=change), material, seed=SEED)


def _timed_run(job: Job, config: ExperimentConfig) -> dict[str, Any]:
    job.wait()
    start = time.perf_counter()
    run = train_run(config, job.material, seed=SEED, progress=job.deadline.check)
    job.wait()
    spent = time.perf_counter() - start
    last = _finished(run).history[-1]
    return {
        "seconds": spent,
        "training_seconds": _finished(run).seconds,
        "parameters": run.n_parameters,
        "last_loss": last.loss,
    }


def _finished(run: Run) -> Any:
    """The result of a run; a signal ends the measurement as it ends a training."""
    if run.result is None or run.result.status != "finished":
        raise KeyboardInterrupt
    return run.result


def _ratio(rows: list[dict[str, Any]], wanted: int) -> dict[str, Any]:
    multi = [row["seconds"] for row in rows if row["run"] == "multi-rate"]
    others = [row["seconds"] for row in rows if row["run"] != "multi-rate"]
    found: dict[str, Any] = {
        "dedicated_finished": len(others),
        "multi_rate_seconds": multi[0] if multi else None,
        "dedicated_seconds": sum(others),
    }
    if multi and len(others) == wanted:
        found["dedicated_over_multi_rate"] = sum(others) / multi[0]
        found["multi_rate_over_one_dedicated"] = multi[0] / (sum(others) / wanted)
    return found


# --- going on after a stop ------------------------------------------------------------------------


class _StoppedError(Exception):
    """Raised in the middle of a training, as a crash would be."""


def resume(job: Job) -> dict[str, Any]:
    """A run that breaks off halfway and is resumed, against one that is not disturbed."""
    batch = job.config.training.batch_size
    config, material = job.smaller(10 * batch, epochs=2, checkpoint_every=4)
    with arithmetic(_FLOAT32, deterministic=True), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = train_run(config, material, seed=SEED)
        broke_at = _break_off(config, material, folder)
        went_on = train_run(config, material, seed=SEED, folder=folder, resume=True)
        loaded, _ = load_run(folder)
        result = _finished(went_on)
        difference = _distance(went_on, whole)
        return {
            "broke_off_after_steps": broke_at,
            "steps": result.steps,
            "records": len(result.history),
            "loaded_weights_are_those_trained": _distance(loaded, went_on) == 0,
            "relative_difference_of_weights": difference,
            "bit_for_bit": difference == 0,
            "passed": result.steps == _finished(whole).steps
            and 0 < broke_at < result.steps
            and _distance(loaded, went_on) == 0
            and difference < 1e-2,
        }


def _break_off(config: ExperimentConfig, material: Material, folder: Path) -> int:
    reached = 0

    def watch(done: int, total: int) -> None:
        nonlocal reached
        reached = done
        if 2 * done > total:
            raise _StoppedError

    try:
        train_run(config, material, seed=SEED, folder=folder, progress=watch)
    except _StoppedError:
        return reached
    raise RuntimeError("resume: the run did not break off; expected a progress call in its middle")


def _distance(one: Run, other: Run) -> float:
    """Relative Euclidean distance of all weights."""
    pairs = [
        (a.detach().double().cpu(), b.detach().double().cpu())
        for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True)
    ]
    apart = sum(float((a - b).square().sum()) for a, b in pairs)
    size = sum(float(b.square().sum()) for _, b in pairs)
    return float(np.sqrt(apart / size))


# --- reading a curve ------------------------------------------------------------------------------


def evaluation(job: Job) -> dict[str, Any]:
    """All β's in one pass over the samples, against one pass for each; and against float64."""
    sizes = job.sizes
    held_out = job.material.split("test").tensor()[: sizes.held_out]
    betas = np.geomspace(*job.config.reading_range, sizes.betas)
    with arithmetic(_FLOAT32):
        run = train_run(job.config, job.material, seed=SEED, progress=job.deadline.check)

        def together() -> list[LearnedCurve]:
            return [_read(run, held_out, betas, sizes.pairs)]

        def one_by_one() -> list[LearnedCurve]:
            return [_read(run, held_out, betas[i : i + 1], sizes.pairs) for i in range(len(betas))]

        ways = {"vectorised": together, "loop": one_by_one}
        seconds, curves = _alternating(job, ways)
        few = betas[[0, len(betas) // 2, -1]]
        some = held_out[: min(256, len(held_out))]
        errors = {
            "loop": _difference(curves["vectorised"], curves["loop"]),
            "float64": _difference([_read(run, some, few, sizes.pairs)], [_exact(run, some, few)]),
        }
    rates = curves["vectorised"][0].rate
    medians = {name: float(np.median(spent)) for name, spent in seconds.items()}
    return {
        "betas": len(betas),
        "samples": len(held_out),
        "pairs_in_a_batch": sizes.pairs,
        "trained_epochs": job.config.training.epochs,
        "seconds": seconds,
        "loop_over_vectorised": medians["loop"] / medians["vectorised"],
        "rate_from_to": [float(rates[0]), float(rates[-1])],
        "largest_relative_differences": errors,
        "tolerances": AGREEMENT,
        "passed": all(errors[name] <= AGREEMENT[name] for name in AGREEMENT),
    }


def _read(run: Run, samples: torch.Tensor, betas: NDArray[np.float64], pairs: int) -> LearnedCurve:
    return evaluate_curve(
        run.network, samples, betas, run.objective.likelihood, seed=SEED, batch_size=pairs
    )


def _exact(run: Run, samples: torch.Tensor, betas: NDArray[np.float64]) -> LearnedCurve:
    """The same with float64 on the CPU, which sees the same latents."""
    network = deepcopy(run.network).double().cpu()
    likelihood = deepcopy(run.objective.likelihood).double().cpu()
    return evaluate_curve(network, samples, betas, likelihood, seed=SEED)


def _alternating(
    job: Job, ways: dict[str, Callable[[], list[LearnedCurve]]]
) -> tuple[dict[str, list[float]], dict[str, list[LearnedCurve]]]:
    """Seconds of each way in turns, after one untimed turn, and what they read."""
    curves = {name: way() for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(job.sizes.repeats):
        if turn and job.deadline.passed:
            break
        for name in list(ways)[:: 1 if turn % 2 else -1]:
            job.wait()
            start = time.perf_counter()
            ways[name]()
            job.wait()
            seconds[name].append(time.perf_counter() - start)
    return seconds, curves


def _difference(one: list[LearnedCurve], other: list[LearnedCurve]) -> float:
    """Largest relative difference of rates and distortions, with 1 nat as the least size."""
    worst = 0.0
    for name in ("rate", "distortion"):
        a, b = (np.concatenate([getattr(c, name) for c in curves]) for curves in (one, other))
        worst = max(worst, float((np.abs(a - b) / np.maximum(1.0, np.abs(b))).max()))
    return worst
