r"""No spurious local minimum: every stationary point but the optimum is a strict saddle.

Units and symbols as in `landscape_stationary`: lengths in √τ, s_i = λ_i/τ, F = 2L/β,
F(B) = Σ log(1 + g_j) + tr S(I + BBᵀ)⁻¹, G = BᵀB. Nothing is assumed of S: ties, zero eigenvalues
and eigenvalues equal to τ included.

Let B be stationary.

1. G is not diagonal. Then G_jl = h ≠ 0 for two latents, and g_j = g_l = g (step 1 of
   `landscape_stationary`). Rotate the two columns by θ. BBᵀ does not change, so neither does the
   trace; the two diagonal entries become g ± h sin 2θ, so that

       F changes by log(1 − h² sin² 2θ/(1 + g)²):   strictly falling up to θ = π/4,

   with the second derivative −8h²/(1 + g)² at θ = 0. (|h| ≤ g < 1 + g by Cauchy and Schwarz.)

2. G is diagonal. Every column b ≠ 0 satisfies (I + BBᵀ)b = (1 + g)b, and stationarity gives
   Sb = (1 + g)b: the columns are orthogonal eigenvectors. Choose an eigenbasis of S that contains
   them; the point is a subset A with all s_i > 1, and F = tr S − Σ_A φ(s_i), φ(s) = s − 1 − log s.
   Below one column b moves in directions that the others, the columns of C, do not carry. While
   Cᵀb = 0, (I + bbᵀ + CCᵀ)⁻¹ = (I + bbᵀ)⁻¹ + (I + CCᵀ)⁻¹ − I: F is a term of b and a term of C,
   and tr S(I + bbᵀ)⁻¹ = tr S − bᵀSb/(1 + |b|²) sees only the eigenvectors that make up b.
   - Revival. If a latent is unused and some free s_p > 1, give it the column √μ u_p: F changes by
     log(1 + μ) + s_p/(1 + μ) − s_p, strictly falling for 0 < μ < s_p − 1; its second derivative
     along u_p is 2(1 − s_p) < 0.
   - Swap. If some free s_p > s_i with i in A, turn the column of i to
     √(v − 1)(cos θ u_i + sin θ u_p) with v = s_i cos² θ + s_p sin² θ: F changes by φ(s_i) − φ(v),
     strictly falling up to θ = π/2, because φ increases; the second derivative along the unit
     vector u_p is 2(1 − s_p/s_i) < 0.
   - Neither. The second derivatives are ≥ 0: s_i − s_p ≥ 0 for every i in A and every free p, and
     1 − s_p ≥ 0 for every free p unless |A| = k. So A contains all s > 1, or it has k elements
     that no free one exceeds: a leading set, up to ties. Compare it with any other set A' of at
     most k eigenvectors with s > 1. If |A| < k, A' is part of A: all its s exceed 1, and the free
     ones do not. If |A| = k, then |A∖A'| − |A'∖A| = k − |A'| ≥ 0: give each p in A'∖A a partner i
     in A∖A', s_i ≥ s_p. φ increases for s ≥ 1 from φ(1) = 0, so that in both cases

       Σ_A φ − Σ_A' φ = Σ_pairs [φ(s_i) − φ(s_p)] + Σ_others φ(s_i) ≥ 0.

     All points of this kind have the same F, the least of all subsets.

3. The points left over in 2 are global minima: F(B) ≥ log(1 + max g_j) grows beyond all bounds with
   B, so F attains its minimum (Weierstrass); a minimiser is stationary and has no way down, and so
   is one of them. This proves the optimum of the whole objective once more, without von Neumann's
   trace inequality.

4. Hence a stationary point of L(D) is a global minimum, or it has a direction of strictly negative
   curvature. By `landscape_reduced` the same holds in (E, C, D): local minima are global.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import landscape as shape
from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, lam, s2, tau
from proofs._words import Alphabet
from proofs.argument import Argument, Proof, run
from proofs.landscape_reduced import reduced

__all__ = ["prove", "swap_change", "turned_gram"]

g, h, t = shape.g, shape.h, shape.t
theta = sp.Symbol("theta", real=True)
share = sp.Symbol("y", nonnegative=True)  # sin² of the angle
more = sp.Symbol("more", positive=True)
rest = sp.Symbol("rest", nonnegative=True)

ROTATION = sp.Matrix([[sp.cos(theta), -sp.sin(theta)], [sp.sin(theta), sp.cos(theta)]])


def turned_gram() -> sp.Matrix:
    """DᵀD of two columns with equal norms after a rotation by θ."""
    return (ROTATION.T * sp.Matrix([[g, h], [h, g]]) * ROTATION).applyfunc(sp.simplify)


def turn_change(gram: sp.Matrix) -> sp.Expr:
    """Change of L along the rotation, from the logarithms alone."""
    product = sp.simplify((tau + gram[0, 0]) * (tau + gram[1, 1]) / (tau + g) ** 2)
    return beta / 2 * sp.log(product)


def revival_change(power: sp.Expr) -> sp.Expr:
    """Change of L when an unused latent takes a free eigenvector with d² = τ·power."""
    alone = reduced(sp.Matrix([[sp.sqrt(tau * power)]]), sp.Matrix([[shape.lam_free]]))
    return alone - beta / 2 * shape.lam_free / tau


def swap_change() -> sp.Expr:
    """Change of L when the latent of λ turns to a free eigenvector; y = sin² of the angle."""
    sine, cosine = sp.sqrt(share), sp.sqrt(1 - share)
    gain = sp.sqrt(lam * cosine**2 + shape.lam_free * sine**2 - tau)
    S = sp.diag(lam, shape.lam_free)
    turned = reduced(sp.Matrix([[gain * cosine], [gain * sine]]), S)
    return turned - reduced(sp.Matrix([[sp.sqrt(lam - tau)], [0]]), S)


def saved(ratio: sp.Expr) -> sp.Expr:
    """φ: what one latent saves on an eigenvector, in units of β/2, from F at its best gain."""
    norm = sp.Symbol("norm", positive=True)  # |b|²
    cost = sp.log(1 + norm) + ratio / (1 + norm) - ratio
    (best,) = sp.solve(sp.diff(cost, norm), norm)
    return -sp.expand(sp.simplify(cost.subs(norm, best)))


def prove() -> Proof:
    """Follow the three ways down, and show that they miss only the optimum."""
    a = Argument(
        "landscape",
        "Every stationary point that is not an optimum has a path down, of negative curvature: "
        "no local minimum is spurious.",
    )
    _turn(a)
    _eigenvectors(a)
    _splits(a)
    _revival(a)
    _swap(a)
    _neither(a)
    a.cites(
        "Weierstrass: L is continuous and L ≥ (β/2) log(1 + max g_j/τ) + const grows without bound "
        "with D, the trace being ≥ 0, so its minimum is attained"
    )
    at_optimum = modes.OPTIMAL_SQUARED_ERROR.args[0][0] / (2 * s2)
    at_optimum += beta * modes.OPTIMAL_RATE.args[0][0] - lam / (2 * s2)
    a.equal("The minimum is that of the response functions", at_optimum, -shape.SAVING)
    return a.done(
        functions=("linvae.landscape.StationaryPoint", "linvae.landscape.stationary_points"),
        properties=(
            "tests/linvae/test_landscape_minima.py::test_a_way_down_from_all_but_the_optimum",
            "tests/linvae/test_symbolic_landscape.py::test_paths",
        ),
        optimisations=(
            "tests/linvae/test_landscape_minima.py::test_descent_always_ends_at_the_optimum",
            "tests/linvae/test_landscape_minima.py::test_newton_finds_only_the_catalogue",
        ),
        uses=("landscape_reduced", "landscape_stationary"),
    )


def _turn(a: Argument) -> None:
    identity = (ROTATION * ROTATION.T).applyfunc(sp.simplify)
    a.equal("A rotation R of two latents leaves DRRᵀDᵀ alone", identity, sp.eye(2))
    gram = turned_gram()
    a.equal("The diagonal of DᵀD becomes g + h sin 2θ", gram[0, 0], g + h * sp.sin(2 * theta))
    a.equal("and g − h sin 2θ", gram[1, 1], g - h * sp.sin(2 * theta))
    moving = turn_change(gram)
    change = moving.subs(theta, sp.pi * t / 4)
    ratio = sp.exp(2 / beta * change) - sp.exp(2 / beta * shape.TURN_CHANGE)
    a.zero("L changes as the library's path", ratio)
    a.equal("whose end is the library's drop", shape.TURN_CHANGE.subs(t, 1), -shape.TURN_DROP)
    curvature = sp.diff(moving, theta, 2).subs(theta, 0)
    # The columns move at the speed √(2g).
    a.equal("Curvature along the unit direction", curvature / (2 * g), shape.TURN_CURVATURE)
    off = sp.Symbol("h", positive=True)  # the sign of h does not matter
    slope = sp.diff(sp.log(1 - share * off**2 / (tau + g) ** 2), share)
    slope = slope.subs(g, off + rest).subs(share, 1 / (1 + more))
    a.positive("L falls strictly in sin²2θ, since h ≤ g", -sp.factor(slope))


class _Column:
    """One column b and all the others C, with Cᵀb = 0, for any n and k."""

    def __init__(self) -> None:
        words = self.words = Alphabet()
        self.b, self.bt = words.matrix("b", "n", "1")
        self.C, self.Ct = words.matrix("C", "n", "k−1")
        self.S = words.symmetric("S", "n")
        self.size = sp.Symbol("g", positive=True)  # |b|²
        self.apart = {self.Ct * self.b: 0, self.bt * self.C: 0, self.bt * self.b: self.size}


def _eigenvectors(a: Argument) -> None:
    """G diagonal: stationarity MSMb = wb, w = 1/(1 + g), becomes Sb = (1 + g)b."""
    of = _Column()
    inverse = 1 + of.b * of.bt + of.C * of.Ct
    own = of.words.same(inverse * of.b, (1 + of.size) * of.b, of.apart)
    a.true("G diagonal: (I + BBᵀ)b = (1 + g)b for every column", own)
    # Multiply MSMb = wb by I + BBᵀ, where Mb = b/(1 + g).
    right = of.words.reduce(inverse * of.b / (1 + of.size), of.apart)
    left = of.S * of.b / (1 + of.size)
    claimed = of.S * of.b - (1 + of.size) * of.b
    same = of.words.same((left - right) * (1 + of.size), claimed)
    a.true("MSMb = wb becomes Sb = (1 + g)b", same)


def _splits(a: Argument) -> None:
    """While Cᵀb = 0, F is a term of b and a term of C."""
    of = _Column()
    rest = of.words.symmetric("(I+CCᵀ)⁻¹", "n")
    rules = of.apart | {of.C * of.Ct * rest: 1 - rest}
    kept = of.words.reduce(rest * (1 + of.C * of.Ct) * of.b, of.apart)
    a.true("(I + CCᵀ)⁻¹b = b, as (I + CCᵀ)b = b", of.words.same(kept, rest * of.b))
    rules |= {of.bt * rest: of.bt, rest * of.b: of.b}
    alone = 1 - of.b * of.bt / (1 + of.size)
    a.true("(I + bbᵀ)⁻¹ = I − bbᵀ/(1 + |b|²)",
           of.words.same((1 + of.b * of.bt) * alone, 1, rules))  # fmt: skip
    whole = (1 + of.b * of.bt + of.C * of.Ct) * (alone + rest - 1)
    a.true("(I + BBᵀ)⁻¹ = (I + bbᵀ)⁻¹ + (I + CCᵀ)⁻¹ − I", of.words.same(whole, 1, rules))
    energy = of.words.trace(of.S * (alone + rest - 1))
    parts = of.words.trace(of.S * rest) - of.words.trace(of.bt * of.S * of.b) / (1 + of.size)
    a.equal("tr S(I + BBᵀ)⁻¹ = tr S(I + CCᵀ)⁻¹ − bᵀSb/(1 + |b|²)", energy, parts)


def _neither(a: Argument) -> None:
    """What is left when no direction of revival or swap has negative curvature."""
    swap, revival = shape.SWAP_CURVATURE, shape.REVIVAL_CURVATURE.subs(beta, tau / s2)
    a.equal("No swap falls: s_i − s_p ≥ 0", lam * s2 * swap, lam - shape.lam_free)
    a.equal("no revival falls: 1 − s_p ≥ 0, or |A| = k", tau * s2 * revival, tau - shape.lam_free)
    common, own, other = sp.symbols("common own other", integer=True, nonnegative=True)
    left = (common + own) - (common + other)  # |A| − |A'|
    a.equal("|A∖A'| − |A'∖A| = |A| − |A'|, and |A| = k ≥ |A'|", own - other, left)
    over = sp.Symbol("over", positive=True)
    ratio = sp.Symbol("s", positive=True)
    phi = saved(ratio)
    a.equal("φ, the best gain of one latent, is the library's saving",
            beta / 2 * phi.subs(ratio, lam / (beta * s2)), shape.SAVING)  # fmt: skip
    a.zero("φ(1) = 0", phi.subs(ratio, 1))
    slope = sp.diff(phi, ratio).subs(ratio, 1 + over)
    a.positive("φ increases for s > 1: partners and those without save no less", slope)


def _revival(a: Argument) -> None:
    power = sp.Symbol("power", positive=True)
    change = revival_change(power)
    along = t**2 * (shape.lam_free / tau - 1)
    a.equal("Revival: the library's path", change.subs(power, along), shape.REVIVAL_CHANGE)
    a.equal("and drop", -shape.REVIVAL_CHANGE.subs(t, 1), shape.REVIVAL_DROP)
    inside = {shape.lam_free: tau * (1 + power + more)}
    slope = sp.factor(sp.diff(change, power).subs(inside))
    a.positive("L falls strictly while 1 + μ < s", -slope)
    step = sp.Symbol("step", real=True)
    curvature = sp.diff(change.subs(power, step**2 / tau), step, 2).subs(step, 0)
    curvature = curvature.subs(tau, beta * s2)
    a.equal("Curvature at the unused latent", curvature, shape.REVIVAL_CURVATURE)


def _swap(a: Argument) -> None:
    change = swap_change()
    seen = lam + (shape.lam_free - lam) * share
    moving = beta / 2 * (sp.log(seen / lam) - (seen - lam) / tau)
    slopes = [sp.cancel(sp.together(sp.diff(each, share))) for each in (change, moving)]
    a.zero("Swap: L changes as −φ(v), v = λ cos² + λ_p sin²", slopes[0] - slopes[1])
    a.zero("from 0", change.subs(share, 0))
    path = moving.subs(share, sp.sin(sp.pi * t / 2) ** 2)
    a.equal("the library's path", shape.SWAP_CHANGE, path)
    a.equal("and drop", -shape.SWAP_CHANGE.subs(t, 1), shape.SWAP_DROP)
    over = sp.Symbol("over", positive=True)
    slope = slopes[1].subs(shape.lam_free, lam + more).subs(lam, tau * (1 + over))
    a.positive("L falls strictly, since every λ on the way exceeds τ", -sp.factor(slope))
    # d²/dθ² = 2 d/dy at θ = 0; the column moves at the speed √(λ − τ), its length.
    unit = (2 * slopes[0].subs(share, 0) / (lam - tau)).subs(tau, beta * s2)
    a.equal("Curvature along the unit vector u_p", unit, shape.SWAP_CURVATURE)


if __name__ == "__main__":
    run(prove)
