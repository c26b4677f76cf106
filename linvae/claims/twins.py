"""Claims about a decoder held fixed and about generated data."""

from __future__ import annotations

import numpy as np

from linvae.fixed_decoder import FixedDecoderFrontier
from linvae.twins import frechet_distance

from .types import Check, Claim, Setting, judged, not_applicable

__all__ = ["TWIN_CLAIMS"]

_ROUNDING = 1e-11


def _fixed_decoder(setting: Setting, claim: Claim) -> Check:
    middle = len(setting.betas) // 2
    optimal = np.asarray(setting.model.decoder[middle])
    least = setting.curve.at_beta(setting.betas).objective
    worst = 0.0
    for decoder in (optimal, setting.decoder):
        full, diagonal = (
            FixedDecoderFrontier(
                setting.spectrum, decoder, setting.noise_variance, covariance=covariance
            )
            .at_beta(setting.betas)
            .objective
            for covariance in ("full", "diagonal")
        )
        size = setting.magnitude + np.abs(diagonal)
        below = np.maximum(least - full, full - diagonal) / size
        worst = max(worst, float(below.max()))
        if decoder is optimal:
            worst = max(worst, float(np.abs(diagonal - least)[middle] / size[middle]))
    return judged(
        claim,
        worst,
        _ROUNDING,
        "relative violation, for an optimal decoder and a rotated one; full covariances at most "
        "as high as diagonal ones",
    )


def _frechet(setting: Setting, claim: Claim) -> Check:
    if not setting.spectrum.complete:
        return not_applicable(claim, "only the leading eigenpairs of the data are known")
    values = np.zeros(setting.spectrum.n_features)
    values[: setting.spectrum.eigenvalues.size] = setting.spectrum.eigenvalues
    # One decomposition of an (n, n) matrix each.
    betas = setting.betas[[0, len(setting.betas) // 2]]
    kept = values - betas[:, None] * setting.noise_variance
    kept = np.where(np.arange(values.size) < setting.latent_dim, np.maximum(kept, 0.0), 0.0)
    made = kept + setting.noise_variance
    want = ((np.sqrt(values) - np.sqrt(made)) ** 2).sum(axis=-1)
    got = frechet_distance(setting.optimum(betas), setting.spectrum)
    size = values.sum() + made.sum(axis=-1)
    return judged(
        claim, float((np.abs(got - want) / size).max()), _ROUNDING, "difference over tr S + tr M"
    )


TWIN_CLAIMS = (
    Claim(
        "fixed-decoder",
        "The curve of a fixed decoder lies on or above the joint frontier and touches it where "
        "that decoder is optimal.",
        _fixed_decoder,
    ),
    Claim(
        "frechet",
        "At the optimum the squared Fréchet distance from data to model is Σ(√λᵢ − √mᵢ)², "
        "mᵢ = (λᵢ − τ)₊ + σ².",
        _frechet,
    ),
)
