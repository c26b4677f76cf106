"""linvae train | evaluate | compare: they run, agree with the library, and answer in one line."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import yaml

from deep.comparison.record import check_record
from deep.config import ExperimentConfig
from deep.data.batches import TensorBatches
from deep.evaluation.curve import evaluate_curve
from deep.presets import PRESETS
from deep.runs import load_run
from linvae import cli

SMALL = {
    "name": "small",
    "title": "A small experiment.",
    "data": {"name": "digits", "limit": 200},
    "model": {"kind": "mlp", "latent_dim": 3, "hidden": [16]},
    "likelihood": {"kind": "gaussian", "noise_variance": 0.1},
    "beta": {"low": 0.1, "high": 2.0},
    "training": {"epochs": 2, "batch_size": 50, "accelerator": "cpu", "threads": 1},
    "evaluation": {"points": 3, "limit": 60},
    "dedicated": {"points": 2},
}
LINEAR = {**SMALL, "model": {"kind": "linear", "latent_dim": 3, "encoder_gate": "sqrt_relu",
                             "decoder_gate": "sqrt_relu"}}  # fmt: skip


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(content=SMALL, **changes):
        path = tmp_path / "settings.yaml"
        path.write_text(yaml.safe_dump({**content, **changes}))
        return str(path)

    return write


def run(*arguments):
    return cli.main(list(arguments))


def document(capsys, *arguments):
    assert run(*arguments, "--json") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def test_train_then_evaluate(settings, capsys):
    trained = document(capsys, "train", settings(), "--output", "out")
    assert trained["steps"] == 8
    assert trained["parameters"] > 0
    assert ExperimentConfig.model_validate(trained["settings"]).name == "small"
    again = document(capsys, "evaluate", "out")
    assert again["points"] == trained["held_out"], "the weights on disk are those that were trained"
    assert again["n_samples"] == 60
    loaded, material = load_run("out")
    samples = material.split("test").spread(60).tensor()
    curve = evaluate_curve(loaded.network, samples, [0.3, 0.7], loaded.objective.likelihood)
    at = document(capsys, "evaluate", "out", "--beta", "0.3", "0.7")
    assert [p["objective"] for p in at["points"]] == curve.objective.tolist()
    assert [p["rate_se"] for p in at["points"]] == curve.rate_se.tolist()


def test_evaluate_finds_a_beta_and_bounds_the_likelihood(settings, capsys):
    document(capsys, "train", settings(), "--output", "out")
    rates = [p["rate"] for p in document(capsys, "evaluate", "out")["points"]]
    wanted = (min(rates) + max(rates)) / 2
    found = document(capsys, "evaluate", "out", "--find-rate", str(wanted),
                     "--importance-samples", "4")  # fmt: skip
    assert found["find_rate"]["point"]["rate"] == pytest.approx(wanted, rel=1e-4)
    assert 0.1 <= found["find_rate"]["beta"] <= 2.0
    assert len(found["nll"]["value"]) == 3
    assert all(0 <= count <= 3 for count in found["active_units"])


def test_resuming_a_finished_run_returns_it(settings, capsys):
    path = settings()
    first = document(capsys, "train", path, "--output", "out")
    assert run("train", path, "--output", "out") == 2
    assert "holds a run" in capsys.readouterr().err
    again = document(capsys, "train", path, "--output", "out", "--resume")
    assert again["held_out"] == first["held_out"]
    assert run("train", path, "--output", "out", "--resume", "--set", "training.epochs=3") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_run_is_read_from_its_folder_alone(settings, capsys, tmp_path, monkeypatch):
    np.save("own.npy", np.random.default_rng(0).standard_normal((200, 6)))
    data = {"name": "file", "path": "own.npy"}
    path = settings(data=data, likelihood={"kind": "gaussian"})
    document(capsys, "train", path, "--output", "out")
    monkeypatch.chdir("/")
    folder = tmp_path / "out"
    first = document(capsys, "evaluate", str(folder))
    kept = folder / "experiment.json"
    changed = kept.read_text().replace('"noise_variance": 1.0', '"noise_variance": 2.0')
    assert changed != kept.read_text()
    kept.write_text(changed)
    assert run("evaluate", str(folder)) == 2
    assert "changed after training" in capsys.readouterr().err
    kept.write_text("{")
    assert run("evaluate", str(folder)) == 2
    assert "damaged" in capsys.readouterr().err
    kept.unlink()  # as after a kill before the last write; the path of the data is kept there
    assert run("evaluate", str(folder)) == 2
    assert "own.npy" not in json.dumps(first)


def test_interrupted_training_says_how_to_go_on(settings, capsys, monkeypatch):
    path = settings()
    whole = document(capsys, "train", path, "--output", "whole")
    batches = TensorBatches.batch

    def interrupted(self, step, *rest):
        if step == 5:
            signal.raise_signal(signal.SIGINT)
        return batches(self, step, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(TensorBatches, "batch", interrupted)
        assert run("train", path, "--output", "out", "--quiet") == 130
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "--resume" in captured.err
    assert run("evaluate", "out") == 2
    assert "unfinished" in capsys.readouterr().err
    again = document(capsys, "train", path, "--output", "out", "--resume")
    assert again["held_out"] == whole["held_out"]


def test_interrupted_comparison_goes_on(settings, capsys, monkeypatch):
    path = settings(dedicated={"points": 0})
    whole = document(capsys, "compare", path, "--runs", "whole")
    batches = TensorBatches.batch

    def interrupted(self, step, *rest):
        if step == 5:
            signal.raise_signal(signal.SIGINT)
        return batches(self, step, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(TensorBatches, "batch", interrupted)
        assert run("compare", path, "--quiet") == 130
    assert "goes on" in capsys.readouterr().err
    assert document(capsys, "compare", path)["multi_rate"] == whole["multi_rate"]


def test_dedicated_network_knows_its_beta(settings, capsys):
    trained = document(capsys, "train", settings(), "--dedicated", "0.5")
    assert trained["folder"].endswith("small/seed-0/beta-0.5")
    assert [p["beta"] for p in trained["held_out"]] == [0.5]
    assert run("evaluate", trained["folder"], "--beta", "1") == 2
    assert "trained for one" in capsys.readouterr().err


@pytest.mark.parametrize("content", [SMALL, LINEAR], ids=["mlp", "linear"])
def test_compare_writes_a_complete_record_and_a_picture(content, settings, capsys, tmp_path):
    path = settings(content, seeds=[0, 1])
    record = document(capsys, "compare", path)
    stored = json.loads((tmp_path / "results/small.json").read_text())
    assert stored == record
    assert check_record(record) == []
    assert len(record["multi_rate"]) == 3
    assert len(record["dedicated"]) == 2
    assert record["cost"]["dedicated_runs"] == 2
    assert (tmp_path / "results/small.png").stat().st_size > 10_000
    if content is LINEAR:
        assert min(p["excess_nats"] for p in record["multi_rate"]) >= -1e-9, "the optimum is one"
        assert len(record["held_out"]["multi_rate"]) == 3
    times = [p.stat().st_mtime_ns for p in sorted(tmp_path.glob("runs/*/*/*/model.safetensors"))]
    assert len(times) == 6
    assert document(capsys, "compare", path)["multi_rate"] == record["multi_rate"]
    after = [p.stat().st_mtime_ns for p in sorted(tmp_path.glob("runs/*/*/*/model.safetensors"))]
    assert after == times, "finished runs are not trained again"


@pytest.mark.parametrize(
    "likelihood", [{"kind": "bernoulli"}, {"kind": "calibrated"}], ids=lambda c: c["kind"]
)
def test_compare_has_a_reference_for_other_likelihoods(likelihood, settings, capsys):
    beta = {**SMALL["beta"], "draw": "batch"}
    path = settings(likelihood=likelihood, beta=beta, dedicated={"points": 0})
    record = document(capsys, "compare", path)
    assert record["dedicated"] == []
    assert np.isfinite([p["excess_nats"] for p in record["multi_rate"]]).all()


def test_gaussian_source_is_held_against_shannon(settings, capsys):
    data = {"name": "gaussian", "spectrum": [2.0, 0.5, 0.1]}
    plan = {**SMALL["training"], "epochs": 1, "batch_size": 5000}
    path = settings(data=data, training=plan, dedicated={"points": 0})
    record = document(capsys, "compare", path)
    assert record["reference"]["bounds"] == "every VAE"


def test_listing_and_showing(settings, capsys):
    assert run("train", "--list") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in PRESETS)
    assert run("compare", settings(), "--show", "--set", "training.epochs=7") == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["training"]["epochs"] == 7
    assert ExperimentConfig.model_validate(shown).name == "small"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["train"], "SETTINGS: got nothing"),
        (["train", "nothing.yaml"], "name of a preset or of a YAML file"),
        (["train", "{}", "--set", "training.epoch=3"], "did you mean epochs"),
        (["train", "{}", "--set", "data.name=mnst"], "data.name: got .mnst"),
        (["train", "{}", "--seed", "-1"], "--seed: got -1"),
        (["train", "{}", "--dedicated", "0"], "expected a number > 0"),
        (
            [
                "train",
                "{}",
                "--set",
                "model.latent_dim=70",
                "model.kind=linear",
                "model.hidden=[400]",
            ],
            "latent_dim: got 70",
        ),
        (["evaluate", "nowhere"], "the folder of a finished run"),
        (["train", "{}", "--output", "{}"], "is a file|expected"),
        (["train", "x" * 5000], "name of a preset or of a YAML file"),
        (["train", "{}", "--set", "training.epochs=" + "[" * 3000], "a value in YAML"),
        (["train", "{}", "--set", "data.limit=9", "data.name=file", "data.path=nine.npy"], "split"),
        (["train", "{}", "--set", "model.kind=linear", "likelihood.kind=bernoulli"], "use an mlp"),
        (["compare", "{}", "--set", "beta.draw=constant"], "multi-rate network"),
        (["compare", "{}", "--set", "likelihood.kind=discretised_logistic"], "not known"),
    ],
)
def test_bad_input_is_one_line_and_code_2(arguments, match, settings, capsys):
    path = settings()
    np.save("nine.npy", np.zeros((9, 4)))
    assert run(*(path if a == "{}" else a for a in arguments)) == 2
    err = capsys.readouterr().err
    assert re.search(match, err)
    assert not list(Path("runs").rglob("*.safetensors")), "refused before training"
    assert err.count("\n") == 1
    assert err.startswith("linvae: error: ")


def test_help_and_other_verbs_load_no_torch():
    code = "import sys; from linvae.cli import main; main(['train', '--help']); " \
           "print('torch' in sys.modules, file=sys.stderr)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "False"
    assert "--resume" in done.stdout
