r"""Gates: where √ReLU gates lose their gradient, and what smoothing gives back.

Statement. The gate g(x) = √ReLU(1 − eˣ), x = log β + b, has an unbounded slope below 0 and none
beyond. In the objective averaged over log β in [log β₁, log β₂] the derivative by b is finite; it
is zero when the gate is closed on the whole range, b >= −log β₁, and in proportion to the open part
just before. The smoothed gate g_s = √(1 − (1 + e^{−sx})^{−1/s}) lies between g and
g + √(1 − 2^{−1/s}), and has a slope of at most √s/2 that vanishes nowhere.

1. For x < 0, g' = −eˣ/(2√(1 − eˣ)) → −∞ as x → 0⁻; for x > 0, g' = 0. Yet gg' = −eˣ/2 is bounded,
   and the integral of |g'| over [−L, 0] is g(−L) <= 1: the singularity is integrable. With d = wg
   and the derivative ℓ_d of a mode's objective bounded by M on the range, the derivative of the
   average by b is at most |w| M g(log β₁ + b)/log(β₂/β₁), for any encoder.
2. Let encoder and posterior variance be the best for the gated decoder. Then, with φ of the proof
   of escape, φ'(d) = βd(d² + τ − λ)/(d² + τ)² has the factor d = wg, so that φ'(d) w g' contains
   gg' and has no singularity at all. Where the gate is open, d² + τ = w² + (σ² − w²eᵇ)β is linear
   in β, and the integral over β is elementary.
3. Beyond b = −log β₁ the domain of integration is empty: the derivative is exactly 0. Just before,
   with ℓ = −b − log β₁ the open part, it is κℓ, κ = w²(λ − β₁σ²)/(2β₁σ⁴ log(β₂/β₁)). Gradient flow
   b' = −κℓ gives ℓ' = κℓ: the open part of a mode that can live (λ > β₁σ²) grows exponentially, and
   an empty one stays empty. So a bias should start with the gate open on a part of the range, the
   whole of it if possible: b < −log β₁, better b <= −log β₂.
4. Smoothed gate. Put y = 1 + e^{−sx} > 1, v = y − 1, p = 1/s; then g_s² = 1 − y^{−p} and
   g_s' = −q/(2g_s) with q = y^{−p}v/y.
   a. h(y) = 1 − y^{−p} − p v y^{−p−1} has h(1) = 0 and h' = p(p+1) v y^{−p−2} > 0, so that
      g_s² > pq > 0. Hence g_s' < 0 everywhere, and g_s'² = q²/(4g_s²) < q/(4p) < s/4, as q < 1.
   b. k(y) = pv − (1 − y^{−p}) has k(1) = 0 and k' = p(1 − y^{−p−1}) >= 0, so that g_s² <= pv and
      |g_s'|/g_s = q/(2g_s²) >= s y^{−p−1}/2, which for x >= 0 (y <= 2) is at least s 2^{−2−1/s}:
      the gradient of a closed gate is smaller than the gate by a fixed factor only.
   c. For x > 0, g_s² − g² = g_s² <= 1 − 2^{−p}, falling. For x < 0, v > 1 and eˣ = v^{−p}, so that
      g_s² − g² = v^{−p} − (1 + v)^{−p} >= 0, falling in v, thus at most 1 − 2^{−p}, its value at 1.
      And √(a + δ) <= √a + √δ.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import dynamics as forms
from linvae.symbolic.dynamics import base, bias, high, low, sharpness, top
from linvae.symbolic.symbols import beta, d, lam, s2, x

from .argument import Argument, Proof, run
from .saddle_escape import decoder_objective

__all__ = ["prove"]

v = sp.Symbol("v", positive=True)  # e^{−sx}
p = sp.Symbol("p", positive=True)  # 1/s
beyond = sp.Symbol("x", positive=True)
below = sp.Symbol("x", negative=True)


def _exact_gate(argument: Argument) -> None:
    inside = forms.GATE.args[0][0]
    stated = forms.GATE_SLOPE.args[0][0]
    argument.zero("slope below the threshold", sp.diff(inside, x) - stated)
    argument.true("it is unbounded", sp.limit(stated, x, 0, "-") == -sp.oo)
    argument.true(
        "both are what the gate says below the threshold",
        forms.GATE.subs(x, below) == inside.subs(x, below)
        and forms.GATE_SLOPE.subs(x, below) == stated.subs(x, below),
    )
    argument.true(
        "gate and slope are 0 beyond",
        forms.GATE.subs(x, beyond) == 0 and forms.GATE_SLOPE.subs(x, beyond) == 0,
    )
    argument.zero("gg' = −eˣ/2", sp.cancel(inside * stated) + sp.exp(x) / 2)
    argument.true(
        "the slope's integral up to 0 is finite: g(0) = 0", sp.limit(inside, x, 0, "-") == 0
    )


def _revival(argument: Argument) -> None:
    slope = sp.diff(decoder_objective(), d)
    x_of_beta = sp.log(beta) + bias
    gate = forms.GATE.args[0][0].subs(x, x_of_beta)
    by_bias = slope.subs(d, base * gate) * base * forms.GATE_SLOPE.args[0][0].subs(x, x_of_beta)
    argument.zero(
        "the integrand over β, best encoder: no root is left in it",
        sp.cancel(sp.simplify(by_bias / beta / sp.log(high / low) - forms.REVIVAL_INTEGRAND)),
    )
    argument.zero(
        "its antiderivative",
        sp.cancel(sp.diff(forms.REVIVAL_ANTIDERIVATIVE, beta) - forms.REVIVAL_INTEGRAND),
    )
    argument.zero(
        "nothing is left where the gate closes at the lower end of the range",
        forms.REVIVAL_GRADIENT.subs(top, low),
    )
    part = sp.Symbol("l", positive=True)  # open part of log β: the gate closes at β = low·eˡ
    # d/dl of the integral up to low·eˡ at l = 0: only its upper end counts.
    first = (forms.REVIVAL_INTEGRAND * low).subs({beta: low, bias: -sp.log(low)})
    argument.equal(
        "it grows in proportion to the open part", sp.cancel(first), forms.REOPENING_RATE
    )
    whole = sp.diff(forms.REVIVAL_GRADIENT, top) * sp.diff(low * sp.exp(part), part).subs(part, 0)
    whole = whole.subs({top: low, bias: -sp.log(low)})
    argument.equal("so says the closed form", sp.cancel(whole), forms.REOPENING_RATE)
    can_live = sp.Symbol("m", positive=True)  # λ − β₁σ²
    wide = sp.Symbol("r", positive=True)  # log(β₂/β₁)
    rate = forms.REOPENING_RATE.subs(lam, low * s2 + can_live)
    argument.positive("positive for a mode that can live", rate.subs(sp.log(high / low), wide))


def _smoothed_gate(argument: Argument) -> None:
    argument.zero(
        "slope of the smoothed gate",
        sp.simplify(sp.diff(forms.SMOOTHED_GATE, x) - forms.SMOOTHED_SLOPE),
    )
    at = {x: -p * sp.log(v), sharpness: 1 / p}
    square = 1 - (1 + v) ** (-p)
    q = (1 + v) ** (-p) * v / (1 + v)
    argument.zero("g² = 1 − y^{−p}", sp.simplify(forms.SMOOTHED_GATE.subs(at) ** 2 - square))
    argument.zero(
        "2gg' = −q", sp.simplify(2 * (forms.SMOOTHED_GATE * forms.SMOOTHED_SLOPE).subs(at) + q)
    )
    lower = square - p * v * (1 + v) ** (-p - 1)
    argument.zero("h(1) = 0", lower.subs(v, 0))
    rise = p * (p + 1) * v * (1 + v) ** (-p - 2)
    argument.zero("h' = p(p + 1) v y^{−p−2}", sp.simplify(sp.diff(lower, v) - rise))
    argument.positive("h' > 0, so g² > pq > 0: the slope vanishes nowhere", rise)
    argument.zero("pq = p v y^{−p−1}", sp.simplify(p * q - p * v * (1 + v) ** (-p - 1)))
    argument.zero(
        "1 − q = (1 − y^{−p}) v/y + 1/y", sp.simplify(1 - q - square * v / (1 + v) - 1 / (1 + v))
    )
    bound = forms.SLOPE_BOUND**2 - q / (4 * p)
    argument.zero(
        "s/4 − q/(4p) = (1 − q)/(4p)", sp.simplify(bound.subs(sharpness, 1 / p) - (1 - q) / (4 * p))
    )
    upper = p * v - square
    argument.zero("k(1) = 0", upper.subs(v, 0))
    argument.zero(
        "k' = p(1 − y^{−p−1}), positive as y > 1",
        sp.simplify(sp.diff(upper, v) - p * (1 - (1 + v) ** (-p - 1))),
    )
    argument.zero(
        "q/(2pv) = s y^{−p−1}/2", sp.simplify(q / (2 * p * v) - (1 + v) ** (-p - 1) / (2 * p))
    )


def _smoothing_error(argument: Argument) -> None:
    square = 1 - (1 + v) ** (-p)
    argument.positive("g² rises with v = e^{−sx}, falls with x", sp.simplify(sp.diff(square, v)))
    apart = v ** (-p) - (1 + v) ** (-p)
    inside = forms.GATE.args[0][0].subs(x, -p * sp.log(v))
    argument.zero("below the threshold g_s² − g² = v^{−p} − (1 + v)^{−p}",
                  sp.simplify(square - inside**2 - apart))  # fmt: skip
    fall = p * ((1 + v) ** (-p - 1) - v ** (-p - 1))
    argument.zero("its derivative is p((1 + v)^{−p−1} − v^{−p−1}) < 0",
                  sp.simplify(sp.diff(apart, v) - fall))  # fmt: skip
    largest = (forms.GATE_ERROR**2).subs(sharpness, 1 / p)
    argument.zero("both sides meet at 1 − 2^{−p}", sp.Matrix(
        [sp.simplify(apart.subs(v, 1) - largest), sp.simplify(square.subs(v, 1) - largest)]
    ))  # fmt: skip
    a, more = sp.symbols("a delta", nonnegative=True)
    argument.nonnegative(
        "(√a + √δ)² >= a + δ", sp.expand((sp.sqrt(a) + sp.sqrt(more)) ** 2) - a - more
    )


def prove() -> Proof:
    """Derive what gradient reaches a closed gate, exact or smoothed."""
    argument = Argument(
        "gate gradient",
        "An exact gate closed on the whole range has gradient zero; a smoothed one never has.",
    )
    _exact_gate(argument)
    _revival(argument)
    _smoothed_gate(argument)
    _smoothing_error(argument)
    return argument.done(
        functions=(
            "linvae.dynamics.smoothed_gate",
            "linvae.dynamics.smoothed_gate_slope",
            "linvae.dynamics.revival_gradient",
            "linvae.dynamics.reopening_rate",
        ),
        properties=(
            "tests/linvae/test_dynamics_gates.py::test_smoothed_gates_keep_to_their_bounds",
            "tests/linvae/test_dynamics_gates.py::test_the_gradient_is_that_of_the_averaged_objective",
            "tests/linvae/test_symbolic_dynamics.py::test_gates",
        ),
        optimisations=(
            "tests/linvae/test_dynamics_gates.py::test_no_argument_found_is_steeper_than_the_bound",
            "tests/linvae/test_dynamics_gates.py::test_a_closed_gate_reopens_only_if_smoothed",
        ),
        uses=("t1_a", "saddle_escape"),
    )


if __name__ == "__main__":
    run(prove)
