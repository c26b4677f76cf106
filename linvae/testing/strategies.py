"""Hypothesis strategies: the hard inputs of linear VAE mathematics, drawn on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from linvae import LinearVAE, Spectrum
from linvae.hypernetwork import GATES, GatedLayer

__all__ = [
    "KINDS",
    "Parameters",
    "Population",
    "Problem",
    "beta_arrays",
    "betas",
    "eigenvalues",
    "gated_layers",
    "generators",
    "noise_variances",
    "orthogonal_matrix",
    "parameters",
    "populations",
    "problems",
    "scales",
]

Array = NDArray[np.float64]

KINDS = ("random", "geometric", "clustered", "flat", "tied", "zeros", "near", "spike", "all_zero")


@dataclass(frozen=True, eq=False)
class Population:
    """A covariance known through its eigenpairs; `spectrum` knows them, `covariance` is dense."""

    values: Array
    vectors: Array
    mean: Array
    kind: str = "random"

    @property
    def n(self) -> int:
        """Data dimensions."""
        return self.values.size

    @property
    def covariance(self) -> Array:
        """Dense covariance."""
        root = self.vectors * np.sqrt(self.values)
        return np.asarray(root @ root.T)

    @property
    def spectrum(self) -> Spectrum:
        """The population as the library takes it."""
        return Spectrum.from_eigenvalues(self.values, eigenvectors=self.vectors, mean=self.mean)

    def leading(self, count: int) -> Spectrum:
        """A leading-k spectrum of the same population, with the exact total variance."""
        whole = self.spectrum
        return Spectrum(
            whole.mean,
            whole.eigenvalues[:count],
            whole.eigenvectors[:, :count],
            whole.total_variance,
            complete=bool((whole.eigenvalues[count:] == 0).all()),
        )


@dataclass(frozen=True, eq=False)
class Parameters:
    """Parameters of one linear VAE as plain arrays, for the oracles and for the library."""

    E: Array
    c: Array
    D: Array
    s2: float
    me: Array
    md: Array
    h: Array

    @property
    def k(self) -> int:
        """Latents."""
        return self.c.size

    @property
    def vae(self) -> LinearVAE:
        """The parameters as the library takes them."""
        return LinearVAE(self.E, self.c, self.D, np.asarray(self.s2), self.me, self.md, self.h)

    @classmethod
    def of(cls, vae: LinearVAE) -> Parameters:
        """Plain arrays of one model."""
        return cls(
            np.array(vae.encoder),
            np.array(vae.posterior_variance),
            np.array(vae.decoder),
            float(vae.noise_variance),
            np.array(vae.encoder_offset),
            np.array(vae.decoder_offset),
            np.array(vae.latent_offset),
        )


@dataclass(frozen=True, eq=False)
class Problem:
    """A population, a latent size and a noise variance."""

    population: Population
    k: int
    s2: float
    spectrum: Spectrum = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spectrum", self.population.spectrum)

    @property
    def critical(self) -> Array:
        """Critical betas of the k leading modes, descending."""
        return np.asarray(self.spectrum.eigenvalues[: self.k] / self.s2)

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of most functions of the library."""
        return {"latent_dim": self.k, "noise_variance": self.s2}


def orthogonal_matrix(n: int, rng: np.random.Generator) -> Array:
    """Random rotation or reflection."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return np.asarray(q * np.sign(np.diagonal(r)))


def generators() -> st.SearchStrategy[np.random.Generator]:
    """NumPy generators with a drawn seed, for bulk numbers that need no shrinking."""
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


def scales(extreme: bool = False) -> st.SearchStrategy[float]:
    """Scale factors: everyday ones, or from 1e-150 to 1e150."""
    everyday = st.sampled_from([1.0, 1e-3, 0.37, 12.5, 1e4])
    if not extreme:
        return everyday
    return st.sampled_from([1e-150, 1e-75, 1e-8, 1e8, 1e75, 1e150]) | everyday


def _of_kind(kind: str, n: int, rng: np.random.Generator) -> Array:
    if kind == "geometric":
        return np.geomspace(1.0, 10.0 ** -rng.uniform(0, 16), n)
    if kind == "clustered":
        centres = np.exp(rng.normal(0, 1.5, max(1, n // 3)))
        splits = 1 + rng.standard_normal(n) * 10.0 ** rng.uniform(-15, -6)
        return np.asarray(rng.choice(centres, n) * splits)
    if kind == "flat":
        return np.full(n, float(np.exp(rng.normal())))
    if kind == "tied":
        return rng.choice(np.exp(rng.normal(0, 1, max(1, n // 2))), n)
    if kind == "zeros":
        values = np.exp(rng.normal(0, 1.5, n))
        values[rng.integers(1, n + 1) :] = 0.0
        return values
    if kind == "near":
        # Neighbours in floating point: every critical beta is an ulp or two from the next.
        values = np.full(n, float(np.exp(rng.normal())))
        return np.asarray(values + np.spacing(values) * rng.integers(0, 4, n))
    if kind == "spike":
        return np.concatenate([[1.0], 10.0 ** rng.uniform(-9, -3, n - 1)])
    if kind == "all_zero":
        return np.zeros(n)
    return np.exp(rng.normal(0, 1.5, n))


@st.composite
def eigenvalues(
    draw: st.DrawFn,
    *,
    min_n: int = 1,
    max_n: int = 8,
    kinds: Sequence[str] = KINDS[:-1],
    extreme: bool = False,
) -> Array:
    """Eigenvalues in descending order."""
    return draw(
        populations(min_n=min_n, max_n=max_n, kinds=kinds, extreme=extreme, rotated=False)
    ).values


@st.composite
def populations(
    draw: st.DrawFn,
    *,
    min_n: int = 1,
    max_n: int = 8,
    kinds: Sequence[str] = KINDS[:-1],
    extreme: bool = False,
    rotated: bool = True,
) -> Population:
    """Covariances of every kind, rotated, with a mean of comparable size."""
    n = draw(st.integers(min_n, max_n))
    kind = draw(st.sampled_from(list(kinds)))
    scale = draw(scales(extreme))
    rng = draw(generators())
    values = np.sort(_of_kind(kind, n, rng))[::-1] * scale
    vectors = orthogonal_matrix(n, rng) if rotated else np.eye(n)
    return Population(values, vectors, 2 * np.sqrt(scale) * rng.standard_normal(n), kind)


def noise_variances() -> st.SearchStrategy[float]:
    """Noise variances, the one of "summed squared error plus KL" among them."""
    return st.sampled_from([0.5, 1.0]) | st.floats(-3.0, 3.0).map(lambda e: float(10.0**e))


@st.composite
def problems(draw: st.DrawFn, /, **options: Any) -> Problem:
    """A population, 1 <= k <= n, and a noise variance of the population's scale."""
    population = draw(populations(**options))
    k = draw(st.integers(1, population.n))
    top = float(population.values[0])
    return Problem(population, k, (top if top > 0 else 1.0) * draw(noise_variances()))


