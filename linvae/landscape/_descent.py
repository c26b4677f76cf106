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
    r"""Return e − log(1 + e) for e >= 0, to relative accuracy also where the two nearly cancel.

    .. math:: \varphi(1 + e) = \frac{e^2}2 - \frac{e^3}3 + \frac{e^4}4 - \dots
    """
    near = np.minimum(excess, 1.0)  # the series serves small e only, and must not overflow
    series = np.zeros_like(near)
    for power in range(_TERMS + 1, 1, -1):
        series = 1 / power - near * series
    return np.where(excess < _SERIES_BELOW, near**2 * series, excess - np.log1p(excess))


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
    """

    kind: Literal["revival", "swap", "turn"]
    latents: tuple[int, ...]
    direction: FloatArray
    curvature: float
    drop: float
    _decoder: FloatArray
    _target: FloatArray  # eigenvector that is taken up, shape (n,); empty for a turn
    _sizes: tuple[float, float]  # λ/τ − 1 at the start and its rise; for a turn h/(τ + g) and 0
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
            angle, start = 0.5 * np.pi * t, moved[:, j] / np.linalg.norm(moved[:, j])
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
            inner = np.log1p(-((start * np.sin(0.5 * np.pi * t)) ** 2))
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


def turn(decoder: FloatArray, latents: tuple[int, int], beta: float, tau: float) -> Descent:
    """The two latents of a block, of equal column norms, are rotated into each other."""
    i, j = latents
    scaled = decoder[:, list(latents)] / np.sqrt(tau)
    size, off = float(np.mean((scaled**2).sum(axis=0))), float(scaled[:, 0] @ scaled[:, 1])
    share = off / (1 + size)
    direction = np.zeros_like(decoder)
    direction[:, i], direction[:, j] = decoder[:, j], -decoder[:, i]
    direction /= np.linalg.norm(direction)
    curvature = -2 * share**2 / size * beta / tau
    drop = float(-0.5 * beta * np.log1p(-(share**2)))
    nothing = np.zeros(0)
    return Descent(
        "turn", (i, j), direction, curvature, drop, decoder, nothing, (share, 0.0), tau, beta
    )


def _share(t: Any) -> float:
    number = as_number("t", t, "pass one number, 0 for the start and 1 for the end")
    if not 0 <= number <= 1:
        fail("t", number, "a number in [0, 1]", "0 is the stationary point, 1 the end of the path")
    return number
