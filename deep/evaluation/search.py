"""The β at which a model has a wanted rate or distortion."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from torch import Tensor, nn

from deep._checks import check_beta_range, fail
from deep.evaluation.curve import LearnedCurve, evaluate_curve
from deep.objectives.likelihoods import Likelihood

__all__ = ["FoundBeta", "find_beta"]

# On log β; far below what the standard errors can tell apart.
_PRECISION = 1e-6


@dataclass(frozen=True, eq=False)
class FoundBeta:
    """A β with what the model achieves there.

    Attributes
    ----------
    beta : float
    curve : LearnedCurve
        Of this one β: rate, distortion and their standard errors.
    reachable : (low, high)
        Of the wanted quantity, over the β's that were looked at.
    crossings : int
        How often the wanted value was passed between them; more than 1 says that the quantity is
        not monotone in β and that other β's would do as well.
    """

    beta: float
    curve: LearnedCurve
    reachable: tuple[float, float]
    crossings: int


def find_beta(
    model: nn.Module,
    samples: Tensor | NDArray[np.generic],
    likelihood: Likelihood,
    *,
    beta_range: tuple[float, float],
    rate: float | None = None,
    distortion: float | None = None,
    points: int = 16,
    seed: int = 0,
    noise_draws: int = 1,
    batch_size: int = 1000,
) -> FoundBeta:
    r"""β with :math:`\mathcal R(\beta) = r` or :math:`\mathcal D(\beta) = d` on these samples.

    The model is read at log-spaced β's first. Between the first two neighbours with the wanted
    value in between, counted from the smallest β, Brent's method finds it. All readings use the
    same latents, so that what is solved is one continuous function of β. A trained model need not
    be monotone: of several solutions the one between the smallest β's is returned, and solutions
    between neighbours that lie on the same side are not seen.

    Parameters
    ----------
    model, samples, likelihood, seed, noise_draws, batch_size
        As for :func:`deep.evaluation.curve.evaluate_curve`.
    beta_range : (a, b)
        Where to look, 0 < a < b; gates know nothing of β's outside the range of the training.
    rate, distortion : float
        What is wanted, nats; one of the two.
    points : int
        Number of β's read first, >= 2.

    Returns
    -------
    FoundBeta

    Raises
    ------
    InputError
        Both or neither wanted, a value that no β in the range reaches, and as ``evaluate_curve``.
    """
    if (rate is None) == (distortion is None):
        fail("find_beta", f"rate = {rate}, distortion = {distortion}", "exactly one of them",
             "pass the one you want")  # fmt: skip
    name, wanted = ("rate", rate) if rate is not None else ("distortion", distortion)
    if wanted is None or not math.isfinite(wanted):
        fail(name, wanted, "a finite number of nats", "pass what is wanted")
    low, high = check_beta_range(beta_range)
    if points < 2:
        fail("points", points, "an integer >= 2", "read the model at both ends at least")

    def read(betas: NDArray[np.float64]) -> LearnedCurve:
        return evaluate_curve(
            model, samples, betas, likelihood,
            seed=seed, noise_draws=noise_draws, batch_size=batch_size,
        )  # fmt: skip

    def missing(logarithm: float) -> float:
        return float(getattr(read(np.exp([logarithm])), name)[0] - wanted)

    grid = np.geomspace(low, high, points)
    values = getattr(read(grid), name)
    reachable = float(values.min()), float(values.max())
    bracket = _brackets(values - wanted)
    if not bracket:
        reach = f"[{reachable[0]:.6g}, {reachable[1]:.6g}] nats"
        fail(name, wanted, f"a value in {reach}, what β in [{low:.6g}, {high:.6g}] reaches",
             "ask for one of these or widen beta_range")  # fmt: skip
    left, right = np.log(grid[bracket[0]]), np.log(grid[bracket[0] + 1])
    beta = math.exp(_root(missing, left, right))
    return FoundBeta(beta, read(np.array([beta])), reachable, len(bracket))


def _brackets(differences: NDArray[np.float64]) -> list[int]:
    """Places i with a sign change from i to i + 1; a value of exactly 0 counts once."""
    signs = np.sign(differences)
    crossing = (signs[:-1] * signs[1:] < 0) | (signs[:-1] == 0)
    crossing[-1] |= signs[-1] == 0
    return [int(i) for i in np.flatnonzero(crossing)]


def _root(missing: Callable[[float], float], left: float, right: float) -> float:
    """Zero between two points; where a reading alone has lost the sign change, the better end."""
    ends = missing(left), missing(right)
    if ends[0] * ends[1] >= 0:
        return left if abs(ends[0]) <= abs(ends[1]) else right
    return float(brentq(missing, left, right, xtol=_PRECISION))
