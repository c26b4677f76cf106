"""Feature extractors: programs of the user's, and classifiers trained on the data set."""

from __future__ import annotations

import gzip
import struct
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep.config import DataConfig
from deep.data.dataset import DataSet
from deep.data.load import load_dataset
from deep.errors import DataError, DeepWarning, InputError
from deep.evaluation import classifier
from deep.evaluation.classifier import ClassifierSettings, classifier_features
from deep.evaluation.features import TorchScriptFeatures, feature_moments, features_of
from deep.evaluation.frechet import moments_of
from deep.evaluation.labelled import labelled_images, with_labels
from deep.training.files import digest
from tests.tolerances import assert_close

QUICK = ClassifierSettings(features=12, channels=4, steps=120, batch_size=64, learning_rate=1e-2)


def pictures(count=30, channels=1, size=8, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, size, size, generator=draws)


class Corners:
    """Features that can be checked: the first pixels."""

    name, sha256 = "first pixels", "0" * 64

    def __call__(self, images):
        return images.flatten(1)[:, :3]


# Any extractor


def test_batches_and_chunks_change_nothing():
    images = pictures()
    whole = features_of(Corners(), images)
    assert whole.dtype == np.float64
    assert np.array_equal(whole, images.flatten(1)[:, :3].double().numpy())
    for size in (1, 7, 1000):
        assert np.array_equal(features_of(Corners(), images, batch_size=size), whole)
        got = feature_moments(Corners(), images.split(size), batch_size=size)
        assert_close(got.covariance, moments_of([whole]).covariance)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (pictures()[0], "shape"),
        (pictures() + 0.5, "in \\[0, 1\\]"),
        (pictures() * torch.nan, "in \\[0, 1\\]"),
        ((pictures() * 255).to(torch.uint8), "uint8"),
        (pictures()[:0], "shape"),
    ],
)
def test_images_that_are_none(images, words):
    with pytest.raises(InputError, match=words):
        features_of(Corners(), images)


def test_features_that_are_none():
    for wrong, words in (
        (lambda x: x.flatten(1) * torch.nan, "not finite"),
        (lambda x: x.flatten(1)[:2], "2 rows for 30"),
        (lambda x: x.sum(), "shape"),
    ):
        extractor = Corners()
        extractor.__class__ = type("Wrong", (Corners,), {"__call__": lambda _, x, f=wrong: f(x)})
        with pytest.raises(InputError, match=words):
            features_of(extractor, pictures())


# TorchScript


