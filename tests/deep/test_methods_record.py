"""Records of methods: complete, strict JSON, their numbers those of their tables and pictures."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from deep.comparison.method_curves import curves_from_record, merge_betas, same_betas
from deep.comparison.methods_check import check_methods, save_methods
from deep.comparison.methods_figure import draw_methods, draw_variants, save_pictures
from deep.comparison.methods_record import BETTER, compare_methods
from deep.comparison.published import published_for
from deep.comparison.relative import relative_excess
from deep.config import DataConfig, ExperimentConfig, ModelConfig, TrainingConfig
from deep.errors import InputError
from tests.deep.made_methods import BETAS, curves, record, several
from tests.tolerances import assert_close

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = sorted(
    path
    for path in (ROOT / "results").glob("*.json")
    if "comparisons" in (found := json.loads(path.read_text(encoding="utf-8")))
    and "methods" in found
)
# The only experiment with numbers printed elsewhere.
EIGHT_EPOCHS = ExperimentConfig(
    data=DataConfig(name="binarized_mnist"),
    model=ModelConfig(kind="resnet"),
    training=TrainingConfig(epochs=8),
)
PUBLISHED = published_for(EIGHT_EPOCHS)


def comparison(made, method, baseline="dedicated"):
    return next(
        c for c in made["comparisons"] if (c["method"], c["baseline"]) == (method, baseline)
    )


def test_a_record_survives_a_round_trip(tmp_path):
    for made in (record(), record(several((0,))), record(published=PUBLISHED)):
        assert check_methods(made) == []
        save_methods(tmp_path / "a.json", made)
        again = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
        assert again == made
        assert check_methods(again) == []
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_curves_are_read_back_as_they_were():
    for method, again in zip(several(), curves_from_record(record()), strict=True):
        for name in ("rate", "distortion", "objective", "squared_error", "active_units", "seconds"):
            assert np.array_equal(getattr(again, name), getattr(method, name))
        for name in ("name", "kind", "seeds", "runs", "parameters", "steps", "changes"):
            assert getattr(again, name) == getattr(method, name)


def test_rows_say_what_the_seeds_say():
    methods = {m.name: m for m in several()}
    multi, alone, annealed = (methods[n] for n in ("multi-rate", "dedicated", "annealed"))
    own = multi.objective[:, [0, 3, 6, 9]]
    better = np.minimum(alone.objective, annealed.objective)
    assert (better < alone.objective).any()
    assert (better < annealed.objective).any()
    for name, base in (("dedicated", alone.objective), (BETTER, better)):
        found, want = comparison(record(), "multi-rate", name), relative_excess(own, base)
        assert_close([r["beta"] for r in found["rows"]], BETAS[[0, 3, 6, 9]])
        assert_close([r["excess"] for r in found["rows"]], want.mean)
        assert_close([r["interval"] for r in found["rows"]], np.array([want.low, want.high]).T)
        assert_close([r["upper"] for r in found["rows"]], want.upper)
        assert_close([r["excess_nats"] for r in found["rows"]], (own - base).mean(axis=0))
        assert tuple(r["verdict"] for r in found["rows"]) == want.verdicts
        assert_close(found["summary"]["worst"], want.mean.max())
        assert_close(found["summary"]["mean"], want.mean.mean())
        assert found["summary"]["worst_beta"] == found["rows"][want.mean.argmax()]["beta"]


def test_every_comparison_that_can_be_made_is_made():
    pairs = [(c["method"], c["baseline"]) for c in record()["comparisons"]]
    assert pairs == [
        ("multi-rate", "dedicated"), ("multi-rate", BETTER),
        ("variant-0", "dedicated"), ("variant-0", BETTER), ("variant-0", "multi-rate"),
        ("variant-1", "dedicated"), ("variant-1", BETTER), ("variant-1", "multi-rate"),
        ("annealed", "dedicated"),
    ]  # fmt: skip
    assert len(comparison(record(), "variant-0", "multi-rate")["rows"]) == len(BETAS)
    alone = [m for m in several() if m.kind in ("multi-rate", "variant")]
    assert {c["baseline"] for c in record(alone)["comparisons"]} == {"multi-rate"}
    assert record([several()[0]])["comparisons"] == []


def test_not_worse_means_at_every_beta():
    base = curves("dedicated", "dedicated", noise=0.0)
    close = curves("multi-rate", "multi-rate", factor=1.005, noise=1e-6)
    [found] = compare_methods([close, base])
    assert found["summary"]["verdict"] == "not worse"
    lift = np.ones(len(BETAS))
    lift[4] = 1.02
    far = type(close)(**{**vars(close), "rate": close.rate * lift,
                         "distortion": close.distortion * lift})  # fmt: skip
    [found] = compare_methods([far, base])
    assert found["summary"]["verdict"] == "worse"
    assert found["summary"]["worst_beta"] == BETAS[4]
    [found] = compare_methods([far, base], margin=0.1)
    assert found["summary"]["verdict"] == "not worse"
    [found] = compare_methods([curves("multi-rate", "multi-rate", noise=0.1), base])
    assert found["summary"]["verdict"] == "undecided"


def test_seeds_without_dedicated_networks_are_left_out():
    base = curves("dedicated", "dedicated", seeds=(1,))
    [found] = compare_methods([curves("multi-rate", "multi-rate"), base])
    assert found["seeds"] == [1]
    assert {row["verdict"] for row in found["rows"]} == {"one seed"}
    other = curves("dedicated", "dedicated", seeds=(7,))
    assert compare_methods([curves("multi-rate", "multi-rate"), other]) == []


def test_cost_is_per_seed():
    cost = record()["cost"]
    assert_close(cost["ratio"], 60.0 / 20.0)
    assert_close(cost["parameter_ratio"], 1000 / 990)
    alone = next(c for c in cost["per_method"] if c["method"] == "dedicated")
    assert (alone["runs"], alone["seconds"], alone["seconds_per_run"]) == (4, 60.0, 15.0)
    assert record([several()[0]])["cost"]["ratio"] is None


def test_one_seed_says_so():
    made = record(several((0,)))
    assert made["statistics"]["interval"].startswith("none")
    assert record()["statistics"]["interval"].startswith("Student")
    rows = [row for c in made["comparisons"] for row in c["rows"]]
    assert {row["interval"] for row in rows} == {row["upper"] for row in rows} == {None}


def test_published_numbers_are_those_that_were_published():
    for change in ({"model": {"kind": "conv"}}, {"data": {"name": "mnist"}},
                   {"data": {"limit": 10_000}}, {"training": {"epochs": 20}}):  # fmt: skip
        assert published_for(EIGHT_EPOCHS.with_changes(**change)) is None
    made = record(published=PUBLISHED)["published"]
    theirs = [round(p["objective"], 1) for p in made["multi_rate"]]
    assert [theirs[i] for i in (0, 3, 6, 9)] == [48.6, 56.5, 95.5, 188.6]
    assert [round(p["objective"], 1) for p in made["dedicated"]] == [43.5, 53.4, 94.3, 183.4]
    own = several()[0].objective
    want = (own / np.array([p["objective"] for p in made["multi_rate"]]) - 1).mean(axis=0)
    assert_close([row["excess"] for row in made["excess"]], want)
    some = curves("multi-rate", "multi-rate", betas=BETAS[[0, 4]])
    rows = record([some], published=PUBLISHED)["published"]["excess"]
    assert_close([row["excess"] for row in rows], (some.objective / np.array(
        [made["multi_rate"][i]["objective"] for i in (0, 4)]) - 1).mean(axis=0))  # fmt: skip


def _damaged(path, value):
    made = copy.deepcopy(record())
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
        (("config",), [], "config: list"),
        (("statistics", "zero"), None, "statistics.zero: missing"),
        (("methods", 0, "seeds"), None, r"methods\[0\].seeds: missing"),
        (("methods",), [], "no multi-rate network"),
        (("methods", 0, "kind"), "variant", "no multi-rate network"),
        (("methods", 1, "per_seed", "rate", 0), [1.0], "methods: "),
        (("methods", 1, "points", 2, "rate"), 7.0, "variant-0.rate: not the mean of its seeds"),
        (("methods", 1, "points", 2, "objective"), None, "variant-0.objective: not the mean"),
        (("methods", 0, "per_seed", "rate", 0, 0), 7.0, "multi-rate.rate: not the mean"),
        (("methods", 0, "per_seed", "rate", 0, 0), float("nan"), "not a finite number"),
        (("comparisons", 0, "rows", 1, "excess"), 0.0, r"comparisons\[0\].rows\[1\].excess: not"),
        (("comparisons", 0, "rows", 1, "verdict"), "worse", r"rows\[1\].verdict: not what"),
        (("comparisons", 0, "summary", "verdict"), "not worse", "summary.verdict: not what"),
        (("comparisons", 3), None, "comparisons: not what"),
        (("statistics", "margin"), 0.5, "verdict: not what follows"),
        (("cost", "ratio"), 30.0, "cost.ratio: not what follows"),
    ],
)
def test_what_is_wrong_is_named_and_not_written(tmp_path, path, value, message):
    made = _damaged(path, value)
    with pytest.raises(InputError, match=message):
        save_methods(tmp_path / "a.json", made)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=message):
        draw_methods(made)


def test_something_else_than_a_record():
    assert check_methods([1]) == ["not an object but list"]
    assert len(check_methods({})) == 13


def test_methods_that_cannot_be_told_apart():
    multi = curves("multi-rate", "multi-rate")
    for methods in ([], [curves("dedicated", "dedicated")], [multi, multi]):
        with pytest.raises(InputError, match="multi-rate network first"):
            record(methods)
    with pytest.raises(InputError, match="one row per seed"):
        type(multi)(**{**vars(multi), "seeds": (0, 1)})


def test_betas_that_are_the_same_but_for_rounding():
    one = np.geomspace(0.01, 10, 10)
    other = np.geomspace(0.01, 10, 4) * (1 + 1e-15)
    assert len(merge_betas(other, one)) == 10
    assert set(other) <= set(merge_betas(other, one))
    assert len(same_betas(one, other)) == 4
    assert same_betas(one, np.zeros(0)).size == 0


# --- pictures ------------------------------------------------------------------------------------


def lines_of(ax):
    found = {str(line.get_label()): line for line in ax.lines}
    found |= {str(c.get_label()): c.lines[0] for c in ax.containers}
    return found


def test_the_picture_shows_every_point():
    made = record(published=PUBLISHED)
    left, right = draw_methods(made).axes
    shown = {m["name"]: m["points"] for m in made["methods"]}
    labels = {"one multi-rate network": "multi-rate", "4 dedicated networks": "dedicated",
              "4 dedicated, β annealed": "annealed", "variant-0": "variant-0",
              "variant-1": "variant-1"}  # fmt: skip
    found = lines_of(left)
    for label, name in labels.items():
        assert_close(found[label].get_xdata(), [p["rate"] for p in shown[name]])
        assert_close(found[label].get_ydata(), [p["distortion"] for p in shown[name]])
    assert_close(found["published, multi-rate"].get_xdata(), PUBLISHED.rate)
    assert_close(found["published, dedicated"].get_ydata(), PUBLISHED.dedicated_distortion)
    found = lines_of(right)
    for label, name in labels.items():
        if name != "dedicated":
            rows = comparison(made, name)["rows"]
            assert_close(found[label].get_ydata(), [100 * r["excess"] for r in rows])
            ratio = np.log(found[label].get_xdata() / np.array([r["beta"] for r in rows]))
            assert np.ptp(ratio) < 1e-9
            assert abs(ratio).max() < 0.1
    alone = {p["beta"]: p["objective"] for p in shown["dedicated"]}
    theirs = {p["beta"]: p["objective"] for p in made["published"]["multi_rate"]}
    want = [100 * (theirs[b] / alone[b] - 1) for b in sorted(alone)]
    assert_close(found["published, multi-rate"].get_ydata(), want)
    assert_close(found["1 %"].get_ydata(), [1.0, 1.0])
    assert "95 % intervals over seeds" in right.get_xlabel()
    assert "no intervals" in draw_methods(record(several((0,)))).axes[1].get_xlabel()


def test_bars_are_the_intervals():
    made = record()
    right = draw_methods(made).axes[1]
    [container] = [c for c in right.containers if c.get_label() == "one multi-rate network"]
    rows = comparison(made, "multi-rate")["rows"]
    ends = np.array([segment[:, 1] for segment in container.lines[2][0].get_segments()])
    assert_close(ends, 100 * np.array([row["interval"] for row in rows]))


def test_variants_have_a_panel_each(tmp_path):
    made = record(several(variants=5))
    figure = draw_variants(made)
    panels = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left").splitlines()[0] for ax in panels] == [
        f"variant-{i}" for i in range(5)
    ]
    for i, ax in enumerate(panels):
        found, about = lines_of(ax), comparison(made, f"variant-{i}")
        want = [100 * row["excess"] for row in about["rows"]]
        assert_close(found["the variant"].get_ydata(), want)
        assert f"mean {100 * about['summary']['mean']:+.2f} %" in ax.get_title(loc="left")
    assert "variant-0" not in lines_of(draw_methods(made).axes[0]), "too many for one panel"
    names = [p.name for p in save_pictures(tmp_path / "a.png", made)]
    assert names == ["a.png", "a-variants.png"]
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_without_dedicated_networks_variants_are_held_against_the_multi_rate_one(tmp_path):
    made = record([m for m in several(variants=2) if m.kind in ("multi-rate", "variant")])
    right = draw_methods(made).axes[1]
    rows = comparison(made, "variant-1", "multi-rate")["rows"]
    assert_close(lines_of(right)["variant-1"].get_ydata(), [100 * r["excess"] for r in rows])
    alone = record([several()[0]])
    assert len(draw_methods(alone).axes) == 1
    assert [p.name for p in save_pictures(tmp_path / "a.png", alone)] == ["a.png"]
    with pytest.raises(InputError, match="no variants"):
        draw_variants(alone)


def test_a_method_far_off_leaves_the_margin_visible():
    far = [*several(variants=0), curves("far", "variant", factor=3.0)]
    assert draw_methods(record(far)).axes[1].get_yscale() == "symlog"
    assert draw_methods(record()).axes[1].get_yscale() == "linear"


def test_records_are_drawn_without_torch():
    code = "import sys, deep.comparison.methods_figure; print('torch' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert out.stdout.strip() == "False"


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_records_are_right(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    assert check_methods(document) == []
    assert path.with_suffix(".png").exists()
