r"""What β is in a measured loss.

.. math:: a\,\varepsilon + b\,\mathcal R = 2\sigma^2 a \Bigl(\frac{\varepsilon}{2\sigma^2}
          + \beta \mathcal R\Bigr), \qquad \beta = \frac{b}{2\sigma^2 a}

for a squared error ε; β = b / a for a cross-entropy; β = b s / a for an absolute error and a
Laplace density of scale s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, product

import numpy as np

from ._measure import Measured, Scaling

__all__ = ["LIKELIHOODS", "Asked", "Scales", "scales_of"]

# Likelihood -> the formula its loss has.
LIKELIHOODS: Mapping[str, tuple[str, ...]] = {
    "gaussian": ("squared", "log-of-all"),
    "bernoulli": ("bce",),
    "bernoulli-logits": ("bce-logits",),
    "laplace": ("absolute",),
    "continuous-bernoulli": ("continuous-bernoulli",),
}
_SYMBOLS = {"batch": "N", "features": "n", "latents": "k"}
# Departures that leave no single price of a nat.
_NO_WEIGHT = {"uneven", "kl-target", "kl-clipped-above"}
# Sizes that are often written into a loss: pixels of known images, sides, batch and data sizes.
_WRITTEN = (784, 1024, 3072, 4096, 12288, 16384, 49152, 28, 32, 64, 100, 128, 256, 512, 1000,
            10000, 50000, 60000)  # fmt: skip
# Nats per latent that a right KL may have too many: its -1, or the 2π of one of its densities.
_RESTS = tuple(
    half + two_pi
    for two_pi in (0.0, np.log(2 * np.pi) / 2, -np.log(2 * np.pi) / 2)
    for half in (0.0, 0.5)
)


@dataclass(frozen=True)
class Asked:
    """What the user says the loss is: β, σ² and likelihood, the last two perhaps unknown."""

    beta: float
    noise_variance: float | None
    likelihood: str | None


@dataclass(frozen=True)
class Scales:
    """A loss in the library's terms: scale · (distortion + beta · rate) + constant.

    Attributes
    ----------
    beta : float
        Effective β at the sizes probed.
    formula : str
        The same with N, n and k.
    noise_variance : float or None
        To which it belongs; None where there is none.
    scale : float
        In front of distortion + β · rate, averaged over the batch.
    verdict : str
        ``""`` when it is what was asked, else the code of the mistake that explains it.
    written : float or None
        A number found in the loss that is the size of well-known data.
    correction : str
        What to multiply the KL term by.
    powers : mapping
        Sizes on which β depends -> exponent.
    stated : bool
        Whether σ² was read off the normalising constant of the Gaussian in the loss.
    """

    beta: float
    formula: str
    noise_variance: float | None
    scale: float
    verdict: str
    written: float | None
    correction: str
    powers: Mapping[str, float]
    stated: bool = False


def _near(close: float, one: float, other: float) -> bool:
    return bool(abs(one - other) <= close * abs(other))


def _units(name: str, variance: float | None) -> tuple[float, ...]:
    """Coefficients that the right reconstruction term may have, by likelihood."""
    if name == "squared":
        return (0.5, 1.0) if variance is None else (0.5 / variance,)
    if name == "absolute" and variance is not None:
        return (float(np.sqrt(2 / variance)),)
    return (1.0,)


def _hypotheses(name: str, asked: Asked) -> Iterator[tuple[str, float, float]]:
    """(code, reconstruction, KL) coefficients of the right loss and of known mistakes."""
    beta, v = asked.beta, asked.noise_variance
    for right in _units(name, v):
        yield "", right, beta
    for right in _units(name, v):
        yield "beta-ignored", right, 1.0
        yield "beta-applied-twice", right, beta**2
        yield "beta-inverted", right, 1 / beta
        yield "beta-inverted", right * beta, 1.0
        yield "kl-half-missing", right, 2 * beta
        if name == "squared" and v is not None:
            yield "half-missing", 2 * right, beta
            yield "noise-variance-forgotten", 0.5, beta
            yield "noise-variance-forgotten", 1.0, beta
            yield "standard-deviation-for-variance", 0.5 / np.sqrt(v), beta
            yield "noise-variance-inverted", v / 2, beta
        yield "bits-for-nats", right, beta / np.log(2)
        yield "bits-for-nats", right / np.log(2), beta


def _verdict(
    name: str,
    asked: Asked,
    pair: tuple[float, float],
    fixed: Mapping[str, int],
    close: float,
    stated: bool,
) -> tuple[str, float | None]:
    """The first explanation that fits both coefficients, or else their ratio.

    Where the loss states its σ², the reconstruction is right by that: a ratio alone says nothing.
    """
    (a, b), known = pair, list(_hypotheses(name, asked))
    if any(code == "" and _near(close, b / a, kl / right) for code, right, kl in known):
        return "", None
    for exact, (code, right, kl) in product((True,) if stated else (True, False), known):
        alike = (
            _near(close, a, right) and _near(close, b, kl)
            if exact
            else _near(close, b / a, kl / right)
        )
        if alike:
            return code, None
    # Where ½ and no ½ are both right, the one that is there comes first.
    rights = sorted((k for k in known if k[0] == ""), key=lambda k: not _near(close, a, k[1]))
    expected = [kl / right for _, right, kl in rights]
    excess = [b / a / one for one in expected]
    for what, size in fixed.items():
        for off, sign in product(excess, (1, -1)):
            if _near(close, off, float(size) ** sign):
                return _by_size(what, sign), float(size)
    for off, size, sign in product(excess, _WRITTEN, (1, -1)):
        if _near(close, off, float(size) ** sign):
            return "beta-not-as-declared", float(size)
    return "beta-not-as-declared", None


def _by_size(what: str, sign: int) -> str:
    if what == "features":
        return "reconstruction-averaged-over-features" if sign > 0 else "kl-divided-by-features"
    return "kl-averaged-over-latents" if sign < 0 else "kl-multiplied-by-latents"


def _power_text(powers: Mapping[str, float], sign: int = 1) -> str:
    text = ""
    for what, power in powers.items():
        exponent = sign * power
        if exponent:
            mark = "·" if exponent > 0 else "/"
            size = abs(exponent)
            text += f" {mark} {_SYMBOLS[what]}" + ("" if size == 1 else f"^{size:.3g}")
    return text


def _calibrated(found: Measured, scaling: Scaling) -> Scaling:
    """A batch-wide log is n/2 times N samples: the coefficient of one sample's distortion."""
    n, batch = found.layout.n_features, found.layout.batch
    exponents = {w: e - (w != "latents") for w, e in scaling.exponents.items()}
    factor = scaling.factor
    for what, size in (("features", n), ("batch", batch)):
        if what not in exponents:
            factor /= size
    return Scaling(2 * scaling.value / (n * batch), exponents, 2 * factor)


