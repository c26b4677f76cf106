"""The pins fit the requirements, and the check of them sees when they do not."""

from __future__ import annotations

import pytest

pytest.importorskip("packaging")

from tests.packaging import pins


def test_the_pins_fit():
    assert pins.problems() == []


def test_a_pin_that_does_not_fit_is_found(monkeypatch):
    real = pins.pins

    def other(file):
        found = real(file)
        if file == "constraints.txt":
            found["numpy"] = pins.Version("1.25.0")
            del found["rich"]
        else:
            found["scipy"] = pins.Version("1.12.0")
        return found

    monkeypatch.setattr(pins, "pins", other)
    text = "\n".join(pins.problems())
    assert "constraints.txt: numpy==1.25.0 is outside numpy>=1.26" in text
    assert "constraints.txt: rich is not pinned" in text
    assert "numpy==1.26.0 is above 1.25.0" in text
    assert "scipy==1.12.0 is not the least, 1.11" in text


@pytest.mark.parametrize("line", ["numpy>=2", "numpy==1.26.0\nNumPy==2.0.0", "numpy"])
def test_a_line_that_pins_nothing_is_refused(line, tmp_path, monkeypatch):
    (tmp_path / "loose.txt").write_text(line)
    monkeypatch.setattr(pins, "ROOT", tmp_path)
    with pytest.raises(ValueError, match=r"unpack|single pin"):
        pins.pins("loose.txt")
