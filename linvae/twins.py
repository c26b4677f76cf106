"""What papers on deep VAEs plot, exactly for linear ones: active units, Fréchet distance, accuracy.

PSNR is a method of :class:`linvae.Terms` and :class:`linvae.CurvePoints`; mutual information, total
correlation and dimension-wise KL of any encoder are in :meth:`linvae.LinearVAE.information`; the
curve of a fixed decoder is :mod:`linvae.fixed_decoder`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._types import LinearVAE
from ._validation import (
    FloatArray,
    as_array,
    as_number,
    as_vector,
    check_count,
    check_finite,
    check_spectrum,
    fail,
)
from .errors import InputTypeError
from .spectrum import Spectrum

__all__ = ["accuracy_bound", "active_units", "frechet_distance"]


def active_units(
    vae: LinearVAE, spectrum: Spectrum, *, threshold: float = 0.01
) -> NDArray[np.intp]:
    r"""Count the latents whose posterior mean varies over the data.

    .. math:: \#\{j : (E S E^\top)_{jj} > t\}, \qquad
              (E S E^\top)_{ii} = (\lambda_i - \tau)_+ / \lambda_i \text{ at the optimum}

    The second form says when a mode counts: not below its critical β, but below (1 − t) times it.

    Parameters
    ----------
    vae : LinearVAE
        One model or a batch.
    spectrum : Spectrum
    threshold : float
        t, 0 <= t < 1, a variance in units of the prior's.

    Returns
    -------
    ndarray of int, shape of the batch

    Raises
    ------
    InputError
        A threshold outside [0, 1), or a spectrum of another width.

    Notes
    -----
    Source: Burda et al. 2016, Appendix C.
    """
    least = as_number("threshold", threshold, "0.01 is what the literature uses")
    if not 0 <= least < 1:
        fail("threshold", least, "0 <= threshold < 1", "0.01 is what the literature uses")
    _check_width(vae, spectrum)
    read = spectrum.read_by(vae.encoder)
    return np.asarray(((read**2).sum(axis=-1) > least).sum(axis=-1), dtype=np.intp)


def frechet_distance(vae: LinearVAE, spectrum: Spectrum, *, noise: bool = True) -> FloatArray:
    r"""Squared Fréchet distance between the data and what the model generates, both as Gaussians.

    .. math:: \lVert \mu - m_d \rVert^2 + \operatorname{tr}\!\big[S + M
              - 2 (S^{1/2} M S^{1/2})^{1/2}\big], \qquad M = D D^\top + \sigma^2 I

    At the joint optimum it is Σᵢ (√λᵢ − √mᵢ)² with mᵢ = (λᵢ − τ)₊ + σ² for i ≤ k and σ² beyond.

    Parameters
    ----------
    vae : LinearVAE
        One model or a batch; the encoder does not matter.
    spectrum : Spectrum
        Complete.
    noise : bool
        Generate x ~ p(x|z); without it, means of p(x|z), as image models are often judged:
        M = D Dᵀ.

    Returns
    -------
    ndarray, shape of the batch
        Squared data units.

    Raises
    ------
    InputError
        A spectrum of another width, or a `noise` that is not a bool.
    PartialSpectrumError
        A leading spectrum.

    Notes
    -----
    Source: Dowson and Landau 1982. Computed as the least ‖S^{1/2} − M^{1/2} Q‖² over rotations Q:
    a sum of squares, where the trace would cancel.
    """
    _check_width(vae, spectrum)
    if not isinstance(noise, bool | np.bool_):
        fail("noise", repr(noise), "True or False", "say whether to add the decoder's noise",
             InputTypeError)  # fmt: skip
    spectrum.require_complete("the Fréchet distance")
    n = spectrum.n_features
    root = np.zeros((n, n))
    root[:, : spectrum.eigenvalues.size] = spectrum.root
    decoders = vae.decoder.reshape(-1, n, vae.latent_dim)
    variances = np.broadcast_to(vae.noise_variance, vae.batch_shape).reshape(-1) * noise
    spread = np.array(
        [_procrustes(root, d, v) for d, v in zip(decoders, variances, strict=True)]
    ).reshape(vae.batch_shape)
    return np.asarray(spread + ((spectrum.mean - vae.decoder_offset) ** 2).sum(axis=-1))


def _procrustes(root: FloatArray, decoder: FloatArray, variance: float) -> float:
    """Least ‖B − M^{1/2} Q‖² over orthogonal Q, where B Bᵀ = S and M = D Dᵀ + σ² I."""
    left, gains, _ = np.linalg.svd(decoder, full_matrices=False)
    lift = np.hypot(gains, np.sqrt(variance)) - np.sqrt(variance)

    def times_root_of_m(matrix: FloatArray) -> FloatArray:
        return np.asarray(np.sqrt(variance) * matrix + (left * lift) @ (left.T @ matrix))

    outer, _, inner = np.linalg.svd(times_root_of_m(root))
    return float(((root - times_root_of_m(outer @ inner)) ** 2).sum())


def accuracy_bound(information: Any, class_probabilities: Any) -> FloatArray:
    r"""Largest accuracy of reading a label from a representation that holds so much information.

    .. math:: \alpha \le f^{-1}(I), \qquad
              f(\alpha) = H(y) + \alpha \log \alpha + (1-\alpha) \log\frac{1-\alpha}{M-1}

    f rises on [1/M, 1] from H(y) − log M to H(y). Whatever the label, I(y; z) ≤ I(x; z) ≤ rate, so
    that a rate, or a mutual information, may be passed.

    Parameters
    ----------
    information : float or array (...)
        Nats, >= 0; infinity is allowed.
    class_probabilities : array (M,) or int
        p(y), positive entries that sum to 1; an integer M >= 2 stands for equal ones.

    Returns
    -------
    ndarray (...)
        Between 1/M and 1, rounded upwards by what the rounding of f allows: a bound stays one.

    Raises
    ------
    InputError
        Negative information, or probabilities that are none.

    Notes
    -----
    Source: Fano's inequality; Eq. 10 and 11 of "Trading Information between Latents in Hierarchical
    Variational Autoencoders" (Xiao and Bamler 2023), after Meyen 2016.
    """
    nats = np.asarray(as_array("information", information), dtype=np.float64)
    if np.isnan(nats).any() or (nats < 0).any():
        fail("information", float(nats.min()), "nats >= 0", "pass a rate or a mutual information")
    entropy, classes = _label(class_probabilities)
    low = np.full(nats.shape, 1 / classes)
    high = np.ones(nats.shape)
    slack = 8 * np.finfo(np.float64).eps * (1 + math.log(classes))  # rounding of f
    for _ in range(60):  # bisection; `high` stays on the safe side
        middle = (low + high) / 2
        above = _fano(middle, entropy, classes) > nats + slack
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray(np.where(nats >= entropy, 1.0, high))


def _fano(accuracy: FloatArray, entropy: float, classes: int) -> FloatArray:
    """Least information that allows an accuracy."""
    wrong = 1 - accuracy
    safe = np.where(wrong > 0, wrong, 1.0)
    return np.asarray(
        entropy + accuracy * np.log(accuracy) + wrong * (np.log(safe) - math.log(classes - 1))
    )


def _label(given: Any) -> tuple[float, int]:
    """Entropy of a label, and its number of classes."""
    remedy = "pass p(y), or the number of classes"
    if np.ndim(given) == 0:
        number = given[()] if isinstance(given, np.ndarray) else given
        classes = check_count("class_probabilities", number, 2, None, remedy)
        return math.log(classes), classes
    shares = as_vector("class_probabilities", given)
    check_finite("class_probabilities", shares)
    if shares.size < 2 or (shares <= 0).any() or abs(shares.sum() - 1) > 1e-6:
        got = f"{shares.size} entries from {shares.min(initial=np.inf):g}, sum {shares.sum():g}"
        fail("class_probabilities", got, "two or more positive entries that sum to 1", remedy)
    shares = shares / shares.sum()
    return -float((shares * np.log(shares)).sum()), shares.size


def _check_width(vae: LinearVAE, spectrum: Spectrum) -> None:
    check_spectrum(spectrum)
    if not isinstance(vae, LinearVAE):
        remedy = "see LinearVAE.from_layers"
        fail("vae", type(vae).__name__, "a LinearVAE", remedy, InputTypeError)
    if vae.n_features != spectrum.n_features:
        fail(
            "spectrum",
            f"{spectrum.n_features} features",
            f"{vae.n_features} as in the model",
            "evaluate on data of the same width",
        )
