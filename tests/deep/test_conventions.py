"""Every usual loss, written as people write it, is a·(distortion + β·rate) + constant."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional

from deep.errors import InputError
from deep.objectives.conventions import CONVENTIONS, effective_beta
from deep.objectives.likelihoods import Bernoulli, Gaussian
from deep.objectives.rate import rate
from tests.tolerances import assert_close

BATCH, SHAPE, LATENTS, SAMPLES, WEIGHT = 3, (2, 4), 5, 60, 0.7
FEATURES = math.prod(SHAPE)
SIZES = {"batch_size": BATCH, "n_samples": SAMPLES}


def kl_terms(mean, log_variance):
    """The usual line of code, per latent."""
    return -0.5 * (1 + log_variance - mean**2 - log_variance.exp())


def kl(mean, log_variance):
    return kl_terms(mean, log_variance).sum(1).mean()


mse, bce = functional.mse_loss, functional.binary_cross_entropy_with_logits


def gaussian_nll(reduction):
    def loss(output, x, variance=0.3):
        var = torch.full_like(x, variance)
        return functional.gaussian_nll_loss(output, x, var, reduction=reduction)

    return loss


# name: (reconstruction, KL), as they stand in public code
LOSSES = {
    "sum_squared_error": lambda o, x, m, v: mse(o, x, reduction="sum") / BATCH + WEIGHT * kl(m, v),
    "half_sum_squared_error": lambda o, x, m, v: (
        0.5 * ((x - o) ** 2).flatten(1).sum(1).mean() + WEIGHT * kl(m, v)
    ),
    "half_mean_squared_error": lambda o, x, m, v: 0.5 * mse(o, x) + WEIGHT * kl(m, v),
    "batch_sum_squared_error": lambda o, x, m, v: (
        mse(o, x, reduction="sum") + WEIGHT * kl_terms(m, v).sum()
    ),
    "mean_squared_error": lambda o, x, m, v: mse(o, x) + WEIGHT * kl(m, v),
    "mean_squared_error_mean_kl": lambda o, x, m, v: mse(o, x) + WEIGHT * kl_terms(m, v).mean(),
    "mean_squared_error_batch_sum_kl": lambda o, x, m, v: (
        mse(o, x) + WEIGHT * kl_terms(m, v).sum()
    ),
    "mean_squared_error_minibatch_kl": lambda o, x, m, v: (
        mse(o, x) + WEIGHT * BATCH / SAMPLES * kl(m, v)
    ),
    "sum_bce": lambda o, x, m, v: bce(o, x, reduction="sum") / BATCH + WEIGHT * kl(m, v),
    "batch_sum_bce": lambda o, x, m, v: bce(o, x, reduction="sum") + WEIGHT * kl_terms(m, v).sum(),
    "mean_bce": lambda o, x, m, v: bce(o, x) + WEIGHT * kl(m, v),
    "mean_bce_mean_kl": lambda o, x, m, v: bce(o, x) + WEIGHT * kl_terms(m, v).mean(),
    "mean_bce_batch_sum_kl": lambda o, x, m, v: bce(o, x) + WEIGHT * kl_terms(m, v).sum(),
    "mean_bce_minibatch_kl": lambda o, x, m, v: bce(o, x) + WEIGHT * BATCH / SAMPLES * kl(m, v),
    "sum_gaussian_nll": lambda o, x, m, v: (
        gaussian_nll("sum")(o, x) / BATCH + WEIGHT * kl(m, v)
    ),
    "mean_gaussian_nll": lambda o, x, m, v: gaussian_nll("mean")(o, x) + WEIGHT * kl(m, v),
}  # fmt: skip


def point(seed):
    """Outputs, samples, means and log-variances; the samples are the same at every seed."""
    samples = torch.tensor(np.random.default_rng(0).uniform(size=(BATCH, *SHAPE)))
    rng = np.random.default_rng(seed)
    free = [torch.tensor(rng.standard_normal(s), requires_grad=True)
            for s in ((BATCH, *SHAPE), (BATCH, LATENTS), (BATCH, LATENTS))]  # fmt: skip
    return samples, free


def ours(result, samples, free):
    output, mean, log_variance = free
    variance = result.noise_variance
    likelihood = Bernoulli() if variance is None else Gaussian(variance)
    return (likelihood(output, samples) + result.beta * rate(mean, log_variance)).mean()


def options(name, variance=None):
    return SIZES | {"kl_weight": WEIGHT, "noise_variance": 0.3 if "nll" in name else variance}


def test_every_convention_is_tested():
    assert set(LOSSES) == set(CONVENTIONS)
    assert all("w KL" in rule.text or "KL" in rule.text for rule in CONVENTIONS.values())


@pytest.mark.parametrize("variance", [None, 0.8])
@pytest.mark.parametrize("name", sorted(CONVENTIONS))
def test_stated_loss_is_affine_in_ours(name, variance):
    if variance is not None and ("bce" in name or "nll" in name):
        return
    result = effective_beta(name, FEATURES, LATENTS, **options(name, variance))
    if variance is not None:
        assert result.noise_variance == variance
    constants = []
    for seed in (1, 2, 3):
        samples, free = point(seed)
        theirs = LOSSES[name](free[0], samples, *free[1:])
        mine = ours(result, samples, free)
        want = torch.autograd.grad(theirs, free)
        got = torch.autograd.grad(result.scale * mine, free)
        for mine_there, theirs_there in zip(got, want, strict=True):
            assert_close(mine_there.numpy(), theirs_there.numpy())
        constants.append(float((theirs - result.scale * mine).detach()))
    assert_close(np.array(constants), np.full(3, constants[0]), scale=10.0)


def test_numbers_people_ask_for():
    assert effective_beta("sum_squared_error", 784, 32, kl_weight=4.0).beta == 4.0
    assert effective_beta("sum_squared_error", 784, 32).noise_variance == 0.5
    assert effective_beta("half_sum_squared_error", 784, 32).noise_variance == 1.0
    assert effective_beta("mean_squared_error", 784, 32).beta == pytest.approx(784)
    assert effective_beta("mean_bce", 784, 32).beta == pytest.approx(784)
    # Normalised β of Higgins et al.: βk/n.
    normalised = effective_beta("mean_squared_error_mean_kl", 784, 32, kl_weight=32 / 784)
    assert normalised.beta == pytest.approx(1.0)
    kld_weight = effective_beta(
        "mean_squared_error_minibatch_kl", 12288, 128, batch_size=64, n_samples=162770
    )
    assert kld_weight.beta == pytest.approx(12288 * 64 / 162770)
    at_one = effective_beta("sum_squared_error", 784, 32, noise_variance=1.0)
    assert (at_one.beta, at_one.scale) == (0.5, 2.0)


def test_counts_may_be_integers_of_any_kind():
    got = effective_beta("mean_squared_error", np.int64(784), np.uint8(32))
    assert got == effective_beta("mean_squared_error", 784, 32)


@pytest.mark.parametrize("name", sorted(CONVENTIONS))
def test_explanation_states_the_result(name):
    result = effective_beta(name, FEATURES, LATENTS, **options(name))
    assert f"β = {result.beta:.6g}" in result.explanation
    assert CONVENTIONS[name].text in result.explanation
    with pytest.raises(AttributeError):
        result.beta = 1.0


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("summed", {}, "convention: got 'summed'; expected one of"),
        ("sum_bce", {"n_features": 0}, "n_features: got 0"),
        ("sum_bce", {"n_features": True}, "n_features: got True"),
        ("sum_bce", {"n_features": np.True_}, "n_features: got True"),
        ("sum_bce", {"n_features": 4.0}, "n_features: got 4.0"),
        ("sum_bce", {"latent_dim": 0}, "latent_dim: got 0"),
        ("sum_bce", {"kl_weight": 0.0}, "kl_weight: got 0"),
        ("sum_bce", {"noise_variance": 1.0}, "no variance"),
        ("sum_squared_error", {"noise_variance": -1.0}, "noise_variance: got -1"),
        ("mean_gaussian_nll", {}, "noise_variance: got None"),
        ("batch_sum_bce", {}, "batch_size: got None"),
        ("mean_bce_minibatch_kl", {"batch_size": 8}, "n_samples: got None"),
    ],
)
def test_what_is_missing_or_wrong_is_named(name, change, message):
    with pytest.raises(InputError, match=message):
        effective_beta(name, **({"n_features": 4, "latent_dim": 2} | change))
