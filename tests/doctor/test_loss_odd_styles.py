"""Losses that draw, round or count in their own way, and are right."""

from __future__ import annotations

import random

import numpy as np
import pytest

from linvae.doctor.loss import examine_loss

torch = pytest.importorskip("torch")

from .loss_tools import _reduce  # noqa: E402
from .test_loss_subjects import codes, examined, kl, squares  # noqa: E402


def in_bits_per_dimension(x, recon, mu, logvar):
    nll = -torch.distributions.Normal(recon, 0.3).log_prob(x).flatten(1).sum(1)
    return (nll + kl(mu, logvar)).mean() / x[0].numel() / np.log(2)


def with_a_two_pi_left(x, recon, mu, logvar):
    nll = -torch.distributions.Normal(recon, 0.5).log_prob(x).flatten(1).sum(1)
    entropy = 0.5 * (1 + logvar).sum(1)
    crossed = 0.5 * (mu**2 + logvar.exp() + np.log(2 * np.pi)).sum(1)
    return (nll + crossed - entropy).mean()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("loss", [in_bits_per_dimension, with_a_two_pi_left])
def test_a_stated_variance_is_read_in_other_units_and_beside_constants_of_the_latents(loss, seed):
    assert examined(loss, seed=seed).healthy


def unstated_in_bits(x, recon, mu, logvar):
    return (squares(x, recon) / 0.09 + kl(mu, logvar)).mean() / np.log(2)


def test_without_a_constant_no_unit_makes_a_loss_right():
    assert codes(examined(unstated_in_bits)) == ["beta-not-as-declared"]


def rounded(x, recon, mu, logvar):
    parts = [part.half() for part in (x, recon, mu, logvar)]
    return (2 * squares(*parts[:2]) + kl(*parts[2:])).mean().float()


def rounded_more(x, recon, mu, logvar):
    parts = [part.bfloat16() for part in (x, recon, mu, logvar)]
    return (2 * squares(*parts[:2]) + kl(*parts[2:])).mean().item()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("loss", [rounded, rounded_more])
def test_half_precision_is_seen_in_values_of_a_finer_type(loss, seed):
    assert examined(loss, seed=seed).healthy


OWN = np.random.default_rng(5)
TORCHS = torch.Generator().manual_seed(1)


def _drawn(noise, x, y, m, s):
    z = m + noise * np.exp(s / 2)
    latent = 0.5 * (z**2 - noise**2 - s)
    return 0.5 * _reduce((x - y) ** 2, True, False) + _reduce(latent, True, False)


def by_a_generator_of_the_module(x, y, m, s):
    return _drawn(OWN.standard_normal(m.shape), x, y, m, s)


def by_a_new_generator(x, y, m, s):
    return _drawn(np.random.default_rng().standard_normal(m.shape), x, y, m, s)


def by_a_generator_of_torch(recon_x, x, mu, logvar, generator=TORCHS):
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    z = mu + noise * (logvar / 2).exp()
    return (squares(x, recon_x) + 0.5 * (z**2 - noise**2 - logvar).sum(1)).mean()


class WithItsOwn:
    def __init__(self):
        self.rng = np.random.default_rng(1)

    def __call__(self, x, x_hat, mean, log_var):
        return _drawn(self.rng.standard_normal(mean.shape), x, x_hat, mean, log_var)


PYTHONS = random.Random(4)


def by_a_generator_of_python(x, y, m, s):
    noise = np.array([PYTHONS.gauss(0, 1) for _ in range(m.size)]).reshape(m.shape)
    return _drawn(noise, x, y, m, s)


OF_NUMPY = [
    by_a_generator_of_the_module,
    by_a_new_generator,
    by_a_generator_of_python,
    WithItsOwn(),
]


@pytest.mark.parametrize("loss", OF_NUMPY, ids=lambda loss: getattr(loss, "__name__", "own"))
def test_draws_of_any_generator_are_averaged(loss):
    original = np.random.default_rng
    assert examine_loss(loss).healthy
    assert np.random.default_rng is original


@pytest.mark.parametrize("loss", [by_a_generator_of_torch, WithItsOwn()], ids=["torch", "own"])
def test_so_are_those_behind_an_adapter(loss):
    assert examined(loss).healthy
