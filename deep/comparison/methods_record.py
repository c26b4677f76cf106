"""The record of a comparison of methods with one another, where no optimum is known.

One JSON object. Beside ``experiment``, ``command``, ``units``, ``conditions``, ``config`` and
``notes``, which are those of :mod:`deep.comparison.record`:

``statistics``
    ``confidence``, ``margin`` (of non-inferiority), ``interval`` (what it is over), ``zero`` (L₀ of
    :func:`deep.comparison.relative.relative_excess`), ``n_samples``, ``n_features``.
``methods``
    One object each: ``name``; ``kind``, one of ``multi-rate``, ``variant``, ``dedicated``,
    ``annealed``; ``changes``, the settings in which a variant differs; ``seeds``; ``per_seed``,
    tables (seeds, β's) of ``rate``, ``distortion``, ``squared_error``, ``active_units``;
    ``points``, one object per β with the means over seeds of these, of ``objective``, its standard
    error over samples (mean over seeds) and, where the range of the data is known, ``psnr``.
``comparisons``
    ``method`` against ``baseline``: ``seeds`` that both have; ``rows``, per β ``per_seed`` relative
    excess, its mean ``excess``, ``interval`` and one-sided ``upper`` limit (null with one seed),
    ``verdict`` and ``excess_nats``; ``summary`` with the worst β, the mean over β and the verdict
    over all β's.
``cost``
    Per method and for one seed: runs, seconds of all of them, parameters, steps; ``ratio`` of the
    dedicated runs together to one multi-rate run, ``parameter_ratio`` of multi-rate to dedicated.
``reference``
    The optimum of linear VAEs, or null. A network may lie below it.
``published``
    Numbers printed by others and the excess of our multi-rate network over them, or null.
``quality``
    ``methods``: for each method and seed that was measured, ``method``, ``seed`` and the entries of
    :class:`deep.evaluation.quality.Quality`; or null.

Torch is not needed to read, write or check one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep._checks import fail
from deep.comparison.method_curves import TABLES, MethodCurves, plain, psnr_of, same_betas
from deep.comparison.published import PublishedCurve
from deep.comparison.reference import Reference
from deep.comparison.relative import RelativeExcess, relative_excess

__all__ = ["BETTER", "compare_methods", "methods_record"]

FloatArray = NDArray[np.float64]

BETTER = "better of dedicated and annealed"
_INTERVAL = (
    "Student's t over seeds, for the held-out samples at hand; every method of a seed is judged on "
    "these samples with the same noise of the latents"
)
_ONE_SEED = "none: one seed says nothing about others"
_UNITS = "nats per sample; squared error summed over dimensions, squared data units; seconds"
_CURVE_POINTS = 200


def methods_record(
    *,
    experiment: str,
    command: str,
    config: Mapping[str, Any],
    conditions: Mapping[str, Any],
    methods: Sequence[MethodCurves],
    n_samples: int,
    n_features: int,
    data_range: float | None = None,
    zero: float = 0.0,
    reference: Reference | None = None,
    published: PublishedCurve | None = None,
    quality: Mapping[str, Any] | None = None,
    margin: float = 0.01,
    confidence: float = 0.95,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Put a record together; its parts are described at the head of the module.

    Parameters
    ----------
    experiment, command : str
        What it is, one sentence; what makes it.
    config, conditions : mapping
        Plain values, as in :func:`deep.comparison.record.experiment_record`.
    methods : sequence of MethodCurves
        The multi-rate one first.
    n_samples, n_features : int
        Of the held-out samples.
    data_range : float, optional
        Largest minus smallest possible value, for the PSNR.
    zero : float
        L₀ of :func:`deep.comparison.relative.relative_excess`, nats.
    reference : Reference, optional
        A curve to draw beside.
    published : PublishedCurve, optional
        At whose β's the multi-rate network was read.
    quality : mapping, optional
        Plain values.
    margin, confidence : float
    notes : sequence of str

    Raises
    ------
    InputError
        Methods without a multi-rate one at the head, or two of one name.
    """
    names = [method.name for method in methods]
    if not methods or methods[0].kind != "multi-rate" or len(set(names)) < len(names):
        fail("methods", names, "different ones, the multi-rate network first",
             "rename or reorder them")  # fmt: skip
    several = max(len(method.seeds) for method in methods) > 1
    record = {
        "experiment": experiment,
        "command": command,
        "units": _UNITS,
        "conditions": dict(conditions),
        "config": dict(config),
        "statistics": {
            "confidence": confidence,
            "margin": margin,
            "interval": _INTERVAL if several else _ONE_SEED,
            "zero": zero,
            "n_samples": n_samples,
            "n_features": n_features,
            "data_range": data_range,
        },
        "methods": [_method(m, n_features, data_range) for m in methods],
        "comparisons": compare_methods(methods, zero=zero, margin=margin, confidence=confidence),
        "cost": _cost(methods),
        "reference": None if reference is None else _reference(reference, methods),
        "published": None if published is None else _published(
            published, methods[0], margin=margin, confidence=confidence),
        "quality": quality,
        "notes": list(notes),
    }  # fmt: skip
    found: dict[str, Any] = plain(record)
    return found


