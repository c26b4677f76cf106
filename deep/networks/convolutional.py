"""Convolutional VAEs for images of 28 × 28, 32 × 32 and 64 × 64 pixels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from deep.networks.blocks import ChannelsLast, GaussianHead, Stage, convolution
from deep.networks.images import check_images, image_decoder
from deep.networks.vae import VAE

__all__ = ["CHANNELS", "convolutional_vae"]

CHANNELS = (128, 256, 512, 1024)


def convolutional_vae(
    sample_shape: Sequence[int],
    latent_dim: int,
    *,
    generator: torch.Generator,
    channels: Sequence[int] | None = None,
    extra_inputs: int = 0,
    dtype: torch.dtype = torch.float32,
) -> VAE:
    r"""Convolutions that halve the image stage by stage, and their mirror.

    .. math:: h_{i+1} = \mathrm{ReLU}(\mathrm{norm}(W_i * h_i)), \qquad
              \text{28 → 14 → 7 → 3 → 1 pixels}

    Encoder: a stage ``encoder.stage_1`` … for each of the channels, with ``conv`` (kernel 4,
    stride 2, padding 1, no bias) and ``norm``; then the linear ``encoder.head.mean`` and
    ``encoder.head.log_variance``. Decoder: the linear ``decoder.first`` to maps of 4 × 4 with the
    last of the channels, transposed convolutions (kernel 3, stride 2) ``decoder.stage_1.conv`` …
    with the channels before it, and ``decoder.output``, three in all, four for 64 × 64 pixels.

    Parameters
    ----------
    sample_shape : (channels, height, width)
        Height and width 28, 32 or 64.
    latent_dim : int
    generator : torch.Generator
        On the CPU; draws all initial weights.
    channels : sequence of int, optional
        Of the encoder's stages; 128, 256, 512, 1024 by default.
    extra_inputs : int
        Constant channels that the encoder sees beside the image, and numbers that the decoder sees
        beside the latents; see :class:`deep.networks.conditioned.BetaInputVAE`.
    dtype : torch.dtype

    Raises
    ------
    InputError
        Samples that are no such images, too many stages, sizes below 1.

    Notes
    -----
    Source of the default sizes: Bae et al. 2023, appendix on image experiments.
    """
    channels = CHANNELS if channels is None else channels
    images = check_images(sample_shape, latent_dim, channels)
    encoder: OrderedDict[str, nn.Module] = OrderedDict(layout=ChannelsLast())
    size = images.size
    for place, (inputs, outputs) in enumerate(
        pairwise((images.channels + extra_inputs, *channels)), start=1
    ):
        conv = convolution(inputs, outputs, 4, generator, dtype, stride=2, padding=1)
        encoder[f"stage_{place}"] = Stage(conv)
        size //= 2
    encoder["flatten"] = nn.Flatten()
    encoder["head"] = GaussianHead(channels[-1] * size**2, latent_dim, generator, dtype)
    return VAE(
        nn.Sequential(encoder),
        image_decoder(images, latent_dim + extra_inputs, channels, generator, dtype),
        latent_dim,
    )
