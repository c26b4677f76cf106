r"""Gates: how strongly a row of weights is on at a given β.

A gate is a function of x = w·input + b, where the input is standardised log β. The exact response
of a linear VAE needs gates with a kink, and a kink cannot be trained through: beyond it the
gradient is zero, so a row that was closed once stays closed. Both kinked gates here come from one
smoothed ramp,

.. math:: m_s(x) = -\tfrac1s \log(1 + e^{-s x}) \;\to\; \min(x, 0) \quad (s \to \infty),

with a sharpness s. At s = 1 they are a sigmoid and the root of one, at s = ∞ the exact gates. Train
with s rising from 1, finish and evaluate at ∞.

Gates without a kink, for comparison: sigmoid, tanh (may change the sign of a row), affine, and FiLM
(scale and shift, both affine). :class:`GateBank` holds the gates of many layers of any network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deep._checks import check_beta_range, fail

__all__ = [
    "GATES",
    "KINDS",
    "BetaInput",
    "Gate",
    "GateBank",
    "Modulation",
    "RowGates",
    "affine",
    "direction",
    "min_exp",
    "sigmoid",
    "sqrt_relu",
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
_STARTS = {
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
        return GATES[self.gate](_rows(inputs, self.slope, self.bias), sharpness)


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
            β not positive and finite. (Inside ``torch.func`` transforms values cannot be looked
            at; there such a β gives NaN.)
        """
        if not isinstance(beta, Tensor):
            beta = torch.as_tensor(beta, dtype=torch.float64)
        elif beta.dtype not in (torch.float32, torch.float64):
            beta = beta.to(torch.float32)
        inputs = (torch.log(_checked_beta(beta)) - self.mean) / self.std
        return inputs.to(device=like.device, dtype=like.dtype)


class Modulation(NamedTuple):
    """What gates do to rows: output · scale + shift; None leaves that part out."""

    scale: Tensor | None
    shift: Tensor | None


