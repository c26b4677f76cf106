"""What papers on images plot against β: active units, Fréchet distances, PSNR, consistency."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deep._checks import fail
from deep.data.batches import to_scale
from deep.data.binarise import binarise_once
from deep.data.dataset import DataSet
from deep.errors import DataError
from deep.evaluation.consistency import consistency
from deep.evaluation.curve import evaluate_curve
from deep.evaluation.curves import psnr
from deep.evaluation.features import FeatureExtractor, features_of
from deep.evaluation.frechet import (
    GaussianMoments,
    extrapolated_frechet,
    frechet_distance,
    moments_of,
)
from deep.evaluation.latents import active_units
from deep.evaluation.passes import FloatArray, check_counts, sealed
from deep.evaluation.samples import (
    NetworkRow,
    Pixels,
    Shape,
    generated,
    image_shape_of,
    prior_latents,
    prior_samples,
    reconstructed,
    to_images,
    usual_pixels,
)
from deep.randomness import numpy_generator

__all__ = ["Quality", "RealImages", "assess", "real_images", "real_images_from"]

_PARTS = 4  # of the extrapolation; fewer where samples are few
_LATENTS = 200  # of the consistency


@dataclass(frozen=True, eq=False)
class RealImages:
    """Held-out images with their features, computed once and held against many networks.

    Attributes
    ----------
    samples : Tensor (N, ...)
        As the networks see them.
    features : ndarray (N, m)
    extractor : FeatureExtractor
    data_range : (float, float)
        Black and white in data units.
    floor : float
        Fréchet distance between these images and N of the training split: what a perfect generator
        of equally many images would have.
    floor_infinite : float or None
        The same, extrapolated to infinitely many images; None where there are too few.
    """

    samples: Tensor
    features: FloatArray
    extractor: FeatureExtractor
    data_range: tuple[float, float]
    floor: float
    floor_infinite: float | None

    @property
    def shape(self) -> Shape:
        """Channels, height and width."""
        return image_shape_of(self.samples.shape[1:])


@dataclass(frozen=True, eq=False)
class Quality:
    """Of the images of one network, or of one row of dedicated networks, at each of B β's.

    Attributes
    ----------
    betas : ndarray (B,)
    rate : ndarray (B,)
        Nats per image.
    active_units : ndarray of int (B,)
    latent_dim : int
        k, the most there can be.
    frechet_samples : ndarray (B,)
        Squared Fréchet distance between images of latents of the prior and the held-out ones, N of
        each, squared units of the features.
    frechet_samples_infinite : ndarray (B,) or None
        Extrapolated to infinitely many of both; None where there are too few.
    frechet_reconstructions : ndarray (B,)
        Between reconstructions of the held-out images, from the mean of the posterior, and these
        images themselves: 0 for perfect ones, as both sets hold the same images.
    floor, floor_infinite : float
        As of :class:`RealImages`; what ``frechet_samples`` would be for fresh real images.
    psnr : ndarray (B,)
        Decibels, of the average squared error over the posterior.
    consistency_pixels, consistency_features : ndarray (B - 1,)
        Of each β and the next one; empty for one β.
    features, features_sha256 : str
        The extractor and the checksum of its weights.
    pixels : str
        ``drawn`` or ``mean``: what stood for an image of the networks in the Fréchet distances.
    n_images : int
        N.
    """

    betas: FloatArray
    rate: FloatArray
    active_units: NDArray[np.intp]
    latent_dim: int
    frechet_samples: FloatArray
    frechet_samples_infinite: FloatArray | None
    frechet_reconstructions: FloatArray
    floor: float
    floor_infinite: float | None
    psnr: FloatArray
    consistency_pixels: FloatArray
    consistency_features: FloatArray
    features: str
    features_sha256: str
    pixels: Pixels
    n_images: int

    def as_plain(self) -> dict[str, Any]:
        """Plain values for a record in JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in values.items()
        }

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> Quality:
        """Read what :meth:`as_plain` wrote.

        Raises
        ------
        InputError
            Entries that are missing or too many.
        """
        names = {field.name for field in fields(cls)}
        if content.keys() != names:
            fail("quality", f"entries {sorted(content.keys() ^ names)} missing or too many",
                 "what as_plain wrote", "measure it again")  # fmt: skip
        values: dict[str, Any] = {
            name: np.array(value) if isinstance(value, list) else value
            for name, value in content.items()
        }
        return cls(**values)


