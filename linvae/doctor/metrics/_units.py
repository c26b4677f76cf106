"""Examination of a count of active units."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from linvae._validation import FloatArray
from linvae.doctor.sandbox import as_numbers
from linvae.errors import SubjectError

from ._call import Caller, is_called
from ._match import Case, Guess, Outcome, diagnose, finding
from ._texts import UNITS

__all__ = ["examine_active_units"]

_ASKED = "Does it count the latents whose posterior mean varies over the data by more than 0.01?"
_SAMPLES, _LATENTS, _DESIGNS = 300, 9, 10
_LADDER = np.geomspace(1e-6, 10.0, 141)  # variances, 20 to the decade

ROLES = (
    "mean",
    "log_var",
    "log_std",
    "std",
    "var",
    "z",
    "threshold",
    "model",
    "encode",
    "x",
    "batch_size",
    "seed",
    "rng",
)


@dataclass(frozen=True, eq=False)
class _Design:
    """Samples of an encoder whose latents are active, or look so, each for a reason of its own."""

    mean: FloatArray
    log_var: FloatArray
    z: FloatArray


class _Encoder:
    def __init__(self, design: _Design, convert: Callable[[FloatArray], Any] | None) -> None:
        self._design, self._convert = design, convert or np.asarray

    def encode(self, x: Any) -> tuple[Any, Any]:
        del x
        return self._convert(self._design.mean.copy()), self._convert(self._design.log_var.copy())

    __call__ = encode


def examine_active_units(metric: Callable[..., Any], convert: Any, seed: int) -> Outcome:
    """Compare counts on designed latents; read the threshold off a ladder of variances."""
    caller = Caller(metric, ROLES, ("mean", "log_var", "z"), convert, seed)
    if caller.takes == ("z",):  # codes by another name: the definition is about posterior means
        caller = Caller(metric, ROLES, ("mean",), convert, seed)
        caller.plan = tuple((name, "mean") for name, _ in caller.plan or ()) or None
    rng = np.random.default_rng((seed, 21))
    designs = [_design(rng) for _ in range(_DESIGNS)]
    declared = _declared(metric)
    reads = [_count(caller, d) for d in designs]
    as_share = all(share for _, share in reads)
    values = np.array([count for count, _ in reads])
    effective = _effective_threshold(caller, rng)
    right = Guess("", _counts(designs, lambda d: d.mean.var(axis=0) > effective))
    guesses = [right, *_wrong(designs, declared)]
    case = Case(
        "au",
        _ASKED,
        tuple(f"design {i + 1}" for i in range(_DESIGNS)),
        _counts(designs, lambda d: d.mean.var(axis=0) > declared),
        values,
        np.full(_DESIGNS, 1e-6),
        relative=0.0,
    )
    best, found = diagnose(case, guesses, UNITS)
    if best is right:
        found = _threshold_finding(case, effective, declared)
    facts = {
        "passed": list(caller.takes),
        "declared_threshold": declared,
        "effective_threshold_on_variance": round(effective, 8) if best is right else None,
        "returns": "a share of the latents" if as_share else "a count",
        "counts_returned": [float(v) for v in values],
        "counts_exact": [float(v) for v in case.truth],
    }
    return Outcome((_ASKED,), facts, () if found is None else (found,))


def _threshold_finding(case: Case, effective: float, declared: float) -> Any:
    if abs(np.log(effective / declared)) < 0.15:
        return None
    evidence = {"effective threshold on variance": effective, "declared threshold": declared}
    if abs(np.log(effective / declared**2)) < 0.15:
        return finding(case, "au-threshold-on-std", UNITS, evidence)
    if 0.001 <= effective <= 0.1 and declared == 0.01:
        return None  # another choice, written into the code: a convention, stated in the facts
    return finding(case, "au-threshold-not-applied", UNITS, evidence)


def _declared(metric: Callable[..., Any]) -> float:
    """Return the default of a parameter called threshold or the like; 0.01 is what is customary."""
    try:
        parameters = inspect.signature(metric).parameters.values()
    except (TypeError, ValueError):
        return 0.01
    for p in parameters:
        number = isinstance(p.default, int | float) and not isinstance(p.default, bool)
        if is_called(p.name, "threshold") and number and 0 < p.default < 1:
            return float(p.default)
    return 0.01


def _standard(columns: int, rng: np.random.Generator) -> FloatArray:
    """Columns of mean 0 and variance 1 (dividing by N), exactly uncorrelated."""
    raw = rng.standard_normal((_SAMPLES, columns))
    basis, _ = np.linalg.qr(raw - raw.mean(axis=0))
    return np.asarray(basis * np.sqrt(_SAMPLES))


def _design(rng: np.random.Generator) -> _Design:
    k = _LATENTS
    spread = rng.choice([0.0, 1e-3, 0.04, 0.5, 2.0], size=k, p=[0.2, 0.25, 0.15, 0.2, 0.2])
    centre = rng.choice([0.0, 0.8, -2.0], size=k)
    noise = rng.choice([2e-3, 0.05, 0.5, 1.0], size=k)
    moves = rng.choice([0.0, 0.02, 0.3], size=k)
    mean = centre + np.sqrt(spread) * _standard(k, rng)
    log_var = np.log(noise) + moves * _standard(k, rng)
    z = mean + np.exp(log_var / 2) * rng.standard_normal(mean.shape)
    return _Design(mean, log_var, z)


def _supply(design: _Design, convert: Any, threshold: float = 0.01) -> dict[str, Any]:
    encoder = _Encoder(design, convert)
    return {
        "mean": design.mean,
        "log_var": design.log_var,
        "log_std": design.log_var / 2,
        "std": np.exp(design.log_var / 2),
        "var": np.exp(design.log_var),
        "z": design.z,
        "threshold": threshold,
        "model": encoder,
        "encode": encoder,
        "x": design.mean.copy(),
        "batch_size": design.mean.shape[0],
    }


def _count(caller: Caller, design: _Design) -> tuple[float, bool]:
    """Return the count, and whether it came as a share; masks and lists of indices are counted."""
    returned = caller(_supply(design, caller.convert))
    if isinstance(returned, Mapping):
        returned = returned.get("active_units", next(iter(returned.values()), None))
    if isinstance(returned, tuple) and returned:
        returned = returned[0]
    if isinstance(returned, list | set | frozenset):
        flags = [isinstance(entry, bool | np.bool_) for entry in returned]
        return float(sum(returned) if flags and all(flags) else len(returned)), False
    numbers = as_numbers("active_units", returned)
    latents = design.mean.shape[1]
    if numbers.size == 1:
        value = float(numbers.reshape(()))
        whole = abs(value - round(value)) < 1e-9
        return (value, False) if whole and value != 0 else _share(value, latents)
    if np.isin(numbers, (0.0, 1.0)).all() and numbers.ndim == 1:
        return float(numbers.sum()), False
    if numbers.ndim == 1 and (numbers == np.round(numbers)).all() and numbers.size <= latents:
        return float(numbers.size), False
    raise SubjectError(
        f"active_units: the metric returned an array of shape {numbers.shape} that is neither a "
        "mask nor a list of latents; return the number of active latents"
    )


def _share(value: float, latents: int) -> tuple[float, bool]:
    count = value * latents
    return (round(count), True) if abs(count - round(count)) < 1e-5 else (value, False)


def _effective_threshold(caller: Caller, rng: np.random.Generator) -> float:
    """The variance from which a latent counts, if it is variance of the means that counts."""
    mean = np.sqrt(_LADDER) * _standard(_LADDER.size, rng)
    quiet = np.zeros_like(mean)
    count, _ = _count(caller, _Design(mean, quiet, mean + rng.standard_normal(mean.shape)))
    index = int(np.clip(_LADDER.size - round(count) if np.isfinite(count) else 0, 0, 141))
    low = _LADDER[max(index - 1, 0)]
    high = _LADDER[min(index, _LADDER.size - 1)]
    return float(np.sqrt(low * high))


def _counts(designs: list[_Design], rule: Callable[[_Design], Any]) -> FloatArray:
    return np.array([float(np.count_nonzero(rule(d))) for d in designs])


def _wrong(designs: list[_Design], t: float) -> Iterator[Guess]:
    rules: tuple[tuple[str, Callable[[_Design], Any]], ...] = (
        ("au-of-samples", lambda d: d.z.var(axis=0) > t),
        ("au-of-samples", lambda d: (d.mean.var(axis=0) + np.exp(d.log_var).mean(axis=0)) > t),
        ("au-of-posterior-variance", lambda d: np.exp(d.log_var).mean(axis=0) > t),
        ("au-of-posterior-variance", lambda d: np.exp(d.log_var).mean(axis=0) < 1 - t),
        ("au-of-log-variance", lambda d: d.log_var.var(axis=0) > t),
        ("au-of-log-variance", lambda d: np.exp(d.log_var).var(axis=0) > t),
        ("au-of-log-variance", lambda d: np.exp(d.log_var / 2).var(axis=0) > t),
        ("au-mean-not-removed", lambda d: (d.mean**2).mean(axis=0) > t),
        ("au-of-mean-itself", lambda d: d.mean.mean(axis=0) > t),
        ("au-of-mean-itself", lambda d: np.abs(d.mean.mean(axis=0)) > t),
        ("au-of-mean-itself", lambda d: np.abs(d.mean).mean(axis=0) > t),
        ("au-wrong-axis", lambda d: d.mean.var(axis=1) > t),
        ("au-wrong-axis", lambda d: d.mean.var() > t),
        ("au-inverted", lambda d: d.mean.var(axis=0) <= t),
        ("au-by-kl", lambda d: _kl(d).mean(axis=0) > t),
        ("au-threshold-on-std", lambda d: d.mean.std(axis=0) > t),
    )
    for code, rule in rules:
        yield Guess(code, _counts(designs, rule))


def _kl(design: _Design) -> FloatArray:
    return np.asarray(0.5 * (design.mean**2 + np.exp(design.log_var) - 1 - design.log_var))
