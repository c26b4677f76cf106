"""The demo tells the whole story on real images, with and without the training part."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import linvae as lv
from linvae.cli import demo, main
from tests.tolerances import assert_close

FILES = {"frontier.json", "frontier.png", "frontier.svg", "claims.json"}


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stand-ins for claims and picture files: here only what is made of them is tested."""
    held = [
        SimpleNamespace(claim="T1.a", statement="One thing.", residual=1e-15, relation="<=",
                        tolerance=1e-12, status="holds", note="", passed=True),
        SimpleNamespace(claim="T1.c", statement="No such gate.", residual=1e-2, relation=">=",
                        tolerance=1e-3, status="impossible", note="A gap stays.", passed=True),
    ]  # fmt: skip
    monkeypatch.setattr("linvae.verification.verify", lambda *_, **__: held)
    monkeypatch.setattr("linvae.plotting.save_figure", lambda _, path: path.write_bytes(b"drawn"))
    return held


@dataclass
class Result:
    title: str = "A two-layer linear network"
    seconds: float = 12.0
    lines: list[str] = field(default_factory=lambda: ["It learned a lot."])
    betas: Any = None
    rate: Any = None
    distortion: Any = None
    squared_error: Any = None
    objective: Any = None
    optimum: Any = None
    excess_nats: Any = None
    normalised_excess: Any = None
    in_nats: Any = None


def trained(samples: Any, *, beta_range: Any, frontier: Any, progress: Any, **more: Any) -> Result:
    """A model whose rate is 0.1 nats above the frontier's, with the same distortion."""
    assert samples.shape == (1797, 64)
    assert set(more) == {"latent_dim", "noise_variance", "spectrum", "seed"}
    assert (more["latent_dim"], more["seed"]) == (16, 0)
    assert more["noise_variance"] == frontier.noise_variance
    if progress is not None:
        progress(1, 2)
    betas = np.geomspace(*beta_range, 10)
    points = frontier.at_beta(betas)
    rate = points.rate + 0.1
    gap = frontier.normalised_gap(rate, points.distortion, betas)
    return Result(
        betas=betas, rate=rate, distortion=points.distortion, squared_error=points.squared_error,
        objective=points.distortion + betas * rate, optimum=points.objective,
        excess_nats=0.1 * betas, normalised_excess=gap.value, in_nats=gap.in_nats)  # fmt: skip


def announce(monkeypatch: pytest.MonkeyPatch, *entries: Any) -> None:
    monkeypatch.setattr(demo, "entry_points", lambda *, group: {"linvae.demo": entries}[group])


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> SimpleNamespace:
    code = main(["demo", *argv])
    out, err = capsys.readouterr()
    return SimpleNamespace(code=code, out=out, text=" ".join(out.split()), err=err)


def strict(text: str) -> Any:
    def token(name: str) -> None:
        raise AssertionError(name)

    return json.loads(text, parse_constant=token)


@pytest.mark.slow
def test_real_demo_without_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "--no-train", "--output", str(tmp_path / "new" / "out"))
    assert (result.code, result.err) == (0, "")
    folder = tmp_path / "new" / "out"
    assert {path.name for path in folder.iterdir()} == FILES
    for name in FILES:
        assert f"Written: {folder / name}" in result.text
    for words in ("1797 samples of 64 features", "61 positive eigenvalues", "k = 16 latents",
                  "rank-k", "Critical β", "impossible (shown)", "as asked with --no-train",
                  "What was found", "none fails", "20.2 nats"):  # fmt: skip
        assert words in result.text
    document = strict((folder / "frontier.json").read_text(encoding="utf-8"))
    from sklearn.datasets import load_digits

    spectrum = lv.Spectrum.from_samples(load_digits().data)
    variance = spectrum.tail_variance(16) / 48  # maximum likelihood of probabilistic PCA
    assert_close(document["settings"]["noise_variance"], variance, "exact")
    curve = lv.Frontier(spectrum, latent_dim=16, noise_variance=variance)
    assert_close(document["curve"]["critical_betas"], curve.critical_betas, "exact")
    points = document["points"]
    assert_close(points["rate"], curve.at_beta(points["beta"]).rate, "exact")
    assert points["beta"][0] < curve.critical_betas.min()
    assert points["beta"][-1] > curve.critical_betas.max()
    listed = strict((folder / "claims.json").read_text(encoding="utf-8"))["claims"]
    assert {claim["claim"]: claim["status"] for claim in listed}["T1.c"] == "impossible"
    assert (folder / "frontier.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "frontier.svg").read_bytes().startswith(b"<?xml")


def test_demo_with_a_trained_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    claims: list[Any]
) -> None:  # fmt: skip
    later = SimpleNamespace(name="z", load=lambda: pytest.fail("the first by name is enough"))
    announce(monkeypatch, later, SimpleNamespace(name="a", load=lambda: trained))
    drawn: list[Any] = []
    from linvae import plotting

    plot = plotting.plot_frontier

    def spy(*args: Any, **options: Any) -> Any:
        drawn.append(options["points"])
        return plot(*args, **options)

    monkeypatch.setattr(plotting, "plot_frontier", spy)
    result = run(capsys, "--output", str(tmp_path))
    assert (result.code, result.err) == (0, "")
    for words in ("A two-layer linear network, trained in 12 s.", "It learned a lot.",
                  "at worst 10 nats above the exact optimum (at β = 100)",
                  "(< 1 nat)", "of collapse",
                  "1 (T1.c) shown to be impossible as printed"):  # fmt: skip
        assert words in result.text
    assert "left out" not in result.text
    # At β = 35.9 a collapsed model would lose little more than 1 nat: the worst share by far.
    assert "it loses at most 320 % of what a model that ignores the data would lose" in result.text
    document = strict((tmp_path / "frontier.json").read_text(encoding="utf-8"))
    training = document["training"]
    assert set(training) == set(demo.DemoResult.__annotations__)
    assert_close(training["excess_nats"], 0.1 * np.array(training["betas"]), "exact")
    assert len(training["betas"]) == 10
    rows = [line for line in result.out.splitlines() if line.endswith(("%", "(< 1 nat)"))]
    assert len(rows) == 10
    at_one = rows[0].split()
    normalised = 100 * training["normalised_excess"][0]
    assert at_one[0] == "1"
    assert at_one[-3:] == ["0.1000", f"{normalised:.3f}", "%"]
    assert_close(drawn[0], (training["rate"], training["distortion"]), "exact")


