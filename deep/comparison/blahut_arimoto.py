r"""Rate-distortion function of small sources that are not Gaussian, with a certificate.

For a discrete source and squared error, the point of slope −β minimises over distributions q of the
reproduction

.. math:: F(q) = -\beta\sum_x p(x)\log\sum_y q(y)\,e^{-d(x,y)/\beta}, \qquad
          d(x,y) = \frac{\|x-y\|^2}{2\sigma^2},

a convex problem. Any q also gives a lower bound, so the answer comes with its error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deep._checks import check_positive, fail
from deep.comparison.reference import Bounds, ReferencePoints, as_betas
from deep.errors import InputError

__all__ = ["BlahutArimoto", "SlopePoint", "rate_distortion_point", "reproduction_grid"]

FloatArray = NDArray[np.float64]

_MOST_ENTRIES = 20_000_000  # of the matrix of distances, 160 MB
_LARGEST_STEP = 1e4
_TINY = 1e-300  # keeps a weight from being lost for good


class SlopePoint(NamedTuple):
    """The point of slope −β; distortion without the constant of the density.

    Attributes
    ----------
    rate, distortion : float
        I(x; x̂) and E d(x, x̂) of the channel found, nats.
    objective : float
        F, an upper bound on the minimum, equal to distortion + β · rate or above it by less than
        the rounding.
    slack : float
        The minimum is at least objective − slack.
    reproduction : ndarray (Y,)
        q.
    iterations : int
    """

    rate: float
    distortion: float
    objective: float
    slack: float
    reproduction: FloatArray
    iterations: int


def rate_distortion_point(
    weights: ArrayLike,
    distances: ArrayLike,
    beta: float,
    *,
    tolerance: float = 1e-5,
    most_iterations: int = 5000,
    start: ArrayLike | None = None,
) -> SlopePoint:
    r"""Minimise over reproductions by alternating minimisation with longer steps.

    .. math:: q(y) \leftarrow q(y)\,c(y)^s\,/\,\text{norm}, \qquad
              c(y) = \sum_x p(x)\frac{e^{-d(x,y)/\beta}}{\sum_{y'}q(y')e^{-d(x,y')/\beta}}

    s = 1 is the alternating minimisation and never raises F; larger s are kept while F falls. Since
    :math:`\min F \ge F(q) - \beta\log\max_y c(y)`, the last term is the slack.

    Parameters
    ----------
    weights : array (X,)
        p(x) > 0, summing to 1.
    distances : array (X, Y)
        d(x, y), nats.
    beta : float
        > 0.
    tolerance : float
        Slack at which to stop, nats.
    most_iterations : int
        At which to stop in any case; the slack says how far it is then.
    start : array (Y,), optional
        First q; uniform when omitted. It is mixed with the uniform, which it needs to reach all.

    Notes
    -----
    Source: Blahut 1972, Theorems 5 and 6; Csiszár 1974.
    """
    probability = np.asarray(weights, dtype=np.float64)
    distance = np.asarray(distances, dtype=np.float64)
    # One factor per x is taken out, so that the nearest y counts 1 however small β is.
    nearest = distance.min(axis=1, keepdims=True)
    kernel = np.exp((nearest - distance) / beta)  # shape: (X, Y)
    offset = float(probability @ nearest[:, 0])
    size = distance.shape[1]
    reproduction = np.full(size, 1 / size)
    if start is not None:
        reproduction = 0.9 * np.asarray(start, dtype=np.float64) + 0.1 / size
    spread = kernel @ reproduction
    value = -float(probability @ np.log(spread))
    step, done = 1.0, 0
    while True:
        growth = (probability / spread) @ kernel  # c, shape: (Y,)
        slack = beta * math.log(max(growth.max(), 1.0))
        if slack <= tolerance or done >= most_iterations:
            break
        log_growth = np.log(np.maximum(growth, _TINY))
        while True:
            done += 1
            tried = _moved(reproduction, step * log_growth)
            tried_spread = kernel @ tried
            with np.errstate(divide="ignore"):
                tried_value = -float(probability @ np.log(tried_spread))
            if tried_value <= value or step == 1.0:
                break
            step = max(1.0, step / 4)
        reproduction, spread, value = tried, tried_spread, tried_value
        step = min(1.5 * step, _LARGEST_STEP)
    channel = kernel * (reproduction / spread[:, None])  # p(y|x)
    distortion = float(probability @ (channel * distance).sum(axis=1))
    objective = beta * value + offset
    # The channel's own marginal is the next q: F is its distortion + β × a rate not below its rate.
    rate = max(0.0, (objective - distortion) / beta)
    return SlopePoint(rate, distortion, objective, slack, reproduction, done)


def reproduction_grid(points: FloatArray, spacing: float) -> tuple[FloatArray, float]:
    """Grid over the bounding box of points (X, d): its nodes (Y, d) and its exact spacing."""
    low, high = points.min(axis=0), points.max(axis=0)
    counts = np.maximum(np.ceil((high - low) / spacing).astype(int), 0) + 1
    steps = np.where(counts > 1, (high - low) / np.maximum(counts - 1, 1), 0.0)
    if len(points) * math.prod(counts.tolist()) > _MOST_ENTRIES:
        fail("spacing", f"{spacing} for {len(points)} points ({math.prod(counts.tolist())} nodes)",
             f"at most {_MOST_ENTRIES} pairs", "use fewer points or a coarser grid")  # fmt: skip
    axes = [a + h * np.arange(c) for a, h, c in zip(low, steps, counts, strict=True)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, points.shape[1])
    return nodes, float(steps.max())


@dataclass(frozen=True, eq=False)
class BlahutArimoto:
    r"""Rate-distortion function of a discrete source as a reference: a bound for every VAE.

    .. math:: \mathcal D + \beta\mathcal R \ge \tfrac n2\log 2\pi\sigma^2 + \min_q F(q)

    for every VAE with a Gaussian decoder of variance σ², in expectation over the source: its rate
    is at least I(x; x̂(z)) and its distortion is that of x̂(z), the decoder's mean. The lower end,
    ``objective - slack``, holds for reproductions anywhere, not only on the grid: best
    reproductions lie in the convex hull of the source, and between nodes a distance h apart,

    .. math:: \log c(y) \le \max_{\text{nodes}}\log c + \frac{n h^2}{8\beta\sigma^2},

    because log c(y) + ‖y‖²/2βσ² is convex. So slack = β log max c + n h²/8σ².

    The points may be a sample; then the source is that sample, equal weights, and the bound is for
    averages over just these points.

    Parameters
    ----------
    points : array (X, n)
        The source, n of 1 or 2.
    noise_variance : float
        σ².
    weights : array (X,), optional
        Probabilities; equal when omitted.
    spacing : float, optional
        Of the grid; σ/20 when omitted for n = 1, σ/6 for n = 2.
    tolerance : float
        Slack at which the iteration stops, nats.

    Raises
    ------
    InputError
        Points of another shape, weights that are no probabilities, a grid too large.
    """

    points: FloatArray
    noise_variance: float
    weights: FloatArray | None = None
    spacing: float | None = None
    tolerance: float = 1e-4
    name: str = "rate–distortion function (Blahut–Arimoto)"
    bounds: Bounds = "every VAE"
    _cache: dict[float, SlopePoint] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        points = np.asarray(self.points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] not in (1, 2) or not np.isfinite(points).all():
            fail("points", f"shape {points.shape}", "finite numbers (N, 1) or (N, 2)",
                 "Blahut–Arimoto is for small sources", InputError)  # fmt: skip
        if len(points) == 0:
            fail("points", "none", "at least one point", "pass the source")
        check_positive("noise_variance", self.noise_variance, "pass the decoder's variance σ²")
        count = len(points)
        given = np.full(count, 1 / count) if self.weights is None else np.asarray(self.weights)
        if given.shape != (count,) or not (given > 0).all() or abs(given.sum() - 1) > 1e-9:
            fail("weights", f"shape {given.shape}, sum {given.sum():.6g}",
                 f"({count},) numbers > 0 with sum 1", "divide by their sum")  # fmt: skip
        sigma = math.sqrt(self.noise_variance)
        wanted = sigma / (20, 6)[points.shape[1] - 1] if self.spacing is None else self.spacing
        nodes, spacing = reproduction_grid(points, check_positive("spacing", wanted, "pass h > 0"))
        # Isolated sources are best reproduced by themselves: their points join the grid.
        if len(points) * (len(nodes) + len(points)) <= _MOST_ENTRIES:
            nodes = np.concatenate([nodes, points])
        distances = ((points[:, None] - nodes) ** 2).sum(-1) / (2 * self.noise_variance)
        for key, value in (("points", points), ("weights", given), ("spacing", spacing),
                           ("_nodes", nodes), ("_distances", distances)):  # fmt: skip
            object.__setattr__(self, key, value)

    @property
    def statement(self) -> str:
        """What the curve is and what it bounds."""
        return (
            f"Rate-distortion function of the discrete source of {len(self.points)} points, with "
            "certified slack; objective - slack is, in expectation over the source, a lower bound "
            f"for every VAE with a Gaussian decoder of variance {self.noise_variance:g}."
        )

    def at_beta(self, betas: ArrayLike) -> ReferencePoints:
        """Points at β's (B,); each β is computed once."""
        weights = as_betas(betas)
        n = self.points.shape[1]
        constant = 0.5 * n * math.log(2 * math.pi * self.noise_variance)
        last: FloatArray | None = None
        for beta in sorted(set(weights.tolist()), reverse=True):
            if beta not in self._cache:
                self._cache[beta] = self._solve(beta, last)
            last = self._cache[beta].reproduction
        found = [self._cache[beta] for beta in weights.tolist()]
        distortion = np.array([point.distortion for point in found])
        return ReferencePoints(
            betas=weights,
            rate=np.array([point.rate for point in found]),
            distortion=constant + distortion,
            squared_error=2 * self.noise_variance * distortion,
            objective=constant + np.array([point.objective for point in found]),
            slack=np.array([point.slack for point in found])
            + n * self.spacing**2 / (8 * self.noise_variance),  # type: ignore[operator]
        )

    def collapsed_loss(self, betas: ArrayLike) -> FloatArray:
        """Excess of a model that reproduces the mean, at β's (B,), nats."""
        assert self.weights is not None  # set in __post_init__
        variance = self.weights @ (self.points - self.weights @ self.points) ** 2
        alone = self.at_beta(betas)
        n = self.points.shape[1]
        constant = 0.5 * n * math.log(2 * math.pi * self.noise_variance)
        collapsed = constant + float(variance.sum()) / (2 * self.noise_variance)
        return np.asarray(np.maximum(collapsed - alone.objective, 0.0))

    def _solve(self, beta: float, start: FloatArray | None) -> SlopePoint:
        return rate_distortion_point(self.weights, self._distances, beta,  # type: ignore[arg-type,attr-defined]
                                     tolerance=self.tolerance, start=start)  # fmt: skip


def _moved(reproduction: FloatArray, exponent: FloatArray) -> FloatArray:
    """Q · exp(exponent), normalised; no weight becomes exactly 0."""
    moved = reproduction * np.exp(exponent - exponent.max())
    moved /= moved.sum()
    return np.asarray(np.maximum(moved, _TINY))
