"""Rates in closed form against Hessians by differences and searches that try to beat them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import linvae as lv
from linvae import dynamics
from linvae.errors import InputError, PartialSpectrumError
from linvae.response import encoder_given_decoder
from linvae.testing.strategies import Parameters, Problem, generators, orthogonal_matrix, problems
from tests import oracles
from tests.tolerances import assert_close, tolerance

Array = np.ndarray
MODEST = st.floats(-1.0, 1.0).map(lambda x: float(10.0**x))
# Away from the critical value, where the optimum has a kink and differences see both sides.
RATIOS = st.floats(0.05, 0.95) | st.floats(1.05, 4.0)


def unpacked(flat: Array, n: int, k: int, s2: float) -> Parameters:
    E, D, log_c = np.split(flat, [n * k, 2 * n * k])
    zero = np.zeros(n)
    return Parameters(E.reshape(k, n), np.exp(log_c), D.reshape(n, k), s2, zero, zero, np.zeros(k))


def packed(model: lv.LinearVAE) -> Array:
    parts = (model.encoder.ravel(), model.decoder.ravel(), np.log(model.posterior_variance))
    return np.concatenate(parts)


def slope(flat: Array, S: Array, k: int, s2: float, beta: float) -> Array:
    """Gradient of the objective by the oracle, in E, D and log c."""
    p = unpacked(flat, S.shape[0], k, s2)
    found = oracles.gradient(S, np.zeros(S.shape[0]), p, beta)
    return np.concatenate([found["E"].ravel(), found["D"].ravel(), found["log_c"]])


def hessian_of(gradient: Any, point: Array, step: float = 1e-4) -> Array:
    columns = [
        (8 * (gradient(point + h) - gradient(point - h)) - gradient(point + 2 * h)
         + gradient(point - 2 * h)) / (12 * step)
        for h in step * np.eye(point.size)
    ]  # fmt: skip
    matrix = np.array(columns)
    return (matrix + matrix.T) / 2


def joint_eigenvalues(values: Array, k: int, s2: float, beta: float) -> Array:
    spectrum = lv.Spectrum.from_eigenvalues(values)
    start = packed(lv.response(spectrum, beta, latent_dim=k, noise_variance=s2))
    S = np.diag(spectrum.eigenvalues)
    return np.linalg.eigvalsh(hessian_of(lambda v: slope(v, S, k, s2, beta), start))


def decoder_eigenvalues(values: Array, k: int, s2: float, beta: float) -> Array:
    """The same for the decoder alone: the gradient of a partial minimum is the partial gradient."""
    spectrum = lv.Spectrum.from_eigenvalues(values)
    S, n = np.diag(spectrum.eigenvalues), values.size

    def gradient(flat: Array) -> Array:
        model = encoder_given_decoder(flat.reshape(n, k), beta, noise_variance=s2)
        return slope(packed(model), S, k, s2, beta)[n * k : 2 * n * k]

    start = lv.response(spectrum, beta, latent_dim=k, noise_variance=s2).decoder.ravel()
    return np.linalg.eigvalsh(hessian_of(gradient, start))


def assert_among(rates: Array, eigenvalues: Array) -> None:
    """Every rate is an eigenvalue, to the accuracy of differences."""
    scale = np.abs(eigenvalues).max()
    nearest = np.abs(np.asarray(rates).ravel()[:, None] - eigenvalues).min(axis=1)
    assert_close(nearest, np.zeros(nearest.size), "difference", scale=scale)


@given(MODEST, MODEST, RATIOS)
def test_rates_of_one_mode_are_those_of_a_numerical_hessian(
    value: float, s2: float, ratio: float
) -> None:
    beta = ratio * value / s2
    S, options = np.array([[value]]), {"noise_variance": s2}
    at_saddle = np.linalg.eigvalsh(hessian_of(lambda v: slope(v, S, 1, s2, beta), np.zeros(3)))
    growth = dynamics.escape_rate(value, beta, **options)
    assert (growth > 0) == (ratio < 1)
    assert_among(-growth, at_saddle)
    direction = dynamics.escape_direction(value, beta, **options)
    assert direction.min() > 0
    ahead = slope(np.array([*(1e-5 * direction), 0.0]), S, 1, s2, beta)[:2] / 1e-5
    assert_close(ahead, -growth * direction, "difference", scale=at_saddle.max())
    settled = joint_eigenvalues(np.array([value]), 1, s2, beta)
    rate = dynamics.convergence_rate(value, beta, **options)
    assert_close(rate, settled[0], "difference", scale=settled[-1])
    alone = decoder_eigenvalues(np.array([value]), 1, s2, beta)
    assert_close(
        dynamics.convergence_rate(value, beta, flow="decoder", **options), alone[0], "difference"
    )
    curve = hessian_of(
        lambda d: slope(
            packed(encoder_given_decoder(d.reshape(1, 1), beta, noise_variance=s2)), S, 1, s2, beta
        )[1:2],
        np.zeros(1),
        1e-4 * np.sqrt(beta * s2),
    )
    assert_close(
        -dynamics.escape_rate(value, beta, flow="decoder", **options), curve[0, 0], "difference"
    )


@given(MODEST, MODEST, st.floats(0.05, 0.95))
def test_rates_with_the_variance_itself_as_parameter(value: float, s2: float, ratio: float) -> None:
    beta = ratio * value / s2
    settled = dynamics.convergence_rate(value, beta, noise_variance=s2, posterior="variance")

    def gradient(v: Array) -> Array:
        at = slope(np.array([v[0], v[1], np.log(v[2])]), np.array([[value]]), 1, s2, beta)
        return at / np.array([1.0, 1.0, v[2]])

    above = np.sqrt(value * (1 - ratio))
    point = np.array([above / value, above, ratio])
    eigenvalues = np.linalg.eigvalsh(hessian_of(gradient, point, 1e-3 * ratio))
    assert_close(settled, eigenvalues[0], "difference", scale=eigenvalues[-1])


@st.composite
def models(draw: st.DrawFn) -> tuple[Array, int, float, float]:
    """Separated eigenvalues, k < n, and β away from the critical ones."""
    n = draw(st.integers(2, 4))
    gaps = [draw(st.floats(1.15, 2.5)) for _ in range(n)]
    values = 0.3 * np.cumprod(gaps)[::-1]
    k = draw(st.integers(1, n))
    place = draw(st.integers(0, n))
    edges = np.concatenate([[2 * values[0]], values, [values[-1] / 3]])
    s2 = draw(MODEST)
    return values, k, s2, float(np.sqrt(edges[place] * edges[place + 1])) / s2


@settings(max_examples=12)
@given(models())
def test_rates_of_the_model_are_those_of_a_numerical_hessian(
    model: tuple[Array, int, float, float],
) -> None:
    values, k, s2, beta = model
    spectrum = lv.Spectrum.from_eigenvalues(values)
    for flow, eigenvalues in (
        ("joint", joint_eigenvalues(values, k, s2, beta)),
        ("decoder", decoder_eigenvalues(values, k, s2, beta)),
    ):
        options: dict[str, Any] = {"latent_dim": k, "noise_variance": s2, "flow": flow}
        pairs = dynamics.alignment_rates(spectrum, beta, **options)
        swaps = dynamics.swap_rates(spectrum, beta, **options)
        assert pairs.shape == (k, k)
        assert swaps.shape == (k, values.size - k)
        assert (pairs == pairs.T).all()
        assert_among(pairs, eigenvalues)
        assert_among(swaps, eigenvalues)
        # None is left out: the slowest of the whole Hessian is one of them.
        slowest = min(pairs.min(), swaps.min(initial=np.inf))
        assert_close(slowest, eigenvalues[0], "difference", scale=eigenvalues[-1])


@given(models())
def test_diagonal_holds_the_modes(model: tuple[Array, int, float, float]) -> None:
    values, k, s2, beta = model
    spectrum = lv.Spectrum.from_eigenvalues(values)
    for flow in ("joint", "decoder"):
        pairs = dynamics.alignment_rates(spectrum, beta, latent_dim=k, noise_variance=s2, flow=flow)
        own = dynamics.convergence_rate(values[:k], beta, noise_variance=s2, flow=flow)
        assert_close(np.diagonal(pairs), own)


@settings(max_examples=10)
@given(models(), generators())
def test_no_direction_relaxes_more_slowly(
    model: tuple[Array, int, float, float], rng: np.random.Generator
) -> None:
    """Minimise the Rayleigh quotient of the objective's own second difference over directions."""
    values, k, s2, beta = model
    spectrum = lv.Spectrum.from_eigenvalues(values)
    start = packed(lv.response(spectrum, beta, latent_dim=k, noise_variance=s2))
    S, h = np.diag(values), 1e-4
    options: dict[str, Any] = {"latent_dim": k, "noise_variance": s2}
    predicted = min(
        dynamics.alignment_rates(spectrum, beta, **options).min(),
        dynamics.swap_rates(spectrum, beta, **options).min(initial=np.inf),
    )

    def quotient(v: Array) -> tuple[float, Array]:
        unit = v / np.linalg.norm(v)
        bend = slope(start + h * unit, S, k, s2, beta) - slope(start - h * unit, S, k, s2, beta)
        image = bend / (2 * h)
        value = float(unit @ image)
        return value, 2 * (image - value * unit) / np.linalg.norm(v)

    found = minimize(quotient, rng.standard_normal(start.size), jac=True, method="L-BFGS-B")
    top = np.abs(joint_scale(S, k, s2, beta))
    assert found.fun >= predicted - tolerance("difference") * top


