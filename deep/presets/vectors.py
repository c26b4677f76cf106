"""Named experiments on vectors: linear networks and MLPs."""

from __future__ import annotations

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

__all__ = ["VECTOR_PRESETS"]

_DIGITS_MLP = ExperimentConfig(
    name="digits-mlp",
    title="A small MLP on the digits: every part of an experiment in a minute.",
    data=DataConfig(name="digits"),
    model=ModelConfig(kind="mlp", latent_dim=8, hidden=(64,)),
    likelihood=LikelihoodConfig(kind="gaussian", noise_variance=0.05),
    beta=BetaConfig(low=0.05, high=5.0),
    training=TrainingConfig(
        epochs=200,
        batch_size=64,
        accelerator="cpu",
        threads=1,
        optimiser=OptimiserConfig(learning_rate=3e-3),
    ),
    evaluation=EvaluationConfig(points=5, noise_draws=10),
    dedicated=DedicatedConfig(points=5),
)

# Eigenvalues from 3 to 0.1 in equal ratios. With σ² = 0.1 the critical β's run from 30 to 1. The
# network is trained up to the largest of them and judged up to a third of it; a million held-out
# samples bring the standard error at β = 10 to a quarter of a per cent of what there is to lose.
_GAUSSIAN_MLP = ExperimentConfig(
    name="gaussian-mlp",
    title="A multi-rate MLP on a Gaussian source, whose Shannon curve is known exactly.",
    seeds=(0, 1, 2),
    data=DataConfig(
        name="gaussian",
        spectrum=(3.0, 1.845457, 1.135237, 0.698344, 0.429588, 0.264262, 0.162561, 0.1),
        limit=1_000_000,
    ),
    model=ModelConfig(kind="mlp", latent_dim=8, hidden=(64,), activation="silu"),
    likelihood=LikelihoodConfig(kind="gaussian", noise_variance=0.1),
    beta=BetaConfig(low=0.01, high=30.0),
    training=TrainingConfig(
        epochs=103,
        batch_size=256,
        accelerator="cpu",
        threads=1,
        optimiser=OptimiserConfig(learning_rate=3e-2, beta2=0.99),
    ),
    evaluation=EvaluationConfig(points=10, high=10.0, batch_size=10_000),
    dedicated=DedicatedConfig(points=0),
)

# The source's Figure 4: 32 latents, β from 0.01 to 10, ten separate β-VAEs. Its two-layer network,
# but gates on the rows of latents only (those of pixels would be constant at the optimum, and a β
# per example is several times faster without), the corrected gates of Theorem 1, smooth at first,
# and inputs in whitened coordinates, a fixed change of variables that only helps the optimiser.
_FIG4 = ExperimentConfig(
    name="fig4-linear-mnist",
    seeds=(0, 1),
    title="Two-layer linear VAEs on MNIST, one for all β and one for each of ten.",
    data=DataConfig(name="mnist"),
    model=ModelConfig(
        kind="linear",
        latent_dim=32,
        encoder_gate="sqrt_relu",
        posterior_gate="min_exp",
        decoder_gate="sqrt_relu",
        ungated=("encoder_1", "decoder_2"),
    ),
    likelihood=LikelihoodConfig(kind="gaussian", noise_variance=0.5),
    beta=BetaConfig(low=0.01, high=10.0, annealing="geometric", annealing_part=0.2),
    training=TrainingConfig(
        epochs=300,
        batch_size=2048,
        accelerator="cpu",
        threads=1,
        sharpness=(1.0, 20.0),
        optimiser=OptimiserConfig(learning_rate=5.5e-3, gate_learning_rate=1e-2, beta2=0.99),
    ),
    dedicated=DedicatedConfig(points=10, seeds=1, annealing="geometric"),
)

_MLP_MNIST = ExperimentConfig(
    name="mlp-binarized-mnist",
    title="MLPs on static binarized MNIST, one for all β and one for each of ten.",
    seeds=(0, 1, 2),
    data=DataConfig(name="binarized_mnist"),
    model=ModelConfig(kind="mlp", latent_dim=32, hidden=(400,), ungated=("decoder.output",)),
    likelihood=LikelihoodConfig(kind="bernoulli"),
    beta=BetaConfig(low=0.01, high=10.0),
    training=TrainingConfig(
        epochs=200, batch_size=128, optimiser=OptimiserConfig(learning_rate=1e-3)
    ),
)

_MLP_MNIST_CPU = _MLP_MNIST.with_changes(
    name="mlp-binarized-mnist-cpu",
    title="MLPs on static binarized MNIST, 10 epochs, one for all β and one for each of four.",
    seeds=(0,),
    training={"epochs": 10, "accelerator": "cpu", "threads": 1},
    dedicated={"points": 4},
)

VECTOR_PRESETS = (_DIGITS_MLP, _GAUSSIAN_MLP, _FIG4, _MLP_MNIST, _MLP_MNIST_CPU)
