"""A comparison without an optimum, from tiny networks on images to its record."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import signal

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import yaml

from deep.cli.compare import _print_quality
from deep.comparison import image_quality, jobs
from deep.comparison.method_curves import curves_from_record
from deep.comparison.methods import run_methods
from deep.comparison.methods_check import check_methods
from deep.comparison.plans import compares_methods, plan_runs, reading_betas
from deep.config import ExperimentConfig
from deep.data.batches import TensorBatches
from deep.errors import ConfigError
from deep.evaluation.curve import evaluate_curve
from deep.evaluation.latents import active_units
from deep.runs import load_run
from linvae import cli
from linvae.cli import console
from tests.tolerances import assert_close

SMALL = {
    "name": "small",
    "title": "Tiny networks on noise.",
    "seeds": [0, 1],
    "data": {"name": "file", "path": "images.npy"},
    "model": {"kind": "mlp", "latent_dim": 3, "hidden": [8]},
    "likelihood": {"kind": "gaussian", "noise_variance": 0.1},
    "beta": {"low": 0.1, "high": 2.0},
    "training": {"epochs": 2, "batch_size": 16, "accelerator": "cpu", "threads": 1,
                 "checkpoint_every": 100},
    "evaluation": {"points": 3, "limit": 20, "noise_draws": 2},
    "dedicated": {"points": 2, "also_annealed": "linear"},
    "variants": {"input": {"model": {"conditioning": "input"}},
                 "ungated": {"model": {"encoder_gate": "none"}}},
}  # fmt: skip
CONV = {**SMALL, "seeds": [0], "variants": {},
        "data": {"name": "file", "path": "large.npy"},
        "model": {"kind": "conv", "latent_dim": 3, "channels": [4, 4, 4]},
        "likelihood": {"kind": "bernoulli"}, "dedicated": {"points": 2}}  # fmt: skip
METHODS = ["multi-rate", "input", "ungated", "dedicated", "annealed"]


def write_images(folder):
    draws = np.random.default_rng(0)
    np.save(folder / "images.npy", (draws.random((80, 6, 6)) * 255).astype(np.uint8))
    large = (draws.random((80, 7, 7)) * 255).astype(np.uint8)
    np.save(folder / "large.npy", np.kron(large, np.ones((4, 4), dtype=np.uint8)))


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The whole experiment, made once for all tests that only read it."""
    folder = tmp_path_factory.mktemp("whole")
    write_images(folder)
    content = {**SMALL, "data": {"name": "file", "path": str(folder / "images.npy")}}
    config = ExperimentConfig.model_validate(content)
    record = run_methods(config, runs=folder / "runs", output=folder / "results", command="here")
    return folder, config, record


def settings(content=SMALL, **changes):
    with open("settings.yaml", "w", encoding="utf-8") as file:
        yaml.safe_dump({**content, **changes}, file)
    return "settings.yaml"


