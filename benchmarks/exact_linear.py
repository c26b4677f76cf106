"""Exact training of the linear multi-rate VAE: ``python -m benchmarks.exact_linear FOLDER``.

FOLDER holds the original ``train-images-idx3-ubyte.gz`` of MNIST. Pixels in [0, 1], 32 latents,
σ² = ½, β from 0.01 to 10; nothing is sampled. Three questions, each judged by the exact frontier:
what the written-out parameters lose, what training makes of them after a perturbation of 1 %, and
what it reaches from random starts with each kind of gate.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import linvae as lv
from deep.comparison.linear import compare, write_out
from deep.networks.linear import MultiRateLinearVAE
from deep.networks.linear_parts import whitening
from deep.training.exact import Schedule, polish, threads, train_linear

from .mnist_frontier import FILE, read_images
from .record import RESULTS, conditions, write_json

__all__ = ["Problem", "main"]

LATENT_DIM, NOISE_VARIANCE, BETA_RANGE = 32, 0.5, (0.01, 10.0)
# "sigmoid" is the published form; a sigmoid encoder cannot be exact at the joint optimum.
GATES = {
    "corrected": {},
    "smoothed": {},
    "sigmoid": {"encoder_gate": "sigmoid", "posterior_gate": "sigmoid"},
}


class Problem:
    """The data, their frontier, and the grids on which networks are judged."""

    def __init__(self, spectrum: lv.Spectrum, latent_dim: int, noise_variance: float) -> None:
        self.spectrum = spectrum
        self.noise_variance = noise_variance
        self.latent_dim = latent_dim
        self.frontier = lv.Frontier(spectrum, latent_dim=latent_dim, noise_variance=noise_variance)
        self.covariance = torch.tensor(spectrum.covariance)
        self.mean = torch.tensor(spectrum.mean)
        self.whitening = whitening(self.covariance)
        self.ten = np.geomspace(*BETA_RANGE, 10)
        critical = self.frontier.critical_betas
        critical = critical[(critical > BETA_RANGE[0]) & (critical < BETA_RANGE[1])]
        near = np.concatenate([critical * f for f in (0.99, 0.999, 1.0, 1.001, 1.01)])
        near = near[(near >= BETA_RANGE[0]) & (near <= BETA_RANGE[1])]
        self.fine = np.sort(np.concatenate([np.geomspace(*BETA_RANGE, 1000), near]))

    def network(self, seed: int, **options: Any) -> MultiRateLinearVAE:
        """A network at a random start, in whitened coordinates."""
        return MultiRateLinearVAE(
            self.spectrum.n_features,
            self.latent_dim,
            beta_range=BETA_RANGE,
            generator=torch.Generator().manual_seed(seed),
            mean=self.mean,
            whitening=self.whitening,
            **options,
        )

    def judge(self, model: MultiRateLinearVAE) -> dict[str, Any]:
        """Excess on the fine grid, summed up, and at ten β's."""

        def excess(betas: NDArray[np.float64]) -> Any:
            return compare(model, betas, spectrum=self.spectrum, frontier=self.frontier)

        fine = np.concatenate([excess(part).excess_nats for part in np.array_split(self.fine, 8)])
        at_ten = excess(self.ten)
        return {
            "mean_excess_nats": fine.mean(),
            "worst_excess_nats": fine.max(),
            "worst_at_beta": self.fine[fine.argmax()],
            "largest_absolute_excess_nats": np.abs(fine).max(),
            "excess_nats": at_ten.excess_nats,
            "normalised_excess": at_ten.normalised_excess,
            "in_nats": at_ten.in_nats,
        }


def _perturbed(problem: Problem, size: float) -> tuple[dict[str, Any], ...]:
    model = problem.network(0)
    hyper = lv.Hypernetwork.exact(
        problem.spectrum, latent_dim=problem.latent_dim, noise_variance=problem.noise_variance
    )
    write_out(model, hyper)
    exact = problem.judge(model)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1 + size * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    before = problem.judge(model)
    start, work = time.perf_counter(), time.process_time()
    polish(model, problem.covariance, noise_variance=problem.noise_variance)
    after = problem.judge(model) | _spent(start, work)
    return exact, before, after


def _from_random(
    problem: Problem, gates: str, recipe: str, seed: int, plan: Schedule, iterations: int
) -> dict[str, Any]:
    model = problem.network(seed, **GATES[gates])
    start, work = time.perf_counter(), time.process_time()
    if recipe == "L-BFGS":
        sharpness = (20.0,) if gates == "smoothed" else (float("inf"),)
        polish(model, problem.covariance, noise_variance=problem.noise_variance,
               iterations=iterations, sharpness=sharpness)  # fmt: skip
    else:
        # Exact gates from the first step on, or smoothed ones that sharpen.
        used = replace(plan, exact=1.0, polish=0) if gates == "corrected" else plan
        train_linear(model, problem.covariance, noise_variance=problem.noise_variance,
                     schedule=used)  # fmt: skip
    spent = _spent(start, work)
    return {"gates": gates, "recipe": recipe, "seed": seed, **spent, **problem.judge(model)}


def _spent(start: float, work: float) -> dict[str, float]:
    return {
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - work,
    }


def main(argv: list[str] | None = None) -> int:
    """Write results/exact-linear-mnist.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=300, help="of plain L-BFGS")
    parser.add_argument("--steps", type=int, default=Schedule().steps, help="of Adam")
    parser.add_argument("--output", type=Path, default=RESULTS / "exact-linear-mnist.json")
    options = parser.parse_args(argv)
    path = options.folder / FILE
    spectrum = lv.Spectrum.from_samples(read_images(options.folder) / 255.0)
    problem = Problem(spectrum, LATENT_DIM, NOISE_VARIANCE)
    plan = replace(Schedule(), steps=options.steps)
    record: dict[str, Any] = {
        "experiment": "exact training of the linear multi-rate VAE on MNIST's covariance",
        "command": "python -m benchmarks.exact_linear FOLDER",
        "data": {"file": FILE, "md5": hashlib.md5(path.read_bytes()).hexdigest()},
        "units": "excess in nats above the frontier; normalised by what ignoring the data loses",
        "latent_dim": LATENT_DIM,
        "noise_variance": NOISE_VARIANCE,
        "beta_range": BETA_RANGE,
        "betas": problem.ten,
        "grid": f"{problem.fine.size} β's, more of them near critical ones",
        "schedule": vars(plan),
        "conditions": conditions("torch"),
    }
    with threads(1):
        exact, before, after = _perturbed(problem, 0.01)
        record |= {"written_out": exact, "perturbed": before, "after_training": after, "runs": []}
        _say("written out", exact)
        _say("perturbed by 1 %", before)
        _say("after training", after)
        for gates in GATES:
            for recipe in ("default", "L-BFGS"):
                for seed in range(options.seeds):
                    run = _from_random(problem, gates, recipe, seed, plan, options.iterations)
                    record["runs"].append(run)
                    _say(f"{gates} gates, {recipe}, seed {seed}", run)
                    write_json(options.output, record)  # a broken run leaves what is done
    return 0


def _say(what: str, result: dict[str, Any]) -> None:
    time_taken = f"; {result['processor_seconds']:.0f} s" if "processor_seconds" in result else ""
    print(
        f"{what}: excess {result['mean_excess_nats']:.2g} nats on average, at most "
        f"{result['worst_excess_nats']:.2g} (β = {result['worst_at_beta']:.3g}){time_taken}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
