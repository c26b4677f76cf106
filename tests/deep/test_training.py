"""Training and the demo: the excess falls, runs repeat to the bit, nothing global changes."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import linvae as lv
from deep import demo
from deep.comparison.linear import compare, write_out
from deep.networks.linear import MultiRateLinearVAE
from deep.networks.linear_parts import whitening
from deep.training.exact import Schedule, polish, threads, train_linear

RANGE = (0.1, 20.0)
VARIANCE = 1.0
SHORT = Schedule(steps=300, nodes=16, polish=30)


def samples():
    rng = np.random.default_rng(11)
    return rng.standard_normal((300, 5)) * np.sqrt([9.0, 4.0, 1.5, 0.2, 0.1]) + 3.0


def run(x=None, latent_dim=3, variance=VARIANCE, **options):
    x = samples() if x is None else x
    data = lv.Spectrum.from_samples(x)
    curve = lv.Frontier(data, latent_dim=latent_dim, noise_variance=variance)
    options = {"schedule": SHORT, "beta_range": RANGE, "frontier": curve, **options}
    return demo.run(x, latent_dim=latent_dim, noise_variance=variance, spectrum=data, **options)


def test_training_closes_the_gap():
    start = run(schedule=Schedule(steps=1, polish=0))
    result = run()
    assert start.excess_nats[:5].min() > 1
    assert (result.excess_nats >= -1e-9).all()  # the optimum is one
    assert np.where(result.in_nats, 0, result.normalised_excess).max() < 0.005
    assert result.excess_nats[result.in_nats].max() < 0.01
    assert any("misses the aim" in line for line in start.lines)


@pytest.mark.slow
def test_demo_on_digits_comes_close_to_the_optimum():
    from sklearn.datasets import load_digits

    x = load_digits().data
    values = lv.Spectrum.from_samples(x).eigenvalues
    result = run(x, 16, float(values[16:].mean()), beta_range=(1.0, 100.0), schedule=None)
    assert result.in_nats.any()
    assert not result.in_nats.all()
    # Measured: at most 0.1 % and 0.03 nats.
    assert np.where(result.in_nats, 0, result.normalised_excess).max() <= 0.01
    assert result.excess_nats.max() <= 0.1


def test_result_is_consistent():
    result = run(schedule=Schedule(steps=50, polish=0))
    assert result.betas.shape == (10,)
    np.testing.assert_allclose(result.betas[[0, -1]], RANGE, rtol=1e-12)
    for name in ("rate", "distortion", "squared_error", "objective", "optimum", "excess_nats"):
        values = getattr(result, name)
        assert values.shape == (10,)
        assert values.dtype == np.float64
    np.testing.assert_allclose(
        result.objective, result.distortion + result.betas * result.rate, rtol=1e-12
    )
    np.testing.assert_allclose(result.excess_nats, result.objective - result.optimum, atol=1e-10)
    error = 2 * VARIANCE * (result.distortion - 2.5 * math.log(2 * math.pi * VARIANCE))
    np.testing.assert_allclose(result.squared_error, error, rtol=1e-10)
    assert result.in_nats.dtype == bool
    assert result.seconds > 0
    assert "3 latents" in result.title
    assert all(line.endswith(".") for line in result.lines)


def test_same_seed_same_bits_and_other_seed_other_bits():
    short = Schedule(steps=60, polish=0)
    first, again = run(schedule=short, seed=4), run(schedule=short, seed=4)
    other = run(schedule=short, seed=5)
    assert first.objective.tobytes() == again.objective.tobytes()
    assert first.objective.tobytes() != other.objective.tobytes()


def test_global_state_is_left_alone():
    before = torch.random.get_rng_state(), torch.get_num_threads()
    run(schedule=Schedule(steps=3, polish=0))
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert torch.get_num_threads() == before[1]


def test_threads_are_restored_after_an_error():
    before = torch.get_num_threads()
    inside = []

    def fail():
        inside.append(torch.get_num_threads())
        raise KeyError

    with pytest.raises(KeyError), threads(before + 1):
        fail()
    assert inside == [before + 1]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("steps", [7, 250])
def test_progress_ends_at_the_total(steps):
    seen = []
    run(
        schedule=Schedule(steps=steps, polish=0),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (steps, steps)
    assert seen == sorted(set(seen))
    assert len(seen) <= 130


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_data_without_variance_are_no_obstacle(value):
    result = run(np.full((4, 3), value), 2, schedule=Schedule(steps=50, polish=0))
    assert result.in_nats.all()
    assert np.isfinite(result.excess_nats).all()


def test_latents_as_many_as_features_and_a_single_one():
    for k in (1, 5):
        result = run(latent_dim=k, schedule=Schedule(steps=300, polish=0))
        assert np.isfinite(result.objective).all()
        assert (result.excess_nats >= -1e-9).all()


def network(**options):
    generator = torch.Generator().manual_seed(0)
    return MultiRateLinearVAE(5, 3, beta_range=RANGE, generator=generator, **options)


def covariance_of(x):
    centred = torch.tensor(x - x.mean(0))
    return centred.mT @ centred / len(x)


@pytest.mark.parametrize("stratified", [False, True])
def test_all_parameters_move_but_the_slopes_of_feature_gates(stratified):
    model = network()
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    plan = Schedule(steps=20, nodes=8, stratified=stratified, polish=0)
    losses = train_linear(model, covariance_of(samples()), noise_variance=1.0, schedule=plan,
                          generator=torch.Generator().manual_seed(1))  # fmt: skip
    assert len(losses) == 20
    assert np.isfinite(losses).all()
    still = {n for n, p in model.named_parameters() if torch.equal(start[n], p)}
    assert still == {"encoder_1.gates.slope", "decoder_2.gates.slope"}
    assert all(p.requires_grad for p in model.parameters())


def test_slopes_of_feature_gates_that_are_in_use_are_trained():
    model = network()
    with torch.no_grad():
        for slope in model.feature_slopes:
            slope.fill_(0.1)
    train_linear(model, covariance_of(samples()), noise_variance=1.0,
                 schedule=Schedule(steps=3, nodes=8, polish=0))  # fmt: skip
    assert not any((slope == 0.1).any() for slope in model.feature_slopes)


def perturbed_optimum(data, size):
    """The exact parameters, each multiplied by 1 + size times a standard normal draw."""
    model = network(
        mean=torch.tensor(data.mean), whitening=whitening(torch.tensor(data.covariance))
    )
    write_out(model, lv.Hypernetwork.exact(data, latent_dim=3, noise_variance=VARIANCE))
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1 + size * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return model


def test_polish_returns_to_the_optimum_at_every_beta():
    data = lv.Spectrum.from_samples(samples())
    curve = lv.Frontier(data, latent_dim=3, noise_variance=VARIANCE)
    critical = curve.critical_betas[curve.critical_betas < RANGE[1]]
    betas = np.sort(np.concatenate([np.geomspace(*RANGE, 200), critical, 0.99 * critical]))
    model = perturbed_optimum(data, 0.01)
    before = compare(model, betas, spectrum=data, frontier=curve)
    reached = polish(model, torch.tensor(data.covariance), noise_variance=VARIANCE)
    after = compare(model, betas, spectrum=data, frontier=curve)
    assert before.excess_nats.max() > 1e-3
    assert after.excess_nats.max() < 1e-4
    assert after.excess_nats.min() > -1e-10
    assert reached == pytest.approx(after.objective.mean(), rel=0.05)


def test_schedule():
    plan = Schedule(steps=100)
    rates = [plan.rate_at(i) for i in range(100)]
    assert 0 < rates[0] < rates[4] <= 1
    assert rates[-1] < 1e-3
    sharpness = [plan.sharpness_at(i) for i in range(100)]
    assert sharpness == sorted(sharpness)
    assert sharpness[0] == 1
    assert sharpness[89] == pytest.approx(50)
    assert sharpness[90:] == [math.inf] * 10
    weights = [plan.weight_at(i, (1.0, 100.0)) for i in range(100)]
    assert weights[0] == pytest.approx(0.01)
    assert weights[10] == pytest.approx(0.1)
    assert weights[20:] == [1.0] * 80
    assert Schedule(warm=0.0).weight_at(0, RANGE) == 1


@pytest.mark.parametrize("options", [{"steps": 0, "polish": 0}, {"nodes": 0}, {"steps": -1}])
def test_empty_schedule_is_refused(options):
    with pytest.raises(ValueError, match="schedule: got"):
        Schedule(**options)


def test_bad_input_is_refused():
    data = lv.Spectrum.from_samples(samples())
    other = lv.Frontier(data, latent_dim=2, noise_variance=VARIANCE)
    with pytest.raises(ValueError, match="frontier: got one for k = 2"):
        run(frontier=other)
    with pytest.raises(ValueError, match="beta_range: got"):
        run(beta_range=(2.0, 1.0))
    good = lv.Frontier(data, latent_dim=3, noise_variance=VARIANCE)
    for bad in (samples()[:, :4], samples()[0]):
        with pytest.raises(ValueError, match="samples: got shape"):
            demo.run(bad, latent_dim=3, noise_variance=VARIANCE, beta_range=RANGE, spectrum=data,
                     frontier=good)  # fmt: skip


def test_training_refuses_a_bad_problem():
    model, covariance = network(), torch.eye(5, dtype=torch.float64)
    for variance in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="noise_variance: got"):
            train_linear(model, covariance, noise_variance=variance)
    with pytest.raises(ValueError, match=r"covariance: got shape \(4, 4\); expected \(5, 5\)"):
        train_linear(model, covariance[:4, :4], noise_variance=1.0)
    with pytest.raises(ValueError, match="generator: got None"):
        train_linear(model, covariance, noise_variance=1.0, schedule=Schedule(stratified=True))
