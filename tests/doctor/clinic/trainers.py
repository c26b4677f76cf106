"""Trainers written for these tests: each with one known fault, and right ones in several styles."""

from __future__ import annotations

import numpy as np

from ._hand_written import Affine, Recipe, train


def _by_hand(**changes):
    recipe = Recipe(**changes)

    def fit(X, beta, latent_dim, seed):
        return Affine(train(recipe, np.asarray(X), beta, latent_dim, seed), recipe)

    return fit


def _samples_at_evaluation(X, beta, latent_dim, seed):
    recipe = Recipe()
    return Affine(train(recipe, X, beta, latent_dim, seed), recipe, np.random.default_rng(seed))


def _closed_form(ddof, variance):
    """Probabilistic PCA in closed form, generalised to any beta."""

    def fit(X, beta, latent_dim, seed):
        mu = X.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(X.T, ddof=ddof))
        values, U = values[::-1][:latent_dim], vectors[:, ::-1][:, :latent_dim]
        tau = beta * variance
        gains = np.sqrt(np.maximum(values - tau, 0))
        E = (gains / values)[:, None] * U.T
        weights = {
            "E": E,
            "h": -E @ mu,
            "l": np.log(np.minimum(1, tau / values)),
            "D": U * gains,
            "m": mu,
        }
        return Affine(weights, Recipe())

    return fit


def _quasi_newton(X, beta, latent_dim, seed):
    """The exact objective, ½ of the squared error, minimised by L-BFGS."""
    from scipy.optimize import minimize

    n, k = X.shape[1], latent_dim
    mu = X.mean(axis=0)
    S = (X - mu).T @ (X - mu) / len(X)

    def objective(flat):
        E, D, log_var = flat[: k * n].reshape(k, n), flat[k * n : -k].reshape(n, k), flat[-k:]
        c, missed = np.exp(log_var), S - D @ E @ S
        error = np.trace(missed) - np.trace(missed @ E.T @ D.T) + ((D**2) @ c).sum()
        kl = 0.5 * (c.sum() + np.trace(E @ S @ E.T) - k - log_var.sum())
        slope_E = -D.T @ missed + beta * E @ S
        slope_D = D * c - missed @ E.T
        slope_l = 0.5 * c * (D**2).sum(axis=0) + 0.5 * beta * (c - 1)
        return 0.5 * error + beta * kl, np.concatenate([slope_E.ravel(), slope_D.ravel(), slope_l])

    start = 0.3 * np.random.default_rng(seed).standard_normal(2 * n * k + k)
    options = {"maxiter": 2000, "maxfun": 4000, "gtol": 1e-8, "ftol": 1e-15}
    flat = minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x
    E, D, log_var = flat[: k * n].reshape(k, n), flat[k * n : -k].reshape(n, k), flat[-k:]
    return Affine({"E": E, "h": -E @ mu, "l": log_var, "D": D, "m": mu}, Recipe())


class _Wrapped:
    """A right model with another form of answer."""

    def __init__(self, model, encode):
        self.model, self._encode = model, encode

    def encode(self, x):
        return self._encode(*self.model.encode(x))

    def decode(self, z):
        return self.model.decode(z)


def _answering(encode, latents=None):
    """The closed form, answering with ``encode(mean, log_var)``; `latents` overrides k."""

    def fit(X, beta, latent_dim, seed):
        model = _closed_form(0, 0.5)(X, beta, latents or latent_dim, seed)
        return _Wrapped(model, encode)

    return fit


def _sample(mean, log_var):
    noise = np.random.default_rng(mean.size).standard_normal(mean.shape)
    return mean + np.exp(log_var / 2) * noise


def _several(mean, log_var):
    assert len(mean) > 1, "batch of one"
    return mean, log_var


_HALF = {"noise_variance": 0.5}
_ONE = {"noise_variance": 1.0}

