"""The benchmark of scale measures what it says, run small."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import scale


def test_chunks_are_the_rows_asked_for() -> None:
    got = list(scale.chunks(25, features=3, chunk=10))
    assert [len(chunk) for chunk in got] == [10, 10, 5]
    assert {chunk.dtype for chunk in got} == {np.dtype("float32")}
    rows = np.concatenate(got)
    assert np.allclose(scale._floor(iter(got)), rows.T @ rows, rtol=1e-5)


def test_a_small_run_writes_a_record(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "scale.json"
    small = ["--rows", "300", "--rounds", "1", "--features", "300", "--samples", "200"]
    assert scale.main([*small, "--leading", "4", "--output", str(output)]) == 0
    record = json.loads(output.read_text(encoding="utf-8"))
    assert record["stream"]["rows"] == record["memory"]["rows"] == 300
    assert record["stream"]["share_of_the_floor"] == pytest.approx(1 / record["stream"]["ratio"])
    assert record["memory"]["import_gigabytes"] > 0
    assert record["memory"]["stream_gigabytes"] < 1.5
    assert record["large_covariance"]["seconds"] > 0
    assert not record["large_covariance"]["iterative"]
    assert len(capsys.readouterr().out.splitlines()) == 3
