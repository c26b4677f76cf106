"""From numbers to a diagnosis: which formula would have given what the metric returned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from linvae._validation import FloatArray
from linvae.doctor.examination import Finding

__all__ = ["Case", "Guess", "Outcome", "diagnose", "finding", "fit_in_size"]


_NEAR, _GLOVE = 0.3, 0.08  # in units of what chance and bias allow
# More is demanded of a mistake that is to be named than of a right formula: half of what chance
# allows, or all of it where no other mistake comes near.
_NAMED, _ALONE = 0.5, 2.5


@dataclass(frozen=True, eq=False)
class Guess:
    """A formula and what it gives on every problem; the code is empty where it is right."""

    code: str
    values: FloatArray  # (P,)
    note: str = ""  # for a right one: the convention it stands for
    scale: float = 1.0  # what its chance errors are multiplied by
    sharp: bool = False  # a multiple of the truth or a constant away: its bias is the same


@dataclass(frozen=True, eq=False)
class Case:
    """What was measured on P problems, against the truth; `slack` is what chance and bias allow."""

    prefix: str
    asked: str
    names: tuple[str, ...]
    truth: FloatArray
    values: FloatArray
    slack: FloatArray
    relative: float = 0.02


@dataclass(frozen=True)
class Outcome:
    """What one part of an examination adds."""

    asked: tuple[str, ...]
    facts: Mapping[str, Any]
    findings: tuple[Finding, ...] = ()


def diagnose(
    case: Case, guesses: Iterable[Guess], texts: Mapping[str, tuple[str, str, str]]
) -> tuple[Guess | None, Finding | None]:
    """Return the guess that explains the numbers, and the finding unless it is a right one.

    Right ones come first, and the first that fits is taken; of the others the closest, if it fits
    well. Mistakes that fit as well as the closest are named with it in the cause.
    """
    if not np.isfinite(case.values).all():
        return None, finding(case, f"{case.prefix}-not-finite", texts)
    best, least = None, 1.0
    wrong: list[tuple[float, Guess]] = []
    for guess in guesses:
        misfit = _misfit(case, guess.values, guess.scale)
        if misfit <= _NEAR and not guess.code:
            return guess, None
        if guess.code:
            wrong.append((misfit, guess))
        elif misfit <= least:
            best, least = guess, misfit
    misfit, named = min(wrong, key=lambda pair: pair[0], default=(np.inf, None))
    # Within what chance allows a right formula stands, unless another one fits like a glove.
    if best is not None and (named is None or misfit > _GLOVE * least):
        return best, None
    if named is None or not _is_named(misfit, named, wrong):
        return None, finding(case, _by_shape(case), texts)
    found = finding(case, named.code, texts)
    others = {g.code: None for m, g in wrong if m <= max(misfit, _GLOVE) and g.code != named.code}
    return named, _with_others(found, [texts[code][1] for code in others])


def _is_named(misfit: float, named: Guess, wrong: list[tuple[float, Guess]]) -> bool:
    """Whether a mistake explains the numbers well enough to be named."""
    if misfit <= _NAMED:
        return True
    next_best = min((m for m, g in wrong if g.code != named.code), default=np.inf)
    return not named.sharp and misfit <= 1 and next_best > _ALONE * misfit


def _with_others(found: Finding, causes: Sequence[str]) -> Finding:
    """The same finding, its cause with others that give the same numbers."""
    causes = [cause for cause in causes if cause != found.cause]
    return replace(found, cause="; or ".join([found.cause, *causes])) if causes else found


def _misfit(case: Case, predicted: FloatArray, scale: float = 1.0) -> float:
    """Largest deviation, in units of what is allowed."""
    if not np.isfinite(predicted).all():
        return float("inf")
    allowed = abs(scale) * case.slack + case.relative * np.abs(predicted)
    return float((np.abs(case.values - predicted) / allowed).max())


def _by_shape(case: Case) -> str:
    """No formula fits: a constant, a multiple of the truth, or a shift by a constant."""
    values, truth = case.values, case.truth
    if np.ptp(values) <= 1e-6 * (1 + np.abs(values).max()) and np.ptp(truth) > case.slack.max():
        return f"{case.prefix}-constant"
    if (np.abs(truth) > 3 * case.slack).all():
        factor = float((values @ truth) / (truth @ truth))
        if abs(factor) > 1e-3 and _misfit(case, factor * truth) <= _NAMED:
            return f"{case.prefix}-scaled"
    if _misfit(case, truth + (values - truth).mean()) <= _NAMED:
        return f"{case.prefix}-shifted"
    return f"{case.prefix}-wrong"


def finding(
    case: Case,
    code: str,
    texts: Mapping[str, tuple[str, str, str]],
    evidence: Mapping[str, Any] | None = None,
) -> Finding:
    """Write the finding of a code; what was returned and what is exact stand in its evidence."""
    shape = code.removeprefix(f"{case.prefix}-")
    found, cause, remedy = texts.get(code) or _SHAPES[shape]
    numbers: dict[str, Any] = {}
    for name, value, truth in zip(case.names, case.values, case.truth, strict=True):
        numbers[f"returned, {name}"] = round(float(value), 6)
        numbers[f"exact, {name}"] = round(float(truth), 6)
    if shape == "scaled":
        numbers["factor"] = round(float((case.values @ case.truth) / (case.truth @ case.truth)), 4)
    if shape == "shifted":
        numbers["shift"] = round(float((case.values - case.truth).mean()), 4)
    return Finding(code, case.asked, found, {**numbers, **(evidence or {})}, cause, remedy)


_SHAPES: Mapping[str, tuple[str, str, str]] = {
    "not-finite": (
        "It returns NaN or infinity on harmless inputs.",
        "a logarithm of zero, an overflow of exp, or a singular covariance taken over the wrong "
        "axis",
        "work with logarithms (logsumexp, slogdet) and check which axis holds the samples",
    ),
    "constant": (
        "It returns the same number for encoders of very different quality.",
        "an axis that is averaged or normalised away, or inputs that are not used",
        "check which axes are reduced, and that every input enters the result",
    ),
    "scaled": (
        "It is a constant multiple of the exact value.",
        "a factor: a ½ too many or too few, another unit, a mean in place of a sum",
        "divide by the factor given in the evidence, or find the sum that should be a mean",
    ),
    "shifted": (
        "It differs from the exact value by a constant.",
        "a constant left out or counted twice, such as ½ log 2π or the logarithm of a count",
        "subtract the shift given in the evidence, or find the constant that is missing",
    ),
    "wrong": (
        "It does not agree with the exact value, and no known mistake explains the numbers.",
        "unknown; the numbers in the evidence are exact, so that any one of them can be debugged",
        "compare step by step with the exact value of the simplest case in the evidence",
    ),
}


def fit_in_size(
    sizes: Sequence[int], values: Sequence[Sequence[float]], truth: float
) -> dict[str, Any]:
    r"""Bias and standard error at every sample size, and the fit of bias = c / N.

    .. math:: \hat c = \frac{\sum_N b_N / N}{\sum_N 1 / N^2}

    `values` holds the repeats for each size.
    """
    means = np.array([np.mean(row) for row in values])
    errors = np.array([np.std(row, ddof=1) / np.sqrt(len(row)) for row in values])
    inverse = 1.0 / np.asarray(sizes, dtype=np.float64)
    bias = means - truth
    with np.errstate(invalid="ignore"):
        coefficient = float((bias * inverse).sum() / (inverse**2).sum())
    return {
        "sizes": list(map(int, sizes)),
        "exact": round(truth, 6),
        "bias": [round(float(b), 6) for b in bias],
        "standard_error": [round(float(e), 6) for e in errors],
        "bias_times_size": round(coefficient, 3),
        "slope_in_log_size": round(float(np.polyfit(np.log(sizes), means, 1)[0]), 4)
        if np.isfinite(means).all()
        else None,
    }
