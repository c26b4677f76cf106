"""Changes of contents: of single bytes, of pieces, of lengths, and inside of what is packed."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

MOST = 2**14  # bytes of a content

_BYTES = (0, 1, 0x7F, 0x80, 0xFF, 0x20, 0x0A, 0x22, 0x2D)
_NUMBERS = (0, 1, -1, 2**7, 2**15, 2**31 - 1, -(2**31), 2**31, 2**32 - 1, 2**33, 2**63 - 1)
_TEXTS = (b"..", b"/", b"../../x", b"nan", b"inf", b"1e400", b"-", b",", b"\r\n", b"\n", b"*", b"&",
          b"\xef\xbb\xbf", b"\\ud800", b"{", b"[", b"(", b"#", b"'", b"\0", b"O", b"!!int ",
          b"0x", b"0b_", b"2001-99-99", b"9" * 40)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**70, 10**320, 1e308, -0.0, "", "x", "..", "/etc/passwd",
    "../../x.safetensors", "\ud800", "F32", [], {}, [[]], [0, 0], {"": None}, {"x": [None]},
)  # fmt: skip

Change = Callable[[Random, bytes], bytes]


def changed(rng: Random, content: bytes, pool: list[bytes], smart: tuple[Change, ...]) -> bytes:
    """The content after one to four changes, of which some respect its structure."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        if smart and rng.random() < 0.5:
            content = rng.choice(smart)(rng, content)
        elif rng.random() < 0.1:
            content = _spliced(rng, content, rng.choice(pool))
        else:
            content = plain(rng, content)
    return content[:MOST]


def plain(rng: Random, content: bytes) -> bytes:
    """The content after one change that knows nothing of it."""
    held, place = bytearray(content), rng.randrange(len(content) + 1)
    # Headers are where sizes are.
    place = min(place, rng.randrange(1, 200)) if rng.random() < 0.3 else place
    length = rng.choice((1, 1, 2, 4, 8, 64))
    kind = rng.randrange(8)
    if kind == 0:
        return content[:place]
    if kind == 1:
        del held[place : place + length]
    elif kind == 2:
        held[place:place] = rng.choice(_TEXTS)
    elif kind == 3:
        held[place:place] = held[place : place + length] * rng.choice((1, 2, 50))
    elif kind == 4:
        form = rng.choice((">I", "<I", "<H", ">H", "<Q", "B"))
        size = struct.calcsize(form)
        held[place : place + size] = struct.pack(form, rng.choice(_NUMBERS) % 256**size)
    elif place < len(held):
        value = held[place] ^ (1 << rng.randrange(8)) if kind == 5 else rng.choice(_BYTES)
        held[place] = rng.randrange(256) if kind == 7 else value
    return bytes(held)


def _spliced(rng: Random, first: bytes, second: bytes) -> bytes:
    return first[: rng.randrange(len(first) + 1)] + second[rng.randrange(len(second) + 1) :]


def in_gzip(rng: Random, content: bytes) -> bytes:
    """A change of what a gzip file holds, or of a plain one before it is packed."""
    try:
        inner = gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        inner = content
    return gzip.compress(plain(rng, inner[: 2**20]), 1, mtime=0)


def in_zip(rng: Random, content: bytes) -> bytes:
    """A change of a member of a zip file, or of its name."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [
                (e.filename, archive.read(e)) for e in archive.infolist() if e.file_size < MOST
            ]
    except Exception:  # a damaged file is changed in other ways
        return plain(rng, content)
    if not members:
        return plain(rng, content)
    place = rng.randrange(len(members))
    name, inner = members[place]
    if rng.random() < 0.1:
        name = rng.choice((f"../{name}", f"/{name}", f"{name}/", "x.npy", f"a/{name}"))
    else:
        inner = plain(rng, inner)
    members[place] = (name, inner)
    held = io.BytesIO()
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(held, "w", method) as archive:
        for each, data in dict(members).items():
            archive.writestr(zipfile.ZipInfo(each), data, method)
    return held.getvalue()


def in_matlab(rng: Random, content: bytes) -> bytes:
    """A change of a compressed variable of a MATLAB file, packed again."""
    if len(content) < 144 or content[126:128] != b"IM":
        return plain(rng, content)
    kind, length = struct.unpack_from("<II", content, 128)
    if kind != 15:
        return plain(rng, content)
    try:
        inner = zlib.decompress(content[136 : 136 + length])
    except zlib.error:
        return plain(rng, content)
    packed = zlib.compress(plain(rng, inner), 1)
    return content[:128] + struct.pack("<II", 15, len(packed)) + packed + content[136 + length :]


def in_json(rng: Random, content: bytes) -> bytes:
    """A change of one value, or of one key, of a JSON document."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return plain(rng, content)
    return json.dumps(_other(rng, tree)).encode()


def _other(rng: Random, tree: Any) -> Any:
    inner = tree if isinstance(tree, dict | list) else None
    if not inner or rng.random() < 0.1:
        return rng.choice(_VALUES)
    key = rng.choice(list(inner)) if isinstance(inner, dict) else rng.randrange(len(inner))
    if isinstance(inner, dict) and rng.random() < 0.15:
        value = inner.pop(key)
        return inner if rng.random() < 0.5 else {**inner, rng.choice(("", "x", "../x")): value}
    inner[key] = _other(rng, inner[key])
    return inner


def in_safetensors(rng: Random, content: bytes) -> bytes:
    """A change of the JSON header of a safetensors file, its length put right."""
    if len(content) < 8:
        return plain(rng, content)
    (length,) = struct.unpack_from("<Q", content)
    header = content[8 : 8 + length]
    kinds = (b"F64", b"F16", b"BF16", b"I64", b"I8", b"U16", b"U64", b"BOOL", b"F8_E4M3", b"F4",
             b"F8_E5M2", b"F8_E8M0", b"C64", b"F6_E2M3")  # fmt: skip
    if rng.random() < 0.3:
        header = header.replace(b"F32", rng.choice(kinds), rng.choice((1, -1)))
    else:
        header = in_json(rng, header)
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def in_run(rng: Random, content: bytes) -> bytes:
    """A change of one of two JSON documents with a zero byte between them."""
    first, _, second = content.partition(b"\0")
    if rng.random() < 0.5:
        first = in_json(rng, first)
    else:
        second = in_json(rng, second)
    return first + b"\0" + second


def in_lines(rng: Random, content: bytes) -> bytes:
    """A change of one line of JSON."""
    lines = content.split(b"\n")
    place = rng.randrange(len(lines))
    lines[place] = in_json(rng, lines[place])
    return b"\n".join(lines)
