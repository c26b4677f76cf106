"""Images that the networks take, and the decoder that both kinds of networks share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deep._checks import fail
from deep.networks.blocks import ChannelsLast, Residual, Stage, convolution, linear

__all__ = ["SIZES", "Images", "check_images", "image_decoder"]

# Height and width of the decoder's maps, up to the images.
SIZES = {28: (4, 7, 14, 28), 32: (4, 8, 16, 32), 64: (4, 8, 16, 32, 64)}


class Images(NamedTuple):
    """Channels and size (height = width) of images."""

    channels: int
    size: int


def check_images(sample_shape: Sequence[int], latent_dim: int, channels: Sequence[int]) -> Images:
    """Return what the images are.

    Raises
    ------
    InputError
        Samples that are no images of a known size, more stages than the image can be halved, a
        number below 1.
    """
    shape = tuple(sample_shape)
    square = len(shape) == 3 and shape[1] == shape[2] and shape[1] in SIZES and shape[0] >= 1
    if not square:
        fail("sample_shape", shape, "(channels, height, width), height and width both "
             f"{', '.join(map(str, list(SIZES)[:-1]))} or {max(SIZES)}",
             "resize the images (data.size), or use kind mlp")  # fmt: skip
    most = shape[1].bit_length() - 1  # halvings that leave a pixel
    if not 1 <= len(channels) <= most or min(channels) < 1:
        fail("channels", tuple(channels), f"1 to {most} integers >= 1 for {shape[1]} x {shape[1]} "
             "pixels", "one number per stage; each halves height and width")  # fmt: skip
    if latent_dim < 1:
        fail("latent_dim", latent_dim, "an integer >= 1", "use at least one latent")
    return Images(shape[0], shape[1])


class _RowsFirst(nn.Module):
    """Maps as every other code expects them: channels before height and width."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.contiguous()


def image_decoder(
    images: Images,
    inputs: int,
    channels: Sequence[int],
    generator: torch.Generator,
    dtype: torch.dtype,
    *,
    residuals: int = 0,
) -> nn.Sequential:
    """Linear to 4 × 4 maps, then transposed convolutions that double them up to the images.

    Parameters
    ----------
    images : Images
        What comes out: logits or means.
    inputs : int
        Latents, and whatever else the decoder sees.
    channels : sequence of int
        Of the encoder. The decoder has them in reverse, without the first ones where it has fewer
        stages, with the first repeated where it has more.
    generator : torch.Generator
    dtype : torch.dtype
    residuals : int
        Residual blocks after the first stage.
    """
    sizes = SIZES[images.size]
    widths = [*reversed(channels)]
    widths = (widths + [widths[-1]] * len(sizes))[: len(sizes) - 1]

    def doubled(place: int, outputs: int, *, bias: bool = False) -> nn.ConvTranspose2d:
        layer = convolution(widths[place], outputs, 3, generator, dtype, stride=2, padding=1,
                            grown=sizes[place + 1] - 2 * sizes[place] + 1, bias=bias)  # fmt: skip
        assert isinstance(layer, nn.ConvTranspose2d)
        return layer

    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["first"] = linear(inputs, widths[0] * sizes[0] ** 2, generator, dtype)
    parts["unflatten"] = nn.Unflatten(1, (widths[0], sizes[0], sizes[0]))
    parts["layout"] = ChannelsLast()
    for place, outputs in enumerate(widths[1:]):
        parts[f"stage_{place + 1}"] = Stage(doubled(place, outputs))
        if place == 0:
            for block in range(residuals):
                parts[f"residual_{block + 1}"] = Residual(outputs, generator, dtype)
    parts["output"] = doubled(len(widths) - 1, images.channels, bias=True)
    parts["rows_first"] = _RowsFirst()
    return nn.Sequential(parts)
