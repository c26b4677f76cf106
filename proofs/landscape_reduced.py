r"""The objective as a function of the decoder alone, and why nothing is lost by looking at it so.

Symbols. S is the data covariance (n × n), D the decoder (n × k), E the encoder, C = diag c the
posterior variances, τ = βσ², G = DᵀD, g_j = G_jj, N = G + τI, M = (DDᵀ + τI)⁻¹.
Offsets sit at the mean. Up to (n/2) log 2πσ² the objective is

    L(E, C, D) = [tr S(I − DE)ᵀ(I − DE) + tr DᵀDC + τ(tr C + tr ESEᵀ − k − log det C)] / (2σ²).

1. The encoder. Completing the square, with E* = N⁻¹Dᵀ,

    (I − DE)ᵀ(I − DE) + τEᵀE = (E − E*)ᵀN(E − E*) + I − DN⁻¹Dᵀ,

   and I − DN⁻¹Dᵀ = τM, since (DDᵀ + τI)(I − DN⁻¹Dᵀ) = τI. N is positive definite, so E* is a
   minimiser, and E is one exactly if (E − E*)S = 0: E is free where S vanishes, and only there.
   Such a change of E does not touch L at all, whatever D and C: all of L depends on ES only.

2. The variances. c_j enters as c(g + τ) − τ log c, strictly convex, with the minimum at
   c = τ/(g + τ), where c(g + τ) − τ log c − τ = τ log(1 + g/τ).

3. Together, with β/(2τ) = 1/(2σ²),

    min over E, C of L = (β/2)[Σ_j log(1 + g_j/τ) + tr S M] =: L(D).

4. Gradient. To second order in a change D + εΔ, with N₁ = DΔᵀ + ΔDᵀ and N₂ = ΔΔᵀ,

    (DDᵀ + τI + εN₁ + ε²N₂)⁻¹ = M − εMN₁M + ε²(MN₁MN₁M − MN₂M) + O(ε³),

   so that ∇L(D) = β[D diag(τ + g_j)⁻¹ − MSMD].

5. Nothing is lost. Write y for (E, C) and f(y, D) for L. For every D, f(·, D) is convex in the
   sense above with minimum L(D).
   - Stationary points. If f is stationary at (y, D) then y minimises f(·, D), and ∇L(D) = f_D.
     Conversely a stationary D of L with such a y is a stationary point of f.
   - Minima. L(D) ≤ f(y, D), so a local minimum of L is one of f. Conversely, let (y, D) be a local
     minimum of f, y = (E, C) with (E − E*(D))S = 0. Along any path D(t) from D the points
     E(t) = E*(D(t)) + E − E*(D), C(t) = C*(D(t)) form a path from y, with f = L(D(t)): so L cannot
     fall along D(t), and D is a local minimum of L.
   - Index. In coordinates of E on the range of S, f_yy is positive definite. Completing the square,

        (v, w)ᵀ [[f_yy, f_yD], [f_Dy, f_DD]] (v, w)
            = (v + f_yy⁻¹f_yD w)ᵀ f_yy (v + f_yy⁻¹f_yD w) + wᵀ(f_DD − f_Dy f_yy⁻¹ f_yD)w,

     and the last matrix is the Hessian of L, because y*(D) has the derivative −f_yy⁻¹f_yD. By
     Sylvester's law of inertia f has as many negative directions as L, and its null directions are
     those of L and k for each dimension in which S vanishes.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from linvae.symbolic import landscape as shape
from linvae.symbolic.symbols import beta, c, d, lam, s2, tau
from proofs.argument import Argument, Proof, run

__all__ = ["gradient_of_trace", "prove", "reduced", "resolvent_error", "rewritten"]

# Matrices as symbols that do not commute; t marks a transpose, i an inverse.
D, Dt, E, Et, N, Ni, A, Ai, M = sp.symbols("D Dt E Et N Ni A Ai M", commutative=False)
N1, N2, Ft, F = sp.symbols("N1 N2 Ft F", commutative=False)
g = sp.Symbol("g", nonnegative=True)
epsilon = sp.Symbol("epsilon", real=True)


def rewritten(expression: sp.Expr, rules: Mapping[sp.Expr, sp.Expr]) -> sp.Expr:
    """Apply rules such as N·N⁻¹ = I to all products until nothing changes."""
    expression = sp.expand(expression)
    for _ in range(20):
        changed = sp.expand(expression.subs(list(rules.items())))
        if changed == expression:
            break
        expression = changed
    return expression


INVERSES = {N * Ni: sp.S.One, Ni * N: sp.S.One, M * A: sp.S.One, A * M: sp.S.One}


def encoder_square() -> sp.Expr:
    """The two sides of step 1, subtracted; τ is a number and commutes."""
    quadratic = 1 - D * E - Et * Dt + Et * (N - tau) * E + tau * Et * E
    square = (Et - D * Ni) * N * (E - Ni * Dt)
    return rewritten(quadratic - square - (1 - D * Ni * Dt), INVERSES)


def push_through() -> sp.Expr:
    """(DDᵀ + τI)(I − DN⁻¹Dᵀ) − τI."""
    product = sp.expand((D * Dt + tau) * (1 - D * Ni * Dt) - tau)
    # D Dᵀ D N⁻¹ Dᵀ = D (N − τ) N⁻¹ Dᵀ
    return rewritten(product, {Dt * D: N - tau, **INVERSES})


def best_variance() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """Minimiser of c(g + τ) − τ log c, its second derivative, and the value less τ."""
    cost = c * (g + tau) - tau * sp.log(c)
    (best,) = sp.solve(sp.diff(cost, c), c)
    return best, sp.diff(cost, c, 2), cost.subs(c, best) - tau


def resolvent_error() -> sp.Expr:
    """Coefficients of 1, ε and ε² in (A + εN₁ + ε²N₂)(claimed inverse) − I, weighted apart."""
    claimed = M - epsilon * M * N1 * M + epsilon**2 * (M * N1 * M * N1 * M - M * N2 * M)
    product = rewritten((A + epsilon * N1 + epsilon**2 * N2) * claimed - 1, INVERSES)
    return sum(product.coeff(epsilon, power) * beta**power for power in range(3))


def reduced(decoder: sp.Matrix, covariance: sp.Matrix) -> sp.Expr:
    """L(D) without its constant."""
    n, k = decoder.shape
    gram = decoder.T * decoder
    logs = sum(sp.log(1 + gram[j, j] / tau) for j in range(k))
    regular = decoder * decoder.T + tau * sp.eye(n)
    inverse = regular.adjugate() / regular.det()
    return beta / 2 * (logs + (covariance * inverse).trace())


def objective(
    encoder: sp.Matrix, variances: sp.Matrix, decoder: sp.Matrix, S: sp.Matrix
) -> sp.Expr:
    """L(E, C, D) without its constant, as a function of all three."""
    missed = sp.eye(len(S.col(0))) - decoder * encoder
    error = (missed * S * missed.T).trace() + sum(
        variances[j] * (decoder.col(j).T * decoder.col(j))[0] for j in range(len(variances))
    )
    rate = (encoder * S * encoder.T).trace() + sum(v - 1 - sp.log(v) for v in variances)
    return (error + tau * rate) / (2 * tau / beta)


def gradient_of_trace(decoder: sp.Matrix, covariance: sp.Matrix) -> sp.Matrix:
    """∇L(D) by the formula of step 4."""
    n, k = decoder.shape
    gram = decoder.T * decoder
    regular = decoder * decoder.T + tau * sp.eye(n)
    inverse = regular.adjugate() / regular.det()
    weights = sp.diag(*[1 / (tau + gram[j, j]) for j in range(k)])
    return beta * (decoder * weights - inverse * covariance * inverse * decoder)


def _small_case() -> tuple[sp.Matrix, tuple[sp.Matrix, ...], sp.Matrix]:
    """Two features and two latents, nothing diagonal: D, a basis for S, and the entries of D."""
    entries = sp.symbols("p:4", real=True)
    # L is affine in S, so that a basis of the symmetric matrices stands for all of them.
    basis = tuple(
        sp.Matrix(rows) for rows in ([[1, 0], [0, 0]], [[0, 0], [0, 1]], [[0, 1], [1, 0]])
    )
    return sp.Matrix(2, 2, entries), basis, sp.Matrix(entries)


def square_of_hessian() -> sp.Expr:
    """The two sides of the last display, as scalar products of symbols that do not commute."""
    v, vt, w, wt = sp.symbols("v vt w wt", commutative=False)
    fyy, fyyi, fyd, fdy, fdd = sp.symbols("fyy fyyi fyd fdy fdd", commutative=False)
    whole = vt * fyy * v + vt * fyd * w + wt * fdy * v + wt * fdd * w
    square = (vt + wt * fdy * fyyi) * fyy * (v + fyyi * fyd * w)
    rest = wt * (fdd - fdy * fyyi * fyd) * w
    return rewritten(whole - square - rest, {fyy * fyyi: sp.S.One, fyyi * fyy: sp.S.One})


def envelope() -> sp.Expr:
    """Second derivative of min over u of f(u, z) minus the Schur complement, along a line in z."""
    u, z = sp.symbols("u z", real=True)
    fz, fuz, fzz, fuu = sp.symbols("f_z f_uz f_zz f_uu", real=True)
    # Second-order Taylor polynomial at a point where f_u = 0; third-order terms do not enter.
    taylor = fz * z + (fuu * u**2 + 2 * fuz * u * z + fzz * z**2) / 2
    (best,) = sp.solve(sp.diff(taylor, u), u)
    return sp.diff(taylor.subs(u, best), z, 2) - (fzz - fuz**2 / fuu)


def prove() -> Proof:
    """Derive L(D), its gradient, and what its landscape says about the full one."""
    a = Argument(
        "landscape.reduced",
        "With encoder and variances eliminated the objective is (β/2)[Σ log(1 + g_j/τ) + "
        "tr S(DDᵀ + τI)⁻¹]: same stationary points, same local minima, same index.",
    )
    a.zero("Completing the square in E leaves I − DN⁻¹Dᵀ at E = N⁻¹Dᵀ", encoder_square())
    a.zero("(DDᵀ + τI)(I − DN⁻¹Dᵀ) = τI", push_through())
    best, curvature, value = best_variance()
    a.equal("The best posterior variance is τ/(g + τ)", best, tau / (g + tau))
    a.positive("The cost of a variance is strictly convex", curvature)
    a.equal("and costs τ log(1 + g/τ) there", value, tau * sp.log(1 + g / tau))
    _check_small_case(a)
    a.zero("The resolvent expands as stated up to second order", resolvent_error())
    a.zero("Completing the square in (E, C) leaves the Schur complement", square_of_hessian())
    a.zero("which is the Hessian of the minimised function", envelope())
    a.cites(
        "Sylvester's law of inertia: f_yy is positive definite on the range of S (N > 0, c > 0), "
        "so the two Hessians have equally many negative directions"
    )
    single = reduced(sp.Matrix([[d]]), sp.Matrix([[lam]])).subs(tau, beta * s2)
    a.equal("One latent on one eigenvector: the library's formula", single, shape.REDUCED_MODE)
    return a.done(
        functions=("linvae.landscape.reduced_objective", "linvae.landscape.reduced_gradient"),
        properties=(
            "tests/linvae/test_landscape_reduced.py::test_value_is_that_of_the_eliminated_model",
            "tests/linvae/test_landscape_reduced.py::test_gradient_and_hessian_by_differences",
            "tests/linvae/test_symbolic_landscape.py::test_reduced_objective_of_one_mode",
        ),
        optimisations=(
            "tests/linvae/test_landscape_reduced.py::test_no_encoder_or_variance_does_better",
        ),
    )


def _check_small_case(a: Argument) -> None:
    """Put the eliminated E, C into the objective; differentiate L(D) entry by entry."""
    decoder, basis, entries = _small_case()
    gram = decoder.T * decoder
    encoder = (gram + tau * sp.eye(2)).inv() * decoder.T
    variances = sp.Matrix([best_variance()[0].subs(g, gram[j, j]) for j in range(2)])
    # A rotation of the features makes D triangular, and S another symmetric matrix.
    triangular = {entries[2]: 0}
    gaps, slopes = [], []
    for S in basis:
        L = reduced(decoder, S)
        gap = sp.expand_log(objective(encoder, variances, decoder, S) - L, force=True)
        gaps.append(sp.cancel(sp.together(gap.subs(triangular))))
        slope = sp.Matrix(2, 2, [sp.diff(L, entry) for entry in entries])
        difference = (slope - gradient_of_trace(decoder, S)).subs(triangular)
        slopes.extend(sp.cancel(sp.together(entry)) for entry in difference)
    a.zero("Two features, two latents: the eliminated E and C give L(D)", sp.Matrix(gaps))
    a.zero("and ∇L(D) = β[D diag(τ + g_j)⁻¹ − MSMD]", sp.Matrix(slopes))


if __name__ == "__main__":
    run(prove)
