"""A data set with the sizes of a model for it, and its results in plain values for machines."""

from __future__ import annotations

import argparse
import platform
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any

from linvae._validation import FloatArray, check_latent_dim, fail
from linvae.datafiles import Data, load_data
from linvae.errors import UnboundedObjectiveError
from linvae.frontier import Frontier
from linvae.spectrum import Spectrum

from . import console

if TYPE_CHECKING:
    from linvae._types import CurvePoints
    from linvae.verification import Check

__all__ = [
    "Problem",
    "claims_as_plain",
    "curve_as_plain",
    "points_as_plain",
    "run_claims",
    "versions",
]

_DEFAULT_LATENTS = 16
_UNITS = {
    "rate": "nats per sample",
    "distortion": "nats per sample",
    "objective": "nats per sample",
    "squared_error": "squared data units, summed over features",
    "noise_variance": "squared data units",
}


@dataclass(frozen=True, eq=False)
class Problem:
    """A data set with the model sizes to use on it, and how they were chosen.

    Attributes
    ----------
    data : Data
    spectrum : Spectrum
    latent_dim : int
    noise_variance : float
    sources : dict of str to str
        Where latent_dim and noise_variance come from, in words.
    """

    data: Data
    spectrum: Spectrum
    latent_dim: int
    noise_variance: float
    sources: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> Problem:
        """Load the data and settle k and σ²."""
        data = load_data(options.data, key=options.key)
        long = data.samples.size >= console.LONG_INPUT
        with console.progress_bar("reading", wanted=long and not options.quiet) as progress:
            spectrum = Spectrum.from_samples(data.samples, progress=progress)
        return cls.choose(data, spectrum, options.latent_dim, options.noise_variance)

    @classmethod
    def choose(
        cls, data: Data, spectrum: Spectrum, latent_dim: int | None, variance: float | str
    ) -> Problem:
        """Fill in defaults: at most 16 latents, one direction left over for the noise."""
        if latent_dim is None:
            k = max(1, min(_DEFAULT_LATENTS, spectrum.rank - 1))
            source = "default: 16, or one less than the number of positive eigenvalues, at least 1"
        else:
            k, source = check_latent_dim(latent_dim, spectrum.n_features), "as given"
        sources = {"latent_dim": source, "noise_variance": "as given"}
        if variance == "ml":
            variance = _maximum_likelihood(spectrum, k)
            sources["noise_variance"] = "maximum likelihood of probabilistic PCA, β = 1"
        return cls(data, spectrum, k, float(variance), sources)

    @property
    def model(self) -> dict[str, Any]:
        """The keywords every function of the theory takes."""
        return {"latent_dim": self.latent_dim, "noise_variance": self.noise_variance}

    def frontier(self) -> Frontier:
        """The frontier of this problem."""
        return Frontier(self.spectrum, **self.model)

    def in_words(self) -> list[str]:
        """Say what is being modelled, and with what."""
        why = {name: "" if text == "as given" else f" ({text})"
               for name, text in self.sources.items()}  # fmt: skip
        return [
            *console.data_in_words(self.data, self.spectrum),
            f"Model: linear VAE with k = {self.latent_dim} latents{why['latent_dim']} and noise "
            f"variance σ² = {console.number(self.noise_variance, 6)}{why['noise_variance']}.",
        ]

    def as_plain(self, command: str) -> dict[str, Any]:
        """The part that every JSON document starts with."""
        return {
            "command": command,
            "data": {
                **self.data.describe(),
                "rank": self.spectrum.rank,
                "total_variance": self.spectrum.total_variance,
            },
            "settings": {
                "latent_dim": self.latent_dim,
                "noise_variance": self.noise_variance,
                "chosen_by": self.sources,
            },
            "notes": list(self.data.notes),
            "units": _UNITS,
            "versions": versions(),
        }


def versions() -> dict[str, str]:
    """Versions of what computed the numbers."""
    from linvae import __version__

    return {
        "linvae": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("numpy", "scipy", "scikit-learn")},
    }


def _maximum_likelihood(spectrum: Spectrum, k: int) -> float:
    from linvae.calibrated import calibrated_noise_variance

    try:
        return float(calibrated_noise_variance(spectrum, 1.0, latent_dim=k))
    except UnboundedObjectiveError:
        reason = "the data do not vary" if spectrum.rank == 0 else f"k = {k} explains all variance"
        # A tenth of the mean variance leaves the leading modes of any data active at β = 1.
        usable = spectrum.total_variance / spectrum.n_features / 10 or 1.0
        remedy = f"pass a number, for example --noise-variance {usable:.3g}"
        remedy += " (a tenth of the mean variance)" * (spectrum.rank > 0)
        remedy += ", or a smaller --latent-dim" * (k > 1)
        fail("--noise-variance", f"ml, which does not exist here: {reason}",
             "variance left outside the latents", remedy, UnboundedObjectiveError)  # fmt: skip


def curve_as_plain(curve: Frontier) -> dict[str, Any]:
    """What the whole curve has in common."""
    return {
        "kind": curve.kind,
        "critical_betas": curve.critical_betas,
        "squared_error_floor": curve.floor,
    }


def points_as_plain(points: CurvePoints, data_range: float | None = None) -> dict[str, Any]:
    """Columns of the frontier's table, as arrays."""
    columns: dict[str, Any] = {
        "beta": points.beta,
        "rate": points.rate,
        "distortion": points.distortion,
        "squared_error": points.squared_error,
        "active": points.active,
        "bits_per_dimension": points.bits_per_dimension,
    }
    if data_range is not None:
        columns["psnr"] = points.psnr(data_range)  # no error at all: infinite, null in JSON
    return columns


def run_claims(problem: Problem, betas: FloatArray | None, quiet: bool) -> list[Check]:
    """Check the claims, with a progress bar where somebody looks."""
    from linvae.verification import verify

    with console.progress_bar("checking claims", wanted=not quiet) as progress:
        return verify(problem.spectrum, betas=betas, progress=progress, **problem.model)


def claims_as_plain(checks: list[Check]) -> list[dict[str, Any]]:
    """Claims for machines."""
    names = ("claim", "statement", "status", "residual", "relation", "tolerance", "note")
    return [{name: getattr(check, name) for name in names} for check in checks]
