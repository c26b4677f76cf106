"""Whether a record of methods is complete, and its derived numbers those of its tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deep._checks import fail
from deep.comparison.method_curves import TABLES, MethodCurves, curves_from_record, plain
from deep.comparison.methods_record import compare_methods
from deep.comparison.record_keys import wrong_keys
from deep.errors import InputError
from linvae.datafiles import save_json

__all__ = ["check_methods", "save_methods"]

_KEYS: dict[str, type | tuple[type, ...]] = {
    "experiment": str,
    "command": str,
    "units": str,
    "conditions": dict,
    "config": dict,
    "statistics": dict,
    "methods": list,
    "comparisons": list,
    "cost": dict,
    "reference": (dict, type(None)),
    "published": (dict, type(None)),
    "quality": (dict, type(None)),
    "notes": list,
}
_STATISTICS = ("confidence", "margin", "interval", "zero", "n_samples", "n_features")
_METHOD = ("name", "kind", "changes", "seeds", "points", "per_seed")
_MEANS = (*TABLES, "objective")
_ROUNDING = 1e-9  # relative, of sums that are made twice


def save_methods(path: str | Path, record: Mapping[str, Any]) -> None:
    """Check a record and write it as strict JSON, whole or not at all.

    Raises
    ------
    InputError
        Something is missing or does not follow from the tables; the message says what.
    """
    faults = check_methods(record)
    if faults:
        fail("record", "; ".join(faults[:5]), "a complete record", "build it with methods_record",
             InputError)  # fmt: skip
    save_json(path, record)


def check_methods(document: Any) -> list[str]:
    """Say what a record lacks or contradicts, one sentence each; empty when it is right.

    Means and comparisons are computed again from the tables of the seeds.
    """
    faults = wrong_keys(document, _KEYS)
    if faults:
        return faults
    faults += [f"statistics.{name}: missing" for name in _STATISTICS
               if name not in document["statistics"]]  # fmt: skip
    for place, method in enumerate(document["methods"]):
        faults += [f"methods[{place}].{name}: missing" for name in _METHOD if name not in method]
    faults += [f"{place}: not a finite number" for place in _not_finite(document, "")]
    if faults:
        return faults
    try:
        methods = curves_from_record(document)
    except (InputError, KeyError, TypeError, ValueError) as error:
        return [f"methods: {error!r}"]
    if not methods or methods[0].kind != "multi-rate":
        return ["methods: no multi-rate network at the head"]
    return _wrong_means(document, methods) + _wrong_comparisons(document, methods)


def _wrong_means(document: Mapping[str, Any], methods: list[MethodCurves]) -> list[str]:
    faults = []
    for shown, method in zip(document["methods"], methods, strict=True):
        for name in _MEANS:
            want = getattr(method, name).mean(axis=0)
            got = [point.get(name, math.nan) for point in shown["points"]]
            if not np.allclose(got, want, rtol=_ROUNDING, atol=_ROUNDING):
                faults.append(f"methods.{method.name}.{name}: not the mean of its seeds")
    return faults


def _wrong_comparisons(document: Mapping[str, Any], methods: list[MethodCurves]) -> list[str]:
    about = document["statistics"]
    want = plain(
        compare_methods(methods, zero=about["zero"], margin=about["margin"],
                        confidence=about["confidence"])
    )  # fmt: skip
    got = document["comparisons"]
    faults = [f"comparisons{place}: not what follows from the tables"
              for place in _different(got, want, "")]  # fmt: skip
    cost, ratio = document["cost"], None
    by_name = {method.name: method for method in methods}
    if "dedicated" in by_name:
        ratio = by_name["dedicated"].seconds.mean() / methods[0].seconds.mean()
    if _different(cost.get("ratio"), plain(ratio), ""):
        faults.append("cost.ratio: not what follows from the seconds")
    return faults


def _different(got: Any, want: Any, place: str) -> list[str]:
    """Places where two documents differ by more than rounding."""
    if isinstance(want, Mapping) and isinstance(got, Mapping) and got.keys() == want.keys():
        return [p for key in want for p in _different(got[key], want[key], f"{place}.{key}")]
    if isinstance(want, list) and isinstance(got, list) and len(got) == len(want):
        pairs = enumerate(zip(got, want, strict=True))
        return [p for i, (a, b) in pairs for p in _different(a, b, f"{place}[{i}]")]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (got, want))
    if numbers:
        return [] if math.isclose(got, want, rel_tol=_ROUNDING, abs_tol=_ROUNDING) else [place]
    return [] if got == want and type(got) is type(want) else [place]


def _not_finite(value: Any, place: str) -> list[str]:
    if isinstance(value, Mapping):
        return [p for k, v in value.items() for p in _not_finite(v, f"{place}.{k}".lstrip("."))]
    if isinstance(value, list | tuple):
        return [p for i, v in enumerate(value) for p in _not_finite(v, f"{place}[{i}]")]
    return [place] if isinstance(value, float) and not math.isfinite(value) else []
