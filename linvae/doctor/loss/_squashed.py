r"""A KL of a log-variance that is squashed softly, as by c · tanh(log_var / c).

.. math:: \mathrm{KL}(\mu, f(s)), \qquad f(s) \approx s \text{ for small } s, \quad |f(s)| \le |s|

f is read off the loss itself. It bounds log_var where the price of a change of log_var has fallen
to half of what it should be: a hard clamp at that point takes the other half, too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from linvae._validation import FloatArray

from ._terms import LATENT

__all__ = ["squashing"]

_STEP = 0.25
_GRID = np.arange(-48, 21) * _STEP
_HALF = 0.5


def _kl(log_var: FloatArray) -> FloatArray:
    return np.asarray((np.exp(log_var) - 1 - log_var) / 2)


def squashing(
    effect: Callable[[float], float],
    draws: list[tuple[FloatArray, FloatArray]],
    rises: FloatArray,
) -> dict[str, float] | None:
    """Bounds that a squashed log-variance has; None where this is no such KL.

    Parameters
    ----------
    effect : callable
        KL per latent of a log-variance that all of them have, at mean 0.
    draws : list of pairs
        (mean, log_var), each (N, k).
    rises : ndarray
        What the loss, in units of the KL weight, is at these pairs above mean 0, log_var 0.
    """
    curve = np.array([effect(float(s)) for s in _GRID])
    if not np.isfinite(curve).all():
        return None
    within = _inverse(curve)
    grows = (np.diff(within) > -1e-3).all()
    smaller = (np.abs(within) <= 1.001 * np.abs(_GRID) + 2e-3).all()
    near = np.abs(_GRID) <= _STEP
    if not (grows and smaller and np.allclose(within[near], _GRID[near], atol=0.02)):
        return None
    kl = LATENT["kl"]
    predicted = np.array([kl(m, np.interp(s, _GRID, within)) for m, s in draws])
    if not np.abs(rises - predicted).max() <= 0.01 * np.ptp(predicted):
        return None
    return _bounds(curve)


def _inverse(curve: FloatArray) -> FloatArray:
    """The log-variance, of the sign of the one given, whose KL is what was measured."""
    near, far = np.zeros(len(_GRID)), np.asarray(np.sign(_GRID) * 40.0)
    for _ in range(60):
        middle = np.asarray((near + far) / 2, dtype=np.float64)
        short = _kl(middle) < curve
        near, far = np.where(short, middle, near), np.where(short, far, middle)
    return np.asarray((near + far) / 2, dtype=np.float64)


def _bounds(curve: FloatArray) -> dict[str, float]:
    """Where the slope falls to half of the KL's, on either side."""
    middles = (_GRID[1:] + _GRID[:-1]) / 2
    share = np.diff(curve) / np.diff(_kl(np.asarray(_GRID, dtype=np.float64)))
    found = {}
    for side, sign in (("lower", -1), ("upper", 1)):
        own = np.sort(sign * middles[sign * middles > 0])
        shares = np.interp(sign * own, middles, share)
        low = np.flatnonzero(shares < _HALF)
        if low.size:
            last = max(int(low[0]), 1)
            pair = shares[last - 1 : last + 1][::-1], own[last - 1 : last + 1][::-1]
            found[side] = float(sign * np.interp(_HALF, *pair))
    return found
