"""Spectra from samples, streams, covariances and eigenvalues, against dense linear algebra."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linvae import Frontier, Spectrum
from linvae.errors import InputError, PartialSpectrumError
from linvae.testing import strategies
from linvae.testing.strategies import Population
from tests.tolerances import assert_close

FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def _check(spectrum, X):
    """Mean, orthonormality, covariance and eigenvalues against float64 definitions (ddof 0)."""
    X = np.asarray(X, dtype=np.float64)
    n = X.shape[1]
    mean = X.mean(axis=0)
    S = (X - mean).T @ (X - mean) / len(X)
    scale = np.trace(S)
    assert_close(spectrum.mean, mean, "rounding", scale=np.abs(X).max() + 1e-300)
    U, values = spectrum.eigenvectors, spectrum.eigenvalues
    assert_close(U.T @ U, np.eye(values.size), "rounding", scale=1.0, size=n)
    assert_close((U * values) @ U.T, S, "input", scale=scale + 1e-300, size=n)
    assert_close(spectrum.total_variance, scale, "rounding", scale=scale + 1e-300, size=n)
    want = np.linalg.eigvalsh(S)[::-1][: values.size]
    assert_close(values, np.maximum(want, 0), "input", scale=scale + 1e-300, size=n)
    assert (np.diff(values) <= 0).all()
    assert spectrum.n_samples == len(X)
    assert spectrum.n_features == n
    assert spectrum.complete


def _samples(rng, count, n):
    return 3 + rng.standard_normal((count, n)) @ rng.standard_normal((n, n))


@given(strategies.generators(), st.integers(1, 30), st.integers(1, 9), st.booleans())
def test_any_shape_and_memory_order(rng, count, n, fortran):
    X = _samples(rng, count, n)
    given_array = np.asfortranarray(X) if fortran else X
    _check(Spectrum.from_samples(given_array), X)
    _check(Spectrum.from_samples(np.repeat(X, 2, axis=1)[:, ::2]), X)
    assert np.array_equal(given_array, X), "the input must not be changed"


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, "bool"])
@pytest.mark.parametrize("shape", [(50, 4), (3, 7)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_dtype_is_accumulated_in_float64(dtype, shape, order):
    rng = np.random.default_rng(1)
    if dtype in FLOATS:
        X = (100 + 30 * rng.standard_normal(shape)).astype(dtype)
    elif dtype == "bool":
        X = rng.random(shape) < 0.4
    else:
        info = np.iinfo(dtype)
        # Up to the ends of the type: a sum in the dtype itself would wrap around.
        X = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    X = np.array(X, order=order)
    _check(Spectrum.from_samples(X), X)
    assert Spectrum.from_samples(X).eigenvalues.dtype == np.float64


def test_big_endian_and_lists_and_foreign_arrays():
    X = np.random.default_rng(1).standard_normal((9, 3))
    for same in (X.astype(">f8"), X.tolist(), _Foreign(X)):
        _check(Spectrum.from_samples(same), X)


class _Foreign:
    """An array of another library: it converts through __array__ only."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array if dtype is None else self._array.astype(dtype)


def test_memory_map(tmp_path):
    X = np.random.default_rng(2).standard_normal((300, 5)).astype(np.float32)
    np.save(tmp_path / "x.npy", X)
    for mode in ("r", "c"):
        _check(Spectrum.from_samples(np.load(tmp_path / "x.npy", mmap_mode=mode)), X)


@given(
    strategies.generators(),
    st.lists(st.integers(0, 12), min_size=1, max_size=8),
    st.integers(1, 6),
)
def test_streams_of_unequal_chunks(rng, sizes, n):
    """Empty chunks, single rows, more features than rows; a generator is read once."""
    sizes = [*sizes, 1]
    chunks = [_samples(rng, size, n) if size else np.zeros((0, n)) for size in sizes]
    _check(Spectrum.from_samples(iter(chunks)), np.concatenate(chunks))
    _check(Spectrum.from_samples(c for c in chunks), np.concatenate(chunks))


def test_chunks_of_different_dtypes_and_leading():
    rng = np.random.default_rng(4)
    X = rng.integers(0, 200, (90, 6))
    chunks = [X[:20].astype(np.uint8), X[20:21].astype(np.float32), X[21:].astype(np.float64)]
    _check(Spectrum.from_samples(iter(chunks)), X)
    leading = Spectrum.from_samples(iter(chunks), leading=2)
    whole = Spectrum.from_samples(X)
    assert_close(leading.eigenvalues, whole.eigenvalues[:2])
    assert_close(leading.total_variance, whole.total_variance, "rounding")
    assert not leading.complete


