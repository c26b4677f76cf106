"""The linear network: its parameters at β, its forward pass, its objective against the theory."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import linvae as lv
from deep.comparison.linear import compare, read_off, write_out
from deep.config import ModelConfig
from deep.errors import InputError
from deep.networks.linear import MultiRateLinearVAE
from deep.networks.linear_config import linear_from_config
from deep.networks.linear_parts import whitening
from deep.objectives.linear import (
    expected_terms,
    gauss_legendre,
    model_terms,
    stratified,
)
from tests.tolerances import assert_close, tolerance

N, K, RANGE = 7, 3, (0.05, 20.0)
FEATURES = ("encoder_1", "decoder_2")


def network(seed=0, n=N, k=K, **options):
    generator = torch.Generator().manual_seed(seed)
    options = {"beta_range": RANGE, **options}
    return MultiRateLinearVAE(n, k, generator=generator, **options)


def spectrum(seed=3, n=N):
    """Anisotropic data with a mean, ten times as many samples as features."""
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((n, n)) * np.geomspace(3, 0.3, n)
    return lv.Spectrum.from_samples(rng.standard_normal((10 * n, n)) @ mix.T + rng.normal(size=n))


def coordinates(data, kind):
    """Options of the network for each way to read the data."""
    if kind == "scaled":
        return {"scale": 2.5}
    return {"whitening": whitening(torch.tensor(data.covariance)), "scale": 2.5}


@pytest.mark.parametrize("ungated", [(), FEATURES])
@pytest.mark.parametrize("kind", ["scaled", "whitened"])
@pytest.mark.parametrize("k", [1, K, N])
def test_exact_parameters_written_in_reach_the_frontier(k, kind, ungated):
    data, variance = spectrum(), 0.7
    curve = lv.Frontier(data, latent_dim=k, noise_variance=variance)
    model = network(k=k, ungated=ungated, **coordinates(data, kind))
    write_out(model, lv.Hypernetwork.exact(data, latent_dim=k, noise_variance=variance))
    np.testing.assert_array_equal(model.mean.numpy(), data.mean)
    # At a critical β itself a root would lose half the digits; this grid meets none.
    betas = np.geomspace(*RANGE, 40)
    covariance, want = torch.tensor(data.covariance), curve.at_beta(betas)
    general = expected_terms(model.at(torch.tensor(betas)), covariance, variance)
    for terms in (general, model_terms(model, torch.tensor(betas), covariance, variance)):
        for got, name in zip(terms, ("distortion", "rate"), strict=True):
            values = getattr(want, name)
            assert_close(got.detach().numpy(), values, "exact", scale=1 + np.abs(values).max())
    result = compare(model, betas, spectrum=data, frontier=curve)
    assert np.abs(result.excess_nats).max() <= 1e-10 * np.abs(want.objective).max()
    assert_close(result.squared_error, want.squared_error, "exact")


def test_published_gates_written_in_equal_the_theory():
    rng = np.random.default_rng(1)
    hyper = lv.Hypernetwork.published(decoder=rng.standard_normal((N, K)), noise_variance=0.5)
    model = network(encoder_gate="sigmoid", posterior_gate="sigmoid", scale=1.5)
    write_out(model, hyper)
    betas = np.geomspace(*RANGE, 9)
    got, want = read_off(model, betas, noise_variance=0.5), hyper(betas)
    for name in ("encoder", "posterior_variance", "decoder"):
        assert_close(getattr(got, name), getattr(want, name), "exact")


def stir(model, size=0.3, seed=9):
    """Move every parameter, so that no gate is constant and nothing is at its start."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(size * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return model


@pytest.mark.parametrize("sharpness", [3.0, math.inf])
@pytest.mark.parametrize("features", ["move", "rest", "none"])
@pytest.mark.parametrize("kind", ["scaled", "whitened"])
def test_objective_of_any_parameters_equals_the_theory(kind, features, sharpness):
    data = spectrum()
    model = network(5, mean=torch.tensor(data.mean), **coordinates(data, kind),
                    ungated=FEATURES if features == "none" else ())  # fmt: skip
    stir(model)
    if features == "rest":
        with torch.no_grad():
            for slope in model.feature_slopes:
                slope.zero_()
    assert model.features_constant == (features != "move")
    betas = torch.tensor(np.geomspace(0.1, 10, 6))
    covariance = torch.tensor(data.covariance)
    parameters = model.at(betas, sharpness=sharpness)
    got = expected_terms(parameters, covariance, 0.3)
    fast = model_terms(model, betas, covariance, 0.3, sharpness=sharpness)
    encoder, variance, decoder = (p.detach().numpy() for p in parameters)
    want = lv.LinearVAE(
        encoder=encoder, posterior_variance=variance, decoder=decoder, noise_variance=0.3,
        encoder_offset=data.mean, decoder_offset=data.mean,
    ).evaluate(data, betas.numpy())  # fmt: skip
    for terms in (got, fast):
        assert_close(terms[0].detach().numpy(), want.distortion)
        assert_close(terms[1].detach().numpy(), want.rate)


