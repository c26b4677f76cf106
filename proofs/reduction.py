r"""From matrices to modes: why a diagonal C forces DᵀD diagonal, and the bound that separates.

For fixed D the best E and C are those of the claim ``best-response``. Put them in: with
G = DᵀD + τI and GX = Dᵀ, the minimum over E of the terms with S is tr S(I − XᵀGX) = tr S(I − DX),
and (DDᵀ + τI)(I − DX) = DDᵀ + τI − DGX = τI, because (DDᵀ + τI)D = DG. The terms with C leave
τ Σⱼ log(Gⱼⱼ/τ). So the least 2σ²L, without its constant, is

    F(D) = τ tr S(DDᵀ + τI)⁻¹ + τ Σⱼ log(1 + (DᵀD)ⱼⱼ/τ).

*Hadamard.* A positive definite G is LLᵀ with L lower triangular, Lⱼⱼ > 0 (Cholesky). Then
Gⱼⱼ = Σ_{i≤j} Lⱼᵢ² and det G = Π Lⱼⱼ², so that

    Σⱼ log Gⱼⱼ − log det G = Σⱼ log(1 + Σ_{i<j} Lⱼᵢ²/Lⱼⱼ²) >= 0,

with equality only if L, and with it G and DᵀD, is diagonal. This is the one place where C diagonal
matters: a full covariance would have log det G here from the start, whatever the basis.

*Trace inequality (von Neumann, Ruhe).* Let DDᵀ + τI have eigenvalues μ₁ >= … >= μₙ, eigenvectors
V, and S have λ₁ >= … >= λₙ, U. With Q = UᵀV orthogonal, tr S(DDᵀ + τI)⁻¹ = Σᵢⱼ Pᵢⱼ λᵢaⱼ, where
aⱼ = 1/μⱼ rises and Pᵢⱼ = Qᵢⱼ²; rows and columns of P sum to 1. Let δ_p = λ_p − λ_{p+1} >= 0
(λ_{n+1} = 0) and α_q = a_{q+1} − a_q >= 0. Then λᵢ = Σ_{p≥i} δ_p and aⱼ = a₁ + Σ_{q<j} α_q, and the
sum rearranges (Abel) to

    Σᵢⱼ Pᵢⱼλᵢaⱼ − Σᵢ λᵢaᵢ = Σ_{p,q} δ_pα_q [T_pq − (p − q)₊],    T_pq = Σ_{i≤p, j>q} Pᵢⱼ >= 0.

T_pq >= 0, and T_pq − (p − q) = Σ_{i>p, j≤q} Pᵢⱼ >= 0: the bracket is never negative. Every step of
this holds for any n, and it is checked with symbolic entries for n = 2, 3, 4.

*Together.* DDᵀ has rank at most k: with its singular values, μᵢ = τ + sᵢ² for i <= k and μᵢ = τ
beyond, and det G/τᵏ = Π_{i≤k} μᵢ/τ. Hence

    F(D) >= Σ_{i≤k} [τλᵢ/μᵢ + τ log(μᵢ/τ)] + Σ_{i>k} λᵢ,

a sum over modes, each with a level μᵢ >= τ of its own. D = U diag(d) attains it with
μᵢ = dᵢ² + τ. So if the separate minima of the modes have μ₁ >= μ₂ >= … (the claim ``global``: they
are max(λᵢ, τ)) the bound is the minimum, and in a minimum both inequalities are equalities:
DᵀD is diagonal.
"""

from __future__ import annotations

from itertools import product

import sympy as sp

from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, c, d, e, k, lam, n, s2, tau
from proofs import stationarity
from proofs._branches import reduced, scaled
from proofs.argument import Argument, Proof, run
from proofs.best_responses import same_matrix
from proofs.mode_objective import traces

__all__ = ["abel_difference", "cholesky_gram", "doubly_stochastic", "eliminated", "prove"]

STATEMENT = (
    "A diagonal posterior covariance makes DᵀD diagonal at the optimum, and the matrix problem "
    "falls apart into modes."
)


def _traced(D: sp.Matrix, S: sp.Matrix) -> sp.Expr:
    return tau * (S * (D * D.T + tau * sp.eye(D.rows)).inv()).trace()


def eliminated(D: sp.Matrix, S: sp.Matrix) -> sp.Expr:
    """F(D): least 2σ²L over E and C, without its constant."""
    gram = D.T * D
    return _traced(D, S) + tau * sum(sp.log((gram[j, j] + tau) / tau) for j in range(D.cols))


