"""Right answers and typical mistakes of notebook 09, two layers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from sklearn.datasets import load_digits

import linvae as lv
from linvae.hierarchical import HierarchicalFrontier
from linvae.hierarchical.bottom_up import BottomUpFrontier
from linvae.symbolic import hierarchical as two
from linvae.symbolic.symbols import beta, lam, s2

from .checking import Mistake, exercise
from .kinds import Choices, Expression, Satisfies

__all__: list[str] = []


@cache
def _spectrum() -> lv.Spectrum:
    return lv.Spectrum.from_samples(load_digits().data)


@cache
def _digits(latent_dims: tuple[int, int] = (16, 4)) -> HierarchicalFrontier:
    return HierarchicalFrontier(_spectrum(), latent_dims=latent_dims, noise_variance=4.0)


def _upper_rate(beta1: float, beta2: float, noise_variance: float = 2.0) -> float:
    source = lv.Spectrum.from_eigenvalues([12.0])
    curve = HierarchicalFrontier(source, latent_dims=(1, 1), noise_variance=noise_variance)
    return float(curve.at(beta1, beta2).rate2)


@exercise(
    "09.1",
    tolerance=3e-3,  # three digits are enough for what is done by hand
    wrong=(
        Mistake(lambda: 2 * _upper_rate(3.0, 1.5), "Where is the ½ of a Gaussian's rate?"),
        Mistake(
            lambda: _upper_rate(6.0, 3.0), "That is the rate at the weight of the other layer."
        ),
        Mistake(lambda: _upper_rate(3.0, 1.5, 1.0), "The water level is β₂σ², not β₂."),
        Mistake(lambda: 0.0, "Which of the two layers is the cheaper one?"),
        Mistake(lambda: _upper_rate(3.0, 1.5) / np.log(2), "In nats, please, not in bits."),
    ),
)
def _rate_by_hand() -> float:
    return _upper_rate(3.0, 1.5)


def _cost(weight: sp.Expr, active: bool = True) -> sp.Expr:
    """What a mode costs in a layer of this weight, above the water level or not."""
    branch = two.MODE_OPTIMUM.args[0 if active else 1][0]
    return branch.subs(beta, weight)


def _places() -> list[dict[str, sp.Expr]]:
    """Points with λ > β₁σ² > β₂σ²."""
    rng = np.random.default_rng(9)
    points = []
    for low, more, variance, above in rng.integers(20, 400, (12, 4)):
        beta2, sigma2 = sp.Rational(int(low), 100), sp.Rational(int(variance), 100)
        beta1 = beta2 + sp.Rational(int(more), 100)
        eigenvalue = beta1 * sigma2 + sp.Rational(int(above), 100)
        points.append({"beta1": beta1, "beta2": beta2, "sigma2": sigma2, "lambda": eigenvalue})
    return points


@exercise(
    "09.2",
    wrong=(
        Mistake(
            lambda: _cost(two.beta2) - _cost(two.beta1), "The sign: by how much does it *fall*?"
        ),
        Mistake(
            lambda: (two.beta1 - two.beta2) * sp.log(lam) / 2,
            "That is the part that depends on λ; the errors and the levels count as well.",
        ),
        Mistake(
            lambda: (
                (
                    two.beta1 * sp.log(lam / (two.beta1 * s2))
                    - two.beta2 * sp.log(lam / (two.beta2 * s2))
                )
                / 2
            ),
            "Only the rates were compared. The squared errors differ, too.",
        ),
        Mistake(
            lambda: _cost(two.beta1, active=False) - _cost(two.beta2),
            "That is what it saves against riding in neither layer.",
        ),
        Mistake(lambda: 2 * (_cost(two.beta1) - _cost(two.beta2)), "Twice too much: a missing ½."),
    ),
)
def _worth_of_a_place() -> Any:
    return Expression(_cost(two.beta1) - _cost(two.beta2), at=_places())


@cache
def _beta2_of_ten_nats(latents: int, noise_variance: float = 4.0) -> float:
    upper = lv.Frontier(_spectrum(), latent_dim=latents, noise_variance=noise_variance)
    return float(upper.at_rate(10.0).beta)


@exercise(
    "09.3",
    wrong=(
        Mistake(lambda: _beta2_of_ten_nats(16), "z₂ has only four latents."),
        Mistake(lambda: _beta2_of_ten_nats(4, 1.0), "That is the water level: divide by σ²."),
        Mistake(
            lambda: float(_digits().at_rates(10.0, 10.0).beta1),
            "That is the other weight of the point with ten nats in both layers.",
        ),
    ),
    tolerance=1e-4,
)
def _ten_nats_above() -> float:
    return _beta2_of_ten_nats(4)


def _has_four_and_six(answer: Any) -> bool | str:
    beta1, beta2 = (float(weight) for weight in answer)
    carrier = _digits().at(beta1, beta2).carrier
    upper, lower = int((carrier == 2).sum()), int((carrier == 1).sum())
    if beta1 == beta2:
        return "At equal weights it is not determined who carries what."
    if not upper and lower:
        return "z₂ is empty: which layer is the cheaper one?"
    if upper != 4:
        return "z₂ does not carry four modes: is the fourth above its water level?"
    if lower != 6:
        return f"z₂ carries four modes, but z₁ carries {'more' if lower > 6 else 'fewer'} than six."
    return True


@exercise(
    "09.4",
    wrong=(
        Mistake(lambda: (4.0, 4.0)),
        Mistake(lambda: (1.0, 4.0)),
        Mistake(lambda: (4.0, 1.0)),
        Mistake(lambda: tuple(_digits().critical_betas[[5, 3]] - 0.01)),
        Mistake(lambda: (1e3, 100.0)),
    ),
)
def _weights_to_order() -> Any:
    critical = _digits().critical_betas
    middle = float(np.sqrt(critical[9] * critical[10]))
    return Satisfies(_has_four_and_six, right=(middle, middle / 2))


@exercise(
    "09.5",
    wrong=(
        Mistake(lambda: set("abc"), "a: what is priced when both weights are 1?"),
        Mistake(lambda: set("bcd"), "d: what does everything pass through on its way to the data?"),
        Mistake(lambda: set("bce"), "e: look at the last column of the bottom-up table again."),
        Mistake(lambda: set("c"), "b: a minimum or an infimum?"),
    ),
)
def _which_hold() -> Any:
    return Choices(_true_statements(), among="abcde")


@cache
def _true_statements() -> frozenset[str]:
    """Decide every statement on the digits."""
    spectrum, curve = _spectrum(), _digits()
    one = lv.Frontier(spectrum, latent_dim=16, noise_variance=4.0).at_beta(1.0).objective
    upward = BottomUpFrontier(spectrum, latent_dims=(16, 4), noise_variance=4.0)
    even, wide = (_digits(sizes).at(4.0, 1.0).objective for sizes in ((4, 4), (4, 6)))
    held = {
        "a": bool(curve.at(1.0, 1.0).objective < one - 1e-9),
        "b": not bool(curve.at(4.0, 1.0).attained),
        "c": bool(curve.at(1.0, 4.0).rate2 == 0),
        "d": bool(wide < even - 1e-9),
        "e": bool(np.isfinite(upward.at(4.0, 1.0).objective)),
    }
    return frozenset(letter for letter, holds in held.items() if holds)
