"""The committed record of predicted and measured dynamics is one of agreement, and can be made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import dynamics
from benchmarks.record import RESULTS


def agrees(record: dict) -> None:
    for row in record["escape"]:
        # The linearised time is short by a constant of order one, in units of 1/rate.
        for name in ("alone", "in_the_model"):
            assert 0 < (row[name] - row["predicted"]) * row["rate"] < 2
    for row in record["alignment"] + record["stalling"]:
        assert row["measured"] == pytest.approx(row["predicted"], rel=5e-3)
    errors = [abs(r["measured_lag"] / r["predicted_lag"] - 1) for r in record["annealing"]]
    assert errors == sorted(errors, reverse=True), "first order in the speed"
    assert errors[-1] < 0.05
    assert all(abs(row["end_minus_optimum"]) < 1e-9 for row in record["annealing"])
    opened = {row["sharpness"]: row["steps_until_open"] for row in record["reopening"]}
    assert opened["exact"] is None
    assert opened[1.0] < 100
    assert opened[4.0] < 100


def test_the_committed_record() -> None:
    record = json.loads((RESULTS / "dynamics.json").read_text(encoding="utf-8"))
    assert record["command"] == "python -m benchmarks.dynamics"
    agrees(record)


@pytest.mark.slow
def test_the_record_is_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "dynamics.json"
    assert dynamics.main(["--output", str(output)]) == 0
    assert "steps_until_open" in capsys.readouterr().out
    agrees(json.loads(output.read_text(encoding="utf-8")))
