"""`linvae.symbolic.evaluate`: exact in what it takes, and one clear error for what it refuses."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import linvae.symbolic
from linvae.errors import InputError, InputTypeError
from linvae.symbolic import evaluate, modes, symbols

RATE = modes.OPTIMAL_RATE  # of lambda, sigma2 and beta
x = sp.Symbol("x")


@pytest.mark.parametrize(
    "value",
    [
        3,
        3.0,
        Fraction(3),
        np.float32(3),
        np.float64(3),
        np.longdouble(3),
        np.int8(3),
        np.array(3.0),
        mpmath.mpf(3),
        "3",
    ],
)
def test_every_kind_of_real_number_is_taken(value: Any) -> None:
    with mpmath.workdps(50):
        assert evaluate(RATE, lambda_=value, sigma2=1, beta=1) == mpmath.log(3) / 2
    assert isinstance(evaluate(x, x=value), mpmath.mpf)


@given(st.floats(allow_nan=False, allow_infinity=False), st.fractions())
def test_numbers_are_taken_exactly(number: float, fraction: Fraction) -> None:
    with mpmath.workdps(400):
        assert evaluate(x, 400, x=number) == mpmath.mpf(number)
        assert evaluate(x, 400, x=np.float64(number)) == mpmath.mpf(number)
        want = mpmath.mpf(fraction.numerator) / fraction.denominator
        assert evaluate(x, 400, x=fraction) == want


def test_digits_are_those_asked_for() -> None:
    third = evaluate(x / 3, digits=30, x=1)
    with mpmath.workdps(60):
        assert mpmath.mpf("1e-32") < abs(third - mpmath.mpf(1) / 3) < mpmath.mpf("1e-29")
        assert abs(evaluate(x, 60, x="0.1") - mpmath.mpf(1) / 10) < mpmath.mpf("1e-60")
        assert evaluate(x, 60, x=0.1) != mpmath.mpf(1) / 10
    assert evaluate(x, np.int64(20), x=2) == 2
    assert evaluate(sp.pi, 20) == pytest.approx(np.pi)
    assert evaluate("2 + 1/2") == 2.5
    assert evaluate(7) == 7


@pytest.mark.parametrize("digits", [0, -1, 2.5, "a", None, True, [50]])
def test_digits_are_a_count(digits: Any) -> None:
    with pytest.raises(InputError, match=r"digits: got .*; expected an integer >= 1"):
        evaluate(x, digits, x=1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, "nan", np.float32(np.inf)])
def test_values_are_finite(value: Any) -> None:
    with pytest.raises(InputError, match=r"beta: got -?(nan|inf); expected a finite number"):
        evaluate(RATE, lambda_=2, sigma2=1, beta=value)


@pytest.mark.parametrize(
    "value", ["a", "", None, [1, 2], np.ones(1), 1j, np.complex128(1), True, np.True_, x, object()]
)
def test_values_are_real_numbers(value: Any) -> None:
    with pytest.raises(InputTypeError, match=r"beta: got .*; expected one real number"):
        evaluate(RATE, lambda_=2, sigma2=1, beta=value)


@pytest.mark.parametrize(
    ("assumptions", "good", "bad"),
    [
        ({"positive": True}, [1, 1e-300], [0, -1]),
        ({"negative": True}, [-1], [0, 2.5]),
        ({"nonnegative": True}, [0, 2.5], [-1e-300]),
        ({"nonpositive": True}, [0, -1], [1e-300]),
        ({"zero": True}, [0], [1]),
        ({"nonzero": True}, [1, -1], [0]),
        ({"integer": True}, [0, -3, 4.0], [0.5, Fraction(1, 3)]),
        ({"integer": True, "positive": True}, [3], [0, 1.5, -1]),
        ({"even": True}, [0, -2], [3, 0.5]),
        ({"odd": True}, [-1, 3], [0, 0.5]),
        ({"real": True}, [-1, 0, 0.5], []),
    ],
)
def test_values_meet_the_assumptions_of_the_symbol(
    assumptions: dict[str, bool], good: list[Any], bad: list[Any]
) -> None:
    symbol = sp.Symbol("q", **assumptions)
    for value in good:
        assert evaluate(symbol, q=value) == float(value)
    for value in bad:
        with pytest.raises(InputError, match=r"q: got .*; expected a number that is"):
            evaluate(symbol, q=value)


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(InputError, match="beta: got -1; expected a number that is positive"):
        evaluate(modes.DECODER_GAIN, lambda_=4, sigma2=1, beta=-1)
    with pytest.raises(InputError, match=r"n: got 2\.5; expected a number that is integer"):
        evaluate(symbols.n * symbols.beta, n=2.5, beta=1)


def test_every_symbol_has_one_value() -> None:
    with pytest.raises(InputError, match="two for lambda; expected one number"):
        evaluate(RATE, lambda_=1, sigma2=1, beta=1, **{"lambda": 2})
    with pytest.raises(InputError, match="none for beta, sigma2"):
        evaluate(RATE, lambda_=1)
    with pytest.raises(InputError, match="got gamma; expected the symbols beta, lambda, sigma2"):
        evaluate(RATE, lambda_=1, sigma2=1, beta=1, gamma=1)
    with pytest.raises(InputError, match="got x; expected none: it has no symbols"):
        evaluate(sp.Integer(2), x=1)
    two = sp.Symbol("x", positive=True) + sp.Symbol("x")
    with pytest.raises(InputError, match="two symbols called x"):
        evaluate(two, x=1)


def test_names_that_end_in_an_underscore() -> None:
    plain, trailing = sp.Symbol("digits"), sp.Symbol("a_")
    assert evaluate(plain, digits_=3) == 3
    assert evaluate(trailing, a_=3) == 3


@pytest.mark.parametrize(
    "expression",
    ["lambda+", "1 +", "(", None, [1, 2], modes.ACTIVE, sp.eye(2), True, object(), {"a": 1}],
)
def test_expressions_have_numbers_as_values(expression: Any) -> None:
    with pytest.raises(InputError, match="expression: got"):
        evaluate(expression)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (sp.sqrt(x), -1),
        (sp.log(x), -1),
        (sp.log(x), 0),
        (1 / x, 0),
        (x * sp.oo, 1),
        (sp.nan, None),
        (sp.zoo, None),
        (sp.I, None),
        (sp.Function("unknown")(x), 1),
        (sp.Piecewise((x, x > 0)), -1),
    ],
)
def test_results_are_finite_real_numbers(expression: Any, value: Any) -> None:
    values = {} if value is None else {"x": value}
    with pytest.raises(InputError, match=r"values: got .*; expected a finite real value of"):
        evaluate(expression, **values)


def test_a_complex_path_to_a_real_value_is_taken() -> None:
    assert evaluate(sp.sqrt(x) ** 4 + sp.sqrt(x - 5) * sp.sqrt(x - 5), x=3) == 7


def test_all_modules_are_reachable() -> None:
    for name in linvae.symbolic.__all__:
        assert hasattr(linvae.symbolic, name)
    code = "import linvae.symbolic as s; print(s.modes.RATE, s.twins.FANO, s.symbols.beta)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_without_sympy_the_extra_is_named() -> None:
    code = """
import sys
sys.modules["sympy"] = None
from linvae.errors import InputError, MissingPackageError
for name in ("linvae.symbolic", "linvae.symbolic.modes"):
    try:
        __import__(name)
    except MissingPackageError as error:
        assert "pip install linvae[symbolic]" in str(error), error
        assert isinstance(error, InputError) and isinstance(error, ImportError)
    else:
        raise SystemExit(name)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
