"""What any linear VAE achieves on any data, exactly: the objective side of the theory.

Only the definitions of rate and distortion are used here, never the optimum: that the optimum of
:mod:`linvae.response` and the curve of :mod:`linvae.frontier` agree with these numbers is evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._types import LinearVAE, Sealed, Terms
from ._validation import FloatArray, as_positive, check_representable, check_spectrum, fail
from .spectrum import Spectrum

__all__ = [
    "ElboSplit",
    "Information",
    "LinearVAE",
    "elbo_split",
    "evaluate",
    "information",
    "log_likelihood",
]

# Entries of the largest temporary array when a batch of models is evaluated.
_BATCH_ENTRIES = 2**22


@dataclass(frozen=True, eq=False)
class Information(Sealed):
    """Where the rate of an encoder goes, for Gaussian data; scalars or arrays over the batch.

    Attributes
    ----------
    rate : float or ndarray
        Average KL(q(z|x) ‖ p(z)), nats; equals mutual_information + marginal_kl.
    rate_per_latent : ndarray, shape (..., k)
        Its summands, one per latent.
    mutual_information : float or ndarray
        I_q(x; z), nats.
    marginal_kl : float or ndarray
        KL(q(z) ‖ p(z)) of the aggregated posterior, nats; equals total_correlation + the sum of
        dimension_wise_kl.
    total_correlation : float or ndarray
        KL(q(z) ‖ Π q(zⱼ)), nats.
    dimension_wise_kl : ndarray, shape (..., k)
        KL(q(zⱼ) ‖ p(zⱼ)), nats.
    aggregated_mean : ndarray, shape (..., k)
        Mean of q(z).
    aggregated_covariance : ndarray, shape (..., k, k)
        Covariance E S Eᵀ + C of q(z).
    """

    rate: Any
    rate_per_latent: FloatArray
    mutual_information: Any
    marginal_kl: Any
    total_correlation: Any
    dimension_wise_kl: FloatArray
    aggregated_mean: FloatArray
    aggregated_covariance: FloatArray


@dataclass(frozen=True, eq=False)
class ElboSplit(Sealed):
    """The ELBO in four terms, for Gaussian data; nats, scalars or arrays over the batch.

    ``elbo + data_entropy = likelihood_ratio - mutual_information - data_kl - marginal_kl``

    Attributes
    ----------
    elbo : float or ndarray
        −(distortion + rate).
    likelihood_ratio : float or ndarray
        Term 1, the average of log p(x|z) − log p(x).
    mutual_information : float or ndarray
        Term 2, the average of log q(z|x) − log q(z).
    data_kl : float or ndarray
        Term 3, KL(q(x) ‖ p(x)) between the data and the model; inf when S is singular.
    marginal_kl : float or ndarray
        Term 4, KL(q(z) ‖ p(z)).
    log_likelihood : float or ndarray
        Average log p(x); elbo = log_likelihood + terms 1 − 2 − 4 also when S is singular.
    data_entropy : float
        Entropy of N(μ, S); −inf when S is singular.
    """

    elbo: Any
    likelihood_ratio: Any
    mutual_information: Any
    data_kl: Any
    marginal_kl: Any
    log_likelihood: Any
    data_entropy: float


def evaluate(vae: LinearVAE, spectrum: Spectrum, beta: Any) -> Terms:
    r"""Rate, distortion, squared error and objective of any parameters on any data.

    .. math::
        \varepsilon &= \operatorname{tr}\,(I-DE)S(I-DE)^\top + \operatorname{tr} D^\top D C
            + \lVert \mu - m_d - D a \rVert^2, \quad a = E(\mu - m_e) + h \\
        \mathcal R &= \tfrac12\,[\operatorname{tr} C + \operatorname{tr} E S E^\top
            + \lVert a \rVert^2 - k - \log\det C]

    Exact for every data distribution with mean μ and covariance S, Gaussian or not.

    Parameters
    ----------
    vae : LinearVAE
        One model or a batch.
    spectrum : Spectrum
        Of the training data, a test set, or a population; n features.
    beta : float or array
        KL weight(s) > 0, broadcast against the batch.

    Returns
    -------
    Terms

    Raises
    ------
    InputError
        β ≤ 0 or not finite, or a spectrum with another number of features.
    PartialSpectrumError
        A leading-k spectrum that does not hold what the encoder reads.

    Notes
    -----
    Source: Lucas et al. 2019, Eq. 10 and appendix; mean-shift terms derived in the same way.
    """
    weight = as_positive("beta", beta, "β weighs the rate and must be positive")
    with np.errstate(over="ignore", invalid="ignore"):
        reading = _read(vae, spectrum)
        error = _representable("squared error", _squared_error(vae, spectrum, reading))
        rate = _representable("rate", _rate_per_latent(vae, reading).sum(axis=-1))
    variance = vae.noise_variance
    distortion = 0.5 * (vae.n_features * np.log(2 * np.pi * variance) + error / variance)
    _check_weight(weight, vae.batch_shape)
    objective = distortion + weight * rate
    return Terms(
        beta=_scalar(weight),
        rate=_scalar(rate),
        distortion=_scalar(distortion),
        squared_error=_scalar(error),
        objective=_scalar(objective),
        noise_variance=_scalar(variance),
        n_features=vae.n_features,
    )


def information(vae: LinearVAE, spectrum: Spectrum) -> Information:
    r"""Split the rate into mutual information, total correlation and dimension-wise KL.

    .. math:: \mathcal R = I_q(x;z) + \mathrm{KL}(q(z) \Vert p(z)), \qquad
              q(z) = \mathcal N(a,\; E S E^\top + C)

    Exact for Gaussian data. For other data the moments of q(z) are exact, the entropies those of
    the Gaussian with these moments.

    Parameters
    ----------
    vae : LinearVAE
    spectrum : Spectrum

    Returns
    -------
    Information

    Raises
    ------
    InputError, PartialSpectrumError
        As :func:`evaluate`.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        read, mean = _read(vae, spectrum)
        per_latent = _representable("rate", _rate_per_latent(vae, (read, mean)))
        spread = read @ np.swapaxes(read, -1, -2)
    covariance = spread + _diag(vae.posterior_variance)
    variances = np.diagonal(covariance, axis1=-2, axis2=-1)
    # Singular values of C^(-1/2) E B give the mutual information as a sum of log(1 + s²): never
    # below 0, and no determinant that a tiny posterior variance could spoil.
    whitened = read / np.sqrt(vae.posterior_variance)[..., None]
    with np.errstate(divide="ignore"):  # s = 0 gives log 0 = -inf, and that a summand of 0
        log_squares = 2 * np.log(np.linalg.svd(whitened, compute_uv=False))
    mutual = 0.5 * np.logaddexp(0.0, log_squares).sum(axis=-1)
    dimension_wise = 0.5 * (_above_log(variances) + mean**2)
    # log det(E S Eᵀ + C) = log det C + 2 I.
    logs = np.log(variances) - np.log(vae.posterior_variance)
    total = 0.5 * logs.sum(axis=-1) - mutual
    return Information(
        rate=_scalar(per_latent.sum(axis=-1)),
        rate_per_latent=per_latent,
        mutual_information=_scalar(mutual),
        marginal_kl=_scalar(total + dimension_wise.sum(axis=-1)),
        total_correlation=_scalar(total),
        dimension_wise_kl=dimension_wise,
        aggregated_mean=mean,
        aggregated_covariance=covariance,
    )


