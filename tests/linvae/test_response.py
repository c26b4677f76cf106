"""Optimal parameters: joint, and one side given the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linvae import LinearVAE, Spectrum, response
from linvae.errors import InputError, PartialSpectrumError
from linvae.response import critical_betas, decoder_given_encoder, encoder_given_decoder
from linvae.testing import strategies
from linvae.testing.strategies import Parameters, Population, Problem
from tests import oracles
from tests.tolerances import EPS, assert_close, tolerance

FIELDS = ("encoder", "posterior_variance", "decoder")


def _products(vae):
    """Gauge-free parts: DE and D C D^T."""
    D, E, c = vae.decoder, vae.encoder, vae.posterior_variance
    return D @ E, (D * c[..., None, :]) @ np.swapaxes(D, -1, -2)


# Joint optimum


@given(strategies.problems(max_n=7, extreme=True), st.data())
def test_gains_are_those_of_exact_arithmetic(problem, data):
    """Against fractions: one rounding of lambda / s2 under the square root is all they lose."""
    beta = data.draw(strategies.betas(problem.critical))
    vae = response(problem.spectrum, beta, **problem.options)
    gains = np.linalg.norm(vae.decoder, axis=0)
    reads = np.linalg.norm(vae.encoder, axis=1)
    for i, value in enumerate(problem.population.values[: problem.k]):
        if value == 0:
            assert (gains[i], reads[i], vae.posterior_variance[i]) == (0.0, 0.0, 1.0)
            continue
        g = oracles.exact_gain(value, problem.s2, beta)
        off = max(abs(oracles.exact_gain(value, problem.s2, beta, t * EPS) - g) for t in (-1, 1))
        off += 32 * EPS * g
        assert abs(gains[i] / np.sqrt(value) - g) <= off
        assert abs(reads[i] * np.sqrt(value) - g) <= off
        want = min(1.0, beta * problem.s2 / value)
        assert_close(vae.posterior_variance[i], want, "ulps")


@given(strategies.problems(max_n=7), st.data())
def test_products_are_functions_of_the_covariance(problem, data):
    """DE = U diag((lambda - tau)+ / lambda) U^T over the k leading modes, and so on."""
    beta = data.draw(strategies.betas(problem.critical))
    population, k = problem.population, problem.k
    tau = beta * problem.s2
    DE, DCD = _products(response(problem.spectrum, beta, **problem.options))
    values = population.values
    lead = np.arange(values.size) < k
    excess = np.where(lead, np.maximum(values - tau, 0.0), 0.0)
    safe = np.where(values > 0, values, 1.0)
    U = population.vectors
    assert_close(DE, (U * (excess / safe)) @ U.T, "rounding", scale=1.0)
    want = (U * (excess * np.minimum(1.0, tau / safe))) @ U.T
    assert_close(DCD, want, "rounding", scale=values[0])


@given(strategies.problems(max_n=7, kinds=strategies.KINDS, extreme=True), st.data())
def test_aggregated_posterior_is_the_prior(problem, data):
    betas = data.draw(strategies.beta_arrays(problem.critical, size=4))
    vae = response(problem.spectrum, betas, **problem.options)
    parts = vae.information(problem.spectrum)
    eye = np.broadcast_to(np.eye(problem.k), parts.aggregated_covariance.shape)
    # Eigenvectors are orthogonal to an ulp, and one of a small mode reads that of a large one.
    alive = problem.critical[problem.critical > betas.min()]
    spread = 1 + np.sqrt(alive[0] / alive[-1]) if alive.size else 1.0
    assert_close(parts.aggregated_covariance, eye, "rounding", scale=spread)
    assert_close(parts.aggregated_mean, np.zeros_like(parts.aggregated_mean), scale=EPS)
    rate = parts.rate * spread
    assert_close(parts.mutual_information, parts.rate, "rounding", scale=problem.k + rate)
    assert_close(parts.total_correlation, 0 * rate, "rounding", scale=problem.k + rate)
    assert_close(parts.dimension_wise_kl, 0 * parts.dimension_wise_kl, "rounding", scale=spread)


@given(strategies.problems(max_n=7, kinds=strategies.KINDS))
def test_a_mode_dies_at_its_critical_beta_to_the_last_bit(problem):
    critical = critical_betas(problem.spectrum, **problem.options)
    assert np.array_equal(critical, problem.critical)
    alive = np.flatnonzero(critical > 0)
    if not alive.size:
        vae = response(problem.spectrum, 1e-300, **problem.options)
        assert not vae.encoder.any()
        assert not vae.decoder.any()
        assert (vae.posterior_variance == 1.0).all()
        return
    at = response(problem.spectrum, critical[alive], **problem.options)
    before = response(problem.spectrum, np.nextafter(critical[alive], 0), **problem.options)
    for j, i in enumerate(alive):
        assert not at.decoder[j, :, i].any()
        assert not at.encoder[j, i].any()
        assert at.posterior_variance[j, i] == 1.0
        assert before.decoder[j, :, i].any()
        assert before.encoder[j, i].any()
        assert before.posterior_variance[j, i] <= 1.0


@given(strategies.populations(max_n=7), strategies.generators(), st.floats(-2.0, 0.2))
def test_rotation_equivariance_through_the_covariance(population, rng, where):
    """The optimum of QSQ^T is Q times that of S, in DE and DD^T; k = n, so no tie at the cut."""
    n, s2 = population.n, 0.3
    beta = float(population.values[0] * 10**where / s2)
    Q = strategies.orthogonal_matrix(n, rng)
    S = population.covariance
    turned = Q @ S @ Q.T
    a, b = (
        response(Spectrum.from_covariance(C), beta, latent_dim=n, noise_variance=s2)
        for C in (S, (turned + turned.T) / 2)
    )
    # The functions (lambda - tau)+ and (1 - tau / lambda)+ have Lipschitz constants 1 and 1 / tau.
    condition = population.values[0] / (beta * s2)
    assert_close(_products(b)[0], Q @ _products(a)[0] @ Q.T, condition=condition, scale=1.0)
    assert_close(
        b.decoder @ b.decoder.T, Q @ a.decoder @ a.decoder.T @ Q.T, scale=population.values[0]
    )


@given(strategies.problems(max_n=7), strategies.generators(), st.data())
def test_permuting_the_features_permutes_the_parameters(problem, rng, data):
    beta = data.draw(strategies.betas(problem.critical))
    order = rng.permutation(problem.population.n)
    population = problem.population
    moved = Population(population.values, population.vectors[order], population.mean[order])
    a = response(problem.spectrum, beta, **problem.options)
    b = response(moved.spectrum, beta, **problem.options)
    assert np.array_equal(b.encoder, a.encoder[:, order])
    assert np.array_equal(b.decoder, a.decoder[order])
    assert np.array_equal(b.encoder_offset, a.encoder_offset[order])
    assert np.array_equal(a.decoder_offset, population.mean)


@given(strategies.problems(max_n=7), st.sampled_from([4.0**-100, 0.25, 4.0**110]), st.data())
def test_joint_scaling_changes_no_bit(problem, factor, data):
    beta = data.draw(strategies.betas(problem.critical))
    population = problem.population
    scaled = Population(population.values * factor, population.vectors, population.mean)
    a = response(problem.spectrum, beta, **problem.options)
    b = response(scaled.spectrum, beta, latent_dim=problem.k, noise_variance=problem.s2 * factor)
    root = np.sqrt(factor)
    assert np.array_equal(b.posterior_variance, a.posterior_variance)
    assert np.array_equal(b.decoder, a.decoder * root)
    assert np.array_equal(b.encoder, a.encoder / root)


@given(strategies.problems(max_n=6), st.data())
def test_tied_modes_may_be_rotated_and_latents_renamed(problem, data):
    """Any basis inside ties gives the same objective; the response is one of them."""
    rng = data.draw(strategies.generators())
    beta = data.draw(strategies.betas(problem.critical))
    population = problem.population
    vectors = population.vectors.copy()
    for value in np.unique(population.values):
        tied = np.flatnonzero(population.values == value)
        vectors[:, tied] = vectors[:, tied] @ strategies.orthogonal_matrix(tied.size, rng)
    other = Population(population.values, vectors, population.mean)
    here = response(problem.spectrum, beta, **problem.options)
    there = response(other.spectrum, beta, **problem.options)
    a, b = (v.evaluate(problem.spectrum, beta) for v in (here, there))
    size = population.values.sum()
    assert_close(b.squared_error, a.squared_error, "rounding", scale=size)
    assert_close(b.rate, a.rate, "rounding", scale=problem.k + a.rate)
    if problem.k == population.n or population.values[problem.k - 1] > population.values[problem.k]:
        assert_close(_products(there)[0], _products(here)[0], "rounding", scale=1.0)


@given(strategies.problems(max_n=6), st.data())
def test_arrays_of_beta_and_noise_equal_single_calls(problem, data):
    betas = data.draw(strategies.beta_arrays(problem.critical, size=6)).reshape(2, 3)
    variances = problem.s2 * np.array([[1.0], [3.0]])
    batch = response(problem.spectrum, betas, latent_dim=problem.k, noise_variance=variances)
    assert batch.batch_shape == (2, 3)
    for at in np.ndindex(2, 3):
        one = response(
            problem.spectrum, betas[at], latent_dim=problem.k, noise_variance=variances[at[0], 0]
        )
        assert one.batch_shape == ()
        for name in FIELDS:
            assert np.array_equal(getattr(batch[at], name), getattr(one, name))
        assert batch.noise_variance[at] == one.noise_variance
    critical = critical_betas(problem.spectrum, latent_dim=problem.k, noise_variance=variances)
    assert critical.shape == (2, 1, problem.k)


def test_limits_of_small_and_large_beta():
    """beta -> 0 is PCA: DE projects on the leading modes and c -> 0."""
    spectrum = Spectrum.from_eigenvalues([3.0, 2.0, 1.0])
    small = response(spectrum, 1e-14, latent_dim=2, noise_variance=1.0)
    assert_close(_products(small)[0], np.diag([1.0, 1.0, 0.0]))
    assert_close(small.posterior_variance, np.array([1e-14 / 3, 1e-14 / 2]))
    large = response(spectrum, 3.0, latent_dim=2, noise_variance=1.0)
    assert not large.decoder.any()


@pytest.mark.parametrize("beta", [5e-324, 1e-300, 1.7e308])
def test_the_smallest_and_largest_beta_give_numbers(beta):
    spectrum = Spectrum.from_eigenvalues([4.0, 1.0, 0.0])
    try:
        vae = response(spectrum, beta, latent_dim=3, noise_variance=0.25)
    except InputError as error:
        assert "expected" in str(error)  # noqa: PT017
        return
    assert all(np.isfinite(getattr(vae, name)).all() for name in FIELDS)


def test_rank_below_latent_dim_and_leading_spectra():
    samples = np.random.default_rng(2).standard_normal((3, 6))  # rank 2, four zero eigenvalues
    spectrum = Spectrum.from_samples(samples)
    assert spectrum.rank == 2
    vae = response(spectrum, 0.01, latent_dim=5, noise_variance=1.0)
    assert not vae.decoder[:, 2:].any()
    assert (vae.posterior_variance[2:] == 1).all()
    terms = vae.evaluate(spectrum, 0.01)
    assert_close(terms.squared_error, 0.02)
    partial = Population(np.array([3.0, 2.0, 1.0]), np.eye(3), np.zeros(3)).leading(2)
    assert response(partial, 1.0, latent_dim=2, noise_variance=1.0).latent_dim == 2
    with pytest.raises(PartialSpectrumError, match="got 2 of 3 eigenpairs; expected enough for 3"):
        response(partial, 1.0, latent_dim=3, noise_variance=1.0)


def test_bad_input_of_response():
    spectrum = Spectrum.from_eigenvalues([2.0, 1.0])
    good = {"latent_dim": 1, "noise_variance": 1.0}
    for bad in (0.0, -2.0, np.nan, np.inf, [1.0, 0.0]):
        with pytest.raises(InputError, match=r"beta: got .*; expected finite numbers > 0; β"):
            response(spectrum, bad, **good)
        with pytest.raises(InputError, match=r"noise_variance: got .*; expected finite num"):
            response(spectrum, 1.0, latent_dim=1, noise_variance=bad)
    for bad in ("1", 1j, None, object(), [b"x"]):
        with pytest.raises(TypeError, match=r"beta: got dtype .*; expected real numbers"):
            response(spectrum, bad, **good)
    for bad in (0, 3, -1):
        with pytest.raises(InputError, match=rf"latent_dim: got {bad}; expected an integer >= 1"):
            response(spectrum, 1.0, latent_dim=bad, noise_variance=1.0)
    with pytest.raises(InputError, match="beta: got an empty array"):
        response(spectrum, [], **good)
    with pytest.raises(InputError, match=r"noise_variance: got shape \(3,\); expected a"):
        response(spectrum, [1.0, 2.0], latent_dim=1, noise_variance=[1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="within the float64 range; rescale"):
        response(Spectrum.from_eigenvalues([1e200]), 1.0, latent_dim=1, noise_variance=1e-200)


# One side given the other


@given(strategies.populations(max_n=6, kinds=("random", "tied", "zeros", "near")), st.data())
def test_encoder_given_decoder_is_stationary_and_minimal(population, data):
    k = data.draw(st.integers(1, population.n))
    scale = float(population.values[0])
    drawn = data.draw(strategies.parameters(population.n, k, scale=scale))
    beta = data.draw(st.sampled_from([0.01, 1.0, 30.0]))
    vae = encoder_given_decoder(drawn.D, beta, noise_variance=drawn.s2, offset=population.mean)
    p = Parameters.of(vae)
    assert np.array_equal(p.D, drawn.D)
    assert np.array_equal(p.md, population.mean)
    S, mu = population.covariance, population.mean
    tau = beta * drawn.s2
    # In the normal equations the errors are at rounding level of their summands.
    gram = drawn.D.T @ drawn.D + tau * np.eye(k)
    size = np.linalg.norm(gram) * np.linalg.norm(p.E) + np.linalg.norm(drawn.D)
    assert_close(gram @ p.E, drawn.D.T, "rounding", scale=size)
    assert_close(p.c, tau / np.diagonal(gram), "ulps", size=population.n)
    slopes = oracles.gradient(S, mu, p, beta)
    assert np.abs(slopes["E"]).max() <= tolerance("gradient", size=10) * size * scale / drawn.s2
    assert np.abs(slopes["log_c"]).max() <= tolerance("gradient") * (
        beta + (drawn.D**2).sum(axis=0).max() / drawn.s2
    )
    shift = np.abs(mu).max() + np.sqrt(scale)
    assert np.abs(slopes["h"]).max() <= tolerance("gradient") * beta * np.linalg.norm(p.E) * shift
    # Any other encoder for this decoder does worse.
    other = Parameters(
        p.E + 0.1 * drawn.E, p.c * 1.3, p.D, p.s2, p.me + 0.1 * drawn.me, p.md, 0.1 * drawn.h
    )
    best = oracles.objective(S, mu, p, beta)
    slack = 64 * population.n * EPS * (abs(best) + oracles.squared_error(S, mu, other) / p.s2)
    assert oracles.objective(S, mu, other, beta) >= best - slack


@given(strategies.populations(max_n=6, kinds=("random", "tied", "zeros", "near")), st.data())
def test_decoder_given_encoder_is_stationary_whatever_beta(population, data):
    k = data.draw(st.integers(1, population.n))
    scale = float(population.values[0])
    drawn = data.draw(strategies.parameters(population.n, k, scale=scale))
    vae = decoder_given_encoder(
        population.spectrum,
        drawn.E,
        drawn.c,
        noise_variance=drawn.s2,
        encoder_offset=drawn.me,
    )
    p = Parameters.of(vae)
    S, mu = population.covariance, population.mean
    assert np.array_equal(p.E, drawn.E)
    assert np.array_equal(p.c, drawn.c)
    assert np.array_equal(p.me, drawn.me)
    assert p.s2 == drawn.s2
    inner = drawn.E @ S @ drawn.E.T + np.diag(drawn.c)
    size = np.linalg.norm(p.D) * np.linalg.norm(inner) + np.linalg.norm(S @ drawn.E.T)
    condition = np.linalg.cond(inner)
    assert_close(
        p.D, S @ drawn.E.T @ np.linalg.inv(inner), "rounding", condition=condition, size=10
    )
    for beta in (0.1, 10.0):
        slopes = oracles.gradient(S, mu, p, beta)
        assert np.abs(slopes["D"]).max() <= tolerance("gradient", size=10) * size / drawn.s2
        shift = np.abs(mu).max() + np.abs(p.md).max()
        shift += np.linalg.norm(p.D) * np.linalg.norm(p.E) * (np.abs(p.me).max() + np.abs(mu).max())
        assert np.abs(slopes["md"]).max() <= tolerance("gradient") * shift / drawn.s2
    default = decoder_given_encoder(population.spectrum, drawn.E, drawn.c, noise_variance=drawn.s2)
    assert np.array_equal(default.encoder_offset, mu)
    assert_close(default.decoder_offset, mu)


@given(strategies.problems(max_n=6), st.data())
def test_the_joint_optimum_is_a_fixed_point_of_both_partial_responses(problem, data):
    beta = data.draw(strategies.betas(problem.critical, edges=False))
    vae = response(problem.spectrum, beta, **problem.options)
    encoder = encoder_given_decoder(
        vae.decoder, beta, noise_variance=problem.s2, offset=problem.population.mean
    )
    decoder = decoder_given_encoder(
        problem.spectrum, vae.encoder, vae.posterior_variance, noise_variance=problem.s2
    )
    values = problem.population.values
    unit = np.sqrt(max(values[0], beta * problem.s2))
    unit_e = np.abs(vae.encoder).max() + 1 / unit
    assert_close(encoder.encoder, vae.encoder, scale=unit_e)
    assert_close(encoder.posterior_variance, vae.posterior_variance)
    assert_close(decoder.decoder, vae.decoder, scale=unit * (1 + unit * unit_e * 1e-6))


def test_zero_columns_and_a_batch_of_betas():
    D = np.array([[2.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    vae = encoder_given_decoder(D, [0.5, 2.0], noise_variance=2.0)
    assert vae.batch_shape == (2,)
    assert_close(vae.encoder[:, 0], np.array([[2.0, 0, 1.0], [2.0, 0, 1.0]]) / [[6.0], [9.0]])
    assert not vae.encoder[:, 1].any()
    assert vae.posterior_variance[:, 1].tolist() == [1.0, 1.0]
    assert_close(vae.posterior_variance[:, 0], np.array([1 / 6, 4 / 9]))
    dead = encoder_given_decoder(np.zeros((2, 2)), 1.0, noise_variance=1.0)
    assert not dead.encoder.any()


def test_bad_input_of_the_partial_responses():
    spectrum = Spectrum.from_eigenvalues([2.0, 1.0])
    with pytest.raises(InputError, match=r"decoder: got shape \(2,\); expected a non-empty array"):
        encoder_given_decoder([1.0, 2.0], 1.0, noise_variance=1.0)
    with pytest.raises(InputError, match="2 latents for 1 features"):
        encoder_given_decoder([[1.0, 2.0]], 1.0, noise_variance=1.0)
    with pytest.raises(InputError, match=r"decoder: got nan at index .*0, 1"):
        encoder_given_decoder([[1.0, np.nan], [0.0, 1.0]], 1.0, noise_variance=1.0)
    with pytest.raises(InputError, match=r"beta: got 0.0"):
        encoder_given_decoder(np.eye(2), 0.0, noise_variance=1.0)
    with pytest.raises(InputError, match=r"noise_variance: got -1.0"):
        encoder_given_decoder(np.eye(2), 1.0, noise_variance=-1.0)
    with pytest.raises(InputError, match="encoder: got 3 columns; expected 2"):
        decoder_given_encoder(spectrum, np.ones((1, 3)), [1.0], noise_variance=1.0)
    with pytest.raises(InputError, match="posterior_variance: got 2 entries; expected 1"):
        decoder_given_encoder(spectrum, np.ones((1, 2)), [1.0, 1.0], noise_variance=1.0)
    with pytest.raises(InputError, match=r"posterior_variance: got -1.0; expected .*> 0"):
        decoder_given_encoder(spectrum, np.ones((1, 2)), [-1.0], noise_variance=1.0)
    with pytest.raises(InputError, match="encoder_offset: got 1 entries; expected 2"):
        decoder_given_encoder(
            spectrum, np.ones((1, 2)), [1.0], noise_variance=1.0, encoder_offset=[1.0]
        )
    partial = Population(np.array([3.0, 2.0, 1.0]), np.eye(3), np.zeros(3)).leading(1)
    with pytest.raises(PartialSpectrumError, match="data directions outside"):
        decoder_given_encoder(partial, [[0.0, 1.0, 0.0]], [1.0], noise_variance=1.0)


def test_results_cannot_be_changed():
    problem = Problem(Population(np.array([2.0, 1.0]), np.eye(2), np.ones(2)), 1, 1.0)
    vae = response(problem.spectrum, 0.5, **problem.options)
    for name in (*FIELDS, "noise_variance", "encoder_offset", "decoder_offset", "latent_offset"):
        with pytest.raises(ValueError, match=r"read-only"):
            getattr(vae, name)[...] = 0.0
    with pytest.raises(AttributeError):
        vae.encoder = np.ones((1, 2))
    assert isinstance(vae, LinearVAE)
