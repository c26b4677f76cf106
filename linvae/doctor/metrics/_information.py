"""Examination of mutual information and total correlation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from linvae._validation import FloatArray
from linvae.errors import SubjectError

from ._call import Caller, as_value, is_called
from ._guesses import (
    Drawn,
    information_guesses,
    minibatch_information,
    minibatch_total_correlation,
    total_correlation_guesses,
)
from ._match import Case, Guess, Outcome, diagnose, finding, fit_in_size
from ._problems import Draw, Problem, problems, strong_problem
from ._texts import INFORMATION

__all__ = ["examine_mutual_information", "examine_total_correlation"]

_SIZE, _REPEATS = 256, 4
_LADDER = (32, 64, 128, 256)
_SLOW = 1.0  # seconds a call of full size may take
_BLUNT, _FAST = 0.06, 0.05  # allowances, in nats, that call for more draws, of calls so fast

ROLES = (
    "mean",
    "log_var",
    "log_std",
    "std",
    "var",
    "z",
    "covariance",
    "model",
    "encode",
    "x",
    "dataset_size",
    "batch_size",
    "n_samples",
    "seed",
    "rng",
)


@dataclass(frozen=True)
class _Kind:
    """What sets the two metrics apart."""

    what: str
    prefix: str
    asked: str
    places: tuple[str, ...]
    reference: Callable[[Draw], float]


_MUTUAL = _Kind(
    "mutual_information",
    "mi",
    "Is it the mutual information I(x; z) under q(z|x), in nats?",
    ("mean", "log_var", "z"),
    minibatch_information,
)
_TOTAL = _Kind(
    "total_correlation",
    "tc",
    "Is it the total correlation KL(q(z) ‖ Π q(zⱼ)), in nats?",
    ("mean", "log_var", "z"),
    minibatch_total_correlation,
)


def examine_mutual_information(metric: Callable[..., Any], convert: Any, seed: int) -> Outcome:
    """Exact answers of encoders that are not optimal, bias against size, saturation at log N."""
    caller = Caller(metric, ROLES, _MUTUAL.places, convert, seed)
    rng = np.random.default_rng((seed, 11))
    drawn, size = _draw(caller, problems(rng), rng)
    outcome = _examine(
        _MUTUAL, caller, drawn, size, lambda shift: information_guesses(drawn, size, shift)
    )
    if outcome.findings:
        return outcome
    strong = strong_problem(rng)
    ladder = tuple(n for n in _LADDER if n <= size)
    seen = [_value(_MUTUAL, caller, strong.draw(n, rng)) for n in ladder]
    saturation = {
        "sizes": list(ladder),
        "exact": round(strong.truth.mutual_information, 4),
        "log_size": [round(float(np.log(n)), 4) for n in ladder],
        "returned": [round(v, 4) for v in seen],
        "cannot_exceed_log_size": bool((np.array(seen) <= np.log(ladder) + 0.05).all()),
    }
    return Outcome(outcome.asked, {**outcome.facts, "much_information": saturation})


def examine_total_correlation(metric: Callable[..., Any], convert: Any, seed: int) -> Outcome:
    """Exact answers of encoders whose latents are correlated, bias against size."""
    places = _TOTAL.places
    caller = Caller(metric, ROLES, places, convert, seed)
    of_means = caller.takes == ("mean",)
    if len(caller.takes) == 1 and of_means and not _says_mean(caller):
        # A single array of unknown name: samples, which is what the definition is about.
        caller = Caller(metric, ROLES, ("z",), convert, seed)
        of_means = False
    rng = np.random.default_rng((seed, 12))
    drawn, size = _draw(caller, problems(rng), rng)

    def guesses(shift: FloatArray) -> Iterable[Guess]:
        return total_correlation_guesses(drawn, size, shift, of_means)

    outcome = _examine(_TOTAL, caller, drawn, size, guesses, of_means)
    if of_means:
        note = "of the posterior means, not of samples z: it does not fall with posterior noise"
        return Outcome(outcome.asked, {**outcome.facts, "computed": note}, outcome.findings)
    return outcome


def _says_mean(caller: Caller) -> bool:
    return caller.plan is not None and is_called(caller.plan[0][0], "mean")


def _draw(
    caller: Caller, chosen: tuple[Problem, ...], rng: np.random.Generator
) -> tuple[list[Drawn], int]:
    """Draw for every problem, at a size that a slow metric can bear."""
    first = chosen[0].draw(_LADDER[0], rng)
    seconds = []
    for _ in range(3):  # the first call may load what is never loaded again
        caller(_supply(first, caller.convert))
        seconds.append(caller.seconds)
    quadratic = min(seconds) * (_SIZE / _LADDER[0]) ** 2
    size = _SIZE if quadratic <= _SLOW else 2 * _LADDER[0]
    return [(p, [p.draw(size, rng) for _ in range(_REPEATS)]) for p in chosen], size


class _Encoder:
    """What a metric that takes a model gets: encode, and the call, give (mean, log_var)."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self.convert: Callable[[FloatArray], Any] = np.asarray

    def encode(self, x: Any) -> tuple[Any, Any]:
        del x
        return self.convert(self._draw.mean.copy()), self.convert(self._draw.log_var.copy())

    __call__ = encode


