"""Gaussian encoders, anisotropic and not optimal, whose information is known exactly.

At the optimum every latent of a linear VAE is N(0, 1) and independent of the others: mutual
information, rate and KL of each latent agree there, and a wrong metric looks right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from linvae._types import LinearVAE
from linvae._validation import FloatArray
from linvae.spectrum import Spectrum

__all__ = ["Draw", "Problem", "Truth", "gaussian_total_correlation", "problems", "strong_problem"]

_GRID = 241  # points an axis, out to 9 standard deviations: the trapezoidal rule is exact there


@dataclass(frozen=True, eq=False)
class Draw:
    """Samples and what the encoder says of them: x (N, n); mean, log_var and z ~ q(z|x) (N, k)."""

    x: FloatArray
    mean: FloatArray
    log_var: FloatArray
    z: FloatArray


@dataclass(frozen=True)
class Truth:
    """Exact values in nats; the gaussian_ ones are those of the Gaussian of the same moments."""

    mutual_information: float
    total_correlation: float
    rate: float
    marginal_kl: float
    dimension_wise_kl: float
    reverse_kl: float
    entropy: float
    total_correlation_of_means: float
    gaussian_mutual_information: float
    gaussian_total_correlation: float
    gaussian_total_correlation_of_means: float


@dataclass(frozen=True, eq=False)
class Problem:
    """One encoder, or a mixture: each sample belongs to a group that has its own linear encoder."""

    name: str
    weights: FloatArray  # (G,)
    models: tuple[LinearVAE, ...]
    spectra: tuple[Spectrum, ...]

    @property
    def latent_dim(self) -> int:
        """Number of latents."""
        return self.models[0].latent_dim

    def draw(self, n_samples: int, rng: np.random.Generator) -> Draw:
        """Independent samples of x, with q(z|x) and one z each."""
        group = rng.choice(self.weights.size, size=n_samples, p=self.weights)
        xs = np.stack([s.sample(n_samples, rng) for s in self.spectra])
        x = xs[group, np.arange(n_samples)]
        means = np.stack([m.encode(x) for m in self.models])
        mean = means[group, np.arange(n_samples)]
        log_var = np.log(np.stack([m.posterior_variance for m in self.models]))[group]
        z = mean + np.exp(log_var / 2) * rng.standard_normal(mean.shape)
        return Draw(x, mean, log_var, z)

    def with_variance(self, change: Callable[[FloatArray], FloatArray]) -> Problem:
        """The same means with other posterior variances."""
        models = tuple(
            LinearVAE(
                m.encoder,
                change(m.posterior_variance),
                m.decoder,
                m.noise_variance,
                m.encoder_offset,
                m.decoder_offset,
                m.latent_offset,
            )
            for m in self.models
        )
        return Problem(self.name, self.weights, models, self.spectra)

    @cached_property
    def truth(self) -> Truth:
        """What every metric of q(z|x) should say."""
        parts = [m.information(s) for m, s in zip(self.models, self.spectra, strict=True)]
        centres = np.stack([p.aggregated_mean for p in parts])
        covariances = np.stack([p.aggregated_covariance for p in parts])
        noise = np.stack([m.posterior_variance for m in self.models])
        spreads = covariances - noise[:, :, None] * np.eye(noise.shape[1])
        rate = float(self.weights @ np.array([p.rate for p in parts]))
        joint, single = _entropies(self.weights, centres, covariances)
        conditional = float(self.weights @ _gaussian_entropies(noise).sum(axis=1))
        mean_joint, mean_single = _entropies(self.weights, centres, spreads)
        whole, means = _moments(self.weights, centres, covariances, spreads)
        second = spreads.diagonal(axis1=1, axis2=2) + centres**2
        reverse = 0.5 * ((1 + second) / noise - 1 + np.log(noise)).sum(axis=1)
        return Truth(
            mutual_information=joint - conditional,
            total_correlation=single - joint,
            rate=rate,
            marginal_kl=rate - (joint - conditional),
            dimension_wise_kl=rate - (single - conditional),
            reverse_kl=float(self.weights @ reverse),
            entropy=joint,
            total_correlation_of_means=mean_single - mean_joint,
            gaussian_mutual_information=_entropy_of(whole) - conditional,
            gaussian_total_correlation=gaussian_total_correlation(whole),
            gaussian_total_correlation_of_means=gaussian_total_correlation(means),
        )


def gaussian_total_correlation(covariance: FloatArray) -> float:
    """½ (Σ log Σⱼⱼ − log det Σ), nats."""
    log_det = float(np.linalg.slogdet(covariance)[1])
    return 0.5 * (float(np.log(np.diagonal(covariance)).sum()) - log_det)


def _gaussian_entropies(variances: FloatArray) -> FloatArray:
    return np.asarray(0.5 * np.log(2 * np.pi * np.e * variances))


def _entropy_of(covariance: FloatArray) -> float:
    marginals = float(_gaussian_entropies(np.diagonal(covariance)).sum())
    return marginals - gaussian_total_correlation(covariance)


def _moments(
    weights: FloatArray, centres: FloatArray, covariances: FloatArray, spreads: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Covariance of the mixture, of z and of the posterior means."""
    away = centres - weights @ centres
    between = np.einsum("g,gi,gj->ij", weights, away, away)
    within = np.einsum("g,gij->ij", weights, covariances)
    of_means = np.einsum("g,gij->ij", weights, spreads)
    return within + between, of_means + between


