"""What a GPU makes of the networks for images: ``python -m benchmarks.gpu [PRESET ...]``.

Without CUDA it says so and measures nothing. For each preset, by default the convolutional and the
residual network of the published sizes on static binarized MNIST:

- correctness: loss and gradients of one batch against float64 on the CPU;
- steps: training steps per second and peak memory of the plain and of the multi-rate network, in
  turns, in float32, TF32, bfloat16 and compiled;
- cost: one multi-rate run and ten dedicated ones to the same epochs;
- evaluation: the curve at 100 β's, all at once and β by β;
- resume: a run that breaks off halfway goes on.

The images are random bits unless ``--data`` names real ones: neither time nor memory depends on
what they show. Each part is written to the record as soon as it is measured, so that a limit of
time or a broken part costs no other one. The exit code is 1 if a part failed.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from .gpu_job import FULL, MODES, PUBLISHED, QUICK, Deadline, Job, OutOfTimeError, job_of
from .gpu_runs import cost, evaluation, resume
from .gpu_steps import correctness, throughput
from .record import RESULTS, conditions, write_json

__all__ = ["main", "parts_of"]

Part = Callable[[], dict[str, Any]]


class Record:
    """The parts measured so far, on the disk after each change."""

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self._path = path
        self.content: dict[str, Any] = {**head, "parts": []}
        self._write()

    def start(self, preset: str, part: str) -> dict[str, Any]:
        """A new entry, to be filled by :meth:`put`."""
        entry: dict[str, Any] = {"preset": preset, "part": part, "status": "begun"}
        self.content["parts"].append(entry)
        return entry

    def put(self, entry: dict[str, Any], **values: Any) -> None:
        """Fill an entry and write everything."""
        entry |= values
        self._write()

    def _write(self) -> None:
        write_json(self._path, _finite(self.content))


def _finite(value: Any) -> Any:
    """The same with numbers that are not finite as text: JSON has none."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def parts_of(job: Job, keep: Callable[[dict[str, Any]], None]) -> dict[str, Part]:
    """What is measured for a job, in this order: compilation, which can take long, comes last."""
    eager = [mode for mode in MODES if not mode.compiled]
    compiled = [mode for mode in MODES if mode.compiled and job.backend != "none"]
    parts: dict[str, Part] = {"correctness": partial(correctness, job)}
    parts |= {f"steps, {mode.name}": partial(throughput, job, mode) for mode in eager}
    parts["cost"] = partial(cost, job, keep)
    parts["evaluation"] = partial(evaluation, job)
    parts["resume"] = partial(resume, job)
    parts |= {f"steps, {mode.name}": partial(throughput, job, mode) for mode in compiled}
    return parts


def _measure(record: Record, name: str, job: Job, wanted: list[str] | None) -> bool:
    """All parts of one preset; whether none of them failed."""
    good = True
    current: dict[str, Any] = {}

    def keep(values: dict[str, Any]) -> None:
        record.put(current, **values)

    for part, action in parts_of(job, keep).items():
        if wanted is not None and part not in wanted:
            continue
        current = record.start(name, part)
        start = time.perf_counter()
        try:
            job.deadline.check()
            values = {"status": "measured", **action()}
        except OutOfTimeError:
            values = {"status": "out of time"}
        except Exception as error:
            values = {"status": "failed", "error": f"{type(error).__name__}: {error}"[:2000]}
        good &= values["status"] != "failed" and values.get("passed", True)
        record.put(current, **values, part_seconds=time.perf_counter() - start)
        print(_line(current), flush=True)
    return good


def _line(entry: dict[str, Any]) -> str:
    return (
        f"{entry['preset']:8s} {entry['part']:28s} {entry['part_seconds']:7.1f} s  "
        f"{entry['status']}: {_gist(entry)}"
    )


