r"""From matrices to modes: why a diagonal C forces DᵀD diagonal, and the bound that separates.

For fixed D the best E and C are those of the claim ``best-response``. Put them in: with
G = DᵀD + τI and GX = Dᵀ, the minimum over E of the terms with S is tr S(I − XᵀGX) = tr S(I − DX),
and (DDᵀ + τI)(I − DX) = DDᵀ + τI − DGX = τI, because (DDᵀ + τI)D = DG. The terms with C leave
τ Σⱼ log(Gⱼⱼ/τ). So the least 2σ²L, without its constant, is

    F(D) = τ tr S(DDᵀ + τI)⁻¹ + τ Σⱼ log(1 + (DᵀD)ⱼⱼ/τ).

*Hadamard, by induction over k.* Split a positive definite G of size k + 1 into G', a column b and a
corner g. With unit triangular factors G is congruent to diag(G', s), s = g − bᵀG'⁻¹b, so that
det G = s det G', and s = vᵀGv > 0 for v = (−G'⁻¹b, 1). As q = bᵀG'⁻¹b = (G'⁻¹b)ᵀG'(G'⁻¹b) >= 0,
only 0 for b = 0, and g = s + q,

    Σⱼ log Gⱼⱼ − log det G = [Σⱼ log G'ⱼⱼ − log det G'] + log(1 + q/s) >= 0,

with equality only if b = 0 and, by induction, G' is diagonal: G and DᵀD are. For k = 1 both sides
are 0. This is the one place where C diagonal matters: a full covariance would have log det G here
from the start, whatever the basis.

*Trace inequality (von Neumann, Ruhe).* Let DDᵀ + τI have eigenvalues μ₁ >= … >= μₙ, eigenvectors
V, and S have λ₁ >= … >= λₙ, U. With Q = UᵀV orthogonal, tr S(DDᵀ + τI)⁻¹ = Σᵢⱼ Pᵢⱼ λᵢaⱼ, where
aⱼ = 1/μⱼ rises and Pᵢⱼ = Qᵢⱼ²; rows and columns of P sum to 1. Let δ_p = λ_p − λ_{p+1} >= 0
(λ_{n+1} = 0) and α_q = a_{q+1} − a_q >= 0. Then λᵢ = Σ_{p≥i} δ_p and aⱼ = a₁ + Σ_{q<j} α_q, that is
λ = Lδ and a = a₁u + Mα with Lᵢ_p = [i <= p], Mⱼ_q = [j > q] and u the column of ones. Hence (Abel)

    λᵀPa − λᵀa = δᵀ(T − LᵀM)α,   T = LᵀPM,   T_pq = Σ_{i≤p, j>q} Pᵢⱼ >= 0,   (LᵀM)_pq = (p − q)₊,

and T_pq − (p − q) = Σ_{i>p, j≤q} Pᵢⱼ =: T'_pq >= 0: T − LᵀM is T where p <= q and T' where p >= q,
never negative. The steps hold for matrices of any size.

*Equality.* All terms δ_p α_q (T − LᵀM)_pq are >= 0, so equality makes each of them 0. Take levels
μᵢ = max(λᵢ, τ) for i <= k, τ beyond, which are those of the optimum. If α_q > 0 then q <= k and
λ_q > τ. For q < k also λ_q > λ_{q+1}, thus δ_q > 0 and T_qq = T'_qq = 0: no Pᵢⱼ joins indices up
to q with those beyond. For q = k let p >= k be the last index with λ_p = λ_k, δ_p > 0: T'_pk = 0,
no i > p is joined with j <= k. Between two such q's the λ's and the μ's of the active modes are
constant. So every eigenvector of DDᵀ + τI with μⱼ > τ is one of S with λ = μⱼ:
DDᵀ = Σ (μⱼ − τ)vⱼvⱼᵀ is unique but for the choice of vectors inside ties of S. By equality in
Hadamard the columns of D are orthogonal, hence are ±√(μⱼ − τ) vⱼ and zeros, in any order (and any
basis of their span where levels are tied).

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
from sympy.concrete.delta import deltasummation

from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, c, d, e, lam, n, s2, tau
from proofs import stationarity
from proofs._branches import reduced, scaled
from proofs._words import Alphabet
from proofs.argument import Argument, Proof, run
from proofs.best_responses import posterior_terms

__all__ = ["abel_difference", "doubly_stochastic", "eliminated", "prove", "show_hadamard"]

STATEMENT = (
    "A diagonal posterior covariance makes DᵀD diagonal at the optimum, and the matrix problem "
    "falls apart into modes."
)
# Row, column, and where two sorted sequences fall.
_i, _j, _p, _q = sp.symbols("i j p q", integer=True, positive=True)


def eliminated(D: sp.Matrix, S: sp.Matrix) -> sp.Expr:
    """F(D): least 2σ²L over E and C, without its constant."""
    gram = D.T * D
    traced = tau * (S * (D * D.T + tau * sp.eye(D.rows)).inv()).trace()
    return traced + tau * sum(sp.log((gram[j, j] + tau) / tau) for j in range(D.cols))


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
    letters = Alphabet()
    D, Dt = letters.matrix("D", "n", "k")
    S, inverse = letters.symmetric("S", "n"), letters.symmetric("G⁻¹", "k")
    gram = Dt * D  # G G⁻¹ = G⁻¹G = I with G = DᵀD + τI
    rules = {gram * inverse: 1 - tau * inverse, inverse * gram: 1 - tau * inverse}
    read, read_t = inverse * Dt, D * inverse
    left = 1 - D * read
    outer = D * Dt + tau
    for text, words in (("(DDᵀ + τI)(I − DX)", outer * left), ("(I − DX)(DDᵀ + τI)", left * outer)):
        argument.true(
            f"any n, k: {text} = τI, so I − DX = τ(DDᵀ + τI)⁻¹",
            letters.same(sp.expand(words), tau * sp.S.One, rules),
        )
    whole = left * S * (1 - read_t * Dt)
    traced = letters.trace(letters.reduce(whole, rules, cyclic=True))
    traced += tau * letters.trace(letters.reduce(read * S * read_t, rules, cyclic=True))
    argument.equal(
        "any n, k: tr (I−DX)S(I−DX)ᵀ + τ tr XSXᵀ = tr S(I − DX)",
        traced,
        letters.trace(S * left),
    )
    diagonal = sp.Symbol("g", nonnegative=True)  # (DᵀD)ⱼⱼ
    argument.zero(
        "latent by latent: the terms with cⱼ leave τ log(1 + gⱼ/τ) at cⱼ = τ/(gⱼ + τ)",
        sp.expand_log(
            posterior_terms(diagonal).subs(c, tau / (diagonal + tau))
            - tau * sp.log((diagonal + tau) / tau)
        ),
    )


def show_hadamard(argument: Argument) -> None:
    """The step from k to k + 1 of Hadamard's inequality, for any k."""
    letters = Alphabet()
    G, inverse = letters.symmetric("G'", "k"), letters.symmetric("G'⁻¹", "k")
    b, bt = letters.matrix("b", "k", "1")
    corner = letters.symmetric("g", "1")
    rules = {G * inverse: sp.S.One, inverse * G: sp.S.One}
    rest = bt * inverse * b  # q
    product_ = (
        sp.Matrix([[1, 0], [bt * inverse, 1]])
        * sp.Matrix([[G, 0], [0, corner - rest]])
        * sp.Matrix([[1, inverse * b], [0, 1]])
    )
    argument.true(
        "any k: [[G', b], [bᵀ, g]] = unit lower · diag(G', s) · unit upper, s = g − bᵀG'⁻¹b",
        all(
            letters.same(sp.expand(left), sp.expand(right), rules)
            for left, right in zip([G, b, bt, corner], product_, strict=True)
        ),
    )
    argument.cites(
        "The determinant is multiplicative, and 1 for a unit triangular matrix: det G = s det G'"
    )
    v, vt = -inverse * b, -bt * inverse  # first part of v = (−G'⁻¹b, 1)
    argument.true(
        "any k: s = vᵀGv with v = (−G'⁻¹b, 1), so s > 0",
        letters.same(sp.expand(vt * G * v + vt * b + bt * v + corner), corner - rest, rules),
    )
    argument.true(
        "any k: q = g − s = (G'⁻¹b)ᵀG'(G'⁻¹b) >= 0, and 0 only for b = 0",
        letters.same(rest, bt * inverse * G * inverse * b, rules),
    )
    s, before = sp.symbols("s before", positive=True)  # before: det G'
    q = sp.Symbol("q", nonnegative=True)
    logs = sp.Symbol("logs", real=True)  # Σ log G'ⱼⱼ
    grown = (logs + sp.log(s + q) - sp.log(s * before)) - (logs - sp.log(before))
    argument.zero(
        "from k to k + 1 the surplus Σ log Gⱼⱼ − log det G grows by log(1 + q/s)",
        sp.expand_log(grown - sp.log((s + q) / s)),
    )
    argument.nonnegative("log(1 + q/s) >= 0 for q >= 0", sp.log(1 + q / s))
    argument.positive(
        "log(1 + q/s) > 0 for q > 0: equality only for b = 0",
        sp.log(1 + sp.Symbol("q", positive=True) / s),
    )
    one = sp.Matrix([[s]])
    argument.zero("k = 1: the surplus is 0", sp.log(one[0, 0]) - sp.log(one.det()))


