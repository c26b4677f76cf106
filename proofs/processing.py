"""Entropy − distortion <= mutual information <= rate (Gaussian data).

Symbols. x ~ N(μ, S) with S nonsingular (otherwise the entropy is −∞ and the left inequality says
nothing). q(z|x) = N(E(x − m_e) + h, C); A = E S Eᵀ + C and a are covariance and mean of q(z);
K = S Eᵀ A⁻¹ is the regression of x on z; V = S − S Eᵀ A⁻¹ E S; δ = μ − m_d. 𝒟 = −E log p(x|z) with
p(x|z) = N(Dz + m_d, σ²I), h(x) = ½ log det 2πe S.

Any distributions. I − ℛ = −KL(q(z) ‖ p(z)) and h(x) − 𝒟 − I = −E_z KL(q(x|z) ‖ p(x|z)), because
I = h(x) + E log q(x|z): both inequalities are the nonnegativity of a divergence.

Gaussian data, any n and k.
1. x − Kz is uncorrelated with z, since S Eᵀ = K A; its covariance is V. Uncorrelated Gaussians are
   independent, so q(x|z) = N(μ + K(z − a), V).
2. The joint covariance [[S, SEᵀ], [ES, A]] factors around diag(V, A) and around diag(S, C) with
   unit triangular blocks, hence log det V + log det A = log det S + log det C.
3. ε = tr V + tr (K−D)A(K−D)ᵀ + ‖δ − Da‖².
4. So 𝒟 + I − h(x) = ½ [ε/σ² − n − log det(V/σ²)], the average divergence. In the eigenvalues αᵢ of
   V/σ² it is ½ Σ (αᵢ − 1 − log αᵢ) plus two squares: >= 0, and 0 iff V = σ²I, K = D and δ = Da.
5. ℛ − I = KL(q(z) ‖ p(z)) = ½ Σ (αⱼ − 1 − log αⱼ) + ½ ‖a‖² in the eigenvalues αⱼ of A: >= 0.

At the joint optimum for β the second inequality is an equality (proofs/information.py), and the
first loses ½(β − 1 − log β) for every active mode (there V = τ) and ½(λ/σ² − 1 − log(λ/σ²)) for
every other.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import information as forms
from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, c, d, e, k, lam, n, s2

from ._gaussian import average, log_density, log_excess, show_divergence
from ._words import Alphabet
from .argument import Argument, Proof, run

__all__ = ["prove"]

STATEMENT = "Entropy − distortion ≤ mutual information ≤ rate (Gaussian data)."


class _Letters:
    def __init__(self) -> None:
        words = self.words = Alphabet()
        self.S, self.C = words.symmetric("S", "n"), words.symmetric("C", "k")
        self.B = words.symmetric("A⁻¹", "k")
        self.D, self.Dt = words.matrix("D", "n", "k")
        self.E, self.Et = words.matrix("E", "k", "n")
        self.a, self.at = words.matrix("a", "k", "1")
        self.delta, _ = words.matrix("δ", "n", "1")
        self.xi, _ = words.matrix("ξ", "n", "1")
        self.eta, _ = words.matrix("η", "k", "1")
        self.A = self.E * self.S * self.Et + self.C
        self.K = self.S * self.Et * self.B
        self.V = self.S - self.K * self.E * self.S
        spread = self.E * self.S * self.Et  # A A⁻¹ = A⁻¹A = I, as rules for words
        self.rules = {spread * self.B: 1 - self.C * self.B, self.B * spread: 1 - self.B * self.C}
        self.noise = {self.xi: self.S, self.eta: self.C}


def prove() -> Proof:
    """Derive q(x|z) and both differences for matrices of any size, and their signs."""
    argument = Argument("processing", STATEMENT)
    _show_pointwise(argument)
    letters = _Letters()
    _show_regression(argument, letters)
    _show_determinants(argument, letters)
    show_divergence(argument)
    _show_lower(argument, letters)
    _show_signs(argument)
    _show_optimum(argument)
    return argument.done(
        functions=("linvae.linear_vae.information", "linvae.linear_vae.evaluate"),
        properties=(
            "tests/linvae/test_linear_vae.py::test_data_processing_inequality",
            "tests/linvae/test_symbolic_information.py::test_processing_of_any_model",
            "tests/linvae/test_symbolic_information.py::test_modes_at_the_optimum",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_information.py::test_no_encoder_informs_beyond_its_rate",
            "tests/linvae/test_adversarial_information.py"
            "::test_no_decoder_explains_more_than_the_information",
        ),
        uses=("information",),
    )


def _show_pointwise(argument: Argument) -> None:
    joint, data, latent = sp.symbols("q_xz q_x q_z", positive=True)
    decoder, prior = sp.symbols("p_x_given_z p_z", positive=True)
    given_latent, given_data = joint / latent, joint / data  # conditional densities, by definition
    shared = sp.log(joint / (data * latent))  # its mean is I
    argument.zero(
        "for any densities: −log q(x) + log p(x|z) − log q(x,z)/q(x)q(z) is −log q(x|z)/p(x|z), "
        "whose mean is −KL",
        sp.expand_log(-sp.log(data) + sp.log(decoder) - shared + sp.log(given_latent / decoder)),
    )
    argument.zero(
        "for any densities: log q(z|x)/p(z) − log q(x,z)/q(x)q(z) is log q(z)/p(z), whose mean is "
        "a KL",
        sp.expand_log(sp.log(given_data / prior) - shared - sp.log(latent / prior)),
    )


def _show_regression(argument: Argument, of: _Letters) -> None:
    words = of.words
    latent = of.E * of.xi + of.eta  # z − a
    rest = sp.expand(of.xi - of.K * latent)
    with_latent = average(words, sp.expand(rest * words.transposed(latent)), of.noise)
    argument.true("x − Kz is uncorrelated with z", words.same(with_latent, sp.S.Zero, of.rules))
    own = average(words, sp.expand(rest * words.transposed(rest)), of.noise)
    argument.true(
        "and has covariance V = S − S Eᵀ A⁻¹ E S", words.same(own, sp.expand(of.V), of.rules)
    )
    argument.cites(
        "Jointly Gaussian and uncorrelated means independent: q(x|z) = N(μ + K(z − a), V)"
    )


def _show_determinants(argument: Argument, of: _Letters) -> None:
    joint = sp.Matrix([[of.S, of.S * of.Et], [of.E * of.S, of.A]])
    regression = of.words.transposed(of.K)
    given_latent = (
        sp.Matrix([[1, of.K], [0, 1]])
        * sp.Matrix([[of.V, 0], [0, of.A]])
        * sp.Matrix([[1, 0], [regression, 1]])
    )
    given_data = (
        sp.Matrix([[1, 0], [of.E, 1]])
        * sp.Matrix([[of.S, 0], [0, of.C]])
        * sp.Matrix([[1, of.Et], [0, 1]])
    )
    for name, product in (("diag(V, A)", given_latent), ("diag(S, C)", given_data)):
        argument.true(
            f"[[S, SEᵀ], [ES, A]] = unit triangular · {name} · unit triangular",
            all(
                of.words.same(sp.expand(left), sp.expand(right), of.rules)
                for left, right in zip(joint, product, strict=True)
            ),
        )
    argument.cites(
        "The determinant is multiplicative, and 1 for a unit triangular matrix: "
        "log det V + log det A = log det S + log det C"
    )


def _show_lower(argument: Argument, of: _Letters) -> None:
    words = of.words

    def trace(expression: sp.Expr) -> sp.Expr:
        return words.trace(words.reduce(sp.expand(expression), of.rules, cyclic=True))

    missed = of.delta - of.D * of.a + of.xi - of.D * (of.E * of.xi + of.eta)
    outer = sp.expand(missed) * words.transposed(missed)
    error = trace(average(words, sp.expand(outer), of.noise))
    off, offset = of.K - of.D, of.delta - of.D * of.a
    around = sp.expand(of.V + off * of.A * words.transposed(off))
    split = trace(around) + trace(offset * words.transposed(offset))
    argument.equal("ε = tr V + tr (K−D)A(K−D)ᵀ + ‖δ − Da‖²", error, split)
    conditional = log_density(n, forms.logdet_conditional, n)  # E log q(x|z)
    argument.equal(
        "h(x) = −E log q(x), where the quadratic form averages to n",
        -log_density(n, forms.logdet_data, n),
        sp.expand(sp.expand_log(forms.DATA_ENTROPY)),
    )
    named = {
        forms.squared_error: error,
        forms.quadratic_conditional: split / s2,
        forms.logdet_conditional: forms.logdet_data
        + forms.logdet_posterior
        - forms.logdet_aggregated,
    }
    entropy = -log_density(n, forms.logdet_data, n)
    argument.equal(
        "I = h(x) + E log q(x|z)",
        forms.MUTUAL_INFORMATION,
        (entropy + conditional).subs(named),
    )
    gap = forms.DISTORTION + forms.MUTUAL_INFORMATION - forms.DATA_ENTROPY - forms.PROCESSING_GAP
    argument.zero(
        "𝒟 + I − h(x) = ½ [ε/σ² − n + n log σ² − log det V], for all parameters and offsets",
        sp.expand(sp.expand_log(gap.subs(named))),
    )


def _show_signs(argument: Argument) -> None:
    j = sp.Symbol("j", integer=True)
    alpha = sp.IndexedBase("alpha", positive=True)[j]
    rest = sp.Symbol("rest", nonnegative=True)  # [tr (K−D)A(K−D)ᵀ + ‖δ − Da‖²]/σ²
    sums = sp.Sum(alpha, (j, 1, n)), sp.Sum(sp.log(alpha), (j, 1, n))
    by_eigenvalue = sp.Sum(log_excess(alpha) / 2, (j, 1, n)).expand().doit()
    argument.zero(
        "in the eigenvalues αᵢ of V/σ² that is ½ Σ (αᵢ − 1 − log αᵢ) + two squares >= 0",
        sp.expand(
            forms.PROCESSING_GAP.subs(
                {
                    forms.quadratic_conditional: sums[0] + rest,
                    forms.logdet_conditional: sums[1] + n * sp.log(s2),
                }
            )
            - by_eigenvalue
            - rest / 2
        ),
    )
    upper = forms.RATE - forms.MUTUAL_INFORMATION
    sums = sp.Sum(alpha, (j, 1, k)), sp.Sum(sp.log(alpha), (j, 1, k))
    by_eigenvalue = sp.Sum(log_excess(alpha) / 2, (j, 1, k)).expand().doit()
    named = {forms.trace_aggregated: sums[0], forms.logdet_aggregated: sums[1]}
    argument.zero(
        "rate − I = ½ Σ (αⱼ − 1 − log αⱼ) + ½ ‖a‖² >= 0 in the eigenvalues αⱼ of A",
        sp.expand(upper.subs(named) - by_eigenvalue - forms.mean_square / 2),
    )


def _show_optimum(argument: Argument) -> None:
    conditional = lam * c / (lam * e**2 + c)  # V along one eigenvector
    off = (modes.DECODER_GIVEN_ENCODER - d) ** 2 * forms.AGGREGATED_VARIANCE
    argument.equal(
        "one mode: ε = V + (K − d)²A, with K = λe/A the decoder best for that encoder",
        conditional + off,
        modes.SQUARED_ERROR,
    )
    gains = {e: modes.ENCODER_GAIN, c: modes.POSTERIOR_VARIANCE, d: modes.DECODER_GAIN}
    above, beyond = sp.symbols("above beyond", positive=True)
    for name, place, error in (
        ("active", {lam: beta * s2 + above}, beta * s2),
        ("collapsed", {s2: (lam + beyond) / beta}, lam),
        ("critical", {s2: lam / beta}, lam),
    ):
        value = conditional.subs(gains, simultaneous=True).subs(place)
        argument.equal(f"{name} mode at the optimum: V = min(λ, τ)", value, error)
        argument.zero(f"{name} mode: K = d", off.subs(gains, simultaneous=True).subs(place))
        share = sp.cancel(error / s2.subs(place))
        argument.equal(
            f"{name} mode: its share of 𝒟 + I − h(x) is ½(V/σ² − 1 − log(V/σ²))",
            log_excess(share) / 2,
            forms.MODE_PROCESSING_GAP.subs(place),
        )


if __name__ == "__main__":
    run(prove)
