"""The measuring scripts measure what they say, and refuse what they cannot read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import clinic, core, digits_multi_rate, mnist_frontier
from benchmarks.record import RESULTS, conditions, write_json
from tests.tolerances import assert_close


def idx(images: np.ndarray) -> bytes:
    sizes = np.array(images.shape, dtype=">u4").tobytes()
    return gzip.compress(b"\x00\x00\x08\x03" + sizes + images.astype(np.uint8).tobytes())


def test_frontier_script_writes_a_record(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 6, 6))
    (tmp_path / mnist_frontier.FILE).write_bytes(idx(images))
    output = tmp_path / "record.json"
    assert mnist_frontier.main([str(tmp_path), "--output", str(output)]) == 0
    record = json.loads(output.read_text(encoding="utf-8"))
    assert len(record["points"]) == len(capsys.readouterr().out.splitlines()) == 10
    assert record["n_samples"] == 60
    assert list(tmp_path.glob("*.partial")) == []


@pytest.mark.data
def test_the_committed_mnist_frontier_is_reproduced(real_data: Path) -> None:
    record = json.loads((RESULTS / "mnist-frontier.json").read_text(encoding="utf-8"))
    images = mnist_frontier.read_images(real_data / "mnist")
    again = mnist_frontier.frontier_record(images / 255.0, 32, 0.5)
    assert_close(np.array(again["critical_betas"]), np.array(record["critical_betas"]))
    for new, old in zip(again["points"], record["points"], strict=True):
        assert new["active"] == old["active"]
        for name in ("beta", "rate", "distortion", "squared_error", "objective"):
            assert_close(new[name], old[name], scale=1 + abs(old[name]))
    assert record["critical_betas"][0] == pytest.approx(10.23, abs=0.01)


def test_comparisons_take_turns_and_report_ratios() -> None:
    calls: list[str] = []
    figures = core.compare(lambda: calls.append("ours"), lambda: calls.append("floor"), 3)
    assert calls == ["ours", "floor"] * 4  # one untimed round first
    assert figures["ratio"] == figures["ours_seconds"] / figures["floor_seconds"]
    assert figures["ratio_smallest"] <= figures["ratio_largest"]


def test_core_costs_run_small() -> None:
    assert core.spectrum_cost(800, 1)["rounds"] == 1
    for order in ("sorted", "random"):
        assert core.curve_cost(8, 1000, order, 1)["ratio"] > 0


def test_record_says_where_it_was_made(tmp_path: Path) -> None:
    found = conditions("torch")
    assert {"linvae", "numpy", "scipy", "torch"} == found["versions"].keys()
    write_json(tmp_path / "a" / "b.json", {"x": np.float64(1.5), "y": np.arange(2)})
    content = json.loads((tmp_path / "a" / "b.json").read_text(encoding="utf-8"))
    assert content == {"x": 1.5, "y": [0, 1]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "nan.json", {"x": float("nan")})
    with pytest.raises(TypeError, match="cannot write set"):
        write_json(tmp_path / "set.json", {"x": {1}})
    assert not (tmp_path / "nan.json").exists()


def test_committed_training_meets_its_aim() -> None:
    record = json.loads((RESULTS / "digits-multi-rate.json").read_text(encoding="utf-8"))
    assert record["command"] == "python -m benchmarks.digits_multi_rate"
    assert tuple(record["beta_range"]) == digits_multi_rate.BETA_RANGE
    for run in record["runs"]:
        assert run["worst_share_of_collapse"] <= 0.01
        assert run["worst_excess_nats_where_little_to_lose"] <= 0.1
        assert_close(
            np.array(run["objective"]) - np.array(run["optimum"]),
            np.array(run["excess_nats"]),
            scale=np.abs(run["objective"]).max(),
        )


def _outcome(expected: str | None, *codes: str, kind: str = "loss", failure: str | None = None):
    return clinic.Outcome(clinic.Case(kind, "n", 0, expected), codes, failure, 1.0)


def test_the_clinic_counts_what_is_named_and_who_is_accused() -> None:
    assert _outcome(None).good
    assert not _outcome(None, "a").good
    assert _outcome("a", "b", "a").good
    assert not _outcome("a", "b", "a", kind="trainer").good, "the cause of a trainer comes first"
    assert not _outcome("a").good
    assert not _outcome(None, failure="RuntimeError: theirs").good
    (row,) = clinic.summarise([_outcome("a", "a"), _outcome("a", "b"), _outcome(None, "a")])
    assert (row["faults_named"], row["faulty_examined"]) == (1, 2)
    assert (row["right_accused"], row["right_examined"]) == (1, 1)


def test_the_clinic_runs_small(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "clinic.json"
    call = ["--kind", "loss", "--seeds", "1", "--processes", "1", "--output", str(output)]
    assert clinic.main(call) == 0
    (row,) = json.loads(output.read_text(encoding="utf-8"))["kinds"]
    assert row["faults_named"] == row["faulty_examined"] >= 30
    assert "accused 0" in capsys.readouterr().out


def test_the_committed_clinic_meets_its_aim() -> None:
    record = json.loads((RESULTS / "clinic.json").read_text(encoding="utf-8"))
    rows = {row["kind"]: row for row in record["kinds"]}
    assert {*rows} == {*clinic.KINDS}
    for kind, row in rows.items():
        faulty, right = clinic.implementations(kind)
        assert row["faulty_implementations"] == len(faulty), "measure again"
        assert row["right_implementations"] == len(right), "measure again"
        assert row["faults_named"] >= 0.95 * row["faulty_examined"]
        assert row["right_accused"] == 0
