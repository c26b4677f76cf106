"""What Spectrum refuses, and how it says so."""

from __future__ import annotations

import numpy as np
import pytest

from linvae import Spectrum
from linvae.errors import InputError
from tests.tolerances import EPS, assert_close

FLOATS = ("float16", "float32", "float64")


@pytest.mark.parametrize("scale", [1e-170, 1e-300, 1e160, 1e300])
@pytest.mark.parametrize("shape", [(3, 8), (20, 3)])
def test_samples_beyond_the_range_are_refused_not_rounded_to_zero(scale, shape):
    X = np.random.default_rng(0).standard_normal(shape) * scale
    word = "vanish" if scale < 1 else "exceed"
    for source in (X, iter([X])):
        with pytest.raises(InputError, match=rf"samples: got values whose squares {word}"):
            Spectrum.from_samples(source)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_spread_between_chunks_that_leaves_the_range_is_refused(rows):
    """Each chunk is constant; only their means differ, by too much or too little to be squared."""
    for step, word in ((1e-170, "vanish"), (1e200, "exceed"), (1.7e308, "exceed")):
        chunks = [np.zeros((rows, 2)), np.full((rows, 2), step), np.full((rows, 2), -step)]
        with pytest.raises(InputError, match=rf"samples: got values whose squares {word}"):
            Spectrum.from_samples(iter(chunks))


@pytest.mark.parametrize("n", [1, 5])
def test_differences_beyond_the_range_are_refused(n):
    X = np.full((3, n), 1.7e308)
    X[1] = -1.7e308
    for source in (X, iter([X])):
        with pytest.raises(InputError, match="samples: got values whose squares exceed"):
            Spectrum.from_samples(source)


# Bad input


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], r"got shape \(0,\); expected a non-empty array \(N samples, n features\)"),
        (np.zeros((0, 3)), r"got shape \(0, 3\); expected a non-empty"),
        (np.zeros((3, 0)), r"got shape \(3, 0\); expected a non-empty"),
        (np.zeros(5), r"got shape \(5,\).*X\[:, None\] for one feature"),
        (np.zeros((2, 2, 2)), r"got shape \(2, 2, 2\).*reshape\(len\(X\), -1\) for images"),
        (3.0, r"got shape \(\)"),
        ([[1.0, 2.0], [3.0]], "got rows of unequal length; expected a rectangular array"),
        (np.zeros((2, 2), complex), r"got dtype complex128; expected real numbers"),
        (np.array([["a", "b"]]), r"got dtype <U1; expected real numbers"),
        (np.array([[None, 1]], dtype=object), r"got dtype object; expected real numbers"),
        (np.zeros((2, 2), "datetime64[s]"), r"got dtype datetime64\[s\]; expected real numbers"),
        (np.ma.masked_array(np.zeros((2, 2)), True), "got a masked array; expected a plain array"),
        (None, "got dtype object"),
        ({"a": 1}, "got dtype object"),
    ],
)
def test_bad_samples(bad, message):
    with pytest.raises(InputError, match=f"samples: {message}"):
        Spectrum.from_samples(bad)


def test_kinds_that_are_no_numbers_are_type_errors():
    for bad in (np.zeros((2, 2), complex), np.array([["a"]]), np.array([[None]])):
        with pytest.raises(TypeError, match=r"expected real numbers"):
            Spectrum.from_samples(bad)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(40, 3), (2, 9)])
def test_not_finite_samples_are_named_by_place(value, dtype, shape):
    X = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    X[1, 2] = value
    for source in (X, iter([X[:1], X[1:]])):
        with (
            np.errstate(invalid="ignore"),
            pytest.raises(
                InputError, match=rf"{value} at row 1, column 2; expected finite numbers only"
            ),
        ):
            Spectrum.from_samples(source)


def test_infinities_of_both_signs_give_no_warning_and_a_clear_error():
    X = np.zeros((20, 2))
    X[3, 1], X[4, 1] = np.inf, -np.inf
    with pytest.raises(InputError, match=r"inf at row 3, column 1"):
        Spectrum.from_samples(X)


def test_bad_streams():
    good = np.zeros((2, 3))
    cases = [
        (iter([]), "samples: got no rows; expected at least one row"),
        (iter([np.zeros((0, 3))]), "samples: got no rows"),
        (iter([good, np.zeros((2, 4))]), "chunk 1: got 4 features; expected 3 as in chunk 0"),
        (iter([good, np.zeros(3)]), r"chunk 1: got shape \(3,\); expected an array \(rows"),
        (iter([np.zeros((3, 0))]), r"chunk 0: got shape \(3, 0\)"),
        (iter([good, [["a", "b", "c"]]]), "chunk 1: got dtype <U1"),
        (iter([good, [[1.0, 2.0, np.nan]]]), "got nan at row 2, column 2"),
    ]
    for source, message in cases:
        with pytest.raises(InputError, match=message):
            Spectrum.from_samples(source)


