"""What the networks here are made of; all weights come from the generator that is passed in."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["ChannelsLast", "GaussianHead", "Residual", "Stage", "convolution", "linear"]


def linear(
    inputs: int, outputs: int, generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> nn.Linear:
    r"""Linear layer with weights and biases uniform on ±1/√inputs, from the given generator.

    That is what PyTorch draws, but not from its global generator.
    """
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, dtype=dtype)
    _draw(layer, inputs, generator)
    return layer


def convolution(
    inputs: int,
    outputs: int,
    kernel: int,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
    *,
    stride: int = 1,
    padding: int = 0,
    grown: int | None = None,
    bias: bool = False,
) -> nn.Conv2d | nn.ConvTranspose2d:
    r"""Convolution, or a transposed one, uniform on ±1/√m as PyTorch draws it.

    m is kernel² times the inputs, of a transposed convolution times the outputs.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel, stride, padding : int
    generator : torch.Generator
    dtype : torch.dtype
    grown : int, optional
        Makes it a transposed convolution; so many rows and columns more on one side (the padding
        of the output, 0 or 1).
    bias : bool
    """
    shape = {"stride": stride, "padding": padding, "bias": bias, "dtype": dtype}
    if grown is None:
        layer = nn.utils.skip_init(nn.Conv2d, inputs, outputs, kernel, **shape)
        _draw(layer, inputs * kernel**2, generator)
    else:
        shape["output_padding"] = grown
        layer = nn.utils.skip_init(nn.ConvTranspose2d, inputs, outputs, kernel, **shape)
        _draw(layer, outputs * kernel**2, generator)
    return layer


def _draw(layer: nn.Module, inputs: int, generator: torch.Generator) -> None:
    bound = 1 / math.sqrt(inputs)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)


class GaussianHead(nn.Module):
    """Mean and log-variance, each (N, k), from features (N, m)."""

    def __init__(
        self,
        features: int,
        latent_dim: int,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.mean = linear(features, latent_dim, generator, dtype)
        self.log_variance = linear(features, latent_dim, generator, dtype)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Both parts of q(z|x)."""
        return self.mean(features), self.log_variance(features)


class Stage(nn.Module):
    """A convolution without bias, batch normalisation, ReLU.

    Parameters
    ----------
    conv : nn.Conv2d or nn.ConvTranspose2d
    """

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(conv.out_channels, dtype=conv.weight.dtype)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, channels, height, width) to those of the next resolution."""
        return torch.relu(self.norm(self.conv(maps)))


class Residual(nn.Module):
    r"""A residual block: half as many channels inside as outside.

    .. math:: h + W_{1\times1}\,\mathrm{ReLU}(\mathrm{norm}(W_{3\times3}\,\mathrm{ReLU}(h)))
    """

    def __init__(self, channels: int, generator: torch.Generator, dtype: torch.dtype) -> None:
        super().__init__()
        inside = max(1, channels // 2)
        self.conv = convolution(channels, inside, 3, generator, dtype, padding=1)
        self.norm = nn.BatchNorm2d(inside, dtype=dtype)
        self.out = convolution(inside, channels, 1, generator, dtype, bias=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, channels, height, width) of the same shape."""
        inside = torch.relu(self.norm(self.conv(torch.relu(maps))))
        changed: Tensor = maps + self.out(inside)
        return changed


class ChannelsLast(nn.Module):
    """Maps laid out with the channels innermost where convolutions are faster so.

    That is on a CPU (a third of the time saved), and on an accelerator in low precision. Layers
    keep the layout of what they get; weights need not have it, and are saved as they always were.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """The same numbers (N, channels, height, width)."""
        kind = maps.device.type
        if kind != "cpu" and maps.dtype == torch.float32 and not torch.is_autocast_enabled(kind):
            return maps
        if maps.stride(1) == 1:
            return maps
        # Of a single channel both layouts are one, and .contiguous() would leave the strides.
        return torch.empty_like(maps, memory_format=torch.channels_last).copy_(maps)
