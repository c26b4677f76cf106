"""Small metrics as people write them: right ones in several styles, and each known fault once.

FAULTY: name -> (metric, options of examine_metric, the code expected). RIGHT: name -> (metric,
options).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import sqrtm
from scipy.special import logsumexp

Entry = tuple[Any, dict[str, Any]]
FaultyEntry = tuple[Any, dict[str, Any], str]

RIGHT: dict[str, Entry] = {}
FAULTY: dict[str, FaultyEntry] = {}


def right(what, **options):
    def keep(function):
        RIGHT[function.__name__] = (function, {"what": what, **options})
        return function

    return keep


def faulty(what, code, **options):
    def keep(function):
        FAULTY[function.__name__] = (function, {"what": what, **options}, code)
        return function

    return keep


LOG_2PI = np.log(2 * np.pi)


def log_normal(z, mean, log_var):
    return -0.5 * ((z - mean) ** 2 / np.exp(log_var) + log_var + LOG_2PI)


def table(z, mean, log_var):
    return log_normal(z[:, None], mean[None], log_var[None])


def sampled(mean, log_var):
    return mean + np.exp(log_var / 2) * np.random.standard_normal(mean.shape)  # noqa: NPY002


# ---- mutual information ----


@right("mutual_information")
def mi_minibatch(mean, log_var, z):
    log_q = table(z, mean, log_var).sum(-1)
    return (np.diagonal(log_q) - logsumexp(log_q, axis=1) + np.log(len(z))).mean()


@right("mutual_information")
def mi_closed_entropy(mu, logvar):
    """Negative entropy in closed form, q(z) from its own samples; as a mapping."""
    n, k = mu.shape
    negative = (-0.5 * k * LOG_2PI - 0.5 * (1 + logvar).sum(-1)).mean()
    log_q = table(sampled(mu, logvar), mu, logvar).sum(-1)
    return {"mi": float(negative - (logsumexp(log_q, axis=1) - np.log(n)).mean())}


@right("mutual_information")
def mi_rate_minus_marginal(z_mean, z_log_var, z_samples):
    """The rate minus KL(q(z) ‖ p(z)), one number per sample."""
    rate = 0.5 * (z_mean**2 + np.exp(z_log_var) - 1 - z_log_var).sum(-1)
    log_q = table(z_samples, z_mean, z_log_var).sum(-1)
    log_qz = logsumexp(log_q, axis=1) - np.log(len(log_q))
    log_pz = log_normal(z_samples, 0.0, np.zeros_like(z_samples)).sum(-1)
    return rate - (log_qz - log_pz)


@right("mutual_information")
def mi_gaussian(mean, log_var):
    noise = np.exp(log_var)
    covariance = np.cov(mean, rowvar=False) + np.diag(noise.mean(axis=0))
    return 0.5 * (np.linalg.slogdet(covariance)[1] - log_var.sum(axis=-1).mean())


@right("mutual_information")
def mi_leave_one_out(mean, std):
    log_var = 2 * np.log(std)
    log_q = table(sampled(mean, log_var), mean, log_var).sum(-1)
    own = np.diagonal(log_q).copy()
    np.fill_diagonal(log_q, -np.inf)
    return (own - logsumexp(log_q, axis=1) + np.log(len(own) - 1)).mean()


@faulty("mutual_information", "mi-is-log-batch")
def mi_broadcast(mean, log_var, z):
    log_q = log_normal(z, mean, log_var).sum(-1)
    own = np.where(np.eye(len(z), dtype=bool), log_q, -np.inf)
    return (log_q - logsumexp(own, axis=1) + np.log(len(z))).mean()


@faulty("mutual_information", "mi-always-zero")
def mi_broadcast_to_nothing(mean, log_var, z):
    log_q = log_normal(z[:, None], mean[:, None], log_var[:, None]).sum(-1)
    log_q = np.broadcast_to(log_q, (len(z), len(z)))
    return (np.diagonal(log_q) - logsumexp(log_q, axis=1) + np.log(len(z))).mean()


@faulty("mutual_information", "mi-log-batch-missing")
def mi_without_log_n(mean, log_var, z):
    log_q = table(z, mean, log_var).sum(-1)
    return (np.diagonal(log_q) - logsumexp(log_q, axis=1)).mean()


@faulty("mutual_information", "mi-log-batch-twice")
def mi_weighted_sampling(mean, log_var, z, dataset_size):
    log_q = table(z, mean, log_var).sum(-1)
    log_qz = logsumexp(log_q, axis=1) - np.log(len(z) * dataset_size)
    return (np.diagonal(log_q) - log_qz).mean()


@faulty("mutual_information", "mi-in-bits")
def mi_bits(mean, log_var, z):
    return mi_minibatch(mean, log_var, z) / np.log(2)


@faulty("mutual_information", "mi-is-rate")
def mi_rate(mean, log_var):
    return 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum(-1).mean()


@faulty("mutual_information", "mi-kl-wrong-direction")
def mi_reverse_kl(mean, log_var):
    return 0.5 * ((1 + mean**2) / np.exp(log_var) - 1 + log_var).sum(-1).mean()


@faulty("mutual_information", "mi-is-marginal-kl")
def mi_marginal(mean, log_var, z):
    log_qz = logsumexp(table(z, mean, log_var).sum(-1), axis=1) - np.log(len(z))
    return (log_qz - log_normal(z, 0.0, np.zeros_like(z)).sum(-1)).mean()


@faulty("mutual_information", "mi-latents-as-independent")
def mi_factorised(mean, log_var, z):
    log_q = table(z, mean, log_var)
    log_qz = (logsumexp(log_q, axis=1) - np.log(len(z))).sum(-1)
    return (np.diagonal(log_q.sum(-1)) - log_qz).mean()


@faulty("mutual_information", "mi-log-var-as-log-std")
def mi_log_std(mean, log_var):
    return mi_minibatch(mean, 2 * log_var, sampled(mean, 2 * log_var))


@faulty("mutual_information", "mi-log-var-as-log-std")
def mi_log_std_given_z(mean, log_var, z):
    return mi_minibatch(mean, 2 * log_var, z)


@faulty("mutual_information", "mi-variance-of-other-sample")
def mi_other_variance(mean, log_var, z):
    log_q = log_normal(z[:, None], mean[None], log_var[:, None]).sum(-1)
    return (np.diagonal(log_q) - logsumexp(log_q, axis=1) + np.log(len(z))).mean()


@faulty("mutual_information", "mi-wrong-axis")
def mi_axis(mean, log_var, z):
    log_q = table(z, mean, log_var).sum(-1)
    return (np.diagonal(log_q) - logsumexp(log_q, axis=0) + np.log(len(z))).mean()


@faulty("mutual_information", "mi-sign")
def mi_negative(mean, log_var, z):
    return -mi_minibatch(mean, log_var, z)


@faulty("mutual_information", "mi-constant-missing")
def mi_without_constant(mean, log_var, z):
    log_q = table(z, mean, log_var).sum(-1)
    own = (-0.5 * ((z - mean) ** 2 / np.exp(log_var) + log_var)).sum(-1)
    return (own - logsumexp(log_q, axis=1) + np.log(len(z))).mean()


# ---- total correlation ----


@right("total_correlation")
def tc_gaussian(z):
    covariance = np.cov(z, rowvar=False)
    return 0.5 * (np.log(np.diagonal(covariance)).sum() - np.linalg.slogdet(covariance)[1])


@right("total_correlation")
def tc_of_covariance(cov):
    return 0.5 * (np.log(np.diagonal(cov)).sum() - np.linalg.slogdet(cov)[1])


@right("total_correlation")
def tc_of_mean_codes(mu):
    return tc_gaussian(mu)


@right("total_correlation")
def tc_minibatch(z, mu, logvar):
    log_q = table(z, mu, logvar)
    joint = logsumexp(log_q.sum(-1), axis=1) - np.log(len(z))
    return (joint - (logsumexp(log_q, axis=1) - np.log(len(z))).sum(-1)).mean()


@right("total_correlation")
def tc_own_samples(mean, log_var, rng):
    return tc_minibatch(mean + np.exp(log_var / 2) * rng.normal(size=mean.shape), mean, log_var)


@faulty("total_correlation", "tc-wrong-axis")
def tc_axis(z, mean, log_var):
    log_q = table(z, mean, log_var)
    joint = logsumexp(log_q.sum(-1), axis=0) - np.log(len(z))
    return (joint - (logsumexp(log_q, axis=0) - np.log(len(z))).sum(-1)).mean()


@faulty("total_correlation", "tc-rows-as-variables")
def tc_rows(z):
    covariance = np.cov(z)
    return 0.5 * (np.log(np.diagonal(covariance)).sum() - np.linalg.slogdet(covariance)[1])


@faulty("total_correlation", "tc-sign")
def tc_negative(z):
    return -tc_gaussian(z)


@faulty("total_correlation", "tc-log-batch-missing")
def tc_without_log_n(z, mean, log_var):
    log_q = table(z, mean, log_var)
    return (logsumexp(log_q.sum(-1), axis=1) - logsumexp(log_q, axis=1).sum(-1)).mean()


@faulty("total_correlation", "tc-always-zero")
def tc_zero(z, mean, log_var):
    log_q = logsumexp(table(z, mean, log_var), axis=1) - np.log(len(z))
    return (log_q.sum(-1) - log_q.sum(-1)).mean()


@faulty("total_correlation", "tc-of-means")
def tc_ignores_noise(mean, log_var):
    return tc_gaussian(mean)


@faulty("total_correlation", "tc-is-marginal-kl")
def tc_marginal_kl(z, mean, log_var):
    joint = logsumexp(table(z, mean, log_var).sum(-1), axis=1) - np.log(len(z))
    return (joint - log_normal(z, 0.0, np.zeros_like(z)).sum(-1)).mean()


@faulty("total_correlation", "tc-half-missing")
def tc_double(z):
    return 2 * tc_gaussian(z)


# ---- active units ----


@right("active_units")
def au_variance(mean, threshold=0.01):
    return int((mean.var(axis=0) > threshold).sum())


@right("active_units")
def au_mask(mu, logvar):
    return np.cov(mu.T).diagonal() > 0.01


@right("active_units")
def au_pair(z_mean, delta=0.02):
    variances = z_mean.var(axis=0, ddof=1)
    return (variances >= delta).sum(), variances


@right("active_units")
def au_from_model(encode, x):
    mean, _ = encode(x)
    return [j for j in range(mean.shape[1]) if np.var(mean[:, j]) > 0.01]


@right("active_units")
def au_share(codes):
    return (codes.var(axis=0) > 0.01).mean()


@faulty("active_units", "au-of-samples")
def au_samples(mean, log_var):
    return (sampled(mean, log_var).var(axis=0) > 0.01).sum()


@faulty("active_units", "au-of-posterior-variance")
def au_posterior(mean, log_var):
    return (np.exp(log_var).mean(axis=0) > 0.01).sum()


@faulty("active_units", "au-of-log-variance")
def au_log_variance(mean, log_var):
    return (log_var.var(axis=0) > 0.01).sum()


@faulty("active_units", "au-threshold-on-std")
def au_std(mean, threshold=0.01):
    return (mean.std(axis=0) > threshold).sum()


@faulty("active_units", "au-mean-not-removed")
def au_second_moment(mean):
    return ((mean**2).mean(axis=0) > 0.01).sum()


@faulty("active_units", "au-wrong-axis")
def au_axis(mean):
    return (mean.var(axis=1) > 0.01).sum()


@faulty("active_units", "au-inverted")
def au_inactive(mean):
    return (mean.var(axis=0) < 0.01).sum()


@faulty("active_units", "au-by-kl")
def au_kl(mean, log_var):
    kl = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var)
    return (kl.mean(axis=0) > 0.01).sum()


# ---- mutual information gap ----


def entropy(values):
    share = np.unique(values, return_counts=True)[1] / len(values)
    return -(share * np.log(share)).sum()


def information(z, v, bins=20):
    edges = np.histogram(z, bins)[1][:-1]
    binned = np.digitize(z, edges)
    return entropy(binned) + entropy(v) - entropy(binned * 1000 + v)


def informations(factors, codes):
    return np.array([[information(z, v) for v in factors.T] for z in codes.T])


def gaps(values):
    ordered = np.sort(values, axis=0)
    return ordered[-1] - ordered[-2]


def entropies(factors):
    return np.array([entropy(v) for v in factors.T])


@right("mig")
def mig_histogram(factors, codes):
    return (gaps(informations(factors, codes)) / entropies(factors)).mean()


@right("mig")
def mig_columns(mus, ys):
    """One row for each code and for each factor."""
    return mig_histogram(ys.T, mus.T)


@right("mig")
def mig_per_factor(latents, labels):
    return gaps(informations(labels, latents)) / entropies(labels)


@right("mig")
def mig_transposed_inside(z, v):
    rows, factors = np.transpose(z), np.transpose(v)
    found = np.array([[information(a, b, 30) for b in factors] for a in rows])
    return {"mig": (gaps(found) / entropies(v)).mean()}


@faulty("mig", "mig-wrong-reshape")
def mig_reshape(factors, codes):
    return mig_histogram(factors, codes.reshape(codes.shape[1], -1).T)


@faulty("mig", "mig-wrong-reshape")
def mig_reshape_factors(factors, codes):
    return mig_histogram(factors.reshape(factors.shape[1], -1).T, codes)


@faulty("mig", "mig-not-normalised")
def mig_raw(factors, codes):
    return gaps(informations(factors, codes)).mean()


@faulty("mig", "mig-wrong-axis")
def mig_axis(factors, codes):
    found = informations(factors, codes)
    return (gaps(found.T) / entropies(factors)[found.argmax(axis=1)]).mean()


@faulty("mig", "mig-normalised-by-log-values")
def mig_uniform(factors, codes):
    counts = np.array([len(np.unique(v)) for v in factors.T])
    return (gaps(informations(factors, codes)) / np.log(counts)).mean()


@faulty("mig", "mig-gap-to-smallest")
def mig_smallest(factors, codes):
    found = informations(factors, codes)
    return ((found.max(axis=0) - found.min(axis=0)) / entropies(factors)).mean()


@faulty("mig", "mig-mixed-units")
def mig_units(factors, codes):
    return mig_histogram(factors, codes) / np.log(2)


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
