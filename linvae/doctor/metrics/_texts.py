"""Plain words for findings about metrics: what was found, the likely cause, the remedy."""

from __future__ import annotations

from ._texts_information import INFORMATION, Texts

__all__ = ["BOUND", "FRECHET", "INFORMATION", "MIG", "UNITS"]

UNITS: Texts = {
    "au-of-samples": (
        "It counts by the variance of samples z, so that a collapsed latent, z ~ N(0, 1), counts.",
        "samples, or the posterior variance, enter where the posterior mean alone should",
        "use the variance over the data of the posterior mean: mean.var(axis=0) > 0.01",
    ),
    "au-of-posterior-variance": (
        "It counts by the posterior variance, not by how the posterior mean varies.",
        "exp(log_var) stands where the variance of the mean belongs",
        "use the variance over the data of the posterior mean: mean.var(axis=0) > 0.01",
    ),
    "au-of-log-variance": (
        "It counts by how the posterior variance varies over the data.",
        "log_var, or exp of it, stands where the mean belongs",
        "use the variance over the data of the posterior mean: mean.var(axis=0) > 0.01",
    ),
    "au-mean-not-removed": (
        "A latent whose posterior mean is constant but not zero counts as active.",
        "the mean square is taken in place of the variance",
        "subtract the average over the data first: mean.var(axis=0) > 0.01",
    ),
    "au-of-mean-itself": (
        "It counts by the size of the posterior mean, not by its variance over the data.",
        "a mean or an absolute value stands where a variance belongs",
        "use mean.var(axis=0) > 0.01",
    ),
    "au-wrong-axis": (
        "The variance is taken over latents, or over everything, not over the data.",
        "the wrong axis, or none",
        "take the variance over the samples, axis 0 of (N, k): mean.var(axis=0) > 0.01",
    ),
    "au-inverted": (
        "It counts the inactive latents.",
        "the comparison is the wrong way round",
        "count where the variance is above the threshold",
    ),
    "au-by-kl": (
        "It counts by the KL of each latent, which is large for any offset or odd variance.",
        "the rate of a latent stands where the variance of its mean belongs",
        "use mean.var(axis=0) > 0.01, or call it by another name",
    ),
    "au-threshold-on-std": (
        "The threshold is applied to the standard deviation: on variances it is its square.",
        "std in place of var",
        "compare the variance with the threshold: mean.var(axis=0) > 0.01",
    ),
    "au-threshold-not-applied": (
        "The variance from which a latent counts is not the threshold that is declared.",
        "the threshold is overwritten, scaled, or applied to something else",
        "compare mean.var(axis=0) with the threshold itself",
    ),
}

MIG: Texts = {
    "mig-wrong-reshape": (
        "Samples and variables are mixed: the score is that of shuffled data.",
        "reshape or view where a transpose is meant",
        "use .T (or transpose) to turn (N, k) into (k, N)",
    ),
    "mig-table-reshaped": (
        "The table of mutual informations, one row per code, is reshaped and not transposed: each "
        "gap mixes factors.",
        "reshape or view where a transpose is meant",
        "use .T to turn the table (k, F) into (F, k), or sort it along axis 0",
    ),
    "mig-sorted-upwards": (
        "The gap is between the two smallest mutual informations, not the two largest.",
        "the sorted list is read from its lower end: sort goes upwards",
        "use the last two entries, or sort downwards: np.sort(table, axis=0)[::-1]",
    ),
    "mig-normalised-by-mean-entropy": (
        "The gaps are divided by the average entropy of the factors.",
        "one normaliser for all factors",
        "divide the gap of each factor by its own entropy, then average over the factors",
    ),
    "mig-not-normalised": (
        "The gaps are not divided by the entropy of the factor.",
        "the normalisation is missing",
        "divide the gap of each factor by its entropy, then average over the factors",
    ),
    "mig-normalised-by-log-values": (
        "The gaps are divided by the logarithm of the number of values.",
        "factors are taken to be uniform",
        "divide by the entropy of the factor as it occurs in the data",
    ),
    "mig-normalised-by-largest": (
        "The gaps are divided by the largest mutual information.",
        "the normaliser is not the entropy of the factor",
        "divide by the entropy of the factor",
    ),
    "mig-normalised-by-code-entropy": (
        "The gaps are divided by the entropy of the code.",
        "the normaliser is not the entropy of the factor",
        "divide by the entropy of the factor",
    ),
    "mig-wrong-axis": (
        "The gap is taken between two factors for each code, not between two codes per factor.",
        "the table of mutual informations is sorted along the wrong axis",
        "sort over the codes, for each factor",
    ),
    "mig-gap-to-smallest": (
        "The gap is the largest minus the smallest mutual information.",
        "the wrong end of the sorted list",
        "subtract the second largest",
    ),
    "mig-gap-to-mean": (
        "The gap is the largest mutual information minus the mean over the codes.",
        "the mean stands where the second largest belongs",
        "subtract the second largest",
    ),
    "mig-no-gap": (
        "It is the largest mutual information over the entropy; nothing is subtracted.",
        "the second largest mutual information is missing, or that of a code left out",
        "subtract the second largest",
    ),
    "mig-summed-over-factors": (
        "The gaps are summed over the factors.",
        "a sum in place of a mean",
        "average over the factors",
    ),
    "mig-mixed-units": (
        "It is off by the factor log 2.",
        "mutual information and entropy are in different units, nats and bits",
        "use the same logarithm for both",
    ),
    "mig-sign": (
        "It has the wrong sign; the gap is never negative.",
        "the sorted list is read the wrong way round",
        "subtract the second largest from the largest",
    ),
}

