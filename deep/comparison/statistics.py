"""Means and confidence intervals over seeds; one seed has no interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deep._checks import fail
from deep.errors import InputError

__all__ = ["SeedSummary", "over_seeds"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SeedSummary:
    """What several runs that differ in their seed say together; arrays (B,).

    Attributes
    ----------
    mean : ndarray
    standard_error : ndarray or None
        Of the mean; None with one seed, which says nothing about the others.
    low, high : ndarray or None
        Ends of the confidence interval of the mean; None with one seed.
    n_seeds : int
    confidence : float
    """

    mean: FloatArray
    standard_error: FloatArray | None
    low: FloatArray | None
    high: FloatArray | None
    n_seeds: int
    confidence: float


def over_seeds(values: ArrayLike, *, confidence: float = 0.95) -> SeedSummary:
    r"""Student's interval of the mean over seeds.

    .. math:: \bar v \pm t_{S-1,\,(1+c)/2}\;\frac{s}{\sqrt S}, \qquad
              s^2 = \tfrac1{S-1}\textstyle\sum_s (v_s - \bar v)^2

    It covers the mean with probability c when the values of independent seeds are normal.

    Parameters
    ----------
    values : array (S, ...)
        One row per seed.
    confidence : float
        c, in (0, 1).

    Raises
    ------
    InputError
        No seed, values that are not finite, c outside (0, 1).
    """
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim == 0 or rows.shape[0] == 0 or not np.isfinite(rows).all():
        fail("values", f"shape {rows.shape}" + ("" if rows.size == 0 else ", not all finite"),
             "finite numbers (S, ...), one row per seed", "pass at least one run")  # fmt: skip
    if not 0 < confidence < 1:
        fail("confidence", confidence, "a number in (0, 1)", "0.95 is usual", InputError)
    n_seeds = rows.shape[0]
    mean = np.asarray(rows.mean(axis=0))
    if n_seeds == 1:
        return SeedSummary(mean, None, None, None, 1, confidence)
    from scipy.stats import t

    error = np.asarray(rows.std(axis=0, ddof=1) / np.sqrt(n_seeds))
    reach = float(t.ppf((1 + confidence) / 2, n_seeds - 1)) * error
    return SeedSummary(mean, error, mean - reach, mean + reach, n_seeds, confidence)
