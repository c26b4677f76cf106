"""Blocks of latents: their gains, the mixing that a diagonal C asks for, and the index they give.

Within one block all (DᵀD)ⱼⱼ are equal; different blocks are orthogonal. A block of q latents that
carries the eigenvectors A has one number x > 0 that settles it: 1 + (DᵀD)ⱼⱼ/τ = x².
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from linvae._types import Sealed
from linvae._validation import FloatArray

__all__ = ["Block", "block_mixing", "block_root", "index_and_nullity"]

_CONNECTED = 1e-10  # off-diagonal entries of DᵀD below this, relative, do not hold a block together
_STARTS = 4


@dataclass(frozen=True, eq=False)
class Block(Sealed):
    r"""Latents with equal :math:`(D^\top D)_{jj}` and the eigenvectors they carry together.

    .. math:: D_b = U_A \operatorname{diag}(d)\, V^\top, \qquad (D_b^\top D_b)_{jj} = \tau(x^2-1)

    Attributes
    ----------
    modes : tuple of int
        A: positions of the r eigenvectors in the spectrum, from 0.
    latents : int
        q >= max(1, r).
    root : float
        x, the positive solution of q x² − x Σ √(λᵢ/τ) = q − r.
    gains : ndarray, shape (r,)
        d, singular values of the block's decoder: dᵢ² = τ(x √(λᵢ/τ) − 1).
    mixing : ndarray, shape (q, r)
        V with orthonormal columns; the identity for a single latent.
    """

    modes: tuple[int, ...]
    latents: int
    root: float
    gains: FloatArray
    mixing: FloatArray


def block_root(roots: FloatArray, latents: int) -> float:
    r"""The number x of a block from the :math:`\sqrt{\lambda_i/\tau}` of its eigenvectors.

    .. math:: x = \frac P{2q} + \sqrt{\Bigl(\frac P{2q}\Bigr)^2 + 1 - \frac rq}, \qquad
              P = \sum_{i\in A} \sqrt{\lambda_i/\tau}
    """
    half = float(roots.sum()) / (2 * latents)
    return half + float(np.hypot(half, np.sqrt(1 - roots.size / latents)))


def block_mixing(
    shares: FloatArray, latents: int, rng: np.random.Generator | None
) -> FloatArray | None:
    """V with constant diagonal of V diag(shares) Vᵀ and no latent apart; None if none was found.

    Schur and Horn: every spectrum has a symmetric matrix with constant diagonal. It is reached by
    at most q - 1 plane rotations, each of which sets one diagonal entry.
    """
    for attempt in range(_STARTS):
        start = _start(latents, attempt, rng)
        turn = _level((start[:, : shares.size] * shares) @ start[:, : shares.size].T)
        mixing = (turn @ start)[:, : shares.size]
        if _connected((mixing * shares) @ mixing.T):
            return mixing
    return None


def _start(size: int, attempt: int, rng: np.random.Generator | None) -> FloatArray:
    """Orthogonal matrix from which the rotations start: given axes, cosines, or drawn ones."""
    if rng is not None:
        return np.asarray(np.linalg.qr(rng.standard_normal((size, size)))[0])
    if attempt == 0:
        return np.eye(size)
    nodes = np.arange(size)
    cosines = np.cos(np.pi * np.outer(2 * nodes + 1, nodes + attempt * nodes**2) / (2 * size))
    return np.asarray(np.linalg.qr(cosines + attempt * np.eye(size))[0])


def _level(matrix: FloatArray) -> FloatArray:
    """Rotation R such that the diagonal of R matrix Rᵀ is constant."""
    size = len(matrix)
    # In units of the level: squares of entries must not overflow.
    matrix, turn, level = matrix / (np.trace(matrix) / size), np.eye(size), 1.0
    for _ in range(size - 1):
        diagonal = np.diagonal(matrix)
        low, high = int(np.argmin(diagonal)), int(np.argmax(diagonal))
        above, below = diagonal[high] - level, level - diagonal[low]
        if min(above, below) <= 4 * np.finfo(np.float64).eps * level:
            break
        # (c, s) with c² m_ll + 2 c s m_lh + s² m_hh = level.
        off = matrix[low, high]
        tangent = below / (off + np.copysign(np.sqrt(off**2 + above * below), off))
        c = 1 / np.hypot(1.0, tangent)
        plane = np.eye(size)
        plane[[low, high], [low, high]] = c
        plane[low, high], plane[high, low] = c * tangent, -c * tangent
        matrix, turn = plane @ matrix @ plane.T, plane @ turn
    return turn


def _connected(gram: FloatArray) -> bool:
    """Whether the off-diagonal entries join all latents."""
    joined = np.abs(gram) > _CONNECTED * np.abs(np.diagonal(gram)).max()
    reached = np.zeros(len(gram), dtype=bool)
    reached[0] = True
    for _ in range(len(gram)):
        reached = reached | joined[reached].any(axis=0)
    return bool(reached.all())


def index_and_nullity(
    critical: FloatArray, beta: float, blocks: Sequence[Block], dead: int
) -> tuple[int, int]:
    """Numbers of negative and of zero eigenvalues of the reduced Hessian, from the closed form.

    `critical` are all n eigenvalues over σ²; ties are equal numbers.
    """
    carried = [i for block in blocks for i in block.modes]
    free = np.setdiff1d(np.arange(critical.size), carried)
    negative = dead * int(np.count_nonzero(critical[free] > beta))
    null = dead * int(np.count_nonzero(critical[free] == beta))
    for block in blocks:
        q, r = block.latents, len(block.modes)
        negative += q - 1
        null += q * r - r * (r + 1) // 2 - (q - 1)
        own = critical[list(block.modes)]
        negative += int(np.count_nonzero(critical[free, None] > own))
        null += int(np.count_nonzero(critical[free, None] == own))
        if q > r:  # latents that see none of the block's eigenvectors, at level τ/x²
            level = beta / block.root**2
            negative += (q - r) * int(np.count_nonzero(critical[free] > level))
            null += (q - r) * int(np.count_nonzero(critical[free] == level))
    for a, first in enumerate(blocks):
        for second in blocks[a + 1 :]:
            more = _between(critical, first, second)
            negative, null = negative + more[0], null + more[1]
    return negative, null


def _between(critical: FloatArray, first: Block, second: Block) -> tuple[int, int]:
    """Negative and zero directions that mix two blocks."""
    gap = critical[list(first.modes), None] - critical[list(second.modes)]
    if first.latents == second.latents == 1:
        return 0, int(np.count_nonzero(gap == 0))
    apart = float(np.sign(first.root - second.root))
    negative = int(np.count_nonzero(apart * gap < 0))
    null = int(np.count_nonzero(apart * gap == 0))
    # The larger diagonal has unused latent directions that the other block's eigenvectors fill.
    for block, other, sign in ((first, second, apart), (second, first, -apart)):
        spare = (block.latents - len(block.modes)) * len(other.modes)
        negative += spare * (sign > 0)
        null += spare * (sign == 0)
    return negative, null
