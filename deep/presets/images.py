"""Networks of the published sizes on the data sets of the source, for a machine with a GPU.

Sizes, latents, learning rates and schedules are the source's (Bae et al. 2023, appendix, and its
code): Adam, batches of 128, 200 epochs, 10 of them warm-up, cosine to almost 0. Dedicated networks
and those for all β have learning rates of their own, as found there. Gates: the source's, sigmoids
after the normalisation, none on heads, first layer of the decoder and output.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from deep.config import (
    BetaConfig,
    DataConfig,
    DedicatedConfig,
    EvaluationConfig,
    ExperimentConfig,
    LikelihoodConfig,
    ModelConfig,
    OptimiserConfig,
    TrainingConfig,
)

__all__ = ["IMAGE_PRESETS", "SQUARED_ERROR"]

# Summed squared error without the factor ½.
SQUARED_ERROR = LikelihoodConfig(kind="gaussian", noise_variance=0.5)


class _Setting(NamedTuple):
    """What differs between the source's experiments."""

    title: str
    data: dict[str, Any]
    latents: int
    bits: bool  # Bernoulli pixels, otherwise squared error
    rates: dict[str, tuple[float, float]]  # by kind: of dedicated networks, of the one for all β


_SOURCE = {
    "binarized-mnist": _Setting(
        "static binarized MNIST",
        {"name": "binarized_mnist"},
        32,
        True,
        {"conv": (3e-5, 1e-4), "resnet": (3e-4, 1e-3)},
    ),
    "omniglot": _Setting(
        "Omniglot",
        {"name": "omniglot", "binarise": True},
        32,
        True,
        {"conv": (1e-3, 1e-2), "resnet": (1e-3, 1e-3)},
    ),
    "cifar10": _Setting(
        "CIFAR-10",
        {"name": "cifar10", "augment": "flip"},
        256,
        False,
        {"conv": (1e-3, 1e-3), "resnet": (1e-3, 1e-3)},
    ),
    "svhn": _Setting(
        "SVHN", {"name": "svhn"}, 32, False, {"conv": (3e-4, 3e-4), "resnet": (1e-4, 1e-4)}
    ),
    "celeba": _Setting(
        "CelebA at 64 x 64",
        {"name": "celeba", "augment": "flip", "streaming": True},
        64,
        False,
        {"conv": (1e-4, 1e-4), "resnet": (3e-4, 3e-4)},
    ),
}
_NETWORKS: dict[Literal["conv", "resnet"], str] = {
    "conv": "Convolutional",
    "resnet": "Residual",
}


def _preset(kind: Literal["conv", "resnet"], name: str) -> ExperimentConfig:
    setting = _SOURCE[name]
    alone, for_all = setting.rates[kind]
    return ExperimentConfig(
        name=f"{kind}-{name}",
        title=f"{_NETWORKS[kind]} VAEs on {setting.title}, one for all β and one for each of ten.",
        seeds=(0, 1, 2),
        data=DataConfig(**setting.data),
        model=ModelConfig(
            kind=kind,
            latent_dim=setting.latents,
            placement="after_norm",
            posterior_gate="none",
            ungated=("encoder.head.*", "decoder.first", "decoder.output"),
        ),
        likelihood=LikelihoodConfig(kind="bernoulli") if setting.bits else SQUARED_ERROR,
        beta=BetaConfig(low=0.01, high=10.0),
        training=TrainingConfig(
            epochs=200,
            batch_size=128,
            optimiser=OptimiserConfig(learning_rate=for_all, warmup=0.05),
        ),
        evaluation=EvaluationConfig(points=10, batch_size=2000, limit=10_000, frechet=True),
        dedicated=DedicatedConfig(points=10, learning_rate=alone, also_annealed="linear"),
    )


IMAGE_PRESETS = tuple(_preset(kind, name) for name in _SOURCE for kind in _NETWORKS)
