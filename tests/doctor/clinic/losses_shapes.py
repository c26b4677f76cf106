"""Losses whose terms have another shape, a total that is not its parts, or a mode of their own.

Thresholds, clamps, couplings, other errors; ``FAULTY`` is as in ``losses_weights``.
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
from .losses_right import laplace


def _free_bits(m, s):
    return np.maximum(_entries(m, s), 0.25).sum(axis=1).mean()


def _free_bits_batch(m, s):
    return np.maximum(_entries(m, s).mean(axis=0), 0.1).sum()


def _free_bits_total(m, s):
    return np.maximum(_kl(m, s).mean(), 2.0)


def _capacity(m, s):
    return np.abs(_kl(m, s).mean() - 5.0)


def _first_latents(m, s):
    return _kl(m[:, :2], s[:, :2]).mean()


def _three_latents(m, s):
    return _kl(m[:, :3], s[:, :3]).mean()


def _last_sample(m, s):
    return _kl(m, s)[-1]


def _averaged_first(m, s):
    return _entries(m.mean(axis=0), s.mean(axis=0)).sum()


def _latents_added(m, s):
    return 0.5 * (m.sum(axis=1) ** 2 + (np.exp(s) - 1 - s).sum(axis=1)).mean()


def _huber(x, y):
    d = np.abs(x - y)
    return np.where(d < 1, 0.5 * d**2, d - 0.5).reshape(len(x), -1).sum(axis=1).mean()


def _sigmoid(y):
    return 1 / (1 + np.exp(-y))


def multiplied(x, y, m, s):
    return 0.5 * _squared(x, y).mean() * (1 + BETA * _kl(m, s).mean())


def wrong_total(x, y, m, s):
    """The logged KL is right, the one in the total reads a standard deviation only in its log."""
    recon, kl = 0.5 * _squared(x, y).mean(), _kl(m, s).mean()
    other = 0.5 * (m**2 + np.exp(s) - 1).sum(axis=1).mean()
    return {"loss": recon + BETA * other, "recon": recon, "kl": kl}


def kl_dropped_from_total(x, y, m, s):
    recon, kl = 0.5 * _squared(x, y).mean(), _kl(m, s).mean()
    return {"loss": recon, "recon": recon, "kl": kl}


def logged_negative(x, y, m, s):
    recon, kl = 0.5 * _squared(x, y).mean(), _kl(m, s).mean()
    return {"loss": recon + BETA * kl, "Reconstruction_Loss": recon, "KLD": -kl}


class Annealed:
    """The weight grows with each call and ends far too late."""

    def __init__(self):
        self.step = 0

    def __call__(self, x, y, m, s):
        self.step += 1
        return 0.5 * _squared(x, y).mean() + min(1.0, self.step / 1e4) * BETA * _kl(m, s).mean()


class Dropped:
    """Dropout of x_hat inside the loss, which no average makes a squared error again."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __call__(self, x, y, m, s):
        kept = self.rng.random(y.shape) > 0.3
        return 0.5 * _squared(x, y * kept / 0.7).mean() + BETA * _kl(m, s).mean()


def every_pair(x, y, m, s):
    """(N, 1, n) against (1, N, n)."""
    error = ((x[:, None] - y[None]) ** 2).reshape(len(x), len(x), -1).sum(axis=2)
    return 0.5 * error.mean() + BETA * _kl(m, s).mean()


def _log_sum(log, axis):
    return np.log(np.exp(log).sum(axis=axis))


def with_total_correlation(m, s):
    """A term of the batch's aggregated posterior beside the KL."""
    log = -0.5 * (s[None] + (m[:, None] - m[None]) ** 2 / np.exp(s[None]))
    together = _log_sum(log.sum(axis=2), 1) - _log_sum(log, 1).sum(axis=1)
    return _kl(m, s).mean() + 2 * together.mean()


class Modes:
    """β in training, 1 in evaluation."""

    def __init__(self):
        self.training = True

    def train(self, mode=True):
        self.training = mode

    def eval(self):
        self.training = False

    def __call__(self, x, y, m, s):
        weight = BETA if self.training else 1.0
        return 0.5 * _squared(x, y).mean() + weight * _kl(m, s).mean()


