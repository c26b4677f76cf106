"""Whole experiments: on which data they are judged, beside which optimum, and at what cost."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn.datasets import load_digits

import linvae as lv
from deep.comparison import bernoulli_fit, experiment, jobs
from deep.config import ExperimentConfig
from deep.data.load import load_dataset
from deep.errors import DataError, InputError
from deep.runs import dedicated_settings, load_run
from linvae.errors import UnboundedObjectiveError
from tests.deep.test_cli import LINEAR, SMALL
from tests.tolerances import assert_close

PIXELS = load_digits().images.reshape(-1, 64) / 16
TRAIN = PIXELS[np.arange(200) * 1500 // 200]  # the limit holds for either split
TEST = PIXELS[1500 + np.arange(200) * 297 // 200]
VARIANCE = SMALL["likelihood"]["noise_variance"]
SOURCE = {"name": "gaussian", "spectrum": [2.0, 0.5, 0.1]}
FEW_STEPS = {**SMALL["training"], "epochs": 1, "batch_size": 5000}
DEDICATED = ("beta-0.1", "beta-2")


def run(folder, content, **changes):
    config = ExperimentConfig.model_validate({**content, **changes})
    return experiment.run_experiment(
        config, runs=folder / "runs", output=folder / "results", command="made here"
    )


@pytest.fixture(scope="module")
def nonlinear(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nonlinear")
    plan = {**SMALL["training"], "optimiser": {"learning_rate": 0.002, "gate_learning_rate": 0.003}}
    alone = {"points": 2, "seeds": 1, "learning_rate": 0.0005, "annealing": "linear"}
    return folder, run(folder, SMALL, seeds=[0, 1], training=plan, dedicated=alone)


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    folder = tmp_path_factory.mktemp("linear")
    return folder, run(folder, LINEAR, seeds=[0, 1])


def column(record, name, part="multi_rate"):
    return np.array([row[name] for row in record[part]])


def optimum(spectrum, betas, k=3):
    points = lv.Frontier(spectrum, latent_dim=k, noise_variance=VARIANCE).at_beta(betas)
    return np.asarray(points.distortion + betas * points.rate)


def assert_optimum(record, spectrum, k=3, scale=1e-5):
    """Pixels are float32 on one side; other data are nats away."""
    betas = column(record, "beta")
    assert np.abs(column(record, "optimum") - optimum(spectrum, betas, k)).max() <= scale


# --- the optimum is that of the data the networks are judged on ----------------------------------


def test_networks_judged_on_held_out_samples_have_the_optimum_of_these(nonlinear):
    _, record = nonlinear
    of_test = lv.Spectrum.from_samples(TEST[np.arange(60) * 200 // 60])
    assert_optimum(record, of_test)
    betas = column(record, "beta")
    of_train = lv.Spectrum.from_samples(TRAIN)
    assert np.abs(optimum(of_test, betas) - optimum(of_train, betas)).max() > 0.1, "another optimum"
    statement = record["reference"]["statement"]
    assert "60 held-out samples themselves" in statement
    assert record["conditions"]["data"]["judged_on"] == "60 held-out samples"


def test_linear_networks_are_judged_by_the_training_samples(linear):
    _, record = linear
    assert_optimum(record, lv.Spectrum.from_samples(TRAIN))
    assert column(record, "excess_nats").min() >= -1e-9
    assert record["conditions"]["data"]["judged_on"] == (
        "the mean and covariance of 200 training samples, exactly"
    )
    assert "training samples themselves" in record["reference"]["statement"]


@pytest.mark.parametrize("content", [SMALL, LINEAR], ids=["mlp", "linear"])
@pytest.mark.parametrize("k", [2, 3])
def test_a_source_has_the_optimum_of_the_population(content, k, tmp_path):
    """Shannon's with as many latents as eigenvalues; with fewer, only that of linear models."""
    model = {**content["model"], "latent_dim": k}
    record = run(tmp_path, content, data=SOURCE, model=model, training=FEW_STEPS,
                 dedicated={"points": 0})  # fmt: skip
    assert_optimum(record, lv.Spectrum.from_eigenvalues(np.array(SOURCE["spectrum"])), k, 1e-10)
    assert record["reference"]["bounds"] == ("every VAE" if k == 3 else "linear VAEs")
    judged, about = record["conditions"]["data"]["judged_on"], record["statistics"]["multi_rate"]
    statement = record["reference"]["statement"]
    if content is LINEAR:
        assert judged == "the mean and covariance of the source, exactly"
        assert (about["n_samples"], about["over"]) == (None, "exact, one seed")
        assert "judged exactly by its mean and covariance" in statement
        assert "the optimum of the source" in record["held_out"]["statement"]
    else:
        assert judged == "60 held-out samples"
        assert about["over"] == "held-out samples"
        assert "judged on 60 samples drawn from it" in statement