@pytest.mark.parametrize("bad", [0, -1, 4, 1.0, True, "1"])
def test_bad_leading(bad):
    X = np.eye(3)
    for build in (
        lambda: Spectrum.from_samples(X, leading=bad),
        lambda: Spectrum.from_samples(X[:2], leading=bad),
        lambda: Spectrum.from_samples(iter([X]), leading=bad),
        lambda: Spectrum.from_covariance(X, leading=bad),
    ):
        with pytest.raises(InputError, match=r"leading: got .*; expected an integer >= 1 and <= 3"):
            build()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([[1.0, 2.0]], r"covariance: got shape \(1, 2\); expected a square matrix"),
        ([1.0], r"covariance: got shape \(1,\); expected a non-empty array of shape \(n, n\)"),
        ([[1.0, 0.5], [0.4, 1.0]], r"got an asymmetric matrix .*0\.1.*; expected a symmetric one"),
        ([[1.0, 2.0], [2.0, 1.0]], r"got an indefinite matrix \(eigenvalue -1\); expected eigenv"),
        ([[-1.0]], r"got an indefinite matrix \(eigenvalue -1\)"),
        (np.diag([1.0, -1e-9]), r"got an indefinite matrix"),
        ([[np.nan]], r"covariance: got nan at index .*0, 0"),
        ([[1.0, np.inf], [np.inf, 1.0]], r"covariance: got inf at index .*0, 1"),
        (np.eye(2) * 1j, r"covariance: got dtype complex128"),
        ([["a"]], r"covariance: got dtype <U1"),
        (np.zeros((0, 0)), r"covariance: got shape \(0, 0\)"),
    ],
)
def test_bad_covariances(bad, message):
    with pytest.raises(InputError, match=message):
        Spectrum.from_covariance(bad)


def test_asymmetry_and_indefiniteness_at_rounding_level_pass():
    S = np.array([[1.0, 0.5], [0.5 + 2 * EPS, 1.0]])
    assert_close(Spectrum.from_covariance(S).eigenvalues, np.array([1.5, 0.5]))
    X = np.random.default_rng(0).standard_normal((3, 30))
    gram = X.T @ X
    assert Spectrum.from_covariance(gram).rank == 3


def test_other_bad_construction():
    with pytest.raises(InputError, match="mean: got 3 entries; expected 2 entries"):
        Spectrum.from_covariance(np.eye(2), mean=np.zeros(3))
    with pytest.raises(InputError, match="mean: got 3 entries; expected 2 entries"):
        Spectrum.from_eigenvalues([1.0, 2.0], mean=np.zeros(3))
    with pytest.raises(InputError, match=r"mean: got nan at index"):
        Spectrum.from_eigenvalues([1.0], mean=[np.nan])
    with pytest.raises(InputError, match=r"eigenvalues: got -1.0; expected numbers >= 0"):
        Spectrum.from_eigenvalues([1.0, -1.0])
    with pytest.raises(InputError, match="not orthonormal columns"):
        Spectrum.from_eigenvalues([1.0, 2.0], eigenvectors=np.ones((2, 2)))
    with pytest.raises(InputError, match=r"eigenvectors: got shape \(1, 1\)"):
        Spectrum.from_eigenvalues([1.0, 2.0], eigenvectors=[[1.0]])
    with pytest.raises(InputError, match="n_samples: got 0; expected an integer >= 1"):
        Spectrum.from_covariance(np.eye(2), n_samples=0)
    eye = np.eye(2)
    with pytest.raises(InputError, match="expected descending and >= 0"):
        Spectrum(np.zeros(2), [1.0, 2.0], eye, 3.0, True)
    with pytest.raises(InputError, match="expected descending and >= 0"):
        Spectrum(np.zeros(2), [1.0, -2.0], eye, 3.0, True)
    with pytest.raises(InputError, match=r"eigenvectors: got shape \(2, 2\); expected \(2, 1\)"):
        Spectrum(np.zeros(2), [1.0], eye, 3.0, False)
    with pytest.raises(InputError, match="total_variance: got nan; expected a finite number >= 0"):
        Spectrum(np.zeros(2), [2.0, 1.0], eye, np.nan, True)
    with np.errstate(over="ignore"), pytest.raises(InputError, match="total_variance: got inf"):
        Spectrum.from_eigenvalues([1.7e308, 1.7e308])


def test_immutable():
    source = np.array([2.0, 1.0])
    spectrum = Spectrum.from_eigenvalues(source, mean=source)
    for name in ("mean", "eigenvalues", "eigenvectors"):
        with pytest.raises(ValueError, match=r"read-only"):
            getattr(spectrum, name)[0] = 5.0
        with pytest.raises(AttributeError):
            setattr(spectrum, name, source)
    eigenvalues, before = np.array([2.0, 1.0]), np.array([2.0, 1.0])
    direct = Spectrum(np.zeros(2), eigenvalues, np.eye(2), 3.0, True)
    eigenvalues[0] = 9.0
    assert np.array_equal(direct.eigenvalues, before), "the spectrum shares its maker's array"
