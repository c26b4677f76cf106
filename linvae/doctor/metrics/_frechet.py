"""Examination of a Fréchet distance between samples, or between moments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from linvae._types import LinearVAE
from linvae._validation import FloatArray
from linvae.spectrum import Spectrum
from linvae.twins import frechet_distance

from ._call import Caller, as_value, required_names
from ._match import Case, Guess, Outcome, diagnose, fit_in_size
from ._texts import FRECHET

__all__ = ["examine_frechet_distance"]

_ASKED = "Is it the squared Fréchet distance of the two Gaussians with these moments?"
_SAMPLES, _REPEATS = 300, 64
_LADDER = (40, 80, 160, 320)
_MOMENTS = ("mean_1", "cov_1", "mean_2", "cov_2")


@dataclass(frozen=True, eq=False)
class _Pair:
    """Data and what a linear model generates, neither a fit of the other."""

    name: str
    spectrum: Spectrum
    model: LinearVAE
    x: FloatArray
    y: FloatArray  # samples whose moments are exactly those of the population (ddof 0)

    @property
    def moments(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Mean and covariance of the data, and of the model."""
        spread = self.model.decoder @ self.model.decoder.T
        covariance = spread + self.model.noise_variance * np.eye(self.model.n_features)
        return self.spectrum.mean, self.spectrum.covariance, self.model.decoder_offset, covariance

    @property
    def exact(self) -> float:
        """Squared Fréchet distance."""
        return float(frechet_distance(self.model, self.spectrum))


def examine_frechet_distance(metric: Callable[..., Any], convert: Any, seed: int) -> Outcome:
    """Samples whose moments are exact: no chance is left, and a wrong term shows by itself."""
    caller = _caller(metric, convert, seed)
    of_moments = len(caller.takes) == 4
    rng = np.random.default_rng((seed, 31))
    pairs = [_pair(n, shift, rng) for n, shift in ((3, 1.0), (4, 0.3), (5, 2.0), (3, 0.0))]
    values = np.array([_value(caller, p) for p in pairs])
    truth = np.array([p.exact for p in pairs])
    case = Case(
        "fd", _ASKED, tuple(p.name for p in pairs), truth, values, np.full(4, 2e-3), relative=0.012
    )
    best, found = diagnose(case, _guesses(pairs, of_moments), FRECHET)
    facts: dict[str, Any] = {
        "passed": list(caller.takes),
        "returned": [round(float(v), 6) for v in values],
        "exact": [round(float(v), 6) for v in truth],
        "squared": True,
    }
    if best is not None and best.note:
        facts |= {"convention": best.note, "squared": False}
    if not of_moments:
        facts |= _against_size(caller, pairs[0].spectrum, rng, bool(facts["squared"]))
    return Outcome((_ASKED,), facts, () if found is None else (found,))


def _caller(metric: Callable[..., Any], convert: Any, seed: int) -> Caller:
    names = required_names(metric)
    if names is not None and len(names) == 4:
        return Caller(metric, _MOMENTS, _MOMENTS, convert, seed)
    extra = ("seed", "rng")
    return Caller(metric, ("real", "fake", *extra), ("real", "fake"), convert, seed)


def _value(caller: Caller, pair: _Pair) -> float:
    supply: dict[str, Any] = dict(zip(_MOMENTS, pair.moments, strict=True))
    return as_value("frechet_distance", caller({**supply, "real": pair.x, "fake": pair.y}))


def _against_size(
    caller: Caller, spectrum: Spectrum, rng: np.random.Generator, squared: bool
) -> dict[str, Any]:
    """Bias between two sets of samples of one distribution, and the divisor of the covariances."""

    def value(real: FloatArray, fake: FloatArray) -> float:
        returned = as_value("frechet_distance", caller({"real": real, "fake": fake}))
        return returned if squared else returned**2

    rows = [
        [value(spectrum.sample(n, rng), spectrum.sample(n, rng)) for _ in range(_REPEATS)]
        for n in _LADDER
    ]
    few = _exact_moments(8, np.zeros(3), np.eye(3), rng)
    other = _exact_moments(8, np.zeros(3), 4 * np.eye(3), rng)
    ratio = value(few, other) / 3.0
    ddof = next((d for d, r in ((0, 1.0), (1, 8 / 7)) if abs(ratio - r) < 0.02), None)
    return {"bias_of_equal_distributions": fit_in_size(_LADDER, rows, 0.0), "ddof": ddof}


