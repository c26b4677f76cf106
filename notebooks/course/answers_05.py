"""Answers to the exercises of notebook 05: a trained linear Multi-Rate VAE."""

from __future__ import annotations

import numpy as np
import sympy as sp
from numpy.typing import NDArray

import linvae as lv
from linvae.response import encoder_given_decoder
from linvae.symbolic import modes, theorem
from linvae.symbolic.symbols import beta, c, d, e, lam, s2

from .checking import Mistake, exercise
from .kinds import Choices, Expression

__all__: list[str] = []

_DELTA = sp.Symbol("delta", real=True)
_RANGE = (0.1, 10.0)
_SLOPE, _BIAS = 1.4, -0.7  # of the gate in exercise 2, on the standardised input


def _digits() -> lv.Spectrum:
    from sklearn.datasets import load_digits

    return lv.Spectrum.from_samples(load_digits().data)


def _active(part: sp.Expr) -> sp.Expr:
    return part.args[0][0]


_AT = tuple(
    {"beta": sp.Rational(i, 7), "sigma2": sp.Rational(j, 5), "lambda": 3 + j, "delta": -sp.S(1) / i}
    for i in (1, 2, 3)
    for j in (2, 3, 5)
)


def _named(points: tuple[dict[str, sp.Expr], ...]) -> tuple[dict[str, sp.Expr], ...]:
    """The points under the names that the package's symbols have."""
    names = {"beta": beta.name, "sigma2": s2.name, "lambda": lam.name, "delta": _DELTA.name}
    return tuple({names[key]: value for key, value in point.items()} for point in points)


def _moved_encoder() -> sp.Expr:
    best = {
        e: _active(modes.ENCODER_GAIN),
        c: _active(modes.POSTERIOR_VARIANCE),
        d: _active(modes.DECODER_GAIN),
    }
    moved = {**best, e: best[e] * (1 + _DELTA)}
    return sp.simplify(modes.OBJECTIVE.subs(moved) - modes.OBJECTIVE.subs(best))


@exercise(
    "05.1",
    wrong=(
        Mistake(lambda: 2 * _moved_encoder(), "Twice too large: where is the ½ of the series?"),
        Mistake(lambda: _moved_encoder() * s2, "Squared errors are divided by the noise variance."),
        Mistake(
            lambda: beta * _DELTA**2 / 4, "That is the cost of an error of the variance, not of e."
        ),
        Mistake(
            lambda: (lam - beta * s2) ** 2 * _DELTA**2 / (2 * s2 * lam),
            "The rate depends on the encoder, too: λe²/2 times β.",
        ),
        Mistake(
            lambda: lam**2 * _DELTA**2 / (2 * s2),
            "Is δ a relative error? The change of e is e times δ.",
        ),
    ),
)
def wrong_encoder() -> Expression:
    """Excess of one active mode whose encoder gain is off by a factor 1 + δ."""
    return Expression(_moved_encoder(), at=_named(_AT))


def _closing(std: float | None = None, sign: float = -1.0) -> float:
    """Where the gate closes, with the mean and standard deviation of log β of the theory."""
    ends = {theorem.low: _RANGE[0], theorem.high: _RANGE[1]}
    mean = float(theorem.STANDARD_MEAN.subs(ends))
    width = float(theorem.STANDARD_STD.subs(ends)) if std is None else std
    return float(np.exp(mean + sign * width * _BIAS / _SLOPE))


@exercise(
    "05.2",
    tolerance=1e-3,
    wrong=(
        Mistake(lambda: _closing(std=1.0), "The gate reads the standardised log β: undo it."),
        Mistake(lambda: _closing(sign=1.0), "Check the sign of t at which w't + b' is 0."),
        Mistake(
            lambda: _closing(std=float(np.log(_RANGE[1] / _RANGE[0]))),
            "The width of the range is not its standard deviation.",
        ),
        Mistake(
            lambda: _closing(std=float(np.log(_RANGE[1] / _RANGE[0])) / 2),
            "Half the width of the range is not its standard deviation.",
        ),
        Mistake(lambda: float(np.log(_closing())), "That is log β."),
    ),
)
def closing_beta() -> float:
    """β at which a gate with standardised input closes."""
    return _closing()


