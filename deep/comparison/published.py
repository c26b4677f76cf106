"""Numbers that others published, to put beside ours. Facts only; each with its source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deep.config import ExperimentConfig

__all__ = ["PublishedCurve", "published_for"]


@dataclass(frozen=True)
class PublishedCurve:
    """Points of a multi-rate network and of dedicated ones, as printed; nats.

    Attributes
    ----------
    source : str
        Whose numbers, of which network, trained how long.
    epochs : int
    betas, rate, distortion : tuple of float
        Of one network for all β.
    dedicated_betas, dedicated_rate, dedicated_distortion : tuple of float
        Of one network per β.
    """

    source: str
    epochs: int
    betas: tuple[float, ...]
    rate: tuple[float, ...]
    distortion: tuple[float, ...]
    dedicated_betas: tuple[float, ...]
    dedicated_rate: tuple[float, ...]
    dedicated_distortion: tuple[float, ...]


_RESNET_MNIST = PublishedCurve(
    source="A public implementation of multi-rate VAEs: ResNet on static binarized MNIST, 8 "
    "epochs, test set, printed with one decimal.",
    epochs=8,
    betas=tuple(float(beta) for beta in np.geomspace(0.01, 10, 10)),
    rate=(112.2, 102.2, 89.8, 76.1, 60.8, 45.3, 30.2, 18.4, 9.3, 4.7),
    distortion=(47.5, 47.9, 48.3, 48.9, 51.5, 56.6, 65.3, 84.1, 110.5, 141.6),
    dedicated_betas=(0.01, 0.1, 1.0, 10.0),
    dedicated_rate=(129.1, 81.7, 25.6, 3.5),
    dedicated_distortion=(42.2, 45.2, 68.7, 148.4),
)

_PUBLISHED = {("binarized_mnist", "resnet"): _RESNET_MNIST}


def published_for(config: ExperimentConfig) -> PublishedCurve | None:
    """Points for a data set, a kind of network and as many epochs of all of it; None without."""
    found = _PUBLISHED.get((config.data.name, config.model.kind))
    if found is None or config.data.limit is not None:
        return None
    return found if config.training.epochs == found.epochs else None
