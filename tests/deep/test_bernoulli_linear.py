"""The Bernoulli linear VAE: exact expectations, and an optimum that other searches confirm."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep.comparison import bernoulli_fit
from deep.comparison.bernoulli import (
    BernoulliLinearVAE,
    BernoulliReference,
    expected_slopes,
    expected_softplus,
)
from deep.comparison.bernoulli_fit import fit_bernoulli
from deep.errors import InputError
from tests.tolerances import assert_close, tolerance

BETAS = np.array([0.1, 0.5, 1.5])


def binary(n=5, k=2, count=100, seed=0, steepness=3.0):
    """Samples of a Bernoulli linear model with uneven loadings and biases."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, k)) @ rng.normal(size=(k, n)) * steepness + rng.normal(size=n)
    return (rng.random((count, n)) < 1 / (1 + np.exp(-logits))).astype(np.uint8)


def anisotropic(n=4, k=2, seed=1):
    """Parameters of no optimum: unequal variances, a latent offset, decoder not orthogonal."""
    rng = np.random.default_rng(seed)
    return BernoulliLinearVAE(
        encoder=rng.normal(size=(k, n)),
        center=rng.random(n),
        latent_offset=rng.normal(size=k),
        posterior_variance=np.geomspace(0.2, 2.5, k),
        decoder=rng.normal(size=(n, k)),
        bias=rng.normal(size=n),
    )


@pytest.fixture(scope="module")
def fitted():
    return fit_bernoulli(binary(), latent_dim=2, betas=BETAS, steps=40)


@pytest.mark.parametrize("spread", [0.0, 0.3, 2.0])
def test_expected_softplus_against_a_fine_sum(spread):
    mean = torch.linspace(-30, 30, 61, dtype=torch.float64)
    places = np.linspace(-12, 12, 20001)
    density = np.exp(-(places**2) / 2)
    density /= density.sum()
    want = np.logaddexp(0, mean.numpy()[:, None] + spread * places) @ density
    got = expected_softplus(mean, torch.full_like(mean, spread)).numpy()
    assert np.abs(got - want).max() <= 1e-9


def test_expected_softplus_keeps_the_tails():
    """Far out the softplus is exponentially small, or the logit itself."""
    mean = torch.tensor([-600.0, -40.0, 600.0], dtype=torch.float64)
    got = expected_softplus(mean, torch.zeros(1, dtype=torch.float64))
    assert_close(got.numpy()[1:], np.array([math.exp(-40), 600.0]), scale=[math.exp(-40), 600])
    assert 0 <= got[0] < 1e-200


def test_gradients_of_expected_softplus_with_a_spread_per_pixel():
    draws = torch.Generator().manual_seed(0)
    mean = torch.randn(4, 3, generator=draws, dtype=torch.float64, requires_grad=True)
    spread = torch.rand(3, generator=draws, dtype=torch.float64).add(0.2).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, s: expected_softplus(a, s, nodes=9), (mean, spread))


def test_nodes_at_once_and_one_by_one_agree(monkeypatch):
    """Large problems take the nodes in pieces."""
    mean = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    spread = torch.linspace(0.1, 2, 5, dtype=torch.float64)
    whole = expected_softplus(mean, spread, nodes=11), *expected_slopes(mean, spread, nodes=11)
    monkeypatch.setattr("deep.comparison.bernoulli._ENTRIES", 65)
    parts = expected_softplus(mean, spread, nodes=11), *expected_slopes(mean, spread, nodes=11)
    for one, other in zip(whole, parts, strict=True):
        assert_close(other.numpy(), one.numpy())


def test_training_without_the_value_has_the_gradient_of_the_value():
    problem = bernoulli_fit._problem(binary(), 9, torch.float64)
    parameters = bernoulli_fit._start(problem, 2, 0.3, seed=0)
    gradients = [
        torch.autograd.grad(
            bernoulli_fit._objective(problem, parameters, problem.data, 0.3, value=value),
            parameters,
        )
        for value in (True, False)
    ]
    for one, other in zip(*gradients, strict=True):
        assert_close(other.numpy(), one.numpy())
        assert one.abs().max() > 1e-3


