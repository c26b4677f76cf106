r"""Certified identities of the optimum and of the frontier, over all β of a range.

What the hypernetwork's gains achieve is compared with reverse water-filling. Along one eigenvector,
with γ = min(1, eʸ) and h = 1 − γ, write the network's gains as :math:`d^2 = \lambda(h+\eta_d)`,
:math:`\lambda e^2 = h + \eta_e`, :math:`de = h + \eta`, :math:`c = \gamma + \eta_c`. Then

.. math:: \frac{\lambda(1-de)^2 + d^2c}{\lambda} - \gamma
          = -2\gamma\eta + \eta^2 + h\eta_c + \gamma\eta_d + \eta_d\eta_c,

and likewise for the rate: nothing is left that cancels. The gains are relative to orthonormal
eigenvectors; how far the stored ones are from that is a certificate of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from linvae._validation import FloatArray, fail
from linvae.frontier import Frontier
from linvae.spectrum import Spectrum

from ._balls import Ball, above, ball, flint, span
from ._modes import Direction, Mode
from .gates import log_variance_ratio, square_difference
from .types import Certificate, bounded

__all__ = ["frontier_certificates", "optimum_certificates", "orthonormality"]


@dataclass(frozen=True)
class _Parts:
    """Largest differences of one mode: bounds over a range of β, relative to the mode's scale."""

    error: Ball  # of the squared error, over λ
    rate: Ball  # nats
    second_moment: Ball  # of the aggregated posterior
    objective: Ball  # over the mode's critical β, nats


def _ball_of(size: Ball) -> Ball:
    top = size.abs_upper()
    return (-top).union(top)


def _unknown() -> Ball:
    """A ball about which nothing is known: it spoils every bound that it enters."""
    return flint().arb("nan")


def _gain_square(direction: Direction, threshold: Ball, log_beta: Ball, h: Ball) -> Ball:
    """Ball around (squared gain along u in units of λ) − h."""
    if direction.gate.kind != "sqrt_relu":
        return _unknown()
    along = direction.cross / direction.target
    difference = _ball_of(square_difference(direction.gate, threshold, log_beta)[0])
    return (along * along - 1) * (h + difference) + difference


def _living(mode: Mode, log_beta: Ball) -> _Parts:
    if not mode.encoder.cross * mode.decoder.cross > 0:  # d e must be positive
        return _Parts(*[_unknown()] * 4)
    y = (log_beta - mode.threshold).min(ball(0))
    gamma = y.upper().exp().union(ball(0))
    h = (1 - y.lower().exp()).union(ball(0))
    eta_d = _gain_square(mode.decoder, mode.threshold, log_beta, h)
    eta_e = _gain_square(mode.encoder, mode.threshold, log_beta, h)
    # √((h + η_d)(h + η_e)) lies between h + η_d and h + η_e.
    eta = eta_d.union(eta_e)
    ratio = log_variance_ratio(mode, log_beta)
    eta_c = gamma * ratio.expm1()
    error = -2 * gamma * eta + eta * eta + h * eta_c + gamma * eta_d + eta_d * eta_c
    rate = (eta_c + eta_e - ratio) / 2
    weight = (log_beta - mode.threshold).upper().exp().union(ball(0))
    found = (error, rate, eta_e + eta_c, error / 2 + weight * rate)
    return _Parts(*(part.abs_upper() for part in found))


def _dead(mode: Mode, log_beta: Ball) -> _Parts:
    """A mode without variance: its decoder and encoder must vanish and c be 1, exactly."""
    silent = mode.decoder.own.is_zero() and mode.encoder.own.is_zero()
    exact = silent and log_variance_ratio(mode, log_beta).is_zero()
    return _Parts(*[ball(0) if exact else _unknown()] * 4)