def test_bernoulli_models_are_fitted_on_bits_and_judged_on_held_out_ones(tmp_path, monkeypatch):
    seen = {}

    def fit(samples, **options):
        found = bernoulli_fit.fit_bernoulli(samples, steps=2, **options)
        seen.update(samples=samples, found=found)
        return found

    monkeypatch.setattr(experiment, "fit_bernoulli", fit)
    monkeypatch.setattr(bernoulli_fit, "_polish", lambda *_: None)
    data = {**SMALL["data"], "binarise": True}
    record = run(tmp_path, SMALL, data=data, likelihood={"kind": "bernoulli"},
                 dedicated={"points": 0})  # fmt: skip
    bits = seen["samples"]
    assert bits.shape == (200, 64)
    assert set(np.unique(bits)) == {0, 1}
    noise = np.sqrt((TRAIN * (1 - TRAIN)).sum())  # of the number of ones
    assert abs(bits.sum() - TRAIN.sum()) <= 5 * noise
    config = ExperimentConfig.model_validate({**SMALL, "data": data})
    test = load_dataset(config.data, split="test").flattened().spread(60).tensor().numpy()
    betas = column(record, "beta")

    def best(samples):
        terms = [model.evaluate(samples) for model in seen["found"].models]
        return np.min([t.distortion.mean() + betas * t.rate.mean() for t in terms], axis=0)

    assert_close(column(record, "optimum"), best(test))
    assert np.abs(best(test) - best(bits)).min() > 1e-3
    assert_close(seen["found"].betas, betas)
    statement = record["reference"]["statement"]
    assert "Fitted on 200 training samples, pixels drawn once as 0 or 1" in statement
    assert "judged on the 60 held-out samples" in statement


def value_of(parameters, samples, beta):
    """Rate and distortion of a linear VAE, averaged over samples one by one."""
    encoder, variance, decoder, mean = parameters
    centred = samples - mean
    latent = centred @ encoder.T
    rate = 0.5 * ((latent**2).sum(1) + (variance - 1 - np.log(variance)).sum()).mean()
    left = ((centred - latent @ decoder.T) ** 2).sum(1).mean() + (decoder**2 @ variance).sum()
    n = samples.shape[1]
    return rate, left / (2 * VARIANCE) + n / 2 * np.log(2 * np.pi * VARIANCE)


def test_the_table_of_held_out_samples_by_hand(linear):
    folder, record = linear
    spectrum = lv.Spectrum.from_samples(TRAIN)
    loaded = [load_run(folder / f"runs/small/seed-{s}/multi-rate")[0].network for s in (0, 1)]
    assert record["held_out"]["n_samples"] == len(TEST)
    for row in record["held_out"]["multi_rate"]:
        beta, found = row["beta"], []
        for network in loaded:
            with torch.no_grad():
                parts = [p.double().numpy() for p in network.at(torch.tensor(beta))]
            found.append(value_of((*parts, network.mean.double().numpy()), TEST, beta))
        rate, distortion = np.mean(found, axis=0)
        got = np.array([row["rate"], row["distortion"], row["objective"]])
        want = np.array([rate, distortion, distortion + beta * rate])
        assert_close(got, want, "difference")
        vae = lv.response(spectrum, beta, latent_dim=3, noise_variance=VARIANCE)
        best = (vae.encoder, vae.posterior_variance, vae.decoder, spectrum.mean)
        rate, distortion = value_of(best, TEST, beta)
        assert_close(row["objective_of_training_optimum"], distortion + beta * rate, "difference")


# --- what it cost, and how it was trained --------------------------------------------------------


