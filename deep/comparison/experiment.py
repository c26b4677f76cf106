"""A whole experiment: all its runs, their curves, what is known to be optimal, and the record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

import linvae as lv
from deep._checks import fail
from deep.comparison.bernoulli_fit import fit_bernoulli
from deep.comparison.calibrated import calibrated_reference
from deep.comparison.curves import ComparedCurve, compare_curve
from deep.comparison.describing import (
    COMMON_NOTES,
    check_output,
    conditions_of,
    training_in_words,
)
from deep.comparison.figure import save_picture
from deep.comparison.jobs import Materials, Progress, check_jobs, run_tasks, trained_run
from deep.comparison.linear import exact_curve
from deep.comparison.record import experiment_record, save_record
from deep.comparison.reference import (
    Reference,
    linear_reference,
    shannon_reference,
)
from deep.config import ExperimentConfig
from deep.data.binarise import binarise_once
from deep.data.load import DataSet
from deep.errors import ConfigError
from deep.evaluation.curve import LearnedCurve, evaluate_curve
from deep.networks.linear import MultiRateLinearVAE
from deep.runs import Material, Run, dedicated_settings, is_multi_rate, run_name
from deep.settings import as_plain

__all__ = ["run_experiment"]

FloatArray = NDArray[np.float64]

_REFERENCE_SAMPLES = 10_000  # enough to optimise a Bernoulli linear VAE on


@dataclass(frozen=True, eq=False)
class _Judge:
    """Reads curves off runs, exactly where the network is linear and Gaussian."""

    config: ExperimentConfig
    material: Material
    reference: Reference
    reference_data: str  # on which data it was made and judged
    spectrum: lv.Spectrum | None  # None: on samples
    samples: torch.Tensor | None
    judged_on: str

    def curve(self, run: Run, betas: FloatArray) -> LearnedCurve:
        if self.spectrum is not None:
            return _exact(run, betas, self.spectrum)
        plan = self.config.evaluation
        assert self.samples is not None
        return evaluate_curve(
            run.network, self.samples, betas, run.objective.likelihood, seed=run.seed,
            noise_draws=plan.noise_draws, batch_size=plan.batch_size,
        )  # fmt: skip

    def compared(self, run: Run, betas: FloatArray) -> ComparedCurve:
        return compare_curve(self.curve(run, betas), self.reference)


def run_experiment(
    config: ExperimentConfig,
    *,
    runs: Path,
    output: Path,
    command: str,
    jobs: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train what is not trained yet, compare, and write ``NAME.json`` and ``NAME.png``.

    A linear network with a fixed σ² is judged exactly, by the mean and covariance of the training
    samples (or of the source), with the held-out ones beside it. All others are judged on held-out
    samples, against the optimum for these. What the comparison needs is made ready before the
    training: what cannot be compared or written is refused before hours are spent.

    Parameters
    ----------
    config : ExperimentConfig
        Of a multi-rate network.
    runs : Path
        Folder of the runs, ``NAME/seed-S/…`` below it; finished ones are not trained again.
    output : Path
    command : str
        That makes the record; written into it.
    jobs : int
        Processes that train whole runs side by side, each with one thread.
    progress : callable, optional

    Returns
    -------
    dict
        The record.

    Raises
    ------
    ConfigError
        Settings for one β, or a likelihood without a known optimum.
    InputError
        A folder that cannot be written, data without a test split.
    linvae.errors.InputError
        β's at which the optimum is not defined.
    RunInterruptedError
        After Ctrl-C.
    """
    if not is_multi_rate(config):
        fail("beta.draw", "'constant'", "batch, example or stratified",
             "compare a multi-rate network; the dedicated ones are trained beside it",
             ConfigError)  # fmt: skip
    _check_reference(config)
    check_output(output)
    materials = Materials()
    material = materials.of(config)
    judge = _judge(config, material)
    plans = _plans(config, runs / config.name)
    check_jobs(jobs, [plan.settings for plan in plans])
    if jobs > 1:  # in other processes, whose networks are then loaded here
        run_tasks([replace(plan, kept=False) for plan in plans], jobs=jobs, progress=progress)
        progress = None
    found = run_tasks(plans, materials=materials, progress=progress)
    trained = _by_seed(config, plans, found)
    betas = _betas(config, config.evaluation.points)
    multi = [judge.compared(run, betas) for run, _ in trained]
    alone = [_joined(judge, dedicated) for _, dedicated in trained if dedicated]
    record = experiment_record(
        experiment=config.title or config.name,
        command=command,
        config=as_plain(config),
        conditions=conditions_of(config, material, judge.judged_on, jobs=jobs),
        multi_rate=multi,
        dedicated=alone,
        reference=judge.reference,
        reference_data=judge.reference_data,
        cost=_cost(trained),
        notes=_notes(config),
    )
    if judge.spectrum is not None:
        record["held_out"] = _held_out(config, material, trained, betas)
    save_record(output / f"{config.name}.json", record)
    save_picture(output / f"{config.name}.png", record)
    return record


