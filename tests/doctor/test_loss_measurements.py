"""What the examination of a loss measures, against constants chosen by the test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linvae.doctor.loss import examine_loss

from .loss_tools import _kl, _reduce

_ERRORS = {
    "gaussian": lambda x, y: (x - y) ** 2,
    "bernoulli": lambda x, y: -(x * np.log(y) + (1 - x) * np.log(1 - y)),
    "bernoulli-logits": lambda x, y: np.logaddexp(0, y) - x * y,
    "laplace": lambda x, y: np.abs(x - y),
}
_numbers = st.floats(1e-3, 1e3).map(lambda v: float(f"{v:.3g}"))


@settings(max_examples=30)
@given(
    likelihood=st.sampled_from(sorted(_ERRORS)),
    a=_numbers,
    b=_numbers,
    means=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    constant=st.floats(-10, 10),
    variance=_numbers,
    seed=st.integers(0, 2**31),
)
def test_any_loss_of_the_usual_form_is_recovered(likelihood, a, b, means, constant, variance, seed):
    """Factors, reductions and the effective β of a loss made of drawn parts."""

    def loss(x, y, m, s):
        first = a * _reduce(_ERRORS[likelihood](x, y), means[0], means[1])
        return first + b * _reduce(_kl(m, s), means[2], means[3]) + constant

    gaussian = likelihood == "gaussian"
    options = {"noise_variance": variance} if gaussian else {}
    examined = examine_loss(loss, likelihood=likelihood, seed=seed, feature_shape=None, **options)
    facts = examined.facts
    assert facts["reconstruction_factor"] == pytest.approx(a, rel=1e-3)
    assert facts["kl_factor"] == pytest.approx(b, rel=1e-3)
    words = [facts["reconstruction_reduction"], facts["kl_reduction"]]
    kinds = ["mean" if flag else "sum" for flag in means]
    assert words == [f"{kinds[0]} over batch, {kinds[1]} over features",
                     f"{kinds[2]} over batch, {kinds[3]} over latents"]  # fmt: skip
    n, k, batch = 6, 3, 4
    coefficients = [
        a / (batch ** means[0] * n ** means[1]),
        b / (batch ** means[2] * k ** means[3]),
    ]
    unit = 1 / (2 * variance) if gaussian else 1.0
    beta = coefficients[1] / coefficients[0] * unit
    assert facts["effective_beta"] == pytest.approx(beta, rel=1e-3)
    assert facts["loss_scale"] == pytest.approx(coefficients[0] * batch / unit, rel=1e-3)
    assert ("batch-size-changes-beta" in _codes(examined)) == (means[0] != means[2])
    averaged = "reconstruction-averaged-over-features"
    assert (averaged in _codes(examined)) >= means[1]
    assert ("kl-averaged-over-latents" in _codes(examined)) >= means[3]


def _codes(examined):
    return {finding.code for finding in examined.findings}


@settings(max_examples=15)
@given(beta=_numbers, variance=_numbers, factor=_numbers, seed=st.integers(0, 2**31))
def test_the_correction_corrects(beta, variance, factor, seed):
    """With the KL term multiplied as told, the loss is the declared one."""

    def weighted(factor):
        def loss(x, y, m, s):
            error = _reduce((x - y) ** 2, True, False) / (2 * variance)
            return error + factor * _reduce(_kl(m, s), True, False)

        return loss

    asked = {"beta": beta, "noise_variance": variance, "seed": seed}
    told = examine_loss(weighted(factor), **asked).facts["correction"]
    if told.startswith("none"):
        assert factor == pytest.approx(beta, rel=4e-3)
        return
    number = float(told.removeprefix("multiply the KL term by "))
    assert examine_loss(weighted(factor * number), **asked).healthy


@pytest.mark.parametrize("convention", [
    "sum_squared_error", "mean_squared_error", "mean_squared_error_mean_kl",
    "mean_squared_error_batch_sum_kl", "half_sum_squared_error", "half_mean_squared_error",
    "batch_sum_squared_error", "sum_bce", "mean_bce", "mean_bce_mean_kl",
])  # fmt: skip
def test_agrees_with_the_table_of_conventions(convention):
    """The effective β measured here and the one computed from the convention's name."""
    pytest.importorskip("torch")
    from deep.objectives.conventions import CONVENTIONS, effective_beta

    rule, weight = CONVENTIONS[convention], 0.7

    def loss(x, y, m, s):
        error = _ERRORS["gaussian" if rule.squared else "bernoulli"](x, y)
        first = rule.factor * _reduce(error, not rule.batch_sum, rule.feature_mean)
        return first + weight * _reduce(_kl(m, s), not rule.kl_batch_sum, rule.latent_mean)

    variance = 2.5 if rule.squared else None
    likelihood = "gaussian" if rule.squared else "bernoulli"
    facts = examine_loss(loss, noise_variance=variance, likelihood=likelihood).facts
    sums = rule.batch_sum or rule.kl_batch_sum
    known = effective_beta(convention, 6, 3, kl_weight=weight, noise_variance=variance,
                           batch_size=4 if sums else None)  # fmt: skip
    assert facts["effective_beta"] == pytest.approx(known.beta, rel=1e-6)
    assert facts["loss_scale"] == pytest.approx(known.scale, rel=1e-6)


@pytest.mark.parametrize("convert", [None, np.float32])
@pytest.mark.parametrize("beta", [1e-5, 1e-2, 100.0])
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_small_weights_in_single_precision(convert, beta, scale):
    """Rounding is never mistaken for a fault."""

    def loss(x, y, m, s):
        entropy = _ERRORS["bernoulli"](x, y).reshape(len(x), -1).sum(axis=1)
        unit = x.dtype.type
        return unit(scale) * (entropy + unit(beta) * _kl(m, s).sum(axis=1)).mean()

    examined = examine_loss(loss, beta=beta, convert=convert, feature_shape=(784,))
    assert examined.findings == ()
    assert examined.facts["effective_beta"] == pytest.approx(beta, rel=3e-3)


