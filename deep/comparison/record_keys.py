"""What the kinds of records have in common: keys that must be there, of one type each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["wrong_keys"]


def wrong_keys(document: Any, keys: Mapping[str, type | tuple[type, ...]]) -> list[str]:
    """Say which keys a record lacks and which hold another type, one sentence each."""

    def names(kind: type | tuple[type, ...]) -> str:
        return " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))

    if not isinstance(document, Mapping):
        return [f"not an object but {type(document).__name__}"]
    return [f"{key}: missing" for key in keys if key not in document] + [
        f"{key}: {type(document[key]).__name__}, not {names(kind)}"
        for key, kind in keys.items()
        if key in document and not isinstance(document[key], kind)
    ]
