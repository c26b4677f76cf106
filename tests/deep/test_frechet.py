"""The Fréchet distance: exact cases, other computations of it, and its bias."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import scipy.linalg

import linvae as lv
from deep.errors import InputError
from deep.evaluation.frechet import (
    GaussianMoments,
    extrapolated_frechet,
    feature_array,
    frechet_distance,
    moments_of,
)
from linvae.twins import frechet_distance as linear_frechet
from tests.tolerances import EPS, assert_close, tolerance

ERRORS = tolerance("monte_carlo")
# d² is not Lipschitz in a covariance without full rank: √(λ + ε) − √λ is up to √ε.
SINGULAR = 1 / math.sqrt(EPS)


def covariance(seed, size=5, spread=1e-2, rank=None):
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.standard_normal((size, size)))
    values = np.geomspace(1, spread, size)
    values[rank or size :] = 0
    matrix = (basis * values) @ basis.T
    return (matrix + matrix.T) / 2


def gaussian(seed, **options):
    matrix = covariance(seed, **options)
    return GaussianMoments(np.random.default_rng([seed, 1]).standard_normal(len(matrix)), matrix)


def by_sqrtm(first, second):
    """The printed formula."""
    middle = scipy.linalg.sqrtm(first.covariance @ second.covariance)
    assert np.abs(middle.imag).max() < 1e-9
    shift = first.mean - second.mean
    return shift @ shift + np.trace(first.covariance + second.covariance - 2 * middle.real)


def by_mpmath(first, second):
    """Eigenvalues of C₁ C₂ with fifty digits."""
    with mpmath.workdps(50):
        c1, c2 = (mpmath.matrix(m.covariance.tolist()) for m in (first, second))
        values, vectors = mpmath.eigsy(c1)
        root = mpmath.matrix(len(c1))
        for i in range(len(c1)):
            for j in range(len(c1)):
                root[i, j] = mpmath.fsum(
                    vectors[i, k] * mpmath.sqrt(max(values[k], 0)) * vectors[j, k]
                    for k in range(len(c1))
                )
        inner = root * c2 * root
        roots = [mpmath.sqrt(max(v, 0)) for v in mpmath.eigsy((inner + inner.T) / 2, True)]
        pairs = zip(first.mean.tolist(), second.mean.tolist(), strict=True)
        shift = [mpmath.mpf(a) - mpmath.mpf(b) for a, b in pairs]
        trace = mpmath.fsum(c1[i, i] + c2[i, i] for i in range(len(c1)))
        return float(mpmath.fsum(s * s for s in shift) + trace - 2 * mpmath.fsum(roots))


def size_of(*gaussians):
    return sum(np.trace(g.covariance) + g.mean @ g.mean for g in gaussians)


# Known distances


def test_commuting_covariances():
    a, b = np.array([4.0, 1.0, 0.25]), np.array([1.0, 9.0, 0.0])
    mean = np.array([1.0, -2.0, 0.5])
    basis, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))
    wanted = 5.25 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    for turn, condition in ((np.eye(3), 1.0), (basis, SINGULAR)):
        first = GaussianMoments(turn @ mean, (turn * a) @ turn.T)
        second = GaussianMoments(np.zeros(3), (turn * b) @ turn.T)
        assert_close(frechet_distance(first, second), wanted, "rounding", condition=condition)


def test_in_one_dimension_and_of_two_lines():
    one = GaussianMoments(np.array([3.0]), np.array([[4.0]]))
    other = GaussianMoments(np.array([1.0]), np.array([[9.0]]))
    assert_close(frechet_distance(one, other), 5.0, "rounding")
    u, v = np.array([3.0, 0.0, 0.0]), np.array([1.0, 1.0, 0.0])
    lines = [GaussianMoments(np.zeros(3), np.outer(w, w)) for w in (u, v)]
    assert_close(frechet_distance(*lines), 9 + 2 - 2 * 3, "rounding")


@pytest.mark.parametrize("seed", range(4))
def test_against_other_computations(seed):
    first, second = gaussian(seed), gaussian(seed + 100)
    got = frechet_distance(first, second)
    product = first.covariance @ second.covariance
    assert np.abs(product - product.T).max() > 1e-3, "they do not commute"
    assert_close(got, by_mpmath(first, second))
    assert_close(got, by_sqrtm(first, second))


@pytest.mark.parametrize(("spread", "rank"), [(1e-15, None), (1.0, 2), (1e-8, 4)])
def test_ill_conditioned_and_singular(spread, rank):
    first = gaussian(5, size=6, spread=spread, rank=rank)
    for second in (gaussian(6, size=6, spread=spread, rank=rank), gaussian(7, size=6)):
        got = frechet_distance(first, second)
        wanted = by_mpmath(first, second)
        assert_close(got, wanted, "rounding", scale=size_of(first, second), condition=SINGULAR)


def test_against_the_linear_theory():
    spectrum = lv.Spectrum.from_covariance(covariance(8), mean=np.arange(5.0))
    vae = lv.response(spectrum, 0.3, latent_dim=3, noise_variance=0.05)
    model = GaussianMoments(vae.decoder_offset, vae.decoder @ vae.decoder.T + 0.05 * np.eye(5))
    data = GaussianMoments(spectrum.mean, spectrum.covariance)
    got = frechet_distance(data, model)
    assert_close(got, float(linear_frechet(vae, spectrum)), scale=1.0)
    assert got > 1e-3


# Properties


@given(
    seed=st.integers(0, 10**6), rank=st.integers(1, 5), spread=st.sampled_from([1.0, 1e-3, 1e-12])
)
def test_invariances(seed, rank, spread):
    first = gaussian(seed, rank=rank, spread=spread)
    second = gaussian(seed + 1)
    scale = size_of(first, second)
    got = frechet_distance(first, second)
    assert math.isfinite(got)
    assert got >= 0
    near = {"purpose": "rounding", "scale": scale, "condition": SINGULAR}
    assert_close(frechet_distance(second, first), got, **near)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((5, 5)))
    moved = [
        GaussianMoments(turn @ g.mean + 7, turn @ g.covariance @ turn.T) for g in (first, second)
    ]
    assert_close(frechet_distance(*moved), got, **near)
    wider = [GaussianMoments(3 * g.mean, 9 * g.covariance) for g in (first, second)]
    assert_close(frechet_distance(*wider), 9 * got, "rounding", scale=9 * scale, condition=SINGULAR)
    assert frechet_distance(first, first) <= tolerance("rounding", size=5) * scale
    third = gaussian(seed + 2)
    direct, round_about = (
        math.sqrt(got),
        math.sqrt(frechet_distance(first, third)) + math.sqrt(frechet_distance(third, second)),
    )
    slack = math.sqrt(tolerance("rounding", condition=SINGULAR) * (scale + size_of(third)))
    assert direct <= round_about + slack


# Moments in chunks


@given(cuts=st.lists(st.integers(1, 39), max_size=6, unique=True), seed=st.integers(0, 99))
def test_moments_do_not_depend_on_chunks_or_order(cuts, seed):
    rng = np.random.default_rng(seed)
    values = 1e4 + rng.standard_normal((40, 3)) * [1.0, 0.1, 10.0]
    whole = moments_of([values])
    assert_close(whole.mean, values.mean(axis=0), "rounding")
    near = {"scale": 100.0, "condition": 1e4}
    assert_close(whole.covariance, np.cov(values.T), **near)
    for rows in (values, values[rng.permutation(40)]):
        cut = moments_of(np.split(rows, sorted(cuts)))
        assert cut.count == 40
        assert_close(cut.mean, whole.mean, "rounding")
        assert_close(cut.covariance, whole.covariance, **near)


def test_tensors_are_taken_in_any_precision():
    values = torch.randn(20, 3, generator=torch.Generator().manual_seed(1))
    want = np.cov(values.double().numpy().T)
    assert_close(moments_of([values.requires_grad_()]).covariance, want)


# Finite samples


def test_extrapolation_removes_the_bias():
    """Of two sets of one distribution, where all of the distance is bias."""
    same = gaussian(23, size=4)
    rng = np.random.default_rng(0)
    values, infinite = [], []
    for _ in range(60):
        sets = [rng.multivariate_normal(same.mean, same.covariance, 400) for _ in range(2)]
        got = extrapolated_frechet(*sets)
        values.append(got.value)
        infinite.append(got.infinite)
        assert got.value == frechet_distance(*(moments_of([s]) for s in _shuffled(sets)))
        assert got.parts.tolist() == [1, 2, 3, 4]
        assert_close(np.polyfit(got.parts, got.distances, 1)[1], got.infinite)
    error = np.std(infinite, ddof=1) / math.sqrt(60)
    # The truth is 0: the plain value fails the check that the extrapolated one passes.
    assert abs(np.mean(infinite)) < ERRORS * error < np.mean(values)


def _shuffled(sets):
    from deep.randomness import numpy_generator

    return [s[numpy_generator(0, "frechet", i).permutation(len(s))] for i, s in enumerate(sets)]


def test_extrapolation_is_centred_on_the_distance():
    """Of sets of different sizes."""
    first = GaussianMoments(np.zeros(3), np.eye(3))
    second = GaussianMoments(np.zeros(3), np.diag([1.5, 1.0, 0.8]))
    truth, rng, found = frechet_distance(first, second), np.random.default_rng(0), []
    for _ in range(200):
        sets = [
            rng.multivariate_normal(g.mean, g.covariance, n)
            for g, n in ((first, 150), (second, 300))
        ]
        got = extrapolated_frechet(*sets)
        found.append([got.value, got.infinite])
    bias = np.mean(found, axis=0) - truth
    error = np.std(found, axis=0, ddof=1) / math.sqrt(200)
    assert bias[0] > ERRORS * error[0]
    assert abs(bias[1]) < ERRORS * error[1]


def test_the_order_of_samples_does_not_matter_to_the_extrapolation():
    """Sorted samples: parts that were not shuffled would be far apart."""
    rng = np.random.default_rng(4)
    sets = [np.sort(rng.standard_normal((400, 2)), axis=0) for _ in range(2)]
    got = extrapolated_frechet(sets[0], sets[1][::-1])
    assert got.distances.max() < 0.2
    again = extrapolated_frechet(sets[0], sets[1][::-1])
    assert again.infinite == got.infinite
    assert extrapolated_frechet(*sets, seed=1).infinite != extrapolated_frechet(*sets).infinite


# Errors


def test_refusals():
    good = np.random.default_rng(0).standard_normal((40, 3))
    bad = good.copy()
    bad[7, 1] = np.nan
    for features, words in ((bad, "row 7"), (good[0], "shape"), (good[:, :0], "shape")):
        with pytest.raises(InputError, match=words):
            feature_array(features)
    for chunks, words in (
        ([], "0 samples"),
        ([good[:1]], "1 samples"),
        ([good, good[:, :2]], "3 and of 2"),
    ):
        with pytest.raises(InputError, match=words):
            moments_of(chunks)
    with pytest.raises(InputError, match="3 and 2"):
        frechet_distance(moments_of([good]), moments_of([good[:, :2]]))
    with pytest.raises(InputError, match="more samples than features"):
        extrapolated_frechet(good, good, parts=20)
    with pytest.raises(InputError, match="parts"):
        extrapolated_frechet(good, good, parts=1)
    with pytest.raises(InputError, match="eigenvalue"):
        frechet_distance(GaussianMoments(np.zeros(2), np.diag([1.0, -0.1])),
                         GaussianMoments(np.zeros(2), np.eye(2)))  # fmt: skip


@pytest.mark.parametrize(
    ("mean", "matrix", "words"),
    [
        (np.zeros(2), np.eye(3), "shapes"),
        (np.zeros((2, 1)), np.eye(2), "shapes"),
        (np.zeros(2), np.array([[1.0, 0.5], [0.0, 1.0]]), "mirror"),
        (np.array([np.inf, 0.0]), np.eye(2), "finite"),
    ],
)
def test_moments_that_are_none(mean, matrix, words):
    with pytest.raises(InputError, match=words):
        GaussianMoments(mean, matrix)
