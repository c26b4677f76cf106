"""Linear models with log importance weights, and what right and wrong bounds make of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from linvae._types import LinearVAE
from linvae._validation import FloatArray
from linvae.spectrum import Spectrum

from ._match import Guess

__all__ = ["Weights", "bound", "bound_problems", "draw_weights", "log_marginal", "weight_guesses"]


@dataclass(frozen=True, eq=False)
class Weights:
    """log p(x|z), log p(z) and log q(z|x) of K samples z for each of N rows of x: (N, K) each."""

    log_px: FloatArray
    log_pz: FloatArray
    log_qz: FloatArray
    kl: FloatArray  # (N,): KL(q(z|x) ‖ p(z)) in closed form
    n_features: int
    noise_variance: float

    @property
    def log_joint(self) -> FloatArray:
        """The joint log p(x, z)."""
        return self.log_px + self.log_pz

    @property
    def log_weights(self) -> FloatArray:
        """Those of importance: log p(x, z) - log q(z|x)."""
        return self.log_joint - self.log_qz


def _log_normal(away: FloatArray, variance: Any) -> FloatArray:
    terms = away**2 / variance + np.log(2 * np.pi * variance)
    return np.asarray(-0.5 * (terms + 0 * away).sum(axis=-1))


def bound_problems(rng: np.random.Generator) -> list[tuple[Spectrum, LinearVAE]]:
    """Encoders near the posterior, though neither right in their mean nor in their variance."""
    found = []
    for n, k, noise in ((3, 1, 0.5), (4, 2, 0.8), (6, 3, 0.3)):
        axes = np.linalg.qr(rng.standard_normal((n, n)))[0]
        decoder = axes[:, :k] * np.linspace(1.4, 0.7, k) + 0.1 * rng.standard_normal((n, k))
        posterior = np.linalg.inv(np.eye(k) + decoder.T @ decoder / noise)
        encoder = 0.8 * posterior @ decoder.T / noise
        variance = np.diagonal(posterior) * np.linspace(1.5, 2.1, k)
        offset = rng.uniform(-1, 1, n)
        model = LinearVAE(
            encoder,
            variance,
            decoder,
            np.array(noise),
            encoder_offset=offset,
            decoder_offset=offset,
            latent_offset=np.linspace(0.2, -0.1, k),
        )
        covariance = decoder @ decoder.T + 1.2 * noise * np.eye(n)
        found.append((Spectrum.from_covariance(covariance, mean=offset + 0.1), model))
    return found


def draw_weights(
    model: LinearVAE,
    x: FloatArray,
    count: int,
    rng: np.random.Generator,
    *,
    variance: FloatArray | None = None,
    quiet: bool = False,
    noise_variance: float | None = None,
    drawn_with: FloatArray | None = None,
    of_noise: bool = False,
) -> Weights:
    """Draw `count` latents for each x; with another posterior variance, or without noise.

    `drawn_with` is a variance of the samples alone; with `of_noise`, log q(z|x) is then computed
    from the standard normal noise, not from z.
    """
    spread = model.posterior_variance if variance is None else variance
    sigma2 = float(model.noise_variance) if noise_variance is None else noise_variance
    mean = model.encode(x)[:, None, :]
    noise = np.sqrt(spread) * rng.standard_normal((x.shape[0], count, model.latent_dim))
    ratio = 1.0 if drawn_with is None else np.sqrt(drawn_with / spread)
    z = mean + (0.0 if quiet else ratio) * noise
    z = np.broadcast_to(z, noise.shape)
    image = z @ model.decoder.T + model.decoder_offset
    kl = 0.5 * (spread + mean[:, 0] ** 2 - 1 - np.log(spread)).sum(axis=-1)
    return Weights(
        _log_normal(x[:, None] - image, sigma2),
        _log_normal(z, 1.0),
        _log_normal(noise if of_noise else z - mean, spread),
        kl,
        model.n_features,
        sigma2,
    )


def log_marginal(model: LinearVAE, x: FloatArray) -> FloatArray:
    """Return log p(x) of each row, the limit of the bound for ever more samples."""
    covariance = model.decoder @ model.decoder.T + model.noise_variance * np.eye(model.n_features)
    away = x - model.decoder_offset
    quadratic = np.einsum("bi,ij,bj->b", away, np.linalg.inv(covariance), away)
    return np.asarray(-0.5 * (quadratic + np.linalg.slogdet(2 * np.pi * covariance)[1]))


def _log_mean_exp(values: FloatArray, axis: int | None = 1) -> FloatArray:
    largest = values.max(axis=axis, keepdims=True)
    mean = np.exp(values - largest).mean(axis=axis, keepdims=True)
    return np.asarray((largest + np.log(mean)).squeeze(axis))


def bound(log_weights: FloatArray) -> float:
    """Return log of the average weight (N, K), averaged over x."""
    return float(_log_mean_exp(log_weights).mean())


def _self_normalised(log_weights: FloatArray) -> float:
    share = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    return float((share * log_weights).sum(axis=1).mean())


def weight_guesses(weights: list[Weights]) -> Iterator[Guess]:
    """Right and wrong reductions of the weights, and weights that lack a term."""
    table = [_reductions(w) for w in weights]
    for code in table[0]:
        yield Guess(code, np.array([row[code] for row in table]))


def _reductions(w: Weights) -> dict[str, float]:
    log_w, log_k = w.log_weights, float(np.log(w.log_px.shape[1]))
    right = bound(log_w)
    constant = w.n_features / 2 * float(np.log(2 * np.pi))
    scale = w.n_features / 2 * float(np.log(w.noise_variance))
    return {
        "": right,
        "iw-averaged-log-weights": float(log_w.mean()),
        "iw-log-k-missing": right + log_k,
        "iw-log-k-twice": right - log_k,
        "iw-best-sample": float(log_w.max(axis=1).mean()),
        "iw-over-batch": float(_log_mean_exp(log_w, None)),
        "iw-wrong-axis": float(_log_mean_exp(log_w, 0).mean()),
        "iw-self-normalised": _self_normalised(log_w),
        "iw-posterior-missing": bound(w.log_joint),
        "iw-posterior-sign": bound(w.log_joint + w.log_qz),
        "iw-prior-missing": bound(w.log_px - w.log_qz),
        "iw-prior-sign": bound(w.log_px - w.log_pz - w.log_qz),
        "iw-reconstruction-only": bound(w.log_px),
        "iw-weights-inverted": bound(-log_w),
        "iw-analytic-kl": bound(w.log_px - w.kl[:, None]),
        "iw-kl-sign": bound(w.log_px + w.kl[:, None]),
        "iw-constant-missing": right + constant,
        "iw-noise-variance-normaliser": right + scale,
    }
