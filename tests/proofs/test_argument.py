"""The frame of the proofs says yes only to what is shown."""

from __future__ import annotations

import pytest
import sympy as sp

from proofs.__main__ import _with_what_it_uses
from proofs.argument import Argument, Proof, Step, is_nonnegative, run, vanishes

a = sp.Symbol("a", positive=True)
b = sp.Symbol("b", positive=True)
r = sp.Symbol("r", real=True)


def close(argument: Argument) -> Proof:
    return argument.done(functions=(), properties=(), optimisations=())


@pytest.mark.parametrize(
    "zero",
    [
        0,
        (a + b) ** 2 - a**2 - 2 * a * b - b**2,
        1 / (1 + a) + a / (1 + a) - 1,
        sp.log(a * b) - sp.log(a) - sp.log(b),
        sp.sqrt(a**2) - a,
        sp.sin(r) ** 2 + sp.cos(r) ** 2 - 1,
        sp.Matrix([[a - a, 0], [0, (a - b) * (a + b) - a**2 + b**2]]),
        sp.Piecewise((a - a, a > b), (r - r, True)),
    ],
)
def test_what_is_zero_is_seen(zero: sp.Expr) -> None:
    assert vanishes(zero)


@pytest.mark.parametrize(
    "other",
    [
        a - b,
        sp.Float(1e-300),
        1e-30 * a,
        sp.sqrt(r**2) - r,
        sp.log(r**2) - 2 * sp.log(r),
        sp.Matrix([[0, 1]]),
        sp.Matrix([]),
        sp.Piecewise((0, a > b), (1, True)),
        sp.nan,
    ],
)
def test_what_is_not_zero_is_not_called_so(other: sp.Expr) -> None:
    assert not vanishes(other)


def test_signs() -> None:
    assert is_nonnegative((r - 1) ** 2)
    assert not is_nonnegative((r - 1) ** 2, strict=True)
    assert is_nonnegative(a**2 - 2 * a * r + r**2)
    assert is_nonnegative(a / (a + b), strict=True)
    assert not is_nonnegative(a - b)
    assert not is_nonnegative(r)


def test_verdicts() -> None:
    argument = Argument("x", "A statement.")
    assert close(argument).verdict == "fails", "nothing was shown"
    assert argument.equal("one", a + a, 2 * a)
    assert argument.positive("two", a * b)
    assert argument.true("three", sp.true)
    argument.cites("a theorem")
    argument.certified("a bound", True)
    assert argument.differs("four", a - b)
    assert close(argument).verdict == "proved"
    argument.sketches("in words")
    assert close(argument).verdict == "sketch"
    assert not argument.nonnegative("five", a - b)
    assert close(argument).verdict == "fails"
    assert [step.holds for step in close(argument).steps].count(False) == 1


def test_citing_alone_proves_nothing() -> None:
    argument = Argument("x", "A statement.")
    argument.cites("the statement")
    assert close(argument).verdict == "fails"


@pytest.mark.parametrize("condition", [1, "no", [0], sp.true])
def test_only_true_is_certified(condition: object) -> None:
    argument = Argument("x", "A statement.")
    argument.certified("a bound", condition)
    assert close(argument).verdict == "fails"


def test_a_claim_is_no_better_than_what_it_uses() -> None:
    good = Step("shown", "exact", True)
    proof = Proof("b", "B.", (good,), (), (), (), uses=("a", "elsewhere"))
    for steps, verdict in (
        ((good,), "proved"),
        ((good, Step("in words", "sketch", True)), "sketch"),
        ((Step("wrong", "exact", False),), "fails"),
    ):
        used = Proof("a", "A.", steps, (), (), ())
        assert used.verdict == verdict
        assert _with_what_it_uses(proof, {"a": used}).verdict == verdict


@pytest.mark.parametrize("condition", [1, "yes", sp.Symbol("p"), sp.Gt(a, b), None])
def test_only_true_is_true(condition: object) -> None:
    argument = Argument("x", "A statement.")
    assert not argument.true("undecided", condition)


def test_differs_wants_a_difference() -> None:
    argument = Argument("x", "A statement.")
    assert not argument.differs("the same", (a + b) ** 2 - (a**2 + 2 * a * b + b**2))
    assert close(argument).verdict == "fails"


def test_run_prints_steps_and_exits(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> Proof:
        argument = Argument("x", "A statement.")
        argument.zero("fine", a - a)
        argument.zero("not so", a)
        return close(argument)

    with pytest.raises(SystemExit) as stop:
        run(broken)
    assert stop.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        "x: A statement.", "  = fine", "  X not so", "  fails",
    ]  # fmt: skip
