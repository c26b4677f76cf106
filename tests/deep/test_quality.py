"""Images in a row of β's, their consistency, what is measured on them, and the pictures."""

from __future__ import annotations

import argparse
import json
import math
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st

from deep.cli import quality as cli_quality
from deep.comparison.pictures import draw_quality, draw_reconstructions, draw_samples
from deep.config import ExperimentConfig
from deep.data.dataset import DataSet
from deep.errors import DataError, InputError
from deep.evaluation.consistency import consistency
from deep.evaluation.curve import evaluate_curve
from deep.evaluation.curves import psnr
from deep.evaluation.frechet import frechet_distance, moments_of
from deep.evaluation.latents import active_units
from deep.evaluation.quality import Quality, assess, real_images, real_images_from
from deep.evaluation.samples import (
    NetworkRow,
    generated,
    image_shape_of,
    prior_latents,
    prior_samples,
    reconstructions,
    to_images,
    usual_pixels,
)
from deep.objectives.likelihoods import Bernoulli, Gaussian
from deep.runs import Material, train_run
from linvae.cli import console
from linvae.plotting import save_figure
from tests.deep.oracle_networks import LinearGaussian
from tests.tolerances import assert_close, tolerance

BETAS = np.array([0.1, 1.0, 10.0])
SPAN = (-50.0, 50.0)  # nothing of these models lies beyond
NEAR = {"purpose": "stored", "dtype": "float32"}  # pictures are in float32


class Pixels:
    """Three pixels as they are."""

    name, sha256 = "three pixels", "1" * 64

    def __call__(self, images):
        return images.flatten(1)[:, :3]


def linear(**options):
    return LinearGaussian(n=9, k=2, shape=(1, 3, 3), **options)


def row_of(model, likelihood=None, betas=BETAS):
    return NetworkRow.multi_rate(model, likelihood or Gaussian(0.5), betas)


def samples(count=40, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 1, 3, 3))


def shown(values):
    """What images of these values are."""
    return (np.asarray(values).reshape(-1, 1, 3, 3) - SPAN[0]) / (SPAN[1] - SPAN[0])


# Images


@pytest.mark.parametrize(
    ("shape", "want"),
    [((28, 28), (1, 28, 28)), ((3, 8, 6), (3, 8, 6)), ((1, 5, 4), (1, 5, 4)),
     ((64,), (1, 8, 8)), ((3072,), (3, 32, 32)), ((1,), (1, 1, 1))],
)  # fmt: skip
def test_shapes_of_images(shape, want):
    assert image_shape_of(shape) == want


@pytest.mark.parametrize("shape", [(), (5,), (2, 8, 8), (1, 3, 8, 8)])
def test_shapes_that_are_no_images(shape):
    with pytest.raises(InputError, match="image"):
        image_shape_of(shape)


def test_values_become_images():
    values = torch.tensor([[-2.0, 0.0, 1.0, 9.0]])
    got = to_images(values, (1, 2, 2), data_range=(-1.0, 3.0))
    assert got.tolist() == [[[[0.0, 0.25], [0.5, 1.0]]]]
    for bad, shape, span, words in (
        (values, (1, 3, 3), (0.0, 1.0), "shape"),
        (values, (1, 2, 2), (1.0, 1.0), "low < high"),
        (values * torch.nan, (1, 2, 2), (0.0, 1.0), "finite"),
    ):
        with pytest.raises(InputError, match=words):
            to_images(bad, shape, data_range=span)


def test_samples_are_those_of_the_theory_at_every_beta():
    model = linear()
    latents = prior_latents(5, 2, seed=3)
    got = prior_samples(row_of(model), latents, (1, 3, 3), data_range=SPAN)
    assert got.shape == (5, 3, 1, 3, 3)
    for column, beta in enumerate(BETAS):
        assert_close(got[:, column], shown(model.at(beta).decode(latents.numpy())), **NEAR)
    assert model.training, "its mode is given back"
    assert torch.equal(prior_latents(700, 2, seed=3)[:5], latents)
    assert not torch.equal(prior_latents(5, 2, seed=4), latents)
    many = prior_latents(600, 2)
    assert len(torch.unique(many, dim=0)) == 600


