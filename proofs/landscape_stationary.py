r"""All stationary points of the objective at fixed β and σ², and what each of them loses.

Lengths are in units of √τ, τ = βσ²: B = D/√τ, and s_i = λ_i/τ are the eigenvalues of S. By
`landscape_reduced` the points sought are those of

    F(B) = Σ_j log(1 + g_j) + tr S M,   M = (I + BBᵀ)⁻¹,   G = BᵀB,   g_j = G_jj,   L = (β/2) F,

and ∇F(B) = 0 reads  MSMB = BW  with W = diag w, w_j = 1/(1 + g_j).

1. Blocks. BᵀMSMB = GW is symmetric, so GW = WG: G_jl (w_l − w_j) = 0, that is G_jl = 0 unless
   g_j = g_l. Collect the latents with equal g into blocks; B_b are the columns of block b, q of
   them. Columns of different blocks are orthogonal.

2. Eigenvectors. Let B_b = U diag(√μ) Vᵀ be the singular value decomposition with r ≤ q positive
   μ. The U of all blocks are orthogonal to each other, so (I + BBᵀ)u = (1 + μ)u and
   Mu = u/(1 + μ). Inserted into MSMB_b = wB_b, after multiplication by M⁻¹ on the left,

       S u_i = w (1 + μ_i)² u_i:   every u_i is an eigenvector of S, with s_i = w(1 + μ_i)².

   With w = 1/x², x² = 1 + g, this is μ_i = x√s_i − 1, positive exactly if x√s_i > 1.
   (U may be chosen anew among vectors of equal μ; those have equal s, so ties change nothing.)

3. One number for a block. The trace of B_bᵀB_b is q g = Σ μ_i, so with P = Σ √s_i

       f(x) := q x² − P x + r − q = 0.

   f(0) = r − q ≤ 0, so there is exactly one positive root, and f(y) = (y − x)(q y + (q − r)/x) is
   negative for 0 < y < x. Hence x√s_min > 1 exactly if f(1/√s_min) < 0, that is

       τ < √λ_min [Σ √λ_i + (q − r)√λ_min] / q.

4. Existence. Needed is a symmetric q × q matrix with eigenvalues μ_1..μ_r, 0..0 and constant
   diagonal g. Start with the diagonal matrix. While the diagonal is not constant, one entry lies
   below the mean and one above; a plane rotation makes the first equal to the mean (its tangent
   solves a quadratic whose outer coefficients have opposite signs). It keeps the eigenvalues, the
   sum of the two entries and all other entries of the diagonal: of the entries that differ from
   the mean at least one is gone, and one alone cannot be left. At most q − 1 rotations do.

5. Conversely take disjoint sets of eigenvectors, sizes q and such mixings: B = UΓVᵀ with
   Γ² = diag μ, V block by block. Then M = I − UΓ²RUᵀ with R = (I + Γ²)⁻¹, and from SU = UW(I + Γ²)²
   and VW = diag(w_j)V follows MSMB = B diag w_j; this is ∇F = 0, since the constant diagonal gives
   1/(1 + g_j) = w_j.

6. Value. M = I − UΓ²RUᵀ acts on the eigenvectors one by one, so tr SM is a sum over them. A block
   pays q log(1 + g) + Σ s_i/(1 + μ_i) = 2q log x + P/x; ignoring its eigenvectors
   would cost Σ s_i. For q = r = 1: x² = s, d² = λ − τ, and the saving is φ(s) = s − 1 − log s.
   Against its eigenvectors with s_i > 1 on latents of their own, which save Σ φ(s_i), a block loses

       Σ_{s_i > 1} 2φ(√s_i/x) + Σ_{s_i ≤ 1} [2φ(1/x) + (1 − √s_i)(1 + √s_i − 2/x)] + (q − r)φ(1/x²):

   either kind of eigenvector brings 2√s_i/x − 1 + 2 log x beyond φ(s_i) or 0, less s_i, and the sum
   over all differs from what the block pays by f(x)/x² = 0. No term is negative: φ ≥ 0, and with
   √s_i = (1 + u)/x ≤ 1 the product is v(2u + v)/x², v = x − 1 − u ≥ 0.
   Against the optimum, which encodes the at most k largest s_i > 1 (`global_optimum`, and anew in
   `landscape_minima`), a stationary point therefore exceeds by (β/2)[Σ_A* φ(s_i) − the savings of
   its blocks].
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import landscape as shape
from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, lam, s2, tau
from proofs._words import Alphabet
from proofs.argument import Argument, Proof, run
from proofs.landscape_reduced import reduced, rewritten

__all__ = ["block_polynomial", "block_root", "mode_power", "prove"]

x = shape.root
s = sp.Symbol("s", positive=True)  # λ/τ
mu = sp.Symbol("mu", positive=True)
w = sp.Symbol("w", positive=True)
P = sp.Symbol("P", positive=True)  # Σ √s_i over the block
y = sp.Symbol("y", positive=True)
r = sp.Symbol("r", positive=True)
spare = sp.Symbol("spare", nonnegative=True)  # q − r
q = r + spare
index = sp.Symbol("i", integer=True)
count = sp.Symbol("count", integer=True, positive=True)  # of the eigenvectors of a block
roots = sp.IndexedBase("a", positive=True)[index]  # their √s_i


def commutator() -> sp.Expr:
    """An entry of GW − WG over the factor that must vanish, for two latents."""
    g1, g2, off = sp.symbols("g1 g2 h", real=True)
    gram = sp.Matrix([[g1, off], [off, g2]])
    weights = sp.diag(1 / (1 + g1), 1 / (1 + g2))
    entry = (gram * weights - weights * gram)[0, 1]
    return entry - off * (g1 - g2) / ((1 + g1) * (1 + g2))


def eigenvector_equation() -> sp.Expr:
    """M⁻¹(MSMu − wu) − [Su/(1 + μ) − w(1 + μ)u], with Mu = u/(1 + μ) and M⁻¹u = (1 + μ)u."""
    S, M, A, u = sp.symbols("S M A u", commutative=False)
    rules = {M * u: u / (1 + mu), A * u: (1 + mu) * u, A * M: sp.S.One}
    left = rewritten(A * (M * S * M * u - w * u), rules)
    return sp.expand(left - S * u / (1 + mu) + w * (1 + mu) * u)


def mode_power() -> sp.Expr:
    """μ of an eigenvector in a block: the positive solution of s = (1 + μ)²/x²."""
    unknown = sp.Symbol("mu", real=True)
    return max(sp.solve((1 + unknown) ** 2 - s * x**2, unknown), key=lambda e: e.subs({s: 4, x: 1}))


def over_block(term: sp.Expr) -> sp.Expr:
    """Σ of a polynomial in √s_i over any number of eigenvectors, Σ√s_i as P, Σ1 as r."""
    total = sp.S.Zero
    for part in sp.Add.make_args(sp.expand(term)):
        factor, power = part.as_independent(roots)
        total += factor * sp.Sum(power, (index, 1, count)).doit()
    return total.subs({sp.Sum(roots, (index, 1, count)): P, count: r})


def block_polynomial(at: sp.Expr) -> sp.Expr:
    """The polynomial f of step 3: q(x² − 1) − Σ(x√s_i − 1), with Σ√s_i = P over r eigenvectors."""
    return sp.expand(q * (at**2 - 1) - (P * at - r))


def block_root() -> sp.Expr:
    """The root of f that the quadratic formula gives with the plus sign."""
    return max(sp.solve(block_polynomial(y), y), key=lambda e: e.subs({P: 3, r: 1, spare: 2}))


def in_library_symbols(expression: sp.Expr) -> sp.Expr:
    """Replace P, r and q − r by the names of linvae.symbolic.landscape."""
    names = {P: shape.sum_roots / sp.sqrt(tau), spare: shape.q - shape.r}
    return expression.subs(names).subs(r, shape.r)


def rotation_residual() -> sp.Expr:
    """First diagonal entry after the plane rotation of step 4, minus the wanted level."""
    low, high, off, level = sp.symbols("low high off level", real=True)
    tangent = sp.Symbol("tangent", real=True)
    cosine = 1 / sp.sqrt(1 + tangent**2)
    sine = tangent * cosine
    entry = cosine**2 * low + 2 * cosine * sine * off + sine**2 * high
    quadratic = (high - level) * tangent**2 + 2 * off * tangent + (low - level)
    return sp.simplify(entry - level - quadratic / (1 + tangent**2))


def rotated_diagonal() -> sp.Matrix:
    """After a rotation in the plane of two axes: change of their sum, of another entry; RᵀR − I."""
    matrix = sp.Matrix(3, 3, lambda i, j: sp.Symbol(f"m{min(i, j)}{max(i, j)}", real=True))
    angle = sp.Symbol("angle", real=True)
    turn = sp.eye(3)
    turn[:2, :2] = sp.Matrix([[sp.cos(angle), sp.sin(angle)], [-sp.sin(angle), sp.cos(angle)]])
    after = turn * matrix * turn.T
    both = after[0, 0] + after[1, 1] - matrix[0, 0] - matrix[1, 1]
    return sp.Matrix([both, after[2, 2] - matrix[2, 2], *(turn.T * turn - sp.eye(3))])


def discriminant() -> sp.Expr:
    """Of that quadratic, with low = level − below and high = level + above."""
    below, above = sp.symbols("below above", positive=True)
    off, tangent = sp.symbols("off tangent", real=True)
    return sp.discriminant(above * tangent**2 + 2 * off * tangent - below, tangent)


def block_saving() -> sp.Expr:
    """What a block saves over ignoring its eigenvectors: F at it, term by term, in nats."""
    power = mode_power().subs(s, roots**2)
    each = sp.cancel(roots**2 / (1 + sp.expand(power)))  # s_i/(1 + μ_i)
    pays = shape.q * sp.log(x**2) + over_block(each)
    ignored = over_block(roots**2)
    names = {P: shape.sum_roots / sp.sqrt(tau), ignored: shape.sum_ratios}
    return sp.expand_log((beta / 2 * (ignored - pays)).subs(names))


def common_part() -> sp.Expr:
    """2√s/x − 1 + 2 log x: what an eigenvector brings to what a block pays, by the deficits."""
    return 2 * sp.sqrt(s) / x - 1 + 2 * sp.log(x)


def deficit_terms() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """The library's deficits in units of β/2, of an eigenvector with s > 1, of another, spare."""
    named = (shape.DEFICIT_ALIVE, shape.DEFICIT_FAINT, shape.DEFICIT_SPARE)
    alive, faint, unused = (
        sp.expand_log(sp.expand(2 / beta * term).subs(lam, s * tau)) for term in named
    )
    return alive, faint, unused


