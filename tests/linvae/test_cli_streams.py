"""The command line with standard streams that are closed or full, and with negative numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import linvae as lv
from linvae.cli import arguments, main
from tests.linvae.cli_tools import Run, assert_refused, runner, strict


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(3).normal(size=(40, 4)) * [1e-3, 1e-4, 1e-5, 1e-6])
    return path


def test_negative_numbers_with_an_exponent(run: Run, data: Path) -> None:
    spectrum = lv.Spectrum.from_samples(np.load(data))
    curve = lv.Frontier(spectrum, latent_dim=4, noise_variance=1e-12)
    wanted = curve.at_distortion([-5e1, -45.0])
    options = ("frontier", data, "--noise-variance", 1e-12, "--latent-dim", 4, "--json")
    for words in (("-5e1", "-4.5E+1"), ("-.5e2", "-450.e-1"), ("-50", "-45.0")):
        result = run(*options, "--distortion", *words)
        assert (result.code, result.err) == (0, "")
        np.testing.assert_array_equal(strict(result.out)["points"]["beta"], wanted.beta)
    error = curve.at_squared_error(np.array([wanted.squared_error[0]]))
    decibels = float(error.psnr(1e-7)[0])
    assert decibels < 0
    found = run(*options, "--data-range", 1e-7, "--psnr", f"{decibels:.17e}")
    assert strict(found.out)["points"]["beta"][0] == pytest.approx(error.beta[0], rel=1e-12)


@pytest.mark.parametrize("word", ["-5e", "-e1", "-x", "-1-2", "-."])
def test_what_looks_a_little_like_a_negative_number(run: Run, data: Path, word: str) -> None:
    assert_refused(run("frontier", data, "--distortion", word), "--distortion")


def test_the_sub_parsers_read_negative_numbers() -> None:
    parser = arguments.Parser()
    parser.add_subparsers().add_parser("verb").add_argument("--x", type=float, nargs="+")
    assert parser.parse_args(["verb", "--x", "-1e-3", "2"]).x == [-1e-3, 2.0]


def _closing(*words: object, fds: tuple[int, ...]) -> SimpleNamespace:
    """Run the command in a process that starts with these streams closed."""
    script = f"""
import os, sys
for fd in {fds}:
    os.close(fd)
os.execv(sys.executable, [sys.executable, "-m", "linvae", *sys.argv[1:]])
"""
    result = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)], capture_output=True, check=False
    )
    return SimpleNamespace(code=result.returncode, out=result.stdout, err=result.stderr)


def test_closed_standard_output(data: Path) -> None:
    result = _closing("frontier", data, fds=(1,))
    assert result.code == 2
    assert result.err.startswith(b"linvae: error: standard output: got a closed stream")
    assert result.err.count(b"\n") == 1


def test_closed_standard_error(data: Path) -> None:
    wrong = _closing("frontier", data, "--rate", "-1", fds=(2,))
    assert (wrong.code, wrong.out, wrong.err) == (2, b"", b"")
    right = _closing("frontier", data, "--json", fds=(2,))
    assert (right.code, right.err) == (0, b"")
    assert strict(right.out.decode())["command"] == "frontier"


def test_closed_streams_without_a_process(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["frontier", str(data)]) == 2
    assert sys.stderr is None


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("extra", [(), ("--json",)], ids=["text", "json"])
def test_full_standard_output(data: Path, extra: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [sys.executable, "-m", "linvae", "frontier", str(data), *extra],
            stdout=full, stderr=subprocess.PIPE, check=False)  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.startswith(b"linvae: error: standard output: got ")
    assert result.stderr.count(b"\n") == 1


def test_errors_about_files_are_not_blamed_on_standard_output(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any) -> int:
        raise FileNotFoundError(2, "No such file", "lost")

    monkeypatch.setattr("linvae.cli.commands.frontier_command", broken)
    with pytest.raises(FileNotFoundError, match="lost"):
        run("frontier", data)
