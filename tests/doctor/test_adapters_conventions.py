"""Code that takes something else than it seems to, and forms that are recognised late."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from linvae.doctor.loss import examine_loss
from linvae.doctor.metrics import examine_metric

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from deep.adapters import adapt  # noqa: E402
from deep.adapters.lightning_modules import kept_without_files  # noqa: E402
from deep.errors import InputError  # noqa: E402

from .adapter_tools import Heads, K, Keras, N, exact, gaussian, of_tensors, parts  # noqa: E402
from .test_adapters_trainers import LightningStyle  # noqa: E402


def examined(loss):
    adapted = adapt(loss, kind="loss")
    return examine_loss(adapted.loss, convert=adapted.convert, state=adapted.state,
                        evaluation=adapted.evaluation)  # fmt: skip


def right(recon_x: torch.Tensor, x: torch.Tensor, mu: torch.Tensor, logvar: torch.Tensor):
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return ((x - recon_x).pow(2).sum() + kl) / x.size(0)


class Right(nn.Module):
    def forward(
        self, recon_x: torch.Tensor, x: torch.Tensor, mu: torch.Tensor, logvar: torch.Tensor
    ) -> torch.Tensor:
        kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return ((x - recon_x).pow(2).sum() + kl) / x.size(0)


class Perceptual(nn.Module):
    """Squared error of features computed by layers of float32."""

    def __init__(self):
        super().__init__()
        self.features = nn.Linear(6, 6, bias=False)
        nn.init.eye_(self.features.weight)

    def forward(self, x, x_hat, mu, logvar):
        error = (self.features(x) - self.features(x_hat)).pow(2).sum(1)
        return (error - 0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(1)).mean()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("make", [lambda: torch.jit.script(right),
                                  lambda: torch.jit.script(Right()), Perceptual])  # fmt: skip
def test_right_losses_of_torch_are_examined_and_right(make):
    result = examined(make())
    assert result.healthy, (result.failure, result.findings)
    assert result.facts["effective_beta"] == pytest.approx(1.0, rel=1e-5)


def numpy_where_torch_is_imported(recon_x, x, mu, logvar):
    return exact(np.asarray(x.copy()), recon_x.copy(), mu.copy(), logvar.copy())


def test_a_loss_is_called_again_in_the_form_it_takes():
    adapted = adapt(numpy_where_torch_is_imported)
    assert adapted.loss(*parts()) == pytest.approx(exact(*parts()), rel=1e-12)

    def raising(recon_x, x, mu, logvar):
        of_tensors(recon_x, x, mu, logvar)
        raise ValueError("their own")

    with pytest.raises(ValueError, match="their own"):
        adapt(raising).loss(*parts())


def numpy_metric(mean):
    return int((mean.copy().var(axis=0, ddof=0) > 0.01).sum())


def test_a_metric_is_called_again_in_the_form_it_takes():
    adapted = adapt(numpy_metric, kind="metric")
    assert adapted.library == "torch", "its module imports torch"
    assert examine_metric(adapted.metric, "active_units", convert=adapted.convert).healthy


class Standardised:
    def __init__(self, shift, scale):
        self.encode = lambda x: (((x - shift) / scale) @ np.ones((N, K)), np.zeros((len(x), K)))
        self.decode = lambda z: z @ np.ones((K, N)) * scale + shift


def fit_standardised(X, beta, latent_dim):
    return Standardised(X.mean(0), X.std(0, ddof=1) if isinstance(X, np.ndarray) else X.std(0))


def fit_copy(X, beta, latent_dim):
    fit_copy.given.append(type(X))
    X.copy()
    return Keras()


def test_a_trainer_and_its_model_take_the_same_form():
    X = gaussian(50)
    model = adapt(fit_standardised).fit(X, 1.0, K, 0)
    assert model.decode(np.zeros((3, K))).shape == (3, N)
    assert isinstance(model.decode(np.zeros((3, K))), np.ndarray)
    fit_copy.given = []
    adapted = adapt(fit_copy)
    for _ in range(2):
        assert adapted.fit(X, 1.0, K, 0).kind == "model"
    assert fit_copy.given == [torch.Tensor, torch.Tensor, np.ndarray, np.ndarray]


class Estimator:
    def __init__(self, latent_dim=2, beta=1.0, shift=0.0):
        self.latent_dim, self.beta, self.shift = latent_dim, beta, shift

    def fit(self, X, y=None):
        self.asked = (self.latent_dim, self.beta, self.shift)
        self.encode, self.decode = Keras().encoder, Keras().decoder
        Estimator.last = self
        return self


@pytest.mark.parametrize(("thing", "shift"), [(Estimator, 0.0), (Estimator(3, shift=2.0), 2.0)])
def test_a_class_made_with_latents_and_beta_is_a_trainer(thing, shift):
    adapted = adapt(thing)
    assert (adapted.kind, adapted.betas) == ("trainer", None)
    model = adapted.fit(gaussian(50), 0.7, K, 0)
    assert Estimator.last.asked == (K, 0.7, shift)
    assert model.encode(np.zeros((3, N)))[0].shape == (3, K)

    class Needs(Estimator):
        def __init__(self, latent_dim, beta, hidden):
            super().__init__(latent_dim, beta)

    with pytest.raises(InputError, match="hidden"):
        adapt(Needs)


class Methods:
    def fit(self, X, beta, latent_dim, seed):
        return Keras()


def test_a_method_fit_of_an_object_is_a_trainer():
    adapted = adapt(Methods())
    assert adapted.kind == "trainer"
    assert adapted.fit(gaussian(50), 1.0, K, 0).kind == "model"


class Manual(LightningStyle):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


def test_parameters_that_are_passed_on_are_those_of_the_base():
    adapted = adapt(Manual)
    assert adapted.betas is None
    model = lightning(adapted)
    assert next(model.modules()).beta == 0.5


def lightning(adapted):
    import deep.adapters.lightning_modules as module

    before, module._EPOCHS = module._EPOCHS, 1
    try:
        return adapted.fit(gaussian(40), 0.5, K, 0)
    finally:
        module._EPOCHS = before


def test_what_lightning_writes_by_default_goes_where_it_is_removed():
    with kept_without_files():
        folder = os.environ["PL_TRAINER_DEFAULT_ROOT_DIR"]
        assert os.path.isdir(folder)
    assert not os.path.exists(folder)
    assert "PL_TRAINER_DEFAULT_ROOT_DIR" not in os.environ


class Predicting:
    """encoder and decoder with predict alone, as served models of Keras have."""

    def __init__(self):
        class Encoder:
            def predict(self, x, verbose=1):
                return Keras().encoder(x)

        class Decoder:
            def predict(self, z, verbose=1):
                return Keras().decoder(z)

        self.encoder, self.decoder = Encoder(), Decoder()


class Wrapper(nn.Module):
    def __init__(self):
        super().__init__()
        self.vae = Heads()

    def forward(self, x):
        return self.vae(x)


def test_models_by_predict_and_models_within_modules():
    model = adapt(Predicting())
    assert model.decode(model.encode(np.zeros((3, N)))[0]).shape == (3, N)
    inner = adapt(Wrapper())
    assert inner.kind == "model"
    assert inner.encode(np.zeros((3, N)))[0].shape == (3, K)
    assert adapt(nn.Sequential(Heads(), Heads()), kind="model") is None


def train_forward_only(X, beta, latent_dim):
    return nn.Linear(N, N), []


def test_a_module_with_forward_alone_is_told_what_it_lacks():
    with pytest.raises(InputError, match="Linear, a module with forward alone"):
        adapt(train_forward_only).fit(gaussian(20), 1.0, K, 0)


def packed(outputs, x):
    x_hat, mean, log_var = outputs
    return exact(x, x_hat, mean, log_var)


def packed_with_input(x, outputs):
    x_hat, original, mean, log_var = outputs
    assert (original == x).all()
    return exact(x, x_hat, mean, log_var)


@pytest.mark.parametrize("loss", [packed, packed_with_input])
def test_a_loss_that_takes_what_the_model_returned(loss):
    adapted = adapt(loss, kind="loss")
    assert adapted.loss(*parts()) == pytest.approx(exact(*parts()), rel=1e-12)
    assert adapted.notes == ("parameter outputs was given (x_hat, mean, log_var)",)


def test_nothing_of_torch_is_asked_where_it_is_not_loaded(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch")

    def loss(x, x_hat, mean, log_var):
        return exact(x, x_hat, mean, log_var)

    assert adapt(loss).loss(*parts()) == pytest.approx(exact(*parts()), rel=1e-12)
    assert "torch" not in sys.modules