def gradient_of_shared_pair() -> sp.Matrix:
    """∇F at two latents that share an eigenvector of two features, S diagonal."""
    other, z = sp.Symbol("s_other", positive=True), sp.Symbol("z", positive=True)  # z = x² − 1
    entries = sp.symbols("p:4", real=True)
    F = 2 / beta * reduced(sp.Matrix(2, 2, entries), sp.diag(s, other)).subs(tau, 1)
    (ratio,) = sp.solve(block_polynomial(x).subs({P: sp.sqrt(s), r: 1, spare: 1}), s)
    at = dict(zip(entries, (sp.sqrt(z), sp.sqrt(z), 0, 0), strict=True))
    slopes = [
        sp.diff(F, entry).subs(at).subs(s, ratio).subs(x, sp.sqrt(1 + z)) for entry in entries
    ]
    return sp.Matrix(slopes).applyfunc(sp.simplify)


def prove() -> Proof:
    """Derive the blocks, the number x of each, where it exists, and what it saves."""
    a = Argument(
        "excess",
        "Subsets and shared blocks of eigenvectors are stationary, and exceed the optimum by the "
        "closed form.",
    )
    a.zero("Symmetry of BᵀMSMB: G_jl (g_j − g_l) = 0 for all latents", commutator())
    a.zero("Left singular vectors satisfy S u = w(1 + μ)² u", eigenvector_equation())
    power = mode_power()
    a.zero("whose positive solution is μ = x√s − 1", (1 + power) ** 2 / x**2 - s)
    a.equal("the library's gains", (tau * power).subs(s, lam / tau), shape.BLOCK_GAIN_SQUARED)
    _block_number(a)
    a.zero("A plane rotation sets a diagonal entry at the root of a quadratic", rotation_residual())
    a.positive("which has real roots while one entry is below and one above", discriminant())
    a.zero("It keeps the eigenvalues, the sum of the two and all other entries", rotated_diagonal())
    _conversely(a)
    a.zero("Two latents on one eigenvector: the gradient vanishes", gradient_of_shared_pair())
    a.equal("What a block saves is the library's formula", block_saving(), shape.BLOCK_SAVING)
    _deficit(a)
    _single(a)
    return a.done(
        functions=(
            "linvae.landscape.stationary_point",
            "linvae.landscape.block_stationary_point",
            "linvae.landscape.stationary_points",
            "linvae.landscape.collapse_beta",
        ),
        properties=(
            "tests/linvae/test_landscape_points.py::test_gradients_vanish_and_excess_is_measured",
            "tests/linvae/test_landscape_points.py::test_drawn_blocks_are_stationary",
            "tests/linvae/test_symbolic_landscape.py::test_blocks",
            "tests/linvae/test_symbolic_landscape.py::test_deficits",
            "tests/linvae/test_landscape_excess.py::test_no_excess_is_negative",
        ),
        optimisations=(
            "tests/linvae/test_landscape_minima.py::test_newton_finds_only_the_catalogue",
        ),
        uses=("global_optimum", "landscape_reduced"),
    )


