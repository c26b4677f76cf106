r"""What a hypernetwork achieves against reverse water-filling, certified over all β of a range.

The data have the covariance :math:`S = \sum_{i\le m}\lambda_i v_i v_i^\top + R`: the eigenvalues
are the stored ones, the v the orthonormal vectors nearest to the stored eigenvectors
(:mod:`._frame`), and R, which is orthogonal to them, the tail of the spectrum; no eigenvalue of R
exceeds λₘ. Column i of the decoder is :math:`\sqrt{\lambda_i}\,g\,p`, row i of the encoder
:math:`\gamma\,q^\top/\sqrt{\lambda_i}`, with gates g, γ of log β. Write :math:`p = a v_i + p^\perp`
and :math:`q = b v_i + q^\perp`.

1. Along the eigenvectors the gains are :math:`d = \sqrt{\lambda_i}\,ga`,
   :math:`e = \gamma b/\sqrt{\lambda_i}`. With κ = min(1, eʸ), h = 1 − κ, :math:`d^2 =
   \lambda(h+\eta_d)`, :math:`\lambda e^2 = h + \eta_e`, :math:`de = h + \eta` and
   :math:`c = \kappa + \eta_c`

   .. math:: \frac{\lambda(1-de)^2 + d^2c}{\lambda} - \kappa
             = -2\kappa\eta + \eta^2 + h\eta_c + \kappa\eta_d + \eta_d\eta_c,

   and likewise for the rate: nothing is left that cancels.

2. Across them the rate of a latent gains :math:`\tfrac12\gamma^2 q^{\perp\top}Sq^\perp/\lambda_i`
   and nothing else, as :math:`Sv_i = \lambda_i v_i`.

3. Let :math:`DE = M_0 + N` with :math:`M_0 = \sum_i de\,v_iv_i^\top`, and s = gγ. In the squared
   error :math:`\operatorname{tr}(I-DE)S(I-DE)^\top + \operatorname{tr}DCD^\top` the matrix
   :math:`T = S(I-M_0)` has the v for eigenvectors, so that of −2 tr NT all terms of first order
   vanish. What remains is

   .. math:: \Big|\Delta\varepsilon\Big| \le \sum_i c_i\lambda_i g^2\lVert p^\perp\rVert^2
             + 2\lVert T\rVert\sum_i s\lVert p^\perp\rVert\lVert q^\perp\rVert
             + \lVert NS^{1/2}\rVert_F^2,

   where :math:`\lVert T\rVert \le \lambda_1\max(1, |1-de|)` and, by the triangle inequality and
   :math:`(x+y+z)^2 \le 3(x^2+y^2+z^2)`, the last summand is at most three times
   :math:`\sum s^2a^2\,q^{\perp\top}Sq^\perp + \sum s^2b^2\lambda_i\lVert p^\perp\rVert^2
   + \big(\sum s\lVert p^\perp\rVert(q^{\perp\top}Sq^\perp)^{1/2}\big)^2`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from linvae.hypernetwork import Hypernetwork
from linvae.spectrum import Spectrum

from ._balls import Ball, above, ball, flint, span
from ._frame import Frame, centred, frame_of
from ._modes import Direction, Mode
from .gates import log_variance_ratio, square_difference
from .types import Certificate, bounded

__all__ = ["optimum_certificates"]


@dataclass(frozen=True)
class _Sides:
    """How decoder column and encoder row of one mode lie to the orthonormal vectors."""

    write: Ball  # a
    read: Ball  # b
    write_aside: Ball  # ‖p⊥‖
    read_aside: Ball  # ‖q⊥‖
    seen: Ball  # q⊥ᵀSq⊥ / λ


@dataclass(frozen=True)
class _Parts:
    """Largest numbers of one mode: bounds over a range of β, relative to the mode's scale."""

    error: Ball  # difference of the squared error along the eigenvector, over λ
    rate: Ball  # difference, nats
    second_moment: Ball  # difference, of the aggregated posterior
    objective: Ball  # difference but for the squared error across, over the critical β, nats
    write: Ball  # g²
    read: Ball  # γ²
    variance: Ball  # c
    left: Ball  # |1 − de|


def _unknown() -> Ball:
    """A ball about which nothing is known: it spoils every bound that it enters."""
    return flint().arb("nan")


def _values(parts: _Parts) -> list[Ball]:
    return [getattr(parts, field.name) for field in fields(parts)]


def _all(value: Ball) -> _Parts:
    return _Parts(*[value] * len(fields(_Parts)))


def _sides(mode: Mode, index: int, modes: list[Mode], frame: Frame) -> _Sides:
    write, read = frame.components(mode.decoder), frame.components(mode.encoder)
    aside = frame.aside(mode.encoder)
    # Of the tail nothing but its largest possible eigenvalue is used.
    others = [
        m.value * c * c for j, (m, c) in enumerate(zip(modes, read, strict=True)) if j != index
    ]
    seen = (sum(others, ball(0)) + modes[-1].value * aside * aside) / mode.value
    return _Sides(write[index], read[index], frame.aside(mode.decoder), aside, seen.abs_upper())


def _gain_square(
    direction: Direction, along: Ball, threshold: Ball, log_beta: Ball, h: Ball
) -> tuple[Ball, Ball]:
    """Ball around (squared gain along v in units of λ) − h, and bound of the squared gate."""
    if direction.gate.kind != "sqrt_relu":
        return _unknown(), _unknown()
    difference = centred(square_difference(direction.gate, threshold, log_beta)[0])
    square = h + difference
    return (along * along - 1) * square + difference, square


