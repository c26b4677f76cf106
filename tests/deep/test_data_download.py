"""Downloads from a server on this machine: what arrives, what is refused, what stays behind."""

from __future__ import annotations

import gzip
import hashlib
import logging
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep.config import DataConfig
from deep.data import registry
from deep.data.download import cache_folder, fetch, find_local
from deep.data.load import load_dataset
from deep.data.registry import REMOTE_SETS, RemoteFile, RemoteSet
from deep.errors import DataError
from tests.deep.test_data_files import amat_bytes, idx_bytes

RNG = np.random.default_rng(5)
PIXELS = RNG.integers(0, 256, (12, 28, 28), dtype=np.uint8)
LABELS = RNG.integers(0, 10, 12, dtype=np.uint8)
BITS = RNG.integers(0, 2, (6, 784)).astype(bool)


class Server:
    """Serves bytes by path; a path may also be cut short, endless, or an error."""

    def __init__(self):
        self.files, self.asked, self.cut, self.endless = {}, [], set(), set()
        self.midway = lambda: None  # called when half of a file was sent
        handler = partial(_Handler, self)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, owner, *args):
        self.owner = owner
        super().__init__(*args)

    def log_message(self, *_args):
        pass

    def do_GET(self):
        self.owner.asked.append(self.path)
        content = self.owner.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        if self.path not in self.owner.endless:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.path in self.owner.cut:
            content = content[: len(content) // 2]
        half = len(content) // 2
        try:
            self.wfile.write(content[:half])
            self.owner.midway()
            self.wfile.write(content[half:])
            while self.path in self.owner.endless:
                self.wfile.write(content)
        except OSError:  # the client hung up
            pass


@pytest.fixture
def server(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    logging.getLogger("pooch").setLevel(logging.WARNING)
    made = Server()
    yield made
    made.close()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LINVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def file_of(name, content):
    return RemoteFile(name, len(content), hashlib.sha256(content).hexdigest())


def small_set(server, monkeypatch, name):
    """A data set of the registry with small files, and its mirror on this machine."""
    known = REMOTE_SETS[name]
    contents = {}
    for split, file in known.images.items():
        plain = amat_bytes(BITS) if known.format == "amat" else idx_bytes(PIXELS)
        contents["images", split] = gzip.compress(plain) if file.name.endswith("gz") else plain
    for split in known.labels:
        contents["labels", split] = gzip.compress(idx_bytes(LABELS))
    fields = {}
    for kind in ("images", "labels"):
        files = getattr(known, kind)
        fields[kind] = {s: file_of(f.name, contents[kind, s]) for s, f in files.items()}
        server.files |= {f"/{f.name}": contents[kind, s] for s, f in files.items()}
    small = replace(known, mirrors=(server.url,), **fields)
    monkeypatch.setitem(REMOTE_SETS, name, small)
    return small


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_pixels_and_labels_are_downloaded_once(server, cache, monkeypatch, name):
    small = small_set(server, monkeypatch, name)
    for _ in range(2):
        for split in ("train", "test"):
            data = load_dataset(DataConfig(name=name), split=split)
            assert np.array_equal(data.samples, PIXELS)
            assert np.array_equal(data.labels, LABELS)
    assert len(server.asked) == 4
    names = {f.name for f in (*small.images.values(), *small.labels.values())}
    assert {p.name for p in (cache / name).iterdir()} == names


def test_binary_pixels_are_downloaded(server, cache, monkeypatch):
    small_set(server, monkeypatch, "binarized_mnist")
    for split in ("train", "valid", "test"):
        data = load_dataset(DataConfig(name="binarized_mnist"), split=split)
        assert np.array_equal(data.samples.reshape(-1, 784), BITS)
        assert data.samples.dtype == np.bool_
        assert data.labels is None
    assert data.sample_shape == (28, 28)


CONTENT = bytes(RNG.integers(0, 256, 100_000, dtype=np.uint8))
FILE = file_of("data.bin", CONTENT)


def known_at(*mirrors):
    return RemoteSet("thing", mirrors, "idx", (1,), {"train": FILE})


def leftovers(cache):
    return [p for p in cache.rglob("*") if p.is_file()]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("missing", "404"),
        ("cut", "ConnectionError|IncompleteRead|ChunkedEncodingError"),
        ("endless", "more bytes than the file has"),
        ("altered", "hash"),
        ("short", "hash"),
        ("offline", "ConnectionError"),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_what_to_do(server, cache, fault, said):
    content = {"altered": CONTENT[:-1] + b"x", "short": CONTENT[:-1]}.get(fault, CONTENT)
    if fault != "missing":
        server.files["/data.bin"] = content
    {"cut": server.cut, "endless": server.endless}.get(fault, set()).add("/data.bin")
    url = server.url
    if fault == "offline":
        closed = Server()
        closed.close()
        url = closed.url
    with pytest.raises(DataError, match=said) as caught:
        fetch(known_at(url), FILE)
    message = str(caught.value)
    assert f"{url}data.bin" in message
    assert FILE.sha256 in message
    assert "give their folder as path" in message
    assert "\n" not in message
    assert not leftovers(cache)


def test_the_next_mirror_is_tried_and_a_damaged_cache_is_renewed(server, cache):
    server.files |= {"/good/data.bin": CONTENT, "/bad/data.bin": b"no"}
    known = known_at(server.url + "gone/", server.url + "bad/", server.url + "good/")
    path = fetch(known, FILE)
    assert path == cache / "thing" / "data.bin"
    assert path.read_bytes() == CONTENT
    assert server.asked == ["/gone/data.bin", "/bad/data.bin", "/good/data.bin"]
    path.write_bytes(CONTENT[:-1])
    assert fetch(known, FILE).read_bytes() == CONTENT
    server.files.clear()
    assert fetch(known, FILE) == path, "no server is needed for what is there"
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match="404"):
        fetch(known, FILE)


def test_a_file_has_no_name_until_it_is_whole(server, cache):
    """What a process killed midway would leave: never a file that is later believed."""
    seen = []
    server.files["/data.bin"] = CONTENT
    server.midway = lambda: seen.append((cache / "thing" / "data.bin").exists())
    assert fetch(known_at(server.url), FILE).exists()
    assert seen == [False]


def test_a_cache_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    server.files["/data.bin"] = CONTENT
    with pytest.raises(DataError, match=r"FileExistsError|NotADirectoryError"):
        fetch(known_at(server.url), FILE, tmp_path / "file")


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("LINVAE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("LINVAE_CACHE")
    assert "linvae" in cache_folder().parts


def test_every_address_of_the_registry_is_whole():
    """Names and checksums are of the right form, and no data set can leave its folder."""
    for name, known in REMOTE_SETS.items():
        assert name == known.name
        assert known.mirrors
        assert all(m.startswith("http") and m.endswith("/") for m in known.mirrors)
        assert {"train", "test"} <= known.images.keys()
        for file in (*known.images.values(), *known.labels.values()):
            assert Path(file.name).name == file.name
            assert len(bytes.fromhex(file.sha256)) == 32
            assert file.size > 0


# --- local folders ------------------------------------------------------------------------------


def test_local_files_are_found_packed_or_not_in_a_folder_or_below_it(server, monkeypatch, tmp_path):
    small = small_set(server, monkeypatch, "mnist")
    images = small.images["train"]
    plain = images.name.removesuffix(".gz")
    for place in (tmp_path / "a", tmp_path / "b" / "mnist"):
        place.mkdir(parents=True)
        (place / plain).write_bytes(idx_bytes(PIXELS))
    (tmp_path / "a" / small.labels["train"].name).write_bytes(server.files["/" + images.name])
    for path in ("a", "b", f"a/{plain}"):
        found = find_local(small, images, str(tmp_path / path))
        assert found is not None
        assert found.name == plain
    data = load_dataset(DataConfig(name="mnist", path=str(tmp_path / "b")), split="train")
    assert np.array_equal(data.samples, PIXELS)
    assert data.labels is None, "labels are taken when they are there"
    with pytest.raises(DataError, match="expected dtype uint8 with 1 dimensions"):
        load_dataset(DataConfig(name="mnist", path=str(tmp_path / "a")), split="train")
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz"):
        load_dataset(DataConfig(name="mnist", path=str(tmp_path / "a")), split="test")
    assert not server.asked, "a path means no download"


@pytest.mark.parametrize("path", ["missing", "other.txt", "zero\0byte", "~nobody-of-that-name/x"])
def test_paths_that_lead_nowhere_are_refused(tmp_path, path):
    (tmp_path / "other.txt").write_text("hello")
    full = path if path.startswith("~") else f"{tmp_path}/{path}"
    with pytest.raises(DataError, match="mnist: got"):
        load_dataset(DataConfig(name="mnist", path=full), split="train")


@pytest.mark.parametrize(
    ("name", "images", "labels", "said"),
    [
        ("mnist", PIXELS[:, :27], LABELS, r"\(27, 28\)"),
        ("mnist", PIXELS, LABELS[:-1], "12 samples and 11 labels"),
        ("mnist", PIXELS[0], LABELS, "2 dimensions"),
        ("binarized_mnist", BITS[:, :783], None, r"\(783,\)"),
    ],
)
def test_local_files_of_the_wrong_shape_are_refused(tmp_path, name, images, labels, said):
    known = registry.REMOTE_SETS[name]
    body = amat_bytes(images) if labels is None else idx_bytes(images)
    (tmp_path / known.images["train"].name).write_bytes(body)
    if labels is not None:
        (tmp_path / known.labels["train"].name).write_bytes(idx_bytes(labels))
    with pytest.raises(DataError, match=said):
        load_dataset(DataConfig(name=name, path=str(tmp_path)), split="train")
