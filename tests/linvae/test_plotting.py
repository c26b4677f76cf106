"""Pictures show the numbers of the theory, and are written whole, the same every time."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from linvae import Frontier, Spectrum
from linvae.errors import DataFileError, InputError, InputTypeError
from linvae.plotting import (
    new_figure,
    plot_active_modes,
    plot_checks,
    plot_frontier,
    plot_gains,
    plot_water_filling,
    save_figure,
    style,
)
from tests.linvae import plotting_tools
from tests.linvae.plotting_tools import labelled
from tests.tolerances import assert_close


@pytest.fixture
def curve() -> Frontier:
    return plotting_tools.curve()


def test_frontier_line_lies_on_the_curve_and_reaches_rate_zero(curve: Frontier) -> None:
    ax = plot_frontier(curve)
    rate, distortion = labelled(ax, "exact frontier, 3 latents (rank-k)").get_data()
    assert_close(np.asarray(distortion), curve.at_rate(rate).distortion, "exact")
    assert rate.min() == 0
    assert rate.max() > float(curve.at_beta(curve.critical_betas[-1]).rate)


def test_critical_betas_are_marked_where_they_are(curve: Frontier) -> None:
    ax = plot_frontier(curve)
    rate, distortion = labelled(ax, "critical β").get_data()
    at = curve.at_beta(curve.critical_betas)
    np.testing.assert_array_equal(rate, at.rate)
    np.testing.assert_array_equal(distortion, at.distortion)
    texts = [text.get_text() for text in ax.texts]
    assert texts[0] == "β = 18"
    assert len(texts) <= 3


def test_tangent_has_slope_minus_beta_and_touches(curve: Frontier) -> None:
    beta = 2.5
    ax = plot_frontier(curve, tangent_at=beta)
    rate, distortion = labelled(ax, "tangent at β = 2.5").get_data()
    assert_close(np.diff(distortion) / np.diff(rate), np.array([-beta]), "exact")
    assert_close(distortion + beta * rate, np.full(2, curve.at_beta(beta).objective), "exact")
    assert rate[0] < float(curve.at_beta(beta).rate) < rate[1]


def test_marked_betas_and_measured_points_extend_the_curve(curve: Frontier) -> None:
    betas = np.array([0.01, 5.0])
    ax = plot_frontier(curve, betas=betas)
    np.testing.assert_array_equal(labelled(ax, "β from 0.01 to 5").get_xdata(),
                                  curve.at_beta(betas).rate)  # fmt: skip
    line = labelled(ax, "exact frontier").get_xdata()
    assert_close(line.max(), curve.at_beta(0.01).rate, "exact")
    rate = np.array([0.3, 12.0])
    ax = plot_frontier(curve, points=(rate, np.array([9.0, 6.0])))
    np.testing.assert_array_equal(labelled(ax, "measured").get_data(), [rate, [9.0, 6.0]])
    assert_close(labelled(ax, "exact frontier").get_xdata().max(), 12.0, "exact")


def test_given_axes_are_used_and_returned(curve: Frontier) -> None:
    _, (left, right) = new_figure(2)
    assert plot_frontier(curve, left) is left
    assert plot_water_filling(curve, 1.0, right) is right
    assert left.get_xlabel()
    assert right.get_xlabel()


def test_water_filling_bars(curve: Frontier) -> None:
    ax = plot_water_filling(curve, 5.0)  # water level 2.5: two modes above, one below
    above = labelled(ax, "above water")
    tops = [bar.get_y() + bar.get_height() for bar in above]
    assert tops == [9.0, 4.0]
    assert [bar.get_y() for bar in above] == [2.5, 2.5]
    under = [bar.get_y() + bar.get_height() for bar in labelled(ax, "under water")]
    assert_close(np.array(under), np.array([2.5, 2.5, 2.0]), "exact")
    without = labelled(ax, "no latent left (k = 3)")
    assert_close(np.array([b.get_y() + b.get_height() for b in without]),
                 np.array([1.0, 0.5]), "exact")  # fmt: skip
    assert "2 of 3 modes active" in ax.get_title(loc="left")


def test_water_filling_says_what_it_does_not_draw() -> None:
    spectrum = Spectrum.from_eigenvalues(np.arange(60.0, 0.0, -1.0))
    ax = plot_water_filling(Frontier(spectrum, latent_dim=2, noise_variance=1.0), 1.0)
    assert ax.get_xlabel() == "mode i  (the last 36 are not drawn)"


@pytest.mark.parametrize("values", [[0.0, 0.0], [1.0], [1e12, 1e-12]])
def test_degenerate_spectra_are_drawn_without_a_warning(
    values: list[float], tmp_path: Path
) -> None:
    curve = Frontier(Spectrum.from_eigenvalues(values), latent_dim=1, noise_variance=1.0)
    figure, (left, middle, right) = new_figure(3)
    plot_frontier(curve, left, tangent_at=0.5)
    plot_frontier(curve, left, betas=[2.0], points=([0.0], [1.0]))
    plot_water_filling(curve, 0.5, middle)
    plot_active_modes(curve, right)
    save_figure(figure, tmp_path / "x.png")


def test_shannon_is_named() -> None:
    curve = Frontier(Spectrum.from_eigenvalues([1.0]), latent_dim=1, noise_variance=1.0)
    assert labelled(plot_frontier(curve), "exact frontier, 1 latent (Shannon)")


@pytest.mark.parametrize(
    "points",
    [([1.0], [1.0, 2.0]), ([1.0],), ([1.0], [2.0], [3.0]), 3, max],
    ids=["lengths", "one", "three", "a number", "a function"],
)
def test_points_that_are_no_pairs(curve: Frontier, points: Any) -> None:
    with pytest.raises(InputError, match=r"points: got .*; expected \(rate, distortion\)"):
        plot_frontier(curve, points=points)


@pytest.mark.parametrize("projection", [None, "3d", "polar"])
def test_what_are_no_flat_axes_is_refused(curve: Frontier, projection: str | None) -> None:
    """A figure or an array of axes is what people pass by mistake."""
    figure = new_figure()[0]
    two = figure.subplots(1, 2)
    wrong = (
        [figure, two, "x"] if projection is None else [figure.add_subplot(projection=projection)]
    )
    for ax in wrong:
        for draw in (plot_frontier, plot_active_modes, plot_gains):
            with pytest.raises(InputTypeError, match=r"^ax: got .*; expected .*; .+"):
                draw(curve, ax)
        with pytest.raises(InputTypeError, match=r"^ax: got"):
            plot_checks([], ax)


def test_axes_with_logarithms_of_their_own(curve: Frontier) -> None:
    """What the picture needs is set, whatever was set before."""
    for draw, scales in (
        (plot_frontier, ("log", "log")),
        (lambda c, ax: plot_water_filling(c, 2.0, ax), ("linear", "log")),
        (plot_active_modes, ("log", "linear")),
    ):
        figure, ax = new_figure()
        ax.set(xscale="log", yscale="log")
        draw(curve, ax)
        figure.draw_without_rendering()
        assert (ax.get_xscale(), ax.get_yscale()) == scales


@pytest.mark.parametrize("checks", [None, 3, "x", [1], ["a"], lambda: 0])
def test_what_are_no_checks_is_refused(checks: Any) -> None:
    with pytest.raises(InputTypeError, match=r"^checks: got .*; expected .*; .+"):
        plot_checks(checks)


def test_names_that_are_no_texts(curve: Frontier) -> None:
    with pytest.raises(InputError, match=r"^part: got"):
        plot_gains(curve, part=["decoder"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^style: got"), style(["print"]):  # type: ignore[arg-type]
        pass


def test_bad_betas(curve: Frontier) -> None:
    with pytest.raises(InputError, match="beta"):
        plot_water_filling(curve, 0.0)
    with pytest.raises(InputError, match="betas"):
        plot_frontier(curve, betas=[1.0, np.nan])


def test_checks_show_residual_and_tolerance_by_verdict(tmp_path: Path) -> None:
    checks: Any = [
        SimpleNamespace(claim="a", residual=0.0, tolerance=1e-10, status="holds"),
        SimpleNamespace(claim="b", residual=1e-2, tolerance=1e-3, status="impossible"),
        SimpleNamespace(claim="c", residual=1.0, tolerance=1e-3, status="fails"),
        SimpleNamespace(claim="d", residual=np.inf, tolerance=0.0, status="not applicable"),
    ]
    ax = plot_checks(checks)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert list(labelled(ax, "tolerance").get_xdata()) == [1e-10, 1e-3, 1e-3]
    assert list(labelled(ax, "holds").get_xdata()) == [1e-18]
    assert list(labelled(ax, "impossible (shown)").get_data()) == [[1e-2], [1]]
    assert list(labelled(ax, "FAILS").get_data()) == [[1.0], [2]]
    _, other = new_figure()
    assert plot_checks(checks[:1], other) is other
    save_figure(ax.figure, tmp_path / "x.svg")


def test_saved_files_are_pictures_and_repeat_exactly(curve: Frontier, tmp_path: Path) -> None:
    for name, magic in (("x.png", b"\x89PNG"), ("x.svg", b"<?xml")):
        first, second = tmp_path / name, tmp_path / f"again-{name}"
        save_figure(plot_frontier(curve).figure, first)
        save_figure(plot_frontier(curve).figure, second)
        assert first.read_bytes().startswith(magic)
        assert first.read_bytes() == second.read_bytes()
    assert len(list(tmp_path.iterdir())) == 4


def test_unknown_picture_format_leaves_nothing(curve: Frontier, tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"\.png or \.svg"):
        save_figure(plot_frontier(curve).figure, tmp_path / "x.pdf")
    assert not list(tmp_path.iterdir())


def test_no_global_state(curve: Frontier) -> None:
    plot_frontier(curve)
    if "matplotlib.pyplot" in sys.modules:  # another test may have loaded it
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_labels_keep_clear_of_one_another() -> None:
    spectrum = Spectrum.from_eigenvalues(30.0 / np.arange(1, 33) ** 1.2)
    ax = plot_frontier(Frontier(spectrum, latent_dim=24, noise_variance=0.1), tangent_at=20.0)
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    boxes.append(ax.get_legend().get_window_extent())
    assert 3 < len(boxes) < 24
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])
