"""The main job on real input: handwritten digits, from the spectrum to the checked theory.

Training is done by whatever announces itself under the entry-point group ``linvae.demo``; this
package knows only the shape of what comes back, :class:`DemoResult`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from linvae._validation import FloatArray
from linvae.datafiles import json_text, load_data, refuse, save_json
from linvae.frontier import Frontier
from linvae.spectrum import Spectrum

from . import console
from .problem import Problem, claims_as_plain, curve_as_plain, points_as_plain, run_claims

__all__ = ["DemoResult", "Trainer", "demo_command"]

_GROUP = "linvae.demo"
_LATENT_DIM = 16
_POINTS = 10
_INSTALL = "To install it, in the checkout: pip install -e '.[deep]'"
_FILES = ("frontier.json", "frontier.png", "frontier.svg", "claims.json")


class DemoResult(Protocol):
    """What the training part hands back; arrays have one entry per β.

    Attributes
    ----------
    title : str
        What was trained.
    betas : array (B,)
    rate, distortion, objective : array (B,)
        Of the trained model on the samples, nats.
    squared_error : array (B,)
        Summed over dimensions, squared data units.
    optimum : array (B,)
        Smallest possible objective at each β, nats.
    excess_nats : array (B,)
        objective − optimum.
    normalised_excess : array (B,)
        Excess relative to what a collapsed model would lose; in nats where in_nats is True.
    in_nats : array of bool (B,)
    seconds : float
        Time the training took.
    lines : sequence of str
        What there is to say about it, one sentence each.
    """

    title: str
    betas: FloatArray
    rate: FloatArray
    distortion: FloatArray
    squared_error: FloatArray
    objective: FloatArray
    optimum: FloatArray
    excess_nats: FloatArray
    normalised_excess: FloatArray
    in_nats: NDArray[np.bool_]
    seconds: float
    lines: list[str]


# run(samples, *, latent_dim, noise_variance, beta_range, spectrum, frontier, progress, seed)
Trainer = Callable[..., DemoResult]


def demo_command(options: argparse.Namespace) -> int:
    """Run the demo; 1 when a claim fails."""
    directory = _directory(options.output)
    printer = console.Printer(quiet=options.quiet or options.json)
    data = load_data("digits")
    spectrum = Spectrum.from_samples(data.samples)
    problem = Problem.choose(data, spectrum, _LATENT_DIM, "ml")
    curve = problem.frontier()
    beta_range = console.decades(curve.critical_betas)
    points = curve.at_beta(np.geomspace(*beta_range, _POINTS))

    printer.line(
        "A variational autoencoder with KL weight β trades rate (nats spent on a sample) against "
        "distortion (how badly the sample is restored). For linear networks the best trade-off is "
        "known exactly. Here it is for real images, checked, and held against a trained network."
    )
    printer.heading("1. The data and the exact frontier")
    for line in (*problem.in_words(), *console.curve_in_words(curve)):
        printer.line(line)
    printer.line()
    console.curve_table(printer, points)
    printer.line()
    for line in console.conventions(spectrum.n_features):
        printer.line(line)

    printer.heading("2. Every claim of the theory, checked on these data")
    checks = run_claims(problem, None, options.quiet)
    console.claim_table(printer, checks)
    claims = {**problem.as_plain("demo"), "claims": claims_as_plain(checks)}
    save_json(directory / "claims.json", claims)

    printer.heading("3. A trained network against the exact curve")
    result, sentences = _train(problem, curve, beta_range, options, printer)
    for line in sentences:
        printer.line(line)
    if result is not None:
        _print_result(printer, result)

    _draw(curve, beta_range, result, directory)
    document = problem.as_plain("demo")
    document["curve"] = curve_as_plain(curve)
    document["points"] = points_as_plain(points)
    document["training"] = " ".join(sentences) if result is None else _result_as_plain(result)
    save_json(directory / "frontier.json", document)

    printer.heading("What was found")
    for line in _findings(problem, curve, checks, result):
        printer.line(line, bullet="* ")
    for name in _FILES:
        printer.line(f"Written: {directory / name}")
    if options.json:
        files = [str(directory / name) for name in _FILES]
        print(json_text({**document, "claims": claims["claims"], "files": files}))
    return 0 if all(check.passed for check in checks) else 1


def _directory(name: str) -> Path:
    if not name:  # it would mean the current directory
        refuse("--output", repr(name), "a directory, or a name for a new one", "name one")
    path = Path(name)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refuse("--output", f"{name!r} ({error.strerror})", "a directory, or a name for a new one",
               "choose another name")  # fmt: skip
    if not os.access(path, os.W_OK | os.X_OK):
        refuse("--output", f"{name!r}, which may not be written to", "a writable directory",
               "choose another directory")  # fmt: skip
    return path


def _train(
    problem: Problem,
    curve: Frontier,
    beta_range: tuple[float, float],
    options: argparse.Namespace,
    printer: console.Printer,
) -> tuple[DemoResult | None, list[str]]:
    """Return what was trained, or None, and what to say about it."""
    if options.no_train:
        return None, ["Training was left out, as asked with --no-train."]
    try:
        trainer = _trainer()
    except ImportError as error:
        missing = "PyTorch is not installed" if error.name == "torch" else f"{error}"
        return None, [f"Training was left out: {missing}.", _INSTALL]
    if trainer is None:
        return None, ["Training was left out: that part is not installed.", _INSTALL]
    printer.line("Training one network for all β at once; this takes up to a minute or so ...")
    with console.progress_bar("training", wanted=not options.quiet) as progress:
        result = trainer(problem.data.samples, beta_range=beta_range, spectrum=problem.spectrum,
                         frontier=curve, progress=progress, seed=0, **problem.model)  # fmt: skip
    return result, [f"{result.title}, trained in {result.seconds:.0f} s."]


def _trainer() -> Trainer | None:
    """Return the first registered training function, by name; ImportError if it does not load."""
    for entry in sorted(entry_points(group=_GROUP), key=lambda entry: entry.name):
        trainer: Trainer = entry.load()
        return trainer
    return None


def _print_result(printer: console.Printer, result: DemoResult) -> None:
    number = console.number
    rows = []
    for i in range(len(result.betas)):
        share = "(< 1 nat)"
        if not result.in_nats[i]:
            share = f"{100 * result.normalised_excess[i]:.3f} %"
        values = (result.rate[i], result.distortion[i], result.objective[i], result.optimum[i])
        cells = [f"{value:.4f}" for value in (*values, result.excess_nats[i])]
        rows.append([number(result.betas[i]), *cells, share])
    printer.table(
        ("β", "rate", "distortion", "objective", "optimum", "excess", "of collapse"), rows
    )
    printer.line(
        "excess: objective minus the exact optimum, in nats; of collapse: the same as a share of "
        "what a model that ignores the data would lose, where that is more than 1 nat."
    )
    for line in result.lines:
        printer.line(line)


def _result_as_plain(result: DemoResult) -> dict[str, Any]:
    return {name: getattr(result, name) for name in DemoResult.__annotations__}


def _draw(
    curve: Frontier, beta_range: tuple[float, float], result: DemoResult | None, directory: Path
) -> None:
    from linvae import plotting

    middle = float(np.sqrt(beta_range[0] * beta_range[1]))
    figure, (left, right) = plotting.new_figure(2)
    points = None if result is None else (result.rate, result.distortion)
    plotting.plot_frontier(curve, left, points=points, points_label="trained network",
                           tangent_at=middle)  # fmt: skip
    plotting.plot_water_filling(curve, middle, right)
    for name in ("frontier.png", "frontier.svg"):
        plotting.save_figure(figure, directory / name)


def _findings(
    problem: Problem, curve: Frontier, checks: list[Any], result: DemoResult | None
) -> list[str]:
    number = console.number
    critical = curve.critical_betas
    ordinary = curve.at_beta(1.0)
    total = problem.spectrum.total_variance
    left = 100 * float(ordinary.squared_error) / total
    lines = [
        f"An ordinary linear VAE (β = 1) with {curve.latent_dim} latents spends "
        f"{number(ordinary.rate, 3)} nats ({number(ordinary.rate / np.log(2), 3)} bits) on a digit "
        f"and leaves {left:.0f}\u00a0% of the variance as squared error. At this rate no linear "
        "VAE of its size leaves less.",
        f"As β grows the modes switch off one by one, the last to stay at β = "
        f"{number(critical[0], 3)}, the first to go at β = {number(critical[-1], 3)}. From "
        f"β = {number(critical[0], 3)} on the best model ignores its input.",
        console.claim_summary(checks),
    ]
    if result is not None:
        worst = int(np.argmax(result.excess_nats))
        sentence = (
            f"The trained network is at worst {number(result.excess_nats[worst], 3)} nats above "
            f"the exact optimum (at β = {number(result.betas[worst], 3)})"
        )
        shares = np.asarray(result.normalised_excess)[~np.asarray(result.in_nats)]
        if shares.size:
            sentence += (
                f"; it loses at most {number(100 * shares.max(), 3)}\u00a0% of what a model that "
                "ignores the data would lose, wherever that is more than 1 nat"
            )
        lines.append(sentence + ".")
    lines.append(
        "The picture shows distortion against rate with the critical β's marked and a tangent of "
        "slope −β (left), and what is transmitted and what is left at that β (right)."
    )
    return lines
