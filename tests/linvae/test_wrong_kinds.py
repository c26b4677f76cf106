"""Arguments of the wrong kind or shape, and results beyond float64: one clear error each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import linvae as lv
from linvae.budget import error_of_psnr, smallest_model
from linvae.errors import InputError, InputTypeError
from linvae.hypernetwork import Hypernetwork
from linvae.linear_vae import evaluate
from linvae.response import critical_betas, decoder_given_encoder, response
from linvae.uncertainty import asymptotic_bands

SIZES: dict[str, Any] = {"latent_dim": 2, "noise_variance": 0.5}
SPECTRUM = lv.Spectrum.from_eigenvalues([4.0, 2.0, 1.0])
MODEL = response(SPECTRUM, 1.0, **SIZES)
CURVE = lv.Frontier(SPECTRUM, **SIZES)

TAKING_A_SPECTRUM: dict[str, Callable[[Any], Any]] = {
    "Frontier": lambda s: lv.Frontier(s, **SIZES),
    "Frontier.shannon": lambda s: lv.Frontier.shannon(s, noise_variance=1.0),
    "response": lambda s: response(s, 1.0, **SIZES),
    "critical_betas": lambda s: critical_betas(s, **SIZES),
    "decoder_given_encoder": lambda s: decoder_given_encoder(
        s, np.eye(2, 3), np.ones(2), noise_variance=1.0
    ),
    "evaluate": lambda s: evaluate(MODEL, s, 1.0),
    "Hypernetwork.exact": lambda s: Hypernetwork.exact(s, **SIZES),
    "smallest_model": lambda s: smallest_model(s, noise_variance=1.0, rate=1.0),
    "asymptotic_bands": lambda s: asymptotic_bands(s, 1.0, **SIZES),
    "CalibratedFrontier": lambda s: lv.CalibratedFrontier(s, latent_dim=2),
    "verify": lambda s: lv.verify(s, **SIZES),
}


@pytest.mark.parametrize("call", TAKING_A_SPECTRUM.values(), ids=TAKING_A_SPECTRUM)
@pytest.mark.parametrize(
    ("value", "got"),
    [
        (np.ones((5, 3)), r"ndarray of shape \(5, 3\)"),
        ([4.0, 2.0], "list"),
        (None, "NoneType"),
        (lv.Spectrum, "type"),
    ],
)
def test_data_in_place_of_a_spectrum(call: Callable[[Any], Any], value: Any, got: str) -> None:
    with pytest.raises(
        InputTypeError, match=f"^spectrum: got {got}; expected a Spectrum; build it with .*samples"
    ):
        call(value)


@pytest.mark.parametrize("rng", [0, None, np.random.RandomState(0), np.random])
def test_generators_are_asked_for_by_name(rng: Any) -> None:
    for source in (SPECTRUM, MODEL):
        with pytest.raises(InputTypeError, match=r"^rng: got .*Generator; .*default_rng\(seed\)"):
            source.sample(2, rng)


# --- budgets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rate", "distortion", "squared_error", "psnr"])
@pytest.mark.parametrize(("value", "got"), [([1.0, 2.0], r"shape \(2,\)"), ("a", "dtype <U1")])
def test_a_budget_is_one_number(name: str, value: Any, got: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: got {got}; expected "):
        smallest_model(SPECTRUM, noise_variance=1.0, **{name: value})
    with pytest.raises(InputError, match=r"^data_range: got .*; expected "):
        smallest_model(SPECTRUM, noise_variance=1.0, psnr=1.0, data_range=value)


@pytest.mark.parametrize(
    ("psnr", "data_range"), [(20, 1e200), (1e9, 1.0), (-1e9, 1.0), (0.0, 1e-200)]
)
def test_quality_beyond_float64(psnr: float, data_range: float) -> None:
    with pytest.raises(InputError, match=r"^psnr: got .* dB for a data range of .*float64"):
        smallest_model(SPECTRUM, noise_variance=1.0, psnr=psnr, data_range=data_range)


def test_huge_terms_whose_result_is_ordinary() -> None:
    # 1e200² overflows, and 10^(-398) underflows; their product is 100.
    assert error_of_psnr(3980.0, 1e200, 1) == pytest.approx(100.0, rel=1e-12)
    points = CURVE.at_beta([0.1, 1.0])
    want = points.psnr(1.0) + 4000.0
    np.testing.assert_allclose(points.psnr(1e200), want, rtol=1e-14)
    np.testing.assert_allclose(error_of_psnr(points.psnr(1e200), 1e200, 3), points.squared_error,
                               rtol=1e-11)  # fmt: skip


def test_no_error_at_all_is_an_infinite_ratio() -> None:
    none = lv.Frontier(lv.Spectrum.from_eigenvalues([0.0, 0.0]), **SIZES).at_beta(1.0)
    assert none.psnr(1.0) == np.inf
    with pytest.raises(InputError, match=r"^data_range: got shape \(2,\); expected a single"):
        none.psnr([1.0, 2.0])  # type: ignore[arg-type]


# --- gaps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gap", "normalised_gap"])
def test_gaps_of_shapes_that_do_not_fit(name: str) -> None:
    gap = getattr(CURVE, name)
    for rate, distortion, beta, shapes in (
        ([1, 2], [1, 2, 3], 1.0, r"\(2,\), \(3,\), \(\)"),
        (1.0, [1, 2], [1, 2, 3], r"\(\), \(2,\), \(3,\)"),
        (np.ones((2, 1)), np.ones(2), np.ones((3, 2)), r"\(2, 1\), \(2,\), \(3, 2\)"),
    ):
        with pytest.raises(InputError, match=f"^rate, distortion, beta: got shapes {shapes}; "):
            gap(rate, distortion, beta)
    assert np.shape(CURVE.gap(np.ones((2, 1)), np.ones(3), 1.0)) == (2, 3)


@pytest.mark.parametrize("rate", [1e308, -1e308])
def test_gaps_beyond_float64(rate: float) -> None:
    for gap in (CURVE.gap, CURVE.normalised_gap):
        with pytest.raises(InputError, match=r"^gap: got .*float64 range; .*; check the measured"):
            gap(rate, rate, 1e10)


def test_a_water_level_beyond_float64_is_above_everything() -> None:
    curve = lv.Frontier(lv.Spectrum.from_eigenvalues([4e5, 1e5]), latent_dim=1, noise_variance=1e5)
    np.testing.assert_array_equal(curve.at_beta([1e308, 2.0]).water_level, [np.inf, 2e5])


# --- spectra -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        lambda: lv.Spectrum.from_eigenvalues([1e308] * 3),
        lambda: lv.Spectrum.from_covariance(np.eye(3) * 1.5e308),
        lambda: lv.Spectrum.from_covariance(np.eye(3) * 8e307),
        lambda: lv.Spectrum.from_covariance(np.ones((2, 2)) * 1.5e308),
        lambda: lv.Spectrum.from_covariance([[1.0, 1.5e308], [-1.5e308, 1.0]]),
    ],
)
def test_variances_beyond_float64(build: Callable[[], Any]) -> None:
    with pytest.raises(InputError, match="total variance exceeds float64"):
        build()


def test_the_largest_variances_that_fit() -> None:
    for spectrum in (
        lv.Spectrum.from_eigenvalues([5e307] * 3),
        lv.Spectrum.from_covariance(np.eye(3) * 5e307),
    ):
        np.testing.assert_array_equal(spectrum.eigenvalues, [5e307] * 3)
    dense = lv.Spectrum.from_covariance(np.array([[2.0, 1.0], [1.0, 2.0]]) * 2e307)
    np.testing.assert_allclose(dense.eigenvalues, [6e307, 2e307], rtol=1e-13)


@pytest.mark.parametrize("signs", [1.0, np.array([[1, -1], [1, 1]]), np.array([[1, 1], [-1, 1]])])
def test_eigenvectors_beyond_float64(signs: Any) -> None:
    with pytest.raises(InputError, match=r"^eigenvectors: got .*not orthonormal"):
        lv.Spectrum.from_eigenvalues([1.0, 1.0], eigenvectors=1e200 * signs * np.ones((2, 2)))
