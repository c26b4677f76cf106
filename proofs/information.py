"""At the optimum the rate is the mutual information (Gaussian data).

Symbols. q(z|x) = N(E(x − m_e) + h, C), prior N(0, I), k latents; A = E S Eᵀ + C and a are
covariance and mean of the aggregated posterior q(z); τ = βσ².

1. For any model and any data ℛ = I_q(x;z) + KL(q(z) ‖ p(z)) (proofs/split.py).
2. For Gaussian data q(z) = N(a, A), so that KL(q(z) ‖ p(z)) = ½ [tr A + ‖a‖² − k − log det A].
   In the eigenvalues αⱼ of A this is ½ Σ (αⱼ − 1 − log αⱼ) + ½ ‖a‖² >= 0, and 0 exactly when A = I
   and a = 0.
3. At the joint optimum A = I (proofs/aggregated.py) and a = E(μ − μ) + 0 = 0. Hence ℛ = I_q(x;z).
   With it the total correlation is 0 (A is diagonal) and each KL(q(zⱼ) ‖ N(0, 1)) is 0.
4. In numbers, mode by mode: I = ½ log(1 + λe²/c), at the optimum ½ log(λ/τ) for an active mode and
   0 for a collapsed one: the rate of reverse water-filling.

Where it stops. For data that are not Gaussian A = I still holds but q(z) need not be Gaussian; then
ℛ − I = KL(q(z) ‖ p(z)) > 0. The rate of a model is the mutual information exactly when q(z) is the
prior, so the converse needs no optimality: e = 1/√2, λ = 1, c = ½ gives ℛ = I with any decoder.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import information as forms
from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, c, e, k, lam, s2

from ._gaussian import log_excess, show_log_excess
from .argument import Argument, Proof, run
from .split import show_parts

__all__ = ["prove"]

STATEMENT = "At the optimum the rate is the mutual information (Gaussian data)."


def prove() -> Proof:
    """Show rate − I = KL(q(z) ‖ p(z)), that it vanishes iff A = I and a = 0, and the value of I."""
    argument = Argument("information", STATEMENT)
    show_parts(argument)
    argument.equal(
        "rate − I = KL(q(z) ‖ p(z))", forms.RATE - forms.MUTUAL_INFORMATION, forms.MARGINAL_KL
    )
    _show_zero(argument)
    _show_modes(argument)
    return argument.done(
        functions=("linvae.linear_vae.information", "linvae.response.response"),
        properties=(
            "tests/linvae/test_linear_vae.py::test_information_equals_the_definitions",
            "tests/linvae/test_symbolic_information.py::test_modes_at_the_optimum",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_information.py::test_no_encoder_informs_beyond_its_rate",
            "tests/linvae/test_adversarial_information.py"
            "::test_found_optima_have_the_prior_as_aggregated_posterior",
        ),
        uses=("aggregated",),
    )


def _show_zero(argument: Argument) -> None:
    j = sp.Symbol("j", integer=True)
    alpha = sp.IndexedBase("alpha", positive=True)[j]
    named = {
        forms.trace_aggregated: sp.Sum(alpha, (j, 1, k)),
        forms.logdet_aggregated: sp.Sum(sp.log(alpha), (j, 1, k)),
    }
    by_eigenvalue = sp.Sum(log_excess(alpha) / 2, (j, 1, k)).expand().doit()
    argument.cites("Spectral theorem: A has k positive eigenvalues αⱼ, and C > 0 makes A > 0")
    argument.zero(
        "KL(q(z) ‖ p(z)) = ½ Σ (αⱼ − 1 − log αⱼ) + ½ ‖a‖²",
        sp.expand(forms.MARGINAL_KL.subs(named) - by_eigenvalue - forms.mean_square / 2),
    )
    show_log_excess(argument)
    argument.zero(
        "at A = I, a = 0 it is 0",
        forms.MARGINAL_KL.subs(
            {forms.trace_aggregated: k, forms.mean_square: 0, forms.logdet_aggregated: 0}
        ),
    )
    argument.zero(
        "and so is the total correlation",
        forms.TOTAL_CORRELATION.subs({forms.sum_log_variances: 0, forms.logdet_aggregated: 0}),
    )
    argument.zero(
        "and the divergence of each latent",
        forms.DIMENSION_WISE_KL.subs({forms.variance: 1, forms.mean: 0}),
    )


def _show_modes(argument: Argument) -> None:
    gains = {e: modes.ENCODER_GAIN, c: modes.POSTERIOR_VARIANCE}
    at_optimum = forms.MODE_INFORMATION.subs(gains, simultaneous=True)
    above, beyond = sp.symbols("above beyond", positive=True)
    branches = {
        "an active mode (λ = τ + a)": {lam: beta * s2 + above},
        "a collapsed mode (τ = λ + b)": {s2: (lam + beyond) / beta},
        "a mode at its critical β": {s2: lam / beta},
    }
    for name, place in branches.items():
        aggregated = forms.AGGREGATED_VARIANCE.subs(gains, simultaneous=True).subs(place)
        argument.equal(f"{name}: λe² + c = 1", aggregated, sp.S.One)
        argument.equal(
            f"{name}: I is the optimal rate",
            sp.log(sp.exp(2 * at_optimum.subs(place)).simplify()) / 2,
            modes.OPTIMAL_RATE.subs(place),
        )
        argument.equal(
            f"{name}: and the rate by its definition is the same",
            modes.RATE.subs(gains, simultaneous=True).subs(place),
            modes.OPTIMAL_RATE.subs(place),
        )
    argument.equal(
        "beside the optimum (e twice the optimal gain, λ = 4τ) the rate exceeds I",
        (modes.RATE - forms.MODE_INFORMATION).subs(
            {lam: 4, e: 2 * sp.sqrt(3) / 4, c: sp.Rational(1, 4)}
        ),
        log_excess(sp.Rational(13, 4)) / 2,
    )


if __name__ == "__main__":
    run(prove)