def _betas(config: ExperimentConfig, points: int) -> FloatArray:
    return np.geomspace(*config.reading_range, points) if points else np.zeros(0)


# --- training ------------------------------------------------------------------------------------

_Trained = tuple[Run, list[Run]]  # of one seed: the multi-rate run, the dedicated ones


@dataclass(frozen=True)
class _PlannedRun:
    """One run, to be trained or loaded."""

    settings: ExperimentConfig
    seed: int
    folder: Path
    kept: bool = True  # False: left in its folder alone

    @property
    def name(self) -> str:
        return run_name(self.settings, self.seed)

    def __call__(self, materials: Materials, progress: Callable[[int, int], None]) -> Run | None:
        run = trained_run(self.settings, materials, seed=self.seed,
                          folder=self.folder / self.name, progress=progress)  # fmt: skip
        return run if self.kept else None


def _plans(config: ExperimentConfig, folder: Path) -> list[_PlannedRun]:
    alone = config.dedicated
    some = len(config.seeds) if alone.seeds is None else alone.seeds
    plans = []
    for place, seed in enumerate(config.seeds):
        plans.append(_PlannedRun(config, seed, folder))
        if place < some:
            plans += [
                _PlannedRun(dedicated_settings(config, float(beta)), seed, folder)
                for beta in _betas(config, alone.points)
            ]
    return plans


def _by_seed(
    config: ExperimentConfig, plans: Sequence[_PlannedRun], runs: Sequence[Run]
) -> list[_Trained]:
    found: dict[int, _Trained] = {}
    for plan, run in zip(plans, runs, strict=True):
        if is_multi_rate(plan.settings):
            found[plan.seed] = (run, [])
        else:
            found[plan.seed][1].append(run)
    return [found[seed] for seed in config.seeds]


def _cost(trained: Sequence[_Trained]) -> dict[str, Any]:
    def seconds(run: Run) -> float:
        assert run.result is not None
        return run.result.seconds

    first, dedicated = trained[0]
    extra = {}
    if dedicated:
        extra = {
            "dedicated_seconds": sum(map(seconds, dedicated)),
            "dedicated_runs": len(dedicated),
            "dedicated_parameters": dedicated[0].n_parameters,
        }
    return {
        "multi_rate_seconds": float(np.mean([seconds(run) for run, _ in trained])),
        "parameters": first.n_parameters,
        "steps": first.result.steps if first.result else None,
        **extra,
    }


# --- judging -------------------------------------------------------------------------------------


def _check_reference(config: ExperimentConfig) -> None:
    if config.likelihood.kind == "discretised_logistic":
        fail("likelihood.kind", "'discretised_logistic'", "gaussian, calibrated or bernoulli",
             "its optimum is not known: use linvae train and evaluate", ConfigError)  # fmt: skip


def _judge(config: ExperimentConfig, material: Material) -> _Judge:
    exact = config.model.kind == "linear" and config.likelihood.kind == "gaussian"
    test = material.split("test")  # of exact judges for the table of held-out samples
    data = None if exact else test.spread(config.evaluation.limit)
    reference, about = _reference(config, material, data)
    # Read once now: where the optimum is not defined, nothing is trained.
    read = _all_betas(config)
    reference.at_beta(read)
    reference.collapsed_loss(read)
    if data is not None:
        samples = data.tensor(material.dtype)
        return _Judge(config, material, reference, about, None, samples,
                      f"{len(data)} held-out samples")  # fmt: skip
    which = (
        "the source" if _from_source(config) else f"{len(material.split('train'))} training samples"
    )
    return _Judge(config, material, reference, about, material.spectrum, None,
                  f"the mean and covariance of {which}, exactly")  # fmt: skip


