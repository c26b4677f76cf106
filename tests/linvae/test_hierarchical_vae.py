"""The terms of any two-layer model, against their definitions by dense matrices and by sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import linvae as lv
from linvae.errors import InputError, PartialSpectrumError
from linvae.hierarchical import HierarchicalVAE
from linvae.hierarchical.bottom_up import BottomUpVAE
from linvae.testing.strategies import Population, populations
from tests import oracles
from tests.linvae.hierarchical_tools import minimise, top_down
from tests.tolerances import assert_close, tolerance

SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3))


def drawn_top_down(p: Population, k1: int, k2: int, seed: int) -> HierarchicalVAE:
    """Parameters that are optimal nowhere, with offsets everywhere."""
    rng, n, root = np.random.default_rng(seed), p.n, np.sqrt(p.values[0])
    return HierarchicalVAE(
        encoder2=rng.standard_normal((k2, n)) / root,
        variance2=np.exp(rng.normal(0, 1, k2)),
        encoder1=rng.standard_normal((k1, n)) / root,
        skip=rng.standard_normal((k1, k2)),
        variance1=np.exp(rng.normal(0, 1, k1)),
        prior_gain=rng.standard_normal((k1, k2)),
        prior_variance=np.exp(rng.normal(0, 1, k1)),
        decoder=rng.standard_normal((n, k1)) * root,
        noise_variance=float(p.values[0] * np.exp(rng.normal())),
        encoder_offset=p.mean + root * rng.standard_normal(n),
        decoder_offset=p.mean + root * rng.standard_normal(n),
        latent_offset1=rng.standard_normal(k1),
        latent_offset2=rng.standard_normal(k2),
        prior_offset=rng.standard_normal(k1),
    )


def drawn_bottom_up(p: Population, k1: int, k2: int, seed: int) -> BottomUpVAE:
    """The same for bottom-up inference."""
    rng, n, root = np.random.default_rng(seed), p.n, np.sqrt(p.values[0])
    return BottomUpVAE(
        encoder1=rng.standard_normal((k1, n)) / root,
        variance1=np.exp(rng.normal(0, 1, k1)),
        encoder2=rng.standard_normal((k2, k1)),
        variance2=np.exp(rng.normal(0, 1, k2)),
        prior_gain=rng.standard_normal((k1, k2)),
        prior_variance=np.exp(rng.normal(0, 1, k1)),
        decoder=rng.standard_normal((n, k1)) * root,
        noise_variance=float(p.values[0] * np.exp(rng.normal())),
        encoder_offset=p.mean + root * rng.standard_normal(n),
        decoder_offset=p.mean + root * rng.standard_normal(n),
        latent_offset1=rng.standard_normal(k1),
        latent_offset2=rng.standard_normal(k2),
        prior_offset=rng.standard_normal(k1),
    )


def joint_top_down(p: Population, v: HierarchicalVAE) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of (x, z₂)."""
    mean2 = v.encoder2 @ (p.mean - v.encoder_offset) + v.latent_offset2
    S, cross = p.covariance, p.covariance @ v.encoder2.T
    own = v.encoder2 @ cross + np.diag(v.variance2)
    return np.concatenate([p.mean, mean2]), np.block([[S, cross], [cross.T, own]])


def terms_top_down(p: Population, v: HierarchicalVAE) -> tuple[float, float, float]:
    """Squared error, ℛ₁ and ℛ₂ by explicit divergences, averaged over sigma points."""
    n = p.n
    mean, covariance = joint_top_down(p, v)
    C1, prior = np.diag(v.variance1), np.diag(v.prior_variance)

    def mean1(y: np.ndarray) -> np.ndarray:
        return v.encoder1 @ (y[:n] - v.encoder_offset) + v.skip @ y[n:] + v.latent_offset1

    def kl1(y: np.ndarray) -> float:
        told = v.prior_gain @ y[n:] + v.prior_offset
        return oracles.gaussian_kl(mean1(y), C1, told, prior)

    def kl2(x: np.ndarray) -> float:
        got = v.encoder2 @ (x - v.encoder_offset) + v.latent_offset2
        return oracles.gaussian_kl(got, np.diag(v.variance2), np.zeros(got.size), np.eye(got.size))

    def miss(y: np.ndarray) -> float:
        return float(np.sum((y[:n] - v.decoder @ mean1(y) - v.decoder_offset) ** 2))

    noise = float(np.trace(v.decoder @ C1 @ v.decoder.T))
    return (
        oracles.expect(miss, covariance, mean) + noise,
        oracles.expect(kl1, covariance, mean),
        oracles.expect(kl2, p.covariance, p.mean),
    )


