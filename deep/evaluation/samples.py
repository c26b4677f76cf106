"""Images that networks make at a row of β's: of latents of the prior, and of given images.

A row is one multi-rate network read at several β's, or one dedicated network for each of them;
everything measured on images takes either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from deep._checks import fail
from deep.evaluation.passes import (
    FloatArray,
    as_betas,
    betas_for,
    blocks,
    check_counts,
    evaluating,
    sealed,
)
from deep.networks.base import VAENetwork
from deep.objectives.likelihoods import Bernoulli, Likelihood
from deep.randomness import generator

__all__ = [
    "NetworkRow",
    "Pixels",
    "generated",
    "image_shape_of",
    "prior_latents",
    "prior_samples",
    "reconstructed",
    "reconstructions",
    "to_images",
    "usual_pixels",
]

# What stands for an image: the mean of p(x|z), or a draw from a Bernoulli p(x|z).
Pixels = Literal["mean", "drawn"]
Shape = tuple[int, int, int]

_BLOCK = 512  # latents decoded together; their noise belongs to it and not to a batch


@dataclass(frozen=True, eq=False)
class NetworkRow:
    """Networks with their likelihoods at B β's.

    Attributes
    ----------
    betas : ndarray (B,)
    networks : tuple of nn.Module
        B of them, all with k latents; a multi-rate network stands at every place.
    likelihoods : tuple of Likelihood
        B of them.

    Raises
    ------
    InputError
        Another number of networks or likelihoods than β's, different numbers of latents.
    """

    betas: FloatArray
    networks: tuple[nn.Module, ...]
    likelihoods: tuple[Likelihood, ...]

    def __post_init__(self) -> None:
        betas = sealed(as_betas(self.betas))
        object.__setattr__(self, "betas", betas)
        counts = (len(betas), len(self.networks), len(self.likelihoods))
        if len(set(counts)) > 1:
            fail("row", "{} β's, {} networks and {} likelihoods".format(*counts),
                 "one network and one likelihood per β",
                 "use NetworkRow.multi_rate for one network for all β")  # fmt: skip
        latents = {_vae(network).latent_dim for network in self.networks}
        if len(latents) > 1:
            fail("row", f"networks of {sorted(latents)} latents", "one number of latents",
                 "compare networks of one size")  # fmt: skip

    @classmethod
    def multi_rate(cls, network: nn.Module, likelihood: Likelihood, betas: ArrayLike) -> NetworkRow:
        """One network read at several β's."""
        values = as_betas(betas)
        return cls(values, (network,) * len(values), (likelihood,) * len(values))

    @property
    def latent_dim(self) -> int:
        """Number of latents, k."""
        return int(_vae(self.networks[0]).latent_dim)

    def __iter__(self) -> Iterator[tuple[nn.Module, Likelihood, float]]:
        for place, beta in enumerate(self.betas):
            yield self.networks[place], self.likelihoods[place], float(beta)