def test_model_that_has_nothing_to_lose(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    claims: list[Any]
) -> None:  # fmt: skip
    def collapsed(*args: Any, **options: Any) -> Result:
        return trained(*args, **{**options, "beta_range": (50.0, 60.0)})

    announce(monkeypatch, SimpleNamespace(name="a", load=lambda: collapsed))
    result = run(capsys, "--output", str(tmp_path))
    assert "at worst 6 nats above the exact optimum (at β = 60)." in result.text


def test_json_is_one_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    claims: list[Any]
) -> None:  # fmt: skip
    announce(monkeypatch, SimpleNamespace(name="a", load=lambda: trained))
    result = run(capsys, "--output", str(tmp_path), "--json")
    assert result.err == ""
    document = strict(result.out)
    assert {Path(name).name for name in document["files"]} == FILES
    assert document["training"]["title"] == "A two-layer linear network"
    assert [claim["claim"] for claim in document["claims"]] == ["T1.a", "T1.c"]
    assert run(capsys, "--output", str(tmp_path), "--quiet", "--no-train").out == ""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "PyTorch is not installed"),
        (ModuleNotFoundError("No module named 'deep'", name="deep"), "No module named 'deep'"),
        (None, "that part is not installed"),
    ],
)
def test_training_part_that_does_not_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    claims: list[Any], error: ImportError | None, words: str
) -> None:  # fmt: skip
    def load() -> Any:
        raise error  # type: ignore[misc]

    entries = [] if error is None else [SimpleNamespace(name="a", load=load)]
    announce(monkeypatch, *entries)
    result = run(capsys, "--output", str(tmp_path))
    assert result.code == 0
    assert f"Training was left out: {words}" in result.text
    assert "To install it, in the checkout: pip install -e '.[deep]'\n" in result.out
    assert "Traceback" not in result.err
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_only_loading_may_fail_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claims: list[Any]
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ImportError("inside the training itself")

    announce(monkeypatch, SimpleNamespace(name="a", load=lambda: broken))
    with pytest.raises(ImportError, match="inside the training"):
        main(["demo", "--output", str(tmp_path)])


def test_a_failing_claim_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], claims: list[Any]
) -> None:
    claims[0].passed, claims[0].status = False, "fails"
    result = run(capsys, "--no-train", "--output", str(tmp_path))
    assert result.code == 1
    assert "1 FAIL (T1.a)" in result.text


def test_progress_of_the_training_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    claims: list[Any]
) -> None:  # fmt: skip
    import sys

    monkeypatch.setenv("TERM", "xterm")
    announce(monkeypatch, SimpleNamespace(name="a", load=lambda: trained))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert "training" in run(capsys, "--output", str(tmp_path)).err


def test_directory_that_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "file/sub"):
        result = run(capsys, "--output", str(tmp_path / name))
        assert (result.code, result.out) == (2, "")
        assert result.err.count("\n") == 1
        assert "--output" in result.err
    monkeypatch.setattr(os, "access", lambda *_: False)
    result = run(capsys, "--output", str(tmp_path))
    assert (result.code, result.out) == (2, "")
    assert "may not be written to" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_group_that_is_looked_up_is_the_registered_one(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = EntryPoints([EntryPoint("x", "json:loads", "linvae.demo")])
    monkeypatch.setattr(demo, "entry_points", lambda **chosen: entries.select(**chosen))
    assert demo._trainer() is json.loads
