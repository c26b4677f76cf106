"""Models with encode and decode, encoder and decoder, or an encoder with two heads."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from deep._checks import fail
from deep.adapters.adapted import Adapted
from deep.adapters.libraries import kept, tensors
from deep.adapters.names import required, role, signature_of
from deep.adapters.posteriors import fields_of, posterior_of

__all__ = ["adapt_model", "heads_of", "is_model", "latent_dim_of", "model_in",
           "reconstruction_of"]  # fmt: skip

_BEFORE = re.compile(r"^(fc|linear|lin|to|head|layer|enc|encoder|hidden2|h2|h_to|proj)_?", re.I)
_OF_NETWORKS = ("train", "eval", "modules", "buffers")
_AFTER = re.compile(r"_?(layer|head|fc|linear|proj)$", re.I)


def _part(thing: Any, *names: str) -> Callable[..., Any] | None:
    """The first of these that can be called, or has Keras' ``predict``."""
    found = [getattr(thing, name, None) for name in names]
    parts = (part if callable(part) else getattr(part, "predict", None) for part in found)
    return next((part for part in parts if callable(part)), None)


def is_model(thing: Any) -> bool:
    """Whether it has what encodes and what decodes; classes are no models."""
    if isinstance(thing, type):
        return False
    return bool(_part(thing, "encode", "encoder")) and bool(_part(thing, "decode", "decoder"))


def model_in(thing: Any) -> Any:
    """What encodes and decodes: the object, or the only network in it that does; None without."""
    if isinstance(thing, type) or is_model(thing):
        return None if isinstance(thing, type) else thing
    inner = [part for part in (getattr(thing, "_modules", None) or {}).values() if is_model(part)]
    return inner[0] if len(inner) == 1 else None


def latent_dim_of(thing: Any) -> int | None:
    """Number of latents where the object states it under one of the usual names."""
    named = [n for n in dir(thing) if not n.startswith("__") and role(n, ("latent_dim",))]
    values = (getattr(thing, name, None) for name in named if name != "k")
    return next((v for v in values if isinstance(v, int) and not isinstance(v, bool)), None)


def heads_of(thing: Any) -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    """The two layers, such as fc_mu and fc_var, that follow a shared encoder; None without.

    A head called variance gives the log-variance everywhere in use, having no activation.
    """
    found: dict[str, Callable[..., Any]] = {}
    for name in getattr(thing, "_modules", None) or getattr(thing, "__dict__", {}):
        bare = _AFTER.sub("", _BEFORE.sub("", name))
        kind = role(bare, ("mean", "log_var", "variance"))
        part = getattr(thing, name)
        if kind is not None and callable(part):
            found.setdefault("mean" if kind == "mean" else "log_var", part)
    return (found["mean"], found["log_var"]) if len(found) == 2 else None


def reconstruction_of(value: Any) -> Any:
    """The mean of p(x|z) in what a decoder returned: an array, or part of something larger."""
    if hasattr(value, "shape"):
        return value
    if hasattr(getattr(value, "mean", None), "shape"):  # a distribution
        return value.mean
    fields = fields_of(value)
    if fields is not None:
        found = [part for name, part in fields.items() if role(name, ("x_hat", "mean", "x"))]
        if found:
            return found[0]
    elif isinstance(value, tuple | list) and len(value):
        return value[0]
    return fail("decode", type(value).__name__, "the mean of p(x|z), an array (N, n)",
                "return it from decode(z)")  # fmt: skip


def _with_beta(function: Callable[..., Any], beta: float) -> Callable[..., Any]:
    """Pass β where the function cannot be called without."""
    asked = any(p.name == "beta" and required(p) for p in signature_of(function) or ())
    return (lambda x: function(x, beta=beta)) if asked else function


def adapt_model(thing: Any, *, library: str, torch: bool, beta: float | None = None) -> Adapted:
    """A model with ``encode(x) -> (mean, log_var)`` and ``decode(z) -> x_hat``.

    Parameters
    ----------
    thing : object
        With ``encode`` or ``encoder``, and ``decode`` or ``decoder``. What they return is read by
        name where it has names, else in the order (mean, log-variance).
    library : str
        What to call it.
    torch : bool
        Whether it takes tensors, and has modes and buffers to be kept.
    beta : float, optional
        For networks that take β with every call.

    Raises
    ------
    InputError
        On a call: results that cannot be read.
    """
    convert = tensors(thing) if torch and hasattr(thing, "parameters") else (
        tensors(double=False) if torch else lambda array: array)  # fmt: skip
    reading = _part(thing, "encode", "encoder")
    writing = _part(thing, "decode", "decoder")
    assert reading is not None  # nosec: callers have asked is_model
    assert writing is not None
    chosen = 1.0 if beta is None else beta
    reading, writing = _with_beta(reading, chosen), _with_beta(writing, chosen)
    heads, k = heads_of(thing), latent_dim_of(thing)

    def encode(x: Any) -> tuple[Any, Any]:
        value = reading(convert(x))
        if heads is not None and hasattr(value, "shape"):
            return heads[0](value), heads[1](value)
        return posterior_of(value, k)

    def decode(z: Any) -> Any:
        return reconstruction_of(writing(convert(z)))

    network = torch and callable(getattr(thing, "modules", None))
    noise = getattr(thing, "noise_variance", None)
    parts: dict[str, Any] = {name: _part(thing, name) for name in _OF_NETWORKS if network}
    return Adapted(
        library, "model", encode=encode, decode=decode, convert=convert, latent_dim=k,
        state=lambda: kept((thing,) if network else ()),
        noise_variance=noise if isinstance(noise, float) else None,
        **parts,
    )  # fmt: skip
