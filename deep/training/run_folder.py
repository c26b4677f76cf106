"""The folder of one run: what it holds, what may be resumed there, and what ends it.

``config.json`` (at the start), ``history.jsonl``, ``checkpoints/``, and at the end
``model.safetensors``, perhaps ``objective.safetensors``, and last of all ``result.json``. Beside
them :mod:`deep.runs` keeps all settings, those of the evaluation too, in ``experiment.json``.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deep._checks import fail
from deep.config import TrainingConfig
from deep.data.batches import Batches
from deep.errors import CheckpointError, CheckpointWarning, ConfigError
from deep.training.checkpoints import (
    Checkpoint,
    differences,
    files_of,
    latest,
    newest_intact,
    pack,
    tensors_of,
    unpack,
)
from deep.training.files import (
    canonical,
    digest,
    disk_errors,
    is_number,
    read_sealed,
    replace_file,
    sealed,
    sweep,
)

__all__ = ["RunFolder", "identity"]

# Samples made on another machine may differ in their last digits.
_SAME_DATA = 1e-4


def identity(
    model: nn.Module,
    objective: object,
    batches: Batches,
    plan: TrainingConfig,
    seed: int,
    config: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What a run is, as JSON: resuming with anything else is refused."""
    modules = {"model": model}
    if isinstance(objective, nn.Module):
        modules["objective"] = objective
    found = {
        "seed": seed,
        "training": plan.model_dump(mode="json"),
        "config": config,
        "objective_class": getattr(objective, "__qualname__", type(objective).__qualname__),
        "sample_shape": list(batches.sample_shape),
        "steps_per_epoch": batches.steps_per_epoch(plan.batch_size),
    }
    for name, module in modules.items():
        found[name] = {
            "class": type(module).__qualname__,
            "tensors": {
                n: f"{str(t.dtype).removeprefix('torch.')} {list(t.shape)}"
                for n, t in tensors_of(module).items()
            },
        }
    try:
        return dict(json.loads(canonical(found)))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"config: got a value that JSON cannot hold ({error}); expected numbers, texts, lists "
            "and mappings; pass model_dump(mode='json')"
        ) from error


def _fingerprint(batches: Batches, plan: TrainingConfig, seed: int) -> list[float]:
    """Three numbers that tell other data, or another order of them, from the same."""
    values = batches.batch(0, plan.batch_size, seed).detach().cpu().double().flatten()
    places = torch.arange(len(values), dtype=torch.float64)
    return [
        float(values.mean()),
        float(values.std(correction=0)),
        float((values * places.cos()).mean()),
    ]


