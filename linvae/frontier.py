"""The rate-distortion frontier of linear VAEs as a piecewise closed form.

Between two critical β's the number m of active modes is constant and the curve is elementary, so
every query finds its segment by a sorted search in k breakpoints and is then exact: no root finder.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ._search import RisingTable
from ._types import CurvePoints, NormalisedGap
from ._validation import (
    FloatArray,
    as_array,
    as_positive,
    as_vector,
    check_broadcast,
    check_finite,
    check_latent_dim,
    check_representable,
    check_spectrum,
    fail,
    frozen,
)
from .errors import RangeError
from .spectrum import Spectrum

__all__ = ["Frontier"]

# Queries are worked off in blocks whose temporaries stay in the cache.
_BLOCK = 2**14


class Frontier:
    r"""Exact rate-distortion curve of linear VAEs with k latents: reverse water-filling.

    .. math:: \varepsilon(\beta) = \sum_{i\le k}\min(\lambda_i,\tau) + \sum_{i>k}\lambda_i,\quad
              \mathcal R(\beta) = \sum_{i\le k}\tfrac12\log^+\frac{\lambda_i}{\tau},\qquad
              \tau = \beta\sigma^2

    With k at least the rank of S this is the Shannon rate-distortion function of the Gaussian
    source with covariance S; with fewer latents it is the rank-k linear-Gaussian frontier, above
    Shannon's as soon as τ < λ_{k+1}. :attr:`kind` says which. Convex, decreasing, of slope −β.

    Parameters
    ----------
    spectrum : Spectrum
        n features.
    latent_dim : int
        k, 1 <= k <= n.
    noise_variance : float
        σ² > 0, squared data units; "summed squared error + β KL" is σ² = ½.

    Raises
    ------
    InputError
        k outside 1..n, σ² not positive, λ₁/σ² beyond the float64 range.
    PartialSpectrumError
        A leading spectrum with fewer than k eigenpairs.

    Notes
    -----
    Source: Cover & Thomas, Theorem 10.3.3 (k >= rank). Rates and distortions are in nats.
    """

    def __init__(self, spectrum: Spectrum, *, latent_dim: int, noise_variance: float) -> None:
        check_spectrum(spectrum)
        self._k = check_latent_dim(latent_dim, spectrum.n_features)
        variance = as_positive("noise_variance", noise_variance, "pass the decoder's variance σ²")
        if variance.ndim:
            fail("noise_variance", f"shape {variance.shape}", "one number", "pass a float")
        self._variance = float(variance)
        self._spectrum = spectrum
        values = spectrum.leading_eigenvalues(self._k)
        with np.errstate(over="ignore"):
            critical = values / self._variance
        if not np.isfinite(critical).all():
            fail(
                "noise_variance",
                self._variance,
                "λ₁/σ² within the float64 range",
                "rescale data and noise variance together",
            )
        self._critical = critical
        # Tables by the number m = 0..K of active modes, K = how many can be active at all.
        alive = critical[critical > 0]
        modes = np.arange(alive.size + 1)
        self._ascending = alive[::-1].copy()
        self._search = RisingTable(self._ascending)
        self._tail = spectrum.tail_variances(alive.size)
        # β at which mode m joins; the entry for m = 0 is never divided by anything but itself.
        self._joins = np.concatenate([alive[:1] if alive.size else [1.0], alive])
        growth = _log_ratio(alive[:-1], alive[1:], modes[1:-1]) * modes[1:-1] / 2
        self._rate_at = np.concatenate([[0.0], [0.0] if alive.size else [], growth.cumsum()])
        # Ties can be out of order by an ulp, which a sorted search must not see.
        self._error_at = np.minimum.accumulate(self._tail + modes * self._variance * self._joins)
        self._constant = 0.5 * spectrum.n_features * np.log(2 * np.pi * self._variance)

    @classmethod
    def shannon(cls, spectrum: Spectrum, *, noise_variance: float) -> Frontier:
        """Curve with one latent per feature: the Shannon function of the Gaussian source N(μ, S).

        Raises
        ------
        PartialSpectrumError
            For a leading-k spectrum: the whole spectrum shapes this curve.
        """
        check_spectrum(spectrum)
        spectrum.require_complete("the Shannon curve")
        return cls(spectrum, latent_dim=spectrum.n_features, noise_variance=noise_variance)

    @property
    def spectrum(self) -> Spectrum:
        """The spectrum behind the curve."""
        return self._spectrum

    @property
    def latent_dim(self) -> int:
        """Number of latents k."""
        return self._k

    @property
    def noise_variance(self) -> float:
        """Decoder variance σ²."""
        return self._variance

    @property
    def critical_betas(self) -> FloatArray:
        """β = λᵢ/σ² at which each of the k modes dies, descending, shape (k,)."""
        return frozen(self._critical)

    @property
    def kind(self) -> Literal["shannon", "rank-k"]:
        """``"shannon"`` when k covers the rank of S, else ``"rank-k"``."""
        spectrum = self._spectrum
        covers = spectrum.complete and self._k >= spectrum.rank
        return "shannon" if covers else "rank-k"

    @property
    def floor(self) -> float:
        r"""Squared error that β → 0 approaches, :math:`\sum_{i>k}\lambda_i`."""
        return float(self._tail[-1])

    def at_beta(self, beta: Any) -> CurvePoints:
        """Points at β > 0 (scalar or array of any shape).

        Raises
        ------
        InputError
            β not positive and finite.
        """
        weight = as_positive("beta", beta, "β weighs the rate and must be positive")
        return self._points(np.ascontiguousarray(weight).ravel(), weight.shape)

    def at_rate(self, rate: Any) -> CurvePoints:
        r"""Points at rates >= 0 in nats: :math:`\beta = \beta_m e^{-2(\mathcal R-\mathcal R_m)/m}`.

        Raises
        ------
        RangeError
            A negative rate, or one so large that β underflows.
        """
        query = _real("rate", rate)
        if (query < 0).any() or (not self._ascending.size and query.any()):
            top = "exactly 0 (no variance can be encoded)" if not self._ascending.size else ">= 0"
            fail(
                "rate",
                query.max() if not self._ascending.size else query.min(),
                top,
                "rates are KL divergences in nats",
                RangeError,
            )
        active = np.searchsorted(self._rate_at[1:], query, side="left")
        over = np.maximum(query - self._rate_at[active], 0.0)
        beta = self._joins[active] * np.exp(-2 * over / np.maximum(active, 1))
        if not self._ascending.size:
            beta = np.zeros_like(query)
        elif (beta == 0).any():
            fail(
                "rate",
                query.max(),
                "a rate with β above the float64 underflow",
                "ask for a smaller rate",
                RangeError,
            )
        error = self._tail[active] + active * self._variance * beta
        return self._finish(beta, query, error, active)

    def at_squared_error(self, squared_error: Any) -> CurvePoints:
        r"""Points at a squared error in (floor, tr S]: :math:`\tau = (\varepsilon - T_m)/m`.

        Raises
        ------
        RangeError
            An error that k latents cannot reach, or above that of a model that ignores the data.
        """
        query = _real("squared_error", squared_error)
        low, high = self.floor, float(self._tail[0])
        slack = 4 * np.finfo(np.float64).eps * high
        if not self._ascending.size:
            bad = np.abs(query - high) > slack
        else:
            bad = (query <= low) | (query > high + slack)
        if bad.any():
            fail(
                "squared_error",
                query[bad].flat[0],
                f"a value in ({low:.6g}, {high:.6g}]",
                "use more latents to go lower; nothing on the frontier is worse than the upper end",
                RangeError,
            )
        return self._from_error(query)

    def at_distortion(self, distortion: Any) -> CurvePoints:
        """Points at a distortion in nats; see :meth:`at_squared_error` for the range.

        Raises
        ------
        RangeError
            A distortion that k latents cannot reach, or above that of a collapsed model.
        """
        query = _real("distortion", distortion)
        error = 2 * self._variance * (query - self._constant)
        low, high = self.floor, float(self._tail[0])
        # The subtraction above is exact only to an ulp of the larger of its two terms.
        unit = np.spacing(np.maximum(np.abs(query), abs(self._constant)))
        slack = 4 * (2 * self._variance * unit + np.spacing(high))
        if self._ascending.size:
            bad = (error <= low) | (error > high + slack)
        else:
            bad = np.abs(error - high) > slack
        if bad.any():
            ends = [float(self.distortion_of(e)) for e in (low, high)]
            fail(
                "distortion",
                query[bad].flat[0],
                f"a value in ({ends[0]:.6g}, {ends[1]:.6g}]",
                "use more latents to go lower; nothing on the frontier is worse than the upper end",
                RangeError,
            )
        points = self._from_error(error)
        return self._finish(points.beta, points.rate, points.squared_error, points.active, query)

    def distortion_of(self, squared_error: Any) -> Any:
        r"""Distortion :math:`\tfrac n2\log 2\pi\sigma^2 + \varepsilon/2\sigma^2` of an error."""
        return self._constant + np.asarray(squared_error, dtype=np.float64) / (2 * self._variance)

    def gap(self, rate: Any, distortion: Any, beta: Any) -> Any:
        r"""Excess Lagrangian of measured points, nats.

        .. math:: \mathcal D + \beta\mathcal R - \min_{\text{linear}} L_\beta

        Zero for the linear optimum at β; never below for a linear model evaluated on this spectrum.
        Nonlinear models, and models on non-Gaussian data, may legally lie below.

        Raises
        ------
        InputError
            β not positive, values that are not finite, shapes that do not broadcast.
        """
        weight = as_positive("beta", beta, "β weighs the rate and must be positive")
        spent, missed = _real("rate", rate), _real("distortion", distortion)
        check_broadcast(rate=spent, distortion=missed, beta=weight)
        with np.errstate(over="ignore"):
            excess = missed + weight * spent - self.at_beta(weight).objective
        check_representable("gap", excess, "check the measured rate and distortion")
        return excess if np.ndim(excess) else float(excess)

    def collapsed_loss(self, beta: Any) -> Any:
        """Excess Lagrangian, in nats, of a model that ignores the data, at β."""
        points = self.at_beta(beta)
        saved = (self._tail[0] - points.squared_error) / (2 * self._variance)
        loss = np.maximum(saved - points.beta * points.rate, 0.0)
        return loss if np.ndim(loss) else float(loss)

    def normalised_gap(self, rate: Any, distortion: Any, beta: Any) -> NormalisedGap:
        """Divide :meth:`gap` by :meth:`collapsed_loss`, where that loss exceeds 1 nat."""
        excess = np.asarray(self.gap(rate, distortion, beta))
        loss = np.broadcast_to(self.collapsed_loss(beta), excess.shape)
        in_nats = loss <= 1.0
        value = excess / np.where(in_nats, 1.0, loss)
        if excess.ndim:
            return NormalisedGap(value, in_nats, loss.copy())
        return NormalisedGap(float(value), bool(in_nats), float(loss))

    def area(
        self,
        *,
        rates: tuple[float, float] | None = None,
        betas: tuple[float, float] | None = None,
    ) -> float:
        r"""Area under the curve between stated limits, in nats².

        .. math:: \int_{\mathcal R_1}^{\mathcal R_2} \mathcal D(\mathcal R)\,d\mathcal R

        Parameters
        ----------
        rates : (low, high)
            Limits in nats; or
        betas : (low, high)
            Limits as KL weights.

        Raises
        ------
        InputError
            Not exactly one pair of limits, or limits out of order.
        """
        if (rates is None) == (betas is None):
            fail("area", "both or neither of rates and betas", "one pair of limits", "pass one")
        if betas is not None:
            high, low = self.at_beta(as_vector("betas", betas, 2)).rate
        else:
            low, high = as_vector("rates", rates, 2)
        if low > high:
            fail("area", f"limits {rates or betas}", "the lower limit first", "swap them")
        breaks = self._rate_at[1:]
        inner = breaks[(breaks > low) & (breaks < high)]
        edges = np.concatenate([[low], inner, [high]])
        points = self.at_rate(edges)
        width = np.diff(edges)
        # Inside a segment ε = T_m + mτ with τ = τ_a e^(-2(R - R_a)/m); its active count is that of
        # the segment's far end.
        m = np.maximum(points.active[1:], 1)
        tail = self._tail[points.active[1:]]
        wave = -np.expm1(-2 * width / m) * points.water_level[:-1] * m**2 / 2
        error = (tail * width + wave).sum()
        return float(self._constant * (high - low) + error / (2 * self._variance))

    def _points(self, beta: FloatArray, shape: tuple[int, ...]) -> CurvePoints:
        rate, error = np.empty(beta.size), np.empty(beta.size)
        active = np.empty(beta.size, dtype=np.intp)
        for start in range(0, beta.size, _BLOCK):
            rows = slice(start, start + _BLOCK)
            block = beta[rows]
            m = self._ascending.size - self._search.count_up_to(block)
            active[rows] = m
            rate[rows] = self._rate_at[m] + 0.5 * m * _log_ratio(self._joins[m], block, m)
            error[rows] = self._tail[m] + m * (self._variance * np.minimum(block, self._joins[m]))
        return self._finish(
            beta.reshape(shape), rate.reshape(shape), error.reshape(shape), active.reshape(shape)
        )

    def _from_error(self, error: FloatArray) -> CurvePoints:
        # Breakpoints fall as modes join; searched on the reversed, rising table.
        rising = self._error_at[:0:-1]
        active = rising.size - np.searchsorted(rising, error, side="right")
        level = (error - self._tail[active]) / np.maximum(active, 1)
        joins = self._joins[active]
        beta = np.where(active > 0, np.minimum(level / self._variance, joins), joins)
        rate = self._rate_at[active] + 0.5 * active * _log_ratio(joins, beta, active)
        if not self._ascending.size:
            beta = np.zeros_like(error)
        return self._finish(beta, rate, error, active)

    def _finish(
        self,
        beta: FloatArray,
        rate: FloatArray,
        error: FloatArray,
        active: NDArray[np.intp],
        distortion: FloatArray | None = None,
    ) -> CurvePoints:
        return CurvePoints(
            beta=np.asarray(beta),
            rate=np.asarray(rate),
            distortion=np.asarray(self.distortion_of(error) if distortion is None else distortion),
            squared_error=np.asarray(error),
            active=np.asarray(active),
            noise_variance=np.broadcast_to(np.float64(self._variance), np.shape(beta)),
            n_features=self._spectrum.n_features,
        )


def _log_ratio(upper: FloatArray, lower: FloatArray, active: NDArray[np.intp]) -> FloatArray:
    """log(upper / lower), accurate also when the two are neighbours; 0 where nothing is active."""
    with np.errstate(over="ignore", invalid="ignore"):
        excess = np.where(active > 0, (upper - lower) / lower, 0.0)
        ratio = 1.0 + excess
        # log(1 + x) = log(u) · x / (u - 1) with u = 1 + x rounded: the rounding of u cancels.
        step = ratio - 1.0
        exact = step == 0
        out = np.where(exact, excess, np.log(ratio) * (excess / np.where(exact, 1.0, step)))
    far = np.isinf(excess)
    if far.any():  # the ratio exceeds float64; its logarithm is large and loses nothing here
        out = np.where(far, np.log(upper) - np.log(lower), out)
    return np.asarray(out)


def _real(name: str, value: Any) -> FloatArray:
    array = as_array(name, value)
    if array.size == 0:
        fail(name, "an empty array", "at least one number", "pass the points to look up")
    check_finite(name, array)
    return np.array(array, dtype=np.float64)
