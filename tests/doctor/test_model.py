"""Reading a model by its answers alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linvae import LinearVAE
from linvae.doctor.model import read_model
from linvae.errors import InputError, SubjectError
from linvae.testing.strategies import parameters


class Model:
    """Answers as a linear VAE does."""

    def __init__(self, vae: LinearVAE):
        self.vae = vae

    def encode(self, x):
        mean = self.vae.encode(x)
        return mean, np.broadcast_to(np.log(self.vae.posterior_variance), mean.shape)

    def decode(self, z):
        return self.vae.decode(z)


@given(data=st.data(), n=st.integers(1, 7), seed=st.integers(0, 99))
def test_every_affine_model_is_read_exactly(data, n, seed):
    k = data.draw(st.integers(1, n))
    drawn = data.draw(parameters(n, k))
    read = read_model(Model(drawn.vae), n, k, seed=seed)
    size = np.abs(drawn.E).max() + 1
    np.testing.assert_allclose(read.encoder, drawn.E, atol=1e-9 * size)
    shift = drawn.h - drawn.E @ drawn.me
    np.testing.assert_allclose(read.latent_offset, shift, atol=1e-8 * (size + np.abs(shift).max()))
    np.testing.assert_allclose(read.posterior_variance, drawn.c, rtol=1e-9)
    scale = np.abs(drawn.D).max() + np.abs(drawn.md).max() + 1
    np.testing.assert_allclose(read.decoder, drawn.D, atol=1e-7 * scale)
    np.testing.assert_allclose(read.decoder_offset, drawn.md, atol=1e-7 * scale)
    assert read.encoder_nonlinearity < 1e-6
    assert read.decoder_nonlinearity < 1e-6
    assert read.batch_dependence < 1e-9
    assert not read.saturates
    assert read.finite
    assert read.mode_dependence is None
    again = read.linear_vae(drawn.s2)
    x = np.random.default_rng(seed).standard_normal((5, n))
    np.testing.assert_allclose(again.encode(x), drawn.vae.encode(x), atol=1e-7 * size)


def _simple(n=3):
    return Model(LinearVAE(np.eye(2, n), np.array([0.5, 0.2]), np.eye(n, 2), np.asarray(0.5)))


def test_noise_is_measured_and_averaged_away():
    model, rng = _simple(), np.random.default_rng(0)

    def encode(x):
        mean, log_var = Model.encode(model, x)
        return mean + np.exp(log_var / 2) * rng.standard_normal(mean.shape), log_var

    model.encode = encode
    read = read_model(model, 3)
    np.testing.assert_allclose(read.encoder_noise**2, [0.5, 0.2], rtol=0.1)
    np.testing.assert_allclose(read.encoder, np.eye(2, 3), atol=0.05)
    assert read.encoder_nonlinearity < 0.1
    assert read.decoder_noise == 0


def test_nonlinear_and_bounded_outputs_are_told_apart():
    model = _simple()
    linear = model.decode
    model.decode = lambda z: np.tanh(linear(z))
    read = read_model(model, 3)
    assert read.saturates
    assert read.decoder_nonlinearity > 0.05
    model.decode = lambda z: linear(z) + np.abs(linear(z))
    read = read_model(model, 3)
    assert not read.saturates
    assert read.decoder_nonlinearity > 0.05
    model.decode, encode = linear, model.encode
    model.encode = lambda x: (np.maximum(encode(x)[0], 0), encode(x)[1])
    assert read_model(model, 3).encoder_nonlinearity > 0.3


def test_dependence_on_the_batch_and_of_log_var_on_x():
    model = _simple()
    encode = model.encode
    model.encode = lambda x: (encode(x)[0] - encode(x)[0].mean(axis=0), encode(x)[1])
    assert read_model(model, 3).batch_dependence > 0.1
    model.encode = lambda x: (encode(x)[0], encode(x)[1] + x[:, :1])
    read = read_model(model, 3)
    assert 0.7 < read.variance_spread < 1.3
    np.testing.assert_allclose(read.posterior_variance, [0.5, 0.2], rtol=0.5)


def test_probes_follow_the_covariance():
    """A model that is odd only where there are no data is read as affine."""
    model = _simple()
    encode = model.encode
    model.encode = lambda x: (encode(x)[0] + (np.abs(x[:, :1]) > 1) * 9.0, encode(x)[1])
    assert read_model(model, 3).encoder_nonlinearity > 0.1
    assert read_model(model, 3, root=1e-3 * np.eye(3)).encoder_nonlinearity < 1e-9


@pytest.mark.parametrize(
    ("encode", "says"),
    [
        (lambda x: x[:, :2], "the pair"),
        (lambda x: "no", "the pair"),
        (lambda x: (x[:, :2], x[:, :1]), "log_var of shape"),
        (lambda x: (x[0], x[0]), "mean of shape"),
        (lambda x: (x[:, :2] + 1j, x[:, :2]), "real numbers"),
        (lambda x: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_what_is_no_answer_is_theirs(encode, says):
    model = _simple()
    model.encode = encode
    with pytest.raises(SubjectError, match=says):
        read_model(model, 3, 2)


def test_what_is_no_model_is_theirs():
    with pytest.raises(SubjectError, match="without encode"):
        read_model(object(), 3)
    model = _simple()
    model.decode = lambda z: z
    with pytest.raises(SubjectError, match="decode"):
        read_model(model, 3)
    with pytest.raises(InputError):
        read_model(_simple(), 0)


def test_shapes_that_are_understood():
    model = _simple(4)
    encode, decode = model.encode, model.decode
    model.encode = lambda x: (encode(x)[0], encode(x)[1][0])
    model.decode = lambda z: (decode(z).reshape(-1, 2, 2), "more")
    read = read_model(model, 4)
    np.testing.assert_allclose(read.decoder, np.eye(4, 2), atol=1e-9)


def test_numbers_that_are_not_finite_are_reported_not_raised():
    model = _simple()
    model.encode = lambda x: (np.full((len(x), 2), np.nan), np.zeros((len(x), 2)))
    assert not read_model(model, 3).finite


def test_torch_modes_and_statistics_are_given_back():
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(3)
            self.drop = torch.nn.Dropout(0.5)

        def encode(self, x):
            h = self.drop(self.norm(x))
            return h[:, :2], torch.zeros(len(x), 2)

        def decode(self, z):
            return torch.cat([z, z[:, :1]], 1)

    net = Net()
    net.norm.eval()  # frozen on purpose, the rest in training
    before = {name: value.clone() for name, value in net.state_dict().items()}
    read = read_model(net, 3, convert=lambda a: torch.tensor(a, dtype=torch.float32), seed=3)
    assert read.left_in_training
    assert read.mode_dependence > 0.1
    assert not read.encoder_noise.any()
    assert net.training
    assert net.drop.training
    assert not net.norm.training
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name
