r"""Two layers of latents: the objective of any parameters, from the densities.

*Top-down inference.* z₂ is drawn from q(z₂|x) = N(E₂x, diag c₂), then z₁ from
q(z₁|z₂, x) = N(Fx + Gz₂, diag c₁); the model has p(z₂) = N(0, I), p(z₁|z₂) = N(Az₂, diag s²) and
p(x|z₁) = N(Dz₁, σ²I), data centred. The KL divergence of the joint q from the joint p splits by
the chain rule into

    ℛ₂ = E KL(q(z₂|x) ‖ p(z₂)),      ℛ₁ = E KL(q(z₁|z₂, x) ‖ p(z₁|z₂)).

Write x = Bξ with BBᵀ = S, z₂ = E₂x + √c₂ζ, z₁ = Fx + Gz₂ + √c₁ω; ξ, ζ, ω are independent with
mean 0 and covariance I. All log-densities are quadratic in them, so only these moments enter, and
the objective is the same for all data with covariance S. Averaging term by term gives

    ℛ₂ = ½ Σ [c₂ − 1 − log c₂] + ½ ‖E₂B‖²
    ℛ₁ = ½ Σ [r − 1 − log r] + ½ ‖s⁻¹(F + (G−A)E₂)B‖² + ½ ‖s⁻¹(G−A)√c₂‖²,    r = c₁/s²
    ε  = ‖B − D(F + GE₂)B‖² + ‖DG√c₂‖² + ‖D√c₁‖².

The averages are taken below in the scalar mode and for n = 2, k₁ = 2, k₂ = 1 with free entries;
each matrix formula is a sum of squares of linear forms in (ξ, ζ, ω), one per row, for any size.

*What the rates contain.* For Gaussian data ℛ₂ = I(x; z₂) + KL(q(z₂) ‖ p(z₂)), and, given z₂,
ℛ₁ = I(x; z₁|z₂) + E KL(q(z₁|z₂) ‖ p(z₁|z₂)): a divergence from the prior is the one from the
average posterior plus the divergence of that average. Checked in the scalar mode, where x given z₂
has variance Σ = λc₂/(λe₂² + c₂). Divergences are not negative, so that

    ℛ₂ >= I(x; z₂),      ℛ₁ >= I(x; z₁|z₂).

*Bottom-up inference.* Now q(z₁|x) = N(V₁x, diag t), q(z₂|z₁) = N(V₂z₁, diag c₂). The total KL is
ℛ₁ + ℛ₂ with ℛ₁ = E log q(z₁|x)/p(z₁|z₂) and ℛ₂ = E KL(q(z₂|z₁) ‖ p(z₂)), both averaged over the
joint q. ℛ₁ is no divergence: z₂ is drawn after z₁ and may tell it, and then p(z₁|z₂) beats q(z₁|x).
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from linvae.symbolic import hierarchical as two
from linvae.symbolic.symbols import d, lam, s2
from proofs._branches import show_logarithm
from proofs.argument import Argument, Proof, run

__all__ = ["average", "information", "log_density", "matrix_terms", "prove", "top_down_terms"]

STATEMENT = (
    "The rates, the squared error and the objective of any linear model with two layers of "
    "latents are quadratic closed forms in the mean and covariance of the data."
)

x, zeta, omega = sp.symbols("x zeta omega", real=True)


def log_density(value: Any, mean: Any, variance: Any) -> sp.Expr:
    """Logarithm of a scalar Gaussian density."""
    return -(sp.log(2 * sp.pi * variance) + (value - mean) ** 2 / variance) / 2


def average(expression: Any, moments: dict[sp.Symbol, Any]) -> sp.Expr:
    """Average of a quadratic in independent variables of mean 0, from their variances."""
    polynomial = sp.Poly(sp.expand(expression), *moments)
    total = sp.S.Zero
    for powers, coefficient in polynomial.terms():
        if sum(powers) > 2:
            raise ValueError("only quadratics are averaged")
        if all(power in (0, 2) for power in powers):
            variances = [m for m, power in zip(moments.values(), powers, strict=True) if power]
            total += coefficient * sp.Mul(*variances)
    return total


def top_down_terms() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """−log p(x|z₁), ℛ₁ and ℛ₂ of the scalar mode, averaged from the densities."""
    z2 = two.e2 * x + sp.sqrt(two.c2) * zeta
    mean1 = two.f * x + two.g * z2
    z1 = mean1 + sp.sqrt(two.c1) * omega
    moments = {x: lam, zeta: 1, omega: 1}
    rate2 = log_density(z2, two.e2 * x, two.c2) - log_density(z2, 0, 1)
    rate1 = log_density(z1, mean1, two.c1) - log_density(z1, two.gain * z2, two.scale**2)
    return tuple(average(part, moments) for part in (-log_density(x, d * z1, s2), rate1, rate2))


def bottom_up_terms() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """The same with bottom-up inference."""
    z1 = two.v1 * x + sp.sqrt(two.t) * omega
    z2 = two.v2 * z1 + sp.sqrt(two.c2) * zeta
    moments = {x: lam, zeta: 1, omega: 1}
    rate2 = log_density(z2, two.v2 * z1, two.c2) - log_density(z2, 0, 1)
    rate1 = log_density(z1, two.v1 * x, two.t) - log_density(z1, two.w2 * z2, two.eta2)
    parts = (-log_density(x, two.w1 * z1, s2), rate1, rate2)
    return tuple(average(part, moments) for part in parts)


def information() -> tuple[sp.Expr, sp.Expr, sp.Expr, sp.Expr]:
    """I(x; z₂), KL of the averaged q(z₂), I(x; z₁|z₂), KL of the averaged q(z₁|z₂)."""
    spread = lam * two.e2**2 + two.c2  # of z₂
    left = lam * two.c2 / spread  # of x given z₂
    slope = two.f * lam * two.e2 / spread + two.g  # of E[z₁|z₂]
    own = two.f**2 * left + two.c1  # of z₁ given z₂
    ratio = own / two.scale**2
    apart = (slope - two.gain) ** 2 * spread / two.scale**2
    return (
        sp.log(spread / two.c2) / 2,
        (spread - 1 - sp.log(spread)) / 2,
        sp.log(own / two.c1) / 2,
        (ratio + apart - 1 - sp.log(ratio)) / 2,
    )


def _symbols(name: str, rows: int, columns: int) -> sp.Matrix:
    return sp.Matrix(rows, columns, lambda i, j: sp.Symbol(f"{name}{i}{j}", real=True))


def _positive(name: str, size: int) -> list[sp.Symbol]:
    return [sp.Symbol(f"{name}{i}", positive=True) for i in range(size)]


def _squares(matrix: sp.Matrix) -> sp.Expr:
    return sum((entry**2 for entry in matrix), sp.S.Zero)


def matrix_terms(n: int, k1: int, k2: int) -> list[tuple[sp.Expr, sp.Expr]]:
    """Pairs of ε, ℛ₁, ℛ₂: the average of their definitions, and the matrix formula."""
    B, D, E2 = _symbols("B", n, n), _symbols("D", n, k1), _symbols("E", k2, n)
    F, G, A = _symbols("F", k1, n), _symbols("G", k1, k2), _symbols("A", k1, k2)
    r1, r2, s = _positive("r", k1), _positive("q", k2), _positive("s", k1)  # √c₁, √c₂, s
    names = [f"{letter}{i}" for letter, m in (("x", n), ("y", k2), ("w", k1)) for i in range(m)]
    noise = sp.symbols(" ".join(names), real=True)
    moments = dict.fromkeys(noise, sp.S.One)
    data = B * sp.Matrix(noise[:n])
    z2 = E2 * data + sp.diag(*r2) * sp.Matrix(noise[n : n + k2])
    mean1 = F * data + G * z2
    z1 = mean1 + sp.diag(*r1) * sp.Matrix(noise[n + k2 :])
    rate2 = [log_density(z2[i], (E2 * data)[i], r2[i] ** 2) for i in range(k2)]
    rate2 += [-log_density(z2[i], 0, 1) for i in range(k2)]
    rate1 = [log_density(z1[i], mean1[i], r1[i] ** 2) for i in range(k1)]
    rate1 += [-log_density(z1[i], (A * z2)[i], s[i] ** 2) for i in range(k1)]
    inverse, C1, C2 = sp.diag(*(1 / v for v in s)), sp.diag(*r1), sp.diag(*r2)
    gap = inverse * (F + (G - A) * E2) * B, inverse * (G - A) * C2
    own1 = sum((a / b) ** 2 - 1 - 2 * sp.log(a) + 2 * sp.log(b) for a, b in zip(r1, s, strict=True))
    own2 = sum(v**2 - 1 - 2 * sp.log(v) for v in r2)
    reader = F + G * E2
    return [
        (
            sum(average(v**2, moments) for v in data - D * z1),
            _squares(B - D * reader * B) + _squares(D * G * C2) + _squares(D * C1),
        ),
        (sum(average(v, moments) for v in rate1), (own1 + _squares(gap[0]) + _squares(gap[1])) / 2),
        (sum(average(v, moments) for v in rate2), (own2 + _squares(E2 * B)) / 2),
    ]


def _split(argument: Argument) -> None:
    show_logarithm(argument)
    mutual2, average2, mutual1, average1 = information()
    argument.equal(
        "ℛ₂ = I(x; z₂) + KL(q(z₂) ‖ p(z₂))",
        sp.expand_log(two.TOP_DOWN_RATE2),
        sp.expand_log(mutual2 + average2, force=True),
    )
    argument.equal(
        "ℛ₁ = I(x; z₁|z₂) + E KL(q(z₁|z₂) ‖ p(z₁|z₂))",
        sp.expand_log(two.TOP_DOWN_RATE1),
        sp.expand_log(mutual1 + average1),
    )
    value, ratio = sp.Symbol("v", positive=True), sp.Symbol("rho", positive=True)
    argument.zero(
        "KL(q(z₂) ‖ p(z₂)) is φ(v)/2 of the variance v of z₂, hence >= 0",
        average2.subs(two.c2, value - lam * two.e2**2) - (value - 1 - sp.log(value)) / 2,
    )
    slack = 2 * average1 - (ratio - 1 - sp.log(ratio)).subs(
        ratio, (two.f**2 * lam * two.c2 / (lam * two.e2**2 + two.c2) + two.c1) / two.scale**2
    )
    argument.nonnegative("and the other is φ/2 plus a square over s², hence >= 0", slack)


def prove() -> Proof:
    """Derive the objective of both inference models."""
    argument = Argument("hierarchical.objective", STATEMENT)
    for text, terms, constants in (
        (
            "top-down",
            top_down_terms(),
            (two.TOP_DOWN_SQUARED_ERROR, two.TOP_DOWN_RATE1, two.TOP_DOWN_RATE2),
        ),
        (
            "bottom-up",
            bottom_up_terms(),
            (two.BOTTOM_UP_SQUARED_ERROR, two.BOTTOM_UP_RATE1, two.BOTTOM_UP_RATE2),
        ),
    ):
        error = 2 * s2 * terms[0] - s2 * sp.log(2 * sp.pi * s2)
        for name, got, want in zip(("ε", "ℛ₁", "ℛ₂"), (error, *terms[1:]), constants, strict=True):
            argument.zero(
                f"{text}, one mode: {name} by averaging the densities",
                sp.expand(sp.expand_log(sp.expand(got - want))),
            )
    argument.equal(
        "and the objectives are 𝒟 + β₁ℛ₁ + β₂ℛ₂ up to ½ log 2πσ², top-down",
        two.TOP_DOWN_OBJECTIVE,
        two.TOP_DOWN_SQUARED_ERROR / (2 * s2)
        + two.beta1 * two.TOP_DOWN_RATE1
        + two.beta2 * two.TOP_DOWN_RATE2,
    )
    argument.equal(
        "and bottom-up",
        two.BOTTOM_UP_OBJECTIVE,
        two.BOTTOM_UP_SQUARED_ERROR / (2 * s2)
        + two.beta1 * two.BOTTOM_UP_RATE1
        + two.beta2 * two.BOTTOM_UP_RATE2,
    )
    for (got, want), name in zip(matrix_terms(2, 2, 1), ("ε", "ℛ₁", "ℛ₂"), strict=True):
        argument.zero(
            f"matrices with n = 2, k₁ = 2, k₂ = 1: {name}",
            sp.expand(sp.expand_log(sp.expand(got - want))),
        )
    _split(argument)
    told = {two.v1: 0, two.v2: 1, two.w2: 1, two.c2: two.eta2 / 2, two.t: 16 * two.eta2}
    argument.positive(
        "bottom-up ℛ₁ < 0 for w₂v₂ = 1, c₂ = η₂²/2, t = 16η₂²: it is no divergence",
        -sp.simplify(two.BOTTOM_UP_RATE1.subs(told)),
    )
    return argument.done(
        functions=(
            "linvae.hierarchical.HierarchicalVAE.evaluate",
            "linvae.hierarchical.bottom_up.BottomUpVAE.evaluate",
        ),
        properties=(
            "tests/linvae/test_hierarchical_vae.py::test_top_down_terms_of_any_parameters",
            "tests/linvae/test_hierarchical_vae.py::test_bottom_up_terms_of_any_parameters",
            "tests/linvae/test_symbolic_hierarchical.py::test_top_down_terms_to_many_digits",
        ),
        optimisations=(
            "tests/linvae/test_hierarchical_vae.py::test_the_evidence_bound_is_not_passed",
        ),
    )


if __name__ == "__main__":
    run(prove)
