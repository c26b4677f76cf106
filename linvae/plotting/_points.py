"""Checks of what is handed over to be drawn, and models as functions of β."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from linvae._types import LinearVAE
from linvae._validation import (
    FloatArray,
    as_array,
    as_positive,
    as_vector,
    check_count,
    check_finite,
    fail,
)
from linvae.errors import InputTypeError
from linvae.frontier import Frontier
from linvae.hierarchical import HierarchicalFrontier
from linvae.hypernetwork import Hypernetwork

__all__ = [
    "as_betas",
    "bar_lengths",
    "check_frontier",
    "check_hierarchical",
    "check_hypernetwork",
    "columns",
    "family",
    "features_of",
    "latents_of",
    "mode_indices",
]

_FRONTIER = "build it with Frontier(spectrum, latent_dim=k, noise_variance=s2)"


def check_frontier(value: Any) -> None:
    """Refuse what is not a frontier."""
    if not isinstance(value, Frontier):
        fail("frontier", type(value).__name__, "a Frontier", _FRONTIER, InputTypeError)


def check_hierarchical(value: Any) -> None:
    """Refuse what is not the frontier of a two-layer model."""
    if not isinstance(value, HierarchicalFrontier):
        remedy = "build it with linvae.hierarchical.HierarchicalFrontier"
        fail("frontier", type(value).__name__, "a HierarchicalFrontier", remedy, InputTypeError)


def check_hypernetwork(value: Any) -> None:
    """Refuse what is not a hypernetwork."""
    if not isinstance(value, Hypernetwork):
        remedy = "build it with Hypernetwork.exact or Hypernetwork.published"
        fail("hypernetwork", type(value).__name__, "a Hypernetwork", remedy, InputTypeError)


def as_betas(value: Any, name: str = "betas") -> FloatArray:
    """β's as a vector, each finite and > 0."""
    return np.atleast_1d(as_positive(name, value, "pass β > 0")).ravel()


def columns(names: str, values: Sequence[Any], remedy: str = "pass one of each per point") -> Any:
    """Finite vectors of one length; `names` is what the message calls them, "(rate, beta)" say."""
    expected = f"{names}, arrays of one shape"
    if not hasattr(values, "__len__") or isinstance(values, type):
        fail("points", type(values).__name__, expected, remedy, InputTypeError)
    if len(values) != names.count(",") + 1:
        fail("points", f"{len(values)} arrays", expected, remedy)
    arrays = [np.atleast_1d(as_array(names, value)) for value in values]
    if len({array.shape for array in arrays}) != 1:
        fail("points", f"shapes {[array.shape for array in arrays]}", expected, remedy)
    for array in arrays:
        check_finite(names, array)
    return tuple(np.asarray(array, dtype=np.float64).ravel() for array in arrays)


def bar_lengths(name: str, value: Any, count: int) -> FloatArray | None:
    """Half-lengths of error bars, (N,) or (2, N), finite and >= 0; None stays None."""
    if value is None:
        return None
    array = as_array(name, value)
    if array.shape not in ((), (count,), (2, count)):
        fail(name, f"shape {array.shape}", f"({count},), or (2, {count}) for lower and upper",
             "pass the half-length of each point's bar")  # fmt: skip
    check_finite(name, array)
    if (array < 0).any():
        fail(name, f"{array[array < 0].flat[0]}", "lengths >= 0", "pass lengths, not ends")
    if not array.ndim:
        array = np.full(count, array)
    return np.asarray(array, dtype=np.float64)


def mode_indices(modes: Any, count: int, default: int) -> list[int]:
    """Positions of latents from 0; the first few when omitted."""
    if modes is None:
        return list(range(min(count, default)))
    chosen = as_vector("modes", np.atleast_1d(as_array("modes", modes)))
    remedy = f"there are {count}: pass positions 0 to {count - 1}"
    if (chosen != np.round(chosen)).any():
        fail("modes", f"{chosen}", "positions of latents, counted from 0", remedy)
    return [check_count("modes", int(mode), 0, count - 1, remedy) for mode in chosen]


def family(model: Any) -> Callable[[Any], LinearVAE] | None:
    """β ↦ linear VAE, of a frontier (its joint optimum) or a hypernetwork; None for others."""
    if isinstance(model, Hypernetwork):
        return model
    if isinstance(model, Frontier):
        from linvae.response import response

        return lambda beta: response(
            model.spectrum, beta, latent_dim=model.latent_dim, noise_variance=model.noise_variance
        )
    return None


def latents_of(model: Frontier | Hypernetwork) -> int:
    """Number of latents k."""
    if isinstance(model, Frontier):
        return model.latent_dim
    return len(model.posterior[0].b_hyper)


def features_of(model: Frontier | Hypernetwork) -> int:
    """Number of features n."""
    return int(model.spectrum.n_features if isinstance(model, Frontier) else model.offset.size)
