"""A VAE that is told β as one more input of encoder and decoder, instead of having gates."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from deep._checks import fail
from deep.gates import BetaInput
from deep.networks.base import VAEOutput
from deep.networks.vae import VAE, drawn

__all__ = ["BetaInputVAE"]


class BetaInputVAE(nn.Module):
    r"""Standardised log β joined to the samples and to the latents.

    .. math:: q(z|x, \beta) = N(m, \mathrm{diag}\, e^{v}), \quad (m, v) = f(x, t), \qquad
              p(x|z, \beta) = p(x \mid d(z, t))

    t (:class:`deep.gates.BetaInput`) is a constant channel beside those of an image, a feature
    beside those of a vector, and a number beside the latents.

    Parameters
    ----------
    vae : VAE
        Built for one input more on either side: ``extra_inputs=1``.
    beta_range : (a, b)
        The range over which log β is standardised.
    images : bool
        True: samples (N, channels, height, width) get a channel. False: samples (N, ...) are
        flattened and get a feature.

    Raises
    ------
    InputError
        Not 0 < a < b; on a call: β of another shape than () or (N,), or not positive and finite,
        samples or noise of another shape.
    """

    def __init__(self, vae: VAE, *, beta_range: tuple[float, float], images: bool) -> None:
        super().__init__()
        self.vae = vae
        self.inputs = BetaInput.of_range(beta_range)
        self.images = images
        self.latent_dim = vae.latent_dim

    def forward(
        self,
        samples: Tensor,
        beta: Tensor | float,
        *,
        noise: Tensor | None = None,
        sharpness: float = math.inf,
    ) -> VAEOutput:
        """Encode, draw, decode at β; see :class:`deep.networks.base.VAENetwork`."""
        mean, log_variance = self.encode(samples, beta)
        latents = drawn(mean, log_variance, noise)
        return VAEOutput(mean, log_variance, self.decode(latents, beta))

    def encode(
        self, samples: Tensor, beta: Tensor | float, *, sharpness: float = math.inf
    ) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x) at β, each (N, k)."""
        t = self._inputs_of(beta, samples)
        if not self.images:
            joined = torch.cat((samples.flatten(1), t[:, None]), dim=1)
        elif samples.ndim == 4:
            plane = t[:, None, None, None].expand(-1, 1, *samples.shape[2:])
            joined = torch.cat((samples, plane), dim=1)
        else:
            fail("samples", f"shape {tuple(samples.shape)}", "(N, channels, height, width)",
                 "pass images")  # fmt: skip
        return self.vae.encode(joined)

    def decode(
        self, latents: Tensor, beta: Tensor | float, *, sharpness: float = math.inf
    ) -> Tensor:
        """Parameters of p(x|z) at β for latents (N, k)."""
        t = self._inputs_of(beta, latents)
        return self.vae.decode(torch.cat((latents, t[:, None]), dim=1))

    def _inputs_of(self, beta: Tensor | float, rows: Tensor) -> Tensor:
        """One number per row of samples or latents."""
        t = self.inputs(beta, rows)
        if t.shape not in ((), (len(rows),)):
            fail("beta", f"shape {tuple(t.shape)}", f"() or ({len(rows)},)",
                 "pass one β, or one per example")  # fmt: skip
        return t.expand(len(rows))
