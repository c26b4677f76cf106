"""Answers that are SymPy expressions."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from .errors import UnansweredError, UnreadableError

__all__ = ["Expression"]


@dataclass(frozen=True, eq=False)
class Expression:
    """A SymPy expression; symbols are matched by their names.

    Parameters
    ----------
    truth
        The right expression.
    at
        Points of the range in which the question asks for it, as name → value; by default sixteen
        points with every symbol between 0.2 and 5.

    Notes
    -----
    Two expressions count as equal when they agree to 25 digits at all points, to 10 digits where
    the answer contains floating-point numbers. Simplification would leave equal expressions apart
    that are written very differently. The list of one solution that ``solve`` gives is read as it.
    """

    truth: Any
    at: Sequence[Mapping[str, Any]] = ()

    def agrees(self, answer: object, tolerance: float) -> tuple[bool, str]:
        """Compare at the points."""
        del tolerance
        import sympy

        if isinstance(answer, list | tuple) and len(answer) == 1:
            (answer,) = answer
        if answer is ...:
            raise UnansweredError
        if isinstance(answer, str | bool) or not isinstance(answer, Real | sympy.Expr):
            raise UnreadableError("expected a SymPy expression")
        truth, got = sympy.sympify(self.truth), sympy.sympify(answer)
        small = 1e-10 if got.has(sympy.Float) else 1e-25
        strange = _names(got) - _names(truth) - {name for point in self.at for name in point}
        listed = ", ".join(sorted(strange))
        # A name that is not the question's is given a value of its own: it may cancel.
        others = _points(strange)[0]
        for point in self.at or _points(_names(truth)):
            want, value = _value(truth, point), _value(got, {**others, **point})
            if not abs(want - value) <= small * (1 + abs(want)):
                return False, f"Should it depend on {listed}?" if strange else ""
        return True, ""

    def like(self, value: Any) -> Expression:
        """Return another expression for the same range."""
        return Expression(value, self.at)

    def example(self) -> object:
        """Return the expression."""
        return self.truth

    def perturbed(self) -> list[object]:
        """Return the expression with wrong constants, and one that depends on another symbol."""
        import sympy

        truth = sympy.sympify(self.truth)
        factor = sympy.Rational(51, 50)
        return [truth * factor if truth != 0 else factor, truth + 1, truth * sympy.Symbol("q") + 1]


def _names(expression: Any) -> set[str]:
    return {symbol.name for symbol in expression.free_symbols}


def _points(names: set[str]) -> list[dict[str, Any]]:
    """Sixteen fixed points with rational coordinates, so that no digit is lost."""
    import sympy

    draw = random.Random(20240229)
    ordered = sorted(names)
    return [
        {name: sympy.Rational(draw.randint(20, 500), 100) for name in ordered} for _ in range(16)
    ]


def _value(expression: Any, point: Mapping[str, Any]) -> Any:
    replaced = {symbol: point[symbol.name] for symbol in expression.free_symbols}
    return expression.subs(replaced).evalf(40)