def log_likelihood(vae: LinearVAE, spectrum: Spectrum) -> Any:
    r"""Average log-likelihood of the decoder's marginal, probabilistic PCA with any loadings.

    .. math:: \mathbb E \log p(x) = -\tfrac12\,[\,n\log 2\pi + \log\det M
              + \operatorname{tr} M^{-1}(S + \delta\delta^\top)],
              \quad M = DD^\top + \sigma^2 I,\ \delta = \mu - m_d

    Parameters
    ----------
    vae : LinearVAE
        Its encoder is not used.
    spectrum : Spectrum

    Returns
    -------
    float or ndarray
        Nats.

    Raises
    ------
    InputError, PartialSpectrumError
        As :func:`evaluate`; a leading-k spectrum must hold what the decoder spans.

    Notes
    -----
    Source: Tipping & Bishop 1999, Eq. 4.
    """
    _check_features(vae, spectrum)
    variance = vae.noise_variance
    gains, axes = _decoder_axes(vae.decoder)
    shift = spectrum.mean - vae.decoder_offset
    along = (axes @ shift[..., None])[..., 0]
    seen = (spectrum.read_by(axes) ** 2).sum(axis=-1) + along**2
    outside = _residual_variance(np.swapaxes(axes, -1, -2), spectrum, axes)
    outside = outside + ((shift - (along[..., None, :] @ axes)[..., 0, :]) ** 2).sum(axis=-1)
    with np.errstate(over="ignore", invalid="ignore"):
        total = gains**2 + variance[..., None]
        logs = np.log(total / variance[..., None]).sum(axis=-1) + vae.n_features * np.log(variance)
        quadratic = outside / variance + (seen / total).sum(axis=-1)
        likelihood = -0.5 * (vae.n_features * np.log(2 * np.pi) + logs + quadratic)
    return _scalar(_representable("log-likelihood", likelihood))


