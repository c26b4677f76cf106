r"""One side held fixed: the best encoder for a decoder, and the best decoder for an encoder.

Start from the trace formulas (claim ``mode-objective``); offsets at the data mean, τ = βσ² > 0.

Encoder. Let D be any n × k matrix and G = DᵀD + τI. G is positive definite, since
xᵀGx = ‖Dx‖² + τ‖x‖². The terms of 2σ²L with E in them are tr S(EᵀGE − DE − EᵀDᵀ). Let X solve
GX = Dᵀ, so that D = XᵀG. Then

    EᵀGE − DE − EᵀDᵀ = (E − X)ᵀG(E − X) − XᵀGX,

and with S = BBᵀ the trace of the square is ‖D(E − X)B‖² + τ‖(E − X)B‖² >= 0. It is zero exactly
for (E − X)B = 0: the best encoder is X = (DᵀD + τI)⁻¹Dᵀ, up to directions where S vanishes.
With gⱼ = (DᵀD)ⱼⱼ the terms with cⱼ are

    gⱼcⱼ + τ(cⱼ − 1 − log cⱼ) = τ φ(cⱼ(gⱼ + τ)/τ) + τ log(1 + gⱼ/τ),   φ(t) = t − 1 − log t >= 0,

and φ vanishes only at 1: cⱼ = τ/(gⱼ + τ), a sigmoid of log β. Only the diagonal of DᵀD enters.

Decoder. The rate does not contain D. With M = ESEᵀ + C, positive definite since C is, and Y
solving YM = SEᵀ, the terms of ε with D in them are the trace of

    DMDᵀ − DES − SEᵀDᵀ = (D − Y)M(D − Y)ᵀ − YMYᵀ,

so that the one best decoder is SEᵀ(ESEᵀ + C)⁻¹, and β is nowhere in it. The best decoder offset
makes the mean residual v zero.

Both problems are convex, by these squares. All matrix identities are shown for symbolic n and k.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from linvae.symbolic import modes
from linvae.symbolic.symbols import beta, c, d, k, lam, n, s2, tau
from proofs import stationarity
from proofs._branches import excess, scaled, show_logarithm
from proofs.argument import Argument, Proof, run
from proofs.mode_objective import traces

__all__ = ["posterior_terms", "prove", "same_matrix", "sigmoid"]

STATEMENT = (
    "For a fixed decoder the best encoder is (DᵀD+τI)⁻¹Dᵀ with cⱼ = τ/((DᵀD)ⱼⱼ+τ); for a fixed "
    "encoder the best decoder is SEᵀ(ESEᵀ+C)⁻¹, whatever β."
)
_g = sp.Symbol("g", nonnegative=True)  # (DᵀD)_jj


def same_matrix(left: Any, right: Any) -> bool:
    """Whether two expressions in matrix symbols expand to the same sum of products."""
    difference = (left.expand() - right.expand()).doit()
    return bool(difference.is_ZeroMatrix)


def sigmoid(argument: Any) -> sp.Expr:
    """1 / (1 + e^{−x})."""
    return 1 / (1 + sp.exp(-argument))


def posterior_terms(gain: Any) -> sp.Expr:
    """Terms of 2σ²L that contain the posterior variance of a latent, and its −1."""
    return gain * c + tau * (c - 1 - sp.log(c))


def _encoder(argument: Argument) -> None:
    D, E, X = sp.MatrixSymbol("D", n, k), sp.MatrixSymbol("E", k, n), sp.MatrixSymbol("X", k, n)
    B, G, z = sp.MatrixSymbol("B", n, n), sp.MatrixSymbol("G", k, k), sp.MatrixSymbol("z", k, 1)
    gram = D.T * D + tau * sp.Identity(k)
    argument.true(
        "any n, k: xᵀGx = ‖Dx‖² + τ‖x‖², so G is positive definite",
        same_matrix(z.T * gram * z, (D * z).T * (D * z) + tau * z.T * z),
    )
    square = (E - X).T * G * (E - X)
    argument.true(
        "any n, k: EᵀGE − XᵀGE − EᵀGX = (E − X)ᵀG(E − X) − XᵀGX, where XᵀG = D and GX = Dᵀ",
        same_matrix(E.T * G * E - X.T * G * E - E.T * G * X, square - X.T * G * X),
    )
    part = (E - X) * B
    argument.true(
        "any n, k: Bᵀ(E − X)ᵀG(E − X)B is a sum of two Gram matrices: its trace is >= 0, and 0 "
        "only for (E − X)B = 0",
        same_matrix(
            B.T * (E - X).T * gram * (E - X) * B, (D * part).T * (D * part) + tau * part.T * part
        ),
    )
    argument.zero(
        "terms with cⱼ: τ φ(cⱼ(gⱼ + τ)/τ) + τ log(1 + gⱼ/τ)",
        sp.expand_log(
            posterior_terms(_g)
            - tau * excess(c * (_g + tau) / tau)
            - tau * sp.log((_g + tau) / tau),
        ),
    )
    best = sp.solve(sp.Eq(c * (_g + tau) / tau, 1), c)
    argument.true("φ's argument is 1 for one c: τ/(gⱼ + τ)", best == [tau / (_g + tau)])


def _decoder(argument: Argument) -> None:
    D, E, Y = sp.MatrixSymbol("D", n, k), sp.MatrixSymbol("E", k, n), sp.MatrixSymbol("Y", n, k)
    B, C, M = sp.MatrixSymbol("B", n, n), sp.MatrixSymbol("C", k, k), sp.MatrixSymbol("M", k, k)
    z = sp.MatrixSymbol("z", k, 1)
    inner, read = E * B * B.T * E.T + C, B.T * E.T * z
    argument.true(
        "any n, k: xᵀ(ESEᵀ + C)x = ‖BᵀEᵀx‖² + xᵀCx, so M is positive definite",
        same_matrix(z.T * inner * z, read.T * read + z.T * C * z),
    )
    argument.true(
        "any n, k: DMDᵀ − DMYᵀ − YMDᵀ = (D − Y)M(D − Y)ᵀ − YMYᵀ, where YM = SEᵀ and MYᵀ = ES",
        same_matrix(D * M * D.T - D * M * Y.T - Y * M * D.T, (D - Y) * M * (D - Y).T - Y * M * Y.T),
    )


def _entries(name: str, rows: int, columns: int) -> sp.Matrix:
    return sp.Matrix(rows, columns, lambda i, j: sp.Symbol(f"{name}{i}{j}", real=True))


def _gradients(argument: Argument, size: int, latents: int) -> None:
    """The same answers from the derivatives of the trace formulas, entry by entry."""
    S = sp.Matrix(size, size, lambda i, j: sp.Symbol(f"S{min(i, j)}{max(i, j)}", real=True))
    E, D = _entries("E", latents, size), _entries("D", size, latents)
    C = sp.diag(*(sp.Symbol(f"c{j}", positive=True) for j in range(latents)))
    error, twice_rate = traces(S, E, D, C)
    argument.true("the rate does not contain D", not twice_rate.free_symbols & set(D))
    argument.true("the squared error does not contain β", beta not in error.free_symbols)
    gram = D.T * D + tau * sp.eye(latents)
    best = gram.inv() * D.T
    slope = sp.Matrix([sp.diff(error + tau * twice_rate, entry) for entry in E])
    argument.zero(
        f"n = {size}, k = {latents}: every derivative in E vanishes at (DᵀD + τI)⁻¹Dᵀ",
        slope.subs(dict(zip(E, best, strict=True)), simultaneous=True).applyfunc(sp.cancel),
    )
    inner = E * S * E.T + C
    written = S * E.T * inner.inv()
    slope = sp.Matrix([sp.diff(error, entry) for entry in D])
    argument.zero(
        f"n = {size}, k = {latents}: every derivative in D vanishes at SEᵀ(ESEᵀ + C)⁻¹",
        slope.subs(dict(zip(D, written, strict=True)), simultaneous=True).applyfunc(sp.cancel),
    )


def _one_mode(argument: Argument) -> None:
    level = {tau: beta * s2}
    read, kept = stationarity.best_encoder(), stationarity.best_posterior()
    argument.equal("one mode: e = d/(d² + τ)", read.subs(level), modes.ENCODER_GIVEN_DECODER)
    argument.equal("one mode: c = τ/(d² + τ)", kept.subs(level), modes.POSTERIOR_GIVEN_DECODER)
    argument.equal("the matrix answer for k = 1, gⱼ = d²", kept, (tau / (_g + tau)).subs(_g, d**2))
    (written,) = sp.solve(sp.diff(scaled(modes.OBJECTIVE), d), d)
    argument.equal("one mode: d = λe/(λe² + c)", written, modes.DECODER_GIVEN_ENCODER)
    argument.true(
        "... in which β does not occur", beta not in modes.DECODER_GIVEN_ENCODER.free_symbols
    )
    gain = sp.Symbol("d", positive=True)
    argument.equal(
        "c is a sigmoid of log β: σ(log β − log(gⱼ/σ²))",
        modes.POSTERIOR_GIVEN_DECODER.subs(d, gain),
        sigmoid(sp.log(beta) - sp.log(gain**2 / s2)),
    )
    argument.equal(
        "e is a sigmoid of −log β: σ(log(d²/σ²) − log β)/d",
        modes.ENCODER_GIVEN_DECODER.subs(d, gain),
        sigmoid(sp.log(gain**2 / s2) - sp.log(beta)) / gain,
    )


def _singular_values(argument: Argument) -> None:
    """With D = UΔVᵀ the encoder is VΔ(Δ² + τ)⁻¹Uᵀ: the formula of a mode per singular value."""
    V, W = sp.MatrixSymbol("V", k, k), sp.MatrixSymbol("W", k, n)  # W = Uᵀ, WWᵀ = I
    delta, shrunk = sp.MatrixSymbol("Delta", k, k), sp.MatrixSymbol("R", k, k)
    gram = V * delta**2 * V.I + tau * sp.Identity(k)
    left = (gram * V * shrunk * W).expand().doit()
    argument.true(
        "any n, k: (DᵀD + τI)·VRUᵀ = V(Δ² + τ)RUᵀ",
        same_matrix(left, V * (delta**2 * shrunk + tau * shrunk) * W),
    )
    argument.equal(
        "... which is VΔUᵀ = Dᵀ for R = Δ(Δ² + τ)⁻¹, entry by entry",
        (d**2 + tau) * modes.ENCODER_GIVEN_DECODER.subs(beta, tau / s2),
        d,
    )


def prove() -> Proof:
    """Complete the squares, and check the answers by derivatives."""
    argument = Argument("best-response", STATEMENT)
    show_logarithm(argument)
    _encoder(argument)
    _decoder(argument)
    _gradients(argument, 2, 2)
    _one_mode(argument)
    _singular_values(argument)
    at = {lam: 1}
    argument.true(
        "neither encoder answer contains λ: they hold whatever the data",
        all(
            answer.subs(at) == answer
            for answer in (modes.ENCODER_GIVEN_DECODER, modes.POSTERIOR_GIVEN_DECODER)
        ),
    )
    return argument.done(
        functions=(
            "linvae.response.encoder_given_decoder",
            "linvae.response.decoder_given_encoder",
        ),
        properties=(
            "tests/linvae/test_response.py::test_encoder_given_decoder_is_stationary_and_minimal",
            "tests/linvae/test_response.py::test_decoder_given_encoder_is_stationary_whatever_beta",
            "tests/linvae/test_symbolic_modes.py::test_partial_responses_are_the_symbolic_ones",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_modes.py::test_no_encoder_does_better_for_a_fixed_decoder",
            "tests/linvae/test_adversarial_modes.py::test_no_decoder_does_better_for_a_fixed_encoder",
        ),
    )


if __name__ == "__main__":
    run(prove)
