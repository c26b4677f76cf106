r"""What any number of sigmoid gates in the posterior variance must cost: a bound without a grid.

One mode; λ = σ² = 1 and x = log β, so that its critical β is 1 (step 1 gives the general case). The
variance is c = base × product of sigmoids of wx + b, as the diagonal layers C²C¹... of any number
give it. Suppose its excess is at most ε at every x in [log 0.01, log 10].

1. Beside the optimal decoder the objective of a mode exceeds its minimum by a part in the encoder,
   >= 0, plus (eˣ/2)(e^δ − 1 − δ), δ = log c − min(0, x). In general x = log(β/β₁), nats are per
   unit of β₁ = λ/σ², and the shift by log β₁ goes into the biases. Modes add up. A base that is not
   positive makes c <= 0: no variance, and the excess tends to infinity as c → 0.
2. e^δ − 1 − δ is strictly convex with minimum 0 at δ = 0. So −l(x) <= δ <= u(x), where l and u are
   the distances at which the excess is ε.
3. f = log c is concave: (log sigmoid(w(x − z)))'' = −φ(x), φ = (w²/4)/cosh²(w(x − z)/2) >= 0, for
   either sign of w. (w = 0 adds a constant.)
4. Slopes of a concave f by chords, for 0 < a and y < −2a, 2a < v in the range:
   f'(−a) >= 1 − p, p = (l(0) + u(−a))/a;        f'(a) <= q, q = (l(0) + u(a))/a;
   f'(−2a) <= 1 + r, r = (l(y) + u(−2a))/(−2a − y);
   f'(2a) >= −s, s = (l(v) + u(2a))/(v − 2a).
   So f' falls by at least 1 − p − q within ±a, by at most p + q + r + s on [−2a, −a] and [a, 2a]
   together, and by at most m = 1 + r + s in all.
5. One gate falls within ±a by ∫φ = w sinh(wa)/(cosh wa + cosh wz). With Y = |w|a, κ = cosh wz >= 1
   its fall on [−2a, −a] and [a, 2a] is R times that, R = 2 cosh Y (cosh Y + κ)/(cosh 2Y + κ) − 1,
   whatever the centre z.
6. Lemma: R >= 1/cosh Y₀ for every gate that falls by at most m within ±a, Y₀ tanh(Y₀/2) = am. R
   rises in κ, and is 1/cosh Y at κ = 1: done if Y <= Y₀. If Y > Y₀, write C = cosh Y, C₀ = cosh Y₀.
   The fall is at most m: C + κ >= Y sinh Y/(Y₀ tanh(Y₀/2)). tanh(z)/z falls, hence Y/Y₀ >=
   tanh(Y/2)/tanh(Y₀/2), and with tanh(Y/2) sinh Y = C − 1, tanh²(Y₀/2) = (C₀ − 1)/(C₀ + 1): C + κ
   >= (C − 1)(C₀ + 1)/(C₀ − 1). There R >= 1/C₀, by algebra.
7. Sum over gates: fall beside >= fall inside / cosh Y₀. With step 4 that is impossible if
   (1 − p − q)/cosh Y₀ > p + q + r + s.
8. For ε = 33/100000, a = 3/5, y = −183/50, v = 23/10 this holds. The arithmetic is that of rational
   numbers: e^t is bracketed by Taylor sums with their remainder, l, u and Y₀ are rounded up.

So the excess exceeds 3.3·10⁻⁴ nats per unit of β₁ somewhere, however many gates there are.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from linvae.symbolic import modes, theorem
from linvae.symbolic.symbols import beta, c, d, e, lam, s2, x
from proofs._branches import above, at_active, at_collapsed, below
from proofs._gates import settled
from proofs.argument import Argument, Proof, run

__all__ = ["chords", "exp_bounds", "least_share", "prove", "reach"]

STATEMENT = (
    "Beside the optimal decoder, a posterior variance that is a product of sigmoid gates, however "
    "many, costs more than 3.3e-4 nats per unit of its critical β somewhere in [0.01, 10] times it."
)
w, a, centre, delta, kappa, Y = (
    theorem.w,
    theorem.a,
    theorem.centre,
    theorem.delta,
    theorem.kappa,
    theorem.Y,
)
FAR = (-sp.Rational(183, 50), sp.Rational(23, 10))
RANGE = (sp.Rational(1, 100), sp.Integer(10))
_DIGITS = 10**6


def exp_bounds(at: sp.Rational, terms: int = 30) -> tuple[sp.Rational, sp.Rational]:
    """Rational numbers below and above e^at: Taylor's sum and the geometric bound of its rest."""
    if abs(at) >= terms:
        raise ValueError(f"{terms} terms do not bound exp({at})")
    term, total = sp.Integer(1), sp.Integer(0)
    for count in range(terms):
        total += term
        term *= sp.Rational(at) / (count + 1)
    rest = abs(term) / (1 - abs(sp.Rational(at)) / (terms + 1))
    return total - rest, total + rest


