"""From the data section of a configuration to samples, batches and sources.

Splits: MNIST and Fashion-MNIST have train and test, binarized MNIST train, valid and test. Of the
1797 digits the last 297 are the test split. Of a single file every tenth sample (the 10th, 20th,
...) is the test split and the rest train; a folder holds train.npy, test.npy and the like, and
its train file decides what scale bytes are on. No split is drawn at random.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from deep.config import DataConfig
from deep.data.amat import read_amat
from deep.data.arrays import SUFFIXES, read_samples
from deep.data.batches import Batches, TensorBatches
from deep.data.binarise import BinarisedBatches, binarise_once
from deep.data.dataset import DataSet
from deep.data.download import fetch, find_local
from deep.data.files import refuse
from deep.data.gaussian import GaussianSource
from deep.data.idx import read_idx
from deep.data.registry import REMOTE_SETS, RemoteFile, RemoteSet

__all__ = ["DataSet", "Split", "batches_from", "load_dataset", "source_from"]

Split: TypeAlias = Literal["train", "valid", "test"]

_DIGITS_TRAIN = 1500
_EVERY = 10  # of a single file, every tenth sample is held out
_DRAWN = 10_000  # samples of a Gaussian source that stand for a split


def load_dataset(config: DataConfig, *, split: Split) -> DataSet:
    """Load one split of the data that a configuration names.

    Parameters
    ----------
    config : DataConfig
        ``name``: digits, mnist, fashion_mnist, binarized_mnist, file or gaussian. ``path``: of the
        three MNISTs a folder to read instead of the download; of ``file`` a file or a folder.
        ``limit`` takes the first samples of the split.
    split : str
        See the head of this module.

    Returns
    -------
    DataSet
        Images as (N, height, width); of a Gaussian source ``limit`` (10 000) float64 samples that
        are always the same, and others for every split.

    Raises
    ------
    DataError
        Unknown names, splits that do not exist, settings that do not belong to the data set, and
        whatever is wrong with the files or the download.
    """
    loader = _LOADERS.get(config.name)
    if loader is None:
        refuse(f"{config.name!r}", f"one of {', '.join(_LOADERS)}",
               "use file, with a path, for your own samples", "data.name")  # fmt: skip
    _check_settings(config)
    data = loader(config, split).first(config.limit)
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
) -> Batches:
    """Training batches of a configuration (its train split), a data set or a source.

    Parameters
    ----------
    data : DataConfig, DataSet or GaussianSource
    dtype : torch.dtype
        Of the batches; a source that is given has its own.
    flatten : bool
        True: samples as vectors, for networks that take no images.
    """
    if isinstance(data, DataConfig):
        source = source_from(data)
        if source is not None:
            return source.to(dtype)
        data = load_dataset(data, split="train")
    if isinstance(data, GaussianSource):
        return data
    if flatten:
        data = data.flattened()
    batches = TensorBatches(torch.from_numpy(data.samples), dtype=dtype)
    return BinarisedBatches(batches) if data.grey_probabilities else batches


def _check_settings(config: DataConfig) -> None:
    name = config.name
    if config.path is not None and name in ("digits", "gaussian"):
        refuse(f"{config.path!r} for {name}", "no path", "use the name file", "data.path")
    if config.path == "" or (config.path is None and name == "file"):
        refuse("nothing", "the file or folder to read", "set it", "data.path")
    if config.key is not None and name != "file":
        refuse(f"{config.key!r} for {name}", "no key", "use the name file", "data.key")
    if (config.spectrum is None) == (name == "gaussian"):
        remedy = "list the eigenvalues" if name == "gaussian" else "use the name gaussian"
        refuse(f"{config.spectrum} for {name}", "eigenvalues for gaussian and for nothing else",
               remedy, "data.spectrum")  # fmt: skip


def _no_split(name: str, split: str, known: str) -> None:
    refuse(f"split {split!r}", known, "choose one of them", name)


# --- one loader per kind of data ----------------------------------------------------------------


def _digits(config: DataConfig, split: Split) -> DataSet:
    if split == "valid":
        _no_split("digits", split, "train or test")
    from sklearn.datasets import load_digits

    held = load_digits()
    chosen = slice(None, _DIGITS_TRAIN) if split == "train" else slice(_DIGITS_TRAIN, None)
    pixels = (held.images[chosen] / 16).astype(np.float32)  # 0 to 16, exact in float32
    notes = ("handwritten digits of scikit-learn, pixel values 0 to 16 divided by 16",
             "the last 297 of 1797 samples are the test split")  # fmt: skip
    return DataSet("digits", split, pixels, (0.0, 1.0), notes, held.target[chosen].astype(np.uint8))


def _remote(config: DataConfig, split: Split) -> DataSet:
    known = REMOTE_SETS[config.name]
    if split not in known.images:
        _no_split(known.name, split, " or ".join(known.images))
    path = _locate(known, known.images[split], config.path)
    if path is None:
        refuse(f"{config.path!r} without {known.images[split].name!r} (packed or unpacked)",
               f"the files of {known.name}", "complete the folder, or leave the path out to "
               "download them", "data.path")  # fmt: skip
    samples = _READERS[known.format](path)
    if known.format == "amat" and samples.shape[1] == np.prod(known.sample_shape):
        samples = samples.reshape(-1, *known.sample_shape)
    if samples.shape[1:] != known.sample_shape:
        refuse(f"{str(path)!r} with samples of shape {samples.shape[1:]}", f"{known.sample_shape}",
               "check the file, or use the name file for other images", known.name)  # fmt: skip
    scale = "pixels 0 and 1" if samples.dtype == np.bool_ else "pixels 0 to 255, used as x/255"
    labels = _labels(known, split, config.path)
    return DataSet(known.name, split, samples, (0.0, 1.0), (scale,), labels)


def _labels(known: RemoteSet, split: str, path: str | None) -> NDArray[Any] | None:
    if split not in known.labels:
        return None
    found = _locate(known, known.labels[split], path)
    return None if found is None else read_idx(found, ndim=1, dtype=np.uint8)


def _locate(known: RemoteSet, file: RemoteFile, path: str | None) -> Path | None:
    return fetch(known, file) if path is None else find_local(known, file, path)


def _images(path: Path) -> NDArray[Any]:
    return read_idx(path, ndim=3, dtype=np.uint8)


_READERS: dict[str, Callable[[Path], NDArray[Any]]] = {"idx": _images, "amat": read_amat}


def _file(config: DataConfig, split: Split) -> DataSet:
    path = Path(os.path.expanduser(config.path or ""))
    if os.path.isdir(path):
        return _from_folder(path, config.key, split)
    samples, notes = read_samples(path, config.key)
    held_out = np.zeros(len(samples), np.bool_)
    held_out[_EVERY - 1 :: _EVERY] = True
    if split == "valid" or (split == "test" and not held_out.any()):
        _no_split(str(path), split, "train, or test when there are ten samples or more")
    notes += ("every tenth sample is the test split",)
    binary = _is_binary(samples)  # of the whole file, so that both splits are on one scale
    part = samples[held_out if split == "test" else ~held_out]
    return _understood(str(path), split, part, notes, binary=binary)


def _from_folder(folder: Path, key: str | None, split: Split) -> DataSet:
    found = _split_file(folder, split)
    if found is None:
        refuse(f"{str(folder)!r}, a folder without {split}.npy or the like",
               f"a file named {split} that ends in {', '.join(SUFFIXES)}",
               "write one, or name a single file", "data.path")  # fmt: skip
    samples, notes = read_samples(found, key)
    binary = _is_binary(samples)
    trained = None if split == "train" else _split_file(folder, "train")
    if trained is not None:
        binary = _is_binary_as(read_samples(trained, key)[0], samples, str(found))
    return _understood(str(found), split, samples, notes, binary=binary)


def _split_file(folder: Path, split: Split) -> Path | None:
    candidates = (folder / f"{split}{suffix}" for suffix in SUFFIXES)
    return next((place for place in candidates if os.path.exists(place)), None)


def _is_binary_as(train: NDArray[Any], samples: NDArray[Any], name: str) -> bool:
    """Whether a split is binary beside its train split; one that does not fit it is refused."""
    features, wanted = (int(np.prod(part.shape[1:])) for part in (samples, train))
    if features != wanted:
        refuse(f"{name!r} with {features} features", f"{wanted}, as in the train split",
               "check that the files belong together", "data.path")  # fmt: skip
    in_bytes, binary = samples.dtype == np.uint8, _is_binary(samples)
    in_pixels = train.dtype == np.uint8 and not _is_binary(train)
    if in_bytes != in_pixels and not binary:
        scales = ("values used as they are", "pixels 0 to 255")
        refuse(f"{name!r} with {scales[in_bytes]}", f"{scales[in_pixels]}, as in the train split",
               "store all splits with one dtype and on one scale", "data.path")  # fmt: skip
    return binary and not (in_bytes and in_pixels)


def _is_binary(samples: NDArray[Any]) -> bool:
    """True for booleans, and for bytes that are all 0 or 1."""
    return samples.dtype == np.bool_ or bool(samples.dtype == np.uint8 and samples.max() <= 1)


def _understood(
    name: str, split: str, samples: NDArray[Any], notes: tuple[str, ...], *, binary: bool
) -> DataSet:
    """The data set of an array from a file, in memory, its scale decided and said."""
    if binary:
        return DataSet(name, split, samples.astype(np.bool_), (0.0, 1.0),
                       (*notes, "values 0 and 1"))  # fmt: skip
    if samples.dtype == np.uint8:
        return DataSet(name, split, np.array(samples), (0.0, 1.0),
                       (*notes, "pixels 0 to 255, used as x/255"))  # fmt: skip
    if samples.dtype.kind not in "iuf":
        refuse(f"{name!r} of dtype {samples.dtype}", "numbers", "convert it", "data")
    small = samples.dtype.kind == "f" and samples.dtype.itemsize <= 4
    values = samples.astype(np.float32 if small else np.float64)
    return DataSet(name, split, values, None, (*notes, "values used as they are"))


def _gaussian(config: DataConfig, split: Split) -> DataSet:
    drawn = GaussianSource(config.spectrum or ()).sample(config.limit or _DRAWN, split)
    return DataSet("gaussian", split, drawn, None, ("drawn from the source by a fixed seed",))


_LOADERS: dict[str, Callable[[DataConfig, Split], DataSet]] = {
    "digits": _digits,
    **dict.fromkeys(REMOTE_SETS, _remote),
    "file": _file,
    "gaussian": _gaussian,
}


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