def cholesky_gram(size: int) -> tuple[sp.Matrix, sp.Matrix]:
    """A lower triangular L with positive diagonal, and LLᵀ: any positive definite matrix."""

    def entry(i: int, j: int) -> sp.Expr:
        if i < j:
            return sp.S.Zero
        return sp.Symbol(f"L{i}{j}", positive=True) if i == j else sp.Symbol(f"L{i}{j}", real=True)

    L = sp.Matrix(size, size, entry)
    return L, L * L.T


def doubly_stochastic(size: int) -> sp.Matrix:
    """Matrix of free entries whose last row and column make all sums 1."""
    free = sp.Matrix(size - 1, size - 1, lambda i, j: sp.Symbol(f"P{i}{j}"))
    right = sp.Matrix([1 - sum(free.row(i)) for i in range(size - 1)])
    bottom = sp.Matrix([[1 - sum(free.col(j)) for j in range(size - 1)]])
    corner = sp.Matrix([[1 - sum(bottom)]])
    return sp.Matrix(sp.BlockMatrix([[free, right], [bottom, corner]]))


def abel_difference(P: sp.Matrix) -> tuple[sp.Expr, sp.Expr, list[sp.Expr]]:
    """Σ Pᵢⱼλᵢaⱼ − Σ λᵢaᵢ; its rearrangement; and what T_pq − (p − q) must be."""
    size = P.rows
    values = sp.symbols(f"l1:{size + 1}")
    levels = sp.symbols(f"a1:{size + 1}")
    direct = sum(
        (P[i, j] - int(i == j)) * values[i] * levels[j] for i, j in product(range(size), repeat=2)
    )
    by_parts, leftovers = sp.S.Zero, []
    for p, q in product(range(1, size + 1), range(1, size)):
        falls = values[p - 1] - (values[p] if p < size else 0)
        rises = levels[q] - levels[q - 1]
        corner = sum(P[i, j] for i in range(p) for j in range(q, size))
        by_parts += falls * rises * (corner - max(p - q, 0))
        opposite = sum(P[i, j] for i in range(p, size) for j in range(q))
        leftovers.append(corner - (p - q) - opposite)
    return direct, by_parts, leftovers


def _eliminate(argument: Argument) -> None:
    D, X = sp.MatrixSymbol("D", n, k), sp.MatrixSymbol("X", k, n)
    gram = D.T * D + tau * sp.Identity(k)
    outer = D * D.T + tau * sp.Identity(n)
    argument.true("any n, k: (DDᵀ + τI)D = D(DᵀD + τI)", same_matrix(outer * D, D * gram))
    argument.true(
        "any n, k: (DDᵀ + τI)(I − DX) = DDᵀ + τI − D(GX)",
        same_matrix(outer * (sp.Identity(n) - D * X), outer - D * (gram * X)),
    )
    argument.true(
        "any n, k: with GX = Dᵀ that is τI, so I − DX = τ(DDᵀ + τI)⁻¹",
        same_matrix(outer - D * D.T, tau * sp.Identity(n)),
    )
    size = latents = 2
    S = sp.Matrix(size, size, lambda i, j: sp.Symbol(f"S{min(i, j)}{max(i, j)}"))
    W = sp.Matrix(size, latents, lambda i, j: sp.Symbol(f"D{i}{j}", real=True))
    square = W.T * W
    kept = sp.diag(*(tau / (square[j, j] + tau) for j in range(latents)))
    read = (square + tau * sp.eye(latents)).inv() * W.T
    error, twice_rate = traces(S, read, W, kept)
    logs = sum(sp.expand_log(sp.log(kept[j, j])) for j in range(latents))
    argument.zero(
        "n = k = 2, every entry a symbol: ε + 2τℛ at the best E and C is F(D)",
        sp.cancel(sp.together(error + tau * twice_rate - _traced(W, S)))
        - sp.expand(tau * logs + sp.expand_log(eliminated(W, S) - _traced(W, S))),
    )


def _hadamard(argument: Argument) -> None:
    argument.cites("Cholesky: a positive definite G is LLᵀ, L lower triangular with Lⱼⱼ > 0")
    for size in (2, 3, 4):
        L, G = cholesky_gram(size)
        argument.equal(
            f"k = {size}: det LLᵀ = Π Lⱼⱼ²", G.det(), sp.prod(L[j, j] ** 2 for j in range(size))
        )
        for j in range(1, size):
            below = [L[j, i] ** 2 for i in range(j)]
            argument.zero(
                f"k = {size}: G_{j}{j} − L_{j}{j}² is the sum of squares left of the diagonal",
                sp.expand(G[j, j] - L[j, j] ** 2 - sum(below)),
            )
    surplus = sp.Symbol("s", positive=True)
    argument.positive(
        "log(1 + s) > 0 for s > 0: equality only when all of them vanish and L is diagonal",
        sp.log(1 + surplus),
    )


