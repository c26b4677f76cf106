"""Mutation testing of the mathematics: which changed operators the fast oracle suite notices.

    python -m benchmarks.mutation              # all mutants; writes results/mutation*
    python -m benchmarks.mutation --file linvae/response.py --session here.jsonl --dry

Nothing on disk is changed. For each mutant a child process is forked from one that has the heavy
libraries loaded; in the child the mutated text takes the place of the module's source, and pytest
runs ``tests/mutation`` until the first failure. A survivor is either argued equivalent in
``benchmarks/mutation_equivalents.toml`` or a hole in the suite. The system must know how to fork.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import importlib
import importlib.abc
import importlib.util
import json
import os
import resource
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from benchmarks.mutants import KINDS, Mutant, changed_lines, mutants_of, operators

__all__ = ["FILES", "Outcome", "main", "summarise", "try_mutant"]

ROOT = Path(__file__).resolve().parent.parent
FILES = tuple(
    f"linvae/{name}.py"
    for name in ("response", "frontier", "linear_vae", "hypernetwork", "calibrated")
)
VERDICTS = ("killed", "timeout", "survived", "equivalent")
SUITE = "tests/mutation"
EQUIVALENTS = ROOT / "benchmarks" / "mutation_equivalents.toml"

_MEMORY = 8 * 2**30  # bytes of address space; a changed size must not swallow the machine
# A suite that takes so long, and so many times longer than on the unchanged file, will not end.
_SECONDS, _TIMES = 20.0, 10
_NOT_LOADED = 99
# Starting pytest would take longer than the tests: no plugin that a yes or no does not need.
_UNUSED = "cacheprovider debugging doctest faulthandler junitxml legacypath logging pastebin "
_UNUSED += "setuponly setupplan stepwise threadexception unraisableexception"
_PYTEST: tuple[str, ...] = ("-x", "-q", "--tb=no", "--no-header", "--noconftest", "--assert=plain")
_PYTEST += ("-o", "addopts=", "--disable-plugin-autoload")
_PYTEST += tuple(part for name in _UNUSED.split() for part in ("-p", f"no:{name}"))

Arguments = dict[tuple[str, str, str], str]


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant.

    Attributes
    ----------
    verdict : str
        killed, timeout (killed by its time), survived, or equivalent: survived, and argued.
    seconds : float
    before, after : str
        The lines that differ.
    argument : str
        Why an equivalent mutant cannot be told from the original.
    """

    name: str
    file: str
    kind: str
    definition: str
    line: int
    verdict: str
    seconds: float
    before: str
    after: str
    argument: str = ""


Say = Callable[[Outcome], None]


