"""What :mod:`benchmarks.gpu` measures on: settings, data, sizes, the device and the time left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from deep.config import (
    DataConfig,
    ExperimentConfig,
    LikelihoodConfig,
    ModelConfig,
    OptimiserConfig,
    TrainingConfig,
)
from deep.networks.build import network_from
from deep.objectives.elbo import objective_from
from deep.presets import PRESETS
from deep.randomness import generator
from deep.runs import Material, dedicated_settings, is_multi_rate
from deep.training.devices import launch
from deep.training.steps import Steps

__all__ = [
    "FULL",
    "MODES",
    "PUBLISHED",
    "QUICK",
    "Deadline",
    "Job",
    "Mode",
    "OutOfTimeError",
    "Sizes",
    "arithmetic",
    "job_of",
]

SEED = 0
# Shape of the images of a data set, for random ones in their place, and their number.
_SHAPES: dict[str, tuple[int, ...]] = {
    "digits": (8, 8),
    "mnist": (28, 28),
    "fashion_mnist": (28, 28),
    "binarized_mnist": (28, 28),
    "omniglot": (28, 28),
    "cifar10": (3, 32, 32),
    "cifar100": (3, 32, 32),
    "svhn": (3, 32, 32),
    "celeba": (3, 64, 64),
}
_TRAIN = 50_000  # as many as binarized MNIST has
_ONES = 33  # of 256: the share of ones among its pixels


def _published(kind: str, learning_rate: float) -> ExperimentConfig:
    return ExperimentConfig(
        name=kind,
        data=DataConfig(name="binarized_mnist"),
        model=ModelConfig(kind=kind, latent_dim=32),
        likelihood=LikelihoodConfig(kind="bernoulli"),
        training=TrainingConfig(
            epochs=200, batch_size=128, optimiser=OptimiserConfig(learning_rate=learning_rate)
        ),
    )


# Networks of the published sizes on static binarized MNIST.
PUBLISHED = {"conv": _published("conv", 1e-4), "resnet": _published("resnet", 1e-3)}


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes
    ----------
    rounds, turn, warm_up : int
        Rounds of timed steps, steps of a network in a round without a wait, steps before them.
    dedicated : int
        β-VAEs beside the multi-rate one.
    betas, held_out, pairs, repeats : int
        Of the evaluation: β's, samples, pairs of both in a batch, repetitions of each timing.
    train : int
        Random training images; also the limit of real ones in the quick mode.
    """

    rounds: int = 30
    turn: int = 10
    warm_up: int = 20
    dedicated: int = 10
    betas: int = 100
    held_out: int = 2000
    pairs: int = 10_000
    repeats: int = 3
    train: int = _TRAIN


FULL = Sizes()
QUICK = Sizes(
    rounds=2, turn=1, warm_up=1, dedicated=2, betas=4, held_out=20, pairs=32, repeats=1, train=64
)


@dataclass(frozen=True)
class Mode:
    """How a step computes.

    Attributes
    ----------
    name, precision : str
        Precision as Fabric calls it.
    tf32 : bool
        Whether float32 products may be rounded to 10 bits. PyTorch lets convolutions do so unless
        told otherwise, so plain float32 has to be asked for.
    compiled, autotuned, channels_last : bool
        ``torch.compile``; cuDNN choosing kernels by timing them; weights with channels as the
        fastest axis.
    """

    name: str
    precision: str = "32-true"
    tf32: bool = False
    compiled: bool = False
    autotuned: bool = False
    channels_last: bool = False


MODES = tuple(
    Mode(*row)
    for row in (
        ("float32",),
        ("tf32", "32-true", True),
        ("bf16", "bf16-mixed"),
        ("bf16 autotuned", "bf16-mixed", False, False, True),
        ("bf16 channels last", "bf16-mixed", False, False, True, True),
        ("compiled float32", "32-true", False, True),
        ("compiled bf16", "bf16-mixed", False, True),
    )
)


class OutOfTimeError(Exception):
    """The time limit has passed."""


