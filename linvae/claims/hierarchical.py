"""Claims about two layers of latents: who carries what, and when the second layer is empty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from linvae._validation import FloatArray
from linvae.frontier import Frontier
from linvae.hierarchical import HierarchicalFrontier
from linvae.hierarchical.bottom_up import BottomUpFrontier

from .types import Check, Claim, Setting, judged

__all__ = ["HIERARCHICAL_CLAIMS"]

_ROUNDING = 1e-11
_RATIO = 0.1  # s/A of copied modes: their excess is far above rounding
_SIZES = (1e-4, 1e-2, 1.0)


def _weights(setting: Setting) -> list[tuple[float, float]]:
    """Either layer the cheaper one, and both alike; from the least to the largest β.

    More than twelve decades between the two leave nothing of one layer beside the other.
    """
    high = float(setting.betas[-1])
    near = setting.betas[setting.betas >= 1e-12 * high]
    low, middle = float(near[0]), float(near[near.size // 2])
    return [(high, low), (middle, low), (high, middle), (low, high), (middle, middle)]


def _scale(setting: Setting, weights: tuple[float, float], terms: Any) -> float:
    """Sum of the absolute terms of the objective: the unit of its rounding errors."""
    spectrum, variance, k = setting.spectrum, setting.noise_variance, setting.latent_dim
    size = abs(0.5 * spectrum.n_features * np.log(2 * np.pi * variance))
    size += spectrum.total_variance / (2 * variance)
    size += weights[0] * (k + abs(float(terms.rate1))) + weights[1] * (k + float(terms.rate2))
    return float(size)


def _moved(setting: Setting, model: Any, learned: tuple[str, ...]) -> Iterator[Any]:
    """The model with the named parameters changed at random, by small steps and large ones."""
    rng = np.random.default_rng(4)
    for size in _SIZES:
        changed = {field.name: getattr(model, field.name) for field in fields(model)}
        for name in learned:
            value = changed[name]
            noise = rng.standard_normal(value.shape)
            if "variance" in name:
                changed[name] = value * np.exp(size * noise)
                continue
            if value.shape[1] == setting.spectrum.n_features and name != "decoder":
                noise = setting.visible(noise)
            changed[name] = value + size * noise * np.abs(value).max()
        yield type(model)(**changed)


def _one_layer(setting: Setting, latents: int, beta: float) -> float:
    """Least objective of one layer with so many latents."""
    curve = Frontier(setting.spectrum, latent_dim=latents, noise_variance=setting.noise_variance)
    return float(curve.at_beta(beta).objective)


def _assignment(setting: Setting, claim: Claim) -> Check:
    spectrum, k = setting.spectrum, setting.latent_dim
    room = max(1, k // 2)
    variance = setting.noise_variance
    curve = HierarchicalFrontier(spectrum, latent_dims=(k, room), noise_variance=variance)
    learned = ("encoder1", "encoder2", "skip", "prior_gain", "decoder", "variance1", "variance2")
    worst = 0.0
    for beta1, beta2 in _weights(setting):
        points = curve.at(beta1, beta2)
        scale, best = _scale(setting, (beta1, beta2), points), float(points.objective)
        # Telescoped out of one-layer frontiers: the modes of z₂ move from β₁ to β₂.
        want, copied = _one_layer(setting, k, beta1), 0.0
        if beta2 < beta1:
            want += _one_layer(setting, room, beta2) - _one_layer(setting, room, beta1)
            critical = spectrum.leading_eigenvalues(room) / variance
            copied = 0.5 * _RATIO**2 * float(np.maximum(critical - beta2, 0.0).sum())
        model = curve.model(beta1, beta2, ratio=_RATIO)
        reached = float(model.evaluate(spectrum, beta1, beta2).objective)
        worst = max(worst, abs(best - want) / scale, abs(reached - best - copied) / scale)
        worst = max(worst, float(bool(points.attained) != (copied == 0)))
        for other in _moved(setting, model, (*learned, "prior_variance")):
            gain = best - float(other.evaluate(spectrum, beta1, beta2).objective)
            worst = max(worst, gain / scale)
    return judged(
        claim,
        worst,
        _ROUNDING,
        "relative error of the infimum and of the excess of models that approach it, or gain of "
        "other models",
    )


def _bottom_up(setting: Setting, claim: Claim) -> Check:
    worst = 0.0
    learned = ("encoder1", "encoder2", "prior_gain", "decoder", "variance2")
    for given in (0.1, 2.0, None):
        curve = BottomUpFrontier(
            setting.spectrum,
            latent_dims=(setting.latent_dim, max(1, setting.latent_dim // 2)),
            noise_variance=setting.noise_variance,
            encoder_variance=given,
        )
        names = learned if given is not None else (*learned, "variance1")
        for weights in _weights(setting):
            points = curve.at(*weights)
            endless = given is None and weights[1] < weights[0]
            if bool(points.bounded) == endless:
                worst = max(worst, 1.0)
                continue
            if endless:
                worst = max(worst, _descent(setting, curve, weights))
                continue
            scale, best = _scale(setting, weights, points), float(points.objective)
            if given is None:
                flat = _one_layer(setting, setting.latent_dim, weights[0])
                worst = max(worst, abs(best - flat) / scale)
            model = curve.model(*weights)
            reached = float(model.evaluate(setting.spectrum, *weights).objective)
            worst = max(worst, abs(reached - best) / scale)
            for other in _moved(setting, model, names):
                gain = best - float(other.evaluate(setting.spectrum, *weights).objective)
                worst = max(worst, gain / scale)
    return judged(claim, worst, _ROUNDING, "relative error of the optimum, or gain of other models")


def _descent(setting: Setting, curve: BottomUpFrontier, weights: tuple[float, float]) -> float:
    """Relative error of ½ min(k₁, k₂) (β₁ − β₂) nats per e-fold of the variance of z₁."""
    room = min(curve.latent_dims)
    variances: FloatArray = np.exp([2.0, 3.0, 4.0])
    terms = [
        curve.model(*weights, signal=float(a)).evaluate(setting.spectrum, *weights)
        for a in variances
    ]
    falls = -np.diff([float(t.objective) for t in terms])
    scale = max(_scale(setting, weights, t) for t in terms)
    return float(np.abs(falls - 0.5 * room * (weights[0] - weights[1])).max() / scale)


HIERARCHICAL_CLAIMS = (
    Claim(
        "hierarchical",
        "With two layers of latents the leading modes ride in the cheaper layer, each layer at its "
        "own water level; with the second layer cheaper and not empty this is an infimum, never "
        "reached.",
        _assignment,
    ),
    Claim(
        "hierarchical.bottom-up",
        "With bottom-up inference and given first-layer variance every mode has one optimum and "
        "closed thresholds in both layers; with learned variance the second layer is empty for "
        "β₂ > β₁, free at β₂ = β₁, and the objective unbounded below for β₂ < β₁.",
        _bottom_up,
    ),
)
