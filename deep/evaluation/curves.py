"""Numbers made from a curve: its area, and the signal-to-noise ratio of its points."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from deep._checks import check_positive, fail
from deep.evaluation.passes import FloatArray, check_counts

__all__ = ["area_under_curve", "psnr"]


def psnr(squared_error: ArrayLike, n_features: int, *, data_range: float) -> FloatArray:
    r"""Peak signal-to-noise ratio of an average squared error, in decibels.

    .. math:: 10 \log_{10} \frac{r^2 n}{\varepsilon}

    This is the ratio of the average error, not the average of the ratios of single images.

    Parameters
    ----------
    squared_error : array or number
        ε >= 0, summed over dimensions; infinite where it is 0.
    n_features : int
        n.
    data_range : float
        r, largest minus smallest possible value: 1 for pixels in [0, 1].

    Returns
    -------
    ndarray
        Of the shape of the squared error.

    Raises
    ------
    InputError
        A negative error, fewer than one feature, a range that is not positive.
    """
    error = np.asarray(squared_error, dtype=np.float64)
    check_counts(n_features=n_features)
    check_positive("data_range", data_range, "pass 1 for pixels in [0, 1]")
    if not (error >= 0).all():
        fail("squared_error", error.min(), "numbers >= 0", "pass sums of squares")
    with np.errstate(divide="ignore"):
        return np.asarray(20 * np.log10(data_range) + 10 * np.log10(n_features)
                          - 10 * np.log10(error))  # fmt: skip


def area_under_curve(
    rate: ArrayLike, distortion: ArrayLike, *, interval: tuple[float, float]
) -> float:
    r"""Area under distortion over rate, between two rates common to all curves compared.

    .. math:: \int_{r_0}^{r_1} \mathcal D(r)\, dr

    by trapezoids between the points, which are put in the order of their rates. Between the points
    of a convex curve a chord lies above it: compare curves read at equally many points. Divided by
    r₁ − r₀ it is the average distortion at equal rate.

    Parameters
    ----------
    rate, distortion : array (B,)
        Points of the curve, nats, B >= 2.
    interval : (r₀, r₁)
        r₀ < r₁, nats.

    Returns
    -------
    float
        Nats².

    Raises
    ------
    InputError
        Fewer than two points, an interval that the rates do not cover: nothing is extrapolated.
    """
    rates, values = np.asarray(rate, np.float64), np.asarray(distortion, np.float64)
    if rates.shape != values.shape or rates.ndim != 1 or rates.size < 2:
        fail("rate", f"shapes {rates.shape} and {values.shape}", "two equally long lists of points",
             "pass rate and distortion of one curve, two points at least")  # fmt: skip
    if not (np.isfinite(rates).all() and np.isfinite(values).all()):
        fail("rate", "values that are not finite", "finite points", "leave the others out")
    first, last = interval
    if not rates.min() <= first < last <= rates.max():
        fail("interval", (first, last),
             f"r₀ < r₁ within the rates reached, {rates.min():.6g} to {rates.max():.6g}",
             "choose what all curves cover, or read the curve at more β's")  # fmt: skip
    order = np.argsort(rates, kind="stable")
    rates, values = rates[order], values[order]
    inside = (rates > first) & (rates < last)
    ends = np.interp([first, last], rates, values)
    x = np.concatenate(([first], rates[inside], [last]))
    y = np.concatenate((ends[:1], values[inside], ends[1:]))
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum())