def _rounded_up(reached: Callable[[sp.Rational], bool]) -> sp.Rational:
    """Multiple of 10⁻⁶, at most 16, at which a monotone condition is shown to hold, near the least.

    Every upper end is one at which it was shown: the brackets of e^t are too wide for large t.
    """
    low, high = 0, _DIGITS
    while not reached(sp.Rational(high, _DIGITS)):
        low, high = high, 2 * high
        if high > 16 * _DIGITS:
            raise ValueError("16 does not bound what is sought")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(sp.Rational(middle, _DIGITS)) else (middle, high)
    return sp.Rational(high, _DIGITS)


def reach(at: sp.Rational, sign: int) -> sp.Rational:
    """Upper bound of u(x) for sign 1, of l(x) for −1: the excess exceeds ε there."""
    weight = exp_bounds(at)[0] / 2

    def beyond(size: sp.Rational) -> bool:
        least = weight * (exp_bounds(sign * size)[0] - 1 - sign * size)
        return bool(least > theorem.LEAST_SUP_EXCESS)

    return _rounded_up(beyond)


def chords() -> tuple[sp.Rational, sp.Rational, sp.Rational, sp.Rational]:
    """Upper bounds of p, q, r and s."""
    half, (left, right) = theorem.INSIDE, FAR
    low = reach(sp.Integer(0), -1)
    p = (low + reach(-half, 1)) / half
    q = (low + reach(half, 1)) / half
    r = (reach(left, -1) + reach(-2 * half, 1)) / (-2 * half - left)
    s = (reach(right, -1) + reach(2 * half, 1)) / (right - 2 * half)
    return p, q, r, s


def least_share(most: sp.Rational) -> sp.Rational:
    """Lower bound of 1/cosh Y₀, for Y₀ tanh(Y₀/2) = a × most."""

    def enough(size: sp.Rational) -> bool:
        grown = exp_bounds(size)[0]
        return bool(size * (grown - 1) / (grown + 1) >= theorem.INSIDE * most)

    grown = exp_bounds(_rounded_up(enough))[1]
    return theorem.LEAST_SHARE.rewrite(sp.exp).subs(sp.exp(Y), grown)


# x = log β beside the threshold: eˣ = 1/(1 + y) for an active mode, 1 + y for a collapsed one.
_open = sp.Symbol("y", positive=True)
_closed = sp.Symbol("y", nonnegative=True)


def _at_unit_scale(expression: sp.Expr, branch: str) -> sp.Expr:
    """An expression of one branch at λ = σ² = 1, in y."""
    if branch == "active":  # λ = βσ² + g = 1
        level = 1 / (1 + _open)
        return sp.sympify(expression).subs({above: 1 - level, beta: level, s2: 1})
    return sp.sympify(expression).subs({lam: 1, s2: 1}).subs(below, _closed)


def _readout(branch: str) -> sp.Expr:
    """The library's excess of an encoder gain on that branch, in y."""
    level = 1 / (1 + _open) if branch == "active" else 1 + _closed
    return settled(theorem.READOUT_EXCESS.subs(x, sp.log(level)))


