"""The claim registry: every statement about linear VAEs the package makes, checked on data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._validation import FloatArray, as_positive
from .claims.curve import CURVE_CLAIMS
from .claims.dynamics import DYNAMICS_CLAIMS
from .claims.hierarchical import HIERARCHICAL_CLAIMS
from .claims.landscape import LANDSCAPE_CLAIMS
from .claims.theorem import THEOREM_CLAIMS
from .claims.twins import TWIN_CLAIMS
from .claims.types import Check, Claim, Setting
from .frontier import Frontier
from .spectrum import Spectrum

__all__ = ["CLAIMS", "Check", "verify"]

CLAIMS: tuple[Claim, ...] = (
    *CURVE_CLAIMS,
    *THEOREM_CLAIMS,
    *TWIN_CLAIMS,
    *LANDSCAPE_CLAIMS,
    *DYNAMICS_CLAIMS,
    *HIERARCHICAL_CLAIMS,
)


def verify(
    spectrum: Spectrum,
    *,
    latent_dim: int,
    noise_variance: float,
    betas: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Check]:
    """Check every claim on a spectrum; a claim that fails is reported, not raised.

    Parameters
    ----------
    spectrum : Spectrum
    latent_dim : int
        k, 1 <= k <= n.
    noise_variance : float
        σ² > 0, squared data units.
    betas : array (B,), optional
        KL weights on which to check; by default 25, from a hundredth of the smallest critical β
        of the k modes (at least a millionth of the largest) to ten times the largest.
    progress : callable(done, total), optional
        Called after every claim.

    Returns
    -------
    list of Check
        In the order of :data:`CLAIMS`.

    Raises
    ------
    InputError
        Bad k, σ² or β.
    PartialSpectrumError
        A leading spectrum with fewer than k eigenpairs.
    """
    curve = Frontier(spectrum, latent_dim=latent_dim, noise_variance=noise_variance)
    if betas is None:
        chosen = _default_betas(curve)
    else:
        chosen = np.unique(as_positive("betas", betas, "β weighs the rate and must be positive"))
    setting = Setting(spectrum, latent_dim, curve.noise_variance, chosen)
    checks = []
    for number, claim in enumerate(CLAIMS, start=1):
        checks.append(claim.check(setting, claim))
        if progress:
            progress(number, len(CLAIMS))
    return checks


def _default_betas(curve: Frontier) -> FloatArray:
    alive = curve.critical_betas[curve.critical_betas > 0]
    if not alive.size:
        return np.geomspace(0.01, 10.0, 25)
    low = max(float(alive[-1]) / 100, float(alive[0]) * 1e-6)
    return np.geomspace(low, 10 * float(alive[0]), 25)
