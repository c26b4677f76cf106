"""The curve of a model, on linear Gaussian models with exact answers."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import linvae as lv
from deep.errors import DataError, DivergenceError, InputError
from deep.evaluation.curve import evaluate_curve
from deep.objectives.likelihoods import (
    Bernoulli,
    CalibratedGaussian,
    DiscretisedLogistic,
    Gaussian,
)
from tests.deep.oracle_networks import LinearGaussian, population
from tests.tolerances import assert_close, tolerance

BETAS = np.array([0.1, 1.0, 20.0])
NAMES = ("rate", "distortion", "squared_error", "objective")
VARIANCE = 0.5
ERRORS = tolerance("monte_carlo")


def data(count=700, seed=2):
    x = population().sample(count, np.random.default_rng(seed))
    return x, lv.Spectrum.from_samples(x)


def exact(model, spectrum, name, betas=BETAS, variance=VARIANCE):
    return np.array([getattr(model.at(b, variance).evaluate(spectrum, b), name) for b in betas])


def arrays(curve):
    return {name: value for name, value in vars(curve).items() if isinstance(value, np.ndarray)}


# The curve


def test_curve_on_its_samples_against_the_theory():
    samples, spectrum = data()
    model = LinearGaussian()
    curve = evaluate_curve(model, samples, BETAS, Gaussian(VARIANCE))
    assert_close(curve.rate, exact(model, spectrum, "rate"))  # no noise in it
    for name in ("distortion", "squared_error", "objective"):
        # On its own samples only the latents are random, and they are part of the standard error.
        error = np.abs(getattr(curve, name) - exact(model, spectrum, name))
        assert (error <= ERRORS * getattr(curve, f"{name}_se")).all()
    assert_close(curve.objective, curve.distortion + BETAS * curve.rate)
    constant = 2.5 * math.log(2 * math.pi * VARIANCE)
    assert_close(curve.distortion, constant + curve.squared_error / (2 * VARIANCE))
    assert (curve.n_samples, curve.n_features) == (700, 5)
    assert_close(curve.noise_variance, np.full(3, VARIANCE))


def test_without_noise_every_standard_error_is_that_of_numpy():
    """Exact at N = 3, where N and N − 1 are far apart, and over several blocks."""
    model = LinearGaussian()
    model.variance.fill_(1e-30)
    for count in (3, 1300):
        samples, spectrum = data(count)
        curve = evaluate_curve(model, samples, BETAS, Gaussian(VARIANCE))
        for name in NAMES:
            assert_close(getattr(curve, name), exact(model, spectrum, name))
        for i, beta in enumerate(BETAS):
            vae = model.at(beta, VARIANCE)
            mean, variance = vae.encode(samples), vae.posterior_variance
            rates = (mean**2 + variance - 1 - np.log(variance)).sum(1) / 2
            errors = ((samples - vae.decode(mean)) ** 2).sum(1)
            distortions = errors / (2 * VARIANCE)
            columns = (rates, distortions, errors, distortions + beta * rates)
            for name, column in zip(NAMES, columns, strict=True):
                want = column.std(ddof=1) / math.sqrt(count)
                assert_close(getattr(curve, f"{name}_se")[i], want)


REPEATS = 400


@pytest.fixture(scope="module")
def z_scores():
    """(estimate − population value) / standard error for fresh data and seeds, per quantity."""
    source, model = population(), LinearGaussian()
    truth = {name: exact(model, source, name) for name in NAMES}
    found = {draws: {name: [] for name in NAMES} for draws in (1, 4)}
    for draws, scores in found.items():
        for seed in range(REPEATS):
            samples = source.sample(300, np.random.default_rng([draws, seed]))
            curve = evaluate_curve(
                model, samples, BETAS, Gaussian(VARIANCE), seed=seed, noise_draws=draws
            )
            for name in NAMES:
                miss = getattr(curve, name) - truth[name]
                scores[name].append(miss / getattr(curve, f"{name}_se"))
    return {draws: {k: np.array(v) for k, v in s.items()} for draws, s in found.items()}


@pytest.mark.parametrize("draws", [1, 4])
@pytest.mark.parametrize("name", NAMES)
def test_standard_errors_are_honest(z_scores, name, draws):
    scores = z_scores[draws][name]  # shape: (repeats, B)
    # Quadratic forms are skewed: with 300 samples the average z is up to 0.1 below 0 by that alone.
    assert (np.abs(scores.mean(0)) <= ERRORS / math.sqrt(REPEATS) + 0.1).all()
    # A variance of REPEATS nearly normal numbers has standard error √(2/REPEATS) = 0.071.
    assert (np.abs(scores.var(0) - 1) <= ERRORS * math.sqrt(2 / REPEATS)).all()


def test_the_checks_of_standard_errors_would_notice_common_mistakes():
    """Leaving out how rate and distortion vary together would move the variance of z."""
    samples, _ = data(4000)
    curve = evaluate_curve(LinearGaussian(), samples, BETAS, Gaussian(VARIANCE))
    allowed = ERRORS * math.sqrt(2 / REPEATS)
    alone = curve.distortion_se**2 + (BETAS * curve.rate_se) ** 2
    assert np.abs(curve.objective_se**2 / alone - 1).max() > 1.1 * allowed


def test_draws_are_averaged_within_a_sample():
    """Latents dominate: with many draws the error shrinks to that of the samples alone."""
    model = LinearGaussian()
    model.encoder.zero_()
    samples = np.tile(population().mean, (400, 1))  # all alike: only the latents vary
    few, many = (
        evaluate_curve(model, samples, BETAS, Gaussian(), noise_draws=draws) for draws in (1, 16)
    )
    # A standard error from 400 skewed numbers is itself known to some 10 %.
    assert (np.abs(many.distortion_se * 4 / few.distortion_se - 1) < 0.5).all()
    assert_close(many.rate_se, np.zeros(3), scale=1.0)


def test_latents_have_the_posterior_variance_and_no_block_repeats_another():
    """Samples all alike and not read: what varies is the latents alone."""
    model = LinearGaussian()
    model.encoder.zero_()
    samples = np.tile(population().mean, (1024, 1))
    curve = evaluate_curve(model, samples, BETAS, Gaussian(VARIANCE), noise_draws=8)
    want = exact(model, lv.Spectrum.from_samples(samples), "squared_error")
    assert (curve.squared_error_se < 0.03 * want).all(), "sharp enough to tell c from c²"
    assert (np.abs(curve.squared_error - want) <= ERRORS * curve.squared_error_se).all()
    half = evaluate_curve(model, samples[:512], BETAS, Gaussian(VARIANCE), noise_draws=8)
    miss = np.abs(half.squared_error - curve.squared_error) / curve.squared_error_se
    assert (miss > 1e-3).all(), "a second block with the numbers of the first has its average"


def test_batches_do_not_change_the_result():
    samples, _ = data(530)
    model = LinearGaussian()
    wide, narrow = (
        evaluate_curve(model, samples, BETAS, Gaussian(), batch_size=size, noise_draws=2)
        for size in (100_000, 7)
    )
    for name, value in arrays(wide).items():
        assert_close(getattr(narrow, name), value)


def test_the_model_sees_bounded_batches():
    sizes = []

    class Watched(LinearGaussian):
        def encode(self, samples, beta, *, sharpness=math.inf):
            sizes.append(len(samples))
            assert torch.is_inference_mode_enabled()
            assert not self.training
            assert sharpness == math.inf
            return super().encode(samples, beta)

    samples, _ = data(530)
    evaluate_curve(Watched(), samples, BETAS, Gaussian(), batch_size=100)
    assert max(sizes) == 100
    assert sum(sizes) == 3 * 530, "one pass"


def test_seeds_and_common_noise():
    samples, _ = data(40)
    model = LinearGaussian()
    first = evaluate_curve(model, samples, [1.0, 1.0], Gaussian(), seed=3)
    again = evaluate_curve(model, samples, [1.0, 1.0], Gaussian(), seed=3)
    other = evaluate_curve(model, samples, [1.0, 1.0], Gaussian(), seed=4)
    assert np.array_equal(first.distortion, again.distortion)
    assert first.distortion[0] != other.distortion[0]
    assert_close(first.distortion[0], first.distortion[1])
    alone = evaluate_curve(model, samples, 1.0, Gaussian(), seed=3)
    assert alone.betas.shape == (1,)
    assert_close(alone.distortion[0], first.distortion[0])
    before = torch.get_rng_state()
    evaluate_curve(model, samples, 1.0, Gaussian())
    assert torch.equal(before, torch.get_rng_state()), "global state is left alone"


def test_float32_and_uint8():
    rng = np.random.default_rng(0)
    bytes_ = rng.integers(0, 256, (60, 5), dtype=np.uint8)
    model, single = LinearGaussian(), LinearGaussian(dtype=torch.float32)
    wide = evaluate_curve(model, bytes_ / 255, BETAS, Gaussian())
    for samples in (bytes_, torch.tensor(bytes_), (bytes_ / 255).astype(np.float32)):
        curve = evaluate_curve(single, samples, BETAS, Gaussian())
        for name, value in arrays(wide).items():
            assert getattr(curve, name).dtype == np.float64
            np.testing.assert_allclose(getattr(curve, name), value, rtol=1e-4)


def test_averages_of_float32_models_are_taken_in_float64():
    """A constant model on 40 000 equal samples: a float32 sum would be off by more than this."""
    model = LinearGaussian(dtype=torch.float32)
    model.variance.fill_(1e-30)
    samples = np.full((40_000, 5), 0.1, dtype=np.float32)
    few = evaluate_curve(model, samples[:2], 1.0, Gaussian())
    many = evaluate_curve(model, samples, 1.0, Gaussian())
    assert_close(many.distortion, few.distortion, scale=1e3)
    assert_close(many.distortion_se, np.zeros(1), "difference")


def test_images_and_likelihoods_with_parameters():
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 4, (50, 1, 2, 3)) / 3
    model = LinearGaussian(6, 2, shape=(1, 2, 3))
    for likelihood in (DiscretisedLogistic(4).double(), Bernoulli()):
        curve = evaluate_curve(model, samples, BETAS, likelihood, noise_draws=3)
        assert curve.noise_variance is None
        assert curve.n_features == 6
        x = torch.tensor(samples)
        totals, errors = [], []
        for seed in range(300):
            noise = torch.randn(50, 2, generator=torch.Generator().manual_seed(seed)).double()
            output = model(x, 1.0, noise=noise).output
            totals.append(float(likelihood(output, x).detach().mean()))
            errors.append(float((likelihood.mean(output) - x).square().flatten(1).sum(1).mean()))
        # 300 runs with other latents; their own error is small beside the curve's.
        assert abs(curve.distortion[1] - np.mean(totals)) <= ERRORS * curve.distortion_se[1]
        assert abs(curve.squared_error[1] - np.mean(errors)) <= ERRORS * curve.squared_error_se[1]
        assert np.std(totals) / math.sqrt(300) < curve.distortion_se[1] / 3


def test_modes_are_restored_even_after_an_error():
    model = torch.nn.Sequential(LinearGaussian())
    model.latent_dim = 2
    model.encode, model.decode = model[0].encode, model[0].decode
    model.train()
    model[0].eval()  # a frozen part stays frozen
    samples, _ = data(20)
    evaluate_curve(model, samples, 1.0, Gaussian())
    assert (model.training, model[0].training) == (True, False)
    with pytest.raises(InputError):
        evaluate_curve(model, samples * 100, 1.0, Bernoulli())
    assert (model.training, model[0].training) == (True, False)
    assert not torch.is_inference_mode_enabled()


def test_results_cannot_be_changed():
    samples, _ = data(20)
    curve = evaluate_curve(LinearGaussian(), samples, BETAS, Gaussian())
    with pytest.raises(ValueError, match="read-only"):
        curve.rate[0] = 0.0
    with pytest.raises(AttributeError):
        curve.rate = BETAS


# Calibrated


def test_calibrated_curve_has_one_variance_per_beta():
    samples, _ = data(400)
    model = LinearGaussian()
    curve = evaluate_curve(model, samples, BETAS, CalibratedGaussian())
    plain = evaluate_curve(model, samples, BETAS, Gaussian())
    assert_close(curve.squared_error, plain.squared_error)
    assert_close(curve.noise_variance, plain.squared_error / 5)
    assert_close(curve.distortion, 2.5 * np.log(2 * math.pi * math.e * plain.squared_error / 5))
    for i, variance in enumerate(curve.noise_variance):
        fixed = evaluate_curve(model, samples, BETAS[i], Gaussian(variance))
        for name in (*NAMES, *(f"{n}_se" for n in NAMES)):
            assert_close(getattr(curve, name)[i], getattr(fixed, name)[0])
    tiny = evaluate_curve(model, samples, BETAS, CalibratedGaussian(floor=1e6))
    assert_close(tiny.noise_variance, np.full(3, 1e6))
    one_by_one = evaluate_curve(model, samples, BETAS, CalibratedGaussian(), batch_size=1)
    assert_close(one_by_one.distortion, curve.distortion)


def test_variance_of_the_training_set_on_held_out_data():
    model = LinearGaussian()
    train, _ = data(400, seed=5)
    test, _ = data(400, seed=6)
    fitted = evaluate_curve(model, train, BETAS, CalibratedGaussian())
    held_out = evaluate_curve(
        model, test, BETAS, CalibratedGaussian(), noise_variance=fitted.noise_variance
    )
    own = evaluate_curve(model, test, BETAS, CalibratedGaussian())
    assert_close(held_out.noise_variance, fitted.noise_variance)
    for i, variance in enumerate(fitted.noise_variance):
        fixed = evaluate_curve(model, test, BETAS[i], Gaussian(variance))
        for name in ("distortion", "objective", "distortion_se", "objective_se"):
            assert_close(getattr(held_out, name)[i], getattr(fixed, name)[0])
    assert (held_out.distortion > own.distortion).all(), "fitting σ² to the test data flatters"
    for bad in ([1.0, 2.0], 0.0, [1.0, math.nan, 1.0]):
        with pytest.raises(InputError, match="noise_variance"):
            evaluate_curve(model, test, BETAS, CalibratedGaussian(), noise_variance=bad)
    with pytest.raises(InputError, match="only a calibrated"):
        evaluate_curve(model, test, BETAS, Gaussian(), noise_variance=1.0)


def test_calibrated_standard_errors_are_honest():
    """The fitted σ² is random too; to first order that does not count, as it is at its optimum."""
    source, model = population(), LinearGaussian()
    error = exact(model, source, "squared_error")
    want = 2.5 * np.log(2 * math.pi * math.e * error / 5)
    scores = []
    for seed in range(REPEATS):
        samples = source.sample(300, np.random.default_rng([9, seed]))
        curve = evaluate_curve(model, samples, BETAS, CalibratedGaussian(), seed=seed)
        scores.append((curve.distortion - want) / curve.distortion_se)
    allowed = ERRORS * math.sqrt(2 / REPEATS)
    assert (np.abs(np.var(scores, axis=0) - 1) <= allowed).all()


# What is refused


@pytest.mark.parametrize("bad", [[], 0.0, [-1.0], [1.0, math.nan], [math.inf], [[1.0]]])
def test_betas_that_are_none(bad):
    with pytest.raises(InputError, match="betas: got"):
        evaluate_curve(LinearGaussian(), data(9)[0], bad, Gaussian())


def test_samples_and_counts_that_cannot_be():
    model = LinearGaussian()
    samples, _ = data(9)
    with pytest.raises(DataError, match="N >= 2"):
        evaluate_curve(model, samples[:1], 1.0, Gaussian())
    with pytest.raises(DataError, match="not finite"):
        evaluate_curve(model, np.where(samples == samples[3, 2], np.nan, samples), 1.0, Gaussian())
    for name in ("noise_draws", "batch_size"):
        with pytest.raises(InputError, match=name):
            evaluate_curve(model, samples, 1.0, Gaussian(), **{name: 0})


def test_a_diverged_model_is_named():
    model = LinearGaussian()
    model.decoder[0, 0] = math.nan
    samples, _ = data(9)
    with pytest.raises(DivergenceError, match=r"evaluate_curve: .* β = 0\.1"):
        evaluate_curve(model, samples, BETAS, Gaussian())
