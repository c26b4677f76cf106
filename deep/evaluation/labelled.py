"""Images with labels, for a classifier whose features compare images of a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deep._checks import fail
from deep.config import DataConfig
from deep.data.batches import to_scale
from deep.data.dataset import DataSet
from deep.data.load import load_dataset
from deep.errors import DataError
from deep.evaluation.samples import Shape, image_shape_of, to_images
from deep.randomness import generator, numpy_generator

__all__ = ["LabelledImages", "labelled_images", "with_labels"]

_MOST = 60_000  # images; more make the classifier of a few minutes no better
_LEAST = 50  # images of a class on average, to learn the class from
_EVERY = 10  # one image in so many is held out
_TURNS = 4


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images as they are stored, with classes 0, 1, ..., in a random order.

    Attributes
    ----------
    images : ndarray (N, C, H, W)
        uint8, bool or floating point.
    labels : ndarray of int (N,)
    n_classes : int
    source : str
        What the images and the labels are, for reports.
    data_range : (float, float)
    drawn : bool
        Grey values are probabilities: pixels are 0 or 1, drawn anew at every step.
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]
    n_classes: int
    source: str
    data_range: tuple[float, float]
    drawn: bool

    @property
    def shape(self) -> Shape:
        """Channels, height and width."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def n_train(self) -> int:
        """Images to learn from; the others, at the end, are held out."""
        return len(self.images) - max(1, len(self.images) // _EVERY)

    def checksum(self) -> str:
        """SHA-256 of images and labels."""
        found = hashlib.sha256(f"{self.images.dtype} {self.images.shape}".encode())
        for part in (self.images, self.labels):
            found.update(np.ascontiguousarray(part).data)
        return found.hexdigest()

    def batch(self, step: int, batch_size: int, seed: int) -> tuple[Tensor, Tensor]:
        """Images in [0, 1] and labels of a training step; a pure function of the arguments."""
        epoch, place = divmod(step, max(1, self.n_train // batch_size))
        order = torch.randperm(self.n_train, generator=generator(seed, "features", epoch))
        chosen = order[place * batch_size : (place + 1) * batch_size].numpy()
        return self._images(chosen, seed, step), torch.from_numpy(self.labels[chosen])

    def held_out(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and labels that no training step sees."""
        for start in range(self.n_train, len(self.images), batch_size):
            chosen = np.arange(start, min(start + batch_size, len(self.images)))
            yield self._images(chosen, 0, start), torch.from_numpy(self.labels[chosen])

    def _images(self, chosen: NDArray[Any], seed: int, use: int) -> Tensor:
        stored = to_scale(torch.from_numpy(self.images[chosen]), torch.float32)
        images = to_images(stored, self.shape, data_range=self.data_range)
        if self.drawn:
            return torch.bernoulli(images, generator=generator(seed, "features draw", use))
        return images


def labelled_images(config: DataConfig) -> LabelledImages:
    """Labelled images for the data set of a configuration, of its train split.

    Its own labels, where it has them and a class has 50 images or more. Binarized MNIST has none:
    MNIST stands for it, its grey values drawn as 0 or 1, looked for in the folder of the path and
    beside it. For others the label is by how many quarter turns an image was rotated.

    Raises
    ------
    DataError
        No images; nothing to learn from: no MNIST for binarized MNIST, no square images to turn.
    """
    whole = config.model_copy(update={"limit": None, "augment": "none"})
    if config.name == "binarized_mnist":
        return with_labels(_grey_mnist(whole))
    return with_labels(load_dataset(whole, split="train", count=_MOST))


def with_labels(data: DataSet) -> LabelledImages:
    """Images of a data set in a random order, with its labels or with labels made of turns."""
    shape = image_shape_of(data.sample_shape)
    if data.data_range is None:
        fail(data.name, "samples of unknown range", "pixels, of which black and white are known",
             "store them as uint8", DataError)  # fmt: skip
    order = numpy_generator(0, "features").permutation(len(data))[:_MOST]
    images = np.asarray(data.samples[order]).reshape(-1, *shape)
    drawn = " drawn as 0 or 1" if data.grey_probabilities else ""
    labels = None if data.labels is None else np.asarray(data.labels)[order]
    names = np.zeros(0) if labels is None else np.unique(labels)
    if labels is not None and len(names) > 1 and len(labels) >= _LEAST * len(names):
        source, classes = f"labels of {data.name}{drawn}", np.searchsorted(names, labels)
    else:
        images, classes = _turned(data.name, images)
        source, names = f"turns of {data.name}{drawn}", np.arange(_TURNS)
    return LabelledImages(images, classes.astype(np.int64), len(names), source, data.data_range,
                          data.grey_probabilities)  # fmt: skip


def _turned(name: str, images: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Each image rotated by 0 to 3 quarter turns, and by how many."""
    if images.shape[-1] != images.shape[-2] or len(images) < _LEAST:
        fail(name, f"{len(images)} images of shape {images.shape[1:]} without usable labels",
             f"labels with {_LEAST} images a class, or {_LEAST} square images",
             "crop them with data.size, or name a file of features", DataError)  # fmt: skip
    turns = numpy_generator(1, "features").integers(0, _TURNS, len(images))
    turned = np.empty_like(images)
    for turn in range(_TURNS):
        turned[turns == turn] = np.rot90(images[turns == turn], turn, axes=(-2, -1))
    return turned, turns


def _grey_mnist(config: DataConfig) -> DataSet:
    places: list[str | None] = [None]
    if config.path is not None:
        given = Path(config.path).expanduser()
        places = [str(given), *(str(parent) for parent in (given.parent, given.parent.parent))]
    reasons = []
    for place in places:
        wanted = DataConfig(name="mnist", path=place, binarise=True)
        try:
            data = load_dataset(wanted, split="train")
        except DataError as error:
            reasons.append(str(error))
            continue
        if data.labels is not None:
            return data
        reasons.append(f"no labels in {place}")
    fail("features", f"no labelled MNIST ({reasons[0][:200]})",
         "its four files: binarized MNIST has no labels to learn features from",
         "put them into the folder of the data, in or beside which they are looked for, or "
         "name a file of features", DataError)  # fmt: skip
