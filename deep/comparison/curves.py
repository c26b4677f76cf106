"""Learned curves against a reference and against one another: at equal β, and at equal rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deep._checks import fail
from deep.comparison.reference import Reference

if TYPE_CHECKING:  # reading and checking records needs no torch
    from deep.evaluation.curve import LearnedCurve

__all__ = [
    "ComparedCurve",
    "EqualRate",
    "RatePoints",
    "compare_curve",
    "compare_rates",
    "distortion_at_rate",
    "normalise",
]

FloatArray = NDArray[np.float64]

# A collapsed model that loses no more than this has nothing to divide by; nats.
_LITTLE_TO_LOSE = 1.0
# Rates closer than this part of the range are one point of a curve: a collapsed model has many.
_SAME_RATE = 1e-6


class RatePoints(Protocol):
    """Anything with rates and distortions of one shape (B,): a curve or points of a reference."""

    @property
    def rate(self) -> FloatArray:
        """Nats."""
        ...

    @property
    def distortion(self) -> FloatArray:
        """Nats."""
        ...


@dataclass(frozen=True, eq=False)
class ComparedCurve:
    """A measured curve beside a reference; float64 arrays (B,), nats unless said.

    Attributes
    ----------
    betas : ndarray
    rate, distortion, objective : ndarray
    squared_error : ndarray
        Summed over dimensions, squared data units.
    rate_se, distortion_se, squared_error_se, objective_se : ndarray
        Standard errors over samples.
    optimum : ndarray
        Objective of the reference.
    slack : ndarray
        The reference's: what it bounds has its optimum in [optimum − slack, optimum].
    excess_nats, excess_nats_se : ndarray
        objective − optimum, and its standard error, that of the objective: the reference is taken
        as known.
    normalised_excess, normalised_excess_se : ndarray
        0 = as good as the reference, 1 = no better than ignoring the data; in nats where in_nats.
    in_nats : ndarray of bool
        Where a model that ignores the data would lose 1 nat or less against the reference.
    collapsed_loss : ndarray
        What it would lose.
    n_samples : int
    """

    betas: FloatArray
    rate: FloatArray
    distortion: FloatArray
    squared_error: FloatArray
    objective: FloatArray
    rate_se: FloatArray
    distortion_se: FloatArray
    squared_error_se: FloatArray
    objective_se: FloatArray
    optimum: FloatArray
    slack: FloatArray
    excess_nats: FloatArray
    excess_nats_se: FloatArray
    normalised_excess: FloatArray
    normalised_excess_se: FloatArray
    in_nats: NDArray[np.bool_]
    collapsed_loss: FloatArray
    n_samples: int


class EqualRate(NamedTuple):
    """Two curves at the same rates.

    Attributes
    ----------
    rates : ndarray (R,)
        Nats, those asked for that both curves reach.
    first, second : ndarray (R,)
        Distortion of either, nats.
    difference : ndarray (R,)
        first − second: what the first loses at equal rate.
    interval : (low, high)
        Rates that both reach; (nan, nan) when there are none.
    area : float
        Integral of the difference over the interval, nats²; nan without one.
    mean_difference : float
        area / (high − low), nats; nan without an interval.
    """

    rates: FloatArray
    first: FloatArray
    second: FloatArray
    difference: FloatArray
    interval: tuple[float, float]
    area: float
    mean_difference: float


def normalise(
    excess: FloatArray, collapsed_loss: FloatArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    r"""Excess as a share of what a collapsed model loses, where that exceeds 1 nat.

    .. math:: \frac{L_\beta - L^*_\beta}{L^{\text{collapsed}}_\beta - L^*_\beta}

    Equals :meth:`linvae.Frontier.normalised_gap`, for any reference.

    Returns
    -------
    value : ndarray
    in_nats : ndarray of bool
        Where the value is the excess itself.
    """
    in_nats = np.asarray(collapsed_loss <= _LITTLE_TO_LOSE)
    return np.asarray(excess / np.where(in_nats, 1.0, collapsed_loss)), in_nats


def compare_curve(learned: LearnedCurve, reference: Reference) -> ComparedCurve:
    r"""Hold a measured curve against a reference at its own β's.

    .. math:: \text{excess} = \mathcal D + \beta\mathcal R - L^*(\beta)

    Below 0 is an error of measurement or of code only where the reference bounds the model:
    ``reference.bounds`` says which. Against any other reference it is a finding.

    Parameters
    ----------
    learned : LearnedCurve
        Of ``deep.evaluation.curve.evaluate_curve``.
    reference : Reference
        Of the data on which the curve was measured, with the likelihood's parameters.
    """
    betas = np.asarray(learned.betas, dtype=np.float64)
    points = reference.at_beta(betas)
    lost = reference.collapsed_loss(betas)
    plain = {name: _vector(learned, name, betas.size) for name in _MEASURED}
    excess = plain["objective"] - points.objective
    value, in_nats = normalise(excess, lost)
    error, _ = normalise(plain["objective_se"], lost)
    return ComparedCurve(
        betas=betas,
        **plain,
        optimum=points.objective,
        slack=points.slack,
        excess_nats=excess,
        excess_nats_se=plain["objective_se"],
        normalised_excess=value,
        normalised_excess_se=error,
        in_nats=in_nats,
        collapsed_loss=lost,
        n_samples=int(learned.n_samples),
    )


def distortion_at_rate(curve: RatePoints, rates: ArrayLike) -> FloatArray:
    """Distortion of a measured curve at rates (R,), nats; nan outside its range of rates.

    Between points a shape-preserving cubic (PCHIP) in the rate; of points with the same rate the
    smallest distortion counts. Ten points over three decades of β leave an error of the order of
    0.1 nats where the curve bends most: measure densely what is to be read off exactly.
    """
    wanted = np.asarray(rates, dtype=np.float64)
    spline = _spline(curve)
    if spline is None:
        return np.full(wanted.shape, np.nan)
    inside = (wanted >= spline.x[0]) & (wanted <= spline.x[-1])
    values = spline(np.clip(wanted, spline.x[0], spline.x[-1]))
    return np.asarray(np.where(inside, values, np.nan))


def compare_rates(
    first: RatePoints, second: RatePoints, rates: ArrayLike | None = None
) -> EqualRate:
    r"""Distortions of two curves at equal rate, and the area between them.

    .. math:: \int_{\mathcal R_1}^{\mathcal R_2}
              [\mathcal D_{\text{first}}(\mathcal R) - \mathcal D_{\text{second}}(\mathcal R)]\,
              d\mathcal R

    over the rates that both reach; nothing is extrapolated.

    Parameters
    ----------
    first, second : RatePoints
        Measured curves or points of a reference.
    rates : array (R,), optional
        Where to compare; those of ``first`` when omitted. Those outside the interval are dropped.
    """
    wanted = np.unique(np.asarray(first.rate if rates is None else rates, dtype=np.float64))
    one, other = _spline(first), _spline(second)
    nothing = np.zeros(0)
    if one is None or other is None:
        return _no_overlap(nothing)
    low, high = max(one.x[0], other.x[0]), min(one.x[-1], other.x[-1])
    if not low < high:
        return _no_overlap(nothing)
    kept = wanted[(wanted >= low) & (wanted <= high)]
    area = float(one.integrate(low, high) - other.integrate(low, high))
    values = np.asarray(one(kept)), np.asarray(other(kept))
    return EqualRate(kept, *values, values[0] - values[1], (float(low), float(high)), area,
                     area / float(high - low))  # fmt: skip


_MEASURED = (
    "rate",
    "distortion",
    "squared_error",
    "objective",
    "rate_se",
    "distortion_se",
    "squared_error_se",
    "objective_se",
)


def _vector(curve: LearnedCurve, name: str, size: int) -> FloatArray:
    values = np.asarray(getattr(curve, name), dtype=np.float64)
    if values.shape != (size,) or not np.isfinite(values).all():
        fail(f"curve.{name}", f"shape {values.shape}", f"({size},) finite numbers, one per beta",
             "evaluate the curve again")  # fmt: skip
    return values


def _spline(curve: RatePoints) -> Any:
    """PCHIP through the points by rising rate; None with fewer than two different rates."""
    from scipy.interpolate import PchipInterpolator

    rate = np.asarray(curve.rate, dtype=np.float64)
    distortion = np.asarray(curve.distortion, dtype=np.float64)
    order = np.lexsort((distortion, rate))
    rate, distortion = rate[order], distortion[order]
    # Groups of equal rates keep the first rate and the smallest distortion.
    apart = np.diff(rate, prepend=-np.inf) > _SAME_RATE * max(float(np.ptp(rate)), 1e-12)
    starts = np.flatnonzero(apart)
    if starts.size < 2:
        return None
    return PchipInterpolator(rate[starts], np.minimum.reduceat(distortion, starts))


def _no_overlap(nothing: FloatArray) -> EqualRate:
    nan = float("nan")
    return EqualRate(nothing, nothing, nothing, nothing, (nan, nan), nan, nan)
