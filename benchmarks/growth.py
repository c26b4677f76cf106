"""How times grow with the sizes: ``python -m benchmarks.growth``.

Samples N, features n, latents k and the number of β's each run over a grid of equal ratios while
the others stay. Exponents are the slopes of lines through the logarithms of the larger half of a
grid, with their standard errors.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import linvae as lv

from .core import betas_and_curve
from .pictures import finished, measured, panels, picture_path, save_figure, sized
from .record import RESULTS, conditions, write_json
from .timing import Call, FloatArray, Power, fitted_power, interleaved

__all__ = ["SWEEPS", "Sweep", "grow", "main"]

NOISE_VARIANCE = 0.01
EVERY_BETA = np.geomspace(0.01, 10.0, 10)


def _samples(count: int, features: int) -> FloatArray:
    """Rows of a decaying spectrum."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((count, features)) / np.sqrt(np.arange(1.0, features + 1))


def _to_frontier(samples: FloatArray, latents: int, **options: Any) -> Call:
    def run() -> Any:
        spectrum = lv.Spectrum.from_samples(samples, **options)
        curve = lv.Frontier(spectrum, latent_dim=latents, noise_variance=NOISE_VARIANCE)
        return curve.at_beta(EVERY_BETA)

    return run


def _by_samples(size: int) -> Call:
    return _to_frontier(_samples(size, 256), 32)


def _by_features(size: int) -> Call:
    return _to_frontier(_samples(4096, size), 16)


def _leading(size: int) -> Call:
    return _to_frontier(_samples(2000, 3000), size, leading=size, solver="iterative")


def _by_latents(size: int) -> Call:
    betas, curve = betas_and_curve(784, 10**4, "random")
    spectrum = curve.spectrum
    return lambda: lv.Frontier(
        spectrum, latent_dim=size, noise_variance=NOISE_VARIANCE
    ).at_beta(betas)  # fmt: skip


def _by_betas(order: str) -> Callable[[int], Call]:
    def build(size: int) -> Call:
        betas, curve = betas_and_curve(784, size, order)
        return lambda: curve.at_beta(betas)

    return build


@dataclass(frozen=True)
class Sweep:
    """What grows, from where to where, and the call at one size."""

    title: str
    axis: str
    low: int
    high: int
    points: int
    build: Callable[[int], Call]

    def sizes(self, scale: float) -> list[int]:
        """The grid, its largest size times a scale and at least four times its smallest."""
        high = max(round(self.high * scale), 4 * self.low)
        return [int(s) for s in np.geomspace(self.low, high, self.points).round()]


SWEEPS = {
    "samples": Sweep("Samples to frontier, n = 256", "samples N", 1000, 64_000, 7, _by_samples),
    "features": Sweep("Samples to frontier, N = 4096", "features n", 32, 1024, 6, _by_features),
    "leading": Sweep("Leading pairs of 2000 × 3000", "leading pairs k", 4, 256, 7, _leading),
    "latents": Sweep("10⁴ β's of a curve", "latents k", 6, 768, 8, _by_latents),
    "sorted": Sweep("Sorted β's", "number of β's", 1000, 10**6, 7, _by_betas("sorted")),
    "random": Sweep("Random β's", "number of β's", 1000, 10**6, 7, _by_betas("random")),
}


def grow(sweep: Sweep, rounds: int, scale: float = 1.0) -> tuple[dict[str, Any], Power]:
    """Median seconds at each size, all sizes taking turns, and the fitted law."""
    sizes = sweep.sizes(scale)
    seconds = interleaved({str(size): sweep.build(size) for size in sizes}, rounds)
    medians = [float(np.median(seconds[str(size)])) for size in sizes]
    law = fitted_power(sizes, medians)
    row = {
        "what": sweep.title,
        "grows": sweep.axis,
        "sizes": sizes,
        "seconds": medians,
        "seconds_least": [float(seconds[str(size)].min()) for size in sizes],
        "rounds": rounds,
        **law.plain(),
    }
    return row, law


def _draw(rows: dict[str, tuple[dict[str, Any], Power]], path: Path) -> None:
    columns = min(3, len(rows))
    figure, axes = panels(-(-len(rows) // columns), columns, width=3.7, height=3.1)
    for ax, (row, law) in zip(axes, rows.values(), strict=False):
        measured(ax, row["sizes"], row["seconds"], law=law)
        sized(ax, row["sizes"])
        low, high = min(row["seconds"]), max(row["seconds"])
        ax.set_ylim(low / 2, max(high, 4 * low) * 3)  # room for the legend
        finished(ax, row["grows"], "seconds", row["what"], legend="upper left")
    for ax in axes[len(rows) :]:
        ax.set_visible(False)
    save_figure(figure, path)


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write results/benchmark-growth.json and a picture beside it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", nargs="+", choices=list(SWEEPS), default=list(SWEEPS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the largest sizes")
    parser.add_argument("--output", type=Path, default=RESULTS / "benchmark-growth.json")
    options = parser.parse_args(argv)
    found: dict[str, tuple[dict[str, Any], Power]] = {}
    for name in options.sweeps:
        found[name] = grow(SWEEPS[name], options.rounds, options.scale)
        row, law = found[name]
        print(f"{row['what']:32s} time grows as {row['grows']} to the power of {law}", flush=True)
    content = {
        "experiment": "growth of times with the sizes; exponents by least squares on logarithms",
        "command": "python -m benchmarks.growth",
        "conditions": conditions(),
        "sweeps": {name: row for name, (row, _) in found.items()},
    }
    write_json(options.output, content)
    _draw(found, picture_path(options.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
