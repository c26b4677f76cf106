r"""T1.d+: at and beside a critical β the corrected gates are as exact as rounding of log β allows.

Symbols: g(x) = √ReLU(1 − eˣ); η the distance of neighbouring floating-point numbers at 1, so that a
rounded sum, difference, product or quotient is off by at most η/2, relative; logarithms are taken
to be right to one unit in the last place, η relative. x = log β + log σ² − log λ is the gate's
argument, x̂ what is computed, |x̂ − x| <= u.

1. |√p − √q| <= √|p − q|: with s = √p − √q >= 0, |p − q| − s² = 2s√q >= 0.
2. ReLU(1 − eˣ) changes by at most |x − y|: 1 − e^{−t} <= t for t >= 0, as t − 1 + e^{−t} = ∫₀ᵗ∫₀ʳ
   e^{−q} dq dr; for x < y <= 0 the change is eʸ(1 − e^{−(y−x)}), and for x < 0 < y it is 1 − eˣ <=
   −x <= y − x. Hence |g(x) − g(y)| <= √|x − y| everywhere, and the constant 1 is the best: g(−t)/√t
   → 1 as t → 0.
3. Away from the threshold more is true: for x < y = x + u < 0,
   g(x)/g(y) − 1 <= ½ u eʸ/(1 − eʸ), because g(x)²/g(y)² − 1 = eʸ(1 − e^{−u})/(1 − eʸ) and
   √(1 + r) − 1 <= r/2. The derivative of −log g is eˣ/(2(1 − eˣ)): no better factor exists.
4. min(1, eˣ) changes by at most a factor e^u, hence by at most |x − y| where it is below 1.
5. Rounding of x. Write A, B, L for the magnitudes of log β, log σ², log λ. Three logarithms, a
   difference and a sum give |x̂ − x| <= A[(1 + η)(1 + η/2) − 1] + (B + L)[(1 + η)(1 + η/2)² − 1]
   <= 2η(1 + η)(A + B + L) =: u₁.
6. The response function rounds λ/σ² once: that is a shift of x by at most u₂ = η. So the arguments
   differ by at most u₁ + u₂ <= ½(1 + η)U, where U = 4η(1 + A + B + L) is the unit of the claim, and
   the gates by at most √½ √(1 + η) √U <= ¾√U; the variances by at most ½(1 + η)U.
7. What remains is evaluation. The network takes log ¾, expm1, a root for its constant gate, expm1
   and a root for the other, the root of λ, its reciprocal, and four products; the response a
   difference, two quotients, three roots and three products. (An error η of log ¾ changes ½ by at
   most η: the factor of step 3 there is ½ log(4/3) · 3 < 1.) That is N = 20 roundings of at most η
   each, relative: a product of N factors between 1 − η and 1 + η, which differs from 1 by at most
   2Nη for η <= 2⁻¹⁴. A gain is at most √λ, so in units of √λ this is at most 2Nη <= √η/2 <= √U/4,
   which is what step 6 leaves.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import theorem
from linvae.symbolic.symbols import beta, lam, s2, x
from proofs.argument import Argument, Proof, run

__all__ = ["input_error", "prove"]

STATEMENT = "The corrected gates are exact to rounding also at every critical β."
# Roundings of a gain, each of at most η: of the network and of the response it is compared with.
ROUNDINGS = {
    "constant gate: logarithm, expm1, root": 3,
    "gate: expm1, root": 2,
    "root of λ, its reciprocal": 2,
    "products: base, gates, layers": 4,
    "response: difference, quotients, roots, products": 9,
}
eta = theorem.eta
_t, _u, _z = (sp.Symbol(name, positive=True) for name in "tuz")
_A, _B, _L = (sp.Symbol(name, nonnegative=True) for name in "ABL")


def _open() -> sp.Expr:
    """Gate where it is not 0."""
    return theorem.SQRT_RELU.args[0][0]


def input_error() -> sp.Expr:
    """Bound on |x̂ − x|, from the roundings one after the other."""
    half = 1 + eta / 2
    logs = [value * (1 + eta) for value in (_A, _B, _L)]
    bias = (logs[1] + logs[2]) * half  # largest computed magnitude of log σ² − log λ
    return sp.expand((logs[0] + bias) * half - (_A + _B + _L))


def _square_roots(argument: Argument) -> None:
    """Steps 1 and 2."""
    q, s = sp.symbols("q s", nonnegative=True)
    argument.nonnegative(
        "|√p − √q| <= √|p − q|: |p − q| − s² = 2s√q", sp.expand((q + s) ** 2 - q**2 - s**2)
    )
    r, p = sp.symbols("r p", positive=True)
    inner = sp.integrate(sp.exp(-p), (p, 0, r))
    argument.equal(
        "t − 1 + e^{−t} = ∫₀ᵗ∫₀ʳ e^{−q} dq dr, an integral of what is positive",
        sp.integrate(inner, (r, 0, _t)),
        _t - 1 + sp.exp(-_t),
    )
    squared = _open() ** 2
    y = -_z  # y < 0 and x = y − t
    argument.equal(
        "x < y < 0: the squares differ by eʸ(1 − e^{−(y−x)})",
        squared.subs(x, y - _t) - squared.subs(x, y),
        sp.exp(y) * (1 - sp.exp(-_t)),
    )
    argument.positive("eʸ < 1 for y = −log(1 + z)", 1 - sp.exp(-sp.log(1 + _z)))
    argument.equal(
        "the constant 1 is best: g(−t)²/t → 1", sp.limit(squared.subs(x, -_t) / _t, _t, 0), 1
    )


def _relative(argument: Argument) -> None:
    """Steps 3 and 4."""
    squared = _open() ** 2
    higher = sp.Symbol("y", real=True)
    argument.equal(
        "g(x)²/g(y)² − 1 = eʸ(1 − e^{−u})/(1 − eʸ) for x = y − u",
        squared.subs(x, higher - _u) / squared.subs(x, higher) - 1,
        sp.exp(higher) * (1 - sp.exp(-_u)) / (1 - sp.exp(higher)),
    )
    root = 1 + sp.Symbol("v", nonnegative=True)
    argument.nonnegative(
        "√(1 + r) − 1 <= r/2: the difference is (√(1 + r) − 1)²/2",
        sp.factor((root**2 - 1) / 2 - (root - 1)),
    )
    argument.equal(
        "−d log g/dx = eˣ/(2(1 − eˣ)): the condition of the gate",
        -sp.diff(sp.log(_open()), x),
        theorem.GATE_CONDITION,
    )
    falls = theorem.MIN_EXP.args[0][0]
    argument.equal(
        "eʸ/eˣ = e^{y−x}", falls.subs(x, higher + _u) / falls.subs(x, higher), sp.exp(_u)
    )


def _rounding(argument: Argument) -> None:
    """Steps 5 to 7."""
    total = _A + _B + _L
    small = sp.Symbol("h", positive=True)  # η = 1/(1 + h) <= 1
    slack = sp.together((2 * eta * (1 + eta) * total - input_error()).subs(eta, 1 / (1 + small)))
    argument.nonnegative("|x̂ − x| <= 2η(1 + η)(A + B + L) for η <= 1", sp.factor(slack))
    unit = 4 * eta * (1 + total)
    argument.equal(
        "U is the unit of the claim",
        unit.subs(
            {_A: sp.Abs(sp.log(beta)), _B: sp.Abs(sp.log(s2)), _L: sp.Abs(sp.log(lam))},
            simultaneous=True,
        ),
        theorem.ROUNDING_UNIT,
    )
    argument.nonnegative(
        "u₁ + u₂ <= ½(1 + η)U", sp.expand((1 + eta) * unit / 2 - 2 * eta * (1 + eta) * total - eta)
    )
    largest = sp.Rational(1, 2**10)
    argument.positive(
        "½(1 + η) < (¾)² for η <= 2⁻¹⁰: a quarter of √U is left",
        sp.Rational(9, 16) - (1 + largest) / 2,
    )
    argument.nonnegative("√U/4 >= √η/2: U/16 − η/4 >= 0", sp.expand(unit / 16 - eta / 4))
    _evaluation(argument)


def _evaluation(argument: Argument) -> None:
    """Step 7."""
    number = sum(ROUNDINGS.values())
    half = sp.log(sp.Rational(4, 3))
    relative = (theorem.GATE_CONDITION * -x).subs(x, -half)
    argument.equal("½ at log ¾: an error η there counts 3/2 log(4/3) η", relative, 3 * half / 2)
    argument.positive("which is less than η: e² > (4/3)³", _least_exp(2) - sp.Rational(4, 3) ** 3)
    h = sp.Symbol("h", nonnegative=True)  # η = 2⁻¹⁴/(1 + h): every η <= 2⁻¹⁴
    for name, off in (
        ("(1 + η)^N − 1", (1 + eta) ** number - 1),
        ("1 − (1 − η)^N", 1 - (1 - eta) ** number),
    ):
        slack = sp.Poly(2 * number * eta - off, eta)
        terms = (a / 2 ** (14 * i) * (1 + h) ** (number - i) for (i,), a in slack.terms())
        coefficients = sp.Poly(sum(terms), h).coeffs()
        argument.true(
            f"N = {number}, η <= 2⁻¹⁴: {name} <= 2Nη, whose slack times (1 + h)^N is a polynomial "
            "in h without negative coefficients",
            all(bool(value >= 0) for value in coefficients),
        )
    root = sp.sqrt(sp.Rational(1, 2**14))
    argument.nonnegative("2Nη <= √η/2, as 4N√η <= 1 for η <= 2⁻¹⁴", 1 - 4 * number * root)


def _least_exp(power: int) -> sp.Rational:
    """Lower bound of e^power: the first terms of its series, all positive."""
    return sum(sp.Rational(power**n, sp.factorial(n)) for n in range(4))


def prove() -> Proof:
    """Derive the bound that the registry checks at every critical β."""
    argument = Argument("T1.d+", STATEMENT)
    _square_roots(argument)
    _relative(argument)
    argument.cites(
        "Standard model of floating point: the result of an elementary operation is the exact one "
        "times 1 + δ, |δ| <= η/2."
    )
    _rounding(argument)
    return argument.done(
        functions=("linvae.hypernetwork.Hypernetwork.exact",),
        properties=(
            "tests/linvae/test_hypernetwork.py::"
            "test_exact_form_within_the_conditioning_of_the_gate",
            "tests/linvae/test_adversarial_theorem.py::test_the_gate_is_hoelder_continuous",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_theorem.py::"
            "test_no_threshold_found_breaks_the_rounding_bound",
        ),
        uses=("t1_d",),
    )


if __name__ == "__main__":
    run(prove)
