"""The smallest linear VAE that meets a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._types import CurvePoints
from ._validation import as_positive, fail
from .frontier import Frontier
from .spectrum import Spectrum

__all__ = ["Budget", "smallest_model"]


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
        Not exactly one budget.
    RangeError
        A budget that no k held by the spectrum meets.
    """
    given = {"rate": rate, "distortion": distortion, "squared_error": squared_error, "psnr": psnr}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        fail("budget", ", ".join(named) or "none", "one of " + ", ".join(given), "pass one keyword")
    largest = spectrum.n_features if spectrum.complete else spectrum.eigenvalues.size
    widest = Frontier(spectrum, latent_dim=largest, noise_variance=noise_variance)
    if rate is not None:
        k = max(1, int(widest.at_rate(rate).active))
        return _budget(k, _curve(spectrum, k, noise_variance).at_rate(rate))
    if distortion is not None:
        point = widest.at_distortion(distortion)
    else:
        point = widest.at_squared_error(
            squared_error if psnr is None else _error_of(psnr, data_range, spectrum.n_features)
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


def _error_of(psnr: Any, data_range: Any, n_features: int) -> float:
    """Summed squared error of a peak signal-to-noise ratio in decibels."""
    peak = float(as_positive("data_range", data_range, "pass max - min of the data"))
    ratio = float(as_positive("10^(psnr/10)", 10.0 ** (np.float64(psnr) / 10), "pass decibels"))
    return peak**2 * n_features / ratio
