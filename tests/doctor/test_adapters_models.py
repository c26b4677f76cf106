"""Posteriors and models of several forms, read as they are meant and left as they were."""

from __future__ import annotations

import dataclasses
import types

import numpy as np
import pytest

from linvae.doctor.model import read_model
from linvae.doctor.sandbox import as_numbers
from linvae.doctor.training import examine_model

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from deep.adapters import adapt  # noqa: E402
from deep.adapters.posteriors import posterior_of  # noqa: E402
from deep.errors import InputError  # noqa: E402

from .adapter_tools import Heads, K, Keras, N  # noqa: E402

# --- posteriors ----------------------------------------------------------------------------------


@dataclasses.dataclass
class Fields:
    z_mean: object
    z_log_var: object


def posterior_forms():
    mean, log_var = torch.randn(3, K), torch.randn(3, K)
    std = torch.exp(log_var / 2)
    normal = torch.distributions.Normal(mean, std)
    forms = {
        "pair": (mean, log_var),
        "list with z": [mean, log_var, mean],
        "distribution": normal,
        "independent": torch.distributions.Independent(normal, 1),
        "mapping": {"log_var": log_var, "mu": mean},
        "std": {"loc": mean, "scale": std},
        "log std": {"mu": mean, "log_sigma": log_var / 2},
        "variance": {"mu": mean, "variance": std**2},
        "fields": Fields(mean, log_var),
        "object": types.SimpleNamespace(embedding=mean, log_covariance=log_var),
        "one array": torch.cat([mean, log_var], dim=1),
        "numpy": {"mean": mean.numpy(), "sigma": std.numpy()},
    }
    return mean, log_var, forms


@pytest.mark.parametrize("name", list(posterior_forms()[2]))
def test_posteriors_are_read_off_every_form(name):
    mean, log_var, forms = posterior_forms()
    got = [as_numbers("q", part) for part in posterior_of(forms[name], K)]
    np.testing.assert_allclose(got[0], mean, rtol=1e-5)
    np.testing.assert_allclose(got[1], log_var, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [torch.zeros(3, 5), {"a": 1.0}, (1.0, 2.0), [torch.zeros(3, 5)]])
def test_other_posteriors_are_refused_in_words(value):
    with pytest.raises(InputError, match=r"encode: got .*; expected .*; "):
        posterior_of(value, K)


# --- models --------------------------------------------------------------------------------------


class Methods(Heads):
    def encode(self, x):
        hidden = self.encoder(x)
        return [self.fc_mu(hidden), self.fc_var(hidden)]

    def decode(self, z):
        return torch.distributions.Normal(self.decoder(z), 1.0)


class Fused(Heads):
    def encode(self, x):
        hidden = self.encoder(x)
        return torch.cat([self.fc_mu(hidden), self.fc_var(hidden)], dim=1)

    def decode(self, z):
        return {"reconstruction": self.decoder(z)}


class FusedOnly(Fused):
    """Without heads to be mistaken for a second step."""

    def __init__(self):
        super().__init__()
        inner = Fused.__mro__[1]()
        self.__dict__["inner"] = inner
        del self.fc_mu, self.fc_var

    def encode(self, x):
        hidden = self.inner.encoder(x)
        return torch.cat([self.inner.fc_mu(hidden), self.inner.fc_var(hidden)], dim=1)


@pytest.mark.parametrize("kind", [Heads, Methods, FusedOnly])
def test_torch_models_are_read_whatever_their_form(kind):
    torch.manual_seed(1)
    model = kind().eval()
    adapted = adapt(model)
    assert (adapted.kind, adapted.library, adapted.latent_dim) == ("model", "torch", K)
    source = getattr(model, "inner", model)
    read = read_model(adapted, N, convert=adapted.convert)
    weight = source.fc_mu.weight @ source.encoder.weight
    np.testing.assert_allclose(read.encoder, weight.detach(), atol=1e-5)
    np.testing.assert_allclose(read.posterior_variance, np.exp([-1.0, -2.0]), rtol=1e-5)
    np.testing.assert_allclose(read.decoder, model.decoder.weight.detach(), atol=1e-5)


def test_a_model_keeps_its_mode_and_its_running_statistics():
    class Normalised(Heads):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(N)

        def encode(self, x):
            hidden = self.encoder(self.norm(x))
            return self.fc_mu(hidden), self.fc_var(hidden)

    model = Normalised().train()
    before = model.norm.running_mean.clone()
    adapted = adapt(model)
    assert adapted.training
    result = examine_model(adapted, np.random.default_rng(0).normal(size=(50, N)), 1.0,
                           convert=adapted.convert, state=adapted.state)  # fmt: skip
    assert result.failure is None
    assert model.training
    assert model.norm.training
    assert torch.equal(model.norm.running_mean, before)


def test_keras_style_tuples():
    model = Keras()
    adapted = adapt(model)
    read = read_model(adapted, N, convert=adapted.convert)
    assert adapted.library == "plain"
    np.testing.assert_allclose(read.encoder, model.weight.T, atol=1e-10)
    np.testing.assert_allclose(read.decoder_offset, 1.0, atol=1e-10)


class AsksBeta(Heads):
    def encode(self, x, beta):
        hidden = self.encoder(x)
        return self.fc_mu(hidden) * beta, self.fc_var(hidden)

    def decode(self, z, beta):
        return self.decoder(z) * beta


def test_networks_that_take_beta_with_every_call():
    model = AsksBeta().eval()
    one, three = (adapt(model, beta=b).encode(np.ones((2, N)))[0] for b in (1.0, 3.0))
    assert torch.allclose(3 * one, three)
