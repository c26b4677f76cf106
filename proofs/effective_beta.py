"""A loss a·(squared error) + b·KL has the optimum of β = b/(2aσ²) at noise variance σ².

Symbols. ε is the squared error summed over the n data dimensions, ℛ the KL to the prior summed over
the k latents, both averaged over samples, as everywhere in this package; 𝒟 = (n/2) log(2πσ²) +
ε/(2σ²); L_β = 𝒟 + βℛ. a, b > 0 are the constants of somebody's loss aε + bℛ, in which no σ² occurs.

1. Fix any σ² > 0. Then aε + bℛ = 2aσ² · L_β + constant with β = b/(2aσ²), and only with this β:
   the ratio of the coefficients of ℛ and ε must be that of L_β, which is 2σ²β. The scale 2aσ² is
   positive and the constant −aσ² n log(2πσ²) does not depend on encoder or decoder, so the
   minimisers, the order of any two models, and every stationary point are those of L_β; gradients
   are 2aσ² times as long.
2. σ² is a free choice in this translation: the water level τ = βσ² = b/(2a) does not depend on it,
   and the optimal encoder, decoder, ε and ℛ are functions of τ alone. What depends on the choice
   is the name of the point: its β, and its 𝒟 in nats.
3. Means instead of sums. If the squared error is averaged over the n dimensions, a is a'/n; if the
   KL is averaged over the k latents, b is b'/k. Hence β = n b'/(2a'σ²) with the first alone,
   b'/(2ka'σ²) with the second alone and n b'/(2ka'σ²) with both.
4. A likelihood that carries its own σ², a'𝒟 + b'ℛ: β = b'/a' for that σ², summed; n b'/a' when 𝒟 is
   averaged over dimensions. The formula of 1 agrees, with a = a'/(2σ²).
5. The variance must be fixed. Seen as a function of σ², 2aσ²L_β + constant is the same loss for
   every σ²: it has no optimal σ², whereas L_β at fixed β has one, where its derivative (nσ² −
   ε)/(2σ⁴) is 0. So a loss aε + bℛ never belongs to a β together with a learned variance; the β
   that would follow from the variance ε/n of its own optimum moves with that optimum: β =
   nb/(2aε).
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import calibrated as forms
from linvae.symbolic import information, modes
from linvae.symbolic.symbols import beta, c, d, e, k, lam, n, s2

from .argument import Argument, Proof, run

__all__ = ["prove"]

STATEMENT = (
    "A loss a·(squared error) + b·KL has the optimum of β = b/(2aσ²), both terms summed, for any "
    "fixed noise variance σ²."
)


def prove() -> Proof:
    """Match the loss with scale · (𝒟 + β·rate) + constant, and follow reductions and σ²."""
    argument = Argument("effective-beta", STATEMENT)
    _show_match(argument)
    _show_level(argument)
    _show_reductions(argument)
    _show_variance(argument)
    return argument.done(
        functions=("deep.objectives.conventions.effective_beta",),
        properties=(
            "tests/proofs/test_calibrated.py::test_any_loss_of_this_form_orders_models_alike",
            "tests/linvae/test_symbolic_calibrated.py::test_betas_of_other_losses",
        ),
        optimisations=(
            "tests/proofs/test_calibrated.py::test_descent_on_the_loss_finds_the_response",
        ),
    )


_A, _B = forms.reconstruction_weight, forms.kl_weight
_RATE = sp.Symbol("R", nonnegative=True)


def _loss() -> sp.Expr:
    return _A * information.squared_error + _B * _RATE


def _objective() -> sp.Expr:
    return information.DISTORTION + beta * _RATE


def _show_match(argument: Argument) -> None:
    scale, constant = sp.symbols("scale constant", real=True)
    difference = sp.expand(_loss() - scale * _objective() - constant)
    error = information.squared_error
    equations = [difference.coeff(error), difference.coeff(_RATE)]
    solved = sp.solve(equations, [scale, beta], dict=True)
    argument.true("one scale and one β match the coefficients of ε and of ℛ", len(solved) == 1)
    argument.equal("the scale is 2aσ²", solved[0][scale], forms.SCALE_OF_SUMS)
    argument.equal("β = b/(2aσ²)", solved[0][beta], forms.BETA_OF_SUMS)
    rest = _loss() - (forms.SCALE_OF_SUMS * _objective()).subs(beta, forms.BETA_OF_SUMS)
    argument.positive(
        "the scale is positive: the order of any two models stays", forms.SCALE_OF_SUMS
    )
    argument.zero("what is left does not depend on ε", rest.diff(error))
    argument.zero("nor on ℛ", rest.diff(_RATE))
    argument.equal("it is −aσ²n log 2πσ²", rest, -_A * s2 * n * sp.log(2 * sp.pi * s2))


def _show_level(argument: Argument) -> None:
    level = s2 * forms.BETA_OF_SUMS
    argument.equal("the water level τ = βσ² is b/(2a)", level, forms.LEVEL_OF_SUMS)
    argument.zero("the same for every σ²", level.diff(s2))
    loss = _A * modes.SQUARED_ERROR + _B * modes.RATE
    # Gradient of the loss in one active mode at the optimum for that level.
    above = sp.Symbol("above", positive=True)
    at = forms.LEVEL_OF_SUMS
    point = {lam: at + above, d: sp.sqrt(above), e: sp.sqrt(above) / (at + above),
             c: at / (at + above)}  # fmt: skip
    for symbol, name in ((d, "d"), (e, "e"), (c, "c")):
        argument.zero(
            f"the loss of one mode is stationary in {name} at the optimum for that level",
            loss.diff(symbol).subs(point, simultaneous=True),
        )
    gains = {
        d: modes.DECODER_GAIN, e: modes.ENCODER_GAIN, c: modes.POSTERIOR_VARIANCE,
    }  # fmt: skip
    place = {beta: forms.BETA_OF_SUMS, lam: at + above}
    for symbol, expression in gains.items():
        argument.equal(
            f"which is the joint optimum at β = b/(2aσ²), gain {symbol}",
            expression.subs(place, simultaneous=True),
            point[symbol],
        )


def _show_reductions(argument: Argument) -> None:
    both = forms.BETA_OF_SUMS.subs({_A: _A / n, _B: _B / k}, simultaneous=True)
    argument.equal("both averaged: β = n b/(2k a σ²)", both, forms.BETA_OF_MEANS)
    argument.equal(
        "σ² = ½ and a = b = 1, summed: β = 1",
        forms.BETA_OF_SUMS.subs({_A: 1, _B: 1, s2: sp.Rational(1, 2)}),
        sp.S.One,
    )
    argument.equal(
        "mean squared error + b KL at σ² = ½: β = n b",
        forms.BETA_OF_SUMS.subs({_A: 1 / n, s2: sp.Rational(1, 2)}),
        n * _B,
    )
    argument.equal(
        "both averaged at σ² = ½: β k/n is the normalised weight b/a",
        forms.BETA_OF_MEANS.subs(s2, sp.Rational(1, 2)) * k / n,
        _B / _A,
    )
    argument.equal(
        "a likelihood with its own σ², weight a: β = b/a",
        forms.BETA_OF_SUMS.subs(_A, _A / (2 * s2)),
        _B / _A,
    )


def _show_variance(argument: Argument) -> None:
    error = information.squared_error
    translated = forms.SCALE_OF_SUMS * _objective() - _A * s2 * n * sp.log(2 * sp.pi * s2)
    as_loss = sp.expand(translated.subs(beta, forms.BETA_OF_SUMS))
    argument.zero("as a function of σ² the translated loss is constant", as_loss.diff(s2))
    slope = _objective().diff(s2)
    argument.equal(
        "while 𝒟 + βℛ at fixed β is not: its derivative is (nσ² − ε)/(2σ⁴)",
        slope,
        (n * s2 - error) / (2 * s2**2),
    )
    argument.differs("which is not identically 0", slope)
    learned = sp.solve(slope, s2)
    argument.true("a learned variance is ε/n", learned == [error / n])
    moving = forms.BETA_OF_SUMS.subs(s2, learned[0])
    argument.equal("the β that goes with it is n b/(2aε)", moving, n * _B / (2 * _A * error))
    argument.differs("and moves with the squared error of the model", moving.diff(error))
    argument.zero("whereas the water level does not", (moving * learned[0]).diff(error))
    argument.equal("being b/(2a)", moving * learned[0], forms.LEVEL_OF_SUMS)


if __name__ == "__main__":
    run(prove)
