"""The checks of the exercises can fail, never raise, and never give the answer away."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from notebooks.course import (
    Choice,
    Choices,
    Exercise,
    Expression,
    Function,
    Mistake,
    Satisfies,
    checking,
)

HALF = Mistake(lambda: 6.0, "Where is the ½?")
OTHER = Mistake(lambda: -3.0)


class Hostile:
    """Raises whatever is done with it."""

    def __array__(self, *arguments, **options):
        raise RuntimeError("hands off")

    def __iter__(self):
        raise RuntimeError("hands off")

    def __call__(self, *arguments):
        raise RuntimeError("hands off")

    __hash__ = None

    def __eq__(self, other):
        raise RuntimeError("hands off")


@pytest.fixture
def ask(monkeypatch):
    """Check an answer against a truth, through the public function."""

    def asked(truth, answer, wrong=(HALF, OTHER), tolerance=1e-6):
        task = Exercise("00.1", lambda: truth, tuple(wrong), tolerance)
        monkeypatch.setattr(checking, "exercises", lambda notebook: {"00.1": task})
        return checking.check("00.1", answer)

    return asked


b = sp.Symbol("beta", positive=True)
KINDS = {
    "number": 3.0,
    "zero": 0.0,
    "count": 4,
    "vector": np.array([1.0, 0.0, 1e-3]),
    "flag": True,
    "choice": Choice("b", among="abcd"),
    "choices": Choices("ac", among="abcd"),
    "expression": sp.Max(0, 1 - b),
    "function": Function(lambda beta: np.exp(-beta), at=[0.1, 1.0, 3.0]),
    "open": Satisfies(lambda value: 1.0 < value < 2.0 or "Between the two.", 1.5),
}
RUBBISH = (None, float("nan"), float("inf"), "rubbish", b"x", object(), [], {}, 1j, Hostile(), int)


@pytest.mark.parametrize("truth", KINDS.values(), ids=KINDS)
def test_right_unanswered_and_rubbish(truth, ask):
    kind = Exercise("00.1", lambda: truth, (), 0.0).kind
    assert ask(truth, kind.example()).status == "right"
    assert ask(truth, ...).status == "unanswered"
    for answer in (*kind.perturbed(), *RUBBISH):
        assert ask(truth, answer).status in ("wrong", "cannot read"), answer


@pytest.mark.parametrize("answer", [3, 3.0, np.float64(3.0), np.array([3.0]), sp.Integer(3)])
def test_numbers_come_in_many_forms(answer, ask):
    assert ask(3.0, answer).status == "right"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (3.0 * (1 + 0.9e-6), "right"),
        (3.0 * (1 + 1.1e-6), "wrong"),
        (3.1, "wrong"),
        ("3.0", "cannot read"),
        (True, "cannot read"),
        ([3.0, 3.0], "cannot read"),
        ([..., 3.0], "unanswered"),
        (["3.0"], "cannot read"),
        (None, "cannot read"),
    ],
)
def test_numbers(answer, status, ask):
    assert ask(3.0, answer).status == status


def test_small_entries_of_an_array_count_as_much_as_large_ones(ask):
    truth = np.array([1.0, 1e-4])
    assert ask(truth, [1.0, 1.01e-4]).status == "wrong"
    assert ask(truth, truth[:1]).message == "expected shape (2,), got (1,)."


def test_a_typical_mistake_gets_its_hint_also_when_rounded(ask):
    assert ask(3.0, 6.001) == checking.Verdict("00.1", "wrong", "Where is the ½?")
    assert ask(3.0, 5.0).message == ""
    assert "close" in ask(3.0, 3.02).message


def test_the_verdict_is_one_line(ask):
    assert repr(ask(3.0, 6.0)) == "Exercise 00.1: wrong. Where is the ½?"
    assert repr(ask(3.0, 3.0)) == "Exercise 00.1: right."
    assert "\n" not in repr(replace(ask(3.0, 6.0), message="two\nlines"))


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("a, c", "right"),
        ("CA", "right"),
        ({"a", "c"}, "right"),
        (["a"], "wrong"),
        ([], "wrong"),
        (["a", ...], "unanswered"),
        ("ace", "cannot read"),
        (7, "cannot read"),
    ],
)
def test_sets_of_statements(answer, status, ask):
    assert ask(Choices("ac", among="abcd"), answer).status == status


def test_statements(ask):
    truth = Choice("b", among="abcd")
    assert [ask(truth, w).status for w in (" B ", "a", "e")] == ["right", "wrong", "cannot read"]


def test_expressions_are_compared_by_value_and_by_name(ask):
    lam = sp.Symbol("lambda", positive=True)
    truth = sp.log(lam / b) / 2
    plain, ratio = sp.Symbol("beta"), sp.Symbol("lambda")
    assert ask(truth, (sp.log(ratio) - sp.log(plain)) / 2).status == "right"
    assert ask(truth, sp.log(ratio / plain)).status == "wrong"
    assert ask(truth, truth + sp.Rational(1, 10**20)).status == "wrong"
    assert "depend on x" in ask(truth, truth + sp.Symbol("x")).message
    assert ask(truth, sp.log(ratio / plain), [Mistake(lambda: 2 * truth, "½")]).message == "½"
    assert ask(truth, 0.3).status == "wrong"
    assert ask(truth, sp.nan).status in ("wrong", "cannot read")


def test_expressions_on_a_range(ask):
    truth = Expression(1 - b, at=[{"beta": sp.Rational(i, 10)} for i in range(1, 10)])
    assert ask(truth, sp.Max(0, 1 - b)).status == "right"
    assert ask(1 - b, sp.Max(0, 1 - b)).status == "wrong"


def test_functions(ask):
    truth = Function(lambda a, k: np.full(k, a), at=[(0.5, 2), (2.0, 3)])
    assert ask(truth, lambda a, k: [a] * k).status == "right"
    assert ask(truth, lambda a, k: ...).status == "unanswered"
    assert ask(truth, lambda a, k: None).message.startswith("the answer is None")
    assert ask(truth, lambda a, k: [a]).status == "cannot read"
    assert "ZeroDivisionError" in ask(truth, lambda a, k: a / 0).message
    assert ask(truth, lambda a, k: [0.5] * k).message == "It is right at 1 of 2 hidden points."
    assert ask(truth, 0.5).status == "cannot read"
    twice = Mistake(lambda: lambda a, k: [2 * a] * k, "Twice.")
    assert ask(truth, lambda a, k: np.full(k, a + a), [twice]).message == "Twice."


def test_open_answers_are_told_why(ask):
    truth = KINDS["open"]
    assert ask(truth, 1.1).status == "right"
    assert ask(truth, 3.0).message == "Between the two."
    assert ask(truth, "text").status == "cannot read"


def test_warnings_of_an_answer_do_not_matter(ask):
    truth = Function(lambda beta: beta, at=[1.0, 2.0])

    def loud(beta):
        np.divide(1.0, 0.0)
        return beta

    assert ask(truth, loud).status == "right"


def test_an_error_in_the_course_itself_is_not_hidden(monkeypatch):
    def broken():
        raise ZeroDivisionError

    task = Exercise("00.1", broken, (HALF, OTHER), 0.0)
    monkeypatch.setattr(checking, "exercises", lambda notebook: {"00.1": task})
    with pytest.raises(ZeroDivisionError):
        checking.check("00.1", 1.0)
    with pytest.raises(LookupError, match=r"no exercise 00\.2"):
        checking.check("00.2", 1.0)


@pytest.mark.parametrize("truth", ["b", {"a"}, lambda beta: beta, float("nan"), [1.0, np.inf]])
def test_truths_that_would_be_ambiguous_or_void(truth):
    with pytest.raises((TypeError, ValueError)):
        _ = Exercise("00.1", lambda: truth, (), 0.0).kind


def test_declaring(monkeypatch):
    monkeypatch.setattr(checking, "_EXERCISES", {})

    @checking.exercise("00.1", wrong=[HALF, OTHER])
    def truth():
        return 3.0

    assert truth() == 3.0
    checking.exercise("00.1", wrong=[HALF, OTHER])(truth)  # a module that is reloaded
    with pytest.raises(ValueError, match="declared twice"):
        checking.exercise("00.1", wrong=[HALF, OTHER])(lambda: 3.0)
    with pytest.raises(ValueError, match="two mistakes"):
        checking.exercise("00.2", wrong=[HALF])
    with pytest.raises(ValueError, match="tolerance"):
        checking.exercise("00.2", wrong=[HALF, OTHER], tolerance=0.03)


def test_expressions_come_in_many_forms(ask):
    lam = sp.Symbol("lambda", positive=True)
    truth = sp.log(lam / b) / 3
    for answer in (
        float(1 / 3) * sp.log(lam / b),
        [truth],
        (truth,),
        sp.log(lam) / 3 - sp.log(b) / 3.0,
    ):
        assert ask(truth, answer).status == "right", answer
    for answer in (0.3333333 * sp.log(lam / b), [truth, -truth], [2 * truth], np.int64(0), 0.1):
        assert ask(truth, answer).status in ("wrong", "cannot read"), answer
    assert ask(sp.Integer(2), np.int64(2)).status == "right"
    assert ask(truth, [...]).status == "unanswered"
    ranged = Expression(truth, at=[{"beta": 1, "lambda": 3}])
    assert ask(ranged, truth + sp.Symbol("lam")).message == "Should it depend on lam?"
    assert ask(ranged, truth + sp.Symbol("q") - sp.Symbol("q")).status == "right"


def test_rows_and_columns_will_do(ask):
    truth = np.array([1.0, 2.0])
    for answer in ([[1, 2]], [[1.0], [2.0]], (Fraction(1), sp.Integer(2))):
        assert ask(truth, answer).status == "right"
    assert ask(truth, np.eye(2)).status == "cannot read"
    assert ask(np.eye(2), [1.0, 0.0, 0.0, 1.0]).status == "cannot read"
