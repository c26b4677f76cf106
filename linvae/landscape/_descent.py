"""Explicit ways down from a stationary point that is not the optimum.

Along each of them the objective is known in closed form and falls from the first step to the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from linvae._types import Sealed
from linvae._validation import FloatArray, as_number, fail, frozen

__all__ = ["Descent", "above_log", "revival", "swap", "swap_saving", "turn"]

_SERIES_BELOW = 0.01
_TERMS = 9  # 0.01^9 / 11 is below a unit in the last place of 1/2


def above_log(excess: FloatArray) -> FloatArray:
    r"""Return e − log(1 + e) for e > −1, to relative accuracy also where the two nearly cancel.

    .. math:: \varphi(1 + e) = \frac{e^2}2 - \frac{e^3}3 + \frac{e^4}4 - \dots
    """
    near = np.clip(excess, -1.0, 1.0)  # the series serves small e only, and must not overflow
    series = np.zeros_like(near)
    for power in range(_TERMS + 1, 1, -1):
        series = 1 / power - near * series
    return np.where(np.abs(excess) < _SERIES_BELOW, near**2 * series, excess - np.log1p(excess))


def swap_saving(excess: FloatArray, rise: FloatArray) -> FloatArray:
    r"""Return φ(s + rise) − φ(s) for s = 1 + excess and rise >= 0, as a sum of terms >= 0."""
    share = rise / (1 + excess)
    return np.asarray(share * excess + above_log(share))


@dataclass(frozen=True, eq=False)
class Descent(Sealed):
    r"""A path down from a stationary point, its curvature there and its whole drop.

    .. math:: L(D(t)) - L(D(0)) = \tfrac12 \kappa\, \|D(t) - D(0)\|^2 + o(t^2), \qquad \kappa < 0

    Attributes
    ----------
    kind : str
        ``"revival"``: an unused latent takes up a free eigenvector with λ > τ. ``"swap"``: a latent
        turns from its eigenvector to a free one with a larger eigenvalue. ``"turn"``: two
        correlated latents of a block are rotated into each other.
    latents : tuple of int
        The columns of D that move, one or two.
    direction : ndarray, shape (n, k)
        Unit direction in which the path leaves.
    curvature : float
        κ, second derivative of the reduced objective along it, nats per squared data unit.
    drop : float
        Objective at the start minus objective at the end, nats, > 0.

    Notes
    -----
    Proved in ``proofs/landscape_minima.py``.
    """

    kind: Literal["revival", "swap", "turn"]
    latents: tuple[int, ...]
    direction: FloatArray
    curvature: float
    drop: float
    _decoder: FloatArray
    _target: FloatArray  # eigenvector that is taken up, shape (n,); empty for a turn
    _sizes: tuple[float, float]  # λ/τ − 1 and its rise; turn: s = |h|/(τ + g), 1 − s²
    _level: float  # τ
    _beta: float

    def decoder(self, t: float) -> FloatArray:
        """Decoder at t in [0, 1], shape (n, k); 0 is the stationary point.

        Raises
        ------
        InputError
            t outside [0, 1].
        """
        t = _share(t)
        moved = self._decoder.copy()
        j = self.latents[0]
        if self.kind == "turn":
            other, angle = self.latents[1], 0.25 * np.pi * t
            first, second = moved[:, j].copy(), moved[:, other].copy()
            moved[:, j] = np.cos(angle) * first + np.sin(angle) * second
            moved[:, other] = np.cos(angle) * second - np.sin(angle) * first
        elif self.kind == "revival":
            moved[:, j] = t * np.sqrt(self._level * self._sizes[1]) * self._target
        else:
            angle, start = 0.5 * np.pi * t, _unit(moved[:, j])
            gain = np.sqrt(self._level * (self._sizes[0] + self._sizes[1] * np.sin(angle) ** 2))
            moved[:, j] = gain * (np.cos(angle) * start + np.sin(angle) * self._target)
        return frozen(moved)

    def change(self, t: float) -> float:
        r"""Closed form of L(D(t)) − L(D(0)) in nats: falling in t, from 0 to −drop.

        .. math:: \tfrac\beta2 \bigl[\log(1+\mu) - s\mu/(1+\mu)\bigr], \quad
                  -\tfrac\beta2\bigl[\varphi(s(t)) - \varphi(s)\bigr], \quad
                  \tfrac\beta2 \log\bigl(1 - h^2\sin^2(\tfrac\pi2 t)/(\tau+g)^2\bigr)

        for revival (μ = t²(s−1)), swap (φ(s) = s − 1 − log s) and turn.
        """
        t = _share(t)
        start, rise = self._sizes
        if self.kind == "turn":
            # The cosine as a sine, so that it vanishes at the end.
            share, left = start * np.sin(0.5 * np.pi * np.array([t, 1 - t]))
            inner = np.asarray(_log_rest(share, rise + left**2))
        elif self.kind == "revival":
            power = np.asarray(t**2 * rise)  # μ; both terms are <= 0
            inner = -above_log(power) - power * (rise - power) / (1 + power)
        else:
            seen = np.asarray(rise * np.sin(0.5 * np.pi * t) ** 2)
            inner = -swap_saving(np.asarray(start), seen)
        return float(0.5 * self._beta * inner)


def revival(
    decoder: FloatArray, latent: int, target: FloatArray, excess: float, beta: float, tau: float
) -> Descent:
    """The unused latent takes up `target`, whose eigenvalue is (1 + excess) τ."""
    direction = np.zeros_like(decoder)
    direction[:, latent] = target
    drop = float(0.5 * beta * above_log(np.asarray(excess)))
    curvature = -excess * beta / tau
    sizes = (0.0, excess)
    return Descent(
        "revival", (latent,), direction, curvature, drop, decoder, target, sizes, tau, beta
    )


def swap(
    decoder: FloatArray,
    latent: int,
    target: FloatArray,
    sizes: tuple[float, float],
    beta: float,
    tau: float,
) -> Descent:
    """The latent turns to `target`; `sizes` are its own λ/τ − 1 and the rise of λ/τ."""
    excess, rise = sizes
    direction = np.zeros_like(decoder)
    direction[:, latent] = target
    drop = float(0.5 * beta * swap_saving(np.asarray(excess), np.asarray(rise)))
    curvature = -(rise / (1 + excess)) * beta / tau
    return Descent("swap", (latent,), direction, curvature, drop, decoder, target, sizes, tau, beta)


def turn(
    decoder: FloatArray,
    latents: tuple[int, int],
    sizes: tuple[float, float],
    beta: float,
    tau: float,
) -> Descent:
    """The two latents of a block, of equal column norms, are rotated into each other.

    `sizes` are their |h|/(τ + g) and one minus its square.
    """
    i, j = latents
    share, rest = sizes
    size = float(np.mean(((decoder[:, list(latents)] / np.sqrt(tau)) ** 2).sum(axis=0)))
    direction = np.zeros_like(decoder)
    direction[:, i], direction[:, j] = decoder[:, j], -decoder[:, i]
    direction = _unit(direction)
    curvature = -2 * share**2 / size * beta / tau
    drop = float(-0.5 * beta * _log_rest(share, rest))
    nothing = np.zeros(0)
    return Descent("turn", (i, j), direction, curvature, drop, decoder, nothing, sizes, tau, beta)


def _log_rest(share: float, rest: float) -> float:
    """Logarithm of `rest` = 1 − share², from the one of the two that does not cancel."""
    return float(np.log1p(-(share**2)) if share**2 < 0.5 else np.log(rest))


def _unit(array: FloatArray) -> FloatArray:
    """The array over its norm, whose square may lie beyond the float64 range."""
    scaled = array / np.abs(array).max()
    return np.asarray(scaled / np.linalg.norm(scaled))


def _share(t: Any) -> float:
    number = as_number("t", t, "pass one number, 0 for the start and 1 for the end")
    if not 0 <= number <= 1:
        fail("t", number, "a number in [0, 1]", "0 is the stationary point, 1 the end of the path")
    return number
