"""What ``import linvae`` costs beside ``import numpy``: ``python -m benchmarks.import_cost``.

Time in fresh interpreters that take turns, memory of fresh interpreters, and the modules that are
loaded. An interpreter that imports nothing is measured, too: it is part of every figure, and the
cost of an import alone is the difference.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from .record import RESULTS, conditions, write_json
from .timing import Call, fresh_python, interleaved, peak_gigabytes, ratios, table

__all__ = ["fresh_import", "main", "measure"]

NOTHING, NUMPY, LINVAE = "no import", "import numpy", "import linvae"
_STATEMENTS = {NOTHING: "pass", NUMPY: "import numpy", LINVAE: "import linvae"}


def fresh_import(module: str) -> Call:
    """Import a module in a new interpreter."""
    return _run(f"import {module}")


def _run(statement: str) -> Call:
    command = [sys.executable, "-c", statement]
    return lambda: subprocess.run(command, check=True)


def _modules(statement: str) -> int:
    return int(fresh_python(f"{statement}\nimport sys\nprint(len(sys.modules))").split()[-1])


def measure(rounds: int, memory_rounds: int) -> dict[str, Any]:
    """Seconds, gigabytes and modules of each, and of linvae's share the ratios to NumPy's."""
    seconds = interleaved({name: _run(code) for name, code in _STATEMENTS.items()}, rounds)
    rows: dict[str, dict[str, Any]] = {
        name: {**row} for name, row in ratios(seconds, NUMPY).items()
    }
    for name, code in _STATEMENTS.items():
        peaks = [peak_gigabytes(code) for _ in range(memory_rounds)]
        rows[name] |= {"peak_gigabytes": median(peaks), "modules": _modules(code)}
    nothing, numpy, linvae = (rows[name] for name in _STATEMENTS)
    return {
        "imports": rows,
        "time_ratio": linvae["ratio"],
        "memory_ratio": linvae["peak_gigabytes"] / numpy["peak_gigabytes"],
        "time_ratio_without_the_interpreter": (linvae["seconds"] - nothing["seconds"])
        / (numpy["seconds"] - nothing["seconds"]),
        "target_of_the_time_ratio": 1.3,
    }


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write results/benchmark-import.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--memory-rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULTS / "benchmark-import.json")
    options = parser.parse_args(argv)
    found = measure(options.rounds, options.memory_rounds)
    print(*table(found["imports"], NUMPY), sep="\n")
    for name, row in found["imports"].items():
        print(f"{name:42s} {row['peak_gigabytes'] * 1e3:10.1f} MB  {row['modules']} modules")
    content = {
        "experiment": "cost of import linvae in fresh interpreters",
        "command": "python -m benchmarks.import_cost",
        "conditions": conditions(),
        **found,
    }
    write_json(options.output, content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
