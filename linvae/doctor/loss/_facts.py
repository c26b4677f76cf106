"""What was measured of a loss, as names and numbers, whether or not anything is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np

from ._findings import WORDS, clamp_bounds
from ._latent import UNSEEN
from ._measure import Measured, Scaling
from ._scales import Asked, Scales
from ._texts import plain

__all__ = ["facts_of"]

_OVER = {"batch": "batch", "features": "features", "latents": "latents"}


def facts_of(found: Measured, asked: Asked, scales: Scales | None) -> dict[str, Any]:
    """Forms, scales, reductions, constants and the effective β with its correction."""
    facts: dict[str, Any] = {
        "probed_with": found.layout.describe(),
        "repeatable": found.repeats == "same",
        "declared_beta": asked.beta,
        "declared_noise_variance": asked.noise_variance,
        "effective_beta": None if scales is None else scales.beta,
    }
    if found.latent is UNSEEN:
        return facts
    for name, term, scaling, sizes in (
        ("reconstruction", found.reconstruction, found.reconstruction_scale, ("batch", "features")),
        ("kl", found.latent, found.latent_scale, ("batch", "latents")),
    ):
        facts[name] = WORDS[term.fit.name]
        facts[f"{name}_misfit"] = term.fit.misfit
        if scaling is not None and term.fit.name != "none":
            facts[f"{name}_factor"] = scaling.factor
            facts[f"{name}_reduction"] = _reduction(scaling, sizes)
    facts["gradients"] = _gradients(found)
    if found.noise:
        facts["draws"] = "it draws random numbers: the same in each call, averaged over samples"
        facts["noise_of_draws"] = found.noise
    facts["terms_add_up"] = not found.interaction
    lower, upper = clamp_bounds(found.latent.irregularities)
    if np.isfinite(lower):
        facts["log_var_clamped_below"] = lower
    if np.isfinite(upper):
        facts["log_var_clamped_above"] = upper
    if any(item.evidence.get("softly") for item in found.latent.irregularities):
        facts["kl_agrees"] = "for small log_var; large ones are squashed softly"
    if any(item.name == "kl-faint" for item in found.latent.irregularities):
        facts["kl_formula_read"] = "no: rounding or noise hides it; its weight is that of mean²"
    if scales is not None:
        facts |= _in_our_terms(scales, asked)
        facts |= _constant(found, scales, asked)
    return plain(facts | _reported(found))


def _gradients(found: Measured) -> str:
    gradients = found.gradients
    if not gradients.examined:
        return "not examined: the loss gives none here"
    if gradients.missing:
        return f"missing for {', '.join(gradients.missing)}"
    if not gradients.compared:
        return "not compared: the values move too little or are too rough"
    if found.noise:
        return f"not zero for {', '.join(gradients.compared)}"
    if gradients.ratios:
        return f"not those of the values for {', '.join(gradients.ratios)}"
    whole = len(gradients.compared) == 3
    return "those of the values" + ("" if whole else f" for {', '.join(gradients.compared)}")


def _reduction(scaling: Scaling, sizes: tuple[str, str]) -> str:
    """Sum or mean over each size; other sizes only where they matter."""
    words = []
    for what in _OVER:
        if what not in scaling.exponents:
            if what in sizes:
                words.append(f"number of {what} fixed")
            continue
        power = scaling.exponents[what]
        usual = {0.0: f"sum over {_OVER[what]}", -1.0: f"mean over {_OVER[what]}"}
        if what in sizes and power in usual:
            words.append(usual[power])
        elif power:
            words.append(f"times the number of {what} to the power {power:.3g}")
    return ", ".join(words)


def _in_our_terms(scales: Scales, asked: Asked) -> dict[str, Any]:
    family = (
        "" if scales.noise_variance is None else f" at noise variance {scales.noise_variance:g}"
    )
    facts: dict[str, Any] = {
        "effective_beta_formula": scales.formula,
        "noise_variance": scales.noise_variance,
        **({"noise_variance_stated": "by the constant of the Gaussian"} if scales.stated else {}),
        "loss_scale": scales.scale,
        "in_words": f"loss = {scales.scale:.6g} x (distortion + {scales.beta:.6g} x rate) + "
        f"constant{family}, in nats, averaged over the batch",
        "correction": scales.correction,
    }
    if scales.noise_variance is not None and scales.beta > 0 and not scales.stated:
        # The same loss, read as one with the declared β.
        facts["noise_variance_if_beta_is_declared"] = (
            scales.noise_variance * scales.beta / asked.beta
        )
    return facts


def _known_constants(variance: float, beta: float) -> dict[str, Callable[[int, int], float]]:
    """Constants a correct loss may carry, in nats per sample, as functions of n and k."""
    densities = {
        "none": 0.0,
        "n/2 log(2 π σ²), the whole Gaussian": np.log(2 * np.pi * variance) / 2,
        "n/2 log σ² (the 2π is left out)": np.log(variance) / 2,
        "n/2 log(2 π) (σ² is left out)": np.log(2 * np.pi) / 2,
    }
    kls = {"": 0.0, "k/2 in the KL (its -1 is left out)": beta / 2}

    def sized(per_feature: float, per_latent: float) -> Callable[[int, int], float]:
        return lambda n, k: per_feature * n + per_latent * k

    found = {}
    for (one, c), (two, d) in product(densities.items(), kls.items()):
        words = two if one == "none" and two else one + (f"; and {two}" if two else "")
        found[words] = sized(float(c), float(d))
    return found


def _constant(found: Measured, scales: Scales, asked: Asked) -> dict[str, Any]:
    if not found.constants:
        return {"constant": "depends on x, or is not known"}
    scale = dict.fromkeys(_OVER, 0.0) | dict(_exponents(found))
    first = next(iter(found.constants))
    per_sample = {}
    for (batch, n, k), value in found.constants.items():
        change = (batch / first[0]) ** (1 + scale["batch"]) * (n / first[1]) ** scale["features"]
        change *= (k / first[2]) ** scale["latents"]
        per_sample[(batch, n, k)] = value / (scales.scale * change)
    facts: dict[str, Any] = {"constant_nats_per_sample": per_sample[first]}
    left = {(n, k): value for (_, n, k), value in per_sample.items()}
    for words, formula in _known_constants(scales.noise_variance or 1.0, scales.beta).items():
        if all(abs(v - formula(n, k)) <= 2e-3 * max(1.0, abs(v)) for (n, k), v in left.items()):
            return facts | {"constant": words}
    return facts | {"constant": "of no usual form"}


def _exponents(found: Measured) -> Mapping[str, float]:
    return {} if found.reconstruction_scale is None else found.reconstruction_scale.exponents


def _reported(found: Measured) -> dict[str, Any]:
    """What the parts of a mapping are, next to the KL in nats per sample."""
    if found.parts is None:
        return {}
    one, two = found.parts.names
    return {
        "total_is": f"{found.parts.weights[0]:.6g} x {one} + {found.parts.weights[1]:.6g} x {two}"
        if found.parts.adds_up
        else "not made of the reported parts",
        f"reported_{two}_per_nat": found.parts.kl_value / found.parts.kl_expected,
    }
