"""Reading many β's together gives what reading them one by one gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import linvae as lv
from deep.comparison.linear import exact_curve
from deep.errors import DivergenceError
from deep.evaluation import curve as curve_module
from deep.evaluation import linear
from deep.evaluation.curve import evaluate_curve
from deep.networks.linear import MultiRateLinearVAE
from deep.networks.linear_parts import whitening
from deep.networks.mlp import mlp_vae
from deep.objectives.likelihoods import Bernoulli, CalibratedGaussian, Gaussian
from tests.tolerances import assert_close, tolerance

N, K, VARIANCE = 9, 4, 0.3
BETAS = np.geomspace(0.05, 20.0, 7)
FEATURES = ("encoder_1", "decoder_2")
NAMES = (
    "rate", "distortion", "squared_error", "objective",
    "rate_se", "distortion_se", "squared_error_se", "objective_se",
)  # fmt: skip


def data(count=300, dtype=np.float64):
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((count, N)) * np.geomspace(2.0, 0.3, N)
    return (rows @ np.linalg.qr(rng.standard_normal((N, N)))[0] + 3.0).astype(dtype)


def network(kind=MultiRateLinearVAE, dtype=torch.float64, **options):
    """Every parameter is somewhere else than where it starts, and optimal nowhere."""
    samples = torch.tensor(data())
    model = kind(
        N, K, beta_range=(0.05, 20.0), generator=torch.Generator().manual_seed(1),
        mean=samples.mean(0), whitening=whitening(torch.cov(samples.T)), dtype=dtype,
        **{"ungated": FEATURES, **options},
    )  # fmt: skip
    source = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=source, dtype=torch.float64)
            parameter.add_(0.3 * noise.to(dtype))
    return model


def as_for_any_network(monkeypatch, *call, enough=64, **options):
    """The curve as a network gets it that nothing is known of."""
    with monkeypatch.context() as patch:
        patch.setattr(curve_module, "linear_reader", lambda *_: None)
        patch.setattr(curve_module, "_ENOUGH", enough)
        return evaluate_curve(*call, **options)


def assert_same(got, want, dtype="float64"):
    purpose = ("exact", "float64") if dtype == "float64" else ("stored", "float32")
    for name in NAMES:
        assert_close(getattr(got, name), getattr(want, name), *purpose)
    assert (got.n_samples, got.n_features) == (want.n_samples, want.n_features)
    assert_close(got.noise_variance, want.noise_variance, *purpose)


CASES = {
    "usual": {},
    "draws": {"noise_draws": 3},
    "seed": {"seed": 4},
    "one pair at a time": {"batch_size": 1},
    "some β's at a time": {"batch_size": 400},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_a_linear_network_is_read_as_any_other_is(monkeypatch, options):
    call = (network(), data(), BETAS, Gaussian(VARIANCE))
    assert linear.linear_reader(call[0], BETAS, call[3], (N,)) is not None
    assert_same(evaluate_curve(*call, **options), as_for_any_network(monkeypatch, *call, **options))


@pytest.mark.parametrize(
    "gates",
    [
        {"encoder_gate": "none", "posterior_gate": "none", "decoder_gate": "none"},
        {"encoder_gate": "sigmoid", "posterior_gate": "sigmoid", "decoder_gate": "tanh"},
        {"ungated": (*FEATURES, "decoder_1", "posterior_2")},
    ],
)
def test_gates_of_any_kind(monkeypatch, gates):
    call = (network(**gates), data(60), BETAS, Gaussian(VARIANCE))
    assert linear.linear_reader(call[0], BETAS, call[3], (N,)) is not None
    assert_same(evaluate_curve(*call), as_for_any_network(monkeypatch, *call))


def test_other_inputs(monkeypatch):
    more = data(520)  # than a block
    model = network()
    for likelihood in (Gaussian(VARIANCE), CalibratedGaussian(), CalibratedGaussian(floor=5.0)):
        for rows in (more, torch.tensor(more), (more - more.min()).astype(np.uint8)):
            call = (model, rows, BETAS, likelihood)
            assert_same(evaluate_curve(*call), as_for_any_network(monkeypatch, *call))
    options = {"noise_variance": np.geomspace(0.1, 1.0, 7)}
    call = (model, more, BETAS, CalibratedGaussian())
    want = as_for_any_network(monkeypatch, *call, **options)
    assert_same(evaluate_curve(*call, **options), want)


def test_float32_networks_are_read_in_float64(monkeypatch):
    samples, single = data(dtype=np.float32), network(dtype=torch.float32)
    call = (samples, BETAS, Gaussian(VARIANCE))
    got = evaluate_curve(single, *call)
    assert_same(got, as_for_any_network(monkeypatch, single, *call), "float32")
    assert linear.linear_reader(single, BETAS, call[2], (N,))._basis.dtype == torch.float64


def test_no_digit_is_lost_where_almost_everything_is_reproduced():
    """Errors 1e-8 of the variance: a difference of squares would keep half the digits."""
    model = network(encoder_gate="none", posterior_gate="none", decoder_gate="none")
    with torch.no_grad():
        model.posterior_1.log_base.fill_(-60.0)
    codes = np.random.default_rng(0).standard_normal((200, K))
    at = model.at(1.0)
    decoder = at.decoder.detach().numpy()
    rest = np.random.default_rng(1).standard_normal((200, N))
    rest -= rest @ np.linalg.pinv(decoder).T @ decoder.T
    samples = codes @ decoder.T + 1e-4 * rest + model.mean.numpy()
    with torch.no_grad():  # an encoder that reads the codes off what is in the column space
        inverse = torch.tensor(np.linalg.pinv(decoder))
        model.encoder_1.weight.copy_(torch.linalg.inv(model.whitening))
        model.encoder_2.weight.copy_(inverse)
    got = evaluate_curve(model, samples, [1.0], Gaussian())
    want = 1e-8 * (rest**2).sum(1).mean()
    assert abs(got.squared_error[0] / want - 1) < tolerance("exact", condition=100.0)


def test_many_draws_approach_the_exact_curve():
    model, samples = network(), data()
    spectrum = lv.Spectrum.from_samples(samples)
    want = exact_curve(model, BETAS, spectrum=spectrum, noise_variance=VARIANCE)
    got = evaluate_curve(model, samples, BETAS, Gaussian(VARIANCE), noise_draws=16)
    assert_close(got.rate, want.rate)
    miss = np.abs(got.distortion - want.distortion)
    assert (miss <= tolerance("monte_carlo") * got.distortion_se).all()


def test_memory_is_bounded_by_the_batch_size(monkeypatch):
    widths = []
    known = linear._missed

    def watched(inside, codes, noises, of_codes, of_noise):
        widths.append(len(of_codes))
        return known(inside, codes, noises, of_codes, of_noise)

    monkeypatch.setattr(linear, "_missed", watched)
    call = (network(), data(100), BETAS, Gaussian(VARIANCE))
    evaluate_curve(*call, batch_size=100)
    assert widths == [2, 2, 2, 1], "two β's of 4 numbers a sample where 9 are allowed"
    widths.clear()
    evaluate_curve(*call, batch_size=7)
    assert widths == [1] * 7, "one at least"


class Shifted(MultiRateLinearVAE):
    def decode(self, latents, beta, *, sharpness=math.inf):
        return super().decode(latents, beta, sharpness=sharpness) + 1.0


def test_networks_that_must_be_asked_themselves_are(monkeypatch):
    gaussian = Gaussian(VARIANCE)
    assert linear.linear_reader(network(Shifted), BETAS, gaussian, (N,)) is None
    assert linear.linear_reader(network(ungated=()), BETAS, gaussian, (N,)) is None
    assert linear.linear_reader(network(), BETAS, Bernoulli(), (N,)) is None
    for shape in ((N + 1,), (1, 3, 3)):
        assert linear.linear_reader(network(), BETAS, gaussian, shape) is None
    call = (network(ungated=()), data(40), BETAS, gaussian)
    assert_same(evaluate_curve(*call), as_for_any_network(monkeypatch, *call))


def test_a_diverged_linear_network_is_named():
    model = network()
    with torch.no_grad():
        model.decoder_2.weight[0, 0] = math.nan
    with pytest.raises(DivergenceError, match="evaluate_curve"):
        evaluate_curve(model, data(9), BETAS, Gaussian(VARIANCE))


@pytest.mark.parametrize("options", [{}, {"batch_size": 50}], ids=["usual", "narrow"])
def test_one_beta_at_a_time_is_a_beta_per_sample(monkeypatch, options):
    """What the CPU does with many samples, against what it does with few."""
    model = mlp_vae((N,), K, generator=torch.Generator().manual_seed(0), hidden=(16,),
                    beta_range=(0.05, 20.0), slope_std=0.5, dtype=torch.float64)  # fmt: skip
    betas = []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda x, b: (betas.append(b.ndim), encode(x, b))[1])
    call = (model, data(), BETAS, Gaussian(VARIANCE))
    got = evaluate_curve(*call, **options)
    assert set(betas) == {0}
    betas.clear()
    assert_same(got, as_for_any_network(monkeypatch, *call, enough=10**9, **options))
    assert set(betas) == {1}
