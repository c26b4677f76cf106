"""``linvae check``: what it finds, what it takes it for, and how it ends."""

from __future__ import annotations

import os
import random
import sys
import textwrap
import warnings

import numpy as np
import pytest

import linvae as lv
from linvae.cli import check, subjects
from tests.linvae.cli_tools import assert_refused, strict

from .check_tools import CODE, examinations


def test_a_right_loss_is_healthy(run, mine):
    result = run("check", "mine.py:right")
    assert result.code == 0
    assert "nothing wrong found" in result.text
    assert "effective beta" in result.text
    assert "said while" not in result.out + result.err
    assert result.err == ""


def test_a_wrong_loss_is_a_finding_with_a_remedy(run, mine):
    result = run("check", "mine.py:averaged", "--json")
    assert result.code == 1
    document = strict(result.out)
    assert document["command"] == "check"
    assert document["examination"]["kind"] == "loss"
    assert document["examination"]["subject"] == "mine.py:averaged"
    codes = [f["code"] for f in document["examination"]["findings"]]
    assert "reconstruction-averaged-over-features" in codes
    assert document["versions"]["linvae"] == lv.__version__
    assert document["settings"]["seed"] == 0
    people = run("check", "mine.py:averaged").text
    for finding in document["examination"]["findings"]:
        assert finding["code"] in people
        assert " ".join(finding["remedy"].split()) in people


def test_the_declared_beta_counts(run, mine):
    assert run("check", "mine.py:right", "--beta", 4).code == 1
    assert run("check", "mine.py:right", "--beta", 2, "--noise-variance", 1).code == 1
    assert run("check", "mine.py:right", "--beta", 0.5, "--noise-variance", 1).code == 0


def test_the_loss_of_validation_is_held_against_that_of_training(run, mine):
    assert run("check", "mine.py:right", "--evaluation", "mine:Inside.right").code == 0
    result = run("check", "mine.py:right", "--evaluation", "mine.py:averaged", "--json")
    assert result.code == 1
    found = [f["code"] for f in strict(result.out)["examination"]["findings"]]
    assert "evaluation-beta-differs" in found
    assert_refused(run("check", "mine.py:right", "--evaluation", "mine.py:none"), "mine.py")
    assert_refused(run("check", "mine.py:train", "--evaluation", "mine.py:right"), "drop --evalu")


@pytest.mark.parametrize("name", ["mine:right", "mine:Inside.right", "./mine.py:right"])
def test_modules_files_and_attributes(run, mine, name):
    assert run("check", name, "--quiet").code == 0
    assert run("check", name, "--quiet").out == ""


def test_a_file_is_found_from_anywhere_and_may_import_its_neighbours(run, mine, tmp_path):
    folder = tmp_path / "deeper"
    folder.mkdir()
    (folder / "neighbour.py").write_text("from other import right\n")
    (folder / "other.py").write_text(textwrap.dedent(CODE))
    before = list(sys.path)
    assert run("check", "deeper/neighbour.py:right").code == 0
    assert sys.path == before
    del sys.modules["other"]


def test_their_exception_is_theirs(run, mine):
    result = run("check", "mine.py:raising")
    assert result.code == 2
    assert "KeyError" in result.text
    assert "raised by the examined code" in result.text
    assert "mine.py" in result.text
    assert "Traceback" not in result.out + result.err
    document = strict(run("check", "mine.py:raising", "--json").out)
    assert "KeyError" in document["examination"]["failure"]


def test_a_program_that_ends_itself_is_a_failure_too(run, mine):
    result = run("check", "mine.py:leaving", "--json")
    assert result.code == 2
    assert "SystemExit: 3" in strict(result.out)["examination"]["failure"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("raise ValueError('no gpu')", "ValueError: no gpu"),
     ("import sys; sys.exit(5)", "SystemExit"),
     ("def f(:", "SyntaxError"), ("import nothing_of_this_name", "ModuleNotFoundError")],
)  # fmt: skip
@pytest.mark.parametrize("form", ["broken.py:f", "broken:f"])
def test_code_that_cannot_be_imported(run, mine, tmp_path, text, said, form):
    (tmp_path / "broken.py").write_text(text)
    result = run("check", form, "--json")
    assert result.code == 2
    assert said in strict(result.out)["examination"]["failure"]
    assert "_linvae_check_broken" not in sys.modules


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("mine.py",), ("put a colon",)),
        (("mine.py:",), ("put a colon",)),
        (("absent.py:f",), ("does not exist",)),
        (("absent_module:f",), ("no module 'absent_module'",)),
        (("absent.inner:f",), ("no module",)),
        (("mine.py:rigth",), ("did you mean right?",)),
        (("mine.py:number",), ("got int", "--kind")),
        (("mine.py:NeedsSize",), ("needs size", "NeedsSize(...)")),
        (("mine.py:model",), ("--data",)),
        (("mine.py:active", "--kind", "metric"), ("--what",)),
        (("mine.py:right", "--what", "mig"), ("--what for a loss",)),
        (("mine.py:right", "--data", "x.npy"), ("--data",)),
        (("mine.py:right", "--quick"), ("--quick",)),
        (("mine.py:train", "--likelihood", "gaussian"), ("--likelihood for a trainer",)),
        (("mine.py:right", "--beta", "0"), ("--beta",)),
        (("mine.py:right", "--latent-dim", "1.5"), ("integer",)),
        (("mine.py:right", "--html", "page.txt"), (".html",)),
        (("mine.py:right", "--html", "nowhere/page.html"), ("nowhere",)),
        (("mine.py:right", "--seed", "-1"), ("seed",)),
    ],
)
def test_what_is_asked_wrongly_is_refused_in_one_line(run, mine, words, parts):
    assert_refused(run("check", *words), *parts)


