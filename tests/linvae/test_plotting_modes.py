"""Active modes, gates and gains: curves and steps against the library's own numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from linvae import Frontier, Hypernetwork, Spectrum, response
from linvae.errors import InputError, InputTypeError
from linvae.plotting import plot_active_modes, plot_gains, plot_gates, plot_water_filling
from tests.linvae.plotting_tools import curve, labelled, published
from tests.tolerances import assert_close

VALUES, NOISE = np.array([9.0, 4.0, 2.0]), 0.5
CRITICAL = VALUES / NOISE


@pytest.fixture
def frontier() -> Frontier:
    return curve()


@pytest.fixture
def exact(frontier: Frontier) -> Hypernetwork:
    return Hypernetwork.exact(frontier.spectrum, latent_dim=3, noise_variance=NOISE)


def latents(ax: Any, style: str = "-") -> dict[str, Any]:
    """Data of the curves of one line style, by the name of the latent."""
    return {
        line.get_label(): tuple(map(np.asarray, line.get_data()))
        for line in ax.lines
        if line.get_linestyle() == style
    }


def legend(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_steps_are_at_the_critical_betas(frontier: Frontier) -> None:
    line = labelled(plot_active_modes(frontier), "exact optimum")
    beta, count = line.get_data()
    assert line.get_drawstyle() == "steps-post"
    np.testing.assert_array_equal(beta[1:-1], CRITICAL[::-1])
    # A count holds from its own β up to the next: the k-th mode is off at its critical β itself.
    assert list(count) == [3, 2, 1, 0, 0]
    between = np.sqrt(beta[1:] * beta[:-1])
    np.testing.assert_array_equal(frontier.at_beta(between).active, count[:-1])


def test_tied_modes_make_one_step_and_dead_ones_none() -> None:
    line = labelled(plot_active_modes(curve([4.0, 4.0, 0.0], k=3)), "exact optimum")
    assert list(line.get_data()[1]) == [2, 0, 0]
    assert line.get_data()[0][1] == 8.0


def test_measured_counts_are_drawn_and_reached(frontier: Frontier) -> None:
    ax = plot_active_modes(frontier, points=([0.01, 5.0], [3, 1]), points_label="net")
    plot_active_modes(frontier, ax, points=([9.0], [2]), points_label="other")
    np.testing.assert_array_equal(labelled(ax, "net").get_data(), [[0.01, 5.0], [3, 1]])
    assert labelled(ax, "net").get_marker() != labelled(ax, "other").get_marker()
    assert labelled(ax, "exact optimum").get_xdata()[0] < 0.01


@pytest.mark.parametrize(
    ("points", "match"),
    [(([1.0], [-1]), "count"), (([0.0], [1]), "beta"), (([1.0], [np.nan]), "finite"),
     (([1.0, 2.0], [1]), "shapes"), (([1.0],), "expected")],
)  # fmt: skip
def test_bad_counts(frontier: Frontier, points: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        plot_active_modes(frontier, points=points)


@pytest.mark.parametrize(
    ("part", "want"),
    [
        ("decoder", lambda b: np.sqrt(np.maximum(VALUES - NOISE * b, 0))),
        ("encoder", lambda b: np.sqrt(np.maximum(VALUES - NOISE * b, 0)) / VALUES),
        ("posterior", lambda b: np.sqrt(np.minimum(NOISE * b / VALUES, 1))),
        ("product", lambda b: np.maximum(VALUES - NOISE * b, 0) / VALUES),
    ],
)
def test_gains_of_the_optimum(frontier: Frontier, exact: Any, part: str, want: Any) -> None:
    """Written out here once more, and the corrected hypernetwork draws the same curves."""
    ax = plot_gains(frontier, part=part)
    curves = latents(ax)
    assert list(curves) == ["latent 1", "latent 2", "latent 3"]
    for place, (beta, gain) in enumerate(curves.values()):
        assert_close(gain, np.array([want(b)[place] for b in beta]), "hypernetwork", scale=3.0,
                     condition=1e4)  # fmt: skip
        assert set(CRITICAL) <= set(beta), "the kinks are on the grid"
        assert beta[0] < CRITICAL[-1]
        assert beta[-1] > CRITICAL[0]
    plot_gains(exact, ax, part=part)
    for name, (beta, gain) in latents(ax, "--").items():
        np.testing.assert_array_equal(beta[[0, -1]], curves[name][0][[0, -1]])
        assert_close(np.interp(curves[name][0], beta, gain), curves[name][1], "difference")
    assert legend(ax) == [*curves, "joint optimum", "hypernetwork, √ReLU gates"]


def test_gains_belong_to_latents_whatever_the_basis(rng: np.random.Generator) -> None:
    """With eigenvectors along the axes, rows and columns of D would look alike."""
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    values = np.array([9.0, 4.0, 2.0, 1.0, 0.5, 0.1])
    turned = Frontier(Spectrum.from_covariance(basis * values @ basis.T), latent_dim=3,
                      noise_variance=NOISE)  # fmt: skip
    betas = [0.3, 3.0]
    for part in ("decoder", "encoder", "product"):
        plain = latents(plot_gains(curve(values), part=part, betas=betas))
        for name, (_, gain) in latents(plot_gains(turned, part=part, betas=betas)).items():
            assert_close(gain, plain[name][1], "exact", scale=1.0)


def test_published_gains_meet_the_optimum_only_where_the_decoder_is_optimal(
    frontier: Frontier,
) -> None:
    betas = np.array([0.5, 1.0, 8.0])
    ax = plot_gains(frontier, part="product", betas=betas)
    plot_gains(published(frontier, 1.0), ax, part="product", betas=betas, label="printed")
    gap = [latents(ax, "--")[n][1] - latents(ax)[n][1] for n in latents(ax)]
    assert_close(np.array(gap)[:, 1], np.zeros(3), "exact", scale=1.0)
    assert (np.abs(np.array(gap)[:, [0, 2]]) > 1e-4).all()
    assert legend(ax)[-1] == "printed"


def test_gains_in_blocks_are_those_of_one(frontier: Frontier, monkeypatch: Any) -> None:
    whole = latents(plot_gains(frontier, part="encoder"))
    monkeypatch.setattr("linvae.plotting._gains._ENTRIES", 100)
    for name, (beta, gain) in latents(plot_gains(frontier, part="encoder")).items():
        np.testing.assert_array_equal(beta, whole[name][0])
        np.testing.assert_array_equal(gain, whole[name][1])


def test_gates_of_both_theorems(frontier: Frontier, exact: Hypernetwork) -> None:
    """x = log β − log βᵢ: √ReLU(1 − eˣ), and for a decoder of gains d, 1/(1 + βσ²/d²)."""
    ax = plot_gates(exact, part="encoder")
    for place, (beta, gate) in enumerate(latents(ax).values()):
        want = np.sqrt(np.maximum(1 - beta / CRITICAL[place], 0))
        assert_close(gate, want, "exact", scale=1.0, condition=1e3)  # √ at the threshold
    plot_gates(published(frontier, 1.0), ax, part="encoder")
    gains = VALUES - NOISE  # squared, of the decoder at β = 1
    for place, (beta, gate) in enumerate(latents(ax, "--").values()):
        assert_close(gate, 1 / (1 + beta * NOISE / gains[place]), "exact")
    assert legend(ax)[3:] == ["gate √ReLU(1 − eˣ)", "gate 1/(1 + e⁻ˣ)"]
    posterior = latents(plot_gates(exact, part="posterior"))
    for place, (beta, gate) in enumerate(posterior.values()):
        assert_close(gate, np.minimum(beta / CRITICAL[place], 1), "exact")
    constant = plot_gates(published(frontier, 1.0))
    assert legend(constant)[-1] == "gate √ReLU(1 − eˣ) (constant)"
    assert all(np.ptp(gate) == 0 for _, gate in latents(constant).values())


def test_standardised_gates_draw_the_same_curves(exact: Hypernetwork) -> None:
    moved = exact.standardised((0.01, 100.0))
    plain, other = latents(plot_gates(exact)), latents(plot_gates(moved))
    for name, (beta, gate) in plain.items():
        assert_close(other[name][0][[0, -1]], beta[[0, -1]], "exact")
        assert_close(np.interp(beta, *other[name]), gate, "difference", scale=1e3)


def test_chosen_latents_keep_colour_and_name(frontier: Frontier) -> None:
    whole = {line.get_label(): line for line in plot_gains(frontier).lines}
    (only,) = plot_gains(frontier, modes=[2]).lines
    assert only.get_label() == "latent 3"
    assert only.get_color() == whole["latent 3"].get_color()
    assert only.get_marker() == whole["latent 3"].get_marker()
    assert len({line.get_color() for line in whole.values()}) == 3
    again = plot_gains(frontier, plot_gains(frontier, modes=[0]), modes=[2])
    assert legend(again) == ["latent 1", "latent 3", "joint optimum"], "one model, one line style"
    assert {line.get_linestyle() for line in again.lines} == {"-"}


def test_no_two_latents_look_alike() -> None:
    """Colours repeat after seven latents; the marker or its fill then tells, in grey as well."""
    many = curve(np.arange(32.0, 0.0, -1.0), k=32)
    assert len(plot_gains(many).lines) == 4
    ax = plot_gains(many, modes=range(32), betas=[1.0, 2.0])
    for drawn in (ax.lines, ax.get_legend().get_lines()[:32]):
        looks = [(line.get_color(), line.get_marker(), line.get_markerfacecolor())
                 for line in drawn]  # fmt: skip
        assert len(set(looks)) == 32
        assert looks[0][:2] == looks[7][:2]
        assert looks[0][2] != looks[0][0]
        assert looks[7][2] == looks[7][0]


def test_every_latent_has_a_marker_where_it_lives() -> None:
    many = curve(np.geomspace(32.0, 2.0, 16), k=16)
    for line in plot_gains(many, modes=range(16)).lines:
        first, step = line.get_markevery()
        assert (np.asarray(line.get_ydata())[first::step] > 0).sum() >= 2


def test_few_latents_of_many_are_drawn_as_they_would_be_alone() -> None:
    values = np.geomspace(100.0, 1e-4, 40)
    for part in ("decoder", "encoder", "posterior", "product"):
        whole = latents(plot_gains(curve(values, k=40), part=part))
        alone = latents(plot_gains(curve(values, k=4), part=part))
        for name, (beta, gain) in alone.items():
            np.testing.assert_array_equal(whole[name], [beta, gain])


@pytest.mark.parametrize("draw", [plot_gates, plot_gains])
@pytest.mark.parametrize(
    ("given", "match"),
    [({"part": "prior"}, "part"), ({"modes": [3]}, "modes.*there are 3"), ({"modes": -1}, "modes"),
     ({"modes": 0.5}, "modes"), ({"betas": [1.0, 0.0]}, "betas"), ({"betas": [np.nan]}, "betas")],
)  # fmt: skip
def test_bad_requests(exact: Hypernetwork, draw: Any, given: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        draw(exact, **given)


def test_other_kinds_of_model_are_refused(frontier: Frontier) -> None:
    vae = response(frontier.spectrum, 1.0, latent_dim=3, noise_variance=NOISE)
    with pytest.raises(InputTypeError, match="a Hypernetwork"):
        plot_gates(frontier)  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match="a Frontier or a Hypernetwork"):
        plot_gains(vae)  # type: ignore[arg-type]
    for draw in (plot_active_modes, lambda f: plot_water_filling(f, 1.0)):
        with pytest.raises(InputTypeError, match="a Frontier"):
            draw(vae)
