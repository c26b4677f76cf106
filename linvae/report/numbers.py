"""The numbers behind a page: the range of its slider, the curve to download, what scripts need."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from linvae._types import CurvePoints
from linvae._validation import FloatArray
from linvae.frontier import Frontier

__all__ = [
    "UNITS",
    "beta_range",
    "curve_betas",
    "curve_columns",
    "curve_csv",
    "headings",
    "start_beta",
    "table_betas",
    "theory_of",
]

# Steps of the slider: an arrow key moves by one.
_STEPS = 1000
_CURVE_POINTS = 241
_TABLE_ROWS = 13
# Modes this far below the first are drawn and counted, but the slider does not go down to them.
_DEEPEST = 1e-8

UNITS = {
    "beta": "dimensionless",
    "rate": "nats per sample",
    "distortion": "nats per sample",
    "squared_error": "squared data units, summed over features",
    "objective": "nats per sample",
    "water_level": "squared data units",
    "active": "number of modes",
    "psnr": "dB",
    "eigenvalues": "squared data units",
    "noise_variance": "squared data units",
    "total_variance": "squared data units",
    "squared_error_floor": "squared data units",
    "critical_betas": "dimensionless",
    "data_range": "data units",
}


def beta_range(curve: Frontier, also: FloatArray) -> tuple[float, float]:
    """Range of β that shows every mode alive and dead, β = 1 where that is near, and `also`.

    Both ends have one digit, so that they can be written under the slider as they are.
    """
    alive = curve.critical_betas[curve.critical_betas > 0]
    if not alive.size:
        ends = np.array([0.01, 10.0, *also])
    else:
        least, largest = float(alive[-1]), float(alive[0])
        deepest = max(largest * _DEEPEST, 1e-290)
        near = [1.0] if deepest <= 1.0 <= min(largest / _DEEPEST, 1e290) else []
        ends = np.array([max(least / 10, deepest), min(2 * largest, 1e307), *near, *also])
    return _one_digit(float(ends.min()), math.floor), _one_digit(float(ends.max()), math.ceil)


def _one_digit(value: float, rounded: Any) -> float:
    power = math.floor(math.log10(value))
    digit = rounded(float(f"{value / 10.0**power:.12g}"))
    return float(f"{digit}e{power}")


def start_beta(low: float, high: float) -> float:
    """Where the slider starts: the ordinary VAE when it is in range."""
    return 1.0 if low <= 1.0 <= high else math.sqrt(low) * math.sqrt(high)


def curve_betas(curve: Frontier, low: float, high: float) -> FloatArray:
    """Rising β's of the drawn and downloaded curve: log-spaced, with the critical ones exactly."""
    critical = curve.critical_betas
    inside = critical[(critical >= low) & (critical <= high)]
    spaced = np.geomspace(low, high, _CURVE_POINTS)
    spaced[0], spaced[-1] = low, high  # not an ulp beside them
    return np.unique(np.concatenate([spaced, inside]))


def table_betas(low: float, high: float) -> FloatArray:
    """A few β's of three digits, for the table that needs no script."""
    spaced = np.geomspace(low, high, _TABLE_ROWS)
    return np.unique([float(f"{beta:.3g}") for beta in spaced])


def curve_columns(points: CurvePoints, data_range: float | None) -> dict[str, Any]:
    """Columns of the curve by name; see :data:`UNITS`."""
    columns: dict[str, Any] = {
        "beta": points.beta,
        "rate": points.rate,
        "distortion": points.distortion,
        "squared_error": points.squared_error,
        "objective": points.objective,
        "water_level": points.water_level,
        "active": points.active,
    }
    if data_range is not None:
        columns["psnr"] = points.psnr(data_range)
    return columns


def headings(columns: Mapping[str, Any]) -> list[str]:
    """Names of columns with their units."""
    return [f"{name} [{UNITS[name]}]" for name in columns]


def curve_csv(columns: Mapping[str, Any]) -> str:
    """The curve as CSV: a header with units, numbers that read back to the last bit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headings(columns))
    for row in zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True):
        writer.writerow([repr(value) for value in row])
    return text.getvalue()


def theory_of(curve: Frontier, low: float, high: float) -> dict[str, Any]:
    r"""What the page's script needs to evaluate the closed form itself.

    .. math:: \mathcal R = \sum_{i\le m}\tfrac12\log\frac{\beta_i}{\beta}, \qquad
              \varepsilon = m\,\beta\sigma^2 + T_m, \qquad m = \#\{i : \beta_i > \beta\}

    with the critical :math:`\beta_i = \lambda_i/\sigma^2` and the variance :math:`T_m` outside the
    first m modes. JSON holds these numbers to the last bit.
    """
    spectrum = curve.spectrum
    alive = int(np.count_nonzero(curve.critical_betas))
    return {
        "n": spectrum.n_features,
        "k": curve.latent_dim,
        "variance": curve.noise_variance,
        "eigenvalues": spectrum.leading_eigenvalues(curve.latent_dim),
        "critical": curve.critical_betas,
        "tails": spectrum.tail_variances(alive),
        "slider": {"low": low, "high": high, "start": start_beta(low, high), "steps": _STEPS},
    }
