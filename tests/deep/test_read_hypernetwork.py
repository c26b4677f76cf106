"""Gates and weights read off a linear network: the same models, and the inverse of writing."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import linvae as lv
from deep.comparison.linear import as_hypernetwork, read_off, write_out
from deep.errors import InputError
from tests.deep.test_linear import FEATURES, RANGE, K, coordinates, network, spectrum, stir
from tests.tolerances import assert_close

PARTS = ("encoder", "posterior_variance", "decoder")
BETAS = np.geomspace(*RANGE, 11)


@pytest.mark.parametrize(
    "gates",
    [
        {},
        {"ungated": FEATURES},
        {"encoder_gate": "sigmoid", "posterior_gate": "sigmoid"},
        {"encoder_gate": "none", "posterior_gate": "none", "decoder_gate": "none"},
    ],
)
@pytest.mark.parametrize("kind", ["scaled", "whitened"])
def test_it_is_the_network_at_every_beta(kind, gates):
    data = spectrum()
    model = stir(network(5, mean=torch.tensor(data.mean), **coordinates(data, kind), **gates))
    got = as_hypernetwork(model, noise_variance=0.3)(BETAS)
    want = read_off(model, BETAS, noise_variance=0.3)
    for name in PARTS:
        assert_close(getattr(got, name), getattr(want, name), "exact")
    np.testing.assert_array_equal(got.encoder_offset, want.encoder_offset)
    np.testing.assert_array_equal(got.noise_variance, want.noise_variance)


def test_gates_read_are_those_of_the_theory():
    """w and b belong to log β, not to the network's standardised input."""
    data = spectrum()
    hyper = lv.Hypernetwork.exact(data, latent_dim=K, noise_variance=0.5)
    model = network(**coordinates(data, "whitened"))
    write_out(model, hyper)
    read = as_hypernetwork(model, noise_variance=0.5)
    assert (read.input_mean, read.input_std) == (0.0, 1.0)
    for side in ("encoder", "posterior", "decoder"):
        pairs = zip(getattr(read, side), getattr(hyper, side), strict=True)
        for got, want in pairs:
            rows = len(want.b_hyper)
            assert_close(got.w_hyper[:rows], want.w_hyper, "exact", scale=1.0)
            assert_close(got.b_hyper[:rows], want.b_hyper, "exact", scale=1.0)


def test_an_order_moves_latents_with_their_gates_and_no_model():
    data = spectrum()
    model = stir(network(5, **coordinates(data, "scaled")))
    order = [2, 0, 1]
    plain = as_hypernetwork(model, noise_variance=0.3)
    moved = as_hypernetwork(model, noise_variance=0.3, order=order)
    first, second = plain(BETAS), moved(BETAS)
    assert_close(second.encoder, first.encoder[:, order], "exact")
    assert_close(second.posterior_variance, first.posterior_variance[:, order], "exact")
    assert_close(second.decoder, first.decoder[:, :, order], "exact")
    np.testing.assert_array_equal(moved.decoder[0].b_hyper, plain.decoder[0].b_hyper[order])
    np.testing.assert_array_equal(moved.encoder[1].w_hyper, plain.encoder[1].w_hyper[order])
    assert not np.allclose(first.decoder, second.decoder)


def test_reading_and_writing_again_gives_the_network():
    data = spectrum()
    model = stir(network(5, mean=torch.tensor(data.mean), **coordinates(data, "whitened")))
    other = network(8, **coordinates(data, "whitened"))
    read = as_hypernetwork(model, noise_variance=0.3)
    write_out(other, read)
    for got, want in zip(other.at(torch.tensor(BETAS)), model.at(torch.tensor(BETAS)), strict=True):
        assert_close(got.detach().numpy(), want.detach().numpy(), "exact", condition=10.0)


def test_what_cannot_be_read_is_refused():
    model = network()
    for order in ([0, 1], [0, 1, 1], [0.0, 1.0, 2.0], [[0, 1, 2]], math.nan):
        with pytest.raises(InputError, match="order: got"):
            as_hypernetwork(model, noise_variance=1.0, order=order)
    with pytest.raises(lv.errors.InputError, match="gate: got 'tanh'"):
        as_hypernetwork(network(encoder_gate="tanh"), noise_variance=1.0)