def test_terms_against_sampled_latents():
    """400 000 latents a sample, seed 2; within five standard errors."""
    model = anisotropic()
    x = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.25, 1.0]])
    terms = model.evaluate(x)
    rng = np.random.default_rng(2)
    for row, rate, distortion, error in zip(x, *terms, strict=True):
        mean = model.encoder @ (row - model.center) + model.latent_offset
        spread = np.sqrt(model.posterior_variance)
        z = mean + spread * rng.standard_normal((400_000, 2))
        logits = z @ model.decoder.T + model.bias
        pixel = 1 / (1 + np.exp(-logits))
        log_q = -0.5 * (((z - mean) / spread) ** 2).sum(1) - np.log(spread).sum()
        for got, draws in (
            (distortion, -(row * np.log(pixel) + (1 - row) * np.log1p(-pixel)).sum(1)),
            (error, ((row - pixel) ** 2).sum(1)),
            (rate, log_q + 0.5 * (z**2).sum(1)),
        ):
            standard_error = draws.std() / math.sqrt(len(draws))
            assert abs(got - draws.mean()) <= tolerance("monte_carlo") * standard_error


def test_terms_do_not_depend_on_blocks(monkeypatch):
    x = binary(n=4, count=37)
    whole = anisotropic().evaluate(x)
    monkeypatch.setattr("deep.comparison.bernoulli._ENTRIES", 4 * 10)
    for one, other in zip(whole, anisotropic().evaluate(x), strict=True):
        assert other.shape == (37,)
        assert_close(other, one)


def plain_objective(flat, x, k, beta):
    """The objective written out anew in NumPy, by a sum over a fine grid of ε."""
    n = x.shape[1]
    encoder, offset, log_c, decoder, bias = np.split(
        flat, np.cumsum([k * n, k, k, n * k])
    )  # fmt: skip
    mean = x @ encoder.reshape(k, n).T + offset
    decoder, variance = decoder.reshape(n, k), np.exp(log_c)
    logits = mean @ decoder.T + bias
    spread = np.sqrt(decoder**2 @ variance)
    places = np.linspace(-6, 6, 41)
    density = np.exp(-(places**2) / 2) / np.exp(-(places**2) / 2).sum()
    soft = np.logaddexp(0, logits[..., None] + spread[:, None] * places) @ density
    rate = 0.5 * (mean**2 + variance - 1 - log_c).sum(1)
    return ((soft - x * logits).sum(1) + beta * rate).mean()


@pytest.mark.parametrize("beta", [0.5, 1.5])
def test_the_optimum_is_that_of_another_search(beta):
    """A quasi-Newton search on the plain objective, three starts: one latent, three pixels."""
    from scipy.optimize import minimize

    x = binary(n=3, k=1, count=60, seed=4).astype(float)
    found = fit_bernoulli(x, latent_dim=1, betas=[beta], steps=40)
    size = 3 + 1 + 1 + 3 + 3
    rng = np.random.default_rng(0)
    others = [
        minimize(plain_objective, rng.normal(size=size), args=(x, 1, beta), tol=1e-12).fun
        for _ in range(3)
    ]
    got = float(found.at_beta(beta).objective[0])
    assert got == pytest.approx(min(others), abs=2e-5)
    assert found.gradient_norms[0] < 1e-4
    assert float(found.collapsed_loss(beta)[0]) > 1e-2, "not the trivial optimum"


def test_seeds_agree_and_gradients_vanish(fitted):
    other = fit_bernoulli(binary(), latent_dim=2, betas=BETAS, steps=40, seed=1)
    assert (fitted.gradient_norms < 1e-3).all()
    assert np.abs(fitted.at_beta(BETAS).objective - other.at_beta(BETAS).objective).max() < 1e-5


