"""Gates, layers and the two constructions of the theorem, entry by entry."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import mpmath
import numpy as np
import pytest

from linvae.errors import InputError
from linvae.hypernetwork import GATES, GatedLayer, Hypernetwork
from tests.mutation.cases import (
    MEAN,
    VALUES,
    assert_digits,
    mode,
    parameters,
    spectrum,
)
from tests.tolerances import EPS, assert_close

S2 = 0.37
BETAS = np.array([[0.013, 0.7, 2.2], [6.1, 8.3, 47.0]])
POINTS = [-740.0, -30.0, -2.3, -0.4, -1e-9, 0.0, 1e-9, 0.4, 2.3, 30.0, 740.0]


def _exact_gate(name: str, x: float) -> mpmath.mpf:
    with mpmath.workdps(40):
        clipped = mpmath.exp(min(mpmath.mpf(x), 0))
        return {
            "sigmoid": 1 / (1 + mpmath.exp(-mpmath.mpf(x))),
            "sqrt_relu": mpmath.sqrt(1 - clipped),
            "min_exp": clipped,
        }[name]


@pytest.mark.parametrize("name", ["sigmoid", "sqrt_relu", "min_exp"])
def test_gates_to_the_last_digits(name: str) -> None:
    got = GATES[name](np.array(POINTS))
    want = [_exact_gate(name, x) for x in POINTS]
    assert_digits(got, [Decimal(mpmath.nstr(w, 30)) for w in want], 3)


def test_layers_scale_rows() -> None:
    rng = np.random.default_rng(5)
    w, b = np.array([1.3, -0.4]), np.array([0.2, -1.7])
    dense = GatedLayer(w, b, rng.standard_normal((2, 3)), "sigmoid")
    diagonal = GatedLayer(w, b, rng.standard_normal(2), "min_exp")
    inputs = np.array([[-0.3, 0.8, 2.1]])
    assert not dense.is_diagonal
    assert diagonal.is_diagonal
    assert (dense.dense_base == dense.base).all()
    assert (diagonal.dense_base == np.diag(diagonal.base)).all()
    assert dense.weights(inputs).shape == (1, 3, 2, 3)
    assert diagonal.weights(inputs).shape == (1, 3, 2)
    for j, x in enumerate(inputs[0]):
        for row in range(2):
            at = w[row] * x + b[row]
            gate = float(_exact_gate("sigmoid", at))
            assert_close(dense.gate_values(inputs)[0, j, row], gate, "ulps")
            assert_close(dense.weights(inputs)[0, j, row], gate * dense.base[row], "ulps")
            other = float(_exact_gate("min_exp", at)) * diagonal.base[row]
            assert_close(diagonal.weights(inputs)[0, j, row], other, "ulps")


def test_layers_that_are_none() -> None:
    ones = np.ones(2)
    with pytest.raises(InputError, match="gate: got 'relu'; expected one of sigmoid"):
        GatedLayer(ones, ones, np.eye(2), "relu")
    for base in (1.0, np.ones((2, 2, 2)), np.ones((2, 0)), np.ones(0), np.ones((0, 2))):
        with pytest.raises(InputError, match=r"base: got shape .*or \(rows,\) if diagonal"):
            GatedLayer(ones, ones, base, "sigmoid")
    for w, b in ((np.ones(3), ones), (ones, np.ones(3))):
        with pytest.raises(InputError, match=r"hyper: got 3 entries; expected 2"):
            GatedLayer(w, b, np.eye(2), "sigmoid")
    with pytest.raises(InputError, match="base: got nan"):
        GatedLayer(ones, ones, [1.0, np.nan], "sigmoid")


@pytest.mark.parametrize("s2", [S2, 1.9])
def test_exact_parameters_give_the_optimum(s2: float) -> None:
    got = Hypernetwork.exact(spectrum(turned=False), latent_dim=3, noise_variance=s2)(BETAS)
    for index in np.ndindex(BETAS.shape):
        want = [mode(v, s2, BETAS[index]) for v in VALUES[:3]]
        near = min(abs(1 - BETAS[index] * s2 / v) for v in VALUES[:3])
        ulps = 16 + 16 / near  # of the logarithm that the gate reads
        decoder, encoder = np.zeros((4, 3), dtype=object), np.zeros((3, 4), dtype=object)
        for i, w in enumerate(want):
            decoder[i, i], encoder[i, i] = w.decoder, w.encoder
        assert_digits(got.decoder[index], decoder, ulps)
        assert_digits(got.encoder[index], encoder, ulps)
        assert_digits(got.posterior_variance[index], [w.posterior for w in want], 16)
    assert (got.noise_variance == s2).all()
    assert (got.encoder_offset == MEAN).all()
    assert (got.decoder_offset == MEAN).all()


def test_exact_parameters_themselves() -> None:
    """Base weights and biases of the corrected theorem; a mode without variance has none."""
    given = spectrum([5.3, 0.71, 0.0])
    vectors = given.eigenvectors
    hyper = Hypernetwork.exact(given, latent_dim=3, noise_variance=S2)
    roots = np.sqrt([5.3, 0.71, 0.0])
    bias = [float(mpmath.log(mpmath.mpf(S2) / mpmath.mpf(v))) for v in (5.3, 0.71)] + [0.0]
    read, write, spread = hyper.encoder[1], hyper.decoder[0], hyper.posterior[0]
    assert_close(read.base, (vectors / np.where(roots > 0, roots, np.inf)).T, "ulps")
    assert_close(write.base, roots, "ulps")
    assert (spread.base == 1).all()
    for layer in (read, write, spread):
        assert_close(layer.b_hyper, bias, "ulps")
        assert layer.b_hyper[2] == 0
    assert (read.w_hyper == 1).all()
    assert (write.w_hyper == 1).all()
    assert (spread.w_hyper == [1, 1, 0]).all()
    assert (hyper.input_mean, hyper.input_std) == (0.0, 1.0)
    assert_close(hyper.decoder[1].weights(np.array(7.0)), vectors, "ulps")
    assert_close(hyper.encoder[0].weights(np.array(-7.0)), np.ones(3), "ulps")
    assert_close(hyper.posterior[1].weights(np.array(-7.0)), np.ones(3), "ulps")
    constant = hyper.posterior[1]
    assert not constant.w_hyper.any()
    assert not constant.b_hyper.any()
    for beta in (1e-9, 0.5, 50.0):
        model = hyper(beta)
        assert model.posterior_variance[2] == 1
        assert not model.encoder[2].any()
        assert not model.decoder[:, 2].any()


def test_published_parameters_give_the_encoder_of_a_fixed_decoder() -> None:
    p = parameters(4, 3)
    hyper = Hypernetwork.published(decoder=p.D, noise_variance=S2, offset=MEAN)
    got = hyper(BETAS)
    gram = p.D.T @ p.D
    for index in np.ndindex(BETAS.shape):
        level = BETAS[index] * S2
        want = np.linalg.solve(gram + level * np.eye(3), p.D.T)
        assert_close(got.encoder[index], want, "exact")
        assert_close(got.posterior_variance[index], level / (np.diag(gram) + level), "rounding")
        assert_close(got.decoder[index], p.D, "rounding")
    assert (got.encoder_offset == MEAN).all()
    assert (got.noise_variance == S2).all()
    assert not Hypernetwork.published(decoder=p.D, noise_variance=S2).offset.any()
    assert_close(hyper.encoder[1].weights(np.array(3.0)), np.linalg.svd(p.D)[2].T, "ulps")
    with pytest.raises(InputError, match="latent_dim: got 5; expected an integer >= 1 and <= 3"):
        Hypernetwork.published(decoder=np.ones((3, 5)), noise_variance=S2)


def test_published_parameters_of_a_decoder_without_full_rank() -> None:
    p = parameters(4, 3)
    repeated = p.D[:, [0, 0, 1]]
    zero = p.D * [1.0, 0.0, 1.0]
    for decoder in (repeated, zero):
        got = Hypernetwork.published(decoder=decoder, noise_variance=S2)(0.6)
        level = 0.6 * S2
        gram = decoder.T @ decoder
        want = np.linalg.solve(gram + level * np.eye(3), decoder.T)
        assert_close(got.encoder, want, "rounding")
        assert_close(got.posterior_variance, level / (np.diag(gram) + level), "rounding")
    assert Hypernetwork.published(decoder=zero, noise_variance=S2)(1e-9).posterior_variance[1] == 1
    nothing = Hypernetwork.published(decoder=np.zeros((3, 2)), noise_variance=S2)
    assert not nothing.encoder[0].base.any()
    assert not nothing.encoder[0].w_hyper.any()
    assert not nothing(0.3).encoder.any()
    assert (nothing(0.3).posterior_variance == 1).all()


@pytest.mark.parametrize("largest", [1.0, 8.0])
def test_gains_at_rounding_level_are_zero(largest: float) -> None:
    """Singular values up to eps times the largest one count as none."""
    for share, lives in ((0.9, False), (1.0, False), (1.1, True), (1.9, True)):
        gains = np.array([largest, share * EPS * largest])
        hyper = Hypernetwork.published(decoder=np.diag(gains), noise_variance=S2)
        layer = hyper.encoder[0]
        assert layer.w_hyper[1] == (-1.0 if lives else 0.0), share
        row = np.abs(layer.base[1]).max()
        assert row == pytest.approx(1 / gains[1] if lives else 0.0)
        ratio = 2 * np.log(gains[1]) - np.log(S2) if lives else 0.0
        assert_close(layer.b_hyper[1], ratio, "ulps")


@pytest.mark.parametrize("twice", [False, True])
def test_standardised_gates_are_the_same_function(twice: bool) -> None:
    hyper = Hypernetwork.exact(spectrum(), latent_dim=3, noise_variance=S2)
    low, high = 0.03, 17.0
    other = (hyper.standardised((0.4, 5.0)) if twice else hyper).standardised((low, high))
    with mpmath.workdps(30):
        logs = mpmath.log(mpmath.mpf(low)), mpmath.log(mpmath.mpf(high))
        mean, std = (logs[0] + logs[1]) / 2, (logs[1] - logs[0]) / mpmath.sqrt(12)
    assert_digits(other.input_mean, mean, 16)
    assert_digits(other.input_std, std, 16)
    for name in ("encoder", "posterior", "decoder"):
        for old, new in zip(getattr(hyper, name), getattr(other, name), strict=True):
            assert_close(new.w_hyper, old.w_hyper * float(std), "rounding")
            assert_close(new.b_hyper, old.b_hyper + old.w_hyper * float(mean), "rounding")
    for index in np.ndindex(BETAS.shape):
        want, got = hyper(BETAS[index]), other(BETAS[index])
        assert_close(got.decoder, want.decoder, "exact")
        assert_close(got.encoder, want.encoder, "exact")
        assert_close(got.posterior_variance, want.posterior_variance, "exact")


@pytest.mark.parametrize("bad", [(2.0, 2.0), (3.0, 2.0)])
def test_ranges_out_of_order(bad: tuple[float, float]) -> None:
    hyper = Hypernetwork.exact(spectrum(), latent_dim=3, noise_variance=S2)
    with pytest.raises(InputError, match=r"beta_range: got .*; expected a < b"):
        hyper.standardised(bad)
    with pytest.raises(InputError, match="beta_range: got 3 entries; expected 2"):
        hyper.standardised((1.0, 2.0, 3.0))
    assert hyper.standardised((2.0, 3.0)).input_std > 0


def test_products_of_two_layers() -> None:
    hyper = Hypernetwork.exact(spectrum(), latent_dim=3, noise_variance=S2)
    read, write = hyper.encoder[1], hyper.decoder[0]
    whole = GatedLayer(write.w_hyper, write.b_hyper, np.diag(write.base), "sqrt_relu")
    square = GatedLayer(np.zeros(4), np.full(4, np.log(0.75)), 2 * np.eye(4), "sqrt_relu")
    written_out = replace(hyper, encoder=(square, read), decoder=(whole, hyper.decoder[1]))
    want, got = hyper(BETAS), written_out(BETAS)
    assert_close(got.decoder, want.decoder, "ulps")
    assert_close(got.encoder, want.encoder, "ulps")
    turned = replace(hyper, decoder=(hyper.decoder[1], write))
    with pytest.raises(InputError, match="second layer: got a diagonal layer"):
        turned(1.0)


@pytest.mark.parametrize("bad", [0.0, -1.0, [0.5, 0.6]])
def test_refusals(bad: object) -> None:
    with pytest.raises(InputError, match="noise_variance: got"):
        Hypernetwork.exact(spectrum(), latent_dim=2, noise_variance=bad)
    with pytest.raises(InputError, match="noise_variance: got"):
        Hypernetwork.published(decoder=np.eye(2), noise_variance=bad)
    hyper = Hypernetwork.exact(spectrum(), latent_dim=2, noise_variance=S2)
    with pytest.raises(InputError, match="beta: got"):
        hyper(0.0)
