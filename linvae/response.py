"""Response functions: the parameters that are optimal at a given β.

Everything is written in the critical βᵢ = λᵢ/σ²: differences βᵢ - β are exact in floating point
near a threshold, so that a mode dies at its critical β to the last bit and not an ulp beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._types import LinearVAE
from ._validation import (
    FloatArray,
    as_matrix,
    as_positive,
    as_vector,
    check_latent_dim,
    check_no_underflow,
    check_spectrum,
    fail,
)
from .spectrum import Spectrum

__all__ = ["critical_betas", "decoder_given_encoder", "encoder_given_decoder", "response"]


def critical_betas(spectrum: Spectrum, *, latent_dim: int, noise_variance: Any) -> FloatArray:
    r"""β at which each of the k leading modes dies, descending.

    .. math:: \beta_i = \lambda_i / \sigma^2

    Parameters
    ----------
    spectrum : Spectrum
    latent_dim : int
        k, 1 <= k <= n.
    noise_variance : float or array (...)
        σ² > 0.

    Returns
    -------
    ndarray, shape (..., k)
        Mode i is active iff β < βᵢ; a zero eigenvalue gives 0, a mode that never lives.

    Raises
    ------
    InputError
        k outside 1..n, σ² not positive, or λ/σ² beyond the float64 range.
    """
    check_spectrum(spectrum)
    k = check_latent_dim(latent_dim, spectrum.n_features)
    variance = as_positive("noise_variance", noise_variance, "pass the decoder's variance σ²")
    with np.errstate(over="ignore"):
        critical = spectrum.leading_eigenvalues(k) / variance[..., None]
    if not np.isfinite(critical).all():
        fail(
            "noise_variance",
            variance.min(),
            "λ₁/σ² within the float64 range",
            "rescale data and noise variance together",
        )
    return np.asarray(critical)


def response(spectrum: Spectrum, beta: Any, *, latent_dim: int, noise_variance: Any) -> LinearVAE:
    r"""Jointly optimal encoder, posterior variances and decoder at β.

    .. math:: d_i = \sqrt{(\lambda_i-\tau)_+}\,u_i, \qquad
              e_i = \frac{\sqrt{(\lambda_i-\tau)_+}}{\lambda_i}\,u_i^\top, \qquad
              c_i = \min(1, \tau/\lambda_i), \qquad \tau = \beta\sigma^2

    Parameters
    ----------
    spectrum : Spectrum
        n features.
    beta : float or array (...)
        KL weight(s) > 0.
    latent_dim : int
        k, 1 <= k <= n.
    noise_variance : float or array
        σ² > 0, squared data units; an array broadcasts with beta.

    Returns
    -------
    LinearVAE
        A batch of the shape of beta when that is an array. Both offsets are the data mean. The
        optimum is unique up to signs and order of the latents, the basis inside tied eigenvalues
        and directions where S vanishes; latents come in the order of the eigenvalues.

    Raises
    ------
    InputError
        β or σ² not positive and finite, k outside 1..n.
    PartialSpectrumError
        A leading spectrum that holds fewer than k eigenpairs.

    Notes
    -----
    Source: the stationarity conditions of Lucas et al. 2019 with β (their Eq. 7 at β = 1).
    """
    weight = as_positive("beta", beta, "β weighs the rate and must be positive")
    variance = as_positive("noise_variance", noise_variance, "pass the decoder's variance σ²")
    weight, variance = _broadcast(weight, variance)
    critical = critical_betas(spectrum, latent_dim=latent_dim, noise_variance=variance)
    values = spectrum.leading_eigenvalues(latent_dim)
    vectors = spectrum.leading_eigenvectors(latent_dim)
    alive = critical > weight[..., None]
    excess = np.where(alive, critical - weight[..., None], 0.0)  # shape: (..., k)
    gain = np.sqrt(variance)[..., None] * np.sqrt(excess)
    # 1 where a mode is dead: the value does not matter, a division by zero would.
    readout = np.sqrt(excess / np.where(alive, critical, 1.0)) / np.sqrt(
        np.where(alive, values, 1.0)
    )
    posterior = np.where(alive, weight[..., None] / np.where(alive, critical, 1.0), 1.0)
    return LinearVAE(
        encoder=readout[..., None] * vectors.T,
        posterior_variance=check_no_underflow(posterior),
        decoder=vectors * gain[..., None, :],
        noise_variance=variance,
        encoder_offset=spectrum.mean,
        decoder_offset=spectrum.mean,
    )


def encoder_given_decoder(
    decoder: Any, beta: Any, *, noise_variance: float, offset: Any = 0.0
) -> LinearVAE:
    r"""Best encoder and posterior variances for a fixed decoder, at β, whatever the data.

    .. math:: E = (D^\top D + \tau I)^{-1} D^\top, \qquad
              c_j = \frac{\tau}{(D^\top D)_{jj} + \tau}, \qquad \tau = \beta\sigma^2

    Parameters
    ----------
    decoder : array (n, k)
        Any D; DᵀD need not be diagonal. A zero column gives a latent equal to the prior.
    beta : float or array (...)
        KL weight(s) > 0.
    noise_variance : float
        σ² > 0.
    offset : array (n,) or number, optional
        Decoder offset m; the best encoder offset is the same.

    Returns
    -------
    LinearVAE
        With the given decoder; a batch of the shape of beta when that is an array.

    Raises
    ------
    InputError
        β or σ² not positive, D not a finite matrix with k <= n.
    """
    matrix = as_matrix("decoder", decoder, "(n features, k latents)")
    weight = as_positive("beta", beta, "β weighs the rate and must be positive")
    variance = as_positive("noise_variance", noise_variance, "pass the decoder's variance σ²")
    level = (weight * variance)[..., None]
    left, gains, right = np.linalg.svd(matrix, full_matrices=False)
    shrunk = gains / (gains**2 + level)  # shape: (..., k)
    return LinearVAE(
        encoder=(right.T * shrunk[..., None, :]) @ left.T,
        posterior_variance=check_no_underflow(level / ((matrix**2).sum(axis=0) + level)),
        decoder=matrix,
        noise_variance=variance,
        encoder_offset=offset,
        decoder_offset=offset,
    )


def decoder_given_encoder(
    spectrum: Spectrum,
    encoder: Any,
    posterior_variance: Any,
    *,
    noise_variance: float,
    encoder_offset: Any = None,
) -> LinearVAE:
    r"""Best decoder for a fixed encoder. It does not depend on β.

    .. math:: D = S E^\top (E S E^\top + C)^{-1}, \qquad m_d = \mu - D E (\mu - m_e)

    Parameters
    ----------
    spectrum : Spectrum
        n features.
    encoder : array (k, n)
    posterior_variance : array (k,)
        c > 0.
    noise_variance : float
        σ² > 0; it enters the returned model, not the decoder.
    encoder_offset : array (n,), optional
        mₑ, the data mean when omitted.

    Returns
    -------
    LinearVAE
        With the given encoder.

    Raises
    ------
    InputError
        Shapes that do not fit, variances that are not positive.
    PartialSpectrumError
        A leading spectrum that does not hold what the encoder reads.
    """
    check_spectrum(spectrum)
    matrix = as_matrix("encoder", encoder, "(k latents, n features)")
    k, n = matrix.shape
    if n != spectrum.n_features:
        fail(
            "encoder", f"{n} columns", f"{spectrum.n_features}, one per feature", "pass E as (k, n)"
        )
    spread = as_positive(
        "posterior_variance",
        as_vector("posterior_variance", posterior_variance, k),
        "pass variances, not log-variances",
    )
    offset = (
        spectrum.mean if encoder_offset is None else as_vector("encoder_offset", encoder_offset, n)
    )
    read = spectrum.read_by(matrix)  # shape: (k, m), E B
    # Least squares on [EB, C^(1/2)] avoids squaring the condition number of E S Eᵀ + C.
    stacked = np.concatenate([read, np.diag(np.sqrt(spread))], axis=1).T  # shape: (m + k, k)
    orthogonal, triangle = np.linalg.qr(stacked)
    solved = np.linalg.solve(triangle, orthogonal[: read.shape[1]].T)  # shape: (k, m)
    decoder = spectrum.root @ solved.T
    return LinearVAE(
        encoder=matrix,
        posterior_variance=spread,
        decoder=decoder,
        noise_variance=as_positive("noise_variance", noise_variance, "pass the decoder's σ²"),
        encoder_offset=offset,
        decoder_offset=spectrum.mean - decoder @ (matrix @ (spectrum.mean - offset)),
    )


def _broadcast(weight: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    try:
        pair = np.broadcast_arrays(weight, variance)
    except ValueError:
        fail(
            "noise_variance",
            f"shape {variance.shape}",
            f"a shape that broadcasts with {weight.shape}",
            "pass one σ², or one per β",
        )
    return pair[0], pair[1]
