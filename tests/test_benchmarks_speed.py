"""The benchmarks of speed compare what they say they compare; run as small as they go."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import linvae as lv
from benchmarks import __main__ as listing
from benchmarks import against, curve_speed, growth, import_cost, timing
from tests.tolerances import assert_close, tolerance

PICTURE = b"\x89PNG"


def record_of(module: Any, folder: Path, *options: str) -> dict[str, Any]:
    """What a benchmark writes; the picture beside it is looked for, too."""
    output = folder / "record.json"
    assert module.main([*options, "--output", str(output)]) == 0
    record = json.loads(output.read_text(encoding="utf-8"))
    assert record["command"].startswith(f"python -m {module.__name__}")
    assert {"processor", "versions", "blas_threads"} <= record["conditions"].keys()
    if module is not import_cost:
        assert output.with_suffix(".png").read_bytes().startswith(PICTURE)
    return record


# What all share


def test_calls_take_turns_and_results_are_let_go() -> None:
    order: list[str] = []
    alive: list[int] = []

    class Result:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    def call(name: str) -> timing.Call:
        def run() -> Result:
            assert not alive, "memory of an earlier result is in the way"
            order.append(name)
            return Result()

        return run

    seconds = timing.interleaved({n: call(n) for n in "abc"}, 2, untimed=1)
    assert "".join(order) == "abc" * 3
    assert {name: len(times) for name, times in seconds.items()} == dict.fromkeys("abc", 2)


def test_ratios_are_of_medians_and_ranges_within_rounds() -> None:
    seconds = {"a": np.array([2.0, 4.0, 30.0]), "b": np.array([1.0, 4.0, 3.0])}
    row = timing.ratios(seconds, "b")["a"]
    assert (row["seconds"], row["seconds_least"], row["rounds"]) == (4.0, 2.0, 3)
    assert row["ratio"] == 4.0 / 3.0
    assert (row["ratio_smallest"], row["ratio_largest"]) == (1.0, 10.0)
    (line,) = timing.table({"a": row}, "b")
    assert "1.33 x b (1 to 10)" in line


def test_exponents_are_those_of_least_squares_on_the_larger_half() -> None:
    sizes = np.geomspace(10, 1000, 8)
    law = timing.fitted_power(list(sizes), 3.0 + 0 * sizes)
    assert abs(law.exponent) < tolerance("rounding")
    assert str(law) == "0.00 ± 0.00"
    exact = np.where(sizes < 80, 5.0, 0.01 * sizes**1.5)
    law = timing.fitted_power(list(sizes), exact)
    assert_close(np.array([law.exponent, law.factor]), np.array([1.5, 0.01]))
    assert law.standard_error is not None
    assert law.standard_error < tolerance("exact")
    assert law.fitted_from == sizes[4]
    assert_close(law([100.0]), np.array([10.0]))
    noisy = exact * np.exp(np.random.default_rng(0).normal(size=8))
    law = timing.fitted_power(list(sizes), noisy)
    line, covariance = np.polyfit(np.log(sizes[4:]), np.log(noisy[4:]), 1, cov=True)
    assert_close(np.array([law.exponent]), line[:1])
    assert_close(np.array([law.standard_error]), np.sqrt(covariance[:1, 0]))
    assert timing.fitted_power([1.0, 2.0], [1.0, 2.0]).standard_error is None


def test_peak_memory_is_that_of_the_new_process_alone() -> None:
    here = np.ones(40_000_000)  # 320 MB, which the starting process must not hand on
    without, with_more = (timing.peak_gigabytes(s) for s in ("pass", "x = b'1' * 100_000_000"))
    assert here.sum() == here.size
    assert 0.09 < with_more - without < 0.15
    if sys.platform == "linux":
        assert without < 0.1


def test_every_benchmark_is_listed(capsys: pytest.CaptureFixture) -> None:
    assert listing.main() == 0
    lines = capsys.readouterr().out.splitlines()
    rows = listing.listed()
    assert all(row and len(row) < 120 and "\n" not in row for row in rows.values())
    assert len(lines) == len(rows) + 2
    assert {"core", "against", "growth", "gating_overhead", "scale"} <= rows.keys()
    assert not {"timing", "pictures", "record", "mutants", "gpu_job"} & rows.keys()


# Each of them


def test_import_cost(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    record = record_of(import_cost, tmp_path, "--rounds", "1", "--memory-rounds", "1")
    rows = record["imports"]
    nothing, numpy, linvae = (rows[name] for name in ("no import", "import numpy", "import linvae"))
    assert nothing["modules"] < numpy["modules"] < linvae["modules"]
    assert nothing["peak_gigabytes"] < numpy["peak_gigabytes"] < 1.0
    assert record["memory_ratio"] == linvae["peak_gigabytes"] / numpy["peak_gigabytes"]
    assert record["time_ratio"] == linvae["ratio"]
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_the_floor_of_a_curve_writes_what_the_curve_returns(tmp_path: Path) -> None:
    betas, curve = curve_speed.betas_and_curve(8, 50, "random")
    points = curve.at_beta(betas)
    held = [v for v in vars(points).values() if isinstance(v, np.ndarray)]
    logarithms, *written = curve_speed.floor_of(curve, betas)()
    assert np.array_equal(logarithms, np.log(betas))
    own = [a for a in held if 0 not in a.strides]
    assert [a.nbytes for a in written] == [a.nbytes for a in own]
    assert len(own) >= 4, "β, rate, distortion, squared error"
    record = record_of(curve_speed, tmp_path, "--betas", "2000", "--modes", "3", "--rounds", "1")
    aims = {row["order"]: row["target"] for row in record["rows"]}
    assert aims == {"sorted": 5.0, "random": 10.0}
    assert {row["modes"] for row in record["rows"]} == {3}
    assert max(row["betas"] for row in record["rows"]) == 2000


def test_growth(tmp_path: Path) -> None:
    asked = ("latents", "sorted")
    record = record_of(growth, tmp_path, "--sweeps", *asked, "--rounds", "1", "--scale", "0.001")
    assert record["sweeps"].keys() == set(asked)
    for name, row in record["sweeps"].items():
        sweep = growth.SWEEPS[name]
        assert row["sizes"] == sweep.sizes(0.001)
        assert len(row["seconds"]) == sweep.points
        law = timing.fitted_power(row["sizes"], row["seconds"])
        assert (row["exponent"], row["standard_error"]) == (law.exponent, law.standard_error)


@pytest.mark.parametrize("name", growth.SWEEPS)
def test_sizes_of_a_sweep_are_what_its_call_works_on(name: str) -> None:
    sweep = growth.SWEEPS[name]
    whole = sweep.sizes(1.0)
    assert (whole[0], whole[-1], len(whole)) == (sweep.low, sweep.high, sweep.points)
    assert np.diff(whole).min() > 0
    if name in ("samples", "features", "leading"):  # the others have no small call
        return
    points = sweep.build(sweep.low)()
    assert points.beta.size == (10**4 if name == "latents" else sweep.low)
    if name == "latents":
        assert points.active.max() <= sweep.low
    if name == "sorted":
        assert (np.diff(points.beta) >= 0).all()


def scaled_eigenvalues(samples: np.ndarray, count: int) -> np.ndarray:
    scaled = (samples - samples.mean(0)) / samples.std(0)
    return np.linalg.eigvalsh(np.cov(scaled.T))[::-1][:count]


def test_others_find_our_spectrum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ppca", None)  # not installed
    small = ("--samples", "300", "--features", "20", "--latents", "4", "--rounds", "1")
    record = record_of(against, tmp_path, *small)
    groups = record["groups"]
    exact = {"everything": ("PCA, full", "PCA, covariance_eigh"),
             "leading": ("PCA, arpack", "PCA, covariance_eigh")}  # fmt: skip
    for group, names in exact.items():
        for name in names:
            assert groups[group][name]["largest_relative_difference"] < 1e-9
    assert groups["everything"][against.FLOOR]["largest_relative_difference"] is None
    assert groups["leading"]["PCA, randomized"]["largest_relative_difference"] < 1e-2
    assert groups["other models"].keys() == {"linvae", "FactorAnalysis"}
    assert groups["other models"]["FactorAnalysis"]["largest_relative_difference"] > 1e-6
    rows = groups["everything"]
    fastest = min(rows[name]["ratio"] for name in exact["everything"])
    assert record["headline"]["ours / fastest PCA"]["ratio"] == 1 / fastest
    assert record["headline"]["ours / floor"]["ratio"] == 1 / rows[against.FLOOR]["ratio"]


def test_an_installed_em_is_held_against_scaled_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    class Exact:
        def fit(self, data: np.ndarray, d: int) -> None:
            self.eig_vals = scaled_eigenvalues(data, d)
            data[:] = np.nan  # as a careless one would

    monkeypatch.setitem(sys.modules, "ppca", SimpleNamespace(PPCA=Exact))
    samples = against.generated(200, 12)
    samples[:, 3] = 1.0  # a pixel that is always white cannot be scaled
    rounds = dict.fromkeys(("everything", "leading", "other models"), 1)
    found = against.measure(samples, 3, rounds)["other models"]
    assert found["EM pPCA, ppca of PyPI"]["largest_relative_difference"] < tolerance("exact")
    assert np.isfinite(samples).all()


def test_generated_samples_have_the_decay_that_is_stated() -> None:
    values = lv.Spectrum.from_samples(against.generated(20_000, 6)).eigenvalues
    assert np.allclose(values, 9.0 / np.arange(1, 7) ** 2, rtol=0.05)
