"""Slow, independent answers from the definitions, by dense matrices; the library is never imported.

Averages over data are taken over sigma points, which are exact for everything quadratic in x:
2n equally likely points with the mean and covariance of the data. `p` is any object with the
arrays E (k, n), c (k,), D (n, k), me (n,), md (n,), h (k,) and the number s2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DirectOptimum",
    "ExactPoint",
    "aggregated",
    "conditional_entropy_information",
    "critical_values",
    "dimension_wise_kl",
    "direct_optimum",
    "distortion",
    "elbo_gap",
    "exact_curve",
    "exact_gain",
    "expect",
    "gaussian_entropy",
    "gaussian_kl",
    "gaussian_log_density",
    "gradient",
    "log_likelihood",
    "objective",
    "rate",
    "squared_error",
    "total_correlation",
    "trace_rate",
    "trace_squared_error",
    "water_fill_lagrangian",
    "water_fill_rate",
]

Array = NDArray[np.float64]


# Gaussians


def gaussian_kl(m1: Array, S1: Array, m2: Array, S2: Array) -> float:
    """KL(N(m1, S1) || N(m2, S2))."""
    inverse = np.linalg.inv(S2)
    step = m2 - m1
    logdets = np.linalg.slogdet(S2)[1] - np.linalg.slogdet(S1)[1]
    return 0.5 * float(np.trace(inverse @ S1) + step @ inverse @ step - m1.size + logdets)


def gaussian_entropy(S: Array) -> float:
    """Differential entropy."""
    return 0.5 * float(len(S) * np.log(2 * np.pi * np.e) + np.linalg.slogdet(S)[1])


def gaussian_log_density(x: Array, m: Array, S: Array) -> float:
    """log N(x; m, S)."""
    step = x - m
    quadratic = float(step @ np.linalg.inv(S) @ step)
    return -0.5 * (m.size * np.log(2 * np.pi) + np.linalg.slogdet(S)[1] + quadratic)


def expect(f: Callable[[Array], float], S: Array, mu: Array) -> float:
    """E f(x) for quadratic f, from 2n points with the right mean and covariance."""
    n = mu.size
    values, vectors = np.linalg.eigh(S)
    roots = np.sqrt(n * np.maximum(values, 0.0)) * vectors
    return float(np.mean([f(mu + sign * root) for root in roots.T for sign in (1.0, -1.0)]))


# The objective, twice: by its meaning (sigma points) and by the trace formulas


def _posterior_mean(x: Array, p: Any) -> Array:
    return p.E @ (x - p.me) + p.h


def rate(S: Array, mu: Array, p: Any) -> float:
    """Average explicit KL between q(z|x) and p(z)."""
    k = p.c.size
    C, prior = np.diag(p.c), np.eye(k)
    return expect(lambda x: gaussian_kl(_posterior_mean(x, p), C, np.zeros(k), prior), S, mu)


def squared_error(S: Array, mu: Array, p: Any) -> float:
    """Average of ||x - Dz - m||^2 over x and z ~ q(z|x)."""
    noise = float(np.trace(p.D @ np.diag(p.c) @ p.D.T))
    return noise + expect(
        lambda x: float(np.sum((x - p.D @ _posterior_mean(x, p) - p.md) ** 2)), S, mu
    )


def trace_rate(S: Array, mu: Array, p: Any) -> float:
    """The rate by its trace formula."""
    a = _posterior_mean(mu, p)
    inner = p.c.sum() + np.trace(p.E @ S @ p.E.T) + a @ a - p.c.size - np.log(p.c).sum()
    return 0.5 * float(inner)


def trace_squared_error(S: Array, mu: Array, p: Any) -> float:
    """The squared error by its trace formula."""
    v = mu - p.md - p.D @ _posterior_mean(mu, p)
    DE, gram = p.D @ p.E, p.D.T @ p.D
    parts = (
        np.trace(S)
        - 2 * np.trace(DE @ S)
        + np.trace(p.E.T @ gram @ p.E @ S)
        + np.trace(gram @ np.diag(p.c))
        + v @ v
    )
    return float(parts)


def distortion(S: Array, mu: Array, p: Any) -> float:
    """Average of -log p(x|z)."""
    return 0.5 * (mu.size * np.log(2 * np.pi * p.s2) + squared_error(S, mu, p) / p.s2)


def objective(S: Array, mu: Array, p: Any, beta: float) -> float:
    """Distortion + beta * rate."""
    return distortion(S, mu, p) + beta * rate(S, mu, p)


def gradient(S: Array, mu: Array, p: Any, beta: float) -> dict[str, Array]:
    """Exact gradient of the objective in E, log c, D, me, md and h."""
    a = _posterior_mean(mu, p)
    v = mu - p.md - p.D @ a
    missed = (np.eye(mu.size) - p.D @ p.E) @ S
    to_latent = -p.D.T @ v / p.s2 + beta * a  # derivative in a
    return {
        "E": -p.D.T @ missed / p.s2 + beta * p.E @ S + np.outer(to_latent, mu - p.me),
        "log_c": 0.5 * p.c * (p.D**2).sum(axis=0) / p.s2 + 0.5 * beta * (p.c - 1),
        "D": (-missed @ p.E.T + p.D * p.c - np.outer(v, a)) / p.s2,
        "me": -p.E.T @ to_latent,
        "md": -v / p.s2,
        "h": to_latent,
    }


# Information and likelihood


def aggregated(S: Array, mu: Array, p: Any) -> tuple[Array, Array]:
    """Mean and covariance of q(z)."""
    return _posterior_mean(mu, p), p.E @ S @ p.E.T + np.diag(p.c)


def conditional_entropy_information(S: Array, p: Any) -> float:
    """I(x; z) = H(z) - H(z|x)."""
    covariance = p.E @ S @ p.E.T + np.diag(p.c)
    return gaussian_entropy(covariance) - gaussian_entropy(np.diag(p.c))


def total_correlation(S: Array, p: Any) -> float:
    """KL between q(z) and the product of its marginals."""
    covariance = p.E @ S @ p.E.T + np.diag(p.c)
    zero = np.zeros(p.c.size)
    return gaussian_kl(zero, covariance, zero, np.diag(np.diagonal(covariance)))


def dimension_wise_kl(S: Array, mu: Array, p: Any) -> Array:
    """KL(q(z_j) || N(0, 1)) for every latent."""
    mean, covariance = aggregated(S, mu, p)
    one = np.eye(1)
    return np.array(
        [
            gaussian_kl(mean[j : j + 1], covariance[j : j + 1, j : j + 1], np.zeros(1), one)
            for j in range(p.c.size)
        ]
    )


def log_likelihood(S: Array, mu: Array, p: Any) -> float:
    """Average log density of the model's marginal."""
    marginal = p.D @ p.D.T + p.s2 * np.eye(mu.size)
    return expect(lambda x: gaussian_log_density(x, p.md, marginal), S, mu)


