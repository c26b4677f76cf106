"""The measured impossibility: its excess is the real objective's, and no grid search beats it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

import linvae as lv
from linvae.claims.sigmoid_fit import (
    _fit_value,
    best_posterior_fit,
    posterior_excess,
    readout_excess,
)

SPECTRUM = lv.Spectrum.from_eigenvalues([1.0])
LOG_BETAS = np.log(np.array([0.01, 0.3, 0.999, 1.0, 2.0, 10.0]))


@pytest.mark.parametrize("log_beta", LOG_BETAS)
def test_excess_is_that_of_the_exact_objective(log_beta: float) -> None:
    beta = np.exp(log_beta)
    best = lv.response(SPECTRUM, beta, latent_dim=1, noise_variance=1.0)
    least = best.evaluate(SPECTRUM, beta).objective
    for factor in (0.3, 0.9, 1.0, 1.7):
        spread = lv.LinearVAE(
            best.encoder, factor * best.posterior_variance, best.decoder, best.noise_variance
        )
        want = spread.evaluate(SPECTRUM, beta).objective - least
        got = posterior_excess(np.log(factor * best.posterior_variance), np.array([log_beta]))
        assert got[0] == pytest.approx(want, abs=1e-13)
    for shift in (-0.4, 0.0, 0.2):
        moved = lv.LinearVAE(
            best.encoder + shift, best.posterior_variance, best.decoder, best.noise_variance
        )
        # The sign of encoder and decoder is a gauge: the fit is to the positive one.
        sign = 1.0 if best.decoder[0, 0] >= 0 else -1.0
        want = moved.evaluate(SPECTRUM, beta).objective - least
        got = readout_excess(sign * (best.encoder[0] + shift), np.array([log_beta]))
        assert got[0] == pytest.approx(want, abs=1e-13)


@pytest.mark.parametrize("gates", [1, 2, 3])
@pytest.mark.parametrize("power", [1.0, 8.0])
def test_gradient(gates: int, power: float) -> None:
    start = np.random.default_rng(gates).standard_normal(1 + 2 * gates)
    error = check_grad(
        lambda p: _fit_value(p, gates, power)[0], lambda p: _fit_value(p, gates, power)[1], start
    )
    assert error < 1e-6


def test_a_step_that_overflows_is_refused_quietly() -> None:
    value, gradient = _fit_value(np.array([1e4, 1.0, 0.0]), 1, 4.0)
    assert value == 1e300
    assert not gradient.any()


def test_more_gates_fit_better_but_never_exactly() -> None:
    fits = [best_posterior_fit(g, minimax=True, starts=8) for g in (1, 2)]
    assert fits[0].worst_excess > fits[1].worst_excess > 1e-3
    assert fits[0].worst_excess > 4e-3
    means = [best_posterior_fit(g, starts=8) for g in (1, 2)]
    assert means[0].mean_excess > means[1].mean_excess > 5e-4
    # Each criterion is won by the fit that minimises it.
    for minimax, mean in zip(fits, means, strict=True):
        assert minimax.worst_excess <= mean.worst_excess
        assert mean.mean_excess <= minimax.mean_excess


def test_no_single_gate_on_a_grid_beats_the_best_fit_found() -> None:
    # Independent of the optimiser: all slopes and biases of a box, best base for each by bisection
    # of the worst excess, which is quasi-convex in log base.
    log_beta = np.linspace(np.log(0.01), np.log(10), 121)
    w, b = np.meshgrid(np.linspace(-6, 6, 49), np.linspace(-12, 12, 49), indexing="ij")
    shape = -np.logaddexp(0.0, -(w[..., None] * log_beta + b[..., None]))
    target = np.minimum(log_beta, 0.0)
    low, high = (target - shape).min(axis=-1), (target - shape).max(axis=-1)
    for _ in range(40):
        thirds = low + (high - low) / 3, high - (high - low) / 3
        worst = [posterior_excess(t[..., None] + shape, log_beta).max(axis=-1) for t in thirds]
        better = worst[0] < worst[1]
        high, low = np.where(better, thirds[1], high), np.where(better, low, thirds[0])
    grid = posterior_excess(((low + high) / 2)[..., None] + shape, log_beta).max(axis=-1).min()
    found = best_posterior_fit(1, minimax=True, starts=8).worst_excess
    assert 0.98 * found <= grid <= 1.2 * found
