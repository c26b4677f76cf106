"""The objective against its exact expectation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

torch = pytest.importorskip("torch")

import linvae as lv
from deep.config import ExperimentConfig
from deep.errors import ConfigError
from deep.networks.linear import MultiRateLinearVAE
from deep.objectives.betas import (
    Annealing,
    BetaDraws,
)
from deep.objectives.elbo import (
    RateDistortionObjective,
    SharpnessSchedule,
    objective_from,
)
from deep.objectives.likelihoods import (
    Bernoulli,
    CalibratedGaussian,
    DiscretisedLogistic,
    Gaussian,
)
from deep.randomness import generator
from tests.deep.oracle_networks import LinearGaussian, population
from tests.deep.test_betas import DRAWS, ERRORS, KS_LEVEL, RANGE, places, source
from tests.tolerances import assert_close, tolerance


def data(count=40, seed=2):
    x = population().sample(count, np.random.default_rng(seed))
    return torch.tensor(x), lv.Spectrum.from_samples(x)


def repeated(objective, model, samples, count, **options):
    """Terms of the objective for so many generators, one row each: loss, rate, distortion."""
    options = {"done": 1.0, **options}
    return np.array([
        [float(term) for term in objective(model, samples, generator=source(s), **options)[:3]]
        for s in range(count)
    ])  # fmt: skip


def assert_average(values, want):
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    assert abs(np.mean(values) - want) <= ERRORS * error + tolerance("exact") * abs(want)


@pytest.mark.parametrize("variance", [0.5, 2.0])
def test_beta_vae_loss_against_the_exact_terms(variance):
    samples, spectrum = data()
    model = LinearGaussian()
    objective = RateDistortionObjective(Gaussian(variance), BetaDraws(draw="constant", value=0.7))
    values = repeated(objective, model, samples, 400)
    exact = model.at(0.7, variance).evaluate(spectrum, 0.7)
    assert_close(values[:, 1], np.full(400, exact.rate))
    assert_average(values[:, 0], exact.objective)
    assert_average(values[:, 2], exact.distortion)


@pytest.mark.parametrize(
    ("draw", "per_sample"), [(draw, 1) for draw in DRAWS] + [("example", 2), ("stratified", 3)]
)
def test_multi_rate_loss_against_quadrature_over_log_beta(draw, per_sample):
    samples, spectrum = data()
    model = LinearGaussian()
    draws = BetaDraws(RANGE, draw, per_sample=per_sample)
    objective = RateDistortionObjective(Gaussian(0.5), draws)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    low, high = np.log(RANGE)
    terms = [model.at(b, 0.5).evaluate(spectrum, b)
             for b in np.exp((low + high) / 2 + (high - low) / 2 * nodes)]  # fmt: skip
    values = repeated(objective, model, samples, 500)
    for column, name in enumerate(("objective", "rate", "distortion")):
        want = float(weights @ [getattr(t, name) for t in terms]) / 2
        assert_average(values[:, column], want)


@pytest.mark.parametrize("per_sample", [1, 2])
def test_every_sample_is_paired_with_its_own_beta_and_noise(per_sample):
    samples, _ = data()
    model = LinearGaussian()
    draws = BetaDraws(RANGE, "stratified", per_sample=per_sample)
    objective = RateDistortionObjective(Gaussian(0.5), draws)
    terms = objective(model, samples, done=0.5, generator=source(8))
    call = model.calls[-1]
    samples = samples.repeat(per_sample, 1)
    assert call["noise"].shape == (40 * per_sample, 2)
    assert call["noise"].dtype == torch.float64
    total = []
    for x, beta, noise in zip(samples.numpy(), terms.beta.numpy(), call["noise"], strict=True):
        vae = model.at(beta, 0.5)
        m = vae.encode(x[None])[0]
        z = m + np.sqrt(vae.posterior_variance) * noise.numpy()
        error = ((x - vae.decode(z[None])[0]) ** 2).sum()
        cost = (m**2 + vae.posterior_variance - 1 - np.log(vae.posterior_variance)).sum() / 2
        total.append(2.5 * math.log(math.pi) + error + beta * cost)
    assert_close(float(terms.loss), np.mean(total), scale=10 * np.mean(np.abs(total)))


def test_noise_and_betas_do_not_repeat_one_another():
    samples, _ = data(2000)
    model = LinearGaussian()
    objective = RateDistortionObjective(Gaussian(), BetaDraws(RANGE, "example"))
    terms = objective(model, samples, done=0.5, generator=source())
    noise = model.calls[-1]["noise"].numpy()
    columns = np.column_stack([places(terms.beta), noise, np.roll(noise, 1, axis=0)])
    off = np.corrcoef(columns.T) - np.eye(5)
    assert np.abs(off).max() <= ERRORS / math.sqrt(2000)
    assert stats.kstest(noise.ravel(), "norm").pvalue > KS_LEVEL


@pytest.mark.parametrize("draw", [*DRAWS, "constant"])
def test_annealing_weighs_the_loss_and_not_the_gates(draw):
    samples, _ = data()
    model = LinearGaussian()
    plain = RateDistortionObjective(Gaussian(), BetaDraws(RANGE, draw))
    annealed = RateDistortionObjective(Gaussian(), BetaDraws(RANGE, draw), Annealing("linear", 0.5))
    full = plain(model, samples, done=0.1, generator=source())
    part = annealed(model, samples, done=0.1, generator=source())
    first, second = model.calls
    assert torch.equal(torch.as_tensor(first["beta"]), torch.as_tensor(second["beta"]))
    assert_close(part.beta.numpy(), 0.2 * full.beta.numpy())
    assert part.rate == full.rate
    expected = 0.2 * float(full.loss - full.distortion) + float(full.distortion)
    assert_close(float(part.loss), expected)
    late = annealed(model, samples, done=0.9, generator=source())
    assert late.loss == full.loss


def test_sharpness_reaches_the_gates():
    samples, _ = data()
    model = LinearGaussian()
    schedule = SharpnessSchedule((1.0, 4.0), rise=0.5, exact=0.1)
    objective = RateDistortionObjective(Gaussian(), BetaDraws(), None, schedule)
    for done in (0.0, 0.25, 0.95):
        objective(model, samples, done=done, generator=source())
    assert [call["sharpness"] for call in model.calls] == [1.0, 2.0, math.inf]


def test_objective_is_a_function_of_its_arguments():
    samples, _ = data()
    model = LinearGaussian(dtype=torch.float32)
    objective = RateDistortionObjective(Gaussian(), BetaDraws())
    first = objective(model, samples.float(), done=0.3, generator=source(5))
    again = objective(model, samples.float(), done=0.3, generator=source(5))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert model.calls[0]["noise"].dtype == torch.float32
    assert not any(term.requires_grad for term in first[1:])


def test_parameters_of_the_likelihood_are_trained():
    samples = torch.tensor(np.random.default_rng(0).integers(0, 4, (30, 5)) / 3)
    objective = RateDistortionObjective(DiscretisedLogistic(4), BetaDraws())
    assert [name for name, _ in objective.named_parameters()] == ["likelihood.log_scale"]
    terms = objective(LinearGaussian(), samples, done=0.5, generator=source())
    terms.loss.backward()
    assert abs(float(objective.likelihood.log_scale.grad)) > 0


def test_calibrated_gaussian_wants_one_beta_a_batch():
    samples, spectrum = data()
    for draw in ("example", "stratified"):
        with pytest.raises(ConfigError, match="calibrated"):
            RateDistortionObjective(CalibratedGaussian(), BetaDraws(draw=draw))
    objective = RateDistortionObjective(CalibratedGaussian(), BetaDraws(draw="batch"))
    model = LinearGaussian()
    model.variance.fill_(1e-20)  # no noise: the error is exact
    terms = objective(model, samples, done=0.5, generator=source())
    error = model.at(float(model.calls[-1]["beta"])).evaluate(spectrum, 1.0).squared_error
    want = 2.5 * math.log(2 * math.pi * math.e * error / 5)
    assert_close(float(terms.distortion), want, "difference")


def test_objective_of_an_experiment():
    config = ExperimentConfig().with_changes(
        likelihood={"kind": "bernoulli"},
        beta={"low": 0.1, "high": 4.0, "draw": "batch", "annealing": "cyclical", "cycles": 2},
        training={"sharpness": (1.0, 9.0)},
    )
    objective = objective_from(config)
    assert type(objective.likelihood).__name__ == "Bernoulli"
    assert objective.betas == BetaDraws((0.1, 4.0), "batch", 1.0)
    assert objective.annealing == Annealing("cyclical", 0.3, 2, 0.1 / 4.0)
    assert objective.sharpness == SharpnessSchedule((1.0, 9.0), 0.6, 0.1)
    with pytest.raises(ConfigError, match="calibrated"):
        objective_from(ExperimentConfig().with_changes(likelihood={"kind": "calibrated"}))


def test_expected_latents_are_the_average_over_sampled_ones():
    made = torch.Generator().manual_seed(3)
    model = MultiRateLinearVAE(5, 3, beta_range=(0.1, 4.0), generator=made, dtype=torch.float64)
    x = torch.randn(40, 5, generator=made, dtype=torch.float64)
    draws = BetaDraws((0.1, 4.0), "constant", 0.7)
    exact = RateDistortionObjective(Gaussian(0.3), draws, expected=True)
    sampled = RateDistortionObjective(Gaussian(0.3), draws)

    def loss(objective, seed):
        with torch.no_grad():
            return float(objective(model, x, done=0.5, generator=generator(seed, "test")).loss)

    want = loss(exact, 0)
    assert want == loss(exact, 1), "nothing is drawn"
    values = np.array([loss(sampled, seed) for seed in range(400)])
    assert abs(values.mean() - want) <= 5 * values.std(ddof=1) / 20


def test_expected_latents_need_a_gaussian():
    with pytest.raises(ConfigError, match="expected: got a Bernoulli likelihood"):
        RateDistortionObjective(Bernoulli(), BetaDraws((0.1, 4.0), "batch", 1.0), expected=True)
