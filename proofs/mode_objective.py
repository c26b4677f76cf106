r"""From the Gaussian model to the trace formulas, and from these to a sum over modes.

Data x have mean μ and covariance S; no other property of their distribution is used. The encoder
draws z = E(x − mₑ) + h + C^{1/2}η with C diagonal and η of mean 0 and covariance I, independent of
x; the decoder has density N(x; Dz + m_d, σ²I) and the prior is N(0, I).

1. Write ξ = x − μ, a = E(μ − mₑ) + h and v = μ − m_d − Da. Then z = Eξ + a + C^{1/2}η and
   x − Dz − m_d = (I − DE)ξ + v − DC^{1/2}η.
2. −log N(x; ·, σ²I) = (n/2) log 2πσ² + ‖x − Dz − m_d‖²/2σ², so only the mean of the square is
   needed. By E ξξᵀ = S, E ηηᵀ = I, E ξηᵀ = 0,

       ε = tr (I−DE)S(I−DE)ᵀ + tr DCDᵀ + ‖v‖²
         = tr S − 2 tr DES + tr EᵀDᵀDES + tr DᵀDC + ‖v‖².

   The second line is shown for any sizes n and k, with S = BBᵀ.
3. For one latent KL(N(m, c) ‖ N(0, 1)) = ½(c + m² − 1 − log c), from the first two moments of a
   Gaussian. Latents are independent given x, so that their KL's add; averaged over x,
   ℛ = ½[tr C + tr ESEᵀ + ‖a‖² − k − log det C].
4. The offsets enter through ‖v‖² >= 0 and ‖a‖² >= 0 alone, and both vanish for mₑ = m_d = μ, h = 0:
   whatever E, C and D are, these offsets are optimal. With mₑ = m_d = μ + δ instead,
   v = −(I − DE)δ and a = −Eδ.
5. Let S = UΛUᵀ, D = UD' and E = E'Uᵀ with D'ᵢⱼ = δᵢⱼdⱼ and E'ⱼᵢ = δᵢⱼeⱼ: latent j reads and
   writes along eigenvector j. The matrix U drops out of all traces, the sums over Kronecker
   deltas collapse for symbolic n and k, and

       ε = Σ_{j≤k} [λⱼ(1 − dⱼeⱼ)² + dⱼ²cⱼ] + Σ_{j>k} λⱼ,
       ℛ = Σ_{j≤k} ½(cⱼ + λⱼeⱼ² − 1 − log cⱼ).

That alignment costs nothing is the claim ``reduction``.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp
from sympy.concrete.delta import deltasummation

from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, c, d, e, k, lam, n, s2
from proofs.argument import Argument, Proof, run

__all__ = ["aligned_sums", "expectation", "gaussian_kl", "prove", "same_trace", "traces"]

STATEMENT = (
    "Along eigenvectors the objective is a sum over modes, and offsets at the data mean are "
    "optimal."
)
_SIZES = ((1, 1), (3, 2))


def expectation(polynomial: Any, variables: list[sp.Symbol], covariance: sp.Matrix) -> sp.Expr:
    """Mean of a polynomial of degree <= 2 in centred variables of this covariance."""
    total = sp.S.Zero
    for powers, coefficient in sp.Poly(sp.expand(polynomial), *variables).terms():
        drawn = [i for i, power in enumerate(powers) for _ in range(power)]
        if len(drawn) > 2:
            raise ValueError("the first two moments do not determine this mean")
        if not drawn:
            total += coefficient
        elif len(drawn) == 2:
            total += coefficient * covariance[drawn[0], drawn[1]]
    return total


@cache
def gaussian_kl(mean: Any, variance: Any) -> sp.Expr:
    """KL(N(m, c) ‖ N(0, 1)): the mean of the log ratio, with the moments integrated."""
    y = sp.Symbol("y", real=True)
    centre, spread = sp.Symbol("m0", real=True), sp.Symbol("c0", positive=True)
    density = sp.exp(-((y - centre) ** 2) / (2 * spread)) / sp.sqrt(2 * sp.pi * spread)
    prior = sp.exp(-(y**2) / 2) / sp.sqrt(2 * sp.pi)
    ratio = sp.expand(sp.expand_log(sp.log(density) - sp.log(prior), force=True))
    mean_of = [sp.integrate(density * y**p, (y, -sp.oo, sp.oo)) for p in range(3)]
    kl = sum(ratio.coeff(y, p) * mean_of[p] for p in range(3))
    return sp.simplify(kl).subs({centre: mean, spread: variance})


def _symmetric(name: str, size: int) -> sp.Matrix:
    return sp.Matrix(size, size, lambda i, j: sp.Symbol(f"{name}{min(i, j)}{max(i, j)}"))


def _entries(name: str, rows: int, columns: int = 1) -> sp.Matrix:
    return sp.Matrix(rows, columns, lambda i, j: sp.Symbol(f"{name}{i}{j}", real=True))


def traces(S: Any, E: Any, D: Any, C: Any) -> tuple[Any, Any]:
    """ε and 2ℛ + log det C of centred parameters, by the trace formulas."""
    error = S.trace() - 2 * (D * E * S).trace() + (E.T * D.T * D * E * S).trace()
    return error + (D.T * D * C).trace(), C.trace() + (E * S * E.T).trace() - C.shape[0]


def aligned_sums() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """Summands over latents of tr D'E'Λ, tr E'ᵀD'ᵀD'E'Λ and tr E'ΛE'ᵀ, for any 1 <= k <= n."""
    p, q, j, i = sp.symbols("p q j i", integer=True, positive=True)
    L, gain, read = sp.IndexedBase("L"), sp.IndexedBase("D"), sp.IndexedBase("E")
    delta = sp.KroneckerDelta
    one = gain[j] * read[j] * delta(p, j) * delta(j, i)  # (D'E')_{pi} is its sum over j
    other = one.subs(j, q)

    def over(summand: Any, index: sp.Symbol, last: sp.Symbol) -> Any:
        # Indices of latents are also indices of features: every delta meets its partner.
        return deltasummation(summand, (index, 1, last), no_piecewise=True)

    cross = over(over(one * delta(p, i) * L[i], p, n), i, n)
    square = over(over(over(one * other * L[i], p, n), i, n), q, k)
    spread = over(read[j] ** 2 * delta(i, j) ** 2 * L[i], i, n)
    values = {L[j]: lam, gain[j]: d, read[j]: e}
    return tuple(sp.sympify(term).subs(values) for term in (cross, square, spread))


def same_trace(left: Any, right: Any) -> bool:
    """Whether one product of matrices is a cyclic shift of the other, or of its transpose."""
    first = left.doit().args
    rotations = [first[i:] + first[:i] for i in range(len(first))]
    return any(other.doit().args in rotations for other in (right, right.T))


def _moments(argument: Argument, size: int, latents: int) -> None:
    """Steps 1 to 4 with every entry a symbol."""
    S, E, D = _symmetric("S", size), _entries("E", latents, size), _entries("D", size, latents)
    root = sp.Matrix([sp.Symbol(f"r{j}", positive=True) for j in range(latents)])
    a, v = _entries("a", latents), _entries("v", size)
    xi, eta = _entries("xi", size), _entries("eta", latents)
    mu, reads, writes, h = (_entries(s, size) for s in ("mu", "me", "md", "h"))
    h = h[:latents, :]
    noise = sp.diag(*root) * eta
    shifts = dict(zip(a, E * (mu - reads) + h, strict=True))
    offset = mu - writes - D * a
    sizes = f"n = {size}, k = {latents}: "
    argument.zero(
        sizes + "x − Dz − m_d = (I − DE)ξ + v − DC^{1/2}η",
        (mu + xi - D * (E * (mu + xi - reads) + h + noise) - writes)
        - ((sp.eye(size) - D * E) * xi + offset - D * noise).subs(shifts),
    )
    variables = [*xi, *eta]
    covariance = sp.diag(S, sp.eye(latents))
    residual = (sp.eye(size) - D * E) * xi + v - D * noise
    C = sp.diag(*(r**2 for r in root))
    error, rest = traces(S, E, D, C)
    argument.equal(
        sizes + "the mean square is the trace formula plus ‖v‖²",
        expectation((residual.T * residual)[0], variables, covariance),
        error + (v.T * v)[0],
    )
    code = E * xi + a
    nats = sum(gaussian_kl_formula(code[j], C[j, j]) for j in range(latents))
    argument.equal(
        sizes + "the mean KL is ½[tr C + tr ESEᵀ + ‖a‖² − k − log det C]",
        expectation(nats, variables, covariance),
        (rest + (a.T * a)[0] - sum(sp.log(C[j, j]) for j in range(latents))) / 2,
    )
    best = dict(zip([*reads, *writes, *h], [*mu, *mu, *sp.zeros(latents, 1)], strict=True))
    argument.zero(
        sizes + "a = 0 and v = 0 for offsets at the mean: ‖a‖² and ‖v‖² are then least",
        sp.Matrix([E * (mu - reads) + h, offset.subs(shifts)]).subs(best),
    )
    delta = _entries("delta", size)
    moved = dict(zip([*reads, *writes, *h], [*(mu + delta)] * 2 + [0] * latents, strict=True))
    argument.zero(
        sizes + "offsets at μ + δ: v = −(I − DE)δ and a = −Eδ",
        sp.Matrix([offset.subs(shifts), E * (mu - reads) + h]).subs(moved)
        + sp.Matrix([(sp.eye(size) - D * E) * delta, E * delta]),
    )


def gaussian_kl_formula(mean: Any, variance: Any) -> sp.Expr:
    """½(c + m² − 1 − log c)."""
    return (variance + mean**2 - 1 - sp.log(variance)) / 2


def _any_size(argument: Argument) -> None:
    """Step 2 for symbolic sizes; matrices are symbols, S = BBᵀ."""
    B, C = sp.MatrixSymbol("B", n, n), sp.MatrixSymbol("C", k, k)
    D, E = sp.MatrixSymbol("D", n, k), sp.MatrixSymbol("E", k, n)
    S = B * B.T
    missed = sp.Identity(n) - D * E
    four = S - D * E * S - (D * E * S).T + D * E * S * E.T * D.T
    argument.true(
        "any n, k: (I−DE)S(I−DE)ᵀ = S − DES − (DES)ᵀ + DESEᵀDᵀ",
        ((missed * S * missed.T).expand() - four.expand()).doit().is_ZeroMatrix,
    )
    cyclic = (
        (D * E * S * E.T * D.T, E.T * D.T * D * E * S),
        (D * C * D.T, D.T * D * C),
        ((D * E * S).T, D * E * S),
    )
    argument.true(
        "any n, k: traces of these four and of DCDᵀ are those of the formula (cyclic, transpose)",
        all(same_trace(x, y) for x, y in cyclic),
    )
    U, L = sp.MatrixSymbol("U", n, n), sp.MatrixSymbol("L", n, n)
    D1, E1 = sp.MatrixSymbol("D1", n, k), sp.MatrixSymbol("E1", k, n)
    turned = {"S": U * L * U.I, "D": U * D1, "Dt": D1.T * U.I, "E": E1 * U.I, "Et": U * E1.T}
    s, w, wt, r, rt = (turned[name] for name in ("S", "D", "Dt", "E", "Et"))
    pairs = (
        (U.I * (w * r * s) * U, D1 * E1 * L),
        (U.I * (rt * wt * w * r * s) * U, E1.T * D1.T * D1 * E1 * L),
        (r * s * rt, E1 * L * E1.T),
        (wt * w, D1.T * D1),
    )
    argument.true(
        "any n, k: an orthogonal U (Uᵀ = U⁻¹) drops out of S = UΛUᵀ, D = UD', E = E'Uᵀ",
        all((x.doit() - y).doit().is_ZeroMatrix for x, y in pairs),
    )


def _modes(argument: Argument) -> None:
    """Step 5: the sums over modes are those of the library."""
    cross, square, spread = aligned_sums()
    argument.equal(
        "summand of ε over latents: λ(1 − de)² + d²c, next to Σ_{j>k} λⱼ",
        lam - 2 * cross + square + d**2 * c,
        modes.SQUARED_ERROR,
    )
    argument.equal(
        "summand of ℛ over latents: ½(c + λe² − 1 − log c)",
        gaussian_kl_formula(0, c) + spread / 2,
        modes.RATE,
    )
    y, centre = sp.symbols("y m0", real=True)
    density = sp.exp(-((y - centre) ** 2) / (2 * s2)) / sp.sqrt(2 * sp.pi * s2)
    argument.equal(
        "−log N(y; m, σ²) = ½ log 2πσ² + (y − m)²/2σ²",
        sp.expand_log(-sp.log(density), force=True),
        sp.expand_log(sp.log(2 * sp.pi * s2)) / 2 + (y - centre) ** 2 / (2 * s2),
    )
    argument.equal(
        "objective of one mode = its squared error / 2σ² + β × its rate",
        modes.OBJECTIVE,
        (lam - 2 * cross + square + d**2 * c) / (2 * s2)
        + beta * (gaussian_kl_formula(0, c) + spread / 2),
    )


def prove() -> Proof:
    """Derive the trace formulas and the sum over modes."""
    argument = Argument("mode-objective", STATEMENT)
    mean = sp.Symbol("m0", real=True)
    argument.equal(
        "KL(N(m, c) ‖ N(0, 1)) = ½(c + m² − 1 − log c), by integration",
        gaussian_kl(mean, c),
        gaussian_kl_formula(mean, c),
    )
    for size, latents in _SIZES:
        _moments(argument, size, latents)
    _any_size(argument)
    _modes(argument)
    return argument.done(
        functions=("linvae.LinearVAE.evaluate", "linvae.linear_vae.evaluate"),
        properties=(
            "tests/linvae/test_linear_vae.py::test_evaluate_equals_the_definitions",
            "tests/linvae/test_symbolic_modes.py::test_aligned_parameters_give_a_sum_over_modes",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_modes.py::test_no_offsets_do_better_than_the_data_mean",
        ),
    )


if __name__ == "__main__":
    run(prove)
