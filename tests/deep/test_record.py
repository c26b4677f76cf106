"""Records are complete, strict JSON, and drawn as they say; so are those in results/."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from deep.comparison.curves import compare_curve
from deep.comparison.figure import draw_record, save_picture
from deep.comparison.record import (
    check_record,
    conditions,
    experiment_record,
    save_record,
)
from deep.errors import InputError
from tests.deep.test_comparison import BETAS, LINEAR, measured, optimal
from tests.tolerances import assert_close

T_OF_3 = 4.302652729749  # t(0.975; 2)
Z = 1.959963984540  # normal, 0.975
ROOT = Path(__file__).resolve().parents[2]
COMMITTED = sorted(
    path
    for path in (ROOT / "results").glob("*.json")
    if "multi_rate" in json.loads(path.read_text(encoding="utf-8"))
)


def curves(seeds, height, noise=0.02, error=0.01):
    best = optimal(3)
    found = []
    for seed in range(seeds):
        extra = height * (1 + noise * np.random.default_rng(seed).standard_normal(10))
        curve = measured(best.rate, best.distortion + extra, error=error)
        found.append(compare_curve(curve, LINEAR))
    return found


def record(seeds=3, dedicated=3, error=0.01, **changes):
    return experiment_record(
        experiment="Linear multi-rate VAE on a made-up spectrum",
        command="linvae compare made-up",
        config={"name": "made-up", "seeds": list(range(seeds))},
        conditions=conditions("torch", seeds=list(range(seeds)), data={"name": "gaussian"}),
        multi_rate=curves(seeds, 0.2, error=error),
        dedicated=curves(dedicated, 0.05, error=error) if dedicated else (),
        reference=LINEAR,
        cost={"multi_rate_seconds": 10.0, "dedicated_seconds": 50.0, "parameters": 1234},
        **changes,
    )


def test_a_record_is_complete_and_strict_json(tmp_path):
    for made in (record(), record(1, 1), record(2, 0)):
        assert check_record(made) == []
        save_record(tmp_path / "a.json", made)
        again = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
        assert check_record(again) == []
        assert again == made
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_rows_say_what_the_curves_say():
    made, seeds = record(), curves(3, 0.2)
    for place, row in enumerate(made["multi_rate"]):
        excess = np.array([c.excess_nats[place] for c in seeds])
        assert row["beta"] == BETAS[place]
        assert_close(row["excess_nats"], excess.mean())
        # The 0.01 of the samples is common to all seeds: it is not divided by the root of 3.
        own = excess.std(ddof=1) / np.sqrt(3)
        assert_close(row["excess_nats_se"], np.sqrt(own**2 + 0.01**2))
        reach = np.sqrt((T_OF_3 * own) ** 2 + (Z * 0.01) ** 2)
        assert_close(row["excess_nats_interval"], row["excess_nats"] + np.array([-reach, reach]))
        assert_close(row["optimum"], seeds[0].optimum[place])
        assert row["in_nats"] == seeds[0].in_nats[place]
    for block in ("multi_rate", "dedicated"):
        about = {"n_seeds": 3, "over": "seeds and held-out samples", "n_samples": 500}
        assert made["statistics"][block] == about
    assert made["cost"]["ratio"] == 0.2


def test_one_seed_has_errors_over_samples_alone():
    made = record(1, 1)
    assert made["statistics"]["multi_rate"]["over"] == "held-out samples"
    assert {row["excess_nats_se"] for row in made["multi_rate"]} == {0.01}
    for row in made["multi_rate"]:
        ends = np.array([-Z, Z]) * 0.01
        assert_close(row["excess_nats_interval"], row["excess_nats"] + ends)
    assert made["summary"]["area_above_reference"]["interval"] is None


def test_each_kind_of_network_has_its_own_statistics():
    about = record(3, 1)["statistics"]
    assert about["multi_rate"]["over"] == "seeds and held-out samples"
    assert about["dedicated"]["over"] == "held-out samples"
    assert about["dedicated"]["n_seeds"] == 1
    assert record(3, 0)["statistics"]["dedicated"] is None


def test_what_is_judged_exactly_has_no_error_of_samples():
    made = record(3, 1, error=0.0)
    about = made["statistics"]
    assert (about["multi_rate"]["over"], about["dedicated"]["over"]) == ("seeds", "exact, one seed")
    excess = np.array([[c.excess_nats for c in curves(3, 0.2)]])[0]
    errors = np.array([row["excess_nats_se"] for row in made["multi_rate"]])
    assert_close(errors, excess.std(axis=0, ddof=1) / np.sqrt(3))
    assert {row["excess_nats_se"] for row in made["dedicated"]} == {0.0}
    assert {row["excess_nats_interval"] for row in made["dedicated"]} == {None}


def test_a_perfect_model_has_no_excess_and_no_area():
    """Ten points over 2.6 decades: read at other β's, the reference would leave an area."""
    made = experiment_record(
        experiment="Perfect",
        command="-",
        config={},
        conditions=conditions(seeds=[0], data={}),
        multi_rate=curves(1, 0.0),
        reference=LINEAR,
        reference_data="Judged on a source.",
        cost={"multi_rate_seconds": 1.0, "parameters": 1},
    )
    assert made["summary"]["area_above_reference"]["area"] == 0
    assert made["summary"]["area_above_reference"]["mean_distortion"] == 0
    assert {row["excess_nats"] for row in made["multi_rate"]} == {0}
    assert made["reference"]["statement"] == f"{LINEAR.statement} Judged on a source."


