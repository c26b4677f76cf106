"""What ``linvae train | evaluate`` do."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from deep._checks import fail
from deep.cli.quality import evaluate_images
from deep.cli.settings import INTERRUPTED, printer_for, settings_of
from deep.config import ExperimentConfig
from deep.errors import ConfigError
from deep.evaluation.curve import LearnedCurve, evaluate_curve
from deep.evaluation.curves import area_under_curve, psnr
from deep.evaluation.importance import importance_weighted_nll
from deep.evaluation.latents import active_units
from deep.evaluation.search import find_beta
from deep.runs import (
    Material,
    Run,
    dedicated_settings,
    is_multi_rate,
    load_run,
    run_name,
    train_run,
)
from deep.settings import as_plain
from linvae.cli import console
from linvae.datafiles import json_text

__all__ = ["evaluate_command", "train_command"]


# --- linvae train --------------------------------------------------------------------------------


def train_command(options: argparse.Namespace) -> int:
    """Train one network into a folder."""
    config = settings_of(options)
    if config is None:
        return 0
    if options.dedicated is not None:
        config = dedicated_settings(config, options.dedicated)
    seed = config.seeds[0] if options.seed is None else options.seed
    if seed < 0:
        fail("--seed", seed, "an integer >= 0", "choose one", ConfigError)
    folder = Path(options.output or Path("runs") / config.name / run_name(config, seed))
    printer = printer_for(options)
    material = Material(config)
    material.split("test")  # what cannot be judged need not be trained
    printer.line(_what(config, seed) + f" Folder: {folder}")
    with console.progress_bar("training", wanted=not (options.quiet or options.json)) as progress:
        run = train_run(config, material, seed=seed, folder=folder, resume=options.resume,
                        progress=progress)  # fmt: skip
    result = run.result
    assert result is not None
    if result.status == "interrupted":
        print(f"linvae: interrupted after {result.steps} steps; the state is saved; go on with the "
              "same command and --resume", file=sys.stderr)  # fmt: skip
        return INTERRUPTED
    curve = _curve(run, material, _betas_of(config))
    printer.line(f"{result.steps} steps in {result.seconds:.0f} s, {run.n_parameters} parameters.")
    printer.line()
    _print_curve(printer, run, material, curve, "test")
    document = {"command": "train", "folder": str(folder), "seed": seed, "steps": result.steps,
                "seconds": result.seconds, "parameters": run.n_parameters,
                "settings": as_plain(config), "held_out": _points(curve)}  # fmt: skip
    if options.json:
        print(json_text(document))
    return 0


def _what(config: ExperimentConfig, seed: int) -> str:
    beta = config.beta
    span = f"all β from {beta.low:g} to {beta.high:g}" if is_multi_rate(config) else (
        f"β = {beta.value:g} alone")  # fmt: skip
    title = f"{config.title} " if config.title else ""
    return f"{title}{config.model.kind} network, {config.model.latent_dim} latents, {span}, " \
           f"seed {seed}."  # fmt: skip


def _betas_of(config: ExperimentConfig) -> np.ndarray:
    if not is_multi_rate(config):
        return np.array([config.beta.value])
    return np.geomspace(*config.reading_range, config.evaluation.points)


# --- linvae evaluate -----------------------------------------------------------------------------


def evaluate_command(options: argparse.Namespace) -> int:
    """Read the curve of a finished run."""
    run, material = load_run(Path(options.folder))
    betas = _betas_of(run.config) if options.beta is None else np.concatenate(options.beta)
    wishes = (options.beta, options.find_rate, options.find_distortion)
    if not is_multi_rate(run.config) and any(wish is not None for wish in wishes):
        fail("--beta or --find", "a wish for other β's of a network trained for one",
             f"none: it is for β = {run.config.beta.value:g}", "leave it out",
             ConfigError)  # fmt: skip
    printer = printer_for(options)
    printer.line(_what(run.config, run.seed))
    low, high = run.config.beta.low, run.config.beta.high
    if is_multi_rate(run.config) and (betas.min() < low * 0.999 or betas.max() > high * 1.001):
        printer.line(f"Some β's lie outside {low:g} to {high:g}, the range of the training: there "
                     "the network only extrapolates.")  # fmt: skip
    curve = _curve(run, material, betas, options.split)
    _print_curve(printer, run, material, curve, options.split)
    document: dict[str, Any] = {
        "command": "evaluate", "folder": options.folder, "split": options.split,
        "n_samples": curve.n_samples, "points": _points(curve),
    }  # fmt: skip
    span = material.split(options.split).data_range
    if span is not None:
        document["psnr"] = psnr(curve.squared_error, curve.n_features, data_range=span[1] - span[0])
    rates = float(curve.rate.min()), float(curve.rate.max())
    if rates[0] < rates[1]:
        area = area_under_curve(curve.rate, curve.distortion, interval=rates)
        document["area_under_curve"] = {"rates": rates, "area": area}
    samples = _samples(run, material, options.split)
    evaluation = run.config.evaluation
    units = active_units(run.network, samples, betas, batch_size=evaluation.batch_size)
    document["active_units"] = units.count
    printer.line(f"Active units: {', '.join(str(int(c)) for c in units.count)}.")
    if options.importance_samples:
        found = importance_weighted_nll(
            run.network, samples, betas, run.objective.likelihood,
            n_importance=options.importance_samples, seed=run.seed,
            batch_size=evaluation.batch_size,
        )  # fmt: skip
        document["nll"] = {"value": found.nll, "standard_error": found.nll_se,
                           "importance_samples": options.importance_samples}  # fmt: skip
        words = (f"{v:.4g} ± {e:.2g}" for v, e in zip(found.nll, found.nll_se, strict=True))
        printer.line(f"−log p(x) is at most (nats): {'; '.join(words)}.")
    _find(options, run, samples, document, printer)
    evaluate_images(options, run, material, curve, document, printer)
    if options.json:
        print(json_text(document))
    return 0


def _find(
    options: argparse.Namespace, run: Run, samples: Any, document: dict[str, Any],
    printer: console.Printer,
) -> None:  # fmt: skip
    for name in ("rate", "distortion"):
        wanted = getattr(options, f"find_{name}")
        if wanted is None:
            continue
        span = (run.config.beta.low, run.config.beta.high)
        plan = run.config.evaluation
        found = find_beta(
            run.network, samples, run.objective.likelihood, beta_range=span, seed=run.seed,
            noise_draws=plan.noise_draws, batch_size=plan.batch_size, **{name: wanted},
        )  # fmt: skip
        document[f"find_{name}"] = {"wanted": wanted, "beta": found.beta,
                                    "point": _points(found.curve)[0]}  # fmt: skip
        printer.line(
            f"A {name} of {wanted:g} nats is at β = {found.beta:.5g}: "
            f"rate {_with_error(found.curve, 'rate', 0)}, "
            f"distortion {_with_error(found.curve, 'distortion', 0)}."
        )


def _samples(run: Run, material: Material, split: Any) -> Any:
    data = material.split(split).spread(run.config.evaluation.limit)
    return data.tensor(material.dtype)


def _curve(run: Run, material: Material, betas: np.ndarray, split: Any = "test") -> LearnedCurve:
    plan = run.config.evaluation
    return evaluate_curve(
        run.network, _samples(run, material, split), betas, run.objective.likelihood,
        seed=run.seed, noise_draws=plan.noise_draws, batch_size=plan.batch_size,
    )  # fmt: skip


def _points(curve: LearnedCurve) -> list[dict[str, float]]:
    """One mapping per β."""
    names = ("rate", "distortion", "squared_error", "objective")
    points = []
    for i, beta in enumerate(curve.betas):
        point = {"beta": float(beta)}
        for name in names:
            point[name] = float(getattr(curve, name)[i])
            point[f"{name}_se"] = float(getattr(curve, f"{name}_se")[i])
        points.append(point)
    return points


def _print_curve(
    printer: console.Printer, run: Run, material: Material, curve: LearnedCurve, split: Any
) -> None:
    columns = ["β", "rate", "distortion", "error", "objective"]
    rows = []
    span = material.split(split).data_range
    for i, beta in enumerate(curve.betas):
        row = [console.number(beta, 4), _with_error(curve, "rate", i),
               _with_error(curve, "distortion", i), console.number(curve.squared_error[i], 4),
               _with_error(curve, "objective", i)]  # fmt: skip
        if span is not None:
            peak = psnr(curve.squared_error[i], curve.n_features, data_range=span[1] - span[0])
            row.append(f"{float(peak):.2f}")
        rows.append(row)
    if span is not None:
        columns.append("dB")
    printer.line(f"On {curve.n_samples} samples of the {split} split; nats, ± one standard error; "
                 "squared error summed over features"
                 + ("; PSNR in dB:" if span is not None else ":"))  # fmt: skip
    printer.table(columns, rows)


def _with_error(curve: LearnedCurve, name: str, i: int) -> str:
    value, error = getattr(curve, name)[i], getattr(curve, f"{name}_se")[i]
    return f"{console.number(value, 5)} ± {console.number(error, 1)}"
