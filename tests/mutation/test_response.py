"""The responses to β: every mode in 50 digits, thresholds to the bit, one side held fixed."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from linvae import response
from linvae.errors import InputError
from linvae.response import critical_betas, decoder_given_encoder, encoder_given_decoder
from linvae.symbolic import evaluate, modes
from tests.mutation.cases import (
    MEAN,
    VALUES,
    assert_digits,
    dense,
    mode,
    parameters,
    spectrum,
)
from tests.tolerances import EPS, assert_close

S2 = 0.37
BETAS = np.array([[0.013, 0.7, 2.2], [6.1, 8.3, 47.0]])  # all, ..., no modes alive


def test_critical_betas() -> None:
    given = spectrum()
    got = critical_betas(given, latent_dim=3, noise_variance=[[S2], [1.7]])
    assert got.shape == (2, 1, 3)
    for row, s2 in zip(got[:, 0], (S2, 1.7), strict=True):
        assert_digits(row, [Decimal(v) / Decimal(s2) for v in VALUES[:3]], 1)
        by_symbols = [evaluate(modes.CRITICAL_BETA, lambda_=v, sigma2=s2) for v in VALUES[:3]]
        assert_digits(row, by_symbols, 1)
    zero = critical_betas(spectrum([3.0, 0.0], None), latent_dim=2, noise_variance=S2)
    assert zero[1] == 0.0
    for values in ([1e300], [1e300, 1.0]):
        with pytest.raises(InputError, match=r"noise_variance: got 1e-300; .*float64 range"):
            critical_betas(
                spectrum(values, None), latent_dim=len(values), noise_variance=[1.0, 1e-300]
            )


@pytest.mark.parametrize("s2", [S2, 1.9])
def test_every_mode_of_the_optimum(s2: float) -> None:
    given = spectrum(turned=False)
    got = response(given, BETAS, latent_dim=3, noise_variance=s2)
    assert got.encoder.shape == (2, 3, 3, 4)
    for index in np.ndindex(BETAS.shape):
        want = [mode(v, s2, BETAS[index]) for v in VALUES[:3]]
        # The difference of critical and actual beta loses digits near a threshold.
        near = min(abs(1 - BETAS[index] * s2 / v) for v in VALUES[:3])
        ulps = 4 + 4 / near
        gains = np.zeros((4, 3), dtype=object)
        reads = np.zeros((3, 4), dtype=object)
        for i, w in enumerate(want):
            gains[i, i], reads[i, i] = w.decoder, w.encoder
        assert_digits(got.decoder[index], gains, ulps)
        assert_digits(got.encoder[index], reads, ulps)
        assert_digits(got.posterior_variance[index], [w.posterior for w in want])
        assert got.noise_variance[index] == s2
    assert (got.encoder_offset == MEAN).all()
    assert (got.decoder_offset == MEAN).all()


def test_directions_of_the_optimum() -> None:
    given = spectrum()
    got = response(given, 0.9, latent_dim=3, noise_variance=S2)
    want = [mode(v, S2, 0.9) for v in VALUES[:3]]
    directions = given.eigenvectors[:, :3]
    assert_close(got.decoder, directions * [float(w.decoder) for w in want], "rounding")
    assert_close(got.encoder, (directions * [float(w.encoder) for w in want]).T, "rounding")


@pytest.mark.parametrize("value", [5.3, 0.71])
def test_agrees_with_the_symbolic_expressions(value: float) -> None:
    got = response(spectrum([value], None), [0.4, 30.0], latent_dim=1, noise_variance=S2)
    for index, beta in enumerate((0.4, 30.0)):
        at = {"lambda_": value, "sigma2": S2, "beta": beta}
        assert_digits(abs(got.decoder[index, 0, 0]), evaluate(modes.DECODER_GAIN, **at))
        assert_digits(abs(got.encoder[index, 0, 0]), evaluate(modes.ENCODER_GAIN, **at))
        variance = evaluate(modes.POSTERIOR_VARIANCE, **at)
        assert_digits(got.posterior_variance[index, 0], variance)


def test_a_mode_dies_at_its_critical_beta_to_the_bit() -> None:
    given = spectrum([3.3, 1.1, 0.0], None, turned=False)
    for i, critical in enumerate(critical_betas(given, latent_dim=3, noise_variance=S2)[:2]):
        below, above = np.nextafter(critical, [0.0, np.inf])
        got = response(given, [below, critical, above], latent_dim=3, noise_variance=S2)
        gain, read = got.decoder[:, i, i], got.encoder[:, i, i]
        lam = given.eigenvalues[i]
        assert_digits(gain[0], np.sqrt(S2 * (critical - below)))
        assert_digits(read[0], gain[0] / lam)
        assert got.posterior_variance[0, i] == below / critical < 1
        assert not gain[1:].any()
        assert not read[1:].any()
        assert (got.posterior_variance[1:, i] == 1).all()
        assert not got.decoder[:, :, 2].any()
        assert (got.posterior_variance[:, 2] == 1).all()


def test_noise_variances_broadcast_with_betas() -> None:
    given = spectrum()
    beta, s2 = np.array([0.3, 1.4]), np.array([[0.5], [0.9], [3.1]])
    got = response(given, beta, latent_dim=2, noise_variance=s2)
    assert got.batch_shape == (3, 2)
    assert (got.noise_variance == np.broadcast_to(s2, (3, 2))).all()
    for i, j in np.ndindex(3, 2):
        one = response(given, beta[j], latent_dim=2, noise_variance=s2[i, 0])
        assert_close(got.decoder[i, j], one.decoder, "ulps")
        assert_close(got.encoder[i, j], one.encoder, "ulps")
    with pytest.raises(InputError, match=r"noise_variance: got shape \(3,\); .*with \(2,\)"):
        response(given, beta, latent_dim=2, noise_variance=[0.5, 0.9, 3.1])


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
def test_refusals(bad: float) -> None:
    with pytest.raises(InputError, match="beta: got"):
        response(spectrum(), bad, latent_dim=2, noise_variance=S2)
    with pytest.raises(InputError, match="noise_variance: got"):
        response(spectrum(), 1.0, latent_dim=2, noise_variance=bad)
    with pytest.raises(InputError, match="latent_dim: got 5"):
        response(spectrum(), 1.0, latent_dim=5, noise_variance=S2)


def test_best_encoder_of_a_fixed_decoder() -> None:
    p = parameters(4, 3)
    got = encoder_given_decoder(p.D, BETAS, noise_variance=S2, offset=MEAN)
    for index in np.ndindex(BETAS.shape):
        level = BETAS[index] * S2
        gram = p.D.T @ p.D
        want = np.linalg.solve(gram + level * np.eye(3), p.D.T)
        assert_close(got.encoder[index], want, "exact")
        assert_close(got.posterior_variance[index], level / (np.diag(gram) + level), "rounding")
        assert_close(got.decoder[index], p.D, "rounding")
    assert (got.encoder_offset == MEAN).all()
    assert (got.decoder_offset == MEAN).all()
    assert (got.noise_variance == S2).all()
    at = {"d": 1.3, "sigma2": S2, "beta": 0.6}
    one = encoder_given_decoder([[1.3]], 0.6, noise_variance=S2)
    assert_digits(one.encoder[0, 0], evaluate(modes.ENCODER_GIVEN_DECODER, **at))
    assert_digits(one.posterior_variance[0], evaluate(modes.POSTERIOR_GIVEN_DECODER, **at))
    assert not one.encoder_offset.any()
    assert not one.decoder_offset.any()
    dead = encoder_given_decoder(p.D * [1.0, 0.0, 1.0], 0.6, noise_variance=S2)
    assert np.abs(dead.encoder[1]).max() <= 8 * EPS
    assert dead.posterior_variance[1] == 1


@pytest.mark.parametrize("shifted", [False, True])
def test_best_decoder_of_a_fixed_encoder(shifted: bool) -> None:
    given, p = spectrum(), parameters(4, 3)
    options = {"encoder_offset": p.me} if shifted else {}
    got = decoder_given_encoder(given, p.E, p.c, noise_variance=S2, **options)
    offset = p.me if shifted else MEAN
    S = dense(given)
    want = S @ p.E.T @ np.linalg.inv(p.E @ S @ p.E.T + np.diag(p.c))
    assert_close(got.decoder, want, "exact")
    assert_close(got.decoder_offset, MEAN - want @ p.E @ (MEAN - offset), "exact")
    assert (got.encoder_offset == offset).all()
    assert (got.encoder == p.E).all()
    assert (got.posterior_variance == p.c).all()
    assert got.noise_variance == S2
    # The root of C enters, not C or its square: a small one beside a large one.
    c = np.array([1e-3, 0.5, 40.0])
    tilted = decoder_given_encoder(given, p.E, c, noise_variance=S2)
    assert_close(tilted.decoder, S @ p.E.T @ np.linalg.inv(p.E @ S @ p.E.T + np.diag(c)), "exact")
    one = decoder_given_encoder(spectrum([5.3], None), [[0.4]], [0.3], noise_variance=S2)
    symbolic = evaluate(modes.DECODER_GIVEN_ENCODER, lambda_=5.3, e=0.4, c=0.3)
    assert_digits(one.decoder[0, 0], symbolic)


def test_an_encoder_of_the_wrong_width() -> None:
    with pytest.raises(InputError, match="encoder: got 3 columns; expected 4"):
        decoder_given_encoder(spectrum(), np.ones((2, 3)), [1.0, 1.0], noise_variance=S2)
    with pytest.raises(InputError, match="encoder: got 5 columns; expected 4"):
        decoder_given_encoder(spectrum(), np.ones((2, 5)), [1.0, 1.0], noise_variance=S2)
    with pytest.raises(InputError, match="posterior_variance"):
        decoder_given_encoder(spectrum(), np.ones((2, 4)), [1.0], noise_variance=S2)
