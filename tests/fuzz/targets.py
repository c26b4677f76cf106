"""The parsers: how each is given a content, valid contents to start from, and changes that fit it.

A reader writes the content into an empty folder under the name the parser expects, and calls what
users call. It demands something of what is accepted as well: that it can be used and written again.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deep.config import DataConfig, ExperimentConfig, TrainingConfig
from deep.data.amat import read_amat
from deep.data.arrays import read_vector
from deep.data.batches import TensorBatches
from deep.data.decode import decode_grey, header_of, pixels_of
from deep.data.idx import read_idx
from deep.data.load import load_dataset
from deep.data.matlab import read_mat
from deep.data.members import open_members, read_tar
from deep.data.sets import cifar
from deep.runs import _determining, _kept_settings
from deep.settings import as_plain, checked, read_settings, with_overrides
from deep.training import checkpoints
from deep.training.files import canonical, digest, sealed
from deep.training.history import History, HistoryFile
from deep.training.run_folder import RunFolder
from linvae.datafiles import load_data
from tests.fuzz import mutation, seeds
from tests.fuzz.mutation import Change

__all__ = ["PARSERS", "Parser"]

# Deflate makes 1032 bytes of one; what is unpacked is held twice while it is converted.
_PLAIN, _PACKED = 128, 4 * 1032


@dataclass(frozen=True)
class Parser:
    """One parser under test.

    Attributes
    ----------
    name : str
    read : callable(content, folder)
    seeds : callable() -> list of bytes
        Contents that are accepted.
    changes : tuple of callable(rng, content)
        Those that keep more of the structure than changes of bytes.
    growth : int
        Bytes of memory that a byte of the content may cost.
    """

    name: str
    read: Callable[[bytes, Path], object]
    seeds: Callable[[], list[bytes]]
    changes: tuple[Change, ...] = ()
    growth: int = _PLAIN


def _written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _demand(condition: object) -> None:
    if not condition:
        raise AssertionError("accepted what it should not")


# --- arrays --------------------------------------------------------------------------------------


def _idx(content: bytes, folder: Path) -> None:
    path = _written(folder, "x.idx", content)
    array = read_idx(path)
    _demand(array.dtype.isnative and array.nbytes <= 1032 * len(content))
    read_idx(path, ndim=3, dtype=np.uint8)


def _amat(content: bytes, folder: Path) -> None:
    bits = read_amat(_written(folder, "x.amat", content))
    plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    _demand(bits.sum() == plain.count(b"1") and bits.size == bits.sum() + plain.count(b"0"))


def _mat(content: bytes, folder: Path) -> None:
    found = read_mat(_written(folder, "x.mat", content), required=("X",), optional=("y", "data"))
    _demand(all(a.dtype.kind in "iuf" and a.size for a in found.values()))


def _svhn(content: bytes, folder: Path) -> None:
    path = _written(folder, "train_32x32.mat", content)
    data = load_dataset(DataConfig(name="svhn", path=str(path)), split="train")
    _demand(data.labels is not None and data.labels.max() <= 9)


def _omniglot(content: bytes, folder: Path) -> None:
    path = _written(folder, "chardata.mat", content)
    data = load_dataset(DataConfig(name="omniglot", path=str(path)), split="train")
    _demand(data.samples.min() >= 0 and data.samples.max() <= 1)


def _file(name: str) -> Callable[[bytes, Path], None]:
    """A file of one's own: as the command line reads it, and as the training does."""

    def read(content: bytes, folder: Path) -> None:
        path = _written(folder, name, content)
        errors = []
        for reader in (load_data, _load_file) if name != "labels.npy" else (read_vector,):
            try:
                reader(str(path))
            except ValueError as error:  # the other reader is to see it too
                errors.append(error)
        if errors:
            raise errors[-1]

    return read


def _load_file(path: str) -> None:
    data = load_dataset(DataConfig(name="file", path=path), split="train")
    _demand(bool(torch.isfinite(data.tensor(torch.float64)).all()))