def _reference(
    config: ExperimentConfig, material: Material, data: DataSet | None
) -> tuple[Reference, str]:
    """The optimum beside which networks are put, and on which data it was made and judged.

    ``data`` are the samples on which networks are judged; None: the population is the spectrum of
    the material.
    """
    kind, k = config.likelihood.kind, config.model.latent_dim
    variance = config.likelihood.noise_variance
    if kind == "bernoulli" and data is not None:
        return _bernoulli_reference(config, material, data)
    source = _from_source(config)
    spectrum = material.spectrum if data is None or source else data.spectrum()
    about = _about_data(source, data)
    if kind == "calibrated":
        return calibrated_reference(spectrum, latent_dim=k), about
    if source and k >= spectrum.rank:
        return shannon_reference(spectrum, noise_variance=variance), about
    return linear_reference(spectrum, latent_dim=k, noise_variance=variance), about


def _about_data(source: bool, data: DataSet | None) -> str:
    if source:
        judged = "exactly by its mean and covariance" if data is None else (
            f"on {len(data)} samples drawn from it")  # fmt: skip
        return f"It is that of the source; networks are judged {judged}."
    samples = "training samples" if data is None else f"{len(data)} held-out samples"
    return f"It is that of the {samples} themselves, on which networks are judged."


def _bernoulli_reference(
    config: ExperimentConfig, material: Material, data: DataSet
) -> tuple[Reference, str]:
    train = material.split("train").spread(_REFERENCE_SAMPLES)
    pixels, drawn = train.tensor().numpy(), ""
    if train.grey_probabilities:
        pixels = binarise_once(pixels, "reference").astype(np.float32)
        drawn = ", pixels drawn once as 0 or 1"
    found = fit_bernoulli(pixels, latent_dim=config.model.latent_dim, betas=_all_betas(config))
    about = (f"Fitted on {len(train)} training samples{drawn}; judged on the {len(data)} held-out "
             "samples on which networks are judged.")  # fmt: skip
    return found.on(data.tensor().numpy()), about


def _all_betas(config: ExperimentConfig) -> FloatArray:
    """Every β at which some network is judged, ascending."""
    read, alone = (_betas(config, p) for p in (config.evaluation.points, config.dedicated.points))
    return np.union1d(read, alone)


def _from_source(config: ExperimentConfig) -> bool:
    return config.data.name == "gaussian"


def _exact(run: Run, betas: FloatArray, spectrum: lv.Spectrum) -> LearnedCurve:
    network = cast(MultiRateLinearVAE, run.network)
    variance = run.config.likelihood.noise_variance
    return exact_curve(network, betas, spectrum=spectrum, noise_variance=variance)


def _joined(judge: _Judge, dedicated: Sequence[Run]) -> ComparedCurve:
    """One curve of separately trained networks, each at its own β."""
    curves = [judge.curve(run, np.array([run.config.beta.value])) for run in dedicated]
    arrays = {
        name: np.concatenate([getattr(c, name) for c in curves])
        for name, value in vars(curves[0]).items()
        if isinstance(value, np.ndarray)
    }
    return compare_curve(replace(curves[0], **arrays), judge.reference)


def _held_out(
    config: ExperimentConfig, material: Material, trained: Sequence[_Trained], betas: FloatArray
) -> dict[str, Any]:
    """The test set beside the training set: networks, and the optimum for the training set."""
    source = _from_source(config)
    fitted, drawn = ("source", ", drawn from it") if source else ("training samples", "")
    spectrum = material.split("test").spectrum()
    variance = config.likelihood.noise_variance
    best = lv.response(material.spectrum, betas, latent_dim=config.model.latent_dim,
                       noise_variance=variance).evaluate(spectrum, betas)  # fmt: skip
    curves = [_exact(run, betas, spectrum) for run, _ in trained]
    rows = [
        {
            "beta": float(beta),
            "rate": float(np.mean([c.rate[i] for c in curves])),
            "distortion": float(np.mean([c.distortion[i] for c in curves])),
            "objective": float(np.mean([c.objective[i] for c in curves])),
            "objective_of_training_optimum": float(best.objective[i]),
        }
        for i, beta in enumerate(betas)
    ]
    return {
        "statement": f"The networks and the optimum of the {fitted}, both judged exactly on the "
                     f"mean and covariance of the test samples{drawn}; averages over seeds.",
        "n_samples": spectrum.n_samples,
        "multi_rate": rows,
    }  # fmt: skip


# --- saying how ----------------------------------------------------------------------------------


def _notes(config: ExperimentConfig) -> list[str]:
    notes = [
        *COMMON_NOTES,
        f"Multi-rate networks: {training_in_words(config)}.",
    ]
    if config.dedicated.points:
        alone = dedicated_settings(config, config.reading_range[0])
        notes += [
            "Dedicated networks have the same layers without gates, and as many steps each.",
            f"Dedicated networks: {training_in_words(alone)}.",
        ]
    return notes