def test_blocks_and_progress(monkeypatch):
    """Small blocks give the same moments, and progress counts rows."""
    from linvae import _moments

    X = _samples(np.random.default_rng(0), 103, 4)
    seen: list[tuple[int, int | None]] = []
    monkeypatch.setattr(_moments, "_BLOCK_ENTRIES", 40)
    _check(Spectrum.from_samples(X, progress=lambda a, b: seen.append((a, b))), X)
    assert seen[0] == (10, 103)
    assert seen[-1] == (103, 103)
    assert len(seen) == 11
    seen.clear()
    chunks = iter([X[:25], X[25:]])
    _check(Spectrum.from_samples(chunks, progress=lambda a, b: seen.append((a, b))), X)
    assert seen == [(25, None), (103, None)]
    seen.clear()
    _check(Spectrum.from_samples(X[:3], progress=lambda a, b: seen.append((a, b))), X[:3])
    assert seen == [(3, 3)]
    _check(Spectrum.from_samples(np.full((1, 90), 2.0)), np.full((1, 90), 2.0))


@pytest.mark.parametrize("count", [3000, 30])
def test_a_large_mean_costs_no_accuracy(count):
    """Mean 1e8, variance 1: a one-pass sum of squares would have no digit left. Seed 6."""
    rng = np.random.default_rng(6)
    base = rng.standard_normal((count, 40 if count == 30 else 4))
    X = 1e8 + base
    centred = X - 1e8  # exact: the subtraction of neighbours
    S = np.cov(centred.T, bias=True)
    sources = [X, iter(np.array_split(X, 7)), iter(X[:, None])]
    for spectrum in (Spectrum.from_samples(source) for source in sources):
        scale = np.trace(S)
        got = (spectrum.eigenvectors * spectrum.eigenvalues) @ spectrum.eigenvectors.T
        assert_close(got, S, "rounding", scale=scale, size=10)
        assert_close(spectrum.mean, 1e8 + centred.mean(axis=0), "ulps")


def test_identical_rows_one_sample_and_one_feature():
    for X in (np.full((6, 3), 7.3), np.full((1, 4), -2.0), np.full((2, 5), 1e8 + 0.1)):
        spectrum = Spectrum.from_samples(X)
        assert not spectrum.eigenvalues.any()
        assert spectrum.rank == 0
        assert spectrum.total_variance == 0.0
        assert_close(spectrum.mean, X[0], "ulps")
        assert spectrum.complete
        curve = Frontier(spectrum, latent_dim=1, noise_variance=1.0)
        assert curve.at_beta(0.5).rate == 0.0
    for shape in ((7, 3), (1000, 4), (5, 9)):
        for source in (np.full(shape, 0.1), iter(np.full((4, *shape), 0.1)), iter([[[0.1]]] * 9)):
            spectrum = Spectrum.from_samples(source)
            assert not spectrum.eigenvalues.any(), "a sum of 0.1s is rounded; its spread is not"
            assert spectrum.mean[0] == 0.1
    one = Spectrum.from_samples(np.array([[1.0], [3.0]]))
    assert (one.eigenvalues.tolist(), one.mean.tolist()) == ([1.0], [2.0])
    assert one.gaussian_entropy == pytest.approx(0.5 * np.log(2 * np.pi * np.e))


def test_rank_is_not_inflated_by_rounding():
    """Rank 3 in 6 features from either side; exact zeros, and their tail is zero."""
    rng = np.random.default_rng(8)
    X = rng.standard_normal((50, 3)) @ rng.standard_normal((3, 6)) + 5
    for spectrum in (
        Spectrum.from_samples(X),
        Spectrum.from_samples(X[:4]),
        Spectrum.from_covariance(np.cov(X.T, bias=True)),
    ):
        assert spectrum.rank == 3
        assert spectrum.complete
        assert spectrum.tail_variance(3) == 0.0
        assert spectrum.gaussian_entropy == -np.inf
    few = Spectrum.from_samples(X[:4])
    assert few.leading_eigenvalues(6).shape == (6,)
    assert not few.leading_eigenvalues(6)[3:].any()
    assert not few.leading_eigenvectors(6)[:, 3:].any()


