"""Distortion of every likelihood, and the rate, against other ways to get them."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy import optimize, stats

torch = pytest.importorskip("torch")

from deep.config import LikelihoodConfig
from deep.errors import InputError
from deep.objectives.likelihoods import (
    Bernoulli,
    CalibratedGaussian,
    DiscretisedLogistic,
    Gaussian,
    likelihood_from,
    squared_error,
)
from deep.objectives.rate import rate, rate_per_latent
from tests.tolerances import assert_close, tolerance

ALL = [Gaussian(0.3), CalibratedGaussian(), Bernoulli(), DiscretisedLogistic(4)]
SINGLE = {"float32": 1e-5, "float64": 1e-12}  # relative, sums of tens of terms


def batch(seed=0, shape=(6, 2, 3), *, levels=None):
    """Outputs and samples; the samples on a grid of levels in [0, 1] if asked."""
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal(shape) if levels is None else rng.integers(0, levels, shape) / (
        levels - 1)  # fmt: skip
    return torch.tensor(rng.standard_normal(shape)), torch.tensor(samples)


def numpy(tensor):
    return tensor.detach().numpy()


# Gaussian


def test_gaussian_is_the_normal_log_density():
    output, samples = batch()
    want = -stats.norm.logpdf(numpy(samples), numpy(output), math.sqrt(0.3)).sum((1, 2))
    assert_close(numpy(Gaussian(0.3).distortion(output, samples)), want)


def test_squared_error_is_summed_over_dimensions():
    output, samples = batch()
    want = ((numpy(samples) - numpy(output)) ** 2).reshape(6, 6).sum(1)
    assert_close(numpy(squared_error(output, samples)), want)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_gaussian_refuses_what_is_no_variance(bad):
    with pytest.raises(InputError, match="noise_variance: got"):
        Gaussian(bad)


# Calibrated Gaussian


def test_calibrated_is_the_normal_at_its_best_variance():
    output, samples = batch()
    likelihood = CalibratedGaussian()
    got = likelihood.distortion(output, samples)
    error = float(squared_error(output, samples).mean())
    assert_close(float(got.mean()), 3 * math.log(2 * math.pi * math.e * error / 6))
    variance = float(likelihood.noise_variance(output, samples))
    assert_close(variance, error / 6)
    assert_close(numpy(got), numpy(Gaussian(variance).distortion(output, samples)))
    for other in (0.9 * variance, 1.1 * variance):
        assert Gaussian(other).distortion(output, samples).mean() > got.mean()


def test_calibrated_gradient_is_that_of_the_logarithm_of_the_error():
    output, samples = batch()
    output.requires_grad_()
    CalibratedGaussian().distortion(output, samples).mean().backward()
    direct = output.detach().clone().requires_grad_()
    (3 * torch.log(squared_error(direct, samples).mean())).backward()
    assert_close(numpy(output.grad), numpy(direct.grad))


def test_calibrated_stays_finite_where_the_data_are_reproduced_exactly():
    likelihood = CalibratedGaussian(floor=1e-4)
    _, samples = batch()
    for size in (0.0, 1e-9, 1e-3):
        output = (samples + size).requires_grad_()
        got = likelihood.distortion(output, samples)
        assert_close(numpy(got), numpy(Gaussian(1e-4).distortion(output, samples)))
        got.mean().backward()
        assert torch.isfinite(output.grad).all()
    above = samples + 0.02  # error per dimension 4e-4, above the floor
    assert_close(float(likelihood.noise_variance(above, samples)), 4e-4)
    with pytest.raises(InputError, match="floor"):
        CalibratedGaussian(floor=0.0)


# Bernoulli


def test_bernoulli_is_the_log_probability_of_bits():
    output, samples = batch(levels=2)
    probability = 1 / (1 + np.exp(-numpy(output)))
    want = -stats.bernoulli.logpmf(numpy(samples), probability).sum((1, 2))
    assert_close(numpy(Bernoulli().distortion(output, samples)), want)
    assert_close(numpy(Bernoulli().mean(output)), probability)


def test_bernoulli_of_grey_values_is_the_expectation_over_bits():
    output, samples = batch(levels=5, shape=(7, 3))
    ones, zeros = torch.ones(1, 1).double(), torch.zeros(1, 1).double()
    want = [
        sum(
            float(x * Bernoulli().distortion(o.reshape(1, 1), ones))
            + float((1 - x) * Bernoulli().distortion(o.reshape(1, 1), zeros))
            for o, x in zip(*row, strict=True)
        )
        for row in zip(output, samples, strict=True)
    ]
    assert_close(numpy(Bernoulli().distortion(output, samples)), np.array(want))
    best = torch.tensor([[0.3]], dtype=torch.float64)
    entropy = stats.bernoulli.entropy(0.3)
    assert_close(float(Bernoulli().distortion(torch.logit(best), best)), entropy)


def test_bernoulli_is_stable_at_large_logits():
    output = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    samples = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    got = Bernoulli().distortion(output, samples)
    assert got.tolist() == [0.0, 400.0]
    got.sum().backward()
    assert_close(numpy(output.grad), np.array([[0.0, 0.0], [-1.0, 1.0]]))


@pytest.mark.parametrize("likelihood", [Bernoulli(), DiscretisedLogistic(4)], ids=["b", "dl"])
@pytest.mark.parametrize("bad", [-1 / 3, 4 / 3, math.nan])
def test_samples_outside_the_unit_interval_are_refused(likelihood, bad):
    with pytest.raises(InputError, match=r"expected values in \[0, 1\]"):
        likelihood.distortion(torch.zeros(1, 2), torch.tensor([[0.0, bad]]))


# Discretised logistic


@pytest.mark.parametrize("levels", [2, 4, 256])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("log_scale", [-8.0, -2.0, 3.0])
def test_probabilities_of_the_levels_sum_to_one(levels, dtype, log_scale):
    likelihood = DiscretisedLogistic(levels, log_scale=log_scale).to(dtype)
    grid = torch.arange(levels, dtype=dtype).reshape(-1, 1) / (levels - 1)
    for location in (-0.7, 0.0, 0.31, 0.5, 1.0, 2.5):
        distortion = likelihood.distortion(torch.full_like(grid, location), grid).detach()
        total = float(torch.exp(-distortion.double()).sum())
        # The argument of the CDF, (x − μ)/s, is rounded before it is used.
        condition = 3 * math.exp(-log_scale) if dtype == torch.float32 else 1e3
        assert abs(total - 1) <= 8 * torch.finfo(dtype).eps * max(levels, condition)


def test_discretised_logistic_is_a_difference_of_cdfs():
    output, samples = batch(levels=4)
    likelihood = DiscretisedLogistic(4, log_scale=math.log(0.4))
    x, law = numpy(samples), stats.logistic(numpy(output), 0.4)
    upper = np.where(x == 1, 1.0, law.cdf(x + 1 / 6))
    lower = np.where(x == 0, 0.0, law.cdf(x - 1 / 6))
    want = -np.log(upper - lower).sum((1, 2))
    got = likelihood.distortion(output, samples)
    np.testing.assert_allclose(numpy(got), want, rtol=1e-6)  # log_scale is a float32
    assert_close(numpy(likelihood.double().distortion(output, samples)), numpy(got), scale=1e5)


@pytest.mark.parametrize("level", [0, 100, 255])
@pytest.mark.parametrize("location", [-3.0, 0.4, 5.0])
def test_far_tails_against_arithmetic_in_200_digits(level, location):
    likelihood = DiscretisedLogistic(256, log_scale=-5.0).double()
    output = torch.tensor([[location]], dtype=torch.float64)
    samples = torch.tensor([[level / 255]], dtype=torch.float64)
    with localcontext() as context:
        context.prec = 600
        scale = Decimal(-5).exp()

        def cdf(t):
            return 1 / (1 + (-(t - Decimal(location)) / scale).exp())

        centre, half = Decimal(level) / 255, Decimal(1) / 510
        upper = Decimal(1) if level == 255 else cdf(centre + half)
        lower = Decimal(0) if level == 0 else cdf(centre - half)
        want = float(-(upper - lower).ln())
    assert_close(float(likelihood(output, samples).detach()), want, scale=max(1.0, want))
    single = likelihood.float()(output.float(), samples.float()).detach()
    assert abs(float(single) - want) <= 1e-3 * max(1.0, want)


def test_discretised_logistic_gradients():
    output, samples = batch(levels=4, shape=(3, 2))
    likelihood = DiscretisedLogistic(4, log_scale=-0.7).double()
    inputs = (output.requires_grad_(), likelihood.log_scale)
    assert torch.autograd.gradcheck(lambda o, s: likelihood.distortion(o, samples), inputs)
    far = torch.full((1, 2), 1e4, requires_grad=True)
    DiscretisedLogistic(256, log_scale=-6.0)(far, torch.tensor([[0.0, 1 / 255]])).sum().backward()
    assert torch.isfinite(far.grad).all()


def test_the_scale_is_trained_or_given():
    learned, given = DiscretisedLogistic(256), DiscretisedLogistic(256, learned=False)
    assert [name for name, _ in learned.named_parameters()] == ["log_scale"]
    assert not list(given.parameters())
    assert set(learned.state_dict()) == set(given.state_dict()) == {"log_scale"}
    assert_close(float(learned.log_scale.detach().exp()), 0.1, "stored", "float32")


def test_the_best_scale_is_the_scale_of_logistic_data():
    rng = np.random.default_rng(5)
    grey = np.clip(np.round(255 * rng.logistic(0.5, 0.05, (4000, 1))), 0, 255)
    samples = torch.tensor(grey / 255)
    output = torch.full_like(samples, 0.5)

    def loss(log_scale):
        return float(DiscretisedLogistic(256, log_scale=log_scale, learned=False)
                     .double()(output, samples).mean())  # fmt: skip

    best = optimize.minimize_scalar(loss, bounds=(-5, -1), method="bounded")
    # Fisher information of log s of a logistic: (3 + π²)/9 a sample.
    error = 1 / math.sqrt(4000 * (3 + math.pi**2) / 9)
    assert abs(best.x - math.log(0.05)) <= tolerance("monte_carlo") * error


def test_discretised_logistic_refuses_what_is_off_the_grid():
    with pytest.raises(InputError, match="between the levels"):
        DiscretisedLogistic(4).distortion(torch.zeros(1, 2), torch.tensor([[0.5, 1.0]]))
    byte = torch.arange(256, dtype=torch.uint8).reshape(1, -1) / 255
    assert torch.isfinite(DiscretisedLogistic()(torch.zeros(1, 256), byte)).all()
    with pytest.raises(InputError, match="levels"):
        DiscretisedLogistic(1)
    with pytest.raises(InputError, match="log_scale"):
        DiscretisedLogistic(log_scale=math.nan)


def test_reconstruction_of_the_discretised_logistic():
    likelihood = DiscretisedLogistic(256, log_scale=-5.0)
    assert likelihood.mean(torch.tensor([[-0.2, 0.3, 1.4]])).tolist() == [
        [0.0, pytest.approx(0.3), 1.0]
    ]
    grid = torch.arange(256).reshape(-1, 1) / 255
    probability = torch.exp(-likelihood(torch.full_like(grid, 0.3), grid)).detach()
    assert abs(float((probability * grid[:, 0]).sum()) - 0.3) <= 1e-4


# All of them


@pytest.mark.parametrize("likelihood", ALL, ids=lambda x: type(x).__name__)
def test_shapes_that_would_broadcast_are_refused(likelihood):
    samples = torch.zeros(4, 3)
    for output in (torch.zeros(4, 1), torch.zeros(1, 3), torch.zeros(4, 3, 1), torch.zeros(3, 4)):
        with pytest.raises(InputError, match="output: got shape"):
            likelihood.distortion(output, samples)


@pytest.mark.parametrize("likelihood", ALL, ids=lambda x: type(x).__name__)
def test_half_precision_outputs_are_summed_in_single(likelihood):
    output, samples = batch(levels=4, shape=(3, 500))
    half = output.to(torch.bfloat16)
    got = likelihood(half, samples.float())
    assert got.dtype == torch.float32
    want = likelihood(half.double(), samples)
    np.testing.assert_allclose(numpy(got), numpy(want), rtol=SINGLE["float32"])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("gaussian", Gaussian),
        ("calibrated", CalibratedGaussian),
        ("bernoulli", Bernoulli),
        ("discretised_logistic", DiscretisedLogistic),
    ],
)
def test_likelihood_of_a_configuration(kind, expected):
    made = likelihood_from(LikelihoodConfig(kind=kind, noise_variance=0.7, levels=9))
    assert type(made) is expected
    assert getattr(made, "levels", 9) == 9
    if kind == "gaussian":
        assert made.noise_variance == 0.7


# Rate


def test_rate_is_the_divergence_from_the_prior():
    rng = np.random.default_rng(2)
    mean, log_variance = (torch.tensor(rng.normal(size=(4, 3))) for _ in range(2))
    normal = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    want = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0))
    assert_close(numpy(rate_per_latent(mean, log_variance)), numpy(want))
    assert_close(numpy(rate(mean, log_variance)), numpy(want).sum(1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rate_at_extreme_variances(dtype):
    extremes = torch.tensor([[-80.0, 80.0]], dtype=getattr(torch, dtype), requires_grad=True)
    got = rate_per_latent(torch.zeros_like(extremes), extremes)
    want = np.array([[39.5, (math.exp(80) - 81) / 2]])
    np.testing.assert_allclose(numpy(got), want, rtol=SINGLE[dtype])
    got.sum().backward()
    slope = np.array([[-0.5, math.exp(80) / 2]])
    np.testing.assert_allclose(numpy(extremes.grad), slope, rtol=SINGLE[dtype])


def test_rate_near_the_prior_is_not_lost_in_rounding():
    value = torch.tensor([[1e-3]])
    got = float(rate(torch.zeros(1, 1), value))
    assert abs(got / (1e-6 / 4) - 1) <= 1e-3
    assert float(rate(torch.zeros(1, 1), torch.zeros(1, 1))) == 0.0


def test_rate_refuses_shapes_that_would_broadcast():
    for shape in ((4, 1), (2,), (1, 2)):
        with pytest.raises(InputError, match="latent_log_variance"):
            rate(torch.zeros(4, 2), torch.zeros(shape))


def test_rate_is_never_negative():
    rng = np.random.default_rng(3)
    log_variance = torch.tensor(rng.uniform(-3, 3, (1000, 2)))
    lowest = float(rate(torch.zeros(1000, 2).double(), log_variance).min())
    assert lowest >= -tolerance("rounding")
