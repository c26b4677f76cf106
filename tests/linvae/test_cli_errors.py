"""The command line on bad input, at its several ends, and on every kind of terminal."""

from __future__ import annotations

import contextlib
import io
import os
import runpy
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import linvae as lv
from linvae import cli
from linvae.cli import console, main
from linvae.errors import InputError, NonUniqueOptimumWarning
from tests.linvae.cli_tools import Run, assert_refused, fake_checks, runner, strict


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


@pytest.fixture
def data(tmp_path: Path, rng: np.random.Generator) -> Path:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "x.npy"
    np.save(path, rng.normal(size=(40, 6)) * [4.0, 3.0, 2.0, 1.0, 0.5, 0.25])
    return path


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--latent-dim", "0"), ("--latent-dim", "'0'", "integer >= 1")),
        (("--latent-dim", "2.5"), ("'2.5'", "integer >= 1")),
        (("--latent-dim", "7"), ("latent_dim", "7", "<= 6")),
        (("--noise-variance", "0"), ("--noise-variance", "'0'", "number > 0")),
        (("--noise-variance", "-1"), ("'-1'",)),
        (("--noise-variance", "nan"), ("'nan'",)),
        (("--noise-variance", "big"), ("'big'", "ml")),
        (("--noise-variance", "1e-320"), ("noise_variance",)),
        (("--beta", "0"), ("--beta", "'0'")),
        (("--beta", "-2"), ("--beta", "'-2'")),
        (("--beta", "nan"), ("'nan'",)),
        (("--beta", "inf"), ("'inf'",)),
        (("--beta", "1:2"), ("'1:2'", "LOW:HIGH:COUNT")),
        (("--beta", "2:1:5"), ("'2:1:5'",)),
        (("--beta", "1:2:0"), ("'1:2:0'",)),
        (("--beta", "1:2:1"), ("'1:2:1'",)),
        (("--beta", "1:2:3:4"), ("'1:2:3:4'",)),
        (("--beta", "1:2:1e3"), ("'1:2:1e3'",)),
        (("--beta", "1:2:99999999999"), ("99999999999",)),
        (("--beta", "1,,2"), ("''",)),
        (("--beta",), ("expected at least one argument",)),
        (("--rate", "-1"), ("--rate", "number >= 0")),
        (("--rate", "x"), ("--rate", "finite number")),
        (("--rate", "1e9"), ("rate", "smaller rate")),
        (("--rate", "1", "--beta", "2"), ("not allowed with",)),
        (("--psnr", "20"), ("--data-range",)),
        (("--psnr", "-9999", "--data-range", "1"), ("--psnr",)),
        (("--psnr", "500", "--data-range", "1"), ("squared_error", "more latents")),
        (("--squared-error", "1e9"), ("squared_error",)),
        (("--distortion", "-1e9"), ("distortion",)),
        (("--data-range", "0"), ("--data-range", "number > 0")),
        (("--frobnicate",), ("unrecognized", "--frobnicate", "linvae frontier --help")),
        (("--latentdim", "3"), ("did you mean --latent-dim?",)),
        (("--lat", "3"), ("unrecognized arguments: --lat",)),
        (("extra",), ("unrecognized arguments: extra",)),
        (("--key", "x"), ("--key", "drop --key")),
        (("--plot", "x.pdf"), ("--plot", ".png or .svg")),
        (("--plot", "no/such/x.png"), ("--plot", "mkdir -p")),
    ],
)
def test_bad_flags(run: Run, data: Path, options: tuple[str, ...], parts: tuple[str, ...],
                   tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert_refused(run("frontier", data, *options), *parts)
    assert_refused(run("frontier", data, *options, "--json"), *parts)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_bad_verbs_and_missing_arguments(run: Run) -> None:
    assert_refused(run(), "no verb", "demo, frontier, respond, verify")
    assert_refused(run("frontear"), "frontear", "frontier")
    assert_refused(run("frontier"), "DATA")
    assert_refused(run("frontier", "--beta", "1", "x.npy"), "data file goes before")
    assert_refused(run("--nonsense"))


def test_bad_data_reaches_the_user_as_one_line(run: Run, tmp_path: Path) -> None:
    def saved(array: Any) -> Path:
        np.save(tmp_path / "x.npy", np.asarray(array))
        return tmp_path / "x.npy"

    for verb in ("frontier", "respond", "verify"):
        assert_refused(run(verb, tmp_path / "no.npy"), "does not exist")
        assert_refused(run(verb, tmp_path), "a directory")
        assert_refused(run(verb, saved([[1.0, np.nan], [2.0, 3.0]])), "nan", "row 0, column 1")
        assert_refused(run(verb, saved([[1.0, 2.0], [np.inf, 3.0]])), "inf", "row 1, column 0")
        assert_refused(run(verb, saved([[1j, 2.0]])), "complex128")
        assert_refused(run(verb, saved([["a", "b"]])), "dtype <U1")
        assert_refused(run(verb, saved([1.0, 2.0])), "shape (2,)")
        assert_refused(run(verb, saved(np.ones((0, 4)))), "shape (0, 4)")
        assert_refused(run(verb, saved([[1e200, 1.0], [-1e200, 2.0]])), "1e150")
        assert_refused(run(verb, saved(np.ones((3, 2)))), "ml", "do not vary", "pass a number")
    whole = saved(np.eye(40)).read_bytes()
    (tmp_path / "x.npy").write_bytes(whole[:-8])
    assert_refused(run("frontier", tmp_path / "x.npy"), "truncated")
    (tmp_path / "x.csv").write_text("1,2\n3\n")
    assert_refused(run("frontier", tmp_path / "x.csv"), "line 2 with 1 cells")


def test_noise_variance_that_does_not_exist(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(3)[:, :2] @ np.ones((2, 4)))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(3, 5)))  # rank 2
    result = run("frontier", tmp_path / "x.npy", "--latent-dim", 2)
    assert_refused(result, "--noise-variance", "k = 2", "or a smaller --latent-dim")


