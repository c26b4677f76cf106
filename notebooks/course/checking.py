"""Check an answer to an exercise and say what is likely wrong, without giving it away.

The right answers are functions in ``answers_NN.py``, one file per notebook; they are computed by
the packages when they are needed and stored nowhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, Literal, TypeVar

from .errors import UnansweredError, UnreadableError
from .kinds import Kind, kind_of

__all__ = ["Exercise", "Mistake", "Verdict", "check", "exercise", "exercises"]

Status = Literal["right", "wrong", "unanswered", "cannot read"]
Truth = TypeVar("Truth", bound=Callable[[], Any])

# A mistake is recognised also when the reader rounded it to three digits.
ROUNDED = 1e-3


@dataclass(frozen=True)
class Verdict:
    """What became of an answer; it is shown as one line.

    Attributes
    ----------
    exercise
        Name of the exercise, such as ``"02.3"``.
    status
        ``"right"``, ``"wrong"``, ``"unanswered"`` or ``"cannot read"``.
    message
        A hint, or why the answer cannot be read; never the answer.
    """

    exercise: str
    status: Status
    message: str = ""

    def __repr__(self) -> str:
        line = f"Exercise {self.exercise}: {self.status}."
        return " ".join(f"{line} {self.message}".split())


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer.

    Parameters
    ----------
    make
        Takes nothing and returns the wrong answer, computed as the mistake would compute it.
    hint
        What to tell a reader who makes it; it names the likely slip, not the answer.
    """

    make: Callable[[], Any]
    hint: str = ""


@dataclass(frozen=True, eq=False)
class Exercise:
    """An exercise: its right answer and the mistakes that are expected.

    Attributes
    ----------
    name
        Such as ``"02.3"``: notebook and number.
    truth
        Takes nothing and returns the right answer or its kind.
    wrong
        Typical wrong answers.
    tolerance
        Relative, for numbers.
    """

    name: str
    truth: Callable[[], Any]
    wrong: tuple[Mistake, ...]
    tolerance: float

    @cached_property
    def kind(self) -> Kind:
        """The right answer, computed once."""
        return kind_of(self.truth())

    def hint(self, answer: object) -> str:
        """Return the hint of the typical mistake that this answer is, empty if it is none."""
        for mistake in self.wrong:
            try:
                agrees, _ = self.kind.like(mistake.make()).agrees(
                    answer, max(self.tolerance, ROUNDED)
                )
            except Exception:
                continue
            if agrees and mistake.hint:
                return mistake.hint
        return ""


_EXERCISES: dict[str, Exercise] = {}


def exercise(
    name: str, *, wrong: Iterable[Mistake], tolerance: float = 1e-6
) -> Callable[[Truth], Truth]:
    """Declare the function that computes the right answer to an exercise.

    Parameters
    ----------
    name
        Notebook and number, such as ``"02.3"``.
    wrong
        At least two typical mistakes.
    tolerance
        Relative tolerance for numbers, at most one per cent.

    Raises
    ------
    ValueError
        For too few mistakes, too large a tolerance, or a name already taken.
    """
    mistakes = tuple(wrong)
    if len(mistakes) < 2 or not 0.0 <= tolerance <= 1e-2:
        raise ValueError(f"{name}: two mistakes or more, and a tolerance of at most 0.01")

    def declare(truth: Truth) -> Truth:
        known = _EXERCISES.get(name)
        if known is not None and _origin(known.truth) != _origin(truth):
            raise ValueError(f"{name} is declared twice")
        _EXERCISES[name] = Exercise(name, truth, mistakes, tolerance)
        return truth

    return declare


def _origin(function: Callable[..., Any]) -> tuple[str, str]:
    """Name a function so that reloading its module may declare it again."""
    return function.__module__, function.__qualname__


def exercises(notebook: str) -> dict[str, Exercise]:
    """Return the exercises of a notebook, by name.

    Parameters
    ----------
    notebook
        Its two digits.
    """
    import_module(f"{__package__}.answers_{notebook}")
    return {name: _EXERCISES[name] for name in sorted(_EXERCISES) if name[:2] == notebook}


def check(name: str, answer: object) -> Verdict:
    """Check an answer.

    Parameters
    ----------
    name
        The exercise, such as ``"02.3"``.
    answer
        Whatever the reader wrote; ``...`` stands for no answer.

    Returns
    -------
    Verdict
        Shown as one line. No answer makes this function raise.

    Raises
    ------
    LookupError
        If there is no such exercise.
    """
    task = exercises(name[:2]).get(name)
    if task is None:
        raise LookupError(f"there is no exercise {name}")
    kind = task.kind  # outside the try: an error here is the course's, not the reader's
    if answer is ...:
        return Verdict(name, "unanswered")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            agrees, hint = kind.agrees(answer, task.tolerance)
        except UnansweredError:
            return Verdict(name, "unanswered")
        except UnreadableError as error:
            return Verdict(name, "cannot read", f"{error}.")
        except Exception as error:
            return Verdict(name, "cannot read", f"it raised {type(error).__name__}: {error}")
        if agrees:
            return Verdict(name, "right")
        return Verdict(name, "wrong", task.hint(answer) or hint)
