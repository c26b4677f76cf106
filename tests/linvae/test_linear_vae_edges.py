"""Models on leading spectra, tiny rates and variances, bad calls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import linvae as lv
from linvae import LinearVAE, Spectrum, response
from linvae.errors import InputError, PartialSpectrumError
from linvae.testing import strategies
from linvae.testing.strategies import Population
from tests.tolerances import assert_close

TAME = ("random", "tied", "flat", "zeros", "near")


@given(strategies.problems(min_n=2, max_n=6, kinds=TAME), st.data())
def test_a_leading_spectrum_gives_the_same_numbers_where_it_can(problem, data):
    """The optimum of k modes reads only the leading k directions."""
    beta = data.draw(strategies.betas(problem.critical))
    vae = response(problem.spectrum, beta, **problem.options)
    leading = problem.population.leading(problem.k)
    whole, part = (vae.evaluate(s, beta) for s in (problem.spectrum, leading))
    assert_close(part.rate, whole.rate, "rounding", scale=1 + whole.rate)
    size = problem.population.values.sum()
    assert_close(part.squared_error, whole.squared_error, "rounding", scale=size)
    size = abs(whole.distortion) + size / problem.s2
    assert_close(
        vae.log_likelihood(leading), vae.log_likelihood(problem.spectrum), "rounding", scale=size
    )


def test_a_leading_spectrum_refuses_what_it_cannot_know():
    population = Population(np.array([3.0, 2.0, 1.0]), np.eye(3), np.zeros(3))
    leading = population.leading(2)
    blind = LinearVAE([[0.0, 0.0, 1.0]], [1.0], [[0.0], [0.0], [1.0]], 1.0)
    for ask in (
        lambda: blind.evaluate(leading, 1.0),
        lambda: blind.information(leading),
        lambda: blind.log_likelihood(leading),
    ):
        with pytest.raises(PartialSpectrumError, match="expected enough for data directions"):
            ask()
    seeing = LinearVAE([[1.0, 0.0, 0.0]], [1.0], [[1.0], [0.0], [0.0]], 1.0)
    assert seeing.evaluate(leading, 1.0).squared_error == pytest.approx(4.0)
    with pytest.raises(PartialSpectrumError, match="the entropy"):
        seeing.elbo_split(leading)


def test_a_collapsed_model_by_hand():
    """E = 0, C = I, D = 0 on data N(0, diag(2, 1)), noise variance 1/2."""
    vae = LinearVAE(np.zeros((1, 2)), [1.0], np.zeros((2, 1)), 0.5)
    spectrum = Spectrum.from_eigenvalues([2.0, 1.0])
    terms = vae.evaluate(spectrum, 3.0)
    assert terms.rate == 0.0
    assert_close(terms.squared_error, 3.0, "rounding")
    assert_close(terms.distortion, np.log(np.pi) + 3.0)
    assert_close(vae.log_likelihood(spectrum), -terms.distortion)
    parts = vae.information(spectrum)
    assert parts.mutual_information == parts.total_correlation == parts.marginal_kl == 0.0


def test_tiny_rates_do_not_drown_in_rounding():
    """c = 1 - x: the rate of one latent is (c - 1 - log c) / 2 = x^2 / 4 + x^3 / 6 + ..."""
    for power in (5, 10, 20, 30):
        x = 2.0**-power
        vae = LinearVAE(np.zeros((1, 1)), [1 - x], np.zeros((1, 1)), 1.0)
        rate = vae.evaluate(Spectrum.from_eigenvalues([1.0]), 1.0).rate
        assert rate >= 0
        series = sum(x**j / (2 * j) for j in range(2, 30))
        # To an ulp of x; the naive formula is off by an ulp of 1.
        assert_close(rate, series, "ulps", scale=x)
    tiny = LinearVAE(np.zeros((1, 1)), [1e-300], np.zeros((1, 1)), 1.0)
    assert_close(
        tiny.evaluate(Spectrum.from_eigenvalues([1.0]), 1.0).rate, 0.5 * (300 * np.log(10) - 1)
    )


def test_mutual_information_survives_tiny_posterior_variances():
    """The determinant of C is 1e-600 here: it underflows, its logarithm does not."""
    vae = LinearVAE(np.diag([1.0, 2.0, 3.0]), np.full(3, 1e-200), np.zeros((3, 3)), 1.0)
    parts = vae.information(Spectrum.from_eigenvalues([1.0, 1.0, 1.0]))
    assert_close(parts.mutual_information, 0.5 * np.log([1e200, 4e200, 9e200]).sum())
    assert_close(parts.total_correlation, 0.0, scale=700)
    blind = LinearVAE(np.zeros((1, 1)), [1e-200], np.zeros((1, 1)), 1.0)
    assert blind.information(Spectrum.from_eigenvalues([1.0])).mutual_information == 0.0


def test_bad_beta_and_wrong_width():
    vae = LinearVAE(np.ones((2, 1, 2)), np.ones(1), np.ones((2, 1)), 1.0)
    spectrum = Spectrum.from_eigenvalues([1.0, 1.0])
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match=r"beta: got .*expected finite numbers > 0"):
            vae.evaluate(spectrum, bad)
    with pytest.raises(InputError, match=r"beta: got shape \(3,\); expected a shape that broad"):
        vae.evaluate(spectrum, [1.0, 2.0, 3.0])
    wide = Spectrum.from_eigenvalues([1.0, 1.0, 1.0])
    for ask in (vae.evaluate, lambda s, _: vae.information(s), lambda s, _: vae.log_likelihood(s)):
        with pytest.raises(InputError, match="spectrum: got 3 features; expected 2"):
            ask(wide, 1.0)


@pytest.mark.parametrize("size", [1e160, 1e300])
def test_parameters_beyond_float64_are_refused_by_name(size):
    spectrum = lv.Spectrum.from_eigenvalues([2.0, 1.0])
    loud = lv.LinearVAE([[size, 1.0]], [1.0], [[size], [1.0]], 1.0)
    for call in (
        lambda: loud.evaluate(spectrum, 1.0),
        lambda: loud.information(spectrum),
        lambda: loud.log_likelihood(spectrum),
    ):
        with pytest.raises(InputError, match=r"parameters \(.*\): got values that lead beyond"):
            call()


def test_large_loadings_are_still_evaluated():
    spectrum = lv.Spectrum.from_eigenvalues([2.0, 1.0])
    # Along a loading d ≫ 1 the density falls like 1/d: ten times the loading costs log 10.
    values = [
        lv.LinearVAE([[1.0, 1.0]], [1.0], np.full((2, 1), size), 1.0).log_likelihood(spectrum)
        for size in (1e152, 1e153)
    ]
    assert values[0] - values[1] == pytest.approx(np.log(10), rel=1e-9)
