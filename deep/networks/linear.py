"""The two-layer linear multi-rate VAE, whose optimum is known exactly at every β."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deep.gates import RowGates, direction

__all__ = ["LinearOutput", "LinearParameters", "MultiRateLinearVAE"]

# Argument at which a gate starts when it is meant to be open: 0.93 for sqrt_relu, 0.88 for sigmoid.
_OPEN = 2.0
# Size of the random part of the square layers, which start near the identity.
_MIX = 0.1
# Part of the range of log β over which the latents' gates start to close. A latent that starts
# closed over most of the range has too little to gain at the rest and stays dead.
_CLOSING = (2 / 3, 1.0)


class LinearParameters(NamedTuple):
    """What the network is at some β, in data units: E (..., k, n), c (..., k), D (..., n, k)."""

    encoder: Tensor
    posterior_variance: Tensor
    decoder: Tensor


class LinearOutput(NamedTuple):
    """What the network says about samples: means and variances of q(z|x), (N, k); x̂, (N, n)."""

    latent_mean: Tensor
    latent_variance: Tensor
    reconstruction: Tensor


class GatedLinear(nn.Module):
    r"""Matrix whose rows are scaled by gates, :math:`W(t) = \sigma(w t + b) \odot_{row} W`."""

    def __init__(self, weight: Tensor, gates: RowGates) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.gates = gates

    def forward(self, x: Tensor, inputs: Tensor, sharpness: float) -> Tensor:
        """Gated pre-activations (N, rows) of x (N, columns)."""
        return self.gates(inputs, sharpness) * (x @ self.weight.mT)


class GatedDiagonal(nn.Module):
    """Diagonal matrix with gated entries; the logarithm of the base is trained, so it is > 0."""

    def __init__(self, gates: RowGates) -> None:
        super().__init__()
        self.log_base = nn.Parameter(torch.zeros_like(gates.bias))
        self.gates = gates

    def forward(self, inputs: Tensor, sharpness: float) -> Tensor:
        """Diagonal entries, shape (..., rows)."""
        return self.gates(inputs, sharpness) * torch.exp(self.log_base)


class MultiRateLinearVAE(nn.Module):
    r"""Linear VAE for all β in a range, two gated layers a side.

    .. math:: E(\beta) = E^{(2)}E^{(1)},\quad C(\beta) = C^{(2)}C^{(1)},\quad
              D(\beta) = D^{(2)}D^{(1)},\qquad
              W^{(\ell)}(\beta) = \sigma(w^{(\ell)} t + b^{(\ell)}) \odot_{row} W^{(\ell)}

    where t is log β, standardised over the range. E⁽¹⁾, C and D⁽¹⁾ are square. E⁽²⁾ and D⁽²⁾
    start at random, E⁽¹⁾ and D⁽¹⁾ at random near the identity: the gates of D⁽¹⁾ then act on the
    latents and not on mixtures of them. The gates of the latents start with slope 1 in log β and
    close at random points of the upper third of the range, all others start open and constant.

    Parameters
    ----------
    n_features, latent_dim : int
        n and k, 1 <= k <= n.
    beta_range : (a, b)
        0 < a < b, the range from which training draws log β uniformly.
    generator : torch.Generator
        Source of the random start.
    mean : Tensor (n,) or float
        μ, given and not trained.
    scale : float
        The matrices work on (x − μ)/scale; pass the typical standard deviation of a feature.
    encoder_gate, posterior_gate, decoder_gate : str
        Keys of :data:`deep.gates.GATES`. The default is what the joint optimum needs; ``"sigmoid"``
        for encoder and posterior is the published form.
    dtype : torch.dtype

    Raises
    ------
    ValueError
        k outside 1..n, not 0 < a < b, scale not positive, an unknown gate.

    Notes
    -----
    Source: Bae et al. 2023, Eq. 6, 7 and 10.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        n_features: int,
        latent_dim: int,
        *,
        beta_range: tuple[float, float],
        generator: torch.Generator,
        mean: Tensor | float = 0.0,
        scale: float = 1.0,
        encoder_gate: str = "sqrt_relu",
        posterior_gate: str = "min_exp",
        decoder_gate: str = "sqrt_relu",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        n, k = n_features, latent_dim
        _check_sizes(n, k, beta_range, scale)
        low, high = (math.log(b) for b in beta_range)
        self.input_mean = (low + high) / 2
        self.input_std = (high - low) / math.sqrt(12)
        center = torch.as_tensor(mean, dtype=dtype).expand(n).clone()
        self.register_buffer("mean", center)
        self.register_buffer("scale", torch.tensor(scale, dtype=dtype))

        def matrix(rows: int, columns: int, width: int) -> Tensor:
            entries = torch.randn(rows, columns, generator=generator, dtype=dtype)
            return entries / math.sqrt(width)

        def square(rows: int) -> Tensor:
            return torch.eye(rows, dtype=dtype) + _MIX * matrix(rows, rows, rows)

        # One closing point per latent, the same in E, C and D. Standardised log β spans ±√3.
        draws = torch.rand(k, generator=generator, dtype=dtype)
        place = (torch.arange(k, dtype=dtype) + draws) / k
        place = _CLOSING[0] + (_CLOSING[1] - _CLOSING[0]) * place
        closing = math.sqrt(3) * (2 * place - 1)

        def of_latents(gate: str, rising: float) -> RowGates:
            slope = rising * direction(gate) * self.input_std
            return RowGates(slope * torch.ones_like(closing), -slope * closing, gate)

        def opened(rows: int, gate: str) -> RowGates:
            bias = torch.full((rows,), _OPEN * direction(gate), dtype=dtype)
            return RowGates(torch.zeros_like(bias), bias, gate)

        self.encoder_1 = GatedLinear(square(n), opened(n, encoder_gate))
        self.encoder_2 = GatedLinear(matrix(k, n, n), of_latents(encoder_gate, -1.0))
        self.posterior_1 = GatedDiagonal(of_latents(posterior_gate, 1.0))
        self.posterior_2 = GatedDiagonal(opened(k, posterior_gate))
        self.decoder_1 = GatedLinear(square(k), of_latents(decoder_gate, -1.0))
        self.decoder_2 = GatedLinear(matrix(n, k, n), opened(n, decoder_gate))

    def inputs(self, beta: Tensor | float) -> Tensor:
        """Standardised log β, of the shape of beta.

        Raises
        ------
        ValueError
            β not positive and finite.
        """
        weight = torch.as_tensor(beta, dtype=self.mean.dtype, device=self.mean.device)
        if not bool(((weight > 0) & torch.isfinite(weight)).all()):
            raise ValueError("beta: got a value that is not positive and finite; expected numbers "
                             "> 0; β weighs the rate")  # fmt: skip
        return (torch.log(weight) - self.input_mean) / self.input_std

    def at(self, beta: Tensor | float, *, sharpness: float = math.inf) -> LinearParameters:
        """E, c and D at β (...): what a linear VAE trained for this β alone would hold."""
        t = self.inputs(beta)
        # Row gates of the first layer are column gates of the second: one matrix product for all β.
        first = self.encoder_1.gates(t, sharpness)[..., None, :]
        encoder = (self.encoder_2.weight * first) @ self.encoder_1.weight
        first = self.decoder_1.gates(t, sharpness)[..., None, :]
        decoder = (self.decoder_2.weight * first) @ self.decoder_1.weight
        return LinearParameters(
            encoder=self.encoder_2.gates(t, sharpness)[..., None] * encoder / self.scale,
            posterior_variance=self._variance(t, sharpness),
            decoder=self.decoder_2.gates(t, sharpness)[..., None] * decoder * self.scale,
        )

    def forward(
        self,
        samples: Tensor,
        beta: Tensor | float,
        *,
        noise: Tensor | None = None,
        sharpness: float = math.inf,
    ) -> LinearOutput:
        """Encode and decode samples.

        Parameters
        ----------
        samples : Tensor (N, n)
        beta : float or Tensor () or (N,)
            One KL weight for all samples, or one for each.
        noise : Tensor (N, k), optional
            Standard normal draws for z = mean + √variance · noise; the mean is decoded without.
        sharpness : float
            Of the gates.

        Raises
        ------
        ValueError
            Samples of another width, a β that is not positive, or neither one β nor N of them.
        """
        t = self.inputs(beta)
        if samples.ndim != 2 or samples.shape[1] != self.mean.numel():
            raise ValueError(f"samples: got shape {tuple(samples.shape)}; expected "
                             f"(N, {self.mean.numel()}); flatten images to rows")  # fmt: skip
        if t.ndim and t.shape != samples.shape[:1]:
            raise ValueError(f"beta: got shape {tuple(t.shape)}; expected () or "
                             f"({len(samples)},); pass one β, or one per sample")  # fmt: skip
        hidden = self.encoder_1((samples - self.mean) / self.scale, t, sharpness)
        mean = self.encoder_2(hidden, t, sharpness)
        variance = self._variance(t, sharpness).expand_as(mean)
        z = mean if noise is None else mean + torch.sqrt(variance) * noise
        output = self.decoder_2(self.decoder_1(z, t, sharpness), t, sharpness)
        return LinearOutput(mean, variance, self.mean + self.scale * output)

    def _variance(self, inputs: Tensor, sharpness: float) -> Tensor:
        return self.posterior_1(inputs, sharpness) * self.posterior_2(inputs, sharpness)


def _check_sizes(n: int, k: int, beta_range: tuple[float, float], scale: float) -> None:
    if not 1 <= k <= n:
        raise ValueError(f"latent_dim: got {k}; expected 1 <= k <= {n}; use at most one latent per "
                         "feature")  # fmt: skip
    low, high = beta_range
    if not 0 < low < high < math.inf:
        raise ValueError(f"beta_range: got {beta_range}; expected 0 < a < b; pass the smallest β "
                         "first")  # fmt: skip
    if not 0 < scale < math.inf:
        raise ValueError(f"scale: got {scale}; expected a number > 0; pass a typical standard "
                         "deviation")  # fmt: skip
