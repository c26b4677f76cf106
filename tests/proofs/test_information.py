"""The proofs about rate, information and likelihood: they hold, and they notice wrong formulas."""

from __future__ import annotations

import inspect
from types import ModuleType

import numpy as np
import pytest
import sympy as sp

from linvae.symbolic import information as forms
from linvae.symbolic import modes
from linvae.symbolic.symbols import k, n
from linvae.verification import CLAIMS
from proofs import _gaussian, aggregated, evidence, processing, split
from proofs import information as information_proof
from proofs._words import Alphabet

STATEMENTS = {claim.id: claim.statement for claim in CLAIMS}
PROOFS = {
    "aggregated": aggregated,
    "information": information_proof,
    "split": split,
    "evidence": evidence,
    "processing": processing,
}


@pytest.mark.parametrize("claim", PROOFS)
def test_every_step_holds(claim: str) -> None:
    proof = PROOFS[claim].prove()
    assert [step.text for step in proof.steps if not step.holds] == []
    assert proof.verdict == "proved"
    assert proof.claim == claim
    assert proof.statement == STATEMENTS[claim]
    assert proof.functions
    assert proof.properties
    assert proof.optimisations


def scaled(value: sp.Expr) -> sp.Expr:
    """Twice the first branch of a piecewise value, or the whole of another one."""
    if isinstance(value, sp.Piecewise):
        (first, condition), *rest = value.args
        return sp.Piecewise((2 * first, condition), *rest)
    return 2 * value


FAULTS: tuple[tuple[str, ModuleType, str, object], ...] = (
    ("aggregated", forms, "AGGREGATED_VARIANCE", modes.lam * modes.e + modes.c),
    ("aggregated", modes, "ENCODER_GAIN", scaled(modes.ENCODER_GAIN)),
    ("aggregated", modes, "POSTERIOR_VARIANCE", scaled(modes.POSTERIOR_VARIANCE)),
    ("aggregated", modes, "DECODER_GAIN", scaled(modes.DECODER_GAIN)),
    ("information", forms, "MARGINAL_KL", forms.MARGINAL_KL + k),
    ("information", forms, "MUTUAL_INFORMATION", 2 * forms.MUTUAL_INFORMATION),
    ("information", forms, "MODE_INFORMATION", sp.log(modes.lam * modes.e**2 / modes.c) / 2),
    ("information", modes, "OPTIMAL_RATE", scaled(modes.OPTIMAL_RATE)),
    ("information", modes, "RATE", modes.RATE + sp.Rational(1, 2)),
    ("information", forms, "TOTAL_CORRELATION", forms.TOTAL_CORRELATION + k),
    ("split", forms, "RATE", forms.RATE - forms.mean_square / 2),
    ("split", forms, "MUTUAL_INFORMATION", -forms.MUTUAL_INFORMATION),
    ("split", forms, "TOTAL_CORRELATION", -forms.TOTAL_CORRELATION),
    ("split", forms, "DIMENSION_WISE_KL", forms.DIMENSION_WISE_KL - forms.mean**2 / 2),
    ("split", forms, "DIMENSION_WISE_SUM", forms.DIMENSION_WISE_SUM + k / 2),
    ("split", forms, "MARGINAL_KL", forms.MARGINAL_KL - forms.mean_square),
    ("split", _gaussian, "log_excess", lambda x: x - 1 - 2 * sp.log(x)),
    ("split", split, "divergence", lambda t, s, to, of: (t - s + of - to) / 2),
    ("evidence", forms, "LOG_LIKELIHOOD", forms.LOG_LIKELIHOOD + n),
    ("evidence", forms, "POSTERIOR_GAP", forms.POSTERIOR_GAP + k / 2),
    ("evidence", forms, "DISTORTION", 2 * forms.DISTORTION),
    ("evidence", forms, "RATE", forms.RATE + forms.mean_square),
    ("evidence", forms, "MODE_POSTERIOR_GAP", scaled(forms.MODE_POSTERIOR_GAP)),
    ("evidence", modes, "DECODER_GAIN", scaled(modes.DECODER_GAIN)),
    ("processing", forms, "PROCESSING_GAP", forms.PROCESSING_GAP - n / 2),
    ("processing", forms, "DATA_ENTROPY", forms.DATA_ENTROPY - n / 2),
    ("processing", forms, "DISTORTION", forms.DISTORTION + n),
    ("processing", forms, "MUTUAL_INFORMATION", 2 * forms.MUTUAL_INFORMATION),
    ("processing", forms, "MODE_PROCESSING_GAP", scaled(forms.MODE_PROCESSING_GAP)),
    ("processing", modes, "DECODER_GIVEN_ENCODER", modes.e),
    ("processing", modes, "SQUARED_ERROR", modes.SQUARED_ERROR + modes.c),
)


@pytest.mark.parametrize(
    ("claim", "where", "name", "wrong"), FAULTS, ids=[f"{f[0]}-{f[2]}" for f in FAULTS]
)
def test_a_wrong_formula_is_noticed(
    monkeypatch: pytest.MonkeyPatch, claim: str, where: ModuleType, name: str, wrong: object
) -> None:
    monkeypatch.setattr(where, name, wrong)
    assert PROOFS[claim].prove().verdict == "fails"


