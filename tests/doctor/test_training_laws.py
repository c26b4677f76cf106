"""The laws, the gradient and the block drops, each against an independent computation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linvae import LinearVAE, Spectrum, response
from linvae.doctor.training._laws import block_drops, gradient, read_laws, stand
from linvae.doctor.training._sources import exact_samples, plan_sources
from linvae.response import decoder_given_encoder, encoder_given_decoder
from linvae.testing.strategies import generators, orthogonal_matrix


def _problem(rng, n=5, k=3):
    values = np.sort(np.exp(rng.normal(0, 1, n)))[::-1]
    spectrum = Spectrum.from_eigenvalues(
        values, eigenvectors=orthogonal_matrix(n, rng), mean=rng.standard_normal(n)
    )
    vae = LinearVAE(
        rng.standard_normal((k, n)),
        np.exp(rng.normal(0, 0.5, k)),
        rng.standard_normal((n, k)),
        np.asarray(np.exp(rng.normal())),
        decoder_offset=rng.standard_normal(n),
        latent_offset=rng.standard_normal(k),
    )
    return spectrum, vae, float(np.exp(rng.normal()))


_FIELDS = {
    "encoder": "encoder",
    "latent_offset": "latent_offset",
    "decoder": "decoder",
    "decoder_offset": "decoder_offset",
    "log_variance": "posterior_variance",
}


def _with(vae, name, value):
    fields = dict(vars(vae))
    fields[_FIELDS[name]] = np.exp(value) if name == "log_variance" else value
    return LinearVAE(**fields)


@given(rng=generators())
def test_gradient_is_that_of_the_objective(rng):
    spectrum, vae, beta = _problem(rng)
    slopes = gradient(vae, spectrum, beta)
    for name, field in _FIELDS.items():
        value = np.array(getattr(vae, field))
        value = np.log(value) if name == "log_variance" else value
        direction = rng.standard_normal(value.shape)
        step = 1e-5
        ends = [
            _with(vae, name, value + sign * step * direction).evaluate(spectrum, beta).objective
            for sign in (1, -1)
        ]
        measured = (ends[0] - ends[1]) / (2 * step)
        size = np.abs(slopes[name] * direction).sum() + abs(ends[0])
        assert abs(measured - (slopes[name] * direction).sum()) < 1e-6 * size, name


@given(rng=generators())
def test_block_drops_are_what_best_responses_save(rng):
    spectrum, vae, beta = _problem(rng)
    s2, c0 = float(vae.noise_variance), vae.posterior_variance
    # Offsets first: the blocks of the weights take means as right.
    mu = spectrum.mean
    a = vae.encoder @ mu + vae.latent_offset
    s = mu - vae.decoder_offset - vae.decoder @ a
    drops = block_drops(vae, spectrum, beta)
    right = _with(vae, "latent_offset", -vae.encoder @ mu)
    right = _with(right, "decoder_offset", mu)
    here = vae.evaluate(spectrum, beta).objective
    there = right.evaluate(spectrum, beta).objective
    assert drops.offsets == pytest.approx(here - there, rel=1e-9)
    assert drops.offsets == pytest.approx(s @ s / (2 * s2) + beta * (a @ a) / 2, rel=1e-9)
    best = encoder_given_decoder(vae.decoder, beta, noise_variance=s2)
    E, c = best.encoder, best.posterior_variance
    changed = _with(right, "encoder", E)
    changed = _with(changed, "latent_offset", -E @ mu)
    assert drops.encoder == pytest.approx(
        there - changed.evaluate(spectrum, beta).objective, rel=1e-8, abs=1e-9 * abs(there)
    )
    changed = _with(right, "log_variance", np.log(c))
    assert drops.variance == pytest.approx(
        there - changed.evaluate(spectrum, beta).objective, rel=1e-8, abs=1e-9 * abs(there)
    )
    D = decoder_given_encoder(spectrum, vae.encoder, c0, noise_variance=s2).decoder
    changed = _with(right, "decoder", D)
    assert drops.decoder == pytest.approx(
        there - changed.evaluate(spectrum, beta).objective, rel=1e-8, abs=1e-9 * abs(there)
    )


@given(rng=generators(), beta=st.floats(0.05, 3.0))
def test_at_the_optimum_every_law_says_the_same(rng, beta):
    spectrum, _, _ = _problem(rng)
    tau = beta * 0.5
    vae = response(spectrum, beta, latent_dim=3, noise_variance=0.5)
    laws = read_laws(vae, spectrum)
    alive = laws.alive
    np.testing.assert_allclose(laws.encoder_level[alive], tau, rtol=1e-8)
    np.testing.assert_allclose(laws.variance_level[alive], tau, rtol=1e-8)
    np.testing.assert_allclose(laws.seen_noise[alive], laws.variance[alive], rtol=1e-8)
    assert laws.encoder_misfit < 1e-12
    assert laws.decoder_misfit < 1e-12
    place = stand(vae, spectrum, beta)
    assert abs(place.excess) < 1e-10
    assert abs(place.subspace_excess) < 1e-10
    assert place.gradient_norm < 1e-12
    assert place.drops.total < 1e-12
    assert not place.wrongly_dead
    assert not place.wrongly_alive
    assert place.turned_between_modes < 1e-3


@settings(max_examples=4)
@given(rng=generators())
def test_laws_hold_at_any_rotation(rng):
    """Encoder and decoder at their best for each other and for equal variances, turned at will."""
    spectrum, _, _ = _problem(rng)
    k, tau, v = 3, 0.2, 0.3
    E = rng.standard_normal((k, 5))
    S = spectrum.covariance
    for _ in range(4000):
        D = np.linalg.solve(E @ S @ E.T + v * np.eye(k), E @ S).T
        E = np.linalg.solve(D.T @ D + tau * np.eye(k), D.T)
    laws = read_laws(LinearVAE(E, np.full(k, v), D, np.asarray(1.0)), spectrum)
    strong = laws.share > 0.05
    np.testing.assert_allclose(laws.encoder_level[strong], tau, rtol=1e-4)
    np.testing.assert_allclose(laws.seen_noise[strong], v, rtol=1e-3)


@given(rng=generators())
def test_excess_splits_into_subspace_and_rest(rng):
    spectrum, vae, beta = _problem(rng)
    place = stand(vae, spectrum, beta)
    assert place.excess >= place.subspace_excess - 1e-9 >= -2e-9
    # Any rotation of the latents leaves the span, and so that part, alone.
    turn = orthogonal_matrix(3, rng)
    turned = _with(vae, "decoder", vae.decoder @ turn)
    assert stand(turned, spectrum, beta).subspace_excess == pytest.approx(
        place.subspace_excess, abs=1e-9
    )
    # The optimum among models with that decoder span has exactly this excess.
    basis = np.linalg.qr(np.array(vae.decoder))[0]
    inner = Spectrum.from_covariance(basis.T @ spectrum.covariance @ basis)
    s2 = float(vae.noise_variance)
    best = response(inner, beta, latent_dim=3, noise_variance=s2)
    lifted = LinearVAE(
        best.encoder @ basis.T,
        best.posterior_variance,
        basis @ best.decoder,
        np.asarray(s2),
        encoder_offset=spectrum.mean,
        decoder_offset=spectrum.mean,
    )
    assert stand(lifted, spectrum, beta).excess == pytest.approx(place.subspace_excess, abs=1e-9)


def test_a_mode_that_is_not_encoded_is_wrongly_dead():
    spectrum = Spectrum.from_eigenvalues([8.0, 4.0, 2.0, 0.1])
    vae = response(spectrum, 1.0, latent_dim=3, noise_variance=0.5)
    E, D = np.array(vae.encoder), np.array(vae.decoder)
    E[1], D[:, 1] = 0, 0
    c = np.array(vae.posterior_variance)
    c[1] = 1.0
    place = stand(LinearVAE(E, c, D, np.asarray(0.5)), spectrum, 1.0)
    assert place.wrongly_dead == [1]
    assert place.gradient_norm < 1e-12, "a saddle"
    assert place.excess == pytest.approx(place.subspace_excess)
    assert place.excess == pytest.approx(0.5 * (8 - 1 - np.log(8)))


def test_samples_have_exactly_the_moments_that_were_chosen():
    rng = np.random.default_rng(1)
    values, mean = np.array([5.0, 2.0, 2.0, 1e-3]), np.array([3.0, -100.0, 0.0, 1.0])
    turn = orthogonal_matrix(4, rng)
    X = exact_samples(values, turn, mean, 50, rng)
    np.testing.assert_allclose(X.mean(axis=0), mean, rtol=0, atol=1e-12)
    S = (turn * values) @ turn.T
    np.testing.assert_allclose(np.cov(X.T, bias=True), S, atol=1e-12)
    for plan in plan_sources(None, quick=False):
        source = plan.build(0.5, 3)
        again = Spectrum.from_samples(source.samples)
        np.testing.assert_allclose(again.eigenvalues, source.spectrum.eigenvalues, rtol=1e-10)
        np.testing.assert_allclose(again.mean, source.spectrum.mean, atol=1e-12)
    given_betas = plan_sources([3.0, 4.0], quick=False)
    assert [p.beta for p in given_betas] == [3.0, 4.0, 3.0, 4.0]
