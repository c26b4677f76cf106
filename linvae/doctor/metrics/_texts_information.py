"""Plain words for findings about information: what was found, the likely cause, the remedy."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["INFORMATION", "Texts"]

Texts = Mapping[str, tuple[str, str, str]]

INFORMATION: Texts = {
    "mi-is-log-batch": (
        "It returns the logarithm of the batch size, whatever the encoder.",
        "a broadcast that compares each z only with its own posterior: log q(z) became "
        "log q(z|x) - log N",
        "use shapes z (N, 1, k), mean and log_var (1, N, k), then logsumexp over axis 1 - log N",
    ),
    "mi-log-batch-missing": (
        "It is too small by the logarithm of the batch size.",
        "logsumexp gives the logarithm of a sum; q(z) is the average over the batch",
        "subtract log(batch size) from the logsumexp of log q(z)",
    ),
    "mi-log-batch-twice": (
        "It is too large by the logarithm of the batch or data set size.",
        "log N is subtracted twice from log q(z), as in minibatch-weighted sampling with N·M",
        "subtract log(batch size) once: log q(z) = logsumexp over the batch - log(batch size)",
    ),
    "mi-is-rate": (
        "It returns the rate, the average KL(q(z|x) ‖ p(z)), which is larger.",
        "the KL of the aggregated posterior to the prior is not subtracted",
        "subtract KL(q(z) ‖ p(z)), or use the mean of log q(z|x) - log q(z)",
    ),
    "mi-is-marginal-kl": (
        "It returns KL(q(z) ‖ p(z)), the part of the rate that is not mutual information.",
        "log p(z) stands where log q(z|x) belongs",
        "use the mean of log q(z|x) - log q(z)",
    ),
    "mi-adds-marginal-kl": (
        "It returns the rate plus KL(q(z) ‖ p(z)) in place of the difference.",
        "a sign",
        "subtract KL(q(z) ‖ p(z)) from the rate",
    ),
    "mi-kl-wrong-direction": (
        "It returns the average of KL(p(z) ‖ q(z|x)).",
        "the arguments of the KL are exchanged",
        "use KL(q(z|x) ‖ q(z)): the mean of log q(z|x) - log q(z) over z ~ q(z|x)",
    ),
    "mi-in-bits": (
        "It is in bits, not in nats.",
        "logarithms to base 2",
        "multiply by log 2, or use natural logarithms as in the ELBO",
    ),
    "mi-sign": (
        "It has the wrong sign; mutual information is never negative.",
        "log q(z) - log q(z|x) in place of the reverse",
        "negate it",
    ),
    "mi-always-zero": (
        "It returns zero, whatever the encoder.",
        "q(z) is taken to be q(z|x): the average over the batch is missing",
        "average q(z|xⱼ) over all xⱼ of the batch: logsumexp over j, minus log(batch size)",
    ),
    "mi-summed-over-batch": (
        "It is the exact value times the batch size.",
        "a sum over the samples in place of their mean",
        "divide by the batch size",
    ),
    "mi-averaged-over-latents": (
        "It is the exact value divided by the number of latents.",
        "a mean over latents where log-densities must be summed",
        "sum over the latents",
    ),
    "mi-half-missing": (
        "It is twice the exact value.",
        "a missing ½ in front of a log-determinant or a log-density",
        "multiply by ½",
    ),
    "mi-latents-as-independent": (
        "It is too large by the total correlation: the sum of I(x; zⱼ) over the latents.",
        "q(z) is replaced by the product of its marginals: logsumexp before the sum over latents",
        "sum log-densities over the latents first, then logsumexp over the batch",
    ),
    "mi-is-total-correlation": (
        "It returns the total correlation.",
        "log q(z) - Σ log q(zⱼ) in place of log q(z|x) - log q(z)",
        "use the mean of log q(z|x) - log q(z)",
    ),
    "mi-is-entropy": (
        "It returns the entropy of q(z).",
        "the conditional entropy is not subtracted",
        "add the mean of log q(z|x)",
    ),
    "mi-constant-missing": (
        "It is off by a constant for each latent (½ log 2π, ½, or both).",
        "the normalising constant of a Gaussian is in one of log q(z|x) and log q(z) only",
        "put -½ log 2π per latent into both, and -½ per latent into a closed-form entropy",
    ),
    "mi-wrong-axis": (
        "log q(z) is averaged over z for each x, not over x for each z.",
        "logsumexp over the wrong axis of the (z, x) table",
        "logsumexp over the axis that runs over the posteriors, not over the samples z",
    ),
    "mi-noise-missing": (
        "log q(z|x) and log q(z) are taken at the posterior means, not at samples: it is too "
        "large.",
        "no noise is added: z = mean",
        "draw z = mean + exp(log_var / 2) * noise for every sample",
    ),
    "mi-variance-of-other-sample": (
        "It is right only where all samples have the same posterior variance.",
        "log q(zᵢ|xⱼ) uses the variance of sample i",
        "broadcast log_var like the mean: (1, N, k) against z (N, 1, k)",
    ),
    "mi-log-var-as-log-std": (
        "Log-variances are read as log-standard-deviations.",
        "exp(log_var) is used as a standard deviation",
        "use std = exp(log_var / 2)",
    ),
    "mi-variance-as-std": (
        "Standard deviations are read as variances.",
        "exp(log_var / 2) is used as a variance",
        "use var = exp(log_var)",
    ),
    "tc-of-means": (
        "It returns the total correlation of the posterior means, though it is given more.",
        "posterior noise is ignored; the means are more correlated than the latents",
        "use samples z ~ q(z|x), or add the mean of exp(log_var) to the covariance's diagonal",
    ),
    "tc-wrong-axis": (
        "log q(z) and log q(zⱼ) are averaged over z for each x, not over x for each z.",
        "logsumexp over the wrong axis of the (z, x) table",
        "logsumexp over the axis that runs over the posteriors, not over the samples z",
    ),
    "tc-always-zero": (
        "It returns zero for correlated latents.",
        "the joint log q(z) is computed as the sum of the marginal ones",
        "sum over the latents before the logsumexp for log q(z), after it for Σ log q(zⱼ)",
    ),
    "tc-log-batch-missing": (
        "It is off by a multiple of the logarithm of the batch or data set size.",
        "log N is not subtracted once from log q(z) and once from each log q(zⱼ)",
        "subtract log(batch size) from every logsumexp",
    ),
    "tc-sign": (
        "It has the wrong sign; total correlation is never negative.",
        "Σ log q(zⱼ) - log q(z) in place of the reverse",
        "negate it",
    ),
    "tc-in-bits": (
        "It is in bits, not in nats.",
        "logarithms to base 2",
        "multiply by log 2, or use natural logarithms as in the ELBO",
    ),
    "tc-half-missing": (
        "It is twice the exact value.",
        "a missing ½ in front of the log-determinants",
        "multiply by ½",
    ),
    "tc-averaged-over-latents": (
        "It is the exact value divided by the number of latents.",
        "a mean over latents where log-densities must be summed",
        "sum over the latents",
    ),
    "tc-summed-over-batch": (
        "It is the exact value times the batch size.",
        "a sum over the samples in place of their mean",
        "divide by the batch size",
    ),
    "tc-is-dimension-wise-kl": (
        "It returns Σ KL(q(zⱼ) ‖ p(zⱼ)), which measures scale and offset, not dependence.",
        "log p(z) stands where log q(z) belongs",
        "use the mean of log q(z) - Σ log q(zⱼ)",
    ),
    "tc-is-marginal-kl": (
        "It returns KL(q(z) ‖ p(z)), which contains the total correlation and more.",
        "the prior stands where the product of the marginals of q(z) belongs",
        "use the mean of log q(z) - Σ log q(zⱼ)",
    ),
    "tc-is-rate": (
        "It returns the rate, the average KL(q(z|x) ‖ p(z)).",
        "the posterior of each sample stands where the aggregated one belongs",
        "use the mean of log q(z) - Σ log q(zⱼ)",
    ),
    "tc-is-mutual-information": (
        "It returns the mutual information of x and z.",
        "log q(z|x) - log q(z) in place of log q(z) - Σ log q(zⱼ)",
        "use the mean of log q(z) - Σ log q(zⱼ)",
    ),
    "tc-rows-as-variables": (
        "A covariance is taken between samples, not between latents.",
        "numpy.cov reads rows as variables",
        "pass rowvar=False, or transpose",
    ),
}
