r"""A lower bound that no product of sigmoid gates can beat (claim T1.c), for any number of gates.

With λ = σ² = 1 and x = log β, let c = e^f be a positive base times sigmoids of affine functions of
x. The decoder is the optimal one: then the objective is a sum of a part in the encoder and a part
in c, and the excess of c adds to any other. (A decoder re-optimised for this c may lower it.)
Suppose this excess stays below ε for all x in [log 0.01, log 10]. Then

1. at every x, f lies between t − l(x) and t + u(x), t = min(0, x), by inverting the excess;
2. f is concave, so chords bound its slope: near 1 to the left of the critical β and near 0 to its
   right. Within [−a, a] the slope must therefore drop by nearly 1, and on [−2a, −a] and [a, 2a]
   hardly at all;
3. the drop is a sum over gates of bumps φ(x) = w² s (1 − s), s the sigmoid. A bump that drops at
   most m within [−a, a] cannot be narrow: beside it drops at least 1/cosh Y₀ times as much,
   Y₀ tanh(Y₀/2) = am, wherever its centre is;
4. so the drop beside the interval is at least that share of the drop inside: if that contradicts 2,
   the excess exceeds ε somewhere.

Every step is proved in ``proofs/sigmoid_bound.py``. By ball arithmetic a sharper bound, 3.0e-3, is
certified: :func:`linvae.certificates.sigmoid_cost`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from linvae._validation import FloatArray

__all__ = [
    "chord_bounds",
    "drops",
    "least_excess_of_any_product",
    "least_share_beside",
    "tolerances",
]

LOW, HIGH = float(np.log(0.01)), float(np.log(10.0))
# Half-width a of the interval around the critical β; what lies beside it ends at ±2a.
INSIDE = 0.6
# Points y < −2a and v > 2a whose chords with ±2a bound the slopes there.
FAR = (-3.66, 2.3)


def tolerances(excess: float, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    r"""How far f may lie below and above t at x: roots of :math:`e^d - 1 - d = 2\epsilon e^{-x}`.

    Bisection keeps both roots on the safe, outer side.
    """
    level = 2 * excess * np.exp(-np.asarray(x, dtype=np.float64))
    roots = []
    for sign in (-1.0, 1.0):
        inner, outer = np.zeros_like(level), 50.0 + level
        for _ in range(80):
            middle = (inner + outer) / 2
            beyond = np.expm1(sign * np.minimum(middle, 700)) - sign * middle > level
            inner, outer = np.where(beyond, inner, middle), np.where(beyond, middle, outer)
        roots.append(outer)
    return roots[0], roots[1]


def chord_bounds(excess: float) -> tuple[float, float, float, float]:
    """Numbers (p, q, r, s) that bound the slope f′ when the excess is at most `excess`.

    f′(−a) ≥ 1 − p, f′(a) ≤ q, f′(−2a) ≤ 1 + r, f′(2a) ≥ −s.
    """
    (left, right), edge = FAR, 2 * INSIDE
    below = float(tolerances(excess, np.array(0.0))[0])
    p = (below + float(tolerances(excess, np.array(-INSIDE))[1])) / INSIDE
    q = (below + float(tolerances(excess, np.array(INSIDE))[1])) / INSIDE
    far_left = float(tolerances(excess, np.array(left))[0])
    far_right = float(tolerances(excess, np.array(right))[0])
    r = (far_left + float(tolerances(excess, np.array(-edge))[1])) / (-edge - left)
    s = (far_right + float(tolerances(excess, np.array(edge))[1])) / (right - edge)
    return p, q, r, s


def drops(slope: FloatArray, centre: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Drop of f′ through one gate: within [−a, a], and beside it within [−2a, 2a]."""
    edges = [np.tanh(slope * (x - centre) / 2) for x in (-2 * INSIDE, -INSIDE, INSIDE, 2 * INSIDE)]
    inside = slope / 2 * (edges[2] - edges[1])
    beside = slope / 2 * (edges[3] - edges[2] + edges[1] - edges[0])
    return np.asarray(inside), np.asarray(beside)


def least_share_beside(most_inside: float) -> float:
    r"""Least ratio of the drop beside to the drop inside, of gates that drop so much at most.

    .. math:: 1 / \cosh Y_0, \qquad Y_0 \tanh(Y_0 / 2) = a m
    """
    low, high = 0.0, 4.0 + INSIDE * most_inside  # Y₀ tanh(Y₀/2) > Y₀ - 2 for Y₀ > 2
    for _ in range(80):
        middle = (low + high) / 2
        over = middle * np.tanh(middle / 2) >= INSIDE * most_inside
        low, high = (low, middle) if over else (middle, high)
    return float(1 / np.cosh(high))


@lru_cache(maxsize=1)
def least_excess_of_any_product() -> float:
    """Largest ε for which the contradiction holds, in nats per unit of critical β."""
    low, high = 0.0, 1e-2
    for _ in range(20):
        middle = (low + high) / 2
        p, q, r, s = chord_bounds(middle)
        contradiction = least_share_beside(1 + r + s) * (1 - p - q) > p + q + r + s
        low, high = (middle, high) if contradiction else (low, middle)
    return low
