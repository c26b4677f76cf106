"""Calling a loss with designed inputs and reading a number off whatever it returns."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from linvae._validation import FloatArray
from linvae.errors import SubjectError

from .sandbox import as_numbers, call

__all__ = ["LAYOUTS", "Inputs", "Layout", "Probe", "draw", "is_total", "part"]

# Their numbers may have passed through float32 on the way, whatever comes out.
_UNIT = float(np.finfo(np.float32).eps)
_HALF_UNITS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}

_TOTALS = ("loss", "total", "total_loss", "objective", "nelbo", "neg_elbo", "negative_elbo")
_GAINS = ("elbo", "lower_bound")
_PARTS = {
    "kl": re.compile(r"(^|_)(kl|kld|klds?|kl_?div\w*|rate|reg\w*|divergence|latent)(_|$)"),
    "reconstruction": re.compile(r"(^|_)(rec\w*|nll|mse|bce|distortion|likelihood)(_|$)"),
}


@dataclass(frozen=True)
class Layout:
    """Shapes of the inputs: a batch of samples and their latents.

    Attributes
    ----------
    features : tuple of int
        Shape of one sample.
    wider : tuple of int or None
        Shape of a sample with twice the features; None when the number of features is fixed.
    latents : int
        k.
    latents_vary : bool
        Whether k may be changed.
    batch : int
        N.
    """

    features: tuple[int, ...]
    wider: tuple[int, ...] | None
    latents: int = 3
    latents_vary: bool = True
    batch: int = 4

    @property
    def n_features(self) -> int:
        """Number n of numbers in one sample."""
        return math.prod(self.features)

    def doubled(self, what: str) -> Layout | None:
        """The layout with twice the batch, features or latents; None where that is fixed."""
        if what == "batch":
            return replace(self, batch=2 * self.batch)
        if what == "latents":
            return replace(self, latents=2 * self.latents) if self.latents_vary else None
        return replace(self, features=self.wider) if self.wider else None

    def describe(self) -> str:
        """Shapes in words."""
        shape = " x ".join(map(str, self.features))
        return f"N = {self.batch} samples of {shape} features, k = {self.latents} latents"


# Tried in this order: vectors and images of any size, then the sizes most often written into code.
LAYOUTS = (
    Layout((6,), (12,)),
    Layout((1, 2, 3), (1, 4, 3)),
    Layout((784,), None),
    Layout((1, 28, 28), None),
    Layout((3, 32, 32), None),
)


@dataclass(frozen=True)
class Inputs:
    """What the loss is called with: x, x_hat (N, ...) and mean, log_var (N, k)."""

    x: FloatArray
    x_hat: FloatArray
    mean: FloatArray
    log_var: FloatArray


def draw(
    layout: Layout,
    rng: np.random.Generator,
    means: tuple[float, float] = (-2.0, 2.0),
    log_vars: tuple[float, float] = (-2.0, 1.5),
) -> Inputs:
    """Random inputs at which every likelihood is defined: x and x_hat lie within (0, 1)."""
    samples, latents = (layout.batch, *layout.features), (layout.batch, layout.latents)
    return Inputs(
        rng.uniform(0.1, 0.9, samples),
        rng.uniform(0.1, 0.9, samples),
        rng.uniform(*means, latents),
        rng.uniform(*log_vars, latents),
    )


class Probe:
    """One loss, ready to be called with NumPy arrays.

    Parameters
    ----------
    loss : callable
        ``loss(x, x_hat, mean, log_var)``.
    convert : callable, optional
        Makes their kind of array of a NumPy array.

    Attributes
    ----------
    calls : int
        How often the loss was called.
    unit : float
        Rounding unit of its numbers, relative.
    per_sample : bool
        Whether it returned one number per sample, of which the mean is taken.
    total_name : str
        Name of the total in a mapping, or ``""``.
    """

    def __init__(
        self, loss: Callable[..., Any], convert: Callable[[FloatArray], Any] | None = None
    ) -> None:
        self._loss = loss
        self._convert = convert
        self.calls = 0
        self.unit = _UNIT
        self.per_sample = False
        self.total_name = ""

    def values(self, inputs: Inputs) -> dict[str, float]:
        """Total and named parts, each one number.

        Raises
        ------
        SubjectError
            Their exception, or a result that has no total.
        """
        arrays = [inputs.x, inputs.x_hat, inputs.mean, inputs.log_var]
        # Copies: a loss that works in place must not change the next probe.
        given = [a.copy() if self._convert is None else self._convert(a.copy()) for a in arrays]
        self.calls += 1
        batch = len(inputs.x)
        # The total comes last, so that no part of that name hides it.
        return dict(reversed(list(self._read(call(self._loss, *given), batch))))

    def total(self, inputs: Inputs) -> float:
        """The number that is minimised."""
        return self.values(inputs)["total"]

    def attempt(self, inputs: Inputs) -> float:
        """The same at inputs that a loss may refuse; NaN where it does."""
        try:
            return self.total(inputs)
        except SubjectError:
            return float("nan")

    def _read(self, result: Any, batch: int) -> Iterator[tuple[str, float]]:
        if hasattr(result, "_asdict"):
            result = result._asdict()
        if isinstance(result, tuple | list) and result:
            result = {"loss": result[0]}
        if not isinstance(result, Mapping):
            yield "total", self._number("the loss", result, batch)
            return
        name, sign = _total_of(result)
        self.total_name = name
        yield "total", sign * self._number(name, result[name], batch)
        for other in result:
            if other != name:
                yield from self._part(str(other), result[other], batch)

    def _part(self, name: str, value: Any, batch: int) -> Iterator[tuple[str, float]]:
        """A part of a mapping; what is no number (samples, names) is no part."""
        try:
            yield name, self._number(name, value, batch, reduce=True)
        except SubjectError:
            return

    def _number(self, name: str, value: Any, batch: int, reduce: bool = False) -> float:
        dtype = str(getattr(value, "dtype", "")).rpartition(".")[2]
        if callable(getattr(value, "float", None)) and dtype in _HALF_UNITS:
            value = value.float()
        self.unit = max(self.unit, _HALF_UNITS.get(dtype, 0.0))
        array = as_numbers(name, value)
        if array.size == 1:
            return float(array.reshape(()))
        if array.shape in {(batch,), (batch, 1)}:
            self.per_sample = self.per_sample or not reduce
            return float(array.mean())
        raise SubjectError(
            f"{name} came back with shape {array.shape} for a batch of {batch}; expected one "
            "number, or one per sample: sum over features and latents inside the loss"
        )


def _total_of(result: Mapping[Any, Any]) -> tuple[str, float]:
    """Name of the total in a mapping and its sign: an ELBO counts negatively."""
    names = {str(name).lower(): name for name in result}
    for sign, group in ((1.0, _TOTALS), (-1.0, _GAINS)):
        for name in group:
            if name in names:
                return names[name], sign
    if len(names) == 1:
        return next(iter(names.values())), 1.0
    raise SubjectError(
        f"the loss returned a mapping with {', '.join(map(str, result)) or 'nothing'}; expected "
        "one entry to be the total: name it 'loss'"
    )


def part(names: Iterable[str], kind: str) -> str | None:
    """Name of the entry that is the 'kl' or the 'reconstruction', when exactly one is."""
    found = [name for name in names if _PARTS[kind].search(name.lower())]
    return found[0] if len(found) == 1 else None


def is_total(name: str) -> bool:
    """Whether an entry of that name is a total or its negative."""
    return name.lower() in {*_TOTALS, *_GAINS, "total"}
