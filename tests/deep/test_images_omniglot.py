"""Omniglot in all its forms: orientation, ink, area averaging, and files that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

torch = pytest.importorskip("torch")

from deep.config import DataConfig
from deep.data.load import load_dataset
from deep.data.sets.omniglot import area_weights
from deep.errors import DataError
from tests.deep.image_files import png, write_folder, write_zip

RNG = np.random.default_rng(11)
CHARACTERS, PEOPLE = 3, 4


def load(path, split="train", **settings):
    return load_dataset(DataConfig(name="omniglot", path=str(path), **settings), split=split)


# --- chardata.mat -------------------------------------------------------------------------------

GREY = RNG.random((7, 28, 28))
ALPHABETS = np.array([0, 4, 2, 2, 1, 0, 3])


def chardata(folder, **changes):
    """Images down the columns of a matrix, column by column, as MATLAB stores them."""
    columns = np.stack([image.ravel(order="F") for image in GREY], axis=1)
    target = np.eye(5)[ALPHABETS].T
    variables = {
        "data": columns[:, :5],
        "testdata": columns[:, 5:],
        "target": target[:, :5],
        "testtarget": target[:, 5:],
        "note": np.array([["a", "b"]], dtype=object),
    } | changes
    kept = {name: value for name, value in variables.items() if value is not None}
    savemat(folder / "chardata.mat", kept, do_compression=True)
    return folder


def test_chardata_is_read_upright(tmp_path):
    for path in (chardata(tmp_path), tmp_path / "chardata.mat"):
        train, test = load(path), load(path, "test")
        assert np.array_equal(train.samples, GREY[:5].astype(np.float32))
        assert np.array_equal(test.samples, GREY[5:].astype(np.float32))
        assert np.array_equal(train.labels, ALPHABETS[:5])
        assert np.array_equal(test.labels, ALPHABETS[5:])
    assert train.data_range == (0, 1)
    assert train.samples.flags.c_contiguous
    assert "do not compare" not in " ".join(train.notes)


def test_chardata_needs_no_labels_and_can_be_drawn(tmp_path):
    chardata(tmp_path, target=None)
    assert load(tmp_path).labels is None
    assert load(tmp_path, binarise=True).grey_probabilities
    assert load(tmp_path, "test", binarise=True).samples.dtype == np.bool_


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": np.zeros((783, 5))}, r"shape \(783, 5\); expected \(784, N\)"),
        ({"data": np.zeros((784, 5, 2))}, r"\(784, N\)"),
        ({"data": np.full((784, 5), 2.0)}, "from 2.0 to 2.0; expected grey values"),
        ({"data": np.full((784, 5), np.nan)}, "from nan to nan"),
        ({"data": -GREY.reshape(7, 784).T[:, :5]}, "expected grey values"),
        ({"data": None}, "without data"),
        ({"testdata": None}, "without testdata"),
        ({"data": np.full((784, 5), "x", dtype=object)}, "not real numbers"),
        ({"target": np.zeros((5, 4))}, "5 images and labels of shape"),
        ({"target": np.zeros((5, 5))}, "no alphabet or several"),
        ({"target": np.ones((5, 5))}, "no alphabet or several"),
        ({"target": np.full((5, 5), 0.2)}, "no alphabet or several"),
    ],
)
def test_other_files_named_chardata_are_refused(tmp_path, changes, said):
    with pytest.raises(DataError, match=said):
        load(chardata(tmp_path, **changes))


def test_settings_that_do_not_fit_are_refused(tmp_path):
    chardata(tmp_path)
    with pytest.raises(DataError, match=r"data.size: got 32"):
        load(tmp_path, size=32)
    with pytest.raises(DataError, match="split 'valid'; expected train or test"):
        load(tmp_path, "valid")
    assert load(tmp_path, size=28).sample_shape == (28, 28)


# --- 105x105 ------------------------------------------------------------------------------------


@given(st.integers(1, 105), st.integers(1, 105))
def test_area_weights_share_every_pixel_out(size, full):
    """Against pixels repeated until both grids fit: the definition of an average by area."""
    repeated = np.repeat(np.arange(full), size)
    wanted = np.zeros((size, full), np.int64)
    np.add.at(wanted, (np.repeat(np.arange(size), full), repeated), 1)
    assert np.array_equal(area_weights(size, full), wanted)


def drawings(part):
    """Ink of characters (rows) by people (columns): a different corner is dark in each."""
    ink = RNG.random((CHARACTERS, PEOPLE, 105, 105)) < 0.1
    ink[:, :, :20, :10] = part == "background"
    return ink


INK = {part: drawings(part) for part in ("background", "evaluation")}


def as_npz(folder):
    for part, ink in INK.items():
        np.savez_compressed(folder / f"images_{part}.npz", images=~ink)
    return folder


def contents_of(part):
    found = {f"images_{part}/": b"", f"images_{part}/Latin/": b""}
    for row in range(CHARACTERS):
        alphabet, number = ("Greek", row + 1) if row < 2 else ("Latin", 1)
        for column in range(PEOPLE):
            name = f"{alphabet}/character{number:02d}/{row + 100:04d}_{column + 1:02d}.png"
            paper = ~INK[part][row, column]
            found[f"images_{part}/{name}"] = png(paper)
    return found


def as_zip(folder):
    for part in INK:
        write_zip(folder / f"images_{part}.zip", contents_of(part))
    return folder


def as_folder(folder):
    for part in INK:
        files = {name: content for name, content in contents_of(part).items() if content}
        write_folder(folder, files)
    return folder


def average(ink, size):
    """Area averages of one image in plain loops over a finer grid on which both grids fit."""
    fine = np.repeat(np.repeat(ink.astype(int), size, axis=0), size, axis=1)
    return fine.reshape(size, 105, size, 105).sum(axis=(1, 3)) / 105**2


@pytest.mark.parametrize("form", [as_npz, as_zip, as_folder])
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_form_of_the_drawings_gives_the_same(tmp_path, form, split):
    data = load(form(tmp_path), split)
    ink = INK["background" if split == "train" else "evaluation"]
    assert data.samples.shape == (CHARACTERS * PEOPLE, 28, 28)
    assert data.samples.dtype == np.uint8
    assert data.labels.tolist() == list(range(CHARACTERS)) * PEOPLE
    for place in (0, 1, CHARACTERS, CHARACTERS * PEOPLE - 1):
        person, character = divmod(place, CHARACTERS)
        wanted = np.rint(255 * average(ink[character, person], 28))
        assert np.array_equal(data.samples[place], wanted)
    assert "do not compare" in " ".join(data.notes)
    assert abs(data.samples.mean() / 255 - ink.mean()) < 1e-3


def test_sizes_of_the_drawings(tmp_path):
    as_npz(tmp_path)
    whole = load(tmp_path, size=105)
    assert np.array_equal(whole.samples[0], 255 * INK["background"][0, 0])
    assert "do not compare" not in " ".join(whole.notes)
    assert load(tmp_path, size=32, limit=5).samples.shape == (5, 32, 32)
    with pytest.raises(DataError, match="got 106; expected at most 105"):
        load(tmp_path, size=106)


def test_chardata_is_preferred_and_files_may_be_named(tmp_path):
    as_npz(tmp_path)
    assert len(load(tmp_path / "images_evaluation.npz", "train")) == CHARACTERS * PEOPLE
    chardata(tmp_path)
    assert len(load(tmp_path)) == 5
    (tmp_path / "omniglot").mkdir()
    assert len(load(tmp_path)) == 5
    for path, said in ((tmp_path / "omniglot", "without chardata.mat, images_background.npz"),
                       (tmp_path / "nowhere", "does not exist")):  # fmt: skip
        with pytest.raises(DataError, match=said):
            load(path)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((2, 2, 105, 105), np.uint8), "dtype uint8; expected"),
        (np.zeros((2, 105, 105), bool), r"shape \(2, 105, 105\)"),
        (np.zeros((2, 2, 28, 28), bool), r"\(2, 2, 28, 28\)"),
        (np.zeros((0, 2, 105, 105), bool), r"\(0, 2, 105, 105\)"),
        (np.array([[{}]], dtype=object), "object"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, said):
    np.savez_compressed(tmp_path / "images_background.npz", images=array)
    with pytest.raises(DataError, match=said):
        load(tmp_path)


def test_files_of_the_other_split_are_refused(tmp_path, monkeypatch):
    from deep.data.sets import omniglot

    as_zip(tmp_path)
    (tmp_path / "images_evaluation.zip").replace(tmp_path / "images_background.zip")
    with pytest.raises(DataError, match="expected images_background"):
        load(tmp_path)
    monkeypatch.setitem(omniglot._CHARACTERS, "test", CHARACTERS)
    as_npz(tmp_path)
    with pytest.raises(DataError, match="as many as the test split has"):
        load(tmp_path)
    assert len(load(tmp_path, "test")) == CHARACTERS * PEOPLE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"images_background/Greek/character02/0101_03.png": None}, "11 images of 3 characters"),
        ({"images_background/Greek/character02/0777_03.png": b"x"}, "one image of a character"),
        ({"images_background/Greek/character02/0101_03.png": png(np.zeros((28, 28), bool))},
         "28x28 pixels; expected 105x105"),
        ({"images_background/Greek/character02/0101_03.png": b"no image"}, "unknown, truncated"),
        ({"images_background/../Greek/character02/0101_03.png": b""}, "names inside the archive"),
    ],
)  # fmt: skip
def test_incomplete_drawings_are_refused(tmp_path, change, said):
    contents = contents_of("background") | change
    kept = {name: content for name, content in contents.items() if content is not None}
    write_zip(tmp_path / "images_background.zip", kept)
    with pytest.raises(DataError, match=said):
        load(tmp_path)


def test_a_zip_of_something_else_is_refused(tmp_path):
    write_zip(tmp_path / "images_background.zip", {"readme.txt": b"nothing"})
    with pytest.raises(DataError, match=r"without images_background/Alphabet"):
        load(tmp_path)


# --- the real thing -----------------------------------------------------------------------------


@pytest.mark.data
def test_the_real_drawings(real_data):
    """Counts as published; the share of ink is that of the full images."""
    config = DataConfig(name="omniglot", path=str(real_data))
    for split, characters in (("train", 964), ("test", 659)):
        data = load_dataset(config, split=split)
        assert data.samples.shape == (20 * characters, 28, 28)
        assert np.bincount(data.labels).tolist() == [20] * characters
    with np.load(real_data / "omniglot" / "images_evaluation.npz") as held:
        paper = held["images"]
    assert abs(data.samples.mean() / 255 - (1 - paper.mean())) < 1e-4
    wanted = np.rint(255 * average(~paper[3, 7], 28))
    assert np.array_equal(data.samples[7 * characters + 3], wanted)
