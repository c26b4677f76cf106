"""Whether the parts a loss reports beside its total are what the total is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from linvae._validation import FloatArray
from linvae.errors import SubjectError

from ._probe import Inputs, Layout, Probe, draw, is_total, part
from ._terms import LATENT

__all__ = ["Parts", "measure_parts"]

_ROWS = 24


@dataclass(frozen=True)
class Parts:
    """Reported parts against the total.

    Attributes
    ----------
    names : tuple of str
        Of the reconstruction and the KL entry.
    weights : tuple of float
        total = weights · parts + constant, as far as that holds.
    misfit : float
        Largest deviation from that, as a share of the spread of the total.
    adds_up : bool
        Whether it is rounding.
    kl_value, kl_expected : float
        The reported KL at one point, and the KL in nats per sample there.
    """

    names: tuple[str, str]
    weights: tuple[float, float]
    misfit: float
    adds_up: bool
    kl_value: float
    kl_expected: float


def measure_parts(probe: Probe, layout: Layout, rng: np.random.Generator) -> Parts | None:
    """Regress the total on the parts; None when it is no mapping with both of them."""
    try:
        return _measured(probe, layout, rng)
    except SubjectError:
        return None  # it refuses negative log-variances: the finding is another one


def _measured(probe: Probe, layout: Layout, rng: np.random.Generator) -> Parts | None:
    rows = [probe.values(draw(layout, rng)) for _ in range(_ROWS)]
    columns = {n: np.array([row.get(n, np.nan) for row in rows]) for n in rows[0]}
    total = columns.pop("total")
    # Weights, steps and copies of the total are no parts.
    columns = {n: c for n, c in columns.items() if np.ptp(c) > 0 and not is_total(n)}
    names = part(columns, "reconstruction"), part(columns, "kl")
    if names[0] is None or names[1] is None or names[0] == names[1]:
        return None
    both = (names[0], names[1])
    order = [*both, *(name for name in columns if name not in both)]
    weights, left = _regress(total, np.stack([columns[name] for name in order], axis=1))
    spread = float(np.ptp(total))
    noise = 1e-3 * spread + 30 * probe.unit * float(np.abs(total).max())
    value, expected = _reported_kl(probe, layout, rng, both[1])
    pair = (float(weights[0]), float(weights[1]))
    return Parts(both, pair, left / max(spread, noise), left <= noise, value, expected)


def _regress(total: FloatArray, parts: FloatArray) -> tuple[FloatArray, float]:
    """Weights of the parts, and the largest deviation they leave."""
    target, design = total - total.mean(), parts - parts.mean(axis=0)
    if not (np.isfinite(target).all() and np.isfinite(design).all()):
        return np.full(parts.shape[1], np.nan), 0.0
    scale = np.abs(design).max(axis=0)
    weights = np.linalg.lstsq(design / scale, target, rcond=None)[0] / scale
    return weights, float(np.abs(target - design @ weights).max())


def _reported_kl(
    probe: Probe, layout: Layout, rng: np.random.Generator, name: str
) -> tuple[float, float]:
    at: Inputs = draw(layout, rng, (1.0, 2.0), (-2.0, 0.5))
    still = replace(at, mean=np.zeros(at.mean.shape), log_var=np.zeros(at.mean.shape))
    value = probe.values(at)[name] - probe.values(still)[name]
    return value, LATENT["kl"](at.mean, at.log_var) / layout.batch
