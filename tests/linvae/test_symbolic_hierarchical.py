"""The numbers of the two-layer models equal the proved expressions to all their digits."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import linvae as lv
from linvae.hierarchical import HierarchicalFrontier, HierarchicalVAE
from linvae.hierarchical.bottom_up import BottomUpFrontier, BottomUpVAE
from linvae.symbolic import evaluate
from linvae.symbolic import hierarchical as two
from tests.tolerances import assert_close

numbers = st.floats(-2.0, 2.0)
positives = st.floats(-1.5, 1.5).map(lambda power: float(10.0**power))
SIDES = st.sampled_from(["free", "on", "below", "above"])


def beside(value: float, side: str) -> float:
    """The value itself, or its neighbour in floating point."""
    if side in ("free", "on"):
        return value
    return float(np.nextafter(value, 0 if side == "below" else np.inf))


def constant(s2: float) -> mpmath.mpf:
    with mpmath.workdps(50):
        return mpmath.log(2 * mpmath.pi * mpmath.mpf(s2)) / 2


def line(value: float) -> lv.Spectrum:
    return lv.Spectrum.from_eigenvalues([value])


@settings(max_examples=12)
@given(st.lists(numbers, min_size=5, max_size=5), st.lists(positives, min_size=7, max_size=7))
def test_top_down_terms_to_many_digits(real: list[float], positive: list[float]) -> None:
    e2, f, g, gain, d = real
    lam, sigma2, c1, c2, s, beta1, beta2 = positive
    vae = HierarchicalVAE(
        encoder2=np.array([[e2]]),
        variance2=np.array([c2]),
        encoder1=np.array([[f]]),
        skip=np.array([[g]]),
        variance1=np.array([c1]),
        prior_gain=np.array([[gain]]),
        prior_variance=np.array([s**2]),
        decoder=np.array([[d]]),
        noise_variance=sigma2,
    )
    got = vae.evaluate(line(lam), beta1, beta2)
    shared = {"lambda_": lam, "e2": e2, "c1": c1, "c2": c2, "f": f, "g": g}
    error = evaluate(two.TOP_DOWN_SQUARED_ERROR, d=d, **shared)
    rate2 = evaluate(two.TOP_DOWN_RATE2, lambda_=lam, e2=e2, c2=c2)
    rate1 = evaluate(two.TOP_DOWN_RATE1, A=gain, s=s, **shared)
    total = evaluate(
        two.TOP_DOWN_OBJECTIVE,
        A=gain,
        s=s,
        d=d,
        sigma2=sigma2,
        beta1=beta1,
        beta2=beta2,
        **shared,
    )
    size = lam * (1 + abs(d) * (abs(f) + abs(g * e2))) ** 2 + d**2 * (g**2 * c2 + c1)
    assert_close(got.squared_error, float(error), scale=size)
    size1 = float(rate1) + 1 + abs(np.log(c1 / s**2))
    assert_close(got.rate1, float(rate1), scale=size1)
    assert_close(got.rate2, float(rate2), scale=float(rate2) + 1 + abs(np.log(c2)))
    whole = float(total + constant(sigma2))
    assert_close(got.objective, whole, scale=abs(whole) + 10 + size / sigma2 + beta1 * size1)


@settings(max_examples=12)
@given(st.lists(numbers, min_size=4, max_size=4), st.lists(positives, min_size=7, max_size=7))
def test_bottom_up_terms_to_many_digits(real: list[float], positive: list[float]) -> None:
    v1, v2, w1, w2 = real
    lam, sigma2, t, c2, eta2, beta1, beta2 = positive
    vae = BottomUpVAE(
        encoder1=np.array([[v1]]),
        variance1=np.array([t]),
        encoder2=np.array([[v2]]),
        variance2=np.array([c2]),
        prior_gain=np.array([[w2]]),
        prior_variance=np.array([eta2]),
        decoder=np.array([[w1]]),
        noise_variance=sigma2,
    )
    got = vae.evaluate(line(lam), beta1, beta2)
    shared = {"lambda_": lam, "v1": v1, "t": t, "v2": v2, "c2": c2}
    error = evaluate(two.BOTTOM_UP_SQUARED_ERROR, lambda_=lam, v1=v1, t=t, w1=w1)
    rate1 = evaluate(two.BOTTOM_UP_RATE1, eta2=eta2, w2=w2, **shared)
    rate2 = evaluate(two.BOTTOM_UP_RATE2, **shared)
    total = evaluate(
        two.BOTTOM_UP_OBJECTIVE,
        sigma2=sigma2,
        w1=w1,
        eta2=eta2,
        w2=w2,
        beta1=beta1,
        beta2=beta2,
        **shared,
    )
    size = lam * (1 + abs(w1 * v1)) ** 2 + w1**2 * t
    assert_close(got.squared_error, float(error), scale=size)
    wide = (1 + abs(w2 * v2)) ** 2 * (lam * v1**2 + t) / eta2 + w2**2 * c2 / eta2
    size1 = 1 + abs(np.log(eta2 / t)) + wide
    assert_close(got.rate1, float(rate1), scale=size1)
    assert_close(got.rate2, float(rate2), scale=float(rate2) + 1 + abs(np.log(c2)))
    whole = float(total + constant(sigma2))
    assert_close(got.objective, whole, scale=abs(whole) + 10 + size / sigma2 + beta1 * size1)


@settings(max_examples=12)
@given(positives, positives, positives, positives, SIDES)
def test_the_infimum_to_many_digits(
    lam: float, sigma2: float, beta1: float, beta2: float, side: str
) -> None:
    curve = HierarchicalFrontier(line(lam), latent_dims=(1, 1), noise_variance=sigma2)
    if side != "free":
        beta1 = beside(float(curve.critical_betas[0]), side)
    points = curve.at(beta1, beta2)
    weight = min(beta1, beta2)
    want = evaluate(two.MODE_OPTIMUM, lambda_=lam, sigma2=sigma2, beta=weight)
    rate = float(evaluate(two.MODE_RATE, lambda_=lam, sigma2=sigma2, beta=weight))
    spent = points.rate2 if beta2 < beta1 else points.rate1
    assert_close(spent, rate, scale=1 + rate)
    size = abs(constant(sigma2)) + lam / sigma2 + weight
    assert_close(points.objective, float(want + constant(sigma2)), scale=float(size))
    if points.carrier[0] == 2:
        model = curve.model(beta1, beta2, ratio=0.25, prior_std=2.0)
        over = model.evaluate(line(lam), beta1, beta2).objective - points.objective
        excess = evaluate(two.APPROACH_EXCESS, eta=0.25, lambda_=lam, sigma2=sigma2, beta2=beta2)
        assert_close(over, float(excess), scale=float(size))


@settings(max_examples=12)
@given(st.lists(positives, min_size=6, max_size=6), SIDES, st.booleans())
def test_bottom_up_optimum_to_many_digits(positive: list[float], side: str, upper: bool) -> None:
    lam, sigma2, t, eta2, beta1, beta2 = positive
    options: dict[str, Any] = {
        "latent_dims": (1, 1),
        "noise_variance": sigma2,
        "prior_variance": eta2,
    }
    given_curve = BottomUpFrontier(line(1.0), encoder_variance=t, **options)
    threshold = float(given_curve.thresholds(beta1, beta2)[int(upper)][0])
    if side != "free" and 0 < threshold < np.inf:
        lam = beside(threshold, side)
    values = {"lambda_": lam, "sigma2": sigma2, "t": t, "beta1": beta1, "beta2": beta2}
    lower = evaluate(two.THRESHOLD_LOWER, sigma2=sigma2, t=t, eta2=eta2, beta1=beta1, beta2=beta2)
    assert_close(float(given_curve.thresholds(beta1, beta2)[0][0]), float(lower))
    level = evaluate(two.UPPER_LEVEL, eta2=eta2, beta1=beta1, beta2=beta2)
    if t < level:
        above = evaluate(
            two.THRESHOLD_UPPER, sigma2=sigma2, t=t, eta2=eta2, beta1=beta1, beta2=beta2
        )
        assert_close(float(given_curve.thresholds(beta1, beta2)[1][0]), float(above))
    shared = evaluate(two.SIGNAL_SHARED, lambda_=lam, sigma2=sigma2, t=t, beta2=beta2)
    alone = evaluate(two.SIGNAL_ALONE, lambda_=lam, sigma2=sigma2, t=t, eta2=eta2, beta1=beta1)
    signal = max(mpmath.mpf(t), shared if shared > level else alone)
    points = BottomUpFrontier(line(lam), encoder_variance=t, **options).at(beta1, beta2)
    assert_close(float(points.signal[0]), float(signal))
    with mpmath.workdps(50):
        want = evaluate(two.BOTTOM_UP_OPTIMUM, a=signal, eta2=eta2, **values) + constant(sigma2)
    size = abs(want) + lam / sigma2 + beta1 * (3 + abs(np.log(eta2 / t))) + beta2 * 3
    assert_close(float(points.objective), float(want), scale=float(size))


@settings(max_examples=12)
@given(st.lists(positives, min_size=5, max_size=5), st.floats(1.0, 100.0), SIDES)
def test_learned_variance_to_many_digits(positive: list[float], factor: float, side: str) -> None:
    lam, sigma2, eta2, beta1, beta2 = positive
    if side != "free":
        lam = beside(beta1 * sigma2, side)
    curve = BottomUpFrontier(
        line(lam), latent_dims=(1, 1), noise_variance=sigma2, prior_variance=eta2
    )
    high = max(beta1, beta2)
    threshold = evaluate(two.LEARNED_THRESHOLD, beta1=beta1, sigma2=sigma2)
    assert_close(float(curve.thresholds(beta1, high)[0][0]), float(threshold))
    points = curve.at(beta1, high)
    want = evaluate(two.MODE_OPTIMUM, lambda_=lam, sigma2=sigma2, beta=beta1) + constant(sigma2)
    size = float(abs(want) + lam / sigma2 + beta1)
    assert_close(float(points.objective), float(want), scale=size)
    a = eta2 * factor * max(1.0, beta2 / beta1)
    fall = float(evaluate(two.DESCENT, a=a, eta2=eta2, beta1=beta1, beta2=beta2))
    got = curve.model(beta1, beta2, signal=a).evaluate(line(lam), beta1, beta2).objective
    wide = 10 * (beta1 + beta2) * (1 + abs(np.log(a / eta2)) + abs(np.log(beta2 / beta1)))
    assert_close(got - float(points.objective), fall, scale=size + wide)