_FD_REMEDY = "use |m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^(1/2)), with a matrix square root"

FRECHET: Texts = {
    "fd-mean-term-missing": (
        "The difference of the means does not enter.",
        "only the covariances are compared",
        "add the squared distance of the means",
    ),
    "fd-mean-not-squared": (
        "The distance of the means enters without its square.",
        "a norm stands where a squared norm belongs",
        "square it: diff.dot(diff)",
    ),
    "fd-mean-averaged": (
        "The squared difference of the means is averaged over features.",
        "a mean in place of a sum",
        "sum over the features: diff.dot(diff)",
    ),
    "fd-mean-term-only": (
        "Only the means are compared; covariances do not enter.",
        "the trace term is missing",
        _FD_REMEDY,
    ),
    "fd-root-term-missing": (
        "The term -2 tr (S1 S2)^(1/2) is missing: equal inputs have a distance above 0.",
        "the square root is left out",
        _FD_REMEDY,
    ),
    "fd-root-term-once": (
        "The square root is subtracted once, not twice.",
        "the factor 2 is missing",
        _FD_REMEDY,
    ),
    "fd-root-term-sign": (
        "The square root is added, not subtracted.",
        "a sign",
        _FD_REMEDY,
    ),
    "fd-product-without-root": (
        "tr(S1 S2) stands where the trace of its square root belongs.",
        "the square root is left out",
        _FD_REMEDY,
    ),
    "fd-root-entry-by-entry": (
        "The square root is taken of each entry of S1 S2.",
        "sqrt in place of sqrtm",
        "use scipy.linalg.sqrtm(S1 @ S2), or the roots of the eigenvalues of S1 @ S2",
    ),
    "fd-product-of-roots": (
        "tr(S1^(1/2) S2^(1/2)) stands where tr (S1 S2)^(1/2) belongs.",
        "the covariances are taken to commute",
        _FD_REMEDY,
    ),
    "fd-covariances-subtracted": (
        "The squared difference of the covariances' entries is added.",
        "a Frobenius norm stands where the trace term belongs",
        _FD_REMEDY,
    ),
    "fd-diagonal-only": (
        "Correlations between features do not enter.",
        "only the variances of the features are compared",
        _FD_REMEDY,
    ),
    "fd-trace-averaged": (
        "The trace term is averaged over features.",
        "a mean in place of a trace",
        "use numpy.trace",
    ),
    "fd-averaged-over-features": (
        "It is the exact value divided by the number of features.",
        "a mean over features in place of a sum",
        "multiply by the number of features",
    ),
    "fd-sign": (
        "It has the wrong sign; a squared distance is never negative.",
        "a similarity is returned",
        "negate it",
    ),
    "fd-half": (
        "It is half the exact value.",
        "a factor ½ that belongs to a loss, not to a distance",
        "multiply by 2",
    ),
    "fd-not-centred": (
        "Covariances are second moments: the mean enters them, too.",
        "the mean is not subtracted before the product",
        "use numpy.cov(x, rowvar=False)",
    ),
    "fd-scatter": (
        "Covariances are not divided by the number of samples.",
        "a sum in place of a mean",
        "use numpy.cov(x, rowvar=False)",
    ),
    "fd-of-correlations": (
        "Correlation matrices stand where covariances belong.",
        "corrcoef in place of cov, or inputs that are standardised separately",
        "use numpy.cov(x, rowvar=False) of what was given",
    ),
    "fd-rows-as-variables": (
        "Covariances are taken between samples, not between features.",
        "numpy.cov reads rows as variables",
        "pass rowvar=False",
    ),
}

