r"""Gates: how strongly a row of weights is on at a given β.

A gate is a function of x = w·input + b, where the input is standardised log β. The exact response
of a linear VAE needs gates with a kink, and a kink cannot be trained through: beyond it the
gradient is zero, so a row that was closed once stays closed. Both kinked gates here come from one
smoothed ramp,

.. math:: m_s(x) = -\tfrac1s \log(1 + e^{-s x}) \;\to\; \min(x, 0) \quad (s \to \infty),

with a sharpness s. At s = 1 they are a sigmoid and the root of one, at s = ∞ the exact gates. Train
with s rising from 1, finish and evaluate at ∞.

Gates without a kink, for comparison: sigmoid, tanh (may change the sign of a row), affine, and FiLM
(scale and shift, both affine). :class:`deep.gate_banks.GateBank` holds the gates of many layers of
any network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from deep._checks import check_beta_range, fail

__all__ = [
    "GATES",
    "KINDS",
    "STARTS",
    "BetaInput",
    "Gate",
    "RowGates",
    "affine",
    "direction",
    "log_gate",
    "min_exp",
    "rows_at",
    "sigmoid",
    "sqrt_relu",
    "start_value",
    "tanh",
]

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


def tanh(x: Tensor, sharpness: float = math.inf) -> Tensor:
    r"""Signed gate :math:`\tanh x`: a row can also change its sign; closed at 0 only."""
    return torch.tanh(x)


def affine(x: Tensor, sharpness: float = math.inf) -> Tensor:
    r"""Unbounded gate :math:`1 + x`; the 1 makes weight decay pull it towards no gate at all."""
    return 1 + x


GATES: dict[str, Gate] = {
    "sigmoid": sigmoid,
    "sqrt_relu": sqrt_relu,
    "min_exp": min_exp,
    "tanh": tanh,
    "affine": affine,
}

# What a bank can be. film scales and shifts. The log kinds are added to a layer whose output is a
# logarithm, which multiplies what it is the logarithm of.
KINDS = (*GATES, "film", "log_sigmoid", "log_min_exp")

# Argument at which the gates of a converted network start; they are divided by their value there.
# Bounded gates start at half their ceiling, so that a row can double or vanish. Only sqrt_relu
# starts farther from its kink, beyond which the exact gate has no gradient.
STARTS = {
    "sigmoid": 0.0,
    "sqrt_relu": -1.0,
    "min_exp": -math.log(2),
    "tanh": math.atanh(0.5),
    "affine": 0.0,
}


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
        return GATES[self.gate](rows_at(inputs, self.slope, self.bias), sharpness)


@dataclass(frozen=True)
class BetaInput:
    r"""What the gates read: log β, standardised over a range of β.

    .. math:: t = \frac{\log\beta - \tfrac12(\log a + \log b)}{(\log b - \log a)/\sqrt{12}}

    The mean and the standard deviation are those of log β uniform on [log a, log b]; the range
    itself becomes [−√3, √3], and β outside it is legal.

    Notes
    -----
    Source: Bae et al. 2023, the paragraph on normalisation of the hypernetwork's inputs.
    """

    mean: float
    std: float

    @classmethod
    def of_range(cls, beta_range: tuple[float, float]) -> BetaInput:
        """Standardise over (a, b).

        Raises
        ------
        InputError
            Not 0 < a < b.
        """
        low, high = (math.log(b) for b in check_beta_range(beta_range))
        return cls((low + high) / 2, (high - low) / math.sqrt(12))

    def __call__(self, beta: Tensor | float, like: Tensor) -> Tensor:
        """Inputs of the shape of beta, with the dtype and on the device of another tensor.

        Raises
        ------
        InputError
            β not positive and finite. (Inside ``torch.func`` transforms and compiled code values
            cannot be looked at; there such a β gives NaN.)
        """
        if not isinstance(beta, Tensor):
            beta = torch.as_tensor(beta, dtype=torch.float64)
        elif beta.dtype not in (torch.float32, torch.float64):
            beta = beta.to(torch.float32)
        inputs = (torch.log(_checked_beta(beta)) - self.mean) / self.std
        return inputs.to(device=like.device, dtype=like.dtype)


def log_gate(gate: str, x: Tensor, sharpness: float) -> Tensor:
    """Logarithm of ``sigmoid`` or ``min_exp``: both are the ramp, so nothing underflows."""
    if gate == "sigmoid":
        return nn.functional.logsigmoid(x)
    return torch.clamp(x, max=0.0) if _is_exact(sharpness) else _ramp(x, sharpness)


@lru_cache(maxsize=64)
def start_value(gate: str, sharpness: float) -> float:
    """Value of the gate where the gates of a converted network start."""
    return float(GATES[gate](torch.tensor(STARTS[gate], dtype=torch.float64), sharpness))


def rows_at(inputs: Tensor, slope: Tensor, bias: Tensor) -> Tensor:
    """Compute slope · input + bias, shape (..., rows), at inputs (...)."""
    return torch.addcmul(bias, inputs[..., None], slope)


def _checked_beta(weight: Tensor) -> Tensor:
    if torch.compiler.is_compiling():  # no values to look at
        return _nan_if_bad(weight)
    try:
        ends = torch.stack(torch.aminmax(weight.detach())).tolist()  # one wait for a device
    except RuntimeError:  # a transform of torch.func: no values to look at
        return _nan_if_bad(weight)
    low, high = ends
    if not 0 < low <= high < math.inf:
        fail("beta", f"values from {low:g} to {high:g}", "finite numbers > 0",
             "β weighs the rate; pass 0 < β < ∞")  # fmt: skip
    return weight


def _nan_if_bad(weight: Tensor) -> Tensor:
    return torch.where((weight > 0) & (weight < math.inf), weight, math.nan)


def _check_known(gate: str) -> None:
    if gate not in GATES:
        fail("gate", repr(gate), f"one of {', '.join(GATES)}", "choose a known gate")


def _is_exact(sharpness: float) -> bool:
    if not sharpness > 0:
        fail("sharpness", sharpness, "a number > 0", "pass math.inf for the exact gate")
    return math.isinf(sharpness)


def _ramp(x: Tensor, sharpness: float) -> Tensor:
    return -nn.functional.softplus(-sharpness * x) / sharpness