class Means(torch.nn.Module):
    """Mean of each channel, largest value, height: shows what the network was given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = torch.full((x.shape[0], 1), float(x.shape[2]))
        return torch.cat((x.mean((2, 3)), x.flatten(1).amax(1, keepdim=True), size), 1)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "means.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(Means()), str(path))
    return path


def test_a_program_sees_resized_and_normalised_images(script):
    extractor = TorchScriptFeatures(script)
    assert extractor.sha256 == digest(script.read_bytes())
    assert "means.pt" in extractor.name
    assert "299" in extractor.name
    grey = torch.full((2, 1, 5, 7), 0.25)
    grey[1] = 1.0
    got = features_of(extractor, grey)
    assert_close(got, [[-0.5] * 4 + [299.0], [1.0] * 4 + [299.0]], "input", "float32")
    colours = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 3, 1, 1).expand(2, 3, 299, 299)
    assert_close(features_of(extractor, colours)[0], [-1.0, 0.0, 1.0, 1.0, 299.0])
    as_is = TorchScriptFeatures(script, size=None, mean=0, deviation=1 / 255)
    assert_close(features_of(as_is, grey)[1], [255.0] * 4 + [5.0], "stored", "float32")
    assert as_is.name != extractor.name


def test_resizing_is_bilinear_between_the_same_corners(script):
    """A ramp stays a ramp, of the same mean and range up to the half pixel at the edges."""
    ramp = torch.linspace(0, 1, 20).expand(2, 1, 20, 20)
    got = features_of(TorchScriptFeatures(script, size=40, mean=0, deviation=1), ramp)
    assert_close(got[0, :3], [0.5] * 3, "input", "float32", scale=1e3)
    assert got[0, 3] == pytest.approx(1.0, abs=1e-6)


def test_files_that_are_no_programs(tmp_path, script):
    with pytest.raises(DataError, match="check the path"):
        TorchScriptFeatures(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_bytes(b"no archive")
    with pytest.raises(DataError, match="no TorchScript"):
        TorchScriptFeatures(tmp_path / "text.pt")
    with pytest.raises(InputError, match="normalisation"):
        TorchScriptFeatures(script, deviation=0)
    with pytest.raises(InputError, match="size"):
        TorchScriptFeatures(script, size=0)


# The classifier


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    config = DataConfig(name="digits")
    return config, cache, classifier_features(config, settings=QUICK, cache=cache)


def test_a_classifier_learns_and_says_so(trained):
    *_, features = trained
    assert 0.6 < features.accuracy <= 1
    assert f"labels of digits, held-out accuracy {100 * features.accuracy:.1f} %" in features.name
    found = features_of(features, pictures())
    assert found.shape == (30, 12)
    assert (found >= 0).all()
    assert found.std(axis=0).max() > 0
    assert_close(features_of(features, pictures(), batch_size=7), found, "stored", "float32")
    with pytest.raises(InputError, match="1, 8, 8"):
        features_of(features, pictures(size=9))


def test_the_same_settings_give_the_same_classifier(trained, tmp_path):
    config, _, features = trained
    torch.rand(3)  # the global generator does not matter
    limited = config.model_copy(update={"limit": 50})
    again = classifier_features(limited, settings=QUICK, cache=tmp_path)
    assert (again.sha256, again.accuracy) == (features.sha256, features.accuracy)
    other = ClassifierSettings(**{**vars(QUICK), "seed": 1, "steps": 2})
    assert classifier_features(config, settings=other, cache=tmp_path).sha256 != features.sha256


def test_a_kept_classifier_is_found_again(trained, monkeypatch):
    config, cache, features = trained
    (folder,) = cache.iterdir()
    assert sorted(f.name for f in folder.iterdir()) == ["about.json", "model.safetensors"]
    monkeypatch.setattr(classifier, "train_classifier", lambda *_: pytest.fail("trained again"))
    again = classifier_features(config, settings=QUICK, cache=cache)
    assert vars(again).keys() == vars(features).keys()
    assert (again.sha256, again.name) == (features.sha256, features.name)
    images = pictures()
    assert np.array_equal(features_of(again, images), features_of(features, images))


def test_a_damaged_one_is_trained_anew(trained, tmp_path):
    config = trained[0]
    quick = ClassifierSettings(**{**vars(QUICK), "steps": 3})
    first = classifier_features(config, settings=quick, cache=tmp_path)
    (folder,) = tmp_path.iterdir()
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-9] + b"123456789")
    again = classifier_features(config, settings=quick, cache=tmp_path)
    assert again.sha256 == first.sha256
    assert (folder / "model.safetensors").read_bytes() == whole


def test_without_a_cache_it_goes_on(trained, tmp_path):
    (tmp_path / "file").write_text("no folder")
    quick = ClassifierSettings(**{**vars(QUICK), "steps": 1})
    with pytest.warns(DeepWarning, match="not kept"):
        classifier_features(trained[0], settings=quick, cache=tmp_path / "file" / "below")


# Labels


def test_held_out_images_are_not_trained_on():
    data = with_labels(load_dataset(DataConfig(name="digits"), split="train"))
    count = len(data.images)
    assert (count, data.n_train, data.n_classes) == (1500, 1350, 10)
    held = torch.cat([images for images, _ in data.held_out(64)])
    seen = torch.cat([data.batch(step, 64, 3)[0] for step in range(21)])
    assert len(held) == 150
    assert len(torch.unique(seen, dim=0)) == len(seen), "each once an epoch"
    both = torch.unique(torch.cat((seen, held)), dim=0)
    assert len(both) == len(seen) + len(torch.unique(held, dim=0))
    stored = {image.tobytes(): label for image, label in zip(data.images, data.labels, strict=True)}
    images, labels = data.batch(40, 64, 3)
    assert [stored[i.numpy().tobytes()] for i in images] == labels.tolist()
    assert not torch.equal(data.batch(0, 64, 3)[0], data.batch(0, 64, 4)[0])


def unlabelled(count=200, shape=(6, 6), labels=None, **options):
    samples = np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(np.uint8)
    return DataSet("things", "train", samples, (0.0, 1.0), labels=labels, **options)


def test_without_labels_images_are_turned():
    data = unlabelled()
    found = with_labels(data)
    assert found.source == "turns of things"
    assert found.n_classes == 4
    assert np.bincount(found.labels).min() > 20
    originals = {sample.tobytes() for sample in data.samples}
    for image, turns in zip(found.images[:, 0], found.labels, strict=True):
        assert np.rot90(image, -turns).tobytes() in originals
    few = unlabelled(labels=np.arange(200) // 5)  # 40 classes of 5
    assert with_labels(few).source == "turns of things"
    named = unlabelled(labels=7 * (np.arange(200) % 4))
    assert with_labels(named).source == "labels of things"
    assert sorted(set(with_labels(named).labels.tolist())) == [0, 1, 2, 3]


def test_data_that_give_no_features():
    with pytest.raises(DataError, match="without usable labels"):
        with_labels(unlabelled(shape=(6, 5)))
    with pytest.raises(DataError, match="without usable labels"):
        with_labels(unlabelled(count=20))
    unknown = DataSet("numbers", "train", np.zeros((60, 4, 4)))
    with pytest.raises(DataError, match="unknown range"):
        with_labels(unknown)


def write_mnist(folder, count=600):
    """Files as MNIST has them, with few images: class by brightness."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for stem, size in (("train", count), ("t10k", 50)):
        labels = (np.arange(size) % 10).astype(np.uint8)
        images = rng.integers(0, 26, (size, 28, 28)).astype(np.uint8) + 25 * labels[:, None, None]
        head = struct.pack(">4B3I", 0, 0, 8, 3, size, 28, 28)
        name = folder / f"{stem}-images-idx3-ubyte.gz"
        name.write_bytes(gzip.compress(head + images.tobytes()))
        head = struct.pack(">4BI", 0, 0, 8, 1, size)
        name = folder / f"{stem}-labels-idx1-ubyte.gz"
        name.write_bytes(gzip.compress(head + labels.tobytes()))


def test_binarized_mnist_borrows_the_labels_of_mnist(tmp_path):
    write_mnist(tmp_path / "mnist")
    for path in (tmp_path, tmp_path / "binarized_mnist", tmp_path / "mnist"):
        data = labelled_images(DataConfig(name="binarized_mnist", path=str(path)))
        assert data.source == "labels of mnist drawn as 0 or 1"
        images, labels = data.batch(0, 32, 0)
        assert set(images.unique().tolist()) == {0.0, 1.0}
        assert torch.equal(images, data.batch(0, 32, 0)[0])
        bright = [float(images[labels == c].mean()) for c in (1, 8)]
        assert bright[0] < 0.3 < 0.6 < bright[1]
    again = torch.cat([data.batch(17 * epoch, 540, 0)[0] for epoch in (0, 1)])
    assert len(torch.unique(again, dim=0)) == len(again), "drawn anew at every step"


def test_without_mnist_the_error_says_what_to_do(tmp_path):
    config = DataConfig(name="binarized_mnist", path=str(tmp_path))
    with pytest.raises(DataError, match=r"no labelled MNIST.*put them into the folder"):
        labelled_images(config)
