"""Mirrored images, and images that stay on the disk: pure functions of the step, in any order."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep.config import DataConfig
from deep.data.augment import FlippedBatches
from deep.data.batches import EpochOrder, TensorBatches
from deep.data.load import batches_from, load_dataset
from deep.data.sets.images import image_pictures
from deep.data.streaming import StreamedBatches
from deep.errors import DataError
from tests.deep.image_files import png, random_pixels, write_folder, write_zip

RGB = random_pixels(1, 30, 6, 8, 3)
BATCH, SEED = 7, 3


@pytest.fixture(params=["folder", "zip"])
def config(request, tmp_path):
    contents = {f"train/{i:02d}.png": png(RGB[i]) for i in range(23)}
    contents |= {f"test/{i:02d}.png": png(RGB[i]) for i in range(23, 30)}
    if request.param == "folder":
        path = write_folder(tmp_path / "f", contents)
    else:
        path = write_zip(tmp_path / "f.zip", contents)
    return DataConfig(name="images", path=str(path), streaming=True)


def decoders():
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


# --- mirrored images ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 4), (1, 5, 4), (3, 5, 4)])
def test_half_of_the_images_are_mirrored(shape):
    images = torch.arange(400 * np.prod(shape), dtype=torch.float64).view(400, *shape)
    plain = TensorBatches(images, dtype=torch.float64)
    flipped = FlippedBatches(plain)
    assert flipped.sample_shape == shape
    assert flipped.steps_per_epoch(100) == 4
    counts = []
    for step in range(4):
        old, new = plain.batch(step, 100, SEED), flipped.batch(step, 100, SEED)
        same = (new == old).flatten(1).all(dim=1)
        turned = (new == old.flip(-1)).flatten(1).all(dim=1)
        assert (same ^ turned).all()
        counts.append(int(turned.sum()))
    assert len(set(counts)) > 1
    assert 150 < sum(counts) < 250  # 200, five standard deviations


def test_flips_are_a_function_of_seed_and_step():
    images = torch.from_numpy(random_pixels(2, 40, 6, 6))
    flipped = FlippedBatches(TensorBatches(images))
    forward = [flipped.batch(step, 20, SEED) for step in range(4)]
    again = FlippedBatches(TensorBatches(images))
    for step in (3, 1, 0, 2):
        assert torch.equal(again.batch(step, 20, SEED), forward[step])
    same_images = FlippedBatches(TensorBatches(images[:1].repeat(40, 1, 1)))
    drawn = {same_images.batch(s, 40, seed).numpy().tobytes() for s in range(3) for seed in (0, 1)}
    assert len(drawn) == 6, "every step and every seed draws others"


def test_the_train_split_alone_is_mirrored(config):
    flip = config.model_copy(update={"augment": "flip", "streaming": False})
    train, test = load_dataset(flip, split="train"), load_dataset(flip, split="test")
    assert (train.mirrored, test.mirrored) == (True, False)
    assert "half of the images mirrored anew at every step" in train.notes
    assert np.array_equal(test.samples, RGB[23:].transpose(0, 3, 1, 2))
    batches = batches_from(train)
    assert isinstance(batches, FlippedBatches)
    plain = batches_from(load_dataset(config, split="train"))
    assert not torch.equal(batches.batch(0, BATCH, SEED), plain.batch(0, BATCH, SEED))
    assert not isinstance(plain, FlippedBatches)


def test_vectors_are_not_mirrored(tmp_path):
    digits = load_dataset(DataConfig(name="digits", augment="flip"), split="train")
    assert isinstance(batches_from(digits), FlippedBatches)
    with pytest.raises(DataError, match=r"flip for samples of shape \(64,\)"):
        batches_from(digits, flatten=True)
    np.save(tmp_path / "a.npy", np.zeros((20, 5)))
    with pytest.raises(DataError, match=r"flip for samples of shape \(5,\)"):
        batches_from(DataConfig(name="file", path=str(tmp_path / "a.npy"), augment="flip"))
    gaussian = DataConfig(name="gaussian", spectrum=(1.0, 2.0), augment="flip")
    for use in (batches_from, lambda c: load_dataset(c, split="train")):
        with pytest.raises(DataError, match=r"data\.augment: got flip for gaussian"):
            use(gaussian)


def test_mirrored_grey_images_are_drawn_as_bits(tmp_path):
    write_folder(tmp_path, {f"{i:02d}.png": png(RGB[i, :, :, 0] > 99) for i in range(12)})
    for streaming in (True, False):
        config = DataConfig(name="images", path=str(tmp_path), augment="flip", binarise=True,
                            streaming=streaming)  # fmt: skip
        bits = batches_from(config, channels=True).batch(1, 5, SEED)
        assert bits.shape == (5, 1, 6, 8)
        assert set(bits.unique().tolist()) == {0, 1}


# --- channels -----------------------------------------------------------------------------------


def test_grey_images_get_a_channel_when_asked():
    digits = load_dataset(DataConfig(name="digits"), split="train")
    assert batches_from(digits, channels=True).sample_shape == (1, 8, 8)
    assert batches_from(digits).sample_shape == (8, 8)
    with pytest.raises(DataError, match=r"samples of shape \(64,\)"):
        digits.flattened().with_channels()


# --- streaming ----------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3, None])
def test_streamed_batches_are_those_of_memory_in_any_order(config, workers):
    held = load_dataset(config, split="train")
    plain = TensorBatches(torch.from_numpy(held.samples))
    streamed = StreamedBatches(image_pictures(config, "train"), workers=workers)
    assert (len(streamed), streamed.sample_shape) == (23, (3, 6, 8))
    assert streamed.steps_per_epoch(BATCH) == plain.steps_per_epoch(BATCH) == 3
    assert streamed.steps_per_epoch(50) == plain.steps_per_epoch(50) == 1
    for step, size, seed in [*((s, BATCH, SEED) for s in (0, 1, 2, 3, 7, 2, 8, 9, 0)),
                             (1, 5, SEED), (2, 5, 4), (3, 50, SEED)]:  # fmt: skip
        assert torch.equal(streamed.batch(step, size, seed), plain.batch(step, size, seed))
    streamed.close()


def test_epochs_have_different_orders_of_all_samples():
    order = EpochOrder(20)
    first, second = (torch.cat([order.chosen(s, 5, SEED) for s in range(4 * e, 4 * e + 4)])
                     for e in range(2))  # fmt: skip
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(20))
    assert first.tolist() != second.tolist()
    assert order.chosen(0, 5, SEED + 1).tolist() != first[:5].tolist()


def test_a_configuration_is_streamed(config):
    streamed = batches_from(config, dtype=torch.float64)
    assert isinstance(streamed, StreamedBatches)
    plain = batches_from(config.model_copy(update={"streaming": False}), dtype=torch.float64)
    assert torch.equal(streamed.batch(4, BATCH, SEED), plain.batch(4, BATCH, SEED))
    flat = batches_from(config, flatten=True)
    assert flat.sample_shape == (144,)
    assert torch.equal(flat.batch(0, 5, 0), streamed.batch(0, 5, 0).flatten(1).float())
    limited = batches_from(config.model_copy(update={"limit": 9}))
    assert len(limited) == 9
    flipped = [batches_from(c.model_copy(update={"augment": "flip"}))
               for c in (config, config.model_copy(update={"streaming": False}))]  # fmt: skip
    assert torch.equal(*(b.batch(5, BATCH, SEED) for b in flipped))


def test_held_out_images_are_in_memory_as_many_as_are_asked_for(config):
    wanted = RGB[23:].transpose(0, 3, 1, 2)
    assert np.array_equal(load_dataset(config, split="test").samples, wanted)
    few = load_dataset(config, split="test", count=3)
    assert np.array_equal(few.samples, wanted[np.arange(3) * len(wanted) // 3])
    limited = config.model_copy(update={"limit": 2})
    assert len(load_dataset(limited, split="test", count=3)) == 2
    assert len(load_dataset(DataConfig(name="digits"), split="test", count=3)) == 3


def test_sets_in_memory_are_not_streamed():
    for name in ("digits", "mnist", "cifar10"):
        with pytest.raises(DataError, match=rf"data\.streaming: got true for {name}"):
            batches_from(DataConfig(name=name, streaming=True))


def test_streaming_holds_two_batches(tmp_path):
    """200 images of 48 kB are 9.6 MB in memory; a batch of 10 is half a megabyte."""
    pixels = np.kron(random_pixels(4, 200, 8, 8, 3), np.ones((16, 16, 1), np.uint8))
    write_zip(tmp_path / "a.zip", {f"train/{i:03d}.png": png(pixels[i]) for i in range(200)})
    config = DataConfig(name="images", path=str(tmp_path / "a.zip"), streaming=True)
    streamed = batches_from(config)
    streamed.batch(0, 10, SEED)
    tracemalloc.start()
    for step in range(1, 25):
        streamed.batch(step, 10, SEED)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    streamed.close()
    assert peak < 5e6


def test_closing_ends_the_threads_and_the_archive(tmp_path):
    assert not decoders()
    write_zip(tmp_path / "a.zip", {f"{i:02d}.png": png(RGB[i]) for i in range(20)})
    config = DataConfig(name="images", path=str(tmp_path / "a.zip"), streaming=True)
    streamed = batches_from(config)
    streamed.batch(0, 4, SEED)
    assert decoders()
    streamed.close()
    streamed.close()
    assert not decoders()
    with pytest.raises(DataError, match="closed"):
        streamed.batch(1, 4, SEED)
    forgotten = batches_from(config)
    forgotten.batch(0, 4, SEED)
    assert decoders()
    del forgotten
    gc.collect()
    assert not decoders()


def test_damaged_images_are_refused_at_the_step_that_needs_them(tmp_path):
    """Also when they were decoded ahead; what comes before them is not lost."""
    pixels = random_pixels(5, 20, 40, 40, 3)
    contents = {f"train/{i:02d}.png": png(pixels[i]) for i in range(20)}
    bad = bytearray(contents["train/07.png"])
    bad[len(bad) // 2] ^= 1
    folder = write_folder(tmp_path, contents | {"train/07.png": bytes(bad)})
    streamed = batches_from(DataConfig(name="images", path=str(folder), streaming=True))
    order = EpochOrder(20)
    for step in range(8):
        if 7 in order.chosen(step, 5, SEED):
            with pytest.raises(DataError, match=r"07\.png"):
                streamed.batch(step, 5, SEED)
        else:
            assert streamed.batch(step, 5, SEED).shape == (5, 3, 40, 40)
    (folder / "train" / "07.png").unlink()
    (folder / "train" / "07.png").write_bytes(contents["train/07.png"])
    whole = sorted(float(x) for s in range(4) for x in streamed.batch(s, 5, SEED).mean((1, 2, 3)))
    streamed.close()
    assert np.allclose(whole, np.sort(pixels.mean((1, 2, 3)) / 255), atol=1e-6)


def test_archives_are_closed_after_loading(config, monkeypatch):
    closed = []
    close = zipfile.ZipFile.close
    monkeypatch.setattr(zipfile.ZipFile, "close", lambda self: (closed.append(1), close(self))[1])
    load_dataset(config, split="test")
    assert bool(closed) == config.path.endswith(".zip")
