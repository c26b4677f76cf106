r"""How fast gradient flow learns a linear VAE: rates in closed form, trajectories by integration.

Time is that of gradient flow, θ' = −∇L: learning rate times number of steps of plain gradient
descent with small steps. The parameters that flow are the encoder E, the decoder D and, as in
trained networks, the logarithms of the posterior variances ("joint"); or D alone, with E and C at
their best response to it all along ("decoder"), as when an encoder learns much faster. Rates depend
on the units of the data, as gradient descent does.

A rate is an eigenvalue of the Hessian of the objective at one of its stationary points; the
trajectories of :func:`mode_flow` and :func:`model_flow` use the objective only, so that the two can
be compared. Gates and their gradients are in the functions named after them.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from linvae._validation import (
    FloatArray,
    as_array,
    as_positive,
    as_positive_number,
    check_broadcast,
    check_finite,
    check_representable,
    fail,
)

from ._flow import (
    BetaSchedule,
    ModelTrajectory,
    Trajectory,
    cyclical,
    linear_warmup,
    mode_flow,
    model_flow,
)
from ._rates import (
    alignment_rates,
    check_flow,
    excess_over_level,
    growth,
    own_rates,
    swap_rates,
)
from ._revival import reopening_rate, revival_gradient, smoothed_gate, smoothed_gate_slope

__all__ = [
    "BetaSchedule",
    "ModelTrajectory",
    "Trajectory",
    "alignment_rates",
    "convergence_rate",
    "cyclical",
    "escape_direction",
    "escape_rate",
    "escape_time",
    "linear_warmup",
    "mode_flow",
    "model_flow",
    "reopening_rate",
    "revival_gradient",
    "rotation_excess",
    "smoothed_gate",
    "smoothed_gate_slope",
    "swap_rates",
    "tracking_lag",
]

Flow = Literal["joint", "decoder"]
_RESCALE = "rescale data and noise variance together"


def _mode(eigenvalue: Any, beta: Any, noise_variance: Any) -> tuple[FloatArray, ...]:
    """Checked eigenvalue, β and σ², and λ − τ."""
    values = as_positive("eigenvalue", eigenvalue, "pass the variance of the data along the mode")
    weight = as_positive("beta", beta, "β weighs the rate and must be positive")
    variance = as_positive("noise_variance", noise_variance, "pass the decoder's variance σ²")
    check_broadcast(eigenvalue=values, beta=weight, noise_variance=variance)
    values, weight, variance = np.broadcast_arrays(values, weight, variance)
    return values, weight, variance, excess_over_level(values, weight, variance)


def escape_rate(
    eigenvalue: Any, beta: Any, *, noise_variance: Any, flow: Flow = "joint"
) -> FloatArray:
    r"""Rate at which a collapsed mode grows (λ > τ) or dies out (negative, λ < τ).

    .. math:: \gamma = \frac{2\lambda(\lambda - \tau)}
              {\sigma^2\left[1 + \tau\lambda + \sqrt{(1 - \tau\lambda)^2 + 4\lambda^2}\right]}

    in the joint flow, and (λ − τ)/(σ²τ) in the decoder flow, with τ = βσ². From a start of size δ
    a mode is learned after about log(1/δ)/γ: strong modes first, those near their critical β last.

    Parameters
    ----------
    eigenvalue, beta, noise_variance : float or array
        λ, β, σ² > 0; they broadcast.
    flow : {"joint", "decoder"}

    Returns
    -------
    ndarray
        In units of 1/time.

    Raises
    ------
    InputError
        Not positive and finite, an unknown flow, or a rate beyond the float64 range.

    Notes
    -----
    Source: derived in ``proofs/saddle_escape.py``.
    """
    check_flow(flow)
    values, weight, variance, above = _mode(eigenvalue, beta, noise_variance)
    with np.errstate(over="ignore", invalid="ignore"):
        if flow == "decoder":
            rate = above / variance / (weight * variance)
        else:
            rate = growth(values, weight * variance, above, variance)
    check_representable("eigenvalue, beta, noise_variance", rate, _RESCALE)
    return np.asarray(rate)


def escape_direction(eigenvalue: Any, beta: Any, *, noise_variance: Any) -> FloatArray:
    r"""Direction (encoder gain, decoder gain) in which a mode leaves collapse, joint flow.

    .. math:: (e, d) \propto (1 + \sigma^2\gamma,\; \lambda)

    γ is that of :func:`escape_rate`.

    Parameters
    ----------
    eigenvalue, beta, noise_variance : float or array
        λ, β, σ² > 0; they broadcast.

    Returns
    -------
    ndarray, shape (..., 2)
        Of length 1, both entries positive. The inner product of a small start with it is what
        grows by e^{γt}; the rest dies out.

    Raises
    ------
    InputError
        As :func:`escape_rate`.

    Notes
    -----
    Source: derived in ``proofs/saddle_escape.py``.
    """
    values, _, variance, _ = _mode(eigenvalue, beta, noise_variance)
    rate = escape_rate(eigenvalue, beta, noise_variance=noise_variance)
    direction = np.stack([1 + variance * rate, values], axis=-1)
    direction = direction / direction.max(axis=-1, keepdims=True)
    return np.asarray(direction / np.hypot(*np.moveaxis(direction, -1, 0))[..., None])


def escape_time(
    eigenvalue: Any,
    beta: Any,
    start: Any,
    *,
    noise_variance: Any,
    share: float = 0.5,
    flow: Flow = "joint",
) -> FloatArray:
    r"""Time until a mode has grown from a small decoder gain to a share of the optimal one.

    .. math:: t \approx \frac1\gamma \log\frac{q\,d^*}{d_0} \quad\text{(joint)}, \qquad
              t = \frac{1}{2\beta}\left[s_0 - s + \frac{\tau^2}{s^*}\log\frac{s}{s_0}
              - \frac{\lambda^2}{s^*}\log\frac{s^* - s}{s^* - s_0}\right] \quad\text{(decoder)}

    with s = d², s* = λ − τ. The second is exact. The first is the linearised flow from a start
    along :func:`escape_direction`; its error tends to a constant as the start shrinks, while t
    grows.

    Parameters
    ----------
    eigenvalue, beta, noise_variance : float or array
        λ, β, σ² > 0; they broadcast.
    start : float or array
        Decoder gain d₀, 0 < d₀ < q d*.
    share : float
        q, 0 < q < 1.
    flow : {"joint", "decoder"}

    Returns
    -------
    ndarray
        Infinite where λ <= τ: the mode never leaves collapse.

    Raises
    ------
    InputError
        Not positive and finite, a start beyond the share of the optimum, or a time beyond the
        float64 range.

    Notes
    -----
    Source: derived in ``proofs/saddle_escape.py``.
    """
    check_flow(flow)
    if not 0 < as_positive_number("share", share, "pass 0.5 for half of the optimum") < 1:
        fail("share", share, "0 < share < 1", "the optimum itself takes infinitely long")
    gain = as_positive("start", start, "a mode that starts at 0 stays there")
    values, weight, variance, above = _mode(eigenvalue, beta, noise_variance)
    check_broadcast(start=gain, eigenvalue=values)
    alive = above > 0
    end = share * np.sqrt(np.where(alive, above, np.inf))
    gain, end = np.broadcast_arrays(gain, end)
    if (gain >= end).any():
        late = gain[gain >= end].flat[0]
        fail("start", late, "a start below share · √(λ − τ)", "pass a smaller one")
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        grown = end / gain
        grown = np.where(np.isinf(grown), np.log(end) - np.log(gain), np.log(grown))
        if flow == "joint":
            rate = escape_rate(eigenvalue, beta, noise_variance=noise_variance)
            time = grown / np.where(alive, rate, 1.0)
        else:
            best, level = np.where(alive, above, 1.0), weight * variance
            first, last = gain**2, np.where(alive, share**2 * above, 1.0)
            left = np.log((1 - share**2) / np.where(alive, 1 - first / best, 1.0))
            # Products in an order that keeps them within the float64 range.
            parts = level / best * level * 2 * grown - values / best * values * left
            time = first - last + parts
            time = time / (2 * weight)
    check_representable("eigenvalue, beta, start", np.where(alive, time, 0.0), _RESCALE)
    return np.asarray(np.where(alive, time, np.inf))


def convergence_rate(
    eigenvalue: Any,
    beta: Any,
    *,
    noise_variance: Any,
    flow: Flow = "joint",
    posterior: Literal["log", "variance"] = "log",
) -> FloatArray:
    r"""Slowest rate at which a mode approaches its optimum; zero exactly at its critical β.

    .. math:: \mu = \lambda_{\min}(\nabla^2 \ell), \qquad
              \det \nabla^2 \ell = \frac{\tau^2 (\lambda - \tau)}{\sigma^6}, \qquad
              \mu_{\text{decoder}} = \frac{2\beta(\lambda - \tau)}{\lambda^2} \quad (\lambda > \tau)

    The joint rate is that of the 3 × 3 Hessian in (e, log c, d), from its inverse, which is known
    in closed form without cancellation. It vanishes at the critical β and as β → 0: training stalls
    at both ends. Near the critical β it is twice the escape rate; at it, the decay is algebraic.
    For λ < τ it is the rate at which the mode dies, at most β/2, that of the posterior variance.

    Parameters
    ----------
    eigenvalue, beta, noise_variance : float or array
        λ, β, σ² > 0; they broadcast.
    flow : {"joint", "decoder"}
    posterior : {"log", "variance"}
        Whether log c or c flows (joint flow only).

    Returns
    -------
    ndarray
        In units of 1/time, >= 0.

    Raises
    ------
    InputError
        Not positive and finite, an unknown flow, or a rate beyond the float64 range.

    Notes
    -----
    Source: derived in ``proofs/saddle_escape.py``.
    """
    check_flow(flow)
    if posterior not in ("log", "variance"):
        fail("posterior", repr(posterior), "'log' or 'variance'", "say what the optimiser moves")
    values, weight, variance, above = _mode(eigenvalue, beta, noise_variance)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        rate = own_rates(values, weight, variance, above, flow, posterior)
    check_representable("eigenvalue, beta, noise_variance", rate, _RESCALE)
    return np.asarray(rate)


def tracking_lag(
    eigenvalue: Any, beta: Any, speed: Any, *, noise_variance: Any, flow: Flow = "joint"
) -> FloatArray:
    r"""Decoder gain minus its optimum while β moves slowly, to first order in its speed.

    .. math:: d - d^* \approx \frac{\beta'\sigma^4}{4\tau s^{3/2}} \left[\lambda^2
              + \frac{\tau - s}{\lambda} + \frac{4\lambda s}{\tau}\right], \qquad s = \lambda - \tau

    The decoder flow has λ² alone in the bracket. As β rises to the critical value the lag diverges:
    a mode that should die is still alive for a while, in every schedule.

    Parameters
    ----------
    eigenvalue, beta, noise_variance : float or array
        λ, β, σ² > 0 with λ > βσ²; they broadcast.
    speed : float or array
        β' = dβ/dt, of either sign.
    flow : {"joint", "decoder"}

    Returns
    -------
    ndarray
        In units of the data.

    Raises
    ------
    InputError
        Not positive and finite, a mode that is not active, or a lag beyond the float64 range.

    Notes
    -----
    Source: derived in ``proofs/annealing.py``.
    """
    check_flow(flow)
    rise = as_array("speed", speed).astype(np.float64)
    check_finite("speed", rise)
    values, weight, variance, above = _mode(eigenvalue, beta, noise_variance)
    check_broadcast(speed=rise, eigenvalue=values)
    if not (above > 0).all():
        dead = (entry[~(above > 0)].flat[0] for entry in (weight, values))
        got = "{:g} for the eigenvalue {:g}".format(*dead)
        fail("beta", got, "β below the critical λ/σ²", "a collapsed mode has no lag")
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        level = weight * variance
        bracket = values**2
        if flow == "joint":
            bracket = bracket + (level - above) / values + 4 * values * above / level
        lag = rise * variance**2 * bracket / (4 * level * above**1.5)
    check_representable("eigenvalue, beta, speed", lag, _RESCALE)
    return np.asarray(lag)


def rotation_excess(
    first: Any, second: Any, beta: Any, angle: Any, *, noise_variance: Any
) -> FloatArray:
    r"""Excess objective of two latents rotated by an angle against their two eigenvectors.

    .. math:: \Delta L(\theta) = \frac\beta2 \log\left(1 + \frac{(t_1 - t_2)^2}{4 t_1 t_2}
              \sin^2 2\theta\right), \qquad t_i = \max(\lambda_i, \beta\sigma^2)

    The decoder spans the right plane and encoder and posterior variances are the best for it: the
    loss is all due to C being diagonal. It is largest at 45°, β log of the ratio of arithmetic to
    geometric mean of the two t.

    Parameters
    ----------
    first, second : float or array
        Eigenvalues λ₁, λ₂ > 0.
    beta, noise_variance : float or array
        β, σ² > 0.
    angle : float or array
        θ in radians. All arguments broadcast.

    Returns
    -------
    ndarray
        In nats, >= 0.

    Raises
    ------
    InputError
        Not positive and finite, or an excess beyond the float64 range.

    Notes
    -----
    Source: derived in ``proofs/alignment.py``.
    """
    turn = as_array("angle", angle).astype(np.float64)
    check_finite("angle", turn)
    one, weight, variance, _ = _mode(first, beta, noise_variance)
    two = as_positive("second", second, "pass the variance of the data along the other mode")
    check_broadcast(first=one, second=two, angle=turn)
    with np.errstate(over="ignore", invalid="ignore"):
        level = weight * variance
        one, two = np.maximum(one, level), np.maximum(two, level)
        ratio = (one - two) / np.sqrt(one) / np.sqrt(two)
        # sin 2θ / 2, of angles whose double overflows, too
        excess = weight / 2 * np.log1p((ratio * np.sin(turn) * np.cos(turn)) ** 2)
    check_representable("first, second, beta, noise_variance", excess, _RESCALE)
    return np.asarray(excess)
