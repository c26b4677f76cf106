"""Training of the linear network on the exact expected objective, for all β at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deep._checks import check_positive, fail
from deep.gates import RowGates
from deep.networks.linear import MultiRateLinearVAE
from deep.objectives.linear import Quadrature, gauss_legendre, model_terms, stratified

__all__ = ["Schedule", "polish", "threads", "train_linear"]

Progress = Callable[[int, int], None]

# Polishing: β's over the whole range; distances in log β, and the weight, of those beside closings.
_EVEN_NODES = 128
_BESIDE = (2e-4, 1e-3, 4e-3, 1.6e-2)
_SHARE = 0.3


@dataclass(frozen=True)
class Schedule:
    r"""How to train.

    First Adam: learning rates warm up linearly over a twentieth of the steps and then follow a
    cosine to zero. The rate weighs a/b · β at first, so that no latent has cause to die before it
    was of use, and β after `warm` of the steps. The sharpness of the gates rises geometrically over
    `rise` of the steps, then rests; the last `exact` of the steps use the exact gates. Then L-BFGS
    on the exact gates, see :func:`polish`.

    Attributes
    ----------
    steps : int
        Of Adam.
    matrix_rate : float
        Largest learning rate of matrices, divided by √n: their entries are of that size.
    gate_rate : float
        Largest learning rate of gates and log-variances.
    nodes : int
        β's per step: Gauss-Legendre nodes of log β, or strata when `stratified`.
    stratified : bool
        Draw one β at random from each of so many equal parts of the range instead.
    sharpness : (first, last)
    warm, rise, exact : float
        Parts of the steps.
    polish : int
        Iterations of L-BFGS for each of its stages; 0 for none.
    """

    steps: int = 1500
    matrix_rate: float = 0.16
    gate_rate: float = 0.01
    nodes: int = 32
    stratified: bool = False
    sharpness: tuple[float, float] = (1.0, 50.0)
    warm: float = 0.2
    rise: float = 0.6
    exact: float = 0.1
    polish: int = 60

    def __post_init__(self) -> None:
        if self.steps < 0 or self.polish < 0 or self.steps + self.polish < 1 or self.nodes < 1:
            fail("schedule", f"{self.steps} steps of {self.nodes} β's and {self.polish} of polish",
                 "at least one step and one β", "raise them")  # fmt: skip

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


def train_linear(
    model: MultiRateLinearVAE,
    covariance: Tensor,
    *,
    noise_variance: float,
    generator: torch.Generator | None = None,
    schedule: Schedule | None = None,
    progress: Progress | None = None,
) -> list[float]:
    r"""Minimise the objective, averaged over log β; the model is changed in place.

    .. math:: \min_\psi \; \mathbb E_{\log\beta \sim U}\,
              [\mathcal D(\psi(\beta)) + \beta\,\mathcal R(\psi(\beta))]

    Data and latents enter through closed-form averages, β through quadrature over the model's
    range. Gates of the feature rows that do not depend on β are left so; the optimum needs no more.

    Parameters
    ----------
    model : MultiRateLinearVAE
        Build it with :func:`deep.networks.linear_parts.whitening` of the covariance: without it the
        training is many times slower.
    covariance : Tensor (n, n)
        Of the data around ``model.mean``, in the model's dtype.
    noise_variance : float
        σ² > 0, fixed.
    generator : torch.Generator, optional
        Source of the β's of a stratified schedule.
    schedule : Schedule, optional
    progress : callable(done, total), optional
        Called about a hundred times.

    Returns
    -------
    list of float
        The average objective at each step of Adam, nats, at the step's β's, weight and sharpness,
        and in the end that of the polished model.

    Raises
    ------
    InputError
        σ² not positive, a covariance of another size than the model, a stratified schedule without
        a generator.
    """
    plan = Schedule() if schedule is None else schedule
    _check(model, covariance, noise_variance)
    if plan.stratified and generator is None:
        fail("generator", None, "a source of β's", "pass one, or a schedule that is not stratified")
    span, fixed = model.beta_range, gauss_legendre(model.beta_range, plan.nodes)
    total = plan.steps + plan.polish
    every = max(1, total // 100)
    losses = []
    with _held(_slopes_at_rest(model)):
        optimiser = torch.optim.Adam(_groups(model, plan), betas=(0.9, 0.99))
        for step in range(plan.steps):
            for group in optimiser.param_groups:
                group["lr"] = group["largest"] * plan.rate_at(step)
            points = fixed if generator is None or not plan.stratified else stratified(
                span, plan.nodes, generator)  # fmt: skip
            beta, weights = (p.to(covariance.dtype) for p in points)
            sharpness, weight = plan.sharpness_at(step), beta * plan.weight_at(step, span)
            distortion, rate = model_terms(
                model, beta, covariance, noise_variance, sharpness=sharpness
            )
            loss = (weights * (distortion + weight * rate)).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
            if progress is not None and (step + 1) % every == 0 and step + 1 < total:
                progress(step + 1, total)
    if plan.polish:
        losses.append(polish(model, covariance, noise_variance=noise_variance,
                             iterations=plan.polish))  # fmt: skip
    if progress is not None:
        progress(total, total)
    return losses


def polish(
    model: MultiRateLinearVAE,
    covariance: Tensor,
    *,
    noise_variance: float,
    iterations: int = 60,
    sharpness: Sequence[float] = (100.0, 1000.0, 10_000.0),
    memory: int = 20,
) -> float:
    """Minimise the averaged objective with L-BFGS; the model is changed in place.

    From near an optimum this gains digits that Adam's decaying steps do not. From a random start
    and with exact gates it stalls: latents that close have no gradient.

    The exact optimum has kinks where latents close. Gates of encoder and decoder that close at
    slightly different β cost little on average and much between the two; so a share of the weight
    lies on β's close to where latents close, and the gates are sharpened in stages. Any positive
    weights have the same optimum. The square matrix of the encoder is held: the one after it
    reaches every E, and L-BFGS keeps forty copies of what it trains.

    Parameters
    ----------
    model, covariance, noise_variance
        As for :func:`train_linear`.
    iterations : int
        For each sharpness, >= 1.
    sharpness : sequence of float
        Of the gates, one for each stage; infinite for the exact gates.
    memory : int
        Pairs of steps and gradients kept.

    Returns
    -------
    float
        The average over log β of the objective reached with exact gates, nats.

    Raises
    ------
    InputError
        As :func:`train_linear`.
    """
    _check(model, covariance, noise_variance)
    even = gauss_legendre(model.beta_range, _EVEN_NODES)
    held = [*_slopes_at_rest(model), model.encoder_1.weight]
    with _held(held):
        trained = [p for p in model.parameters() if p.requires_grad]
        for stage in sharpness:
            points = _with_closings(model, even)
            average = _average(model, covariance, noise_variance, points, stage)
            _lbfgs(trained, average, iterations, memory)
    with torch.no_grad():
        return float(_average(model, covariance, noise_variance, even, math.inf)())


def _average(
    model: MultiRateLinearVAE,
    covariance: Tensor,
    noise_variance: float,
    points: Quadrature,
    sharpness: float,
) -> Callable[[], Tensor]:
    beta, weights = (p.to(covariance.dtype) for p in points)

    def average() -> Tensor:
        distortion, rate = model_terms(model, beta, covariance, noise_variance, sharpness=sharpness)
        return (weights * (distortion + beta * rate)).sum()

    return average


def _lbfgs(
    trained: list[nn.Parameter], loss: Callable[[], Tensor], iterations: int, memory: int
) -> None:
    from scipy.optimize import minimize

    def load(flat: NDArray[np.float64]) -> None:
        values = torch.tensor(flat, dtype=trained[0].dtype, device=trained[0].device)
        nn.utils.vector_to_parameters(values, trained)

    def value(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        load(flat)
        here = loss()
        gradient = nn.utils.parameters_to_vector(torch.autograd.grad(here, trained))
        return float(here.detach()), gradient.double().cpu().numpy()

    start = nn.utils.parameters_to_vector(trained).detach().double().cpu().numpy()
    # The tolerances say "when nothing moves any more".
    options = {"maxiter": iterations, "maxfun": 2 * iterations + 20, "maxcor": memory,
               "ftol": 1e-16, "gtol": 1e-13}  # fmt: skip
    load(minimize(value, start, jac=True, method="L-BFGS-B", options=options).x)


def _with_closings(model: MultiRateLinearVAE, even: Quadrature) -> Quadrature:
    """Add β's near where the encoder's latents close; they get a share of the weight."""
    gates = model.encoder_2.gates
    if not isinstance(gates, RowGates):
        return even
    slope = gates.slope.detach().double()
    closing = -gates.bias.detach().double() / torch.where(slope == 0, math.nan, slope)
    logs = closing * model.beta_input.std + model.beta_input.mean
    beside = torch.tensor(_BESIDE, dtype=torch.float64, device=logs.device)
    near = torch.exp((logs[:, None] + torch.cat([-beside, beside])).ravel())
    near = near[(near > model.beta_range[0]) & (near < model.beta_range[1])]  # not NaN either
    if not len(near):
        return even
    return Quadrature(
        torch.cat([even.betas.to(near), near]),
        torch.cat(
            [(1 - _SHARE) * even.weights.to(near), torch.full_like(near, _SHARE / len(near))]
        ),
    )


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use so many threads inside the block, and as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _held(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Take parameters out of the training inside the block."""
    held = [p for p in parameters if p.requires_grad]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)


def _slopes_at_rest(model: MultiRateLinearVAE) -> list[nn.Parameter]:
    return model.feature_slopes if model.features_constant else []


def _check(model: MultiRateLinearVAE, covariance: Tensor, noise_variance: float) -> None:
    n = model.mean.numel()
    check_positive("noise_variance", noise_variance, "pass the decoder's variance σ²")
    if covariance.shape != (n, n):
        fail("covariance", f"shape {tuple(covariance.shape)}", f"({n}, {n})",
             "pass that of the features")  # fmt: skip


def _groups(model: MultiRateLinearVAE, plan: Schedule) -> list[dict[str, Any]]:
    rates = {"weights": plan.matrix_rate / math.sqrt(model.mean.numel()), "gates": plan.gate_rate}
    return [
        {"params": [p for p in group["params"] if p.requires_grad], "largest": rates[group["role"]]}
        for group in model.parameter_groups()
    ]
