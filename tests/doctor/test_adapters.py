"""Code of several libraries and styles, brought into one form without changing what it does."""

from __future__ import annotations

import collections
import dataclasses
import logging
import math
import os
import sys
import types

import numpy as np
import pytest

from linvae.doctor.loss import examine_loss
from linvae.doctor.model import read_model
from linvae.doctor.sandbox import as_numbers
from linvae.doctor.training import examine_model

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from deep.adapters import adapt  # noqa: E402
from deep.adapters.libraries import kept, speaks_torch, tensors  # noqa: E402
from deep.adapters.names import role  # noqa: E402
from deep.adapters.posteriors import posterior_of  # noqa: E402
from deep.errors import InputError  # noqa: E402

N, K = 4, 2


def parts(rows=5):
    rng = np.random.default_rng(0)
    return (rng.normal(size=(rows, N)), rng.normal(size=(rows, N)),
            rng.normal(size=(rows, K)), rng.normal(size=(rows, K)))  # fmt: skip


def exact(x, x_hat, mean, log_var, beta=1.0):
    kl = -0.5 * (1 + log_var - mean**2 - np.exp(log_var)).sum()
    # Not symmetric in x and x_hat, so that exchanging them shows.
    return ((x - 2 * x_hat) ** 2).sum() + beta * kl


def of_tensors(recon_x, x, mu, logvar):
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (x - 2 * recon_x).pow(2).sum() + kl


def in_our_order(x, x_hat, mean, log_var):
    return exact(x, x_hat, mean, log_var)


def unnamed(a, b, c, d):
    return exact(a, b, c, d)


def keras_style(y_true, y_pred, z_mean, z_log_var):
    return exact(y_true, y_pred, z_mean, z_log_var)


def y_is_data(y_pred, y, mu, logvar):
    return exact(y, y_pred, mu, logvar)


def of_std(x, recon, mu, std):
    return exact(x, recon, mu, 2 * np.log(std))


def of_log_std(x, recon, mu, *, log_std):
    return exact(x, recon, mu, 2 * log_std)


def of_variance(x, recon, mu, var):
    return exact(x, recon, mu, np.log(var))


def with_latents(recon_x, x, mu, log_var, z):
    assert z.shape == mu.shape
    return exact(x, recon_x, mu, log_var)


def as_tuple(x, x_hat, mu, logvar):
    return exact(x, x_hat, mu, logvar), 1.0, 2.0


def as_mapping(x, x_hat, mu, logvar):
    return {"KLD": 2.0, "loss": exact(x, x_hat, mu, logvar)}


def variable(*args, **kwargs):
    recons, original, mu, log_var = args
    assert kwargs["M_N"] == 1.0
    return {"loss": exact(original, recons, mu, log_var), "KLD": 0.0}


class Result(collections.namedtuple("Result", "kl total_loss")):
    pass


def as_named_tuple(x, x_hat, mu, logvar):
    return Result(0.0, exact(x, x_hat, mu, logvar))


class LossModule(nn.Module):
    def forward(self, inputs, outputs, mu, log_sigma2):
        return of_tensors(outputs, inputs, mu, log_sigma2)


LOSSES = [of_tensors, in_our_order, unnamed, keras_style, y_is_data, of_std, of_log_std,
          of_variance, with_latents, as_tuple, as_mapping, variable, as_named_tuple,
          LossModule()]  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: getattr(f, "__name__", "module"))
def test_a_loss_gets_every_argument_in_its_place(loss):
    adapted = adapt(loss, kind="loss")
    value = adapted.loss(*parts())
    total = value["loss"] if isinstance(value, dict) else value
    assert float(total) == pytest.approx(exact(*parts()), rel=1e-12)


def test_what_had_to_be_guessed_is_said():
    assert adapt(of_std).notes == ("parameter std was given the standard deviation",)
    assert "posterior mean" in adapt(with_latents).notes[0]
    assert "no names" in adapt(variable, kind="loss").notes[0]


def needs_beta(x, recon, mu, logvar, beta):
    return exact(x, recon, mu, logvar, beta)


