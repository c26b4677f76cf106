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

from ._descent import above_log

__all__ = [
    "Block",
    "block_deficit",
    "block_mixing",
    "block_root",
    "index_and_nullity",
    "most_correlated",
]

_CONNECTED = 1e-10  # off-diagonal entries of DᵀD below this, relative, do not hold a block together
_EQUAL = 16 * float(np.finfo(np.float64).eps)  # entries of V that differ by rounding only
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

    Notes
    -----
    Proved in ``proofs/landscape_stationary.py``.
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


def block_deficit(roots: FloatArray, root: float, latents: int) -> float:
    r"""What a block loses against its eigenvectors with s > 1 on latents of their own, in β/2 nats.

    .. math:: \sum_{s_i > 1} 2\varphi(\sqrt{s_i}/x) + \sum_{s_i \le 1} \bigl[2\varphi(1/x)
              + (1 - \sqrt{s_i})(1 + \sqrt{s_i} - 2/x)\bigr] + (q - r)\,\varphi(1/x^2)

    with φ(s) = s − 1 − log s and `roots` the √sᵢ. No term is negative, and each is of the size of
    what it stands for: an eigenvector that is much larger than the rest leaves no rounding.

    The block pays 2q log x + Σ √sᵢ/x, and Σ √sᵢ/x = r + (q − r)(1 − 1/x²) by the equation of x; so
    against Σ (1 + log sᵢ) it loses Σ 2φ(√sᵢ/x) + (q − r) φ(1/x²). Where sᵢ ≤ 1 ignoring is better
    than encoding by φ(sᵢ), and 2φ(√sᵢ/x) − φ(sᵢ) is the second term.
    """
    alive, faint = roots[roots > 1], roots[roots <= 1]
    lost = 2 * _phi(alive / root).sum() + 2 * faint.size * _phi(np.asarray(1 / root))
    # 1 + √s − 2/x as the sum of 1 − 1/x and √s − 1/x, both positive.
    lost += ((1 - faint) * ((1 - 1 / root) + (root * faint - 1) / root)).sum()
    return float(lost + (latents - roots.size) * _phi(np.asarray(root**-2)))


def _phi(ratio: FloatArray) -> FloatArray:
    """φ(s) = s − 1 − log s, for ratios down to the smallest floats."""
    middle = np.clip(ratio, 0.5, 2.0)
    return np.where(ratio == middle, above_log(middle - 1), ratio - 1 - np.log(ratio))


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


def most_correlated(block: Block, tau: float) -> tuple[tuple[int, int], tuple[float, float]]:
    """Latents i < j of a block with the largest |h|/(τ + g), h = (DᵀD)ᵢⱼ; that, and 1 − its square.

    One minus it is (1 + Σ μ (Vᵢ ∓ Vⱼ)²/2)/x² with μ = d²/τ: no difference of large numbers.
    """
    powers, level = (block.gains / np.sqrt(tau)) ** 2, block.root**2
    gram = (block.mixing * powers) @ block.mixing.T
    shares = np.triu(np.abs(gram), 1) / level
    i, j = (int(place) for place in np.unravel_index(int(np.argmax(shares)), shares.shape))
    apart = block.mixing[i] - np.copysign(1.0, gram[i, j]) * block.mixing[j]
    apart[np.abs(apart) < _EQUAL] = 0.0
    left = float(1 + 0.5 * (powers * apart**2).sum()) / level
    return (i, j), (float(shares[i, j]), left * (2 - left))


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
