r"""What sigmoid gates in the posterior variance cost, to within a few per cent of the best found.

The setting is that of "sigmoid-cost": c = e^f, f(x) = B + Σⱼ log sigmoid(wⱼx + bⱼ) over x = log β,
beside the optimal decoder, λ = σ² = 1. There the bound follows by hand; here the last step is a
search of a box of two parameters, done in ball arithmetic. Suppose the excess is at most ε on
[log 0.01, log 10]; then f lies in a band around min(0, x).

*Any number of gates.*

1. log sigmoid(w(x − m)) = w(x − m)/2 − a(x) with a(x) = log 2cosh(w(x − m)/2), and a'' = φ =
   w²/(4 cosh²(w(x − m)/2)) > 0: up to affine functions every gate is −a.
2. Let N be continuous, piecewise linear, 0 outside its outermost nodes. Its slopes jump by νᵢ at
   the nodes xᵢ; Σνᵢ = Σνᵢxᵢ = 0, and twice by parts Σνᵢ g(xᵢ) = ∫ N g'' for every smooth g. (It is
   enough to see this for hats, of which N is a sum.) So Σνᵢ f(xᵢ) = −Σ_gates G, G = ∫ N φ.
3. The band bounds the left side from below by a positive number, if N dips where min(0, x) bends.
   So some gate has G < 0. What makes G < 0 possible is the dip of N, and only within a bounded box
   of (w, m), by four lemmas: φ falls off on both sides of m (a); φ is flat for small w (b); if the
   dip ends a distance K/w, K ≥ 7/4, before m (or before the next node), what follows outweighs it
   (c); steep gates bend more than the band allows (d), for |y| ≤ log 2cosh y ≤ |y| + log 2.
4. In the box, halved until it is decided everywhere, either G > 0 or the gate bends more than the
   band allows. That is the certificate, with five nodes.

*One gate.* With P = 1/(1 + e^b), f(x) − f(0) = −log(1 − P + P e^{−wx}), monotone in P and in w. The
corners of a box of (P, w) bound it, and with them f(0), for which the bands must leave room; they
leave none. Slopes w ≤ 0 and w ≥ 6 are excluded by the rise that the band demands.

Both are statements on all real parameters. The best fits found cost 5.6e-3 and 3.1e-3.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import theorem
from linvae.symbolic.symbols import x

from .argument import Argument, Proof, run
from .sigmoid_bound import exp_bounds

STATEMENT = (
    "Beside the optimal decoder, one sigmoid gate in the posterior variance costs at least 5.5e-3 "
    "nats per unit of its critical β somewhere in [0.01, 10] times it, any number of them 3e-3."
)
LEAST = {1: 5.5e-3, 2: 3e-3}

w, centre, K, slope = sp.symbols("w m K s", positive=True)
y = sp.Symbol("y", nonnegative=True)
half = w * (x - centre) / 2
# The convex half of a gate's logarithm, and its second derivative.
BEND = sp.log(sp.exp(half) + sp.exp(-half))
BUMP = w**2 / (4 * sp.cosh(half) ** 2)
ENOUGH = sp.Rational(7, 4)


def hat_by_parts() -> sp.Expr:
    """∫ N g'' − Σ νᵢ g(xᵢ) of a hat with nodes p < q < r, for any smooth g."""
    g = sp.Function("g")
    p, q, r = sp.symbols("p q r", real=True)
    up, down = 1 / (q - p), -1 / (r - q)

    def piece(line: sp.Expr, rise: sp.Expr, low: sp.Symbol, high: sp.Symbol) -> sp.Expr:
        # By parts twice: ∫ (line) g'' = [(line) g' − (rise) g].
        whole = line * sp.diff(g(x), x) - rise * g(x)
        return whole.subs(x, high).doit() - whole.subs(x, low).doit()

    area = piece((x - p) * up, up, p, q) + piece((r - x) / (r - q), down, q, r)
    jumps = {p: up, q: down - up, r: -down}
    return sp.simplify(area - sum(jump * g(node) for node, jump in jumps.items()))


def tails() -> tuple[sp.Expr, sp.Expr]:
    """Lemma c: bounds of the areas before ξ and between ξ and M = ξ + K/w, over s e^{−w(m−M)}."""
    before = sp.integrate(slope * y * w**2 * sp.exp(-w * y), (y, 0, sp.oo))  # y = ξ − x
    after = sp.integrate(slope * y * w**2 * sp.exp(w * y), (y, 0, K / w)) / 4  # y = x − ξ
    # e^{−w(m−x)} = e^{−w(m−M)} e^{−K} e^{w(x−ξ)} on both sides of ξ.
    return sp.simplify(before * sp.exp(-K)), sp.simplify(after * sp.exp(-K))


def _any_number(argument: Argument) -> None:
    logarithm = sp.log(theorem.SIGMOID.subs(x, 2 * half))
    rest = sp.simplify(sp.exp(logarithm - half) * (sp.exp(half) + sp.exp(-half)).rewrite(sp.exp))
    argument.equal("log sigmoid(w(x − m)) = w(x − m)/2 − a(x)", sp.simplify(rest), 1)
    argument.zero("a'' = φ", sp.simplify((sp.diff(BEND, x, 2) - BUMP).rewrite(sp.exp)))
    argument.zero("Σνᵢ g(xᵢ) = ∫ N g'' for a hat, hence for every N", hat_by_parts())
    p, q, r = sp.symbols("p q r", real=True)
    jumps = {p: 1 / (q - p), q: -1 / (r - q) - 1 / (q - p), r: 1 / (r - q)}
    argument.zero("Σνᵢ = 0", sum(jumps.values()))
    argument.zero("Σνᵢxᵢ = 0: affine parts drop out", sum(n * j for n, j in jumps.items()))
    falling = sp.diff(BUMP, x) + w * sp.tanh(half) * BUMP
    argument.zero("φ' = −w tanh(w(x − m)/2) φ: φ rises up to m (a)",
                  sp.simplify(falling.rewrite(sp.exp)))  # fmt: skip
    argument.positive("4φ/w² falls in w|x − m| from 1 on (b)",
                      -sp.diff(1 / sp.cosh(K) ** 2, K) * sp.cosh(K) ** 3)  # fmt: skip
    share = sp.simplify((BUMP.subs(x, centre - K / w) / (w**2 * sp.exp(-K))).rewrite(sp.exp))
    argument.zero("φ = w²e^{−y}/(1 + e^{−y})², y = w(m − x) (c)",
                  sp.simplify(share - 1 / (1 + sp.exp(-K)) ** 2))  # fmt: skip
    argument.nonnegative("... so φ ≤ w²e^{−y}", 1 - 1 / (1 + y) ** 2)
    argument.nonnegative("... and φ ≥ w²e^{−y}/4 for y ≥ 0, as e^{−y} ≤ 1",
                         sp.factor(1 / (2 - y / (1 + y)) ** 2 - sp.Rational(1, 4)))  # fmt: skip
    before, after = tails()
    argument.equal("the dip before ξ weighs at most e^{−K}", before, slope * sp.exp(-K))
    argument.equal("what follows weighs at least (K − 1 + e^{−K})/4", after,
                   slope * (K - 1 + sp.exp(-K)) / 4)  # fmt: skip
    gap = K - 1 - 3 * sp.exp(-K)  # four times the difference
    argument.zero("... the difference is (K − 1 − 3e^{−K})/4",
                  sp.expand(4 * (after - before) / slope - gap))  # fmt: skip
    argument.positive("... which rises", sp.diff(gap, K))
    argument.true("... and is positive at K = 7/4",
                  bool((ENOUGH - 1) * exp_bounds(ENOUGH)[0] > 3))  # fmt: skip
    argument.zero("log 2cosh y = y + log(1 + e^{−2y}) (d)",
                  sp.expand(sp.exp(y) + sp.exp(-y) - sp.exp(y) * (1 + sp.exp(-2 * y))))  # fmt: skip


def _one(argument: Argument) -> None:
    b = sp.Symbol("b", real=True)
    share = 1 / (1 + sp.exp(b))
    ratio = theorem.SIGMOID.subs(x, b) / theorem.SIGMOID.subs(x, w * x + b)
    argument.zero("f(x) − f(0) = −log(1 − P + P e^{−wx}), P = 1/(1 + e^b)",
                  sp.simplify(ratio - (1 - share + share * sp.exp(-w * x))))  # fmt: skip
    P = sp.Symbol("P", positive=True)
    inner, grown = 1 - P + P * sp.exp(-w * x), sp.Symbol("h", positive=True)
    argument.positive("for x > 0 it rises with P",
                      -sp.diff(inner, P).subs(sp.exp(-w * x), 1 / (1 + grown)))  # fmt: skip
    argument.positive("... and with w", -sp.diff(inner, w).subs(x, grown))
    argument.positive("for x < 0 it falls with P",
                      sp.diff(inner, P).subs(sp.exp(-w * x), 1 + grown))  # fmt: skip
    argument.positive("... and with w", sp.diff(inner, w).subs(x, -grown))
    gate = sp.log(theorem.SIGMOID.subs(x, w * (x - centre)))
    still = w * theorem.SIGMOID.subs(x, -w * (x - centre))
    argument.zero("f' = w sigmoid(−w(x − m)), at least w/2 up to m",
                  sp.simplify((sp.diff(gate, x) - still).rewrite(sp.exp)))  # fmt: skip
    argument.equal("... w/2 at m", still.subs(x, centre), w / 2)


def _certified(argument: Argument, text: str, gates: int) -> None:
    try:
        from linvae.certificates import sigmoid_cost, sigmoid_gate_bound

        found = sigmoid_gate_bound(gates=1) if gates == 1 else sigmoid_cost()
    except ImportError:
        argument.sketches(f"{text} (python-flint, which decides it, is not installed)")
        return
    argument.certified(text, bool(found.passed and found.bound >= LEAST[gates]))


def prove() -> Proof:
    """Put the certified bounds together."""
    argument = Argument("sigmoid-cost-certified", STATEMENT)
    _any_number(argument)
    _certified(argument, "every gate of the box has G > 0 or bends too much: ≥ 3e-3", 2)
    _one(argument)
    _certified(argument, "no (P, w) of the box leaves room for f(0): ≥ 5.5e-3", 1)
    return argument.done(
        functions=(
            "linvae.certificates.sigmoid_cost",
            "linvae.certificates.sigmoid_gate_bound",
        ),
        properties=(
            "tests/linvae/test_certificates_sigmoid.py::test_every_product_costs_at_least_the_bound",
            "tests/linvae/test_certificates_sigmoid.py::test_an_admissible_gate_never_helps",
            "tests/linvae/test_certificates_sigmoid.py::test_impossible_boxes_hold_no_good_gate",
        ),
        optimisations=(
            "tests/linvae/test_certificates_sigmoid.py::test_no_search_beats_the_bounds",
        ),
    )


if __name__ == "__main__":
    run(prove)