def joint_scale(S: Array, k: int, s2: float, beta: float) -> float:
    """An upper bound of the Hessian's size at the optimum."""
    values = np.diagonal(S)
    return float((1 + values[0] * max(values[0], beta * s2)) / s2 + beta * k)


@settings(max_examples=10)
@given(MODEST, MODEST, st.floats(0.05, 0.95), generators())
def test_nothing_leaves_collapse_faster(
    value: float, s2: float, ratio: float, rng: np.random.Generator
) -> None:
    """No direction of a model with several latents and modes grows faster than its first mode."""
    beta, k = ratio * value / s2, 2
    values = value * np.array([1.0, 0.7, 0.1])
    S, h = np.diag(values), 1e-4

    def quotient(v: Array) -> tuple[float, Array]:
        unit = v / np.linalg.norm(v)
        image = slope(h * unit, S, k, s2, beta) / h
        value = float(unit @ image)
        return value, 2 * (image - value * unit) / np.linalg.norm(v)

    start = rng.standard_normal(2 * 3 * k + k)
    found = minimize(quotient, start, jac=True, method="L-BFGS-B")
    rates = dynamics.escape_rate(values, beta, noise_variance=s2)
    predicted = rates[0]
    assert predicted == rates.max()
    assert -found.fun <= predicted + tolerance("difference") * (1 + value**2 * (1 + ratio)) / s2
    rotated = np.outer(np.eye(3)[0], [0.6, 0.8])  # any latents
    e, d = dynamics.escape_direction(value, beta, noise_variance=s2)
    best = np.concatenate([(e * rotated.T).ravel(), (d * rotated).ravel(), np.zeros(k)])
    assert_close(
        -quotient(best)[0], predicted, "difference", scale=(1 + value**2 * (1 + ratio)) / s2
    )