def scales_of(found: Measured, asked: Asked) -> Scales | None:
    """β and scale in the library's terms; None when one of the terms is missing or unknown."""
    a, b, ratio = found.reconstruction_scale, found.latent_scale, found.ratio
    if a is None or b is None or ratio is None or found.interaction or not a.value or not b.value:
        return None
    name = found.reconstruction.fit.name
    broken = {i.name for t in (found.reconstruction, found.latent) for i in t.irregularities}
    if name not in chain(*LIKELIHOODS.values()) or broken & _NO_WEIGHT:
        return None
    if name == "log-of-all":
        a = _calibrated(found, a)
    powers = {w: b.exponents.get(w, 0.0) - e for w, e in a.exponents.items()}
    powers = {w: p for w, p in powers.items() if abs(p) > 1e-2}
    sizes = {"features": found.layout.n_features, "latents": found.layout.latents}
    fixed = {w: size for w, size in sizes.items() if w not in a.exponents}
    pair = abs(a.factor), abs(b.factor)
    constant = _stated_variance(found, asked, a, b)
    if constant is not None:
        asked = replace(asked, noise_variance=constant)
    stated = constant is not None
    verdict, written = _verdict(name, asked, pair, fixed, found.close, stated)
    variance = _variance(name, asked, pair, written, found.close)
    unit = _units(name, variance)[0]
    per_unit = b.factor / a.factor * unit
    beta = b.value / a.value * unit
    scale = a.value * found.layout.batch / unit
    formula = f"{per_unit:.6g}{_power_text(powers)}"
    factor = asked.beta / abs(per_unit)
    factor = 1.0 if _near(found.close, factor, 1.0) else factor
    correction = _correction(factor, powers, (scale < 0, b.value < 0))
    if any(power != round(power) for power in powers.values()):
        formula = f"{beta:.6g} at {found.layout.describe()}, with no simple dependence on them"
        correction = "reduce both terms in the same way"
    return Scales(beta, formula, variance, scale, verdict, written, correction, powers, stated)


