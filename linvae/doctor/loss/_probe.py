"""Calling a loss with designed inputs and reading a number off whatever it returns."""

from __future__ import annotations

import copy
import math
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from linvae._validation import FloatArray
from linvae.doctor.sandbox import as_numbers, call
from linvae.errors import SubjectError

from ._generators import generators_in, state_of, unseeded_alike

__all__ = ["LAYOUTS", "Gradient", "Inputs", "Layout", "Probe", "draw", "is_total", "part"]

# (function of their arrays, NumPy arrays) -> gradient for each array, or None.
Gradient = Callable[[Callable[..., Any], list[FloatArray]], Sequence[Any] | None]

# Their numbers may have passed through float32 on the way, whatever comes out.
_UNIT = float(np.finfo(np.float32).eps)
_HALF_UNITS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
# Numbers that show whether they were rounded to half precision before.
_TELLING = 3

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
    equal : bool
        Whether all samples of a batch are drawn equal, to average what a loss draws.
    """

    features: tuple[int, ...]
    wider: tuple[int, ...] | None
    latents: int = 3
    latents_vary: bool = True
    batch: int = 4
    equal: bool = False

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
    rows = 1 if layout.equal else layout.batch
    samples, latents = (rows, *layout.features), (rows, layout.latents)
    drawn = Inputs(
        rng.uniform(0.1, 0.9, samples),
        rng.uniform(0.1, 0.9, samples),
        rng.uniform(*means, latents),
        rng.uniform(*log_vars, latents),
    )
    if not layout.equal:
        return drawn
    return Inputs(*(np.repeat(array, layout.batch, axis=0) for array in vars(drawn).values()))


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
    weights : mapping
        Names of the entries whose weighted sum is the total; empty for a plain number.
    assumed : str
        What was taken for the total where the loss does not say; ``""`` where it does.
    frozen : bool
        Whether every call starts from the same seeds and from the same state of the loss.
    """

    def __init__(
        self,
        loss: Callable[..., Any],
        convert: Callable[[FloatArray], Any] | None = None,
        gradient: Gradient | None = None,
        reseed: Callable[[int], Any] | None = None,
    ) -> None:
        self._loss = loss
        self._convert = convert
        self._gradient = gradient
        self._reseed = reseed or _seed
        self.calls = 0
        self.weights: dict[str, float] = {}
        self.assumed = ""
        self.frozen = False
        self._rewind: list[Callable[[], None]] | None = None
        self.unit = _UNIT
        self.per_sample = False
        self._halves, self._seen = list(_HALF_UNITS), 0

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
        return self._read(self._called(*given), len(inputs.x))

    def gradient(self, inputs: Inputs) -> list[FloatArray] | None:
        """Gradient of the total with respect to each input; None where there is none to be had."""
        if self._gradient is None:
            return None
        arrays = [inputs.x, inputs.x_hat, inputs.mean, inputs.log_var]
        try:
            found = self._gradient(self._differentiable, [a.copy() for a in arrays])
        except Exception:  # theirs, in what is only asked for in addition
            return None
        return None if found is None else [np.asarray(g, dtype=np.float64) for g in found]

    def _differentiable(self, *given: Any) -> Any:
        """The total as the loss gives it, of its own kind of array."""
        entries, weights = self._entries(self._called(*given))
        parts = [weight * _averaged(entries[name]) for name, weight in weights.items()]
        total = parts[0]
        for other in parts[1:]:
            total = total + other
        return total

    def _called(self, *given: Any) -> Any:
        self.calls += 1
        if not self.frozen:
            return call(self._loss, *given)
        self._reseed(0)
        if self._rewind is None:
            self._rewind = [state_of(generator) for generator in generators_in(self._loss)]
        for put_back in self._rewind:
            put_back()
        with unseeded_alike(0):
            return call(_copy_of(self._loss), *given)

    def total(self, inputs: Inputs) -> float:
        """The number that is minimised."""
        return self.values(inputs)["total"]

    def attempt(self, inputs: Inputs) -> float:
        """The same at inputs that a loss may refuse; NaN where it does."""
        try:
            return self.total(inputs)
        except SubjectError:
            return float("nan")

    def _read(self, result: Any, batch: int) -> dict[str, float]:
        entries, self.weights = self._entries(result)
        total = sum(w * self._number(n, entries[n], batch) for n, w in self.weights.items())
        whole = len(self.weights) == 1 and not self.assumed
        found: dict[str, float] = {}
        for name in entries:
            if not whole or name not in self.weights:
                found |= self._part(name, entries[name], batch)
        # The total comes last, so that no part of that name hides it.
        return {**found, "total": float(total)}

    def _entries(self, result: Any) -> tuple[dict[str, Any], dict[str, float]]:
        """What came back by name, and the weights that make the total of it."""
        if hasattr(result, "_asdict"):
            result = result._asdict()
        if isinstance(result, tuple | list) and result:
            result = {"loss": result[0], **{f"part_{i}": p for i, p in enumerate(result[1:], 2)}}
        if not isinstance(result, Mapping):
            return {"the loss": result}, {"the loss": 1.0}
        entries = {str(name): value for name, value in result.items()}
        if self.assumed:
            return entries, self.weights
        name, sign = _total_of(entries)
        if name is not None:
            return entries, {name: sign}
        pair = [part(entries, kind) for kind in ("reconstruction", "kl")]
        if None in pair or pair[0] == pair[1]:
            raise SubjectError(
                f"the loss returned a mapping with {', '.join(entries) or 'nothing'}; expected "
                "one entry to be the total: name it 'loss'"
            )
        return entries, self.take({str(name): 1.0 for name in pair})

    def take(self, weights: dict[str, float]) -> dict[str, float]:
        """Take a weighted sum of entries for the total from now on, and say so."""
        words = {"loss": "part_1"} if "part_2" in weights else {}
        terms = [("" if w == 1 else f"{w:g} x ") + words.get(n, n) for n, w in weights.items()]
        self.weights, self.assumed = dict(weights), " + ".join(terms)
        return self.weights

    def _coarsest(self, array: FloatArray) -> None:
        """Numbers that are of half precision, one and all, have passed through it on the way."""
        if not array.any():
            return
        self._halves = [dtype for dtype in self._halves if _fits_half(array, dtype)]
        self._seen += 1
        if self._seen >= _TELLING:
            self.unit = max([self.unit, *(_HALF_UNITS[dtype] for dtype in self._halves)])

    def _part(self, name: str, value: Any, batch: int) -> dict[str, float]:
        """A part of a mapping; what is no number (samples, names) is no part."""
        try:
            return {name: self._number(name, value, batch, reduce=True)}
        except SubjectError:
            return {}

    def _number(self, name: str, value: Any, batch: int, reduce: bool = False) -> float:
        dtype = str(getattr(value, "dtype", "")).rpartition(".")[2]
        _refuse_what_is_no_loss(name, value, dtype)
        if callable(getattr(value, "float", None)) and dtype in _HALF_UNITS:
            value = value.float()
        self.unit = max(self.unit, _HALF_UNITS.get(dtype, 0.0))
        array = as_numbers(name, value)
        if not reduce:
            self._coarsest(array)
        if array.size == 1:
            return float(array.reshape(()))
        if array.shape in {(batch,), (batch, 1)}:
            self.per_sample = self.per_sample or not reduce
            return float(array.mean())
        raise SubjectError(
            f"{name} came back with shape {array.shape} for a batch of {batch}; expected one "
            "number, or one per sample: sum over features and latents inside the loss"
        )


