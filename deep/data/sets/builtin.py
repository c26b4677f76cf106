"""Data without files: the digits of scikit-learn, and samples drawn from a Gaussian source."""

from __future__ import annotations

import numpy as np

from deep.config import DataConfig
from deep.data.dataset import DataSet
from deep.data.gaussian import GaussianSource
from deep.data.splits import Split, no_split

__all__ = ["load_digits_set", "load_drawn"]

_DIGITS_TRAIN = 1500
_DRAWN = 10_000  # samples of a Gaussian source that stand for a split


def load_digits_set(config: DataConfig, split: Split) -> DataSet:
    """Load the 8x8 digits of scikit-learn; ``config`` has nothing to add."""
    if split == "valid":
        no_split("digits", split, "train or test")
    from sklearn.datasets import load_digits

    held = load_digits()
    chosen = slice(None, _DIGITS_TRAIN) if split == "train" else slice(_DIGITS_TRAIN, None)
    pixels = (held.images[chosen] / 16).astype(np.float32)  # 0 to 16, exact in float32
    notes = ("handwritten digits of scikit-learn, pixel values 0 to 16 divided by 16",
             "the last 297 of 1797 samples are the test split")  # fmt: skip
    return DataSet("digits", split, pixels, (0.0, 1.0), notes, held.target[chosen].astype(np.uint8))


def load_drawn(config: DataConfig, split: Split) -> DataSet:
    """Draw the samples that stand for a split of the source with ``config.spectrum``."""
    drawn = GaussianSource(config.spectrum or ()).sample(config.limit or _DRAWN, split)
    return DataSet("gaussian", split, drawn, None, ("drawn from the source by a fixed seed",))
