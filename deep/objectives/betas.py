"""Weights of the rate: how β is drawn for a batch, and how it is annealed over the training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from deep._checks import check_beta_range, check_positive, fail
from deep.config import BetaConfig

__all__ = ["Annealing", "BetaDraws", "cyclical", "geometric", "linear"]

Draw = Literal["batch", "example", "stratified", "constant"]
Kind = Literal["none", "linear", "cyclical", "geometric"]


@dataclass(frozen=True)
class BetaDraws:
    r"""Log-uniform β's for a batch.

    .. math:: \log\beta \sim \mathcal U[\log a, \log b]

    Parameters
    ----------
    beta_range : (a, b)
        0 < a < b; not read by ``constant``.
    draw : str
        ``batch``: one β for all. ``example``: one for each, independent. ``stratified``: one from
        each of N equal parts of [log a, log b], in random order, so that which sample gets which
        part is chance. ``constant``: ``value`` for all.
    value : float
        Of ``constant``, > 0.
    tilt : float
        τ of :meth:`weight`: above 0 it favours small β's, below 0 large ones; not read by
        ``constant``.
    per_sample : int
        β's for each sample, >= 1; not read by ``constant``. Stratified draws give each sample one
        from each of so many equal parts of [log a, log b].

    Raises
    ------
    InputError
        Not 0 < a < b, a value that is not positive and finite, an unknown way to draw, a tilt that
        is not finite, fewer than one β a sample, or several while a batch shares one.

    Notes
    -----
    Source: Bae et al. 2023, Eq. 11 and Algorithm 1.
    """

    beta_range: tuple[float, float] = (0.01, 10.0)
    draw: Draw = "stratified"
    value: float = 1.0
    tilt: float = 0.0
    per_sample: int = 1

    def __post_init__(self) -> None:
        check_beta_range(self.beta_range)
        check_positive("value", self.value, "β weighs the rate")
        _check_known("draw", self.draw, get_args(Draw))
        if not math.isfinite(self.tilt):
            fail("tilt", self.tilt, "a finite number", "pass 0 for equal weights")
        if self.per_sample < 1 or (self.per_sample > 1 and self.draw == "batch"):
            fail("per_sample", f"{self.per_sample} with draw {self.draw!r}",
                 "1, or more with β's that differ within a batch",
                 "draw 'stratified' or 'example'")  # fmt: skip

    @classmethod
    def of(cls, config: BetaConfig) -> BetaDraws:
        """Draws that a configuration describes."""
        ends = (config.low, config.high)
        return cls(ends, config.draw, config.value, config.tilt, config.per_sample)

    @property
    def per_example(self) -> bool:
        """Whether the samples of a batch have β's of their own."""
        return self.draw in ("example", "stratified")

    def copies(self, samples: Tensor) -> Tensor:
        """Samples (N, ...) once for each of their β's: (N · per_sample, ...)."""
        if self.per_sample == 1 or self.draw == "constant":
            return samples
        return torch.cat([samples] * self.per_sample)

    def weight(self, beta: Tensor) -> Tensor | float:
        r"""Weights of the losses of β's, of their shape: :math:`(\beta/\sqrt{ab})^{-\tau}`."""
        if self.tilt == 0 or self.draw == "constant":
            return 1.0
        return (beta / math.sqrt(math.prod(self.beta_range))) ** -self.tilt

    def __call__(
        self, count: int, generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """β's for a batch of `count`, () or (count · per_sample,), on the device of the generator.

        Those of several for each sample come as batches one after the other.
        """
        device = generator.device
        if self.draw == "constant":
            return torch.full((), self.value, dtype=dtype, device=device)
        shape = (count * self.per_sample,) if self.per_example else ()
        place = torch.rand(shape, generator=generator, dtype=torch.float64, device=device)
        if self.draw == "stratified":
            part = [
                number * count + torch.randperm(count, generator=generator, device=device)
                for number in range(self.per_sample)
            ]
            place = (torch.cat(part) + place) / len(place)
        low, high = self.beta_range
        logarithm = math.log(low) + (math.log(high) - math.log(low)) * place
        return logarithm.exp().clamp(low, high).to(dtype)


@dataclass(frozen=True)
class Annealing:
    """Factor on β as a function of the part of the training that is done.

    Parameters
    ----------
    kind : str
        ``none``, or one of :func:`linear`, :func:`cyclical`, :func:`geometric`.
    part, cycles, start : float, int, float
        Their arguments.

    Raises
    ------
    InputError
        An unknown kind, a part outside (0, 1], no cycle, a start outside (0, 1].
    """

    kind: Kind = "none"
    part: float = 0.3
    cycles: int = 4
    start: float = 1e-3

    def __post_init__(self) -> None:
        _check_known("kind", self.kind, get_args(Kind))
        for name in ("part", "start"):
            if not 0 < getattr(self, name) <= 1:
                fail(name, getattr(self, name), "a number in (0, 1]", "it is a share")
        if self.cycles < 1:
            fail("cycles", self.cycles, "an integer >= 1", "pass 1 for a single rise")

    @classmethod
    def of(cls, config: BetaConfig) -> Annealing:
        """Annealing that a configuration describes."""
        start = config.low / config.high
        return cls(config.annealing, config.annealing_part, config.cycles, start)

    def __call__(self, done: float) -> float:
        """Factor in [0, 1] after the part `done` of the training."""
        _check_done(done)
        if self.kind == "linear":
            return linear(done, part=self.part)
        if self.kind == "cyclical":
            return cyclical(done, part=self.part, cycles=self.cycles)
        if self.kind == "geometric":
            return geometric(done, part=self.part, start=self.start)
        return 1.0


def linear(done: float, *, part: float) -> float:
    r"""Rise from 0 to 1 over the first part, :math:`\min(1, t / \text{part})`."""
    _check_done(done)
    return min(1.0, done / part)


def cyclical(done: float, *, part: float, cycles: int) -> float:
    r"""Rise from 0 to 1 and hold, in each of several cycles of equal length.

    .. math:: \min(1, u / \text{part}), \qquad u = t \cdot \text{cycles} \bmod 1

    At the very end it is 1: the last cycle ends, no other begins.

    Notes
    -----
    Source: Fu et al. 2019, Section 3.
    """
    _check_done(done)
    return 1.0 if done == 1 else linear(math.fmod(done * cycles, 1.0), part=part)


def geometric(done: float, *, part: float, start: float) -> float:
    r"""Rise by equal factors to 1, :math:`\text{start}^{1 - \min(1, t/\text{part})}`."""
    return math.pow(start, 1 - linear(done, part=part))


def _check_done(done: float) -> None:
    if not 0 <= done <= 1:
        fail("done", done, "a number in [0, 1]", "pass the part of the training behind us")


def _check_known(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        fail(name, repr(value), f"one of {', '.join(known)}", "choose one of these")
