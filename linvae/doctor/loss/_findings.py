"""From what was measured of a loss to what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from linvae.doctor.examination import Finding

from ._latent import UNSEEN, Irregularity, Term
from ._measure import Measured
from ._scales import LIKELIHOODS, Asked, Scales
from ._texts import finding

__all__ = ["WORDS", "clamp_bounds", "compare_evaluation", "findings_of"]

WORDS = {
    "squared": "squared error",
    "bce": "binary cross-entropy of probabilities",
    "bce-logits": "binary cross-entropy of logits",
    "absolute": "absolute error",
    "continuous-bernoulli": "continuous Bernoulli of probabilities",
    "log-of-all": "squared error with the batch's best noise variance",
    "bce-swapped": "cross-entropy with exchanged arguments",
    "bce-one-sided": "one half of a cross-entropy",
    "sigmoid-squared": "squared error of sigmoid(x_hat)",
    "sigmoid-bce": "cross-entropy with a sigmoid too many",
    "root-of-all": "root of the squared error",
    "norm-per-sample": "norm of each sample's error",
    "combination": "a mixture of errors",
    "unknown": "not recognised",
    "none": "missing",
    "faint": "too small beside the reconstruction to be read",
    "kl": "KL of N(mean, exp(log_var)) to N(0, 1)",
    "log-std": "KL with log_var read as log standard deviation",
    "log-precision": "KL with log_var read as log precision",
    "variance": "KL with log_var read as variance",
    "std": "KL with log_var read as standard deviation",
    "reversed": "KL from the prior to the posterior",
    "prior-variance": "KL to a prior of another variance",
}
_READINGS = {
    "log-std": "log-variance-read-as-log-std",
    "log-precision": "log-variance-read-as-log-precision",
    "variance": "log-variance-read-as-variance",
    "std": "log-variance-read-as-std",
    "reversed": "kl-reversed",
}
_MISTAKEN = {
    "bce-swapped": "cross-entropy-arguments-swapped",
    "bce-one-sided": "cross-entropy-one-sided",
    "sigmoid-bce": "sigmoid-twice",
}
_WITHOUT_GRADIENT = {
    "x_hat": "reconstruction-gradient-missing",
    "mean": "mean-gradient-missing",
    "log_var": "log-variance-gradient-missing",
}
_NO_DEFAULTS: Mapping[str, float] = MappingProxyType({})
# Clamps outside are out of the way of training.
_SAFE_LOWER, _SAFE_UPPER = -8.0, 2.0


def findings_of(
    found: Measured,
    asked: Asked,
    scales: Scales | None,
    defaults: Mapping[str, float] = _NO_DEFAULTS,
) -> list[Finding]:
    """Everything that is wrong relative to what was asked, or to any VAE.

    `defaults` are the numbers that parameters of the loss have when they are not given.
    """
    if found.latent is UNSEEN:
        return [_unrepeatable(found)]
    # Draws that average out to a right loss are no fault.
    result = [_unrepeatable(found)] if found.repeats == "drifting" else []
    if found.interaction:
        result.append(finding("terms-interact", interaction=found.interaction))
    result += _signs(found)
    terms = zip((found.reconstruction, found.latent), found.per_sample, strict=True)
    one_sample = [_rescaled(term, factor) for term, factor in terms]
    result += _latent(one_sample[1], defaults)
    result += _reconstruction(one_sample[0], asked)
    result += _gradients(found)
    if scales is not None:
        standard = found.latent.fit.name != "prior-variance"
        result += _weights(scales, asked, standard, defaults)
    result += _parts(found)
    return result


def _unrepeatable(found: Measured) -> Finding:
    values = found.repeat_values
    if found.repeats == "random":
        return finding("loss-is-random", smallest=min(values), largest=max(values))
    return finding("loss-changes-with-each-call", first=values[0], last=values[-1])


def _rescaled(term: Term, factor: float) -> Term:
    """The coefficients of a mixture in front of the sums over one sample."""
    c = {name: factor * value for name, value in term.fit.coefficients.items()}
    scale = term.fit.scale * (factor if c and term.fit.name == "prior-variance" else 1.0)
    return replace(term, fit=replace(term.fit, coefficients=c, scale=scale))


def _gradients(found: Measured) -> Iterator[Finding]:
    missing, ratios = set(found.gradients.missing), found.gradients.ratios
    if {"mean", "log_var"} <= missing:
        missing -= {"mean", "log_var"}
        yield finding("kl-gradient-missing")
    for name in sorted(missing):
        yield finding(_WITHOUT_GRADIENT[name])
    # Of a loss that draws, an estimator may have another gradient of the same expectation.
    if ratios and not found.noise:
        yield finding("gradient-differs", inputs=" and ".join(ratios),
                      ratios=", ".join(f"{value:.4g}" for value in ratios.values()))  # fmt: skip


def _signs(found: Measured) -> Iterator[Finding]:
    a, b = found.reconstruction.fit.scale, found.latent.fit.scale
    scales = {"reconstruction_scale": a, "kl_scale": b}
    if a < 0 and b < 0:
        yield finding("loss-is-the-elbo", **scales)
    elif b < 0:
        yield finding("kl-sign", **scales)
    elif a < 0:
        yield finding("reconstruction-sign", **scales)


def _latent(term: Term, defaults: Mapping[str, float]) -> Iterator[Finding]:
    name = term.fit.name
    if name == "none":
        yield _noted(finding("kl-missing"), _with_defaults(defaults))
    elif name in _READINGS:
        yield finding(_READINGS[name], kl_scale=term.fit.scale, misfit=term.fit.misfit)
    elif name == "prior-variance":
        square = term.fit.coefficients["mean²"]
        variance = term.fit.scale / (2 * square)
        yield finding("kl-prior-not-standard", prior_variance=variance, kl_scale=term.fit.scale,
                      **term.fit.coefficients)  # fmt: skip
    elif name == "combination":
        yield _formula(term)
    known = list(_pressure(term.irregularities))
    yield from known
    if name == "unknown" and not known:
        yield finding("kl-not-recognised")


def _formula(term: Term) -> Finding:
    c = term.fit.coefficients
    text = " ".join(f"{value:+.4g} {name}" for name, value in c.items())
    right = {"mean²": 1.0, "exp(log_var)": 1.0, "log_var": -1.0}
    if set(c) < set(right):
        units = [value / right[name] for name, value in c.items()]
        if np.allclose(units, units[0], rtol=1e-2):
            missing = " and ".join(name for name in right if name not in c)
            return finding("kl-term-missing", missing=missing, **c)
    return finding("kl-formula", formula=text, **c)


def _pressure(irregularities: tuple[Irregularity, ...]) -> Iterator[Finding]:
    names = {
        "uneven": "kl-uneven",
        "couples-samples": "kl-couples-samples",
        "couples-columns": "kl-couples-latents",
        "couples-all": "kl-aggregate-term",
        "kl-clipped-above": "kl-clipped",
        "free-bits": "free-bits",
        "kl-target": "kl-target",
    }
    bounds = clamp_bounds(irregularities)
    if bounds[0] > _SAFE_LOWER or bounds[1] < _SAFE_UPPER:
        softly = any(item.evidence.get("softly") for item in irregularities)
        how = "squashed softly to about" if softly else "clamped to"
        yield finding("log-variance-clamped", lower=bounds[0], upper=bounds[1], how=how)
    for item in irregularities:
        if item.name in names:
            yield finding(names[item.name], **_filled(item.evidence, "latents"))


def clamp_bounds(irregularities: tuple[Irregularity, ...]) -> tuple[float, float]:
    """Bounds within which log_var is clamped; infinite where it is not."""
    lower, upper = -np.inf, np.inf
    for item in irregularities:
        lower = item.evidence.get("lower_bound", lower)
        upper = item.evidence.get("upper_bound", upper)
    return float(lower), float(upper)


def _filled(evidence: dict[str, Any], noun: str) -> dict[str, Any]:
    """Evidence with a clause that says which entries are left out."""
    if "holds_at_larger_sizes" in evidence:
        return {**evidence, "detail": "it holds at small sizes only"}
    if "samples_without_effect" in evidence:
        counts = {"samples": evidence["samples_without_effect"],
                  noun: evidence["columns_without_effect"]}  # fmt: skip
        probed = {"samples": evidence["samples_probed"], noun: evidence["columns_probed"]}
        silent = [f"{n} of {probed[what]} {what}" for what, n in counts.items() if n]
        detail = " and ".join(silent) + " have no effect" if silent else "the weights differ"
        return {**evidence, "detail": detail}
    return evidence


def _reconstruction(term: Term, asked: Asked) -> Iterator[Finding]:
    name = term.fit.name
    evidence = {"misfit": term.fit.misfit, "reconstruction_scale": term.fit.scale}
    if name == "none":
        yield finding("reconstruction-missing")
    elif name in _MISTAKEN:
        yield finding(_MISTAKEN[name], **evidence)
    elif name in ("root-of-all", "norm-per-sample"):
        where = "of the whole batch" if name == "root-of-all" else "of each sample"
        yield finding("reconstruction-under-a-root", where=where, **evidence)
    elif name == "sigmoid-squared":
        yield finding("output-squashed", **evidence)
    elif name == "combination":
        parts = (f"{value:.4g} x {WORDS[part]}" for part, value in term.fit.coefficients.items())
        yield finding("reconstruction-mixed", mixture=" + ".join(parts))
    else:
        yield from _declared(name, asked)
    known = list(_entries(term.irregularities))
    yield from known
    if name == "unknown" and not known:
        yield finding("reconstruction-not-recognised", closest_misfit=term.fit.misfit)


def _declared(name: str, asked: Asked) -> Iterator[Finding]:
    """Another likelihood than the declared one; a declared σ² declares a density."""
    wanted = asked.likelihood
    if wanted is None and asked.noise_variance is not None:
        wanted = "gaussian"
    if wanted is None or name == "unknown":
        return
    fitted = name == "log-of-all" and asked.noise_variance is not None
    if name in LIKELIHOODS[wanted] and not fitted:
        return
    yield finding("likelihood-not-as-declared", is_in_words=WORDS[name],
                  declared_in_words=WORDS[LIKELIHOODS[wanted][0]])  # fmt: skip


def _entries(irregularities: tuple[Irregularity, ...]) -> Iterator[Finding]:
    names = {
        "uneven": "reconstruction-uneven",
        "couples-samples": "reconstruction-couples-samples",
        "couples-columns": "reconstruction-couples-features",
        "couples-all": "reconstruction-couples-samples",
        "clipped": "reconstruction-clipped",
    }
    for item in irregularities:
        yield finding(names[item.name], **_filled(item.evidence, "features"))


def _with_defaults(defaults: Mapping[str, float]) -> str:
    """Parameters that were left at their defaults may be what sets the weight."""
    named = ", ".join(f"{name}={value:g}" for name, value in defaults.items())
    return f"or it is 0 at the default {named}: examine it at the final value" if named else ""


def _noted(item: Finding, cause: str = "", remedy: str = "") -> Finding:
    """The finding with one more likely cause, or one more remedy."""
    causes = "; ".join(part for part in (item.cause, cause) if part)
    remedies = "; ".join(part for part in (item.remedy, remedy) if part)
    return replace(item, cause=causes, remedy=remedies)


def _weights(
    scales: Scales, asked: Asked, standard: bool, defaults: Mapping[str, float]
) -> Iterator[Finding]:
    """Reductions; and the constants, where the KL is the usual one up to a factor."""
    evidence = {
        "effective_beta": scales.beta,
        "effective_beta_formula": scales.formula,
        "declared_beta": asked.beta,
        "correction": scales.correction,
    }
    for what, power in scales.powers.items():
        yield finding(_power_code(what, power), change=2.0**power, **evidence)
    odd = any(power != round(power) for power in scales.powers.values())
    if scales.verdict and standard and not odd:
        note = ""
        if scales.written is not None:
            note = f": off by the number {scales.written:g}, which seems to stand in the code"
        item = finding(scales.verdict, **evidence, note=note)
        own = [f"{name} has the default {value:g}" for name, value in defaults.items()
               if np.isclose(value, abs(scales.beta), rtol=3e-3)]  # fmt: skip
        if own:
            item = replace(item, cause=f"the parameter {own[0]}")
        yield _noted(item, remedy=_or_variance(scales, asked))


def _or_variance(scales: Scales, asked: Asked) -> str:
    """Where σ² was not declared and nothing states it, another σ² makes the same loss right."""
    if asked.noise_variance is not None or scales.stated or scales.noise_variance is None:
        return ""
    variance = scales.noise_variance * abs(scales.beta) / asked.beta
    return (
        f"or, if the decoder's noise variance is {variance:.6g}, declare it: nothing else is wrong"
    )


def _power_code(what: str, power: float) -> str:
    if what == "batch":
        return "batch-size-changes-beta"
    known = {
        ("features", 1.0): "reconstruction-averaged-over-features",
        ("features", -1.0): "kl-divided-by-features",
        ("latents", -1.0): "kl-averaged-over-latents",
        ("latents", 1.0): "kl-multiplied-by-latents",
    }
    return known.get((what, power), f"{what}-change-beta")


def _parts(found: Measured) -> Iterator[Finding]:
    parts = found.parts
    if parts is None:
        return
    names = {"reconstruction_name": parts.names[0], "kl_name": parts.names[1]}
    if not parts.adds_up and not found.interaction:
        yield finding("total-is-not-its-parts", **names, misfit=parts.misfit)
    if parts.kl_value < -1e-3 * parts.kl_expected:
        yield finding("reported-kl-sign", **names, reported=parts.kl_value,
                      expected=parts.kl_expected)  # fmt: skip


def compare_evaluation(
    training: Measured, evaluation: Measured, scales: tuple[Scales | None, Scales | None]
) -> Iterator[Finding]:
    """What changes from the training loss to the evaluation loss."""
    if evaluation.repeats == "drifting" or evaluation.latent is UNSEEN:
        yield finding("evaluation-changes")
        return
    forms = [_form(training), _form(evaluation)]
    if forms[0] != forms[1]:
        yield finding("evaluation-differs", training_form=forms[0], evaluation_form=forms[1])
        return
    one, two = scales
    if one is None or two is None:
        return
    if training.ratio is None or evaluation.ratio is None:
        return
    close = max(training.close, evaluation.close)
    if abs(evaluation.ratio.value - training.ratio.value) > close * abs(training.ratio.value):
        beta = one.beta * evaluation.ratio.value / training.ratio.value
        yield finding("evaluation-beta-differs", training_beta=one.beta, evaluation_beta=beta)


def _form(found: Measured) -> str:
    if found.latent is UNSEEN:
        return "nothing repeatable"
    pair = (WORDS[found.reconstruction.fit.name], WORDS[found.latent.fit.name])
    extra = sorted(
        item.name
        for term in (found.reconstruction, found.latent)
        for item in term.irregularities
        if not item.name.startswith(("log-variance-clamped", "kl-faint"))
    )
    return f"{pair[0]} + {pair[1]}" + (f" ({', '.join(extra)})" if extra else "")
