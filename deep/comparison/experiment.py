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
from deep.comparison.figure import save_picture
from deep.comparison.linear import exact_curve
from deep.comparison.record import conditions, experiment_record, save_record
from deep.comparison.reference import (
    Reference,
    linear_reference,
    shannon_reference,
)
from deep.config import ExperimentConfig
from deep.data.load import DataSet
from deep.errors import ConfigError
from deep.evaluation.curve import LearnedCurve, evaluate_curve
from deep.networks.linear import MultiRateLinearVAE
from deep.runs import Material, Run, dedicated_settings, is_multi_rate, run_name, train_run
from deep.settings import as_plain

__all__ = ["Interrupted", "run_experiment"]

FloatArray = NDArray[np.float64]
# (what is trained, its number, of how many) -> callback for its steps
Progress = Callable[[str, int, int], Callable[[int, int], None] | None]

_REFERENCE_SAMPLES = 10_000  # enough to optimise a Bernoulli linear VAE on
_MARGIN = 3.0  # its β's reach so far beyond those of the experiment


class Interrupted(Exception):  # noqa: N818  not an error: the runs are saved
    """A run was interrupted and saved; the same command goes on."""


@dataclass(frozen=True, eq=False)
class _Judge:
    """Reads curves off runs, exactly where the network is linear and Gaussian."""

    config: ExperimentConfig
    material: Material
    reference: Reference
    spectrum: lv.Spectrum | None  # None: on samples
    samples: torch.Tensor | None
    n_samples: int

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
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train what is not trained yet, compare, and write ``NAME.json`` and ``NAME.png``.

    A linear network with a fixed σ² is judged exactly, by the mean and covariance of the training
    samples, with the held-out ones beside it. All others are judged on held-out samples, against
    the optimum for these.

    Parameters
    ----------
    config : ExperimentConfig
        Of a multi-rate network.
    runs : Path
        Folder of the runs, ``NAME/seed-S/…`` below it; finished ones are not trained again.
    output : Path
    command : str
        That makes the record; written into it.
    progress : callable, optional

    Returns
    -------
    dict
        The record.

    Raises
    ------
    ConfigError
        Settings for one β, or a likelihood without a known optimum.
    Interrupted
        After Ctrl-C.
    """
    if not is_multi_rate(config):
        fail("beta.draw", "'constant'", "batch, example or stratified",
             "compare a multi-rate network; the dedicated ones are trained beside it",
             ConfigError)  # fmt: skip
    _check_reference(config)
    material = Material(config)
    report = progress or (lambda *_: None)
    betas = np.geomspace(*config.reading_range, config.evaluation.points)
    trained = _train_all(config, material, runs / config.name, report)
    judge = _judge(config, material, held_out=config.model.kind != "linear")
    multi = [judge.compared(run, betas) for run, _ in trained]
    alone = [_joined(judge, dedicated) for _, dedicated in trained if dedicated]
    record = experiment_record(
        experiment=config.title or config.name,
        command=command,
        config=as_plain(config),
        conditions=_conditions(config, material, judge),
        multi_rate=multi,
        dedicated=alone,
        reference=judge.reference,
        cost=_cost(trained),
        notes=_notes(config),
    )
    if config.model.kind == "linear" and judge.spectrum is not None:
        record["held_out"] = _held_out(config, material, trained, betas)
    output.mkdir(parents=True, exist_ok=True)
    save_record(output / f"{config.name}.json", record)
    save_picture(output / f"{config.name}.png", record)
    return record


# --- training ------------------------------------------------------------------------------------

_Trained = tuple[Run, list[Run]]  # of one seed: the multi-rate run, the dedicated ones


def _train_all(
    config: ExperimentConfig, material: Material, folder: Path, progress: Progress
) -> list[_Trained]:
    alone = config.dedicated
    betas = np.geomspace(*config.reading_range, alone.points) if alone.points else []
    with_dedicated = len(config.seeds) if alone.seeds is None else alone.seeds
    plans = [
        (seed, None if i == 0 else float(betas[i - 1]))
        for place, seed in enumerate(config.seeds)
        for i in range(1 + (len(betas) if place < with_dedicated else 0))
    ]
    found: dict[int, _Trained] = {}
    for number, (seed, beta) in enumerate(plans):
        settings = config if beta is None else dedicated_settings(config, beta)
        name = run_name(settings, seed)
        run = train_run(settings, material, seed=seed, folder=folder / name, resume=True,
                        progress=progress(name, number, len(plans)))  # fmt: skip
        if run.result is not None and run.result.status == "interrupted":
            raise Interrupted(str(folder / name))
        if beta is None:
            found[seed] = (run, [])
        else:
            found[seed][1].append(run)
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


def _judge(config: ExperimentConfig, material: Material, *, held_out: bool) -> _Judge:
    kind, k = config.likelihood.kind, config.model.latent_dim
    data = material.split("test") if held_out else None
    if data is not None:
        data = data.first(config.evaluation.limit)
    from_source = config.data.name == "gaussian"
    of = material.spectrum if data is None or from_source else data.spectrum()
    exact = data is None and kind == "gaussian"
    if data is None and not exact:
        return _judge(config, material, held_out=True)
    samples = None if data is None else data.tensor(material.dtype)
    count = (of.n_samples or 0) if data is None else len(data)
    reference = _reference(config, material, of, k, data)
    return _Judge(config, material, reference, of if exact else None, samples, count)


def _reference(
    config: ExperimentConfig, material: Material, spectrum: lv.Spectrum, k: int,
    data: DataSet | None,
) -> Reference:  # fmt: skip
    kind, variance = config.likelihood.kind, config.likelihood.noise_variance
    if kind == "bernoulli":
        train = material.split("train").first(_REFERENCE_SAMPLES)
        low, high = config.reading_range
        betas = np.geomspace(low / _MARGIN, high * _MARGIN, config.evaluation.points + 4)
        found = fit_bernoulli(train.tensor().numpy(), latent_dim=k, betas=betas)
        return found if data is None else found.on(data.tensor().numpy())
    if kind == "calibrated":
        return calibrated_reference(spectrum, latent_dim=k)
    if config.data.name == "gaussian" and k >= spectrum.rank:
        return shannon_reference(spectrum, noise_variance=variance)
    return linear_reference(spectrum, latent_dim=k, noise_variance=variance)


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
        "statement": "The networks and the optimum of the training samples, both judged exactly on "
                     "the mean and covariance of the test samples; averages over seeds.",
        "n_samples": spectrum.n_samples,
        "multi_rate": rows,
    }  # fmt: skip


# --- saying how ----------------------------------------------------------------------------------


def _conditions(config: ExperimentConfig, material: Material, judge: _Judge) -> dict[str, Any]:
    source = config.data.name == "gaussian"
    train = "fresh samples at every step" if source else f"{len(material.split('train'))} samples"
    plan = config.training
    return conditions(
        "torch",
        seeds=list(config.seeds),
        data={
            "name": config.data.name,
            "training": train,
            "judged_on": f"the mean and covariance of {judge.n_samples} training samples, exactly"
            if judge.spectrum is not None
            else f"{judge.n_samples} held-out samples",
        },
        device="gpu" if plan.accelerator != "cpu" and torch.cuda.is_available() else "cpu",
        torch_threads=plan.threads or torch.get_num_threads(),
    )


def _notes(config: ExperimentConfig) -> list[str]:
    notes = ["Seconds are those of the training loop alone, without loading and evaluation."]
    if config.dedicated.points:
        notes.append(
            "Dedicated networks have the same layers without gates, and as many steps each."
        )
    return notes