def _conversely(a: Argument) -> None:
    """Step 5, for any number of blocks of any size."""
    words = Alphabet()
    U, Ut = words.matrix("U", "n", "r")
    V, Vt = words.matrix("V", "k", "r")
    gamma, R, W = (words.symmetric(name, "r") for name in ("Γ", "R", "W"))
    latents, S = words.symmetric("diag w_j", "k"), words.symmetric("S", "n")
    B, M = U * gamma * Vt, 1 - U * gamma**2 * R * Ut
    rules = {Ut * U: 1, Vt * V: 1, gamma**2 * R: 1 - R, R * W: W * R, gamma * W: W * gamma,
             R * gamma: gamma * R, Vt * latents: W * Vt,
             S * U: U * W * (1 + 2 * gamma**2 + gamma**4)}  # fmt: skip
    inverse = sp.expand((1 + B * words.transposed(B)) * M)
    a.true("Conversely, B = UΓVᵀ: M = I − UΓ²RUᵀ", words.same(inverse, 1, rules))
    a.true("MSMB = B diag w_j", words.same(M * S * M * B, B * latents, rules))
    seen = U * W * (1 + gamma**2) * gamma**2 * Ut
    a.true("S − SM = UW(I + Γ²)Γ²Uᵀ", words.same(S * (1 - M), seen, rules))
    power = mode_power()
    share = s - (1 + power) * power / x**2  # tr SM is a sum over eigenvectors, UᵀU = I
    a.equal("so a mode of a block has s/(1 + μ) in place of s in tr SM", share, s / (1 + power))