@given(strategies.generators(), st.integers(2, 12), st.integers(2, 9), st.data())
def test_leading_keeps_the_exact_total_variance(rng, count, n, data):
    X = _samples(rng, count, n)
    leading = data.draw(st.integers(1, n))
    whole = Spectrum.from_samples(X)
    part = Spectrum.from_samples(X, leading=leading)
    held = part.eigenvalues.size
    assert held <= leading
    assert_close(part.total_variance, whole.total_variance, "rounding", size=n)
    scale = whole.total_variance
    assert_close(part.eigenvalues, whole.eigenvalues[:held], "rounding", scale=scale, size=n)
    assert_close(
        part.tail_variance(held), whole.tail_variance(held), "rounding", scale=scale, size=n
    )
    assert part.complete == (whole.rank <= leading)
    if not part.complete:
        for ask in (
            lambda: part.leading_eigenvalues(held + 1),
            lambda: part.leading_eigenvectors(held + 1),
            lambda: part.tail_variance(held + 1),
            lambda: part.covariance,
            lambda: part.gaussian_entropy,
            lambda: part.sample(1, rng),
            lambda: Frontier(part, latent_dim=n, noise_variance=1.0),
        ):
            with pytest.raises(PartialSpectrumError, match=rf"got {held} of {n} eigenpairs; exp"):
                ask()
    for other in (
        Spectrum.from_samples(iter(np.array_split(X, 2)), leading=leading),
        Spectrum.from_covariance(np.cov(X.T, bias=True).reshape(n, n), leading=leading),
    ):
        m = min(held, other.eigenvalues.size)
        assert_close(other.eigenvalues[:m], part.eigenvalues[:m], "rounding", scale=scale, size=n)
        assert_close(other.total_variance, part.total_variance, "rounding", scale=scale, size=n)


def test_leading_of_a_large_covariance_uses_the_same_eigenpairs():
    """Above 256 features a subset of eigenpairs is computed on its own path."""
    rng = np.random.default_rng(9)
    X = rng.standard_normal((400, 300)) * np.geomspace(10, 0.01, 300)
    whole, part = Spectrum.from_samples(X), Spectrum.from_samples(X, leading=5)
    assert part.eigenvalues.size == 5
    assert_close(part.eigenvalues, whole.eigenvalues[:5])
    projectors = [s.eigenvectors[:, :5] @ s.eigenvectors[:, :5].T for s in (whole, part)]
    assert_close(projectors[1], projectors[0], scale=1.0)
    assert_close(part.total_variance, np.trace(np.cov(X.T, bias=True)))
    assert not part.complete


