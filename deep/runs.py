"""One run: from settings to a trained network in a folder, and back from the folder.

A run trains either the multi-rate network of its settings or, where ``beta.draw`` is ``constant``,
the same network without gates for one β: the dedicated β-VAE it is compared with, at the same
budget. The folder alone is enough to evaluate a run or to go on with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from deep._checks import fail
from deep.config import ExperimentConfig
from deep.errors import CheckpointError, ConfigError
from deep.material import Material
from deep.networks.build import check_kind, network_from
from deep.objectives.elbo import RateDistortionObjective, objective_from
from deep.randomness import generator
from deep.settings import as_plain, checked
from deep.training.checkpoints import load_weights
from deep.training.files import disk_errors, read_sealed, replace_file
from deep.training.loop import FitResult, fit
from deep.variants import MULTI_RATE, with_variant

__all__ = [
    "Material",
    "Run",
    "dedicated_settings",
    "is_multi_rate",
    "load_run",
    "run_name",
    "train_run",
    "variant_settings",
]

Progress = Callable[[int, int], None]

# Sections that training depends on: a change in one of them is another run.
_DETERMINING = ("data", "model", "likelihood", "beta", "training")
_EXPERIMENT = "experiment.json"


@dataclass(frozen=True, eq=False)
class Run:
    """A trained network with what it was trained by.

    Attributes
    ----------
    config : ExperimentConfig
    seed : int
    network : nn.Module
        As :class:`deep.networks.base.VAENetwork`.
    objective : RateDistortionObjective
        Its likelihood may have been trained.
    result : FitResult or None
        None for a run that was loaded.
    """

    config: ExperimentConfig
    seed: int
    network: nn.Module
    objective: RateDistortionObjective
    result: FitResult | None = None

    @property
    def n_parameters(self) -> int:
        """Trained numbers of the network."""
        return sum(p.numel() for p in self.network.parameters())


def is_multi_rate(config: ExperimentConfig) -> bool:
    """Whether the settings train for a range of β or for one."""
    return config.beta.draw != "constant"


def dedicated_settings(
    config: ExperimentConfig, beta: float, *, annealed: bool = False
) -> ExperimentConfig:
    """Settings of the β-VAE of one β beside a multi-rate network, at the same budget.

    With ``annealed`` those of its second training, by ``dedicated.also_annealed``.
    """
    other = config.dedicated
    annealing = other.also_annealed if annealed else other.annealing
    training = config.training.model_dump()
    training["sharpness"] = None  # no gates
    if other.learning_rate is not None:
        training["optimiser"]["learning_rate"] = other.learning_rate
    change = {"draw": "constant", "value": beta, "annealing": annealing, "per_sample": 1}
    alone = config.model_copy(update={"variants": {}})
    return alone.with_changes(beta=change, training=training)


def variant_settings(config: ExperimentConfig, name: str) -> ExperimentConfig:
    """Settings of a variant: those of the experiment with the variant's keys put over them.

    Sections are merged key by key, at every depth. Variants are read at the same β's as the first
    network, and have no variants of their own.

    Raises
    ------
    ConfigError
        No such variant, or one that does not give valid settings.
    """
    if name not in config.variants:
        fail("variant", repr(name), f"one of {', '.join(config.variants) or 'none here'}",
             "name one of the settings' variants", ConfigError)  # fmt: skip
    return checked(with_variant(config.model_dump(), config.variants[name]), f"variant {name}")


def run_name(config: ExperimentConfig, seed: int, variant: str | None = None) -> str:
    """Folder of a run below that of its experiment.

    ``seed-0/multi-rate``, for a variant ``seed-0/NAME``, for dedicated networks ``seed-0/beta-0.1``
    and, where they are trained a second time with β annealed, ``seed-0/beta-0.1-annealed``.
    """
    if is_multi_rate(config):
        return f"seed-{seed}/{variant or MULTI_RATE}"
    second = config.beta.annealing != config.dedicated.annealing
    return f"seed-{seed}/beta-{config.beta.value:.6g}{'-annealed' if second else ''}"


def train_run(
    config: ExperimentConfig,
    material: Material,
    *,
    seed: int,
    folder: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Train the network of the settings.

    Parameters
    ----------
    config : ExperimentConfig
    material : Material
        Its data; shared between runs, also of variants with another kind of network.
    seed : int
        Of the initial weights, the order of the data, the β's and the latents.
    folder : Path, optional
        For checkpoints, history, settings and weights.
    resume : bool
        Go on from what the folder holds; a finished run is only loaded.
    progress : callable(done, total), optional

    Returns
    -------
    Run

    Raises
    ------
    InputError, DivergenceError
        As :func:`deep.training.loop.fit`.
    """
    material = material.suited(config)
    network = _network(config, material, seed)
    objective = objective_from(config)
    result = fit(
        network,
        objective,
        material.batches,
        config.training,
        seed=seed,
        folder=folder,
        resume=resume,
        config=_determining(as_plain(config)),
        progress=progress,
    )
    network.to(material.dtype)  # what load_run makes of the weights, after training in bfloat16
    if folder is not None:
        _keep_settings(Path(folder), config, seed)
    return Run(config, seed, network, objective, result)


