"""Damaged, foreign and hostile files: one clear error, no code, no memory for mere claims."""

from __future__ import annotations

import io
import json
import pickle
import re
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import linvae as lv
from linvae import storage
from linvae.errors import DataFileError
from tests.linvae.result_objects import bits, one_of_each


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@pytest.fixture(scope="module")
def points(folder):
    curve = lv.Frontier(lv.Spectrum.from_eigenvalues([2.0, 1.0]), latent_dim=2, noise_variance=0.5)
    value = [curve, curve.at_beta([0.5, 3.0])]
    for suffix in (".npz", ".json"):
        storage.save(folder / f"good{suffix}", value)
    return value


def _load(folder, body, suffix):
    path = folder / f"bad{suffix}"
    path.write_bytes(body)
    return storage.load(path)


def _refused(folder, body, suffix, match="expected"):
    with pytest.raises(DataFileError, match=match) as error:
        _load(folder, body, suffix)
    text = str(error.value)
    assert re.fullmatch(r"path: got .*; expected .*; .*", text), text
    assert len(text) < 600


def test_every_byte_that_is_flipped_is_noticed_or_means_nothing(points, folder):
    """Checksums cover the numbers and the header; dates and the like in an archive may change."""
    good = (folder / "good.npz").read_bytes()
    whole = bits(points)
    unnoticed = []
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 1 << position % 8
        try:
            found = storage._read(bytes(bad), ".npz")
        except ValueError:
            continue
        assert bits(found) == whole, position
        unnoticed.append(position)
    assert len(unnoticed) < len(good) / 4
    for position in range(0, len(good), 41):
        bad = bytearray(good)
        bad[position] ^= 1 << position % 8
        if position in unnoticed:
            assert bits(_load(folder, bytes(bad), ".npz")) == whole
        else:
            _refused(folder, bytes(bad), ".npz")


def test_every_truncation_is_refused(points, folder):
    good = (folder / "good.npz").read_bytes()
    for length in range(len(good)):
        with pytest.raises(ValueError, match="truncated"):
            storage._read(good[:length], ".npz")
    for suffix in (".npz", ".json"):
        good = (folder / f"good{suffix}").read_bytes()
        assert bits(_load(folder, good, suffix)) == bits(points)
        for length in range(0, len(good) - 1, 37):
            _refused(folder, good[:length], suffix)


def test_bytes_before_the_archive_are_no_hiding_place(points, folder):
    good = (folder / "good.npz").read_bytes()
    _refused(folder, b"#!/bin/sh\n" + good, ".npz")
    _refused(folder, good + b"more", ".npz")


@given(body=st.binary(max_size=200), suffix=st.sampled_from([".npz", ".json"]))
def test_any_bytes_are_refused(body, suffix, folder):
    for start in (b"", b"PK\x03\x04", b"{", b"PK\x05\x06"):
        _refused(folder, start + body, suffix)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5) | st.sampled_from([*storage.KINDS, "array", "fields"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["kind", "fields", "array", "tuple", "mapping", "float", "mean", "x"]),
        inner, max_size=4,
    )
    | st.builds(lambda k, v: {"kind": k, "fields": dict.fromkeys(storage.field_types(k), v)},
                st.sampled_from(sorted(storage.KINDS)), inner),
    max_leaves=8,
)  # fmt: skip


@given(content=_JSON, arrays=st.just([]) | _JSON)
def test_any_content_is_read_or_refused(content, arrays, folder):
    document = {"format": "linvae", "version": 1, "content": content, "arrays": arrays}
    path = folder / "any.json"
    path.write_text(json.dumps(document))
    try:
        value = storage.load(path)
    except DataFileError:
        return
    storage.save(path, value)
    assert bits(storage.load(path)) == bits(value)


