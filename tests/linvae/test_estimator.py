"""LinearBetaVAE: scikit-learn's own checks, and its numbers against independent routes."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from linvae import Spectrum, estimator
from linvae.errors import (
    NonUniqueOptimumWarning,
    UnboundedObjectiveError,
)
from linvae.estimator import LinearBetaVAE
from tests.tolerances import tolerance

EXACT = tolerance("exact")
STANDARD_ERRORS = tolerance("monte_carlo")
SINGLE = 1e-5  # relative, float32 input
ATTRIBUTES = (
    "mean_", "encoder_", "decoder_", "posterior_variance_", "noise_variance_", "beta_",
    "critical_betas_", "n_components_", "active_", "n_features_in_",
)  # fmt: skip


def draw(seed: int = 0, n_samples: int = 300, n_features: int = 6) -> np.ndarray:
    """Correlated, shifted data with well separated eigenvalues."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
    scales = 4.0 * 0.6 ** np.arange(n_features)
    shift = rng.standard_normal(n_features) * 3
    return rng.standard_normal((n_samples, n_features)) * scales @ axes.T + shift


@parametrize_with_checks(
    [LinearBetaVAE(), LinearBetaVAE(1, beta=0.5), LinearBetaVAE(noise_variance=0.1)]
)
def test_every_scikit_learn_check(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # without it one check is skipped
    check(estimator)


def test_check_estimator_reports_nothing_but_passes(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    results = check_estimator(LinearBetaVAE(), on_fail=None, on_skip=None)
    assert len(results) > 40
    assert {r["status"] for r in results} == {"passed"}


def test_docstring_example():
    outcome = doctest.testmod(estimator)
    assert outcome.attempted > 5
    assert outcome.failed == 0


class TestProbabilisticPCA:
    """β = 1 with a calibrated noise variance is the maximum likelihood of probabilistic PCA."""

    @pytest.mark.parametrize("k", [1, 3, 5])
    def test_covariance_is_that_of_pca_up_to_ddof(self, k):
        X = draw()
        factor = len(X) / (len(X) - 1)
        ours = LinearBetaVAE(k).fit(X)
        theirs = PCA(n_components=k).fit(X)
        np.testing.assert_allclose(
            ours.get_covariance() * factor, theirs.get_covariance(), rtol=EXACT, atol=EXACT
        )
        assert ours.noise_variance_ * factor == pytest.approx(theirs.noise_variance_, rel=EXACT)

    @pytest.mark.parametrize("k", [1, 3, 5])
    def test_score_is_that_of_pca_up_to_ddof(self, k):
        X, held_out = draw(), draw(seed=1)
        ratio = len(X) / (len(X) - 1)
        ours, theirs = LinearBetaVAE(k).fit(X), PCA(n_components=k).fit(X)
        lost = 0.5 * X.shape[1] * (np.log(ratio) - 1 + 1 / ratio)
        assert lost > 0
        assert ours.score(X) - lost == pytest.approx(theirs.score(X), rel=EXACT)
        theirs.explained_variance_ /= ratio
        theirs.noise_variance_ /= ratio
        np.testing.assert_allclose(
            ours.score_samples(held_out), theirs.score_samples(held_out), rtol=EXACT
        )

    def test_default_is_the_largest_model_with_a_maximum(self):
        X = draw()
        default = LinearBetaVAE().fit(X)
        assert default.n_components_ == X.shape[1] - 1
        # One more latent cannot raise the likelihood; below β = 1 nothing holds the noise up.
        with pytest.warns(NonUniqueOptimumWarning):
            widest = LinearBetaVAE(X.shape[1]).fit(X)
        assert widest.score(X) == pytest.approx(default.score(X), rel=EXACT)
        with pytest.raises(UnboundedObjectiveError):
            LinearBetaVAE(X.shape[1], beta=0.99).fit(X)


class TestDefaultComponents:
    @pytest.mark.parametrize(
        ("shape", "expected"), [((50, 6), 5), ((6, 6), 4), ((4, 9), 2), ((3, 9), 1)]
    )
    def test_one_less_than_the_rank(self, shape, expected):
        X = draw(n_samples=shape[0], n_features=shape[1])
        assert LinearBetaVAE().fit(X).n_components_ == expected

    def test_constant_features_do_not_count(self):
        X = np.hstack([draw(), np.ones((300, 2))])
        vae = LinearBetaVAE().fit(X)
        assert vae.n_components_ == 5
        assert np.isfinite(vae.score(X))

    def test_one_feature_is_a_gaussian(self):
        X = draw(n_features=1)
        with pytest.warns(NonUniqueOptimumWarning):
            vae = LinearBetaVAE().fit(X)
        assert (vae.n_components_, vae.active_) == (1, 0)
        expected = -0.5 * (np.log(2 * np.pi * X.var()) + 1)
        assert vae.score(X) == pytest.approx(expected, rel=EXACT)


class TestTransform:
    def test_is_pca_scaled_mode_by_mode_with_dead_modes_at_zero(self):
        X, new = draw(), draw(seed=2)
        pca = PCA(n_components=4).fit(X)
        values = pca.explained_variance_ * (len(X) - 1) / len(X)
        noise = 0.7
        beta = float(values[1] * values[2]) ** 0.5 / noise  # two modes live, two are dead
        vae = LinearBetaVAE(4, beta=beta, noise_variance=noise).fit(X)
        tau = beta * noise
        scale = np.sqrt(np.maximum(values - tau, 0)) / values
        signs = np.sign(pca.components_[np.arange(4), np.abs(pca.components_).argmax(axis=1)])
        np.testing.assert_allclose(
            vae.transform(new), pca.transform(new) * scale * signs, rtol=1e-8, atol=1e-12
        )
        assert vae.active_ == 2
        assert not vae.transform(new)[:, 2:].any()
        np.testing.assert_allclose(
            vae.transform(X).var(axis=0), np.maximum(1 - tau / values, 0), rtol=EXACT, atol=1e-14
        )
        np.testing.assert_allclose(vae.posterior_variance_, np.minimum(1, tau / values), rtol=EXACT)

    def test_small_beta_whitens(self):
        X = draw()
        vae = LinearBetaVAE(3, beta=1e-12, noise_variance=1.0).fit(X)
        pca = PCA(n_components=3, whiten=True).fit(X)
        factor = np.sqrt(len(X) / (len(X) - 1))
        np.testing.assert_allclose(
            np.abs(vae.transform(X)), np.abs(pca.transform(X)) * factor, rtol=1e-8
        )

    def test_inverse_transform_shrinks_each_mode(self):
        X = draw()
        vae = LinearBetaVAE(6, beta=2.0, noise_variance=0.5).fit(X)
        values, vectors = np.linalg.eigh(np.cov(X.T, bias=True))
        centre = X.mean(axis=0)
        kept = np.maximum(values - 1.0, 0) / values
        expected = centre + (X - centre) @ (vectors * kept) @ vectors.T
        np.testing.assert_allclose(
            vae.inverse_transform(vae.transform(X)), expected, rtol=1e-9, atol=1e-9
        )

    def test_float32_in_float32_out_computed_in_double(self):
        X = draw()
        single = X.astype(np.float32)
        vae, coarse = LinearBetaVAE(3).fit(X), LinearBetaVAE(3).fit(single)
        latents = coarse.transform(single)
        assert latents.dtype == coarse.inverse_transform(latents).dtype == np.float32
        assert coarse.encoder_.dtype == coarse.score_samples(single).dtype == np.float64
        np.testing.assert_allclose(latents, vae.transform(X), rtol=SINGLE, atol=SINGLE)
        # The same numbers in double give the same model to the last bit.
        again = LinearBetaVAE(3).fit(single.astype(np.float64))
        assert np.array_equal(again.encoder_, coarse.encoder_)

    def test_signs_do_not_depend_on_the_order_of_the_samples(self):
        X = draw()
        for vae in (LinearBetaVAE(5).fit(X), LinearBetaVAE(5).fit(X[::-1] * 1.0)):
            largest = np.abs(vae.decoder_).argmax(axis=0)
            assert (vae.decoder_[largest, np.arange(5)] > 0).all()

    def test_equal_loadings_take_the_first_as_positive(self):
        # Eigenvectors (1, 1)/√2 and (1, -1)/√2 in any rounding and sign.
        for scale in (1.0, 0.1, 1 / 3):
            X = scale * np.array([[3.0, 3], [-3, -3], [1, -1], [-1, 1]])
            for data in (X, -X):
                vae = LinearBetaVAE(2, noise_variance=0.01 * scale**2).fit(data)
                assert (vae.decoder_[0] > 0).all()


class TestLikelihood:
    @pytest.mark.parametrize("parameters", [{}, {"beta": 3.0}, {"noise_variance": 0.3}])
    def test_score_samples_is_the_gaussian_density(self, parameters):
        X, new = draw(), draw(seed=3)
        vae = LinearBetaVAE(3, **parameters).fit(X)
        assert vae.active_ > 0
        law = multivariate_normal(X.mean(axis=0), vae.decoder_ @ vae.decoder_.T
                                  + vae.noise_variance_ * np.eye(6))  # fmt: skip
        np.testing.assert_allclose(vae.score_samples(new), law.logpdf(new), rtol=EXACT)
        assert vae.score(new) == pytest.approx(
            vae.model_.log_likelihood(Spectrum.from_samples(new)), rel=EXACT
        )
        assert vae.score(new, np.zeros(len(new))) == vae.score_samples(new).mean()

    def test_elbo_below_likelihood_and_equal_to_it_at_beta_one(self):
        X, new = draw(), draw(seed=3)
        exact, other = LinearBetaVAE(3).fit(X), LinearBetaVAE(3, beta=2.0).fit(X)
        # With orthogonal decoder columns the posterior at β = 1 is the exact one, on any data.
        assert exact.evaluate(new).elbo == pytest.approx(exact.score(new), rel=EXACT)
        assert other.evaluate(new).elbo < other.score(new) - 1e-3
        assert other.evaluate(new).beta == 2.0

    @pytest.mark.parametrize("beta", [0.5, 1.0, 1.7])
    def test_calibrated_noise_variance_beats_its_neighbours(self, beta):
        X = draw()
        best = LinearBetaVAE(2, beta=beta).fit(X)
        lowest = best.evaluate(X).objective
        for factor in (0.5, 0.99, 1.01, 2.0):
            fixed = LinearBetaVAE(2, beta=beta, noise_variance=best.noise_variance_ * factor)
            assert fixed.fit(X).evaluate(X).objective > lowest + 1e-6

    def test_everything_dead_is_an_isotropic_gaussian(self):
        X = draw()
        vae = LinearBetaVAE(3, beta=1e3).fit(X)
        assert vae.active_ == 0
        assert not vae.transform(X).any()
        np.testing.assert_allclose(vae.get_covariance(), np.eye(6) * X.var(axis=0).mean())
        law = multivariate_normal(X.mean(axis=0), X.var(axis=0).mean() * np.eye(6))
        np.testing.assert_allclose(vae.score_samples(X), law.logpdf(X), rtol=EXACT)

    def test_more_features_than_samples(self):
        X = draw(n_samples=8, n_features=30)
        vae = LinearBetaVAE(3).fit(X)
        law = multivariate_normal(X.mean(axis=0), vae.get_covariance())
        np.testing.assert_allclose(vae.score_samples(X), law.logpdf(X), rtol=1e-8)


class TestAtBeta:
    @pytest.mark.parametrize("noise_variance", [None, 0.4])
    @pytest.mark.parametrize("n_components", [None, 4])
    @pytest.mark.parametrize("beta", [0.3, 1.0, 2.5, 40.0])
    def test_equals_a_fit_at_that_beta(self, noise_variance, n_components, beta):
        X = draw()
        start = LinearBetaVAE(n_components, beta=0.9, noise_variance=noise_variance).fit(X)
        before = start.encoder_.copy()
        moved = start.at_beta(beta)
        fitted = clone(start).set_params(beta=beta).fit(X)
        for name in ATTRIBUTES:
            np.testing.assert_array_equal(getattr(moved, name), getattr(fitted, name))
        assert moved.get_params() == fitted.get_params()
        assert np.array_equal(moved.transform(X), fitted.transform(X))
        assert np.array_equal(start.encoder_, before)
        assert start.beta == 0.9

    @pytest.mark.parametrize("noise_variance", [None, 0.4])
    def test_moves_along_the_frontier(self, noise_variance):
        X = draw()
        vae = LinearBetaVAE(4, noise_variance=noise_variance).fit(X)
        for beta in (0.6, 1.0, 1.9):
            terms, point = vae.at_beta(beta).evaluate(X), vae.frontier_.at_beta(beta)
            for name in ("rate", "distortion", "squared_error", "noise_variance"):
                assert getattr(terms, name) == pytest.approx(float(getattr(point, name)), rel=1e-9)

    @pytest.mark.parametrize("noise_variance", [None, 0.4])
    def test_modes_die_at_critical_betas(self, noise_variance):
        vae = LinearBetaVAE(4, noise_variance=noise_variance).fit(draw())
        assert vae.critical_betas_.shape == (4,)
        for mode, critical in enumerate(vae.critical_betas_):
            assert vae.at_beta(critical * (1 - 1e-9)).active_ == mode + 1
            assert vae.at_beta(critical * (1 + 1e-9)).active_ == mode

    def test_modes_that_never_live_have_critical_beta_zero(self):
        X = np.hstack([draw(n_features=2), np.zeros((300, 3))])
        for noise_variance in (None, 0.4):
            vae = LinearBetaVAE(4, beta=3.0, noise_variance=noise_variance).fit(X)
            assert vae.critical_betas_.shape == (4,)
            assert (vae.critical_betas_[:2] > 0).all()
            assert not vae.critical_betas_[2:].any()

    def test_keeps_names_and_width(self):
        vae = LinearBetaVAE(2).fit(draw())
        vae.feature_names_in_ = np.array(list("abcdef"), dtype=object)
        moved = vae.at_beta(2.0)
        assert list(moved.feature_names_in_) == list("abcdef")
        assert moved.n_features_in_ == 6


class TestSample:
    def test_moments(self):
        vae = LinearBetaVAE(3, beta=1.5).fit(draw())
        count = 40_000
        drawn = vae.sample(count, random_state=11)
        law = vae.get_covariance()
        spread = np.sqrt((np.outer(np.diag(law), np.diag(law)) + law**2) / count)
        assert np.abs((np.cov(drawn.T, bias=True) - law) / spread).max() < STANDARD_ERRORS
        assert (
            np.abs((drawn.mean(axis=0) - vae.mean_) / np.sqrt(np.diag(law) / count)).max()
            < STANDARD_ERRORS
        )

    def test_seeds(self):
        vae = LinearBetaVAE(2).fit(draw())
        state = np.random.get_state()[1].copy()  # noqa: NPY002
        assert vae.sample().shape == (1, 6)
        assert np.array_equal(vae.sample(5, 3), vae.sample(5, np.random.default_rng(3)))
        first, second = (vae.sample(5, np.random.RandomState(3)) for _ in range(2))
        assert np.array_equal(first, second)
        assert not np.array_equal(vae.sample(5), vae.sample(5))
        assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002
