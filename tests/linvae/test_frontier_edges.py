"""The ends of the curve's domain, bad queries and very many of them."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given

from linvae import Frontier, Spectrum
from linvae.errors import InputError, RangeError
from linvae.testing import strategies
from tests import oracles
from tests.tolerances import assert_close, tolerance

ULPS = tolerance("ulps")


def _curve(problem):
    return Frontier(problem.spectrum, **problem.options)


def _off(got, want):
    """|got - want| with want exact."""
    return abs(float(Decimal(float(got)) - want))


# Edges of the domain


@pytest.mark.parametrize("s2", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("beta", [5e-324, 1e-310, 1e-300, 1e300, 1.7e308])
def test_the_smallest_and_the_largest_beta(s2, beta):
    """Products and ratios with beta may leave the float64 range; the answer does not."""
    curve = Frontier(Spectrum.from_eigenvalues([4.0, 2.0, 1.0]), latent_dim=2, noise_variance=s2)
    point = curve.at_beta(beta)
    want = oracles.exact_curve([4.0, 2.0, 1.0], 2, s2, beta)
    assert _off(point.rate, want.rate) <= ULPS * (2 + float(want.rate))
    assert _off(point.squared_error, want.error) <= ULPS * float(want.error)
    if point.active:
        assert np.isfinite(point.objective)


@pytest.mark.parametrize("values", [[1e300, 1.0, 1e-300], [1e300, 1e-300], [1e150, 5e-324]])
def test_eigenvalues_further_apart_than_the_float_range(values):
    curve = Frontier(Spectrum.from_eigenvalues(values), latent_dim=2, noise_variance=1.0)
    for beta in (1e149, 0.5, 1e-302, 5e-324):
        want = oracles.exact_curve(values, 2, 1.0, beta)
        point = curve.at_beta(beta)
        assert _off(point.rate, want.rate) <= ULPS * (2 + float(want.rate))
        if beta > 1e-300:
            assert_close(float(curve.at_rate(point.rate).beta / beta), 1.0, scale=1)


def test_data_without_variance():
    curve = Frontier(Spectrum.from_eigenvalues([0.0, 0.0]), latent_dim=2, noise_variance=1.0)
    point = curve.at_beta([1e-300, 1.0, 1e300])
    assert not point.rate.any()
    assert not point.squared_error.any()
    assert not point.active.any()
    assert curve.at_rate(0.0).distortion == pytest.approx(np.log(2 * np.pi))
    assert curve.at_squared_error(0.0).rate == 0.0
    assert curve.collapsed_loss(0.5) == 0.0
    assert curve.at_distortion(np.log(2 * np.pi)).rate == 0.0
    assert_close(curve.area(rates=(0.0, 0.0)), 0.0)
    with pytest.raises(RangeError, match="expected exactly 0"):
        curve.at_rate(1.0)
    with pytest.raises(RangeError, match="squared_error: got 1"):
        curve.at_squared_error(1.0)


@pytest.mark.parametrize("bad", [5.0, -5.0])
def test_data_without_variance_refuse_other_distortions(bad):
    curve = Frontier(Spectrum.from_eigenvalues([0.0]), latent_dim=1, noise_variance=1.0)
    with pytest.raises(RangeError, match="distortion: got"):
        curve.at_distortion(bad)


@given(strategies.problems(max_n=6))
def test_values_off_the_curve_are_refused(problem):
    curve = _curve(problem)
    total = problem.spectrum.total_variance
    for bad in (curve.floor, curve.floor - 0.1 * total, total * 1.001):
        with pytest.raises(RangeError, match=r"squared_error: got .*; expected a value in \("):
            curve.at_squared_error(bad)
        with pytest.raises(RangeError, match=r"squared_error: got .*; expected a value in \("):
            curve.at_squared_error([total, bad])
    size = abs(curve.distortion_of(0.0)) + total / problem.s2
    for error in (curve.floor - 0.1 * total, total * 1.1):
        value = curve.distortion_of(error)
        if abs(value - curve.distortion_of(total)) > 1e-12 * size:
            with pytest.raises(RangeError, match=r"distortion: got .*; expected a value in \("):
                curve.at_distortion(value)
    with pytest.raises(RangeError, match=r"rate: got -0.5; expected >= 0"):
        curve.at_rate([1.0, -0.5])
    with pytest.raises(RangeError, match="expected a rate with β above the float64 underflow"):
        curve.at_rate(1e5)


@pytest.mark.parametrize("query", ["at_beta", "at_rate", "at_squared_error", "at_distortion"])
def test_queries_keep_shapes_and_refuse_rubbish(query):
    curve = Frontier(Spectrum.from_eigenvalues([4.0, 2.0]), latent_dim=2, noise_variance=1.0)
    ask = getattr(curve, query)
    for value in (1.5 + 1.2 * (query == "at_distortion"), 3):
        assert ask(value).beta.shape == ()
        grid = np.full((2, 3), float(value))
        points = ask(grid.T[::-1])
        assert points.beta.shape == points.rate.shape == points.active.shape == (3, 2)
        assert points.noise_variance.shape == points.distortion.shape == (3, 2)
        assert (points.beta == ask(value).beta).all()
    for bad in (np.nan, np.inf, [], "3", 1j, None, object(), [[1.0], [1.0, 2.0]]):
        with pytest.raises(InputError, match=r"got .*; expected .*; "):
            ask(bad)


@pytest.mark.parametrize("query", ["at_beta", "at_rate", "at_squared_error", "at_distortion"])
def test_points_do_not_share_memory_with_the_query(query):
    curve = Frontier(Spectrum.from_eigenvalues([4.0, 2.0]), latent_dim=2, noise_variance=1.0)
    asked = np.array([3.0, 4.0])
    points = getattr(curve, query)(asked)
    for name in ("beta", "rate", "distortion", "squared_error"):
        assert not np.shares_memory(getattr(points, name), asked), name


def test_bad_construction():
    spectrum = Spectrum.from_eigenvalues([4.0, 2.0])
    for k in (0, -1, 3):
        with pytest.raises(InputError, match=rf"latent_dim: got {k}; expected an integer >= 1"):
            Frontier(spectrum, latent_dim=k, noise_variance=1.0)
    for k in (1.0, True, "2", None):
        with pytest.raises(TypeError, match=r"latent_dim: got .*expected an integer"):
            Frontier(spectrum, latent_dim=k, noise_variance=1.0)
    for s2 in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match=r"noise_variance: got .*expected finite numbers > 0"):
            Frontier(spectrum, latent_dim=1, noise_variance=s2)
    with pytest.raises(InputError, match=r"noise_variance: got shape \(2,\); expected one number"):
        Frontier(spectrum, latent_dim=1, noise_variance=[1.0, 2.0])
    huge = Spectrum.from_eigenvalues([1e200])
    with pytest.raises(InputError, match="within the float64 range; rescale"):
        Frontier(huge, latent_dim=1, noise_variance=1e-200)


def test_properties_and_immutability():
    spectrum = Spectrum.from_eigenvalues([4.0, 2.0, 1.0])
    curve = Frontier(spectrum, latent_dim=2, noise_variance=0.5)
    assert curve.spectrum is spectrum
    assert (curve.latent_dim, curve.noise_variance, curve.floor) == (2, 0.5, 1.0)
    assert curve.critical_betas.tolist() == [8.0, 4.0]
    with pytest.raises(ValueError, match="read-only"):
        curve.critical_betas[0] = 1.0


@pytest.mark.parametrize("kind", ["gamma", "clustered", "tied", "two"])
@pytest.mark.parametrize("k", [1, 32, 784])
def test_many_modes_and_very_many_queries(kind, k):
    """Every path of the sorted search, against counting; seed 11."""
    rng = np.random.default_rng(11)
    values = {
        "gamma": lambda: rng.gamma(0.3, size=784),
        "clustered": lambda: 1 + 1e-13 * rng.standard_normal(784),
        "tied": lambda: rng.choice([1.0, 2.0, 0.0], 784),
        "two": lambda: np.concatenate([[1e150, 1e-150], np.zeros(782)]),
    }[kind]()
    curve = Frontier(Spectrum.from_eigenvalues(values), latent_dim=k, noise_variance=0.25)
    critical = curve.critical_betas
    alive = critical[critical > 0]
    betas = np.concatenate(
        [
            np.exp(rng.uniform(np.log(alive.min()) - 1, np.log(alive.max()) + 1, 20_000)),
            alive,
            np.nextafter(alive, 0),
            np.nextafter(alive, np.inf),
            [1e-140, 1e290],
        ]
    )
    points = curve.at_beta(betas)
    want = alive.size - np.searchsorted(np.sort(alive), betas, side="right")
    assert np.array_equal(points.active, want)
    assert np.isfinite(points.rate).all()
    assert np.isfinite(points.squared_error).all()
    some = rng.integers(0, 20_000, 5)
    for i in some:
        level = np.minimum(critical, betas[i]) * 0.25
        rates = 0.5 * np.log(np.maximum(critical, betas[i]) / betas[i])
        assert_close(points.rate[i], rates.sum(), scale=k + rates.sum())
        tail = np.sort(values)[::-1][k:].sum()
        assert_close(points.squared_error[i], level.sum() + tail)