class _MutatedModule(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finder and loader of one module whose text is not the one on disk."""

    def __init__(self, module: str, path: Path, code: CodeType) -> None:
        self._module, self._path, self._code = module, path, code

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self._module:
            return None
        return importlib.util.spec_from_file_location(name, self._path, loader=self)

    def get_code(self, fullname: str) -> CodeType:
        return self._code

    def get_source(self, fullname: str) -> None:
        return None


def _in_child(file: str, text: str, suite: Sequence[Sequence[str]]) -> int:
    """Run the suite on the mutated text and return pytest's exit status."""
    import pytest

    module = file.removesuffix(".py").replace("/", ".")
    package = module.partition(".")[0]
    for name in [n for n in sys.modules if n.partition(".")[0] in (package, "tests")]:
        del sys.modules[name]
    with contextlib.suppress(ValueError, OSError):  # not every system lets it be set
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    loader = _MutatedModule(module, ROOT / file, compile(text, str(ROOT / file), "exec"))
    sys.meta_path.insert(0, loader)
    gc.disable()
    # Most mutants die of the tests of their own module; the others' are then never collected.
    status = 0
    for paths in suite:
        if status == 0 and paths:
            status = int(pytest.main([*_PYTEST, *paths]))
    # A mutant that breaks its own import is not loaded in the end, and has failed the suite.
    if status == 0 and not _is_under_test(module, package, loader):
        return _NOT_LOADED
    return status


def _is_under_test(module: str, package: str, loader: _MutatedModule) -> bool:
    """Whether the suite ran on the mutant, and on this checkout's package around it."""
    loaded, around = sys.modules.get(module), sys.modules.get(package)
    if loaded is None or around is None or loaded.__spec__ is None:
        return False
    return loaded.__spec__.loader is loader and Path(str(around.__file__)).is_relative_to(ROOT)


def _wait(child: int, seconds: float) -> int | None:
    """Exit status of a child process, None when it had to be killed for its time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _suite(file: str) -> tuple[list[str], list[str]]:
    """The files of the suite about this module, and the others."""
    paths = sorted((ROOT / SUITE).glob("test_*.py"))
    own = [str(path) for path in paths if path.name.startswith(f"test_{Path(file).stem}")]
    return own, [str(path) for path in paths if str(path) not in own]


def run_suite(
    file: str, text: str, log: Path | None = None, seconds: float = 30 * _SECONDS
) -> int | None:
    """Exit status of the suite with `text` in place of a file; None if it never ended."""
    child = os.fork()
    if child == 0:
        status = _NOT_LOADED
        try:
            out = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(out, 1)
            os.dup2(out, 2)
            status = _in_child(file, text, _suite(file))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return _wait(child, seconds)


def try_mutant(mutant: Mutant, source: str, arguments: Arguments, limit: float) -> Outcome:
    """Run the suite on one mutant, for so many seconds at most."""
    text = mutant.apply(source)
    before, after = changed_lines(source, text)
    start = time.monotonic()
    status = run_suite(mutant.file, text, seconds=limit)
    seconds = time.monotonic() - start
    # Passed, failed, not importable, endless; below 0 the process itself crashed.
    if status is not None and status > 2:
        raise RuntimeError(f"{mutant.name}: pytest ended with {status} instead of a verdict")
    argument = arguments.get((mutant.file, before, after), "")
    survived = "equivalent" if argument else "survived"
    verdict = {0: survived, None: "timeout"}.get(status, "killed")
    return Outcome(
        mutant.name,
        mutant.file,
        mutant.kind,
        mutant.definition,
        mutant.line,
        verdict,
        round(seconds, 3),
        before,
        after,
        argument if verdict == "equivalent" else "",
    )


def read_arguments(path: Path = EQUIVALENTS) -> Arguments:
    """Why which change makes no difference: (file, line before, line after) -> argument."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", [])
    found: Arguments = {}
    for entry in entries:
        for after in entry["after"]:
            key = (entry["file"], entry["before"], after)
            if key in found or not entry["argument"].strip():
                raise ValueError(f"{path.name}: {key} twice, or without an argument")
            found[key] = " ".join(entry["argument"].split())
    return found


def baseline(file: str) -> float:
    """Seconds the suite takes on the unchanged file, which it must pass."""
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        start = time.monotonic()
        status = run_suite(file, (ROOT / file).read_text(encoding="utf-8"), Path(log.name))
        if status != 0:
            text = Path(log.name).read_text(encoding="utf-8")
            raise SystemExit(f"the suite does not pass on the unchanged {file}:\n{text}")
        return time.monotonic() - start


def run_file(
    file: str, arguments: Arguments, known: dict[str, Outcome], limit: float, say: Say
) -> list[Outcome]:
    """Try every mutant of a file; `known` ones that were killed before are not tried again."""
    source = (ROOT / file).read_text(encoding="utf-8")
    outcomes = []
    for mutant in sorted(mutants_of(file, source), key=lambda m: m.kind == "number"):
        outcome = known.get(mutant.name)
        if outcome is None or outcome.verdict not in ("killed", "timeout"):
            outcome = try_mutant(mutant, source, arguments, limit)
            say(outcome)
        outcomes.append(outcome)
    return outcomes


def summarise(outcomes: Sequence[Outcome]) -> dict[str, dict[str, dict[str, int]]]:
    """Numbers of mutants by file, kind and verdict."""
    counts = Counter((o.file, o.kind, o.verdict) for o in outcomes)
    return {
        file: {
            kind: {
                "mutants": sum(counts[file, kind, verdict] for verdict in VERDICTS),
                **{verdict: counts[file, kind, verdict] for verdict in VERDICTS},
            }
            for kind in KINDS
        }
        for file in dict.fromkeys(o.file for o in outcomes)
    }


def share_killed(summary: dict[str, dict[str, dict[str, int]]], kinds: Sequence[str]) -> float:
    """Share of the mutants of some kinds that the suite notices; argued ones count as missed."""
    cells = [by_kind[kind] for by_kind in summary.values() for kind in kinds]
    return sum(c["killed"] + c["timeout"] for c in cells) / sum(c["mutants"] for c in cells)


