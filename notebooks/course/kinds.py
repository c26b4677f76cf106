"""What an answer can be, and when two answers are the same.

A kind holds the right answer. It says whether a reader's answer agrees with it, and it makes the
generic wrong answers that the tests of the course require to be rejected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import UnansweredError, UnreadableError
from .expressions import Expression

__all__ = [
    "Choice",
    "Choices",
    "Expression",
    "Function",
    "Kind",
    "Satisfies",
    "Values",
    "kind_of",
]

FloatArray = NDArray[np.float64]


class Kind(Protocol):
    """A right answer and the comparison that belongs to it."""

    def agrees(self, answer: object, tolerance: float) -> tuple[bool, str]:
        """Whether the answer is right, and a hint if it is not (empty: none)."""

    def like(self, value: Any) -> Kind:
        """Return the same question with another answer: by it a typical mistake is recognised."""

    def example(self) -> object:
        """Return an answer that is right."""

    def perturbed(self) -> list[object]:
        """Return wrong answers near the right one."""


def _numbers(answer: object) -> FloatArray:
    """Read real, finite numbers, or say why not."""
    if answer is None:
        raise UnreadableError("the answer is None: does a function forget its return?")
    raw = np.asarray(answer)
    if raw.dtype.kind == "O" and any(entry is ... for entry in raw.ravel()):
        raise UnansweredError
    if raw.dtype.kind not in "fiuO":
        raise UnreadableError(f"expected real numbers, got {type(answer).__name__}")
    try:
        array = raw.astype(np.float64)
    except (TypeError, ValueError):
        raise UnreadableError(f"expected real numbers, got {type(answer).__name__}") from None
    if not np.isfinite(array).all():
        raise UnreadableError("the answer is not finite")
    return array


@dataclass(frozen=True, eq=False)
class Values:
    """A number or an array of numbers, compared entry by entry.

    Parameters
    ----------
    truth
        The right numbers, finite.
    """

    truth: Any

    def agrees(self, answer: object, tolerance: float) -> tuple[bool, str]:
        """Compare relative to each entry; zeros relative to the largest entry."""
        truth, got = np.asarray(self.truth, dtype=np.float64), _numbers(answer)
        if got.squeeze().shape != truth.squeeze().shape:  # a row or a column will do
            raise UnreadableError(f"expected shape {truth.shape}, got {got.shape}")
        got = got.reshape(truth.shape)
        largest = np.abs(truth).max(initial=0.0)
        scale = np.where(truth == 0.0, largest or 1.0, np.abs(truth))
        error = np.abs(got - truth) / scale
        if (error <= tolerance).all():
            return True, ""
        near = bool((error <= 1e-2).all())
        return False, "It is close: look for rounding or for a small missing term." * near

    def like(self, value: Any) -> Values:
        """Return other numbers."""
        return Values(value)

    def example(self) -> object:
        """Return the numbers themselves."""
        return self.truth

    def perturbed(self) -> list[object]:
        """Return all entries off by two per cent, then one at a time; the sign; another shape."""
        truth = np.asarray(self.truth, dtype=np.float64)
        step = np.where(truth == 0.0, 0.02, 0.02 * np.abs(truth))
        answers: list[object] = [truth + step, truth - step, np.append(truth, 1.0)]
        if truth.any():
            answers.append(-truth)
        for index in np.ndindex(truth.shape if truth.size <= 100 else ()):
            one = truth.copy()
            one[index] += step[index]
            answers.append(one)
        return answers


@dataclass(frozen=True, eq=False)
class Flag:
    """A yes or a no."""

    truth: bool

    def agrees(self, answer: object, tolerance: float) -> tuple[bool, str]:
        """Compare ``True`` and ``False``, and nothing that merely counts as such."""
        del tolerance
        if not isinstance(answer, bool | np.bool_):
            raise UnreadableError("expected True or False")
        return bool(answer) is self.truth, ""

    def like(self, value: Any) -> Flag:
        """Return the flag of another value."""
        return Flag(bool(value))

    def example(self) -> object:
        """Return the flag."""
        return self.truth

    def perturbed(self) -> list[object]:
        """Return the other flag, and numbers that count as this one."""
        return [not self.truth, int(self.truth), str(self.truth)]


def _word(answer: object) -> str:
    if not isinstance(answer, str):
        raise UnreadableError(
            f"expected the letter of a statement as text, got {type(answer).__name__}"
        )
    return answer.strip().casefold()


@dataclass(frozen=True, eq=False)
class Choice:
    """One of several statements, named by a letter or a word.

    Parameters
    ----------
    truth
        The letter of the right one.
    among
        The letters of all.
    """

    truth: str
    among: Iterable[str]

    def agrees(self, answer: object, tolerance: float) -> tuple[bool, str]:
        """Compare without regard to case."""
        del tolerance
        word, options = _word(answer), [option.casefold() for option in self.among]
        if word not in options:
            raise UnreadableError(f"expected one of {', '.join(options)}, as text")
        return word == self.truth.casefold(), ""

    def like(self, value: Any) -> Choice:
        """Return another statement of the same."""
        return Choice(value, self.among)

    def example(self) -> object:
        """Return the letter."""
        return self.truth

    def perturbed(self) -> list[object]:
        """Return every other statement."""
        return [*(option for option in self.among if option != self.truth), "".join(self.among)]


@dataclass(frozen=True, eq=False)
class Choices:
    """All statements that hold, as a set of letters.

    Parameters
    ----------
    truth
        The letters of those that hold.
    among
        The letters of all, one character each.
    """

    truth: Iterable[str]
    among: Iterable[str]

    def agrees(self, answer: object, tolerance: float) -> tuple[bool, str]:
        """Compare as sets; text such as ``"a, c"`` or ``"ac"`` is read letter by letter."""
        del tolerance
        options = {option.casefold() for option in self.among}
        if isinstance(answer, str):
            got = set(re.sub(r"[\W_]", "", answer.casefold()))
        elif isinstance(answer, Iterable):
            parts = list(answer)
            if any(part is ... for part in parts):
                raise UnansweredError
            got = {_word(part) for part in parts}
        else:
            raise UnreadableError("expected a set of letters")
        if not got <= options:
            raise UnreadableError(f"expected letters among {', '.join(sorted(options))}")
        return got == {letter.casefold() for letter in self.truth}, ""

    def like(self, value: Any) -> Choices:
        """Return another set of letters."""
        return Choices(value, self.among)

    def example(self) -> object:
        """Return the set."""
        return set(self.truth)

    def perturbed(self) -> list[object]:
        """Return the sets with one letter more or less."""
        return [set(self.truth) ^ {letter} for letter in self.among]


@dataclass(frozen=True, eq=False)
class Function:
    """A function, compared with another at points that the reader does not see.

    Parameters
    ----------
    reference
        The right function.
    at
        Arguments; a tuple is spread over several parameters.
    """

    reference: Callable[..., Any]
    at: Sequence[Any]

    def agrees(self, answer: object, tolerance: float) -> tuple[bool, str]:
        """Call both at every point."""
        if not callable(answer):
            raise UnreadableError(f"expected a function, got {type(answer).__name__}")
        wrong, hints = 0, ""
        for point in self.at:
            arguments = point if isinstance(point, tuple) else (point,)
            ok, hint = Values(self.reference(*arguments)).agrees(answer(*arguments), tolerance)
            wrong += not ok
            hints = hints or hint
        if wrong and wrong < len(self.at):
            return False, f"It is right at {len(self.at) - wrong} of {len(self.at)} hidden points."
        return not wrong, hints

    def like(self, value: Any) -> Function:
        """Return another function at the same points."""
        return Function(value, self.at)

    def example(self) -> object:
        """Return the function."""
        return self.reference

    def perturbed(self) -> list[object]:
        """Return functions that are off, constant, undefined, or raise."""
        reference = self.reference

        def raises(*arguments: Any) -> Any:
            raise RuntimeError("not today")

        return [
            lambda *arguments: np.asarray(reference(*arguments)) * 1.02 + 1e-4,
            lambda *arguments: np.asarray(reference(*arguments)) * np.nan,
            lambda *arguments: None,
            lambda: 1.0,
            raises,
        ]


@dataclass(frozen=True, eq=False)
class Satisfies:
    """An open answer: whatever passes a test is right.

    Parameters
    ----------
    test
        Takes the answer; returns True, or False, or a hint as text when it is wrong.
    right
        One answer that passes.
    """

    test: Callable[[Any], bool | str]
    right: Any

    def agrees(self, answer: object, tolerance: float) -> tuple[bool, str]:
        """Run the test; what it raises counts as an answer that cannot be read."""
        del tolerance
        outcome = self.test(answer)
        return (False, outcome) if isinstance(outcome, str) else (bool(outcome), "")

    def like(self, value: Any) -> Kind:
        """Return the kind of the value itself."""
        return kind_of(value)

    def example(self) -> object:
        """Return the answer that passes."""
        return self.right

    def perturbed(self) -> list[object]:
        """Return nothing: what lies near may be right as well."""
        return []


def kind_of(value: Any) -> Kind:
    """Return the kind of a plain right answer: a number, an array, a flag or an expression."""
    if hasattr(value, "agrees"):
        known: Kind = value
        return known
    if isinstance(value, bool | np.bool_):
        return Flag(bool(value))
    if hasattr(value, "free_symbols"):
        return Expression(value)
    if isinstance(value, str | set | frozenset) or callable(value):
        raise TypeError("say Choice, Choices, Function or Satisfies for this kind of answer")
    if not np.isfinite(np.asarray(value, dtype=np.float64)).all():
        raise ValueError("the right answer is not finite")
    return Values(value)
