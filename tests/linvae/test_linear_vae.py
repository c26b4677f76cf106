"""Exact objective, likelihood and information of any parameters, against dense oracles."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from linvae import LinearVAE, Spectrum, response
from linvae.linear_vae import elbo_split, evaluate, information, log_likelihood
from linvae.testing import strategies
from linvae.testing.strategies import Parameters, Population
from tests import oracles
from tests.tolerances import EPS, assert_close, tolerance

TAME = ("random", "tied", "flat", "zeros", "near")


@st.composite
def cases(draw, **options):
    """A population, any parameters meant for its scale, and a beta."""
    options.setdefault("kinds", TAME)
    population = draw(strategies.populations(max_n=6, **options))
    k = draw(st.integers(1, population.n))
    p = draw(strategies.parameters(population.n, k, scale=float(population.values[0])))
    return population, p, draw(st.sampled_from([0.05, 1.0, 7.0]))


def _nats(population, p):
    """Size of the summands of rate and squared error, for tolerances."""
    mu, a = population.mean, np.abs(p.E) @ (np.abs(population.mean) + np.abs(p.me)) + np.abs(p.h)
    rate = p.k + p.c.sum() + np.abs(np.log(p.c)).sum()
    rate += np.linalg.norm(p.E) ** 2 * population.values.sum() + a @ a
    gain = np.linalg.norm(p.D) ** 2
    error = population.values.sum() + mu @ mu + p.md @ p.md + gain * rate
    return rate, error


@given(cases())
def test_evaluate_equals_the_definitions(case):
    population, p, beta = case
    S, mu = population.covariance, population.mean
    terms = evaluate(p.vae, population.spectrum, beta)
    rate_size, error_size = _nats(population, p)
    assert_close(terms.rate, oracles.rate(S, mu, p), scale=rate_size)
    assert_close(terms.squared_error, oracles.squared_error(S, mu, p), scale=error_size)
    nats = rate_size * beta + error_size / p.s2 + population.n * (1 + abs(np.log(p.s2)))
    assert_close(terms.distortion, oracles.distortion(S, mu, p), scale=nats)
    assert_close(terms.objective, oracles.objective(S, mu, p, beta), scale=nats)
    assert_close(terms.elbo, -(terms.distortion + terms.rate), "rounding", scale=nats)
    assert terms.beta == beta
    assert terms.noise_variance == p.s2
    assert terms.n_features == population.n
    assert_close(
        terms.bits_per_dimension, -terms.elbo / np.log(2) / population.n, "rounding", scale=nats
    )
    assert all(isinstance(v, float) for v in (terms.rate, terms.distortion, terms.objective))


@given(cases())
def test_information_equals_the_definitions(case):
    population, p, _ = case
    S, mu = population.covariance, population.mean
    got = information(p.vae, population.spectrum)
    size = _nats(population, p)[0]
    mean, covariance = oracles.aggregated(S, mu, p)
    condition = np.linalg.cond(covariance)
    assert_close(got.aggregated_mean, mean, scale=size)
    assert_close(got.aggregated_covariance, covariance, scale=size)
    want = {
        "rate": oracles.rate(S, mu, p),
        "mutual_information": oracles.conditional_entropy_information(S, p),
        "marginal_kl": oracles.gaussian_kl(mean, covariance, np.zeros(p.k), np.eye(p.k)),
        "total_correlation": oracles.total_correlation(S, p),
        "dimension_wise_kl": oracles.dimension_wise_kl(S, mu, p),
    }
    for name, value in want.items():
        # The dense oracle loses the condition number of the aggregated covariance.
        assert_close(
            getattr(got, name), value, "rounding", scale=size + condition, condition=10 * p.k
        )
    assert_close(got.rate_per_latent.sum(), got.rate, "rounding", scale=size)
    assert got.rate_per_latent.shape == got.dimension_wise_kl.shape == (p.k,)


@given(cases())
def test_the_rate_splits_and_no_part_is_negative(case):
    population, p, _ = case
    got = information(p.vae, population.spectrum)
    size = _nats(population, p)[0]
    assert_close(got.rate, got.mutual_information + got.marginal_kl, "rounding", scale=size)
    assert_close(
        got.marginal_kl,
        got.total_correlation + got.dimension_wise_kl.sum(),
        "rounding",
        scale=size,
    )
    assert got.mutual_information >= 0
    assert (got.rate_per_latent >= 0).all()
    assert (got.dimension_wise_kl >= 0).all()
    assert got.total_correlation >= -64 * EPS * size
    assert got.mutual_information <= got.rate + 64 * EPS * size


def test_information_is_not_the_same_number_for_every_encoder():
    """An anisotropic encoder by hand: E = diag(2, 1), S = I, c = (1, 1)."""
    vae = LinearVAE(np.diag([2.0, 1.0]), np.ones(2), np.eye(2), 1.0)
    got = information(vae, Spectrum.from_eigenvalues([1.0, 1.0]))
    assert_close(got.mutual_information, 0.5 * (np.log(5.0) + np.log(2.0)))
    assert_close(got.dimension_wise_kl, 0.5 * np.array([4 - np.log(5.0), 1 - np.log(2.0)]))
    assert_close(got.total_correlation, 0.0, scale=1)
    assert_close(got.rate, 2.5)


def test_total_correlation_of_two_equal_latents_by_hand():
    """Both latents read the same feature: correlation 1/2, TC = -log(1 - 1/4)/2."""
    vae = LinearVAE([[1.0, 0.0], [1.0, 0.0]], np.ones(2), np.zeros((2, 2)), 1.0)
    got = information(vae, Spectrum.from_eigenvalues([1.0, 1.0]))
    assert_close(got.total_correlation, -0.5 * np.log(0.75))


@given(cases())
def test_log_likelihood_and_the_gap_of_the_bound(case):
    population, p, _ = case
    S, mu = population.covariance, population.mean
    got = log_likelihood(p.vae, population.spectrum)
    elbo = evaluate(p.vae, population.spectrum, 1.0).elbo
    nats = _nats(population, p)[1] / p.s2 + population.n * (1 + abs(np.log(p.s2)))
    condition = np.linalg.cond(p.D @ p.D.T + p.s2 * np.eye(population.n))
    assert_close(got, oracles.log_likelihood(S, mu, p), "rounding", scale=nats * condition)
    assert elbo <= got + 64 * EPS * nats
    condition = np.linalg.cond(np.eye(p.k) + p.D.T @ p.D / p.s2)
    assert_close(
        got - elbo, oracles.elbo_gap(S, mu, p), "rounding", scale=nats * condition, size=10
    )


@given(strategies.problems(max_n=6, kinds=TAME))
def test_the_bound_is_tight_at_the_optimum_of_beta_one(problem):
    vae = response(problem.spectrum, 1.0, **problem.options)
    elbo = vae.evaluate(problem.spectrum, 1.0).elbo
    size = abs(elbo) + problem.population.n * (1 + abs(np.log(problem.s2)))
    size += problem.population.values.sum() / problem.s2
    assert_close(vae.log_likelihood(problem.spectrum), elbo, "rounding", scale=size)


@given(cases(kinds=("random", "tied", "flat", "near")))
def test_elbo_split_identity_with_finite_entropy(case):
    population, p, _ = case
    S, mu = population.covariance, population.mean
    got = elbo_split(p.vae, population.spectrum)
    nats = _nats(population, p)[1] / p.s2 + population.n * (1 + abs(np.log(p.s2)))
    nats += abs(got.data_entropy)
    right = got.likelihood_ratio - got.mutual_information - got.data_kl - got.marginal_kl
    assert_close(got.elbo + got.data_entropy, right, "rounding", scale=nats)
    assert_close(got.data_entropy, oracles.gaussian_entropy(S), scale=nats)
    marginal = p.D @ p.D.T + p.s2 * np.eye(population.n)
    want = oracles.gaussian_kl(mu, S, p.md, marginal)
    condition = np.linalg.cond(marginal) + np.linalg.cond(S)
    assert_close(got.data_kl, want, "rounding", scale=nats * condition)
    assert got.data_kl >= -64 * EPS * nats
    assert_close(
        got.likelihood_ratio,
        -oracles.distortion(S, mu, p) - oracles.log_likelihood(S, mu, p),
        "rounding",
        scale=nats * condition,
    )


@given(cases(kinds=("zeros",)))
def test_elbo_split_of_singular_data(case):
    population, p, _ = case
    got = elbo_split(p.vae, population.spectrum)
    nats = _nats(population, p)[1] / p.s2 + population.n * (1 + abs(np.log(p.s2)))
    right = got.log_likelihood + got.likelihood_ratio - got.mutual_information - got.marginal_kl
    assert_close(got.elbo, right, "rounding", scale=nats)
    if population.values[-1] == 0:
        assert got.data_entropy == -np.inf
        assert got.data_kl == np.inf
    assert np.isfinite([got.elbo, got.likelihood_ratio, got.mutual_information]).all()


@given(cases())
def test_data_processing_inequality(case):
    """H - D <= I <= R for Gaussian data and any parameters."""
    population, p, _ = case
    terms = evaluate(p.vae, population.spectrum, 1.0)
    parts = information(p.vae, population.spectrum)
    slack = 64 * EPS * (_nats(population, p)[0] + abs(terms.distortion))
    assert population.spectrum.gaussian_entropy - terms.distortion <= (
        parts.mutual_information + slack
    )
    assert parts.mutual_information <= terms.rate + slack


@given(cases(), strategies.generators())
def test_rotation_of_data_and_model_together_changes_nothing(case, rng):
    population, p, beta = case
    Q = strategies.orthogonal_matrix(population.n, rng)
    turned = Population(population.values, Q @ population.vectors, Q @ population.mean)
    q = Parameters(p.E @ Q.T, p.c, Q @ p.D, p.s2, Q @ p.me, Q @ p.md, p.h)
    rate_size, error_size = _nats(population, p)
    here = evaluate(p.vae, population.spectrum, beta)
    there = evaluate(q.vae, turned.spectrum, beta)
    assert_close(there.rate, here.rate, "rounding", scale=rate_size, size=population.n)
    assert_close(
        there.squared_error, here.squared_error, "rounding", scale=error_size, size=population.n
    )
    assert_close(
        log_likelihood(q.vae, turned.spectrum),
        log_likelihood(p.vae, population.spectrum),
        "rounding",
        scale=error_size / p.s2 + population.n * (1 + abs(np.log(p.s2))),
        size=population.n,
    )


@given(cases(), strategies.generators())
def test_latents_may_be_permuted_and_flipped(case, rng):
    population, p, beta = case
    order, sign = rng.permutation(p.k), rng.choice([-1.0, 1.0], p.k)
    q = Parameters(
        (sign[:, None] * p.E)[order],
        p.c[order],
        (p.D * sign)[:, order],
        p.s2,
        p.me,
        p.md,
        (sign * p.h)[order],
    )
    rate_size, error_size = _nats(population, p)
    here, there = (evaluate(v.vae, population.spectrum, beta) for v in (p, q))
    assert_close(there.rate, here.rate, "rounding", scale=rate_size)
    assert_close(there.squared_error, here.squared_error, "rounding", scale=error_size)
    parts = [information(v.vae, population.spectrum) for v in (p, q)]
    assert_close(
        parts[1].total_correlation, parts[0].total_correlation, "rounding", scale=rate_size
    )
    assert_close(
        parts[1].dimension_wise_kl, parts[0].dimension_wise_kl[order], "rounding", scale=rate_size
    )


@given(cases(extreme=True), st.sampled_from([2.0**-400, 2.0**-30, 2.0**300]))
def test_scaling_data_and_model_together_keeps_the_rate_exactly(case, factor):
    population, p, beta = case
    if not 1e-290 < population.values[0] * factor**1 < 1e290:
        factor = 1.0
    root = np.sqrt(factor)
    scaled = Population(population.values * factor, population.vectors, population.mean * root)
    q = Parameters(p.E / root, p.c, p.D * root, p.s2 * factor, p.me * root, p.md * root, p.h)
    here = evaluate(p.vae, population.spectrum, beta)
    there = evaluate(q.vae, scaled.spectrum, beta)
    rate_size, error_size = _nats(population, p)
    assert np.isfinite([there.rate, there.objective, there.squared_error]).all()
    assert_close(there.rate, here.rate, "rounding", scale=rate_size)
    assert_close(there.squared_error / factor, here.squared_error, "rounding", scale=error_size)


def test_other_data_set_with_shifted_mean_against_monte_carlo():
    """200 000 samples of x and z, seed 5; five standard errors of each average."""
    rng = np.random.default_rng(5)
    n, k, size = 4, 2, 200_000
    population = Population(
        np.array([3.0, 1.0, 0.4, 0.1]),
        strategies.orthogonal_matrix(n, rng),
        np.array([1.0, -2.0, 0.5, 0.0]),
    )
    p = Parameters(
        rng.standard_normal((k, n)),
        np.array([0.3, 1.7]),
        rng.standard_normal((n, k)),
        0.7,
        rng.standard_normal(n),
        rng.standard_normal(n),
        np.array([0.8, -0.4]),
    )
    x = population.spectrum.sample(size, rng)
    means = p.vae.encode(x)
    assert_close(means, (x - p.me) @ p.E.T + p.h)
    z = means + np.sqrt(p.c) * rng.standard_normal(means.shape)
    errors = ((x - p.vae.decode(z)) ** 2).sum(axis=1)
    rates = 0.5 * (p.c + means**2 - 1 - np.log(p.c)).sum(axis=1)
    marginal = p.D @ p.D.T + p.s2 * np.eye(n)
    step = x - p.md
    logs = -0.5 * (
        n * np.log(2 * np.pi)
        + np.linalg.slogdet(marginal)[1]
        + np.einsum("ij,ij->i", step @ np.linalg.inv(marginal), step)
    )
    terms = p.vae.evaluate(population.spectrum, 1.0)
    for draws, exact in (
        (errors, terms.squared_error),
        (rates, terms.rate),
        (logs, p.vae.log_likelihood(population.spectrum)),
    ):
        standard_error = draws.std() / np.sqrt(size)
        assert standard_error < 0.02 * abs(exact), "too few samples to tell anything"
        assert abs(draws.mean() - exact) <= tolerance("monte_carlo") * standard_error
    # The offsets must matter, or a version that ignores them would pass.
    centred = Parameters(p.E, p.c, p.D, p.s2, population.mean, population.mean, 0 * p.h)
    there = centred.vae.evaluate(population.spectrum, 1.0)
    assert abs(there.rate - terms.rate) > 0.1
    assert abs(there.squared_error - terms.squared_error) > 0.1


def test_exact_on_the_very_samples_whatever_their_distribution():
    """Averages over 40 exponential samples equal the formulas on their own spectrum (ddof 0)."""
    rng = np.random.default_rng(3)
    x = rng.exponential(size=(40, 3)) ** 2
    p = Parameters(
        rng.standard_normal((2, 3)), np.array([0.5, 2.0]), rng.standard_normal((3, 2)), 0.3,
        np.ones(3), -np.ones(3), np.array([0.1, 0.2]),
    )  # fmt: skip
    means = (x - p.me) @ p.E.T + p.h
    rate = 0.5 * (p.c + means**2 - 1 - np.log(p.c)).sum(axis=1).mean()
    error = ((x - means @ p.D.T - p.md) ** 2).sum(axis=1).mean() + (p.c * p.D**2).sum()
    terms = p.vae.evaluate(Spectrum.from_samples(x), 2.0)
    assert_close(terms.rate, rate, "rounding")
    assert_close(terms.squared_error, error, "rounding")


@given(cases())
def test_mean_shift_formulas_of_the_optimum_on_shifted_data(case):
    """With both offsets at mu + delta: error += |(I - DE) delta|^2, rate += |E delta|^2 / 2."""
    population, p, _ = case
    delta = p.me - population.mean
    moved = Parameters(p.E, p.c, p.D, p.s2, p.me, p.me, 0 * p.h)
    fixed = Parameters(p.E, p.c, p.D, p.s2, population.mean, population.mean, 0 * p.h)
    a, b = (evaluate(v.vae, population.spectrum, 1.0) for v in (moved, fixed))
    rate_size, error_size = _nats(population, p)
    error_size += np.linalg.norm(p.D) ** 2 * rate_size
    assert_close(a.rate - b.rate, 0.5 * np.sum((p.E @ delta) ** 2), scale=rate_size)
    want = np.sum((delta - p.D @ (p.E @ delta)) ** 2)
    assert_close(a.squared_error - b.squared_error, want, scale=error_size)


@given(strategies.populations(min_n=3, max_n=6, kinds=TAME), st.data())
def test_a_batch_equals_its_models_one_by_one(population, data):
    k = data.draw(st.integers(1, population.n))
    scale = float(population.values[0])
    ps = [data.draw(strategies.parameters(population.n, k, scale=scale)) for _ in range(6)]
    fields = ("E", "c", "D", "s2", "me", "md", "h")
    stacked = [np.array([getattr(p, f) for p in ps]) for f in fields]
    batch = LinearVAE(*(a.reshape(3, 2, *a.shape[1:]) for a in stacked))
    betas = np.array([0.3, 2.0])
    spectrum = population.spectrum
    terms = batch.evaluate(spectrum, betas)
    parts, split = batch.information(spectrum), batch.elbo_split(spectrum)
    logs = batch.log_likelihood(spectrum)
    assert terms.rate.shape == logs.shape == parts.total_correlation.shape == (3, 2)
    for i, p in enumerate(ps):
        at = (i // 2, i % 2)
        alone = p.vae.evaluate(spectrum, betas[at[1]])
        size = sum(_nats(population, p))
        for name in ("rate", "squared_error"):
            assert_close(getattr(terms, name)[at], getattr(alone, name), "rounding", scale=size)
        nats = size / p.s2 + 10 * size + abs(alone.distortion)
        for got, want in (
            (terms.objective[at], alone.objective),
            (logs[at], p.vae.log_likelihood(spectrum)),
            (parts.total_correlation[at], p.vae.information(spectrum).total_correlation),
            (split.likelihood_ratio[at], p.vae.elbo_split(spectrum).likelihood_ratio),
        ):
            assert_close(got, want, "rounding", scale=nats)
        assert_close(batch[at].evaluate(spectrum, 1.0).rate, alone.rate, "rounding", scale=size)


def test_large_batches_are_worked_off_in_blocks(monkeypatch):
    from linvae import linear_vae

    rng = np.random.default_rng(0)
    vae = LinearVAE(
        rng.standard_normal((7, 2, 3)), np.ones((7, 2)), rng.standard_normal((7, 3, 2)), 1.0
    )
    spectrum = Spectrum.from_eigenvalues([3.0, 2.0, 1.0])
    whole = vae.evaluate(spectrum, 1.0).squared_error
    for entries in (1, 20):
        monkeypatch.setattr(linear_vae, "_BATCH_ENTRIES", entries)
        assert_close(vae.evaluate(spectrum, 1.0).squared_error, whole, "rounding")
