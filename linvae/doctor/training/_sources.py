"""Gaussian sources whose samples have exactly the chosen mean and covariance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from linvae._types import Sealed
from linvae._validation import FloatArray
from linvae.spectrum import Spectrum

__all__ = ["Source", "SourcePlan", "exact_samples", "plan_sources"]


@dataclass(frozen=True, eq=False)
class Source(Sealed):
    """Samples and the spectrum they have, without sampling error."""

    name: str
    samples: FloatArray  # shape: (N, n)
    spectrum: Spectrum
    latent_dim: int
    beta: float


@dataclass(frozen=True)
class SourcePlan:
    """A source before σ² is known: eigenvalues are given as multiples of the water level βσ²."""

    name: str
    ratios: tuple[float, ...]
    latent_dim: int
    n_samples: int
    beta: float
    mean_length: float = 0.0  # in standard deviations of the leading mode

    def build(self, noise_variance: float, seed: int, beta: float | None = None) -> Source:
        """Draw the source; another `beta` keeps the data and changes what is asked of them."""
        rng = np.random.default_rng([seed, len(self.ratios), self.n_samples])
        values = np.array(self.ratios) * self.beta * noise_variance
        n = values.size
        turn = np.linalg.qr(rng.standard_normal((n, n)))[0]
        direction = rng.standard_normal(n)
        length = self.mean_length * np.sqrt(values[0]) / np.linalg.norm(direction)
        mean = length * direction
        samples = exact_samples(values, turn, mean, self.n_samples, rng)
        spectrum = Spectrum.from_eigenvalues(
            values, eigenvectors=turn, mean=mean, n_samples=self.n_samples
        )
        weight = self.beta if beta is None else beta
        return Source(self.name, samples, spectrum, self.latent_dim, weight)


def exact_samples(
    values: FloatArray,
    vectors: FloatArray,
    mean: FloatArray,
    n_samples: int,
    rng: np.random.Generator,
) -> FloatArray:
    r"""Gaussian-looking samples whose moments (ddof = 0) are exactly the given ones.

    .. math:: X = \mu + \sqrt N\, Q \operatorname{diag}(\sqrt\lambda)\, U^\top, \qquad
              Q^\top Q = I,\ Q^\top \mathbf 1 = 0

    The exact answers of a linear VAE on such data have no sampling error.
    """
    raw = rng.standard_normal((n_samples, values.size))
    basis = np.linalg.qr(raw - raw.mean(axis=0))[0]
    basis -= basis.mean(axis=0)
    return np.asarray(mean + np.sqrt(n_samples * values) * basis @ vectors.T)


# Widths, latent sizes and sample counts all differ, so that a KL weight that is off by one of them
# shows as a factor that changes with it. The second has a mode just above and one just below its
# critical β; the last has tied modes and one close to them.
_PLANS = (
    SourcePlan("separated", (24.0, 10.0, 4.0, 0.6, 0.4, 0.3), 3, 2000, 1.0),
    SourcePlan("large mean", (12.0, 5.0, *(0.6,) * 4, *(0.3,) * 4), 2, 2500, 0.5, 2.5),
    SourcePlan("near critical", (9.0, 3.0, 1.25, 0.8, 0.5, 0.4, 0.3, 0.2), 4, 3000, 2.0),
    SourcePlan("tied", (6.0, 6.0, 5.6, 2.5, 0.5, 0.4, 0.3), 4, 2200, 1.5),
)


def plan_sources(betas: Sequence[float] | None, quick: bool) -> tuple[SourcePlan, ...]:
    """The sources in the order in which they are used, at the caller's betas in turn."""
    plans = _PLANS[:2] if quick else _PLANS
    if betas is None:
        return plans
    return tuple(replace(plan, beta=betas[place % len(betas)]) for place, plan in enumerate(plans))
