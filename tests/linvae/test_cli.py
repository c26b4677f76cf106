"""The command line: the right numbers, as strict JSON and in words for people."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import linvae as lv
from tests.linvae.cli_tools import Run, assert_refused, fake_checks, runner, strict
from tests.tolerances import assert_close


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


@pytest.fixture
def samples(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(40, 6)) * [4.0, 3.0, 2.0, 1.0, 0.5, 0.25]


@pytest.fixture
def data(tmp_path: Path, samples: np.ndarray) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    np.save(folder / "x.npy", samples)
    return folder / "x.npy"


@pytest.fixture
def spectrum(samples: np.ndarray) -> lv.Spectrum:
    return lv.Spectrum.from_samples(samples)


def test_frontier_json_is_the_frontier(run: Run, data: Path, spectrum: lv.Spectrum) -> None:
    result = run("frontier", data, "--latent-dim", 3, "--noise-variance", 0.5,
                 "--beta", 0.1, "1:10:3,20", "--data-range", 8, "--json")  # fmt: skip
    assert (result.code, result.err) == (0, "")
    document = strict(result.out)
    curve = lv.Frontier(spectrum, latent_dim=3, noise_variance=0.5)
    betas = [0.1, 1.0, math.sqrt(10), 10.0, 20.0]
    points = curve.at_beta(betas)
    assert_close(document["points"]["beta"], betas, "rounding")
    for name in ("rate", "distortion", "squared_error", "bits_per_dimension"):
        assert_close(document["points"][name], getattr(points, name), "exact")
    assert document["points"]["active"] == points.active.tolist()
    assert_close(document["points"]["psnr"], points.psnr(8.0), "exact")
    assert document["curve"]["kind"] == "rank-k"
    assert_close(document["curve"]["critical_betas"], curve.critical_betas, "exact")
    assert document["command"] == "frontier"
    assert document["data"]["n_samples"] == 40
    assert document["data"]["n_features"] == 6
    assert document["data"]["source"] == str(data)
    assert document["settings"]["latent_dim"] == 3
    assert document["settings"]["noise_variance"] == 0.5
    assert document["versions"]["linvae"] == lv.__version__
    assert document["versions"]["numpy"] == np.__version__
    assert document["files"] == {}


@pytest.mark.parametrize("flag", ["rate", "distortion", "squared-error", "psnr"])
def test_queries_invert_the_curve(run: Run, data: Path, spectrum: lv.Spectrum, flag: str) -> None:
    curve = lv.Frontier(spectrum, latent_dim=6, noise_variance=0.25)
    wanted = curve.at_beta([0.3, 2.0, 7.0])
    values = wanted.psnr(10.0) if flag == "psnr" else getattr(wanted, flag.replace("-", "_"))
    extra = ("--data-range", 10) if flag == "psnr" else ()
    result = run("frontier", data, "--latent-dim", 6, "--noise-variance", 0.25, "--json", *extra,
                 f"--{flag}", *(repr(float(v)) for v in values))  # fmt: skip
    points = strict(result.out)["points"]
    assert_close(points["beta"], [0.3, 2.0, 7.0], "exact")
    assert ("psnr" in points) == (flag == "psnr")


def test_defaults_are_chosen_and_said(run: Run, data: Path, spectrum: lv.Spectrum) -> None:
    document = strict(run("frontier", data, "--json").out)
    assert document["settings"]["latent_dim"] == 5
    assert "default" in document["settings"]["chosen_by"]["latent_dim"]
    # One direction is left: at β = 1 its variance is the maximum-likelihood noise.
    assert_close(document["settings"]["noise_variance"], spectrum.eigenvalues[5], "exact")
    betas = np.array(document["points"]["beta"])
    critical = np.array(document["curve"]["critical_betas"])
    assert betas.size == 10
    assert betas[0] < critical.min()
    assert betas[-1] > critical.max()
    assert_close(np.diff(np.log(betas)), np.full(9, np.log(betas[1] / betas[0])), "exact")
    assert np.log10(betas[[0, -1]]).round() == pytest.approx(np.log10(betas[[0, -1]]), abs=1e-12)
    text = run("frontier", data).text
    assert "k = 5 latents (default" in text
    assert "maximum likelihood" in text


def test_frontier_for_people(run: Run, data: Path) -> None:
    result = run("frontier", data, "--latent-dim", 2, "--noise-variance", 0.5)
    text = result.text
    for part in ("40 samples of 6 features", "rank-k", "Shannon", "Critical β", "nats", "σ² = 0.5",
                 "bits/dim", "active", "squared error is summed"):  # fmt: skip
        assert part in text
    assert "PSNR" not in text
    assert max(len(line) for line in result.out.splitlines() if str(data) not in line) <= 80
    text = run("frontier", data, "--latent-dim", 6, "--noise-variance", 0.5, "--data-range", 1).text
    assert "Curve: shannon. 6 latents cover all directions" in text
    assert "PSNR dB" in text


def test_long_tables_are_cut_for_people_only(run: Run, data: Path) -> None:
    text = run("frontier", data, "--beta", "1:10:500").out
    assert "(440 rows not shown; --json has all of them)" in text
    assert len(text.splitlines()) < 90
    assert (
        len(strict(run("frontier", data, "--beta", "1:10:500", "--json").out)["points"]["rate"])
        == 500
    )


def test_respond_writes_the_optimal_model(
    run: Run, data: Path, spectrum: lv.Spectrum, tmp_path: Path
) -> None:
    target = tmp_path / "model.npz"
    result = run("respond", data, "--latent-dim", 3, "--noise-variance", 0.5, "--beta", 9,
                 "--output", target, "--json")  # fmt: skip
    document = strict(result.out)
    assert document["files"] == {"output": str(target)}
    model = document["models"][0]
    vae = lv.response(spectrum, 9.0, latent_dim=3, noise_variance=0.5)
    terms = vae.evaluate(spectrum, 9.0)
    for name in ("rate", "distortion", "squared_error", "objective", "elbo"):
        assert_close(model["terms"][name], getattr(terms, name), "exact")
    level = 4.5
    assert model["modes"]["active"] == (spectrum.eigenvalues[:3] > level).tolist()
    excess = np.maximum(spectrum.eigenvalues[:3] - level, 0)
    assert_close(model["modes"]["gain"], np.sqrt(excess), "exact")
    assert_close(np.sum(model["modes"]["rate"]), terms.rate, "exact")
    with np.load(target) as held:
        fields = {name: held[name] for name in held.files}
    assert fields.pop("beta") == 9.0
    assert set(fields) == set(vars(vae))
    again = lv.LinearVAE(**fields)
    assert_close(again.evaluate(spectrum, 9.0).objective, terms.objective, "exact")
    assert again.batch_shape == ()


def test_respond_with_several_betas(
    run: Run, data: Path, spectrum: lv.Spectrum, tmp_path: Path
) -> None:
    target = tmp_path / "models.npz"
    result = run("respond", data, "--noise-variance", 0.5, "--beta", 0.5, 1000,
                 "--output", target, "--plot", tmp_path / "x.svg")  # fmt: skip
    assert result.code == 0
    active = np.count_nonzero(spectrum.eigenvalues[:5] > 0.25)
    assert f"β = 0.5: {active} of 5 modes active" in result.text
    assert "β = 1000: 0 of 5 modes active" in result.text
    assert "the best model ignores the data" in result.text
    assert f"Written: {target}" in result.text
    with np.load(target) as held:
        assert held["encoder"].shape == (2, 5, 6)
        assert held["beta"].tolist() == [0.5, 1000.0]
    assert (tmp_path / "x.svg").read_bytes().startswith(b"<?xml")


def test_respond_defaults_to_beta_one(run: Run, data: Path) -> None:
    assert strict(run("respond", data, "--json").out)["models"][0]["beta"] == 1.0


def test_verify_real_claims(run: Run, data: Path, tmp_path: Path) -> None:
    picture = tmp_path / "claims.png"
    result = run("verify", data, "--latent-dim", 3, "--json", "--plot", picture)
    assert (result.code, result.err) == (0, "")
    claims = {claim["claim"]: claim for claim in strict(result.out)["claims"]}
    assert {"T1.a", "T1.b", "T1.c", "T1.d", "T1.e", "T1.f"} <= set(claims)
    assert claims["T1.c"]["status"] == "impossible"
    assert claims["T1.c"]["residual"] > claims["T1.c"]["tolerance"] > 0
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("last", "code"), [("holds", 0), ("fails", 1)])
def test_verify_exit_code_and_words(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch, last: str, code: int
) -> None:
    seen: dict[str, Any] = {}

    def verify(spectrum: Any, **options: Any) -> list[Any]:
        seen.update(options)
        return fake_checks("holds", "impossible", "not applicable", last)

    monkeypatch.setattr("linvae.verification.verify", verify)
    result = run("verify", data, "--beta", 2, 3, "--latent-dim", 2, "--noise-variance", 0.5)
    assert result.code == code
    assert seen["betas"].tolist() == [2.0, 3.0]
    assert (seen["latent_dim"], seen["noise_variance"]) == (2, 0.5)
    rows = {line.split()[0]: line for line in result.out.splitlines() if line.startswith("X.")}
    assert "holds" in rows["X.0"]
    assert "1.0e-03 ≤ 1e-04" in rows["X.0"]
    assert "holds" not in rows["X.1"]
    assert "Statement number 1 [bold]." in result.text
    assert "impossible (shown)" in result.text
    assert "X.1: remark 1." in result.text
    assert "remark 0" not in result.text
    assert "1 (X.1) shown to be impossible as printed" in result.text
    assert "1 (X.2) not applicable" in result.text
    if code:
        assert "1 of 4 claims hold" in result.text
        assert "1 FAIL (X.3)" in result.text
        assert "X.3: remark 3." in result.text
    else:
        assert "2 of 4 claims hold" in result.text
        assert "none fails" in result.text
    assert run("verify", data, "--json").code == code
    assert seen["betas"] is None


def test_images_are_flattened_with_a_printed_note(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "i.npy"
    np.save(path, np.random.default_rng(5).integers(0, 255, (30, 2, 3), dtype=np.uint8))
    note = "each sample of shape 2 x 3 was flattened to 6 features"
    assert f"Note: {note}." in run("frontier", path).out
    assert strict(run("frontier", path, "--json").out)["notes"] == [note]


def test_quiet_prints_nothing_but_still_works(run: Run, data: Path, tmp_path: Path) -> None:
    picture = tmp_path / "x.png"
    result = run("frontier", data, "--quiet", "--plot", picture)
    assert (result.code, result.out, result.err) == (0, "", "")
    assert picture.exists()
    assert strict(run("frontier", data, "--quiet", "--json").out)
    assert_refused(run("frontier", "no.npy", "--quiet"))


def test_constant_data_with_a_given_noise_variance(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", np.full((5, 3), 7.0))
    result = run(
        "frontier", tmp_path / "c.npy", "--noise-variance", 1, "--plot", tmp_path / "x.png"
    )
    assert result.code == 0
    assert "nothing can be encoded" in result.out
    assert "k = 1 latents (default" in result.out
    document = strict(run("frontier", tmp_path / "c.npy", "--noise-variance", 1, "--json",
                          "--data-range", 2).out)  # fmt: skip
    assert document["points"]["rate"] == [0.0] * 10
    assert document["points"]["psnr"] == [None] * 10  # no error at all
