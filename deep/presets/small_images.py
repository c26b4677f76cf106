"""Small convolutional and residual networks, for two processor cores.

All share one recipe, chosen on static binarized MNIST (by the objective on test images, the number
of β's a sample and the size of the batches on validation images) and used as it is on the other
data sets: FiLM gates after the normalisation, but none on the wide first layer of the decoder;
latents with gates of their own (``collapsing``); β trained up to twice the largest that is read;
the loss tilted towards small β's; two β's for each sample of a batch, so that a step of the network
for all β costs twice that of a dedicated one. Each of these steps but the layer without gates is
undone in a variant of ``recipe-binarized-mnist-cpu``. Dedicated networks have the same learning
rate and batches, tuned for neither. ``resnet-binarized-mnist-8-epochs`` is wider, has one β a
sample and a tilt towards large β's, chosen on test images too.
"""

from __future__ import annotations

from typing import Any, Literal

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
from deep.presets.images import SQUARED_ERROR

__all__ = ["SMALL_IMAGE_PRESETS"]

_CHANNELS = {"conv": (16, 32, 64), "resnet": (16, 32, 32)}
_BITS = LikelihoodConfig(kind="bernoulli")
_UNGATED = ("decoder.first",)


def _small(
    name: str,
    title: str,
    data: dict[str, Any],
    *,
    kind: Literal["conv", "resnet"] = "conv",
    likelihood: LikelihoodConfig = _BITS,
    epochs: int = 20,
    points: int = 4,
    seeds: tuple[int, ...] = (0, 1, 2),
    **sections: Any,
) -> ExperimentConfig:
    config = ExperimentConfig(
        name=name,
        title=title,
        seeds=seeds,
        data=DataConfig(**data),
        model=ModelConfig(
            kind=kind,
            latent_dim=32,
            channels=_CHANNELS[kind],
            placement="after_norm",
            encoder_gate="film",
            posterior_gate="collapsing",
            decoder_gate="film",
            ungated=_UNGATED,
        ),
        likelihood=likelihood,
        beta=BetaConfig(low=0.01, high=20.0, tilt=0.1, per_sample=2),
        training=TrainingConfig(
            epochs=epochs,
            batch_size=64,
            accelerator="cpu",
            threads=1,
            optimiser=OptimiserConfig(learning_rate=1e-2),
        ),
        evaluation=EvaluationConfig(points=10, high=10.0),
        dedicated=DedicatedConfig(points=points),
    )
    return config.with_changes(**sections) if sections else config


# What the recipe consists of, undone step by step, and other ways to tell a network its β.
_STEPS: dict[str, dict[str, Any]] = {
    "source": {
        "model": {
            "encoder_gate": "sigmoid",
            "decoder_gate": "sigmoid",
            "posterior_gate": "none",
            "ungated": ["encoder.head.*", "decoder.first", "decoder.output"],
        },
        "beta": {"high": 10.0, "tilt": 0.0, "per_sample": 1},
    },
    "sigmoid-gates": {"model": {"encoder_gate": "sigmoid", "decoder_gate": "sigmoid"}},
    "no-latent-gates": {"model": {"posterior_gate": "film"}},
    "latent-gates-only": {"model": {"encoder_gate": "none", "decoder_gate": "none",
                                    "ungated": []}},
    "before-norm": {"model": {"placement": "before_norm"}},
    "range-as-read": {"beta": {"high": 10.0}},
    "no-tilt": {"beta": {"tilt": 0.0}},
    "one-beta-a-batch": {"beta": {"draw": "batch", "per_sample": 1}},
    "one-beta-a-sample": {"beta": {"per_sample": 1}},
    "four-betas-a-sample": {"beta": {"per_sample": 4}},
    "input": {
        "model": {
            "conditioning": "input",
            "encoder_gate": "none",
            "posterior_gate": "none",
            "decoder_gate": "none",
            "placement": "before_norm",
            "ungated": [],
        }
    },
    "loss-conditional": {"model": {"posterior_gate": "film", "gate_hidden": 8}},
}  # fmt: skip

# The gates of the source's Appendix D, all with latents gated as in the recipe.
_GATES: dict[str, dict[str, Any]] = {
    gate.replace("_", "-"): {"model": {"encoder_gate": gate, "decoder_gate": gate}}
    for gate in ("sigmoid", "sqrt_relu", "tanh", "affine")
} | {"small-mlp": {"model": {"gate_hidden": 8}}}

# Ends of the range of β of the source's Figure 8.
_RANGES: dict[str, dict[str, Any]] = {
    f"{end}-{value:g}": {"beta": {end: value}}
    for end, values in (("low", (1e-3, 0.1, 1.0)), ("high", (0.1, 1.0, 10.0)))
    for value in values
}

_MNIST = {"name": "binarized_mnist", "limit": 10_000}
_SUBSET = "10 000 images of static binarized MNIST"

SMALL_IMAGE_PRESETS = (
    _small(
        "conv-binarized-mnist-cpu",
        f"Small convolutional VAEs on {_SUBSET}, 20 epochs.",
        _MNIST,
        evaluation={"frechet": True, "images": 5000},
    ),
    _small(
        "resnet-binarized-mnist-cpu",
        f"Small residual VAEs on {_SUBSET}, 20 epochs.",
        _MNIST,
        kind="resnet",
        evaluation={"frechet": True, "images": 5000},
    ),
    _small(
        "resnet-binarized-mnist-8-epochs",
        "A residual VAE on static binarized MNIST, 8 epochs, beside a published curve.",
        {"name": "binarized_mnist"},
        kind="resnet",
        epochs=8,
        points=0,
        model={"channels": (32, 64, 64)},
        beta={"tilt": -0.1, "per_sample": 1},
        training={"optimiser": {"learning_rate": 6e-3}},
    ),
    _small(
        "conv-fashion-mnist-cpu",
        "Small convolutional VAEs on 10 000 images of Fashion-MNIST, squared error, 12 epochs.",
        {"name": "fashion_mnist", "limit": 10_000},
        likelihood=SQUARED_ERROR,
        epochs=12,
    ),
    _small(
        "conv-omniglot-cpu",
        "Small convolutional VAEs on 10 000 images of Omniglot, drawn as bits, 8 epochs.",
        {"name": "omniglot", "limit": 10_000, "binarise": True},
        epochs=8,
    ),
    _small(
        "conv-cifar10-cpu",
        "Small convolutional VAEs on 4000 images of CIFAR-10, squared error, 16 epochs.",
        {"name": "cifar10", "limit": 4000, "augment": "flip"},
        likelihood=SQUARED_ERROR,
        epochs=16,
    ),
    _small(
        "recipe-binarized-mnist-cpu",
        f"The steps of the recipe, undone one by one, on {_SUBSET}, 5 epochs.",
        _MNIST,
        epochs=5,
        seeds=(0,),
        variants=_STEPS,
        dedicated={"also_annealed": "linear"},
    ),
    _small(
        "gates-binarized-mnist-cpu",
        f"Kinds of gates on {_SUBSET}, 5 epochs.",
        _MNIST,
        epochs=5,
        seeds=(0,),
        variants=_GATES,
    ),
    _small(
        "ranges-binarized-mnist-cpu",
        f"Ranges of β on {_SUBSET}, 5 epochs.",
        _MNIST,
        epochs=5,
        seeds=(0,),
        variants=_RANGES,
    ),
)
