"""Small losses written for the examination: each with one known fault, or right in its own style.

``FAULTY`` maps a name to (loss, options of ``examine_loss``, expected code), ``RIGHT`` to (loss,
options).
"""

from __future__ import annotations

import importlib.util
from collections import namedtuple

import numpy as np

BETA = 4.0


def _squared(x, y):
    return ((x - y) ** 2).reshape(len(x), -1).sum(axis=1)


def _bce(x, p):
    return -(x * np.log(p) + (1 - x) * np.log(1 - p)).reshape(len(x), -1).sum(axis=1)


def _entries(m, s):
    return -0.5 * (1 + s - m**2 - np.exp(s))


def _kl(m, s):
    return _entries(m, s).sum(axis=1)


# ---- right ones --------------------------------------------------------------------------------


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


_ASKED = {"beta": BETA}
RIGHT = {
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


# ---- faulty ones -------------------------------------------------------------------------------


def _plus(kl, factor=0.5, weight=BETA):
    """½ squared error + weight · a KL of their own, averaged over the batch."""

    def loss(x, y, m, s):
        return factor * _squared(x, y).mean() + weight * kl(m, s)

    return loss


def _with(reconstruction, weight=BETA):
    """A reconstruction of their own + weight · KL."""

    def loss(x, y, m, s):
        return reconstruction(x, y) + weight * _kl(m, s).mean()

    return loss


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


def inverted(x, y, m, s):
    return 0.5 * _squared(x, y).mean() + _kl(m, s).mean() / BETA


def reconstruction_weighted(x, y, m, s):
    return BETA * 0.5 * _squared(x, y).mean() + _kl(m, s).mean()


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


class Sampled:
    """A KL estimated from one draw."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __call__(self, x, y, m, s):
        noise = self.rng.standard_normal(m.shape)
        z = m + np.exp(s / 2) * noise
        kl = 0.5 * (z**2 - noise**2 - s).sum(axis=1).mean()
        return 0.5 * _squared(x, y).mean() + BETA * kl


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


def _mean(x, y):
    return ((x - y) ** 2).mean()


_KL_MEAN = _plus(lambda m, s: _kl(m, s).mean())
_VARIANCE = {"beta": BETA, "noise_variance": 0.1}
_BERNOULLI = {"beta": BETA, "likelihood": "bernoulli"}

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
    "sampled": (Sampled(), _ASKED, "loss-is-random"),
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
        _ASKED | {"evaluation": Sampled()},
        "evaluation-changes",
    ),
    "hundred_written": (
        _plus(lambda m, s: _kl(m, s).mean() / 128),
        _ASKED,
        "beta-not-as-declared",
    ),
}  # fmt: skip


def _torch_losses():
    import torch
    from torch.nn import functional

    def to_float32(array):
        return torch.as_tensor(array, dtype=torch.float32)

    def kld(m, s):
        return -0.5 * torch.sum(1 + s - m.pow(2) - s.exp())

    def tutorial(x, y, m, s):
        """Both summed."""
        return functional.binary_cross_entropy(y, x.view(-1, 784), reduction="sum") + kld(m, s)

    def tutorial_mean(x, y, m, s):
        """The 784 stands in the code, so that it cannot be varied."""
        return functional.binary_cross_entropy(y, x.view(-1, 784)) + kld(m, s) / len(x)

    def logits(x, y, m, s):
        bce = functional.binary_cross_entropy_with_logits(y, x, reduction="none")
        return (bce.flatten(1).sum(1) + BETA * kld(m, s) / len(x)).mean().item()

    def gaussian(x, y, m, s):
        variance = torch.full_like(y, 0.1)
        nll = functional.gaussian_nll_loss(y, x, variance, full=True, reduction="sum")
        return (nll + kld(m, s)) / len(x)

    def mse(x, y, m, s):
        return functional.mse_loss(y, x) + BETA * kld(m, s) / len(x)

    def minibatch_weight(x, y, m, s):
        """The KL is weighed by a batch size over a data size."""
        kl = torch.mean(-0.5 * torch.sum(1 + s - m**2 - s.exp(), dim=1), dim=0)
        recons = functional.mse_loss(y, x)
        return {"loss": recons + 0.00025 * kl, "Reconstruction_Loss": recons.detach()}

    def distributions(x, y, m, s):
        normal = torch.distributions.Normal
        kl = torch.distributions.kl_divergence(normal(m, (s / 2).exp()), normal(0.0, 1.0))
        nll = -normal(y, 1.0).log_prob(x)
        return nll.flatten(1).sum(1).mean() + BETA * kl.sum(1).mean()

    def distributions_scale(x, y, m, s):
        """The scale of a Normal is a standard deviation."""
        normal = torch.distributions.Normal
        kl = torch.distributions.kl_divergence(normal(m, s.exp()), normal(0.0, 1.0))
        return 0.5 * (x - y).square().flatten(1).sum(1).mean() + BETA * kl.sum(1).mean()

    def scale_is_log_var(x, y, m, s):
        """Raises for negative ones."""
        normal = torch.distributions.Normal
        kl = torch.distributions.kl_divergence(normal(m, s), normal(0.0, 1.0))
        return 0.5 * (x - y).square().flatten(1).sum(1).mean() + BETA * kl.sum(1).mean()

    def column(x, y, m, s):
        """One number per sample, (N, 1), with a gradient."""
        squares = 0.5 * (x - y).square().flatten(1).sum(1, keepdim=True)
        m = m.requires_grad_()
        return squares - BETA * 0.5 * (1 + s - m**2 - s.exp()).sum(1, keepdim=True)

    def half_precision(x, y, m, s):
        """Bfloat16, as in mixed precision."""
        kl = -0.5 * (1 + s - m**2 - s.exp()).sum(1)
        squares = 0.5 * (x - y).square().flatten(1).sum(1)
        return (squares + BETA * kl).mean().to(torch.bfloat16)

    one = {"convert": to_float32}
    four = one | {"beta": BETA}
    right = {
        "torch_tutorial": (tutorial, one | {"likelihood": "bernoulli"}),
        "torch_logits": (logits, four | {"likelihood": "bernoulli-logits"}),
        "torch_gaussian_nll": (gaussian, one | {"noise_variance": 0.1}),
        "torch_column": (column, four),
        "torch_half_precision": (half_precision, four),
        "torch_distributions": (distributions, four | {"noise_variance": 1.0}),
    }
    averaged = "reconstruction-averaged-over-features"
    faulty = {
        "torch_tutorial_mean": (tutorial_mean, one | {"likelihood": "bernoulli"}, averaged),
        "torch_mse": (mse, four, averaged),
        "torch_minibatch_weight": (minibatch_weight, one, averaged),
        "torch_scale_is_log_var": (scale_is_log_var, four, "log-variance-read-as-std"),
        "torch_scale": (distributions_scale, four, "log-variance-read-as-log-std"),
    }
    return right, faulty


if importlib.util.find_spec("torch") is not None:
    _more_right, _more_faulty = _torch_losses()
    RIGHT |= _more_right
    FAULTY |= _more_faulty
