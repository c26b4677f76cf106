"""Gradient flow of linear VAEs, predicted and measured: ``python -m benchmarks.dynamics``.

Rates in closed form beside those of integrated trajectories: how fast modes leave collapse and
settle, how slowly neighbouring latents align, what an annealed β costs in time, and how long a
closed gate takes to reopen.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

import linvae as lv
from linvae import dynamics

from .record import RESULTS, conditions, write_json

__all__ = ["main"]

VALUES, BETA, NOISE = (4.0, 2.0, 1.0, 0.6), 0.5, 1.0


def _crossing(times: Any, gains: Any, level: float) -> float:
    """Time at which a recorded gain first exceeds a level, between records linearly."""
    after = int(np.argmax(gains > level))
    if not gains[after] > level:
        return math.inf
    share = (level - gains[after - 1]) / (gains[after] - gains[after - 1])
    return float(times[after - 1] + share * (times[after] - times[after - 1]))


def escape(start: float) -> list[dict[str, float]]:
    """Time to half of the optimal gain, alone along the growing direction and within a model."""
    spectrum = lv.Spectrum.from_eigenvalues(VALUES)
    rng = np.random.default_rng(0)
    k, n = 3, len(VALUES)
    E, D = start * rng.standard_normal((k, n)), start * rng.standard_normal((n, k))
    times = np.linspace(0, 200, 20001)
    model = lv.LinearVAE(E, np.ones(k), D, np.array(NOISE))
    path = dynamics.model_flow(spectrum, BETA, model, times)
    gains = np.linalg.norm(path.model.decoder, axis=2)  # along each eigenvector
    rows = []
    for i, value in enumerate(VALUES[:k]):
        e, d = dynamics.escape_direction(value, BETA, noise_variance=NOISE)
        size = np.linalg.norm(e * E[:, i] + d * D[i])  # of the part that grows
        best = math.sqrt(value - BETA * NOISE)
        alone = dynamics.mode_flow(
            value, BETA, (size * e, 1.0, size * d), times, noise_variance=NOISE
        )
        rows.append(
            {
                "eigenvalue": value,
                "rate": float(dynamics.escape_rate(value, BETA, noise_variance=NOISE)),
                "predicted": float(
                    dynamics.escape_time(value, BETA, size * d, noise_variance=NOISE)
                ),
                "alone": _crossing(times, alone.decoder_gain, best / 2),
                "in_the_model": _crossing(times, gains[:, i], best / 2),
            }
        )
    return rows


def alignment(gap: float) -> dict[str, float]:
    """Decay of a small rotation of two latents whose eigenvalues differ by a share."""
    spectrum = lv.Spectrum.from_eigenvalues([2.0 * (1 + gap), 2.0])
    rate = dynamics.alignment_rates(spectrum, BETA, latent_dim=2, noise_variance=NOISE)[0, 1]
    best = lv.response(spectrum, BETA, latent_dim=2, noise_variance=NOISE)
    turn = np.array([[math.cos(1e-3), -math.sin(1e-3)], [math.sin(1e-3), math.cos(1e-3)]])
    start = lv.LinearVAE(
        turn.T @ best.encoder, best.posterior_variance, best.decoder @ turn, best.noise_variance
    )
    path = dynamics.model_flow(
        spectrum, BETA, start, np.array([0.0, 3.0, 4.0]) / rate, tolerance=1e-11
    )
    off = path.model.decoder[1:, 0, 1] - path.model.decoder[1:, 1, 0]
    return {
        "gap": gap,
        "predicted": float(rate),
        "measured": float(np.log(off[0] / off[1]) * rate),
        "excess_at_45_degrees_nats": float(
            dynamics.rotation_excess(2.0 * (1 + gap), 2.0, BETA, math.pi / 4, noise_variance=NOISE)
        ),
    }


def stalling(ratio: float) -> dict[str, float]:
    """Decay towards the optimum at a share of the critical β."""
    rate = float(dynamics.convergence_rate(1.0, ratio, noise_variance=1.0))
    gain = math.sqrt(1 - ratio)
    start = (gain * (1 + 1e-4), ratio, gain * (1 + 1e-4))
    path = dynamics.mode_flow(
        1.0, ratio, start, np.array([0.0, 6.0, 7.0]) / rate, noise_variance=1.0, tolerance=1e-12
    )
    off = np.abs(path.decoder_gain - gain)
    return {
        "beta_over_critical": ratio,
        "predicted": rate,
        "measured": float(np.log(off[1] / off[2]) * rate),
    }


def annealing(duration: float) -> dict[str, float]:
    """Lag of the decoder gain while β warms up, where β has reached half of the critical value."""
    speed = 0.8 / duration
    middle = (0.5 - 0.1) / speed
    schedule = dynamics.linear_warmup(0.9, duration, initial=0.1)
    start = (math.sqrt(0.9), 0.1, math.sqrt(0.9))
    path = dynamics.mode_flow(1.0, schedule, start, [0.0, middle, 40 * duration + 4000],
                              noise_variance=1.0)  # fmt: skip
    return {
        "duration": duration,
        "predicted_lag": float(dynamics.tracking_lag(1.0, 0.5, speed, noise_variance=1.0)),
        "measured_lag": float(path.decoder_gain[1] - math.sqrt(0.5)),
        "end_minus_optimum": float(path.decoder_gain[-1] - math.sqrt(0.1)),
    }


def reopening(sharpness: float, steps: int = 2000) -> dict[str, Any]:
    """Gradient descent (rate 1) on the bias of a gate that is closed on the whole range."""
    options: dict[str, Any] = {"beta_range": (0.01, 10.0), "noise_variance": 1.0}
    bias = closed = math.log(100.0) + 0.5
    reopened = None
    for step in range(steps):
        bias -= float(dynamics.revival_gradient(2.0, bias, sharpness=sharpness, **options))
        if bias < math.log(100.0):
            reopened = step + 1
            break
    return {
        "sharpness": "exact" if math.isinf(sharpness) else sharpness,
        "gradient_at_start": float(
            dynamics.revival_gradient(2.0, closed, sharpness=sharpness, **options)
        ),
        "steps_until_open": reopened,
    }


def main(argv: list[str] | None = None) -> int:
    """Write results/dynamics.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS / "dynamics.json")
    options = parser.parse_args(argv)
    record: dict[str, Any] = {
        "experiment": "gradient flow of linear VAEs, predicted and measured",
        "command": "python -m benchmarks.dynamics",
        "units": "time of gradient flow (learning rate times steps); rates in 1/time",
        "eigenvalues": VALUES,
        "beta": BETA,
        "noise_variance": NOISE,
        "seed": 0,
        "escape": escape(1e-4),
        "alignment": [alignment(gap) for gap in (1.0, 0.3, 0.1, 0.03)],
        "stalling": [stalling(r) for r in (0.01, 0.1, 0.5, 0.9, 0.99)],
        "annealing": [annealing(t) for t in (50.0, 200.0, 800.0)],
        "reopening": [reopening(s) for s in (1.0, 4.0, 16.0, 64.0, math.inf)],
        "conditions": conditions(),
    }
    for name in ("escape", "alignment", "stalling", "annealing", "reopening"):
        print(name)
        for row in record[name]:
            print("  " + "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}"
                                   for k, v in row.items()))  # fmt: skip
    write_json(options.output, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
