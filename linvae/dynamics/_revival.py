"""Gates that close: their slopes, and the gradient that reaches a closed gate, or does not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from linvae._validation import (
    FloatArray,
    as_array,
    as_number,
    as_positive,
    as_positive_number,
    as_vector,
    check_broadcast,
    check_finite,
    check_representable,
    fail,
)

__all__ = ["reopening_rate", "revival_gradient", "smoothed_gate", "smoothed_gate_slope"]

_NODES = 16  # Gauss-Legendre nodes of each interval
_RESCALE = "rescale data, gains and noise variance together"
_RESOLVED = 1e13  # largest steepness that float64 resolves in log β
_HALVINGS = 48  # intervals that shrink towards the threshold


def _sharpness(value: Any) -> float:
    if isinstance(value, float) and value == math.inf:
        return math.inf
    return as_positive_number("sharpness", value, "pass a number > 0, math.inf for the exact gate")


def smoothed_gate(x: Any, sharpness: float = math.inf) -> FloatArray:
    r"""Decoder gate √ReLU(1 − eˣ), or a smooth one that never closes entirely.

    .. math:: g_s(x) = \sqrt{1 - (1 + e^{-sx})^{-1/s}}, \qquad
              g_\infty(x) = \sqrt{\mathrm{ReLU}(1 - e^x)}, \qquad
              0 \le g_s - g_\infty \le \sqrt{1 - 2^{-1/s}}

    Parameters
    ----------
    x : float or array
        log β + b.
    sharpness : float
        s > 0; infinite for the exact gate.

    Returns
    -------
    ndarray
        In [0, 1], falling in x.

    Raises
    ------
    InputError
        x not finite or a sharpness that is not positive.

    Notes
    -----
    Source: derived in ``proofs/gate_gradient.py``.
    """
    given = _arguments(x)
    s = _sharpness(sharpness)
    return np.asarray(np.exp(_log_gate(given, s)))


def smoothed_gate_slope(x: Any, sharpness: float = math.inf) -> FloatArray:
    r"""Derivative of :func:`smoothed_gate`: bounded by √s/2, and never 0 for a finite sharpness.

    .. math:: g_s'(x) = -\frac{(1 + e^{-sx})^{-1/s}}{2\,(1 + e^{sx})\,g_s(x)}, \qquad
              g_\infty'(x) = -\frac{e^x}{2\sqrt{1 - e^x}} \;(x < 0), \quad 0 \;(x \ge 0)

    The exact gate has an unbounded slope below 0 and none beyond: a gate that is closed at all β
    stays closed. At 0, where it has no derivative, 0 is returned, as automatic differentiation of
    the ReLU does.

    Parameters
    ----------
    x : float or array
    sharpness : float
        s > 0; infinite for the exact gate.

    Returns
    -------
    ndarray

    Raises
    ------
    InputError
        As :func:`smoothed_gate`.

    Notes
    -----
    Source: derived in ``proofs/gate_gradient.py``.
    """
    given = _arguments(x)
    s = _sharpness(sharpness)
    open_at = np.where(given < 0, given, -1.0) if math.isinf(s) else given
    closing = _log_closing(open_at, s)
    # Beyond the float64 range both are −inf; the slope vanishes there.
    gate = np.where(np.isinf(closing), 0.0, _log_gate(open_at, s))
    slope = -0.5 * np.exp(closing - gate)
    return np.asarray(np.where(given < 0, slope, 0.0) if math.isinf(s) else slope)


def _arguments(x: Any) -> FloatArray:
    given = as_array("x", x).astype(np.float64)
    check_finite("x", given)
    return given


def _log_gate(x: FloatArray, s: float) -> FloatArray:
    """Logarithm of the gate; −inf where the exact gate is closed."""
    with np.errstate(divide="ignore", over="ignore"):
        if math.isinf(s):
            return np.asarray(np.log(-np.expm1(np.minimum(x, 0.0))) / 2)
        # Far beyond the threshold 1 - (1 + e^{-sx})^{-1/s} is e^{-sx}/s to the last bit.
        far = s * x > 36
        near = -np.expm1(-_softplus(np.where(far, 0.0, x), s))
        return np.asarray(np.where(far, -s * x - np.log(s), np.log(near)) / 2)


def _log_closing(x: FloatArray, s: float) -> FloatArray:
    """Logarithm of −d(g²)/dx."""
    if math.isinf(s):
        return np.asarray(np.where(x < 0, x, -np.inf))
    with np.errstate(over="ignore"):
        return np.asarray(-_softplus(x, s) - np.logaddexp(0.0, s * x))


def _softplus(x: FloatArray, s: float) -> FloatArray:
    """log(1 + e^{-sx})/s, finite where s x is not."""
    return np.asarray(np.maximum(-x, 0.0) + np.log1p(np.exp(-np.abs(s * x))) / s)


def _interval(beta_range: Any) -> tuple[float, float]:
    low, high = as_vector("beta_range", beta_range, 2)
    if not 0 < low < high:
        fail("beta_range", f"({low:g}, {high:g})", "0 < low < high", "pass the range of training")
    return float(np.log(low)), float(np.log(high))


def _panels(low: float, high: float, threshold: float) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights on [low, high], refined towards the threshold from both sides."""
    steps = (high - low) * 0.5 ** np.arange(_HALVINGS)
    even = np.linspace(low, high, 2 + math.ceil(high - low))
    edges = np.concatenate([even, [threshold], threshold + steps, threshold - steps])
    edges = np.unique(edges[(edges >= low) & (edges <= high)])
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + nodes)).ravel(), (half * weights).ravel()


