"""The examples in the docstrings run, and make one picture each in which nothing is in the way."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any

import matplotlib
import pytest

from linvae import plotting
from tests.linvae.plotting_tools import assert_clear

DRAWN = [name for name in plotting.__all__ if name.startswith("plot_")]


def examples(name: str) -> list[str]:
    """Code of every plot directive of a docstring."""
    text = inspect.getdoc(getattr(plotting, name)) or ""
    blocks = re.findall(r"^\.\. plot::\n((?:[ ]+.*\n|[ ]*\n)+)", text + "\n", re.MULTILINE)
    return [re.sub(r"^(:[\w-]+:.*\n)+", "", textwrap.dedent(block)).strip() for block in blocks]


@pytest.fixture
def pyplot() -> Any:
    """What the plot directive of a site works with; left without figures."""
    before = matplotlib.get_backend()
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.close("all")
    yield plt
    plt.close("all")
    matplotlib.use(before)


@pytest.mark.parametrize("name", [*DRAWN, "style"])
def test_examples_make_a_picture(name: str, pyplot: Any) -> None:
    (code,) = examples(name)
    assert name in code
    assert len(code.splitlines()) <= 20, "an example is short"
    exec(compile(code, f"<example of {name}>", "exec"), {"__name__": "example"})
    (number,) = pyplot.get_fignums()
    figure = pyplot.figure(number)
    assert any(ax.has_data() for ax in figure.axes)
    assert_clear(figure)


@pytest.mark.parametrize("name", DRAWN)
def test_docstrings_say_what_is_drawn(name: str) -> None:
    function = getattr(plotting, name)
    text = inspect.getdoc(function) or ""
    assert ".. math::" in text
    for heading in ("Parameters", "Returns", "Examples"):
        assert f"\n{heading}\n{'-' * len(heading)}\n" in text, heading
    for parameter in inspect.signature(function).parameters:
        assert re.search(rf"^(\w+, )*{parameter}(, \w+)* : ", text, re.MULTILINE), parameter
    assert inspect.signature(function).parameters["ax"].default is None


def test_every_public_name_is_there() -> None:
    assert set(plotting.__all__) <= set(dir(plotting))
    assert len(DRAWN) >= 13
