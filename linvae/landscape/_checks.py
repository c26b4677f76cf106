"""Checks of what the functions of the landscape are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from linvae._validation import (
    FloatArray,
    as_positive_number,
    check_count,
    check_representable,
    check_spectrum,
    fail,
)
from linvae.errors import InputTypeError
from linvae.spectrum import Spectrum

__all__ = ["check_blocks", "check_latents", "check_modes", "check_room", "critical_values"]


def critical_values(
    spectrum: Spectrum, noise_variance: Any
) -> tuple[FloatArray, FloatArray, float]:
    """All n eigenvalues, the same over σ², and σ²."""
    check_spectrum(spectrum)
    spectrum.require_complete("the landscape of the objective")
    variance = as_positive_number("noise_variance", noise_variance, "pass the decoder's σ²")
    values = spectrum.leading_eigenvalues(spectrum.n_features)
    with np.errstate(over="ignore"):
        critical = values / variance
    check_representable(
        "noise_variance", critical, "rescale data and noise variance so that λ₁/σ² is finite"
    )
    return values, critical, variance


def _listed(name: str, value: Any, expected: str) -> list[Any]:
    """The entries of a sequence; text and single values are refused."""
    if not isinstance(value, (str, bytes)):
        try:
            return list(value)
        except TypeError:  # a number, None, an array without axes
            pass
    got = f"{type(value).__name__} {str(value)[:40]}"
    fail(name, got, expected, "pass [0], or [((0, 1), 2)]", InputTypeError)


def check_blocks(blocks: Any, n: int) -> tuple[list[tuple[int, ...]], list[int]]:
    """Eigenvectors and numbers of latents of each block; no eigenvector is in two of them."""
    groups, sizes = [], []
    for block in _listed("blocks", blocks, "a sequence of pairs (modes, latents)"):
        pair = _listed("blocks", block, "a pair (modes, latents) for each block")
        if len(pair) != 2:
            fail(
                "blocks",
                f"a block of {len(pair)} entries",
                "a pair (modes, latents) for each block",
                "pass [((0, 1), 2)]",
            )
        groups.append(check_modes(pair[0], n))
        sizes.append(check_latents(groups[-1], pair[1], n))
    check_modes([mode for group in groups for mode in group], n)
    return groups, sizes


def check_modes(modes: Any, n: int) -> tuple[int, ...]:
    """Return positions of eigenvectors, each in 0..n-1 and none twice."""
    remedy = "eigenvectors are counted from 0, in the order of the eigenvalues"
    entries = _listed("modes", modes, "a sequence of positions")
    chosen = tuple(check_count("modes", mode, 0, n - 1, remedy) for mode in entries)
    if len(set(chosen)) < len(chosen):
        fail("modes", f"{chosen} with repetitions", "every eigenvector once", "drop the repeated")
    return chosen


def check_latents(modes: Sequence[int], latents: Any, n: int) -> int:
    """Return the size q of a block, at least its number of eigenvectors, at most n."""
    if not modes:
        fail(
            "modes", "a block without eigenvectors", "at least one", "unused latents need no block"
        )
    remedy = "a block has one latent or more for each eigenvector, at most one for each feature"
    return check_count("latents", latents, len(modes), n, remedy)


def check_room(used: int, latent_dim: int) -> None:
    """Refuse more latents than there are."""
    if used > latent_dim:
        fail(
            "modes",
            f"{used} latents in use",
            f"at most latent_dim = {latent_dim}",
            "leave out modes, or raise latent_dim",
        )
