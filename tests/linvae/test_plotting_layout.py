"""On a column of a paper, a screen and a slide, texts stay clear of one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from linvae import Frontier, Hypernetwork, Spectrum
from linvae import plotting as pl
from linvae.errors import InputError
from linvae.hierarchical import HierarchicalFrontier
from tests.linvae.plotting_tools import assert_clear, curve, drawn_texts, published

SPECTRUM = Spectrum.from_eigenvalues(30.0 / np.arange(1, 37) ** 1.2)
LARGE = Frontier(SPECTRUM, latent_dim=24, noise_variance=0.1)
SMALL = curve()
EXACT = Hypernetwork.exact(SMALL.spectrum, latent_dim=3, noise_variance=0.5)
PRINTED = published(SMALL, 1.0)
BETAS = np.geomspace(2.0, 200.0, 7)
FEWER = Frontier(SPECTRUM, latent_dim=9, noise_variance=0.1).at_beta(BETAS)
LEAST = Frontier(SPECTRUM, latent_dim=4, noise_variance=0.1).at_beta(BETAS)
LAYERS = HierarchicalFrontier(SPECTRUM, latent_dims=(8, 2), noise_variance=0.1)
IMAGES = SPECTRUM.sample(5, np.random.default_rng(1))


def _learned() -> Any:
    bars = {"distortion_error": np.full(7, 20.0), "rate_error": np.full(7, 0.5)}
    first, second = (FEWER.rate, FEWER.distortion), (LEAST.rate, LEAST.distortion)
    ax = pl.plot_learned_points(LARGE, BETAS, *first, label="multi-rate (2 s.e.)", **bars)
    return pl.plot_learned_points(LARGE, BETAS, *second, ax, label="dedicated")


def _gap() -> Any:
    ax = pl.plot_gap(LARGE, BETAS, FEWER.rate, FEWER.distortion, label="multi-rate (2 s.e.)")
    return pl.plot_gap(LARGE, BETAS, LEAST.rate, LEAST.distortion, ax, collapsed=True)


def _gates(part: str) -> Any:
    return pl.plot_gates(PRINTED, pl.plot_gates(EXACT, part=part), part=part)


def _gains(part: str) -> Any:
    return pl.plot_gains(PRINTED, pl.plot_gains(SMALL, part=part), part=part)


def _surface() -> Any:
    import matplotlib
    from matplotlib.figure import Figure

    size = matplotlib.rcParams["figure.figsize"]
    figure = Figure(figsize=size, layout="constrained")
    return pl.plot_rate_surface(LAYERS, figure.add_subplot(projection="3d"))


PICTURES: dict[str, Callable[[], Any]] = {
    "frontier": lambda: pl.plot_frontier(LARGE, tangent_at=20.0, betas=[1.0, 10.0]),
    "few modes": lambda: pl.plot_frontier(SMALL, tangent_at=2.0, points=([3.0], [9.0])),
    "learned": _learned,
    "gap": _gap,
    "water": lambda: pl.plot_water_filling(LARGE, 20.0),
    "active": lambda: pl.plot_active_modes(LARGE, points=(BETAS, FEWER.active)),
    "encoder gates": lambda: _gates("encoder"),
    "decoder gates": lambda: _gates("decoder"),
    "posterior gates": lambda: _gates("posterior"),
    "encoder gains": lambda: _gains("encoder"),
    "decoder gains": lambda: _gains("decoder"),
    "posterior gains": lambda: _gains("posterior"),
    "product": lambda: _gains("product"),
    "rates": lambda: pl.plot_rate_surface(LAYERS, points=([5.0], [3.0], [0.0])),
    "surface": _surface,
    "distortion": lambda: pl.plot_beta_map(LAYERS),
    "rate of z1": lambda: pl.plot_beta_map(LAYERS, quantity="rate1"),
    "rate of z2": lambda: pl.plot_beta_map(LAYERS, quantity="rate2"),
    "active in layers": lambda: pl.plot_beta_map(LAYERS, quantity="active"),
    "reconstructions": lambda: pl.plot_reconstructions(LARGE, IMAGES, BETAS),
    "many betas": lambda: pl.plot_reconstructions(LARGE, IMAGES[:2], np.geomspace(0.011, 9.9, 14)),
    "one sample": lambda: pl.plot_reconstructions(LARGE, IMAGES[:1], [1.0]),
    "samples": lambda: pl.plot_samples(LARGE, np.eye(24)[:4], BETAS),
    "traversal": lambda: pl.plot_traversal(LARGE, 1.0),
    "traversal at betas": lambda: pl.plot_traversal(LARGE, BETAS, latents=1),
}


@pytest.mark.parametrize("size", ["print", "slides"])  # the screen has the most room of all
@pytest.mark.parametrize("name", PICTURES)
def test_texts_stay_clear_at_every_size(name: str, size: str) -> None:
    with pl.style(size):
        figure = PICTURES[name]().figure
        assert_clear(figure)
    assert figure.get_size_inches()[0] <= {"print": 3.35, "slides": 10.1}[size]
    for ax in figure.axes[:1]:
        assert ax.get_xlabel()
        assert ax.get_ylabel()


def test_the_check_of_texts_sees_what_it_should() -> None:
    figure, ax = pl.new_figure()
    ax.text(0.5, 0.5, "one")
    assert_clear(figure)
    second = ax.text(0.51, 0.5, "two")
    with pytest.raises(AssertionError, match="'one' and 'two' overlap"):
        assert_clear(figure)
    second.set_position((0.5, 0.55))
    assert_clear(figure)
    second.set(position=(0.3, 0.3), rotation=45, text="two and three")
    upright = second.get_window_extent()  # its box has room in the corner above the text
    corner = ax.transData.inverted().transform([upright.x0 + 2, upright.y1 - 16])
    ax.texts[0].set_position(corner)
    assert upright.overlaps(ax.texts[0].get_window_extent())
    assert_clear(figure)
    ax.texts[0].set_position(second.get_position())
    with pytest.raises(AssertionError, match="overlap"):
        assert_clear(figure)
    second.remove()
    outside = figure.text(0.99, 0.5, "half outside")
    with pytest.raises(AssertionError, match="leaves the figure"):
        assert_clear(figure)
    outside.remove()
    ax.plot([0, 1], [0, 1], label="a line")
    ax.legend(loc="center")
    with pytest.raises(AssertionError, match="covers a line"):
        assert_clear(figure)
    ax.lines[0].remove()
    ax.bar([0.5], [0.5], color="red")
    with pytest.raises(AssertionError, match="covers a bar"):
        assert_clear(figure)
    assert "1.0" in {text.get_text() for text in drawn_texts(figure)}


def test_styles_scale_texts_and_lines() -> None:
    found = {}
    for name in ("print", "screen", "slides"):
        with pl.style(name):
            ax = pl.plot_frontier(SMALL)
        found[name] = [ax.title.get_fontsize(), ax.get_legend().get_texts()[0].get_fontsize(),
                       ax.texts[0].get_fontsize(), ax.lines[0].get_linewidth(),
                       ax.lines[1].get_markersize()]  # fmt: skip
    assert all(a < b < c for a, b, c in zip(*found.values(), strict=True))
    plain = pl.plot_frontier(SMALL)
    assert found["screen"][3] == plain.lines[0].get_linewidth()
    assert plain.texts[0].get_fontsize() == found["screen"][2]


def test_the_usual_size_is_that_of_the_style() -> None:
    with pl.style("slides"):
        assert tuple(pl.new_figure()[0].get_size_inches()) == (10.0, 5.8)
        assert tuple(pl.new_figure(2, height=3.0)[0].get_size_inches()) == (20.0, 3.0)
    assert tuple(pl.new_figure(width=5.0)[0].get_size_inches()) == (5.0, 4.8)
    with (
        pytest.raises(InputError, match="style: got 'poster'; expected one of screen"),
        pl.style("poster"),
    ):
        pass
