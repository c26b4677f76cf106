"""Maps and surfaces of two layers hold the numbers of the hierarchical frontier."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest

from linvae import Spectrum
from linvae.errors import InputError, InputTypeError, RangeError
from linvae.hierarchical import HierarchicalFrontier
from linvae.plotting import new_figure, plot_beta_map, plot_rate_surface
from tests.linvae.plotting_tools import VALUES, curve
from tests.tolerances import assert_close


def layers(k1: int = 4, k2: int = 1, values: Any = VALUES) -> HierarchicalFrontier:
    spectrum = Spectrum.from_eigenvalues(values)
    return HierarchicalFrontier(spectrum, latent_dims=(k1, k2), noise_variance=0.5)


def mesh(ax: Any) -> tuple[Any, Any, Any]:
    """Coordinates of the cells' centres and their values, each shape (rows, columns)."""
    found = ax.collections[0]
    value = np.asarray(found.get_array())
    corners = np.asarray(found.get_coordinates())
    log = [axis.get_scale() == "log" for axis in (ax.xaxis, ax.yaxis)]
    assert value.ndim == 2
    return corners, value, log


def cell(ax: Any, x: float, y: float) -> float:
    """Value of the cell that covers a place: what a reader of the map sees there."""
    corners, value, _ = mesh(ax)
    column = np.searchsorted(corners[0, :, 0], x) - 1
    row = np.searchsorted(corners[:, 0, 1], y) - 1
    return float(value[row, column])


def test_the_map_of_rates_is_the_surface() -> None:
    frontier = layers()
    ax = plot_rate_surface(frontier, max_rate=6.0)
    rates = np.linspace(0.0, 6.0, 61)
    for first, second in ((0, 0), (10, 50), (50, 10), (60, 60), (7, 7)):
        want = float(frontier.at_rates(rates[first], rates[second]).distortion)
        assert_close(cell(ax, rates[first], rates[second]), want, "exact")
    assert (ax.get_xlim(), ax.get_ylim()) == ((0.0, 6.0), (0.0, 6.0))
    assert "z₁" in ax.get_xlabel()
    assert "z₂" in ax.get_ylabel()
    # z₂ has one latent only: the picture must not be symmetric.
    assert cell(ax, 5.0, 0.5) < cell(ax, 0.5, 5.0) - 0.5


def test_the_map_reaches_where_all_modes_are_active() -> None:
    frontier = layers()
    top = plot_rate_surface(frontier).get_xlim()[1]
    assert frontier.at_rates(top, 0.0).active == 4
    assert frontier.at_rates(top / 4, 0.0).active < 4


def test_the_dashed_line_parts_free_splits_from_those_that_cost() -> None:
    frontier = layers()
    ax = plot_rate_surface(frontier, max_rate=6.0)
    (line,) = [line for line in ax.lines if line.get_gid() == "boundary"]
    first, second = np.asarray(line.get_data())
    assert first.size > 50
    for r1, r2 in zip(first[5::10], second[5::10], strict=True):
        total = float(frontier.at_rates(r1 + r2, 0.0).distortion)
        below = float(frontier.at_rates(r1 + 0.05, r2 - 0.05).distortion)
        above = float(frontier.at_rates(r1 - 0.05, r2 + 0.05).distortion)
        assert_close(below, total, "exact")
        assert above > total + 1e-6
    # With room for every mode no split costs.
    wide = plot_rate_surface(layers(3, 3), max_rate=6.0)
    assert not wide.lines
    assert wide.get_title(loc="left")


def test_the_surface_in_three_dimensions() -> None:
    from matplotlib.figure import Figure

    frontier = layers()
    ax = Figure().add_subplot(projection="3d")
    points = ([1.0, 2.0], [0.5, 0.0], [12.0, 11.0])
    with mock.patch.object(ax, "plot_surface", wraps=ax.plot_surface) as drawn:
        assert plot_rate_surface(frontier, ax, max_rate=6.0, points=points) is ax
    first, second, height = drawn.call_args.args
    assert_close(height, frontier.at_rates(first, second).distortion, "exact")
    for rate in (first, second):
        assert (rate.min(), rate.max()) == (0.0, 6.0)
    assert len(ax.collections) == 1
    np.testing.assert_array_equal(ax.lines[0].get_data_3d(), points)
    assert "nats" in ax.get_zlabel()


