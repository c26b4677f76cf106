r"""A gate can be held constant, so that the second layer of a two-layer network need not be gated.

1. A gate of slope w = 0 reads b at every β: its value does not depend on β.
2. g(b) = √ReLU(1 − eᵇ) = ½ has the one solution b = log(3/4); sigmoid(b) = ½ has the one solution
   b = 0; min(1, eᵇ) = 1 at b = 0. Base weights times 2, 2 and 1 make up for them: powers of two, so
   that no bit of the base is lost in floating point.
3. Hence a layer that is constant in β is representable with any base V, and a product of a constant
   and a gated layer has the entries Σⱼ V[a, j] s(xⱼ) W[j, i]: the gates of one layer scale the
   columns of V. The constant layer before a gated one gives s(xₐ) Σⱼ W[a, j] V[j, i].
4. The open gates never reach 0 or 1 (0 < g < 1 for −∞ < b < 0, 0 < sigmoid < 1), so that a constant
   gate of these kinds needs a base larger than the weight; and for every value v in (0, 1) there is
   one bias: b = log(1 − v²) for g, b = log(v/(1 − v)) for the sigmoid.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import theorem
from linvae.symbolic.symbols import beta, x
from proofs._gates import constant, first, layer_product, row, same, settled
from proofs.argument import Argument, Proof, run

__all__ = ["bias_for", "gates", "prove"]

STATEMENT = (
    "Gates of slope 0 are constant in β: bias log(3/4) gives √ReLU(1 − eˣ) = ½, bias 0 sigmoid = ½."
)
_value = sp.Symbol("v", positive=True)


def gates() -> dict[str, sp.Expr]:
    """All kinds of gates by name."""
    return {
        "sigmoid": theorem.SIGMOID,
        "sqrt_relu": theorem.SQRT_RELU,
        "min_exp": theorem.MIN_EXP,
    }


def bias_for(gate: sp.Expr, value: sp.Expr) -> list[sp.Expr]:
    """All real biases at which the open branch of a gate has a value."""
    opened = gate.args[0][0] if isinstance(gate, sp.Piecewise) else gate
    power = sp.Symbol("p", positive=True)  # eˣ
    found = sp.solve(sp.simplify(opened.subs(x, sp.log(power))) - value, power)
    return [sp.log(root) for root in found]


def _two_layers(argument: Argument) -> None:
    """Step 3."""
    V, W, s = sp.IndexedBase("V"), sp.IndexedBase("W"), sp.IndexedBase("s")
    still = constant(theorem.SIGMOID, "sigmoid")
    diagonal = layer_product(lambda j: still * V[row, j], lambda j: s[j] * W[j] * same(j, first))
    argument.equal(
        "constant V after a gated diagonal W: V[a, i] s(xᵢ) W[i]",
        diagonal,
        V[row, first] * s[first] * W[first],
    )
    diagonal = layer_product(lambda j: s[row] * W[row, j], lambda j: still * V[j] * same(j, first))
    argument.equal(
        "a gated W after a constant diagonal V: s(xₐ) W[a, i] V[i]",
        diagonal,
        s[row] * W[row, first] * V[first],
    )


def prove() -> Proof:
    """Solve for the biases, and compare them with those of the library."""
    argument = Argument("constant-gates", STATEMENT)
    for name, gate in gates().items():
        bias, factor = theorem.CONSTANT_BIAS[name], theorem.CONSTANT_FACTOR[name]
        still = settled(gate.subs(x, theorem.w * sp.log(beta) + theorem.b).subs(theorem.w, 0))
        argument.zero(f"{name}: slope 0 is constant in β", sp.diff(still, beta))
        argument.equal(f"{name}: bias × base is 1", constant(gate, name), 1)
        argument.true(
            f"{name}: the part that moves takes this value at this bias only",
            bias_for(gate, 1 / factor) == [bias],
        )
        argument.true(
            f"{name}: the factor {factor} is a power of two", sp.log(factor, 2).is_integer
        )
    _two_layers(argument)
    opened, closing = 1 / (1 + sp.Symbol("t", positive=True)), sp.exp(x)
    squared = theorem.SQRT_RELU.args[0][0].subs(closing, opened) ** 2
    argument.positive("g² > 0 for eˣ = 1/(1 + t)", squared)
    argument.positive("g² < 1", 1 - squared)
    share = sp.simplify(theorem.SIGMOID.subs(x, sp.log(_value)))
    argument.positive("0 < sigmoid", share)
    argument.positive("sigmoid < 1", sp.together(1 - share))
    argument.zero(
        "every v in (0, 1): g(log(1 − v²)) = v",
        theorem.SQRT_RELU.args[0][0].subs(x, sp.log(1 - _value**2)) - _value,
    )
    argument.equal(
        "every v in (0, 1): sigmoid(log(v/(1 − v))) = v",
        theorem.SIGMOID.subs(x, sp.log(_value / (1 - _value))),
        _value,
    )
    return argument.done(
        functions=(
            "linvae.hypernetwork.GatedLayer.gate_values",
            "linvae.hypernetwork.Hypernetwork",
        ),
        properties=(
            "tests/linvae/test_adversarial_theorem.py::test_gates_of_slope_zero_are_constant",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_theorem.py::test_searched_biases_are_the_derived_ones",
        ),
    )


if __name__ == "__main__":
    run(prove)