def image_shape_of(sample_shape: Sequence[int]) -> Shape:
    """Channels, height and width of samples: (H, W), (C, H, W), or vectors of square images.

    A vector of s² values is a grey image, one of 3 s² values a colour image, channels first.

    Raises
    ------
    InputError
        Samples that are no such images.
    """
    shape = tuple(int(size) for size in sample_shape)
    if len(shape) == 2:
        return (1, *shape)
    if len(shape) == 3 and shape[0] in (1, 3):
        return (shape[0], shape[1], shape[2])
    if len(shape) == 1:
        for channels in (1, 3):
            side = isqrt(shape[0] // channels)
            if side and channels * side * side == shape[0]:
                return (channels, side, side)
    fail("samples", f"shape {shape}", "(H, W), (C, H, W) with 1 or 3 channels, or a vector "
         "of a square image", "these measures are of images")  # fmt: skip


def to_images(
    values: Tensor, shape: Shape, *, data_range: tuple[float, float] = (0.0, 1.0)
) -> Tensor:
    """Samples or means (N, ...) as images (N, C, H, W) in [0, 1], values beyond it cut off.

    Raises
    ------
    InputError
        Another number of values, an empty range, values that are not finite.
    """
    low, high = data_range
    if values.ndim < 2 or values[0].numel() != int(np.prod(shape)):
        fail("images", f"shape {tuple(values.shape)}", f"(N, ...) with {shape} values each",
             "pass the shape of these images")  # fmt: skip
    if not low < high:
        fail("data_range", (low, high), "low < high", "pass black first, then white")
    if not bool(torch.isfinite(values).all()):
        fail("images", "values that are not finite", "finite numbers", "check the network")
    return ((values.reshape(-1, *shape) - low) / (high - low)).clamp(0, 1)


def usual_pixels(likelihood: Likelihood, samples: Tensor | NDArray[np.generic]) -> Pixels:
    """``drawn`` for a Bernoulli model of pixels that are all 0 or 1, else ``mean``.

    Draws of a Bernoulli model are images of the kind that binary data are; its means are grey. A
    draw from a Gaussian model would add the noise of σ² to every pixel, which the data do not have.
    """
    binary = bool(((samples == 0) | (samples == 1)).all())
    return "drawn" if isinstance(likelihood, Bernoulli) and binary else "mean"


def prior_latents(count: int, latent_dim: int, *, seed: int = 0) -> Tensor:
    """Latents (count, k) drawn from N(0, I), in float64; the first ones do not depend on count."""
    check_counts(count=count, latent_dim=latent_dim)
    pieces = []
    for block, start in enumerate(range(0, count, _BLOCK)):
        draws = generator(seed, "evaluation", "prior", block)
        made = torch.randn(_BLOCK, latent_dim, generator=draws, dtype=torch.float64)
        pieces.append(made[: count - start])
    return torch.cat(pieces)


def prior_samples(
    row: NetworkRow,
    latents: Tensor,
    shape: Shape,
    *,
    data_range: tuple[float, float] = (0.0, 1.0),
    pixels: Pixels = "mean",
    seed: int = 0,
) -> Tensor:
    r"""Images of the same latents at every β.

    .. math:: x_i(\beta) = \mathbb E_\beta[x | z_i], \qquad z_i \sim N(0, I)

    Parameters
    ----------
    row : NetworkRow
    latents : Tensor (N, k)
        Those of :func:`prior_latents`.
    shape : (C, H, W)
    data_range : (low, high)
        Black and white in data units.
    pixels : {"mean", "drawn"}
    seed : int
        Of drawn pixels, the same numbers at every β.

    Returns
    -------
    Tensor (N, B, C, H, W)
        In [0, 1], float32, on the CPU.

    Raises
    ------
    InputError
        Latents of another width, outputs of another shape or not finite, pixels drawn from a
        likelihood that is not Bernoulli.
    """
    columns = [
        torch.cat(list(generated(network, likelihood, beta, latents, shape, data_range=data_range,
                                 pixels=pixels, seed=seed)))
        for network, likelihood, beta in row
    ]  # fmt: skip
    return torch.stack(columns, dim=1)


def reconstructions(
    row: NetworkRow,
    samples: Tensor | NDArray[np.generic],
    shape: Shape,
    *,
    data_range: tuple[float, float] = (0.0, 1.0),
    pixels: Pixels = "mean",
    seed: int = 0,
) -> Tensor:
    r"""The same images, encoded and decoded at every β; the latent is the mean of the posterior.

    .. math:: \hat x_i(\beta) = \mathbb E_\beta[x | z = m_\beta(x_i)]

    Parameters
    ----------
    row, shape, data_range, pixels, seed
        As for :func:`prior_samples`.
    samples : Tensor or array (N, ...)
        As the networks see them, N >= 2.

    Returns
    -------
    Tensor (N, B, C, H, W)
        In [0, 1], float32, on the CPU.

    Raises
    ------
    InputError
        As for ``prior_samples``; samples that are not finite.
    """
    columns = [
        torch.cat(list(reconstructed(network, likelihood, beta, samples, shape,
                                     data_range=data_range, pixels=pixels, seed=seed)))
        for network, likelihood, beta in row
    ]  # fmt: skip
    return torch.stack(columns, dim=1)


def generated(
    network: nn.Module,
    likelihood: Likelihood,
    beta: float,
    latents: Tensor,
    shape: Shape,
    *,
    data_range: tuple[float, float] = (0.0, 1.0),
    pixels: Pixels = "mean",
    seed: int = 0,
) -> Iterator[Tensor]:
    """Images (·, C, H, W) of latents (N, k) at one β, in blocks; see :func:`prior_samples`."""
    vae = _vae(network)
    if latents.ndim != 2 or latents.shape[1] != vae.latent_dim:
        fail("latents", f"shape {tuple(latents.shape)}", f"(N, {vae.latent_dim})",
             "draw them with prior_latents")  # fmt: skip
    own = _own_tensor(network)
    for block, start in enumerate(range(0, len(latents), _BLOCK)):
        z = latents[start : start + _BLOCK].to(own)
        with evaluating(network):  # not around the yield: its mode would reach the caller
            output = vae.decode(z, betas_for(z, np.full(len(z), beta)))
            mean = to_images(likelihood.mean(output), shape, data_range=data_range)
        yield _as_pixels(mean, likelihood, pixels, seed, block)


def reconstructed(
    network: nn.Module,
    likelihood: Likelihood,
    beta: float,
    samples: Tensor | NDArray[np.generic],
    shape: Shape,
    *,
    data_range: tuple[float, float] = (0.0, 1.0),
    pixels: Pixels = "mean",
    seed: int = 0,
) -> Iterator[Tensor]:
    """Images (·, C, H, W) of samples at one β, in blocks; see :func:`reconstructions`."""
    vae = _vae(network)
    for block in blocks(network, samples):
        known = betas_for(block.samples, np.full(len(block.samples), beta))
        with evaluating(network):
            mean_latent, _ = vae.encode(block.samples, known)
            output = vae.decode(mean_latent, known)
            mean = to_images(likelihood.mean(output), shape, data_range=data_range)
        yield _as_pixels(mean, likelihood, pixels, seed, block.number)


def _as_pixels(
    mean: Tensor, likelihood: Likelihood, pixels: Pixels, seed: int, block: int
) -> Tensor:
    if pixels == "mean":
        return mean.float().cpu()
    if pixels != "drawn" or not isinstance(likelihood, Bernoulli):
        fail("pixels", f"{pixels!r} with {type(likelihood).__name__}",
             "mean, or drawn with a Bernoulli likelihood", "use mean")  # fmt: skip
    draws = generator(seed, "evaluation", "pixels", block)
    level = torch.rand(mean.shape, generator=draws, dtype=torch.float64)
    return (level < mean.double().cpu()).float()


def _vae(network: nn.Module) -> VAENetwork:
    return cast(VAENetwork, network)


def _own_tensor(network: nn.Module) -> Tensor:
    """A tensor with the device and dtype that the network computes in."""
    tensors = (*network.parameters(), *network.buffers())
    return next((t for t in tensors if t.is_floating_point()), torch.empty(0))
