"""Answers that are SymPy expressions."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import UnreadableError

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
    Two expressions count as equal when they agree to 25 digits at all points. Simplification would
    leave equal expressions apart that are written very differently.
    """

    truth: Any
    at: Sequence[Mapping[str, Any]] = ()

    def agrees(self, answer: object, tolerance: float) -> tuple[bool, str]:
        """Compare at the points."""
        del tolerance
        import sympy

        if isinstance(answer, str | bool) or not isinstance(answer, int | float | sympy.Expr):
            raise UnreadableError("expected a SymPy expression")
        truth, got = sympy.sympify(self.truth), sympy.sympify(answer)
        strange = _names(got) - _names(truth) - {name for point in self.at for name in point}
        for point in self.at or _points(_names(truth) | strange):
            want, value = _value(truth, point), _value(got, point)
            if not abs(want - value) <= 1e-25 * (1 + abs(want)):
                listed = ", ".join(sorted(strange))
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
