"""Long streams and large covariances: ``python -m benchmarks.scale [--rows N]``.

Throughput of a float32 stream against the same chunks in a loop that does only CᵀC, in turns in one
process; peak memory of a process that does nothing else; and the leading eigenpairs of samples with
20 000 features, with the bounds that are stated for them.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

import linvae as lv

from .core import compare
from .record import RESULTS, conditions, write_json
from .timing import peak_gigabytes

__all__ = ["chunks", "large_covariance", "main", "memory", "source_alone", "throughput"]

FEATURES, CHUNK = 784, 10_000


def chunks(rows: int, features: int = FEATURES, chunk: int = CHUNK) -> Iterator[np.ndarray]:
    """Generated float32 rows of a decaying spectrum about a mean of 5, a chunk at a time."""
    rng = np.random.default_rng(0)
    scales = np.geomspace(1, 0.01, features, dtype=np.float32)
    for start in range(0, rows, chunk):
        size = min(chunk, rows - start)
        yield 5 + scales * rng.standard_normal((size, features), dtype=np.float32)


def _floor(source: Iterator[np.ndarray]) -> np.ndarray:
    """The loop that is measured against: one float32 product a chunk, added up."""
    total: np.ndarray | float = 0.0
    for chunk in source:
        total = total + chunk.T @ chunk
    return np.asarray(total)


def throughput(rows: int, rounds: int) -> dict[str, float]:
    """Rows a second of a stream, and of the same chunks doing only CᵀC."""
    figures = compare(
        lambda: lv.Spectrum.from_samples(chunks(rows)), lambda: _floor(chunks(rows)), rounds
    )
    return {
        **figures,
        "rows": rows,
        "ours_rows_per_second": rows / figures["ours_seconds"],
        "floor_rows_per_second": rows / figures["floor_seconds"],
        "share_of_the_floor": 1 / figures["ratio"],
    }


def source_alone(rows: int, rounds: int) -> float:
    """Median seconds of generating the rows: the part of both sides that is neither's."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in chunks(rows):
            pass
        times.append(time.perf_counter() - start)
    return median(times)


def memory(rows: int) -> dict[str, float]:
    """Peak memory of a fresh process that streams the rows, and of one that only imports."""
    imports = "import linvae as lv\nfrom benchmarks import scale\n"
    return {
        "rows": rows,
        "stream_gigabytes": peak_gigabytes(
            imports + f"lv.Spectrum.from_samples(scale.chunks({rows}))"
        ),
        "import_gigabytes": peak_gigabytes(imports),
    }


def large_covariance(count: int, features: int, leading: int) -> dict[str, object]:
    """Seconds and stated errors of leading eigenpairs of samples (count, features)."""
    rng = np.random.default_rng(1)
    samples = rng.standard_normal((count, features), dtype=np.float32)
    samples *= np.arange(1, features + 1, dtype=np.float32) ** -0.5
    start = time.perf_counter()
    spectrum = lv.Spectrum.from_samples(samples, leading=leading)
    seconds = time.perf_counter() - start
    errors = spectrum.eigenvalue_errors
    relative = None if errors is None else errors / spectrum.eigenvalues
    return {
        "samples": count,
        "features": features,
        "leading": leading,
        "seconds": seconds,
        "iterative": errors is not None,
        "relative_error_bound_median": None if relative is None else float(np.median(relative)),
        "relative_error_bound_largest": None if relative is None else float(relative.max()),
        "peak_gigabytes_of_the_process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024)
        / 1e9,
    }


def main(argv: list[str] | None = None) -> int:
    """Measure, print a line for each figure, write results/benchmark-scale.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10**7, help="of the stream for the memory")
    parser.add_argument("--timed-rows", type=int, default=200_000, help="of each timed stream")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--features", type=int, default=20_000, help="of the large covariance")
    parser.add_argument("--samples", type=int, default=5_000, help="behind the large covariance")
    parser.add_argument("--leading", type=int, default=64)
    parser.add_argument("--output", type=Path, default=RESULTS / "benchmark-scale.json")
    options = parser.parse_args(argv)
    timed = min(options.rows, options.timed_rows)
    speed = throughput(timed, options.rounds)
    speed["source_seconds"] = source_alone(timed, options.rounds)
    print(
        f"stream of {timed} x {FEATURES} float32: {speed['ours_rows_per_second']:.3g} rows/s, "
        f"{100 * speed['share_of_the_floor']:.0f} % of the loop with CᵀC alone"
    )
    space = memory(options.rows)
    print(f"stream of {options.rows} x {FEATURES}: peak {space['stream_gigabytes']:.2f} GB")
    large = large_covariance(options.samples, options.features, options.leading)
    print(
        f"{options.leading} of {options.features} eigenpairs from {options.samples} samples: "
        f"{large['seconds']:.1f} s, relative error bounds {large['relative_error_bound_median']} "
        f"(median), {large['relative_error_bound_largest']} (largest)"
    )
    write_json(
        options.output,
        {
            "experiment": "streams in constant memory, and leading eigenpairs of large covariances",
            "command": "python -m benchmarks.scale",
            "conditions": conditions(),
            "stream": speed,
            "memory": space,
            "large_covariance": large,
        },
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
