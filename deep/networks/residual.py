"""Residual VAEs for images of 28 × 28, 32 × 32 and 64 × 64 pixels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from deep.networks.blocks import ChannelsLast, GaussianHead, Residual, Stage, convolution
from deep.networks.images import check_images, image_decoder
from deep.networks.vae import VAE

__all__ = ["CHANNELS", "residual_vae"]

CHANNELS = (64, 128, 128)
_BLOCKS = 2  # on either side
_WIDE = 2  # stages with the wide kernel


def residual_vae(
    sample_shape: Sequence[int],
    latent_dim: int,
    *,
    generator: torch.Generator,
    channels: Sequence[int] | None = None,
    extra_inputs: int = 0,
    dtype: torch.dtype = torch.float32,
) -> VAE:
    r"""Convolutions down to maps of about 4 × 4, two residual blocks, and the mirror of both.

    .. math:: h \to h + W_{1\times1}\,\mathrm{ReLU}(\mathrm{norm}(W_{3\times3}\,\mathrm{ReLU}(h)))

    Encoder: stages ``encoder.stage_1`` … with ``conv`` and ``norm``, the first two with kernel 4
    and the others with kernel 3 (stride 2, padding 1, no bias); ``encoder.residual_1`` and
    ``encoder.residual_2`` with ``conv``, ``norm`` and ``out``, half as many channels inside as
    outside; the linear ``encoder.head.mean`` and ``encoder.head.log_variance``. Decoder: as in
    :func:`deep.networks.convolutional.convolutional_vae`, with two residual blocks after its first
    stage.

    Parameters
    ----------
    sample_shape, latent_dim, generator, extra_inputs, dtype
        As for :func:`deep.networks.convolutional.convolutional_vae`.
    channels : sequence of int, optional
        Of the encoder's stages; 64, 128, 128 by default, and once more 128 for 64 × 64 pixels.

    Raises
    ------
    InputError
        Samples that are no such images, too many stages, sizes below 1.

    Notes
    -----
    Source of the default sizes: Bae et al. 2023, appendix on image experiments.
    """
    if channels is None:
        channels = CHANNELS
        if len(sample_shape) == 3 and sample_shape[-1] == 64:
            channels = (*CHANNELS, CHANNELS[-1])
    images = check_images(sample_shape, latent_dim, channels)
    encoder: OrderedDict[str, nn.Module] = OrderedDict(layout=ChannelsLast())
    size = images.size
    for place, (inputs, outputs) in enumerate(
        pairwise((images.channels + extra_inputs, *channels)), start=1
    ):
        kernel = 4 if place <= _WIDE else 3
        conv = convolution(inputs, outputs, kernel, generator, dtype, stride=2, padding=1)
        encoder[f"stage_{place}"] = Stage(conv)
        size = (size + 2 - kernel) // 2 + 1
    for block in range(_BLOCKS):
        encoder[f"residual_{block + 1}"] = Residual(channels[-1], generator, dtype)
    encoder["flatten"] = nn.Flatten()
    encoder["head"] = GaussianHead(channels[-1] * size**2, latent_dim, generator, dtype)
    return VAE(
        nn.Sequential(encoder),
        image_decoder(
            images, latent_dim + extra_inputs, channels, generator, dtype, residuals=_BLOCKS
        ),
        latent_dim,
    )
