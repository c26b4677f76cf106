r"""What β is in other people's losses.

Here the objective is distortion + β·rate, both in nats and summed over dimensions. Most code
writes a loss with other constants. Every such loss is

.. math:: \text{loss} = a\,(\mathcal D + \beta \mathcal R) + \text{constant}

for one scale a, one β and, for squared errors, any one σ²: only a, b = aβ and a/(2σ²) are in it.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from types import MappingProxyType
from typing import SupportsIndex

from deep._checks import check_positive, fail

__all__ = ["CONVENTIONS", "Convention", "EffectiveBeta", "effective_beta"]


@dataclass(frozen=True)
class Convention:
    """How a loss is reduced.

    Attributes
    ----------
    text : str
        The loss in words; w is its KL weight.
    squared : bool
        Squared error (True) or binary cross-entropy (False).
    factor : float
        In front of the reconstruction term.
    feature_mean, latent_mean : bool
        Averaged, not summed, over features and over latents.
    batch_sum, kl_batch_sum : bool
        Reconstruction and KL term summed, not averaged, over the batch.
    minibatch_weight : bool
        The KL weight is multiplied by batch size / number of training samples.
    given_variance : bool
        The squared error is divided by the σ² that the loss is given.
    """

    text: str
    squared: bool = True
    factor: float = 1.0
    feature_mean: bool = False
    latent_mean: bool = False
    batch_sum: bool = False
    kl_batch_sum: bool = False
    minibatch_weight: bool = False
    given_variance: bool = False


def _family(prefix: str, words: str, squared: bool) -> dict[str, Convention]:
    """Reductions in use, for one kind of reconstruction term."""
    mean = f"{words} averaged over batch and features"
    return {
        f"sum_{prefix}": Convention(
            f"{words} summed over features + w KL, averaged over the batch", squared
        ),
        f"batch_sum_{prefix}": Convention(
            f"{words} summed over batch and features + w KL summed over the batch",
            squared, batch_sum=True, kl_batch_sum=True,
        ),
        f"mean_{prefix}": Convention(f"{mean} + w KL", squared, feature_mean=True),
        f"mean_{prefix}_mean_kl": Convention(
            f"{mean} + w KL averaged over batch and latents",
            squared, feature_mean=True, latent_mean=True,
        ),
        f"mean_{prefix}_batch_sum_kl": Convention(
            f"{mean} + w KL summed over the batch",
            squared, feature_mean=True, kl_batch_sum=True,
        ),
        f"mean_{prefix}_minibatch_kl": Convention(
            f"{mean} + w (batch size / number of samples) KL",
            squared, feature_mean=True, minibatch_weight=True,
        ),
    }  # fmt: skip


CONVENTIONS: MappingProxyType[str, Convention] = MappingProxyType(
    {
        **_family("squared_error", "squared error", True),
        **_family("bce", "binary cross-entropy", False),
        "half_sum_squared_error": Convention(
            "½ squared error summed over features + w KL, averaged over the batch", factor=0.5
        ),
        "half_mean_squared_error": Convention(
            "½ squared error averaged over batch and features + w KL", factor=0.5, feature_mean=True
        ),
        "sum_gaussian_nll": Convention(
            "½ (log σ² + squared error / σ²) summed over features + w KL, averaged over the batch",
            factor=0.5, given_variance=True,
        ),
        "mean_gaussian_nll": Convention(
            "½ (log σ² + squared error / σ²) averaged over batch and features + w KL",
            factor=0.5, feature_mean=True, given_variance=True,
        ),
    }
)  # fmt: skip


@dataclass(frozen=True)
class EffectiveBeta:
    """A loss in our terms: loss = scale · (distortion + beta · rate) + a constant.

    Attributes
    ----------
    beta : float
        KL weight in our convention.
    noise_variance : float or None
        σ² of the Gaussian to which that β belongs; None for binary cross-entropy. The same loss
        has β·σ²/s at another variance s.
    scale : float
        What learning rates and clipping see: the loss is so many times ours.
    explanation : str
        One sentence.
    """

    beta: float
    noise_variance: float | None
    scale: float
    explanation: str


def effective_beta(
    convention: str,
    n_features: SupportsIndex,
    latent_dim: SupportsIndex,
    *,
    kl_weight: float = 1.0,
    noise_variance: float | None = None,
    batch_size: SupportsIndex | None = None,
    n_samples: SupportsIndex | None = None,
) -> EffectiveBeta:
    r"""β in our convention of a loss written in another one.

    .. math:: A\,\varepsilon + B\,\mathcal R = 2\sigma^2 A \Bigl(\frac{\varepsilon}{2\sigma^2}
              + \frac{B}{2\sigma^2 A} \mathcal R\Bigr), \qquad \beta = \frac{B}{2\sigma^2 A}

    for a squared error ε, and β = B/A for a cross-entropy.

    Parameters
    ----------
    convention : str
        A key of :data:`CONVENTIONS`; their ``text`` says which loss each is.
    n_features, latent_dim : int
        n and k, >= 1; n counts every channel and pixel.
    kl_weight : float
        w, the number in front of the KL term, > 0. With ``mean_squared_error_mean_kl`` it is the
        normalised β of Higgins et al. 2017, βk/n.
    noise_variance : float, optional
        σ² in which to state the answer. When omitted ½ for conventions without the ½, 1 with it.
        The Gaussian likelihoods (``..._nll``) must be given the σ² they use.
    batch_size : int, optional
        For conventions that sum over the batch or weigh by it.
    n_samples : int, optional
        Of the training set, for conventions that weigh by it.

    Returns
    -------
    EffectiveBeta

    Raises
    ------
    InputError
        An unknown convention, a number missing that it needs, a number out of range.
    """
    if convention not in CONVENTIONS:
        fail("convention", repr(convention), f"one of {', '.join(CONVENTIONS)}",
             "choose the loss you have")  # fmt: skip
    rule = CONVENTIONS[convention]
    n = _count("n_features", n_features)
    k = _count("latent_dim", latent_dim)
    weight = check_positive("kl_weight", kl_weight, "pass the number in front of the KL term")
    reconstruction, kl = rule.factor, weight
    if rule.feature_mean:
        reconstruction /= n
    if rule.latent_mean:
        kl /= k
    if rule.batch_sum:
        reconstruction *= _count("batch_size", batch_size)
    if rule.kl_batch_sum:
        kl *= _count("batch_size", batch_size)
    if rule.minibatch_weight:
        kl *= _count("batch_size", batch_size) / _count("n_samples", n_samples)
    if not rule.squared:
        if noise_variance is not None:
            fail("noise_variance", noise_variance, "none: a cross-entropy has no variance",
                 "leave it out")  # fmt: skip
        return _stated(rule, kl / reconstruction, None, reconstruction, kl_weight)
    variance = _variance(rule, noise_variance)
    if rule.given_variance:
        reconstruction /= variance
    scale = 2 * variance * reconstruction
    return _stated(rule, kl / scale, variance, scale, kl_weight)


def _variance(rule: Convention, given: float | None) -> float:
    if given is not None:
        return check_positive("noise_variance", given, "pass a variance in squared data units")
    if rule.given_variance:
        fail("noise_variance", given, "the σ² of the loss", "pass it")
    return 0.5 / rule.factor


def _count(name: str, value: SupportsIndex | None) -> int:
    try:
        count = 0 if value is None or isinstance(value, bool) else operator.index(value)
    except TypeError:
        count = 0
    if count < 1:
        fail(name, value, "an integer >= 1", f"this convention depends on {name}: pass it")
    return count


def _stated(
    rule: Convention, beta: float, variance: float | None, scale: float, weight: float
) -> EffectiveBeta:
    family = "a Bernoulli likelihood" if variance is None else f"σ² = {variance:.6g}"
    sentence = (
        f"The loss '{rule.text}' with w = {weight:.6g} is {scale:.6g} times distortion + β rate "
        f"with β = {beta:.6g} and {family}, up to a constant."
    )
    return EffectiveBeta(beta, variance, scale, sentence)
