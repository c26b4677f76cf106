"""Right answers of notebook 01, computed by the packages."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

import linvae as lv

from .checking import Mistake, exercise
from .kinds import Choices, Expression

FEW = lv.Spectrum.from_eigenvalues([7.0, 4.0, 2.0, 0.6, 0.4])


@exercise(
    "01.1",
    wrong=[
        Mistake(lambda: FEW.tail_variance(2) / 2, "Half: this convention has no factor ½."),
        Mistake(lambda: FEW.tail_variance(2) / 5, "Summed over dimensions, not averaged."),
        Mistake(
            lambda: FEW.total_variance - FEW.tail_variance(2), "That is what is kept, not lost."
        ),
        Mistake(lambda: FEW.tail_variance(3), "Two dimensions are kept, not three."),
        Mistake(lambda: float(np.sqrt(FEW.tail_variance(2))), "The squared error, not its root."),
    ],
)
def error_of_pca() -> float:
    """Tail of a short spectrum."""
    return FEW.tail_variance(2)


def _mode_likelihood(gain: Any) -> Any:
    """Log-likelihood of one mode for a decoder gain."""
    import sympy as sp

    from linvae.symbolic import information
    from linvae.symbolic.symbols import lam, n, s2

    level = gain**2 + s2
    return information.LOG_LIKELIHOOD.subs(
        {
            n: 1,
            information.logdet_model: sp.log(level),
            information.quadratic_model: lam / level,
        }
    )


def _best_likelihood() -> Any:
    from linvae.symbolic import modes
    from linvae.symbolic.symbols import beta

    return _mode_likelihood(modes.DECODER_GAIN.args[0].expr.subs(beta, 1))


def _without_two_pi() -> Any:
    import sympy as sp

    return _best_likelihood() + sp.log(2 * sp.pi) / 2


@exercise(
    "01.2",
    wrong=[
        Mistake(lambda: -_best_likelihood(), "The sign: a log-likelihood, not a loss."),
        Mistake(lambda: 2 * _best_likelihood(), "Twice too large: where is the ½?"),
        Mistake(_without_two_pi, "The constant with 2π is missing."),
        Mistake(lambda: _mode_likelihood(0), "That is the likelihood of a mode without a latent."),
    ],
)
def largest_likelihood() -> Any:
    """Likelihood of an active mode at its best gain."""
    return Expression(_best_likelihood(), at=_points_with(active=True))


def _points_with(*, active: bool, betas: tuple[Any, ...] = (1,)) -> list[dict[str, Any]]:
    """Return points with λ > βσ² (or below), rational so that no digit is lost."""
    import sympy as sp

    points = []
    for weight in betas:
        for variance in (sp.Rational(1, 3), sp.Rational(5, 4)):
            for ratio in (sp.Rational(6, 5), 2, 7):
                level = weight * variance
                value = level * ratio if active else level / ratio
                points.append({"lambda": value, "sigma2": variance, "beta": weight})
    return points


@cache
def _digits() -> tuple[Any, Any]:
    """Return the spectrum of the digits and their probabilistic PCA with 16 latents."""
    from sklearn.datasets import load_digits

    from linvae.calibrated import calibrated_noise_variance

    spectrum = lv.Spectrum.from_samples(load_digits().data)
    variance = calibrated_noise_variance(spectrum, 1.0, latent_dim=16)
    return spectrum, lv.response(spectrum, 1.0, latent_dim=16, noise_variance=variance)


def _terms(variances: Any) -> Any:
    spectrum, model = _digits()
    return replace(model, posterior_variance=variances).evaluate(spectrum, 1.0)


def _fall(attribute: str) -> float:
    best = _terms(_digits()[1].posterior_variance)
    return float(getattr(best, attribute) - getattr(_terms(np.ones(16)), attribute))


@exercise(
    "01.3",
    wrong=[
        Mistake(lambda: -_fall("elbo"), "By how much does it fall: mind the sign."),
        Mistake(lambda: -_fall("distortion"), "The rate changes too, not only the distortion."),
        Mistake(lambda: _fall("rate"), "The distortion changes too, not only the rate."),
        Mistake(lambda: _fall("elbo") / np.log(2), "In nats, not in bits."),
        Mistake(lambda: _fall("elbo") / 64, "Per image, not per pixel."),
    ],
)
def loss_of_unit_variances() -> float:
    """ELBO lost by posterior variances of one."""
    return _fall("elbo")


def _active_gap() -> Any:
    from linvae.symbolic import information

    return information.MODE_POSTERIOR_GAP.args[0].expr


def _gap_of_variance_only() -> Any:
    import sympy as sp

    from linvae.symbolic.symbols import beta, lam, s2

    ratio = (lam - beta * s2 + s2) * beta / lam
    return (ratio - 1 - sp.log(ratio)) / 2


@exercise(
    "01.4",
    wrong=[
        Mistake(_gap_of_variance_only, "The encoder's mean is not that of the posterior either."),
        Mistake(lambda: 2 * _active_gap(), "Twice too large: where is the ½?"),
        Mistake(lambda: -_active_gap(), "The sign: the likelihood is the larger one."),
        Mistake(lambda: 0, "It is zero only at β = 1: which posterior does the encoder match?"),
    ],
)
def gap_of_a_beta_vae() -> Any:
    """Gap of the bound at the optimum for β, for an active mode."""
    import sympy as sp

    betas = (sp.Rational(1, 4), 1, sp.Rational(7, 2))
    return Expression(_active_gap(), at=_points_with(active=True, betas=betas))


@exercise(
    "01.5",
    wrong=[
        Mistake(lambda: "abc", "One of them forgets that latents can be rotated."),
        Mistake(lambda: "acd", "Can a divergence be negative?"),
        Mistake(lambda: "ace", "Compare the posterior mean with a projection once more."),
        Mistake(lambda: "a", "Where was it used that data are Gaussian?"),
    ],
)
def statements() -> Choices:
    """Statements that hold."""
    return Choices("ac", among="abcde")