def survivors_page(outcomes: Sequence[Outcome]) -> str:
    """The survivors as a page to read: each with its change and why it is none."""
    lines = ["# Mutants that the oracle suite does not notice", ""]
    lines += ["Written by `python -m benchmarks.mutation`; counts are in `mutation.json`.", ""]
    for file in dict.fromkeys(o.file for o in outcomes):
        lines += [f"## {file}", ""]
        grouped: dict[tuple[str, str], list[Outcome]] = {}
        for o in outcomes:
            if o.file == file and o.verdict in ("survived", "equivalent"):
                grouped.setdefault((o.before, o.argument), []).append(o)
        for (before, argument), group in grouped.items():
            lines += [f"Line {group[0].line}, in `{group[0].definition or 'module'}`:", ""]
            lines += ["```diff", f"- {before}", *(f"+ {o.after}" for o in group), "```", ""]
            lines += [argument or "**Not argued: a hole in the suite.**", ""]
    return "\n".join(lines)


def _record(outcomes: list[Outcome], seconds: dict[str, float], command: str) -> dict[str, Any]:
    from benchmarks.record import conditions  # imports linvae, which the children must not inherit

    summary = summarise(outcomes)
    times = sorted(o.seconds for o in outcomes)
    return {
        "command": command,
        "statement": "share of mutants on which python -m pytest tests/mutation fails",
        "conditions": conditions("cosmic-ray", "pytest", "mpmath", "sympy"),
        "operators": [operator.__name__ for _, operator in operators()],
        "suite_seconds": seconds,
        "seconds_per_mutant": {"median": times[len(times) // 2], "largest": times[-1]},
        "files": summary,
        "killed": {
            **{kind: share_killed(summary, [kind]) for kind in KINDS},
            "arithmetic and comparison": share_killed(summary, KINDS[:2]),
        },
        "sources": {
            file: hashlib.sha256((ROOT / file).read_bytes()).hexdigest() for file in summary
        },
        "survivors": [asdict(o) for o in outcomes if o.verdict in ("survived", "equivalent")],
    }


def _preload() -> None:
    """Load once what every child would; not linvae, whose modules are what changes."""
    for name in ("numpy.linalg", "mpmath", "sympy", "pytest", "_pytest.skipping", "decimal"):
        importlib.import_module(name)
    if any(name.partition(".")[0] == "linvae" for name in sys.modules):
        raise RuntimeError("linvae was imported before the mutants")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__)
    parser.add_argument("--file", action="append", choices=FILES, help="only this file")
    parser.add_argument("--session", type=Path, help="file of outcomes: killed stay so, go on")
    parser.add_argument("--output", type=Path, default=ROOT / "results", help="folder to write to")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, write, and fail if an unargued mutant lives."""
    options = _arguments(argv)
    arguments = read_arguments()
    _preload()
    known: dict[str, Outcome] = {}
    if options.session and options.session.exists():
        lines = options.session.read_text(encoding="utf-8").splitlines()
        known = {o.name: o for o in (Outcome(**json.loads(line)) for line in lines)}

    def say(outcome: Outcome) -> None:
        if options.session:
            with options.session.open("a", encoding="utf-8") as session:
                session.write(json.dumps(asdict(outcome)) + "\n")
        if outcome.verdict == "survived":
            print(f"survived {outcome.name}\n- {outcome.before}\n+ {outcome.after}", flush=True)

    outcomes, seconds = [], {}
    for file in options.file or FILES:
        seconds[file] = baseline(file)
        limit = max(_SECONDS, _TIMES * seconds[file])
        outcomes += run_file(file, arguments, known, limit, say)
        counts = Counter(o.verdict for o in outcomes if o.file == file)
        print(f"{file}: {dict(counts)}, suite {seconds[file]:.2f} s", flush=True)
    if not options.dry:
        from benchmarks.record import write_json
        from linvae.datafiles import atomic_write

        record = _record(outcomes, seconds, "python -m benchmarks.mutation")
        write_json(options.output / "mutation.json", record)
        page = survivors_page(outcomes)
        with atomic_write(options.output / "mutation-survivors.md") as target:
            target.write(page.encode())
    return 1 if any(o.verdict == "survived" for o in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
