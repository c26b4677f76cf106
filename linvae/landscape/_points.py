"""Stationary points of the objective: what they hold, how they are built from their blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, NoReturn

import numpy as np

from linvae._types import LinearVAE, Sealed
from linvae._validation import (
    FloatArray,
    as_positive_number,
    check_latent_dim,
    check_no_underflow,
    check_representable,
    fail,
    frozen,
)
from linvae.spectrum import Spectrum

from ._blocks import (
    Block,
    block_deficit,
    block_mixing,
    block_root,
    index_and_nullity,
    most_correlated,
)
from ._checks import check_room, critical_values
from ._descent import Descent, above_log, revival, swap, swap_saving, turn

__all__ = [
    "Field",
    "StationaryPoint",
    "block_threshold",
    "build_point",
    "structures",
]


@dataclass(frozen=True, eq=False)
class Field(Sealed):
    """The problem whose landscape it is; `values` and `critical` have one entry per feature."""

    spectrum: Spectrum
    beta: float
    latent_dim: int
    noise_variance: float
    values: FloatArray
    critical: FloatArray

    @classmethod
    def of(cls, spectrum: Spectrum, beta: Any, latent_dim: Any, noise_variance: Any) -> Field:
        weight = as_positive_number("beta", beta, "β weighs the rate and must be positive")
        values, critical, variance = critical_values(spectrum, noise_variance)
        k = check_latent_dim(latent_dim, spectrum.n_features)
        remedy = "rescale data and noise variance together"
        check_representable("beta", weight * variance, remedy)
        if not weight * variance > 0:
            fail("beta", f"{weight}, whose βσ² vanishes in float64", "βσ² above 1e-308", remedy)
        with np.errstate(over="ignore"):
            check_representable("beta", critical / weight, "use a larger β")
        return cls(spectrum, weight, k, variance, values, critical)

    @property
    def tau(self) -> float:
        """Water level βσ²."""
        return self.beta * self.noise_variance

    @cached_property
    def excesses(self) -> FloatArray:
        """Every λ/τ − 1, exact near the threshold."""
        return np.asarray((self.critical - self.beta) / self.beta)

    @property
    def vectors(self) -> FloatArray:
        """Eigenvectors, shape (n, number held)."""
        return self.spectrum.eigenvectors


@dataclass(frozen=True, eq=False)
class StationaryPoint(Sealed):
    r"""A point of zero gradient, up to signs, order and the free rotations of its blocks.

    .. math:: \nabla_{E, C, D}\, L_\beta = 0, \qquad
              D = \Bigl[\,U_{A_1}\operatorname{diag}(d_1) V_1^\top, \dots,\;
              U_{A_m}\operatorname{diag}(d_m) V_m^\top,\; 0\Bigr]

    Attributes
    ----------
    blocks : tuple of Block
        Latents in this order; what is left of the k latents is unused.
    excess : float
        Objective minus that of the optimum, nats, >= 0.
    objective : float
        Nats.
    index : int
        Number of negative eigenvalues of the Hessian; the same for the reduced objective L(D) and
        for the objective in (E, C, D), since the objective is convex in E and C.
    nullity : int
        Number of zero eigenvalues of the Hessian of L(D). In (E, C, D) there are k more for each
        direction in which S vanishes.

    Notes
    -----
    Proved in ``proofs/landscape_stationary.py`` and ``proofs/landscape_index.py``.
    """

    blocks: tuple[Block, ...]
    excess: float
    objective: float
    index: int
    nullity: int
    _field: Field

    @property
    def modes(self) -> tuple[int, ...]:
        """Positions of the eigenvectors that are encoded, ascending."""
        return tuple(sorted(i for block in self.blocks for i in block.modes))

    @property
    def unused(self) -> int:
        """Number of latents without a decoder column."""
        return self._field.latent_dim - sum(block.latents for block in self.blocks)

    @property
    def is_diagonal(self) -> bool:
        """Whether DᵀD is diagonal: one eigenvector to a latent."""
        return all(block.latents == 1 for block in self.blocks)

    @property
    def is_minimum(self) -> bool:
        """Whether this is an optimum: no other stationary point is a local minimum."""
        return self.index == 0

    @cached_property
    def decoder(self) -> FloatArray:
        """D, shape (n, k)."""
        vectors = self._field.vectors
        columns = [(vectors[:, list(b.modes)] * b.gains) @ b.mixing.T for b in self.blocks]
        columns.append(np.zeros((len(vectors), self.unused)))
        return frozen(np.concatenate(columns, axis=1))

    def vae(self) -> LinearVAE:
        r"""Return the stationary point in (E, C, D), both offsets at the data mean.

        .. math:: E = (D^\top D + \tau I)^{-1} D^\top, \qquad c_j = 1/x^2
        """
        field = self._field
        rows, spread = [], []
        for block in self.blocks:
            shrunk = block.gains / (block.gains**2 + field.tau)
            rows.append((block.mixing * shrunk) @ field.vectors[:, list(block.modes)].T)
            spread.append(np.full(block.latents, block.root**-2))
        rows.append(np.zeros((self.unused, len(field.vectors))))
        spread.append(np.ones(self.unused))
        return LinearVAE(
            encoder=np.concatenate(rows),
            posterior_variance=check_no_underflow(np.concatenate(spread)),
            decoder=self.decoder,
            noise_variance=np.asarray(field.noise_variance),
            encoder_offset=field.spectrum.mean,
            decoder_offset=field.spectrum.mean,
        )

    @cached_property
    def descent(self) -> Descent | None:
        """A way down with strictly negative curvature; None for an optimum."""
        if not self.is_diagonal:
            return self._turn()
        field = self._field
        free = np.setdiff1d(np.arange(field.values.size), self.modes)
        if not free.size:
            return None
        best = int(free[0])  # eigenvalues descend
        if self.unused and field.critical[best] > field.beta:
            latent = len(self.blocks)
            excess = float(field.excesses[best])
            vector = field.vectors[:, best]
            return revival(self.decoder, latent, vector, excess, field.beta, field.tau)
        worst = max(range(len(self.blocks)), key=lambda j: self.blocks[j].modes, default=None)
        return None if worst is None else self._swap(worst, best)

    def _swap(self, latent: int, best: int) -> Descent | None:
        field, (own,) = self._field, self.blocks[latent].modes
        if field.critical[best] <= field.critical[own]:
            return None
        rise = float((field.critical[best] - field.critical[own]) / field.beta)
        sizes = (float(field.excesses[own]), rise)
        return swap(self.decoder, latent, field.vectors[:, best], sizes, field.beta, field.tau)

    def _turn(self) -> Descent:
        """Rotate the two most correlated latents of a block."""
        field, first, pairs = self._field, 0, []
        for block in self.blocks:
            if block.latents > 1:
                (i, j), sizes = most_correlated(block, field.tau)
                pairs.append((sizes, (first + i, first + j)))
            first += block.latents
        sizes, latents = max(pairs, key=lambda pair: pair[0][0])
        return turn(self.decoder, latents, sizes, field.beta, field.tau)


def block_threshold(critical: FloatArray, latents: int) -> float:
    """β below which a block exists, from the λ/σ² of its eigenvectors."""
    least = float(critical.min())
    if critical.size == 1:
        return least  # for any number of latents
    missing = (latents - critical.size) * np.sqrt(least)
    return float(np.sqrt(least) * (np.sqrt(critical).sum() + missing) / latents)


def _block(
    field: Field, modes: tuple[int, ...], latents: int, rng: np.random.Generator | None
) -> Block | None:
    """The block of these eigenvectors, None where it does not exist or comes apart."""
    critical = field.critical[list(modes)]
    if not field.beta < block_threshold(critical, latents):
        return None
    if latents == 1:
        gain = np.sqrt(field.noise_variance) * np.sqrt(critical - field.beta)
        root = float(np.sqrt(1 + field.excesses[modes[0]]))
        return Block(modes, 1, root, gain, np.ones((1, 1)))
    roots = np.sqrt(critical / field.beta)
    root = block_root(roots, latents)
    shares = root * roots - 1
    if not (shares > 0).all():  # an ulp below its threshold
        return None
    mixing = block_mixing(shares, latents, rng)
    if mixing is None:
        return None
    gains = np.sqrt(field.noise_variance) * np.sqrt(field.beta) * np.sqrt(shares)
    return Block(modes, latents, root, gains, mixing)


def structures(
    field: Field, modes: tuple[int, ...], room: int
) -> Iterator[tuple[tuple[tuple[int, ...], int], ...]]:
    """Every choice of disjoint blocks (modes, latents) that exist, within `room` latents."""
    if not modes or not room:
        yield ()
        return
    first, rest = modes[0], modes[1:]
    yield from structures(field, rest, room)
    for more in range(min(len(rest), room - 1) + 1):
        for partners in combinations(rest, more):
            own = (first, *partners)
            left = tuple(mode for mode in rest if mode not in partners)
            for latents in range(len(own), room + 1):
                if _block(field, own, latents, None) is not None:
                    for others in structures(field, left, room - latents):
                        yield ((own, latents), *others)


def build_point(
    field: Field,
    groups: Sequence[tuple[int, ...]],
    sizes: Sequence[int],
    rng: np.random.Generator | None,
) -> StationaryPoint:
    """The stationary point with these blocks; refuses those that do not exist."""
    check_room(sum(sizes), field.latent_dim)
    blocks = []
    for modes, latents in zip(groups, sizes, strict=True):
        block = _block(field, modes, latents, rng)
        if block is None:
            _refuse(field, modes, latents)
        blocks.append(block)
    unused = field.latent_dim - sum(sizes)
    index, nullity = index_and_nullity(field.critical, field.beta, blocks, unused)
    return StationaryPoint(
        tuple(blocks), _excess(field, blocks), _objective(field, blocks), index, nullity, field
    )


def _refuse(field: Field, modes: tuple[int, ...], latents: int) -> NoReturn:
    threshold = block_threshold(field.critical[list(modes)], latents)
    if field.beta < threshold:
        fail(
            "blocks",
            f"modes {modes} whose {latents} latents come apart",
            "eigenvalues that differ enough for all latents of the block to be correlated",
            "give the parts as blocks of their own",
        )
    fail(
        "modes",
        f"{modes} on {latents} latent(s) at beta = {field.beta}",
        f"beta < {threshold}, below which this stationary point exists",
        "leave them out, or use a smaller beta",
    )


def _paid(field: Field, block: Block) -> float:
    """What a block still costs, rate and distortion, in units of β/2 nats."""
    if block.latents == 1:
        return float(1 + np.log1p(field.excesses[block.modes[0]]))
    roots = np.sqrt(field.critical[list(block.modes)] / field.beta)
    return float(2 * block.latents * np.log(block.root) + roots.sum() / block.root)


def _lost(field: Field, block: Block) -> float:
    """What sharing costs a block, in units of β/2 nats."""
    if block.latents == 1:
        return 0.0
    roots = np.sqrt(field.critical[list(block.modes)] / field.beta)
    return block_deficit(roots, block.root, block.latents)


def _excess(field: Field, blocks: Sequence[Block]) -> float:
    """Objective minus that of the optimum, as a sum of terms >= 0.

    Each block against its eigenvectors on latents of their own; those that are worth a latent
    against the best ones, largest with largest. What both encode cancels before it is rounded.
    """
    best = field.excesses[: field.latent_dim]
    best = best[best > 0]
    carried = sorted(mode for block in blocks for mode in block.modes)  # eigenvalues descend
    own = [mode for mode in carried if field.excesses[mode] > 0]
    rise = (field.critical[: len(own)] - field.critical[own]) / field.beta
    missing = best[len(own) :]
    inner = swap_saving(field.excesses[own], rise).sum() + above_log(missing).sum()
    return float(0.5 * field.beta * (inner + sum(_lost(field, block) for block in blocks)))


def _objective(field: Field, blocks: Sequence[Block]) -> float:
    constant = 0.5 * field.values.size * np.log(2 * np.pi * field.noise_variance)
    carried = [mode for block in blocks for mode in block.modes]
    ignored = 0.5 * np.delete(field.critical, carried).sum()
    paid = sum(_paid(field, block) for block in blocks)
    return float(constant + ignored + 0.5 * field.beta * paid)
