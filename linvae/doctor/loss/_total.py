"""Which of several numbers that a loss returns without names is the one that is minimised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ._probe import Inputs, Layout, Probe, draw

__all__ = ["part_on_latents", "take_two_terms"]


def take_two_terms(probe: Probe, base: Inputs) -> None:
    """Of a tuple of numbers without names, find the total; two bare terms are added."""
    names = [n for n in ("loss", *probe.values(base)) if n == "loss" or n.startswith("part_")]
    if "part_2" not in names or probe.assumed:
        return
    shifted = replace(base, mean=base.mean + 0.7, log_var=base.log_var - 0.3)
    moved = [replace(base, x_hat=0.5 * base.x_hat + 0.25), shifted]
    still, others = _by_name(probe, base), [_by_name(probe, at) for at in moved]
    on = {n: tuple(other[n] != still[n] for other in others) for n in names if n in still}
    whole = [n for n, both in on.items() if all(both)]
    if all(on["loss"]):
        return
    if len(whole) == 1:
        probe.take({whole[0]: 1.0})
    elif not whole and sorted(on.values()) == [(False, True), (True, False)]:
        probe.take(dict.fromkeys(on, 1.0))


def part_on_latents(probe: Probe, layout: Layout) -> str:
    """Of two terms that were added, the one that depends on mean and log_var."""
    base = draw(layout, np.random.default_rng(0))
    entries, shifted = ({n: v for n, v in _by_name(probe, at).items() if n in probe.weights}
                        for at in (base, replace(base, mean=base.mean + 0.7)))  # fmt: skip
    return max(entries, key=lambda name: abs(shifted[name] - entries[name]))


def _by_name(probe: Probe, at: Inputs) -> dict[str, float]:
    values = probe.values(at)
    return {"loss": values["total"], **values}
