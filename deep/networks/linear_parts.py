"""Parts of the linear network: gated matrices, what they amount to, and coordinates of the data."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deep._checks import check_positive, fail

__all__ = [
    "GatedDiagonal",
    "GatedLinear",
    "LinearFactors",
    "LinearParameters",
    "NoGates",
    "whitening",
]


class LinearParameters(NamedTuple):
    """What the network is at some β, in data units: E (..., k, n), c (..., k), D (..., n, k)."""

    encoder: Tensor
    posterior_variance: Tensor
    decoder: Tensor


class LinearFactors(NamedTuple):
    r"""What the network is at β's (...) when the gates of the feature rows do not depend on β.

    .. math:: E = \operatorname{diag}(\text{encoder gate})\,\text{reading}, \qquad
              D = \text{writing}\,\text{mixing}

    Attributes
    ----------
    reading : Tensor (k, n)
    encoder_gate, posterior_variance : Tensor (..., k)
    mixing : Tensor (..., k, k)
    writing : Tensor (n, k)
    """

    reading: Tensor
    encoder_gate: Tensor
    posterior_variance: Tensor
    mixing: Tensor
    writing: Tensor


class GatedLinear(nn.Module):
    r"""Matrix whose rows are scaled by gates, :math:`W(t) = \sigma(w t + b) \odot_{row} W`."""

    def __init__(self, weight: Tensor, gates: nn.Module) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.gates = gates

    def forward(self, x: Tensor, inputs: Tensor, sharpness: float) -> Tensor:
        """Gated pre-activations (N, rows) of x (N, columns)."""
        gated: Tensor = self.gates(inputs, sharpness) * (x @ self.weight.mT)
        return gated


class GatedDiagonal(nn.Module):
    """Diagonal matrix with gated entries; the logarithm of the base is trained, so it is > 0."""

    def __init__(self, rows: int, gates: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.log_base = nn.Parameter(torch.zeros(rows, dtype=dtype))
        self.gates = gates

    def forward(self, inputs: Tensor, sharpness: float) -> Tensor:
        """Diagonal entries, shape (..., rows)."""
        entries: Tensor = self.gates(inputs, sharpness) * torch.exp(self.log_base)
        return entries


class NoGates(nn.Module):
    """The constant 1 for each row; nothing to train."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, inputs: Tensor, sharpness: float = math.inf) -> Tensor:
        """Ones of shape (..., rows) at inputs (...)."""
        return inputs.new_ones(1).expand(*inputs.shape, self.rows)


def whitening(covariance: Tensor, *, floor: float | None = None) -> Tensor:
    r"""Coordinates in which the strong directions of the data have variance about 1.

    .. math:: P = (\Lambda + \epsilon I)^{-1/2} U^\top, \qquad S = U \Lambda U^\top

    Parameters
    ----------
    covariance : Tensor (n, n)
        S, of training samples (a few thousand are enough).
    floor : float, optional
        ε > 0, below which directions are left small instead of blown up; tr S / n when omitted.

    Returns
    -------
    Tensor (n, n)
        P, invertible; of the dtype of S.

    Raises
    ------
    InputError
        A covariance that is not square and finite, a floor that is not positive.
    """
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
        fail("covariance", f"shape {tuple(covariance.shape)}", "(n, n)", "pass that of the samples")
    if not bool(torch.isfinite(covariance).all()):
        fail("covariance", "a value that is not finite", "finite numbers", "clean the samples")
    values, vectors = torch.linalg.eigh(covariance.double())
    if floor is None:
        floor = float(values.clamp(min=0).mean()) or 1.0  # constant samples: nothing to scale by
    check_positive("floor", floor, "pass a small part of the mean variance, or leave it out")
    gains = torch.rsqrt(values.clamp(min=0).flip(0) + floor)
    return (gains[:, None] * vectors.flip(1).mT).to(covariance.dtype)
