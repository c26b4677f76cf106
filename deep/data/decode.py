"""Image files to pixels by Pillow: bounded sizes, raster formats only, all of the image or none."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deep.data.files import refuse

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["IMAGE_SUFFIXES", "Box", "decode_grey", "decode_rgb", "header_of", "pixels_of"]

Box: TypeAlias = tuple[int, int, int, int]
Mode: TypeAlias = Literal["L", "RGB"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".ppm", ".pgm")
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "PPM")
_MOST_PIXELS = 2**26  # 8192 x 8192; 200 MB of RGB
_GREY = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L")
_COLOUR = ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB")
_PNG_MAGIC, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
# Formats of photographs, and orientations of EXIF that exchange height and width.
_PHOTOGRAPHS, _ORIENTATION, _TURNED = ("JPEG", "WEBP"), 0x0112, (5, 6, 7, 8)


def header_of(content: bytes, what: str) -> tuple[Mode, tuple[int, int]]:
    """Whether an image is grey or RGB, and its height and width, without decoding it."""
    with _opened(content, what) as image:
        width, height = image.size
        try:
            photograph = image.format in _PHOTOGRAPHS
            turned = photograph and image.getexif().get(_ORIENTATION) in _TURNED
        except Exception as error:  # whatever a damaged header makes of it
            _damaged(what, error)
        mode: Mode = "L" if image.mode in _GREY else "RGB"
        return mode, (width, height) if turned else (height, width)


def decode_grey(content: bytes, what: str) -> NDArray[np.uint8]:
    """Grey pixels (height, width) of an image file as it is stored."""
    return pixels_of(content, what, mode="L", upright=False)


def decode_rgb(content: bytes, what: str) -> NDArray[np.uint8]:
    """Colours (height, width, 3) of an image file as it is stored; a grey one is refused."""
    if header_of(content, what)[0] != "RGB":
        refuse(f"{what}, a grey image", "colours", "check that it is the right file")
    return pixels_of(content, what, mode="RGB", upright=False)


def pixels_of(
    content: bytes,
    what: str,
    *,
    mode: Mode,
    size: int | None = None,
    box: Box | None = None,
    stored: tuple[int, int] | None = None,
    upright: bool = True,
) -> NDArray[np.uint8]:
    """Decode an image, crop it to a square and resize it.

    Parameters
    ----------
    content : bytes
        Of the file: PNG, JPEG, BMP, WebP, GIF (the first frame) or PPM.
    what : str
        Its name, for errors.
    mode : str
        ``L`` for (height, width), ``RGB`` for (height, width, 3).
    size : int, optional
        Height and width; bilinear with antialiasing, after the crop.
    box : (left, top, right, bottom), optional
        What to cut out; the largest square in the middle when omitted and `size` is given.
    stored : (height, width), optional
        Size that the image must have before it is cut.
    upright : bool
        Turn JPEG and WebP images as their EXIF orientation says.

    Returns
    -------
    ndarray of uint8
        Transparent pixels are laid over white; of 16 bits the upper 8 are kept.

    Raises
    ------
    DataError
        Unknown, truncated or damaged images; those of another size than `stored`, and those of
        more than 67 million pixels, are refused before they are decoded.
    """
    with _opened(content, what) as image:
        if stored is not None and image.size != stored[::-1]:
            refuse(f"{what} of {image.size[0]}x{image.size[1]} pixels",
                   f"{stored[1]}x{stored[0]}", "check that it is the right file")  # fmt: skip
        try:
            image.load()
            plain = _converted(_upright(image) if upright else image, mode)
            return np.array(plain if size is None else _cut(plain, size, box), dtype=np.uint8)
        except Exception as error:  # decoders raise a dozen kinds
            _damaged(what, error)


def _upright(image: Image) -> Image:
    from PIL import ImageOps

    return ImageOps.exif_transpose(image) if image.format in _PHOTOGRAPHS else image


def _cut(image: Image, size: int, box: Box | None) -> Image:
    from PIL import Image

    part = image.crop(box or _middle(image.size))
    return part.resize((size, size), Image.Resampling.BILINEAR)


def _opened(content: bytes, what: str) -> Image:
    from PIL import Image

    if content[:8] == _PNG_MAGIC and _PNG_END not in content:  # Pillow would not mind
        refuse(f"{what}, truncated: without the end of a PNG file", "a whole image",
               "copy or download it again")  # fmt: skip
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
    except Image.DecompressionBombError:
        refuse(f"{what} with too many pixels", f"at most {_MOST_PIXELS}", "store smaller images")
    except Exception as error:  # decoders raise a dozen kinds
        _damaged(what, error)
    width, height = image.size
    if width * height > _MOST_PIXELS:
        refuse(f"{what} of {width}x{height} pixels", f"at most {_MOST_PIXELS} pixels",
               "store smaller images")  # fmt: skip
    if image.mode not in (*_GREY, *_COLOUR):
        refuse(f"{what} with pixels of kind {image.mode!r}", "8 or 16 bits per channel",
               "convert it")  # fmt: skip
    return image


def _damaged(what: str, error: Exception) -> NoReturn:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    refuse(f"{what}, unknown, truncated or damaged ({reason})",
           f"an image of type {', '.join(_FORMATS)}", "copy or convert it again")  # fmt: skip


def _converted(image: Image, mode: Mode) -> Image:
    from PIL import Image

    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        solid = image.convert("RGBA")
        white = Image.new("RGBA", solid.size, "white")
        image = Image.alpha_composite(white, solid).convert("RGB")
    return image.convert(mode)


def _middle(size: tuple[int, int]) -> Box:
    width, height = size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side
