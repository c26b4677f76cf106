"""Values of expressions to many digits."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NoReturn

import mpmath
import numpy as np
import sympy as sp

from linvae._validation import check_count, fail
from linvae.errors import InputTypeError

__all__ = ["evaluate"]

# What SymPy calls an assumption, and how a real number meets it.
_ASSUMPTIONS: dict[str, Callable[[mpmath.mpf], bool]] = {
    "positive": lambda number: number > 0,
    "negative": lambda number: number < 0,
    "nonnegative": lambda number: number >= 0,
    "nonpositive": lambda number: number <= 0,
    "zero": lambda number: number == 0,
    "nonzero": lambda number: number != 0,
    "integer": lambda number: bool(mpmath.isint(number)),
    "even": lambda number: bool(mpmath.isint(number / 2)),
    "odd": lambda number: bool(mpmath.isint((number - 1) / 2)),
}


def evaluate(expression: Any, digits: int = 50, **values: Any) -> mpmath.mpf:
    r"""Value of an expression with its symbols replaced by numbers.

    .. math:: f(\lambda, \sigma^2, \beta, \dots) \in \mathbb R

    Parameters
    ----------
    expression : sympy expression
    digits : int
        Decimal digits of the arithmetic.
    **values : int, float, Fraction, mpmath.mpf, NumPy number or str
        One real number per free symbol, by its name (``lambda_`` for the symbol called lambda).
        Floats are taken for the binary numbers they are, text for the decimal number it shows.

    Returns
    -------
    mpmath.mpf

    Raises
    ------
    InputError
        No expression; a free symbol without a value, two values for one symbol, or one for a
        symbol that the expression lacks; a value that is not a finite real number or is against
        the assumptions of its symbol (positive, integer, ...); digits < 1; or a result that is
        complex, infinite or no number.
    """
    parsed = _parsed(expression)
    free = _free_symbols(parsed)
    precision = check_count("digits", digits, 1, None, "pass the decimal digits to compute with")
    given = _by_symbol(free, values)
    names = sorted(free)
    with mpmath.workdps(precision):
        numbers = [_number(name, given[name], free[name]) for name in names]
        try:
            function = sp.lambdify([free[name] for name in names], parsed, "mpmath")
            result = function(*numbers)
        # Whatever the functions in the expression raise: 1/0, no mpmath function of that name.
        except Exception as error:
            _no_value(f"{type(error).__name__} ({error})", parsed, error)
        return _real(result, parsed)


def _parsed(expression: Any) -> sp.Expr:
    try:
        parsed = sp.sympify(expression)
    # Text goes through Python's own parser, which raises what it likes.
    except Exception as error:
        _no_expression(repr(expression), error)
    if not isinstance(parsed, sp.Expr) or parsed.is_Matrix:
        _no_expression(f"{type(expression).__name__} {str(expression)[:60]}", None)
    return parsed


def _no_expression(got: str, cause: Exception | None) -> NoReturn:
    remedy = "pass one of the constants of linvae.symbolic, or an expression of their symbols"
    try:
        fail("expression", got, "a SymPy expression with a number as its value", remedy)
    except ValueError as error:
        raise error from cause


def _no_value(got: str, parsed: sp.Expr, cause: Exception | None) -> NoReturn:
    what = f"a finite real value of {str(parsed)[:80]}"
    try:
        fail("values", got, what, "pass numbers for which the expression is defined")
    except ValueError as error:
        raise error from cause


def _free_symbols(parsed: sp.Expr) -> dict[str, sp.Symbol]:
    free: dict[str, sp.Symbol] = {}
    for symbol in parsed.free_symbols:
        if symbol.name in free:
            fail(
                "expression",
                f"two symbols called {symbol.name} that differ in their assumptions",
                "one symbol per name",
                "use the symbols of linvae.symbolic.symbols throughout",
            )
        free[symbol.name] = symbol
    return free


def _by_symbol(free: dict[str, sp.Symbol], values: dict[str, Any]) -> dict[str, Any]:
    """Values by the name of the symbol; exactly one for each."""
    given: dict[str, Any] = {}
    for key, value in values.items():
        name = key if key in free else key.removesuffix("_")
        if name in given:
            fail("values", f"two for {name}", "one number for every symbol", "leave one out")
        given[name] = value
    missing = sorted(free.keys() - given.keys())
    if missing:
        fail("values", f"none for {', '.join(missing)}", "a number for every symbol", "pass them")
    unknown = sorted(given.keys() - free.keys())
    if unknown:
        expected = f"the symbols {', '.join(sorted(free))}" if free else "none: it has no symbols"
        fail("values", ", ".join(unknown), expected, "leave out the others")
    return given


def _number(name: str, value: Any, symbol: sp.Symbol) -> mpmath.mpf:
    """Return a finite number that meets the assumptions of its symbol."""
    number = _read(name, value)
    if not mpmath.isfinite(number):
        fail(name, value, "a finite number", "pass the limit's neighbours, or take sympy.limit")
    for assumption, holds in _ASSUMPTIONS.items():
        if getattr(symbol, f"is_{assumption}") and not holds(number):
            fail(name, value, f"a number that is {assumption}", "the formula holds for these only")
    return number


def _read(name: str, value: Any) -> mpmath.mpf:
    """Return any real number at the working precision."""
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    try:
        if isinstance(value, Fraction):
            return mpmath.mpf(value.numerator) / value.denominator
        # NumPy's own floats: those that are wider than float64 keep their digits.
        if isinstance(value, np.floating) and np.isfinite(value):
            numerator, denominator = value.as_integer_ratio()
            return mpmath.mpf(numerator) / denominator
        if isinstance(value, np.integer | np.floating):
            return mpmath.mpf(value.item())
        if isinstance(value, int | float | str | mpmath.mpf) and not isinstance(value, bool):
            return mpmath.mpf(value)
    except ValueError:
        pass  # text that is no number
    fail(
        name,
        f"{type(value).__name__} {str(value)[:60]}",
        "one real number",
        "pass an int, float, Fraction or mpmath.mpf",
        InputTypeError,
    )


def _real(result: Any, parsed: sp.Expr) -> mpmath.mpf:
    """Return a result as the finite real number it has to be."""
    try:
        value = +mpmath.mpmathify(result)  # a constant such as pi becomes a number
    except (TypeError, ValueError) as error:
        _no_value(f"{type(result).__name__} {str(result)[:60]}", parsed, error)
    if isinstance(value, mpmath.mpc) and value.imag == 0:
        value = value.real
    if not isinstance(value, mpmath.mpf) or not mpmath.isfinite(value):
        _no_value(str(value), parsed, None)
    return value
