"""What a linear VAE with two layers and bottom-up inference achieves, for any parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from linvae._validation import FloatArray
from linvae.spectrum import Spectrum

from ._vae import (
    HierarchicalTerms,
    TwoLayers,
    check_data,
    reconstruction_error,
    weighted_terms,
    zero,
)

__all__ = ["BottomUpVAE"]


@dataclass(frozen=True, eq=False)
class BottomUpVAE(TwoLayers):
    r"""A linear VAE with two layers of latents and bottom-up (Markovian) inference.

    .. math::
        p(z_2) &= \mathcal N(0, I), \quad
        p(z_1|z_2) = \mathcal N(W_2 z_2 + a,\; \operatorname{diag} \eta_2^2), \quad
        p(x|z_1) = \mathcal N(W_1 z_1 + m,\; \eta_1^2 I) \\
        q(z_1|x) &= \mathcal N(V_1(x - m_e) + h_1,\; \operatorname{diag} t), \quad
        q(z_2|z_1) = \mathcal N(V_2 z_1 + h_2,\; \operatorname{diag} c_2)

    Parameters
    ----------
    encoder1 : array (k1, n)
        V₁.
    variance1 : array (k1,)
        t > 0, the first-layer encoder variance Σ₁.
    encoder2 : array (k2, k1)
        V₂.
    variance2 : array (k2,)
        c₂ > 0.
    prior_gain : array (k1, k2)
        W₂.
    prior_variance : array (k1,)
        η₂² > 0.
    decoder : array (n, k1)
        W₁.
    noise_variance : float
        η₁² > 0, squared data units.
    encoder_offset, decoder_offset : array (n,) or number, optional
        mₑ and m.
    latent_offset1, prior_offset : array (k1,) or number, optional
        h₁ and a.
    latent_offset2 : array (k2,) or number, optional
        h₂.

    Raises
    ------
    InputError
        Shapes that do not fit, values that are not finite, variances that are not positive.
    """

    encoder1: FloatArray
    variance1: FloatArray
    encoder2: FloatArray
    variance2: FloatArray
    prior_gain: FloatArray
    prior_variance: FloatArray
    decoder: FloatArray
    noise_variance: float
    encoder_offset: FloatArray = field(default_factory=zero)
    decoder_offset: FloatArray = field(default_factory=zero)
    latent_offset1: FloatArray = field(default_factory=zero)
    latent_offset2: FloatArray = field(default_factory=zero)
    prior_offset: FloatArray = field(default_factory=zero)

    shapes = TwoLayers.shapes | {"encoder2": ("k2", "k1")}

    @np.errstate(over="ignore", invalid="ignore")  # refused at the end
    def evaluate(self, spectrum: Spectrum, beta1: Any, beta2: Any) -> HierarchicalTerms:
        r"""Exact terms of the objective on any data with mean μ and covariance S.

        .. math::
            \mathcal R_1 = \mathbb E_q \log\frac{q(z_1|x)}{p(z_1|z_2)}, \qquad
            \mathcal R_2 = \mathbb E_q\, \mathrm{KL}(q(z_2|z_1) \,\|\, p(z_2))

        Both averages are over the joint q(z₁|x) q(z₂|z₁), so that −(distortion + ℛ₁ + ℛ₂) is the
        evidence bound. ℛ₁ alone is no KL divergence, and negative where p(z₁|z₂), told by z₂, is
        narrower than q(z₁|x).

        Parameters
        ----------
        spectrum : Spectrum
            n features.
        beta1, beta2 : float or array
            Weights; they broadcast.

        Returns
        -------
        HierarchicalTerms

        Raises
        ------
        InputError
            Weights that are not positive, another number of features.
        PartialSpectrumError
            An encoder that reads directions which a leading-k spectrum does not hold.

        Notes
        -----
        Source: the two-level Markovian hierarchical VAE of Dang et al. 2024.
        """
        check_data(spectrum, self.decoder)
        mean1 = self.encoder1 @ (spectrum.mean - self.encoder_offset) + self.latent_offset1
        noise = np.diag(np.sqrt(self.variance1))
        # z₁ = mean + spread·(standard normal), signal first and noise second.
        spread = np.concatenate([spectrum.read_by(self.encoder1), noise], axis=1)
        mean2 = self.encoder2 @ mean1 + self.latent_offset2
        told = self.encoder2 @ spread
        own2 = (self.variance2 - 1 - np.log(self.variance2)).sum()
        rate2 = 0.5 * float(own2 + np.vdot(told, told) + mean2 @ mean2)
        width = np.sqrt(self.prior_variance)[:, None]
        missed = (spread - self.prior_gain @ told) / width
        blurred = self.prior_gain * np.sqrt(self.variance2) / width
        shift = (mean1 - self.prior_gain @ mean2 - self.prior_offset) / width[:, 0]
        own1 = -(np.log(self.variance1 / self.prior_variance) + 1).sum()
        square = np.vdot(missed, missed) + np.vdot(blurred, blurred) + shift @ shift
        error = reconstruction_error(
            spectrum,
            self.decoder,
            self.encoder1,
            [noise],
            spectrum.mean - self.decoder_offset - self.decoder @ mean1,
        )
        return weighted_terms(self, 0.5 * float(own1 + square), rate2, error, beta1, beta2)