def _living(mode: Mode, sides: _Sides, log_beta: Ball) -> _Parts:
    if not sides.read * sides.write > 0:  # d e must be positive
        return _all(_unknown())
    y = (log_beta - mode.threshold).min(ball(0))
    gamma = y.upper().exp().union(ball(0))
    h = (1 - y.lower().exp()).union(ball(0))
    eta_d, write = _gain_square(mode.decoder, sides.write, mode.threshold, log_beta, h)
    eta_e, read = _gain_square(mode.encoder, sides.read, mode.threshold, log_beta, h)
    # √((h + η_d)(h + η_e)) lies between h + η_d and h + η_e.
    eta = eta_d.union(eta_e)
    ratio = log_variance_ratio(mode, log_beta)
    eta_c = gamma * ratio.expm1()
    error = -2 * gamma * eta + eta * eta + h * eta_c + gamma * eta_d + eta_d * eta_c
    seen = (read.abs_upper() * sides.seen).union(ball(0))  # anything from 0 on
    rate = (eta_c + eta_e - ratio + seen) / 2
    weight = (log_beta - mode.threshold).upper().exp().union(ball(0))
    moment, objective = eta_e + eta_c + seen, error / 2 + weight * rate
    found = (error, rate, moment, objective, write, read, gamma + eta_c, gamma - eta)
    return _Parts(*(part.abs_upper() for part in found))


def _dead(mode: Mode, log_beta: Ball) -> _Parts:
    """A mode without variance: its decoder and encoder must vanish and c be 1, exactly."""
    silent = mode.decoder.own.is_zero() and mode.encoder.own.is_zero()
    exact = silent and log_variance_ratio(mode, log_beta).is_zero()
    return _all(ball(0) if exact else _unknown())


def _mode_parts(mode: Mode, sides: _Sides, interval: tuple[float, float]) -> _Parts:
    """Bounds over the interval, found below and above the threshold apart."""
    low, high = interval
    # Just above, so that the gates are closed there too.
    split = min(max(above(mode.threshold) + 1e-12, low), high)
    left = _living(mode, sides, span(low, split))
    right = _living(mode, sides, span(split, high))
    return _Parts(*(a.max(b) for a, b in zip(_values(left), _values(right), strict=True)))


def _error_across(modes: list[Mode], sides: list[_Sides], parts: list[_Parts]) -> Ball:
    """Bound of the squared error that the components orthogonal to the eigenvectors add."""
    noise = product = read = write = both = ball(0)
    left = ball(1)
    for mode, side, part in zip(modes, sides, parts, strict=True):
        left = left.max(part.left)
        squared = part.write * part.read
        aside = mode.value * side.write_aside * side.write_aside
        seen = mode.value * side.seen
        noise += part.variance * part.write * aside
        product += squared.sqrt() * side.write_aside * side.read_aside
        read += squared * side.write * side.write * seen
        write += squared * side.read * side.read * aside
        both += squared.sqrt() * side.write_aside * seen.sqrt()
    return noise + 2 * modes[0].value * left * product + 3 * (read + write + both * both)


def _bounds(
    modes: list[Mode], spectrum: Spectrum, interval: tuple[float, float]
) -> tuple[Ball, Ball, Ball, Ball]:
    """Bounds of squared error (over tr S), rate, objective and aggregated posterior."""
    alive = [mode for mode in modes if mode.threshold is not None]
    silent = [_dead(mode, span(*interval)) for mode in modes if mode.threshold is None]
    # 0, or nothing is certified: a mode without variance has no scale of its own.
    error = rate = objective = moment = sum((part.rate for part in silent), ball(0))
    if not alive:
        return error, rate, objective, moment
    frame = frame_of(spectrum.leading_eigenvectors(len(alive)))
    if frame is None:
        return _unknown(), _unknown(), _unknown(), _unknown()
    sides = [_sides(mode, i, alive, frame) for i, mode in enumerate(alive)]
    parts = [_mode_parts(*pair, interval) for pair in zip(alive, sides, strict=True)]
    across = _error_across(alive, sides, parts)
    error += across
    objective += across / 2
    for mode, part in zip(alive, parts, strict=True):
        error += mode.value * part.error
        rate += part.rate
        objective += mode.value * part.objective
        moment = moment.max(part.second_moment)
    return error / ball(spectrum.total_variance), rate, objective / alive[0].value, moment


def optimum_certificates(
    network: Hypernetwork,
    modes: list[Mode],
    spectrum: Spectrum,
    noise_variance: float,
    interval: tuple[float, float],
    radius: float,
) -> list[Certificate]:
    """What the hypernetwork achieves against reverse water-filling, for all β of an interval.

    Parameters
    ----------
    network : Hypernetwork
    modes : list of Mode
        Those of the network.
    spectrum : Spectrum
    noise_variance : float
    interval : (low, high)
        Of log β.
    radius : float
    """
    note = ""
    if not np.array_equal(network.offset, spectrum.mean):
        note = "the hypernetwork's offset is not the data's mean"
    elif network.noise_variance != noise_variance:
        note = "the hypernetwork's noise variance is another one"
    found = [_unknown()] * 4 if note else _bounds(modes, spectrum, interval)
    of = "of the hypernetwork on data with the nearest orthonormal eigenvectors"
    statements = {
        "squared_error": f"|ε − (Σ min(λᵢ, τ) + tail)| {of}, over tr S",
        "rate": f"|ℛ − Σ ½ log⁺(λᵢ/τ)| {of}, nats",
        "objective": f"|L_β − closed form| {of}, nats per unit of the largest critical β",
        "aggregated_posterior": f"largest diagonal entry of |ESEᵀ + C − I| {of}",
    }
    return [
        bounded(
            f"optimum.{name}", text, above(bound.abs_upper()), radius, boxes=len(modes), note=note
        )
        for (name, text), bound in zip(statements.items(), found, strict=True)
    ]