def real_images(
    held_out: Tensor | NDArray[np.generic],
    train: Tensor | NDArray[np.generic],
    extractor: FeatureExtractor,
    *,
    data_range: tuple[float, float] = (0.0, 1.0),
) -> RealImages:
    """Features of held-out images, and their distance from as many of the training split.

    Parameters
    ----------
    held_out, train : Tensor or array (N, ...), (M, ...)
        As networks see them; of the training split the first N count. See
        :func:`real_images_from` for data sets in the order of classes or of drawn pixels.
    extractor : FeatureExtractor
    data_range : (low, high)

    Raises
    ------
    InputError
        Fewer than two samples, samples that are no images, fewer training than held-out ones.
    """
    samples, others = _as_seen(held_out), _as_seen(train[: len(held_out)])
    if len(samples) < 2 or len(others) < len(samples):
        fail("images", f"{len(samples)} held out and {len(others)} for training",
             "two or more, and as many for training", "evaluate fewer of them")  # fmt: skip
    shape = image_shape_of(samples.shape[1:])
    found, floor_side = (
        features_of(extractor, to_images(part, shape, data_range=data_range).float())
        for part in (samples, others)
    )
    floor = frechet_distance(moments_of([found]), moments_of([floor_side]))
    return RealImages(samples, found, extractor, data_range, floor,
                      _infinite(floor_side, found))  # fmt: skip


def real_images_from(
    held_out: DataSet, train: DataSet, extractor: FeatureExtractor, *, limit: int | None = None
) -> RealImages:
    """Features of ``limit`` held-out images, evenly spread; the training ones are taken at random.

    Pixels that training draws anew at every step are drawn once.

    Raises
    ------
    DataError
        Data of unknown range.
    InputError
        As :func:`real_images`.
    """
    test = held_out.spread(limit)
    if test.data_range is None:
        fail(test.name, "samples of unknown range", "pixels, of which black and white are known",
             "store them as uint8", DataError)  # fmt: skip
    chosen = numpy_generator(0, "floor").permutation(len(train))[: len(test)]
    others = replace(train, samples=np.asarray(train.samples[chosen]), labels=None)
    pixels = others.tensor()
    if train.grey_probabilities:
        pixels = torch.from_numpy(binarise_once(pixels.numpy(), "floor")).float()
    return real_images(test.tensor(), pixels, extractor, data_range=test.data_range)


