r"""A certified lower bound on what one sigmoid gate costs, over all its parameters.

With x = log β the posterior variance is c = e^f, f(x) = B + log sigmoid(wx + b). Suppose its excess
is at most ε everywhere in [log 0.01, log 10]; then t − l ≤ f ≤ t + u at every x there, with
t = min(0, x) (:mod:`linvae.certificates._excess`). Any finite set of x gives necessary conditions.

1. w ≤ 0 is impossible: f would not rise from −1.5 to 0, which the band demands.
2. w ≥ W is impossible. f is concave, f′ = w sigmoid(−w(x − m)) with m = −b/w. If m ≥ −2.5 the slope
   is at least W/2 on [−3.5, −2.5], more than the band allows. If m < −2.5 then
   f′ ≤ w e^{−w(x−m)} on [−1.5, 0], so f rises by at most e^{−W} there, less than the band demands.
3. For 0 < w < W write P = 1/(1 + e^b), any b in (0, 1):

   .. math:: f(x) - f(0) = g(x) = -\log\big(1 - P + P e^{-wx}\big),

   which for x > 0 rises and for x < 0 falls, both in P and in w: over a box of (P, w) two corners
   bound it, and with it f(0), for which both ends of every band must leave room. Where they do not,
   the box is impossible; otherwise it is halved. P in [0, 1] includes both limits of b.

So every one of all real (B, w, b) has an excess above ε somewhere.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from linvae._validation import check_count

from ._balls import Ball, ball, working
from ._cover import Box, Coverage, prove_everywhere
from ._excess import as_excess, in_range, reach, target
from .sigmoid_five_points import sigmoid_cost
from .types import Certificate, CertificateStatus

__all__ = ["sigmoid_gate_bound"]

_EXCESS = 5.58e-3  # what is certified unless another ε is asked for
_MAX_BOXES = 400_000
_STEEPEST = 6.0
# Where the best single gate is worst, its surroundings, and the ends of the range.
_POINTS = (2.3, -3.78, -0.91, -4.6, -3.5, -2.5, -1.5, -0.5, 0.75)


def _bands(excess: float) -> list[tuple[float, Ball, Ball]]:
    """Points with the lowest and the highest f that the excess allows there; 0 comes first."""
    found = []
    for x in (0.0, *_POINTS):
        below, above = reach(excess, x)
        found.append((x, target(x) - below, target(x) + above))
    return found


def _steep_is_impossible(excess: float) -> bool:
    """Steps 1 and 2: slopes w ≤ 0 and w ≥ W."""
    bands = {x: (low, high) for x, low, high in _bands(excess)}
    most = bands[-2.5][1] - bands[-3.5][0]
    least = bands[0.0][0] - bands[-1.5][1]
    steepest = ball(_STEEPEST)
    known = all(in_range(x) for x in bands)
    return bool(known and least > 0 and steepest / 2 > most and (-steepest).exp() < least)


def _shape(x: float, share: float, slope: float) -> Ball:
    """Return g(x) for P = share, w = slope."""
    p = ball(share)
    return -(1 - p + p * (-ball(slope) * ball(x)).exp()).log()


def _box_is_impossible(bands: list[tuple[float, Ball, Ball]], box: Box) -> bool:
    """Step 3: no f(0) serves all bands."""
    (share, slope), (more, steeper) = zip(*box, strict=True)
    (_, low, high), *others = bands
    for x, least, most in others:
        ends = _shape(x, share, slope), _shape(x, more, steeper)
        small, large = ends if x > 0 else ends[::-1]
        low, high = low.max(least - large), high.min(most - small)
        if low > high:
            return True
    return False


def _cover(excess: float, max_boxes: int) -> Coverage:
    bands = _bands(excess)
    start = ((0.0, 1.0), (0.0, _STEEPEST))
    return prove_everywhere(
        start,
        lambda box: _box_is_impossible(bands, box),
        (1.0, 2.0),
        max_boxes=max_boxes,
    )


def _one_gate(excess: float, max_boxes: int) -> Certificate:
    with working(80):
        steep = _steep_is_impossible(excess)
        cover = _cover(excess, max_boxes) if steep else Coverage(0, 0, ())
    done = steep and cover.complete
    status: CertificateStatus = "certified" if done else "not certified"
    return Certificate(
        "sigmoid.one_gate",
        "excess objective that the best posterior variance base·sigmoid(w log β + b) has somewhere "
        "in [β₁/100, 10β₁], encoder and decoder optimal, over all real w, b and all bases; nats "
        "per unit of β₁",
        excess if done else 0.0,
        ">=",
        excess,
        cover.boxes,
        cover.depth,
        status,
    )


@lru_cache(maxsize=8)
def _remembered(excess: float, max_boxes: int) -> Certificate:
    """Certificate of arguments that have been checked."""
    return _one_gate(excess, max_boxes)


def sigmoid_gate_bound(
    *, gates: int = 1, excess: float | None = None, max_boxes: int | None = None
) -> Certificate:
    r"""Certify what a product of sigmoid gates costs at least, over all its real parameters.

    .. math:: \inf_{B,w,b}\; \max_{0.01\le\beta\le10}\;
              \tfrac12 \beta\,(r - 1 - \log r) \ge \epsilon, \quad
              r = \frac{e^B \prod_j \operatorname{sigmoid}(w_j\log\beta + b_j)}{\min(1, \beta)}

    for λ = σ² = 1; another mode multiplies β and ε by its critical β.

    Parameters
    ----------
    gates : int
        1, or more; the bound for more than one gate holds for any number of them.
    excess : float, optional
        The ε to certify, at most 10; 5.58e-3 for one gate, that of :func:`sigmoid_cost` for more.
    max_boxes : int, optional
        Boxes after which to give up; 400 000 for one gate, those of :func:`sigmoid_cost` for more.

    Returns
    -------
    Certificate
        With relation ``>=``; its bound is ε when certified, else 0.

    Raises
    ------
    InputError
        gates or max_boxes not integers >= 1, or ε outside (0, 10].
    MissingPackageError
        python-flint is not installed.
    """
    count = check_count("gates", gates, 1, None, "1 for a single gate, 2 for any larger number")
    given = {"excess": excess, "max_boxes": max_boxes}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if count > 1:
        return sigmoid_cost(**options)
    most = options.get("max_boxes", _MAX_BOXES)
    return _remembered(
        as_excess(options.get("excess", _EXCESS)),
        check_count("max_boxes", most, 1, None, "allow at least one box"),
    )
