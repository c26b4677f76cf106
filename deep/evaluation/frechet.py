"""The Fréchet distance between two sets of features, and what its finite samples add to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from deep._checks import fail
from deep.evaluation.passes import FloatArray, Moments, as_array, sealed
from deep.randomness import numpy_generator

__all__ = [
    "Extrapolation",
    "GaussianMoments",
    "extrapolated_frechet",
    "feature_array",
    "frechet_distance",
    "moments_of",
]

# An eigenvalue of a covariance may be so far below 0, relative to the largest, by rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class GaussianMoments:
    """Mean and covariance of m features.

    Attributes
    ----------
    mean : ndarray (m,)
    covariance : ndarray (m, m)
        Symmetric and positive semidefinite; of any rank.
    count : int or None
        Number of samples behind them; None for those of a population.

    Raises
    ------
    InputError
        Shapes that do not fit, values that are not finite, a covariance that is not symmetric.
    """

    mean: FloatArray
    covariance: FloatArray
    count: int | None = None

    def __post_init__(self) -> None:
        mean, covariance = sealed(self.mean), sealed(self.covariance)
        if mean.ndim != 1 or mean.size == 0 or covariance.shape != (mean.size, mean.size):
            fail("moments", f"shapes {mean.shape} and {covariance.shape}", "(m,) and (m, m)",
                 "pass a mean and its covariance")  # fmt: skip
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            fail("moments", "values that are not finite", "finite numbers", "check the features")
        skew = np.abs(covariance - covariance.T).max()
        if skew > _ROUNDING * np.abs(covariance).max():
            fail("covariance", f"entries that differ by {skew:.3g} from their mirror image",
                 "a symmetric matrix", "pass (C + C.T) / 2")  # fmt: skip
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "covariance", sealed((covariance + covariance.T) / 2))


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """A Fréchet distance at several numbers of samples, and where it goes as they grow.

    Attributes
    ----------
    value : float
        Of all samples.
    infinite : float
        Extrapolated to infinitely many; an estimate, and not bounded by 0.
    parts : ndarray of int (K,)
        1, 2, ..., K: into so many parts both sets were divided.
    distances : ndarray (K,)
        Average over the parts.
    """

    value: float
    infinite: float
    parts: NDArray[np.intp]
    distances: FloatArray


def feature_array(features: Tensor | ArrayLike) -> FloatArray:
    """Features (N, m) as float64.

    Raises
    ------
    InputError
        Another number of dimensions, no features, or values that are not finite.
    """
    plain = features.detach().cpu().double() if isinstance(features, Tensor) else features
    values = as_array(plain) if isinstance(plain, Tensor) else np.asarray(plain, np.float64)
    if values.ndim != 2 or 0 in values.shape:
        fail("features", f"shape {values.shape}", "(N, m)", "pass one row of features per image")
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        fail("features", f"values that are not finite in row {place}", "finite numbers",
             "check the images and the extractor")  # fmt: skip
    return values


def moments_of(chunks: Iterable[Tensor | ArrayLike]) -> GaussianMoments:
    r"""Mean and covariance of features that come in chunks (N, m), in one pass.

    .. math:: \mu = \frac1N \sum_i f_i, \qquad C = \frac1{N-1} \sum_i (f_i-\mu)(f_i-\mu)^\top

    The divisor N − 1 is that of the published implementations of the distance. How the samples are
    cut into chunks changes the result by rounding only.

    Raises
    ------
    InputError
        Fewer than two samples in all, chunks of different widths, values that are not finite.
    """
    found = Moments()
    width = None
    for chunk in chunks:
        values = feature_array(chunk)
        if width is not None and values.shape[1] != width:
            fail("features", f"chunks of {width} and of {values.shape[1]} features",
                 "one number of features", "use one extractor")  # fmt: skip
        width = values.shape[1]
        found.add(values[None])
    if found.count < 2:
        fail("features", f"{found.count} samples", "two or more", "a covariance needs them")
    return GaussianMoments(found.mean[0], found.covariance()[0], found.count)


def frechet_distance(first: GaussianMoments, second: GaussianMoments) -> float:
    r"""Squared Fréchet distance between two normal distributions.

    .. math:: d^2 = \lVert \mu_1 - \mu_2 \rVert^2
              + \operatorname{tr}\!\big[C_1 + C_2 - 2 (C_1^{1/2} C_2 C_1^{1/2})^{1/2}\big]

    Of the features of a network it is what "Fréchet inception distance" names. From finite samples
    it is too large on average, by about a constant over their number, even between two halves of
    one set: see :func:`extrapolated_frechet`.

    Parameters
    ----------
    first, second : GaussianMoments
        Covariances of any rank.

    Returns
    -------
    float
        >= 0, squared units of the features.

    Raises
    ------
    InputError
        Different widths; a covariance with a negative eigenvalue.

    Notes
    -----
    Source: Dowson and Landau 1982; Heusel et al. 2017. Computed as the least
    :math:`\lVert C_1^{1/2} - C_2^{1/2} Q\rVert^2` over rotations Q: a sum of squares, real whatever
    the ranks, where the trace would cancel.
    """
    if first.mean.size != second.mean.size:
        fail("features", f"{first.mean.size} and {second.mean.size} of them", "equally many",
             "use one extractor for both sets")  # fmt: skip
    shift = ((first.mean - second.mean) ** 2).sum()
    one, other = _root(first.covariance), _root(second.covariance)
    outer, _, inner = np.linalg.svd(other @ one)
    return float(shift + ((one - other @ (outer @ inner)) ** 2).sum())


def extrapolated_frechet(
    first: Tensor | ArrayLike, second: Tensor | ArrayLike, *, parts: int = 4, seed: int = 0
) -> Extrapolation:
    r"""Fréchet distance between two sets of features, extrapolated to infinitely many samples.

    .. math:: d^2(N_1/k,\, N_2/k) \approx d^2_\infty + k\, c, \qquad k = 1, \dots, K

    Both sets are shuffled and divided into k parts; the distance of part against part is averaged
    over the k of them, so that every sample counts at every k. A straight line through the K
    averages, by least squares, is read at k = 0. What remains is of the order 1/N², and noise.

    Parameters
    ----------
    first, second : array (N₁, m) and (N₂, m)
    parts : int
        K >= 2.
    seed : int
        Of the division.

    Returns
    -------
    Extrapolation

    Raises
    ------
    InputError
        As ``moments_of``; parts that hold no more samples than there are features, where the law
        does not hold.

    Notes
    -----
    Source: Chong and Forsyth 2020, who keep one of the two sets whole.
    """
    sets = feature_array(first), feature_array(second)
    smallest = min(len(values) for values in sets) // max(parts, 1)
    if parts < 2 or smallest <= sets[0].shape[1]:
        fail("parts", f"{parts}, of {smallest} samples each, for {sets[0].shape[1]} features",
             "two parts or more, each with more samples than features",
             "pass more samples or fewer parts")  # fmt: skip
    shuffled = [
        values[numpy_generator(seed, "frechet", which).permutation(len(values))]
        for which, values in enumerate(sets)
    ]
    counts = np.arange(1, parts + 1)
    averages = np.array([_average(shuffled, int(count)) for count in counts])
    infinite = np.polyfit(counts, averages, 1)[1]
    counts.setflags(write=False)
    return Extrapolation(float(averages[0]), float(infinite), counts, sealed(averages))


def _average(sets: list[FloatArray], parts: int) -> float:
    """Mean distance of part against part."""
    divided = [np.array_split(values, parts) for values in sets]
    distances = [
        frechet_distance(moments_of([one]), moments_of([other]))
        for one, other in zip(*divided, strict=True)
    ]
    return float(np.mean(distances))


def _root(covariance: FloatArray) -> FloatArray:
    """Symmetric square root; eigenvalues that rounding made negative count as 0."""
    values, vectors = np.linalg.eigh(covariance)
    if values[0] < -_ROUNDING * max(values[-1], 0.0) - np.finfo(np.float64).tiny:
        fail("covariance", f"an eigenvalue of {values[0]:.3g}", "none below 0",
             "pass the covariance of samples")  # fmt: skip
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)
