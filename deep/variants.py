"""Variants of an experiment: other multi-rate networks beside the first, as changes of settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["MULTI_RATE", "SECTIONS", "complaint", "with_variant"]

MULTI_RATE = "multi-rate"  # the name of the first network's folder
# Sections in which a variant may differ. The others say what all are trained on and judged by.
SECTIONS = ("model", "beta", "training")


def with_variant(settings: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Plain settings with the keys of a variant put over them, at every depth.

    All are read at the same β's, so the range of the reading is that of the first network even
    where the variant trains on another range of β.
    """
    merged = _merged(settings, change)
    reading, span = settings["evaluation"], settings["beta"]
    ends = {end: span[end] if reading[end] is None else reading[end] for end in ("low", "high")}
    return {**merged, "evaluation": {**reading, **ends}, "variants": {}}


def complaint(name: str, change: Mapping[str, Any]) -> str | None:
    """Say what is wrong with a variant before it is merged; None when nothing is."""
    if name == MULTI_RATE or name.startswith("beta-"):
        return f"got the name {name}; expected another, as networks of the experiment have such; "\
               "rename it"  # fmt: skip
    strangers = [section for section in change if section not in SECTIONS]
    if strangers:
        return (f"got {', '.join(strangers)}; expected sections among {', '.join(SECTIONS)}, as "
                "the rest is common to all networks; remove it")  # fmt: skip
    flat = [section for section, value in change.items() if not isinstance(value, Mapping)]
    if flat:
        return f"got {flat[0]} without keys; expected a mapping; write {flat[0]}.KEY"
    if change.get("beta", {}).get("draw") == "constant":
        return "got beta.draw = constant; expected a multi-rate network; use dedicated"
    return None


def _merged(old: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in change.items():
        before = old.get(key)
        nested = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(before, value) if nested else value  # type: ignore[arg-type]
    return merged
