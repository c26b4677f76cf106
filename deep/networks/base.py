"""What every VAE here says about a batch, and how it is asked."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

from torch import Tensor

__all__ = ["VAENetwork", "VAEOutput"]


class VAEOutput(NamedTuple):
    """What a network says about samples (N, ...).

    Attributes
    ----------
    latent_mean, latent_log_variance : Tensor (N, k)
        Of q(z|x) = N(mean, diag(exp(log-variance))).
    output : Tensor (N, ...)
        Of the shape of the samples: the parameters of p(x|z) that a likelihood reads, the mean for
        Gaussian and discretised logistic, logits for Bernoulli.
    """

    latent_mean: Tensor
    latent_log_variance: Tensor
    output: Tensor


class VAENetwork(Protocol):
    """A network that can be trained and evaluated here; every ``nn.Module`` below ``networks`` is.

    β is an argument of every call and never stored. A network without gates takes it and ignores
    it, so that a dedicated β-VAE and a multi-rate one go through the same code.
    """

    latent_dim: int

    def __call__(
        self,
        samples: Tensor,
        beta: Tensor | float,
        *,
        noise: Tensor | None = None,
        sharpness: float = math.inf,
    ) -> VAEOutput:
        """Encode, draw z = mean + √variance · noise (N, k) (the mean without noise), decode.

        beta is a number, or a tensor () or (N,); sharpness is that of smoothed gates.
        """
        ...

    def encode(
        self, samples: Tensor, beta: Tensor | float, *, sharpness: float = math.inf
    ) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), each (N, k)."""
        ...

    def decode(
        self, latents: Tensor, beta: Tensor | float, *, sharpness: float = math.inf
    ) -> Tensor:
        """Parameters of p(x|z) for latents (N, k)."""
        ...