def _stated_variance(found: Measured, asked: Asked, a: Scaling, b: Scaling) -> float | None:
    r"""σ² of a Gaussian with its normalising constant, n/2 log(2πσ²) at a = 1/(2σ²), or None."""
    if found.reconstruction.fit.name != "squared" or asked.noise_variance is not None:
        return None
    if not found.constants or a.factor <= 0:
        return None
    # A factor in front of the whole loss, such as 1 / log 2 for bits: β is then as declared.
    for factor in (1.0, abs(b.factor) / asked.beta):
        variance = factor / (2 * a.factor)
        for density in (np.log(2 * np.pi * variance) / 2, np.log(variance) / 2):
            if any(_constant_is(found, (a, b), factor * density, rest) for rest in _RESTS):
                return float(variance)
    return None


def _constant_is(
    found: Measured, terms: tuple[Scaling, Scaling], density: float, rest: float
) -> bool:
    """Whether the constant is that density per feature and `rest` of the KL's weight per latent."""
    if abs(density) < 1e-6:
        return False  # no constant at all is none that states anything
    close = max(1e-6, 30 * found.reconstruction.fit.misfit)  # less in single precision
    for (batch, n, k), value in found.constants.items():
        sizes = {"batch": batch, "features": n, "latents": k}
        scales = []
        for term in terms:
            known = float(np.prod([sizes[w] ** e for w, e in term.exponents.items()]))
            scales.append(batch * known)
        expected = scales[0] * n * density + scales[1] * k * rest * terms[1].factor
        if not abs(value - expected) <= close * abs(expected):
            return False
    return True


def _correction(factor: float, powers: Mapping[str, float], negative: tuple[bool, bool]) -> str:
    """What makes the weight, and the signs, those that were asked for."""
    number = "" if factor == 1 else f"{factor:.6g}"
    size = f"{number or 1}{_power_text(powers, -1)}"
    if not number and size.startswith("1 · "):
        size = size.removeprefix("1 · ")
    weight = "" if size == "1" else f"the KL term by {size}"
    if negative == (False, True):
        return f"multiply the KL term by -1 · ({size})" if weight else "multiply the KL term by -1"
    signs = {(True, True): "the loss by -1", (True, False): "the reconstruction term by -1"}
    parts = [part for part in (signs.get(negative, ""), weight) if part]
    return "multiply " + " and ".join(parts) if parts else "none: the KL weight is right"


def _variance(
    name: str, asked: Asked, pair: tuple[float, float], written: float | None, close: float
) -> float | None:
    """σ² in which β is stated: the declared one, else the one of ½ and 1 that suits the loss."""
    if name not in ("squared", "absolute"):
        return None
    if asked.noise_variance is not None or name == "absolute":
        return asked.noise_variance
    a, b = pair
    if written is not None:  # the one at which β is off by exactly that number
        for right in _units(name, None):
            off = b / a * right / asked.beta
            if _near(close, off, written) or _near(close, 1 / off, written):
                return 0.5 / right
    if _near(close, b / a, asked.beta) or (
        _near(close, a, 1.0) and not _near(close, b / a, 2 * asked.beta)
    ):
        return 0.5
    return 1.0