@pytest.mark.parametrize("sharpness", [1.0, math.inf])
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("kind", ["scaled", "whitened"])
@pytest.mark.parametrize("ungated", [(), FEATURES])
def test_beta_per_example_equals_a_loop_over_batches(sharpness, noisy, kind, ungated):
    options = coordinates(spectrum(), kind)
    model = stir(network(mean=torch.arange(N), ungated=ungated, **options))
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


@pytest.mark.parametrize("kind", ["scaled", "whitened"])
def test_forward_is_the_linear_vae_that_is_read_off(kind):
    model = stir(network(2, mean=torch.arange(N), **coordinates(spectrum(), kind)))
    x = torch.randn(4, N, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    noise = torch.randn(4, K, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    out = model(x, 0.3, noise=noise)
    vae = read_off(model, np.array([0.3]), noise_variance=1.0)[0]
    mean = vae.encode(x.numpy())
    assert_close(out.latent_mean.detach().numpy(), mean)
    variance = np.broadcast_to(vae.posterior_variance, mean.shape)
    assert_close(out.latent_log_variance.detach().numpy(), np.log(variance))
    latents = mean + np.sqrt(variance) * noise.numpy()
    assert_close(out.output.detach().numpy(), vae.decode(latents))
    assert_close(model(x, 0.3).output.detach().numpy(), vae.decode(mean))


def test_images_are_flattened_and_come_back_as_images():
    model = network(n=6)
    rows = torch.randn(4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    flat, image = model(rows, 0.3), model(rows.reshape(4, 1, 2, 3), 0.3)
    assert image.output.shape == (4, 1, 2, 3)
    assert torch.equal(image.output.reshape(4, 6), flat.output)
    assert torch.equal(image.latent_mean, flat.latent_mean)


def test_without_gates_beta_makes_no_difference_and_there_are_none_to_train():
    model = network(encoder_gate="none", posterior_gate="none", decoder_gate="none")
    assert {p.ndim for p in model.parameters()} == {1, 2}
    assert sum(p.ndim == 1 for p in model.parameters()) == 2  # the log-variances
    assert not any("gates" in name for name, _ in model.named_parameters())
    x = torch.randn(5, N, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    first, other = model(x, 0.06), model(x, torch.linspace(0.1, 9, 5))
    for got, want in zip(first, other, strict=True):
        assert torch.equal(got, want)
    with torch.no_grad():
        model.posterior_1.log_base.fill_(0.5)  # no gate, no ceiling: a variance above 1 is legal
    assert (model(x, 1.0).latent_log_variance == 0.5).all()


def test_parameter_groups_name_each_parameter_once():
    model = network()
    groups = model.parameter_groups()
    assert [g["role"] for g in groups] == ["weights", "gates"]
    listed = [id(p) for g in groups for p in g["params"]]
    assert sorted(listed) == sorted(id(p) for p in model.parameters())
    assert all(p.ndim == 2 for p in groups[0]["params"])
    assert len(groups[0]["params"]) == 4


def test_whitening_gives_strong_directions_variance_one_and_weak_ones_less():
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    values = np.array([9.0, 4.0, 1.0, 1e-3, 0.0])
    covariance = torch.tensor(basis * values @ basis.T)
    got = whitening(covariance, floor=0.01)
    moved = (got @ covariance @ got.mT).numpy()
    assert_close(moved, np.diag(values / (values + 0.01)), "exact", scale=10)
    assert_close((whitening(covariance, floor=values.mean()) @ got.inverse()).numpy(),
                 (whitening(covariance) @ got.inverse()).numpy(), "exact")  # fmt: skip
    assert torch.isfinite(whitening(torch.zeros(3, 3))).all()
    assert whitening(covariance.float()).dtype == torch.float32


def test_network_of_a_configuration():
    data = spectrum()
    config = ModelConfig(kind="linear", latent_dim=K, encoder_gate="sqrt_relu",
                         decoder_gate="sqrt_relu", ungated=FEATURES)  # fmt: skip
    made = {"generator": torch.Generator().manual_seed(0), "beta_range": RANGE}
    model = linear_from_config(config, data, **made)
    assert model.latent_dim == K
    assert model.mean.dtype == torch.float32
    assert model.feature_slopes == []
    assert model.encoder_2.gates.gate == "sqrt_relu"
    np.testing.assert_allclose(model.mean.numpy(), data.mean, rtol=1e-6)
    want = whitening(torch.tensor(data.covariance)).numpy()
    np.testing.assert_allclose(model.whitening.numpy(), want, rtol=1e-5, atol=1e-6)
    alone = linear_from_config(config, data, gated=False, dtype=torch.float64, **made)
    assert sum(p.ndim == 1 for p in alone.parameters()) == 2
    plain = linear_from_config(config.model_copy(update={"whitening": False}), data, **made)
    assert plain.whitening is None
    spread = math.sqrt(np.diag(data.covariance).mean())
    assert float(plain.scale) == pytest.approx(spread, rel=1e-6)


@pytest.mark.parametrize("which", ["gated", "ungated"])
def test_a_pattern_of_a_configuration_that_matches_no_layer_is_refused(which):
    config = ModelConfig(kind="linear", latent_dim=K, **{which: ("decoder*", "decoder2")})
    made = {"generator": torch.Generator().manual_seed(0), "beta_range": RANGE}
    with pytest.raises(InputError, match=f"^{which}: got the pattern 'decoder2'.*encoder_1"):
        linear_from_config(config, spectrum(), **made)


def test_quadrature_integrates_powers_of_beta_exactly():
    for pieces in (1, 3):
        betas, weights = gauss_legendre(RANGE, 16, pieces=pieces)
        assert betas.shape == weights.shape == (16 * pieces,)
        assert (betas.diff() > 0).all()
        width = math.log(RANGE[1] / RANGE[0])
        for power in (0, 1, -1, 0.5):  # the average of beta^p over log beta
            want = 1.0 if power == 0 else (RANGE[1] ** power - RANGE[0] ** power) / power / width
            assert_close(float((weights * betas**power).sum()), want, "quadrature")


def test_stratified_draws_have_one_beta_in_each_part():
    betas, weights = stratified(RANGE, 10, torch.Generator().manual_seed(0))
    place = np.log(betas.numpy() / RANGE[0]) / math.log(RANGE[1] / RANGE[0])
    np.testing.assert_array_equal(np.floor(10 * place), np.arange(10))
    assert_close(weights.numpy(), np.full(10, 0.1), "rounding")


def test_parameters_that_do_not_fit_are_refused():
    data = spectrum()
    hyper = lv.Hypernetwork.exact(data, latent_dim=K, noise_variance=0.5)
    with pytest.raises(ValueError, match="gates of encoder_1: got sigmoid; expected sqrt_relu"):
        write_out(network(encoder_gate="sigmoid"), hyper)
    with pytest.raises(ValueError, match="gates of encoder_2: got slopes that are not 0"):
        write_out(network(encoder_gate="none"), hyper)
    with pytest.raises(ValueError, match="encoder_2: got shape"):
        write_out(network(k=K - 1), hyper)


def test_objective_is_the_average_of_sampled_losses():
    """10 000 draws of z per sample; agreement within five standard errors of the mean loss."""
    rng = np.random.default_rng(8)
    x = torch.tensor(rng.standard_normal((6, N)) * np.geomspace(3, 0.3, N))
    model, draws = network(4, mean=x.mean(0)), 10_000
    many = x.repeat(draws, 1)
    noise = torch.tensor(rng.standard_normal((len(many), K)))
    with torch.no_grad():
        error = ((model(many, 0.4, noise=noise).output - many) ** 2).sum(1)
        centred = x - x.mean(0)
        distortion, rate = expected_terms(model.at(0.4), centred.mT @ centred / len(x), 0.5)
        mean, log_variance, _ = model(x, 0.4)
        kl = 0.5 * (log_variance.exp() + mean**2 - 1 - log_variance).sum(1).mean()
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
    first = model(x, 0.1).output
    model(x, 10.0)
    assert torch.equal(first, model(x, 0.1).output)
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
        ({"ungated": ("encoder_3",)}, "ungated: got \\['encoder_3'\\]"),
        ({"whitening": torch.eye(3)}, "whitening: got shape"),
        ({"encoder_gate": "relu"}, "gate: got 'relu'"),
        ({"posterior_gate": "relu"}, "gate: got 'relu'"),
    ],
)
def test_bad_construction_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        network(**options)


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan, math.inf, [1.0, 0.0]])
def test_bad_beta_is_refused(beta):
    with pytest.raises(ValueError, match=r"beta: got values from .*expected finite numbers > 0"):
        network().at(torch.tensor(beta))


