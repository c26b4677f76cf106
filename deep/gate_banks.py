"""Gates of one kind for all rows of a network, and the hidden layer that they may share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deep._checks import fail
from deep.gates import GATES, KINDS, STARTS, affine, log_gate, rows_at, start_value

__all__ = ["GateBank", "GateFeatures", "Modulation"]

_TOGETHER = 256  # rows


class GateFeatures(nn.Module):
    r"""A hidden layer between log β and the gates, shared by all of them.

    .. math:: h(t) = \mathrm{silu}(u\,t + v) \in \mathbb{R}^m

    A gate is then a function of :math:`w_r^\top h(t) + b_r`, which need not be monotone in β. With
    gates ``"film"`` that is loss-conditional training: scales and shifts of every layer from a
    small network of log β.

    Parameters
    ----------
    width : int
        m >= 1.
    generator : torch.Generator
        Draws u and v, uniform on ±1.
    dtype : torch.dtype
    device : torch.device, optional

    Raises
    ------
    InputError
        A width below 1, no generator.

    Notes
    -----
    Source: Dosovitskiy & Djolonga 2020, Sec. 2.
    """

    def __init__(
        self,
        width: int,
        generator: torch.Generator | None,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        if width < 1 or generator is None:
            fail("gate_hidden", f"{width} and {'no' if generator is None else 'a'} generator",
                 "an integer >= 1, and a generator",
                 "pass generator=deep.randomness.generator(seed, 'gates')")  # fmt: skip
        self.width = width
        draws = 2 * torch.rand(2, width, generator=generator, dtype=dtype) - 1
        self.slope = nn.Parameter(draws[0].to(device, copy=True))
        self.bias = nn.Parameter(draws[1].to(device, copy=True))

    def forward(self, inputs: Tensor) -> Tensor:
        """Features (..., width) at inputs (...)."""
        return nn.functional.silu(rows_at(inputs, self.slope, self.bias))


class Modulation(NamedTuple):
    """What gates do to rows: output · scale + shift; None leaves that part out."""

    scale: Tensor | None
    shift: Tensor | None


class GateBank(nn.Module):
    r"""Gates of one kind for all rows of a network, in one pair of parameters.

    .. math:: g_r(t) = \sigma(w_r t + b_r) / \sigma(b_0)

    b starts at b₀ and w at 0, so every gate starts at exactly 1 at every β and every sharpness: a
    converted network computes what the network did, and training departs from there. Dividing by
    σ(b₀) changes no more than the scale of the base weights, which are free. With features
    h(t) (:class:`GateFeatures`) the argument is :math:`w_r^\top h(t) + b_r`; the start is the same.

    Parameters
    ----------
    rows : int
        Of all layers together.
    kind : str
        One of :data:`deep.gates.KINDS`.
    slope_std : float
        Standard deviation of the initial slopes; above 0 the start is near 1 only.
    generator : torch.Generator, optional
        Draws them; required if slope_std > 0.
    like : Tensor, optional
        Gives the dtype and the device.
    width : int, optional
        Number of the features that take the place of t.

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
        width: int | None = None,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            fail("gate", repr(kind), f"one of {', '.join(KINDS)}", "choose a known gate")
        if not 0 <= slope_std < math.inf or (slope_std > 0 and generator is None):
            fail("slope_std", slope_std, "0, or a number > 0 with a generator",
                 "pass generator=deep.randomness.generator(seed, 'gates')")  # fmt: skip
        self.kind = kind
        self._gate = "affine" if kind == "film" else kind.removeprefix("log_")
        self._start = start_value(self._gate, math.inf)  # at hand: compiled code cannot cache it
        shape = (2, rows) if kind == "film" else (rows,)  # film: scales, shifts
        dtype = torch.get_default_dtype() if like is None else like.dtype
        device = None if like is None else like.device
        self._features = width is not None
        of_slopes = shape if width is None else (*shape[:-1], width, rows)
        slope = torch.zeros(of_slopes, dtype=dtype)
        if slope_std > 0:
            slope = slope_std * torch.randn(of_slopes, generator=generator, dtype=dtype)
            slope /= math.sqrt(width or 1)
        start = torch.full(shape, STARTS[self._gate], dtype=dtype)
        self.slope = nn.Parameter(slope.to(device))
        self.bias = nn.Parameter(start.to(device))

    def forward(self, inputs: Tensor, sharpness: float = math.inf) -> Modulation:
        """Scales and shifts of all rows, each (..., rows), at inputs (...) or features."""
        return self._evaluate(inputs, self.slope, self.bias, sharpness)

    def split(self, inputs: Tensor, sizes: Sequence[int], sharpness: float) -> list[Modulation]:
        """Scales and shifts of groups of rows, at inputs () or (N,), or their features.

        One input: one evaluation for all groups. Many: one for each large group, so that its
        (N, rows) numbers are still in the cache when they are used, and for small ones together.
        """
        if inputs.ndim == self._features:
            return _parts(self(inputs, sharpness), sizes)
        runs = _runs(tuple(sizes))
        rows = [sum(run) for run in runs]
        slopes, biases = (part.split_with_sizes(rows, -1) for part in (self.slope, self.bias))
        found: list[Modulation] = []
        for run, slope, bias in zip(runs, slopes, biases, strict=True):
            found += _parts(self._evaluate(inputs, slope, bias, sharpness), run)
        return found

    def _evaluate(
        self, inputs: Tensor, slope: Tensor, bias: Tensor, sharpness: float
    ) -> Modulation:
        rows = _of_features if self._features else _rows
        if self.kind == "film":
            shift = rows(inputs, slope[1], bias[1])
            return Modulation(1 + rows(inputs, slope[0], bias[0]), shift)
        x = rows(inputs, slope, bias)
        if self._gate == "affine":
            return Modulation(affine(x), None)
        start = self._start if math.isinf(sharpness) else start_value(self._gate, sharpness)
        if self.kind.startswith("log_"):
            return Modulation(None, log_gate(self._gate, x, sharpness) - math.log(start))
        return Modulation(GATES[self._gate](x, sharpness) * (1 / start), None)


def _parts(rows: Modulation, sizes: Sequence[int]) -> list[Modulation]:
    if len(sizes) == 1:
        return [rows]
    nothing = (None,) * len(sizes)
    scales, shifts = (
        nothing if part is None else part.split_with_sizes(sizes, -1) for part in rows
    )
    return list(map(Modulation, scales, shifts))


@lru_cache(maxsize=64)
def _runs(sizes: tuple[int, ...]) -> list[list[int]]:
    """Neighbouring groups joined as long as they have few rows together."""
    runs: list[list[int]] = []
    for size in sizes:
        if runs and sum(runs[-1]) + size <= _TOGETHER:
            runs[-1].append(size)
        else:
            runs.append([size])
    return runs


def _rows(inputs: Tensor, slope: Tensor, bias: Tensor) -> Tensor:
    if inputs.ndim == 1:  # a matrix product, for the sake of its gradient: one product as well
        return torch.addmm(bias, inputs[:, None], slope[None])
    return rows_at(inputs, slope, bias)


def _of_features(features: Tensor, slope: Tensor, bias: Tensor) -> Tensor:
    with torch.autocast(features.device.type, enabled=False):  # gates keep their precision
        if features.ndim == 2:
            return torch.addmm(bias, features, slope)
        return features @ slope + bias
