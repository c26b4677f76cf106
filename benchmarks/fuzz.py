"""Hostile input against every parser: ``python -m benchmarks.fuzz [--parser NAME] [--runs N]``.

Each parser of :mod:`tests.fuzz.targets` reads changed copies of valid files and of its recorded
corpus. Anything but a documented error counts as a failure: another exception, a warning, more
memory than the bound, a file touched outside its folder, code executed; see
:mod:`tests.fuzz.watch`. The exit code is 1 if there was one, and the contents are kept.

With atheris (``pip install linvae[fuzz]``, CPython 3.11) the changes are guided by coverage of the
parsers; without it, or with ``--engine plain``, they are drawn at random. Each parser has a process
of its own. ``--output results/fuzz.json`` writes the record.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from .record import conditions, write_json

__all__ = ["main", "one_parser"]

CORPUS = Path(__file__).resolve().parent.parent / "tests" / "fuzz" / "corpus"
NAMES = ("idx", "amat", "mat", "svhn", "omniglot", "cifar", "tar", "zip", "image", "npy", "npz",
         "csv", "yaml", "override", "safetensors", "checkpoint", "state", "run", "history",
         "learned")  # fmt: skip
_INSTRUMENTED = ["deep.data", "deep.settings", "deep.training", "deep.runs", "linvae.datafiles",
                 "linvae._csvfile", "linvae.report.learned", "zipfile", "tarfile"]  # fmt: skip
_TRACED = 64  # every so many runs the memory asked for is traced, which costs half the speed
_MOST_KEPT = 20


def recorded(folder: Path) -> list[bytes]:
    """Contents of a corpus, by name."""
    return [path.read_bytes() for path in sorted(folder.glob("*"))]


def one_parser(name: str, runs: int, corpus: Path, seed: int, kept: Path) -> dict[str, Any]:
    """Run one parser on contents drawn at random; failures are written into `kept`."""
    from tests.fuzz.mutation import changed
    from tests.fuzz.targets import PARSERS
    from tests.fuzz.watch import scratch, watched

    parser = PARSERS[name]
    pool, rng = [*parser.seeds(), *recorded(corpus)], Random(f"{name} {seed}")
    outcomes: Counter[str] = Counter()
    failures: dict[str, str] = {}
    with scratch() as folder:
        target = watched(parser.read, folder, parser.growth)
        start = time.perf_counter()
        for run in range(runs):
            content = changed(rng, rng.choice(pool), pool, parser.changes)
            if run % _TRACED == 0:
                tracemalloc.start()
            try:
                outcomes["accepted" if target(content) else "refused"] += 1
            except Exception as error:
                outcomes["failed"] += 1
                what = f"{type(error).__name__}: {error}"[:200]
                if what not in failures and len(failures) < _MOST_KEPT:
                    failures[what] = str(_keep(kept, name, content))
            finally:
                tracemalloc.stop()
        seconds = time.perf_counter() - start
    return {"engine": "plain", "executions": runs, "seconds": seconds, **outcomes,
            "failures": failures}  # fmt: skip


def _keep(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    path.write_bytes(content)
    return path


# --- guided by coverage --------------------------------------------------------------------------


def _guided(name: str, runs: int, corpus: Path, seed: int, kept: Path) -> None:
    """Hand the process over to libFuzzer, which ends it."""
    import atheris

    with atheris.instrument_imports(include=_INSTRUMENTED):
        from tests.fuzz.targets import PARSERS
    from tests.fuzz.mutation import changed
    from tests.fuzz.watch import scratch, watched

    parser = PARSERS[name]
    pool = parser.seeds()

    def mutate(content: bytes, most: int, number: int) -> bytes:
        rng = Random(number)
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(content, most))
        return changed(rng, content, pool, parser.changes)[:most]

    with scratch() as folder, tempfile.TemporaryDirectory() as work:
        for place, content in enumerate([*pool, *recorded(corpus)]):
            (Path(work) / f"seed-{place:03d}").write_bytes(content)
        kept.mkdir(parents=True, exist_ok=True)
        target = watched(parser.read, folder, parser.growth)
        arguments = ["fuzz", f"-runs={runs}", f"-seed={seed + 1}", "-max_len=16384",
                     "-print_final_stats=1", "-timeout=60", "-rss_limit_mb=4096",
                     f"-artifact_prefix={kept}/{name}-", work]  # fmt: skip
        # libFuzzer takes any value that is returned for a wish to forget the input.
        atheris.Setup(arguments, lambda content: target(content) and None,
                      custom_mutator=mutate)  # fmt: skip
        atheris.Fuzz()


_STATISTIC = re.compile(r"stat::(\w+):\s+(\d+)")
_COVERAGE = re.compile(r"cov: (\d+)")


def _apart(name: str, arguments: argparse.Namespace, engine: str) -> dict[str, Any]:
    """Run one parser in a process of its own."""
    from tests.fuzz.watch import scratch

    command = [sys.executable, "-m", "benchmarks.fuzz", "--parser", name, "--inside", engine,
               "--runs", str(arguments.runs), "--seed", str(arguments.seed), "--corpus",
               str(_corpus(name, arguments)), "--kept", str(arguments.kept)]  # fmt: skip
    with scratch() as place:  # libFuzzer ends its process without cleaning up
        environment = {**os.environ, "LINVAE_FUZZ_FOLDER": str(place), "TMPDIR": str(place)}
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, errors="replace",
                              check=False, env=environment)  # fmt: skip
        seconds = time.perf_counter() - start
    if engine == "plain" and done.returncode == 0:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    found = {k: int(v) for k, v in _STATISTIC.findall(done.stderr)}
    covered = _COVERAGE.findall(done.stderr)
    result: dict[str, Any] = {
        "engine": engine, "executions": found.get("number_of_executed_units", 0),
        "seconds": seconds, "coverage": int(covered[-1]) if covered else None,
        "peak_megabytes": found.get("peak_rss_mb"), "failures": {},
    }  # fmt: skip
    if done.returncode != 0 or not result["executions"]:
        result["failures"] = {f"exit code {done.returncode}": done.stderr[-2000:]}
    return result


def _corpus(name: str, arguments: argparse.Namespace) -> Path:
    return arguments.corpus or CORPUS / name


def main(argv: list[str] | None = None) -> int:
    """Run and print one line for each parser; 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="benchmarks.fuzz", description=__doc__)
    parser.add_argument("--parser", action="append", choices=NAMES, help="default: all of them")
    parser.add_argument("--runs", type=int, default=10_000, help="executions for each parser")
    parser.add_argument("--corpus", type=Path, help="default: tests/fuzz/corpus/NAME")
    parser.add_argument("--engine", choices=("auto", "atheris", "plain"), default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kept", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--output", type=Path, help="a JSON record")
    parser.add_argument("--inside", choices=("atheris", "plain"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.inside:
        return _inside(arguments)
    there = importlib.util.find_spec("atheris") is not None
    engine = arguments.engine if arguments.engine != "auto" else ("plain", "atheris")[there]
    record: dict[str, Any] = {"conditions": conditions(), "seed": arguments.seed, "parsers": {}}
    for name in arguments.parser or NAMES:
        result = _apart(name, arguments, engine)
        result["per_second"] = result["executions"] / result["seconds"]
        record["parsers"][name] = result
        print(f"{name:12} {result['executions']:9d} executions  {result['per_second']:8.0f} /s  "
              f"{len(result['failures'])} failures", flush=True)  # fmt: skip
        for what, where in result["failures"].items():
            print(f"    {what}\n    {where}", flush=True)
        if arguments.output:
            write_json(arguments.output, record)
    return int(any(result["failures"] for result in record["parsers"].values()))


def _inside(arguments: argparse.Namespace) -> int:
    name = arguments.parser[0]
    values = (arguments.runs, _corpus(name, arguments), arguments.seed, arguments.kept)
    if arguments.inside == "atheris":
        _guided(name, *values)
        return 0
    print(json.dumps(one_parser(name, *values)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
