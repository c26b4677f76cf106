"""Trajectories of the gradient flow under any schedule of β, integrated with tolerances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from linvae._types import LinearVAE, Sealed
from linvae._validation import (
    FloatArray,
    as_positive_number,
    as_vector,
    check_spectrum,
    fail,
)
from linvae.errors import InputTypeError
from linvae.spectrum import Spectrum

from ._schedules import BetaSchedule, cyclical, linear_warmup, pieces
from ._solver import Field, check_times, check_tolerance, integrate

__all__ = [
    "BetaSchedule",
    "ModelTrajectory",
    "Trajectory",
    "cyclical",
    "linear_warmup",
    "mode_flow",
    "model_flow",
]


@dataclass(frozen=True, eq=False)
class Trajectory(Sealed):
    """One mode along the gradient flow; all arrays have shape (T,).

    Attributes
    ----------
    time, beta : ndarray
        Where it was recorded, and β there.
    encoder_gain, posterior_variance, decoder_gain : ndarray
        e, c, d.
    rate : ndarray
        In nats.
    squared_error : ndarray
        In squared data units.
    objective : ndarray
        squared error / (2σ²) + β · rate at the β of that time, nats, without the constant of the
        distortion. It falls while β stands still.
    """

    time: FloatArray
    beta: FloatArray
    encoder_gain: FloatArray
    posterior_variance: FloatArray
    decoder_gain: FloatArray
    rate: FloatArray
    squared_error: FloatArray
    objective: FloatArray


@dataclass(frozen=True, eq=False)
class ModelTrajectory(Sealed):
    """A linear VAE along the gradient flow; all arrays have shape (T,).

    Attributes
    ----------
    time, beta : ndarray
        Where it was recorded, and β there.
    model : LinearVAE
        A batch of T models.
    rate, squared_error, objective : ndarray
        As :class:`linvae.LinearVAE` evaluates them, at the β of that time.
    """

    time: FloatArray
    beta: FloatArray
    model: LinearVAE
    rate: FloatArray
    squared_error: FloatArray
    objective: FloatArray


def mode_flow(
    eigenvalue: Any,
    beta: Any,
    start: Any,
    times: Any,
    *,
    noise_variance: Any,
    flow: Literal["joint", "decoder"] = "joint",
    posterior: Literal["log", "variance"] = "log",
    tolerance: float = 1e-10,
) -> Trajectory:
    r"""Gradient flow of the objective of one mode, under a constant or scheduled β.

    .. math:: \ell = \frac{\lambda(1 - de)^2 + d^2 c}{2\sigma^2}
              + \frac{\beta(t)}{2}(c + \lambda e^2 - 1 - \log c), \qquad
              (e, \log c, d)' = -\nabla \ell

    Parameters
    ----------
    eigenvalue : float
        λ > 0.
    beta : float, BetaSchedule, callable or pair of arrays
        β >= 0 as a function of time: a number, a schedule, a smooth function of one time, or
        (times, betas) between which β is linear. With "decoder" it must stay positive.
    start : (e, c, d), or d
        Gains and posterior variance at the first time; the decoder gain alone for "decoder". Each
        of e, log c, d is 0 or at least 1e-100 in size.
    times : array (T,)
        Rising; the first is the start.
    noise_variance : float
        σ² > 0.
    flow : {"joint", "decoder"}
        Whether all three flow, or the decoder alone with e and c at their best response.
    posterior : {"log", "variance"}
        Whether log c or c flows.
    tolerance : float
        In [1e-13, 1): relative error per step of the solver; absolute relative to the smallest
        start.

    Returns
    -------
    Trajectory

    Raises
    ------
    InputError
        A bad number, times that do not rise, β negative, or an unknown flow.
    FlowError
        The solver did not reach the last time, or not within 5e4 evaluations of the gradient.

    Notes
    -----
    The flow of an annealed mode is derived in ``proofs/annealing.py``; the integration is LSODA's.

    Examples
    --------
    >>> path = mode_flow(4.0, 1.0, (1e-3, 1.0, 1e-3), [0.0, 5.0, 50.0], noise_variance=1.0)
    >>> [round(float(d), 3) for d in path.decoder_gain]
    [0.001, 1.071, 1.732]
    """
    value = as_positive_number("eigenvalue", eigenvalue, "pass the variance along the mode")
    variance = as_positive_number("noise_variance", noise_variance, "pass the decoder's σ²")
    accuracy = check_tolerance(tolerance)
    for name, given, allowed in (
        ("flow", flow, ("joint", "decoder")),
        ("posterior", posterior, ("log", "variance")),
    ):
        if given not in allowed:
            fail(name, repr(given), f"one of {', '.join(allowed)}", "say what flows")
    grid = check_times(times)
    if flow == "decoder":
        state = as_vector("start", np.atleast_1d(start), 1)
        field = _decoder_field(value, variance)
    else:
        e, c, d = as_vector("start", start, 3)
        state = np.array([e, np.log(as_positive_number("start c", c, "pass a variance")), d])
        field = _joint_field(value, variance, posterior)
    states = integrate(field, state, beta, grid, accuracy)
    weights = _betas_at(beta, grid)
    if flow == "decoder":
        gain = states[:, 0]
        read = gain**2 + weights * variance
        return _recorded(value, variance, grid, weights, gain / read, weights * variance / read,
                         gain)  # fmt: skip
    return _recorded(value, variance, grid, weights, states[:, 0], np.exp(states[:, 1]),
                     states[:, 2])  # fmt: skip


def _betas_at(schedule: Any, times: FloatArray) -> FloatArray:
    """β at the times of a record; where β jumps, the value after it."""
    found = np.empty(times.size)
    for begin, end, beta in pieces(schedule, float(times[0]), float(times[-1])):
        inside = (times >= begin) & (times <= end)
        found[inside] = [beta(float(t)) for t in times[inside]]
    return found


def _joint_field(value: float, variance: float, posterior: str) -> Field:
    def field(state: FloatArray, beta: float) -> FloatArray:
        e, log_c, d = state
        c, missed = np.exp(log_c), 1 - d * e
        # By log c; near collapse c - 1 would be noise that stops the solver.
        slope = (d**2 * c / variance + beta * np.expm1(log_c)) / 2
        return np.array(
            [
                value * d * missed / variance - beta * value * e,
                -slope / (1.0 if posterior == "log" else c**2),
                (value * e * missed - d * c) / variance,
            ]
        )

    return field


def _decoder_field(value: float, variance: float) -> Field:
    def field(state: FloatArray, beta: float) -> FloatArray:
        level = beta * variance
        if level <= 0:
            fail("beta", beta, "β > 0", "the best encoder at β = 0 is not defined; use 'joint'")
        read = state**2 + level
        return np.asarray(beta * state * (value - read) / read**2)

    return field


def _recorded(
    value: float, variance: float, time: FloatArray, beta: FloatArray,
    e: FloatArray, c: FloatArray, d: FloatArray,
) -> Trajectory:  # fmt: skip
    error = value * (1 - d * e) ** 2 + d**2 * c
    rate = (c - 1 - np.log(c) + value * e**2) / 2
    return Trajectory(time, beta, e, c, d, rate, error, error / (2 * variance) + beta * rate)


def model_flow(
    spectrum: Spectrum, beta: Any, start: LinearVAE, times: Any, *, tolerance: float = 1e-9
) -> ModelTrajectory:
    r"""Gradient flow of the objective of a whole linear VAE, its latents mixed as they may be.

    .. math:: E' = \tfrac{1}{\sigma^2} D^\top(I - DE)S - \beta ES, \qquad
              D' = \tfrac{1}{\sigma^2} [(I - DE)SE^\top - DC], \qquad
              (\log c_j)' = -\tfrac12\left[\tfrac{1}{\sigma^2}(D^\top D)_{jj} c_j
              + \beta(c_j - 1)\right]

    Offsets rest at the data mean, where they are optimal whatever E, C and D; σ² rests, too.

    Parameters
    ----------
    spectrum : Spectrum
        Complete, n features.
    beta : float, BetaSchedule, callable or pair of arrays
        β >= 0 as a function of time, see :func:`mode_flow`.
    start : LinearVAE
        One model: E, C, D and σ² at the first time. Its offsets are not used.
    times : array (T,)
        Rising; the first is the start.
    tolerance : float
        In [1e-13, 1), see :func:`mode_flow`.

    Returns
    -------
    ModelTrajectory

    Raises
    ------
    InputError
        A batch of models, or other sizes than those of the spectrum; as :func:`mode_flow`.
    PartialSpectrumError
        A leading spectrum.
    FlowError
        The solver did not reach the last time, or not within a number of evaluations of the
        gradient: 5e4, and 1e3 more per number that flows.

    Notes
    -----
    Near its stationary points it moves at the rates derived in ``proofs/alignment.py``.
    """
    check_spectrum(spectrum)
    if not isinstance(start, LinearVAE):
        fail("start", type(start).__name__, "a LinearVAE", "build one of E, c, D, σ²",
             InputTypeError)  # fmt: skip
    if start.batch_shape or start.n_features != spectrum.n_features:
        fail(
            "start",
            f"batch {start.batch_shape} of {start.n_features} features",
            f"one model of {spectrum.n_features} features",
            "pick one, made for these data",
        )
    accuracy = check_tolerance(tolerance)
    grid, shapes = check_times(times), (start.encoder.shape, start.decoder.shape)
    state = np.concatenate(
        [start.encoder.ravel(), start.decoder.ravel(), np.log(start.posterior_variance)]
    )
    field = _model_field(spectrum.covariance, float(start.noise_variance), *shapes)
    states = integrate(field, state, beta, grid, accuracy)
    weights = _betas_at(beta, grid)
    encoder, decoder, log_c = _split(states, *shapes)
    model = LinearVAE(
        encoder, np.exp(log_c), decoder, start.noise_variance, spectrum.mean, spectrum.mean
    )
    terms = model.evaluate(spectrum, 1.0)  # rate and distortion are those of every β, 0 too
    objective = terms.distortion + weights * terms.rate
    return ModelTrajectory(grid, weights, model, terms.rate, terms.squared_error, objective)


def _split(
    states: FloatArray, encoder: tuple[int, ...], decoder: tuple[int, ...]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """E, D and log c of states (..., size)."""
    size, lead = encoder[0] * encoder[1], states.shape[:-1]
    return (
        states[..., :size].reshape(*lead, *encoder),
        states[..., size : 2 * size].reshape(*lead, *decoder),
        states[..., 2 * size :],
    )


def _model_field(covariance: FloatArray, variance: float, *shapes: tuple[int, ...]) -> Field:
    def field(state: FloatArray, beta: float) -> FloatArray:
        encoder, decoder, log_c = _split(state, *shapes)
        c, read = np.exp(log_c), encoder @ covariance
        missed = covariance - decoder @ read  # (I - DE) S
        power = np.einsum("ij,ij->j", decoder, decoder)
        slope = (power * c / variance + beta * np.expm1(log_c)) / 2
        return np.concatenate(
            [
                (decoder.T @ missed / variance - beta * read).ravel(),
                ((missed @ encoder.T - decoder * c) / variance).ravel(),
                -slope,
            ]
        )

    return field
