"""The linear network: its parameters at β, its forward pass, its objective against the theory."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import linvae as lv  # noqa: E402
from deep.comparison.linear import compare, read_off  # noqa: E402
from deep.networks.linear import MultiRateLinearVAE  # noqa: E402
from deep.training.exact import expected_terms  # noqa: E402
from tests.tolerances import assert_close, tolerance  # noqa: E402

N, K, RANGE = 7, 3, (0.05, 20.0)
PAIRS = ("encoder", "posterior", "decoder")


def network(seed=0, n=N, k=K, **options):
    generator = torch.Generator().manual_seed(seed)
    options = {"beta_range": RANGE, **options}
    return MultiRateLinearVAE(n, k, generator=generator, **options)


def spectrum(seed=3, n=N):
    """Anisotropic data with a mean, ten times as many samples as features."""
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((n, n)) * np.geomspace(3, 0.3, n)
    return lv.Spectrum.from_samples(rng.standard_normal((10 * n, n)) @ mix.T + rng.normal(size=n))


def fill(target, values):
    """Copy an array into a parameter; rows and columns the theory leaves out are zero."""
    target.zero_()
    target[tuple(slice(size) for size in values.shape)] = torch.tensor(values)


def write(model, hyper):
    """Copy the parameters of a linvae hypernetwork into the network."""
    with torch.no_grad():
        for pair in PAIRS:
            for number, layer in enumerate(getattr(hyper, pair), start=1):
                module = getattr(model, f"{pair}_{number}")
                fill(module.gates.slope, layer.w_hyper)
                fill(module.gates.bias, layer.b_hyper)
                if pair == "posterior":
                    fill(module.log_base, np.log(layer.base))
                else:
                    fill(module.weight, layer.dense_base)


@pytest.mark.parametrize("k", [1, K, N])
def test_exact_parameters_written_in_reach_the_frontier(k):
    data, variance = spectrum(), 0.7
    curve = lv.Frontier(data, latent_dim=k, noise_variance=variance)
    hyper = lv.Hypernetwork.exact(data, latent_dim=k, noise_variance=variance).standardised(RANGE)
    model = network(k=k, mean=torch.tensor(data.mean))
    write(model, hyper)
    # At a critical β itself a root would lose half the digits; this grid meets none.
    betas = np.geomspace(*RANGE, 40)
    terms = expected_terms(model.at(torch.tensor(betas)), torch.tensor(data.covariance), variance)
    want = curve.at_beta(betas)
    for got, name in zip(terms, ("distortion", "rate"), strict=True):
        values = getattr(want, name)
        assert_close(got.detach().numpy(), values, "exact", scale=1 + np.abs(values).max())
    result = compare(model, betas, spectrum=data, frontier=curve)
    assert np.abs(result.excess_nats).max() <= 1e-10 * np.abs(want.objective).max()
    assert_close(result.squared_error, want.squared_error, "exact")


def test_published_gates_written_in_equal_the_theory():
    rng = np.random.default_rng(1)
    hyper = lv.Hypernetwork.published(decoder=rng.standard_normal((N, K)), noise_variance=0.5)
    hyper = hyper.standardised(RANGE)
    model = network(encoder_gate="sigmoid", posterior_gate="sigmoid")
    write(model, hyper)
    betas = np.geomspace(*RANGE, 9)
    got, want = read_off(model, betas, noise_variance=0.5), hyper(betas)
    for name in ("encoder", "posterior_variance", "decoder"):
        assert_close(getattr(got, name), getattr(want, name), "exact")


@pytest.mark.parametrize("scale", [1.0, 3.5])
def test_objective_of_any_parameters_equals_the_theory(scale):
    data = spectrum()
    model = network(5, scale=scale, mean=torch.tensor(data.mean))
    betas = np.geomspace(0.1, 10, 6)
    distortion, rate = expected_terms(
        model.at(torch.tensor(betas)), torch.tensor(data.covariance), 0.3
    )
    want = read_off(model, betas, noise_variance=0.3).evaluate(data, betas)
    assert_close(distortion.detach().numpy(), want.distortion)
    assert_close(rate.detach().numpy(), want.rate)


@pytest.mark.parametrize("sharpness", [1.0, math.inf])
@pytest.mark.parametrize("noisy", [False, True])
def test_beta_per_example_equals_a_loop_over_batches(sharpness, noisy):
    model = network(mean=torch.arange(N), scale=2.5)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(5, N, generator=generator, dtype=torch.float64)
    noise = torch.randn(5, K, generator=generator, dtype=torch.float64) if noisy else None
    betas = torch.tensor([0.06, 15.0, 1.0, 0.5, 7.0], dtype=torch.float64)
    together = model(x, betas, noise=noise, sharpness=sharpness)
    for i, beta in enumerate(betas):
        drawn = None if noise is None else noise[i : i + 1]
        alone = model(x[i : i + 1], float(beta), noise=drawn, sharpness=sharpness)
        for got, want in zip(together, alone, strict=True):
            assert_close(got[i].detach().numpy(), want[0].detach().numpy(), "rounding", size=N)


def test_forward_is_the_linear_vae_that_is_read_off():
    model = network(2, mean=torch.arange(N), scale=2.5)
    x = torch.randn(4, N, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    noise = torch.randn(4, K, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    out = model(x, 0.3, noise=noise)
    vae = read_off(model, np.array([0.3]), noise_variance=1.0)[0]
    mean = vae.encode(x.numpy())
    assert_close(out.latent_mean.detach().numpy(), mean)
    variance = np.broadcast_to(vae.posterior_variance, mean.shape)
    assert_close(out.latent_variance.detach().numpy(), variance)
    latents = mean + np.sqrt(variance) * noise.numpy()
    assert_close(out.reconstruction.detach().numpy(), vae.decode(latents))
    assert_close(model(x, 0.3).reconstruction.detach().numpy(), vae.decode(mean))


def test_objective_is_the_average_of_sampled_losses():
    """10 000 draws of z per sample; agreement within five standard errors of the mean loss."""
    rng = np.random.default_rng(8)
    x = torch.tensor(rng.standard_normal((6, N)) * np.geomspace(3, 0.3, N))
    model, draws = network(4, mean=x.mean(0)), 10_000
    many = x.repeat(draws, 1)
    noise = torch.tensor(rng.standard_normal((len(many), K)))
    with torch.no_grad():
        error = ((model(many, 0.4, noise=noise).reconstruction - many) ** 2).sum(1)
        centred = x - x.mean(0)
        distortion, rate = expected_terms(model.at(0.4), centred.mT @ centred / len(x), 0.5)
        mean, variance, _ = model(x, 0.4)
        kl = 0.5 * (variance + mean**2 - 1 - torch.log(variance)).sum(1).mean()
    sampled = 0.5 * N * math.log(2 * math.pi * 0.5) + error.numpy() / (2 * 0.5)
    averages = sampled.reshape(draws, len(x)).mean(1)
    standard_error = averages.std() / math.sqrt(draws)
    assert abs(averages.mean() - float(distortion)) <= tolerance("monte_carlo") * standard_error
    assert standard_error < 0.01 * float(distortion)
    assert_close(float(rate), float(kl))


def test_nothing_of_beta_is_stored():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.ones(2, N, dtype=torch.float64)
    first = model(x, 0.1).reconstruction
    model(x, 10.0)
    assert torch.equal(first, model(x, 0.1).reconstruction)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_the_one_asked_for(dtype):
    model = network(dtype=dtype)
    assert {p.dtype for p in (*model.parameters(), *model.buffers())} == {dtype}
    assert {p.dtype for p in model.at(1.0)} == {dtype}


def test_standardised_input_has_mean_zero_and_standard_deviation_one():
    draws = np.linspace(*np.log(RANGE), 100_001)
    t = network().inputs(torch.tensor(np.exp(draws))).numpy()
    assert abs(t.mean()) < 1e-10
    assert abs(t.std() - 1) < 1e-4  # of the grid


@pytest.mark.parametrize("kind", ["sqrt_relu", "sigmoid", "min_exp"])
def test_encoder_gates_start_open_at_low_beta_whatever_their_kind(kind):
    model, ends = network(encoder_gate=kind), torch.tensor([-1.7, 1.7], dtype=torch.float64)
    low, high = model.encoder_2.gates(ends)
    assert (low > high).all()
    assert (low > 0.5).all()
    assert torch.equal(*model.encoder_1.gates(ends))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "latent_dim: got 0; expected 1 <= k <= 7"),
        ({"k": 8}, "latent_dim: got 8"),
        ({"beta_range": (2.0, 1.0)}, "beta_range: got"),
        ({"beta_range": (0.0, 1.0)}, "beta_range: got"),
        ({"beta_range": (1.0, math.inf)}, "beta_range: got"),
        ({"scale": 0.0}, "scale: got 0.0"),
        ({"scale": math.nan}, "scale: got nan"),
        ({"encoder_gate": "relu"}, "gate: got 'relu'"),
        ({"posterior_gate": "relu"}, "gate: got 'relu'"),
    ],
)
def test_bad_construction_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        network(**options)


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan, math.inf, [1.0, 0.0]])
def test_bad_beta_is_refused(beta):
    with pytest.raises(ValueError, match="beta: got a value that is not positive"):
        network().at(torch.tensor(beta))


def test_bad_shapes_are_refused():
    model, x = network(), torch.zeros(4, N, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"samples: got shape \(4, 6\); expected \(N, 7\)"):
        model(x[:, 1:], 1.0)
    with pytest.raises(ValueError, match=r"samples: got shape \(7,\)"):
        model(x[0], 1.0)
    with pytest.raises(ValueError, match=r"beta: got shape \(3,\); expected \(\) or \(4,\)"):
        model(x, torch.ones(3))