def _changed(folder, change):
    document = json.loads((folder / "good.json").read_text())
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: d.update(version=2), "of version 2; this package reads version 1"),
        (lambda d: d.update(version=True), "of version True"),
        (lambda d: d.update(version=1.0), "of version 1.0"),
        (lambda d: d.pop("version"), "of version None"),
        (lambda d: d.update(format="other"), "its format is 'linvae'"),
        (lambda d: d.pop("content") and d.update(content={"array": 99}), "means nothing"),
        (lambda d: d["content"][0].update(kind="os.system"), "unknown kind 'os.system'"),
        (lambda d: d["content"][0].update(kind="CurvePoints"), "CurvePoints has the fields"),
        (lambda d: d["content"][0]["fields"].update(more=1), "Frontier has the fields"),
        (lambda d: d["content"][0]["fields"].pop("latent_dim"), "Frontier has the fields"),
        (lambda d: d["content"][0]["fields"].update(latent_dim=True), "latent_dim is bool"),
        (lambda d: d["content"][0]["fields"].update(latent_dim="2"), "latent_dim is str"),
        (lambda d: d["content"][0]["fields"].update(latent_dim=3), "expected an integer"),
        (lambda d: d["content"][0]["fields"].update(noise_variance=-1.0), "finite numbers > 0"),
        (lambda d: d["content"][0]["fields"].update(spectrum=[]), "spectrum is list"),
        (lambda d: d["content"][1]["fields"].update(active={"array": 0}), "active is ndarray"),
        (lambda d: d["content"][1]["fields"].update(rate=1.0), "rate is float"),
        (lambda d: d["arrays"][1].update(values=[1.0, 2.0]), "unsorted"),
        (lambda d: d["arrays"][1].update(values=[1.0]), "declares the shape"),
        (lambda d: d["arrays"][1].update(shape=[10**12]), "declares the shape"),
        (lambda d: d["arrays"][1].update(shape=[-1, -2]), "declares the shape"),
        (lambda d: d["arrays"][1].update(shape=[2] + [1] * 70), "declares the shape"),
        (lambda d: d["arrays"][1].update(dtype="|O"), "dtype '|O'"),
        (lambda d: d["arrays"][1].update(dtype="float64"), "dtype 'float64'"),
        (lambda d: d["arrays"][1].update(order="K"), "order 'K'"),
        (lambda d: d["arrays"][1].update(values=["x", 1.0]), "'x'"),
        (lambda d: d["arrays"][1].update(values=[None, 1.0]), "NoneType where float"),
        (lambda d: d.pop("arrays"), "NoneType where list"),
    ],
)
def test_files_that_lie(points, folder, change, match):
    _refused(folder, _changed(folder, change), ".json", re.escape(match))


def test_json_that_is_no_json(folder):
    start = b'{"format": "linvae", "version": 1, "arrays": [], "content": '
    _refused(folder, start + b"NaN}", ".json", "NaN is not one of JSON")
    _refused(folder, start + b"[" * 100_000, ".json", "nested too deeply")
    _refused(folder, start + b"[" * 500 + b"]" * 500 + b"}", ".json", "nested too deeply")
    _refused(folder, start + b'"\xff"}', ".json", "not text in UTF-8")
    _refused(folder, start + b"1" * 10_000 + b"}", ".json")


def _npy(array) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), version=(1, 0), allow_pickle=True)
    return file.getvalue()


