"""Leading eigenpairs of large covariances: bounds that hold, on every route to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linvae import Spectrum, _leading
from linvae.errors import InputError
from linvae.testing import strategies
from tests.tolerances import EPS, assert_close


def _decay(kind: str, n: int, k: int) -> np.ndarray:
    i = np.arange(n)
    return {
        "power": 1.0 / (1 + i),
        "flat": np.ones(n),
        "geometric": 0.8**i,
        "rank 2": np.where(i < 2, 1.0, 0.0),
        "tie across k": np.where(i < 2 * k, 1.0, 0.01),
        "nearly tied across k": np.where(i < k, 1.0, 1.0 - 1e-9),
        "one far above": np.where(i == 0, 1e6, 1.0 / (1 + i)),
        "all but one kept above a tail": np.where(i < k - 1, 1.0, 1e-6),
    }[kind]


KINDS = (
    "power",
    "flat",
    "geometric",
    "rank 2",
    "tie across k",
    "nearly tied across k",
    "one far above",
    "all but one kept above a tail",
)


def _covariance(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    Q = strategies.orthogonal_matrix(values.size, rng)
    S = (Q * values) @ Q.T
    return (S + S.T) / 2


def _check_bounds(part: Spectrum, truth: np.ndarray, n: int) -> None:
    """Every eigenvalue within its stated bound; bounds that say something; orthonormal columns."""
    k = part.eigenvalues.size
    assert part.eigenvalue_errors is not None
    assert (np.abs(truth[:k] - part.eigenvalues) <= part.eigenvalue_errors).all()
    # A bound that only says "below the trace" would hold, too.
    floor = 1e-7 * truth.sum() + n * EPS * truth[0]
    assert (part.eigenvalue_errors <= 0.03 * truth[k - 1] + floor).all()
    U = part.eigenvectors
    assert_close(U.T @ U, np.eye(k), "rounding", scale=1.0, size=n)


@pytest.mark.parametrize("kind", KINDS)
@given(strategies.generators(), st.integers(60, 120), st.integers(1, 10))
def test_bounds_hold_against_a_direct_decomposition(kind, rng, n, k):
    values = _decay(kind, n, k)
    S = _covariance(values, rng)
    part = Spectrum.from_covariance(S, leading=k, solver="iterative")
    truth = np.maximum(np.linalg.eigvalsh(S)[::-1], 0)
    _check_bounds(part, truth, n)
    assert_close(part.total_variance, np.trace(S), "rounding", size=n)
    # The eigenvectors span what S stretches most: no subspace holds more variance.
    held = np.trace(part.eigenvectors.T @ S @ part.eigenvectors)
    assert_close(held, truth[:k].sum(), "rounding", scale=1e4 * truth.sum())


@given(strategies.generators(), st.sampled_from(["wide", "tall", "source"]), st.integers(1, 6))
def test_products_with_samples_are_products_with_their_covariance(rng, route, k):
    """Neither side is formed: mean, trace and pairs are those of the covariance all the same."""
    n, count = (60, 50) if route == "wide" else (50, 90)
    X = 1e6 + rng.standard_normal((count, n)) * np.geomspace(3, 0.01, n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_leading, "prefers_implicit", lambda *_: True)
        patch.setattr("linvae._sources.prefers_implicit", lambda *_: True)
        source = (lambda: iter([X[:7], X[:0], X[7:]])) if route == "source" else X
        part = Spectrum.from_samples(source, leading=k, solver="iterative")
    whole = Spectrum.from_samples(X)
    _check_bounds(part, whole.eigenvalues, n)
    assert_close(part.mean, whole.mean, "ulps")
    assert_close(part.total_variance, whole.total_variance, "rounding", size=n)
    assert part.n_samples == count
    assert not part.complete


def test_the_bound_sees_what_the_iteration_missed():
    """A start without the leading direction: the pairs are wrong, and the bound says how much."""
    rng = np.random.default_rng(0)
    values = np.array([5.0, *np.linspace(1, 0.1, 79)])
    vectors = np.eye(80)[:, 1:4]
    guess = _leading._norm_outside(lambda block: values[:, None] * block, vectors, 0.9, rng)
    assert 5.0 <= guess <= 6.0
    small = _leading._norm_outside(
        lambda block: values[:, None] * block, np.eye(80)[:, :4], 0.9, rng
    )
    assert values[4] <= small <= 1.03


def test_the_choice_of_the_solver():
    assert not _leading.prefers_iteration("auto", None, 10**6)
    assert not _leading.prefers_iteration("auto", 64, 1000)
    assert _leading.prefers_iteration("auto", 64, 20_000)
    assert not _leading.prefers_iteration("direct", 64, 20_000)
    assert not _leading.prefers_iteration("auto", 10_000, 20_000)
    assert _leading.prefers_iteration("iterative", 2, 40)
    assert not _leading.prefers_iteration("iterative", 39, 40), "no room for blocks"
    assert _leading.prefers_implicit("auto", 64, 20_000, 20_000)
    assert _leading.prefers_implicit("auto", 64, 5000, 20_000)
    assert not _leading.prefers_implicit("auto", 64, 100, 20_000), "the Gram side is small"
    assert not _leading.prefers_implicit("auto", 64, 10**6, 784)
    X = np.random.default_rng(1).standard_normal((90, 60))
    assert Spectrum.from_samples(X, leading=2).eigenvalue_errors is None
    assert Spectrum.from_samples(X, leading=2, solver="iterative").eigenvalue_errors is not None
    assert Spectrum.from_samples(iter([X]), leading=2, solver="iterative").eigenvalue_errors.size
    with pytest.raises(InputError, match=r"solver: got 'fast'; expected 'auto', 'direct' or"):
        Spectrum.from_samples(X, solver="fast")
    with pytest.raises(InputError, match=r"solver: got 'iterative' without leading"):
        Spectrum.from_covariance(np.cov(X.T), solver="iterative")


def test_the_same_data_give_the_same_bits():
    X = np.random.default_rng(2).standard_normal((150, 60))
    one, two = (Spectrum.from_samples(X, leading=3, solver="iterative") for _ in range(2))
    assert np.array_equal(one.eigenvalues, two.eigenvalues)
    assert np.array_equal(one.eigenvectors, two.eigenvectors)
    with pytest.raises(ValueError, match="read-only"):
        one.eigenvalue_errors[0] = 0.0


@pytest.mark.parametrize("scale", [1e-130, 1e130])
def test_iteration_at_extreme_scales(scale):
    X = np.random.default_rng(3).standard_normal((150, 60))
    here, there = (Spectrum.from_samples(Y, leading=3, solver="iterative") for Y in (X, X * scale))
    assert_close(there.eigenvalues / scale / scale, here.eigenvalues, "exact")
    assert_close(there.eigenvalue_errors / scale / scale, here.eigenvalue_errors, "difference")


def test_constant_and_indefinite_input():
    constant = Spectrum.from_samples(lambda: iter([np.full((9, 50), 0.1)]), leading=2)
    assert not constant.eigenvalues.any()
    rng = np.random.default_rng(4)
    S = _covariance(np.r_[5.0, -3.0, np.full(58, 1e-3)], rng)
    with pytest.raises(InputError, match="covariance: got an indefinite matrix"):
        Spectrum.from_covariance(S, leading=1, solver="iterative")


def test_sources_are_checked(monkeypatch):
    monkeypatch.setattr("linvae._sources.prefers_implicit", lambda *_: True)
    X = np.random.default_rng(5).standard_normal((90, 60))
    lengths = iter([90, 90, 80])
    with pytest.raises(InputError, match="got 90 rows at first and 80 when read again"):
        Spectrum.from_samples(lambda: iter([X[: next(lengths)]]), leading=2, solver="iterative")
    used = iter([X])
    with pytest.raises(InputError, match="samples: got no rows"):
        Spectrum.from_samples(lambda: iter([]), leading=2)
    with pytest.raises(InputError, match="no rows"):
        Spectrum.from_samples(lambda: used, leading=2, solver="iterative")
    for shape in ("array", "source"):
        Y = X.copy()
        Y[70, 3] = np.nan
        given_rows = Y if shape == "array" else lambda Y=Y: iter([Y[:40], Y[40:]])
        with pytest.raises(InputError, match="nan at row 70, column 3"):
            Spectrum.from_samples(given_rows, leading=2, solver="iterative")
    for size, word in ((1e-170, "vanish"), (1e160, "exceed")):
        with pytest.raises(InputError, match=f"squares {word}"):
            Spectrum.from_samples(X * size, leading=2, solver="iterative")


def test_without_leading_a_source_is_read_like_a_stream():
    X = np.random.default_rng(6).standard_normal((30, 4))
    seen: list[tuple[int, int | None]] = []
    spectrum = Spectrum.from_samples(
        lambda: iter([X[:9], X[9:]]), progress=lambda *now: seen.append(now)
    )
    assert np.array_equal(
        spectrum.eigenvalues, Spectrum.from_samples(iter([X[:9], X[9:]])).eigenvalues
    )
    assert seen == [(9, None), (30, None)]


def test_what_is_returned_as_zero_is_within_its_bound():
    """A covariance stored in float32: eigenvalues below its rounding are zero, and bounded so."""
    values = np.r_[1.0, np.full(59, 1e-6)]
    S = _covariance(values, np.random.default_rng(7)).astype(np.float32)
    S = (S + S.T) / 2
    part = Spectrum.from_covariance(S, leading=3, solver="iterative")
    assert not part.eigenvalues[1:].any()
    truth = np.linalg.eigvalsh(S.astype(np.float64))[::-1][:3]
    assert (np.abs(truth - part.eigenvalues) <= part.eigenvalue_errors).all()
