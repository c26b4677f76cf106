"""Claims about the points at which training can stand still."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from linvae.errors import InputError
from linvae.landscape import (
    Descent,
    StationaryPoint,
    block_stationary_point,
    reduced_gradient,
    reduced_hessian,
    stationary_point,
)
from linvae.response import encoder_given_decoder
from linvae.spectrum import Spectrum

from .types import Check, Claim, Setting, judged, not_applicable

__all__ = ["LANDSCAPE_CLAIMS"]

_ROUNDING = 1e-11
_SMALL = 5  # eigenvalues of the problem whose Hessian is diagonalised
_BLOCKS = (
    [((0,), 2)],
    [((0, 1), 2)],
    [((1, 2), 3)],
    [((0, 1, 2), 3)],
    [((0,), 2), ((1,), 1)],
)


def _inapplicable(setting: Setting, claim: Claim) -> Check | None:
    if not setting.spectrum.complete:
        return not_applicable(claim, "only the leading eigenpairs of the data are known")
    if not setting.critical_betas.size:
        return not_applicable(claim, "the data have no variance to encode")
    return None


def _weights(setting: Setting) -> list[int]:
    """Positions of two β: the smallest, and one in the middle of those with a living mode.

    Where λ/τ exceeds 1e12 the curvature that a small eigenvalue leaves is below rounding.
    """
    top = setting.critical_betas[0]
    alive = np.flatnonzero((setting.betas < top) & (setting.betas > 1e-12 * top))
    return sorted({int(alive[0]), int(alive[2 * alive.size // 3])}) if alive.size else []


def _subsets(alive: int, latent_dim: int) -> Iterator[tuple[int, ...]]:
    """The optimum, the collapsed model, and some between, among the `alive` eigenvectors."""
    most = min(alive, latent_dim)
    best = tuple(range(most))
    yield best
    yield ()
    yield best[1:]
    if alive > most:
        yield (*best[:-1], alive - 1)
        yield tuple(range(alive - most, alive))
    drawn = np.random.default_rng(4).permutation(alive)[: max(1, most // 2)]
    yield tuple(int(i) for i in drawn)


def _points(
    spectrum: Spectrum, beta: float, latent_dim: int, noise_variance: float
) -> Iterator[StationaryPoint]:
    """Subsets, and blocks of the leading eigenvectors where they exist."""
    values = spectrum.leading_eigenvalues(spectrum.n_features)
    alive = int(np.count_nonzero(values / noise_variance > beta))
    point = partial(stationary_point, latent_dim=latent_dim, noise_variance=noise_variance)
    shared = partial(block_stationary_point, latent_dim=latent_dim, noise_variance=noise_variance)
    for subset in dict.fromkeys(_subsets(alive, latent_dim)):
        yield point(spectrum, beta, subset)
    for blocks in _BLOCKS:
        last = max(mode for modes, _ in blocks for mode in modes)
        if sum(latents for _, latents in blocks) > latent_dim or last >= alive:
            continue
        try:
            yield shared(spectrum, beta, blocks)
        except InputError:  # eigenvalues too close to each other for a block to hold together
            continue


def _all(setting: Setting) -> Iterator[tuple[int, float, StationaryPoint]]:
    for place in _weights(setting):
        beta = float(setting.betas[place])
        for point in _points(setting.spectrum, beta, setting.latent_dim, setting.noise_variance):
            yield place, beta, point


def _excess(setting: Setting, claim: Claim) -> Check:
    left_out = _inapplicable(setting, claim)
    if left_out is not None:
        return left_out
    worst, count = 0.0, 0
    optimal = setting.curve.at_beta(setting.betas).objective
    for place, beta, point in _all(setting):
        vae, size = point.vae(), float(setting.magnitude[place])
        objective = float(vae.evaluate(setting.spectrum, beta).objective)
        worst = max(worst, abs(objective - optimal[place] - point.excess) / size)
        worst = max(worst, abs(objective - point.objective) / size, -point.excess / size)
        slope = reduced_gradient(
            setting.spectrum, point.decoder, beta, noise_variance=setting.noise_variance
        )
        # In units of √τ; the terms of the gradient are as large as the largest λ/τ.
        length = np.sqrt(beta) * np.sqrt(setting.noise_variance)
        steepest = 1 + setting.critical_betas[0] / beta
        worst = max(worst, float(np.abs(slope * (length / beta)).max() / steepest))
        count += 1
    return judged(
        claim, worst, _ROUNDING, f"relative error of the excess, and gradient, of {count} points"
    )


def _index(setting: Setting, claim: Claim) -> Check:
    left_out = _inapplicable(setting, claim)
    if left_out is not None:
        return left_out
    few = Spectrum.from_eigenvalues(
        setting.spectrum.leading_eigenvalues(min(_SMALL, setting.spectrum.n_features))
    )
    k, variance = min(setting.latent_dim, 3, few.n_features), setting.noise_variance
    wrong, count = 0, 0
    for place in _weights(setting):
        beta = float(setting.betas[place])
        for point in _points(few, beta, k, variance):
            hessian = reduced_hessian(few, point.decoder, beta, noise_variance=variance)
            curvatures = np.linalg.eigvalsh(hessian * variance)
            # Curvatures of rounding size say nothing: near ties have them. Blocks of near ties are
            # placed no better than the square root of the condition allows.
            unit = _ROUNDING * (1 + few.eigenvalues[0] / variance / beta) ** 1.5
            positive = curvatures.size - point.index - point.nullity
            wrong += max(0, int(np.count_nonzero(curvatures < -unit)) - point.index)
            wrong += max(0, int(np.count_nonzero(curvatures > unit)) - positive)
            count += 1
    return judged(
        claim,
        float(wrong),
        0.0,
        f"miscounted directions at {count} points, of at most {_SMALL} modes and 3 latents",
    )


def _walk(setting: Setting, place: int, beta: float, way: Descent) -> float:
    """Largest relative error of the closed form along a path, or rise of it."""

    def objective(t: float) -> float:
        model = encoder_given_decoder(
            way.decoder(t),
            beta,
            noise_variance=setting.noise_variance,
            offset=setting.spectrum.mean,
        )
        return float(model.evaluate(setting.spectrum, beta).objective)

    size, start = float(setting.magnitude[place]), objective(0.0)
    worst, last = abs(way.change(1.0) + way.drop) / size, 0.0
    for t in (0.2, 0.6, 1.0):
        change = way.change(t)
        worst = max(worst, abs(objective(t) - start - change) / size, (change - last) / size)
        last = change
    return worst


def _ways_down(setting: Setting, claim: Claim) -> Check:
    left_out = _inapplicable(setting, claim)
    if left_out is not None:
        return left_out
    worst, count = 0.0, 0
    for place, beta, point in _all(setting):
        way = point.descent
        if way is None:
            worst = max(worst, point.excess / float(setting.magnitude[place]), float(point.index))
            continue
        # An excess without a way down, or a way that does not go down, is worse than any rounding.
        worst = max(worst, float(not way.curvature < 0), float(point.index == 0))
        worst = max(worst, _walk(setting, place, beta, way))
        count += 1
    return judged(
        claim,
        worst,
        _ROUNDING,
        f"relative error of the closed form along {count} paths, or what a path rises",
    )


LANDSCAPE_CLAIMS = (
    Claim(
        "excess",
        "Subsets and shared blocks of eigenvectors are stationary, and exceed the optimum by the "
        "closed form.",
        _excess,
    ),
    Claim(
        "index",
        "The Hessian of a stationary point has as many negative eigenvalues as the closed form "
        "counts.",
        _index,
    ),
    Claim(
        "landscape",
        "Every stationary point that is not an optimum has a path down, of negative curvature: "
        "no local minimum is spurious.",
        _ways_down,
    ),
)
