"""Last act of ``linvae demo``: one trained network against the exact curve."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from deep.comparison.curves import ComparedCurve
from deep.comparison.linear import compare
from deep.networks.linear import MultiRateLinearVAE
from deep.networks.linear_parts import whitening
from deep.training.exact import Schedule, threads, train_linear

if TYPE_CHECKING:
    from linvae import Frontier, Spectrum

__all__ = ["DemoResult", "run"]

_POINTS = 10
# What the demo aims at: 1 % of the collapsed loss, and 0.1 nats where there is little to lose.
_GOAL, _GOAL_NATS = 0.01, 0.1


@dataclass(frozen=True, eq=False)
class DemoResult(ComparedCurve):
    """The comparison, with what there is to say about it.

    Attributes
    ----------
    title : str
        What was trained.
    seconds : float
        Time the training took.
    lines : list of str
        One sentence each.
    """

    title: str
    seconds: float
    lines: list[str]


def run(
    samples: Any,
    *,
    latent_dim: int,
    noise_variance: float,
    beta_range: tuple[float, float],
    spectrum: Spectrum,
    frontier: Frontier,
    progress: Callable[[int, int], None] | None = None,
    seed: int = 0,
    schedule: Schedule | None = None,
) -> DemoResult:
    """Train a two-layer linear multi-rate VAE from a random start and compare it at ten β's.

    The spectrum and the frontier are used after training, to judge.

    Parameters
    ----------
    samples : array (N, n)
    latent_dim : int
        k.
    noise_variance : float
        σ² of the decoder, fixed.
    beta_range : (a, b)
    spectrum : Spectrum
        Of the samples.
    frontier : Frontier
        Of the samples, with that k and σ².
    progress : callable(done, total), optional
    seed : int
        Of the start and of the β's; the same seed gives the same bits on the same machine.
    schedule : Schedule, optional
        Of the training.

    Returns
    -------
    DemoResult

    Raises
    ------
    ValueError
        A frontier of another k or σ², samples of another width than the spectrum, a bad range.
    """
    if (frontier.latent_dim, frontier.noise_variance) != (latent_dim, noise_variance):
        raise ValueError(f"frontier: got one for k = {frontier.latent_dim}, σ² = "
                         f"{frontier.noise_variance}; expected k = {latent_dim}, σ² = "
                         f"{noise_variance}; build it with the same numbers")  # fmt: skip
    data = torch.tensor(np.asarray(samples, dtype=np.float64))
    if data.ndim != 2 or data.shape[1] != spectrum.n_features:
        raise ValueError(f"samples: got shape {tuple(data.shape)}; expected (N, "
                         f"{spectrum.n_features}) as in the spectrum; pass the samples behind "
                         "it")  # fmt: skip
    plan = Schedule() if schedule is None else schedule
    start = time.perf_counter()
    with threads(1):  # the matrices are too small to gain from more
        mean = data.mean(0)
        centred = data - mean
        covariance = centred.mT @ centred / len(data)
        generator = torch.Generator().manual_seed(seed)
        model = MultiRateLinearVAE(
            data.shape[1],
            latent_dim,
            beta_range=beta_range,
            generator=generator,
            mean=mean,
            scale=math.sqrt(float(torch.diagonal(covariance).mean())) or 1.0,
            whitening=whitening(covariance),
        )
        train_linear(
            model,
            covariance,
            noise_variance=noise_variance,
            generator=generator,
            schedule=plan,
            progress=progress,
        )
        seconds = time.perf_counter() - start
        betas = np.geomspace(*beta_range, _POINTS)
        result = compare(model, betas, spectrum=spectrum, frontier=frontier)
    return DemoResult(
        **vars(result),
        title=f"A two-layer linear multi-rate VAE with {latent_dim} latents",
        seconds=seconds,
        lines=_in_words(result, model, plan),
    )


def _in_words(result: ComparedCurve, model: MultiRateLinearVAE, plan: Schedule) -> list[str]:
    count = sum(p.numel() for p in model.parameters())
    lines = [
        f"One network for all β: {count} numbers, matrices and gates, learned in {plan.steps} "
        "steps of Adam from a random start (square layers near the identity). It was given the "
        "noise variance, the range of β and coordinates in which the data have about equal "
        "variance; the exact curve only judges it.",
        f"Each step took {plan.nodes} β's and the exact average of the loss over the samples and "
        "the latents, through their covariance: no minibatches, no sampled latents.",
        "The weight of the rate was raised to β over the first steps, or weak latents die early. "
        "The exact gates have zero gradient once closed, so they were trained in a smooth form "
        "that sharpens as training goes on; the last steps and all numbers shown use the exact "
        "gates.",
    ]
    share = np.where(result.in_nats, 0.0, result.normalised_excess)
    nats = np.where(result.in_nats, result.excess_nats, 0.0)
    if not result.in_nats.all():
        worst = int(share.argmax())
        lines.append(
            f"Where there is more than 1 nat to lose, the network loses at most "
            f"{100 * share[worst]:.2g} % of it (at β = {result.betas[worst]:.3g}, "
            f"{result.excess_nats[worst]:.2g} nats above the optimum)."
        )
    if result.in_nats.any():
        lines.append(
            f"Where ignoring the data would cost 1 nat or less, it is at most {nats.max():.2g} "
            "nats above the optimum."
        )
    if share.max() > _GOAL or nats.max() > _GOAL_NATS:
        lines.append(
            f"That misses the aim of {100 * _GOAL:.0f} % and {_GOAL_NATS} nats: this training has "
            "not converged. The gap is the training's, as the gates can represent the optimum."
        )
    return lines
