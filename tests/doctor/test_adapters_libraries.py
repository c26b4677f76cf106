"""Estimators of scikit-learn and models of Pythae, against what is known of them exactly."""

from __future__ import annotations

import numpy as np
import pytest

from linvae.doctor.loss import examine_loss
from linvae.doctor.model import read_model
from linvae.doctor.training import examine_model

pytest.importorskip("torch")

from deep.adapters import adapt
from deep.errors import InputError

from .adapter_tools import K, N, gaussian, parts

# --- scikit-learn --------------------------------------------------------------------------------


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