@pytest.mark.parametrize("quantity", ["distortion", "rate1", "rate2", "active"])
def test_maps_over_the_weights(quantity: str) -> None:
    frontier = layers(4, 2)
    beta1, beta2 = np.geomspace(0.5, 30.0, 11), np.geomspace(0.3, 20.0, 7)
    ax = plot_beta_map(frontier, quantity=quantity, beta1=beta1, beta2=beta2)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    for i, j in ((0, 0), (10, 0), (0, 6), (10, 6), (4, 3), (6, 1)):
        want = float(getattr(frontier.at(beta1[i], beta2[j]), quantity))
        assert_close(cell(ax, beta1[i], beta2[j]), want, "exact", scale=1 + abs(want))
    (line,) = [line for line in ax.lines if line.get_gid() == "diagonal"]
    np.testing.assert_array_equal(*line.get_data())
    shown = {"distortion": "distortion", "rate1": "rate of z₁", "rate2": "rate of z₂",
             "active": "active modes"}  # fmt: skip
    assert ax.figure.axes[1].get_ylabel().startswith(shown[quantity])


def test_counts_have_a_colour_each() -> None:
    ax = plot_beta_map(layers(4, 2), quantity="active")
    shown = ax.collections[0]
    counts = np.unique(np.asarray(shown.get_array()))
    assert list(counts) == [0, 1, 2, 3, 4]
    assert len({tuple(shown.cmap(shown.norm(count))) for count in counts}) == 5
    ticks = [t.get_text() for t in ax.figure.axes[1].get_yticklabels()]
    assert ticks == ["0", "1", "2", "3", "4"]


def test_hundreds_of_modes() -> None:
    """More counts than colours, and a rate that a single latent of z₂ cannot hold."""
    frontier = layers(300, 1, np.geomspace(1e4, 1e-3, 300))
    ax = plot_beta_map(frontier, quantity="active")
    assert {0, 300} <= set(np.unique(mesh(ax)[1]))
    ticks = ax.figure.axes[1].get_yticks()
    assert 3 <= len(ticks) <= 12
    np.testing.assert_array_equal(ticks, np.round(ticks))
    ax = plot_rate_surface(frontier)
    assert ax.get_xlim() == (0.0, 100.0)
    assert_close(cell(ax, 100.0, 0.0), float(frontier.at_rates(100.0, 0.0).distortion), "exact")


def test_the_default_weights_reach_past_all_critical_ones() -> None:
    frontier = layers(3, 2)
    ax = plot_beta_map(frontier)
    for low, high in (ax.get_xlim(), ax.get_ylim()):
        assert low < frontier.critical_betas.min()
        assert high > frontier.critical_betas.max()
    plot_beta_map(layers(1, 1, [0.0, 0.0])).figure.draw_without_rendering()


def test_bad_requests() -> None:
    frontier = layers()
    _, ax = new_figure()
    for draw in (plot_rate_surface, plot_beta_map):
        with pytest.raises(InputTypeError, match="a HierarchicalFrontier"):
            draw(curve(), ax)  # type: ignore[operator]
    with pytest.raises(InputError, match="quantity"):
        plot_beta_map(frontier, ax, quantity="rate")
    with pytest.raises(InputError, match="quantity"):
        plot_beta_map(frontier, ax, quantity=["active"])  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match=r"^ax: got"):
        plot_beta_map(frontier, new_figure()[0].add_subplot(projection="3d"))
    with pytest.raises(InputError, match=r"beta2.*at least two"):
        plot_beta_map(frontier, ax, beta2=1.0)
    with pytest.raises(InputError, match=r"beta1.*> 0"):
        plot_beta_map(frontier, ax, beta1=[0.0, 1.0])
    with pytest.raises(InputError, match="max_rate"):
        plot_rate_surface(frontier, ax, max_rate=-1.0)
    with pytest.raises(InputError, match=r"rate1, rate2, distortion"):
        plot_rate_surface(frontier, ax, points=([1.0], [1.0]))
    with pytest.raises(InputError, match="finite"):
        plot_rate_surface(frontier, ax, points=([1.0], [1.0], [np.nan]))
    with pytest.raises(RangeError, match="without variance"):
        plot_rate_surface(layers(1, 1, [0.0, 0.0]), ax)
    assert not ax.collections
    assert not ax.lines