def assess(
    row: NetworkRow,
    real: RealImages,
    *,
    pixels: Pixels | None = None,
    seed: int = 0,
    noise_draws: int = 1,
    batch_size: int = 1000,
) -> Quality:
    r"""Measure a row of networks on images.

    .. math:: d^2(\beta) = d^2\big(\{f(x) : x \sim p_\beta\},\ \{f(x) : x \text{ held out}\}\big)

    Generated images are as many as held-out ones, of the same latents at every β. For a Bernoulli
    model of binary data an image is a draw of its pixels, of the kind that the data are: its means
    are grey, and would be told from data by that alone. Other models are judged by their means, as
    is the custom for images; the Gaussian noise of p(x|z) would be seen as noise of the pixels.

    Parameters
    ----------
    row : NetworkRow
    real : RealImages
    pixels : {"mean", "drawn"}, optional
        :func:`deep.evaluation.samples.usual_pixels` when omitted.
    seed : int
        Of all latents.
    noise_draws, batch_size : int
        As for :func:`deep.evaluation.curve.evaluate_curve`.

    Returns
    -------
    Quality

    Raises
    ------
    InputError
        Pixels drawn from a likelihood that is not Bernoulli; networks of images of another shape.
    DivergenceError
        A network whose values are not finite.
    """
    check_counts(noise_draws=noise_draws, batch_size=batch_size)
    chosen = pixels or usual_pixels(row.likelihoods[0], real.samples)
    curve, units = _along(row, real, seed, noise_draws, batch_size)
    latents = prior_latents(len(real.samples), row.latent_dim, seed=seed)
    distances = [
        _distances(*member, latents, real, pixels=chosen, seed=seed) for member in row
    ]  # fmt: skip
    made, infinite, again = zip(*distances, strict=True)
    shown = prior_samples(row, latents[:_LATENTS], real.shape, data_range=real.data_range)
    return Quality(
        betas=row.betas,
        rate=sealed([point[0] for point in curve]),
        active_units=np.array(units, dtype=np.intp),
        latent_dim=row.latent_dim,
        frechet_samples=sealed(made),
        frechet_samples_infinite=None if None in infinite else sealed(infinite),
        frechet_reconstructions=sealed(again),
        floor=real.floor,
        floor_infinite=real.floor_infinite,
        psnr=sealed([point[1] for point in curve]),
        consistency_pixels=_neighbours(shown, None),
        consistency_features=_neighbours(shown, real.extractor),
        features=real.extractor.name,
        features_sha256=real.extractor.sha256,
        pixels=chosen,
        n_images=len(real.samples),
    )


def _as_seen(values: Tensor | NDArray[np.generic]) -> Tensor:
    """Bytes and bits on the scale that networks see; floating-point numbers as they are."""
    tensor = torch.as_tensor(values)
    return to_scale(tensor, tensor.dtype if tensor.is_floating_point() else torch.float32)


def _along(
    row: NetworkRow, real: RealImages, seed: int, noise_draws: int, batch_size: int
) -> tuple[list[tuple[float, float]], list[int]]:
    """(rate, PSNR) and active units at each β."""
    span = real.data_range[1] - real.data_range[0]
    points, units = [], []
    for network, likelihood, beta in row:
        found = evaluate_curve(network, real.samples, beta, likelihood, seed=seed,
                               noise_draws=noise_draws, batch_size=batch_size)  # fmt: skip
        peak = psnr(found.squared_error, found.n_features, data_range=span)
        points.append((float(found.rate[0]), float(peak[0])))
        active = active_units(network, real.samples, beta, batch_size=batch_size)
        units.append(int(active.count[0]))
    return points, units


def _distances(
    network: Any,
    likelihood: Any,
    beta: float,
    latents: Tensor,
    real: RealImages,
    *,
    pixels: Pixels,
    seed: int,
) -> tuple[float, float | None, float]:
    """Fréchet distance of samples, the same extrapolated, and of reconstructions."""
    kind: dict[str, Any] = {"data_range": real.data_range, "pixels": pixels, "seed": seed}
    known = moments_of([real.features])

    def features(chunks: Iterable[Tensor]) -> FloatArray:
        return np.concatenate([features_of(real.extractor, chunk) for chunk in chunks])

    made = features(generated(network, likelihood, beta, latents, real.shape, **kind))
    again = features(reconstructed(network, likelihood, beta, real.samples, real.shape, **kind))
    return (_between(made, known), _infinite(made, real.features), _between(again, known))


def _between(features: FloatArray, known: GaussianMoments) -> float:
    return frechet_distance(moments_of([features]), known)


def _infinite(first: FloatArray, second: FloatArray) -> float | None:
    """Extrapolated distance; None where two parts would be too small for it."""
    parts = min(_PARTS, (min(len(first), len(second)) - 1) // first.shape[1])
    while parts > 1 and min(len(first), len(second)) // parts <= first.shape[1]:
        parts -= 1
    return None if parts < 2 else extrapolated_frechet(first, second, parts=parts).infinite


def _neighbours(images: Tensor, extractor: FeatureExtractor | None) -> FloatArray:
    if images.shape[0] < 2 or images.shape[1] < 2:
        return sealed(np.zeros(0))
    return consistency(images, extractor).neighbours
