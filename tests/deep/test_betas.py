"""Draws of β, annealing and sharpness."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

torch = pytest.importorskip("torch")

from deep.config import BetaConfig, ExperimentConfig, TrainingConfig
from deep.errors import InputError
from deep.networks.build import network_from
from deep.objectives.betas import (
    Annealing,
    BetaDraws,
    cyclical,
    geometric,
    linear,
)
from deep.objectives.elbo import (
    RateDistortionObjective,
    SharpnessSchedule,
)
from deep.objectives.likelihoods import (
    Bernoulli,
)
from deep.objectives.rate import rate
from tests.tolerances import assert_close, tolerance

RANGE = (0.05, 20.0)
DRAWS = ["batch", "example", "stratified"]
ERRORS = tolerance("monte_carlo")
# Chance that a Kolmogorov-Smirnov test fails at a correct implementation; the seeds are fixed.
KS_LEVEL = 1e-4


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def places(betas):
    """Where in the range of log β, from 0 to 1."""
    low, high = np.log(RANGE)
    return (np.log(np.asarray(betas, dtype=np.float64)) - low) / (high - low)


# β's


@pytest.mark.parametrize("draw", DRAWS)
def test_betas_are_log_uniform(draw):
    draws = BetaDraws(RANGE, draw)
    # One β of each of many batches: those of one stratified batch are not independent.
    got = [np.ravel(draws(7, source(seed), torch.float64))[-1] for seed in range(800)]
    assert stats.kstest(places(got), "uniform").pvalue > KS_LEVEL


@pytest.mark.parametrize("draw", DRAWS)
def test_shape_range_and_repeatability(draw):
    draws = BetaDraws(RANGE, draw)
    got = draws(9, source(3))
    assert got.shape == (() if draw == "batch" else (9,))
    assert got.dtype == torch.float32
    assert torch.equal(got, draws(9, source(3)))
    assert not torch.equal(got, draws(9, source(4)))
    many = np.ravel(BetaDraws(RANGE, draw)(4000, source(), torch.float64))
    assert (many >= RANGE[0]).all()
    assert (many <= RANGE[1]).all()


def test_a_tilt_weighs_the_losses_and_nothing_else():
    betas = torch.tensor([0.05, 1.0, 20.0], dtype=torch.float64)  # √(0.05 · 20) = 1
    for tilt in (0.3, -0.3):
        got = BetaDraws(RANGE, tilt=tilt).weight(betas)
        assert_close(got.numpy(), betas.numpy() ** -tilt)
        alone = BetaDraws(RANGE, "constant", tilt=tilt)
        assert alone.weight(betas) == 1.0, "one β alone has nothing to be weighed against"
        assert torch.equal(BetaDraws(RANGE, tilt=tilt)(5, source()), BetaDraws(RANGE)(5, source()))
    assert BetaDraws(RANGE).weight(betas) == 1.0


def test_a_tilted_loss_is_the_weighted_mean_of_the_losses_of_its_betas():
    samples = torch.rand(6, 1, 28, 28, generator=source(), dtype=torch.float64).round()
    config = {"model": {"kind": "conv", "latent_dim": 2, "channels": (2,)}}
    settings = ExperimentConfig.model_validate(config)
    network = network_from(settings.model, (1, 28, 28), generator=source(1), beta_range=RANGE,
                           dtype=torch.float64)  # fmt: skip
    network.eval()
    draws = BetaDraws(RANGE, "example", tilt=0.4)
    terms = RateDistortionObjective(Bernoulli(), draws)(
        network, samples, done=0.5, generator=source(2)
    )
    again = source(2)
    betas = draws(6, again, torch.float64)
    noise = torch.randn(6, 2, generator=again, dtype=torch.float64)
    mean, log_variance, output = network(samples, betas, noise=noise)
    losses = Bernoulli().distortion(output, samples) + betas * rate(mean, log_variance)
    want = float((betas**-0.4 * losses).detach().mean())
    assert_close(float(terms.loss.detach()), want)
    assert_close(float(terms.beta.mean()), float(betas.mean()))


def test_betas_per_example_are_independent():
    got = places(BetaDraws(RANGE, "example")(20_000, source()))
    assert stats.kstest(got, "uniform").pvalue > KS_LEVEL
    correlation = np.corrcoef(got[:-1], got[1:])[0, 1]
    assert abs(correlation) <= ERRORS / math.sqrt(len(got))
    occupied = len(np.unique(np.floor(got * 20_000)))
    assert occupied < 14_000, "as many parts occupied as if stratified"


def test_stratified_takes_one_of_each_part_in_random_order():
    draws, count = BetaDraws(RANGE, "stratified"), 16
    orders = []
    for seed in range(200):
        got = places(draws(count, source(seed), torch.float64))
        assert (np.sort(np.floor(got * count)) == np.arange(count)).all()
        inside = got * count - np.floor(got * count)
        assert inside.std() > 0.1, "random within the parts"
        orders.append(np.argsort(got))
    position = np.arange(count)
    correlations = [np.corrcoef(position, order)[0, 1] for order in orders]
    # The rank correlation of a random order has variance 1/(count − 1).
    assert abs(np.mean(correlations)) <= ERRORS / math.sqrt((count - 1) * len(orders))
    assert_close(np.var(correlations) * (count - 1), 1.0, "monte_carlo", scale=math.sqrt(2 / 200))


def test_several_betas_for_each_sample_are_one_from_each_part_of_the_range():
    draws, count = BetaDraws(RANGE, "stratified", per_sample=3), 8
    for seed in range(50):
        got = places(draws(count, source(seed), torch.float64))
        assert (np.sort(np.floor(got * 24)) == np.arange(24)).all()
        # Rows are those of the copies, columns of the samples.
        assert (np.floor(got.reshape(3, count) * 3) == np.arange(3)[:, None]).all()
    free = places(BetaDraws(RANGE, "example", per_sample=3)(8, source(), torch.float64))
    assert free.shape == (24,)
    assert len(set(free)) == 24
    alone = BetaDraws(draw="constant", per_sample=3)
    samples = torch.arange(4.0)
    assert alone.copies(samples) is samples
    assert alone(4, source()).shape == ()
    assert torch.equal(draws.copies(samples), samples.repeat(3))


def test_constant_and_configured_draws():
    got = BetaDraws(draw="constant", value=0.7)(5, source())
    assert got.shape == ()
    assert float(got) == pytest.approx(0.7)
    config = BetaConfig(low=0.1, high=2.0, draw="example", value=3.0, tilt=0.1, per_sample=2)
    assert BetaDraws.of(config) == BetaDraws((0.1, 2.0), "example", 3.0, 0.1, 2)


def test_draws_refuse_nonsense():
    with pytest.raises(InputError, match="beta_range"):
        BetaDraws((1.0, 0.5))
    with pytest.raises(InputError, match="value"):
        BetaDraws(value=0.0)
    with pytest.raises(InputError, match="draw: got 'all'"):
        BetaDraws(draw="all")
    with pytest.raises(InputError, match="per_sample: got 0"):
        BetaDraws(per_sample=0)
    with pytest.raises(InputError, match="per_sample: got 2 with draw 'batch'"):
        BetaDraws(draw="batch", per_sample=2)


# Annealing and sharpness


def test_linear_annealing():
    assert [linear(t, part=0.4) for t in (0.0, 0.1, 0.2, 0.4, 0.7, 1.0)] == [
        0.0, 0.25, 0.5, 1.0, 1.0, 1.0,
    ]  # fmt: skip


def test_cyclical_annealing_rises_and_holds_in_each_cycle():
    def at(t):
        return cyclical(t, part=0.5, cycles=4)

    assert [at(t) for t in (0.0, 0.0625, 0.125, 0.2, 0.25, 0.3125, 0.9, 1.0)] == [
        0.0, 0.5, 1.0, 1.0, 0.0, 0.5, 1.0, 1.0,
    ]  # fmt: skip
    many = np.array([at(t) for t in np.linspace(0, 1, 4001)])
    assert_close(many.mean(), 0.75, "difference", scale=1e3)
    assert (np.diff(many) < -0.9).sum() == 3, "drops between cycles"


def test_geometric_annealing_runs_by_equal_factors():
    values = [geometric(t, part=0.5, start=0.01) for t in (0.0, 0.125, 0.25, 0.375, 0.5, 0.9)]
    assert_close(values, [0.01, 10**-1.5, 0.1, 10**-0.5, 1.0, 1.0])


def test_annealing_of_a_configuration():
    config = BetaConfig(low=0.1, high=10, annealing="geometric", annealing_part=0.2, cycles=3)
    assert Annealing.of(config) == Annealing("geometric", 0.2, 3, 0.01)
    for kind, want in {"none": 1.0, "linear": 0.5, "cyclical": 1.0, "geometric": 0.1}.items():
        assert_close(Annealing(kind, 0.2, 3, 0.01)(0.1), want)
    assert Annealing()(0.0) == 1.0


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
def test_annealing_refuses_what_is_no_part(bad):
    for kind in ("none", "linear", "cyclical", "geometric"):
        with pytest.raises(InputError, match="done: got"):
            Annealing(kind)(bad)
    with pytest.raises(InputError, match="part: got"):
        Annealing("linear", bad)
    with pytest.raises(InputError, match="kind"):
        Annealing("quadratic")
    with pytest.raises(InputError, match="cycles"):
        Annealing("cyclical", cycles=0)


def test_sharpness_rises_and_ends_exact():
    at = SharpnessSchedule((1.0, 16.0), rise=0.5, exact=0.2)
    assert_close([at(t) for t in (0.0, 0.125, 0.25, 0.5, 0.79)], [1.0, 2.0, 4.0, 16.0, 16.0])
    assert at(0.8) == at(1.0) == math.inf
    assert SharpnessSchedule()(0.0) == math.inf
    assert SharpnessSchedule((1.0, 16.0), exact=0.0)(0.999) == 16.0
    config = TrainingConfig(sharpness=(2.0, 8.0), rise=0.3, exact=0.0)
    assert SharpnessSchedule.of(config) == SharpnessSchedule((2.0, 8.0), 0.3, 0.0)
    with pytest.raises(InputError, match="sharpness"):
        SharpnessSchedule((0.0, 1.0))
    with pytest.raises(InputError, match="sharpness"):
        SharpnessSchedule((1.0, 2.0), rise=0.0)
