"""Image sets from a server on this machine, and the registry they are listed in."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep.config import DataConfig
from deep.data.load import load_dataset
from deep.data.registry import IMAGE_SETS, REMOTE_SETS
from deep.errors import DataError
from tests.deep import test_images_cifar, test_images_omniglot, test_images_svhn
from tests.deep.test_data_download import cache, file_of, server  # noqa: F401  (fixtures)
from tests.deep.test_images_cifar import _small_files  # noqa: F401  (fixture)


def serve(server, monkeypatch, name, folder):  # noqa: F811
    """Put the files of a folder on the server and their checksums into the registry."""
    known = IMAGE_SETS[name]
    images = {}
    for split, file in known.images.items():
        if (folder / file.name).exists():
            content = (folder / file.name).read_bytes()
            server.files[f"/{file.name}"] = content
            images[split] = file_of(file.name, content)
    small = replace(known, mirrors=(server.url,), images=images)
    monkeypatch.setitem(IMAGE_SETS, name, small)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "omniglot", "svhn"])
def test_image_sets_are_downloaded_once(server, cache, monkeypatch, tmp_path, name):  # noqa: F811
    files = tmp_path / "files"
    files.mkdir()
    if name == "omniglot":
        test_images_omniglot.as_zip(files)
    elif name == "svhn":
        for part in ("train", "test", "extra"):
            test_images_svhn.write(files, part)
    else:
        test_images_cifar.as_archive(files, name)
    serve(server, monkeypatch, name, files)
    for split in ("train", "test"):
        for _ in range(2):
            got = load_dataset(DataConfig(name=name), split=split)
            wanted = load_dataset(DataConfig(name=name, path=str(files)), split=split)
            assert np.array_equal(got.samples, wanted.samples)
            assert np.array_equal(got.labels, wanted.labels)
    assert len(server.asked) == (1 if name.startswith("cifar") else 2)
    if name == "svhn":
        assert len(load_dataset(DataConfig(name=name, key="extra"), split="train")) == 12
        assert len(server.asked) == 3
    kept = {path.name for path in (cache / name).iterdir()}
    assert kept == {path.lstrip("/") for path in server.asked}, "nothing is unpacked there"


def test_a_download_that_is_not_the_file_is_refused(server, cache, monkeypatch, tmp_path):  # noqa: F811
    test_images_cifar.as_archive(tmp_path, "cifar10")
    serve(server, monkeypatch, "cifar10", tmp_path)
    for path in server.files:
        server.files[path] = server.files[path][:-1] + b"x"
    with pytest.raises(DataError, match=r"no download of 'cifar-10-binary\.tar\.gz'.*SHA-256"):
        load_dataset(DataConfig(name="cifar10"), split="train")
    assert not list((cache / "cifar10").iterdir())


@pytest.mark.parametrize("name", IMAGE_SETS)
def test_the_registry_is_whole(name):
    known = IMAGE_SETS[name]
    assert known.name == name
    assert name not in REMOTE_SETS
    assert {"train", "test"} <= set(known.images)
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in known.mirrors)
    for file in known.images.values():
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.size > 10**6
        assert "/" not in file.name
