"""Data, losses, models and a trainer for the tests of the adapters; importing needs torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

N, K = 4, 2


def parts(rows=5):
    rng = np.random.default_rng(0)
    return (rng.normal(size=(rows, N)), rng.normal(size=(rows, N)),
            rng.normal(size=(rows, K)), rng.normal(size=(rows, K)))  # fmt: skip


def exact(x, x_hat, mean, log_var, beta=1.0):
    kl = -0.5 * (1 + log_var - mean**2 - np.exp(log_var)).sum()
    # Not symmetric in x and x_hat, so that exchanging them shows.
    return ((x - 2 * x_hat) ** 2).sum() + beta * kl


def in_our_order(x, x_hat, mean, log_var):
    return exact(x, x_hat, mean, log_var)


def of_tensors(recon_x, x, mu, logvar):
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (x - 2 * recon_x).pow(2).sum() + kl


class LossModule(nn.Module):
    def forward(self, inputs, outputs, mu, log_sigma2):
        return of_tensors(outputs, inputs, mu, log_sigma2)


class Heads(nn.Module):
    """A shared encoder, two heads, no method encode: encoder(x), fc_mu, fc_var, decoder(z)."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(N, 3)
        self.fc_mu, self.fc_var = nn.Linear(3, K), nn.Linear(3, K)
        self.decoder = nn.Linear(K, N)
        self.latent_dim = K
        with torch.no_grad():
            self.fc_var.weight.zero_()
            self.fc_var.bias.copy_(torch.tensor([-1.0, -2.0]))

    def forward(self, x):
        hidden = self.encoder(x)
        mu, log_var = self.fc_mu(hidden), self.fc_var(hidden)
        return self.decoder(mu), x, mu, log_var


class Keras:
    """encoder(x) -> [z_mean, z_log_var, z], decoder(z), as in the examples of Keras."""

    def __init__(self):
        self.weight = np.random.default_rng(0).normal(size=(N, K))

    def encoder(self, x):
        mean = np.asarray(x) @ self.weight
        return [mean, np.full_like(mean, -0.5), mean]

    def decoder(self, z):
        return np.asarray(z) @ self.weight.T + 1.0


def gaussian(rows=4000):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, N)) * [3.0, 2.0, 0.5, 0.5] + 2.0


def train_numpy(data: np.ndarray, beta, latent_dim, random_state):
    assert isinstance(data, np.ndarray)
    torch.from_numpy(data)
    return Keras()
