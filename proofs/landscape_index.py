r"""The Hessian at every stationary point: its negative and its zero directions, counted.

Units and symbols as in `landscape_stationary`: lengths in √τ, F = 2L/β, blocks b with numbers
w = 1/x², μ_i = x√s_i − 1, G = BᵀB; here two latents belong to one block if a chain of G_jl ≠ 0
joins them. A second derivative of L in D is that of F/2 over σ².

1. Second order. For B + εΔ with columns b_j, δ_j of B, Δ, the coefficient of ε² in F is

    Q(Δ) = Σ_j [w_j|δ_j|² − 2w_j²(b_j·δ_j)²] − tr K ΔΔᵀ + tr K N₁MN₁,   K = MSM, N₁ = BΔᵀ + ΔBᵀ.

2. Coordinates. By `landscape_stationary` B = UΓVᵀ, Γ² = diag μ, where U are eigenvectors of S, F
   the free ones, and V that of all blocks, block by block; V⊥ completes each block, so that
   W_k = diag w_j satisfies W_kV = VW and W_kV⊥ = V⊥W⊥. Then M = URUᵀ + FFᵀ with
   R = (I + Γ²)⁻¹, and K = UWUᵀ + F s_F Fᵀ. Every Δ is

    Δ = U(YVᵀ + ZV⊥ᵀ) + F(Y_f Vᵀ + Z_f V⊥ᵀ),   and with N = ΓYᵀ + YΓ

    Q = tr Y_f(W + ΓWΓ)Y_fᵀ + tr s_F Y_f(ΓRΓ − I)Y_fᵀ      free modes against modes of blocks
      + tr Z_f W⊥Z_fᵀ − tr s_F Z_f Z_fᵀ                     free modes against spare latents
      + tr ZW⊥Zᵀ − tr WZZᵀ                                  modes against spare latents
      + tr YWYᵀ − tr WYYᵀ + tr WNRN − 2Σ_j w_j²(b_j·δ_j)²  modes against modes.

   All letters but the coordinates are diagonal. b_j·δ_j = [VΓ(YVᵀ + ZV⊥ᵀ)]_jj contains only what
   belongs to the block of j twice, because V and V⊥ are block by block. So Q falls apart into
   forms of one coordinate, of the two coordinates of a pair, and one form per block. Unused latents
   are a block with r = 0, x = 1.

3. One coordinate. Free mode p along V_i: (√s_i/x)(1 − s_p/s_i), negative for s_p > s_i. Free mode p
   in a spare latent: w − s_p. Mode of b' in a spare latent of b: w − w', negative for x > x'.

4. Modes i of b and i' of b'. The two coordinates have the form
   [[A, m√(μμ')], [m√(μμ'), A']] with A = w − w' + mμ, A' = w' − w + mμ' and
   m = w/(1 + μ') + w'/(1 + μ). Its trace m(μ + μ') is positive, its determinant is
   (w − w')(s' − s)/(xx'√(ss')): one negative direction if the block with the larger diagonal has
   the smaller eigenvalue, else none; one null direction if the determinant is 0.

5. Modes and latents of one block. The terms −w|Δ|² and w|Δ|² cancel:
   Q = w tr RN² − 2w² Σ_j (b_j·δ_j)², in rq coordinates.
   a. N = 0 exactly on the rotations Δ = BΩ, Ω skew: YΓ is then skew, and Ω can be written down.
      They are r(r − 1)/2 + r(q − r) = rq − r(r + 1)/2 dimensions; N takes all symmetric values.
   b. Of Δ = BΩ the overlaps are b_j·δ_j = (GΩ)_jj: Ω_lm = −Ω_ml = 1 gives G_lm (e_m − e_l). As the
      G_lm ≠ 0 join all latents, these span {f: Σ f_j = 0}: on q − 1 dimensions of the rotations
      Q = −2w²|f|² < 0, on those with f = 0 it is null.
   c. Let E be the Δ whose overlaps are all equal. Σ_j b_j·δ_j = ν/2 with ν = tr N, so they are
      ν/(2q). By b. every Δ is in E after a rotation: E and the rotations span everything, and meet
      where the rotations are null. For Δ in E and a rotation N₁ = 0, the mixed term of Q is
      −2w²(ν/2q) tr GΩ = 0: E and the rotations are Q-orthogonal.
   d. On E, by completing squares, since Σ(1 + μ_i) = r + qg,

          Q ≥ wν²[1/(r + qg) − 1/(2q(1 + g))],   positive for ν ≠ 0;

      for ν = 0 it is w tr RN², positive unless N = 0.
   So the form has r(r + 1)/2 positive, q − 1 negative and rq − r(r + 1)/2 − (q − 1) null
   directions.

6. The coordinates of all types are nk in number. The index is the sum, over blocks with connected
   latents, of (q − 1) and the counts of 3 and 4. For single latents on a subset A it is

       #{i ∈ A, p ∉ A: λ_p > λ_i} + (k − |A|) #{p ∉ A: λ_p > τ},

   and there is no null direction unless eigenvalues tie with each other or with τ.
   By `landscape_reduced` the index of the objective in (E, C, D) is the same.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import landscape as shape
from linvae.symbolic.symbols import beta, lam, s2, tau
from proofs._second_variation import (
    Letters,
    counted,
    diagonal_trace,
    display_error,
    edge_overlaps,
    shared_pair_check,
    subset_check,
)
from proofs._words import Alphabet
from proofs.argument import Argument, Proof, run

__all__ = ["free_row", "pair_form", "prove"]

a, a_free, a_other = sp.symbols("a a_free a_other", positive=True)  # √s of three modes
x, x_other = shape.root, shape.root_other
w, w_other = 1 / x**2, 1 / x_other**2
mu, mu_other = x * a - 1, x_other * a_other - 1
more = sp.Symbol("more", positive=True)


def log_term() -> sp.Expr:
    """Coefficient of ε² in log(1 + |b + εδ|²), minus the claimed one."""
    size, overlap, length, eps = sp.symbols("g b_delta delta2 epsilon", real=True)
    expanded = sp.series(sp.log(1 + size + 2 * eps * overlap + eps**2 * length), eps, 0, 3)
    claimed = length / (1 + size) - 2 * overlap**2 / (1 + size) ** 2
    return sp.simplify(expanded.removeO().coeff(eps, 2) - claimed)


def free_row() -> sp.Expr:
    """Coefficient of step 3 along V_i, from the first line of the display of step 2."""
    of = Letters()
    values = {of.W: w, of.gamma: sp.sqrt(mu), of.R: 1 / (1 + mu), of.free: a_free**2}
    return of.coefficient("free", values)


def pair_form() -> tuple[sp.Matrix, sp.Symbol, sp.Symbol, sp.Expr]:
    """The form of step 4: N has the entry √μ u + √μ' v at (i, i') and (i', i)."""
    u, v, root_mu, root_other = sp.symbols("u v root_mu root_mu_other", real=True)
    of = Letters()
    Y = sp.Matrix([[0, v], [u, 0]])
    values = {of.Y: Y, of.Yt: Y.T, of.gamma: sp.diag(root_mu, root_other)}
    values |= {of.W: sp.diag(w, w_other), of.R: sp.diag(1 / (1 + mu), 1 / (1 + mu_other))}
    form = of.at(("modes", "N"), values)
    weight = form.coeff(u * v) / (2 * root_mu * root_other)
    matrix = sp.hessian(form, (u, v)) / 2
    return matrix, root_mu, root_other, weight


def pair_determinant() -> sp.Expr:
    """Its determinant, with μ and μ' for the squares of the roots."""
    matrix, root_mu, root_other, _ = pair_form()
    return sp.expand(matrix.det()).subs({root_mu**2: mu, root_other**2: mu_other})


def prove() -> Proof:
    """Split the second variation into forms of one and two coordinates and of blocks; count."""
    p = Argument(
        "index",
        "The Hessian of a stationary point has as many negative eigenvalues as the closed form "
        "counts.",
    )
    p.zero("Second order of the logarithms", log_term())
    _coordinates(p)
    _curvatures(p)
    _one_coordinate(p)
    _two_blocks(p)
    _rotations(p)
    _rest_of_a_block(p)
    _sum(p)
    p.zero("Explicit Hessian, one latent in use and one unused", subset_check())
    p.zero("Explicit Hessian, two latents on one eigenvector", shared_pair_check())
    return p.done(
        functions=("linvae.landscape.StationaryPoint", "linvae.landscape.reduced_hessian"),
        properties=(
            "tests/linvae/test_symbolic_landscape.py::test_counts",
            "tests/linvae/test_landscape_index.py::test_index_of_drawn_blocks",
            "tests/linvae/test_landscape_index.py::test_index_of_subsets",
            "tests/linvae/test_symbolic_landscape.py::test_curvatures",
        ),
        optimisations=("tests/linvae/test_landscape_index.py::test_index_of_the_full_objective",),
        uses=("landscape_reduced", "landscape_stationary"),
    )


def _coordinates(p: Argument) -> None:
    """Steps 1 and 2."""
    small = Alphabet()
    S, M, N1, N2 = (small.symmetric(name, "n") for name in ("S", "M", "N₁", "ΔΔᵀ"))
    K = M * S * M
    second = small.trace(S * (M * N1 * M * N1 * M - M * N2 * M))
    p.equal(
        "and of the trace: tr K N₁MN₁ − tr K ΔΔᵀ", second, small.trace(K * N1 * M * N1 - K * N2)
    )
    of = Letters()
    words = of.words
    resolvent = of.U * of.R * of.Ut + of.F * of.Ft
    inside = {of.gamma**2 * of.R: 1 - of.R, **of.rules}
    product = (1 + of.U * of.gamma**2 * of.Ut) * resolvent
    p.true("M = URUᵀ + FFᵀ", words.same(product, of.U * of.Ut + of.F * of.Ft, inside))
    spectrum = of.U * of.W * (1 + 2 * of.gamma**2 + of.gamma**4) * of.Ut + of.F * of.free * of.Ft
    rules = {of.R * of.W: of.W * of.R, of.R * of.gamma: of.gamma * of.R, **inside}
    K = of.U * of.W * of.Ut + of.F * of.free * of.Ft
    same = words.same(resolvent * spectrum * resolvent, K, rules)
    p.true("K = UWUᵀ + F s_F Fᵀ, as s = w(1 + μ)²", same)
    p.zero("Q plus its overlaps is the display of step 2", display_error())
    overlaps = words.transposed(of.B) * of.delta
    inner = of.V * of.gamma * of.own
    p.true("The overlaps BᵀΔ see no free mode", words.same(overlaps, inner, of.rules))
    p.zero("Traces of diagonal letters are sums of squared coordinates", diagonal_trace())


def _curvatures(p: Argument) -> None:
    ratios = {lam: a**2 * tau, shape.lam_free: a_free**2 * tau}
    unit = {beta * s2: tau, s2: 1, beta: tau}  # σ² = 1: curvatures of F/2 over σ²
    swap, spare, single, revival = (
        c.subs(ratios).subs(unit)
        for c in (
            shape.BLOCK_SWAP_CURVATURE,
            shape.SPARE_CURVATURE,
            shape.SWAP_CURVATURE,
            shape.REVIVAL_CURVATURE,
        )
    )
    of = Letters()
    row = of.coefficient("spare", {of.W_spare: w, of.free: a_free**2})
    p.equal("A free mode against a mode of a block: the library's curvature", free_row(), swap)
    p.equal("and against its spare latents: w − s", row, spare)
    p.equal("One latent, x = √s: the swap curvature", free_row().subs(x, a), single)
    p.equal("An unused latent, x = 1: the revival curvature", spare.subs(x, 1), revival)


def _one_coordinate(p: Argument) -> None:
    """Step 3: signs of the three forms, and the library's counts."""
    of, spare = Letters(), shape.q - shape.r
    row = free_row().subs({a: sp.sqrt(lam / tau), a_free: sp.sqrt(shape.lam_free / tau)})
    free = shape.lam_free
    p.true(
        "Free mode and mode of a block: negative if s_p > s_i, null if equal, else positive",
        counted(
            shape.FREE_NEGATIVE, shape.FREE_NULL, row,
            (({free: lam + more},), ({free: lam},), ({lam: free + more},)),
        ),
    )  # fmt: skip
    row = of.coefficient("spare", {of.W_spare: w, of.free: free / tau})
    level = tau / x**2
    p.true(
        "Free mode and each spare latent: negative if λ_p > τ/x², null if equal, else positive",
        counted(
            shape.SPARE_NEGATIVE / spare, shape.SPARE_NULL / spare, row,
            (({free: level + more},), ({free: level},), ({tau: (free + more) * x**2},)),
        ),
    )  # fmt: skip
    row = of.coefficient("others", {of.W_spare: w, of.W: w_other})
    p.true(
        "Mode of x' and each spare latent of x: negative if x > x', null if equal, else positive",
        counted(
            shape.OTHER_NEGATIVE / spare, shape.OTHER_NULL / spare, row,
            (({x: x_other + more},), ({x: x_other},), ({x_other: x + more},)),
        ),
    )  # fmt: skip
    p.positive("Modes in unused latents, x = 1 < x': positive", row.subs({x: 1, x_other: 1 + more}))


def _two_blocks(p: Argument) -> None:
    """Step 4."""
    matrix, root_mu, root_other, weight = pair_form()
    trace = matrix.trace() - weight * (root_mu**2 + root_other**2)
    p.zero("Two blocks: the trace of a pair is m(μ + μ')", trace)
    p.positive("with m = w/(1 + μ') + w'/(1 + μ) > 0", weight)
    expected = shape.PAIR_DETERMINANT.subs({lam: a**2, shape.lam_other: a_other**2})
    p.equal("and its determinant the library's", pair_determinant(), expected)
    entry, value, total, det = sp.symbols("entry value trace determinant", positive=True)
    off = sp.sqrt(entry * (total - entry) - det)
    form = sp.Matrix([[entry, off], [off, total - entry]])
    at = (form - value * sp.eye(2)).det()
    p.equal(
        "Its eigenvalues solve y² − trace·y + determinant = 0", at, value**2 - total * value + det
    )
    p.positive("determinant > 0: no eigenvalue −y <= 0", sp.expand(at.subs(value, -value)))
    p.zero("determinant = 0: one is 0, the other the trace", at.subs(det, 0).subs(value, total))
    above = total / 2 + sp.sqrt(total**2 / 4 + det)
    lower = total - above
    p.zero(
        "determinant −δ < 0: one is positive, and the product is −δ", sp.expand(above * lower) + det
    )
    one, other = shape.lam_other, shape.lam_other + more
    rest = sp.Symbol("rest", positive=True)
    apart = {x: x_other + rest}, {x_other: x + rest}
    up, down = {lam: other}, {shape.lam_other: lam + more}
    p.true(
        "negative if the larger x has the smaller λ, null if one of them ties, else none",
        counted(
            shape.PAIR_NEGATIVE, shape.PAIR_NULL, shape.PAIR_DETERMINANT,
            (
                (apart[0] | down, apart[1] | up),
                ({lam: one}, {x: x_other}),
                (apart[0] | up, apart[1] | down),
            ),
        ),
    )  # fmt: skip


def _rotations(p: Argument) -> None:
    """Step 5 a and b, in matrices of any size of one block."""
    words = Alphabet()
    V, Vt = words.matrix("V", "q", "r")
    rest, rest_t = words.matrix("V⊥", "q", "spare")
    skew, skew_t = words.matrix("A", "r", "r")
    Y, Yt = words.matrix("Y", "r", "r")
    Z, Zt = words.matrix("Z", "r", "spare")
    turn, turn_t = words.matrix("Ω", "q", "q")
    gamma, inverse, H = (words.symmetric(name, "r") for name in ("Γ", "Γ⁻¹", "H"))
    rules = {Vt * V: 1, Vt * rest: 0, rest_t * V: 0, rest_t * rest: 1, gamma * inverse: 1,
             inverse * gamma: 1, skew_t: -skew, turn_t: -turn}  # fmt: skip
    B = gamma * Vt

    def first_order(delta: sp.Expr) -> sp.Expr:
        return sp.expand(B * words.transposed(delta) + delta * words.transposed(B))

    p.true("Rotations BΩ have N = 0", words.same(first_order(B * turn), 0, rules))
    general = sp.expand(Y * Vt + Z * rest_t)
    p.true("N = ΓYᵀ + YΓ: it vanishes exactly if YΓ is skew",
           words.same(first_order(general), gamma * Yt + Y * gamma, rules))  # fmt: skip
    omega = V * inverse * skew * inverse * Vt + V * inverse * Z * rest_t
    omega = sp.expand(omega - rest * Zt * inverse * Vt)
    p.true(
        "For YΓ = A skew there is a skew Ω", words.same(omega + words.transposed(omega), 0, rules)
    )
    null = sp.expand(skew * inverse * Vt + Z * rest_t)
    p.true("with Δ = BΩ", words.same(B * omega, null, rules))
    half = sp.expand(H * inverse * Vt) / 2
    p.true("N takes every symmetric value H", words.same(first_order(half), H, rules))
    left = shape.r * (shape.r - 1) / 2 + shape.r * (shape.q - shape.r)
    free = shape.q * shape.r - shape.r * (shape.r + 1) / 2
    p.equal("A and Z: the rotations are rq − r(r + 1)/2 dimensions", left, free)
    p.zero("Ω_lm = −Ω_ml = 1 gives the overlaps G_lm (e_m − e_l)", sp.Matrix(edge_overlaps()))
    p.cites(
        "The vectors e_j − e_l over the edges of a connected graph on q points span the vectors of "
        "sum 0: rank q − 1"
    )
    p.equal("On those dimensions Q = −2w²|f|²; null are the others: the library's counts",
            sp.Matrix([shape.OWN_NEGATIVE, shape.OWN_NULL]),
            sp.Matrix([shape.q - 1, left - (shape.q - 1)]))  # fmt: skip


def _rest_of_a_block(p: Argument) -> None:
    """Step 5 c and d."""
    words = Alphabet()
    B, Bt = words.matrix("B", "r", "q")
    delta, delta_t = words.matrix("Δ", "r", "q")
    G = words.symmetric("G", "q")
    turn, turn_t = words.matrix("Ω", "q", "q")
    nu = words.trace(B * delta_t + delta * Bt)
    p.equal("The overlaps sum to ν/2", words.trace(Bt * delta), nu / 2)
    twice = words.reduce(G * turn + turn_t * G, {turn_t: -turn})
    p.zero("tr GΩ = 0: rotations are Q-orthogonal to equal overlaps", words.trace(twice))
    weight, entry, c, T, total, squares = sp.symbols("R_c N_cc c T nu squares", positive=True)
    square = weight * (entry - c / weight) ** 2
    p.equal("Σ R_c(N_cc − c/R_c)² = Σ R_c N_cc² − 2cν + c² Σ 1/R_c, term by term",
            square, weight * entry**2 - 2 * c * entry + c**2 / weight)  # fmt: skip
    completed = (squares - 2 * c * total + c**2 * T).subs(c, total / T)
    p.equal("at c = ν/T, T = Σ 1/R_c: tr RN² ≥ Σ R_c N_cc² ≥ ν²/T",
            completed, squares - total**2 / T)  # fmt: skip
    r, g = sp.symbols("r g", positive=True)
    q = r + sp.Symbol("spare", nonnegative=True)
    i, count = sp.symbols("i count", integer=True, positive=True)
    share = sp.IndexedBase("mu")[i]
    inverse = sp.Sum(1 + share, (i, 1, count)).expand().doit()
    p.equal("Σ μ = tr BBᵀ = tr G = qg", words.trace(B * Bt), words.trace(Bt * B))
    p.equal("T = Σ(1 + μ) = r + Σ μ", inverse, count + sp.Sum(share, (i, 1, count)))
    level = 1 / (1 + g)
    bound = level * total**2 / (r + q * g) - 2 * level**2 * q * (total / (2 * q)) ** 2
    p.positive("Equal overlaps, ν ≠ 0: Q ≥ wν²/T − 2w²q(ν/2q)² > 0", sp.factor(bound))


def _sum(p: Argument) -> None:
    """Step 6: every coordinate is counted once, and the subsets of the statement."""
    b, number = sp.symbols("b number", integer=True, positive=True)
    modes, latents = (sp.IndexedBase(name)[b] for name in ("r", "q"))
    free, unused = sp.symbols("free unused", integer=True, nonnegative=True)

    def over(term: sp.Expr) -> sp.Expr:
        """Σ over blocks, a number for each monomial: sums are linear."""
        terms = sp.Add.make_args(sp.expand(term))
        return sp.Add(
            *(c * sp.Sum(f, (b, 1, number)) for c, f in (e.as_coeff_Mul() for e in terms))
        )

    spare = latents - modes
    inside = shape.r * (shape.r + 1) / 2 + shape.OWN_NEGATIVE + shape.OWN_NULL
    own = over(inside.subs({shape.q: latents, shape.r: modes}, simultaneous=True))
    carried, used = over(modes), over(latents)
    counted_all = free * carried + free * over(spare) + free * unused + carried * unused + own
    # Pairs of different blocks: all pairs less those of a block with itself.
    counted_all += carried * over(spare) - over(modes * spare)
    counted_all += carried**2 - over(modes**2)
    p.equal("The coordinates are nk", counted_all, (free + carried) * (used + unused))
    single = {shape.q: 1, shape.r: 1}
    ends = (shape.OWN_NEGATIVE, shape.OWN_NULL, shape.SPARE_NEGATIVE, shape.SPARE_NULL,
            shape.OTHER_NEGATIVE, shape.OTHER_NULL)  # fmt: skip
    p.zero(
        "Single latents: nothing of their own, no spare", sp.Matrix([e.subs(single) for e in ends])
    )
    roots = {lam: tau * x**2, shape.lam_other: tau * x_other**2}
    larger = {x: x_other + more}, {x_other: x + more}
    pairs = [shape.PAIR_NEGATIVE.subs(roots).subs(place) for place in larger]
    p.zero("and no negative pair, since λ = τx²", sp.Matrix(pairs))
    numbers = (shape.lam_free, sp.Symbol("free_2", positive=True))
    sizes = (x, x_other)
    blocks = [(sp.S.One, size, (tau * size**2,)) for size in sizes]
    index, _ = shape.index_and_nullity(numbers, blocks, unused, tau)
    levels = [tau * size**2 for size in sizes]
    counts = [sp.Piecewise((1, v > at), (0, True)) for v in numbers for at in levels]
    counts += [unused * sp.Piecewise((1, value > tau), (0, True)) for value in numbers]
    pair = shape.PAIR_NEGATIVE.subs({lam: tau * x**2, shape.lam_other: tau * x_other**2})
    p.equal("The library's sum: two free modes, two single latents, unused ones",
            index, sp.Add(*counts) + pair)  # fmt: skip


if __name__ == "__main__":
    run(prove)
