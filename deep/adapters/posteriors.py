"""Mean and log-variance of q(z|x) out of whatever an encoder returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deep._checks import fail
from deep.adapters.names import role

__all__ = ["Posterior", "exp_of", "fields_of", "log_of", "posterior_of"]

_SPREADS = ("log_var", "log_std", "std", "variance")
_WANTED = "(mean, log-variance), a distribution, or named fields for them"


class Posterior(tuple[Any, ...]):
    """The pair (mean, log-variance) in the usual order, and in `parts` all of a longer tuple.

    Three unnamed arrays may be (mean, log-variance, z) or (z, mean, log-variance); which is told
    by many rows together, not by one call.
    """

    parts: tuple[Any, ...]

    def __new__(cls, parts: Sequence[Any]) -> Posterior:
        """Of at least two parts."""
        pair = super().__new__(cls, (parts[0], parts[1]))
        pair.parts = tuple(parts)
        return pair


def log_of(array: Any) -> Any:
    """Natural logarithm, of an array of any library."""
    return array.log() if callable(getattr(array, "log", None)) else np.log(array)


def exp_of(array: Any) -> Any:
    """Exponential, of an array of any library."""
    return array.exp() if callable(getattr(array, "exp", None)) else np.exp(array)


def fields_of(value: Any) -> dict[str, Any] | None:
    """Named parts of a mapping, a named tuple, a dataclass or a similar object; None for others."""
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    if hasattr(value, "__array__") or isinstance(value, list | tuple):
        return None
    held = getattr(value, "__dict__", None)
    return dict(held) if held else None


def posterior_of(value: Any, latent_dim: int | None = None) -> tuple[Any, Any]:
    """Read (mean, log-variance) off what an encoder returned.

    Parameters
    ----------
    value : object
        A pair or longer tuple (mean, log-variance, ...), which comes as a :class:`Posterior`, a
        distribution with ``mean`` and ``variance``, a mapping or object with named fields, or one
        array (N, 2k).
    latent_dim : int, optional
        k, needed to read one array.

    Raises
    ------
    InputError
        What came is none of these.
    """
    if _is_distribution(value):
        return value.mean, log_of(value.variance)
    fields = fields_of(value)
    if fields is not None:
        return _named(fields)
    if isinstance(value, tuple | list):
        return _positional(value, latent_dim)
    return _halves(value, latent_dim)


def _halves(array: Any, latent_dim: int | None) -> tuple[Any, Any]:
    """Mean and log-variance side by side in one array (N, 2k)."""
    shape = getattr(array, "shape", ())
    if len(shape) == 2 and latent_dim is not None and shape[1] == 2 * latent_dim:
        return array[:, :latent_dim], array[:, latent_dim:]
    what = f"{type(array).__name__} of shape {tuple(shape)}"
    return fail("encode", what, _WANTED, "return mean and log-variance of q(z|x) from encode(x)")


def _is_distribution(value: Any) -> bool:
    """Whether mean and variance are arrays; arrays themselves have methods of these names."""
    parts = (getattr(value, "mean", None), getattr(value, "variance", None))
    return all(hasattr(part, "shape") for part in parts)


def _named(fields: dict[str, Any]) -> tuple[Any, Any]:
    found = {role(name, ("mean", *_SPREADS)): part for name, part in reversed(fields.items())}
    kind = next((kind for kind in _SPREADS if kind in found), None)
    if "mean" not in found or kind is None:
        fail("encode", f"fields {', '.join(fields)}", _WANTED,
             "name them mean and log_var, or return a pair")  # fmt: skip
    spread = found[kind]
    if kind == "log_var":
        return found["mean"], spread
    if kind == "log_std":
        return found["mean"], 2 * spread
    return found["mean"], (2 if kind == "std" else 1) * log_of(spread)


def _positional(value: Any, latent_dim: int | None) -> tuple[Any, Any]:
    if len(value) == 1:
        return posterior_of(value[0], latent_dim)
    if len(value) < 2 or not all(hasattr(part, "shape") for part in value[:2]):
        fail("encode", f"a {type(value).__name__} of {len(value)} parts", _WANTED,
             "return mean and log-variance of q(z|x) first")  # fmt: skip
    read: Any = Posterior([part for part in value[:3] if hasattr(part, "shape")])
    pair: tuple[Any, Any] = read
    return pair