def test_reconstructions_are_those_of_the_posterior_mean():
    model, x = linear(), samples()
    got = reconstructions(row_of(model), x, (1, 3, 3), data_range=SPAN)
    for column, beta in enumerate(BETAS):
        vae = model.at(beta)
        assert_close(got[:, column], shown(vae.decode(vae.encode(x.reshape(-1, 9)))), **NEAR)


def test_a_row_of_single_networks():
    models = [linear(seed=s) for s in range(3)]
    row = NetworkRow(BETAS, tuple(models), (Gaussian(0.5),) * 3)
    latents = prior_latents(4, 2)
    got = prior_samples(row, latents, (1, 3, 3), data_range=SPAN)
    for column, (model, beta) in enumerate(zip(models, BETAS, strict=True)):
        alone = prior_samples(row_of(model, betas=[beta]), latents, (1, 3, 3), data_range=SPAN)
        assert torch.equal(got[:, column], alone[:, 0])
    with pytest.raises(InputError, match="2 networks"):
        NetworkRow(BETAS, tuple(models[:2]), (Gaussian(0.5),) * 3)
    with pytest.raises(InputError, match="latents"):
        NetworkRow(BETAS[:2], (linear(), LinearGaussian(n=9, k=3)), (Gaussian(0.5),) * 2)
    with pytest.raises(InputError, match="latents"):
        prior_samples(row, torch.zeros(4, 3), (1, 3, 3))


def test_drawn_pixels_are_bits_with_the_right_means():
    model = linear()
    row = row_of(model, Bernoulli(), [1.0])
    latents = prior_latents(1, 2).expand(2000, 2)
    drawn = prior_samples(row, latents, (1, 3, 3), pixels="drawn", seed=1)[:, 0]
    mean = prior_samples(row, latents, (1, 3, 3))[0, 0]
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    error = torch.sqrt(mean * (1 - mean) / 2000) + 1e-9
    assert ((drawn.mean(0) - mean).abs() <= tolerance("monte_carlo") * error).all()
    again = prior_samples(row, latents, (1, 3, 3), pixels="drawn", seed=1)[:, 0]
    assert torch.equal(drawn, again)
    with pytest.raises(InputError, match="Bernoulli"):
        prior_samples(row_of(model), latents, (1, 3, 3), data_range=SPAN, pixels="drawn")


def test_what_stands_for_an_image():
    bits = torch.tensor([[0.0, 1.0]])
    assert usual_pixels(Bernoulli(), bits) == "drawn"
    assert usual_pixels(Bernoulli(), bits / 2) == "mean"
    assert usual_pixels(Gaussian(), bits) == "mean"


def test_stopping_early_leaves_no_mode_behind():
    model = linear()
    stream = generated(model, Gaussian(), 1.0, prior_latents(600, 2), (1, 3, 3), data_range=SPAN)
    next(stream)
    assert model.training
    assert not torch.is_inference_mode_enabled()


# Consistency


def slow_consistency(images):
    """By the definition: all pairs."""
    columns = images.double().flatten(2).unbind(1)
    found = np.ones((len(columns), len(columns)))
    for b, one in enumerate(columns):
        for c, other in enumerate(columns):
            distances = ((one[:, None] - other) ** 2).sum(-1)
            same = distances.diagonal().mean()
            apart = distances[~torch.eye(len(one), dtype=torch.bool)].mean()
            found[b, c] = 1 - same / apart
    return found


@given(seed=st.integers(0, 999), count=st.integers(2, 7), betas=st.integers(2, 4))
def test_consistency_is_its_definition(seed, count, betas):
    draws = torch.Generator().manual_seed(seed)
    images = torch.rand(count, betas, 1, 2, 3, generator=draws)
    got = consistency(images)
    near = {"scale": 1.0, "condition": 1e2}
    assert_close(got.between, slow_consistency(images), **near)
    order = torch.randperm(count, generator=draws)
    assert_close(consistency(images[order]).between, got.between, **near)
    assert_close(got.between, got.between.T, "rounding", condition=1e2)
    assert_close(got.neighbours, [got.between[b, b + 1] for b in range(betas - 1)])
    assert got.ends == got.between[0, -1]
    assert got.mean == np.mean(got.neighbours)
    assert got.between.max() <= 1


