"""Valid contents to start from, written by other means than they are read by where possible."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import zipfile
from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.io import savemat
from torch import nn

from deep.config import ExperimentConfig, TrainingConfig
from deep.data.batches import TensorBatches
from deep.runs import _determining
from deep.settings import as_plain
from deep.training.checkpoints import pack
from deep.training.files import canonical, digest
from deep.training.history import Record
from deep.training.run_folder import RunFolder, identity
from tests.deep.image_files import png


def _pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, 256, shape, dtype=np.uint8)


def idx() -> list[bytes]:
    found = []
    for code, kind, shape in ((8, "u1", (2, 3, 4)), (14, ">f8", (2, 3)), (11, ">i2", (4,))):
        sizes = struct.pack(f">{len(shape)}I", *shape)
        body = np.arange(np.prod(shape)).astype(kind).tobytes()
        found.append(bytes([0, 0, code, len(shape)]) + sizes + body)
    return [*found, gzip.compress(found[0], mtime=0)]


def amat() -> list[bytes]:
    texts = [b"0 1 0\n1 1 0\n", b"1 0 \r\n0 0 \r\n", b"1\n0\n1"]
    return [*texts, gzip.compress(texts[0] * 9, mtime=0)]


def _mat(*, compress: bool, **variables: Any) -> bytes:
    held = io.BytesIO()
    savemat(held, variables, do_compression=compress)
    return b"x".ljust(124) + held.getvalue()[124:]  # without the date


def mat() -> list[bytes]:
    both = {"X": np.arange(6.0).reshape(2, 3) / 7, "y": np.array([[1, 2]], np.int16)}
    other = {"s": {"a": 1}, "t": "text", "c": np.array([[1j]]), "X": np.uint8([[1]])}
    return [_mat(compress=c, **v) for c in (False, True) for v in (both, other)]


def svhn() -> list[bytes]:
    held = {"X": _pixels(32, 32, 3, 1), "y": np.array([[10]], np.uint8)}
    flat = held | {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.uint8([[1], [2]])}
    return [_mat(compress=False, **held), _mat(compress=True, **flat)]


def omniglot() -> list[bytes]:
    ink = (np.arange(784 * 2).reshape(784, 2) % 5 == 0).astype(np.uint8)
    held = {"data": ink, "testdata": ink[:, :1], "target": np.eye(3)[:, :2]}
    return [_mat(compress=c, **held) for c in (False, True)]


def cifar() -> list[bytes]:
    record = bytes(range(12))
    content = bytes([3, 99]) + record + bytes([19, 0]) + record
    return [content, gzip.compress(content, mtime=0)]


def tar() -> list[bytes]:
    found = []
    # The long name takes a header of its own in two of the three formats.
    forms = (
        (tarfile.USTAR_FORMAT, "a"),
        (tarfile.PAX_FORMAT, "é" * 60),
        (tarfile.GNU_FORMAT, "b" * 120),
    )
    for form, readme in forms:
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w", format=form) as archive:
            for name in ("train.bin", "test.bin", readme):
                member = tarfile.TarInfo(f"cifar-100-binary/{name}")
                member.size = 28
                archive.addfile(member, io.BytesIO(cifar()[0]))
        found.append(gzip.compress(held.getvalue(), mtime=0))
    return [*found, gzip.decompress(found[0])[:4096]]


def _zipped(members: dict[str, bytes], method: int) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return held.getvalue()


def zips() -> list[bytes]:
    members = {"a/1.png": png(_pixels(4, 4)), "b/ä.png": png(_pixels(4, 4)), "b/": b""}
    return [_zipped(members, m) for m in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]


def images() -> list[bytes]:
    grey, colours = _pixels(5, 4), _pixels(5, 4, 3)
    held = io.BytesIO()
    Image.fromarray(grey).convert("P").save(held, "PNG", transparency=0)
    turned = Image.Exif()
    turned[0x0112] = 6
    return [png(grey), png(colours, "JPEG", exif=turned), png(colours, "BMP"), png(grey, "GIF"),
            png(colours, "PPM"), png(colours, "WEBP", lossless=True),
            png(np.uint16(grey) * 257), held.getvalue()]  # fmt: skip


def npy() -> list[bytes]:
    arrays = (np.arange(6.0).reshape(2, 3), np.asfortranarray(_pixels(3, 2, 2)),
              np.array([3, 1, 2]), np.ones((2, 2), ">f4"), np.ones((2, 1), bool),
              np.zeros(2, [("a", "<f8"), ("b", "<i2")]), np.array([["a"]]))  # fmt: skip
    return [_saved(array) for array in arrays]


def _saved(array: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.save(held, array)
    return held.getvalue()


def npz() -> list[bytes]:
    one, two = _saved(np.arange(6.0).reshape(2, 3)), _saved(_pixels(3, 2, 2))
    return [_zipped({"x.npy": content}, m) for content in (one, two)
            for m in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]  # fmt: skip


def csv() -> list[bytes]:
    return [b"1,2\n3,4.5\n", b'a,"b\nc"\n1e3,-2\n', b"# x\n1\n2\n", b"\xef\xbb\xbf1, 2\r\n3, 4\r\n",
            b'"1","2"\n']  # fmt: skip


def yaml() -> list[bytes]:
    return [b"name: a\nseeds: [0, 1]\nmodel: {kind: linear, latent_dim: 2}\n",
            b"data:\n  name: gaussian\n  spectrum: [2.0, 1.0]\nbeta: {low: 1.0e-2, high: 2}\n",
            b"variants:\n  b: {model: {hidden: [3, 4]}, beta: &b {low: 0.1}}\n  c: {beta: *b}\n",
            json.dumps(as_plain(ExperimentConfig())).encode()]  # fmt: skip


def override() -> list[bytes]:
    return [b"training.epochs=5", b"seeds=[1, 2]\0data.path=~/x", b"variants.a.beta={low: 0.1}",
            b"evaluation.low=null\0title='x'"]  # fmt: skip


@cache
def layer() -> nn.Module:
    """A network of three numbers, always the same."""
    made = nn.Linear(2, 1)
    with torch.no_grad():
        made.weight.copy_(torch.tensor([[1.0, 2.0]]))
        made.bias.zero_()
    return made


def safetensors() -> list[bytes]:
    state = layer().state_dict()
    return [pack(state), pack({n: t.to(torch.float16) for n, t in state.items()}), pack({})]


@cache
def what() -> dict[str, Any]:
    """Identity of a run of that network."""
    config = _determining(as_plain(ExperimentConfig()))
    batches = TensorBatches(torch.zeros(2, 2))
    return identity(layer(), lambda: None, batches, TrainingConfig(), 0, config)


def _kept() -> dict[str, Any]:
    batches = TensorBatches(torch.zeros(2, 2))
    folder = RunFolder(None, what(), batches, TrainingConfig(), 0)  # type: ignore[arg-type]
    return folder.kept()


def checkpoint() -> list[bytes]:
    state = {"seconds": 1.5, "records": 1, "watch": {"first": 1.0, "lowest": 0.5, "above": 0},
             "versions": {"torch": "2"}, **_kept()}  # fmt: skip
    files = {"model.safetensors": digest(pack(layer().state_dict()))}
    return [canonical({"format": 1, "step": 1, "value": value, "files": files, "state": state})
            for value in (None, 0.5)]  # fmt: skip


def run() -> list[bytes]:
    files = {"model.safetensors": digest(pack(layer().state_dict()))}
    result = {"format": 1, "status": "finished", "steps": 3, "seconds": 1.5, "records": 1,
              "files": files, **_kept()}  # fmt: skip
    experiment = {"settings": as_plain(ExperimentConfig()), "seed": 0}
    return [canonical(result) + b"\0" + canonical(experiment)]


def history() -> list[bytes]:
    record = Record(1, 0.5, 3.0, 1.0, 2.0, 0.1, 0.5, 1.0, 1e-3, 0.2, 0.01)
    line = json.dumps(asdict(record)).encode() + b"\n"
    return [line, line + line.replace(b": 1,", b": 4,", 1) + line[:20]]


def learned() -> list[bytes]:
    names = ("beta", "rate", "distortion", "objective", "optimum", "excess")
    return [json.dumps(_record(names)).encode()]


def _record(names: tuple[str, ...]) -> dict[str, Any]:
    from linvae.report.learned import _NAMES

    point = dict.fromkeys((*names, *_NAMES), 0.5)
    config = {"likelihood": {"kind": "gaussian", "noise_variance": 1.0}, "model": {"latent_dim": 2}}
    return {"experiment": "x", "config": config, "multi_rate": [point], "dedicated": [point, point]}
