r"""A certified lower bound on what any product of sigmoid gates costs: five values of log β.

With x = log β let c = e^f, f(x) = B + Σⱼ log sigmoid(wⱼx + bⱼ), any number of gates, any real
parameters. Suppose the excess is at most ε in [log 0.01, log 10]: then t − l ≤ f ≤ t + u there,
with t = min(0, x) and the distances l, u of :mod:`linvae.certificates._excess`.

Take a function N, linear between the five nodes x₀ < ... < x₄, 0 at x₀ and x₄ and outside,
positive at x₁ and x₃, −1 at x₂ = 0. Its slopes jump by νᵢ at the nodes, so Σνᵢ = Σνᵢxᵢ = 0. Up to
an affine function a gate's logarithm is −a(x), a(x) = log 2cosh(w(x − m)/2), w > 0, m = −b/w (a
negative w counts as |w|; with w = 0 nothing is left). Integrating by parts twice,

.. math:: \sum_i \nu_i f(x_i) = -\sum_{\text{gates}} G(w, m), \qquad
          G(w, m) = \sum_i \nu_i a(x_i) = \int N \varphi\,dx, \quad
          \varphi(x) = \frac{w^2}{4\cosh^2(w(x-m)/2)}.

1. The band gives Σνᵢf(xᵢ) ≥ Σνᵢt(xᵢ) − Σνᵢ⁺l(xᵢ) − Σνᵢ⁻u(xᵢ), the *margin*, a number > 0.
2. Every gate is concave, so at three nodes x < y < z, y = θx + (1−θ)z, its deficit
   θa(x) + (1−θ)a(z) − a(y) ≥ 0 is at most that of f, and this is at most what the band allows.
   A gate that obeys this is *admissible*.
3. G ≥ 0 for every admissible gate. Then Σνᵢf(xᵢ) ≤ 0, which contradicts 1.

Step 3. Let N < 0 exactly on (ξ₁, ξ₂), M the area there, L and R the areas of the positive parts to
the left and to the right; s the slope of N through ξ₂, which holds on [x₂, x₃].

a. m ≥ (ξ₂ + x₄)/2: φ rises up to ξ₂ and is at least φ(ξ₂) on [ξ₂, x₄] ⊂ [ξ₂, 2m − ξ₂]. So
   G ≥ (R − M) φ(ξ₂) ≥ 0 as R ≥ M. Likewise m ≤ (ξ₁ + x₀)/2, as L ≥ M.
b. Otherwise |x − m| ≤ Δ on [x₀, x₄] for a Δ known from a. For w ≤ w₀,
   4G/w² ≥ (L + R)/cosh²(w₀Δ/2) − M ≥ 0.
c. Let K = w(min(m, x₃) − ξ₂) ≥ 7/4. To the left of ξ₂, the negative part of N is at most
   s(ξ₂ − x) and φ ≤ w²e^{−w(m−x)}; to its right, up to min(m, x₃), N = s(x − ξ₂) and
   φ ≥ w²e^{−w(m−x)}/4. Both integrals are elementary: G ≥ 0 if (K − 1 + e^{−K})/4 ≥ e^{−K}, which
   holds from K = 7/4 on. Likewise on the left.
d. For w ≥ W let m be none of c. As w|x − m|/2 ≤ a ≤ w|x − m|/2 + log 2, the deficit at x₁, x₂, x₃
   is at least (W/2)(θ|x₁ − m| + (1−θ)|x₃ − m| − |m|) − log 2. The bracket is concave in m on
   [x₁, x₃]: at both ends of the m that are left it makes the deficit larger than admissible.
e. The rest is a box, w₀ ≤ w ≤ W and m bounded by a: halved until on every part c applies, or G > 0,
   or a deficit is larger than admissible. Both are bounded by mean value forms in ball arithmetic.

Nodes and heights were found by linear programming; whatever they are, the checks prove the bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise

from linvae._validation import check_count

from ._balls import Ball, above, ball, below, span, working
from ._cover import Box, Coverage, prove_everywhere
from ._excess import as_excess, in_range, reach, target
from .types import Certificate, CertificateStatus

__all__ = ["Functional", "any_number_of_gates", "sigmoid_cost"]

_NODES = (-3.75, -0.8125, 0.0, 1.25, 2.3)
_HEIGHTS = (0.0, 0.5, -1.0, 0.8125, 0.0)
_SLOW, _FAST = 0.3125, 16.0  # w₀ and W
_LONG = 1.75  # K from which lemma c applies

_EXCESS = 3e-3  # what is certified unless another ε is asked for


@dataclass(frozen=True)
class Functional:
    r"""Numbers of a function N (or of three nodes): :math:`\sum_i \nu_i a(x_i)` of a gate.

    Attributes
    ----------
    nodes : tuple of float
    weights : tuple of Ball
        νᵢ, one per node.
    most : Ball
        The largest value that is admissible; without meaning for N itself.
    """

    nodes: tuple[float, ...]
    weights: tuple[Ball, ...]
    most: Ball

    def at(self, w: Ball, m: Ball) -> Ball:
        """Value for a gate; every summand is a = |z| + log(1 + e^{−2|z|}), z = w(x − m)/2."""
        total = ball(0)
        for x, weight in zip(self.nodes, self.weights, strict=True):
            z = w * (x - m) / 2
            total += weight * (z + (-2 * z).exp().log1p())
        return total

    def low_over(self, box: Box) -> Ball:
        """Return a ball whose lower end bounds the value over a box (mean value form)."""
        w, m = (span(*side) for side in box)
        at_w, at_m = (ball(low) + (ball(high) - ball(low)) / 2 for low, high in box)
        by_w, by_m = ball(0), ball(0)
        for x, weight in zip(self.nodes, self.weights, strict=True):
            distance = x - m
            bend = weight * (w * distance / 2).tanh() / 2
            by_w += bend * distance
            by_m -= bend * w
        return self.at(at_w, at_m) + by_w * (w - at_w) + by_m * (m - at_m)


def _slopes() -> list[Ball]:
    """Slopes of N from node to node, 0 at both ends."""
    steps = zip(_NODES[:-1], _NODES[1:], _HEIGHTS[:-1], _HEIGHTS[1:], strict=True)
    inner = [(ball(b) - ball(a)) / (ball(y) - ball(x)) for x, y, a, b in steps]
    return [ball(0), *inner, ball(0)]


def _weights() -> tuple[Ball, ...]:
    slopes = _slopes()
    return tuple(right - left for left, right in pairwise(slopes))


def _triples(excess: float) -> list[Functional]:
    """Deficits at three nodes, with the most that the band allows; the sharpest one first."""
    found = []
    bands = {x: reach(excess, x) for x in _NODES}
    for x, y, z in combinations(_NODES, 3):
        share = (ball(z) - y) / (ball(z) - x)
        rest = 1 - share
        top = target(y) + bands[y][1]
        floor = share * (target(x) - bands[x][0]) + rest * (target(z) - bands[z][0])
        found.append(Functional((x, y, z), (share, ball(-1), rest), top - floor))
    middle = _NODES[1:4]
    return sorted(found, key=lambda functional: functional.nodes != middle)


def _margin(excess: float) -> Ball:
    """Step 1: least value of Σνᵢf(xᵢ) in the band."""
    total = ball(0)
    for x, weight in zip(_NODES, _weights(), strict=True):
        lower, upper = reach(excess, x)
        total += weight * (target(x) - lower if weight > 0 else target(x) + upper)
    return total


@dataclass(frozen=True)
class _Lobes:
    """Zeros ξ₁, ξ₂ of N and the areas L, M, R."""

    zeros: tuple[Ball, Ball]
    left: Ball
    middle: Ball
    right: Ball

    @classmethod
    def of_nodes(cls) -> _Lobes:
        x, heights = [ball(node) for node in _NODES], [ball(height) for height in _HEIGHTS]
        first = x[1] + (x[2] - x[1]) * heights[1] / (heights[1] - heights[2])
        second = x[2] - (x[3] - x[2]) * heights[2] / (heights[3] - heights[2])
        return cls(
            (first, second),
            heights[1] * (first - x[0]) / 2,
            -heights[2] * (second - first) / 2,
            heights[3] * (x[4] - second) / 2,
        )

    @property
    def centres(self) -> tuple[float, float]:
        """The m that lemma a leaves, rounded outwards."""
        first, second = self.zeros
        return below((first + _NODES[0]) / 2), above((second + _NODES[4]) / 2)


def _clear_of_the_middle(lobes: _Lobes, w: Ball, centres: tuple[float, float]) -> bool:
    """Lemma c: every m of an interval lies far enough to one side, for all slopes from w on."""
    low, high = centres
    right = w * (ball(min(low, _NODES[3])) - lobes.zeros[1])
    left = w * (lobes.zeros[0] - ball(max(high, _NODES[1])))
    return bool(right >= _LONG or left >= _LONG)


def _lemmas_hold(lobes: _Lobes, sharpest: Functional) -> bool:
    """Whether the numbers satisfy what lemmas a, b, c and d suppose."""
    low, high = lobes.centres
    reach_of_m = (ball(_NODES[4]) - low).max(ball(high) - _NODES[0])
    spread = (ball(_SLOW) * reach_of_m / 2).cosh()
    long = ball(_LONG)
    areas = lobes.right >= lobes.middle and lobes.left >= lobes.middle
    slow = (lobes.left + lobes.right) / (spread * spread) >= lobes.middle
    elementary = long - 1 >= 3 * (-long).exp()
    fast = all(_deficit_of_steps(sharpest, end) for end in _left_by_c(lobes))
    nodes = all(in_range(x) for x in _NODES)
    return bool(nodes and areas and slow and elementary and fast)


def _left_by_c(lobes: _Lobes) -> tuple[Ball, Ball]:
    """Ends of the m to which lemma c does not apply at w = W."""
    room = ball(_LONG) / _FAST
    return lobes.zeros[0] - room, lobes.zeros[1] + room


def _deficit_of_steps(sharpest: Functional, m: Ball) -> bool:
    """Lemma d at one m: inside [x₁, x₃], and the deficit of a steep gate is not admissible."""
    x, _, z = sharpest.nodes
    share, _, rest = sharpest.weights
    inside = m > x and m < z
    bracket = share * (m - x) + rest * (z - m) - abs(m)
    return bool(inside and bracket * _FAST / 2 - ball(2).log() > sharpest.most)


def _gate_is_harmless(
    lobes: _Lobes, whole: Functional, triples: list[Functional], box: Box
) -> bool:
    """Step e: G ≥ 0 on the box, or no gate of the box is admissible."""
    (slow, _), centres = box
    if _clear_of_the_middle(lobes, ball(slow), centres) or whole.low_over(box) > 0:
        return True
    return any(triple.low_over(box) > triple.most for triple in triples)


def any_number_of_gates(excess: float, max_boxes: int) -> tuple[bool, Coverage]:
    """Run steps 1 to 3 for one ε; returns whether all were proved, and the boxes of step e."""
    with working(80):
        lobes, triples = _Lobes.of_nodes(), _triples(excess)
        if not (_margin(excess) > 0 and _lemmas_hold(lobes, triples[0])):
            return False, Coverage(0, 0, ())
        whole = Functional(_NODES, _weights(), ball(0))
        cover = prove_everywhere(
            ((_SLOW, _FAST), lobes.centres),
            lambda box: _gate_is_harmless(lobes, whole, triples, box),
            (1.0, 1.0),
            max_boxes=max_boxes,
        )
    return cover.complete, cover


@lru_cache(maxsize=8)
def _remembered(excess: float, max_boxes: int) -> tuple[bool, Coverage]:
    """Outcome of the proof, for arguments that have been checked."""
    return any_number_of_gates(excess, max_boxes)


def sigmoid_cost(*, excess: float = _EXCESS, max_boxes: int = 200_000) -> Certificate:
    r"""Certify what any product of sigmoid gates costs at least, however many there are.

    .. math:: \inf_{J,B,w,b}\; \max_{0.01\le\beta\le10}\;
              \tfrac12 \beta\,(r - 1 - \log r) \ge \epsilon, \quad
              r = \frac{e^B \prod_{j\le J} \operatorname{sigmoid}(w_j\log\beta + b_j)}
                       {\min(1, \beta)}

    for λ = σ² = 1, encoder and decoder optimal and not adapted to this c; another mode multiplies β
    and ε by its critical β.

    Parameters
    ----------
    excess : float
        The ε to certify, at most 10.
    max_boxes : int
        Boxes after which to give up.

    Returns
    -------
    Certificate
        With relation ``>=``; its bound is ε when certified, else 0.

    Raises
    ------
    InputError
        ε outside (0, 10], max_boxes not an integer >= 1.
    MissingPackageError
        python-flint is not installed.

    Notes
    -----
    The proof is in the docstring of :mod:`linvae.certificates.sigmoid_five_points`.
    """
    asked = as_excess(excess)
    most = check_count("max_boxes", max_boxes, 1, None, "allow at least one box")
    done, cover = _remembered(asked, most)
    status: CertificateStatus = "certified" if done else "not certified"
    return Certificate(
        "sigmoid.any_gates",
        "excess objective that the best posterior variance base·Π sigmoid(w log β + b) has "
        "somewhere in [β₁/100, 10β₁], encoder and decoder optimal, over any number of gates, all "
        "real w, b and all bases; nats per unit of β₁",
        asked if done else 0.0,
        ">=",
        asked,
        cover.boxes,
        cover.depth,
        status,
    )