def terms_bottom_up(p: Population, v: BottomUpVAE) -> tuple[float, float, float]:
    """The same for bottom-up inference, from log-densities at sigma points of (x, z₁, z₂)."""
    n, k1 = p.n, v.variance1.size
    mean1 = v.encoder1 @ (p.mean - v.encoder_offset) + v.latent_offset1
    maps = np.concatenate([np.eye(n), v.encoder1])  # of x
    lower = maps @ p.covariance @ maps.T
    lower[n:, n:] += np.diag(v.variance1)
    up = np.concatenate([np.eye(n + k1), np.concatenate([np.zeros((v.variance2.size, n)),
                                                       v.encoder2], axis=1)])  # fmt: skip
    whole = up @ lower @ up.T
    whole[n + k1 :, n + k1 :] += np.diag(v.variance2)
    mean = np.concatenate([p.mean, mean1, v.encoder2 @ mean1 + v.latent_offset2])

    def terms(y: np.ndarray) -> tuple[float, float, float]:
        x, z1, z2 = y[:n], y[n : n + k1], y[n + k1 :]
        own = v.encoder1 @ (x - v.encoder_offset) + v.latent_offset1
        told = v.prior_gain @ z2 + v.prior_offset
        read = v.encoder2 @ z1 + v.latent_offset2
        density = oracles.gaussian_log_density
        return (
            float(np.sum((x - v.decoder @ z1 - v.decoder_offset) ** 2)),
            density(z1, own, np.diag(v.variance1)) - density(z1, told, np.diag(v.prior_variance)),
            density(z2, read, np.diag(v.variance2))
            - density(z2, np.zeros(z2.size), np.eye(z2.size)),
        )

    return tuple(
        oracles.expect(lambda y, i=i: terms(y)[i], whole, mean)  # type: ignore[misc]
        for i in range(3)
    )


def compare(got: Any, want: tuple[float, float, float], sigma2: float, n: int) -> None:
    error, rate1, rate2 = want
    size = 1 + abs(rate1) + abs(rate2) + error / (2 * sigma2)
    assert_close(got.squared_error, error, scale=error, condition=10)
    assert_close(got.rate1, rate1, scale=size, condition=10)
    assert_close(got.rate2, rate2, scale=size, condition=10)
    distortion = 0.5 * n * np.log(2 * np.pi * sigma2) + error / (2 * sigma2)
    assert_close(got.distortion, distortion, scale=abs(distortion) + size)
    total = distortion + 0.7 * rate1 + 1.9 * rate2
    assert_close(got.objective, total, scale=abs(distortion) + 3 * size)
    assert got.elbo == -(got.distortion + got.rate1 + got.rate2)


@settings(max_examples=40)
@given(populations(max_n=5), SIZES, st.integers(0, 2**32 - 1))
def test_top_down_terms_of_any_parameters(p: Population, sizes: tuple[int, int], seed: int) -> None:
    vae = drawn_top_down(p, *sizes, seed)
    got = vae.evaluate(p.spectrum, 0.7, 1.9)
    compare(got, terms_top_down(p, vae), vae.noise_variance, p.n)


@settings(max_examples=40)
@given(populations(max_n=5), SIZES, st.integers(0, 2**32 - 1))
def test_bottom_up_terms_of_any_parameters(
    p: Population, sizes: tuple[int, int], seed: int
) -> None:
    vae = drawn_bottom_up(p, *sizes, seed)
    got = vae.evaluate(p.spectrum, 0.7, 1.9)
    compare(got, terms_bottom_up(p, vae), vae.noise_variance, p.n)