def test_every_expression_is_used_by_a_proof() -> None:
    named = {
        name
        for name in forms.__all__
        if name.isupper() and isinstance(getattr(forms, name), sp.Expr)
    }
    read = "".join(inspect.getsource(module) for module in PROOFS.values())
    assert not [name for name in named if f"forms.{name}" not in read]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda of: {of.Dt * of.D * of.Q: 1 - of.Q, of.Q * of.Dt * of.D: 1 - of.Q},
        lambda of: {},
    ],
)
def test_the_inverse_is_not_taken_on_trust(monkeypatch: pytest.MonkeyPatch, wrong: object) -> None:
    start = evidence.Letters.__init__

    def broken(self: evidence.Letters) -> None:
        start(self)
        self.rules = wrong(self)  # type: ignore[operator]

    monkeypatch.setattr(evidence.Letters, "__init__", broken)
    assert evidence.prove().verdict == "fails"


# The calculus of words, against dense matrices


def alphabet() -> tuple[Alphabet, dict[sp.Symbol, np.ndarray]]:
    words, rng = Alphabet(), np.random.default_rng(4)
    X, Xt = words.matrix("X", "k", "n")
    Y, Yt = words.matrix("Y", "n", "k")
    S = words.symmetric("S", "n")
    x, y, root = (rng.standard_normal(shape) for shape in ((2, 3), (3, 2), (3, 3)))
    return words, {X: x, Xt: x.T, Y: y, Yt: y.T, S: root @ root.T}


def dense(words: Alphabet, expression: sp.Expr, values: dict[sp.Symbol, np.ndarray]) -> np.ndarray:
    total: np.ndarray | float = 0.0
    for word, value in words.words(expression).items():
        product = float(value) * values[word[0]]
        for letter in word[1:]:
            product = product @ values[letter]
        total = total + product
    return np.asarray(total)


def test_words_multiply_and_transpose_as_matrices_do() -> None:
    words, values = alphabet()
    X, Xt, Y, Yt, S = values
    expression = sp.expand((X - Yt) * S * (2 * Y + Xt))
    got = dense(words, expression, values)
    want = (values[X] - values[Yt]) @ values[S] @ (2 * values[Y] + values[Xt])
    np.testing.assert_allclose(got, want)
    np.testing.assert_allclose(dense(words, words.transposed(expression), values), want.T)
    assert not words.same(X * Y, Y * X)
    assert words.same(X * Y - X * Y, sp.S.Zero)


def test_traces_turn_and_flip_and_nothing_else() -> None:
    words, (X, Xt, Y, Yt, S) = (found := alphabet())[0], tuple(found[1])
    assert words.trace(X * Y) == words.trace(Y * X) == words.trace(Yt * Xt)
    assert words.trace(X * S * Xt) == words.trace(Xt * X * S)
    assert words.trace(X * S * Y) != words.trace(X * Y)
    assert words.trace(X * Y * X * Y) != words.trace(X * Y) ** 2
    assert words.trace(2 * X * Y + 3, identity=k) == 2 * words.trace(X * Y) + 3 * k
    with pytest.raises(ValueError, match="needs a size"):
        words.trace(X * Y + 1)
    with pytest.raises(ValueError, match="is not square"):
        words.trace(X * S)
    with pytest.raises(ValueError, match="shapes do not fit"):
        words.words(X * X)
    with pytest.raises(ValueError, match="no letter"):
        words.words(X * sp.Symbol("Z", commutative=False))


def test_gradients_are_derivatives() -> None:
    words, values = alphabet()
    X, Xt, Y, Yt, S = values
    loss = (1 - Y * X) * S * (1 - Xt * Yt) + Xt * X * S * Y * X - S

    def value(x: np.ndarray) -> float:
        return float(np.trace(dense(words, loss, values | {X: x, Xt: x.T})))

    slope = dense(words, words.gradient(loss, X), values)
    rng = np.random.default_rng(6)
    for _ in range(3):
        step = rng.standard_normal((2, 3))
        rise = (value(values[X] + 1e-5 * step) - value(values[X] - 1e-5 * step)) / 2e-5
        assert rise == pytest.approx(np.trace(step @ slope), rel=1e-7)


def test_rules_rewrite_until_they_end() -> None:
    words = Alphabet()
    P, Q = words.symmetric("P", "k"), words.symmetric("Q", "k")
    rules = {P * Q: sp.S.One, Q * P: sp.S.One}
    assert words.same(P * P * Q * Q, sp.S.One, rules)
    assert words.reduce(Q * Q * P * Q, rules) == Q**2
    assert words.reduce(P * P * Q * P * Q * Q * Q, rules, cyclic=True) == Q
    assert not words.same(P * P * Q, Q, rules)
    with pytest.raises(ValueError, match="do not come to an end"):
        words.reduce(P, {P: P * P})
    for left in (2 * P * Q, P * Q + Q * P, sp.S.One, sp.S.Zero):
        with pytest.raises(ValueError, match="rewrites one word"):
            words.reduce(P * Q, {left: sp.S.One})
