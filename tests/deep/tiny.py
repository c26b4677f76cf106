"""A small VAE and its objective, for tests of the training engine; not the package's own."""

from __future__ import annotations

import math
import signal
from pathlib import Path

import torch
from torch import nn

from deep.config import TrainingConfig
from deep.data.batches import TensorBatches
from deep.networks.base import VAEOutput
from deep.objectives.base import LossTerms
from deep.training.checkpoints import Checkpoint, load
from deep.training.loop import FitResult, fit

SAMPLES = 24
TOTAL = 12  # steps of plan()


class Tiny(nn.Module):
    """Everything a resumed run could forget: dropout, running statistics, tied weights."""

    def __init__(self, *, width: int = 5, dropout: float = 0.2) -> None:
        super().__init__()
        self.latent_dim = 2
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.first = nn.Linear(4, width)
            self.norm = nn.BatchNorm1d(width)
            self.dropout = nn.Dropout(dropout)
            self.heads = nn.Linear(width, 4)
            self.decoder = nn.Linear(2, 4)
        self.again = self.decoder  # the same weights under a second name

    def forward(self, samples, beta, *, noise=None, sharpness=math.inf):
        hidden = self.dropout(torch.tanh(self.norm(self.first(samples))))
        mean, log_variance = self.heads(hidden).chunk(2, -1)
        latents = mean if noise is None else mean + torch.exp(log_variance / 2) * noise
        return VAEOutput(mean, log_variance, self.again(latents))


class Scale(nn.Module):
    """Objective with a parameter of its own: a learned log standard deviation."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, model, samples, *, done, generator):
        return terms(model, samples, done=done, generator=generator, log_scale=self.log_scale)


def terms(model, samples, *, done, generator, log_scale=None):
    """A β-VAE loss with a random β that is annealed: reads `done` and draws twice."""
    kind = {"generator": generator, "dtype": samples.dtype, "device": samples.device}
    beta = (0.1 + torch.rand((), **kind)) * (0.5 + 0.5 * done)
    out = model(samples, beta, noise=torch.randn(len(samples), 2, **kind))
    log_scale = torch.zeros(()) if log_scale is None else log_scale
    error = ((out.output - samples) ** 2).sum(1).mean()
    distortion = 0.5 * error * torch.exp(-2 * log_scale) + samples.shape[1] * log_scale
    log_variance = out.latent_log_variance
    rate = 0.5 * (out.latent_mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return LossTerms(distortion + beta * rate, rate.detach(), distortion.detach(), beta)


class At(Scale):
    """The usual objective, with something happening in the course of one step (from 1)."""

    def __init__(self, step: int, action, total: int = TOTAL) -> None:
        super().__init__()
        self._when, self._action, self.calls = (step - 1) / total, action, 0

    def forward(self, model, samples, *, done, generator):
        self.calls += 1
        found = super().forward(model, samples, done=done, generator=generator)
        return (self._action(found) or found) if done == self._when else found


At.__qualname__ = "Scale"  # to a run it is the same objective


def raise_signal(number: int):
    return lambda _: signal.raise_signal(number)


def batches() -> TensorBatches:
    return TensorBatches(torch.randn(SAMPLES, 4, generator=torch.Generator().manual_seed(8)))


def plan(epochs: int = 4, **changes) -> TrainingConfig:
    """Three steps an epoch; everything recorded."""
    optimiser = {"learning_rate": 0.02, "warmup": 0.3, "clip": 1.0, "name": "adamw",
                 "weight_decay": 0.1}  # fmt: skip
    settings = {"epochs": epochs, "batch_size": 8, "optimiser": optimiser, "checkpoint_every": 2,
                "log_every": 1, "threads": 1, "keep_last": 2}  # fmt: skip
    return TrainingConfig(**settings | changes)


def run(folder: Path | None, *, objective=None, model=None, settings=None, **options) -> FitResult:
    """Fit with the usual parts; the models that were trained can be passed in."""
    return fit(
        Tiny() if model is None else model,
        Scale() if objective is None else objective,
        batches(),
        plan() if settings is None else settings,
        **{"seed": 11, "folder": folder, "resume": True} | options,
    )


def weights(folder: Path) -> tuple[bytes, bytes]:
    """Final weights of model and objective, byte for byte."""
    return tuple((folder / f"{n}.safetensors").read_bytes() for n in ("model", "objective"))


def trace(result: FitResult) -> list[tuple]:
    """History without the time it took."""
    return [tuple(v for k, v in vars(r).items() if k != "seconds") for r in result.history]


def same_checkpoint(one: Path, other: Path) -> None:
    """Assert that two checkpoints hold the same, bit for bit, but for the time."""
    a, b = load(one), load(other)
    assert a.step == b.step
    assert a.parts.keys() == b.parts.keys() == {"model", "optimiser", "objective"}
    for name, tensors in a.parts.items():
        assert tensors.keys() == b.parts[name].keys()
        for key, tensor in tensors.items():
            assert torch.equal(tensor, b.parts[name][key]), f"{name} {key}"
    assert _timeless(a) == _timeless(b)


def _timeless(checkpoint: Checkpoint) -> dict:
    return {k: v for k, v in checkpoint.state.items() if k != "seconds"}
