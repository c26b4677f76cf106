"""The curve of a fixed decoder against the evaluator, the frontier and an optimiser."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

import linvae as lv
from linvae.errors import InputError, PartialSpectrumError
from linvae.fixed_decoder import FixedDecoderFrontier
from linvae.response import encoder_given_decoder
from linvae.testing.strategies import Problem, betas, parameters, problems
from tests.tolerances import assert_close, tolerance


def size_of(problem: Problem, terms: lv.Terms) -> np.ndarray:
    return 1 + np.abs(terms.distortion) + terms.beta * terms.rate


@given(problems(), st.data())
def test_diagonal_curve_is_the_best_response(problem: Problem, data: st.DataObject) -> None:
    drawn = data.draw(
        parameters(problem.population.n, problem.k, scale=float(problem.population.values[0]))
    )
    beta = np.array([data.draw(betas(problem.critical)), 1.0])
    curve = FixedDecoderFrontier(
        problem.spectrum, drawn.D, problem.s2, drawn.md, covariance="diagonal"
    )
    got = curve.at_beta(beta)
    model = encoder_given_decoder(drawn.D, beta, noise_variance=problem.s2, offset=drawn.md)
    want = model.evaluate(problem.spectrum, beta)
    scale = size_of(problem, want)
    for name in ("rate", "squared_error", "objective"):
        unit = 1 + want.rate if name == "rate" else scale
        unit = problem.population.values.sum() + want.squared_error if "error" in name else unit
        assert_close(getattr(got, name), getattr(want, name), scale=unit)


@given(problems(), st.data())
def test_never_below_the_frontier(problem: Problem, data: st.DataObject) -> None:
    drawn = data.draw(
        parameters(problem.population.n, problem.k, scale=float(problem.population.values[0]))
    )
    beta = np.array([data.draw(betas(problem.critical)) for _ in range(3)])
    least = lv.Frontier(problem.spectrum, **problem.options).at_beta(beta).objective
    optimal = lv.response(problem.spectrum, float(beta[0]), **problem.options).decoder
    for decoder in (drawn.D, optimal):
        full, diagonal = (
            FixedDecoderFrontier(problem.spectrum, decoder, problem.s2, covariance=kind).at_beta(
                beta
            )
            for kind in ("full", "diagonal")
        )
        slack = tolerance("exact") * size_of(problem, diagonal)
        assert (full.objective <= diagonal.objective + slack).all()
        assert (least <= full.objective + slack).all()
    assert abs(full.objective[0] - least[0]) <= slack[0], "it touches where it is optimal"


def test_it_touches_nowhere_else() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([4.0, 2.0, 1.0])
    made_at, beta = 1.0, np.array([0.25, 0.9, 1.0, 1.1, 3.0])
    decoder = lv.response(spectrum, made_at, latent_dim=2, noise_variance=0.5).decoder
    curve = lv.Frontier(spectrum, latent_dim=2, noise_variance=0.5)
    for kind in ("full", "diagonal"):
        fixed = FixedDecoderFrontier(spectrum, decoder, 0.5, covariance=kind).at_beta(beta)
        excess = fixed.objective - curve.at_beta(beta).objective
        assert abs(excess[2]) < 1e-14
        assert (np.delete(excess, 2) > 1e-4).all()


@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_no_encoder_beats_the_curve(kind: str) -> None:
    """Minimise over all linear Gaussian encoders, of full or diagonal covariance."""
    rng = np.random.default_rng(4)
    spectrum = lv.Spectrum.from_samples(rng.standard_normal((40, 3)) @ rng.standard_normal((3, 3)))
    decoder, offset, variance, beta = rng.standard_normal((3, 2)), rng.standard_normal(3), 0.6, 1.7
    shift, covariance = spectrum.mean - offset, spectrum.covariance

    def objective(v: np.ndarray) -> float:
        """Written out with moments: nothing of the library in it."""
        encoder, latent = v[:6].reshape(2, 3), v[6:8]
        factor = np.array([[np.exp(v[8]), 0.0], [v[10] if kind == "full" else 0.0, np.exp(v[9])]])
        spread = factor @ factor.T
        mean = encoder @ shift + latent
        missed = np.eye(3) - decoder @ encoder
        left = shift - decoder @ mean
        error = np.trace(missed @ covariance @ missed.T) + left @ left
        error += np.trace(decoder.T @ decoder @ spread)
        second = np.trace(encoder @ covariance @ encoder.T) + mean @ mean
        rate = 0.5 * (np.trace(spread) + second - 2 - np.linalg.slogdet(spread)[1])
        return 1.5 * np.log(2 * np.pi * variance) + error / (2 * variance) + beta * rate

    curve = FixedDecoderFrontier(spectrum, decoder, variance, offset, kind)
    least = float(curve.at_beta(beta).objective)
    found = min(
        minimize(objective, rng.standard_normal(11) * 0.3, method="BFGS").fun for _ in range(3)
    )
    assert found >= least - 1e-9
    assert found <= least + 1e-7, "the optimiser reaches the curve"


def test_rank_deficient_and_leading() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([4.0, 2.0, 1.0])
    leading = lv.Spectrum(np.zeros(3), np.array([4.0, 2.0]), np.eye(3)[:, :2], 7.0, complete=False)
    repeated = np.array([[1.0, 1.0], [0.5, 0.5], [0.0, 0.0]])
    want = FixedDecoderFrontier(spectrum, repeated, 1.0).at_beta([0.5, 2.0])
    got = FixedDecoderFrontier(leading, repeated, 1.0).at_beta([0.5, 2.0])
    assert_close(got.objective, want.objective, "rounding")
    with pytest.raises(PartialSpectrumError):
        FixedDecoderFrontier(leading, np.eye(3)[:, 1:], 1.0)
    nothing = FixedDecoderFrontier(spectrum, np.zeros((3, 2)), 1.0).at_beta(0.1)
    assert (nothing.rate, nothing.squared_error) == (0.0, 7.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder": np.ones((2, 1))}, "2 rows"),
        ({"decoder": np.ones((3, 4))}, "latent_dim|k"),
        ({"decoder": [[np.nan]]}, "decoder"),
        ({"noise_variance": 0.0}, "noise_variance"),
        ({"covariance": "both"}, "full or diagonal"),
        ({"offset": [1.0]}, "offset"),
        ({"offset": [1e200, 0.0, 0.0]}, "offset: got values that lead beyond the float64 range"),
        ({"decoder": np.full((3, 1), 1e200)}, "decoder: got values that lead beyond"),
        ({"decoder": np.full((3, 1), 1e308)}, "decoder: got values that lead beyond"),
    ],
)
def test_bad_input_is_named(change: dict, message: str) -> None:
    options = {"decoder": np.ones((3, 1)), "noise_variance": 1.0, **change}
    with pytest.raises(InputError, match=message):
        FixedDecoderFrontier(lv.Spectrum.from_eigenvalues([3.0, 2.0, 1.0]), **options)
    with pytest.raises(InputError, match="beta"):
        FixedDecoderFrontier(lv.Spectrum.from_eigenvalues([1.0]), np.ones((1, 1)), 1.0).at_beta(0)


@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_far_ends_of_the_range(kind: str) -> None:
    spectrum = lv.Spectrum.from_eigenvalues([3.0, 2.0, 1.0])
    curve = FixedDecoderFrontier(spectrum, np.eye(3)[:, :2], 1e308, covariance=kind)
    point = curve.at_beta(0.5)
    assert point.rate == 0
    # Of N(0, σ²): n/2 log 2πσ², although 2πσ² overflows.
    assert point.objective == pytest.approx(1.5 * (np.log(2 * np.pi) + 308 * np.log(10)))
    for beta in (1e308, 1e-320):
        with pytest.raises(InputError, match="beyond the float64 range"):
            FixedDecoderFrontier(spectrum, np.eye(3)[:, :2], 10.0, covariance=kind).at_beta(beta)