@given(problems(), st.floats(0.02, 3.0), st.floats(-4.0, 4.0))
def test_rotation_costs_what_is_predicted(problem: Problem, ratio: float, angle: float) -> None:
    """Rotated decoder, best encoder: its excess over the optimum, for every pair of latents."""
    spectrum, k, s2 = problem.spectrum, problem.k, problem.s2
    beta = ratio * spectrum.eigenvalues[0] / s2
    best = lv.response(spectrum, beta, **problem.options)
    lowest = best.evaluate(spectrum, beta).objective
    values = spectrum.leading_eigenvalues(k)
    # The units of its rounding: the summands of the objective.
    size = abs(lowest) + spectrum.total_variance / s2 + beta * (1 + abs(np.log(ratio)) * k)
    size += spectrum.n_features * abs(np.log(s2))
    for i in range(k):
        for j in range(i):
            if values[i] == 0:
                continue
            turn = np.eye(k)
            turn[np.ix_([j, i], [j, i])] = [[np.cos(angle), -np.sin(angle)],
                                            [np.sin(angle), np.cos(angle)]]  # fmt: skip
            model = encoder_given_decoder(
                best.decoder @ turn, beta, noise_variance=s2, offset=spectrum.mean
            )
            excess = model.evaluate(spectrum, beta).objective - lowest
            stated = dynamics.rotation_excess(values[j], values[i], beta, angle, noise_variance=s2)
            assert stated >= 0
            assert_close(excess, stated, scale=size)


