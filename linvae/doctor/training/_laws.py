r"""What the stationary points of the β-VAE objective say about each latent, one law per block.

With all else fixed, the objective is stationary in the encoder, the decoder and the variances iff

.. math::
    (D^\top D + \tau I) E S = D^\top S, \qquad D (E S E^\top + V) = S E^\top, \qquad
    c_j = \frac{\tau}{\lVert d_j\rVert^2 + \tau}

with V = C. Solved for τ in the first and third and for V in the second, each law gives one number
per latent: the balance between error and KL that the encoder saw, the noise that the decoder saw,
and the balance that the posterior variances saw. In a model trained for β they are βσ², c and βσ².
A fault in one term of a loss moves one of them and leaves the others, which is how it is known.
The laws hold at any rotation of the latents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from linvae._types import LinearVAE, Sealed
from linvae._validation import FloatArray
from linvae.frontier import Frontier
from linvae.spectrum import Spectrum

__all__ = ["Drops", "Laws", "Standing", "block_drops", "gradient", "read_laws", "stand"]


@dataclass(frozen=True, eq=False)
class Laws(Sealed):
    """One number per latent and law; NaN where a latent carries nothing."""

    encoder_level: FloatArray  # τ that the encoder saw, shape: (k,)
    variance_level: FloatArray  # τ that the posterior variances saw, shape: (k,)
    seen_noise: FloatArray  # variance v that the decoder saw, shape: (k,)
    variance: FloatArray  # c, shape: (k,)
    decoder_norms: FloatArray  # ‖d‖², shape: (k,)
    signal: FloatArray  # variance of the posterior means e S eᵀ, shape: (k,)
    share: FloatArray  # e d, share of a latent's direction that comes back, shape: (k,)
    eigenvalue: FloatArray  # variance of the data along d, shape: (k,)
    mode: FloatArray  # index of the eigenvector that d overlaps most, shape: (k,)
    encoder_misfit: float  # what no τ per latent explains in the first law, relative
    decoder_misfit: float  # what no v per latent explains in the second, relative

    @property
    def alive(self) -> FloatArray:
        """Whether each latent carries something of x to x̂, shape (k,)."""
        return np.asarray((np.abs(self.share) > 0.03) & (self.signal > 1e-9))


@dataclass(frozen=True)
class Drops:
    """What the objective would lose if one block alone were set to its best value, nats."""

    encoder: float
    decoder: float
    variance: float
    offsets: float

    @property
    def total(self) -> float:
        """Sum over the blocks."""
        return self.encoder + self.decoder + self.variance + self.offsets


@dataclass(frozen=True, eq=False)
class Standing(Sealed):
    """Where a model stands against the optimum at the declared β and σ², nats."""

    excess: float
    normalised: float
    in_nats: bool
    collapsed_loss: float
    subspace_excess: float  # of the best model whose decoder spans no more than this one's
    offset_excess: float  # what right offsets alone would save
    gradient_norm: float  # of the objective, relative to the sizes of its summands
    drops: Drops
    share_of_mode: FloatArray  # share of each mode that comes back, shape: (n,)
    expected_share: FloatArray  # the same at the optimum, shape: (n,)
    holds_data: FloatArray  # whether a mode's variance is more than rounding, shape: (n,)
    turned_within_ties: float  # degrees, costless
    turned_between_modes: float  # degrees

    @property
    def wrongly_dead(self) -> list[int]:
        """Modes that the optimum encodes and the model does not."""
        missing = (self.expected_share > 0.05) & (self.share_of_mode < 0.25 * self.expected_share)
        return [int(i) for i in np.flatnonzero(missing)]

    @property
    def wrongly_alive(self) -> list[int]:
        """Modes that the model encodes and the optimum does not."""
        extra = self.holds_data & (self.expected_share == 0) & (self.share_of_mode > 0.1)
        return [int(i) for i in np.flatnonzero(extra)]


def read_laws(vae: LinearVAE, spectrum: Spectrum) -> Laws:
    """Solve each law for its one number per latent, by projection on that latent."""
    E, D, c = vae.encoder, vae.decoder, vae.posterior_variance
    B = spectrum.root
    read = E @ B  # shape: (k, m)
    pulled = D.T @ (B - D @ read)  # Dᵀ(I - DE)B
    signal, norms = (read**2).sum(axis=1), (D**2).sum(axis=0)
    left = (B - D @ read) @ read.T  # (I - DE) S Eᵀ
    with np.errstate(divide="ignore", invalid="ignore"):
        encoder_level = (pulled * read).sum(axis=1) / signal
        seen_noise = (D * left).sum(axis=0) / norms
        variance_level = c * norms / (1 - c)
        eigenvalue = ((D.T @ B) ** 2).sum(axis=1) / norms
    tau, v = np.nan_to_num(encoder_level), np.nan_to_num(seen_noise)
    overlaps = (spectrum.eigenvectors.T @ D) ** 2
    return Laws(
        encoder_level=encoder_level,
        variance_level=variance_level,
        seen_noise=seen_noise,
        variance=np.array(c),
        decoder_norms=norms,
        signal=signal,
        share=np.einsum("kn,nk->k", E, D),
        eigenvalue=eigenvalue,
        mode=overlaps.argmax(axis=0).astype(np.float64),
        encoder_misfit=_relative(pulled - tau[:, None] * read, D.T @ B),
        decoder_misfit=_relative(left - D * v, B @ read.T),
    )


def _relative(missed: FloatArray, whole: FloatArray) -> float:
    size = float(np.sqrt((whole**2).sum()))
    return float(np.sqrt((missed**2).sum())) / size if size > 0 else 0.0


def gradient(vae: LinearVAE, spectrum: Spectrum, beta: float) -> dict[str, FloatArray]:
    r"""Exact gradient of the objective in E, h, D, m and log c (encoder offset 0).

    .. math:: \partial_D L = \tfrac1{\sigma^2}[DC - (I-DE)SE^\top - s a^\top], \quad
              a = E\mu + h,\ s = \mu - m - D a

    and the like, by differentiating :func:`linvae.linear_vae.evaluate`.
    """
    E, D, c, s2 = vae.encoder, vae.decoder, vae.posterior_variance, float(vae.noise_variance)
    mu, B = spectrum.mean, spectrum.root
    a = E @ (mu - vae.encoder_offset) + vae.latent_offset
    s = mu - vae.decoder_offset - D @ a
    read = E @ B
    missed = B - D @ read
    pull_a = beta * a - D.T @ s / s2
    return {
        "encoder": beta * read @ B.T - D.T @ missed @ B.T / s2 + np.outer(pull_a, mu),
        "latent_offset": pull_a,
        "decoder": (D * c - missed @ read.T - np.outer(s, a)) / s2,
        "decoder_offset": -s / s2,
        "log_variance": 0.5 * (c * (D**2).sum(axis=0) / s2 + beta * (c - 1)),
    }


def block_drops(vae: LinearVAE, spectrum: Spectrum, beta: float) -> Drops:
    """Newton decrement of each block; exact, as each block's objective is quadratic, or solved.

    Means are taken as right in the blocks of the weights; the offsets are a block of their own.
    """
    E, D, c, s2 = vae.encoder, vae.decoder, vae.posterior_variance, float(vae.noise_variance)
    B, read = spectrum.root, vae.encoder @ spectrum.root
    missed = B - D @ read
    inner = D.T @ D / s2 + beta * np.eye(len(c))
    pull = beta * read - D.T @ missed / s2
    spread = read @ read.T + np.diag(c)
    push = (D * c - missed @ read.T) / s2
    a = E @ (spectrum.mean - vae.encoder_offset) + vae.latent_offset
    s = spectrum.mean - vae.decoder_offset - D @ a
    precision = 1 + (D**2).sum(axis=0) / (beta * s2)
    return Drops(
        encoder=0.5 * float((pull * np.linalg.solve(inner, pull)).sum()),
        decoder=0.5 * s2 * float((push.T * np.linalg.solve(spread, push.T)).sum()),
        variance=0.5 * beta * float((c * precision - 1 - np.log(c * precision)).sum()),
        offsets=0.5 * float(s @ s / s2 + beta * (a @ a)),
    )


def stand(vae: LinearVAE, spectrum: Spectrum, beta: float) -> Standing:
    """Excess, its parts, the remaining gradient and the modes that are encoded."""
    s2, k = float(vae.noise_variance), vae.latent_dim
    curve = Frontier(spectrum, latent_dim=k, noise_variance=s2)
    terms = vae.evaluate(spectrum, beta)
    relative = curve.normalised_gap(terms.rate, terms.distortion, beta)
    drops = block_drops(vae, spectrum, beta)
    values, U = spectrum.eigenvalues, spectrum.eigenvectors
    expected = np.where(np.arange(values.size) < k, np.maximum(0, 1 - beta * s2 / _tiny(values)), 0)
    within, between = _turns(vae.decoder, spectrum)
    return Standing(
        excess=float(curve.gap(terms.rate, terms.distortion, beta)),
        normalised=float(relative.value),
        in_nats=bool(relative.in_nats),
        collapsed_loss=float(relative.collapsed_loss),
        subspace_excess=_subspace_excess(vae, spectrum, beta),
        offset_excess=drops.offsets,
        gradient_norm=_gradient_norm(vae, spectrum, beta),
        drops=drops,
        share_of_mode=np.einsum("nm,nk,kp,pm->m", U, vae.decoder, vae.encoder, U, optimize=True),
        expected_share=expected,
        holds_data=np.asarray(values > 1e-9 * values[0]),
        turned_within_ties=within,
        turned_between_modes=between,
    )


def _tiny(values: FloatArray) -> FloatArray:
    return np.maximum(values, np.finfo(np.float64).tiny)


def _gradient_norm(vae: LinearVAE, spectrum: Spectrum, beta: float) -> float:
    """Root mean square of θ ∂L/∂θ over all weights and log-variances, nats, θ their typical size.

    The size of a block is the root mean square of its entries, so that a change of units of the
    data leaves the number alone.
    """
    slopes = gradient(vae, spectrum, beta)
    sizes = {
        "encoder": vae.encoder,
        "decoder": vae.decoder,
        "log_variance": np.ones(vae.latent_dim),
    }
    parts = [slopes[name] * np.sqrt((size**2).mean()) for name, size in sizes.items()]
    return float(np.sqrt(np.concatenate([part.ravel() ** 2 for part in parts]).mean()))


def _subspace_excess(vae: LinearVAE, spectrum: Spectrum, beta: float) -> float:
    """Excess of the optimum among decoders within the span of D: what turning cannot mend."""
    left, gains, _ = np.linalg.svd(vae.decoder, full_matrices=False)
    kept = left[:, gains > 1e-8 * max(float(gains.max(initial=0.0)), 1e-300)]
    inside = np.asarray(np.linalg.svd(kept.T @ spectrum.root, compute_uv=False) ** 2, np.float64)
    tau = beta * float(vae.noise_variance)
    best = spectrum.leading_eigenvalues(vae.latent_dim)
    return 0.5 * beta * float(_savings(best, tau).sum() - _savings(inside, tau).sum())


def _savings(values: FloatArray, tau: float) -> FloatArray:
    ratio = np.maximum(values / tau, 1.0)
    return np.asarray(ratio - 1 - np.log(ratio))


def _turns(decoder: FloatArray, spectrum: Spectrum) -> tuple[float, float]:
    """Largest angle of a latent from its eigenvector inside its tie, and from the tied space."""
    values, U = spectrum.eigenvalues, spectrum.eigenvectors
    overlaps = U.T @ decoder
    norms = np.sqrt((overlaps**2).sum(axis=0))
    within, between = 0.0, 0.0
    for column, norm in zip(overlaps.T, norms, strict=True):
        if norm <= 1e-3 * norms.max(initial=0.0) or norm == 0:
            continue
        tied = np.abs(values - values[np.abs(column).argmax()]) <= 1e-9 * values[0]
        inside = np.sqrt((column[tied] ** 2).sum())
        between = max(between, float(np.arccos(min(1.0, inside / norm))))
        within = max(within, float(np.arccos(min(1.0, np.abs(column[tied]).max() / inside))))
    return float(np.degrees(within)), float(np.degrees(between))