def _fits_half(array: FloatArray, dtype: str) -> bool:
    """Whether all numbers are of half precision, whatever type they came in."""
    if dtype == "float16":
        with np.errstate(all="ignore"):
            return bool((array.astype(np.float16) == array).all())
    with np.errstate(all="ignore"):
        single = array.astype(np.float32)
    # bfloat16 is the upper half of float32.
    return bool((single == array).all()) and not (single.view(np.uint32) & 0xFFFF).any()


def _refuse_what_is_no_loss(name: str, value: Any, dtype: str) -> None:
    if value is None:
        raise SubjectError(f"{name} returned None: return the number that is minimised"
                           if name == "the loss" else f"{name} is None")  # fmt: skip
    if isinstance(value, complex) or dtype.startswith("complex"):
        raise SubjectError(
            f"{name} is complex: a loss is a real number; look for a root or logarithm of a "
            "negative number, or take the real part"
        )


def _averaged(value: Any) -> Any:
    """The mean of one number per sample, in their kind of array; a number as it is."""
    return value.mean() if callable(getattr(value, "mean", None)) else value


def _copy_of(loss: Any) -> Any:
    """A loss in the state it had; functions, and what cannot be copied, as they are."""
    try:
        return copy.deepcopy(loss)
    except Exception:  # theirs: an object may refuse
        return loss


def _seed(seed: int) -> None:
    """Seed the generators that every program has; they are put back by the sandbox."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (theirs)


def _total_of(entries: Mapping[str, Any]) -> tuple[str | None, float]:
    """Name of the total in a mapping and its sign: an ELBO counts negatively."""
    names = {name.lower(): name for name in entries}
    for sign, group in ((1.0, _TOTALS), (-1.0, _GAINS)):
        for name in group:
            if name in names:
                return names[name], sign
    return (next(iter(entries)), 1.0) if len(entries) == 1 else (None, 1.0)


def part(names: Iterable[str], kind: str) -> str | None:
    """Name of the entry that is the 'kl' or the 'reconstruction', when exactly one is."""
    found = [name for name in names if _PARTS[kind].search(name.lower())]
    return found[0] if len(found) == 1 else None


def is_total(name: str) -> bool:
    """Whether an entry of that name is a total or its negative."""
    return name.lower() in {*_TOTALS, *_GAINS, "total"}
