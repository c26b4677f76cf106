"""Mutual information and total correlation, right and wrong."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from ._metric_tools import LOG_2PI, faulty, log_normal, right, sampled, table

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


@faulty("mutual_information", "mi-noise-missing")
def mi_at_mean(mean, log_var):
    """Between 1.39 and 1.61 times the exact value: near bits, but not a constant multiple."""
    return mi_minibatch(mean, log_var, mean)


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
