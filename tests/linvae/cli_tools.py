"""What the tests of the command line share."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from linvae.cli import main

__all__ = ["Run", "assert_refused", "fake_checks", "runner", "strict"]

Run = Callable[..., SimpleNamespace]


def runner(capsys: pytest.CaptureFixture[str]) -> Run:
    """Call main and return its exit code and what it printed."""

    def call(*argv: object) -> SimpleNamespace:
        code = main([str(word) for word in argv])
        captured = capsys.readouterr()
        # `text` is `out` without the line breaks that depend on the width of the screen.
        text = " ".join(captured.out.split())
        return SimpleNamespace(code=code, out=captured.out, text=text, err=captured.err)

    return call


def strict(text: str) -> Any:
    """Parse JSON, refusing NaN and Infinity."""

    def token(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=token)


def assert_refused(result: SimpleNamespace, *parts: str) -> None:
    """Exit code 2, one line on standard error, nothing on standard output."""
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("linvae: error: ")
    assert result.err.count("\n") == 1
    assert result.err.endswith("\n")
    for part in parts:
        assert part in result.err


def fake_check(number: int, status: str) -> Any:
    return SimpleNamespace(
        claim=f"X.{number}",
        statement=f"Statement number {number} [bold].",
        status=status,
        residual=10.0 ** -(number + 3),
        tolerance=1e-4,
        note=f"remark {number}",
        relation=">=" if status == "impossible" else "<=",
        passed=status != "fails",
    )


def fake_checks(*statuses: str) -> list[Any]:
    return [fake_check(number, status) for number, status in enumerate(statuses)]