def _differences(argument: Argument) -> None:
    """λ = Lδ and a = a₁u + Mα."""
    value = sp.Function("f")
    argument.equal(
        "any n: Σ_{p=i}^{n} (λ_p − λ_{p+1}) = λᵢ − λ_{n+1}",
        sp.Sum(value(_p) - value(_p + 1), (_p, _i, n)).doit(),
        value(_i) - value(n + 1),
    )
    argument.equal(
        "any n: Σ_{q=1}^{j−1} (a_{q+1} − a_q) = aⱼ − a₁",
        sp.Sum(value(_p + 1) - value(_p), (_p, 1, _j - 1)).doit(),
        value(_j) - value(1),
    )


def _as_sum(argument: Argument) -> None:
    """Tr S(DDᵀ + τI)⁻¹ = Σᵢⱼ λᵢaⱼQᵢⱼ², with P doubly stochastic."""
    letters = Alphabet()
    U, Ut = letters.matrix("U", "n", "n")
    V, Vt = letters.matrix("V", "n", "n")
    values, levels = letters.symmetric("Λ", "n"), letters.symmetric("A", "n")
    turn, turn_t = Ut * V, Vt * U
    argument.equal(
        "any n: tr UΛUᵀVAVᵀ = tr ΛQAQᵀ with Q = UᵀV",
        letters.trace(U * values * Ut * V * levels * Vt),
        letters.trace(values * turn * levels * turn_t),
    )
    unit = {a * b: sp.S.One for a, b in ((U, Ut), (Ut, U), (V, Vt), (Vt, V))}
    argument.true(
        "any n: QQᵀ = QᵀQ = I, whose diagonals are the sums of Qᵢⱼ² over a row and a column",
        letters.same(turn * turn_t, sp.S.One, unit) and letters.same(turn_t * turn, sp.S.One, unit),
    )
    L, A, Q = (sp.IndexedBase(name, real=True) for name in ("l", "a", "Q"))
    delta = sp.KroneckerDelta
    entry = L[_i] * delta(_i, _p) * Q[_p, _q] * A[_q] * delta(_q, _j) * Q[_i, _j]
    for index in (_p, _q):
        entry = deltasummation(entry, (index, 1, n), no_piecewise=True)
    argument.equal(
        "any n: term (i, j) of tr ΛQAQᵀ is λᵢaⱼQᵢⱼ²", entry, L[_i] * A[_j] * Q[_i, _j] ** 2
    )