def _entropies(
    weights: FloatArray, centres: FloatArray, covariances: FloatArray
) -> tuple[float, float]:
    """Entropy of a Gaussian mixture, and the sum of those of its marginals; two latents at most."""
    if weights.size == 1:
        joint = _entropy_of(covariances[0])
        return joint, float(_gaussian_entropies(np.diagonal(covariances[0])).sum())
    reach = 9 * np.sqrt(covariances.diagonal(axis1=1, axis2=2))
    low, high = (centres - reach).min(axis=0), (centres + reach).max(axis=0)
    first, second = (np.linspace(a, b, _GRID) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1)
    steps = (high - low) / (_GRID - 1)
    density = sum(
        w * _density(grid, a, s) for w, a, s in zip(weights, centres, covariances, strict=True)
    )
    joint = _entropy_on_grid(np.asarray(density), float(steps.prod()))
    single = sum(
        _entropy_on_grid(np.asarray(density).sum(axis=1 - j) * steps[1 - j], float(steps[j]))
        for j in (0, 1)
    )
    return joint, float(single)


def _density(points: FloatArray, centre: FloatArray, covariance: FloatArray) -> FloatArray:
    away = points - centre
    quadratic = np.einsum("...i,ij,...j->...", away, np.linalg.inv(covariance), away)
    scale = np.sqrt(np.linalg.det(2 * np.pi * covariance))
    return np.asarray(np.exp(-quadratic / 2) / scale)


def _entropy_on_grid(density: FloatArray, cell: float) -> float:
    safe = np.where(density > 0, density, 1.0)
    return float(-(density * np.log(safe)).sum() * cell)


def _rotation(rows: int, columns: int, rng: np.random.Generator) -> FloatArray:
    return np.asarray(np.linalg.qr(rng.standard_normal((columns, rows)))[0].T)


