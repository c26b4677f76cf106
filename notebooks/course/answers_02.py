"""Right answers of notebook 02, computed by the packages."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import linvae as lv

from .checking import Mistake, exercise
from .kinds import Choices, Expression, Function, Satisfies

SIZES: dict[str, Any] = {"latent_dim": 16, "noise_variance": 4.0}
FEW = lv.Spectrum.from_eigenvalues([6.0, 2.0, 0.5])


def _variances(weight: float, variance: float) -> NDArray[np.float64]:
    model = lv.response(FEW, weight, latent_dim=3, noise_variance=variance)
    return model.posterior_variance


def _of_fixed_decoder() -> NDArray[np.float64]:
    from linvae.response import encoder_given_decoder

    decoder = np.diag(np.sqrt(FEW.eigenvalues))
    return encoder_given_decoder(decoder, 2.0, noise_variance=0.5).posterior_variance


@exercise(
    "02.1",
    tolerance=3e-3,  # three digits are enough for what is done by hand
    wrong=[
        Mistake(lambda: _variances(2.0, 1.0), "Is the water level β, or βσ²?"),
        Mistake(lambda: _variances(1.0, 0.5), "Which β enters the water level?"),
        Mistake(lambda: 1.0 / FEW.eigenvalues, "What is the variance of a collapsed latent?"),
        Mistake(
            lambda: 1.0 - _variances(2.0, 0.5), "That is the share of the mean, not of the noise."
        ),
        Mistake(lambda: np.sqrt(_variances(2.0, 0.5)), "Variances, not standard deviations."),
        Mistake(_of_fixed_decoder, "That decoder is not the one of the joint optimum."),
    ],
)
def posterior_variances() -> NDArray[np.float64]:
    """Posterior variances of the joint optimum."""
    return _variances(2.0, 0.5)


def _symbols() -> tuple[Any, Any, Any]:
    from linvae.symbolic.symbols import beta, lam, s2

    return beta, lam, s2


def _optimum() -> tuple[Any, Any, Any]:
    """Return decoder gain, encoder gain and posterior variance of an active mode."""
    from linvae.symbolic import modes

    parts = (modes.DECODER_GAIN, modes.ENCODER_GAIN, modes.POSTERIOR_VARIANCE)
    gain, read, spread = (part.args[0].expr for part in parts)
    return gain, read, spread


def _decoded_variance(*, noise: bool = True, means: bool = True) -> Any:
    _, lam, _ = _symbols()
    gain, read, spread = _optimum()
    return gain**2 * (int(means) * lam * read**2 + int(noise) * spread)


def _active_points() -> list[dict[str, Any]]:
    import sympy as sp

    half = sp.Rational(1, 2)
    pairs = [(half, half), (2, half), (3, sp.Rational(1, 5)), (1, 2)]
    return [
        {"beta": weight, "sigma2": variance, "lambda": weight * variance * ratio}
        for weight, variance in pairs
        for ratio in (sp.Rational(11, 10), 3, 8)
    ]


@exercise(
    "02.2",
    wrong=[
        Mistake(
            lambda: _decoded_variance(noise=False),
            "That is the variance of the decoded means: z itself has the posterior's noise too.",
        ),
        Mistake(lambda: _decoded_variance(means=False), "The means of z vary over the data too."),
        Mistake(lambda: _symbols()[1], "Is all the variance of the data reconstructed?"),
        Mistake(lambda: _symbols()[1] - _symbols()[0], "Is the water level β, or βσ²?"),
        Mistake(
            lambda: _decoded_variance() + _symbols()[2],
            "The question leaves out the decoder's own noise.",
        ),
    ],
)
def decoded_variance() -> Expression:
    """Variance of decoded draws along an active mode."""
    from sympy import simplify

    return Expression(simplify(_decoded_variance()), at=_active_points())


@cache
def _digits() -> lv.Spectrum:
    from sklearn.datasets import load_digits

    return lv.Spectrum.from_samples(load_digits().data)


@cache
def _frontier() -> lv.Frontier:
    return lv.Frontier(_digits(), **SIZES)


@cache
def _stubborn(weight: float, *, answering: bool = True) -> Any:
    """Terms at β of the decoder for 5, with the encoder for β or that for 5."""
    from linvae.response import encoder_given_decoder

    home = lv.response(_digits(), 5.0, **SIZES)
    at = weight if answering else 5.0
    model = encoder_given_decoder(home.decoder, at, noise_variance=4.0, offset=_digits().mean)
    return model.evaluate(_digits(), weight)


def _excess(weight: float, *, answering: bool = True) -> float:
    terms = _stubborn(weight, answering=answering)
    return float(_frontier().gap(terms.rate, terms.distortion, weight))


def _unweighted(weight: float) -> float:
    terms = _stubborn(weight)
    best = _frontier().at_beta(weight)
    return float(terms.distortion + terms.rate - best.distortion - best.rate)


def _distortion_only(weight: float) -> float:
    return float(_stubborn(weight).distortion - _frontier().at_beta(weight).distortion)


def _always(function: Callable[..., float], **options: bool) -> Callable[[], Any]:
    return lambda: lambda weight: function(weight, **options)


@exercise(
    "02.3",
    tolerance=1e-5,
    wrong=[
        Mistake(_always(_excess, answering=False), "The encoder has to answer the new β."),
        Mistake(_always(_unweighted), "Which weight has the rate in the objective at β?"),
        Mistake(_always(_distortion_only), "The rate differs too, not only the distortion."),
        Mistake(lambda: lambda weight: _stubborn(weight).objective, "Above the joint optimum."),
    ],
)
def excess_of_a_stubborn_decoder() -> Function:
    """Loss above the joint optimum with the decoder for β = 5."""
    return Function(_excess, at=[0.3, 1.0, 3.0, 9.0, 20.0, 60.0])


def _five_are_active(answer: Any) -> bool | str:
    weight = float(answer)
    if not 0.0 < weight < np.inf:
        return "β is a positive number."
    count = int(_frontier().at_beta(weight).active)
    if count == 5:
        return True
    return "Fewer than five are active." if count < 5 else "More than five are active."


@exercise(
    "02.4",
    wrong=[
        Mistake(lambda: float(_frontier().critical_betas[4]), "Fewer than five are active."),
        Mistake(lambda: float(_digits().eigenvalues[4:6].mean()), "Fewer than five are active."),
        Mistake(
            lambda: float(_frontier().critical_betas[5:7].mean()), "More than five are active."
        ),
        Mistake(lambda: 5.0, "More than five are active."),
        Mistake(lambda: -1.0, "β is a positive number."),
    ],
)
def five_latents() -> Satisfies:
    """Any β between two neighbouring critical ones."""
    return Satisfies(_five_are_active, float(_frontier().critical_betas[4:6].mean()))


@exercise(
    "02.5",
    wrong=[
        Mistake(lambda: "ac", "Look for S in the best encoder for a decoder."),
        Mistake(lambda: "bc", "Look for β in the best decoder for an encoder."),
        Mistake(lambda: "cd", "Where was the diagonal C used?"),
        Mistake(lambda: "ce", "What does section 4 say about all parameters?"),
        Mistake(lambda: "", "Evaluate the posterior variance beyond the critical β."),
    ],
)
def statements() -> Choices:
    """Statements that hold."""
    return Choices("c", among="abcde")
