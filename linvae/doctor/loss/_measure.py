r"""Everything that is measured of one loss: its terms, how they scale, whether they add up.

A loss of the usual form is, for N samples of n features with k latents,

.. math:: a \sum_{i,j} F(x_{ij}, \hat x_{ij}) + b \sum_{i,l} \mathrm{KL}_{il} + c, \qquad
          a = A\, N^p n^q k^r,

and likewise b. Sums have exponent 0, means −1; doubling one size at a time shows each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from linvae.errors import SubjectError

from ._gradient import Gradients, measure_gradients
from ._latent import (
    MODERATE,
    POSITIVE,
    UNSEEN,
    Irregularity,
    Term,
    measure_latent,
    refit_latent,
)
from ._parts import Parts, measure_parts
from ._probe import Inputs, Layout, Probe, draw
from ._reconstruction import measure_reconstruction, refit_reconstruction
from ._terms import LATENT, RECONSTRUCTION
from ._total import take_two_terms

__all__ = ["Measured", "Scaling", "first_layout", "measure"]

_SIZES = ("batch", "features", "latents")
_REPEATS = 6
# Equal samples over which the draws of a loss are averaged, and the noise beyond which it is lost.
_MANY = 4096
_NOISIEST = 0.04


@dataclass(frozen=True)
class Scaling:
    """A number at one size and how it changes with each: value = factor · N^p n^q k^r.

    Attributes
    ----------
    value : float
        At the sizes probed.
    exponents : mapping
        "batch", "features", "latents" -> exponent; a size that is fixed is missing.
    factor : float
        What is left when the integer exponents are taken out.
    """

    value: float
    exponents: Mapping[str, float]
    factor: float


@dataclass(frozen=True)
class Measured:
    """What was found out about one loss.

    Attributes
    ----------
    layout : Layout
        Sizes probed.
    repeats : str
        Whether the same inputs give the same number: "same", "random" or "drifting".
    repeat_values : tuple of float
        Those numbers.
    interaction : float
        Mixed difference of the two terms as a share of the smaller one; 0 when they add up.
    reconstruction, latent : Term
        The two terms; named "unseen" when the numbers do not repeat.
    reconstruction_scale, latent_scale, ratio : Scaling
        a, b and b / a; None for a term that fits no formula.
    constants : mapping
        (N, n, k) -> what is left of the loss; empty when it depends on x.
    parts : Parts or None
        What a mapping says of its parts.
    gradients : Gradients
        Whether they are those of the values.
    noise : float
        Of a loss that draws: standard deviation of the total over draws, as a share of it.
    per_sample : tuple of float
        What turns coefficients of the reconstruction and of the latent term at the sizes probed
        into those of one sample.
    """

    layout: Layout
    repeats: Literal["same", "random", "drifting"]
    repeat_values: tuple[float, ...]
    interaction: float = 0.0
    reconstruction: Term = UNSEEN
    latent: Term = UNSEEN
    reconstruction_scale: Scaling | None = None
    latent_scale: Scaling | None = None
    ratio: Scaling | None = None
    constants: Mapping[tuple[int, int, int], float] = field(default_factory=dict)
    parts: Parts | None = None
    gradients: Gradients = field(default_factory=Gradients)
    noise: float = 0.0
    per_sample: tuple[float, float] = (1.0, 1.0)

    @property
    def close(self) -> float:
        """Relative difference of scales that rounding explains: more in half precision."""
        misfits = (self.reconstruction.fit.misfit, self.latent.fit.misfit)
        return float(min(max(3e-3, 3 * sum(m for m in misfits if np.isfinite(m))), 0.05))


def first_layout(probe: Probe, layouts: tuple[Layout, ...], rng: np.random.Generator) -> Layout:
    """The first sizes at which the loss gives a number.

    Raises
    ------
    SubjectError
        At none; with what happened at the first.
    """
    first: SubjectError | None = None
    for layout in layouts:
        for log_vars in ((-2.0, 1.5), POSITIVE.log_vars):
            try:
                probe.total(draw(layout, rng, log_vars=log_vars))
            except SubjectError as error:
                first = first or error
            else:
                return layout
    tried = "; ".join(layout.describe() for layout in layouts)
    remedy = "pass feature_shape= and latent_dim= where it accepts one size only"
    raise SubjectError(f"{first}. Tried {tried}: {remedy}")


def measure(probe: Probe, layout: Layout, rng: np.random.Generator) -> Measured:
    """Probe one loss.

    Raises
    ------
    SubjectError
        Their exception, or no finite number at any ordinary input.
    """
    base = draw(layout, rng)
    if not np.isfinite(probe.attempt(base)):
        base = draw(layout, rng, log_vars=POSITIVE.log_vars)
    repeated = tuple(probe.total(base) for _ in range(_REPEATS))
    kind = _repeatability(repeated, probe.unit)
    if kind == "drifting":  # six draws rise or fall by chance once in 360 times
        repeated += tuple(probe.total(base) for _ in range(_REPEATS))
        kind = _repeatability(repeated, probe.unit)
    if kind == "same":
        take_two_terms(probe, base)
        return _measured(probe, layout, rng, base, repeated)
    unseen = Measured(layout, kind, repeated)
    if kind == "drifting":
        return unseen
    try:
        return _of_draws(probe, layout, rng, unseen)
    except SubjectError:
        return unseen  # it refuses many samples at once


def _of_draws(probe: Probe, layout: Layout, rng: np.random.Generator, unseen: Measured) -> Measured:
    """A loss that draws: the same draws in every call, averaged over many equal samples.

    Answers count where both terms are read in spite of the noise that is left.
    """
    many = replace(layout, batch=_MANY if layout.n_features <= 100 else _MANY // 64, equal=True)
    base = draw(many, rng)
    spots = (base, replace(base, mean=0 * base.mean, log_var=0 * base.log_var))
    values = np.array([[probe.total(at) for _ in range(2 * _REPEATS)] for at in spots])
    probe.frozen = True
    repeated = (probe.total(base), probe.total(base))
    if not np.isfinite(values).all() or repeated[0] != repeated[1]:
        return unseen
    noise = float((values.std(axis=1) / np.abs(values.mean(axis=1))).max())
    if not noise <= _NOISIEST:
        return unseen
    # Elsewhere it may be somewhat larger: 30 units, ten standard deviations, are rounding.
    exact, probe.unit = probe.unit, max(probe.unit, noise / 3)
    found = _measured(probe, many, rng, base, repeated)
    found = _without_faint_thresholds(found, 10 * noise * float(np.abs(values).max()))
    probe.unit = exact
    read = found.reconstruction.fit.name in RECONSTRUCTION and found.latent.fit.name in LATENT
    if not read or found.interaction or found.repeats != "same":
        return unseen
    return replace(found, repeats="random", repeat_values=unseen.repeat_values, noise=noise)


def _without_faint_thresholds(found: Measured, least: float) -> Measured:
    """Leave out thresholds of the KL whose effect on the loss is no more than its noise."""
    weight = abs(found.latent.fit.scale) * found.layout.batch
    kept = [item for item in found.latent.irregularities
            if weight * item.evidence.get("threshold_nats", np.inf) > least]  # fmt: skip
    return replace(found, latent=replace(found.latent, irregularities=tuple(kept)))


def _measured(
    probe: Probe,
    layout: Layout,
    rng: np.random.Generator,
    base: Inputs,
    repeated: tuple[float, ...],
) -> Measured:
    latent = measure_latent(probe, _anchor(base, None), layout, rng)
    base = _anchor(base, latent)
    start = probe.total(base)
    if not np.isfinite(start):
        raise SubjectError(f"the loss is {start} for x and x_hat in (0.1, 0.9), mean 0, log_var 0")
    reconstruction = measure_reconstruction(probe, base, layout, rng)
    found = Measured(layout, "same", repeated, _interaction(probe, layout, rng, latent),
                     reconstruction, latent, parts=measure_parts(probe, layout, rng))  # fmt: skip
    found = _with_sizes(probe, found, rng)
    again = probe.total(base)
    if _repeatability((start, again), probe.unit) != "same":
        return replace(found, repeats="drifting", repeat_values=(start, again))
    region = latent.region or MODERATE
    gradients = measure_gradients(probe, _small(layout), rng, region.log_vars)
    return replace(found, gradients=gradients, per_sample=_per_sample(probe, found, rng))


def _small(layout: Layout) -> Layout:
    return replace(layout, batch=min(layout.batch, 64))


def _per_sample(probe: Probe, found: Measured, rng: np.random.Generator) -> tuple[float, float]:
    """Factors from coefficients of the sum over the batch to those of one sample.

    A mean over N samples has coefficients of 1/N in front of sums over the batch.
    """
    mixed = [term.fit.name in ("combination", "prior-variance")
             for term in (found.reconstruction, found.latent)]  # fmt: skip
    layout = found.layout.doubled("batch")
    if not any(mixed) or layout is None:
        return (1.0, 1.0)
    base = _anchor(draw(layout, rng), found.latent)
    one = refit_reconstruction(probe, base, layout, found.reconstruction, rng).scale
    two = refit_latent(probe, base, layout, found.latent, rng).scale
    was = (1.0, found.latent.fit.scale if found.latent.fit.name == "prior-variance" else 1.0)
    powers = [np.log2(new / old) if is_mixed and new / old > 0 else 0.0
              for is_mixed, new, old in zip(mixed, (one, two), was, strict=True)]  # fmt: skip
    return (float(found.layout.batch ** -powers[0]), float(found.layout.batch ** -powers[1]))


def _repeatability(values: tuple[float, ...], unit: float) -> Literal["same", "random", "drifting"]:
    steps = np.diff(values)
    if not np.isfinite(values).all() or np.abs(steps).max() <= 2 * unit * np.abs(values).max():
        return "same"
    return "drifting" if (steps >= 0).all() or (steps <= 0).all() else "random"


def _anchor(base: Inputs, latent: Term | None) -> Inputs:
    """Latents at the prior; at 1 where the loss reads a variance there."""
    neutral = 0.0 if latent is None or latent.region is None else latent.region.neutral
    shape = base.mean.shape
    # Close to the data, where a small latent term is not lost beside the reconstruction.
    x_hat = 0.8 * base.x + 0.2 * base.x_hat
    return Inputs(base.x, x_hat, np.zeros(shape), np.full(shape, neutral))


def _interaction(probe: Probe, layout: Layout, rng: np.random.Generator, latent: Term) -> float:
    """Largest mixed second difference, relative to the smaller of the two effects."""
    region = latent.region
    spans = ((-2.0, 2.0), (-2.0, 1.5)) if region is None else (region.means, region.log_vars)
    worst = 0.0
    for _ in range(4):
        one, two = draw(layout, rng, *spans), draw(layout, rng, *spans)
        l00, l11 = probe.total(one), probe.total(two)
        l10 = probe.total(replace(one, x=two.x, x_hat=two.x_hat))
        l01 = probe.total(replace(one, mean=two.mean, log_var=two.log_var))
        values = np.array([l00, l01, l10, l11])
        if not np.isfinite(values).all():
            continue
        noise = 30 * probe.unit * np.abs(values).max()
        mixed, smaller = abs(l11 - l10 - l01 + l00), min(abs(l10 - l00), abs(l01 - l00))
        if mixed > noise + 1e-3 * smaller:
            worst = max(worst, mixed / max(smaller, noise))
    return worst


def _scales(
    probe: Probe, layout: Layout, found: Measured, rng: np.random.Generator
) -> tuple[float, float, bool]:
    """Both coefficients at the given sizes, and whether the formulas still hold there."""
    base = _anchor(draw(layout, rng), found.latent)
    one = refit_reconstruction(probe, base, layout, found.reconstruction, rng)
    two = refit_latent(probe, base, layout, found.latent, rng)
    return one.scale, two.scale, one.good and two.good


def _with_sizes(probe: Probe, found: Measured, rng: np.random.Generator) -> Measured:
    a, b = found.reconstruction.fit.scale, found.latent.fit.scale
    doubled: dict[str, tuple[float, float]] = {}
    for what in _SIZES:
        layout = found.layout.doubled(what)
        if layout is None:
            continue
        try:
            more_a, more_b, good = _scales(probe, layout, found, rng)
        except SubjectError:
            continue  # sizes written into their code: this one cannot be varied
        if not good and found.reconstruction.fit.good and found.latent.fit.good:
            found = _lost(probe, layout, found, rng)
        doubled[what] = (more_a, more_b)
    slack = 5 * found.close
    a_scale = _scaling(found.layout, a, {w: v[0] for w, v in doubled.items()}, slack)
    b_scale = _scaling(found.layout, b, {w: v[1] for w, v in doubled.items()}, slack)
    ratios = {w: v[1] / v[0] for w, v in doubled.items() if v[0]}
    ratio = _scaling(found.layout, b / a, ratios, slack) if a and np.isfinite(a * b) else None
    constants = _constants(probe, found, (a, b), doubled, rng)
    return replace(found, reconstruction_scale=a_scale, latent_scale=b_scale, ratio=ratio,
                   constants=constants)  # fmt: skip


def _lost(probe: Probe, layout: Layout, found: Measured, rng: np.random.Generator) -> Measured:
    """A formula that holds at the first sizes only: see what is left out at the larger ones."""
    base = _anchor(draw(layout, rng), found.latent)
    latent, reconstruction = found.latent, found.reconstruction
    if not refit_latent(probe, base, layout, latent, rng).good:
        seen = measure_latent(probe, base, layout, rng).irregularities
        latent = replace(latent, irregularities=(*latent.irregularities, *_or_sizes(seen)))
    if not refit_reconstruction(probe, base, layout, reconstruction, rng).good:
        seen = measure_reconstruction(probe, base, layout, rng).irregularities
        reconstruction = replace(
            reconstruction, irregularities=(*reconstruction.irregularities, *_or_sizes(seen))
        )
    return replace(found, latent=latent, reconstruction=reconstruction)


def _or_sizes(seen: tuple[Irregularity, ...]) -> tuple[Irregularity, ...]:
    return seen or (Irregularity("uneven", {"holds_at_larger_sizes": False}),)


def _scaling(
    layout: Layout, value: float, doubled: Mapping[str, float], slack: float
) -> Scaling | None:
    if not np.isfinite(value):
        return None
    exponents = {}
    for what, other in doubled.items():
        if value and other / value > 0:
            power = float(np.log2(other / value))
            exponents[what] = float(round(power)) if abs(power - round(power)) < slack else power
    size = {"batch": layout.batch, "features": layout.n_features, "latents": layout.latents}
    factor = value
    for what, power in exponents.items():
        factor /= size[what] ** power
    return Scaling(value, exponents, factor)


def _constants(
    probe: Probe,
    found: Measured,
    scales: tuple[float, float],
    doubled: Mapping[str, tuple[float, float]],
    rng: np.random.Generator,
) -> dict[tuple[int, int, int], float]:
    """What the two terms leave of the loss, at each size."""
    formula = RECONSTRUCTION.get(found.reconstruction.fit.name)
    latent = LATENT.get(found.latent.fit.name)
    if formula is None or latent is None or found.interaction:
        return {}
    left = {}
    layouts = {what: found.layout.doubled(what) for what in doubled}
    for layout, (a, b) in [(found.layout, scales), *((layouts[w], doubled[w]) for w in doubled)]:
        if layout is None:
            continue
        values = []
        for _ in range(2):
            p = _anchor(draw(layout, rng), found.latent)
            known = a * formula(p.x, p.x_hat) + b * latent(p.mean, p.log_var)
            values.append(probe.total(p) - known)
        noise = 60 * probe.unit * abs(known) + 2e-3 * abs(values[0])
        if not np.isfinite(values).all() or abs(values[0] - values[1]) > noise + 1e-9:
            return {}
        small = abs(values[0]) <= 60 * probe.unit * abs(known)
        key = (layout.batch, layout.n_features, layout.latents)
        left[key] = 0.0 if small else values[0]
    return left