def compare_methods(
    methods: Sequence[MethodCurves],
    *,
    zero: float = 0.0,
    margin: float = 0.01,
    confidence: float = 0.95,
) -> list[dict[str, Any]]:
    """Every comparison of a record: with dedicated networks, the better of them, the multi-rate.

    Networks for all β are held against the dedicated ones at their β's, and variants against the
    multi-rate network at all β's they share.
    """
    kinds: dict[str, MethodCurves] = {}
    for method in methods:
        kinds.setdefault(method.kind, method)
    multi, alone, annealed = (kinds.get(k) for k in ("multi-rate", "dedicated", "annealed"))
    found = []
    for method in methods:
        if alone is not None and method is not alone:
            found.append((method, alone.name, [alone]))
        if alone is not None and annealed is not None and method.kind in ("multi-rate", "variant"):
            found.append((method, BETTER, [alone, annealed]))
        if multi is not None and method.kind == "variant":
            found.append((method, multi.name, [multi]))
    made = [
        _comparison(m, name, bases, zero=zero, margin=margin, confidence=confidence)
        for m, name, bases in found
    ]
    return [comparison for comparison in made if comparison is not None]


def _comparison(
    method: MethodCurves, name: str, bases: Sequence[MethodCurves], **judged: float
) -> dict[str, Any] | None:
    seeds = [s for s in method.seeds if all(s in base.seeds for base in bases)]
    betas = method.betas
    for base in bases:
        betas = same_betas(betas, base.betas)
    if not seeds or not betas.size:
        return None
    # The better network at each β and seed, chosen on the held-out samples: in its favour.
    baseline = np.min([base.table("objective", seeds, betas) for base in bases], axis=0)
    own = method.table("objective", seeds, betas)
    found = relative_excess(own, baseline, **judged)
    nats = (own - baseline).mean(axis=0)
    return {
        "method": method.name,
        "baseline": name,
        "seeds": seeds,
        "rows": [{**row, "excess_nats": n} for row, n in zip(_rows(betas, found), nats,
                                                             strict=True)],
        "summary": _summary(betas, found),
    }  # fmt: skip


def _rows(betas: FloatArray, found: RelativeExcess) -> list[dict[str, Any]]:
    rows = []
    for i, beta in enumerate(betas):
        known = found.low is not None and found.high is not None
        ends = [found.low[i], found.high[i]] if known else None  # type: ignore[index]
        rows.append(
            {
                "beta": beta,
                "per_seed": found.per_seed[:, i],
                "excess": found.mean[i],
                "interval": ends,
                "upper": None if found.upper is None else found.upper[i],
                "verdict": found.verdicts[i],
            }
        )
    return rows


def _summary(betas: FloatArray, found: RelativeExcess) -> dict[str, Any]:
    """The worst β and the mean, and one verdict: not worse only if so at every β."""
    worst = int(found.mean.argmax())
    verdicts = set(found.verdicts)
    order = ("worse", "undecided", "one seed", "not worse")
    return {
        "worst_beta": betas[worst],
        "worst": found.mean[worst],
        "mean": found.mean.mean(),
        "verdict": next(v for v in order if v in verdicts),
    }


def _method(method: MethodCurves, n_features: int, data_range: float | None) -> dict[str, Any]:
    means = {name: getattr(method, name).mean(axis=0) for name in (*TABLES, "objective",
                                                                   "objective_se")}  # fmt: skip
    if data_range is not None:
        means["psnr"] = psnr_of(means["squared_error"], n_features, data_range)
    return {
        "name": method.name,
        "kind": method.kind,
        "changes": method.changes,
        "seeds": method.seeds,
        "points": [
            {"beta": beta, **{name: values[i] for name, values in means.items()}}
            for i, beta in enumerate(method.betas)
        ],
        "per_seed": {name: getattr(method, name) for name in TABLES},
    }


def _cost(methods: Sequence[MethodCurves]) -> dict[str, Any]:
    by_kind = {method.kind: method for method in reversed(methods)}
    multi, alone = by_kind["multi-rate"], by_kind.get("dedicated")
    return {
        "per_method": [
            {
                "method": m.name,
                "runs": m.runs,
                "seconds": m.seconds.mean(),
                "seconds_per_run": m.seconds.mean() / m.runs,
                "seconds_per_seed": m.seconds,
                "parameters": m.parameters,
                "steps": m.steps,
            }
            for m in methods
        ],
        "ratio": None if alone is None else alone.seconds.mean() / multi.seconds.mean(),
        "parameter_ratio": None if alone is None else multi.parameters / alone.parameters,
    }


def _reference(reference: Reference, methods: Sequence[MethodCurves]) -> dict[str, Any]:
    betas = np.concatenate([method.betas for method in methods])
    points = reference.at_beta(np.geomspace(betas.min(), betas.max(), _CURVE_POINTS))
    return {
        "name": reference.name,
        "statement": reference.statement,
        "bounds": reference.bounds,
        "curve": {name: getattr(points, name) for name in ("betas", "rate", "distortion")},
    }


def _published(published: PublishedCurve, multi: MethodCurves, **judged: float) -> dict[str, Any]:
    def points(prefix: str) -> list[dict[str, float]]:
        columns = (getattr(published, prefix + name) for name in ("betas", "rate", "distortion"))
        return [{"beta": b, "rate": r, "distortion": d, "objective": d + b * r}
                for b, r, d in zip(*columns, strict=True)]  # fmt: skip

    theirs = points("")
    betas = same_betas(multi.betas, np.array(published.betas))
    want = [p["objective"] for p in theirs
            if same_betas(betas, np.array([p["beta"]])).size]  # fmt: skip
    own = multi.table("objective", multi.seeds, betas)
    rows = []
    if betas.size:
        found = relative_excess(own, np.broadcast_to(want, own.shape), **judged)
        rows = [{k: v for k, v in row.items() if k != "verdict"} for row in _rows(betas, found)]
    return {
        "source": published.source,
        "epochs": published.epochs,
        "multi_rate": theirs,
        "dedicated": points("dedicated_"),
        "excess": rows,
    }
