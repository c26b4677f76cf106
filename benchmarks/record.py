"""Where, and with what, a number was measured; and how it is written down."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from deep.comparison.record import conditions

__all__ = ["RESULTS", "conditions", "write_json"]

RESULTS = Path(__file__).resolve().parent.parent / "results"


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
