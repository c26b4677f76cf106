"""What gates cost: ``python -m benchmarks.gating_overhead``.

Full training steps (forward, likelihood and rate, backward, fused Adam) of an MLP VAE, plain and
multi-rate, on the same batch. The networks take turns within each round, in an order that rotates,
so a slow moment of the machine hits all alike; a ratio is that of two times of one round.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deep.networks.mlp import mlp_vae
from deep.randomness import generator

from .record import RESULTS, conditions, write_json

__all__ = ["main", "measure"]

FEATURES, HIDDEN, LATENT_DIM, BATCH = 784, 400, 32, 128
BETA_RANGE = (0.01, 10.0)
# Which layers have gates: those of the default, all but the widest, and only the hidden ones.
CHOICES: dict[str, tuple[str, ...]] = {
    "all layers": (),
    "all but the output": ("decoder.output",),
    "hidden layers": ("encoder.head.*", "decoder.output"),
}
TARGETS = {"parameters": 0.02, "seconds": 0.10}

Step = Callable[[], None]


def _model(ungated: tuple[str, ...] | None) -> nn.Module:
    options: dict[str, Any] = {} if ungated is None else {"ungated": ungated}
    return mlp_vae(
        (FEATURES,),
        LATENT_DIM,
        hidden=(HIDDEN,),
        generator=generator(0, "weights"),
        beta_range=None if ungated is None else BETA_RANGE,
        **options,
    )


def _loss(model: nn.Module, samples: Tensor, beta: Tensor, noise: Tensor) -> Tensor:
    mean, log_variance, logits = model(samples, beta, noise=noise)
    terms = nn.functional.binary_cross_entropy_with_logits(logits, samples, reduction="none")
    rate = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    return (terms.sum(1) + beta * rate).mean()


def _step(model: nn.Module, samples: Tensor, beta: Tensor, noise: Tensor) -> Step:
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        _loss(model, samples, beta, noise).backward()
        optimiser.step()

    return step


def measure(rounds: int, warm_up: int = 10) -> dict[str, Any]:
    """Seconds per step of each network, and ratios to the plain one within rounds."""
    draws = generator(0, "batch")
    samples = (torch.rand(BATCH, FEATURES, generator=draws) < 0.2).float()
    noise = torch.randn(BATCH, LATENT_DIM, generator=draws)
    low, high = np.log(BETA_RANGE)
    each = torch.exp(low + (high - low) * torch.rand(BATCH, generator=draws))
    betas = {"batch": torch.tensor(0.7), "example": each}
    plain = _model(None)
    names: list[tuple[str, str]] = [("plain", draw) for draw in betas]
    steps = [_step(_model(None), samples, beta, noise) for beta in betas.values()]
    counts = [_count(plain)] * len(betas)
    for choice, ungated in CHOICES.items():
        for draw, beta in betas.items():
            model = _model(ungated)
            names.append((choice, draw))
            counts.append(_count(model))
            steps.append(_step(model, samples, beta, noise))
    times = _interleaved(steps, rounds, warm_up)
    rows = []
    for place, (choice, draw) in enumerate(names):
        base = names.index(("plain", draw))
        rows.append(
            {
                "gated": choice,
                "beta_per": draw,
                "parameters": counts[place],
                "parameter_overhead": counts[place] / counts[0] - 1,
                "wall": _summary(times["wall"][:, place], times["wall"][:, base]),
                "cpu": _summary(times["cpu"][:, place], times["cpu"][:, base]),
            }
        )
    return {"rounds": rounds, "networks": rows}


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


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write results/gating-overhead.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, default=RESULTS / "gating-overhead.json")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    content = {
        "experiment": "gating overhead of an MLP VAE "
        f"{FEATURES}-{HIDDEN}-{LATENT_DIM}, batch {BATCH}, float32, fused Adam, per training step",
        "command": f"python -m benchmarks.gating_overhead --rounds {options.rounds} "
        f"--threads {options.threads}",
        "conditions": {**conditions("torch"), "torch_threads": options.threads},
        "targets": TARGETS,
        **measure(options.rounds),
    }
    for row in content["networks"]:
        print(
            f"{row['gated']:20s} β per {row['beta_per']:8s} {row['parameters']:7d} numbers "
            f"(+{100 * row['parameter_overhead']:.2f} %)"
            + "".join(
                f"  {clock} {1e3 * row[clock]['seconds_median']:6.2f} ms "
                f"{100 * row[clock]['overhead_median']:+5.1f} % "
                f"(least {100 * row[clock]['overhead_of_least']:+5.1f} %)"
                for clock in ("wall", "cpu")
            )
        )
    write_json(options.output, content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
