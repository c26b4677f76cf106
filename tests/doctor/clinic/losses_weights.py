"""Losses with a wrong factor, sign or KL formula: what each term weighs, and how it reads log_var.

``FAULTY`` maps a name to (loss, options of ``examine_loss``, expected code).
"""

from __future__ import annotations

import numpy as np

from ._loss_terms import (
    _ASKED,
    _BERNOULLI,
    _KL_MEAN,
    BETA,
    _bce,
    _entries,
    _kl,
    _plus,
    _squared,
    _with,
)


def _log_std(m, s):
    return 0.5 * (m**2 + np.exp(2 * s) - 1 - 2 * s).sum(axis=1).mean()


def _from_variance(m, v):
    with np.errstate(invalid="ignore"):
        return 0.5 * (m**2 + v - 1 - np.log(v)).sum(axis=1).mean()


def _from_std(m, v):
    with np.errstate(invalid="ignore"):
        return 0.5 * (m**2 + v**2 - 1 - np.log(v**2)).sum(axis=1).mean()


def _reversed(m, s):
    return 0.5 * (s + (1 + m**2) / np.exp(s) - 1).sum(axis=1).mean()


def inverted(x, y, m, s):
    return 0.5 * _squared(x, y).mean() + _kl(m, s).mean() / BETA


def reconstruction_weighted(x, y, m, s):
    return BETA * 0.5 * _squared(x, y).mean() + _kl(m, s).mean()


def _mean(x, y):
    return ((x - y) ** 2).mean()


_VARIANCE = {"beta": BETA, "noise_variance": 0.1}
FAULTY = {
    "mse_mean": (_with(_mean), _ASKED, "reconstruction-averaged-over-features"),
    "bce_mean": (
        _with(lambda x, y: _bce(x, y).mean() / x[0].size),
        _BERNOULLI,
        "reconstruction-averaged-over-features",
    ),
    "kl_mean_over_latents": (
        _plus(lambda m, s: _entries(m, s).mean()),
        _ASKED,
        "kl-averaged-over-latents",
    ),
    "kl_over_pixels": (
        lambda x, y, m, s: 0.5 * _squared(x, y).mean() + BETA * _kl(m, s).mean() / x[0].size,
        _ASKED,
        "kl-divided-by-features",
    ),
    "kl_summed_over_batch": (
        _plus(lambda m, s: _kl(m, s).sum()),
        _ASKED,
        "batch-size-changes-beta",
    ),
    "kl_over_batch_twice": (
        _plus(lambda m, s: _kl(m, s).mean() / len(m)),
        _ASKED,
        "batch-size-changes-beta",
    ),
    "kl_ddof": (
        _plus(lambda m, s: _kl(m, s).sum() / (len(m) - 1)),
        _ASKED,
        "batch-size-changes-beta",
    ),
    "kl_sign": (_plus(lambda m, s: -_kl(m, s).mean()), _ASKED, "kl-sign"),
    "reconstruction_sign": (
        _with(lambda x, y: -0.5 * _squared(x, y).mean()),
        _ASKED,
        "reconstruction-sign",
    ),
    "elbo_as_loss": (
        lambda x, y, m, s: -(0.5 * _squared(x, y) + BETA * _kl(m, s)).mean(),
        _ASKED,
        "loss-is-the-elbo",
    ),
    "log_std": (_plus(_log_std), _ASKED, "log-variance-read-as-log-std"),
    "variance": (_plus(_from_variance), _ASKED, "log-variance-read-as-variance"),
    "std": (_plus(_from_std), _ASKED, "log-variance-read-as-std"),
    "log_precision": (
        _plus(lambda m, s: _kl(m, -s).mean()),
        _ASKED,
        "log-variance-read-as-log-precision",
    ),
    "kl_reversed": (_plus(_reversed), _ASKED, "kl-reversed"),
    "no_exp": (
        _plus(lambda m, s: 0.5 * (m**2 + np.exp(s / 2) - 1 - s).sum(axis=1).mean()),
        _ASKED,
        "kl-formula",
    ),
    "plus_log_var": (
        _plus(lambda m, s: 0.5 * (m**2 + np.exp(s) - 1 + s).sum(axis=1).mean()),
        _ASKED,
        "kl-formula",
    ),
    "mean_not_squared": (
        _plus(lambda m, s: 0.5 * (m + np.exp(s) - 1 - s).sum(axis=1).mean()),
        _ASKED,
        "kl-formula",
    ),
    "no_log": (
        _plus(lambda m, s: 0.5 * (m**2 + np.exp(s) - 1).sum(axis=1).mean()),
        _ASKED,
        "kl-term-missing",
    ),
    "half_on_one_part": (
        _plus(lambda m, s: (0.5 * (m**2 + np.exp(s)) - 1 - s).sum(axis=1).mean()),
        _ASKED,
        "kl-prior-not-standard",
    ),
    "kl_half_missing": (
        _plus(lambda m, s: 2 * _kl(m, s).mean()),
        _ASKED | {"noise_variance": 1.0},
        "kl-half-missing",
    ),
    "kl_half_missing_bernoulli": (
        _with(lambda x, y: _bce(x, y).mean(), 2 * BETA),
        _BERNOULLI,
        "kl-half-missing",
    ),
    "half_missing": (
        _with(lambda x, y: _squared(x, y).mean() / 0.1),
        _VARIANCE,
        "half-missing",
    ),
    "variance_forgotten": (_KL_MEAN, _VARIANCE, "noise-variance-forgotten"),
    "variance_forgotten_no_half": (
        _with(lambda x, y: _squared(x, y).mean()),
        _VARIANCE,
        "noise-variance-forgotten",
    ),
    "std_for_variance": (
        _with(lambda x, y: _squared(x, y).mean() / (2 * 0.1**0.5)),
        _VARIANCE,
        "standard-deviation-for-variance",
    ),
    "variance_inverted": (
        _with(lambda x, y: _squared(x, y).mean() / 2 * 0.1),
        _VARIANCE,
        "noise-variance-inverted",
    ),
    "beta_inverted": (inverted, _ASKED | {"noise_variance": 1.0}, "beta-inverted"),
    "reconstruction_weighted": (reconstruction_weighted, _ASKED, "beta-inverted"),
    "beta_ignored": (
        _plus(lambda m, s: _kl(m, s).mean(), weight=1.0),
        _ASKED,
        "beta-ignored",
    ),
    "beta_twice": (
        _plus(lambda m, s: BETA * _kl(m, s).mean()),
        _ASKED,
        "beta-applied-twice",
    ),
    "bits": (
        _with(lambda x, y: _bce(x, y).mean() / np.log(2)),
        _BERNOULLI,
        "bits-for-nats",
    ),
    "kl_missing": (lambda x, y, m, s: 0.5 * _squared(x, y).mean(), _ASKED, "kl-missing"),
    "reconstruction_missing": (
        lambda x, y, m, s: 0.5 * _squared(x, x).mean() + BETA * _kl(m, s).mean(),
        _ASKED,
        "reconstruction-missing",
    ),
}  # fmt: skip
