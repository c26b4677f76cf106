"""The NumPy twins are the expressions that are proved, to many digits."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import linvae as lv
from linvae.fixed_decoder import FixedDecoderFrontier
from linvae.symbolic import evaluate, twins
from linvae.twins import accuracy_bound, active_units, frechet_distance
from tests.tolerances import assert_close

positive = st.floats(1e-3, 1e3)


def one_mode(lam: float) -> lv.Spectrum:
    return lv.Spectrum.from_eigenvalues([lam])


@given(positive, positive, positive)
def test_activity_is_the_expression(lam: float, s2: float, share: float) -> None:
    beta = share * lam / s2
    vae = lv.response(one_mode(lam), beta, latent_dim=1, noise_variance=s2)
    want = float(evaluate(twins.ACTIVITY, lambda_=lam, sigma2=s2, beta=beta))
    got = vae.encoder[0, 0] ** 2 * lam
    assert_close(got, want, scale=1.0)
    for factor in (0.999, 1.001):  # on either side of the statistic
        if 0 < want * factor < 1:
            counted = int(active_units(vae, one_mode(lam), threshold=want * factor))
            assert counted == (factor < 1)


@given(positive, positive, positive)
def test_frechet_distance_is_the_expression(lam: float, s2: float, share: float) -> None:
    beta = share * lam / s2
    vae = lv.response(one_mode(lam), beta, latent_dim=1, noise_variance=s2)
    want = float(evaluate(twins.FRECHET, lambda_=lam, sigma2=s2, beta=beta))
    assert_close(frechet_distance(vae, one_mode(lam)), want, scale=lam + s2)


@given(positive, st.floats(-30, 30), positive, positive)
def test_fixed_decoder_is_the_expression(lam: float, d: float, s2: float, beta: float) -> None:
    values = {"lambda_": lam, "d": d, "sigma2": s2, "beta": beta}
    for kind in ("full", "diagonal"):
        curve = FixedDecoderFrontier(one_mode(lam), np.array([[d]]), s2, covariance=kind)
        got = curve.at_beta(beta)
        rate = float(evaluate(twins.FIXED_DECODER_RATE, **values))
        error = float(evaluate(twins.FIXED_DECODER_SQUARED_ERROR, **values))
        assert_close(got.rate, rate, scale=max(rate, 1e-12))
        assert_close(got.squared_error, error)


@given(st.integers(2, 20), st.floats(0.0, 1.0))
def test_accuracy_bound_is_the_expression(classes: int, share: float) -> None:
    accuracy = bound = accuracy_bound(share * np.log(classes), classes)
    if 1 / classes < accuracy < 1:
        need = evaluate(twins.FANO, alpha=float(accuracy), M=classes, H=float(np.log(classes)))
        assert abs(float(need) - share * np.log(classes)) <= 1e-12 * (1 + np.log(classes))
    assert 1 / classes <= bound <= 1
