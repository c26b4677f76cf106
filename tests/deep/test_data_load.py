"""Data sets, their splits, and the one rule of their scale."""

from __future__ import annotations

import gzip
import hashlib
import tracemalloc

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep.config import DataConfig
from deep.data.batches import to_scale
from deep.data.dataset import DataSet
from deep.data.load import batches_from, load_dataset
from deep.data.registry import REMOTE_SETS
from deep.errors import DataError
from tests.deep.test_data_files import amat_bytes, idx_bytes
from tests.tolerances import assert_close

RNG = np.random.default_rng(6)


def load_file(path, split="train", **settings):
    return load_dataset(DataConfig(name="file", path=str(path), **settings), split=split)


def seen(data):
    """Every sample of one epoch of batches, sorted, as float64 rows."""
    rows = batches_from(data, dtype=torch.float64).batch(0, len(data), 0).numpy()
    return np.sort(rows.reshape(len(data), -1), axis=0)


# --- scale --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (np.arange(256, dtype=np.uint8)[:, None], np.arange(256)[:, None] / 255),
        (np.array([[True, False], [False, True]]), np.eye(2)),
        (np.array([[0.25, -3.0]], np.float32), [[0.25, -3.0]]),
        (np.array([[300.0]]), [[300.0]]),
    ],
)
def test_one_rule_of_scale_for_tensors_batches_and_spectra(stored, wanted):
    data = DataSet("some", "train", stored)
    assert np.array_equal(data.tensor(torch.float64).numpy(), wanted)
    assert np.array_equal(data.tensor().numpy(), np.asarray(wanted).astype(np.float32))
    assert np.array_equal(seen(data), np.sort(wanted, axis=0))
    assert_close(data.spectrum().mean, np.mean(wanted, axis=0))
    assert np.array_equal(stored, data.samples), "what is stored stays as it is"


def test_scaling_leaves_what_it_is_given_alone():
    pixels = torch.full((3, 2), 255, dtype=torch.uint8)
    assert (to_scale(pixels, torch.float32) == 1).all()
    assert (pixels == 255).all()


@pytest.mark.parametrize("rows", [1, 4096, 9000])
def test_the_spectrum_of_blocks_is_that_of_all_samples(rows):
    pixels = RNG.integers(0, 256, (rows, 3, 2), dtype=np.uint8)
    got = DataSet("some", "train", pixels).spectrum()
    want = np.cov(pixels.reshape(rows, -1).T / 255, bias=True)
    assert_close(got.covariance, want, scale=1.0)
    assert got.n_samples == rows


def test_the_spectrum_takes_no_copy_of_all_samples():
    """30 MB of pixels would be 240 MB of float64; a block is 13 MB, and a few live at a time."""
    data = DataSet("some", "train", np.zeros((75_000, 400), np.uint8))
    tracemalloc.start()
    data.spectrum()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 90e6


# --- data sets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("samples", "labels", "said"),
    [
        (np.zeros(3), None, r"shape \(3,\)"),
        (np.zeros((0, 3)), None, r"shape \(0, 3\)"),
        (np.zeros((3, 0)), None, r"shape \(3, 0\)"),
        (np.zeros((3, 2), np.int64), None, "dtype int64"),
        (np.zeros((3, 2)), np.zeros(2, np.uint8), "3 samples and 2 labels"),
        (np.array([[0.0], [np.nan]]), None, "nan in sample 1"),
        (np.vstack([np.zeros((5000, 1)), [[np.inf]]]), None, "inf in sample 5000"),
    ],
)
def test_samples_that_cannot_be_used_are_refused(samples, labels, said):
    with pytest.raises(DataError, match=said):
        DataSet("some", "train", samples, labels=labels)


def test_first_and_flattened():
    data = DataSet("some", "train", np.zeros((5, 2, 3)), labels=np.arange(5))
    assert data.spread(None) is data.spread(5) is data
    assert len(data.spread(2)) == len(data.spread(2).labels) == 2
    # A split that is sorted by class is seen from end to end.
    many = DataSet("many", "train", np.arange(40).reshape(20, 2).astype(np.float32))
    assert many.spread(4).samples[:, 0].tolist() == [0, 10, 20, 30]
    assert [len(many.spread(count)) for count in range(1, 21)] == list(range(1, 21))
    assert data.spread(2).notes == ("2 of 5 samples, evenly spread",)
    assert data.flattened().sample_shape == (6,)
    assert data.sample_shape == (2, 3)


