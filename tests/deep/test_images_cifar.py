"""CIFAR: records, archives, folders, sheets, and what is refused of each."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from deep.config import DataConfig
from deep.data.load import load_dataset
from deep.data.sets import cifar
from deep.errors import DataError
from tests.deep.image_files import cifar_records, png, random_pixels, write_folder, write_tar

COUNTS = {"cifar10": {"train": 4, "test": 3}, "cifar100": {"train": 6, "test": 2}}
IMAGES = random_pixels(1, 23, 3, 32, 32)
FINE = np.random.default_rng(2).permutation(np.arange(23) % 10)
COARSE = np.random.default_rng(3).integers(0, 20, 23)
FOLDERS = {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}
ARCHIVES = {"cifar10": "cifar-10-binary.tar.gz", "cifar100": "cifar-100-binary.tar.gz"}


@pytest.fixture(autouse=True)
def _small_files(monkeypatch):
    """Files of a few records instead of 10 000."""
    for name, records in COUNTS.items():
        monkeypatch.setitem(cifar._LAYOUTS, name, replace(cifar._LAYOUTS[name], records=records))


def files_of(name):
    """The files of a set: CIFAR-10 has five of four records to train on, and one of three."""
    if name == "cifar100":
        labels = np.stack([COARSE, 9 * FINE], axis=1)  # up to 81
        return {"train.bin": cifar_records(IMAGES[:6], labels[:6]),
                "test.bin": cifar_records(IMAGES[20:22], labels[20:22])}  # fmt: skip
    cuts = [(f"data_batch_{i + 1}.bin", slice(4 * i, 4 * i + 4)) for i in range(5)]
    cuts.append(("test_batch.bin", slice(20, 23)))
    return {file: cifar_records(IMAGES[part], FINE[part]) for file, part in cuts}


def as_archive(folder, name):
    files = {f"{FOLDERS[name]}/{file}": content for file, content in files_of(name).items()}
    extra = tarfile.TarInfo(FOLDERS[name])
    extra.type = tarfile.DIRTYPE
    text = tarfile.TarInfo(f"{FOLDERS[name]}/readme.html")
    text.size = 100
    return write_tar(folder / ARCHIVES[name], files, [extra, text]).parent


def as_plain_tar(folder, name):
    path = as_archive(folder, name) / ARCHIVES[name]
    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    path.unlink()
    return folder


def as_files(folder, name):
    return write_folder(folder, files_of(name))


def as_unpacked(folder, name):
    write_folder(folder / name / FOLDERS[name], files_of(name))
    return folder


def load(path, name="cifar10", split="train", **settings):
    return load_dataset(DataConfig(name=name, path=str(path), **settings), split=split)


# --- the binary version -------------------------------------------------------------------------


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("form", [as_archive, as_plain_tar, as_files, as_unpacked])
def test_every_form_of_the_binary_version_gives_the_same(tmp_path, name, form):
    path = form(tmp_path, name)
    train, test = load(path, name), load(path, name, "test")
    n = 20 if name == "cifar10" else 6
    assert np.array_equal(train.samples, IMAGES[:n])
    assert np.array_equal(test.samples, IMAGES[20 : 20 + len(test)])
    assert len(test) == COUNTS[name]["test"]
    factor = 1 if name == "cifar10" else 9
    assert np.array_equal(train.labels, factor * FINE[:n])
    assert np.array_equal(test.labels, factor * FINE[20 : 20 + len(test)])
    assert train.samples.dtype == np.uint8
    assert train.data_range == (0, 1)
    assert train.tensor()[1, 2, 3, 4] == IMAGES[1, 2, 3, 4] / np.float32(255)


def test_archives_and_files_may_be_named(tmp_path):
    assert len(load(as_archive(tmp_path, "cifar10") / ARCHIVES["cifar10"])) == 20
    (tmp_path / ARCHIVES["cifar10"]).unlink()
    as_files(tmp_path, "cifar10")
    assert len(load(tmp_path / "test_batch.bin")) == 20
    assert len(load(tmp_path / "data_batch_1.bin", split="test")) == 3


@pytest.mark.parametrize("name", COUNTS)
def test_the_version_for_python_is_never_read(tmp_path, name):
    python = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}[name]
    (tmp_path / python).mkdir()
    (tmp_path / ARCHIVES[name].replace("binary", "python")).write_bytes(b"x")
    for path in (
        tmp_path,
        tmp_path / python,
        tmp_path / ARCHIVES[name].replace("binary", "python"),
    ):
        with pytest.raises(
            DataError, match=f"the version for Python.*get {ARCHIVES[name]}.*pickle"
        ):
            load(path, name)


@pytest.mark.parametrize(
    ("name", "label", "said"),
    [
        ("cifar10", 10, "label 10 of image 2; expected 0 to 9"),
        ("cifar10", 255, "label 255 of image 2"),
        ("cifar100", (20, 5), "label 20 of image 2; expected 0 to 19"),
        ("cifar100", (19, 100), "label 100 of image 2; expected 0 to 99"),
    ],
)
def test_labels_out_of_range_are_refused(tmp_path, name, label, said):
    as_files(tmp_path, name)
    count = COUNTS[name]["train"]
    labels = np.zeros((count, np.size(label)), int)
    labels[2] = label
    file = "data_batch_3.bin" if name == "cifar10" else "train.bin"
    (tmp_path / file).write_bytes(cifar_records(IMAGES[:count], labels))
    with pytest.raises(DataError, match=f"{file}.*{said}"):
        load(tmp_path, name)


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (-1, "truncated"),
        (-3073, "truncated"),
        (1, "after its data"),
        (3073, "after its data"),
        (None, "empty"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_files_of_another_size_are_refused(tmp_path, length, said, packed):
    contents = files_of("cifar10")
    old = contents["data_batch_2.bin"]
    new = b"" if length is None else (old + bytes(length) if length > 0 else old[:length])
    contents["data_batch_2.bin"] = new
    if packed:
        path = write_tar(tmp_path / ARCHIVES["cifar10"], contents)
        said = f"of {len(new)} bytes; expected {len(old)} bytes"
    else:
        path = write_folder(tmp_path, contents)
    with pytest.raises(DataError, match=f"data_batch_2.bin.*{said}"):
        load(path)


def test_missing_files_are_refused(tmp_path):
    contents = files_of("cifar10")
    del contents["data_batch_4.bin"]
    with pytest.raises(DataError, match=r"data_batch_4\.bin', which does not exist"):
        load(write_folder(tmp_path / "a", contents))
    write_tar(tmp_path / ARCHIVES["cifar10"], contents)
    with pytest.raises(DataError, match=r"without data_batch_4\.bin"):
        load(tmp_path)
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match=r"without data_batch_1\.bin"):
        load(tmp_path / "b")


def test_the_files_of_the_other_set_are_refused(tmp_path):
    as_archive(tmp_path, "cifar100").joinpath(ARCHIVES["cifar100"]).rename(
        tmp_path / ARCHIVES["cifar10"]
    )
    with pytest.raises(DataError, match=r"without data_batch_1\.bin"):
        load(tmp_path)


def test_settings_that_do_not_fit_are_refused(tmp_path):
    as_files(tmp_path, "cifar10")
    assert load(tmp_path, size=32).sample_shape == (3, 32, 32)
    for settings, said in (({"size": 28}, "data.size"), ({"streaming": True}, "data.streaming"),
                           ({"key": "x"}, "data.key")):  # fmt: skip
        with pytest.raises(DataError, match=said):
            load(tmp_path, **settings)
    with pytest.raises(DataError, match="split 'valid'"):
        load(tmp_path, split="valid")


# --- hostile archives ---------------------------------------------------------------------------


def member(name, kind=tarfile.REGTYPE, size=0, link=""):
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size, link
    return made


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (member("../data_batch_9.bin"), "names inside the archive"),
        (member("a/../../b"), "names inside the archive"),
        (member("/etc/passwd"), "names inside the archive"),
        (member("C:\\x"), "names inside the archive"),
        (member("..\\x"), "names inside the archive"),
        (member("a", tarfile.SYMTYPE, link="/etc/passwd"), "a link, device"),
        (member("a", tarfile.LNKTYPE, link="data_batch_1.bin"), "a link, device"),
        (member("a", tarfile.CHRTYPE), "a link, device"),
        (member("a", tarfile.BLKTYPE), "a link, device"),
        (member("a", tarfile.FIFOTYPE), "a link, device"),
        (member("b/data_batch_1.bin", size=4 * 3073), "two members named"),
        (member("big", size=2**21), "more data than its members need"),
    ],
)
def test_hostile_members_are_refused(tmp_path, extra, said):
    write_tar(tmp_path / ARCHIVES["cifar10"], files_of("cifar10"), [extra])
    with pytest.raises(DataError, match=said):
        load(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [ARCHIVES["cifar10"]]


def test_too_many_members_are_refused(tmp_path):
    many = [member(f"m{i}") for i in range(1001)]
    write_tar(tmp_path / ARCHIVES["cifar10"], files_of("cifar10"), many)
    with pytest.raises(DataError, match="more than 1000 members"):
        load(tmp_path)


@pytest.mark.parametrize("kind", ["gnu", "pax", "zeros"])
def test_bombs_are_refused_in_little_memory(tmp_path, kind):
    """200 MB of zeros in 200 kB: as a long name, as an extended header, as nothing at all."""
    count = 200 * 2**20
    head = member("././@LongLink" if kind == "gnu" else "x", size=count)
    head.type = tarfile.GNUTYPE_LONGNAME if kind == "gnu" else tarfile.XHDTYPE
    held = io.BytesIO()
    with gzip.GzipFile(fileobj=held, mode="wb", compresslevel=1) as stream:
        stream.write(head.tobuf() if kind != "zeros" else b"")
        for _ in range(200):
            stream.write(bytes(2**20))
    (tmp_path / ARCHIVES["cifar10"]).write_bytes(held.getvalue())
    tracemalloc.start()
    with pytest.raises(DataError, match="more data than its members need"):
        load(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


ARCHIVE = None


@given(st.data())
def test_archives_cut_anywhere_are_refused(tmp_path_factory, data):
    global ARCHIVE
    folder = tmp_path_factory.mktemp("cut")
    if ARCHIVE is None:
        ARCHIVE = (as_archive(folder, "cifar100") / ARCHIVES["cifar100"]).read_bytes()
    place = data.draw(st.integers(0, len(ARCHIVE) - 1))
    (folder / ARCHIVES["cifar100"]).write_bytes(ARCHIVE[:place])
    with pytest.raises(DataError):
        load(folder, "cifar100")


@given(st.data())
def test_archives_with_a_changed_byte_are_refused_or_right(tmp_path_factory, data):
    """gzip has a checksum; only its header (name, time) may change without harm."""
    folder = tmp_path_factory.mktemp("changed")
    content = bytearray((as_archive(folder, "cifar100") / ARCHIVES["cifar100"]).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    (folder / ARCHIVES["cifar100"]).write_bytes(content)
    try:
        found = load(folder, "cifar100")
    except DataError:
        return
    assert np.array_equal(found.samples, IMAGES[:6])


# --- sheets -------------------------------------------------------------------------------------


def sheet(images):
    """One image in every row, as the pixels of its rows one after the other."""
    return np.stack([image.transpose(1, 2, 0).reshape(1024, 3) for image in images])


def sheets(folder, labels=FINE, name="labels_derived.npy"):
    cuts = {"part_0.png": slice(0, 9), "part_2.png": slice(9, 18), "part_10.png": slice(18, 23)}
    write_folder(folder, {file: png(sheet(IMAGES[part])) for file, part in cuts.items()})
    if labels is not None:
        np.save(folder / name, labels)
    return folder


def test_sheets_are_read_in_order_and_split(tmp_path):
    train, test = load(sheets(tmp_path)), load(tmp_path, split="test")
    held_out = np.arange(23) % 10 == 9
    assert np.array_equal(test.samples, IMAGES[held_out])
    assert np.array_equal(train.samples, IMAGES[~held_out])
    assert np.array_equal(test.labels, FINE[held_out])
    assert np.array_equal(train.labels, FINE[~held_out])
    assert train.samples.flags.c_contiguous
    assert any("every tenth" in note for note in train.notes)
    with pytest.raises(DataError, match="split 'valid'"):
        load(tmp_path, split="valid")


@pytest.mark.parametrize("form", [as_archive, as_files, as_unpacked])
def test_pictures_beside_the_binary_version_are_no_sheets(tmp_path, form):
    (form(tmp_path, "cifar10") / "plot.png").write_bytes(png(random_pixels(4, 5, 32, 3)))
    assert len(load(tmp_path)) == 20


def test_sheets_need_no_labels(tmp_path):
    assert load(sheets(tmp_path, None)).labels is None


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (FINE[:-1], "22 labels; expected 23"),
        (FINE + 1, "label 10 of image"),
        (FINE - 1, "label -1 of image"),
        (FINE.astype(float), "float64; expected a row of integers"),
        (np.tile(FINE, (2, 1)), "a row of integers"),
        (np.array([{}] * 23), "Object arrays"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, labels, said):
    with pytest.raises(DataError, match=said):
        load(sheets(tmp_path, labels))


def test_several_files_of_labels_are_refused(tmp_path):
    np.save(sheets(tmp_path) / "labels.npy", FINE)
    with pytest.raises(DataError, match=r"labels\.npy and labels_derived\.npy"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (png(random_pixels(4, 5, 32, 3)), "32 pixels wide; expected 1024"),
        (png(random_pixels(4, 5, 1024)), "a grey image; expected colours"),
        (png(random_pixels(4, 5, 1024, 3))[:-20], "truncated"),
        (b"\x89PNG", "unknown, truncated or damaged"),
    ],
)
def test_other_images_are_no_sheets(tmp_path, content, said):
    (sheets(tmp_path) / "part_3.png").write_bytes(content)
    with pytest.raises(DataError, match=said):
        load(tmp_path)


@pytest.mark.data
def test_the_real_part_of_cifar10(real_data):
    """Against a plain reading; and the classes follow colours as everybody knows them."""
    from PIL import Image

    folder = real_data / "cifar10_subset"
    train, test = load(folder), load(folder, split="test")
    assert (train.samples.shape, test.samples.shape) == ((3600, 3, 32, 32), (400, 3, 32, 32))
    rows = np.asarray(Image.open(folder / "cifar10_batch_2.png"))
    image = rows[555].reshape(32, 32, 3).transpose(2, 0, 1)
    assert np.array_equal(train.samples[2555 - 255], image)
    assert np.array_equal(test.labels, np.load(folder / "labels_derived.npy")[9::10])
    blue = [train.samples[train.labels == c, 2].mean() for c in range(10)]
    assert set(np.argsort(blue)[-2:]) == {0, 8}  # aeroplanes and ships
