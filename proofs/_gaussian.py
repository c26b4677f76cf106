"""What the proofs about information share: Gaussian divergences, averages, and x − 1 − log x >= 0.

KL of N(a, Σ) from N(b, M) in d dimensions, with g = a − b:

    KL = ½ [ tr M⁻¹(Σ + g gᵀ) − d + log det M − log det Σ ].

It is the average over N(a, Σ) of the difference of two log-densities, each of them
−½ [d log 2π + log det + quadratic form]; a quadratic form (x−b)ᵀM⁻¹(x−b) is the trace of
M⁻¹(x−b)(x−b)ᵀ, and only the second moment of x − b enters its average.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from ._words import Alphabet
from .argument import Argument

__all__ = [
    "average",
    "divergence",
    "log_density",
    "log_excess",
    "show_divergence",
    "show_log_excess",
]


def log_excess(x: Any) -> sp.Expr:
    """X − 1 − log x."""
    return x - 1 - sp.log(x)


def show_log_excess(argument: Argument) -> None:
    """X − 1 − log x >= 0 with equality only at 1: it rises from 0 on both sides of 1."""
    t = sp.Symbol("t", positive=True)
    above, below = log_excess(1 + t), log_excess(1 / (1 + t))
    argument.zero("x − 1 − log x is 0 at x = 1", log_excess(sp.S.One))
    argument.positive("and grows along x = 1 + t", above.diff(t))
    argument.positive("and grows along x = 1/(1 + t), so it is > 0 for x ≠ 1", below.diff(t))


def log_density(size: Any, logdet: Any, quadratic: Any) -> sp.Expr:
    """Logarithm of a Gaussian density whose quadratic form has the given value."""
    return -(size * sp.log(2 * sp.pi) + logdet + quadratic) / 2


def divergence(trace: Any, size: Any, logdet_to: Any, logdet_from: Any) -> sp.Expr:
    """KL of N(a, Σ) from N(b, M) with trace = tr M⁻¹(Σ + (a − b)(a − b)ᵀ)."""
    return (trace - size + logdet_to - logdet_from) / 2


def average(alphabet: Alphabet, outer: Any, noise: dict[Any, Any]) -> sp.Expr:
    """Average of an outer product over independent columns of mean 0: ξξᵀ → covariance of ξ.

    Words in which a column does not meet its own transpose have the average 0.
    """
    rules = {column * alphabet.transposed(column): moment for column, moment in noise.items()}
    left = alphabet.reduce(outer, rules)
    alone = {letter for column in noise for letter in (column, alphabet.transposed(column))}
    return sp.Add(
        *(
            value * sp.Mul(*word)
            for word, value in alphabet.words(left).items()
            if not alone & set(word)
        )
    )


def show_divergence(argument: Argument) -> None:
    """Derive the divergence of two Gaussians of any size from their densities, and its sign."""
    words = Alphabet()
    inverse_to, inverse_from = words.symmetric("M⁻¹", "d"), words.symmetric("Σ⁻¹", "d")
    covariance = words.symmetric("Σ", "d")
    xi, _ = words.matrix("ξ", "d", "1")
    g, g_t = words.matrix("g", "d", "1")
    d = sp.Symbol("d", integer=True, positive=True)
    logdet_to, logdet_from = sp.symbols("logdet_to logdet_from", real=True)
    away = xi + g  # x − b = (x − a) + (a − b)
    second = average(words, sp.expand(away * words.transposed(away)), {xi: covariance})
    argument.true(
        "E (x−b)(x−b)ᵀ = Σ + (a−b)(a−b)ᵀ for x of mean a and covariance Σ",
        words.same(second, covariance + g * g_t),
    )
    own = words.trace(words.reduce(inverse_from * covariance, {inverse_from * covariance: 1}), d)
    other = words.trace(inverse_to * second)
    difference = log_density(d, logdet_from, own) - log_density(d, logdet_to, other)
    argument.equal(
        "KL(N(a, Σ) ‖ N(b, M)) = ½ [tr M⁻¹(Σ + (a−b)(a−b)ᵀ) − d + log det M − log det Σ]",
        difference,
        divergence(words.trace(inverse_to * (covariance + g * g_t)), d, logdet_to, logdet_from),
    )
    _show_sign(argument)


def _show_sign(argument: Argument) -> None:
    d = sp.Symbol("d", integer=True, positive=True)
    j = sp.Symbol("j", integer=True)
    share = sp.IndexedBase("alpha", positive=True)[j]
    by_eigenvalue = divergence(sp.Sum(share, (j, 1, d)), d, 0, sp.Sum(sp.log(share), (j, 1, d)))
    argument.cites(
        "Spectral theorem: M^(−1/2) Σ M^(−1/2) is symmetric and positive definite, with "
        "eigenvalues αⱼ > 0 whose sum is tr M⁻¹Σ and whose product is det Σ / det M"
    )
    argument.zero(
        "so with a = b the divergence is ½ Σⱼ (αⱼ − 1 − log αⱼ)",
        sp.expand(by_eigenvalue - sp.Sum(log_excess(share) / 2, (j, 1, d)).expand().doit()),
    )
    show_log_excess(argument)
