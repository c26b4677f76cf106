r"""Alignment: how slowly two latents that share a plane find their own eigenvectors.

Statement. Let λᵢ, λⱼ > τ = βσ² be eigenvalues of two active latents and dᵢ² = λᵢ − τ. At the
optimum, the slowest of the directions that mix the two has the rate

    μ = 2τ(dᵢ − dⱼ)² / (σ² [1 + λᵢλⱼ + √((1 − λᵢλⱼ)² + 4(τ + dᵢdⱼ)²)])

in the joint flow, β(dᵢ − dⱼ)²/(λᵢλⱼ) in that of the decoder alone. Two latents rotated by θ within
the right plane cost (β/2) log(1 + (λᵢ − λⱼ)² sin²2θ/(4λᵢλⱼ)) nats, and no more than a factor
(dᵢ + dⱼ)²/(dᵢ² + dⱼ²) <= 2 lies between the curvature along the rotation and the slowest rate.

1. Blocks. Write everything in the eigenbasis, so that S is diagonal. For a diagonal matrix F of
   signs, one per eigenvector, and its first k entries F', the objective does not change under
   (E, C, D) → (F'EF, C, FDF'): S and C commute with F, F', and the rest is the cyclic trace. The
   optimum, with E and D diagonal, is fixed by it. By the chain rule the Hessian there commutes with
   every such change of signs, so that it couples two parameters only if they change sign together:
   those of one pair {i, j} of indices, D_ij, D_ji, E_ij, E_ji, and no others. It is enough to look
   at one pair, and at an eigenvector beyond the k-th that no latent carries; the three occur with
   n = 3, k = 2, where the symmetry and the blocks are checked in full.
2. Second order. With x = D_ij, y = D_ji, p = E_ji, q = E_ij (first index that of the row), twice
   σ² times the objective contains

       x² + y² + λᵢλⱼ(p² + q²) − 2τ(xp + yq) + 2dᵢdⱼ(xq + yp),

   because λe² + c = 1 and λe = d at the optimum.
3. Exchanging (x, p) with (y, q) leaves it alone. Antisymmetric directions x = −y, p = −q have the
   2 × 2 matrix [[1, −(τ + dᵢdⱼ)], [·, λᵢλⱼ]], of trace 1 + λᵢλⱼ and determinant
   (dᵢ² + τ)(dⱼ² + τ) − (τ + dᵢdⱼ)² = τ(dᵢ − dⱼ)²; symmetric ones the same trace and determinant
   τ(dᵢ + dⱼ)². At equal trace the smaller determinant has the smaller root, which is μ.
4. Decoder alone: the Hessian of a partially minimised function is the Schur complement,
   1 − (τ + dᵢdⱼ)²/(λᵢλⱼ), over σ².
5. Rotation. For D = diag(d)R(θ) the best encoder is Rᵀdiag(d/(d² + τ)), and DE, DDᵀ do not depend
   on θ; what changes is the diagonal of DᵀD and with it log c. The sum of the two logarithms is
   log(λᵢλⱼ + ¼(λᵢ − λⱼ)² sin²2θ) up to a constant. Only d² + τ enters, which for a dead latent is
   τ: then max(λ, τ) stands in the place of λ.
6. A foreign eigenvector λⱼ, j > k, mixed into latent i: the pair (y, q) alone, with matrix
   [[1, −λⱼ], [·, λᵢλⱼ]] of determinant λⱼ(λᵢ − λⱼ). If latent i is dead, λᵢ is replaced by τ. And a
   dead latent that carries a part of an active eigenvector: [[1, −τ], [·, λᵢτ]].
7. Since dᵢ − dⱼ = (λᵢ − λⱼ)/(dᵢ + dⱼ), μ is of second order in λᵢ − λⱼ: neighbours are told apart
   last, and tied eigenvalues never.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import dynamics as forms
from linvae.symbolic.dynamics import angle, lam_i, lam_j
from linvae.symbolic.symbols import beta, s2, tau

from .argument import Argument, Proof, run

__all__ = ["entries", "mixing_hessian", "objective", "optimum", "prove"]

lam_3 = sp.Symbol("lambda_3", positive=True)
gain_i, gain_j = sp.symbols("d_i d_j", positive=True)
_E = sp.Matrix(2, 3, sp.symbols("E:2:3", real=True))
_D = sp.Matrix(3, 2, sp.symbols("D:3:2", real=True))
_logs = sp.symbols("u:2", real=True)


def objective(
    encoder: sp.Matrix, logs: tuple[sp.Expr, ...], decoder: sp.Matrix, covariance: sp.Matrix
) -> sp.Expr:
    """σ² times the objective of a linear VAE with posterior variances exp(logs), by τ = βσ²."""
    variances = sp.diag(*(sp.exp(u) for u in logs))
    missed = sp.eye(covariance.rows) - decoder * encoder
    error = (missed * covariance * missed.T).trace() + (decoder * variances * decoder.T).trace()
    rate = (variances + encoder * covariance * encoder.T).trace() - len(logs) - sum(logs)
    return error / 2 + tau * rate / 2


def entries() -> dict[str, sp.Symbol]:
    """The parameters that mix the pair, and those that mix the third eigenvector into a latent."""
    return {
        "x": _D[0, 1], "y": _D[1, 0], "p": _E[1, 0], "q": _E[0, 1],
        "y3": _D[2, 0], "q3": _E[0, 2],
    }  # fmt: skip


def optimum(gains: tuple[sp.Expr, ...]) -> dict[sp.Symbol, sp.Expr]:
    """The stationary point with latent j on eigenvector j, its decoder gains given."""
    point: dict[sp.Symbol, sp.Expr] = dict.fromkeys([*_E, *_D], sp.S.Zero)
    for j, gain in enumerate(gains):
        raised = gain**2 + tau
        point |= {_D[j, j]: gain, _E[j, j]: gain / raised, _logs[j]: sp.log(tau / raised)}
    return point


def _covariance(values: tuple[sp.Expr, ...]) -> sp.Matrix:
    return sp.diag(*values, lam_3)


def mixing_hessian(
    values: tuple[sp.Expr, ...], gains: tuple[sp.Expr, ...], others: bool = False
) -> sp.Matrix:
    """σ² times the Hessian in (x, y, p, q, y3, q3), and then all other parameters if asked."""
    chosen = list(entries().values())
    if others:
        chosen += [v for v in [*_E, *_D, *_logs] if v not in chosen]
    whole = objective(_E, _logs, _D, _covariance(values))
    return sp.hessian(whole, chosen).subs(optimum(gains)).applyfunc(sp.cancel)


def _by_gains(expression: sp.Expr) -> sp.Expr:
    """λ = d² + τ, β = τ/σ²."""
    values = {lam_i: gain_i**2 + tau, lam_j: gain_j**2 + tau}
    return sp.sympify(expression).subs(beta, tau / s2).subs(values)


def _root_is(argument: Argument, text: str, rate: sp.Expr, matrix: sp.Matrix) -> bool:
    """Step: σ² times a rate is 2Δ/(T + √(T² − 4Δ)), the smaller eigenvalue of a 2 × 2 matrix."""
    trace, determinant = matrix.trace(), matrix.det()
    top, bottom = sp.fraction(rate * s2)
    roots = [t for t in sp.Add.make_args(bottom) if t.is_Pow and t.exp == sp.S.Half]
    root = sum(roots, sp.S.Zero)
    parts = (top - 2 * determinant, bottom - root - trace, root**2 - trace**2 + 4 * determinant)
    same = all(sp.expand(part) == 0 for part in parts)
    return argument.true(text, same and root.is_nonnegative is True)


def _blocks(argument: Argument) -> sp.Matrix:
    signs = sp.diag(1, -1, 1), sp.diag(1, 1, -1)
    covariance = _covariance((lam_i, lam_j))
    same = [
        sp.expand(
            objective(f[:2, :2] * _E * f, _logs, f * _D * f[:2, :2], covariance)
            - objective(_E, _logs, _D, covariance)
        )
        for f in signs
    ]
    argument.zero("changes of sign of eigenvectors and latents keep the objective", sp.Matrix(same))
    values, gains = (gain_i**2 + tau, gain_j**2 + tau), (gain_i, gain_j)
    slope = sp.Matrix([objective(_E, _logs, _D, _covariance(values))]).jacobian([*_E, *_D, *_logs])
    argument.zero("the point is stationary", slope.subs(optimum(gains)).applyfunc(sp.cancel))
    hessian = mixing_hessian(values, gains, others=True)
    argument.zero("the mixing directions of a pair are coupled to no other", hessian[:4, 4:])
    argument.zero("nor are those of a foreign eigenvector", hessian[4:6, 6:])
    coupling, product = gain_i * gain_j, (gain_i**2 + tau) * (gain_j**2 + tau)
    want = sp.Matrix(
        [
            [1, 0, -tau, coupling],
            [0, 1, coupling, -tau],
            [-tau, coupling, product, 0],
            [coupling, -tau, 0, product],
        ]
    )
    argument.zero("the block of the pair is the quadratic form stated", hessian[:4, :4] - want)
    return hessian


def _pair(argument: Argument, block: sp.Matrix) -> None:
    def folded(sign: int) -> sp.Matrix:
        basis = sp.Matrix([[1, 0], [sign, 0], [0, 1], [0, sign]])
        argument.zero(
            f"directions with x = {sign}·y, p = {sign}·q are kept by it",
            sp.Matrix([[1, -sign, 0, 0], [0, 0, 1, -sign]]) * block * basis,
        )
        return basis.T * block * basis / 2

    slow, fast = folded(-1), folded(1)
    argument.zero("both have the trace 1 + λᵢλⱼ", sp.expand(slow.trace() - fast.trace()))
    argument.equal("the slow determinant is τ(dᵢ − dⱼ)²", slow.det(), tau * (gain_i - gain_j) ** 2)
    argument.positive("and the smaller of the two", sp.factor(sp.expand(fast.det() - slow.det())))
    rate = _by_gains(forms.ALIGNMENT_RATE)
    _root_is(argument, "its smaller root is σ² times the rate", rate, slow)
    schur = (slow[0, 0] - slow[0, 1] ** 2 / slow[1, 1]) / s2
    argument.equal(
        "decoder alone: the Schur complement", schur, _by_gains(forms.DECODER_ALIGNMENT_RATE)
    )
    argument.cites("the Hessian of a partially minimised function is the Schur complement")
    apart = sp.cancel(_by_gains(forms.DECODER_ALIGNMENT_RATE) / (gain_i**2 - gain_j**2) ** 2)
    argument.positive("rate/(λᵢ − λⱼ)² stays finite and positive: second order", apart)


def _rotation(argument: Argument) -> None:
    turn = sp.Matrix([[sp.cos(angle), -sp.sin(angle)], [sp.sin(angle), sp.cos(angle)]])
    argument.zero(
        "R(θ) is orthogonal, so DE and the trace of ESEᵀ do not depend on θ",
        (turn * turn.T - sp.eye(2)).applyfunc(sp.trigsimp),
    )
    gains = sp.diag(gain_i, gain_j)
    raised = gains**2 + tau * sp.eye(2)
    encoder = gains * raised.inv()
    argument.zero(
        "the encoder's gradient RᵀG(I − GF)S − τRᵀFS vanishes for F = G(G² + τ)⁻¹",
        gains * (sp.eye(2) - gains * encoder) - tau * encoder,
    )
    share, power, c = sp.symbols("y g c", positive=True)  # sin²θ, (DᵀD)ⱼⱼ, cⱼ
    by_c = (power * c + tau * (c - sp.log(c))) / 2
    best = tau / (power + tau)
    argument.zero("c = τ/((DᵀD)ⱼⱼ + τ) is best", sp.cancel(sp.diff(by_c, c).subs(c, best)))
    gram = (turn.T * gains**2 * turn).subs(sp.cos(angle) ** 2, 1 - sp.sin(angle) ** 2)
    gram = gram.subs(sp.sin(angle), sp.sqrt(share))
    cost = sum(sp.diff(by_c.subs(c, best).subs(power, gram[j, j]), share) for j in range(2))
    stated = _by_gains(forms.ROTATION_EXCESS).subs(sp.sin(2 * angle) ** 2, 4 * share * (1 - share))
    argument.zero("the excess grows as stated", sp.cancel(cost - s2 * sp.diff(stated, share)))
    argument.zero("and is 0 at θ = 0", forms.ROTATION_EXCESS.subs(angle, 0))
    bend = sp.diff(_by_gains(forms.ROTATION_EXCESS), angle, 2).subs(angle, 0)
    length = gain_i**2 + gain_j**2  # of dD/dθ, squared
    factor = sp.cancel(bend / length / _by_gains(forms.DECODER_ALIGNMENT_RATE))
    argument.equal(
        "curvature over squared length exceeds the rate by (dᵢ + dⱼ)²/(dᵢ² + dⱼ²)",
        factor,
        (gain_i + gain_j) ** 2 / length,
    )
    doubled = sp.factor(2 * length - sp.expand((gain_i + gain_j) ** 2))
    argument.nonnegative("which is at most 2", doubled)


def _foreign(argument: Argument, hessian: sp.Matrix) -> None:
    block = hessian[4:6, 4:6].subs(gain_i, sp.sqrt(lam_i - tau))
    argument.zero(
        "a foreign eigenvector: the block is [[1, −λⱼ], [·, λᵢλⱼ]]",
        (block - sp.Matrix([[1, -lam_3], [-lam_3, lam_i * lam_3]])).applyfunc(sp.simplify),
    )
    rate = forms.SWAP_RATE.subs(lam_j, lam_3)
    _root_is(argument, "its smaller root is σ² times the rate", rate, block.applyfunc(sp.simplify))
    argument.equal(
        "decoder alone: the Schur complement",
        sp.simplify(block[0, 0] - block[0, 1] ** 2 / block[1, 1]) / s2,
        forms.DECODER_SWAP_RATE.subs(lam_j, lam_3),
    )
    dead = mixing_hessian((gain_i**2 + tau, lam_j), (gain_i, sp.S.Zero))
    raised = gain_i**2 + tau
    want = sp.Matrix([[1, -tau], [-tau, raised * tau]])
    argument.zero("a dead latent on an active eigenvector", dead.extract([0, 2], [0, 2]) - want)
    want = sp.Matrix([[1, -lam_j], [-lam_j, raised * lam_j]])
    argument.zero("a dead eigenvector on an active latent", dead.extract([1, 3], [1, 3]) - want)
    argument.zero("and the two are not coupled", dead.extract([0, 2], [1, 3]))
    asleep = mixing_hessian((lam_i, lam_j), (sp.S.Zero, sp.S.Zero))
    want = sp.Matrix([[1, -lam_i], [-lam_i, lam_i * tau]])
    argument.zero("both dead: the saddle's block", asleep.extract([0, 2], [0, 2]) - want)


def prove() -> Proof:
    """Derive the rates at which latents align, and what a rotation costs."""
    argument = Argument(
        "rotation",
        "Two latents rotated by θ cost (β/2) log(1 + (t₁ − t₂)² sin²2θ/(4t₁t₂)), tᵢ = max(λᵢ, τ).",
    )
    hessian = _blocks(argument)
    _pair(argument, hessian[:4, :4])
    _rotation(argument)
    _foreign(argument, hessian)
    return argument.done(
        functions=(
            "linvae.dynamics.alignment_rates",
            "linvae.dynamics.swap_rates",
            "linvae.dynamics.rotation_excess",
        ),
        properties=(
            "tests/linvae/test_dynamics.py::test_rates_of_the_model_are_those_of_a_numerical_hessian",
            "tests/linvae/test_dynamics.py::test_rotation_costs_what_is_predicted",
            "tests/linvae/test_symbolic_dynamics.py::test_rates_of_pairs",
        ),
        optimisations=(
            "tests/linvae/test_dynamics.py::test_no_direction_relaxes_more_slowly",
            "tests/linvae/test_dynamics.py::test_no_encoder_makes_up_for_a_rotation",
        ),
        uses=("best_responses", "global_optimum"),
    )


if __name__ == "__main__":
    run(prove)
