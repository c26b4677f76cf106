"""Where, and with what, a number was measured; and how it is written down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from deep.comparison.record import conditions
from linvae.datafiles import atomic_write

__all__ = ["RESULTS", "conditions", "write_json"]

RESULTS = Path(__file__).resolve().parent.parent / "results"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write readable JSON whole or not at all, so that a broken run leaves the old file."""
    text = json.dumps(content, indent=2, allow_nan=False, default=_plain) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(text.encode())


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"cannot write {type(value).__name__} as JSON")
