"""What ``linvae train | evaluate | compare`` do."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from deep._checks import fail
from deep.config import ExperimentConfig
from deep.errors import ConfigError, RunInterruptedError
from deep.evaluation.curve import LearnedCurve, evaluate_curve
from deep.evaluation.curves import area_under_curve, psnr
from deep.evaluation.importance import importance_weighted_nll
from deep.evaluation.latents import active_units
from deep.evaluation.search import find_beta
from deep.presets import PRESETS
from deep.runs import (
    Material,
    Run,
    dedicated_settings,
    is_multi_rate,
    load_run,
    run_name,
    train_run,
)
from deep.settings import as_plain, read_settings, with_overrides
from linvae.cli import console
from linvae.datafiles import json_text

__all__ = ["compare_command", "evaluate_command", "train_command"]

_INTERRUPTED = 130


def _settings(options: argparse.Namespace) -> ExperimentConfig | None:
    """Settings with the changes of the command line; None when only a list was wanted."""
    printer = _printer(options)
    if options.list:
        printer.table(("preset", "what it is"), [(p.name, p.title) for p in PRESETS.values()],
                      text=2)  # fmt: skip
        if options.json:
            print(json_text({name: preset.title for name, preset in PRESETS.items()}))
        return None
    if options.settings is None:
        fail("SETTINGS", "nothing", "the name of a preset or of a YAML file",
             "see the presets with --list", ConfigError)  # fmt: skip
    config = with_overrides(read_settings(options.settings), options.set)
    if options.show:
        if options.json:
            print(json_text(as_plain(config)))
            return None
        print(yaml.safe_dump(as_plain(config), sort_keys=False, allow_unicode=True).rstrip())
        return None
    return config


def _printer(options: argparse.Namespace) -> console.Printer:
    return console.Printer(quiet=options.quiet or options.json)


# --- linvae train --------------------------------------------------------------------------------


def train_command(options: argparse.Namespace) -> int:
    """Train one network into a folder."""
    config = _settings(options)
    if config is None:
        return 0
    if options.dedicated is not None:
        config = dedicated_settings(config, options.dedicated)
    seed = config.seeds[0] if options.seed is None else options.seed
    if seed < 0:
        fail("--seed", seed, "an integer >= 0", "choose one", ConfigError)
    folder = Path(options.output or Path("runs") / config.name / run_name(config, seed))
    printer = _printer(options)
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
        return _INTERRUPTED
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
    printer = _printer(options)
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
    data = material.split(split).first(run.config.evaluation.limit)
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


# --- linvae compare ------------------------------------------------------------------------------


def compare_command(options: argparse.Namespace) -> int:
    """Run a whole experiment and write its record and its picture."""
    from deep.comparison.experiment import run_experiment

    config = _settings(options)
    if config is None:
        return 0
    printer = _printer(options)
    wanted = not (options.quiet or options.json)
    printer.line(f"{config.title or config.name} Runs: {Path(options.runs) / config.name}")
    with console.progress_bar("training", wanted=wanted) as bar:

        def progress(name: str, number: int, total: int) -> Any:
            if bar is None:
                return None
            return lambda done, steps: bar(number * steps + done, total * steps)

        try:
            record = run_experiment(
                config, runs=Path(options.runs), output=Path(options.output),
                command=_command(options), progress=progress,
            )  # fmt: skip
        except RunInterruptedError as stopped:
            print(f"linvae: interrupted; {stopped} is saved; the same command goes on",
                  file=sys.stderr)  # fmt: skip
            return _INTERRUPTED
    _print_record(printer, record)
    for suffix in ("json", "png"):
        printer.line(f"Written: {Path(options.output) / config.name}.{suffix}")
    if options.json:
        print(json_text(record))
    return 0


def _command(options: argparse.Namespace) -> str:
    changes = f" --set {shlex.join(options.set)}" if options.set else ""
    return f"linvae compare {shlex.quote(options.settings)}{changes}"


def _print_record(printer: console.Printer, record: dict[str, Any]) -> None:
    for name, title in (
        ("multi_rate", "One network for all β"),
        ("dedicated", "One network per β"),
    ):
        if not record[name]:
            continue
        printer.heading(title)
        rows = []
        for point in record[name]:
            share = "(< 1 nat)" if point["in_nats"] else f"{100 * point['normalised_excess']:.2f} %"
            numbers = (point[key] for key in ("beta", "rate", "distortion", "optimum"))
            excess = f"{point['excess_nats']:.4f} ± {console.number(point['excess_nats_se'], 1)}"
            rows.append([*(console.number(v, 5) for v in numbers), excess, share])
        printer.table(("β", "rate", "distortion", "optimum", "excess", "of collapse"), rows)
    printer.line()
    printer.line(f"Reference: {record['reference']['statement']}")
    cost = record["cost"]
    printer.line(f"{cost['parameters']} parameters; {cost['multi_rate_seconds']:.0f} s of training"
                 + (f", {cost['dedicated_seconds']:.0f} s for the dedicated networks together."
                    if cost["dedicated_seconds"] else "."))  # fmt: skip