FAULTY = {
    "free_bits": (_plus(_free_bits), _ASKED, "free-bits"),
    "free_bits_batch": (_plus(_free_bits_batch), _ASKED, "free-bits"),
    "free_bits_total": (_plus(_free_bits_total), _ASKED, "free-bits"),
    "capacity": (_plus(_capacity), _ASKED, "kl-target"),
    "kl_clipped": (
        _plus(lambda m, s: np.minimum(_entries(m, s), 2.0).sum(axis=1).mean()),
        _ASKED,
        "kl-clipped",
    ),
    "tight_clamp": (
        _plus(lambda m, s: _kl(m, np.clip(s, -3, 1)).mean()),
        _ASKED,
        "log-variance-clamped",
    ),
    "first_latents": (_plus(_first_latents), _ASKED, "kl-uneven"),
    "three_latents": (_plus(_three_latents), _ASKED, "kl-uneven"),
    "last_sample": (_plus(_last_sample), _ASKED, "kl-uneven"),
    "averaged_first": (_plus(_averaged_first), _ASKED, "kl-couples-samples"),
    "latents_added": (_plus(_latents_added), _ASKED, "kl-couples-latents"),
    "rmse": (
        _with(lambda x, y: np.sqrt(_squared(x, y).mean())),
        _ASKED,
        "reconstruction-under-a-root",
    ),
    "norm": (
        _with(lambda x, y: np.sqrt(_squared(x, y)).mean()),
        _ASKED,
        "reconstruction-under-a-root",
    ),
    "huber": (_with(_huber), _ASKED, "reconstruction-clipped"),
    "clipped_output": (
        _with(lambda x, y: 0.5 * _squared(x, np.clip(y, 0, 1)).mean()),
        _ASKED,
        "reconstruction-clipped",
    ),
    "bce_swapped": (
        _with(lambda x, y: _bce(y, x).mean()),
        _BERNOULLI,
        "cross-entropy-arguments-swapped",
    ),
    "bce_one_sided": (
        _with(lambda x, y: -(x * np.log(y)).reshape(len(x), -1).sum(axis=1).mean()),
        _BERNOULLI,
        "cross-entropy-one-sided",
    ),
    "sigmoid_twice": (
        _with(lambda x, y: _bce(x, _sigmoid(_sigmoid(y))).mean()),
        {"beta": BETA, "likelihood": "bernoulli-logits"},
        "sigmoid-twice",
    ),
    "logits_for_probabilities": (
        _with(lambda x, y: _bce(x, _sigmoid(y)).mean()),
        _BERNOULLI,
        "likelihood-not-as-declared",
    ),
    "squashed": (
        _with(lambda x, y: 0.5 * _squared(x, _sigmoid(y)).mean()),
        _ASKED | {"likelihood": "gaussian"},
        "output-squashed",
    ),
    "first_feature_left_out": (
        _with(lambda x, y: 0.5 * _squared(x[:, 1:], y[:, 1:]).mean()),
        _ASKED,
        "reconstruction-uneven",
    ),
    "batch_averaged_before": (
        _with(lambda x, y: 0.5 * ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum()),
        _ASKED,
        "reconstruction-couples-samples",
    ),
    "features_added": (
        _with(lambda x, y: 0.5 * (((x - y).reshape(len(x), -1).sum(axis=1)) ** 2).mean()),
        _ASKED,
        "reconstruction-couples-features",
    ),
    "two_errors": (
        _with(lambda x, y: 0.5 * _squared(x, y).mean() + np.abs(x - y).sum() / len(x)),
        _ASKED,
        "reconstruction-mixed",
    ),
    "multiplied": (multiplied, _ASKED, "terms-interact"),
    "wrong_total": (wrong_total, _ASKED, "total-is-not-its-parts"),
    "kl_dropped_from_total": (kl_dropped_from_total, _ASKED, "kl-missing"),
    "logged_negative": (logged_negative, _ASKED, "reported-kl-sign"),
    "annealed": (Annealed(), _ASKED, "loss-changes-with-each-call"),
    "dropped": (Dropped(), _ASKED, "loss-is-random"),
    "every_pair": (every_pair, _ASKED, "reconstruction-couples-samples"),
    "total_correlation": (_plus(with_total_correlation), _ASKED, "kl-aggregate-term"),
    "soft_clamp": (
        _plus(lambda m, s: _kl(m, 2 * np.tanh(s / 2)).mean()),
        _ASKED,
        "log-variance-clamped",
    ),
    "evaluation_weight": (
        _KL_MEAN,
        _ASKED | {"evaluation": _plus(lambda m, s: _kl(m, s).mean(), weight=1.0)},
        "evaluation-beta-differs",
    ),
    "evaluation_mode": (Modes(), _ASKED, "evaluation-beta-differs"),
    "evaluation_likelihood": (
        _KL_MEAN,
        _ASKED | {"evaluation": laplace},
        "evaluation-differs",
    ),
    "evaluation_random": (
        _KL_MEAN,
        _ASKED | {"evaluation": Dropped()},
        "evaluation-changes",
    ),
    "hundred_written": (
        _plus(lambda m, s: _kl(m, s).mean() / 128),
        _ASKED,
        "beta-not-as-declared",
    ),
}  # fmt: skip