def test_the_reference_is_not_read_beyond_the_measured_betas():
    """Not every reference is defined there."""
    betas = record(1, 1)["reference"]["curve"]["betas"]
    assert (betas[0], betas[-1]) == (BETAS[0], BETAS[-1])


def test_the_summary_has_the_worst_points_and_the_area():
    made = record()
    rows = [row for row in made["multi_rate"] if not row["in_nats"]]
    summary = made["summary"]
    worst = summary["multi_rate"]["normalised_excess_largest"]
    assert_close(worst, max(row["normalised_excess"] for row in rows))
    pairs = summary["multi_rate_minus_dedicated"]
    assert pairs["mean_distortion"] == pytest.approx(0.15, abs=0.01)
    assert pairs["interval"][0] < pairs["mean_distortion"] < pairs["interval"][1]
    assert pairs["objective_largest"] == pytest.approx(0.15, abs=0.03)
    assert {round(p["difference"], 1) for p in pairs["distortion_at_equal_rate"][0]} == {0.1, 0.2}
    assert summary["area_above_reference"]["mean_distortion"] == pytest.approx(0.2, abs=0.02)


def test_without_dedicated_models_there_is_no_ratio():
    made = record(1, 0)
    assert made["dedicated"] == []
    assert "dedicated" not in made["summary"]


def _damaged(path, value):
    made = copy.deepcopy(record(2, 2))
    place = made
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return made


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("command",), None, "command: missing"),
        (("command",), " ", "command: empty"),
        (("config",), [], "config: list, not dict"),
        (("conditions", "seeds"), None, "conditions.seeds: missing"),
        (("cost", "parameters"), None, "cost.parameters: missing"),
        (("reference", "statement"), None, "reference.statement: missing"),
        (("statistics", "confidence"), None, "statistics.confidence: missing"),
        (("statistics", "dedicated", "over"), None, "statistics.dedicated: not an object with"),
        (("statistics", "dedicated", "n_seeds"), 1, "over: 'seeds and held-out samples' with"),
        (("statistics", "multi_rate", "over"), "seed", "statistics.multi_rate.over: 'seed'"),
        (("summary", "multi_rate"), None, "summary.multi_rate: missing"),
        (("multi_rate",), [], "multi_rate: no points"),
        (("multi_rate", 2, "optimum"), None, r"multi_rate\[2\].optimum: not a number"),
        (("multi_rate", 2, "rate_se"), True, r"multi_rate\[2\].rate_se: not a number"),
        (("dedicated", 1, "in_nats"), 1, r"dedicated\[1\].in_nats: not true or false"),
        (("dedicated", 1, "beta"), -1.0, "beta: not > 0"),
        (("dedicated", 1, "rate"), 7.0, r"objective: not distortion \+ beta \* rate"),
        (("dedicated", 1, "optimum"), 7.0, "excess_nats: not objective - optimum"),
        (("dedicated", 1), 3, r"dedicated\[1\].not an object"),
        (("multi_rate", 0, "rate"), float("nan"), r"multi_rate\[0\].rate: not a"),
        (("cost", "more"), [1.0, float("inf")], r"cost.more\[1\]: not a finite number"),
    ],
)
def test_what_is_missing_is_named_and_not_written(tmp_path, path, value, message):
    made = _damaged(path, value)
    with pytest.raises(InputError, match=message):
        save_record(tmp_path / "a.json", made)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=message):
        draw_record(made)


