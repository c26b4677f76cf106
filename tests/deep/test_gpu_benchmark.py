"""The measurements of a GPU, tried out on the CPU; without CUDA nothing is measured."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks import gpu, gpu_runs, gpu_steps
from benchmarks.gpu_job import MODES, PUBLISHED, QUICK, Deadline, Job, arithmetic, job_of

MLP = "mlp-binarized-mnist"
FLOAT32 = MODES[0]


def job(folder: Path, deadline: Deadline | None = None, **options: Any) -> Job:
    settings = {"batch_size": 16, "tiny": True, "backend": "eager", **options}
    return job_of(
        MLP,
        device=torch.device("cpu"),
        sizes=QUICK,
        deadline=deadline or Deadline(None),
        folder=folder,
        **settings,
    )


def measured(folder: Path, *call: str, code: int = 0) -> dict[str, Any]:
    output = folder / "gpu.json"
    usual = ["--device", "cpu", "--quick", "--compile", "none", "--output", str(output)]
    assert gpu.main([*call, *usual]) == code
    assert list(folder.glob("*.partial")) == []
    return json.loads(output.read_text(encoding="utf-8"))


def test_without_cuda_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    output = tmp_path / "gpu.json"
    assert gpu.main(["--output", str(output)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "no CUDA device" in line
    assert not output.exists()


def test_every_part_is_measured_and_recorded(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    parts = ["correctness", "steps, float32", "cost", "evaluation", "resume"]
    record = measured(tmp_path, "conv", "--only", *parts)
    found = {entry["part"]: entry for entry in record["parts"]}
    assert [*found] == parts
    assert {entry["status"] for entry in found.values()} == {"measured"}
    assert all(entry.get("passed", True) for entry in found.values())
    assert len(capsys.readouterr().out.splitlines()) == len(parts) + 1
    assert {"torch", "lightning-fabric"} <= record["conditions"]["versions"].keys()
    assert record["data"].startswith("random")

    assert [row["mode"] for row in found["correctness"]["rows"]] == [*gpu_steps.TOLERANCES]
    assert found["correctness"]["rows"][0]["relative_errors"].keys() == {"loss", "gates", "weights"}

    networks = found["steps, float32"]["networks"]
    assert networks["plain"]["parameters"] < networks["multi-rate"]["parameters"]
    for row in networks.values():
        assert row["images_per_second"] == 16 / row["seconds_per_step"]["median"]
    assert networks["plain"]["ratio_to_plain"] == {"median": 1, "lower": 1, "upper": 1}

    spent = {row["run"]: row["seconds"] for row in found["cost"]["runs"]}
    one, ten = spent.pop("multi-rate"), sum(spent.values())
    assert len(spent) == found["cost"]["dedicated_finished"] == QUICK.dedicated
    assert found["cost"]["dedicated_over_multi_rate"] == pytest.approx(ten / one, rel=1e-12)
    assert found["cost"]["steps"] == 4

    low, high = found["evaluation"]["rate_from_to"]
    assert low != high, "the curve is of one β only"
    resumed = found["resume"]
    assert 0 < resumed["broke_off_after_steps"] < resumed["steps"] == resumed["records"]
    assert resumed["bit_for_bit"], "a resumed run on the CPU is the undisturbed one"


def test_a_broken_part_costs_no_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def broken(job: Job) -> dict[str, Any]:
        raise RuntimeError("CUDA error: out of memory\nmore")

    monkeypatch.setattr(gpu, "correctness", broken)
    monkeypatch.setattr(gpu, "evaluation", lambda job: {"passed": False, "rate": math.nan})
    record = measured(tmp_path, MLP, "--only", "correctness", "evaluation", code=1)
    first, last = record["parts"]
    assert first["status"] == "failed"
    assert "out of memory" in first["error"]
    assert (last["status"], last["rate"]) == ("measured", "nan")
    assert "failed: RuntimeError: CUDA error: out of memory\n" in capsys.readouterr().out


def test_a_part_outside_its_tolerance_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "correctness", lambda job: {"passed": False})
    measured(tmp_path, MLP, "--only", "correctness", code=1)


def test_nothing_begins_after_the_limit(tmp_path: Path) -> None:
    record = measured(tmp_path, MLP, "--time-limit", "0")
    assert len(record["parts"]) == 9
    assert {entry["status"] for entry in record["parts"]} == {"out of time"}


def test_what_is_known_of_a_cost_is_kept_when_time_runs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = gpu_runs._timed_run

    def then_too_late(job: Job, config: Any) -> dict[str, Any]:
        found = original(job, config)
        monkeypatch.setattr(Deadline, "passed", True)
        return found

    monkeypatch.setattr(gpu_runs, "_timed_run", then_too_late)
    (entry,) = measured(tmp_path, MLP, "--only", "cost")["parts"]
    assert entry["status"] == "out of time"
    assert [row["run"] for row in entry["runs"]] == ["β = 0.01"]
    assert entry["dedicated_finished"] == 1
    assert "dedicated_over_multi_rate" not in entry


def test_unknown_presets_are_refused_before_anything_is_measured(tmp_path: Path) -> None:
    for name, remedy in (("cnov", "choose one of them"), ("gaussian-mlp", "pass --data")):
        with pytest.raises(ValueError, match=remedy):
            job_of(name, device=torch.device("cpu"), sizes=QUICK, deadline=Deadline(None),
                   folder=tmp_path)  # fmt: skip
    output = tmp_path / "gpu.json"
    with pytest.raises(SystemExit) as refused:
        gpu.main(["conv", "cnov", "--device", "cpu", "--quick", "--output", str(output)])
    assert refused.value.code == 2
    assert not output.exists()


def test_real_data_take_the_place_of_random_ones(tmp_path: Path) -> None:
    chosen = job(tmp_path, data=tmp_path / "mnist")
    assert chosen.config.data.name == "binarized_mnist"
    assert chosen.config.data.path == str(tmp_path / "mnist")
    drawn = job(tmp_path).material.batches
    assert drawn.sample_shape == (784,)
    assert set(drawn.batch(0, 16, 0).unique().tolist()) == {0.0, 1.0}


def test_a_wrong_device_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = job(tmp_path)
    assert gpu_steps.correctness(chosen)["passed"]
    original = gpu_steps._on_device

    def other_betas(job: Job, mode: Any, network: Any, likelihood: Any, inputs: Any) -> Any:
        samples, beta, noise = inputs
        return original(job, mode, network, likelihood, (samples, beta.flip(0), noise))

    monkeypatch.setattr(gpu_steps, "_on_device", other_betas)
    rows = gpu_steps.correctness(chosen)["rows"]
    assert not any(row["passed"] for row in rows if row["mode"] != "bf16")
    exact = {"loss": torch.tensor(1.0), "weights": torch.ones(3)}
    nothing = {"loss": torch.tensor(1.0), "weights": torch.full((3,), math.nan)}
    assert not gpu_steps._errors(nothing, exact, {"loss": 1.0, "gradient": 1.0})["passed"]


def test_networks_take_turns(tmp_path: Path) -> None:
    calls: list[str] = []
    steps = {name: lambda count, name=name: calls.append(name) for name in ("a", "b")}
    times = gpu_steps._interleaved(job(tmp_path), steps)
    assert calls == ["a", "b", "b", "a"]
    assert times["a"].shape == (QUICK.rounds, 2)
    row = gpu_steps._summary(np.full((3, 2), 0.5), np.full((3, 2), 0.25), 16)
    assert row["images_per_second"] == 32
    assert row["ratio_to_plain"]["median"] == 2


def test_switches_are_put_back(tmp_path: Path) -> None:
    def switches() -> tuple[Any, ...]:
        cudnn = torch.backends.cudnn
        return (torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark,
                cudnn.deterministic)  # fmt: skip

    before = switches()
    seen = {}
    for mode in MODES:
        with arithmetic(mode):
            seen[mode.name] = switches()
    assert switches() == before
    assert seen["float32"] == ("highest", False, False, False)
    assert seen["tf32"] == ("high", True, False, False)
    assert seen["bf16 autotuned"][2]
    with pytest.raises(RuntimeError), arithmetic(MODES[1], deterministic=True):
        raise RuntimeError
    assert switches() == before


def test_compiled_parts_come_last_and_count_their_graphs(tmp_path: Path) -> None:
    chosen = job(tmp_path)
    names = [*gpu.parts_of(chosen, lambda values: None)]
    assert names[-2:] == ["steps, compiled float32", "steps, compiled bf16"]
    (mode,) = (mode for mode in MODES if mode.name == "compiled float32")
    gpu_steps._forget_compiled(mode)
    plain = gpu_steps._Stepper(chosen, chosen.plain(), mode)
    assert plain.prepare()["compilation"] == {"graphs": 1, "breaks": {}}
    gpu_steps._Stepper(chosen, chosen.plain(2.0), mode).prepare()
    gpu_steps._count_afresh(mode)
    plain(2)
    assert gpu_steps._compilation()["graphs"] == 0, "compiled again while it is timed"


def test_the_presets_are_the_published_networks(tmp_path: Path) -> None:
    for name, config in PUBLISHED.items():
        assert (config.model.kind, config.model.channels) == (name, ())
        assert (config.model.latent_dim, config.training.batch_size) == (32, 128)
        assert (config.beta.low, config.beta.high) == (0.01, 10.0)
