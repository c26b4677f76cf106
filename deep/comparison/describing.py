"""What records of experiments say about themselves, and where they may be written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from deep._checks import fail
from deep.comparison.record import conditions
from deep.config import ExperimentConfig
from deep.runs import Material

__all__ = ["COMMON_NOTES", "check_output", "conditions_of", "training_in_words"]

COMMON_NOTES = (
    "Seconds are those of the training loop alone, without loading and evaluation.",
    "The conditions are those of the process that wrote this record: networks that it found "
    "trained were not trained again, and their seconds are those of their own training.",
)


def check_output(output: Path) -> None:
    """Make a folder for results, or refuse it before hours are spent.

    Raises
    ------
    InputError
        A folder that cannot be written.
    """
    reason = None
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
    if reason is None and not os.access(output, os.W_OK | os.X_OK):
        reason = "not writable"
    if reason is not None:
        fail("output", f"{str(output)!r} ({reason})", "a folder that can be written",
             "name another")  # fmt: skip


def conditions_of(
    config: ExperimentConfig, material: Material, judged_on: str, *, jobs: int = 1
) -> dict[str, Any]:
    """Hardware, versions, threads, seeds and data of an experiment."""
    fresh = config.data.name == "gaussian"
    train = "fresh samples at every step" if fresh else f"{len(material.split('train'))} samples"
    plan = config.training
    return conditions(
        "torch",
        seeds=list(config.seeds),
        data={"name": config.data.name, "training": train, "judged_on": judged_on},
        device="gpu" if plan.accelerator != "cpu" and torch.cuda.is_available() else "cpu",
        torch_threads=1 if jobs > 1 else plan.threads or torch.get_num_threads(),
        jobs=jobs,
    )


def training_in_words(config: ExperimentConfig) -> str:
    """Learning rates and annealing."""
    rates = config.training.optimiser
    gates = rates.gate_learning_rate
    own = "" if gates is None else f" ({gates:g} for gates and other vectors)"
    return f"learning rate {rates.learning_rate:g}{own}, annealing of beta {config.beta.annealing}"
