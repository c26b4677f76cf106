"""Putting a page together: numbers, pictures, reconstructions, claims and files of others."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linvae._types import CurvePoints
from linvae._validation import FloatArray, as_matrix, as_positive_number, fail
from linvae.datafiles import atomic_write, json_text
from linvae.frontier import Frontier
from linvae.spectrum import Spectrum
from linvae.verification import Check, verify

from . import numbers
from .images import Images, check_image_shape, image_parts
from .learned import Learned
from .page import Content, page_html
from .pictures import bokeh_script, pictures

if TYPE_CHECKING:
    from linvae.doctor import Examination

__all__ = ["Report", "build_report"]


@dataclass(frozen=True, eq=False)
class Report:
    """A finished page.

    Attributes
    ----------
    html : str
        The whole page; it loads nothing.
    beta_range : tuple of float
        Ends of its slider.
    betas : ndarray
        β's of the curve that can be downloaded from it.
    images : Images or None
        What it reconstructs, with the bound on its error.
    checks : tuple of Check
        The claims it shows.
    notes : tuple of str
        What was left out, and why.
    """

    html: str
    beta_range: tuple[float, float]
    betas: FloatArray
    images: Images | None
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    def write(self, path: str | Path) -> None:
        """Write the page, whole or not at all.

        Raises
        ------
        DataFileError
            The directory or the disk does not take the file.
        """
        with atomic_write(path) as file:
            file.write(self.html.encode(errors="backslashreplace"))


def build_report(
    spectrum: Spectrum,
    *,
    latent_dim: int,
    noise_variance: float,
    samples: Any = None,
    image_shape: Sequence[int] | None = None,
    data_range: float | None = None,
    checks: Sequence[Check] | None = None,
    learned: Learned | None = None,
    examination: Examination | None = None,
    title: str = "Rate and distortion of linear VAEs",
    description: Sequence[str] = (),
) -> Report:
    r"""Build a page on the frontier of a data set, with a slider for β.

    .. math:: \mathcal R(\beta) = \sum_{i\le k}\tfrac12\log^+\frac{\lambda_i}{\beta\sigma^2}, \qquad
              \mathcal D(\beta) = \tfrac n2\log 2\pi\sigma^2 + \frac1{2\sigma^2}
              \Bigl(\sum_{i\le k}\min(\lambda_i,\beta\sigma^2) + \sum_{i>k}\lambda_i\Bigr)

    Parameters
    ----------
    spectrum : Spectrum
    latent_dim : int
        k, 1 <= k <= n.
    noise_variance : float
        σ² > 0, squared data units.
    samples : array (N, n), optional
        Some are reconstructed when `image_shape` is given.
    image_shape : (H, W) or (H, W, 3), optional
    data_range : float, optional
        Largest minus smallest possible data value; adds the PSNR in dB.
    checks : sequence of Check, optional
        Claims to show; all of them are checked on the spectrum when omitted.
    learned : Learned, optional
        Measured points, of :func:`load_learned`.
    examination : Examination, optional
        Shown as a section of its own.
    title : str
    description : sequence of str
        Sentences on the data and the model, under the title.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        Bad k, σ², range or shape; learned points of another σ².
    PartialSpectrumError
        A leading spectrum with fewer than k eigenpairs.
    MissingPackageError
        Bokeh is not installed.

    Examples
    --------
    >>> import linvae as lv
    >>> from linvae.report import build_report
    >>> spectrum = lv.Spectrum.from_eigenvalues([4.0, 2.0, 1.0])
    >>> report = build_report(spectrum, latent_dim=2, noise_variance=1.0)
    >>> report.beta_range
    (0.2, 8.0)
    """
    curve = Frontier(spectrum, latent_dim=latent_dim, noise_variance=noise_variance)
    if data_range is not None:
        data_range = as_positive_number("data_range", data_range, "pass max - min of the data")
    images, notes = _images(spectrum, samples, latent_dim, image_shape)
    script = bokeh_script()
    if learned is not None:
        learned.check_fits(curve)
    low, high = numbers.beta_range(curve, np.zeros(0) if learned is None else learned.betas)
    points = curve.at_beta(numbers.curve_betas(curve, low, high))
    if checks is None:
        checks = verify(spectrum, latent_dim=latent_dim, noise_variance=noise_variance)
    data = _data(curve, points, (low, high), learned)
    data |= {"data_range": data_range, "images": None if images is None else images.data}
    content = Content(
        curve=curve, title=title, description=tuple(description), notes=notes,
        beta_range=(low, high), start=data["slider"]["start"], data_range=data_range,
        downloads=_downloads(curve, points, data_range, title),
        images=images, checks=tuple(checks), learned=learned, examination=examination,
        data=_text_of(data), bokeh=script, versions=_versions(),
    )  # fmt: skip
    return Report(page_html(content), (low, high), points.beta, images, tuple(checks), notes)


def _data(
    curve: Frontier, points: CurvePoints, ends: tuple[float, float], learned: Learned | None
) -> dict[str, Any]:
    """What the page's script reads: the theory and the pictures."""
    theory = numbers.theory_of(curve, *ends)
    measured = () if learned is None else learned.points
    start = theory["slider"]["start"]
    return {**theory, "pictures": pictures(curve, points, measured, start)}


def _images(
    spectrum: Spectrum, samples: Any, latent_dim: int, image_shape: Sequence[int] | None
) -> tuple[Images | None, tuple[str, ...]]:
    if image_shape is None:
        return None, ()
    n = spectrum.n_features
    shape = check_image_shape("image_shape", image_shape, n)
    if samples is None:
        fail("samples", "none with an image_shape", "the samples to reconstruct some of",
             "pass samples=X")  # fmt: skip
    if getattr(samples, "ndim", 0) != 2:
        samples = as_matrix("samples", samples, "(N, n)")
    if samples.shape[1] != n or not len(samples):
        fail("samples", f"shape {samples.shape}", f"(N, {n})", "pass one row per sample")
    images = image_parts(spectrum, samples, latent_dim, shape)
    if images is None:
        return None, (f"Reconstructions were left out: {latent_dim} eigenvectors of {n} pixels "
                      "are too much for a page; fewer latents would fit.",)  # fmt: skip
    return images, ()


def _downloads(
    curve: Frontier, points: CurvePoints, data_range: float | None, title: str
) -> dict[str, tuple[str, str]]:
    columns = numbers.curve_columns(points, data_range)
    quantities = {
        "kind": curve.kind,
        "latent_dim": curve.latent_dim,
        "noise_variance": curve.noise_variance,
        "n_features": curve.spectrum.n_features,
        "total_variance": curve.spectrum.total_variance,
        "critical_betas": curve.critical_betas,
        "eigenvalues": curve.spectrum.leading_eigenvalues(curve.latent_dim),
        "squared_error_floor": curve.floor,
        "data_range": data_range,
    }
    document = {
        "title": title,
        "curve": quantities,
        "points": columns,
        "units": {name: unit for name, unit in numbers.UNITS.items()
                  if name in columns or name in quantities},
        "versions": _versions(),
    }  # fmt: skip
    return {
        "curve.csv": ("text/csv", numbers.curve_csv(columns)),
        "curve.json": ("application/json", json.dumps(json.loads(json_text(document))) + "\n"),
    }


def _versions() -> dict[str, str]:
    from linvae import __version__

    return {
        "linvae": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("numpy", "bokeh")},
    }


def _text_of(data: Any) -> str:
    """JSON that can stand inside a script element: nothing in it can end the element."""
    text = json.dumps(data, default=_plain, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _plain(value: Any) -> Any:
    return value.tolist()  # arrays and their entries are all that is left