BOUND: Texts = {
    "iw-averaged-log-weights": (
        "It is the ELBO for every number of samples: more samples do not help.",
        "log-weights are averaged; the logarithm belongs outside the average",
        "use logsumexp over the samples, minus log(n_samples)",
    ),
    "iw-log-k-missing": (
        "It is too large by log(n_samples), and exceeds the log-likelihood.",
        "logsumexp gives the logarithm of a sum, not of an average",
        "subtract log(n_samples)",
    ),
    "iw-log-k-twice": (
        "It is too small by log(n_samples).",
        "log(n_samples) is subtracted twice",
        "subtract log(n_samples) once",
    ),
    "iw-best-sample": (
        "It is the largest log-weight, not the logarithm of their average.",
        "max in place of logsumexp",
        "use logsumexp over the samples, minus log(n_samples)",
    ),
    "iw-over-batch": (
        "Weights are averaged over the batch, where log-weights should be.",
        "logsumexp over the wrong axis, or over both",
        "logsumexp over the samples only, then the mean over the batch",
    ),
    "iw-self-normalised": (
        "It is the average of log-weights under normalised weights, which is no bound.",
        "the surrogate of the gradient is reported as the value",
        "report logsumexp over the samples, minus log(n_samples)",
    ),
    "iw-posterior-missing": (
        "log q(z|x) does not enter the weights.",
        "only log p(x, z) is averaged",
        "use log w = log p(x|z) + log p(z) - log q(z|x)",
    ),
    "iw-posterior-sign": (
        "log q(z|x) is added, not subtracted.",
        "a sign",
        "use log w = log p(x|z) + log p(z) - log q(z|x)",
    ),
    "iw-prior-missing": (
        "log p(z) does not enter the weights.",
        "the prior is left out",
        "use log w = log p(x|z) + log p(z) - log q(z|x)",
    ),
    "iw-prior-sign": (
        "log p(z) is subtracted, not added.",
        "a sign",
        "use log w = log p(x|z) + log p(z) - log q(z|x)",
    ),
    "iw-reconstruction-only": (
        "Only log p(x|z) is averaged: neither prior nor posterior enters.",
        "weights without log p(z) - log q(z|x)",
        "use log w = log p(x|z) + log p(z) - log q(z|x)",
    ),
    "iw-weights-inverted": (
        "The weights are inverted: q/p in place of p/q.",
        "log q(z|x) - log p(x, z) in place of the reverse",
        "use log w = log p(x|z) + log p(z) - log q(z|x)",
    ),
    "iw-analytic-kl": (
        "The closed-form KL is subtracted from the logarithm of the average of p(x|z).",
        "a KL per sample of x cannot replace log p(z) - log q(z|x) of each z",
        "use log w = log p(x|z) + log p(z) - log q(z|x) for each z",
    ),
    "iw-kl-sign": (
        "The closed-form KL is added to the logarithm of the average of p(x|z).",
        "a sign, and a KL that cannot replace log p(z) - log q(z|x) of each z",
        "use log w = log p(x|z) + log p(z) - log q(z|x) for each z",
    ),
    "iw-constant-missing": (
        "The constant -½ log 2π per feature is missing: it is no bound on log p(x).",
        "log p(x|z) without its constant, or a mean squared error",
        "add -½ n log 2π, with n the number of features",
    ),
    "iw-noise-variance-normaliser": (
        "The term -½ n log σ² is missing.",
        "log p(x|z) lacks the part of its constant that depends on the noise variance",
        "add -½ n log σ², with n the number of features",
    ),
    "iw-noise-variance-ignored": (
        "log p(x|z) does not use the noise variance of the model.",
        "a squared error that is weighted as if σ² were 1 or ½",
        "use -½ [|x - x_hat|² / σ² + n log(2πσ²)]",
    ),
    "iw-log-var-as-log-std": (
        "Log-variances are read as log-standard-deviations.",
        "exp(log_var) is used as a standard deviation",
        "use std = exp(log_var / 2)",
    ),
    "iw-log-std-in-sampling": (
        "Samples are drawn with exp(log_var) as their standard deviation; the densities are those "
        "of log_var.",
        "the ½ is missing where noise is added: z = mean + exp(log_var) * noise",
        "draw z = mean + exp(log_var / 2) * noise",
    ),
    "iw-variance-as-std": (
        "Standard deviations are read as variances.",
        "exp(log_var / 2) is used as a variance",
        "use var = exp(log_var)",
    ),
    "iw-no-noise": (
        "All samples are the posterior mean.",
        "no noise is added: z = mean",
        "draw z = mean + exp(log_var / 2) * noise, anew for each sample",
    ),
    "iw-underflow": (
        "It is not finite where log-weights are far below zero, as with images.",
        "weights are exponentiated before they are averaged",
        "use logsumexp: subtract the largest log-weight before exp, add it after log",
    ),
}