def test_consistency_at_its_ends():
    draws = torch.Generator().manual_seed(0)
    images = torch.rand(300, 1, 1, 3, 3, generator=draws)
    same = images.expand(-1, 3, -1, -1, -1)
    assert np.array_equal(consistency(same).between, np.ones((3, 3)))
    unrelated = torch.cat((images, images[torch.randperm(300, generator=draws)]), dim=1)
    assert abs(consistency(unrelated).mean) < 0.2
    collapsed = torch.cat((images, images.mean(0, keepdim=True).expand_as(images)), dim=1)
    assert_close(consistency(collapsed).mean, 0.0, scale=1.0, condition=1e4)
    assert consistency(torch.full((5, 2, 1, 3, 3), 0.3)).mean == 1
    two = torch.full((5, 2, 1, 3, 3), 0.3)
    two[:, 1] = 0.6
    assert_close(consistency(two).mean, 0.0, scale=1.0)


def test_consistency_in_features_and_of_a_multi_rate_model():
    shared = prior_samples(row_of(linear()), prior_latents(100, 2), (1, 3, 3), data_range=SPAN)
    row = NetworkRow(BETAS, tuple(linear(seed=s) for s in range(3)), (Gaussian(),) * 3)
    apart = prior_samples(row, prior_latents(100, 2), (1, 3, 3), data_range=SPAN)
    for extractor in (None, Pixels()):
        one, other = consistency(shared, extractor), consistency(apart, extractor)
        assert one.mean > 0.9 > 0.6 > other.mean
        assert one.features == ("pixels" if extractor is None else "three pixels")
    first = shared.flatten(3)[..., :3].unsqueeze(3)
    assert_close(consistency(shared, Pixels()).between, consistency(first).between)
    for bad in (shared[0], shared[:1], shared[:, :1]):
        with pytest.raises(InputError, match="shape"):
            consistency(bad)


# Quality


@pytest.fixture(scope="module")
def measured():
    model, held, train = linear(), samples(60), samples(90, seed=1)
    real = real_images(held, train, Pixels(), data_range=SPAN)
    return model, held, train, real, assess(row_of(model), real, seed=5)


def test_every_number_is_that_of_its_own_function(measured):
    model, held, train, real, got = measured
    curve = evaluate_curve(model, held, BETAS, Gaussian(0.5), seed=5)
    assert_close(got.rate, curve.rate)
    assert_close(got.psnr, psnr(curve.squared_error, 9, data_range=100.0))
    assert got.active_units.tolist() == active_units(model, held, BETAS).count.tolist()
    assert (got.latent_dim, got.n_images, got.pixels) == (2, 60, "mean")
    assert (got.features, got.features_sha256) == ("three pixels", "1" * 64)
    near = {"scale": 1e-3, "condition": 1e3}

    def features(values):
        return moments_of([shown(values).reshape(-1, 9)[:, :3].astype(np.float32)])

    latents = prior_latents(60, 2, seed=5).numpy()
    for i, beta in enumerate(BETAS):
        vae = model.at(beta)
        made = frechet_distance(features(vae.decode(latents)), features(held))
        assert_close(got.frechet_samples[i], made, **near, purpose="stored", dtype="float32")
        again = vae.decode(vae.encode(held.reshape(-1, 9)))
        again = frechet_distance(features(again), features(held))
        assert_close(got.frechet_reconstructions[i], again, **near, purpose="stored",
                     dtype="float32")  # fmt: skip
    floor = frechet_distance(features(train[:60]), features(held))
    assert_close(got.floor, floor, **near, purpose="stored", dtype="float32")
    assert got.floor == real.floor
    assert got.frechet_samples_infinite.shape == (3,)
    assert (got.frechet_samples_infinite < got.frechet_samples).all()
    assert got.floor_infinite < got.floor


def test_the_same_seed_gives_the_same_numbers(measured):
    model, _, _, real, got = measured
    again = assess(row_of(model), real, seed=5, batch_size=7)
    plain, other = got.as_plain(), again.as_plain()
    assert plain.keys() == other.keys()
    for name, value in plain.items():
        if isinstance(value, list):
            assert_close(other[name], value)
        else:
            assert other[name] == value, name
    moved = assess(row_of(model), real, seed=6)
    assert not np.array_equal(moved.frechet_samples, got.frechet_samples)
    alone = [assess(row_of(model, betas=[b]), real, seed=5) for b in BETAS]
    assert_close([a.frechet_samples[0] for a in alone], got.frechet_samples)
    assert alone[0].consistency_pixels.size == 0


