r"""The Hessian at every stationary point: its negative and its zero directions, counted.

Units and symbols as in `landscape_stationary`: lengths in √τ, F = 2L/β, blocks b with numbers
w = 1/x², μ_i = x√s_i − 1, G = BᵀB. A second derivative of L in D is that of F/2 over σ².

1. Second order. For B + εΔ with columns b_j, δ_j of B, Δ, the coefficient of ε² in F is

    Q(Δ) = Σ_j [w_j|δ_j|² − 2w_j²(b_j·δ_j)²] − tr K ΔΔᵀ + tr K N₁MN₁,   K = MSM, N₁ = BΔᵀ + ΔBᵀ.

   In the eigenvectors of S that the point singles out, K and M are diagonal: K_i = w and
   M_i = 1/(1 + μ_i) on a mode of a block, K_p = s_p and M_p = 1 on a free one; so
   tr K N₁MN₁ = Σ K_a M_c (N₁)²_ac.
   Write a row of Δ_b in the coordinates V and V⊥ of the block's latents. Q then falls apart:

2. Free mode p, latents of b. Along V_i the coefficient is w − s_p + (w + s_p/(1+μ_i))μ_i
   = (√s_i/x)(1 − s_p/s_i); along each of the q − r directions V⊥ it is w − s_p. Unused latents are
   a block with r = 0, x = 1: the coefficient 1 − s_p. Negative: #{i: s_p > s_i} + (q − r)[s_p > w].

3. Modes of one block, latents of another. Of the pair i in b, i' in b', the two coordinates have
   the form [[A, m√(μμ')], [m√(μμ'), A']] with A = w − w' + mμ, A' = w' − w + mμ' and
   m = w/(1 + μ') + w'/(1 + μ). Its trace m(μ + μ') is positive, its determinant is
   (w − w')(s' − s)/(xx'√(ss')): one negative direction if the block with the larger diagonal has
   the smaller eigenvalue, else none; never for two single latents, where w = 1/s. A mode i' of b'
   in the spare latents of b has w − w'.

4. Modes and latents of one block. The terms −w|Δ|² and w|Δ|² cancel:
   Q = w Σ M_c (N₁)²_ac − 2w² Σ_j (b_j·δ_j)². The first part vanishes exactly on Δ = BΩ, Ω skew
   (rotations of the latents), of dimension rq − r(r+1)/2. There b_j·δ_j = Σ_l G_jl Ω_lj: each Ω_lj
   adds G_jl to entry j and subtracts it from entry l, and if the G_jl ≠ 0 connect all q latents,
   these vectors span {f: Σ f_j = 0}: q − 1 negative directions, the others null.
   Any other Δ can be chosen, modulo rotations, with all b_j·δ_j equal to ν/(2q), ν = tr N₁, because
   they sum to ν/2; then it is Q-orthogonal to the rotations. For ν = 0 the second part is gone and
   Q > 0; else, by Cauchy and Schwarz, since Σ(1 + μ_i) = r + qg,

       Q ≥ wν²[1/(r + qg) − 1/(2q(1 + g))] > 0.

5. The index is therefore the sum, over blocks with connected latents, of (q − 1) and the counts of
   2 and 3. For single latents on a subset A it is

       #{i ∈ A, p ∉ A: λ_p > λ_i} + (k − |A|) #{p ∉ A: λ_p > τ},

   and there is no null direction unless eigenvalues tie with each other or with τ.
   By `landscape_reduced` the index of the objective in (E, C, D) is the same.
"""

from __future__ import annotations

from itertools import product

import sympy as sp

from linvae.symbolic import landscape as shape
from linvae.symbolic.symbols import beta, lam, s2, tau
from proofs.argument import Argument, Proof, run
from proofs.landscape_reduced import reduced

__all__ = ["free_row", "pair_form", "prove"]

a, a_free, a_other = sp.symbols("a a_free a_other", positive=True)  # √s of three modes
x, x_other = shape.root, shape.root_other
w, w_other = 1 / x**2, 1 / x_other**2
mu, mu_other = x * a - 1, x_other * a_other - 1


def log_term() -> sp.Expr:
    """Coefficient of ε² in log(1 + |b + εδ|²), minus the claimed one."""
    size, overlap, length, eps = sp.symbols("g b_delta delta2 epsilon", real=True)
    expanded = sp.series(sp.log(1 + size + 2 * eps * overlap + eps**2 * length), eps, 0, 3)
    claimed = length / (1 + size) - 2 * overlap**2 / (1 + size) ** 2
    return sp.simplify(expanded.removeO().coeff(eps, 2) - claimed)