def knows_beta(x, recon, mu, logvar, kl_weight=3.0):
    return exact(x, recon, mu, logvar, kl_weight)


def test_beta_is_passed_on_where_it_is_asked_for():
    assert adapt(needs_beta).loss(*parts()) == pytest.approx(exact(*parts()))
    assert adapt(needs_beta, beta=4.0).loss(*parts()) == pytest.approx(exact(*parts(), 4.0))
    assert adapt(knows_beta).loss(*parts()) == pytest.approx(exact(*parts(), 3.0))
    assert adapt(knows_beta, beta=4.0).loss(*parts()) == pytest.approx(exact(*parts(), 4.0))


def of_five(x, recon, mu, logvar, capacity):
    return 0.0


def of_three(x, recon, mu):
    return 0.0


@pytest.mark.parametrize("loss", [of_five, of_three])
def test_parameters_that_cannot_be_filled_are_refused(loss):
    with pytest.raises(InputError, match="wrap it in a function"):
        adapt(loss, kind="loss")


class Dropping(nn.Module):
    """Another KL weight in evaluation."""

    def loss_function(self, recon_x, x, mu, logvar):
        kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return (x - recon_x).pow(2).sum() + (1.0 if self.training else 0.5) * kl


def test_a_loss_that_is_a_method_is_examined_in_both_modes_and_left_in_its_own():
    module = Dropping().eval()
    adapted = adapt(module, kind="loss")
    result = examine_loss(adapted.loss, evaluation=adapted.evaluation, convert=adapted.convert,
                          state=adapted.state)  # fmt: skip
    assert result.failure is None
    assert result.facts["effective_beta"] == pytest.approx(1.0)
    assert result.facts["evaluation_effective_beta"] == pytest.approx(0.5)
    assert result.findings
    assert not module.training


def test_the_pytorch_example_of_a_loss_is_read_as_it_is_meant():
    """Arguments (recon_x, x, ...): in the given order the cross-entropy would be upside down."""

    def loss_function(recon_x, x, mu, logvar):
        bce = nn.functional.binary_cross_entropy(recon_x, x, reduction="sum")
        return bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())

    adapted = adapt(loss_function)
    result = examine_loss(adapted.loss, convert=adapted.convert, state=adapted.state)
    assert result.healthy, (result.failure, result.findings)
    assert result.facts["effective_beta"] == pytest.approx(1.0)


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


