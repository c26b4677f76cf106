"""The calibrated noise variance against the minimum in decimals, and its curve piece by piece."""

from __future__ import annotations

import warnings
from decimal import Decimal, localcontext

import numpy as np
import pytest

from linvae import Spectrum
from linvae.calibrated import CalibratedFrontier, Segment, calibrated_noise_variance
from linvae.errors import InputError, NonUniqueOptimumWarning, UnboundedObjectiveError
from tests import oracles
from tests.mutation.cases import MEAN, VALUES, assert_digits, spectrum
from tests.tolerances import assert_close

N, K = 4, 3
TAILS = [9.14, 3.84, 0.94, 0.23]
# n λ_m / (T_m + m λ_m)
JOINS = [N * v / (t + m * v) for m, (v, t) in enumerate(zip(VALUES[:K], TAILS[1:], strict=True), 1)]
BETAS = {3.1: 0, 2.0: 1, 1.5: 2, 0.6: 3, 1e-3: 3}  # active modes


def _curve(values: object = VALUES, k: int = K) -> CalibratedFrontier:
    return CalibratedFrontier(spectrum(values, None), latent_dim=k)


def _newton(values: list[float], k: int, beta: float, variance: float) -> Decimal:
    """How far, in log σ², the objective's minimum is from a variance; none far away is lower."""
    with localcontext() as context:
        context.prec = 50
        start = Decimal(variance).ln()

        def least(step: Decimal) -> Decimal:
            point = oracles.exact_curve(values, k, (start + step).exp(), beta)
            return point.distortion + Decimal(beta) * point.rate

        assert all(least(Decimal(far)) > least(Decimal(0)) for far in (-9, -3, -1, 1, 3, 9))
        h = Decimal("1e-9")
        down, here, up = least(-h), least(Decimal(0)), least(h)
        assert down + up > 2 * here
        return h / 2 * (down - up) / (down - 2 * here + up)


@pytest.mark.parametrize("beta", list(BETAS))
def test_the_best_noise_variance(beta: float) -> None:
    values = VALUES.tolist()
    got = calibrated_noise_variance(spectrum(), beta, latent_dim=K)
    assert isinstance(got, float)
    assert abs(_newton(values, K, beta, got)) < Decimal("1e-14")
    m = BETAS[beta]
    want = TAILS[m] / (N - m * beta)
    assert_digits(got, want, 16)
    point = _curve().at_beta(beta)
    exact = oracles.exact_curve(values, K, want, beta)
    assert point.active == m
    assert point.beta == beta
    assert point.n_features == N
    assert_digits(point.noise_variance, want, 32)
    assert_digits(point.squared_error, exact.error, 32)
    assert_digits(point.rate, exact.rate, 32, 1 + float(exact.rate))
    assert_digits(point.distortion, exact.distortion, 64, 8)


def test_noise_variances_of_many_betas() -> None:
    betas = np.array([[0.6, 1.5], [2.0, 3.1]])
    got = calibrated_noise_variance(spectrum(), betas, latent_dim=K)
    assert got.shape == (2, 2)
    for index in np.ndindex(2, 2):
        one = calibrated_noise_variance(spectrum(), betas[index], latent_dim=K)
        assert got[index] == one
        assert (
            _curve().at_beta(betas).distortion[index] == _curve().at_beta(betas[index]).distortion
        )


def test_thresholds_of_the_modes() -> None:
    curve = _curve()
    assert curve.latent_dim == K
    assert_close(curve.critical_betas, JOINS, "ulps")
    assert not np.shares_memory(curve.critical_betas, curve.critical_betas)
    for m, beta in enumerate(curve.critical_betas, 1):
        # There the water level is the eigenvalue, and the optimum is continuous.
        variances = [float(curve.noise_variance(beta * f)) for f in (1 - 1e-13, 1.0, 1 + 1e-13)]
        assert_close(variances, np.full(3, VALUES[m - 1] / beta), "exact")
        active = [curve.at_beta(beta * f).active for f in (1 - 1e-6, 1 + 1e-6)]
        assert active == [m, m - 1]
    tied = _curve([3.1, 3.1, 0.7, 0.2], 3)
    assert tied.critical_betas[0] == tied.critical_betas[1]
    assert_close(tied.critical_betas[0], 4 / (4.0 / 3.1 + 1), "ulps")
    many = _curve([3.1] * 7 + [0.2], 7)
    assert (np.diff(many.critical_betas) <= 0).all()
    assert_close(many.critical_betas, np.full(7, 8 / (0.2 / 3.1 + 7)), "ulps")


@pytest.mark.parametrize("level", [0.004, 0.5, 1.9, 4.0, 5.3, 11.0])
def test_points_at_water_levels(level: float) -> None:
    point = _curve().at_water_level([[level]])
    exact = oracles.exact_curve(VALUES, K, 1.0, level)
    variance = float(exact.error) / N
    assert_digits(point.squared_error, [[exact.error]])
    assert_digits(point.rate, [[exact.rate]], 8, 1 + float(exact.rate))
    assert_digits(point.noise_variance, [[variance]])
    assert_close(point.distortion, [[0.5 * N * np.log(2 * np.pi * np.e * variance)]], "rounding")
    assert_digits(point.beta, [[min(level, 1e9) / variance]], 8)
    if level < 5.3:
        again = _curve().at_rate(point.rate)
        for name in ("beta", "distortion", "squared_error", "noise_variance"):
            assert_close(getattr(again, name), getattr(point, name), "rounding", scale=5)
        assert (again.active == point.active).all()
        by_beta = _curve().at_beta(point.beta)
        assert_close(by_beta.squared_error, point.squared_error, "rounding")


