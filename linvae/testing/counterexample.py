"""The smallest case in which the printed theorem is wrong about the joint optimum."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hypothesis import find, settings
from hypothesis import strategies as st

from linvae._validation import as_positive_number, fail
from linvae.errors import InputTypeError

__all__ = ["Counterexample", "refutes_sigmoid_gates", "smallest_counterexample"]


@dataclass(frozen=True)
class Counterexample:
    """One mode (n = k = 1, σ² = 1) whose posterior variances no product of sigmoid gates can give.

    Attributes
    ----------
    eigenvalue : int
        λ.
    betas : tuple of three int
        β, βq and βq² for some ratio q.
    posterior_variances : tuple of three Fraction
        min(1, β/λ) at each.
    """

    eigenvalue: int
    betas: tuple[int, int, int]
    posterior_variances: tuple[Fraction, Fraction, Fraction]


def _optimal_variance(eigenvalue: int, beta: int) -> Fraction:
    return min(Fraction(1), Fraction(beta, eigenvalue))


def _positive(name: str, value: Any) -> Fraction:
    """Return a positive number exactly."""
    remedy = "pass a posterior variance, such as Fraction(1, 4)"
    if isinstance(value, bool):
        fail(name, value, "a number > 0", remedy, InputTypeError)
    if not isinstance(value, Fraction | int):
        return Fraction(as_positive_number(name, value, remedy))
    if value <= 0:
        fail(name, value, "a number > 0", remedy)
    return Fraction(value)


def refutes_sigmoid_gates(low: Fraction, middle: Fraction, high: Fraction) -> bool:
    r"""Whether no product of sigmoid gates takes these values at β, βq, βq².

    .. math:: c(\beta q)^2 \le c(\beta)\, c(\beta q^2)
              \quad\text{and not}\quad c(\beta) = c(\beta q) = c(\beta q^2)

    The logarithm of a positive base times sigmoids of wᵢ log β + bᵢ is a constant plus terms with
    second derivative −w² s(1−s) in log β: strictly concave, or constant when every w is 0. The
    formula contradicts both, whatever the number of gates.

    Parameters
    ----------
    low, middle, high : Fraction
        The three values, > 0; an int or a float stands for exactly the number it is.

    Returns
    -------
    bool

    Raises
    ------
    InputError
        A value that is not a finite number > 0.
    """
    low, middle, high = (
        _positive(name, value) for name, value in (("low", low), ("middle", middle), ("high", high))
    )
    return middle**2 <= low * high and not low == middle == high


def smallest_counterexample() -> Counterexample:
    r"""Search integers λ, β, q for the simplest case that refutes the printed gates.

    .. math:: c(\beta) = \min(1, \beta/\lambda)

    Returns
    -------
    Counterexample
        Hypothesis shrinks towards small numbers; the arithmetic is exact.

    Notes
    -----
    Source: Bae et al. 2023, Theorem 1, read as "encoder and decoder optimal together"; claim T1.c.
    """
    whole = st.integers(1, 12)

    def wrong(numbers: tuple[int, int, int]) -> bool:
        eigenvalue, beta, ratio = numbers
        points = (_optimal_variance(eigenvalue, beta * ratio**power) for power in range(3))
        return ratio > 1 and refutes_sigmoid_gates(*points)

    eigenvalue, beta, ratio = find(
        st.tuples(whole, whole, whole),
        wrong,
        settings=settings(database=None, derandomize=True, max_examples=1000),
    )
    betas = (beta, beta * ratio, beta * ratio**2)
    low, middle, high = (_optimal_variance(eigenvalue, beta) for beta in betas)
    return Counterexample(eigenvalue, betas, (low, middle, high))
