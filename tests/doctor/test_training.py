"""The clinic of trainers, and what surrounds an examination."""

from __future__ import annotations

import json
import random
import warnings

import numpy as np
import pytest

import linvae as lv
from linvae.doctor.training import _hypotheses as hypotheses
from linvae.doctor.training import examine_model, examine_trainer
from linvae.doctor.training._words import WORDS
from linvae.errors import InputError

from .clinic.trainers import FAULTY, RIGHT

SEEDS = range(20)  # all of them with every case: python -m benchmarks.clinic


def _first(examination):
    assert examination.failure is None, examination.failure
    return examination.findings[0].code if examination.findings else None


@pytest.mark.parametrize("name", RIGHT)
def test_nothing_is_found_in_what_is_right(name):
    subject, options = RIGHT[name]
    examination = examine_trainer(subject, seeds=(5,), **options)
    assert examination.healthy, examination.findings
    assert examination.exit_code == 0
    assert examination.facts["effective_beta_over_beta"] == pytest.approx(1, rel=0.02)
    assert examination.facts["largest_normalised_excess"] < 0.01


@pytest.mark.parametrize("name", FAULTY)
def test_the_fault_is_named(name):
    subject, options, code = FAULTY[name]
    examination = examine_trainer(subject, seeds=(6,), quick=name not in _FULL, **options)
    assert _first(examination) == code
    assert examination.exit_code == 1
    found = examination.findings[0]
    assert found.found
    assert found.cause
    assert found.remedy
    assert found.evidence
    json.dumps(examination.as_plain(), allow_nan=False)  # plain numbers and text throughout


# A latent is not missed where the optimum has few, and a batch size is told from n by four widths.
_FULL = (
    "ddof 1",
    "KL times batch size",
    "annealing",
    "free bits",
    "log_var clamped",
    "weight decay",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT)
def test_nothing_is_found_over_twenty_seeds(name):
    """Each right one with five of twenty seeds."""
    subject, options = RIGHT[name]
    for seed in SEEDS[list(RIGHT).index(name) % 4 :: 4]:
        examination = examine_trainer(subject, seeds=(seed,), **options)
        assert examination.healthy, (seed, examination.findings)


@pytest.mark.slow
def test_ninety_five_in_a_hundred_faults_are_named_over_twenty_seeds():
    """Each fault at one of twenty seeds, every seed for a twentieth of the faults."""
    missed, total = [], 0
    for place, (name, (subject, options, code)) in enumerate(FAULTY.items()):
        for seed in SEEDS[place % 20 :: 20]:
            quick = name not in _FULL
            got = _first(examine_trainer(subject, seeds=(seed,), quick=quick, **options))
            total += 1
            if got != code:
                missed.append((name, seed, got))
    assert len(missed) <= 0.05 * total, missed


def _torch_cases():
    pytest.importorskip("torch")
    from .clinic.torch_trainers import TORCH_FAULTY, TORCH_RIGHT

    return TORCH_FAULTY, TORCH_RIGHT


@pytest.mark.slow
def test_faults_in_ordinary_torch_loops_are_named():
    for name, (subject, options, code) in _torch_cases()[0].items():
        got = _first(examine_trainer(subject, quick=True, **options))
        assert got == code, (name, got)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["torch: sum of squares", "torch: distributions", "torch: hidden layers"]
)
def test_right_torch_loops_are_healthy(name):
    subject, options = _torch_cases()[1][name]
    examination = examine_trainer(subject, **options)
    assert examination.healthy, (name, examination.findings)


def test_every_explanation_has_words_and_every_fault_a_case():
    fits = []
    codes = {e.code for e in hypotheses.explanations(fits, 0.1, declared=True)} - {"right"}
    assert codes <= set(WORDS)
    assert {code for *_, code in FAULTY.values()} <= set(WORDS)
    assert len(FAULTY) >= 12
    assert len(RIGHT) >= 4


def test_other_forms_of_an_answer_are_read_as_they_are_meant():
    for name, says in (
        ("std returned", "(mean, standard deviation)"),
        ("variance returned", "(mean, variance)"),
        ("log_var first", "(log_var, mean)"),
        ("log std returned", "(mean, log_std)"),
    ):
        subject, options, code = FAULTY[name]
        examination = examine_trainer(subject, quick=True, **options)
        assert [f.code for f in examination.findings] == [code]
        assert examination.facts["encode_is_read_as"] == says
        assert examination.facts["effective_beta_over_beta"] == pytest.approx(1, rel=0.02)
    facts = examine_trainer(RIGHT["sample first"][0]).facts
    assert facts["encode_is_read_as"] == "(z, mean, log_var)"
    facts = examine_trainer(RIGHT["sample last"][0]).facts
    assert "encode_is_read_as" not in facts


