"""Attacks: minimise the exact objectives from many starts, and try to pass the closed forms."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import linvae as lv
from linvae.hierarchical import HierarchicalFrontier
from linvae.hierarchical.bottom_up import BottomUpFrontier
from tests.linvae.hierarchical_tools import bottom_up, minimise, top_down, total, unpack

VALUES = np.array([5.0, 3.0, 2.0, 0.4])
SPECTRUM = lv.Spectrum.from_eigenvalues(VALUES)
S, S2, PRIOR = np.diag(VALUES), 0.5, 0.8
CONSTANT = 2 * np.log(2 * np.pi * S2)


def least_top_down(
    dims: tuple[int, int], beta1: float, beta2: float, learned: bool, starts: int = 2
) -> float:
    """Least objective found, with s learned or s = 1."""
    sizes = (4, *dims)

    def objective(theta: np.ndarray) -> np.ndarray:
        error, rate1, rate2 = top_down(S, unpack(theta, "top-down", sizes))
        return error / (2 * S2) + beta1 * rate1 + beta2 * rate2

    rng = np.random.default_rng(7)
    size = total("top-down", sizes, last=learned)
    return minimise(objective, size, rng, starts=starts, iterations=400)[0] + CONSTANT


@pytest.mark.parametrize(
    ("dims", "learned"), [((3, 1), True), ((2, 2), False), ((1, 3), True), ((2, 1), False)]
)
@pytest.mark.parametrize(("beta1", "beta2"), [(2.0, 0.5), (0.5, 2.0), (1.0, 1.0)])
def test_minimisation_stops_at_the_infimum(
    dims: tuple[int, int], learned: bool, beta1: float, beta2: float
) -> None:
    curve = HierarchicalFrontier(SPECTRUM, latent_dims=dims, noise_variance=S2)
    points = curve.at(beta1, beta2)
    excess = least_top_down(dims, beta1, beta2, learned) - float(points.objective)
    if points.attained:
        assert abs(excess) < 1e-11
    else:
        # An infimum: the descent never ends and never passes it.
        assert 0 < excess < 1e-2


@pytest.mark.parametrize(("beta1", "beta2"), [(2.0, 0.5), (1.2, 1.0)])
def test_every_other_assignment_costs_more(beta1: float, beta2: float) -> None:
    """k₁ = 3, k₂ = 1: any other mode in z₂, or none, is above the infimum."""
    curve = HierarchicalFrontier(SPECTRUM, latent_dims=(3, 1), noise_variance=S2)
    best = float(curve.at(beta1, beta2).objective)
    costs = {}
    for chosen in combinations(range(4), 3):
        for upper in (*chosen, None):
            weights = {i: beta2 if i == upper else beta1 for i in chosen}
            cost = CONSTANT
            for i, value in enumerate(VALUES):
                level = weights.get(i, np.inf) * S2
                if value > level:
                    cost += 0.5 * weights[i] * (1 + np.log(value / level))
                else:
                    cost += value / (2 * S2)
            costs[chosen, upper] = cost
    assert min(costs, key=lambda key: costs[key]) == ((0, 1, 2), 0)
    assert costs[(0, 1, 2), 0] == pytest.approx(best, abs=1e-12)
    others = [cost for key, cost in costs.items() if key != ((0, 1, 2), 0)]
    assert min(others) > best + 1e-3


@pytest.mark.parametrize(("rate1", "rate2"), [(0.3, 2.0), (0.4, 0.4)])
def test_no_rates_reach_below_the_surface(rate1: float, rate2: float) -> None:
    """Least distortion with rates held near given ones by a penalty, from many starts."""
    dims = (2, 1)
    curve = HierarchicalFrontier(SPECTRUM, latent_dims=dims, noise_variance=S2)
    sizes, stiff = (4, *dims), 100.0

    def penalised(theta: np.ndarray) -> np.ndarray:
        error, r1, r2 = top_down(S, unpack(theta, "top-down", sizes))
        return error / (2 * S2) + stiff * ((r1 - rate1) ** 2 + (r2 - rate2) ** 2)

    rng = np.random.default_rng(3)
    size = total("top-down", sizes, last=True)
    _, where = minimise(penalised, size, rng, starts=2, iterations=250)
    error, r1, r2 = (float(v) for v in top_down(S, unpack(where, "top-down", sizes)))
    least = curve.at_rates(r1, r2)
    got = CONSTANT + error / (2 * S2)
    assert abs(r1 - rate1) + abs(r2 - rate2) < 0.1
    assert -1e-11 < got - float(least.distortion) < 1e-2


def least_bottom_up(
    dims: tuple[int, int], beta1: float, beta2: float, given: float | None, starts: int = 3
) -> tuple[float, dict[str, np.ndarray]]:
    """Least objective found, and its parameters."""
    sizes = (4, *dims)

    def objective(theta: np.ndarray) -> np.ndarray:
        error, rate1, rate2 = bottom_up(S, unpack(theta, "bottom-up", sizes), PRIOR, given)
        return error / (2 * S2) + beta1 * rate1 + beta2 * rate2

    size = total("bottom-up", sizes, last=given is None)
    rng = np.random.default_rng(11)
    value, where = minimise(objective, size, rng, starts=starts, iterations=500)
    return value + CONSTANT, unpack(where, "bottom-up", sizes)


@pytest.mark.parametrize("dims", [(3, 1), (2, 2)])
@pytest.mark.parametrize(("beta1", "beta2"), [(2.0, 0.5), (0.5, 2.0), (1.0, 1.0)])
@pytest.mark.parametrize("given", [0.05, 1.0, None])
def test_bottom_up_minima(
    dims: tuple[int, int], beta1: float, beta2: float, given: float | None
) -> None:
    curve = BottomUpFrontier(
        SPECTRUM,
        latent_dims=dims,
        noise_variance=S2,
        prior_variance=PRIOR,
        encoder_variance=given,
    )
    points = curve.at(beta1, beta2)
    if not points.bounded:
        return
    value, _ = least_bottom_up(dims, beta1, beta2, given)
    assert abs(value - float(points.objective)) < 1e-9


def test_a_learned_variance_lets_the_objective_fall_for_ever() -> None:
    curve = BottomUpFrontier(SPECTRUM, latent_dims=(2, 1), noise_variance=S2, prior_variance=PRIOR)
    assert not curve.at(1.0, 0.5).bounded
    value, found = least_bottom_up((2, 1), 1.0, 0.5, None, starts=1)
    # Lower than every model of moderate width: z₁ widens for as long as the minimiser goes on.
    wide = curve.model(1.0, 0.5, signal=np.exp(6.0)).evaluate(SPECTRUM, 1.0, 0.5)
    assert value < wide.objective
    assert found["log_t"].max() > 3


@pytest.mark.parametrize("given", [0.2, 1.5])
@pytest.mark.parametrize("layer", [1, 2])
def test_thresholds_of_both_layers(given: float, layer: int) -> None:
    """One mode, λ a little below and a little above each threshold: what the minimiser does."""
    beta1, beta2 = 1.0, 1.3  # κ = 1.04: between the two given variances
    one = lv.Spectrum.from_eigenvalues([1.0])
    curve = BottomUpFrontier(
        one, latent_dims=(1, 1), noise_variance=S2, prior_variance=PRIOR, encoder_variance=given
    )
    threshold = float(curve.thresholds(beta1, beta2)[layer - 1][0])
    if threshold == -np.inf:
        assert given > PRIOR * beta2 / beta1
        threshold = 1e-3  # z₂ reads z₁ at any λ, so also at these two
    for factor in (0.97, 1.03):
        value = np.array([[threshold * factor]])

        def objective(theta: np.ndarray, value: np.ndarray = value) -> np.ndarray:
            error, rate1, rate2 = bottom_up(
                value, unpack(theta, "bottom-up", (1, 1, 1)), PRIOR, given
            )
            return error / (2 * S2) + beta1 * rate1 + beta2 * rate2

        rng = np.random.default_rng(1)
        _, where = minimise(objective, 5, rng, starts=4)
        found = unpack(where, "bottom-up", (1, 1, 1))
        read = abs(float(found["V1" if layer == 1 else "V2"].item()))
        always = layer == 2 and given > 1.04
        if factor > 1 or always:
            assert read > 1e-2
        else:
            assert read < 1e-3