def _trace_inequality(argument: Argument) -> None:
    letters = Alphabet()
    P, _ = letters.matrix("P", "n", "n")
    _, Lt = letters.matrix("L", "n", "falls")
    M, _ = letters.matrix("M", "n", "rises")
    u, ut = letters.matrix("u", "n", "1")
    _, falls_t = letters.matrix("δ", "falls", "1")
    rises, _ = letters.matrix("α", "rises", "1")
    first = sp.Symbol("a1", positive=True)
    sums = {P * u: u, ut * P: ut}
    level = first * u + M * rises
    argument.true(
        "any n: λᵀPa − λᵀa = δᵀ(LᵀPM − LᵀM)α",
        letters.same(
            sp.expand(falls_t * Lt * (P - 1) * level),
            sp.expand(falls_t * (Lt * P * M - Lt * M) * rises),
            sums,
        ),
    )
    v, _ = letters.matrix("v", "falls", "1")  # ones, one for every p
    _, wt = letters.matrix("w", "rises", "1")  # ones, one for every q
    others = (v * ut - Lt) * P * (u * wt - M)  # rows i > p, columns j <= q
    argument.true(
        "any n: Σ_{i>p, j≤q} P = LᵀPM + v(uᵀu)wᵀ − v(uᵀM) − (Lᵀu)wᵀ",
        letters.same(
            sp.expand(others),
            sp.expand(Lt * P * M + v * ut * u * wt - v * ut * M - Lt * u * wt),
            sums,
        ),
    )
    counts = [sp.Sum(1, (_i, *ends)).doit() for ends in ((1, n), (_q + 1, n), (1, _p))]
    argument.equal(
        "any n: entry (p, q) of what is added is n − (n − q) − p",
        counts[0] - counts[1] - counts[2],
        _q - _p,
    )
    argument.equal(
        "any n, p >= q: (LᵀM)_pq counts q < i <= p",
        sp.Sum(1, (_i, _q + 1, _p)).doit(),
        _p - _q,
    )
    direct, by_parts, leftovers = abel_difference(doubly_stochastic(3))
    argument.equal("n = 3, entry by entry: the same rearrangement", direct, by_parts)
    argument.zero("n = 3: T_pq − (p − q) is the sum of P over i > p, j <= q", sp.Matrix(leftovers))


