"""The smallest linear VAE that meets a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._types import CurvePoints
from ._validation import (
    FloatArray,
    as_array,
    as_number,
    as_positive_number,
    check_finite,
    check_spectrum,
    fail,
)
from .frontier import Frontier
from .spectrum import Spectrum

__all__ = ["Budget", "error_of_psnr", "smallest_model"]


@dataclass(frozen=True, eq=False)
class Budget:
    """The smallest model that meets a budget.

    Attributes
    ----------
    latent_dim : int
        Smallest number of latents.
    beta : float
        KL weight that meets the budget with them.
    point : CurvePoints
        The point reached, scalar arrays.
    """

    latent_dim: int
    beta: float
    point: CurvePoints


def smallest_model(
    spectrum: Spectrum,
    *,
    noise_variance: float,
    rate: float | None = None,
    distortion: float | None = None,
    squared_error: float | None = None,
    psnr: float | None = None,
    data_range: float = 1.0,
    at_least_rate: bool = False,
) -> Budget:
    r"""Find the fewest latents, and the β, for one budget.

    .. math:: k = \min\{k : \textstyle\sum_{i>k}\lambda_i < \varepsilon\}
              \quad\text{for a squared error } \varepsilon

    For a rate, and for a quality that is to be reached at the least possible rate, k is the number
    of modes active there on Shannon's curve: one latent fewer would lose something, one more
    gains nothing.

    Parameters
    ----------
    spectrum : Spectrum
    noise_variance : float
        σ² > 0.
    rate : float
        Nats that may be spent; or
    distortion, squared_error, psnr : float
        Quality to be reached, in nats, squared data units, decibels.
    data_range : float
        max − min of the data, for psnr.
    at_least_rate : bool
        For a quality: the fewest latents that reach it at the least possible rate, instead of the
        fewest that reach it at all (with β, hence the rate, as extreme as that takes).

    Returns
    -------
    Budget

    Raises
    ------
    InputError
        Not exactly one budget, one that is not a single number, or a spectrum that is none.
    RangeError
        A budget that no k held by the spectrum meets.
    """
    given = {"rate": rate, "distortion": distortion, "squared_error": squared_error, "psnr": psnr}
    named = [name for name, value in given.items() if value is not None]
    check_spectrum(spectrum)
    if len(named) != 1:
        fail("budget", ", ".join(named) or "none", "one of " + ", ".join(given), "pass one keyword")
    wanted = as_number(named[0], given[named[0]], "pass one budget at a time")
    largest = spectrum.n_features if spectrum.complete else spectrum.eigenvalues.size
    widest = Frontier(spectrum, latent_dim=largest, noise_variance=noise_variance)
    if rate is not None:
        k = max(1, int(widest.at_rate(wanted).active))
        return _budget(k, _curve(spectrum, k, noise_variance).at_rate(wanted))
    if distortion is not None:
        point = widest.at_distortion(wanted)
    else:
        point = widest.at_squared_error(
            wanted if psnr is None else error_of_psnr(wanted, data_range, spectrum.n_features)
        )
    if at_least_rate:
        k = max(1, int(point.active))
    else:
        # The error that k latents approach as β → 0, for k = 0, 1, ...: falling.
        floors = spectrum.tail_variances(largest)
        k = max(1, int(np.count_nonzero(floors >= point.squared_error)))
    return _budget(k, _curve(spectrum, k, noise_variance).at_squared_error(point.squared_error))


def _curve(spectrum: Spectrum, latent_dim: int, noise_variance: float) -> Frontier:
    return Frontier(spectrum, latent_dim=latent_dim, noise_variance=noise_variance)


def _budget(latent_dim: int, point: CurvePoints) -> Budget:
    return Budget(latent_dim, float(point.beta), point)


def error_of_psnr(psnr: Any, data_range: Any, n_features: int, name: str = "psnr") -> FloatArray:
    r"""Summed squared error of peak signal-to-noise ratios, :math:`n r^2 10^{-p/10}`.

    Parameters
    ----------
    psnr : float or array (...)
        p, decibels.
    data_range : float
        r > 0, max − min of the data.
    n_features : int
        n.
    name : str
        What to call the ratios in an error message.

    Returns
    -------
    ndarray (...)
        Squared data units, > 0.

    Raises
    ------
    InputError
        Values that are not finite numbers, or whose squared error leaves the float64 range.
    """
    decibels = as_array(name, psnr)
    check_finite(name, decibels)
    peak = as_positive_number("data_range", data_range, "pass max - min of the data")
    # In logarithms: the square of the range alone may overflow, or the power of ten.
    exponent = 2 * np.log10(peak) + np.log10(n_features) - decibels / 10
    with np.errstate(over="ignore", under="ignore"):
        error = np.asarray(10.0**exponent)
    bad = ~np.isfinite(error) | (error == 0)
    if bad.any():
        fail(
            name,
            f"{decibels[bad].flat[0]:g} dB for a data range of {peak:g}",
            "a squared error within the float64 range",
            "check the decibels and the range, or rescale the data",
        )
    return error
