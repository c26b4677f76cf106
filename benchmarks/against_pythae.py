"""Ten β's from a trained β-VAE of Pythae, and from us: ``python -m benchmarks.against_pythae``.

Pythae's BetaVAE with a linear encoder and decoder is trained by Pythae's own trainer once for each
β, on the training digits. Beside it stand one training of our multi-rate linear network for all β
and the closed form. All are judged by the closed form on the same data, exactly: the objective at
each β, less its smallest possible value. ``make`` installs Pythae with the rest, without the
packages that it asks for and does not use here.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import linvae as lv
from deep.adapters.libraries import seed_all
from deep.adapters.pythae_models import TRAINING, _made
from deep.comparison.linear import compare
from deep.material import Material
from deep.presets import PRESETS
from deep.runs import train_run
from deep.training.exact import threads

from .pictures import COLOURS, MARKERS, finished, panels, picture_path, save_figure, stems
from .record import RESULTS, conditions, write_json
from .timing import FloatArray, interleaved

__all__ = ["Problem", "closed_form", "main", "multi_rate", "pythae"]

PRESET = "fig4-linear-mnist"
NOISE_VARIANCE = 1.0  # of Pythae's loss: half the squared error, plus β times the rate
LATENTS, BETA_RANGE, POINTS = 8, (0.01, 0.5), 10
EPOCHS = {"pythae": TRAINING["num_epochs"], "multi-rate": 2000}


@dataclass(frozen=True)
class Problem:
    """The data and the exact curve by which everybody is judged."""

    material: Material
    betas: FloatArray

    @classmethod
    def of_digits(cls, epochs: int, points: int = POINTS) -> Problem:
        """The digits, and settings of our training with so many epochs."""
        config = PRESETS[PRESET].with_changes(
            name="digits-linear",
            title="A two-layer linear VAE on the digits, for all β.",
            data={"name": "digits"},
            model={"latent_dim": LATENTS},
            likelihood={"noise_variance": NOISE_VARIANCE},
            beta={"low": BETA_RANGE[0], "high": BETA_RANGE[1]},
            training={"epochs": epochs, "batch_size": 500, "latents": "expected"},
        )
        return cls(Material(config), np.geomspace(*BETA_RANGE, points))

    @property
    def samples(self) -> FloatArray:
        """Training samples (N, n) in float32, as all see them."""
        return np.asarray(self.material.split("train").tensor().numpy(), dtype=np.float32)

    @property
    def spectrum(self) -> lv.Spectrum:
        """Of the training samples."""
        return self.material.spectrum

    @property
    def frontier(self) -> lv.Frontier:
        """The optimum."""
        return lv.Frontier(self.spectrum, latent_dim=LATENTS, noise_variance=NOISE_VARIANCE)


def closed_form(problem: Problem, rounds: int) -> dict[str, Any]:
    """Samples to the points of the curve."""
    samples, betas = problem.samples, problem.betas

    def run() -> Any:
        spectrum = lv.Spectrum.from_samples(samples)
        curve = lv.Frontier(spectrum, latent_dim=LATENTS, noise_variance=NOISE_VARIANCE)
        return curve.at_beta(betas)

    points, want = run(), problem.frontier.at_beta(betas)
    return {
        "seconds": median(interleaved({"ours": run}, rounds)["ours"]),
        "excess_nats": points.objective - want.objective,
    }


def multi_rate(problem: Problem, seed: int) -> dict[str, Any]:
    """One training for all β's of the range."""
    start = time.perf_counter()
    run = train_run(problem.material.config, problem.material, seed=seed)
    seconds = time.perf_counter() - start
    found = compare(
        run.network, problem.betas, spectrum=problem.spectrum, frontier=problem.frontier
    )
    return {"seconds": seconds, "excess_nats": found.excess_nats}


def pythae(problem: Problem, epochs: int, seed: int) -> dict[str, Any]:
    """A training for each β."""
    seconds, excess = [], []
    for beta in problem.betas:
        start = time.perf_counter()
        model = _trained(problem.samples, float(beta), epochs, seed)
        seconds.append(time.perf_counter() - start)
        reached = model.evaluate(problem.spectrum, beta).objective
        excess.append(float(reached - problem.frontier.at_beta(beta).objective))
    return {"seconds": sum(seconds), "seconds_each": seconds, "excess_nats": excess}