class Deadline:
    """Seconds left of a limit (None: no limit)."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        """Whether the limit is over."""
        return self._end is not None and time.monotonic() >= self._end

    def check(self, *_: Any) -> None:
        """Raise when it is; also usable as the progress of a run."""
        if self.passed:
            raise OutOfTimeError


@dataclass(frozen=True, eq=False)
class Job:
    """One preset on one device.

    Attributes
    ----------
    config : ExperimentConfig
        Of the multi-rate network, with data and accelerator of this job.
    material : Material
    device : torch.device
    sizes : Sizes
    deadline : Deadline
    backend : str
        Of ``torch.compile``; ``"none"`` leaves compiled modes out.
    """

    config: ExperimentConfig
    material: Material
    device: torch.device
    sizes: Sizes
    deadline: Deadline
    backend: str = "inductor"

    @property
    def on_cuda(self) -> bool:
        """Whether there are events, peaks of memory and waits to count."""
        return self.device.type == "cuda"

    def plain(self, beta: float = 1.0) -> ExperimentConfig:
        """Settings of the β-VAE beside the multi-rate network."""
        return dedicated_settings(self.config, beta)

    def network(self, config: ExperimentConfig) -> nn.Module:
        """An untrained network, on the CPU."""
        return network_from(
            config.model,
            self.material.batches.sample_shape,
            generator=generator(SEED, "weights"),
            beta_range=(config.beta.low, config.beta.high),
            multi_rate=is_multi_rate(config),
            moments=lambda: self.material.spectrum,
        )

    def steps(self, config: ExperimentConfig, mode: Mode) -> tuple[Steps, int]:
        """The training steps of these settings, the same code that trains; trained numbers."""
        network = self.network(config)
        if mode.channels_last:
            network.to(memory_format=torch.channels_last)
        if mode.compiled:
            network.compile(dynamic=False, backend=self.backend)
        plan = config.training.model_copy(update={"precision": mode.precision})
        objective = objective_from(config)
        steps = Steps(launch(plan), network, objective, self.material.batches, plan, SEED)
        return steps, sum(p.numel() for p in network.parameters())

    def smaller(self, samples: int, **training: Any) -> tuple[ExperimentConfig, Material]:
        """Settings and data of the same training on the first samples only."""
        config = self.config.with_changes(data={"limit": samples}, training=training)
        return config, Material(config)

    def wait(self) -> None:
        """Let the device finish."""
        if self.on_cuda:
            torch.cuda.synchronize(self.device)


@contextmanager
def arithmetic(mode: Mode, *, deterministic: bool = False) -> Iterator[None]:
    """Set what PyTorch may do to float32, and how cuDNN chooses, inside the block.

    Through the older of the two sets of switches: compilation reads those, and refuses a mixture.
    """
    cudnn = torch.backends.cudnn
    before = (
        torch.get_float32_matmul_precision(),
        cudnn.allow_tf32,
        cudnn.benchmark,
        cudnn.deterministic,
    )
    _switch("high" if mode.tf32 else "highest", mode.tf32, mode.autotuned, deterministic)
    try:
        yield
    finally:
        _switch(*before)


def _switch(matmul: str, tf32: bool, autotuned: bool, deterministic: bool) -> None:
    torch.set_float32_matmul_precision(matmul)
    cudnn = torch.backends.cudnn
    cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = tf32, autotuned, deterministic


def job_of(
    name: str,
    *,
    device: torch.device,
    sizes: Sizes,
    deadline: Deadline,
    folder: Path,
    data: Path | None = None,
    **options: Any,
) -> Job:
    """Job of a preset.

    Parameters
    ----------
    name : str
        Of :data:`PUBLISHED` or :data:`deep.presets.PRESETS`.
    device : torch.device
    sizes : Sizes
    deadline : Deadline
    folder : Path
        Where random images are written, unless ``data`` names real ones.
    data : Path, optional
        Folder of the data set of the preset.
    options
        ``batch_size``, ``epochs``, ``backend``; ``tiny``: a network of a few numbers.

    Raises
    ------
    ValueError
        An unknown preset, or one on data that have no images to imitate.
    """
    config = PUBLISHED.get(name) or PRESETS.get(name)
    if config is None:
        raise ValueError(f"preset: got {name!r}; expected one of "
                         f"{', '.join([*PUBLISHED, *PRESETS])}; choose one of them")  # fmt: skip
    training: dict[str, Any] = {
        "accelerator": "gpu" if device.type == "cuda" else "cpu",
        "epochs": options.get("epochs", 1),
        "devices": 1,
        "tensorboard": False,
    }
    if options.get("batch_size") is not None:
        training["batch_size"] = options["batch_size"]
    changes: dict[str, Any] = {"training": training, "data": _data(config, sizes, folder, data)}
    if options.get("tiny"):
        changes["model"] = _tiny(config)
    config = config.with_changes(**changes)
    backend = options.get("backend", "inductor")
    return Job(config, Material(config), device, sizes, deadline, backend)


def _tiny(config: ExperimentConfig) -> dict[str, Any]:
    """A network that a test trains in no time; as many stages as the published ones have."""
    own: dict[str, dict[str, Any]] = {
        "conv": {"channels": (4,) * 4},
        "resnet": {"channels": (4,) * 3},
        "mlp": {"hidden": (8,)},
    }
    return {"latent_dim": 3, **own.get(config.model.kind, {})}


def _data(
    config: ExperimentConfig, sizes: Sizes, folder: Path, data: Path | None
) -> dict[str, Any]:
    limit = {"limit": sizes.train} if sizes == QUICK else {}
    if data is not None:
        return {"path": str(data), **limit}
    shape = _SHAPES.get(config.data.name)
    if shape is None:
        raise ValueError(f"preset: got {config.name!r} on {config.data.name!r}; expected one of "
                         f"{', '.join(_SHAPES)}; pass --data")  # fmt: skip
    if config.data.size is not None:
        shape = (*shape[:-2], config.data.size, config.data.size)
    place = folder / "x".join(map(str, shape))
    _write_random(place, shape, sizes)
    plain = DataConfig(name="file", path=str(place))
    return plain.model_dump()


def _write_random(folder: Path, shape: tuple[int, ...], sizes: Sizes) -> None:
    """Images of independent bits: what they show does not change how long a step takes."""
    if folder.exists():
        return
    folder.mkdir(parents=True)
    draws = np.random.default_rng(SEED)
    for split, count in (("train", sizes.train), ("test", sizes.held_out)):
        bits = draws.integers(0, 256, (count, *shape), dtype=np.uint8) < _ONES
        np.save(folder / f"{split}.npy", bits)