def test_digits_are_split_in_order():
    from sklearn.datasets import load_digits

    held = load_digits()
    config = DataConfig(name="digits")
    train, test = (load_dataset(config, split=split) for split in ("train", "test"))
    assert (len(train), len(test)) == (1500, 297)
    together = np.concatenate([train.samples, test.samples])
    assert np.array_equal(together * 16, held.images)
    assert np.array_equal(np.concatenate([train.labels, test.labels]), held.target)
    assert (train.samples.min(), train.samples.max()) == train.data_range == (0, 1)
    assert len(load_dataset(DataConfig(name="digits", limit=7), split="test")) == 7
    with pytest.raises(DataError, match="split 'valid'; expected train or test"):
        load_dataset(config, split="valid")


def test_every_tenth_sample_of_a_file_is_held_out(tmp_path):
    numbers = np.arange(35.0)[:, None]
    np.save(tmp_path / "a.npy", numbers)
    train, test = (load_file(tmp_path / "a.npy", split) for split in ("train", "test"))
    assert test.samples.ravel().tolist() == [9, 19, 29]
    assert np.array_equal(np.sort(np.concatenate([train.samples, test.samples]), axis=0), numbers)
    assert load_file(tmp_path / "a.npy", limit=4).samples.ravel().tolist() == [0, 8, 17, 26]
    assert "every tenth" in train.notes[0]
    np.save(tmp_path / "b.npy", numbers[:9])
    assert len(load_file(tmp_path / "b.npy")) == 9
    for path, split in (("a.npy", "valid"), ("b.npy", "test")):
        with pytest.raises(DataError, match=f"split '{split}'"):
            load_file(tmp_path / path, split)


def test_a_folder_holds_a_file_for_each_split(tmp_path):
    np.save(tmp_path / "train.npy", np.ones((20, 2)))
    np.savez(tmp_path / "test.npz", x=np.zeros((3, 2)))
    (tmp_path / "valid.amat.gz").write_bytes(gzip.compress(amat_bytes(np.eye(2))))
    assert len(load_file(tmp_path)) == 20, "nothing is held out of a named split"
    assert len(load_file(tmp_path, "test")) == 3
    assert load_file(tmp_path, "valid").samples.dtype == np.bool_
    (tmp_path / "test.npz").unlink()
    with pytest.raises(DataError, match=r"a folder without test\.npy"):
        load_file(tmp_path, "test")


@pytest.mark.parametrize(
    ("samples", "dtype", "scaled_max", "data_range"),
    [
        (np.full((11, 2), 255, np.uint8), np.uint8, 1, (0, 1)),
        (np.full((11, 2), 1, np.uint8), np.bool_, 1, (0, 1)),
        (np.full((11, 2), True), np.bool_, 1, (0, 1)),
        (np.full((11, 2), 255), np.float64, 255, None),
        (np.full((11, 2), 0.5, np.float16), np.float32, 0.5, None),
        (np.full((11, 2), 7.0, ">f8"), np.float64, 7, None),
        (np.asfortranarray(np.full((11, 2), 7.0, np.float32)), np.float32, 7, None),
    ],
)
def test_numbers_of_a_file_say_how_they_are_understood(
    tmp_path, samples, dtype, scaled_max, data_range
):
    np.save(tmp_path / "a.npy", samples)
    data = load_file(tmp_path / "a.npy")
    assert data.samples.dtype == dtype
    assert data.tensor().max() == scaled_max
    assert data.data_range == data_range
    assert data.notes[-1].startswith(("pixels", "values"))
    data.samples[:] = 0  # memory of its own: the file and later loads do not change
    assert load_file(tmp_path / "a.npy").samples.any()


def test_both_splits_of_a_file_are_on_one_scale(tmp_path):
    """The held-out rows alone look binary; the file is not."""
    pixels = np.full((20, 2), 200, np.uint8)
    pixels[[9, 19]] = 1
    np.save(tmp_path / "a.npy", pixels)
    assert load_file(tmp_path / "a.npy", "test").samples.dtype == np.uint8


def test_the_train_file_of_a_folder_decides_the_scale_of_all(tmp_path):
    """Alone, the test file looks binary."""
    np.save(tmp_path / "train.npy", np.full((20, 2), 200, np.uint8))
    np.save(tmp_path / "test.npy", np.ones((5, 2), np.uint8))
    test = load_file(tmp_path, "test")
    assert test.samples.dtype == np.uint8
    assert test.tensor(torch.float64).max() == 1 / 255


PIXELS, BITS = np.full((4, 2), 200, np.uint8), np.eye(2, dtype=np.uint8)


