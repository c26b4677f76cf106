r"""Stationary points at fixed β and σ²: blocks of latents, what they save, their curvatures.

.. math:: L(D) = \text{const} + \frac\beta2\Bigl[\sum_j \log\Bigl(1 + \frac{(D^\top D)_{jj}}\tau
          \Bigr) + \operatorname{tr} S (DD^\top + \tau I)^{-1}\Bigr]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import sympy as sp

from .modes import WATER_LEVEL
from .symbols import beta, d, lam, s2, tau

__all__ = [
    "BLOCK_DIAGONAL",
    "BLOCK_GAIN_SQUARED",
    "BLOCK_ROOT",
    "BLOCK_SAVING",
    "BLOCK_SWAP_CURVATURE",
    "BLOCK_THRESHOLD",
    "DEFICIT_ALIVE",
    "DEFICIT_FAINT",
    "DEFICIT_SPARE",
    "FREE_NEGATIVE",
    "FREE_NULL",
    "OTHER_NEGATIVE",
    "OTHER_NULL",
    "OWN_NEGATIVE",
    "OWN_NULL",
    "PAIR_DETERMINANT",
    "PAIR_NEGATIVE",
    "PAIR_NULL",
    "REDUCED_MODE",
    "REVIVAL_CHANGE",
    "REVIVAL_CURVATURE",
    "REVIVAL_DROP",
    "SAVING",
    "SPARE_CURVATURE",
    "SPARE_NEGATIVE",
    "SPARE_NULL",
    "SWAP_CHANGE",
    "SWAP_CURVATURE",
    "SWAP_DROP",
    "TURN_CHANGE",
    "TURN_CURVATURE",
    "TURN_DROP",
    "g",
    "h",
    "index_and_nullity",
    "lam_free",
    "lam_min",
    "lam_other",
    "q",
    "r",
    "root",
    "root_other",
    "sum_ratios",
    "sum_roots",
    "t",
]

root = sp.Symbol("root", positive=True)  # x of a block: 1 + (DᵀD)ⱼⱼ/τ = x²
root_other = sp.Symbol("root_other", positive=True)  # that of another block
q = sp.Symbol("q", integer=True, positive=True)  # latents of a block
r = sp.Symbol("r", integer=True, positive=True)  # its eigenvectors, r <= q
sum_roots = sp.Symbol("sum_roots", positive=True)  # Σ √λᵢ over them
sum_ratios = sp.Symbol("sum_ratios", positive=True)  # Σ λᵢ/τ over them
lam_min = sp.Symbol("lambda_min", positive=True)  # the smallest of them
lam_free = sp.Symbol("lambda_free", positive=True)  # eigenvalue that no latent carries
lam_other = sp.Symbol("lambda_other", positive=True)  # one that another block carries
g = sp.Symbol("g", positive=True)  # (DᵀD)ⱼⱼ of two latents
h = sp.Symbol("h", real=True)  # their (DᵀD)ⱼₗ
t = sp.Symbol("t", nonnegative=True)  # place on a path, 0 to 1

# One latent on one eigenvector with gain d, encoder and variance eliminated.
REDUCED_MODE = beta / 2 * (sp.log(1 + d**2 / WATER_LEVEL) + lam / (d**2 + WATER_LEVEL))
SAVING = beta / 2 * (lam / WATER_LEVEL - 1 - sp.log(lam / WATER_LEVEL))

# A block of q latents that carries r eigenvectors.
_ratio = sp.sqrt(lam / tau) / root
BLOCK_ROOT = sum_roots / sp.sqrt(tau) / (2 * q) + sp.sqrt(
    (sum_roots / sp.sqrt(tau) / (2 * q)) ** 2 + 1 - r / q
)
BLOCK_GAIN_SQUARED = tau * (root * sp.sqrt(lam / tau) - 1)
BLOCK_DIAGONAL = tau * (root**2 - 1)
BLOCK_SAVING = beta / 2 * (sum_ratios - 2 * q * sp.log(root) - sum_roots / sp.sqrt(tau) / root)
# Against its eigenvectors with λ > τ on latents of their own it loses, for each of these, for each
# other one, and for each latent more than eigenvectors,
DEFICIT_ALIVE = beta * (_ratio - 1 - sp.log(_ratio))
DEFICIT_FAINT = beta * (1 / root - 1 + sp.log(root)) + beta / 2 * (1 - sp.sqrt(lam / tau)) * (
    1 + sp.sqrt(lam / tau) - 2 / root
)
DEFICIT_SPARE = beta / 2 * (1 / root**2 - 1 + 2 * sp.log(root))
BLOCK_THRESHOLD = sp.sqrt(lam_min) * (sum_roots + (q - r) * sp.sqrt(lam_min)) / (q * s2)

# Second derivatives of L along unit directions of D, in nats per squared data unit.
REVIVAL_CURVATURE = (1 - lam_free / WATER_LEVEL) / s2
SWAP_CURVATURE = (1 - lam_free / lam) / s2
SPARE_CURVATURE = (1 / root**2 - lam_free / WATER_LEVEL) / s2
BLOCK_SWAP_CURVATURE = sp.sqrt(lam / WATER_LEVEL) / root * (1 - lam_free / lam) / s2
TURN_CURVATURE = -2 * beta * h**2 / (g * (tau + g) ** 2)
# Determinant of the 2 x 2 form that mixes an eigenvector of one block with one of another.
PAIR_DETERMINANT = (
    (1 / root**2 - 1 / root_other**2)
    * (lam_other - lam)
    / (root * root_other * sp.sqrt(lam * lam_other))
)


def _one_if(condition: sp.Basic) -> sp.Expr:
    return sp.Piecewise((1, condition), (0, True))


# Negative and zero directions: of a free mode against a mode of a block, and against its spare
# latents,
FREE_NEGATIVE = _one_if(lam_free > lam)
FREE_NULL = _one_if(sp.Eq(lam_free, lam))
SPARE_NEGATIVE = (q - r) * _one_if(lam_free > tau / root**2)
SPARE_NULL = (q - r) * _one_if(sp.Eq(lam_free, tau / root**2))
# of a mode of another block in the spare latents, and against a mode of the block, both ways,
OTHER_NEGATIVE = (q - r) * _one_if(root > root_other)
OTHER_NULL = (q - r) * _one_if(sp.Eq(root, root_other))
PAIR_NEGATIVE = _one_if((root - root_other) * (lam - lam_other) < 0)
PAIR_NULL = _one_if(sp.Eq((root - root_other) * (lam - lam_other), 0))
# and of the block's own modes in its own latents.
OWN_NEGATIVE = q - 1
OWN_NULL = q * r - r * (r + 1) / 2 - (q - 1)

_Block = tuple[sp.Expr, sp.Expr, Sequence[sp.Expr]]


def index_and_nullity(
    free: Sequence[sp.Expr], blocks: Sequence[_Block], unused: sp.Expr, level: sp.Expr
) -> tuple[sp.Expr, sp.Expr]:
    r"""Numbers of negative and of zero eigenvalues of the Hessian of L(D), summed over all pairs.

    .. math:: \sum_b \Bigl[(q_b - 1) + \sum_p \Bigl(\#\{i: \lambda_p > \lambda_i\}
              + (q_b - r_b)[\lambda_p > \tau/x_b^2]\Bigr)\Bigr] + \dots

    Parameters
    ----------
    free : sequence of expressions
        Eigenvalues that no latent carries.
    blocks : sequence of (latents, root, eigenvalues)
    unused : expression
        Number of unused latents: spare ones of a block without eigenvectors, with x = 1.
    level : expression
        Water level τ.
    """
    negative = (FREE_NEGATIVE, SPARE_NEGATIVE, OTHER_NEGATIVE, PAIR_NEGATIVE, OWN_NEGATIVE)
    null = (FREE_NULL, SPARE_NULL, OTHER_NULL, PAIR_NULL, OWN_NULL)
    return (
        _summed(negative, free, blocks, unused, level),
        _summed(null, free, blocks, unused, level),
    )


def _summed(
    terms: Sequence[sp.Expr],
    free: Iterable[sp.Expr],
    blocks: Sequence[_Block],
    unused: sp.Expr,
    level: sp.Expr,
) -> sp.Expr:
    one_free, spare, other, pair, own = terms
    parts = []
    for size, _, modes in blocks:
        parts.append(_at(own, {q: size, r: len(modes)}))
        parts += [_at(one_free, {lam_free: f, lam: each}) for f in free for each in modes]
    for size, x, modes in [*blocks, (unused, sp.S.One, ())]:
        here = {q: size, r: len(modes), root: x, tau: level}
        parts += [_at(spare, here | {lam_free: f}) for f in free]
    for one, two in combinations(blocks, 2):
        for (size, x, modes), (_, y, others) in ((one, two), (two, one)):
            here = {q: size, r: len(modes), root: x, root_other: y}
            parts.append(len(others) * _at(other, here))
        places = {root: one[1], root_other: two[1]}
        parts += [_at(pair, places | {lam: i, lam_other: j}) for i in one[2] for j in two[2]]
    return sp.Add(*parts)


def _at(expression: sp.Expr, values: dict[sp.Symbol, object]) -> sp.Expr:
    return expression.subs(values, simultaneous=True)


# Change of L along the paths down, and at their ends.
_power = t**2 * (lam_free / tau - 1)
_seen = lam + (lam_free - lam) * sp.sin(sp.pi * t / 2) ** 2
REVIVAL_CHANGE = beta / 2 * (sp.log(1 + _power) - lam_free / tau * _power / (1 + _power))
SWAP_CHANGE = beta / 2 * (sp.log(_seen / lam) - (_seen - lam) / tau)
TURN_CHANGE = beta / 2 * sp.log(1 - (h * sp.sin(sp.pi * t / 2) / (tau + g)) ** 2)
REVIVAL_DROP = beta / 2 * (lam_free / tau - 1 - sp.log(lam_free / tau))
SWAP_DROP = beta / 2 * ((lam_free - lam) / tau - sp.log(lam_free / lam))
TURN_DROP = -beta / 2 * sp.log(1 - (h / (tau + g)) ** 2)
