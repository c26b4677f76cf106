"""LinearBetaVAE among other scikit-learn objects, and its answers to bad input."""

from __future__ import annotations

import pickle

import numpy as np
import pandas
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from linvae.errors import InputError, InputTypeError, UnboundedObjectiveError
from linvae.estimator import LinearBetaVAE
from tests.linvae.test_estimator import draw


class TestEcosystem:
    def test_grid_search_finds_the_number_of_components(self):
        rng = np.random.default_rng(5)
        axes = np.linalg.qr(rng.standard_normal((8, 3)))[0]
        X = rng.standard_normal((600, 3)) * [5.0, 4, 3] @ axes.T
        X += rng.standard_normal(X.shape)
        search = GridSearchCV(LinearBetaVAE(), {"n_components": [1, 2, 3, 4, 5, 6]}, cv=3).fit(X)
        assert search.best_params_ == {"n_components": 3}
        assert search.best_score_ == pytest.approx(
            np.mean([LinearBetaVAE(3).fit(np.delete(X, s, 0)).score(X[s])
                     for s in (slice(0, 200), slice(200, 400), slice(400, 600))]))  # fmt: skip

    def test_pipeline(self):
        X = draw()
        labels = X[:, 0] > X[:, 0].mean()
        model = make_pipeline(StandardScaler(), LinearBetaVAE(4), LogisticRegression())
        assert model.fit(X, labels).score(X, labels) > 0.9
        names = model[:-1].get_feature_names_out()
        assert list(names) == [f"linearbetavae{i}" for i in range(4)]

    def test_pickle_and_clone(self):
        X = draw()
        vae = LinearBetaVAE(3, beta=1.5).fit(X)
        loaded = pickle.loads(pickle.dumps(vae))
        assert np.array_equal(loaded.transform(X), vae.transform(X))
        assert np.array_equal(loaded.at_beta(2.0).encoder_, vae.at_beta(2.0).encoder_)
        assert clone(vae).get_params() == {"n_components": 3, "beta": 1.5, "noise_variance": None}
        assert repr(vae) == "LinearBetaVAE(beta=1.5, n_components=3)"

    def test_pandas(self):
        frame = pandas.DataFrame(draw(), columns=list("abcdef"))
        vae = LinearBetaVAE(2).set_output(transform="pandas").fit(frame)
        assert list(vae.feature_names_in_) == list("abcdef")
        assert list(vae.transform(frame).columns) == ["linearbetavae0", "linearbetavae1"]
        with pytest.raises(ValueError, match="feature names"):
            vae.transform(frame[list("bacdef")])


class TestBadInput:
    @pytest.mark.parametrize(
        ("parameters", "kind", "match"),
        [
            ({"n_components": 0}, InputError, "n_components: got 0"),
            ({"n_components": 7}, InputError, "n_components: got 7.*<= 6"),
            ({"n_components": 2.0}, InputTypeError, "n_components: got 2.0"),
            ({"n_components": True}, InputTypeError, "n_components: got True"),
            ({"beta": 0.0}, InputError, "beta: got 0.0"),
            ({"beta": float("nan")}, InputError, "beta: got nan"),
            ({"beta": [1.0, 2.0]}, InputError, r"beta: got shape \(2,\).*at_beta"),
            ({"beta": "1"}, InputTypeError, "beta: got dtype"),
            ({"noise_variance": -1.0}, InputError, "noise_variance: got -1.0"),
            ({"noise_variance": [1.0]}, InputError, "noise_variance: got shape"),
        ],
    )
    def test_parameters(self, parameters, kind, match):
        with pytest.raises(kind, match=match):
            LinearBetaVAE(**parameters).fit(draw())

    def test_no_minimum_says_what_to_pass(self):
        for X, counts in ((draw(n_samples=1), "n_samples=1, n_features=6"),
                          (np.ones((5, 3)), "n_samples=5, n_features=3, rank 0"),
                          (draw(n_samples=4), "n_samples=4, n_features=6, rank 3")):  # fmt: skip
            with pytest.raises(UnboundedObjectiveError, match=f"{counts}.*pass noise_variance"):
                LinearBetaVAE(min(X.shape[1], 3)).fit(X)
            fixed = LinearBetaVAE(3, noise_variance=0.1).fit(X)
            assert np.isfinite(fixed.score(X))

    def test_at_beta_below_the_smallest_calibrated_one(self):
        vae = LinearBetaVAE(3, beta=3.0).fit(draw(n_samples=4))
        with pytest.raises(UnboundedObjectiveError, match="beta=1;"):
            vae.at_beta(1.0)
        with pytest.raises(InputError, match="beta"):
            vae.at_beta([1.0, 2.0])

    def test_data(self):
        vae = LinearBetaVAE(2)
        with pytest.raises(TypeError, match=r"Sparse data was passed.*toarray"):
            vae.fit(sparse.csr_matrix(np.eye(4)))
        for bad in (np.full((3, 3), np.nan), np.zeros(3), np.zeros((0, 3)), np.ones((3, 3)) * 1j):
            with pytest.raises(ValueError):
                vae.fit(bad)
        vae.fit(draw())
        with pytest.raises(ValueError, match="5 features"):
            vae.transform(np.ones((2, 5)))
        with pytest.raises(InputError, match=r"latents: got shape \(2, 3\)"):
            vae.inverse_transform(np.ones((2, 3)))
        with pytest.raises(InputTypeError, match="n_samples"):
            vae.sample(2.5)

    def test_unfitted(self):
        vae = LinearBetaVAE(2)
        for call in (
            lambda: vae.transform(draw()),
            lambda: vae.inverse_transform(np.ones((1, 2))),
            lambda: vae.score(draw()),
            lambda: vae.evaluate(draw()),
            lambda: vae.sample(1),
            lambda: vae.get_covariance(),
            lambda: vae.at_beta(2.0),
        ):
            with pytest.raises(NotFittedError):
                call()
