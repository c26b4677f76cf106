"""Claims about how a linear VAE is learned."""

from __future__ import annotations

import numpy as np

from linvae.dynamics import rotation_excess
from linvae.response import encoder_given_decoder

from .types import Check, Claim, Setting, judged, not_applicable

__all__ = ["DYNAMICS_CLAIMS"]

_ROUNDING = 1e-10
_ANGLES = (0.1, np.pi / 4, 2.0)
_PAIRS, _BETAS = 4, 5  # enough of each to see a wrong formula


def _turned(decoder: np.ndarray, pair: tuple[int, int], angle: float) -> np.ndarray:
    """Decoder with two of its latents rotated."""
    turn = np.eye(decoder.shape[1])
    cosine, sine = np.cos(angle), np.sin(angle)
    turn[np.ix_(pair, pair)] = [[cosine, -sine], [sine, cosine]]
    return np.asarray(decoder @ turn)


def _rotation(setting: Setting, claim: Claim) -> Check:
    values = setting.critical_betas * setting.noise_variance
    if values.size < 2:
        return not_applicable(claim, "there are no two latents that could be rotated")
    last = np.unique(np.linspace(1, values.size - 1, _PAIRS).astype(int))
    # Where the first two modes live, too: a rotation of dead latents costs nothing.
    chosen = np.append(setting.betas[:: max(1, setting.betas.size // _BETAS)],
                       setting.critical_betas[1] / 2)  # fmt: skip
    worst = 0.0
    for beta in chosen:
        best = setting.optimum(beta)
        lowest = best.evaluate(setting.spectrum, beta).objective
        rate = best.evaluate(setting.spectrum, beta).rate
        size = setting.magnitude[0] + beta * (1 + rate) + abs(lowest)
        for angle, j in ((a, int(j)) for a in _ANGLES for j in last):
            model = encoder_given_decoder(
                _turned(best.decoder, (0, j), angle),
                beta,
                noise_variance=setting.noise_variance,
                offset=setting.spectrum.mean,
            )
            excess = model.evaluate(setting.spectrum, beta).objective - lowest
            stated = rotation_excess(
                values[0], values[j], beta, angle, noise_variance=setting.noise_variance
            )
            worst = max(worst, float(abs(excess - stated)) / float(size))
    return judged(
        claim, worst, _ROUNDING, "relative error of the objective of rotated latents, best encoder"
    )


DYNAMICS_CLAIMS = (
    Claim(
        "rotation",
        "Two latents rotated by θ cost (β/2) log(1 + (t₁ − t₂)² sin²2θ/(4t₁t₂)), tᵢ = max(λᵢ, τ).",
        _rotation,
    ),
)
