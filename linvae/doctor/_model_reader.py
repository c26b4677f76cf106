"""Their encode and decode with every answer checked, and what the parts of an answer may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from linvae._validation import FloatArray
from linvae.errors import SubjectError

from .sandbox import as_numbers, call

__all__ = ["READINGS", "Answers", "Convert", "Reader", "plausible_readings"]

Convert = Callable[[FloatArray], Any]

# What encode() gives, by what is made of it; the first is the contract.
READINGS = {
    "log_var": "(mean, log_var)",
    "log_std": "(mean, log_std)",
    "std": "(mean, standard deviation)",
    "variance": "(mean, variance)",
    "swapped": "(log_var, mean)",
}
_LARGEST = 1.2  # no posterior at its best is wider than the prior; a little for the optimiser
_MANY = 32  # rows from which the order of three parts can be told


class Answers(NamedTuple):
    """Mean and log-variance of q(z|x), shape (N, k) each."""

    mean: FloatArray
    log_var: FloatArray


class Reader:
    """Their two functions.

    Parameters
    ----------
    model : object
        With ``encode`` and ``decode``.
    n : int
        Number of features.
    k : int or None
        Number of latents; that of the first answer when None.
    convert : callable
        Turns a float64 array into what the model takes.
    reading : str
        One of :data:`READINGS`: what the two parts are taken for.
    """

    def __init__(
        self, model: Any, n: int, k: int | None, convert: Convert, reading: str = "log_var"
    ) -> None:
        for name in ("encode", "decode"):
            if not callable(getattr(model, name, None)):
                raise SubjectError(
                    f"model: got {type(model).__name__} without {name}(); expected "
                    "encode(x) -> (mean, log_var) and decode(z) -> x_hat; wrap it in a class that "
                    "has both"
                )
        self.model, self.n, self.k, self.convert, self.reading = model, n, k, convert, reading
        self.sample_first: bool | None = None  # of three parts: (z, mean, log_var)

    def encode(self, x: FloatArray) -> Answers:
        """Mean and log-variance, by the reading that was chosen."""
        first, second = self._pair(x)
        if self.reading == "swapped":
            return Answers(second, first)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.reading == "log_std":
                second = 2 * second
            elif self.reading in ("std", "variance"):
                second = (2 if self.reading == "std" else 1) * np.log(second)
        return Answers(first, second)

    def _pair(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        given = call(self.model.encode, self.convert(x))
        parts = _parts_of(given)
        if parts is None:
            raise SubjectError(
                f"model.encode: got {type(given).__name__}; expected the pair (mean, log_var)"
            )
        arrays = [as_numbers("model.encode", part) for part in parts]
        if self.k is None:
            self.k = arrays[0].shape[-1] if arrays[0].ndim else 0
        wanted = (len(x), self.k)
        if any(part.shape == wanted for part in arrays):  # one row for all samples
            thin = ((self.k,), (1, self.k))
            arrays = [np.broadcast_to(p, wanted) if p.shape in thin else p for p in arrays]
        if len(arrays) > 2 and all(part.shape == wanted for part in arrays):
            if self.sample_first is None and len(x) >= _MANY:
                self.sample_first = _begins_with_sample(*arrays[:3])
            if self.sample_first:
                arrays = arrays[1:]
        for name, part in zip(("mean", "log_var"), arrays, strict=False):
            if part.shape != wanted:
                raise SubjectError(
                    f"model.encode: got {name} of shape {part.shape}; expected {wanted}"
                )
        return arrays[0], arrays[1]

    def decode(self, z: FloatArray) -> FloatArray:
        """The mean of p(x|z), shape (N, n)."""
        given = call(self.model.decode, self.convert(z))
        given = given[0] if isinstance(given, (tuple, list)) else given
        x_hat = as_numbers("model.decode", given)
        if x_hat.size == len(z) * self.n and x_hat.shape[:1] == (len(z),):
            x_hat = x_hat.reshape(len(z), self.n)
        if x_hat.shape != (len(z), self.n):
            raise SubjectError(
                f"model.decode: got shape {x_hat.shape}; expected {(len(z), self.n)}"
            )
        return x_hat


def _parts_of(given: Any) -> Sequence[Any] | None:
    """Two parts, or three where all are arrays of one shape; None where there are no such."""
    given = getattr(given, "parts", given)  # an adapter keeps there what it could not place
    if isinstance(given, str) or not hasattr(given, "__getitem__"):
        return None
    if len(given) == 2:
        return given[0], given[1]
    if not isinstance(given, (tuple, list)) or len(given) < 3:
        return None
    shapes = [getattr(part, "shape", None) for part in given[:3]]
    alike = shapes[0] is not None and tuple(shapes[0]) == tuple(shapes[2] or ())
    return given[:3] if alike else given[:2]


def _begins_with_sample(first: FloatArray, second: FloatArray, third: FloatArray) -> bool:
    """Whether (z, mean, log_var) explains three parts, and (mean, log_var, z) does not.

    A sample lies where its mean and log-variance say: it is the mean, or its standardised distance
    has variance one in every latent.
    """
    early, late = _is_sample(first, second, third), _is_sample(third, first, second)
    if early and late:  # mean and log_var are zero where all latents are dead
        return bool(first.var() > third.var())
    return early


def _is_sample(z: FloatArray, mean: FloatArray, log_var: FloatArray) -> bool:
    if np.allclose(z, mean, rtol=1e-5, atol=1e-9):
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        spread = ((z - mean) ** 2 * np.exp(-log_var)).mean(axis=0)
    return bool(((spread > 0.4) & (spread < 2.0)).all())


def plausible_readings(first: FloatArray, second: FloatArray) -> tuple[str, ...]:
    """Readings besides the contract that the numbers of (first, second) allow.

    A log-variance is positive only of a posterior that is wider than the prior, and hardly varies
    with x where a mean does.
    """
    found: list[str] = []
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return ()
    if second.min() > 0 and second.max() < _LARGEST:
        found += ["std", "variance"]
    if second.var(axis=0).sum() > first.var(axis=0).sum():
        found.append("swapped")
    return tuple(found)
