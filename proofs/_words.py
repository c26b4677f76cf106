"""Matrices of any size as letters, products as words: identities that hold for every n and k.

A letter is a noncommutative SymPy symbol with a shape (two names of dimensions) and a transpose.
Sums of words are multiplied out and rewritten by rules such as P⁻¹P = I; nothing is ever replaced
by a matrix of a particular size. A trace is a symbol for each word up to rotation and
transposition, which is all that tr XY = tr YX and tr X = tr Xᵀ say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import sympy as sp

__all__ = ["Alphabet"]

Word = tuple[sp.Symbol, ...]


class Alphabet:
    """Letters with their shapes and transposes, and the arithmetic of their words."""

    def __init__(self) -> None:
        self._shape: dict[sp.Symbol, tuple[str, str]] = {}
        self._transpose: dict[sp.Symbol, sp.Symbol] = {}

    def matrix(self, name: str, rows: str, columns: str) -> tuple[sp.Symbol, sp.Symbol]:
        """A matrix and its transpose."""
        plain, flipped = (sp.Symbol(text, commutative=False) for text in (name, name + "ᵀ"))
        self._shape |= {plain: (rows, columns), flipped: (columns, rows)}
        self._transpose |= {plain: flipped, flipped: plain}
        return plain, flipped

    def symmetric(self, name: str, size: str) -> sp.Symbol:
        """A symmetric matrix."""
        letter = sp.Symbol(name, commutative=False)
        self._shape[letter] = (size, size)
        self._transpose[letter] = letter
        return letter

    def words(self, expression: Any) -> dict[Word, sp.Expr]:
        """Words of an expression with their coefficients; those that cancel are not there."""
        found: dict[Word, sp.Expr] = defaultdict(lambda: sp.S.Zero)
        for term in sp.Add.make_args(sp.expand(expression)):
            scalars, letters = term.args_cnc()
            word = tuple(base for letter in letters for base in self._spelled(letter))
            self._check(word)
            found[word] += sp.Mul(*scalars)
        return {word: value for word, value in found.items() if sp.simplify(value) != 0}

    def _spelled(self, letter: sp.Expr) -> Word:
        base, power = letter.as_base_exp()
        if base not in self._shape or not (power.is_Integer and power > 0):
            raise ValueError(f"{letter} is no letter of this alphabet")
        return (base,) * int(power)

    def _check(self, word: Word) -> None:
        for left, right in pairwise(word):
            if self._shape[left][1] != self._shape[right][0]:
                raise ValueError(f"{left} {right}: shapes do not fit")

    def reduce(self, expression: Any, rules: Mapping[Any, Any], *, cyclic: bool = False) -> sp.Expr:
        """Rewrite subwords by the rules until none applies; inside a trace also across its end."""
        spelled = {self._single(left): right for left, right in rules.items()}
        for _ in range(50):
            changed, total = False, sp.S.Zero
            for word, value in self.words(expression).items():
                step = self._step(word, spelled, cyclic)
                changed |= step is not None
                total += value * (sp.Mul(*word) if step is None else step)
            expression = sp.expand(total)
            if not changed:
                return expression
        raise ValueError("the rules do not come to an end")

    def _single(self, left: Any) -> Word:
        """The left side of a rule, which has to be one word without a coefficient."""
        ((word, value), *others) = self.words(left).items() or [((), sp.S.Zero)]
        if others or not word or value != 1:
            raise ValueError(f"a rule rewrites one word, not {left}")
        return word

    def _step(self, word: Word, rules: Mapping[Word, Any], cyclic: bool) -> sp.Expr | None:
        for turned in self._rotations(word) if cyclic else [word]:
            step = self._rewritten(turned, rules)
            if step is not None:
                return step
        return None

    @staticmethod
    def _rewritten(word: Word, rules: Mapping[Word, Any]) -> sp.Expr | None:
        for left, right in rules.items():
            for start in range(len(word) - len(left) + 1):
                if word[start : start + len(left)] == left:
                    return sp.Mul(*word[:start]) * right * sp.Mul(*word[start + len(left) :])
        return None

    def same(self, left: Any, right: Any, rules: Mapping[Any, Any] | None = None) -> bool:
        """Whether two expressions are the same sum of words under the rules."""
        difference = sp.expand(left - right)
        return not self.words(self.reduce(difference, rules) if rules else difference)

    def transposed(self, expression: Any) -> sp.Expr:
        """Transpose of a sum of words."""
        return sp.Add(
            *(value * sp.Mul(*self._flipped(w)) for w, value in self.words(expression).items())
        )

    def _flipped(self, word: Word) -> Word:
        return tuple(self._transpose[letter] for letter in reversed(word))

    def trace(self, expression: Any, identity: Any = None) -> sp.Expr:
        """Trace as a sum of symbols, one per class of words; `identity` is the trace of I."""
        total = sp.S.Zero
        for word, value in self.words(expression).items():
            if not word:
                if identity is None:
                    raise ValueError("the trace of I needs a size")
                total += value * identity
                continue
            if self._shape[word[0]][0] != self._shape[word[-1]][1]:
                raise ValueError(f"{word} is not square")
            ways = (self._rotations(w) for w in (word, self._flipped(word)))
            name = min(" ".join(map(str, turned)) for way in ways for turned in way)
            total += value * sp.Symbol(f"tr({name})", real=True)
        return sp.expand(total)

    @staticmethod
    def _rotations(word: Word) -> list[Word]:
        return [word[i:] + word[:i] for i in range(len(word))]

    def gradient(self, expression: Any, letter: sp.Symbol) -> sp.Expr:
        """G with d tr(expression) = tr(dX G) for the letter X: the transposed gradient in X."""
        total, flipped = sp.S.Zero, self._transpose[letter]
        for word, value in self.words(expression).items():
            for i, found in enumerate(word):
                rest = word[i + 1 :] + word[:i]
                if found == letter:
                    total += value * sp.Mul(*rest)
                elif found == flipped:
                    total += value * sp.Mul(*self._flipped(rest))
        return sp.expand(total)