def population(seed: int = 5, n: int = 4) -> Population:
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((n, n)))[0]
    return Population(np.geomspace(4.0, 0.2, n), turn, rng.standard_normal(n))


def log_normal(x: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    return -0.5 * (np.log(2 * np.pi * variance) + (x - mean) ** 2 / variance).sum(axis=-1)


def test_top_down_by_sampling(rng: np.random.Generator) -> None:
    p, count = population(), 100_000
    v = drawn_top_down(p, 3, 2, 1)
    x = p.spectrum.sample(count, rng)
    mean2 = (x - v.encoder_offset) @ v.encoder2.T + v.latent_offset2
    z2 = mean2 + np.sqrt(v.variance2) * rng.standard_normal(mean2.shape)
    mean1 = (x - v.encoder_offset) @ v.encoder1.T + z2 @ v.skip.T + v.latent_offset1
    z1 = mean1 + np.sqrt(v.variance1) * rng.standard_normal(mean1.shape)
    draws = {
        "rate2": log_normal(z2, mean2, v.variance2) - log_normal(z2, 0 * z2, np.ones(2)),
        "rate1": log_normal(z1, mean1, v.variance1)
        - log_normal(z1, z2 @ v.prior_gain.T + v.prior_offset, v.prior_variance),
        "distortion": -log_normal(
            x, z1 @ v.decoder.T + v.decoder_offset, np.full(4, v.noise_variance)
        ),
    }
    got = v.evaluate(p.spectrum, 1.0, 1.0)
    for name, values in draws.items():
        error = values.std() / np.sqrt(count)
        assert abs(values.mean() - getattr(got, name)) < tolerance("monte_carlo") * error, name


def test_bottom_up_by_sampling(rng: np.random.Generator) -> None:
    p, count = population(), 100_000
    v = drawn_bottom_up(p, 3, 2, 1)
    x = p.spectrum.sample(count, rng)
    mean1 = (x - v.encoder_offset) @ v.encoder1.T + v.latent_offset1
    z1 = mean1 + np.sqrt(v.variance1) * rng.standard_normal(mean1.shape)
    mean2 = z1 @ v.encoder2.T + v.latent_offset2
    z2 = mean2 + np.sqrt(v.variance2) * rng.standard_normal(mean2.shape)
    draws = {
        "rate2": log_normal(z2, mean2, v.variance2) - log_normal(z2, 0 * z2, np.ones(2)),
        "rate1": log_normal(z1, mean1, v.variance1)
        - log_normal(z1, z2 @ v.prior_gain.T + v.prior_offset, v.prior_variance),
        "distortion": -log_normal(
            x, z1 @ v.decoder.T + v.decoder_offset, np.full(4, v.noise_variance)
        ),
    }
    got = v.evaluate(p.spectrum, 1.0, 1.0)
    for name, values in draws.items():
        error = values.std() / np.sqrt(count)
        assert abs(values.mean() - getattr(got, name)) < tolerance("monte_carlo") * error, name


def test_the_evidence_bound_is_not_passed(rng: np.random.Generator) -> None:
    """Over all encoders, ELBO <= log-likelihood, reached by the exact posterior."""
    values = np.array([3.0, 1.0, 0.5])
    S, n, s2 = np.diag(values), 3, 0.4
    D, A, log_s = rng.standard_normal((n, 1)), np.array([[1.3]]), np.array([-0.5])
    inner = D @ (A @ A.T + np.exp(log_s)[:, None]) @ D.T + s2 * np.eye(n)
    quadratic = float(np.trace(np.linalg.solve(inner, S)))
    likelihood = -0.5 * (n * np.log(2 * np.pi) + np.linalg.slogdet(inner)[1] + quadratic)

    def gap(theta: np.ndarray) -> np.ndarray:
        parts = np.split(theta, [n, n + 1, 2 * n + 1, 2 * n + 2], axis=-1)
        q = {"E2": parts[0][..., None, :], "log_c2": parts[1], "F": parts[2][..., None, :]}
        q |= {"G": parts[3][..., None], "log_c1": parts[4], "A": A, "D": D, "log_s": log_s}
        error, rate1, rate2 = top_down(S, q)
        distortion = 0.5 * n * np.log(2 * np.pi * s2) + error / (2 * s2)
        return np.asarray(likelihood + distortion + rate1 + rate2)

    best, _ = minimise(gap, 2 * n + 3, rng, starts=5)
    assert -1e-12 < best < 1e-10


def test_leading_eigenpairs_suffice_for_encoders_that_read_them() -> None:
    p = population(n=5)
    whole, partial = p.spectrum, p.leading(3)
    for draw in (drawn_top_down, drawn_bottom_up):
        vae: Any = draw(p, 2, 2, 3)
        with pytest.raises(PartialSpectrumError):
            vae.evaluate(partial, 1.0, 1.0)
        inside = {"encoder1": vae.encoder1 @ whole.leading_eigenvectors(3)
                  @ whole.leading_eigenvectors(3).T}  # fmt: skip
        if isinstance(vae, HierarchicalVAE):
            inside["encoder2"] = 0 * vae.encoder2
        inner = type(vae)(**{**vars(vae), **inside})
        one, other = (inner.evaluate(s, 1.0, 2.0) for s in (whole, partial))
        assert_close(other.objective, one.objective)


def test_weights_broadcast() -> None:
    p = population()
    for draw in (drawn_top_down, drawn_bottom_up):
        vae: Any = draw(p, 2, 1, 0)
        many = vae.evaluate(p.spectrum, [[1.0], [2.0]], [0.5, 1.0, 3.0])
        assert many.objective.shape == (2, 3)
        assert many.objective[1, 2] == vae.evaluate(p.spectrum, 2.0, 3.0).objective
        assert isinstance(vae.evaluate(p.spectrum, 2.0, 3.0).objective, float)
        assert vae.latent_dims == (2, 1)
        with pytest.raises(ValueError, match="read-only"):
            vae.decoder[0, 0] = 1.0


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("decoder", np.ones(3), "decoder: got shape"),
        ("variance2", np.ones((1, 1)), "variance2: got shape"),
        ("variance2", -np.ones(2), "variance2: got -1"),
        ("variance1", np.ones(2), "variance1: got shape"),
        ("prior_gain", np.ones((2, 2)), "prior_gain: got shape"),
        ("prior_variance", np.zeros(3), "prior_variance: got 0"),
        ("encoder1", np.full((3, 4), np.nan), "encoder1: got nan"),
        ("noise_variance", 0.0, "noise_variance: got 0"),
        ("latent_offset1", np.ones(4), "latent_offset1: got shape"),
    ],
)
@pytest.mark.parametrize("draw", [drawn_top_down, drawn_bottom_up])
def test_bad_parameters(draw: Any, name: str, value: Any, message: str) -> None:
    vae = draw(population(), 3, 2, 0)
    with pytest.raises(InputError, match=message):
        type(vae)(**{**vars(vae), name: value})


def test_bad_evaluations() -> None:
    for draw in (drawn_top_down, drawn_bottom_up):
        vae: Any = draw(population(), 3, 2, 0)
        with pytest.raises(InputError, match="beta1: got 0"):
            vae.evaluate(population().spectrum, 0.0, 1.0)
        with pytest.raises(InputError, match="beta2"):
            vae.evaluate(population().spectrum, 1.0, -1.0)
        with pytest.raises(InputError, match="spectrum: got ndarray"):
            vae.evaluate(population().covariance, 1.0, 1.0)
        with pytest.raises(InputError, match="features"):
            vae.evaluate(lv.Spectrum.from_eigenvalues([1.0, 2.0]), 1.0, 1.0)
        offset = type(vae)(**{**vars(vae), "encoder_offset": 2.0})
        assert (offset.encoder_offset == 2.0).all()
