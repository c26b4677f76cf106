"""Checkpoints: tensors as safetensors, the rest as JSON, each with its checksum; no pickle.

``checkpoints/step-00001234/`` holds ``model.safetensors``, ``optimiser.safetensors``, for an
objective with parameters ``objective.safetensors``, and ``state.json``. A checkpoint is complete or
absent; see :mod:`deep.training.files`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from deep._checks import fail
from deep.errors import CheckpointError, CheckpointWarning
from deep.training.files import (
    digest,
    disk_errors,
    is_number,
    make_folder,
    read_sealed,
    remove_folder,
    sealed,
    sweep,
    write_folder,
)

__all__ = [
    "Checkpoint",
    "best",
    "differences",
    "files_of",
    "latest",
    "load",
    "load_weights",
    "newest_intact",
    "pack",
    "put",
    "save",
    "tensors_of",
    "unpack",
]

FORMAT = 1
_STATE = "state.json"
_KEYS = {"step", "value", "files", "state"}
_NAME = re.compile(r"step-(\d{8,})")
_FILE = re.compile(r"[A-Za-z0-9_-]{1,64}\.safetensors")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """One saved moment of a run.

    Attributes
    ----------
    path : Path
    step : int
        Steps done.
    value : float or None
        Of the validation, lower is better; None where there was none.
    parts : dict of dict of Tensor
        ``model``, ``optimiser``, perhaps ``objective``: tensors by name.
    state : dict
        What the loop wanted kept.
    """

    path: Path
    step: int
    value: float | None
    parts: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def save(
    folder: Path,
    step: int,
    parts: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    *,
    value: float | None = None,
    keep_last: int = 2,
) -> Path:
    """Write a checkpoint of a run's folder, then delete all but the newest and the best.

    Parameters
    ----------
    folder : Path
        Of the run.
    step : int
        Steps done.
    parts : mapping
        Tensors by part and name.
    state : mapping
        Anything JSON can hold.
    value : float, optional
        Lower is better; the checkpoint with the lowest, the earliest of equals, is kept.
    keep_last : int
        How many of the newest are kept.

    Raises
    ------
    CheckpointError
        The disk is full or refuses; checkpoints written before are untouched.
    """
    path = folder / "checkpoints" / f"step-{step:08d}"
    files = {f"{name}.safetensors": pack(tensors) for name, tensors in parts.items()}
    content = {
        "format": FORMAT,
        "step": step,
        "value": value,
        "files": {name: digest(data) for name, data in files.items()},
        "state": dict(state),
    }
    with disk_errors(folder):
        make_folder(path.parent)
        write_folder(path, {**files, _STATE: sealed(content)})
        _prune(folder, keep_last)
    return path


def load(path: Path) -> Checkpoint:
    """Read a checkpoint and verify every byte of it.

    Raises
    ------
    CheckpointError
        Incomplete, altered, or of another format.
    """
    content = _content(path)
    parts = {}
    for name, expected in files_of(content, path).items():
        parts[name.removesuffix(".safetensors")] = unpack(path / name, expected)
    return Checkpoint(path, content["step"], content["value"], parts, content["state"])


def latest(folder: Path) -> Path | None:
    """Newest checkpoint of a run's folder, unread; None without any."""
    found = _all(folder)
    return found[-1] if found else None


def best(folder: Path) -> Path | None:
    """Checkpoint with the lowest validation, the earliest of equals; None without validation."""
    valued = []
    for path in _all(folder):
        try:
            value = _content(path)["value"]
        except CheckpointError:
            continue
        if value is not None:
            valued.append((value, path))
    return min(valued)[1] if valued else None


def newest_intact(folder: Path) -> Checkpoint | None:
    """Read the newest checkpoint that is whole; None without any checkpoint.

    Newer damaged ones are set aside under a hidden name, with a :class:`CheckpointWarning`.

    Raises
    ------
    CheckpointError
        There are checkpoints, and all are damaged.
    """
    damaged: list[tuple[Path, CheckpointError]] = []
    for path in reversed(_all(folder)):
        try:
            found = load(path)
        except CheckpointError as error:
            damaged.append((path, error))
            continue
        for old, reason in damaged:
            old.rename(_free_name(old.with_name(f".damaged-{old.name}")))
            message = f"{reason}; set aside as .damaged-{old.name}, going on from {path.name}"
            warnings.warn(message, CheckpointWarning, stacklevel=2)
        return found
    if damaged:
        fail("checkpoints", f"only damaged ones in {damaged[0][0].parent} ({damaged[0][1]})",
             "at least one whole checkpoint", "restore them from a copy or start in a new folder",
             CheckpointError)  # fmt: skip
    return None


def load_weights(folder: Path, model: nn.Module, *, part: str = "model") -> None:
    """Put the weights of a finished run, or of one checkpoint, into a model, in place.

    Parameters
    ----------
    folder : Path
        Of a run or of a checkpoint.
    model : nn.Module
        Of the shapes that were trained; a wider floating type is filled without loss.
    part : str
        ``"model"``, or ``"objective"`` for an objective with parameters.

    Raises
    ------
    CheckpointError
        No weights, damaged ones, or those of another model.
    """
    folder = Path(folder)
    path = folder / f"{part}.safetensors"
    seal = folder / (_STATE if (folder / _STATE).exists() else "result.json")
    if not path.is_file() or not seal.is_file():
        newest = latest(folder)
        remedy = f"resume the run, or pass {newest}" if newest else "train first"
        fail("weights", f"no finished {part} in {folder}", "a finished run or a checkpoint", remedy,
             CheckpointError)  # fmt: skip
    put(model, unpack(path, files_of(read_sealed(seal), seal).get(path.name)), str(path))


