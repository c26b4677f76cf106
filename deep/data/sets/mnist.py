"""MNIST, Fashion-MNIST and binarized MNIST: original files of a folder or of the web."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep.config import DataConfig
from deep.data.amat import read_amat
from deep.data.dataset import DataSet
from deep.data.download import fetch, find_local
from deep.data.files import refuse
from deep.data.idx import read_idx
from deep.data.registry import REMOTE_SETS, RemoteFile, RemoteSet
from deep.data.splits import Split, no_split

__all__ = ["load_mnist"]


def load_mnist(config: DataConfig, split: Split) -> DataSet:
    """Load a set of the registry, ``config.name``, from ``config.path`` or by download."""
    known = REMOTE_SETS[config.name]
    if split not in known.images:
        no_split(known.name, split, " or ".join(known.images))
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
