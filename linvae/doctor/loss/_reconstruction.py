"""Which reconstruction term a loss has: its formula, and where it departs from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from linvae._validation import FloatArray

from ._coupling import diagnose
from ._latent import Irregularity, Term
from ._probe import Inputs, Layout, Probe, draw
from ._terms import RECONSTRUCTION, Fit, best_formula, fit_scale, sparse_coefficients

__all__ = ["measure_reconstruction", "refit_reconstruction"]

_SOURCES, _OUTPUTS = 3, 8
_MIXED = ("squared", "absolute", "bce", "bce-logits")

_Pairs = list[tuple[FloatArray, FloatArray]]


def _values(
    probe: Probe, base: Inputs, layout: Layout, rng: np.random.Generator
) -> tuple[FloatArray, _Pairs, FloatArray]:
    """Losses of several x̂ for each of several x; what depends on x alone moves no model."""
    values, pairs, groups = [], [], []
    for source in range(_SOURCES):
        x = draw(layout, rng).x
        for _ in range(_OUTPUTS):
            x_hat = draw(layout, rng).x_hat
            values.append(probe.total(replace(base, x=x, x_hat=x_hat)))
            pairs.append((x, x_hat))
            groups.append(source)
    return np.array(values), pairs, np.array(groups, dtype=np.float64)


def measure_reconstruction(
    probe: Probe, base: Inputs, layout: Layout, rng: np.random.Generator
) -> Term:
    """The reconstruction term at fixed mean and log_var."""
    values, pairs, groups = _values(probe, base, layout, rng)
    if _is_missing(values, groups, probe.unit):
        return Term(Fit("none", 0.0, 0.0, True))
    fit = best_formula(RECONSTRUCTION, values, pairs, groups, probe.unit)
    if fit.good:
        return Term(fit, irregularities=_wide(probe, base, fit))
    basis = {name: RECONSTRUCTION[name] for name in _MIXED}
    mixed = sparse_coefficients(basis, values, pairs, groups, probe.unit, most=2)
    if mixed is not None:
        return Term(mixed)
    unknown = Fit("unknown", np.nan, fit.misfit, False, {"closest_misfit": fit.misfit})
    return Term(unknown, irregularities=_structure(probe, base))


def _is_missing(values: FloatArray, groups: FloatArray, unit: float) -> bool:
    if not np.isfinite(values).all():
        return False
    inner = max(np.ptp(values[groups == group]) for group in np.unique(groups))
    return bool(inner <= 3 * unit * np.abs(values).max())


def _structure(probe: Probe, base: Inputs) -> tuple[Irregularity, ...]:
    shape = (len(base.x), base.x[0].size)
    x = np.full(base.x.shape, 0.5)

    def effect(moved: FloatArray) -> float:
        # From 0.6, not 0.5: roots and logarithms of the error are singular where it vanishes.
        x_hat = 0.6 + 0.25 * moved.reshape(base.x.shape)
        return probe.total(replace(base, x=x, x_hat=x_hat))

    found = tuple(Irregularity(*item) for item in diagnose(effect, shape, probe.unit))
    return found or _every_pair(probe, base)


def _every_pair(probe: Probe, base: Inputs) -> tuple[Irregularity, ...]:
    """Whether one sample is compared with the reconstruction of another, as broadcasting does."""
    x, x_hat = base.x.copy(), base.x_hat.copy()
    x[0], x_hat[1] = 1 - x[0], 1 - x_hat[1]
    corners = [(base.x, base.x_hat), (x, base.x_hat), (base.x, x_hat), (x, x_hat)]
    l00, l10, l01, l11 = (probe.attempt(replace(base, x=a, x_hat=b)) for a, b in corners)
    noise = 30 * probe.unit * max(abs(l00), abs(l11)) + 1e-3 * max(abs(l10 - l00), abs(l01 - l00))
    if not abs(l11 - l10 - l01 + l00) > 4 * noise:
        return ()
    evidence = {"effect_together": l11 - l00, "sum_of_effects": l10 + l01 - 2 * l00}
    return (Irregularity("couples-samples", evidence),)


def _wide(probe: Probe, base: Inputs, fit: Fit) -> tuple[Irregularity, ...]:
    """Whether a squared error stays one far from the data (Huber, clipping)."""
    if fit.name != "squared":
        return ()
    x = np.full(base.x.shape, 0.5)
    start = probe.total(replace(base, x=x, x_hat=x))
    for error in (0.8, 1.5, 3.0, 10.0, -10.0):
        value = probe.attempt(replace(base, x=x, x_hat=x + error)) - start
        wanted = fit.scale * x.size * error**2
        noise = 30 * probe.unit * (abs(start) + abs(value)) + 3e-3 * abs(wanted)
        if np.isfinite(value) and abs(value - wanted) > noise:
            evidence = {"error": error, "loss_rises_by": value, "squared_error_gives": wanted}
            return (Irregularity("clipped", evidence),)
    return ()


def refit_reconstruction(
    probe: Probe, base: Inputs, layout: Layout, term: Term, rng: np.random.Generator
) -> Fit:
    """The same formula at other sizes."""
    mixture = term.fit.coefficients if term.fit.name == "combination" else {term.fit.name: 1.0}
    if not mixture.keys() <= RECONSTRUCTION.keys():
        return term.fit
    values, pairs, groups = _values(probe, base, layout, rng)

    def formula(x: FloatArray, x_hat: FloatArray) -> float:
        return sum(c * RECONSTRUCTION[name](x, x_hat) for name, c in mixture.items())

    predicted = np.array([formula(*pair) for pair in pairs])
    return fit_scale(term.fit.name, values, predicted, groups, probe.unit)