@pytest.mark.slow
def test_twenty_thousand_features_without_a_square_matrix():
    """N = 50, n = 20 000, leading 16: a dense covariance alone would take 3.2 GB."""
    rng = np.random.default_rng(10)
    n = 20_000
    X = rng.standard_normal((50, 20)) @ rng.standard_normal((20, n))
    tracemalloc.start()
    try:
        spectrum = Spectrum.from_samples(X, leading=16)
        curve = Frontier(spectrum, latent_dim=16, noise_variance=0.5)
        points = curve.at_beta([0.1, 10.0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * X.nbytes, f"{peak / 1e6:.0f} MB for {X.nbytes / 1e6:.0f} MB of data"
    centred = X - X.mean(axis=0)
    singular = np.linalg.svd(centred, compute_uv=False) ** 2 / 50
    assert_close(spectrum.eigenvalues, singular[:16])
    assert_close(spectrum.total_variance, singular.sum())
    assert_close(curve.floor, singular[16:].sum())
    assert not spectrum.complete
    assert (points.rate > 0).all()
    U = spectrum.eigenvectors
    assert_close(U.T @ U, np.eye(16), scale=1.0)
    assert_close(centred.T @ (centred @ U) / 50, U * spectrum.eigenvalues, scale=singular[0])


# Covariances and eigenvalues


@given(strategies.populations(max_n=7, kinds=strategies.KINDS, extreme=True))
def test_from_covariance_recovers_matrix_trace_and_entropy(population):
    S = population.covariance
    spectrum = Spectrum.from_covariance(S, mean=population.mean, n_samples=12)
    top = population.values[0] + 1e-300
    n = population.n
    assert_close(spectrum.covariance, S, "rounding", scale=top, size=n)
    assert_close(spectrum.eigenvalues, population.values, "rounding", scale=top, size=n)
    assert_close(spectrum.total_variance, np.trace(S), "rounding", scale=top, size=n)
    assert np.array_equal(spectrum.mean, population.mean)
    assert spectrum.n_samples == 12
    assert spectrum.rank <= n
    if population.values[-1] > 1e-3 * population.values[0] > 0:
        want = 0.5 * np.log(2 * np.pi * np.e * population.values).sum()
        assert_close(spectrum.gaussian_entropy, want, scale=n + abs(want))


def test_diagonal_covariances_are_exact_at_any_condition_number():
    """Nothing is rounded in a diagonal matrix: 1e-16 is an eigenvalue, not noise."""
    for values in ([1.0, 1e-16, 1e-8], [1e150, 1e-150, 0.0], [5e-324, 0.0]):
        spectrum = Spectrum.from_covariance(np.diag(values))
        assert spectrum.eigenvalues.tolist() == sorted(values, reverse=True)
        assert np.allclose(spectrum.covariance, np.diag(values), rtol=1e-15, atol=0)
    assert Spectrum.from_covariance([[0.0]]).rank == 0
    assert Spectrum.from_covariance(np.zeros((3, 3))).rank == 0
    assert Spectrum.from_covariance([[2]]).eigenvalues.tolist() == [2.0]


def test_condition_number_1e16_keeps_the_leading_part():
    rng = np.random.default_rng(3)
    Q = strategies.orthogonal_matrix(6, rng)
    values = np.geomspace(1.0, 1e-16, 6)
    spectrum = Spectrum.from_covariance((Q * values) @ Q.T)
    assert_close(spectrum.eigenvalues, values, "rounding", scale=1.0)
    points = Frontier(spectrum, latent_dim=6, noise_variance=1.0).at_beta(np.geomspace(1e-20, 1, 9))
    assert np.isfinite(points.rate).all()
    assert np.isfinite(points.objective).all()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_covariances_of_lower_precision_are_judged_by_it(dtype):
    """Rounding to the dtype makes a singular matrix slightly indefinite and asymmetric."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((3, 8))
    S = (X.T @ X / 3).astype(dtype)
    S[0, 1] = np.nextafter(S[0, 1], np.dtype(dtype).type(9), dtype=dtype)
    spectrum = Spectrum.from_covariance(S)
    assert spectrum.rank >= 3
    assert_close(spectrum.covariance, X.T @ X / 3, "stored", dtype, scale=np.trace(S), size=4)
    with pytest.raises(InputError, match=r"asymmetric|indefinite"):
        Spectrum.from_covariance(S.astype(np.float64) - 0.01 * np.eye(8))


@given(strategies.populations(max_n=7, kinds=strategies.KINDS), strategies.generators())
def test_from_eigenvalues_sorts_vectors_along(population, rng):
    order = rng.permutation(population.n)
    spectrum = Spectrum.from_eigenvalues(
        population.values[order], eigenvectors=population.vectors[:, order]
    )
    assert np.array_equal(spectrum.eigenvalues, population.values)
    size = population.values[0] + 1e-300
    assert_close(spectrum.covariance, population.covariance, "rounding", scale=size)
    assert not spectrum.mean.any()
    plain = Spectrum.from_eigenvalues(population.values[order])
    assert_close(plain.covariance, np.diag(population.values[order]), "rounding", scale=size)


@given(strategies.populations(max_n=7), strategies.generators())
def test_tail_variances_and_reading(population, rng):
    spectrum = population.spectrum
    n = population.n
    for count in range(n + 1):
        want = population.values[count:].sum()
        assert_close(spectrum.tail_variance(count), want, "ulps", scale=want + 1e-300, size=n)
    assert_close(
        spectrum.tail_variances(n),
        np.array([spectrum.tail_variance(m) for m in range(n + 1)]),
        "ulps",
        scale=population.values.sum() + 1e-300,
    )
    E = rng.standard_normal((2, n))
    read = spectrum.read_by(E)
    size = population.values[0] * n**2 * 10
    assert_close(read @ read.T, E @ population.covariance @ E.T, scale=size)


def test_sampling_has_the_right_moments():
    """100 000 samples, seed 12; five standard errors: covariance sqrt((S_ii S_jj + S_ij^2) / N)."""
    population = Population(
        np.array([4.0, 1.0, 0.0]),
        strategies.orthogonal_matrix(3, np.random.default_rng(1)),
        np.array([1.0, -1.0, 5.0]),
    )
    size = 100_000
    X = population.spectrum.sample(size, np.random.default_rng(12))
    S = population.covariance
    error = np.sqrt((np.outer(np.diag(S), np.diag(S)) + S**2) / size)
    assert (np.abs(np.cov(X.T, bias=True) - S) <= 5 * error + 1e-12).all()
    assert (np.abs(X.mean(axis=0) - population.mean) <= 5 * np.sqrt(np.diag(S) / size)).all()
    again = population.spectrum.sample(size, np.random.default_rng(12))
    assert np.array_equal(X, again)
    with pytest.raises(InputError, match="n_samples: got 0; expected an integer >= 1"):
        population.spectrum.sample(0, np.random.default_rng(0))


@given(strategies.generators(), st.sampled_from([1e-130, 1e-70, 1e70, 1e140]), st.booleans())
def test_samples_of_extreme_scale(rng, scale, wide):
    X = rng.standard_normal((4, 9) if wide else (30, 4))
    here, there = Spectrum.from_samples(X), Spectrum.from_samples(X * scale)
    n = X.shape[1]
    assert_close(
        there.eigenvalues / scale / scale,
        here.eigenvalues,
        "rounding",
        scale=here.total_variance,
        size=n,
    )
    assert there.rank == here.rank


def test_an_outlier_in_the_first_row_costs_no_more_than_its_own_size():
    X = np.random.default_rng(3).standard_normal((500, 3))
    X[0, 0] = 1e9
    _check(Spectrum.from_samples(X), X)
