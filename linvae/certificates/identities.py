"""Certified identities of the frontier's tables, over all β > 0, and of the stored eigenvectors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from linvae._validation import FloatArray, fail
from linvae.frontier import Frontier
from linvae.spectrum import Spectrum

from ._balls import Ball, above, ball, flint
from .types import Certificate, bounded

__all__ = ["frontier_certificates", "orthonormality"]


def orthonormality(vectors: FloatArray, radius: float) -> Certificate:
    """Largest entry of |UᵀU − I| of the stored eigenvectors."""
    columns = vectors.T.tolist()
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
    rate = segment.rate.abs_upper()  # no active mode, no rate
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
