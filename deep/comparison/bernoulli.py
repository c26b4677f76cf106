r"""The linear VAE of binary data: exact rate and distortion of any parameters, and a reference.

.. math:: q(z|x) = \mathcal N(E(x-m)+h,\ \operatorname{diag} c), \qquad
          p(x_j = 1|z) = \operatorname{sigmoid}(Dz+b)_j

The Gaussian frontier says nothing here and no closed form is known. But given x each logit is
Gaussian, so the expectation over z is a one-dimensional integral per pixel and nothing is sampled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from deep._checks import fail
from deep.comparison.reference import Bounds, ReferencePoints, as_betas
from deep.errors import DataError, InputError

__all__ = [
    "BernoulliLinearVAE",
    "BernoulliReference",
    "BernoulliTerms",
    "check_binary",
    "expected_slopes",
    "expected_softplus",
]

FloatArray = NDArray[np.float64]

# Nodes of the quadrature when parameters are judged, by the largest spread of a logit.
_NODES = ((2.0, 24), (5.0, 64), (math.inf, 128))
_ENTRIES = 2_000_000  # pixels worked on at a time


class _ExpectedSoftplus(torch.autograd.Function):
    """Value and both derivatives in one pass over the nodes, without a graph of them."""

    @staticmethod
    def forward(ctx: Any, mean: Tensor, spread: Tensor, nodes: int) -> Tensor:
        value = torch.zeros_like(mean)
        for logit, _, weight in _at_nodes(mean, spread, nodes):
            value += torch.tensordot(weight, _softplus(logit), 1)
        ctx.save_for_backward(mean, spread)
        ctx.nodes = nodes
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        mean, spread = ctx.saved_tensors
        first, second = expected_slopes(mean, spread, nodes=ctx.nodes)
        return grads[0] * first, (grads[0] * second).sum_to_size(spread.shape), None


def expected_softplus(mean: Tensor, spread: Tensor, *, nodes: int = 64) -> Tensor:
    r"""Gauss–Hermite value of a softplus under a Gaussian.

    .. math:: \mathbb E_{\varepsilon\sim\mathcal N(0,1)}\log(1+e^{a+s\varepsilon})

    Parameters
    ----------
    mean : Tensor (..., n)
        a.
    spread : Tensor (n,) or like mean
        s >= 0.
    nodes : int
        Of the quadrature. The error grows with s. Largest over a: with 64 nodes 2e-11 at s = 2,
        2e-5 at s = 5, 1e-3 at s = 8; with 24 nodes 4e-7 at s = 2; with 12 nodes 2e-8 at s = 1,
        5e-5 at s = 2.
    """
    result: Tensor = _ExpectedSoftplus.apply(mean, spread, nodes)
    return result


def expected_slopes(mean: Tensor, spread: Tensor, *, nodes: int) -> tuple[Tensor, Tensor]:
    r"""Derivatives of :func:`expected_softplus` by a and s, entry by entry, without a graph.

    .. math:: \mathbb E\,\operatorname{sigmoid}(a+s\varepsilon), \qquad
              \mathbb E\,\varepsilon\operatorname{sigmoid}(a+s\varepsilon)

    Arguments as there; both results have the shape of mean.
    """
    with torch.no_grad():
        first, second = torch.zeros_like(mean), torch.zeros_like(mean)
        for logit, place, weight in _at_nodes(mean, spread, nodes):
            gate = torch.sigmoid_(logit)
            first += torch.tensordot(weight, gate, 1)
            second += torch.tensordot(weight * place, gate, 1)
    return first, second


def _softplus(logit: Tensor) -> Tensor:
    return torch.nn.functional.softplus(logit, threshold=1e9)  # never cut to the identity


def _at_nodes(mean: Tensor, spread: Tensor, nodes: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Logits (m, ...) at m nodes at a time: all for small problems, few for large ones."""
    width = max(1, _ENTRIES // max(1, mean.numel()))
    places, weights = _hermite(nodes, mean.dtype)
    for place, weight in zip(places.split(width), weights.split(width), strict=True):
        yield mean + place.view(-1, *[1] * mean.ndim) * spread, place, weight


@cache
def _hermite(nodes: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    places, weights = np.polynomial.hermite_e.hermegauss(nodes)
    both = torch.tensor(np.stack([places, weights / weights.sum()]), dtype=dtype)
    return both[0], both[1]


class BernoulliTerms(NamedTuple):
    """Rate, distortion and squared error of each sample, (N,); the first two in nats."""

    rate: FloatArray
    distortion: FloatArray
    squared_error: FloatArray


@dataclass(frozen=True, eq=False)
class BernoulliLinearVAE:
    """Parameters; see the module for the model.

    Attributes
    ----------
    encoder : ndarray (k, n)
    center : ndarray (n,)
        m.
    latent_offset : ndarray (k,)
        h.
    posterior_variance : ndarray (k,)
        c, the same for every sample.
    decoder : ndarray (n, k)
    bias : ndarray (n,)
        b.
    """

    encoder: FloatArray
    center: FloatArray
    latent_offset: FloatArray
    posterior_variance: FloatArray
    decoder: FloatArray
    bias: FloatArray

    def evaluate(self, samples: ArrayLike, *, nodes: int | None = None) -> BernoulliTerms:
        r"""Terms of each sample, up to the error of the quadrature.

        .. math::
            \mathcal D(x) &= \sum_j \mathbb E\log(1+e^{a_j+s_j\varepsilon}) - x_j a_j, \quad
                a = D\mu(x)+b,\ s_j^2 = \sum_i D_{ji}^2 c_i \\
            \mathcal R(x) &= \tfrac12\sum_i (\mu_i(x)^2 + c_i - 1 - \log c_i)

        The squared error is that of the mean pixel p(x_j = 1|z), averaged over z.

        Parameters
        ----------
        samples : array (N, n)
            In [0, 1].
        nodes : int, optional
            Of the quadrature; as many as the spread of the logits needs when omitted.
        """
        data = check_binary(samples)
        if data.shape[1] != self.bias.size:
            fail("samples", f"shape {data.shape}", f"(N, {self.bias.size})", "flatten images")
        count = self.nodes if nodes is None else nodes
        spread = torch.from_numpy(self._spread)
        variance = self.posterior_variance
        parts = []
        step = max(1, _ENTRIES // data.shape[1])
        for start in range(0, len(data), step):
            rows = np.asarray(data[start : start + step], dtype=np.float64)
            mean = (rows - self.center) @ self.encoder.T + self.latent_offset
            logits = torch.from_numpy(mean @ self.decoder.T + self.bias)
            x = torch.from_numpy(rows)
            distortion, error = -(x * logits).sum(1), torch.zeros(len(rows), dtype=torch.float64)
            for logit, _, weight in _at_nodes(logits, spread, count):
                distortion += torch.tensordot(weight, _softplus(logit).sum(-1), 1)
                error += torch.tensordot(weight, (x - torch.sigmoid_(logit)).square_().sum(-1), 1)
            rate = 0.5 * (mean**2 + variance - 1 - np.log(variance)).sum(axis=1)
            parts.append((rate, distortion.numpy(), error.numpy()))
        return BernoulliTerms(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    @property
    def nodes(self) -> int:
        """Number of nodes that these parameters need."""
        largest = float(self._spread.max())
        return next(count for limit, count in _NODES if largest <= limit)

    @property
    def _spread(self) -> FloatArray:
        return np.asarray(np.sqrt(self.decoder**2 @ self.posterior_variance))


@dataclass(frozen=True, eq=False)
class BernoulliReference:
    r"""The best Bernoulli linear VAEs found: something to stand beside, not a bound.

    .. math:: L(\beta) = \min_i\; \mathcal D_i + \beta\mathcal R_i

    over the models kept, each of which was optimised for one β. Any of them is allowed at any β, so
    this is an upper bound on the optimum of linear models everywhere, tightest at the β's of the
    optimisation. Nothing is certified from below.

    Attributes
    ----------
    models : tuple of BernoulliLinearVAE
    betas : ndarray (M,)
        For which each was optimised.
    model_rate, model_distortion, model_squared_error : ndarray (M,)
        Averages over the samples that the reference describes.
    collapsed_distortion : float
        Of the model that ignores the data, nats.
    gradient_norms : ndarray (M,)
        Of the objective at the models, over all training samples; see ``fit_bernoulli``.
    quadrature_error : float
        Largest change of a distortion when judged with 1.5 times the nodes, nats.
    """

    models: tuple[BernoulliLinearVAE, ...]
    betas: FloatArray
    model_rate: FloatArray
    model_distortion: FloatArray
    model_squared_error: FloatArray
    collapsed_distortion: float
    gradient_norms: FloatArray
    quadrature_error: float
    name: str = "Bernoulli linear VAE, optimised"
    bounds: Bounds = "nothing"

    @property
    def statement(self) -> str:
        """What the curve is and what it bounds."""
        k = self.models[0].latent_offset.size
        return (
            f"Bernoulli linear VAEs with {k} latents, optimised numerically for {len(self.models)} "
            "values of beta with the expectation over latents by quadrature (largest gradient norm "
            f"{self.gradient_norms.max():.2g}, quadrature error {self.quadrature_error:.1g} nats); "
            "the best found, an upper bound on the linear optimum, and a lower bound on nothing."
        )

    @classmethod
    def judged(
        cls,
        models: tuple[BernoulliLinearVAE, ...],
        betas: FloatArray,
        samples: ArrayLike,
        gradient_norms: FloatArray,
    ) -> BernoulliReference:
        """Evaluate models on samples (N, n) and keep the averages."""
        data = check_binary(samples)
        terms = [model.evaluate(data) for model in models]
        # The collapsed model has the biases of the training data, which are the models' centres.
        pixel = np.clip(models[0].center, 1e-12, 1 - 1e-12)
        mean = np.asarray(data, dtype=np.float64).mean(axis=0)
        collapsed = -(mean * np.log(pixel) + (1 - mean) * np.log1p(-pixel)).sum()
        some = data[:500]
        more = [m.evaluate(some, nodes=3 * m.nodes // 2).distortion.mean() for m in models]
        less = [t.distortion[: len(some)].mean() for t in terms]
        return cls(
            models,
            betas,
            np.array([t.rate.mean() for t in terms]),
            np.array([t.distortion.mean() for t in terms]),
            np.array([t.squared_error.mean() for t in terms]),
            float(collapsed),
            gradient_norms,
            float(np.abs(np.subtract(more, less)).max()),
        )

    def on(self, samples: ArrayLike) -> BernoulliReference:
        """The same models judged on other samples (N, n), for example held-out ones."""
        return self.judged(self.models, self.betas, samples, self.gradient_norms)

    def at_beta(self, betas: ArrayLike) -> ReferencePoints:
        """The best of the models at each β (B,)."""
        weights = as_betas(betas)
        objective = self.model_distortion + weights[:, None] * self.model_rate
        best = objective.argmin(axis=1)
        return ReferencePoints(
            betas=weights,
            rate=self.model_rate[best],
            distortion=self.model_distortion[best],
            squared_error=self.model_squared_error[best],
            objective=objective.min(axis=1),
            slack=np.full(weights.shape, math.inf),
        )

    def collapsed_loss(self, betas: ArrayLike) -> FloatArray:
        """What independent pixels with the training means lose at β's (B,), nats."""
        return np.maximum(self.collapsed_distortion - self.at_beta(betas).objective, 0.0)


def check_binary(samples: ArrayLike) -> NDArray[Any]:
    """Return samples (N, n) as they are if all lie in [0, 1], or fail."""
    data = np.asarray(samples)
    if data.ndim != 2 or 0 in data.shape:
        fail("samples", f"shape {data.shape}", "(N, n), not empty", "flatten images to rows",
             DataError)  # fmt: skip
    if not (data.min() >= 0 and data.max() <= 1):
        fail("samples", f"values in [{data.min()}, {data.max()}]", "values in [0, 1]",
             "binarise or rescale the data", InputError)  # fmt: skip
    return data