def test_a_record_of_it_can_be_read(measured):
    plain = measured[-1].as_plain()
    text = json.dumps(plain, allow_nan=False)
    again = Quality.from_plain(json.loads(text))
    assert again.as_plain() == plain
    with pytest.raises(InputError, match="floor"):
        Quality.from_plain({k: v for k, v in plain.items() if k != "floor"})


def test_few_images_are_not_extrapolated(measured):
    model, held, train = measured[:3]
    real = real_images(held[:5], train, Pixels(), data_range=SPAN)
    got = assess(row_of(model), real)
    assert got.frechet_samples_infinite is None
    assert got.floor_infinite is None
    json.dumps(got.as_plain(), allow_nan=False)


def test_images_that_cannot_be_held_against_each_other(measured):
    _, held, train = measured[:3]
    for one, other in ((held[:1], train), (held, train[:59])):
        with pytest.raises(InputError, match="evaluate fewer"):
            real_images(one, other, Pixels(), data_range=SPAN)
    bad = held.copy()
    bad[3, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="finite"):
        real_images(bad, train, Pixels(), data_range=SPAN)


def test_real_images_of_data_sets_in_the_order_of_classes():
    """All training classes count although the first images are all of one; grey ones are drawn."""
    grey = np.repeat(np.array([0, 128], np.uint8), 100)[:, None, None] * np.ones((4, 4), np.uint8)
    train = DataSet("d", "train", grey, (0.0, 1.0), grey_probabilities=True)
    test = DataSet("d", "test", grey[::2] > 64, (0.0, 1.0))
    seen = []

    class Watching(Pixels):
        def __call__(self, images):
            seen.append(images)
            return super().__call__(images)

    real_images_from(test, train, Watching(), limit=80)
    held, others = seen
    assert len(held) == len(others) == 80
    assert set(others.unique().tolist()) == {0.0, 1.0}
    assert 0.1 < float(others.mean()) < 0.4
    plain = DataSet("d", "test", np.zeros((9, 4, 4)))
    with pytest.raises(DataError, match="unknown range"):
        real_images_from(plain, train, Pixels())


# Pictures


def ticks(figure):
    return [t.get_text() for t in figure.axes[0].get_xticklabels()]


def test_pictures_of_images(tmp_path):
    images = torch.rand(3, 2, 3, 4, 5)
    figure = draw_samples(images, [0.01, 10.0], [123.4, 5.67])
    assert ticks(figure) == ["0.01\n123", "10\n5.7"]
    picture = np.asarray(figure.axes[0].images[0].get_array())
    assert_close(picture[:4, :5], images[0, 0].permute(1, 2, 0), "input", "float32")
    assert_close(picture[-4:, -5:], images[2, 1].permute(1, 2, 0), "input", "float32")
    grey, originals = images[:, :, :1], torch.rand(3, 1, 4, 5)
    figure = draw_reconstructions(grey, originals, [0.01, 10.0])
    assert ticks(figure) == ["original", "0.01", "10"]
    picture = np.asarray(figure.axes[0].images[0].get_array())
    assert_close(picture[:4, :5, 0], originals[0, 0], "input", "float32")
    assert_close(picture[-4:, -5:, 2], grey[2, 1, 0], "input", "float32")
    save_figure(figure, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 500


def test_nothing_of_a_picture_is_cut_off():
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for columns in (1, 3, 10):
        betas = np.geomspace(0.01, 10, columns)
        images = torch.rand(2, columns, 1, 28, 28)
        figure = draw_reconstructions(images, images[:, 0], betas, np.full(columns, 123.4))
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        ax = figure.axes[0]
        texts = [*ax.get_xticklabels(), *ax.texts]
        boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
        width, height = figure.canvas.get_width_height()
        assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)
        edges = sorted((b.x0, b.x1) for b in boxes)
        assert all(a[1] <= b[0] for a, b in pairwise(edges)), "no overlap"


