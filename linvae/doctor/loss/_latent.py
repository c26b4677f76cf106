"""Which latent term a loss has: its formula, and where it departs from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from linvae._validation import FloatArray

from ._coupling import diagnose
from ._probe import Inputs, Layout, Probe, draw
from ._squashed import squashing
from ._terms import BASIS, LATENT, Fit, Formula, best_formula, sparse_coefficients

__all__ = [
    "MODERATE",
    "POSITIVE",
    "UNSEEN",
    "Irregularity",
    "Region",
    "Term",
    "measure_latent",
    "refit_latent",
]

_DRAWS = 32
_PATH = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)
_LOWER = (-0.6, -1, -1.5, -2, -3, -4, -5, -6, -7, -8, -10, -12, -16, -20, -30)
_UPPER = (0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20)


@dataclass(frozen=True)
class Irregularity:
    """A departure from the formula: a stable name and what was measured."""

    name: str
    evidence: dict[str, Any]


@dataclass(frozen=True)
class Region:
    """Where the latents are drawn from, and the point that stands for the prior."""

    means: tuple[float, float]
    log_vars: tuple[float, float]
    neutral: float = 0.0


@dataclass(frozen=True)
class Term:
    """A term of the loss.

    Attributes
    ----------
    fit : Fit
        Formula and scale; its name is ``"none"`` for a term that is missing.
    region : Region or None
        Where the latent formula holds.
    irregularities : tuple of Irregularity
        Departures from it.
    """

    fit: Fit
    region: Region | None = None
    irregularities: tuple[Irregularity, ...] = ()


UNSEEN = Term(Fit("unseen", np.nan, np.inf, False))
MODERATE = Region((-2.0, 2.0), (-2.0, 1.5))
_SMALL = Region((-0.7, 0.7), (-0.55, 0.45))
_BELOW = Region((-0.7, 0.7), (-1.4, -0.05))
_TINY = Region((-0.02, 0.02), (-0.02, 0.02))
_NEARLY_ONE = Region((1.0, 3.0), (-0.02, 0.02))
# Every latent of every sample far from the prior: above most thresholds.
_FAR = Region((7.0, 9.0), (-2.0, 1.5))
POSITIVE = Region((-2.0, 2.0), (0.3, 2.5), 1.0)
# Rounding units that the term must move the loss by for its formula to be read.
_FAINT = 1000
# Misfit from which on a scale is read off at larger means.
_FINE = 5e-4
_NEED_POSITIVE = ("variance", "std")


def _values(
    probe: Probe, base: Inputs, region: Region, layout: Layout, rng: np.random.Generator, count: int
) -> tuple[FloatArray, list[tuple[FloatArray, FloatArray]]]:
    values, pairs = [], []
    for _ in range(count):
        new = draw(layout, rng, region.means, region.log_vars)
        values.append(probe.attempt(replace(base, mean=new.mean, log_var=new.log_var)))
        pairs.append((new.mean, new.log_var))
    return np.array(values), pairs


def _no_effect(values: FloatArray, unit: float) -> bool:
    return bool(np.ptp(values) <= 30 * unit * np.abs(values).max() * 0.1 or np.ptp(values) == 0)


def _uniform(probe: Probe, base: Inputs, mean: float, log_var: float) -> float:
    shape = base.mean.shape
    return probe.attempt(replace(base, mean=np.full(shape, mean), log_var=np.full(shape, log_var)))


def _is_missing(probe: Probe, base: Inputs) -> bool:
    """Whether even latents far from the prior leave the loss where it was."""
    spots = [(0.0, 0.0), (20.0, 0.0), (3.0, 1.0), (-5.0, 3.0), (2000.0, 0.0)]
    values = np.array([_uniform(probe, base, *spot) for spot in spots])
    # The largest mean may overflow in half precision: then it has an effect.
    return bool(np.isfinite(values).all() and _no_effect(values, probe.unit))


def measure_latent(probe: Probe, base: Inputs, layout: Layout, rng: np.random.Generator) -> Term:
    """The latent term at fixed x and x_hat."""
    if _is_missing(probe, base):
        return Term(Fit("none", 0.0, 0.0, True), MODERATE)
    for region in (MODERATE, _SMALL, _BELOW, _FAR, POSITIVE):
        values, pairs = _values(probe, base, region, layout, rng, _DRAWS)
        fit = best_formula(LATENT, values, pairs, np.zeros(len(values)), probe.unit)
        if fit.good and (region is POSITIVE) == (fit.name in _NEED_POSITIVE):
            return _recognised(probe, base, layout, Term(fit, region), rng)
        if region is MODERATE and np.ptp(values) < _FAINT * probe.unit * np.abs(values).max():
            return _faint(probe, base, layout, rng)
        mixed = sparse_coefficients(BASIS, values, pairs, np.zeros(len(values)), probe.unit)
        if mixed is not None and region is MODERATE:
            return Term(_prior_or_mixture(mixed), region)
    squashed = _squashed(probe, base, layout, rng)
    if squashed is not None:
        return squashed
    shape = _departures_of_path(probe, base, np.nan, 0.0)
    return Term(Fit("unknown", np.nan, np.inf, False), None, shape or _structure(probe, base))


def _squashed(probe: Probe, base: Inputs, layout: Layout, rng: np.random.Generator) -> Term | None:
    """A KL that is right for small log-variances and of a smaller one for large ones."""
    steep = Term(Fit("kl", np.nan, np.inf, False), _NEARLY_ONE)
    fits = [refit_latent(probe, base, layout, replace(steep, region=region), rng)
            for region in (_TINY, _NEARLY_ONE)]  # fmt: skip
    scale = fits[1].scale
    if not all(fit.good for fit in fits) or not np.isclose(fits[0].scale, scale, rtol=2e-2):
        return None
    values, pairs = _values(probe, base, MODERATE, layout, rng, 8)
    start = _uniform(probe, base, 0.0, 0.0)

    def effect(log_var: float) -> float:
        return (_uniform(probe, base, 0.0, log_var) - start) / (scale * base.mean.size)

    bounds = squashing(effect, pairs, (values - start) / scale)
    if bounds is None:
        return None
    path = _departures_of_path(probe, base, scale, 0.0)
    found = [Irregularity("log-variance-clamped-softly", {"softly": True})]
    found += [Irregularity(f"log-variance-clamped-{side}", {f"{side}_bound": bound})
              for side, bound in bounds.items()]  # fmt: skip
    return Term(fits[1], _NEARLY_ONE, (*path, *found))


def _afar(
    probe: Probe, base: Inputs, layout: Layout, term: Term, rng: np.random.Generator
) -> Term | None:
    """The same formula at means so large that rounding does not matter; None if it is lost."""
    for size in (20.0, 200.0, 2000.0):
        there = replace(term, region=Region((size, 3 * size), (-1.0, 1.0)))
        fit = refit_latent(probe, base, layout, there, rng)
        if fit.good and fit.misfit < _FINE:
            return replace(there, fit=fit)
    return None


def _faint(probe: Probe, base: Inputs, layout: Layout, rng: np.random.Generator) -> Term:
    """A term that rounding hides at ordinary latents: only large means show its scale."""
    seen = (Irregularity("kl-faint", {}),)
    term = _afar(probe, base, layout, Term(Fit("kl", np.nan, np.inf, False), _FAR, seen), rng)
    if term is None:
        return Term(Fit("faint", np.nan, np.inf, False), None, seen)
    # A high threshold hides the term as well as rounding does.
    path = _departures_of_path(probe, base, term.fit.scale, 0.0)
    return replace(term, irregularities=path) if path else term


def _recognised(
    probe: Probe, base: Inputs, layout: Layout, term: Term, rng: np.random.Generator
) -> Term:
    """Add where the formula stops to hold; beyond a threshold or target it is read off afar."""
    assert term.region is not None
    found = _departures(probe, base, term.fit, term.region)
    if any(item.name in ("free-bits", "kl-target") for item in found):
        far = replace(term, region=_FAR)
        term = replace(far, fit=refit_latent(probe, base, layout, far, rng))
    elif term.fit.misfit > _FINE:
        term = _afar(probe, base, layout, term, rng) or term
    return replace(term, irregularities=found)


def _structure(probe: Probe, base: Inputs) -> tuple[Irregularity, ...]:
    def effect(moved: FloatArray) -> float:
        return probe.attempt(replace(base, mean=1.5 * moved, log_var=-moved))

    return tuple(Irregularity(*item) for item in diagnose(effect, base.mean.shape, probe.unit))


def _prior_or_mixture(fit: Fit) -> Fit:
    """Recognise the KL to N(0, t), t other than 1, up to its constant."""
    c = fit.coefficients
    if set(c) == {"mean²", "exp(log_var)", "log_var"}:
        square, variance, log = c["mean²"], c["exp(log_var)"], c["log_var"]
        if np.isclose(square, variance, rtol=5e-3) and log * square < 0:
            return replace(fit, name="prior-variance", scale=-2 * log)
    return fit


def refit_latent(
    probe: Probe, base: Inputs, layout: Layout, term: Term, rng: np.random.Generator
) -> Fit:
    """The same formula at other sizes."""
    formula = LATENT.get(term.fit.name)
    if term.fit.coefficients:
        formula = _weighted(term.fit)
    if term.region is None or formula is None:
        return term.fit
    values, pairs = _values(probe, base, term.region, layout, rng, 8)
    chosen = {term.fit.name: formula}
    return best_formula(chosen, values, pairs, np.zeros(len(values)), probe.unit)


def _weighted(fit: Fit) -> Formula:
    """The combination that was found, as one formula with its scale, or 1, in front."""
    scale = fit.scale if np.isfinite(fit.scale) else 1.0

    def summed(mean: FloatArray, log_var: FloatArray) -> float:
        parts = (c * BASIS[name](mean, log_var) for name, c in fit.coefficients.items())
        return sum(parts) / scale

    return summed


def _departures(probe: Probe, base: Inputs, fit: Fit, region: Region) -> tuple[Irregularity, ...]:
    """Thresholds, targets and clamps: where the formula stops to hold."""
    path = _departures_of_path(probe, base, fit.scale, region.neutral)
    if path or region.neutral:
        return path
    return _clamps(probe, base, fit)


def _departures_of_path(
    probe: Probe, base: Inputs, scale: float, neutral: float
) -> tuple[Irregularity, ...]:
    """Move all means together, away from zero: the KL is t²/2 for each latent of each sample."""
    values = np.array([_uniform(probe, base, t, neutral) for t in _PATH])
    if not np.isfinite(values).all():
        return ()
    gain, kl = values - values[0], np.array(_PATH) ** 2 / 2 * base.mean.size
    top = float((gain[-1] - gain[-2]) / (kl[-1] - kl[-2]))
    noise = 30 * probe.unit * (np.abs(values) + abs(values[0]))
    # The slope is no better than the two values that give it.
    noise = noise + (1e-4 * abs(top) + noise[-1] / (kl[-1] - kl[-2])) * kl
    straight = bool((np.abs(gain - top * kl) <= 3 * noise).all())
    if (np.abs(gain) <= 3 * noise).all():
        return ()
    if straight and np.isfinite(scale) and np.isclose(top, scale, rtol=1e-2):
        return ()
    if abs(top) * kl[-1] <= noise[-1]:
        return (Irregularity("kl-clipped-above", {"largest_effect": float(np.abs(gain).max())}),)
    return _bend(probe, base, (gain, kl, noise), top, neutral)


def _bend(
    probe: Probe,
    base: Inputs,
    path: tuple[FloatArray, FloatArray, FloatArray],
    top: float,
    neutral: float,
) -> tuple[Irregularity, ...]:
    """A path that is straight at its end only: flat before it, or falling."""
    gain, kl, noise = path
    middle = float((gain[-2] - gain[-3]) / (kl[-2] - kl[-3]))
    if not np.isclose(top, middle, rtol=1e-2):
        return ()
    if (-gain * np.sign(top) > 3 * noise).any():
        offset = float(kl[-1] - gain[-1] / top) / base.mean.size
        return (Irregularity("kl-target", _target(offset, base, top)),)
    # Read the offset off near the bend, where it is not small beside what is subtracted.
    bend = min(int(np.argmax(gain * np.sign(top) > 3 * noise)) + 1, len(kl) - 1)
    offset = float(kl[bend] - gain[bend] / top) / base.mean.size
    if offset > 0 and (np.abs(gain) <= noise)[kl <= 0.9 * offset * base.mean.size].all():
        where = _where(probe, base, top, offset, neutral)
        return (Irregularity("free-bits", {**where, "kl_scale_above": top}),)
    return ()


def _target(offset: float, base: Inputs, scale: float) -> dict[str, Any]:
    # b |K − C| rises by b (K − 2C) from K = 0: the offset is twice the target.
    target = offset / 2 * base.mean.shape[1]
    return {"target_nats_per_sample": target, "kl_scale_above": scale}


def _where(
    probe: Probe, base: Inputs, scale: float, offset: float, neutral: float
) -> dict[str, Any]:
    """Whether the threshold belongs to each latent, each sample, or their means."""
    batch, latents = base.mean.shape
    height = 4 * offset * base.mean.size
    mean = np.zeros(base.mean.shape)
    mean[0, 0] = np.sqrt(2 * height)
    still = replace(base, mean=np.zeros(mean.shape), log_var=np.full(mean.shape, neutral))
    rise = (probe.attempt(replace(still, mean=mean)) - probe.attempt(still)) / scale
    ratio = (height - rise) / offset
    places = {
        1: ("each latent of each sample", offset),
        batch: ("the batch mean of each latent", offset),
        latents: ("the sum over the latents of each sample", latents * offset),
        batch * latents: ("the batch mean of the sum over latents", latents * offset),
    }
    nearest = min(places, key=lambda count: abs(np.log(max(ratio, 1e-3) / count)))
    place, threshold = places[nearest]
    return {"threshold_nats": threshold, "threshold_on": place}


def _clamps(probe: Probe, base: Inputs, fit: Fit) -> tuple[Irregularity, ...]:
    found = []
    for side, grid in (("lower", _LOWER), ("upper", _UPPER)):
        bound = _clamp(probe, base, fit, grid)
        if bound is not None:
            found.append(Irregularity(f"log-variance-clamped-{side}", {f"{side}_bound": bound}))
    return tuple(found)


def _clamp(probe: Probe, base: Inputs, fit: Fit, grid: tuple[float, ...]) -> float | None:
    """The log-variance beyond which the loss no longer changes, or None."""
    start = _uniform(probe, base, 0.0, 0.0)
    single = LATENT[fit.name]

    def predicted(s: float) -> float:
        return fit.scale * base.mean.size * single(np.zeros(1), np.array([s]))

    values = np.array([_uniform(probe, base, 0.0, s) for s in grid]) - start
    wanted = np.array([predicted(s) for s in grid])
    noise = 30 * probe.unit * (np.abs(values) + abs(start)) + 3e-3 * np.abs(wanted)
    wrong = np.isfinite(values) & (np.abs(values - wanted) > noise)
    last = np.isfinite(values).nonzero()[0]
    if not wrong.any() or last.size < 2:
        return None
    # Held constant at the far end: the value there is that of the bound.
    if abs(values[last[-1]] - values[last[-2]]) > noise[last[-2]]:
        return None
    return _bisect(predicted, float(values[last[-1]]), 0.0, float(grid[last[-1]]))


def _bisect(function: Callable[[float], float], value: float, near: float, far: float) -> float:
    rising = abs(function(far)) > abs(function(near))
    for _ in range(60):
        middle = (near + far) / 2
        if (abs(function(middle)) < abs(value)) == rising:
            near = middle
        else:
            far = middle
    return (near + far) / 2
