"""Samples and eigenvectors of image-shaped data, small enough for a page that reconstructs them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linvae._validation import FloatArray, fail
from linvae.spectrum import Spectrum

__all__ = ["Images", "check_image_shape", "guess_image_shape", "image_parts"]

# Bytes of mean and eigenvectors on the page, and of samples; a third more once written as text.
_BUDGET = 640_000
_SAMPLE_BUDGET = 150_000
_MOST_SAMPLES = 10
_LEAST_SIDE = 8  # fewer features that happen to be a square number are rarely an image


@dataclass(frozen=True, eq=False)
class Images:
    """What a page needs to reconstruct samples at any β.

    Attributes
    ----------
    shape : tuple of int
        (height, width) or (height, width, 3).
    rows : ndarray, shape (S,)
        Which samples of the data.
    data : dict
        For the page's script; arrays as base64 text.
    error : float
        Bound on how far a pixel of a reconstruction, in data units, can be from the exact one at
        any β: eigenvectors are stored in 16 or 8 bits. Drawing rounds to 256 levels besides.
    black, white : float
        Data values that are drawn as black and as white.
    """

    shape: tuple[int, ...]
    rows: NDArray[np.intp]
    data: dict[str, Any]
    error: float
    black: float
    white: float


def guess_image_shape(
    stored_shape: Sequence[int], n_features: int
) -> tuple[tuple[int, ...], str] | None:
    """Guess how a sample is drawn.

    Parameters
    ----------
    stored_shape : sequence of int
        Shape of the data before samples were flattened, (N, H, W), (N, H, W, 3) or (N, n).
    n_features : int

    Returns
    -------
    (shape, reason) or None
        The shape as it was stored, else a square of at least 8 x 8; None when neither fits.
    """
    each = tuple(int(size) for size in stored_shape[1:])
    if len(each) == 2 or (len(each) == 3 and each[2] == 3):
        return each, "as stored in the file"
    side = round(n_features**0.5)
    if len(each) == 1 and side >= _LEAST_SIDE and side * side == n_features:
        return (side, side), f"guessed, as {n_features} features make a square"
    return None


def check_image_shape(name: str, shape: Sequence[int], n_features: int) -> tuple[int, ...]:
    """Return the shape if it is that of a picture of `n_features` values.

    Raises
    ------
    InputError
        Not (H, W) or (H, W, 3), or of another size than a sample.
    """
    sizes = tuple(int(size) for size in shape)
    good = len(sizes) in (2, 3) and min(sizes) >= 1 and sizes[2:] in ((), (3,))
    if not good or int(np.prod(sizes)) != n_features:
        fail(name, " x ".join(map(str, sizes)) or "nothing",
             f"H W or H W 3 with a product of {n_features}, the number of features",
             "give the height and width of one sample")  # fmt: skip
    return sizes


def image_parts(
    spectrum: Spectrum, samples: Any, latent_dim: int, shape: tuple[int, ...]
) -> Images | None:
    r"""Store what reconstructs some samples at any β.

    .. math:: \hat x(\beta) = \mu + \sum_{i\le k} \Bigl(1-\frac{\tau}{\lambda_i}\Bigr)_+
              a_i u_i, \qquad a_i = u_i^\top (x - \mu)

    This is what the decoder makes of the posterior mean of x. The factors are at most 1, so an
    error :math:`\delta_i` of an eigenvector moves no pixel by more than
    :math:`\sum_i |a_i|\,\delta_i`, whatever β.

    Returns
    -------
    Images or None
        None when the eigenvectors are too many for a page.
    """
    modes = min(latent_dim, spectrum.rank)
    n = spectrum.n_features
    spare = _BUDGET - n * (modes + 8)
    if spare < 0:
        return None
    count = min(_MOST_SAMPLES, max(_SAMPLE_BUDGET // n, 1))
    rows = np.unique(np.linspace(0, len(samples) - 1, count).round().astype(np.intp))
    chosen = np.asarray(samples[rows], dtype=np.float64)  # shape: (S, n)
    vectors = spectrum.leading_eigenvectors(modes)  # shape: (n, modes)
    places = (chosen - spectrum.mean) @ vectors  # shape: (S, modes)
    fine = min(modes, spare // n)  # these in 16 bits, the others in 8
    steps = _steps(vectors, fine)
    counts = np.rint(vectors / steps).T  # shape: (modes, n)
    # Half a step by rounding, and the rounding of the whole sum in double precision.
    sizes = np.abs(places) @ np.abs(vectors).max(axis=0, initial=0.0)[:modes]
    error = (np.abs(places) @ (steps / 2)).max(initial=0.0)
    slack = 1e-12 * (sizes.max(initial=0.0) + np.abs(spectrum.mean).max())
    black, white = float(chosen.min()), float(chosen.max())
    white = white if white > black else black + 1.0
    data = {
        "shape": shape,
        "rows": rows,
        "black": black,
        "white": white,
        "places": _text(places, "<f8"),
        "steps": steps,
        "fine": fine,
        "mean": _text(spectrum.mean, "<f8"),
        "samples": _text(np.rint((chosen - black) / (white - black) * 255), "u1"),
        "vectors16": _text(counts[:fine], "<i2"),
        "vectors8": _text(counts[fine:], "<i1"),
    }
    return Images(shape, rows, data, float(error + slack), black, white)


def _steps(vectors: FloatArray, fine: int) -> FloatArray:
    """Size of one count of every eigenvector, shape (modes,)."""
    largest = np.abs(vectors).max(axis=0, initial=0.0)[: vectors.shape[1]]
    levels = np.where(np.arange(vectors.shape[1]) < fine, 2**15 - 1, 2**7 - 1)
    return np.asarray(np.where(largest > 0, largest, 1.0) / levels)


def _text(array: NDArray[Any], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array.astype(kind)).tobytes()).decode()
