r"""The formulas a loss may be made of, and the fit that tells which one it is.

The right latent term of one latent of one sample is

.. math:: \mathrm{KL} = \tfrac12 (\mu^2 + e^s - 1 - s), \qquad s = \log \sigma_z^2,

and the other readings are what common mistakes make of it. Every formula gives the sum over the
batch, and the features or latents; a mean is the same formula with another scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from types import MappingProxyType

import numpy as np

from linvae._validation import FloatArray

__all__ = [
    "BASIS",
    "LATENT",
    "RECONSTRUCTION",
    "Fit",
    "Formula",
    "best_formula",
    "fit_scale",
    "sparse_coefficients",
]

Formula = Callable[[FloatArray, FloatArray], float]

# A misfit below this share of what the probes moved is rounding, not another formula.
_SHARE = 1e-4
# And so many rounding units of the numbers themselves.
_UNITS = 30


def _total(formula: Callable[[FloatArray, FloatArray], FloatArray]) -> Formula:
    def summed(first: FloatArray, second: FloatArray) -> float:
        return float(np.sum(formula(first, second)))

    return summed


def _squares(x: FloatArray, y: FloatArray) -> FloatArray:
    """Squared error of each sample, (N,)."""
    return np.asarray(((x - y) ** 2).reshape(len(x), -1).sum(axis=1))


def _cross_entropy(x: FloatArray, p: FloatArray) -> FloatArray:
    return -x * np.log(p) - (1 - x) * np.log1p(-p)


def _log_normaliser(p: FloatArray) -> FloatArray:
    """Log of the constant that makes p^x (1 − p)^(1 − x) a density on [0, 1]."""
    away = np.where(np.abs(1 - 2 * p) < 1e-4, 0.5 - 1e-4, p)
    return np.asarray(np.log(2 * np.arctanh(1 - 2 * away) / (1 - 2 * away)))


def _sigmoid(value: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-value)))


LATENT: Mapping[str, Formula] = MappingProxyType(
    {
        "kl": _total(lambda m, s: (m**2 + np.exp(s) - 1 - s) / 2),
        "log-std": _total(lambda m, s: (m**2 + np.exp(2 * s) - 1 - 2 * s) / 2),
        "log-precision": _total(lambda m, s: (m**2 + np.exp(-s) - 1 + s) / 2),
        "reversed": _total(lambda m, s: (s + (1 + m**2) * np.exp(-s) - 1) / 2),
        "variance": _total(lambda m, s: (m**2 + s - 1 - np.log(s)) / 2),
        "std": _total(lambda m, s: (m**2 + s**2 - 1 - 2 * np.log(s)) / 2),
    }
)

# What a wrong latent formula may still be a combination of.
BASIS: Mapping[str, Formula] = MappingProxyType(
    {
        "mean²": _total(lambda m, s: m**2),
        "exp(log_var)": _total(lambda m, s: np.exp(s)),
        "log_var": _total(lambda m, s: s),
        "exp(2 log_var)": _total(lambda m, s: np.exp(2 * s)),
        "exp(log_var / 2)": _total(lambda m, s: np.exp(s / 2)),
        "exp(-log_var)": _total(lambda m, s: np.exp(-s)),
        "log_var²": _total(lambda m, s: s**2),
        "|mean|": _total(lambda m, s: np.abs(m)),
        "mean": _total(lambda m, s: m),
    }
)

RECONSTRUCTION: Mapping[str, Formula] = MappingProxyType(
    {
        "squared": _total(lambda x, y: (x - y) ** 2),
        "bce": _total(_cross_entropy),
        "bce-logits": _total(lambda x, y: np.logaddexp(0, y) - x * y),
        "absolute": _total(lambda x, y: np.abs(x - y)),
        "continuous-bernoulli": _total(lambda x, y: _cross_entropy(x, y) - _log_normaliser(y)),
        "log-of-all": _total(lambda x, y: np.log(np.sum(_squares(x, y)))),
        "bce-swapped": _total(lambda x, y: _cross_entropy(y, x)),
        "bce-one-sided": _total(lambda x, y: -x * np.log(y)),
        "sigmoid-squared": _total(lambda x, y: (x - _sigmoid(y)) ** 2),
        "sigmoid-bce": _total(lambda x, y: np.logaddexp(0, _sigmoid(y)) - x * _sigmoid(y)),
        "root-of-all": _total(lambda x, y: np.sqrt(np.sum(_squares(x, y)))),
        "norm-per-sample": _total(lambda x, y: np.sqrt(_squares(x, y))),
    }
)


@dataclass(frozen=True)
class Fit:
    """A formula held against measured values: values = scale · formula + constant(s).

    Attributes
    ----------
    name : str
        Of the formula.
    scale : float
        In front of it.
    misfit : float
        Largest deviation, as a share of the spread of the values.
    good : bool
        Whether the deviation is rounding.
    coefficients : mapping
        Of a combination of several terms; empty for one formula.
    """

    name: str
    scale: float
    misfit: float
    good: bool
    coefficients: Mapping[str, float] = field(default_factory=dict)


def _centred(values: FloatArray, groups: FloatArray) -> FloatArray:
    """Values minus the mean of their group: what depends on the group alone is free."""
    result = values.copy()
    for group in np.unique(groups):
        result[groups == group] -= values[groups == group].mean()
    return result


def _judge(
    residual: FloatArray, centred: FloatArray, largest: float, unit: float
) -> tuple[float, bool]:
    spread = float(np.abs(centred).max())
    deviation = float(np.abs(residual).max())
    misfit = deviation / spread if spread > 0 else np.inf
    return misfit, bool(deviation <= _SHARE * spread + _UNITS * unit * largest and misfit < 0.05)


def fit_scale(
    name: str, values: FloatArray, formula: FloatArray, groups: FloatArray, unit: float
) -> Fit:
    """Least-squares scale of one formula, with a free constant for each group of probes."""
    if not (np.isfinite(values).all() and np.isfinite(formula).all()):
        return Fit(name, np.nan, np.inf, False)
    target, basis = _centred(values, groups), _centred(formula, groups)
    norm = float(basis @ basis)
    if norm <= 0:
        return Fit(name, np.nan, np.inf, False)
    scale = float(basis @ target) / norm
    misfit, good = _judge(target - scale * basis, target, float(np.abs(values).max()), unit)
    return Fit(name, scale, misfit, good)


def best_formula(
    formulas: Mapping[str, Formula],
    values: FloatArray,
    pairs: list[tuple[FloatArray, FloatArray]],
    groups: FloatArray,
    unit: float,
) -> Fit:
    """The formula with the smallest misfit."""
    fits = []
    # Formulas are tried outside their domains, too: a variance may be drawn negative.
    with np.errstate(all="ignore"):
        for name, formula in formulas.items():
            predicted = np.array([formula(*pair) for pair in pairs])
            fits.append(fit_scale(name, values, predicted, groups, unit))
    return min(fits, key=lambda fit: fit.misfit)


def sparse_coefficients(
    basis: Mapping[str, Formula],
    values: FloatArray,
    pairs: list[tuple[FloatArray, FloatArray]],
    groups: FloatArray,
    unit: float,
    most: int = 4,
) -> Fit | None:
    """The combination of the fewest basis formulas that explains the values, if there is one."""
    table = {name: np.array([f(*pair) for pair in pairs]) for name, f in basis.items()}
    columns = {n: _centred(c, groups) for n, c in table.items() if np.isfinite(c).all()}
    if not np.isfinite(values).all():
        return None
    target, largest = _centred(values, groups), float(np.abs(values).max())
    for size in range(1, most + 1):
        found = []
        for names in combinations(columns, size):
            design = np.stack([columns[name] for name in names], axis=1)
            weights = np.linalg.lstsq(design, target, rcond=None)[0]
            misfit, good = _judge(target - design @ weights, target, largest, unit)
            if good:
                coefficients = dict(zip(names, map(float, weights), strict=True))
                found.append(Fit("combination", np.nan, misfit, True, coefficients))
        if found:
            return min(found, key=lambda fit: fit.misfit)
    return None