@settings(max_examples=10)
@given(st.floats(1.1, 8.0), st.floats(0.1, 0.9), st.floats(0.05, 1.5), generators())
def test_no_encoder_makes_up_for_a_rotation(
    ratio: float, level: float, angle: float, rng: np.random.Generator
) -> None:
    """Minimise the full objective over E and C from random starts, the rotated decoder fixed."""
    values = np.array([ratio, 1.0])
    spectrum = lv.Spectrum.from_eigenvalues(values)
    best = lv.response(spectrum, level, latent_dim=2, noise_variance=1.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    decoder = best.decoder @ turn

    def cost(v: Array) -> tuple[float, Array]:
        flat = np.concatenate([v[:4], decoder.ravel(), v[4:]])
        p = unpacked(flat, 2, 2, 1.0)
        found = slope(flat, np.diag(values), 2, 1.0, level)
        value = oracles.objective(np.diag(values), np.zeros(2), p, level)
        return value, np.delete(found, slice(4, 8))

    found = minimize(cost, rng.standard_normal(6), jac=True, method="BFGS", options={"gtol": 1e-9})
    excess = found.fun - best.evaluate(spectrum, level).objective
    stated = dynamics.rotation_excess(ratio, 1.0, level, angle, noise_variance=1.0)
    assert_close(excess, stated, "optimisation", scale=10.0)


def test_neighbours_align_last_and_ties_never() -> None:
    options: dict[str, Any] = {"latent_dim": 2, "noise_variance": 1.0}
    for flow in ("joint", "decoder"):
        slow = [
            dynamics.alignment_rates(
                lv.Spectrum.from_eigenvalues([1 + gap, 1.0]), 0.3, flow=flow, **options
            )[0, 1]
            for gap in (1e-2, 1e-3, 0.0)
        ]
        assert 95 < slow[0] / slow[1] < 105, "second order in the gap"
        assert slow[2] == 0
    # Half of what the curvature along the rotation suggests: that is not the slowest direction.
    gap, beta = 1e-4, 0.3
    bend = beta * gap**2 / (1 + gap)
    naive = bend / (2 - 2 * beta + gap)
    exact = dynamics.alignment_rates(
        lv.Spectrum.from_eigenvalues([1 + gap, 1.0]), beta, flow="decoder", **options
    )[0, 1]
    assert naive / exact == pytest.approx(2, rel=1e-3)


def test_training_stalls_at_both_ends() -> None:
    betas = np.array([1e-6, 1e-3, 0.5, 1 - 1e-3, 1 - 1e-6, 1.0])
    for flow in ("joint", "decoder"):
        rate = dynamics.convergence_rate(1.0, betas, noise_variance=1.0, flow=flow)
        assert rate[-1] == 0
        assert (np.diff(rate[:3]) > 0).all()
        assert (np.diff(rate[2:]) < 0).all()
        escape = dynamics.escape_rate(1.0, betas[-2], noise_variance=1.0, flow=flow)
        assert rate[-2] / escape == pytest.approx(2, rel=1e-5)


@given(problems(extreme=True), st.floats(0.01, 3.0))
def test_extreme_scales_give_numbers_or_a_clear_error(problem: Problem, ratio: float) -> None:
    top = problem.spectrum.eigenvalues[0]
    beta = ratio * top / problem.s2
    try:
        rates = dynamics.alignment_rates(problem.spectrum, beta, **problem.options)
        swaps = dynamics.swap_rates(problem.spectrum, beta, **problem.options)
    except InputError:
        return
    assert (rates >= 0).all()
    assert (swaps >= 0).all()


def test_bad_input() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([2.0, 1.0])
    good: dict[str, Any] = {"noise_variance": 1.0}
    with pytest.raises(InputError, match="eigenvalue"):
        dynamics.escape_rate(-1.0, 1.0, **good)
    with pytest.raises(InputError, match="flow: got 'both'"):
        dynamics.convergence_rate(1.0, 1.0, flow="both", **good)
    with pytest.raises(InputError, match="posterior"):
        dynamics.convergence_rate(1.0, 1.0, posterior="sigma", **good)
    with pytest.raises(InputError, match="share"):
        dynamics.escape_time(2.0, 1.0, 1e-3, share=1.0, **good)
    with pytest.raises(InputError, match="start"):
        dynamics.escape_time(2.0, 1.0, 0.9, **good)
    with pytest.raises(InputError, match="collapsed mode has no lag"):
        dynamics.tracking_lag(1.0, 2.0, 0.1, **good)
    with pytest.raises(InputError, match="finite"):
        dynamics.rotation_excess(1.0, 2.0, 1.0, np.nan, **good)
    with pytest.raises(InputError, match="latent_dim"):
        dynamics.alignment_rates(spectrum, 1.0, latent_dim=3, **good)
    with pytest.raises(InputError, match="beyond the float64 range"):
        dynamics.escape_rate(1e20, 1e-300, flow="decoder", **good)
    with pytest.raises(InputError, match="λ/σ² within the float64 range"):
        dynamics.escape_rate(1e300, 1.0, noise_variance=1e-300)
    partial = lv.Spectrum.from_samples(np.random.default_rng(0).standard_normal((9, 4)), leading=2)
    with pytest.raises(PartialSpectrumError):
        dynamics.alignment_rates(partial, 1.0, latent_dim=3, **good)
    assert dynamics.escape_time(1.0, 2.0, 1e-3, **good) == np.inf
    assert dynamics.swap_rates(partial, 1.0, latent_dim=2, **good).shape == (2, 0)


def test_rates_do_not_depend_on_the_basis() -> None:
    rng = np.random.default_rng(1)
    values = np.array([3.0, 2.0, 0.5])
    turned = lv.Spectrum.from_eigenvalues(values, eigenvectors=orthogonal_matrix(3, rng))
    plain = lv.Spectrum.from_eigenvalues(values)
    options: dict[str, Any] = {"latent_dim": 2, "noise_variance": 0.7}
    assert_close(
        dynamics.alignment_rates(turned, 0.9, **options),
        dynamics.alignment_rates(plain, 0.9, **options),
    )
