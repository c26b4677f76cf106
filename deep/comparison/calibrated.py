"""The optimum of linear VAEs whose noise variance is the best at every β."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

import linvae as lv
from deep.comparison.reference import Bounds, ReferencePoints, closed_form_points

__all__ = ["CalibratedReference", "calibrated_reference"]


@dataclass(frozen=True, eq=False)
class CalibratedReference:
    """The curve of :class:`linvae.CalibratedFrontier` as a reference.

    Attributes
    ----------
    frontier : CalibratedFrontier
    spectrum : Spectrum
    name, statement : str
    bounds : str
    """

    frontier: lv.CalibratedFrontier
    spectrum: lv.Spectrum
    name: str
    statement: str
    bounds: Bounds = "linear VAEs"

    def at_beta(self, betas: ArrayLike) -> ReferencePoints:
        """Points at β's (B,), each > n / rank where k latents reach the rank of the data."""
        return closed_form_points(self.frontier, betas)

    def collapsed_loss(self, betas: ArrayLike) -> NDArray[np.float64]:
        """Excess of a model that ignores the data, with its own best σ², at β's (B,), nats."""
        n = self.spectrum.n_features
        alone = n / 2 * math.log(2 * math.pi * math.e * self.spectrum.total_variance / n)
        return np.asarray(alone - self.at_beta(betas).objective)


def calibrated_reference(spectrum: lv.Spectrum, *, latent_dim: int) -> CalibratedReference:
    r"""Optimum of linear VAEs with a Gaussian decoder of the best variance.

    .. math:: L^*(\beta) = \min_{\sigma^2} \tfrac n2\log 2\pi\sigma^2
              + \frac{\varepsilon(\beta\sigma^2)}{2\sigma^2} + \beta\mathcal R(\beta\sigma^2)

    Parameters
    ----------
    spectrum : Spectrum
        Of the samples on which curves are measured, with σ² the best for these.
    latent_dim : int
        k.

    Raises
    ------
    linvae.errors.UnboundedObjectiveError
        Data without variance; at β's below n / rank when k reaches the rank.
    """
    frontier = lv.CalibratedFrontier(spectrum, latent_dim=latent_dim)
    return CalibratedReference(
        frontier,
        spectrum,
        f"linear VAE, {latent_dim} latents, calibrated",
        f"Closed-form optimum of linear VAEs with {latent_dim} latents whose Gaussian decoder has "
        "the best variance at every β; other models may lie below it.",
    )
