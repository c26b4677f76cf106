"""Files that a page can take in: measured points of ``linvae compare``, results of ``check``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linvae._validation import FloatArray, fail
from linvae.datafiles import refuse
from linvae.frontier import Frontier

if TYPE_CHECKING:
    from linvae.doctor import Examination

__all__ = ["Learned", "LearnedPoints", "load_examination", "load_learned"]

_RECORD = "a results file of linvae compare"
_CHECK = "what linvae check --json printed"
_NAMES = ("beta", "rate", "rate_se", "distortion", "distortion_se", "objective", "objective_se",
          "optimum")  # fmt: skip


@dataclass(frozen=True, eq=False)
class LearnedPoints:
    """Measured points of one kind of model.

    Attributes
    ----------
    label : str
        ``"multi-rate"`` or ``"dedicated"``.
    beta, rate, distortion, objective : ndarray, shape (P,)
        Nats per sample, means over seeds.
    rate_se, distortion_se, objective_se : ndarray, shape (P,)
        Standard errors; 0 for one seed that was judged exactly.
    optimum : ndarray, shape (P,)
        The objective they were held against when they were measured.
    """

    label: str
    beta: FloatArray
    rate: FloatArray
    rate_se: FloatArray
    distortion: FloatArray
    distortion_se: FloatArray
    objective: FloatArray
    objective_se: FloatArray
    optimum: FloatArray

    def gap(self, curve: Frontier) -> FloatArray:
        """Excess objective over a frontier, nats per sample."""
        return np.asarray(curve.gap(self.rate, self.distortion, self.beta))


@dataclass(frozen=True, eq=False)
class Learned:
    """A results file.

    Attributes
    ----------
    experiment : str
        What was trained, one sentence.
    noise_variance : float
        σ² of its decoder.
    latent_dim : int
    points : tuple of LearnedPoints
    """

    experiment: str
    noise_variance: float
    latent_dim: int
    points: tuple[LearnedPoints, ...]

    @property
    def betas(self) -> FloatArray:
        """Every β at which something was measured."""
        return np.concatenate([points.beta for points in self.points])

    def check_fits(self, curve: Frontier) -> None:
        """Refuse another noise variance, under which distortions mean something else.

        Raises
        ------
        InputError
            σ² differs from the curve's.
        """
        if not math.isclose(self.noise_variance, curve.noise_variance, rel_tol=1e-9):
            fail("--learned", f"points for σ² = {self.noise_variance!r}",
                 f"σ² = {curve.noise_variance!r}, as on this page",
                 f"add --noise-variance {self.noise_variance!r}")  # fmt: skip

    def notes(self, curve: Frontier) -> list[str]:
        """Say where the points and the curve do not speak of the same problem."""
        found = []
        if self.latent_dim != curve.latent_dim:
            found.append(f"The networks have {self.latent_dim} latents, the curve is that of "
                         f"{curve.latent_dim}.")  # fmt: skip
        apart = max(
            float(np.abs(curve.at_beta(p.beta).objective - p.optimum).max()) for p in self.points
        )
        scale = max(float(np.abs(p.optimum).max()) for p in self.points)
        if apart > 1e-8 * (1 + scale):
            found.append(
                "They were measured against another optimum than this curve (other samples, other "
                f"units or another kind of bound), up to {apart:.3g} nats away; the gaps below are "
                "over this curve."
            )
        return found


def load_learned(path: str | Path) -> Learned:
    """Read the points of a results file.

    Parameters
    ----------
    path : str or Path
        A JSON file written by ``linvae compare``.

    Returns
    -------
    Learned

    Raises
    ------
    DataFileError
        No such file, not JSON, or not such a record; the message names the first missing part.
    """
    document = _read("--learned", path, _RECORD)
    place = repr(str(path))
    kind = _part(document, place, "config", "likelihood", "kind")
    if kind != "gaussian":
        refuse("--learned", f"{place} with a decoder of kind {kind!r}",
               "a Gaussian decoder of given noise variance",
               "only such distortions can stand beside this curve")  # fmt: skip
    blocks = {
        label: _part(document, place, key)
        for label, key in (("multi-rate", "multi_rate"), ("dedicated", "dedicated"))
    }
    points = tuple(_points(rows, label, place) for label, rows in blocks.items() if rows)
    if not points:
        refuse("--learned", f"{place} without a measured point", _RECORD, "write it again")
    return Learned(
        str(_part(document, place, "experiment")),
        _number(_part(document, place, "config", "likelihood", "noise_variance"), place,
                "config.likelihood.noise_variance", positive=True),
        _latent_dim(_part(document, place, "config", "model", "latent_dim"), place),
        points,
    )  # fmt: skip


def _latent_dim(value: Any, place: str) -> int:
    number = _number(value, place, "config.model.latent_dim", positive=True)
    if number != int(number):
        refuse("--learned", f"{place}, config.model.latent_dim: {value!r}", "a whole number",
               "check the file")  # fmt: skip
    return int(number)


def _points(rows: Any, label: str, place: str) -> LearnedPoints:
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        refuse("--learned", f"{place} whose {label} points are not a list of objects", _RECORD,
               "write it again")  # fmt: skip
    columns = {
        name: np.array([
            _number(row.get(name), place, f"{label} point {number}, {name}",
                    positive=name == "beta", least=0.0 if name.endswith("_se") else None)
            for number, row in enumerate(rows, 1)
        ])
        for name in _NAMES
    }  # fmt: skip
    return LearnedPoints(label, **columns)


def load_examination(path: str | Path) -> Examination:
    """Read what ``linvae check --json`` printed.

    Raises
    ------
    DataFileError
        No such file or not JSON.
    InputError
        Not an examination.
    """
    from linvae.doctor.examination import examination_from_plain

    document = _read("--examination", path, _CHECK)
    inner = document.get("examination", document)
    return examination_from_plain(inner, name=f"--examination {str(path)!r}")


def _read(name: str, path: str | Path, expected: str) -> Mapping[str, Any]:
    place = repr(str(path))
    try:
        document = json.loads(Path(path).read_bytes(), parse_constant=_refuse_constant)
    except FileNotFoundError:
        refuse(name, f"{place}, which does not exist", expected, "check the path")
    except OSError as error:
        refuse(name, f"{place} ({error.strerror or error})", expected, "check the path")
    except (ValueError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        refuse(name, f"{place}, which is not JSON ({reason})", expected, "check the file")
    if not isinstance(document, Mapping):
        refuse(name, f"{place} with a JSON {type(document).__name__}", expected, "check the file")
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _part(document: Mapping[str, Any], place: str, *keys: str) -> Any:
    found: Any = document
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            refuse("--learned", f"{place} without {'.'.join(keys)}", _RECORD, "check the file")
        found = found[key]
    return found


def _number(
    value: Any, place: str, what: str, *, positive: bool = False, least: float | None = None
) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    # An integer can be too large for a float.
    number = float(value) if good and abs(value) < 1e300 else math.nan
    low = (positive and not number > 0) or (least is not None and not number >= least)
    if not math.isfinite(number) or low:
        wanted = "a number > 0" if positive else "a number >= 0" if least == 0 else "a number"
        refuse("--learned", f"{place}, {what}: {value!r}"[:200], wanted, "check the file")
    return number