def _block_number(a: Argument) -> None:
    """Step 3: the quadratic, its positive root, and the threshold."""
    solution = block_root()
    powers = over_block(mode_power().subs(s, roots**2))  # Σ μ_i
    a.equal("q g − Σ μ_i, over any number of eigenvectors, is f(x)",
            q * (x**2 - 1) - powers, block_polynomial(x))  # fmt: skip
    at_root = sp.solve(block_polynomial(x), P)[0]
    mean = sp.simplify((powers / q).subs(P, at_root))
    a.equal(
        "The mean Σ μ_i/q is the library's diagonal τ(x² − 1)", tau * mean, shape.BLOCK_DIAGONAL
    )
    a.zero("The quadratic formula solves f(x) = 0", block_polynomial(solution))
    a.equal("the library's root", in_library_symbols(solution), shape.BLOCK_ROOT)
    sum_at = sp.solve(block_polynomial(x), P)[0]
    factors = (y - x) * (q * y + spare / x)
    a.zero("f(y) = (y − x)(q y + (q − r)/x)", block_polynomial(y).subs(P, sum_at) - factors)
    a.positive(
        "so f has no other positive root, and f(y) < 0 for y < x", sp.cancel(factors / (y - x))
    )
    least = sp.sqrt(shape.lam_min / tau)
    at_least = in_library_symbols(block_polynomial(1 / least) * least**2)
    level = s2 * shape.BLOCK_THRESHOLD
    a.equal("f(1/√s_min) < 0 is τ < σ²·(the library's β)", at_least, shape.q * (1 - level / tau))


