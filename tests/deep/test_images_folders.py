"""Folders and zips of images, and CelebA: splits, labels, channels, sizes, and what is refused."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from deep.config import DataConfig
from deep.data import pictures
from deep.data.load import load_dataset
from deep.data.sets import celeba
from deep.errors import DataError
from tests.deep.image_files import png, random_pixels, write_folder, write_zip


def load(path, split="train", *, name="images", **settings):
    return load_dataset(DataConfig(name=name, path=str(path), **settings), split=split)


# --- any images ---------------------------------------------------------------------------------

RGB, GREY = random_pixels(1, 24, 6, 8, 3), random_pixels(2, 24, 6, 8)


def test_images_of_a_folder_are_taken_in_order(tmp_path):
    write_folder(tmp_path, {f"{i:02d}.png": png(RGB[i]) for i in range(24)})
    train, test = load(tmp_path), load(tmp_path, "test")
    held_out = np.arange(24) % 10 == 9
    assert np.array_equal(train.samples, RGB[~held_out].transpose(0, 3, 1, 2))
    assert np.array_equal(test.samples, RGB[held_out].transpose(0, 3, 1, 2))
    assert train.labels is None
    assert (train.samples.dtype, train.data_range) == (np.uint8, (0, 1))
    assert any("every tenth" in note for note in train.notes)
    assert np.array_equal(load(tmp_path, limit=3).samples, train.samples[[0, 7, 14]])
    assert "3 of 22 samples, evenly spread" in load(tmp_path, limit=3).notes
    with pytest.raises(DataError, match="split 'valid'"):
        load(tmp_path, "valid")


def test_grey_images_have_no_channels_and_mixed_ones_are_rgb(tmp_path):
    write_folder(tmp_path, {f"{i:02d}.png": png(GREY[i]) for i in range(12)})
    grey = load(tmp_path)
    assert grey.sample_shape == (6, 8)
    assert grey.with_channels().sample_shape == (1, 6, 8)
    assert np.array_equal(grey.samples[3], GREY[3])
    (tmp_path / "99.bmp").write_bytes(png(RGB[0], "BMP"))
    mixed = load(tmp_path)
    assert mixed.sample_shape == (3, 6, 8)
    assert (mixed.samples[3] == GREY[3]).all()
    assert np.array_equal(mixed.samples[-1], RGB[0].transpose(2, 0, 1))


def labelled(splits=("train", "test"), classes=("cat", "dog", "eel")):
    return {
        f"{split}/{name}/deep/{i}.png": png(RGB[4 * j + 2 * k + i])
        for k, split in enumerate(splits)
        for j, name in enumerate(classes)
        for i in range(2)
    }


@pytest.mark.parametrize("form", ["folder", "zip", "zip inside a folder"])
def test_folders_of_splits_and_classes(tmp_path, form):
    contents = labelled() | {"__MACOSX/train/._0.png": b"x", "train/cat/.hidden.png": b"x"}
    if form == "folder":
        path = write_folder(tmp_path / "f", contents)
    else:
        top = "" if form == "zip" else "some/set/"
        path = write_zip(tmp_path / "f.zip", {top + name: c for name, c in contents.items()})
    train, test = load(path), load(path, "test")
    assert train.labels.tolist() == test.labels.tolist() == [0, 0, 1, 1, 2, 2]
    wanted = np.array([[RGB[4 * j + i] for j in range(3) for i in range(2)]])[0]
    assert np.array_equal(train.samples, wanted.transpose(0, 3, 1, 2))
    assert np.array_equal(test.samples[0], RGB[2].transpose(2, 0, 1))
    with pytest.raises(DataError, match="without images in a folder valid; expected one of train"):
        load(path, "valid")


def test_classes_have_one_number_in_all_splits(tmp_path):
    contents = labelled()
    del contents["test/cat/deep/0.png"], contents["test/cat/deep/1.png"]
    write_folder(tmp_path, contents)
    assert load(tmp_path, "test").labels.tolist() == [1, 1, 2, 2]
    (tmp_path / "train" / "loose.png").write_bytes(png(RGB[0]))
    assert load(tmp_path, "test").labels is None


def test_images_beside_the_folders_of_splits_are_refused(tmp_path):
    write_folder(tmp_path, labelled() | {"0.png": png(RGB[0])})
    with pytest.raises(DataError, match=r"'0.png' in .*in none of the folders train, test"):
        load(tmp_path)


def test_sizes_of_images(tmp_path):
    write_folder(tmp_path, {"a.png": png(RGB[0]), "b.png": png(RGB[1, :, :7])})
    with pytest.raises(DataError, match=r"'b.png' of 6x7 pixels and 'a.png' of 6x8"):
        load(tmp_path)
    data = load(tmp_path, size=6)
    assert data.samples.shape == (2, 3, 6, 6)
    assert np.array_equal(data.samples[0], RGB[0, :, 1:7].transpose(2, 0, 1))
    assert np.array_equal(data.samples[1], RGB[1, :, :6].transpose(2, 0, 1))
    small = load(tmp_path, size=3).samples
    wanted = np.asarray(Image.fromarray(RGB[0, :, 1:7]).resize((3, 3), Image.Resampling.BILINEAR))
    assert np.array_equal(small[0], wanted.transpose(2, 0, 1))


def test_damaged_images_are_named(tmp_path):
    write_folder(tmp_path, {"a.png": png(RGB[0]), "b.png": png(RGB[1])[:-30], "c.txt": b"text"})
    with pytest.raises(DataError, match=r"'b.png'.*truncated"):
        load(tmp_path)
    whole = bytearray(png(random_pixels(3, 60, 60, 3)))
    whole[len(whole) // 2] ^= 1  # its header is good, and so is its end
    write_folder(tmp_path / "f", {"a.png": png(random_pixels(4, 60, 60, 3)), "b.png": bytes(whole)})
    with pytest.raises(DataError, match=r"'b\.png'.*damaged"):
        load(tmp_path / "f")


@pytest.mark.parametrize(
    ("path", "said"),
    [("nowhere", "expected a folder or a .zip"), ("empty", "without images"),
     ("a.png", "expected a folder or a .zip"), ("a.zip", "damaged or not a zip")],
)  # fmt: skip
def test_other_paths_are_refused(tmp_path, path, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.png").write_bytes(png(RGB[0]))
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match=said):
        load(tmp_path / path)


def test_a_path_is_needed():
    with pytest.raises(DataError, match=r"data\.path: got nothing"):
        load_dataset(DataConfig(name="images"), split="train")


def test_sets_beyond_the_memory_are_refused(tmp_path, monkeypatch):
    write_folder(tmp_path, {f"{i}.png": png(RGB[i]) for i in range(9)})
    monkeypatch.setattr(pictures, "MOST_BYTES", 9 * 144 - 1)
    with pytest.raises(DataError, match=r"1296 bytes together.*set streaming"):
        load(tmp_path)
    assert len(load(tmp_path, limit=8)) == 8
    assert len(load_dataset(DataConfig(name="images", path=str(tmp_path)), split="train",
                            count=8)) == 8  # fmt: skip


# --- CelebA -------------------------------------------------------------------------------------

NUMBERS = {1: 0, 162_770: 0, 162_771: 1, 182_637: 1, 182_638: 2, 202_599: 2}  # as published
FACES = {number: random_pixels(number, 218, 178, 3) for number in NUMBERS}


def face_files():
    return {f"img_align_celeba/{n:06d}.jpg": png(p, "JPEG", quality=90) for n, p in FACES.items()}


def write_list(folder, codes=None):
    lines = "".join(f"{n:06d}.jpg {c}\n" for n, c in (codes or NUMBERS).items())
    (folder / "list_eval_partition.txt").write_text(lines)


@pytest.mark.parametrize("form", ["zip", "folder", "folder itself", "set folder"])
@pytest.mark.parametrize("listed", [True, False])
def test_every_form_of_celeba_is_cropped_and_resized(tmp_path, form, listed):
    contents, path = face_files(), tmp_path
    if form == "zip":
        write_zip(tmp_path / "img_align_celeba.zip", {"img_align_celeba/": b"", **contents})
    elif form == "set folder":
        write_folder(tmp_path / "celeba", contents)
    else:
        write_folder(tmp_path, contents)
        path = tmp_path / "img_align_celeba" if form == "folder itself" else tmp_path
    if listed:
        write_list(tmp_path / "celeba" if form == "set folder" else tmp_path)
    for split, code in (("train", 0), ("valid", 1), ("test", 2)):
        data = load(path, split, name="celeba")
        numbers = [n for n, c in NUMBERS.items() if c == code]
        assert data.samples.shape == (2, 3, 64, 64)
        assert ("by list_eval" in data.notes[-1]) == listed
        for sample, number in zip(data.samples, numbers, strict=True):
            name = f"img_align_celeba/{number:06d}.jpg"
            (tmp_path / "one.jpg").write_bytes(contents[name])
            with Image.open(tmp_path / "one.jpg") as image:
                cut = np.asarray(image)[40:188, 15:163]
            wanted = Image.fromarray(cut).resize((64, 64), Image.Resampling.BILINEAR)
            assert np.array_equal(sample, np.asarray(wanted).transpose(2, 0, 1))


def test_the_list_decides_the_splits(tmp_path):
    write_zip(tmp_path / "img_align_celeba.zip", face_files())
    write_list(tmp_path, dict.fromkeys(NUMBERS, 0) | {1: 2})
    assert len(load(tmp_path, name="celeba", size=8)) == 5
    assert len(load(tmp_path / "list_eval_partition.txt", "test", name="celeba", size=8)) == 1
    with pytest.raises(DataError, match="without images of the valid split"):
        load(tmp_path, "valid", name="celeba")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("000001.jpg 0\n", "6 images and a list of 1: 162770.jpg only in the images"),
        ("".join(f"{n:06d}.jpg 0\n" for n in [*NUMBERS, 77]), "000077.jpg only in the list"),
        ("000001.jpg 3\n", "'000001.jpg 3' in line 1"),
        ("000001.jpg 0\n000001.jpg 1\n", "in line 2"),
        ("../000001.jpg 0\n", "in line 1"),
        ("", "an empty file"),
    ],
)
def test_lists_that_do_not_fit_are_refused(tmp_path, text, said):
    write_zip(tmp_path / "img_align_celeba.zip", face_files())
    (tmp_path / "list_eval_partition.txt").write_text(text)
    with pytest.raises(DataError, match=said):
        load(tmp_path, name="celeba")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"img_align_celeba/000001.jpg": png(random_pixels(1, 178, 218, 3), "JPEG")},
         "218x178 pixels; expected 178x218"),
        ({"img_align_celeba/000001.jpg": b"no image"}, "unknown, truncated or damaged"),
        ({"other/000001.jpg": b"x"}, "two files named 000001.jpg"),
        ({"img_align_celeba/202600.jpg": b"x"}, "202600.jpg; expected 000001.jpg to 202599.jpg"),
        ({"img_align_celeba/000000.jpg": b"x"}, "000000.jpg; expected"),
        ({"../000002.jpg": b"x"}, "names inside the archive"),
    ],
)  # fmt: skip
def test_other_images_are_no_faces(tmp_path, change, said):
    write_zip(tmp_path / "img_align_celeba.zip", face_files() | change)
    with pytest.raises(DataError, match=said):
        load(tmp_path, name="celeba")


def test_celeba_is_not_downloaded(tmp_path):
    with pytest.raises(DataError, match=r"cannot be downloaded automatically.*mmlab"):
        load_dataset(DataConfig(name="celeba"), split="train")
    with pytest.raises(DataError, match=r"without img_align_celeba\.zip"):
        load(tmp_path, name="celeba")
    assert set(celeba._CODES) == {"train", "valid", "test"}


@pytest.mark.skipif(os.geteuid() == 0, reason="everything is readable for root")
def test_folders_that_may_not_be_read_are_refused(tmp_path):
    (tmp_path / "f").mkdir(mode=0)
    with pytest.raises(DataError, match="readable"):
        load(tmp_path / "f")