@pytest.mark.parametrize(
    ("images", "betas", "rates", "words"),
    [
        (torch.rand(2, 1, 4, 4), [1.0], None, "shape"),
        (torch.rand(2, 1, 2, 4, 4), [1.0], None, "channels"),
        (torch.rand(2, 3, 1, 4, 4), [1.0], None, "3 columns"),
        (torch.rand(2, 1, 1, 4, 4), [1.0], [1.0, 2.0], "rates"),
        (torch.rand(1, 21, 1, 4, 4), np.arange(1, 22), None, "20 or fewer"),
        (torch.rand(2, 1, 1, 4, 4) + 1, [1.0], None, "in \\[0, 1\\]"),
    ],
)
def test_pictures_that_cannot_be_drawn(images, betas, rates, words):
    with pytest.raises(InputError, match=words):
        draw_samples(images, betas, rates)


def test_picture_of_quality(measured):
    model, _, _, real, first = measured
    sets = {"one": [first, assess(row_of(model), real, seed=6)], "apart": [first]}
    figure = draw_quality(sets)
    left, right = figure.axes
    assert "2 latents" in left.get_ylabel()
    assert "three pixels" in figure.get_supxlabel()
    assert right.get_xscale() == "log"
    mean = np.mean([q.frechet_samples for q in sets["one"]], axis=0)
    assert_close(right.lines[0].get_ydata(), mean)
    assert [t.get_text() for t in figure.legends[0].get_texts()][:2] == ["one", "apart"]
    other = Quality.from_plain({**first.as_plain(), "features_sha256": "2" * 64})
    for bad, words in (
        ({}, "0 labels"),
        ({"a": []}, "1 labels"),
        ({"a": [first], "b": [other]}, "features_sha256"),
        ({"a": [first, assess(row_of(model, betas=[1.0]), real)]}, "different β's"),
    ):
        with pytest.raises(InputError, match=words):
            draw_quality(bad)


# linvae evaluate

SETTINGS = ExperimentConfig.model_validate(
    {
        "data": {"name": "digits", "limit": 300},
        "model": {"kind": "mlp", "latent_dim": 3, "hidden": [16]},
        "likelihood": {"kind": "gaussian", "noise_variance": 0.1},
        "beta": {"low": 0.1, "high": 2.0},
        "training": {"epochs": 1, "batch_size": 50, "accelerator": "cpu", "threads": 1},
        "evaluation": {"points": 3, "limit": 60},
    }
)


@pytest.fixture(scope="module")
def run():
    material = Material(SETTINGS)
    trained = train_run(SETTINGS, material, seed=0)
    held = material.split("test").spread(60).tensor()
    curve = evaluate_curve(trained.network, held, np.geomspace(0.1, 2, 12),
                           trained.objective.likelihood)  # fmt: skip
    return trained, material, curve


def ask(run, capsys, **wishes):
    usual = {"samples": None, "reconstructions": None, "frechet": False, "features": None,
             "split": "test"}  # fmt: skip
    document = {}
    options = argparse.Namespace(**{**usual, **wishes})
    cli_quality.evaluate_images(options, *run, document, console.Printer(quiet=False))
    return document, capsys.readouterr().out


def test_pictures_from_the_command_line(run, capsys, tmp_path):
    document, out = ask(run, capsys)
    assert (document, out) == ({}, "")
    wanted = {name: str(tmp_path / f"{name}.png") for name in ("samples", "reconstructions")}
    document, out = ask(run, capsys, **wanted)
    assert document == {"pictures": wanted}
    assert "samples.png" in out
    assert all((tmp_path / f"{name}.png").exists() for name in wanted)


def test_frechet_from_the_command_line(run, capsys, monkeypatch):
    monkeypatch.setattr(cli_quality, "classifier_features", lambda data: Pixels())
    document, out = ask(run, capsys, frechet=True)
    found = Quality.from_plain(document["quality"])
    assert_close(found.betas, run[2].betas)
    assert_close(found.rate, run[2].rate, "stored", "float32")
    assert "three pixels" in out
    assert "Consistency" in out
    assert math.isfinite(found.floor)
    with pytest.raises(InputError, match="add --frechet"):
        ask(run, capsys, features="file.pt")
    with pytest.raises(DataError, match="check the path"):
        ask(run, capsys, frechet=True, features="none.pt")
