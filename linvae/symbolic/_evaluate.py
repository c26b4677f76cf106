"""Values of expressions to many digits."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp

from linvae._validation import fail

__all__ = ["evaluate"]


def evaluate(expression: Any, digits: int = 50, **values: Any) -> mpmath.mpf:
    r"""Value of an expression with its symbols replaced by numbers.

    .. math:: f(\lambda, \sigma^2, \beta, \dots) \in \mathbb R

    Parameters
    ----------
    expression : sympy expression
    digits : int
        Decimal digits of the arithmetic.
    **values : float
        One number per free symbol, by its name (``lambda_`` for the symbol called lambda). Floats
        are taken for the binary numbers they are.

    Returns
    -------
    mpmath.mpf

    Raises
    ------
    InputError
        A free symbol without a value, or a value for a symbol that the expression lacks.
    """
    expression = sp.sympify(expression)
    free = {symbol.name: symbol for symbol in expression.free_symbols}
    given = {name.removesuffix("_"): value for name, value in values.items()}
    missing = sorted(free.keys() - given.keys())
    if missing:
        fail("values", f"none for {', '.join(missing)}", "a number for every symbol", "pass them")
    unknown = sorted(given.keys() - free.keys())
    if unknown:
        fail(
            "values",
            ", ".join(unknown),
            f"the symbols {', '.join(sorted(free))}",
            "leave out the others",
        )
    names = sorted(free)
    function = sp.lambdify([free[name] for name in names], expression, "mpmath")
    with mpmath.workdps(digits):
        return mpmath.mpf(function(*(mpmath.mpf(given[name]) for name in names)))