def _trace_inequality(argument: Argument) -> None:
    i, j, p = sp.symbols("i j p", integer=True, positive=True)
    value = sp.Function("f")
    argument.equal(
        "any n: Σ_{p=i}^{n} (λ_p − λ_{p+1}) = λᵢ − λ_{n+1}",
        sp.Sum(value(p) - value(p + 1), (p, i, n)).doit(),
        value(i) - value(n + 1),
    )
    argument.equal(
        "any n: Σ_{q=1}^{j−1} (a_{q+1} − a_q) = aⱼ − a₁",
        sp.Sum(value(p + 1) - value(p), (p, 1, j - 1)).doit(),
        value(j) - value(1),
    )
    Q = sp.Matrix(3, 3, lambda i, j: sp.Symbol(f"Q{i}{j}", real=True))
    values, levels = sp.symbols("l1:4"), sp.symbols("a1:4")
    argument.equal(
        "n = 3: tr ΛQAQᵀ = Σ λᵢaⱼQᵢⱼ²",
        (sp.diag(*values) * Q * sp.diag(*levels) * Q.T).trace(),
        sum(values[i] * levels[j] * Q[i, j] ** 2 for i, j in product(range(3), repeat=2)),
    )
    argument.true(
        "sums of Qᵢⱼ² over a row or column are diagonal entries of QQᵀ = I and QᵀQ = I",
        all(
            sp.expand((Q * Q.T)[r, r] - sum(Q[r, s] ** 2 for s in range(3))) == 0
            and sp.expand((Q.T * Q)[r, r] - sum(Q[s, r] ** 2 for s in range(3))) == 0
            for r in range(3)
        ),
    )
    for size in (2, 3, 4):
        direct, by_parts, leftovers = abel_difference(doubly_stochastic(size))
        argument.equal(f"n = {size}: the sum rearranges to Σ δα[T − (p−q)₊]", direct, by_parts)
        argument.zero(
            f"n = {size}: T_pq − (p − q) is the sum of P over i > p, j <= q", sp.Matrix(leftovers)
        )


def _together(argument: Argument) -> None:
    argument.cites("singular values: D = U diag(s) Vᵀ, so DDᵀ and DᵀD share the eigenvalues sᵢ²")
    level = sp.Symbol("mu", positive=True)
    argument.equal(
        "a mode without a latent (μ = τ) costs its variance λ", reduced(level).subs(level, tau), lam
    )
    size, latents = 3, 2
    gains = [sp.Symbol(f"d{j}", real=True) for j in range(latents)]
    values = [sp.Symbol(f"l{j}", positive=True) for j in range(size)]
    aligned = sp.Matrix(size, latents, lambda i, j: gains[j] if i == j else 0)
    terms = [reduced(g**2 + tau).subs(lam, v) for g, v in zip(gains, values, strict=False)]
    argument.equal(
        "n = 3, k = 2: an aligned decoder attains the bound, with μᵢ = dᵢ² + τ",
        eliminated(aligned, sp.diag(*values)),
        sum(terms) + values[2],
    )
    best = {e: stationarity.best_encoder(), c: stationarity.best_posterior()}
    argument.equal(
        "... which is 2σ² times the library's objective of a mode at its best e and c",
        scaled(modes.OBJECTIVE).subs(best),
        reduced(d**2 + tau),
    )
    argument.equal("τ is the library's water level", modes.WATER_LEVEL, beta * s2)


def prove() -> Proof:
    """Eliminate E and C, then bound by Hadamard and by the trace inequality."""
    argument = Argument("reduction", STATEMENT)
    _eliminate(argument)
    _hadamard(argument)
    _trace_inequality(argument)
    _together(argument)
    return argument.done(
        functions=("linvae.response.response", "linvae.Frontier.at_beta"),
        properties=(
            "tests/linvae/test_adversarial_modes.py::test_both_inequalities_of_the_reduction",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_modes.py::test_the_best_free_decoder_has_orthogonal_columns",
        ),
    )


if __name__ == "__main__":
    run(prove)
