"""Right metrics with names, layouts and draws that are easily mistaken."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from linvae.doctor.metrics import examine_metric

from .clinic.metrics_latents import mig_columns


def test_codes_and_factors_of_a_training_set_are_recognised():
    def mig(mus_train, ys_train):
        return mig_columns(mus_train, ys_train)

    found = examine_metric(mig, "mig")
    assert found.healthy
    assert found.facts["layout"] == "one row per factor and per code"


def bound(encode, decode, x, k, sigma2, rng):
    mean, log_var = encode(x)
    noise = rng.standard_normal((len(x), k, mean.shape[1]))
    z = mean[:, None] + np.exp(log_var / 2)[:, None] * noise
    error = (x[:, None] - decode(z)) ** 2 / sigma2
    log_w = -0.5 * (error + np.log(2 * np.pi * sigma2)).sum(-1) - 0.5 * (z**2).sum(-1)
    log_w += 0.5 * (noise**2 + log_var[:, None]).sum(-1)
    return (logsumexp(log_w, axis=1) - np.log(k)).mean()


def test_an_unlikely_streak_of_draws_is_looked_at_twice():
    """The six values of four draws that this seed gives lie two standard deviations high."""
    assert examine_metric(bound, "importance_weighted_bound", seed=4).healthy


def test_a_second_look_excuses_no_wrong_bound():
    def of_another_variance(encode, decode, x, k, sigma2, rng):
        return bound(encode, decode, x, k, 2 * sigma2, rng)

    found = examine_metric(of_another_variance, "importance_weighted_bound", seed=4)
    assert [finding.code[:3] for finding in found.findings] == ["iw-"]
