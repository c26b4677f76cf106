"""Latents with gates of their own: collapse, its reverse, and what the linear theory says."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep.config import ModelConfig
from deep.errors import InputError
from deep.gates import min_exp, sqrt_relu
from deep.networks.build import network_from
from deep.networks.latent_gates import LatentGates
from deep.objectives.rate import rate
from deep.randomness import generator
from tests.tolerances import assert_close

RANGE = (0.01, 10.0)


def conv(**settings):
    config = ModelConfig(kind="conv", latent_dim=3, channels=(2, 3), placement="after_norm",
                         posterior_gate="collapsing", **settings)  # fmt: skip
    return network_from(config, (1, 28, 28), generator=generator(0, "weights"), beta_range=RANGE)


def test_critical_betas_start_in_equal_ratios():
    gates = LatentGates(4, RANGE, dtype=torch.float64)
    # log β − log β_j vanishes at β_j: 50, ... , 0.1.
    for j, critical in enumerate(np.geomspace(50, 0.1, 4)):
        t = gates.inputs(critical, gates.slope)
        x = (gates.slope * t + gates.bias)[:, j]
        assert_close(x.detach().numpy(), np.zeros(3), scale=10)
    assert_close(gates.slope.detach().numpy(), np.full((3, 4), gates.inputs.std))


def test_the_posterior_and_the_latents_are_those_of_the_equation():
    gates = LatentGates(3, RANGE, dtype=torch.float64)
    draws = generator(1, "numbers")
    with torch.no_grad():  # away from the start, where the three gates are equal
        gates.bias += torch.randn(3, 3, generator=draws, dtype=torch.float64)
        gates.slope *= 1 + 0.3 * torch.rand(3, 3, generator=draws, dtype=torch.float64)
    beta = torch.tensor([0.02, 0.3, 7.0], dtype=torch.float64)
    mean, log_variance, latents = torch.randn(3, 3, 3, generator=draws, dtype=torch.float64)
    opened = gates(beta, 3)
    x = torch.log(beta)[:, None, None] - gates.inputs.mean
    x = x / gates.inputs.std * gates.slope + gates.bias
    g, h, factor = sqrt_relu(x[:, 0], 4.0), sqrt_relu(x[:, 1], 4.0), min_exp(x[:, 2], 4.0)
    found_mean, found_log = opened.posterior(mean, log_variance)
    variance = 1 - g**2 + g**2 * factor * log_variance.exp()
    assert_close(found_mean.detach().numpy(), (g * mean).detach().numpy())
    assert_close(found_log.exp().detach().numpy(), variance.detach().numpy(), scale=100)
    assert_close(opened.latents(latents).detach().numpy(), (h * latents).detach().numpy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_above_its_critical_beta_a_latent_is_the_prior_and_far_below_it_is_open(dtype):
    gates = LatentGates(2, RANGE, dtype=dtype)
    mean = torch.tensor([[3.0, -40.0]], dtype=dtype)
    log_variance = torch.tensor([[-9.0, 4.0]], dtype=dtype)
    closed_mean, closed_log = gates(1e9, 1).posterior(mean, log_variance)
    assert rate(closed_mean, closed_log).item() < 1e-5
    assert gates(1e9, 1).latents(mean).abs().max() < 1e-3
    open_mean, open_log = gates(1e-30, 1).posterior(mean, log_variance)
    name = str(dtype).removeprefix("torch.")
    assert_close(open_mean.detach().numpy(), mean.numpy(), "stored", name)
    assert torch.isfinite(open_log).all(), "the variance does not vanish with β"


def test_a_closed_latent_has_a_gradient_so_that_it_can_open_again():
    gates = LatentGates(2, RANGE)
    mean, _ = gates(10.0, 1).posterior(torch.ones(1, 2), torch.zeros(1, 2))
    mean.sum().backward()
    assert (gates.bias.grad[0] != 0).all()
    assert (gates.slope.grad[0] != 0).all()


def test_each_example_has_its_own_beta_and_one_beta_is_that_of_all():
    gates = LatentGates(2, RANGE, dtype=torch.float64)
    mean, log_variance = torch.ones(2, 3, 2, dtype=torch.float64)
    betas = [0.05, 1.0, 8.0]
    together = gates(torch.tensor(betas, dtype=torch.float64), 3).posterior(mean, log_variance)
    for i, beta in enumerate(betas):
        alone = gates(beta, 3).posterior(mean, log_variance)
        for one, other in zip(together, alone, strict=True):
            assert_close(one[i].detach().numpy(), other[i].detach().numpy())


def test_the_optimum_of_a_linear_vae_is_within_reach():
    """Slope 1 in log β, bias at the critical β: exact gates are those of the corrected theorem."""
    gates = LatentGates(2, RANGE, dtype=torch.float64)
    critical = np.array([4.0, 0.5])
    with torch.no_grad():
        gates.bias[:] = gates.inputs.mean - torch.log(torch.tensor(critical))
    for beta in (0.03, 0.2):  # away from the critical β's, where smoothing shows
        opened = gates(beta, 1)
        # v → −∞ leaves the variance of the theory, β/β_j.
        narrow = torch.full((1, 2), -200.0, dtype=torch.float64)
        _, log_variance = opened.posterior(narrow, narrow)
        ratio = beta / critical
        smoothing = np.exp(4 * np.log(ratio)) / 4 * 1.01
        assert (np.abs(log_variance.detach().numpy()[0] - np.log(ratio)) <= smoothing).all()
        gate = opened.latents(torch.ones(1, 2, dtype=torch.float64)).detach().numpy()[0]
        assert (np.abs(gate**2 - (1 - ratio)) <= ratio * smoothing + 1e-12).all()


def test_in_a_network_the_heads_have_no_gates_and_the_gates_a_learning_rate_of_their_own():
    network = conv()
    layers = [layer.layer for layer in network.network.layers]
    assert not [name for name in layers if "head" in name]
    groups = {group["role"]: group["params"] for group in network.parameter_groups()}
    ours = {id(p) for p in network.latent_gates.parameters()}
    assert ours <= {id(p) for p in groups["gates"]}
    assert not ours & {id(p) for p in groups["weights"]}


def test_latents_can_be_the_only_thing_that_is_gated():
    network = conv(encoder_gate="none", decoder_gate="none")
    plain = conv(encoder_gate="none", decoder_gate="none").network
    assert sum(p.numel() for p in network.parameters()) == 18 + sum(
        p.numel() for p in plain.parameters()
    )
    samples = torch.rand(4, 1, 28, 28, generator=generator(0, "samples"))
    network.eval()
    mean, log_variance = network.encode(samples, 1e-8)
    bare, _ = network.network.encode(samples)
    assert_close(mean.detach().numpy(), bare.detach().numpy(), "stored", "float32")
    assert rate(*network.encode(samples, 1e8)).max() < 1e-5
    assert torch.isfinite(log_variance).all()


def test_forward_is_encode_draw_decode():
    network = conv()
    network.eval()
    draws = generator(0, "forward")
    samples = torch.rand(4, 1, 28, 28, generator=draws)
    noise = torch.randn(4, 3, generator=draws)
    beta = torch.tensor([0.02, 0.3, 1.0, 9.0])
    mean, log_variance, output = network(samples, beta, noise=noise)
    again = network.encode(samples, beta)
    assert torch.equal(mean, again[0])
    assert torch.equal(log_variance, again[1])
    latents = mean + torch.exp(log_variance / 2) * noise
    assert torch.allclose(network.decode(latents, beta), output, atol=1e-5)


def test_every_parameter_learns():
    network = conv(encoder_gate="film", decoder_gate="film")
    draws = generator(0, "step")
    samples = torch.rand(8, 1, 28, 28, generator=draws)
    beta = torch.logspace(-2, 1, 8)
    mean, log_variance, output = network(samples, beta, noise=torch.randn(8, 3, generator=draws))
    (output.square().flatten(1).sum(1) + beta * rate(mean, log_variance)).mean().backward()
    still = [name for name, p in network.named_parameters() if not p.grad.abs().sum() > 0]
    assert still == []


@pytest.mark.parametrize(
    ("latent_dim", "beta_range", "match"),
    [(0, RANGE, "latent_dim: got 0"), (2, (1.0, 0.1), "0 < a < b"), (2, (0.0, 1.0), "0 < a < b")],
)
def test_bad_sizes_are_refused(latent_dim, beta_range, match):
    with pytest.raises(InputError, match=match):
        LatentGates(latent_dim, beta_range)


def test_bad_betas_are_refused():
    gates = LatentGates(2, RANGE)
    with pytest.raises(InputError, match=r"shape \(3,\); expected \(\) or \(4,\)"):
        gates(torch.ones(3), 4)
    for beta in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(InputError, match="β weighs the rate"):
            gates(beta, 4)
