"""The rate-distortion curve of one decoder: what the best encoder makes of it at every β."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ._types import Sealed, Terms
from ._validation import (
    FloatArray,
    as_matrix,
    as_positive,
    as_positive_number,
    as_vector,
    check_latent_dim,
    check_representable,
    check_spectrum,
    fail,
)
from .spectrum import Spectrum

__all__ = ["FixedDecoderFrontier"]

_RESCALE = "rescale data, decoder and noise variance together"


@dataclass(frozen=True, eq=False)
class FixedDecoderFrontier(Sealed):
    r"""Rate-distortion curve of a fixed linear decoder, over all Gaussian encoders.

    .. math:: q_\beta(z|x) \propto p(z)\,p(x|z)^{1/\beta}
              = \mathcal N\big(H D^\top (x - m),\; \tau H\big), \qquad H = (D^\top D + \tau I)^{-1}

    The exact posterior covariance is full (``covariance="full"``, the curve of Huang et al. 2020);
    a VAE whose encoder has diagonal covariances reaches cⱼ = τ/((DᵀD)ⱼⱼ + τ) instead
    (``"diagonal"``), which costs rate unless DᵀD is diagonal. Either curve lies on or above the
    joint frontier, and touches it only at a β for which this decoder is optimal.

    Parameters
    ----------
    spectrum : Spectrum
        n features; with a leading spectrum the decoder must stay within what it holds.
    decoder : array (n, k)
        D.
    noise_variance : float
        σ² > 0.
    offset : array (n,), optional
        Decoder offset m, the data mean when omitted.
    covariance : str
        ``"full"`` or ``"diagonal"``.

    Raises
    ------
    InputError
        D not a finite (n, k) matrix with k ≤ n, σ² not positive, an unknown covariance, or squares
        beyond the float64 range.
    PartialSpectrumError
        A decoder that leaves the span of a leading spectrum.

    Notes
    -----
    Source: Huang et al. 2020, Section 4 (rate-distortion curve of a generative model).
    """

    spectrum: Spectrum
    decoder: FloatArray
    noise_variance: float
    offset: FloatArray | None = None
    covariance: Literal["full", "diagonal"] = "full"

    def __post_init__(self) -> None:
        check_spectrum(self.spectrum)
        n = self.spectrum.n_features
        decoder = as_matrix("decoder", self.decoder, "(n features, k latents)")
        if len(decoder) != n:
            fail("decoder", f"{len(decoder)} rows", f"{n}, one per feature", "pass D as (n, k)")
        check_latent_dim(decoder.shape[1], n)
        if self.covariance not in ("full", "diagonal"):
            fail("covariance", repr(self.covariance), "full or diagonal", "choose one of them")
        variance = as_positive_number("noise_variance", self.noise_variance, "pass σ²")
        offset = self.spectrum.mean if self.offset is None else self.offset
        for name, value in (
            ("decoder", decoder),
            ("noise_variance", variance),
            ("offset", as_vector("offset", offset, n)),
        ):
            object.__setattr__(self, name, value)
        super().__post_init__()
        _ = self._geometry  # refuses a decoder that leaves a leading spectrum

    def at_beta(self, beta: Any) -> Terms:
        r"""Return rate, distortion and objective of the best encoder at β.

        .. math:: \varepsilon = T + \sum_i s_i \frac{\tau^2}{(g_i^2+\tau)^2} +
                  \operatorname{tr} D^\top D\,C, \qquad
                  \mathcal R = \tfrac12 \Big[\operatorname{tr} C +
                  \sum_i \frac{s_i g_i^2}{(g_i^2+\tau)^2} - k - \log\det C\Big]

        with singular values gᵢ of D, second moments sᵢ of the data about m along its left singular
        vectors, and T the rest of the variance.

        Parameters
        ----------
        beta : float or array (...)
            β > 0.

        Returns
        -------
        Terms
            Arrays of the shape of β.

        Raises
        ------
        InputError
            β not positive and finite, or an objective beyond the float64 range.
        """
        weight = as_positive("beta", beta, "β weighs the rate and must be positive")
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            terms = self._terms(weight)
        check_representable("beta, decoder, noise_variance", terms.objective, _RESCALE)
        return terms

    def _terms(self, weight: FloatArray) -> Terms:
        level = (weight * self.noise_variance)[..., None]  # shape: (..., 1)
        gains, moments, outside = self._geometry
        power = gains**2 + level
        kept = (moments * (level / power) ** 2).sum(axis=-1)
        seen = (moments * (gains / power) ** 2).sum(axis=-1)
        squares = gains**2 if self.covariance == "full" else (self.decoder**2).sum(axis=0)
        spread = level / (squares + level)
        error = outside + kept + (squares * spread).sum(axis=-1)
        # c − 1 − log c with c = τ/(g² + τ): 1 − c = g²/(g² + τ) loses nothing where c is near 1.
        parts = np.log1p(squares / level) - squares / (squares + level)
        rate = 0.5 * (parts.sum(axis=-1) + seen)
        n, variance = self.spectrum.n_features, self.noise_variance
        constant = n * (np.log(2 * np.pi) + np.log(variance))
        distortion = 0.5 * (constant + error / variance)
        return Terms(
            beta=weight,
            rate=np.asarray(rate),
            distortion=np.asarray(distortion),
            squared_error=np.asarray(error),
            objective=np.asarray(distortion + weight * rate),
            noise_variance=np.full(weight.shape, variance),
            n_features=n,
        )

    @cached_property
    def _geometry(self) -> tuple[FloatArray, FloatArray, float]:
        """Gains gᵢ, second moments sᵢ about m along them, and the rest T of the variance."""
        spectrum = self.spectrum
        left, gains, _ = np.linalg.svd(self.decoder, full_matrices=False)
        with np.errstate(over="ignore"):
            check_representable("decoder", gains**2, _RESCALE)
        # The direction of a gain that is rounding is arbitrary, and may leave a leading spectrum.
        used = gains > np.finfo(np.float64).eps * len(left) * gains[0]
        gains, left = np.where(used, gains, 0.0), left * used
        read = spectrum.read_by(left.T)
        with np.errstate(over="ignore", invalid="ignore"):
            shift = spectrum.mean - np.asarray(self.offset)
            moments = (read**2).sum(axis=-1) + (left.T @ shift) ** 2
            # Sums of squares: a difference of traces would cancel.
            missed = ((spectrum.root - left @ read) ** 2).sum()
            missed += ((shift - left @ (left.T @ shift)) ** 2).sum()
        check_representable("spectrum, offset", np.append(moments, missed), _RESCALE)
        return gains, moments, float(missed) + spectrum.tail_variance(spectrum.eigenvalues.size)
