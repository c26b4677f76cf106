"""Rate-distortion functions with a known answer, certificates, and what may lie below what."""

from __future__ import annotations

import math

import numpy as np
import pytest

import linvae as lv
from deep.comparison.blahut_arimoto import (
    BlahutArimoto,
    rate_distortion_point,
    reproduction_grid,
)
from deep.comparison.reference import linear_reference, shannon_reference
from deep.errors import InputError
from tests.tolerances import assert_close

BETAS = np.geomspace(0.02, 5.0, 6)


def entropy(p: float) -> float:
    return -p * math.log(p) - (1 - p) * math.log1p(-p)


@pytest.mark.parametrize("beta", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("p", [0.5, 0.2])
def test_binary_source_with_hamming_distance(p, beta):
    """R(D) = h(p) − h(D), of slope −log((1−D)/D) = −1/β, until D = p: Cover & Thomas 10.3.1."""
    found = rate_distortion_point([1 - p, p], [[0.0, 1.0], [1.0, 0.0]], beta, tolerance=1e-10)
    distortion = min(1 / (1 + math.exp(1 / beta)), p)
    rate = entropy(p) - entropy(distortion)
    assert found.slack <= 1e-10
    assert found.objective == pytest.approx(distortion + beta * rate, abs=2e-10)
    # Rate and distortion are less sharp than the objective, which is flat in them.
    assert found.distortion == pytest.approx(distortion, abs=1e-4)
    assert found.rate == pytest.approx(rate, abs=1e-3)


def test_the_parts_make_the_objective_and_the_certificate_is_true():
    """Stopped early, the interval still holds the minimum that a long run finds."""
    rng = np.random.default_rng(3)
    p = rng.dirichlet(np.ones(12))
    distance = rng.exponential(size=(12, 15))
    best = rate_distortion_point(p, distance, 0.3, tolerance=1e-9)
    assert best.slack <= 1e-9
    slacks = []
    for stop in (1, 3, 10, 40):
        found = rate_distortion_point(p, distance, 0.3, most_iterations=stop, tolerance=1e-9)
        assert_close(found.distortion + 0.3 * found.rate, found.objective)
        assert best.objective <= found.objective + 1e-12
        assert found.objective - found.slack <= best.objective + 1e-12
        slacks.append(found.slack)
    assert slacks[0] > 1e-3
    assert slacks[-1] < slacks[0] / 3


def test_two_points_by_brute_force():
    """±a with reproductions ±y: the best symmetric channel over a fine grid of flips and y."""
    a, variance = 1.0, 0.5
    source = BlahutArimoto(np.array([[-a], [a]]), variance, spacing=0.01)
    points = source.at_beta(BETAS)
    flip = np.linspace(1e-9, 0.5, 2001)[:, None]
    y = np.linspace(0, a, 501)
    error = (1 - flip) * (a - y) ** 2 + flip * (a + y) ** 2
    information = math.log(2) + flip * np.log(flip) + (1 - flip) * np.log1p(-flip)
    constant = 0.5 * math.log(2 * math.pi * variance)
    for place, beta in enumerate(BETAS):
        best = constant + (error / (2 * variance) + beta * information).min()
        assert points.objective[place] - points.slack[place] <= best
        assert points.objective[place] == pytest.approx(best, abs=2 * source.tolerance)
    assert (points.slack < 2e-3).all()
    assert_close(points.distortion + BETAS * points.rate, points.objective)
    assert_close(points.distortion, constant + points.squared_error / (2 * variance))


def test_a_gaussian_source_in_fine_steps_has_the_curve_of_shannon():
    places = np.linspace(-5, 5, 201)[:, None]
    weights = np.exp(-(places[:, 0] ** 2) / 2)
    weights /= weights.sum()
    source = BlahutArimoto(places, 0.1, weights=weights, spacing=0.05, tolerance=1e-3)
    spectrum = lv.Spectrum.from_eigenvalues([1.0])
    exact = shannon_reference(spectrum, noise_variance=0.1)
    betas = np.array([0.05, 0.3, 1.0, 3.0])
    found, want = source.at_beta(betas), exact.at_beta(betas)
    assert (np.abs(found.objective - want.objective) <= found.slack + 1e-4).all()
    assert np.ptp(want.objective) > 1, "the agreement says something"
    assert np.abs(source.collapsed_loss(betas) - exact.collapsed_loss(betas)).max() < 3e-3


def test_the_certificate_covers_reproductions_between_the_nodes():
    """On a coarse grid the upper end is too high; the lower end still lies below the truth."""
    points = np.array([[-1.0], [0.13], [0.9], [1.4]])
    fine = BlahutArimoto(points, 0.3, spacing=0.01, tolerance=1e-6).at_beta(BETAS)
    coarse = BlahutArimoto(points, 0.3, spacing=0.8, tolerance=1e-6).at_beta(BETAS)
    assert (coarse.objective > fine.objective + 1e-4).any(), "the grid must matter"
    assert (coarse.objective - coarse.slack <= fine.objective).all()
    assert (fine.objective - fine.slack <= coarse.objective).all()


def sign_model(mean: float, spread: float, reach: float, variance: float):
    """Exact rate and distortion of a nonlinear VAE on ±1: z = ±mean + spread ε, x̂ = reach sign z.

    An encoder and a decoder of one hidden unit each can do this as closely as wanted.
    """
    wrong = 0.5 * math.erfc(mean / spread / math.sqrt(2))
    error = (1 - wrong) * (1 - reach) ** 2 + wrong * (1 + reach) ** 2
    rate = 0.5 * (mean**2 + spread**2 - 1 - math.log(spread**2))
    return rate, 0.5 * math.log(2 * math.pi * variance) + error / (2 * variance)


def test_a_nonlinear_model_may_beat_every_linear_one_but_not_the_source():
    """Two clusters: a sign costs about a nat where a line pays for precision it does not need."""
    variance = 1e-3
    points = np.array([[-1.0], [1.0]])
    source = BlahutArimoto(points, variance)
    linear = linear_reference(
        lv.Spectrum.from_samples(points), latent_dim=1, noise_variance=variance
    )
    shannon = shannon_reference(lv.Spectrum.from_samples(points), noise_variance=variance)
    betas = np.array([0.1, 1.0, 5.0])
    rate, distortion = sign_model(0.98, 0.2, 1.0, variance)
    measured = distortion + betas * rate
    floor = source.at_beta(betas)
    assert (measured < linear.at_beta(betas).objective - betas).all(), "more than 1 nat of rate"
    assert (measured > floor.objective).all()
    assert (shannon.at_beta(betas).objective > measured).all(), "Gaussian sources are the hardest"
    assert (linear.bounds, source.bounds, shannon.bounds) == (
        "linear VAEs",
        "every VAE",
        "every VAE",
    )
    rng = np.random.default_rng(5)
    for mean, spread, reach in rng.uniform((0, 0.01, 0), (3, 1, 1.2), size=(200, 3)):
        rate, distortion = sign_model(mean, spread, reach, variance)
        assert (distortion + betas * rate >= floor.objective - floor.slack).all()


def test_two_dimensions_split_like_independent_sources():
    """A product source with product distance: the objective is the sum over coordinates."""
    first, second = np.array([-1.0, 0.2, 1.0]), np.array([-0.4, 0.5])
    grid = np.stack(np.meshgrid(first, second, indexing="ij"), -1).reshape(-1, 2)
    betas = np.array([0.2, 0.8])
    both = BlahutArimoto(grid, 0.2, spacing=0.1).at_beta(betas)
    parts = [BlahutArimoto(p[:, None], 0.2, spacing=0.1).at_beta(betas) for p in (first, second)]
    together = parts[0].objective + parts[1].objective
    slack = both.slack + parts[0].slack + parts[1].slack
    assert (np.abs(both.objective - together) <= slack).all()
    assert slack.max() < 0.05


def test_points_do_not_depend_on_the_company_they_are_asked_in():
    source = BlahutArimoto(np.array([[0.0], [1.0], [3.0]]), 0.5)
    alone = BlahutArimoto(np.array([[0.0], [1.0], [3.0]]), 0.5).at_beta(0.3)
    among = source.at_beta([2.0, 0.3, 0.7])
    assert abs(alone.objective[0] - among.objective[1]) <= source.tolerance
    again = source.at_beta([0.3, 0.3])
    assert (again.objective == among.objective[1]).all()


def test_the_grid_covers_the_source():
    points = np.array([[0.0, 1.0], [2.0, 1.0], [1.0, 3.0]])
    nodes, spacing = reproduction_grid(points, 0.3)
    assert spacing <= 0.3
    assert nodes.min(0).tolist() == [0, 1]
    assert_close(nodes.max(0), np.array([2.0, 3.0]))
    assert len(np.unique(nodes, axis=0)) == len(nodes) == 8 * 8


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (np.zeros((3, 3)), {}, r"points: got shape \(3, 3\)"),
        (np.zeros((0, 1)), {}, "points: got none"),
        (np.array([[np.nan]]), {}, "points"),
        (np.zeros((2, 1)), {"weights": np.array([0.5, 0.6])}, "weights"),
        (np.zeros((2, 1)), {"weights": np.array([1.0, 0.0])}, "weights"),
        (np.array([[0.0], [1.0]]), {"spacing": 1e-9}, "spacing"),
        (np.array([[0.0], [1.0]]), {"spacing": -1.0}, "spacing"),
    ],
)
def test_what_cannot_be_solved_is_refused(points, options, message):
    with pytest.raises(InputError, match=message):
        BlahutArimoto(points, 0.1, **options)


@pytest.mark.parametrize("betas", [0.0, -1.0, math.inf, math.nan, [], [[1.0]]])
def test_betas_that_are_none(betas):
    source = BlahutArimoto(np.array([[0.0], [1.0]]), 0.1)
    with pytest.raises(InputError, match="betas"):
        source.at_beta(betas)