class RunFolder:
    """A run's folder, held by :func:`deep.training.files.locked`.

    Parameters
    ----------
    path : Path
    what : dict
        Of :func:`identity`.
    """

    def __init__(
        self, path: Path, what: dict[str, Any], batches: Batches, plan: TrainingConfig, seed: int
    ) -> None:
        self.path = path
        self._what = what
        self._data = _fingerprint(batches, plan, seed)

    @property
    def history_path(self) -> Path:
        """Where the records go."""
        return self.path / "history.jsonl"

    def kept(self) -> dict[str, Any]:
        """What every checkpoint says about its run."""
        return {"run": self._what, "data": self._data, "run_hash": digest(canonical(self._what))}

    def begin(
        self, *, resume: bool, versions: dict[str, str]
    ) -> tuple[Checkpoint | None, dict[str, Any] | None]:
        """Sweep up, refuse what would overwrite or mix runs, and say where to go on.

        Returns
        -------
        checkpoint : Checkpoint or None
            The newest whole one.
        result : dict or None
            Of a finished run whose weights are whole.

        Raises
        ------
        CheckpointError
            The folder holds a run that was not to be resumed, or another run, or takes no files.
        """
        with disk_errors(self.path):
            return self._begin(resume=resume, versions=versions)

    def _begin(
        self, *, resume: bool, versions: dict[str, str]
    ) -> tuple[Checkpoint | None, dict[str, Any] | None]:
        sweep(self.path)
        sweep(self.path / "checkpoints")
        held = self._held()
        if held and not resume:
            fail("folder", f"{self.path}, which holds a run ({held})", "an empty or new folder",
                 "pass resume=True to go on with it, or another folder",
                 CheckpointError)  # fmt: skip
        result = self._result()
        if result is not None:
            self._check_same(result, "result.json")
            return None, result
        checkpoint = newest_intact(self.path)
        if checkpoint is not None:
            _check_kinds(checkpoint.state, {**_KEPT, **_RESUMED}, checkpoint.path.name)
            self._check_same(checkpoint.state, checkpoint.path.name)
            _warn_of_versions(checkpoint.state["versions"], versions)
        elif (self.path / "model.safetensors").exists():
            fail("folder", f"{self.path} with weights and no checkpoint", "checkpoints too",
                 "choose another folder", CheckpointError)  # fmt: skip
        self._write_config()
        return checkpoint, None

    def finish(
        self,
        parts: Mapping[str, Mapping[str, Tensor]],
        steps: int,
        seconds: float,
        records: int,
    ) -> None:
        """Write the final weights and then the file that says they are complete."""
        data = {f"{name}.safetensors": pack(tensors) for name, tensors in parts.items()}
        content = {
            "format": 1,
            "status": "finished",
            "steps": steps,
            "seconds": seconds,
            "records": records,
            "files": {name: digest(packed) for name, packed in data.items()},
            **self.kept(),
        }
        with disk_errors(self.path):
            for name, packed in data.items():
                replace_file(self.path / name, packed)
            replace_file(self.path / "result.json", sealed(content))

    def weights(self, result: Mapping[str, Any]) -> dict[str, dict[str, Tensor]]:
        """Final weights by part."""
        return {
            name.removesuffix(".safetensors"): unpack(self.path / name, expected)
            for name, expected in files_of(result, self.path / "result.json").items()
        }

    def _held(self) -> str | None:
        if latest(self.path) is not None:
            return "checkpoints"
        for name in ("result.json", "model.safetensors", "history.jsonl"):
            path = self.path / name
            if path.exists() and path.stat().st_size:
                return name
        return None

    def _result(self) -> dict[str, Any] | None:
        if not (self.path / "result.json").exists():
            return None
        try:
            result = read_sealed(self.path / "result.json")
            _check_kinds(result, {**_KEPT, "steps": _count}, "result.json")
            self.weights(result)
        except CheckpointError as error:
            message = f"{error}; going on from the newest checkpoint"
            warnings.warn(message, CheckpointWarning, stacklevel=2)
            return None
        return result

    def _check_same(self, state: Mapping[str, Any], source: str) -> None:
        changed = differences(state["run"], self._what)
        old, new = state["data"], self._data
        if not all(
            math.isclose(a, b, rel_tol=_SAME_DATA, abs_tol=1e-6)
            for a, b in zip(old, new, strict=True)
        ):
            changed.append("the samples of the first batch are others")
        if changed:
            more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
            fail("resume", f"another run than that of {source}: {'; '.join(changed[:4])}{more}",
                 "the same configuration, model and data",
                 "undo the changes or train in another folder", CheckpointError)  # fmt: skip

    def _write_config(self) -> None:
        path = self.path / "config.json"
        config = self._what["config"]
        if config is None:
            if path.exists():
                return
            config = {"training": self._what["training"], "seed": self._what["seed"]}
        if path.exists():
            try:
                changed = differences(json.loads(path.read_bytes()), config, "config")
            except (ValueError, RecursionError) as error:
                # Nothing depends on it: a checkpoint has its own copy, which was compared before.
                message = f"{path}: got no JSON ({error}); expected a configuration; written anew"
                warnings.warn(message, CheckpointWarning, stacklevel=2)
            else:
                if changed:
                    fail("config.json", f"another configuration: {'; '.join(changed[:4])}",
                         "that of this run", "train in another folder",
                         CheckpointError)  # fmt: skip
                return
        replace_file(path, json.dumps(config, indent=1, allow_nan=False).encode() + b"\n")


def _count(value: Any) -> bool:
    return is_number(value) and isinstance(value, int) and value >= 0


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(is_number, value))


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _memory(value: Any) -> bool:
    """Of :class:`deep.training.health.Watch`: numbers, or None before the first step."""
    return isinstance(value, dict) and all(v is None or is_number(v) for v in value.values())


# What this module and the loop take out of a file; a checksum only says that nobody slipped.
_KEPT: dict[str, Callable[[Any], bool]] = {
    "run": _mapping, "data": _numbers, "seconds": is_number, "records": _count,
}  # fmt: skip
_RESUMED: dict[str, Callable[[Any], bool]] = {"versions": _mapping, "watch": _memory}


def _check_kinds(
    content: Mapping[str, Any], kinds: Mapping[str, Callable[[Any], bool]], source: str
) -> None:
    for name, fits in kinds.items():
        if not fits(content.get(name)):
            kind = type(content.get(name)).__name__
            fail("resume", f"{source} with {name} of another kind ({kind})", "what a run writes",
                 "use another checkpoint, or train in another folder",
                 CheckpointError)  # fmt: skip


def _warn_of_versions(old: dict[str, str], new: dict[str, str]) -> None:
    if changed := differences(old, new):
        warnings.warn(
            f"resume: got {'; '.join(changed)}; expected what the checkpoint was made with; the "
            "run goes on, its last digits may differ from those of an uninterrupted one",
            CheckpointWarning,
            stacklevel=2,
        )
