"""Explicit parameters of two-layer models whose modes ride in z₂, in z₁, or in both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from linvae._validation import FloatArray, check_no_underflow, check_representable
from linvae.spectrum import Spectrum

from ._vae import HierarchicalVAE

__all__ = ["Plan", "riding_model"]


@dataclass(frozen=True, eq=False)
class Plan:
    """Per mode: how far its error is below its variance, and the share of its rate in z₂."""

    log_ratio: FloatArray  # log λ/Δ >= 0, shape: (..., k1)
    share: FloatArray  # in [0, 1], shape: (..., k1)


@dataclass(frozen=True, eq=False)
class _Gains:
    """Scalars of every mode; λ → Σ is what z₂ removes of its variance, Σ → Δ what z₁ does."""

    told: FloatArray  # correlation of z₂ and the mode, √(1 − Σ/λ)
    left: FloatArray  # Σ/λ
    kept: FloatArray  # Δ/Σ
    prior: FloatArray  # A
    reader: FloatArray  # F
    decoder: FloatArray  # D


def _gains(root: FloatArray, plan: Plan, ratio: float, std: float) -> _Gains:
    upper = plan.share * plan.log_ratio  # log λ/Σ
    lower = (1 - plan.share) * plan.log_ratio  # log Σ/Δ
    told = np.sqrt(-np.expm1(-upper))
    refined = np.exp(-upper / 2) * np.sqrt(-np.expm1(-lower))  # √((Σ − Δ)/λ)
    # Spread that z₁ adds to the reconstruction: the refinement's, or of a copy a small share.
    spread = np.where(refined > 0, refined, ratio * told)
    alive = spread > 0
    safe = np.where(alive, spread, 1.0)
    length = np.where(root > 0, root, 1.0)
    return _Gains(
        told=told,
        left=np.exp(-upper),
        kept=np.exp(-lower),
        prior=np.where(alive, told / safe, 0.0) * std,
        reader=np.where(refined > 0, -np.expm1(-lower) / safe, 0.0) / length * std,
        decoder=spread * root / std,
    )


def riding_model(
    spectrum: Spectrum,
    plan: Plan,
    latent_dims: tuple[int, int],
    noise_variance: float,
    ratio: float,
    std: float,
) -> HierarchicalVAE:
    r"""Model in which mode i has error Δᵢ = λᵢ e^{−log_ratio} and spends its share of rate in z₂.

    .. math::
        x_i|z_2 \sim (\sqrt{\lambda-\Sigma}\,z_2,\ \Sigma), \qquad
        D z_1 | z_2 \sim (\sqrt{\lambda-\Sigma}\,z_2,\ \Sigma - \Delta), \qquad
        D z_1 | z_2, x \sim (E[x|z_2] + (1-\tfrac\Delta\Sigma)(x - E[x|z_2]),\
        \tfrac\Delta\Sigma(\Sigma-\Delta))

    A mode with Σ = Δ < λ would need Σ − Δ = 0; z₁ copies z₂ instead with s/A = `ratio`.
    """
    k1, k2 = latent_dims
    room = min(k1, k2)
    root = np.sqrt(spectrum.leading_eigenvalues(k1))
    vectors = spectrum.leading_eigenvectors(k1)
    with np.errstate(over="ignore", invalid="ignore"):
        gains = _gains(root, plan, ratio, std)
    used = np.stack([gains.prior, gains.reader, gains.decoder])
    check_representable("ratio, prior_std", used, "bring them closer to 1, or rescale the data")
    length = np.where(root > 0, root, 1.0)
    encoder2, variance2 = np.zeros((k2, spectrum.n_features)), np.ones(k2)
    encoder2[:room] = ((gains.told / length)[:, None] * vectors.T)[:room]
    variance2[:room] = gains.left[:room]
    prior, skip = np.zeros((k1, k2)), np.zeros((k1, k2))
    np.fill_diagonal(prior, gains.prior[:room])
    np.fill_diagonal(skip, (gains.kept * gains.prior)[:room])
    return HierarchicalVAE(
        encoder2=encoder2,
        variance2=check_no_underflow(variance2),
        encoder1=gains.reader[:, None] * vectors.T,
        skip=skip,
        variance1=check_no_underflow(std**2 * gains.kept),
        prior_gain=prior,
        prior_variance=np.full(k1, std**2),
        decoder=vectors * gains.decoder,
        noise_variance=noise_variance,
        encoder_offset=spectrum.mean,
        decoder_offset=spectrum.mean,
    )
