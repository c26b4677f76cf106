"""Likelihood, active units, area and search, on linear Gaussian models with exact answers."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import linvae as lv
from deep.errors import InputError
from deep.evaluation.curve import evaluate_curve
from deep.evaluation.curves import area_under_curve, psnr
from deep.evaluation.importance import importance_weighted_nll
from deep.evaluation.latents import active_units
from deep.evaluation.search import find_beta
from deep.objectives.likelihoods import (
    CalibratedGaussian,
    Gaussian,
)
from tests.deep.oracle_networks import LinearGaussian, population
from tests.tolerances import assert_close, tolerance

BETAS = np.array([0.1, 1.0, 20.0])
VARIANCE = 0.5
ERRORS = tolerance("monte_carlo")


def data(count=700, seed=2):
    x = population().sample(count, np.random.default_rng(seed))
    return x, lv.Spectrum.from_samples(x)


def exact(model, spectrum, name, betas=BETAS, variance=VARIANCE):
    return np.array([getattr(model.at(b, variance).evaluate(spectrum, b), name) for b in betas])


# Importance-weighted likelihood


def exact_nll(model, samples, beta):
    """−log p(x) of each sample: the marginal of a linear Gaussian model is normal."""
    vae = model.at(beta, VARIANCE)
    covariance = vae.decoder @ vae.decoder.T + VARIANCE * np.eye(5)
    centred = samples - vae.decoder_offset
    solved = np.linalg.solve(covariance, centred.T).T
    return ((centred * solved).sum(1) + np.linalg.slogdet(2 * math.pi * covariance)[1]) / 2


class TrueLinear(LinearGaussian):
    """Decoder with orthogonal columns; the encoder is its true posterior, whatever β."""

    def __init__(self):
        super().__init__()
        columns = np.linalg.qr(self.decoder.numpy())[0] * [1.3, 0.6]
        self.decoder.copy_(torch.tensor(columns))

    def encode(self, samples, beta, *, sharpness=math.inf):
        columns = self._power(beta, "decoder")[:, :, None] * self.decoder
        variance = VARIANCE / (columns.square().sum(1) + VARIANCE)
        read = ((samples - self.decoder_offset)[:, :, None] * columns).sum(1)
        return variance * read / VARIANCE, torch.log(variance)


@pytest.mark.parametrize("n_importance", [1, 3, 50])
def test_true_posteriors_give_the_likelihood_of_every_sample(n_importance):
    samples, spectrum = data(40)
    model = TrueLinear()
    result = importance_weighted_nll(
        model, samples, BETAS, Gaussian(VARIANCE), n_importance=n_importance
    )
    for i, beta in enumerate(BETAS):
        want = exact_nll(model, samples, beta)
        assert_close(result.nll[i], want.mean())
        assert_close(result.nll_se[i], want.std(ddof=1) / math.sqrt(40))
        assert_close(want.mean(), -model.at(beta, VARIANCE).log_likelihood(spectrum))
    assert (result.n_importance, result.n_samples) == (n_importance, 40)


def test_one_importance_sample_is_the_negative_elbo():
    samples, spectrum = data(4000)
    model = LinearGaussian()
    result = importance_weighted_nll(model, samples, BETAS, Gaussian(VARIANCE), n_importance=1)
    want = exact(model, spectrum, "distortion") + exact(model, spectrum, "rate")
    assert (np.abs(result.nll - want) <= ERRORS * result.nll_se).all()


def test_two_importance_samples_against_quadrature():
    """One latent: the expectation over two latents is an integral over the plane."""
    model = LinearGaussian(5, 1, seed=4)
    samples, _ = data(3)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    x = torch.tensor(samples)
    logs = []
    for node in nodes:
        mean, log_variance, output = model(x, 1.0, noise=torch.full((3, 1), node).double())
        z = mean + torch.exp(log_variance / 2) * node
        ratio = (node**2 + log_variance - z.square()).sum(1) / 2
        logs.append((ratio - Gaussian(VARIANCE)(output, x)).numpy())
    pair = np.logaddexp(np.array(logs)[:, None], np.array(logs)[None]) - math.log(2)
    want = -np.einsum("i,j,ijn->n", weights, weights, pair).mean()
    got = [
        importance_weighted_nll(
            model, samples, 1.0, Gaussian(VARIANCE), n_importance=2, seed=seed
        ).nll[0]
        for seed in range(800)
    ]
    error = np.std(got, ddof=1) / math.sqrt(len(got))
    assert abs(np.mean(got) - want) <= ERRORS * error


def test_bound_tightens_towards_the_likelihood():
    samples, spectrum = data(300)
    model = LinearGaussian()
    truth = -model.at(1.0, VARIANCE).log_likelihood(spectrum)
    values = []
    for count in (1, 10, 100, 4000):
        result = importance_weighted_nll(
            model, samples, 1.0, Gaussian(VARIANCE), n_importance=count, batch_size=20_000
        )
        values.append(result.nll[0])
    assert np.all(np.diff(values) < 0)
    assert values[0] - truth > 1.0
    assert -0.01 < values[-1] - truth < 0.05 * (values[0] - truth)


def test_importance_batches_do_not_change_the_result():
    samples, _ = data(530)
    wide, narrow = (
        importance_weighted_nll(
            LinearGaussian(), samples, BETAS, Gaussian(), n_importance=5, batch_size=size
        )
        for size in (100_000, 97)
    )
    assert_close(narrow.nll, wide.nll)
    with pytest.raises(InputError, match="calibrated"):
        importance_weighted_nll(LinearGaussian(), samples, 1.0, CalibratedGaussian())


# Latents


def test_active_units_are_counted_by_the_variance_of_their_means():
    samples, spectrum = data(1300)
    model = LinearGaussian(5, 3)
    model.encoder[1] *= 1e-3
    result = active_units(model, samples, BETAS)
    for i, beta in enumerate(BETAS):
        encoder = model.at(beta).encoder
        assert_close(result.variance[i], np.diag(encoder @ spectrum.covariance @ encoder.T))
    assert result.count.tolist() == [2, 2, 2]
    middle = float(np.sort(result.variance[1])[1:].mean())
    assert active_units(model, samples, 1.0, threshold=middle).count.tolist() == [1]
    with pytest.raises(InputError, match="threshold"):
        active_units(model, samples, 1.0, threshold=0.0)


# Numbers made from curves


def test_psnr():
    image, other = np.random.default_rng(0).uniform(size=(2, 8, 8))
    error = ((image - other) ** 2).sum()
    want = 10 * math.log10(1 / ((image - other) ** 2).mean())
    assert_close(psnr(error, 64, data_range=1.0), want)
    assert_close(psnr(error * 255**2, 64, data_range=255), want)
    assert psnr([0.0, 64.0], 64, data_range=1.0).tolist() == [math.inf, 0.0]
    for bad in ((-1.0, 64, 1.0), (1.0, 0, 1.0), (1.0, 64, 0.0)):
        with pytest.raises(InputError):
            psnr(bad[0], bad[1], data_range=bad[2])


def test_area_under_curve():
    rate, distortion = np.array([3.0, 0.0, 1.0]), np.array([1.0, 6.0, 3.0])
    assert_close(area_under_curve(rate, distortion, interval=(0.0, 3.0)), 4.5 + 4.0)
    assert_close(area_under_curve(rate, distortion, interval=(0.5, 2.0)), 0.5 * 3.75 + 2.5)
    assert_close(area_under_curve(rate, distortion, interval=(1.2, 1.4)), 0.2 * 2.7)
    dense = np.linspace(0, 4, 4001)
    area = area_under_curve(dense, np.exp(-dense), interval=(1.0, 2.0))
    assert_close(area, math.exp(-1) - math.exp(-2), "difference")


@pytest.mark.parametrize("interval", [(-0.1, 1.0), (0.0, 3.1), (1.0, 1.0), (2.0, 1.0)])
def test_area_refuses_what_the_curve_does_not_cover(interval):
    with pytest.raises(InputError, match="interval: got"):
        area_under_curve([0.0, 3.0], [1.0, 0.0], interval=interval)


def test_area_refuses_what_is_no_curve():
    for rate, distortion in (([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([1.0, math.nan], [1.0, 2.0])):
        with pytest.raises(InputError, match="rate: got"):
            area_under_curve(rate, distortion, interval=(0.0, 1.0))


# The β for a wanted rate


def test_find_beta_for_a_rate():
    samples, spectrum = data()
    model = LinearGaussian()
    wanted = model.at(0.37).evaluate(spectrum, 0.37).rate
    found = find_beta(model, samples, Gaussian(), beta_range=(0.01, 10.0), rate=wanted)
    assert found.beta == pytest.approx(0.37, rel=1e-5)
    assert found.curve.rate[0] == pytest.approx(wanted, rel=1e-5)
    assert found.crossings == 1
    low, high = found.reachable
    assert low < wanted < high


def test_find_beta_for_a_distortion():
    samples, _ = data(300)
    model = LinearGaussian()
    curve = evaluate_curve(model, samples, [0.02, 2.0], Gaussian(), seed=5, noise_draws=2)
    for beta, wanted in zip(curve.betas, curve.distortion, strict=True):
        found = find_beta(
            model, samples, Gaussian(), beta_range=(0.01, 0.3) if beta < 1 else (0.9, 10.0),
            distortion=wanted, seed=5, noise_draws=2,
        )  # fmt: skip
        assert found.curve.distortion[0] == pytest.approx(wanted, rel=1e-6)
        assert found.beta == pytest.approx(beta, rel=1e-4) or found.crossings > 1


def test_find_beta_returns_the_first_of_several():
    class Wavy(LinearGaussian):
        def encode(self, samples, beta, *, sharpness=math.inf):
            mean, log_variance = super().encode(samples, 1.0)
            wave = torch.sin(2 * torch.as_tensor(beta).log()).reshape(-1, 1)
            return mean * (2 + wave), log_variance

    samples, _ = data(100)
    found = find_beta(
        Wavy(), samples, Gaussian(), beta_range=(math.exp(-3), math.exp(3)), points=40,
        rate=float(evaluate_curve(Wavy(), samples, 1.0, Gaussian()).rate[0]),
    )  # fmt: skip
    assert found.crossings == 3  # at log β = −π/2, 0, π/2
    assert found.beta == pytest.approx(math.exp(-math.pi / 2), rel=1e-4)


def test_find_beta_at_the_end_of_the_range():
    samples, _ = data(100)
    model = LinearGaussian()
    for end in (0.1, 3.0):
        wanted = float(evaluate_curve(model, samples, end, Gaussian()).rate[0])
        curve = evaluate_curve(model, samples, np.geomspace(0.1, 3.0, 16), Gaussian())
        wanted = float(np.clip(wanted, curve.rate.min(), curve.rate.max()))
        found = find_beta(model, samples, Gaussian(), beta_range=(0.1, 3.0), rate=wanted)
        assert found.beta == pytest.approx(end, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_beta_is_not_rounded_to_a_narrow_dtype(dtype):
    """bfloat16 has 3 digits: 0.1 would become 0.1001."""
    seen = []

    class Watched(LinearGaussian):
        def encode(self, samples, beta, **options):
            seen.append(beta)
            assert samples.dtype == dtype
            return super().encode(samples, beta, **options)

        def decode(self, latents, beta, **options):
            seen.append(beta)
            return super().decode(latents, beta, **options)

    model, (samples, _) = Watched(dtype=dtype), data(20)
    evaluate_curve(model, samples, 0.1, Gaussian(VARIANCE))
    active_units(model, samples, 0.1)
    importance_weighted_nll(model, samples, 0.1, Gaussian(VARIANCE), n_importance=2)
    want = torch.tensor(0.1, dtype=torch.promote_types(dtype, torch.float32))
    assert len(seen) >= 5
    assert all(beta.dtype == want.dtype and (beta == want).all() for beta in seen)


def test_find_beta_names_what_can_be_reached():
    samples, _ = data(100)
    model = LinearGaussian()
    rates = evaluate_curve(model, samples, np.geomspace(0.01, 10.0, 16), Gaussian()).rate
    reach = re.escape(f"[{rates.min():.4g}"[:-1])
    with pytest.raises(InputError, match=f"rate: got 1000.0; expected a value in {reach}"):
        find_beta(model, samples, Gaussian(), beta_range=(0.01, 10.0), rate=1000.0)
    for wishes in ({}, {"rate": 1.0, "distortion": 1.0}, {"rate": math.nan}):
        with pytest.raises(InputError):
            find_beta(model, samples, Gaussian(), beta_range=(0.01, 10.0), **wishes)
    with pytest.raises(InputError, match="points"):
        find_beta(model, samples, Gaussian(), beta_range=(0.01, 10.0), rate=1.0, points=1)
