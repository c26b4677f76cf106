"""What the sandbox puts back, and whom it blames."""

from __future__ import annotations

import logging
import os
import sys

import numpy as np
import pytest

from linvae.doctor import examine_loss, examine_metric
from linvae.doctor.sandbox import call, undisturbed
from linvae.errors import SubjectError
from tests.linvae.cli_tools import strict


def state():
    return (os.getcwd(), dict(os.environ), list(sys.path), id(sys.path), list(sys.argv),
            sys.getrecursionlimit(), logging.root.manager.disable,
            np.get_printoptions())  # fmt: skip


def disturb(folder):
    os.chdir(folder)
    os.environ["LINVAE_TEST_VARIABLE"] = "set"
    sys.path.insert(0, str(folder))
    sys.path = [*sys.path, "elsewhere"]
    sys.argv.append("--more")
    sys.setrecursionlimit(sys.getrecursionlimit() + 7)
    logging.disable(logging.ERROR)
    np.set_printoptions(precision=3)


def test_everything_of_the_process_is_put_back(tmp_path):
    before = state()

    def theirs():
        with undisturbed():
            disturb(tmp_path)
            raise KeyError

    with pytest.raises(KeyError):
        theirs()
    assert state() == before


def test_examinations_put_it_back(tmp_path):
    def loss(x, x_hat, mean, log_var):
        disturb(tmp_path)
        return ((x - x_hat) ** 2).sum() + (mean**2 + np.exp(log_var) - 1 - log_var).sum() / 2

    def active(mean):
        disturb(tmp_path)
        return int((mean.var(axis=0) > 0.01).sum())

    before = state()
    assert examine_loss(loss).failure is None
    assert examine_metric(active, "active_units").failure is None
    assert state() == before


def test_a_folder_that_is_gone_is_no_trouble(tmp_path, monkeypatch):
    start = tmp_path / "start"
    start.mkdir()
    monkeypatch.chdir(start)
    with undisturbed():
        os.chdir(tmp_path)
        start.rmdir()


@pytest.mark.parametrize(
    ("raised", "said"),
    [(SystemExit(), "SystemExit: the code ended the program (raised"),
     (SystemExit(3), "SystemExit: 3 (raised"), (ValueError(), "ValueError (raised"),
     (ValueError("two\n  lines"), "ValueError: two lines (raised")],
)  # fmt: skip
def test_what_they_raise_is_told_with_their_line(raised, said):
    def theirs():
        raise raised

    with pytest.raises(SubjectError) as error:
        call(theirs)
    assert str(error.value).startswith(said)
    assert f"{__file__}:" in str(error.value)


def test_a_long_message_is_cut_in_its_middle():
    def theirs():
        raise TypeError("begins here " + str(np.arange(999).tolist()) + " ends here")

    with pytest.raises(SubjectError) as error:
        call(theirs)
    text = str(error.value)
    assert "begins here" in text
    assert "ends here" in text
    assert len(text) < 400 + len(__file__) + 100


def test_a_call_that_does_not_fit_blames_no_line():
    with pytest.raises(SubjectError) as error:
        call(lambda x: x, 1, 2)
    assert "when the examined code was called" in str(error.value)
    assert "sandbox" not in str(error.value)
    assert ".py" not in str(error.value)


LATE = """
    import os, sys

    os.makedirs("lib", exist_ok=True)
    open("lib/late_neighbour.py", "w").write("FACTOR = 1.0")
    sys.path.insert(0, os.path.abspath("lib"))
    os.environ["LINVAE_TEST_VARIABLE"] = "1"
    os.chdir("lib")

    class Model:
        def encode(self, x):
            import late_neighbour
            mean = x[:, :1] * late_neighbour.FACTOR * float(os.environ["LINVAE_TEST_VARIABLE"])
            return mean, mean * 0 - 1.0

        def decode(self, z):
            return z.repeat(3, axis=1)

    model = Model()
"""


def test_what_an_import_sets_lasts_until_the_end_and_no_longer(run, mine, tmp_path):
    import textwrap

    (tmp_path / "late.py").write_text(textwrap.dedent(LATE))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(50, 3)))
    before = state()
    result = run("check", "late.py:model", "--data", "x.npy", "--html", "page.html", "--json")
    sys.modules.pop("late_neighbour", None)
    assert strict(result.out)["examination"]["failure"] is None
    assert state() == before
    assert (tmp_path / "page.html").exists()
