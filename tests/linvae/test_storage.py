"""Storing results: what was saved comes back to the last bit, and says what it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import linvae as lv
from linvae import storage
from linvae.errors import DataFileError, InputTypeError
from linvae.testing import strategies
from tests.linvae.result_objects import bits, kinds_in, one_of_each, parts

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = (".npz", ".json")


def _again(value, folder, suffix):
    path = folder / f"kept{suffix}"
    storage.save(path, value)
    return storage.load(path)


@pytest.fixture(scope="module")
def examples():
    return one_of_each()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stored")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_everything_comes_back_to_the_last_bit(examples, folder, suffix):
    for value in examples:
        assert bits(_again(value, folder, suffix)) == bits(value)
    together = _again(examples, folder, suffix)
    assert bits(together) == bits(examples)


def test_there_is_an_example_of_every_kind(examples):
    assert kinds_in(examples) == set(storage.KINDS)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_loaded_cannot_be_written_to(examples, folder, suffix):
    arrays = [a for _, a in parts(_again(examples, folder, suffix)) if isinstance(a, np.ndarray)]
    assert len(arrays) > 100
    public = [a for a in arrays if a.flags.writeable]
    assert not [a for a in public if a.base is None and not a.flags.owndata]
    held = _again([examples[0], examples[4], examples[6]], folder, suffix)
    assert not any(a.flags.writeable for _, a in parts(held) if isinstance(a, np.ndarray))


@given(problem=strategies.problems(kinds=strategies.KINDS, extreme=True), data=st.data())
def test_models_and_curves_of_hard_spectra(problem, data, folder):
    spectrum = problem.spectrum
    curve = lv.Frontier(spectrum, **problem.options)
    betas = data.draw(strategies.beta_arrays(problem.critical))
    draws = data.draw(strategies.parameters(problem.population.n, problem.k))
    suffix = data.draw(st.sampled_from(SUFFIXES))
    kept = [spectrum, curve, draws.vae, lv.Hypernetwork.exact(spectrum, **problem.options)]
    other = _again(kept, folder, suffix)
    assert bits(other) == bits(kept)
    # They also answer alike, to the bit.
    assert bits(other[1].at_beta(betas)) == bits(curve.at_beta(betas))
    same = lv.response(other[0], betas, **problem.options)
    assert bits(same) == bits(lv.response(spectrum, betas, **problem.options))


@given(
    values=st.lists(st.floats(width=64), min_size=1, max_size=8),
    dtype=st.sampled_from(["f8", "f4", "f2", "i8", "u1", "?", ">f8"]),
    suffix=st.sampled_from(SUFFIXES),
)
def test_any_numbers(values, dtype, suffix, folder):
    with np.errstate(all="ignore"):
        array = np.array(values).astype(dtype) if "f" in dtype else np.arange(4).astype(dtype)
    finite = array[np.isfinite(array)] if suffix == ".json" else array
    again = _again(finite, folder, suffix)
    assert again.tobytes() == finite.astype(finite.dtype.newbyteorder("<")).tobytes()
    whole = _again(array, folder, suffix)
    assert np.array_equal(whole, array, equal_nan=array.dtype.kind == "f")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_layout_of_an_array_is_kept(folder, suffix):
    rows = np.arange(6.0).reshape(2, 3)
    for array in (rows, rows.T, rows[:, ::-1], np.broadcast_to(1.5, (2, 3)), np.zeros((3, 0, 2))):
        again = _again(array, folder, suffix)
        assert np.array_equal(again, array)
        assert again.shape == array.shape
    assert _again(rows.T, folder, suffix).flags.f_contiguous


def test_an_array_that_several_results_share_is_written_once(examples, folder):
    points = next(e for e in examples if isinstance(e, tuple) and hasattr(e[0], "blocks"))
    storage.save(folder / "points.npz", points)
    with np.load(folder / "points.npz", allow_pickle=False) as archive:
        stored = [archive[name] for name in archive.files]
    vectors = points[0]._field.spectrum.eigenvectors
    assert sum(array.tobytes() == vectors.tobytes() for array in stored) == 1


def test_the_files_are_what_the_documentation_says(folder):
    curve = lv.Frontier(lv.Spectrum.from_eigenvalues([2.0, 1.0]), latent_dim=1, noise_variance=0.5)
    storage.save(folder / "curve.npz", curve)
    with np.load(folder / "curve.npz", allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
        assert archive["array_1"].tolist() == [2.0, 1.0]
    assert (header["format"], header["version"]) == ("linvae", 1)
    assert header["content"]["kind"] == "Frontier"
    storage.save(folder / "curve.json", curve)
    plain = json.loads((folder / "curve.json").read_text())
    assert plain.pop("arrays")[1] == {
        "dtype": "<f8", "shape": [2], "order": "C", "values": [2.0, 1.0]
    }  # fmt: skip
    assert plain == {name: header[name] for name in ("format", "version", "content")}
    assert header["arrays"] == 3


def test_the_page_lists_every_kind_with_its_fields():
    """A field that comes or goes is another version of the format; this is where one notices."""
    lines = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    table = {row[0].strip("`"): row[1] for row in rows if row[0].strip("`") in storage.KINDS}
    want = {kind: ", ".join(f"`{n}`" for n in storage.field_types(kind)) for kind in storage.KINDS}
    assert table == want


def test_the_same_result_gives_the_same_file(examples, folder):
    for suffix in SUFFIXES:
        first, second = folder / f"one{suffix}", folder / f"two{suffix}"
        storage.save(first, examples[0])
        storage.save(second, examples[0])
        assert first.read_bytes() == second.read_bytes()


def test_another_process_reads_the_same_bits(examples, folder):
    storage.save(folder / "curve.npz", examples[1])
    code = (
        "import sys; from linvae import storage; c = storage.load(sys.argv[1]);"
        "print(c.at_beta([0.3, 1.1]).rate.tobytes().hex());"
        "assert not {'scipy', 'torch'} & set(sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(folder / "curve.npz")],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert run.stdout.strip() == examples[1].at_beta([0.3, 1.1]).rate.tobytes().hex()


@pytest.mark.parametrize(
    "value",
    [object(), np.array([None]), np.array([1j]), {1: 2.0}, lambda: 0, {1.5}, np.array(["a"]),
     np.ma.masked_array([1.0]), 1j, b"bytes", storage, lv.Frontier,
     pytest.param(np.zeros(1, np.longdouble), id="long double")],
)  # fmt: skip
def test_what_is_not_a_result_is_refused_before_a_file_is_touched(value, tmp_path):
    path = tmp_path / "kept.npz"
    path.write_bytes(b"before")
    with pytest.raises(InputTypeError, match=r"result: got .*; expected .*; see"):
        storage.save(path, [value])
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_endless_lists_are_refused(tmp_path):
    endless: list = []
    endless.append(endless)
    with pytest.raises(ValueError, match="without end"):
        storage.save(tmp_path / "a.json", endless)


def test_places_that_do_not_do(tmp_path):
    with pytest.raises(DataFileError, match=r"a name ending in \.npz or \.json"):
        storage.save(tmp_path / "curve.pkl", 1.0)
    with pytest.raises(DataFileError, match="does not exist"):
        storage.save(tmp_path / "none" / "a.npz", 1.0)
    with pytest.raises(DataFileError, match=r"\.npz or \.json"):
        storage.load(tmp_path / "curve.pkl")
    with pytest.raises(DataFileError, match="check the path"):
        storage.load(tmp_path / "missing.npz")
    with pytest.raises(DataFileError, match="check the path"):
        storage.load(f"{tmp_path}/a\0b.npz")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "kept.npz"
    storage.save(path, [1.0])

    def full(*_):
        raise OSError(28, "No space left on device")

    for name in ("replace", "rename"):
        monkeypatch.setattr(Path, name, full)
        monkeypatch.setattr(f"os.{name}", full)
    with pytest.raises(DataFileError, match="No space left"):
        storage.save(path, [2.0])
    monkeypatch.undo()
    assert storage.load(path) == [1.0]
    assert list(tmp_path.iterdir()) == [path]