def _trained(samples: FloatArray, beta: float, epochs: int, seed: int) -> lv.LinearVAE:
    """Trained by Pythae as its users do, with the milestones of the adapter moved along."""
    from pythae.models import BetaVAE
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    milestones = [
        max(1, m * epochs // TRAINING["num_epochs"])
        for m in TRAINING["scheduler_params"]["milestones"]
    ]
    plan = {
        **TRAINING,
        "num_epochs": epochs,
        "scheduler_params": {**TRAINING["scheduler_params"], "milestones": milestones},
    }
    seed_all(seed)
    model = _made(BetaVAE, samples.shape[1], LATENTS, beta)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        settings = BaseTrainerConfig(output_dir=folder, seed=seed, no_cuda=True, **plan)
        pipeline = TrainingPipeline(model=model, training_config=settings)
        pipeline(train_data=samples)
    return _read_off(pipeline.trainer._best_model)


@contextlib.contextmanager
def _quiet() -> Any:
    """Without progress bars and what is logged about every run."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _read_off(model: Any) -> lv.LinearVAE:
    def array(tensor: Any) -> FloatArray:
        return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float64)

    encoder, decoder = model.encoder, model.decoder
    return lv.LinearVAE(
        encoder=array(encoder.mean.weight),
        posterior_variance=np.exp(array(encoder.log_variance)),
        decoder=array(decoder.mean.weight),
        noise_variance=NOISE_VARIANCE,
        encoder_offset=np.zeros(encoder.mean.in_features),
        decoder_offset=array(decoder.mean.bias),
        latent_offset=array(encoder.mean.bias),
    )


def _draw(problem: Problem, ways: dict[str, dict[str, Any]], path: Path) -> None:
    figure, (left, right) = panels(1, 2, width=5.0, height=3.2)
    for turn, name in enumerate([name for name in ways if name != "closed form"]):
        left.loglog(problem.betas, np.maximum(ways[name]["excess_nats"], 1e-9), color=COLOURS[turn],
                    marker=MARKERS[turn], mfc="white", label=name)  # fmt: skip
    finished(left, "β", "objective above the optimum, nats", "What training leaves", legend="best")
    stems(right, list(ways), [way["seconds"] for way in ways.values()],
          f"seconds for {problem.betas.size} β's", "What it takes")  # fmt: skip
    save_figure(figure, path)


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write results/benchmark-pythae.json and a picture beside it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS["pythae"], help="of Pythae, each β")
    parser.add_argument("--our-epochs", type=int, default=EPOCHS["multi-rate"])
    parser.add_argument("--betas", type=int, default=POINTS)
    parser.add_argument("--rounds", type=int, default=15, help="of the closed form")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULTS / "benchmark-pythae.json")
    options = parser.parse_args(argv)
    problem = Problem.of_digits(options.our_epochs, options.betas)
    each = f"Pythae, {options.betas} trainings"
    with threads(options.threads):
        ways = {
            "closed form": closed_form(problem, options.rounds),
            "multi-rate, one training": multi_rate(problem, options.seed),
            each: pythae(problem, options.epochs, options.seed),
        }
    base = ways["closed form"]["seconds"]
    for name, way in ways.items():
        way["largest_excess_nats"] = float(np.max(way["excess_nats"]))
        way["times_the_closed_form"] = way["seconds"] / base
        print(f"{name:28s} {way['seconds']:10.4g} s  {way['times_the_closed_form']:10.3g} x the "
              f"closed form; at most {way['largest_excess_nats']:.2g} nats above it")  # fmt: skip
    content = {
        "experiment": "the curve of linear VAEs on the digits at ten β's: closed form, one "
        "multi-rate training, and a training of Pythae's BetaVAE for each β",
        "command": "python -m benchmarks.against_pythae",
        "conditions": {**conditions("torch", "pythae"), "torch_threads": options.threads},
        "data": {"name": "digits", "samples": len(problem.samples),
                 "features": problem.spectrum.n_features},
        "latents": LATENTS,
        "noise_variance": NOISE_VARIANCE,
        "betas": problem.betas,
        "collapsed_loss_nats": problem.frontier.collapsed_loss(problem.betas),
        "epochs": {"pythae": options.epochs, "multi-rate": options.our_epochs},
        "seed": options.seed,
        "ways": ways,
    }  # fmt: skip
    write_json(options.output, content)
    _draw(problem, ways, picture_path(options.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
