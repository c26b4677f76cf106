"""How many faults the doctor names, and whom it accuses: the clinic of the tests over many seeds.

    python -m benchmarks.clinic                        # 20 seeds; writes results/clinic.json
    python -m benchmarks.clinic --kind loss            # replaces the rows of losses
    python -m benchmarks.clinic --seeds 3 --dry        # prints only

A fault counts as named when its code comes first among the findings of a trainer, and among the
findings of a loss or metric. A right implementation is accused when there is any finding at all.
Trainers written as torch loops are slow; ``--torch-seeds`` says for how many seeds they run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, conditions, write_json
from linvae.doctor import Examination, examine_loss, examine_metric, examine_trainer

__all__ = ["Case", "Outcome", "cases", "examine", "implementations", "main", "summarise"]

KINDS = ("loss", "metric", "trainer", "torch trainer")


@dataclass(frozen=True)
class Case:
    """One implementation with one seed; ``expected`` is None for a right one."""

    kind: str
    name: str
    seed: int
    expected: str | None


@dataclass(frozen=True)
class Outcome:
    """What was found in it, and how long that took."""

    case: Case
    codes: tuple[str, ...]
    failure: str | None
    seconds: float

    @property
    def good(self) -> bool:
        """Whether the fault was named, or nothing found in what is right."""
        if self.failure is not None:
            return False
        if self.case.expected is None:
            return not self.codes
        first = self.case.kind.endswith("trainer")
        return self.case.expected in (self.codes[:1] if first else self.codes)


def implementations(kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Faulty and right implementations of a kind."""
    if kind == "torch trainer":
        from tests.doctor.clinic.torch_trainers import TORCH_FAULTY, TORCH_RIGHT

        return TORCH_FAULTY, TORCH_RIGHT
    if kind == "loss":
        from tests.doctor.clinic import losses as clinic
    elif kind == "metric":
        from tests.doctor.clinic import metrics as clinic
    else:
        from tests.doctor.clinic import trainers as clinic
    return clinic.FAULTY, clinic.RIGHT


def cases(kinds: Sequence[str], seeds: int, torch_seeds: int) -> Iterator[Case]:
    """Every implementation of these kinds with every seed."""
    for kind in kinds:
        faulty, right = implementations(kind)
        for seed in range(torch_seeds if kind == "torch trainer" else seeds):
            yield from (Case(kind, name, seed, entry[2]) for name, entry in faulty.items())
            yield from (Case(kind, name, seed, None) for name in right)


def examine(case: Case) -> Outcome:
    """Examine one implementation as a user would, with default settings."""
    faulty, right = implementations(case.kind)
    subject, options = (right if case.expected is None else faulty)[case.name][:2]
    start = time.perf_counter()
    examination: Examination
    if case.kind == "loss":
        examination = examine_loss(subject, seed=case.seed, **options)
    elif case.kind == "metric":
        examination = examine_metric(subject, seed=case.seed, **options)
    else:
        examination = examine_trainer(subject, seeds=(case.seed,), **options)
    codes = tuple(finding.code for finding in examination.findings)
    return Outcome(case, codes, examination.failure, time.perf_counter() - start)


def summarise(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """One row per kind: named out of faulty, accused out of right, seconds."""
    rows = []
    for kind in dict.fromkeys(outcome.case.kind for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.case.kind == kind]
        faulty = [outcome for outcome in own if outcome.case.expected is not None]
        right = [outcome for outcome in own if outcome.case.expected is None]
        seconds = sorted(outcome.seconds for outcome in own)
        rows.append({
            "kind": kind,
            "seeds": len({outcome.case.seed for outcome in own}),
            "faulty_implementations": len({outcome.case.name for outcome in faulty}),
            "right_implementations": len({outcome.case.name for outcome in right}),
            "faulty_examined": len(faulty),
            "faults_named": sum(outcome.good for outcome in faulty),
            "right_examined": len(right),
            "right_accused": sum(not outcome.good for outcome in right),
            "median_seconds": seconds[len(seconds) // 2],
            "longest_seconds": seconds[-1],
        })  # fmt: skip
    return rows


def _one_thread() -> None:
    """Two processes with two BLAS threads each would be several times slower."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(1)


def _run(every: list[Case], processes: int) -> list[Outcome]:
    outcomes = []
    loud = sys.stderr.isatty()
    with ProcessPoolExecutor(processes, initializer=_one_thread) as pool:
        for outcome in pool.map(examine, every, chunksize=1):
            outcomes.append(outcome)
            if loud:
                print(f"\r{len(outcomes)} of {len(every)}", end="", file=sys.stderr, flush=True)
    if loud:
        print(file=sys.stderr)
    return outcomes


def _missed(outcome: Outcome) -> dict[str, Any]:
    case = outcome.case
    return {"kind": case.kind, "name": case.name, "seed": case.seed,
            "expected": case.expected or "nothing", "found": list(outcome.codes),
            "failure": outcome.failure}  # fmt: skip


def _write(path: Path, rows: list[dict[str, Any]], missed: list[Any], processes: int) -> None:
    """Write what was measured; kinds that were not examined keep what an earlier run found."""
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    here = {**conditions(), "processes": processes}
    new = {row["kind"]: {**row, "conditions": here} for row in rows}
    kept = {row["kind"]: row for row in old.get("kinds", ()) if row["kind"] not in new}
    every = {**kept, **new}
    missed = [entry for entry in old.get("missed", ()) if entry["kind"] in kept] + missed
    write_json(path, {
        "command": "python -m benchmarks.clinic",
        "kinds": [every[kind] for kind in KINDS if kind in every], "missed": missed,
    })  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Examine the clinic, print a table, write the record; 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kind", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--torch-seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS / "clinic.json")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    options = parser.parse_args(argv)
    every = list(cases(options.kind, options.seeds, options.torch_seeds))
    outcomes = _run(every, options.processes)
    rows = summarise(outcomes)
    missed = [_missed(outcome) for outcome in outcomes if not outcome.good]
    for row in rows:
        print(f"{row['kind']:14} named {row['faults_named']} of {row['faulty_examined']}, "
              f"accused {row['right_accused']} of {row['right_examined']}, "
              f"{row['median_seconds']:.2f} s, at most {row['longest_seconds']:.1f} s")  # fmt: skip
    for entry in missed:
        print("missed", entry)
    if not options.dry:
        _write(options.output, rows, missed, options.processes)
    named = sum(row["faults_named"] for row in rows)
    accused = sum(row["right_accused"] for row in rows)
    return int(accused > 0 or named < 0.95 * sum(row["faulty_examined"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
