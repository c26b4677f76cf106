r"""A lower bound that no product of sigmoid gates can beat (claim T1.c), for any number of gates.

With λ = σ² = 1 and x = log β, let c = e^f be a positive base times sigmoids of affine functions of
x. The decoder is the optimal one: then the objective is a sum of a part in the encoder and a part
in c, and the excess of c adds to any other. (A decoder re-optimised for this c may lower it.)
Suppose this excess stays below ε for all x in [log 0.01, log 10]. Then

1. at every x, f lies between t − l(x) and t + u(x), t = min(0, x), by inverting the excess;
2. f is concave, so chords bound its slope: near 1 to the left of the critical β and near 0 to its
   right. Within [−a, a] the slope must therefore drop by nearly 1, and beside it hardly at all;
3. the drop is a sum over gates of bumps φ(x) = w² s (1 − s), s the sigmoid. A bump that drops at
   most 1 (and a little) within [−a, a] cannot be narrow, for its total drop is w: it has at least
   a share ρ of that drop beside the interval, within [−b₁, −a] and [a, b₂]. If its centre lies
   outside [−a, a], this share is at least ½, as b₁, b₂ ≥ 2a;
4. so the drop beside the interval is at least ρ times the drop inside: if that contradicts 2, the
   excess exceeds ε somewhere.

Step 3 takes the least share on a fine grid of slopes and centres, with a margin; the rest is exact.
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
# Half-width of the interval around the critical β, and the ends of its surroundings.
INSIDE, LEFT, RIGHT = 0.7, 1.4, 1.52
_GRID_MARGIN = 0.99


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

    f′(−a) ≥ 1 − p, f′(a) ≤ q, f′(−b₁) ≤ 1 + r, f′(b₂) ≥ −s.
    """
    below = float(tolerances(excess, np.array(0.0))[0])
    p = (below + float(tolerances(excess, np.array(-INSIDE))[1])) / INSIDE
    q = (below + float(tolerances(excess, np.array(INSIDE))[1])) / INSIDE
    left = np.linspace(LOW, -LEFT - 0.01, 200)
    far = tolerances(excess, left)[0] + tolerances(excess, np.array(-LEFT))[1]
    right = np.linspace(RIGHT + 0.01, HIGH, 200)
    near = tolerances(excess, right)[0] + tolerances(excess, np.array(RIGHT))[1]
    return p, q, float((far / (-LEFT - left)).min()), float((near / (right - RIGHT)).min())


def drops(slope: FloatArray, centre: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Drop of f′ through one gate: within [−a, a], and beside it within [−b₁, b₂]."""
    edges = [np.tanh(slope * (x - centre) / 2) for x in (-LEFT, -INSIDE, INSIDE, RIGHT)]
    inside = slope / 2 * (edges[2] - edges[1])
    beside = slope / 2 * (edges[3] - edges[2] + edges[1] - edges[0])
    return np.asarray(inside), np.asarray(beside)


def least_share_beside(most_inside: float) -> float:
    """Least ratio of the drop beside to the drop inside, of gates that drop so much at most."""
    slope = np.geomspace(1e-3, 60.0, 1500)
    centre = np.linspace(-INSIDE, INSIDE, 141)[:, None]
    inside, beside = drops(slope, centre)
    share = np.where(inside <= most_inside, beside / inside, np.inf).min()
    return min(0.5, _GRID_MARGIN * float(share))


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
