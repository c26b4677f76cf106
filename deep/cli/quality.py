"""What ``linvae evaluate`` does with images: pictures in a row of β's, Fréchet distances."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from deep._checks import fail
from deep.comparison.pictures import draw_reconstructions, draw_samples
from deep.errors import ConfigError
from deep.evaluation.classifier import classifier_features
from deep.evaluation.curve import LearnedCurve
from deep.evaluation.features import FeatureExtractor, TorchScriptFeatures
from deep.evaluation.passes import FloatArray
from deep.evaluation.quality import Quality, assess, real_images_from
from deep.evaluation.samples import (
    NetworkRow,
    image_shape_of,
    prior_latents,
    prior_samples,
    reconstructions,
    to_images,
)
from deep.runs import Material, Run
from linvae.cli import console
from linvae.plotting import save_figure

__all__ = ["evaluate_images", "extractor_for", "quality_of_run"]

_ROWS = 6  # images of a picture
_COLUMNS = 10  # of them; more β's are thinned out


def evaluate_images(
    options: argparse.Namespace,
    run: Run,
    material: Material,
    curve: LearnedCurve,
    document: dict[str, Any],
    printer: console.Printer,
) -> None:
    """Do what ``--samples``, ``--reconstructions`` and ``--frechet`` ask for.

    Parameters
    ----------
    options : Namespace
        Of ``linvae evaluate``.
    run, material : Run, Material
    curve : LearnedCurve
        Of the run on the split of the options; its β's and rates are written into the pictures.
    document : dict
        Gets the entries ``pictures`` and ``quality``.
    printer : Printer

    Raises
    ------
    InputError
        Samples that are no images, files that cannot be read or written.
    """
    if options.features is not None and not options.frechet:
        fail("--features", repr(options.features), "--frechet beside it", "add --frechet",
             ConfigError)  # fmt: skip
    written = _pictures(options, run, material, curve)
    if written:
        document["pictures"] = written
        printer.line(f"Written: {', '.join(written.values())}")
    if options.frechet:
        extractor = extractor_for(run, options.features)
        found = quality_of_run(run, material, curve.betas, extractor, split=options.split)
        document["quality"] = found.as_plain()
        _print_quality(printer, found)


def extractor_for(run: Run, path: str | None) -> FeatureExtractor:
    """The network of a TorchScript file, or a small classifier for the data set of the run."""
    return classifier_features(run.config.data) if path is None else TorchScriptFeatures(path)


def quality_of_run(
    run: Run,
    material: Material,
    betas: FloatArray,
    extractor: FeatureExtractor,
    *,
    split: Any = "test",
) -> Quality:
    """Fréchet distances, active units, PSNR and consistency of a run at its β's.

    Raises
    ------
    InputError
        As :func:`deep.evaluation.quality.assess`; data without a training split.
    """
    plan = run.config.evaluation
    real = real_images_from(
        material.split(split), material.split("train"), extractor, limit=plan.limit
    )
    row = NetworkRow.multi_rate(run.network, run.objective.likelihood, betas)
    return assess(row, real, seed=run.seed, noise_draws=plan.noise_draws,
                  batch_size=plan.batch_size)  # fmt: skip


def _pictures(
    options: argparse.Namespace, run: Run, material: Material, curve: LearnedCurve
) -> dict[str, str]:
    """Write the pictures wanted; their files by name."""
    written: dict[str, str] = {}
    if options.samples is None and options.reconstructions is None:
        return written
    data = material.split(options.split).spread(run.config.evaluation.limit).spread(_ROWS)
    shape, span = image_shape_of(data.sample_shape), data.data_range or (0.0, 1.0)
    places = _spread(len(curve.betas))
    betas, rates = curve.betas[places], curve.rate[places]
    row = NetworkRow.multi_rate(run.network, run.objective.likelihood, betas)
    if options.samples is not None:
        latents = prior_latents(_ROWS, row.latent_dim, seed=run.seed)
        images = prior_samples(row, latents, shape, data_range=span)
        figure = draw_samples(images, betas, rates)
        written["samples"] = str(save_figure(figure, Path(options.samples)))
    if options.reconstructions is not None:
        samples = data.tensor(material.dtype)
        images = reconstructions(row, samples, shape, data_range=span)
        originals = to_images(samples, shape, data_range=span)
        figure = draw_reconstructions(images, originals, betas, rates)
        written["reconstructions"] = str(save_figure(figure, Path(options.reconstructions)))
    return written


def _spread(count: int) -> list[int]:
    """Places of at most ten of the β's, the first and the last among them."""
    if count <= _COLUMNS:
        return list(range(count))
    return [round(i * (count - 1) / (_COLUMNS - 1)) for i in range(_COLUMNS)]


def _print_quality(printer: console.Printer, found: Quality) -> None:
    printer.line()
    printer.line(f"{found.n_images} images of each kind ({_what(found)}); features: "
                 f"{found.features}.")  # fmt: skip
    infinite = found.frechet_samples_infinite
    rows = [
        [
            console.number(beta, 4),
            str(int(found.active_units[i])),
            console.number(found.frechet_samples[i], 4),
            "" if infinite is None else console.number(infinite[i], 4),
            console.number(found.frechet_reconstructions[i], 4),
            f"{found.psnr[i]:.2f}",
        ]
        for i, beta in enumerate(found.betas)
    ]
    printer.table(("β", "active", "samples", "N → ∞", "reconstr.", "dB"), rows)
    beyond = found.floor_infinite
    printer.line(
        f"Squared Fréchet distances. Training images are at {console.number(found.floor, 4)}"
        + ("" if beyond is None else f" (N → ∞: {console.number(beyond, 4)})")
        + " from these."
    )
    if found.consistency_pixels.size:
        pixels, features = found.consistency_pixels.mean(), found.consistency_features.mean()
        printer.line(f"Consistency of one latent from β to β: {pixels:.3f} in pixels, "
                     f"{features:.3f} in features.")  # fmt: skip


def _what(found: Quality) -> str:
    return "pixels drawn" if found.pixels == "drawn" else "means of p(x|z)"
