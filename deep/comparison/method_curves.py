"""What one method achieved, seed by seed and β by β: the numbers a record is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deep._checks import fail

__all__ = [
    "TABLES",
    "MethodCurves",
    "MethodKind",
    "curves_from_record",
    "merge_betas",
    "plain",
    "psnr_of",
    "same_betas",
]

FloatArray = NDArray[np.float64]
MethodKind = Literal["multi-rate", "variant", "dedicated", "annealed"]

TABLES = ("rate", "distortion", "squared_error", "active_units")
_SAME = 1e-9  # relative difference up to which two β's are one


@dataclass(frozen=True, eq=False)
class MethodCurves:
    """Measured points of one method; tables (S, B), one row per seed.

    Attributes
    ----------
    name : str
    kind : str
        ``multi-rate``, ``variant``, ``dedicated`` or ``annealed``.
    seeds : tuple of int
    betas : ndarray (B,)
    rate, distortion, objective_se : ndarray (S, B)
        Nats; the standard error of the objective is over samples.
    squared_error, active_units : ndarray (S, B)
    seconds : ndarray (S,)
        Of the training loops of all runs of a seed together.
    runs : int
        For one seed.
    parameters, steps : int
        Of one run.
    changes : mapping
        Settings in which a variant differs.

    Raises
    ------
    InputError
        Tables that are not (S, B).
    """

    name: str
    kind: MethodKind
    seeds: tuple[int, ...]
    betas: FloatArray
    rate: FloatArray
    distortion: FloatArray
    squared_error: FloatArray
    active_units: FloatArray
    objective_se: FloatArray
    seconds: FloatArray
    runs: int
    parameters: int
    steps: int
    changes: Mapping[str, Any]

    def __post_init__(self) -> None:
        shape = (len(self.seeds), len(self.betas))
        for name in (*TABLES, "objective_se"):
            if getattr(self, name).shape != shape:
                fail(f"{self.name}.{name}", f"shape {getattr(self, name).shape}",
                     f"{shape}, one row per seed", "evaluate all seeds alike")  # fmt: skip

    @property
    def objective(self) -> FloatArray:
        """D + βR (S, B), nats."""
        return np.asarray(self.distortion + self.betas * self.rate)

    def table(self, name: str, seeds: Sequence[int], betas: FloatArray) -> FloatArray:
        """Rows of these seeds and columns of these β's, which the method must have."""
        rows = [self.seeds.index(seed) for seed in seeds]
        columns = [int(np.argmin(np.abs(np.log(self.betas / beta)))) for beta in betas]
        return np.asarray(getattr(self, name)[np.ix_(rows, columns)], dtype=np.float64)


def curves_from_record(record: Mapping[str, Any]) -> list[MethodCurves]:
    """Read the methods of a record back."""
    costs = {cost["method"]: cost for cost in record["cost"]["per_method"]}
    found = []
    for method in record["methods"]:
        cost = costs[method["name"]]
        errors = [point["objective_se"] for point in method["points"]]
        found.append(
            MethodCurves(
                name=method["name"],
                kind=method["kind"],
                seeds=tuple(method["seeds"]),
                betas=np.array([point["beta"] for point in method["points"]]),
                **{name: np.array(method["per_seed"][name], dtype=np.float64) for name in TABLES},
                objective_se=np.tile(errors, (len(method["seeds"]), 1)),  # a mean over seeds
                seconds=np.array(cost["seconds_per_seed"]),
                runs=cost["runs"],
                parameters=cost["parameters"],
                steps=cost["steps"],
                changes=method["changes"],
            )
        )
    return found


def merge_betas(*lists: FloatArray) -> FloatArray:
    """All β's, ascending; of those that are the same but for rounding the first list's."""
    merged = np.zeros(0)
    for betas in lists:
        new = [b for b in betas if not merged.size or np.abs(merged / b - 1).min() > _SAME]
        merged = np.concatenate([merged, new])
    return np.sort(merged)


def same_betas(betas: FloatArray, others: FloatArray) -> FloatArray:
    """Those of the first list that the second has, too."""
    return np.array([b for b in betas if others.size and np.abs(others / b - 1).min() <= _SAME])


def psnr_of(squared_error: FloatArray, n_features: int, data_range: float) -> FloatArray:
    r"""Peak signal-to-noise ratio in decibels, as :func:`deep.evaluation.curves.psnr`.

    .. math:: 10 \log_{10} \frac{r^2 n}{\varepsilon}
    """
    from deep.evaluation.curves import psnr  # loads torch, which reading a record does not need

    return psnr(squared_error, n_features, data_range=data_range)


def plain(value: Any) -> Any:
    """Python values, lists and mappings with text keys."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
