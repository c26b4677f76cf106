"""What trained networks make of images, as a part of a record of methods, and its pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep.comparison.jobs import Materials, trained_run
from deep.comparison.pictures import draw_quality, draw_reconstructions, draw_samples
from deep.comparison.plans import PlannedRun
from deep.config import ExperimentConfig
from deep.data.splits import spread_over
from deep.evaluation.classifier import classifier_features
from deep.evaluation.features import FeatureExtractor, TorchScriptFeatures
from deep.evaluation.quality import Quality, RealImages, assess, real_images_from
from deep.evaluation.samples import (
    NetworkRow,
    prior_latents,
    prior_samples,
    reconstructions,
    to_images,
)
from linvae.plotting import save_figure

__all__ = ["ImageQuality", "measure_images", "quality_from_record"]

_SHOWN = {"multi-rate": "one multi-rate network", "dedicated": "dedicated networks"}
_ROWS, _COLUMNS = 8, 10  # of a picture of images


@dataclass(frozen=True, eq=False)
class ImageQuality:
    """Measurements of the multi-rate and the dedicated networks, and pictures of the first seed.

    Attributes
    ----------
    measured : dict
        By method, one :class:`deep.evaluation.quality.Quality` per seed.
    seeds : dict
        By method.
    pictures : dict
        Figures by the ending of their file's name.
    """

    measured: dict[str, list[Quality]]
    seeds: dict[str, list[int]]
    pictures: dict[str, Any]

    def as_plain(self) -> dict[str, Any]:
        """For a record: one object per method and seed."""
        return {
            "methods": [
                {"method": name, "seed": seed, **quality.as_plain()}
                for name, found in self.measured.items()
                for seed, quality in zip(self.seeds[name], found, strict=True)
            ]
        }

    def save(self, path: Path) -> list[Path]:
        """Write the pictures beside the one of the record."""
        return [
            save_figure(figure, path.with_name(f"{path.stem}-{ending}{path.suffix}"))
            for ending, figure in self.pictures.items()
        ]


def measure_images(
    config: ExperimentConfig, plans: Sequence[PlannedRun], materials: Materials
) -> ImageQuality | None:
    """Fréchet distances, active units and consistency of finished runs, if the settings ask.

    ``evaluation.frechet`` asks for them, over ``evaluation.images`` held-out images (None: those of
    the evaluation), with the features of ``evaluation.features``, a TorchScript file, or else of a
    classifier that is trained on the data set.

    Raises
    ------
    InputError
        Samples that are no images; a file that gives no features.
    """
    plan = config.evaluation
    if not plan.frechet:
        return None
    material = materials.of(config)
    count = plan.images or plan.limit
    real = real_images_from(
        material.split("test"), material.split("train"), _extractor(config), limit=count
    )
    measured: dict[str, list[Quality]] = {}
    seeds: dict[str, list[int]] = {}
    pictures: dict[str, Any] = {}
    for (name, seed), group in _groups(plans).items():
        row = _row(group, materials)
        quality = assess(row, real, seed=seed, noise_draws=plan.noise_draws,
                         batch_size=plan.batch_size)  # fmt: skip
        if name not in measured:
            pictures |= _pictures(name, row, quality, real)
        measured.setdefault(name, []).append(quality)
        seeds.setdefault(name, []).append(seed)
    labelled = {_SHOWN[name]: found for name, found in measured.items()}
    return ImageQuality(measured, seeds, {"quality": draw_quality(labelled), **pictures})


def quality_from_record(section: Mapping[str, Any]) -> dict[str, list[Quality]]:
    """Read the measurements of a record back, by method."""
    found: dict[str, list[Quality]] = {}
    for entry in section["methods"]:
        content = {k: v for k, v in entry.items() if k not in ("method", "seed")}
        found.setdefault(entry["method"], []).append(Quality.from_plain(content))
    return found


def _extractor(config: ExperimentConfig) -> FeatureExtractor:
    path = config.evaluation.features
    return classifier_features(config.data) if path is None else TorchScriptFeatures(path)


def _groups(plans: Sequence[PlannedRun]) -> dict[tuple[str, int], list[PlannedRun]]:
    groups: dict[tuple[str, int], list[PlannedRun]] = {}
    for plan in plans:
        if plan.kind in _SHOWN:
            groups.setdefault((plan.method, plan.seed), []).append(plan)
    return groups


def _row(group: Sequence[PlannedRun], materials: Materials) -> NetworkRow:
    """One network at all its β's, or dedicated networks each at its own."""
    runs = [
        trained_run(plan.settings, materials, seed=plan.seed, folder=plan.folder,
                    progress=lambda *_: None)
        for plan in group
    ]  # fmt: skip
    pairs = [(run, beta) for run, plan in zip(runs, group, strict=True) for beta in plan.betas]
    return NetworkRow(
        np.array([beta for _, beta in pairs]),
        tuple(run.network for run, _ in pairs),
        tuple(run.objective.likelihood for run, _ in pairs),
    )


def _pictures(name: str, row: NetworkRow, quality: Quality, real: RealImages) -> dict[str, Any]:
    chosen = _spread(len(row.betas))
    some = NetworkRow(
        row.betas[chosen],
        tuple(row.networks[i] for i in chosen),
        tuple(row.likelihoods[i] for i in chosen),
    )
    kind: dict[str, Any] = {"data_range": real.data_range}
    samples = real.samples[spread_over(len(real.samples), min(_ROWS, len(real.samples)))]
    made = prior_samples(some, prior_latents(_ROWS, some.latent_dim), real.shape, **kind)
    again = reconstructions(some, samples, real.shape, **kind)
    originals = to_images(samples, real.shape, **kind)
    rates = quality.rate[chosen]
    return {
        f"samples-{name}": draw_samples(made, some.betas, rates),
        f"reconstructions-{name}": draw_reconstructions(again, originals, some.betas, rates),
    }


def _spread(count: int) -> NDArray[np.intp]:
    """Places of no more β's than a picture has columns, the ends among them."""
    return np.unique(np.linspace(0, count - 1, min(count, _COLUMNS)).round().astype(np.intp))
