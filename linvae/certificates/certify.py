"""All certificates of one problem: gates, optimum, frontier, eigenvectors, sampled points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from linvae._validation import (
    as_positive,
    as_positive_number,
    as_vector,
    check_latent_dim,
    check_spectrum,
    fail,
)
from linvae.hypernetwork import Hypernetwork
from linvae.spectrum import Spectrum

from ._balls import above, ball, below, working
from ._cover import Cover, merged
from ._modes import Mode, read_modes
from .gates import cover_direction, cover_variance
from .identities import frontier_certificates, orthonormality
from .optimum import optimum_certificates
from .points import point_certificates
from .sigmoid_five_points import sigmoid_cost
from .sigmoid_one_gate import sigmoid_gate_bound
from .types import Certificate

__all__ = ["certificates", "certify"]

_GATES = "for all β, critical β's included, parameters as stored, gates exact"
_AWAY = "for all β off its critical β by more than a factor e^±{margin:g}"


def _range(beta_range: Any) -> tuple[float, float]:
    """Both ends of the interval, checked."""
    low, high = as_positive(
        "beta_range", as_vector("beta_range", beta_range, 2), "pass the smallest and the largest β"
    )
    if low >= high:
        fail("beta_range", (float(low), float(high)), "a < b", "pass the smallest β first")
    return float(low), float(high)


def _direction_certificate(
    modes: list[Mode], side: str, interval: tuple[float, float], radius: float, margin: float
) -> Certificate:
    """Worst difference of all rows of the encoder, or columns of the decoder."""
    covers: list[Cover] = []
    for mode in modes:
        direction = getattr(mode, side)
        covers += cover_direction(direction, mode.threshold, interval, radius, margin)
    unit = "‖D column − dᵢuᵢ‖ / √λᵢ" if side == "decoder" else "√λᵢ ‖E row − eᵢuᵢᵀ‖"
    place = _AWAY.format(margin=margin) if margin else _GATES
    claim = f"gates.{side}" + (".away" if margin else "")
    return merged(claim, f"largest {unit}, {place}", covers, radius)


def _gate_certificates(
    modes: list[Mode],
    interval: tuple[float, float],
    radius: float,
    fine_radius: float,
    margin: float,
) -> Iterator[Certificate]:
    for side in ("decoder", "encoder"):
        yield _direction_certificate(modes, side, interval, radius, 0.0)
        yield _direction_certificate(modes, side, interval, fine_radius, margin)
    covers = [cover_variance(mode, interval, fine_radius) for mode in modes]
    statement = f"largest |C entry / cᵢ − 1|, {_GATES}"
    yield merged("gates.variance", statement, covers, fine_radius)


def certify(
    spectrum: Spectrum,
    *,
    latent_dim: int,
    noise_variance: float,
    beta_range: Any,
    radius: float = 1e-6,
    fine_radius: float = 1e-10,
    margin: float = 1e-3,
    hypernetwork: Hypernetwork | None = None,
    progress: Callable[[Certificate], None] | None = None,
) -> list[Certificate]:
    r"""Bound, for every β of an interval, what separates the hypernetwork from the exact response.

    .. math:: \sup_{a\le\beta\le b} \frac{\lVert D(\beta)_{\cdot i} - d_i(\beta) u_i\rVert}
              {\sqrt{\lambda_i}}, \qquad
              \sup_{a\le\beta\le b} \sqrt{\lambda_i}\,
              \lVert E(\beta)_{i\cdot} - e_i(\beta) u_i^\top\rVert, \qquad
              \sup_{a\le\beta\le b} \Big|\frac{C(\beta)_{ii}}{c_i(\beta)} - 1\Big|

    Eigenvalues, eigenvectors, σ² and the hypernetwork's parameters are the float64 numbers that are
    stored, taken as exact; gates and responses are real functions of β, enclosed in balls. The
    rounding of a float64 *call* is not part of these bounds; the two certificates ``points.*``
    bound it, at sampled β only. ``optimum.*`` speak of the hypernetwork's whole matrices, and of
    data whose covariance has the stored eigenvalues and the orthonormal eigenvectors nearest to
    the stored ones; the certificate ``vectors`` says how far these are from orthonormal.

    Parameters
    ----------
    spectrum : Spectrum
        n features.
    latent_dim : int
        k, 1 <= k <= n.
    noise_variance : float
        σ² > 0.
    beta_range : (a, b)
        0 < a < b.
    radius : float
        Asked of decoder and encoder over the whole interval; near a critical β the rounding δ of
        a gate's bias shows as √δ.
    fine_radius : float
        Asked of everything else: of decoder and encoder away from critical β's, of the variances,
        of what the hypernetwork achieves, of the frontier's tables and of the eigenvectors.
    margin : float
        What counts as away: |log β − log βᵢ| >= margin.
    hypernetwork : Hypernetwork, optional
        Of the form of :meth:`Hypernetwork.exact`, which is taken when omitted.
    progress : callable, optional
        Called with every certificate as it is ready.

    Returns
    -------
    list of Certificate

    Raises
    ------
    InputError
        Bad sizes or numbers, or a hypernetwork of another form.
    PartialSpectrumError
        A leading spectrum with fewer than k eigenpairs.
    MissingPackageError
        python-flint is not installed.
    """
    check_spectrum(spectrum)
    k = check_latent_dim(latent_dim, spectrum.n_features)
    variance = as_positive_number("noise_variance", noise_variance, "pass the decoder's σ²")
    low, high = _range(beta_range)
    for name, value in (("radius", radius), ("fine_radius", fine_radius), ("margin", margin)):
        as_positive_number(name, value, "pass how far the bound may reach")
    network = hypernetwork
    if network is None:
        network = Hypernetwork.exact(spectrum, latent_dim=k, noise_variance=variance)
    found: list[Certificate] = []

    def keep(certificate: Certificate) -> None:
        found.append(certificate)
        if progress is not None:
            progress(certificate)

    with working():
        interval = below(ball(low).log()), above(ball(high).log())
        modes = read_modes(network, spectrum, k, variance)
        for certificate in _gate_certificates(modes, interval, radius, fine_radius, margin):
            keep(certificate)
        for certificate in (
            *optimum_certificates(network, modes, spectrum, variance, interval, fine_radius),
            *frontier_certificates(spectrum, k, variance, fine_radius),
            orthonormality(spectrum.eigenvectors[:, :k], fine_radius),
        ):
            keep(certificate)
        betas = np.geomspace(low, high, 5)
        for certificate in point_certificates(network, modes, spectrum, variance, betas, radius):
            keep(certificate)
    return found


def certificates(
    spectrum: Spectrum,
    *,
    latent_dim: int,
    noise_variance: float,
    beta_range: Any,
    progress: Callable[[Certificate], None] | None = None,
) -> list[Certificate]:
    """Everything that ``linvae verify --certify`` prints: the problem's own, then the sigmoids'.

    Parameters
    ----------
    spectrum, latent_dim, noise_variance, beta_range, progress
        As :func:`certify`.

    Returns
    -------
    list of Certificate

    Raises
    ------
    InputError, PartialSpectrumError, MissingPackageError
        As :func:`certify`.
    """
    found = certify(
        spectrum,
        latent_dim=latent_dim,
        noise_variance=noise_variance,
        beta_range=beta_range,
        progress=progress,
    )
    for certificate in (sigmoid_gate_bound(gates=1), sigmoid_cost()):
        found.append(certificate)
        if progress is not None:
            progress(certificate)
    return found
