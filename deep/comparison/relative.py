"""Methods against a baseline without a known optimum: relative excess, interval, verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deep._checks import check_positive, fail
from deep.comparison.statistics import over_seeds
from deep.errors import InputError

__all__ = ["RelativeExcess", "Verdict", "relative_excess", "verdict"]

FloatArray = NDArray[np.float64]
Verdict = Literal["not worse", "undecided", "worse", "one seed"]


@dataclass(frozen=True, eq=False)
class RelativeExcess:
    """What a method loses against a baseline, over seeds; arrays (B,), 0.01 is one per cent.

    Attributes
    ----------
    per_seed : ndarray (S, B)
    mean : ndarray
    low, high : ndarray or None
        Ends of the two-sided interval of the mean; None with one seed.
    upper : ndarray or None
        One-sided upper limit of the same confidence; None with one seed.
    verdicts : tuple of str
        One per β; see :func:`verdict`.
    margin, confidence : float
    """

    per_seed: FloatArray
    mean: FloatArray
    low: FloatArray | None
    high: FloatArray | None
    upper: FloatArray | None
    verdicts: tuple[Verdict, ...]
    margin: float
    confidence: float


def relative_excess(
    method: ArrayLike,
    baseline: ArrayLike,
    *,
    zero: float = 0.0,
    margin: float = 0.01,
    confidence: float = 0.95,
) -> RelativeExcess:
    r"""Compare objectives seed by seed, and judge the mean over seeds.

    .. math:: r_s = \frac{L_s^{\text{method}} - L_s^{\text{baseline}}}{L_s^{\text{baseline}} - L_0},
              \qquad \bar r \pm t_{S-1,\,(1+c)/2}\; \frac{\operatorname{sd}(r)}{\sqrt S}

    L = D + βR of both, on the same samples and with the same noise of the latents for a seed. L₀ is
    the objective of a perfect model at rate 0: 0 for a likelihood of discrete data, and the
    constant :math:`\tfrac n2\log 2\pi\sigma^2` of a Gaussian density, which depends on units alone.
    The interval is over seeds, for the held-out samples at hand.

    Parameters
    ----------
    method, baseline : array (S, B)
        Objectives, nats; a row per seed, the same seeds in both.
    zero : float
        L₀, nats.
    margin : float
        Of non-inferiority, > 0.
    confidence : float
        c, in (0, 1).

    Returns
    -------
    RelativeExcess

    Raises
    ------
    InputError
        Different shapes, no seed, numbers that are not finite, a baseline not above L₀.
    """
    own, other = (np.asarray(v, dtype=np.float64) for v in (method, baseline))
    if own.shape != other.shape or own.ndim != 2 or own.size == 0:
        fail("method", f"objectives of shapes {own.shape} and {other.shape}",
             "two tables (S, B), one row per seed", "evaluate both at the same β's")  # fmt: skip
    if not (np.isfinite(own).all() and np.isfinite(other).all() and (other > zero).all()):
        fail("baseline", f"objectives from {other.min():g}, a method's from {own.min():g}",
             f"finite numbers, those of the baseline above {zero:g}",
             "check the likelihood", InputError)  # fmt: skip
    check_positive("margin", margin, "0.01 is one per cent")
    ratio = (own - other) / (other - zero)
    both = over_seeds(ratio, confidence=confidence)
    # A two-sided interval of confidence 2c - 1 has the same upper end as a one-sided one of c.
    upper = over_seeds(ratio, confidence=2 * confidence - 1).high if confidence > 0.5 else None
    ends = (
        [(None, None)] * ratio.shape[1]
        if both.low is None or both.high is None
        else list(zip(both.low, both.high, strict=True))
    )
    verdicts = tuple(verdict(low, high, margin=margin) for low, high in ends)
    return RelativeExcess(
        ratio, both.mean, both.low, both.high, upper, verdicts, margin, confidence
    )


def verdict(low: float | None, high: float | None, *, margin: float) -> Verdict:
    """Judge an interval against a margin of non-inferiority.

    ``"not worse"``: it ends below the margin. ``"worse"``: it begins above. ``"undecided"``: the
    margin lies within. ``"one seed"``: there is no interval.
    """
    if low is None or high is None:
        return "one seed"
    if high < margin:
        return "not worse"
    return "worse" if low > margin else "undecided"