def test_bad_shapes_are_refused():
    model, x = network(), torch.zeros(4, N, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"samples: got shape \(4, 6\); expected \(N, 7\)"):
        model(x[:, 1:], 1.0)
    with pytest.raises(ValueError, match=r"samples: got shape \(7,\)"):
        model(x[0], 1.0)
    with pytest.raises(ValueError, match=r"beta: got shape \(3,\); expected \(\) or \(4,\)"):
        model(x, torch.ones(3))
    with pytest.raises(ValueError, match=r"noise: got shape \(4, 2\)"):
        model(x, 1.0, noise=x[:, :2])
    with pytest.raises(ValueError, match=r"latents: got shape \(4, 7\)"):
        model.decode(x, 1.0)


@pytest.mark.parametrize("ungated", [(), ("decoder_2",), ("encoder_1", "decoder_2")])
@pytest.mark.parametrize("sharpness", [3.0, math.inf])
def test_spread_is_that_of_the_columns(ungated, sharpness):
    generator = torch.Generator().manual_seed(5)
    model = MultiRateLinearVAE(
        7, 3, beta_range=RANGE, generator=generator, scale=1.7, ungated=ungated
    )
    betas = torch.tensor([0.2, 1.0, 5.0], dtype=torch.float64)
    parts = model.at(betas, sharpness=sharpness)
    want = (parts.posterior_variance * parts.decoder.square().sum(-2)).sum(-1).detach()
    assert_close(model.spread(betas, sharpness=sharpness).detach(), want)
    assert_close(model.spread(1.0, sharpness=sharpness).detach(), want[1])
