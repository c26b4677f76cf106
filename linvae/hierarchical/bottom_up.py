"""Linear VAEs with two layers and bottom-up inference q(z₁|x) q(z₂|z₁): optimum and collapse.

With a given first-layer encoder variance the optimum is closed per mode. With a learned one the
second layer never survives a weight above the first layer's, and below it nothing holds it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linvae._types import Sealed
from linvae._validation import (
    FloatArray,
    as_positive_number,
    check_no_underflow,
    check_representable,
    check_spectrum,
    fail,
)
from linvae.errors import UnboundedObjectiveError
from linvae.spectrum import Spectrum

from ._bottom_up_vae import BottomUpVAE
from ._vae import check_latent_dims, gaussian_constant, layer_weights

__all__ = ["BottomUpFrontier", "BottomUpPoints", "BottomUpVAE"]

_RESCALE = "rescale data and variances together"


@dataclass(frozen=True, eq=False)
class BottomUpPoints(Sealed):
    """Optima of the bottom-up objective; arrays of the shape of the query.

    Attributes
    ----------
    beta1, beta2 : ndarray
        Weights.
    rate1, rate2 : ndarray
        The two rate terms in nats; rate1 can be negative. NaN where the objective is unbounded.
    distortion : ndarray
        Nats.
    squared_error : ndarray
        Summed over dimensions, in squared data units.
    objective : ndarray
        distortion + β₁ rate1 + β₂ rate2, nats; −inf where unbounded.
    signal : ndarray, shape (..., k1)
        Variance a of each latent of z₁ under q, its noise included.
    active1 : ndarray of bool, shape (..., k1)
        Whether z₁ reads mode i of the data.
    active2 : ndarray of bool, shape (..., k1)
        Whether z₂ reads latent i of z₁: data where active1 holds too, nothing but noise elsewhere.
    bounded : ndarray of bool
        False where a learned Σ₁ has no optimum (β₂ < β₁).
    rate2_high : ndarray
        Supremum of ℛ₂ among optima of equal objective: rate2, except inf at β₁ = β₂ with learned
        Σ₁, where z₁ may be scaled up at will.
    """

    beta1: FloatArray
    beta2: FloatArray
    rate1: FloatArray
    rate2: FloatArray
    distortion: FloatArray
    squared_error: FloatArray
    objective: FloatArray
    signal: FloatArray
    active1: NDArray[np.bool_]
    active2: NDArray[np.bool_]
    bounded: NDArray[np.bool_]
    rate2_high: FloatArray


class BottomUpFrontier:
    r"""Least objective of linear two-layer VAEs with bottom-up inference.

    Given Σ₁ = t I, with κ = η₂²β₂/β₁ and a the variance of a latent of z₁, mode i ≤ min(k₁, k₂) is

    .. math::
        \min_{a \ge t}\ \frac{\lambda t}{2\eta_1^2 a} + \frac{\beta_2}2 u(a/\kappa)
        + \frac{\beta_1}2\Big(\log\frac{\eta_2^2}t - 1\Big), \qquad
        u(r) = \begin{cases} r & r \le 1 \\ 1 + \log r & r > 1 \end{cases}

    with a = λt/(β₂η₁²) where z₂ reads the latent and a = √(η₂²λt/(β₁η₁²)) where it does not, never
    below t. Modes min(k₁, k₂) < i ≤ k₁ have u(r) = r throughout.

    Parameters
    ----------
    spectrum : Spectrum
        n features.
    latent_dims : (int, int)
        (k₁, k₂), each within 1..n.
    noise_variance : float
        η₁² > 0 of p(x|z₁), squared data units.
    prior_variance : float
        η₂² > 0 of p(z₁|z₂), the same for every latent.
    encoder_variance : float, optional
        t > 0, the given Σ₁ = t I; learned (diagonal, one number per latent) when omitted.

    Raises
    ------
    InputError
        Sizes outside 1..n, variances that are not positive.
    PartialSpectrumError
        A leading spectrum with fewer than k₁ eigenpairs.

    Notes
    -----
    Setting: Dang et al. 2024, "Beyond Vanilla Variational Autoencoders"; the thresholds are derived
    in ``proofs/hierarchical_bottom_up.py``.
    """

    def __init__(
        self,
        spectrum: Spectrum,
        *,
        latent_dims: tuple[int, int],
        noise_variance: float,
        prior_variance: float = 1.0,
        encoder_variance: float | None = None,
    ) -> None:
        check_spectrum(spectrum)
        self._k1, self._k2 = check_latent_dims(latent_dims, spectrum.n_features)
        self._noise = as_positive_number("noise_variance", noise_variance, "pass η₁²")
        self._prior = as_positive_number("prior_variance", prior_variance, "pass η₂²")
        self._given = encoder_variance is not None
        self._t = np.nan
        if encoder_variance is not None:
            remedy = "pass the variance of q(z₁|x), or None to learn it"
            self._t = as_positive_number("encoder_variance", encoder_variance, remedy)
        self._spectrum = spectrum
        self._values = spectrum.leading_eigenvalues(self._k1)
        self._tail = spectrum.tail_variance(self._k1)
        self._constant = gaussian_constant(spectrum.n_features, self._noise)

    @property
    def latent_dims(self) -> tuple[int, int]:
        """Numbers of latents (k₁, k₂)."""
        return self._k1, self._k2

    def thresholds(self, beta1: Any, beta2: Any) -> tuple[FloatArray, FloatArray]:
        r"""Eigenvalues above which z₁ reads mode i, and z₂ reads its latent; each (..., k1).

        .. math::
            \lambda^{(1)} = \eta_1^2 \min\Big(\beta_2, \frac{\beta_1 t}{\eta_2^2}\Big), \qquad
            \lambda^{(2)} = \frac{\eta_1^2\eta_2^2\beta_2^2}{\beta_1 t}\ \text{ if }
            t \le \frac{\eta_2^2\beta_2}{\beta_1},\ \text{ else } -\infty

        for i ≤ min(k₁, k₂); beyond, λ⁽¹⁾ = η₁²β₁t/η₂² and λ⁽²⁾ = ∞. With learned Σ₁ and β₂ ≥ β₁,
        λ⁽¹⁾ = β₁η₁² and λ⁽²⁾ = ∞; with β₂ < β₁ there is no optimum, and both are NaN.

        Raises
        ------
        InputError
            Weights that are not positive and finite, or do not broadcast.
        """
        weight1, weight2 = (w[..., None] for w in layer_weights(beta1, beta2))
        shape = (*weight1.shape[:-1], self._k1)
        served = np.arange(self._k1) < min(self._k1, self._k2)
        if not self._given:
            with np.errstate(over="ignore"):
                lower, upper = weight1 * self._noise, np.full(shape, np.inf)
            check_representable("beta1, noise_variance", lower, _RESCALE)
            lost = weight2 < weight1
            return np.where(lost, np.nan, lower + np.zeros(shape)), np.where(lost, np.nan, upper)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            alone = weight1 * (self._t / self._prior)
            above = self._noise * weight2 * (weight2 / np.where(alone > 0, alone, 1.0))
            ratio = np.log(weight2) - np.log(weight1)
            lower = self._noise * np.where(served, np.minimum(weight2, alone), alone)
        # Beyond, κ = η₂²β₂/β₁ and what follows from it would leave the float64 range.
        extreme = (np.abs(ratio) > 600) | (alone == 0)
        check_representable(
            "beta2/beta1", np.where(extreme, np.inf, above), "bring the two weights closer"
        )
        check_representable("beta1, beta2, noise_variance", lower, _RESCALE)
        # t > κ: z₂ reads the noise of z₁, whatever the data.
        upper = np.where(served, np.where(alone > weight2, -np.inf, above), np.inf)
        return lower, upper

    def at(self, beta1: Any, beta2: Any) -> BottomUpPoints:
        """Optima at weights β₁, β₂ > 0, which broadcast.

        With learned Σ₁ and β₁ = β₂ the optimum with z₂ collapsed is given.

        Raises
        ------
        InputError
            Weights that are not positive and finite, do not broadcast, or lead beyond the float64
            range.
        """
        weight1, weight2 = layer_weights(beta1, beta2)
        lower, upper = self.thresholds(weight1, weight2)
        active1, active2 = self._values > lower, self._values > upper
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if self._given:
                signal, own, rate1, rate2 = self._with_given(weight1, weight2, active1, active2)
            else:
                signal, own, rate1, rate2 = self._with_learned(weight1, active1)
            error = (self._values * np.where(active1, own / signal, 1.0)).sum(axis=-1) + self._tail
            distortion = self._constant + error / self._noise / 2
            objective = distortion + weight1 * rate1 + weight2 * rate2
        bounded = np.asarray(~np.isnan(lower).any(axis=-1))
        check_representable("beta1, beta2", objective, _RESCALE)
        free = ~self._given & bounded & (weight1 == weight2)
        return BottomUpPoints(
            beta1=np.array(weight1),
            beta2=np.array(weight2),
            rate1=np.where(bounded, rate1, np.nan),
            rate2=np.where(bounded, rate2, np.nan),
            distortion=np.where(bounded, distortion, np.nan),
            squared_error=np.where(bounded, error, np.nan),
            objective=np.where(bounded, objective, -np.inf),
            signal=np.where(bounded[..., None], signal, np.nan),
            active1=active1,
            active2=active2,
            bounded=bounded,
            rate2_high=np.where(free, np.inf, np.where(bounded, rate2, np.nan)),
        )

    def model(self, beta1: float, beta2: float, *, signal: float | None = None) -> BottomUpVAE:
        r"""Optimal parameters; with learned Σ₁, optionally with z₁ scaled to a stated variance.

        With learned Σ₁ and `signal` = a ≥ η₂²β₂/β₁ the objective is that of z₁ alone plus

        .. math:: \frac{\min(k_1, k_2)}2 \Big[(\beta_2 - \beta_1)\log\frac a{\eta_2^2} + \beta_2
                  - \beta_1 - \beta_2 \log\frac{\beta_2}{\beta_1}\Big],

        which is 0 at β₁ = β₂ for every a and falls without bound for β₂ < β₁.

        Parameters
        ----------
        beta1, beta2 : float
        signal : float, optional
            Variance of the first min(k₁, k₂) latents of z₁; only with learned Σ₁, where η₂² is the
            default for β₂ ≥ β₁.

        Raises
        ------
        UnboundedObjectiveError
            Learned Σ₁ and β₂ < β₁ without `signal`: there is no optimum.
        InputError
            Values that are not single numbers > 0, a `signal` with given Σ₁, or parameters beyond
            the float64 range.
        """
        weight1 = as_positive_number("beta1", beta1, "pass one weight")
        weight2 = as_positive_number("beta2", beta2, "pass one weight")
        if self._given and signal is not None:
            fail("signal", signal, "None: Σ₁ is given", "leave it out, or learn Σ₁")
        if not self._given and signal is None and weight2 < weight1:
            fail(
                "beta2",
                weight2,
                f"a weight >= beta1 = {weight1}: with learned Σ₁ the objective is unbounded below",
                "pass signal= for one of the models that go down, or fix encoder_variance",
                UnboundedObjectiveError,
            )
        level = self._prior * (weight2 / weight1)
        check_representable("beta2/beta1", level, "bring the two weights closer")
        if self._given:
            points = self.at(weight1, weight2)
            return self._build(points.signal, np.full(self._k1, self._t), level)
        width = np.full(self._k1, self._prior)
        if signal is not None:
            room = min(self._k1, self._k2)
            width[:room] = as_positive_number("signal", signal, "pass a variance of z₁")
        lost = weight1 * self._noise  # infinite is right: then no mode lives
        alive = self._values > lost
        share = np.where(
            alive, min(lost, self._values[0]) / np.where(alive, self._values, 1.0), 1.0
        )
        return self._build(width, share * width, level)

    def _with_given(
        self,
        weight1: FloatArray,
        weight2: FloatArray,
        active1: NDArray[np.bool_],
        active2: NDArray[np.bool_],
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Variance and noise of every latent of z₁, and the two rate terms; Σ₁ = t I."""
        first, second = weight1[..., None], weight2[..., None]
        shared = np.sqrt(self._values / self._noise) * np.sqrt(self._t / second)
        alone = np.sqrt(self._values / self._noise) * np.sqrt(self._t / first * self._prior)
        best = np.where(active2, shared**2, alone)
        signal = np.where(active1, np.maximum(best, self._t), self._t)
        level = self._prior * (second / first)
        rate2 = 0.5 * np.where(active2, np.log(signal) - np.log(level), 0.0)
        told = np.where(active2, level, signal) / self._prior
        rate1 = 0.5 * (np.log(self._prior / self._t) - 1 + told)
        own = np.broadcast_to(np.float64(self._t), signal.shape)
        return signal, own, rate1.sum(axis=-1), np.maximum(rate2, 0.0).sum(axis=-1)

    def _with_learned(
        self, weight1: FloatArray, active1: NDArray[np.bool_]
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """The same with learned Σ₁ and z₂ collapsed: the one-layer optimum at β₁."""
        values = np.where(active1, self._values, self._noise)
        ratio = np.where(active1, values / self._noise / weight1[..., None], 1.0)
        signal = np.full(active1.shape, self._prior)
        rate1 = 0.5 * np.log(ratio).sum(axis=-1)
        return signal, signal / ratio, rate1, np.zeros(weight1.shape)

    def _build(self, signal: FloatArray, own: FloatArray, level: float) -> BottomUpVAE:
        """Model whose latents of z₁ have these variances, with the best decoder and top layer."""
        k1, k2 = self._k1, self._k2
        room = min(k1, k2)
        length = np.sqrt(np.where(self._values > 0, self._values, 1.0))
        data = np.where(self._values > 0, np.maximum(signal - own, 0.0), 0.0)
        vectors = self._spectrum.leading_eigenvectors(k1)
        reads = np.maximum(signal[:room] - level, 0.0)
        encoder2, prior = np.zeros((k2, k1)), np.zeros((k1, k2))
        np.fill_diagonal(encoder2, np.sqrt(reads) / signal[:room])
        np.fill_diagonal(prior, np.sqrt(reads))
        variance2 = np.ones(k2)
        variance2[:room] = np.minimum(1.0, level / signal[:room])
        return BottomUpVAE(
            encoder1=(np.sqrt(data) / length)[:, None] * vectors.T,
            variance1=check_no_underflow(np.asarray(own)),
            encoder2=encoder2,
            variance2=check_no_underflow(variance2),
            prior_gain=prior,
            prior_variance=np.full(k1, self._prior),
            decoder=vectors * (np.sqrt(data) * length / signal),
            noise_variance=self._noise,
            encoder_offset=self._spectrum.mean,
            decoder_offset=self._spectrum.mean,
        )
