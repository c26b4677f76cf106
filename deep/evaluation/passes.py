"""What all evaluations share: the model's mode, blocks of samples, noise, pairs of β and sample."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from deep._checks import fail
from deep.errors import DataError, DivergenceError
from deep.randomness import generator

__all__ = [
    "Block",
    "FloatArray",
    "Moments",
    "as_array",
    "as_betas",
    "betas_for",
    "blocks",
    "check_counts",
    "evaluating",
    "finite",
    "normal_noise",
    "pairs",
    "sealed",
    "standard_error",
]

FloatArray = NDArray[np.float64]

# Noise belongs to a block of samples and not to a batch, so that results do not depend on the
# batch size.
_BLOCK = 512


class Block(NamedTuple):
    """Consecutive samples: which block this is, their values in the model's dtype."""

    number: int
    samples: Tensor


# Models that are being evaluated: by how many, and the modes their modules had before.
_EVALUATED: dict[nn.Module, tuple[int, list[tuple[nn.Module, bool]]]] = {}
_LOCK = threading.Lock()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every module gets its own mode back.

    Threads may evaluate one model at once: the last of them puts the modes back.
    """
    with _LOCK:
        if model not in _EVALUATED:
            _EVALUATED[model] = (0, [(module, module.training) for module in model.modules()])
            model.eval()
        users, modes = _EVALUATED[model]
        _EVALUATED[model] = (users + 1, modes)
    try:
        with torch.inference_mode():
            yield
    finally:
        with _LOCK:
            users, modes = _EVALUATED.pop(model)
            if users > 1:
                _EVALUATED[model] = (users - 1, modes)
            else:
                for module, mode in modes:
                    module.training = mode


def blocks(model: nn.Module, samples: Tensor | NDArray[np.generic]) -> Iterator[Block]:
    """Samples (N, ...) in pieces, on the model's device and in its dtype; uint8 divided by 255.

    Raises
    ------
    DataError
        Fewer than two samples, or values that are not finite.
    """
    if samples.ndim < 2 or len(samples) < 2:
        fail("samples", f"shape {tuple(samples.shape)}", "(N, ...) with N >= 2",
             "pass one row per sample; one alone has no standard error", DataError)  # fmt: skip
    tensors = (*model.parameters(), *model.buffers())
    own = next((t for t in tensors if t.is_floating_point()), torch.empty(0))
    for index, start in enumerate(range(0, len(samples), _BLOCK)):
        piece = samples[start : start + _BLOCK]
        rows = piece if isinstance(piece, Tensor) else torch.from_numpy(np.array(piece))
        values = rows.to(own.device, own.dtype)
        if rows.dtype == torch.uint8:
            values = values / 255
        if not bool(torch.isfinite(values).all()):
            fail("samples", "values that are not finite", "finite numbers", "clean them", DataError)
        yield Block(index, values)


def normal_noise(
    block: Block, latent_dim: int, *, seed: int, use: str, draw: int
) -> Tensor:  # shape: (samples of the block, k)
    """Standard normal numbers for one latent of each sample; a function of its arguments.

    Drawn on the CPU in float64, so that devices and dtypes see the same numbers.
    """
    source = generator(seed, "evaluation", use, draw, block.number)
    shape = (len(block.samples), latent_dim)
    return torch.randn(shape, generator=source, dtype=torch.float64).to(block.samples)


def pairs(
    n_betas: int, n_samples: int, batch_size: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Indices of β and of sample for all pairs, β by β, in batches of bounded size."""
    for start in range(0, n_betas * n_samples, batch_size):
        end = min(start + batch_size, n_betas * n_samples)
        flat = torch.arange(start, end, device=device)
        yield flat // n_samples, flat % n_samples


def as_betas(betas: ArrayLike) -> FloatArray:
    """β's as a new array (B,).

    Raises
    ------
    InputError
        No β, more than one dimension, one that is not positive and finite.
    """
    values = np.array(betas, dtype=np.float64, ndmin=1)
    if values.ndim != 1 or values.size == 0 or not (np.isfinite(values) & (values > 0)).all():
        fail("betas", np.array2string(values, threshold=8), "one or more finite numbers > 0",
             "β weighs the rate")  # fmt: skip
    return values


def betas_for(samples: Tensor, betas: FloatArray) -> Tensor:
    """β's (B,) where the samples are, in at least float32: narrower dtypes would move them."""
    dtype = torch.promote_types(samples.dtype, torch.float32)
    return torch.as_tensor(betas).to(samples.device, dtype)


def check_counts(**counts: int) -> None:
    """Fail unless all are integers >= 1."""
    for name, value in counts.items():
        if not isinstance(value, int) or value < 1:
            fail(name, value, "an integer >= 1", "raise it")


def finite(name: str, values: FloatArray, betas: FloatArray) -> FloatArray:
    """Return values (B, ...), or say at which β the model left the finite numbers.

    Raises
    ------
    DivergenceError
    """
    good = np.isfinite(values).reshape(len(betas), -1).all(axis=1)
    if not good.all():
        raise DivergenceError(
            f"{name}: got values that are not finite at β = {betas[~good][0]:.6g}; expected finite "
            "ones; the model has diverged: go back to an earlier checkpoint"
        )
    return values


def as_array(values: Tensor) -> FloatArray:
    """Float64 array of the values of a tensor."""
    return np.asarray(values.detach().cpu().numpy(), dtype=np.float64)


def sealed(values: ArrayLike) -> FloatArray:
    """Float64 copy that cannot be changed."""
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


class Moments:
    r"""Averages and covariances over samples, merged block by block in float64.

    .. math:: M \leftarrow M + M' + \delta \delta^\top \frac{m m'}{m + m'}

    for m and m' samples whose averages differ by δ. No sum of squares is subtracted from another.

    Notes
    -----
    Source: Chan, Golub and LeVeque 1983.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: FloatArray = np.zeros(())
        self._scatter: FloatArray = np.zeros(())

    def add(self, values: FloatArray) -> None:
        """Take in values (B, samples, quantities)."""
        count = values.shape[1]
        mean = values.mean(axis=1)
        centred = values - mean[:, None]
        scatter = np.swapaxes(centred, 1, 2) @ centred
        if self.count:
            shift = mean - self.mean
            total = self.count + count
            cross = shift[:, :, None] * shift[:, None, :]
            scatter = self._scatter + scatter + cross * (self.count * count / total)
            mean = self.mean + shift * (count / total)
        self.count, self.mean, self._scatter = self.count + count, mean, scatter

    def error_covariance(self) -> FloatArray:
        """Covariances (B, quantities, quantities) of the averages, with N − 1."""
        return self._scatter / ((self.count - 1) * self.count)

    def covariance(self) -> FloatArray:
        """Covariances (B, quantities, quantities) over the samples, with N − 1."""
        return self._scatter / (self.count - 1)

    def variance(self) -> FloatArray:
        """Variances (B, quantities) over the samples, with N."""
        return np.diagonal(self._scatter, axis1=1, axis2=2) / self.count


def standard_error(covariance: FloatArray, *weights: float | FloatArray) -> FloatArray:
    """Standard errors (B,) of weighted sums of averages with covariances (B, q, q)."""
    vector = np.stack(np.broadcast_arrays(*weights), axis=-1)
    variance = np.einsum("...i,...ij,...j->...", vector, covariance, vector)
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))