def _determining(plain: dict[str, Any]) -> dict[str, Any]:
    """What training depends on; where the data lie does not matter, only what they are."""
    kept = {name: plain[name] for name in _DETERMINING}
    return {**kept, "data": {**kept["data"], "path": None}}


def _keep_settings(folder: Path, config: ExperimentConfig, seed: int) -> None:
    """Write all settings, those of the evaluation too: they may change from one call to the next.

    A path of data is kept in full, so that the folder can be evaluated from anywhere.
    """
    plain = as_plain(config)
    if plain["data"]["path"] is not None:
        plain["data"]["path"] = os.path.abspath(os.path.expanduser(plain["data"]["path"]))
    text = json.dumps({"settings": plain, "seed": seed}, indent=1, allow_nan=False)
    with disk_errors(folder):
        replace_file(folder / _EXPERIMENT, text.encode() + b"\n")


def _kept_settings(folder: Path) -> tuple[ExperimentConfig, int]:
    """Settings and seed of a finished run; those of the training are sealed in its result."""
    if not (folder / "result.json").is_file():
        what = "an unfinished run" if (folder / "config.json").is_file() else "no run"
        fail("run", f"{str(folder)!r}, which holds {what}", "the folder of a finished run",
             "name what --output of linvae train named, or finish it with --resume",
             CheckpointError)  # fmt: skip
    sealed = read_sealed(folder / "result.json").get("run")
    if not isinstance(sealed, dict) or not {"config", "seed"} <= sealed.keys():
        fail("run", f"{str(folder / 'result.json')!r} without the settings of the run",
             "what a run writes", "train again", CheckpointError)  # fmt: skip
    try:
        content: Any = json.loads((folder / _EXPERIMENT).read_bytes())
        config = checked(content["settings"], str(folder / _EXPERIMENT))
        seed = int(content["seed"])
    except FileNotFoundError:  # the process was killed before the last file
        return checked(sealed["config"], str(folder / "result.json")), int(sealed["seed"])
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        fail("run", f"{str(folder / _EXPERIMENT)!r}, which is damaged ({type(error).__name__})",
             "the settings of the run", "delete that file: the defaults of the evaluation are "
             "used instead", CheckpointError)  # fmt: skip
    if _determining(as_plain(config)) != sealed["config"] or seed != sealed["seed"]:
        fail("run", f"{str(folder / _EXPERIMENT)!r}, which was changed after training",
             "the settings the network was trained by", "undo the changes, or delete that file",
             CheckpointError)  # fmt: skip
    return config, seed


def load_run(folder: Path) -> tuple[Run, Material]:
    """Load a finished run from its folder.

    Raises
    ------
    CheckpointError
        No run, an unfinished one, or damaged files.
    """
    config, seed = _kept_settings(Path(folder))
    material = Material(config)
    network = _network(config, material, seed)
    objective = objective_from(config)
    load_weights(folder, network)
    if any(True for _ in objective.parameters()):
        load_weights(folder, objective, part="objective")
    return Run(config, seed, network, objective), material


def _network(config: ExperimentConfig, material: Material, seed: int) -> nn.Module:
    check_kind(config.model)  # before data are read
    return network_from(
        config.model,
        material.batches.sample_shape,
        generator=generator(seed, "weights"),
        beta_range=(config.beta.low, config.beta.high),
        multi_rate=is_multi_rate(config),
        moments=lambda: material.spectrum,
        dtype=material.dtype,
    )
