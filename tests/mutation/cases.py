"""Chosen data and parameters without symmetries, and many-digit answers to hold linvae to."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linvae import Frontier, LinearVAE, Spectrum
from tests.tolerances import EPS

__all__ = [
    "FRONTIERS",
    "MEAN",
    "VALUES",
    "VECTORS",
    "Mode",
    "Parameters",
    "assert_digits",
    "curve_of",
    "dense",
    "leading",
    "mode",
    "model",
    "parameters",
    "rotation",
    "spectrum",
]

Array = NDArray[np.float64]

# No entry is 1, 2 or another's sum or product: x + y, x * y, x / y and x ** y all differ.
VALUES = np.array([5.3, 2.9, 0.71, 0.23])
MEAN = np.array([0.37, -1.9, 2.3, 0.61])


def rotation(n: int, seed: int = 3) -> Array:
    """An orthogonal matrix without zeros."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


VECTORS = rotation(4)


def spectrum(values: Any = VALUES, mean: Any = MEAN, turned: bool = True) -> Spectrum:
    """Spectrum along rotated directions, or along the axes, where arithmetic is exact."""
    values = np.asarray(values, dtype=np.float64)
    mean = None if mean is None else mean[: values.size]
    vectors = rotation(values.size) if turned else np.eye(values.size)
    return Spectrum.from_eigenvalues(values, eigenvectors=vectors, mean=mean)


def leading(values: Any, count: int) -> Spectrum:
    """A spectrum that holds only its first `count` pairs."""
    whole = spectrum(values, None)
    return Spectrum(
        whole.mean,
        whole.eigenvalues[:count],
        whole.eigenvectors[:, :count],
        whole.total_variance,
        complete=False,
    )


# values, latents, noise variance
FRONTIERS = [
    ([5.3, 2.9, 0.71, 0.23], 3, 0.37),  # fewer latents than rank
    ([5.3, 2.9, 0.71, 0.23], 4, 1.9),
    ([5.3, 2.9, 0.0, 0.0], 3, 0.37),  # more latents than rank
    ([3.1, 3.1, 0.7, 0.7, 0.7], 4, 0.6),  # ties, one of them cut
    ([0.83], 1, 2.3),
]


def curve_of(values: Any, k: int, s2: float) -> Frontier:
    """The curve of some eigenvalues."""
    return Frontier(spectrum(values, None), latent_dim=k, noise_variance=s2)


def dense(given: Spectrum) -> Array:
    """Covariance matrix from the pairs."""
    return (given.eigenvectors * given.eigenvalues) @ given.eigenvectors.T


@dataclass(frozen=True)
class Mode:
    """The optimum along one eigenvector."""

    decoder: Decimal
    encoder: Decimal
    posterior: Decimal


def mode(value: float, s2: float, beta: float) -> Mode:
    """Gains and posterior variance of one mode, in decimals."""
    with localcontext() as context:
        context.prec = 50
        lam, level = Decimal(float(value)), Decimal(float(beta)) * Decimal(float(s2))
        gain = max(lam - level, Decimal(0)).sqrt()
        inverse = gain / lam if lam else Decimal(0)
        return Mode(gain, inverse, min(Decimal(1), level / lam) if lam else Decimal(1))


def assert_digits(got: Any, want: Any, ulps: float = 8, scale: float | None = None) -> None:
    """Assert that floats differ from decimals by few units of rounding of the scale."""
    got, want = np.asarray(got), np.asarray(want, dtype=object)
    assert got.shape == want.shape, (got.shape, want.shape)
    for x, y in zip(got.ravel(), want.ravel(), strict=True):
        exact = y if isinstance(y, Decimal) else Decimal(float(y))
        size = abs(float(exact)) if scale is None else scale
        assert np.isfinite(x), x
        assert abs(float(Decimal(float(x)) - exact)) <= ulps * EPS * size, (x, exact)


@dataclass(frozen=True)
class Parameters:
    """Parameters of one model under the names of the oracles."""

    E: Array
    c: Array
    D: Array
    me: Array
    md: Array
    h: Array
    s2: float


def parameters(n: int, k: int, seed: int = 11, scale: float = 1.0) -> Parameters:
    """Parameters far from any optimum: correlated latents, anisotropic, all offsets different."""
    rng = np.random.default_rng(seed)
    return Parameters(
        E=scale * rng.standard_normal((k, n)),
        c=rng.uniform(0.2, 1.9, k),
        D=rng.standard_normal((n, k)),
        me=rng.standard_normal(n),
        md=rng.standard_normal(n),
        h=rng.standard_normal(k),
        s2=float(rng.uniform(0.4, 0.9)),
    )


def model(*given: Parameters) -> LinearVAE:
    """One model, or a batch of several."""
    names = ("E", "c", "D", "s2", "me", "md", "h")
    if len(given) == 1:
        return LinearVAE(*(getattr(given[0], name) for name in names))
    return LinearVAE(*(np.stack([getattr(p, name) for p in given]) for name in names))
