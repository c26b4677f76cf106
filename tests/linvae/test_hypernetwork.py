"""Theorem 1 written out: gates against responses, with bounds computed from ulps of the gate input.

The gate reads x = log beta + log(s2 / lambda). If the computed x is off by at most u, then
g(x) = sqrt(max(0, 1 - e^x)), which falls in x, is off by at most
max(g(x - u) - g(x), g(x) - g(x + u)): about sqrt(u) at the threshold, u e^x / (2 g) away from it.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linvae import Hypernetwork, Spectrum, response
from linvae.errors import InputError
from linvae.hypernetwork import GATES, GatedLayer
from linvae.response import encoder_given_decoder
from linvae.testing import strategies
from linvae.testing.strategies import Population
from tests import oracles
from tests.tolerances import EPS, assert_close, tolerance

FIELDS = ("encoder", "posterior_variance", "decoder")


def _input_error(beta, s2, value, span=None):
    """Bound on the error of the gate input x, from the roundings that produce it.

    Each logarithm is right to an ulp, each sum, product and quotient to half an ulp of its result.
    `span` is the (mean, half width) of a standardised input.
    """
    logs = [abs(np.log(beta)), abs(np.log(s2)), abs(np.log(value))]
    bias = abs(np.log(s2) - np.log(value))
    x = abs(np.log(beta) + np.log(s2) - np.log(value))
    total = sum(logs) + 0.5 * bias + 0.5 * x
    if span is not None:
        mean, _ = span
        # beta - mean, its quotient and product with the scale; the shifted bias.
        total += 1.5 * abs(np.log(beta) - mean) + abs(mean) + 0.5 * abs(mean + bias) + bias
    return EPS * total


def _gate_error(beta, s2, value, u):
    """Bounds on the errors of g and of min(1, e^x) when x is off by at most u."""
    here = oracles.exact_gain(value, s2, beta)
    below = oracles.exact_gain(value, s2, beta, -u)
    above = oracles.exact_gain(value, s2, beta, u)
    rounding = 8 * EPS
    return max(below - here, here - above) + rounding * here, np.expm1(u) + rounding


def _gains(vae):
    """Length of every decoder column and encoder row."""
    return np.linalg.norm(vae.decoder, axis=-2), np.linalg.norm(vae.encoder, axis=-1)


def _networks(problem):
    hyper = Hypernetwork.exact(problem.spectrum, **problem.options)
    top = float(problem.population.values[0] / problem.s2)
    low, high = 0.003 * top, 20 * top
    mean = 0.5 * (np.log(low) + np.log(high))
    half = 0.5 * (np.log(high) - np.log(low))
    return [(hyper, None), (hyper.standardised((low, high)), (mean, half))]


@given(strategies.problems(max_n=6, extreme=True), st.data())
def test_exact_form_within_the_conditioning_of_the_gate(problem, data):
    """Everywhere, at and one ulp around every critical beta included."""
    critical = problem.critical[problem.critical > 0]
    betas = np.concatenate(
        [
            critical,
            np.nextafter(critical, 0),
            np.nextafter(critical, np.inf),
            data.draw(strategies.beta_arrays(problem.critical)),
        ]
    )
    want = response(problem.spectrum, betas, **problem.options)
    want_d, want_e = _gains(want)
    for hyper, span in _networks(problem):
        got = hyper(betas)
        got_d, got_e = _gains(got)
        for i, value in enumerate(problem.population.values[: problem.k]):
            if value == 0:
                assert not got.decoder[:, :, i].any()
                assert not got.encoder[:, i].any()
                assert (got.posterior_variance[:, i] == 1).all()
                continue
            for j, beta in enumerate(betas):
                u = _input_error(beta, problem.s2, value, span)
                gate, posterior = _gate_error(beta, problem.s2, value, u)
                assert gate <= 2 * np.sqrt(u), "the bound itself must be a square root's"
                # The response rounds lambda / s2 once.
                own, _ = _gate_error(beta, problem.s2, value, EPS)
                root = np.sqrt(value)
                assert abs(got_d[j, i] - want_d[j, i]) / root <= gate + own
                assert abs(got_e[j, i] - want_e[j, i]) * root <= gate + own
                c, c_want = got.posterior_variance[j, i], want.posterior_variance[j, i]
                assert abs(c - c_want) <= posterior * c_want
                # Against exact arithmetic, without the response.
                exact = oracles.exact_gain(value, problem.s2, beta)
                assert abs(got_d[j, i] / root - exact) <= gate + 16 * EPS * exact


@given(strategies.problems(max_n=6), st.data())
def test_exact_form_to_twelve_digits_away_from_the_critical_betas(problem, data):
    critical = problem.critical[problem.critical > 0]
    rng = data.draw(strategies.generators())
    betas = np.exp(rng.uniform(np.log(critical[-1]) - 2, np.log(critical[0]) + 2, 30))
    apart = np.abs(np.log(betas[:, None] / critical)).min(axis=1)
    betas = betas[apart > 0.1]
    if not betas.size:
        betas = np.array([critical[0] * 1.2, critical[-1] / 1.2])
    want = response(problem.spectrum, betas, **problem.options)
    for hyper, _ in _networks(problem):
        got = hyper(betas)
        roots = np.sqrt(problem.population.values[0])
        for name in FIELDS:
            a, b = getattr(got, name), getattr(want, name)
            # Row by row of E and column by column of D: small modes count as much as large ones.
            axis = {"encoder": -1, "decoder": -2}.get(name)
            size = np.abs(b) if axis is None else np.abs(b).max(axis=axis, keepdims=True)
            assert_close(a, b, "hypernetwork", scale=size)
        products = [
            (v.decoder @ v.encoder, (v.decoder * v.posterior_variance[:, None]), v.decoder)
            for v in (got, want)
        ]
        assert_close(products[0][0], products[1][0], "hypernetwork", scale=1.0)
        DCD = [DC @ np.swapaxes(D, -1, -2) for _, DC, D in products]
        assert_close(DCD[0], DCD[1], "hypernetwork", scale=roots**2)


@given(strategies.problems(max_n=6), st.data())
def test_products_are_well_conditioned_even_at_the_threshold(problem, data):
    """DE and DCD^T hold g squared: no square root of an ulp is left in them."""
    beta = data.draw(strategies.betas(problem.critical))
    want = response(problem.spectrum, beta, **problem.options)
    for hyper, span in _networks(problem):
        got = hyper(beta)
        alive = problem.population.values[: problem.k]
        alive = alive[alive > 0]
        u = max(_input_error(beta, problem.s2, v, span) for v in alive)
        slack = (u + 64 * EPS) * 2
        assert np.abs(got.decoder @ got.encoder - want.decoder @ want.encoder).max() <= slack
        excess = [v.evaluate(problem.spectrum, beta).objective for v in (got, want)]
        nats = problem.population.values.sum() / problem.s2 + beta * problem.k
        # Excess is second order in g near the threshold: (e - e*)^2, hence u.
        assert excess[0] - excess[1] <= 8 * problem.k * (u + 64 * EPS) * (nats + abs(excess[1]))


@given(strategies.problems(max_n=6, kinds=strategies.KINDS), st.data())
def test_standardised_form_is_the_same_function(problem, data):
    hyper = Hypernetwork.exact(problem.spectrum, **problem.options)
    moved = hyper.standardised((0.01, 10.0))
    mean = (np.log(0.01) + np.log(10.0)) / 2
    std = (np.log(10.0) - np.log(0.01)) / np.sqrt(12)
    assert_close(moved.input_mean, mean, "ulps")
    assert_close(moved.input_std, std, "ulps")
    for before, after in zip(
        (*hyper.encoder, *hyper.posterior, *hyper.decoder),
        (*moved.encoder, *moved.posterior, *moved.decoder),
        strict=True,
    ):
        assert_close(after.w_hyper, before.w_hyper * std, "ulps")
        size = np.abs(before.b_hyper) + abs(mean)
        assert_close(after.b_hyper, before.b_hyper + before.w_hyper * mean, "ulps", scale=size)
        assert np.array_equal(after.base, before.base)
        assert after.gate == before.gate
    # Standardising twice is standardising once.
    again = moved.standardised((0.5, 2.0))
    once = hyper.standardised((0.5, 2.0))
    for a, b in zip(again.decoder, once.decoder, strict=True):
        size = np.abs(b.b_hyper) + np.abs(hyper.decoder[0].b_hyper).max() + 5
        assert_close(a.w_hyper, b.w_hyper, "ulps")
        assert_close(a.b_hyper, b.b_hyper, "rounding", scale=size.max())
    beta = data.draw(strategies.betas(problem.critical, edges=False))
    assert_close(moved(beta).posterior_variance, hyper(beta).posterior_variance)


def test_standard_deviation_is_that_of_a_uniform_log_beta():
    """Moments of log beta uniform on [a, b], by quadrature of 100 000 midpoints."""
    a, b = np.log(0.01), np.log(10.0)
    grid = a + (b - a) * (np.arange(100_000) + 0.5) / 100_000
    moved = Hypernetwork.published(decoder=np.eye(2), noise_variance=1.0).standardised((0.01, 10))
    assert_close(moved.input_mean, grid.mean())
    assert_close(moved.input_std, grid.std(), scale=10.0)


# The published form


@given(strategies.populations(max_n=6, kinds=("random", "tied", "near")), st.data())
def test_published_form_equals_the_encoder_of_a_fixed_decoder(population, data):
    """Any decoder: dead columns, DtD not diagonal, every beta, standardised or not."""
    k = data.draw(st.integers(1, population.n))
    drawn = data.draw(strategies.parameters(population.n, k, scale=float(population.values[0])))
    betas = 10.0 ** np.linspace(-4, 4, 9)
    want = encoder_given_decoder(drawn.D, betas, noise_variance=drawn.s2, offset=population.mean)
    plain = Hypernetwork.published(decoder=drawn.D, noise_variance=drawn.s2, offset=population.mean)
    for hyper in (plain, plain.standardised((0.01, 10.0))):
        got = hyper(betas)
        size = np.abs(want.encoder).max(axis=(1, 2))
        # An ulp of D, turned into a direction that D does not have, is read with gain 1 / tau.
        size += EPS * np.linalg.norm(drawn.D) / (betas * drawn.s2) / tolerance("hypernetwork")
        assert_close(got.encoder, want.encoder, "hypernetwork", scale=size[:, None, None], size=10)
        assert_close(
            got.posterior_variance,
            want.posterior_variance,
            "hypernetwork",
            scale=want.posterior_variance,
        )
        assert_close(got.decoder, want.decoder, "ulps")
        assert np.array_equal(got.encoder_offset, want.encoder_offset)
        assert np.array_equal(got.decoder_offset, want.decoder_offset)


def test_published_form_by_hand():
    """D = diag(2, 1), s2 = 1: gains d / (d^2 + beta), c = beta / (d^2 + beta); slopes -1 and +1."""
    hyper = Hypernetwork.published(decoder=np.diag([2.0, 1.0]), noise_variance=1.0)
    vae = hyper(4.0)
    assert_close(vae.encoder, np.diag([2 / 8, 1 / 5]))
    assert_close(vae.posterior_variance, np.array([4 / 8, 4 / 5]))
    assert_close(vae.decoder, np.diag([2.0, 1.0]))
    assert hyper.encoder[0].w_hyper.tolist() == [-1.0, -1.0]
    assert hyper.posterior[0].w_hyper.tolist() == [1.0, 1.0]
    assert hyper.encoder[0].gate == hyper.posterior[0].gate == "sigmoid"
    assert not any(layer.w_hyper.any() for layer in hyper.decoder)


def test_published_form_is_not_the_joint_optimum():
    """T1.c: at the joint optimum sigmoid gates cannot be exact, and the gap is not rounding."""
    spectrum = Spectrum.from_eigenvalues([1.0])
    optimum = response(spectrum, 0.5, latent_dim=1, noise_variance=1.0)
    hyper = Hypernetwork.published(decoder=optimum.decoder, noise_variance=1.0)
    assert_close(hyper(0.5).encoder, optimum.encoder)
    best = response(spectrum, 0.1, latent_dim=1, noise_variance=1.0).evaluate(spectrum, 0.1)
    excess = hyper(0.1).evaluate(spectrum, 0.1).objective - best.objective
    assert excess > 0.005


def test_published_form_with_dead_and_dependent_columns():
    D = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    hyper = Hypernetwork.published(decoder=D, noise_variance=0.5)
    vae = hyper(np.array([1e-6, 1.0, 1e6]))
    # E = (DtD + tau)^-1 Dt with DtD = 5 [[1, 1], [1, 1]]: both rows are dt / (10 + tau).
    tau = np.array([0.5e-6, 0.5, 0.5e6])
    want = np.array([[1.0, 2.0, 0.0]]) / (10 + tau)[:, None, None]
    assert_close(vae.encoder[:, :2], np.repeat(want, 2, axis=1))
    assert not vae.encoder[:, 2].any()
    assert (vae.posterior_variance[:, 2] == 1).all()
    assert_close(vae.posterior_variance[:, 0], tau / (5 + tau))
    zero = Hypernetwork.published(decoder=np.zeros((2, 1)), noise_variance=1.0)(3.0)
    assert not zero.encoder.any()
    assert zero.posterior_variance.tolist() == [1.0]


# Gates and layers


@pytest.mark.parametrize("name", sorted(GATES))
def test_gates_against_fractions_and_at_the_ends(name):
    x = np.array([-700.0, -30.0, -1.0, -1e-8, -0.0, 0.0, 1e-8, 1.0, 30.0, 700.0])
    got = GATES[name](x)
    assert np.isfinite(got).all()
    assert (got >= 0).all()
    assert (got <= 1).all()
    with np.errstate(under="ignore"):
        e = np.exp(-np.abs(x))
    if name == "sigmoid":
        want = [
            float(Fraction(1) / (1 + Fraction(v)) if t >= 0 else Fraction(v) / (1 + Fraction(v)))
            for t, v in zip(x, e, strict=True)
        ]
    elif name == "min_exp":
        want = np.where(x >= 0, 1.0, e)
    else:
        want = np.sqrt(np.where(x >= 0, 0.0, -np.expm1(-np.abs(x))))
    assert_close(got, np.array(want), "ulps", scale=np.array(want))


def test_gates_are_related_as_the_corrected_theorem_says():
    x = np.linspace(-5, 2, 50)
    g, c = GATES["sqrt_relu"](x), GATES["min_exp"](x)
    assert_close(c, 1 - g**2, scale=1.0)


def test_layers_scale_rows_and_check_themselves():
    layer = GatedLayer([1.0, 0.0], [0.0, np.log(0.75)], [[1.0, 2.0], [4.0, 8.0]], "sqrt_relu")
    weights = layer.weights(np.array([-1.0, np.log(0.75)]))
    assert_close(weights[1], np.array([[0.5, 1.0], [2.0, 4.0]]))
    assert_close(weights[0, 0], np.sqrt(1 - np.exp(-1)) * np.array([1.0, 2.0]))
    assert not layer.is_diagonal
    assert layer.dense_base is layer.base or np.array_equal(layer.dense_base, layer.base)
    diagonal = GatedLayer([1.0, 1.0], [0.0, 1.0], [3.0, 4.0], "min_exp")
    assert diagonal.is_diagonal
    assert np.array_equal(diagonal.dense_base, np.diag([3.0, 4.0]))
    assert_close(diagonal.weights(np.array(-1.0)), np.array([3 * np.exp(-1), 4.0]))
    with pytest.raises(InputError, match="gate: got 'relu'; expected one of sigmoid, sqrt_relu"):
        GatedLayer([1.0], [0.0], [1.0], "relu")
    with pytest.raises(InputError, match=r"base: got shape \(1, 1, 1\); expected \(rows"):
        GatedLayer([1.0], [0.0], [[[1.0]]], "sigmoid")
    with pytest.raises(InputError, match=r"base: got nan"):
        GatedLayer([1.0], [0.0], [np.nan], "sigmoid")
    with pytest.raises(InputError, match="w_hyper: got 2 entries; expected 1 entries"):
        GatedLayer([1.0, 1.0], [0.0], [1.0], "sigmoid")
    with pytest.raises(InputError, match="b_hyper: got 2 entries; expected 1 entries"):
        GatedLayer([1.0], [0.0, 1.0], [1.0], "sigmoid")
    for name in ("w_hyper", "b_hyper", "base"):
        with pytest.raises(ValueError, match=r"read-only"):
            getattr(layer, name)[0] = 0.0


def test_second_layers_must_be_dense():
    hyper = Hypernetwork.published(decoder=np.eye(2), noise_variance=1.0)
    diagonal = GatedLayer(np.zeros(2), np.zeros(2), np.ones(2), "sigmoid")
    odd = Hypernetwork(
        (hyper.encoder[0], diagonal), hyper.posterior, hyper.decoder, 1.0, np.zeros(2)
    )
    with pytest.raises(InputError, match="second layer: got a diagonal layer; expected a dense"):
        odd(1.0)


def test_shapes_and_offsets():
    population = Population(np.array([3.0, 1.0, 0.0]), np.eye(3), np.array([1.0, 2.0, 3.0]))
    hyper = Hypernetwork.exact(population.spectrum, latent_dim=2, noise_variance=0.5)
    assert [layer.dense_base.shape for layer in hyper.encoder] == [(3, 3), (2, 3)]
    assert [layer.dense_base.shape for layer in hyper.posterior] == [(2, 2), (2, 2)]
    assert [layer.dense_base.shape for layer in hyper.decoder] == [(2, 2), (3, 2)]
    vae = hyper(np.ones((2, 5)))
    assert vae.batch_shape == (2, 5)
    assert (vae.encoder_offset == population.mean).all()
    assert (vae.decoder_offset == population.mean).all()
    assert (vae.noise_variance == 0.5).all()
    assert hyper(2).batch_shape == ()
    assert (
        Hypernetwork.published(decoder=np.eye(3), noise_variance=1.0)(1.0).encoder_offset.any() == 0
    )


def test_bad_input():
    spectrum = Spectrum.from_eigenvalues([2.0, 1.0])
    hyper = Hypernetwork.exact(spectrum, latent_dim=1, noise_variance=1.0)
    for bad in (0.0, -1.0, np.nan, np.inf, [1.0, -1.0], []):
        with pytest.raises(InputError, match=r"beta: got .*; expected .*> 0"):
            hyper(bad)
    for bad in (0.0, np.nan):
        with pytest.raises(InputError, match=r"noise_variance: got .*; expected finite"):
            Hypernetwork.exact(spectrum, latent_dim=1, noise_variance=bad)
        with pytest.raises(InputError, match=r"noise_variance: got .*; expected finite"):
            Hypernetwork.published(decoder=np.eye(2), noise_variance=bad)
    with pytest.raises(InputError, match="expected one number"):
        Hypernetwork.exact(spectrum, latent_dim=1, noise_variance=[1.0, 2.0])
    for bad in (0, 3):
        with pytest.raises(InputError, match=f"latent_dim: got {bad}"):
            Hypernetwork.exact(spectrum, latent_dim=bad, noise_variance=1.0)
    with pytest.raises(InputError, match="latent_dim: got 3; expected an integer >= 1 and <= 1"):
        Hypernetwork.published(decoder=np.ones((1, 3)), noise_variance=1.0)
    with pytest.raises(InputError, match="offset: got 1 entries; expected 2"):
        Hypernetwork.published(decoder=np.eye(2), noise_variance=1.0, offset=[0.0])
    for bad in ((10.0, 0.01), (1.0, 1.0)):
        with pytest.raises(InputError, match=r"beta_range: got .*; expected a < b"):
            hyper.standardised(bad)
    with pytest.raises(InputError, match=r"beta_range: got .*; expected finite numbers > 0"):
        hyper.standardised((0.0, 1.0))
    with pytest.raises(InputError, match="beta_range: got 3 entries; expected 2"):
        hyper.standardised((1.0, 2.0, 3.0))


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_extreme_scales_of_the_published_form(scale):
    D = np.sqrt(scale) * np.array([[1.0, 0.3], [0.2, 2.0], [0.0, 0.5]])
    want = encoder_given_decoder(D, [0.1, 1.0, 10.0], noise_variance=scale)
    got = Hypernetwork.published(decoder=D, noise_variance=scale)([0.1, 1.0, 10.0])
    # log(s2) is 345 here: its ulps are the tolerance.
    slack = 4 * EPS * abs(np.log(scale)) / tolerance("hypernetwork")
    assert_close(got.encoder, want.encoder, "hypernetwork", condition=slack)
    assert_close(got.posterior_variance, want.posterior_variance, "hypernetwork", condition=slack)
