"""The record of an experiment: one JSON that says what was run, where, and what came out.

Torch is not needed to read, write or check one.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from deep._checks import fail
from deep.comparison.curves import ComparedCurve, compare_rates
from deep.comparison.record_keys import wrong_keys
from deep.comparison.reference import Reference
from deep.comparison.statistics import OVER, SeedSummary, over_seeds, over_what
from linvae.datafiles import save_json

__all__ = [
    "check_record",
    "conditions",
    "experiment_record",
    "save_record",
    "summarise",
    "wrong_keys",
]

_MEANS = (
    "rate",
    "distortion",
    "squared_error",
    "objective",
    "excess_nats",
    "normalised_excess",
)
_CURVE_POINTS = 200
_INTERVAL = (
    "sqrt((t se_seeds)^2 + (z se_samples)^2), samples common to all seeds; standard errors are "
    "sqrt(se_seeds^2 + se_samples^2); null for one seed judged exactly; of areas over seeds alone"
)
_KEYS = {
    "experiment": str,
    "command": str,
    "units": str,
    "conditions": dict,
    "config": dict,
    "statistics": dict,
    "multi_rate": list,
    "dedicated": list,
    "cost": dict,
    "reference": dict,
    "summary": dict,
}
_CONDITIONS = (
    "processor",
    "cores",
    "system",
    "python",
    "versions",
    "blas_threads",
    "seeds",
    "data",
)
_COSTS = ("multi_rate_seconds", "dedicated_seconds", "ratio", "parameters")
_REFERENCE = ("name", "statement", "bounds", "curve")
_STATISTICS = ("confidence", "interval", "multi_rate", "dedicated")
_OF_BLOCK = ("n_seeds", "over", "n_samples")


def conditions(*packages: str, **more: Any) -> dict[str, Any]:
    """Hardware, versions and threads of this process, and whatever else is given.

    Parameters
    ----------
    packages : str
        Whose versions matter beside those of linvae, NumPy and SciPy.
    more
        Further entries in plain values, such as ``seeds``, ``data`` or ``torch_threads``.
    """
    pools = {p["internal_api"]: p["num_threads"] for p in threadpool_info()}
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("linvae", "numpy", "scipy", *packages)},
        "blas_threads": pools,
        **more,
    }


def experiment_record(
    *,
    experiment: str,
    command: str,
    config: Mapping[str, Any],
    conditions: Mapping[str, Any],
    multi_rate: Sequence[ComparedCurve],
    reference: Reference,
    cost: Mapping[str, Any],
    dedicated: Sequence[ComparedCurve] = (),
    reference_data: str = "",
    confidence: float = 0.95,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Put a record together.

    Parameters
    ----------
    experiment : str
        What it is, one sentence.
    command : str
        That makes it.
    config : mapping
        The settings, in plain values.
    conditions : mapping
        Of :func:`conditions`, with ``seeds`` and ``data``.
    multi_rate, dedicated : sequence of ComparedCurve
        One per seed, all at the same β's and against the same reference. A dedicated curve has one
        separately trained model per β; empty when there are none.
    reference : Reference
        That of the curves.
    cost : mapping
        ``multi_rate_seconds`` of one run and ``dedicated_seconds`` of all dedicated runs of one
        seed together (None without), ``parameters``, and whatever else; the ratio is added.
    reference_data : str
        On which data the reference was made and judged, one sentence; added to its statement.
    confidence : float
        Of the intervals.
    notes : sequence of str
        What a reader must know, one sentence each.

    Returns
    -------
    dict
        Plain values; :func:`check_record` finds nothing missing.

    Raises
    ------
    InputError
        No curve, curves at different β's, a confidence outside (0, 1).
    """
    record = {
        "experiment": experiment,
        "command": command,
        "units": "nats per sample; squared error summed over dimensions, squared data units",
        "conditions": dict(conditions),
        "config": dict(config),
        "statistics": {
            "confidence": confidence,
            "interval": _INTERVAL,
            "multi_rate": _statistics(multi_rate),
            "dedicated": _statistics(dedicated) if dedicated else None,
        },
        "multi_rate": _rows(multi_rate, confidence),
        "dedicated": _rows(dedicated, confidence) if dedicated else [],
        "cost": _with_ratio(cost),
        "reference": _about(reference, reference_data, [*multi_rate, *dedicated]),
        "summary": summarise(multi_rate, dedicated, reference, confidence=confidence),
        "notes": list(notes),
    }
    plain: dict[str, Any] = _plain(record)
    return plain