def _supply(draw: Draw, convert: Any = None) -> dict[str, Any]:
    encoder = _Encoder(draw)
    if convert is not None:
        encoder.convert = convert
    return {
        "mean": draw.mean,
        "log_var": draw.log_var,
        "log_std": draw.log_var / 2,
        "std": np.exp(draw.log_var / 2),
        "var": np.exp(draw.log_var),
        "z": draw.z,
        "covariance": np.cov(draw.z, rowvar=False, ddof=0),
        "model": encoder,
        "encode": encoder,
        "x": draw.x,
        "dataset_size": draw.x.shape[0],
        "batch_size": draw.x.shape[0],
        "n_samples": 1,
    }


def _value(kind: _Kind, caller: Caller, draw: Draw) -> float:
    returned = caller(_supply(draw, caller.convert))
    return as_value(kind.what, returned, draw.x.shape[0])


def _examine(
    kind: _Kind,
    caller: Caller,
    drawn: list[Drawn],
    size: int,
    guesses: Callable[[FloatArray], Iterable[Guess]],
    of_means: bool = False,
) -> Outcome:
    name = kind.what + ("_of_means" if of_means else "")
    truth = np.array([getattr(p.truth, name) for p, _ in drawn])
    mean, shift, slack = _measure(kind, caller, drawn)
    if slack.max() > _BLUNT and caller.seconds < _FAST:
        rng = np.random.default_rng((caller.seed, 14))
        for problem, draws in drawn:
            draws += [problem.draw(size, rng) for _ in range(3 * _REPEATS)]
        mean, shift, slack = _measure(kind, caller, drawn)
    names = tuple(p.name for p, _ in drawn)
    case = Case(kind.prefix, kind.asked, names, truth, mean - shift, slack)
    best, found = diagnose(case, guesses(shift), INFORMATION)
    if found is not None and kind is _TOTAL and _right_when_transposed(caller, drawn, case):
        found = finding(case, "tc-rows-as-variables", INFORMATION)
    facts = _facts(kind, caller, case, drawn, size, of_means)
    if best is not None and best.note:
        facts["convention"] = best.note
    return Outcome((kind.asked,), facts, () if found is None else (found,))


def _right_when_transposed(caller: Caller, drawn: list[Drawn], case: Case) -> bool:
    """Whether a metric of a single array wants one row per latent."""
    if caller.takes not in (("z",), ("mean",)):
        return False
    role = caller.takes[0]
    for (_, draws), truth, slack in zip(drawn[:3], case.truth, case.slack, strict=False):
        array = draws[0].z if role == "z" else draws[0].mean
        try:
            value = as_value("total_correlation", caller({role: array.T}))
        except SubjectError:
            return False
        if not abs(value - truth) <= 3 * slack:
            return False
    return True


def _measure(
    kind: _Kind, caller: Caller, drawn: list[Drawn]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean of what the metric returns, what chance added to it, and what it may still add."""
    values = np.array([[_value(kind, caller, d) for d in draws] for _, draws in drawn])
    expected = np.array([[kind.reference(d) for d in draws] for _, draws in drawn])
    exact = np.array([getattr(p.truth, kind.what) for p, _ in drawn])
    return values.mean(axis=1), *_chance(values, expected, exact)


def _chance(
    values: FloatArray, expected: FloatArray, exact: FloatArray
) -> tuple[FloatArray, FloatArray]:
    r"""Return what chance added to each mean, as far as it is known, and what it may still add.

    .. math:: \text{shift} = b\,(\bar r - r^*), \qquad b = \mathrm{Cov}(v, r) / \mathrm{Var}(r)

    r is a sound estimator on the same draws, whose deviation from the truth r* is known (a control
    variate). What is left: five standard errors of v - b r, and the bias of r where b leaves it.
    """
    own = values - values.mean(axis=1, keepdims=True)
    reference = expected - expected.mean(axis=1, keepdims=True)
    if not np.isfinite(values).all():
        return np.zeros(len(values)), np.full(len(values), 0.1)
    spread = float((reference**2).sum())
    slope = float((own * reference).sum()) / spread
    slope = min(max(slope, -2.0), 2.0)
    left = own - slope * reference
    freedom = values.size - len(values) - 1
    # A metric of another scale has a spread of that scale, too: the reference caps it.
    variance = min(float((left**2).sum()), 4 * spread) / freedom
    away = expected.mean(axis=1) - exact
    bias = abs(1 - slope) * np.abs(away)
    slack = 0.02 + 5 * np.sqrt(variance / values.shape[1]) + np.minimum(bias, np.abs(away))
    return slope * away, np.asarray(slack)


def _facts(
    kind: _Kind, caller: Caller, case: Case, drawn: list[Drawn], size: int, of_means: bool
) -> dict[str, Any]:
    problem = drawn[0][0]
    rng = np.random.default_rng((caller.seed, 13))
    ladder = tuple(n for n in _LADDER if n <= size)
    rows = [
        [_value(kind, caller, problem.draw(n, rng)) for _ in range(_REPEATS * min(8, size // n))]
        for n in ladder
    ]
    truth = getattr(problem.truth, kind.what + ("_of_means" if of_means else ""))
    facts: dict[str, Any] = {
        "passed": list(caller.takes),
        "sample_size": size,
        "bias": fit_in_size(ladder, rows, truth),
    }
    facts.update(_pairs(case))
    return facts


def _pairs(case: Case) -> Mapping[str, Any]:
    zipped = zip(case.names, case.values, case.truth, strict=True)
    return {
        name: {"returned": round(float(value), 4), "exact": round(float(exact), 4)}
        for name, value, exact in zipped
    }
