"""Objectives of two-layer models from their joint covariance, and their minimisation.

Written apart from the library: every average is taken over the covariance of (x, z₂, z₁) under q.
The functions take batches of parameter vectors, complex ones too: an imaginary step far below
rounding gives gradients that are exact to the last digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Sizes = tuple[int, int, int]  # n, k1, k2


def shapes(kind: str, sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the parameters; those called log_ are logarithms of variances."""
    n, k1, k2 = sizes
    if kind == "top-down":
        return {
            "E2": (k2, n),
            "log_c2": (k2,),
            "F": (k1, n),
            "G": (k1, k2),
            "log_c1": (k1,),
            "A": (k1, k2),
            "D": (n, k1),
            "log_s": (k1,),
        }
    return {
        "V1": (k1, n),
        "V2": (k2, k1),
        "log_c2": (k2,),
        "W2": (k1, k2),
        "W1": (n, k1),
        "log_t": (k1,),
    }


def unpack(theta: Array, kind: str, sizes: Sizes) -> dict[str, Array]:
    """Parameters by name; a vector without the last block lacks the last entry."""
    out, start = {}, 0
    for name, shape in shapes(kind, sizes).items():
        stop = start + int(np.prod(shape))
        if stop > theta.shape[-1]:
            break
        out[name] = theta[..., start:stop].reshape(*theta.shape[:-1], *shape)
        start = stop
    return out


def _t(matrix: Array) -> Array:
    return np.swapaxes(matrix, -1, -2)


def _diag(matrix: Array) -> Array:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _error(S: Array, D: Array, cross: Array, own: Array) -> Array:
    """E‖x − D z₁‖² from Cov(x, z₁) and Cov(z₁)."""
    return np.trace(S) - 2 * (D * cross).sum((-1, -2)) + ((_t(D) @ D) * own).sum((-1, -2))


def top_down(S: Array, p: dict[str, Array]) -> tuple[Array, Array, Array]:
    """Squared error, rate of z₁ and rate of z₂ of a top-down model."""
    c2, c1 = np.exp(p["log_c2"]), np.exp(p["log_c1"])
    s2 = np.exp(p["log_s"]) if "log_s" in p else np.ones_like(c1)
    C2 = c2[..., None] * np.eye(c2.shape[-1])
    direct = p["F"] + p["G"] @ p["E2"]
    upper = p["E2"] @ S @ _t(p["E2"]) + C2
    both = direct @ S @ _t(p["E2"]) + p["G"] @ C2
    lower = direct @ S @ _t(direct) + p["G"] @ C2 @ _t(p["G"])
    lower = lower + c1[..., None] * np.eye(c1.shape[-1])
    rate2 = 0.5 * (_diag(upper) - 1 - p["log_c2"]).sum(-1)
    A = p["A"]
    apart = lower - A @ _t(both) - both @ _t(A) + A @ upper @ _t(A)
    rate1 = 0.5 * (np.log(s2) - p["log_c1"] - 1 + _diag(apart) / s2).sum(-1)
    return _error(S, p["D"], S @ _t(direct), lower), rate1, rate2


def bottom_up(S: Array, p: dict[str, Array], eta2: float, t: float | None) -> tuple[Array, ...]:
    """Squared error and the two rate terms of a bottom-up model with p(z₁|z₂) of variance eta2."""
    log_t = p["log_t"] if t is None else np.full(p["V1"].shape[-2], np.log(t))
    lower = p["V1"] @ S @ _t(p["V1"]) + np.exp(log_t)[..., None] * np.eye(log_t.shape[-1])
    c2 = np.exp(p["log_c2"])
    upper = p["V2"] @ lower @ _t(p["V2"]) + c2[..., None] * np.eye(c2.shape[-1])
    both = lower @ _t(p["V2"])
    apart = lower - p["W2"] @ _t(both) - both @ _t(p["W2"]) + p["W2"] @ upper @ _t(p["W2"])
    rate1 = 0.5 * (np.log(eta2) - log_t - 1 + _diag(apart) / eta2).sum(-1)
    rate2 = 0.5 * (_diag(upper) - 1 - p["log_c2"]).sum(-1)
    return _error(S, p["W1"], S @ _t(p["V1"]), lower), rate1, rate2


def minimise(
    function: Callable[[Array], Array],
    size: int,
    rng: np.random.Generator,
    *,
    starts: int = 8,
    iterations: int = 3000,
    start: Array | None = None,
) -> tuple[float, Array]:
    """Least value of a function of batches of vectors, by L-BFGS from random starts."""
    from scipy.optimize import minimize

    steps = 1e-30j * np.eye(size)

    def value_and_gradient(theta: Array) -> tuple[float, Array]:
        values = function(theta + steps)
        return float(values[0].real), values.imag / 1e-30

    best, where = np.inf, np.zeros(size)
    for i in range(starts):
        first = 0.7 * rng.standard_normal(size) if start is None or i else start
        found = minimize(
            value_and_gradient,
            first,
            jac=True,
            method="L-BFGS-B",
            options={
                "maxiter": iterations,
                "maxfun": 2 * iterations,
                "maxcor": 30,
                "ftol": 1e-16,
                "gtol": 1e-10,
            },
        )
        if found.fun < best:
            best, where = float(found.fun), found.x
    return best, where


def total(kind: str, sizes: Sizes, *, last: bool) -> int:
    """Number of parameters, with or without the last block (log variances held fixed)."""
    counts = [int(np.prod(shape)) for shape in shapes(kind, sizes).values()]
    return sum(counts if last else counts[:-1])
