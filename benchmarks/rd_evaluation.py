"""Reading 100 β's at once against a loop over β: ``python -m benchmarks.rd_evaluation``.

Networks of 784 pixels and 32 latents with parameters at random: neither times nor agreement depend
on training. Three ways take turns: ``evaluate_curve`` on all β's, ``evaluate_curve`` β by β, and a
plain loop that encodes, decodes and measures batches at one β, with nothing else around it. A
linear network is to be at least 5 times as fast as either loop, an MLP, whose arithmetic is the
same either way, at least 0.9 times. With CUDA ``--device cuda`` gives the figure of a GPU, and
``python -m benchmarks.gpu`` that of trained networks for images.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deep.config import ModelConfig
from deep.evaluation.curve import LearnedCurve, evaluate_curve
from deep.networks.build import network_from
from deep.objectives.likelihoods import Bernoulli, Gaussian, Likelihood, squared_error
from deep.objectives.rate import rate
from deep.randomness import generator
from linvae import Spectrum

from .pictures import panels, picture_path, save_figure, stems
from .record import RESULTS, conditions, write_json
from .timing import FloatArray, interleaved, ratios, table

__all__ = ["CASES", "main", "measure"]

PIXELS, LATENTS, BATCH = 784, 32, 1000
BETA_RANGE = (0.01, 10.0)
AT_ONCE, ONE_BY_ONE, PLAIN = "all at once", "one by one", "plain loop"
_FIXED = ("encoder_1", "decoder_2")  # gates of feature rows, which the optimum does not need
_OPEN = {"encoder_gate": "sqrt_relu", "posterior_gate": "min_exp", "decoder_gate": "sqrt_relu"}
# What is built, whether it has gates, p(x|z), and by how much all at once should be faster.
CASES: dict[str, tuple[ModelConfig, bool, Likelihood, float]] = {
    "linear, multi-rate": (
        ModelConfig(kind="linear", latent_dim=LATENTS, ungated=_FIXED, **_OPEN),
        True,
        Gaussian(0.5),
        5.0,
    ),
    "linear, without gates": (
        ModelConfig(kind="linear", latent_dim=LATENTS),
        False,
        Gaussian(0.5),
        5.0,
    ),
    "MLP 784-400-32, multi-rate": (
        ModelConfig(kind="mlp", latent_dim=LATENTS, hidden=(400,)),
        True,
        Bernoulli(),
        0.9,
    ),
    "MLP 784-400-32, without gates": (
        ModelConfig(kind="mlp", latent_dim=LATENTS, hidden=(400,)),
        False,
        Bernoulli(),
        0.9,
    ),
}


def _samples(count: int) -> Tensor:
    return (torch.rand(count, PIXELS, generator=generator(0, "samples")) < 0.2).float()


def _network(config: ModelConfig, samples: Tensor, *, gated: bool) -> nn.Module:
    model = network_from(
        config,
        (PIXELS,),
        generator=generator(0, "weights"),
        beta_range=BETA_RANGE,
        multi_rate=gated,
        moments=lambda: Spectrum.from_samples(samples.numpy()),
    )
    with torch.no_grad():  # gates that move with β, or reading them would be too easy
        for name, parameter in model.named_parameters():
            if "slope" in name and parameter.ndim == 1:
                noise = torch.randn(parameter.shape, generator=generator(0, name))
                parameter += 0.1 * noise
    return model


def _plain(
    model: Any, samples: Tensor, betas: FloatArray, likelihood: Likelihood
) -> Callable[[], FloatArray]:
    """Rate, distortion and squared error (B, 3), as one would write it down."""
    noise = torch.randn(len(samples), LATENTS, generator=generator(0, "noise")).to(samples)

    @torch.inference_mode()
    def loop() -> FloatArray:
        points = []
        for beta in torch.as_tensor(betas).to(samples):
            total = torch.zeros(3, dtype=torch.float64, device=samples.device)
            for x, draws in zip(samples.split(BATCH), noise.split(BATCH), strict=True):
                mean, log_variance, output = model(x, beta, noise=draws)
                total[0] += rate(mean, log_variance).sum()
                total[1] += likelihood.distortion(output, x).sum()
                total[2] += squared_error(likelihood.mean(output), x).sum()
            points.append(total / len(samples))
        return torch.stack(points).cpu().numpy()

    return loop


def _off(got: FloatArray, want: FloatArray) -> float:
    """Largest difference, relative to the largest value at any β: some rates are 0."""
    return float(np.abs(got - want).max() / np.abs(want).max())


def measure(case: str, count: int, points: int, rounds: int, device: str) -> dict[str, Any]:
    """Times of the three ways on so many samples and β's, and how far their results differ."""
    config, gated, likelihood, target = CASES[case]
    samples = _samples(count)
    model = _network(config, samples, gated=gated).to(device).eval()
    samples, betas = samples.to(device), np.geomspace(*BETA_RANGE, points)

    def at(some: FloatArray) -> LearnedCurve:
        return evaluate_curve(model, samples, some, likelihood, batch_size=BATCH)

    calls = {
        AT_ONCE: lambda: at(betas),
        ONE_BY_ONE: lambda: [at(betas[i : i + 1]) for i in range(points)],
        PLAIN: _plain(model, samples, betas, likelihood),
    }
    rows = ratios(interleaved(calls, rounds), AT_ONCE)
    curve, singles, plain = (calls[name]() for name in (AT_ONCE, ONE_BY_ONE, PLAIN))
    return {
        "network": case,
        "likelihood": type(likelihood).__name__,
        "ways": rows,
        "speedup_over_one_by_one": rows[ONE_BY_ONE]["ratio"],
        "speedup_over_plain_loop": rows[PLAIN]["ratio"],
        "target": target,
        "largest_relative_difference": max(
            _off(getattr(curve, name), np.array([getattr(c, name)[0] for c in singles]))
            for name in ("rate", "distortion", "squared_error")
        ),
        # Other latents: not to rounding, but as far as the standard errors allow.
        "standard_errors_from_plain_loop": float(
            (np.abs(curve.distortion - plain[:, 1]) / curve.distortion_se).max()
        ),
        "rates_differ_from_plain_loop": _off(curve.rate, plain[:, 0]),
    }


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    figure, axes = panels(1, 2, width=5.2, height=2.6)
    names = [row["network"] for row in rows]
    ways = {"one_by_one": "Against evaluate_curve, β by β", "plain_loop": "Against a plain loop"}
    for ax, (way, title) in zip(axes, ways.items(), strict=True):
        speedups = [row[f"speedup_over_{way}"] for row in rows]
        stems(ax, names, speedups, "time over that of all at once", title, at=1.0)
    axes[1].set_yticklabels([])
    save_figure(figure, path)


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write results/benchmark-rd-evaluation.json and a picture beside it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--betas", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path, default=RESULTS / "benchmark-rd-evaluation.json")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    rows = []
    for case in CASES:
        row = measure(case, options.samples, options.betas, options.rounds, options.device)
        rows.append(row)
        print(f"{case}: {row['speedup_over_one_by_one']:.2f} times as fast as β by β, "
              f"{row['speedup_over_plain_loop']:.2f} times as a plain loop; target {row['target']};"
              f" results differ by {row['largest_relative_difference']:.1g}")  # fmt: skip
        print(*table(row["ways"], AT_ONCE), sep="\n", flush=True)
    content = {
        "experiment": f"{options.betas} β's read at once and in a loop, {options.samples} samples "
        f"of {PIXELS} pixels, {LATENTS} latents, float32, batches of {BATCH}",
        "command": f"python -m benchmarks.rd_evaluation --threads {options.threads}"
        + (f" --device {options.device}" if options.device != "cpu" else ""),
        "conditions": {
            **conditions("torch"),
            "torch_threads": options.threads,
            "device": options.device,
        },
        "networks": rows,
    }
    write_json(options.output, content)
    _draw(rows, picture_path(options.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