def compare(capsys, *arguments):
    assert cli.main(["compare", *arguments, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def timeless(record):
    """A record without seconds and without the number of processes."""
    kept = json.loads(json.dumps(record))
    del kept["cost"], kept["notes"], kept["conditions"]
    return kept


def weights(folder):
    return {
        p.relative_to(folder): p.read_bytes()
        for p in sorted(folder.glob("*/*/*/model.safetensors"))
    }


@pytest.fixture
def config():
    return ExperimentConfig.model_validate(SMALL)


def changed(**changes):
    """Whole sections are replaced where they are no settings of one: variants."""
    return ExperimentConfig.model_validate({**SMALL, "variants": {}}).with_changes(**changes)


def test_every_method_is_trained_read_and_recorded(whole):
    folder, config, record = whole
    assert json.loads((folder / "results/small.json").read_text()) == record
    assert check_methods(record) == []
    assert [m["name"] for m in record["methods"]] == METHODS
    assert [m["seeds"] for m in record["methods"]] == [[0, 1]] * 5
    assert (folder / "results/small.png").stat().st_size > 10_000
    assert (folder / "results/small-variants.png").stat().st_size > 10_000
    folders = {p.parent.name for p in folder.glob("runs/small/seed-1/*/result.json")}
    assert folders == {"multi-rate", "input", "ungated", "beta-0.1", "beta-0.1-annealed", "beta-2",
                       "beta-2-annealed"}  # fmt: skip
    stamps = {p: p.stat().st_mtime_ns for p in folder.rglob("*.safetensors")}
    again = run_methods(config, runs=folder / "runs", output=folder / "again", command="here")
    assert timeless(again) == timeless(record)
    assert again["cost"] == record["cost"]
    assert stamps == {p: p.stat().st_mtime_ns for p in folder.rglob("*.safetensors")}


def test_numbers_are_those_of_the_networks_on_held_out_samples(whole):
    folder, _, record = whole
    by_name = {curves.name: curves for curves in curves_from_record(record)}
    for name in ("input", "multi-rate"):
        run, material = load_run(folder / "runs/small/seed-1" / name)
        samples = material.split("test").spread(20).tensor()
        curves = by_name[name]
        found = evaluate_curve(run.network, samples, curves.betas, run.objective.likelihood,
                               seed=1, noise_draws=2)  # fmt: skip
        for column in ("rate", "distortion", "squared_error"):
            assert_close(getattr(curves, column)[1], getattr(found, column))
        units = active_units(run.network, samples, curves.betas)
        assert_close(curves.active_units[1], units.count)
    for name, suffix in (("dedicated", ""), ("annealed", "-annealed")):
        for place, beta in enumerate(("beta-0.1", "beta-2")):
            run, _ = load_run(folder / f"runs/small/seed-0/{beta}{suffix}")
            assert run.config.beta.annealing == ("linear" if suffix else "none")
            found = evaluate_curve(run.network, samples, [run.config.beta.value],
                                   run.objective.likelihood, seed=0, noise_draws=2)  # fmt: skip
            assert_close(by_name[name].distortion[0, place], found.distortion[0])


def test_the_cost_is_that_of_the_runs(whole):
    folder, _, record = whole
    spent = {
        p.parent.name: json.loads(p.read_text())["seconds"]
        for p in folder.glob("runs/small/seed-1/*/result.json")
    }
    by_name = {curves.name: curves for curves in curves_from_record(record)}
    assert_close(by_name["dedicated"].seconds[1], spent["beta-0.1"] + spent["beta-2"])
    assert_close(by_name["input"].seconds[1], spent["input"])
    assert (by_name["dedicated"].runs, by_name["input"].runs) == (2, 1)
    run, _ = load_run(folder / "runs/small/seed-0/input")
    assert by_name["input"].parameters == sum(p.numel() for p in run.network.parameters())


def test_the_zero_of_a_gaussian_is_the_constant_of_its_density(whole):
    _, _, record = whole
    constant = 36 / 2 * np.log(2 * np.pi * 0.1)
    assert_close(record["statistics"]["zero"], constant)
    for method in record["methods"]:
        for point in method["points"]:
            want = constant + point["squared_error"] / 0.2 + point["beta"] * point["rate"]
            assert_close(point["objective"], want, "stored", "float32")


@pytest.mark.slow
def test_runs_side_by_side_come_out_bit_for_bit_the_same(whole, tmp_path):
    folder, config, record = whole
    done = []
    both = run_methods(config, runs=tmp_path / "runs", output=tmp_path / "results", command="here",
                       jobs=2, progress=lambda *now: done.append(now))  # fmt: skip
    assert timeless(both) == timeless(record)
    assert (both["conditions"]["jobs"], record["conditions"]["jobs"]) == (2, 1)
    found = weights(tmp_path / "runs")
    assert len(found) == 14
    assert found == weights(folder / "runs")
    assert done[-1] == (14, 14)
    assert all(b >= a for (a, _), (b, _) in itertools.pairwise(done))


def test_convolutional_networks_from_the_command_line(home, capsys):
    record = compare(capsys, settings(CONV))
    assert [m["name"] for m in record["methods"]] == ["multi-rate", "dedicated"]
    assert {row["verdict"] for c in record["comparisons"] for row in c["rows"]} == {"one seed"}
    assert record["statistics"]["interval"].startswith("none")
    assert record["statistics"]["n_features"] == 784
    assert record["reference"] is None
    assert not (home / "results/small-variants.png").exists()


def test_the_tables_show_the_record(home, capsys, monkeypatch, whole):
    _, _, record = whole
    monkeypatch.setattr("deep.cli.compare.run_methods", lambda *_, **__: record)
    assert cli.main(["compare", settings()]) == 0
    shown = re.sub(r"\s+", " ", capsys.readouterr().out)
    for words in ("One network for all β", "Variant input", "annealed", "Cost of one seed", "dB"):
        assert words in shown
    for comparison in record["comparisons"]:
        about = comparison["summary"]
        row = (f"{100 * about['worst']:+.2f} % {about['worst_beta']:.3g} "
               f"{100 * about['mean']:+.2f} % {about['verdict']}")  # fmt: skip
        assert row in shown
    assert f"took {record['cost']['ratio']:.2f} times" in shown


class Pixels:
    """Features that need no training."""

    name, sha256 = "sums of pixels", "none"

    def __call__(self, images):
        return torch.stack((images.mean((1, 2, 3)), images[:, :, :3].mean((1, 2, 3))), dim=1)


def test_the_quality_of_images_is_measured_when_asked_for(
    whole, tmp_path, tmp_path_factory, monkeypatch, capsys
):
    folder, config, record = whole
    config = config.with_changes(evaluation={"frechet": True, "images": 8})
    monkeypatch.setattr(image_quality, "classifier_features", lambda _: Pixels())
    monkeypatch.setattr(image_quality, "_ROWS", 2)
    draw, shown = image_quality.draw_reconstructions, []
    monkeypatch.setattr(image_quality, "draw_reconstructions",
                        lambda *what: shown.append(what[1]) or draw(*what))  # fmt: skip
    runs = shutil.copytree(folder / "runs", tmp_path_factory.mktemp("copied") / "runs")
    found = run_methods(config, runs=runs, output=tmp_path, command="here")
    assert record["quality"] is None
    section = found["quality"]
    names = [(entry["method"], entry["seed"]) for entry in section["methods"]]
    assert sorted(names) == [("dedicated", 0), ("dedicated", 1), ("multi-rate", 0),
                             ("multi-rate", 1)]  # fmt: skip
    again = image_quality.quality_from_record(section)
    assert_close(again["multi-rate"][0].betas, reading_betas(config))
    assert_close(again["dedicated"][1].betas, np.array([0.1, 2.0]))
    assert again["dedicated"][1].features == "sums of pixels"
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"small.json", "small.png", "small-variants.png", "small-quality.png"} | {
        f"small-{what}-{name}.png"
        for what in ("samples", "reconstructions") for name in ("multi-rate", "dedicated")
    }  # fmt: skip
    held_out = jobs.Materials().of(config).split("test").spread(8).tensor()
    for originals in shown:  # files are often sorted by class: not the first two
        assert torch.equal(originals.flatten(1), held_out[[0, 4]].flatten(1).to(originals.dtype))
    assert len(shown) == 2
    _print_quality(console.Printer(), found)
    assert "features: sums of pixels" in capsys.readouterr().out


def test_an_interrupted_comparison_goes_on(home, capsys, monkeypatch):
    path = settings(variants={}, dedicated={"points": 1, "also_annealed": "linear"}, seeds=[0])
    batches = TensorBatches.batch

    def interrupted(self, step, *rest):
        if step == 3:
            signal.raise_signal(signal.SIGINT)
        return batches(self, step, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(TensorBatches, "batch", interrupted)
        assert cli.main(["compare", path, "--quiet"]) == 130
    assert "goes on" in capsys.readouterr().err
    found = compare(capsys, path)
    assert timeless(compare(capsys, path, "--runs", "other")) == timeless(found)


# --- plans ---------------------------------------------------------------------------------------


def test_networks_are_read_at_every_beta_that_is_compared(config):
    published = changed(data={"name": "binarized_mnist", "limit": None}, model={"kind": "resnet"},
                        beta={"low": 0.01, "high": 10.0}, evaluation={"points": 4},
                        training={"epochs": 8})  # fmt: skip
    assert_close(reading_betas(published), np.geomspace(0.01, 10, 10))
    longer = published.with_changes(training={"epochs": 9})
    assert_close(reading_betas(longer), np.geomspace(0.01, 10, 4))
    assert_close(reading_betas(config), np.array([0.1, np.sqrt(0.2), 2.0]))
    two = config.with_changes(dedicated={"points": 4})
    want = np.unique(np.round(np.concatenate([np.geomspace(0.1, 2, n) for n in (3, 4)]), 12))
    assert_close(reading_betas(two), want)
    assert set(np.geomspace(0.1, 2, 4)) <= set(reading_betas(two))


def test_dedicated_networks_for_some_seeds_only(config, tmp_path):
    some = config.with_changes(dedicated={"seeds": 1})
    runs = plan_runs(some, tmp_path)
    assert {r.seed for r in runs if r.kind in ("dedicated", "annealed")} == {0}
    assert sum(r.kind == "variant" for r in runs) == 4
    assert len({r.folder for r in runs}) == len(runs)


def test_which_experiments_have_no_optimum(config):
    alone = {"also_annealed": "none"}
    assert compares_methods(config)
    assert compares_methods(config.with_changes(dedicated=alone))
    assert not compares_methods(changed(dedicated=alone))
    assert compares_methods(changed(dedicated=alone, model={"kind": "conv"}))
    assert compares_methods(changed(dedicated={"also_annealed": "cyclical"}))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"likelihood": {"kind": "calibrated"}}, "fix the variance"),
        ({"variants": {"annealed": {}}}, "names other than"),
        ({"dedicated": {"annealing": "linear"}}, "the same networks"),
        ({"beta": {"draw": "constant"}}, "multi-rate network"),
        ({"model": {"kind": "linear"}}, "the optimum is known"),
    ],
)
def test_what_cannot_be_compared_is_refused(changes, match, tmp_path):
    with pytest.raises(ConfigError, match=match):
        plan_runs(changed(**changes), tmp_path)


def test_refused_before_training(home, capsys, monkeypatch):
    monkeypatch.setattr(jobs, "train_run", lambda *_, **__: pytest.fail("trained"))
    several = {**SMALL["training"], "threads": 2}
    for changes, options, match in (
        ({"training": several}, ("--jobs", "2"), "training.threads=1"),
        ({}, ("--output", "images.npy"), "a folder that can be written"),
        ({}, ("--jobs", "0"), "integer >= 1"),
        ({"data": {"name": "file", "path": "none.npy"}}, (), "none.npy"),
    ):
        assert cli.main(["compare", settings(**changes), *options]) == 2
        err = capsys.readouterr().err
        assert re.search(match, err)
        assert err.count("\n") == 1
