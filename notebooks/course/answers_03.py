"""Right answers of notebook 03, computed by the packages."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import linvae as lv

from .checking import Mistake, exercise
from .kinds import Choices

THREE = lv.Spectrum.from_eigenvalues([8.0, 2.0, 0.5])
BUDGET = float(np.log(4.0))


def _error(rate: float, latents: int = 3) -> float:
    curve = lv.Frontier(THREE, latent_dim=latents, noise_variance=1.0)
    return float(curve.at_rate(rate).squared_error)


def _split_evenly() -> float:
    """Spend a third of the rate on each mode."""
    alone = [lv.Spectrum.from_eigenvalues([value]) for value in THREE.eigenvalues]
    curves = [lv.Frontier(mode, latent_dim=1, noise_variance=1.0) for mode in alone]
    return float(sum(curve.at_rate(BUDGET / 3).squared_error for curve in curves))


@exercise(
    "03.1",
    wrong=[
        Mistake(_split_evenly, "Equal shares of rate are not the best: which bars stand out?"),
        Mistake(lambda: _error(BUDGET, latents=1), "More than one bar stands out of the water."),
        Mistake(lambda: _error(4.0), "The rate is log 4 nats, not 4."),
        Mistake(lambda: _error(BUDGET / 2), "Mind the ½ in the rate of a mode."),
        Mistake(lambda: _error(BUDGET) - 0.5, "The drowned bar is lost, too."),
        Mistake(
            lambda: float(lv.Frontier.shannon(THREE, noise_variance=1.0).at_rate(BUDGET).beta),
            "That is the water level: what error does each mode leave?",
        ),
    ],
)
def error_at_a_rate() -> float:
    """Squared error that is left."""
    return _error(BUDGET)


def _expressions() -> tuple[Any, Any, Any]:
    from linvae.symbolic import curve
    from linvae.symbolic.symbols import beta

    return curve.CURVATURE, beta, curve.active


@exercise(
    "03.2",
    wrong=[
        Mistake(lambda: -_expressions()[0], "The sign: is the curve convex?"),
        Mistake(lambda: _expressions()[0] / 2, "Half of it: mind the ½ in the rate."),
        Mistake(lambda: 1 / _expressions()[0], "Upside down: the chain rule divides by dR/dβ."),
        Mistake(lambda: -1, "That is the derivative of the slope by β, not by the rate."),
        Mistake(lambda: 2 * _expressions()[1], "How many modes share a further nat?"),
    ],
)
def curvature() -> Any:
    """Second derivative of the distortion by the rate."""
    return _expressions()[0]


@cache
def _digits() -> lv.Spectrum:
    from sklearn.datasets import load_digits

    return lv.Spectrum.from_samples(load_digits().data)


def _beta_at(rate: float, *, latents: int = 16, variance: float = 4.0) -> float:
    curve = lv.Frontier(_digits(), latent_dim=latents, noise_variance=variance)
    return float(curve.at_rate(rate).beta)


@exercise(
    "03.3",
    tolerance=1e-4,
    wrong=[
        Mistake(lambda: _beta_at(16.0), "Sixteen bits, not sixteen nats."),
        Mistake(lambda: _beta_at(16.0 / np.log(2)), "Is a bit more or less than a nat?"),
        Mistake(
            lambda: _beta_at(16 * np.log(2), variance=1.0), "That is the water level: divide by σ²."
        ),
        Mistake(lambda: _beta_at(16 * np.log(2), latents=8), "The model has 16 latents."),
        Mistake(lambda: _beta_at(np.log(2)), "Sixteen bits for the image, not one per latent."),
    ],
)
def beta_for_sixteen_bits() -> float:
    """Answer of the inverse query."""
    return _beta_at(16 * np.log(2))


def _active(weight: float) -> int:
    return int(lv.Frontier.shannon(_digits(), noise_variance=4.0).at_beta(weight).active)


@exercise(
    "03.4",
    wrong=[
        Mistake(lambda: _active(0.25), "The water level is βσ², not β."),
        Mistake(lambda: 16, "Are there modes beyond the 16th that stand out of the water?"),
        Mistake(lambda: _digits().rank, "Modes with little variance need no latent."),
        Mistake(lambda: _active(1.0) + 1, "The next mode is under water already."),
        Mistake(lambda: _active(1.0) - 1, "One mode above the water is left without a latent."),
    ],
)
def latents_for_shannon() -> int:
    """Count the modes above the water."""
    return _active(1.0)


@exercise(
    "03.5",
    wrong=[
        Mistake(lambda: "abd", "Which models does the frontier bound?"),
        Mistake(lambda: "acd", "What was paid for the lower distortion?"),
        Mistake(lambda: "ade", "Which derivative jumps?"),
        Mistake(lambda: "d", "On what do rate and squared error depend, besides the spectrum?"),
        Mistake(lambda: "a", "What does the channel of section 3 do with another source?"),
    ],
)
def statements() -> Choices:
    """Statements that hold."""
    return Choices("ad", among="abcde")
