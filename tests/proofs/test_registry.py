"""Every claim has a proof, every proof a row, and every row names things that exist."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import proofs
from linvae.verification import CLAIMS
from proofs.__main__ import main, prove_all
from proofs.argument import Proof
from proofs.table import README, row

ROOT = Path(__file__).resolve().parents[2]
# All of them on one worker: the proofs are then run once.
pytestmark = pytest.mark.xdist_group("proofs")
NOT_PROOFS = {"__init__", "__main__", "argument", "table"}


@pytest.fixture(scope="module")
def proved() -> dict[str, Proof]:
    return dict(prove_all(jobs=1))


@cache
def _functions_of(path: Path) -> dict[str, list[str]]:
    """Names of the functions of a test file, each with the names of its decorators."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name: [ast.unparse(d) for d in node.decorator_list]
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }


def _decorators(node: str) -> list[str]:
    path, _, name = node.partition("::")
    functions = _functions_of(ROOT / path)
    assert name in functions, node
    return functions[name]


def test_every_module_of_the_folder_is_run() -> None:
    files = {path.stem for path in (ROOT / "proofs").glob("*.py")} - NOT_PROOFS
    shared = {name for name in files if name.startswith("_")}
    assert files - shared == set(proofs.MODULES)
    assert len(set(proofs.MODULES)) == len(proofs.MODULES)


def _assigned_symbols(path: Path) -> set[str]:
    """Public names to which a module of linvae.symbolic assigns new SymPy symbols."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and "sp.Symbol(" in ast.unparse(node.value):
            found |= {name.id for name in ast.walk(node.targets[0]) if isinstance(name, ast.Name)}
    return {name for name in found if not name.startswith("_")}


@pytest.mark.parametrize("path", sorted((ROOT / "linvae" / "symbolic").glob("*.py")), ids=str)
def test_every_symbol_is_in_the_table(path: Path) -> None:
    table = (ROOT / "proofs" / "notation.md").read_text(encoding="utf-8")
    for name in _assigned_symbols(path):
        assert f"`{name}`" in table, name


def test_constants_named_in_the_table_exist() -> None:
    text = (ROOT / "proofs" / "notation.md").read_text(encoding="utf-8")
    modules = [p.stem for p in (ROOT / "linvae" / "symbolic").glob("[!_]*.py")]
    known = {n for m in modules for n in dir(importlib.import_module(f"linvae.symbolic.{m}"))}
    rows = [line for line in text.splitlines() if line.startswith("|") and line.count("|") > 6]
    cells = [row.replace("\\|", "").split("|")[6] for row in rows]
    named = {n for cell in cells for n in re.findall(r"(?<!printed )`(\w+)`", cell)}
    assert named <= known


@pytest.mark.parametrize("path", sorted((ROOT / "proofs").glob("*.py")), ids=lambda p: p.stem)
def test_proofs_use_expressions_not_numbers(path: Path) -> None:
    """Nothing of linvae but its expressions and its certificates: no NumPy code in a proof."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names]
            module = getattr(node, "module", None) or names[0]
            assert module.split(".")[0] not in {"numpy", "scipy"}, path
            if module.split(".")[0] == "linvae":
                assert module.startswith(("linvae.symbolic", "linvae.certificates")), module


def test_no_proof_fails(proved: dict[str, Proof]) -> None:
    failed = {
        name: [step.text for step in proof.steps if not step.holds]
        for name, proof in proved.items()
        if proof.verdict == "fails"
    }
    assert not failed


def test_what_is_used_stands_before(proved: dict[str, Proof]) -> None:
    place = {name: number for number, name in enumerate(proofs.MODULES)}
    for name, proof in proved.items():
        for used in proof.uses:
            assert place[used] < place[name], f"{name} uses {used}"


def test_every_claim_of_the_registry_has_its_proof(proved: dict[str, Proof]) -> None:
    statements = {proof.claim: proof.statement for proof in proved.values()}
    assert len(statements) == len(proved), "two proofs of one claim"
    for claim in CLAIMS:
        assert statements.get(claim.id) == claim.statement


def test_the_table_is_what_the_proofs_say(proved: dict[str, Proof]) -> None:
    text = README.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines(keepends=True) if line.startswith("| ")][2:]
    assert rows == [row(name, proof) for name, proof in proved.items()]


def test_every_row_names_things_that_exist(proved: dict[str, Proof]) -> None:
    for proof in proved.values():
        assert proof.functions, proof.claim
        assert proof.properties, proof.claim
        assert proof.optimisations, proof.claim
        for name in proof.functions:
            parts = name.split(".")
            for cut in range(len(parts), 0, -1):  # the longest importable head is the module
                try:
                    found = importlib.import_module(".".join(parts[:cut]))
                except ModuleNotFoundError:
                    continue
                break
            for part in parts[cut:]:
                found = getattr(found, part)
        for node in proof.properties:
            assert any(d.startswith("given") for d in _decorators(node)), f"{node} draws nothing"
        for node in proof.optimisations:
            _decorators(node)


def test_every_proof_can_be_read_by_itself(proved: dict[str, Proof]) -> None:
    for name in proved:
        text = importlib.import_module(f"proofs.{name}").__doc__
        assert text, name
        assert len(text.split()) > 80, f"{name}: the docstring is the derivation in words"


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["critical", "--steps", "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert "proved  critical: " in out
    assert "1 proved, 0 sketched, 0 failed" in out
    with pytest.raises(SystemExit) as stop:
        main(["nothing"])
    assert stop.value.code == 2
    assert "no proof nothing" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["criticl"])
    assert "did you mean critical" in capsys.readouterr().err
    assert main(["Constant-Gates", "--jobs", "1"]) == 0


def test_the_command_where_streams_are_poor() -> None:
    run = [sys.executable, "-m", "proofs", "critical", "--jobs", "1"]
    plain = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT, env=plain)
    assert (done.returncode, done.stderr) == (0, "")
    with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 141


def test_a_proof_that_breaks_down_fails_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module("proofs.critical")
    monkeypatch.setattr(module, "prove", lambda: 1 / 0)
    assert main(["critical", "slope", "--jobs", "1"]) == 1
    out = capsys.readouterr().out
    assert "X ZeroDivisionError: division by zero" in out
    assert "1 proved, 0 sketched, 1 failed" in out
