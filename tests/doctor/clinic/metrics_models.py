"""Fréchet distance and importance-weighted bound, right and wrong: metrics of whole models."""

from __future__ import annotations

import numpy as np
from scipy.linalg import sqrtm
from scipy.special import logsumexp

from ._metric_tools import LOG_2PI, faulty, log_normal, right

# ---- Fréchet distance ----


def moments(x):
    return x.mean(axis=0), np.cov(x, rowvar=False)


@right("frechet_distance")
def fd_moments(mu1, sigma1, mu2, sigma2, eps=1e-6):
    root = sqrtm(sigma1 @ sigma2).real
    gap = mu1 - mu2
    return gap.dot(gap) + np.trace(sigma1) + np.trace(sigma2) - 2 * np.trace(root)


@right("frechet_distance")
def fd_samples(x, y):
    return fd_moments(*moments(x), *moments(y))


@right("frechet_distance")
def fd_unsquared(real, fake):
    m1, m2 = real.mean(axis=0), fake.mean(axis=0)
    s1, s2 = np.cov(real.T, bias=True), np.cov(fake.T, bias=True)
    cross = np.sqrt(np.abs(np.linalg.eigvals(s1 @ s2))).sum()
    return np.sqrt(((m1 - m2) ** 2).sum() + np.trace(s1 + s2) - 2 * cross)


@faulty("frechet_distance", "fd-root-term-missing")
def fd_no_root(mu1, sigma1, mu2, sigma2):
    return ((mu1 - mu2) ** 2).sum() + np.trace(sigma1 + sigma2)


@faulty("frechet_distance", "fd-mean-not-squared")
def fd_norm(x, y):
    (m1, s1), (m2, s2) = moments(x), moments(y)
    return np.linalg.norm(m1 - m2) + np.trace(s1 + s2 - 2 * sqrtm(s1 @ s2).real)


@faulty("frechet_distance", "fd-mean-term-missing")
def fd_no_mean(x, y):
    (_, s1), (_, s2) = moments(x), moments(y)
    return np.trace(s1 + s2 - 2 * sqrtm(s1 @ s2).real)


@faulty("frechet_distance", "fd-root-entry-by-entry")
def fd_entries(mu1, sigma1, mu2, sigma2):
    root = np.sqrt(np.maximum(sigma1 @ sigma2, 0))
    return ((mu1 - mu2) ** 2).sum() + np.trace(sigma1 + sigma2 - 2 * root)


@faulty("frechet_distance", "fd-diagonal-only")
def fd_diagonal(x, y):
    deviation = x.std(axis=0) - y.std(axis=0)
    return ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum() + (deviation**2).sum()


@faulty("frechet_distance", "fd-not-centred")
def fd_second_moments(x, y):
    s1, s2 = x.T @ x / len(x), y.T @ y / len(y)
    return fd_moments(x.mean(axis=0), s1, y.mean(axis=0), s2)


@faulty("frechet_distance", "fd-root-term-once")
def fd_once(x, y):
    (m1, s1), (m2, s2) = moments(x), moments(y)
    return ((m1 - m2) ** 2).sum() + np.trace(s1 + s2 - sqrtm(s1 @ s2).real)


# ---- importance-weighted bound ----


@right("importance_weighted_bound")
def iw_weights(log_weights):
    return (logsumexp(log_weights, axis=1) - np.log(log_weights.shape[1])).mean()


@right("importance_weighted_bound")
def iw_rows_are_samples(log_w):
    return (logsumexp(log_w, axis=0) - np.log(len(log_w))).mean()


@right("importance_weighted_bound")
def iw_three_terms(log_px_z, log_pz, log_qz_x):
    return iw_weights(log_px_z + log_pz - log_qz_x)


def weights(model, x, n, read=lambda v: v, noisy=True):
    mean, log_var = model.encode(x)
    log_var = read(log_var)
    noise = noisy * np.random.standard_normal((n, *mean.shape))  # noqa: NPY002
    z = mean + np.exp(log_var / 2) * noise
    variance = np.full(x.shape, np.log(model.noise_variance))
    log_px = log_normal(x, model.decode(z), variance).sum(-1)
    log_pz = log_normal(z, 0.0, np.zeros_like(z)).sum(-1)
    return log_px, log_pz, log_normal(z, mean, log_var).sum(-1)


@right("importance_weighted_bound")
def iw_model(model, x, n_samples=50):
    log_px, log_pz, log_qz = weights(model, x, n_samples)
    return (logsumexp(log_px + log_pz - log_qz, axis=0) - np.log(n_samples)).mean()