class GateBank(nn.Module):
    r"""Gates of one kind for all rows of a network, in one pair of parameters.

    .. math:: g_r(t) = \sigma(w_r t + b_r) / \sigma(b_0)

    b starts at b₀ and w at 0, so every gate starts at exactly 1 at every β and every sharpness: a
    converted network computes what the network did, and training departs from there. Dividing by
    σ(b₀) changes no more than the scale of the base weights, which are free.

    Parameters
    ----------
    rows : int
        Of all layers together.
    kind : str
        One of :data:`KINDS`.
    slope_std : float
        Standard deviation of the initial slopes; above 0 the start is near 1 only.
    generator : torch.Generator, optional
        Draws them; required if slope_std > 0.
    like : Tensor, optional
        Gives the dtype and the device.

    Raises
    ------
    InputError
        An unknown kind, a negative slope_std, or slopes to draw and nothing to draw them with.

    Notes
    -----
    Source: Bae et al. 2023, Eq. 6 to 9; FiLM: Perez et al. 2018.
    """

    def __init__(
        self,
        rows: int,
        kind: str,
        *,
        slope_std: float = 0.0,
        generator: torch.Generator | None = None,
        like: Tensor | None = None,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            fail("gate", repr(kind), f"one of {', '.join(KINDS)}", "choose a known gate")
        if not 0 <= slope_std < math.inf or (slope_std > 0 and generator is None):
            fail("slope_std", slope_std, "0, or a number > 0 with a generator",
                 "pass generator=deep.randomness.generator(seed, 'gates')")  # fmt: skip
        self.kind = kind
        self._gate = "affine" if kind == "film" else kind.removeprefix("log_")
        shape = (2, rows) if kind == "film" else (rows,)  # film: scales, shifts
        dtype = torch.get_default_dtype() if like is None else like.dtype
        device = None if like is None else like.device
        slope = torch.zeros(shape, dtype=dtype)
        if slope_std > 0:
            slope = slope_std * torch.randn(shape, generator=generator, dtype=dtype)
        start = torch.full(shape, _STARTS[self._gate], dtype=dtype)
        self.slope = nn.Parameter(slope.to(device))
        self.bias = nn.Parameter(start.to(device))

    def forward(self, inputs: Tensor, sharpness: float = math.inf) -> Modulation:
        """Scales and shifts of all rows, each (..., rows), at inputs (...)."""
        return self._evaluate(inputs, self.slope, self.bias, sharpness)

    def split(self, inputs: Tensor, sizes: list[int], sharpness: float) -> list[Modulation]:
        """Scales and shifts of groups of rows, at inputs () or (N,).

        One input: one evaluation for all, then split. Many: one evaluation per group, so that its
        (N, rows) numbers are still in the cache when they are used.
        """
        if inputs.ndim == 0:
            scale, shift = self(inputs, sharpness)
            nothing = (None,) * len(sizes)
            scales = nothing if scale is None else scale.split_with_sizes(sizes, -1)
            shifts = nothing if shift is None else shift.split_with_sizes(sizes, -1)
            return list(map(Modulation, scales, shifts))
        slopes, biases = (part.split_with_sizes(sizes, -1) for part in (self.slope, self.bias))
        return [
            self._evaluate(inputs, slope, bias, sharpness)
            for slope, bias in zip(slopes, biases, strict=True)
        ]

    def _evaluate(
        self, inputs: Tensor, slope: Tensor, bias: Tensor, sharpness: float
    ) -> Modulation:
        if self.kind == "film":
            shift = _rows(inputs, slope[1], bias[1])
            return Modulation(1 + _rows(inputs, slope[0], bias[0]), shift)
        x = _rows(inputs, slope, bias)
        if self._gate == "affine":
            return Modulation(affine(x), None)
        start = _start_value(self._gate, sharpness)
        if self.kind.startswith("log_"):
            return Modulation(None, _log_gate(self._gate, x, sharpness) - math.log(start))
        return Modulation(GATES[self._gate](x, sharpness) * (1 / start), None)


def _log_gate(gate: str, x: Tensor, sharpness: float) -> Tensor:
    # Written as logarithms, so that nothing underflows: both are the ramp.
    if gate == "sigmoid":
        return nn.functional.logsigmoid(x)
    return torch.clamp(x, max=0.0) if _is_exact(sharpness) else _ramp(x, sharpness)


@lru_cache(maxsize=64)
def _start_value(gate: str, sharpness: float) -> float:
    return float(GATES[gate](torch.tensor(_STARTS[gate], dtype=torch.float64), sharpness))


def _rows(inputs: Tensor, slope: Tensor, bias: Tensor) -> Tensor:
    return torch.addcmul(bias, inputs[..., None], slope)


def _checked_beta(weight: Tensor) -> Tensor:
    try:
        ends = (weight,) if weight.ndim == 0 else torch.aminmax(weight.detach())
        low, high = ends[0].item(), ends[-1].item()
    except RuntimeError:  # a transform of torch.func: no values to look at
        return torch.where((weight > 0) & (weight < math.inf), weight, math.nan)
    if not 0 < low <= high < math.inf:
        fail("beta", f"values from {low:g} to {high:g}", "finite numbers > 0",
             "β weighs the rate; pass 0 < β < ∞")  # fmt: skip
    return weight


def _check_known(gate: str) -> None:
    if gate not in GATES:
        fail("gate", repr(gate), f"one of {', '.join(GATES)}", "choose a known gate")


def _is_exact(sharpness: float) -> bool:
    if not sharpness > 0:
        fail("sharpness", sharpness, "a number > 0", "pass math.inf for the exact gate")
    return math.isinf(sharpness)


def _ramp(x: Tensor, sharpness: float) -> Tensor:
    return -nn.functional.softplus(-sharpness * x) / sharpness
