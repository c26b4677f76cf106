"""Every right answer is accepted; typical and generic wrong ones are rejected."""

from __future__ import annotations

import numpy as np
import pytest

from notebooks.course import check, exercises
from notebooks.course.kinds import Satisfies

from . import reading
from .reading import NAMES

NOBODYS_ANSWER = (None, float("nan"), float("inf"), "no idea", object(), [], {}, 1j, np.eye(7))


@pytest.mark.parametrize("name", NAMES)
def test_the_exercises_of_the_notebook_are_those_with_answers(name):
    asked = [task.name for task in reading.tasks(reading.cells(name), name[:2])]
    assert asked == list(exercises(name[:2]))


@pytest.mark.parametrize("name", NAMES)
def test_right_answers_are_accepted(name):
    for task in exercises(name[:2]).values():
        verdict = check(task.name, task.kind.example())
        assert verdict.status == "right", verdict


@pytest.mark.parametrize("name", NAMES)
def test_typical_mistakes_are_rejected_each_with_its_own_hint(name):
    for task in exercises(name[:2]).values():
        for mistake in task.wrong:
            verdict = check(task.name, mistake.make())
            assert verdict.status == "wrong", (verdict, mistake.hint)
            assert mistake.hint in ("", verdict.message) or isinstance(task.kind, Satisfies)


@pytest.mark.parametrize("name", NAMES)
def test_other_wrong_answers_are_rejected(name):
    for task in exercises(name[:2]).values():
        for answer in (*task.kind.perturbed(), *NOBODYS_ANSWER):
            verdict = check(task.name, answer)
            assert verdict.status in ("wrong", "cannot read"), (verdict, answer)
        for nothing in (...,):
            assert check(task.name, nothing).status == "unanswered"


@pytest.mark.parametrize("name", NAMES)
def test_hints_keep_the_answer(name):
    for task in exercises(name[:2]).values():
        truth = task.kind.example()
        if not isinstance(truth, int | float | np.number) or isinstance(truth, bool):
            continue
        for mistake in task.wrong:
            for digits in (3, 4, 6):
                assert f"{float(truth):.{digits}g}" not in mistake.hint.split(), task.name