def _gist(entry: dict[str, Any]) -> str:
    """The one number of a part that a reader looks for first."""
    if entry["status"] == "failed":
        return str(entry["error"]).splitlines()[0]
    if "networks" in entry:
        plain, multi = entry["networks"]["plain"], entry["networks"]["multi-rate"]
        overhead = multi["ratio_to_plain"]["median"] - 1
        return (
            f"{plain['images_per_second']:.0f} images/s plain, "
            f"{multi['images_per_second']:.0f} multi-rate ({100 * overhead:+.1f} % time)"
        )
    if "dedicated_over_multi_rate" in entry:
        return (
            f"{entry['multi_rate_seconds']:.1f} s against {entry['dedicated_seconds']:.1f} s, "
            f"{entry['dedicated_over_multi_rate']:.2f} times"
        )
    if "loop_over_vectorised" in entry:
        return f"the loop takes {entry['loop_over_vectorised']:.2f} times as long"
    return "within tolerances" if entry.get("passed") else "outside tolerances or not complete"


# --- where ----------------------------------------------------------------------------------------


def _conditions(device: torch.device) -> dict[str, Any]:
    found = conditions("torch", "lightning-fabric", torch_threads=torch.get_num_threads())
    found["device"] = device.type
    if device.type != "cuda":
        return found
    properties = torch.cuda.get_device_properties(device)
    return found | {
        "gpu": properties.name,
        "gpu_memory_bytes": properties.total_memory,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def _driver() -> str:
    """Version of NVIDIA's driver, as its own tool says it."""
    call = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(call, capture_output=True, text=True, timeout=30, check=True)
        return found.stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown: nvidia-smi did not answer"


def _device(name: str) -> torch.device | None:
    """The device to measure on; None where it is not there."""
    if name == "cpu":
        return torch.device("cpu")
    return torch.device("cuda", 0) if torch.cuda.is_available() else None


# --- command line ---------------------------------------------------------------------------------


def _deadline(seconds: str) -> Deadline:
    return Deadline(float(seconds))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("presets", nargs="*", default=list(PUBLISHED), metavar="PRESET",
        help="names of experiments, or conv and resnet (the default)")  # fmt: skip
    add("--data", type=Path, help="folder of the data set; otherwise random bits")
    add("--device", choices=("cuda", "cpu"), default="cuda")
    add("--epochs", type=int, default=1, help="of the runs whose cost is measured")
    add("--batch-size", type=int, help="instead of that of the preset")
    add("--only", nargs="+", metavar="PART", help="correctness, cost, 'steps, bf16' and so on")
    add("--compile", dest="backend", default="inductor", help="backend; none: leave it out")
    add("--time-limit", dest="deadline", type=_deadline, default="480", metavar="SECONDS",
        help="after which no part is begun and runs are broken off")  # fmt: skip
    add("--quick", action="store_true", help="tiny networks, seconds instead of minutes")
    add("--output", type=Path, default=RESULTS / "gpu.json")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write results/gpu.json."""
    parser = _parser()
    options = parser.parse_args(argv)
    device = _device(options.device)
    if device is None:
        print("benchmarks.gpu: no CUDA device here, nothing measured; --device cpu tries it out")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            jobs = {name: _job(name, options, device, Path(folder)) for name in options.presets}
        except ValueError as error:
            parser.error(str(error))
        record = Record(options.output, _head(options, device))
        good = [_measure(record, name, job, options.only) for name, job in jobs.items()]
    print(f"written: {options.output}")
    return 0 if all(good) else 1


def _job(name: str, options: argparse.Namespace, device: torch.device, folder: Path) -> Job:
    return job_of(
        name,
        device=device,
        sizes=QUICK if options.quick else FULL,
        deadline=options.deadline,
        folder=folder,
        data=options.data,
        epochs=options.epochs,
        batch_size=16 if options.quick else options.batch_size,
        backend=options.backend,
        tiny=options.quick,
    )


def _head(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    command = ["python -m benchmarks.gpu", *options.presets, f"--epochs {options.epochs}"]
    command += ["--data DATA"] if options.data else []
    command += [f"--batch-size {options.batch_size}"] if options.batch_size else []
    command += [f"--device {options.device}"] if options.device != "cuda" else []
    command += ["--quick"] if options.quick else []
    return {
        "experiment": "training and evaluation of multi-rate networks for images on one device",
        "command": " ".join(command),
        "data": "that of each preset" if options.data else "random bits of the shape of the data",
        "quick": options.quick,
        "units": "seconds, bytes; quartiles over rounds in which the networks take turns",
        "modes": {mode.name: {k: v for k, v in vars(mode).items() if k != "name"}
                  for mode in MODES},
        "conditions": _conditions(device),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
