r"""T1.e: what sigmoid gates reach in a limit, with rates, and what they do not.

q = eˣ, x = log β + log σ² − log λ the argument of the corrected gates, g = √ReLU(1 − q).
An argument α − mx of a sigmoid is affine in log β, hence that of a gate.

Depth. 1. sigmoid(−2ʲx) = 1/(1 + q^{2ʲ}). By induction Π_{j<J} = (1 − q)/(1 − q^N), N = 2ᴶ, as
   (1 − P)/(1 − P²) = 1/(1 + P). With G = Σ_{i<N} qⁱ = (1 − q^N)/(1 − q) the product is 1/G.
2. q <= 1: 1/G − (1 − q) = q^N/G <= 1/N, as each qⁱ >= q^N. q >= 1: 1/G <= 1/N. At q = 1 it is 1/N.
   So J layers give ReLU(1 − q) = g² with sup error exactly 2^{−J}: the gain of DE, beside a
   constant D.

Encoder. 3. sigmoid(log 2mM − mx)^M = (1 + y/M)^{−M}, y = q^m/2m, and
   0 <= y − M log(1 + y/M) = ∫₀ʸ t/(M + t) dt <= y²/2M. So for q <= 1 the product over m <= K lies
   between F and F exp Σ 1/(8m²M) <= F exp(π²/48M), F = exp(−½ Σ_{m<=K} q^m/m). It falls in q.
4. F² − (1 − q) =: h is 0 at q = 0 and rises: h' = 1 − exp L, L = log((1 − q^K)/(1 − q)) − Σ q^m/m,
   L(0) = 0, L' = q^{K−1}(q − K/G)/(1 − q) <= 0 because G = Σ_{i<K} qⁱ <= K. So 0 <= h <= h(1) =
   exp(−H_K) for q <= 1, with H_K the harmonic number; for q >= 1 F² <= exp(−H_K), for F falls.
5. By |√p − √q| <= √|p − q| (T1.d+): 0 <= F − g <= exp(−H_K/2) everywhere, attained at the threshold
   q = 1. H_K >= log(K + 1), since 1/m − log((m + 1)/m) = ∫₀¹ t/(m(m + t)) dt >= 0. Altogether the
   product is within exp(−H_K/2) + exp(π²/48M) − 1 <= (K + 1)^{−1/2} + exp(π²/48M) − 1 of g, for
   every β. With M = K² that tends to 0. A base of λ^{−1/2} makes the encoder's gain of it.

Variances. 6. e^B sigmoid(log β − B) = β/(1 + βe^{−B}): below its critical β₁ a variance τ/λ is
   reached within a relative error β/(β + e^B) <= β₁e^{−B}, with a base e^B that grows without
   bound. Beyond it c = 1 is constant.
7. Across it nothing is reached: log c → min(0, x) uniformly would make the excess tend to 0, but it
   exceeds a positive number for any product of gates (claim ``sigmoid-cost``).
8. Attained none of this is (T1.c): all errors are positive at every J, K, M, B.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import modes, theorem
from linvae.symbolic.symbols import beta, lam, s2, x
from proofs._branches import at_active
from proofs._gates import settled
from proofs.argument import Argument, Proof, run

__all__ = ["copies", "depth_factor", "prove", "width_factor"]

STATEMENT = (
    "Sigmoid gates reach the optimal encoder in the limit of ever more of them, the optimal "
    "variances only below their critical β."
)
J, K, M, B = theorem.J, theorem.K, theorem.M, theorem.B
_q, _P, _t, _z, _y = (sp.Symbol(name, positive=True) for name in ("q", "P", "t", "z", "y"))
_below = 1 / (1 + _z)  # every q in (0, 1)


def depth_factor(power: sp.Expr) -> sp.Expr:
    """Factor j of the product in depth, as a function of q^{2ʲ} = power."""
    summand = theorem.DEPTH_PRODUCT.function
    index = theorem.DEPTH_PRODUCT.limits[0][0]
    return sp.simplify(summand.subs(x, sp.log(power) / 2**index))


def width_factor() -> sp.Expr:
    """The factor of slope −m without its power, as a function of y = q^m/2m."""
    product = theorem.WIDTH_PRODUCT
    index = product.limits[0][0]
    gate, copies_ = product.function.as_base_exp()
    gate, copies_ = (gate, copies_) if copies_ == M else (1 / gate, -copies_)
    if copies_ != M:
        raise ValueError("every factor of the product in width is taken M times")
    count = sp.Symbol("m", integer=True, positive=True)
    at = sp.log(2 * count * _y) / count  # x with q^m = 2m y
    return sp.simplify(gate.subs(index, count).subs(x, at))


def copies() -> sp.Expr:
    """Sum over slopes of the largest y²/2M for q <= 1, all slopes."""
    count = sp.Symbol("m", integer=True, positive=True)
    return sp.summation((1 / (2 * count)) ** 2 / (2 * M), (count, 1, sp.oo))


def _depth(argument: Argument) -> None:
    """Steps 1 and 2."""
    argument.equal("sigmoid(−2ʲx) = 1/(1 + q^{2ʲ})", depth_factor(_P), 1 / (1 + _P))
    argument.equal("(1 − P)/(1 − P²) = 1/(1 + P)", sp.cancel((1 - _P) / (1 - _P**2)), 1 / (1 + _P))
    for layers in (1, 2, 3):
        product = theorem.DEPTH_PRODUCT.subs(J, layers).doit().subs(x, sp.log(_q))
        argument.equal(
            f"J = {layers}: the product is (1 − q)/(1 − q^N), N = {2**layers}",
            sp.cancel(sp.powsimp(sp.expand_log(product))),
            sp.cancel((1 - _q) / (1 - _q ** (2**layers))),
        )
    argument.equal(
        "G + q^N goes on: (1 − P)/(1 − q) + P = (1 − Pq)/(1 − q)",
        (1 - _P) / (1 - _q) + _P,
        (1 - _P * _q) / (1 - _q),
    )
    i = sp.Symbol("i", integer=True, nonnegative=True)
    argument.positive("q < 1: powers fall, qⁱ − qⁱ⁺¹ > 0", sp.factor(_below**i * (1 - _below)))
    argument.equal("q < 1: 1/G − (1 − q) = q^N/G with (1 − q)G = 1 − q^N",
                   (1 / _y - (1 - _q)).subs(_q, 1 - (1 - _P) / _y), _P / _y)  # fmt: skip
    size = sp.Symbol("N", integer=True, positive=True)
    rest = sp.Symbol("r", nonnegative=True)  # G − N q^N >= 0
    argument.nonnegative("so it is at most 1/N", sp.factor(1 / size - _P / (size * _P + rest)))
    argument.nonnegative("q >= 1: 1/G <= 1/N", sp.factor(1 / size - 1 / (size + rest)))
    argument.equal("at q = 1 it is 1/N = 2^{−J}", (1 / size).subs(size, 2**J), theorem.DEPTH_ERROR)
    argument.equal("2^{−J} → 0", sp.limit(theorem.DEPTH_ERROR, J, sp.oo), 0)
    argument.equal(
        "the limit is g², the gain of DE at the optimum",
        settled(at_active(modes.ENCODER_GAIN * modes.DECODER_GAIN)),
        settled(at_active(1 - beta * s2 / lam)),
    )


def _width(argument: Argument) -> None:
    """Step 3."""
    argument.equal("a factor is 1/(1 + y/M)", width_factor(), 1 / (1 + _y / M))
    integral = sp.integrate(_t / (M + _t), (_t, 0, _y))
    argument.zero(
        "y − M log(1 + y/M) = ∫₀ʸ t/(M + t) dt >= 0",
        sp.expand_log(sp.simplify(integral - _y + M * sp.log((M + _y) / M)), force=True),
    )
    argument.nonnegative("t/M − t/(M + t) >= 0", sp.factor(_t / M - _t / (M + _t)))
    argument.equal("∫₀ʸ t/M dt = y²/2M", sp.integrate(_t / M, (_t, 0, _y)), _y**2 / (2 * M))
    argument.positive("the product falls in q: (1 + y/M) rises", sp.diff(1 + _y / M, _y))
    argument.equal("Σ (1/2m)²/2M = π²/48M", copies(), sp.pi**2 / (48 * M))
    many = sp.Symbol("M0", positive=True)
    argument.equal(
        "(1 + y/M)^{−M} → e^{−y}: F is the limit M → ∞",
        sp.limit((width_factor() ** M).subs(M, many), many, sp.oo),
        sp.exp(-_y),
    )
    index, slopes = sp.Symbol("m", integer=True), theorem.WIDTH_PRODUCT.limits[0][2]
    argument.true(
        "F = exp(−½ Σ q^m/m) over the same slopes",
        theorem.WIDTH_LIMIT.dummy_eq(
            sp.exp(-sp.Sum(sp.exp(index * x) / index, (index, 1, slopes)) / 2)
        ),
    )


def _root(argument: Argument) -> None:
    """Step 4; G = Σ_{i<K} qⁱ."""
    ratio = (1 - _q**K) / (1 - _q)
    argument.equal("G = (1 − q^K)/(1 − q) is 1 for K = 1", sp.cancel(ratio.subs(K, 1)), 1)
    argument.zero(
        "and grows by q^K from K to K + 1",
        sp.simplify(ratio + _q**K - ratio.subs(K, K + 1)),
    )
    slope = sp.diff(sp.log(1 - _q**K) - sp.log(1 - _q), _q) - ratio
    argument.zero(
        "L' = q^{K−1}(q − K/G)/(1 − q)",
        sp.simplify(slope - _q ** (K - 1) * (_q - K / ratio) / (1 - _q)),
    )
    less = sp.Symbol("r", nonnegative=True)  # K − G >= 0, as every q^i <= 1
    grown = sp.Symbol("G", positive=True)
    argument.positive("K/G >= 1 > q: −(q − K/G) > 0", sp.factor((grown + less) / grown - _below))
    total = sp.Function("s")(_q)  # Σ_{m<=K} q^m/m, whose derivative is G
    gap = sp.exp(-total) - (1 - _q)
    argument.equal(
        "h' = 1 − G F² = 1 − exp L",
        sp.diff(gap, _q).subs(sp.diff(total, _q), grown),
        1 - grown * sp.exp(-total),
    )
    argument.equal("h(0) = 0", gap.subs(total, 0).subs(_q, 0), 0)
    argument.equal(
        "h(1) = exp(−H_K)",
        theorem.WIDTH_LIMIT.subs(x, 0).doit() ** 2,
        sp.exp(-sp.harmonic(K)),
    )


def _rates(argument: Argument) -> None:
    """Step 5."""
    count = sp.Symbol("m", integer=True, positive=True)
    integrand = sp.factor(1 / count - 1 / (count + _t))
    argument.positive("1/m − 1/(m + t) > 0", integrand)
    argument.zero(
        "its integral over [0, 1] is 1/m − log((m + 1)/m), so that H_K >= log(K + 1)",
        sp.expand_log(
            sp.simplify(
                sp.integrate(1 / count - 1 / (count + _t), (_t, 0, 1))
                - 1 / count
                + sp.log((count + 1) / count)
            ),
            force=True,
        ),
    )
    bound = theorem.WIDTH_ERROR.subs(sp.harmonic(K), sp.log(K + 1))
    size = sp.Symbol("K0", positive=True)
    argument.equal(
        "with M = K² the bound tends to 0",
        sp.limit(bound.subs(M, K**2).subs(K, size), size, sp.oo),
        0,
    )
    argument.equal(
        "the bound is exp(−H_K/2) + exp(π²/48M) − 1",
        theorem.WIDTH_ERROR,
        sp.exp(-sp.harmonic(K) / 2) + sp.exp(copies()) - 1,
    )
    argument.equal(
        "the encoder's gain is λ^{−1/2} times the gate",
        settled(at_active(theorem.SQRT_RELU.subs(x, theorem.GATE_INPUT) / sp.sqrt(lam))),
        settled(at_active(modes.ENCODER_GAIN)),
    )
    argument.equal(
        "log 2mM − mx has slope −m in log β",
        beta * sp.diff(sp.log(2 * count * M) - count * theorem.GATE_INPUT, beta),
        -count,
    )


def _variances(argument: Argument) -> None:
    """Steps 6 and 7."""
    reached, base = theorem.LIMIT_POSTERIOR, sp.Symbol("b0", positive=True)
    error = 1 - reached / beta
    argument.equal("the relative error is β/(β + e^B)", error, theorem.LIMIT_POSTERIOR_ERROR)
    with_base = theorem.LIMIT_POSTERIOR_ERROR.subs(sp.exp(B), base)
    argument.positive("it is positive", with_base)
    argument.positive("it grows with β: β₁ is the worst", sp.factor(sp.diff(with_base, beta)))
    argument.positive("and is less than βe^{−B}", sp.factor(beta / base - with_base))
    argument.equal("which tends to 0", sp.limit(with_base, base, sp.oo), 0)
    argument.equal(
        "β σ²/λ is the variance below the critical β",
        settled(at_active(modes.POSTERIOR_VARIANCE)),
        at_active(beta * s2 / lam),
    )
    argument.zero(
        "log c → min(0, x) makes the excess tend to 0",
        sp.limit(theorem.POSTERIOR_EXCESS, theorem.delta, 0),
    )
    argument.positive(
        "but it exceeds a positive number for any product of gates (claim sigmoid-cost)",
        theorem.LEAST_SUP_EXCESS,
    )


def prove() -> Proof:
    """Put limits and rates together."""
    argument = Argument("T1.e", STATEMENT)
    _depth(argument)
    _width(argument)
    _root(argument)
    _rates(argument)
    _variances(argument)
    return argument.done(
        functions=("linvae.hypernetwork.GATES", "linvae.claims.theorem.THEOREM_CLAIMS"),
        properties=(
            "tests/linvae/test_adversarial_theorem.py::test_limits_are_within_their_rates",
            "tests/linvae/test_symbolic_theorem.py::test_limits_are_the_expressions",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_theorem.py::test_no_beta_found_exceeds_the_rates",
        ),
        uses=("t1_a", "t1_c", "sigmoid_bound", "t1_d_rounding"),
    )


if __name__ == "__main__":
    run(prove)
