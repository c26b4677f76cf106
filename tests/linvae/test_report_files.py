"""Files a page takes in: results of comparisons, and examinations."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest

import linvae as lv
from linvae.doctor import Examination, Finding
from linvae.doctor.examination import examination_from_plain
from linvae.doctor.render import as_html_section, as_json
from linvae.errors import DataFileError, InputError
from linvae.report import build_report, load_examination, load_learned
from tests.linvae.report_tools import Page
from tests.tolerances import assert_close

RESULTS = Path(__file__).resolve().parents[2] / "results"
RECORD = json.loads((RESULTS / "digits-mlp.json").read_text(encoding="utf-8"))


@pytest.fixture
def write(tmp_path: Path):
    def call(content) -> Path:
        path = tmp_path / "file.json"
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return call


def changed(*path_and_value):
    """The record with one entry replaced; with one left out when the value is ... ."""
    *path, value = path_and_value
    record = copy.deepcopy(RECORD)
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return record


# --- learned points ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["digits-mlp", "fig4-linear-mnist", "gaussian-mlp"])
def test_committed_results_are_read(name: str) -> None:
    record = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    learned = load_learned(RESULTS / f"{name}.json")
    assert learned.experiment == record["experiment"]
    assert learned.noise_variance == record["config"]["likelihood"]["noise_variance"]
    assert learned.latent_dim == record["config"]["model"]["latent_dim"]
    keys = [key for key in ("multi_rate", "dedicated") if record[key]]
    assert [p.label.replace("-", "_") for p in learned.points] == keys
    for points, key in zip(learned.points, keys, strict=True):
        for column in ("beta", "rate", "rate_se", "distortion", "distortion_se", "objective_se"):
            np.testing.assert_array_equal(
                getattr(points, column), [row[column] for row in record[key]]
            )


def test_points_gaps_and_bars_are_on_the_page(digits_in_unit_range) -> None:
    learned = load_learned(RESULTS / "digits-mlp.json")
    spectrum = digits_in_unit_range
    report = build_report(spectrum, latent_dim=8, noise_variance=0.05, learned=learned, checks=())
    page = Page(report.html)
    curve = lv.Frontier(spectrum, latent_dim=8, noise_variance=0.05)
    row = RECORD["multi_rate"][2]
    gap = curve.gap(row["rate"], row["distortion"], row["beta"])
    assert_close(learned.points[0].gap(curve)[2], gap, "exact")
    for shown in (f"{gap:.6g} ± {row['objective_se']:.2g}",
                  f"{row['rate']:.6g} ± {row['rate_se']:.2g}"):  # fmt: skip
        assert shown.replace("-", "−") in page.words
    assert learned.experiment in page.words
    assert "measured against another optimum" in page.words
    low, high = report.beta_range
    assert low <= learned.betas.min()
    assert high >= learned.betas.max()
    assert "learned-dedicated" in page.scripts[0]


@pytest.fixture(scope="module")
def digits_in_unit_range() -> lv.Spectrum:
    pytest.importorskip("bokeh")
    from sklearn.datasets import load_digits

    return lv.Spectrum.from_samples(load_digits().data / 16)


def test_notes_are_silent_when_the_problem_is_the_same(write) -> None:
    spectrum = lv.Spectrum.from_eigenvalues([4.0, 2.0, 1.0])
    curve = lv.Frontier(spectrum, latent_dim=8 - 5, noise_variance=0.05)
    record = changed("config", "model", "latent_dim", 3)
    for key in ("multi_rate", "dedicated"):
        for row in record[key]:
            row["optimum"] = float(curve.at_beta(row["beta"]).objective)
    learned = load_learned(write(record))
    assert learned.notes(curve) == []
    other = lv.Frontier(spectrum, latent_dim=2, noise_variance=0.05)
    assert any("3 latents" in note for note in learned.notes(other))


def test_another_noise_variance_is_refused() -> None:
    learned = load_learned(RESULTS / "digits-mlp.json")
    curve = lv.Frontier(lv.Spectrum.from_eigenvalues([1.0]), latent_dim=1, noise_variance=0.06)
    with pytest.raises(InputError, match=r"add --noise-variance 0\.05"):
        learned.check_fits(curve)


def test_a_single_kind_of_network_will_do(write) -> None:
    learned = load_learned(write(changed("dedicated", [])))
    assert [p.label for p in learned.points] == ["multi-rate"]


BAD = {
    "empty": "",
    "no JSON": "{",
    "not text": b"\xff\xfe\x00",
    "NaN": '{"a": NaN}',
    "deep": "[" * 100_000,
    "a list": "[]",
    "a number": "3",
    "empty object": "{}",
    "bernoulli": changed("config", "likelihood", "kind", "bernoulli"),
    "no likelihood": changed("config", "likelihood", ...),
    "no points": {**RECORD, "multi_rate": [], "dedicated": []},
    "points not a list": changed("multi_rate", 3),
    "points not objects": changed("multi_rate", [3]),
    "beta missing": changed("multi_rate", 0, "beta", ...),
    "beta zero": changed("multi_rate", 0, "beta", 0),
    "beta true": changed("multi_rate", 0, "beta", True),
    "rate a text": changed("multi_rate", 0, "rate", "<b>1</b>"),
    "rate huge": changed("multi_rate", 0, "rate", 10**400),
    "negative error": changed("multi_rate", 0, "rate_se", -1.0),
    "variance zero": changed("config", "likelihood", "noise_variance", 0.0),
    "no experiment": changed("experiment", ...),
    "half a latent": changed("config", "model", "latent_dim", 2.5),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_results_get_one_clear_sentence(write, name: str) -> None:
    with pytest.raises(DataFileError, match=r"^--learned: got .*; expected .*; .+") as caught:
        load_learned(write(BAD[name]))
    assert "file.json" in str(caught.value)


@pytest.mark.parametrize("load", [load_learned, load_examination])
def test_files_that_cannot_be_read(load, tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="does not exist"):
        load(tmp_path / "none.json")
    with pytest.raises(DataFileError, match="check the path"):
        load(tmp_path)


# --- examinations --------------------------------------------------------------------------------

FINDING = Finding("kl-sign", "Which sign?", "The wrong one.", {"factor": -1.0}, "a typo", "turn it")
EXAMINATION = Examination(
    "loss", "mine:loss", ("Which sign?",), {"beta": 2.0, "runs": [{"seed": 0}]}, (FINDING,), None,
    0.25,
)  # fmt: skip


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize(
    "examination", [EXAMINATION, Examination("code", "x:y", (), {}, (), "ValueError: no")]
)
def test_examinations_come_back_as_they_were(write, wrapped: bool, examination) -> None:
    plain = json.loads(as_json(examination))
    found = load_examination(write({"examination": plain} if wrapped else plain))
    assert found == examination
    assert found.seconds == examination.seconds
    assert as_html_section(found) == as_html_section(examination)


def test_an_examination_is_a_section_of_the_page() -> None:
    pytest.importorskip("bokeh")
    spectrum = lv.Spectrum.from_eigenvalues([2.0, 1.0])
    report = build_report(spectrum, latent_dim=1, noise_variance=1.0, checks=(),
                          examination=EXAMINATION)  # fmt: skip
    assert as_html_section(EXAMINATION) in report.html


PLAIN = EXAMINATION.as_plain()


@pytest.mark.parametrize(
    "document",
    [
        3,
        [],
        {},
        {**PLAIN, "kind": 3},
        {**PLAIN, "subject": None},
        {**PLAIN, "asked": "one"},
        {**PLAIN, "asked": [1]},
        {**PLAIN, "facts": []},
        {**PLAIN, "failure": 1},
        {**PLAIN, "seconds": "1"},
        {**PLAIN, "seconds": -1},
        {**PLAIN, "seconds": 10**400},
        {**PLAIN, "seconds": float("inf")},
        {**PLAIN, "findings": {}},
        {**PLAIN, "findings": [1]},
        {**PLAIN, "findings": [{**PLAIN["findings"][0], "cause": 1}]},
        {**PLAIN, "findings": [{**PLAIN["findings"][0], "evidence": 1}]},
    ],
)
def test_what_is_no_examination_is_refused(document) -> None:
    with pytest.raises(InputError, match=r"^file: got .*; expected .*; .+"):
        examination_from_plain(document, name="file")
