"""From the data section of a configuration to samples, batches and sources.

Splits: MNIST, Fashion-MNIST, Omniglot, CIFAR-10, CIFAR-100 and SVHN have train and test, binarized
MNIST and CelebA train, valid and test, as they were published. Of the 1797 digits the last 297 are
the test split. A folder of one's own holds train.npy, test.npy and the like, or, of images, folders
train, test and the like; its train file decides what scale bytes are on. Where there are no splits
(a single file, a folder of images without them, sheets of CIFAR-10) every tenth sample (the 10th,
20th, ...) is the test split and the rest train. No split is drawn at random.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch

from deep.config import DataConfig
from deep.data.augment import FlippedBatches
from deep.data.batches import Batches, TensorBatches
from deep.data.binarise import BinarisedBatches, binarise_once
from deep.data.dataset import DataSet
from deep.data.files import refuse
from deep.data.gaussian import GaussianSource
from deep.data.pictures import Pictures
from deep.data.registry import REMOTE_SETS
from deep.data.sets.builtin import load_digits_set, load_drawn
from deep.data.sets.celeba import celeba_pictures
from deep.data.sets.cifar import load_cifar
from deep.data.sets.images import image_pictures
from deep.data.sets.mnist import load_mnist
from deep.data.sets.omniglot import load_omniglot
from deep.data.sets.own_file import load_file
from deep.data.sets.svhn import load_svhn
from deep.data.splits import Split
from deep.data.streaming import StreamedBatches

__all__ = ["DataSet", "Split", "batches_from", "load_dataset", "source_from"]

_Loader: TypeAlias = Callable[[DataConfig, Split], DataSet]

_LOADERS: dict[str, _Loader] = {
    "digits": load_digits_set,
    **dict.fromkeys(REMOTE_SETS, load_mnist),
    "omniglot": load_omniglot,
    "cifar10": load_cifar,
    "cifar100": load_cifar,
    "svhn": load_svhn,
    "file": load_file,
    "gaussian": load_drawn,
}
# Sets whose images are decoded one by one, so that they need not fit in memory.
_PICTURES: dict[str, Callable[[DataConfig, Split], Pictures]] = {
    "celeba": celeba_pictures,
    "images": image_pictures,
}
_SIZES = {"digits": 8, **dict.fromkeys(REMOTE_SETS, 28)}
_MIRRORED = "half of the images mirrored anew at every step"


def load_dataset(config: DataConfig, *, split: Split, count: int | None = None) -> DataSet:
    """Load one split of the data that a configuration names.

    Parameters
    ----------
    config : DataConfig
        ``name``: digits, mnist, fashion_mnist, binarized_mnist, omniglot, cifar10, cifar100, svhn,
        celeba, images, file or gaussian. ``path``: of ``file`` a file or a folder, of ``images`` a
        folder or a zip file; of published sets what is to be read instead of the download.
        ``limit`` takes so many samples, evenly spread over the split.
    split : str
        See the head of this module.
    count : int, optional
        So many samples are enough: others are not decoded. They are spread evenly,
        as with ``limit``.

    Returns
    -------
    DataSet
        Images as (N, height, width), of colours (N, 3, height, width), in memory even where the
        configuration streams them; of a Gaussian source ``limit`` (10 000) float64 samples that
        are always the same, and others for every split.

    Raises
    ------
    DataError
        Unknown names, splits that do not exist, settings that do not belong to the data set, and
        whatever is wrong with the files or the download.
    """
    _check_settings(config)
    if config.name in _PICTURES:
        pictures = _PICTURES[config.name](config, split)
        try:
            data = pictures.spread(config.limit).spread(count).dataset()
        finally:
            pictures.members.close()
    else:
        data = _LOADERS[config.name](config, split).spread(config.limit).spread(count)
    if config.augment == "flip" and split == "train":
        data = replace(data, mirrored=True, notes=(*data.notes, _MIRRORED))
    return _binarised(data) if config.binarise else data


def source_from(config: DataConfig) -> GaussianSource | None:
    """The source of fresh samples of a configuration; None when it names a finite data set."""
    if config.name != "gaussian":
        return None
    _check_settings(config)
    return GaussianSource(config.spectrum or ())


def batches_from(
    data: DataConfig | DataSet | GaussianSource,
    *,
    dtype: torch.dtype = torch.float32,
    flatten: bool = False,
    channels: bool = False,
) -> Batches:
    """Training batches of a configuration (its train split), a data set or a source.

    Parameters
    ----------
    data : DataConfig, DataSet or GaussianSource
    dtype : torch.dtype
        Of the batches; a source that is given has its own.
    flatten : bool
        True: samples as vectors, for networks that take no images.
    channels : bool
        True: grey images as (1, height, width), for networks that take images.

    Raises
    ------
    DataError
        As :func:`load_dataset`; vectors that are to be mirrored.
    """
    if isinstance(data, DataConfig):
        source = source_from(data)
        if source is not None:
            return source.to(dtype)
        if data.streaming:
            return _streamed(data, dtype, flatten=flatten, channels=channels)
        data = load_dataset(data, split="train")
    if isinstance(data, GaussianSource):
        return data
    data = data.flattened() if flatten else data.with_channels() if channels else data
    batches = TensorBatches(torch.from_numpy(data.samples), dtype=dtype)
    return _drawn(batches, mirrored=data.mirrored, binarised=data.grey_probabilities)


def _streamed(config: DataConfig, dtype: torch.dtype, *, flatten: bool, channels: bool) -> Batches:
    """Batches of the train split from the disk."""
    _check_settings(config)
    pictures = _PICTURES[config.name](config, "train").spread(config.limit)
    shape = pictures.layout.shape
    if flatten:
        shape = (math.prod(shape),)
    elif channels and len(shape) == 2:
        shape = (1, *shape)
    batches = StreamedBatches(pictures, dtype=dtype, sample_shape=shape)
    return _drawn(batches, mirrored=config.augment == "flip", binarised=config.binarise)


def _drawn(batches: Batches, *, mirrored: bool, binarised: bool) -> Batches:
    if mirrored:
        batches = FlippedBatches(batches)
    return BinarisedBatches(batches) if binarised else batches


def _check_settings(config: DataConfig) -> None:
    name = config.name
    if name not in _LOADERS and name not in _PICTURES:
        refuse(f"{name!r}", f"one of {', '.join([*_LOADERS, *_PICTURES])}",
               "use file or images, with a path, for your own samples", "data.name")  # fmt: skip
    if config.path is not None and name in ("digits", "gaussian"):
        refuse(f"{config.path!r} for {name}", "no path", "use the name file", "data.path")
    if config.path == "" or (config.path is None and name in ("file", "images")):
        refuse("nothing", "the file or folder to read", "set it", "data.path")
    if config.key is not None and name not in ("file", "svhn"):
        refuse(f"{config.key!r} for {name}", "no key", "use the name file", "data.key")
    if (config.spectrum is None) == (name == "gaussian"):
        remedy = "list the eigenvalues" if name == "gaussian" else "use the name gaussian"
        refuse(f"{config.spectrum} for {name}", "eigenvalues for gaussian and for nothing else",
               remedy, "data.spectrum")  # fmt: skip
    _check_image_settings(config)


def _check_image_settings(config: DataConfig) -> None:
    name = config.name
    if config.size is not None and name in ("file", "gaussian", *_SIZES):
        known = _SIZES.get(name)
        if config.size != known:
            refuse(f"{config.size} for {name}", "none" if known is None else f"{known}",
                   "leave it out, or use the name images", "data.size")  # fmt: skip
    if config.streaming and name not in _PICTURES:
        refuse(f"true for {name}", f"one of {', '.join(_PICTURES)}",
               "leave it out: this set is read into memory", "data.streaming")  # fmt: skip
    if config.augment == "flip" and name == "gaussian":
        refuse("flip for gaussian", "none", "leave it out: its samples are no images",
               "data.augment")  # fmt: skip


def _binarised(data: DataSet) -> DataSet:
    """Grey pixels as probabilities of the train split, drawn once in the others."""
    if data.data_range is None or data.samples.dtype == np.bool_:
        refuse("samples that are binary or of unknown range", "grey pixels",
               "leave it out, or store pixels as uint8", "data.binarise")  # fmt: skip
    if data.split == "train":
        return replace(data, grey_probabilities=True,
                       notes=(*data.notes, "drawn as 0 or 1 anew at every step"))  # fmt: skip
    drawn = binarise_once(data.tensor().numpy(), data.split)
    return replace(data, samples=drawn, notes=(*data.notes, "drawn as 0 or 1 by a fixed seed"))
