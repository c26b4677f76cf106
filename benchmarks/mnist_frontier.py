"""Exact frontier of MNIST at ten β's: ``python -m benchmarks.mnist_frontier FOLDER``.

FOLDER holds the original ``train-images-idx3-ubyte.gz``. Pixels are scaled to [0, 1]; 32 latents;
σ² = ½, so that the objective is the summed squared error plus β times the rate (plus a constant).
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

import linvae as lv
from deep.data.idx import read_idx

from .record import RESULTS, conditions, write_json

__all__ = ["frontier_record", "main", "read_images"]

FILE = "train-images-idx3-ubyte.gz"


def read_images(folder: Path) -> np.ndarray[Any, Any]:
    """Training images of a folder as rows of uint8."""
    images = read_idx(folder / FILE, ndim=3, dtype=np.uint8)
    return images.reshape(len(images), -1)


def frontier_record(samples: Any, latent_dim: int, noise_variance: float) -> dict[str, Any]:
    """The frontier of samples at ten β's, as a dictionary."""
    spectrum = lv.Spectrum.from_samples(samples)
    curve = lv.Frontier(spectrum, latent_dim=latent_dim, noise_variance=noise_variance)
    betas = np.logspace(-2, 1, 10)
    points = curve.at_beta(betas)
    return {
        "n_samples": spectrum.n_samples,
        "n_features": spectrum.n_features,
        "rank": spectrum.rank,
        "total_variance": spectrum.total_variance,
        "latent_dim": latent_dim,
        "noise_variance": noise_variance,
        "curve": curve.kind,
        "critical_betas": curve.critical_betas,
        "points": [
            {
                "beta": points.beta[i],
                "rate": points.rate[i],
                "distortion": points.distortion[i],
                "squared_error": points.squared_error[i],
                "objective": points.objective[i],
                "active": points.active[i],
                "collapsed_loss": curve.collapsed_loss(betas)[i],
            }
            for i in range(betas.size)
        ],
    }


def main(argv: list[str] | None = None) -> int:
    """Write results/mnist-frontier.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=RESULTS / "mnist-frontier.json")
    options = parser.parse_args(argv)
    path = options.folder / FILE
    images = read_images(options.folder)
    record = {
        "experiment": "exact linear frontier of MNIST (training images, pixels in [0, 1])",
        "command": "python -m benchmarks.mnist_frontier FOLDER",
        "data": {"file": FILE, "md5": hashlib.md5(path.read_bytes()).hexdigest()},
        "units": "rate, distortion, objective, collapsed_loss in nats; squared error in pixels²",
        "conditions": conditions(),
        **frontier_record(images / 255.0, 32, 0.5),
    }
    write_json(options.output, record)
    for p in record["points"]:
        print(
            f"beta {p['beta']:8.4f}  rate {p['rate']:8.4f}  distortion {p['distortion']:9.4f}  "
            f"squared error {p['squared_error']:8.4f}  active {p['active']}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
