"""Learned points and what they lose: drawn are the numbers given, and those of the curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from linvae import Frontier
from linvae.errors import InputError, InputTypeError
from linvae.plotting import new_figure, plot_frontier, plot_gap, plot_learned_points
from tests.linvae.plotting_tools import curve, labelled
from tests.tolerances import assert_close

BETAS = np.array([12.0, 0.6, 3.0])
RATE, DISTORTION = np.array([0.4, 5.0, 1.5]), np.array([16.0, 7.5, 10.5])


@pytest.fixture
def frontier() -> Frontier:
    return curve()


def bars(container: Any) -> list[Any]:
    """Ends of the error bars, each shape (N, 2 ends, 2 coordinates): horizontal, vertical."""
    return [np.array(lines.get_segments()) for lines in container.lines[2]]


def test_points_and_bars_are_where_they_were_measured(frontier: Frontier) -> None:
    across, down = np.array([0.1, 0.2, 0.3]), np.array([[0.5, 0.6, 0.7], [1.0, 0.0, 2.0]])
    ax = plot_learned_points(frontier, BETAS, RATE, DISTORTION, rate_error=across,
                             distortion_error=down, label="net (2 s.e.)")  # fmt: skip
    found = labelled(ax, "net (2 s.e.)")
    np.testing.assert_array_equal(found.lines[0].get_data(), [RATE, DISTORTION])
    horizontal, vertical = bars(found)
    np.testing.assert_array_equal(horizontal[:, :, 0], np.stack([RATE - across, RATE + across], 1))
    np.testing.assert_array_equal(horizontal[:, :, 1], np.stack([DISTORTION] * 2, 1))
    ends = np.stack([DISTORTION - down[0], DISTORTION + down[1]], 1)
    np.testing.assert_array_equal(vertical[:, :, 1], ends)
    np.testing.assert_array_equal(vertical[:, :, 0], np.stack([RATE] * 2, 1))


def test_bars_of_the_gap_follow_their_points(frontier: Frontier) -> None:
    both = np.array([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]])
    ax = plot_gap(frontier, BETAS, RATE, DISTORTION, error=both, label="two ends")
    plot_gap(frontier, BETAS, RATE, DISTORTION, ax, error=0.25, label="one length")
    order = np.argsort(BETAS)
    excess = frontier.gap(RATE, DISTORTION, BETAS)[order]
    for name, low, high in (("two ends", *both[:, order]), ("one length", 0.25, 0.25)):
        (vertical,) = bars(labelled(ax, name))
        assert_close(vertical[:, :, 1], np.stack([excess - low, excess + high], 1), "exact")


def test_the_frontier_lies_beneath_once_and_reaches_the_points(frontier: Frontier) -> None:
    far = np.array([0.4, 14.0, 1.5])
    ax = plot_learned_points(frontier, BETAS, far, DISTORTION, label="first")
    rate, distortion = labelled(ax, "exact frontier").get_data()
    assert_close(np.asarray(distortion), frontier.at_rate(rate).distortion, "exact")
    assert_close(rate.max(), 14.0, "exact")
    again = plot_learned_points(frontier, BETAS, far, DISTORTION + 1, ax, label="second")
    assert again is ax
    assert labelled(ax, "exact frontier")
    first, second = labelled(ax, "first").lines[0], labelled(ax, "second").lines[0]
    assert first.get_color() != second.get_color()
    assert first.get_marker() != second.get_marker()
    over = plot_frontier(frontier)
    plot_learned_points(frontier, BETAS, RATE, DISTORTION, over)
    assert labelled(over, "exact frontier")


def test_points_are_labelled_by_their_own_beta(frontier: Frontier) -> None:
    ax = plot_learned_points(frontier, BETAS, RATE, DISTORTION)
    notes = {note.get_text(): note.xy for note in ax.texts}
    assert notes == {"β = 12": (0.4, 16.0), "β = 0.6": (5.0, 7.5), "β = 3": (1.5, 10.5)}
    assert not plot_learned_points(frontier, BETAS, RATE, DISTORTION, label_betas=False).texts


def test_labels_make_way_for_a_second_set(frontier: Frontier) -> None:
    """A set that is drawn later may put a marker where a label of the first was."""
    ax = plot_learned_points(frontier, [3.0], [1.5], [10.5])
    ax.figure.draw_without_rendering()
    box = ax.texts[0].get_window_extent()
    middle = ax.transData.inverted().transform([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
    plot_learned_points(frontier, [3.0], [middle[0]], [middle[1]], ax, label_betas=False)
    assert not ax.texts


def test_gap_is_the_excess_lagrangian_in_order_of_beta(frontier: Frontier) -> None:
    error = np.array([0.1, 0.2, 0.3])
    ax = plot_gap(frontier, BETAS, RATE, DISTORTION, error=error, label="net")
    found = labelled(ax, "net")
    order = np.argsort(BETAS)
    want = DISTORTION + BETAS * RATE - frontier.at_beta(BETAS).objective
    beta, excess = found.lines[0].get_data()
    np.testing.assert_array_equal(beta, BETAS[order])
    assert_close(excess, want[order], "exact")
    (vertical,) = bars(found)
    assert_close(np.ptp(vertical[:, :, 1], axis=1), 2 * error[order], "exact")
    assert ax.get_xscale() == "log"
    assert list(labelled(ax, "exact linear optimum").get_ydata()) == [0, 0]


def test_gap_shows_what_a_collapsed_model_loses(frontier: Frontier) -> None:
    ax = plot_gap(frontier, BETAS, RATE, DISTORTION, collapsed=True)
    plot_gap(frontier, BETAS, RATE, DISTORTION + 1, ax, label="other", collapsed=True)
    beta, loss = labelled(ax, "a model that ignores the data").get_data()
    nothing = float(frontier.at_beta(100.0).distortion)
    assert_close(np.asarray(loss), frontier.gap(0.0, nothing, beta), "exact", scale=nothing)
    assert_close(np.array([beta[0], beta[-1]]), np.array([0.6, 12.0]), "exact")


def test_gap_takes_a_logarithm_only_where_sizes_differ(frontier: Frontier) -> None:
    best = frontier.at_beta(BETAS)
    for extra, scale in (([1.0, 2.0, 3.0], "linear"), ([0.02, 0.01, 30.0], "symlog")):
        ax = plot_gap(frontier, BETAS, best.rate, best.distortion + np.array(extra))
        assert ax.get_yscale() == scale
    assert ax.yaxis.get_transform().linthresh == 0.01


def test_gap_keeps_learned_points_apart_beside_a_collapsed_model(frontier: Frontier) -> None:
    """The many points of the collapsed curve do not decide what is usual."""
    best = frontier.at_beta(BETAS)
    for extra, scale in (([0.002, 0.004, 0.001], "symlog"), ([1.0, 2.0, 3.0], "linear"),
                         ([0.0, 0.0, 0.0], "linear"), ([1e-15, 0.0, 2e-15], "linear")):  # fmt: skip
        ax = plot_gap(frontier, BETAS, best.rate, best.distortion + np.array(extra), collapsed=True)
        assert ax.get_yscale() == scale, extra
        if scale == "symlog":
            assert ax.yaxis.get_transform().linthresh == 0.001


@pytest.mark.parametrize("draw", [plot_learned_points, plot_gap])
@pytest.mark.parametrize(
    ("given", "match"),
    [
        (([1.0, 2.0], [1.0], [1.0]), "shapes"),
        (([1.0], [np.nan], [1.0]), "finite"),
        (([1.0], [1.0], [np.inf]), "finite"),
        (([-1.0], [1.0], [1.0]), "beta.*> 0"),
        (([0.0], [1.0], [1.0]), "beta.*> 0"),
        ((["a"], [1.0], [1.0]), "real numbers"),
    ],
)
def test_bad_points(frontier: Frontier, draw: Any, given: Any, match: str) -> None:
    _, ax = new_figure()
    with pytest.raises(InputError, match=match):
        draw(frontier, *given, ax)
    assert not ax.lines, "nothing is drawn of what is refused"


@pytest.mark.parametrize(
    "error", [[-1.0, 1.0, 1.0], [1.0, 2.0], [1.0, np.nan, 1.0], np.ones((3, 2))]
)
def test_bad_bars(frontier: Frontier, error: Any) -> None:
    with pytest.raises(InputError, match="rate_error"):
        plot_learned_points(frontier, BETAS, RATE, DISTORTION, rate_error=error)
    with pytest.raises(InputError, match="distortion_error"):
        plot_learned_points(frontier, BETAS, RATE, DISTORTION, distortion_error=error)
    with pytest.raises(InputError, match="error"):
        plot_gap(frontier, BETAS, RATE, DISTORTION, error=error)


def test_what_is_no_frontier_is_refused(frontier: Frontier) -> None:
    for draw in (plot_learned_points, plot_gap):
        with pytest.raises(InputTypeError, match="a Frontier"):
            draw(frontier.spectrum, BETAS, RATE, DISTORTION)  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match="a Frontier"):
        plot_frontier(frontier.spectrum)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="tangent_at"):
        plot_frontier(frontier, tangent_at=-1.0)
    with pytest.raises(InputError, match="finite"):
        plot_frontier(frontier, points=([1.0], [np.nan]))