@st.composite
def betas(draw: st.DrawFn, critical: Array, *, edges: bool = True) -> float:
    """A beta: on, one ulp beside, between, far below or far above the critical betas."""
    alive = critical[critical > 0]
    if not alive.size:
        return draw(st.sampled_from([1e-3, 1.0, 40.0]))
    near = float(alive[draw(st.integers(0, alive.size - 1))])
    low, high = float(alive[-1]), float(alive[0])
    where = draw(
        st.sampled_from(["between", "below", "above", "on", "ulp"][: None if edges else 3])
    )
    share = draw(st.floats(0.0, 1.0))
    if where == "on":
        return near
    if where == "ulp":
        return float(np.nextafter(near, draw(st.sampled_from([0.0, np.inf]))))
    if where == "below":
        return float(low * 10.0 ** (-0.05 - 3 * share))
    if where == "above":
        return float(high * 10.0 ** (0.05 + 3 * share))
    return float(low * (high / low) ** share)


@st.composite
def beta_arrays(draw: st.DrawFn, critical: Array, *, size: int = 6, edges: bool = True) -> Array:
    """Several betas, unsorted; see `betas`."""
    return np.array([draw(betas(critical, edges=edges)) for _ in range(size)])


@st.composite
def parameters(
    draw: st.DrawFn,
    n: int,
    k: int,
    *,
    scale: float = 1.0,
    offsets: bool = True,
    noise_variance: float | None = None,
) -> Parameters:
    """Any parameters: anisotropic, not optimal, DtD not diagonal, dead columns, offsets.

    `scale` is the variance scale of the data they are meant for.
    """
    rng = draw(generators())
    root = np.sqrt(scale)
    stretch = np.exp(rng.normal(0, 1, k))
    E = rng.standard_normal((k, n)) * stretch[:, None] / root
    D = rng.standard_normal((n, k)) * np.exp(rng.normal(0, 1, k)) * root
    if draw(st.booleans()) and k > 1:
        j = int(rng.integers(k))
        D[:, j] = 0.0
        E[(j + 1) % k] = 0.0
    on = draw(st.booleans()) if offsets else False
    shift = root * on
    s2 = scale * float(np.exp(rng.normal())) if noise_variance is None else noise_variance
    return Parameters(
        E,
        np.exp(rng.normal(0, 1.5, k)),
        D,
        s2,
        shift * rng.standard_normal(n),
        shift * rng.standard_normal(n),
        on * rng.standard_normal(k),
    )


@st.composite
def gated_layers(
    draw: st.DrawFn,
    rows: int,
    columns: int,
    *,
    gates: Sequence[str] = tuple(GATES),
    diagonal: bool = False,
) -> GatedLayer:
    """Layers of a hypernetwork: gates opening, closing, constant and saturated, bases of any sign.

    A diagonal layer has ``rows`` base weights and no columns.
    """
    rng = draw(generators())
    slopes = rng.choice([-1.0, 0.0, 1.0, *rng.normal(0, 2, 3)], rows)
    biases = rng.choice([0.0, 40.0, -40.0, *rng.normal(0, 3, 5)], rows)
    base = rng.standard_normal(rows if diagonal else (rows, columns))
    return GatedLayer(slopes, biases, base, draw(st.sampled_from(list(gates))))
