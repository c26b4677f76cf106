"""The data of an experiment, in the shape that its network takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from deep._checks import fail
from deep.config import ExperimentConfig
from deep.data.batches import Batches
from deep.data.load import DataSet, Split, batches_from, load_dataset, source_from
from deep.errors import ConfigError
from deep.networks.build import IMAGE_KINDS

if TYPE_CHECKING:
    from linvae import Spectrum

__all__ = ["Material", "as_images"]


@dataclass(frozen=True)
class Material:
    """The data of an experiment, loaded once and used by all its runs.

    Of data that stream, a split is the part of it that is judged on, the training split too.
    Networks for images get samples (N, channels, height, width), others rows (N, n).

    Attributes
    ----------
    config : ExperimentConfig
    """

    config: ExperimentConfig
    _loaded: dict[str, DataSet] = field(default_factory=dict, repr=False, compare=False)
    _shaped: dict[str, DataSet] = field(default_factory=dict, repr=False, compare=False)

    @property
    def dtype(self) -> torch.dtype:
        """What the networks compute in, apart from mixed precision."""
        return torch.float64 if self.config.training.precision == "64-true" else torch.float32

    def suited(self, config: ExperimentConfig) -> Material:
        """The same data for other settings, which may ask for another shape; nothing is reloaded.

        Raises
        ------
        ConfigError
            Settings with other data.
        """
        if config.data != self.config.data:
            fail("material", "that of other data", "the data of the settings",
                 "make a Material of the settings", ConfigError)  # fmt: skip
        if self._takes_images(config) == self._takes_images(self.config) and (
            config.training.precision == self.config.training.precision
        ):
            return self
        return Material(config, self._loaded)

    def split(self, name: Split) -> DataSet:
        """Samples of a split.

        Raises
        ------
        ConfigError
            Vectors for a network that takes images.
        """
        if name not in self._loaded:
            # Of images that stay on the disk, no more than are judged on come into memory.
            count = self.config.evaluation.limit if self.config.data.streaming else None
            self._loaded[name] = load_dataset(self.config.data, split=name, count=count)
        if name not in self._shaped:
            data = self._loaded[name]
            images = self._takes_images(self.config)
            self._shaped[name] = as_images(data) if images else data.flattened()
        return self._shaped[name]

    @cached_property
    def batches(self) -> Batches:
        """What training draws from."""
        source = source_from(self.config.data)
        if source is None and self.config.data.streaming:
            images = self._takes_images(self.config)
            return batches_from(
                self.config.data, dtype=self.dtype, flatten=not images, channels=images
            )
        if source is None:
            return batches_from(self.split("train"), dtype=self.dtype)
        if self._takes_images(self.config):
            _refuse_vectors(self.config.data.name, (source.spectrum.n_features,))
        return source.to(self.dtype)

    @cached_property
    def spectrum(self) -> Spectrum:
        """Mean and covariance: of the source where there is one, else of the training samples."""
        source = source_from(self.config.data)
        return self.split("train").spectrum() if source is None else source.spectrum

    @staticmethod
    def _takes_images(config: ExperimentConfig) -> bool:
        return config.model.kind in IMAGE_KINDS


def as_images(data: DataSet) -> DataSet:
    """The same samples as (N, channels, height, width); grey ones get a channel axis of 1.

    Raises
    ------
    ConfigError
        Samples that are no images.
    """
    if data.samples.ndim not in (3, 4):
        _refuse_vectors(data.name, data.sample_shape)
    return data.with_channels()


def _refuse_vectors(name: str, shape: tuple[int, ...]) -> None:
    fail("model.kind", f"a network for images, and samples of {name} of shape {shape}",
         "images (height, width) or (channels, height, width)", "use kind mlp, or image data",
         ConfigError)  # fmt: skip
