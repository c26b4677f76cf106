"""ELBO = log-likelihood − KL to the exact posterior, which is 0 at the optimum for β = 1.

Symbols. Data of mean μ and covariance S, any distribution. p(z) = N(0, I), p(x|z) = N(Dz + m_d,
σ²I), q(z|x) = N(E(x − m_e) + h, C). a = E(μ − m_e) + h, δ = μ − m_d, ξ = x − μ. M = DDᵀ + σ²I (n,
n), P = I + DᵀD/σ² (k, k), Q = P⁻¹, R = QDᵀ/σ². ELBO = −(𝒟 + ℛ).

Any distributions. Bayes' rule p(x|z) p(z) = p(x) p(z|x) inside the logarithm gives, before any
average,
    log p(x|z) + log p(z) − log q(z|x) = log p(x) − [log q(z|x) − log p(z|x)],
hence ELBO = E log p(x) − E KL(q(z|x) ‖ p(z|x)). What follows is what the library computes.

Linear Gaussian model, any n and k.
1. Woodbury. W = (I − DQDᵀ/σ²)/σ² is the inverse of M, because DᵀDQ = σ²(I − Q).
2. Completing the square. ‖x̃ − Dz‖²/σ² + ‖z‖² = (z − Rx̃)ᵀP(z − Rx̃) + x̃ᵀWx̃ for every x̃ and z.
   So p(x) = N(m_d, M) and the exact posterior is N(R(x − m_d), Q).
3. Determinant lemma. [[I, −Dᵀ], [D, σ²I]] factors into unit triangular blocks around diag(I, M) and
   around diag(P, σ²I); so det M = σ²ⁿ det P.
4. Averages. −E log p(x) = ½ [n log 2π + log det M + tr W(S + δδᵀ)], and with g = a − Rδ
   E KL(q(z|x) ‖ p(z|x)) = ½ [tr P(C + (E−R)S(E−R)ᵀ + ggᵀ) − k − log det P − log det C].
5. Their difference is −(𝒟 + ℛ), word by word, for all parameters and offsets.
6. The gap is a divergence of Gaussians averaged over x, never negative: ½ Σ (αⱼ − 1 − log αⱼ) in
   the eigenvalues of P^½CP^½, plus a trace of a positive semidefinite matrix.

At the joint optimum for β, mode by mode: with L = λ/σ² the precision is P = 1 + (L − β)₊; a
collapsed mode has P = c = 1 and e = 0: no gap. An active one has
    gap = ½ [Pβ/L − 1 − log(Pβ/L)] + (L − β)(1 − β)²/(2 L P),     Pβ − L = (β − 1)(L − β),
two terms >= 0 that vanish exactly at β = 1: there, and only there once a mode is active, the bound
is tight.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import information as forms
from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, c, d, e, k, lam, n, s2

from ._gaussian import average, divergence, log_density, log_excess, show_divergence
from ._words import Alphabet
from .argument import Argument, Proof, run

__all__ = ["Letters", "prove"]

STATEMENT = (
    "ELBO = log-likelihood − KL to the exact posterior, which is 0 at the optimum for β = 1."
)


class Letters:
    """The matrices of a model as letters, with P written out and Q = P⁻¹ as a rule."""

    def __init__(self) -> None:
        words = self.words = Alphabet()
        self.S, self.C = words.symmetric("S", "n"), words.symmetric("C", "k")
        self.Q = words.symmetric("Q", "k")
        self.D, self.Dt = words.matrix("D", "n", "k")
        self.E, self.Et = words.matrix("E", "k", "n")
        self.a, self.at = words.matrix("a", "k", "1")
        self.delta, self.delta_t = words.matrix("δ", "n", "1")
        self.xi, _ = words.matrix("ξ", "n", "1")
        self.eta, _ = words.matrix("η", "k", "1")
        self.P = 1 + self.Dt * self.D / s2
        self.R = self.Q * self.Dt / s2
        self.W = (1 - self.D * self.Q * self.Dt / s2) / s2
        gram = self.Dt * self.D  # P Q = Q P = I, as rules for words
        self.rules = {gram * self.Q: s2 * (1 - self.Q), self.Q * gram: s2 * (1 - self.Q)}

    def second_moment(self, column: sp.Expr) -> sp.Expr:
        """Average of the outer product of a column with itself, over x and over q(z|x)."""
        outer = sp.expand(column * self.words.transposed(column))
        return average(self.words, outer, {self.xi: self.S, self.eta: self.C})

    def trace(self, expression: sp.Expr) -> sp.Expr:
        """Trace after the rules of Q."""
        return self.words.trace(self.words.reduce(expression, self.rules, cyclic=True))


def prove() -> Proof:
    """Derive marginal, posterior and gap for matrices of any size, then the gap at the optimum."""
    argument = Argument("evidence", STATEMENT)
    _show_pointwise(argument)
    letters = Letters()
    _show_inverse(argument, letters)
    _show_determinant(argument, letters)
    show_divergence(argument)
    _show_identity(argument, letters)
    _show_sign(argument, letters)
    _show_scalar(argument)
    _show_optimum(argument)
    return argument.done(
        functions=("linvae.linear_vae.log_likelihood", "linvae.linear_vae.elbo_split"),
        properties=(
            "tests/linvae/test_linear_vae.py::test_log_likelihood_and_the_gap_of_the_bound",
            "tests/linvae/test_linear_vae.py::test_the_bound_is_tight_at_the_optimum_of_beta_one",
            "tests/linvae/test_symbolic_information.py::test_evidence_of_any_model",
            "tests/linvae/test_symbolic_information.py::test_modes_at_the_optimum",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_information.py::test_no_encoder_lifts_the_bound_above",
        ),
        uses=("global_optimum",),
    )


def _show_pointwise(argument: Argument) -> None:
    joint, prior, marginal, encoder = sp.symbols("p_xz p_z p_x q_z_given_x", positive=True)
    decoder, posterior = joint / prior, joint / marginal  # conditional densities, by definition
    argument.zero(
        "for any densities: log p(x|z) − log q(z|x)/p(z) = log p(x) − log q(z|x)/p(z|x)",
        sp.expand_log(
            sp.log(decoder) - sp.log(encoder / prior)
            - sp.log(marginal) + sp.log(encoder / posterior)
        ),
    )  # fmt: skip


def _show_inverse(argument: Argument, of: Letters) -> None:
    words = of.words
    model = s2 + of.D * of.Dt
    for text, product in (("M W", model * of.W), ("W M", of.W * model)):
        argument.true(f"Woodbury: {text} = I", words.same(product, sp.S.One, of.rules))
    x, x_t = words.matrix("x", "n", "1")
    z, z_t = words.matrix("z", "k", "1")
    missed, off = x - of.D * z, z - of.R * x
    left = missed * words.transposed(missed) / s2
    right = of.W * x * x_t
    argument.equal(
        "‖x − Dz‖²/σ² + ‖z‖² = (z − Rx)ᵀP(z − Rx) + xᵀWx for every x and z",
        of.trace(left) + of.trace(z * z_t),
        of.trace(of.P * off * words.transposed(off)) + of.trace(right),
    )


def _show_determinant(argument: Argument, of: Letters) -> None:
    block = sp.Matrix([[1, -of.Dt], [of.D, s2]])
    around_model = (
        sp.Matrix([[1, 0], [of.D, 1]])
        * sp.Matrix([[1, 0], [0, s2 + of.D * of.Dt]])
        * sp.Matrix([[1, -of.Dt], [0, 1]])
    )
    around_precision = (
        sp.Matrix([[1, -of.Dt / s2], [0, 1]])
        * sp.Matrix([[of.P, 0], [0, s2]])
        * sp.Matrix([[1, 0], [of.D / s2, 1]])
    )
    for name, product in (("diag(I, M)", around_model), ("diag(P, σ²I)", around_precision)):
        argument.true(
            f"[[I, −Dᵀ], [D, σ²I]] = unit lower/upper · {name} · unit upper/lower",
            all(of.words.same(left, right) for left, right in zip(block, product, strict=True)),
        )
    argument.cites(
        "The determinant is multiplicative, and 1 for a unit triangular matrix; with both "
        "factorisations log det M = n log σ² + log det P"
    )


def _averages(of: Letters) -> dict[str, sp.Expr]:
    """ε, tr A, ‖a‖² and the two quadratic forms, as traces, by averaging."""
    missed = of.delta - of.D * of.a + of.xi - of.D * of.E * of.xi - of.D * of.eta
    latent = of.a + of.E * of.xi + of.eta
    data = of.delta + of.xi
    off = latent - of.R * data  # z minus the exact posterior's mean
    return {
        "squared_error": of.trace(of.second_moment(sp.expand(missed))),
        "latent": of.trace(of.second_moment(latent)),
        "model": of.trace(of.W * of.second_moment(data)),
        "posterior": of.trace(of.P * of.second_moment(sp.expand(off))),
    }


def _show_identity(argument: Argument, of: Letters) -> None:
    found = _averages(of)
    argument.equal(
        "E ‖x − Dz − m‖²/σ² + E ‖z‖² splits into tr W(S + δδᵀ) and tr P(second moment of z − its "
        "exact posterior mean)",
        found["squared_error"] / s2 + found["latent"],
        found["model"] + found["posterior"],
    )
    gap = of.a - of.R * of.delta
    difference = of.E - of.R
    inner = (
        of.C + difference * of.S * of.words.transposed(difference) + gap * of.words.transposed(gap)
    )
    argument.equal(
        "the last is tr P(C + (E−R)S(E−R)ᵀ + ggᵀ)",
        found["posterior"],
        of.trace(of.P * sp.expand(inner)),
    )
    argument.equal(
        "−½ [n log 2π + log det M + quadratic form] is the average log-likelihood",
        log_density(n, forms.logdet_model, forms.quadratic_model),
        forms.LOG_LIKELIHOOD,
    )
    argument.equal(
        "the divergence from N(R(x − m_d), P⁻¹) is the gap",
        divergence(forms.quadratic_posterior, k, -forms.logdet_precision, forms.logdet_posterior),
        forms.POSTERIOR_GAP,
    )
    named = {
        forms.squared_error: found["squared_error"],
        forms.trace_aggregated: found["latent"] - forms.mean_square,
        forms.quadratic_model: found["model"],
        forms.quadratic_posterior: found["posterior"],
        forms.logdet_model: n * sp.log(s2) + forms.logdet_precision,
    }
    identity = -forms.DISTORTION - forms.RATE - forms.LOG_LIKELIHOOD + forms.POSTERIOR_GAP
    argument.zero(
        "−(𝒟 + ℛ) = log-likelihood − gap, for every E, C, D, σ², offsets and data",
        sp.expand(sp.expand_log(identity.subs(named), force=False)),
    )


def _show_sign(argument: Argument, of: Letters) -> None:
    difference = of.E - of.R
    root, _ = of.words.matrix("H", "k", "k")  # P = HᵀH
    root_t = of.words.transposed(root)
    factor, factor_t = of.words.matrix("B", "n", "n")  # S = BBᵀ
    spread = root * difference * factor
    argument.equal(
        "tr P(E−R)S(E−R)ᵀ = ‖H(E−R)B‖² >= 0 with P = HᵀH, S = BBᵀ; likewise gᵀPg = ‖Hg‖²",
        of.words.trace(sp.expand(spread * of.words.transposed(spread))),
        of.words.trace(
            sp.expand(root_t * root * difference * factor * factor_t
                      * of.words.transposed(difference))
        ),
    )  # fmt: skip


def _show_scalar(argument: Argument) -> None:
    precision = 1 + d**2 / s2
    reader = d / (s2 * precision)
    gap = log_excess(precision * c) / 2 + precision * lam * (e - reader) ** 2 / 2
    likelihood = log_density(1, sp.log(d**2 + s2), lam / (d**2 + s2))
    elbo = -(sp.log(2 * sp.pi * s2) / 2 + modes.SQUARED_ERROR / (2 * s2)) - modes.RATE
    logs = sp.log(precision * c) - sp.log(d**2 + s2) + sp.log(s2) - sp.log(c)
    argument.zero("log P = log(d² + σ²) − log σ²", sp.simplify(sp.exp(logs)) - 1)
    argument.zero(
        "n = k = 1, all symbols free: ELBO = log-likelihood − gap",
        sp.cancel(sp.together(sp.expand(sp.expand_log(elbo - likelihood + gap + logs / 2)))),
    )


def _optimal_gap(place: dict[sp.Symbol, sp.Expr]) -> sp.Expr:
    """Gap of one mode from its definition, at the joint optimum for β."""
    gain = modes.DECODER_GAIN.subs(place)
    precision = sp.simplify(1 + gain**2 / s2.subs(place))
    reader = gain / (s2.subs(place) * precision)
    off = modes.ENCODER_GAIN.subs(place) - reader
    stretch = precision * modes.POSTERIOR_VARIANCE.subs(place)
    return log_excess(stretch) / 2 + precision * lam.subs(place) * off**2 / 2


def _spelled(expression: sp.Expr) -> sp.Expr:
    """Logarithms of products as sums of logarithms; all their arguments here are positive."""
    factored = expression.replace(sp.log, lambda x: sp.log(sp.factor(sp.together(x))))
    return sp.expand_log(factored, force=True)


def _show_optimum(argument: Argument) -> None:
    above = sp.Symbol("above", positive=True)
    active = {lam: s2 * beta + s2 * above}  # L = β + above
    gap, claimed = _optimal_gap(active), forms.MODE_POSTERIOR_GAP.subs(active)
    stretch = sp.cancel((1 + above) * beta / (beta + above))
    logs = sp.log(1 + above) + sp.log(beta) - sp.log(beta + above)

    argument.equal("active mode: the gap in closed form", _spelled(gap), _spelled(claimed))
    argument.zero(
        "it is ½(s − 1 − log s) + (L − β)(1 − β)²/(2LP) with s = Pβ/L",
        _spelled(gap)
        - (stretch - 1 - logs) / 2
        - above * (1 - beta) ** 2 / (2 * (beta + above) * (1 + above)),
    )
    argument.nonnegative(
        "the second term is >= 0", above * (1 - beta) ** 2 / (2 * (beta + above) * (1 + above))
    )
    argument.equal(
        "Pβ − L = (β − 1)(L − β): s = 1 only at β = 1",
        sp.factor((1 + above) * beta - (beta + above)),
        (beta - 1) * above,
    )
    argument.zero("at β = 1 the gap is 0", _spelled(gap).subs(beta, 1))
    beyond = sp.Symbol("beyond", nonnegative=True)
    collapsed = {s2: (lam + beyond) / beta}
    argument.zero("collapsed mode: the gap is 0 for every β", _optimal_gap(collapsed))
    argument.zero("as the closed form says", forms.MODE_POSTERIOR_GAP.subs(collapsed))


if __name__ == "__main__":
    run(prove)