@pytest.mark.parametrize(
    ("train", "test", "dtype"),
    [
        (BITS, BITS.astype(np.bool_), np.bool_),
        (PIXELS, BITS.astype(np.bool_), np.bool_),
        (BITS, np.eye(2), np.float64),
        (np.eye(2), BITS, np.bool_),
        (BITS, PIXELS, None),
        (np.eye(2), PIXELS, None),
        (PIXELS, np.eye(2), None),
        (PIXELS, np.full((4, 2), 200), None),
    ],
)
def test_splits_of_a_folder_on_two_scales_are_refused(tmp_path, train, test, dtype):
    np.save(tmp_path / "train.npy", train)
    np.save(tmp_path / "test.npy", test)
    if dtype is None:
        with pytest.raises(DataError, match=r"test\.npy' with .*as in the train split; store"):
            load_file(tmp_path, "test")
    else:
        assert load_file(tmp_path, "test").samples.dtype == dtype


def test_splits_of_a_folder_with_other_features_are_refused(tmp_path):
    np.save(tmp_path / "train.npy", np.zeros((3, 2, 2)))
    np.save(tmp_path / "test.npy", np.zeros((3, 4)))
    assert len(load_file(tmp_path, "test")) == 3  # the same number, in rows
    np.save(tmp_path / "test.npy", np.zeros((3, 5)))
    with pytest.raises(DataError, match=r"test\.npy' with 5 features; expected 4, as in"):
        load_file(tmp_path, "test")


def test_idx_files_of_ones_own_are_read(tmp_path):
    images = RNG.integers(0, 256, (12, 4, 3), dtype=np.uint8)
    (tmp_path / "my-images-idx3-ubyte").write_bytes(idx_bytes(images))
    assert np.array_equal(load_file(tmp_path / "my-images-idx3-ubyte").samples[:9], images[:9])


@pytest.mark.parametrize("kind", [np.complex64, "U3", "M8[s]"])
def test_entries_that_are_no_numbers_are_refused(tmp_path, kind):
    np.save(tmp_path / "a.npy", np.zeros((12, 2), dtype=kind))
    with pytest.raises(DataError, match="expected numbers"):
        load_file(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "imagenet"}, "one of digits, mnist"),
        ({"name": "file"}, "data.path: got nothing"),
        ({"name": "file", "path": ""}, "data.path: got nothing"),
        ({"name": "mnist", "path": ""}, "data.path: got nothing"),
        ({"name": "file", "path": "/nowhere/at/all.npy"}, "does not exist"),
        ({"name": "digits", "path": "x"}, "no path"),
        ({"name": "digits", "key": "x"}, "no key"),
        ({"name": "digits", "spectrum": (1.0,)}, "data.spectrum"),
        ({"name": "gaussian"}, "list the eigenvalues"),
        ({"name": "gaussian", "spectrum": ()}, "1 to 10000 numbers"),
        ({"name": "gaussian", "spectrum": (1.0, -1.0)}, "variances >= 0"),
        ({"name": "gaussian", "spectrum": (1.0,), "path": "x"}, "no path"),
        ({"name": "gaussian", "spectrum": (1.0,), "binarise": True}, "data.binarise"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, said):
    with pytest.raises(DataError, match=said):
        load_dataset(DataConfig(**settings), split="train")


# --- the real thing -----------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize("name", REMOTE_SETS)
def test_checksums_and_sizes_of_the_registry_are_those_of_the_real_files(real_data, name):
    known = REMOTE_SETS[name]
    for file in (*known.images.values(), *known.labels.values()):
        path = real_data / name / file.name
        if path.exists():
            content = path.read_bytes()
        else:
            content = gzip.decompress(path.with_name(f"{file.name}.gz").read_bytes())
        assert len(content) == file.size
        assert hashlib.sha256(content).hexdigest() == file.sha256


# name, split -> number of samples, sum of all entries, sum of the labels
REAL = {
    ("mnist", "train"): (60_000, 1_567_298_545, 267_236),
    ("mnist", "test"): (10_000, 264_923_200, 44_434),
    ("fashion_mnist", "train"): (60_000, 3_431_114_169, 270_000),
    ("fashion_mnist", "test"): (10_000, 573_469_082, 45_000),
    ("binarized_mnist", "train"): (50_000, 5_118_041, None),
    ("binarized_mnist", "valid"): (10_000, 1_028_036, None),
    ("binarized_mnist", "test"): (10_000, 1_038_896, None),
}


@pytest.mark.data
@pytest.mark.parametrize(("name", "split"), REAL)
def test_real_data_sets(real_data, name, split):
    """Sums from an independent reading; mean pixels of 0.1307 and 0.2860 are common knowledge."""
    count, total, labels = REAL[name, split]
    config = DataConfig(name=name, path=str(real_data))
    data = load_dataset(config, split=split)
    assert data.samples.shape == (count, 28, 28)
    assert data.samples.sum(dtype=np.int64) == total
    assert data.samples.dtype == (np.bool_ if labels is None else np.uint8)
    assert (None if data.labels is None else data.labels.sum(dtype=np.int64)) == labels
    if split == "train" and labels is not None:
        assert round(total / data.samples.size / 255, 4) in (0.1307, 0.2860)
