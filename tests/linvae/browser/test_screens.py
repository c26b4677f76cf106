"""The page on other screens, on paper, without scripts, and of other data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import linvae as lv
from linvae.report import build_report, load_learned

from .tools import DESKTOP, PHONE, Reader, assert_numbers

pytest.importorskip("bokeh")
pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.xdist_group("browser")

RESULTS = Path(__file__).resolve().parents[3] / "results"


def test_a_phone_shows_everything_without_scrolling_sideways(browser: Any, place: Path) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    found = Reader(context.new_page()).open(place)
    assert found.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    found.page.set_viewport_size({**PHONE, "width": 320})  # the narrowest that is sold
    found.page.fill("#beta-number", "1e9")
    found.page.press("#beta-number", "Enter")
    assert found.page.is_visible("#beta-told")
    assert found.page.evaluate("document.documentElement.scrollWidth") <= 320
    line = found.page.locator("#beta-number").bounding_box()["height"]
    for button in ("#next-down", "#next-up"):
        height = found.page.locator(button).bounding_box()["height"]
        assert height < 1.5 * line, "its words stay on one line"
    found.page.set_viewport_size(PHONE)
    for name in ("curve", "water", "gains", "gates"):
        box = found.page.locator(f"#picture-{name}").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        assert box["width"] > 300
        assert box["height"] > 250
    found.page.locator("#picture-gates").scroll_into_view_if_needed()
    dial = found.page.locator("#beta").bounding_box()
    assert 0 <= dial["y"] < PHONE["height"] / 4, "the slider stays in view"
    assert found.trouble == []
    context.close()


def test_a_print_cuts_nothing_off(reader: Reader) -> None:
    reader.page.emulate_media(media="print")
    reader.page.set_viewport_size({"width": 718, "height": 1000})  # A4 within usual margins
    right = reader.page.eval_on_selector_all(
        ".picture, table, canvas, h1", "all => all.map(e => e.getBoundingClientRect().right)"
    )
    assert max(right) <= 718
    assert not reader.page.locator("a[download]").first.is_visible()
    reader.page.emulate_media(media="screen")
    reader.page.set_viewport_size(DESKTOP)


def test_without_scripts_the_numbers_stand_there(browser: Any, place: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(place.as_uri())
    assert page.locator("noscript").is_visible()
    assert page.locator("#curve-table tbody tr").count() > 10
    assert page.locator("#curve-table").is_visible()
    assert page.locator("a[download='curve.csv']").is_visible()
    assert page.get_by_text("One is one.").is_visible()
    assert not page.locator("#beta").is_visible()
    context.close()


OTHERS = {
    "one feature": ([2.0], 1, 0.5),
    "nothing varies": ([0.0, 0.0], 2, 1.0),
    "rank deficient, k = n": ([4.0, 2.0, 0.0, 0.0], 4, 0.5),
    "ties": ([2.0, 2.0, 2.0, 1.0], 3, 0.5),
    "far apart": ([1e150, 1.0], 2, 1e-50),
    "all dead at 1": ([1e-5, 1e-6], 2, 1.0),
    "many": (np.geomspace(10, 1e-4, 300), 200, 1e-3),
    "nearly one": ([2.0, 2.0 * (1 - 1e-13)], 2, 1.0),
}


@pytest.mark.parametrize("name", OTHERS)
def test_spectra_of_every_kind(browser: Any, tmp_path: Path, name: str) -> None:
    values, k, variance = OTHERS[name]
    spectrum = lv.Spectrum.from_eigenvalues(values)
    build_report(spectrum, latent_dim=k, noise_variance=variance, checks=()).write(
        tmp_path / "page.html"
    )
    context = browser.new_context(viewport=DESKTOP)
    found = Reader(context.new_page()).open(tmp_path / "page.html")
    curve = lv.Frontier(spectrum, latent_dim=k, noise_variance=variance)
    for step in (0, 123, 500, 789, 1000):
        found.set_step(step)
        assert_numbers(found.numbers(), curve, None)
    found.page.click("#next-down")
    found.settle()
    assert_numbers(found.numbers(), curve, None)
    assert found.trouble == []
    assert len(found.requests) == 1
    context.close()


def test_learned_points_stand_over_the_curve(browser: Any, digits, tmp_path: Path) -> None:
    learned = load_learned(RESULTS / "digits-mlp.json")
    spectrum = lv.Spectrum.from_samples(digits.samples / 16)
    report = build_report(spectrum, latent_dim=8, noise_variance=0.05, learned=learned, checks=())
    report.write(tmp_path / "page.html")
    context = browser.new_context(viewport=DESKTOP)
    found = Reader(context.new_page()).open(tmp_path / "page.html")
    for points in learned.points:
        source = found.source(f"learned-{points.label}")
        np.testing.assert_array_equal(source["x"], points.rate)
        np.testing.assert_array_equal(source["y"], points.distortion)
        np.testing.assert_allclose(source["top"], points.distortion + 2 * points.distortion_se)
    assert found.trouble == []
    context.close()