def _mode_parts(mode: Mode, interval: tuple[float, float]) -> _Parts:
    """Bounds over the interval, found below and above the threshold apart."""
    low, high = interval
    if mode.threshold is None:
        return _dead(mode, span(low, high))
    # Just above, so that the gates are closed there too.
    split = min(max(above(mode.threshold) + 1e-12, low), high)
    left = _living(mode, span(low, split))
    right = _living(mode, span(split, high))
    return _Parts(*(a.max(b) for a, b in zip(_values(left), _values(right), strict=True)))


def _values(parts: _Parts) -> tuple[Ball, Ball, Ball, Ball]:
    return parts.error, parts.rate, parts.second_moment, parts.objective


def optimum_certificates(
    modes: list[Mode], spectrum: Spectrum, interval: tuple[float, float], radius: float
) -> list[Certificate]:
    """What the hypernetwork achieves against reverse water-filling, for all β of an interval.

    Parameters
    ----------
    modes : list of Mode
    spectrum : Spectrum
    interval : (low, high)
        Of log β.
    radius : float
    """
    parts = [_mode_parts(mode, interval) for mode in modes]
    alive = modes[0].threshold is not None
    # A mode without variance has no scale of its own; its parts are 0, or nothing is certified.
    sizes = [mode.value if mode.threshold is not None else ball(1) for mode in modes]
    pairs, zero = list(zip(sizes, parts, strict=True)), ball(0)
    total = ball(spectrum.total_variance) if alive else ball(1)
    error = sum((size * part.error for size, part in pairs), zero) / total
    rate = sum((part.rate for part in parts), zero)
    objective = sum((size * part.objective for size, part in pairs), zero) / sizes[0]
    moment = max(above(part.second_moment) for part in parts)
    kinds = (
        (
            "optimum.squared_error",
            "|ε − (Σ min(λᵢ, τ) + tail)| of the hypernetwork's gains, over tr S",
            above(error),
        ),
        ("optimum.rate", "|ℛ − Σ ½ log⁺(λᵢ/τ)| of the hypernetwork's gains, nats", above(rate)),
        (
            "optimum.objective",
            "|L_β − closed form| of the hypernetwork's gains, nats per unit of the largest "
            "critical β",
            above(objective),
        ),
        (
            "optimum.aggregated_posterior",
            "largest |λᵢeᵢ² + cᵢ − 1| of the hypernetwork's gains",
            moment,
        ),
    )
    return [bounded(*kind, radius, boxes=len(modes)) for kind in kinds]


def orthonormality(vectors: FloatArray, radius: float) -> Certificate:
    """Largest entry of |UᵀU − I| of the stored eigenvectors; columns of zeros are left out."""
    columns = [column for column in vectors.T.tolist() if any(column)]
    statement = "largest entry of |UᵀU − I| of the stored eigenvectors"
    if not columns:
        return bounded("vectors", statement, 0.0, radius, boxes=0, note="no direction is held")
    matrix = flint().arb_mat([[ball(entry) for entry in column] for column in columns])
    gram = matrix * matrix.transpose()
    size = len(columns)
    worst = max(
        above((gram[i, j] - int(i == j)).abs_upper()) for i in range(size) for j in range(i + 1)
    )
    return bounded("vectors", statement, worst, radius, boxes=1)


@dataclass(frozen=True)
class _Segment:
    """β from `low` to `high` (None: no end) with m active modes, and the tables' numbers there."""

    active: int
    low: Ball
    high: Ball
    rate: Ball
    tail: Ball


def _segments(curve: Frontier) -> list[_Segment]:
    """Segments of the frontier as its float64 tables hold them, from large β to small."""
    joins = [ball(b) for b in curve._joins.tolist()]
    found = []
    for m, (rate, tail) in enumerate(
        zip(curve._rate_at.tolist(), curve._tail.tolist(), strict=True)
    ):
        low = joins[m + 1] if m + 1 < len(joins) else None
        found.append(_Segment(m, low, joins[m] if m else None, ball(rate), ball(tail)))
    return found


def _positive(terms: list[Ball]) -> Ball:
    """Sum of the positive parts; the terms fall (or rise) in order, so most are certainly 0."""
    return sum((t.nonnegative_part() for t in terms if not t <= 0), ball(0)).abs_upper()