def test_a_batch_of_one_that_is_refused_is_said():
    facts = examine_trainer(RIGHT["no batch of one"][0], quick=True).facts
    assert "batch of 1: AssertionError" in facts["not_asked"]


def test_more_latents_than_features_are_a_finding():
    right = RIGHT["closed form, half"][0]

    class Wide(_Linear):
        def __init__(self):
            pass

        def encode(self, x):
            return np.zeros((len(x), 16)), np.zeros((len(x), 16))

        def decode(self, z):
            return np.zeros((len(z), self.n))

    def fit(X, beta, latent_dim, seed):
        model = Wide()
        model.n = right(X, beta, latent_dim, seed).decode(np.zeros((1, latent_dim))).shape[1]
        return model

    examination = examine_trainer(fit)
    assert examination.failure is None
    assert [f.code for f in examination.findings] == ["latent-dim-ignored"]
    assert examination.findings[0].evidence["returned"] == [16]


def test_one_run_names_every_factor_that_it_cannot_tell_apart():
    spectrum = lv.Spectrum.from_eigenvalues([9.0, 5.0, 3.0, 0.5])
    vae = lv.response(spectrum, 0.8 / 4, latent_dim=3, noise_variance=0.5)
    examination = examine_model(_Linear(vae), spectrum, 0.8, noise_variance=0.5)
    found = examination.findings[0]
    told = {found.code, *found.evidence["explained_as_well_by"].split(", ")}
    assert {"kl-divided-by-features", "annealing-unfinished"} <= told
    assert "these runs cannot tell it from" in found.cause
    assert examination.facts["correction"] == "multiply the KL term by 4"


def test_several_seeds_are_pooled_and_progress_is_told():
    told = []
    examination = examine_trainer(
        RIGHT["closed form, half"][0],
        noise_variance=1.0,
        seeds=(1, 2),
        quick=True,
        progress=lambda done, total: told.append((done, total)),
        subject="mine",
    )
    assert examination.subject == "mine"
    assert examination.kind == "trainer"
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [r["seed"] for r in examination.facts["runs"]] == [1, 2, 1, 2]
    latents = examination.facts["runs"][0]["latents"]
    tau = examination.facts["runs"][0]["beta"] * 1.0
    for law in ("variance", "decoder", "encoder"):
        assert [row[f"water_level_from_{law}"] for row in latents] == pytest.approx([tau] * 3)


def test_the_convention_is_named_when_it_is_not_declared():
    for name, variance in (("closed form, sum of squares", 0.5), ("closed form, half", 1.0)):
        facts = examine_trainer(RIGHT[name][0]).facts
        assert facts["noise_variance"] == variance
        assert not facts["noise_variance_declared"]
        assert facts["correction"].startswith("none")


def test_the_correction_is_the_factor():
    facts = examine_trainer(FAULTY["no half in the KL"][0], noise_variance=0.5, quick=True).facts
    assert facts["correction"] == "multiply the KL term by 0.5"
    facts = examine_trainer(FAULTY["mean over features"][0], quick=True).facts
    assert facts["correction"] == "multiply the KL term by 1 / n"


def test_what_they_raise_is_theirs():
    def fit(X, beta, latent_dim, seed):
        raise KeyError("no such layer")

    examination = examine_trainer(fit)
    assert "KeyError" in examination.failure
    assert "raised by the examined code" in examination.failure
    assert examination.exit_code == 2
    assert not examination.findings
    examination = examine_trainer(lambda X, beta, k, seed: None)
    assert "without encode" in examination.failure


def test_bad_options_are_refused():
    fit = RIGHT["closed form, half"][0]
    for options in (
        {"noise_variance": 0.0},
        {"noise_variance": "one"},
        {"betas": [1.0, -1.0]},
        {"betas": []},
        {"seeds": (0.5,)},
    ):
        with pytest.raises(InputError):
            examine_trainer(fit, **options)
    model = fit(np.random.default_rng(0).standard_normal((50, 4)), 0.5, 2, 0)
    for data, beta in ((np.zeros(3), 1.0), (np.zeros((5, 4)), 0.0)):
        with pytest.raises(InputError):
            examine_model(model, data, beta)


