"""What a learned curve is held against: the optimum, or the best known, at every β."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

import linvae as lv
from deep._checks import fail
from deep.errors import InputError

__all__ = [
    "Bounds",
    "FrontierReference",
    "Reference",
    "ReferencePoints",
    "as_betas",
    "closed_form_points",
    "frontier_reference",
    "linear_reference",
    "shannon_reference",
]

FloatArray = NDArray[np.float64]

Bounds = Literal["every VAE", "linear VAEs", "nothing"]


@dataclass(frozen=True, eq=False)
class ReferencePoints:
    """Points of a reference curve; float64 arrays (B,), one entry per β, nats.

    Attributes
    ----------
    betas : ndarray
    rate, distortion : ndarray
    squared_error : ndarray
        Summed over dimensions, squared data units.
    objective : ndarray
        distortion + beta · rate.
    slack : ndarray
        Width of the certificate: the optimum lies in [objective − slack, objective]. 0 for closed
        forms, infinite where nothing is certified.
    """

    betas: FloatArray
    rate: FloatArray
    distortion: FloatArray
    squared_error: FloatArray
    objective: FloatArray
    slack: FloatArray


class Reference(Protocol):
    """A curve to compare with."""

    @property
    def name(self) -> str:
        """For a legend."""
        ...

    @property
    def statement(self) -> str:
        """What the curve is and what it bounds, for the record."""
        ...

    @property
    def bounds(self) -> Bounds:
        """Which models cannot lie below ``objective - slack``.

        In expectation over the data that the reference describes: ``"every VAE"`` with that
        likelihood, ``"linear VAEs"`` with at most that many latents, or ``"nothing"``.
        """
        ...

    def at_beta(self, betas: ArrayLike) -> ReferencePoints:
        """Points at β's (B,)."""
        ...

    def collapsed_loss(self, betas: ArrayLike) -> FloatArray:
        """What a model that ignores the data loses against the reference at β's (B,), nats."""
        ...


@dataclass(frozen=True, eq=False)
class FrontierReference:
    """An analytic curve of :class:`linvae.Frontier` as a reference.

    Attributes
    ----------
    frontier : Frontier
    name, statement : str
    bounds : str
    """

    frontier: lv.Frontier
    name: str
    statement: str
    bounds: Bounds

    def at_beta(self, betas: ArrayLike) -> ReferencePoints:
        """Points at β's (B,)."""
        return closed_form_points(self.frontier, betas)

    def collapsed_loss(self, betas: ArrayLike) -> FloatArray:
        """Excess of a model that ignores the data at β's (B,), nats."""
        return np.asarray(self.frontier.collapsed_loss(as_betas(betas)))


def closed_form_points(
    curve: lv.Frontier | lv.CalibratedFrontier, betas: ArrayLike
) -> ReferencePoints:
    """Points of a closed-form curve at β's (B,), exact."""
    weights = as_betas(betas)
    points = curve.at_beta(weights)
    # At rate 0 a frontier point carries the largest critical β, not the β that was asked for.
    return ReferencePoints(
        betas=weights,
        rate=np.array(points.rate),
        distortion=np.array(points.distortion),
        squared_error=np.array(points.squared_error),
        objective=np.asarray(points.distortion + weights * points.rate),
        slack=np.zeros_like(weights),
    )


def linear_reference(
    spectrum: lv.Spectrum, *, latent_dim: int, noise_variance: float
) -> FrontierReference:
    r"""Optimum of linear VAEs with a Gaussian decoder: a bound for them on any data.

    .. math:: L^*(\beta) = \tfrac n2\log 2\pi\sigma^2 + \sum_i\frac{e_i}{2\sigma^2}
              + \beta\sum_{i\le k}\tfrac12\log^+\frac{\lambda_i}{\beta\sigma^2}

    with :math:`e_i = \min(\lambda_i, \beta\sigma^2)` for i ≤ k and λᵢ beyond. A nonlinear
    model may lie below, whenever the data are not Gaussian or k is smaller than their rank.

    Parameters
    ----------
    spectrum : Spectrum
        Of the data that are evaluated, n features.
    latent_dim : int
        k.
    noise_variance : float
        σ² of the decoder.
    """
    return frontier_reference(
        lv.Frontier(spectrum, latent_dim=latent_dim, noise_variance=noise_variance)
    )


def frontier_reference(frontier: lv.Frontier) -> FrontierReference:
    """A frontier as the reference that :func:`linear_reference` makes of its spectrum."""
    k = frontier.latent_dim
    return FrontierReference(
        frontier,
        f"linear optimum, k = {k}",
        f"Exact optimum of linear VAEs with {k} latents and noise variance "
        f"{frontier.noise_variance:g} on these data; a lower bound for such models only: a "
        "nonlinear model may legally lie below.",
        "linear VAEs",
    )


def shannon_reference(spectrum: lv.Spectrum, *, noise_variance: float) -> FrontierReference:
    r"""Shannon's bound on every VAE with a Gaussian decoder, for a Gaussian source.

    .. math:: \mathcal D + \beta\mathcal R \;\ge\; \tfrac n2\log 2\pi\sigma^2 + \min_{p(\hat x|x)}
              \Bigl[\tfrac1{2\sigma^2}\mathbb E\|x-\hat x\|^2 + \beta I(x;\hat x)\Bigr]

    The rate of a VAE is I(x; z) + KL(q(z) ‖ p(z)) ≥ I(x; z) ≥ I(x; x̂(z)) with the decoder's mean
    x̂(z), and its distortion is that of x̂(z): the minimum is a bound for any encoder, prior and
    network. It is a bound in expectation over the source N(μ, S), not over a sample of it, and no
    bound at all for other sources with that covariance, which are easier.

    Parameters
    ----------
    spectrum : Spectrum
        Of the source, all n eigenvalues.
    noise_variance : float
        σ² of the decoder.

    Notes
    -----
    Source: Cover & Thomas, Theorem 10.3.3.
    """
    frontier = lv.Frontier.shannon(spectrum, noise_variance=noise_variance)
    return FrontierReference(
        frontier,
        "Shannon curve",
        "Exact rate-distortion function of the Gaussian source; in expectation over the source a "
        f"lower bound for every VAE with a Gaussian decoder of variance {noise_variance:g}.",
        "every VAE",
    )


def as_betas(betas: ArrayLike) -> FloatArray:
    """Return β's as a float64 vector (B,), B ≥ 1, or fail."""
    weights = np.atleast_1d(np.asarray(betas, dtype=np.float64))
    if weights.ndim != 1 or weights.size == 0 or not (
        np.isfinite(weights).all() and (weights > 0).all()
    ):  # fmt: skip
        fail("betas", f"{np.asarray(betas).tolist()!r}"[:80], "a vector of finite numbers > 0",
             "β weighs the rate", InputError)  # fmt: skip
    return weights
