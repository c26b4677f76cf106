"""Answers to the exercises of notebook 07: posterior collapse and the landscape."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import sympy as sp

import linvae as lv
from linvae.dynamics import escape_time, linear_warmup, mode_flow, revival_gradient
from linvae.landscape import stationary_point, stationary_points
from linvae.symbolic import landscape
from linvae.symbolic.symbols import beta, d, lam, s2

from .checking import Mistake, exercise
from .kinds import Choices, Satisfies

__all__: list[str] = []

_PATIENCE = 200.0


@cache
def _digits() -> lv.Frontier:
    from sklearn.datasets import load_digits

    spectrum = lv.Spectrum.from_samples(load_digits().data)
    return lv.Frontier(spectrum, latent_dim=16, noise_variance=4.0)


@exercise(
    "07.1",
    wrong=(
        Mistake(lambda: (lam / (beta * s2) - 1) / s2, "Check the sign where nothing can live."),
        Mistake(lambda: (1 - lam / (beta * s2)) / (2 * s2), "That is half of it: where is the 2?"),
        Mistake(lambda: 1 - lam / (beta * s2), "The sign is right; look at the units."),
        Mistake(lambda: (1 - lam / (beta * s2)) / (beta * s2), "Did the factor β/2 get lost?"),
        Mistake(lambda: (1 - lam / s2) / s2, "Where is β?"),
    ),
)
def ridge() -> sp.Expr:
    """Second derivative of the reduced objective of one mode at collapse."""
    curvature = sp.simplify(sp.diff(landscape.REDUCED_MODE, d, 2).subs(d, 0))
    stated = landscape.REVIVAL_CURVATURE.subs(landscape.lam_free, lam)
    if sp.simplify(curvature - stated) != 0:
        raise AssertionError("the two forms of the package disagree")
    return stated


@exercise(
    "07.2",
    wrong=(
        Mistake(lambda: 1, "Those are the swaps: what about the latent that is not used?"),
        Mistake(lambda: 2, "Those are the revivals: can a latent change to a better eigenvector?"),
        Mistake(lambda: 4, "Does every free eigenvector lie above the water level?"),
        Mistake(lambda: 7, "Only the unused latent can take up an eigenvector, not all three."),
    ),
)
def ways_down() -> int:
    """Index of the stationary point that encodes modes 0 and 2."""
    spectrum = lv.Spectrum.from_eigenvalues([6.0, 5.0, 3.0, 2.0, 1.0])
    return stationary_point(spectrum, 1.5, [0, 2], latent_dim=3, noise_variance=1.0).index


def _fault(wanted: int, alive: int = 6) -> tuple[int, int]:
    return 16 - wanted, wanted - alive


@exercise(
    "07.3",
    wrong=(
        Mistake(lambda: _fault(_wanted())[::-1], "Which of the two does β explain?"),
        Mistake(lambda: _fault(6), "How many modes does the optimum keep at this β?"),
        Mistake(lambda: _fault(16), "Not every mode is worth its rate: compare β with λ/σ²."),
        Mistake(lambda: _fault(_wanted() - 1), "Look closely at the critical β's near 10."),
    ),
)
def whose_fault() -> tuple[int, int]:
    """Latents dead by β and by training."""
    return _fault(_wanted())


def _wanted() -> int:
    return int(_digits().at_beta(10.0).active)


def _in_time(answer: Any) -> bool | str:
    weight = float(answer)
    if not 0 < weight < np.inf:
        return "β is a positive number."
    curve = _digits()
    active = int(curve.at_beta(weight).active)
    if active != 5:
        return f"At this β the optimum keeps {active}."
    values = curve.spectrum.eigenvalues[:5]
    slowest = escape_time(values, weight, 1e-3, noise_variance=4.0).max()
    return bool(slowest <= _PATIENCE) or f"Five modes, but the slowest takes {slowest:.0f}."


@exercise(
    "07.4",
    wrong=(
        Mistake(lambda: 0.999 * _digits().critical_betas[4], "Five, but too near the threshold."),
        Mistake(lambda: 0.99 * _digits().critical_betas[5]),
        Mistake(lambda: 1.01 * _digits().critical_betas[4]),
        Mistake(lambda: 1.01 * 4.0 * _digits().critical_betas[5], "That is λ, not λ/σ²."),
    ),
)
def five_in_time() -> Satisfies:
    """Any β at which five modes live, all learned within the time."""
    return Satisfies(_in_time, 1.005 * float(_digits().critical_betas[5]))


def _true_statements() -> set[str]:
    """Decide by experiment what the text proves; f is about nonlinear models and false."""
    spectrum = lv.Spectrum.from_eigenvalues([4.0, 2.0, 1.0])
    points = stationary_points(spectrum, 0.5, latent_dim=2, noise_variance=1.0, shared=True)
    true = set()
    if any(point.is_minimum and point.excess > 0 for point in points):
        true.add("a")
    optimum = lv.response(spectrum, 1.5, latent_dim=2, noise_variance=1.0)
    if not (optimum.posterior_variance[np.array([4.0, 2.0]) <= 1.5] < 1).any():
        true.add("b")
    times = np.linspace(0.0, 200.0, 401)
    gains = [
        mode_flow(4.0, schedule, (1e-3, 1.0, 1e-3), times, noise_variance=1.0).decoder_gain
        for schedule in (3.2, linear_warmup(3.2, 30.0))
    ]
    if abs(gains[0][-1] - gains[1][-1]) > 1e-6:
        true.add("c")
    half = 0.5 * gains[0][-1]
    if (gains[1] > half).argmax() < (gains[0] > half).argmax():
        true.add("d")
    if revival_gradient(4.0, 3.0, beta_range=(0.1, 10.0), noise_variance=1.0) != 0:
        true.add("e")
    return true


@exercise(
    "07.5",
    wrong=(
        Mistake(lambda: set("abd"), "Which stationary points have no way down?"),
        Mistake(lambda: set("bcd"), "The schedule changes when, not where."),
        Mistake(lambda: set("bde"), "How large is the slope of the gate where it is shut?"),
        Mistake(lambda: set("bdf"), "There are two ways to be dead."),
    ),
)
def statements() -> Choices:
    """Which statements about collapse hold."""
    return Choices(_true_statements(), "abcdef")
