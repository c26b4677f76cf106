r"""Certified differences between a hypernetwork and the exact response, over all β of a range.

The parameters are taken for the binary numbers they are, and the gates are evaluated exactly, in
log β; the float64 arithmetic of a call is not part of the statement. A gate's argument is then
:math:`x = A\log\beta + B` beside the exact :math:`y = \log\beta - s`, and their difference
:math:`\delta = (A-1)\log\beta + B + s` is evaluated as one expression, so that a wide box of log β
cancels. With u = (1 − eˣ)₊ and v = (1 − eʸ)₊,

.. math:: |u - v| \le e^{\min(0,\max(x,y))}|\delta|, \qquad
          |\sqrt u - \sqrt v| \le \min\Big(\frac{|u-v|}{\sqrt u+\sqrt v}, \sqrt{|u-v|}\Big),

which holds at and around a critical β too, where the difference is of the size of √δ.
"""

from __future__ import annotations

import numpy as np

from ._balls import Ball, above, ball, below, span
from ._cover import Cover, shrink_bound
from ._modes import Direction, Gate, Mode, gate_at, gate_over

__all__ = [
    "argument_difference",
    "cover_direction",
    "cover_variance",
    "log_variance_ratio",
    "square_difference",
]


def argument_difference(gate: Gate, threshold: Ball, log_beta: Ball) -> Ball:
    """Return x − y, evaluated so that log β cancels."""
    return (gate.slope - 1) * log_beta + (gate.bias + threshold)


def square_difference(gate: Gate, threshold: Ball, log_beta: Ball) -> tuple[Ball, Ball]:
    r"""Bound of :math:`|(1-e^x)_+ - (1-e^y)_+|`, and of :math:`\sqrt u + \sqrt v` from below."""
    x, y = gate.argument(log_beta), log_beta - threshold
    if x >= 0 and y >= 0:
        return ball(0), ball(0)
    top = x.upper().max(y.upper())
    steep = top.min(ball(0)).exp()
    difference = steep * argument_difference(gate, threshold, log_beta).abs_upper()
    roots = gate_at("sqrt_relu", x.upper()).lower() + gate_at("sqrt_relu", y.upper()).lower()
    return difference, roots


def _gate_difference(gate: Gate, threshold: Ball, log_beta: Ball) -> Ball:
    """Upper bound of |g(x) − h(y)| over a box, h the gate √ReLU(1−eʸ) of the response."""
    if gate.kind != "sqrt_relu":
        got = gate_over(gate.kind, gate.argument(log_beta))
        return (got - gate_over("sqrt_relu", log_beta - threshold)).abs_upper()
    difference, roots = square_difference(gate, threshold, log_beta)
    if difference.is_zero():
        return ball(0)
    bound = difference.upper().sqrt()
    return bound.min(difference / roots) if roots > 0 else bound


def _direction_over(direction: Direction, threshold: Ball | None, log_beta: Ball) -> float:
    r"""Upper bound of ‖g p − h u‖: :math:`|g - h|\,‖u‖ + g\,‖p - u‖`."""
    gate = direction.gate
    size = gate_over(gate.kind, gate.argument(log_beta)).abs_upper()
    if threshold is None:
        return above(size * direction.error)
    length = direction.target.upper().sqrt()
    difference = _gate_difference(gate, threshold, log_beta)
    return above(difference * length + size * direction.error)


def _direction_at(direction: Direction, threshold: Ball | None, point: float) -> float:
    """Lower bound of ‖g p − h u‖ at one log β."""
    log_beta, gate = ball(point), direction.gate
    g = gate_at(gate.kind, gate.argument(log_beta))
    h = ball(0) if threshold is None else gate_at("sqrt_relu", log_beta - threshold)
    squared = g * g * direction.own - 2 * g * h * direction.cross + h * h * direction.target
    low = squared.lower()
    return below(low.sqrt()) if low > 0 else 0.0


def _near(threshold: Ball | None, gate: Gate) -> tuple[float, ...]:
    """Floats beside the threshold of the response and of the gate: where differences are worst."""
    centres = [] if threshold is None else [float(threshold)]
    if not gate.slope.contains(0):
        centres.append(float(-gate.bias / gate.slope))
    beside = [float(np.nextafter(c, side)) for c in centres for side in (-np.inf, np.inf)]
    return (*centres, *beside)


def _parts(
    interval: tuple[float, float], threshold: Ball | None, margin: float
) -> list[tuple[float, float]]:
    """The interval without the points closer than `margin` to the threshold."""
    low, high = interval
    if threshold is None or margin == 0:
        return [interval]
    left, right = above(threshold - ball(margin)), below(threshold + ball(margin))
    return [(a, b) for a, b in ((low, min(high, left)), (max(low, right), high)) if a <= b]


def cover_direction(
    direction: Direction,
    threshold: Ball | None,
    interval: tuple[float, float],
    radius: float,
    margin: float = 0.0,
) -> list[Cover]:
    """Bound ‖g p − h u‖ over an interval of log β, but for a margin around the threshold."""
    return [
        shrink_bound(
            part,
            lambda low, high: _direction_over(direction, threshold, span(low, high)),
            lambda point: _direction_at(direction, threshold, point),
            radius,
            candidates=_near(threshold, direction.gate),
        )
        for part in _parts(interval, threshold, margin)
    ]


def log_variance_ratio(mode: Mode, log_beta: Ball) -> Ball:
    """Ball around log of the network's posterior variance over the response's, for a box."""
    (first, second), base = mode.posterior, mode.posterior_base
    zero = ball(0)
    y = zero if mode.threshold is None else (log_beta - mode.threshold).min(zero)
    if first.kind != "min_exp" or second.kind != "min_exp":
        product = gate_over(first.kind, first.argument(log_beta))
        product *= gate_over(second.kind, second.argument(log_beta))
        return (product * base).log() - y
    x, rest = first.argument(log_beta), second.argument(log_beta).min(zero) + base.log()
    if mode.threshold is None:
        return x.min(zero) + rest
    if x >= 0 and log_beta - mode.threshold >= 0:
        return rest
    # min(0, ·) does not enlarge a difference.
    size = argument_difference(first, mode.threshold, log_beta).abs_upper()
    return rest + (-size).union(size)


def cover_variance(mode: Mode, interval: tuple[float, float], radius: float) -> Cover:
    """Bound the relative difference of posterior variances over an interval of log β."""

    def over(low: float, high: float) -> float:
        return above(log_variance_ratio(mode, span(low, high)).abs_upper().expm1())

    def at(point: float) -> float:
        # The exact ratio at a point, from the gates themselves.
        value = mode.posterior_base
        for gate in mode.posterior:
            value = value * gate_at(gate.kind, gate.argument(ball(point)))
        if mode.threshold is not None:
            value = value / gate_at("min_exp", ball(point) - mode.threshold)
        return below((value - 1).abs_lower())

    return shrink_bound(
        interval, over, at, radius, candidates=_near(mode.threshold, mode.posterior[0])
    )
