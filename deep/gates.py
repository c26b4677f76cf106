r"""Gates: how strongly a row of weights is on at a given β.

A gate is a function of x = w·input + b, where the input is standardised log β. The exact response
of a linear VAE needs gates with a kink, and a kink cannot be trained through: beyond it the
gradient is zero, so a row that was closed once stays closed. Both kinked gates here come from one
smoothed ramp,

.. math:: m_s(x) = -\tfrac1s \log(1 + e^{-s x}) \;\to\; \min(x, 0) \quad (s \to \infty),

with a sharpness s. At s = 1 they are a sigmoid and the root of one, at s = ∞ the exact gates. Train
with s rising from 1, finish and evaluate at ∞.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["GATES", "Gate", "RowGates", "direction", "min_exp", "sigmoid", "sqrt_relu"]

Gate = Callable[[Tensor, float], Tensor]


def sigmoid(x: Tensor, sharpness: float = math.inf) -> Tensor:
    r"""Gate of the published theorem, :math:`1/(1+e^{-x})`; no kink, so no use for sharpness."""
    return torch.sigmoid(x)


def sqrt_relu(x: Tensor, sharpness: float = math.inf) -> Tensor:
    r"""Gate of encoder and decoder, open at −∞ and closed from x = 0 on.

    .. math:: g(x) = \sqrt{\mathrm{ReLU}(1 - e^x)}, \qquad g_s(x) = \sqrt{1 - e^{m_s(x)}}

    The exact gate has an unbounded slope just below 0 and, here by definition, gradient zero at and
    beyond 0. The smoothed one has a gradient wherever it does not underflow, so it can reopen.

    Parameters
    ----------
    x : Tensor
    sharpness : float
        s > 0; infinite for the exact gate.

    Returns
    -------
    Tensor
        Of the shape of x, in [0, 1].

    Raises
    ------
    ValueError
        Sharpness not positive.
    """
    if _is_exact(sharpness):
        # Two selections: the gradient of sqrt at 0 is infinite, and infinity times 0 is NaN.
        is_open = x < 0
        inside = torch.where(is_open, x, -1.0)
        return torch.where(is_open, torch.sqrt(-torch.expm1(inside)), 0.0)
    # Where 1 - e^m would underflow it is held at the smallest number that has a root and a slope.
    limit = (-math.log(torch.finfo(x.dtype).tiny) - 5 - abs(math.log(sharpness))) / sharpness
    return torch.sqrt(-torch.expm1(_ramp(torch.clamp(x, max=limit), sharpness)))


def min_exp(x: Tensor, sharpness: float = math.inf) -> Tensor:
    r"""Gate of the posterior variances, closed at −∞ and 1 from x = 0 on.

    .. math:: \min(1, e^x) = 1 - g(x)^2, \qquad e^{m_s(x)} = 1 - g_s(x)^2

    At sharpness 1 it is the sigmoid.

    Parameters
    ----------
    x : Tensor
    sharpness : float
        s > 0; infinite for the exact gate.

    Returns
    -------
    Tensor
        Of the shape of x, in [0, 1].

    Raises
    ------
    ValueError
        Sharpness not positive.
    """
    if _is_exact(sharpness):
        return torch.exp(torch.clamp(x, max=0.0))
    return torch.exp(_ramp(x, sharpness))


GATES: dict[str, Gate] = {"sigmoid": sigmoid, "sqrt_relu": sqrt_relu, "min_exp": min_exp}


def direction(gate: str) -> float:
    """+1 for a gate that opens as its argument grows, −1 for one that closes.

    Raises
    ------
    ValueError
        An unknown gate.
    """
    _check_known(gate)
    return -1.0 if gate == "sqrt_relu" else 1.0


class RowGates(nn.Module):
    r"""One gate per row of a weight matrix.

    .. math:: g_r(t) = \sigma(w_r t + b_r)

    Parameters
    ----------
    slope, bias : Tensor, shape (rows,)
        Initial w and b; both are trained.
    gate : str
        A key of :data:`GATES`.

    Raises
    ------
    ValueError
        An unknown gate.

    Notes
    -----
    Source: Bae et al. 2023, Eq. 6 and 7.
    """

    def __init__(self, slope: Tensor, bias: Tensor, gate: str) -> None:
        super().__init__()
        _check_known(gate)
        self.slope = nn.Parameter(slope.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone())
        self.gate = gate

    def forward(self, inputs: Tensor, sharpness: float = math.inf) -> Tensor:
        """Gate values, shape (..., rows), at hypernetwork inputs (...)."""
        return GATES[self.gate](inputs[..., None] * self.slope + self.bias, sharpness)


def _check_known(gate: str) -> None:
    if gate not in GATES:
        raise ValueError(
            f"gate: got {gate!r}; expected one of {', '.join(GATES)}; choose a known gate"
        )


def _is_exact(sharpness: float) -> bool:
    if not sharpness > 0:
        raise ValueError(
            f"sharpness: got {sharpness}; expected a number > 0; pass math.inf for the exact gate"
        )
    return math.isinf(sharpness)


def _ramp(x: Tensor, sharpness: float) -> Tensor:
    return -nn.functional.softplus(-sharpness * x) / sharpness
