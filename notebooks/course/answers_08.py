"""Right answers and typical mistakes of notebook 08, σ against β."""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp
from sklearn.datasets import load_digits

import linvae as lv
from deep.objectives.conventions import effective_beta
from linvae.budget import error_of_psnr
from linvae.errors import UnboundedObjectiveError
from linvae.symbolic import calibrated
from linvae.symbolic.symbols import lam, m, n, s2, tau

from .checking import Mistake, exercise
from .kinds import Choices

__all__: list[str] = []


@cache
def _spectrum() -> lv.Spectrum:
    return lv.Spectrum.from_samples(load_digits().data)


def _beta_of_mean(features: int, weight: float, variance: float) -> float:
    """β of a squared error averaged over the features plus a summed KL."""
    read = effective_beta(
        "mean_squared_error", features, 16, kl_weight=weight, noise_variance=variance
    )
    return float(read.beta)


@exercise(
    "08.1",
    wrong=(
        Mistake(lambda: 2 * _beta_of_mean(64, 0.03, 3.0), "Twice too large: where is the ½ of 𝒟?"),
        Mistake(
            lambda: _beta_of_mean(1, 0.03, 3.0),
            "That is the β of a summed squared error; this one is averaged over the pixels.",
        ),
        Mistake(lambda: _beta_of_mean(64, 0.03, 1.0), "That is the water level b/(2a)."),
        Mistake(
            lambda: _beta_of_mean(64, 0.03, 3.0) / 16,
            "The KL is summed over the latents: is it divided by their number?",
        ),
        Mistake(lambda: 0.03, "The number in front of the KL is not β yet."),
        Mistake(lambda: 64 * _beta_of_mean(64, 0.03, 3.0), "The mean was counted twice."),
    ),
)
def _read_a_loss() -> float:
    return _beta_of_mean(64, 0.03, 3.0)


@exercise(
    "08.2",
    wrong=(
        Mistake(lambda: lam / s2, "That is the critical β of a fixed σ²; here σ² moves with β."),
        Mistake(
            lambda: calibrated.STRAIGHT_BETA, "That is the slope n/m of a straight segment (T = 0)."
        ),
        Mistake(
            lambda: calibrated.JOIN_BETA.subs(calibrated.tail, calibrated.tail + lam),
            "λ is counted twice: T is the variance outside all m modes.",
        ),
        Mistake(
            lambda: calibrated.JOIN_BETA.subs(m, m - 1),
            "With m − 1 modes active, λ belongs to the variance outside them.",
        ),
        Mistake(lambda: calibrated.BETA_AT_LEVEL, "Which value has τ when the mode dies?"),
        Mistake(lambda: calibrated.JOIN_BETA / n, "Where is the number of dimensions?"),
    ),
)
def _where_a_mode_dies() -> sp.Expr:
    return calibrated.BETA_AT_LEVEL.subs(tau, lam)


@cache
def _first_without_optimum(beta: float) -> int:
    """Fewest latents for which no σ² is optimal at β; 0 if there are none."""
    for size in range(1, _spectrum().n_features + 1):
        try:
            lv.CalibratedFrontier(_spectrum(), latent_dim=size).noise_variance(beta)
        except UnboundedObjectiveError:
            return size
    return 0


@exercise(
    "08.3",
    wrong=(
        Mistake(
            lambda: _first_without_optimum(1.0),
            "That many latents hold all variance. Which other condition is there?",
        ),
        Mistake(
            lambda: int(_spectrum().n_features / 1.25) + 1,
            "That n − mβ is positive concerns the active modes, not the latents there are.",
        ),
        Mistake(lambda: _spectrum().n_features, "Three pixels never change. What is the rank?"),
    ),
)
def _how_many_latents() -> int:
    return _first_without_optimum(1.25)


@cache
def _beta_at_psnr(data_range: float, calibrate: bool = True, pixels: int = 64) -> float:
    spectrum = _spectrum()
    error = float(error_of_psnr(19.0, data_range, pixels))
    level = lv.Frontier(spectrum, latent_dim=16, noise_variance=1.0).at_squared_error(error)
    if not calibrate:
        return float(level.beta)
    curve = lv.CalibratedFrontier(spectrum, latent_dim=16)
    return float(curve.at_water_level(level.water_level).beta)


@cache
def _beta_of_all_latents() -> float:
    """β at 19 dB of a calibrated decoder with as many latents as pixels."""
    spectrum = _spectrum()
    error = float(error_of_psnr(19.0, 16.0, 64))
    level = lv.Frontier(spectrum, latent_dim=64, noise_variance=1.0).at_squared_error(error)
    return float(lv.CalibratedFrontier(spectrum, latent_dim=64).at_water_level(level.beta).beta)


@exercise(
    "08.4",
    wrong=(
        Mistake(
            lambda: _beta_at_psnr(16.0, calibrate=False),
            "That is the water level, the β of σ² = 1. Here σ² is calibrated.",
        ),
        Mistake(lambda: _beta_of_all_latents(), "How many latents are there?"),
        Mistake(lambda: _beta_at_psnr(16.0) / 64, "σ² is the error per pixel, not the summed one."),
    ),
    tolerance=1e-4,
)
def _budget_in_decibels() -> float:
    return _beta_at_psnr(16.0)


@exercise(
    "08.5",
    wrong=(
        Mistake(lambda: set("abde"), "c: σ² = ε/n. What does ε do when β grows?"),
        Mistake(lambda: set("abc"), "d: what is 𝒟 at σ² = ε/n, as a function of ε?"),
        Mistake(lambda: set("acd"), "b: by which factor do the eigenvalues grow?"),
        Mistake(lambda: set("abcde"), "e: which β makes the objective the negative ELBO?"),
    ),
)
def _which_hold() -> Any:
    return Choices(_true_statements(), among="abcde")


@cache
def _true_statements() -> frozenset[str]:
    """Decide every statement on the digits."""
    spectrum = _spectrum()
    twice = lv.Spectrum.from_samples(2 * load_digits().data)
    curve = lv.CalibratedFrontier(spectrum, latent_dim=16)
    models = [
        lv.response(spectrum, beta, latent_dim=16, noise_variance=variance)
        for beta, variance in ((2.0, 4.0), (8.0, 1.0))
    ]
    maps = [model.decoder @ model.encoder for model in models]
    counts = [
        int(lv.Frontier(data, latent_dim=16, noise_variance=4.0).at_beta(beta).active)
        for data, beta in ((spectrum, 5.0), (twice, 20.0))
    ]
    points = curve.at_beta([0.5, 1.0, 2.0, 4.0, 8.0])
    elbo = -(points.distortion + points.rate)
    held = {
        "a": bool(abs(maps[0] - maps[1]).max() < 1e-12),
        "b": counts[0] == counts[1],
        "c": bool((points.noise_variance[1:] > points.noise_variance[:-1]).all()),
        "d": bool(((points.distortion[1:] > points.distortion[:-1])
                   == (points.squared_error[1:] > points.squared_error[:-1])).all()),
        "e": bool(elbo[2] >= elbo[1]),
    }  # fmt: skip
    return frozenset(letter for letter, holds in held.items() if holds)