def elbo_gap(S: Array, mu: Array, p: Any) -> float:
    """Average KL between q(z|x) and the true posterior p(z|x)."""
    precision = np.eye(p.c.size) + p.D.T @ p.D / p.s2
    posterior = np.linalg.inv(precision)
    C = np.diag(p.c)

    def kl(x: Array) -> float:
        true_mean = posterior @ p.D.T @ (x - p.md) / p.s2
        return gaussian_kl(_posterior_mean(x, p), C, true_mean, posterior)

    return expect(kl, S, mu)


# The curve, by brute force


def critical_values(S: Array, s2: float) -> Array:
    """Eigenvalues over the noise variance, descending, from the dense matrix."""
    return np.linalg.eigvalsh(S)[::-1] / s2


def _golden_minimum(f: Callable[[float], float], low: float, high: float) -> float:
    share = (np.sqrt(5) - 1) / 2
    for _ in range(80):
        a, b = high - share * (high - low), low + share * (high - low)
        if f(a) <= f(b):
            high = b
        else:
            low = a
    return 0.5 * (low + high)


def water_fill_lagrangian(values: Array, k: int, s2: float, beta: float) -> float:
    """Minimum over all choices of k modes and their errors of error / (2 s2) + beta * rate."""

    def saving(value: float) -> float:
        if value == 0:
            return 0.0

        def cost(log_share: float) -> float:
            return value * np.exp(log_share) / (2 * s2) - 0.5 * beta * log_share

        return value / (2 * s2) - cost(_golden_minimum(cost, -60.0, 0.0))

    savings = [saving(float(v)) for v in values]
    best = max(sum(chosen) for chosen in combinations(savings, k))
    return float(values.sum()) / (2 * s2) - max(best, 0.0)


_PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")


@dataclass(frozen=True)
class ExactPoint:
    """A point of the curve with some 60 right digits."""

    rate: Decimal
    error: Decimal
    distortion: Decimal
    constant: Decimal


def exact_curve(values: Iterable[float], k: int, s2: float, beta: float) -> ExactPoint:
    """Reverse water-filling of the k largest values at level beta * s2, in decimals."""
    with localcontext() as context:
        context.prec = 60
        level = Decimal(beta) * Decimal(s2)
        ordered = sorted((Decimal(float(v)) for v in values), reverse=True)
        top, rest = ordered[:k], ordered[k:]
        nats = sum(((v / level).ln() / 2 for v in top if v > level), Decimal(0))
        error = sum((min(v, level) for v in top), Decimal(0)) + sum(rest, Decimal(0))
        constant = Decimal(len(ordered)) / 2 * (2 * _PI * Decimal(s2)).ln()
        return ExactPoint(nats, error, constant + error / (2 * Decimal(s2)), constant)


def exact_gain(value: float, s2: float, beta: float, shift: float = 0.0) -> float:
    """sqrt(1 - exp(x + shift)), 0 beyond x + shift >= 0, with x = log(beta s2 / value) exactly."""
    ratio = Fraction(beta) * Fraction(s2) / Fraction(value)
    inside = float(1 - ratio) - float(ratio) * float(np.expm1(shift))
    return float(np.sqrt(max(inside, 0.0)))


def water_fill_rate(values: Array, k: int, rate_nats: float) -> float:
    """Least squared error at a rate: bisection for the water level."""
    top = np.sort(values)[::-1][:k]
    low, high = np.log(top.max()) - 2 * rate_nats - 1.0, float(np.log(top.max()))
    for _ in range(200):
        middle = 0.5 * (low + high)
        spent = 0.5 * np.maximum(np.log(top[top > 0]) - middle, 0.0).sum()
        low, high = (middle, high) if spent > rate_nats else (low, middle)
    return float(np.minimum(top, np.exp(high)).sum() + np.sort(values)[::-1][k:].sum())


# Direct optimisation


@dataclass(frozen=True)
class DirectOptimum:
    """Best of several restarts: the objective without its constant, and all restarts' values."""

    value: float
    values: Array


def direct_optimum(
    S: Array, k: int, s2: float, beta: float, restarts: int, rng: np.random.Generator
) -> DirectOptimum:
    """Minimise error / (2 s2) + beta * rate over (E, D, log c) from random starts by L-BFGS."""
    from scipy.optimize import minimize

    n = len(S)
    eye = np.eye(n)
    size = n * k

    def value_and_gradient(theta: Array) -> tuple[float, Array]:
        E, D = theta[:size].reshape(k, n), theta[size : 2 * size].reshape(n, k)
        log_c = theta[2 * size :]
        c = np.exp(log_c)
        missed = eye - D @ E
        ES, gram = E @ S, (D**2).sum(axis=0)
        missed_S = missed @ S
        error = np.vdot(missed_S, missed) + c @ gram
        nats = 0.5 * (np.vdot(ES, E) + (np.expm1(log_c) - log_c).sum())
        out = np.empty_like(theta)
        out[:size] = (-D.T @ missed_S / s2 + beta * ES).ravel()
        out[size : 2 * size] = ((-missed_S @ E.T + D * c) / s2).ravel()
        out[2 * size :] = 0.5 * c * gram / s2 + 0.5 * beta * (c - 1)
        return float(error / (2 * s2) + beta * nats), out

    found = []
    for _ in range(restarts):
        start = np.concatenate([rng.standard_normal(2 * size), rng.normal(-0.5, 1.0, k)])
        result = minimize(
            value_and_gradient,
            start,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 2000, "maxfun": 4000, "maxcor": 30, "ftol": 1e-15, "gtol": 1e-11},
        )
        found.append(float(result.fun))
    return DirectOptimum(min(found), np.array(found))
