"""Trainers: functions called by the names of their parameters, and Lightning modules."""

from __future__ import annotations

import numpy as np
import pytest

from linvae.doctor.training import examine_model

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from deep.adapters import adapt  # noqa: E402
from deep.errors import InputError  # noqa: E402

from .adapter_tools import Heads, K, N, gaussian, train_numpy  # noqa: E402


def train_torch(z_dim, x_train, kl_weight=1.0):
    assert isinstance(x_train, torch.Tensor)
    assert x_train.dtype == torch.get_default_dtype()
    model = Heads()
    model.asked = (z_dim, kl_weight, float(torch.rand(())))
    return model, {"history": []}


def train_oddly(data, beta, learning_rate):
    return None


def test_trainers_are_called_by_their_names_and_seeded():
    adapted = adapt(train_torch)
    assert adapted.kind == "trainer"
    X = np.zeros((3, N))
    models = [adapted.fit(X, 0.5, K, seed) for seed in (1, 1, 2)]
    assert models[0].kind == "model"
    asked = [next(m.modules()).asked for m in models]
    assert asked[0][:2] == (K, 0.5)
    assert asked[0] == asked[1] != asked[2]
    assert adapt(train_numpy).fit(X, 1.0, K, 0).kind == "model"
    with pytest.raises(InputError, match="learning_rate"):
        adapt(train_oddly)


class LightningStyle(nn.Module):
    """The interface of a Lightning module, without Lightning."""

    steps = 0

    def __init__(self, input_dim: int, latent_dim: int, beta: float = 1.0):
        super().__init__()
        self.mu, self.logvar = nn.Linear(input_dim, latent_dim), nn.Linear(input_dim, latent_dim)
        self.dec, self.beta = nn.Linear(latent_dim, input_dim), beta

    def encode(self, x):
        return self.mu(x), self.logvar(x)

    def decode(self, z):
        return self.dec(z)

    def training_step(self, batch, batch_idx):
        x, _ = batch
        LightningStyle.steps += 1
        mu, logvar = self.encode(x)
        x_hat = self.decode(mu + torch.randn_like(mu) * torch.exp(logvar / 2))
        kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(1)
        loss = (((x - x_hat) ** 2).sum(1) + self.beta * kl).mean()
        self.log("loss", loss)
        return {"loss": loss}

    def configure_optimizers(self):
        optimiser = torch.optim.Adam(self.parameters(), lr=3e-2)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.99)
        return [optimiser], [{"scheduler": schedule}]


class TakesRows(LightningStyle):
    def training_step(self, batch, batch_idx):
        return LightningStyle.training_step(self, (batch.reshape(-1, N), None), 0)["loss"]


class Failing(LightningStyle):
    def training_step(self, batch, batch_idx):
        raise ZeroDivisionError("theirs")


@pytest.mark.parametrize("kind", [LightningStyle, TakesRows])
def test_lightning_modules_are_trained(kind, monkeypatch):
    monkeypatch.setattr("deep.adapters.lightning_modules._EPOCHS", 60)
    monkeypatch.setattr("deep.adapters.lightning_modules._BATCH", 50)
    adapted = adapt(kind)
    assert (adapted.kind, adapted.library, adapted.betas) == ("trainer", "lightning", None)
    X = gaussian(500)
    with adapted.state():
        model = adapted.fit(X, 0.7, K, 0)
    module = next(model.modules())
    assert module.beta == 0.7
    assert "log" not in vars(module)
    result = examine_model(model, X, 0.7, noise_variance=0.5, convert=model.convert)
    assert result.facts["largest_normalised_excess"] < 0.1


def test_a_function_that_makes_a_module_is_a_trainer_when_it_is_said_to_be(monkeypatch):
    monkeypatch.setattr("deep.adapters.lightning_modules._EPOCHS", 1)

    def make(n_inputs, latent_dim):
        return LightningStyle(n_inputs, latent_dim)

    def make_other(n_inputs, latent_dim):
        return Heads()

    adapted = adapt(make, kind="trainer")
    assert adapted.betas == (1.0,)
    assert "no parameter for beta" in adapted.notes[1]
    assert adapted.fit(gaussian(40), 1.0, K, 0).kind == "model"
    with pytest.raises(InputError, match="training_step"):
        adapt(make_other, kind="trainer").fit(gaussian(40), 1.0, K, 0)
    assert adapt(LightningStyle, kind="loss") is None


def test_what_a_lightning_module_raises_is_its_own():
    with pytest.raises(ZeroDivisionError, match="theirs"):
        adapt(Failing).fit(np.zeros((4, N)), 1.0, K, 0)
