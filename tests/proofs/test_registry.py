"""Every claim has a proof, every proof a row, and every row names things that exist."""

from __future__ import annotations

import ast
import importlib
from functools import cache
from pathlib import Path

import pytest

import proofs
from linvae.verification import CLAIMS
from proofs.__main__ import main, prove_all
from proofs.argument import Proof
from proofs.table import README, row

ROOT = Path(__file__).resolve().parents[2]
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


def test_no_proof_fails(proved: dict[str, Proof]) -> None:
    failed = {
        name: [step.text for step in proof.steps if not step.holds]
        for name, proof in proved.items()
        if proof.verdict == "fails"
    }
    assert not failed


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
    assert "no proof nothing; there are: mode_objective" in capsys.readouterr().err


def test_a_proof_that_breaks_down_fails_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module("proofs.critical")
    monkeypatch.setattr(module, "prove", lambda: 1 / 0)
    assert main(["critical", "slope", "--jobs", "1"]) == 1
    out = capsys.readouterr().out
    assert "X ZeroDivisionError: division by zero" in out
    assert "1 proved, 0 sketched, 1 failed" in out
