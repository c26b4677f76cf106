"""The second variation of L(D) in coordinates, for matrices of any size; see `landscape_index`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, reduce
from operator import mul

import sympy as sp
from sympy.concrete.delta import deltasummation

from linvae.symbolic import landscape as shape
from linvae.symbolic.symbols import beta, lam, n, s2, tau

from ._words import Alphabet
from .argument import is_nonnegative, vanishes
from .landscape_reduced import reduced

__all__ = [
    "Letters",
    "counted",
    "diagonal_trace",
    "display_error",
    "edge_overlaps",
    "shared_pair_check",
    "subset_check",
]

a, a_free = sp.symbols("a a_free", positive=True)  # √s of two modes
x = shape.root


class Letters:
    """Step 2 in matrices of any size."""

    def __init__(self) -> None:
        words = self.words = Alphabet()
        self.U, self.Ut = words.matrix("U", "n", "r")
        self.F, self.Ft = words.matrix("F", "n", "f")
        self.V, self.Vt = words.matrix("V", "k", "r")
        self.O, self.Ot = words.matrix("V⊥", "k", "spare")
        self.Y, self.Yt = words.matrix("Y", "r", "r")
        self.Z, self.Zt = words.matrix("Z", "r", "spare")
        self.Yf, self.Yft = words.matrix("Y_f", "f", "r")
        self.Zf, self.Zft = words.matrix("Z_f", "f", "spare")
        self.gamma, self.R, self.W = (words.symmetric(name, "r") for name in ("Γ", "R", "W"))
        self.free, self.W_spare = words.symmetric("s_F", "f"), words.symmetric("W⊥", "spare")
        self.W_latents = words.symmetric("W_k", "k")
        frames = ((self.U, self.Ut, self.F, self.Ft), (self.V, self.Vt, self.O, self.Ot))
        self.rules: dict[sp.Expr, sp.Expr | int] = {}
        for one, one_t, two, two_t in frames:
            self.rules |= {one_t * one: 1, two_t * two: 1, one_t * two: 0, two_t * one: 0}
        self.rules |= {self.W_latents * self.V: self.V * self.W}
        self.rules |= {self.W_latents * self.O: self.O * self.W_spare}
        self.B = self.U * self.gamma * self.Vt
        own = self.Y * self.Vt + self.Z * self.Ot
        self.delta = sp.expand(self.U * own + self.F * (self.Yf * self.Vt + self.Zf * self.Ot))
        self.own = sp.expand(own)

    def trace(self, expression: sp.Expr) -> sp.Expr:
        return self.words.trace(self.words.reduce(sp.expand(expression), self.rules, cyclic=True))

    def parts(self) -> dict[str, sp.Expr]:
        """The display of step 2, less the overlaps and with ΓYᵀ + YΓ for N."""
        rows = self.Yf * (self.W + self.gamma * self.W * self.gamma) * self.Yft
        rows += self.free * self.Yf * (self.gamma * self.R * self.gamma - 1) * self.Yft
        spare = self.Zf * self.W_spare * self.Zft - self.free * self.Zf * self.Zft
        others = self.Z * self.W_spare * self.Zt - self.W * self.Z * self.Zt
        modes = self.Y * self.W * self.Yt - self.W * self.Y * self.Yt
        N = self.gamma * self.Yt + self.Y * self.gamma
        return {"free": rows, "spare": spare, "others": others, "modes": modes,
                "N": self.W * N * self.R * N}  # fmt: skip

    def coefficient(self, part: str, values: dict[sp.Symbol, sp.Expr]) -> sp.Expr:
        """Coefficient of one squared coordinate: the entries of the diagonal letters."""
        total = sp.S.Zero
        for word, factor in self.words.words(self.parts()[part]).items():
            total += factor * sp.Mul(*(values.get(letter, sp.S.One) for letter in word))
        return total

    def at(self, parts: Iterable[str], values: Mapping[sp.Symbol, sp.Matrix]) -> sp.Expr:
        """Trace of those parts with a matrix for each letter."""
        total = sp.S.Zero
        for part in parts:
            for word, factor in self.words.words(self.parts()[part]).items():
                total += factor * reduce(mul, (values[letter] for letter in word)).trace()
        return sp.expand(total)


@cache
def display_error() -> sp.Expr:
    """Q plus its overlaps, minus the display of step 2."""
    of = Letters()
    turned = of.words.transposed(of.delta)
    resolvent = of.U * of.R * of.Ut + of.F * of.Ft
    K = of.U * of.W * of.Ut + of.F * of.free * of.Ft
    N1 = of.B * turned + of.delta * of.words.transposed(of.B)
    whole = of.delta * of.W_latents * turned - K * of.delta * turned + K * N1 * resolvent * N1
    return sp.expand(of.trace(whole) - of.trace(sum(of.parts().values())))


def diagonal_trace() -> sp.Expr:
    """Term (a, c) of tr K N M Nᵀ for diagonal K, M of any size, minus K_a M_c N_ac²."""
    row, column, left, right = sp.symbols("a c b d", integer=True)
    K, M, N = (sp.IndexedBase(name) for name in "KMN")
    term = K[row] * sp.KroneckerDelta(row, left) * N[left, column]
    term *= M[column] * sp.KroneckerDelta(column, right) * N[row, right]
    for index in (left, right):
        term = deltasummation(term, (index, 1, n), no_piecewise=True)
    return term - K[row] * M[column] * N[row, column] ** 2


Places = tuple[dict[sp.Symbol, sp.Expr], ...]


def counted(
    negative: sp.Expr, null: sp.Expr, form: sp.Expr, places: tuple[Places, Places, Places]
) -> bool:
    """Whether form < 0, = 0 and > 0 at the places, with the counts (1, 0), (0, 1) and (0, 0)."""
    below, at, above = places
    cases = [(place, (1, 0), -form) for place in below]
    cases += [(place, (0, 0), form) for place in above]
    signs = all(is_nonnegative(sign.subs(place), strict=True) for place, _, sign in cases)
    signs = signs and all(vanishes(form.subs(place)) for place in at)
    cases += [(place, (0, 1), form) for place in at]
    return signs and all(
        vanishes(negative.subs(place) - want[0]) and vanishes(null.subs(place) - want[1])
        for place, want, _ in cases
    )


def edge_overlaps() -> list[sp.Expr]:
    """(GΩ)_jj minus the claim at j = m, at j = l and elsewhere, for blocks of any size."""
    j, column, low = sp.symbols("j t l", integer=True)
    gap, far = sp.symbols("gap far", integer=True, positive=True)
    high, G = low + gap, sp.IndexedBase("G")
    delta = sp.KroneckerDelta
    turn = delta(column, low) * delta(j, high) - delta(column, high) * delta(j, low)
    # No end of the sum matters: l and m are latents of the block.
    found = deltasummation(sp.expand(G[j, column] * turn), (column, -sp.oo, sp.oo))
    wanted = {high: G[high, low], low: -G[low, high], high + far: sp.S.Zero}
    return [found.subs(j, place) - value for place, value in wanted.items()]


@cache
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