class Heads(nn.Module):
    """A shared encoder, two heads, no method encode: encoder(x), fc_mu, fc_var, decoder(z)."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(N, 3)
        self.fc_mu, self.fc_var = nn.Linear(3, K), nn.Linear(3, K)
        self.decoder = nn.Linear(K, N)
        self.latent_dim = K
        with torch.no_grad():
            self.fc_var.weight.zero_()
            self.fc_var.bias.copy_(torch.tensor([-1.0, -2.0]))

    def forward(self, x):
        hidden = self.encoder(x)
        mu, log_var = self.fc_mu(hidden), self.fc_var(hidden)
        return self.decoder(mu), x, mu, log_var


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


class Keras:
    """encoder(x) -> [z_mean, z_log_var, z], decoder(z), as in the examples of Keras."""

    def __init__(self):
        self.weight = np.random.default_rng(0).normal(size=(N, K))

    def encoder(self, x):
        mean = np.asarray(x) @ self.weight
        return [mean, np.full_like(mean, -0.5), mean]

    def decoder(self, z):
        return np.asarray(z) @ self.weight.T + 1.0


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


def test_what_is_nothing_of_this_is_not_recognised():
    for thing in (3, "text", np.zeros(3), object(), math.sqrt, dict):
        assert adapt(thing) is None


# --- scikit-learn --------------------------------------------------------------------------------


def gaussian(rows=4000):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, N)) * [3.0, 2.0, 0.5, 0.5] + 2.0


def test_pca_is_the_optimal_linear_vae_at_beta_1():
    from sklearn.decomposition import PCA

    X = gaussian()
    adapted = adapt(PCA(n_components=K).fit(X))
    result = examine_model(adapted, X, 1.0, noise_variance=adapted.noise_variance)
    assert result.failure is None
    # PCA divides by N − 1: an error of 1/N, not more.
    read = read_model(adapted, N).linear_vae(adapted.noise_variance)
    import linvae as lv

    spectrum = lv.Spectrum.from_samples(X)
    best = lv.response(spectrum, 1.0, latent_dim=K, noise_variance=adapted.noise_variance)
    excess = read.evaluate(spectrum, 1.0).objective - best.evaluate(spectrum, 1.0).objective
    assert 0 <= excess < 1e-6


def test_pca_read_as_a_wrong_model_would_show():
    from sklearn.decomposition import PCA

    X = gaussian()
    adapted = adapt(PCA(n_components=K).fit(X))
    result = examine_model(adapted, X, 4.0, noise_variance=adapted.noise_variance)
    assert result.findings


def test_factor_analysis_agrees_with_its_own_transform():
    from sklearn.decomposition import FactorAnalysis

    X = gaussian(1000)
    model = FactorAnalysis(n_components=K, random_state=0).fit(X)
    adapted = adapt(model)
    mean, log_var = adapted.encode(X[:3])
    np.testing.assert_allclose(mean, model.transform(X[:3]))
    inverse = np.linalg.inv(model.get_covariance())
    loadings = model.components_
    want = np.diag(np.eye(K) - loadings @ inverse @ loadings.T)
    np.testing.assert_allclose(np.exp(log_var[0]), want, rtol=1e-8)


def test_estimators_as_trainers():
    from sklearn.decomposition import PCA

    import linvae as lv

    X = gaussian(500)
    adapted = adapt(lv.LinearBetaVAE(noise_variance=0.5))
    assert adapted.kind == "trainer"
    assert adapted.betas is None
    model = adapted.fit(X, 2.0, K, 0)
    spectrum = lv.Spectrum.from_samples(X)
    best = lv.response(spectrum, 2.0, latent_dim=K, noise_variance=0.5)
    np.testing.assert_allclose(
        np.exp(model.encode(X[:1])[1][0]), best.posterior_variance, rtol=1e-8
    )
    pca = adapt(PCA)
    assert pca.betas == (1.0,)
    assert "no parameter for beta" in pca.notes[0]
    with pytest.raises(InputError, match="not fitted"):
        adapt(PCA(), kind="model")


# --- trainers ------------------------------------------------------------------------------------


def train_torch(z_dim, x_train, kl_weight=1.0):
    assert isinstance(x_train, torch.Tensor)
    assert x_train.dtype == torch.get_default_dtype()
    model = Heads()
    model.asked = (z_dim, kl_weight, float(torch.rand(())))
    return model, {"history": []}


def train_numpy(data: np.ndarray, beta, latent_dim, random_state):
    assert isinstance(data, np.ndarray)
    torch.from_numpy(data)
    return Keras()


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


# --- libraries -----------------------------------------------------------------------------------


def plain_function(x):
    return x


def annotated(x: torch.Tensor):
    return x


def numpy_annotated(x: np.ndarray):
    return torch.zeros(3)


def methods_alone(recon_x, x):
    return (recon_x - x).pow(2).sum()


def through_a_helper(x):
    return plain_function(in_our_order(x, x, x, x))


def through_a_class(x):
    return LossModule()(x)


def with_its_own_import(x):
    import torch as t

    return t.zeros(3)


def test_who_takes_tensors():
    assert not speaks_torch(through_a_helper)
    assert speaks_torch(through_a_class)
    assert speaks_torch(methods_alone), "its module imports torch"
    assert speaks_torch(with_its_own_import)
    bare: dict = {}
    exec("import numpy as np\ndef f(x): return np.sum(x)", bare)
    assert not speaks_torch(bare["f"])
    assert speaks_torch(annotated)
    assert speaks_torch(LossModule().forward)
    assert not speaks_torch(numpy_annotated)
    assert not speaks_torch(train_numpy)
    assert not speaks_torch(math.sqrt)


def test_conversions_have_the_dtype_of_the_network():
    array = np.ones((2, 3))
    assert tensors()(array).dtype == torch.float64
    assert tensors(double=False)(array).dtype == torch.float32
    assert tensors(nn.Linear(3, 1).half())(array).dtype == torch.float16
    frozen = np.ones(2)
    frozen.flags.writeable = False
    assert tensors()(frozen).tolist() == [1.0, 1.0]


def _disturb(module):
    torch.manual_seed(99)
    torch.rand(10)
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_float32_matmul_precision("medium")
    torch.autograd.set_detect_anomaly(True)
    torch.backends.cudnn.benchmark = True
    module.train()
    module(torch.randn(4, 2, dtype=torch.float32))
    os.environ["LINVAE_TEST_VARIABLE"] = "set"
    logging.disable(logging.CRITICAL)
    raise KeyError


def test_the_state_of_torch_and_of_the_process_is_put_back():
    module = nn.BatchNorm1d(2).eval()
    torch.manual_seed(5)
    first = torch.rand(3)
    torch.manual_seed(5)
    threads, level = torch.get_num_threads(), logging.root.manager.disable
    with pytest.raises(KeyError), kept((module,)):
        _disturb(module)
    assert torch.equal(torch.rand(3), first)
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.is_anomaly_enabled()
    assert not torch.backends.cudnn.benchmark
    assert not module.training
    assert module.running_mean.tolist() == [0.0, 0.0]
    assert "LINVAE_TEST_VARIABLE" not in os.environ
    assert logging.root.manager.disable == level


@pytest.mark.parametrize(
    ("name", "among", "want"),
    [("recon_x", ("x_hat", "x"), "x_hat"), ("X", ("x",), "x"), ("logVar", ("log_var",), "log_var"),
     ("unknown", ("x", "mean"), None)],
)  # fmt: skip
def test_names(name, among, want):
    assert role(name, among) == want


def test_adapters_import_nothing_heavy():
    import subprocess

    code = "import sys, deep.adapters; print(sorted({m.split('.')[0] for m in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("torch", "sklearn", "pythae", "linvae", "numpy"):
        assert f"'{heavy}'" not in run.stdout


# --- Pythae --------------------------------------------------------------------------------------


@pytest.fixture
def pythae():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("pythae.models", reason="pythae is not installed")


@pytest.mark.parametrize(("beta", "declared"), [(4.0, 4.0), (None, 1.0)])
def test_the_loss_of_pythae_has_the_beta_it_states(pythae, beta, declared):
    adapted = adapt(pythae.BetaVAE, beta=beta)
    result = examine_loss(adapted.loss, beta=declared, noise_variance=1.0, convert=adapted.convert,
                          evaluation=adapted.evaluation, state=adapted.state)  # fmt: skip
    assert result.healthy, result.findings
    assert result.facts["effective_beta"] == pytest.approx(declared, rel=1e-6)


def test_the_loss_of_pythae_by_hand(pythae):
    x, x_hat, mean, log_var = parts()
    value = adapt(pythae.BetaVAE, beta=4.0).loss(x, x_hat, mean, log_var)
    kl = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum(1)
    want = (0.5 * ((x - x_hat) ** 2).sum(1) + 4.0 * kl).mean()
    assert float(value["loss"]) == pytest.approx(want, rel=1e-12)


@pytest.mark.slow
def test_pythae_trains_to_the_optimum(pythae):
    import linvae as lv

    X = gaussian(2000)
    adapted = adapt(pythae.BetaVAE, kind="trainer")
    with adapted.state():
        model = adapted.fit(X, 2.0, K, 0)
    spectrum = lv.Spectrum.from_samples(X)
    read = read_model(model, N, convert=model.convert).linear_vae(1.0)
    best = lv.response(spectrum, 2.0, latent_dim=K, noise_variance=1.0)
    excess = read.evaluate(spectrum, 2.0).objective - best.evaluate(spectrum, 2.0).objective
    assert 0 <= excess < 0.05
    assert adapt(pythae.VAE, kind="trainer").betas == (1.0,)