def _seven() -> tuple[float, float, float]:
    """Rate, distortion and gap at β = 2 of the best model with seven of eight latents."""
    spectrum, sizes = _digits(), {"noise_variance": 4.0}
    point = lv.Frontier(spectrum, latent_dim=7, **sizes).at_beta(2.0)
    full = lv.Frontier(spectrum, latent_dim=8, **sizes)
    best = full.at_beta(2.0)
    gap = float(full.gap(point.rate, point.distortion, 2.0))
    return float(best.rate - point.rate), float(point.distortion - best.distortion), gap


@exercise(
    "05.3",
    tolerance=1e-4,
    wrong=(
        Mistake(lambda: _seven()[1], "That is the distortion alone: the dead latent saves rate."),
        Mistake(
            lambda: _seven()[1] - _seven()[0], "Rates count β times in the objective, and β is 2."
        ),
        Mistake(lambda: _seven()[2] / 2, "Half of it: is β in both places?"),
        Mistake(lambda: -_seven()[2], "A gap counts upwards from the frontier."),
        Mistake(lambda: _seven()[0], "That is the rate it saves."),
    ),
)
def dead_latent() -> float:
    """Gap at β = 2 of a network for the digits that lacks its weakest mode."""
    return _seven()[2]


def _turned(degrees: float, *, radians: bool = False, refit: bool = True) -> float:
    """Gap at β = 2 with latents 1 and 4 turned against each other."""
    spectrum = _digits()
    optimum = lv.response(spectrum, 2.0, latent_dim=8, noise_variance=4.0)
    angle = degrees if radians else np.deg2rad(degrees)
    turn: NDArray[np.float64] = np.eye(8)
    turn[[0, 3], [0, 3]] = np.cos(angle)
    turn[0, 3], turn[3, 0] = -np.sin(angle), np.sin(angle)
    decoder, mean = optimum.decoder @ turn, spectrum.mean
    vae = encoder_given_decoder(decoder, 2.0, noise_variance=4.0, offset=mean)
    if not refit:
        encoder, variance = optimum.encoder, optimum.posterior_variance
        vae = lv.LinearVAE(encoder, variance, decoder, optimum.noise_variance, mean, mean)
    terms = vae.evaluate(spectrum, 2.0)
    frontier = lv.Frontier(spectrum, latent_dim=8, noise_variance=4.0)
    return float(frontier.gap(terms.rate, terms.distortion, 2.0))


@exercise(
    "05.4",
    tolerance=1e-4,
    wrong=(
        Mistake(
            lambda: _turned(30.0, refit=False),
            "That is with the old encoder: let it follow the turned decoder.",
        ),
        Mistake(lambda: _turned(30.0, radians=True), "30 is in degrees: np.cos wants radians."),
        Mistake(lambda: _turned(60.0) / 2, "Is the plane that of latents 1 and 4?"),
        Mistake(lambda: 0.0, "A rotation of latents is not free: C stays diagonal."),
    ),
)
def rotation() -> float:
    """Gap at β = 2 of two latents turned by 30 degrees, with the best encoder for them."""
    return _turned(30.0)


@exercise(
    "05.5",
    wrong=(
        Mistake(lambda: {"a", "c", "e"}, "Is (a) compatible with an exact lower bound?"),
        Mistake(lambda: {"b", "c", "e"}, "What does mixing two neighbouring modes cost?"),
        Mistake(lambda: {"c", "d", "e"}, "Can one training show what no training can do?"),
        Mistake(lambda: {"e"}, "Look at section 1 again: which weights may the average have?"),
    ),
)
def statements() -> Choices:
    """Which statements about gaps and gates hold."""
    return Choices({"c", "e"}, "abcde")