def _exact_moments(
    n: int, mean: FloatArray, covariance: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Samples with exactly these moments, dividing by N."""
    raw = rng.standard_normal((n, mean.size))
    basis, _ = np.linalg.qr(raw - raw.mean(axis=0))
    return np.asarray(mean + np.sqrt(n) * basis @ np.linalg.cholesky(covariance).T)


def _pair(n: int, shift: float, rng: np.random.Generator) -> _Pair:
    axes = np.linalg.qr(rng.standard_normal((n, n)))[0]
    covariance = (axes * (np.geomspace(4.0, 0.3, n) * rng.uniform(0.9, 1.1))) @ axes.T
    mean = rng.uniform(0.5, 1.5, size=n)
    spectrum = Spectrum.from_covariance((covariance + covariance.T) / 2, mean=mean)
    decoder = rng.standard_normal((n, 2)) * np.array([1.6, 0.7])
    away = rng.standard_normal(n)
    offset = mean + shift * np.sqrt(n) * away / np.linalg.norm(away)
    noise = np.array(rng.uniform(0.2, 0.4))
    model = LinearVAE(np.zeros((2, n)), np.ones(2), decoder, noise, decoder_offset=offset)
    name = f"{n} features, mean shift {shift:g} per feature"
    blank = _Pair(name, spectrum, model, np.empty((0, n)), np.empty((0, n)))
    m1, s1, m2, s2 = blank.moments
    x, y = _exact_moments(_SAMPLES, m1, s1, rng), _exact_moments(_SAMPLES, m2, s2, rng)
    return _Pair(name, spectrum, model, x, y)


def _root(matrix: FloatArray) -> FloatArray:
    values, axes = np.linalg.eigh(matrix)
    return np.asarray((axes * np.sqrt(np.maximum(values, 0))) @ axes.T)


def _guesses(pairs: list[_Pair], of_moments: bool) -> Iterator[Guess]:
    exact = np.array([p.exact for p in pairs])
    yield Guess("", exact)
    yield Guess("", np.sqrt(exact), "the distance, not its square: square it to compare with FID")
    table = [_variants(*p.moments) for p in pairs]
    for code in table[0]:
        yield Guess(code, np.array([row[code] for row in table]))
    features = np.array([p.spectrum.n_features for p in pairs], dtype=np.float64)
    yield Guess("fd-averaged-over-features", exact / features)
    yield Guess("fd-sign", -exact)
    yield Guess("fd-half", exact / 2)
    if not of_moments:
        yield from _sample_guesses(pairs)


def _sample_guesses(pairs: list[_Pair]) -> Iterator[Guess]:
    def of(covariance: Callable[[FloatArray], Any]) -> FloatArray:
        terms = [
            _distance(p.x.mean(axis=0), covariance(p.x), p.y.mean(axis=0), covariance(p.y))
            for p in pairs
        ]
        return np.array(terms)

    yield Guess("fd-not-centred", of(lambda a: a.T @ a / len(a)))
    yield Guess("fd-scatter", of(lambda a: len(a) * np.cov(a, rowvar=False, ddof=0)))
    yield Guess("fd-of-correlations", of(lambda a: np.corrcoef(a, rowvar=False)))
    rows = [_distance(p.x.mean(axis=1), np.cov(p.x), p.y.mean(axis=1), np.cov(p.y)) for p in pairs]
    yield Guess("fd-rows-as-variables", np.array(rows))
    mixed = [_distance(p.x.mean(axis=0), np.cov(p.x), p.y.mean(axis=0), np.cov(p.y)) for p in pairs]
    yield Guess("fd-rows-as-variables", np.array(mixed))


def _distance(m1: FloatArray, s1: FloatArray, m2: FloatArray, s2: FloatArray) -> float:
    root = _root(s1)
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ s2 @ root), 0)).sum()
    mean = 0.0 if m1.shape != m2.shape else float(((m1 - m2) ** 2).sum())
    return mean + float(np.trace(s1) + np.trace(s2) - 2 * cross)


def _variants(m1: FloatArray, s1: FloatArray, m2: FloatArray, s2: FloatArray) -> dict[str, float]:
    """Every term dropped or spoilt in turn."""
    gap = float(((m1 - m2) ** 2).sum())
    traces = float(np.trace(s1) + np.trace(s2))
    root = _root(s1)
    cross = float(np.sqrt(np.maximum(np.linalg.eigvalsh(root @ s2 @ root), 0)).sum())
    right = gap + traces - 2 * cross
    d1, d2 = np.diagonal(s1), np.diagonal(s2)
    entries = float(np.sqrt(np.maximum(np.diagonal(s1 @ s2), 0)).sum())
    return {
        "fd-mean-term-missing": right - gap,
        "fd-mean-not-squared": right - gap + float(np.sqrt(gap)),
        "fd-mean-averaged": right - gap + gap / m1.size,
        "fd-mean-term-only": gap,
        "fd-root-term-missing": gap + traces,
        "fd-root-term-once": right + cross,
        "fd-root-term-sign": right + 4 * cross,
        "fd-product-without-root": gap + traces - 2 * float(np.trace(s1 @ s2)),
        "fd-root-entry-by-entry": gap + traces - 2 * entries,
        "fd-product-of-roots": gap + float(((_root(s1) - _root(s2)) ** 2).sum()),
        "fd-covariances-subtracted": gap + float(((s1 - s2) ** 2).sum()),
        "fd-diagonal-only": gap + float(((np.sqrt(d1) - np.sqrt(d2)) ** 2).sum()),
        "fd-trace-averaged": gap + (right - gap) / m1.size,
    }
