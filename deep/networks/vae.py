"""Variational autoencoders from any encoder and decoder, plain and multi-rate."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from deep._checks import fail
from deep.conversion import MultiRate, multi_rate
from deep.gate_banks import GateBank, GateFeatures
from deep.networks.base import VAEOutput
from deep.networks.latent_gates import LatentGates

__all__ = ["VAE", "MultiRateVAE", "drawn"]

# Log-variances are held within ±60: e^60 is finite in every precision but float16, and no
# distribution this wide or narrow is meant.
_WIDEST = 60.0


def drawn(mean: Tensor, log_variance: Tensor, noise: Tensor | None) -> Tensor:
    """Return z = mean + √variance · noise, each (N, k); the mean without noise.

    Raises
    ------
    InputError
        Noise of another shape.
    """
    if noise is None:
        return mean
    if noise.shape != mean.shape:
        fail("noise", f"shape {tuple(noise.shape)}", f"{tuple(mean.shape)}",
             "draw one number per latent")  # fmt: skip
    return torch.addcmul(mean, torch.exp(0.5 * log_variance), noise)


class VAE(nn.Module):
    r"""Autoencoder with a Gaussian posterior; it takes β and ignores it.

    .. math:: q(z|x) = N(m(x),\, \mathrm{diag}\, e^{v(x)}), \qquad z = m + e^{v/2} \epsilon

    Parameters
    ----------
    encoder : nn.Module
        From samples (N, ...) to a pair (mean, log-variance), each (N, k).
    decoder : nn.Module
        From latents (N, k) to what the likelihood reads, of the shape of the samples.
    latent_dim : int
        k >= 1.

    Raises
    ------
    InputError
        k < 1; on a call: an encoder that gives other shapes, noise of another shape.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent_dim: int) -> None:
        super().__init__()
        if latent_dim < 1:
            fail("latent_dim", latent_dim, "an integer >= 1", "use at least one latent")
        self.encoder = encoder
        self.decoder = decoder
        self.latent_dim = latent_dim

    def forward(
        self,
        samples: Tensor,
        beta: Tensor | float = 1.0,
        *,
        noise: Tensor | None = None,
        sharpness: float = math.inf,
    ) -> VAEOutput:
        """Encode, draw, decode; see :class:`deep.networks.base.VAENetwork`."""
        mean, log_variance = self.encode(samples)
        latents = drawn(mean, log_variance, noise)
        return VAEOutput(mean, log_variance, self.decode(latents))

    def encode(
        self, samples: Tensor, beta: Tensor | float = 1.0, *, sharpness: float = math.inf
    ) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), each (N, k)."""
        mean, log_variance = self.encoder(samples)
        wanted = (len(samples), self.latent_dim)
        for name, part in (("mean", mean), ("log-variance", log_variance)):
            if part.shape != wanted:
                fail(f"the encoder's {name}", f"shape {tuple(part.shape)}", f"{wanted}",
                     "return a pair of tensors (N, k)")  # fmt: skip
        return mean, torch.clamp(log_variance, -_WIDEST, _WIDEST)

    def decode(
        self, latents: Tensor, beta: Tensor | float = 1.0, *, sharpness: float = math.inf
    ) -> Tensor:
        """Parameters of p(x|z) for latents (N, k)."""
        decoded: Tensor = self.decoder(latents)
        return decoded


class MultiRateVAE(nn.Module):
    """A VAE for all β in a range: a :class:`VAE` with gates.

    Parameters
    ----------
    vae : VAE
        Its layers are named ``encoder.…`` and ``decoder.…`` in the patterns.
    beta_range, options
        As for :func:`deep.conversion.multi_rate`; ``gated=()`` leaves the layers without gates.
    latent_gates : bool
        Whether the latents have gates too; see :class:`deep.networks.latent_gates.LatentGates`.

    Attributes
    ----------
    network : MultiRate or VAE
        The gated VAE; as it was when no layer is gated.
    latent_gates : LatentGates or None

    Raises
    ------
    InputError
        Neither layers nor latents with gates.
    """

    def __init__(
        self,
        vae: VAE,
        *,
        beta_range: tuple[float, float],
        latent_gates: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        alone = latent_gates and not options.get("gated", ("*",))
        self.network = vae if alone else multi_rate(vae, beta_range=beta_range, **options)
        self.latent_dim = vae.latent_dim
        self.latent_gates = None
        if latent_gates:
            dtype = next(vae.parameters()).dtype
            self.latent_gates = LatentGates(vae.latent_dim, beta_range, dtype=dtype)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters by role, for learning rates of their own: weights, and gates."""
        kinds = (GateBank, GateFeatures, LatentGates)
        gates = [p for m in self.modules() if isinstance(m, kinds) for p in m.parameters()]
        of_gates = {id(p) for p in gates}
        weights = [p for p in self.parameters() if id(p) not in of_gates]
        return [{"params": weights, "role": "weights"}, {"params": gates, "role": "gates"}]

    def forward(
        self,
        samples: Tensor,
        beta: Tensor | float,
        *,
        noise: Tensor | None = None,
        sharpness: float = math.inf,
    ) -> VAEOutput:
        """Encode, draw, decode at β; see :class:`deep.networks.base.VAENetwork`."""
        if self.latent_gates is None:
            output: VAEOutput = self.network(samples, noise=noise, beta=beta, sharpness=sharpness)
            return output
        gates = self.latent_gates(beta, len(samples))
        with self._at(beta, sharpness) as vae:
            mean, log_variance = gates.posterior(*vae.encode(samples))
            latents = gates.latents(drawn(mean, log_variance, noise))
            return VAEOutput(mean, log_variance, vae.decode(latents))

    def encode(
        self, samples: Tensor, beta: Tensor | float, *, sharpness: float = math.inf
    ) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x) at β, each (N, k)."""
        with self._at(beta, sharpness) as vae:
            encoded: tuple[Tensor, Tensor] = vae.encode(samples)
        if self.latent_gates is None:
            return encoded
        return self.latent_gates(beta, len(samples)).posterior(*encoded)

    def decode(
        self, latents: Tensor, beta: Tensor | float, *, sharpness: float = math.inf
    ) -> Tensor:
        """Parameters of p(x|z) at β for latents (N, k)."""
        if self.latent_gates is not None:
            latents = self.latent_gates(beta, len(latents)).latents(latents)
        with self._at(beta, sharpness) as vae:
            decoded: Tensor = vae.decode(latents)
            return decoded

    def _at(self, beta: Tensor | float, sharpness: float) -> AbstractContextManager[Any]:
        if isinstance(self.network, MultiRate):
            return self.network.at(beta, sharpness)
        return nullcontext(self.network)
