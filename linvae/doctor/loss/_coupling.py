"""Whether a term treats every entry alike, and whether its entries add up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from linvae._validation import FloatArray

__all__ = ["diagnose"]


def diagnose(
    effect: Callable[[FloatArray], float], shape: tuple[int, int], unit: float
) -> list[tuple[str, dict[str, Any]]]:
    """Names and evidence of what is wrong with a term of (N, m) entries that fits no formula.

    Parameters
    ----------
    effect : callable
        Loss when the entries marked 1 in an (N, m) array are moved and the others are not.
    shape : tuple
        (N, m).
    unit : float
        Relative rounding of the loss.
    """
    start = effect(np.zeros(shape))
    rows, columns = _some(shape[0]), _some(shape[1])
    single = np.array([[effect(_marked(shape, (i, j))) - start for j in columns] for i in rows])
    largest = float(np.abs(single).max())
    noise = 30 * unit * abs(start) + 1e-3 * largest
    if not np.isfinite(single).all() or largest <= noise:
        return []
    found = list(_uneven(single, noise))
    return found or list(_couplings(effect, start, single, (rows, columns), noise))


def _some(count: int) -> list[int]:
    """All columns of a small term; first, last and a few between of a large one."""
    if count <= 12:
        return list(range(count))
    return sorted({int(j) for j in np.linspace(0, count - 1, 8)})


def _marked(shape: tuple[int, int], *entries: tuple[int, int]) -> FloatArray:
    moved = np.zeros(shape)
    for entry in entries:
        moved[entry] = 1.0
    return moved


def _uneven(single: FloatArray, noise: float) -> Iterator[tuple[str, dict[str, Any]]]:
    if np.ptp(single) <= 4 * noise:
        return
    silent = np.abs(single) <= noise
    evidence: dict[str, Any] = {
        "largest_effect": float(np.abs(single).max()),
        "smallest_effect": float(np.abs(single).min()),
        "samples_probed": single.shape[0],
        "columns_probed": single.shape[1],
        "samples_without_effect": int(silent.all(axis=1).sum()),
        "columns_without_effect": int(silent.all(axis=0).sum()),
    }
    yield "uneven", evidence


def _couplings(
    effect: Callable[[FloatArray], float],
    start: float,
    single: FloatArray,
    probed: tuple[list[int], list[int]],
    noise: float,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Move two entries together and compare with the sum of their effects."""
    (rows, columns), shape = probed, (max(probed[0]) + 1, max(probed[1]) + 1)
    first, last = columns[0], columns[-1]
    across = {
        "couples-samples": ((0, first), (rows[1], first), single[0, 0] + single[1, 0]),
        "couples-columns": ((0, first), (0, last), single[0, 0] + single[0, -1]),
        "couples-all": ((0, first), (rows[1], last), single[0, 0] + single[1, -1]),
    }
    found = {}
    for name, (one, other, apart) in across.items():
        together = effect(_marked(shape, one, other)) - start
        if one != other and abs(together - apart) > 4 * noise:
            found[name] = {"effect_together": together, "sum_of_effects": float(apart)}
    excess = [e["effect_together"] - e["sum_of_effects"] for e in found.values()]
    # A function of the sum of all entries couples every pair alike; an aggregate does not.
    if "couples-all" in found and (len(found) < len(across) or np.ptp(excess) > 8 * noise):
        yield "couples-all", found["couples-all"]
        return
    found.pop("couples-all", None)
    yield from found.items()