def _deficit(a: Argument) -> None:
    """Step 6, what a block loses against the optimum of its own eigenvectors."""
    alive, faint, unused = deficit_terms()
    saving = s - 1 - sp.log(s)
    a.equal("An eigenvector with s > 1: deficit − φ(s) + s", alive - saving + s, common_part())
    a.equal("One with s ≤ 1, better ignored: deficit + s is the same", faint + s, common_part())
    total = over_block(sp.expand(common_part().subs(s, roots**2))) + spare * unused
    paid = q * sp.log(x**2) + P / x
    a.equal(
        "The deficits add up to what the block pays, less f(x)/x²",
        total - sp.expand_log(paid), -block_polynomial(x) / x**2,
    )  # fmt: skip
    bracket = y - 1 - sp.log(y)
    a.zero("φ(1) = 0", bracket.subs(y, 1))
    a.zero("and φ'(1) = 0", sp.diff(bracket, y).subs(y, 1))
    a.positive("φ is convex: no deficit of a latent of its own is negative", sp.diff(bracket, y, 2))
    u, v = sp.symbols("u v", nonnegative=True)
    product = (1 - sp.sqrt(s)) * (1 + sp.sqrt(s) - 2 / x)
    placed = product.subs(sp.sqrt(s), (1 + u) / x).subs(x, 1 + u + v)
    a.nonnegative("nor that of an eigenvector with s ≤ 1, carried as x√s > 1", sp.factor(placed))
    rest = sp.expand_log(faint - product - 2 * bracket.subs(y, 1 / x))
    a.zero("the rest of which is 2φ(1/x)", sp.expand(rest))
    a.zero("as that of a spare latent is φ(1/x²)", unused - sp.expand_log(bracket.subs(y, x**-2)))


def _single(a: Argument) -> None:
    """One latent on one eigenvector: the gains and the objective of the joint optimum."""
    one = {shape.q: 1, shape.r: 1, shape.sum_roots: sp.sqrt(lam), shape.lam_min: lam}
    alone = sp.simplify(shape.BLOCK_ROOT.subs(one))
    a.equal("q = r = 1: x² = λ/τ", alone**2, lam / tau)
    active = modes.DECODER_GAIN.args[0][0] ** 2
    power = shape.BLOCK_GAIN_SQUARED.subs(x, alone).subs(tau, modes.WATER_LEVEL)
    a.equal("and d² = λ − τ", power, active)
    a.equal("It exists for β < λ/σ²", shape.BLOCK_THRESHOLD.subs(one), modes.CRITICAL_BETA)
    saved = shape.BLOCK_SAVING.subs(one).subs({x: alone, shape.sum_ratios: lam / tau})
    saved = saved.subs(tau, modes.WATER_LEVEL)
    a.equal("and saves (β/2)(s − 1 − log s)", saved, shape.SAVING)


if __name__ == "__main__":
    run(prove)