def _excess(argument: Argument) -> None:
    """Steps 1 and 2."""
    optimum = {e: modes.ENCODER_GAIN, c: modes.POSTERIOR_VARIANCE, d: modes.DECODER_GAIN}
    moved = optimum | {c: modes.POSTERIOR_VARIANCE * sp.exp(delta), e: e}
    scaled = {beta: sp.exp(x), lam: 1, s2: 1}
    for name, put in (("active", at_active), ("collapsed", at_collapsed)):
        best, other = (
            put(modes.OBJECTIVE).subs(
                {k: settled(put(v)) for k, v in point.items()}, simultaneous=True
            )
            for point in (optimum, moved)
        )
        read = put(lam) * (settled(put(modes.DECODER_GAIN)) ** 2 + put(beta) * s2) / (2 * s2)
        read *= (e - settled(put(modes.ENCODER_GAIN))) ** 2
        spread = put(beta) / 2 * (sp.exp(delta) - 1 - delta)
        argument.zero(
            f"{name}: the excess is that of the encoder plus (β/2)(e^δ − 1 − δ)",
            sp.expand(sp.expand_log(other - best, force=True) - read - spread),
        )
        argument.nonnegative(f"{name}: the encoder's part is not negative", read)
        argument.zero(
            f"{name}, λ = σ² = 1: it is max(1, eˣ)/2 (e − g)², g = √ReLU(1 − eˣ)",
            _at_unit_scale(read, name) - _readout(name),
        )
    general = beta / 2 * (sp.exp(delta) - 1 - delta)
    argument.equal("λ = σ² = 1, β = eˣ", general.subs(scaled), theorem.POSTERIOR_EXCESS)
    argument.equal(
        "β = β₁eˣ: β₁ times that", general.subs(beta, lam / s2 * sp.exp(x)) * s2 / lam,
        theorem.POSTERIOR_EXCESS,
    )  # fmt: skip
    excess = theorem.POSTERIOR_EXCESS
    argument.positive("strictly convex in δ", sp.diff(excess, delta, 2))
    argument.zero("0 at δ = 0", excess.subs(delta, 0))
    argument.zero("with slope 0 there", sp.diff(excess, delta).subs(delta, 0))
    argument.true(
        "unbounded as c → 0, so that a base of 0 is no way out",
        sp.limit(excess.subs(x, 0), delta, -sp.oo) == sp.oo,
    )


def _concave(argument: Argument) -> None:
    """Steps 3 and 5."""
    logarithm = sp.log(theorem.SIGMOID.subs(x, w * (x - centre)))
    bump = theorem.GATE_BUMP
    argument.zero(
        "(log sigmoid(w(x − z)))'' = −φ(x)",
        sp.simplify((sp.diff(logarithm, x, 2) + bump).rewrite(sp.exp)),
    )
    argument.nonnegative("φ >= 0 for either sign of w: log c is concave", bump)
    primitive = w * sp.tanh(w * (x - centre) / 2) / 2
    argument.zero(
        "φ is the derivative of (w/2) tanh(w(x − z)/2)",
        sp.simplify((sp.diff(primitive, x) - bump).rewrite(sp.exp)),
    )
    drop = theorem.GATE_DROP
    fall = primitive.subs(x, a) - primitive.subs(x, -a)
    argument.zero(
        "∫φ over ±a = w sinh(wa)/(cosh wa + cosh wz)",
        sp.simplify((fall - drop).rewrite(sp.exp)),
    )
    argument.zero("it is even in w", drop.subs(w, -w) - drop)
    beside = drop.subs(a, 2 * a) / drop - 1
    share = theorem.SHARE.subs({Y: w * a, kappa: sp.cosh(w * centre)})
    argument.zero("the fall beside is R times that", sp.simplify(sp.expand_trig(beside - share)))


