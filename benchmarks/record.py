"""Where, and with what, a number was measured; and how it is written down."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

__all__ = ["RESULTS", "conditions", "write_json"]

RESULTS = Path(__file__).resolve().parent.parent / "results"


def conditions(*packages: str) -> dict[str, Any]:
    """Hardware, versions and threads of this process."""
    pools = {p["internal_api"]: p["num_threads"] for p in threadpool_info()}
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("linvae", "numpy", "scipy", *packages)},
        "blas_threads": pools,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write readable JSON through a temporary file, so that a broken run leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2, allow_nan=False, default=_plain) + "\n")
    os.replace(partial, path)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"cannot write {type(value).__name__} as JSON")