@right("importance_weighted_bound")
def iw_loss(x, vae, k):
    """Negative, summed over the batch."""
    return -iw_model(vae, x, k) * len(x)


@right("importance_weighted_bound")
def iw_functions(encoder, decoder, x, num_samples, sigma2):
    class Model:
        encode, decode, noise_variance = staticmethod(encoder), staticmethod(decoder), sigma2

    return iw_model(Model, x, num_samples)


@faulty("importance_weighted_bound", "iw-averaged-log-weights")
def iw_mean(log_weights):
    return log_weights.mean()


@faulty("importance_weighted_bound", "iw-averaged-log-weights")
def iw_mean_of_model(model, x, k):
    log_px, log_pz, log_qz = weights(model, x, k)
    return (log_px + log_pz - log_qz).mean()


@faulty("importance_weighted_bound", "iw-log-k-missing")
def iw_without_log_k(log_weights):
    return logsumexp(log_weights, axis=1).mean()


@faulty("importance_weighted_bound", "iw-log-k-missing")
def iw_loss_without_log_k(model, x, k):
    log_px, log_pz, log_qz = weights(model, x, k)
    return -logsumexp(log_px + log_pz - log_qz, axis=0).mean()


@faulty("importance_weighted_bound", "iw-underflow")
def iw_plain_exp(log_weights):
    return np.log(np.exp(log_weights).mean(axis=1)).mean()


@faulty("importance_weighted_bound", "iw-posterior-missing")
def iw_joint_only(log_p, log_q):
    return iw_weights(log_p)


@faulty("importance_weighted_bound", "iw-prior-missing")
def iw_no_prior(model, x, n_samples):
    log_px, _, log_qz = weights(model, x, n_samples)
    return (logsumexp(log_px - log_qz, axis=0) - np.log(n_samples)).mean()


@faulty("importance_weighted_bound", "iw-log-var-as-log-std")
def iw_log_std(model, x, n_samples):
    log_px, log_pz, log_qz = weights(model, x, n_samples, lambda v: 2 * v)
    return (logsumexp(log_px + log_pz - log_qz, axis=0) - np.log(n_samples)).mean()


def weights_of_wide_samples(model, x, n, of_noise):
    """Drawn with exp(log_var) as standard deviation, densities by log_var or by the noise."""
    mean, log_var = model.encode(x)
    noise = np.random.standard_normal((n, *mean.shape))  # noqa: NPY002
    z = mean + np.exp(log_var) * noise
    variance = np.full(x.shape, np.log(model.noise_variance))
    log_px = log_normal(x, model.decode(z), variance).sum(-1)
    log_pz = log_normal(z, 0.0, np.zeros_like(z)).sum(-1)
    at = mean + np.exp(log_var / 2) * noise if of_noise else z
    return log_px + log_pz - log_normal(at, mean, log_var).sum(-1)


@faulty("importance_weighted_bound", "iw-log-std-in-sampling")
def iw_wide_samples(model, x, n_samples):
    log_w = weights_of_wide_samples(model, x, n_samples, of_noise=False)
    return (logsumexp(log_w, axis=0) - np.log(n_samples)).mean()


@faulty("importance_weighted_bound", "iw-log-std-in-sampling")
def iw_wide_samples_of_noise(model, x, n_samples):
    log_w = weights_of_wide_samples(model, x, n_samples, of_noise=True)
    return (logsumexp(log_w, axis=0) - np.log(n_samples)).mean()


@faulty("importance_weighted_bound", "iw-no-noise")
def iw_at_mean(model, x, n_samples):
    log_px, log_pz, log_qz = weights(model, x, n_samples, noisy=False)
    return (logsumexp(log_px + log_pz - log_qz, axis=0) - np.log(n_samples)).mean()


@faulty("importance_weighted_bound", "iw-analytic-kl")
def iw_kl(model, x, n_samples):
    log_px, _, _ = weights(model, x, n_samples)
    mean, log_var = model.encode(x)
    kl = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum(-1)
    return (logsumexp(log_px, axis=0) - np.log(n_samples) - kl).mean()


@faulty("importance_weighted_bound", "iw-over-batch")
def iw_axis(model, x, n_samples):
    log_px, log_pz, log_qz = weights(model, x, n_samples)
    return (logsumexp(log_px + log_pz - log_qz, axis=1) - np.log(len(x))).mean()


@faulty("importance_weighted_bound", "iw-constant-missing")
def iw_no_constant(model, x, n_samples):
    log_px, log_pz, log_qz = weights(model, x, n_samples)
    log_px = log_px + x.shape[1] / 2 * LOG_2PI
    return (logsumexp(log_px + log_pz - log_qz, axis=0) - np.log(n_samples)).mean()
