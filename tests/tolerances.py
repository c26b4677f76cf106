"""The one table of tolerances, keyed by purpose and dtype, and the comparison that reads it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

__all__ = ["EPS", "TOLERANCES", "assert_close", "tolerance"]

EPS = float(np.finfo(np.float64).eps)

_UNIT = {name: float(np.finfo(name).eps) for name in ("float16", "float32", "float64")}

# Relative to the scale of what is compared. "ulps" entries are multiples of the dtype's unit.
TOLERANCES = MappingProxyType(
    {
        # purpose, dtype
        ("exact", "float64"): 1e-10,  # closed form against closed form, well conditioned
        ("hypernetwork", "float64"): 1e-12,  # gates against response away from critical betas
        ("rounding", "float64"): 64 * EPS,  # a handful of operations
        ("ulps", "float64"): 8 * EPS,  # a backward error of a few ulps
        ("gradient", "float64"): 1e-12,  # stationarity, relative to the size of its summands
        ("optimisation", "float64"): 1e-9,  # excess of an optimiser, relative to the collapsed loss
        ("difference", "float64"): 1e-6,  # central finite differences
        ("quadrature", "float64"): 1e-10,
        ("input", "float64"): 64 * EPS,  # moments of data stored in this dtype
        ("input", "float32"): 64 * EPS,  # float32 samples are exact in float64
        ("input", "float16"): 64 * EPS,
        ("stored", "float64"): 64 * EPS,  # a covariance that was rounded to this dtype
        ("stored", "float32"): 64 * _UNIT["float32"],
        ("stored", "float16"): 64 * _UNIT["float16"],
        # Monte Carlo: so many standard errors; two-sided chance of failure 6e-7 a comparison.
        ("monte_carlo", "float64"): 5.0,
    }
)


def tolerance(
    purpose: str, dtype: str = "float64", *, condition: float = 1.0, size: int = 1
) -> float:
    """Relative tolerance: the table's entry, times a condition number and the number of terms."""
    return TOLERANCES[purpose, dtype] * max(1.0, condition) * size


def assert_close(
    got: Any,
    want: Any,
    purpose: str = "exact",
    dtype: str = "float64",
    *,
    scale: Any = None,
    condition: float = 1.0,
    size: int = 1,
) -> None:
    """Assert |got - want| <= tolerance * scale; the scale is that of `want` unless given.

    Entry by entry for arrays of a given scale that broadcasts; otherwise relative to the largest
    entry. NaN never passes.
    """
    got, want = np.asarray(got, dtype=np.float64), np.asarray(want, dtype=np.float64)
    assert got.shape == want.shape, f"shapes {got.shape} and {want.shape}"
    if scale is None:
        scale = np.abs(want).max(initial=0.0)
    bound = tolerance(purpose, dtype, condition=condition, size=size) * np.asarray(scale)
    # An infinite scale would allow everything; infinities must be equal.
    bound = np.where(np.isfinite(bound), bound, 0.0)
    with np.errstate(invalid="ignore"):
        error = np.where(got == want, 0.0, np.abs(got - want))
    assert (error <= bound).all(), (
        f"{purpose}: off by {error.max():.3e}, allowed {np.max(bound):.3e}\ngot  {got}\nwant {want}"
    )
