"""Trained linear multi-rate VAE against the frontier: ``python -m benchmarks.digits_multi_rate``.

The training of ``linvae demo`` (digits, 16 latents, maximum-likelihood σ²), once per seed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from sklearn.datasets import load_digits

import linvae as lv
from deep.demo import DemoResult, run
from linvae.calibrated import calibrated_noise_variance

from .record import RESULTS, conditions, write_json

__all__ = ["main"]

LATENT_DIM = 16
BETA_RANGE = (1.0, 100.0)


def _record(seed: int, result: DemoResult) -> dict[str, Any]:
    names = ("betas", "rate", "distortion", "squared_error", "objective", "optimum", "excess_nats")
    counted = ~result.in_nats
    return {
        "seed": seed,
        "seconds": result.seconds,
        "worst_share_of_collapse": float(result.normalised_excess[counted].max()),
        "worst_excess_nats": float(result.excess_nats.max()),
        "worst_excess_nats_where_little_to_lose": float(result.excess_nats[~counted].max()),
        **{name: getattr(result, name) for name in names},
    }


def main(argv: list[str] | None = None) -> int:
    """Train, print the worst gaps, write results/digits-multi-rate.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS / "digits-multi-rate.json")
    options = parser.parse_args(argv)
    samples = load_digits().data
    spectrum = lv.Spectrum.from_samples(samples)
    variance = calibrated_noise_variance(spectrum, 1.0, latent_dim=LATENT_DIM)
    frontier = lv.Frontier(spectrum, latent_dim=LATENT_DIM, noise_variance=variance)
    runs = []
    for seed in range(options.seeds):
        result = run(
            samples,
            latent_dim=LATENT_DIM,
            noise_variance=variance,
            beta_range=BETA_RANGE,
            spectrum=spectrum,
            frontier=frontier,
            seed=seed,
        )
        runs.append(_record(seed, result))
        last = runs[-1]
        print(
            f"seed {seed}: at worst {100 * last['worst_share_of_collapse']:.3f} % of collapse, "
            f"{last['worst_excess_nats']:.4f} nats; {last['seconds']:.0f} s"
        )
    write_json(
        options.output,
        {
            "experiment": "two-layer linear multi-rate VAE, digits, against the exact frontier",
            "command": "python -m benchmarks.digits_multi_rate",
            "data": {"name": "digits of scikit-learn", "n_samples": 1797, "n_features": 64},
            "latent_dim": LATENT_DIM,
            "noise_variance": variance,
            "beta_range": BETA_RANGE,
            "units": "nats; squared error in squared pixel values (0 to 16)",
            "conditions": conditions("torch", "scikit-learn"),
            "runs": runs,
        },
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
