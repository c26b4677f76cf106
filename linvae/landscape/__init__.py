"""The landscape of the linear β-VAE objective at fixed β and σ²: every stationary point, its kind.

A stationary point is a list of blocks of latents. The plain ones have one latent and one
eigenvector each; because C is diagonal there are others, in which several latents share
eigenvectors. Only the optimum has no way down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb
from typing import NoReturn

import numpy as np

from linvae._validation import check_count, check_generator, check_latent_dim, fail
from linvae.errors import InputTypeError
from linvae.spectrum import Spectrum

from ._blocks import Block
from ._checks import check_blocks, check_latents, check_modes, check_room, critical_values
from ._descent import Descent
from ._points import (
    Field,
    StationaryPoint,
    block_threshold,
    build_point,
    structures,
)
from ._reduced import reduced_gradient, reduced_hessian, reduced_objective

__all__ = [
    "BetaRange",
    "Block",
    "Descent",
    "StationaryPoint",
    "block_stationary_point",
    "collapse_beta",
    "reduced_gradient",
    "reduced_hessian",
    "reduced_objective",
    "stable_range",
    "stationary_point",
    "stationary_points",
]

_LIMIT = 10_000


@dataclass(frozen=True)
class BetaRange:
    """The β at which the stationary point of a subset exists, and at which it is the optimum.

    Attributes
    ----------
    stable_from : float
        It has no way down for stable_from <= β < exists_below; inf when it always has one.
    exists_below : float
        It exists for β < exists_below; inf for the empty subset.

    Notes
    -----
    Proved in ``proofs/landscape_minima.py``.
    """

    stable_from: float
    exists_below: float


def stationary_point(
    spectrum: Spectrum, beta: float, modes: Sequence[int], *, latent_dim: int, noise_variance: float
) -> StationaryPoint:
    r"""Stationary point that encodes a subset A of the eigenvectors, one latent each.

    .. math:: d_i = \sqrt{\lambda_i - \tau}, \qquad
              L - L^* = \tfrac\beta2\Bigl[\sum_{i \in A^*} \varphi(\lambda_i/\tau)
              - \sum_{i \in A} \varphi(\lambda_i/\tau)\Bigr], \qquad \varphi(s) = s - 1 - \log s

    with A* the at most k largest λᵢ > τ. Its index is #{i ∈ A, j ∉ A: λⱼ > λᵢ} plus
    (k − |A|) #{j ∉ A: λⱼ > τ}.

    Parameters
    ----------
    spectrum : Spectrum
        n features; complete.
    beta : float
        KL weight > 0.
    modes : sequence of int
        A: positions in the spectrum, from 0; empty for the collapsed model.
    latent_dim : int
        k >= |A|.
    noise_variance : float
        σ² > 0, squared data units.

    Returns
    -------
    StationaryPoint

    Raises
    ------
    InputError
        Modes that repeat, do not exist, outnumber the latents or have λ ≤ τ; β, σ² or k outside
        their range.
    PartialSpectrumError
        A leading spectrum.

    Notes
    -----
    Proved in ``proofs/landscape_stationary.py`` and ``proofs/landscape_index.py``.
    """
    field = Field.of(spectrum, beta, latent_dim, noise_variance)
    chosen = sorted(check_modes(modes, field.values.size))
    return build_point(field, [(mode,) for mode in chosen], [1] * len(chosen), None)


def block_stationary_point(
    spectrum: Spectrum,
    beta: float,
    blocks: Sequence[tuple[Sequence[int], int]],
    *,
    latent_dim: int,
    noise_variance: float,
    rng: np.random.Generator | None = None,
) -> StationaryPoint:
    r"""Stationary point whose latents share eigenvectors block by block.

    .. math:: q x^2 - x\sum_{i \in A} \sqrt{\lambda_i/\tau} = q - |A|, \qquad
              d_i^2 = \tau\bigl(x\sqrt{\lambda_i/\tau} - 1\bigr), \qquad
              (D_b^\top D_b)_{jj} = \tau(x^2 - 1)

    Parameters
    ----------
    spectrum, beta, latent_dim, noise_variance
        As for :func:`stationary_point`.
    blocks : sequence of (modes, latents)
        For each block the positions A of its eigenvectors and its number q >= |A| of latents. One
        mode and one latent is the plain case; one mode and two latents share an eigenvector; two
        modes and two latents are rotated by 45 degrees.
    rng : numpy.random.Generator, optional
        Larger blocks leave their mixing V partly free: drawn from here, a fixed one otherwise.

    Returns
    -------
    StationaryPoint

    Raises
    ------
    InputError
        A block that does not exist at this β (see :func:`collapse_beta`) or comes apart, and as for
        :func:`stationary_point`.
    PartialSpectrumError
        A leading spectrum.

    Notes
    -----
    Proved in ``proofs/landscape_stationary.py`` and ``proofs/landscape_index.py``.
    """
    field = Field.of(spectrum, beta, latent_dim, noise_variance)
    if rng is not None:
        check_generator(rng)
    groups, sizes = check_blocks(blocks, field.values.size)
    return build_point(field, groups, sizes, rng)


def stationary_points(
    spectrum: Spectrum,
    beta: float,
    *,
    latent_dim: int,
    noise_variance: float,
    shared: bool = False,
    limit: int = _LIMIT,
) -> tuple[StationaryPoint, ...]:
    r"""All stationary points, one for each family, by rising excess.

    .. math:: \sum_{j \le k} \binom{m}{j} \quad\text{subsets of the } m \text{ eigenvectors with }
              \lambda_i > \tau

    Parameters
    ----------
    spectrum, beta, latent_dim, noise_variance
        As for :func:`stationary_point`.
    shared : bool
        Include those in which latents share eigenvectors, one of each family. Their number, and
        with it the cost, grows faster than exponentially: k = n − 1 latents on n different
        eigenvalues far above τ have 63, 336 and 1953 points for n = 4, 5 and 6. Each takes a few
        milliseconds at most.
    limit : int
        The largest number to make.

    Returns
    -------
    tuple of StationaryPoint

    Raises
    ------
    InputError
        More than `limit` of them, and as for :func:`stationary_point`.
    PartialSpectrumError
        A leading spectrum.

    Notes
    -----
    Proved in ``proofs/landscape_stationary.py`` and ``proofs/landscape_minima.py``.
    """
    field = Field.of(spectrum, beta, latent_dim, noise_variance)
    check_count("limit", limit, 1, None, "allow at least one point")
    if not isinstance(shared, (bool, np.bool_)):
        remedy = "pass True to include those with shared eigenvectors"
        fail("shared", repr(shared)[:40], "True or False", remedy, InputTypeError)
    alive = [int(i) for i in np.flatnonzero(field.critical > field.beta)]
    most = min(field.latent_dim, len(alive))
    count = sum(comb(len(alive), size) for size in range(most + 1))
    if count > limit:
        _too_many(count, limit)
    if shared:
        positive = tuple(int(i) for i in np.flatnonzero(field.values > 0))
        found = list(islice(structures(field, positive, field.latent_dim), limit + 1))
        if len(found) > limit:
            _too_many(f"more than {limit}", limit)
        points = [build_point(field, [m for m, _ in f], [q for _, q in f], None) for f in found]
    else:
        subsets = (s for size in range(most + 1) for s in combinations(alive, size))
        points = [build_point(field, [(i,) for i in s], [1] * len(s), None) for s in subsets]
    return tuple(sorted(points, key=lambda point: (point.excess, point.index)))


def collapse_beta(
    spectrum: Spectrum, modes: Sequence[int], *, noise_variance: float, latents: int | None = None
) -> float:
    r"""β below which a block of latents that carries these eigenvectors exists.

    .. math:: \beta_A = \frac{\sqrt{\lambda_{\min}}}{q\,\sigma^2}
              \Bigl[\sum_{i\in A} \sqrt{\lambda_i} + (q - |A|)\sqrt{\lambda_{\min}}\Bigr]

    It is λ/σ² for a single eigenvector, and lies above λ_min/σ² for several different ones.

    Parameters
    ----------
    spectrum : Spectrum
        Complete.
    modes : sequence of int
        A, at least one position from 0.
    noise_variance : float
        σ² > 0.
    latents : int, optional
        q <= n, as many as modes when omitted.

    Returns
    -------
    float

    Raises
    ------
    InputError
        Modes that repeat or do not exist, fewer latents than modes or more than features, σ² not
        positive.
    PartialSpectrumError
        A leading spectrum.

    Notes
    -----
    Proved in ``proofs/landscape_stationary.py``.
    """
    values, critical, _ = critical_values(spectrum, noise_variance)
    chosen = check_modes(modes, values.size)
    size = check_latents(chosen, len(chosen) if latents is None else latents, values.size)
    return block_threshold(critical[list(chosen)], size)


def stable_range(
    spectrum: Spectrum, modes: Sequence[int], *, latent_dim: int, noise_variance: float
) -> BetaRange:
    r"""Range of β in which the subset A exists, and in which it is the optimum.

    .. math:: \beta < \min_{i\in A} \lambda_i/\sigma^2, \qquad
              \beta \ge \max_{j\notin A} \lambda_j/\sigma^2 \ \text{ if } |A| < k

    A subset that leaves out an eigenvalue larger than one of its own is the optimum nowhere; blocks
    that share eigenvectors never are.

    Parameters
    ----------
    spectrum, modes, latent_dim, noise_variance
        As for :func:`stationary_point`.

    Returns
    -------
    BetaRange

    Raises
    ------
    InputError, PartialSpectrumError
        As for :func:`stationary_point`.

    Notes
    -----
    Proved in ``proofs/landscape_minima.py``.
    """
    values, critical, _ = critical_values(spectrum, noise_variance)
    k = check_latent_dim(latent_dim, spectrum.n_features)
    chosen = check_modes(modes, values.size)
    check_room(len(chosen), k)
    free = np.delete(critical, list(chosen))
    own = float(critical[list(chosen)].min()) if chosen else np.inf
    above = float(free.max()) if free.size else 0.0
    if above > own:
        return BetaRange(np.inf, own)
    return BetaRange(above if len(chosen) < k else 0.0, own)


def _too_many(count: object, limit: int) -> NoReturn:
    fail(
        "limit",
        f"{count} stationary points for a limit of {limit}",
        "a limit that admits them all",
        "raise it, or make single ones with stationary_point",
    )
