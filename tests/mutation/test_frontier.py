"""The curve and its inverse queries in 60 digits, at and beside every breakpoint."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

import linvae.frontier
from linvae import CurvePoints, Frontier, Spectrum
from linvae._search import RisingTable
from linvae.errors import InputError, PartialSpectrumError, RangeError
from tests import oracles
from tests.mutation.cases import FRONTIERS, MEAN, VALUES, assert_digits, curve_of, leading, spectrum
from tests.tolerances import EPS, assert_close

S2 = 0.37


def _betas(curve: Frontier) -> list[float]:
    """Thresholds, their neighbours, and points between and beyond them."""
    alive = curve.critical_betas[curve.critical_betas > 0]
    beside = [np.nextafter(alive, 0), alive, np.nextafter(alive, np.inf)]
    between = [alive * 0.83, alive[-1:] * 1e-3, alive[-1:] * 1e-300, alive[:1] * 1.7]
    return [float(b) for b in np.concatenate(beside + between)]


def _scale(want: oracles.ExactPoint) -> float:
    return abs(float(want.distortion - want.constant)) + abs(float(want.constant))


def _check(
    point: CurvePoints, values: list[float], k: int, s2: float, beta: float, ulps: float = 8
) -> None:
    want = oracles.exact_curve(values, k, s2, beta)
    assert_digits(point.rate, want.rate, ulps, 1 + float(want.rate))
    assert_digits(point.squared_error, want.error, ulps)
    assert_digits(point.distortion, want.distortion, ulps, _scale(want))
    assert float(point.noise_variance) == s2
    assert point.n_features == len(values)


@pytest.mark.parametrize(("values", "k", "s2"), FRONTIERS)
def test_the_curve(values: list[float], k: int, s2: float) -> None:
    curve = curve_of(values, k, s2)
    assert_digits(curve.critical_betas, [Decimal(v) / Decimal(s2) for v in values[:k]], 1)
    assert_digits(curve.floor, sum(map(Decimal, values[k:]), Decimal(0)))
    assert (curve.latent_dim, curve.noise_variance) == (k, s2)
    betas = _betas(curve)
    whole = curve.at_beta(np.array(betas)[:, None])
    assert whole.rate.shape == (len(betas), 1)
    for i, beta in enumerate(betas):
        point = curve.at_beta(beta)
        _check(point, values, k, s2, beta)
        assert point.active == (curve.critical_betas > beta).sum()
        assert point.beta == beta
        for name in ("rate", "distortion", "squared_error", "active"):
            assert getattr(whole, name)[i, 0] == getattr(point, name)
    assert curve.at_beta(curve.critical_betas[0]).rate == 0
    for far in (3.0, 1e30):
        assert curve.at_beta(curve.critical_betas[0] * far).rate == 0


@pytest.mark.parametrize(("values", "k", "s2"), FRONTIERS)
def test_rates_and_errors_lead_back(values: list[float], k: int, s2: float) -> None:
    curve = curve_of(values, k, s2)
    for beta in _betas(curve):
        there = curve.at_beta(beta)
        back = curve.at_rate(there.rate)
        top = min(beta, float(curve.critical_betas[0]))
        # An ulp of the rate is 2/m ulps of the logarithm of beta.
        ulps = 16 * (1 + float(there.rate))
        assert_digits(back.beta, top, ulps)
        assert_digits(back.squared_error, there.squared_error, ulps)
        assert back.rate == there.rate
        if there.squared_error > curve.floor:
            near = curve.at_squared_error(there.squared_error)
            # The level is what the error leaves above the tail.
            lost = float(there.squared_error / (there.squared_error - curve.floor))
            if lost < 1e12:
                assert_digits(near.beta, top, 16 * lost)
                assert_digits(near.rate, there.rate, 32 * lost, 1 + float(there.rate))
                assert near.squared_error == there.squared_error
            # A distortion is an error plus a constant, which takes digits, too.
            shift = _scale(oracles.exact_curve(values, k, s2, beta)) * 2 * s2
            lost *= 1 + shift / float(there.squared_error)
            if lost < 1e12:
                by_nats = curve.at_distortion(there.distortion)
                assert_digits(by_nats.beta, top, 16 * lost)
                assert_digits(by_nats.rate, there.rate, 32 * lost, 1 + float(there.rate))
                assert by_nats.distortion == there.distortion


@pytest.mark.parametrize(("values", "k", "s2"), FRONTIERS)
def test_active_counts_of_inverse_queries(values: list[float], k: int, s2: float) -> None:
    curve = curve_of(values, k, s2)
    alive = np.unique(curve.critical_betas[curve.critical_betas > 0])
    for beta in [*(alive * 0.83), *(alive[:1] * 1e-3)]:
        there = curve.at_beta(beta)
        count = (curve.critical_betas > beta).sum()
        assert curve.at_rate(there.rate).active == count
        assert curve.at_squared_error(there.squared_error).active == count
        assert curve.at_distortion(there.distortion).active == count
    ends = curve.at_rate([0.0, 1e-9])
    first = (curve.critical_betas == curve.critical_betas[0]).sum()
    assert ends.beta[0] == curve.critical_betas[0]
    assert (ends.active == [0, first]).all()
    error = curve.at_squared_error(curve.at_beta(1e3).squared_error)
    assert (error.rate, error.active, error.beta) == (0.0, 0, curve.critical_betas[0])


def test_breakpoints_belong_to_fewer_modes() -> None:
    """At the rate, and at the error, where a mode joins, it does not count yet."""
    curve = Frontier(spectrum([4.0, 2.0, 1.0], None), latent_dim=3, noise_variance=0.5)
    joins = curve.at_beta(curve.critical_betas)
    assert (joins.active == [0, 1, 2]).all()
    for query, name in (
        (curve.at_rate, "rate"),
        (curve.at_squared_error, "squared_error"),
        (curve.at_distortion, "distortion"),
    ):
        found = query(getattr(joins, name))
        assert_close(found.beta, joins.beta, "ulps")
    assert (curve.at_rate(joins.rate).active == [0, 1, 2]).all()
    assert (curve.at_squared_error(joins.squared_error).active == [0, 1, 2]).all()


def test_kinds() -> None:
    values = [5.3, 2.9, 0.71, 0.0]
    for k, kind in ((2, "rank-k"), (3, "shannon"), (4, "shannon")):
        assert curve_of(values, k, S2).kind == kind
    part = leading([5.3, 2.9, 0.71], 2)
    assert Frontier(part, latent_dim=2, noise_variance=S2).kind == "rank-k"
    shannon = Frontier.shannon(spectrum(values), noise_variance=S2)
    assert (shannon.latent_dim, shannon.kind, shannon.floor) == (4, "shannon", 0.0)
    with pytest.raises(PartialSpectrumError, match="the Shannon curve"):
        Frontier.shannon(part, noise_variance=S2)


def test_a_leading_spectrum_has_the_samecurve_of() -> None:
    whole = curve_of(VALUES.tolist(), 2, S2)
    part = Frontier(leading(VALUES, 2), latent_dim=2, noise_variance=S2)
    for beta in (0.1, 3.0, 9.0, 20.0):
        a, b = whole.at_beta(beta), part.at_beta(beta)
        assert_close(a.squared_error, b.squared_error, "ulps")
        assert a.rate == b.rate
    with pytest.raises(PartialSpectrumError):
        Frontier(leading(VALUES, 2), latent_dim=3, noise_variance=S2)


@pytest.mark.parametrize("size", [7, 8, 9, 17])
def test_blocks_join(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linvae.frontier, "_BLOCK", 8)
    curve = curve_of(VALUES.tolist(), 3, S2)
    betas = np.geomspace(0.05, 30.0, size)
    points = curve.at_beta(betas)
    for i, beta in enumerate(betas):
        assert points.rate[i] == curve.at_beta(beta).rate
        assert points.squared_error[i] == curve.at_beta(beta).squared_error
        assert points.active[i] == curve.at_beta(beta).active


def test_blocks_are_as_long_as_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    count = RisingTable.count_up_to

    def counted(table: RisingTable, queries: np.ndarray) -> np.ndarray:
        sizes.append(queries.size)
        return count(table, queries)

    monkeypatch.setattr(RisingTable, "count_up_to", counted)
    curve_of(VALUES.tolist(), 3, S2).at_beta(np.full(2**14 + 1, 0.7))
    assert sizes == [2**14, 1]


def test_neighbouring_levels_keep_their_digits() -> None:
    """log(λ/τ) one to some thousand ulps beside 0, where 1 + x has lost x."""
    curve = curve_of([3.3, 0.4], 2, S2)
    critical = float(curve.critical_betas[0])
    for steps in (1, 2, 3, 1000, 10**7):
        beta = critical - steps * float(np.spacing(critical))
        want = np.log1p((critical - beta) / beta) / 2
        assert_digits(curve.at_beta(beta).rate, want, 4)


def test_very_far_levels() -> None:
    """A ratio beyond float64 has a finite logarithm."""
    values = [1e300, 1e150, 1e-300]
    curve = curve_of(values, 3, 1.3)
    for beta in (1e200, 1.0, 1e-200, 1e-307):
        want = oracles.exact_curve(values, 3, 1.3, beta)
        assert_digits(curve.at_beta(beta).rate, want.rate)


# Ends of the domain


def test_slack_of_errors_is_four_ulps() -> None:
    curve = curve_of([0.5, 0.25, 0.25], 1, S2)  # total 1, floor 0.5
    assert curve.at_squared_error(1 + 4 * EPS).rate == 0
    assert curve.at_squared_error([1.0, 0.5 + EPS]).rate[0] == 0
    for bad in (1 + 5 * EPS, 0.5, 0.4, 1.1, -1.0):
        with pytest.raises(RangeError, match=r"squared_error: got .*in \(0.5, 1\]"):
            curve.at_squared_error(bad)
        with pytest.raises(RangeError, match=rf"squared_error: got {bad}"):
            curve.at_squared_error([0.7, bad, 99.0])


def test_slack_of_distortions_is_four_ulps() -> None:
    for s2 in (S2, 1.9):
        curve = curve_of([0.5, 0.25, 0.25], 1, s2)
        high, low = (float(curve.distortion_of(e)) for e in (1.0, 0.5))
        constant = float(curve.distortion_of(0.0))
        unit = float(np.spacing(max(abs(high), abs(constant))))
        slack = 4 * (2 * s2 * unit + EPS)
        allowed = high + (slack / (2 * s2)) * 0.8
        assert curve.at_distortion(allowed).rate == 0
        for bad in (high + 1.2 * slack / (2 * s2), low - 0.01, high + 0.1, low - 5.0):
            with pytest.raises(RangeError) as caught:
                curve.at_distortion([high - 0.01, bad, 99.0])
            assert f"got {bad}" in str(caught.value)
            assert f"({low:.6g}, {high:.6g}]" in str(caught.value)


def test_the_floor_itself_is_out_of_reach() -> None:
    curve = curve_of(VALUES.tolist(), 4, S2)
    assert curve.floor == 0
    for query, value in (
        (curve.at_squared_error, 0.0),
        (curve.at_distortion, float(curve.distortion_of(0.0))),
    ):
        with pytest.raises(RangeError, match=r"expected a value in \("):
            query(value)


def test_variance_too_small_beside_the_noise() -> None:
    """λ/σ² underflows: no mode can be active, and the only error is the whole variance."""
    total = 1e-200
    curve = curve_of([total], 1, 1e200)
    assert curve.critical_betas[0] == 0
    point = curve.at_squared_error(total)
    assert (point.squared_error, point.rate, point.active) == (total, 0.0, 0)
    assert curve.at_squared_error([total * (1 + 3 * EPS)]).rate[0] == 0
    for bad in (total * (1 + 6 * EPS), total * (1 - 6 * EPS), 2 * total, 0.0):
        with pytest.raises(RangeError, match="squared_error: got"):
            curve.at_squared_error(bad)


def test_rates_out_of_range() -> None:
    curve = curve_of(VALUES.tolist(), 3, S2)
    for bad in (-1e-300, -0.5):
        with pytest.raises(RangeError, match=rf"rate: got {bad}; expected >= 0"):
            curve.at_rate([1.0, bad, 2.0])
    with pytest.raises(RangeError, match=r"rate: got 100000.0; .*float64 underflow"):
        curve.at_rate([1.0, 1e5])
    assert curve.at_rate(1000.0).beta > 0


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0, 0.0]])
def test_data_without_variance(values: list[float]) -> None:
    n = len(values)
    curve = curve_of(values, n, S2)
    base = 0.5 * n * np.log(2 * np.pi * S2)
    for points in (
        curve.at_beta([0.3, 5.0]),
        curve.at_rate([0.0, 0.0]),
        curve.at_squared_error([0.0, 0.0]),
        curve.at_distortion([base, base]),
    ):
        assert not points.rate.any()
        assert not points.squared_error.any()
        assert not points.active.any()
        assert_close(points.distortion, [base, base], "ulps")
    assert not curve.at_rate([0.0]).beta.any()
    assert not curve.at_squared_error([0.0]).beta.any()
    assert not curve.at_distortion([base]).beta.any()
    assert (curve.at_beta([0.3]).beta == 0.3).all()
    assert curve.area(rates=(0.0, 0.0)) == 0
    assert curve.collapsed_loss(0.5) == 0
    for bad in (1.0, -1.0):
        with pytest.raises(RangeError, match=r"rate: got .*; expected exactly 0"):
            curve.at_rate([bad])
        with pytest.raises(RangeError, match="squared_error: got"):
            curve.at_squared_error(bad)
        with pytest.raises(RangeError, match="distortion: got"):
            curve.at_distortion(base + bad)
    unit = float(np.spacing(abs(base)))
    assert curve.at_distortion(base + 3 * unit).rate == 0
    assert curve.at_distortion(base - 3 * unit).rate == 0
    for far in (6 * unit, -6 * unit):
        with pytest.raises(RangeError, match="distortion: got"):
            curve.at_distortion(base + far)


def test_construction_is_refused() -> None:
    given = spectrum(VALUES, MEAN)
    for k in (0, 5):
        with pytest.raises(InputError, match=f"latent_dim: got {k}"):
            Frontier(given, latent_dim=k, noise_variance=S2)
    with pytest.raises(InputError, match=r"noise_variance: got shape \(1,\); expected one number"):
        Frontier(given, latent_dim=2, noise_variance=[S2])
    huge = Spectrum.from_eigenvalues([1e300, 1.0])
    with pytest.raises(InputError, match=r"noise_variance: got 1e-300; .*float64 range"):
        Frontier(huge, latent_dim=2, noise_variance=1e-300)
    curve = Frontier(given, latent_dim=2, noise_variance=S2)
    for query in (curve.at_rate, curve.at_squared_error, curve.at_distortion):
        with pytest.raises(InputError, match="an empty array"):
            query([])
        with pytest.raises(InputError, match="got nan"):
            query([np.nan])
    assert curve.spectrum is given