def revival_gradient(
    eigenvalue: Any,
    bias: Any,
    *,
    beta_range: Any,
    noise_variance: Any,
    base: Any = None,
    sharpness: float = math.inf,
) -> FloatArray:
    r"""Derivative, by a decoder gate's bias, of the objective of its mode averaged over log β.

    .. math:: \frac{\partial}{\partial b}\, \frac{1}{\log(\beta_2/\beta_1)}
              \int_{\beta_1}^{\beta_2} \min_{e,c} \ell_\beta\bigl(e, c, w\,g_s(\log\beta + b)\bigr)
              \frac{d\beta}{\beta}

    Zero for the exact gate where it is closed on the whole range (b >= −log β₁), and there only
    for a mode that can live; close to that it falls in proportion to what is still open. Gradient
    descent moves the bias by minus this: a positive value opens the gate.

    Parameters
    ----------
    eigenvalue : float
        λ > 0.
    bias : float or array
        b; the gate closes at β = e^{-b}. The optimum is log(σ²/λ).
    beta_range : (float, float)
        0 < β₁ < β₂, sampled uniformly in log β.
    noise_variance : float
        σ² > 0.
    base : float, optional
        w, the decoder gain behind an open gate; its optimum √λ when omitted.
    sharpness : float
        s > 0; infinite for the exact gate.

    Returns
    -------
    ndarray
        Of the shape of bias, in nats per unit of bias.

    Raises
    ------
    InputError
        Not finite, not positive, a range in the wrong order, or beyond the float64 range; a gate
        that closes within the range with both w²/(βσ²) there and s above 1e13.

    Notes
    -----
    Source: derived in ``proofs/gate_gradient.py``.
    """
    value = as_positive_number("eigenvalue", eigenvalue, "pass the variance along the mode")
    variance = as_positive_number("noise_variance", noise_variance, "pass the decoder's σ²")
    gain = np.sqrt(value) if base is None else as_number("base", base, "pass a decoder gain")
    low, high = _interval(beta_range)
    s = _sharpness(sharpness)
    given = as_array("bias", bias).astype(np.float64)
    check_finite("bias", given)
    power = float(gain) * float(gain)  # infinite where a power would raise
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = np.array(
            [_mean_slope(value, variance, power, b, low, high, s) for b in given.ravel().tolist()]
        ).reshape(given.shape) / (high - low)
    check_representable("eigenvalue, bias, base", found, _RESCALE)
    return np.asarray(found)


def _mean_slope(
    value: float, variance: float, power: float, bias: float, low: float, high: float, s: float
) -> float:
    end = min(high, -bias) if math.isinf(s) else high
    if end <= low:
        return 0.0
    sharp = min(np.log(power) - np.log(variance) + bias, np.log(s))
    if low < -bias < high + 1e-3 and sharp > np.log(_RESOLVED):
        got = "a gate that closes within less than rounding of log β"
        expected = f"base² / (β noise_variance) below {_RESOLVED:g} where it closes"
        fail("eigenvalue / noise_variance", got, expected, "pass a finite sharpness below that")
    log_beta, weights = _panels(low, end, min(max(-bias, low), end))
    beta, x = np.exp(log_beta), log_beta + bias
    read = power * np.exp(2 * _log_gate(x, s)) + beta * variance  # d² + τ
    # d g'(x) = -½ w g² closing / g: the root's infinite slope meets a gain that is zero there.
    by_gate = beta * ((read - value) / read) * (power / read)
    return float(weights @ (-np.exp(_log_closing(x, s)) / 2 * by_gate))


def reopening_rate(
    eigenvalue: Any, *, beta_range: Any, noise_variance: Any, base: Any = None
) -> FloatArray:
    r"""Rate at which the open part of an almost closed gate grows, gradient flow of its bias.

    .. math:: \kappa = \frac{w^2 (\lambda - \beta_1\sigma^2)}
              {2 \beta_1 \sigma^4 \log(\beta_2/\beta_1)}, \qquad
              \text{open part of } \log\beta \;\propto\; e^{\kappa t}

    Like a collapsed mode, a gate that is open on a small part of the range takes log(1/part)/κ to
    open, and one that is closed never does. Negative for a mode that is dead on the whole range:
    its gate closes.

    Parameters
    ----------
    eigenvalue, noise_variance : float or array
        λ, σ² > 0; they broadcast.
    beta_range : (float, float)
        0 < β₁ < β₂, sampled uniformly in log β.
    base : float or array, optional
        w; √λ when omitted.

    Returns
    -------
    ndarray
        In units of 1/time.

    Raises
    ------
    InputError
        Not finite, not positive, a range in the wrong order, or beyond the float64 range.

    Notes
    -----
    Source: derived in ``proofs/gate_gradient.py``.
    """
    values = as_positive("eigenvalue", eigenvalue, "pass the variance along the mode")
    variance = as_positive("noise_variance", noise_variance, "pass the decoder's variance σ²")
    gain = np.sqrt(values) if base is None else as_array("base", base).astype(np.float64)
    check_finite("base", gain)
    check_broadcast(eigenvalue=values, noise_variance=variance, base=gain)
    low, high = _interval(beta_range)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        level = np.exp(low) * variance
        rate = gain**2 * (values - level) / (2 * level * variance * (high - low))
    check_representable("eigenvalue, noise_variance, base", rate, _RESCALE)
    return np.asarray(rate)