def test_no_small_step_improves_the_models(fitted):
    """200 random steps from each, of size 0.001 to 0.1 relative."""
    x = binary()
    rng = np.random.default_rng(7)
    for beta, model in zip(BETAS, fitted.models, strict=True):
        terms = model.evaluate(x, nodes=24)
        best = terms.distortion.mean() + beta * terms.rate.mean()
        for size in np.geomspace(1e-3, 0.1, 200):
            moved = {
                name: value * np.exp(size * rng.normal(size=value.shape))
                if name == "posterior_variance"
                else value + size * rng.normal(size=value.shape)
                for name, value in vars(model).items()
                if name != "center"
            }
            terms = BernoulliLinearVAE(center=model.center, **moved).evaluate(x, nodes=24)
            assert terms.distortion.mean() + beta * terms.rate.mean() >= best - 1e-7


def test_the_reference_is_a_lower_envelope(fitted):
    grid = np.geomspace(0.05, 3.0, 40)
    points = fitted.at_beta(grid)
    assert_close(points.distortion + grid * points.rate, points.objective)
    assert (np.diff(points.rate) <= 0).all()
    assert (np.diff(points.distortion) >= 0).all()
    own = fitted.model_distortion + BETAS * fitted.model_rate
    assert (fitted.at_beta(BETAS).objective <= own).all()
    assert_close(fitted.at_beta(BETAS).objective, own, "optimisation", scale=1e4)
    assert np.isinf(points.slack).all()
    assert fitted.bounds == "nothing"
    assert "lower bound on nothing" in fitted.statement


def test_high_beta_collapses_to_the_entropy_of_the_pixels():
    x = binary(n=4, count=80, seed=6)
    mean = x.mean(0)
    entropy = -(mean * np.log(mean) + (1 - mean) * np.log1p(-mean)).sum()
    found = fit_bernoulli(x, latent_dim=2, betas=[50.0], steps=40)
    assert found.at_beta(50.0).rate[0] < 1e-6
    assert found.at_beta(50.0).objective[0] == pytest.approx(entropy, abs=1e-6)
    assert found.collapsed_distortion == pytest.approx(entropy, abs=1e-12)
    assert found.collapsed_loss(50.0)[0] < 1e-6


def test_held_out_samples_are_judged_by_the_same_models(fitted):
    other = fitted.on(binary(count=200, seed=9)[:, ::-1])
    assert isinstance(other, BernoulliReference)
    assert other.models is fitted.models
    terms = fitted.models[1].evaluate(binary(count=200, seed=9)[:, ::-1])
    assert_close(other.model_distortion[1], terms.distortion.mean())
    assert (other.at_beta(BETAS).objective > fitted.at_beta(BETAS).objective).all()
    assert other.quadrature_error < 1e-6


def test_minibatches_come_close_to_the_polished_optimum(monkeypatch):
    """The way of large problems, 20 pixels: Adam on minibatches in float32, no polish."""
    x = binary(n=20, k=3, count=300, steepness=1.0)
    betas = np.geomspace(0.4, 3.0, 4)
    best = fit_bernoulli(x, latent_dim=3, betas=betas, steps=40)
    assert best.gradient_norms.max() < 1e-2
    monkeypatch.setattr("deep.comparison.bernoulli_fit._SMALL", 0)
    rough = fit_bernoulli(x, latent_dim=3, betas=betas)
    lost = rough.at_beta(betas).objective - best.at_beta(betas).objective
    assert (lost > -1e-3).all()
    assert (lost < 0.02).all()


@pytest.mark.parametrize(
    ("samples", "options", "message"),
    [
        (np.full((3, 2), 2.0), {}, "samples: got values"),
        (np.full((3, 2), np.nan), {}, "samples: got values"),
        (np.zeros(3), {}, r"samples: got shape \(3,\)"),
        (np.zeros((0, 3)), {}, "samples"),
        (np.zeros((3, 2)), {"latent_dim": 3}, "latent_dim: got 3"),
        (np.zeros((3, 2)), {"betas": [0.0]}, "betas"),
    ],
)
def test_bad_input_is_refused(samples, options, message):
    with pytest.raises(InputError, match=message):
        fit_bernoulli(samples, **{"latent_dim": 1, "betas": [1.0], **options})


def test_samples_of_another_width(fitted):
    with pytest.raises(InputError, match="samples"):
        fitted.on(np.zeros((3, 7)))
