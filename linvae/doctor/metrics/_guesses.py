"""Right and wrong formulas for mutual information and total correlation, on the same draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from linvae._validation import FloatArray

from ._match import Guess
from ._problems import Draw, Problem

__all__ = [
    "Drawn",
    "information_guesses",
    "joint_log_densities",
    "minibatch_information",
    "minibatch_total_correlation",
    "single_log_densities",
    "total_correlation_guesses",
]

Drawn = tuple[Problem, list[Draw]]


def joint_log_densities(z: FloatArray, mean: FloatArray, log_var: FloatArray) -> FloatArray:
    """Every z under every posterior, log q(zᵢ|xⱼ): (N, N), by products of matrices."""
    precision = np.exp(-log_var)
    constant = (mean**2 * precision + log_var + np.log(2 * np.pi)).sum(axis=-1)
    quadratic = z**2 @ precision.T - 2 * z @ (mean * precision).T
    return np.asarray(-0.5 * (quadratic + constant))


def single_log_densities(z: FloatArray, mean: FloatArray, log_var: FloatArray) -> FloatArray:
    """Every latent of every z under every posterior: (k, N, N)."""
    pairs = zip(z.T[:, :, None], mean.T[:, :, None], log_var.T[:, :, None], strict=True)
    return np.stack([joint_log_densities(*one) for one in pairs])


def _log_mean_exp(values: FloatArray, axis: int) -> FloatArray:
    largest = values.max(axis=axis, keepdims=True)
    total = np.exp(values - largest).mean(axis=axis, keepdims=True)
    return np.asarray((largest + np.log(total)).squeeze(axis))


def minibatch_information(draw: Draw) -> float:
    """Mean of log q(z|x) - log q(z), with q(z) the average over the batch."""
    joint = joint_log_densities(draw.z, draw.mean, draw.log_var)
    return float((np.diagonal(joint) - _log_mean_exp(joint, 1)).mean())


def minibatch_total_correlation(draw: Draw, axis: int = 1) -> float:
    """Mean of log q(z) - Σ log q(zⱼ), each averaged over the batch."""
    single = single_log_densities(draw.z, draw.mean, draw.log_var)
    marginals = sum(_log_mean_exp(table, axis) for table in single)
    return float((_log_mean_exp(single.sum(axis=0), axis) - marginals).mean())


def _misread_information(change: Callable[[FloatArray], FloatArray]) -> Callable[[Draw], float]:
    """Given z, with the posterior variance misread."""
    return lambda d: minibatch_information(
        Draw(d.x, d.mean, np.log(change(np.exp(d.log_var))), d.z)
    )


def _wrong_axis_information(draw: Draw) -> float:
    joint = joint_log_densities(draw.z, draw.mean, draw.log_var)
    return float((np.diagonal(joint) - _log_mean_exp(joint, 0)).mean())


def _other_samples_variance(draw: Draw) -> float:
    """Take the variance of sample i in log q(zᵢ|xⱼ)."""
    joint = joint_log_densities(draw.mean, draw.z, draw.log_var).T
    return float((np.diagonal(joint) - _log_mean_exp(joint, 1)).mean())


def _without_noise(draw: Draw) -> float:
    """Means in place of samples."""
    return minibatch_information(Draw(draw.x, draw.mean, draw.log_var, draw.mean))


def _wrong_axis_correlation(draw: Draw) -> float:
    return minibatch_total_correlation(draw, axis=0)


def _averaged_over_draws(drawn: Sequence[Drawn], statistic: Callable[[Draw], float]) -> FloatArray:
    return np.array([np.mean([statistic(d) for d in draws]) for _, draws in drawn])


def _square(variance: FloatArray) -> FloatArray:
    return variance**2


def _root(variance: FloatArray) -> FloatArray:
    return np.sqrt(variance)


def information_guesses(
    drawn: Sequence[Drawn], n_samples: int, shift: FloatArray
) -> Iterator[Guess]:
    """What a mutual information can turn out to be; the right ones first.

    `shift` (P,) is what chance has added to the numbers and was taken off again: formulas that are
    evaluated on the very draws lose it, too.
    """
    truths = [p.truth for p, _ in drawn]
    k = np.array([p.latent_dim for p, _ in drawn], dtype=np.float64)
    exact = np.array([t.mutual_information for t in truths])
    rate = np.array([t.rate for t in truths])
    correlation = np.array([t.total_correlation for t in truths])
    log_n = np.log(n_samples)
    yield Guess("", exact)
    gaussian = np.array([t.gaussian_mutual_information for t in truths])
    yield Guess("", gaussian, "takes q(z) for a Gaussian of the same moments")
    yield Guess("mi-is-log-batch", np.full(k.size, log_n))
    yield Guess("mi-log-batch-missing", exact - log_n, sharp=True)
    yield Guess("mi-log-batch-twice", exact + log_n, sharp=True)
    yield Guess("mi-is-rate", rate)
    yield Guess("mi-is-marginal-kl", rate - exact)
    yield Guess("mi-adds-marginal-kl", 2 * rate - exact)
    yield Guess("mi-kl-wrong-direction", np.array([t.reverse_kl for t in truths]))
    yield Guess("mi-in-bits", exact / np.log(2), sharp=True)
    yield Guess("mi-sign", -exact, sharp=True)
    yield Guess("mi-always-zero", np.zeros(k.size))
    yield Guess("mi-summed-over-batch", n_samples * exact, sharp=True)
    yield Guess("mi-averaged-over-latents", exact / k, sharp=True)
    yield Guess("mi-half-missing", 2 * exact, sharp=True)
    yield Guess("mi-latents-as-independent", exact + correlation)
    yield Guess("mi-is-total-correlation", correlation)
    yield Guess("mi-is-entropy", np.array([t.entropy for t in truths]))
    for constant in (k / 2 * np.log(2 * np.pi), k / 2, k / 2 * np.log(2 * np.pi * np.e)):
        yield Guess("mi-constant-missing", exact + constant, sharp=True)
        yield Guess("mi-constant-missing", exact - constant, sharp=True)
    yield Guess("mi-wrong-axis", _averaged_over_draws(drawn, _wrong_axis_information) - shift)
    yield Guess("mi-noise-missing", _averaged_over_draws(drawn, _without_noise) - shift)
    yield Guess(
        "mi-variance-of-other-sample", _averaged_over_draws(drawn, _other_samples_variance) - shift
    )
    for code, change in (("mi-log-var-as-log-std", _square), ("mi-variance-as-std", _root)):
        sampled = [p.with_variance(change).truth.mutual_information for p, _ in drawn]
        yield Guess(code, np.array(sampled))
        yield Guess(code, _averaged_over_draws(drawn, _misread_information(change)) - shift)


def total_correlation_guesses(
    drawn: Sequence[Drawn], n_samples: int, shift: FloatArray, of_means: bool
) -> Iterator[Guess]:
    """What a total correlation can turn out to be; the right ones first."""
    truths = [p.truth for p, _ in drawn]
    k = np.array([p.latent_dim for p, _ in drawn], dtype=np.float64)
    means = np.array([t.total_correlation_of_means for t in truths])
    gaussian_means = np.array([t.gaussian_total_correlation_of_means for t in truths])
    sampled = np.array([t.total_correlation for t in truths])
    gaussian = np.array([t.gaussian_total_correlation for t in truths])
    exact, assumed = (means, gaussian_means) if of_means else (sampled, gaussian)
    yield Guess("", exact)
    yield Guess("", assumed, "takes q(z) for a Gaussian of the same moments")
    if not of_means:
        yield Guess("tc-of-means", means)
        yield Guess("tc-of-means", gaussian_means)
    log_n = np.log(n_samples)
    yield Guess("tc-wrong-axis", _averaged_over_draws(drawn, _wrong_axis_correlation) - shift)
    yield Guess("tc-always-zero", np.zeros(k.size))
    yield Guess("tc-log-batch-missing", exact - (k - 1) * log_n, sharp=True)
    yield Guess("tc-log-batch-missing", exact + (k - 1) * log_n, sharp=True)
    yield Guess("tc-log-batch-missing", exact + log_n, sharp=True)
    yield Guess("tc-log-batch-missing", exact - log_n, sharp=True)
    for values in (exact, assumed):
        yield Guess("tc-sign", -values, sharp=True)
        yield Guess("tc-in-bits", values / np.log(2), sharp=True)
        yield Guess("tc-half-missing", 2 * values, sharp=True)
        yield Guess("tc-averaged-over-latents", values / k, sharp=True)
        yield Guess("tc-summed-over-batch", n_samples * values, sharp=True)
    dimension_wise = np.array([t.dimension_wise_kl for t in truths])
    yield Guess("tc-is-dimension-wise-kl", dimension_wise)
    yield Guess("tc-is-marginal-kl", np.array([t.marginal_kl for t in truths]))
    yield Guess("tc-is-rate", np.array([t.rate for t in truths]))
    yield Guess("tc-is-mutual-information", np.array([t.mutual_information for t in truths]))
