r"""The squared Fréchet distance between the data and the optimal model, mode by mode.

Take data and model as Gaussians with covariances S and M and equal means. The squared Fréchet
(2-Wasserstein) distance is the least E‖x − y‖² over all joint distributions with these marginals.

1. For a joint distribution with cross-covariance K = E[xyᵀ] (means at 0),
   E‖x − y‖² = tr S + tr M − 2 tr K: only tr K is to be chosen.
2. At the joint optimum M = DDᵀ + σ²I has the eigenvectors of S, because the columns of D are
   eigenvectors: in that basis S = diag(λᵢ) and M = diag(mᵢ) with mᵢ = dᵢ² + σ², which is
   (λᵢ − τ)₊ + σ² for i ≤ k and σ² for i > k.
3. A joint covariance is positive semidefinite, hence so is its 2×2 block of (xᵢ, yᵢ), and the
   determinant λᵢmᵢ − Kᵢᵢ² of that block is ≥ 0: Kᵢᵢ ≤ √(λᵢmᵢ).
4. K = diag(√(λᵢmᵢ)) reaches all these bounds at once, and belongs to a joint distribution: y is the
   linear image yᵢ = √(mᵢ/λᵢ) xᵢ (a mode with λᵢ = 0 is independent noise; its bound is 0).
5. So the least value is Σᵢ (λᵢ + mᵢ − 2√(λᵢmᵢ)) = Σᵢ (√λᵢ − √mᵢ)².
6. In general, without common eigenvectors, the same minimum is tr S + tr M − 2 tr(S^½MS^½)^½
   (Dowson and Landau 1982), which for diagonal S and M is the above; ‖S^½ − M^½Q‖² over rotations Q
   has the same least value, as the trace of S^½M^½Q is at most the sum of singular values.

Means that differ by δ add ‖δ‖². Where the distance is least in β is another matter: at σ² fixed,
mᵢ = λᵢ exactly when β = 1, and dead modes keep (√λᵢ − σ)².
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic.modes import DECODER_GAIN
from linvae.symbolic.symbols import beta, lam, s2
from linvae.symbolic.twins import FRECHET, MODEL_VARIANCE

from ._branches import at_active, at_collapsed
from .argument import Argument, Proof, run

made = sp.Symbol("m", positive=True)
cross = sp.Symbol("K", real=True)


def cost() -> sp.Expr:
    """E(x − y)² of one coordinate with variances λ and m and covariance K."""
    weights = sp.Matrix([1, -1])
    covariance = sp.Matrix([[lam, cross], [cross, made]])
    return sp.expand((weights.T * covariance * weights)[0])


def rotation_bound() -> sp.Expr:
    """‖B − AQ‖² − ‖B − A‖² for diagonal 2×2 A, B and a plane rotation Q: never negative."""
    a1, a2, b1, b2 = sp.symbols("a_1 a_2 b_1 b_2", positive=True)
    angle = sp.Symbol("theta", real=True)
    turn = sp.Matrix([[sp.cos(angle), -sp.sin(angle)], [sp.sin(angle), sp.cos(angle)]])
    left, right = sp.diag(b1, b2), sp.diag(a1, a2)
    moved = left - right * turn
    still = left - right
    difference = sp.simplify((moved.T * moved).trace() - (still.T * still).trace())
    return sp.simplify(difference - 4 * (a1 * b1 + a2 * b2) * sp.sin(angle / 2) ** 2)


def prove() -> Proof:
    """Derive the distance at the joint optimum."""
    proof = Argument(
        "frechet",
        "At the optimum the squared Fréchet distance from data to model is Σ(√λᵢ − √mᵢ)², "
        "mᵢ = (λᵢ − τ)₊ + σ².",
    )
    proof.equal("E(x − y)² = λ + m − 2K", cost(), lam + made - 2 * cross)
    branches = (("active", at_active), ("dead", at_collapsed))
    for name, at in branches:
        proof.equal(f"a generated {name} mode has variance d² + σ²", at(MODEL_VARIANCE),
                    at(DECODER_GAIN**2 + s2))  # fmt: skip
    proof.equal("... which is λ − τ + σ² for λ > τ", at_active(MODEL_VARIANCE),
                at_active(lam - beta * s2 + s2))  # fmt: skip
    proof.equal("... and σ² for λ ≤ τ", at_collapsed(MODEL_VARIANCE), s2)
    block = sp.Matrix([[lam, cross], [cross, made]])
    over = sp.Symbol("y", positive=True)
    beyond = block.det().subs(cross, sp.sqrt(lam * made) + over)
    proof.positive("K above √(λm) makes the block's determinant negative", -sp.expand(beyond))
    reached = cost().subs(cross, sp.sqrt(lam) * sp.sqrt(made))
    proof.equal("K = √(λm) costs (√λ − √m)²", reached, (sp.sqrt(lam) - sp.sqrt(made)) ** 2)
    proof.positive("the cost falls with K", -sp.diff(cost(), cross))
    image = sp.sqrt(made / lam)
    proof.equal("y = √(m/λ) x has the variance m", sp.simplify(image**2 * lam), made)
    proof.equal("... and the covariance √(λm) with x", sp.simplify(image * lam),
                sp.sqrt(lam) * sp.sqrt(made))  # fmt: skip
    proof.zero("a rotation of two modes costs 4(a₁b₁ + a₂b₂) sin²(θ/2) more", rotation_bound())
    proof.cites(
        "Dowson and Landau 1982: in general the distance is tr S + tr M − 2 tr(S^½ M S^½)^½"
    )
    for name, at in branches:
        share = (sp.sqrt(at(lam)) - sp.sqrt(at(DECODER_GAIN**2 + s2))) ** 2
        proof.equal(f"the mode's share, {name}", sp.expand(at(FRECHET)), sp.expand(share))
    proof.zero("at β = 1 an active mode is generated exactly", at_active(FRECHET).subs(beta, 1))
    return proof.done(
        functions=("linvae.twins.frechet_distance",),
        properties=(
            "tests/linvae/test_twins.py::test_frechet_distance_at_the_optimum",
            "tests/linvae/test_twins.py::test_frechet_distance_of_any_model",
        ),
        optimisations=("tests/linvae/test_twins.py::test_no_coupling_beats_the_frechet_distance",),
        uses=("global_optimum",),
    )


if __name__ == "__main__":
    run(prove)
