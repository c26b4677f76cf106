"""Run the proofs and print each statement with its verdict; exit with 1 if one fails."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib.util
import io
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from importlib import import_module

if importlib.util.find_spec("sympy") is None:
    print(
        "proofs: error: got no SymPy; expected it; install it with pip install linvae[symbolic]",
        file=sys.stderr,
    )
    sys.exit(2)

from . import MODULES
from .argument import MARKS, Kind, Proof, Step

__all__ = ["main", "prove_all"]


def _prove(module: str) -> tuple[str, Proof]:
    """Run one module; an exception is a proof that fails, not the end of the others."""
    try:
        proof: Proof = import_module(f"proofs.{module}").prove()
    except Exception as error:  # whatever it is, the proof is not there
        step = Step(f"{type(error).__name__}: {error}", "exact", False)
        proof = Proof(module, "The derivation could not be completed.", (step,), (), (), ())
    return module, proof


def prove_all(modules: tuple[str, ...] = MODULES, jobs: int = 1) -> Iterator[tuple[str, Proof]]:
    """Proofs of the given modules, in order, each as soon as it and those before it are done.

    A claim is no better proved than the claims of the same run that it uses.
    """
    done: dict[str, Proof] = {}
    for module, proof in _proofs(modules, jobs):
        done[module] = _with_what_it_uses(proof, done)
        yield module, done[module]


def _proofs(modules: tuple[str, ...], jobs: int) -> Iterator[tuple[str, Proof]]:
    if jobs == 1:
        yield from map(_prove, modules)
        return
    with ProcessPoolExecutor(min(jobs, len(modules))) as pool:
        yield from pool.map(_prove, modules)


def _with_what_it_uses(proof: Proof, done: dict[str, Proof]) -> Proof:
    """Add a step for every used claim that is not proved."""
    added = []
    for module in proof.uses:
        verdict = done[module].verdict if module in done else "proved"
        if verdict != "proved":
            kind: Kind = "sketch" if verdict == "sketch" else "exact"
            text = f"it uses {module}, of which the verdict is: {verdict}"
            added.append(Step(text, kind, verdict == "sketch"))
    return replace(proof, steps=(*proof.steps, *added))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m proofs",
        description="Derive every claim with SymPy and print its verdict: proved, sketch (a step "
        "is argued in words only) or fails. Exit code 0: none fails; 1: one fails; 2: bad input.",
    )
    parser.add_argument("proofs", nargs="*", metavar="PROOF", help="modules to run; default: all")
    parser.add_argument("--steps", action="store_true", help="print every step of each proof")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), metavar="N",
                        help="processes (default: %(default)s)")  # fmt: skip
    options = parser.parse_args(arguments)
    # T1.a as it is printed, or t1_a as the file is called.
    options.proofs = [name.lower().replace(".", "_").replace("-", "_") for name in options.proofs]
    for name in options.proofs:
        if name not in MODULES:
            near = difflib.get_close_matches(name, MODULES, n=3, cutoff=0.5)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            parser.error(f"no proof {name}{hint} proofs/README.md lists them")
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: expected at least 1")
    return options


def _show(proof: Proof, *, steps: bool) -> None:
    print(f"{proof.verdict:>7}  {proof.claim}: {proof.statement}", flush=True)
    for step in proof.steps:
        if steps or not step.holds or step.kind == "sketch":
            print(f"           {MARKS[step.kind] if step.holds else 'X'} {step.text}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    options = _options(arguments)
    modules = tuple(options.proofs) or MODULES
    start = time.perf_counter()
    counts = {"proved": 0, "sketch": 0, "fails": 0}
    steps = 0
    for _, proof in prove_all(modules, options.jobs):
        _show(proof, steps=options.steps)
        counts[proof.verdict] += 1
        steps += len(proof.steps)
    print(
        f"{counts['proved']} proved, {counts['sketch']} sketched, {counts['fails']} failed; "
        f"{steps} steps in {time.perf_counter() - start:.0f} s."
    )
    if options.steps:
        print("= decided by SymPy   ± ball arithmetic   † textbook theorem   ~ argued in words")
    return 1 if counts["fails"] else 0


def _to_a_stream() -> int:
    """Run, spelling out what the terminal cannot show, and ending quietly when nobody reads."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = main()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("proofs: error: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(_to_a_stream())
