"""Means and intervals over seeds, which share the samples they are judged on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deep._checks import fail
from deep.errors import InputError

__all__ = ["OVER", "SeedSummary", "over_seeds", "over_what"]

FloatArray = NDArray[np.float64]

OVER = ("exact, one seed", "held-out samples", "seeds", "seeds and held-out samples")


@dataclass(frozen=True, eq=False)
class SeedSummary:
    """What several runs that differ in their seed say together; arrays (B,).

    Attributes
    ----------
    mean : ndarray
    standard_error : ndarray or None
        Of the mean; None with one seed and no errors, which says nothing about the others.
    low, high : ndarray or None
        Ends of the confidence interval of the mean; None where nothing is known of its width: one
        seed, and no errors or only zeros.
    n_seeds : int
    confidence : float
    """

    mean: FloatArray
    standard_error: FloatArray | None
    low: FloatArray | None
    high: FloatArray | None
    n_seeds: int
    confidence: float


def over_seeds(
    values: ArrayLike, *, errors: ArrayLike | None = None, confidence: float = 0.95
) -> SeedSummary:
    r"""Interval of the mean over seeds, with the error of the samples that all seeds share.

    .. math:: \bar v \pm \sqrt{t_{S-1,\,(1+c)/2}^2\;\tfrac{s^2}S + z_{(1+c)/2}^2\;\bar e^2},
              \qquad s^2 = \tfrac1{S-1}\textstyle\sum_s (v_s - \bar v)^2

    Without errors it is Student's, which covers the mean with probability c when the values of
    independent seeds are normal. More seeds leave the error of common samples as it is, so that
    it is averaged and not divided by the root of their number. What of it differs between seeds,
    the noise of latents, counts twice: the interval is rather too wide.

    Parameters
    ----------
    values : array (S, ...)
        One row per seed.
    errors : array (S, ...), optional
        Their standard errors over samples, the same samples for all seeds; 0 when judged exactly.
    confidence : float
        c, in (0, 1).

    Raises
    ------
    InputError
        No seed, values that are not finite, errors of another shape, c outside (0, 1).
    """
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim == 0 or rows.shape[0] == 0 or not np.isfinite(rows).all():
        fail("values", f"shape {rows.shape}" + ("" if rows.size == 0 else ", not all finite"),
             "finite numbers (S, ...), one row per seed", "pass at least one run")  # fmt: skip
    if not 0 < confidence < 1:
        fail("confidence", confidence, "a number in (0, 1)", "0.95 is usual", InputError)
    common = np.zeros_like(rows) if errors is None else np.asarray(errors, dtype=np.float64)
    if common.shape != rows.shape:
        fail("errors", f"shape {common.shape}", f"{rows.shape}, that of the values",
             "pass one standard error per value")  # fmt: skip
    n_seeds = rows.shape[0]
    mean, common = np.asarray(rows.mean(axis=0)), np.asarray(common.mean(axis=0))
    if n_seeds == 1 and not common.any():
        known = None if errors is None else common
        return SeedSummary(mean, known, None, None, 1, confidence)
    from scipy.stats import norm, t

    level = (1 + confidence) / 2
    reach = norm.ppf(level) * common
    error = common
    if n_seeds > 1:
        own = rows.std(axis=0, ddof=1) / np.sqrt(n_seeds)
        reach = np.hypot(t.ppf(level, n_seeds - 1) * own, reach)
        error = np.hypot(own, common)
    return SeedSummary(mean, np.asarray(error), mean - reach, mean + reach, n_seeds, confidence)


def over_what(n_seeds: int, *, exact: bool) -> str:
    """Name what standard errors and intervals are over; one of ``OVER``."""
    return OVER[2 * (n_seeds > 1) + (not exact)]
