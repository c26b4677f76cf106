r"""Orthonormal vectors nearest to the stored eigenvectors, and inner products with them.

With :math:`U^\top U = I + K` and :math:`\omega = \lVert K\rVert_F < \tfrac12` the matrix
:math:`V = U(I+K)^{-1/2}` has orthonormal columns, and no matrix that has is nearer to U. For every
eigenvalue κ of K is :math:`|\sqrt{1+\kappa}-1| \le |\kappa|` and
:math:`|(1+\kappa)^{-1/2} - 1 + \kappa/2| \le \kappa^2`. Therefore

.. math:: \lVert u_i - v_i\rVert \le \omega, \qquad
          \Big|p^\top v_i - \big(p^\top U(I - \tfrac12 K)\big)_i\Big|
          \le \lVert p\rVert\,\sqrt{1+\omega}\;\omega^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from linvae._validation import FloatArray

from ._balls import Ball, ball, flint
from ._modes import Direction

__all__ = ["Frame", "centred", "frame_of"]


def centred(size: Ball) -> Ball:
    """Ball of everything whose absolute value is at most `size`."""
    top = size.abs_upper()
    return (-top).union(top)


@dataclass(frozen=True)
class Frame:
    """The nearest orthonormal vectors: ω, and I − K/2."""

    defect: Ball
    correction: Any

    def components(self, direction: Direction) -> list[Ball]:
        """Inner products of p with the orthonormal vectors."""
        near = flint().arb_mat([list(direction.overlaps)]) * self.correction
        length = direction.own.upper().max(ball(0)).sqrt()
        rest = centred(length * (1 + self.defect).sqrt() * self.defect * self.defect)
        return [entry + rest for entry in near.entries()]

    def aside(self, direction: Direction) -> Ball:
        """Bound of what p has orthogonal to its own v: at most ‖p − u‖ + ‖u − v‖."""
        return (direction.error + self.defect).upper()


def frame_of(vectors: FloatArray) -> Frame | None:
    """Frame of the columns; None when they are too far from orthonormal."""
    columns = flint().arb_mat([[ball(entry) for entry in column] for column in vectors.T.tolist()])
    gram, size = columns * columns.transpose(), vectors.shape[1]
    identity = flint().arb_mat([[int(i == j) for j in range(size)] for i in range(size)])
    excess = gram - identity
    squared = sum((entry * entry for entry in excess.entries()), ball(0)).upper()
    defect = squared.sqrt().upper() if squared > 0 else ball(0)
    return Frame(defect, identity - excess / 2) if defect < ball(1) / 2 else None
