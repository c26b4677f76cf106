r"""Examination of a loss function: which objective it is, and what β is in it.

A ten-line example of what can be examined::

    import numpy as np
    from linvae.doctor.loss import examine_loss

    def loss(x, x_hat, mean, log_var):
        reconstruction = ((x - x_hat) ** 2).mean()
        kl = -0.5 * (1 + log_var - mean**2 - np.exp(log_var)).sum(axis=1).mean()
        return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}

    examined = examine_loss(loss, beta=1.0)
    examined.facts["effective_beta_formula"]  # '1 · n' at σ² = ½: averaged over features
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from linvae._validation import FloatArray, as_positive_number, check_count, fail
from linvae.doctor.examination import Examination
from linvae.doctor.sandbox import State, undisturbed
from linvae.errors import InputTypeError, SubjectError

from ._facts import facts_of
from ._findings import compare_evaluation, findings_of
from ._measure import Measured, first_layout, measure
from ._probe import LAYOUTS, Gradient, Layout, Probe, draw
from ._scales import LIKELIHOODS, Asked, Scales, scales_of
from ._texts import TEXTS, gravest_first
from ._total import part_on_latents, take_two_terms

__all__ = ["examine_loss"]

_Loss = Callable[..., Any]
_NO_WEIGHTS: Mapping[str, float] = MappingProxyType({})


def examine_loss(
    loss: _Loss,
    *,
    beta: float = 1.0,
    noise_variance: float | None = None,
    likelihood: str | None = None,
    convert: Callable[[FloatArray], Any] | None = None,
    state: State | None = None,
    evaluation: _Loss | None = None,
    subject: str | None = None,
    seed: int = 0,
    feature_shape: tuple[int, ...] | None = None,
    latent_dim: int | None = None,
    gradient: Gradient | None = None,
    reseed: Callable[[int], Any] | None = None,
) -> Examination:
    r"""Find out which objective a loss is, by calling it with designed inputs.

    .. math:: \text{loss} = a \sum F(x, \hat x) + b \sum \mathrm{KL} + c, \qquad
              \beta = \frac{b}{2 \sigma^2 a}

    for a squared error F, and β = b / a for a cross-entropy.

    Parameters
    ----------
    loss : callable
        ``loss(x, x_hat, mean, log_var)`` with x, x_hat of shape (N, n) or (N, channels, height,
        width), whichever it accepts, and mean, log_var of shape (N, k). Returns a number, one
        number per sample, a tuple that starts with the total, or a mapping with a total (named
        loss, total, objective or elbo) and perhaps its parts. With methods ``train``, ``eval``
        and an attribute ``training`` it is examined in both modes.
    beta : float, default 1
        The KL weight it is meant to have, > 0.
    noise_variance : float, optional
        σ² of the Gaussian decoder it is meant for, squared data units. When omitted, 1 and ½
        (squared error with and without its ½) are both right.
    likelihood : str, optional
        "gaussian", "bernoulli" (x_hat are probabilities), "bernoulli-logits", "laplace" or
        "continuous-bernoulli". When omitted, any of them is right.
    convert : callable, optional
        Makes their kind of array of a NumPy float64 array.
    state : callable, optional
        Makes a context manager that keeps their library's seeds and modes.
    evaluation : callable, optional
        The loss used in evaluation, of the same signature; it is held against `loss`.
    subject : str, optional
        Name for the report.
    seed : int, default 0
        Of the inputs.
    feature_shape : tuple of int, optional
        Shape of one sample, where the loss accepts only one.
    latent_dim : int, optional
        k, where the loss accepts only one.
    gradient : callable, optional
        ``gradient(function, arrays)``, where ``function(x, x_hat, mean, log_var)`` takes and
        gives their kind of array: the gradient of its value with respect to each of the four
        NumPy arrays, or None where the value has none. When omitted, the attribute ``gradient``
        of an adapted loss; without one, gradients are not examined, and the facts say so.
    reseed : callable, optional
        Seeds the generators of their library, for a loss that draws; also an attribute of an
        adapted loss. NumPy's and Python's own generators are seeded when omitted.

    Returns
    -------
    Examination
        Its ``facts`` hold the effective β and the correction whatever the findings are; its
        ``failure`` says what they raised when nothing could be examined.

    Raises
    ------
    InputError
        β or σ² not positive, an unknown likelihood, one without a σ² that is given one, sizes
        below 1, or a loss that cannot be called.

    Examples
    --------
    >>> import numpy as np
    >>> from linvae.doctor import examine_loss
    >>> def loss(x, x_hat, mean, log_var):
    ...     error = np.square(x - x_hat).mean()           # over the batch and the pixels
    ...     kl = -0.5 * (1 + log_var - mean**2 - np.exp(log_var)).sum(axis=1)
    ...     return error + kl.mean()
    >>> examination = examine_loss(loss, beta=1.0)
    >>> [finding.code for finding in examination.findings]
    ['reconstruction-averaged-over-features']
    >>> examination.facts["effective_beta_formula"]       # n is the number of features
    '1 · n'
    >>> examination.facts["correction"]
    'multiply the KL term by 1 / n'
    """
    asked = _checked(loss, beta, noise_variance, likelihood, evaluation)
    layouts = _layouts(feature_shape, latent_dim)
    check_count("seed", seed, 0, None, "pass an integer >= 0")
    started, name = time.perf_counter(), subject or _name(loss)
    means = _Means(convert, gradient or _attribute(loss, "gradient"),
                   reseed or _attribute(loss, "reseed"), layouts, seed)  # fmt: skip
    evaluated = evaluation is not None or _has_modes(loss)
    asked_of = _questions(evaluated, means.gradient is not None)
    try:
        with undisturbed(state):
            facts, findings = _examine(loss, evaluation, asked, means)
    except SubjectError as error:
        return Examination("loss", name, asked_of, {}, failure=str(error),
                           seconds=time.perf_counter() - started)  # fmt: skip
    seconds = time.perf_counter() - started
    return Examination("loss", name, asked_of, facts, findings, seconds=seconds)


@dataclass(frozen=True)
class _Means:
    """How a loss is called."""

    convert: Callable[[FloatArray], Any] | None
    gradient: Gradient | None
    reseed: Callable[[int], Any] | None
    layouts: tuple[Layout, ...]
    seed: int


def _questions(evaluated: bool, differentiated: bool) -> tuple[str, ...]:
    left_out = set() if evaluated else {TEXTS["evaluation-differs"].asked}
    left_out |= set() if differentiated else {TEXTS["gradient-differs"].asked}
    return tuple(q for q in dict.fromkeys(t.asked for t in TEXTS.values()) if q not in left_out)


def _attribute(loss: Any, name: str) -> Any:
    """What an adapter supplies with the loss: a callable of that name, or None."""
    found = getattr(loss, name, None) if hasattr(loss, "of_adapter") else None
    return found if callable(found) else None


def _examine(
    loss: _Loss, evaluation: _Loss | None, asked: Asked, means: _Means
) -> tuple[dict[str, Any], Any]:
    with _mode(loss, training=True):
        found, scales, probe, notes = _as_meant(loss, asked, means)
    facts = facts_of(found, asked, scales) | notes | {"calls": probe.calls}
    if probe.per_sample:
        facts["returns"] = "one number per sample, averaged here"
    findings = findings_of(found, asked, scales, _defaults(loss))
    if evaluation is None and not _has_modes(loss):
        return facts, gravest_first(findings)
    with _mode(evaluation or loss, training=False):
        other, theirs, _ = _measured(evaluation or loss, asked, means)
    facts |= {f"evaluation_{k}": v for k, v in facts_of(other, asked, theirs).items()}
    findings += compare_evaluation(found, other, (scales, theirs))
    return facts, gravest_first(findings)


def _as_meant(
    loss: _Loss, asked: Asked, means: _Means
) -> tuple[Measured, Scales | None, Probe, dict[str, Any]]:
    """Measure it; where that makes no sense, as what else its signature may mean."""
    found, scales, probe = _measured(loss, asked, means)
    notes: dict[str, Any] = {}
    raw = _attribute(loss, "with_log_var")
    if raw is not None and found.latent.fit.name != "kl":
        again = _measured(raw, asked, means)
        if again[0].latent.fit.name == "kl":
            found, scales, probe = again
            notes["log_var_parameter"] = raw.__doc__
    if probe.assumed:
        if scales is not None and scales.verdict == "beta-ignored":
            kl = part_on_latents(probe, found.layout)
            found, scales, probe = _measured(loss, asked, means, {kl: asked.beta})
        notes["total_taken"] = f"{probe.assumed}, assumed: the loss names no total"
    return found, scales, probe, notes


def _measured(
    loss: _Loss, asked: Asked, means: _Means, weights: Mapping[str, float] = _NO_WEIGHTS
) -> tuple[Measured, Scales | None, Probe]:
    rng = np.random.default_rng(means.seed)
    probe = Probe(loss, means.convert, means.gradient, means.reseed)
    layout = first_layout(probe, means.layouts, rng)
    if weights:
        take_two_terms(probe, draw(layout, rng))
        probe.take({**probe.weights, **weights})
    found = measure(probe, layout, rng)
    return found, scales_of(found, asked), probe


def _defaults(loss: Any) -> dict[str, float]:
    """Numbers that parameters of the loss have when they are not given, by name."""
    known = getattr(loss, "defaults", None) if hasattr(loss, "of_adapter") else None
    if isinstance(known, Mapping):
        return dict(known)
    try:
        parameters = list(inspect.signature(loss).parameters.values())
    except (TypeError, ValueError):
        return {}
    return {p.name: float(p.default) for p in parameters[4:]
            if isinstance(p.default, int | float) and not isinstance(p.default, bool)}  # fmt: skip


def _checked(
    loss: Any, beta: Any, noise_variance: Any, likelihood: str | None, evaluation: Any
) -> Asked:
    for name, value in (("loss", loss), ("evaluation", evaluation)):
        if not callable(value) and not (name == "evaluation" and value is None):
            fail(name, type(value).__name__, "a function of (x, x_hat, mean, log_var)",
                 "pass the function itself", InputTypeError)  # fmt: skip
    beta = as_positive_number("beta", beta, "pass the KL weight the loss is meant to have")
    if likelihood is not None and likelihood not in LIKELIHOODS:
        fail("likelihood", repr(likelihood), f"one of {', '.join(LIKELIHOODS)}", "or leave it out")
    if noise_variance is not None:
        remedy = "pass a variance in squared data units"
        noise_variance = as_positive_number("noise_variance", noise_variance, remedy)
        if likelihood not in (None, "gaussian", "laplace"):
            fail("noise_variance", noise_variance, f"none: {likelihood} has no variance",
                 "leave it out")  # fmt: skip
    return Asked(beta, noise_variance, likelihood)


def _layouts(feature_shape: Any, latent_dim: Any) -> tuple[Layout, ...]:
    latents, vary = 3, True
    if latent_dim is not None:
        latents = check_count("latent_dim", latent_dim, 1, None, "pass the number of latents")
        vary = False
    shapes = [(layout.features, layout.wider) for layout in LAYOUTS]
    if feature_shape is not None:
        shape = feature_shape if isinstance(feature_shape, tuple | list) else (feature_shape,)
        sizes = [check_count("feature_shape", s, 1, None, "pass sizes such as (1, 28, 28)")
                 for s in shape]  # fmt: skip
        shapes = [(tuple(sizes), None)]
    return tuple(Layout(one, wider, latents, vary) for one, wider in shapes)


def _name(loss: Any) -> str:
    name = getattr(loss, "__qualname__", type(loss).__qualname__)
    return f"{getattr(loss, '__module__', '') or ''}.{name}".lstrip(".")


def _has_modes(loss: Any) -> bool:
    """Whether it has a training mode and an evaluation mode, by the usual names."""
    methods = all(callable(getattr(loss, name, None)) for name in ("train", "eval"))
    return methods and isinstance(getattr(loss, "training", None), bool)


@contextmanager
def _mode(loss: Any, training: bool) -> Iterator[None]:
    """Put it into one of its modes, and back."""
    if not _has_modes(loss):
        yield
        return
    before = loss.training
    try:
        loss.train(training) if training else loss.eval()
        yield
    finally:
        loss.train(before)
