"""The page in a real browser: what a reader moves, sees and downloads."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import linvae as lv
from tests.linvae.report_tools import NASTY
from tests.tolerances import tolerance

from .tools import DIGITS_RANGE, PATIENCE, SIZES, Reader, assert_numbers

pytest.importorskip("bokeh")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.xdist_group("browser")


def test_the_numbers_are_the_librarys_all_along_the_slider(reader: Reader, digits, report) -> None:
    seen = []
    for step in (*range(0, 1000, 37), 1000):
        reader.set_step(step)
        got = reader.numbers()
        assert_numbers(got, digits.curve, DIGITS_RANGE)
        seen.append(got["beta"])
    assert (np.diff(seen) > 0).all()
    assert (seen[0], seen[-1]) == report.beta_range
    active = digits.curve.at_beta(seen).active
    assert {0, 16} <= set(active)
    assert len(set(active)) > 10


def test_what_is_written_is_the_number_rounded(reader: Reader) -> None:
    reader.set_step(444)
    shown = reader.page.eval_on_selector_all(
        "[data-number]", "all => all.map(e => [e.textContent, e.dataset.value])"
    )
    for text, value in shown:
        assert float(text.replace("−", "-")) == pytest.approx(float(value), rel=5.1e-6)
    bits = float(reader.page.text_content("#rate-bits"))
    assert bits == pytest.approx(reader.numbers()["rate"] / np.log(2), rel=1e-3)


def test_at_a_critical_beta_the_mode_is_dead(reader: Reader, digits) -> None:
    """Exactly there, where a rounded β would let it live on."""
    reader.set_step(1000)
    for mode in range(5):
        reader.page.click("#next-down")
        reader.settle()
        got = reader.numbers()
        assert got["beta"] == digits.curve.critical_betas[mode]
        assert got["active"] == mode
        assert_numbers(got, digits.curve, DIGITS_RANGE)
    reader.page.click("#next-up")
    reader.settle()
    assert reader.numbers()["beta"] == digits.curve.critical_betas[3]


def test_a_typed_beta(reader: Reader, digits, report) -> None:
    for text, want in (("2.5", 2.5), ("2,75", 2.75), ("1e9", report.beta_range[1])):
        reader.page.fill("#beta-number", text)
        reader.page.press("#beta-number", "Enter")
        reader.settle()
        assert reader.numbers()["beta"] == want
        assert_numbers(reader.numbers(), digits.curve, DIGITS_RANGE)
        assert reader.page.get_attribute("#beta-number", "aria-invalid") == "false"
        assert reader.page.is_visible("#beta-told") == (text == "1e9"), "what was cut off is said"
    for text in ("2.718281828459045", repr(float(digits.curve.critical_betas[3]))):
        reader.page.fill("#beta-number", text)
        for key in ("Enter", "Tab"):
            reader.page.keyboard.press(key)
            reader.settle()
            assert reader.numbers()["beta"] == float(text), "six digits are shown, all are used"
    reader.page.fill("#beta-number", "1e9")
    reader.page.press("#beta-number", "Enter")
    told = reader.page.locator("#beta-told")
    largest = f"{report.beta_range[1]:g}"
    assert told.inner_text() == f"This page goes no further: {largest} is its largest β."
    for text in ("zero", "-1", "0", ""):
        reader.page.fill("#beta-number", text)
        reader.page.press("#beta-number", "Enter")
        reader.settle()
        assert reader.numbers()["beta"] == report.beta_range[1], "what is no β moves nothing"
        assert reader.page.get_attribute("#beta-number", "aria-invalid") == "true"
        assert told.inner_text() == "β must be a number above 0."
    assert told.get_attribute("role") == "alert"
    reader.set_step(500)
    assert told.is_hidden(), "a move of the slider ends the matter"
    assert reader.page.get_attribute("#beta-number", "aria-invalid") == "false"


def test_the_table_of_modes(reader: Reader, digits) -> None:
    reader.page.click("summary")
    reader.set_step(500)
    beta = reader.numbers()["beta"]
    model = lv.response(digits.spectrum, beta, **SIZES)
    rows = reader.page.eval_on_selector_all(
        "#modes tbody tr",
        "all => all.map(r => [...r.cells].filter(c => c.dataset.name)"
        ".map(c => Number(c.dataset.value)))",
    )
    decoder = np.sqrt((model.decoder**2).sum(axis=0))
    encoder = np.sqrt((model.encoder**2).sum(axis=1))
    rates = model.information(digits.spectrum).rate_per_latent
    want = [digits.spectrum.eigenvalues[:16], digits.curve.critical_betas, decoder, encoder,
            decoder * encoder, model.posterior_variance, rates]  # fmt: skip
    np.testing.assert_allclose(np.array(rows).T, want, rtol=tolerance("exact"), atol=1e-12)


# --- moving --------------------------------------------------------------------------------------


def test_the_mouse_moves_everything(reader: Reader, digits) -> None:
    box = reader.page.locator("#beta").bounding_box()
    picture = reader.page.locator("#picture-curve")
    before = picture.screenshot()
    was = reader.source("point")
    reader.page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2)
    reader.page.mouse.down()
    reader.page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2, steps=5)
    reader.page.mouse.up()
    reader.settle()
    got = reader.numbers()
    assert 700 < reader.step() < 900
    assert_numbers(got, digits.curve, DIGITS_RANGE)
    point = reader.source("point")
    assert point != was
    assert (point["x"], point["y"]) == ([got["rate"]], [got["distortion"]])
    assert picture.screenshot() != before, "the marker was seen to move"


def test_the_keyboard_moves_everything(reader: Reader, digits, report) -> None:
    reader.page.focus("#next-down")
    reader.page.keyboard.press("Shift+Tab")
    assert reader.page.evaluate("document.activeElement.id") == "beta"
    assert reader.page.evaluate("document.activeElement.matches(':focus-visible')")
    outline = reader.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    start = reader.step()
    for key, want in (("ArrowRight", start + 1), ("ArrowLeft", start), ("ArrowUp", start + 1),
                      ("End", 1000), ("ArrowLeft", 999), ("Home", 0)):  # fmt: skip
        reader.page.keyboard.press(key)
        reader.settle()
        assert reader.step() == want
        assert_numbers(reader.numbers(), digits.curve, DIGITS_RANGE)
    assert reader.numbers()["beta"] == report.beta_range[0]
    reader.page.keyboard.press("PageUp")
    assert reader.step() > 10


def test_every_control_has_a_name_and_changes_are_spoken(reader: Reader) -> None:
    snapshot = reader.page.locator(".bar").aria_snapshot()
    for name in ("β, weight of the rate", "β as a number", "next critical β below",
                 "next critical β above"):  # fmt: skip
        assert name in snapshot
    reader.page.focus("#beta")
    reader.page.keyboard.press("End")
    spoken = reader.page.locator("#spoken")
    playwright.expect(spoken).to_contain_text(" 0 of 16 modes active", timeout=PATIENCE)
    assert reader.page.get_attribute("#spoken", "aria-live") == "polite"
    assert reader.page.get_attribute("#beta", "aria-valuetext").startswith("β = ")
    order = []
    reader.page.focus("#beta")
    for _ in range(4):
        order.append(reader.page.evaluate("document.activeElement.id"))
        reader.page.keyboard.press("Tab")
    assert order == ["beta", "next-down", "beta-number", "next-up"]
    assert reader.page.evaluate("document.activeElement.tagName") == "SUMMARY", (
        "the keyboard does not stop at pictures, where it can do nothing"
    )
    for name in ("Distortion against rate", "Water over the spectrum", "Gain of every mode",
                 "Gates against β"):  # fmt: skip
        assert reader.page.get_by_role("img", name=name, exact=True).count() == 1


def test_the_pictures_show_the_theory(reader: Reader, digits) -> None:
    reader.set_step(600)
    beta = reader.numbers()["beta"]
    critical, level = digits.curve.critical_betas, 4.0 * beta
    values = digits.spectrum.eigenvalues[:16]
    alive = int((critical > beta).sum())
    assert 0 < alive < 16
    level_line = reader.source("level")["y"]
    np.testing.assert_allclose(level_line, [level, level])
    np.testing.assert_allclose(reader.source("above")["top"], values[:alive])
    np.testing.assert_allclose(reader.source("above")["bottom"], level)
    np.testing.assert_allclose(reader.source("below")["top"], np.minimum(values, level))
    model = lv.response(digits.spectrum, beta, **SIZES)
    gains = np.diag(model.encoder @ model.decoder)
    np.testing.assert_allclose(reader.source("gain")["top"], gains[:alive], rtol=1e-9)
    np.testing.assert_allclose(reader.source("spread")["bottom"], gains, rtol=1e-9, atol=1e-15)
    gates = np.sqrt((model.decoder**2).sum(axis=0) / values)
    np.testing.assert_allclose(reader.source("gates")["y"], gates, rtol=1e-9, atol=1e-15)
    assert reader.source("now")["x"] == [beta, beta]
    tangent = reader.source("tangent")
    slope = np.diff(tangent["y"]) / np.diff(tangent["x"])
    np.testing.assert_allclose(slope, -beta, rtol=1e-9)


# --- images --------------------------------------------------------------------------------------


def levels(reader: Reader, kind: str, place: int) -> np.ndarray:
    found = reader.page.evaluate(
        # From a copy: Chromium complains when a canvas that is painted on is often read.
        "id => { const c = document.getElementById(id), d = document.createElement('canvas');"
        " d.width = c.width; d.height = c.height;"
        " const x = d.getContext('2d', { willReadFrequently: true }); x.drawImage(c, 0, 0);"
        " return Array.from(x.getImageData(0, 0, c.width, c.height).data); }",
        f"{kind}-{place}",
    )
    pixels = np.array(found).reshape(-1, 4)
    assert (pixels[:, 3] == 255).all()
    assert (pixels[:, :1] == pixels[:, :3]).all(), "grey"
    return pixels[:, 0]


@pytest.mark.parametrize("step", [0, 350, 650, 1000])
def test_reconstructions_are_the_librarys(reader: Reader, digits, report, step: int) -> None:
    reader.set_step(step)
    images = report.images
    model = lv.response(digits.spectrum, reader.numbers()["beta"], **SIZES)
    wanted = model.decode(model.encode(digits.samples[images.rows]))
    scale = 255 / (images.white - images.black)
    for place, (row, exact) in enumerate(zip(images.rows, wanted, strict=True)):
        original = (digits.samples[row] - images.black) * scale
        np.testing.assert_array_equal(levels(reader, "sample", place), np.rint(original))
        shown = levels(reader, "reconstruction", place)
        want = np.clip((exact - images.black) * scale, 0, 255)
        assert np.abs(shown - want).max() <= images.error * scale + 0.5


# --- downloads and strings -----------------------------------------------------------------------


def test_downloads_hold_the_librarys_numbers(reader: Reader, digits, tmp_path: Path) -> None:
    for name in ("curve.csv", "curve.json"):
        with reader.page.expect_download() as waiting:
            reader.page.click(f"a[download='{name}']")
        assert waiting.value.suggested_filename == name
        waiting.value.save_as(tmp_path / name)
    with (tmp_path / "curve.csv").open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    columns = np.array(rows, dtype=np.float64).T
    points = digits.curve.at_beta(columns[0])
    np.testing.assert_array_equal(columns[1], points.rate)
    np.testing.assert_array_equal(columns[2], points.distortion)
    document = json.loads((tmp_path / "curve.json").read_text(encoding="utf-8"))
    np.testing.assert_array_equal(document["points"]["rate"], points.rate)
    assert document["title"] == NASTY


def test_a_hostile_title_is_shown_as_text(reader: Reader) -> None:
    assert reader.page.text_content("h1") == NASTY
    assert reader.page.title() == NASTY
    assert reader.page.evaluate("window.hacked") is None
    assert reader.page.locator("img").count() == 0


def test_the_policy_stops_scripts_and_requests(browser: Any, place: Path) -> None:
    """What slipped through all the escaping would still not run, nor reach anybody."""
    context = browser.new_context()
    found = Reader(context.new_page()).open(place)
    found.page.evaluate(
        "() => { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.ran=1>"
        "<a id=bad onclick=\"window.ran=1\">x</a>'); document.getElementById('bad').click();"
        " const s = document.createElement('script'); s.textContent = 'window.ran=1';"
        " document.body.append(s); }"
    )
    failed = found.page.evaluate("fetch('https://example.org/').then(() => false, () => true)")
    assert failed
    assert found.page.evaluate("window.ran") is None
    assert len(found.trouble) >= 3, "each attempt is told on the console"
    assert not [url for url in found.requests if url.startswith("https")]
    context.close()