def _array(content: bytes, folder: Path) -> None:
    for name in ("x.npy", "labels.npy"):
        try:
            _file(name)(content, folder)
        except ValueError as error:
            refused = error
        else:
            return
    raise refused


# --- images and archives -------------------------------------------------------------------------


@contextmanager
def _small_cifar() -> Iterator[None]:
    """Two records of 2x2 pixels instead of ten thousand of 32x32."""
    kept = cifar._LAYOUTS, cifar._PIXELS, cifar._SIDE
    small = {n: replace(a, records={"train": 2, "test": 2}) for n, a in kept[0].items()}
    cifar._LAYOUTS, cifar._PIXELS, cifar._SIDE = small, 12, 2
    try:
        yield
    finally:
        cifar._LAYOUTS, cifar._PIXELS, cifar._SIDE = kept


def _cifar(content: bytes, folder: Path) -> None:
    inside = folder / "cifar-100-binary"
    inside.mkdir(exist_ok=True)
    _written(inside, "train.bin", content)
    with _small_cifar():
        data = load_dataset(DataConfig(name="cifar100", path=str(folder)), split="train")
    _demand(data.samples.shape == (2, 3, 2, 2) and data.labels.max() < 100)


def _tar(content: bytes, folder: Path) -> None:
    path = _written(folder, "cifar-100-binary.tar.gz", content)
    sizes = {"train.bin": 28, "test.bin": 28}
    _demand(all(len(c) == 28 for c in read_tar(path, sizes, ["train.bin"]).values()))
    with _small_cifar():
        load_dataset(DataConfig(name="cifar100", path=str(path)), split="train")


def _zip(content: bytes, folder: Path) -> None:
    path = _written(folder, "x.zip", content)
    members = open_members(path)
    try:
        for name in members.names:
            _demand(".." not in name.split("/") and not name.startswith("/"))
            members.read(name)
    finally:
        members.close()
    load_dataset(DataConfig(name="images", path=str(path), size=4), split="train")


def _image(content: bytes, folder: Path) -> None:
    mode, (height, width) = header_of(content, "x")
    if height * width > 2**16:  # what a few bytes may rightly declare takes long to decode
        return
    pixels = pixels_of(content, "x", mode=mode)
    _demand(pixels.shape[:2] == (height, width))
    decode_grey(content, "x")
    _demand(pixels_of(content, "x", mode="RGB", size=4).shape == (4, 4, 3))


# --- settings ------------------------------------------------------------------------------------


def _usable(config: ExperimentConfig) -> None:
    text = json.dumps(as_plain(config), allow_nan=False)
    _demand(checked(json.loads(text), "again") == config)


def _yaml(content: bytes, folder: Path) -> None:
    _usable(read_settings(str(_written(folder, "x.yaml", content))))


def _override(content: bytes, folder: Path) -> None:
    _usable(with_overrides(ExperimentConfig(), content.decode("utf-8", "replace").split("\0")))


# --- folders of runs -----------------------------------------------------------------------------

_WEIGHTS = checkpoints.pack(seeds.layer().state_dict())
_FILES = {"model.safetensors": digest(_WEIGHTS)}


def _resealed(content: bytes) -> bytes:
    """The content with the right checksum, where it can have one: anybody can compute it."""
    try:
        tree = json.loads(content)
        tree.pop("checksum", None)
        if isinstance(tree.get("files"), dict):
            tree["files"] = {k: _FILES.get(k, v) for k, v in tree["files"].items()}
        return sealed(tree)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return content


def _safetensors(content: bytes, folder: Path) -> None:
    path = _written(folder, "model.safetensors", content)
    tensors = checkpoints.unpack(path, digest(content))
    checkpoints.put(seeds.layer(), tensors, "x")


def _checkpoint(content: bytes, folder: Path) -> None:
    run = folder / "run"
    path = run / "checkpoints" / "step-00000001"
    path.mkdir(parents=True, exist_ok=True)
    for aside in path.parent.glob(".damaged-*"):
        aside.rename(folder / "aside") if not (folder / "aside").exists() else None
    _written(path, "model.safetensors", _WEIGHTS)
    _written(path, "state.json", _resealed(content))
    checkpoints.best(run)
    found = checkpoints.newest_intact(run)
    _demand(found is not None and isinstance(found.step, int))
    checkpoints.load_weights(path, seeds.layer())
    canonical(found.state)


