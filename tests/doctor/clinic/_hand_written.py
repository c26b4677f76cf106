"""Linear VAEs trained by gradients written out by hand, with the noise averaged exactly.

``Recipe`` names the terms of the gradient one by one, so that a fault is one term that is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Factor = Callable[[float, int, int, int], float]  # (beta, n, k, N) -> coefficient


@dataclass(frozen=True)
class Recipe:
    """Coefficients and switches of one trainer; the defaults are right for σ² = ½."""

    error: Factor = lambda beta, n, k, N: 1.0  # of the squared error
    kl: Factor = lambda beta, n, k, N: beta  # of the KL with its ½
    noise_power: float = 1.0  # noise = exp(noise_power log_var)
    kl_power: float = 1.0  # the KL reads exp(kl_power log_var)
    mean_in_kl: bool = True
    variance_in_kl: bool = True
    noise_in_error: bool = True
    error_reaches_encoder: bool = True
    frozen: tuple[str, ...] = ()
    biases: bool = True
    centred: bool = False  # works on centred data and forgets the mean in decode
    dead: int | None = None  # latent that starts at zero
    decay: float = 0.0  # L2 penalty on every parameter
    tied: bool = False  # the decoder is the transpose of the encoder
    free: float = 0.0  # nats of each latent that the KL does not count
    prior: float = 1.0  # variance of the prior
    steps: int = 700
    rate: float = 0.1
    returned: str = "log_var"  # or "log_std": what encode gives


class Affine:
    """What the trainers here return."""

    def __init__(self, weights, recipe, rng=None):
        self.w, self.recipe, self.rng = weights, recipe, rng

    def encode(self, x):
        mean = x @ self.w["E"].T + self.w["h"]
        log_var = np.broadcast_to(self.w["l"], mean.shape)
        if self.rng is not None:
            mean = mean + np.exp(log_var / 2) * self.rng.standard_normal(mean.shape)
        return mean, log_var

    def decode(self, z):
        return z @ self.w["D"].T + self.w["m"]


def train(recipe, X, beta, k, seed):
    """Adam with a falling rate on the moments of the data."""
    rng = np.random.default_rng(seed)
    N, n = X.shape
    mu = X.mean(axis=0)
    S = (X - mu).T @ (X - mu) / N
    start = np.zeros(n) if recipe.centred else mu
    w = {
        "E": 0.3 * rng.standard_normal((k, n)),
        "h": np.zeros(k),
        "l": np.full(k, -0.5),
        "D": 0.3 * rng.standard_normal((n, k)),
        "m": np.zeros(n),
    }
    if recipe.dead is not None:
        w["E"][recipe.dead] = 0.0
        w["D"][:, recipe.dead] = 0.0
        w["h"][recipe.dead] = 0.0
    coefficients = recipe.error(beta, n, k, N), recipe.kl(beta, n, k, N)
    held = set(recipe.frozen) | (set() if recipe.biases else {"h", "m"})
    # One vector with a view for each parameter: Adam then costs a handful of array operations.
    flat = np.concatenate([v.ravel() for v in w.values()])
    slopes, free = np.zeros_like(flat), np.zeros_like(flat)
    begin = 0
    view, slope = {}, {}
    for name, value in w.items():
        part = slice(begin, begin + value.size)
        view[name] = flat[part].reshape(value.shape)
        slope[name] = slopes[part].reshape(value.shape)
        free[part] = name not in held
        begin = part.stop
    first, second = np.zeros_like(flat), np.zeros_like(flat)
    for step in range(recipe.steps):
        if recipe.tied:
            view["D"][:] = view["E"].T
        _slopes(recipe, view, S, start, coefficients, slope)
        if recipe.tied:
            slope["E"] += slope["D"].T
        slopes += recipe.decay * flat
        rate = recipe.rate * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
        first += 0.1 * (slopes - first)
        second += 0.01 * (slopes * slopes - second)
        lift = (1 - 0.9 ** (step + 1)) / math.sqrt(1 - 0.99 ** (step + 1))
        flat -= (rate / lift) * free * first / (np.sqrt(second) + 1e-30)
    w = {name: value.copy() for name, value in view.items()}
    if recipe.tied:
        w["D"] = w["E"].T.copy()
    if recipe.centred:
        w["h"] = w["h"] - w["E"] @ mu
    if recipe.returned == "log_std":
        w["l"] = w["l"] / 2
    return w


def _slopes(recipe, w, S, mu, coefficients, out):
    """Gradient of error(w) + KL(w), term by term, written into `out`."""
    error, weight = coefficients
    E, h, l, D, m = w["E"], w["h"], w["l"], w["D"], w["m"]  # noqa: E741
    v = np.exp(np.minimum(recipe.noise_power * l, 60)) * recipe.noise_in_error
    c = np.exp(np.minimum(recipe.kl_power * l, 60))
    a = E @ mu + h
    s = mu - m - D @ a
    read = E @ S
    missed = S - D @ read  # (I - DE) S
    to_encoder = error * 2 * recipe.error_reaches_encoder
    signal = np.einsum("kn,kn->k", read, E)
    rates = 0.5 * (signal + a * a + c - 1 - np.log(c))
    counted = weight * (rates > recipe.free) if recipe.free else np.full(len(c), weight)
    kl_mean = counted * recipe.mean_in_kl / recipe.prior
    pull = kl_mean * a - to_encoder * (s @ D)
    out["E"][:] = kl_mean[:, None] * read - to_encoder * (D.T @ missed) + pull[:, None] * mu
    out["h"][:] = pull
    out["D"][:] = 2 * error * (D * v - missed @ E.T - s[:, None] * a)
    out["m"][:] = -2 * error * s
    from_error = error * recipe.error_reaches_encoder * recipe.noise_power
    out["l"][:] = from_error * v * (D * D).sum(axis=0)
    out["l"] += counted * recipe.variance_in_kl * 0.5 * recipe.kl_power * (c / recipe.prior - 1)
