"""Small files in the formats of image data sets, written by other means than they are read by."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

import numpy as np
from PIL import Image


def png(pixels, form="PNG", **settings):
    """Content of an image file of an array (height, width) or (height, width, 3)."""
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, form, **settings)
    return held.getvalue()


def write_zip(path, contents, method=zipfile.ZIP_DEFLATED):
    """A zip file of contents by name or ZipInfo."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def write_tar(path, contents, extra=()):
    """A gzipped tar file of contents by name, and of further members of any kind."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in extra:
            archive.addfile(member, io.BytesIO(bytes(member.size)) if member.isreg() else None)
    path.write_bytes(gzip.compress(held.getvalue(), mtime=0))
    return path


def write_folder(folder, contents):
    """Files by name, with the folders they lie in."""
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def cifar_records(images, labels):
    """Records of the binary version, one pixel at a time: images (N, 3, 32, 32)."""
    content = bytearray()
    for image, label in zip(images, labels, strict=True):
        content += bytes(np.atleast_1d(label).tolist())
        for channel in range(3):
            for row in range(32):
                content += bytes(image[channel, row].tolist())
    return bytes(content)


def random_pixels(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