@pytest.mark.parametrize("name", ["nonlinear", "linear"])
def test_the_cost_is_that_of_the_runs(name, request):
    folder, record = request.getfixturevalue(name)
    spent = {
        path.parent.relative_to(folder / "runs/small").as_posix(): json.loads(path.read_text())
        for path in folder.glob("runs/small/*/*/result.json")
    }
    seconds = {place: content["seconds"] for place, content in spent.items()}
    cost = record["cost"]
    assert len(seconds) == (4 if name == "nonlinear" else 6)
    multi = [seconds[f"seed-{seed}/multi-rate"] for seed in (0, 1)]
    assert_close(cost["multi_rate_seconds"], np.mean(multi))
    alone = sum(seconds[f"seed-0/{place}"] for place in DEDICATED)
    assert_close(cost["dedicated_seconds"], alone)
    assert_close(cost["ratio"], np.mean(multi) / alone)
    assert cost["steps"] == 8
    assert cost["dedicated_runs"] == 2


def test_seeds_and_dedicated_networks_are_counted_apart(nonlinear, linear):
    about = nonlinear[1]["statistics"]
    assert about["multi_rate"]["over"] == "seeds and held-out samples"
    assert about["dedicated"]["over"] == "held-out samples"
    assert (about["multi_rate"]["n_seeds"], about["dedicated"]["n_seeds"]) == (2, 1)
    assert linear[1]["statistics"]["dedicated"]["over"] == "seeds"


def test_the_notes_say_how_either_was_trained(nonlinear):
    notes = " ".join(nonlinear[1]["notes"])
    assert "Multi-rate networks: learning rate 0.002 (0.003 for gates" in notes
    assert "annealing of beta none. Dedicated" in notes
    assert "Dedicated networks: learning rate 0.0005" in notes
    assert "annealing of beta linear." in notes
    assert "were not trained again" in notes


def test_dedicated_networks_have_the_settings_of_the_multi_rate_one_but_for_these():
    content = {
        **SMALL,
        "training": {**SMALL["training"], "sharpness": [1.0, 50.0]},
        "beta": {**SMALL["beta"], "draw": "batch", "annealing": "geometric"},
        "dedicated": {"points": 2, "annealing": "cyclical", "learning_rate": 0.004},
    }
    config = ExperimentConfig.model_validate(content)
    want = config.model_dump()
    want["beta"].update(draw="constant", value=0.7, annealing="cyclical")
    want["training"]["sharpness"] = None
    want["training"]["optimiser"]["learning_rate"] = 0.004
    assert dedicated_settings(config, 0.7).model_dump() == want
    same = config.with_changes(dedicated={"learning_rate": None})
    want["training"]["optimiser"]["learning_rate"] = config.training.optimiser.learning_rate
    want["dedicated"]["learning_rate"] = None
    assert dedicated_settings(same, 0.7).model_dump() == want


def test_trained_dedicated_networks_are_those_of_their_betas(nonlinear):
    folder, record = nonlinear
    for name, row in zip(DEDICATED, record["dedicated"], strict=True):
        loaded, _ = load_run(folder / "runs/small/seed-0" / name)
        assert loaded.config.beta.value == row["beta"]
        assert loaded.config.training.optimiser.learning_rate == 0.0005


# --- what is refused is refused before the training ----------------------------------------------


@pytest.fixture
def untrained(monkeypatch):
    def train(*_, **__):
        raise AssertionError("trained before it was refused")

    monkeypatch.setattr(jobs, "train_run", train)


@pytest.mark.usefixtures("untrained")
def test_an_output_that_is_a_file(tmp_path):
    (tmp_path / "results").write_text("mine")
    with pytest.raises(InputError, match="a folder that can be written"):
        run(tmp_path, SMALL)
    assert (tmp_path / "results").read_text() == "mine"


@pytest.mark.usefixtures("untrained")
def test_betas_without_an_optimum(tmp_path):
    with pytest.raises(UnboundedObjectiveError):
        run(tmp_path, SMALL, data=SOURCE, likelihood={"kind": "calibrated"})


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("content", [SMALL, LINEAR], ids=["mlp", "linear"])
def test_data_without_held_out_samples(content, tmp_path):
    np.save(tmp_path / "few.npy", np.random.default_rng(0).random((5, 4)))
    with pytest.raises(DataError):
        run(tmp_path, content, data={"name": "file", "path": str(tmp_path / "few.npy")})


def test_a_calibrated_optimum_is_read_where_it_is_defined(tmp_path):
    """Three latents for three eigenvalues: defined for β > 1 only, and read from 1.2 on."""
    record = run(tmp_path, SMALL, data=SOURCE, likelihood={"kind": "calibrated"},
                 beta={"low": 1.2, "high": 4.0, "draw": "batch"}, training=FEW_STEPS,
                 dedicated={"points": 0})  # fmt: skip
    assert record["reference"]["curve"]["betas"][0] == 1.2