def _lemma(argument: Argument) -> None:
    """Step 6, with C = cosh Y, C₀ = cosh Y₀ and S = C + κ."""
    C, S = sp.symbols("C S", positive=True)
    share = sp.expand_trig(theorem.SHARE).subs(sp.sinh(Y) ** 2, sp.cosh(Y) ** 2 - 1)
    share = share.subs(sp.cosh(Y), C)
    beyond = sp.Symbol("h", nonnegative=True)
    slope = sp.factor(sp.diff(share, kappa)).subs(C, 1 + beyond)
    argument.nonnegative("R rises in κ", sp.factor(slope))
    argument.zero(
        "R = 1/cosh Y at κ = 1", share.subs(kappa, 1) - theorem.LEAST_SHARE.subs(sp.cosh(Y), C)
    )
    argument.positive("cosh rises, so that Y <= Y₀ is done", sp.diff(sp.cosh(Y), Y))
    r, y = sp.symbols("r y", positive=True)
    argument.zero(
        "sinh y − y = ∫₀ʸ 2 sinh²(r/2) dr > 0",
        sp.simplify((sp.integrate(sp.cosh(r) - 1, (r, 0, y)) - sp.sinh(y) + y).rewrite(sp.exp)),
    )
    argument.zero(
        "cosh r − 1 = 2 sinh²(r/2)",
        sp.simplify((sp.cosh(r) - 1 - 2 * sp.sinh(r / 2) ** 2).rewrite(sp.exp)),
    )
    falling = sp.diff(sp.tanh(y) / y, y) * y**2 * sp.cosh(y) ** 2
    argument.zero(
        "(tanh(z)/z)' has the sign of z − sinh(2z)/2, so that tanh(z)/z falls",
        sp.simplify((falling - (y - sp.sinh(2 * y) / 2)).rewrite(sp.exp)),
    )
    for text, gap in (
        ("tanh(Y/2) sinh Y = C − 1", sp.tanh(Y / 2) * sp.sinh(Y) - sp.cosh(Y) + 1),
        ("tanh²(Y/2) = (C − 1)/(C + 1)", sp.tanh(Y / 2) ** 2 - (sp.cosh(Y) - 1) / (sp.cosh(Y) + 1)),
    ):
        argument.zero(text, sp.simplify(gap.rewrite(sp.exp)))
    in_sum = share.subs(kappa, S - C)
    argument.positive("R rises in S = C + κ", sp.factor(sp.diff(in_sum, S)).subs(C, 1 + y))
    start = 1 + y  # C₀ > 1
    at_least = (C - 1) * (start + 1) / (start - 1)
    gap = in_sum.subs(S, at_least) - theorem.LEAST_SHARE.subs(sp.cosh(Y), start)
    gap = sp.factor(gap.subs(C, start + beyond))
    argument.nonnegative("at S = (C − 1)(C₀ + 1)/(C₀ − 1), C >= C₀: R >= 1/C₀", gap)


def _arithmetic(argument: Argument) -> None:
    """Steps 7 and 8, in rational numbers."""
    left, right = FAR
    argument.true(
        "y and v lie in the range of log β",
        bool(exp_bounds(-left)[1] <= 1 / RANGE[0] and exp_bounds(right)[1] <= RANGE[1]),
    )
    argument.true("and beyond ±2a", bool(left < -2 * theorem.INSIDE and right > 2 * theorem.INSIDE))
    p, q, r, s = chords()
    share = least_share(1 + r + s)
    argument.positive("f' falls within ±a: 1 − p − q > 0", 1 - p - q)
    argument.positive(
        "(1 − p − q)/cosh Y₀ > p + q + r + s: the contradiction",
        share * (1 - p - q) - (p + q + r + s),
    )


def prove() -> Proof:
    """Put the bound together."""
    argument = Argument("sigmoid-cost", STATEMENT)
    _excess(argument)
    _concave(argument)
    argument.cites(
        "The chord of a concave differentiable f over [x, y] has a slope between f'(y) and f'(x)."
    )
    _lemma(argument)
    argument.cites("Taylor's theorem for e^t, with the rest bounded by a geometric series.")
    _arithmetic(argument)
    return argument.done(
        functions=(
            "linvae.claims.sigmoid_bound.least_excess_of_any_product",
            "linvae.claims.sigmoid_fit.posterior_excess",
        ),
        properties=(
            "tests/linvae/test_sigmoid_bound.py::test_slopes_of_any_product_obey_the_chord_bounds",
            "tests/linvae/test_adversarial_sigmoid.py::test_no_gate_has_less_than_the_least_share",
            "tests/linvae/test_symbolic_theorem.py::test_excess_of_sigmoids_is_the_expression",
        ),
        optimisations=(
            "tests/linvae/test_sigmoid_bound.py::test_the_bound_lies_below_every_fit_found",
            "tests/linvae/test_adversarial_sigmoid.py::test_no_product_found_costs_less_than_the_bound",
        ),
        uses=("global_optimum",),
    )


if __name__ == "__main__":
    run(prove)