def _assert_segments(curve: CalibratedFrontier, want: list[Segment]) -> None:
    got = curve.segments
    assert [s.active for s in got] == [s.active for s in want]
    for one, other in zip(got, want, strict=True):
        for name in ("rate_low", "rate_high", "beta_low", "beta_high", "straight_beta"):
            a, b = getattr(one, name), getattr(other, name)
            assert isinstance(a, float)
            assert_close(a, b, "rounding", scale=1 + (abs(b) if np.isfinite(b) else 0))


def test_segments() -> None:
    logs = np.log(VALUES)
    rates = [0.0, (logs[0] - logs[1]) / 2, (logs[0] + logs[1] - 2 * logs[2]) / 2, np.inf]
    want = [
        Segment(m, rates[m - 1], rates[m], [*JOINS, 0.0][m], JOINS[m - 1], N / m) for m in (1, 2, 3)
    ]
    _assert_segments(_curve(), want)
    # With nothing outside the modes the last one is straight: n/r at both ends.
    full = [5.3, 2.9, 0.0]
    join = 3 / (2.9 / 5.3 + 1)
    _assert_segments(
        _curve(full, 3),
        [
            Segment(1, 0.0, rates[1], 1.5, join, 3.0),
            Segment(2, rates[1], np.inf, 1.5, 1.5, 1.5),
        ],
    )
    # Ties join together, the first ones and later ones.
    middle = float(np.log(5.3 / 0.7)) / 2
    join = 4 / (0.2 / 0.7 + 3)
    _assert_segments(
        _curve([5.3, 0.7, 0.7, 0.2], 3),
        [
            Segment(1, 0.0, middle, 4 / (0.9 / 0.7 + 2), 4 / (1.6 / 5.3 + 1), 4.0),
            Segment(3, middle, np.inf, 0.0, join, 4 / 3),
        ],
    )
    rate = float(np.log(3.1 / 0.7))
    _assert_segments(
        _curve([3.1, 3.1, 0.7, 0.2], 3),
        [
            Segment(2, 0.0, rate, 4 / (0.2 / 0.7 + 3), 4 / (4.0 / 3.1 + 1), 2.0),
            Segment(3, rate, np.inf, 0.0, 4 / (0.2 / 0.7 + 3), 4 / 3),
        ],
    )


# eigenvalues, latents, rank
FULL = [([5.3, 2.9, 0.0], 3, 2), ([5.3, 2.9], 2, 2), ([5.3, 2.9, 1.1], 3, 3)]


@pytest.mark.parametrize(("values", "k", "rank"), FULL)
def test_all_variance_inside_the_modes(values: list[float], k: int, rank: int) -> None:
    curve, limit = _curve(values, k), len(values) / rank
    last = values[rank - 1]
    assert curve.critical_betas[-1] == limit
    assert curve.critical_betas.size == rank
    above = np.nextafter(limit, 9.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_digits(curve.noise_variance(above), last / limit, 64)
        assert curve.noise_variance([2.0, 9.0]).shape == (2,)
    with pytest.warns(NonUniqueOptimumWarning, match=f"β = n/r = {limit:g} every") as caught:
        value = curve.noise_variance([2.0, limit])
    assert caught[0].filename == __file__
    assert_digits(value[1], last / limit, 8)
    with pytest.warns(NonUniqueOptimumWarning):
        assert curve.at_beta(limit).active == rank - 1
    below = float(np.nextafter(limit, 0.0))
    for bad in (below, 0.3):
        message = rf"beta: got {bad:g} .*the {rank} modes of {k} latents; .*n/r = {limit:g};"
        with pytest.raises(UnboundedObjectiveError, match=message):
            curve.noise_variance([[2.0, bad, 0.1]])
        with pytest.raises(UnboundedObjectiveError, match=message):
            curve.at_beta(bad)
    # The curve itself is there at every rate and water level.
    point = curve.at_water_level(0.1)
    assert_digits(point.squared_error, 0.1 * rank)
    assert_digits(point.beta, limit)
    assert_digits(curve.at_rate(3.0).beta, limit, 16)


def test_one_latent_of_many() -> None:
    curve = _curve(VALUES, 1)
    assert_digits(curve.noise_variance(1.0), 3.84 / 3, 16)
    assert_digits(curve.noise_variance(0.5), 3.84 / 3.5, 16)
    assert_digits(curve.noise_variance(2.5), 9.14 / 4, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curve.noise_variance(curve.critical_betas)
        _curve().noise_variance(_curve().critical_betas)


def test_refusals() -> None:
    for k in (1, 2):
        with pytest.raises(UnboundedObjectiveError, match="data without variance"):
            CalibratedFrontier(Spectrum.from_eigenvalues([0.0, 0.0]), latent_dim=k)
    assert CalibratedFrontier(spectrum([1e-300, 0.0], None), latent_dim=1).segments
    with pytest.raises(InputError, match="latent_dim: got 5"):
        calibrated_noise_variance(spectrum(VALUES, MEAN), 1.0, latent_dim=5)
    for bad in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="beta: got"):
            _curve().noise_variance(bad)
        with pytest.raises(InputError, match="beta: got"):
            _curve().at_beta(bad)
        with pytest.raises(InputError, match="water_level: got"):
            _curve().at_water_level(bad)