def _segment_errors(
    segment: _Segment, values: list[Ball], variance: Ball, tail: Ball
) -> tuple[Ball, Ball]:
    """Bounds of |ℛ table − sum| and |ε table − sum| on one segment."""
    m = segment.active
    on, off = values[:m], values[m:]
    rate = ball(0)
    if m:
        logs = [(v / variance).log() for v in on]
        table = segment.rate + ball(m) / 2 * segment.high.log()
        rate = (table - sum(logs, ball(0)) / 2).abs_upper()
        # Modes that the exact sum has already dropped at the upper end, ...
        rate += _positive([segment.high.log() - s for s in logs]) / 2
    # ... and modes that it has already taken in at the lower end.
    error = (segment.tail - tail).abs_upper()
    if m:
        error += _positive([segment.high * variance - v for v in on])
    if segment.low is not None:
        early = [v for v in off if not v <= segment.low * variance]
        rate += _positive([(v / (segment.low * variance)).log() for v in early]) / 2
        error += _positive([v - segment.low * variance for v in early])
    return rate, error


def _jumps(segments: list[_Segment], variance: Ball) -> Ball:
    """Sum of |Δ𝒟 + βΔℛ| of the tables at the critical β's, over the largest of them."""
    total = ball(0)
    for upper, lower in pairwise(segments):
        beta = lower.high
        rate = upper.rate - lower.rate
        if upper.active:
            rate += ball(upper.active) / 2 * (upper.high / beta).log()
        error = upper.tail - lower.tail - variance * beta
        total += (error / (2 * variance) + beta * rate).abs_upper()
    return total / segments[1].high if len(segments) > 1 else total


def frontier_certificates(
    spectrum: Spectrum, latent_dim: int, noise_variance: float, radius: float
) -> list[Certificate]:
    """The frontier's stored tables against the sums of reverse water-filling, for every β > 0.

    Parameters
    ----------
    spectrum : Spectrum
    latent_dim : int
    noise_variance : float
    radius : float
    """
    curve = Frontier(spectrum, latent_dim=latent_dim, noise_variance=noise_variance)
    segments, variance = _segments(curve), ball(noise_variance)
    values = [ball(v) for v in spectrum.leading_eigenvalues(latent_dim).tolist() if v > 0]
    if len(values) != len(segments) - 1:
        fail(
            "noise_variance",
            noise_variance,
            "λ/σ² within the float64 range for every λ > 0",
            "rescale data and noise variance together",
        )
    held = [ball(v) for v in spectrum.eigenvalues.tolist()]
    tail = sum(held[len(values) :], ball(0))
    if not spectrum.complete:
        tail += (ball(spectrum.total_variance) - sum(held, ball(0))).nonnegative_part()
    rate, error = ball(0), ball(0)
    for segment in reversed(segments):
        if segment.active < len(values):
            tail += held[segment.active]
        bounds = _segment_errors(segment, values, variance, tail)
        rate, error = rate.max(bounds[0]), error.max(bounds[1])
    if spectrum.total_variance > 0:
        error = error / ball(spectrum.total_variance)
    kinds = (
        (
            "frontier.rate",
            "|ℛ(β) of the stored tables − Σ ½ log⁺(λᵢ/τ)|, nats, for every β > 0",
            rate,
        ),
        (
            "frontier.squared_error",
            "|ε(β) of the stored tables − (Σ min(λᵢ, τ) + tail)|, over tr S, for every β > 0",
            error,
        ),
        (
            "frontier.slope",
            "|𝒟(b) − 𝒟(a) + ∫β dℛ| of the stored tables for any a < b, nats per unit of the "
            "largest critical β: the slope is −β on every segment, this is the sum of the jumps",
            _jumps(segments, variance),
        ),
    )
    return [
        bounded(claim, statement, above(value), radius, boxes=len(segments))
        for claim, statement, value in kinds
    ]
