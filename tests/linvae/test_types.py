"""The shared frozen types: shapes, offsets, batches, conversions of units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import linvae as lv
from linvae import CurvePoints, Frontier, LinearVAE, Spectrum, Terms
from linvae.errors import InputError
from linvae.response import encoder_given_decoder
from linvae.testing import strategies
from tests.tolerances import assert_close, tolerance


def _vae(batch=(), k=2, n=3, seed=0, **changes):
    rng = np.random.default_rng(seed)
    parts = {
        "encoder": rng.standard_normal((*batch, k, n)),
        "posterior_variance": rng.gamma(2.0, size=(*batch, k)),
        "decoder": rng.standard_normal((*batch, n, k)),
        "noise_variance": rng.gamma(2.0, size=batch),
        "encoder_offset": rng.standard_normal((*batch, n)),
        "decoder_offset": rng.standard_normal((*batch, n)),
        "latent_offset": rng.standard_normal((*batch, k)),
    }
    return LinearVAE(**{**parts, **changes})


def test_shapes_defaults_and_numbers_as_offsets():
    vae = LinearVAE([[1, 0, 0]], [1], [[1], [0], [0]], 2)
    assert (vae.latent_dim, vae.n_features, vae.batch_shape) == (1, 3, ())
    assert vae.encoder.dtype == vae.noise_variance.dtype == np.float64
    assert not vae.encoder_offset.any()
    assert vae.encoder_offset.shape == vae.decoder_offset.shape == (3,)
    assert vae.latent_offset.shape == (1,)
    shifted = LinearVAE([[1, 0, 0]], [1], [[1], [0], [0]], 2, decoder_offset=0.5)
    assert shifted.decoder_offset.tolist() == [0.5, 0.5, 0.5]


def test_batches_broadcast_and_index():
    vae = _vae((4, 1), noise_variance=np.array([0.5, 1.0, 2.0]), latent_offset=np.zeros(2))
    assert vae.batch_shape == (4, 3)
    one = vae[2, 1]
    assert one.batch_shape == ()
    assert one.noise_variance == 1.0
    assert np.array_equal(one.encoder, vae.encoder[2, 1])
    assert np.array_equal(one.latent_offset, np.zeros(2))
    assert vae[1].batch_shape == (3,)
    assert vae[:, 0].batch_shape == (4,)
    assert vae[..., 1:].batch_shape == (4, 2)
    assert vae[-1, -1].noise_variance == 2.0
    picked = vae[np.array([True, False, True, False])]
    assert np.array_equal(picked.decoder, vae.decoder[[0, 2]])
    with pytest.raises(IndexError):
        _ = vae[4]
    with pytest.raises(IndexError):
        _ = vae[0, 0, 0]
    with pytest.raises(TypeError, match="an index into a single model"):
        _ = one[0]


@given(st.sampled_from([(), (3,), (2, 2)]), st.integers(1, 4))
def test_encode_and_decode_follow_the_definitions(batch, count):
    vae = _vae(batch, seed=count)
    rng = np.random.default_rng(count)
    x, z = rng.standard_normal((count, 3)), rng.standard_normal((count, 2))
    means, points = vae.encode(x), vae.decode(z)
    assert means.shape == (*batch, count, 2)
    assert points.shape == (*batch, count, 3)
    for at in np.ndindex(*batch):
        E, D = vae.encoder[at], vae.decoder[at]
        for row in range(count):
            want = E @ (x[row] - vae.encoder_offset[at]) + vae.latent_offset[at]
            assert_close(means[at][row], want, "rounding", scale=20.0)
            want = D @ z[row] + vae.decoder_offset[at]
            assert_close(points[at][row], want, "rounding", scale=20.0)
    own = rng.standard_normal((*batch, count, 3))
    assert_close(vae.encode(own)[..., 0, :], vae.encode(own[..., :1, :])[..., 0, :])


def test_sampling_has_the_moments_of_the_model():
    """100 000 samples, seed 3; five standard errors, sqrt((M_ii M_jj + M_ij^2) / N)."""
    vae, size = _vae(), 100_000
    drawn = vae.sample(size, np.random.default_rng(3))
    assert drawn.shape == (size, 3)
    D = vae.decoder
    for noise in (True, False):
        M = D @ D.T + noise * vae.noise_variance * np.eye(3)
        drawn = vae.sample(size, np.random.default_rng(3), noise=noise)
        error = np.sqrt((np.outer(np.diag(M), np.diag(M)) + M**2) / size)
        allowed = tolerance("monte_carlo") * error
        assert (np.abs(np.cov(drawn.T, bias=True) - M) <= allowed).all()
        off = np.abs(drawn.mean(axis=0) - vae.decoder_offset)
        assert (off <= tolerance("monte_carlo") * np.sqrt(np.diag(M) / size)).all()
    batch = _vae((2,)).sample(5, np.random.default_rng(0))
    assert batch.shape == (2, 5, 3)
    assert not np.array_equal(batch[0], batch[1])
    again = vae.sample(4, np.random.default_rng(8))
    assert np.array_equal(again, vae.sample(4, np.random.default_rng(8)))
    for bad in (0, 1.5):
        with pytest.raises(InputError, match=f"n_samples: got {bad}; expected an integer >= 1"):
            vae.sample(bad, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": np.ones(3)}, r"encoder: got shape \(3,\); expected \(..., k latents, n feat"),
        ({"encoder": np.ones((0, 3))}, r"encoder: got shape \(0, 3\)"),
        ({"encoder": np.ones((3, 2))}, "encoder: got 3 latents for 2 features; expected k <= n"),
        ({"encoder": [[np.nan] * 3] * 2}, r"encoder: got nan at index .*0, 0"),
        ({"decoder": np.ones((2, 3))}, r"decoder: got shape \(2, 3\); expected \(..., 3, 2\)"),
        ({"decoder": np.ones(2)}, r"decoder: got shape \(2,\); expected \(..., 3, 2\)"),
        ({"decoder": np.full((3, 2), np.inf)}, "decoder: got inf at index"),
        ({"posterior_variance": [1.0, 0.0]}, r"posterior_variance: got 0.0; expected finite num"),
        ({"posterior_variance": [1.0, -1.0]}, "not log-variances or standard deviations"),
        ({"posterior_variance": [1.0]}, r"posterior_variance: got shape \(1,\); expected \(..., 2"),
        ({"posterior_variance": 1.0}, r"posterior_variance: got shape \(\); expected \(..., 2\)"),
        ({"noise_variance": 0.0}, "noise_variance: got 0.0; expected finite numbers > 0"),
        ({"noise_variance": np.nan}, "noise_variance: got nan"),
        ({"encoder_offset": np.ones(2)}, r"encoder_offset: got shape \(2,\); expected \(..., 3\)"),
        ({"decoder_offset": [1.0, np.inf, 1.0]}, "decoder_offset: got inf at index"),
        ({"latent_offset": np.ones(3)}, r"latent_offset: got shape \(3,\); expected \(..., 2\)"),
        ({"encoder": np.ones((2, 3)) * 1j}, "encoder: got dtype complex128"),
        ({"noise_variance": "1"}, "noise_variance: got dtype <U1"),
        (
            {"encoder": np.ones((2, 2, 3)), "decoder": np.ones((3, 3, 2))},
            r"LinearVAE: got batch shapes .*; expected shapes that broadcast",
        ),
    ],
)
def test_bad_parameters(change, message):
    with pytest.raises(InputError, match=message):
        _vae(**change)


def test_bad_rows():
    vae = _vae()
    for bad, message in (
        (np.ones(3), r"samples: got shape \(3,\); expected \(..., N, 3\); pass one row per"),
        (np.ones((2, 2)), r"samples: got shape \(2, 2\)"),
        ([[np.nan, 1.0, 1.0]], r"samples: got nan at index .*0, 0"),
        ([["a", "b", "c"]], "samples: got dtype <U1"),
    ):
        with pytest.raises(InputError, match=message):
            vae.encode(bad)
    with pytest.raises(InputError, match=r"latents: got shape \(2, 3\); expected \(..., N, 2\)"):
        vae.decode(np.ones((2, 3)))


def test_frozen_and_independent_of_the_callers_arrays():
    E = np.ones((1, 2))
    vae = LinearVAE(E, [1.0], np.ones((2, 1)), 1.0)
    E[0, 0] = 7.0
    assert vae.encoder[0, 0] == 1.0
    for name in vars(vae):
        with pytest.raises(ValueError, match=r"read-only"):
            getattr(vae, name)[...] = 1.0
        with pytest.raises(AttributeError):
            setattr(vae, name, 1.0)
    points = Frontier(Spectrum.from_eigenvalues([1.0]), latent_dim=1, noise_variance=1.0).at_rate(1)
    with pytest.raises(AttributeError):
        points.rate = 3.0
    with pytest.raises(AttributeError):
        vae.evaluate(Spectrum.from_eigenvalues([1.0, 1.0]), 1.0).rate = 0.0


def test_units_of_terms():
    terms = Terms(2.0, 3.0, 5.0, 1.0, 11.0, 1.0, n_features=4)
    assert terms.elbo == -8.0
    assert_close(terms.bits_per_dimension, 8 / np.log(2) / 4)


@given(strategies.problems(max_n=5), st.data())
def test_units_of_curve_points(problem, data):
    beta = data.draw(strategies.beta_arrays(problem.critical, size=3))
    points = Frontier(problem.spectrum, **problem.options).at_beta(beta)
    n = problem.population.n
    assert isinstance(points, CurvePoints)
    nats = np.abs(points.distortion) + points.rate
    assert_close(
        points.bits_per_dimension,
        (points.rate + points.distortion) / n / np.log(2),
        "rounding",
        scale=nats,
    )
    # PSNR of the mean squared error per dimension; twice the range adds 20 log10 2.
    want = 10 * np.log10(9.0 / (points.squared_error / n))
    assert_close(points.psnr(3.0), want, scale=1 + np.abs(want))
    assert_close(points.psnr(6.0) - points.psnr(3.0), np.full(3, 20 * np.log10(2)), scale=100.0)
    for bad in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match=r"data_range: got .*; expected finite numbers > 0"):
            points.psnr(bad)


def test_arrays_of_results_are_read_only():
    spectrum = lv.Spectrum.from_eigenvalues([3.0, 1.0])
    curve = lv.Frontier(spectrum, latent_dim=2, noise_variance=1.0)
    vae = lv.response(spectrum, [0.5, 2.0], latent_dim=2, noise_variance=1.0)
    results = [
        curve.at_beta([0.5, 2.0]),
        curve.at_rate([0.5, 2.0]),
        curve.normalised_gap([1.0, 2.0], [9.0, 9.0], [0.5, 2.0]),
        vae.evaluate(spectrum, [0.5, 2.0]),
        vae.information(spectrum),
        vae.elbo_split(spectrum),
        vae,
    ]
    for result in results:
        arrays = [value for value in vars(result).values() if isinstance(value, np.ndarray)]
        assert arrays
        for array in arrays:
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


SMALL = lv.Spectrum.from_eigenvalues([3.0, 1.0])
SIZES = {"latent_dim": 2, "noise_variance": 1.0}


@pytest.mark.parametrize(
    "route",
    [
        lambda beta: lv.response(SMALL, beta, **SIZES),
        lv.Hypernetwork.exact(SMALL, **SIZES),
        lambda beta: encoder_given_decoder(3 * np.eye(2), beta, noise_variance=1.0),
    ],
    ids=["response", "hypernetwork", "encoder_given_decoder"],
)
def test_a_beta_too_small_for_float64_is_called_that(route):
    with pytest.raises(InputError, match=r"beta: got a value whose posterior variance .* vanishes"):
        route(5e-324)
