"""``linvae report``: what it writes, says and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import linvae as lv
from linvae.cli import problem as problem_module
from tests.linvae.cli_tools import Run, assert_refused, fake_checks, runner, strict
from tests.linvae.report_tools import NASTY, Page
from tests.tolerances import assert_close

pytest.importorskip("bokeh")

RESULTS = Path(__file__).resolve().parents[2] / "results"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


@pytest.fixture
def no_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims are tested elsewhere and take a second each time."""
    monkeypatch.setattr("linvae.verification.verify", lambda *_, **__: fake_checks("holds"))


@pytest.fixture
def data(tmp_path: Path, rng: np.random.Generator) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    np.save(folder / "x.npy", rng.normal(size=(40, 64)) * np.geomspace(4, 0.1, 64))
    return folder / "x.npy"


def test_digits_from_the_shell(run: Run, tmp_path: Path) -> None:
    """The whole verb, claims included, for people."""
    target = tmp_path / "page.html"
    result = run("report", "digits", "-o", target)
    assert (result.code, result.err) == (0, "")
    assert f"Written: {target}" in result.text
    assert "none fails" in result.text
    assert "1797 samples" in result.text
    page = Page(target.read_text(encoding="utf-8"))
    assert "Rate and distortion of linear VAEs: digits" in page.words
    assert page.data["data_range"] == 16
    assert page.data["images"]["shape"] == [8, 8]
    assert target.stat().st_size < 3_000_000


@pytest.mark.usefixtures("no_claims")
def test_the_summary_for_machines(run: Run, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    result = run("report", data, "-o", target, "--latent-dim", 3, "--noise-variance", 0.5,
                 "--data-range", 9, "--json")  # fmt: skip
    assert (result.code, result.err) == (0, "")
    document = strict(result.out)
    assert document["command"] == "report"
    assert document["files"] == {"output": str(target)}
    assert document["page"]["bytes"] == target.stat().st_size
    assert document["page"]["images"]["shape"] == [8, 8]
    assert document["page"]["data_range"] == 9
    assert document["claims"][0]["status"] == "holds"
    curve = lv.Frontier(lv.Spectrum.from_samples(np.load(data)), latent_dim=3, noise_variance=0.5)
    assert_close(document["curve"]["critical_betas"], curve.critical_betas, "exact")
    page = Page(target.read_text(encoding="utf-8"))
    assert page.data["critical"] == document["curve"]["critical_betas"]
    assert "guessed, as 64 features make a square" in page.words


@pytest.mark.usefixtures("no_claims")
@pytest.mark.parametrize(
    ("options", "shape"),
    [
        (("--image-shape", "4", "16"), [4, 16]),
        (("--no-images",), None),
    ],
)
def test_the_shape_of_images_can_be_said(run: Run, data: Path, tmp_path, options, shape) -> None:
    document = strict(run("report", data, "-o", tmp_path / "p.html", *options, "--json").out)
    images = document["page"]["images"]
    assert (None if images is None else images["shape"]) == shape


@pytest.mark.usefixtures("no_claims")
def test_images_as_stored_and_eight_bit_data(run: Run, tmp_path: Path, rng) -> None:
    np.save(tmp_path / "x.npy", rng.integers(0, 256, size=(30, 4, 5)).astype(np.uint8))
    document = strict(run("report", tmp_path / "x.npy", "-o", tmp_path / "p.html", "--json").out)
    assert document["page"]["images"]["shape"] == [4, 5]
    assert document["page"]["data_range"] == 255


@pytest.mark.usefixtures("no_claims")
def test_tables_have_no_images(run: Run, tmp_path: Path, rng) -> None:
    np.savetxt(tmp_path / "x.csv", rng.normal(size=(20, 5)), delimiter=",", header="a,b,c,d,e")
    document = strict(run("report", tmp_path / "x.csv", "-o", tmp_path / "p.html", "--json").out)
    assert document["page"]["images"] is None


@pytest.mark.usefixtures("no_claims")
def test_names_of_files_and_titles_are_escaped(run: Run, tmp_path: Path, rng) -> None:
    name = "<script>window.hacked=1<!--'\".npy"
    np.save(tmp_path / name, rng.normal(size=(20, 5)))
    result = run("report", tmp_path / name, "-o", tmp_path / "p.html")
    assert result.code == 0
    page = Page((tmp_path / "p.html").read_text(encoding="utf-8"))
    assert name in page.words
    assert len(page.scripts) == 3
    assert run("report", tmp_path / name, "-o", tmp_path / "p.html", "--title", NASTY).code == 0
    assert NASTY in Page((tmp_path / "p.html").read_text(encoding="utf-8")).words


def test_a_failing_claim_is_written_and_exits_with_1(run, data, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("linvae.verification.verify",
                        lambda *_, **__: fake_checks("holds", "fails"))  # fmt: skip
    result = run("report", data, "-o", tmp_path / "p.html", "--latent-dim", 2)
    assert result.code == 1
    assert "✗ FAILS" in (tmp_path / "p.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("no_claims")
def test_learned_points_and_an_examination(run: Run, tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    np.save(tmp_path / "x.npy", load_digits().data / 16)
    (tmp_path / "loss.py").write_text(
        "def loss(x, x_hat, mean, log_var):\n    return ((x - x_hat) ** 2).mean()\n"
    )
    checked = run("check", f"{tmp_path / 'loss.py'}:loss", "--json")
    (tmp_path / "check.json").write_text(checked.out)
    result = run("report", tmp_path / "x.npy", "-o", tmp_path / "p.html", "--latent-dim", 8,
                 "--noise-variance", 0.05, "--learned", RESULTS / "digits-mlp.json",
                 "--examination", tmp_path / "check.json")  # fmt: skip
    assert (result.code, result.err) == (0, "")
    words = Page((tmp_path / "p.html").read_text(encoding="utf-8")).words
    assert "Learned points" in words
    found = json.loads(checked.out)["examination"]["findings"][0]["found"]
    assert found in words


def test_what_is_refused(run: Run, data: Path, tmp_path: Path, monkeypatch) -> None:
    """One line each, before anything long is done."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("claims were checked before the input was")

    monkeypatch.setattr(problem_module, "run_claims", never)
    target = tmp_path / "p.html"
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    assert_refused(run("report", tmp_path / "none.npy", "-o", target), "does not exist")
    assert_refused(run("report", data, "-o", tmp_path / "p.pdf"), ".html")
    assert_refused(run("report", data, "-o", tmp_path / "no" / "p.html"), "directory")
    assert_refused(run("report", data, "-o", target, "--image-shape", 3, 3), "--image-shape")
    assert_refused(run("report", data, "-o", target, "--image-shape", 64), "--image-shape")
    assert_refused(run("report", data, "-o", target, "--learned", wrong), "--learned")
    assert_refused(run("report", data, "-o", target, "--examination", wrong), "--examination")
    assert_refused(run("report", data, "-o", target, "--latent-dim", 65), "latent_dim")
    assert_refused(run("report", data, "-o", target, "--data-range", 0), "--data-range")
    assert_refused(
        run("report", data, "-o", target, "--learned", RESULTS / "digits-mlp.json"),
        "--noise-variance 0.05",
    )
    assert not target.exists()