@pytest.mark.parametrize("rows", [[[1, 2], [3, 4], [5, 6]], [[2, 2], [2, 2]]])
def test_the_noise_variance_suggested_in_its_place_works(
    run: Run, tmp_path: Path, rows: list[list[float]]
) -> None:
    np.save(tmp_path / "x.npy", np.array(rows, dtype=float))  # rank 1 and 0
    refused = run("frontier", tmp_path / "x.npy")
    assert_refused(refused, "for example --noise-variance ")
    words = refused.err.split("for example ")[1].split()[:2]
    tenth = np.var(rows, axis=0).mean() / 10
    assert float(words[1]) == pytest.approx(tenth or 1.0, rel=0.01)
    assert run("frontier", tmp_path / "x.npy", *words).code == 0


def test_numbers_beyond_float64(run: Run, data: Path) -> None:
    for decibels, width in (("20", "1e200"), ("1e9", "1"), ("-1e9", "1")):
        result = run("frontier", data, "--psnr", decibels, "--data-range", width)
        assert_refused(result, "--psnr: got", f"data range of {float(width):g}", "float64")


def test_empty_names_are_not_taken_for_no_name(run: Run, data: Path) -> None:
    assert_refused(run("frontier", data, "--plot", ""), "--plot: got ''", ".png")
    assert_refused(run("respond", data, "--output", ""), "--output: got ''", ".npz")
    assert_refused(run("demo", "--output", ""), "--output: got ''", "directory")


def test_outputs_that_cannot_be_written(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "d.npz").mkdir()
    for target, part in (
        ("x.npy", ".npz"),
        ("d.npz", "not a plain file"),
        ("no/x.npz", "directory that does not exist"),
        ("/proc/x.npz", "could not be written"),
    ):
        assert_refused(run("respond", data, "--output", tmp_path / target), part)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.npz", "in"]


def test_a_full_disk_leaves_nothing(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: Any, **_: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    assert_refused(run("respond", data, "--output", tmp_path / "x.npz"), "No space left")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


# --- endings -------------------------------------------------------------------------------------


def raising(error: BaseException) -> Callable[..., int]:
    def verb(options: Any) -> int:
        raise error

    return verb


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (KeyboardInterrupt(), 130, "linvae: error: interrupted\n"),
        (MemoryError(), 2, "linvae: error: got data too large for the memory"),
        (InputError("a\nb"), 2, "linvae: error: a b\n"),
    ],
)
def test_foreseen_ends(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch, error: Any, code: int, text: str
) -> None:
    monkeypatch.setattr("linvae.cli.commands.frontier_command", raising(error))
    result = run("frontier", data)
    assert result.code == code
    assert result.err.startswith(text)
    assert result.err.count("\n") == 1
    assert result.out == ""