def test_the_page_is_written_whole(run, mine, tmp_path):
    result = run("check", "mine.py:raising", "--html", "page.html")
    page = (tmp_path / "page.html").read_text()
    assert result.code == 2
    assert "Written: page.html" in result.out
    assert "&lt;weights&gt;" in page
    assert "<weights>" not in page
    assert not [p for p in os.listdir(tmp_path) if p.endswith(".part")]
    document = strict(run("check", "mine.py:right", "--html", "page.html", "--json").out)
    assert document["files"] == {"html": "page.html"}


def test_nothing_of_the_process_is_changed(run, mine):
    run("check", "mine.py:averaged")  # the library that prints tables draws when first used
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    wanted = random.random(), np.random.random()  # noqa: NPY002
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    filters, path = list(warnings.filters), list(sys.path)
    run("check", "mine.py:averaged")
    assert (random.random(), np.random.random()) == wanted  # noqa: NPY002
    assert list(warnings.filters) == filters
    assert sys.path == path


@pytest.mark.parametrize("name", ["train", "Estimator"])
def test_trainers_are_guessed_and_get_their_options(run, mine, monkeypatch, name):
    calls = examinations(monkeypatch)
    result = run("check", f"mine.py:{name}", "--beta", 2, "--quick", "--seed", 5)
    assert result.code == 1
    [(kind, arguments, options)] = calls
    assert kind == "trainer"
    assert callable(arguments[0])
    assert options["betas"] == (2.0,)
    assert options["noise_variance"] is None
    assert options["seeds"] == (5,)
    assert options["quick"] is True
    assert "tables within these are in --html and --json" in result.text


@pytest.mark.parametrize("name", ["model", "Model"])
def test_models_are_held_against_their_data(run, mine, monkeypatch, name, tmp_path):
    calls = examinations(monkeypatch)
    np.save(tmp_path / "x.npy", np.eye(3))
    run("check", f"mine.py:{name}", "--data", "x.npy", "--beta", 3, "--noise-variance", 0.5)
    [(kind, arguments, options)] = calls
    assert kind == "model"
    assert arguments[1].shape == (3, 3)
    assert arguments[2] == 3.0
    assert options["noise_variance"] == 0.5


def test_metrics(run, mine, monkeypatch):
    calls = examinations(monkeypatch)
    run("check", "mine.py:active", "--kind", "metric", "--what", "active_units", "--seed", 2)
    [(kind, arguments, options)] = calls
    assert (kind, arguments[1], options["seed"]) == ("metric", "active_units", 2)


def test_a_model_is_examined_for_good(run, mine, tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.normal(size=(50, 3)))
    result = run("check", "mine.py:model", "--data", "x.npy", "--json")
    assert result.code == 1
    assert strict(result.out)["examination"]["kind"] == "model"


def test_a_metric_is_examined_for_good(run, mine):
    result = run("check", "mine.py:active", "--kind", "metric", "--what", "active_units", "--json")
    assert result.code == 0, result.out
    assert strict(result.out)["examination"]["failure"] is None


def test_options_of_every_kind_are_those_of_the_library():
    from linvae.doctor import metrics
    from linvae.doctor.loss import _scales

    assert set(check._LIKELIHOODS) == set(_scales.LIKELIHOODS)
    assert set(check._METRICS) == set(getattr(metrics, "METRICS", check._METRICS))


def test_a_package_whose_own_code_fails_is_theirs(run, mine, tmp_path):
    (tmp_path / "parent_that_fails").mkdir()
    (tmp_path / "parent_that_fails" / "__init__.py").write_text("1 / 0")
    (tmp_path / "parent_that_fails" / "inner.py").write_text("f = None")
    result = run("check", "parent_that_fails.inner:f", "--json")
    assert result.code == 2
    assert "ZeroDivisionError" in strict(result.out)["examination"]["failure"]
    assert_refused(run("check", "..mine:right"), "no module")


def test_builtins_have_no_parameters_to_guess_from(run, mine, monkeypatch):
    assert subjects._guess(dict) is None
    assert subjects._guess(max) is None
    assert_refused(run("check", "builtins:max"), "--kind")
    assert_refused(run("check", "builtins:dict"), "got dict")
