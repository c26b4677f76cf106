"""The cases of docs/check-your-vae.md are what the commands beside them print."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import pytest

from linvae import cli
from linvae.cli import check, subjects
from tests.linvae.cli_tools import runner

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "check-your-vae.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.S)


def files() -> dict[str, str]:
    found = (text.partition("\n") for kind, text in BLOCKS if kind == "python")
    return {first[2:]: rest for first, _, rest in found if first.startswith("# ")}


def corrected(name: str, text: str) -> str:
    """The file after the change that the page recommends."""
    [change] = [t for kind, t in BLOCKS if kind == "diff" and t.startswith(f"# {name}\n")]
    lines = change.splitlines()[1:]
    for old, new in zip(lines[::2], lines[1::2], strict=True):
        assert (old[0], new[0]) == ("-", "+")
        assert text.count(old[1:]) == 1
        text = text.replace(old[1:], new[1:])
    return text


def commands() -> list[tuple[str, str]]:
    """Each command with the output printed after it, in the order of the page."""
    pairs = itertools.pairwise(BLOCKS)
    return [(a[1].strip(), b[1]) for a, b in pairs if a[0] == "sh" and b[0] == "text"]


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    pytest.importorskip("torch")
    from deep.adapters import adapt

    class Entry:
        load = staticmethod(lambda: adapt)

    monkeypatch.setitem(cli.VERBS, "check", cli.Verb(check.SUMMARY, check.add_options, check.run))
    monkeypatch.setattr(subjects, "entry_points", lambda group: [Entry])
    monkeypatch.setenv("COLUMNS", "88")
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


def assert_told(out: str, shown: str) -> None:
    """Every line without measured digits is on the page; those with them begin alike."""
    spaces = " ".join(shown.split())
    head = out.split("Measured")[0]
    for line in head.splitlines():
        if not re.search(r"\d\.\d|─", line):
            assert " ".join(line.split()) in spaces, line


@pytest.mark.parametrize("name", ["objective.py", "information.py"])
def test_the_page_shows_what_is_printed_before_and_after_the_change(run, tmp_path, name):
    text = files()[name]
    before, after = [(c, shown) for c, shown in commands() if f" {name}:" in c]
    assert before[0] == after[0]
    for (command, shown), code, want in ((before, text, 1), (after, corrected(name, text), 0)):
        (tmp_path / name).write_text(code)
        result = run(*shlex.split(command)[1:])
        assert result.code == want
        assert_told(result.out, shown)


@pytest.mark.slow
def test_the_training_of_the_page_is_found_out_in_the_quick_examination(run, tmp_path):
    (tmp_path / "training.py").write_text(files()["training.py"])
    result = run("check", "training.py:train", "--noise-variance", "0.5", "--quick")
    assert result.code == 1
    assert "kl-averaged-over-latents" in result.text
    [shown, _] = [shown for c, shown in commands() if " training.py:" in c]
    assert "code: kl-averaged-over-latents" in shown
    corrected("training.py", files()["training.py"])


def test_pythae_by_hand(run):
    pytest.importorskip("pythae.models", reason="pythae is not installed")
    code = files()["hand.py"]
    printed: list = []
    exec(code, {"print": printed.append})
    assert printed == [[4.5, 2.5, 0.5]]
    assert "[4.5, 2.5, 0.5]" in PAGE
    command, shown = next((c, s) for c, s in commands() if "pythae.models" in c)
    result = run(*shlex.split(command)[1:])
    assert result.code == 0
    assert re.search(r"effective beta +4\n", shown)
    assert re.search(r"effective beta +4\n", result.out)