def test_something_else_than_a_record():
    assert check_record([1]) == ["not an object but list"]
    assert len(check_record({})) == 11


def test_seeds_at_different_betas_are_refused():
    one = curves(1, 0.1)[0]
    best = optimal(3, BETAS * 2)
    other = compare_curve(measured(best.rate, best.distortion, BETAS * 2), LINEAR)
    made = {
        "experiment": "a", "command": "b", "config": {}, "conditions": {}, "reference": LINEAR,
        "cost": {},
    }  # fmt: skip
    with pytest.raises(InputError, match="different β"):
        experiment_record(multi_rate=[one, other], **made)
    with pytest.raises(InputError, match="0 of them"):
        experiment_record(multi_rate=[], **made)


def test_the_picture_shows_every_point(tmp_path):
    figure = draw_record(record())
    left, right = figure.axes
    for ax, column, across in ((left, "distortion", "rate"), (right, "normalised_excess", "beta")):
        for rows, label in (("multi_rate", "multi-rate"), ("dedicated", "dedicated")):
            line = next(
                c.lines[0] for c in ax.containers if label in str(c.get_label())
            )  # fmt: skip
            scale = 100 if column == "normalised_excess" else 1
            made = record()[rows]
            assert_close(line.get_xdata(), np.array([row[across] for row in made]))
            assert_close(line.get_ydata(), scale * np.array([row[column] for row in made]))
    assert right.get_xscale() == "log"
    assert any("0.01 nats" in t.get_text() for t in right.get_legend().get_texts())
    path = save_picture(tmp_path / "a.png", record(1, 0))
    assert path.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("made", "bars"),
    [
        (lambda: record(3, 3), "(bars: 95 % intervals over seeds and held-out samples)"),
        (lambda: record(3, 0, confidence=0.9), "(bars: 90 % intervals over seeds and held-out"),
        (lambda: record(1, 1), "(bars: 95 % intervals over held-out samples)"),
        (lambda: record(3, 1), "over seeds and held-out samples,\ndedicated over held-out"),
        (lambda: record(3, 1, 0.0), "multi-rate over seeds,\ndedicated none for exact, one seed"),
        (lambda: record(1, 1, 0.0), "(no bars: exact, one seed)"),
    ],
)  # fmt: skip
def test_the_picture_says_what_its_bars_are(made, bars):
    assert bars in draw_record(made()).axes[1].get_xlabel()


def test_negative_excess_is_drawn_below_the_line():
    made = experiment_record(
        experiment="Below",
        command="-",
        config={},
        conditions=conditions(seeds=[0], data={}),
        multi_rate=curves(1, -3.0),
        reference=LINEAR,
        cost={"multi_rate_seconds": 1.0, "parameters": 1},
    )
    right = draw_record(made).axes[1]
    assert right.get_ylim()[0] < -3 < 0 <= right.get_ylim()[1]


def test_records_are_read_without_torch():
    code = "import sys, deep.comparison.figure, benchmarks.record; print('torch' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert out.stdout.strip() == "False"


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_records_are_complete(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    assert check_record(document) == []
    assert path.with_suffix(".png").exists()
