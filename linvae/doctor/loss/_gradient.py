r"""Whether the gradient that a library gives is the gradient of the values it gives.

.. math:: \frac{L(v + h d) - L(v - h d)}{2h} \approx d \cdot \nabla_v L

for v each of x_hat, mean and log_var and random directions d of ±1. A term that is detached has
the right values and no gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from linvae._validation import FloatArray

from ._probe import Inputs, Layout, Probe, draw

__all__ = ["Gradients", "measure_gradients"]

_OF = ("x_hat", "mean", "log_var")
_POINTS = 6
# A derivative is read where it is that many times what rounding may make of it.
_CLEAR = 3.0
_ALIKE = 0.02


@dataclass(frozen=True)
class Gradients:
    """Gradients against differences of the values.

    Attributes
    ----------
    examined : bool
        Whether the loss gave gradients.
    compared : tuple of str
        Of "x_hat", "mean" and "log_var" those whose derivative could be read off the values.
    missing : tuple of str
        Those of them that move the values, with a gradient of zero.
    ratios : mapping
        Name -> gradient over derivative of the values, where the two differ; the median.
    """

    examined: bool = False
    compared: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ratios: dict[str, float] = field(default_factory=dict)


def measure_gradients(
    probe: Probe, layout: Layout, rng: np.random.Generator, log_vars: tuple[float, float]
) -> Gradients:
    """Compare both at several points: a kink or a threshold at one of them decides nothing."""
    pairs: dict[str, list[tuple[float, float, bool]]] = {name: [] for name in _OF}
    for point in range(_POINTS):
        # Half of the points lie far from the prior, above thresholds of the KL.
        means = (2.0, 4.0) if point % 2 else (-2.0, 2.0)
        at = draw(layout, rng, means, log_vars)
        found = probe.gradient(at)
        if found is None:
            return Gradients()
        for name, gradient in zip(_OF, found[1:], strict=True):
            pair = _compared(probe, at, name, gradient, rng)
            if pair is not None:
                pairs[name].append(pair)
    return _judged(pairs, alike=_ALIKE + 4 * probe.unit)


def _compared(
    probe: Probe, at: Inputs, name: str, gradient: FloatArray, rng: np.random.Generator
) -> tuple[float, float, bool] | None:
    """(along the gradient, along the values, gradient is zero); None where nothing is read."""
    here: FloatArray = getattr(at, name)
    direction = rng.choice((-1.0, 1.0), here.shape)
    step = float(min(np.cbrt(probe.unit), 0.05 if name == "x_hat" else 0.5))

    def slope(h: float) -> tuple[float, float]:
        ends = [probe.attempt(replace(at, **{name: here + s * h * direction})) for s in (1, -1)]
        return (ends[0] - ends[1]) / (2 * h), 8 * probe.unit * float(np.abs(ends).max()) / (2 * h)

    (wide, _), (narrow, noise) = slope(step), slope(step / 2)
    if not (np.isfinite(wide + narrow) and np.isfinite(gradient).all()):
        return None
    if abs(narrow) <= _CLEAR * noise or abs(wide - narrow) > _CLEAR * noise + 0.01 * abs(narrow):
        return None
    return float((gradient * direction).sum()), narrow, not gradient.any()


def _judged(pairs: dict[str, list[tuple[float, float, bool]]], alike: float) -> Gradients:
    compared, missing, ratios = [], [], {}
    for name, found in pairs.items():
        if len(found) < 2:
            continue
        compared.append(name)
        if all(zero for _, _, zero in found):
            missing.append(name)
            continue
        off = [abs(given - value) > alike * abs(value) for given, value, _ in found]
        if sum(off) > len(off) / 2:
            ratios[name] = float(np.median([given / value for given, value, _ in found]))
    return Gradients(True, tuple(compared), tuple(missing), ratios)
