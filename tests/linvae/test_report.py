"""The page: its numbers, its files, what it loads (nothing), and what it escapes (everything)."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

import linvae as lv
from linvae.claims.types import Check
from linvae.doctor import Examination, Finding
from linvae.errors import InputError, MissingPackageError, PartialSpectrumError
from linvae.report import Learned, LearnedPoints, build_report, guess_image_shape
from linvae.report.numbers import beta_range, start_beta
from tests.linvae.report_tools import NASTY, Page, reconstructed
from tests.tolerances import assert_close

pytest.importorskip("bokeh")

SIZES = MappingProxyType({"latent_dim": 16, "noise_variance": 4.0})
MOST_BYTES = 3_000_000
DIGITS_RANGE = 16.0


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    from sklearn.datasets import load_digits

    return np.asarray(load_digits().data)


@pytest.fixture(scope="module")
def spectrum(digits: np.ndarray) -> lv.Spectrum:
    return lv.Spectrum.from_samples(digits)


@pytest.fixture(scope="module")
def report(digits: np.ndarray, spectrum: lv.Spectrum):
    return build_report(spectrum, **SIZES, samples=digits, image_shape=(8, 8),
                        data_range=DIGITS_RANGE, title="Digits")  # fmt: skip


@pytest.fixture(scope="module")
def page(report) -> Page:
    return Page(report.html)


def small(values, k=None, **more):
    spectrum = lv.Spectrum.from_eigenvalues(values)
    chosen = {"latent_dim": k or len(values), "noise_variance": 1.0, "checks": ()}
    return build_report(spectrum, **{**chosen, **more})


# --- one file that loads nothing -----------------------------------------------------------------


def test_the_page_is_one_small_file(report, tmp_path: Path) -> None:
    report.write(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == report.html
    assert (tmp_path / "page.html").stat().st_size < MOST_BYTES
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_nothing_is_loaded_from_anywhere(page: Page, report) -> None:
    for _, attributes in page.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset", "style"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (name, value)
        assert not any(name.startswith("on") for name in attributes)
    assert not page.all("iframe")
    style = report.html.partition("<style>")[2].partition("</style>")[0]
    assert "{" in style
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_these_scripts_and_no_others(page: Page) -> None:
    [policy] = [m["content"] for m in page.all("meta")
                if m.get("http-equiv") == "Content-Security-Policy"]  # fmt: skip
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    wanted = {
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in page.scripts[1:]
    }
    assert set(rules["script-src"].split()) == wanted
    assert len(wanted) == 2


# --- numbers -------------------------------------------------------------------------------------


def test_the_csv_is_the_curve_to_the_last_bit(page: Page, report, spectrum: lv.Spectrum) -> None:
    head, *rows = csv.reader(io.StringIO(page.download("curve.csv")))
    assert head == [
        "beta [dimensionless]", "rate [nats per sample]", "distortion [nats per sample]",
        "squared_error [squared data units, summed over features]", "objective [nats per sample]",
        "water_level [squared data units]", "active [number of modes]", "psnr [dB]",
    ]  # fmt: skip
    points = lv.Frontier(spectrum, **SIZES).at_beta(report.betas)
    columns = np.array(rows, dtype=np.float64).T
    wanted = [points.beta, points.rate, points.distortion, points.squared_error, points.objective,
              points.water_level, points.active, points.psnr(DIGITS_RANGE)]  # fmt: skip
    for got, want in zip(columns, wanted, strict=True):
        np.testing.assert_array_equal(got, want)


def test_the_curve_covers_the_slider_and_holds_the_critical_betas(report, spectrum) -> None:
    curve = lv.Frontier(spectrum, **SIZES)
    low, high = report.beta_range
    assert (report.betas[0], report.betas[-1]) == (low, high)
    assert (np.diff(report.betas) > 0).all()
    assert set(curve.critical_betas) <= set(report.betas)
    assert curve.at_beta(low).active == 16
    assert curve.at_beta(high).active == 0


def test_the_json_says_the_same_with_units(page: Page, report, spectrum: lv.Spectrum) -> None:
    document = json.loads(page.download("curve.json"))
    points = lv.Frontier(spectrum, **SIZES).at_beta(report.betas)
    for name in ("beta", "rate", "distortion", "squared_error", "active"):
        np.testing.assert_array_equal(document["points"][name], getattr(points, name))
    pure = {"kind", "latent_dim", "n_features"}
    present = {name for name, value in document["curve"].items() if value is not None}
    assert set(document["units"]) >= set(document["points"]) | (present - pure)
    np.testing.assert_array_equal(document["curve"]["eigenvalues"], spectrum.eigenvalues[:16])
    assert document["curve"]["noise_variance"] == 4.0


def test_the_table_needs_no_script(page: Page, report, spectrum: lv.Spectrum) -> None:
    """What stands in the cells is the curve, to the digits shown."""
    cells = re.search('<table id="curve-table">.*?</table>', report.html, re.S)
    assert cells is not None
    rows = re.findall(r"<tr>(<td>.*?)</tr>", cells.group())
    table = np.array([[float(c.replace("−", "-")) for c in re.findall("<td>(.*?)</td>", row)]
                      for row in rows])  # fmt: skip
    points = lv.Frontier(spectrum, **SIZES).at_beta(table[:, 0])
    wanted = [points.beta, points.rate, points.distortion, points.squared_error, points.objective,
              points.water_level, points.active, points.psnr(DIGITS_RANGE)]  # fmt: skip
    np.testing.assert_allclose(table.T, wanted, rtol=5e-6)
    assert len(table) > 10
    assert "noscript" in {tag for tag, _ in page.elements}


def test_every_claim_is_shown_with_its_verdict(page: Page, report, spectrum) -> None:
    assert [c.claim for c in report.checks] == [c.claim for c in lv.verify(spectrum, **SIZES)]
    for check in report.checks:
        assert check.statement in page.words
    assert page.words.count("✓ holds") == sum(c.status == "holds" for c in report.checks)
    assert page.words.count("⊘ impossible (shown)") == 1


def test_a_failing_claim_is_called_so() -> None:
    check = Check("X", "Two is three.", 1.0, "<=", 1e-9, "fails", "it is not")
    page = Page(small([2.0, 1.0], checks=[check]).html)
    assert "✗ FAILS" in page.words
    assert "1 FAIL" in page.words
    assert "it is not" in page.words


# --- reconstructions -----------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [1e-3, 0.4, 1.0, 6.0, 20.0, 44.0, 90.0])
def test_stored_images_reconstruct_within_the_stated_error(
    page: Page, report, digits, spectrum, beta: float
) -> None:
    images = report.images
    got = reconstructed(page.data["images"], page.data["critical"], beta)
    model = lv.response(spectrum, beta, **SIZES)
    want = model.decode(model.encode(digits[images.rows]))
    error = np.abs(got - want).max()
    assert error <= images.error
    assert images.error < 1e-4 * DIGITS_RANGE, "16 bits are enough for digits"
    if beta < 1:
        assert error > images.error / 1000, "a bound that is never approached says nothing"


@pytest.mark.parametrize("k", [784, 120])
def test_eight_bits_where_sixteen_would_not_fit(k: int, rng: np.random.Generator) -> None:
    samples = rng.random((850, 784)) * np.exp(-np.arange(784) / 200)
    spectrum = lv.Spectrum.from_samples(samples)
    report = build_report(spectrum, latent_dim=k, noise_variance=0.01, samples=samples,
                          image_shape=(28, 28), checks=())  # fmt: skip
    assert len(report.html.encode()) < MOST_BYTES
    page = Page(report.html)
    fine = page.data["images"]["fine"]
    assert (fine < k) == (k == 784)
    beta = 1e-4
    model = lv.response(spectrum, beta, latent_dim=k, noise_variance=0.01)
    want = model.decode(model.encode(samples[report.images.rows]))
    got = reconstructed(page.data["images"], page.data["critical"], beta)
    assert np.abs(got - want).max() <= report.images.error


def test_too_many_eigenvectors_are_left_out_and_said(rng: np.random.Generator) -> None:
    samples = rng.random((60, 128 * 96))
    spectrum = lv.Spectrum.from_samples(samples, leading=59)
    report = build_report(spectrum, latent_dim=59, noise_variance=0.01, samples=samples,
                          image_shape=(128, 96), checks=())  # fmt: skip
    assert report.images is None
    assert "left out" in report.notes[0]
    assert report.notes[0] in Page(report.html).words
    assert not Page(report.html).all("canvas")


def test_colour_images(rng: np.random.Generator) -> None:
    samples = rng.random((30, 48))
    report = build_report(lv.Spectrum.from_samples(samples), latent_dim=4, noise_variance=0.01,
                          samples=samples, image_shape=(4, 4, 3), checks=())  # fmt: skip
    assert report.images.shape == (4, 4, 3)
    [canvas, *_] = Page(report.html).all("canvas")
    assert (canvas["width"], canvas["height"]) == ("4", "4")


def test_constant_samples_have_a_black_and_a_white() -> None:
    samples = np.full((5, 4), 7.0)
    report = build_report(lv.Spectrum.from_samples(samples), latent_dim=2, noise_variance=1.0,
                          samples=samples, image_shape=(2, 2), checks=())  # fmt: skip
    assert report.images.white > report.images.black


@pytest.mark.parametrize(
    ("stored", "n", "want"),
    [
        ((50, 8, 8), 64, (8, 8)),
        ((50, 5, 7), 35, (5, 7)),
        ((50, 4, 4, 3), 48, (4, 4, 3)),
        ((50, 3, 4, 4), 48, None),
        ((50, 64), 64, (8, 8)),
        ((50, 784), 784, (28, 28)),
        ((50, 49), 49, None),
        ((50, 65), 65, None),
    ],
)
def test_guessing_the_shape_of_an_image(stored, n, want) -> None:
    guess = guess_image_shape(stored, n)
    assert (None if guess is None else guess[0]) == want
    if guess:
        assert guess[1].startswith("guessed" if len(stored) == 2 else "as stored")


# --- spectra of every kind -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "k"),
    [
        ([1.0], 1),
        ([0.0, 0.0], 2),
        ([4.0, 2.0, 0.0, 0.0], 4),
        ([2.0, 2.0, 2.0], 2),
        ([1e-6, 1e-9], 2),
        ([1e200, 1e100, 1.0], 3),
        ([1.0, 1e-14], 2),
        ([3.0, 1.0], 1),
    ],
)
def test_any_spectrum(values, k) -> None:
    report = small(values, k)
    page = Page(report.html)
    low, high = report.beta_range
    assert 0 < low <= page.data["slider"]["start"] <= high
    curve = lv.Frontier(lv.Spectrum.from_eigenvalues(values), latent_dim=k, noise_variance=1.0)
    assert curve.at_beta(high).active == 0
    first = curve.critical_betas[0]
    assert not first or curve.at_beta(low).active == np.count_nonzero(
        curve.critical_betas > max(low, 0)
    )
    np.testing.assert_array_equal(page.data["critical"], curve.critical_betas)


def test_a_leading_spectrum(rng: np.random.Generator) -> None:
    samples = rng.normal(size=(40, 30))
    spectrum = lv.Spectrum.from_samples(samples, leading=5)
    report = build_report(spectrum, latent_dim=5, noise_variance=0.5, samples=samples,
                          image_shape=(5, 6), checks=())  # fmt: skip
    tails = Page(report.html).data["tails"]
    assert_close(tails[0], spectrum.total_variance, "exact")
    assert_close(tails[5], spectrum.tail_variance(5), "exact")
    with pytest.raises(PartialSpectrumError):
        build_report(spectrum, latent_dim=6, noise_variance=0.5)


def test_the_range_of_the_slider() -> None:
    curve = lv.Frontier(lv.Spectrum.from_eigenvalues([40.0, 3.0]), latent_dim=2, noise_variance=0.1)
    assert beta_range(curve, np.zeros(0)) == (1.0, 800.0)
    assert beta_range(curve, np.array([0.037, 5000.0])) == (0.03, 5000.0)
    assert start_beta(0.1, 10.0) == 1.0
    assert_close(start_beta(4.0, 16.0), 8.0, "rounding")
    dead = lv.Frontier(lv.Spectrum.from_eigenvalues([0.0]), latent_dim=1, noise_variance=1.0)
    assert beta_range(dead, np.zeros(0)) == (0.01, 10.0)


# --- strings of users ----------------------------------------------------------------------------


def nasty_examination() -> Examination:
    finding = Finding(NASTY, NASTY, NASTY, {NASTY: NASTY}, NASTY, NASTY)
    return Examination("loss", NASTY, (NASTY,), {NASTY: [{NASTY: NASTY}]}, (finding,))


def nasty_learned() -> Learned:
    one = np.ones(1)
    return Learned(NASTY, 1.0, 2, (LearnedPoints("dedicated", *([one] * 8)),))


def test_strings_of_users_are_text_and_nothing_else() -> None:
    plain = Page(small([2.0, 1.0], learned=nasty_learned(), examination=nasty_examination()).html)
    nasty = Page(small(
        [2.0, 1.0], learned=nasty_learned(), examination=nasty_examination(), title=NASTY,
        description=[NASTY],
        checks=[Check(NASTY, NASTY, 0.0, "<=", 1.0, "fails", NASTY)],
    ).html)  # fmt: skip
    for page in (plain, nasty):
        assert not page.all("img")
        assert len(page.scripts) == 3
        assert [s.get("type") for s in page.all("script")] == ["application/json", None, None]
        assert "hacked" not in "".join(page.scripts)
    assert nasty.words.count(NASTY) >= 10
    assert json.loads(nasty.download("curve.json"))["title"] == NASTY


def test_control_characters_and_half_characters_do_no_harm(tmp_path: Path) -> None:
    report = small([2.0], title="a\x00b\x1b[31m\u2028c\ud800d")
    report.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "\x00" not in text
    assert "\x1b" not in text


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image_shape": (3, 3), "samples": np.ones((4, 2))}, "image_shape"),
        ({"image_shape": (2, 1)}, "samples"),
        ({"image_shape": (2, 1), "samples": np.ones((4, 3))}, "samples"),
        ({"image_shape": (2, 1), "samples": np.ones((0, 2))}, "samples"),
        ({"image_shape": (2, 1), "samples": np.ones(2)}, "samples"),
        ({"image_shape": (-2, -1), "samples": np.ones((4, 2))}, "image_shape"),
        ({"image_shape": (2,), "samples": np.ones((4, 2))}, "image_shape"),
        ({"data_range": 0.0}, "data_range"),
        ({"k": 3}, "latent_dim"),
        ({"noise_variance": -1.0}, "noise_variance"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(options, words) -> None:
    with pytest.raises(InputError, match=f"^{words}: got .*; expected .*; ") as caught:
        small([2.0, 1.0], **options)
    assert "\n" not in str(caught.value)


def test_without_bokeh_the_message_says_what_to_install(monkeypatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "bokeh"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "bokeh", None)
    with pytest.raises(MissingPackageError, match=r"pip install linvae\[report\]"):
        small([2.0])


@pytest.mark.parametrize("statement", ["import linvae", "import linvae.report"])
def test_bokeh_is_loaded_when_a_page_is_built_and_not_before(statement: str) -> None:
    code = f"{statement}, sys\nprint('bokeh' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_error_at_all_has_an_infinite_psnr() -> None:
    page = Page(small([0.0, 0.0], data_range=1.0).html)
    assert "∞" in page.words
    assert json.loads(page.download("curve.json"))["points"]["psnr"][0] is None
    assert page.download("curve.csv").splitlines()[1].endswith(",inf")
