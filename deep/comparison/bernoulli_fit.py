"""Numerical optimisation of Bernoulli linear VAEs, one per β, each from its neighbour."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from deep._checks import fail
from deep.comparison.bernoulli import (
    BernoulliLinearVAE,
    BernoulliReference,
    check_binary,
    expected_slopes,
    expected_softplus,
)
from deep.comparison.reference import as_betas
from deep.randomness import generator

__all__ = ["fit_bernoulli"]

FloatArray = NDArray[np.float64]

_PIXEL_FLOOR = 1e-3  # of the mean pixel a bias starts from: one always off would start at -inf
_EIGENVALUE_FLOOR = 1e-3  # of the whitening, relative to the largest
_SMALL = 100_000  # samples × pixels up to which the whole objective is polished
_LATER = 0.2
_NODES_OF_SMALL = 24
_FACTORS = (0.9, 0.99)  # of Adam


class _Problem(NamedTuple):
    data: Tensor  # (N, n)
    center: Tensor  # (n,)
    whitening: Tensor  # (n, n), x - m to coordinates of variance about 1
    nodes: int


def fit_bernoulli(
    samples: ArrayLike,
    *,
    latent_dim: int,
    betas: ArrayLike,
    seed: int = 0,
    steps: int = 200,
    batch_size: int = 256,
    learning_rate: float = 0.05,
    nodes: int = 12,
) -> BernoulliReference:
    r"""Minimise the objective over all parameters at each β.

    .. math:: \min_{E,h,c,D,b}\ \tfrac1N\sum_x \mathcal D(x) + \beta\mathcal R(x)

    The smallest β comes first, from a start by principal components with every latent in use, and
    each β starts from the one below: latents can then fade out, while a latent that starts unused
    sits at a saddle. Adam on minibatches, with E applied to whitened data; small problems are then
    polished by L-BFGS on the whole objective. The objective is not convex: other optima may exist.

    Parameters
    ----------
    samples : array (N, n)
        In [0, 1]; the reference describes these.
    latent_dim : int
        k, 1 <= k <= n.
    betas : array (B,)
        Weights of the rate.
    seed : int
        Of the minibatches and of the start.
    steps : int
        Of Adam at each β; three times as many at the smallest.
    batch_size : int
    learning_rate : float
        Of Adam at the smallest β; a fifth of it at the others, which start close to their optimum.
        It falls to zero by a cosine at each β.
    nodes : int
        Of the quadrature while optimising; small problems use at least 24.

    Returns
    -------
    BernoulliReference
        Models by ascending β. ``gradient_norms`` are Euclidean, of the average objective in nats
        with respect to E in whitened coordinates, h, log c, D and b.

    Raises
    ------
    InputError
        k outside 1..n, samples outside [0, 1], β's not positive.
    """
    data = check_binary(samples)
    if not 1 <= latent_dim <= data.shape[1]:
        fail("latent_dim", latent_dim, f"1 to {data.shape[1]}", "use at most one per pixel")
    weights = np.unique(as_betas(betas))
    small = data.size <= _SMALL
    if small:
        problem = _problem(data, max(nodes, _NODES_OF_SMALL), torch.float64)
    else:
        problem = _problem(data, nodes, torch.float32)
    parameters = _start(problem, latent_dim, float(weights[0]), seed)
    models, norms = [], []
    for place, beta in enumerate(weights.tolist()):
        if place:
            _foresee(parameters, beta / float(weights[place - 1]))
        length, largest = (steps, _LATER * learning_rate) if place else (3 * steps, learning_rate)
        _adam(problem, parameters, beta, length, batch_size, largest, (seed, place))
        if small:
            _polish(problem, parameters, beta)
        norms.append(_gradient_norm(problem, parameters, beta))
        models.append(_as_model(problem, parameters))
    return BernoulliReference.judged(tuple(models), weights, data, np.array(norms))


def _problem(data: NDArray[np.generic], nodes: int, dtype: torch.dtype) -> _Problem:
    rows = torch.as_tensor(np.asarray(data, dtype=np.float32)).to(dtype)
    center = rows.double().mean(0).to(dtype)
    centred = rows - center
    values, vectors = torch.linalg.eigh((centred.mT @ centred / len(rows)).double())
    values, vectors = values.flip(0), vectors.flip(1)
    scale = torch.sqrt(values.clamp_min(_EIGENVALUE_FLOOR * float(values[0]) + 1e-12))
    return _Problem(rows, center, (vectors / scale).mT.to(dtype), nodes)


def _start(problem: _Problem, k: int, beta: float, seed: int) -> list[Tensor]:
    """Principal components: z is the whitened score, the decoder its regression on the logits."""
    n, dtype = problem.data.shape[1], problem.data.dtype
    pixel = problem.center.double().clamp(_PIXEL_FLOOR, 1 - _PIXEL_FLOOR)
    slope = torch.linalg.pinv(problem.whitening.double())[:, :k]  # pixels per unit of z
    gain = 1 / (pixel * (1 - pixel)).clamp_min(0.02)  # of logits to pixels
    draws = torch.randn(n, k, generator=generator(seed, "bernoulli start"), dtype=torch.float64)
    decoder = gain[:, None] * slope + 0.01 * draws
    weight = (decoder**2 / gain[:, None]).sum(0)  # curvature of the distortion in each latent
    variance = beta / (beta + weight)
    encoder = torch.zeros(k, n, dtype=torch.float64)
    encoder[:, :k] = torch.diag(torch.sqrt(1 - variance))
    plain = (encoder, torch.zeros(k), torch.log(variance), decoder, torch.logit(pixel))
    return [p.to(dtype).clone().requires_grad_() for p in plain]


def _foresee(parameters: list[Tensor], factor: float) -> None:
    r"""Move to a larger β as a Gaussian linear VAE would: c grows with β, gains are √(λ − βσ²).

    A latent that would die keeps a hundredth of its gain, and with it a slope. The biases keep the
    mean pixel, about :math:`\operatorname{sigmoid}(b/\sqrt{1+\pi v/8})` for logits of variance v.
    """
    encoder, offset, log_variance, decoder, bias = parameters
    with torch.no_grad():
        variance = torch.exp(log_variance).clamp(max=1 - 1e-6)
        grown = (factor * variance).clamp(max=1.0)
        gain = torch.sqrt((1 - grown) / (1 - variance)).clamp(min=0.01)
        before = 1 + math.pi / 8 * (decoder**2).sum(1)
        log_variance.copy_(torch.log(grown))
        encoder.mul_(gain[:, None])
        offset.mul_(gain)
        decoder.mul_(gain)
        bias.mul_(torch.sqrt((1 + math.pi / 8 * (decoder**2).sum(1)) / before))


def _objective(
    problem: _Problem, parameters: list[Tensor], rows: Tensor, beta: float, *, value: bool = True
) -> Tensor:
    """The average objective; without value, a number that has no meaning but its gradient."""
    encoder, offset, log_variance, decoder, bias = parameters
    mean = (rows - problem.center) @ (encoder @ problem.whitening).mT + offset
    variance = torch.exp(log_variance)
    # A floor below the rounding keeps the slope of the root finite where a decoder row is 0.
    spread = torch.sqrt(decoder**2 @ variance + torch.finfo(decoder.dtype).tiny)
    logits = mean @ decoder.mT + bias
    if value:
        soft = expected_softplus(logits, spread, nodes=problem.nodes)
    else:
        first, second = expected_slopes(logits, spread, nodes=problem.nodes)
        soft = first * logits + second * spread
    distortion = (soft - rows * logits).sum(-1).mean()
    rate = 0.5 * ((mean**2).sum(-1).mean() + (variance - 1 - log_variance).sum())
    return distortion + beta * rate


def _adam(
    problem: _Problem,
    parameters: list[Tensor],
    beta: float,
    steps: int,
    batch_size: int,
    learning_rate: float,
    key: tuple[int, int],
) -> None:
    decoder = parameters[3]
    # Steep logistic curves have large decoders, which have far to go.
    scale = max(1.0, float(decoder.detach().square().mean().sqrt()))
    others = [p for p in parameters if p is not decoder]
    groups = [{"params": others}, {"params": [decoder], "lr": scale * learning_rate}]
    optimiser = torch.optim.Adam(groups, lr=learning_rate, betas=_FACTORS)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    draws = generator(key[0], "bernoulli batches", key[1])
    count = len(problem.data)
    for _ in range(steps):
        if count > batch_size:
            rows = problem.data[torch.randint(count, (batch_size,), generator=draws)]
        else:
            rows = problem.data
        optimiser.zero_grad()
        _objective(problem, parameters, rows, beta, value=False).backward()
        optimiser.step()
        schedule.step()


def _polish(problem: _Problem, parameters: list[Tensor], beta: float) -> None:
    optimiser = torch.optim.LBFGS(parameters, max_iter=300, tolerance_grad=1e-9,
                                  tolerance_change=0.0, history_size=50,
                                  line_search_fn="strong_wolfe")  # fmt: skip

    def closure() -> float:
        optimiser.zero_grad()
        loss = _objective(problem, parameters, problem.data, beta)
        loss.backward()
        return float(loss.detach())

    optimiser.step(closure)


def _gradient_norm(problem: _Problem, parameters: list[Tensor], beta: float) -> float:
    total = [torch.zeros_like(p) for p in parameters]
    for rows in problem.data.split(1000):
        part = _objective(problem, parameters, rows, beta, value=False)
        part = part * (len(rows) / len(problem.data))
        for sum_, gradient in zip(total, torch.autograd.grad(part, parameters), strict=True):
            sum_ += gradient
    return float(torch.sqrt(sum((g.double() ** 2).sum() for g in total)))


def _as_model(problem: _Problem, parameters: list[Tensor]) -> BernoulliLinearVAE:
    with torch.no_grad():
        encoder, offset, log_variance, decoder, bias = (p.double() for p in parameters)
        full = encoder @ problem.whitening.double()
        plain = (full, problem.center.double(), offset, torch.exp(log_variance), decoder, bias)
        arrays = [p.numpy().copy() for p in plain]
    return BernoulliLinearVAE(*arrays)