def _archive(members, compression=zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return file.getvalue()


def _header(content) -> bytes:
    count = 0 if content == 0 else 1
    document = {"format": "linvae", "version": 1, "content": content, "arrays": count}
    text = json.dumps(document)
    return _npy(np.frombuffer(text.encode(), np.uint8))


def test_archives_of_another_make(folder):
    good = {"header.npy": _header({"array": 0}), "array_0.npy": _npy([1.0, 2.0])}
    assert _load(folder, _archive(good), ".npz").tolist() == [1.0, 2.0]
    _refused(folder, _archive(good, zipfile.ZIP_DEFLATED), ".npz", "compressed")
    _refused(folder, _archive({**good, "../array_1.npy": _npy([1.0])}), ".npz", "numbered arrays")
    _refused(folder, _archive({"array_0.npy": good["array_0.npy"]}), ".npz", "numbered arrays")
    _refused(folder, _archive({"header.npy": good["header.npy"]}), ".npz", "0 arrays instead of 1")
    _refused(folder, _archive({}), ".npz", "not an archive")
    _refused(folder, _archive({**good, "header.npy": _npy([1.0])}), ".npz", "header is not text")
    _refused(folder, _archive({**good, "header.npy": b"{}"}), ".npz", "damaged array")
    file = io.BytesIO()
    np.savez(file, betas=np.ones(3))
    _refused(folder, file.getvalue(), ".npz", "numbered arrays")


class _Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


def test_pickles_are_never_loaded(folder):
    objects = np.array([_Bomb()], dtype=object)
    good = {"header.npy": _header({"array": 0})}
    _refused(folder, _archive({**good, "array_0.npy": _npy(objects)}), ".npz", "damaged array")
    _refused(folder, pickle.dumps(_Bomb()), ".npz")
    _refused(folder, pickle.dumps(_Bomb()), ".json")


def test_a_claimed_size_takes_no_memory(folder):
    """A terabyte in a shape, in a member's size and in a compressed member."""
    body = _npy(np.zeros(2))
    huge = body.replace(b"(2,), }" + b" " * 12, b"(1" + b"0" * 12 + b",), }", 1)
    assert len(huge) == len(body)
    bodies = [_archive({"header.npy": _header({"array": 0}), "array_0.npy": huge})]
    good = _archive({"header.npy": _header({"array": 0}), "array_0.npy": body})
    sizes = len(body).to_bytes(4, "little")
    bodies.append(good.replace(sizes * 2, b"\xf0\xff\xff\xff" * 2))
    bodies.append(_archive({"header.npy": _header(0), "array_0.npy": _npy(np.zeros(10**7))},
                           zipfile.ZIP_DEFLATED))  # fmt: skip
    for bad in bodies:
        tracemalloc.start()
        try:
            _refused(folder, bad, ".npz")
            assert tracemalloc.get_traced_memory()[1] < 20 * len(bad) + 2**20
        finally:
            tracemalloc.stop()


def test_memory_is_a_few_times_the_file(folder):
    path = folder / "large.npz"
    storage.save(path, np.zeros(2**18))
    tracemalloc.start()
    try:
        storage.load(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * path.stat().st_size
    finally:
        tracemalloc.stop()


def test_files_written_by_the_first_version_are_still_read(folder):
    """A text of version 1 as it was first written, kept here word for word."""
    text = (
        '{"format": "linvae", "version": 1, "content": {"kind": "Spectrum", "fields": {"mean": '
        '{"array": 0}, "eigenvalues": {"array": 1}, "eigenvectors": {"array": 2}, "total_variance":'
        ' 2.5, "complete": true, "n_samples": null}}, "arrays": [{"dtype": "<f8", "shape": [2], '
        '"order": "C", "values": [0.0, -0.0]}, {"dtype": "<f8", "shape": [2], "order": "C", '
        '"values": [2.0, 0.5]}, {"dtype": "<f8", "shape": [2, 2], "order": "F", "values": [0.0, '
        "1.0, 1.0, 0.0]}]}"
    )
    spectrum = _load(folder, text.encode(), ".json")
    assert spectrum.eigenvectors.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert spectrum.total_variance == 2.5
    assert np.signbit(spectrum.mean).tolist() == [False, True]


def test_every_kind_refuses_fields_of_the_wrong_type(folder):
    """Each field of each example in turn becomes something that no class declares."""
    storage.save(folder / "all.json", one_of_each())
    document = json.loads((folder / "all.json").read_text())
    found: dict[str, dict] = {}

    def visit(node):
        if isinstance(node, dict):
            if set(node) == {"kind", "fields"}:
                found.setdefault(node["kind"], node)
            for item in node.values():
                visit(item)
        elif isinstance(node, list):
            for item in node:
                visit(item)

    visit(document["content"])
    assert set(found) == set(storage.KINDS)
    for kind, node in found.items():
        for name, hint in storage.field_types(kind).items():
            if "Any" in str(hint) and "ndarray" not in str(hint):
                continue
            lie = {"tuple": [{"mapping": {}}]}
            document["content"] = {"kind": kind, "fields": {**node["fields"], name: lie}}
            body = json.dumps(document).encode()
            _refused(folder, body, ".json", re.escape(f"{kind}.{name} is"))
