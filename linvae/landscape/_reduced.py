"""The objective as a function of the decoder alone: value, gradient and Hessian.

All arithmetic is in units of the water level: B = D/√τ, and S/τ for the covariance. Then nothing
but ratios is squared, and the float64 range is that of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from linvae._validation import (
    FloatArray,
    as_matrix,
    as_positive_number,
    check_representable,
    check_spectrum,
    fail,
)
from linvae.spectrum import Spectrum

__all__ = ["reduced_gradient", "reduced_hessian", "reduced_objective"]

_LARGEST_HESSIAN = 4096  # entries of D; the matrix then takes 128 MiB
_RESCALE = "rescale data, decoder and noise variance together"


def reduced_objective(
    spectrum: Spectrum, decoder: Any, beta: float, *, noise_variance: float
) -> float:
    r"""Objective of a decoder with the encoder and posterior variances that are best for it.

    .. math:: L(D) = \tfrac n2\log(2\pi\sigma^2) + \tfrac\beta2\Bigl[\sum_j
              \log\bigl(1 + (D^\top D)_{jj}/\tau\bigr) + \operatorname{tr} S(DD^\top + \tau I)^{-1}
              \Bigr], \qquad \tau = \beta\sigma^2

    Parameters
    ----------
    spectrum : Spectrum
        n features; complete.
    decoder : array (n, k)
        Any D, k <= n.
    beta : float
        KL weight > 0.
    noise_variance : float
        σ² > 0, squared data units.

    Returns
    -------
    float
        Nats. Equals ``encoder_given_decoder(D, beta, ...).evaluate(spectrum, beta).objective`` of
        the model whose offsets are the data mean.

    Raises
    ------
    InputError
        β or σ² not positive, D not a finite (n, k) matrix with k <= n.
    PartialSpectrumError
        A leading spectrum.

    Notes
    -----
    Proved in ``proofs/landscape_reduced.py``.
    """
    unit = _Unit.of(spectrum, decoder, beta, noise_variance)
    with np.errstate(over="ignore", invalid="ignore"):  # looked at below
        seen = unit.left.T @ unit.root  # shape: (k, m)
        missed = unit.root - unit.left @ seen
        traces = (missed**2).sum() + (seen**2 / (1 + unit.gains[:, None] ** 2)).sum()
        inner = np.log1p(unit.diagonal).sum() + traces
    constant = 0.5 * spectrum.n_features * np.log(2 * np.pi * unit.variance)
    value = float(constant + 0.5 * unit.beta * inner)
    check_representable("decoder", value, _RESCALE)
    return value


def reduced_gradient(
    spectrum: Spectrum, decoder: Any, beta: float, *, noise_variance: float
) -> FloatArray:
    r"""Gradient of :func:`reduced_objective` in the decoder.

    .. math:: \nabla L(D) = \beta\bigl[D\,\operatorname{diag}(\tau + (D^\top D)_{jj})^{-1}
              - (DD^\top+\tau I)^{-1} S (DD^\top+\tau I)^{-1} D\bigr]

    Parameters
    ----------
    spectrum, decoder, beta, noise_variance
        As for :func:`reduced_objective`.

    Returns
    -------
    ndarray, shape (n, k)
        Nats per data unit.

    Raises
    ------
    InputError, PartialSpectrumError
        As for :func:`reduced_objective`.

    Notes
    -----
    Proved in ``proofs/landscape_reduced.py``.
    """
    unit = _Unit.of(spectrum, decoder, beta, noise_variance)
    with np.errstate(over="ignore", invalid="ignore"):  # looked at below
        pulled = unit.shrink(unit.root @ (unit.root.T @ unit.shrink(unit.matrix)))
        slope = unit.matrix / (1 + unit.diagonal) - pulled
        gradient = np.asarray(unit.beta / unit.length * slope)
    check_representable("decoder", gradient, _RESCALE)
    return gradient


def reduced_hessian(
    spectrum: Spectrum, decoder: Any, beta: float, *, noise_variance: float
) -> FloatArray:
    r"""Hessian of :func:`reduced_objective` in the entries of the decoder, row by row.

    .. math:: H_{(aj)(bl)} = \frac{\partial^2 L}{\partial D_{aj}\,\partial D_{bl}}

    Parameters
    ----------
    spectrum, decoder, beta, noise_variance
        As for :func:`reduced_objective`; n·k at most 4096.

    Returns
    -------
    ndarray, shape (n k, n k)
        Nats per squared data unit, symmetric; rows and columns in the order of ``D.ravel()``.

    Raises
    ------
    InputError, PartialSpectrumError
        As for :func:`reduced_objective`, and for decoders with more entries.

    Notes
    -----
    Proved in ``proofs/landscape_index.py``.
    """
    unit = _Unit.of(spectrum, decoder, beta, noise_variance)
    n, k = unit.matrix.shape
    if n * k > _LARGEST_HESSIAN:
        fail(
            "decoder",
            f"{n * k} entries",
            f"at most {_LARGEST_HESSIAN}",
            "use reduced_gradient, or the closed-form index of a StationaryPoint",
        )
    with np.errstate(over="ignore", invalid="ignore"):  # looked at below
        hessian = _second_derivatives(unit)
    check_representable("decoder", hessian, _RESCALE)
    return hessian


def _second_derivatives(unit: _Unit) -> FloatArray:
    """The Hessian in nats per squared data unit, from what is in units of τ."""
    n, k = unit.matrix.shape
    shrink = unit.shrink(np.eye(n))  # M = (I + B Bᵀ)⁻¹
    weight = 1 / (1 + unit.diagonal)
    inner = shrink @ unit.root
    middle = inner @ inner.T  # M S M in units of τ
    turned = shrink @ unit.matrix  # M B
    pulled = middle @ unit.matrix  # M S M B
    eye_n, eye_k = np.eye(n), np.eye(k)
    own = np.einsum("ab,jl->ajbl", eye_n, np.diag(weight)) - np.einsum("ab,jl->ajbl", middle, eye_k)
    bent = np.einsum(
        "aj,bj,j,jl->ajbl", unit.matrix, unit.matrix, -2 * weight**2, eye_k, optimize=True
    )
    # The derivative of M is -M (Δ Bᵀ + B Δᵀ) M; here it acts on both sides of S.
    overlap = unit.matrix.T @ turned  # Bᵀ M B
    moved = np.einsum("ab,jl->ajbl", shrink, unit.matrix.T @ pulled)
    moved += np.einsum("al,bj->ajbl", turned, pulled)
    moved += np.einsum("ab,jl->ajbl", middle, overlap)
    moved += np.einsum("al,bj->ajbl", pulled, turned)
    full = (own + bent + moved).reshape(n * k, n * k)
    return np.asarray(0.5 * (full + full.T) / unit.variance)


@dataclass(frozen=True, eq=False)
class _Unit:
    """A decoder and a covariance root in units of the square root of the water level."""

    matrix: FloatArray  # B = D/√τ, shape: (n, k)
    root: FloatArray  # shape: (n, m), root rootᵀ = S/τ
    left: FloatArray  # left singular vectors of B, shape: (n, k)
    gains: FloatArray  # its singular values, shape: (k,)
    diagonal: FloatArray  # of Bᵀ B, shape: (k,)
    beta: float
    variance: float
    length: float  # √τ

    @classmethod
    def of(cls, spectrum: Spectrum, decoder: Any, beta: Any, noise_variance: Any) -> _Unit:
        check_spectrum(spectrum)
        spectrum.require_complete("the landscape of the objective")
        matrix = as_matrix("decoder", decoder, "(n features, k latents)")
        n = spectrum.n_features
        if len(matrix) != n or matrix.shape[1] > n:
            fail(
                "decoder",
                f"shape {matrix.shape}",
                f"({n} features, at most {n} latents)",
                "pass D with one column per latent",
            )
        weight = as_positive_number("beta", beta, "β weighs the rate and must be positive")
        variance = as_positive_number("noise_variance", noise_variance, "pass the decoder's σ²")
        length = float(np.sqrt(weight) * np.sqrt(variance))
        with np.errstate(over="ignore"):
            scaled, root = matrix / length, spectrum.root / length
            diagonal = (scaled**2).sum(axis=0)
        check_representable("decoder", diagonal, _RESCALE)
        check_representable("noise_variance", root, _RESCALE)
        left, gains, _ = np.linalg.svd(scaled, full_matrices=False)
        return cls(scaled, root, left, gains, diagonal, weight, variance, length)

    def shrink(self, columns: FloatArray) -> FloatArray:
        """Return (I + B Bᵀ)⁻¹ times a matrix, without the cancellation of I - B(I + BᵀB)⁻¹Bᵀ."""
        seen = self.left.T @ columns
        rest = columns - self.left @ seen
        return np.asarray(rest + self.left @ (seen / (1 + self.gains[:, None] ** 2)))
