"""How times are taken and told: calls in turns, ratios within rounds, exponents of growth."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Call",
    "Power",
    "fitted_power",
    "fresh_python",
    "interleaved",
    "peak_gigabytes",
    "ratios",
    "table",
]

Call = Callable[[], Any]
FloatArray = NDArray[np.float64]
_ROOT = Path(__file__).resolve().parent.parent
_PEAK = """
import resource, sys
try:
    status = open("/proc/self/status").read()
    print(int(status.split("VmHWM:")[1].split()[0]) * 1024)
except (OSError, IndexError):
    unit = 1 if sys.platform == "darwin" else 1024
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""


def interleaved(
    calls: Mapping[str, Call], rounds: int, *, untimed: int = 1
) -> dict[str, FloatArray]:
    """Seconds (rounds,) of each call; all take turns, so that a slow moment hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + untimed):
        for name, call in calls.items():
            start = time.perf_counter()
            found = call()
            spent = time.perf_counter() - start
            del found  # freeing a result is no part of making it, nor of the next call
            if number >= untimed:
                seconds[name].append(spent)
    return {name: np.array(times) for name, times in seconds.items()}


def ratios(seconds: Mapping[str, FloatArray], baseline: str) -> dict[str, dict[str, float]]:
    """Medians of each call, and their ratio to that of the baseline; the range within rounds."""
    base = seconds[baseline]
    return {
        name: {
            "seconds": float(np.median(times)),
            "seconds_least": float(times.min()),
            "ratio": float(np.median(times) / np.median(base)),
            "ratio_smallest": float((times / base).min()),
            "ratio_largest": float((times / base).max()),
            "rounds": len(times),
        }
        for name, times in seconds.items()
    }


def table(rows: Mapping[str, Mapping[str, float]], baseline: str) -> list[str]:
    """A line for each row of :func:`ratios`."""
    return [
        f"{name:42s} {row['seconds'] * 1e3:10.4g} ms  {row['ratio']:8.3g} x {baseline} "
        f"({row['ratio_smallest']:.3g} to {row['ratio_largest']:.3g})"
        for name, row in rows.items()
    ]


@dataclass(frozen=True)
class Power:
    """Seconds = factor · sizeᵉ with e the exponent, fitted to the sizes from ``fitted_from`` on.

    The standard error is that of the slope of a line through the logarithms; of two points it is
    None.
    """

    exponent: float
    standard_error: float | None
    factor: float
    fitted_from: float

    def __call__(self, sizes: ArrayLike) -> FloatArray:
        """Seconds at sizes."""
        return np.asarray(self.factor * np.asarray(sizes, np.float64) ** self.exponent)

    def plain(self) -> dict[str, float | None]:
        """As it is written down."""
        return asdict(self)

    def __str__(self) -> str:
        """The exponent with its standard error."""
        error = "" if self.standard_error is None else f" ± {self.standard_error:.2f}"
        return f"{round(self.exponent, 2) + 0.0:.2f}{error}"  # never -0.00


def fitted_power(sizes: Sequence[float], seconds: ArrayLike) -> Power:
    """Least squares on logarithms over the larger half of the sizes (all, if there are < 4).

    At small sizes what a call costs in any case hides the growth.
    """
    x, y = np.log(np.asarray(sizes, np.float64)), np.log(np.asarray(seconds, np.float64))
    first = len(x) // 2 if len(x) >= 4 else 0
    x, y = x[first:], y[first:]
    centred = x - x.mean()
    spread = float((centred**2).sum())
    slope = float((centred * y).sum()) / spread
    rest = y - y.mean() - slope * centred
    free = len(x) - 2
    error = float(np.sqrt((rest**2).sum() / free / spread)) if free else None
    return Power(slope, error, float(np.exp(y.mean() - slope * x.mean())), float(sizes[first]))


def fresh_python(code: str) -> str:
    """What a new interpreter prints when it runs the code in the root of the project."""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_ROOT
    )
    return run.stdout


def peak_gigabytes(statement: str) -> float:
    """Largest resident memory of a new interpreter that does nothing else.

    Linux counts the memory of the process that starts another one into ``ru_maxrss`` of the new
    one, but not into ``VmHWM``.
    """
    return float(fresh_python(f"{statement}\n{_PEAK}").split()[-1]) / 1e9
