r"""Two layers of latents: the objective of any parameters, from the densities.

All matrices are of any size n, k₁, k₂, all offsets are free, and the data are any with mean μ and
covariance S. The decoder is p(x|z₁) = N(Dz₁ + m, σ²I), the prior p(z₂) = N(0, I) and
p(z₁|z₂) = N(Az₂ + a, M) with M = diag s² (bottom-up: A is W₂, M is diag η₂², D is W₁, σ is η₁).

*Top-down inference.* z₂ is drawn from q(z₂|x) = N(E₂(x − mₑ) + h₂, C₂), then z₁ from
q(z₁|z₂, x) = N(F(x − mₑ) + Gz₂ + h₁, C₁). The KL divergence of the joint q from the joint p splits
by the chain rule into

    ℛ₂ = E KL(q(z₂|x) ‖ p(z₂)),      ℛ₁ = E KL(q(z₁|z₂, x) ‖ p(z₁|z₂)).

Write x = μ + ξ, z₂ = E₂(x − mₑ) + h₂ + ζ, z₁ = F(x − mₑ) + Gz₂ + h₁ + ω; ξ, ζ, ω have mean 0, the
covariances S, C₂, C₁, and are uncorrelated. A log-density is ½ of its constants and of a quadratic
form, (z − b)ᵀM⁻¹(z − b) = tr M⁻¹(z − b)(z − b)ᵀ. So only these moments enter the averages, and the
objective is the same for all data with mean μ and covariance S. With the means
m₂ = E₂(μ − mₑ) + h₂ and m₁ = F(μ − mₑ) + Gm₂ + h₁, multiplying out and averaging word by word gives

    ℛ₂ = ½ [tr C₂ − k₂ − log det C₂ + tr E₂SE₂ᵀ + ‖m₂‖²]
    ℛ₁ = ½ [tr M⁻¹C₁ − k₁ + log det M − log det C₁ + tr M⁻¹(F + HE₂)S(F + HE₂)ᵀ + tr M⁻¹HC₂Hᵀ
            + (m₁ − Am₂ − a)ᵀM⁻¹(m₁ − Am₂ − a)],    H = G − A
    ε  = tr (I − DR)S(I − DR)ᵀ + tr D(GC₂Gᵀ + C₁)Dᵀ + ‖μ − m − Dm₁‖²,    R = F + GE₂.

*Bottom-up inference.* Now q(z₁|x) = N(V₁(x − mₑ) + h₁, T), q(z₂|z₁) = N(V₂z₁ + h₂, C₂). The total
KL is ℛ₁ + ℛ₂ with ℛ₁ = E log q(z₁|x)/p(z₁|z₂) and ℛ₂ = E KL(q(z₂|z₁) ‖ p(z₂)), both averaged over
the joint q. With Y = V₁SV₁ᵀ + T, m₁ = V₁(μ − mₑ) + h₁, m₂ = V₂m₁ + h₂, J = I − W₂V₂:

    ℛ₂ = ½ [tr C₂ − k₂ − log det C₂ + tr V₂YV₂ᵀ + ‖m₂‖²]
    ℛ₁ = ½ [log det M − log det T − k₁ + tr M⁻¹(JYJᵀ + W₂C₂W₂ᵀ)
            + (m₁ − W₂m₂ − a)ᵀM⁻¹(m₁ − W₂m₂ − a)]
    ε  = tr (I − W₁V₁)S(I − W₁V₁)ᵀ + tr W₁TW₁ᵀ + ‖μ − m − W₁m₁‖².

ℛ₁ is no divergence: z₂ is drawn after z₁ and may tell it, and then p(z₁|z₂) beats q(z₁|x).

*One mode.* Where all matrices are diagonal in the eigenvectors of S (rectangular ones too) and the
offsets are at the mean, traces and log-determinants are sums over modes, and each mode has the same
formulas with numbers for matrices. These are the expressions of the library.

*What top-down rates contain.* For Gaussian data let Y = E₂SE₂ᵀ + C₂ be the covariance of z₂,
K = SE₂ᵀY⁻¹ and V = S − KE₂S. x − μ − K(z₂ − m₂) is uncorrelated with z₂, hence independent of it,
and its covariance is V. So q(z₁|z₂) = N(m₁ + (FK + G)(z₂ − m₂), B) with B = FVFᵀ + C₁. Then

    ℛ₂ = I(x; z₂) + KL(q(z₂) ‖ p(z₂)),         I(x; z₂) = ½ log(det Y / det C₂)
    ℛ₁ = I(x; z₁|z₂) + E KL(q(z₁|z₂) ‖ p(z₁|z₂)),    I(x; z₁|z₂) = ½ log(det B / det C₁):

a divergence from the prior is the one from the average posterior plus the divergence of that
average. Both divergences are ½ Σ (αⱼ − 1 − log αⱼ) plus squares, not negative, so that

    ℛ₂ >= I(x; z₂),      ℛ₁ >= I(x; z₁|z₂).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from linvae.symbolic import hierarchical as two
from linvae.symbolic.symbols import d, lam, n, s2
from proofs._gaussian import average, divergence, log_density, show_divergence
from proofs._words import Alphabet
from proofs.argument import Argument, Proof, run

__all__ = ["Letters", "Terms", "averaged", "bottom_up", "closed_forms", "prove", "top_down"]

STATEMENT = (
    "The rates, the squared error and the objective of any linear model with two layers of "
    "latents, top-down or bottom-up, are closed forms in the mean and covariance of the data."
)

k1, k2 = sp.symbols("k1 k2", integer=True, positive=True)
log1, log2, log_m = sp.symbols("logdet_C1 logdet_C2 logdet_M", real=True)


class Letters:
    """Matrices of any size; C₁ stands for T and D, A for W₁, W₂ in bottom-up inference."""

    def __init__(self) -> None:
        words = self.words = Alphabet()
        self.S, self.C1, self.C2 = (
            words.symmetric(name, size) for name, size in (("S", "n"), ("C₁", "k₁"), ("C₂", "k₂"))
        )
        self.inverse1, self.inverse2 = words.symmetric("C₁⁻¹", "k₁"), words.symmetric("C₂⁻¹", "k₂")
        self.W = words.symmetric("M⁻¹", "k₁")
        self.D, self.A = words.matrix("D", "n", "k₁")[0], words.matrix("A", "k₁", "k₂")[0]
        self.F, self.G = words.matrix("F", "k₁", "n")[0], words.matrix("G", "k₁", "k₂")[0]
        self.E2 = words.matrix("E₂", "k₂", "n")[0]
        self.V1, self.V2 = words.matrix("V₁", "k₁", "n")[0], words.matrix("V₂", "k₂", "k₁")[0]
        self.moved = words.matrix("μ−mₑ", "n", "1")[0]
        self.delta = words.matrix("μ−m", "n", "1")[0]
        self.h1, self.h2 = words.matrix("h₁", "k₁", "1")[0], words.matrix("h₂", "k₂", "1")[0]
        self.a = words.matrix("a", "k₁", "1")[0]
        self.xi, self.zeta = words.matrix("ξ", "n", "1")[0], words.matrix("ζ", "k₂", "1")[0]
        self.omega = words.matrix("ω", "k₁", "1")[0]
        self.noise = {self.xi: self.S, self.zeta: self.C2, self.omega: self.C1}

    def outer(self, column: Any, inside: Any = None) -> sp.Expr:
        """Product of v (or of v around a symmetric matrix) with its transpose."""
        column = sp.expand(column)
        return sp.expand(column * (1 if inside is None else inside) * self.words.transposed(column))

    def second(self, column: Any) -> sp.Expr:
        """Average of vvᵀ over ξ, ζ and ω."""
        return average(self.words, self.outer(column), self.noise)


@dataclass(frozen=True)
class Terms:
    """ε, ℛ₁ and ℛ₂: words whose traces are taken, and what is added to each."""

    squares: tuple[sp.Expr, sp.Expr, sp.Expr]
    rest: tuple[sp.Expr, sp.Expr, sp.Expr]

    def traced(self, words: Alphabet) -> list[sp.Expr]:
        """The three values, with a symbol for every trace."""
        pairs = zip(self.squares, self.rest, strict=True)
        return [sp.expand(words.trace(square) + rest) for square, rest in pairs]

    def one_mode(self, numbers: dict[str, Any], words: Alphabet) -> list[sp.Expr]:
        """The three values of one mode: letters by their names are numbers, others 0."""
        logs = {log1: sp.log(numbers["C₁"]), log2: sp.log(numbers["C₂"])}
        logs |= {log_m: -sp.log(numbers["M⁻¹"]), k1: 1, k2: 1}
        return [
            sum(
                value * sp.prod(numbers.get(str(x).removesuffix("ᵀ"), 0) for x in word)
                for word, value in words.words(square).items()
            )
            + rest.subs(logs)
            for square, rest in zip(self.squares, self.rest, strict=True)
        ]


def top_down(of: Letters) -> tuple[sp.Expr, sp.Expr]:
    """Draws z₁ and z₂ of top-down inference."""
    z2 = of.E2 * (of.xi + of.moved) + of.h2 + of.zeta
    return sp.expand(of.F * (of.xi + of.moved) + of.G * z2 + of.h1 + of.omega), sp.expand(z2)


def bottom_up(of: Letters) -> tuple[sp.Expr, sp.Expr]:
    """Draws z₁ and z₂ of bottom-up inference."""
    z1 = of.V1 * (of.xi + of.moved) + of.h1 + of.omega
    return sp.expand(z1), sp.expand(of.V2 * z1 + of.h2 + of.zeta)


def averaged(of: Letters, draws: tuple[sp.Expr, sp.Expr]) -> list[sp.Expr]:
    """−log p(x|z₁), ℛ₁ and ℛ₂, averaged from the densities."""
    z1, z2 = draws
    trace = of.words.trace
    own1, own2 = (  # quadratic forms of ω and ζ in their own densities
        trace(of.words.reduce(inverse * of.second(column), {inverse * covariance: 1}), size)
        for inverse, covariance, column, size in (
            (of.inverse1, of.C1, of.omega, k1),
            (of.inverse2, of.C2, of.zeta, k2),
        )
    )
    error = trace(of.second(of.delta + of.xi - of.D * z1))
    prior1 = trace(of.W * of.second(z1 - of.A * z2 - of.a))
    return [
        -log_density(n, n * sp.log(s2), error / s2),
        log_density(k1, log1, own1) - log_density(k1, log_m, prior1),
        log_density(k2, log2, own2) - log_density(k2, 0, trace(of.second(z2))),
    ]


def closed_forms(of: Letters) -> tuple[Terms, Terms]:
    """The formulas of the docstring: top-down, bottom-up."""
    rest = (sp.S.Zero, (log_m - log1 - k1) / 2, -(k2 + log2) / 2)
    skew = of.G - of.A
    m2 = of.E2 * of.moved + of.h2
    m1 = of.F * of.moved + of.G * m2 + of.h1
    down = (
        of.outer(1 - of.D * (of.F + of.G * of.E2), of.S)
        + of.outer(of.D, of.outer(of.G, of.C2) + of.C1)
        + of.outer(of.delta - of.D * m1),
        of.W * (of.C1 + of.outer(of.F + skew * of.E2, of.S) + of.outer(skew, of.C2)) / 2
        + of.W * of.outer(m1 - of.A * m2 - of.a) / 2,
        (of.C2 + of.outer(of.E2, of.S) + of.outer(m2)) / 2,
    )
    spread = of.outer(of.V1, of.S) + of.C1
    m1 = of.V1 * of.moved + of.h1
    m2 = of.V2 * m1 + of.h2
    up = (
        of.outer(1 - of.D * of.V1, of.S) + of.outer(of.D, of.C1) + of.outer(of.delta - of.D * m1),
        of.W * (of.outer(1 - of.A * of.V2, spread) + of.outer(of.A, of.C2)) / 2
        + of.W * of.outer(m1 - of.A * m2 - of.a) / 2,
        (of.C2 + of.outer(of.V2, spread) + of.outer(m2)) / 2,
    )
    return Terms(down, rest), Terms(up, rest)


def _any_size(argument: Argument, of: Letters) -> None:
    for name, draws, closed in zip(
        ("top-down", "bottom-up"),
        (top_down(of), bottom_up(of)),
        closed_forms(of),
        strict=True,
    ):
        distortion, *rates = averaged(of, draws)
        error = 2 * s2 * distortion - n * s2 * sp.log(2 * sp.pi * s2)
        for text, got, want in zip(
            ("ε", "ℛ₁", "ℛ₂"), (error, *rates), closed.traced(of.words), strict=True
        ):
            argument.zero(
                f"{name}, any sizes and offsets: {text} by averaging the densities",
                sp.expand(sp.expand_log(sp.expand(got - want))),
            )


def _one_mode(argument: Argument, of: Letters) -> None:
    argument.cites(
        "Products of diagonal matrices are diagonal, their traces and log-determinants are sums"
    )
    shared = {"S": lam, "C₂": two.c2}
    down = {"E₂": two.e2, "F": two.f, "G": two.g, "A": two.gain, "D": d, "C₁": two.c1}
    up = {"V₁": two.v1, "V₂": two.v2, "A": two.w2, "D": two.w1, "C₁": two.t}
    constants = (
        ("top-down", down, 1 / two.scale**2, "TOP_DOWN"),
        ("bottom-up", up, 1 / two.eta2, "BOTTOM_UP"),
    )
    for (name, numbers, weight, prefix), closed in zip(constants, closed_forms(of), strict=True):
        terms = closed.one_mode({**shared, **numbers, "M⁻¹": weight}, of.words)
        objective = terms[0] / (2 * s2) + two.beta1 * terms[1] + two.beta2 * terms[2]
        for text, got, constant in zip(
            ("ε", "ℛ₁", "ℛ₂", "𝒟 + β₁ℛ₁ + β₂ℛ₂ − ½ log 2πσ²"),
            (*terms, objective),
            ("SQUARED_ERROR", "RATE1", "RATE2", "OBJECTIVE"),
            strict=True,
        ):
            want = getattr(two, f"{prefix}_{constant}")
            argument.zero(
                f"{name}, one mode: {text} is the library's",
                sp.expand(sp.expand_log(sp.expand(got - want))),
            )
    told = {two.v1: 0, two.v2: 1, two.w2: 1, two.c2: two.eta2 / 2, two.t: 16 * two.eta2}
    argument.positive(
        "bottom-up ℛ₁ < 0 for w₂v₂ = 1, c₂ = η₂²/2, t = 16η₂²: it is no divergence",
        -sp.simplify(two.BOTTOM_UP_RATE1.subs(told)),
    )


def _regression(argument: Argument, of: Letters) -> tuple[sp.Expr, sp.Expr, sp.Expr, Any]:
    """Return K, V and Y with the rules for Y⁻¹, after showing q(x|z₂) = N(μ + K(z₂ − m₂), V)."""
    words, inverse = of.words, of.words.symmetric("Y⁻¹", "k₂")
    spread = of.outer(of.E2, of.S)
    rules = {spread * inverse: 1 - of.C2 * inverse, inverse * spread: 1 - inverse * of.C2}
    gain = of.S * words.transposed(of.E2) * inverse
    left = sp.expand(of.S - gain * of.E2 * of.S)
    latent = of.E2 * of.xi + of.zeta  # z₂ − m₂
    rest = sp.expand(of.xi - gain * latent)
    crossed = average(words, sp.expand(rest * words.transposed(sp.expand(latent))), of.noise)
    argument.true("x − Kz₂ is uncorrelated with z₂", words.same(crossed, sp.S.Zero, rules))
    argument.true("and has the covariance V = S − KE₂S", words.same(of.second(rest), left, rules))
    argument.true("Y = E₂SE₂ᵀ + C₂", words.same(of.second(latent), spread + of.C2))
    argument.cites("Jointly Gaussian and uncorrelated means independent: q(x|z₂) is N(·, V)")
    given = of.F * rest + of.omega  # z₁ − E[z₁|z₂], independent of z₂
    argument.true(
        "z₁ given z₂ has the covariance B = FVFᵀ + C₁",
        words.same(of.second(given), of.outer(of.F, left) + of.C1, rules),
    )
    return gain, left, spread + of.C2, rules


def _contents(argument: Argument, of: Letters) -> None:
    """Rate minus information is a divergence, for matrices of any size."""
    gain, left, spread, rules = _regression(argument, of)
    show_divergence(argument)
    log_y, log_b = sp.symbols("logdet_Y logdet_B", real=True)
    mutual2 = log_density(k2, log2, k2) - log_density(k2, log_y, k2)
    mutual1 = log_density(k1, log1, k1) - log_density(k1, log_b, k1)
    argument.equal("I(x; z₂) = E log q(z₂|x)/q(z₂)", mutual2, (log_y - log2) / 2)
    argument.equal("I(x; z₁|z₂) = E log q(z₁|z₂, x)/q(z₁|z₂)", mutual1, (log_b - log1) / 2)

    def trace(expression: sp.Expr) -> sp.Expr:
        return of.words.trace(of.words.reduce(sp.expand(expression), rules, cyclic=True))

    _, rate1, rate2 = closed_forms(of)[0].traced(of.words)
    m2 = of.E2 * of.moved + of.h2
    m1 = of.F * of.moved + of.G * m2 + of.h1
    argument.zero(
        "ℛ₂ − I(x; z₂) is KL(N(m₂, Y) ‖ N(0, I)), hence >= 0",
        sp.expand(rate2 - mutual2 - divergence(trace(spread + of.outer(m2)), k2, 0, log_y)),
    )
    own = of.outer(of.F, left) + of.C1
    slope = of.F * gain + of.G - of.A
    away = of.outer(slope, spread) + of.outer(m1 - of.A * m2 - of.a)  # E ggᵀ over z₂
    argument.zero(
        "ℛ₁ − I(x; z₁|z₂) is E KL(q(z₁|z₂) ‖ p(z₁|z₂)) over z₂, hence >= 0",
        sp.expand(rate1 - mutual1 - divergence(trace(of.W * (own + away)), k1, log_m, log_b)),
    )


def prove() -> Proof:
    """Derive the objective of both inference models, and what the top-down rates contain."""
    argument = Argument("hierarchical.objective", STATEMENT)
    letters = Letters()
    _any_size(argument, letters)
    _one_mode(argument, letters)
    _contents(argument, letters)
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
