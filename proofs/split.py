"""The rate of any model is mutual information + total correlation + dimension-wise KL.

Symbols. x is Gaussian with mean μ and covariance S; q(z|x) = N(E(x − m_e) + h, C) with C diagonal,
k latents, prior N(0, I). a = E(μ − m_e) + h, A = E S Eᵀ + C with diagonal entries A_jj.

Any distributions. By definition, averaging over x from the data and z from q(z|x),
    rate  ℛ  = E log q(z|x) − log p(z),          I_q(x; z) = E log q(z|x) − log q(z),
    TC       = E log q(z) − Σⱼ log q(zⱼ),         KLⱼ       = E log q(zⱼ) − log p(zⱼ).
The prior is a product, log p(z) = Σⱼ log p(zⱼ), so the integrands add up before any average is
taken: ℛ = I_q + TC + Σⱼ KLⱼ whatever the data. What follows is what the library computes.

Gaussian data. 1. The divergence of two Gaussians is derived from their densities (_gaussian.py).
2. z = a + E(x − μ) + η with η ~ N(0, C) independent of x: q(z) has mean a and covariance A, and is
Gaussian as a linear image of one. 3. Each of the five quantities is a divergence, averaged over x
where it depends on x:
    ℛ   = E KL(q(z|x) ‖ N(0, I))       = ½ [tr A + ‖a‖² − k − log det C],
    I_q = E KL(q(z|x) ‖ q(z))          = ½ [tr A⁻¹A − k + log det A − log det C],
    TC  = KL(N(a, A) ‖ N(a, diag A))   = ½ [Σⱼ A_jj/A_jj − k + Σⱼ log A_jj − log det A],
    KLⱼ = KL(N(aⱼ, A_jj) ‖ N(0, 1))    = ½ [A_jj + aⱼ² − 1 − log A_jj].
4. Their sum is ℛ: every log-determinant occurs twice with opposite signs, and Σⱼ A_jj = tr A.
5. None is negative. I_q = ½ Σ log(1 + sⱼ²) with the singular values s of C^(−1/2) E S^(1/2); TC and
KLⱼ are divergences of Gaussians, sums of α − 1 − log α over positive α, plus a square.

All sizes are symbolic: matrices are letters, and nothing is replaced by entries except in the last
check, which recomputes everything for a full 2 × 2 model from its ten numbers, densely.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import information as forms
from linvae.symbolic import modes
from linvae.symbolic.symbols import c, e, k, lam

from ._gaussian import average, divergence, log_excess, show_divergence
from ._words import Alphabet
from .argument import Argument, Proof, run

__all__ = ["dense_parts", "prove", "show_parts"]

STATEMENT = "The rate of any model is mutual information + total correlation + dimension-wise KL."


def prove() -> Proof:
    """Derive the split for any distributions, for Gaussians of any size, and densely for k = 2."""
    argument = Argument("split", STATEMENT)
    _show_pointwise(argument)
    show_divergence(argument)
    show_parts(argument)
    _show_sum(argument)
    _show_signs(argument)
    _show_dense(argument)
    _show_mode(argument)
    return argument.done(
        functions=("linvae.linear_vae.information",),
        properties=(
            "tests/linvae/test_linear_vae.py::test_information_equals_the_definitions",
            "tests/linvae/test_linear_vae.py::test_the_rate_splits_and_no_part_is_negative",
            "tests/linvae/test_symbolic_information.py::test_information_of_any_model",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_information.py::test_no_part_of_the_rate_is_negative",
        ),
    )


def _show_pointwise(argument: Argument) -> None:
    conditional, marginal = sp.symbols("log_q_z_given_x log_q_z", real=True)
    j = sp.Symbol("j", integer=True)
    own, prior = sp.IndexedBase("log_q", real=True)[j], sp.IndexedBase("log_p", real=True)[j]

    def total(summand: sp.Expr) -> sp.Expr:
        return sp.Sum(summand, (j, 1, k))

    integrand = (conditional - marginal) + (marginal - total(own)) + (total(own) - total(prior))
    argument.equal(
        "for any distributions: the integrands of I, TC and the KLⱼ add up to that of the rate",
        integrand,
        conditional - total(prior),
    )


def _letters() -> tuple[Alphabet, dict[str, sp.Expr]]:
    words = Alphabet()
    S, C = words.symmetric("S", "n"), words.symmetric("C", "k")
    inverse = words.symmetric("A⁻¹", "k")
    E, E_t = words.matrix("E", "k", "n")
    a, a_t = words.matrix("a", "k", "1")
    xi, _ = words.matrix("ξ", "n", "1")
    eta, _ = words.matrix("η", "k", "1")
    return words, {"S": S, "C": C, "B": inverse, "E": E, "Et": E_t, "a": a, "at": a_t,
                   "xi": xi, "eta": eta}  # fmt: skip


def show_parts(argument: Argument) -> None:
    """Derive rate, information and marginal divergence as traces and log-determinants."""
    words, given = _letters()
    S, C, B, E, Et = (given[name] for name in ("S", "C", "B", "E", "Et"))
    a, at, xi, eta = (given[name] for name in ("a", "at", "xi", "eta"))
    aggregated = E * S * Et + C
    noise = {xi: S, eta: C}
    spread = E * xi + eta  # z − a
    argument.true(
        "covariance of q(z): E S Eᵀ + C, as x and the noise of q(z|x) are independent",
        words.same(average(words, spread * words.transposed(spread), noise), aggregated),
    )
    argument.cites("A linear image of a Gaussian, and its marginals, are Gaussian")
    whole = a + E * xi + eta  # z, whose second moment the divergence from N(0, I) asks for
    second = average(words, sp.expand(whole * words.transposed(whole)), noise)
    named = {
        forms.trace_aggregated: words.trace(aggregated),
        forms.mean_square: words.trace(a * at),
    }
    logdet_c, logdet_a = forms.logdet_posterior, forms.logdet_aggregated
    argument.equal(
        "rate = E KL(q(z|x) ‖ N(0, I)) = ½ [tr A + ‖a‖² − k − log det C]",
        divergence(words.trace(second), k, 0, logdet_c),
        forms.RATE.subs(named),
    )
    inside = words.reduce(B * aggregated, {B * E * S * Et: 1 - B * C})
    argument.equal(
        "I = E KL(q(z|x) ‖ q(z)) = ½ [log det A − log det C], as tr A⁻¹(E S Eᵀ + C) = k",
        divergence(words.trace(inside, k), k, logdet_a, logdet_c),
        forms.MUTUAL_INFORMATION,
    )
    argument.equal(
        "KL(q(z) ‖ p(z)) = ½ [tr A + ‖a‖² − k − log det A]",
        divergence(words.trace(aggregated + a * at), k, 0, logdet_a),
        forms.MARGINAL_KL.subs(named),
    )
    _show_latents(argument)


def _show_latents(argument: Argument) -> None:
    j = sp.Symbol("j", integer=True)
    entry = sp.IndexedBase("A", positive=True)[j]  # A_jj
    mean = sp.IndexedBase("a", real=True)[j]
    range_j = (j, 1, k)
    logs = sp.Sum(sp.log(entry), range_j)
    total = divergence(sp.Sum(entry / entry, range_j).doit(), k, logs, forms.logdet_aggregated)
    argument.equal(
        "TC = KL(q(z) ‖ Π q(zⱼ)) = ½ [Σ log A_jj − log det A], as tr (diag A)⁻¹A = k",
        total,
        forms.TOTAL_CORRELATION.subs(forms.sum_log_variances, logs),
    )
    one = divergence(entry + mean**2, 1, 0, sp.log(entry))
    argument.equal(
        "KL(q(zⱼ) ‖ N(0, 1)) = ½ [A_jj + aⱼ² − 1 − log A_jj]",
        one,
        forms.DIMENSION_WISE_KL.subs({forms.variance: entry, forms.mean: mean}),
    )
    named = {
        forms.trace_aggregated: sp.Sum(entry, range_j),
        forms.mean_square: sp.Sum(mean**2, range_j),
        forms.sum_log_variances: logs,
    }
    argument.zero(
        "their sum over j is ½ [tr A + ‖a‖² − k − Σ log A_jj]",
        sp.expand(sp.Sum(one, range_j).expand().doit() - forms.DIMENSION_WISE_SUM.subs(named)),
    )


def _show_sum(argument: Argument) -> None:
    argument.equal(
        "rate = I + KL(q(z) ‖ p(z))", forms.RATE, forms.MUTUAL_INFORMATION + forms.MARGINAL_KL
    )
    argument.equal(
        "KL(q(z) ‖ p(z)) = TC + Σⱼ KLⱼ",
        forms.MARGINAL_KL,
        forms.TOTAL_CORRELATION + forms.DIMENSION_WISE_SUM,
    )
    argument.equal(
        "rate = I + TC + Σⱼ KLⱼ",
        forms.RATE,
        forms.MUTUAL_INFORMATION + forms.TOTAL_CORRELATION + forms.DIMENSION_WISE_SUM,
    )


def _show_signs(argument: Argument) -> None:
    s = sp.Symbol("s", nonnegative=True)
    argument.nonnegative("I is a sum of ½ log(1 + s²) >= 0: at s = 0", sp.log(1 + s**2).subs(s, 0))
    argument.nonnegative("and it rises with s", sp.log(1 + s**2).diff(s))
    argument.equal(
        "KLⱼ = ½ (A_jj − 1 − log A_jj) + ½ aⱼ², both >= 0",
        forms.DIMENSION_WISE_KL,
        log_excess(forms.variance) / 2 + forms.mean**2 / 2,
    )


def dense_parts() -> dict[str, sp.Expr]:
    """Rate, I, TC and KLⱼ of a full model with n = k = 2, from entries, every part by itself."""
    E = sp.Matrix(2, 2, sp.symbols("e11 e12 e21 e22", real=True))
    root = sp.Matrix(2, 2, [*sp.symbols("b11 b12", real=True), 0, sp.Symbol("b22", real=True)])
    c1, c2 = sp.symbols("c1 c2", positive=True)
    a = sp.Matrix(sp.symbols("a1 a2", real=True))
    C, S = sp.diag(c1, c2), root * root.T
    A = E * S * E.T + C
    marginals = [divergence(A[j, j] + a[j] ** 2, 1, 0, sp.log(A[j, j])) for j in (0, 1)]
    diagonal = sp.log(A[0, 0]) + sp.log(A[1, 1])
    logdet = sp.log(sp.expand(A.det()))
    logdet_c = sp.log(c1) + sp.log(c2)
    inverse_trace = sp.cancel(sp.together((A.adjugate() * A).trace() / A.det()))
    return {
        "rate": divergence(C.trace() + (E * S * E.T).trace() + (a.T * a)[0], 2, 0, logdet_c),
        "information": divergence(inverse_trace, 2, logdet, logdet_c),
        "total_correlation": divergence(A[0, 0] / A[0, 0] + A[1, 1] / A[1, 1], 2, diagonal, logdet),
        "dimension_wise": marginals[0] + marginals[1],
    }


def _show_dense(argument: Argument) -> None:
    parts = dense_parts()
    rest = parts["rate"] - parts["information"] - parts["total_correlation"]
    argument.zero(
        "n = k = 2 with every entry free: the four parts, each from its own formula, add up",
        rest - parts["dimension_wise"],
    )


def _show_mode(argument: Argument) -> None:
    argument.equal(
        "one mode: I = ½ log(1 + λe²/c)",
        forms.MODE_INFORMATION,
        forms.MUTUAL_INFORMATION.subs(
            {
                forms.logdet_aggregated: sp.log(sp.together(forms.AGGREGATED_VARIANCE / c))
                + sp.log(c),
                forms.logdet_posterior: sp.log(c),
            }
        ),
    )
    argument.equal(
        "one mode: the rate is the general one at A = λe² + c",
        modes.RATE,
        forms.RATE.subs(
            {
                forms.trace_aggregated: lam * e**2 + c,
                forms.mean_square: 0,
                k: 1,
                forms.logdet_posterior: sp.log(c),
            }
        ),
    )


if __name__ == "__main__":
    run(prove)