def elbo_split(vae: LinearVAE, spectrum: Spectrum) -> ElboSplit:
    r"""Split the ELBO into four terms that each have a meaning of their own.

    .. math:: \text{ELBO} + \mathcal H = \underbrace{\mathbb E \log \tfrac{p(x|z)}{p(x)}}_{1}
        - \underbrace{I_q(x;z)}_{2} - \underbrace{\mathrm{KL}(q(x)\Vert p(x))}_{3}
        - \underbrace{\mathrm{KL}(q(z)\Vert p(z))}_{4}

    Parameters
    ----------
    vae : LinearVAE
    spectrum : Spectrum
        Complete: the entropy of the data enters term 3.

    Returns
    -------
    ElboSplit

    Raises
    ------
    InputError, PartialSpectrumError
        As :func:`evaluate`.

    Notes
    -----
    Source: Esmaeili et al. 2019, Eq. 3; exact for Gaussian data.
    """
    terms = evaluate(vae, spectrum, 1.0)
    parts = information(vae, spectrum)
    likelihood = log_likelihood(vae, spectrum)
    entropy = spectrum.gaussian_entropy
    return ElboSplit(
        elbo=terms.elbo,
        likelihood_ratio=-terms.distortion - likelihood,
        mutual_information=parts.mutual_information,
        data_kl=-entropy - likelihood,
        marginal_kl=parts.marginal_kl,
        log_likelihood=likelihood,
        data_entropy=entropy,
    )


