"""Randomness as a function: of the seed, of what it is for, and of the step.

Nothing here has a state. A run that is resumed at some step therefore draws what the uninterrupted
run drew there, and two uses never share numbers.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch

__all__ = ["generator", "numpy_generator"]


def _sequence(seed: int, key: tuple[int | str, ...]) -> np.random.SeedSequence:
    words = [k if isinstance(k, int) else zlib.crc32(k.encode()) for k in key]
    return np.random.SeedSequence([seed, *words])


def generator(seed: int, *key: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a fresh torch generator for one use.

    Parameters
    ----------
    seed : int
        Of the run, >= 0.
    key : int or str
        What it is for, for example ``"noise", step, rank``; integers >= 0.
    device : torch.device or str
    """
    word = int(_sequence(seed, key).generate_state(1, np.uint64)[0])
    made = torch.Generator(device=device)
    made.manual_seed(word >> 1)  # torch takes signed 64-bit seeds
    return made


def numpy_generator(seed: int, *key: int | str) -> np.random.Generator:
    """Return a fresh NumPy generator for one use; arguments as for :func:`generator`."""
    return np.random.default_rng(_sequence(seed, key))
