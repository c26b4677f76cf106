r"""Other objectives that a trained model may be the minimum of, each known by a law of its own.

A model that is far from the declared optimum has stopped too early, or minimised something else.
With L the declared objective, what is read off satisfies

.. math:: D = E^\top, \qquad \partial_\theta L = -w\,\theta, \qquad \text{rate}_j = \lambda
          \ \text{ wherever the optimum has less}

where one matrix serves for both halves, with an L2 penalty of weight w, and with λ free nats per
latent. None of these holds by chance in a model that is still on its way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from linvae._validation import FloatArray
from linvae.doctor.examination import Finding

from ._hypotheses import Fit
from ._laws import Laws, gradient
from ._words import finding

__all__ = ["other_objective", "rates_of"]

_TIED = 1e-3  # relative difference of E and Dᵀ
_DECAY = 0.1  # share of the squared gradient that a penalty may leave unexplained
_HELD = 0.06  # relative spread of rates held at one floor
_LEAST_FLOOR = 0.02  # nats: below it a latent is dead
_FREE = 0.06  # how far the free latents may be from the water level, relative, in the median


def other_objective(fits: Sequence[Fit], noise_variance: float) -> list[Finding]:
    """The finding that names it, or nothing."""
    judged = [f for f in fits if f.laws is not None and f.laws.alive.any()]
    if not judged:
        return []
    return _tied(judged) or _decayed(judged, noise_variance) or _held(judged, noise_variance)


def rates_of(laws: Laws) -> FloatArray:
    """KL of each latent with its mean taken as right, nats, shape (k,)."""
    return np.asarray(0.5 * (laws.signal + laws.variance - 1 - np.log(laws.variance)))


def _tied(fits: Sequence[Fit]) -> list[Finding]:
    apart = []
    for fit in fits:
        E, D = fit.read.encoder, fit.read.decoder
        apart.append(float(np.linalg.norm(E - D.T) / np.linalg.norm(D)))
    if not max(apart) < _TIED:
        return []
    return [finding("tied-weights", {"relative_difference_of_E_and_D_transposed": max(apart)})]


def _decayed(fits: Sequence[Fit], noise_variance: float) -> list[Finding]:
    """One w > 0 for the encoders and decoders of all runs."""
    halves: list[list[tuple[FloatArray, FloatArray]]] = [[], []]
    for fit in fits:
        vae = fit.read.linear_vae(noise_variance)
        slopes = gradient(vae, fit.source.spectrum, fit.source.beta)
        halves[0].append((slopes["encoder"], vae.encoder))
        halves[1].append((slopes["decoder"], vae.decoder))
    pairs = [*halves[0], *halves[1]]
    weight = -sum((g * p).sum() for g, p in pairs) / sum((p * p).sum() for _, p in pairs)
    left = [_left(half, weight) for half in (*halves, pairs)]
    if not (weight > 0 and left[2] < _DECAY and max(left) < 2 * _DECAY):
        return []
    evidence = {
        "weight_of_the_penalty": float(weight),
        "share_of_the_gradient_unexplained": left[2],
        "runs": len(fits),
    }
    return [finding("weight-decay", evidence)]


def _left(pairs: Sequence[tuple[FloatArray, FloatArray]], weight: float) -> float:
    """Share of the squared gradient that -weight · parameters leaves, each run counted alike."""
    shares = [((g + weight * p) ** 2).sum() / max((g**2).sum(), 1e-300) for g, p in pairs]
    return float(np.mean(shares))


def _held(fits: Sequence[Fit], noise_variance: float) -> list[Finding]:
    """Rates of one size in latents whose optimum has less, and the laws in all others."""
    rates = [rates_of(f.laws) for f in fits if f.laws is not None]
    floor = float(np.min(np.concatenate(rates)))
    if floor < _LEAST_FLOOR:
        return []
    held, off, expected = [], [], 0
    for fit, rate in zip(fits, rates, strict=True):
        assert fit.laws is not None
        tau = fit.source.beta * noise_variance
        values = fit.source.spectrum.eigenvalues[: rate.size]
        faint = int((0.5 * np.log(np.maximum(values / tau, 1.0)) < 0.8 * floor).sum())
        low = rate < (1 + _HELD) * floor
        if low.sum() < faint:
            return []
        expected += faint
        held.extend(rate[low].tolist())
        free = np.logical_and(np.logical_not(low), fit.laws.alive)
        off.extend(np.abs(fit.laws.encoder_level[free] / tau - 1).tolist())
    if expected < 2 or len(held) < 3 or not off:
        return []
    if not np.median(off) < _FREE:
        return []
    evidence = {"floor_nats": float(np.median(held)), "latents_held": len(held)}
    return [finding("free-bits", evidence)]
