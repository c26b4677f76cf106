"""A comparison without a known optimum: one network for all β against the alternatives.

The multi-rate network, its variants, and the β-VAEs trained for one β each, with β constant and
annealed, all of them for as many epochs and judged on the same samples with the same noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep.comparison.describing import (
    COMMON_NOTES,
    check_output,
    conditions_of,
    training_in_words,
)
from deep.comparison.image_quality import measure_images
from deep.comparison.jobs import Materials, Progress, check_jobs, run_tasks
from deep.comparison.method_curves import TABLES, MethodCurves
from deep.comparison.methods_check import save_methods
from deep.comparison.methods_figure import save_pictures
from deep.comparison.methods_record import methods_record
from deep.comparison.plans import PlannedRun, Reading, plan_runs
from deep.comparison.published import published_for
from deep.comparison.reference import Reference, linear_reference
from deep.config import ExperimentConfig
from deep.runs import Material, dedicated_settings
from deep.settings import as_plain

__all__ = ["curves_of", "run_methods"]

FloatArray = NDArray[np.float64]

_LARGEST_SPECTRUM = 4096  # features up to which the linear optimum is drawn beside


def run_methods(
    config: ExperimentConfig,
    *,
    runs: Path,
    output: Path,
    command: str,
    jobs: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train what is not trained yet, compare, and write ``NAME.json`` and its pictures.

    Parameters
    ----------
    config : ExperimentConfig
        Of a multi-rate network, with its variants and dedicated networks.
    runs : Path
        Folder of the runs, ``NAME/seed-S/…`` below it; finished ones are not trained again.
    output : Path
    command : str
        That makes the record; written into it.
    jobs : int
        Processes that train and read whole runs side by side, each with one thread.
    progress : callable, optional

    Returns
    -------
    dict
        The record of :mod:`deep.comparison.methods_record`.

    Raises
    ------
    ConfigError
        As :func:`deep.comparison.plans.plan_runs`, or jobs for runs of several threads.
    InputError, DivergenceError, RunInterruptedError
        As :func:`deep.comparison.jobs.run_tasks`.
    """
    check_output(output)
    plans = plan_runs(config, runs / config.name)
    check_jobs(jobs, [plan.settings for plan in plans])
    materials = Materials()
    material = materials.of(config)
    test = material.split("test").spread(config.evaluation.limit)  # fails before hours are spent
    reference = _reference(config, material)
    readings = run_tasks(plans, jobs=jobs, materials=materials, progress=progress)
    quality = measure_images(config, plans, materials)
    span = test.data_range
    record = methods_record(
        experiment=config.title or config.name,
        command=command,
        config=as_plain(config),
        conditions=conditions_of(config, material, f"{len(test)} held-out samples", jobs=jobs),
        methods=curves_of(plans, readings, config),
        n_samples=len(test),
        n_features=math.prod(test.sample_shape),
        data_range=None if span is None else span[1] - span[0],
        zero=_zero(config, math.prod(test.sample_shape)),
        reference=reference,
        published=published_for(config),
        quality=None if quality is None else quality.as_plain(),
        notes=_notes(config, jobs),
    )
    save_methods(output / f"{config.name}.json", record)
    save_pictures(output / f"{config.name}.png", record)
    if quality is not None:
        quality.save(output / f"{config.name}.png")
    return record


def curves_of(
    plans: Sequence[PlannedRun], readings: Sequence[Reading], config: ExperimentConfig
) -> list[MethodCurves]:
    """Collect the readings of each method; dedicated networks of one seed make one curve."""
    by_method: dict[str, dict[int, list[tuple[PlannedRun, Reading]]]] = {}
    for plan, reading in zip(plans, readings, strict=True):
        of_seed = by_method.setdefault(plan.method, {})
        of_seed.setdefault(plan.seed, []).append((plan, reading))
    return [_curves(name, of_seed, config) for name, of_seed in by_method.items()]


def _curves(
    name: str, of_seed: dict[int, list[tuple[PlannedRun, Reading]]], config: ExperimentConfig
) -> MethodCurves:
    found = {seed: [reading for _, reading in pairs] for seed, pairs in of_seed.items()}

    def table(column: str) -> FloatArray:
        return np.array(
            [np.concatenate([getattr(r.curve, column) for r in row]) for row in found.values()]
        )

    plan, first = next(iter(of_seed.values()))[0]
    return MethodCurves(
        name=name,
        kind=plan.kind,
        seeds=tuple(found),
        betas=table("betas")[0],
        **{column: table(column) for column in TABLES if column != "active_units"},
        active_units=np.array(
            [np.concatenate([r.active_units for r in row]) for row in found.values()], dtype=float
        ),
        objective_se=table("objective_se"),
        seconds=np.array([sum(r.seconds for r in row) for row in found.values()]),
        runs=len(next(iter(found.values()))),
        parameters=first.parameters,
        steps=first.steps,
        changes=config.variants.get(name, {}),
    )


def _zero(config: ExperimentConfig, n_features: int) -> float:
    """Objective of a perfect model at rate 0, nats: what the units of a density leave."""
    if config.likelihood.kind != "gaussian":
        return 0.0
    return n_features / 2 * math.log(2 * math.pi * config.likelihood.noise_variance)


def _reference(config: ExperimentConfig, material: Material) -> Reference | None:
    """The optimum of linear VAEs for the held-out samples, where one is known and not too large."""
    test = material.split("test").spread(config.evaluation.limit)
    size = math.prod(test.sample_shape)
    if config.likelihood.kind != "gaussian" or size > _LARGEST_SPECTRUM:
        return None
    return linear_reference(
        test.spectrum(),
        latent_dim=min(config.model.latent_dim, size),
        noise_variance=config.likelihood.noise_variance,
    )


# --- saying how ----------------------------------------------------------------------------------


def _notes(config: ExperimentConfig, jobs: int) -> list[str]:
    notes = [
        *COMMON_NOTES,
        f"Networks for all β: {config.training.epochs} epochs, {training_in_words(config)}; "
        "variants differ as they say.",
    ]
    if jobs > 1:
        notes.append(f"{jobs} runs were trained side by side, which can slow each of them down.")
    if config.dedicated.points:
        alone = dedicated_settings(config, config.reading_range[0])
        notes += [
            "Dedicated networks have the same layers without gates, and as many steps each.",
            f"Dedicated networks: {training_in_words(alone)}.",
        ]
    if config.dedicated.also_annealed != "none":
        notes.append(
            f"Annealed networks: the same, annealing of beta {config.dedicated.also_annealed}. The "
            "better of the two is chosen at each β and seed on the held-out samples, in favour of "
            "the dedicated networks."
        )
    return notes
