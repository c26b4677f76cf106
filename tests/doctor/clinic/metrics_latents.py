"""Active units and the mutual information gap, right and wrong: metrics of single latents."""

from __future__ import annotations

import numpy as np

from ._metric_tools import faulty, right, sampled

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


@faulty("mig", "mig-wrong-axis")
def mig_axis_mean_entropy(factors, codes):
    return (gaps(informations(factors, codes).T) / entropies(factors).mean()).mean()


@faulty("mig", "mig-sorted-upwards")
def mig_upwards(factors, codes):
    ordered = np.sort(informations(factors, codes), axis=0)
    return ((ordered[0] - ordered[1]) / entropies(factors)).mean()


@faulty("mig", "mig-table-reshaped")
def mig_table_reshaped(factors, codes):
    rows = informations(factors, codes).reshape(factors.shape[1], -1)
    return (gaps(rows.T) / entropies(factors)).mean()


@faulty("mig", "mig-normalised-by-mean-entropy")
def mig_one_entropy(factors, codes):
    return (gaps(informations(factors, codes)) / entropies(factors).mean()).mean()


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