def test_unreadably_small_weights_are_no_finding():
    def loss(x, y, m, s):
        error = np.float32(1e6) * ((x - y) ** 2).sum()
        return error + np.float32(1e-9) * _kl(m, s).sum()

    examined = examine_loss(loss, beta=0.5e-15, convert=np.float32, noise_variance=1.0)
    assert _codes(examined) <= {"kl-missing"}


_CONSTANTS = {
    "none": lambda n, k: 0.0,
    "n/2 log(2 π σ²), the whole Gaussian": lambda n, k: n / 2 * np.log(2 * np.pi * 0.3),
    "n/2 log σ² (the 2π is left out)": lambda n, k: n / 2 * np.log(0.3),
    "n/2 log(2 π) (σ² is left out)": lambda n, k: n / 2 * np.log(2 * np.pi),
    "k/2 in the KL (its -1 is left out)": lambda n, k: 1.7 * k / 2,
    "of no usual form": lambda n, k: 0.123 * n,
}


@pytest.mark.parametrize("words", _CONSTANTS)
@pytest.mark.parametrize("total", [True, False])
def test_constants_are_named(words, total):
    def loss(x, y, m, s):
        n, k = x[0].size, m.shape[1]
        error = ((x - y) ** 2).reshape(len(x), -1).sum(axis=1) / 0.6
        each = error + 1.7 * _kl(m, s).sum(axis=1) + _CONSTANTS[words](n, k)
        return each.sum() if total else each.mean()

    examined = examine_loss(loss, beta=1.7, noise_variance=0.3)
    assert examined.facts["constant"] == words
    assert examined.facts["constant_nats_per_sample"] == pytest.approx(
        _CONSTANTS[words](6, 3), abs=1e-6
    )
    assert examined.healthy, "constants move no optimum"


def test_what_depends_on_x_alone_is_no_fault():
    def loss(x, y, m, s):
        entropy = -(x * np.log(x) + (1 - x) * np.log(1 - x))
        return (_ERRORS["bernoulli"](x, y) - entropy).sum() + _kl(m, s).sum()

    examined = examine_loss(loss, likelihood="bernoulli")
    assert examined.healthy
    assert examined.facts["constant"] == "depends on x, or is not known"


@pytest.mark.parametrize("threshold", [0.02, 0.5, 3.0])
@pytest.mark.parametrize("place", range(4))
def test_thresholds_are_measured(threshold, place):
    floors = {
        "each latent of each sample": lambda e: np.maximum(e, threshold).sum(axis=1).mean(),
        "the batch mean of each latent": lambda e: np.maximum(e.mean(axis=0), threshold).sum(),
        "the sum over the latents of each sample": lambda e: np.maximum(
            e.sum(axis=1), threshold
        ).mean(),
        "the batch mean of the sum over latents": lambda e: max(e.sum(axis=1).mean(), threshold),
    }
    words, floor = list(floors.items())[place]

    def loss(x, y, m, s):
        return _reduce((x - y) ** 2, True, False) + 2 * floor(_kl(m, s))

    (finding,) = examine_loss(loss, beta=2.0).findings
    assert finding.code == "free-bits"
    assert finding.evidence["threshold_on"] == words
    assert finding.evidence["threshold_nats"] == pytest.approx(threshold, rel=1e-3)


@pytest.mark.parametrize(("lower", "upper"), [(-4.0, 1.0), (-6.5, 15.0), (-30.0, 0.3)])
def test_clamps_are_measured(lower, upper):
    def loss(x, y, m, s):
        return _reduce((x - y) ** 2, True, False) + _kl(m, np.clip(s, lower, upper)).sum() / len(x)

    examined = examine_loss(loss)
    (finding,) = examined.findings
    assert finding.code == "log-variance-clamped"
    if lower > -30:
        assert finding.evidence["lower"] == pytest.approx(lower, rel=1e-3)
        assert examined.facts["log_var_clamped_below"] == pytest.approx(lower, rel=1e-3)
    assert finding.evidence["upper"] == pytest.approx(upper, rel=1e-3)


@pytest.mark.parametrize("target", [1.0, 5.0, 25.0])
def test_targets_are_measured(target):
    def loss(x, y, m, s):
        return _reduce((x - y) ** 2, True, False) + 30 * abs(_kl(m, s).sum() / len(x) - target)

    (finding,) = examine_loss(loss).findings
    assert finding.code == "kl-target"
    assert finding.evidence["target_nats_per_sample"] == pytest.approx(target, rel=1e-3)


_ODD = {
    "kl-not-recognised": lambda x, y, m, s: _reduce((x - y) ** 2, True, False)
    + np.sin(3 * m).sum() + np.cos(2 * s).sum(),
    "reconstruction-not-recognised": lambda x, y, m, s: np.cosh(3 * (x - y)).sum()
    + _kl(m, s).sum(),
    "kl-multiplied-by-latents": lambda x, y, m, s: ((x - y) ** 2).sum()
    + m.shape[1] * _kl(m, s).sum(),
    "latents-change-beta": lambda x, y, m, s: ((x - y) ** 2).sum()
    + np.sqrt(m.shape[1]) * _kl(m, s).sum(),
    "features-change-beta": lambda x, y, m, s: ((x - y) ** 2).sum()
    + x[0].size ** 2 * _kl(m, s).sum(),
}  # fmt: skip


@pytest.mark.parametrize("code", _ODD)
def test_oddities_are_named(code):
    assert code in _codes(examine_loss(_ODD[code]))
