"""The smallest model for a budget: it meets the budget, and one latent fewer does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import linvae as lv
from linvae.budget import smallest_model
from linvae.errors import InputError, RangeError
from linvae.testing.strategies import Problem, problems
from tests.tolerances import assert_close

ALIVE = ("random", "geometric", "tied", "zeros", "spike", "near")


@given(problems(kinds=ALIVE), st.floats(0.001, 0.999))
def test_squared_error_budget_is_met_by_no_fewer_latents(problem: Problem, share: float) -> None:
    spectrum, s2 = problem.spectrum, problem.s2
    wanted = share * spectrum.total_variance
    found = smallest_model(spectrum, noise_variance=s2, squared_error=wanted)
    assert float(found.point.squared_error) == wanted
    curve = lv.Frontier(spectrum, latent_dim=found.latent_dim, noise_variance=s2)
    assert_close(curve.at_beta(found.beta).squared_error, np.asarray(wanted))
    if found.latent_dim > 1:
        fewer = lv.Frontier(spectrum, latent_dim=found.latent_dim - 1, noise_variance=s2)
        with pytest.raises(RangeError):
            fewer.at_squared_error(wanted)


@given(problems(kinds=ALIVE), st.floats(0.001, 0.999))
def test_least_rate_costs_no_more_rate_than_any_latents(problem: Problem, share: float) -> None:
    spectrum, s2 = problem.spectrum, problem.s2
    wanted = share * spectrum.total_variance
    found = smallest_model(spectrum, noise_variance=s2, squared_error=wanted, at_least_rate=True)
    shannon = lv.Frontier.shannon(spectrum, noise_variance=s2).at_squared_error(wanted)
    assert_close(found.point.rate, shannon.rate, scale=1 + float(shannon.rate))
    few = smallest_model(spectrum, noise_variance=s2, squared_error=wanted)
    assert few.latent_dim <= found.latent_dim
    assert few.point.rate >= found.point.rate * (1 - 1e-12)


@given(problems(kinds=ALIVE), st.floats(0.01, 6.0))
def test_rate_budget_loses_nothing_and_one_latent_fewer_does(problem: Problem, rate: float) -> None:
    spectrum, s2 = problem.spectrum, problem.s2
    found = smallest_model(spectrum, noise_variance=s2, rate=rate)
    best = lv.Frontier.shannon(spectrum, noise_variance=s2).at_rate(rate)
    assert float(found.point.rate) == rate
    assert_close(found.point.squared_error, best.squared_error, scale=spectrum.total_variance)
    if found.latent_dim > 1:
        fewer = lv.Frontier(spectrum, latent_dim=found.latent_dim - 1, noise_variance=s2)
        worse = float(fewer.at_rate(rate).squared_error)
        # In an exact tie of the last two modes the difference is second order: allow equality.
        assert worse >= float(best.squared_error) * (1 - 1e-12)


def test_worked_example() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([4.0, 2.0, 1.0, 0.5])
    few = smallest_model(spectrum, noise_variance=1.0, squared_error=3.0)
    assert (few.latent_dim, few.beta) == (2, 0.75)  # 2τ + 1.5 = 3
    cheap = smallest_model(spectrum, noise_variance=1.0, squared_error=3.0, at_least_rate=True)
    assert cheap.latent_dim == 3
    assert cheap.beta == pytest.approx(2.5 / 3)  # 3τ + 0.5 = 3
    assert smallest_model(spectrum, noise_variance=1.0, rate=0.1).latent_dim == 1


def test_distortion_and_psnr_are_the_same_budget_in_other_units() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([4.0, 2.0, 1.0, 0.5])
    by_error = smallest_model(spectrum, noise_variance=0.5, squared_error=3.0)
    curve = lv.Frontier(spectrum, latent_dim=4, noise_variance=0.5)
    by_distortion = smallest_model(
        spectrum, noise_variance=0.5, distortion=float(curve.distortion_of(3.0))
    )
    psnr = float(curve.at_squared_error(3.0).psnr(2.0))
    by_psnr = smallest_model(spectrum, noise_variance=0.5, psnr=psnr, data_range=2.0)
    for other in (by_distortion, by_psnr):
        assert other.latent_dim == by_error.latent_dim
        assert other.beta == pytest.approx(by_error.beta, rel=1e-12)


def test_leading_spectrum_answers_within_what_it_holds() -> None:
    samples = np.random.default_rng(0).standard_normal((300, 8)) * np.arange(8, 0, -1)
    whole, part = lv.Spectrum.from_samples(samples), lv.Spectrum.from_samples(samples, leading=4)
    wanted = 0.6 * whole.total_variance
    assert (
        smallest_model(part, noise_variance=1.0, squared_error=wanted).latent_dim
        == smallest_model(whole, noise_variance=1.0, squared_error=wanted).latent_dim
    )
    with pytest.raises(RangeError, match="use more latents"):
        smallest_model(part, noise_variance=1.0, squared_error=0.05 * whole.total_variance)


@pytest.mark.parametrize(
    "budget",
    [{}, {"rate": 1.0, "psnr": 20.0}, {"psnr": float("nan")}, {"psnr": 20.0, "data_range": -1.0}],
)
def test_bad_budgets(budget: dict[str, float]) -> None:
    spectrum = lv.Spectrum.from_eigenvalues([2.0, 1.0])
    with pytest.raises(InputError, match=r"got .* expected"):
        smallest_model(spectrum, noise_variance=1.0, **budget)  # type: ignore[arg-type]


def test_impossible_budgets() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([2.0, 1.0])
    for budget in ({"squared_error": 0.0}, {"squared_error": 4.0}, {"rate": -1.0}):
        with pytest.raises(RangeError):
            smallest_model(spectrum, noise_variance=1.0, **budget)  # type: ignore[arg-type]
