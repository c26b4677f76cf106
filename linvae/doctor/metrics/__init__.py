"""Examination of a metric on Gaussian encoders whose exact values are known.

The encoders are anisotropic, correlated and not optimal: at the optimum of a linear VAE every
latent is N(0, 1), rate and mutual information coincide, and wrong metrics look right.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from linvae._validation import check_count, fail
from linvae.doctor.examination import Examination
from linvae.doctor.sandbox import State, undisturbed
from linvae.errors import InputTypeError, SubjectError

from ._bound import examine_bound
from ._frechet import examine_frechet_distance
from ._information import examine_mutual_information, examine_total_correlation
from ._match import Outcome
from ._mig import examine_mig
from ._units import examine_active_units

__all__ = ["METRICS", "examine_metric"]

_PARTS: Mapping[str, Callable[[Callable[..., Any], Any, int], Outcome]] = {
    "mutual_information": examine_mutual_information,
    "total_correlation": examine_total_correlation,
    "active_units": examine_active_units,
    "mig": examine_mig,
    "frechet_distance": examine_frechet_distance,
    "importance_weighted_bound": examine_bound,
}

METRICS = tuple(_PARTS)


def examine_metric(
    metric: Callable[..., Any],
    what: str,
    *,
    convert: Callable[..., Any] | None = None,
    state: State | None = None,
    subject: str | None = None,
    seed: int = 0,
) -> Examination:
    r"""Hold a metric against exact values; name what it computes where that is something else.

    .. math:: I_q(x;z) = \tfrac12 \log\det(I + C^{-1} E S E^\top), \qquad
              \mathrm{TC} = \tfrac12 \Big[\sum_j \log \Sigma_{jj} - \log\det\Sigma\Big],
              \quad \Sigma = E S E^\top + C

    Parameters
    ----------
    metric : callable
        Parameters are recognised by their names (mean or mu; log_var or logvar; std, var, z, x;
        factors, codes; n_samples or k; model, ...), else by their place. Parameters with a default
        are left at it. It returns a number, one number per sample, a tuple that begins with the
        number, or a mapping with one entry or one of the metric's name. Samples are rows.
    what : str
        One of :data:`METRICS`; the signatures are in the notes.
    convert : callable, optional
        Turns a NumPy array into the array type that the metric takes, such as a tensor.
    state : callable, optional
        Makes a context manager that keeps the state of that library (seeds, gradient mode).
    subject : str, optional
        Its name in the result.
    seed : int
        Of everything that is drawn.

    Returns
    -------
    Examination
        Facts hold bias and standard error against the number of samples where the metric depends
        on samples, the fit of bias = c/N, and the convention in use.

    Raises
    ------
    InputError
        An unknown metric, or something that cannot be called. What their code raises or returns is
        never raised: it is the result's `failure`.

    Notes
    -----
    One example of each signature, q(z|x) = N(mean, exp(log_var)) with arrays (N, k)::

        def mutual_information(mean, log_var, z):          # or (mean, log_var): draw your own z
            away = z[:, None] - mean[None]
            log_q = -0.5 * (away**2 / np.exp(log_var) + log_var + np.log(2 * np.pi)).sum(-1)
            log_qz = logsumexp(log_q, axis=1) - np.log(len(z))
            return (np.diagonal(log_q) - log_qz).mean()

        def total_correlation(z):                          # or (mean, log_var), (covariance)
            covariance = np.cov(z, rowvar=False)
            logs = np.log(np.diagonal(covariance)).sum()
            return 0.5 * (logs - np.linalg.slogdet(covariance)[1])

        def active_units(mean, threshold=0.01):            # a number, a mask, or a list of latents
            return (mean.var(axis=0) > threshold).sum()

        def mig(factors, codes):                           # (N, F) integers, (N, k)
            table = [[mutual_info(z, v) for v in factors.T] for z in codes.T]
            first, second = np.sort(table, axis=0)[[-1, -2]]
            return ((first - second) / [entropy(v) for v in factors.T]).mean()

        def frechet_distance(x, y):                        # or (mu1, sigma1, mu2, sigma2)
            s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
            gap = x.mean(axis=0) - y.mean(axis=0)
            roots = np.sqrt(np.linalg.eigvals(s1 @ s2).real)
            return gap @ gap + np.trace(s1 + s2) - 2 * roots.sum()

        def importance_weighted_bound(log_weights):        # (N, K); or (log_p, log_q),
            k = log_weights.shape[1]                       # or (log_px, log_pz, log_qz)
            return (logsumexp(log_weights, axis=1) - np.log(k)).mean()

        def importance_weighted_bound(model, x, n_samples):
            mean, log_var = model.encode(x)                # model.decode(z): means of p(x|z)
            noise = np.random.standard_normal((n_samples, *mean.shape))
            z = mean + np.exp(log_var / 2) * noise
            log_q = -0.5 * (noise**2 + log_var + np.log(2 * np.pi)).sum(-1)
            log_pz = -0.5 * (z**2 + np.log(2 * np.pi)).sum(-1)
            s2 = model.noise_variance
            error = (x - model.decode(z))**2 / s2
            log_px = -0.5 * (error + np.log(2 * np.pi * s2)).sum(-1)
            return (logsumexp(log_px + log_pz - log_q, axis=0) - np.log(n_samples)).mean()

    Not findings: a Fréchet distance without the square, covariances that divide by N or N - 1, a
    bound with the opposite sign or summed over the batch, active units as a mask or a share, a
    total correlation of the means from a metric that is given means only. The facts say which.

    Sources: Hoffman and Johnson 2016 (mutual information), Chen et al. 2018 (total correlation,
    mutual information gap), Burda et al. 2016 (active units, importance-weighted bound), Dowson and
    Landau 1982 (Fréchet distance).
    """
    if what not in _PARTS:
        fail("what", repr(what), " or ".join(METRICS), "name the metric that is to be examined")
    if not callable(metric):
        fail(
            "metric",
            type(metric).__name__,
            "a function",
            "pass the function itself, not its result",
            InputTypeError,
        )
    number = check_count("seed", seed, 0, None, "pass a number such as 0")
    name = subject or str(getattr(metric, "__name__", type(metric).__name__))
    start = time.perf_counter()
    failure: str | None = None
    outcome = Outcome((), {})
    with undisturbed(state):
        try:
            outcome = _PARTS[what](metric, convert, number)
        except SubjectError as error:
            failure = str(error)
    return Examination(
        "metric",
        name,
        outcome.asked,
        {"metric": what, **outcome.facts},
        outcome.findings,
        failure,
        time.perf_counter() - start,
    )