def files_of(content: Mapping[str, Any], path: Path) -> dict[str, str]:
    """Names and checksums of the files of tensors that a sealed content lists.

    Raises
    ------
    CheckpointError
        Anything but plain names of files beside it.
    """
    files = content.get("files")
    if not isinstance(files, dict) or not all(
        _FILE.fullmatch(name) and isinstance(expected, str) for name, expected in files.items()
    ):
        _refuse_content(path, "files", files)
    return files


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, detached.

    Raises
    ------
    CheckpointError
        The module keeps state that is no tensor.
    """
    found = {}
    for name, value in module.state_dict().items():
        if not isinstance(value, Tensor):
            fail(f"state of {type(module).__name__}", f"{name} of type {type(value).__name__}",
                 "tensors only", "keep the rest in the configuration", CheckpointError)  # fmt: skip
        found[name] = value.detach()
    return found


def put(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy tensors into a module's own, in place; nothing is changed unless all of them fit.

    Raises
    ------
    CheckpointError
        Other names or shapes, or types that would lose digits.
    """
    own = tensors_of(module)
    misfits = [f"{n} is missing" for n in own if n not in tensors]
    misfits += [f"{n} is not in the model" for n in tensors if n not in own]
    for name in own.keys() & tensors.keys():
        here, there = own[name], tensors[name]
        if here.shape != there.shape:
            misfits.append(f"{name} has shape {tuple(there.shape)}, the model {tuple(here.shape)}")
        elif torch.promote_types(here.dtype, there.dtype) != here.dtype:
            misfits.append(f"{name} is {there.dtype}, the model {here.dtype}")
    if misfits:
        fail(source, f"weights of another model: {'; '.join(sorted(misfits)[:3])}"
             f"{f' and {len(misfits) - 3} more' if len(misfits) > 3 else ''}",
             f"those of {type(module).__name__} as it was built",
             "build the model from the run's configuration", CheckpointError)  # fmt: skip
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def pack(tensors: Mapping[str, Tensor]) -> bytes:
    """Bytes of a safetensors file; tied tensors are written under each of their names."""
    plain = {n: t.detach().cpu().contiguous().clone() for n, t in tensors.items()}
    return bytes(safetensors.torch.save(plain))


def unpack(path: Path, expected: str | None) -> dict[str, Tensor]:
    """Tensors of a safetensors file whose checksum is known."""
    try:
        data = path.read_bytes()
        if digest(data) != expected:
            raise ValueError("another checksum")
        return dict(safetensors.torch.load(data))
    except (OSError, ValueError, SafetensorError) as error:
        got = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise CheckpointError(
            f"{path}: got {got}; expected the file as it was written; use another checkpoint"
        ) from error


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """Name what differs between two JSON values, by dotted keys."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in [*old, *(k for k in new if k not in old)]:
            inner = f"{name}.{_plain_key(key)}" if name else _plain_key(key)
            if key not in new:
                found.append(f"{inner} was {_short(old[key])}, now absent")
            elif key not in old:
                found.append(f"{inner} was absent, now {_short(new[key])}")
            else:
                found += differences(old[key], new[key], inner)
        return found
    alike = isinstance(old, bool) == isinstance(new, bool)  # True == 1 in Python
    return [] if alike and old == new else [f"{name} was {_short(old)}, now {_short(new)}"]


def _plain_key(key: object) -> str:
    text = str(key)
    return text if text.isprintable() and len(text) <= 60 else _short(key)


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except RecursionError:
        return f"a deep {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _refuse_content(path: Path, name: str, value: Any) -> NoReturn:
    fail(str(path), f"{name} = {_short(value)}", "what a run writes", "use another checkpoint",
         CheckpointError)  # fmt: skip


def _content(path: Path) -> dict[str, Any]:
    content = read_sealed(path / _STATE)
    if content.get("format") != FORMAT:
        fail(str(path), f"format {_short(content.get('format'))}", f"format {FORMAT}",
             "read it with the version that wrote it", CheckpointError)  # fmt: skip
    if missing := _KEYS - content.keys():
        fail(str(path), f"a state without {', '.join(sorted(missing))}", "that of a checkpoint",
             "use another checkpoint", CheckpointError)  # fmt: skip
    step, value = content.get("step"), content.get("value")
    if not is_number(step) or not isinstance(step, int) or step < 0:
        _refuse_content(path, "step", step)
    if value is not None and not is_number(value):
        _refuse_content(path, "value", value)
    if not isinstance(content.get("state"), dict):
        _refuse_content(path, "state", content.get("state"))
    return content


def _all(folder: Path) -> list[Path]:
    """Checkpoints by step."""
    root = Path(folder) / "checkpoints"
    entries = root.iterdir() if root.is_dir() else iter(())
    found = [(int(m[1]), e) for e in entries if (m := _NAME.fullmatch(e.name))]
    return [path for _, path in sorted(found)]


def _prune(folder: Path, keep_last: int) -> None:
    champion = best(folder)
    for path in _all(folder)[:-keep_last]:
        if path != champion:
            remove_folder(path)
    sweep(folder / "checkpoints")


def _free_name(path: Path) -> Path:
    names = [path, *(path.with_name(f"{path.name}-{n}") for n in range(1, 1000))]
    return next(name for name in names if not name.exists())
