"""Chromium, and the page of the digits.

Chromium is taken from ``LINVAE_CHROMIUM`` or the search path; without it the tests skip.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import linvae as lv
from tests.linvae.report_tools import NASTY

from .tools import CLAIM, DESKTOP, DIGITS_RANGE, SIZES, Reader

CHROMIUM = os.environ.get("LINVAE_CHROMIUM") or shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update",
             "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: install it (Debian: apt-get install chromium) or set "
                    "LINVAE_CHROMIUM to its executable")  # fmt: skip
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def digits() -> SimpleNamespace:
    from sklearn.datasets import load_digits

    samples = np.asarray(load_digits().data)
    spectrum = lv.Spectrum.from_samples(samples)
    return SimpleNamespace(samples=samples, spectrum=spectrum, curve=lv.Frontier(spectrum, **SIZES))


@pytest.fixture(scope="module")
def report(digits: SimpleNamespace) -> Any:
    from linvae.report import build_report

    return build_report(
        digits.spectrum, **SIZES, samples=digits.samples, image_shape=(8, 8),
        data_range=DIGITS_RANGE, checks=[CLAIM], title=NASTY,
    )  # fmt: skip


@pytest.fixture(scope="module")
def place(report: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    report.write(path)
    return path


@pytest.fixture(scope="module")
def opened(browser: Any, place: Path) -> Iterator[Reader]:
    """The page of the digits, opened once."""
    context = browser.new_context(viewport=DESKTOP, accept_downloads=True)
    yield Reader(context.new_page()).open(place)
    context.close()


@pytest.fixture
def reader(opened: Reader, place: Path) -> Iterator[Reader]:
    """The page of the digits; whatever goes wrong on it fails the test that did it."""
    opened.trouble.clear()
    yield opened
    assert opened.trouble == []
    assert opened.requests == [place.as_uri()], "the page asks for nothing but itself"
