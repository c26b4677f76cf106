"""What ``linvae compare`` does: whole experiments, and their tables."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from deep.cli.settings import INTERRUPTED, printer_for, settings_of
from deep.comparison.experiment import run_experiment
from deep.comparison.methods import run_methods
from deep.comparison.plans import compares_methods
from deep.errors import RunInterruptedError
from linvae.cli import console
from linvae.datafiles import json_text

__all__ = ["compare_command"]

_PARTS = 1000  # of a run, on the bar


def compare_command(options: argparse.Namespace) -> int:
    """Run a whole experiment and write its record and its pictures."""
    config = settings_of(options)
    if config is None:
        return 0
    printer = printer_for(options)
    methods = compares_methods(config)
    printer.line(f"{config.title or config.name} Runs: {Path(options.runs) / config.name}")
    wanted = not (options.quiet or options.json)
    with console.progress_bar("training", wanted=wanted) as bar:

        def progress(done: float, total: int) -> None:
            if bar is not None:
                bar(round(_PARTS * done), _PARTS * total)

        try:
            record = (run_methods if methods else run_experiment)(
                config, runs=Path(options.runs), output=Path(options.output),
                command=_command(options), jobs=options.jobs, progress=progress,
            )  # fmt: skip
        except RunInterruptedError as stopped:
            print(f"linvae: interrupted; {stopped} is saved; the same command goes on",
                  file=sys.stderr)  # fmt: skip
            return INTERRUPTED
    (_print_methods if methods else _print_record)(printer, record)
    home = Path(options.output)
    printer.line(f"Written: {home / config.name}.json, and pictures beside it.")
    if options.json:
        print(json_text(record))
    return 0


def _command(options: argparse.Namespace) -> str:
    """What gives the same record; the number of processes does not change it."""
    changes = f" --set {shlex.join(options.set)}" if options.set else ""
    return f"linvae compare {shlex.quote(options.settings)}{changes}"


# --- against an optimum --------------------------------------------------------------------------


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


# --- against one another -------------------------------------------------------------------------

_TITLES = {
    "multi-rate": "One network for all β",
    "dedicated": "One network per β",
    "annealed": "One network per β, with β annealed",
}
_SAID = {"not worse": "not worse", "worse": "worse", "undecided": "undecided", "one seed": "–"}


def _print_methods(printer: console.Printer, record: dict[str, Any]) -> None:
    about = record["statistics"]
    printer.line(f"On {about['n_samples']} held-out samples; nats; means over seeds; squared error "
                 "summed over features.")  # fmt: skip
    for method in record["methods"]:
        printer.heading(_TITLES.get(method["kind"], f"Variant {method['name']}"))
        _print_points(printer, method)
    _print_first(printer, record)
    _print_summaries(printer, record)
    _print_published(printer, record)
    _print_quality(printer, record)
    _print_cost(printer, record)


def _print_points(printer: console.Printer, method: dict[str, Any]) -> None:
    columns = ["rate", "distortion", "squared_error", "objective", "active_units"]
    names = ["β", "rate", "distortion", "error", "objective", "active"]
    rows = []
    for point in method["points"]:
        row = [console.number(point["beta"], 4), *(console.number(point[c]) for c in columns)]
        rows.append([*row, f"{point['psnr']:.2f}"] if "psnr" in point else row)
    printer.table([*names, "dB"] if rows and len(rows[0]) > len(names) else names, rows)


def _print_first(printer: console.Printer, record: dict[str, Any]) -> None:
    """The comparison that matters most, β by β: the multi-rate network and dedicated ones."""
    name = record["methods"][0]["name"]
    for comparison in record["comparisons"]:
        if comparison["method"] != name:
            continue
        printer.heading(f"{name} over {comparison['baseline']}")
        rows = []
        for row in comparison["rows"]:
            ends, upper = row["interval"], row["upper"]
            rows.append([
                console.number(row["beta"], 4), _per_cent(row["excess"]),
                "–" if ends is None else f"{_per_cent(ends[0])} to {_per_cent(ends[1])}",
                "–" if upper is None else _per_cent(upper), _SAID[row["verdict"]],
            ])  # fmt: skip
        level = 100 * record["statistics"]["confidence"]
        printer.table(("β", "excess", f"{level:g} % interval", "one-sided", "verdict"), rows)


def _print_summaries(printer: console.Printer, record: dict[str, Any]) -> None:
    if not record["comparisons"]:
        return
    margin = 100 * record["statistics"]["margin"]
    printer.heading(f"Relative excess of the objective; not worse: by less than {margin:g} %")
    rows = []
    for comparison in record["comparisons"]:
        about = comparison["summary"]
        rows.append([comparison["method"], comparison["baseline"], _per_cent(about["worst"]),
                     console.number(about["worst_beta"], 3), _per_cent(about["mean"]),
                     _SAID[about["verdict"]]])  # fmt: skip
    printer.table(("method", "over", "worst", "at β", "mean", "at every β"), rows, text=2)


def _print_published(printer: console.Printer, record: dict[str, Any]) -> None:
    published = record["published"]
    if published is None or not published["excess"]:
        return
    printer.line()
    shown = ", ".join(_per_cent(row["excess"]) for row in published["excess"])
    printer.line(f"Over published numbers, from the smallest β to the largest: {shown}. "
                 f"{published['source']}")  # fmt: skip


def _print_quality(printer: console.Printer, record: dict[str, Any]) -> None:
    if record["quality"] is None:
        return
    measured = record["quality"]["methods"]
    printer.heading("Fréchet distance of samples and of reconstructions")
    rows = [
        [found["method"], str(found["seed"]), console.number(beta, 4),
         console.number(found["frechet_samples"][i]),
         console.number(found["frechet_reconstructions"][i])]
        for found in measured for i, beta in enumerate(found["betas"])
    ]  # fmt: skip
    printer.table(("method", "seed", "β", "samples", "reconstructions"), rows, text=1)
    first = measured[0]
    printer.line(f"Over {first['n_images']} images; features: {first['features']}; as many real "
                 f"images are {console.number(first['floor'])} apart.")  # fmt: skip


def _print_cost(printer: console.Printer, record: dict[str, Any]) -> None:
    cost = record["cost"]
    printer.heading("Cost of one seed")
    rows = [
        [c["method"], str(c["runs"]), _seconds(c["seconds"]), _seconds(c["seconds_per_run"]),
         str(c["parameters"]), str(c["steps"])]
        for c in cost["per_method"]
    ]  # fmt: skip
    names = ("method", "runs", "seconds", "per run", "parameters", "steps")
    printer.table(names, rows, text=1)
    if cost["ratio"] is not None:
        printer.line(f"The dedicated networks together took {cost['ratio']:.2f} times as long as "
                     f"the one, which has {cost['parameter_ratio']:.4f} times the parameters of "
                     "each of them.")  # fmt: skip


def _seconds(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else console.number(value, 3)


def _per_cent(value: float) -> str:
    return f"{100 * value:+.2f} %"