def diagonal_trace() -> sp.Expr:
    """Trace of K N M N minus Σ K_a M_c N²_ac for diagonal K, M and symmetric N."""
    K, M = (sp.diag(*sp.symbols(f"{name}:3")) for name in "KM")
    N = sp.Matrix(3, 3, lambda i, j: sp.Symbol(f"N{min(i, j)}{max(i, j)}"))
    pairs = sum(K[i, i] * M[j, j] * N[i, j] ** 2 for i, j in product(range(3), repeat=2))
    return sp.expand((K * N * M * N).trace() - pairs)


def free_row() -> sp.Expr:
    """Coefficient of step 2 along V_i: N₁ has the entries √μ at (i, p) and (p, i)."""
    ratio = a_free**2
    return w - ratio + (w * 1 + ratio / (1 + mu)) * mu


def pair_form() -> tuple[sp.Matrix, sp.Symbol, sp.Symbol, sp.Expr]:
    """The form of step 3: N₁ has the entry √μ y + √μ' y' at (i, i') and (i', i)."""
    u, v, root_mu, root_other = sp.symbols("u v root_mu root_mu_other", real=True)
    weight = w / (1 + mu_other) + w_other / (1 + mu)
    form = w * u**2 - w_other * u**2 + w_other * v**2 - w * v**2
    form += weight * (root_mu * u + root_other * v) ** 2
    matrix = sp.hessian(form, (u, v)) / 2
    return matrix, root_mu, root_other, weight


def pair_determinant() -> sp.Expr:
    """Its determinant, with μ and μ' for the squares of the roots."""
    matrix, root_mu, root_other, _ = pair_form()
    return sp.expand(matrix.det()).subs({root_mu**2: mu, root_other**2: mu_other})


def rotation_overlaps(size: int) -> tuple[sp.Matrix, sp.Matrix]:
    """Of Δ = BΩ: the b_j·δ_j = (GΩ)_jj, and N₁ up to B from both sides, Ω + Ωᵀ."""
    gram = sp.Matrix(size, size, lambda i, j: sp.Symbol(f"G{min(i, j)}{max(i, j)}", real=True))
    skew = sp.Matrix(size, size, lambda i, j: _skew(i, j))
    turned = gram * skew
    edges = sp.zeros(size, 1)
    for i, j in product(range(size), repeat=2):
        if i < j:
            edges[i] += -gram[i, j] * skew[i, j]
            edges[j] += gram[i, j] * skew[i, j]
    return sp.Matrix([turned[j, j] for j in range(size)]) - edges, skew + skew.T


def _skew(i: int, j: int) -> sp.Expr:
    entry = sp.Symbol(f"O{min(i, j)}{max(i, j)}", real=True)
    return sp.S.Zero if i == j else (entry if i < j else -entry)


def remaining_margin() -> sp.Expr:
    """The bracket of step 4, with q = r + spare."""
    r, g = sp.symbols("r g", positive=True)
    q = r + sp.Symbol("spare", nonnegative=True)
    return sp.factor(1 / (r + q * g) - 1 / (2 * q * (1 + g)))


def explicit_hessian(entries: tuple[sp.Symbol, ...], point: tuple[sp.Expr, ...]) -> sp.Matrix:
    """Hessian of L at two features and two latents, τ = 1 and σ² = 1/β, S = diag(a², a_free²)."""
    L = reduced(sp.Matrix(2, 2, entries), sp.diag(a**2, a_free**2)).subs(tau, 1)
    at = dict(zip(entries, point, strict=True))
    return sp.hessian(L / beta, entries).applyfunc(lambda e: sp.simplify(e.subs(at)))


def shared_pair_check() -> sp.Expr:
    """Two latents share an eigenvector: the explicit Hessian in its four eigenvectors."""
    entries = sp.symbols("p:4", real=True)
    size = sp.Symbol("z", positive=True)  # g of each latent, x² − 1
    hessian = explicit_hessian(entries, (sp.sqrt(size), sp.sqrt(size), 0, 0))
    number = sp.sqrt(1 + size)
    hessian = hessian.subs(a, (2 * number**2 - 1) / number)  # 2x² − ax = 1
    here = {x: number, a: (2 * number**2 - 1) / number, tau: 1, s2: 1 / beta}
    ratios = {lam: a**2, shape.lam_free: a_free**2, shape.g: size, shape.h: size}
    turn = shape.TURN_CURVATURE.subs(ratios).subs(here) / beta
    swap = shape.BLOCK_SWAP_CURVATURE.subs(ratios).subs(here) / beta
    spare = shape.SPARE_CURVATURE.subs(ratios).subs(here) / beta
    total = sp.S.Zero
    for vector, curvature in (
        ((1, -1, 0, 0), turn),
        ((0, 0, 1, 1), swap),
        ((0, 0, 1, -1), spare),
    ):
        column = sp.Matrix(vector)
        difference = hessian * column - curvature * column
        total += sum(sp.simplify(entry) ** 2 for entry in difference)
    return sp.simplify(total)


