"""At the optimum the aggregated posterior covariance is I, for every β.

Symbols. Data x of mean μ and covariance S = UΛUᵀ, any distribution. Encoder E (k, n), posterior
variances C = diag(c) > 0, decoder D (n, k), water level τ = βσ². z ~ q(z|x) with x from the data
has covariance A = E S Eᵀ + C, because the noise of q(z|x) is independent of x. The claim is A = I.

Two derivations, neither using the other.

From stationarity alone. Up to a constant, 2σ²·L = tr (I−DE)S(I−DE)ᵀ + tr DCDᵀ + τ[tr ESEᵀ + tr C
− log det C]. At a point where the derivatives in E and in D vanish,
    E S (I−DE)ᵀ D = τ E S Eᵀ    (derivative in E, times E)      and
    E S (I−DE)ᵀ D = C DᵀD       (derivative in D, times D),
hence τ E S Eᵀ = C DᵀD. The derivative in c_j is (DᵀD)_jj + τ(1 − 1/c_j) = 0, that is
c_j (DᵀD)_jj = τ(1 − c_j). Read along the diagonal: (E S Eᵀ)_jj = 1 − c_j. So at EVERY stationary
point each latent has aggregated variance 1, and off the diagonal A = C DᵀD/τ: A = I exactly where
DᵀD is diagonal, as it is at the optimum (proofs/reduction.py). At stationary points whose DᵀD is
not diagonal, which are saddles, A ≠ I.

From the closed form. E = G Uᵀ with the gains e_i on the diagonal of G, so that E S Eᵀ = G Λ G, and
λe² + c = 1 in both branches: (λ−τ)/λ + τ/λ with an active mode, 0 + 1 with a collapsed one.

The mean of z is E(μ − m_e) + h = 0 at the optimum, whose m_e is μ and whose h is 0; so for Gaussian
data q(z) is the prior itself. A uses only second moments and is I for every data distribution.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import information as forms
from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, c, d, lam, s2, tau

from ._gaussian import average
from ._words import Alphabet
from .argument import Argument, Proof, run

__all__ = ["prove"]

STATEMENT = "At the optimum the aggregated posterior covariance is I."


def prove() -> Proof:
    """Derive A = I from stationarity for matrices of any size, and from the closed form."""
    argument = Argument("aggregated", STATEMENT)
    _show_stationary(argument)
    _show_variances(argument)
    _show_closed_form(argument)
    _show_modes(argument)
    return argument.done(
        functions=("linvae.response.response", "linvae.linear_vae.information"),
        properties=(
            "tests/linvae/test_response.py::test_aggregated_posterior_is_the_prior",
            "tests/linvae/test_symbolic_information.py::test_modes_at_the_optimum",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_information.py"
            "::test_found_optima_have_the_prior_as_aggregated_posterior",
        ),
        uses=("reduction",),
    )


def _show_stationary(argument: Argument) -> None:
    words = Alphabet()
    S, C = words.symmetric("S", "n"), words.symmetric("C", "k")
    E, Et = words.matrix("E", "k", "n")
    D, Dt = words.matrix("D", "n", "k")
    xi, xi_t = words.matrix("ξ", "n", "1")
    eta, eta_t = words.matrix("η", "k", "1")
    aggregated = average(words, (E * xi + eta) * (xi_t * Et + eta_t), {xi: S, eta: C})
    argument.true("A = E S Eᵀ + C", words.same(aggregated, E * S * Et + C))
    loss = (1 - D * E) * S * (1 - Et * Dt) + D * C * Dt
    rate = tau * (E * S * Et + C)
    slope_e = words.gradient(loss, E) + words.gradient(rate, E)
    slope_d = words.gradient(loss, D) + words.gradient(rate, D)
    argument.true(
        "derivative in E: τ S Eᵀ − S(I − DE)ᵀD, twice",
        words.same(slope_e, 2 * (tau * S * Et - S * (1 - Et * Dt) * D)),
    )
    argument.true(
        "derivative in D: C Dᵀ − E S(I − DE)ᵀ, twice",
        words.same(slope_d, 2 * (C * Dt - E * S * (1 - Et * Dt))),
    )
    argument.true(
        "where both vanish, τ E S Eᵀ = C DᵀD",
        words.same((E * slope_e - slope_d * D) / 2, tau * E * S * Et - C * Dt * D),
    )
    # Both sides of τ E S Eᵀ = C DᵀD: the left one is symmetric, so C and DᵀD commute.
    argument.true("E S Eᵀ is symmetric", words.same(words.transposed(E * S * Et), E * S * Et))


def _show_variances(argument: Argument) -> None:
    gram = sp.Symbol("gram", nonnegative=True)  # (DᵀD)_jj
    slope = (c * gram + tau * (c - sp.log(c))).diff(c)
    solved = sp.solve(slope, gram)
    argument.true("the derivative in c_j vanishes for one (DᵀD)_jj", len(solved) == 1)
    argument.equal(
        "there c_j (DᵀD)_jj/τ = 1 − c_j, so the diagonal of A is 1 at every stationary point",
        c * solved[0] / tau + c,
        sp.S.One,
    )


def _show_closed_form(argument: Argument) -> None:
    words = Alphabet()
    S, L, G = words.symmetric("S", "n"), words.symmetric("Λ", "k"), words.symmetric("G", "k")
    U, Ut = words.matrix("U", "n", "k")
    argument.true(
        "with S U = U Λ and UᵀU = I: E = G Uᵀ gives E S Eᵀ = G Λ G, diagonal with entries λe²",
        words.same(G * Ut * S * U * G, G * L * G, {S * U: U * L, Ut * U: sp.S.One}),
    )


def _show_modes(argument: Argument) -> None:
    gains = {modes.e: modes.ENCODER_GAIN, c: modes.POSTERIOR_VARIANCE}
    value = sp.piecewise_fold(forms.AGGREGATED_VARIANCE.subs(gains, simultaneous=True))
    above = sp.Symbol("above", positive=True)
    argument.equal(
        "active mode (λ = τ + a, a > 0): λe² + c = 1",
        value.subs(lam, beta * s2 + above),
        sp.S.One,
    )
    share = sp.Symbol("share", positive=True)
    collapsed = value.subs(s2, lam * (1 + share) / beta)
    argument.equal("collapsed mode (τ = λ(1 + s) > λ): λe² + c = 1", collapsed, sp.S.One)
    argument.equal("at the threshold τ = λ too", value.subs(s2, lam / beta), sp.S.One)
    _show_agreement(argument)


def _show_agreement(argument: Argument) -> None:
    above = sp.Symbol("above", positive=True)
    at = {lam: beta * s2 + above}
    gain, posterior = modes.DECODER_GAIN.subs(at), modes.POSTERIOR_VARIANCE.subs(at)
    argument.equal(
        "the closed form obeys the equations of the first derivation: τ(1 − c) = c d²",
        beta * s2 * (1 - posterior),
        posterior * gain**2,
    )
    argument.equal(
        "and τ λe² = c d²",
        beta * s2 * lam.subs(at) * modes.ENCODER_GAIN.subs(at) ** 2,
        posterior * gain**2,
    )
    argument.zero("a collapsed decoder gain is 0", modes.DECODER_GAIN.subs(s2, 2 * lam / beta) * d)


if __name__ == "__main__":
    run(prove)