def _equality(argument: Argument) -> None:
    """Where the optimal levels differ so do the eigenvalues, and then nothing is mixed."""
    fall, rise, bracket = sp.symbols("delta_p alpha_q T", positive=True)
    argument.positive("δα > 0 and T − LᵀM > 0 cost something", fall * rise * bracket)
    following = sp.Symbol("l", nonnegative=True)  # λ_{q+1}
    step = sp.Symbol("step", nonnegative=True)  # λ_q − λ_{q+1}

    def rises(value: sp.Expr, after: sp.Expr) -> sp.Expr:
        return 1 / sp.Max(after, tau) - 1 / sp.Max(value, tau)

    argument.zero(
        "q < k: λ_q = λ_{q+1} has α_q = 0, so α_q > 0 only where δ_q > 0",
        rises(following + step, following).subs(step, 0),
    )
    short = sp.Symbol("short", nonnegative=True)  # τ − λ_q
    under = {tau: following + step + short}
    argument.zero(
        "q < k: λ_q <= τ has α_q = 0, so α_q > 0 only where λ_q > τ",
        rises(following + step, following).subs(under),
    )
    argument.zero(
        "q = k: the level beyond is τ, so α_k > 0 only where λ_k > τ",
        (1 / tau - 1 / sp.Max(following, tau)).subs(tau, following + short),
    )
    more = sp.Symbol("more", positive=True)
    argument.positive(
        "λ_q > τ has λ_q > 0: some p >= q has δ_p > 0, the last of those tied with q", tau + more
    )


def _together(argument: Argument) -> None:
    argument.cites("singular values: D = U diag(s) Vᵀ, so DDᵀ and DᵀD share the eigenvalues sᵢ²")
    level = sp.Symbol("mu", positive=True)
    argument.equal(
        "a mode without a latent (μ = τ) costs its variance λ", reduced(level).subs(level, tau), lam
    )
    letters = Alphabet()
    U, Ut = letters.matrix("U", "n", "k")
    S, values = letters.symmetric("S", "n"), letters.symmetric("Λ", "k")
    gains, reads = letters.symmetric("Δ", "k"), letters.symmetric("Γ", "k")
    rules = {S * U: U * values, Ut * U: sp.S.One}
    argument.true(
        "any n, k: D = UΔ with SU = UΛ, UᵀU = I has DᵀD = Δ², diagonal",
        letters.same(gains * Ut * U * gains, gains * gains, rules),
    )
    argument.equal(
        "any n, k: and tr S(I − DX) = tr S − tr ΛΔΓ with X = ΓUᵀ, Γ = (Δ² + τ)⁻¹Δ",
        letters.trace(letters.reduce(S * (1 - U * gains * reads * Ut), rules, cyclic=True)),
        letters.trace(S - values * gains * reads),
    )
    argument.zero(
        "mode by mode that attains the bound, with μᵢ = dᵢ² + τ",
        sp.expand_log(
            lam * (1 - d * (d / (d**2 + tau)))
            + tau * sp.log((d**2 + tau) / tau)
            - reduced(d**2 + tau)
        ),
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
    show_hadamard(argument)
    _differences(argument)
    _as_sum(argument)
    _trace_inequality(argument)
    _equality(argument)
    _together(argument)
    return argument.done(
        functions=("linvae.response.response", "linvae.Frontier.at_beta"),
        properties=(
            "tests/linvae/test_adversarial_modes.py::test_both_inequalities_of_the_reduction",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_modes.py::test_the_best_free_decoder_has_orthogonal_columns",
        ),
        uses=("mode_objective", "best_responses"),
    )


if __name__ == "__main__":
    run(prove)