def test_global_state_and_their_data_are_left_alone(capsys):
    fit = RIGHT["closed form, half"][0]

    def loud(X, beta, latent_dim, seed):
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        np.seterr(all="ignore")
        warnings.warn("loud", stacklevel=1)
        print("epoch 1")
        model = fit(X.copy(), beta, latent_dim, seed)
        X[:] = 0  # their array is theirs
        return model

    before = np.random.get_state()[1].copy(), random.getstate(), np.geterr()  # noqa: NPY002
    assert examine_trainer(loud, quick=True).healthy
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert random.getstate() == before[1]
    assert np.geterr() == before[2]
    assert capsys.readouterr().out == ""


def test_training_that_diverges_is_a_finding():
    right = RIGHT["closed form, half"][0]

    def fit(X, beta, latent_dim, seed):
        model = right(X, beta, latent_dim, seed)
        model.w["E"] = model.w["E"] * np.nan
        return model

    examination = examine_trainer(fit)
    assert _first(examination) == "training-diverged"


def test_torch_seeds_and_modes_are_left_alone():
    torch = pytest.importorskip("torch")
    from .clinic import torch_trainers

    def fit(X, beta, latent_dim, seed):
        torch.manual_seed(seed)
        model = torch_trainers.VAE(X.shape[1], latent_dim)
        assert X.dtype == torch.float32
        return model

    before, graded = torch.get_rng_state(), torch.is_grad_enabled()
    options = {"convert": torch_trainers.convert, "state": torch_trainers.state}
    examination = examine_trainer(fit, quick=True, **options)
    assert examination.failure is None
    assert _first(examination) in ("not-converged", "stuck")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled() == graded


class _Linear:
    def __init__(self, vae):
        self.vae = vae

    def encode(self, x):
        mean = self.vae.encode(x)
        return mean, np.broadcast_to(np.log(self.vae.posterior_variance), mean.shape)

    def decode(self, z):
        return self.vae.decode(z)


def test_one_model_on_its_own_data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 5)) * [3.0, 2.0, 1.5, 0.3, 0.2] + 7.0
    spectrum = lv.Spectrum.from_samples(X)

    def model(beta):
        return _Linear(lv.response(spectrum, beta, latent_dim=3, noise_variance=0.5))

    for data in (X, spectrum):
        examination = examine_model(model(0.8), data, 0.8, noise_variance=0.5)
        assert examination.healthy, examination.findings
        assert examination.kind == "model"
        assert examination.facts["runs"][0]["effective_beta"] == pytest.approx(0.8)
    examination = examine_model(model(0.8 * 5), X, 0.8, noise_variance=0.5)
    assert _first(examination) == "squared-error-averaged"
    examination = examine_model(model(0.8 * 0.41), X, 0.8, noise_variance=0.5)
    assert _first(examination) == "annealing-unfinished"
    assert examination.facts["effective_beta_over_beta"] == pytest.approx(0.41)
    examination = examine_model(model(0.8), X - 7.0, 0.8, noise_variance=0.5)
    assert {f.code for f in examination.findings} <= {"offset-wrong", "decoder-offset-missing"}
    assert examination.findings
    assert "ZeroDivisionError" in examine_model(_Broken(), X, 1.0).failure
    wide = _Linear(lv.response(spectrum, 1.0, latent_dim=3, noise_variance=0.5))
    assert "2 latents" not in (examine_model(wide, X, 1.0).failure or "")


class _Broken:
    def encode(self, x):
        return 1 / 0

    def decode(self, z):
        return z


def test_a_model_that_is_wrong_for_another_reason_is_not_called_right():
    """Laws hold, but a latent follows a mode of smaller variance than a free one: a saddle."""
    spectrum = lv.Spectrum.from_eigenvalues([9.0, 5.0, 4.5, 0.8])
    vae = lv.response(spectrum, 1.0, latent_dim=4, noise_variance=0.5)
    keep = [0, 1, 3]
    wrong = lv.LinearVAE(
        vae.encoder[keep], vae.posterior_variance[keep], vae.decoder[:, keep], np.asarray(0.5)
    )
    examination = examine_model(_Linear(wrong), spectrum, 1.0, noise_variance=0.5)
    assert examination.facts["runs"][0]["modes_wrongly_dead"] == [2]
    assert examination.facts["runs"][0]["modes_wrongly_alive"] == [3]
    assert examination.facts["largest_excess_nats"] > 0.1
    assert _first(examination) == "stuck"