def subset_check() -> sp.Expr:
    """One latent on an eigenvector, one unused: the off-diagonal part of the explicit Hessian."""
    entries = sp.symbols("p:4", real=True)
    gain = sp.Symbol("gain", positive=True)
    hessian = explicit_hessian(entries, (gain, 0, 0, 0)).subs(a, sp.sqrt(1 + gain**2))
    here = {lam: 1 + gain**2, shape.lam_free: a_free**2, s2: 1 / beta}
    swap = shape.SWAP_CURVATURE.subs(here) / beta
    revival = shape.REVIVAL_CURVATURE.subs(here) / beta
    # Own gain; unused latent on the taken mode; the latent, and the unused one, on the free mode.
    own = 2 * gain**2 / (1 + gain**2) ** 2
    taken = 1 - 1 / (1 + gain**2)
    expected = sp.diag(own, taken, swap, revival)
    return sum(sp.simplify(entry) ** 2 for entry in hessian - expected)


def prove() -> Proof:
    """Split the second variation into forms of one and two coordinates, and count."""
    p = Argument(
        "index",
        "The Hessian of a stationary point has as many negative eigenvalues as the closed form "
        "counts.",
    )
    p.zero("Second order of the logarithms", log_term())
    p.zero("tr K N₁MN₁ is a sum of squares of entries", diagonal_trace())
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
    p.equal("A free mode against a mode of a block: the library's curvature", free_row(), swap)
    p.equal("and against its spare latents: w − s", w - a_free**2, spare)
    p.equal("One latent, x = √s: the swap curvature", free_row().subs(x, a), single)
    p.equal("An unused latent, x = 1: the revival curvature", spare.subs(x, 1), revival)
    _two_blocks(p)
    _one_block(p)
    p.zero("Explicit Hessian, one latent in use and one unused", subset_check())
    p.zero("Explicit Hessian, two latents on one eigenvector", shared_pair_check())
    return p.done(
        functions=("linvae.landscape.StationaryPoint", "linvae.landscape.reduced_hessian"),
        properties=(
            "tests/linvae/test_landscape_index.py::test_index_of_drawn_blocks",
            "tests/linvae/test_landscape_index.py::test_index_of_subsets",
            "tests/linvae/test_symbolic_landscape.py::test_curvatures",
        ),
        optimisations=("tests/linvae/test_landscape_index.py::test_index_of_the_full_objective",),
    )


def _two_blocks(p: Argument) -> None:
    matrix, root_mu, root_other, weight = pair_form()
    trace = matrix.trace() - weight * (root_mu**2 + root_other**2)
    p.zero("Two blocks: the trace of a pair is m(μ + μ')", trace)
    p.positive("with m > 0", weight)
    expected = shape.PAIR_DETERMINANT.subs({lam: a**2, shape.lam_other: a_other**2})
    p.equal("and its determinant the library's", pair_determinant(), expected)
    singles = expected.subs({x: a, x_other: a_other})
    larger = sp.Symbol("larger", nonnegative=True)
    p.nonnegative("never negative for two single latents", singles.subs(a_other, a + larger))


def _one_block(p: Argument) -> None:
    for size in (2, 3, 4):
        overlaps, symmetric = rotation_overlaps(size)
        p.zero(f"{size} latents: (GΩ)_jj is a sum over the pairs that G joins", overlaps)
        p.zero(f"{size} latents: rotations leave BBᵀ alone", symmetric)
    p.cites(
        "The vectors e_j − e_l over the edges of a connected graph on q points span the vectors of "
        "sum 0: rank q − 1"
    )
    p.cites("Cauchy–Schwarz: Σ M_i n_i² ≥ (Σ n_i)²/Σ(1/M_i), used with M_i = 1/(1 + μ_i)")
    p.positive("What is not a rotation has Q ≥ wν² times a positive number", remaining_margin())


if __name__ == "__main__":
    run(prove)
