"""Training of the linear network on the exact expected objective, for all β at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from deep.networks.linear import LinearParameters, MultiRateLinearVAE

__all__ = ["Schedule", "expected_terms", "threads", "train_linear"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Schedule:
    """How to train.

    Learning rates warm up linearly over the first twentieth of the steps and then follow a cosine
    to zero. The rate weighs a/b · β at first, so that no latent has cause to die before it was of
    use, and β after `warm` of the steps. The sharpness of the gates rises geometrically over `rise`
    of the steps, then rests; the last `exact` of the steps use the exact gates.

    Attributes
    ----------
    steps : int
    matrix_rate, gate_rate : float
        Largest learning rates of Adam for matrices and for gates and log-variances.
    strata : int
        β's per step, one from each of so many equal parts of the range of log β.
    sharpness : (first, last)
    warm, rise, exact : float
        Parts of the steps.
    """

    steps: int = 2500
    matrix_rate: float = 0.02
    gate_rate: float = 0.01
    strata: int = 16
    sharpness: tuple[float, float] = (1.0, 20.0)
    warm: float = 0.2
    rise: float = 0.6
    exact: float = 0.1

    def __post_init__(self) -> None:
        if self.steps < 1 or self.strata < 1:
            raise ValueError(f"schedule: got {self.steps} steps of {self.strata} β's; expected at "
                             "least one of each; raise them")  # fmt: skip

    def rate_at(self, step: int) -> float:
        """Learning rate of a step as a part of the largest."""
        part = step / self.steps
        return min(1.0, 20 * (step + 1) / self.steps) * 0.5 * (1 + math.cos(math.pi * part))

    def weight_at(self, step: int, beta_range: tuple[float, float]) -> float:
        """Factor on β at a step, a/b at the start and 1 from the end of the warm-up on."""
        low, high = beta_range
        done = step / (self.steps * self.warm) if self.warm > 0 else 1.0
        return float((low / high) ** max(0.0, 1.0 - done))

    def sharpness_at(self, step: int) -> float:
        """Sharpness of the gates at a step, infinite for the exact gates."""
        part = step / self.steps
        if part >= 1 - self.exact:
            return math.inf
        first, last = self.sharpness
        return first * math.pow(last / first, min(1.0, part / self.rise))


def expected_terms(
    parameters: LinearParameters, covariance: Tensor, noise_variance: float
) -> tuple[Tensor, Tensor]:
    r"""Distortion and rate of linear parameters, averaged over the data and over z in closed form.

    .. math::
        \mathcal D &= \tfrac n2\log(2\pi\sigma^2) + \tfrac1{2\sigma^2}\,[\operatorname{tr}S
            - 2\operatorname{tr}DES + \operatorname{tr}D^\top D(ESE^\top + C)] \\
        \mathcal R &= \tfrac12\,[\operatorname{tr}(C + ESE^\top) - k - \log\det C]

    Parameters
    ----------
    parameters : LinearParameters
        Batch dimensions (...); both offsets at the data mean.
    covariance : Tensor (n, n)
        S, divided by the number of samples.
    noise_variance : float
        σ² > 0.

    Returns
    -------
    distortion, rate : Tensor (...)
        Nats.
    """
    encoder, variance, decoder = parameters
    seen = encoder @ covariance  # shape: (..., k, n)
    spread = seen @ encoder.mT  # shape: (..., k, k)
    gram = decoder.mT @ decoder
    second_moment = spread + torch.diag_embed(variance)
    error = (
        torch.trace(covariance)
        - 2 * (decoder.mT * seen).sum((-1, -2))
        + (gram * second_moment).sum((-1, -2))
    )
    n = covariance.shape[-1]
    distortion = 0.5 * (n * math.log(2 * math.pi * noise_variance) + error / noise_variance)
    trace = torch.diagonal(second_moment, dim1=-2, dim2=-1)
    rate = 0.5 * (trace - 1 - torch.log(variance)).sum(-1)
    return distortion, rate


def train_linear(
    model: MultiRateLinearVAE,
    covariance: Tensor,
    *,
    noise_variance: float,
    beta_range: tuple[float, float],
    generator: torch.Generator,
    schedule: Schedule | None = None,
    progress: Progress | None = None,
) -> list[float]:
    r"""Minimise the objective, averaged over log β, with Adam; the model is changed in place.

    .. math:: \min_\psi \; \mathbb E_{\log\beta \sim U}\,
              [\mathcal D(\psi(\beta)) + \beta\,\mathcal R(\psi(\beta))]

    Nothing is sampled but β: data and latents enter through closed-form averages.

    Parameters
    ----------
    model : MultiRateLinearVAE
    covariance : Tensor (n, n)
        Of the data around ``model.mean``, in the model's dtype.
    noise_variance : float
        σ² > 0, fixed.
    beta_range : (a, b)
    generator : torch.Generator
        Source of the β's.
    schedule : Schedule, optional
    progress : callable(done, total), optional
        Called about a hundred times.

    Returns
    -------
    list of float
        The average objective at each step, nats, at the step's β's, weight and sharpness.

    Raises
    ------
    ValueError
        σ² not positive, or a covariance of another width than the model.
    """
    plan = Schedule() if schedule is None else schedule
    n = model.mean.numel()
    if not 0 < noise_variance < math.inf:
        raise ValueError(f"noise_variance: got {noise_variance}; expected a number > 0; pass the "
                         "decoder's variance σ²")  # fmt: skip
    if covariance.shape != (n, n):
        raise ValueError(f"covariance: got shape {tuple(covariance.shape)}; expected ({n}, {n}); "
                         "pass that of the features")  # fmt: skip
    groups = _groups(model, plan)
    optimiser = torch.optim.Adam(groups, betas=(0.9, 0.99))
    every = max(1, plan.steps // 100)
    losses = []
    for step in range(plan.steps):
        for group in optimiser.param_groups:
            group["lr"] = group["largest"] * plan.rate_at(step)
        beta = _stratified(beta_range, plan.strata, generator, covariance.dtype)
        parameters = model.at(beta, sharpness=plan.sharpness_at(step))
        distortion, rate = expected_terms(parameters, covariance, noise_variance)
        weight = beta * plan.weight_at(step, beta_range)
        loss = (distortion + weight * rate).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        if progress is not None and ((step + 1) % every == 0 or step + 1 == plan.steps):
            progress(step + 1, plan.steps)
    return losses


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use so many threads inside the block, and as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _groups(model: MultiRateLinearVAE, plan: Schedule) -> list[dict[str, object]]:
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    return [
        {"params": matrices, "lr": plan.matrix_rate, "largest": plan.matrix_rate},
        {"params": vectors, "lr": plan.gate_rate, "largest": plan.gate_rate},
    ]


def _stratified(
    beta_range: tuple[float, float], strata: int, generator: torch.Generator, dtype: torch.dtype
) -> Tensor:
    """Draw one log-uniform β from each of `strata` equal parts of the range."""
    low, high = (math.log(b) for b in beta_range)
    draws = torch.rand(strata, generator=generator, dtype=dtype)
    return torch.exp(low + (high - low) * (torch.arange(strata, dtype=dtype) + draws) / strata)
