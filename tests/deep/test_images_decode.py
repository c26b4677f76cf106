"""Image files to pixels: values, orientation, transparency, and what is refused."""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

torch = pytest.importorskip("torch")

from deep.data.decode import decode_grey, decode_rgb, header_of, pixels_of
from deep.errors import DataError
from tests.deep.image_files import png, random_pixels

GREY, RGB = random_pixels(1, 5, 8), random_pixels(2, 5, 8, 3)


@pytest.mark.parametrize("form", ["PNG", "BMP", "PPM"])
def test_lossless_formats_give_every_pixel_back(form):
    assert np.array_equal(decode_rgb(png(RGB, form), "a"), RGB)
    assert np.array_equal(decode_grey(png(GREY, form), "a"), GREY)
    assert header_of(png(RGB, form), "a") == ("RGB", (5, 8))
    assert header_of(png(GREY, form), "a") == ("L", (5, 8))


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "GIF"])
def test_other_formats_are_read(form):
    flat = np.full((16, 24, 3), (200, 100, 50), np.uint8)
    found = pixels_of(png(flat, form), "a", mode="RGB")
    assert found.shape == flat.shape
    assert np.abs(found.astype(int) - flat).max() <= 6
    assert header_of(png(flat, form), "a") == ("RGB", (16, 24))


def test_grey_as_colours_and_colours_as_grey():
    assert np.array_equal(pixels_of(png(GREY), "a", mode="RGB"), np.stack([GREY] * 3, axis=-1))
    luma = RGB @ np.array([0.299, 0.587, 0.114])
    assert np.abs(pixels_of(png(RGB), "a", mode="L") - luma).max() <= 1
    with pytest.raises(DataError, match="a grey image; expected colours"):
        decode_rgb(png(GREY), "a")


def test_bits_palettes_and_sixteen_bits():
    bits = GREY > 128
    assert np.array_equal(decode_grey(png(bits), "a"), 255 * bits)
    deep = np.linspace(0, 65535, 40).astype(np.uint16).reshape(8, 5)
    assert np.array_equal(decode_grey(png(deep), "a"), deep >> 8)
    assert header_of(png(deep), "a") == ("L", (8, 5))
    held = io.BytesIO()
    table = Image.fromarray(GREY % 4, mode=None).convert("P")
    table.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 1, 2, 3])
    table.save(held, "PNG")
    wanted = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90], [1, 2, 3]])[GREY % 4]
    assert np.array_equal(decode_rgb(held.getvalue(), "a"), wanted)


def test_transparent_pixels_are_laid_over_white():
    alpha = np.zeros((5, 8), np.uint8)
    alpha[0] = 255
    found = pixels_of(png(np.dstack([RGB, alpha])), "a", mode="RGB")
    assert np.array_equal(found[0], RGB[0])
    assert (found[1:] == 255).all()
    both = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)])
    held = io.BytesIO()
    both.save(held, "PNG")
    grey = pixels_of(held.getvalue(), "a", mode="L")
    assert header_of(held.getvalue(), "a")[0] == "L"
    assert np.array_equal(grey[0], GREY[0])
    assert (grey[1:] == 255).all()


def test_photographs_are_turned_upright():
    blocks = np.zeros((32, 64, 3), np.uint8)
    blocks[:16, :32] = 255  # bright where "up" and "left" are
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side: to be turned by 90° clockwise
    content = png(blocks, "JPEG", exif=exif.tobytes(), quality=95)
    assert header_of(content, "a") == ("RGB", (64, 32))
    upright = pixels_of(content, "a", mode="L")
    assert upright.shape == (64, 32)
    assert upright[:30, 18:].min() > 200
    assert upright[34:].max() < 50
    assert pixels_of(content, "a", mode="L", upright=False).shape == (32, 64)


@pytest.mark.parametrize(("height", "width"), [(6, 11), (11, 6), (5, 8), (7, 7)])
def test_the_middle_is_cut_out(height, width):
    pixels = random_pixels(3, height, width)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    wanted = pixels[top : top + side, left : left + side]
    assert np.array_equal(pixels_of(png(pixels), "a", mode="L", size=side), wanted)


def test_boxes_and_resizing_average():
    """Halving with antialiasing gives a linear ramp back; a nearest pixel would not, off centre."""
    found = pixels_of(png(RGB), "a", mode="RGB", size=3, box=(2, 1, 5, 4))
    assert np.array_equal(found, RGB[1:4, 2:5])
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    small = pixels_of(png(stripes), "a", mode="L", size=8)
    assert np.abs(small.astype(int) - 127).max() <= 6
    ramp = np.repeat(np.arange(0, 128, 2, dtype=np.uint8)[None], 64, axis=0)
    small = pixels_of(png(ramp), "a", mode="L", size=16)
    wanted = ramp.reshape(64, 16, 4).mean(axis=(0, 2))
    assert np.abs(small[0, 1:-1] - wanted[1:-1]).max() <= 1


def test_another_stored_size_is_refused():
    assert pixels_of(png(RGB), "a", mode="RGB", stored=(5, 8)).shape == (5, 8, 3)
    with pytest.raises(DataError, match="8x5 pixels; expected 5x8"):
        pixels_of(png(RGB), "a", mode="RGB", stored=(8, 5))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png(width, height):
    """A PNG that declares its size and holds nothing."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9)))
            + chunk(b"IEND", b""))  # fmt: skip


@pytest.mark.parametrize("size", [(8193, 8192), (12_000, 12_000), (60_000, 60_000), (2**31 - 1, 3)])
def test_bombs_are_refused_before_they_are_decoded(size):
    tracemalloc.start()
    for reader in (header_of, decode_grey):
        with pytest.raises(DataError, match="pixel"):
            reader(huge_png(*size), "a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "unknown, truncated or damaged"),
        (b"no image at all", "unknown, truncated or damaged"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unknown, truncated or damaged"),
        (png(GREY, "TIFF"), "unknown, truncated or damaged"),
        (huge_png(0, 5), "damaged"),
        (huge_png(40, 50), "damaged"),
        (b"P5\n2 2\n100000\n" + bytes(8), "damaged"),
    ],
)
def test_other_content_is_refused(content, said):
    with pytest.raises(DataError, match=said):
        decode_grey(content, "a")


CONTENTS = {form: png(random_pixels(5, 20, 20, 3), form) for form in ("PNG", "JPEG", "BMP", "PPM")}
CONTENTS["WEBP"] = png(random_pixels(5, 20, 20, 3), "WEBP", lossless=True)
CONTENTS["GIF"] = png(random_pixels(5, 20, 20), "GIF")


@pytest.mark.parametrize("form", CONTENTS)
@given(st.data())
def test_images_cut_anywhere_are_refused_or_whole(form, data):
    """What is missing may be the end mark alone; no pixel is made up."""
    content = CONTENTS[form]
    cut = content[: data.draw(st.integers(0, len(content) - 1))]
    try:
        found = pixels_of(cut, "a", mode="RGB")
    except DataError:
        return
    assert np.array_equal(found, pixels_of(content, "a", mode="RGB"))


@pytest.mark.parametrize("form", CONTENTS)
@given(st.data())
def test_changed_bytes_raise_nothing_but_data_errors(form, data):
    content = bytearray(CONTENTS[form])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    for reader in (header_of, decode_grey):
        with contextlib.suppress(DataError):
            reader(bytes(content), "a")