FAULTY = {
    "mean over features": (
        _by_hand(error=lambda beta, n, k, N: 1 / n),
        {},
        "squared-error-averaged",
    ),
    "mean over latents": (
        _by_hand(kl=lambda beta, n, k, N: beta / k),
        {},
        "kl-averaged-over-latents",
    ),
    "no half in the KL": (
        _by_hand(kl=lambda beta, n, k, N: 2 * beta),
        _HALF,
        "half-missing",
    ),
    "no half in the error": (_by_hand(), _ONE, "half-missing"),
    "KL times batch size": (
        _by_hand(kl=lambda beta, n, k, N: beta * 64),
        {},
        "kl-summed-over-batch",
    ),
    "KL over batch size": (
        _by_hand(kl=lambda beta, n, k, N: beta / 100, steps=1500),
        {},
        "kl-divided-by-batch-size",
    ),
    "beta on the error": (
        _by_hand(error=lambda beta, n, k, N: beta, kl=lambda beta, n, k, N: 1.0),
        {},
        "beta-inverted",
    ),
    "beta not passed on": (
        _by_hand(kl=lambda beta, n, k, N: 1.0),
        {},
        "beta-ignored",
    ),
    "decoder variance": (
        _by_hand(),
        {"noise_variance": 0.1},
        "decoder-variance-forgotten",
    ),
    "annealing": (
        _by_hand(kl=lambda beta, n, k, N: 0.37 * beta),
        _HALF,
        "annealing-unfinished",
    ),
    "no KL": (_by_hand(kl=lambda beta, n, k, N: 0.0), {}, "kl-never-on"),
    "KL sign": (
        _by_hand(kl=lambda beta, n, k, N: -beta, steps=400),
        {},
        "kl-sign",
    ),
    "mean detached in KL": (
        _by_hand(mean_in_kl=False),
        {},
        "mean-missing-from-kl",
    ),
    "log_var detached in KL": (
        _by_hand(variance_in_kl=False),
        {},
        "variance-missing-from-kl",
    ),
    "no noise": (_by_hand(noise_in_error=False), {}, "no-sampling-noise"),
    "log std returned": (
        _by_hand(returned="log_std"),
        {},
        "log-variance-is-log-std",
    ),
    "std = exp(log_var)": (
        _by_hand(noise_power=2.0),
        {},
        "log-std-in-sampling",
    ),
    "KL of log std": (_by_hand(kl_power=2.0), {}, "log-std-in-kl"),
    "log_var frozen": (_by_hand(frozen=("l",)), {}, "log-variance-not-trained"),
    "decoder frozen": (_by_hand(frozen=("D", "m")), {}, "decoder-frozen"),
    "encoder frozen": (_by_hand(frozen=("E", "h")), {}, "encoder-frozen"),
    "z detached": (
        _by_hand(error_reaches_encoder=False),
        {},
        "latents-detached",
    ),
    "dead latent": (_by_hand(dead=0), {}, "dead-latent"),
    "ddof 1": (_closed_form(1, 0.5), {}, "ddof"),
    "no biases": (_by_hand(biases=False), {}, "mean-not-modelled"),
    "mean not added back": (_by_hand(centred=True), {}, "decoder-offset-missing"),
    "sample returned": (_samples_at_evaluation, {}, "noise-at-evaluation"),
    "std returned": (
        _answering(lambda mean, log_var: (mean, np.exp(log_var / 2))),
        {},
        "second-output-is-a-standard-deviation",
    ),
    "variance returned": (
        _answering(lambda mean, log_var: (mean, np.exp(log_var))),
        {},
        "second-output-is-a-variance",
    ),
    "log_var first": (
        _answering(lambda mean, log_var: (log_var, mean)),
        {},
        "mean-and-log-variance-swapped",
    ),
    "log_var clamped": (
        _answering(lambda mean, log_var: (mean, np.maximum(log_var, -1))),
        {},
        "log-variance-clamped-at-evaluation",
    ),
    "two latents always": (_answering(lambda *pair: pair, latents=2), {}, "latent-dim-ignored"),
    "weight decay": (_by_hand(decay=0.3), _HALF, "weight-decay"),
    "tied weights": (_by_hand(tied=True), _HALF, "tied-weights"),
    "free bits": (_by_hand(free=0.5, steps=1500, rate=0.02), _HALF, "free-bits"),
    "prior of variance 2": (_by_hand(prior=2.0), _HALF, "prior-variance"),
    "noise of std^(1/2)": (_by_hand(noise_power=0.5), {}, "square-root-in-sampling"),
    "stopped early": (_by_hand(steps=25, rate=0.02), {}, "not-converged"),
}

RIGHT = {
    "closed form, sum of squares": (_closed_form(0, 0.5), _HALF),
    "closed form, half": (_closed_form(0, 1.0), _ONE),
    "closed form, undeclared": (_closed_form(0, 1.0), {}),
    "L-BFGS, half": (_quasi_newton, {}),
    "Adam by hand": (_by_hand(), _HALF),
    "Adam by hand, small variance": (
        _by_hand(error=lambda beta, n, k, N: 5.0),
        {"noise_variance": 0.1},
    ),
    "sample first": (_answering(lambda mean, log_var: (_sample(mean, log_var), mean, log_var)), {}),
    "sample last": (_answering(lambda mean, log_var: (mean, log_var, _sample(mean, log_var))), {}),
    "no batch of one": (_answering(_several), {}),
}
