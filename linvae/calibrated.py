"""The decoder variance that is optimal for each β, and the rate-distortion curve it gives."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._types import CurvePoints
from ._validation import FloatArray, as_positive, check_latent_dim, check_spectrum
from .errors import NonUniqueOptimumWarning, UnboundedObjectiveError
from .frontier import Frontier
from .spectrum import Spectrum

__all__ = ["CalibratedFrontier", "Segment", "calibrated_noise_variance"]


@dataclass(frozen=True)
class Segment:
    """A stretch of the calibrated curve on which the same modes are active.

    Attributes
    ----------
    active : int
        Number m of active modes.
    rate_low, rate_high : float
        Ends in nats; the last segment has no upper end (inf).
    beta_low, beta_high : float
        β = −slope at the ends of high and of low rate.
    straight_beta : float
        n/m: the constant −slope the segment would have without variance outside its m modes.
    """

    active: int
    rate_low: float
    rate_high: float
    beta_low: float
    beta_high: float
    straight_beta: float


def calibrated_noise_variance(spectrum: Spectrum, beta: Any, *, latent_dim: int) -> Any:
    r"""Noise variance that minimises the β-VAE objective jointly with all other parameters.

    .. math:: \sigma^2(\beta) = \frac{\sum_{i>m}\lambda_i}{n - m\beta}, \qquad
              \lambda_m > \beta\sigma^2 \ge \lambda_{m+1}

    with m active modes, n > mβ. β = 1 is the maximum likelihood of probabilistic PCA.

    Parameters
    ----------
    spectrum : Spectrum
        n features.
    beta : float or array
        KL weight(s) > 0.
    latent_dim : int
        k, 1 <= k <= n.

    Returns
    -------
    float or ndarray
        Squared data units, shape of beta.

    Raises
    ------
    UnboundedObjectiveError
        All variance lies within r <= k modes and β < n/r: the objective falls without end as the
        noise variance goes to 0.
    InputError
        β not positive, k outside 1..n.

    Warns
    -----
    NonUniqueOptimumWarning
        β = n/r exactly: every σ² in (0, λ_r/β] is optimal; the largest is returned.

    Notes
    -----
    Source: Tipping & Bishop 1999, Eq. 8 at β = 1; derived here for other β.
    """
    value = CalibratedFrontier(spectrum, latent_dim=latent_dim).noise_variance(beta)
    return value if np.ndim(value) else float(value)


class CalibratedFrontier:
    r"""Rate-distortion curve of linear VAEs whose noise variance is optimal at every point.

    .. math:: \mathcal D = \tfrac n2 \log\frac{2\pi e\,\varepsilon}{n}, \qquad
              \sigma^2 = \frac{\varepsilon}{n}, \qquad
              \beta = \frac{n\tau}{\varepsilon(\tau)} = \frac{n\tau}{T_m + m\tau}

    T_m is the variance outside the m active modes, τ the water level. Where T_m is small against mτ
    the slope −β is nearly constant at −n/m: the curve looks straight, and in the limit T_m → 0 the
    whole segment belongs to the single value β = n/m, so that no sweep over β can trace it. Use
    :meth:`at_water_level` or :meth:`at_rate` there.

    Parameters
    ----------
    spectrum : Spectrum
        n features, not all of them constant.
    latent_dim : int
        k, 1 <= k <= n.

    Raises
    ------
    UnboundedObjectiveError
        The data do not vary at all.
    InputError
        k outside 1..n.
    """

    def __init__(self, spectrum: Spectrum, *, latent_dim: int) -> None:
        check_spectrum(spectrum)
        self._k = check_latent_dim(latent_dim, spectrum.n_features)
        # With σ² = 1 the fixed-variance curve is a function of the water level alone: τ = β.
        self._curve = Frontier(spectrum, latent_dim=self._k, noise_variance=1.0)
        if not self._curve.critical_betas[0] > 0:
            raise UnboundedObjectiveError(
                "spectrum: got data without variance; expected some variance to model; "
                "pass a fixed noise variance instead of a calibrated one"
            )
        values = self._curve.critical_betas
        self._values = values[values > 0]
        self._tail = spectrum.tail_variances(self._values.size)
        self._n = spectrum.n_features
        # β at which mode m joins; with nothing outside the modes the last one is n/r exactly.
        modes = np.arange(1, self._values.size + 1)
        # Ties can be out of order by an ulp, which a sorted search must not see.
        self._joins = np.minimum.accumulate(self._n / (self._tail[1:] / self._values + modes))

    @property
    def latent_dim(self) -> int:
        """Number of latents k."""
        return self._k

    @property
    def critical_betas(self) -> FloatArray:
        r"""β at which each mode dies, :math:`n\lambda_m/(T_m + m\lambda_m)`, descending."""
        return self._joins.copy()

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The stretches of constant active count, from low to high rate; ties make none."""
        rates = np.append(self.at_water_level(self._values).rate, np.inf)
        # As τ → 0 the last segment's β tends to 0, or stays at n/m when nothing lies outside.
        last = self._joins[-1] if self._tail[-1] == 0 else 0.0
        betas = np.append(self._joins, last)
        return tuple(
            Segment(
                active=m,
                rate_low=float(rates[m - 1]),
                rate_high=float(rates[m]),
                beta_low=float(betas[m]),
                beta_high=float(betas[m - 1]),
                straight_beta=self._n / m,
            )
            for m in range(1, self._values.size + 1)
            if rates[m] > rates[m - 1]
        )

    def noise_variance(self, beta: Any) -> FloatArray:
        """Optimal σ² at β; see :func:`calibrated_noise_variance` for the conditions.

        Raises
        ------
        UnboundedObjectiveError
            There is no minimum at some β.
        """
        weight = as_positive("beta", beta, "β weighs the rate and must be positive")
        active = np.searchsorted(-self._joins, -weight, side="left")
        tail = self._tail[active]
        if (tail == 0).any():
            limit = self._n / self._values.size
            raise UnboundedObjectiveError(
                f"beta: got {weight[tail == 0].flat[0]:g} with all variance inside the "
                f"{self._values.size} modes of {self._k} latents; expected β >= n/r = {limit:g}; "
                "use fewer latents, a larger β or a fixed noise variance"
            )
        if self._tail[-1] == 0 and (weight == self._joins[-1]).any():
            warnings.warn(
                f"at β = n/r = {self._joins[-1]:g} every noise variance up to λ_r/β is optimal; "
                "the largest is returned",
                NonUniqueOptimumWarning,
                stacklevel=2,
            )
        return np.asarray(tail / (self._n - active * weight))

    def at_beta(self, beta: Any) -> CurvePoints:
        """Points at β > 0 (scalar or array).

        Raises
        ------
        UnboundedObjectiveError
            There is no minimum at some β.
        """
        weight = as_positive("beta", beta, "β weighs the rate and must be positive")
        points = self._curve.at_beta(weight * self.noise_variance(weight))
        return self._priced(points, weight)

    def at_water_level(self, water_level: Any) -> CurvePoints:
        """Points at water levels τ = β σ² > 0 (scalar or array): traces straight segments too."""
        level = as_positive("water_level", water_level, "pass τ = β σ², in squared data units")
        return self._priced(self._curve.at_beta(level), None)

    def at_rate(self, rate: Any) -> CurvePoints:
        """Points at rates >= 0 in nats; see :meth:`linvae.Frontier.at_rate`."""
        return self._priced(self._curve.at_rate(rate), None)

    def _priced(self, points: CurvePoints, beta: FloatArray | None) -> CurvePoints:
        """Turn a point at a water level into one of the calibrated curve."""
        error = points.squared_error
        variance = error / self._n
        distortion = 0.5 * self._n * (np.log(2 * np.pi * variance) + 1)
        return CurvePoints(
            beta=np.asarray(points.beta / variance if beta is None else beta),
            rate=points.rate,
            distortion=np.asarray(distortion),
            squared_error=error,
            active=points.active,
            noise_variance=np.asarray(variance),
            n_features=self._n,
        )
