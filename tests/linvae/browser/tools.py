"""A page opened in Chromium, and what its numbers must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import linvae as lv
from linvae.claims.types import Check
from tests.tolerances import tolerance

__all__ = [
    "CLAIM",
    "DESKTOP",
    "DIGITS_RANGE",
    "PATIENCE",
    "PHONE",
    "SIZES",
    "Reader",
    "assert_numbers",
]

SIZES = {"latent_dim": 16, "noise_variance": 4.0}
DIGITS_RANGE = 16.0
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
PATIENCE = 60_000  # milliseconds, on a busy machine
CLAIM = Check("X", "One is one.", 0.0, "<=", 1.0, "holds", "")


class Reader:
    """A page with what went wrong on it, and what it asked for."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.trouble: list[str] = []
        self.requests: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def _console(self, message: Any) -> None:
        if message.type not in ("info", "log", "debug"):
            self.trouble.append(message.text)

    def open(self, place: Path) -> Reader:
        self.page.goto(place.as_uri())
        self.page.wait_for_selector("html[data-ready=yes]", state="attached")
        return self

    def settle(self) -> None:
        """Wait until what is shown belongs to where β stands."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => "
                           "requestAnimationFrame(done)))")  # fmt: skip

    def set_step(self, step: int) -> None:
        self.page.evaluate(
            "step => { const s = document.getElementById('beta'); s.value = step;"
            " s.dispatchEvent(new Event('input')); }", step)  # fmt: skip
        self.settle()

    def numbers(self) -> dict[str, float]:
        found = self.page.eval_on_selector_all(
            "[data-number]", "all => all.map(e => [e.dataset.number, e.dataset.value])"
        )
        return {name: float(value) for name, value in found}

    def source(self, name: str) -> dict[str, list[float]]:
        found: dict[str, list[float]] = self.page.evaluate(
            "name => { for (const d of Bokeh.documents) { const m = d.get_model_by_name(name);"
            " if (m) return Object.fromEntries(Object.entries(m.data)"
            ".map(([k, v]) => [k, Array.from(v)])); } }", name)  # fmt: skip
        return found

    def step(self) -> int:
        return int(self.page.input_value("#beta"))


def assert_numbers(got: dict[str, float], curve: lv.Frontier, data_range: float | None) -> None:
    """Every number of the page is the library's at the β of the page."""
    point = curve.at_beta(got["beta"])
    constant = abs(float(curve.distortion_of(0.0)))
    want = {
        "rate": point.rate,
        "distortion": point.distortion,
        "objective": point.objective,
        "squared_error": point.squared_error,
        "water_level": point.water_level,
        "active": point.active,
    }
    if data_range is not None:
        want["psnr"] = point.psnr(data_range)
    assert set(got) == {"beta", *want}
    for name, value in want.items():
        # A distortion is the difference of two numbers that can be far larger.
        scale = constant if name in ("distortion", "objective") else 0.0
        allowed = tolerance("exact") * max(abs(float(value)), scale)
        assert abs(got[name] - float(value)) <= allowed, (name, got[name], float(value))