def _decoder_axes(decoder: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Singular values (..., k) of D, and its left singular vectors as rows (..., k, n).

    Directions of zero gain are arbitrary; their rows are zero, which lets a partial spectrum do.
    """
    eps = np.finfo(np.float64).eps
    # A basis from columns of unit length: next to long columns the direction of a short one, of a
    # mode that is about to die, would be lost.
    largest = np.abs(decoder).max(axis=-2, keepdims=True)
    units = decoder / np.where(largest > 0, largest, 1.0)  # squares of these are representable
    norms = np.sqrt((units**2).sum(axis=-2, keepdims=True))
    basis, spread, _ = np.linalg.svd(units / np.where(norms > 0, norms, 1.0), full_matrices=False)
    basis = basis * (spread > 8 * decoder.shape[-2] * eps)[..., None, :]
    left, gains, _ = np.linalg.svd(np.swapaxes(basis, -1, -2) @ decoder)
    used = gains > eps * gains.max(axis=-1, keepdims=True, initial=0.0)
    return gains, np.swapaxes((basis @ left) * used[..., None, :], -1, -2)


def _representable(name: str, value: FloatArray) -> FloatArray:
    check_representable(f"parameters ({name})", value, "rescale data and model together")
    return value


def _check_features(vae: LinearVAE, spectrum: Spectrum) -> None:
    check_spectrum(spectrum)
    if spectrum.n_features != vae.n_features:
        fail(
            "spectrum",
            f"{spectrum.n_features} features",
            f"{vae.n_features} as in the model",
            "evaluate on data of the same width",
        )


def _check_weight(weight: FloatArray, batch: tuple[int, ...]) -> None:
    try:
        np.broadcast_shapes(weight.shape, batch)
    except ValueError:
        fail(
            "beta",
            f"shape {weight.shape}",
            f"a shape that broadcasts with {batch}",
            "pass one β, or one per model of the batch",
        )


def _read(vae: LinearVAE, spectrum: Spectrum) -> tuple[FloatArray, FloatArray]:
    """E B, shape (..., k, m), and the mean a of the latents, shape (..., k)."""
    _check_features(vae, spectrum)
    shift = spectrum.mean - vae.encoder_offset
    mean = (vae.encoder @ shift[..., None])[..., 0] + vae.latent_offset
    return spectrum.read_by(vae.encoder), mean


def _rate_per_latent(vae: LinearVAE, reading: tuple[FloatArray, FloatArray]) -> FloatArray:
    read, mean = reading
    variance = vae.posterior_variance
    return np.asarray(0.5 * (_above_log(variance) + (read**2).sum(axis=-1) + mean**2))


def _squared_error(
    vae: LinearVAE, spectrum: Spectrum, reading: tuple[FloatArray, FloatArray]
) -> FloatArray:
    read, mean = reading
    noise = (vae.posterior_variance * (vae.decoder**2).sum(axis=-2)).sum(axis=-1)
    shift = spectrum.mean - vae.decoder_offset - (vae.decoder @ mean[..., None])[..., 0]
    missed = _residual_variance(vae.decoder, spectrum, vae.encoder, read)
    return np.asarray(missed + noise + (shift**2).sum(axis=-1))


def _residual_variance(
    decoder: FloatArray, spectrum: Spectrum, encoder: FloatArray, read: FloatArray | None = None
) -> FloatArray:
    """Return tr (I - DE) S (I - DE)ᵀ as a sum of squares; trace formulas would cancel."""
    read = spectrum.read_by(encoder) if read is None else read
    root = spectrum.root
    batch = read.shape[:-2]
    flat_d = decoder.reshape(-1, *decoder.shape[-2:])
    flat_r = read.reshape(-1, *read.shape[-2:])
    out = np.empty(len(flat_d))
    step = max(1, _BATCH_ENTRIES // root.size)
    for start in range(0, len(flat_d), step):
        rows = slice(start, start + step)
        missed = root - flat_d[rows] @ flat_r[rows]
        out[rows] = np.einsum("bij,bij->b", missed, missed)
    # What a leading-k spectrum does not hold, the encoder does not read: all of it is missed.
    held = spectrum.eigenvalues.size
    return out.reshape(batch) + spectrum.tail_variance(held)


def _above_log(values: FloatArray) -> FloatArray:
    """Return v - 1 - log v >= 0, without rounding of the logarithm near v = 1."""
    excess = values - 1
    near = np.abs(excess) < 0.5
    log = np.where(near, np.log1p(np.where(near, excess, 0.0)), np.log(values))
    return np.asarray(excess - log)


def _diag(entries: FloatArray) -> FloatArray:
    return np.asarray(entries[..., None] * np.eye(entries.shape[-1]))


def _scalar(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else np.asarray(value)