def _run(content: bytes, folder: Path) -> None:
    """``result.json``, a zero byte, ``experiment.json``: of a finished run, then one to resume."""
    result, _, experiment = content.partition(b"\0")
    _written(folder, "model.safetensors", _WEIGHTS)
    _written(folder, "result.json", _resealed(result))
    _written(folder, "experiment.json", experiment)
    (folder / "config.json").unlink(missing_ok=True)
    checkpoints.load_weights(folder, seeds.layer())
    batches = TensorBatches(torch.zeros(2, 2))
    place = RunFolder(folder, seeds.what(), batches, TrainingConfig(), 0)
    _, found = place.begin(resume=True, versions={})
    if found is not None:
        place.weights(found)
    config, _ = _kept_settings(folder)
    _demand(_determining(as_plain(config)))


def _state(content: bytes, folder: Path) -> None:
    """A checkpoint's ``state.json`` of a run that is resumed."""
    path = folder / "checkpoints" / "step-00000001"
    path.mkdir(parents=True, exist_ok=True)
    _written(path, "model.safetensors", _WEIGHTS)
    _written(path, "state.json", _resealed(content))
    (folder / "config.json").unlink(missing_ok=True)
    place = RunFolder(folder, seeds.what(), TensorBatches(torch.zeros(2, 2)), TrainingConfig(), 0)
    place.begin(resume=True, versions={})


def _history(content: bytes, folder: Path) -> None:
    path = _written(folder, "history.jsonl", content)
    refused = None
    try:
        history = History.read(path)
        history.column("loss")
    except ValueError as error:
        refused = error
    file = HistoryFile(path, step=3, count=1)
    file.close()
    History.read(path)  # what was restored is whole
    if refused is not None:
        raise refused


def _learned(content: bytes, folder: Path) -> None:
    from linvae.report.learned import load_learned

    learned = load_learned(_written(folder, "x.json", content))
    _demand(all(np.isfinite(points.rate).all() for points in learned.points))


_GZIP, _ZIP, _MAT, _JSON = (mutation.in_gzip,), (mutation.in_zip,), (mutation.in_matlab,), \
    (mutation.in_json,)  # fmt: skip

_ALL: tuple[Any, ...] = (
    Parser("idx", _idx, seeds.idx, _GZIP, _PACKED),
    Parser("amat", _amat, seeds.amat, _GZIP, _PACKED),
    Parser("mat", _mat, seeds.mat, _MAT, _PACKED),
    Parser("svhn", _svhn, seeds.svhn, _MAT, _PACKED),
    Parser("omniglot", _omniglot, seeds.omniglot, _MAT, _PACKED),
    Parser("cifar", _cifar, seeds.cifar, _GZIP, _PACKED),
    Parser("tar", _tar, seeds.tar, _GZIP, _PACKED),
    Parser("zip", _zip, seeds.zips, _ZIP, _PACKED),
    Parser("image", _image, seeds.images, (), _PACKED),
    Parser("npy", _array, seeds.npy),
    Parser("npz", _file("x.npz"), seeds.npz, _ZIP, _PACKED),
    Parser("csv", _file("x.csv"), seeds.csv),
    Parser("yaml", _yaml, seeds.yaml),
    Parser("override", _override, seeds.override),
    Parser("safetensors", _safetensors, seeds.safetensors, (mutation.in_safetensors,)),
    Parser("checkpoint", _checkpoint, seeds.checkpoint, _JSON),
    Parser("state", _state, seeds.checkpoint, _JSON),
    Parser("run", _run, seeds.run, (mutation.in_run,)),
    Parser("history", _history, seeds.history, (mutation.in_lines,)),
    Parser("learned", _learned, seeds.learned, _JSON),
)
PARSERS: dict[str, Parser] = {parser.name: parser for parser in _ALL}
