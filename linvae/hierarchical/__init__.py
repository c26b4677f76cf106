"""Linear VAEs with two layers of latents and top-down inference: who carries what, and the cost.

Every mode that lives rides in the cheaper layer; the second layer has room for k₂ of them. Inside a
layer the modes obey reverse water-filling at the level β·σ² of that layer's weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linvae._types import Sealed
from linvae._validation import (
    FloatArray,
    as_array,
    as_positive_number,
    check_broadcast,
    check_finite,
    check_representable,
    check_spectrum,
    fail,
    frozen,
)
from linvae.errors import InputTypeError, RangeError
from linvae.spectrum import Spectrum

from ._build import Plan, riding_model
from ._vae import (
    HierarchicalTerms,
    HierarchicalVAE,
    check_latent_dims,
    gaussian_constant,
    layer_weights,
)

__all__ = [
    "HierarchicalFrontier",
    "HierarchicalPoints",
    "HierarchicalTerms",
    "HierarchicalVAE",
]

NEITHER, LOWER, UPPER, BOTH = 0, 1, 2, 3  # values of HierarchicalPoints.carrier


@dataclass(frozen=True, eq=False)
class HierarchicalPoints(Sealed):
    """Points of the rate/rate/distortion surface; arrays of the shape of the query.

    Attributes
    ----------
    beta1, beta2 : ndarray
        Weights of the rates of z₁ and z₂: minus the slopes of the surface there.
    rate1, rate2 : ndarray
        ℛ₁ and ℛ₂ in nats.
    distortion : ndarray
        Nats.
    squared_error : ndarray
        Summed over dimensions, in squared data units.
    carrier : ndarray of int, shape (..., k1)
        Which layer carries each of the k₁ leading modes: 0 none, 1 z₁, 2 z₂, 3 both.
    rate2_low, rate2_high : ndarray
        All ℛ₂ in this range reach the same objective, the total ℛ₁ + ℛ₂ being the same. They differ
        only at β₁ = β₂, where only the total is determined.
    attained : ndarray of bool
        True where a model reaches the point; False where it is an infimum that models approach.
    """

    beta1: FloatArray
    beta2: FloatArray
    rate1: FloatArray
    rate2: FloatArray
    distortion: FloatArray
    squared_error: FloatArray
    carrier: NDArray[np.intp]
    rate2_low: FloatArray
    rate2_high: FloatArray
    attained: NDArray[np.bool_]

    @property
    def objective(self) -> FloatArray:
        """Lagrangian distortion + β₁ℛ₁ + β₂ℛ₂, nats."""
        return np.asarray(self.distortion + self.beta1 * self.rate1 + self.beta2 * self.rate2)

    @property
    def active(self) -> NDArray[np.intp]:
        """Number of modes that some layer carries."""
        return np.asarray(np.count_nonzero(self.carrier, axis=-1))


class HierarchicalFrontier:
    r"""Least objective of linear two-layer VAEs with layer weights β₁, β₂, and its surface.

    .. math::
        \inf L = \tfrac n2 \log 2\pi\sigma^2 + \sum_i \Big[
            \frac{\min(\lambda_i, \beta_{(i)}\sigma^2)}{2\sigma^2}
            + \frac{\beta_{(i)}}2 \log^+ \frac{\lambda_i}{\beta_{(i)}\sigma^2}\Big], \qquad
        \beta_{(i)} = \begin{cases}
            \beta_2 & i \le \min(k_1, k_2),\ \beta_2 < \beta_1 \\
            \beta_1 & i \le k_1 \text{ otherwise} \\
            \infty & i > k_1 \end{cases}

    With β₂ < β₁ this is an infimum as soon as λ₁ > β₂σ²: z₁ must copy z₂ without noise, that is
    s/A → 0. With β₂ ≥ β₁ it is a minimum, reached with z₂ collapsed.

    Parameters
    ----------
    spectrum : Spectrum
        n features.
    latent_dims : (int, int)
        (k₁, k₂), each within 1..n. More than k₁ latents in z₂ are legal and idle, as whatever
        reaches the data must pass through z₁.
    noise_variance : float
        σ² > 0, squared data units.

    Raises
    ------
    InputError
        Sizes outside 1..n, σ² not positive, λ₁/σ² beyond the float64 range.
    PartialSpectrumError
        A leading spectrum with fewer than k₁ eigenpairs.

    Notes
    -----
    Source: the loss of Xiao & Bamler 2023, Eq. 8; derivation in ``proofs/hierarchical_*.py``.
    """

    def __init__(
        self, spectrum: Spectrum, *, latent_dims: tuple[int, int], noise_variance: float
    ) -> None:
        check_spectrum(spectrum)
        self._k1, self._k2 = check_latent_dims(latent_dims, spectrum.n_features)
        self._variance = as_positive_number("noise_variance", noise_variance, "pass σ²")
        self._spectrum = spectrum
        self._values = spectrum.leading_eigenvalues(self._k1)
        with np.errstate(over="ignore"):
            self._critical = self._values / self._variance
        check_representable("noise_variance", self._critical, "rescale data and σ² together")
        self._room = min(self._k1, self._k2)
        self._tail = spectrum.tail_variance(self._k1)
        self._constant = gaussian_constant(spectrum.n_features, self._variance)

    @property
    def latent_dims(self) -> tuple[int, int]:
        """Numbers of latents (k₁, k₂)."""
        return self._k1, self._k2

    @property
    def noise_variance(self) -> float:
        """Decoder variance σ²."""
        return self._variance

    @property
    def critical_betas(self) -> FloatArray:
        """λᵢ/σ², shape (k₁,): mode i lives iff the weight of the layer it rides in is below it."""
        return frozen(self._critical)

    def at(self, beta1: Any, beta2: Any) -> HierarchicalPoints:
        """Points at weights β₁, β₂ > 0, which broadcast.

        At β₁ = β₂ the attained point with z₂ collapsed is given, and the range of ℛ₂ beside it.

        Raises
        ------
        InputError
            Weights that are not positive and finite, or do not broadcast.
        """
        weight1, weight2 = layer_weights(beta1, beta2)
        plan = self._plan(weight1, weight2)
        rates = 0.5 * plan.log_ratio
        rate2 = (rates * plan.share).sum(axis=-1)
        rate1 = (rates * (1 - plan.share)).sum(axis=-1)
        movable = np.where(weight1 == weight2, rates[..., : self._room].sum(axis=-1), 0.0)
        return self._points(weight1, weight2, rate1, rate2, plan, (rate2, rate2 + movable))

    def at_rates(self, rate1: Any, rate2: Any) -> HierarchicalPoints:
        r"""Points of least distortion whose layers spend given rates ≥ 0 in nats; they broadcast.

        .. math:: \beta = \frac1{\sigma^2}\Big(\prod_{i\le m}\lambda_i\Big)^{1/m}
                  e^{-2\mathcal R/m}

        per water-filling with m active modes. While ℛ₂ fits into the first min(k₁, k₂) modes of the
        curve at the total rate, only the total counts, and β₁ = β₂. Beyond, the layers fill apart:
        z₂ the first min(k₁, k₂) modes, z₁ the others. At rate 0 the smallest weight with that
        rate, which is 0 where the data have no variance: then every weight has it.

        Raises
        ------
        RangeError
            Negative rates, rates where no variance can be encoded, or so large that β underflows.
        """
        first, second = _rates("rate1", rate1), _rates("rate2", rate2)
        check_broadcast(rate1=first, rate2=second)
        first, second = np.broadcast_arrays(first, second)
        alive = int(np.count_nonzero(self._critical))
        if not alive and (first.any() or second.any()):
            fail("rates", "rates > 0", "0: the data have no variance", "pass 0", RangeError)
        if not alive:
            plan = Plan(np.zeros((*first.shape, self._k1)), np.zeros((*first.shape, self._k1)))
            return self._points(first, second, first, second, plan, (second, second))
        weight1, weight2, share, capacity = self._split(first, second)
        plan = self._plan(weight1, weight2, share)
        low = np.where(weight1 == weight2, 0.0, second)
        # Equal up to rounding where no more fits into z₂.
        high = np.where(weight1 == weight2, np.maximum(capacity, second), second)
        return self._points(weight1, weight2, first, second, plan, (low, high))

    def gap(self, rate1: Any, rate2: Any, distortion: Any, beta1: Any, beta2: Any) -> Any:
        r"""Excess Lagrangian of measured points, nats.

        .. math:: \mathcal D + \beta_1\mathcal R_1 + \beta_2\mathcal R_2 - \inf_{\text{linear}} L

        Never negative for a linear model with these sizes evaluated on this spectrum.

        Raises
        ------
        InputError
            Weights that are not positive, values that are not finite, or do not broadcast.
        """
        weight1, weight2 = layer_weights(beta1, beta2)
        given = {"rate1": rate1, "rate2": rate2, "distortion": distortion}
        arrays = {name: as_array(name, value) for name, value in given.items()}
        for name, array in arrays.items():
            check_finite(name, array)
        check_broadcast(beta1=weight1, **arrays)
        least = self.at(weight1, weight2).objective
        with np.errstate(over="ignore", invalid="ignore"):
            paid = weight1 * arrays["rate1"] + weight2 * arrays["rate2"]
            excess = np.asarray(arrays["distortion"] + paid - least)
        check_representable("gap", excess, "pass smaller weights or rates")
        return excess if excess.ndim else float(excess)

    def model(
        self, beta1: float, beta2: float, *, ratio: float = 1e-3, prior_std: float = 1.0
    ) -> HierarchicalVAE:
        r"""Parameters that reach the infimum, or come within a stated excess of it.

        .. math:: L - \inf L = \frac{\eta^2}{2\sigma^2} \sum_{i\text{ copied}} (\lambda_i -
                  \beta_2\sigma^2), \qquad \eta = s/A

        Parameters
        ----------
        beta1, beta2 : float
        ratio : float
            η > 0, of the modes that z₁ copies from z₂; without effect where the point is attained.
        prior_std : float
            s > 0, the same for every latent of z₁: fixed s with A = s/η → ∞, or s = η with A = 1.

        Raises
        ------
        InputError
            Values that are not single numbers > 0.
        """
        weight1 = as_positive_number("beta1", beta1, "pass one weight")
        weight2 = as_positive_number("beta2", beta2, "pass one weight")
        plan = self._plan(np.asarray(weight1), np.asarray(weight2))
        return self._model(plan, ratio, prior_std)

    def model_at_rates(
        self, rate1: float, rate2: float, *, ratio: float = 1e-3, prior_std: float = 1.0
    ) -> HierarchicalVAE:
        """Parameters that spend given rates at the least distortion; see :meth:`model`.

        Modes may ride in both layers: z₂ says part of them, z₁ refines it.

        Raises
        ------
        InputError, RangeError
            As :meth:`model` and :meth:`at_rates`.
        """
        spent = [as_array("rate1", rate1), as_array("rate2", rate2)]
        if spent[0].ndim or spent[1].ndim:
            fail("rates", "arrays", "single numbers", "pass one pair of rates", InputTypeError)
        points = self.at_rates(*spent)  # refuses what is out of range
        if not self._critical.any():
            return self._model(self._plan(np.ones(()), np.ones(())), ratio, prior_std)
        share = self._split(points.rate1, points.rate2)[2]
        return self._model(self._plan(points.beta1, points.beta2, share), ratio, prior_std)

    def _split(
        self, rate1: FloatArray, rate2: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Weights at given rates, the share of z₂ in its modes, and what fits into it at most."""
        with np.errstate(over="ignore"):
            together = self._level(self._critical, rate1 + rate2)
        fits = 0.5 * self._log_ratio(together[..., None])[..., : self._room].sum(axis=-1)
        weight1, weight2, apart = together, together, np.zeros(together.shape, dtype=bool)
        if self._critical[self._room :].any():
            # Only where a mode lives beyond those that z₂ has room for can the levels differ.
            apart = (rate2 > fits) & (together < self._critical[self._room])
            above = self._level(self._critical[: self._room], rate2)
            below = self._level(self._critical[self._room :], rate1)
            weight2 = np.where(apart, np.minimum(above, together), together)
            weight1 = np.where(apart, np.maximum(below, together), together)
        part = np.minimum(rate2 / np.where(fits > 0, fits, 1.0), 1.0)
        share = np.where(apart | (rate1 == 0), 1.0, part)
        return weight1, weight2, np.where(rate2 == 0, 0.0, share), fits

    def _plan(
        self, weight1: FloatArray, weight2: FloatArray, share: FloatArray | None = None
    ) -> Plan:
        """How every mode rides; `share` of the first min(k₁, k₂) is 0 or 1 by the cheaper layer."""
        if share is None:
            share = np.where(weight2 < weight1, 1.0, 0.0)
        shares = np.zeros((*weight1.shape, self._k1))
        shares[..., : self._room] = share[..., None]
        weights = np.where(shares > 0, weight2[..., None], weight1[..., None])
        if not self._critical.any():
            return Plan(np.zeros_like(shares), shares)
        return Plan(self._log_ratio(weights), shares)

    def _log_ratio(self, weights: FloatArray) -> FloatArray:
        """log⁺(λᵢ/(βσ²)), exact at the critical weight and accurate beside it."""
        weights = np.broadcast_to(weights, np.broadcast_shapes(weights.shape, (self._k1,)))
        critical = np.broadcast_to(self._critical, weights.shape)
        alive = critical > weights
        with np.errstate(over="ignore"):
            excess = np.where(alive, critical - weights, 0.0) / weights
        far = np.isinf(excess)
        near = np.log1p(np.where(far, 0.0, excess))
        safe = np.where(far, critical, 1.0)
        return np.where(far, np.log(safe) - np.log(weights), near)

    def _level(self, critical: FloatArray, rate: FloatArray) -> FloatArray:
        """Weight at which reverse water-filling over these critical weights spends the rate."""
        logs = np.log(critical[critical > 0])
        modes = np.arange(1, logs.size)
        breaks = np.concatenate([[0.0], np.cumsum(0.5 * modes * (logs[:-1] - logs[1:]))])
        active = np.maximum(np.searchsorted(breaks, rate, side="left"), 1)
        with np.errstate(over="ignore"):
            level = np.exp(np.cumsum(logs)[active - 1] / active - 2 * rate / active)
        level = np.minimum(level, critical[active - 1])
        if not (level > 0).all():
            fail("rates", np.max(rate), "rates whose β is above 1e-308", "ask for less", RangeError)
        return np.asarray(level)

    def _points(
        self,
        weight1: FloatArray,
        weight2: FloatArray,
        rate1: FloatArray,
        rate2: FloatArray,
        plan: Plan,
        range2: tuple[FloatArray, FloatArray],
    ) -> HierarchicalPoints:
        error = (self._values * np.exp(-plan.log_ratio)).sum(axis=-1) + self._tail
        alive = plan.log_ratio > 0
        carrier = np.where(plan.share <= 0, LOWER, np.where(plan.share < 1, BOTH, UPPER))
        copied = alive & (plan.share >= 1)
        distortion = self._constant + error / self._variance / 2
        remedy = "rescale data and σ² together"
        check_representable("noise_variance", distortion, remedy)
        return HierarchicalPoints(
            beta1=np.array(weight1),
            beta2=np.array(weight2),
            rate1=np.array(rate1),
            rate2=np.array(rate2),
            distortion=np.asarray(distortion),
            squared_error=np.asarray(error),
            carrier=np.where(alive, carrier, NEITHER),
            rate2_low=np.array(range2[0]),
            rate2_high=np.array(range2[1]),
            attained=np.asarray(~copied.any(axis=-1)),
        )

    def _model(self, plan: Plan, ratio: float, prior_std: float) -> HierarchicalVAE:
        eta = as_positive_number("ratio", ratio, "pass η = s/A, say 1e-3")
        std = as_positive_number("prior_std", prior_std, "pass the prior's standard deviation s")
        if not 0 < std * std < np.inf:
            fail("prior_std", std, "a number whose square float64 holds", "pass 1, say")
        return riding_model(self._spectrum, plan, (self._k1, self._k2), self._variance, eta, std)


def _rates(name: str, value: Any) -> FloatArray:
    array = as_array(name, value)
    check_finite(name, array)
    if not array.size or (array < 0).any():
        fail(name, f"{array}", "rates >= 0", "rates are KL divergences in nats", RangeError)
    return np.array(array, dtype=np.float64)