def summarise(
    multi_rate: Sequence[ComparedCurve],
    dedicated: Sequence[ComparedCurve],
    reference: Reference,
    *,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """Condense curves, one per seed, to a few numbers.

    The worst excesses are those of the mean over seeds. Distortion at equal rate is multi-rate
    minus dedicated: positive where the multi-rate model needs more distortion for the same rate.
    """
    found: dict[str, Any] = {"multi_rate": _worst(multi_rate, confidence)}
    # At the same β's, so that a perfect model has the same points and area 0.
    found["area_above_reference"] = _areas(
        [compare_rates(c, reference.at_beta(c.betas)) for c in multi_rate], confidence
    )
    if not dedicated:
        return _plain(found)  # type: ignore[no-any-return]
    found["dedicated"] = _worst(dedicated, confidence)
    pairs = list(zip(multi_rate, dedicated, strict=False))
    equal = [compare_rates(m, d, d.rate) for m, d in pairs]
    same = [(m, d) for m, d in pairs if np.array_equal(m.betas, d.betas)]
    found["multi_rate_minus_dedicated"] = {
        **_areas(equal, confidence),
        "distortion_at_equal_rate": [
            [{"rate": r, "difference": v} for r, v in zip(e.rates, e.difference, strict=True)]
            for e in equal
        ],
        "objective_largest": max((m.objective - d.objective).max() for m, d in same)
        if same
        else None,
    }
    plain: dict[str, Any] = _plain(found)
    return plain


def save_record(path: str | Path, record: Mapping[str, Any]) -> None:
    """Check a record and write it as strict JSON, whole or not at all.

    Raises
    ------
    InputError
        Something is missing; the message lists it.
    """
    missing = check_record(record)
    if missing:
        fail("record", "; ".join(missing[:5]), "a complete record",
             "build it with experiment_record")  # fmt: skip
    save_json(path, record)


def check_record(document: Any) -> list[str]:
    """Say what a record lacks, one sentence each; empty when it is complete."""
    found = wrong_keys(document, _KEYS)
    if found:
        return found
    found += [f"{key}: empty" for key in ("experiment", "command") if not document[key].strip()]
    for part, names in (("conditions", _CONDITIONS), ("cost", _COSTS), ("reference", _REFERENCE),
                        ("statistics", _STATISTICS)):  # fmt: skip
        found += [f"{part}.{name}: missing" for name in names if name not in document[part]]
    found += _statistics_faults(document)
    if "multi_rate" not in document["summary"]:
        found.append("summary.multi_rate: missing")
    if not document["multi_rate"]:
        found.append("multi_rate: no points")
    for part in ("multi_rate", "dedicated"):
        for place, row in enumerate(document[part]):
            found += [f"{part}[{place}].{text}" for text in _row_faults(row)]
    return found + [f"{place}: not a finite number" for place in _not_finite(document, "")]


def _statistics_faults(document: Mapping[str, Any]) -> list[str]:
    faults = []
    for part in ("multi_rate", "dedicated"):
        about, place = document["statistics"].get(part), f"statistics.{part}"
        if not document[part]:
            continue
        if not isinstance(about, Mapping) or any(name not in about for name in _OF_BLOCK):
            faults.append(f"{place}: not an object with {', '.join(_OF_BLOCK)}")
        elif about["over"] not in (OVER[:2] if about["n_seeds"] == 1 else OVER[2:]):
            faults.append(f"{place}.over: {about['over']!r} with n_seeds = {about['n_seeds']}")
    return faults


def _row_faults(row: Any) -> list[str]:
    if not isinstance(row, Mapping):
        return ["not an object"]
    wanted = ["beta", "optimum", *_MEANS, *(f"{name}_se" for name in _MEANS)]
    faults = [f"{name}: not a number" for name in wanted if not _is_number(row.get(name))]
    if not isinstance(row.get("in_nats"), bool):
        faults.append("in_nats: not true or false")
    faults += [f"{name}: missing" for name in ("excess_nats_interval",) if name not in row]
    if faults:
        return faults
    scale = 1e-9 * (1 + abs(row["objective"]) + abs(row["optimum"]))
    if row["beta"] <= 0:
        faults.append("beta: not > 0")
    if abs(row["distortion"] + row["beta"] * row["rate"] - row["objective"]) > scale:
        faults.append("objective: not distortion + beta * rate")
    if abs(row["objective"] - row["optimum"] - row["excess_nats"]) > scale:
        faults.append("excess_nats: not objective - optimum")
    return faults


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _not_finite(value: Any, place: str) -> list[str]:
    if isinstance(value, Mapping):
        return [p for k, v in value.items() for p in _not_finite(v, f"{place}.{k}".lstrip("."))]
    if isinstance(value, list | tuple):
        return [p for i, v in enumerate(value) for p in _not_finite(v, f"{place}[{i}]")]
    return [place] if isinstance(value, float) and not math.isfinite(value) else []


def _rows(curves: Sequence[ComparedCurve], confidence: float) -> list[dict[str, Any]]:
    betas, optimum = curves[0].betas if curves else np.zeros(0), None
    if not curves or any(not np.array_equal(c.betas, betas) for c in curves):
        fail("curves", f"{len(curves)} of them" + (", at different β's" if curves else ""),
             "at least one, all at the same β's", "evaluate all seeds alike")  # fmt: skip
    # Each seed has the same optimum; the mean only matters if it was judged on its own samples.
    optimum = np.mean([c.optimum for c in curves], axis=0)
    means = {
        name: over_seeds(
            [getattr(c, name) for c in curves],
            errors=[getattr(c, f"{name}_se") for c in curves],
            confidence=confidence,
        )
        for name in _MEANS
    }
    rows = []
    for i, beta in enumerate(betas):
        row: dict[str, Any] = {"beta": beta, "optimum": optimum[i]}
        for name, summary in means.items():
            row[name] = summary.mean[i]
            assert summary.standard_error is not None  # errors were given
            row[f"{name}_se"] = summary.standard_error[i]
        row["in_nats"] = curves[0].in_nats[i]
        row["collapsed_loss"] = np.mean([c.collapsed_loss[i] for c in curves])
        for name in ("excess_nats", "normalised_excess"):
            row[f"{name}_interval"] = _interval(means[name], i)
        rows.append(row)
    return rows


def _statistics(curves: Sequence[ComparedCurve]) -> dict[str, Any]:
    exact = not any(c.objective_se.any() for c in curves)
    return {
        "n_seeds": len(curves),
        "over": over_what(len(curves), exact=exact),
        "n_samples": (curves[0].n_samples or None) if curves else None,  # None: a population
    }


def _interval(summary: SeedSummary, place: int) -> list[float] | None:
    if summary.low is None or summary.high is None:
        return None
    return [float(summary.low[place]), float(summary.high[place])]


def _worst(curves: Sequence[ComparedCurve], confidence: float) -> dict[str, Any]:
    excess = over_seeds([c.excess_nats for c in curves], confidence=confidence).mean
    share = over_seeds([c.normalised_excess for c in curves], confidence=confidence).mean
    little = curves[0].in_nats
    return {
        "normalised_excess_largest": share[~little].max() if (~little).any() else None,
        "excess_nats_largest": excess.max(),
        "excess_nats_smallest": excess.min(),
        "excess_nats_largest_where_little_to_lose": excess[little].max() if little.any() else None,
    }


def _areas(equal: Sequence[Any], confidence: float) -> dict[str, Any]:
    kept = [e for e in equal if math.isfinite(e.area)]
    if not kept:
        return {"area": None, "mean_distortion": None, "interval": None, "rates": None}
    summary = over_seeds([e.mean_difference for e in kept], confidence=confidence)
    ends = None if summary.low is None or summary.high is None else [summary.low, summary.high]
    return {
        "area": float(np.mean([e.area for e in kept])),
        "mean_distortion": summary.mean,
        "interval": ends,
        "rates": [max(e.interval[0] for e in kept), min(e.interval[1] for e in kept)],
    }


def _with_ratio(cost: Mapping[str, Any]) -> dict[str, Any]:
    multi, alone = cost.get("multi_rate_seconds"), cost.get("dedicated_seconds")
    ratio = multi / alone if multi and alone else None
    return {"parameters": None, "dedicated_seconds": None, **cost, "ratio": ratio}


def _about(reference: Reference, data: str, curves: Sequence[ComparedCurve]) -> dict[str, Any]:
    measured = np.concatenate([c.betas for c in curves])
    # Not beyond the measured β's, where the reference need not be defined.
    points = reference.at_beta(np.geomspace(measured.min(), measured.max(), _CURVE_POINTS))
    names = ("betas", "rate", "distortion")
    slack = points.slack.max()
    return {
        "name": reference.name,
        "statement": f"{reference.statement} {data}".rstrip(),
        "bounds": reference.bounds,
        "slack_largest": slack if math.isfinite(slack) else None,
        "curve": {name: getattr(points, name) for name in names},
    }


def _plain(value: Any) -> Any:
    """Python values; numbers that are not finite stay, so that the check can name them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
