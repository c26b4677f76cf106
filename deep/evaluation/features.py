"""Features of images, in which distances between sets of images are taken."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from deep._checks import fail
from deep.errors import DataError
from deep.evaluation.frechet import GaussianMoments, feature_array, moments_of
from deep.evaluation.passes import FloatArray, check_counts
from deep.training.files import digest

__all__ = ["FeatureExtractor", "TorchScriptFeatures", "feature_moments", "features_of"]

_BATCH = 500


class FeatureExtractor(Protocol):
    """From images (N, C, H, W) in [0, 1] to features (N, m).

    Attributes
    ----------
    name : str
        What reports show: distances in different features do not compare.
    sha256 : str
        Of the weights.
    """

    name: str
    sha256: str

    def __call__(self, images: Tensor) -> Tensor:
        """Features of each image; of one image they do not depend on the others."""
        ...


class TorchScriptFeatures:
    r"""A network in a TorchScript file, such as an Inception network that the user has.

    .. math:: f(x) = F\big((\operatorname{resize}(x) - m) / s\big)

    Images are resized bilinearly, with antialiasing, to ``size`` × ``size``; a grey one gets three
    equal channels. With the defaults the network sees values in [−1, 1] at 299 × 299, as Inception
    networks do. For one that takes 0 to 255 and resizes by itself pass ``size=None``, ``mean=0``,
    ``deviation=1/255``. Whatever it returns beyond the first dimension are features.

    Parameters
    ----------
    path : path
        A TorchScript archive is a program: it runs when called, and may read and write files. Load
        those whose origin you trust.
    size : int or None
        None: as the images are.
    mean, deviation : float
        m and s.

    Raises
    ------
    DataError
        No such file, or no TorchScript.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        size: int | None = 299,
        mean: float = 0.5,
        deviation: float = 0.5,
    ) -> None:
        if size is not None:
            check_counts(size=size)
        self._size, self._mean, self._deviation = size, float(mean), float(deviation)
        if not np.isfinite(self._mean) or not 0 < self._deviation < np.inf:
            fail("normalisation", f"mean {mean}, deviation {deviation}",
                 "finite numbers, the second > 0", "0.5 and 0.5 give [−1, 1]")  # fmt: skip
        self._network, self.sha256 = _load_script(Path(path))
        resized = "as they are" if size is None else f"at {size} x {size}"
        self.name = (f"TorchScript {Path(path).name}, images {resized}, "
                     f"(x - {self._mean:g}) / {self._deviation:g}")  # fmt: skip

    def __call__(self, images: Tensor) -> Tensor:
        """Features (N, m)."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        if self._size is not None and images.shape[-2:] != (self._size, self._size):
            images = torch.nn.functional.interpolate(
                images, (self._size, self._size), mode="bilinear", antialias=True
            )
        try:
            found = self._network((images - self._mean) / self._deviation)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1][:160]
            fail(self.name, f"an error on images of shape {tuple(images.shape)} ({reason})",
                 "a network that takes them", "check the size and the number of channels",
                 DataError)  # fmt: skip
        if not isinstance(found, Tensor) or found.ndim < 2:
            fail(self.name, f"an output of type {type(found).__name__}", "a tensor (N, ...)",
                 "script a network that returns features alone", DataError)  # fmt: skip
        return found.flatten(1)


def features_of(
    extractor: FeatureExtractor, images: Tensor, *, batch_size: int = _BATCH
) -> FloatArray:
    """Features (N, m) of images (N, C, H, W), float64.

    Raises
    ------
    InputError
        Images of another shape or beyond [0, 1]; features that are not finite or not one row per
        image.
    """
    return np.concatenate(list(_batches(extractor, [images], batch_size)))


def feature_moments(
    extractor: FeatureExtractor, chunks: Iterable[Tensor], *, batch_size: int = _BATCH
) -> GaussianMoments:
    """Mean and covariance of the features of images that come in chunks, never held together.

    Raises
    ------
    InputError
        As :func:`features_of` and :func:`deep.evaluation.frechet.moments_of`.
    """
    return moments_of(_batches(extractor, chunks, batch_size))


def _batches(
    extractor: FeatureExtractor, chunks: Iterable[Tensor], batch_size: int
) -> Iterator[FloatArray]:
    check_counts(batch_size=batch_size)
    for images in chunks:
        if images.ndim != 4 or 0 in images.shape or not images.is_floating_point():
            fail("images", f"shape {tuple(images.shape)} of {images.dtype}",
                 "(N, C, H, W), floating point", "make them with to_images")  # fmt: skip
        low, high = torch.aminmax(images)
        if not (low >= 0 and high <= 1):  # NaN fails too
            fail("images", f"values from {float(low):.4g} to {float(high):.4g}", "values in [0, 1]",
                 "make them with to_images")  # fmt: skip
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            with torch.no_grad():
                found = extractor(batch)
            values = feature_array(found)
            if len(values) != len(batch):
                fail(extractor.name, f"{len(values)} rows for {len(batch)} images",
                     "one row of features per image", "check the extractor")  # fmt: skip
            yield values


def _load_script(path: Path) -> tuple[Any, str]:
    """The program of a file in evaluation mode, and the checksum of the file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"features: got {str(path)!r} ({error.strerror}); expected a TorchScript file; check "
            "the path"
        ) from error
    try:
        with warnings.catch_warnings():
            # Announced for removal; what replaces it needs the program's source.
            warnings.simplefilter("ignore", DeprecationWarning)
            network = torch.jit.load(io.BytesIO(data), map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"features: got {str(path)!r}, which is no TorchScript; expected a file of "
            "torch.jit.save; export the network with it"
        ) from error
    return network.eval(), digest(data)
