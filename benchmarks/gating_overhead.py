"""What gates cost: ``python -m benchmarks.gating_overhead``.

Full training steps (forward, likelihood and rate, backward, fused Adam) of an MLP, a convolutional
and a residual VAE, plain and multi-rate, on the same batch. The networks take turns within each
round, in an order that rotates, so a slow moment of the machine hits all alike; a ratio is that of
two times of one round. ``--published`` takes the sizes of the source instead of those for a CPU.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deep.config import ModelConfig
from deep.networks.build import network_from
from deep.randomness import generator

from .record import RESULTS, conditions, write_json

__all__ = ["main", "measure"]

SAMPLE_SHAPE, LATENT_DIM, BATCH = (1, 28, 28), 32, 128
BETA_RANGE = (0.01, 10.0)
NETWORKS: dict[str, ModelConfig] = {
    "mlp": ModelConfig(kind="mlp", hidden=(400,)),
    "conv": ModelConfig(kind="conv", channels=(16, 32, 64), placement="after_norm"),
    "resnet": ModelConfig(kind="resnet", channels=(16, 32, 32), placement="after_norm"),
}
# What has gates: all layers, as by default; less and less of those with many numbers; as in the
# presets for images; and the latents alone.
_ENDS = ("decoder.first", "decoder.output")
_LATENTS = {"posterior_gate": "collapsing"}
CHOICES: dict[str, dict[str, dict[str, Any]]] = {
    "mlp": {
        "all layers": {},
        "all but the output": {"ungated": ("decoder.output",)},
        "hidden layers": {"ungated": ("encoder.head.*", "decoder.output")},
        "latents": {**_LATENTS, "encoder_gate": "none", "decoder_gate": "none"},
    },
    "conv": {
        "all layers": {},
        "all but first and output of the decoder": {"ungated": _ENDS},
        "nor maps of 14 x 14": {"ungated": (*_ENDS, "encoder.stage_1.*", "decoder.stage_2.*")},
        "latents; FiLM on all layers but the decoder's first": {
            **_LATENTS, "encoder_gate": "film", "decoder_gate": "film",
            "ungated": ("decoder.first",),
        },
        "latents": {**_LATENTS, "encoder_gate": "none", "decoder_gate": "none"},
    },
}  # fmt: skip
CHOICES["resnet"] = CHOICES["conv"]
TARGETS = {
    "parameters": 0.02,
    "seconds": {"mlp": 0.10, "conv": 0.05, "resnet": 0.05},
}

Step = Callable[[], None]


def _model(config: ModelConfig, change: dict[str, Any] | None) -> nn.Module:
    return network_from(
        config.model_copy(update={"latent_dim": LATENT_DIM, **(change or {})}),
        SAMPLE_SHAPE,
        generator=generator(0, "weights"),
        beta_range=BETA_RANGE,
        multi_rate=change is not None,
    )


def _loss(model: nn.Module, samples: Tensor, beta: Tensor, noise: Tensor) -> Tensor:
    mean, log_variance, logits = model(samples, beta, noise=noise)
    terms = nn.functional.binary_cross_entropy_with_logits(logits, samples, reduction="none")
    rate = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    return (terms.flatten(1).sum(1) + beta * rate).mean()


def _step(model: nn.Module, samples: Tensor, beta: Tensor, noise: Tensor) -> Step:
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        _loss(model, samples, beta, noise).backward()
        optimiser.step()

    return step


def measure(
    rounds: int, network: str = "mlp", *, published: bool = False, warm_up: int = 10
) -> list[dict[str, Any]]:
    """Seconds per step of each variant of a network, and ratios to the plain one within rounds."""
    config = NETWORKS[network]
    if published:
        config = config.model_copy(update={"channels": ()})
    draws = generator(0, "batch")
    samples = (torch.rand(BATCH, *SAMPLE_SHAPE, generator=draws) < 0.2).float()
    noise = torch.randn(BATCH, LATENT_DIM, generator=draws)
    low, high = (math.log(end) for end in BETA_RANGE)
    each = torch.exp(low + (high - low) * torch.rand(BATCH, generator=draws))
    betas = {"batch": torch.tensor(0.7), "example": each}
    choices: dict[str, dict[str, Any] | None] = {"plain": None, **CHOICES[network]}
    names, counts, steps = [], [], []
    for choice, change in choices.items():
        for draw, beta in betas.items():
            model = _model(config, change)
            names.append((choice, draw))
            counts.append(sum(parameter.numel() for parameter in model.parameters()))
            steps.append(_step(model, samples, beta, noise))
    times = _interleaved(steps, rounds, warm_up)
    rows = []
    for place, (choice, draw) in enumerate(names):
        base = names.index(("plain", draw))
        seconds = {name: (of[:, place], of[:, base]) for name, of in times.items()}
        rows.append(
            {
                "network": network,
                "gated": choice,
                "beta_per": draw,
                "parameters": counts[place],
                "parameter_overhead": counts[place] / counts[0] - 1,
                **{name: _summary(*both) for name, both in seconds.items()},
            }
        )
    return rows


def _summary(seconds: np.ndarray, plain: np.ndarray) -> dict[str, Any]:
    ratio = seconds / plain
    return {
        "seconds_median": float(np.median(seconds)),
        "seconds_least": float(seconds.min()),
        "overhead_median": float(np.median(ratio)) - 1,
        "overhead_quartiles": (np.quantile(ratio, [0.25, 0.75]) - 1).tolist(),
        "overhead_of_least": float(seconds.min() / plain.min()) - 1,
    }


def _interleaved(steps: list[Step], rounds: int, warm_up: int) -> dict[str, np.ndarray]:
    """Seconds on the wall and of the processor (all threads), each (rounds, steps)."""
    clocks = {"wall": time.perf_counter, "cpu": time.process_time}
    seconds = {name: np.empty((rounds + warm_up, len(steps))) for name in clocks}
    for turn in range(rounds + warm_up):
        for offset in range(len(steps)):
            place = (turn + offset) % len(steps)
            start = {name: clock() for name, clock in clocks.items()}
            steps[place]()
            for name, clock in clocks.items():
                seconds[name][turn, place] = clock() - start[name]
    return {name: values[warm_up:] for name, values in seconds.items()}


def _line(row: dict[str, Any]) -> str:
    clocks = "".join(
        f"  {clock} {1e3 * row[clock]['seconds_median']:6.2f} ms "
        f"{100 * row[clock]['overhead_median']:+5.1f} % "
        f"(least {100 * row[clock]['overhead_of_least']:+5.1f} %)"
        for clock in ("wall", "cpu")
    )
    return (
        f"{row['network']:6s} {row['gated']:52s} β per {row['beta_per']:8s} "
        f"{row['parameters']:8d} numbers (+{100 * row['parameter_overhead']:.2f} %)" + clocks
    )


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write results/gating-overhead.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--published", action="store_true", help="the sizes of the source")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, default=RESULTS / "gating-overhead.json")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    sizes = {}
    rows: list[dict[str, Any]] = []
    for network in options.networks:
        config = NETWORKS[network]
        sizes[network] = list(config.hidden if network == "mlp" else config.channels)
        found = measure(options.rounds, network, published=options.published)
        print(*map(_line, found), sep="\n", flush=True)
        rows += found
    content = {
        "experiment": f"gating overhead of VAEs on {SAMPLE_SHAPE} with {LATENT_DIM} latents, "
        f"batch {BATCH}, float32, fused Adam, per training step",
        "command": f"python -m benchmarks.gating_overhead --rounds {options.rounds} "
        f"--threads {options.threads} --networks {' '.join(options.networks)}"
        + (" --published" if options.published else ""),
        "conditions": {**conditions("torch"), "torch_threads": options.threads},
        "sizes": "published" if options.published else sizes,
        "targets": TARGETS,
        "rounds": options.rounds,
        "networks": rows,
    }
    write_json(options.output, content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
