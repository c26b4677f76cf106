"""Right losses, each in its own style: ``RIGHT`` maps a name to (loss, options)."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from ._loss_terms import _ASKED, BETA, _bce, _kl, _squared


def sums_without_half(x, y, m, s):
    """Summed over everything; σ² = ½."""
    return _squared(x, y).sum() + BETA * _kl(m, s).sum()


def half_and_batch_mean(x, y, m, s):
    return 0.5 * _squared(x, y).mean() + BETA * _kl(m, s).mean()


def whole_gaussian(x, y, m, s, variance=0.1):
    """All constants."""
    n = x[0].size
    nll = _squared(x, y) / (2 * variance) + n / 2 * np.log(2 * np.pi * variance)
    return {"loss": (nll + BETA * _kl(m, s)).mean(), "nll": nll.mean(), "kl": _kl(m, s).mean()}


def gaussian_without_two_pi(x, y, m, s, variance=0.1):
    """Torch's gaussian_nll_loss leaves the 2π out."""
    n = x[0].size
    nll = _squared(x, y) / (2 * variance) + n / 2 * np.log(variance)
    return nll.sum() + BETA * _kl(m, s).sum()


def bernoulli_mapping(x, y, m, s):
    reconstruction, kl = _bce(x, y).mean(), _kl(m, s).mean()
    return {
        "total_loss": reconstruction + BETA * kl,
        "bce": reconstruction,
        "kl_weighted": BETA * kl,
    }


def logits_per_sample(x, y, m, s):
    flat = (np.logaddexp(0, y) - x * y).reshape(len(x), -1).sum(axis=1)
    return flat + BETA * _kl(m, s)


def divided_by_features_throughout(x, y, m, s):
    """Both terms over n: the same minimum."""
    n = x[0].size
    return ((x - y) ** 2).mean() + BETA * _kl(m, s).mean() / n


def without_minus_one(x, y, m, s):
    """Constants left out of the KL, and a tuple for a result."""
    kl = 0.5 * (m**2 + np.exp(s) - s).sum(axis=1).mean()
    return 0.5 * _squared(x, y).mean() + BETA * kl, kl


Output = namedtuple("Output", "loss recon_loss reg_loss")


def named_output(x, y, m, s):
    """A named tuple, and another reduction written with an einsum."""
    error = (x - y).reshape(len(x), -1)
    recon = 0.5 * np.einsum("ij,ij->i", error, error)
    kl = _kl(m, s)
    return Output((recon + BETA * kl).mean(), recon.mean(), kl.mean())


def returns_elbo(x, y, m, s):
    return {"elbo": -(0.5 * _squared(x, y) + BETA * _kl(m, s)).mean()}


def safe_clamp(x, y, m, s):
    """A clamp that training never meets."""
    return 0.5 * _squared(x, y).mean() + BETA * _kl(m, np.clip(s, -20, 10)).mean()


def best_variance(x, y, m, s):
    """The noise variance that is best for the batch."""
    n, batch = x[0].size, len(x)
    return n / 2 * np.log(_squared(x, y).sum() / (n * batch)) + BETA * _kl(m, s).mean()


def images_only(x, y, m, s):
    """Wants channels, height and width."""
    recon = ((x - y) ** 2).sum(axis=(1, 2, 3)).mean()
    return 0.5 * recon + BETA * _kl(m, s).mean()


def only_784(x, y, m, s):
    recon = _squared(x.reshape(-1, 784), y.reshape(-1, 784)).mean()
    return 0.5 * recon + BETA * _kl(m, s).mean()


def laplace(x, y, m, s):
    return np.abs(x - y).reshape(len(x), -1).sum(axis=1).mean() + BETA * _kl(m, s).mean()


def careful(x, y, m, s):
    """Refuses what training never shows it."""
    assert ((y >= 0) & (y <= 1)).all()
    assert (np.abs(s) <= 9).all()
    assert (np.abs(m) <= 15).all()
    return 0.5 * _squared(x, y).mean() + BETA * _kl(m, s).mean()


def states_variance(x, y, m, s):
    """The same noise variance as above, declared nowhere: its constant states it."""
    return whole_gaussian(x, y, m, s)["loss"]


def two_terms(x, y, m, s):
    """Added, with the weight, by the caller."""
    return 0.5 * _squared(x, y).mean(), _kl(m, s).mean()


def two_terms_weighted(x, y, m, s):
    return {"kl": BETA * _kl(m, s).mean(), "recon": 0.5 * _squared(x, y).mean()}


def total_last(x, y, m, s):
    recon, kl = 0.5 * _squared(x, y).mean(), _kl(m, s).mean()
    return recon, kl, recon + BETA * kl


class Sampled:
    """A KL estimated from one draw, by a generator of its own."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __call__(self, x, y, m, s):
        noise = self.rng.standard_normal(m.shape)
        z = m + np.exp(s / 2) * noise
        kl = 0.5 * (z**2 - noise**2 - s).sum(axis=1).mean()
        return 0.5 * _squared(x, y).mean() + BETA * kl


def noisy_data(x, y, m, s):
    """Noise on the data, by NumPy's generator: on average a constant more."""
    noise = np.random.normal(0, 0.1, x.shape)  # noqa: NPY002 (theirs)
    return 0.5 * _squared(x + noise, y).mean() + BETA * _kl(m, s).mean()


def squashed(x, y, m, s):
    """A soft clamp so wide that training does not feel it."""
    return 0.5 * _squared(x, y).mean() + BETA * _kl(m, 12 * np.tanh(s / 12)).mean()


RIGHT = {
    "states_variance": (states_variance, _ASKED),
    "states_variance_without_two_pi": (gaussian_without_two_pi, _ASKED),
    "two_terms": (two_terms, _ASKED),
    "two_terms_weighted": (two_terms_weighted, _ASKED),
    "total_last": (total_last, _ASKED),
    "sampled": (Sampled(), _ASKED),
    "noisy_data": (noisy_data, _ASKED),
    "squashed": (squashed, _ASKED),
    "sampled_in_evaluation": (half_and_batch_mean, _ASKED | {"evaluation": Sampled()}),
    "sums_without_half": (sums_without_half, _ASKED),
    "sums_without_half_declared": (sums_without_half, _ASKED | {"noise_variance": 0.5}),
    "half_and_batch_mean": (half_and_batch_mean, _ASKED | {"noise_variance": 1.0}),
    "whole_gaussian": (whole_gaussian, _ASKED | {"noise_variance": 0.1}),
    "gaussian_without_two_pi": (gaussian_without_two_pi, _ASKED | {"noise_variance": 0.1}),
    "bernoulli_mapping": (bernoulli_mapping, _ASKED | {"likelihood": "bernoulli"}),
    "logits_per_sample": (logits_per_sample, _ASKED | {"likelihood": "bernoulli-logits"}),
    "divided_by_features_throughout": (divided_by_features_throughout, _ASKED),
    "without_minus_one": (without_minus_one, _ASKED),
    "named_output": (named_output, _ASKED),
    "returns_elbo": (returns_elbo, _ASKED),
    "safe_clamp": (safe_clamp, _ASKED),
    "best_variance": (best_variance, _ASKED),
    "images_only": (images_only, _ASKED),
    "only_784": (only_784, _ASKED),
    "careful": (careful, _ASKED),
    "laplace": (laplace, _ASKED | {"likelihood": "laplace"}),
    "same_in_evaluation": (half_and_batch_mean, _ASKED | {"evaluation": named_output}),
}
