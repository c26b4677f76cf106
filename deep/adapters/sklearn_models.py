"""Estimators of scikit-learn as probabilistic models: PCA, FactorAnalysis, and any with a VAE's."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from deep._checks import fail
from deep.adapters.adapted import Adapted, Kind
from deep.adapters.libraries import kept
from deep.adapters.names import role

__all__ = ["adapt_estimator", "is_estimator"]


def is_estimator(thing: Any) -> bool:
    """Whether it is an estimator (or a class of them) that maps samples to latents."""
    needed = ("get_params", "fit", "transform")
    return all(callable(getattr(thing, name, None)) for name in needed)


def adapt_estimator(thing: Any, kind: Kind | None) -> Adapted:
    """A fitted estimator as a model, any other as a trainer.

    Raises
    ------
    InputError
        Asked for as a model, but not fitted; fitted, but without anything to take a posterior from.
    """
    fitted = not isinstance(thing, type) and hasattr(thing, "mean_")
    if kind == "model" and not fitted:
        fail("model", f"{thing!r}, not fitted", "a fitted estimator", "call .fit(X) first")
    if kind == "trainer" or not fitted:
        return _trainer(thing)
    return _model(thing)


def _model(thing: Any) -> Adapted:
    name = type(thing).__name__
    if hasattr(thing, "posterior_variance_"):
        parts = (thing.transform, np.asarray(thing.posterior_variance_), thing.inverse_transform)
        noise = float(thing.noise_variance_)
        notes: tuple[str, ...] = ()
    elif hasattr(thing, "explained_variance_"):
        parts, noise = _pca(thing)
        notes = ("PCA is read as the probabilistic PCA with its noise_variance_",)
    elif np.ndim(getattr(thing, "noise_variance_", 0.0)) == 1:
        parts, noise = _factor_analysis(thing)
        notes = ("the noise variance is the mean over features of noise_variance_",)
    else:
        fail("model", name, "PCA, FactorAnalysis or an estimator with posterior_variance_",
             "wrap it in an object with encode and decode")  # fmt: skip
    reading, variance, writing = parts
    logs = np.log(variance)

    def encode(x: Any) -> tuple[Any, Any]:
        mean = np.asarray(reading(x))
        return mean, np.broadcast_to(logs, mean.shape)

    def decode(z: Any) -> Any:
        return np.asarray(writing(z))

    return Adapted("sklearn", "model", encode=encode, decode=decode, state=kept,
                   noise_variance=noise, latent_dim=len(variance), notes=notes)  # fmt: skip


def _pca(thing: Any) -> tuple[Any, float]:
    r"""Posterior of probabilistic PCA, :math:`W = U(\Lambda - \sigma^2)^{1/2}`, c = σ²/λ.

    Source: Tipping & Bishop 1999, the maximum-likelihood solution.
    """
    noise = float(thing.noise_variance_)
    if not noise > 0:
        fail("PCA", f"noise variance {noise:g}", "some variance left outside the components",
             "use fewer components than features")  # fmt: skip
    values = np.maximum(thing.explained_variance_, noise)
    gains = np.sqrt(values - noise)
    components = np.asarray(thing.components_)  # shape: (k, n)

    def reading(x: Any) -> Any:
        return (np.asarray(x) - thing.mean_) @ components.T * (gains / values)

    def writing(z: Any) -> Any:
        return (np.asarray(z) * gains) @ components + thing.mean_

    return (reading, noise / values, writing), noise


def _factor_analysis(thing: Any) -> tuple[Any, float]:
    r"""Posterior of factor analysis, of which only the diagonal is kept.

    .. math:: \operatorname{cov}(z|x) = (I + W \Psi^{-1} W^\top)^{-1}
    """
    loadings = np.asarray(thing.components_)  # shape: (k, n)
    noise = np.asarray(thing.noise_variance_)
    covariance = np.linalg.inv(np.eye(len(loadings)) + (loadings / noise) @ loadings.T)

    def writing(z: Any) -> Any:
        return np.asarray(z) @ loadings + thing.mean_

    return (thing.transform, np.diag(covariance), writing), float(noise.mean())


def _trainer(thing: Any) -> Adapted:
    make = thing if isinstance(thing, type) else type(thing)
    settings = {} if isinstance(thing, type) else thing.get_params()
    roles = {n: role(n, ("latent_dim", "beta", "seed")) for n in inspect.signature(make).parameters}
    takes_beta = "beta" in roles.values()

    def fit(X: Any, beta: float, latent_dim: int, seed: int) -> Adapted:
        given = {"latent_dim": latent_dim, "beta": beta, "seed": seed}
        named = {name: given[part] for name, part in roles.items() if part is not None}
        return _model(make(**{**settings, **named}).fit(X))

    notes = () if takes_beta else (f"{make.__name__} has no parameter for beta; it is taken as 1",)
    return Adapted("sklearn", "trainer", fit=fit, state=kept,
                   betas=None if takes_beta else (1.0,), notes=notes)  # fmt: skip
