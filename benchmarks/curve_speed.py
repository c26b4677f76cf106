"""A million β's against writing their results: ``python -m benchmarks.curve_speed``.

The floor makes arrays of the sizes and dtypes of the result, writes to each once, and takes one
logarithm of every β: nothing that returns these arrays can do less. With many β's each call writes
to fresh pages; with few, both sides reuse memory. The picture has the time per β against how many
there are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import linvae as lv

from .core import betas_and_curve, compare
from .pictures import GREY, finished, measured, panels, picture_path, save_figure
from .record import RESULTS, conditions, write_json
from .timing import Call, FloatArray, fitted_power

__all__ = ["floor_of", "main", "measure"]

TARGETS = {"sorted": 5.0, "random": 10.0}
LEAST = 1000  # below, a call costs what it costs whatever the number of β's


def _results(points: lv.frontier.CurvePoints) -> dict[str, np.dtype[Any]]:
    """Arrays of a result that hold a number for each β; a number that is repeated holds one."""
    held = {name: value for name, value in vars(points).items() if isinstance(value, np.ndarray)}
    return {name: a.dtype for name, a in held.items() if 0 not in a.strides}


def floor_of(curve: lv.Frontier, betas: FloatArray) -> Call:
    """Write what the curve returns at β's, and take their logarithm."""
    kinds = list(_results(curve.at_beta(betas[:2])).values())

    def write() -> list[Any]:
        made: list[Any] = [np.log(betas)]
        made += [np.full(betas.size, 1, dtype=kind) for kind in kinds]
        return made

    return write


def measure(modes: int, count: int, order: str, rounds: int) -> dict[str, Any]:
    """Times of curve and floor at so many β's, and their ratio."""
    betas, curve = betas_and_curve(modes, count, order)
    figures = compare(lambda: curve.at_beta(betas), floor_of(curve, betas), rounds)
    return {
        "betas": count,
        "order": order,
        "modes": modes,
        "arrays": sorted(_results(curve.at_beta(betas[:2]))),
        **figures,
        "target": TARGETS[order],
    }


def _grid(largest: int) -> list[int]:
    top = max(largest, LEAST)
    return [int(n) for n in np.geomspace(LEAST, top, max(1, round(2 * np.log10(top / LEAST)) + 1))]


def _rounds(count: int, rounds: int) -> int:
    """More of what is short."""
    return int(rounds * min(30, max(1, 10**6 // count)))


def _draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    figure, (left, right) = panels(1, 2, width=4.8, height=3.9)
    modes = max(row["modes"] for row in rows)
    rows = [row for row in rows if row["modes"] == modes]
    for turn, order in enumerate(TARGETS):
        some = [row for row in rows if row["order"] == order]
        counts = [row["betas"] for row in some]
        seconds = [row["ours_seconds"] for row in some]
        law = fitted_power(counts, seconds) if len(some) > 2 else None
        measured(left, counts, seconds, turn=turn, label=f"{order} β's", law=law)
        measured(right, counts, [row["ratio"] for row in some], turn=turn, label=f"{order} β's")
        right.axhline(TARGETS[order], color=GREY, ls="--", lw=1.0)
        right.text(1.02, TARGETS[order], f"target, {order}", va="center", fontsize=8.5,
                   transform=right.get_yaxis_transform())  # fmt: skip
    measured(left, counts, [row["floor_seconds"] for row in some], turn=2, label="the floor")
    finished(left, "number of β's", "seconds", f"Points of a curve of {modes} modes",
             legend="above")  # fmt: skip
    right.set_yscale("linear")
    right.set_ylim(0, 1.15 * max(*TARGETS.values(), *(row["ratio"] for row in rows)))
    finished(right, "number of β's", "time over that of the floor", "Against the floor",
             legend="above")  # fmt: skip
    save_figure(figure, path)


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write results/benchmark-curve.json and a picture beside it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--betas", type=int, default=10**6, help="the largest number of them")
    parser.add_argument("--modes", type=int, nargs="+", default=[32, 784])
    parser.add_argument("--rounds", type=int, default=15, help="of the largest number")
    parser.add_argument("--output", type=Path, default=RESULTS / "benchmark-curve.json")
    options = parser.parse_args(argv)
    rows: list[dict[str, Any]] = []
    for modes in options.modes:
        for order in TARGETS:
            rows += [
                measure(modes, count, order, _rounds(count, options.rounds))
                for count in _grid(options.betas)
            ]
            row = rows[-1]
            print(f"{row['betas']} {order} β's, {modes} modes: {row['ratio']:.2f} x the floor "
                  f"({row['ratio_smallest']:.2f} to {row['ratio_largest']:.2f}), "
                  f"{row['ours_seconds'] * 1e3:.3g} ms; target {row['target']:g}",
                  flush=True)  # fmt: skip
    content = {
        "experiment": "evaluation of the frontier at many β's against writing the result arrays "
        "and one logarithm",
        "command": "python -m benchmarks.curve_speed",
        "conditions": conditions(),
        "rows": rows,
    }
    write_json(options.output, content)
    _draw(rows, picture_path(options.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
