"""The runs of a comparison of methods: which networks, where they are kept, and reading them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep._checks import fail
from deep.comparison.jobs import Materials, trained_run
from deep.comparison.method_curves import MethodKind, merge_betas
from deep.comparison.published import published_for
from deep.config import ExperimentConfig
from deep.errors import ConfigError
from deep.evaluation.curve import LearnedCurve, evaluate_curve
from deep.evaluation.latents import active_units
from deep.runs import dedicated_settings, is_multi_rate, run_name, variant_settings
from deep.training.devices import thread_count

__all__ = ["PlannedRun", "Reading", "compares_methods", "plan_runs", "reading_betas"]

FloatArray = NDArray[np.float64]

_TAKEN = ("multi-rate", "dedicated", "annealed")  # names of methods that a variant cannot have


@dataclass(frozen=True, eq=False)
class Reading:
    """What one trained network achieves, and what it cost.

    Attributes
    ----------
    curve : LearnedCurve
    active_units : ndarray (B,)
    seconds : float
        Of the training loop.
    steps, parameters : int
    quality : mapping or None
        Of :mod:`deep.evaluation.quality`.
    """

    curve: LearnedCurve
    active_units: NDArray[Any]
    seconds: float
    steps: int
    parameters: int
    quality: dict[str, Any] | None = None


@dataclass(frozen=True)
class PlannedRun:
    """One run: trained, or loaded if it is finished, and then read.

    Attributes
    ----------
    method : str
    kind : str
    settings : ExperimentConfig
        It trains by these.
    judged_by : ExperimentConfig
        Those of the whole experiment, for the evaluation.
    seed : int
    folder : Path
    betas : tuple of float
        At which it is read.
    """

    method: str
    kind: MethodKind
    settings: ExperimentConfig
    judged_by: ExperimentConfig
    seed: int
    folder: Path
    betas: tuple[float, ...]

    @property
    def name(self) -> str:
        """Seed and folder, for messages."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    def __call__(self, materials: Materials, progress: Any) -> Reading:
        """Train and read."""
        run = trained_run(self.settings, materials, seed=self.seed, folder=self.folder,
                          progress=progress)  # fmt: skip
        plan, material = self.judged_by.evaluation, materials.of(self.settings)
        samples = material.split("test").spread(plan.limit).tensor(material.dtype)
        betas = np.array(self.betas)
        assert run.result is not None
        with thread_count(self.settings.training.threads):
            # The seed is that of the run: for one seed all methods see the same latent noise.
            curve = evaluate_curve(
                run.network, samples, betas, run.objective.likelihood, seed=self.seed,
                noise_draws=plan.noise_draws, batch_size=plan.batch_size,
            )  # fmt: skip
            units = active_units(run.network, samples, betas, batch_size=plan.batch_size)
        return Reading(curve, units.count, run.result.seconds, run.result.steps, run.n_parameters)


def compares_methods(config: ExperimentConfig) -> bool:
    """Whether networks are held against one another, and not against an optimum.

    So it is for networks of images, and for any other with variants or annealed β-VAEs beside it.
    """
    asked = bool(config.variants) or config.dedicated.also_annealed != "none"
    return asked or config.model.kind in ("conv", "resnet")


def reading_betas(config: ExperimentConfig) -> FloatArray:
    """β's at which networks for all β are read: of the curve, of dedicated ones, of others."""
    lists = [_dedicated_betas(config), _spaced(config, config.evaluation.points)]
    published = published_for(config)
    if published is not None:
        low, high = config.beta.low * (1 - 1e-9), config.beta.high * (1 + 1e-9)
        lists.append(np.array([b for b in published.betas if low <= b <= high]))
    return merge_betas(*lists)


def plan_runs(config: ExperimentConfig, folder: Path) -> list[PlannedRun]:
    """All runs, seed by seed: the multi-rate network, its variants, the dedicated networks.

    Raises
    ------
    ConfigError
        Settings for one β, a likelihood or a network that is compared otherwise, variants with a
        name that is taken, annealing of dedicated networks that are annealed anyway.
    """
    _check(config)
    every = tuple(float(beta) for beta in reading_betas(config))
    alone = config.dedicated
    variants = {name: variant_settings(config, name) for name in config.variants}
    some = len(config.seeds) if alone.seeds is None else alone.seeds
    runs: list[PlannedRun] = []
    for place, seed in enumerate(config.seeds):
        runs.append(PlannedRun("multi-rate", "multi-rate", config, config, seed,
                               folder / run_name(config, seed), every))  # fmt: skip
        runs += [
            PlannedRun(name, "variant", settings, config, seed,
                       folder / run_name(settings, seed, variant=name), every)
            for name, settings in variants.items()
        ]  # fmt: skip
        if place < some:
            runs += _dedicated_runs(config, folder, seed)
    return runs


def _dedicated_runs(config: ExperimentConfig, folder: Path, seed: int) -> list[PlannedRun]:
    kinds: dict[MethodKind, bool] = {"dedicated": False}
    if config.dedicated.also_annealed != "none":
        kinds["annealed"] = True
    runs = []
    for beta in map(float, _dedicated_betas(config)):
        for kind, annealed in kinds.items():
            settings = dedicated_settings(config, beta, annealed=annealed)
            runs.append(PlannedRun(kind, kind, settings, config, seed,
                                   folder / run_name(settings, seed), (beta,)))  # fmt: skip
    return runs


def _dedicated_betas(config: ExperimentConfig) -> FloatArray:
    return _spaced(config, config.dedicated.points)


def _spaced(config: ExperimentConfig, points: int) -> FloatArray:
    return np.geomspace(*config.reading_range, points) if points else np.zeros(0)


def _check(config: ExperimentConfig) -> None:
    if not is_multi_rate(config):
        fail("beta.draw", "'constant'", "batch, example or stratified",
             "compare a multi-rate network; the dedicated ones are trained beside it",
             ConfigError)  # fmt: skip
    if config.likelihood.kind == "calibrated":
        fail("likelihood.kind", "'calibrated'", "gaussian, bernoulli or discretised_logistic",
             "relative to which zero its objective is worse is not defined: fix the variance",
             ConfigError)  # fmt: skip
    if config.model.kind == "linear":
        fail("variants or dedicated.also_annealed", "some with a linear network",
             "an mlp, conv or resnet network", "leave them out: the optimum is known",
             ConfigError)  # fmt: skip
    taken = [name for name in config.variants if name in _TAKEN]
    if taken:
        fail("variants", ", ".join(taken), f"names other than {', '.join(_TAKEN)}", "rename them",
             ConfigError)  # fmt: skip
    alone = config.dedicated
    if alone.also_annealed != "none" and alone.also_annealed == alone.annealing:
        fail("dedicated.also_annealed", repr(alone.also_annealed),
             "another annealing than dedicated.annealing", "the two would be the same networks",
             ConfigError)  # fmt: skip
