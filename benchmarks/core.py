"""Cost of the core against the floor it stands on: ``python -m benchmarks.core``.

Every figure is a ratio of medians from one run in which both sides take turns.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import linvae as lv

from .import_cost import fresh_import
from .record import RESULTS, conditions, write_json
from .timing import Call, FloatArray, interleaved, ratios

__all__ = ["betas_and_curve", "compare", "main"]


def compare(ours: Call, floor: Call, rounds: int) -> dict[str, float]:
    """Median seconds of both, taken in turns after one untimed call each, and their ratio."""
    rows = ratios(interleaved({"ours": ours, "floor": floor}, rounds), "floor")
    kept = ("ratio", "ratio_smallest", "ratio_largest", "rounds")
    return {
        "ours_seconds": rows["ours"]["seconds"],
        "floor_seconds": rows["floor"]["seconds"],
        **{name: rows["ours"][name] for name in kept},
    }


def spectrum_cost(rows: int, rounds: int) -> dict[str, float]:
    """Samples to frontier, against XᵀX and eigh alone."""
    samples = np.random.default_rng(0).standard_normal((rows, 784))

    def ours() -> None:
        spectrum = lv.Spectrum.from_samples(samples)
        lv.Frontier(spectrum, latent_dim=32, noise_variance=0.5)

    return compare(ours, lambda: np.linalg.eigh(samples.T @ samples), rounds)


def betas_and_curve(modes: int, count: int, order: str) -> tuple[FloatArray, lv.Frontier]:
    """So many β's, "sorted" or "random", and a frontier with so many modes, all of 784."""
    rng = np.random.default_rng(0)
    spectrum = lv.Spectrum.from_eigenvalues(rng.gamma(0.3, size=784))
    curve = lv.Frontier(spectrum, latent_dim=modes, noise_variance=0.01)
    betas = np.exp(rng.uniform(np.log(0.01), np.log(100), count))
    if order == "sorted":
        betas.sort()
    return betas, curve


def curve_cost(modes: int, count: int, order: str, rounds: int) -> dict[str, float]:
    """Points of the curve at many β's, against one logarithm of each β."""
    betas, curve = betas_and_curve(modes, count, order)
    return compare(lambda: curve.at_beta(betas), lambda: np.log(betas), rounds)


def import_cost(rounds: int) -> dict[str, float]:
    """``import linvae`` against ``import numpy``, each in a fresh interpreter."""
    return compare(fresh_import("linvae"), fresh_import("numpy"), rounds)


def main(argv: list[str] | None = None) -> int:
    """Run all comparisons, print a line for each, write results/benchmark-core.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, default=RESULTS / "benchmark-core.json")
    options = parser.parse_args(argv)
    found: dict[str, dict[str, float]] = {}
    found[f"frontier from {options.rows} x 784 float64 / (X.T @ X, eigh)"] = spectrum_cost(
        options.rows, options.rounds
    )
    for modes in (32, 784):
        for order in ("sorted", "random"):
            name = f"10^6 {order} betas, {modes} modes / one numpy.log of them"
            found[name] = curve_cost(modes, 10**6, order, 3 * options.rounds)
    found["1000 random betas, 784 modes / one numpy.log of them"] = curve_cost(
        784, 1000, "random", 30 * options.rounds
    )
    found["import linvae / import numpy"] = import_cost(3 * options.rounds)
    for name, figures in found.items():
        print(
            f"{name}: {figures['ratio']:.2f} "
            f"({figures['ours_seconds'] * 1e3:.3g} ms / {figures['floor_seconds'] * 1e3:.3g} ms)"
        )
    write_json(
        options.output,
        {
            "experiment": "cost of the core against its floor, medians of interleaved rounds",
            "command": "python -m benchmarks.core",
            "conditions": conditions(),
            "comparisons": found,
        },
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
