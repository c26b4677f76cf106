"""Answers to the exercises of notebook 06: a nonlinear Multi-Rate VAE."""

from __future__ import annotations

import numpy as np
import sympy as sp

import linvae as lv
from linvae.symbolic import calibrated, curve
from linvae.symbolic.symbols import beta, k, n, s2

from .checking import Mistake, exercise
from .kinds import Choices

__all__: list[str] = []

_U = sp.Symbol("u", real=True)
_PIXELS, _LATENTS, _WEIGHT, _VARIANCE = 784, 16, 0.001, 0.05  # of exercise 2
_TRAINING = 1500  # of the digits; the rest are the test images


def _shifts() -> tuple[sp.Expr, sp.Expr]:
    """How distortion and rate change from β to the point of β e^u."""
    there = {beta: beta * sp.exp(_U)}
    error, rate = curve.SEGMENT_SQUARED_ERROR, curve.SEGMENT_RATE
    return (
        sp.simplify((error.subs(there) - error) / (2 * s2)),
        sp.simplify(sp.expand_log(rate.subs(there) - rate, force=True)),
    )


def _excess() -> sp.Expr:
    distortion, rate = _shifts()
    return sp.simplify(distortion + beta * rate)


@exercise(
    "06.1",
    wrong=(
        Mistake(lambda: _shifts()[0], "That is the distortion alone: the rate changes, too."),
        Mistake(lambda: sum(_shifts()), "In the objective the rate has a weight."),
        Mistake(
            lambda: curve.active * beta * _U**2 / 4, "That is the leading order; give all of it."
        ),
        Mistake(lambda: 2 * _excess(), "Twice too large: where is the ½ of the distortion?"),
        Mistake(
            lambda: sp.simplify(_shifts()[0] + beta * sp.exp(_U) * _shifts()[1]),
            "Which β weighs the rate: the one asked for, or the one delivered?",
        ),
    ),
)
def excess_of_another_beta() -> sp.Expr:
    """Excess at β of the frontier's point of β e^u, m active modes."""
    return _excess()


def _beta(form: sp.Expr, weight: float) -> float:
    """β of a loss by a closed form, with the squared error's weight given."""
    numbers = {
        calibrated.kl_weight: _WEIGHT,
        calibrated.reconstruction_weight: weight,
        s2: _VARIANCE,
        n: _PIXELS,
        k: _LATENTS,
    }
    return float(form.subs(numbers))


@exercise(
    "06.2",
    tolerance=1e-3,
    wrong=(
        Mistake(
            lambda: _beta(calibrated.BETA_OF_SUMS, 1.0),
            "Averaged over pixels: which weight has a single pixel?",
        ),
        Mistake(
            lambda: _beta(calibrated.BETA_OF_SUMS, 0.5 / _PIXELS),
            "Twice too large: does that loss have a ½ before the squared error?",
        ),
        Mistake(lambda: _beta(calibrated.BETA_OF_MEANS, 1.0), "The KL is summed over latents."),
        Mistake(lambda: _beta(calibrated.LEVEL_OF_SUMS, 1 / _PIXELS), "That is τ = βσ²."),
        Mistake(lambda: _WEIGHT, "That is the weight as it stands in their code."),
    ),
)
def somebody_elses_beta() -> float:
    """β of a mean squared error with a KL weight, at the course's σ²."""
    from deep.objectives.conventions import effective_beta

    found = effective_beta(
        "mean_squared_error", _PIXELS, _LATENTS, kl_weight=_WEIGHT, noise_variance=_VARIANCE
    ).beta
    if abs(found / _beta(calibrated.BETA_OF_SUMS, 1 / _PIXELS) - 1) > 1e-12:
        raise AssertionError("the two packages disagree")
    return float(found)


_RATES, _DISTORTIONS = np.array([10.0, 14.0]), np.array([5.0, 4.5])


@exercise(
    "06.3",
    wrong=(
        Mistake(
            lambda: float(np.diff(_RATES)[0] / -np.diff(_DISTORTIONS)[0]),
            "Upside down: β multiplies the rate.",
        ),
        Mistake(
            lambda: float(np.diff(_DISTORTIONS)[0] / np.diff(_RATES)[0]),
            "That is the slope of the line; β is positive.",
        ),
        Mistake(lambda: 0.2, "At 0.2 their objectives differ: compute both."),
        Mistake(
            lambda: float((_DISTORTIONS[0] + _DISTORTIONS[1]) / _RATES.sum()),
            "Set the two objectives equal and solve for β.",
        ),
    ),
)
def indifferent_beta() -> float:
    """β at which two models have the same objective."""
    even = sp.solve(_DISTORTIONS[0] + beta * _RATES[0] - (_DISTORTIONS[1] + beta * _RATES[1]), beta)
    return float(even[0])


def _gap(fitted: str, judged: str) -> tuple[float, float]:
    """Excess at β = 0.5, and that of the distortion alone, of a linear VAE of the digits."""
    from sklearn.datasets import load_digits

    pixels = load_digits().data / 16
    parts = {
        "train": lv.Spectrum.from_samples(pixels[:_TRAINING]),
        "test": lv.Spectrum.from_samples(pixels[_TRAINING:]),
    }
    optimum = lv.response(parts[fitted], 0.5, latent_dim=8, noise_variance=_VARIANCE)
    terms = optimum.evaluate(parts[judged], 0.5)
    frontier = lv.Frontier(parts["test"], latent_dim=8, noise_variance=_VARIANCE)
    best = frontier.at_beta(0.5)
    gap = float(frontier.gap(terms.rate, terms.distortion, 0.5))
    return gap, float(terms.distortion - best.distortion)


@exercise(
    "06.4",
    tolerance=1e-4,
    wrong=(
        Mistake(lambda: _gap("train", "train")[0], "That model is judged on the training images."),
        Mistake(lambda: _gap("train", "test")[1], "That is the distortion: add β times the rate."),
        Mistake(lambda: 0.0, "The optimum of one set of images is not that of another."),
        Mistake(lambda: -_gap("train", "test")[0], "An excess counts upwards from the frontier."),
    ),
)
def held_out_excess() -> float:
    """What the best linear VAE of the training images loses on the test images."""
    return _gap("train", "test")[0]


@exercise(
    "06.5",
    wrong=(
        Mistake(lambda: {"a", "b", "e"}, "For which models is the linear frontier a bound?"),
        Mistake(lambda: {"b", "c", "e"}, "What did the lower distortion cost?"),
        Mistake(lambda: {"b", "d", "e"}, "Are the two errors independent?"),
        Mistake(lambda: {"b"}, "What does section 5 hold equal, and what not?"),
    ),
)
def statements() -> Choices:
    """Which statements about comparisons hold."""
    return Choices({"b", "e"}, "abcde")
