"""A network whose rate, distortion and likelihood are known exactly at every β."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

import linvae as lv
from deep.networks.base import VAEOutput

# Powers of β in E, c and D: a row that is evaluated at another row's β is then visibly wrong.
POWERS = {"encoder": -0.2, "variance": 0.3, "decoder": -0.1}


class LinearGaussian(nn.Module):
    """Linear VAE with arbitrary, anisotropic parameters that are optimal nowhere."""

    def __init__(self, n=5, k=2, *, seed=0, dtype=torch.float64, shape=None):
        super().__init__()
        rng = np.random.default_rng(seed)
        self.latent_dim, self.shape = k, shape or (n,)
        self.calls = []

        def buffer(name, values):
            self.register_buffer(name, torch.tensor(values, dtype=dtype))

        buffer("encoder", 0.5 * rng.standard_normal((k, n)))
        buffer("variance", np.geomspace(0.15, 1.6, k))
        buffer("decoder", rng.standard_normal((n, k)) * np.geomspace(1.2, 0.4, k))
        buffer("encoder_offset", rng.standard_normal(n))
        buffer("decoder_offset", rng.standard_normal(n))
        buffer("latent_offset", 0.4 * rng.standard_normal(k))

    def _power(self, beta, name):
        return torch.as_tensor(beta, dtype=self.encoder.dtype).reshape(-1, 1) ** POWERS[name]

    def encode(self, samples, beta, *, sharpness=math.inf):
        rows = samples.flatten(1) - self.encoder_offset
        mean = self._power(beta, "encoder") * (rows @ self.encoder.mT) + self.latent_offset
        variance = self._power(beta, "variance") * self.variance
        return mean, torch.log(variance).expand_as(mean)

    def decode(self, latents, beta, *, sharpness=math.inf):
        rows = self._power(beta, "decoder") * (latents @ self.decoder.mT) + self.decoder_offset
        return rows.reshape(len(rows), *self.shape)

    def forward(self, samples, beta, *, noise=None, sharpness=math.inf):
        self.calls.append({"beta": beta, "noise": noise, "sharpness": sharpness})
        mean, log_variance = self.encode(samples, beta)
        z = mean if noise is None else mean + torch.exp(log_variance / 2) * noise
        return VAEOutput(mean, log_variance, self.decode(z, beta))

    def at(self, beta, noise_variance=1.0):
        """The same model as the theory writes it."""
        arrays = {name: value.double().numpy() for name, value in self.named_buffers()}
        return lv.LinearVAE(
            encoder=arrays["encoder"] * beta ** POWERS["encoder"],
            posterior_variance=arrays["variance"] * beta ** POWERS["variance"],
            decoder=arrays["decoder"] * beta ** POWERS["decoder"],
            noise_variance=noise_variance,
            encoder_offset=arrays["encoder_offset"],
            decoder_offset=arrays["decoder_offset"],
            latent_offset=arrays["latent_offset"],
        )


def population(n=5, seed=1):
    """Anisotropic Gaussian source with a mean."""
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((n, n)) * np.geomspace(1.5, 0.2, n)
    return lv.Spectrum.from_covariance(mix @ mix.T, mean=rng.standard_normal(n))
