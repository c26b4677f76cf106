"""The benchmarks of evaluation and of trained linear VAEs, run as small as they go."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import linvae as lv
from benchmarks import against_pythae, rd_evaluation
from tests.tolerances import assert_close, tolerance

POINTS = 3


@pytest.fixture(scope="module")
def small():
    """Few pixels and latents, all networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rd_evaluation, "PIXELS", 12)
        patch.setattr(rd_evaluation, "LATENTS", 3)
        patch.setattr(rd_evaluation, "BATCH", 100)
        cases = {
            name: (config.model_copy(update={"latent_dim": 3}), *rest)
            for name, (config, *rest) in rd_evaluation.CASES.items()
        }
        patch.setattr(rd_evaluation, "CASES", cases)
        yield rd_evaluation


@pytest.mark.parametrize("case", rd_evaluation.CASES)
def test_three_ways_to_read_a_curve_agree(small, case):
    row = small.measure(case, 150, POINTS, 1, "cpu")
    assert row["ways"].keys() == {small.AT_ONCE, small.ONE_BY_ONE, small.PLAIN}
    assert row["largest_relative_difference"] < tolerance("stored", "float32")
    assert row["rates_differ_from_plain_loop"] < 1e-4, "float32 sums of float32 rates"
    assert row["standard_errors_from_plain_loop"] < tolerance("monte_carlo")
    assert row["speedup_over_plain_loop"] == row["ways"][small.PLAIN]["ratio"]
    assert row["target"] == (5.0 if "linear" in case else 0.9)


def test_gates_of_the_measured_networks_move_with_beta(small):
    samples = small._samples(40)
    for case, (config, gated, *_) in small.CASES.items():
        model = small._network(config, samples, gated=gated)
        with torch.no_grad():
            low, high = (model(samples, beta).output for beta in small.BETA_RANGE)
        assert bool((low != high).any()) == gated, case


def test_a_record_and_a_picture(small, tmp_path, capsys):
    output = tmp_path / "record.json"
    call = ["--samples", "30", "--betas", "2", "--rounds", "1", "--threads", "1"]
    assert small.main([*call, "--output", str(output)]) == 0
    record = json.loads(output.read_text(encoding="utf-8"))
    assert [row["network"] for row in record["networks"]] == list(small.CASES)
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert len(capsys.readouterr().out.splitlines()) == 4 * len(small.CASES)


# Pythae


@pytest.fixture(scope="module")
def problem():
    pytest.importorskip("pythae")
    return against_pythae.Problem.of_digits(epochs=2, points=2)


def test_what_is_read_off_pythae_is_the_model_it_trained(problem):
    """The objective of the theory against Pythae's own loss, averaged over many latents."""
    from pythae.models import BetaVAE

    torch.manual_seed(0)
    rows = torch.tensor(problem.samples[:300])
    model = against_pythae._made(BetaVAE, rows.shape[1], against_pythae.LATENTS, 0.3)
    with torch.no_grad():
        model.encoder.log_variance.copy_(torch.linspace(-2, 1, against_pythae.LATENTS))
        losses = np.array([model({"data": rows}).loss.item() for _ in range(200)])
    spectrum = lv.Spectrum.from_samples(rows.numpy())
    terms = against_pythae._read_off(model).evaluate(spectrum, 0.3)
    constant = rows.shape[1] / 2 * np.log(2 * np.pi)
    error = losses.std(ddof=1) / np.sqrt(len(losses))
    want = float(terms.objective) - constant
    assert abs(losses.mean() - want) <= tolerance("monte_carlo") * error + 1e-5 * want


def test_trainings_are_judged_by_the_optimum(problem, tmp_path, capsys):
    output = tmp_path / "record.json"
    call = ["--epochs", "1", "--our-epochs", "2", "--betas", "2", "--rounds", "1"]
    assert against_pythae.main([*call, "--output", str(output)]) == 0
    record = json.loads(output.read_text(encoding="utf-8"))
    closed, multi, alone = record["ways"].values()
    assert len(alone["seconds_each"]) == len(multi["excess_nats"]) == 2
    assert_close(np.array(closed["excess_nats"]), np.zeros(2), scale=1e2)
    for way in (multi, alone):
        assert min(way["excess_nats"]) > 0, "nothing is below the optimum"
        assert way["largest_excess_nats"] == max(way["excess_nats"])
    assert record["data"] == {"name": "digits", "samples": 1500, "features": 64}
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
