r"""Gates may read standardised log β: the hypernetwork is the same function.

A gate reads w ℓ + b with ℓ = log β. With the input (ℓ − m)/s instead, s > 0:

1. w'(ℓ − m)/s + b' = wℓ + b for every ℓ, if and only if w' = ws and b' = b + wm: compare the
   coefficients of ℓ and of 1. So the reparametrisation exists for every w and b, is exact, and is a
   bijection of parameters.
2. A network that reads (ℓ − m₀)/s₀ already has w' = ws/s₀ and b' = b + w(m − m₀)/s₀.
3. Standardising by (m₁, s₁) and then by (m, s) is standardising by (m, s): only the last one
   counts.
4. Training draws ℓ uniformly from [log a, log b]; the mean and variance of that are
   m = (log a + log b)/2 and s² = (log b − log a)²/12, by integration.

Bases and kinds of gates stay as they are: whatever gate is applied, its argument is the same
number.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import theorem
from proofs.argument import Argument, Proof, run

__all__ = ["moments", "moved", "prove"]

STATEMENT = "Standardising log β is the exact reparametrisation w' = ws, b' = b + wm of every gate."
w, b = theorem.w, theorem.b
_log_beta, _mean, _before = sp.symbols("l m m0", real=True)
_std, _scale = sp.symbols("s s0", positive=True)


def moments() -> tuple[sp.Expr, sp.Expr]:
    """Mean and variance of log β, uniform between the logarithms of the range."""
    ends = sp.symbols("p q", real=True)
    density = 1 / (ends[1] - ends[0])
    mean, second = (
        sp.integrate(density * _log_beta**power, (_log_beta, *ends)) for power in (1, 2)
    )
    logs = dict(zip(ends, (sp.log(theorem.low), sp.log(theorem.high)), strict=True))
    return sp.simplify(mean).subs(logs), sp.factor(second - mean**2).subs(logs)


def moved(mean_before: sp.Expr, std_before: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Solve for the slope and bias that make both arguments the same polynomial in log β."""
    slope, bias = sp.symbols("w1 b1", real=True)
    before = w * (_log_beta - mean_before) / std_before + b
    after = slope * (_log_beta - _mean) / _std + bias
    coefficients = sp.Poly(sp.expand(after - before), _log_beta).all_coeffs()
    (solution,) = sp.linsolve(coefficients, slope, bias)
    return solution


def prove() -> Proof:
    """Solve for the parameters, and compare them with those of the library."""
    argument = Argument("standardised", STATEMENT)
    slope, bias = moved(sp.S.Zero, sp.S.One)
    argument.equal("the only slope is w' = ws", slope, w * _std)
    argument.equal("the only bias is b' = b + wm", bias, b + w * _mean)
    argument.equal(
        "w'(ℓ − m)/s + b' = wℓ + b",
        slope * (_log_beta - _mean) / _std + bias,
        w * _log_beta + b,
    )
    again = moved(_before, _scale)
    argument.equal("from (m₀, s₀): w' = ws/s₀", again[0], w * _std / _scale)
    argument.equal(
        "from (m₀, s₀): b' = b + w(m − m₀)/s₀", again[1], b + w * (_mean - _before) / _scale
    )
    first = {_mean: _before, _std: _scale}
    twice = [
        part.subs({w: slope.subs(first), b: bias.subs(first)}, simultaneous=True) for part in again
    ]
    argument.zero("twice is once: the last one counts", sp.Matrix(twice) - sp.Matrix([slope, bias]))
    mean, variance = moments()
    argument.equal("mean of uniform log β", mean, theorem.STANDARD_MEAN)
    argument.equal("variance of uniform log β", variance, theorem.STANDARD_STD**2)
    chosen = {_mean: theorem.STANDARD_MEAN, _std: theorem.STANDARD_STD}
    argument.equal("the library's slope", slope.subs(chosen), theorem.STANDARD_SLOPE)
    argument.equal("the library's bias", bias.subs(chosen), theorem.STANDARD_BIAS)
    ratio = sp.Symbol("r", positive=True)
    argument.positive(
        "s > 0 for b = a(1 + r) > a",
        sp.expand_log(theorem.STANDARD_STD.subs(theorem.high, theorem.low * (1 + ratio))),
    )
    return argument.done(
        functions=("linvae.hypernetwork.Hypernetwork.standardised",),
        properties=(
            "tests/linvae/test_hypernetwork.py::test_standardised_form_is_the_same_function",
            "tests/linvae/test_symbolic_theorem.py::test_standardised_parameters_are_the_expressions",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_theorem.py::"
            "test_no_beta_found_tells_a_standardised_network_apart",
        ),
    )


if __name__ == "__main__":
    run(prove)