def test_closed_pipe(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linvae.cli.commands.frontier_command", raising(BrokenPipeError()))
    result = run("frontier", data)
    assert (result.code, result.out, result.err) == (141, "", "")


def test_a_bug_is_not_hidden(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linvae.cli.commands.frontier_command", raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main(["frontier", str(data)])


def test_warnings_of_the_package_are_one_line(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verb(options: Any) -> int:
        warnings.warn("two\noptima", NonUniqueOptimumWarning, stacklevel=2)
        return 0

    monkeypatch.setattr("linvae.cli.commands.frontier_command", verb)
    assert run("frontier", data).err == "linvae: warning: two optima\n"

    def other(options: Any) -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("elsewhere", UserWarning, stacklevel=2)
        return 0

    monkeypatch.setattr("linvae.cli.commands.frontier_command", other)
    with pytest.warns(UserWarning, match="elsewhere"):
        assert run("frontier", data).err == ""


def test_help_and_version(run: Run) -> None:
    result = run("--help")
    assert result.code == 0
    for verb in cli.VERBS:
        assert verb in result.out
        text = run(verb, "--help").out
        assert f"usage: linvae {verb}" in text
        assert "--json" in text
        assert "Exit codes" in text
    assert run("--version").out == f"linvae {lv.__version__}\n"


# --- terminals -----------------------------------------------------------------------------------


def test_progress_only_on_a_terminal_and_only_for_long_input(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(console, "LONG_INPUT", 10)
    assert run("frontier", data).err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown = run("frontier", data, "--json")
    assert "reading" in shown.err
    assert strict(shown.out)
    assert run("frontier", data, "--quiet").err == ""
    monkeypatch.setattr(console, "LONG_INPUT", 10**9)
    assert run("frontier", data).err == ""


def test_colours_only_on_a_terminal(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" not in run("respond", data).out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "\x1b[1m" in run("respond", data).out


@pytest.mark.parametrize("columns", ["20", "60", "200"])
def test_any_width(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(
        "linvae.verification.verify", lambda *_, **__: fake_checks("holds", "holds")
    )
    result = run("verify", data, "--latent-dim", 2, "--beta", 1)
    assert result.code == 0
    assert "2 of 2 claims hold; none fails." in result.text
    lines = [line for line in result.out.splitlines() if str(data) not in line]
    assert max(map(len, lines)) <= max(min(int(columns), 100), 60)


def test_output_without_a_terminal_behind_it(data: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["frontier", str(data)]) == 0
    assert "Critical β" in out.getvalue()


def test_letters_that_the_terminal_lacks_are_spelled(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["respond", str(data), "--beta", "1"]) == 0
    text = raw.getvalue().decode("ascii")
    assert "Optimal model at beta = 1" in text
    assert "variance sigma^2 =" in " ".join(text.split())
    assert "-+-" in text
    assert "?" not in text
    assert stream.errors == "strict"


def test_run_as_a_module(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["linvae", "frontier", str(data), "--json"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("linvae", run_name="__main__")
    assert end.value.code == 0
    assert strict(capsys.readouterr().out)


# --- a process of its own ------------------------------------------------------------------------


def spawn(*argv: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "linvae", *map(str, argv)], check=False, timeout=60,
        stderr=subprocess.PIPE, **options)  # fmt: skip


def test_process_prints_json_and_stays_light(data: Path) -> None:
    result = spawn("frontier", data, "--json", stdout=subprocess.PIPE)
    assert (result.returncode, result.stderr) == (0, b"")
    assert strict(result.stdout.decode())["command"] == "frontier"
    # Help lists the verbs of other packages, whose declarations must be light; verbs of our own do
    # without these packages.
    for words, more in ((["--help"], "'deep.cli.commands'"), (["frontier", "--help"], "'deep'")):
        light = subprocess.run(
            [sys.executable, "-c",
             f"import sys; from linvae.cli import main; main({words})\n"
             f"heavy = {{'torch', {more}, 'scipy', 'sklearn', 'matplotlib', 'rich', 'sympy'}}\n"
             "sys.exit(bool(heavy & set(sys.modules)))"],
            check=False, timeout=60, stdout=subprocess.DEVNULL)  # fmt: skip
        assert light.returncode == 0


def test_process_that_fails_writes_one_line(tmp_path: Path) -> None:
    result = spawn("frontier", tmp_path / "no.npy", stdout=subprocess.PIPE)
    assert result.returncode == 2
    assert result.stdout == b""
    assert result.stderr.count(b"\n") == 1
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize("extra", [(), ("--json", "--beta", "0.1:10:5000")], ids=["text", "json"])
def test_reader_that_goes_away(data: Path, extra: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = spawn("frontier", data, *extra, stdout=writer)
    finally:
        os.close(writer)
    assert result.stderr == b""
    assert result.returncode == 141
