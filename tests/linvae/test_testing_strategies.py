"""The strategies draw what they promise, the oracles know known answers, the tolerances bite."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from linvae.testing import strategies
from tests import oracles, tolerances
from tests.tolerances import EPS, assert_close, tolerance


@given(strategies.populations(kinds=strategies.KINDS, extreme=True))
def test_populations_are_valid(population):
    n = population.n
    assert 1 <= n <= 8
    assert (np.diff(population.values) <= 0).all()
    assert (population.values >= 0).all()
    assert np.isfinite(population.values).all()
    assert_close(population.vectors.T @ population.vectors, np.eye(n), "rounding", scale=1.0)
    assert population.mean.shape == (n,)
    S = population.covariance
    assert_close(S, S.T, scale=population.values[0] + 1e-300)
    assert_close(np.trace(S), population.values.sum())
    assert population.kind == "all_zero" or population.values[0] > 0
    spectrum = population.spectrum
    assert np.array_equal(spectrum.eigenvalues, population.values)
    assert np.array_equal(spectrum.mean, population.mean)


@pytest.mark.parametrize(
    "wanted",
    [
        lambda p: p.n == 1,
        lambda p: p.n >= 4 and (p.values == p.values[0]).all(),
        lambda p: p.n >= 4 and p.values[0] > 0 and (p.values == 0).sum() >= 2,
        lambda p: p.n >= 3 and (np.diff(p.values) == 0).any() and (np.diff(p.values) < 0).any(),
        lambda p: 0 < p.values[0] - p.values[-1] <= 8 * np.spacing(p.values[-1]),
        lambda p: p.values[-1] > 0 and p.values[0] > 1e14 * p.values[-1],
        lambda p: p.values[0] > 1e149,
        lambda p: 0 < p.values[0] < 1e-149,
        lambda p: not p.values.any(),
        lambda p: p.n >= 2 and abs(p.vectors[0, 0]) not in (0, 1),
    ],
    ids=["one", "flat", "zeros", "tied", "ulps", "stiff", "huge", "tiny", "nothing", "rotated"],
)
def test_hard_cases_do_occur(wanted):
    everything = strategies.populations(kinds=strategies.KINDS, extreme=True)
    find(
        everything,
        wanted,
        settings=settings(max_examples=4000, derandomize=True, database=None, phases=("generate",)),
    )


@given(strategies.problems(extreme=True), st.data())
def test_betas_are_positive_and_near_the_thresholds(problem, data):
    beta = data.draw(strategies.betas(problem.critical))
    assert 0 < beta < np.inf
    assert 1 <= problem.k <= problem.population.n
    assert problem.s2 > 0
    assert problem.options == {"latent_dim": problem.k, "noise_variance": problem.s2}
    many = data.draw(strategies.beta_arrays(problem.critical, size=4))
    assert many.shape == (4,)
    values = data.draw(strategies.eigenvalues(max_n=3))
    assert 1 <= values.size <= 3


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_betas_on_and_beside_a_critical_beta_occur(steps):
    critical = np.array([3.0, 1.0, 0.0])
    wanted = 1.0 if not steps else float(np.nextafter(1.0, np.inf * steps))
    options = settings(max_examples=2000, derandomize=True, database=None, phases=("generate",))
    find(strategies.betas(critical), lambda b: b == wanted, settings=options)


@given(st.data())
def test_parameters_are_general(data):
    n = data.draw(st.integers(1, 6))
    k = data.draw(st.integers(1, n))
    p = data.draw(strategies.parameters(n, k, scale=4.0))
    vae = p.vae
    assert (p.k, vae.latent_dim, vae.n_features) == (k, k, n)
    again = strategies.Parameters.of(vae)
    for name in ("E", "c", "D", "me", "md", "h"):
        assert np.array_equal(getattr(again, name), getattr(p, name))
    assert again.s2 == p.s2
    plain = data.draw(strategies.parameters(n, k, offsets=False, noise_variance=0.5))
    assert not plain.me.any()
    assert not plain.h.any()
    assert plain.s2 == 0.5


def test_parameters_reach_the_cases_that_matter():
    options = settings(max_examples=500, derandomize=True, database=None, phases=("generate",))
    drawn = strategies.parameters(4, 3)
    find(drawn, lambda p: (p.D == 0).all(axis=0).any(), settings=options)
    find(drawn, lambda p: p.h.any() and p.me.any(), settings=options)
    p = find(drawn, lambda p: p.D.all(), settings=options)
    gram = p.D.T @ p.D
    assert np.abs(gram - np.diag(np.diagonal(gram))).max() > 1e-3


# Oracles against textbook numbers


def test_gaussian_oracles_by_hand():
    one, zero = np.eye(1), np.zeros(1)
    assert_close(oracles.gaussian_kl(zero, one, zero, one), 0.0, scale=1)
    assert_close(oracles.gaussian_kl(np.array([2.0]), one, zero, one), 2.0)
    assert_close(oracles.gaussian_kl(zero, 4 * one, zero, one), 0.5 * (3 - np.log(4)))
    assert_close(oracles.gaussian_kl(zero, one, zero, 4 * one), 0.5 * (np.log(4) - 0.75))
    assert_close(oracles.gaussian_entropy(one), 0.5 * np.log(2 * np.pi * np.e))
    assert_close(
        oracles.gaussian_log_density(np.array([1.0]), zero, one), -0.5 * np.log(2 * np.pi) - 0.5
    )


@given(strategies.populations(max_n=5), strategies.generators())
def test_sigma_points_average_quadratics_exactly(population, rng):
    A, b = rng.standard_normal((population.n,) * 2), rng.standard_normal(population.n)
    S, mu = population.covariance, population.mean
    got = oracles.expect(lambda x: float(x @ A @ x + b @ x + 1), S, mu)
    want = np.trace(A @ S) + mu @ A @ mu + b @ mu + 1
    size = 1 + np.abs(A).sum() * (np.trace(S) + mu @ mu) + np.abs(b).sum() * np.abs(mu).max()
    assert_close(got, want, scale=size)


def test_objective_oracle_by_hand():
    """n = k = 1, S = 2, E = D = 1/2, c = 1/2, s2 = 1, everything centred."""
    p = SimpleNamespace(
        E=np.array([[0.5]]), c=np.array([0.5]), D=np.array([[0.5]]), s2=1.0,
        me=np.zeros(1), md=np.zeros(1), h=np.zeros(1),
    )  # fmt: skip
    S, mu = np.array([[2.0]]), np.zeros(1)
    error = 0.75**2 * 2 + 0.25 * 0.5
    rate = 0.5 * (0.5 + 0.5 - 1 - np.log(0.5))
    assert_close(oracles.squared_error(S, mu, p), error)
    assert_close(oracles.rate(S, mu, p), rate)
    assert_close(oracles.objective(S, mu, p, 3.0), 0.5 * np.log(2 * np.pi) + error / 2 + 3 * rate)


def test_water_filling_oracles_by_hand():
    """Values 4, 2, 1 with two modes and s2 = 1, at beta = 3: only the first is active."""
    values = np.array([4.0, 2.0, 1.0])
    want = 6 / 2 + 3 * 0.5 * np.log(4 / 3)
    assert_close(oracles.water_fill_lagrangian(values, 2, 1.0, 3.0), want)
    assert_close(oracles.water_fill_rate(values, 2, 0.5 * np.log(4 / 3)), 6.0)
    exact = oracles.exact_curve(values, 2, 1.0, 3.0)
    assert_close(float(exact.rate), 0.5 * np.log(4 / 3), "rounding")
    assert float(exact.error) == 6.0
    assert_close(float(exact.distortion), 1.5 * np.log(2 * np.pi) + 3.0, "rounding")
    assert oracles.critical_values(np.diag(values), 2.0).tolist() == [2.0, 1.0, 0.5]


def test_exact_gain_keeps_its_digits_at_the_threshold():
    assert oracles.exact_gain(3.0, 1.0, 3.0) == 0.0
    below = float(np.nextafter(3.0, 0))
    assert_close(oracles.exact_gain(3.0, 1.0, below), np.sqrt((3.0 - below) / 3.0), "rounding")
    assert_close(oracles.exact_gain(4.0, 1.0, 1.0), np.sqrt(0.75), "rounding")
    assert_close(oracles.exact_gain(1.0, 1.0, 1.0, -1e-12), 1e-6, "difference")


def test_direct_optimisation_finds_a_known_optimum():
    """n = k = 1, S = 2, s2 = 1, beta = 1: error 1, rate log(2) / 2."""
    found = oracles.direct_optimum(np.eye(1) * 2, 1, 1.0, 1.0, 5, np.random.default_rng(0))
    assert_close(found.value, 0.5 + 0.5 * np.log(2), scale=1)
    assert found.values.shape == (5,)


def test_the_oracles_never_import_the_library():
    import ast
    from pathlib import Path

    tree = ast.parse(Path(oracles.__file__).read_text(encoding="utf-8"))
    names = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None) or "", *(a.name for a in node.names)]
    }
    assert not any(name.startswith(("linvae", "tests", "deep")) for name in names)


# Tolerances


def test_assert_close_bites():
    assert_close(1.0, 1.0 + 0.9e-10)
    assert_close(np.inf, np.inf)
    assert_close([0.0, 0.0], [0.0, 0.0])
    for got, want in ((1.0, 1.0 + 2e-10), (np.nan, 1.0), (np.nan, np.nan), (np.inf, 1.0)):
        with pytest.raises(AssertionError, match="exact"):
            assert_close(got, want)
    with pytest.raises(AssertionError, match="exact"):
        assert_close(1.0, np.inf)
    with pytest.raises(AssertionError, match="shapes"):
        assert_close(np.ones(2), np.ones(3))
    with pytest.raises(AssertionError):
        assert_close([1.0, 1e-30], [1.0, 2e-30], scale=[1.0, 2e-30])
    assert_close([1.0, 1e-30], [1.0, 2e-30])
    assert tolerance("rounding", condition=10.0, size=2) == 20 * 64 * EPS
    assert tolerance("rounding", condition=0.1) == 64 * EPS
    with pytest.raises(KeyError):
        tolerance("guess")
    with pytest.raises(TypeError):
        tolerances.TOLERANCES["exact", "float64"] = 1.0