def _encoder(
    spread: FloatArray,
    centre: FloatArray,
    variance: FloatArray,
    spectrum: Spectrum,
    rng: np.random.Generator,
) -> LinearVAE:
    """Return a linear encoder whose means have the given covariance and centre on the data."""
    k, n = centre.size, spectrum.n_features
    whiten = spectrum.eigenvectors / np.sqrt(spectrum.eigenvalues)
    encoder = np.linalg.cholesky(spread) @ _rotation(k, n, rng) @ whiten.T
    # A decoder that is neither the optimal one nor its transpose.
    root = spectrum.eigenvectors * np.sqrt(spectrum.eigenvalues)
    decoder = 0.7 * root @ _rotation(k, n, rng).T
    return LinearVAE(
        encoder,
        variance,
        decoder,
        np.array(0.6),
        encoder_offset=spectrum.mean,
        decoder_offset=spectrum.mean + 0.2,
        latent_offset=centre,
    )


def _spectrum(n: int, rng: np.random.Generator) -> Spectrum:
    values = np.geomspace(3.0, 0.4, n) * rng.uniform(0.9, 1.1, size=n)
    axes = _rotation(n, n, rng)
    covariance = (axes.T * values) @ axes
    return Spectrum.from_covariance((covariance + covariance.T) / 2, mean=rng.uniform(-1, 1, n))


def _correlated(deviations: FloatArray, correlation: float) -> FloatArray:
    k = deviations.size
    matrix = np.full((k, k), correlation) + (1 - correlation) * np.eye(k)
    return np.asarray(deviations[:, None] * matrix * deviations)


def _single(
    name: str,
    n: int,
    spec: tuple[list[float], float, list[float], list[float]],
    rng: np.random.Generator,
) -> Problem:
    variances, correlation, noise, centre = spec
    jitter = rng.uniform(0.95, 1.05, size=3)
    spectrum = _spectrum(n, rng)
    spread = _correlated(np.sqrt(np.array(variances) * jitter[0]), correlation)
    model = _encoder(
        spread, np.array(centre) * jitter[1], np.array(noise) * jitter[2], spectrum, rng
    )
    return Problem(name, np.ones(1), (model,), (spectrum,))


def _mixture(name: str, rng: np.random.Generator) -> Problem:
    """Two groups whose posterior variances differ: which sample's variance is used shows.

    The group of small variance is the narrow one; with equal spreads what a wrong variance adds in
    one group it takes away in the other.
    """
    spectra = tuple(_spectrum(3, rng) for _ in range(2))
    spreads = (np.diag([0.3, 0.2]), np.diag([2.0, 2.5]))
    centres = (np.array([-0.6, -0.7]), np.array([0.5, 0.8]))
    noises = (np.array([0.1, 0.3]), np.array([2.0, 1.2]))
    models = tuple(
        _encoder(spread, centre, noise * rng.uniform(0.95, 1.05), spectrum, rng)
        for spread, centre, noise, spectrum in zip(spreads, centres, noises, spectra, strict=True)
    )
    return Problem(name, np.array([0.4, 0.6]), models, spectra)


# Name, number of features, (variances of the means, their correlation, posterior variances, centre)
_SPECS: tuple[tuple[str, int, tuple[list[float], float, list[float], list[float]]], ...] = (
    ("two correlated latents", 4, ([2.5, 0.8], 0.93, [0.3, 0.2], [0.9, -0.6])),
    ("three anisotropic latents", 5, ([3.0, 1.2, 0.7], 0.9, [0.7, 0.35, 0.25], [0.4, 0.8, -0.5])),
    ("little information", 3, ([0.9, 0.6], -0.85, [1.5, 0.3], [-0.7, 0.3])),
)


def problems(rng: np.random.Generator) -> tuple[Problem, ...]:
    """Return encoders of little to moderate information, the last one not Gaussian as a whole."""
    singles = tuple(_single(name, n, spec, rng) for name, n, spec in _SPECS)
    return (*singles, _mixture("two groups of unequal variance", rng))


def strong_problem(rng: np.random.Generator) -> Problem:
    """Return an encoder of more information than log of a small batch can express."""
    spec = ([40.0, 25.0, 9.0], 0.3, [0.05, 0.08, 0.1], [0.0, 0.5, 0.0])
    return _single("much information", 5, spec, rng)
